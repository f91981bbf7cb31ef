//! wip
pub mod kernel;
pub mod seams;
#[cfg(feature = "runtime")]
pub mod store;
