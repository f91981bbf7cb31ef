//! What polls everything in a simulation: the play itself, the tasks of the processes, and the operations of the disk, one at a
//! time, in an order that a seed says. When nothing can move it gives the thread back, and tokio's paused clock goes to the next
//! deadline. It knows nothing of what a task does.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use durable::seams::Task;
use tokio::time::{Instant, Sleep, sleep};

use super::trace::Trace;
use super::{Order, Setting, Stalled, Step};
use crate::disk::{SimDisk, SimProcess};
use crate::rng::Rng;

/// How a panic begins that says that tasks are polled and no time passes.
pub(crate) const LIVELOCK: &str = "a livelock";

/// How a panic begins that says that there were more polls than there may be.
pub(crate) const NO_END: &str = "it goes on for ever";

/// The number of the play among the tasks.
const PLAY: u64 = 0;

/// The owner of tasks that belong to no process.
pub(super) const NOBODY: u32 = u32::MAX;

thread_local! {
    /// Whose task is polled on this thread.
    static CURRENT: Cell<u32> = const { Cell::new(NOBODY) };
}

/// The number of the process whose code runs here; none outside of one.
#[must_use]
pub fn current_process() -> Option<u32> {
    Some(CURRENT.get()).filter(|process| *process != NOBODY)
}

/// While this lives, what runs on this thread belongs to a process.
pub(super) struct Inside(u32);

impl Inside {
    pub(super) fn of(process: u32) -> Inside {
        Inside(CURRENT.replace(process))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Something that is to happen before a poll.
pub(super) type Deed = Box<dyn FnOnce() + Send>;

pub(super) struct Executor {
    queue: Arc<Mutex<Queue>>,
    polls_at_once_max: u64,
    polls_max: u64,
    lag: Lag,
    begin: Instant,
}

/// How a disk lets time pass.
#[derive(Debug, Clone, Copy)]
struct Lag {
    percent: u64,
    most: Duration,
}

struct Queue {
    tasks: BTreeMap<u64, Owned>,
    ready: Vec<u64>,
    last: u64,
    order: Order,
    rng: Rng,
    processes: BTreeMap<u32, Life>,
    stopped: BTreeSet<u32>,
    /// Rung when a task becomes ready while the thread is given back.
    outer: Option<Waker>,
    waiting_for_idle: Vec<Waker>,
    /// How often those who wait for it were told that nothing moves.
    idle: u64,
    polls: u64,
    trace: Trace,
    watcher: Option<Watcher>,
    /// Who is told when there were so many polls.
    alarm: Option<(u64, Waker)>,
}

/// What is told of every step.
pub(super) type Watcher = Arc<Mutex<dyn FnMut(Step) + Send>>;

struct Owned {
    process: u32,
    task: Option<Task>,
    waker: Waker,
}

/// What is known of a process.
#[derive(Default)]
struct Life {
    is_dead: bool,
    polls: u64,
    deeds: Vec<(u64, Deed)>,
    /// An operation of it may be its last one.
    disk: Option<SimProcess>,
}

/// What may be done with a process's task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum May {
    Poll,
    /// It is stopped: later.
    Wait,
    /// It is dead: never.
    Die,
}

/// What comes next.
enum Next {
    Poll(u64),
    Disk,
    Nothing,
}

impl Queue {
    fn make_ready(&mut self, number: u64) -> Option<Waker> {
        if !self.ready.contains(&number) {
            self.ready.push(number);
        }
        self.outer.take()
    }

    fn may_go_on(&self, number: u64) -> bool {
        let owner = self.tasks.get(&number).map(|owned| owned.process);
        owner.is_none_or(|process| !self.stopped.contains(&process))
    }

    fn next(&mut self, in_flight: usize) -> Next {
        let ready = if self.stopped.is_empty() {
            self.ready.len()
        } else {
            let (go, wait) = std::mem::take(&mut self.ready).into_iter().partition(|number| self.may_go_on(*number));
            let go: Vec<u64> = go;
            let count = go.len();
            self.ready = go.into_iter().chain::<Vec<u64>>(wait).collect();
            count
        };
        match (self.order, ready, in_flight) {
            (_, 0, 0) => Next::Nothing,
            (_, 0, _) => Next::Disk,
            (Order::AsTheyCome, ..) => Next::Poll(self.ready.remove(0)),
            (Order::Seeded, ready, in_flight) if in_flight > 0 && self.rng.index(ready + 1) == ready => Next::Disk,
            (Order::Seeded, 1, _) => Next::Poll(self.ready.remove(0)),
            (Order::Seeded, ready, _) => {
                let chosen = self.rng.index(ready);
                Next::Poll(self.ready.remove(chosen))
            }
        }
    }
}

struct TaskWaker {
    queue: Arc<Mutex<Queue>>,
    number: u64,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let outer = lock(&self.queue).make_ready(self.number);
        outer.into_iter().for_each(Waker::wake);
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = lock(&self.queue);
        write!(f, "Executor({} tasks, {} ready)", queue.tasks.len(), queue.ready.len())
    }
}

impl Executor {
    pub(super) fn new(setting: &Setting, rng: Rng) -> Executor {
        let queue = Queue {
            tasks: BTreeMap::new(),
            ready: Vec::new(),
            last: PLAY,
            order: setting.order,
            rng,
            processes: BTreeMap::new(),
            stopped: BTreeSet::new(),
            outer: None,
            waiting_for_idle: Vec::new(),
            idle: 0,
            polls: 0,
            trace: Trace::new(setting.words),
            watcher: None,
            alarm: None,
        };
        Executor {
            queue: Arc::new(Mutex::new(queue)),
            polls_at_once_max: setting.polls_at_once_max,
            polls_max: setting.polls_max,
            lag: Lag { percent: setting.lag_percent, most: setting.lag_max },
            begin: Instant::now(),
        }
    }

    fn waker(queue: &Arc<Mutex<Queue>>, number: u64) -> Waker {
        Waker::from(Arc::new(TaskWaker { queue: Arc::clone(queue), number }))
    }

    /// Where the tasks of a process that begins go.
    pub(super) fn begin(&self, disk: &SimProcess) -> Spawner {
        let process = disk.id().0;
        lock(&self.queue).processes.entry(process).or_default().disk = Some(disk.clone());
        self.spawner(process)
    }

    pub(super) fn spawner(&self, process: u32) -> Spawner {
        Spawner { queue: Arc::clone(&self.queue), process }
    }

    pub(super) fn trace(&self) -> Trace {
        lock(&self.queue).trace.clone()
    }

    pub(super) fn polls(&self) -> u64 {
        lock(&self.queue).polls
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        let at = self.begin.elapsed();
        lock(&self.queue).trace.say(|| format!("{} {}", Shown(at), line()));
    }

    /// What adds a line to the trace, wherever it is held.
    pub(super) fn noter(&self) -> impl Fn(&str) + Send + Sync + use<> {
        let (queue, begin) = (Arc::clone(&self.queue), self.begin);
        move |line| lock(&queue).trace.say(|| format!("{} {line}", Shown(begin.elapsed())))
    }

    /// Polls `play` and the tasks, and does what waits on the disk, until `play` ends.
    pub(super) async fn drive<T>(
        &self,
        play: impl Future<Output = T>,
        disk: &SimDisk,
        time_max: Duration,
    ) -> Result<T, Stalled> {
        let mut round = Round::new(self, time_max);
        let mut play = pin!(play);
        let waker = Executor::waker(&self.queue, PLAY);
        drop(lock(&self.queue).make_ready(PLAY));
        let driving = poll_fn(|context| {
            round.begin(context);
            loop {
                match round.next(disk, context) {
                    Some(PLAY) => {
                        if let Poll::Ready(value) = play.as_mut().poll(&mut Context::from_waker(&waker)) {
                            return Poll::Ready(Ok(value));
                        }
                    }
                    Some(number) => self.poll_task(number),
                    None if self.tell_who_waits_for_idle() => {}
                    None => return round.time_is_over(context),
                }
            }
        });
        // Nothing here may be put off because much was polled: only the seed says what comes when.
        tokio::task::unconstrained(driving).await
    }

    pub(super) fn watch(&self, watcher: Watcher) {
        lock(&self.queue).watcher = Some(watcher);
    }

    fn poll_task(&self, number: u64) {
        let Some((process, mut task, waker)) = self.take(number) else { return };
        match may_poll(&self.queue, process) {
            May::Die => return,
            May::Wait => return self.put_back(number, task),
            May::Poll => {}
        }
        let polled = {
            let _inside = Inside::of(process);
            task.as_mut().poll(&mut Context::from_waker(&waker))
        };
        if polled.is_pending() {
            self.put_back(number, task);
        } else {
            lock(&self.queue).tasks.remove(&number);
        }
    }

    fn take(&self, number: u64) -> Option<(u32, Task, Waker)> {
        let mut queue = lock(&self.queue);
        let owned = queue.tasks.get_mut(&number)?;
        Some((owned.process, owned.task.take()?, owned.waker.clone()))
    }

    /// Keeps a task for its next poll, unless its process has died in this one.
    fn put_back(&self, number: u64, task: Task) {
        let mut queue = lock(&self.queue);
        if let Some(owned) = queue.tasks.get_mut(&number) {
            owned.task = Some(task);
        } else {
            drop(queue);
            drop(task);
        }
    }

    /// Of a process that died in an operation nothing is polled any more.
    fn bury_the_dead(&self) {
        let died: Vec<u32> = {
            let queue = lock(&self.queue);
            let lives = queue.processes.iter().filter(|(_, life)| !life.is_dead);
            lives
                .filter(|(_, life)| life.disk.as_ref().is_some_and(SimProcess::is_dead))
                .map(|(number, _)| *number)
                .collect()
        };
        died.into_iter().for_each(|process| self.spawner(process).die());
    }

    fn tell_who_waits_for_idle(&self) -> bool {
        let mut queue = lock(&self.queue);
        let waiting = std::mem::take(&mut queue.waiting_for_idle);
        let has_waiting = !waiting.is_empty();
        queue.idle += u64::from(has_waiting);
        drop(queue);
        waiting.into_iter().for_each(Waker::wake);
        has_waiting
    }

    /// Ready when nothing can move without time passing.
    pub(super) async fn idle(&self) {
        let mut since = None;
        poll_fn(|context| {
            let mut queue = lock(&self.queue);
            // Whoever waits may be polled for another reason.
            if *since.get_or_insert(queue.idle) != queue.idle {
                return Poll::Ready(());
            }
            queue.waiting_for_idle.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Ready when there were so many polls. One waits for that at a time.
    pub(super) async fn after_polls(&self, polls: u64) {
        poll_fn(|context| {
            let mut queue = lock(&self.queue);
            if queue.polls >= polls {
                return Poll::Ready(());
            }
            queue.alarm = Some((polls, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }

    pub(super) fn drop_all(&self) {
        let tasks = std::mem::take(&mut lock(&self.queue).tasks);
        drop(tasks);
    }
}

/// Counts a poll of a process, after what was planned for right before it.
pub(super) fn may_poll_of(spawner: &Spawner) -> May {
    may_poll(&spawner.queue, spawner.process)
}

fn may_poll(queue: &Mutex<Queue>, process: u32) -> May {
    if process == NOBODY {
        return May::Poll;
    }
    let due: Vec<Deed> = {
        let mut queue = lock(queue);
        if queue.stopped.contains(&process) {
            return May::Wait;
        }
        let life = queue.processes.entry(process).or_default();
        if life.is_dead {
            return May::Die;
        }
        life.polls += 1;
        let at = life.polls;
        life.deeds.extract_if(.., |(poll, _)| *poll == at).map(|(_, deed)| deed).collect()
    };
    tell(queue, Step::Poll { process });
    due.into_iter().for_each(|deed| deed());
    let queue = lock(queue);
    match queue.processes.get(&process) {
        Some(life) if life.is_dead => May::Die,
        _ if queue.stopped.contains(&process) => May::Wait,
        _ => May::Poll,
    }
}

fn tell(queue: &Mutex<Queue>, step: Step) {
    let watcher = lock(queue).watcher.clone();
    if let Some(watcher) = watcher {
        watcher.lock().unwrap_or_else(PoisonError::into_inner)(step);
    }
}

/// What one call of `drive` keeps between its polls.
struct Round<'a> {
    executor: &'a Executor,
    limit: Pin<Box<Sleep>>,
    lag: Option<Pin<Box<Sleep>>>,
    at: Duration,
    moved_at: Duration,
    polls_at_once: u64,
}

impl<'a> Round<'a> {
    fn new(executor: &'a Executor, time_max: Duration) -> Round<'a> {
        let limit = Box::pin(sleep(time_max));
        Round { executor, limit, lag: None, at: Duration::ZERO, moved_at: Duration::ZERO, polls_at_once: 0 }
    }

    /// The thread is given to the simulation: time may have passed.
    fn begin(&mut self, context: &Context<'_>) {
        let at = self.executor.begin.elapsed();
        let mut queue = lock(&self.executor.queue);
        queue.outer = Some(context.waker().clone());
        if at != self.at {
            self.at = at;
            self.polls_at_once = 0;
            queue.trace.add([3, at.as_micros() as u64, 0]);
        }
    }

    /// The task that is polled next; what is done on the disk before that is done here.
    fn next(&mut self, disk: &SimDisk, context: &mut Context<'_>) -> Option<u64> {
        loop {
            let next = lock(&self.executor.queue).next(disk.in_flight());
            match next {
                Next::Poll(number) => return Some(self.polls(number)),
                Next::Disk if !self.lags(context) && self.steps(disk) => {}
                // The disk takes its time, or what is in flight belongs to processes that are stopped: tasks go on.
                Next::Disk | Next::Nothing => return self.next_task(),
            }
        }
    }

    fn next_task(&mut self) -> Option<u64> {
        let next = lock(&self.executor.queue).next(0);
        match next {
            Next::Poll(number) => Some(self.polls(number)),
            Next::Disk | Next::Nothing => None,
        }
    }

    fn polls(&mut self, number: u64) -> u64 {
        self.moved_at = self.at;
        self.polls_at_once += 1;
        assert!(
            self.polls_at_once <= self.executor.polls_at_once_max,
            "{LIVELOCK}: {} polls, and no time passes",
            self.polls_at_once
        );
        let mut queue = lock(&self.executor.queue);
        queue.polls += 1;
        assert!(queue.polls <= self.executor.polls_max, "{NO_END}: {} polls until {:?}", queue.polls, self.at);
        if queue.alarm.as_ref().is_some_and(|(polls, _)| queue.polls >= *polls) {
            let alarm = queue.alarm.take();
            drop(queue);
            alarm.into_iter().for_each(|(_, waker)| waker.wake());
            queue = lock(&self.executor.queue);
        }
        let process = queue.tasks.get(&number).map_or(NOBODY, |owned| owned.process);
        queue.trace.add([1, number, process.into()]);
        queue.trace.say(|| match (number, process) {
            (PLAY, _) => format!("{} the play", Shown(self.at)),
            (_, NOBODY) => format!("{} task {number}", Shown(self.at)),
            _ => format!("{} process {process}, task {number}", Shown(self.at)),
        });
        number
    }

    /// Whether the disk lets time pass before it goes on.
    fn lags(&mut self, context: &mut Context<'_>) -> bool {
        let Lag { percent, most } = self.executor.lag;
        if let Some(lag) = &mut self.lag {
            if lag.as_mut().poll(context).is_pending() {
                return true;
            }
            self.lag = None;
            return false;
        }
        if percent == 0 {
            return false;
        }
        let mut queue = lock(&self.executor.queue);
        if !queue.ready.is_empty() || !queue.rng.percent(percent) {
            return false;
        }
        // Some pauses are long, most are short.
        let most = most.as_millis() as u64;
        let most = if queue.rng.percent(90) { most.min(100) } else { most };
        let pause = Duration::from_millis(queue.rng.below(most + 1));
        drop(queue);
        let mut lag = Box::pin(sleep(pause));
        let waits = lag.as_mut().poll(context).is_pending();
        self.lag = waits.then_some(lag);
        waits
    }

    fn steps(&mut self, disk: &SimDisk) -> bool {
        if !disk.step() {
            return false;
        }
        self.moved_at = self.at;
        self.executor.bury_the_dead();
        tell(&self.executor.queue, Step::Operation);
        let mut queue = lock(&self.executor.queue);
        queue.trace.add([2, disk.performed(), disk.told()]);
        queue.trace.say(|| match disk.newest() {
            Some(line) => format!("{} disk: {line}", Shown(self.at)),
            None => format!("{} disk", Shown(self.at)),
        });
        true
    }

    /// Nothing moves now: either time passes, or it is over.
    fn time_is_over<T>(&mut self, context: &mut Context<'_>) -> Poll<Result<T, Stalled>> {
        self.limit.as_mut().poll(context).map(|()| Err(Stalled { since: self.moved_at }))
    }
}

/// A moment of a simulation, in seconds.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0.as_secs(), self.0.subsec_micros())
    }
}

/// Where one process's tasks go.
#[derive(Clone)]
pub(super) struct Spawner {
    queue: Arc<Mutex<Queue>>,
    process: u32,
}

impl Spawner {
    pub(super) fn spawn(&self, task: Task) {
        let mut queue = lock(&self.queue);
        if self.process != NOBODY && queue.processes.entry(self.process).or_default().is_dead {
            drop(queue);
            return drop(task);
        }
        queue.last += 1;
        let number = queue.last;
        let waker = Executor::waker(&self.queue, number);
        queue.tasks.insert(number, Owned { process: self.process, task: Some(task), waker });
        let outer = queue.make_ready(number);
        drop(queue);
        outer.into_iter().for_each(Waker::wake);
    }

    /// The process dies: its tasks are dropped where they stand.
    pub(super) fn die(&self) {
        let mut queue = lock(&self.queue);
        let process = self.process;
        queue.processes.entry(process).or_default().is_dead = true;
        queue.stopped.remove(&process);
        let its: Vec<u64> =
            queue.tasks.iter().filter(|(_, owned)| owned.process == process).map(|(number, _)| *number).collect();
        let dropped: Vec<Option<Owned>> = its.iter().map(|number| queue.tasks.remove(number)).collect();
        let outer = queue.make_ready(PLAY);
        drop(queue);
        drop(dropped);
        outer.into_iter().for_each(Waker::wake);
    }

    pub(super) fn stop(&self) {
        lock(&self.queue).stopped.insert(self.process);
    }

    pub(super) fn resume(&self) {
        let mut queue = lock(&self.queue);
        queue.stopped.remove(&self.process);
        let outer = queue.make_ready(PLAY);
        drop(queue);
        outer.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_dead(&self) -> bool {
        lock(&self.queue).processes.get(&self.process).is_some_and(|life| life.is_dead)
    }

    pub(super) fn polls(&self) -> u64 {
        lock(&self.queue).processes.get(&self.process).map_or(0, |life| life.polls)
    }

    pub(super) fn before(&self, poll: u64, deed: Deed) {
        lock(&self.queue).processes.entry(self.process).or_default().deeds.push((poll, deed));
    }
}
