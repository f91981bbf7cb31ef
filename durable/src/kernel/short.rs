//! A list that holds one thing or nothing most of the time, and then takes no memory but its own: what one run waits for, of which there
//! may be a million. It is a slice like any other list, and its order is that of a vector.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// See the head of the file. Once it has held two it stays a vector, so that what goes up and down keeps its room.
#[derive(Clone)]
pub struct Short<T>(Held<T>);

#[derive(Clone)]
enum Held<T> {
    One(Option<T>),
    #[allow(clippy::box_collection, reason = "a pointer is small enough to stand where the one thing stands")]
    More(Box<Vec<T>>),
}

impl<T> Short<T> {
    /// The empty list.
    pub const NOTHING: Short<T> = Short(Held::One(None));

    /// The empty list, with room for so many.
    #[must_use]
    pub fn with_capacity(room: usize) -> Short<T> {
        if room > 1 { Short(Held::More(Box::new(Vec::with_capacity(room)))) } else { Short::NOTHING }
    }

    /// Puts one behind all others.
    pub fn push(&mut self, value: T) {
        match &mut self.0 {
            Held::One(one) if one.is_none() => *one = Some(value),
            Held::One(_) => self.insert(1, value),
            Held::More(more) => more.push(value),
        }
    }

    /// Puts one in at a place.
    ///
    /// # Panics
    /// If the list does not reach to that place.
    pub fn insert(&mut self, place: usize, value: T) {
        match &mut self.0 {
            Held::One(one) if one.is_none() => {
                assert!(place == 0, "because the list is empty");
                *one = Some(value);
            }
            Held::One(one) => {
                // As much room as a vector takes at first.
                let mut more = Vec::with_capacity(4);
                more.extend(one.take());
                more.insert(place, value);
                self.0 = Held::More(Box::new(more));
            }
            Held::More(more) => more.insert(place, value),
        }
    }

    /// Takes out what stands at a place.
    ///
    /// # Panics
    /// If nothing stands there.
    pub fn remove(&mut self, place: usize) -> T {
        match &mut self.0 {
            Held::One(one) => one.take().filter(|_| place == 0).expect("the place is in the list"),
            Held::More(more) => more.remove(place),
        }
    }

    /// Forgets what stands behind the first `len`.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.0 {
            Held::One(one) if len == 0 => *one = None,
            Held::One(_) => {}
            Held::More(more) => more.truncate(len),
        }
    }

    /// Keeps what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        match &mut self.0 {
            Held::One(one) => drop(one.take_if(|one| !keep(one))),
            Held::More(more) => more.retain(keep),
        }
    }
}

impl<T> Default for Short<T> {
    fn default() -> Self {
        Short::NOTHING
    }
}

impl<T> Deref for Short<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::One(one) => one.as_slice(),
            Held::More(more) => more,
        }
    }
}

impl<T> DerefMut for Short<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Held::One(one) => one.as_mut_slice(),
            Held::More(more) => more,
        }
    }
}

impl<T> From<Vec<T>> for Short<T> {
    fn from(mut list: Vec<T>) -> Self {
        if list.len() > 1 { Short(Held::More(Box::new(list))) } else { Short(Held::One(list.pop())) }
    }
}

impl<T> FromIterator<T> for Short<T> {
    fn from_iter<I: IntoIterator<Item = T>>(list: I) -> Self {
        list.into_iter().collect::<Vec<T>>().into()
    }
}

/// What was in a list, from both ends.
#[derive(Debug)]
pub struct IntoIter<T>(Left<T>);

#[derive(Debug)]
enum Left<T> {
    One(Option<T>),
    More(std::vec::IntoIter<T>),
}

impl<T> IntoIter<T> {
    /// What comes next.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        match &self.0 {
            Left::One(one) => one.as_ref(),
            Left::More(more) => more.as_slice().first(),
        }
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Left::One(one) => one.take(),
            Left::More(more) => more.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Left::One(one) => one.iter().size_hint(),
            Left::More(more) => more.size_hint(),
        }
    }
}

impl<T> DoubleEndedIterator for IntoIter<T> {
    fn next_back(&mut self) -> Option<T> {
        match &mut self.0 {
            Left::One(one) => one.take(),
            Left::More(more) => more.next_back(),
        }
    }
}

impl<T> IntoIterator for Short<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        match self.0 {
            Held::One(one) => IntoIter(Left::One(one)),
            Held::More(more) => IntoIter(Left::More(more.into_iter())),
        }
    }
}

impl<'a, T> IntoIterator for &'a Short<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut Short<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<T: PartialEq> PartialEq for Short<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Eq> Eq for Short<T> {}

impl<T: fmt::Debug> fmt::Debug for Short<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_same_list_as_a_vector() {
        let (mut list, mut model) = (Short::default(), Vec::new());
        let mut state = 1_u32;
        for round in 0..4000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = (state >> 16) as usize % (model.len() + 1);
            match state >> 8 & 7 {
                0 => {
                    list.retain(|n| n % 3 != 0);
                    model.retain(|n| n % 3 != 0);
                }
                1..=3 if place < model.len() => assert_eq!(list.remove(place), model.remove(place)),
                4 => {
                    list.push(round);
                    model.push(round);
                }
                6 if place < 3 => {
                    list.truncate(place);
                    model.truncate(place);
                }
                // What is copied has no more room than it needs: so does the next round begin with one thing or none.
                5 => list = model.clone().into(),
                _ => {
                    list.insert(place, round);
                    model.insert(place, round);
                }
            }
            model.iter_mut().chain(list.iter_mut()).for_each(|n| *n ^= 1);
            assert_eq!(*list, *model);
            assert_eq!(list, model.iter().copied().collect());
            assert!(list.clone().into_iter().eq(model.iter().copied()));
            assert!(list.clone().into_iter().rev().eq(model.iter().rev().copied()));
        }
    }

    #[test]
    fn it_takes_no_more_than_the_one_thing_in_it() {
        assert_eq!(size_of::<Short<[u64; 8]>>(), 9 * size_of::<u64>());
        assert_eq!(size_of::<Short<u64>>(), 2 * size_of::<u64>());
    }
}
