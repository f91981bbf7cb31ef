//! Faults by plan: which operation of a process fails, how, and what that leaves behind. Each one is something that a
//! sound kernel and disk may do to a program, and says why it is fair. What only broken hardware or a broken kernel does
//! is a class of its own, [`Unfair`]: nobody claims to survive it, and the tests say what of it is found out.

use std::io;
use std::time::Duration;

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

/// What goes wrong. A tear (a write of which only some sectors, or only the first bytes, are done) is no fault by plan
/// but a crash: see [`Keep::Units`] and [`Unfinished::Part`](super::Unfinished::Part).
#[derive(Debug, Clone)]
pub enum Fault {
    /// The operation fails with this error number and does nothing. Fair: every call that touches a disk may fail, with
    /// `EIO` when the device gives up, `EMFILE` and `ENFILE` when descriptors run out, `ENOSPC` and `EDQUOT` when space does.
    Errno(i32),
    /// The operation fails with an error of this kind and does nothing. Fair for the same reason.
    Kind(io::ErrorKind),
    /// A write writes at most so many bytes, and says so. Fair: write(2) may always be short; on a nearly full disk, past a
    /// limit, or when a signal comes, it is.
    ShortWrite(usize),
    /// A sync of a file's data fails. What was pending for the file is given up, as kernels do: a second sync would
    /// succeed without having written it. Fair: seen on every Linux file system (see [`AfterFailedSync`]).
    SyncFails {
        /// The error number.
        errno: i32,
        /// What processes see afterwards.
        leaves: AfterFailedSync,
        /// What had reached the disk before it failed.
        reached: Keep,
    },
    /// The operation begins so much later: what [`SimDisk::on_slow`](super::SimDisk::on_slow) was given says how that
    /// time passes; without it the operation is not slow. Fair: a device that retries, a network below, a queue of others'
    /// writes take minutes without an error.
    Slow(Duration),
    /// What no sound kernel and disk do.
    Unfair(Unfair),
}

/// Faults that break what a kernel and a disk promise. Not claimed: an acknowledged record may be lost by them. The log
/// finds out what its checksums, its chain and the places of its frames can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfair {
    /// A sync of a file's data says that it is done and does nothing; a later honest one makes up for it. As drives do
    /// that ignore a flush. Found out at the next open only if something behind it was made durable.
    LyingSync,
    /// A sync of a file's data fails, and says that it is done: the error went to another descriptor or to nobody, as
    /// with kernels before 4.13. What was pending is given up. Found out as above.
    SilentSync(AfterFailedSync),
    /// A write says that it is done and does nothing. Found out at the next open, as a hole, when a frame stands behind it.
    PhantomWrite,
    /// A write's bytes land at this offset of the file instead. Found out as a hole; where they land they are no frame,
    /// since a frame is readable only where it was meant to be.
    MisdirectedWrite(u64),
    /// A read gives what was durable, not what was written since: a cache that went stale. It hides nothing that was acknowledged,
    /// since that is durable.
    StaleRead,
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
