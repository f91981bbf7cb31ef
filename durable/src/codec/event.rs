//! Events to bytes and back: the envelope (kind, version, flags, length) around a body, and the way between the wire types
//! and the kernel's. It never decides what an event means or whether it may stand where it stands.
//!
//! ```text
//! kind u16 LE | version u8 | flags u8 | body length LEB | body
//! ```

use super::kind::{self, Kind};
use super::names::{Name, Names, Spelling};
use super::wire::{self, List, Named};
use super::{DecodeError, leb};
use crate::kernel::event::{
    ActivityScheduled, AttemptCause, Binding, CallFailure, ChildScheduled, Entry, Event, Payload, RunEnded, RunStarted,
    Sender, Text, UndoBits,
};
use crate::kernel::id::{Attempt, Digest, EventNo, RunId, RunNo, ScopeNo, Seq, Timestamp};

/// The version in which every body is written now.
const VERSION: u8 = 1;

/// The flag of an event over which a reader may step that does not know it.
pub const SKIPPABLE: u8 = 1;

/// An event as it stands in the log, its body not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// What happened, by number.
    pub kind: Kind,
    /// How the body is written.
    pub version: u8,
    /// Bit 0: [`SKIPPABLE`]. The others are 0.
    pub flags: u8,
    /// The body.
    pub body: &'a [u8],
}

impl RawEvent<'_> {
    /// Whether this build can read the body.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.version == VERSION && self.flags & !SKIPPABLE == 0 && kind::is_known(self.kind)
    }

    /// Whether a reader that does not know the event may step over it.
    #[must_use]
    pub fn is_skippable(&self) -> bool {
        self.flags & SKIPPABLE != 0
    }

    fn unknown(&self) -> DecodeError {
        DecodeError::Unknown { kind: self.kind, name: kind::name(self.kind), version: self.version, flags: self.flags }
    }
}

/// Appends an event. `at` is its section's, `names` the table of its run, which takes in the names that are new.
pub fn encode(event: &Event, at: Timestamp, names: &mut Names, out: &mut Vec<u8>) {
    out.extend_from_slice(&kind_of(event).to_le_bytes());
    out.extend_from_slice(&[VERSION, 0]);
    let start = out.len();
    put_body(event, at, names, out);
    leb::put_before(start, (out.len() - start) as u64, out);
}

/// Takes an event off the front of `bytes`, its body not looked at.
///
/// # Errors
/// A [`DecodeError`] if the bytes end before it does.
pub fn peek<'a>(bytes: &mut &'a [u8]) -> Result<RawEvent<'a>, DecodeError> {
    let kind = Kind::from_le_bytes(leb::take_array(bytes)?);
    let version = leb::take_u8(bytes)?;
    let flags = leb::take_u8(bytes)?;
    let len = leb::take_len(bytes)?;
    Ok(RawEvent { kind, version, flags, body: leb::take_bytes(bytes, len)? })
}

/// Takes an event off the front of `bytes`: none if it is unknown and may be stepped over. `at` is its section's, `names`
/// the table of its run, which takes in the names that are new.
///
/// # Errors
/// A [`DecodeError`] if it is no whole event, or an unknown one that may not be stepped over; `names` is as before then.
pub fn decode(bytes: &mut &[u8], at: Timestamp, names: &mut Names) -> Result<Option<Event>, DecodeError> {
    decode_raw(&peek(bytes)?, at, names)
}

/// Reads the body of an event that [`peek`] gave.
///
/// # Errors
/// As [`decode`].
pub fn decode_raw(raw: &RawEvent<'_>, at: Timestamp, names: &mut Names) -> Result<Option<Event>, DecodeError> {
    if !raw.is_known() {
        return if raw.is_skippable() { Ok(None) } else { Err(raw.unknown()) };
    }
    let known = names.len();
    let event = take_body(raw, at, names);
    if event.is_err() {
        names.truncate(known);
    }
    event.map(Some)
}

/// The kind's number.
#[must_use]
pub fn kind_of(event: &Event) -> Kind {
    match event {
        Event::RunStarted(_) => kind::RUN_STARTED,
        Event::Turn { .. } => kind::TURN,
        Event::AttemptStarted { .. } => kind::ATTEMPT_STARTED,
        Event::AttemptFailed { .. } => kind::ATTEMPT_FAILED,
        Event::AttemptParked { .. } => kind::ATTEMPT_PARKED,
        Event::ActivityCompleted { .. } => kind::ACTIVITY_COMPLETED,
        Event::ActivityFailed { .. } => kind::ACTIVITY_FAILED,
        Event::TimerFired { .. } => kind::TIMER_FIRED,
        Event::SignalReceived { .. } => kind::SIGNAL_RECEIVED,
        Event::ChildEnded { .. } => kind::CHILD_ENDED,
        Event::CancelRequested { .. } => kind::CANCEL_REQUESTED,
        Event::RunTimedOut { .. } => kind::RUN_TIMED_OUT,
        Event::CompensationStarted { .. } => kind::COMPENSATION_STARTED,
        Event::RunEnded(_) => kind::RUN_ENDED,
        Event::BuildChanged { .. } => kind::BUILD_CHANGED,
        Event::RunBlocked { .. } => kind::RUN_BLOCKED,
        Event::RunUnblocked { .. } => kind::RUN_UNBLOCKED,
        Event::Opened { .. } => kind::OPENED,
        Event::Closed => kind::CLOSED,
        Event::Checkpoint { .. } => kind::CHECKPOINT,
    }
}

fn put_body(event: &Event, base: Timestamp, names: &mut Names, out: &mut Vec<u8>) {
    match event {
        Event::RunStarted(started) => wire::put(&started_to_wire(started, base), out),
        Event::Turn { of, entries } => {
            let entries = entries.iter().map(|entry| entry_to_wire(entry, base, names)).collect();
            wire::put(&wire::Turn { of: of.0, entries: List(entries) }, out);
        }
        Event::AttemptStarted { seq, attempt } | Event::AttemptParked { seq, attempt } => {
            wire::put(&wire::AttemptStarted { seq: seq.0, attempt: attempt.0 }, out);
        }
        Event::AttemptFailed { seq, attempt, began, cause, due, maybe } => {
            let (began, due) = (span(*began, base), span(*due, base));
            let (seq, attempt, cause) = (seq.0, attempt.0, cause_to_wire(cause));
            wire::put(&wire::AttemptFailed { seq, attempt, began, cause, due, maybe: *maybe }, out);
        }
        Event::ActivityCompleted { seq, attempt, began, result } => {
            let (seq, attempt, began) = (seq.0, attempt.0, span(*began, base));
            wire::put(&wire::ActivityCompleted { seq, attempt, began, result: &result.0 }, out);
        }
        Event::ActivityFailed { seq, attempt, began, error, maybe } => {
            let (seq, attempt, began) = (seq.0, attempt.0, span(*began, base));
            let (exhausted, error) = failure_to_wire(error);
            wire::put(&wire::ActivityFailed { seq, attempt, began, exhausted, error, maybe: *maybe }, out);
        }
        Event::TimerFired { seq, at } => wire::put(&wire::TimerFired { seq: seq.0, at: span(*at, base) }, out),
        Event::SignalReceived { name, payload, sender } => {
            let (name, payload, sender) = (name.as_str(), &*payload.0, sender_to_wire(sender));
            wire::put(&wire::SignalReceived { name, payload, sender }, out);
        }
        Event::ChildEnded { seq, how, result } => {
            wire::put(&wire::ChildEnded { seq: seq.0, how: (*how).into(), result: &result.0 }, out);
        }
        Event::CancelRequested { scope, actor, reason, message } => {
            let (actor, reason, message) = (actor.as_str(), reason.as_str(), message.as_str());
            wire::put(&wire::CancelRequested { scope: scope.0, actor, reason, message }, out);
        }
        Event::RunTimedOut { at } => wire::put(&wire::RunTimedOut { at: span(*at, base) }, out),
        Event::CompensationStarted { cause, result } => {
            wire::put(&wire::CompensationStarted { cause: (*cause).into(), result: &result.0 }, out);
        }
        Event::RunEnded(ended) => wire::put(&ended_to_wire(ended), out),
        Event::BuildChanged { build } => wire::put(&wire::BuildChanged { build: build.as_str() }, out),
        Event::RunBlocked { build, reason } | Event::RunUnblocked { build, reason } => {
            wire::put(&wire::BuildAndReason { build: build.as_str(), reason: reason.as_str() }, out);
        }
        Event::Opened { build, pid, host } => {
            wire::put(&wire::Opened { build: build.as_str(), pid: *pid, host: host.as_str() }, out);
        }
        Event::Closed => wire::put(&wire::Closed, out),
        Event::Checkpoint { part, of, tables } => {
            wire::put(&wire::Checkpoint { part: *part, of: *of, tables: &tables.0 }, out);
        }
    }
}

fn take_body(raw: &RawEvent<'_>, base: Timestamp, names: &mut Names) -> Result<Event, DecodeError> {
    let (body, known) = (raw.body, names.len());
    Ok(match raw.kind {
        kind::RUN_STARTED => Event::RunStarted(Box::new(started_of_wire(&wire::read(body, known)?, base))),
        kind::TURN => {
            let wire::Turn { of, entries } = wire::read(body, known)?;
            let entries = entries.0.into_iter().map(|entry| entry_of_wire(entry, base, names));
            Event::Turn { of: EventNo(of), entries: entries.collect::<Result<_, _>>()? }
        }
        kind::ATTEMPT_STARTED => {
            let wire::AttemptStarted { seq, attempt } = wire::read(body, known)?;
            Event::AttemptStarted { seq: Seq(seq), attempt: Attempt(attempt) }
        }
        kind::ATTEMPT_FAILED => {
            let wire::AttemptFailed { seq, attempt, began, cause, due, maybe } = wire::read(body, known)?;
            let (began, due, cause) = (point(began, base), point(due, base), cause_of_wire(cause));
            Event::AttemptFailed { seq: Seq(seq), attempt: Attempt(attempt), began, cause, due, maybe }
        }
        kind::ATTEMPT_PARKED => {
            let wire::AttemptStarted { seq, attempt } = wire::read(body, known)?;
            Event::AttemptParked { seq: Seq(seq), attempt: Attempt(attempt) }
        }
        kind::ACTIVITY_COMPLETED => {
            let wire::ActivityCompleted { seq, attempt, began, result } = wire::read(body, known)?;
            let (began, result) = (point(began, base), payload(result));
            Event::ActivityCompleted { seq: Seq(seq), attempt: Attempt(attempt), began, result }
        }
        kind::ACTIVITY_FAILED => {
            let wire::ActivityFailed { seq, attempt, began, exhausted, error, maybe } = wire::read(body, known)?;
            let (began, error) = (point(began, base), failure_of_wire(exhausted, error));
            Event::ActivityFailed { seq: Seq(seq), attempt: Attempt(attempt), began, error, maybe }
        }
        kind::TIMER_FIRED => {
            let wire::TimerFired { seq, at } = wire::read(body, known)?;
            Event::TimerFired { seq: Seq(seq), at: point(at, base) }
        }
        kind::SIGNAL_RECEIVED => {
            let wire::SignalReceived { name, payload: sent, sender } = wire::read(body, known)?;
            Event::SignalReceived { name: name.into(), payload: payload(sent), sender: sender_of_wire(sender) }
        }
        kind::CHILD_ENDED => {
            let wire::ChildEnded { seq, how, result } = wire::read(body, known)?;
            Event::ChildEnded { seq: Seq(seq), how: how.into(), result: payload(result) }
        }
        kind::CANCEL_REQUESTED => {
            let wire::CancelRequested { scope, actor, reason, message } = wire::read(body, known)?;
            let (actor, reason, message) = (actor.into(), reason.into(), message.into());
            Event::CancelRequested { scope: ScopeNo(scope), actor, reason, message }
        }
        kind::RUN_TIMED_OUT => {
            let wire::RunTimedOut { at } = wire::read(body, known)?;
            Event::RunTimedOut { at: point(at, base) }
        }
        kind::COMPENSATION_STARTED => {
            let wire::CompensationStarted { cause, result } = wire::read(body, known)?;
            Event::CompensationStarted { cause: cause.into(), result: payload(result) }
        }
        kind::RUN_ENDED => Event::RunEnded(Box::new(ended_of_wire(wire::read(body, known)?))),
        kind::BUILD_CHANGED => {
            let wire::BuildChanged { build } = wire::read(body, known)?;
            Event::BuildChanged { build: build.into() }
        }
        kind::RUN_BLOCKED => {
            let wire::BuildAndReason { build, reason } = wire::read(body, known)?;
            Event::RunBlocked { build: build.into(), reason: reason.into() }
        }
        kind::RUN_UNBLOCKED => {
            let wire::BuildAndReason { build, reason } = wire::read(body, known)?;
            Event::RunUnblocked { build: build.into(), reason: reason.into() }
        }
        kind::OPENED => {
            let wire::Opened { build, pid, host } = wire::read(body, known)?;
            Event::Opened { build: build.into(), pid, host: host.into() }
        }
        kind::CLOSED => {
            let wire::Closed = wire::read(body, known)?;
            Event::Closed
        }
        kind::CHECKPOINT => {
            let wire::Checkpoint { part, of, tables } = wire::read(body, known)?;
            Event::Checkpoint { part, of, tables: payload(tables) }
        }
        _ => return Err(raw.unknown()),
    })
}

fn span(at: Timestamp, base: Timestamp) -> i64 {
    at.0.wrapping_sub(base.0)
}

fn point(span: i64, base: Timestamp) -> Timestamp {
    Timestamp(base.0.wrapping_add(span))
}

fn payload(bytes: &[u8]) -> Payload {
    Payload(bytes.into())
}

fn digest_to_wire(digest: Digest) -> wire::Digest {
    digest.0.to_le_bytes()
}

fn digest_of_wire(bytes: wire::Digest) -> Digest {
    Digest(u64::from_le_bytes(bytes))
}

fn map_to_wire(map: &[(Text, Payload)]) -> List<(&str, &[u8])> {
    List(map.iter().map(|(key, value)| (key.as_str(), &*value.0)).collect())
}

fn map_of_wire(map: &List<(&str, &[u8])>) -> Vec<(Text, Payload)> {
    map.0.iter().map(|(key, value)| ((*key).into(), payload(value))).collect()
}

fn started_to_wire(started: &RunStarted, base: Timestamp) -> wire::RunStarted<'_> {
    wire::RunStarted {
        run: started.run.0,
        namespace: started.namespace.as_str(),
        id: started.id.as_str(),
        workflow: started.workflow.as_str(),
        version: started.version,
        input: &started.input.0,
        value: digest_to_wire(started.value),
        shape: digest_to_wire(started.shape),
        headers: map_to_wire(&started.headers),
        build: started.build.as_str(),
        semantics: started.semantics,
        deadline: started.deadline.map(|deadline| span(deadline, base)),
        attributes: map_to_wire(&started.attributes),
        parent: started.parent.map(|(run, seq)| (run.0, seq.0)),
        seed: started.seed,
        salt: started.salt,
        queue: started.queue.as_str(),
        priority: started.priority,
        message: started.message.as_str(),
    }
}

fn started_of_wire(started: &wire::RunStarted<'_>, base: Timestamp) -> RunStarted {
    RunStarted {
        run: RunId(started.run),
        namespace: started.namespace.into(),
        id: started.id.into(),
        workflow: started.workflow.into(),
        version: started.version,
        input: payload(started.input),
        value: digest_of_wire(started.value),
        shape: digest_of_wire(started.shape),
        headers: map_of_wire(&started.headers),
        build: started.build.into(),
        semantics: started.semantics,
        deadline: started.deadline.map(|deadline| point(deadline, base)),
        attributes: map_of_wire(&started.attributes),
        parent: started.parent.map(|(run, seq)| (RunNo(run), Seq(seq))),
        seed: started.seed,
        salt: started.salt,
        queue: started.queue.into(),
        priority: started.priority,
        message: started.message.into(),
    }
}

fn ended_to_wire(ended: &RunEnded) -> wire::RunEnded<'_> {
    let seqs = |seqs: &[Seq]| List(seqs.iter().map(|seq| seq.0).collect());
    wire::RunEnded {
        how: ended.how.into(),
        result: &ended.result.0,
        undone: seqs(&ended.undone),
        not_undone: seqs(&ended.not_undone),
        unknown: seqs(&ended.unknown),
        actor: ended.actor.as_str(),
        reason: ended.reason.as_str(),
    }
}

fn ended_of_wire(ended: wire::RunEnded<'_>) -> RunEnded {
    let seqs = |seqs: List<u32>| seqs.0.into_iter().map(Seq).collect();
    RunEnded {
        how: ended.how.into(),
        result: payload(ended.result),
        undone: seqs(ended.undone),
        not_undone: seqs(ended.not_undone),
        unknown: seqs(ended.unknown),
        actor: ended.actor.into(),
        reason: ended.reason.into(),
    }
}

fn cause_to_wire(cause: &AttemptCause) -> wire::Cause<'_> {
    match cause {
        AttemptCause::Error { error, text } => wire::Cause::Error { error: &error.0, text: text.as_str() },
        AttemptCause::TimedOut => wire::Cause::TimedOut,
        AttemptCause::Panicked(text) => wire::Cause::Panicked(text.as_str()),
        AttemptCause::Interrupted => wire::Cause::Interrupted,
    }
}

fn cause_of_wire(cause: wire::Cause<'_>) -> AttemptCause {
    match cause {
        wire::Cause::Error { error, text } => AttemptCause::Error { error: payload(error), text: text.into() },
        wire::Cause::TimedOut => AttemptCause::TimedOut,
        wire::Cause::Panicked(text) => AttemptCause::Panicked(text.into()),
        wire::Cause::Interrupted => AttemptCause::Interrupted,
    }
}

/// The count of attempts if they are exhausted, and why the last one failed. What is exhausted is one call's attempts, so
/// one count is all there can be: of several around one another the outermost stands.
fn failure_to_wire(failure: &CallFailure) -> (Option<u32>, wire::Failure<'_>) {
    let mut exhausted = None;
    let mut failure = failure;
    while let CallFailure::Exhausted { attempts, last } = failure {
        exhausted = exhausted.or(Some(attempts.0));
        failure = last;
    }
    let failure = match failure {
        CallFailure::App { error, text } => wire::Failure::App { error: &error.0, text: text.as_str() },
        CallFailure::TimedOut(which) => wire::Failure::TimedOut((*which).into()),
        CallFailure::Panicked(text) => wire::Failure::Panicked(text.as_str()),
        CallFailure::Cancelled => wire::Failure::Cancelled,
        CallFailure::Interrupted | CallFailure::Exhausted { .. } => wire::Failure::Interrupted,
    };
    (exhausted, failure)
}

fn failure_of_wire(exhausted: Option<u32>, failure: wire::Failure<'_>) -> CallFailure {
    let last = match failure {
        wire::Failure::App { error, text } => CallFailure::App { error: payload(error), text: text.into() },
        wire::Failure::TimedOut(which) => CallFailure::TimedOut(which.into()),
        wire::Failure::Cancelled => CallFailure::Cancelled,
        wire::Failure::Interrupted => CallFailure::Interrupted,
        wire::Failure::Panicked(text) => CallFailure::Panicked(text.into()),
    };
    match exhausted {
        Some(attempts) => CallFailure::Exhausted { attempts: Attempt(attempts), last: Box::new(last) },
        None => last,
    }
}

fn sender_to_wire(sender: &Sender) -> wire::Sender<'_> {
    match sender {
        Sender::Anonymous => wire::Sender::Anonymous,
        Sender::Message(id) => wire::Sender::Message(id.as_str()),
        Sender::Run(run, seq) => wire::Sender::Run(run.0, seq.0),
    }
}

fn sender_of_wire(sender: wire::Sender<'_>) -> Sender {
    match sender {
        wire::Sender::Anonymous => Sender::Anonymous,
        wire::Sender::Message(id) => Sender::Message(id.into()),
        wire::Sender::Run(run, seq) => Sender::Run(RunId(run), Seq(seq)),
    }
}

fn entry_to_wire<'a>(entry: &'a Entry, base: Timestamp, names: &mut Names) -> wire::Entry<'a> {
    match entry {
        Entry::ActivityScheduled(call) => wire::Entry::ActivityScheduled(call_to_wire(call, base, names)),
        Entry::TimerStarted { seq, due } => wire::Entry::TimerStarted { seq: seq.0, due: span(*due, base) },
        Entry::SignalAwaited { seq, name } => {
            wire::Entry::SignalAwaited { seq: seq.0, name: signal_to_wire(name, names) }
        }
        Entry::SignalSent { seq, to, name, value } => {
            let (to, name, value) = (to.as_str(), signal_to_wire(name, names), digest_to_wire(*value));
            wire::Entry::SignalSent { seq: seq.0, to, name, value }
        }
        Entry::ChildScheduled(child) => wire::Entry::ChildScheduled(child_to_wire(child, names)),
        Entry::CompensationRegistered { seq, scope } => {
            wire::Entry::CompensationRegistered { seq: seq.0, scope: scope.0 }
        }
        Entry::ScopeOpened { scope, parent } => wire::Entry::ScopeOpened { scope: scope.0, parent: parent.0 },
        Entry::ScopeClosed { scope } => wire::Entry::ScopeClosed { scope: scope.0 },
        Entry::CommandDropped { seq } => wire::Entry::CommandDropped { seq: seq.0 },
        Entry::SignalTaken { seq } => wire::Entry::SignalTaken { seq: seq.0 },
    }
}

fn entry_of_wire(entry: wire::Entry<'_>, base: Timestamp, names: &mut Names) -> Result<Entry, DecodeError> {
    Ok(match entry {
        wire::Entry::ActivityScheduled(call) => Entry::ActivityScheduled(Box::new(call_of_wire(call, base, names)?)),
        wire::Entry::TimerStarted { seq, due } => Entry::TimerStarted { seq: Seq(seq), due: point(due, base) },
        wire::Entry::SignalAwaited { seq, name } => {
            Entry::SignalAwaited { seq: Seq(seq), name: signal_of_wire(name, names)? }
        }
        wire::Entry::SignalSent { seq, to, name, value } => {
            let (to, name, value) = (to.into(), signal_of_wire(name, names)?, digest_of_wire(value));
            Entry::SignalSent { seq: Seq(seq), to, name, value }
        }
        wire::Entry::ChildScheduled(child) => Entry::ChildScheduled(Box::new(child_of_wire(child, names)?)),
        wire::Entry::CompensationRegistered { seq, scope } => {
            Entry::CompensationRegistered { seq: Seq(seq), scope: ScopeNo(scope) }
        }
        wire::Entry::ScopeOpened { scope, parent } => {
            Entry::ScopeOpened { scope: ScopeNo(scope), parent: ScopeNo(parent) }
        }
        wire::Entry::ScopeClosed { scope } => Entry::ScopeClosed { scope: ScopeNo(scope) },
        wire::Entry::CommandDropped { seq } => Entry::CommandDropped { seq: Seq(seq) },
        wire::Entry::SignalTaken { seq } => Entry::SignalTaken { seq: Seq(seq) },
    })
}

fn call_to_wire<'a>(call: &'a ActivityScheduled, base: Timestamp, names: &mut Names) -> wire::ActivityScheduled<'a> {
    let Binding { at_most_once, by_token, queue, deadline } = &call.binding;
    wire::ActivityScheduled {
        seq: call.seq.0,
        name: shaped_to_wire(&call.name, call.shape, names),
        value: digest_to_wire(call.value),
        at_most_once: *at_most_once,
        by_token: *by_token,
        undo: call.undo.undo,
        undo_unknown: call.undo.unknown,
        queue: Some(queue.as_str()).filter(|queue| !queue.is_empty()),
        deadline: deadline.map(|deadline| span(deadline, base)),
        undoes: call.undoes.map(|seq| seq.0),
        input: call.input.as_ref().map(|input| &*input.0),
    }
}

fn call_of_wire(
    call: wire::ActivityScheduled<'_>,
    base: Timestamp,
    names: &mut Names,
) -> Result<ActivityScheduled, DecodeError> {
    let (name, shape) = shaped_of_wire(call.name, names)?;
    Ok(ActivityScheduled {
        seq: Seq(call.seq),
        name,
        value: digest_of_wire(call.value),
        shape,
        binding: Binding {
            at_most_once: call.at_most_once,
            by_token: call.by_token,
            queue: call.queue.unwrap_or_default().into(),
            deadline: call.deadline.map(|deadline| point(deadline, base)),
        },
        undo: UndoBits { undo: call.undo, unknown: call.undo_unknown },
        undoes: call.undoes.map(Seq),
        input: call.input.map(payload),
    })
}

fn child_to_wire<'a>(child: &'a ChildScheduled, names: &mut Names) -> wire::ChildScheduled<'a> {
    wire::ChildScheduled {
        seq: child.seq.0,
        workflow: shaped_to_wire(&child.workflow, child.shape, names),
        child: child.child.0,
        id: child.id.as_str(),
        value: digest_to_wire(child.value),
        close: child.close.into(),
    }
}

fn child_of_wire(child: wire::ChildScheduled<'_>, names: &mut Names) -> Result<ChildScheduled, DecodeError> {
    let (workflow, shape) = shaped_of_wire(child.workflow, names)?;
    Ok(ChildScheduled {
        seq: Seq(child.seq),
        workflow,
        child: RunNo(child.child),
        id: child.id.into(),
        value: digest_of_wire(child.value),
        shape,
        close: child.close.into(),
    })
}

fn signal_to_wire<'a>(name: &'a Text, names: &mut Names) -> Named<'a, ()> {
    match names.spell(name, None) {
        Spelling::Number(number) => Named::Number(number),
        Spelling::InFull(index) => Named::InFull { index, text: name.as_str(), shape: () },
    }
}

fn signal_of_wire(name: Named<'_, ()>, names: &mut Names) -> Result<Text, DecodeError> {
    match name {
        Named::InFull { text, .. } => {
            let text = Text::from(text);
            names.add(Name { text: text.clone(), shape: None })?;
            Ok(text)
        }
        Named::Number(index) => match names.get(index)? {
            Name { text, shape: None } => Ok(text.clone()),
            Name { .. } => Err(DecodeError::Value { rule: "a signal's name has no shape" }),
        },
    }
}

fn shaped_to_wire<'a>(name: &'a Text, shape: Digest, names: &mut Names) -> Named<'a, wire::Digest> {
    match names.spell(name, Some(shape)) {
        Spelling::Number(number) => Named::Number(number),
        Spelling::InFull(index) => Named::InFull { index, text: name.as_str(), shape: digest_to_wire(shape) },
    }
}

fn shaped_of_wire(name: Named<'_, wire::Digest>, names: &mut Names) -> Result<(Text, Digest), DecodeError> {
    match name {
        Named::InFull { text, shape, .. } => {
            let (text, shape) = (Text::from(text), digest_of_wire(shape));
            names.add(Name { text: text.clone(), shape: Some(shape) })?;
            Ok((text, shape))
        }
        Named::Number(index) => match names.get(index)? {
            Name { text, shape: Some(shape) } => Ok((text.clone(), *shape)),
            Name { shape: None, .. } => Err(DecodeError::Value { rule: "a call's name has a shape" }),
        },
    }
}
