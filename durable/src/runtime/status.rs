//! What a run is doing, in data, in words and as whatever an application serialises it to.

use std::fmt;
use std::time::SystemTime;

use serde::{Serialize, Serializer};

use crate::error::Undone;
use crate::kernel::event::{End, Text};
use crate::kernel::id::{RunId, Timestamp};
use crate::kernel::mismatch::Utc;
use crate::kernel::tables::{AttemptState, RunEntry, Waiting, WaitingFor};
use crate::store::ClosedRun;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It goes on, or waits for something named.
    Running,
    /// It is not polled until the cause is gone.
    Blocked {
        /// The cause, with the way out.
        reason: String,
        /// Since when; none if the cause is outside the journal and was met by this process.
        #[serde(serialize_with = "maybe_utc")]
        since: Option<SystemTime>,
    },
    /// Its body has ended, and what it did is being undone.
    Compensating,
    /// It ended with `Ok`.
    Completed,
    /// It ended with `Err`.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// Its deadline passed.
    TimedOut,
    /// It was ended from outside.
    Terminated,
    /// A compensation failed for good.
    CompensationFailed,
}

impl Status {
    /// Whether the run has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !matches!(self, Status::Running | Status::Compensating | Status::Blocked { .. })
    }
}

impl From<End> for Status {
    fn from(end: End) -> Status {
        match end {
            End::Completed => Status::Completed,
            End::Failed => Status::Failed,
            End::Cancelled => Status::Cancelled,
            End::TimedOut => Status::TimedOut,
            End::Terminated | End::NotStarted => Status::Terminated,
            End::CompensationFailed => Status::CompensationFailed,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Running => "running",
            Status::Compensating => "compensating",
            Status::Blocked { .. } => "blocked",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
            Status::TimedOut => "timed out",
            Status::Terminated => "terminated",
            Status::CompensationFailed => "compensation failed",
        })
    }
}

/// What is known of a run, as far as it is durable.
///
/// Serialised, points in time are RFC 3339 texts in UTC, to the microsecond, and the run's identity is a text.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # const APPROVAL: Signal<bool> = Signal::new("approval");
/// # #[workflow]
/// # async fn publish(page: String) -> Result<bool, String> { let _ = page; Ok(APPROVAL.recv().await) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let rt = durable::Runtime::builder(dir.path()).register((publish,)).open().await?;
/// let run = rt.start(publish("about".to_owned())).id("about").await?;
/// let json = serde_json::to_value(run.describe().await?)?;
/// assert_eq!(json["status"]["state"], "running");
/// assert_eq!(json["waits_for"][0]["signal"]["name"], "approval");
/// assert!(json["started"].as_str().is_some_and(|at| at.ends_with("Z")));
/// # rt.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Description {
    /// The workflow id.
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// The run's identity.
    #[serde(serialize_with = "text")]
    pub run: RunId,
    /// The workflow's recorded name.
    pub workflow: String,
    /// The build that polled it last.
    pub build: String,
    /// When it started.
    #[serde(serialize_with = "utc")]
    pub started: SystemTime,
    /// When it times out.
    #[serde(serialize_with = "maybe_utc")]
    pub deadline: Option<SystemTime>,
    /// When it ended.
    #[serde(serialize_with = "maybe_utc")]
    pub ended: Option<SystemTime>,
    /// How many events its journal has; 0 if that was not looked up.
    pub events: u64,
    /// Where it stands.
    pub status: Status,
    /// What it waits for, by seq, then what it has dropped and is not settled yet.
    pub waits_for: Vec<WaitsFor>,
    /// What it has undone so far, and what it could not; at its end also what it leaves.
    pub undone: Undone,
}

/// Something that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct WaitsFor {
    /// The command's number in its run.
    pub seq: u32,
    /// Since when.
    #[serde(serialize_with = "utc")]
    pub since: SystemTime,
    /// What for.
    #[serde(flatten)]
    pub what: What,
}

/// What a run can wait for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum What {
    /// An activity, or a step.
    Activity {
        /// Its name.
        name: String,
        /// The newest attempt that began or is about to.
        attempt: u32,
        /// When the next attempt is due, if one waits for that.
        #[serde(serialize_with = "maybe_utc")]
        next_attempt: Option<SystemTime>,
        /// Why the last attempt failed, if one did.
        last_failure: Option<String>,
        /// When the call as a whole times out.
        #[serde(serialize_with = "maybe_utc")]
        deadline: Option<SystemTime>,
    },
    /// A timer.
    Timer {
        /// When it is due.
        #[serde(serialize_with = "utc")]
        due: SystemTime,
    },
    /// A signal.
    Signal {
        /// Its name.
        name: String,
    },
    /// A child.
    Child {
        /// Its workflow id.
        id: String,
    },
}

impl Description {
    pub(crate) fn open(entry: &RunEntry, stuck: Option<Text>) -> Description {
        let blocked = entry.rare.blocked.as_ref().map(|blocked| (blocked.reason.clone(), Some(blocked.since.into())));
        let status = match blocked.or(stuck.map(|reason| (reason, None))) {
            Some((reason, since)) => Status::Blocked { reason: reason.to_string(), since },
            None if entry.rare.undoing.is_some() => Status::Compensating,
            None => Status::Running,
        };
        Description {
            id: entry.id.to_string(),
            namespace: entry.kind.namespace.to_string(),
            run: entry.run,
            workflow: entry.kind.workflow.to_string(),
            build: entry.kind.build.to_string(),
            started: entry.started.into(),
            deadline: entry.rare.deadline.map(SystemTime::from),
            ended: None,
            events: entry.next.0,
            status,
            waits_for: entry.waiting.iter().chain(entry.rare.dropped.iter()).map(WaitsFor::new).collect(),
            undone: entry.rare.undos.undone(End::Completed).into(),
        }
    }

    pub(crate) fn closed(closed: &ClosedRun) -> Description {
        let started = &closed.started;
        Description {
            id: started.id.to_string(),
            namespace: started.namespace.to_string(),
            run: started.run,
            workflow: started.workflow.to_string(),
            build: started.build.to_string(),
            started: closed.started_at.into(),
            deadline: started.deadline.map(SystemTime::from),
            ended: Some(closed.ended_at.into()),
            events: 0,
            status: closed.ended.how.into(),
            waits_for: Vec::new(),
            undone: closed.ended.undone.clone().into(),
        }
    }
}

impl WaitsFor {
    fn new(waiting: &Waiting) -> WaitsFor {
        let what = match &waiting.what {
            WaitingFor::Activity { call, state } => {
                let (attempt, next, failure) = match state {
                    AttemptState::Scheduled => (1, None, None),
                    AttemptState::Started(attempt) | AttemptState::Parked(attempt) => (attempt.0, None, None),
                    AttemptState::Failed(failed) => {
                        (failed.attempt.next().0, Some(failed.due.into()), Some(failed.cause.to_string()))
                    }
                };
                What::Activity {
                    name: call.name.to_string(),
                    attempt,
                    next_attempt: next,
                    last_failure: failure,
                    deadline: call.binding.deadline.map(SystemTime::from),
                }
            }
            WaitingFor::Timer { due } => What::Timer { due: (*due).into() },
            WaitingFor::Signal { name } => What::Signal { name: name.to_string() },
            WaitingFor::Child(child) => What::Child { id: child.id.to_string() },
        };
        WaitsFor { seq: waiting.seq.0, since: waiting.since.into(), what }
    }
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Activity { name, attempt, last_failure, .. } => {
                write!(f, "activity `{name}`, attempt {attempt}")?;
                last_failure.iter().try_for_each(|failure| write!(f, ", after: {failure}"))
            }
            What::Timer { due } => {
                write!(f, "a timer, due at {}", Utc(Timestamp::from(*due)))
            }
            What::Signal { name } => write!(f, "signal `{name}`"),
            What::Child { id } => write!(f, "child {id}"),
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.id, self.workflow, self.status)?;
        if let Status::Blocked { reason, .. } = &self.status {
            write!(f, ": {reason}")?;
        }
        for waits in &self.waits_for {
            write!(f, "\n  waits for {waits}")?;
        }
        Ok(())
    }
}

fn text<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn utc<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Micros(Timestamp::from(*at)))
}

fn maybe_utc<S: Serializer>(at: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => utc(at, serializer),
        None => serializer.serialize_none(),
    }
}

/// A point in time in UTC, to the microsecond.
pub(super) struct Micros(pub(super) Timestamp);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = Utc(self.0).to_string();
        write!(f, "{}.{:06}Z", seconds.trim_end_matches('Z'), self.0.0.rem_euclid(1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(micros: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }

    #[test]
    fn a_description_serialises_with_times_that_people_and_programs_read() {
        let activity = What::Activity {
            name: "charge".to_owned(),
            attempt: 2,
            next_attempt: Some(at(1_767_225_600_000_000)),
            last_failure: Some("declined".to_owned()),
            deadline: None,
        };
        let waits = |seq, what| WaitsFor { seq, since: at(1_767_225_599_000_001), what };
        let description = Description {
            id: "order-1".to_owned(),
            namespace: String::new(),
            run: RunId([1; 16]),
            workflow: "order".to_owned(),
            build: "b1".to_owned(),
            started: at(1_767_225_599_000_001),
            deadline: None,
            ended: None,
            events: 4,
            status: Status::Blocked { reason: "why".to_owned(), since: Some(at(1_767_225_600_500_000)) },
            waits_for: vec![
                waits(1, activity),
                waits(2, What::Timer { due: at(0) }),
                waits(3, What::Signal { name: "go".to_owned() }),
                waits(4, What::Child { id: "order-1/4".to_owned() }),
            ],
            undone: Undone::default(),
        };
        expect_test::expect![[r#"
            {
              "id": "order-1",
              "namespace": "",
              "run": "01010101-0101-0101-0101-010101010101",
              "workflow": "order",
              "build": "b1",
              "started": "2025-12-31T23:59:59.000001Z",
              "deadline": null,
              "ended": null,
              "events": 4,
              "status": {
                "state": "blocked",
                "reason": "why",
                "since": "2026-01-01T00:00:00.500000Z"
              },
              "waits_for": [
                {
                  "seq": 1,
                  "since": "2025-12-31T23:59:59.000001Z",
                  "activity": {
                    "name": "charge",
                    "attempt": 2,
                    "next_attempt": "2026-01-01T00:00:00.000000Z",
                    "last_failure": "declined",
                    "deadline": null
                  }
                },
                {
                  "seq": 2,
                  "since": "2025-12-31T23:59:59.000001Z",
                  "timer": {
                    "due": "1970-01-01T00:00:00.000000Z"
                  }
                },
                {
                  "seq": 3,
                  "since": "2025-12-31T23:59:59.000001Z",
                  "signal": {
                    "name": "go"
                  }
                },
                {
                  "seq": 4,
                  "since": "2025-12-31T23:59:59.000001Z",
                  "child": {
                    "id": "order-1/4"
                  }
                }
              ],
              "undone": {
                "undone": [],
                "not_undone": [],
                "unknown": []
              }
            }"#]]
        .assert_eq(&serde_json::to_string_pretty(&description).unwrap());
        assert_eq!(serde_json::to_string(&Status::TimedOut).unwrap(), r#"{"state":"timed_out"}"#);
    }

    #[test]
    fn a_time_before_1970_is_no_less_readable() {
        assert_eq!(Micros(Timestamp(-1)).to_string(), "1969-12-31T23:59:59.999999Z");
    }
}
