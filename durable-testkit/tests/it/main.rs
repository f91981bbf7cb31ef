//! The tests of `durable` from outside, one module for each area.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod blocked;
mod codec;
#[cfg(unix)]
mod conformance;
mod drivers;
mod format;
mod fuzz;
mod guide;
mod journals;
mod log_bad_input;
mod log_crash;
mod log_explorer;
mod log_fixture;
#[cfg(unix)]
mod log_index;
mod log_loads;
mod log_open;
mod log_real;
mod log_rules;
mod log_unfair;
mod misplaced;
mod payload;
mod runtime;
mod trace_context;
