//! A part of a run that few runs have: nothing but a pointer until it is changed for the first time. There may be a million runs in
//! memory, and most of them have no scope and nothing to undo.

use std::ops::{Deref, DerefMut};

/// See the head of the file. It reads as its empty value until it is written to.
#[derive(Debug)]
pub(super) struct Rare<T>(Option<Box<T>>);

/// What has an empty value that all share.
pub(super) trait Empty: Default + 'static {
    /// That value.
    fn empty() -> &'static Self;
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Rare(None)
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
