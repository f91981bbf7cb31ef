//! wip
pub mod codec;
pub mod kernel;
pub mod seams;

#[cfg(feature = "runtime")]
pub mod activity;
#[cfg(feature = "runtime")]
pub mod error;
#[cfg(feature = "runtime")]
pub mod payload;
#[cfg(feature = "runtime")]
pub mod prelude;
#[cfg(feature = "runtime")]
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
#[cfg(feature = "runtime")]
mod registry;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "runtime")]
pub mod store;
#[cfg(feature = "runtime")]
pub mod workflow;

#[cfg(feature = "runtime")]
pub use self::{
    activity::{State, States},
    error::{CallError, Error, Failure, Result, RetryHint, Retryable, RunError, Undone, fatal},
    kernel::command::Inputs,
    kernel::event::{ClosePolicy, Which},
    kernel::retry::{self, RetryPolicy},
    registry::{Item, Items, Registry, RegistryFault, WorkflowFn},
    workflow::{
        Call, Elapsed, JoinHandle, JoinSet, Random, Recv, Signal, Sleep, Step, Timeout, now, random, sleep, sleep_until, spawn, step,
        step_with, timeout, uuid,
    },
};
#[cfg(feature = "runtime")]
pub use durable_macros::{Retryable, activity, workflow};
