//! One order, from its start to its end, through processes that are stopped and orders that are cancelled where a plan says. One thread,
//! one seed, no real time: the same plan gives the same play.

use std::collections::BTreeMap;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use durable::kernel::id::Timestamp;
use durable::runtime::World;
use durable::seams::{Clock, Seams, Spawn};
use durable::{Registry, Run, RunError, Runtime, SignalError, StartError, Undone};
use durable_testkit::{InlineSpawn, Keep, ManualClock, SeededEntropy, SimDisk, SimProcess, Snapshot, Unfinished};
use futures::FutureExt;
use futures::future::{Either, select};

use super::partners::{Habits, Partners};
use super::shops::EXAMPLE;
use super::steps::Steps;
use crate::checkout::shop::{APPROVAL, Approval, CheckoutError};

pub(super) type Sale = Run<String, CheckoutError>;
type Starting = Pin<Box<dyn Future<Output = Result<Sale, StartError>>>>;

const EPOCH: Timestamp = Timestamp(1_700_000_000_000_000);

/// An order that has not ended after so long never does.
const LONGEST: Duration = Duration::from_secs(3600);

/// When the order is answered, counted from each start of a process.
const ANSWERED_AFTER: Duration = Duration::from_secs(1);

/// A build of the shop, and how it takes the order.
#[derive(Clone, Copy)]
pub(super) struct Shop {
    pub(super) build: &'static str,
    pub(super) flow: Flow,
    pub(super) registry: fn() -> Registry,
    pub(super) start: fn(&Runtime) -> Starting,
}

/// Whether an order does one thing after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    OneByOne,
    AtOnce,
}

/// A world for an order.
#[derive(Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) shop: Shop,
    pub(super) habits: Habits,
    /// Whether it is approved; none if nobody says.
    pub(super) approved: Option<bool>,
    pub(super) residence: Residence,
    /// In which order tasks are polled; none is the order in which they became ready.
    pub(super) seed: Option<u64>,
}

/// Whether runs stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Residence {
    Stays,
    PutAway,
}

/// What happens to one process of the shop, or in its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// The order is cancelled, before the process's poll of this number.
    Cancel(u64),
    /// The run is terminated, before this poll.
    Terminate(u64),
    /// The runtime is shut down, before this poll.
    ShutDown(u64),
    /// The process dies, before this poll.
    DieAtPoll(u64, After),
    /// The process dies when its disk has done so many operations.
    DieAtOperation(u64, After),
    /// The process dies so long after it began.
    DieAfter(Duration),
}

/// What a stopped process leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// The operation at hand is not done; the page cache stays.
    Crash,
    /// The operation at hand is done, and nobody heard of it; the page cache stays.
    CrashDone,
    /// The power goes, and with it what was not synced.
    PowerCut,
    /// The power goes; what was not synced is there or not, sector by sector.
    TornPowerCut,
}

/// What was asked of the order from outside, and how that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    No,
    /// There was no answer yet.
    Open,
    /// The run had ended.
    Closed,
    /// It is on disk.
    Taken,
}

/// How the run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) how: How,
    pub(super) text: String,
    /// Names, by list.
    pub(super) undone: Vec<String>,
    pub(super) not_undone: Vec<String>,
    pub(super) unknown: Vec<String>,
}

/// The kinds of ends that an order can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    Sold,
    Failed,
    Cancelled,
    TimedOut,
    Terminated,
    NotUndone,
    /// It is parked.
    Blocked,
}

/// What was seen of a play.
pub(super) struct Played {
    pub(super) end: End,
    pub(super) partners: Partners,
    pub(super) cancel: Asked,
    pub(super) terminate: Asked,
    /// Its processes.
    pub(super) seen: Vec<Seen>,
    disk: SimDisk,
}

/// What was seen of one process.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) end: Option<End>,
    /// The first poll, and how many operations were done, when the order was known to be on disk.
    pub(super) from: Option<(u64, u64)>,
    pub(super) polls: u64,
    pub(super) operations: u64,
    /// The first poll of each moment: between two moments something happened on the disk, outside, or to the clock.
    pub(super) moments: Vec<u64>,
}

/// What outlives the processes.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) disk: SimDisk,
    pub(super) clock: ManualClock,
    pub(super) partners: Partners,
    cancel: Arc<Mutex<Asked>>,
    terminate: Arc<Mutex<Asked>>,
}

/// What a process and its hooks share.
#[derive(Default)]
struct Desk {
    runtime: Option<Runtime>,
    sale: Option<Sale>,
    /// The poll and the operation at which the order was known to be on disk.
    from: Option<(u64, u64)>,
    shuts_down: bool,
}

/// All that a process which dies leaves, as far as it can be told from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Moment {
    operations: (u64, usize),
    moves: usize,
    at: Timestamp,
    asked: (Asked, Asked),
}

/// Plays an order through these processes, each with what happens in its time, and if one of them was stopped, another one in which
/// nothing does.
pub(super) fn play(case: &Case, processes: &[&[Act]]) -> Played {
    let stage = Stage::new(case.habits);
    let mut seen: Vec<Seen> = processes.iter().map(|acts| stage.run_process(case, acts)).collect();
    if processes.iter().copied().flatten().any(|act| act.stops()) || processes.is_empty() {
        seen.push(stage.run_process(case, &[]));
    }
    stage.over(seen)
}

impl Stage {
    /// A machine with a store that was made before, and is empty.
    pub(super) fn new(habits: Habits) -> Stage {
        static EMPTY: OnceLock<Snapshot> = OnceLock::new();
        let stage = Stage::bare(habits);
        stage.disk.restore(EMPTY.get_or_init(|| {
            let stage = Stage::bare(habits);
            stage.make_store();
            stage.disk.snapshot()
        }));
        stage
    }

    /// A machine with nothing on it.
    pub(super) fn bare(habits: Habits) -> Stage {
        let disk = SimDisk::scheduled(7);
        Stage {
            partners: Partners::new(habits, disk.clone()),
            disk,
            clock: ManualClock::new(EPOCH),
            cancel: Arc::new(Mutex::new(Asked::No)),
            terminate: Arc::new(Mutex::new(Asked::No)),
        }
    }

    fn make_store(&self) {
        let process = self.disk.process();
        let steps = Steps::of(process.clone(), None);
        let made = async {
            let runtime = self.open(&EXAMPLE, Residence::Stays, &process, &steps).await;
            runtime.shutdown().await.unwrap();
        };
        steps.tasks.run(made, || self.disk.step() || self.clock.advance_to_next()).unwrap();
        process.crash(Unfinished::NotDone);
        steps.tasks.drop_tasks();
    }

    /// Runs one process until it has seen the order's end or is stopped.
    pub(super) fn run_process(&self, case: &Case, acts: &[Act]) -> Seen {
        let process = self.disk.process();
        let steps = Steps::of(process.clone(), case.seed);
        let desk = Arc::default();
        acts.iter().for_each(|act| self.plan(*act, &process, &steps, &desk));
        let moments = self.watch(&steps);
        let living = async {
            let serving = pin!(self.serve(case, &process, &steps, &desk));
            match select(pin!(process.death()), serving).await {
                Either::Left(_) => None,
                Either::Right((end, _)) => end,
            }
        };
        let idle = || self.disk.step() || (self.clock.wall() < EPOCH.after(LONGEST) && self.clock.advance_to_next());
        let ended = steps.tasks.run(living, idle);
        let (polls, operations) = (steps.polls(), process.performed());
        self.leave(acts, &process);
        let from = std::mem::take(&mut *lock(&desk)).from;
        steps.tasks.drop_tasks();
        let end = ended.unwrap_or_else(|| panic!("{}: {acts:?}: it goes no further\n{}", case.name, self.ledger()));
        let moments = std::mem::take(&mut *lock(&moments)).into_values().collect();
        Seen { end, from, polls, operations, moments }
    }

    /// Notes the first poll at which the disk, the partners, the clock and what was asked are as they are.
    fn watch(&self, steps: &Steps) -> Arc<Mutex<BTreeMap<Moment, u64>>> {
        let moments = Arc::new(Mutex::new(BTreeMap::new()));
        let (disk, partners, clock, noted) =
            (self.disk.clone(), self.partners.clone(), self.clock.clone(), Arc::clone(&moments));
        let (cancel, terminate) = (Arc::clone(&self.cancel), Arc::clone(&self.terminate));
        steps.watch(move |poll| {
            let moment = Moment {
                operations: (disk.performed(), disk.in_flight()),
                moves: partners.moves(),
                at: clock.wall(),
                asked: (*lock(&cancel), *lock(&terminate)),
            };
            lock(&noted).entry(moment).or_insert(poll);
        });
        moments
    }

    /// Somebody wants the order cancelled: the next process asks for it.
    pub(super) fn want_cancel(&self) {
        *lock(&self.cancel) = Asked::Open;
    }

    /// Somebody wants the run terminated.
    pub(super) fn want_termination(&self) {
        *lock(&self.terminate) = Asked::Open;
    }

    /// All that was seen, when it is over.
    pub(super) fn over(self, seen: Vec<Seen>) -> Played {
        self.partners.all_arrive();
        let mut ends = seen.iter().filter_map(|process| process.end.clone()).filter(|end| end.how != How::Blocked);
        let end = ends.next().expect("because the order ends");
        assert!(ends.all(|other| other == end), "an end that was told changes");
        let (cancel, terminate) = (*lock(&self.cancel), *lock(&self.terminate));
        Played { end, partners: self.partners, cancel, terminate, seen, disk: self.disk }
    }

    /// What the partners did, in words.
    pub(super) fn ledger(&self) -> String {
        self.partners.ledger().iter().map(|line| format!("  {line}\n")).collect()
    }

    fn plan(&self, act: Act, process: &SimProcess, steps: &Steps, desk: &Arc<Mutex<Desk>>) {
        let (process, desk, tasks) = (process.clone(), Arc::clone(desk), steps.tasks.clone());
        match act {
            Act::Cancel(poll) => {
                let asked = Arc::clone(&self.cancel);
                steps.before(poll, move || {
                    let Some(sale) = lock(&desk).sale.clone() else { return };
                    begin(&tasks, async move { ask(&asked, sale.cancel("the customer changed their mind")).await });
                });
            }
            Act::Terminate(poll) => {
                let asked = Arc::clone(&self.terminate);
                steps.before(poll, move || {
                    let Some(sale) = lock(&desk).sale.clone() else { return };
                    begin(&tasks, async move { ask(&asked, sale.terminate("enough")).await });
                });
            }
            Act::ShutDown(poll) => steps.before(poll, move || {
                let Some(runtime) = lock(&desk).runtime.clone() else { return };
                lock(&desk).shuts_down = true;
                begin(&tasks, async move { runtime.shutdown().await.unwrap() });
            }),
            Act::DieAtPoll(poll, after) => steps.before(poll, move || process.crash(after.unfinished(poll))),
            Act::DieAfter(span) => {
                let dies = self.clock.sleep_until(self.clock.monotonic() + span);
                begin(&tasks, async move {
                    dies.await;
                    process.crash(Unfinished::NotDone);
                });
            }
            Act::DieAtOperation(operations, after) => process.crash_after(operations, after.unfinished(operations)),
        }
    }

    /// What is left of a process that is gone.
    fn leave(&self, acts: &[Act], process: &SimProcess) {
        process.crash(Unfinished::NotDone);
        for act in acts {
            let (Act::DieAtPoll(at, after) | Act::DieAtOperation(at, after)) = act else { continue };
            match after {
                After::Crash | After::CrashDone => {}
                After::PowerCut => self.disk.power_cut(&Keep::Nothing),
                After::TornPowerCut => self.disk.power_cut(&Keep::Seed(*at)),
            }
        }
    }

    /// The process: none if its runtime is shut down before it sees the order's end.
    async fn serve(&self, case: &Case, process: &SimProcess, steps: &Steps, desk: &Mutex<Desk>) -> Option<End> {
        let runtime = self.open(&case.shop, case.residence, process, steps).await;
        lock(desk).runtime = Some(runtime.clone());
        let known = || (steps.polls() + 1, process.performed());
        match self.follow(case, &runtime, desk, known).await {
            Ok(end) => Some(end),
            Err(_) if lock(desk).shuts_down => {
                runtime.shutdown().await.unwrap();
                None
            }
            Err(error) => panic!("{}: {error}", case.name),
        }
    }

    async fn open(&self, shop: &Shop, residence: Residence, process: &SimProcess, steps: &Steps) -> Runtime {
        let pid = 100 + process.id().0;
        let seams = Seams {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(pid.into()).with_pid(pid)),
            spawn: Arc::new(steps.clone()),
        };
        let world = World::new(seams, Arc::new(process.clone()));
        let builder = Runtime::builder("/shop").register((shop.registry)()).state(self.partners.line());
        let builder = match residence {
            Residence::Stays => builder,
            Residence::PutAway => builder.put_away_at_every_await(),
        };
        builder.build_id(shop.build).world(world).open().await.unwrap()
    }

    /// Starts or finds the order, and follows it. A cancel that was not answered is asked for again.
    async fn follow(
        &self,
        case: &Case,
        runtime: &Runtime,
        desk: &Mutex<Desk>,
        known: impl FnOnce() -> (u64, u64),
    ) -> anyhow::Result<End> {
        let sale = (case.shop.start)(runtime).await?;
        lock(desk).sale = Some(sale.clone());
        lock(desk).from = Some(known());
        if *lock(&self.cancel) == Asked::Open {
            ask(&self.cancel, sale.cancel("the customer still thinks so")).await;
        }
        if *lock(&self.terminate) == Asked::Open {
            ask(&self.terminate, sale.terminate("enough, still")).await;
        }
        let ended = match select(pin!(sale.result_or_blocked()), pin!(self.answer(case, &sale))).await {
            Either::Left((ended, _)) => ended,
            Either::Right(((), ended)) => ended.await,
        };
        let (how, text) = match ended {
            Ok(Err(error @ RunError::Store(_))) => return Err(error.into()),
            Ok(ended) => (How::of(&ended), format!("{ended:?}")),
            Err(blocked) => (How::Blocked, blocked.reason),
        };
        let Undone { undone, not_undone, unknown, .. } = sale.describe().await?.undone;
        let [undone, not_undone, unknown] = [undone, not_undone, unknown]
            .map(|calls| calls.into_iter().map(|call| call.name.to_string()).collect::<Vec<_>>());
        Ok(End { how, text, undone, not_undone, unknown })
    }

    async fn answer(&self, case: &Case, sale: &Sale) {
        let Some(yes) = case.approved else { return };
        self.clock.sleep_until(self.clock.monotonic() + ANSWERED_AFTER).await;
        // A run that has ended takes no answer, and neither does a runtime that shuts down.
        let _ = sale.signal_once(APPROVAL, Approval { yes }, "the answer").await;
    }
}

impl Played {
    /// The same for two plays that are the same to the disk and to the partners.
    pub(super) fn likeness(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.disk.trace().iter().for_each(|line| format!("{:?}{:?}", line.op, line.ending).hash(&mut hasher));
        self.partners.history().hash(&mut hasher);
        hasher.finish()
    }
}

impl Act {
    fn stops(&self) -> bool {
        matches!(self, Act::ShutDown(_) | Act::DieAtPoll(..) | Act::DieAtOperation(..) | Act::DieAfter(_))
    }
}

impl After {
    fn unfinished(self, seed: u64) -> Unfinished {
        match self {
            After::Crash | After::PowerCut => Unfinished::NotDone,
            After::CrashDone => Unfinished::Done,
            After::TornPowerCut => Unfinished::Half(seed),
        }
    }
}

impl How {
    fn of(ended: &Result<String, RunError<CheckoutError>>) -> How {
        match ended {
            Ok(_) => How::Sold,
            Err(RunError::Failed(_)) => How::Failed,
            Err(RunError::Cancelled) => How::Cancelled,
            Err(RunError::TimedOut) => How::TimedOut,
            Err(RunError::Terminated(_)) => How::Terminated,
            Err(RunError::CompensationFailed { .. }) => How::NotUndone,
            Err(other) => panic!("no order ends so: {other:?}"),
        }
    }
}

/// Begins something now, and lets it go on beside the tasks that are counted.
fn begin(tasks: &InlineSpawn, future: impl Future<Output = ()> + Send + 'static) {
    let mut future = Box::pin(future);
    if (&mut future).now_or_never().is_none() {
        tasks.task(future);
    }
}

/// Asks the run for something, and notes the answer.
async fn ask(asked: &Mutex<Asked>, answer: impl Future<Output = Result<(), SignalError>>) {
    let note = |now: Asked| {
        let mut asked = lock(asked);
        *asked = (*asked).max(now);
    };
    note(Asked::Open);
    match answer.await {
        Ok(()) => note(Asked::Taken),
        Err(SignalError::Closed) => note(Asked::Closed),
        // The runtime shuts down.
        Err(_) => {}
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
