//! A moment right before an operation: from it a crash in that operation is played, as often as there are ways to crash.

use std::fmt;
use std::sync::Arc;

use durable::store::disk::File;

use super::digest::Digest;
use super::op::{Op, Request, Unfinished};
use super::process::ProcessId;
use super::state::State;
use super::{SimDisk, Snapshot};

/// A disk with an operation that is about to be done. Cheap to clone.
#[derive(Clone)]
pub struct Moment {
    pub(super) before: Snapshot,
    pub(super) process: ProcessId,
    pub(super) request: Arc<Request>,
    /// A hash of the operations that are in flight beside it.
    pub(super) beside: u64,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{} {:?}", self.process.0, self.request.op)
    }
}

impl Request {
    /// A hash of what is asked for, by names and not by descriptors.
    pub(super) fn digest(&self, state: &State, process: ProcessId, digest: Digest) -> Digest {
        let digest = digest.number(u64::from(process.0)).number(self.op.kind() as u64).bytes(&self.bytes);
        let named = |digest: Digest, file: &File| match state.file(process, *file) {
            Ok(open) => digest.bytes(open.name.as_bytes()),
            Err(_) => digest,
        };
        match &self.op {
            Op::OpenDir { path } | Op::MakeDir { path } | Op::IdentityOf { path } => {
                digest.bytes(path.as_os_str().as_encoded_bytes())
            }
            Op::Open { name, .. }
            | Op::OpenOrCreate { name, .. }
            | Op::Create { name, .. }
            | Op::Remove { name, .. } => digest.bytes(name.as_bytes()),
            Op::Link { from, to, .. } | Op::Rename { from, to, .. } => {
                digest.bytes(from.as_bytes()).bytes(to.as_bytes())
            }
            Op::Read { file, offset, len } | Op::Write { file, offset, len } => {
                named(digest, file).number(*offset).number(*len as u64)
            }
            Op::SetLen { file, len } => named(digest, file).number(*len),
            Op::Len { file }
            | Op::SyncData { file }
            | Op::TryLock { file }
            | Op::Close { file }
            | Op::Identity { file } => named(digest, file),
            Op::List { .. } | Op::SyncDir { .. } | Op::CloseDir { .. } => digest,
        }
    }
}

impl Moment {
    /// The disk without the operation.
    #[must_use]
    pub fn before(&self) -> &Snapshot {
        &self.before
    }

    /// What is about to be done.
    #[must_use]
    pub fn op(&self) -> &Op {
        &self.request.op
    }

    /// Whose it is.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// The bytes of a write; none of any other operation.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.request.bytes
    }

    /// A hash of what is about to be done, and of what is in flight beside it.
    pub(crate) fn op_digest(&self) -> u64 {
        let digest = Digest::new().number(self.beside);
        self.request.digest(&self.before.0, self.process, digest).finish()
    }

    /// Brings `disk` to the moment at which the operation is done so far, and nobody was told.
    pub fn interrupt(&self, disk: &SimDisk, unfinished: Unfinished) {
        disk.restore(&self.before);
        if unfinished != Unfinished::NotDone {
            disk.with(|machine| machine.leave_unfinished(self.process, &self.request, unfinished));
        }
    }
}
