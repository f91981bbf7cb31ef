//! Events to bytes and back: the envelope (kind, version, flags, length), and which body belongs to which kind. It never
//! decides what an event means or whether it may stand where it stands.
//!
//! ```text
//! kind u16 LE | version u8 | flags u8 | body length LEB | body
//! ```

use super::carry::{
    cause_of_wire, cause_to_wire, ended_of_wire, ended_to_wire, entry_of_wire, entry_to_wire, failure_of_wire,
    failure_to_wire, payload, point, sender_of_wire, sender_to_wire, span, started_of_wire, started_to_wire,
    undone_of_wire, undone_to_wire,
};
use super::kind::{self, Kind};
use super::names::Names;
use super::wire;
use super::{DecodeError, leb};
use crate::kernel::event::Event;
use crate::kernel::id::{Attempt, EventNo, ScopeNo, Seq, Timestamp};
use crate::kernel::short::Short;

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
#[inline]
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
#[inline]
pub fn decode(bytes: &mut &[u8], at: Timestamp, names: &mut Names) -> Result<Option<Event>, DecodeError> {
    decode_raw(&peek(bytes)?, at, names)
}

/// Reads the body of an event that [`peek`] gave.
///
/// # Errors
/// As [`decode`].
#[inline]
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

/// What a part of a checkpoint holds: its number, how many there are, and its bytes, which are not copied. None if the event is another one,
/// or cannot be read.
#[cfg(feature = "runtime")]
pub(crate) fn checkpoint_part<'a>(raw: &RawEvent<'a>) -> Option<(u32, u32, &'a [u8])> {
    if raw.kind != kind::CHECKPOINT || !raw.is_known() {
        return None;
    }
    let wire::Checkpoint { part, of, tables } = wire::read(raw.body, 0).ok()?;
    Some((part, of, tables))
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
            // As a list, with none made before.
            wire::put(&(of.0, entries.len() as u64), out);
            entries.iter().for_each(|entry| wire::put(&entry_to_wire(entry, base, names), out));
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
        Event::ChildEnded { seq, how, body, result, undone } => {
            let (how, body, undone) = ((*how).into(), (*body).into(), undone_to_wire(undone));
            wire::put(&wire::ChildEnded { seq: seq.0, how, body, result: &result.0, undone }, out);
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
            // One by one, as they are written.
            let mut body = wire::Body::new(body)?;
            let (of, count): (u64, u64) = body.take(known)?;
            let mut entries = Short::NOTHING;
            for _ in 0..count {
                let entry = body.take(names.len())?;
                entries.push(entry_of_wire(entry, base, names)?);
            }
            body.end()?;
            Event::Turn { of: EventNo(of), entries }
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
            let wire::ChildEnded { seq, how, body, result, undone } = wire::read(body, known)?;
            let (how, body, undone) = (how.into(), body.into(), undone_of_wire(undone));
            Event::ChildEnded { seq: Seq(seq), how, body, result: payload(result), undone }
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
