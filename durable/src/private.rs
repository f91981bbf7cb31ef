//! What the macros' code names. No part of the stable surface.

pub use serde;
pub use tokio;

pub use crate::activity::{ActivityOptions, AttemptFuture, Job, Need};
pub use crate::error::{RetryDelay, RetryHint, Retryable};
pub use crate::kernel::command::Inputs;
pub use crate::kernel::event::Text;
pub use crate::kernel::retry::duration;
pub use crate::payload::PayloadCodec;
pub use crate::registry::Registry;
pub use crate::workflow::WorkflowOptions;
pub use crate::workflow::answer::{
    Ask, AskDefault, FAILURE, Mode, NEVER, Probe, ProbeDefault, Returned, TYPED, Told, mode,
};
pub use crate::workflow::call::{Call, call_activity, call_workflow};
pub use crate::workflow::definition::{
    Activity, ActivityKind, Argument, BodyFuture, Definition, Name, Workflow, WorkflowKind, body,
};
pub use crate::workflow::refused::{refused_activity, refused_workflow};

/// The names in scope in an attribute's options.
pub mod options {
    pub use crate::kernel::command::Inputs::{self, Checked, Loose, Strict};
    pub use crate::kernel::retry::{RetryPolicy, exponential, fixed, linear, never};
}
