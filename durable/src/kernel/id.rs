//! Newtypes for every number with a meaning. Plain data: nothing here reads a clock or draws randomness.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one. Saturates: a limit elsewhere is reached long before.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// The short number of a run in its store: given at `RunStarted`, counted from 1, never used again.
    RunNo(u64)
}
number! {
    /// A command's number in its run, counted from 1 in the order in which calls are built.
    Seq(u32)
}
number! {
    /// Which try of an activity this is, counted from 1.
    Attempt(u32)
}
number! {
    /// An event's number in its run's journal, counted from 0.
    EventNo(u64)
}
number! {
    /// A cancellation scope's number in its run; 0 is the body.
    ScopeNo(u32)
}
number! {
    /// A place in the log as the kernel knows it: the how-manieth group handed over since the store was opened.
    /// Opaque to everyone but the kernel and its store, which reports up to which one the log is durable.
    Position(u64)
}

/// The identity of one execution of a workflow: 16 bytes, unique for ever, sorted by the time of its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RunId(pub [u8; 16]);

impl RunId {
    /// An id of a run that starts now: the layout of a UUID version 7 (RFC 9562), 48 bits of milliseconds, then `random`.
    #[must_use]
    pub fn new(at: Timestamp, random: [u8; 16]) -> RunId {
        let millis = at.0.div_euclid(1000).to_be_bytes();
        let mut bytes = random;
        bytes.iter_mut().zip(millis.into_iter().skip(2)).for_each(|(to, from)| *to = from);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        RunId(bytes)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// A text is no run's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoRunId;

impl fmt::Display for NoRunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a run's identity: it has the form of a UUID, 32 hex digits with hyphens between them")
    }
}

impl std::error::Error for NoRunId {}

impl FromStr for RunId {
    type Err = NoRunId;

    /// Reads what it displays as, in capitals too.
    fn from_str(text: &str) -> Result<RunId, NoRunId> {
        let digits: String = text.split('-').collect();
        let value = u128::from_str_radix(&digits, 16).map_err(|_| NoRunId)?;
        let run = RunId(value.to_be_bytes());
        if run.to_string().eq_ignore_ascii_case(text) { Ok(run) } else { Err(NoRunId) }
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A keyed hash over a canonical form, of values or of a shape. 64 bits: it detects a changed program, it is no
/// defence against someone who forges inputs (the key of a store's digests is never shown).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub u64);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A point in time: microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The furthest point in time; a deadline there never passes.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// This point in time and `span` more, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn after(self, span: Duration) -> Timestamp {
        let span_us = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(span_us))
    }

    /// How long it is from `earlier` to this; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_comes_back_and_anything_else_is_none() {
        let run = RunId::new(Timestamp(1_767_225_600_000_000), [0x1f; 16]);
        assert_eq!(run.to_string().parse(), Ok(run));
        assert_eq!(run.to_string().to_uppercase().parse(), Ok(run));
        let plain = run.to_string().replace('-', "");
        let signed = run.to_string().replacen('0', "+", 1);
        for text in ["", "order-42", plain.as_str(), signed.as_str(), "-"] {
            assert_eq!(text.parse::<RunId>(), Err(NoRunId), "{text}");
        }
    }
}
