//! Plays a scenario on a simulated disk with the real log, and notes at every operation what was acknowledged and what
//! was appended by then. It looks at every open as the oracle does, and never crashes anything that the scenario does not.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durable::kernel::event::{Event, Group, Section, Text};
use durable::kernel::id::{Position, Timestamp};
use durable::kernel::tables::Tables;
use durable::seams::{Seams, Spawn};
use durable::store::disk::Disk;
use durable::store::log::{IndexAt, Log, Options, Recovered, Report, SegmentSizes, Sizes, Writer, open};

use super::model::{AT, Author, Entry, History};
use super::oracle::{self, Bounds, Complaint, Outcome};
use super::script::Act;
use crate::disk::{
    AfterFailedSync, Fault, Keep, Moment, OpKind, Personality, SimDisk, SimProcess, Unfinished, When, errno,
};
use crate::rng::Rng;
use crate::seams::{InlineSpawn, ManualClock, SeededEntropy};

/// Where the store is.
pub(super) const DIR: &str = "/store";

/// The wall clock at the begin.
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

/// How the log is opened.
pub(super) fn options(sizes: SegmentSizes, listener: durable::store::log::Listener) -> Options {
    let sizes = Sizes {
        segments: sizes,
        reserve_bytes: 4096,
        checkpoint_bytes_min: 64 << 20,
        frame_cache_bytes: 1 << 20,
        stretch_bytes: 6144,
    };
    Options { dir: PathBuf::from(DIR), listener, sizes, index: IndexAt::Memory }
}

/// A moment, and what must be and may be there if all ends in it.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) moment: Moment,
    pub(super) bounds: Bounds,
    /// Which history counts, of those that the play has had.
    pub(super) history: usize,
    /// Which act it belongs to.
    pub(super) act: usize,
}

/// What the disk's watcher and the log's listener write down.
#[derive(Debug)]
struct Ledger {
    points: Option<Vec<Point>>,
    bounds: Bounds,
    history: usize,
    act: usize,
    /// How many things stand up to each position of the open log.
    positions: Vec<usize>,
    failed: Option<String>,
    wrong: Option<String>,
}

impl Ledger {
    fn point(&mut self, moment: Moment) {
        let (bounds, history, act) = (self.bounds, self.history, self.act);
        if let Some(points) = &mut self.points {
            points.push(Point { moment, bounds, history, act });
        }
    }

    fn report(&mut self, report: Report) {
        match report {
            // What the log appends of itself has no position of its own.
            Report::Durable(Position(0)) => {}
            Report::Durable(position) => {
                let index = usize::try_from(position.0).ok().and_then(|position| position.checked_sub(1));
                match index.and_then(|index| self.positions.get(index)) {
                    Some(count) => self.bounds.lower = self.bounds.lower.max(*count),
                    None => self.wrong = Some(format!("position {} is durable and was never given", position.0)),
                }
            }
            Report::Poisoned(cause) => self.failed = Some(cause.to_string()),
            Report::NoSpace | Report::SpaceAgain => {}
        }
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What may excuse a log that does not do what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// Nothing.
    None,
    /// The disk was full: the log waits, and goes on when there is space. A close does not wait.
    Space,
    /// Something failed, or may.
    Any,
}

/// A process that has the log open.
struct Live {
    sim: SimProcess,
    spawn: InlineSpawn,
    log: Log,
}

/// What a play came to.
pub(super) struct Played {
    /// Every operation that may have changed something.
    pub(super) points: Vec<Point>,
    /// The histories, from the first.
    pub(super) histories: Vec<History>,
    /// What must be there at the end, and what may.
    pub(super) bounds: Bounds,
    /// The lines of the story, one or more an act.
    pub(super) story: Vec<String>,
}

/// See the head of the file.
pub(super) struct Player {
    disk: SimDisk,
    sizes: SegmentSizes,
    clock: ManualClock,
    ledger: Arc<Mutex<Ledger>>,
    live: Option<Live>,
    author: Author,
    histories: Vec<History>,
    history: History,
    /// What goes wrong when the log is opened next.
    fault_at_open: Option<(When, Fault)>,
    trouble: Trouble,
    story: Vec<String>,
}

impl Player {
    /// A player on a disk that holds the first `bounds.lower` to `bounds.upper` things of `history`.
    pub(super) fn new(disk: SimDisk, sizes: SegmentSizes, history: History, bounds: Bounds, author: Author) -> Player {
        let ledger = Ledger {
            points: Some(Vec::new()),
            bounds,
            history: 0,
            act: 0,
            positions: Vec::new(),
            failed: None,
            wrong: None,
        };
        let ledger = Arc::new(Mutex::new(ledger));
        let watcher = Arc::clone(&ledger);
        disk.watch(move |moment| lock(&watcher).point(moment));
        Player {
            disk,
            sizes,
            clock: ManualClock::new(NOW),
            ledger,
            live: None,
            author,
            histories: Vec::new(),
            history,
            fault_at_open: None,
            trouble: Trouble::None,
            story: Vec::new(),
        }
    }

    /// Plays all acts.
    ///
    /// # Errors
    /// What is wrong, with the story so far.
    pub(super) fn play(mut self, acts: &[Act]) -> Result<Played, (String, Vec<String>)> {
        for (number, act) in acts.iter().enumerate() {
            lock(&self.ledger).act = number;
            let bounds = lock(&self.ledger).bounds;
            self.story.push(format!("{act}  ({} acknowledged of {})", bounds.lower, bounds.upper));
            if let Err(wrong) = self.act(*act) {
                return Err((wrong, self.story));
            }
        }
        self.end_life();
        self.disk.unwatch();
        self.histories.push(self.history);
        let (points, bounds) = {
            let mut ledger = lock(&self.ledger);
            (ledger.points.take().unwrap_or_default(), ledger.bounds)
        };
        Ok(Played { points, bounds, histories: self.histories, story: self.story })
    }

    fn act(&mut self, act: Act) -> Result<(), String> {
        match act {
            Act::Append { groups, bytes } => self.append(groups, bytes)?,
            Act::Idle => self.live()?.log.idle(),
            Act::Checkpoint => self.checkpoint()?,
            Act::CheckpointAnd { bytes } => {
                self.checkpoint()?;
                self.append(1, bytes)?;
            }
            Act::Close => self.close()?,
            Act::Stop => self.stop()?,
            Act::Kill => self.end_life(),
            Act::Cut(seed) => {
                self.end_life();
                self.disk.power_cut(&Keep::Seed(seed));
            }
            Act::FailSync { nth, leaves } => self.plan(Some(OpKind::SyncData), nth, sync_fails(leaves)),
            Act::FailWrite { nth, errno } => self.plan(Some(OpKind::Write), nth, Fault::Errno(errno)),
            Act::ShortWrite { nth, bytes } => self.plan(Some(OpKind::Write), nth, Fault::ShortWrite(bytes.into())),
            Act::FailAny { nth, errno } => self.plan(None, nth, Fault::Errno(errno)),
            Act::Full { bytes } => self.fill(bytes),
            Act::Free => self.free(),
        }
        self.settle()
    }

    /// Lets everything run that can.
    fn settle(&mut self) -> Result<(), String> {
        if let Some(live) = &self.live {
            live.spawn.run_until_idle();
            if self.trouble != Trouble::None && !self.is_full() {
                // What looked like a full disk is none any more.
                self.clock.advance(Duration::from_secs(1));
                live.spawn.run_until_idle();
            }
        }
        let mut ledger = lock(&self.ledger);
        if let Some(wrong) = ledger.wrong.take() {
            return Err(wrong);
        }
        let owed = ledger.positions.last().copied().unwrap_or_default();
        match &ledger.failed {
            _ if self.trouble == Trouble::Any || self.live.is_none() => Ok(()),
            Some(cause) => Err(format!("{:?} is no reason, and the log stands still: {cause}", self.trouble)),
            None if self.is_full() => Ok(()),
            None if ledger.bounds.lower < owed => {
                Err(format!("{owed} things were appended, {} are acknowledged, and nothing moves", ledger.bounds.lower))
            }
            None => Ok(()),
        }
    }

    // Opening.

    fn live(&mut self) -> Result<&Live, String> {
        if lock(&self.ledger).failed.is_some() {
            self.end_life();
        }
        if self.live.is_none() {
            self.open()?;
        }
        Ok(self.live.as_ref().expect("because it was opened right now"))
    }

    fn open(&mut self) -> Result<(), String> {
        if let Some((sim, spawn, opened)) = self.try_open()? {
            return self.opened(sim, spawn, opened);
        }
        // It failed, and it may have: the faults are over now.
        self.free();
        match self.try_open()? {
            Some((sim, spawn, opened)) => self.opened(sim, spawn, opened),
            None => Err("the store does not open although nothing goes wrong any more".to_owned()),
        }
    }

    /// Opens the log; none if it does not open for a reason that the scenario gave.
    #[expect(clippy::type_complexity, reason = "the parts of an open log, taken apart at once")]
    fn try_open(&mut self) -> Result<Option<(SimProcess, InlineSpawn, (Log, Writer, Recovered))>, String> {
        let (sim, spawn) = (self.disk.process(), InlineSpawn::in_order());
        let fault = self.fault_at_open.take();
        let may_fail = fault.is_some() || self.is_full();
        self.trouble = match (&fault, self.is_full()) {
            (None, false) => Trouble::None,
            (None, true) => self.space_trouble(),
            (Some(_), _) => Trouble::Any,
        };
        if let Some((when, fault)) = fault {
            sim.fail(when, fault);
        }
        {
            let mut ledger = lock(&self.ledger);
            ledger.positions.clear();
            ledger.failed = None;
        }
        let listened = Arc::clone(&self.ledger);
        let options = options(self.sizes, Arc::new(move |report| lock(&listened).report(report)));
        let disk: Arc<dyn Disk> = Arc::new(sim.clone());
        let opened = spawn.run(open(disk, self.seams(&sim, &spawn), options), || false);
        match opened.ok_or("the open of the store never ends")? {
            Ok(opened) => Ok(Some((sim, spawn, opened))),
            Err(_) if may_fail => {
                sim.crash(Unfinished::NotDone);
                Ok(None)
            }
            Err(error) => Err(format!("the store does not open: {error}")),
        }
    }

    fn seams(&self, sim: &SimProcess, spawn: &InlineSpawn) -> Seams {
        let pid = 100 + sim.id().0;
        Seams {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(u64::from(pid)).with_pid(pid)),
            spawn: Arc::new(spawn.clone()),
        }
    }

    fn opened(
        &mut self,
        sim: SimProcess,
        spawn: InlineSpawn,
        (log, writer, recovered): (Log, Writer, Recovered),
    ) -> Result<(), String> {
        let bounds = lock(&self.ledger).bounds;
        let count = oracle::judge(&Outcome::found(recovered.tables, recovered.is_clean), &self.history, bounds)?;
        match oracle::look_closely(&log, &self.history, count) {
            // The fault that was meant for the open met the look; it is over now.
            Err(Complaint::Unread(_)) if self.trouble == Trouble::Any => {
                oracle::look_closely(&log, &self.history, count)?;
            }
            looked => looked?,
        }
        self.story.push(format!("  opened: the first {count} things are there"));
        if count < self.history.len() {
            self.histories.push(self.history.clone());
            self.history.cut(count);
        }
        {
            // What an open has told of is there for ever.
            let mut ledger = lock(&self.ledger);
            ledger.bounds = Bounds { lower: count, upper: count };
            ledger.history = self.histories.len();
        }
        spawn.blocking("writer", Box::pin(writer.run()));
        self.live = Some(Live { sim, spawn, log });
        Ok(())
    }

    /// The process dies, if one lives.
    fn end_life(&mut self) {
        if let Some(live) = self.live.take() {
            live.sim.crash(Unfinished::NotDone);
            live.spawn.drop_tasks();
        }
    }

    // Appending.

    fn append(&mut self, groups: u8, bytes: u16) -> Result<(), String> {
        self.live()?;
        for _ in 0..groups {
            let group = self.author.group(&self.history, bytes.into());
            let Some(live) = &self.live else { break };
            if let Err(error) = live.log.append(&group, AT) {
                return if self.trouble == Trouble::Any { Ok(()) } else { Err(format!("a group is refused: {error}")) };
            }
            let ends = ended(&group, self.history.tables(self.history.len()));
            self.push(Entry::Group(group));
            let count = self.history.len();
            lock(&self.ledger).positions.push(count);
            ends.into_iter().for_each(|id| self.ask(id, count));
        }
        Ok(())
    }

    /// Asks for a run that ends right now: who is told of its end is told for ever.
    fn ask(&self, id: Text, count: usize) {
        let Some(live) = &self.live else { return };
        let (log, ledger) = (live.log.clone(), Arc::clone(&self.ledger));
        live.spawn.task(Box::pin(async move {
            if let Ok(Some(_)) = log.find_closed(&"".into(), &id).await {
                let mut ledger = lock(&ledger);
                ledger.bounds.lower = ledger.bounds.lower.max(count);
            }
        }));
    }

    fn push(&mut self, entry: Entry) {
        self.history.push(entry);
        lock(&self.ledger).bounds.upper = self.history.len();
    }

    fn checkpoint(&mut self) -> Result<(), String> {
        self.live()?;
        let tables = Arc::clone(self.history.tables(self.history.len()));
        let Some(live) = &self.live else { return Ok(()) };
        match live.log.checkpoint(&tables) {
            Ok(_) => self.push(Entry::Checkpoint),
            Err(error) if self.trouble != Trouble::Any => return Err(format!("a checkpoint is refused: {error}")),
            Err(_) => {}
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let closing = self.live()?.log.close();
        self.push(Entry::Closed);
        let Some(live) = &self.live else { return Ok(()) };
        let closed = live.spawn.run(closing, || false).ok_or("the close never ends")?;
        match closed {
            Ok(()) => {
                let mut ledger = lock(&self.ledger);
                ledger.bounds.lower = ledger.bounds.upper;
            }
            Err(error) if self.trouble == Trouble::None => return Err(format!("the log does not close: {error}")),
            Err(_) => {}
        }
        self.end_life();
        Ok(())
    }

    fn stop(&mut self) -> Result<(), String> {
        let stopping = self.live()?.log.stop();
        let Some(live) = &self.live else { return Ok(()) };
        live.spawn.run(stopping, || false).ok_or("the stop never ends")?;
        self.end_life();
        Ok(())
    }

    // What goes wrong.

    fn plan(&mut self, kind: Option<OpKind>, nth: u8, fault: Fault) {
        let nth = u64::from(nth);
        let when = |done: u64| kind.map_or(When::Operation(done + nth), |kind| When::Kind(kind, done + nth));
        match &self.live {
            Some(live) => {
                let done = kind.map_or_else(|| live.sim.performed(), |kind| live.sim.performed_of(kind));
                // A short write is continued: nobody may notice.
                if !matches!(fault, Fault::ShortWrite(_)) {
                    self.trouble = Trouble::Any;
                }
                live.sim.fail(when(done), fault);
            }
            None => self.fault_at_open = Some((when(0), fault)),
        }
    }

    fn is_full(&self) -> bool {
        self.disk.free_space().is_some()
    }

    fn fill(&mut self, bytes: u16) {
        self.disk.limit_space(u64::MAX);
        let used = u64::MAX - self.disk.free_space().unwrap_or(u64::MAX);
        self.disk.limit_space(used + u64::from(bytes));
        self.trouble = self.trouble.max(self.space_trouble());
    }

    /// Where blocks are copied on write a frame's own write may meet the full disk, which is final.
    fn space_trouble(&self) -> Trouble {
        if self.disk.personality() == Personality::Btrfs { Trouble::Any } else { Trouble::Space }
    }

    /// There is space again, and the log goes on by itself.
    fn free(&mut self) {
        self.disk.unlimit_space();
        self.clock.advance(Duration::from_secs(1));
    }
}

/// The ids of the runs that end in a group.
fn ended(group: &Group, before: &Tables) -> Vec<Text> {
    let ends = |section: &&Section| section.events.iter().any(|event| matches!(event, Event::RunEnded(_)));
    let id = |section: &Section| before.open.get(&section.run).map(|entry| entry.id.clone());
    group.sections.iter().filter(ends).filter_map(id).collect()
}

fn sync_fails(leaves: AfterFailedSync) -> Fault {
    Fault::SyncFails { errno: errno::EIO, leaves, reached: Keep::Nothing }
}

/// An author for a play that begins where others ended: its numbers are its own.
pub(super) fn author(seed: u64, depth: u8) -> Author {
    Author::new(Rng::new(seed ^ u64::from(depth) << 56), u64::from(depth) * 1_000_000)
}
