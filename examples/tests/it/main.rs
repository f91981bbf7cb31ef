//! The examples, run as programs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
#[path = "../../../durable-testkit/src/bin/kill/check.rs"]
mod check;
#[allow(dead_code, unreachable_pub, reason = "it is made of the files of a program, and uses a part of them")]
mod checkout;
mod saga;
mod tested;
