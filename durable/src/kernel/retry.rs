//! Retry policies: when the next attempt is due. Pure: the random part is an argument.

use std::time::Duration;

use super::id::Attempt;

/// When and how often a failed attempt is tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    pub(crate) initial: Duration,
    pub(crate) coefficient: f64,
    pub(crate) maximum_interval: Duration,
    pub(crate) maximum_attempts: Option<u32>,
    pub(crate) maximum_elapsed: Option<Duration>,
    pub(crate) jitter: f64,
}

impl RetryPolicy {
    /// How long to wait after attempt `failed` before the next one; none if there is no next one. `elapsed` is the time
    /// since the call was scheduled, `draw` a random number.
    #[must_use]
    pub fn delay(&self, failed: Attempt, elapsed: Duration, draw: u64) -> Option<Duration> {
        if self.maximum_attempts.is_some_and(|most| failed.0 >= most) {
            return None;
        }
        let power = i32::try_from(failed.0.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.coefficient.powi(power);
        let capped = grown.min(self.maximum_interval.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "53 bits of a draw are plenty")]
        let unit = (draw >> 11) as f64 / (1u64 << 53) as f64;
        let delay = Duration::from_secs_f64(capped * (1.0 - self.jitter * unit));
        let in_time = self.maximum_elapsed.is_none_or(|most| elapsed.saturating_add(delay) <= most);
        in_time.then_some(delay)
    }
}
