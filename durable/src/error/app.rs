//! The error that takes every other: for workflows and activities that do not tell their callers which one it was.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

use super::failure::Failure;

/// A result whose error takes everything by `?`. The caller sees a [`Failure`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, taken by `?`. Where it ends a workflow or an activity, its caller sees a [`Failure`].
///
/// It is not an [`std::error::Error`] itself, only dereferences to one: else it could not take all others.
pub struct Error {
    error: Box<dyn StdError + Send + Sync>,
    type_name: &'static str,
}

impl Error {
    /// The error as a box.
    #[must_use]
    pub fn into_boxed(self) -> Box<dyn StdError + Send + Sync> {
        self.error
    }

    pub(crate) fn failure(&self) -> Failure {
        Failure::of(&*self.error, self.type_name)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Error {
    fn from(error: E) -> Self {
        Error { error: error.into(), type_name: std::any::type_name::<E>() }
    }
}

impl Deref for Error {
    type Target = dyn StdError + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure().fmt(f)
    }
}
