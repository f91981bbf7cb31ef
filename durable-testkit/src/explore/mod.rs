//! The explorer: from a moment of a simulated disk every crash image that is legal, and what a recovery makes of each.
//! [`Torture`] does so for the log. Nothing here decides what is legal (the disk does) or how to recover (the engine
//! does); it counts, compares and, where something is wrong, shows the smallest story of it.

mod fold;
mod images;
mod log;
pub mod runs;

pub use images::ImageKind;
pub use log::{Catalogue, Counts, Exploration, Failure, Report, Torture, catalogue};
