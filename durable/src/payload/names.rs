//! The names that a value's shape is made of, spelled out: a set, in the order of its bytes. All of them stand in one piece, since most
//! values have one name or none and what is hashed is then there already.

use std::ops::Range;

/// What is hashed in front of the names.
const SHAPE: u8 = b's';

/// More room for text is not kept for the next value.
const KEPT_MAX: usize = 4 << 10;

/// The same, for how many names there are.
const KEPT_NAMES_MAX: usize = 256;

/// See the head of the file.
#[derive(Default)]
pub(super) struct Names {
    /// `SHAPE`, then each name where it was met first.
    spelled: Vec<u8>,
    /// Where they stand, sorted by what stands there.
    sorted: Vec<Range<usize>>,
}

impl Names {
    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.spelled.clear();
        self.spelled.push(SHAPE);
        self.sorted.clear();
    }

    /// Adds a name, if it is new.
    pub(super) fn spell(&mut self, spell: impl FnOnce(&mut Vec<u8>)) {
        let start = self.spelled.len();
        spell(&mut self.spelled);
        let name = |place: &Range<usize>| self.spelled.get(place.clone()).unwrap_or_default();
        let new = start..self.spelled.len();
        match self.sorted.binary_search_by(|known| name(known).cmp(name(&new))) {
            Ok(_) => self.spelled.truncate(start),
            Err(place) => self.sorted.insert(place, new),
        }
    }

    /// What is hashed: all names in their order. `room` is where they are put together if they do not stand so.
    pub(super) fn hashed<'a>(&'a self, room: &'a mut Vec<u8>) -> &'a [u8] {
        if self.sorted.is_sorted_by_key(|place| place.start) {
            return &self.spelled;
        }
        room.clear();
        room.push(SHAPE);
        self.sorted
            .iter()
            .filter_map(|place| self.spelled.get(place.clone()))
            .for_each(|name| room.extend_from_slice(name));
        room
    }

    /// Whether it takes little enough to be kept.
    pub(super) fn is_small(&self) -> bool {
        self.spelled.capacity() <= KEPT_MAX && self.sorted.capacity() <= KEPT_NAMES_MAX
    }
}
