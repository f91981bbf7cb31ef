//! Several processes on one store, in any interleaving of their operations: stopped and let go on, killed, with the lock
//! file deleted, with power cuts in between. All of them append to one run's journal, each where it knows the journal to
//! end, so that the journal which is left says in which order everything happened: whatever a process was told when it
//! opened the store, and what was acknowledged to it, is the begin of that journal, and nobody else's record in between.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use durable::kernel::event::{Event, Group, RunStarted, Section, Sender};
use durable::kernel::id::{EventNo, RunNo};
use durable::seams::{Seams, Spawn};
use durable::store::disk::Disk;
use durable::store::log::{JournalEvent, LoadError, Log, OpenError, Recovered, Report, StoreError, open};

use super::model::AT;
use super::player::{self, DIR, NOW};
use super::script::SMALL;
use super::search::Wrong;
use crate::disk::{AfterFailedSync, Fault, Keep, OpKind, Personality, SimDisk, SimProcess, Unfinished, When, errno};
use crate::rng::Rng;
use crate::seams::{InlineSpawn, ManualClock, SeededEntropy};

/// How many processes live at once, at most.
const ALIVE_MAX: usize = 4;
/// How many moves a schedule has.
const MOVES: usize = 120;
/// How many of the last operations a story tells.
const OPERATIONS_TOLD: usize = 80;
const RUN: RunNo = RunNo(1);

/// One thing that happens. A process is named by its number among those that live, counted around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// So many operations of the disk are done, whosever they are, and those who waited for them go on.
    Step(u8),
    /// A group is appended, with a payload of so many bytes.
    Append(u8, u16),
    Stop(u8),
    Resume(u8),
    /// A new process opens the store.
    Open,
    /// Somebody deletes the lock file.
    DeleteLock,
    Kill(u8, u64),
    /// The process's next sync fails.
    FailSync(u8, AfterFailedSync),
    /// The process's next write fails.
    FailWrite(u8),
    /// The power goes.
    Cut(u64),
    /// What a crash would leave now is looked at.
    Look(u64),
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A schedule as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    personality: Personality,
    /// Whether only the lock file's lock excludes others, and not that of the newest segment.
    locks_lock_file_only: bool,
    moves: Vec<Move>,
}

impl Schedule {
    /// The schedule of a seed.
    pub(super) fn random(seed: u64) -> Schedule {
        let mut rng = Rng::new(seed ^ 0xC0_57E4D);
        let personality = if rng.percent(70) { Personality::Hostile } else { Personality::ALL[rng.index(4)] };
        let locks_lock_file_only = rng.percent(70);
        let (fails, cuts) = (rng.percent(25), rng.percent(50));
        let mut moves = vec![Move::Open];
        moves.extend((1..MOVES).map(|_| drawn(&mut rng, fails, cuts)));
        Schedule { seed, personality, locks_lock_file_only, moves }
    }

    pub(super) fn len(&self) -> usize {
        self.moves.len()
    }

    /// The same without the moves from `at` on, `count` of them.
    pub(super) fn without(&self, at: usize, count: usize) -> Schedule {
        let kept = self.moves.iter().enumerate().filter(|(number, _)| !(at..at + count).contains(number));
        Schedule { moves: kept.map(|(_, one)| *one).collect(), ..self.clone() }
    }

    /// Plays it. Gives how many images were looked at.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn play(&self) -> Result<u64, Wrong> {
        let disk = SimDisk::scheduled(self.seed);
        disk.stop_tracing();
        self.play_on(disk).map_err(|_| {
            // Once more, with a trace.
            let disk = SimDisk::scheduled(self.seed);
            let what = self.play_on(disk.clone()).expect_err("because a schedule does the same every time");
            let mut story = vec![format!("a {:?} disk, several processes", self.personality)];
            story.push(format!(
                "{} moves: {}",
                self.len(),
                self.moves.iter().map(|one| format!("{one} ")).collect::<String>()
            ));
            let trace = disk.trace();
            story.extend(trace.iter().skip(trace.len().saturating_sub(OPERATIONS_TOLD)).map(ToString::to_string));
            Wrong { what, story }
        })
    }

    fn play_on(&self, disk: SimDisk) -> Result<u64, String> {
        disk.set_personality(self.personality);
        if self.locks_lock_file_only {
            disk.lock_only("LOCK");
        }
        let mut contest = Contest { disk, all: Vec::new(), looks: 0, is_faulty: Arc::default() };
        for one in &self.moves {
            contest.make(*one)?;
        }
        contest.look(self.seed)?;
        Ok(contest.looks)
    }
}

fn drawn(rng: &mut Rng, fails: bool, cuts: bool) -> Move {
    let who = u8::try_from(rng.index(ALIVE_MAX)).expect("because it is small");
    match rng.index(40) {
        0..6 => Move::Append(who, [8, 60, 400, 1500][rng.index(4)]),
        6 | 7 => Move::Stop(who),
        8 | 9 => Move::Resume(who),
        10 if rng.percent(60) => Move::Open,
        11 if rng.percent(60) => Move::DeleteLock,
        12 if rng.percent(10) => Move::Kill(who, rng.next_u64() >> 40),
        13 if fails && rng.percent(40) => {
            let leaves = [AfterFailedSync::NewContent, AfterFailedSync::OldContent][rng.index(2)];
            Move::FailSync(who, leaves)
        }
        14 if fails && rng.percent(40) => Move::FailWrite(who),
        15 if cuts && rng.percent(15) => Move::Cut(rng.next_u64() >> 40),
        16 if rng.percent(20) => Move::Look(rng.next_u64() >> 40),
        _ => Move::Step([1, 1, 2, 5, 20, 60][rng.index(6)]),
    }
}

/// What a process knows.
#[derive(Debug, Default)]
struct Knows {
    log: Option<Log>,
    /// The journal, as it was when the store was opened, and what was appended since.
    journal: Vec<u64>,
    /// So much of it is there for ever: what the open found, and what was acknowledged.
    firm: usize,
    /// How long the journal was at the open.
    found: usize,
    wrong: Option<String>,
}

fn lock(knows: &Mutex<Knows>) -> MutexGuard<'_, Knows> {
    knows.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Contender {
    number: u64,
    sim: SimProcess,
    spawn: InlineSpawn,
    knows: Arc<Mutex<Knows>>,
}

impl Contender {
    fn new(disk: &SimDisk, number: u64, is_faulty: Arc<AtomicBool>) -> Contender {
        let (sim, spawn) = (disk.process(), InlineSpawn::in_order());
        let knows: Arc<Mutex<Knows>> = Arc::default();
        let listened = Arc::clone(&knows);
        let listener = Arc::new(move |report| {
            if let Report::Durable(position) = report {
                let mut knows = lock(&listened);
                knows.firm = knows.found + usize::try_from(position.0).unwrap_or(usize::MAX);
            }
        });
        let opening = open(Arc::new(sim.clone()), seams(&sim, &spawn), player::options(SMALL, listener));
        let (slot, tasks) = (Arc::clone(&knows), spawn.clone());
        spawn.task(Box::pin(async move {
            let opened = opening.await;
            let may_fail = is_faulty.load(Ordering::Relaxed);
            match opened {
                Ok((log, writer, found)) => {
                    let journal = journal(&log, &found).await;
                    begin(&slot, log, journal, is_faulty.load(Ordering::Relaxed));
                    tasks.blocking("writer", Box::pin(writer.run()));
                }
                Err(OpenError::AlreadyOpen { .. } | OpenError::Store(StoreError::LockLost { .. })) => {}
                Err(OpenError::Disk(_) | OpenError::NoSpace(_)) if may_fail => {}
                Err(error) => lock(&slot).wrong = Some(format!("process {number} cannot open a sound store: {error}")),
            }
        }));
        Contender { number, sim, spawn, knows }
    }

    /// Appends where the journal ends, as far as it knows.
    fn append(&self, bytes: u16) {
        let mut knows = lock(&self.knows);
        let Some(log) = knows.log.clone() else { return };
        let number = self.number * 1_000 + (knows.journal.len() - knows.found) as u64 + 1;
        let group = group(knows.journal.len() as u64, number, bytes);
        if log.append(&group, AT).is_ok() {
            knows.journal.push(number);
        }
    }

    fn fail(&self, kind: OpKind, fault: Fault) {
        self.sim.fail(When::Kind(kind, self.sim.performed_of(kind) + 1), fault);
    }
}

fn begin(slot: &Mutex<Knows>, log: Log, journal: Result<Vec<JournalEvent>, LoadError>, may_fail: bool) {
    let mut knows = lock(slot);
    match journal {
        Ok(journal) => {
            knows.journal = numbers(&journal);
            knows.found = knows.journal.len();
            knows.firm = knows.found;
            knows.log = Some(log);
        }
        Err(LoadError::Disk(_)) if may_fail => {}
        Err(error) => knows.wrong = Some(format!("what an open found does not load: {error}")),
    }
}

fn seams(sim: &SimProcess, spawn: &InlineSpawn) -> Seams {
    let pid = 100 + sim.id().0;
    Seams {
        clock: Arc::new(ManualClock::new(NOW)),
        entropy: Arc::new(SeededEntropy::new(u64::from(pid)).with_pid(pid)),
        spawn: Arc::new(spawn.clone()),
    }
}

async fn journal(log: &Log, found: &Recovered) -> Result<Vec<JournalEvent>, LoadError> {
    if found.tables.open.contains_key(&RUN) { log.load(RUN).await } else { Ok(Vec::new()) }
}

/// Event `no` of the run, whose number is `number`.
fn group(no: u64, number: u64, bytes: u16) -> Group {
    let event = if no == 0 {
        let id = number.to_string().into();
        Event::RunStarted(Box::new(RunStarted { id, workflow: "flow".into(), ..RunStarted::default() }))
    } else {
        let mut payload = number.to_le_bytes().to_vec();
        payload.resize(usize::from(bytes).max(8), 0x5a);
        Event::SignalReceived { name: "n".into(), payload: payload.into(), sender: Sender::Anonymous }
    };
    Group { sections: vec![Section::of(RUN, EventNo(no), AT, vec![event])] }
}

fn numbers(journal: &[JournalEvent]) -> Vec<u64> {
    let number = |event: &Event| match event {
        Event::RunStarted(started) => started.id.as_str().parse().ok(),
        Event::SignalReceived { payload, .. } => payload.0.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes)),
        _ => None,
    };
    journal.iter().filter_map(|(_, _, event)| number(event)).collect()
}

/// The store, and all who ever had it or wanted it.
struct Contest {
    disk: SimDisk,
    all: Vec<Contender>,
    looks: u64,
    /// Whether something that may fail has failed on purpose, or may.
    is_faulty: Arc<AtomicBool>,
}

impl Contest {
    fn living(&self) -> Vec<&Contender> {
        self.all.iter().filter(|one| !one.sim.is_dead()).collect()
    }

    fn with(&self, who: u8, act: impl FnOnce(&Contender)) {
        let living = self.living();
        if let Some(one) = usize::from(who).checked_rem(living.len()).and_then(|at| living.get(at)) {
            act(one);
        }
    }

    fn make(&mut self, one: Move) -> Result<(), String> {
        match one {
            Move::Step(count) => (0..count).for_each(|_| self.step()),
            Move::Append(who, bytes) => self.with(who, |one| {
                one.append(bytes);
                one.spawn.run_until_idle();
            }),
            Move::Stop(who) => self.with(who, |one| one.sim.stop()),
            Move::Resume(who) => self.with(who, |one| one.sim.resume()),
            Move::Open => {
                self.open();
                self.living().into_iter().for_each(|one| one.spawn.run_until_idle());
            }
            Move::DeleteLock => drop(self.disk.remove_file(Path::new(DIR).join("LOCK"))),
            Move::Kill(who, seed) => self.with(who, |one| {
                one.sim.crash(Unfinished::Half(seed));
                one.spawn.drop_tasks();
            }),
            Move::FailSync(who, leaves) => {
                let fault = Fault::SyncFails { errno: errno::EIO, leaves, reached: Keep::Nothing };
                self.is_faulty.store(true, Ordering::Relaxed);
                self.with(who, |one| one.fail(OpKind::SyncData, fault));
            }
            Move::FailWrite(who) => {
                self.is_faulty.store(true, Ordering::Relaxed);
                self.with(who, |one| one.fail(OpKind::Write, Fault::Errno(errno::EIO)));
            }
            Move::Cut(seed) => return self.cut(seed),
            Move::Look(seed) => return self.look(seed),
        }
        self.heard()
    }

    fn step(&self) {
        self.disk.step();
        self.living().into_iter().for_each(|one| one.spawn.run_until_idle());
    }

    fn heard(&self) -> Result<(), String> {
        self.all.iter().find_map(|one| lock(&one.knows).wrong.take()).map_or(Ok(()), Err)
    }

    fn open(&mut self) {
        if self.living().len() < ALIVE_MAX {
            self.all.push(Contender::new(&self.disk, self.all.len() as u64 + 1, Arc::clone(&self.is_faulty)));
        }
    }

    fn cut(&mut self, seed: u64) -> Result<(), String> {
        self.look(seed)?;
        self.disk.power_cut(&Keep::Seed(seed));
        self.all.iter().for_each(|one| one.spawn.drop_tasks());
        self.open();
        Ok(())
    }

    /// Looks at what the death of all processes would leave, and some power cuts.
    fn look(&mut self, seed: u64) -> Result<(), String> {
        self.heard()?;
        let moment = self.disk.snapshot();
        let seeds = (0..3).map(|more| Some(Keep::Seed(seed.wrapping_add(more))));
        for keep in [None, Some(Keep::Nothing), Some(Keep::Everything)].into_iter().chain(seeds) {
            let disk = SimDisk::from_snapshot(&moment);
            match &keep {
                Some(keep) => disk.power_cut(keep),
                None => self.all.iter().for_each(|one| {
                    disk.process_crash(&disk.process_by_id(one.sim.id()), Unfinished::NotDone);
                }),
            }
            self.looks += 1;
            let left = left_on(&disk).map_err(|wrong| format!("after {keep:?}: {wrong}"))?;
            self.judge(&left).map_err(|wrong| format!("after {keep:?}: {wrong}"))?;
        }
        Ok(())
    }

    fn judge(&self, left: &[u64]) -> Result<(), String> {
        for one in &self.all {
            let mut knows = lock(&one.knows);
            if let Some(log) = &knows.log {
                // Who asks the log is told as well.
                let durable = usize::try_from(log.durable().0).unwrap_or(usize::MAX);
                knows.firm = knows.firm.max(knows.found.saturating_add(durable));
            }
            let firm = &knows.journal[..knows.firm.min(knows.journal.len())];
            if !left.starts_with(firm) {
                return Err(format!(
                    "process {} found {} events and was told of {} in all, {firm:?}; what is left is {left:?}",
                    one.number, knows.found, knows.firm
                ));
            }
        }
        let appended: BTreeSet<u64> = self.all.iter().flat_map(|one| lock(&one.knows).journal.clone()).collect();
        let distinct: BTreeSet<u64> = left.iter().copied().collect();
        match left.iter().find(|number| !appended.contains(number)) {
            Some(number) => Err(format!("{number} was never appended, and it is in {left:?}")),
            None if distinct.len() < left.len() => Err(format!("something stands twice in {left:?}")),
            None => Ok(()),
        }
    }
}

/// The journal on a disk on which no process lives.
fn left_on(disk: &SimDisk) -> Result<Vec<u64>, String> {
    let (sim, spawn) = (disk.process(), InlineSpawn::in_order());
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let opening = open(disk, seams(&sim, &spawn), player::options(SMALL, Arc::new(|_| {})));
    let opened = spawn.run(opening, || false).ok_or("the open of the store never ends")?;
    let (log, _writer, found) = opened.map_err(|error| format!("a sound store does not open: {error}"))?;
    let journal = spawn.run(journal(&log, &found), || false).ok_or("the journal never loads")?;
    journal.map(|journal| numbers(&journal)).map_err(|error| format!("the journal does not load: {error}"))
}
