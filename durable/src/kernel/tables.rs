//! The memory tables: what every open run waits for, since when and with which deadline, as a fold of the log. The same
//! fold serves the running kernel, recovery and readers; a checkpoint is these tables, written down. It never looks at a
//! payload and never decides anything: it only says what the journal says.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter::Peekable;
use std::sync::Arc;

use siphasher::sip::SipHasher13;

use super::alike::Alike;
use super::event::{
    ActivityScheduled, AttemptCause, Binding, CallFailure, ClosePolicy, End, Entry, Event, RunStarted, Text, UndoBits,
};
use super::id::{Attempt, Digest, EventNo, RunId, RunNo, Seq, Timestamp};
use super::open_runs::{self, OpenRuns};
use super::rare::{Empty, Rare};
use super::short::Short;
use super::trace::TraceContext;
use super::undo::Undos;

/// Everything that is open, by the log up to some place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// The number that the next run gets.
    pub next_run: RunNo,
    /// The open runs.
    pub open: OpenRuns,
    /// The open runs by namespace and workflow id: [`run_of`](Tables::run_of) asks.
    pub ids: Ids,
    /// What was met lately that many of them have in common.
    pub kinds: Kinds,
}

/// What many runs have in common, as far as it was met lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Kinds of runs.
    pub runs: Alike<RunKind>,
    /// Kinds of calls.
    pub calls: Alike<CallKind>,
}

/// The tables of all kernels of a store, as if they were one's. Each has runs of its own.
#[derive(Debug, Clone, Copy)]
pub struct AllTables<'a>(&'a [&'a Tables]);

impl<'a> AllTables<'a> {
    /// These.
    #[must_use]
    pub fn of(tables: &'a [&'a Tables]) -> AllTables<'a> {
        AllTables(tables)
    }

    /// The number that the next run gets.
    #[must_use]
    pub fn next_run(&self) -> RunNo {
        self.0.iter().map(|tables| tables.next_run).max().unwrap_or_default()
    }

    /// The open runs, in the order of their numbers. What stands on a shelf is read, and not kept.
    pub fn open(&self) -> impl Iterator<Item = (RunNo, Cow<'a, RunEntry>)> {
        Merged(self.0.iter().map(|tables| tables.open.iter().peekable()).collect())
    }
}

/// The open runs of several tables, in the order of their numbers.
struct Merged<'a>(Vec<Peekable<open_runs::Iter<'a>>>);

impl<'a> Iterator for Merged<'a> {
    type Item = (RunNo, Cow<'a, RunEntry>);

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.0.iter_mut().filter_map(|runs| Some((runs.peek()?.0, runs)));
        let (run, runs) = next.min_by_key(|(run, _)| *run)?;
        runs.next().map(|(_, entry)| (run, entry))
    }
}

/// Which runs may have a namespace and workflow id. It holds hashes, and not the texts again: whose they are, the runs tell.
///
/// There is one for each open run: most stand in a sorted vector without a gap, and those that came lately in a tree beside it, until they are an
/// eighth of all.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    /// Sorted. One that was taken out stands there as that of no run.
    settled: Vec<Hashed>,
    /// How many of them are of no run.
    gone: usize,
    late: BTreeSet<Hashed>,
}

/// The hash of an id, and the number of the run that has it, in parts of four bytes.
type Hashed = [u32; 3];

impl Ids {
    /// So many may stand beside however few there are.
    const LATE_MIN: usize = 64;

    /// The ids of many runs at once: put in one by one, each would be searched for.
    pub fn of<'a>(runs: impl Iterator<Item = (RunNo, Cow<'a, RunEntry>)>) -> Ids {
        let hashed =
            |(run, entry): (RunNo, Cow<'_, RunEntry>)| hashed(Ids::hash(&entry.kind.namespace, &entry.id), run);
        let mut settled: Vec<_> = runs.map(hashed).collect();
        settled.sort_unstable();
        settled.shrink_to_fit();
        Ids { settled, ..Ids::default() }
    }

    /// Takes in the ids of other runs.
    pub fn append(&mut self, others: &Ids) {
        self.settle(others.iter());
    }

    /// A run has this id.
    pub fn insert(&mut self, namespace: &Text, id: &Text, run: RunNo) {
        self.late.insert(hashed(Ids::hash(namespace, id), run));
        if self.late.len() > self.settled.len() / 8 + Ids::LATE_MIN {
            self.settle([].into_iter());
        }
    }

    /// A run of this id is gone.
    pub fn remove(&mut self, namespace: &Text, id: &Text, run: RunNo) {
        let hash = Ids::hash(namespace, id);
        if self.late.remove(&hashed(hash, run)) {
            return;
        }
        let (from, of_hash) = self.of_hash(hash);
        let Some(place) = of_hash.iter().position(|settled| *settled == hashed(hash, run)) else { return };
        // It is out of order now among those of its hash, and all of those are looked at.
        self.settled[from + place] = hashed(hash, RunNo(0));
        self.gone += 1;
        if self.gone > self.settled.len() / 4 + Ids::LATE_MIN {
            self.settle([].into_iter());
        }
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.settled.len() == self.gone && self.late.is_empty()
    }

    /// Puts those beside, and others, in their places.
    fn settle(&mut self, others: impl Iterator<Item = Hashed>) {
        let mut more: Vec<Hashed> = std::mem::take(&mut self.late).into_iter().chain(others).collect();
        more.sort_unstable();
        let mut all = std::mem::take(&mut self.settled);
        all.retain(|hashed| !is_gone(hashed));
        // From behind, so that each finds its place without other memory than the vector's own.
        let mut left = all.len();
        all.resize(left + more.len(), Hashed::default());
        while let Some(last) = more.last() {
            let is_before = left > 0 && all[left - 1] > *last;
            let place = left + more.len() - 1;
            if is_before {
                left -= 1;
                all[place] = all[left];
            } else {
                all[place] = *last;
                more.pop();
            }
        }
        if all.len() < all.capacity() / 4 {
            // What a flood of them took is given back.
            all.shrink_to(2 * all.len());
        }
        *self = Ids { settled: all, ..Ids::default() };
    }

    fn iter(&self) -> impl Iterator<Item = Hashed> + '_ {
        self.settled.iter().chain(&self.late).filter(|hashed| !is_gone(hashed)).copied()
    }

    /// The runs that may have this id, the newest first.
    fn candidates(&self, namespace: &Text, id: &Text) -> impl Iterator<Item = RunNo> {
        let hash = Ids::hash(namespace, id);
        let late = self.late.range(hashed(hash, RunNo(0))..=hashed(hash, RunNo(u64::MAX)));
        let all = late.chain(self.of_hash(hash).1);
        // Most often there is none, or one.
        let mut runs: Vec<RunNo> = all.filter(|hashed| !is_gone(hashed)).map(run_of).collect();
        runs.sort_unstable_by(|one, other| other.cmp(one));
        runs.into_iter()
    }

    /// Those of a hash among the settled, and where they begin.
    fn of_hash(&self, hash: u32) -> (usize, &[Hashed]) {
        let from = self.settled.partition_point(|[settled, ..]| *settled < hash);
        let behind = self.settled.get(from..).unwrap_or_default();
        let many = behind.iter().take_while(|[settled, ..]| *settled == hash).count();
        (from, behind.get(..many).unwrap_or_default())
    }

    /// It is stored nowhere, and one that is met twice costs a comparison. Most runs are in the namespace "".
    #[allow(clippy::cast_possible_truncation, reason = "half of the hash is enough")]
    fn hash(namespace: &Text, id: &Text) -> u32 {
        let in_namespace = match namespace.as_str() {
            "" => SipHasher13::new(),
            namespace => SipHasher13::new_with_keys(SipHasher13::new().hash(namespace.as_bytes()), 1),
        };
        in_namespace.hash(id.as_str().as_bytes()) as u32
    }
}

impl PartialEq for Ids {
    fn eq(&self, other: &Self) -> bool {
        let all = |ids: &Ids| ids.iter().collect::<BTreeSet<_>>();
        all(self) == all(other)
    }
}

impl Eq for Ids {}

#[allow(clippy::cast_possible_truncation, reason = "each half is taken")]
fn hashed(hash: u32, RunNo(run): RunNo) -> Hashed {
    [hash, (run >> 32) as u32, run as u32]
}

fn run_of([_, high, low]: &Hashed) -> RunNo {
    RunNo(u64::from(*high) << 32 | u64::from(*low))
}

/// No run has the number 0.
fn is_gone(hashed: &Hashed) -> bool {
    run_of(hashed) == RunNo(0)
}

/// One open run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEntry {
    /// The run's identity.
    pub run: RunId,
    /// What it has in common with others.
    pub kind: Arc<RunKind>,
    /// Its workflow id.
    pub id: Text,
    /// The digest of its input's values.
    pub value: Digest,
    /// The digest of its input's shape.
    pub shape: Digest,
    /// What its digests are keyed with.
    pub salt: [u8; 16],
    /// When it started.
    pub started: Timestamp,
    /// The number that its next event gets.
    pub next: EventNo,
    /// Delivered events that have no turn yet, oldest first.
    pub unturned: Short<EventNo>,
    /// What it waits for, by seq.
    pub waiting: Short<Waiting>,
    /// What few runs have.
    pub rare: Rare<RareParts>,
}

/// What the runs of one workflow have in common that one build polled last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunKind {
    /// Their namespace.
    pub namespace: Text,
    /// Their workflow's recorded name.
    pub workflow: Text,
    /// Their workflow's version.
    pub version: u32,
    /// The build that polled them last.
    pub build: Text,
}

/// What few runs have, or have for long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RareParts {
    /// Where in a distributed trace it was started.
    pub trace: Option<TraceContext>,
    /// Its parent and the command there.
    pub parent: Option<(RunNo, Seq)>,
    /// When it times out.
    pub deadline: Option<Timestamp>,
    /// Calls that the code dropped and that are not settled yet: children to cancel, undos to decide.
    pub dropped: Vec<Waiting>,
    /// Signals that were received and not consumed.
    pub signals: u32,
    /// Why it is not polled.
    pub blocked: Option<Blocked>,
    /// Whether a cancel was requested.
    pub cancelling: bool,
    /// How the body ended, when what it did is being undone.
    pub undoing: Option<End>,
    /// What may have to be undone.
    pub undos: Undos,
}

/// Why a run is not polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The build that met the cause.
    pub build: Text,
    /// The cause, with the way out.
    pub reason: Text,
    /// Since when.
    pub since: Timestamp,
}

/// A command without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The command.
    pub seq: Seq,
    /// When it was asked for.
    pub since: Timestamp,
    /// What it waits for.
    pub what: WaitingFor,
    /// Of an activity: whether the effect of some try may stand.
    pub maybe: bool,
}

/// What a command waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitingFor {
    /// An activity's result.
    Activity {
        /// What it has in common with others.
        call: Arc<CallKind>,
        /// Where its attempts stand.
        state: AttemptState,
    },
    /// A timer.
    Timer {
        /// When it is due.
        due: Timestamp,
    },
    /// A signal.
    Signal {
        /// Its name.
        name: Text,
    },
    /// A child's end.
    Child(Box<WaitingChild>),
}

/// What calls of one activity have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallKind {
    /// The activity's name.
    pub name: Text,
    /// What every build must agree on.
    pub binding: Binding,
    /// The compensations bound to it.
    pub undo: UndoBits,
}

/// A child whose end is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingChild {
    /// The child.
    pub child: RunNo,
    /// Its workflow id.
    pub id: Text,
    /// What becomes of it when the parent ends.
    pub close: ClosePolicy,
}

/// Where a call's attempts stand: its newest event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptState {
    /// Asked for; attempt 1 may begin without another event, unless the call is at-most-once.
    Scheduled,
    /// This attempt may begin.
    Started(Attempt),
    /// An attempt failed, and there is a next one.
    Failed(Box<FailedAttempt>),
    /// This attempt was put aside by a graceful shutdown.
    Parked(Attempt),
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Which.
    pub attempt: Attempt,
    /// When the next one is due.
    pub due: Timestamp,
    /// Why it failed, in a line.
    pub cause: Text,
}

/// A journal that does not fit the tables: an event that is missing or out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Whose journal.
    pub run: RunNo,
    /// The event that was expected.
    pub expected: EventNo,
    /// The event that was found.
    pub found: EventNo,
}

impl Tables {
    /// Takes in one event, in the order of the log. Events of the store itself change nothing.
    ///
    /// # Errors
    /// A [`Gap`] if it is not the next event of its run.
    pub fn apply(&mut self, run: RunNo, no: EventNo, at: Timestamp, event: &Event) -> Result<(), Gap> {
        match event {
            Event::Opened { .. } | Event::Closed | Event::Checkpoint { .. } => return Ok(()),
            Event::RunStarted(started) => return self.begin(run, no, at, started),
            _ => {}
        }
        let Some(entry) = self.open.get_mut(&run) else {
            return Err(Gap { run, expected: EventNo(0), found: no });
        };
        if entry.next != no {
            return Err(Gap { run, expected: entry.next, found: no });
        }
        entry.next = no.next();
        if let Event::RunEnded(_) = event {
            self.end(run);
            return Ok(());
        }
        entry.apply(no, at, event, &mut self.kinds);
        Ok(())
    }

    /// The same runs in several tables, each of them where `part` says; `parts` is above all that it says. Which ids there are each has to be
    /// told by [`find_ids`](Self::find_ids).
    #[must_use]
    pub fn split(self, parts: usize, part: impl Fn(&RunEntry) -> usize) -> Vec<Tables> {
        let room = self.open.len() / parts.max(1);
        // A little more, since they are not spread quite evenly.
        let open = || OpenRuns::with_capacity(room + room / 16);
        let empty = || Tables { next_run: self.next_run, open: open(), ..Tables::default() };
        let mut split: Vec<Tables> = (0..parts).map(|_| empty()).collect();
        for (run, entry) in self.open.into_all() {
            if let Some(tables) = split.get_mut(part(&entry)) {
                tables.open.insert(run, entry);
            }
        }
        split
    }

    /// Finds out which ids there are.
    pub fn find_ids(&mut self) {
        self.ids = Ids::of(self.open.iter());
    }

    /// Takes in the next event of a run; gives the number that it has by that.
    ///
    /// # Panics
    /// If the run is not open, or starts and is.
    pub fn append(&mut self, run: RunNo, at: Timestamp, event: &Event) -> EventNo {
        if let Event::RunStarted(started) = event {
            self.begin(run, EventNo(0), at, started).expect("because a new run has a new number");
            return EventNo(0);
        }
        let entry = self.open.get_mut(&run).expect("because only an open run has events");
        let no = entry.next;
        entry.next = no.next();
        match event {
            Event::RunEnded(_) => self.end(run),
            event => entry.apply(no, at, event, &mut self.kinds),
        }
        no
    }

    /// The open run of a namespace and workflow id; of two, the one that began last.
    #[must_use]
    pub fn run_of(&self, namespace: &Text, id: &Text) -> Option<RunNo> {
        let has_it =
            |run: &RunNo| self.open.get(run).is_some_and(|run| run.id == *id && run.kind.namespace == *namespace);
        self.ids.candidates(namespace, id).find(has_it)
    }

    fn begin(&mut self, run: RunNo, no: EventNo, at: Timestamp, started: &RunStarted) -> Result<(), Gap> {
        if no != EventNo(0) || self.open.contains_key(&run) {
            return Err(Gap { run, expected: EventNo(0), found: no });
        }
        self.next_run = self.next_run.max(run.next());
        self.ids.insert(&started.namespace, &started.id, run);
        let kind = self.kinds.runs.find(|kind| kind.is_of(started), || RunKind::of(started));
        self.open.insert(run, Box::new(RunEntry::started(at, started, kind)));
        Ok(())
    }

    fn end(&mut self, run: RunNo) {
        let Some(entry) = self.open.remove(&run) else { return };
        // A parent that dropped the call owes the child nothing any more.
        if let Some((parent, seq)) = entry.rare.parent {
            // One that owes nothing stays where it is.
            let owes = self.open.read(&parent).is_some_and(|parent| parent.rare.dropped.iter().any(|w| w.seq == seq));
            if owes && let Some(parent) = self.open.get_mut(&parent) {
                parent.forget_dropped(seq);
            }
        }
        self.ids.remove(&entry.kind.namespace, &entry.id, run);
    }
}

impl RunKind {
    /// The kind that a run is of with its first event.
    #[must_use]
    pub fn of(started: &RunStarted) -> RunKind {
        RunKind {
            namespace: started.namespace.clone(),
            workflow: started.workflow.clone(),
            version: started.version,
            build: started.build.clone(),
        }
    }

    fn is_of(&self, started: &RunStarted) -> bool {
        self.version == started.version
            && self.workflow == started.workflow
            && self.namespace == started.namespace
            && self.build == started.build
    }
}

impl CallKind {
    /// What is shared by what calls have in common. A call with a deadline is like no other.
    pub(crate) fn share(self, kinds: &mut Alike<CallKind>) -> Arc<CallKind> {
        if self.binding.deadline.is_some() { Arc::new(self) } else { kinds.share(self) }
    }

    /// The same, of a call as it was scheduled.
    fn shared(call: &ActivityScheduled, kinds: &mut Alike<CallKind>) -> Arc<CallKind> {
        let make = || CallKind { name: call.name.clone(), binding: call.binding.clone(), undo: call.undo };
        let is_it = |kind: &CallKind| kind.name == call.name && kind.binding == call.binding && kind.undo == call.undo;
        if call.binding.deadline.is_some() { Arc::new(make()) } else { kinds.find(is_it, make) }
    }
}

impl RunEntry {
    /// A run as it is with its first event.
    #[must_use]
    pub fn started(at: Timestamp, started: &RunStarted, kind: Arc<RunKind>) -> RunEntry {
        RunEntry {
            run: started.run,
            kind,
            id: started.id.clone(),
            value: started.value,
            shape: started.shape,
            salt: started.salt,
            started: at,
            next: EventNo(1),
            unturned: vec![EventNo(0)].into(),
            waiting: Short::default(),
            rare: RareParts {
                trace: started.trace,
                parent: started.parent,
                deadline: started.deadline,
                ..RareParts::default()
            }
            .into(),
        }
    }

    /// What the command waits for, if it still waits.
    #[must_use]
    pub fn waits(&self, seq: Seq) -> Option<&Waiting> {
        self.waiting.binary_search_by_key(&seq, |w| w.seq).ok().and_then(|i| self.waiting.get(i))
    }

    /// What the call waits for, also if the code has dropped it and it is not settled yet.
    #[must_use]
    pub fn call(&self, seq: Seq) -> Option<&Waiting> {
        self.waits(seq).or_else(|| self.rare.dropped.iter().find(|w| w.seq == seq))
    }

    /// What it waits for, in order, also what the code has dropped and is not settled yet.
    #[must_use]
    pub fn awaited(&self) -> Vec<Seq> {
        let mut awaited: Vec<Seq> = self.waiting.iter().chain(&self.rare.dropped).map(|w| w.seq).collect();
        awaited.sort_unstable();
        awaited
    }

    /// Where in a distributed trace the run stands.
    #[must_use]
    pub fn trace(&self) -> TraceContext {
        self.rare.trace.unwrap_or_else(|| TraceContext::of_run(self.run))
    }

    fn apply(&mut self, no: EventNo, at: Timestamp, event: &Event, kinds: &mut Kinds) {
        if event.is_delivered() {
            self.unturned.push(no);
        }
        if self.rare.undos.may_concern(event) {
            self.rare.undos.apply(event);
        }
        match event {
            Event::Turn { of, entries } => {
                self.unturned.retain(|event| event != of);
                entries.iter().for_each(|entry| self.apply_entry(at, entry, &mut kinds.calls));
            }
            Event::AttemptStarted { seq, attempt } => self.attempt(*seq, AttemptState::Started(*attempt), None),
            Event::AttemptFailed { seq, attempt, cause, due, maybe, .. } => {
                let failed = FailedAttempt { attempt: *attempt, due: *due, cause: cause.line() };
                self.attempt(*seq, AttemptState::Failed(Box::new(failed)), Some(*maybe));
            }
            Event::AttemptParked { seq, attempt } => self.attempt(*seq, AttemptState::Parked(*attempt), Some(true)),
            Event::ActivityCompleted { seq, .. }
            | Event::ActivityFailed { seq, .. }
            | Event::TimerFired { seq, .. }
            | Event::ChildEnded { seq, .. } => self.settle(*seq),
            Event::SignalReceived { .. } => self.rare.signals = self.rare.signals.saturating_add(1),
            Event::CancelRequested { .. } => self.rare.cancelling = true,
            Event::RunTimedOut { .. } => self.forget_deadline(),
            Event::BuildChanged { build } => {
                self.kind = kinds.runs.share(RunKind { build: build.clone(), ..RunKind::clone(&self.kind) });
            }
            Event::RunBlocked { build, reason } => {
                self.rare.blocked = Some(Blocked { build: build.clone(), reason: reason.clone(), since: at });
            }
            Event::RunUnblocked { .. } => self.rare.blocked = None,
            Event::CompensationStarted { cause, .. } => {
                self.rare.undoing = Some(*cause);
                self.forget_deadline();
            }
            Event::RunStarted(_)
            | Event::RunEnded(_)
            | Event::Opened { .. }
            | Event::Closed
            | Event::Checkpoint { .. } => {}
        }
    }

    fn apply_entry(&mut self, at: Timestamp, entry: &Entry, kinds: &mut Alike<CallKind>) {
        let what = match entry {
            Entry::ActivityScheduled(call) => {
                WaitingFor::Activity { call: CallKind::shared(call, kinds), state: AttemptState::Scheduled }
            }
            Entry::TimerStarted { due, .. } => WaitingFor::Timer { due: *due },
            Entry::SignalAwaited { name, .. } => WaitingFor::Signal { name: name.clone() },
            Entry::ChildScheduled(child) => {
                let (id, close) = (child.id.clone(), child.close);
                WaitingFor::Child(Box::new(WaitingChild { child: child.child, id, close }))
            }
            Entry::CommandDropped { seq } => return self.drop_command(*seq),
            Entry::SignalTaken { seq } => {
                self.rare.signals = self.rare.signals.saturating_sub(1);
                return self.settle(*seq);
            }
            Entry::SignalSent { .. }
            | Entry::CompensationRegistered { .. }
            | Entry::ScopeOpened { .. }
            | Entry::ScopeClosed { .. } => return,
        };
        let Some(seq) = entry.seq() else { return };
        let place = self.waiting.binary_search_by_key(&seq, |w| w.seq).unwrap_or_else(|place| place);
        self.waiting.insert(place, Waiting { seq, since: at, what, maybe: false });
    }

    fn attempt(&mut self, seq: Seq, new: AttemptState, says_maybe: Option<bool>) {
        let waiting = match self.waiting.binary_search_by_key(&seq, |w| w.seq) {
            Ok(place) => self.waiting.get_mut(place),
            Err(_) => self.rare.written().and_then(|rare| rare.dropped.iter_mut().find(|w| w.seq == seq)),
        };
        if let Some(Waiting { what: WaitingFor::Activity { state, .. }, maybe, .. }) = waiting {
            *state = new;
            *maybe |= says_maybe.unwrap_or(false);
        }
    }

    fn settle(&mut self, seq: Seq) {
        match self.waiting.binary_search_by_key(&seq, |w| w.seq) {
            Ok(place) => drop(self.waiting.remove(place)),
            Err(_) => self.forget_dropped(seq),
        }
    }

    fn forget_deadline(&mut self) {
        if let Some(rare) = self.rare.written() {
            rare.deadline = None;
        }
    }

    fn forget_dropped(&mut self, seq: Seq) {
        if let Some(rare) = self.rare.written() {
            rare.dropped.retain(|waiting| waiting.seq != seq);
        }
    }

    fn drop_command(&mut self, seq: Seq) {
        let Ok(place) = self.waiting.binary_search_by_key(&seq, |w| w.seq) else { return };
        let waiting = self.waiting.remove(place);
        let owes = match &waiting.what {
            WaitingFor::Activity { call, .. } => call.undo.owes(),
            WaitingFor::Child(_) => true,
            WaitingFor::Timer { .. } | WaitingFor::Signal { .. } => false,
        };
        if owes {
            self.rare.dropped.push(waiting);
        }
    }
}

impl Empty for RareParts {
    fn empty() -> &'static RareParts {
        static EMPTY: RareParts = RareParts {
            trace: None,
            parent: None,
            deadline: None,
            dropped: Vec::new(),
            signals: 0,
            blocked: None,
            cancelling: false,
            undoing: None,
            undos: Undos::NONE,
        };
        &EMPTY
    }
}

impl AttemptCause {
    /// The cause in a line, for operators.
    #[must_use]
    pub fn line(&self) -> Text {
        match self {
            AttemptCause::Error { text, .. } => text.clone(),
            AttemptCause::TimedOut => "timed out (start-to-close)".into(),
            AttemptCause::Panicked(text) => format!("panicked: {text}").into(),
            AttemptCause::Interrupted => "interrupted: its process ended while it ran".into(),
        }
    }
}

impl CallFailure {
    /// The failure in a line, for operators.
    #[must_use]
    pub fn line(&self) -> Text {
        match self {
            CallFailure::App { text, .. } => text.clone(),
            CallFailure::TimedOut(which) => format!("timed out ({which:?})").into(),
            CallFailure::Cancelled => "cancelled".into(),
            CallFailure::Interrupted => "interrupted: its process ended while it ran".into(),
            CallFailure::Panicked(text) => format!("panicked: {text}").into(),
            CallFailure::Exhausted { attempts, last } => {
                format!("{attempts} attempts, the last: {}", last.line()).into()
            }
        }
    }
}

impl End {
    /// Whether the body returned `Ok`.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == End::Completed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_no_more_than_it_has_to() {
        assert_eq!((size_of::<RunEntry>(), size_of::<Waiting>()), (152, 40));
    }
}
