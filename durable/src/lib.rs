//! wip
pub mod kernel;
#[cfg(feature = "runtime")]
pub mod store;
