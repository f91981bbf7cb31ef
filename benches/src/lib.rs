//! What the benchmarks share: the bare log that every figure stands beside, and the machine's own counters. It measures; it never judges.

pub mod bare;
pub mod usage;
