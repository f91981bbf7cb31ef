//! A store opened for reading: also one that is open elsewhere, also a damaged one. It serves what is whole, names what is
//! not, takes no lock and writes nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::cache::FrameCache;
use super::closed::Known;
use super::damage;
use super::ends::Who;
use super::error::{LoadError, OpenError, Rot};
use super::files::{Folder, Segments};
use super::find::{ClosedRun, Search};
use super::fold::{Fold, Gaps};
use super::identity;
use super::journal::{JournalEvent, Reader};
use super::listing::{ListedRun, Listing};
use super::open::FRAME_CACHE_BYTES;
use super::recover;
use crate::codec::frame::{Place, SegmentNo, StoreId};
use crate::codec::tables;
use crate::kernel::event::Text;
use crate::kernel::id::RunNo;
use crate::kernel::tables::Tables;
use crate::store::disk::Disk;

/// How often the segments are listed again before a gap counts as damage.
const LISTINGS: usize = 3;

/// A store opened for reading, as it was at one moment.
#[derive(Debug)]
pub struct ReadOnly {
    folder: Folder,
    frames: FrameCache,
    store: StoreId,
    fold: Fold,
    rot: Vec<Rot>,
    broken: BTreeSet<RunNo>,
}

/// Opens a store for reading.
///
/// # Errors
/// [`OpenError`], but never for rot or because someone else has the store open.
pub async fn open_read_only(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<ReadOnly, OpenError> {
    let folder = Folder::open(&disk, dir.into()).await?;
    let store = identity::find(&folder).await?;
    let mut seen = read(&folder, store).await;
    for _ in 1..LISTINGS {
        if !may_be_otherwise(&seen) {
            break;
        }
        seen = read(&folder, store).await;
    }
    let Seen { fold, rot, segments } = seen?;
    let mut broken = fold.broken.clone();
    if !rot.is_empty() {
        broken.extend(damage::runs_concerned(&folder, store, &segments, &rot).await?);
    }
    let frames = FrameCache::new(FRAME_CACHE_BYTES);
    Ok(ReadOnly { folder, frames, store, fold, rot, broken })
}

struct Seen {
    fold: Fold,
    rot: Vec<Rot>,
    segments: Vec<SegmentNo>,
}

/// Whether the log is damaged, or looked so because it was written while it was read.
fn may_be_otherwise(seen: &Result<Seen, OpenError>) -> bool {
    match seen {
        Ok(seen) => !seen.rot.is_empty(),
        Err(OpenError::Disk(fault)) => fault.error.kind() == std::io::ErrorKind::NotFound,
        Err(_) => false,
    }
}

/// Reads once.
async fn read(folder: &Folder, store: StoreId) -> Result<Seen, OpenError> {
    let segments = folder.segments().await?;
    let mut files = Segments::keeping(folder, FRAME_CACHE_BYTES);
    let read = recover::chain(&mut files, store, &segments).await?.finish_for_reader();
    let folded = recover::fold(&mut files, store, &read, Gaps::PutAside, &tables::one_by_one).await?;
    Ok(Seen { fold: folded.fold, rot: read.rot, segments })
}

impl ReadOnly {
    /// Which store it is.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.store
    }

    /// The tables: what every open run waits for. Runs whose journals are known not to be whole are not in it.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.fold.tables
    }

    /// Whether the last thing in the log is a clean close.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.fold.is_clean
    }

    /// What is damaged.
    #[must_use]
    pub fn rot(&self) -> &[Rot] {
        &self.rot
    }

    /// The runs that the damage is known to concern.
    #[must_use]
    pub fn broken(&self) -> &BTreeSet<RunNo> {
        &self.broken
    }

    /// An open run's whole journal.
    ///
    /// # Errors
    /// [`LoadError`]; a gap is an error, never a shorter journal.
    pub async fn load(&self, run: RunNo) -> Result<Vec<JournalEvent>, LoadError> {
        let slot = self.fold.runs.get(run).ok_or(LoadError::NotOpen { run })?;
        let place = slot.prev().ok_or(LoadError::NotOpen { run })?;
        if self.broken.contains(&run) {
            return Err(LoadError::gap(run, slot.next, place));
        }
        Reader::new(&self.folder, &self.frames, self.store).journal(run, place, Some(slot.next)).await?.decode()
    }

    /// A run's whole journal up to the frame at `place`, as for a closed run.
    ///
    /// # Errors
    /// As [`ReadOnly::load`].
    pub async fn load_at(&self, place: Place, run: RunNo) -> Result<Vec<JournalEvent>, LoadError> {
        Reader::new(&self.folder, &self.frames, self.store).journal(run, place, None).await?.decode()
    }

    /// The newest closed run of a workflow id.
    ///
    /// # Errors
    /// As [`ReadOnly::load`].
    pub async fn find_closed(&self, namespace: &Text, id: &Text) -> Result<Option<ClosedRun>, LoadError> {
        let search =
            Search { folder: &self.folder, frames: &self.frames, store: self.store, who: Who::Other, namespace, id };
        let hash = search.hash();
        let Known::Perhaps(newest) = self.fold.closed.known(&hash) else { return Ok(None) };
        if let Some(row) = self.fold.newest(hash)
            && let Some(run) = search.at(row, newest).await
        {
            return Ok(Some(run));
        }
        Ok(search.everywhere().await?.0)
    }

    /// All runs that have ended, in the order of their ends; those that damage has swallowed are missing. Reads the whole log, as far as it
    /// stands by now.
    ///
    /// # Errors
    /// As [`ReadOnly::load`].
    pub async fn ended(&self) -> Result<Vec<ListedRun>, LoadError> {
        let segments = self.folder.segments().await?;
        let mut files = Segments::keeping(&self.folder, FRAME_CACHE_BYTES);
        let read = recover::chain(&mut files, self.store, &segments).await?.finish_for_reader();
        let mut listing = Listing::default();
        for extent in &read.extents {
            recover::each(&mut files, self.store, *extent, |place, frame| {
                let taken = listing.frame(place, frame);
                taken.map_err(|error| LoadError::undecodable(RunNo(0), place, error))
            })
            .await?;
        }
        Ok(listing.ended())
    }
}
