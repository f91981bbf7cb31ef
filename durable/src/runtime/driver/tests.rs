//! The driver held by hand: a clock that is moved, tasks that are kept and not run, a store in memory. What it is told, and when, is
//! up to the test.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::kernel::engine::{Answer, AttemptReport, Config, Numbers, Residence, Role, Stop, WhenBlocked};
use crate::kernel::event::Event;
use crate::kernel::id::{Attempt, Seq, Timestamp};
use crate::kernel::tables::Tables;
use crate::prelude::*;
use crate::registry::Registry;
use crate::runtime::peers::Shared;
use crate::runtime::real::SystemEntropy;
use crate::seams::{Task, Work};
use crate::store::plain::PlainStore;
use crate::workflow::call::StartCall;

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
struct Hand(Mutex<Duration>);

impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        Timestamp(1_767_225_600_000_000).after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep_until(&self, _: Duration) -> Task {
        Box::pin(std::future::pending())
    }
}

/// Keeps tasks, and runs none.
#[derive(Debug, Default)]
struct Kept;

impl Spawn for Kept {
    fn task(&self, task: Task) {
        std::mem::forget(task);
    }

    fn blocking(&self, _: &str, task: Task) {
        std::mem::forget(task);
    }

    fn pool(&self, work: Work) {
        std::mem::forget(work);
    }

    fn wait(&self, _: Task) {}
}

fn start_of(call: StartCall) -> Message {
    start_as("x", call)
}

fn start_as(id: &str, call: StartCall) -> Message {
    let (reply, _) = oneshot::channel();
    let input = call.payload(PayloadCodec::default()).unwrap();
    Message::Start(Box::new(StartRequest {
        namespace: Text::default(),
        id: id.into(),
        call,
        input,
        trace: None,
        reply,
    }))
}

struct Bench {
    driver: Driver,
    store: Arc<PlainStore>,
    send: UnboundedSender<Message>,
    clock: Arc<Hand>,
}

impl Bench {
    fn new(registry: Registry) -> Bench {
        Bench::with_attempts(registry, 10)
    }

    fn with_attempts(registry: Registry, attempts: usize) -> Bench {
        let clock = Arc::new(Hand::default());
        let (send, receive) = tokio::sync::mpsc::unbounded_channel();
        let config = Config {
            build: "b1".into(),
            pid: 1,
            host: "host".into(),
            attempts,
            numbers: Numbers::default(),
            role: Role::First,
            residence: Residence::Stay,
            seed: 7,
        };
        let (definitions, codec) = (Arc::new(Definitions::of(registry)), PayloadCodec::default());
        let now = Now { wall: clock.wall(), monotonic: Duration::ZERO };
        let store = Arc::new(PlainStore::new(Arc::new(|| {})));
        let driver = Driver::new(Parts {
            kernel: Kernel::open(config, Tables::default(), Stop::Clean, now),
            hot: Hot::new(Arc::clone(&definitions), codec, "b1".into()),
            log: Arc::<PlainStore>::clone(&store),
            definitions,
            states: States::default(),
            codec,
            build: "b1".into(),
            clock: Arc::<Hand>::clone(&clock),
            spawn: Arc::new(Kept),
            entropy: Arc::new(SystemEntropy::new()),
            send: send.clone(),
            receive,
            reads: Reader::start(Arc::<PlainStore>::clone(&store), &Kept, send.clone()),
            peers: Peers::new(0, [send.clone()].into(), Arc::new(Shared::new(attempts))),
            moved: Arc::default(),
        });
        Bench { driver, store, send, clock }
    }

    /// Shows its clock and its store to `ponders`.
    fn show(&self) {
        WORLD.with(|world| world.set((Arc::clone(&self.clock), Arc::clone(&self.store)))).unwrap();
    }

    fn start(&mut self, call: StartCall) {
        self.handle(start_of(call));
    }

    fn handle(&mut self, message: Message) {
        self.driver.handle(message);
        self.driver.pump();
    }

    fn advance(&mut self, span: Duration) {
        *self.clock.0.lock().unwrap() += span;
        self.driver.pump();
    }
}

static BEGUN: AtomicU32 = AtomicU32::new(0);

/// A step whose attempts never end by themselves.
#[workflow]
async fn patient() -> durable::Result<u32> {
    let step = crate::step("wait", || {
        BEGUN.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<u32, String>>()
    });
    Ok(step.start_to_close(Duration::from_secs(10)).retry(crate::retry::fixed("1s").jitter(0.0)).await?)
}

#[test]
fn a_report_of_an_attempt_that_was_given_up_takes_nothing_from_the_next_one() {
    let mut bench = Bench::new(Registry::of((patient,)));
    bench.start(patient().into_start());
    assert_eq!(BEGUN.load(Ordering::Relaxed), 1);
    bench.advance(Duration::from_secs(10));
    // It ended in the moment in which it was given up.
    let late = || Message::Attempt {
        run: RunNo(1),
        seq: Seq(1),
        attempt: Attempt(1),
        report: AttemptReport::Completed(crate::payload::encode(PayloadCodec::default(), &1).unwrap()),
    };
    bench.handle(late());
    bench.advance(Duration::from_secs(1));
    assert_eq!(BEGUN.load(Ordering::Relaxed), 2, "the closure is there for the second attempt");
    bench.handle(late());
    assert_eq!(bench.driver.attempts.running(), 1, "and the second attempt can still be stopped");
}

#[activity]
async fn quick() -> Result<u32, String> {
    Ok(1)
}

#[workflow]
async fn noop() -> Result<u32, String> {
    Ok(1)
}

#[workflow]
async fn calls_many(n: u32) -> durable::Result<u32> {
    let ended = futures::future::join_all((0..n).map(|_| quick())).await;
    Ok(u32::try_from(ended.into_iter().filter_map(Result::ok).count())?)
}

/// None of them waits for a slot, which would be recorded: each gives its own back before the next one begins.
#[test]
fn attempts_that_end_in_their_first_poll_need_one_slot() {
    let mut bench = Bench::with_attempts(Registry::of((quick, calls_many)), 1);
    bench.start(calls_many(12).into_start());
    while bench.driver.pump() == Pumped::Some {}
    let journal = bench.store.journal(RunNo(1)).unwrap();
    let is_start = |event: &Event| matches!(event, Event::AttemptStarted { .. });
    assert!(!journal.iter().any(|(_, _, event)| is_start(event)), "{journal:?}");
    assert!(matches!(journal.last(), Some((_, _, Event::RunEnded(_)))), "{journal:?}");
}

thread_local! {
    /// What the attempts of `ponders` look at: each test has a thread of its own.
    static WORLD: std::cell::OnceCell<(Arc<Hand>, Arc<PlainStore>)> = const { std::cell::OnceCell::new() };
}

/// Computes for longer than effects may take together; gives how many runs have a result by then.
#[activity]
async fn ponders() -> Result<usize, String> {
    let (clock, store) = WORLD.with(|world| world.get().unwrap().clone());
    *clock.0.lock().unwrap() += 2 * EFFECTS_FOR;
    let journals = (1..=3).filter_map(|run| store.journal(RunNo(run)));
    let has_result = |(_, _, event): &_| matches!(event, Event::ActivityCompleted { .. });
    Ok(journals.filter(|journal| journal.iter().any(has_result)).count())
}

#[workflow]
async fn calls_ponders() -> durable::Result<usize> {
    Ok(ponders().await?)
}

#[test]
fn an_attempt_that_takes_long_is_written_before_the_next_one_begins() {
    let mut bench = Bench::new(Registry::of((ponders, calls_ponders)));
    bench.show();
    for id in ["x", "y", "z"] {
        bench.driver.handle(start_as(id, calls_ponders().into_start()));
    }
    while bench.driver.pump() == Pumped::Some {}
    for run in 1..=3 {
        let journal = bench.store.journal(RunNo(run)).unwrap();
        let Some((_, _, Event::RunEnded(ended))) = journal.last() else { panic!("{journal:?}") };
        assert_eq!(crate::payload::decode::<u64>(&ended.result), Ok(run - 1), "those before it");
    }
}

thread_local! {
    /// How many attempts of `unwanted` have begun.
    static UNWANTED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

#[activity]
async fn unwanted() -> Result<usize, String> {
    UNWANTED.set(UNWANTED.get() + 1);
    Ok(0)
}

#[workflow]
async fn races_ponders() -> durable::Result<usize> {
    Ok(select! {
        x = ponders() => x?,
        x = unwanted() => x?,
    })
}

/// The first one takes so long that it is reported by itself, and its result ends the run.
#[test]
fn an_attempt_that_was_ordered_and_is_not_wanted_any_more_does_not_begin() {
    let mut bench = Bench::new(Registry::of((ponders, unwanted, races_ponders)));
    bench.show();
    bench.start(races_ponders().into_start());
    while bench.driver.pump() == Pumped::Some {}
    let journal = bench.store.journal(RunNo(1)).unwrap();
    assert!(matches!(journal.last(), Some((_, _, Event::RunEnded(_)))), "{journal:?}");
    assert_eq!(UNWANTED.get(), 0, "it began when the run had ended");
    assert_eq!(bench.driver.kernel.attempts_in_flight(), 0);
    assert_eq!(bench.driver.kernel.slots_held(), 10);
}

/// It never waits for anything but what is there at once.
#[workflow]
async fn restless(of: String) -> Result<u32, String> {
    loop {
        match of.as_str() {
            "calls" => drop(quick().await),
            "timers" => crate::sleep(Duration::ZERO).await,
            _ => drop(noop().await),
        }
    }
}

#[test]
fn a_run_that_never_pauses_does_not_keep_the_driver_for_itself() {
    for of in ["calls", "timers", "children"] {
        let mut bench = Bench::new(Registry::of((quick, noop, restless)));
        bench.start(restless(of.to_owned()).into_start());
        assert_eq!(bench.driver.pump(), if of == "calls" { Pumped::Some } else { Pumped::All }, "{of}");
        let more = bench.driver.kernel.poll_timeout(bench.driver.now()) == Some(Duration::ZERO);
        assert_eq!(more, of != "calls", "{of}: it goes on when others had their turn");
        let (reply, mut answer) = oneshot::channel();
        bench.handle(Message::Cancel { run: RunNo(1), reason: "enough".into(), reply });
        while bench.driver.kernel.tables().open.contains_key(&RunNo(1)) {
            bench.driver.pump();
        }
        assert!(matches!(answer.try_recv(), Ok(Answered::By(Answer::Done))), "{of}");
    }
}

#[workflow]
async fn idle() -> Result<u32, String> {
    crate::sleep(Duration::from_secs(3600)).await;
    Ok(1)
}

/// A value that can be written once.
#[derive(serde::Deserialize)]
struct Fragile;

impl serde::Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        static WRITTEN: AtomicU32 = AtomicU32::new(0);
        assert_eq!(WRITTEN.fetch_add(1, Ordering::Relaxed), 0, "written twice");
        serializer.serialize_unit()
    }
}

#[workflow]
async fn handles(fragile: Fragile) -> Result<u32, String> {
    let Fragile = fragile;
    Ok(1)
}

#[tokio::test]
async fn who_waits_for_a_driver_that_panicked_is_told() {
    // The one time: the next one is the driver's.
    drop(crate::payload::encode(PayloadCodec::default(), &Fragile));
    let bench = Bench::new(Registry::of((handles, idle)));
    let send = bench.send.clone();
    let (reply, waits) = oneshot::channel();
    send.send(start_of(idle().into_start())).unwrap();
    send.send(Message::Watch { run: RunNo(1), blocked: WhenBlocked::Wait, reply }).unwrap();
    let (log, driving) = (Arc::clone(&bench.driver.log), tokio::spawn(bench.driver.run()));
    send.send(Message::Start(Box::new(StartRequest {
        namespace: Text::default(),
        id: "y".into(),
        input: crate::payload::encode(PayloadCodec::default(), &1).unwrap(),
        call: handles(Fragile).into_start(),
        trace: None,
        reply: oneshot::channel().0,
    })))
    .unwrap();
    let told = |answered| matches!(answered, Ok(Answered::Refused(Refused::Store(reason))) if reason.as_str().contains("written twice"));
    assert!(told(waits.await), "who waited");
    let (reply, comes_later) = oneshot::channel();
    send.send(Message::Describe { run: RunNo(1), reply }).unwrap();
    assert!(told(comes_later.await), "who comes later");
    let (reply, shutdown) = oneshot::channel();
    send.send(Message::Shutdown { deadline: Duration::ZERO, reply }).unwrap();
    assert!(shutdown.await.unwrap().is_err(), "nothing was closed");
    let group = crate::kernel::event::Group::default();
    assert!(log.append(&group).is_err(), "the store is let go of");
    send.send(Message::Kill).unwrap();
    driving.await.unwrap();
}

#[test]
fn who_gave_up_waiting_for_a_run_is_forgotten() {
    let mut bench = Bench::new(Registry::of((idle,)));
    bench.start(idle().into_start());
    let (reply, mut stays) = oneshot::channel();
    bench.handle(Message::Watch { run: RunNo(1), blocked: WhenBlocked::Wait, reply });
    for _ in 0..1000 {
        let (reply, _) = oneshot::channel();
        bench.handle(Message::Watch { run: RunNo(1), blocked: WhenBlocked::Wait, reply });
    }
    assert!(bench.driver.callers.len() <= WATCHING_MIN, "{} callers are kept", bench.driver.callers.len());
    let (reply, _) = oneshot::channel();
    bench.handle(Message::Terminate { run: RunNo(1), reason: "enough".into(), reply });
    assert!(matches!(stays.try_recv(), Ok(Answered::By(Answer::Ended(_)))), "who stayed is told");
    assert!(bench.driver.callers.is_empty() && bench.driver.watching.is_empty());
}

#[activity(at_most_once)]
async fn stubborn() -> Result<u32, String> {
    std::future::pending().await
}

#[workflow]
async fn calls_stubborn() -> durable::Result<u32> {
    Ok(stubborn().await?)
}

#[test]
fn a_second_shutdown_waits_as_the_first_does() {
    let mut bench = Bench::new(Registry::of((stubborn, calls_stubborn)));
    bench.start(calls_stubborn().into_start());
    let (reply, mut first) = oneshot::channel();
    bench.handle(Message::Shutdown { deadline: Duration::from_secs(30), reply });
    let (reply, mut second) = oneshot::channel();
    bench.handle(Message::Shutdown { deadline: Duration::from_secs(90), reply });
    assert!(!bench.driver.has_drained());
    let waits = Err(oneshot::error::TryRecvError::Empty);
    assert_eq!((first.try_recv(), second.try_recv()), (waits.clone(), waits));
    bench.advance(Duration::from_secs(30));
    assert!(bench.driver.has_drained(), "the earlier deadline counts");
}
