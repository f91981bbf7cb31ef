//! All runs that ended, by one pass over the log: for readers that list or export. Frames go in, in the order of the log; a run
//! whose start stands in none of them is not found. Nothing is decoded but starts and ends.

use std::collections::BTreeMap;

use super::find::ClosedRun;
use crate::codec::DecodeError;
use crate::codec::event::{self, RawEvent};
use crate::codec::frame::{Frame, Place};
use crate::codec::kind;
use crate::codec::names::Names;
use crate::codec::section::Head;
use crate::kernel::event::{Event, Payload, RunStarted};
use crate::kernel::id::{EventNo, RunNo, Timestamp};

/// A run that ended, as a pass over the log finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRun {
    /// The run, without its input and its result.
    pub run: ClosedRun,
    /// How many events its journal holds.
    pub events: u64,
}

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Listing {
    open: BTreeMap<RunNo, (Box<RunStarted>, Timestamp)>,
    ended: Vec<ListedRun>,
}

impl Listing {
    /// The runs that ended, in the order of their ends.
    pub(super) fn ended(self) -> Vec<ListedRun> {
        self.ended
    }

    pub(super) fn frame(&mut self, place: Place, frame: &Frame<'_>) -> Result<(), DecodeError> {
        let bytes = &mut &*frame.body;
        while !bytes.is_empty() {
            let head = Head::decode(bytes, frame.header.at)?;
            for (no, raw) in head.raw_events(bytes)? {
                self.event(place, &head, no, &raw)?;
            }
        }
        Ok(())
    }

    fn event(&mut self, place: Place, head: &Head, no: EventNo, raw: &RawEvent<'_>) -> Result<(), DecodeError> {
        if raw.kind != kind::RUN_STARTED && raw.kind != kind::RUN_ENDED {
            return Ok(());
        }
        match event::decode_raw(raw, head.at, &mut Names::new())? {
            Some(Event::RunStarted(mut started)) => {
                started.input = Payload::default();
                self.open.insert(head.run, (started, head.at));
            }
            Some(Event::RunEnded(mut ended)) => {
                ended.result = Payload::default();
                if let Some((started, started_at)) = self.open.remove(&head.run) {
                    let run = ClosedRun { run: head.run, place, started, started_at, ended, ended_at: head.at };
                    self.ended.push(ListedRun { run, events: no.next().0 });
                }
            }
            _ => {}
        }
        Ok(())
    }
}
