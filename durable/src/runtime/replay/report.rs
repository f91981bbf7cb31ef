//! What a replay found, as data and in words.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::codec::hash;
use crate::kernel::command::{CallActivity, Place};
use crate::kernel::event::{End, Event, Payload, RunEnded, Text};
use crate::kernel::id::{EventNo, RunId};
use crate::kernel::machine::Issued;
use crate::payload::to_json;
use crate::runtime::status::Status;

/// How much of a value is shown.
const VALUE_BYTES_MAX: usize = 400;

/// A journal that the code of today gives again.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Replayed {
    /// The workflow id.
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// The run's identity.
    #[serde(serialize_with = "text")]
    pub run: RunId,
    /// The workflow's recorded name.
    pub workflow: String,
    /// Its version.
    pub version: u32,
    /// How many events the journal holds.
    pub events: u64,
    /// How many of them the code fits: all.
    pub matched: u64,
    /// How many turns were polled again. Only these ask anything of the code.
    pub turns: u64,
    /// Where the journal leaves the run: [`Status::Running`] if it has no end.
    pub status: Status,
    /// What was compared of its end.
    pub end: EndCheck,
    /// The calls of activities and steps that the journal holds, by seq.
    pub calls: Vec<ReplayedCall>,
    /// What an operator should know: an input of another shape that was let stand.
    pub warnings: Vec<String>,
}

/// What was compared of a run's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EndCheck {
    /// The journal has none.
    Open,
    /// The code ends as it is recorded.
    Alike,
    /// The run was ended from outside, which asks nothing of the code.
    FromOutside,
}

/// A call of an activity or a step in a journal that was replayed.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReplayedCall {
    /// Its number in the run.
    pub seq: u32,
    /// The activity's recorded name, or the step's.
    pub activity: String,
    /// What every attempt of it has as its idempotency key: made of what is recorded, so that it is the recorded one.
    pub key: String,
    /// The delivered event in whose turn it was asked for.
    pub asked_at: u64,
    /// Its arguments as the code of today gives them.
    #[serde(serialize_with = "shown")]
    pub input: Payload,
    /// Whether it is tried once at most.
    pub at_most_once: bool,
    /// The call that it undoes.
    pub undoes: Option<u32>,
    /// The newest attempt that the journal names. An at-least-once call's first one is named only when it has come to something, so
    /// that an open call of 0 may have begun its first.
    pub attempts: u32,
    /// How it stands.
    pub state: CallState,
}

/// How a call stands in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CallState {
    /// It has no outcome yet.
    Open,
    /// The code dropped it, and no outcome came.
    Dropped,
    /// An attempt succeeded.
    Completed,
    /// It failed for good.
    Failed,
}

impl ReplayedCall {
    pub(super) fn new(run: RunId, of: EventNo, call: &CallActivity, issued: &Issued) -> ReplayedCall {
        ReplayedCall {
            seq: issued.seq.0,
            activity: call.name.to_string(),
            key: hash::idempotency_key(run, call.name.as_str(), issued.recorded_value, issued.ordinal),
            asked_at: of.0,
            input: call.input.clone().unwrap_or_default(),
            at_most_once: call.options.at_most_once,
            undoes: call.undoes.map(|seq| seq.0),
            attempts: 0,
            state: CallState::Open,
        }
    }

    pub(super) fn dropped(&mut self) {
        if self.state == CallState::Open {
            self.state = CallState::Dropped;
        }
    }

    /// Takes in an event that is about it.
    pub(super) fn note(&mut self, event: &Event) {
        let (attempt, state) = match event {
            Event::AttemptStarted { attempt, .. }
            | Event::AttemptFailed { attempt, .. }
            | Event::AttemptParked { attempt, .. } => (attempt, self.state),
            Event::ActivityCompleted { attempt, .. } => (attempt, CallState::Completed),
            Event::ActivityFailed { attempt, .. } => (attempt, CallState::Failed),
            _ => return,
        };
        self.attempts = self.attempts.max(attempt.0);
        self.state = state;
    }
}

/// Why a journal was not replayed to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotReplayed {
    /// The code of today does not fit: it asks for something else, ends otherwise, panics, or cannot read a recorded value.
    Diverged(Box<Divergence>),
    /// The journal's workflow was not given.
    Unregistered {
        /// The workflow id.
        id: String,
        /// The workflow's recorded name.
        workflow: String,
        /// Its version.
        version: u32,
        /// The workflows that were given, in words.
        registered: String,
    },
    /// The workflow calls something that was not given, or the journal contradicts itself.
    Stuck {
        /// The workflow id.
        id: String,
        /// The event at which it showed.
        event: u64,
        /// What, with its code.
        reason: String,
    },
    /// What was given does not fit together.
    Registry {
        /// All that is wrong with it.
        reason: String,
    },
    /// It is no journal of a run.
    Malformed {
        /// Why, with its code.
        reason: String,
    },
}

/// The first difference between a journal and the code of today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Divergence {
    /// The workflow id.
    pub id: String,
    /// The run's identity.
    #[serde(serialize_with = "text")]
    pub run: RunId,
    /// The workflow's recorded name.
    pub workflow: String,
    /// Its version.
    pub version: u32,
    /// The number of the event that the code does not give again: a turn, or an event that has no turn yet and that the code cannot take.
    pub event: u64,
    /// That event's kind.
    pub kind: &'static str,
    /// How many events before it agreed.
    pub matched: u64,
    /// How many events the journal holds.
    pub events: u64,
    /// How many turns agreed.
    pub turns: u64,
    /// What the journal holds and what the code asks for, where in the source, and what to do; with its code.
    pub reason: String,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Divergence { id, workflow, event, kind, matched, events, reason, .. } = self;
        write!(
            f,
            "run `{id}` of `{workflow}` diverges at event {event} ({kind}), {matched} of {events} events matched: {reason}"
        )
    }
}

impl fmt::Display for NotReplayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReplayed::Diverged(divergence) => divergence.fmt(f),
            NotReplayed::Unregistered { id, workflow, version, registered } => write!(
                f,
                "run `{id}` was not replayed: workflow `{workflow}` version {version} is not among those that were given \
                 ({registered}) [E0208]"
            ),
            NotReplayed::Stuck { id, event, reason } => {
                write!(f, "run `{id}` was not replayed, event {event} cannot be taken: {reason}")
            }
            NotReplayed::Registry { reason } => write!(f, "what was given does not fit together: {reason} [E0310]"),
            NotReplayed::Malformed { reason } => write!(f, "this is no journal of a run: {reason}"),
        }
    }
}

impl std::error::Error for NotReplayed {}

/// The recorded run ended in a turn in which the code goes on.
pub(super) fn ends_late(recorded: &RunEnded, after: Option<Place>) -> String {
    let after = after.map(|place| format!(", after its durable call at {place}")).unwrap_or_default();
    sides(recorded, &format!("no end yet{after}"))
}

/// The code ends otherwise than the recorded run.
pub(super) fn ends_otherwise(recorded: &RunEnded, how: End, result: &Payload) -> String {
    sides(recorded, &end(how, result))
}

fn sides(recorded: &RunEnded, asked: &str) -> String {
    format!(
        "another end of the run\n  the journal holds     {}\n  the code gives        {asked}\n  way out               if that is \
         meant, record the journal anew, or compare ends without their results by `any_result` [E0213]",
        end(recorded.body, &recorded.result)
    )
}

fn end(how: End, result: &Payload) -> String {
    let status = Status::from(how);
    match result.is_empty() {
        true => status.to_string(),
        false => format!("{status}, with {}", Text::cut(&to_json(result).to_string(), VALUE_BYTES_MAX)),
    }
}

fn text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn shown<S: Serializer>(value: &Payload, serializer: S) -> Result<S::Ok, S::Error> {
    to_json(value).serialize(serializer)
}
