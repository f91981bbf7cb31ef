//! The threads of an engine in the real world. Each `durable-driver` polls a driver, `durable-log` the writer of the log, so that one works
//! while the other waits for the disk. Where there is nothing to do meanwhile another thread only costs: a wake-up there and one back are
//! a third of a sync. So a driver's thread writes by itself when it has run out of work, and hands over to the log's thread when it has not.
//!
//! For the same reason it polls other drivers along whose polls are short, when what it wrote rings them: their threads sleep on, and look
//! every [`LOOKS_EVERY`] whether that is done. Drivers that have much to do are polled each by its own thread.
//!
//! A tokio runtime of one thread has the drivers as tasks, and the log's thread beside it.
//!
//! Which thread polls decides nothing but time: the drivers and the writer are futures that know nothing of it, and a simulator polls them in
//! any order.
//!
//! What keeps a wake-up from being lost: whoever has something for a thread stores that first and then looks whether the thread may sleep;
//! a thread says first that it may and then looks for something once more. Both are in one total order (`SeqCst`).

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Builder, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, unconstrained};

use super::real::block_on;
use crate::seams::Task;

/// A disk that took longer the last time is waited for by the log's thread: a driver that is blocked answers nobody.
const HELPS_BELOW: Duration = Duration::from_millis(1);

/// Drivers whose last polls took no longer, all others together, are polled along. It is about the time of a sync: by two threads they would
/// be done sooner by the half of that at most, which waking one and waiting for what it appends takes away.
const POLLS_ALONG_BELOW: Duration = Duration::from_micros(250);

/// How often a thread looks whether its driver is polled, while that is left to another, who may compute for longer than it ever did.
const LOOKS_EVERY: Duration = Duration::from_millis(2);

thread_local! {
    /// The engine of whose drivers this thread polls one, and which. None while it is blocked: it comes to nothing else then.
    static DRIVES: RefCell<(Weak<Engine>, usize)> = const { RefCell::new((Weak::new(), 0)) };

    /// What this thread is polling.
    static POLLS: Cell<*const Seat> = const { Cell::new(ptr::null()) };
}

/// A future, and the thread whose it is.
struct Seat {
    /// None when it is done or was dropped. Who only wants to know something of it does not lock it: whoever is to poll it meanwhile would
    /// leave that to someone who does not.
    task: Mutex<Option<Task>>,
    is_done: AtomicBool,
    /// Whether it is being polled.
    is_polled: AtomicBool,
    /// How often it was polled.
    polls: AtomicU64,
    /// How long its last polls took, in nanoseconds: the last one, or half of this before it.
    nanos: AtomicU64,
    /// Whether it is to be polled, ..
    rang: AtomicBool,
    /// .. and whether its own thread is to see to that.
    is_called: AtomicBool,
    thread: OnceLock<Thread>,
}

/// What a poll came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Polled {
    /// It waits.
    Waits,
    /// It is done, now or since before.
    Done,
    /// Another thread polls it.
    Elsewhere,
}

/// What the driver's thread did for the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Helped {
    /// What there was; or there was nothing.
    Wrote,
    /// The log's thread does it.
    LeftToOther,
}

impl Seat {
    fn new(task: Task) -> Seat {
        Seat {
            task: Mutex::new(Some(task)),
            is_done: AtomicBool::new(false),
            is_polled: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            nanos: AtomicU64::new(0),
            rang: AtomicBool::new(true),
            is_called: AtomicBool::new(false),
            thread: OnceLock::new(),
        }
    }

    /// Polls the future, unless another thread is doing that.
    fn poll(&self, waker: &Waker) -> Polled {
        let mut seated = match self.task.try_lock() {
            Ok(seated) => seated,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Polled::Elsewhere,
        };
        if seated.is_none() {
            return Polled::Done;
        }
        let polled = self.timed(|| self.poll_seated(&mut seated, waker));
        if polled == Polled::Done {
            self.end();
        }
        polled
    }

    fn poll_seated(&self, seated: &mut Option<Task>, waker: &Waker) -> Polled {
        // A swap: what whoever rang has stored is seen by this poll.
        self.rang.swap(false, SeqCst);
        let Some(task) = seated else { return Polled::Done };
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut Context::from_waker(waker))));
        if let Ok(Poll::Pending) = polled {
            return Polled::Waits;
        }
        // It may say by its drop that it is gone; a second panic ends here too.
        let task = seated.take();
        let _dropped = catch_unwind(AssertUnwindSafe(|| drop(task)));
        self.is_done.store(true, SeqCst);
        Polled::Done
    }

    /// Says that it is polled for as long as it is, and how long that took.
    fn timed(&self, poll: impl FnOnce() -> Polled) -> Polled {
        self.polls.fetch_add(1, SeqCst);
        self.is_polled.store(true, SeqCst);
        let outer = POLLS.replace(self);
        let begin = Instant::now();
        let polled = poll();
        let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // A poll that found nothing to do says little of the next.
        self.nanos.store(nanos.max(self.nanos.load(SeqCst) / 2), SeqCst);
        POLLS.set(outer);
        self.is_polled.store(false, SeqCst);
        polled
    }

    /// Takes the future away, when whoever polls it has come to a stop.
    fn take(&self) -> Option<Task> {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.is_done.store(true, SeqCst);
        task
    }

    /// Drops the future where it stands.
    fn clear(&self) {
        let task = self.take();
        let _dropped = catch_unwind(AssertUnwindSafe(|| drop(task)));
        self.end();
    }

    /// The future is gone: whose it is may sleep.
    fn end(&self) {
        self.is_done.store(true, SeqCst);
        self.rang.store(true, SeqCst);
        self.wake();
    }

    fn is_done(&self) -> bool {
        self.is_done.load(SeqCst)
    }

    fn is_being_polled(&self) -> bool {
        self.is_polled.load(SeqCst)
    }

    /// Whether it is being polled further up on this very stack.
    fn is_polled_here(&self) -> bool {
        ptr::eq(POLLS.get(), self)
    }

    /// Whether it is to be polled, and nobody does.
    fn wants_poll(&self) -> bool {
        self.rang.load(SeqCst) && !self.is_being_polled() && !self.is_done()
    }

    fn last_took(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(SeqCst))
    }

    fn is_on_its_thread(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == std::thread::current().id())
    }

    /// Its own thread is to look after it.
    fn wake(&self) {
        self.is_called.store(true, SeqCst);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

struct Engine {
    drivers: Vec<Driver>,
    /// A poll of it is a write and a sync as a rule.
    writer: Seat,
}

struct Driver {
    seat: Seat,
    /// Whether its thread will look at the writer before it sleeps.
    is_busy: AtomicBool,
    /// Whether its thread sleeps for no longer than [`LOOKS_EVERY`].
    is_watched: AtomicBool,
    /// Whether its thread stands in for the one that is stuck in a poll of it.
    stands_in: AtomicBool,
    /// Whether the tokio runtime has gone while it was the driver that ended it.
    is_over: AtomicBool,
}

impl Driver {
    fn new(task: Task) -> Driver {
        let no = || AtomicBool::new(false);
        let (is_busy, is_watched, stands_in, is_over) = (AtomicBool::new(true), no(), no(), no());
        Driver { seat: Seat::new(task), is_busy, is_watched, stands_in, is_over }
    }

    /// Whether nothing of it is polled any more.
    fn is_gone(&self) -> bool {
        self.is_over.load(SeqCst) || self.seat.is_done()
    }

    fn poll(&self, waker: &Waker) -> Polled {
        let polled = self.seat.poll(waker);
        if polled == Polled::Waits && self.is_over.load(SeqCst) {
            self.seat.clear();
        }
        polled
    }
}

/// Wakes a driver.
struct DriverBell(Arc<Engine>, usize);

impl Wake for DriverBell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let DriverBell(engine, number) = &**self;
        let driver = &engine.drivers[*number];
        driver.seat.rang.store(true, SeqCst);
        if !driver.seat.is_on_its_thread() && !engine.is_left_to_this_thread(driver) {
            driver.seat.wake();
        }
        engine.call_who_stands_in();
    }
}

/// Wakes the writer. A driver's thread comes to it by itself, and the log's looks again before it sleeps.
struct WriterBell(Arc<Engine>);

impl Wake for WriterBell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Engine { drivers, writer, .. } = &*self.0;
        writer.rang.store(true, SeqCst);
        if !writer.is_on_its_thread() && !drivers.iter().any(|driver| driver.seat.is_on_its_thread()) {
            writer.wake();
        }
    }
}

/// Runs them all, inside the tokio runtime that `handle` is of. They end when they are done; the drivers are dropped when that runtime goes, as
/// its tasks would be.
pub(super) fn start(handle: &Handle, writer: Task, drivers: Vec<Task>) {
    let engine = Engine::new(writer, drivers);
    let bells = Engine::bells(&engine);
    let writing = Arc::clone(&engine);
    if !is_started("durable-log", handle, move |_| writing.write()) {
        // Dropped, it tells the drivers that the store stands still.
        engine.writer.clear();
    }
    // All of them before the first poll: another's thread may poll a driver before its own is there.
    let watches: Vec<_> =
        (0..engine.drivers.len()).map(|number| Engine::watch_runtime(&engine, number, handle)).collect();
    for ((number, driver), watch) in engine.drivers.iter().enumerate().zip(watches) {
        let (driving, bells, ends) = (Arc::clone(&engine), Arc::clone(&bells), watch.clone());
        let work = move |inside: &Handle| {
            driving.drive(number, &bells, inside);
            ends.abort();
        };
        if !is_started("durable-driver", handle, work) {
            watch.abort();
            driver.is_busy.store(false, SeqCst);
            engine.writer.wake();
            let task = driver.seat.take();
            driver.seat.rang.store(false, SeqCst);
            task.into_iter().for_each(|task| drop(handle.spawn(task)));
        }
    }
}

/// Blocks this thread until a future is done. If a driver's thread is blocked so, by what a workflow or an activity does, it does not come
/// to its writer or to other drivers, which the future may wait for: their own threads do not count on it meanwhile.
pub(super) fn wait(task: Task) {
    let drives = DRIVES.try_with(RefCell::take).unwrap_or_default();
    if let Some(engine) = drives.0.upgrade() {
        engine.drivers[drives.1].is_busy.store(false, SeqCst);
        engine.writer.wake();
        let are_left = engine.drivers.iter().filter(|driver| driver.seat.wants_poll() || driver.seat.is_polled_here());
        are_left.for_each(|driver| driver.seat.wake());
    }
    block_on(task);
    if let Some(engine) = drives.0.upgrade() {
        engine.drivers[drives.1].is_busy.store(true, SeqCst);
        DRIVES.set(drives);
    }
}

/// Starts a thread inside the tokio runtime; gives whether it could be started, and says so if not.
pub(super) fn is_started(name: &str, handle: &Handle, work: impl FnOnce(&Handle) + Send + 'static) -> bool {
    let handle = handle.clone();
    let started = Builder::new().name(name.to_owned()).spawn(move || {
        // The clock's sleeps are tokio's, and what activities do may be.
        let _inside = handle.enter();
        work(&handle);
    });
    started.inspect_err(|error| tracing::error!(%error, name, "a thread could not be started [E0315]")).is_ok()
}

/// Does both at once, on this thread and on one of its own; on this one alone if no other can be started.
pub(super) fn both(one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
    let one = Mutex::new(Some(one));
    let do_one = || {
        let taken = one.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.into_iter().for_each(|one| one());
    };
    std::thread::scope(|scope| {
        let started = Builder::new().name("durable-half".to_owned()).spawn_scoped(scope, do_one);
        other();
        if started.is_err() {
            do_one();
        }
    });
}

impl Engine {
    fn new(writer: Task, drivers: Vec<Task>) -> Arc<Engine> {
        Arc::new(Engine { drivers: drivers.into_iter().map(Driver::new).collect(), writer: Seat::new(writer) })
    }

    /// What wakes each driver: the same, whichever thread polls it.
    fn bells(engine: &Arc<Engine>) -> Arc<[Waker]> {
        let bell = |number| Waker::from(Arc::new(DriverBell(Arc::clone(engine), number)));
        (0..engine.drivers.len()).map(bell).collect()
    }

    /// Tells a driver when the tokio runtime goes.
    fn watch_runtime(engine: &Arc<Engine>, number: usize, handle: &Handle) -> AbortHandle {
        let gone = Gone(Arc::clone(engine), number);
        let watch = handle.spawn(async move {
            let _gone = gone;
            pending::<()>().await;
        });
        watch.abort_handle()
    }

    /// A driver's thread.
    fn drive(self: &Arc<Self>, number: usize, bells: &[Waker], handle: &Handle) {
        // Whoever blocks in a workflow or in an activity's first poll is told that he must not, as on any thread of tokio's.
        handle.block_on(unconstrained(async { self.take_turns(number, bells) }));
    }

    /// Polls a driver until it is done or the tokio runtime goes, others along, and the writer when all of them wait.
    fn take_turns(self: &Arc<Self>, number: usize, bells: &[Waker]) {
        let Driver { seat, is_busy, .. } = &self.drivers[number];
        let _first = seat.thread.set(std::thread::current());
        let _leaves = Leaves(self, number);
        DRIVES.set((Arc::downgrade(self), number));
        let (stays, writers) = (awake(), self.writer_waker());
        // The runtime may have gone before this thread was there.
        while !self.drivers[number].is_gone() {
            let polled = self.poll_own(number, &bells[number]);
            if self.drivers[number].is_gone() {
                return;
            }
            self.poll_others(number, polled, bells);
            self.call_others(number);
            if self.has_more(number) {
                self.hand_over();
                continue;
            }
            is_busy.store(false, SeqCst);
            self.let_others_append(number, stays);
            let helped = self.help(number, &writers);
            self.call_others(number);
            if !self.has_more(number) {
                // A sync takes longer than it is worth to stay awake for.
                self.sleep(number, if helped == Helped::LeftToOther { Duration::ZERO } else { stays });
            }
            is_busy.store(true, SeqCst);
        }
    }

    fn poll_own(&self, number: usize, bell: &Waker) -> Polled {
        let driver = &self.drivers[number];
        // What it is called for after this is seen before it sleeps.
        driver.seat.is_called.store(false, SeqCst);
        let polled = match driver.seat.rang.load(SeqCst) {
            true => driver.poll(bell),
            false if driver.seat.is_being_polled() => Polled::Elsewhere,
            false => Polled::Waits,
        };
        if polled != Polled::Elsewhere {
            driver.stands_in.store(false, SeqCst);
        }
        polled
    }

    fn writer_waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(WriterBell(Arc::clone(self))))
    }

    fn others(&self, number: usize) -> impl Iterator<Item = (usize, &Driver)> {
        self.drivers.iter().enumerate().filter(move |(other, _)| *other != number)
    }

    /// Whether the thread of a driver polls another one along.
    fn polls_along(&self, number: usize, other: &Driver) -> bool {
        let others = u32::try_from(self.drivers.len() - 1).unwrap_or(u32::MAX);
        let most = POLLS_ALONG_BELOW.checked_div(others).unwrap_or_default();
        self.drivers[number].seat.last_took() <= most && other.seat.last_took() <= most
    }

    /// Whether the thread that has just rung a driver polls it by itself before it sleeps.
    fn is_left_to_this_thread(&self, driver: &Driver) -> bool {
        let is_left = |(engine, number): &(Weak<Engine>, usize)| {
            ptr::eq(engine.as_ptr(), self) && self.polls_along(*number, driver) && driver.is_watched.load(SeqCst)
        };
        DRIVES.try_with(|drives| is_left(&drives.borrow())).unwrap_or(false)
    }

    /// Polls those others that are left to this thread, and any if its own is polled by another.
    fn poll_others(&self, number: usize, own: Polled, bells: &[Waker]) {
        let is_left = |driver: &Driver| own == Polled::Elsewhere || self.polls_along(number, driver);
        for (other, driver) in self.others(number) {
            if driver.seat.wants_poll() && is_left(driver) {
                driver.poll(&bells[other]);
                if driver.seat.wants_poll() {
                    // It has much to do.
                    driver.seat.wake();
                }
            }
        }
    }

    /// Wakes those that were left to this thread and are too much for it by now.
    fn call_others(&self, number: usize) {
        let are_asleep = self.others(number).map(|(_, driver)| driver).filter(|driver| driver.is_watched.load(SeqCst));
        let are_left = are_asleep.filter(|driver| driver.seat.wants_poll() && !self.polls_along(number, driver));
        are_left.for_each(|driver| driver.seat.wake());
    }

    /// Something rang, and the thread that should poll it may be stuck in a poll of another.
    fn call_who_stands_in(&self) {
        let stand_in = self.drivers.iter().filter(|driver| driver.stands_in.load(SeqCst));
        stand_in.filter(|driver| !driver.seat.is_on_its_thread()).for_each(|driver| driver.seat.wake());
    }

    /// Whether this thread has to poll something.
    fn has_more(&self, number: usize) -> bool {
        let own = &self.drivers[number];
        let is_left = |driver: &Driver| own.stands_in.load(SeqCst) || self.polls_along(number, driver);
        own.seat.wants_poll() || self.others(number).any(|(_, driver)| driver.seat.wants_poll() && is_left(driver))
    }

    /// There is more to do here: if something waits to be written, the log's thread writes it meanwhile.
    fn hand_over(&self) {
        if self.writer.rang.load(SeqCst) {
            self.writer.wake();
        }
    }

    /// There is nothing to do here, and something to write: what others are about to append, who work or have just been woken, is written
    /// along with it. Who works for long is not waited for.
    fn let_others_append(&self, number: usize, span: Duration) {
        let is_at_work =
            |driver: &Driver| driver.is_busy.load(SeqCst) || (driver.seat.rang.load(SeqCst) && !driver.is_gone());
        let are_at_work = || self.others(number).any(|(_, driver)| is_at_work(driver));
        if self.drivers.len() > 1 {
            let rang = &self.drivers[number].seat.rang;
            stay_awake(span, || rang.load(SeqCst) || !self.writer.rang.load(SeqCst) || !are_at_work());
        }
    }

    /// There is nothing to do here: what waits to be written is written here, unless it takes long or is being written.
    fn help(&self, number: usize, waker: &Waker) -> Helped {
        while self.writer.rang.load(SeqCst) {
            if self.writer.last_took() > HELPS_BELOW || self.writer.poll(waker) != Polled::Waits {
                self.writer.wake();
                return Helped::LeftToOther;
            }
            if self.has_more(number) {
                if self.drivers.len() > 1 {
                    // What another driver has appended meanwhile does not wait for what this one does next.
                    self.hand_over();
                }
                return Helped::Wrote;
            }
        }
        if self.writer.is_being_polled() { Helped::LeftToOther } else { Helped::Wrote }
    }

    /// Sleeps until this thread is called, or what was left to another is not done.
    fn sleep(&self, number: usize, stays: Duration) {
        let driver = &self.drivers[number];
        let Driver { seat, is_watched, .. } = driver;
        let is_called = || seat.is_called.load(SeqCst) || driver.is_gone();
        stay_awake(stays, is_called);
        let may_be_left =
            seat.is_being_polled() || self.others(number).any(|(other, _)| self.polls_along(other, driver));
        is_watched.store(may_be_left, SeqCst);
        // Whoever polled it while it rang may have looked before.
        let mut is_over = seat.wants_poll();
        while !is_called() && !is_over {
            is_over = if is_watched.load(SeqCst) { self.watch(driver) } else { park_for_good() };
        }
        is_watched.store(false, SeqCst);
    }

    /// Sleeps for a while; gives whether this thread's driver was to be polled all that time and was not, or is being polled still.
    fn watch(&self, driver: &Driver) -> bool {
        let Driver { seat, is_watched, .. } = driver;
        let (polls, begin) = (seat.polls.load(SeqCst), Instant::now());
        std::thread::park_timeout(LOOKS_EVERY);
        let is_polled_now_and_then = seat.polls.load(SeqCst) != polls;
        if is_polled_now_and_then || begin.elapsed() < LOOKS_EVERY {
            return false;
        }
        if !seat.rang.load(SeqCst) && !seat.is_being_polled() {
            // Nothing happens: whoever rings from now on has to wake this thread.
            is_watched.store(false, SeqCst);
        }
        if seat.is_being_polled() {
            driver.stands_in.store(true, SeqCst);
        }
        seat.rang.load(SeqCst) || seat.is_being_polled()
    }

    /// The log's thread.
    fn write(self: &Arc<Self>) {
        let _first = self.writer.thread.set(std::thread::current());
        let waker = self.writer_waker();
        loop {
            let polled = if self.writer.rang.load(SeqCst) { self.writer.poll(&waker) } else { Polled::Waits };
            if self.writer.is_done() {
                return;
            }
            match self.writer.rang.load(SeqCst) && polled == Polled::Waits {
                // Whoever is counted on may compute for long.
                true if self.is_any_busy() => std::thread::park_timeout(LOOKS_EVERY),
                true => {}
                false => std::thread::park(),
            }
        }
    }

    /// Whether a driver's thread will come to the writer.
    fn is_any_busy(&self) -> bool {
        self.drivers.iter().any(|driver| driver.is_busy.load(SeqCst))
    }

    /// A driver is gone, or goes: the others' threads do not count on its thread from now on.
    fn leave(&self, number: usize) {
        let Driver { seat, is_busy, .. } = &self.drivers[number];
        DRIVES.take();
        seat.clear();
        // Nobody waits for what it is about to append.
        seat.rang.store(false, SeqCst);
        is_busy.store(false, SeqCst);
        self.writer.wake();
        self.others(number).for_each(|(_, driver)| driver.seat.wake());
    }
}

/// Sleeps until it is woken, which happens for nothing too.
fn park_for_good() -> bool {
    std::thread::park();
    false
}

/// However a driver's thread ends.
struct Leaves<'a>(&'a Engine, usize);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.leave(self.1);
    }
}

/// In the tokio runtime for as long as that lives.
struct Gone(Arc<Engine>, usize);

impl Drop for Gone {
    fn drop(&mut self) {
        let Gone(engine, number) = self;
        let Driver { seat, is_over, .. } = &engine.drivers[*number];
        is_over.store(true, SeqCst);
        // Until the driver has come to a stop, nothing that it polls may find the runtime gone. One that ends its own runtime goes on to its
        // next stop.
        if !seat.is_polled_here() {
            seat.clear();
        }
    }
}

/// How long a thread stays awake when it begins to wait: whom it waits for is often that soon, and a thread that sleeps by then is woken for
/// more than that. Not at all where there is one processor, which they need.
pub(super) fn awake() -> Duration {
    let is_alone = std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
    if is_alone { Duration::ZERO } else { Duration::from_micros(50) }
}

/// Waits without sleeping, for as long at most.
pub(super) fn stay_awake(span: Duration, has_rung: impl Fn() -> bool) {
    let begin = Instant::now();
    while !has_rung() && begin.elapsed() < span {
        // Whoever is to ring may want this processor.
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::sync::oneshot;

    use super::*;

    /// Longer than anything here takes: whoever waits so long has missed a wake-up.
    const LONG: Duration = Duration::from_secs(60);

    fn tokio() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
    }

    #[test]
    fn both_are_done_at_once() {
        let (meet, mut done) = (std::sync::Barrier::new(2), [0, 0]);
        let [one, other] = &mut done;
        let mut wait_and_note = [one, other].map(|done| {
            || {
                meet.wait();
                *done += 1;
            }
        });
        let [one, other] = &mut wait_and_note;
        both(one, other);
        assert_eq!(done, [1, 1]);
    }

    fn thread_name() -> String {
        std::thread::current().name().unwrap_or_default().to_owned()
    }

    /// A writer that answers each number by itself, and says which thread it was on. It ends when nobody asks any more.
    async fn echo(mut asked: UnboundedReceiver<u32>, answers: UnboundedSender<(u32, String)>) {
        while let Some(number) = asked.recv().await {
            let _gone = answers.send((number, thread_name()));
        }
    }

    struct Echo {
        ask: UnboundedSender<u32>,
        answers: UnboundedReceiver<(u32, String)>,
        writer: Task,
    }

    fn an_echo() -> Echo {
        let ((ask, asked), (answer, answers)) = (unbounded_channel(), unbounded_channel());
        Echo { ask, answers, writer: Box::pin(echo(asked, answer)) }
    }

    #[test]
    fn a_driver_that_has_nothing_to_do_writes() {
        let (tokio, mut echo) = (tokio(), an_echo());
        let (done, heard) = mpsc::channel();
        let driver = async move {
            let mut threads = Vec::new();
            for number in 0..1000 {
                echo.ask.send(number).unwrap();
                let (answered, thread) = echo.answers.recv().await.unwrap();
                assert_eq!(answered, number);
                threads.push(thread);
            }
            done.send(threads).unwrap();
        };
        start(tokio.handle(), echo.writer, vec![Box::pin(driver)]);
        let threads = heard.recv_timeout(LONG).unwrap();
        let own = threads.iter().filter(|thread| *thread == "durable-driver").count();
        // The machine may have been so slow for once that the log's thread was asked.
        assert!(own > 500, "{own} of 1000");
    }

    #[test]
    fn what_a_busy_driver_appends_is_written_by_the_other_thread() {
        let (tokio, mut echo) = (tokio(), an_echo());
        let (done, heard) = mpsc::channel();
        let driver = async move {
            echo.ask.send(1).unwrap();
            let mut answered = None;
            while answered.is_none() {
                // It has always more to do.
                tokio::task::yield_now().await;
                answered = echo.answers.try_recv().ok();
            }
            done.send(answered.unwrap()).unwrap();
        };
        start(tokio.handle(), echo.writer, vec![Box::pin(driver)]);
        assert_eq!(heard.recv_timeout(LONG).unwrap(), (1, "durable-log".to_owned()));
    }

    #[test]
    fn a_disk_that_is_slow_is_waited_for_by_the_other_thread() {
        let tokio = tokio();
        let ((ask, mut asked), (answer, mut answers)) = (unbounded_channel(), unbounded_channel());
        let writer = async move {
            while let Some(()) = asked.recv().await {
                let begin = Instant::now();
                while begin.elapsed() <= 8 * HELPS_BELOW {
                    std::hint::spin_loop();
                }
                let _gone = answer.send(thread_name());
            }
        };
        let (done, heard) = mpsc::channel();
        let driver = async move {
            for _ in 0..3 {
                ask.send(()).unwrap();
                done.send(answers.recv().await.unwrap()).unwrap();
            }
        };
        start(tokio.handle(), Box::pin(writer), vec![Box::pin(driver)]);
        let threads: Vec<String> = (0..3).map(|_| heard.recv_timeout(LONG).unwrap()).collect();
        assert_eq!(threads[1..], ["durable-log", "durable-log"], "the first time nobody knows");
    }

    #[test]
    fn no_wake_up_is_lost_between_three_threads() {
        let (tokio, mut echo) = (tokio(), an_echo());
        let ((from_outside, mut outside), (done, heard)) = (unbounded_channel(), mpsc::channel());
        let driver = async move {
            while let Some(number) = outside.recv().await {
                echo.ask.send(number).unwrap();
                if number % 3 == 0 {
                    tokio::task::yield_now().await;
                }
                done.send(echo.answers.recv().await.unwrap().0).unwrap();
            }
        };
        start(tokio.handle(), echo.writer, vec![Box::pin(driver)]);
        for number in 0..5_000 {
            from_outside.send(number).unwrap();
            assert_eq!(heard.recv_timeout(LONG).unwrap(), number);
        }
    }

    #[test]
    fn no_wake_up_is_lost_between_several_drivers_and_one_writer() {
        let tokio = tokio();
        let (ask, mut asked) = unbounded_channel::<(u32, UnboundedSender<u32>)>();
        let writer = async move {
            while let Some((number, answer)) = asked.recv().await {
                let _gone = answer.send(number);
            }
        };
        let (done, heard) = mpsc::channel();
        let driver = |name: u32| -> Task {
            let (ask, done) = (ask.clone(), done.clone());
            Box::pin(async move {
                let (answer, mut answers) = unbounded_channel();
                for number in 0..3_000 {
                    ask.send((number, answer.clone())).unwrap();
                    // Some have more to do, and some are blocked at times.
                    match (number + name) % 7 {
                        0 => tokio::task::yield_now().await,
                        3 => wait(Box::pin(async {})),
                        _ => {}
                    }
                    assert_eq!(answers.recv().await, Some(number));
                }
                done.send(name).unwrap();
            })
        };
        let drivers = (0..3).map(driver).collect();
        drop(ask);
        start(tokio.handle(), Box::pin(writer), drivers);
        let mut ended: Vec<u32> = (0..3).map(|_| heard.recv_timeout(LONG).unwrap()).collect();
        ended.sort_unstable();
        assert_eq!(ended, [0, 1, 2]);
    }

    #[test]
    fn what_a_driver_appends_does_not_wait_for_a_long_poll_of_another() {
        let (tokio, mut echo) = (tokio(), an_echo());
        let (begun, is_begun) = mpsc::channel();
        let (done, heard) = mpsc::channel::<()>();
        let asks = async move {
            is_begun.recv().unwrap();
            for number in 0..100 {
                echo.ask.send(number).unwrap();
                assert_eq!(echo.answers.recv().await.unwrap().0, number);
            }
            done.send(()).unwrap();
        };
        let (told, is_done) = mpsc::channel();
        let computes = async move {
            begun.send(()).unwrap();
            told.send(heard.recv_timeout(LONG)).unwrap();
        };
        start(tokio.handle(), echo.writer, vec![Box::pin(asks), Box::pin(computes)]);
        is_done.recv().unwrap().unwrap();
    }

    /// An engine of two drivers whose second has no thread that is awake.
    fn two_on_one_thread(writer: Task, drivers: [Task; 2]) -> Arc<Engine> {
        let engine = Engine::new(writer, drivers.into());
        engine.drivers[1].is_watched.store(true, SeqCst);
        engine.drivers[1].is_busy.store(false, SeqCst);
        engine
    }

    #[test]
    fn the_thread_that_wrote_polls_others_along_that_have_little_to_do() {
        let (tokio, first, other) = (tokio(), an_echo(), an_echo());
        let writer = async move { tokio::join!(first.writer, other.writer).0 };
        let (done, heard) = mpsc::channel();
        let asks = |ask: UnboundedSender<u32>, mut answers: UnboundedReceiver<(u32, String)>| -> Task {
            let done = done.clone();
            Box::pin(async move {
                for number in 0..100 {
                    ask.send(number).unwrap();
                    done.send(answers.recv().await.unwrap()).unwrap();
                }
                pending::<()>().await;
            })
        };
        let drivers = [asks(first.ask, first.answers), asks(other.ask, other.answers)];
        let engine = two_on_one_thread(Box::pin(writer), drivers);
        let _watch = Engine::watch_runtime(&engine, 0, tokio.handle());
        let driving = Arc::clone(&engine);
        let (handle, bells) = (tokio.handle().clone(), Engine::bells(&engine));
        let thread = std::thread::spawn(move || driving.drive(0, &bells, &handle));
        let (mut answered, begin) = (0, Instant::now());
        while answered < 200 {
            assert!(begin.elapsed() < LONG, "{answered} of 200");
            match heard.recv_timeout(Duration::from_millis(5)) {
                Ok(_) => answered += 1,
                Err(_) => {
                    // The machine was so slow for once that a poll was not short.
                    engine.drivers.iter().for_each(|driver| driver.seat.nanos.store(0, SeqCst));
                    engine.writer.nanos.store(0, SeqCst);
                    engine.drivers[0].seat.wake();
                }
            }
        }
        drop(tokio);
        thread.join().unwrap();
    }

    #[test]
    fn a_driver_that_is_polled_along_may_end_its_tokio_runtime() {
        let (tokio, echo) = (tokio(), an_echo());
        let (told, heard) = mpsc::channel();
        let handle = tokio.handle().clone();
        let says = Says(told, "the other");
        let ends = async move {
            let _says = says;
            tokio.shutdown_background();
            poll_fn(|_| Poll::<()>::Pending).await;
        };
        let engine = two_on_one_thread(echo.writer, [Box::pin(pending()), Box::pin(ends)]);
        let _watches = [0, 1].map(|number| Engine::watch_runtime(&engine, number, &handle));
        let (driving, bells) = (Arc::clone(&engine), Engine::bells(&engine));
        let thread = std::thread::spawn(move || driving.drive(0, &bells, &handle));
        assert_eq!(heard.recv_timeout(LONG).unwrap(), "the other");
        thread.join().unwrap();
        assert!(engine.drivers.iter().all(Driver::is_gone));
    }

    #[test]
    fn a_driver_that_is_polled_along_and_has_much_to_do_is_left_to_its_own_thread() {
        // Each poll is short, and it never waits.
        let has_much = poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        let engine = two_on_one_thread(an_echo().writer, [Box::pin(pending()), Box::pin(has_much)]);
        DRIVES.set((Arc::downgrade(&engine), 0));
        engine.poll_others(0, Polled::Waits, &Engine::bells(&engine));
        DRIVES.take();
        assert!(engine.drivers[1].seat.is_called.load(SeqCst));
    }

    #[test]
    fn the_thread_of_a_driver_in_whose_poll_another_is_stuck_is_called_for_whatever_rings() {
        let echo = an_echo();
        let engine = two_on_one_thread(echo.writer, [Box::pin(pending()), Box::pin(pending())]);
        let (stuck, bells) = (&engine.drivers[1], Engine::bells(&engine));
        bells[0].wake_by_ref();
        assert!(!stuck.seat.is_called.load(SeqCst), "nothing is stuck");
        stuck.seat.is_polled.store(true, SeqCst);
        while !engine.watch(stuck) {}
        bells[0].wake_by_ref();
        assert!(stuck.seat.is_called.load(SeqCst));
    }

    #[test]
    fn all_threads_end_with_what_they_poll() {
        for round in 0..200 {
            let tokio = tokio();
            let (stop, stopped) = oneshot::channel::<()>();
            let (told, heard) = mpsc::channel();
            let writer = async move { drop(stopped.await) };
            let stops = async move {
                tokio::task::yield_now().await;
                drop(stop);
            };
            let drivers: Vec<Task> = vec![Box::pin(stops), Box::pin(tokio::task::yield_now())];
            let engine = Engine::new(Box::pin(writer), drivers.into_iter().take(1 + round % 2).collect());
            let bells = Engine::bells(&engine);
            let (writing, says) = (Arc::clone(&engine), told.clone());
            std::thread::spawn(move || {
                writing.write();
                says.send("writer").unwrap();
            });
            for number in 0..engine.drivers.len() {
                let (driving, bells, says) = (Arc::clone(&engine), Arc::clone(&bells), told.clone());
                let handle = tokio.handle().clone();
                std::thread::spawn(move || {
                    driving.drive(number, &bells, &handle);
                    says.send("driver").unwrap();
                });
            }
            for _ in 0..=engine.drivers.len() {
                heard.recv_timeout(LONG).expect("a thread waits for something that is gone");
            }
        }
    }

    #[test]
    fn what_is_appended_behind_a_report_does_not_wait_for_a_driver_that_computes() {
        let (tokio, queue) = (tokio(), Arc::new(Mutex::new((0, None::<Waker>))));
        let append = |queue: &Mutex<(u32, Option<Waker>)>| {
            let waker = {
                let mut queue = queue.lock().unwrap();
                queue.0 += 1;
                queue.1.take()
            };
            waker.into_iter().for_each(Waker::wake);
        };
        let ((written, is_written), (report, mut reported)) = (mpsc::channel(), unbounded_channel());
        let (appended, is_appended) = mpsc::channel();
        let (of_writer, of_driver) = (Arc::clone(&queue), queue);
        let writer = async move {
            for number in 0..2 {
                let next = poll_fn(|context| {
                    let mut queue = of_writer.lock().unwrap();
                    if std::mem::take(&mut queue.0) > 0 {
                        return Poll::Ready(());
                    }
                    // Nobody rings while it works: it looks again by itself.
                    queue.1 = Some(context.waker().clone());
                    Poll::Pending
                });
                next.await;
                written.send(()).unwrap();
                if number == 0 {
                    report.send(()).unwrap();
                    is_appended.recv_timeout(LONG).unwrap();
                    // The driver that has appended may sleep by now.
                    stay_busy(Duration::from_millis(2));
                    tokio::task::yield_now().await;
                }
            }
        };
        let appends = async move {
            append(&of_driver);
            reported.recv().await;
            append(&of_driver);
            appended.send(()).unwrap();
            pending::<()>().await;
        };
        let ((begun, is_begun), (over, is_over)) = (mpsc::channel(), mpsc::channel::<()>());
        let computes = async move {
            begun.send(()).unwrap();
            is_over.recv_timeout(LONG).unwrap();
        };
        let engine = Engine::new(Box::pin(writer), vec![Box::pin(computes), Box::pin(appends)]);
        // A disk for which the log's thread waits.
        engine.writer.nanos.store(u64::MAX, SeqCst);
        let (bells, handle) = (Engine::bells(&engine), tokio.handle().clone());
        let drive = |number: usize| {
            let (driving, bells, handle) = (Arc::clone(&engine), Arc::clone(&bells), handle.clone());
            std::thread::spawn(move || driving.drive(number, &bells, &handle));
        };
        drive(0);
        is_begun.recv_timeout(LONG).unwrap();
        let writing = Arc::clone(&engine);
        std::thread::spawn(move || writing.write());
        drive(1);
        is_written.recv_timeout(LONG).unwrap();
        is_written.recv_timeout(LONG / 2).expect("it waits for whoever computes");
        over.send(()).unwrap();
    }

    fn stay_busy(span: Duration) {
        let begin = Instant::now();
        while begin.elapsed() <= span {
            std::hint::spin_loop();
        }
    }

    /// Two drivers that move together, for as long as it takes that one thread polls both; then the first does what `then` does with what
    /// rings the other, which answers.
    fn what_one_waits_for_is_done_by_the_other(then: fn(mpsc::Receiver<()>)) {
        let tokio = tokio();
        let (ask, mut asked) = unbounded_channel::<UnboundedSender<()>>();
        let writer = async move {
            while let Some(answer) = asked.recv().await {
                let _gone = answer.send(());
            }
        };
        let (ring, mut rung) = unbounded_channel::<Option<mpsc::Sender<()>>>();
        let (done, heard) = mpsc::channel();
        let ask_too = ask.clone();
        let other = async move {
            let (answer, mut answers) = unbounded_channel();
            while let Some(told) = rung.recv().await {
                ask_too.send(answer.clone()).unwrap();
                answers.recv().await.unwrap();
                told.into_iter().for_each(|told| told.send(()).unwrap());
            }
        };
        let first = async move {
            let (answer, mut answers) = unbounded_channel();
            for round in 1..=300 {
                ask.send(answer.clone()).unwrap();
                answers.recv().await.unwrap();
                let (tell, told) = mpsc::channel();
                ring.send((round % 100 == 0).then_some(tell)).unwrap();
                if round % 100 == 0 {
                    then(told);
                }
            }
            done.send(()).unwrap();
        };
        start(tokio.handle(), Box::pin(writer), vec![Box::pin(first), Box::pin(other)]);
        heard.recv_timeout(LONG).unwrap();
    }

    #[test]
    fn a_driver_that_was_left_to_a_thread_which_computes_is_polled_by_its_own() {
        what_one_waits_for_is_done_by_the_other(|told| told.recv_timeout(LONG).unwrap());
    }

    #[test]
    fn a_driver_that_was_left_to_a_thread_which_is_blocked_is_polled_by_its_own() {
        what_one_waits_for_is_done_by_the_other(|told| wait(Box::pin(async move { told.recv_timeout(LONG).unwrap() })));
    }

    #[test]
    fn whoever_looks_whether_a_future_is_polled_keeps_nobody_from_polling_it() {
        let seat = Arc::new(Seat::new(Box::pin(pending())));
        let looked = Arc::clone(&seat);
        let looks = std::thread::spawn(move || (0..100_000).filter(|_| looked.is_being_polled()).count());
        let mut polls = 0_u32;
        while !looks.is_finished() || polls < 1000 {
            assert_eq!(seat.poll(Waker::noop()), Polled::Waits, "one that is left out is a wake-up that is lost");
            polls += 1;
        }
        looks.join().unwrap();
    }

    #[test]
    fn a_driver_that_blocks_until_something_is_written_has_the_other_thread_write() {
        let (tokio, mut echo) = (tokio(), an_echo());
        let (done, heard) = mpsc::channel();
        let driver = async move {
            for number in 0..100 {
                echo.ask.send(number).unwrap();
                let (mut answers, told) = (echo.answers, done.clone());
                let (give_back, given_back) = mpsc::channel();
                wait(Box::pin(async move {
                    told.send(answers.recv().await.unwrap()).unwrap();
                    give_back.send(answers).unwrap();
                }));
                echo.answers = given_back.recv().unwrap();
                tokio::task::yield_now().await;
            }
        };
        start(tokio.handle(), echo.writer, vec![Box::pin(driver)]);
        let answered: Vec<_> = (0..100).map_while(|_| heard.recv_timeout(LONG).ok()).collect();
        // Without a wait for the driver: one that is stuck is what this is about.
        tokio.shutdown_background();
        let expected: Vec<_> = (0..100).map(|number| (number, "durable-log".to_owned())).collect();
        assert_eq!(answered, expected);
    }

    #[test]
    fn a_driver_is_told_that_it_must_not_block_on_tokio() {
        let (tokio, echo) = (tokio(), an_echo());
        let (told, heard) = mpsc::channel();
        let handle = tokio.handle().clone();
        let driver = async move {
            told.send(catch_unwind(AssertUnwindSafe(|| handle.block_on(async {}))).is_err()).unwrap();
            // And it has no budget that runs out: its thread never comes back to tokio.
            let (ask, mut asked) = unbounded_channel();
            for number in 0..1000 {
                ask.send(number).unwrap();
                let polled = poll_fn(|context| Poll::Ready(asked.poll_recv(context))).await;
                told.send(polled == Poll::Ready(Some(number))).unwrap();
            }
        };
        start(tokio.handle(), echo.writer, vec![Box::pin(driver)]);
        assert!(heard.iter().all(|as_it_should| as_it_should));
    }

    #[test]
    fn a_driver_whose_tokio_runtime_is_gone_before_it_begins_is_not_polled() {
        for round in 0..200 {
            let (tokio, echo) = (tokio(), an_echo());
            let (told, heard) = mpsc::channel();
            let driver = || -> Task {
                let told = told.clone();
                Box::pin(poll_fn(move |context| {
                    let polled = catch_unwind(AssertUnwindSafe(|| {
                        let _waits = std::pin::pin!(tokio::time::sleep(LONG)).poll(context);
                    }));
                    told.send(polled.is_ok()).unwrap();
                    context.waker().wake_by_ref();
                    Poll::<()>::Pending
                }))
            };
            let drivers = (0..1 + round % 2).map(|_| driver()).collect();
            drop(told);
            start(tokio.handle(), echo.writer, drivers);
            stay_busy(Duration::from_micros(round));
            drop(tokio);
            assert!(heard.iter().all(|alive| alive));
        }
    }

    /// Says when it is dropped.
    struct Says(mpsc::Sender<&'static str>, &'static str);

    impl Drop for Says {
        fn drop(&mut self) {
            let _nobody_listens = self.0.send(self.1);
        }
    }

    #[test]
    fn a_tokio_runtime_that_goes_takes_the_driver_along_and_the_writer_ends_after_it() {
        let tokio = tokio();
        let (told, heard) = mpsc::channel();
        let (held, gone) = oneshot::channel::<()>();
        let (drops, ends) = (Says(told.clone(), "driver"), Says(told, "writer"));
        let (begun, is_begun) = mpsc::channel();
        let driver = async move {
            let (_held, _drops) = (held, drops);
            begun.send(()).unwrap();
            pending::<()>().await;
        };
        let writer = async move {
            let _ends = ends;
            let _driver_is_gone = gone.await;
        };
        start(tokio.handle(), Box::pin(writer), vec![Box::pin(driver)]);
        is_begun.recv_timeout(LONG).unwrap();
        drop(tokio);
        let both = [heard.recv_timeout(LONG).unwrap(), heard.recv_timeout(LONG).unwrap()];
        assert_eq!(both, ["driver", "writer"]);
    }

    #[test]
    fn no_poll_of_the_driver_sees_its_tokio_runtime_gone() {
        for round in 0..50 {
            let (tokio, echo) = (tokio(), an_echo());
            let (told, heard) = mpsc::channel();
            let driver = async move {
                loop {
                    let alive = catch_unwind(|| drop(tokio::time::sleep(Duration::from_nanos(1)))).is_ok();
                    let polled = catch_unwind(AssertUnwindSafe(|| {
                        let mut sleep = std::pin::pin!(tokio::time::sleep(Duration::from_secs(1)));
                        let _waits = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    }));
                    told.send(alive && polled.is_ok()).unwrap();
                    tokio::task::yield_now().await;
                }
            };
            start(tokio.handle(), echo.writer, vec![Box::pin(driver)]);
            assert!(heard.recv_timeout(LONG).unwrap(), "round {round}");
            drop(tokio);
            assert!(heard.iter().all(|alive| alive), "round {round}");
        }
    }

    #[test]
    fn a_driver_may_end_its_own_tokio_runtime() {
        let (tokio, echo) = (tokio(), an_echo());
        let (told, heard) = mpsc::channel();
        let handle = tokio.handle().clone();
        let driver = async move {
            let _says = Says(told, "driver");
            tokio.shutdown_background();
            poll_fn(|_| Poll::<()>::Pending).await;
        };
        start(&handle, echo.writer, vec![Box::pin(driver)]);
        assert_eq!(heard.recv_timeout(LONG).unwrap(), "driver");
    }

    #[test]
    fn a_writer_that_panics_is_dropped_and_the_driver_goes_on() {
        let tokio = tokio();
        let (told, heard) = mpsc::channel();
        let (ends, says) = (Says(told.clone(), "writer"), told);
        let (panics, panicked) = oneshot::channel::<()>();
        let writer = async move {
            let (_ends, _panics) = (ends, panics);
            panic!("as a disk that lies may bring about");
        };
        let driver = async move {
            assert!(panicked.await.is_err());
            says.send("driver").unwrap();
        };
        start(tokio.handle(), Box::pin(writer), vec![Box::pin(driver)]);
        let mut both = [heard.recv_timeout(LONG).unwrap(), heard.recv_timeout(LONG).unwrap()];
        both.sort_unstable();
        assert_eq!(both, ["driver", "writer"]);
    }
}
