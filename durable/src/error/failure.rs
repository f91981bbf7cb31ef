//! An error whose type is not recorded: its message and its causes, as data.

use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::TEXT_LEN_MAX;
use super::hint::{Fatal, Mark};
use crate::kernel::event::Text;

/// More causes than this are not kept.
const CAUSES_MAX: usize = 16;

/// What comes back of an error whose own type is not recorded (`anyhow::Error`, `Box<dyn Error + Send + Sync>`,
/// `String`, [`durable::Error`](crate::Error)): its message, its type's name, its causes.
///
/// Messages are cut to 4 KiB each, and no more than sixteen causes are kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    message: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    type_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<Box<Failure>>,
}

impl Failure {
    /// A failure with this message and no cause.
    #[must_use]
    pub fn new(message: impl AsRef<str>) -> Failure {
        Failure { message: cut(message.as_ref()), type_name: String::new(), source: None }
    }

    /// What the error said.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The name of the error's type, as the compiler that built it spells it; "" where it could not be had.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The failure with all that `error` and its causes say.
    pub(crate) fn of(error: &(dyn StdError + 'static), type_name: &str) -> Failure {
        Failure::with_causes(error, type_name, CAUSES_MAX)
    }

    fn with_causes(error: &(dyn StdError + 'static), type_name: &str, causes_max: usize) -> Failure {
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return failure.clone();
        }
        let type_name = error.downcast_ref::<Fatal>().map_or(type_name, Fatal::type_name);
        let cause = error.source().and_then(unmarked).filter(|_| causes_max > 0);
        let source = cause.map(|cause| Box::new(Failure::with_causes(cause, "", causes_max - 1)));
        Failure { message: cut(&error.to_string()), type_name: cut(type_name), source }
    }
}

/// The cause, or what stands behind it where it only marks the error as final.
fn unmarked<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    if cause.is::<Mark>() { cause.source() } else { Some(cause) }
}

fn cut(text: &str) -> String {
    Text::cut(text, TEXT_LEN_MAX).as_str().to_owned()
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause = self.source.as_deref();
        while let Some(failure) = cause {
            write!(f, ": {}", failure.message)?;
            cause = failure.source.as_deref();
        }
        Ok(())
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|cause| cause as &(dyn StdError + 'static))
    }
}

/// What becomes a [`Failure`] when it is recorded.
pub trait IntoFailure {
    /// The failure, and what was said about trying again.
    fn into_failure(self) -> (Failure, super::RetryHint);
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> IntoFailure for E {
    fn into_failure(self) -> (Failure, super::RetryHint) {
        super::Error::from(self).into_failure()
    }
}

impl IntoFailure for super::Error {
    fn into_failure(self) -> (Failure, super::RetryHint) {
        (self.failure(), super::hint::of_chain(&*self))
    }
}
