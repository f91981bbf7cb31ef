//! The examples, run as programs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
#[path = "../../../durable-testkit/src/bin/kill/check.rs"]
mod check;
