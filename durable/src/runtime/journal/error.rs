//! Why a file is not read as a journal.

use std::fmt;

use crate::codec::format_file::{FORMAT, REVISION};

/// Why a text, or a list of events, is no journal that this build can read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalError {
    /// It is none, or not all of one.
    NotAJournal {
        /// What is missing or wrong.
        why: String,
    },
    /// It is one of another format.
    OtherFormat {
        /// The format's number.
        format: u32,
        /// Its revision.
        revision: u32,
    },
    /// A line of it cannot be read.
    Line {
        /// Which, counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::NotAJournal { why } => write!(f, "this is no journal, or not all of one: {why} [E0317]"),
            JournalError::OtherFormat { format, revision } => write!(
                f,
                "the journal is of format {format} revision {revision}, this build reads format {FORMAT} revision {REVISION}: read it \
                 with a build of that format, or export it anew [E0318]"
            ),
            JournalError::Line { line, why } => write!(f, "line {line} of the journal cannot be read: {why} [E0319]"),
        }
    }
}

impl std::error::Error for JournalError {}
