//! The threads of an engine in the real world. Each `durable-driver` polls a driver, `durable-log` the writer of the log, so that one works
//! while the other waits for the disk. Where there is nothing to do meanwhile another thread only costs: a wake-up there and one back are
//! a third of a sync. So a driver's thread writes by itself when it has run out of work, and hands over to the log's thread when it has not.
//!
//! A tokio runtime of one thread has the drivers as tasks, and the log's thread beside it.
//!
//! Which thread polls decides nothing but time: the drivers and the writer are futures that know nothing of it, and a simulator polls them in
//! any order.
//!
//! What keeps a wake-up from being lost: whoever has something for a thread stores that first and then looks whether the thread may sleep;
//! a thread says first that it may and then looks for something once more. Both are in one total order (`SeqCst`).

use std::cell::RefCell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Builder, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::unconstrained;

use super::real::block_on;
use crate::seams::Task;

/// A disk that took longer the last time is waited for by the log's thread: a driver that is blocked answers nobody.
const HELPS_BELOW: Duration = Duration::from_millis(1);

thread_local! {
    /// The engine, and which of its drivers this thread polls.
    static DRIVES: RefCell<(Weak<Engine>, usize)> = const { RefCell::new((Weak::new(), 0)) };
}

/// A future, and the thread whose it is.
struct Seat {
    /// None when it is done or was dropped. Who only wants to know something of it does not lock it: whoever is to poll it meanwhile would
    /// leave that to someone who does not.
    task: Mutex<Option<Task>>,
    /// Whether it is being polled.
    is_polled: AtomicBool,
    /// Whether it is to be polled.
    rang: AtomicBool,
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
        let (is_polled, rang) = (AtomicBool::new(false), AtomicBool::new(true));
        Seat { task: Mutex::new(Some(task)), is_polled, rang, thread: OnceLock::new() }
    }

    /// Polls the future, unless another thread is doing that.
    fn poll(&self, waker: &Waker) -> Polled {
        let mut seated = match self.task.try_lock() {
            Ok(seated) => seated,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Polled::Elsewhere,
        };
        // A swap: what whoever rang has stored is seen by this poll.
        self.rang.swap(false, SeqCst);
        let Some(task) = seated.as_mut() else { return Polled::Done };
        self.is_polled.store(true, SeqCst);
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(&mut Context::from_waker(waker))));
        self.is_polled.store(false, SeqCst);
        if let Ok(Poll::Pending) = polled {
            return Polled::Waits;
        }
        // It may say by its drop that it is gone; a second panic ends here too.
        let task = seated.take();
        let _dropped = catch_unwind(AssertUnwindSafe(|| drop(task)));
        // Whose it is may sleep.
        self.rang.store(true, SeqCst);
        Polled::Done
    }

    /// Takes the future away, when whoever polls it has come to a stop.
    fn take(&self) -> Option<Task> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Drops the future where it stands.
    fn clear(&self) {
        let task = self.take();
        let _dropped = catch_unwind(AssertUnwindSafe(|| drop(task)));
        self.rang.store(true, SeqCst);
        self.wake();
    }

    fn is_being_polled(&self) -> bool {
        self.is_polled.load(SeqCst)
    }

    fn is_on_its_thread(&self) -> bool {
        self.thread.get().is_some_and(|thread| thread.id() == std::thread::current().id())
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Sleeps until it rings.
    fn wait(&self, stays: Duration) {
        stay_awake(stays, || self.rang.load(SeqCst));
        while !self.rang.load(SeqCst) {
            std::thread::park();
        }
    }
}

struct Engine {
    drivers: Vec<Driver>,
    writer: Seat,
    /// How long the writer's last polls took, in nanoseconds, each a write and a sync as a rule: the last one, or half of this before it.
    write_nanos: AtomicU64,
}

struct Driver {
    seat: Seat,
    /// Whether its thread will look at the writer before it sleeps.
    is_busy: AtomicBool,
    /// Whether the tokio runtime has gone while it was the driver that ended it.
    is_over: AtomicBool,
}

impl Driver {
    fn new(task: Task) -> Driver {
        Driver { seat: Seat::new(task), is_busy: AtomicBool::new(true), is_over: AtomicBool::new(false) }
    }
}

/// Wakes a driver.
struct DriverBell(Arc<Engine>, usize);

impl Wake for DriverBell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let seat = &self.0.drivers[self.1].seat;
        seat.rang.store(true, SeqCst);
        if !seat.is_on_its_thread() {
            seat.wake();
        }
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
    let engine = Arc::new(Engine {
        drivers: drivers.into_iter().map(Driver::new).collect(),
        writer: Seat::new(writer),
        write_nanos: AtomicU64::new(0),
    });
    let writing = Arc::clone(&engine);
    if !is_started("durable-log", handle, move |_| writing.write()) {
        // Dropped, it tells the drivers that the store stands still.
        engine.writer.clear();
    }
    for (number, driver) in engine.drivers.iter().enumerate() {
        let driving = Arc::clone(&engine);
        if !is_started("durable-driver", handle, move |inside| driving.drive(number, inside)) {
            driver.is_busy.store(false, SeqCst);
            engine.writer.wake();
            let task = driver.seat.take();
            task.into_iter().for_each(|task| drop(handle.spawn(task)));
        }
    }
}

/// Blocks this thread until a future is done. If a driver's thread is blocked so, by what a workflow or an activity does, it does not come
/// to its writer, which the future may wait for: the log's thread does not count on it meanwhile.
pub(super) fn wait(task: Task) {
    let drives = DRIVES.try_with(|drives| {
        let (engine, number) = &*drives.borrow();
        engine.upgrade().map(|engine| (engine, *number))
    });
    let drives = drives.ok().flatten();
    if let Some((engine, number)) = &drives {
        engine.drivers[*number].is_busy.store(false, SeqCst);
        engine.writer.wake();
    }
    block_on(task);
    if let Some((engine, number)) = &drives {
        engine.drivers[*number].is_busy.store(true, SeqCst);
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

impl Engine {
    /// A driver's thread.
    fn drive(self: &Arc<Self>, number: usize, handle: &Handle) {
        let _first = self.drivers[number].seat.thread.set(std::thread::current());
        let _leaves = Leaves(self, number);
        let gone = Gone(Arc::clone(self), number);
        let watch = handle.spawn(async move {
            let _gone = gone;
            pending::<()>().await;
        });
        DRIVES.set((Arc::downgrade(self), number));
        // Whoever blocks in a workflow or in an activity's first poll is told that he must not, as on any thread of tokio's.
        handle.block_on(unconstrained(async { self.take_turns(number) }));
        watch.abort();
    }

    /// Polls a driver until it is done or the tokio runtime goes, and the writer when the driver waits.
    fn take_turns(self: &Arc<Self>, number: usize) {
        let Driver { seat, is_busy, is_over } = &self.drivers[number];
        let stays = awake();
        let (waker, writers) = (Waker::from(Arc::new(DriverBell(Arc::clone(self), number))), self.writer_waker());
        // The runtime may have gone before this thread was there.
        if is_over.load(SeqCst) {
            return;
        }
        while seat.poll(&waker) == Polled::Waits && !is_over.load(SeqCst) {
            if seat.rang.load(SeqCst) {
                self.hand_over();
                continue;
            }
            is_busy.store(false, SeqCst);
            self.let_others_append(number, stays);
            let helped = self.help(seat, &writers);
            // A sync takes longer than it is worth to stay awake for.
            seat.wait(if helped == Helped::LeftToOther { Duration::ZERO } else { stays });
            is_busy.store(true, SeqCst);
        }
    }

    fn writer_waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(WriterBell(Arc::clone(self))))
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
        let others = || self.drivers.iter().enumerate().filter(|(other, _)| *other != number).map(|(_, driver)| driver);
        let are_at_work = || others().any(|other| other.is_busy.load(SeqCst) || other.seat.rang.load(SeqCst));
        if self.drivers.len() > 1 {
            let rang = &self.drivers[number].seat.rang;
            stay_awake(span, || rang.load(SeqCst) || !self.writer.rang.load(SeqCst) || !are_at_work());
        }
    }

    /// There is nothing to do here: what waits to be written is written here, unless it takes long or is being written.
    fn help(&self, driver: &Seat, waker: &Waker) -> Helped {
        while self.writer.rang.load(SeqCst) {
            let is_slow = Duration::from_nanos(self.write_nanos.load(SeqCst)) > HELPS_BELOW;
            if is_slow || self.poll_writer(waker) != Polled::Waits {
                self.writer.wake();
                return Helped::LeftToOther;
            }
            if driver.rang.load(SeqCst) {
                if self.drivers.len() > 1 {
                    // What another driver has appended meanwhile does not wait for what this one does next.
                    self.hand_over();
                }
                return Helped::Wrote;
            }
        }
        if self.writer.is_being_polled() { Helped::LeftToOther } else { Helped::Wrote }
    }

    fn poll_writer(&self, waker: &Waker) -> Polled {
        let begin = Instant::now();
        let polled = self.writer.poll(waker);
        if polled == Polled::Waits {
            let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            // A poll that found nothing to write says little of the disk.
            self.write_nanos.store(nanos.max(self.write_nanos.load(SeqCst) / 2), SeqCst);
        }
        polled
    }

    /// The log's thread.
    fn write(self: &Arc<Self>) {
        let _first = self.writer.thread.set(std::thread::current());
        let waker = self.writer_waker();
        loop {
            // A future that is gone rings as well: that it is done is seen by a poll.
            let polled = if self.writer.rang.load(SeqCst) { self.poll_writer(&waker) } else { Polled::Waits };
            if polled == Polled::Done {
                return;
            }
            let goes_on = self.writer.rang.load(SeqCst) && !self.is_any_busy() && polled == Polled::Waits;
            if !goes_on {
                std::thread::park();
            }
        }
    }

    /// Whether a driver's thread will come to the writer.
    fn is_any_busy(&self) -> bool {
        self.drivers.iter().any(|driver| driver.is_busy.load(SeqCst))
    }

    /// A driver is gone, or goes: the log's thread does not count on it from now on.
    fn leave(&self, number: usize) {
        let Driver { seat, is_busy, .. } = &self.drivers[number];
        seat.clear();
        // Nobody waits for what it is about to append.
        seat.rang.store(false, SeqCst);
        is_busy.store(false, SeqCst);
        self.writer.wake();
    }
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
        if !seat.is_on_its_thread() {
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
        for _ in 0..50 {
            let (tokio, echo) = (tokio(), an_echo());
            let (told, heard) = mpsc::channel();
            let driver = poll_fn(move |context| {
                let polled = catch_unwind(AssertUnwindSafe(|| {
                    let _waits = std::pin::pin!(tokio::time::sleep(LONG)).poll(context);
                }));
                told.send(polled.is_ok()).unwrap();
                Poll::<()>::Pending
            });
            start(tokio.handle(), echo.writer, vec![Box::pin(driver)]);
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
        let driver = async move {
            let (_held, _drops) = (held, drops);
            pending::<()>().await;
        };
        let writer = async move {
            let _ends = ends;
            let _driver_is_gone = gone.await;
        };
        start(tokio.handle(), Box::pin(writer), vec![Box::pin(driver)]);
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
