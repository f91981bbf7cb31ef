//! What a journal makes of the code that recorded it: it is replayed, and what the body sees is written down as what a live one sees. It
//! judges nothing.

use std::sync::Arc;

use durable::runtime::replay::{NotReplayed, Replay, Replayed};

use super::look::Past;
use super::program::Build;
use super::stage::{Body, Stage};

/// A journal that was replayed.
#[derive(Debug)]
pub(super) struct Retold {
    /// What came of it.
    pub(super) replayed: Result<Replayed, NotReplayed>,
    /// What the body saw, up to where the replay came.
    pub(super) body: Option<Body>,
}

impl Retold {
    /// Replays a journal against the code that recorded it.
    pub(super) fn of(past: &Past) -> Retold {
        let stage = Arc::new(Stage::aside());
        let entered = stage.enter();
        let replayed = Replay::of(Build::First.registry()).journal(&past.journal);
        drop(entered);
        let body = stage.seen().bodies.pop();
        Retold { replayed, body }
    }
}
