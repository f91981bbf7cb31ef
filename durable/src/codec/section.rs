//! Sections: what one frame holds of one run. A section's head says whose events follow, where the run's events before
//! them stand, and when they happened. Nothing here knows frames or follows the chain.
//!
//! ```text
//! run LEB | first LEB | prev: 0, or segment LEB, offset/8 LEB | at: ZZ to the frame's | count LEB | the events
//! ```

use super::event::{self, RawEvent};
use super::frame::{Place, SegmentNo};
use super::names::Names;
use super::{DecodeError, leb};
use crate::kernel::event::{Event, Section};
use crate::kernel::id::{EventNo, RunNo, Timestamp};

/// What stands before a section's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Whose events they are; 0 for the store's own.
    pub run: RunNo,
    /// The number of the first one.
    pub first: EventNo,
    /// The frame that holds the run's events before these.
    pub prev: Option<Place>,
    /// When they happened.
    pub at: Timestamp,
    /// How many there are.
    pub count: u64,
}

/// Appends a section. `names` is the table of its run, `prev` the frame that holds the run's events before these, and
/// `frame_at` the frame's own time.
pub fn encode(section: &Section, prev: Option<Place>, frame_at: Timestamp, names: &mut Names, out: &mut Vec<u8>) {
    let Section { run, first, at, ref events, .. } = *section;
    Head { run, first, prev, at, count: events.len() as u64 }.encode(frame_at, out);
    for event in events {
        event::encode(event, at, names, out);
    }
}

impl Head {
    /// Appends the head.
    pub fn encode(&self, frame_at: Timestamp, out: &mut Vec<u8>) {
        leb::put(self.run.0, out);
        leb::put(self.first.0, out);
        match self.prev {
            None => leb::put(0, out),
            Some(place) => {
                leb::put(place.segment.0, out);
                leb::put(place.offset / 8, out);
            }
        }
        leb::put_signed(self.at.0.wrapping_sub(frame_at.0), out);
        leb::put(self.count, out);
    }

    /// Takes a head off the front of `bytes`. The events follow: read them with [`Head::events`], or step over them with
    /// [`Head::skip_events`].
    ///
    /// # Errors
    /// A [`DecodeError`] if it is none.
    pub fn decode(bytes: &mut &[u8], frame_at: Timestamp) -> Result<Head, DecodeError> {
        let run = RunNo(leb::take(bytes)?);
        let first = EventNo(leb::take(bytes)?);
        let prev = match leb::take(bytes)? {
            0 => None,
            segment => Some(Place { segment: SegmentNo(segment), offset: Self::decode_offset(bytes)? }),
        };
        let at = Timestamp(frame_at.0.wrapping_add(leb::take_signed(bytes)?));
        let count = leb::take(bytes)?;
        if first.0.checked_add(count).is_none() {
            return Err(DecodeError::Value { rule: "the number of an event has 64 bits" });
        }
        Ok(Head { run, first, prev, at, count })
    }

    fn decode_offset(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
        leb::take(bytes)?.checked_mul(8).ok_or(DecodeError::Number)
    }

    /// Takes the section's events off the front of `bytes`, with their numbers. Those that are unknown and may be stepped
    /// over have a number too, and are left out. `names` is the table of the section's run.
    ///
    /// # Errors
    /// A [`DecodeError`] if one is no whole event, or an unknown one that may not be stepped over.
    pub fn events(&self, bytes: &mut &[u8], names: &mut Names) -> Result<Vec<(EventNo, Event)>, DecodeError> {
        let mut events = Vec::new();
        for no in self.numbers() {
            let event = event::decode(bytes, self.at, names)?;
            events.extend(event.map(|event| (no, event)));
        }
        Ok(events)
    }

    /// Takes the section's events off the front of `bytes`, their bodies not looked at.
    ///
    /// # Errors
    /// A [`DecodeError`] if the bytes end before they do.
    pub fn raw_events<'a>(&self, bytes: &mut &'a [u8]) -> Result<Vec<(EventNo, RawEvent<'a>)>, DecodeError> {
        let mut events = Vec::new();
        for no in self.numbers() {
            events.push((no, event::peek(bytes)?));
        }
        Ok(events)
    }

    /// Steps over the section's events.
    ///
    /// # Errors
    /// A [`DecodeError`] if the bytes end before they do.
    pub fn skip_events(&self, bytes: &mut &[u8]) -> Result<(), DecodeError> {
        (0..self.count).try_for_each(|_| event::peek(bytes).map(|_| ()))
    }

    /// The events' numbers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = EventNo> + use<> {
        (self.first.0..self.first.0.saturating_add(self.count)).map(EventNo)
    }
}
