//! Why a run cannot go on, as data and in words. Each text names the cause and the way out, and closes with its code; the codes
//! have their sections in `docs/errors.md`.

use std::fmt;

use super::event::Text;
use super::machine::MAX_POLLS;
use super::mismatch::Mismatch;

/// Why a run cannot go on.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The code asks for something other than the journal holds.
    Mismatch(Box<Mismatch>),
    /// The workflow panicked.
    Panicked(Text),
    /// The workflow woke itself [`MAX_POLLS`] times in one turn.
    Livelock,
    /// The workflow waits for something that no journal holds.
    WaitsOutside,
    /// A recorded value does not decode.
    Undecodable(Text),
    /// The code ended the run in a turn after which the journal goes on.
    EndsEarly,
    /// The code goes on after a turn in which the body ended.
    EndsLate,
    /// Anything else that the code did and must not: the text says what.
    Refused(Text),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Mismatch(mismatch) => mismatch.fmt(f),
            Fault::Panicked(text) => write!(
                f,
                "the workflow panicked: {text}; mend it and open the store with the new build, or call `retry_blocked` if the \
                 cause was outside the code [E0202]"
            ),
            Fault::Livelock => write!(
                f,
                "the workflow woke itself {MAX_POLLS} times without an event: look for a loop that polls a channel or a future \
                 which is always ready [E0203]"
            ),
            Fault::WaitsOutside => f.write_str(
                "the workflow waits for something outside its journal (a tokio timer, a channel fed from elsewhere, a join \
                 handle) and for nothing durable: move it into an activity or a step, or use `durable::sleep`, a signal or \
                 `durable::spawn` [E0204]",
            ),
            Fault::Undecodable(text) => {
                write!(f, "{text}; give new fields a `#[serde(default)]`, or bring the old type back [E0205]")
            }
            Fault::EndsEarly => f.write_str(
                "the code ends the run here, and the journal goes on: calls were removed while it was in flight; bring them \
                 back, or finish the open runs on the build that recorded them [E0201]",
            ),
            Fault::EndsLate => f.write_str(
                "the code goes on here, and by the journal the body ended and what it did is being undone: calls were added while it was \
                 in flight; take them out, or finish the open runs on the build that recorded them [E0201]",
            ),
            Fault::Refused(text) => write!(f, "{text} [E0207]"),
        }
    }
}
