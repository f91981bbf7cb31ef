//! The examples, run as programs.

mod backup;
#[path = "../../../durable-testkit/src/bin/kill/check.rs"]
mod check;
