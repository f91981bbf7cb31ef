//! The seams through which the engine touches the world besides the disk: time, entropy (with it what names this process)
//! and spawning. Each is one small trait with a real implementation; a simulator swaps them all. Nothing else in the
//! engine may read a clock, the environment or a random number, or spawn. Outside the crate's stability promise.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::kernel::id::Timestamp;

/// A boxed future of the engine.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Work that blocks its thread.
pub type Work = Box<dyn FnOnce() + Send>;

/// Time, of two kinds.
pub trait Clock: Send + Sync + Debug + 'static {
    /// The wall clock. It may be set, forwards and back.
    fn wall(&self) -> Timestamp;
    /// The monotonic clock: how long since some fixed point of this process. It never goes back.
    fn monotonic(&self) -> Duration;
    /// Completes when the monotonic clock has reached `until`. It may complete before, when the wall clock was set.
    fn sleep_until(&self, until: Duration) -> Task;
    /// How often the wall clock has to be looked at while a deadline waits, because it may have been set; none if that
    /// ends `sleep_until`.
    fn looked_at_every(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }
}

/// Randomness, and what names this process.
pub trait Entropy: Send + Sync + Debug + 'static {
    /// Fills `bytes` with random ones.
    fn fill(&self, bytes: &mut [u8]);
    /// This process's id, read anew each time: a forked child has another.
    fn pid(&self) -> u32;
    /// The host's name.
    fn host(&self) -> String;
    /// What names this boot of the machine; zero where that cannot be had.
    fn boot_id(&self) -> [u8; 16];
    /// What names this build of the program.
    fn build_id(&self) -> String;
}

/// Where the engine's own tasks run.
pub trait Spawn: Send + Sync + Debug + 'static {
    /// Runs a task beside the caller.
    fn task(&self, task: Task);
    /// Runs a task that may block its thread: recovery, loads of journals.
    fn blocking(&self, name: &str, task: Task);
    /// Runs the writer of the log and the drivers of the runs. They wait for each other more than for anything else.
    fn engine(&self, writer: Task, drivers: Vec<Task>) {
        self.blocking("durable-log", writer);
        drivers.into_iter().for_each(|driver| self.task(driver));
    }
    /// How many drivers share the runs of a store, if nobody says how many.
    fn drivers(&self) -> usize {
        1
    }
    /// Does both, at once where there are threads for it; they touch nothing in common. Done when it returns.
    fn both(&self, one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
        one();
        other();
    }
    /// Runs an activity that blocks its thread, on a pool for such work. It goes on when nobody waits for it any more.
    fn pool(&self, work: Work);
    /// Blocks this thread until a task that other threads drive on is done. A world of one thread, where nothing else would move,
    /// drives on or gives up.
    fn wait(&self, task: Task);
}

/// The seams that a part of the engine is given.
#[derive(Debug, Clone)]
pub struct Seams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, and what names this process.
    pub entropy: Arc<dyn Entropy>,
    /// Where tasks run.
    pub spawn: Arc<dyn Spawn>,
}
