//! Why a run cannot go on, as data and in words. Each text names the cause and the way out, and closes with its code; the codes
//! have their sections in `docs/errors.md`.

use std::fmt;

use super::command::Place;
use super::event::Text;
use super::machine::MAX_POLLS;
use super::mismatch::Mismatch;

/// Why a run cannot go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The code asks for something other than the journal holds.
    Mismatch(Box<Mismatch>),
    /// The workflow panicked.
    Panicked {
        /// With this text.
        text: Text,
        /// The durable call that was polled last.
        after: Option<Place>,
    },
    /// The workflow was polled [`MAX_POLLS`] times without taking an outcome.
    Livelock {
        /// The durable call that was polled last.
        after: Option<Place>,
    },
    /// The workflow waits for something that no journal holds.
    WaitsOutside {
        /// The durable call that was polled last.
        after: Option<Place>,
    },
    /// A recorded value does not decode, or was none: the text says what, and what to do.
    Undecodable(Text),
    /// The code goes on after a turn in which the body ended.
    EndsLate {
        /// The durable call that was polled last.
        after: Option<Place>,
    },
    /// Anything else that the code did and must not: the text says what.
    Refused(Text),
}

impl Fault {
    /// The same fault, met where this command was built.
    #[must_use]
    pub(super) fn at(self, place: Place) -> Fault {
        match self {
            Fault::Refused(text) => Fault::Refused(format!("{text} (at {place})").into()),
            other => other,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Mismatch(mismatch) => mismatch.fmt(f),
            Fault::Panicked { text, after } => write!(
                f,
                "the workflow panicked {}: {text}; mend it and open the store with the new build, or call `retry_blocked` if the \
                 cause was outside the code [E0202]",
                Since(*after)
            ),
            Fault::Livelock { after } => write!(
                f,
                "the workflow was polled {MAX_POLLS} times without an event, {}: look for a loop around something that is always \
                 ready, or a future that wakes itself whenever it is polled, and let it wait for something durable, as \
                 `durable::sleep` [E0203]",
                Since(*after)
            ),
            Fault::WaitsOutside { after } => write!(
                f,
                "the workflow waits for something outside its journal (a tokio timer, a channel fed from elsewhere, a join \
                 handle) and for nothing durable, {}: move it into an activity or a step, or use `durable::sleep`, a signal or \
                 `durable::spawn` [E0204]",
                Since(*after)
            ),
            Fault::Undecodable(text) => write!(f, "{text} [E0205]"),
            Fault::EndsLate { after } => write!(
                f,
                "the code goes on here, {}, and by the journal the body ended and what it did is being undone: calls were added while \
                 it was in flight; take them out, or finish the open runs on the build that recorded them [E0201]",
                Since(*after)
            ),
            Fault::Refused(text) => write!(f, "{text} [E0207]"),
        }
    }
}

/// Where the code was, as far as its durable calls tell: nothing else of it is seen.
struct Since(Option<Place>);

impl fmt::Display for Since {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => write!(f, "after its durable call at {place}"),
            None => f.write_str("before its first durable call"),
        }
    }
}
