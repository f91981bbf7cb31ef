//! The explorer of the log: plays scenarios with the real log on a simulated disk, crashes them at every operation into
//! every legal image, recovers each image with the real recovery, lets the oracle look, and crashes that recovery too.
//! Everything follows from a seed; nothing here reads a clock.

mod contend;
mod model;
mod oracle;
mod player;
mod script;
mod search;
mod torture;

pub use search::{Counts, Exploration};
pub use torture::{Catalogue, Failure, Report, Torture, catalogue};
