#![allow(clippy::unwrap_used, reason = "tests")]
mod crashes;
mod determinism;
mod plain;
