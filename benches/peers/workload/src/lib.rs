//! The workload that every peer is given, and the one way in which it is measured. It knows of no peer.
//!
//! A peer's program parses a [`Case`], sets the peer up in `case.dir`, and hands something that runs one workflow to its end to [`measure`].
//! The line that comes out says what was done and how long it took; [`table`] puts the lines of all programs together.

mod case;
mod line;
mod measure;
pub mod table;
mod usage;

pub use case::{Case, Work};
pub use line::{Failed, Line, Measured, Outcome, locked};
pub use measure::{About, Fault, Peer, count, measure, print};
