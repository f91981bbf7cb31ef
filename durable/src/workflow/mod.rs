//! What workflow code calls: definitions, calls as values, steps, combinators.

pub(crate) mod answer;
pub(crate) mod call;
mod combine;
pub(crate) mod context;
pub(crate) mod definition;
mod editor;
pub(crate) mod options;
mod random;
pub(crate) mod refused;
mod scope;
mod signal;
mod spawn;
pub(crate) mod step;
#[cfg(test)]
mod tests;
mod time;
pub(crate) mod undo;

pub use self::call::Call;
pub use self::options::WorkflowOptions;
pub use self::random::{Random, random, uuid};
pub use self::scope::{CatchCancel, Scope, ScopeHandle, Shield, catch_cancel, scope, shield};
pub use self::signal::{Recv, Signal};
pub use self::spawn::{JoinHandle, JoinSet, spawn};
pub use self::step::{Step, step, step_with};
pub use self::time::{Elapsed, Sleep, Timeout, now, sleep, sleep_until, timeout};
pub use self::undo::{Compensation, compensate};
