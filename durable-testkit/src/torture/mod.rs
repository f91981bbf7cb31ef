//! The whole real runtime, tortured: programs, an outside world and faults drawn from a seed, played in the simulator, and an oracle that
//! says what has to hold whatever went wrong. A case that fails is made small and told so that a person can read it.

mod calls;
mod case;
mod draw;
mod facts;
mod history;
mod look;
#[cfg(test)]
mod mutations;
mod oracle;
mod planted;
mod play;
mod program;
mod report;
mod retold;
mod shrink;
mod sight;
mod stage;
#[cfg(test)]
mod tests;
mod timing;
mod verdict;
mod wreck;

pub use case::{
    After, Blow, Case, Conduct, Death, Deed, DiskFault, Hit, Kind, Leaves, Life, Moment, Planned, Room, Root,
};
pub use look::{Look, Past};
pub use oracle::judge;
pub use planted::{By, Caught, Planted};
pub use play::{Counts, Played};
pub use program::{Ask, Build, Given, How, Node, Program, Refusal, Tries, Word, torture};
pub use report::{Log, Report, Runs};
pub use shrink::shrink;
pub use stage::{Ack, Acked, AttemptSeen, Body, Crash, Ended, Once, Opened, Saw, Seen, Sight, Slept};
pub use verdict::Verdict;
