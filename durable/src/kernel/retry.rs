//! Retry policies: when the next attempt is due. Pure: the random part is an argument. Everything here that builds a
//! policy is `const`, so that an attribute's options are checked while they compile.

use std::time::Duration;

use super::id::Attempt;

/// When and how often a failed attempt is tried again. The default: after 100 ms, twice as long each time, at most a
/// minute, a fifth of it random, for ever.
///
/// What is given as text (`exponential("100ms", 2.0)`, [`max_interval`](Self::max_interval)) is checked where the policy
/// is built, in a `const` while it compiles; what is computed is given as a [`Duration`] to the methods with the long
/// names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    pub(crate) initial: Duration,
    pub(crate) coefficient: f64,
    pub(crate) increment: Duration,
    pub(crate) maximum_interval: Duration,
    pub(crate) maximum_attempts: Option<u32>,
    pub(crate) maximum_elapsed: Option<Duration>,
    pub(crate) jitter: f64,
}

/// Waits `initial` after the first failure and `coefficient` times as long after each further one.
///
/// # Panics
/// If `initial` is no duration (`"100ms"`, `"30s"`, `"5m"`, `"2h"`, `"7d"`, `"1h30m"`) or `coefficient` is less than 1;
/// in a `const`, while it compiles.
#[track_caller]
#[must_use]
pub const fn exponential(initial: &str, coefficient: f64) -> RetryPolicy {
    RetryPolicy::DEFAULT.initial_interval(duration(initial)).backoff_coefficient(coefficient)
}

/// Waits `initial` after the first failure and `increment` longer after each further one.
///
/// # Panics
/// If one of them is no duration; in a `const`, while it compiles.
#[track_caller]
#[must_use]
pub const fn linear(initial: &str, increment: &str) -> RetryPolicy {
    let policy = RetryPolicy::DEFAULT.initial_interval(duration(initial)).backoff_coefficient(1.0);
    RetryPolicy { increment: duration(increment), ..policy }
}

/// Waits `interval` after each failure.
///
/// # Panics
/// If it is no duration; in a `const`, while it compiles.
#[track_caller]
#[must_use]
pub const fn fixed(interval: &str) -> RetryPolicy {
    let interval = duration(interval);
    RetryPolicy::DEFAULT.initial_interval(interval).backoff_coefficient(1.0).maximum_interval(interval)
}

/// One attempt, no other.
#[must_use]
pub const fn never() -> RetryPolicy {
    RetryPolicy::DEFAULT.maximum_attempts(1)
}

/// Reads a duration: numbers with a unit each (`ms`, `s`, `m`, `h`, `d`), as `"100ms"`, `"30s"`, `"1h30m"`.
///
/// # Panics
/// If the text is no duration; in a `const`, while it compiles.
#[track_caller]
#[must_use]
pub const fn duration(text: &str) -> Duration {
    match parse(text.as_bytes()) {
        Some(duration) => duration,
        None => panic!("not a duration: write a number and a unit, as \"100ms\", \"30s\", \"5m\", \"2h\", \"7d\""),
    }
}

const fn parse(mut text: &[u8]) -> Option<Duration> {
    let mut sum_ms: u64 = 0;
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        let Some((number, rest)) = take_number(text) else { return None };
        let Some((unit_ms, rest)) = take_unit(rest) else { return None };
        let Some(part_ms) = number.checked_mul(unit_ms) else { return None };
        let Some(next_ms) = sum_ms.checked_add(part_ms) else { return None };
        sum_ms = next_ms;
        text = rest;
    }
    Some(Duration::from_millis(sum_ms))
}

const fn take_number(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number: u64 = 0;
    let mut rest = text;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        let Some(tens) = number.checked_mul(10) else { return None };
        let Some(next) = tens.checked_add((*digit - b'0') as u64) else { return None };
        number = next;
        rest = after;
    }
    if rest.len() == text.len() { None } else { Some((number, rest)) }
}

const fn take_unit(text: &[u8]) -> Option<(u64, &[u8])> {
    match text {
        [b'm', b's', rest @ ..] => Some((1, rest)),
        [b's', rest @ ..] => Some((1000, rest)),
        [b'm', rest @ ..] => Some((60_000, rest)),
        [b'h', rest @ ..] => Some((3_600_000, rest)),
        [b'd', rest @ ..] => Some((86_400_000, rest)),
        _ => None,
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy::DEFAULT
    }
}

impl RetryPolicy {
    /// What holds where nothing is said.
    pub const DEFAULT: RetryPolicy = RetryPolicy {
        initial: Duration::from_millis(100),
        coefficient: 2.0,
        increment: Duration::ZERO,
        maximum_interval: Duration::from_secs(60),
        maximum_attempts: None,
        maximum_elapsed: None,
        jitter: 0.2,
    };

    /// The wait after the first failure.
    #[must_use]
    pub const fn initial_interval(self, initial: Duration) -> RetryPolicy {
        RetryPolicy { initial, ..self }
    }

    /// By what each wait is longer than the one before.
    ///
    /// # Panics
    /// If it is less than 1 or not a number.
    #[track_caller]
    #[must_use]
    pub const fn backoff_coefficient(self, coefficient: f64) -> RetryPolicy {
        assert!(coefficient >= 1.0, "a backoff coefficient is 1 or more");
        RetryPolicy { coefficient, ..self }
    }

    /// The longest wait.
    #[must_use]
    pub const fn maximum_interval(self, interval: Duration) -> RetryPolicy {
        RetryPolicy { maximum_interval: interval, ..self }
    }

    /// How many attempts there are, the first one included.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    #[must_use]
    pub const fn maximum_attempts(self, attempts: u32) -> RetryPolicy {
        assert!(attempts > 0, "there is at least one attempt");
        RetryPolicy { maximum_attempts: Some(attempts), ..self }
    }

    /// No attempt begins later than this after the call was scheduled.
    #[must_use]
    pub const fn maximum_elapsed(self, elapsed: Duration) -> RetryPolicy {
        RetryPolicy { maximum_elapsed: Some(elapsed), ..self }
    }

    /// Which share of each wait is random, from 0 to 1. It only makes waits shorter.
    ///
    /// # Panics
    /// If it is less than 0 or more than 1.
    #[track_caller]
    #[must_use]
    pub const fn jitter(self, share: f64) -> RetryPolicy {
        assert!(share >= 0.0 && share <= 1.0, "a jitter is a share, from 0 to 1");
        RetryPolicy { jitter: share, ..self }
    }

    /// The longest wait, as text.
    ///
    /// # Panics
    /// If it is no duration; in a `const`, while it compiles.
    #[track_caller]
    #[must_use]
    pub const fn max_interval(self, interval: &str) -> RetryPolicy {
        self.maximum_interval(duration(interval))
    }

    /// How many attempts there are, the first one included.
    ///
    /// # Panics
    /// If it is 0; in a `const`, while it compiles.
    #[track_caller]
    #[must_use]
    pub const fn max_attempts(self, attempts: u32) -> RetryPolicy {
        self.maximum_attempts(attempts)
    }

    /// No attempt begins later than this after the call was scheduled, as text.
    ///
    /// # Panics
    /// If it is no duration; in a `const`, while it compiles.
    #[track_caller]
    #[must_use]
    pub const fn max_elapsed(self, elapsed: &str) -> RetryPolicy {
        self.maximum_elapsed(duration(elapsed))
    }

    /// How long to wait after attempt `failed` before the next one; none if there is no next one. `elapsed` is the time
    /// since the call was scheduled, `draw` a random number.
    #[must_use]
    pub fn delay(&self, failed: Attempt, elapsed: Duration, draw: u64) -> Option<Duration> {
        if self.maximum_attempts.is_some_and(|most| failed.0 >= most.saturating_add(u32::from(planted!(43)))) {
            return None;
        }
        let before = failed.0.saturating_sub(1);
        let power = i32::try_from(before).unwrap_or(i32::MAX);
        let multiplied = self.initial.as_secs_f64() * self.coefficient.powi(power);
        let grown = multiplied + self.increment.as_secs_f64() * f64::from(before);
        let capped = grown.min(self.maximum_interval.as_secs_f64());
        #[allow(clippy::cast_precision_loss, reason = "53 bits of a draw are plenty")]
        let unit = (draw >> 11) as f64 / (1u64 << 53) as f64;
        let delay = Duration::try_from_secs_f64(capped * (1.0 - self.jitter * unit)).unwrap_or(Duration::MAX);
        let in_time = self.maximum_elapsed.is_none_or(|most| elapsed.saturating_add(delay) <= most);
        in_time.then_some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays_ms(policy: RetryPolicy, failures: u32) -> Vec<Option<u128>> {
        let exact = policy.jitter(0.0);
        (1..=failures).map(|n| exact.delay(Attempt(n), Duration::ZERO, 0).map(|d| d.as_millis())).collect()
    }

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(duration("100ms"), Duration::from_millis(100));
        assert_eq!(duration("30s"), Duration::from_secs(30));
        assert_eq!(duration("5m"), Duration::from_secs(300));
        assert_eq!(duration("1h30m"), Duration::from_secs(5400));
        assert_eq!(duration("7d"), Duration::from_secs(7 * 86_400));
        for bad in ["", "10", "s", "10x", "1.5s", "-1s", "10 s", "99999999999999999999s", "999999999999999999d"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn each_kind_of_policy_waits_as_it_says() {
        let exponential = exponential("100ms", 2.0).max_interval("1s").max_attempts(6);
        let expected = [Some(100), Some(200), Some(400), Some(800), Some(1000), None];
        assert_eq!(delays_ms(exponential, 6), expected);
        assert_eq!(delays_ms(linear("1s", "2s"), 3), [Some(1000), Some(3000), Some(5000)]);
        assert_eq!(delays_ms(fixed("2m"), 3), [Some(120_000); 3]);
        assert_eq!(delays_ms(never(), 1), [None]);
    }

    #[test]
    fn a_wait_past_the_maximum_elapsed_is_no_wait() {
        let policy = fixed("10s").jitter(0.0).max_elapsed("1m");
        assert_eq!(policy.delay(Attempt(1), Duration::from_secs(50), 0), Some(Duration::from_secs(10)));
        assert_eq!(policy.delay(Attempt(1), Duration::from_secs(51), 0), None);
    }

    #[test]
    fn jitter_only_makes_a_wait_shorter() {
        let policy = fixed("10s").jitter(0.5);
        let shortest = policy.delay(Attempt(1), Duration::ZERO, u64::MAX).unwrap();
        assert!(shortest >= Duration::from_secs(5) && shortest < Duration::from_secs(6), "{shortest:?}");
        assert_eq!(policy.delay(Attempt(1), Duration::ZERO, 0), Some(Duration::from_secs(10)));
    }

    #[test]
    fn the_longest_interval_does_not_overflow() {
        let policy = exponential("100ms", 1e9).maximum_interval(Duration::MAX).jitter(0.0);
        assert_eq!(policy.delay(Attempt(u32::MAX), Duration::ZERO, 0), Some(Duration::MAX));
    }
}
