//! A map by run. Runs are numbered in the order in which they begin, so that a sorted vector takes a new one at its end, and a run is found
//! where its number says if they are spread evenly between the first and the last, and else by doubling and halving steps from there. What is removed
//! leaves its place empty until a quarter as many places are empty as are full. It is never unordered, and it is not for runs that come and go in
//! any order: a number below the highest is put in by moving those above it.

use std::fmt;
use std::ops::Index;

use super::id::RunNo;

/// So many empty places are kept however few are full.
const EMPTY_MIN: usize = 32;

/// A run's place, which may be empty.
type Place<V> = (RunNo, Option<V>);

/// See the head of the file. It is ordered, and compares and prints, as a `BTreeMap` is.
#[derive(Clone)]
pub struct ByRun<V> {
    /// Sorted by number.
    places: Vec<Place<V>>,
    full: usize,
}

impl<V> Default for ByRun<V> {
    fn default() -> Self {
        ByRun { places: Vec::new(), full: 0 }
    }
}

impl<V> ByRun<V> {
    /// An empty one with room for so many runs.
    #[must_use]
    pub fn with_capacity(room: usize) -> ByRun<V> {
        ByRun { places: Vec::with_capacity(room), full: 0 }
    }

    /// How many runs are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full
    }

    /// Whether no run is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.full == 0
    }

    /// What there is of a run.
    #[must_use]
    pub fn get(&self, run: &RunNo) -> Option<&V> {
        self.places.get(self.find(*run).ok()?).and_then(|(_, value)| value.as_ref())
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, run: &RunNo) -> Option<&mut V> {
        let place = self.find(*run).ok()?;
        self.places.get_mut(place).and_then(|(_, value)| value.as_mut())
    }

    /// Whether a run is in it.
    #[must_use]
    pub fn contains_key(&self, run: &RunNo) -> bool {
        self.get(run).is_some()
    }

    /// Puts a run in; gives what there was of it. One whose number is not the highest takes time by the number of those above it.
    pub fn insert(&mut self, run: RunNo, value: V) -> Option<V> {
        if self.places.last().is_none_or(|(last, _)| *last < run) {
            self.places.push((run, Some(value)));
            self.full += 1;
            return None;
        }
        let before = match self.find(run) {
            Ok(place) => self.places.get_mut(place).and_then(|(_, old)| old.replace(value)),
            Err(place) => {
                self.places.insert(place, (run, Some(value)));
                None
            }
        };
        self.full += usize::from(before.is_none());
        before
    }

    /// Takes a run out.
    pub fn remove(&mut self, run: &RunNo) -> Option<V> {
        let place = self.find(*run).ok()?;
        let (_, value) = self.places.get_mut(place)?;
        let removed = value.take()?;
        self.full -= 1;
        if self.places.len() > self.full + self.full / 4 + EMPTY_MIN {
            self.places.retain(|(_, value)| value.is_some());
        }
        Some(removed)
    }

    /// All runs, by number.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&RunNo, &V)> + Clone {
        self.places.iter().filter_map(|(run, value)| Some((run, value.as_ref()?)))
    }

    /// Their numbers.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &RunNo> {
        self.iter().map(|(run, _)| run)
    }

    /// What there is of them.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.places.iter_mut().filter_map(|(_, value)| value.as_mut())
    }

    /// The run of the highest number.
    #[must_use]
    pub fn last_key_value(&self) -> Option<(&RunNo, &V)> {
        self.iter().next_back()
    }

    /// Where a run stands, or would.
    fn find(&self, run: RunNo) -> Result<usize, usize> {
        let Some(guess) = self.guess(run) else { return Err(0) };
        if self.places.get(guess).is_some_and(|(at, _)| *at == run) {
            return Ok(guess);
        }
        let (mut low, mut high) = (guess, guess + 1);
        let mut step = 1;
        // What stands at the guess, or a little before or behind it, most often is it.
        loop {
            let is_low = low == 0 || self.places.get(low).is_none_or(|(at, _)| *at <= run);
            let is_high = high >= self.places.len() || self.places.get(high).is_none_or(|(at, _)| *at > run);
            match (is_low, is_high) {
                (true, true) => break,
                (false, _) => (low, high) = (low.saturating_sub(step), low),
                (true, false) => (low, high) = (high, high.saturating_add(step).min(self.places.len())),
            }
            step *= 2;
        }
        let between = self.places.get(low..high).unwrap_or_default();
        match between.binary_search_by_key(&run, |(at, _)| *at) {
            Ok(place) => Ok(low + place),
            Err(place) => Err(low + place),
        }
    }

    /// Where a run stands if all are spread evenly; none if there is no other, or all have higher numbers.
    fn guess(&self, run: RunNo) -> Option<usize> {
        let ((RunNo(first), _), (RunNo(last), _)) = (self.places.first()?, self.places.last()?);
        let (from_first, most) = (run.0.checked_sub(*first)?, self.places.len() - 1);
        let span = last - first;
        let guess = if span == most as u64 {
            from_first
        } else {
            // Where numbers are so far apart that this overflows, a guess is not worth more.
            from_first.saturating_mul(most as u64) / span
        };
        Some(usize::try_from(guess).unwrap_or(usize::MAX).min(most))
    }
}

impl<V> Index<&RunNo> for ByRun<V> {
    type Output = V;

    /// # Panics
    /// If the run is not in it.
    fn index(&self, run: &RunNo) -> &V {
        self.get(run).expect("the run is in the map")
    }
}

impl<V> IntoIterator for ByRun<V> {
    type Item = (RunNo, V);
    type IntoIter = std::iter::FilterMap<std::vec::IntoIter<Place<V>>, fn(Place<V>) -> Option<(RunNo, V)>>;

    fn into_iter(self) -> Self::IntoIter {
        self.places.into_iter().filter_map(|(run, value)| Some((run, value?)))
    }
}

impl<V> Extend<(RunNo, V)> for ByRun<V> {
    fn extend<I: IntoIterator<Item = (RunNo, V)>>(&mut self, runs: I) {
        runs.into_iter().for_each(|(run, value)| drop(self.insert(run, value)));
    }
}

impl<V> FromIterator<(RunNo, V)> for ByRun<V> {
    fn from_iter<I: IntoIterator<Item = (RunNo, V)>>(runs: I) -> Self {
        let runs = runs.into_iter();
        let mut map = ByRun::with_capacity(runs.size_hint().0);
        map.extend(runs);
        map
    }
}

impl<V: PartialEq> PartialEq for ByRun<V> {
    fn eq(&self, other: &Self) -> bool {
        self.full == other.full && self.iter().eq(other.iter())
    }
}

impl<V: Eq> Eq for ByRun<V> {}

impl<V: fmt::Debug> fmt::Debug for ByRun<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Op {
        Begin,
        Insert(u64),
        Remove(u64),
        Change(u64),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let number = || prop_oneof![0_u64..200, Just(u64::MAX)];
        let op = prop_oneof![
            4 => Just(Op::Begin),
            1 => number().prop_map(Op::Insert),
            4 => number().prop_map(Op::Remove),
            1 => number().prop_map(Op::Change),
        ];
        proptest::collection::vec(op, 0..400)
    }

    proptest! {
        #[test]
        fn it_is_an_ordered_map(ops in ops()) {
            let (mut map, mut model) = (ByRun::default(), BTreeMap::new());
            let mut next = 1;
            for (value, op) in ops.into_iter().enumerate() {
                match op {
                    Op::Begin => {
                        prop_assert_eq!(map.insert(RunNo(next), value), model.insert(RunNo(next), value));
                        next += 1;
                    }
                    Op::Insert(run) => prop_assert_eq!(map.insert(RunNo(run), value), model.insert(RunNo(run), value)),
                    Op::Remove(run) => prop_assert_eq!(map.remove(&RunNo(run)), model.remove(&RunNo(run))),
                    Op::Change(run) => {
                        prop_assert_eq!(map.contains_key(&RunNo(run)), model.contains_key(&RunNo(run)));
                        map.get_mut(&RunNo(run)).into_iter().for_each(|there| *there = value);
                        model.get_mut(&RunNo(run)).into_iter().for_each(|there| *there = value);
                    }
                }
                prop_assert_eq!(map.len(), model.len());
            }
            prop_assert!(map.iter().eq(model.iter()));
            prop_assert_eq!(map.last_key_value(), model.last_key_value());
            for run in (0..220).chain([u64::MAX]).map(RunNo) {
                prop_assert_eq!(map.get(&run), model.get(&run));
            }
            let again: ByRun<usize> = model.into_iter().collect();
            prop_assert_eq!(map, again);
        }
    }

    #[test]
    fn what_is_removed_takes_no_room_for_long() {
        let mut map = ByRun::default();
        for run in 0..10_000 {
            map.insert(RunNo(run), ());
            if run >= 10 {
                map.remove(&RunNo(run - 10));
            }
        }
        assert!(map.places.len() <= map.len() + map.len() / 4 + EMPTY_MIN + 1, "{} places", map.places.len());
    }
}
