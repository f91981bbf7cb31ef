//! Who may write: one process at a time. The lock file's `flock` tells a second opener at once; that the lock file's name
//! still leads to the same file is asked after every sync, before anything is acknowledged (rule 9). A lock that is lost
//! is never taken again by the same open.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::{DiskFault, Holder, OpenError, StoreError};
use super::files::{Folder, Handle};
use crate::codec::frame::SegmentNo;
use crate::codec::segment::{self, SegmentHeader};
use crate::seams::Entropy;
use crate::store::disk::{Disk, Identity};

/// The lock file's name.
pub(super) const NAME: &str = "LOCK";

/// How often a lock is tried whose file is replaced meanwhile.
const TRIES: usize = 8;

/// The lock on a store.
#[derive(Debug)]
pub(super) struct Lock {
    disk: Arc<dyn Disk>,
    entropy: Arc<dyn Entropy>,
    handle: Handle,
    path: PathBuf,
    identity: Identity,
    pid: u32,
}

impl Lock {
    /// Takes the lock; none if someone else has it.
    pub(super) async fn take(folder: &Folder, entropy: &Arc<dyn Entropy>) -> Result<Option<Lock>, DiskFault> {
        let path = folder.path().join(NAME);
        for _ in 0..TRIES {
            let handle = folder.open_or_create(NAME).await?;
            if !handle.try_lock().await? {
                handle.close().await;
                return Ok(None);
            }
            let identity = handle.identity().await?;
            let (disk, pid) = (Arc::clone(folder.disk()), entropy.pid());
            let lock = Lock { disk, entropy: Arc::clone(entropy), handle, path: path.clone(), identity, pid };
            let is_ours = lock.is_ours().await;
            if let Ok(true) = is_ours {
                return Ok(Some(lock));
            }
            lock.release().await;
            is_ours?;
        }
        Ok(None)
    }

    /// Whether the lock file's path, resolved anew, still leads to the file that is locked. A path that leads nowhere says no; a disk that
    /// does not answer says nothing.
    pub(super) async fn is_ours(&self) -> Result<bool, DiskFault> {
        match self.disk.identity_of(&self.path).await {
            Ok(found) => Ok(found == self.identity),
            Err(error) if leads_nowhere(&error) => Ok(false),
            Err(error) => Err(self.handle.fault("looking for", error)),
        }
    }

    /// Asked after each sync: a failure is final, and what was synced under a lock of which nobody knows counts for nothing.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        self.check_process()?;
        match self.is_ours().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.lost()),
            Err(fault) => Err(StoreError::Sync(fault)),
        }
    }

    /// The error for who does not have it any more.
    pub(super) fn lost(&self) -> StoreError {
        StoreError::LockLost { path: self.path.clone() }
    }

    /// Asked before each write: a forked child has the lock's file too, and must not use it.
    pub(super) fn check_process(&self) -> Result<(), StoreError> {
        let now = self.entropy.pid();
        if now == self.pid { Ok(()) } else { Err(StoreError::Forked { opened: self.pid, now }) }
    }

    /// Frees it.
    pub(super) async fn release(self) {
        self.handle.close().await;
    }
}

fn leads_nowhere(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Locks the newest segment, so that a second opener has his error also when the lock file was removed: none if someone
/// else has it. Without segments there is nothing to lock.
pub(super) async fn lock_newest(folder: &Folder) -> Result<Option<Newest>, DiskFault> {
    let mut segments = folder.segments().await?;
    loop {
        let Some(newest) = segments.last().copied() else { return Ok(Some(Newest { segments, handle: None })) };
        let handle = folder.open_file(&segment::name(newest)).await?;
        if !handle.try_lock().await? {
            handle.close().await;
            return Ok(None);
        }
        segments = folder.segments().await?;
        if segments.last() == Some(&newest) {
            return Ok(Some(Newest { segments, handle: Some(handle) }));
        }
        handle.close().await;
    }
}

/// The segments as they were listed when the newest of them was locked.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) segments: Vec<SegmentNo>,
    pub(super) handle: Option<Handle>,
}

/// The error for someone who cannot have the lock: who has it, as far as the newest segment says.
pub(super) async fn already_open(folder: &Folder) -> OpenError {
    let holder = holder(folder).await.ok().flatten();
    OpenError::AlreadyOpen { dir: folder.path().clone(), holder }
}

/// Who opened the store last, as far as the newest segment says.
pub(super) async fn holder(folder: &Folder) -> Result<Option<Holder>, DiskFault> {
    let Some(newest) = folder.segments().await?.last().copied() else { return Ok(None) };
    let handle = folder.open_file(&segment::name(newest)).await?;
    let header = handle.read(0, segment::HEADER_BYTES).await;
    handle.close().await;
    Ok(SegmentHeader::decode(&header?).as_ref().map(Holder::from))
}
