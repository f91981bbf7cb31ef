//! Finds closed runs by their workflow id. What the places at hand say is checked against the log; what they do not know,
//! and the filter does not rule out, is looked for in the whole log. So a wrong place costs time, never an answer.

use std::collections::BTreeSet;

use super::chain::Read;
use super::closed::{ClosedPlace, Known};
use super::error::{DiskFault, LoadError};
use super::files::Folder;
use super::journal::{JournalEvent, Reader};
use super::recover;
use super::runs::IdHash;
use crate::codec::DecodeError;
use crate::codec::event;
use crate::codec::frame::{Frame, Place, StoreId};
use crate::codec::kind;
use crate::codec::names::Names;
use crate::codec::section::Head;
use crate::kernel::event::{Event, RunEnded, RunStarted, Text};
use crate::kernel::id::{RunNo, Timestamp};

/// How often the log is read before a gap in it counts: it may grow while it is read, so that a later page shows a frame
/// and an earlier one does not show the frame before it.
const READINGS: usize = 3;

/// A closed run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedRun {
    /// Its short number.
    pub run: RunNo,
    /// The frame that holds its end, from where its journal loads.
    pub place: Place,
    /// How it was started.
    pub started: Box<RunStarted>,
    /// When it was started.
    pub started_at: Timestamp,
    /// How it ended.
    pub ended: Box<RunEnded>,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// Where a search looks.
pub(super) struct Search<'a> {
    pub(super) folder: &'a Folder,
    pub(super) store: StoreId,
    pub(super) namespace: &'a Text,
    pub(super) id: &'a Text,
}

impl Search<'_> {
    pub(super) fn hash(&self) -> IdHash {
        super::runs::id_hash(self.store, self.namespace, self.id)
    }

    /// The newest closed run of the id, and its place, if that was not at hand.
    pub(super) async fn find(&self, known: Known) -> Result<(Option<ClosedRun>, Option<ClosedPlace>), LoadError> {
        match known {
            Known::Never => return Ok((None, None)),
            Known::At(row) => {
                if let Ok(Some(run)) = self.load(row).await {
                    return Ok((Some(run), None));
                }
            }
            Known::Perhaps => {}
        }
        match self.scan().await? {
            Some(row) => Ok((self.load(row).await?, Some(row))),
            None => Ok((None, None)),
        }
    }

    async fn load(&self, row: ClosedPlace) -> Result<Option<ClosedRun>, LoadError> {
        let journal = Reader::new(self.folder, self.store).journal(row.run, row.place, None).await?;
        Ok(closed_run(row, journal).filter(|run| self.is_wanted(&run.started)))
    }

    fn is_wanted(&self, started: &RunStarted) -> bool {
        started.namespace == *self.namespace && started.id == *self.id
    }

    /// The place of the newest closed run of the id, by the whole log.
    async fn scan(&self) -> Result<Option<ClosedPlace>, LoadError> {
        let mut read = self.read().await?;
        for _ in 1..READINGS {
            if read.rot.is_empty() {
                break;
            }
            read = self.read().await?;
        }
        if let Some(rot) = read.rot.first() {
            let (file, offset) = (rot.file.clone(), rot.offset);
            return Err(LoadError::Unreadable { run: RunNo(0), file, offset });
        }
        let mut open = BTreeSet::new();
        let mut newest = None;
        for extent in &read.extents {
            let bytes = self.folder.read_segment(extent.place.segment).await?;
            for (place, frame) in recover::frames(&bytes, self.store, *extent) {
                let scanned = self.scan_frame(place, &frame, &mut open, &mut newest);
                scanned.map_err(|error| LoadError::undecodable(RunNo(0), place, error))?;
            }
        }
        Ok(newest)
    }

    async fn read(&self) -> Result<Read, DiskFault> {
        let segments = self.folder.segments().await?;
        Ok(recover::chain(self.folder, self.store, &segments).await?.finish())
    }

    fn scan_frame(
        &self,
        place: Place,
        frame: &Frame<'_>,
        open: &mut BTreeSet<RunNo>,
        newest: &mut Option<ClosedPlace>,
    ) -> Result<(), DecodeError> {
        let bytes = &mut &*frame.body;
        while !bytes.is_empty() {
            let head = Head::decode(bytes, frame.header.at)?;
            for (_, raw) in head.raw_events(bytes)? {
                if raw.kind == kind::RUN_STARTED {
                    let event = event::decode_raw(&raw, head.at, &mut Names::new())?;
                    if matches!(event, Some(Event::RunStarted(started)) if self.is_wanted(&started)) {
                        open.insert(head.run);
                    }
                } else if raw.kind == kind::RUN_ENDED && open.remove(&head.run) {
                    *newest = Some(ClosedPlace { run: head.run, place, lsn: frame.header.lsn });
                }
            }
        }
        Ok(())
    }
}

fn closed_run(row: ClosedPlace, journal: Vec<JournalEvent>) -> Option<ClosedRun> {
    let mut journal = journal.into_iter();
    let Some((_, started_at, Event::RunStarted(started))) = journal.next() else { return None };
    let Some((_, ended_at, Event::RunEnded(ended))) = journal.next_back() else { return None };
    Some(ClosedRun { run: row.run, place: row.place, started, started_at, ended, ended_at })
}
