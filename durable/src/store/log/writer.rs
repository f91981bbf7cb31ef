//! The writer: takes one batch after the other, writes it, syncs it, asks whether the lock is still ours, and only then
//! says that it is durable (rules 9, 11 and 15). A failed write, sync or check is final: nothing is tried twice, and
//! nothing more is written, deleted or acknowledged.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use super::batch::Batch;
use super::closed::ClosedPlace;
use super::error::StoreError;
use super::files::Folder;
use super::lock::Lock;
use super::place::SegmentSizes;
use super::queue::Next;
use super::shared::{Report, Shared};
use super::spare::{self, Ahead, Author, Spare};
use crate::codec::frame::{self, Header, Lsn, StoreId};
use crate::seams::Seams;
use crate::store::index::Index;

/// Writes the log. The shell runs it on a thread of its own; the store stands still when it is dropped.
#[derive(Debug)]
pub struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) index: Index,
    pub(super) folder: Arc<Folder>,
    pub(super) seams: Seams,
    pub(super) author: Author,
    pub(super) store: StoreId,
    pub(super) sizes: SegmentSizes,
    pub(super) reserve_bytes: u64,
    pub(super) base: Lsn,
    /// The content CRC of the last frame.
    pub(super) chain: u32,
    pub(super) segment: Spare,
    pub(super) ahead: Option<Ahead>,
    pub(super) lock: Lock,
    pub(super) alive: Alive,
}

/// Whether a batch became durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It did, or what was asked for is there.
    Durable,
    /// The log was stopped while it waited for space.
    Stopped,
}

impl Writer {
    /// Writes what is appended until the log is closed or stopped, or until something fails, which is final.
    pub async fn run(mut self) {
        self.make_ahead();
        let mut failed = None;
        while let Next::Write(batch) = self.shared.next().await {
            match self.commit(batch).await {
                Ok(Done::Durable) if self.shared.queue().has_work() => pause().await,
                Ok(Done::Durable) => {}
                Ok(Done::Stopped) => break,
                Err(_) if planted!(19) => {}
                Err(cause) => {
                    failed = Some(cause);
                    break;
                }
            }
        }
        self.release(failed).await;
    }

    async fn commit(&mut self, mut batch: Batch) -> Result<Done, StoreError> {
        self.lock.check_process()?;
        if batch.place().segment != self.segment.segment && self.roll(&batch).await? == Done::Stopped {
            return Ok(Done::Stopped);
        }
        let place = batch.place();
        let base = if planted!(14) { batch.lsn } else { self.base };
        let header = Header { lsn: batch.lsn, base, at: batch.at, chain: self.chain };
        let crc = frame::seal(&mut batch.bytes, header, self.store, place);
        let file = &self.segment.handle;
        file.write_all(place.offset, &batch.bytes).await.map_err(StoreError::Write)?;
        self.shared.queue().frame_written(batch.lsn);
        if planted!(1) {
            self.shared.durable(&batch);
        }
        let synced = if planted!(2) { self.folder.sync().await } else { file.sync().await };
        synced.map_err(StoreError::Sync)?;
        if !planted!(15) {
            self.lock.check().await?;
        }
        self.chain = crc.expect("because a batch is far below 4 GiB");
        self.shared.durable(&batch);
        self.index_ended(&batch);
        Ok(Done::Durable)
    }

    /// Hands the closed runs of a durable frame, whose CRC is that of the chain now, to the index.
    fn index_ended(&self, batch: &Batch) {
        if batch.ended.is_empty() {
            return;
        }
        let (place, lsn, crc) = (batch.place(), batch.lsn, Some(self.chain));
        let row = |run| ClosedPlace { run, place, lsn, crc }.row();
        self.index.put(batch.ended.iter().map(|(id, run)| (*id, row(*run))));
        self.shared.queue().indexed(&batch.ended);
    }

    /// Goes over to the segment of the next number, which is the batch's.
    async fn roll(&mut self, batch: &Batch) -> Result<Done, StoreError> {
        let Some(next) = self.next_segment(batch).await? else { return Ok(Done::Stopped) };
        if !planted!(3) {
            self.folder.sync().await.map_err(StoreError::Segment)?;
        }
        let last = std::mem::replace(&mut self.segment, next);
        last.handle.close().await;
        self.make_ahead();
        Ok(Done::Durable)
    }

    fn make_ahead(&mut self) {
        let reserve_bytes = self.reserve_bytes.max(self.shared.queue().checkpoint_bytes().saturating_mul(2));
        let next = (self.segment.segment.next(), self.sizes.doubled(self.segment.bytes));
        self.ahead = Some(Ahead::begin(&self.seams, &self.folder, &self.author, next, reserve_bytes));
    }

    async fn release(self, failed: Option<StoreError>) {
        // After a failure nothing is removed either: the next open does that.
        let has_failed = failed.is_some() || self.shared.queue().fault.is_some();
        if let Some(spare) = self.ahead.filter(|_| !has_failed).and_then(Ahead::forget) {
            spare::discard(&self.folder, spare).await;
        }
        self.segment.handle.close().await;
        // Before the lock is free: the next open finds the folder closed.
        self.index.close();
        self.lock.release().await;
        // Whoever is told of a failure can open the store anew at once.
        if let Some(cause) = failed {
            self.shared.poison(cause);
        }
        self.alive.end();
    }
}

/// Lets whoever polls the writer choose when it takes the next batch: the longer that is, the more is in it.
async fn pause() {
    let mut has_paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Tells the handles when the writer is gone, also if it went unasked.
#[derive(Debug)]
pub(super) struct Alive(pub(super) Arc<Shared>);

impl Alive {
    fn end(self) {
        self.0.queue().released();
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        if self.0.queue().is_released {
            return;
        }
        self.0.queue().poison(StoreError::WriterGone);
        self.0.queue().released();
        // The listener may be what panicked; another panic here would end the process.
        let told = catch_unwind(AssertUnwindSafe(|| self.0.report(Report::Poisoned(StoreError::WriterGone))));
        drop(told);
    }
}

impl Shared {
    /// The batch is durable, and the lock was ours after that.
    fn durable(&self, batch: &Batch) {
        let bytes = batch.bytes.len() - frame::HEADER_BYTES;
        let newest = self.queue().frame_durable(batch.lsn, batch.last, bytes);
        if let Some(position) = newest {
            self.report(Report::Durable(position));
        }
    }
}
