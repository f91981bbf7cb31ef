//! What may be said about an activity: by its attribute, and on a call of it. Nothing here says what follows from it.

use std::ops::Deref;
use std::time::Duration;

use super::command::Inputs;
use super::retry::RetryPolicy;

/// What an activity's attribute, or a call of it, says.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ActivityOptions {
    /// When and how often a failed attempt is tried again.
    pub retry: RetryPolicy,
    /// How long one attempt may run.
    pub start_to_close: Option<Duration>,
    /// How long the whole call may take, waits and retries included.
    pub schedule_to_close: Option<Duration>,
    /// An attempt that may have begun is never started again.
    pub at_most_once: bool,
    /// What a changed input means at replay.
    pub inputs: Inputs,
}

impl ActivityOptions {
    /// What holds where nothing is said: [`RetryPolicy::DEFAULT`], five minutes for an attempt, at least once.
    pub const DEFAULT: ActivityOptions = ActivityOptions {
        retry: RetryPolicy::DEFAULT,
        start_to_close: Some(Duration::from_secs(300)),
        schedule_to_close: None,
        at_most_once: false,
        inputs: Inputs::Checked,
    };

    /// Another retry policy.
    #[must_use]
    pub const fn retry(self, retry: RetryPolicy) -> ActivityOptions {
        ActivityOptions { retry, ..self }
    }

    /// Another limit for one attempt.
    #[must_use]
    pub const fn start_to_close(self, limit: Duration) -> ActivityOptions {
        ActivityOptions { start_to_close: Some(limit), ..self }
    }

    /// A limit for the whole call.
    #[must_use]
    pub const fn schedule_to_close(self, limit: Duration) -> ActivityOptions {
        ActivityOptions { schedule_to_close: Some(limit), ..self }
    }

    /// At most once.
    #[must_use]
    pub const fn at_most_once(self) -> ActivityOptions {
        ActivityOptions { at_most_once: true, ..self }
    }

    /// What a changed input means.
    #[must_use]
    pub const fn inputs(self, inputs: Inputs) -> ActivityOptions {
        ActivityOptions { inputs, ..self }
    }
}

impl Default for ActivityOptions {
    fn default() -> Self {
        ActivityOptions::DEFAULT
    }
}

/// The options of one call. Those of its definition stand once; there may be as many calls in flight as there are runs.
#[derive(Debug, Clone)]
pub enum CallOptions {
    /// Those of its definition.
    Defined(&'static ActivityOptions),
    /// Others, that were set on the call.
    Set(Box<ActivityOptions>),
}

impl CallOptions {
    /// The options, to be changed for this call.
    pub fn set(&mut self) -> &mut ActivityOptions {
        if let CallOptions::Defined(defined) = *self {
            *self = CallOptions::Set(Box::new(*defined));
        }
        match self {
            CallOptions::Set(set) => set,
            CallOptions::Defined(_) => unreachable!("because they were set before"),
        }
    }
}

impl Deref for CallOptions {
    type Target = ActivityOptions;

    fn deref(&self) -> &ActivityOptions {
        match self {
            CallOptions::Defined(defined) => defined,
            CallOptions::Set(set) => set,
        }
    }
}

impl PartialEq for CallOptions {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
