//! What an activity may ask about its attempt, and how attempts run. Nothing here decides whether there is another one.

mod ambient;
mod attempt;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use self::ambient::{Asked, KeyOf};
pub use self::ambient::{AttemptInfo, cancelled, idempotency_key, info, is_cancelled, trace_context, try_info};
pub use self::attempt::{AttemptEnd, AttemptFuture, Job};
pub(crate) use self::attempt::{attempt, direct};
pub use self::state::{Missing, Need, State, States};
pub use crate::kernel::options::ActivityOptions;
