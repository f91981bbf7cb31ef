//! A clock that stands still until a test moves it. Wall and monotonic time are apart: setting the wall clock wakes
//! nobody. It never reads a real clock.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use durable::kernel::id::Timestamp;
use durable::seams::{Clock, Task};

#[derive(Debug)]
struct Time {
    wall: Timestamp,
    monotonic: Duration,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next_sleeper: u64,
}

/// A clock that a test moves. Clones are the same clock.
#[derive(Clone)]
pub struct ManualClock {
    time: Arc<Mutex<Time>>,
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|time| write!(f, "ManualClock(wall {} us, monotonic {:?})", time.wall.0, time.monotonic))
    }
}

impl ManualClock {
    /// A clock that shows `wall`, with a monotonic time of zero.
    #[must_use]
    pub fn new(wall: Timestamp) -> Self {
        let time = Time { wall, monotonic: Duration::ZERO, sleepers: BTreeMap::new(), next_sleeper: 0 };
        Self { time: Arc::new(Mutex::new(time)) }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Time) -> R) -> R {
        f(&mut self.time.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets both clocks pass by `span`, and wakes whose time has come: the earliest deadline first, of one deadline
    /// whoever began to sleep first.
    pub fn advance(&self, span: Duration) {
        let due = self.with(|time| {
            time.wall = time.wall.after(span);
            time.monotonic = time.monotonic.saturating_add(span);
            let later = time.sleepers.split_off(&(time.monotonic.saturating_add(Duration::from_nanos(1)), 0));
            std::mem::replace(&mut time.sleepers, later)
        });
        due.into_values().for_each(Waker::wake);
    }

    /// Lets both clocks pass to the next deadline of a sleeper and wakes who sleeps until then; false if nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        let Some(span) = self.with(|time| Some(time.sleepers.keys().next()?.0.saturating_sub(time.monotonic))) else {
            return false;
        };
        self.advance(span);
        true
    }

    /// Sets the wall clock, forwards or back. The monotonic clock does not see it.
    pub fn set_wall(&self, wall: Timestamp) {
        self.with(|time| time.wall = wall);
    }

    /// The next deadline of a sleeper, on the monotonic clock.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.with(|time| time.sleepers.keys().next().map(|(until, _)| *until))
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.with(|time| time.wall)
    }

    fn monotonic(&self) -> Duration {
        self.with(|time| time.monotonic)
    }

    fn sleep_until(&self, until: Duration) -> Task {
        Box::pin(Sleep { clock: self.clone(), until, number: None })
    }
}

struct Sleep {
    clock: ManualClock,
    until: Duration,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let (until, known) = (this.until, this.number);
        let number = this.clock.with(|time| {
            if until <= time.monotonic {
                return None;
            }
            let number = known.unwrap_or_else(|| {
                time.next_sleeper += 1;
                time.next_sleeper
            });
            time.sleepers.insert((until, number), context.waker().clone());
            Some(number)
        });
        this.number = number;
        if number.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.clock.with(|time| time.sleepers.remove(&(self.until, number)));
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::InlineSpawn;
    use durable::seams::Spawn;

    #[test]
    fn sleepers_wake_in_the_order_of_their_deadlines() {
        let (clock, spawn) = (ManualClock::new(Timestamp(0)), InlineSpawn::in_order());
        let order = Arc::new(Mutex::new(Vec::new()));
        for seconds in [3, 1, 2, 9] {
            let (sleep, order) = (clock.sleep_until(Duration::from_secs(seconds)), Arc::clone(&order));
            spawn.task(Box::pin(async move {
                sleep.await;
                order.lock().unwrap().push(seconds);
            }));
        }
        spawn.run_until_idle();
        clock.advance(Duration::from_secs(3));
        spawn.run_until_idle();
        assert_eq!(*order.lock().unwrap(), [1, 2, 3]);
        assert_eq!(clock.next_deadline(), Some(Duration::from_secs(9)));
        assert!(clock.advance_to_next());
        spawn.run_until_idle();
        assert_eq!(*order.lock().unwrap(), [1, 2, 3, 9]);
        assert_eq!((clock.wall(), clock.monotonic()), (Timestamp(9_000_000), Duration::from_secs(9)));
        assert!(!clock.advance_to_next());
    }

    #[test]
    fn setting_the_wall_clock_wakes_nobody() {
        let clock = ManualClock::new(Timestamp(5));
        let mut sleep = clock.sleep_until(Duration::from_secs(1));
        assert_eq!((&mut sleep).now_or_never(), None);
        clock.set_wall(Timestamp(i64::MAX));
        assert_eq!((&mut sleep).now_or_never(), None);
        assert_eq!((clock.wall(), clock.monotonic()), (Timestamp::MAX, Duration::ZERO));
        clock.advance(Duration::from_secs(1));
        assert_eq!(sleep.now_or_never(), Some(()));
    }

    #[test]
    fn a_dropped_sleep_is_no_deadline() {
        let clock = ManualClock::new(Timestamp(0));
        let mut sleep = clock.sleep_until(Duration::from_secs(1));
        assert_eq!((&mut sleep).now_or_never(), None);
        drop(sleep);
        assert_eq!(clock.next_deadline(), None);
        assert!(!clock.advance_to_next());
    }
}
