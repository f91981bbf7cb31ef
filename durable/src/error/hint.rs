//! What an error says about trying again. The default is yes: only what is said to be final is not retried.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What an error says about the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetryHint {
    /// Try again as the policy says.
    #[default]
    Yes,
    /// It is final.
    Never,
    /// Try again, not before this has passed.
    After(Duration),
}

/// An error that says whether another attempt makes sense. `derive(durable::Retryable)` writes it:
///
/// - `#[retry(never)]` on a variant, or on the whole type: it is final;
/// - `#[retry(after = "5s")]`, or `#[retry(after = wait)]` with an expression over the variant's fields, which are in
///   scope by reference under their names (`_0`, `_1`, .. for those without): not before then;
/// - `#[retry(transparent)]` on a variant with one field: what that field says.
///
/// Everything else is retried. Activities find the impl by themselves, where the error type is not generic.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say when it is retried",
    label = "not `Retryable`",
    note = "add `#[derive(durable::Retryable)]` and mark what is final with `#[retry(never)]`"
)]
pub trait Retryable {
    /// What it says.
    fn retry(&self) -> RetryHint;
}

impl Retryable for super::Failure {
    fn retry(&self) -> RetryHint {
        RetryHint::Yes
    }
}

impl Retryable for std::convert::Infallible {
    fn retry(&self) -> RetryHint {
        match *self {}
    }
}

/// A field that tells how long to wait, in `#[retry(after = ..)]`.
pub trait RetryDelay {
    /// What it says.
    fn hint(&self) -> RetryHint;
}

impl RetryDelay for Duration {
    fn hint(&self) -> RetryHint {
        RetryHint::After(*self)
    }
}

impl<D: RetryDelay> RetryDelay for Option<D> {
    fn hint(&self) -> RetryHint {
        self.as_ref().map_or(RetryHint::Yes, RetryDelay::hint)
    }
}

impl<D: RetryDelay + ?Sized> RetryDelay for &D {
    fn hint(&self) -> RetryHint {
        (**self).hint()
    }
}

/// Marks an error as final: the activity that returns it is not tried again.
///
/// # Examples
/// ```
/// fn check(amount: i64) -> durable::Result<()> {
///     if amount < 0 {
///         return Err(durable::fatal("a negative amount").into());
///     }
///     Ok(())
/// }
/// # assert!(check(-1).is_err());
/// ```
pub fn fatal<E: Into<Box<dyn StdError + Send + Sync>>>(error: E) -> Fatal {
    Fatal { mark: Mark { error: error.into() }, type_name: std::any::type_name::<E>() }
}

/// A final error, made by [`fatal`]. It says what the error says that it was made of.
pub struct Fatal {
    mark: Mark,
    type_name: &'static str,
}

impl Fatal {
    pub(super) fn type_name(&self) -> &str {
        self.type_name
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mark.error.fmt(f)
    }
}

impl fmt::Debug for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mark.error.fmt(f)
    }
}

impl StdError for Fatal {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.mark)
    }
}

/// Stands among the causes of a final error, because a wrapper hides the error's own type, but not its causes.
pub(super) struct Mark {
    error: Box<dyn StdError + Send + Sync>,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this is final, it is not tried again")
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Mark {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// What an error, or one of its causes, says.
pub(super) fn of_chain(error: &(dyn StdError + Send + Sync + 'static)) -> RetryHint {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if cause.is::<Mark>() {
            return RetryHint::Never;
        }
        next = cause.source();
    }
    RetryHint::Yes
}

#[cfg(test)]
mod tests {
    use super::super::failure::IntoFailure;
    use super::*;

    #[derive(Debug)]
    struct Outer(std::io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    fn outer() -> Outer {
        Outer(std::io::Error::other("inner"))
    }

    #[test]
    fn what_is_not_said_to_be_final_is_retried() {
        let (failure, hint) = outer().into_failure();
        assert_eq!(hint, RetryHint::Yes);
        assert_eq!(format!("{failure:?}"), "outer: inner");
    }

    #[test]
    fn a_final_error_is_found_and_its_mark_is_not_told() {
        let (failure, hint) = fatal(outer()).into_failure();
        assert_eq!(hint, RetryHint::Never);
        assert_eq!(format!("{failure:?}"), "outer: inner");
        assert!(failure.type_name().ends_with("Outer"), "{}", failure.type_name());
    }

    #[test]
    fn a_final_error_is_found_behind_a_box_and_behind_the_crates_error() {
        let boxed: Box<dyn StdError + Send + Sync> = fatal("no").into();
        assert_eq!(boxed.into_failure().1, RetryHint::Never);
        assert_eq!(super::super::Error::from(fatal("no")).into_failure().1, RetryHint::Never);
    }

    #[test]
    fn a_failure_that_fails_another_run_keeps_its_causes() {
        let (first, _) = outer().into_failure();
        let (second, _) = first.clone().into_failure();
        assert_eq!(second, first);
    }

    #[test]
    fn a_long_message_is_cut() {
        let (failure, _) = "é".repeat(5000).into_failure();
        assert_eq!(failure.message().len(), 4096);
    }
}
