//! The mind: events, replay, scheduling, timers, retry. Pure and sans-io: facts go in by `handle_*`, actions come out by
//! `poll_*`, and `now` is an argument. It never reads a clock, a file or a random number, never spawns, never awaits, and
//! holds no map whose order is random.

pub mod alike;
pub mod by_run;
pub mod command;
pub mod engine;
pub mod event;
pub mod fault;
pub(crate) mod few;
mod fit;
pub mod id;
pub mod machine;
pub mod mismatch;
pub mod open_runs;
pub mod options;
pub mod rare;
pub mod retry;
pub mod scope;
pub mod short;
pub mod tables;
pub mod trace;
pub mod undo;
