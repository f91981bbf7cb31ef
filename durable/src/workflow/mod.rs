//! What workflow code calls: definitions, calls as values, steps, combinators.

pub(crate) mod answer;
pub(crate) mod call;
mod combine;
pub(crate) mod context;
pub(crate) mod definition;
pub(crate) mod options;
pub(crate) mod step;

pub use self::call::Call;
pub use self::options::WorkflowOptions;
pub use self::step::{Step, step, step_with};
