//! Which number a key has, where the keys stand by number elsewhere: four bytes for each, and a little room. Whoever asks says how a
//! number's key is hashed and which is meant. It has no order, and nobody sees that it has none: it only finds.

/// Sorts a number in where its hash says, or behind, so that what is looked for stands in front of the first empty place.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    /// A power of two of them, or none.
    places: Vec<u32>,
    full: usize,
}

/// The place of no number.
const EMPTY: u32 = u32::MAX;

/// How many places there are at first.
const PLACES_MIN: usize = 8;

impl Numbered {
    pub(super) fn is_empty(&self) -> bool {
        self.full == 0
    }

    /// Room for so many.
    pub(super) fn with_room_for(count: usize) -> Numbered {
        let places = (count + count / 4 + 1).next_power_of_two().max(PLACES_MIN);
        Numbered { places: vec![EMPTY; places], full: 0 }
    }

    /// Puts in a number, whose key is in no other.
    pub(super) fn insert(&mut self, number: u32, hash: impl Fn(u32) -> u64) {
        // A fifth of the places stays empty.
        if self.full + self.full / 4 + 1 >= self.places.len() {
            let mut more = Numbered::with_room_for(2 * self.full);
            self.places.iter().filter(|number| **number != EMPTY).for_each(|number| more.put(*number, hash(*number)));
            *self = more;
        }
        self.put(number, hash(number));
    }

    fn put(&mut self, number: u32, hash: u64) {
        let mut place = self.home(hash);
        while self.places[place] != EMPTY {
            place = self.next(place);
        }
        self.places[place] = number;
        self.full += 1;
    }

    /// Takes out the number that is meant, if it is there.
    pub(super) fn remove(
        &mut self,
        key: u64,
        is_meant: impl Fn(u32) -> bool,
        hash: impl Fn(u32) -> u64,
    ) -> Option<u32> {
        let mut place = self.find(key, is_meant)?;
        let removed = self.places[place];
        self.full -= 1;
        // What stands behind moves up, as long as it is not where its hash says, or behind the gap anyway.
        let mut behind = self.next(place);
        while self.places[behind] != EMPTY {
            let home = self.home(hash(self.places[behind]));
            if self.distance(home, behind) >= self.distance(place, behind) {
                self.places[place] = self.places[behind];
                place = behind;
            }
            behind = self.next(behind);
        }
        self.places[place] = EMPTY;
        Some(removed)
    }

    fn find(&self, key: u64, is_meant: impl Fn(u32) -> bool) -> Option<usize> {
        if self.is_empty() {
            return None;
        }
        let mut place = self.home(key);
        while self.places[place] != EMPTY {
            if is_meant(self.places[place]) {
                return Some(place);
            }
            place = self.next(place);
        }
        None
    }

    #[allow(clippy::cast_possible_truncation, reason = "what is left of the hash is below the number of places")]
    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.places.len() - 1)
    }

    fn next(&self, place: usize) -> usize {
        (place + 1) & (self.places.len() - 1)
    }

    /// How many places one is behind another.
    fn distance(&self, from: usize, to: usize) -> usize {
        to.wrapping_sub(from) & (self.places.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_finds_what_is_in_it_and_nothing_else(ops in proptest::collection::vec((any::<bool>(), 0..60_u32), 0..400)) {
            // Hashes that fall together, at the end of the places too.
            let hash = |number: u32| u64::from(number / 7).wrapping_mul(u64::MAX / 5);
            let (mut numbered, mut model) = (Numbered::default(), BTreeSet::new());
            for (is_insert, number) in ops {
                if is_insert && model.insert(number) {
                    numbered.insert(number, hash);
                } else if !is_insert {
                    let removed = numbered.remove(hash(number), |met| met == number, hash);
                    prop_assert_eq!(removed.is_some(), model.remove(&number));
                }
                prop_assert_eq!(numbered.is_empty(), model.is_empty());
                for number in 0..60 {
                    let found = numbered.find(hash(number), |met| met == number);
                    prop_assert_eq!(found.map(|place| numbered.places[place]), model.get(&number).copied());
                }
            }
        }
    }
}
