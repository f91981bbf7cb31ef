//! A world for counting: a disk in memory, a clock that stands still, entropy that is always the same, and one thread. Two runs of a program in
//! it execute the same instructions.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use durable::Runtime;
use durable::kernel::id::Timestamp;
use durable::runtime::{Builder, World};
use durable::seams::{Clock, Entropy, Seams, Spawn, Task, Work};
use durable::store::disk::Disk;

use crate::codec::AT;
use crate::memory_disk::MemoryDisk;

/// A runtime to be opened in such a world, inside a tokio runtime of one thread.
#[must_use = "a runtime opens when `open` is awaited"]
pub fn builder() -> Builder {
    builder_on(&Arc::new(MemoryDisk::default()))
}

/// The same, on a disk that may hold a store already.
#[must_use = "a runtime opens when `open` is awaited"]
pub fn builder_on(disk: &Arc<MemoryDisk>) -> Builder {
    let seams =
        Seams { clock: Arc::new(Still), entropy: Arc::new(Counted(AtomicU64::new(1))), spawn: Arc::new(OneThread) };
    Runtime::builder("/store").world(World::new(seams, Arc::clone(disk) as Arc<dyn Disk>))
}

/// A clock that stands still: nobody who sleeps wakes up.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn wall(&self) -> Timestamp {
        AT
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep_until(&self, _: Duration) -> Task {
        Box::pin(pending())
    }
}

/// Each draw gives the next number.
#[derive(Debug)]
struct Counted(AtomicU64);

impl Entropy for Counted {
    fn fill(&self, bytes: &mut [u8]) {
        let number = self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        bytes.iter_mut().zip(number.iter().cycle()).for_each(|(byte, part)| *byte = *part);
    }

    fn pid(&self) -> u32 {
        1
    }

    fn host(&self) -> String {
        "still".to_owned()
    }

    fn boot_id(&self) -> [u8; 16] {
        [1; 16]
    }

    fn build_id(&self) -> String {
        "bench".to_owned()
    }
}

/// Everything is a task of the tokio runtime at hand: nothing here blocks.
#[derive(Debug)]
struct OneThread;

impl Spawn for OneThread {
    fn task(&self, task: Task) {
        drop(tokio::task::spawn(task));
    }

    fn blocking(&self, _: &str, task: Task) {
        self.task(task);
    }

    fn pool(&self, work: Work) {
        self.task(Box::pin(async move { work() }));
    }

    fn wait(&self, task: Task) {
        self.task(task);
    }
}
