//! Tests of the house itself: which floor imports what, and that the documents and the code agree.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod docs;
mod errors;
mod house;
mod planted;
