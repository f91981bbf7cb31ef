//! What many things have in common, once in memory: those that are equal to one that was met lately share it. There may be a million
//! runs of one workflow. It holds few, and one that it has forgotten is only made again: it never changes what anything is.

use std::sync::Arc;

/// So many are held. They are looked through one by one.
const HELD_MAX: usize = 16;

/// See the head of the file.
#[derive(Debug, Clone)]
pub struct Alike<T>(Vec<Arc<T>>);

impl<T> Alike<T> {
    /// The one that is meant, which is made if it was not met lately.
    pub fn find(&mut self, is_meant: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
        let place = self.0.iter().position(|held| is_meant(held));
        self.meet(place, make)
    }

    fn meet(&mut self, place: Option<usize>, make: impl FnOnce() -> T) -> Arc<T> {
        match place {
            // What was met last stands first: it is met again most often.
            Some(place) => self.0[..=place].rotate_right(1),
            None => {
                self.0.truncate(HELD_MAX - 1);
                self.0.insert(0, Arc::new(make()));
            }
        }
        Arc::clone(&self.0[0])
    }
}

impl<T: PartialEq> Alike<T> {
    /// The same value, shared with those that are equal.
    pub fn share(&mut self, value: T) -> Arc<T> {
        let place = self.0.iter().position(|held| **held == value);
        self.meet(place, || value)
    }
}

impl<T> Default for Alike<T> {
    fn default() -> Self {
        Alike(Vec::new())
    }
}

/// What it holds makes no difference to anyone.
impl<T> PartialEq for Alike<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T> Eq for Alike<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_is_one_and_what_was_not_met_lately_is_forgotten() {
        let mut alike = Alike::default();
        let first = alike.share("a".to_owned());
        assert!(Arc::ptr_eq(&first, &alike.share("a".to_owned())));
        for number in 0..HELD_MAX - 1 {
            alike.share(number.to_string());
        }
        let found = alike.find(|held| held == "a", || unreachable!("because it is held"));
        assert!(Arc::ptr_eq(&first, &found), "as long as there are no more");
        for number in 0..HELD_MAX {
            alike.share(format!("another {number}"));
        }
        assert!(!Arc::ptr_eq(&first, &alike.share("a".to_owned())) && alike.0.len() == HELD_MAX);
    }
}
