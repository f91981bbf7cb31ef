//! Faults by plan: which operation of a process fails, how, and what that leaves behind. Each one is something that a
//! sound kernel and disk may do to a program; what only lying hardware does (a flush that is ignored) is not here.

use std::io;

use super::crash::Keep;
use super::op::OpKind;

/// The error numbers that the model itself gives, as on Linux.
pub mod errno {
    /// Operation not permitted.
    pub const EPERM: i32 = 1;
    /// No such file or directory.
    pub const ENOENT: i32 = 2;
    /// Input/output error.
    pub const EIO: i32 = 5;
    /// Bad file descriptor.
    pub const EBADF: i32 = 9;
    /// File exists.
    pub const EEXIST: i32 = 17;
    /// Not a directory.
    pub const ENOTDIR: i32 = 20;
    /// Is a directory.
    pub const EISDIR: i32 = 21;
    /// Invalid argument.
    pub const EINVAL: i32 = 22;
    /// Too many open files.
    pub const EMFILE: i32 = 24;
    /// File too large.
    pub const EFBIG: i32 = 27;
    /// No space left on device.
    pub const ENOSPC: i32 = 28;
    /// Read-only file system.
    pub const EROFS: i32 = 30;
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The operation fails with this error number and does nothing.
    Errno(i32),
    /// The operation fails with an error of this kind and does nothing.
    Kind(io::ErrorKind),
    /// A write writes at most so many bytes, and says so.
    ShortWrite(usize),
    /// A sync of a file's data fails. What was pending for the file is given up, as kernels do: a second sync would
    /// succeed without having written it.
    SyncFails {
        /// The error number.
        errno: i32,
        /// What processes see afterwards.
        leaves: AfterFailedSync,
        /// What had reached the disk before it failed.
        reached: Keep,
    },
}

/// What the page cache holds after a sync that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailedSync {
    /// The new bytes, marked clean: they are read until the machine restarts and are never written (ext4, XFS).
    NewContent,
    /// What is on the disk (btrfs).
    OldContent,
}

/// Which operations of the process a fault hits. Everything is counted from 1, since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The n-th operation.
    Operation(u64),
    /// The n-th operation and all that follow.
    From(u64),
    /// The n-th operation of a kind.
    Kind(OpKind, u64),
    /// The n-th operation of a kind and all of that kind that follow.
    KindFrom(OpKind, u64),
}

impl When {
    /// Whether this means the operation that is the `number`-th of all and the `of_kind`-th of its kind.
    pub(super) fn hits(self, kind: OpKind, number: u64, of_kind: u64) -> bool {
        match self {
            When::Operation(n) => n == number,
            When::From(n) => n <= number,
            When::Kind(wanted, n) => wanted == kind && n == of_kind,
            When::KindFrom(wanted, n) => wanted == kind && n <= of_kind,
        }
    }
}
