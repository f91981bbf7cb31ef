//! A moment right before an operation: from it a crash in that operation is played, as often as there are ways to crash.

use std::fmt;
use std::sync::Arc;

use super::digest::Digest;
use super::op::{Op, Request, Unfinished};
use super::process::ProcessId;
use super::{SimDisk, Snapshot};

/// A disk with an operation that is about to be done. Cheap to clone.
#[derive(Clone)]
pub struct Moment {
    pub(super) before: Snapshot,
    pub(super) process: ProcessId,
    pub(super) request: Arc<Request>,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{} {:?}", self.process.0, self.request.op)
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

    /// A hash of what is about to be done.
    pub(crate) fn op_digest(&self) -> u64 {
        let digest = Digest::new().number(u64::from(self.process.0));
        let digest = digest.number(self.op().kind() as u64).bytes(self.bytes());
        match self.op() {
            Op::Write { offset, .. } => digest.number(*offset).finish(),
            _ => digest.finish(),
        }
    }

    /// Brings `disk` to the moment at which the operation is done so far, and nobody was told.
    pub fn interrupt(&self, disk: &SimDisk, unfinished: Unfinished) {
        disk.restore(&self.before);
        if unfinished != Unfinished::NotDone {
            disk.with(|machine| machine.leave_unfinished(self.process, &self.request, unfinished));
        }
    }
}
