//! What may be said about a workflow: by its attribute, and on a call of it.

use std::time::Duration;

use crate::kernel::command::Inputs;
use crate::kernel::event::{ClosePolicy, Text};

/// What a workflow's attribute says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkflowOptions {
    /// Its version; runs are stamped with it.
    pub version: u32,
    /// How long a run may take.
    pub timeout: Option<Duration>,
    /// What a changed input means where it is called as a child.
    pub inputs: Inputs,
}

impl WorkflowOptions {
    /// What holds where nothing is said: version 1, no time limit.
    pub const DEFAULT: WorkflowOptions = WorkflowOptions { version: 1, timeout: None, inputs: Inputs::Checked };

    /// Another version.
    #[must_use]
    pub const fn version(self, version: u32) -> WorkflowOptions {
        WorkflowOptions { version, ..self }
    }

    /// A time limit for the whole run.
    #[must_use]
    pub const fn timeout(self, timeout: Duration) -> WorkflowOptions {
        WorkflowOptions { timeout: Some(timeout), ..self }
    }

    /// What a changed input means.
    #[must_use]
    pub const fn inputs(self, inputs: Inputs) -> WorkflowOptions {
        WorkflowOptions { inputs, ..self }
    }
}

impl Default for WorkflowOptions {
    fn default() -> Self {
        WorkflowOptions::DEFAULT
    }
}

/// What may be set on a call of a workflow.
#[derive(Debug, Clone, Default)]
pub struct ChildOptions {
    pub(crate) version: u32,
    pub(crate) id: Option<Text>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) inputs: Inputs,
    pub(crate) close: ClosePolicy,
}

impl From<WorkflowOptions> for ChildOptions {
    fn from(options: WorkflowOptions) -> Self {
        let WorkflowOptions { version, timeout, inputs } = options;
        ChildOptions { version, id: None, timeout, inputs, close: ClosePolicy::default() }
    }
}
