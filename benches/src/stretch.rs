//! A stretch of work on a store: how long it took, what it cost the processor and the disk, and what the bare log takes for the same
//! batches right behind it. The store must be quiet when it ends: what is written meanwhile would be counted for nothing.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::bare::{self, Bare, Mark};
use crate::report::Row;
use crate::slowed::Watch;
use crate::usage::{self, Machine};

/// What stands in each row under `durability`: every effect waits for the sync of what justifies it, the library's only setting.
pub const DURABILITY: &str = "fdatasync";

/// See the head of the file.
#[derive(Debug)]
pub struct Stretch {
    before: Mark,
    machine: Machine,
    watch: Watch,
    cpu: Duration,
    begin: Instant,
}

/// What a stretch took.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// By the clock.
    pub elapsed: Duration,
    /// Of all threads.
    pub cpu: Duration,
    /// How many batches were written.
    pub frames: usize,
    /// How many bytes.
    pub bytes: usize,
    /// The bare log's times for the same.
    pub bare: Bare,
    /// How much of the processors others took meanwhile.
    pub others_percent: f64,
    /// How slow the processors were in the stretch, without the bare log's part; see [`slowed`](crate::slowed).
    pub slowed: f64,
}

/// When a stretch ended.
#[derive(Debug)]
pub struct Ended {
    machine: Machine,
    elapsed: Duration,
    cpu: Duration,
    slowed: f64,
    frames: Vec<usize>,
}

impl Stretch {
    /// Begins now, on a store that is there or not.
    ///
    /// # Errors
    /// When the store cannot be read, or the thread that watches the processors cannot be started.
    pub fn begin(store: &Path) -> io::Result<Stretch> {
        let before = bare::frames(store, &Mark::default())?.last;
        let watch = Watch::begin()?;
        Ok(Stretch { before, machine: Machine::now(), watch, cpu: usage::cpu(), begin: Instant::now() })
    }

    /// Ends now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn end(self, store: &Path) -> io::Result<Ended> {
        let (elapsed, cpu) = (self.begin.elapsed(), usage::cpu().saturating_sub(self.cpu));
        let slowed = self.watch.end();
        Ok(Ended { machine: self.machine, elapsed, cpu, slowed, frames: bare::frames(store, &self.before)?.lengths })
    }
}

impl Ended {
    /// Lets the bare log write the same batches into this directory. The runtime is better shut down before.
    ///
    /// # Errors
    /// When the bare log cannot be written.
    pub fn beside_bare_log(self, dir: &Path) -> io::Result<Measured> {
        let Ended { machine, elapsed, cpu, slowed, frames } = self;
        let bare = bare::write(dir, &frames)?;
        let others_percent = Machine::now().others_percent(&machine);
        Ok(Measured { elapsed, cpu, frames: frames.len(), bytes: frames.iter().sum(), bare, others_percent, slowed })
    }
}

impl Measured {
    /// So many of these happened: how many a second.
    #[must_use]
    pub fn per_second(&self, many: u64) -> f64 {
        many as f64 / self.elapsed.as_secs_f64()
    }

    /// The time over that of the bare log.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.elapsed.as_secs_f64() / self.bare.total.as_secs_f64()
    }

    /// The bare log's median of a write and its sync, in microseconds.
    #[must_use]
    pub fn sync_us(&self) -> f64 {
        self.bare.sync.as_secs_f64() * 1e6
    }

    /// The processor's time for each of so many, in microseconds.
    #[must_use]
    pub fn cpu_us(&self, many: u64) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / many as f64
    }

    /// Bytes of the log for each of so many.
    #[must_use]
    pub fn bytes_per(&self, many: u64) -> f64 {
        self.bytes as f64 / many as f64
    }

    /// Adds what stands in every row of a benchmark that touches the disk.
    #[must_use]
    pub fn add_to(&self, row: Row) -> Row {
        let row = row.real("ratio_to_bare_log", self.ratio(), 3).count("frames", self.frames as u64);
        let row = row.real("fdatasync_us", self.sync_us(), 0).word("durability", DURABILITY);
        row.real("others_cpu_percent", self.others_percent, 0).real("processor_slowed", self.slowed, 2)
    }
}
