//! Tests of `durable` and of workflows written with it: a simulated disk, and the seams of the engine with a clock, an
//! entropy and a spawner that a test holds in its hand. Nothing here reads a real clock or real randomness, and no real file but what
//! replay tests are of.

mod disk;
pub mod replay;
mod rng;
mod seams;
pub mod sim;

pub use disk::{
    AfterFailedSync, Ending, Fault, Keep, Mask, Op, OpKind, ProcessId, SimDisk, SimProcess, Snapshot, TraceLine,
    Unfinished, When, errno,
};
pub use replay::replay;
pub use rng::Rng;
pub use seams::{InlineSpawn, ManualClock, SeededEntropy, TokioSpawn};
