//! Why bytes could not be read: data, never a string that someone has to parse. What is to be done about it is decided
//! by those who know which file the bytes came from.

use std::fmt;

/// Why bytes could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ends inside a value.
    Ended {
        /// How many bytes are missing at least.
        missing: u64,
    },
    /// A number is longer than its type, or longer than it needs to be.
    Number,
    /// A length is above its limit.
    TooLong {
        /// The length found.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// An event of a kind, version or flag that this build does not know and that may not be stepped over.
    Unknown {
        /// The kind's number.
        kind: u16,
        /// The kind's name, if this build knows it or knows it to be reserved.
        name: Option<&'static str>,
        /// The version of the body.
        version: u8,
        /// The flags.
        flags: u8,
    },
    /// A number stands where one of a list of choices should, and is none of them.
    Choice {
        /// What is chosen.
        of: &'static str,
        /// The number found.
        found: u32,
    },
    /// A text is not UTF-8.
    Utf8,
    /// The value is whole, but bytes follow it.
    Trailing {
        /// How many.
        left: u64,
    },
    /// A name is used by its number before the run's journal has written it.
    UnknownName {
        /// The number.
        index: u32,
        /// How many names are known.
        known: u32,
    },
    /// A value that its place does not allow.
    Value {
        /// Which rule it breaks.
        rule: &'static str,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Ended { missing } => write!(f, "the bytes end inside a value, at least {missing} are missing"),
            DecodeError::Number => f.write_str("a number is longer than its type or than it needs to be"),
            DecodeError::TooLong { len, limit } => write!(f, "a length of {len} is above the limit of {limit}"),
            DecodeError::Unknown { kind, name: Some(name), version, flags } => {
                write!(
                    f,
                    "this build cannot read event {name} (kind {kind:#06x}, version {version}, flags {flags:#04x})"
                )
            }
            DecodeError::Unknown { kind, name: None, version, flags } => {
                write!(f, "this build does not know event kind {kind:#06x} (version {version}, flags {flags:#04x})")
            }
            DecodeError::Choice { of, found } => write!(f, "{found} is no {of}"),
            DecodeError::Utf8 => f.write_str("a text is not UTF-8"),
            DecodeError::Trailing { left } => write!(f, "{left} bytes follow a whole value"),
            DecodeError::UnknownName { index, known } => {
                write!(f, "name {index} is used, but only {known} were written so far")
            }
            DecodeError::Value { rule } => write!(f, "a value breaks a rule: {rule}"),
        }
    }
}

impl std::error::Error for DecodeError {}
