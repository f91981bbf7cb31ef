//! Finds closed runs by their workflow id. What the index says is checked against the log; what it does not know, and the
//! filter does not rule out, is looked for in the whole log. So a wrong row costs time, never an answer.

use super::cache::FrameCache;
use super::closed::{ClosedPlace, Newest};
use super::ends::{self, Ends, Who};
use super::error::LoadError;
use super::files::{Folder, Segments};
use super::journal::{JournalEvent, Reader};
use super::recover;
use super::runs::IdHash;
use crate::codec::frame::{Place, StoreId};
use crate::kernel::event::{Event, RunEnded, RunStarted, Text};
use crate::kernel::id::{RunNo, Timestamp};

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
    pub(super) frames: &'a FrameCache,
    pub(super) store: StoreId,
    pub(super) who: Who,
    pub(super) namespace: &'a Text,
    pub(super) id: &'a Text,
}

/// Every run that the log knows to have closed.
pub(super) type Rows = Vec<(IdHash, ClosedPlace)>;

impl Search<'_> {
    pub(super) fn hash(&self) -> IdHash {
        super::runs::id_hash(self.store, self.namespace, self.id)
    }

    /// The run to which a row leads, if it is the newest closed one of the id; whatever else may be wrong with the row,
    /// it is not believed.
    pub(super) async fn at(&self, row: ClosedPlace, newest: Newest) -> Option<ClosedRun> {
        if !newest.may_be(row.run) {
            return None;
        }
        self.load(row).await.ok().flatten()
    }

    /// The newest closed run of the id, by the whole log, and the rows of all that closed.
    pub(super) async fn everywhere(&self) -> Result<(Option<ClosedRun>, Rows), LoadError> {
        let rows = self.scan().await?;
        let hash = self.hash();
        match rows.iter().rev().find(|(id, _)| *id == hash) {
            Some((_, row)) => Ok((self.load(*row).await?, rows)),
            None => Ok((None, rows)),
        }
    }

    async fn load(&self, row: ClosedPlace) -> Result<Option<ClosedRun>, LoadError> {
        let mut reader = Reader::new(self.folder, self.frames, self.store);
        let frame = reader.frame(row.run, row.place).await?;
        if frame.lsn != row.lsn || row.crc.is_some_and(|crc| crc != frame.crc) {
            return Ok(None);
        }
        let journal = reader.journal(row.run, row.place, None).await?.decode()?;
        Ok(closed_run(row, journal).filter(|run| self.is_wanted(&run.started)))
    }

    fn is_wanted(&self, started: &RunStarted) -> bool {
        started.namespace == *self.namespace && started.id == *self.id
    }

    async fn scan(&self) -> Result<Rows, LoadError> {
        let read = ends::read_log(self.folder, self.store, self.who).await?;
        if let Some(rot) = read.rot.first() {
            let (file, offset) = (rot.file.clone(), rot.offset);
            return Err(LoadError::Unreadable { run: RunNo(0), file, offset });
        }
        let mut ends = Ends::new(self.store);
        let mut rows = Vec::new();
        let mut segments = Segments::keeping(self.folder, 0);
        for extent in &read.extents {
            recover::each(&mut segments, self.store, *extent, |place, frame| {
                let ended = ends.of(place, frame);
                rows.append(&mut ended.map_err(|error| LoadError::undecodable(RunNo(0), place, error))?);
                Ok::<_, LoadError>(())
            })
            .await?;
        }
        Ok(rows)
    }
}

fn closed_run(row: ClosedPlace, journal: Vec<JournalEvent>) -> Option<ClosedRun> {
    let mut journal = journal.into_iter();
    let Some((_, started_at, Event::RunStarted(started))) = journal.next() else { return None };
    let Some((_, ended_at, Event::RunEnded(ended))) = journal.next_back() else { return None };
    Some(ClosedRun { run: row.run, place: row.place, started, started_at, ended, ended_at })
}
