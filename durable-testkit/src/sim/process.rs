//! A process on a simulated machine: the world that it gives a runtime, and its death. Whatever it had in memory is gone then;
//! what its disk saw stays.

use std::fmt;
use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use durable::runtime::{Builder, World};
use durable::seams::{Seams, Spawn, Task, Work};
use durable::{Registry, Runtime};

use super::executor::{Inside, May, Spawner, may_poll_of};
use super::{Sim, SimClock};
use crate::disk::{SimProcess, Unfinished};
use crate::seams::SeededEntropy;

/// Where the store of a simulation lies, unless told otherwise.
pub const STORE: &str = "/store";

/// A process. Clones are the same one.
#[derive(Clone)]
pub struct Process {
    disk: SimProcess,
    clock: SimClock,
    entropy: SeededEntropy,
    spawner: Spawner,
    sizes: durable::store::log::Sizes,
    sim: Note,
}

/// Where the process's life is told.
#[derive(Clone)]
struct Note(Arc<dyn Fn(&str) + Send + Sync>);

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Process({})", self.number())
    }
}

impl Process {
    pub(super) fn new(sim: &Sim) -> Process {
        let disk = sim.disk.process();
        let number = disk.id().0;
        let entropy = SeededEntropy::new(sim.rng().next_u64()).with_pid(100 + number);
        let note = Note(Arc::new(sim.executor.noter()));
        (note.0)(&format!("process {number} begins"));
        Process {
            clock: sim.clock.of_process(),
            entropy,
            spawner: sim.executor.begin(&disk),
            sizes: sim.setting.sizes,
            sim: note,
            disk,
        }
    }

    /// The same process, of another build of its program.
    #[must_use]
    pub fn of_build(self, build: &str) -> Process {
        Process { entropy: self.entropy.with_build_id(build), ..self }
    }

    /// Its number on the machine, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.disk.id().0
    }

    /// The disk as it sees it.
    #[must_use]
    pub fn disk(&self) -> &SimProcess {
        &self.disk
    }

    /// Its clock.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// The world that a runtime in this process is given.
    #[must_use]
    pub fn world(&self) -> World {
        let spawn = ProcessSpawn(self.spawner.clone());
        let seams = Seams {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(self.entropy.clone()),
            spawn: Arc::new(spawn),
        };
        let mut world = World::new(seams, Arc::new(self.disk.clone()));
        world.sizes = self.sizes;
        world
    }

    /// A runtime to be opened in this process, on the machine's one store.
    pub fn runtime(&self, registry: Registry) -> Builder {
        self.runtime_at(STORE, registry)
    }

    /// As [`runtime`](Self::runtime), on a store elsewhere.
    pub fn runtime_at(&self, dir: impl Into<PathBuf>, registry: Registry) -> Builder {
        Runtime::builder(dir).register(registry).world(self.world())
    }

    /// Runs a future as a part of this process, where it is awaited; none if the process dies first. The future is dropped then.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        let mut future = pin!(future);
        poll_fn(|context| match may_poll_of(&self.spawner) {
            May::Die => Poll::Ready(None),
            // It is woken when it may go on.
            May::Wait => Poll::Pending,
            May::Poll => match self.poll(future.as_mut(), context) {
                Poll::Ready(value) => Poll::Ready(Some(value)),
                Poll::Pending if self.is_dead() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            },
        })
        .await
    }

    fn poll<T>(&self, future: Pin<&mut impl Future<Output = T>>, context: &mut Context<'_>) -> Poll<T> {
        let _inside = Inside::of(self.number());
        future.poll(context)
    }

    /// Runs a task of this process beside the others.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.spawner.spawn(Box::pin(task));
    }

    /// Kills it now: what it has in memory is gone, what it has in flight on the disk ends as `in_flight` says, the page cache
    /// stays.
    pub fn kill(&self, in_flight: Unfinished) {
        if self.is_dead() {
            return;
        }
        (self.sim.0)(&format!("process {} is killed", self.number()));
        self.disk.crash(in_flight);
        self.bury();
    }

    /// The disk knows that it is dead; its tasks are dropped.
    pub(super) fn bury(&self) {
        self.spawner.die();
    }

    /// Kills it right before its poll of this number; how many it has done tells [`polls`](Self::polls).
    pub fn kill_at_poll(&self, poll: u64, in_flight: Unfinished) {
        let this = self.clone();
        self.before_poll(poll, move || this.kill(in_flight));
    }

    /// Lets something happen right before its poll of this number, counted from 1, with everything else standing still.
    pub fn before_poll(&self, poll: u64, deed: impl FnOnce() + Send + 'static) {
        self.spawner.before(poll, Box::new(deed));
    }

    /// Kills it when its disk has done so many operations for it; the next one ends as `unfinished` says.
    pub fn kill_at_operation(&self, after: u64, unfinished: Unfinished) {
        self.disk.crash_after(after, unfinished);
        if self.disk.is_dead() {
            self.bury();
        }
    }

    /// Stops it as `SIGSTOP` does: nothing of it moves, and it keeps its files and locks.
    pub fn stop(&self) {
        (self.sim.0)(&format!("process {} is stopped", self.number()));
        self.disk.stop();
        self.spawner.stop();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        (self.sim.0)(&format!("process {} goes on", self.number()));
        self.disk.resume();
        self.spawner.resume();
    }

    /// Whether it has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.spawner.is_dead() || self.disk.is_dead()
    }

    /// How many polls of its tasks there were.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.spawner.polls()
    }
}

/// Where the engine's tasks run in a simulated process: on the one thread, in the order that the simulation says.
#[derive(Clone)]
pub struct ProcessSpawn(Spawner);

impl fmt::Debug for ProcessSpawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessSpawn")
    }
}

impl Spawn for ProcessSpawn {
    fn task(&self, task: Task) {
        self.0.spawn(task);
    }

    fn blocking(&self, _name: &str, task: Task) {
        self.0.spawn(task);
    }

    fn pool(&self, work: Work) {
        self.0.spawn(Box::pin(async move { work() }));
    }

    /// Nothing moves while the one thread waits: the task goes on with the others.
    fn wait(&self, task: Task) {
        self.0.spawn(task);
    }
}
