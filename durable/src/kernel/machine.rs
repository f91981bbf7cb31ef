//! One run in memory: what its code asked for, what it may see next, and whether that is what the journal holds.
//!
//! A machine is driven turn by turn: a delivered event goes in, the shell polls the workflow until it is quiet, the machine
//! grants one outcome at a time, and the turn ends with the entries that the polls left. Replay is the same with a recorded
//! turn beside: every entry is compared as it is asked for, and from the first difference on the code sees nothing more.
//! It never polls anything itself, never sees another run, and never appends. What is cut, and what is undone next, is said here too.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::Hasher;
use std::sync::Arc;

use siphasher::sip::SipHasher24;

use super::command::{CallActivity, ChildOutcome, Command, Inputs, Outcome, Place, StartChild};
use super::event::{ActivityScheduled, Binding, ChildScheduled, End, Entry, Event, Payload, RunStarted, Sender, Text};
use super::fault::Fault;
use super::few::Few;
use super::fit::{self, Fit};
use super::id::{Digest, EventNo, RunId, RunNo, ScopeNo, Seq, Timestamp};
use super::mismatch::{Asked, Mismatch};
use super::rare::{Empty, Rare};
use super::scope::{BODY, Catches, Scopes, ShieldNo, Within};
use super::short::{self, Short};
use super::undo::{UndoState, Undoable, Undos};

/// A workflow id may take this many bytes.
pub const ID_LEN_MAX: usize = 255;

/// How many polls a run may take without taking an outcome before that is a livelock.
pub const MAX_POLLS: u32 = 10_000;

/// No command's number: a signal whose message id was known already is taken by it.
const NOBODY: Seq = Seq(0);

/// One run in memory.
#[derive(Debug)]
pub struct Machine {
    head: Head,
    next_seq: Seq,
    slots: Few<Seq, Slot>,
    /// The commands that the code waits for and that have their outcome.
    ready: Few<Seq, ()>,
    /// How many commands the code waits for.
    demanded: u32,
    others: Rare<Others>,
    scopes: Rare<Scopes>,
    undo: Rare<Undo>,
    recorded: Recorded,
    /// Nothing between two turns.
    turn: Rare<Turn>,
    granted: Option<Seq>,
    now: Timestamp,
    spans_from: Timestamp,
    deliveries: u64,
    /// Where the durable call was built that was polled last.
    polled: Option<Place>,
    fault: Option<Box<Fault>>,
}

/// What of a run never changes.
#[derive(Debug, Clone)]
struct Head {
    run: RunId,
    id: Text,
    seed: [u8; 16],
    salt: [u8; 16],
    polled: Arc<Polled>,
}

/// What the runs of one workflow have in common while one build polls them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Polled {
    /// Their workflow's recorded name.
    pub workflow: Text,
    /// The build.
    pub build: Text,
}

/// A command that was issued and has not given its outcome to the code.
#[derive(Debug)]
struct Slot {
    holds: Holds,
    demand: Demand,
}

/// What there is for a command.
#[derive(Debug)]
enum Holds {
    /// Nothing yet.
    Nothing,
    /// Whatever there is of this signal.
    Signal(Text),
    Outcome(Outcome),
}

/// Whether the code waits for a command: it was polled, and nothing that it was woken for has been taken back since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    None,
    Waits,
}

/// What a run has to do with others: who sends it signals, and its children.
#[derive(Debug, Default)]
struct Others {
    /// The receives that the code waits for, by signal.
    receivers: BTreeMap<Text, BTreeSet<Seq>>,
    signals: BTreeMap<Text, VecDeque<Payload>>,
    seen: BTreeSet<Sender>,
    children: BTreeSet<Text>,
}

/// What has to be undone, and where that stands.
#[derive(Debug, Default)]
struct Undo {
    calls: Undos,
    /// The scope that each of them stands in.
    scopes: BTreeMap<Seq, ScopeNo>,
    /// The results that the compensations are made from.
    results: BTreeMap<Seq, Payload>,
    /// How the body ended, from then on.
    body: Option<End>,
    /// Whether nothing is left to undo of the body.
    done: bool,
    /// A call that the code had dropped was settled by the event at hand.
    settled: bool,
}

/// What a scope that undoes does next.
#[derive(Debug, Clone, PartialEq)]
pub enum NextUndo {
    /// Something that was dropped is not settled yet.
    Wait,
    /// This call is undone.
    Undo(Seq, UndoFrom),
    /// Nothing is left.
    Done,
}

/// How a run stands behind a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// It goes on.
    Runs,
    /// A fault was met: the code sees nothing more.
    Failed,
    /// The body is to be cut now.
    Cut,
    /// All that was to be undone when the body ended is settled.
    Undone,
}

/// What a compensation is made from.
#[derive(Debug, Clone, PartialEq)]
pub enum UndoFrom {
    /// The call's result.
    Value(Payload),
    /// Nothing: whether the effect stands is not known.
    Unknown,
    /// Nothing: it was registered by hand.
    Hand,
}

/// What the journal says of this run's calls, beyond the turn at hand: for telling a swap, and for keys.
#[derive(Debug, Default)]
struct Recorded {
    /// The build that recorded it, if that is another one than polls it.
    other_build: Option<Box<Text>>,
    /// As long as it is replayed.
    journal: Rare<Journaled>,
    /// How many calls of this name and values stand in the journal so far.
    equals: Few<CallKey, u32>,
}

/// What equal calls have in common: name and values, as one number. Two that were taken for equal by chance would have other ordinals, and
/// still no two calls of one name and values the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct CallKey(u64);

/// What the whole journal holds, and its turn at hand.
#[derive(Debug, Default)]
struct Journaled {
    expected: Option<Expected>,
    /// What an operator should know of the turn at hand.
    warnings: Rare<Vec<Text>>,
    /// The first and the last command by which a build asked for a call of this name, values and shape. None where one build recorded all:
    /// nothing is looked for then.
    calls: BTreeMap<(Text, Text, Digest, Digest), (Seq, Seq)>,
    /// Every command that was asked for, in the order of the journal.
    entries: Vec<Entry>,
    /// The commands, in order, whose inputs somebody may ask for; none where that may be all.
    wanted: Option<Vec<Seq>>,
}

/// What is left of a recorded turn while it is polled again.
#[derive(Debug)]
struct Expected {
    entries: short::IntoIter<Entry>,
    end: Option<(End, Payload)>,
}

/// What a turn leaves.
#[derive(Debug, Default)]
pub struct Turn {
    /// The delivered event that caused it.
    pub of: EventNo,
    /// What its polls asked for.
    pub entries: Short<Entry>,
    /// The commands behind those entries, with what only the process needs.
    pub asked: Short<Issued>,
    /// How the body ended in it, if there is something to undo before the run ends.
    pub end: Option<Box<(End, Payload)>>,
    /// How many of the entries stand before that end: what is dropped behind them was left behind by the body, and not dropped by it.
    pub before_end: u32,
    /// What an operator should know: a changed input that was let stand.
    pub warnings: Rare<Vec<Text>>,
    /// How many random numbers were drawn in it.
    draws: u32,
}

/// A turn that has ended, in the room that it took. A run that waits needs none, so that one goes from run to run: whoever has taken out what
/// he wants gives it back.
pub type TurnDone = Rare<Turn>;

/// A turn as the journal holds it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RecordedTurn {
    /// What its polls asked for.
    pub entries: Short<Entry>,
    /// How the body ended in it, where there was something to undo.
    pub end: Option<(End, Payload)>,
}

/// A command as it was issued in a turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Issued {
    /// Its number.
    pub seq: Seq,
    /// What was asked for.
    pub command: Command,
    /// Which of the run's equal calls of this activity it is, in the order of the journal, from 0; 0 for everything else.
    pub ordinal: u32,
    /// The value digest as recorded, of which the idempotency key is made.
    pub recorded_value: Digest,
}

impl Machine {
    /// A run as it is before its first event is delivered; `build` is the build that polls it.
    #[must_use]
    pub fn new(started: &RunStarted, build: Text) -> Machine {
        Machine::of(started, Arc::new(Polled { workflow: started.workflow.clone(), build }))
    }

    /// The same, of a run that shares with others of its workflow what they have in common.
    #[must_use]
    pub fn of(started: &RunStarted, polled: Arc<Polled>) -> Machine {
        let recorded = Recorded::by(&started.build, &polled.build);
        Machine {
            head: Head { run: started.run, id: started.id.clone(), seed: started.seed, salt: started.salt, polled },
            next_seq: Seq(1),
            slots: Few::default(),
            ready: Few::default(),
            demanded: 0,
            others: Rare::default(),
            scopes: Rare::default(),
            undo: Rare::default(),
            recorded,
            turn: Rare::NOTHING,
            granted: None,
            now: Timestamp::default(),
            spans_from: Timestamp::default(),
            deliveries: 0,
            polled: None,
            fault: None,
        }
    }

    // What the shell calls, once a turn.

    /// Tells what the whole journal holds, before its replay begins.
    pub fn remember<'a>(&mut self, journal: impl Iterator<Item = &'a Event>) {
        let mut builds = vec![(0, self.recorded_build().clone())];
        let journaled = &mut *self.recorded.journal;
        for event in journal {
            match event {
                Event::Turn { entries, .. } => {
                    journaled.entries.extend(entries.iter().filter(|entry| entry.asks()).cloned());
                }
                Event::BuildChanged { build } => builds.push((journaled.entries.len(), build.clone())),
                _ => {}
            }
        }
        if builds.iter().any(|(_, build)| *build != self.head.polled.build) {
            journaled.index_calls(&builds);
        }
    }

    /// Tells of which commands the inputs are wanted during the replay, in order: of those an attempt may begin. None says that all are.
    pub fn want_inputs(&mut self, of: Option<Vec<Seq>>) {
        self.recorded.journal.wanted = of;
    }

    /// Whether anybody may ask for a call's input, beyond its digests.
    #[must_use]
    pub fn wants_input(&self, seq: Seq) -> bool {
        self.recorded.journal.wanted.as_ref().is_none_or(|wanted| wanted.binary_search(&seq).is_ok())
    }

    /// Tells that the replay is over: what was remembered for it is not needed any more.
    pub fn forget(&mut self) {
        self.recorded.journal = Rare::NOTHING;
    }

    /// Tells that another build polled the run from here on.
    pub fn built_by(&mut self, build: &Text) {
        self.recorded.other_build = other_than(build, &self.head.polled.build);
    }

    /// Begins a turn with a delivered event, in room that a turn before it has taken, or in its own; `expected` is the recorded turn, at replay.
    pub fn deliver(
        &mut self,
        no: EventNo,
        at: Timestamp,
        event: &Event,
        expected: Option<RecordedTurn>,
        room: TurnDone,
    ) {
        self.turn = room;
        self.turn.begin(no);
        if expected.is_some() || !self.recorded.journal.is_nothing() {
            self.recorded.journal.expected = expected.map(Expected::from);
        }
        self.now = if planted!(61) { at } else { self.now.max(at) };
        self.spans_from = at;
        if !planted!(62) || self.recorded.journal.expected.is_none() {
            self.deliveries += 1;
        }
        if !self.undo.calls.is_empty() {
            self.undo.apply(event);
        }
        match event {
            Event::ActivityCompleted { seq, result, .. } => self.settle(*seq, Outcome::Completed(result.clone())),
            Event::ActivityFailed { seq, error, .. } => self.settle(*seq, Outcome::Failed(Box::new(error.clone()))),
            Event::TimerFired { seq, at } => {
                self.now = self.now.max(*at);
                self.settle(*seq, Outcome::Fired);
            }
            Event::ChildEnded { seq, how, body, result, undone } => {
                let (result, undone) = (result.clone(), undone.clone());
                self.settle(*seq, Outcome::Child(Box::new(ChildOutcome { how: *how, body: *body, result, undone })));
            }
            Event::SignalReceived { name, payload, sender } => self.receive(name, payload, sender),
            Event::CancelRequested { scope: BODY, .. } => self.scopes.cancel(),
            Event::CancelRequested { scope, .. } => self.scopes.tell(*scope),
            Event::RunTimedOut { .. } => self.scopes.time_out(),
            Event::RunStarted(_) => {}
            Event::Turn { .. }
            | Event::AttemptStarted { .. }
            | Event::AttemptFailed { .. }
            | Event::AttemptParked { .. }
            | Event::CompensationStarted { .. }
            | Event::RunEnded(_)
            | Event::BuildChanged { .. }
            | Event::RunBlocked { .. }
            | Event::RunUnblocked { .. }
            | Event::Opened { .. }
            | Event::Closed
            | Event::Checkpoint { .. } => {}
        }
    }

    /// Makes one outcome observable: of the commands that wait in the code and have one, the first by seq. None when
    /// nothing can be granted, which ends the turn.
    pub fn grant(&mut self) -> Option<Seq> {
        if self.fault.is_some() {
            return None;
        }
        if self.ready.is_empty() && self.others.is_nothing() {
            return None;
        }
        let received = self
            .others
            .receivers
            .iter()
            .filter(|(name, _)| self.others.signals.get(*name).is_some_and(|all| !all.is_empty()));
        let received = received.filter_map(|(_, seqs)| seqs.first().copied());
        let seq = received.chain(self.ready.first()).min()?;
        self.granted = Some(seq);
        Some(seq)
    }

    /// Takes the grant back if the code did not take it: the command waits until the code asks for it again. Tells whether the
    /// code took it.
    pub fn settle_grant(&mut self) -> bool {
        let Some(seq) = self.granted.take() else { return true };
        self.demand(seq, Demand::None);
        false
    }

    /// Ends the turn.
    ///
    /// # Errors
    /// The fault that was met in it; a recorded turn that holds more than was asked for is one.
    pub fn end_turn(&mut self) -> Result<TurnDone, Box<Fault>> {
        // What was asked for in a turn that failed goes with the run.
        let mut done = std::mem::take(&mut self.turn);
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if let Some(journal) = self.recorded.journal.written() {
            if !journal.warnings.is_nothing() {
                done.warnings = std::mem::take(&mut journal.warnings);
            }
            if let Some(expected) = journal.expected.take() {
                self.compare_end(done.of, expected, done.end.as_deref())?;
            }
        }
        Ok(done)
    }

    /// Compares how a turn ended with what is left of the recorded one.
    fn compare_end(&self, of: EventNo, mut expected: Expected, end: Option<&(End, Payload)>) -> Result<(), Box<Fault>> {
        if let Some(missing) = expected.entries.next() {
            return Err(Box::new(Fault::Mismatch(Box::new(self.mismatch(Some(&missing), None)))));
        }
        match (expected.end.is_some(), end) {
            (false, None) | (true, Some(_)) => Ok(()),
            (true, None) => Err(Box::new(Fault::EndsLate { after: self.polled })),
            (false, Some((how, _))) => Err(Box::new(self.ends_early(of, *how))),
        }
    }

    /// The fault of a code that ended the run in a turn after which the journal goes on.
    #[must_use]
    pub fn ends_early(&self, of: EventNo, how: End) -> Fault {
        let seq = Seq(self.next_seq.0.saturating_sub(1));
        let around = self.around(seq);
        Fault::Mismatch(Box::new(Mismatch { seq, turn: of, ended: Some(how), around, ..self.mismatch(None, None) }))
    }

    /// Where the durable call was built that was polled last.
    #[must_use]
    pub fn polled_last(&self) -> Option<Place> {
        self.polled
    }

    /// Whether the code waits for anything that the journal can give.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.demanded > 0 || (self.is_undoing() && self.undo.awaits())
    }

    /// Stops the run for a reason that the shell met.
    pub fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert_with(|| Box::new(fault));
    }

    /// Whether a fault was met; the code sees nothing more then.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    // What the futures of the code call, any number of times in a poll.

    /// The number of a call that is built now.
    pub fn take_seq(&mut self) -> Seq {
        let seq = self.next_seq;
        self.next_seq = seq.next();
        seq
    }

    /// The code polls a durable call that was built here.
    pub fn polls(&mut self, place: Place) {
        self.polled = Some(place);
    }

    /// Asks for a command, at the first poll of its future.
    pub fn issue(&mut self, seq: Seq, command: Command, within: Within, place: Place) {
        if self.fault.is_some() {
            return;
        }
        let Some(entry) = self.recall(seq, &command, place) else { return };
        let holds = match &command {
            Command::AwaitSignal { name } => Holds::Signal(name.clone()),
            Command::CallActivity(_) | Command::StartTimer { .. } | Command::StartChild(_) => Holds::Nothing,
        };
        if let Holds::Signal(name) = &holds {
            self.others.receivers.entry(name.clone()).or_default().insert(seq);
        }
        self.slots.insert(seq, Slot { holds, demand: Demand::Waits });
        self.demanded += 1;
        let (ordinal, mut recorded_value) = self.key_parts(&entry);
        if planted!(57)
            && let Command::CallActivity(call) = &command
        {
            recorded_value = call.value;
        }
        self.may_undo(seq, &entry, within.scope);
        self.turn.entries.push(entry);
        // Where nobody will ask for the input nobody asks for more.
        if !matches!(&command, Command::CallActivity(call) if call.input.is_none()) {
            self.turn.asked.push(Issued { seq, command, ordinal, recorded_value });
        }
    }

    /// The command's outcome, if it is the one that was granted; else the command is noted as waited for.
    pub fn observe(&mut self, seq: Seq) -> Option<Outcome> {
        if self.fault.is_some() {
            return None;
        }
        if self.granted != Some(seq) {
            self.demand(seq, Demand::Waits);
            return None;
        }
        if let Holds::Signal(name) = &self.slots.get(seq)?.holds {
            let name = name.clone();
            return self.take_signal(seq, &name);
        }
        self.granted = None;
        match self.forget_slot(seq)?.holds {
            Holds::Outcome(outcome) => Some(outcome),
            Holds::Nothing | Holds::Signal(_) => None,
        }
    }

    /// The code drops a command. One that was answered is simply gone; one that still waits is recorded as dropped.
    pub fn abandon(&mut self, seq: Seq) {
        if self.granted == Some(seq) {
            self.granted = None;
        }
        let Some(slot) = self.forget_slot(seq) else { return };
        // What was answered and not seen is of no concern, unless it has to be undone.
        if (slot.is_answered() && self.undo.calls.get(seq).is_none()) || self.fault.is_some() {
            return;
        }
        self.note(Entry::CommandDropped { seq });
    }

    // What scopes and compensations ask.

    /// Opens a scope.
    pub fn open_scope(&mut self, within: Within, catches: Catches) -> ScopeNo {
        let scope = self.scopes.open(within, catches);
        self.note(Entry::ScopeOpened { scope, parent: within.scope });
        scope
    }

    /// Closes a scope: what was registered in it stands in the scope around it. The body closes when all is undone.
    pub fn close_scope(&mut self, scope: ScopeNo) {
        if scope == BODY {
            self.undo.done = true;
        }
        let Some(parent) = self.scopes.close(scope) else { return };
        if !self.undo.calls.is_empty() {
            self.undo.pass_on(scope, parent);
        }
        self.note(Entry::ScopeClosed { scope });
    }

    /// Whether a scope is open: it runs, or undoes.
    #[must_use]
    pub fn is_scope_open(&self, scope: ScopeNo) -> bool {
        self.scopes.is_open(scope)
    }

    /// Asks for a scope to be cut.
    pub fn cut_scope(&mut self, scope: ScopeNo) {
        self.scopes.cut(scope);
    }

    /// Whether a scope is to be cut now.
    #[must_use]
    pub fn is_cut(&self, scope: ScopeNo) -> bool {
        self.fault.is_none() && self.scopes.is_cut(scope)
    }

    /// A shield begins.
    pub fn shield(&mut self, within: Within) -> ShieldNo {
        self.scopes.shield(within.scope)
    }

    /// A shield ends.
    pub fn unshield(&mut self, shield: ShieldNo) {
        self.scopes.unshield(shield);
    }

    /// The scopes that are to be cut and have to be woken for it, oldest first.
    pub fn take_cuts(&mut self) -> Vec<ScopeNo> {
        self.scopes.take_told()
    }

    /// Why the body is to be cut now.
    #[must_use]
    pub fn body_cut(&self) -> Option<End> {
        self.scopes.body_cut().filter(|_| self.fault.is_none())
    }

    /// Registers a compensation by hand.
    pub fn register(&mut self, seq: Seq, name: Text, within: Within) {
        if self.fault.is_some() {
            return;
        }
        let asked = Entry::CompensationRegistered { seq, name, scope: within.scope };
        let Some(entry) = self.compare(asked, Inputs::Checked, None) else { return };
        self.may_undo(seq, &entry, within.scope);
        self.turn.entries.push(entry);
    }

    /// The body ended in this turn. Gives how, as recorded, if there is something to undo or to await before the run may end.
    pub fn end_body(&mut self, how: End, result: &Payload) -> Option<(End, Payload)> {
        self.turn.before_end =
            u32::try_from(self.turn.entries.len()).expect("because 4 billion entries do not fit into memory");
        let recorded = self.recorded.journal.expected.as_ref().and_then(|expected| expected.end.clone());
        if recorded.is_none() && !self.owes(how) {
            return None;
        }
        self.scopes.end_body();
        let asked = (how, result.clone());
        let stands = recorded.unwrap_or_else(|| asked.clone());
        if stands != asked {
            let text = format!(
                "the body ends {how:?} in this build, or with another value; what was recorded stands: {:?} [E0211]",
                stands.0
            );
            self.recorded.journal.warnings.push(text.into());
        }
        Some(stands)
    }

    /// Undoing of the body begins: everything that still waits is dropped, but for what undoes a scope already.
    pub fn begin_undo_of_body(&mut self, end: (End, Payload)) {
        let undoes = |seq: Seq| self.undo.calls.iter().any(|call| call.by == Some(seq));
        let left: Vec<Seq> = self.slots.keys().filter(|seq| !undoes(*seq)).collect();
        left.into_iter().for_each(|seq| self.abandon(seq));
        // A scope that outlives the body is one that the code has leaked.
        self.scopes.running().into_iter().for_each(|scope| self.close_scope(scope));
        self.undo.body = Some(end.0);
        self.turn.end = Some(Box::new(end));
    }

    /// Undoing of a scope begins.
    pub fn begin_undo(&mut self, scope: ScopeNo) {
        self.scopes.begin_undo(scope);
    }

    /// What a scope that undoes does next: the newest first.
    pub fn next_undo(&mut self, scope: ScopeNo) -> NextUndo {
        if self.fault.is_some() || self.scopes.undoes_within(scope) || self.undo.awaits_in(scope) {
            return NextUndo::Wait;
        }
        let next = self.undo.next(scope);
        if next == NextUndo::Done && scope != BODY {
            // The run may end well, and its end names only what was dropped: the scope lets go of what it cannot undo.
            self.undo.unknown_in(scope).into_iter().for_each(|seq| self.note(Entry::CommandDropped { seq }));
        }
        next
    }

    /// Whether a call that was dropped has been settled since this was asked last.
    pub fn take_settled(&mut self) -> bool {
        self.undo.settled && std::mem::take(&mut self.undo.settled)
    }

    /// How the run stands behind a poll.
    #[must_use]
    pub fn stands(&self) -> Stands {
        if self.undo.done {
            return Stands::Undone;
        }
        if self.fault.is_some() {
            return Stands::Failed;
        }
        if self.scopes.body_cut().is_some() { Stands::Cut } else { Stands::Runs }
    }

    fn is_undoing(&self) -> bool {
        (self.undo.body.is_some() && !self.undo.done) || self.scopes.undoes_within(BODY)
    }

    /// Whether a run whose body ended so may not end yet.
    fn owes(&self, how: End) -> bool {
        self.scopes.undoes_within(BODY) || self.undo.owes(how) || self.leaves_unseen()
    }

    /// Whether something that may have to be undone was answered, and the code that drops it with the body never saw it.
    fn leaves_unseen(&self) -> bool {
        self.undo.calls.iter().next().is_some() && self.slots.keys().any(|seq| self.undo.calls.get(seq).is_some())
    }

    /// Takes in an entry that may have to be undone, or that undoes.
    fn may_undo(&mut self, seq: Seq, entry: &Entry, scope: ScopeNo) {
        let concerns = match entry {
            Entry::ActivityScheduled(call) => call.undo.owes() || call.undoes.is_some(),
            entry => matches!(entry, Entry::CompensationRegistered { .. }),
        };
        if concerns {
            self.undo.stands_in(seq, entry, scope);
        }
    }

    /// Records what needs no comparison of inputs.
    fn note(&mut self, entry: Entry) {
        if let Some(entry) = self.compare(entry, Inputs::Checked, None) {
            if !self.undo.calls.is_empty() {
                self.undo.calls.apply_entry(&entry);
            }
            self.turn.entries.push(entry);
        }
    }

    /// Logical time: that of the newest delivered event, never going back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// From when the spans of what is asked for now count: the wall clock as the newest delivered event was recorded. Unlike logical time
    /// it goes back with the clock, so that what begins after that lasts no longer.
    #[must_use]
    pub fn spans_from(&self) -> Timestamp {
        self.spans_from
    }

    /// The next 64 random bits: a function of the run's seed, of how many events were delivered, and of how many draws
    /// were made since the last one (SipHash-2-4, keyed with the seed).
    pub fn draw(&mut self) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.head.seed);
        hasher.write_u64(self.deliveries);
        hasher.write_u64(self.turn.draws.into());
        self.turn.draws += 1;
        hasher.finish()
    }

    /// What the run's digests are keyed with.
    #[must_use]
    pub fn salt(&self) -> [u8; 16] {
        self.head.salt
    }

    /// The run's identity.
    #[must_use]
    pub fn run(&self) -> RunId {
        self.head.run
    }

    /// The run's workflow id.
    #[must_use]
    pub fn id(&self) -> &Text {
        &self.head.id
    }

    /// The run's workflow.
    #[must_use]
    pub fn workflow(&self) -> &Text {
        &self.head.polled.workflow
    }

    // Helpers.

    fn settle(&mut self, seq: Seq, outcome: Outcome) {
        if let Some(slot) = self.slots.get_mut(seq) {
            slot.holds = Holds::Outcome(outcome);
            if slot.demand == Demand::Waits {
                self.ready.insert(seq, ());
            }
        }
    }

    /// Notes whether the code waits for a command.
    fn demand(&mut self, seq: Seq, demand: Demand) {
        let Some(slot) = self.slots.get_mut(seq) else { return };
        if slot.demand == demand {
            return;
        }
        slot.demand = demand;
        let (waits, answered) = (demand == Demand::Waits, slot.is_answered());
        match &slot.holds {
            Holds::Signal(name) if waits => drop(self.others.receivers.entry(name.clone()).or_default().insert(seq)),
            Holds::Signal(name) => {
                if let Some(seqs) = self.others.written().and_then(|others| others.receivers.get_mut(name)) {
                    seqs.remove(&seq);
                }
            }
            Holds::Nothing | Holds::Outcome(_) if waits && answered => drop(self.ready.insert(seq, ())),
            Holds::Nothing | Holds::Outcome(_) => drop(self.ready.remove(seq)),
        }
        if waits { self.demanded += 1 } else { self.demanded -= 1 }
    }

    fn forget_slot(&mut self, seq: Seq) -> Option<Slot> {
        let slot = self.slots.remove(seq)?;
        if slot.demand == Demand::Waits {
            self.demanded -= 1;
            match &slot.holds {
                Holds::Signal(name) => self.forget_receiver(name, seq),
                Holds::Nothing | Holds::Outcome(_) => drop(self.ready.remove(seq)),
            }
        }
        Some(slot)
    }

    fn forget_receiver(&mut self, name: &Text, seq: Seq) {
        if let Some(seqs) = self.others.written().and_then(|others| others.receivers.get_mut(name)) {
            seqs.remove(&seq);
        }
    }

    fn receive(&mut self, name: &Text, payload: &Payload, sender: &Sender) {
        if *sender != Sender::Anonymous && !self.others.seen.insert(sender.clone()) && !planted!(47) {
            // It is taken by nobody, so that the tables do not count it among those that wait for a receive.
            if let Some(entry) = self.compare(Entry::SignalTaken { seq: NOBODY }, Inputs::Checked, None) {
                self.turn.entries.push(entry);
            }
            return;
        }
        let buffered = self.others.signals.entry(name.clone()).or_default();
        if planted!(48) { buffered.push_front(payload.clone()) } else { buffered.push_back(payload.clone()) }
    }

    fn take_signal(&mut self, seq: Seq, name: &Text) -> Option<Outcome> {
        let entry = self.compare(Entry::SignalTaken { seq }, Inputs::Checked, None)?;
        let payload = self.others.signals.get_mut(name)?.pop_front()?;
        self.turn.entries.push(entry);
        self.granted = None;
        self.forget_slot(seq);
        Some(Outcome::Signal(payload))
    }

    /// The entry of a command that is asked for now.
    fn recall(&mut self, seq: Seq, command: &Command, place: Place) -> Option<Entry> {
        let (entry, inputs) = match command {
            Command::CallActivity(call) => {
                return self.recall_call(self.activity(seq, call), call.options.inputs, place);
            }
            Command::StartTimer { due } => (Entry::TimerStarted { seq, due: *due }, Inputs::Checked),
            Command::AwaitSignal { name } => (Entry::SignalAwaited { seq, name: name.clone() }, Inputs::Checked),
            Command::StartChild(child) => match self.child(seq, child) {
                Ok(scheduled) => (Entry::ChildScheduled(Box::new(scheduled)), child.inputs),
                Err(fault) => {
                    self.fail(fault.at(place));
                    return None;
                }
            },
        };
        self.compare(entry, inputs, Some(place))
    }

    fn recall_call(&mut self, asked: ActivityScheduled, inputs: Inputs, place: Place) -> Option<Entry> {
        // Where nothing has changed the recorded one stands, and no other is made.
        if let Some(Expected { entries, .. }) = self.recorded.expected()
            && let Some(Entry::ActivityScheduled(recorded)) = entries.first()
            && fit::is_same_call(recorded, &asked)
        {
            return entries.next();
        }
        self.compare(Entry::ActivityScheduled(Arc::new(asked)), inputs, Some(place))
    }

    /// What the journal will hold for an entry that is asked for now: itself, or the recorded one that it fits.
    fn compare(&mut self, asked: Entry, inputs: Inputs, place: Option<Place>) -> Option<Entry> {
        if self.fault.is_some() {
            return None;
        }
        let Some(expected) = self.recorded.expected() else { return Some(asked) };
        let recorded = expected.entries.next();
        let same_build = self.recorded.other_build.is_none();
        let fit = match &recorded {
            Some(recorded) => fit::fit(recorded, &asked, inputs, same_build, |call| {
                self.recorded.is_swap(call, self.recorded_build())
            }),
            None => Fit::Differs,
        };
        match fit {
            Fit::Same => recorded,
            Fit::Stands(warning) => {
                self.recorded.journal.warnings.push(warning);
                recorded
            }
            Fit::Differs => {
                let mut mismatch = self.mismatch(recorded.as_ref(), Some(&asked));
                mismatch.place = place;
                self.fail(Fault::Mismatch(Box::new(mismatch)));
                None
            }
        }
    }

    fn mismatch(&self, recorded: Option<&Entry>, asked: Option<&Entry>) -> Mismatch {
        let seq = asked.and_then(Entry::seq).or_else(|| recorded.and_then(Entry::seq)).unwrap_or_default();
        Mismatch {
            workflow: self.head.polled.workflow.clone(),
            id: self.head.id.clone(),
            seq,
            turn: self.turn.of,
            recorded: recorded.map(|entry| self.describe(entry)),
            asked: asked.map(|entry| self.describe(entry)),
            recorded_build: self.recorded_build().clone(),
            build: self.head.polled.build.clone(),
            ended: None,
            place: None,
            after: self.polled,
            around: self.around(seq),
        }
    }

    /// The build that recorded the turn at hand.
    fn recorded_build(&self) -> &Text {
        self.recorded.other_build.as_deref().unwrap_or(&self.head.polled.build)
    }

    fn around(&self, seq: Seq) -> Vec<Asked> {
        let from = Seq(seq.0.saturating_sub(2));
        let to = Seq(seq.0.saturating_add(2));
        let all = self.recorded.journal.entries.iter().filter_map(|entry| Some((entry.seq()?, entry)));
        // Of several by one command the last.
        let near: BTreeMap<Seq, &Entry> = all.filter(|(seq, _)| (from..=to).contains(seq)).collect();
        near.into_values().map(Asked::new).collect()
    }

    /// An entry in words, with the command that it is about where the entry itself only says its number.
    fn describe(&self, entry: &Entry) -> Asked {
        let mut asked = Asked::new(entry);
        if let Entry::CommandDropped { seq } | Entry::SignalTaken { seq } = entry {
            let about = self.recorded.journal.entries.iter().rfind(|entry| entry.seq() == Some(*seq));
            asked.about = about.map(|entry| Box::new(Asked::new(entry)));
        }
        asked
    }

    fn activity(&self, seq: Seq, call: &CallActivity) -> ActivityScheduled {
        ActivityScheduled {
            seq,
            name: call.name.clone(),
            value: call.value,
            shape: call.shape,
            binding: Binding {
                at_most_once: call.options.at_most_once,
                by_token: false,
                queue: None,
                deadline: call.options.schedule_to_close.map(|span| self.spans_from.after(span)),
            },
            undo: call.undo,
            undoes: call.undoes,
            input: call.input.clone().filter(|_| call.options.at_most_once),
        }
    }

    fn child(&mut self, seq: Seq, child: &StartChild) -> Result<ChildScheduled, Fault> {
        let name = child.id.clone().unwrap_or_else(|| seq.to_string().into());
        let id: Text = format!("{}/{name}", self.head.id).into();
        if id.len() > ID_LEN_MAX {
            let text = format!(
                "the id `{id}` of a child has {} bytes, the limit is {ID_LEN_MAX}: choose a shorter one",
                id.len()
            );
            return Err(Fault::Refused(text.into()));
        }
        if !self.others.children.insert(id.clone()) {
            return Err(Fault::Refused(
                format!("it starts two children under the one id `{id}`: give each another one by `.id(..)`").into(),
            ));
        }
        Ok(ChildScheduled {
            seq,
            workflow: child.workflow.clone(),
            child: RunNo(0),
            id,
            value: child.value,
            shape: child.shape,
            close: child.close,
        })
    }

    fn key_parts(&mut self, entry: &Entry) -> (u32, Digest) {
        let Entry::ActivityScheduled(call) = entry else { return (0, Digest::default()) };
        if planted!(58) && self.recorded.journal.expected.is_some() {
            return (0, call.value);
        }
        (self.recorded.count(call), call.value)
    }
}

impl Slot {
    fn is_answered(&self) -> bool {
        matches!(self.holds, Holds::Outcome(_))
    }
}

impl Turn {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.asked.is_empty() && self.end.is_none() && self.warnings.is_nothing()
    }

    /// Takes out what nobody wanted, and what held it.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            *self = Turn::default();
        }
    }

    fn begin(&mut self, of: EventNo) {
        debug_assert!(self.is_empty(), "because room that was used is cleared");
        (self.of, self.before_end, self.draws) = (of, 0, 0);
    }
}

impl Empty for Turn {
    fn empty() -> &'static Turn {
        static EMPTY: Turn = Turn {
            of: EventNo(0),
            entries: Short::NOTHING,
            asked: Short::NOTHING,
            end: None,
            before_end: 0,
            warnings: Rare::NOTHING,
            draws: 0,
        };
        &EMPTY
    }
}

impl Empty for Journaled {
    fn empty() -> &'static Journaled {
        static EMPTY: Journaled = Journaled {
            expected: None,
            warnings: Rare::NOTHING,
            calls: BTreeMap::new(),
            entries: Vec::new(),
            wanted: None,
        };
        &EMPTY
    }
}

impl Empty for Others {
    fn empty() -> &'static Others {
        static EMPTY: Others = Others {
            receivers: BTreeMap::new(),
            signals: BTreeMap::new(),
            seen: BTreeSet::new(),
            children: BTreeSet::new(),
        };
        &EMPTY
    }
}

impl Empty for Undo {
    fn empty() -> &'static Undo {
        static EMPTY: Undo = Undo {
            calls: Undos::NONE,
            scopes: BTreeMap::new(),
            results: BTreeMap::new(),
            body: None,
            done: false,
            settled: false,
        };
        &EMPTY
    }
}

impl Undo {
    fn apply(&mut self, event: &Event) {
        let (seq, result) = match event {
            Event::ActivityCompleted { seq, result, .. } => (*seq, Some(result)),
            Event::ActivityFailed { seq, .. } => (*seq, None),
            _ => return,
        };
        self.settled |= self.calls.get(seq).is_some_and(|call| call.dropped && call.state == UndoState::Open);
        self.calls.apply(event);
        match (self.calls.get(seq), result) {
            (Some(_), Some(result)) => drop(self.results.insert(seq, result.clone())),
            (Some(_), None) => {}
            (None, _) => drop(self.scopes.remove(&seq)),
        }
    }

    /// Takes in an entry, and in which scope what it may have to undo stands.
    fn stands_in(&mut self, seq: Seq, entry: &Entry, scope: ScopeNo) {
        self.calls.apply_entry(entry);
        if self.calls.get(seq).is_some() {
            self.scopes.insert(seq, scope);
        }
    }

    fn pass_on(&mut self, scope: ScopeNo, parent: ScopeNo) {
        self.scopes.values_mut().filter(|of| **of == scope).for_each(|of| *of = parent);
    }

    /// Whether a dropped call is not settled yet.
    fn awaits(&self) -> bool {
        self.calls.iter().any(Undoable::awaits)
    }

    fn awaits_in(&self, scope: ScopeNo) -> bool {
        self.calls.iter().any(|call| call.awaits() && self.scopes.get(&call.seq) == Some(&scope))
    }

    /// The calls in a scope of which nobody knows whether their effect stands, and that nothing undoes.
    fn unknown_in(&self, scope: ScopeNo) -> Vec<Seq> {
        let lost = |call: &&Undoable| {
            call.state == UndoState::Unknown && !call.dropped && self.scopes.get(&call.seq) == Some(&scope)
        };
        self.calls.iter().filter(lost).map(|call| call.seq).collect()
    }

    fn owes(&self, how: End) -> bool {
        self.calls.iter().any(|call| call.state == UndoState::Open || call.is_owed(!how.is_ok()))
    }

    fn next(&mut self, scope: ScopeNo) -> NextUndo {
        // Of a body that ended well only what it dropped is undone.
        let all = scope != BODY || self.body.is_none_or(|how| !how.is_ok());
        let newest = |call: &&Undoable| self.scopes.get(&call.seq) == Some(&scope) && call.is_owed(all);
        if planted!(46) && self.calls.iter().any(|call| call.state == UndoState::NotUndone) {
            return NextUndo::Done;
        }
        let found = if planted!(44) { self.calls.iter().find(newest) } else { self.calls.iter().rfind(newest) };
        let Some(call) = found else { return NextUndo::Done };
        let from = match (call.state, self.results.remove(&call.seq)) {
            (UndoState::Unknown, _) => UndoFrom::Unknown,
            (_, Some(result)) => UndoFrom::Value(result),
            (_, None) => UndoFrom::Hand,
        };
        NextUndo::Undo(call.seq, from)
    }
}

/// By what a recorded call is found: the build that recorded it, its name, values and shape.
fn recorded_call(build: &Text, call: &ActivityScheduled) -> (Text, Text, Digest, Digest) {
    let build = if planted!(71) { Text::default() } else { build.clone() };
    (build, call.name.clone(), call.value, call.shape)
}

/// A build, if it is another one than `usual`.
fn other_than(build: &Text, usual: &Text) -> Option<Box<Text>> {
    (build != usual).then(|| Box::new(build.clone()))
}

impl Journaled {
    /// Makes the calls findable; `builds` says from which entry on which build recorded them.
    fn index_calls(&mut self, builds: &[(usize, Text)]) {
        let ends = builds.iter().skip(1).map(|(from, _)| *from).chain([self.entries.len()]);
        for ((from, build), to) in builds.iter().zip(ends) {
            for entry in self.entries.get(*from..to).unwrap_or_default() {
                let Entry::ActivityScheduled(call) = entry else { continue };
                let key = recorded_call(build, call);
                self.calls.entry(key).and_modify(|(_, last)| *last = call.seq).or_insert((call.seq, call.seq));
            }
        }
    }
}

impl From<RecordedTurn> for Expected {
    fn from(RecordedTurn { entries, end }: RecordedTurn) -> Expected {
        Expected { entries: entries.into_iter(), end }
    }
}

impl Entry {
    /// Whether it asks for something, and is not about what was asked for before.
    fn asks(&self) -> bool {
        self.seq().is_some() && !matches!(self, Entry::CommandDropped { .. } | Entry::SignalTaken { .. })
    }
}

impl CallKey {
    fn of(call: &ActivityScheduled) -> CallKey {
        // Whoever could choose names and values for a collision would gain nothing by it.
        let mix = |sum: u64, byte: &u8| (sum.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        CallKey(call.name.as_str().as_bytes().iter().fold(call.value.0, mix))
    }
}

impl Recorded {
    fn by(build: &Text, polls: &Text) -> Recorded {
        Recorded { other_build: other_than(build, polls), ..Recorded::default() }
    }

    /// What is left of the recorded turn at hand, at replay.
    fn expected(&mut self) -> Option<&mut Expected> {
        self.journal.written()?.expected.as_mut()
    }

    /// Counts a call among its equals, in the order of the journal; gives how many stood before it.
    fn count(&mut self, call: &ActivityScheduled) -> u32 {
        let key = CallKey::of(call);
        if let Some(before) = self.equals.get_mut(key) {
            *before += 1;
            return *before - 1;
        }
        self.equals.insert(key, 1);
        0
    }

    /// Whether another call of this name, recorded by the build that recorded the one at this place, holds exactly what is asked for
    /// here: then the two were swapped. One that another build recorded, with the shapes that this one knows, is no sign of that.
    fn is_swap(&self, asked: &ActivityScheduled, build: &Text) -> bool {
        let others = self.journal.calls.get(&recorded_call(build, asked));
        others.is_some_and(|(first, last)| *first != asked.seq || *last != asked.seq)
    }
}
