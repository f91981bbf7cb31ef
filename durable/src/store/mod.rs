//! The memory: where journals are kept.

pub mod disk;
