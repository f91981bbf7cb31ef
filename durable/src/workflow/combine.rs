//! `select!`, `join!` and `try_join!`: tokio's, in the order in which the branches are written. A branch taken at random
//! would be another one at replay.

/// Waits for the first branch that completes, tried in the order in which they are written; tokio's `select!` with
/// `biased;`.
///
/// # Cancellation
/// The other branches are dropped.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # const APPROVAL: Signal<bool> = Signal::new("approval");
/// #[workflow]
/// async fn approved(wait: Duration) -> durable::Result<bool> {
///     Ok(select! {
///         yes = APPROVAL.recv() => yes,
///         () = durable::sleep(wait) => false,
///     })
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(!approved(Duration::from_millis(1)).run_direct().await.unwrap());
/// # }
/// ```
#[macro_export]
macro_rules! select {
    (biased; $($branches:tt)*) => { $crate::__private::tokio::select! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::__private::tokio::select! { biased; $($branches)* } };
}

/// Waits for all branches, polled in the order in which they are written; tokio's `join!` with `biased;`.
#[macro_export]
macro_rules! join {
    (biased; $($branches:tt)*) => { $crate::__private::tokio::join! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::__private::tokio::join! { biased; $($branches)* } };
}

/// Waits for all branches or the first `Err`, polled in the order in which they are written; tokio's `try_join!` with
/// `biased;`.
///
/// # Cancellation
/// After an `Err` the other branches are dropped.
#[macro_export]
macro_rules! try_join {
    (biased; $($branches:tt)*) => { $crate::__private::tokio::try_join! { biased; $($branches)* } };
    ($($branches:tt)*) => { $crate::__private::tokio::try_join! { biased; $($branches)* } };
}
