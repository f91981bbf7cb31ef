//! The log: one sequence of frames in segment files that holds every run's journal. Groups go in by [`Log::append`], which
//! never waits; one [`Writer`] writes them, a batch a frame, a sync a frame, and reports up to which one they are durable.
//! [`open`] recovers what earlier opens wrote. The log knows where journals are and never what their events mean.

mod batch;
mod cache;
mod chain;
mod checkpoint;
mod closed;
mod damage;
mod ends;
mod error;
mod files;
mod find;
mod fold;
mod identity;
mod journal;
mod listing;
mod lock;
mod open;
mod place;
mod queue;
mod read_only;
mod rebuild;
mod recover;
mod reserve;
mod runs;
mod shared;
mod space;
mod spare;
mod store;
mod writer;

use std::future::Future;
use std::sync::Arc;

pub use error::{AppendError, DiskFault, Holder, LoadError, OpenError, Rot, RotKind, StoreError};
pub use find::ClosedRun;
pub use journal::{JournalEvent, RawJournal};
pub use listing::ListedRun;
pub use open::{IndexAt, Options, Sizes, open};
pub use place::SegmentSizes;
pub use queue::GROUP_BYTES_MAX;
pub use read_only::{ReadOnly, open_read_only};
pub use shared::{Listener, Report};
pub use store::rung_by;
pub use writer::Writer;

use crate::codec::frame::{Place, StoreId};
use crate::kernel::event::{Group, Text};
use crate::kernel::id::{Position, RunNo, Timestamp};
use crate::kernel::tables::{AllTables, Tables};
use crate::seams::Clock;
use crate::store::index::Index;
use cache::FrameCache;
use closed::Known;
use ends::Who;
use files::Folder;
use find::Search;
use journal::Reader;
use shared::Shared;

/// What an open found.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// Which store it is.
    pub store: StoreId,
    /// What every open run waits for.
    pub tables: Tables,
    /// Whether nothing can have run since the last events: the last one is `Closed`, or there is none at all.
    pub is_clean: bool,
    /// When this open took the store over.
    pub opened_at: Timestamp,
}

/// A handle of an open log. Clones are the same log.
#[derive(Debug, Clone)]
pub struct Log {
    shared: Arc<Shared>,
    folder: Arc<Folder>,
    frames: Arc<FrameCache>,
    index: Index,
    store: StoreId,
    clock: Arc<dyn Clock>,
}

impl Log {
    /// Appends a group: it goes into the batch that fills, as a whole. Never waits; the position is durable when the
    /// listener says so, and not before. `at` is the wall clock.
    ///
    /// # Errors
    /// [`AppendError`]; nothing of the group is written then.
    pub fn append(&self, group: &Group, at: Timestamp) -> Result<Position, AppendError> {
        self.shared.append(group, at)
    }

    /// How many bytes are appended and not durable yet. Who appends for new work waits while there are many.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.queue().queued_bytes
    }

    /// Up to which group the log is durable.
    #[must_use]
    pub fn durable(&self) -> Position {
        self.shared.queue().durable
    }

    /// Whether new work may begin: not while the disk is full, and not when the log is closed or stands still.
    #[must_use]
    pub fn accepts_work(&self) -> bool {
        let queue = self.shared.queue();
        !queue.is_stalled && queue.gone().is_none() && queue.phase == queue::Phase::Open
    }

    /// Loads an open run's whole journal, up to what was appended before this call; waits until that is written.
    ///
    /// # Errors
    /// [`LoadError`]; a gap is an error, never a shorter journal.
    pub fn load(&self, run: RunNo) -> impl Future<Output = Result<Vec<JournalEvent>, LoadError>> + Send + use<> {
        let journal = self.load_raw(run);
        async move { journal.await?.decode() }
    }

    /// The same, its events as they stand there.
    ///
    /// # Errors
    /// As [`Log::load`], but for events that cannot be read: they are an error when they are taken.
    pub fn load_raw(&self, run: RunNo) -> impl Future<Output = Result<RawJournal, LoadError>> + Send + use<> {
        let tail = self.shared.queue().tail(run);
        let log = self.clone();
        async move {
            let (cell, lsn, next) = tail.ok_or(LoadError::NotOpen { run })?;
            log.shared.written(lsn).await?;
            let place = cell.get().expect("because a batch has its place before it is written");
            Reader::new(&log.folder, &log.frames, log.store).journal(run, *place, Some(next)).await
        }
    }

    /// Loads a run's whole journal up to the frame at `place`, as [`Log::find_closed`] gives it.
    ///
    /// # Errors
    /// As [`Log::load`].
    pub async fn load_at(&self, place: Place, run: RunNo) -> Result<Vec<JournalEvent>, LoadError> {
        Reader::new(&self.folder, &self.frames, self.store).journal(run, place, None).await?.decode()
    }

    /// The newest closed run of a workflow id, checked against the log. Waits until its end is durable: whoever asks is told of it.
    ///
    /// # Errors
    /// As [`Log::load`].
    pub async fn find_closed(&self, namespace: &Text, id: &Text) -> Result<Option<ClosedRun>, LoadError> {
        let search =
            Search { folder: &self.folder, frames: &self.frames, store: self.store, who: Who::Owner, namespace, id };
        let hash = search.hash();
        let ends_in = self.shared.queue().ends_in_filling(&hash);
        if let Some(lsn) = ends_in {
            self.shared.synced(lsn).await?;
        }
        // The index is asked last: a row is there before it leaves the queue.
        let (known, pending) = self.shared.queue().closed(&hash);
        let Known::Perhaps(newest) = known else { return Ok(None) };
        if let Some(row) = pending {
            self.shared.synced(row.lsn).await?;
        }
        let row = pending.or_else(|| self.index.get(hash).map(Into::into));
        if let Some(row) = row
            && let Some(run) = search.at(row, newest).await
        {
            return Ok(Some(run));
        }
        if planted!(22) {
            return Ok(None);
        }
        let (run, rows) = search.everywhere().await?;
        self.learn(hash, &rows);
        Ok(run)
    }

    /// The whole log was read for one id. With sled, the others' rows are there or will be; without, they are kept in memory
    /// as far as there is room.
    fn learn(&self, hash: runs::IdHash, rows: &find::Rows) {
        let is_complete = self.index.is_serving();
        let learnt = rows.iter().rev().filter(|(id, _)| !is_complete || *id == hash);
        self.index.put(learnt.map(|(id, closed)| (*id, closed.row())));
    }

    /// Whether a closed run may have this id; never false if one has.
    #[must_use]
    pub fn may_be_closed(&self, namespace: &Text, id: &Text) -> bool {
        let hash = runs::id_hash(self.store, namespace, id);
        let queue = self.shared.queue();
        queue.ends_in_filling(&hash).is_some() || queue.closed(&hash).0 != Known::Never
    }

    /// Appends a checkpoint. `tables` are the tables after exactly what was appended so far. It takes no position: positions count the
    /// groups of [`Log::append`].
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn checkpoint(&self, tables: &Tables) -> Result<Position, AppendError> {
        self.checkpoint_of(&[tables])
    }

    /// The same, of tables that hold the runs in several parts.
    ///
    /// # Errors
    /// [`AppendError`].
    pub fn checkpoint_of(&self, tables: &[&Tables]) -> Result<Position, AppendError> {
        self.shared.checkpoint(&AllTables::of(tables), self.clock.wall())
    }

    /// Whether there is so much log behind the newest checkpoint that another one is due.
    #[must_use]
    pub fn wants_checkpoint(&self) -> bool {
        self.shared.wants_checkpoint()
    }

    /// Appends an empty frame if something was appended since the last one: by it, readers in other processes know that
    /// they see everything. Called after a second of idleness.
    pub fn idle(&self) {
        let at = self.clock.wall();
        self.shared.queue().idle(at);
    }

    /// Closes the log: what is queued is written, `Closed` behind it, and the locks are freed. The caller has appended a
    /// checkpoint and appends nothing any more.
    ///
    /// # Errors
    /// [`StoreError`], if the log stands still before all that is durable.
    pub fn close(&self) -> impl Future<Output = Result<(), StoreError>> + Send + use<> {
        let at = self.clock.wall();
        let closing = self.shared.queue().close(at);
        let shared = Arc::clone(&self.shared);
        async move {
            shared.is_released().await;
            match closing {
                Err(AppendError::Poisoned(error)) => Err(error),
                Err(_) | Ok(()) => shared.queue().fault.clone().map_or(Ok(()), Err),
            }
        }
    }

    /// Stops the log as a crash does: what is queued is not written, no `Closed` is appended. It stops with this call;
    /// the future is ready when the writer has let go of the locks.
    pub fn stop(&self) -> impl Future<Output = ()> + Send + use<> {
        self.shared.queue().stop();
        let shared = Arc::clone(&self.shared);
        async move { shared.is_released().await }
    }
}
