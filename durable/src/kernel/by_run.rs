//! A map by run. Runs are numbered in the order in which they begin, so that a sorted vector takes a new one at its end, and a run is found
//! where its number says if they are spread evenly between the first and the last, and else by doubling and halving steps from there. What is removed
//! leaves its place empty until a quarter as many places are empty as are full. A number below the highest that has no place any more waits in a
//! tree beside, and those there get their places together, when they are an eighth of all: no run is put in by moving a million others.

use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::ops::Index;

use super::id::RunNo;

/// So many empty places are kept however few are full.
const EMPTY_MIN: usize = 32;

/// So many may wait for a place however few there are.
const LATE_MIN: usize = 32;

/// A run's place, which may be empty. The number is in two halves, so that a small value stands behind it without a gap.
#[derive(Debug, Clone)]
struct Place<V> {
    low: u32,
    high: u32,
    value: Option<V>,
}

impl<V> Place<V> {
    #[allow(clippy::cast_possible_truncation, reason = "each half is taken")]
    fn new(RunNo(run): RunNo, value: V) -> Place<V> {
        Place { low: run as u32, high: (run >> 32) as u32, value: Some(value) }
    }

    fn run(&self) -> RunNo {
        RunNo(u64::from(self.low) | u64::from(self.high) << 32)
    }

    fn full(&self) -> Option<(RunNo, &V)> {
        Some((self.run(), self.value.as_ref()?))
    }
}

/// See the head of the file. It is ordered, and compares and prints, as a `BTreeMap` is.
#[derive(Clone)]
pub struct ByRun<V> {
    /// Sorted by number.
    places: Vec<Place<V>>,
    /// How many of them are full.
    full: usize,
    /// Those that wait for a place: none of them has one.
    late: BTreeMap<RunNo, V>,
}

impl<V> Default for ByRun<V> {
    fn default() -> Self {
        ByRun { places: Vec::new(), full: 0, late: BTreeMap::new() }
    }
}

impl<V> ByRun<V> {
    /// How many bytes a place takes.
    pub const PLACE_BYTES: usize = size_of::<Place<V>>();

    /// An empty one with room for so many runs.
    #[must_use]
    pub fn with_capacity(room: usize) -> ByRun<V> {
        ByRun { places: Vec::with_capacity(room), ..ByRun::default() }
    }

    /// How many runs are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.full + self.late.len()
    }

    /// Whether no run is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What there is of a run.
    #[must_use]
    pub fn get(&self, run: &RunNo) -> Option<&V> {
        match self.find(*run) {
            Ok(place) => self.places.get(place).and_then(|place| place.value.as_ref()),
            Err(_) => self.late.get(run),
        }
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, run: &RunNo) -> Option<&mut V> {
        match self.find(*run) {
            Ok(place) => self.places.get_mut(place).and_then(|place| place.value.as_mut()),
            Err(_) => self.late.get_mut(run),
        }
    }

    /// Whether a run is in it.
    #[must_use]
    pub fn contains_key(&self, run: &RunNo) -> bool {
        self.get(run).is_some()
    }

    /// Puts a run in; gives what there was of it.
    pub fn insert(&mut self, run: RunNo, value: V) -> Option<V> {
        // What waits for a place stays there, also where the places before it are gone.
        if let Some(waiting) = self.late.get_mut(&run) {
            return Some(std::mem::replace(waiting, value));
        }
        if self.places.last().is_none_or(|last| last.run() < run) {
            self.places.push(Place::new(run, value));
            self.full += 1;
            return None;
        }
        if let Ok(place) = self.find(run) {
            let before = self.places.get_mut(place).and_then(|place| place.value.replace(value));
            self.full += usize::from(before.is_none());
            return before;
        }
        self.late.insert(run, value);
        if self.late.len() > self.places.len() / 8 + LATE_MIN {
            self.place_all();
        }
        None
    }

    /// Gives their places to those that wait.
    fn place_all(&mut self) {
        if self.late.is_empty() {
            return;
        }
        let mut late = std::mem::take(&mut self.late).into_iter().map(|(run, value)| Place::new(run, value)).peekable();
        let mut all = Vec::with_capacity(self.full + late.len());
        for place in std::mem::take(&mut self.places).into_iter().filter(|place| place.value.is_some()) {
            while let Some(before) = late.next_if(|late| late.run() < place.run()) {
                all.push(before);
            }
            all.push(place);
        }
        all.extend(late);
        (self.full, self.places) = (all.len(), all);
    }

    /// Takes a run out.
    pub fn remove(&mut self, run: &RunNo) -> Option<V> {
        let Ok(place) = self.find(*run) else { return self.late.remove(run) };
        let removed = self.places.get_mut(place)?.value.take()?;
        self.full -= 1;
        if self.places.len() > self.full + self.full / 4 + EMPTY_MIN {
            self.places.retain(|place| place.value.is_some());
        }
        Some(removed)
    }

    /// All runs, by number.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, V> {
        Iter { places: self.places.iter(), late: self.late.iter() }
    }

    /// Their numbers.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = RunNo> {
        self.iter().map(|(run, _)| run)
    }

    /// What there is of them.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.place_all();
        self.places.iter_mut().filter_map(|place| place.value.as_mut())
    }

    /// The run of the highest number.
    #[must_use]
    pub fn last_key_value(&self) -> Option<(RunNo, &V)> {
        self.iter().next_back()
    }

    /// Where a run stands, or would.
    fn find(&self, run: RunNo) -> Result<usize, usize> {
        let Some(guess) = self.guess(run) else { return Err(0) };
        if self.places.get(guess).is_some_and(|place| place.run() == run) {
            return Ok(guess);
        }
        let (mut low, mut high) = (guess, guess + 1);
        let mut step = 1;
        // What stands at the guess, or a little before or behind it, most often is it.
        loop {
            let is_low = low == 0 || self.places.get(low).is_none_or(|place| place.run() <= run);
            let is_high = high >= self.places.len() || self.places.get(high).is_none_or(|place| place.run() > run);
            match (is_low, is_high) {
                (true, true) => break,
                (false, _) => (low, high) = (low.saturating_sub(step), low),
                (true, false) => (low, high) = (high, high.saturating_add(step).min(self.places.len())),
            }
            step *= 2;
        }
        let between = self.places.get(low..high).unwrap_or_default();
        match between.binary_search_by_key(&run, Place::run) {
            Ok(place) => Ok(low + place),
            Err(place) => Err(low + place),
        }
    }

    /// Where a run stands if all are spread evenly; none if there is no other, or all have higher numbers.
    fn guess(&self, run: RunNo) -> Option<usize> {
        let (RunNo(first), RunNo(last)) = (self.places.first()?.run(), self.places.last()?.run());
        let (from_first, most) = (run.0.checked_sub(first)?, self.places.len() - 1);
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

/// All runs, by number.
#[derive(Debug)]
pub struct Iter<'a, V> {
    places: std::slice::Iter<'a, Place<V>>,
    late: btree_map::Iter<'a, RunNo, V>,
}

impl<V> Clone for Iter<'_, V> {
    fn clone(&self) -> Self {
        Iter { places: self.places.clone(), late: self.late.clone() }
    }
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = (RunNo, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        while self.places.as_slice().first().is_some_and(|place| place.value.is_none()) {
            self.places.next();
        }
        let placed = self.places.as_slice().first().map(Place::run);
        let late = self.late.clone().next().map(|(run, _)| *run);
        match late {
            Some(late) if placed.is_none_or(|placed| late < placed) => {
                self.late.next().map(|(run, value)| (*run, value))
            }
            _ => self.places.next().and_then(Place::full),
        }
    }
}

impl<'a, V> DoubleEndedIterator for Iter<'a, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        while self.places.as_slice().last().is_some_and(|place| place.value.is_none()) {
            self.places.next_back();
        }
        let placed = self.places.as_slice().last().map(Place::run);
        let late = self.late.clone().next_back().map(|(run, _)| *run);
        match late {
            Some(late) if placed.is_none_or(|placed| late > placed) => {
                self.late.next_back().map(|(run, value)| (*run, value))
            }
            _ => self.places.next_back().and_then(Place::full),
        }
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

/// All runs, by number, taken out.
#[derive(Debug)]
pub struct IntoIter<V>(std::vec::IntoIter<Place<V>>);

impl<V> Iterator for IntoIter<V> {
    type Item = (RunNo, V);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.find_map(|place| Some((place.run(), place.value?)))
    }
}

impl<V> IntoIterator for ByRun<V> {
    type Item = (RunNo, V);
    type IntoIter = IntoIter<V>;

    fn into_iter(mut self) -> Self::IntoIter {
        self.place_all();
        IntoIter(self.places.into_iter())
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
        self.len() == other.len() && self.iter().eq(other.iter())
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
            3 => number().prop_map(Op::Insert),
            4 => number().prop_map(Op::Remove),
            1 => number().prop_map(Op::Change),
        ];
        proptest::collection::vec(op, 0..400)
    }

    fn by_value(model: &BTreeMap<RunNo, usize>) -> impl DoubleEndedIterator<Item = (RunNo, &usize)> {
        model.iter().map(|(run, value)| (*run, value))
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
            prop_assert!(map.iter().eq(by_value(&model)) && map.iter().rev().eq(by_value(&model).rev()));
            let (mut from_both, mut in_model) = (map.iter(), by_value(&model));
            while let Some(first) = from_both.next() {
                prop_assert_eq!((Some(first), from_both.next_back()), (in_model.next(), in_model.next_back()));
            }
            prop_assert!(map.clone().into_iter().eq(model.clone()) && map.clone().values_mut().eq(model.clone().values_mut()));
            prop_assert_eq!(map.last_key_value(), by_value(&model).next_back());
            for run in (0..220).chain([u64::MAX]).map(RunNo) {
                prop_assert_eq!(map.get(&run), model.get(&run));
            }
            let again: ByRun<usize> = model.clone().into_iter().collect();
            prop_assert_eq!(map, again);
        }
    }

    #[test]
    fn what_comes_late_is_given_its_place_together_with_others() {
        let mut map: ByRun<u64> = (0..8_000).map(|run| (RunNo(2 * run), run)).collect();
        let late_max = map.len() / 8 + LATE_MIN;
        let mut most = 0;
        // The last first: none has a place, and each would be put in before all others.
        for run in (0..8_000).rev() {
            assert_eq!(map.insert(RunNo(2 * run + 1), run), None);
            most = most.max(map.late.len());
        }
        assert!(most > 500 && most <= 2 * late_max, "{most} waited at once");
        assert!((0..16_000).all(|run| map.get(&RunNo(run)) == Some(&(run / 2))));
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
