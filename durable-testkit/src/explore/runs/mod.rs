//! Whole-runtime scenarios, explored from end to end: a workflow is played once without a crash, and from every operation of its disk,
//! and everything that a crash may leave of it, another process recovers and plays to the end; and so again behind each of those.
//! Nothing here decides what is legal (the disk does) or how to recover (the engine does).

mod catalogue;
mod play;
mod search;
#[cfg(test)]
mod tests;
mod world;

use std::future::Future;
use std::pin::Pin;

use durable::{Registry, Runtime};

pub use catalogue::{catalogue, ten_steps};
pub use search::{Broken, Explored};
pub use world::World;

/// What a client does in one process, to the end of its run: what came of it, in words.
type Client = fn(Runtime, World) -> Pin<Box<dyn Future<Output = Result<String, String>>>>;

/// In which order effects are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effects {
    /// One after the other: an effect that comes back after a later one was begun is wrong, because its result was durable then.
    InOrder,
    /// In whatever order.
    Unordered,
}

/// A workflow and its client, small enough to be explored as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called.
    pub name: &'static str,
    /// How many crashes follow one another.
    pub depth: u8,
    /// How large a part it gets of the time that is left for it and those behind it, in shares.
    pub share: u32,
    registry: fn() -> Registry,
    client: Client,
    effects: Effects,
    /// How a run may end behind a crash, beside the way in which it ends without one.
    may_end: &'static [&'static str],
}
