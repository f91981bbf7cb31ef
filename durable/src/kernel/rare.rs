//! A part of a run that few runs have: nothing but a pointer until it is changed for the first time. There may be a million runs in
//! memory, and most of them have no scope and nothing to undo.

use std::ops::{Deref, DerefMut};

/// See the head of the file. It reads as its empty value until it is written to, and equals it.
#[derive(Debug, Clone)]
pub struct Rare<T>(Option<Box<T>>);

/// What has an empty value that all share.
pub trait Empty: Default + 'static {
    /// That value.
    fn empty() -> &'static Self;
}

impl<T> Rare<T> {
    /// Nothing but its empty value.
    pub const NOTHING: Rare<T> = Rare(None);

    /// Whether it was never written to.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.0.is_none()
    }

    /// What there is to change without making anything: none as long as it was never written to.
    pub fn written(&mut self) -> Option<&mut T> {
        self.0.as_deref_mut()
    }
}

impl<T: Default> Rare<T> {
    /// The value itself.
    #[must_use]
    pub fn take(self) -> T {
        self.0.map(|value| *value).unwrap_or_default()
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare::NOTHING
    }
}

impl<T: Empty> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or_else(|| T::empty())
    }
}

impl<T: Empty> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_default()
    }
}

impl<T: Empty + PartialEq> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        if value == *T::empty() { Rare(None) } else { Rare(Some(Box::new(value))) }
    }
}

impl<T: Empty + PartialEq> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Empty + Eq> Eq for Rare<T> {}

impl<T> IntoIterator for Rare<Vec<T>> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.take().into_iter()
    }
}

/// A list is a rare part as it is.
impl<T: 'static> Empty for Vec<T> {
    fn empty() -> &'static Vec<T> {
        const { &Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_its_empty_value_until_it_is_written_to() {
        let mut rare = Rare::<Vec<u8>>::default();
        assert!(rare.is_empty() && rare.written().is_none(), "reading takes no memory");
        let nothing = rare.clone();
        rare.push(1);
        assert_ne!(rare, nothing);
        rare.written().unwrap().clear();
        assert_eq!(rare, nothing, "however it came to be empty");
        assert!(Rare::from(Vec::<u8>::new()).written().is_none());
        assert_eq!(*Rare::from(vec![2]), [2]);
    }
}
