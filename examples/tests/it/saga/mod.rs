//! The saga of the checkout, on a simulated machine: cancelled, terminated, crashed at every point of it, and deployed anew in between.

mod deploys;
mod ends;
mod partners;
mod play;
mod points;
mod shops;
mod steps;
