//! Segments made ahead: zeroed and synced under a name of their own, until the log needs one and gives it its number. No
//! frame is in one, so a failure here loses nothing, and one that is not needed is removed. A segment gets its name by
//! `link`, which never replaces (rules 11 and 12).

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::error::{DiskFault, Holder};
use super::files::{Folder, Handle};
use super::reserve;
use crate::codec::frame::{SegmentNo, StoreId};
use crate::codec::segment::{FIRST_FRAME, SegmentHeader};
use crate::codec::{format_file, segment as names};
use crate::kernel::event::Text;
use crate::kernel::id::Timestamp;
use crate::seams::{Entropy, Seams};

/// A segment that has no number yet.
#[derive(Debug)]
pub(super) struct Spare {
    pub(super) handle: Handle,
    pub(super) segment: SegmentNo,
    pub(super) bytes: u64,
}

/// What the headers of all segments of one open have in common.
#[derive(Debug, Clone)]
pub(super) struct Author {
    header: SegmentHeader,
}

impl Author {
    pub(super) fn new(store: StoreId, seams: &Seams) -> Author {
        Author {
            header: SegmentHeader {
                format: format_file::FORMAT,
                revision: format_file::REVISION,
                store,
                segment: SegmentNo(0),
                pid: seams.entropy.pid(),
                boot_id: seams.entropy.boot_id(),
                opened_at: seams.clock.wall(),
                host: Text::from(seams.entropy.host()),
                build: Text::from(seams.entropy.build_id()),
            },
        }
    }

    /// As others are told of it.
    pub(super) fn holder(&self) -> Holder {
        Holder::from(&self.header)
    }

    pub(super) fn opened_at(&self) -> Timestamp {
        self.header.opened_at
    }

    fn header_of(&self, segment: SegmentNo) -> Vec<u8> {
        SegmentHeader { segment, ..self.header.clone() }.encode()
    }
}

/// Eight random bytes.
pub(super) fn draw(entropy: &dyn Entropy) -> u64 {
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Makes a spare of `bytes` bytes that can become `segment`. What was made of one that failed is removed again.
pub(super) async fn make(
    folder: &Folder,
    author: &Author,
    name: &str,
    segment: SegmentNo,
    bytes: u64,
) -> Result<Spare, DiskFault> {
    let handle = folder.create(name).await?;
    match fill(&handle, author, segment, bytes).await {
        Ok(()) => Ok(Spare { handle, segment, bytes }),
        Err(fault) => {
            handle.close().await;
            let _first_failure_counts = folder.remove(name).await;
            Err(fault)
        }
    }
}

async fn fill(handle: &Handle, author: &Author, segment: SegmentNo, bytes: u64) -> Result<(), DiskFault> {
    // Nobody else may have it: the newest segment's lock is held from the moment at which it has its name.
    if !handle.try_lock().await? {
        return Err(handle.fault("locking", std::io::ErrorKind::WouldBlock.into()));
    }
    handle.write_all(0, &author.header_of(segment)).await?;
    handle.zero(FIRST_FRAME, bytes).await?;
    handle.sync().await
}

/// Gives a spare its number. The caller syncs the directory before a frame in it is acknowledged.
///
/// # Errors
/// `AlreadyExists` if there is a segment of that number: someone else has opened the store.
pub(super) async fn name(folder: &Folder, spare: &Spare) -> Result<(), DiskFault> {
    folder.link(spare.handle.name(), &names::name(spare.segment)).await?;
    // What is left of the old name harms nobody: the next open removes it.
    let _unimportant = folder.remove(spare.handle.name()).await;
    Ok(())
}

/// Removes a spare that is not needed.
pub(super) async fn discard(folder: &Folder, spare: Spare) {
    let name = spare.handle.name().to_owned();
    spare.handle.close().await;
    let _unimportant = folder.remove(&name).await;
}

/// The spare that is made beside the writer.
#[derive(Debug, Clone)]
pub(super) struct Ahead {
    slot: Arc<Mutex<Slot>>,
}

#[derive(Debug, Default)]
struct Slot {
    state: State,
    waiting: Option<Waker>,
}

#[derive(Debug, Default)]
enum State {
    /// It is being made.
    #[default]
    Making,
    /// It is made, or could not be, or was not wanted.
    Done(Option<Spare>),
    /// Nobody wants it any more.
    Unwanted,
}

impl Ahead {
    /// Begins to make a spare for a segment of that number and size, beside the caller; the reserve goes first.
    pub(super) fn begin(
        seams: &Seams,
        folder: &Arc<Folder>,
        author: &Author,
        (segment, bytes): (SegmentNo, u64),
        reserve_bytes: u64,
    ) -> Ahead {
        let ahead = Ahead { slot: Arc::default() };
        let making = Making { ahead: ahead.clone(), folder: Arc::clone(folder) };
        let (author, name) = (author.clone(), names::spare_name(draw(&*seams.entropy)));
        seams.spawn.blocking(
            "durable-spare",
            Box::pin(async move {
                // A failure is no news: when the log comes to it, the writer makes one itself and meets the cause.
                let _unimportant = reserve::keep(&making.folder, reserve_bytes).await;
                let made = make(&making.folder, &author, &name, segment, bytes).await.ok();
                making.done(made).await;
            }),
        );
        ahead
    }

    /// The spare, when it is made; none if that failed.
    pub(super) async fn take(self) -> Option<Spare> {
        poll_fn(|context| {
            let mut slot = self.slot();
            match &mut slot.state {
                State::Making => {
                    slot.waiting = Some(context.waker().clone());
                    Poll::Pending
                }
                State::Done(spare) => Poll::Ready(spare.take()),
                State::Unwanted => Poll::Ready(None),
            }
        })
        .await
    }

    /// Nobody wants it any more: gives it to be discarded if it is made, else its maker discards it.
    pub(super) fn forget(self) -> Option<Spare> {
        match std::mem::replace(&mut self.slot().state, State::Unwanted) {
            State::Done(spare) => spare,
            State::Making | State::Unwanted => None,
        }
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the spare back if nobody wants it.
    fn put(&self, spare: Option<Spare>) -> Option<Spare> {
        let mut slot = self.slot();
        if matches!(slot.state, State::Unwanted) {
            return spare;
        }
        slot.state = State::Done(spare);
        if let Some(waker) = slot.waiting.take().filter(|_| !planted!(28)) {
            waker.wake();
        }
        None
    }
}

/// The maker's side: if its task is dropped, nobody waits for it.
struct Making {
    ahead: Ahead,
    folder: Arc<Folder>,
}

impl Making {
    async fn done(self, spare: Option<Spare>) {
        if let Some(unwanted) = self.ahead.put(spare) {
            discard(&self.folder, unwanted).await;
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if matches!(self.ahead.slot().state, State::Making) {
            drop(self.ahead.put(None));
        }
    }
}
