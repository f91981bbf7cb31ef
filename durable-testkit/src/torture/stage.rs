//! What outlives every process of a play: the world outside, which has seen each attempt begin and end, each acknowledgement, and
//! what workflow code saw. It only writes down; what is wrong with it the oracle says.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durable::RunId;
use durable::activity::{self, AttemptInfo};
use durable::kernel::event::Text;
use durable::kernel::id::Timestamp;
use durable::seams::Clock;

use super::program::{Ask, Build, Given, How, Refusal, Word};
use crate::sim::{Process, SimClock, current_process};

thread_local! {
    static STAGE: RefCell<Option<Arc<Stage>>> = const { RefCell::new(None) };
}

/// What is done to a process.
type Deed = Box<dyn FnOnce() + Send>;

/// The world outside. One thread plays on one stage at a time.
pub(super) struct Stage {
    /// None where a journal is replayed for the oracle: no time passes there.
    clock: Option<SimClock>,
    inner: Mutex<Seen>,
    reapers: Mutex<Vec<Reaper>>,
}

/// Waits until something has been counted in a process.
struct Reaper {
    process: u32,
    what: Counted,
    left: u32,
    deed: Option<Deed>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Acknowledgements.
    Answers,
    /// Those of them that say that a run has ended.
    Ends,
    /// Attempts that began.
    Attempts,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("seen", &self.seen()).finish_non_exhaustive()
    }
}

/// All that was seen.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Every attempt that began, in order.
    pub attempts: Vec<AttemptSeen>,
    /// Every acknowledgement, in order.
    pub acks: Vec<Ack>,
    /// Every time that a workflow's body began, live or in a replay: what it saw.
    pub bodies: Vec<Body>,
    /// How far each client is, and whether it has asked and not heard.
    pub clients: Vec<(usize, bool)>,
    /// Processes that opened the store, in order.
    pub opened: Vec<Opened>,
    /// What is wrong, as far as it was seen at once.
    pub wrong: Vec<String>,
    /// What a person reads.
    pub lines: Vec<String>,
    /// When a fault hit something in flight while a run was open.
    pub faults: Vec<Duration>,
    /// Crashes after which the store was opened again.
    pub crashes: u64,
    /// Those of them in which the power went.
    pub power_cuts: u64,
    /// When somebody removed the lock file last.
    pub unlocked: Option<Duration>,
    /// Processes that were shut down.
    pub shut_down: BTreeSet<u32>,
    /// Those of them that closed the store.
    pub left_clean: BTreeSet<u32>,
    /// When each process died that went wrong or was past its time.
    pub died: BTreeMap<u32, Duration>,
    /// When the wall clock was set, and by how many microseconds.
    pub clock_set: Vec<(Duration, i64)>,
    /// What became of the process that had the store open, until the next one opens it.
    pub crash: Option<Crash>,
    processes: BTreeMap<u32, (Process, Build)>,
    nonces: u64,
}

impl Seen {
    /// Whether a run is open, as far as clients were told.
    fn has_work(&self) -> bool {
        let mut open = BTreeSet::new();
        for ack in &self.acks {
            match &ack.what {
                Acked::Started(program, _) => open.insert(*program),
                Acked::Ended(program, _) | Acked::Closed(program) | Acked::Terminated(program) => open.remove(program),
                Acked::Signalled(..) | Acked::Cancelled(_) => continue,
            };
        }
        !open.is_empty()
    }
}

/// What a fault hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Struck {
    /// An operation of the disk in flight.
    Operation,
    /// A process with nothing in flight there: perhaps its attempts.
    Process(u32),
    /// All processes, with nothing in flight there.
    Machine,
}

/// How a process died that had the store open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// It alone: what it wrote is there, on the disk or in the page cache.
    Killed,
    /// With the machine, or before the machine went: what no sync covered may be gone.
    PowerCut,
}

/// A process has opened the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// Which.
    pub process: u32,
    /// When.
    pub at: Duration,
    /// When by the wall clock.
    pub wall: Timestamp,
    /// Which build it runs.
    pub build: Build,
}

/// An attempt, as the world outside sees it.
#[derive(Debug, Clone)]
pub struct AttemptSeen {
    /// Whose.
    pub run: RunId,
    /// Its workflow id.
    pub id: Text,
    /// The call.
    pub seq: u32,
    /// Which try.
    pub attempt: u32,
    /// The activity.
    pub name: Text,
    /// Under which key the world knows the call.
    pub key: String,
    /// What was asked.
    pub ask: Ask,
    /// No other attempt has it.
    pub nonce: u64,
    /// In which process.
    pub process: u32,
    /// When it began.
    pub began: Duration,
    /// When it began by the wall clock.
    pub wall: Timestamp,
    /// How it ended.
    pub ended: Ended,
    /// When it ended; when it began, if it has not.
    pub until: Duration,
}

impl AttemptSeen {
    /// That it began, for a person.
    fn in_a_line(&self) -> String {
        let AttemptSeen { id, seq, attempt, name, ask, nonce, process, began, .. } = self;
        let (began, site) = (Shown(*began), ask.site);
        format!(
            "{began} process {process} begins {name} of {id}, seq {seq}, attempt {attempt} (site {site}, nonce {nonce})"
        )
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It runs.
    Not,
    /// It gave a result.
    Gave,
    /// It returned an error, or panicked.
    Failed,
    /// It was dropped by its process.
    Dropped,
    /// Its process died.
    Died,
}

/// Something that was acknowledged.
#[derive(Debug, Clone)]
pub struct Ack {
    /// When.
    pub at: Duration,
    /// By which process.
    pub process: u32,
    /// What.
    pub what: Acked,
}

/// What is acknowledged.
#[derive(Debug, Clone, PartialEq)]
pub enum Acked {
    /// A run of this number has started, or had.
    Started(usize, RunId),
    /// A signal is on disk.
    Signalled(usize, Word, Once),
    /// A cancel is.
    Cancelled(usize),
    /// A run was terminated.
    Terminated(usize),
    /// A run has ended, said when something was asked of it.
    Closed(usize),
    /// It ended so.
    Ended(usize, String),
}

/// Whether a signal has a message id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Once {
    /// It has.
    Yes,
    /// It has none.
    No,
}

/// One time that a body ran.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// In which process.
    pub process: u32,
    /// Tells the programs of a case apart.
    pub program: u64,
    /// When it began.
    pub at: Duration,
    /// What it saw, in order.
    pub saw: Vec<Saw>,
    /// Sleeps that are over.
    pub sleeps: Vec<Slept>,
}

/// What a body saw, and when.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saw {
    /// When.
    pub at: Duration,
    /// What.
    pub what: Sight,
}

/// What workflow code sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// A result.
    Given(Given),
    /// A call's error: its kind, and what its last attempt said.
    Refused(u64, Option<Given>),
    /// A child's result, or the kind of its error.
    Child(Result<u64, u64>),
    /// A signal.
    Word(Word),
    /// The time and a random number.
    Look(u64, u64),
    /// The time behind a statement.
    Time(u64),
}

impl Body {
    /// The results that it saw.
    pub fn given(&self) -> impl Iterator<Item = &Given> {
        self.saw.iter().filter_map(|saw| if let Sight::Given(given) = &saw.what { Some(given) } else { None })
    }

    /// The signals that it heard.
    pub fn words(&self) -> impl Iterator<Item = &Word> {
        self.saw.iter().filter_map(|saw| if let Sight::Word(word) = &saw.what { Some(word) } else { None })
    }

    /// The times and random numbers at which it looked.
    pub fn looks(&self) -> impl Iterator<Item = (u64, u64)> {
        self.saw
            .iter()
            .filter_map(|saw| if let Sight::Look(now, random) = saw.what { Some((now, random)) } else { None })
    }

    /// The time behind each statement.
    pub fn times(&self) -> impl Iterator<Item = u64> {
        self.saw.iter().filter_map(|saw| if let Sight::Time(now) = saw.what { Some(now) } else { None })
    }
}

/// A sleep, as long as its body was awake.
#[derive(Debug, Clone, Copy)]
pub struct Slept {
    /// When the body came to it.
    pub began: Duration,
    /// How long it was to be.
    pub span: Duration,
    /// When it was over.
    pub ended: Duration,
}

impl Seen {
    /// Who opened the store last, unless it has closed it.
    fn owner(&self) -> Option<u32> {
        let newest = self.opened.last()?.process;
        (!self.left_clean.contains(&newest)).then_some(newest)
    }

    /// A process has opened the store: what became of the one before counts.
    pub(super) fn opens(&mut self, opened: Opened) {
        let crash = self.crash.take();
        self.crashes += u64::from(crash.is_some());
        self.power_cuts += u64::from(crash == Some(Crash::PowerCut));
        self.opened.push(opened);
    }
}

impl Stage {
    /// A stage for a play that begins now.
    pub(super) fn new(clock: SimClock, clients: usize) -> Stage {
        let seen = Seen { clients: vec![(0, false); clients], ..Seen::default() };
        Stage { clock: Some(clock), inner: Mutex::new(seen), reapers: Mutex::default() }
    }

    /// A stage on which nothing plays: what bodies see is written down.
    pub(super) fn aside() -> Stage {
        Stage { clock: None, inner: Mutex::default(), reapers: Mutex::default() }
    }

    /// When so many have been counted in this process, `deed` is done.
    pub(super) fn reap(&self, process: u32, what: Counted, count: u32, deed: impl FnOnce() + Send + 'static) {
        let reaper = Reaper { process, what, left: count.max(1), deed: Some(Box::new(deed)) };
        self.reapers.lock().unwrap_or_else(PoisonError::into_inner).push(reaper);
    }

    fn count(&self, process: u32, what: Counted) {
        let mut reapers = self.reapers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        for reaper in reapers.iter_mut().filter(|reaper| reaper.process == process && reaper.what == what) {
            reaper.left -= 1;
            if reaper.left == 0 {
                due.extend(reaper.deed.take());
            }
        }
        reapers.retain(|reaper| reaper.left > 0);
        drop(reapers);
        due.into_iter().for_each(|deed| deed());
    }

    /// Makes it this thread's, until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Stage>) -> Entered {
        STAGE.set(Some(Arc::clone(self)));
        Entered
    }

    /// The stage of this thread.
    fn current() -> Option<Arc<Stage>> {
        STAGE.with_borrow(Clone::clone)
    }

    /// The build of the process whose code runs here; the first one where a journal is replayed for the oracle.
    fn build_here() -> Build {
        let process = current_process().unwrap_or_default();
        let stage = Stage::current();
        stage.and_then(|stage| stage.seen().processes.get(&process).map(|(_, build)| *build)).unwrap_or(Build::First)
    }

    /// What was seen, to read or to add to.
    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the play has lasted.
    pub(super) fn now(&self) -> Duration {
        self.clock.as_ref().map_or(Duration::ZERO, SimClock::elapsed)
    }

    /// What the wall clock shows.
    pub(super) fn wall(&self) -> Timestamp {
        self.clock.as_ref().map_or(Timestamp(0), Clock::wall)
    }

    /// A process begins.
    pub(super) fn enrol(&self, process: &Process, build: Build) {
        self.seen().processes.insert(process.number(), (process.clone(), build));
    }

    /// Something was acknowledged.
    pub(super) fn ack(&self, process: u32, what: Acked) {
        let at = self.now();
        let mut seen = self.seen();
        let line = format!("{} process {process} answers {what:?}", Shown(at));
        seen.lines.push(line);
        let says_end = matches!(what, Acked::Ended(..) | Acked::Closed(_));
        seen.acks.push(Ack { at, process, what });
        drop(seen);
        self.count(process, Counted::Answers);
        if says_end {
            self.count(process, Counted::Ends);
        }
    }

    /// A process dies by a fault, and had something in flight or not.
    pub(super) fn dies(&self, process: u32, in_flight: bool) {
        self.say(&format!("process {process} dies"));
        let at = self.now();
        let mut seen = self.seen();
        if seen.owner() == Some(process) {
            seen.crash = seen.crash.or(Some(Crash::Killed));
        }
        seen.died.entry(process).or_insert(at);
        drop(seen);
        self.fault(if in_flight { Struck::Operation } else { Struck::Process(process) });
    }

    /// The power goes.
    pub(super) fn power_goes(&self, in_flight: bool) {
        self.say("the power goes");
        let at = self.now();
        let mut seen = self.seen();
        let alive = seen.processes.iter().filter(|(_, (process, _))| !process.is_dead());
        let alive: Vec<u32> = alive.map(|(number, _)| *number).collect();
        for process in alive {
            seen.died.entry(process).or_insert(at);
        }
        if seen.owner().is_some() {
            seen.crash = Some(Crash::PowerCut);
        }
        drop(seen);
        self.fault(if in_flight { Struck::Operation } else { Struck::Machine });
    }

    /// A fault; it counts when it hit an operation of the disk in flight, or cut an attempt short, while a run was open.
    pub(super) fn fault(&self, struck: Struck) {
        let now = self.now();
        let mut seen = self.seen();
        let cuts = |process: Option<u32>| {
            let mut running = seen.attempts.iter().filter(|attempt| attempt.ended == Ended::Not);
            running.any(|attempt| process.is_none_or(|process| attempt.process == process))
        };
        let counts = match struck {
            Struck::Operation => seen.has_work(),
            Struck::Process(process) => cuts(Some(process)),
            Struck::Machine => cuts(None),
        };
        if counts {
            seen.faults.push(now);
        }
    }

    /// A line for a person.
    pub(super) fn say(&self, line: &str) {
        let line = format!("{} {line}", Shown(self.now()));
        self.seen().lines.push(line);
    }

    /// Something is wrong.
    pub(super) fn wrong(&self, what: String) {
        self.seen().wrong.push(what);
    }
}

/// A moment of the play, for a person.
pub(super) struct Shown(pub(super) Duration);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>9}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}

/// The thread's stage is taken away when this is dropped.
#[derive(Debug)]
pub(super) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        STAGE.set(None);
    }
}

/// Where a body writes what it sees; nowhere without a stage.
#[derive(Debug, Clone)]
pub(super) struct Eye {
    body: Option<(Arc<Stage>, usize)>,
    /// How many statements there are before the one at which this build breaks.
    whole: Option<Arc<AtomicU32>>,
    /// Which build it is of.
    build: Build,
}

impl Eye {
    /// A body begins.
    pub(super) fn open(program: u64) -> Eye {
        let body = Stage::current().map(|stage| {
            let mut seen = stage.seen();
            let process = current_process().unwrap_or_default();
            seen.bodies.push(Body { process, program, at: stage.now(), ..Body::default() });
            let body = seen.bodies.len() - 1;
            drop(seen);
            (stage, body)
        });
        Eye { body, whole: None, build: Stage::build_here() }
    }

    /// The same body, of a build that panics when it comes to a statement with so many before it.
    pub(super) fn breaking_behind(self, statements: u32) -> Eye {
        Eye { whole: Some(Arc::new(AtomicU32::new(statements))), ..self }
    }

    /// What this build asks for.
    pub(super) fn widened(&self, ask: Ask) -> Ask {
        let more = (self.build == Build::Widened).then_some(1);
        Ask { more, ..ask }
    }

    /// The body comes to a statement.
    pub(super) fn comes_to_a_statement(&self) {
        let Some(whole) = &self.whole else { return };
        let left = whole.load(Ordering::Relaxed);
        if left == 0 {
            // Without the panic's hook, as the attempts that panic.
            std::panic::resume_unwind(Box::new("this build breaks here".to_owned()));
        }
        whole.store(left - 1, Ordering::Relaxed);
    }

    pub(super) fn saw(&self, what: Sight) {
        self.write(|body, at| body.saw.push(Saw { at, what }));
    }

    /// How long the play has lasted.
    pub(super) fn now(&self) -> Duration {
        self.body.as_ref().map_or(Duration::ZERO, |(stage, _)| stage.now())
    }

    /// A sleep of so long, that began then, is over.
    pub(super) fn slept(&self, began: Duration, span: Duration) {
        self.write(|body, now| body.sleeps.push(Slept { began, span, ended: now }));
    }

    fn write(&self, write: impl FnOnce(&mut Body, Duration)) {
        if let Some((stage, body)) = &self.body {
            let now = stage.now();
            write(&mut stage.seen().bodies[*body], now);
        }
    }
}

/// An attempt that runs. However it ends, the stage sees it.
#[derive(Debug)]
pub(super) struct Attempting {
    stage: Arc<Stage>,
    place: usize,
    given: Given,
}

impl Attempting {
    /// The attempt that runs here begins.
    pub(super) fn begin(ask: &Ask) -> Attempting {
        let stage = Stage::current().expect("because attempts begin in a play alone");
        let info = activity::info();
        let process = current_process().unwrap_or_default();
        let (began, wall) = (stage.now(), stage.wall());
        let mut seen = stage.seen();
        seen.nonces += 1;
        let nonce = seen.nonces;
        let given = given(&info, ask, nonce);
        let attempt = AttemptSeen {
            run: info.run,
            key: info.idempotency_key(),
            id: info.workflow_id,
            seq: info.seq.0,
            attempt: info.attempt.0,
            name: info.activity,
            ask: *ask,
            nonce,
            process,
            began,
            wall,
            ended: Ended::Not,
            until: began,
        };
        let place = seen.attempts.len();
        seen.lines.push(attempt.in_a_line());
        seen.attempts.push(attempt);
        drop(seen);
        let attempting = Attempting { stage, place, given };
        attempting.stage.count(process, Counted::Attempts);
        attempting
    }

    fn fails(&self, ask: &Ask) -> bool {
        self.given.attempt <= u32::from(ask.fails)
    }

    /// Whether it runs into its time limit.
    pub(super) fn hangs(&self, ask: &Ask) -> bool {
        self.fails(ask) && ask.how == How::Hang
    }

    /// It ends as was asked.
    pub(super) fn end(self, ask: &Ask) -> Result<Given, Refusal> {
        if !self.fails(ask) {
            self.close(Ended::Gave);
            return Ok(self.given);
        }
        self.close(Ended::Failed);
        match ask.how {
            // Without the panic's hook: nobody wants to read thousands of them.
            How::Panic => std::panic::resume_unwind(Box::new("as was asked".to_owned())),
            How::Error | How::Hang => Err(Refusal::Again(self.given)),
            How::Final => Err(Refusal::Final(self.given)),
        }
    }

    fn close(&self, ended: Ended) {
        let until = self.stage.now();
        let attempt = &mut self.stage.seen().attempts[self.place];
        (attempt.ended, attempt.until) = (ended, until);
    }
}

impl Drop for Attempting {
    fn drop(&mut self) {
        let until = self.stage.now();
        let mut seen = self.stage.seen();
        let process = seen.attempts[self.place].process;
        let died = seen.processes.get(&process).is_none_or(|(process, _)| process.is_dead());
        let attempt = &mut seen.attempts[self.place];
        if attempt.ended == Ended::Not {
            (attempt.ended, attempt.until) = (if died { Ended::Died } else { Ended::Dropped }, until);
        }
    }
}

/// The number by which what is recorded names a run.
pub(super) fn number_of(run: RunId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = run.0;
    let [.., i, j, k, l, m, n, o, p] = run.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_le_bytes([i, j, k, l, m, n, o, p]).rotate_left(17)
}

/// The id of the run from outside that a run belongs to. A child's own says its parent's seq, and which of two that come at the same
/// time has the lower one is nothing that two plays have in common.
pub(super) fn root_of(id: &str) -> &str {
    id.split('/').next().unwrap_or(id)
}

fn given(info: &AttemptInfo, ask: &Ask, nonce: u64) -> Given {
    let bytes = root_of(info.workflow_id.as_str()).bytes().chain(info.activity.as_str().bytes());
    let start = 0xCBF2_9CE4_8422_2325 ^ u64::from(ask.site);
    let value = bytes.fold(start, |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
    Given { run: number_of(info.run), seq: info.seq.0, attempt: info.attempt.0, nonce, value }
}
