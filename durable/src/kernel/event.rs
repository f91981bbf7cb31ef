//! What happened: the events of a journal and the entries of a turn. Plain data in the past tense; the catalogue with
//! who appends what, and when, is `docs/journal-format.md`. Nothing here knows how an event is written.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use ecow::EcoString;

use super::id::{Attempt, Digest, EventNo, RunId, RunNo, ScopeNo, Seq, Timestamp};
use super::short::Short;
use super::trace::TraceContext;

/// A recorded value: its header (codec, transform, key, origin) and the encoded bytes, as one opaque string of bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Payload(pub Arc<[u8]>);

impl Payload {
    /// How many bytes it takes in the log.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing at all, not even a header: a value that is absent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Payload(bytes.into())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

/// A short text: the name of a workflow, an activity or a signal, an id, a reason. Cheap to clone; one of up to 15 bytes takes no memory
/// but its own 16.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(EcoString);

impl Text {
    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many bytes it takes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, cut to at most `limit` bytes at a character's edge.
    #[must_use]
    pub fn cut(text: &str, limit: usize) -> Text {
        let mut end = text.len().min(limit);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Text(text.get(..end).unwrap_or_default().into())
    }
}

/// A text is found among others by what it says.
impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// What happened to a run, or to the store. Events marked *delivered* can give an outcome and cause a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Delivered, always number 0. The run exists from here on.
    RunStarted(Box<RunStarted>),
    /// All that the polls after the delivered event `of` asked for.
    Turn {
        /// The delivered event that caused the polls.
        of: EventNo,
        /// What they asked for, in the order of asking.
        entries: Short<Entry>,
    },
    /// An attempt may begin as soon as this is durable.
    AttemptStarted {
        /// The call.
        seq: Seq,
        /// Which try.
        attempt: Attempt,
    },
    /// An attempt failed and there will be a next one.
    AttemptFailed {
        /// The call.
        seq: Seq,
        /// Which try.
        attempt: Attempt,
        /// When the try began.
        began: Timestamp,
        /// What went wrong.
        cause: AttemptCause,
        /// When the next try is due.
        due: Timestamp,
        /// Whether the effect of some try of this call may stand although no result came back.
        maybe: bool,
    },
    /// A graceful shutdown put an attempt aside; it burns none.
    AttemptParked {
        /// The call.
        seq: Seq,
        /// Which try.
        attempt: Attempt,
    },
    /// Delivered. The call's result.
    ActivityCompleted {
        /// The call.
        seq: Seq,
        /// Which try.
        attempt: Attempt,
        /// When the try began.
        began: Timestamp,
        /// What it returned.
        result: Payload,
    },
    /// Delivered. The call's end without a result: a final error, or what the last attempt gave.
    ActivityFailed {
        /// The call.
        seq: Seq,
        /// Which try was the last; 0 if none began.
        attempt: Attempt,
        /// When the last try began.
        began: Timestamp,
        /// What the caller sees.
        error: CallFailure,
        /// Whether the effect of some try may stand.
        maybe: bool,
    },
    /// Delivered. The later of the wall clock and the due time.
    TimerFired {
        /// The timer.
        seq: Seq,
        /// When it fired.
        at: Timestamp,
    },
    /// Delivered. A message for the run; it stays buffered until a receive takes it.
    SignalReceived {
        /// The signal's name.
        name: Text,
        /// What was sent.
        payload: Payload,
        /// Who sent it, by which it is applied once.
        sender: Sender,
    },
    /// Delivered. A child's end, in one group with the child's `RunEnded`.
    ChildEnded {
        /// The parent's call.
        seq: Seq,
        /// How the child ended.
        how: End,
        /// How its body ended, which a failed compensation hides.
        body: End,
        /// Its result, or its error.
        result: Payload,
        /// What it undid, and what it did not.
        undone: Undone,
    },
    /// Delivered. Someone asked that everything up to the nearest enclosing scope be dropped.
    CancelRequested {
        /// Which scope; 0 is the body.
        scope: ScopeNo,
        /// Who asked.
        actor: Text,
        /// Why.
        reason: Text,
        /// By which it is applied once.
        message: Text,
    },
    /// Delivered. The run's deadline passed.
    RunTimedOut {
        /// When.
        at: Timestamp,
    },
    /// The body ended and undoing begins; the recorded cause stands.
    CompensationStarted {
        /// How the body ended.
        cause: End,
        /// Its recorded result or error.
        result: Payload,
    },
    /// The only end, of every kind; drops all that is open.
    RunEnded(Box<RunEnded>),
    /// Another build polls the run from here on.
    BuildChanged {
        /// The build's id.
        build: Text,
    },
    /// The run is not polled until the cause is gone.
    RunBlocked {
        /// The build that met the cause.
        build: Text,
        /// What it met, with the usual causes and the way out.
        reason: Text,
    },
    /// A blocked run goes on.
    RunUnblocked {
        /// The build that goes on.
        build: Text,
        /// Why now.
        reason: Text,
    },
    /// Of the store: a process opened it. Durable before any attempt begins.
    Opened {
        /// The process's build.
        build: Text,
        /// Its process id.
        pid: u32,
        /// Its host's name.
        host: Text,
    },
    /// Of the store: a clean close. Trusted only as the last event of the log.
    Closed,
    /// Of the store: a part of the tables as they were where part 0 stands.
    Checkpoint {
        /// Which part, from 0.
        part: u32,
        /// How many there are.
        of: u32,
        /// Its share of the encoded tables.
        tables: Payload,
    },
}

impl Event {
    /// Whether the event can give an outcome, and so causes a turn.
    #[must_use]
    pub fn is_delivered(&self) -> bool {
        match self {
            Event::RunStarted(_)
            | Event::ActivityCompleted { .. }
            | Event::ActivityFailed { .. }
            | Event::TimerFired { .. }
            | Event::SignalReceived { .. }
            | Event::ChildEnded { .. }
            | Event::CancelRequested { .. }
            | Event::RunTimedOut { .. } => true,
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
            | Event::Checkpoint { .. } => false,
        }
    }
}

impl Event {
    /// The command whose outcome the event is.
    #[must_use]
    pub fn answers(&self) -> Option<Seq> {
        match self {
            Event::ActivityCompleted { seq, .. }
            | Event::ActivityFailed { seq, .. }
            | Event::TimerFired { seq, .. }
            | Event::ChildEnded { seq, .. } => Some(*seq),
            Event::RunStarted(_)
            | Event::Turn { .. }
            | Event::AttemptStarted { .. }
            | Event::AttemptFailed { .. }
            | Event::AttemptParked { .. }
            | Event::SignalReceived { .. }
            | Event::CancelRequested { .. }
            | Event::RunTimedOut { .. }
            | Event::CompensationStarted { .. }
            | Event::RunEnded(_)
            | Event::BuildChanged { .. }
            | Event::RunBlocked { .. }
            | Event::RunUnblocked { .. }
            | Event::Opened { .. }
            | Event::Closed
            | Event::Checkpoint { .. } => None,
        }
    }

    /// About how many bytes it takes in the log; never far below.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let held = match self {
            Event::RunStarted(started) => {
                let extras = started.headers.iter().chain(&started.attributes);
                started.input.len() + extras.map(|(name, value)| name.len() + value.len()).sum::<usize>()
            }
            Event::Turn { entries, .. } => entries.iter().map(Entry::bytes).sum(),
            Event::AttemptFailed { cause, .. } => cause.bytes(),
            Event::ActivityFailed { error, .. } => error.bytes(),
            Event::ChildEnded { result, undone, .. } => result.len() + undone.bytes(),
            Event::ActivityCompleted { result: payload, .. }
            | Event::SignalReceived { payload, .. }
            | Event::CompensationStarted { result: payload, .. }
            | Event::Checkpoint { tables: payload, .. } => payload.len(),
            Event::RunEnded(ended) => ended.result.len() + ended.undone.bytes(),
            Event::RunBlocked { reason, .. } | Event::CancelRequested { reason, .. } => reason.len(),
            Event::AttemptStarted { .. }
            | Event::AttemptParked { .. }
            | Event::TimerFired { .. }
            | Event::RunTimedOut { .. }
            | Event::BuildChanged { .. }
            | Event::RunUnblocked { .. }
            | Event::Opened { .. }
            | Event::Closed => 0,
        };
        held + 64
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Entry::ActivityScheduled(call) => 64 + call.input.as_ref().map_or(0, Payload::len),
            _ => 64,
        }
    }
}

impl AttemptCause {
    fn bytes(&self) -> usize {
        match self {
            AttemptCause::Error { error, text } => error.len() + text.len(),
            AttemptCause::Panicked(text) => text.len(),
            AttemptCause::TimedOut | AttemptCause::Interrupted => 0,
        }
    }
}

impl CallFailure {
    fn bytes(&self) -> usize {
        match self {
            CallFailure::App { error, text } => error.len() + text.len(),
            CallFailure::Panicked(text) => text.len(),
            CallFailure::Exhausted { last, .. } => last.bytes(),
            CallFailure::TimedOut(_) | CallFailure::Cancelled | CallFailure::Interrupted => 0,
        }
    }
}

/// What a run was started with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunStarted {
    /// The run's identity.
    pub run: RunId,
    /// The namespace; the default is "".
    pub namespace: Text,
    /// The workflow id that the user chose.
    pub id: Text,
    /// The workflow's recorded name.
    pub workflow: Text,
    /// The workflow's version.
    pub version: u32,
    /// The arguments, as a map by parameter name.
    pub input: Payload,
    /// The digest of the input's values.
    pub value: Digest,
    /// The digest of the input's shape.
    pub shape: Digest,
    /// Where in a distributed trace it was started; none if its trace begins with it.
    pub trace: Option<TraceContext>,
    /// Headers that travel with the run.
    pub headers: Vec<(Text, Payload)>,
    /// The build that started it.
    pub build: Text,
    /// The version of the rules of replay.
    pub semantics: u16,
    /// When the run times out.
    pub deadline: Option<Timestamp>,
    /// Search attributes.
    pub attributes: Vec<(Text, Payload)>,
    /// The parent's run and the command in it.
    pub parent: Option<(RunNo, Seq)>,
    /// What the run's random numbers are made of.
    pub seed: [u8; 16],
    /// What the run's digests are keyed with.
    pub salt: [u8; 16],
    /// The queue that admitted it; "" is none.
    pub queue: Text,
    /// Its priority there.
    pub priority: i32,
    /// The caller's message id, by which the start is applied once; "" is none.
    pub message: Text,
}

/// A run's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunEnded {
    /// How.
    pub how: End,
    /// How the body ended, which a failed compensation hides.
    pub body: End,
    /// The result, or the error.
    pub result: Payload,
    /// What was undone, and what was not.
    pub undone: Undone,
    /// Who ended it; "" is the run itself.
    pub actor: Text,
    /// Why.
    pub reason: Text,
}

/// What the end of a run says of its calls that had something to undo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undone {
    /// They were undone.
    pub undone: Vec<UndoneCall>,
    /// Their compensation failed, or did not run.
    pub not_undone: Vec<UndoneCall>,
    /// It is not known whether their effect stands.
    pub unknown: Vec<UndoneCall>,
}

/// A call that a run's end names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoneCall {
    /// The call.
    pub seq: Seq,
    /// Its recorded name.
    pub name: Text,
}

impl Undone {
    fn bytes(&self) -> usize {
        let calls = self.undone.iter().chain(&self.not_undone).chain(&self.unknown);
        calls.map(|call| call.name.len() + 8).sum()
    }
}

/// How a run, or a body, ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// `Ok`.
    Completed,
    /// `Err`.
    Failed,
    /// Cancelled.
    Cancelled,
    /// The run's deadline passed.
    TimedOut,
    /// Ended from outside, without clean-up.
    Terminated,
    /// A compensation failed for good.
    CompensationFailed,
    /// A child that never began: its id was taken.
    NotStarted,
}

/// Who sent a message, by which it is applied once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sender {
    /// Nobody who would send it again.
    Anonymous,
    /// A caller, by an id of its choice.
    Message(Text),
    /// A command of another run.
    Run(RunId, Seq),
}

/// What a turn asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A call of an activity.
    ActivityScheduled(Arc<ActivityScheduled>),
    /// A timer.
    TimerStarted {
        /// Its command.
        seq: Seq,
        /// When it is due.
        due: Timestamp,
    },
    /// A receive that waits.
    SignalAwaited {
        /// Its command.
        seq: Seq,
        /// The signal's name.
        name: Text,
    },
    /// A receive returned: the signal that was buffered longest under its name is consumed. Of number 0: the signal of this turn had a
    /// message id that was known, and is dropped.
    SignalTaken {
        /// The receive's command.
        seq: Seq,
    },
    /// A signal to another run.
    SignalSent {
        /// Its command.
        seq: Seq,
        /// The receiver's workflow id.
        to: Text,
        /// The signal's name.
        name: Text,
        /// The digest of its value.
        value: Digest,
    },
    /// A call of a child workflow; the child's `RunStarted` stands in the same group.
    ChildScheduled(Box<ChildScheduled>),
    /// A compensation registered by hand.
    CompensationRegistered {
        /// Its command.
        seq: Seq,
        /// The recorded name of what it calls.
        name: Text,
        /// The scope that holds it.
        scope: ScopeNo,
    },
    /// A scope began.
    ScopeOpened {
        /// Its number.
        scope: ScopeNo,
        /// The scope around it.
        parent: ScopeNo,
    },
    /// A scope ended.
    ScopeClosed {
        /// Its number.
        scope: ScopeNo,
    },
    /// The code dropped a command that still waited.
    CommandDropped {
        /// Its command.
        seq: Seq,
    },
}

impl Entry {
    /// The command that the entry belongs to; none for a scope's.
    #[must_use]
    pub fn seq(&self) -> Option<Seq> {
        match self {
            Entry::ActivityScheduled(call) => Some(call.seq),
            Entry::ChildScheduled(child) => Some(child.seq),
            Entry::TimerStarted { seq, .. }
            | Entry::SignalAwaited { seq, .. }
            | Entry::SignalTaken { seq }
            | Entry::SignalSent { seq, .. }
            | Entry::CompensationRegistered { seq, .. }
            | Entry::CommandDropped { seq } => Some(*seq),
            Entry::ScopeOpened { .. } | Entry::ScopeClosed { .. } => None,
        }
    }
}

/// A call of an activity, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityScheduled {
    /// Its command.
    pub seq: Seq,
    /// The activity's recorded name.
    pub name: Text,
    /// The digest of the input's values.
    pub value: Digest,
    /// The digest of the input's shape.
    pub shape: Digest,
    /// What every build must agree on.
    pub binding: Binding,
    /// What is bound to it.
    pub undo: UndoBits,
    /// Which call this one undoes.
    pub undoes: Option<Seq>,
    /// The input, where replay may not compute it again.
    pub input: Option<Payload>,
}

/// Options that bind every build: a changed one is a mismatch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// At most once: an attempt that may have begun is never repeated.
    pub at_most_once: bool,
    /// Completed from outside by a token.
    pub by_token: bool,
    /// The queue that admits it. It has a name.
    pub queue: Option<Text>,
    /// The schedule-to-close deadline.
    pub deadline: Option<Timestamp>,
}

/// What is bound to a call for the case that it has to be undone, or is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UndoBits {
    /// An undo.
    pub undo: bool,
    /// An undo for an unknown outcome.
    pub unknown: bool,
    /// None, but where the call is dropped its attempt is asked to stop and awaited.
    pub waits: bool,
}

/// A call of a child workflow, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildScheduled {
    /// Its command.
    pub seq: Seq,
    /// The child workflow's recorded name.
    pub workflow: Text,
    /// The child's short number; its `RunStarted` stands in the same group.
    pub child: RunNo,
    /// The child's workflow id.
    pub id: Text,
    /// The digest of the input's values.
    pub value: Digest,
    /// The digest of the input's shape.
    pub shape: Digest,
    /// What becomes of the child when its parent ends.
    pub close: ClosePolicy,
}

/// What becomes of a child when its parent ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ClosePolicy {
    /// It is cancelled (the default).
    #[default]
    Cancel,
    /// It is terminated.
    Terminate,
    /// It goes on alone.
    Abandon,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptCause {
    /// It returned an error.
    Error {
        /// The error, as recorded.
        error: Payload,
        /// The error's text, for operators.
        text: Text,
    },
    /// It ran longer than its start-to-close timeout.
    TimedOut,
    /// It panicked, with this text.
    Panicked(Text),
    /// Its process ended while it ran.
    Interrupted,
}

/// What a call that failed for good gives its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallFailure {
    /// The activity's own error.
    App {
        /// The error, as recorded.
        error: Payload,
        /// Its text, for operators.
        text: Text,
    },
    /// A time limit.
    TimedOut(Which),
    /// The call was cancelled.
    Cancelled,
    /// An at-most-once attempt may have begun when its process ended.
    Interrupted,
    /// The only attempt panicked, with this text.
    Panicked(Text),
    /// The last of several attempts returned no error of its own.
    Exhausted {
        /// How many there were.
        attempts: Attempt,
        /// Why the last one failed.
        last: Box<CallFailure>,
    },
}

/// A time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Which {
    /// Of one attempt.
    StartToClose,
    /// Of the whole call, waiting and retries included.
    ScheduleToClose,
    /// Of the wait for the first attempt.
    ScheduleToStart,
    /// Between two heartbeats.
    Heartbeat,
}

/// A run's part of a group: consecutive events of one journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Whose events these are; 0 for the store's own.
    pub run: RunNo,
    /// The number of the first one.
    pub first: EventNo,
    /// When they happened, by the wall clock.
    pub at: Timestamp,
    /// At least one.
    pub events: Vec<Event>,
    /// Where they end the run: whose it was. It is not written; the log, which keeps no id for each open run, makes the closed run findable by it.
    pub ended: Option<Box<Whose>>,
}

/// Whose a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whose {
    /// Its namespace.
    pub namespace: Text,
    /// Its workflow id.
    pub id: Text,
}

impl Section {
    /// Events that end no run.
    #[must_use]
    pub fn of(run: RunNo, first: EventNo, at: Timestamp, events: Vec<Event>) -> Section {
        Section { run, first, at, events, ended: None }
    }

    /// They end the run, and this is whose it was.
    #[must_use]
    pub fn ending(self, namespace: Text, id: Text) -> Section {
        Section { ended: Some(Box::new(Whose { namespace, id })), ..self }
    }
}

/// What one fact means for several runs: it is durable as a whole or not at all, so it never spans two frames.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// In order; a run may have more than one.
    pub sections: Vec<Section>,
}
