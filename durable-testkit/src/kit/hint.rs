//! What of a scenario may not bear being played again behind a crash: it is kept in mind, and told only when a crash makes a difference.

use std::fmt;

/// Something of a scenario that does another thing when it is played again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Hint {
    /// A run was started without an id, at this place in the source.
    NoId { place: String },
    /// A signal was sent that a run takes for another one each time.
    SentAgain { signal: &'static str, id: String },
    /// A request came to a run that had ended.
    CameLate { request: String, id: String },
}

impl Hint {
    /// Whether that may be why this went wrong.
    pub(super) fn may_explain(&self, what: &str) -> bool {
        match self {
            Hint::NoId { .. } | Hint::SentAgain { .. } => true,
            // A scenario that knows of it goes on, and fails of something else if it does.
            Hint::CameLate { .. } => what.contains("[E0306]"),
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::NoId { place } => write!(
                f,
                "the start at {place} gives its run no id, so each time that the scenario is played again it starts another run: give it \
                 one: `.id(..)`"
            ),
            Hint::SentAgain { signal, id } => write!(
                f,
                "signal `{signal}` of run `{id}` is sent each time that the scenario is played again: send it by `signal_once`"
            ),
            Hint::CameLate { request, id } => write!(
                f,
                "run `{id}` had ended before {request} came, as it may have when the scenario is played again: take \
                 `SignalError::Closed` for sent"
            ),
        }
    }
}
