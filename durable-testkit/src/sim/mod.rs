//! The simulator: the real kernel, the real log and the real runtime over a simulated clock, disk, schedule and entropy. One
//! thread, one seed: the same seed gives the same trace, to the byte. User code runs unchanged, inside a tokio runtime of this
//! thread whose clock is paused: `tokio::time` in an activity takes no real time. Nothing here judges what it sees.

mod clock;
mod executor;
mod process;
#[cfg(test)]
mod tests;
mod trace;

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durable::kernel::id::Timestamp;
use durable::store::log::{SegmentSizes, Sizes};

pub use clock::SimClock;
use executor::Executor;
pub use executor::current_process;
pub(crate) use executor::{LIVELOCK, NO_END};
pub use process::{Process, ProcessSpawn, STORE};
pub use trace::Trace;

use crate::disk::{Keep, SimDisk, Snapshot, Unfinished};
use crate::rng::Rng;

/// When every simulation begins, unless told otherwise: 2026-01-01T00:00:00Z.
pub const BEGIN: Timestamp = Timestamp(1_767_225_600_000_000);

/// How a simulation is set up.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Says everything that is not determined otherwise.
    pub seed: u64,
    /// In which order tasks are polled and operations of the disk are done.
    pub order: Order,
    /// What the wall clock shows at first.
    pub begin: Timestamp,
    /// How much simulated time there is; what has not ended then never does.
    pub time_max: Duration,
    /// How many polls there may be without time passing; more are a livelock, and a panic.
    pub polls_at_once_max: u64,
    /// How many polls there may be in all; more are a play without an end, and a panic.
    pub polls_max: u64,
    /// How large the parts of the log are.
    pub sizes: Sizes,
    /// How often, in percent, the disk lets time pass before it goes on when nothing else moves.
    pub lag_percent: u64,
    /// The longest such pause.
    pub lag_max: Duration,
    /// What is on the disk at first.
    pub disk: Option<Snapshot>,
    /// Whether the trace is kept in words, beside its hash.
    pub words: Words,
}

/// In which order tasks are polled and operations are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they became ready; an operation of the disk is done when no task is ready, the one first that was submitted first.
    AsTheyCome,
    /// As the seed says.
    Seeded,
}

/// Whether a trace is kept in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// Its hash alone.
    No,
    /// One line for each thing that happened.
    Yes,
}

/// Sizes under which a workflow of ordinary length fits one segment; a long one rolls.
pub(crate) const ONE_SEGMENT: Sizes = Sizes {
    segments: SegmentSizes { bytes_min: 16 << 10, bytes_max: 1 << 20 },
    reserve_bytes: 4096,
    checkpoint_bytes_min: 64 << 10,
    frame_cache_bytes: 64 << 10,
    stretch_bytes: 1 << 20,
};

/// Sizes under which segments roll and checkpoints are written all the time.
pub const SMALL: Sizes = Sizes {
    segments: SegmentSizes { bytes_min: 8192, bytes_max: 16384 },
    reserve_bytes: 4096,
    checkpoint_bytes_min: 8192,
    frame_cache_bytes: 16384,
    stretch_bytes: 6144,
};

impl Default for Setting {
    /// Seed 0 in the seed's order, thirty years of time, polls without a limit, small sizes, no lag, an empty disk, no words.
    fn default() -> Setting {
        Setting {
            seed: 0,
            order: Order::Seeded,
            begin: BEGIN,
            time_max: Duration::from_secs(30 * 365 * 86_400),
            polls_at_once_max: 1_000_000,
            polls_max: u64::MAX,
            sizes: SMALL,
            lag_percent: 0,
            lag_max: Duration::ZERO,
            disk: None,
            words: Words::No,
        }
    }
}

/// Something that happens in a simulation, for who watches it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A process is about to be polled. What it left so far is on the disk, and outside.
    Poll {
        /// Its number.
        process: u32,
    },
    /// The disk has done an operation, and whoever asked for it does not know yet.
    Operation,
}

/// Everything waits for something that never comes: no task is ready, no operation is in flight, and the simulated time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalled {
    /// How much simulated time had passed when the last task was polled.
    pub since: Duration,
}

impl std::fmt::Display for Stalled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "nothing moves any more, since {:?} of simulated time", self.since)
    }
}

impl std::error::Error for Stalled {}

/// One simulated machine: its disk, its time, and the processes on it. Clones are the same machine.
#[derive(Debug, Clone)]
pub struct Sim {
    executor: Arc<Executor>,
    disk: SimDisk,
    clock: SimClock,
    setting: Arc<Setting>,
    rng: Arc<Mutex<Rng>>,
    processes: Arc<Mutex<Vec<Process>>>,
}

impl Sim {
    /// Plays on a machine of its own, on this thread, until `play` ends.
    ///
    /// # Errors
    /// [`Stalled`] when nothing moves any more.
    ///
    /// # Panics
    /// Inside a tokio runtime (a test of the simulator is a plain `#[test]`), at a livelock, at more polls
    /// than there may be, and when `play` panics.
    pub fn play<T>(setting: Setting, play: impl AsyncFnOnce(Sim) -> T) -> Result<T, Stalled> {
        let mut tokio = tokio::runtime::Builder::new_current_thread();
        let tokio = tokio.enable_time().start_paused(true).build();
        let tokio = tokio.expect("because a runtime of one thread needs nothing of the system");
        let time_max = setting.time_max;
        tokio.block_on(async {
            let sim = Sim::new(setting);
            let executor = Arc::clone(&sim.executor);
            let disk = sim.disk.clone();
            let ended = executor.drive(play(sim.clone()), &disk, time_max).await;
            sim.end();
            ended
        })
    }

    fn new(setting: Setting) -> Sim {
        let mut rng = Rng::new(setting.seed);
        let seed = rng.next_u64();
        let disk = match setting.order {
            Order::AsTheyCome => SimDisk::in_order(),
            Order::Seeded => SimDisk::scheduled(seed),
        };
        if let Some(snapshot) = &setting.disk {
            disk.restore(snapshot);
        }
        // From here on the disk keeps a hash of what it is asked to do, for the trace.
        disk.told();
        let executor = Arc::new(Executor::new(&setting, rng.split()));
        let clock = SimClock::new(setting.begin);
        let rng = Arc::new(Mutex::new(rng));
        Sim { executor, disk, clock, setting: Arc::new(setting), rng, processes: Arc::default() }
    }

    /// Processes that are left are gone, and with them what keeps the machine in memory.
    fn end(&self) {
        let processes = std::mem::take(&mut *lock(&self.processes));
        processes.iter().for_each(|process| process.kill(Unfinished::NotDone));
        self.executor.drop_all();
        self.disk.let_go();
    }

    /// The machine's disk.
    #[must_use]
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// The machine's clock.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// How the simulation was set up.
    #[must_use]
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// A stream of randomness of its own. Each call gives another one, the same ones for the same seed.
    #[must_use]
    pub fn rng(&self) -> Rng {
        lock(&self.rng).split()
    }

    /// What has happened so far.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.executor.trace()
    }

    /// Tells `watcher` of every step from now on, with everything standing still. There is one watcher at a time.
    pub fn watch(&self, watcher: impl FnMut(Step) + Send + 'static) {
        self.executor.watch(Arc::new(Mutex::new(watcher)));
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl FnOnce() -> String) {
        self.executor.note(line);
    }

    /// How much simulated time has passed.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How many polls of tasks there were, of all processes.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.executor.polls()
    }

    /// Waits until there were so many polls of tasks, of all processes. One waits for that at a time.
    pub async fn after_polls(&self, polls: u64) {
        self.executor.after_polls(polls).await;
    }

    /// Lets simulated time pass, and with it everything that comes due.
    pub async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Lets others go first: everything that can move without time passing does.
    pub async fn settle(&self) {
        self.executor.idle().await;
    }

    /// A new process on this machine, of the build `test`.
    #[must_use]
    pub fn process(&self) -> Process {
        let process = Process::new(self);
        lock(&self.processes).push(process.clone());
        process
    }

    /// Runs a task that belongs to no process.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.executor.spawner(executor::NOBODY).spawn(Box::pin(task));
    }

    /// The power goes: every process is dead, and of what no sync covered only what `keep` says is there afterwards.
    pub fn power_cut(&self, keep: &Keep) {
        self.note(|| format!("the power goes: {keep:?}"));
        self.disk.power_cut(keep);
        let processes = std::mem::take(&mut *lock(&self.processes));
        processes.iter().for_each(Process::bury);
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
