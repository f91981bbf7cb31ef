//! What an editor sees of a workflow or an activity, and a compiler does not.

/// Generated code for rust-analyzer alone: what a user types in a function that was refused. A compiler would say a second
/// time what is wrong with it.
#[cfg(not(rust_analyzer))]
#[doc(hidden)]
#[macro_export]
macro_rules! __seen_by_an_editor {
    ($($code:tt)*) => {};
}

/// Passes the code on.
#[cfg(rust_analyzer)]
#[doc(hidden)]
#[macro_export]
macro_rules! __seen_by_an_editor {
    ($($code:tt)*) => { $($code)* };
}

/// An error's way back. rust-analyzer evaluates no constant in a signature, so it knows no `MODE`: the error's type alone
/// decides. Where two of these hold and say the same, it is known; where they differ, as for `String`, it stays unknown,
/// which is better than a wrong one, and than none, which is an error of its own. A compiler refuses such impls.
#[cfg(rust_analyzer)]
mod returned {
    use std::error::Error as StdError;
    use std::ops::Deref;

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use crate::error::Failure;
    use crate::workflow::answer::Returned;

    impl<T, E: StdError, const MODE: u8> Returned<MODE> for Result<T, E> {
        type Output = T;
        type Error = E;
        type Written = E;
    }

    impl<T, E: Serialize + DeserializeOwned, const MODE: u8> Returned<MODE> for Result<T, E> {
        type Output = T;
        type Error = E;
        type Written = E;
    }

    /// A box, `anyhow::Error` and their like.
    impl<T, E: Deref<Target = dyn StdError + Send + Sync>, const MODE: u8> Returned<MODE> for Result<T, E> {
        type Output = T;
        type Error = Failure;
        type Written = E;
    }

    macro_rules! comes_back_as_a_failure {
        ($($error:ty),*) => {$(
            impl<T, const MODE: u8> Returned<MODE> for Result<T, $error> {
                type Output = T;
                type Error = Failure;
                type Written = $error;
            }
        )*};
    }

    comes_back_as_a_failure!(crate::Error, String, &'static str);
}
