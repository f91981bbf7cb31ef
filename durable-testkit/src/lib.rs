//! Tests of `durable` and of workflows written with it: a simulated disk, and the seams of the engine with a clock, an
//! entropy and a spawner that a test holds in its hand. Nothing here reads a real clock or real randomness, and no real file but what
//! replay tests are of.

pub mod conformance;
mod disk;
pub mod explore;
mod kit;
mod panics;
pub mod replay;
mod rng;
mod seams;
pub mod sim;
pub mod torture;

pub use disk::{
    AfterFailedSync, Ending, Fault, Keep, Mask, Moment, Op, OpKind, Overwrites, Personality, ProcessId, SimDisk,
    SimProcess, Snapshot, TraceLine, Unfair, Unfinished, When, errno,
};
pub use kit::{App, CrashReport, Double, Effect, Failure, Ledger, Run, Service, Starting, Test, Unavailable};
pub use replay::replay;
pub use rng::Rng;
pub use seams::{InlineSpawn, ManualClock, SeededEntropy, TokioSpawn};

// The guide's examples are compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../docs/testing.md")]
mod guide {}

#[cfg(doctest)]
#[doc = include_str!("../../docs/testing-replay.md")]
mod replay_guide {}
