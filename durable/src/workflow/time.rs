//! Durable time: timers that survive crashes, and logical time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::context::{Pending, Until, What, in_run};
use crate::kernel::command::{Command, Outcome};
use crate::kernel::id::Timestamp;

/// A durable timer, from [`sleep`] or [`sleep_until`].
#[derive(Debug)]
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    pending: Pending,
}

/// Waits for a span of time that survives crashes: from microseconds to years.
///
/// # Panics
/// When it is awaited outside a workflow run.
///
/// # Journal
/// Records the due time when it is first polled, and that it fired. Due is `span` after the wall clock's time at which the newest
/// event was recorded that the run has seen; that is [`now`], unless the clock was set back. Time during which no process runs
/// counts; a timer that came due meanwhile fires at open. It fires when the wall clock reaches the due time, or when the
/// process's monotonic clock has used up what remained when it was armed, whichever is first.
///
/// # Cancellation
/// A dropped sleep never fires.
#[track_caller]
pub fn sleep(span: Duration) -> Sleep {
    Sleep { pending: Pending::build(What::Sleep(Until::After(span))) }
}

/// Waits until a point in time. One that has passed is due at once.
///
/// # Panics
/// When it is awaited outside a workflow run.
///
/// # Journal
/// As [`sleep`].
#[track_caller]
pub fn sleep_until(at: SystemTime) -> Sleep {
    Sleep { pending: Pending::build(What::Sleep(Until::At(Timestamp::from(at)))) }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let until = self.pending.until().expect("because it was built as a timer");
        let outcome = self.pending.poll(cx, |_, origin| Ok(Command::StartTimer { due: until.due(origin.spans_from) }));
        outcome.map(|outcome| debug_assert!(matches!(outcome, Outcome::Fired), "a timer gives nothing else"))
    }
}

/// Logical time: that of the newest event that the run has seen. It stands still between two awaits, never goes back, and is the
/// same at every replay. After the wall clock was set back it stands still until that has caught up, also over a [`sleep`].
///
/// # Panics
/// Outside a workflow run.
///
/// # Journal
/// Records nothing.
#[must_use]
#[track_caller]
pub fn now() -> SystemTime {
    SystemTime::from(in_run("now", |machine| machine.now()))
}

/// The time limit of [`timeout`] passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl std::fmt::Display for Elapsed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the time limit passed")
    }
}

impl std::error::Error for Elapsed {}

/// A future with a time limit, from [`timeout`].
#[pin_project::pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless they are awaited"]
pub struct Timeout<F> {
    #[pin]
    future: F,
    limit: Sleep,
}

/// Gives what `future` gives, or [`Elapsed`] if a durable timer of `span` fires first.
///
/// # Errors
/// [`Elapsed`] when the limit passed first.
///
/// # Panics
/// When it is awaited outside a workflow run.
///
/// # Journal
/// As [`sleep`], and what `future` records. The timer is dropped when `future` is first.
///
/// # Cancellation
/// When the limit passes, the caller drops the future, and with it what it waits for.
#[track_caller]
pub fn timeout<F: Future>(span: Duration, future: F) -> Timeout<F> {
    Timeout { future, limit: sleep(span) }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(this.limit).poll(cx).map(|()| Err(Elapsed))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Timestamp {
        match time.duration_since(UNIX_EPOCH) {
            Ok(since) => Timestamp(0).after(since),
            Err(before) => Timestamp(i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us)),
        }
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> SystemTime {
        let span = Duration::from_micros(time.0.unsigned_abs());
        let shifted = if time.0 < 0 { UNIX_EPOCH.checked_sub(span) } else { UNIX_EPOCH.checked_add(span) };
        shifted.unwrap_or(UNIX_EPOCH)
    }
}
