//! What the benchmarks share. Each program prints a table for people and, with `--json`, one line for each row for machines; each that touches
//! the disk runs the bare log right behind its own work: the same bytes in the same batch sizes, `pwrite` and `fdatasync` into a file
//! zeroed beforehand, and nothing else. It measures; it never judges. Only `guard` does.

pub mod args;
pub mod bare;
pub mod bounds;
pub mod codec;
pub mod histogram;
pub mod kernel;
pub mod load;
pub mod long;
pub mod memory_disk;
pub mod part;
pub mod pieces;
pub mod quiet;
pub mod report;
pub mod slowed;
pub mod still;
pub mod stretch;
pub mod usage;
pub mod valgrind;
pub mod workplace;

/// What the programs' functions give: any error ends the program, which prints it.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;
