//! What several processes, a signal, a full disk and a failing one do to a store: shown with real processes on a real disk. Linux.
//!
//! Nothing here sleeps: a test waits for a line, for the end of a process or for what `/proc` says of one, each with a deadline.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

mod denied;
mod dropped;
mod exported;
mod killed;
mod locked;
mod moved;
mod parked;
mod probe;
mod traced;
