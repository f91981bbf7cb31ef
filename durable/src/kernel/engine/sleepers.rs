//! The timers of runs that were put away: nobody needs them before they are due, or their run moves, and there may be a million. So each is 28 bytes,
//! in one heap by the monotonic clock. None is taken out of its middle: that one is not waited for any more is noted, it goes when it comes to the
//! front, and all of them are swept out when they are many.
//!
//! A wall clock that is set forward makes timers due before their turn by the monotonic one. That is rare, and only then do they stand in a second
//! heap, by the wall clock. What comes out of one of the two comes out of the other as well, where it may be told once more: whether a timer is waited
//! for its run says.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use super::Now;
use crate::kernel::id::{RunNo, Seq, Timestamp};

/// By so many nanoseconds a wall clock may run ahead unseen: two clocks are never read at the same moment, and a thread may have to wait in between.
/// Where a clock is trimmed, Linux trims both.
const SLACK: i128 = 100_000_000;

/// So many may be swept out later however few there are.
const GONE_MIN: usize = 64;

/// A timer that is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sleeper {
    /// When it is due by the monotonic clock, in nanoseconds.
    pub(super) at: u64,
    pub(super) run: RunNo,
    pub(super) seq: Seq,
    /// When it is due by the wall clock.
    pub(super) wall: Timestamp,
}

/// The same without gaps, the lower halves first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    at: [u32; 2],
    run: [u32; 2],
    wall: [u32; 2],
    seq: u32,
}

impl Packed {
    fn key(&self) -> (u64, u64, u32) {
        (whole(self.at), whole(self.run), self.seq)
    }

    fn get(&self) -> Sleeper {
        let wall = Timestamp(whole(self.wall).cast_signed());
        Sleeper { at: whole(self.at), run: RunNo(whole(self.run)), seq: Seq(self.seq), wall }
    }
}

impl From<Sleeper> for Packed {
    fn from(Sleeper { at, run, seq, wall }: Sleeper) -> Packed {
        Packed { at: halves(at), run: halves(run.0), wall: halves(wall.0.cast_unsigned()), seq: seq.0 }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "each half is taken")]
fn halves(whole: u64) -> [u32; 2] {
    [whole as u32, (whole >> 32) as u32]
}

fn whole([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

impl Ord for Packed {
    fn cmp(&self, other: &Packed) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Packed {
    fn partial_cmp(&self, other: &Packed) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Sleepers {
    by_monotonic: BinaryHeap<Reverse<Packed>>,
    /// Those that were there when the wall clock was set forward.
    by_wall: BinaryHeap<Reverse<(Timestamp, RunNo, Seq)>>,
    /// By how much the monotonic clock was ahead of the wall clock, at most, when one was armed that is not in the second heap. Nanoseconds.
    lead: Option<i128>,
    /// Those that are not waited for any more.
    gone: BTreeSet<(RunNo, Seq)>,
}

impl Sleepers {
    pub(super) fn is_empty(&self) -> bool {
        self.by_monotonic.is_empty()
    }

    /// Takes in a timer.
    pub(super) fn push(&mut self, sleeper: Sleeper, now: Now) {
        self.lead = self.lead.max(lead_of(&sleeper, now));
        self.by_monotonic.push(Reverse(sleeper.into()));
    }

    /// Takes in many at once.
    pub(super) fn extend(&mut self, all: impl Iterator<Item = Sleeper>, now: Now) {
        let mut many = std::mem::take(&mut self.by_monotonic).into_vec();
        for sleeper in all {
            self.lead = self.lead.max(lead_of(&sleeper, now));
            many.push(Reverse(sleeper.into()));
        }
        many.shrink_to_fit();
        self.by_monotonic = many.into();
    }

    /// The one that is due first by the monotonic clock, if it is.
    pub(super) fn due(&self, now: Now) -> Option<Sleeper> {
        let Reverse(first) = self.by_monotonic.peek()?;
        Some(first.get()).filter(|first| first.at <= nanos(now.monotonic))
    }

    /// Takes out the one that is due first by the monotonic clock.
    pub(super) fn pop(&mut self) -> Option<Sleeper> {
        let Reverse(first) = self.by_monotonic.pop()?;
        let first = first.get();
        if self.by_monotonic.is_empty() {
            // All that stand in the second heap have come before.
            *self = Sleepers::default();
            return Some(first);
        }
        if !self.by_wall.is_empty() {
            self.gone.insert((first.run, first.seq));
        }
        self.tidy();
        if self.by_monotonic.len() < self.by_monotonic.capacity() / 4 {
            // What a flood of them took is given back.
            self.by_monotonic.shrink_to(2 * self.by_monotonic.len());
        }
        Some(first)
    }

    /// Takes out one that is due by the wall clock and not by the monotonic one.
    pub(super) fn pop_by_wall(&mut self, now: Now) -> Option<(RunNo, Seq)> {
        if self.is_ahead(now) {
            let all = self.by_monotonic.iter().map(|Reverse(sleeper)| sleeper.get());
            self.by_wall =
                all.map(|sleeper| Reverse((sleeper.wall, sleeper.run, sleeper.seq))).collect::<Vec<_>>().into();
            self.lead = None;
        }
        let Reverse((wall, run, seq)) = *self.by_wall.peek()?;
        if wall > now.wall {
            return None;
        }
        self.by_wall.pop();
        self.gone.insert((run, seq));
        self.tidy();
        Some((run, seq))
    }

    /// When the monotonic clock has to be looked at again.
    pub(super) fn next(&self, now: Now) -> Option<Duration> {
        let Reverse(first) = self.by_monotonic.peek()?;
        if self.is_ahead(now) {
            return Some(now.monotonic);
        }
        let wall = self.by_wall.peek().map(|Reverse((wall, ..))| now.monotonic.saturating_add(wall.since(now.wall)));
        wall.into_iter().chain([Duration::from_nanos(first.get().at)]).min()
    }

    /// A timer of the run is not waited for any more.
    pub(super) fn forget(&mut self, run: RunNo, seq: Seq) {
        if !self.is_empty() {
            self.gone.insert((run, seq));
            self.tidy();
        }
    }

    /// What stands in front is waited for, and few others are not.
    fn tidy(&mut self) {
        if self.gone.is_empty() {
            return;
        }
        while self.by_wall.peek().is_some_and(|Reverse((_, run, seq))| self.gone.contains(&(*run, *seq))) {
            self.by_wall.pop();
        }
        // Where there is a second heap it may have the same one further behind.
        let has_one = self.by_wall.is_empty();
        while let Some(Reverse(first)) = self.by_monotonic.peek() {
            let Sleeper { run, seq, .. } = first.get();
            if !self.gone.contains(&(run, seq)) {
                break;
            }
            self.by_monotonic.pop();
            if has_one {
                self.gone.remove(&(run, seq));
            }
        }
        if self.gone.len() > self.by_monotonic.len() / 2 + GONE_MIN {
            let gone = std::mem::take(&mut self.gone);
            self.by_monotonic.retain(|Reverse(sleeper)| !gone.contains(&(sleeper.get().run, sleeper.get().seq)));
            self.by_wall.retain(|Reverse((_, run, seq))| !gone.contains(&(*run, *seq)));
            self.by_monotonic.shrink_to_fit();
            self.by_wall.shrink_to_fit();
        }
        if self.by_monotonic.is_empty() {
            *self = Sleepers::default();
        }
    }

    /// Whether the wall clock was set forward since one of them was armed that is not in the second heap.
    fn is_ahead(&self, now: Now) -> bool {
        let ahead = self.lead.map(|armed| armed - lead(nanos(now.monotonic), now.wall));
        ahead.is_some_and(|ahead| ahead > SLACK)
    }
}

/// By how much the monotonic clock was ahead when the timer was armed. What is due already says nothing of that: it was armed late.
fn lead_of(sleeper: &Sleeper, now: Now) -> Option<i128> {
    (sleeper.at > nanos(now.monotonic)).then(|| lead(sleeper.at, sleeper.wall))
}

/// By how much one clock is ahead of the other.
fn lead(monotonic: u64, wall: Timestamp) -> i128 {
    i128::from(monotonic) - i128::from(wall.0) * 1_000
}

/// What is centuries away is never due.
pub(super) fn nanos(at: Duration) -> u64 {
    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Arm(u64, i16),
        Forget(prop::sample::Index),
        /// The wall clock is set.
        Set(i32),
        Wait(u16),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let op = prop_oneof![
            8 => (1..6_u64, -20..400_i16).prop_map(|(run, span)| Op::Arm(run, span)),
            3 => any::<prop::sample::Index>().prop_map(Op::Forget),
            1 => prop_oneof![-900_000..900_000, -3_000..3_000].prop_map(Op::Set),
            5 => (0..300_u16).prop_map(Op::Wait),
        ];
        proptest::collection::vec(op, 0..300)
    }

    fn slack() -> i64 {
        i64::try_from(SLACK / 1_000).unwrap()
    }

    fn due_at(wall: Timestamp, now: Now) -> u64 {
        nanos(now.monotonic + wall.since(now.wall))
    }

    fn is_due(sleeper: &Sleeper, now: Now) -> bool {
        sleeper.at <= nanos(now.monotonic) || sleeper.wall <= now.wall
    }

    proptest! {
        #[test]
        fn what_is_due_by_either_clock_comes_and_nothing_before(ops in ops()) {
            let (mut sleepers, mut model) = (Sleepers::default(), Vec::<Sleeper>::new());
            let mut now = Now { wall: Timestamp(10_000_000), monotonic: Duration::from_millis(500) };
            // By how much the wall clock was set so far, the least of that, and whether it was ever further ahead of it than may stay unseen.
            let (mut by_now, mut least, mut was_set) = (0, 0, false);
            for (seq, op) in (0..).map(Seq).zip(ops) {
                match op {
                    Op::Arm(run, millis) => {
                        let wall = Timestamp(now.wall.0 + 1_000 * i64::from(millis));
                        let sleeper = Sleeper { at: due_at(wall, now), run: RunNo(run), seq, wall };
                        sleepers.push(sleeper, now);
                        model.push(sleeper);
                    }
                    Op::Forget(index) => {
                        if !model.is_empty() {
                            let gone = model.swap_remove(index.index(model.len()));
                            sleepers.forget(gone.run, gone.seq);
                        }
                    }
                    Op::Set(by) => {
                        now.wall.0 += i64::from(by);
                        by_now += i64::from(by);
                        least = least.min(by_now);
                        was_set |= by_now - least > slack();
                    }
                    Op::Wait(millis) => {
                        now.wall.0 += 1_000 * i64::from(millis);
                        now.monotonic += Duration::from_millis(millis.into());
                    }
                }
                // Whoever asks when to look again looks no later than the first is due.
                let next = sleepers.next(now);
                let first = model.iter().map(|is| is.at.min(due_at(Timestamp(is.wall.0 + slack()), now))).min();
                prop_assert!(first.is_none_or(|first| next.is_some_and(|next| nanos(next) <= first)));
                prop_assert!(was_set || nanos(next.unwrap_or_default()) == model.iter().map(|is| is.at).min().unwrap_or_default());
                loop {
                    let by_monotonic = sleepers.due(now).and_then(|_| sleepers.pop()).map(|came| (came.run, came.seq));
                    let Some(came) = by_monotonic.or_else(|| sleepers.pop_by_wall(now)) else { break };
                    // It may have come before, and was gone if it is not there.
                    if let Some(place) = model.iter().position(|is| (is.run, is.seq) == came) {
                        prop_assert!(is_due(&model.swap_remove(place), now), "before its time");
                    } else {
                        prop_assert!(was_set, "twice");
                    }
                }
                for is in &model {
                    prop_assert!(is.at > nanos(now.monotonic) && is.wall.0 + slack() > now.wall.0, "nothing is late");
                }
                prop_assert!(was_set || (sleepers.by_wall.is_empty() && sleepers.by_wall.capacity() == 0));
                prop_assert!(sleepers.gone.len() <= sleepers.by_monotonic.len() / 2 + GONE_MIN);
            }
        }
    }

    fn sleeper(run: u64, seq: u32, micros: u32) -> Sleeper {
        Sleeper { at: u64::from(micros) * 1_000, run: RunNo(run), seq: Seq(seq), wall: Timestamp(micros.into()) }
    }

    #[test]
    fn only_a_wall_clock_that_is_set_forward_asks_for_a_second_heap() {
        let at = |wall, monotonic| Now { wall: Timestamp(wall), monotonic: Duration::from_micros(monotonic) };
        let mut sleepers = Sleepers::default();
        (1..=100).for_each(|n| sleepers.push(sleeper(n.into(), 1, n * 1_000_000), at(0, 0)));
        // One that was armed an hour late.
        sleepers.push(Sleeper { wall: Timestamp(-3_600_000_000), ..sleeper(101, 1, 0) }, at(0, 0));
        assert_eq!((sleepers.due(at(0, 0)).map(|first| first.run), sleepers.pop().is_some()), (Some(RunNo(101)), true));
        assert_eq!(
            (sleepers.pop_by_wall(at(90_000, 0)), sleepers.by_wall.len()),
            (None, 0),
            "not for the time between two looks"
        );
        assert_eq!((sleepers.pop_by_wall(at(900_000, 0)), sleepers.by_wall.len()), (None, 100));
        sleepers.push(Sleeper { at: 600_000_000, ..sleeper(7, 2, 1_500_000) }, at(900_000, 0));
        assert_eq!(sleepers.pop_by_wall(at(1_500_000, 500_000)), Some((RunNo(1), Seq(1))));
        assert_eq!(
            (sleepers.pop_by_wall(at(1_500_000, 500_000)), sleepers.by_wall.len()),
            (None, 99),
            "what came later is not in it"
        );
        assert_eq!(sleepers.next(at(1_500_000, 500_000)), Some(Duration::from_micros(600_000)));
        while sleepers.pop().is_some() {}
        assert_eq!((sleepers.by_wall.len(), sleepers.lead), (0, None), "and it is gone with the first");
    }

    #[test]
    fn those_that_are_not_waited_for_are_swept_out_when_they_are_many() {
        let mut sleepers = Sleepers::default();
        (0..200).for_each(|run| sleepers.push(sleeper(run.into(), 1, run), Now::default()));
        (35..199).for_each(|run| sleepers.forget(RunNo(run), Seq(1)));
        assert_eq!((sleepers.by_monotonic.len(), sleepers.gone.len()), (200, 164));
        sleepers.forget(RunNo(199), Seq(1));
        assert_eq!((sleepers.by_monotonic.len(), sleepers.gone.len()), (35, 0));
        // Many of one run, all due at once, as a loop that waits for one of two again and again leaves them.
        for seq in 2..10_000 {
            sleepers.push(sleeper(1, seq, 77), Now::default());
            sleepers.forget(RunNo(1), Seq(seq));
        }
        assert!(sleepers.by_monotonic.len() < 300, "{}", sleepers.by_monotonic.len());
    }

    #[test]
    fn one_in_front_that_is_not_waited_for_goes() {
        let mut sleepers = Sleepers::default();
        (1..=3).for_each(|n| sleepers.push(sleeper(n.into(), 1, 4 + n), Now::default()));
        sleepers.forget(RunNo(2), Seq(1));
        assert_eq!(sleepers.next(Now::default()), Some(Duration::from_micros(5)));
        sleepers.forget(RunNo(1), Seq(2));
        sleepers.forget(RunNo(1), Seq(1));
        assert_eq!(sleepers.next(Now::default()), Some(Duration::from_micros(7)));
        sleepers.forget(RunNo(3), Seq(1));
        assert_eq!((sleepers.next(Now::default()), sleepers.gone.len()), (None, 0));
    }

    #[test]
    fn a_timer_takes_28_bytes() {
        assert_eq!(size_of::<Reverse<Packed>>(), 28);
    }
}
