//! Where runs end, by the log: which frames hold the ends of runs, and which workflow ids those have. Frames go in, in the
//! order of the log, from its begin. Nothing is kept of a run that has ended.

use std::collections::BTreeMap;

use super::chain::Read;
use super::closed::ClosedPlace;
use super::error::DiskFault;
use super::files::{Folder, Segments};
use super::recover;
use super::runs::{self, IdHash};
use crate::codec::DecodeError;
use crate::codec::event::{self, RawEvent};
use crate::codec::frame::{Frame, Place, StoreId};
use crate::codec::kind;
use crate::codec::names::Names;
use crate::codec::section::Head;
use crate::kernel::event::Event;
use crate::kernel::id::RunNo;

/// How often the log is read before a gap in it counts: it may grow while it is read, so that a later page shows a frame
/// and an earlier one does not show the frame before it.
const READINGS: usize = 3;

/// Who reads a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// The process that writes it, which waits for syncs where it has to.
    Owner,
    /// Another one, which cannot know whether the last frame is durable.
    Other,
}

/// Which frames a log holds that may be written meanwhile.
pub(super) async fn read_log(folder: &Folder, store: StoreId, who: Who) -> Result<Read, DiskFault> {
    let mut reading = 1;
    loop {
        let segments = folder.segments().await?;
        let chain = recover::chain(&mut Segments::keeping(folder, 0), store, &segments).await?;
        let read = match who {
            Who::Owner => chain.finish(),
            Who::Other => chain.finish_for_reader(),
        };
        if read.rot.is_empty() || reading == READINGS {
            return Ok(read);
        }
        reading += 1;
    }
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Ends {
    store: StoreId,
    open: BTreeMap<RunNo, IdHash>,
}

impl Ends {
    pub(super) fn new(store: StoreId) -> Ends {
        Ends { store, open: BTreeMap::new() }
    }

    /// The runs that end in a frame.
    pub(super) fn of(&mut self, place: Place, frame: &Frame<'_>) -> Result<Vec<(IdHash, ClosedPlace)>, DecodeError> {
        let mut ended = Vec::new();
        let bytes = &mut &*frame.body;
        while !bytes.is_empty() {
            let head = Head::decode(bytes, frame.header.at)?;
            for (_, raw) in head.raw_events(bytes)? {
                if let Some(id) = self.event(&head, &raw)? {
                    let closed = ClosedPlace { run: head.run, place, lsn: frame.header.lsn, crc: Some(frame.crc) };
                    ended.push((id, closed));
                }
            }
        }
        Ok(ended)
    }

    /// The id of the run that ends with this event.
    fn event(&mut self, head: &Head, raw: &RawEvent<'_>) -> Result<Option<IdHash>, DecodeError> {
        match raw.kind {
            kind::RUN_STARTED => {
                if let Some(Event::RunStarted(started)) = event::decode_raw(raw, head.at, &mut Names::new())? {
                    self.open.insert(head.run, runs::id_hash(self.store, &started.namespace, &started.id));
                }
                Ok(None)
            }
            kind::RUN_ENDED => Ok(self.open.remove(&head.run)),
            _ => Ok(None),
        }
    }
}
