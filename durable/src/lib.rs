#![doc = include_str!("../../README.md")]

// The document's examples are compiled and run.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../../docs/guarantees.md")]
mod guarantees {}

// The macros' code names the crate from outside.
#[cfg(all(test, feature = "runtime"))]
extern crate self as durable;

/// Whether the planted bug of this number was chosen. In every build but one with `--cfg planted` it is `false`, and no code.
#[cfg(planted)]
macro_rules! planted {
    ($bug:literal) => {
        $crate::planted::is($bug)
    };
}
#[cfg(not(planted))]
macro_rules! planted {
    ($bug:literal) => {
        false
    };
}

#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod codec;
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod kernel;
#[cfg(planted)]
#[doc(hidden)]
pub mod planted;
pub mod seams;

// The document's examples are compiled and run.
#[cfg(all(doctest, feature = "runtime"))]
#[doc = include_str!("../../docs/determinism.md")]
mod determinism {}

#[cfg(feature = "runtime")]
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(feature = "runtime")]
pub mod activity;
#[cfg(feature = "runtime")]
pub mod error;
#[cfg(feature = "runtime")]
pub mod payload;
#[cfg(feature = "runtime")]
pub mod prelude;
#[cfg(feature = "runtime")]
mod registry;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(all(test, feature = "runtime"))]
mod script;
#[cfg(feature = "runtime")]
#[deny(clippy::disallowed_types, clippy::disallowed_methods)]
pub mod store;
#[cfg(feature = "runtime")]
pub mod workflow;

#[cfg(feature = "runtime")]
pub use self::{
    activity::{State, States},
    error::{CallError, Cancelled, Error, Failure, Result, RetryHint, Retryable, RunError, Undone, fatal},
    kernel::command::Inputs,
    kernel::event::{ClosePolicy, Which},
    kernel::id::RunId,
    kernel::retry::{self, RetryPolicy},
    kernel::trace::{NoTraceContext, TraceContext},
    payload::PayloadCodec,
    registry::{ActivityEntry, ActivityFn, Attempts, Item, Items, Registry, RegistryFault, WorkflowFn},
    runtime::{
        Blocked, Builder, Description, LookupError, OpenError, ReadOnly, Run, Runtime, ShutdownError, SignalError,
        StartError, Status,
    },
    runtime::{journal, replay},
    workflow::{
        Call, CatchCancel, Compensation, Elapsed, JoinHandle, JoinSet, Random, Recv, Scope, ScopeHandle, Shield,
        Signal, Sleep, Step, Timeout, catch_cancel, compensate, now, random, scope, shield, sleep, sleep_until, spawn,
        step, step_with, timeout, uuid,
    },
};
#[cfg(feature = "runtime")]
pub use durable_macros::{Retryable, activity, workflow};
