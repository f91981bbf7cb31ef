//! What users hold: tests of workflows in simulated time, with doubles, services that misbehave, and crashes everywhere. See the guide,
//! `docs/testing.md`. It plays on the simulator and judges what it sees; it has no rule of the engine's own.

mod app;
mod crash;
mod determinism;
mod double;
mod failure;
mod hint;
mod outside;
mod play;
mod repeat;
mod replays;
mod run;
mod service;
mod stage;
mod test;
#[cfg(test)]
mod tests;

pub use app::{App, Starting};
pub use crash::CrashReport;
pub use double::Double;
pub use failure::Failure;
pub use run::Run;
pub use service::{Effect, Ledger, Service, Unavailable};
pub use test::Test;
