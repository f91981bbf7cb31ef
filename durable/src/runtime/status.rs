//! What a run is doing, in data and in words.

use std::fmt;
use std::time::SystemTime;

use crate::error::Undone;
use crate::kernel::event::{End, Text};
use crate::kernel::id::RunId;
use crate::kernel::tables::{AttemptState, RunEntry, Waiting, WaitingFor};
use crate::store::ClosedRun;

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// It goes on, or waits for something named.
    Running,
    /// It is not polled until the cause is gone.
    Blocked {
        /// The cause, with the way out.
        reason: String,
        /// Since when; none if the cause is outside the journal and was met by this process.
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Description {
    /// The workflow id.
    pub id: String,
    /// The namespace.
    pub namespace: String,
    /// The run's identity.
    pub run: RunId,
    /// The workflow's recorded name.
    pub workflow: String,
    /// The build that polled it last.
    pub build: String,
    /// When it started.
    pub started: SystemTime,
    /// When it times out.
    pub deadline: Option<SystemTime>,
    /// When it ended.
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitsFor {
    /// The command's number in its run.
    pub seq: u32,
    /// Since when.
    pub since: SystemTime,
    /// What for.
    pub what: What,
}

/// What a run can wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// An activity, or a step.
    Activity {
        /// Its name.
        name: String,
        /// The newest attempt that began or is about to.
        attempt: u32,
        /// When the next attempt is due, if one waits for that.
        next_attempt: Option<SystemTime>,
        /// Why the last attempt failed, if one did.
        last_failure: Option<String>,
        /// When the call as a whole times out.
        deadline: Option<SystemTime>,
    },
    /// A timer.
    Timer {
        /// When it is due.
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
        let blocked = entry.blocked.as_ref().map(|blocked| (blocked.reason.clone(), Some(blocked.since.into())));
        let status = match blocked.or(stuck.map(|reason| (reason, None))) {
            Some((reason, since)) => Status::Blocked { reason: reason.to_string(), since },
            None if entry.undoing.is_some() => Status::Compensating,
            None => Status::Running,
        };
        Description {
            id: entry.id.to_string(),
            namespace: entry.namespace.to_string(),
            run: entry.run,
            workflow: entry.workflow.to_string(),
            build: entry.build.to_string(),
            started: entry.started.into(),
            deadline: entry.deadline.map(SystemTime::from),
            ended: None,
            events: entry.next.0,
            status,
            waits_for: entry.waiting.iter().chain(&entry.dropped).map(WaitsFor::new).collect(),
            undone: entry.undos.undone(End::Completed).into(),
        }
    }

    pub(crate) fn closed(closed: &ClosedRun) -> Description {
        let started = &closed.started;
        let status = match closed.ended.how {
            End::Completed => Status::Completed,
            End::Failed => Status::Failed,
            End::Cancelled => Status::Cancelled,
            End::TimedOut => Status::TimedOut,
            End::Terminated | End::NotStarted => Status::Terminated,
            End::CompensationFailed => Status::CompensationFailed,
        };
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
            status,
            waits_for: Vec::new(),
            undone: closed.ended.undone.clone().into(),
        }
    }
}

impl WaitsFor {
    fn new(waiting: &Waiting) -> WaitsFor {
        let what = match &waiting.what {
            WaitingFor::Activity { name, binding, state, .. } => {
                let (attempt, next, failure) = match state {
                    AttemptState::Scheduled => (1, None, None),
                    AttemptState::Started(attempt) | AttemptState::Parked(attempt) => (attempt.0, None, None),
                    AttemptState::Failed { attempt, due, cause } => {
                        (attempt.next().0, Some((*due).into()), Some(cause.to_string()))
                    }
                };
                What::Activity {
                    name: name.to_string(),
                    attempt,
                    next_attempt: next,
                    last_failure: failure,
                    deadline: binding.deadline.map(SystemTime::from),
                }
            }
            WaitingFor::Timer { due } => What::Timer { due: (*due).into() },
            WaitingFor::Signal { name } => What::Signal { name: name.to_string() },
            WaitingFor::Child { id, .. } => What::Child { id: id.to_string() },
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
                let left = due.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                write!(
                    f,
                    "a timer, due at {}",
                    crate::kernel::mismatch::Utc(crate::kernel::id::Timestamp(0).after(left))
                )
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
