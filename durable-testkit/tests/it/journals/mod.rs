//! Journals out of their stores: as files and back, and replayed against the code of today.

mod file;
mod replays;
mod stores;
