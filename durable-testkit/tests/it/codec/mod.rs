//! Bytes and back: every event comes back as it was, no bytes make a decoder panic, and the bytes of today are held.

pub(crate) mod arbitrary;
mod example;
mod golden;
mod hashes;
mod properties;
mod size;
