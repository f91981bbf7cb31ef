//! The tasks of one process of the shop, counted poll by poll. What is planned for a poll happens right before it, with all other
//! tasks standing still; of a process that died no task is polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use durable::seams::{Spawn, Task, Work};
use durable_testkit::{InlineSpawn, SimProcess};

/// Something that is to happen.
type Deed = Box<dyn FnOnce() + Send>;

/// Sees the number of each poll that is about to be.
type Watch = Arc<dyn Fn(u64) + Send + Sync>;

/// Runs tasks, and counts their polls. Clones are the same tasks.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    pub(super) tasks: InlineSpawn,
    process: SimProcess,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    polls: u64,
    deeds: Vec<(u64, Deed)>,
    watch: Option<Watch>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plan(poll {})", self.polls)
    }
}

impl Steps {
    /// Ready tasks are polled in the order in which they became ready, or as the seed says.
    pub(super) fn of(process: SimProcess, seed: Option<u64>) -> Steps {
        let tasks = seed.map_or_else(InlineSpawn::in_order, InlineSpawn::seeded);
        Steps { tasks, process, plan: Arc::default() }
    }

    /// Plans something for right before this poll, counted from 1.
    pub(super) fn before(&self, poll: u64, deed: impl FnOnce() + Send + 'static) {
        self.with(|plan| plan.deeds.push((poll, Box::new(deed))));
    }

    /// Lets someone look at the world before each poll.
    pub(super) fn watch(&self, watch: impl Fn(u64) + Send + Sync + 'static) {
        self.with(|plan| plan.watch = Some(Arc::new(watch)));
    }

    /// How many polls there were.
    pub(super) fn polls(&self) -> u64 {
        self.with(|plan| plan.polls)
    }

    fn with<R>(&self, f: impl FnOnce(&mut Plan) -> R) -> R {
        f(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn step(&self) {
        let (at, due, watch) = self.with(|plan| {
            plan.polls += 1;
            let at = plan.polls;
            let due: Vec<_> = plan.deeds.extract_if(.., |(poll, _)| *poll == at).map(|(_, deed)| deed).collect();
            (at, due, plan.watch.clone())
        });
        if let Some(watch) = watch {
            watch(at);
        }
        due.into_iter().for_each(|deed| deed());
    }
}

impl Spawn for Steps {
    fn task(&self, task: Task) {
        self.tasks.task(Box::pin(Counted { task, steps: self.clone() }));
    }

    fn blocking(&self, _name: &str, task: Task) {
        self.task(task);
    }

    fn pool(&self, work: Work) {
        self.task(Box::pin(async move { work() }));
    }

    fn wait(&self, task: Task) {
        self.task(task);
    }
}

struct Counted {
    task: Task,
    steps: Steps,
}

impl Future for Counted {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.steps.step();
        if self.steps.process.is_dead() {
            return Poll::Pending;
        }
        self.task.as_mut().poll(context)
    }
}
