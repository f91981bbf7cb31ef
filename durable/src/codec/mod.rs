//! The letters: bytes to events and back. Pure, and total on the way in: whatever bytes it is given, a decoder answers with
//! a value or a [`DecodeError`], never panics, and never sets memory aside because a length in the input says so. It
//! knows nothing of files, of what an event means, or of what is inside a payload.
//!
//! Every byte is described in `docs/journal-format.md`; the two change together.

mod carry;
pub mod error;
pub mod event;
pub mod format_file;
pub mod frame;
pub mod hash;
pub mod kind;
pub mod leb;
pub mod names;
pub mod section;
pub mod segment;
pub mod tables;
mod wire;

pub use error::DecodeError;
