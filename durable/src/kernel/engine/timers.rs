//! What is due when. A wall deadline comes due when the wall clock reaches it, or when the monotonic clock has used up what
//! remained when it was armed, whichever is first: a wall clock that is set back prolongs nothing. A span of this process
//! (an attempt's start-to-close) counts on the monotonic clock alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Now;
use crate::kernel::id::{Attempt, RunNo, Seq, Timestamp};

/// What comes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A timer of the run.
    Timer(Seq),
    /// The next attempt of a call.
    Retry(Seq),
    /// A call's schedule-to-close deadline.
    Call(Seq),
    /// An attempt's start-to-close timeout.
    Attempt(Seq, Attempt),
    /// The run's deadline.
    Run,
}

type Key = (RunNo, Due);

/// Everything that is armed.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// The wall deadlines, and when each comes due on the monotonic clock. Spans are not here: who armed one knows when it is due.
    deadlines: BTreeMap<Key, (Duration, Timestamp)>,
    by_monotonic: BTreeSet<(Duration, Key)>,
    by_wall: BTreeSet<(Timestamp, Key)>,
}

impl Timers {
    /// Arms a wall deadline.
    pub(super) fn arm_at(&mut self, run: RunNo, due: Due, at: Timestamp, now: Now) {
        self.disarm(run, due);
        let key = (run, due);
        let span = at.since(now.wall);
        let monotonic = now.monotonic.saturating_add(if planted!(66) { span / 8 * 7 } else { span });
        self.deadlines.insert(key, (monotonic, at));
        self.by_monotonic.insert((monotonic, key));
        self.by_wall.insert((at, key));
    }

    /// Arms a span of this process; gives when it is due, by which it is disarmed.
    pub(super) fn arm_in(&mut self, run: RunNo, due: Due, span: Duration, now: Now) -> Duration {
        let monotonic = now.monotonic.saturating_add(span);
        self.by_monotonic.insert((monotonic, (run, due)));
        monotonic
    }

    /// Disarms a wall deadline, if it is armed.
    pub(super) fn disarm(&mut self, run: RunNo, due: Due) {
        let key = (run, due);
        let Some((monotonic, wall)) = self.deadlines.remove(&key) else { return };
        self.by_monotonic.remove(&(monotonic, key));
        self.by_wall.remove(&(wall, key));
    }

    /// Disarms a span, if it is armed.
    pub(super) fn disarm_in(&mut self, run: RunNo, due: Due, monotonic: Duration) {
        self.by_monotonic.remove(&(monotonic, (run, due)));
    }

    /// Disarms all wall deadlines of a run.
    pub(super) fn disarm_run(&mut self, run: RunNo) {
        let all = (run, Due::Timer(Seq(0)))..=(run, Due::Run);
        let dues: Vec<Due> = self.deadlines.range(all).map(|((_, due), _)| *due).collect();
        dues.into_iter().for_each(|due| self.disarm(run, due));
    }

    /// Takes the next thing that is due.
    pub(super) fn take_due(&mut self, now: Now) -> Option<Key> {
        if let Some((at, key)) = self.by_monotonic.first().filter(|(at, _)| *at <= now.monotonic).copied() {
            if planted!(56)
                && let Some((_, wall)) = self.deadlines.get(&key).copied().filter(|(_, wall)| *wall > now.wall)
            {
                self.arm_at(key.0, key.1, wall, now);
                return self.take_due(now);
            }
            self.by_monotonic.remove(&(at, key));
            self.disarm(key.0, key.1);
            return Some(key);
        }
        let (_, key) = self.by_wall.first().filter(|(at, _)| *at <= now.wall).copied()?;
        self.disarm(key.0, key.1);
        Some(key)
    }

    /// When the monotonic clock shows that something is due. A wall clock that was set forward brings a wall deadline nearer.
    pub(super) fn next(&self, now: Now) -> Option<Duration> {
        let monotonic = self.by_monotonic.first().map(|(at, _)| *at);
        let wall = self.by_wall.first().map(|(at, _)| now.monotonic.saturating_add(at.since(now.wall)));
        monotonic.into_iter().chain(wall).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_forward_brings_a_deadline_nearer_and_one_set_back_puts_none_off() {
        let seconds = Duration::from_secs;
        let now = |wall: i64, monotonic| Now { wall: Timestamp(wall * 1_000_000), monotonic: seconds(monotonic) };
        let mut timers = Timers::default();
        timers.arm_at(RunNo(1), Due::Run, Timestamp(100_000_000), now(0, 0));
        assert_eq!(timers.next(now(10, 10)), Some(seconds(100)));
        assert_eq!(timers.next(now(30, 10)), Some(seconds(80)));
        assert_eq!(timers.next(now(0, 10)), Some(seconds(100)));
        assert_eq!(timers.next(now(500, 10)), Some(seconds(10)), "it is due");
        timers.arm_in(RunNo(1), Due::Attempt(Seq(1), Attempt(1)), seconds(5), now(30, 10));
        assert_eq!(timers.next(now(30, 10)), Some(seconds(15)));
    }
}
