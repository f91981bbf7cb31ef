//! What a call or a run that fails gives its caller: plain data that is recorded and comes back. Nothing here decides
//! whether something is tried again; it only carries what was said about it.

mod app;
mod failure;
mod hint;

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::app::{Error, Result};
pub use self::failure::{Failure, IntoFailure};
pub use self::hint::{Fatal, RetryDelay, RetryHint, Retryable, fatal};
use crate::kernel::event::{self, CallFailure, End, Payload, Text, Which};

/// Texts of errors and panics are cut to this many bytes.
pub const TEXT_LEN_MAX: usize = 4096;

/// What a panic said, cut.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> Text {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Text::cut(text.unwrap_or("a panic without a text"), TEXT_LEN_MAX)
}

/// Why a call of an activity, a step or a child workflow gave no result.
///
/// `E` is what the activity itself returns: its own type where that can be recorded, else [`Failure`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CallError<E> {
    /// It returned this: a final error, or what the last attempt gave.
    App(E),
    /// A time limit passed.
    TimedOut(Which),
    /// The call was cancelled.
    Cancelled,
    /// It may run at most once, and its process ended while it may have been running. Whether it had its effect is not
    /// known.
    Interrupted,
    /// Its only attempt panicked, with this text.
    Panicked(Text),
    /// There was more than one attempt, and the last one returned no error of its own.
    Exhausted {
        /// How many attempts there were.
        attempts: u32,
        /// Why the last one failed.
        last: Box<CallError<E>>,
    },
    /// The child workflow did not end with `Ok`.
    Child(Box<RunError<E>>),
}

impl<E> CallError<E> {
    /// The error that the activity, or the child's body, returned itself.
    #[must_use]
    pub fn app(&self) -> Option<&E> {
        match self {
            CallError::App(error) => Some(error),
            CallError::Child(ended) => ended.app(),
            CallError::TimedOut(_)
            | CallError::Cancelled
            | CallError::Interrupted
            | CallError::Panicked(_)
            | CallError::Exhausted { .. } => None,
        }
    }

    /// The same error, with what the activity returned made by `decode` from what was recorded.
    pub(crate) fn recall<X>(
        failure: CallFailure,
        decode: impl Fn(&Payload, &Text) -> std::result::Result<E, X>,
    ) -> std::result::Result<CallError<E>, X> {
        let (attempts, failure) = match failure {
            CallFailure::Exhausted { attempts, last } => (Some(attempts), *last),
            other => (None, other),
        };
        let error = match failure {
            CallFailure::App { error, text } => CallError::App(decode(&error, &text)?),
            CallFailure::TimedOut(which) => CallError::TimedOut(which),
            CallFailure::Cancelled => CallError::Cancelled,
            CallFailure::Interrupted => CallError::Interrupted,
            CallFailure::Panicked(text) => CallError::Panicked(text),
            CallFailure::Exhausted { last, .. } => CallError::recall(*last, decode)?,
        };
        Ok(match attempts {
            Some(attempts) => CallError::Exhausted { attempts: attempts.0, last: Box::new(error) },
            None => error,
        })
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::App(error) => error.fmt(f),
            CallError::TimedOut(which) => write!(f, "the call timed out ({})", limit(*which)),
            CallError::Cancelled => f.write_str("the call was cancelled"),
            CallError::Interrupted => {
                f.write_str("the call was interrupted: its process ended while it may have been running")
            }
            CallError::Panicked(text) => write!(f, "the attempt panicked: {text}"),
            CallError::Exhausted { attempts, last } => write!(f, "{attempts} attempts failed, the last: {last}"),
            CallError::Child(ended) => write!(f, "the child workflow failed: {ended}"),
        }
    }
}

impl<E: StdError + 'static> StdError for CallError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            CallError::App(error) => error.source(),
            CallError::Exhausted { last, .. } => last.source(),
            CallError::Child(ended) => ended.source(),
            CallError::TimedOut(_) | CallError::Cancelled | CallError::Interrupted | CallError::Panicked(_) => None,
        }
    }
}

/// What a scope gives when it was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cancelled")
    }
}

impl StdError for Cancelled {}

/// How a run ended that did not end with `Ok`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum RunError<E> {
    /// The body returned this error.
    Failed(E),
    /// The run was cancelled.
    Cancelled,
    /// The run's deadline passed.
    TimedOut,
    /// The run was ended from outside, without clean-up.
    Terminated(Undone),
    /// A compensation failed for good.
    CompensationFailed {
        /// Why there was something to undo; none if the body ended with `Ok`.
        cause: Option<Box<RunError<E>>>,
        /// What was undone and what was not.
        undone: Undone,
    },
    /// It never began: its workflow id was taken.
    NotStarted,
    /// The recorded result does not decode as the type that is asked for.
    Decode(Text),
    /// The store cannot answer.
    Store(Text),
}

impl<E> RunError<E> {
    /// The error that the body returned itself.
    #[must_use]
    pub fn app(&self) -> Option<&E> {
        match self {
            RunError::Failed(error) => Some(error),
            RunError::CompensationFailed { cause, .. } => cause.as_deref().and_then(RunError::app),
            RunError::Cancelled
            | RunError::TimedOut
            | RunError::Terminated(_)
            | RunError::NotStarted
            | RunError::Decode(_)
            | RunError::Store(_) => None,
        }
    }

    /// What a run that ended in this way gives; none if it ended with `Ok`. `body` is how the body ended; `failed` makes the body's own error.
    pub(crate) fn recall<X>(
        how: End,
        body: End,
        undone: Undone,
        failed: impl FnOnce() -> std::result::Result<E, X>,
    ) -> std::result::Result<Option<RunError<E>>, X> {
        Ok(Some(match how {
            End::Completed => return Ok(None),
            End::Failed => RunError::Failed(failed()?),
            End::Cancelled => RunError::Cancelled,
            End::TimedOut => RunError::TimedOut,
            End::Terminated => RunError::Terminated(undone),
            End::NotStarted => RunError::NotStarted,
            End::CompensationFailed => {
                let cause = match body {
                    End::CompensationFailed => None,
                    body => RunError::recall(body, body, Undone::default(), failed)?,
                };
                RunError::CompensationFailed { cause: cause.map(Box::new), undone }
            }
        }))
    }
}

impl<E: fmt::Display> fmt::Display for RunError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Failed(error) => error.fmt(f),
            RunError::Cancelled => f.write_str("the run was cancelled"),
            RunError::TimedOut => f.write_str("the run timed out"),
            RunError::Terminated(undone) => write!(f, "the run was terminated{undone}"),
            RunError::CompensationFailed { cause: None, undone } => write!(f, "a compensation failed{undone}"),
            RunError::CompensationFailed { cause: Some(cause), undone } => {
                write!(f, "{cause}; then a compensation failed{undone}")
            }
            RunError::NotStarted => f.write_str("the run was not started: its workflow id is taken [E0314]"),
            RunError::Decode(text) => write!(f, "the recorded result does not decode: {text} [E0313]"),
            RunError::Store(text) => write!(f, "the store cannot answer: {text}"),
        }
    }
}

impl<E: StdError + 'static> StdError for RunError<E> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            RunError::Failed(error) => error.source(),
            RunError::CompensationFailed { cause, .. } => cause.as_deref().and_then(StdError::source),
            RunError::Cancelled
            | RunError::TimedOut
            | RunError::Terminated(_)
            | RunError::NotStarted
            | RunError::Decode(_)
            | RunError::Store(_) => None,
        }
    }
}

/// Which calls with a compensation were undone when a run ended, and which were not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Undone {
    /// Their compensation succeeded.
    pub undone: Vec<UndoneCall>,
    /// Their compensation failed, or did not run.
    pub not_undone: Vec<UndoneCall>,
    /// It is not known whether they had an effect.
    pub unknown: Vec<UndoneCall>,
}

/// A call in the list of what a run's end undid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoneCall {
    /// Its number in the run.
    pub seq: u32,
    /// The recorded name of what was called.
    pub name: Text,
}

impl From<event::Undone> for Undone {
    fn from(undone: event::Undone) -> Undone {
        let call = |call: event::UndoneCall| UndoneCall { seq: call.seq.0, name: call.name };
        let calls = |calls: Vec<event::UndoneCall>| calls.into_iter().map(call).collect();
        let event::Undone { undone, not_undone, unknown } = undone;
        Undone { undone: calls(undone), not_undone: calls(not_undone), unknown: calls(unknown) }
    }
}

impl fmt::Display for Undone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, calls) in [("not undone", &self.not_undone), ("not known to be undone", &self.unknown)] {
            for (i, call) in calls.iter().enumerate() {
                if i == 0 {
                    write!(f, "; {what}: {} (seq {})", call.name, call.seq)?;
                } else {
                    write!(f, ", {} (seq {})", call.name, call.seq)?;
                }
            }
        }
        Ok(())
    }
}

fn limit(which: Which) -> &'static str {
    match which {
        Which::StartToClose => "start-to-close",
        Which::ScheduleToClose => "schedule-to-close",
        Which::ScheduleToStart => "schedule-to-start",
        Which::Heartbeat => "heartbeat",
    }
}

impl Serialize for Which {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(limit(*self))
    }
}

impl<'de> Deserialize<'de> for Which {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let all = [Which::StartToClose, Which::ScheduleToClose, Which::ScheduleToStart, Which::Heartbeat];
        let name = String::deserialize(deserializer)?;
        let found = all.into_iter().find(|which| limit(*which) == name);
        found.ok_or_else(|| serde::de::Error::custom(format_args!("no time limit is called {name:?}")))
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(Text::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::Attempt;

    fn through_json<T: Serialize + for<'de> Deserialize<'de>>(value: &T) -> T {
        serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
    }

    #[test]
    fn every_call_error_comes_back_as_it_was() {
        let all: Vec<CallError<String>> = vec![
            CallError::App("no".to_owned()),
            CallError::TimedOut(Which::ScheduleToClose),
            CallError::Cancelled,
            CallError::Interrupted,
            CallError::Panicked("index out of bounds".into()),
            CallError::Exhausted { attempts: 5, last: Box::new(CallError::TimedOut(Which::StartToClose)) },
            CallError::Child(Box::new(RunError::Failed("no".to_owned()))),
        ];
        for error in &all {
            assert_eq!(&through_json(error), error);
        }
    }

    #[test]
    fn the_last_of_several_attempts_is_told_with_their_number() {
        let last = Box::new(CallFailure::Panicked("boom".into()));
        let failure = CallFailure::Exhausted { attempts: Attempt(3), last };
        let error = CallError::<Failure>::recall(failure, |_, _| Err("no error of the activity's own")).unwrap();
        assert_eq!(error.to_string(), "3 attempts failed, the last: the attempt panicked: boom");
    }

    #[test]
    fn what_was_not_undone_is_named() {
        let call = |seq, name: &str| UndoneCall { seq, name: name.into() };
        let undone = Undone {
            undone: vec![call(1, "reserve")],
            not_undone: vec![call(2, "charge"), call(3, "ship")],
            unknown: vec![call(4, "mail")],
        };
        let cause = Some(Box::new(RunError::<Failure>::Cancelled));
        assert_eq!(
            RunError::CompensationFailed { cause, undone }.to_string(),
            "the run was cancelled; then a compensation failed; not undone: charge (seq 2), ship (seq 3); \
             not known to be undone: mail (seq 4)"
        );
    }

    #[test]
    fn a_failed_compensation_keeps_the_error_that_caused_it() {
        let failed = || Ok::<_, ()>("declined".to_owned());
        let error = RunError::recall(End::CompensationFailed, End::Failed, Undone::default(), failed);
        let error = error.unwrap().unwrap();
        assert_eq!(error.app().map(String::as_str), Some("declined"));
        let none = RunError::recall(End::CompensationFailed, End::Completed, Undone::default(), failed);
        assert_eq!(none.unwrap(), Some(RunError::CompensationFailed { cause: None, undone: Undone::default() }));
    }
}
