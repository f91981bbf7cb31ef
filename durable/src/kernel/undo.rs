//! What of a run may have to be undone: its calls with a compensation bound to them, and where each stands, as a fold of the journal.
//! The tables and the machine use the same fold, so that a run's end can name what it leaves without the user's code. It never
//! decides when something is undone, and never sees a payload.

use super::event::{ActivityScheduled, End, Entry, Event, Text, UndoBits, Undone, UndoneCall};
use super::id::Seq;
use super::rare::Rare;

/// The calls of a run that have something to undo or to await, those that are settled in the order in which that happened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undos {
    calls: Rare<Vec<Undoable>>,
}

/// One call with a compensation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoable {
    /// The call; of a compensation that was registered by hand, the compensation itself.
    pub seq: Seq,
    /// Its recorded name.
    pub name: Text,
    /// What is bound to it.
    pub bits: UndoBits,
    /// Where it stands.
    pub state: UndoState,
    /// Whether the code dropped it before it saw its outcome.
    pub dropped: bool,
    /// The call that undoes it, once there is one.
    pub by: Option<Seq>,
}

/// Where a call with a compensation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoState {
    /// It has no outcome yet.
    Open,
    /// It succeeded, or was registered by hand: its effect stands.
    Stands,
    /// It failed, and its effect may stand.
    Unknown,
    /// It was undone.
    Undone,
    /// What should have undone it failed for good.
    NotUndone,
}

impl Undos {
    /// None at all.
    pub(super) const NONE: Undos = Undos { calls: Rare::NOTHING };

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether an event can change anything: where there is nothing to undo, only a turn can that asks for something to undo.
    #[must_use]
    pub fn may_concern(&self, event: &Event) -> bool {
        !self.is_empty() || matches!(event, Event::Turn { entries, .. } if entries.iter().any(Entry::may_be_undone))
    }

    /// Takes in an event, in the order of the journal.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::ActivityCompleted { seq, .. } => self.completed(*seq),
            Event::ActivityFailed { seq, maybe, .. } => self.failed(*seq, *maybe),
            Event::Turn { entries, .. } => entries.iter().for_each(|entry| self.apply_entry(entry)),
            Event::RunStarted(_)
            | Event::AttemptStarted { .. }
            | Event::AttemptFailed { .. }
            | Event::AttemptParked { .. }
            | Event::TimerFired { .. }
            | Event::SignalReceived { .. }
            | Event::ChildEnded { .. }
            | Event::CancelRequested { .. }
            | Event::RunTimedOut { .. }
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

    /// Takes in an entry of a turn.
    pub fn apply_entry(&mut self, entry: &Entry) {
        match entry {
            Entry::ActivityScheduled(call) => self.scheduled(call),
            Entry::CompensationRegistered { seq, name, .. } => {
                let bits = UndoBits { undo: true, ..UndoBits::default() };
                self.push(*seq, name, bits, UndoState::Stands);
            }
            Entry::CommandDropped { seq } => {
                if let Some(call) = self.get_mut(*seq) {
                    call.dropped = true;
                }
            }
            Entry::TimerStarted { .. }
            | Entry::SignalAwaited { .. }
            | Entry::SignalTaken { .. }
            | Entry::SignalSent { .. }
            | Entry::ChildScheduled(_)
            | Entry::ScopeOpened { .. }
            | Entry::ScopeClosed { .. } => {}
        }
    }

    /// The calls, those that are settled in the order in which that happened.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Undoable> {
        self.calls.iter()
    }

    /// Puts a call behind the others, as a checkpoint holds it.
    pub fn push_back(&mut self, call: Undoable) {
        self.calls.push(call);
    }

    /// Where this call stands; none if nothing is bound to it, or nothing is left to undo.
    #[must_use]
    pub fn get(&self, seq: Seq) -> Option<&Undoable> {
        self.calls.iter().rfind(|call| call.seq == seq)
    }

    /// What an end of this kind names; `body` is how the body ended. Of calls that are in flight where the run is terminated, it is not
    /// known whether their effect stands.
    #[must_use]
    pub fn undone(&self, body: End) -> Undone {
        let mut undone = Undone::default();
        for call in self.calls.iter() {
            let terminated = body == End::Terminated;
            let list = match call.state {
                UndoState::Undone => &mut undone.undone,
                UndoState::NotUndone => &mut undone.not_undone,
                UndoState::Stands if terminated && !planted!(65) => &mut undone.not_undone,
                UndoState::Open if terminated && call.bits.binds() => &mut undone.unknown,
                UndoState::Unknown if call.dropped || !body.is_ok() => &mut undone.unknown,
                UndoState::Stands | UndoState::Open | UndoState::Unknown => continue,
            };
            list.push(UndoneCall { seq: call.seq, name: call.name.clone() });
        }
        undone
    }

    fn scheduled(&mut self, call: &ActivityScheduled) {
        if let Some(undone) = call.undoes.and_then(|seq| self.get_mut(seq)) {
            undone.by = Some(call.seq);
        }
        if call.undo.owes() {
            self.push(call.seq, &call.name, call.undo, UndoState::Open);
        }
    }

    fn completed(&mut self, seq: Seq) {
        if let Some(mut call) = self.take_open(seq) {
            if call.bits.undo {
                call.state = UndoState::Stands;
                self.calls.push(call);
            }
        } else if let Some(undone) = self.undone_by(seq) {
            undone.state = UndoState::Undone;
        }
    }

    fn failed(&mut self, seq: Seq, maybe: bool) {
        if let Some(mut call) = self.take_open(seq) {
            if maybe && call.bits.binds() {
                call.state = UndoState::Unknown;
                self.calls.push(call);
            }
        } else if let Some(undone) = self.undone_by(seq) {
            undone.state = UndoState::NotUndone;
        }
    }

    fn push(&mut self, seq: Seq, name: &Text, bits: UndoBits, state: UndoState) {
        self.calls.push(Undoable { seq, name: name.clone(), bits, state, dropped: false, by: None });
    }

    fn get_mut(&mut self, seq: Seq) -> Option<&mut Undoable> {
        self.calls.written()?.iter_mut().rfind(|call| call.seq == seq)
    }

    fn undone_by(&mut self, seq: Seq) -> Option<&mut Undoable> {
        self.calls.written()?.iter_mut().rfind(|call| call.by == Some(seq))
    }

    fn take_open(&mut self, seq: Seq) -> Option<Undoable> {
        let place = self.calls.iter().rposition(|call| call.seq == seq && call.state == UndoState::Open)?;
        Some(self.calls.remove(place))
    }
}

impl Undoable {
    /// Whether the code dropped it and nothing has settled it yet.
    #[must_use]
    pub fn awaits(&self) -> bool {
        self.dropped && self.state == UndoState::Open
    }

    /// Whether it is to be undone; `all` or only what the code dropped.
    #[must_use]
    pub fn is_owed(&self, all: bool) -> bool {
        let can = match self.state {
            UndoState::Stands => true,
            UndoState::Unknown => self.bits.unknown && !planted!(45),
            UndoState::Open | UndoState::Undone | UndoState::NotUndone => false,
        };
        can && self.by.is_none() && (all || self.dropped)
    }
}

impl Entry {
    /// Whether there is something to undo, or to await, by what is asked for.
    fn may_be_undone(&self) -> bool {
        match self {
            Entry::ActivityScheduled(call) => call.undo.owes(),
            Entry::CompensationRegistered { .. } => true,
            Entry::CommandDropped { .. }
            | Entry::TimerStarted { .. }
            | Entry::SignalAwaited { .. }
            | Entry::SignalTaken { .. }
            | Entry::SignalSent { .. }
            | Entry::ChildScheduled(_)
            | Entry::ScopeOpened { .. }
            | Entry::ScopeClosed { .. } => false,
        }
    }
}

impl UndoBits {
    /// Whether a compensation is bound to the call.
    #[must_use]
    pub fn binds(self) -> bool {
        self.undo || self.unknown
    }

    /// Whether the call is settled by an event also when the code drops it.
    #[must_use]
    pub fn owes(self) -> bool {
        self.binds() || self.waits
    }
}

impl Undone {
    /// Whether nothing was to be undone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.undone.is_empty() && self.not_undone.is_empty() && self.unknown.is_empty()
    }
}
