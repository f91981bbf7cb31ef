//! What the log's handles and its writer share: the queue under its mutex, and the listener, which is never called while
//! that mutex is held.

use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use super::checkpoint::Encoded;
use super::error::{AppendError, LoadError, StoreError};
use super::queue::{Next, Queue};
use crate::codec::frame::Lsn;
use crate::kernel::event::Group;
use crate::kernel::id::{Position, Timestamp};
use crate::kernel::tables::AllTables;

/// What the log reports by itself.
#[derive(Debug, Clone)]
pub enum Report {
    /// Everything up to this group is durable.
    Durable(Position),
    /// The store stands still until it is opened anew; what was not reported durable may or may not be there then.
    Poisoned(StoreError),
    /// The disk is full: nothing becomes durable, and the store takes no new work.
    NoSpace,
    /// There is space again.
    SpaceAgain,
}

/// Who is told. Called by the writer's thread; it must not wait.
pub type Listener = Arc<dyn Fn(Report) + Send + Sync>;

/// See the head of the file.
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// As it was behind the last append: each driver asks behind each of its own, and another one appends meanwhile.
    wants_checkpoint: AtomicBool,
    listener: Listener,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(queue: Queue, listener: Listener) -> Shared {
        Shared { wants_checkpoint: queue.wants_checkpoint().into(), queue: Mutex::new(queue), listener }
    }

    pub(super) fn append(&self, group: &Group, at: Timestamp) -> Result<Position, AppendError> {
        let mut queue = self.queue();
        let appended = queue.append(group, at);
        self.wants_checkpoint.store(queue.wants_checkpoint(), Relaxed);
        appended
    }

    pub(super) fn checkpoint(&self, tables: &AllTables<'_>, at: Timestamp) -> Result<Position, AppendError> {
        let encoded = Encoded::of(tables);
        let mut queue = self.queue();
        let appended = queue.checkpoint(tables, encoded, at);
        self.wants_checkpoint.store(queue.wants_checkpoint(), Relaxed);
        appended
    }

    pub(super) fn wants_checkpoint(&self) -> bool {
        self.wants_checkpoint.load(Relaxed)
    }

    /// The queue. If a panic left it half changed, nothing more is written.
    pub(super) fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(|poisoned| {
            let mut queue = poisoned.into_inner();
            queue.poison(StoreError::WriterGone);
            queue
        })
    }

    pub(super) fn report(&self, report: Report) {
        (self.listener)(report);
    }

    pub(super) fn poison(&self, cause: StoreError) {
        self.queue().poison(cause.clone());
        self.report(Report::Poisoned(cause));
    }

    /// Waits for what the writer is to do next.
    pub(super) async fn next(&self) -> Next {
        poll_fn(|context| {
            let mut queue = self.queue();
            match queue.next() {
                Some(next) => Poll::Ready(next),
                None => {
                    queue.wait_as_writer(context.waker());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Waits until a frame is written, durable or not: enough for what stays in this process.
    pub(super) async fn written(&self, lsn: Lsn) -> Result<(), LoadError> {
        self.has_come_to(lsn, |queue| queue.written).await
    }

    /// Waits until a frame is durable: what leaves the process tells of nothing younger.
    pub(super) async fn synced(&self, lsn: Lsn) -> Result<(), LoadError> {
        self.has_come_to(lsn, |queue| if planted!(23) { queue.written } else { queue.synced }).await
    }

    async fn has_come_to(&self, lsn: Lsn, newest: fn(&Queue) -> Lsn) -> Result<(), LoadError> {
        poll_fn(|context| {
            let mut queue = self.queue();
            if newest(&queue) >= lsn {
                return Poll::Ready(Ok(()));
            }
            if let Some(fault) = queue.gone() {
                return Poll::Ready(Err(LoadError::Poisoned(fault)));
            }
            queue.wait(context.waker());
            Poll::Pending
        })
        .await
    }

    /// Waits until the writer has let go of the locks.
    pub(super) async fn is_released(&self) {
        poll_fn(|context| {
            let mut queue = self.queue();
            if queue.is_released {
                return Poll::Ready(());
            }
            queue.wait(context.waker());
            Poll::Pending
        })
        .await;
    }
}
