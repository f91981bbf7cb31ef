//! Where the engine's tasks run in a test: on the one thread that polls them. The inline spawner takes the next ready
//! task in an order that a seed says; the tokio one leaves the order to a current-thread runtime. Neither starts a
//! thread, so a task given as blocking must not block.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use durable::seams::{Spawn, Task, Work};

use crate::rng::Rng;

/// The number of the future that `run` was given.
const ROOT: u64 = 0;

#[derive(Default)]
struct Queue {
    tasks: BTreeMap<u64, Task>,
    ready: Vec<u64>,
    last: u64,
    rng: Option<Rng>,
}

impl Queue {
    fn make_ready(&mut self, number: u64) {
        if !self.ready.contains(&number) {
            self.ready.push(number);
        }
    }

    fn next_ready(&mut self) -> Option<u64> {
        let ready = self.ready.len();
        let next = self.rng.as_mut().map_or(0, |rng| rng.index(ready));
        (ready > 0).then(|| self.ready.remove(next))
    }
}

struct TaskWaker {
    queue: Arc<Mutex<Queue>>,
    number: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).make_ready(self.number);
    }
}

/// Runs tasks on the thread that calls [`InlineSpawn::run`]. Clones share the tasks.
#[derive(Clone)]
pub struct InlineSpawn {
    queue: Arc<Mutex<Queue>>,
}

impl fmt::Debug for InlineSpawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|queue| write!(f, "InlineSpawn({} tasks, {} ready)", queue.tasks.len(), queue.ready.len()))
    }
}

impl InlineSpawn {
    /// Ready tasks are taken in the order that the seed says.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { queue: Arc::new(Mutex::new(Queue { rng: Some(Rng::new(seed)), ..Queue::default() })) }
    }

    /// Ready tasks are taken in the order in which they became ready.
    #[must_use]
    pub fn in_order() -> Self {
        Self { queue: Arc::default() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Queue) -> R) -> R {
        f(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn waker(&self, number: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker { queue: Arc::clone(&self.queue), number }))
    }

    /// Polls ready tasks until none is.
    pub fn run_until_idle(&self) {
        let _never_ready: Option<()> = self.run(std::future::pending(), || false);
    }

    /// Polls `future` and the tasks until it ends. When nothing is ready, `idle` moves the world on (a step of the
    /// disk, a step of the clock); if it says that it cannot, the answer is `None`: everything waits for ever.
    pub fn run<T>(&self, future: impl Future<Output = T>, mut idle: impl FnMut() -> bool) -> Option<T> {
        let mut future = pin!(future);
        self.with(|queue| queue.make_ready(ROOT));
        loop {
            match self.with(Queue::next_ready) {
                Some(ROOT) => {
                    if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&self.waker(ROOT))) {
                        return Some(value);
                    }
                }
                Some(number) => self.poll_task(number),
                None if idle() => {}
                None => return None,
            }
        }
    }

    fn poll_task(&self, number: u64) {
        let Some(mut task) = self.with(|queue| queue.tasks.remove(&number)) else { return };
        if task.as_mut().poll(&mut Context::from_waker(&self.waker(number))).is_pending() {
            self.with(|queue| queue.tasks.insert(number, task));
        }
    }

    /// Drops every task where it stands, as the death of a process does.
    pub fn drop_tasks(&self) {
        let dropped = self.with(|queue| std::mem::take(&mut queue.tasks));
        drop(dropped);
    }
}

impl Spawn for InlineSpawn {
    fn task(&self, task: Task) {
        self.with(|queue| {
            queue.last += 1;
            let number = queue.last;
            queue.tasks.insert(number, task);
            queue.make_ready(number);
        });
    }

    fn blocking(&self, _name: &str, task: Task) {
        self.task(task);
    }

    /// Inline: the work does not wait for anything of this thread.
    fn pool(&self, work: Work) {
        self.task(Box::pin(async move { work() }));
    }

    /// Nothing moves while the one thread waits: the task goes on with the others.
    fn wait(&self, task: Task) {
        self.task(task);
    }
}

/// Runs tasks on the tokio runtime in which it is called; made for a current-thread one.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioSpawn;

impl Spawn for TokioSpawn {
    fn task(&self, task: Task) {
        drop(tokio::task::spawn(task));
    }

    fn blocking(&self, _name: &str, task: Task) {
        drop(tokio::task::spawn(task));
    }

    /// Inline: the work does not wait for anything of this thread.
    fn pool(&self, work: Work) {
        self.task(Box::pin(async move { work() }));
    }

    /// Nothing moves while the one thread waits: the task goes on with the others.
    fn wait(&self, task: Task) {
        self.task(task);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SimDisk;
    use durable::store::disk::Disk;

    #[test]
    fn a_seed_says_the_order_of_tasks_and_of_the_disk() {
        let order_of = |seed| {
            let (spawn, disk) = (InlineSpawn::seeded(seed), SimDisk::scheduled(seed));
            let order = Arc::new(Mutex::new(Vec::new()));
            for name in 0..6 {
                let (disk, order) = (disk.clone(), Arc::clone(&order));
                spawn.task(Box::pin(async move {
                    disk.open_dir(format!("/{name}").into(), true).await.unwrap();
                    order.lock().unwrap().push(name);
                }));
            }
            spawn.run(std::future::pending::<()>(), || disk.step());
            Arc::try_unwrap(order).unwrap().into_inner().unwrap()
        };
        assert_eq!(order_of(1), order_of(1));
        assert!((2..10).any(|seed| order_of(seed) != order_of(1)));
        assert_eq!(order_of(5).len(), 6);
    }

    #[test]
    fn a_task_may_spawn_and_wait_and_a_stall_is_told() {
        let spawn = InlineSpawn::in_order();
        let (send, receive) = tokio::sync::oneshot::channel();
        let inner = spawn.clone();
        spawn.task(Box::pin(async move {
            inner.task(Box::pin(async move {
                send.send(7).unwrap();
            }));
        }));
        assert_eq!(spawn.run(receive, || false), Some(Ok(7)));
        assert_eq!(spawn.run(std::future::pending::<()>(), || false), None);
    }

    #[tokio::test]
    async fn the_tokio_spawner_runs_on_the_current_runtime() {
        let (send, receive) = tokio::sync::oneshot::channel();
        TokioSpawn.blocking("writer", Box::pin(async move { send.send(()).unwrap() }));
        receive.await.unwrap();
    }
}
