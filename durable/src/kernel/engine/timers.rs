//! What is due when. A wall deadline comes due when the wall clock reaches it, or when the monotonic clock has used up what
//! remained when it was armed, whichever is first: a wall clock that is set back prolongs nothing. A span of this process
//! (an attempt's start-to-close) counts on the monotonic clock alone.
//!
//! There may be a million of them, and one for each attempt in flight: each has a number, by which two heaps know it. The timers of runs that are
//! not in memory take less, and stand by themselves.

use std::cmp::Ordering;
use std::time::Duration;

use super::Now;
use super::numbered::Numbered;
use super::sleepers::{self, Sleeper, Sleepers};
use crate::kernel::id::{RunNo, Seq, Timestamp};

/// What comes due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// A timer of the run.
    Timer(Seq),
    /// The next attempt of a call.
    Retry(Seq),
    /// A call's schedule-to-close deadline.
    Call(Seq),
    /// The start-to-close timeout of the call's attempt in flight, of which there is one at most.
    Attempt(Seq),
    /// The run's deadline.
    Run,
}

type Key = (RunNo, Due);

/// The key of a number that is free. No run has the number 0.
const NOBODY: Key = (RunNo(0), Due::Run);

/// So many numbers are kept for what is armed next when nothing is armed; what a flood of timers took is given back.
const NUMBERS_KEPT_MAX: usize = 1024;

/// Everything that is armed.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// What each number stands for.
    keys: Vec<Key>,
    free: Vec<Number>,
    /// The wall deadlines. Spans are not here: who armed one knows its number.
    deadlines: Numbered,
    by_monotonic: Soonest,
    by_wall: Soonest,
    asleep: Sleepers,
}

/// Something that is armed, by number. When it is disarmed or due, the number goes to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(u32);

/// A point in time by either clock, in the order of time. In two halves, so that a number stands behind it without a gap; the lower
/// one first, so that both are read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    low: u32,
    high: u32,
}

impl Ord for Time {
    fn cmp(&self, other: &Time) -> Ordering {
        self.get().cmp(&other.get())
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Time) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Time {
    #[allow(clippy::cast_possible_truncation, reason = "each half is taken")]
    fn new(at: u64) -> Time {
        Time { low: at as u32, high: (at >> 32) as u32 }
    }

    fn get(self) -> u64 {
        u64::from(self.low) | u64::from(self.high) << 32
    }

    /// By the monotonic clock; what is centuries away is never due.
    fn monotonic(at: Duration) -> Time {
        Time::new(sleepers::nanos(at))
    }

    /// By the wall clock, which has points before its zero.
    fn wall(at: Timestamp) -> Time {
        Time::new(at.0.cast_unsigned() ^ (1 << 63))
    }

    fn to_monotonic(self) -> Duration {
        Duration::from_nanos(self.get())
    }

    fn to_wall(self) -> Timestamp {
        Timestamp((self.get() ^ (1 << 63)).cast_signed())
    }
}

impl Timers {
    /// These wall deadlines of runs that are not in memory, armed all at once.
    pub(super) fn of(armed: impl Iterator<Item = (RunNo, Due, Timestamp)>, now: Now) -> Timers {
        let mut timers = Timers::default();
        let mut asleep = Sleepers::default();
        let of_timer = |(run, due, wall)| match due {
            Due::Timer(seq) => Some(Sleeper { at: sleepers::nanos(due_at(wall, now)), run, seq, wall }),
            Due::Retry(_) | Due::Call(_) | Due::Attempt(_) | Due::Run => {
                timers.arm_anew(run, due, wall, now);
                None
            }
        };
        asleep.extend(armed.filter_map(of_timer), now);
        Timers { asleep, ..timers }
    }

    /// Arms a wall deadline.
    pub(super) fn arm_at(&mut self, run: RunNo, due: Due, at: Timestamp, now: Now) {
        self.take(run, due);
        self.arm_anew(run, due, at, now);
    }

    /// The run is put away, and waits for this timer: from now on it takes less.
    pub(super) fn put_aside(&mut self, run: RunNo, seq: Seq, now: Now) {
        if let Some((monotonic, wall)) = self.take(run, Due::Timer(seq)) {
            self.asleep.push(Sleeper { at: monotonic.get(), run, seq, wall: wall.to_wall() }, now);
        }
    }

    /// Arms a wall deadline that is not armed.
    fn arm_anew(&mut self, run: RunNo, due: Due, at: Timestamp, now: Now) {
        let number = self.number((run, due));
        self.deadlines.insert(number.0, |number| hash(self.keys[number as usize]));
        self.by_monotonic.insert(number, Time::monotonic(due_at(at, now)), &self.keys);
        self.by_wall.insert(number, Time::wall(at), &self.keys);
    }

    /// Arms a span of this process; gives its number, by which it is disarmed.
    pub(super) fn arm_in(&mut self, run: RunNo, due: Due, span: Duration, now: Now) -> Number {
        let number = self.number((run, due));
        self.by_monotonic.insert(number, Time::monotonic(now.monotonic.saturating_add(span)), &self.keys);
        number
    }

    /// Disarms a wall deadline, if it is armed.
    pub(super) fn disarm(&mut self, run: RunNo, due: Due) {
        if let (None, Due::Timer(seq)) = (self.take(run, due), due) {
            self.asleep.forget(run, seq);
        }
    }

    /// Takes out a wall deadline, if it is armed: when it is due by either clock.
    fn take(&mut self, run: RunNo, due: Due) -> Option<(Time, Time)> {
        if self.deadlines.is_empty() {
            return None;
        }
        let (key, of) = ((run, due), |number: u32| self.keys[number as usize]);
        let number = self.deadlines.remove(hash(key), |number| of(number) == key, |number| hash(of(number)))?;
        let number = Number(number);
        let times = self.by_monotonic.time(number).zip(self.by_wall.time(number));
        self.forget(number);
        times
    }

    /// Disarms a span, if it is armed.
    pub(super) fn disarm_in(&mut self, run: RunNo, due: Due, number: Number) {
        if self.key(number) == (run, due) {
            self.forget(number);
        }
    }

    /// Takes the next thing that is due.
    pub(super) fn take_due(&mut self, now: Now) -> Option<Key> {
        let monotonic = self.by_monotonic.first().filter(|(at, _)| *at <= Time::monotonic(now.monotonic));
        if let Some(Sleeper { at, run, seq, wall }) = self.asleep.due(now) {
            let key = (run, Due::Timer(seq));
            if monotonic.is_none_or(|(armed, number)| (at, key) < (armed.get(), self.key(number))) {
                self.asleep.pop();
                if planted!(56) && wall > now.wall {
                    self.arm_anew(run, Due::Timer(seq), wall, now);
                    return self.take_due(now);
                }
                return Some(key);
            }
        }
        self.take_armed(monotonic, now)
            .or_else(|| self.asleep.pop_by_wall(now).map(|(run, seq)| (run, Due::Timer(seq))))
    }

    /// Takes the next thing that is due of those that have numbers; `monotonic` is the first by that clock, if it is.
    fn take_armed(&mut self, monotonic: Option<(Time, Number)>, now: Now) -> Option<Key> {
        if let Some((_, number)) = monotonic.filter(|_| planted!(56)) {
            let (run, due) = self.key(number);
            if let Some(wall) = self.by_wall.time(number).map(Time::to_wall).filter(|wall| *wall > now.wall) {
                self.arm_at(run, due, wall, now);
                return self.take_due(now);
            }
        }
        let by_wall = || self.by_wall.first().filter(|(at, _)| *at <= Time::wall(now.wall)).map(|(_, number)| number);
        let number = monotonic.map(|(_, number)| number).or_else(by_wall)?;
        let (run, due) = self.key(number);
        if let Due::Attempt(_) = due {
            self.forget(number);
        } else {
            self.take(run, due);
        }
        Some((run, due))
    }

    /// When the monotonic clock shows that something is due. A wall clock that was set forward brings a wall deadline nearer.
    pub(super) fn next(&self, now: Now) -> Option<Duration> {
        let monotonic = self.by_monotonic.first().map(|(at, _)| at.to_monotonic());
        let wall = self.by_wall.first().map(|(at, _)| now.monotonic.saturating_add(at.to_wall().since(now.wall)));
        monotonic.into_iter().chain(wall).chain(self.asleep.next(now)).min()
    }

    /// Whether there is a wall deadline at all.
    pub(super) fn has_deadlines(&self) -> bool {
        !self.deadlines.is_empty() || !self.asleep.is_empty()
    }

    fn number(&mut self, key: Key) -> Number {
        if let Some(number) = self.free.pop() {
            self.keys[number.index()] = key;
            return number;
        }
        let number = u32::try_from(self.keys.len()).expect("because 4 billion timers do not fit into memory");
        self.keys.push(key);
        Number(number)
    }

    fn key(&self, number: Number) -> Key {
        self.keys.get(number.index()).copied().unwrap_or(NOBODY)
    }

    fn forget(&mut self, number: Number) {
        self.by_monotonic.remove(number, &self.keys);
        self.by_wall.remove(number, &self.keys);
        self.keys[number.index()] = NOBODY;
        self.free.push(number);
        if self.by_monotonic.is_empty() && self.keys.len() > NUMBERS_KEPT_MAX {
            *self = Timers { asleep: std::mem::take(&mut self.asleep), ..Timers::default() };
        }
    }
}

impl Number {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Spreads keys evenly: runs have numbers that follow each other, and so have their commands.
fn hash((run, due): Key) -> u64 {
    let due = match due {
        Due::Timer(seq) => u64::from(seq.0) << 3,
        Due::Retry(seq) => u64::from(seq.0) << 3 | 1,
        Due::Call(seq) => u64::from(seq.0) << 3 | 2,
        Due::Attempt(seq) => u64::from(seq.0) << 3 | 3,
        Due::Run => 4,
    };
    // The last steps of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    let mixed = run.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ due;
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A heap of times, the soonest first and of equal ones that of the lower key, and where in it each number stands.
#[derive(Debug, Default)]
struct Soonest {
    heap: Vec<(Time, Number)>,
    places: Vec<u32>,
}

/// The place of what is not in a heap.
const NOWHERE: u32 = u32::MAX;

impl Soonest {
    fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    fn first(&self) -> Option<(Time, Number)> {
        self.heap.first().copied()
    }

    fn time(&self, number: Number) -> Option<Time> {
        self.place(number).map(|place| self.heap[place].0)
    }

    fn insert(&mut self, number: Number, at: Time, keys: &[Key]) {
        if self.places.len() <= number.index() {
            self.places.resize(number.index() + 1, NOWHERE);
        }
        self.heap.push((at, number));
        self.rise(self.heap.len() - 1, keys);
    }

    fn remove(&mut self, number: Number, keys: &[Key]) {
        let Some(place) = self.place(number) else { return };
        self.places[number.index()] = NOWHERE;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            let place = self.rise(place, keys);
            self.sink(place, keys);
        }
    }

    fn place(&self, number: Number) -> Option<usize> {
        self.places.get(number.index()).filter(|place| **place != NOWHERE).map(|place| *place as usize)
    }

    /// Moves what stands at a place towards the first until it is later than what is above it.
    fn rise(&mut self, mut place: usize, keys: &[Key]) -> usize {
        while place > 0 && self.is_sooner(place, (place - 1) / 2, keys) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        self.note(place);
        place
    }

    /// Moves what stands at a place away from the first until it is sooner than what is below it.
    fn sink(&mut self, mut place: usize, keys: &[Key]) {
        loop {
            let below = 2 * place + 1;
            if below >= self.heap.len() {
                return;
            }
            let right = below + 1 < self.heap.len() && self.is_sooner(below + 1, below, keys);
            let below = below + usize::from(right);
            if !self.is_sooner(below, place, keys) {
                return;
            }
            self.swap(place, below);
            self.note(below);
            place = below;
        }
    }

    fn is_sooner(&self, one: usize, other: usize, keys: &[Key]) -> bool {
        let ((one, by), (other, than)) = (self.heap[one], self.heap[other]);
        one < other || (one == other && keys[by.index()] < keys[than.index()])
    }

    /// Swaps two; only the first of the places is noted.
    fn swap(&mut self, moved: usize, other: usize) {
        self.heap.swap(moved, other);
        self.note(moved);
    }

    #[allow(clippy::cast_possible_truncation, reason = "there are no more than there are numbers")]
    fn note(&mut self, place: usize) {
        let (_, number) = self.heap[place];
        self.places[number.index()] = place as u32;
    }
}

/// When a wall deadline is due on the monotonic clock.
fn due_at(at: Timestamp, now: Now) -> Duration {
    let span = at.since(now.wall);
    now.monotonic.saturating_add(if planted!(66) { span / 8 * 7 } else { span })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;

    use proptest::prelude::*;

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
        timers.arm_in(RunNo(1), Due::Attempt(Seq(1)), seconds(5), now(30, 10));
        assert_eq!(timers.next(now(30, 10)), Some(seconds(15)));
    }

    #[derive(Debug, Clone)]
    enum Op {
        Deadline(u64, u32, u8),
        Span(u64, u32, u8),
        Disarm(u64, u32),
        DisarmSpan(u64, u32),
        Wall(i8),
        Wait(u8),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let (run, seq) = (|| 1..6_u64, || 1..4_u32);
        let op = prop_oneof![
            4 => (run(), seq(), 0..30_u8).prop_map(|(run, seq, at)| Op::Deadline(run, seq, at)),
            3 => (run(), seq(), 0..30_u8).prop_map(|(run, seq, at)| Op::Span(run, seq, at)),
            2 => (run(), seq()).prop_map(|(run, seq)| Op::Disarm(run, seq)),
            2 => (run(), seq()).prop_map(|(run, seq)| Op::DisarmSpan(run, seq)),
            1 => any::<i8>().prop_map(Op::Wall),
            3 => (0..8_u8).prop_map(Op::Wait),
        ];
        proptest::collection::vec(op, 0..200)
    }

    /// What is armed, in one list: when it is due by either clock.
    type Model = BTreeMap<Key, (Duration, Option<Timestamp>)>;

    fn due(model: &Model, now: Now) -> Option<Key> {
        let monotonic =
            model.iter().filter(|(_, (at, _))| *at <= now.monotonic).min_by_key(|(key, (at, _))| (*at, **key));
        let wall = model.iter().filter_map(|(key, (_, wall))| Some(((*wall)?, *key)));
        let wall = wall.filter(|(at, _)| *at <= now.wall).min();
        monotonic.map(|(key, _)| *key).or(wall.map(|(_, key)| key))
    }

    proptest! {
        #[test]
        fn what_is_due_comes_in_the_order_of_time(ops in ops()) {
            let (mut timers, mut model, mut spans) = (Timers::default(), Model::new(), BTreeMap::new());
            let mut now = Now { wall: Timestamp(1000), monotonic: Duration::from_micros(500) };
            for op in ops {
                match op {
                    Op::Deadline(run, seq, at) => {
                        let at = Timestamp(now.wall.0 + i64::from(at));
                        timers.arm_at(RunNo(run), Due::Timer(Seq(seq)), at, now);
                        model.insert((RunNo(run), Due::Timer(Seq(seq))), (now.monotonic + at.since(now.wall), Some(at)));
                    }
                    Op::Span(run, seq, span) => {
                        let (key, span) = ((RunNo(run), Due::Attempt(Seq(seq))), Duration::from_micros(span.into()));
                        if let Entry::Vacant(place) = model.entry(key) {
                            spans.insert(key, timers.arm_in(key.0, key.1, span, now));
                            place.insert((now.monotonic + span, None));
                        }
                    }
                    Op::Disarm(run, seq) => {
                        timers.disarm(RunNo(run), Due::Timer(Seq(seq)));
                        model.remove(&(RunNo(run), Due::Timer(Seq(seq))));
                    }
                    // Also one that was due already.
                    Op::DisarmSpan(run, seq) => {
                        let key = (RunNo(run), Due::Attempt(Seq(seq)));
                        if let Some(number) = spans.remove(&key) {
                            timers.disarm_in(key.0, key.1, number);
                            model.remove(&key);
                        }
                    }
                    Op::Wall(by) => now.wall.0 += i64::from(by),
                    Op::Wait(span) => {
                        now.wall.0 += i64::from(span);
                        now.monotonic += Duration::from_micros(span.into());
                    }
                }
                while let Some(key) = due(&model, now) {
                    prop_assert_eq!(timers.take_due(now), Some(key));
                    model.remove(&key);
                }
                prop_assert_eq!(timers.take_due(now), None);
                let soonest = model.values().map(|(at, wall)| {
                    wall.map_or(*at, |wall| (now.monotonic + wall.since(now.wall)).min(*at))
                });
                prop_assert_eq!(timers.next(now), soonest.min());
                prop_assert_eq!(timers.keys.len() - timers.free.len(), model.len());
            }
        }
    }

    #[test]
    fn a_timer_of_a_run_that_was_put_away_comes_when_it_would_have() {
        let seconds = Duration::from_secs;
        let now = |wall: i64, monotonic| Now { wall: Timestamp(wall * 1_000_000), monotonic: seconds(monotonic) };
        let mut timers = Timers::default();
        let arm = |timers: &mut Timers, run, seq, at: i64| {
            timers.arm_at(RunNo(run), Due::Timer(Seq(seq)), Timestamp(at * 1_000_000), now(0, 0));
        };
        (1..=3).for_each(|run| arm(&mut timers, run, 2, 10));
        arm(&mut timers, 2, 4, 20);
        (1..=5).for_each(|seq| timers.put_aside(RunNo(2), Seq(seq), now(0, 0)));
        arm(&mut timers, 2, 1, 10);
        arm(&mut timers, 2, 3, 10);
        assert_eq!((timers.next(now(5, 5)), timers.has_deadlines()), (Some(seconds(10)), true));
        assert_eq!(timers.take_due(now(9, 9)), None);
        let came: Vec<Key> = std::iter::from_fn(|| timers.take_due(now(10, 10))).collect();
        let key = |run, seq| (RunNo(run), Due::Timer(Seq(seq)));
        assert_eq!(came, [key(1, 2), key(2, 1), key(2, 2), key(2, 3), key(3, 2)], "in the order of their keys");
        assert_eq!(timers.next(now(10, 10)), Some(seconds(20)));
        assert_eq!((timers.next(now(15, 10)), timers.take_due(now(15, 10))), (Some(seconds(10)), None));
        assert_eq!(timers.next(now(15, 10)), Some(seconds(15)), "the wall clock was set forward");
        assert_eq!(timers.take_due(now(0, 20)), Some(key(2, 4)), "it was set back");
        assert_eq!((timers.next(now(0, 20)), timers.has_deadlines()), (None, false));
        arm(&mut timers, 1, 7, 30);
        timers.put_aside(RunNo(1), Seq(7), now(0, 20));
        timers.disarm(RunNo(1), Due::Timer(Seq(7)));
        assert_eq!((timers.next(now(0, 20)), timers.take_due(now(40, 40))), (None, None));
    }

    #[test]
    fn what_a_flood_of_timers_took_is_given_back() {
        let mut timers = Timers::default();
        let now = Now::default();
        for seq in 0..5000 {
            timers.arm_at(RunNo(1), Due::Timer(Seq(seq)), Timestamp(i64::from(seq)), now);
        }
        (0..5000).for_each(|seq| timers.disarm(RunNo(1), Due::Timer(Seq(seq))));
        assert_eq!((timers.keys.capacity(), timers.by_wall.heap.capacity(), timers.next(now)), (0, 0, None));
    }
}
