//! What a file with workflows uses. It holds no `Result` and no `Error`: those stay the application's own.

pub use std::time::Duration;

pub use durable_macros::{activity, workflow};
pub use serde::{Deserialize, Serialize};

pub use crate::activity::State;
pub use crate::error::{CallError, RunError};
pub use crate::workflow::Signal;
pub use crate::{join, select, try_join};
