//! What can go wrong between an application and its runtime: an error type for each question that can be asked.

use std::fmt;

use crate::registry::RegistryFault;

/// What a `main` that returns one of these prints is its text.
macro_rules! debug_as_text {
    ($($error:ty)*) => {
        $(
            impl fmt::Debug for $error {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(self, f)
                }
            }
        )*
    };
}

debug_as_text! { StartError SignalError LookupError OpenError ShutdownError super::handle::Blocked }

/// Why a run was not started.
#[derive(Clone)]
#[non_exhaustive]
pub enum StartError {
    /// The workflow is not registered, or another one is under its name.
    Unregistered {
        /// The workflow's recorded name.
        workflow: String,
        /// What is registered under that name instead.
        instead: Option<String>,
    },
    /// There is a run of this id already, and it is another one.
    Conflict {
        /// The workflow id.
        id: String,
        /// What the run that is there was started with.
        stored: String,
        /// What was asked for.
        asked: String,
    },
    /// The workflow id is empty or too long.
    Id {
        /// How many bytes it has.
        len: usize,
    },
    /// The namespace is too long.
    Namespace {
        /// How many bytes it has.
        len: usize,
    },
    /// The input cannot be recorded.
    Input {
        /// Why.
        reason: String,
    },
    /// The runtime was shut down.
    ShutDown,
    /// The store cannot take it.
    Store {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Unregistered { workflow, instead: None } => {
                write!(f, "workflow `{workflow}` is not registered: add it to `.register((.., {workflow}))` [E0301]")
            }
            StartError::Unregistered { workflow, instead: Some(instead) } => {
                write!(
                    f,
                    "workflow `{workflow}` is not the one that is registered under that name: `{instead}` [E0301]"
                )
            }
            StartError::Conflict { id, stored, asked } => write!(
                f,
                "a run with the id `{id}` exists already and is another one: stored is {stored}, asked for is {asked}; choose \
                 another id, or start it with the input that is stored [E0302]"
            ),
            StartError::Id { len } => {
                write!(f, "a workflow id takes 1 to {} bytes, this one has {len} [E0303]", super::ID_LEN_MAX)
            }
            StartError::Namespace { len } => {
                write!(f, "a namespace takes at most {} bytes, this one has {len} [E0303]", super::ID_LEN_MAX)
            }
            StartError::Input { reason } => write!(f, "the input cannot be recorded: {reason} [E0304]"),
            StartError::ShutDown => f.write_str("the runtime was shut down [E0305]"),
            StartError::Store { reason } => reason.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// Why a signal or a cancel was not taken.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignalError {
    /// The run has ended.
    Closed,
    /// The run has too many signals buffered.
    Full,
    /// The value cannot be recorded.
    Value {
        /// Why.
        reason: String,
    },
    /// The runtime was shut down.
    ShutDown,
    /// The store cannot take it.
    Store {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for SignalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignalError::Closed => f.write_str("the run has ended [E0306]"),
            SignalError::Full => write!(
                f,
                "the run has {} signals buffered and takes no more until it receives some [E0307]",
                crate::kernel::engine::MAX_SIGNALS
            ),
            SignalError::Value { reason } => write!(f, "the signal's value cannot be recorded: {reason} [E0304]"),
            SignalError::ShutDown => f.write_str("the runtime was shut down [E0305]"),
            SignalError::Store { reason } => reason.fmt(f),
        }
    }
}

impl std::error::Error for SignalError {}

/// Why nothing is known of a run.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LookupError {
    /// No run has this id.
    NotFound {
        /// The workflow id.
        id: String,
    },
    /// The run of this id is of another workflow.
    OtherWorkflow {
        /// The workflow id.
        id: String,
        /// The run's workflow.
        stored: String,
        /// The workflow that was asked for.
        asked: String,
    },
    /// The runtime was shut down.
    ShutDown,
    /// The store cannot answer.
    Store {
        /// Why.
        reason: String,
    },
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LookupError::NotFound { id } => write!(f, "no run has the id `{id}` [E0308]"),
            LookupError::OtherWorkflow { id, stored, asked } => {
                write!(f, "the run `{id}` is of workflow `{stored}`, not of `{asked}` [E0309]")
            }
            LookupError::ShutDown => f.write_str("the runtime was shut down [E0305]"),
            LookupError::Store { reason } => reason.fmt(f),
        }
    }
}

impl std::error::Error for LookupError {}

impl From<LookupError> for SignalError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::ShutDown => SignalError::ShutDown,
            other => SignalError::Store { reason: other.to_string() },
        }
    }
}

impl From<super::request::Refused> for SignalError {
    fn from(refused: super::request::Refused) -> Self {
        LookupError::from(refused).into()
    }
}

/// Why a runtime did not open.
#[non_exhaustive]
pub enum OpenError {
    /// What was registered does not fit together.
    Registry(Vec<RegistryFault>),
    /// The store could not be opened.
    Store(crate::store::log::OpenError),
    /// It is opened outside a tokio runtime.
    NoTokio,
    /// The system gave no thread to open the store on.
    NoThread,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Registry(faults) => {
                let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                write!(f, "{} [E0310]", faults.join("; "))
            }
            OpenError::Store(error) => error.fmt(f),
            OpenError::NoTokio => {
                f.write_str("a runtime is opened inside a tokio runtime, current-thread or multi-thread [E0311]")
            }
            OpenError::NoThread => f.write_str(
                "the system gave no thread to open the store on: raise the limit, or end what uses them up [E0315]",
            ),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Store(error) => std::error::Error::source(error),
            OpenError::Registry(_) | OpenError::NoTokio | OpenError::NoThread => None,
        }
    }
}

/// A shutdown that was not clean: the next open takes it for a crash, and nothing acknowledged is lost.
#[derive(Clone, PartialEq, Eq)]
pub struct ShutdownError {
    pub(crate) reason: String,
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store was not closed cleanly: {}; nothing acknowledged is lost [E0312]", self.reason)
    }
}

impl std::error::Error for ShutdownError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_main_that_returns_an_error_prints_its_text_and_code() {
        let error = OpenError::Store(crate::store::log::OpenError::NotAStore {
            dir: "/data".into(),
            found: "it has no FORMAT".into(),
        });
        let text = error.to_string();
        assert!(text.starts_with("/data is not a store: it has no FORMAT;") && text.ends_with(']'), "{text}");
        assert_eq!(format!("{error:?}"), text);
        let error: Box<dyn std::error::Error> = Box::new(LookupError::NotFound { id: "order-1".to_owned() });
        assert_eq!(format!("{error:?}"), "no run has the id `order-1` [E0308]");
    }
}
