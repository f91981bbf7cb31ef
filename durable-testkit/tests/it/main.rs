//! The tests of `durable` from outside, one module for each area.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod codec;
mod fuzz;
mod payload;
