//! What can go wrong with the log: data with a stable code, each telling what was seen and what to do next. Nothing here
//! decides; a fault that is final stays the same value for everyone who waits.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::codec::DecodeError;
use crate::codec::frame::{Lsn, Place, SegmentNo, StoreId};
use crate::codec::segment::{self, SegmentHeader};
use crate::kernel::event::Text;
use crate::kernel::id::{EventNo, RunNo, Timestamp};

/// So many places are named in the text of an error; a store of which no segment is readable has one for each.
const FINDINGS_SHOWN_MAX: usize = 20;

/// An operation of the disk that failed.
#[derive(Debug, Clone)]
pub struct DiskFault {
    /// What was being done, as "reading".
    pub doing: &'static str,
    /// Which file, or which directory.
    pub file: String,
    /// Where that file is or was to be, if it was looked up by its name.
    pub dir: Option<PathBuf>,
    /// What the system said.
    pub error: Arc<io::Error>,
}

impl DiskFault {
    pub(super) fn new(doing: &'static str, file: impl Into<String>, error: io::Error) -> DiskFault {
        DiskFault { doing, file: file.into(), dir: None, error: Arc::new(error) }
    }

    /// Whether the disk, or the quota, is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether this process may not do that.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
    }
}

impl fmt::Display for DiskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.doing, self.file)?;
        if let Some(dir) = &self.dir {
            write!(f, " in {}", dir.display())?;
        }
        write!(f, ": {}", self.error)
    }
}

/// Who holds a store, by the header of its newest segment: the process that opened it last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its host.
    pub host: Text,
    /// Since when.
    pub since: Timestamp,
}

impl From<&SegmentHeader> for Holder {
    fn from(header: &SegmentHeader) -> Holder {
        Holder { pid: header.pid, host: header.host.clone(), since: header.opened_at }
    }
}

/// Damage: something that was whole and is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rot {
    /// The segment's file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// What was found there.
    pub what: RotKind,
}

/// What damage was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotKind {
    /// Bytes that are no frame, with a whole frame behind them in the same segment.
    Unreadable {
        /// Where that frame stands.
        readable_at: u64,
    },
    /// A whole frame that does not follow the one before it in its segment.
    Disconnected {
        /// Its number.
        found: Lsn,
        /// The number of the one before it.
        after: Lsn,
    },
    /// A segment begins with a frame that does not follow what stands in the segments before it.
    Missing {
        /// Its number.
        found: Lsn,
        /// The last frame before it, if there is one.
        after: Option<Lsn>,
    },
    /// A segment of another store, or one under another's name: none of its frames is readable here.
    Elsewhere {
        /// The store that it was written for.
        store: StoreId,
        /// The segment as which it was written.
        segment: SegmentNo,
        /// The store that `FORMAT` names.
        here: StoreId,
    },
}

impl fmt::Display for Rot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: ", self.file, self.offset)?;
        match self.what {
            RotKind::Unreadable { readable_at } => {
                write!(f, "unreadable, although a whole frame follows at byte {readable_at}")
            }
            RotKind::Disconnected { found, after } => write!(f, "frame {found} does not follow frame {after}"),
            RotKind::Missing { found, after: Some(after) } => {
                write!(f, "begins with frame {found}, which does not follow frame {after}, the last before it")
            }
            RotKind::Missing { found, after: None } => {
                write!(f, "begins with frame {found}, and the frames before it are missing")
            }
            RotKind::Elsewhere { store, segment, here } if store == here => {
                write!(f, "was written as {}; give it that name", segment::name(segment))
            }
            RotKind::Elsewhere { store, here, .. } => {
                write!(
                    f,
                    "was written for store {store}, and FORMAT names store {here}; put back what does not belong here"
                )
            }
        }
    }
}

/// Why a store could not be opened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory holds something else.
    NotAStore {
        /// The directory.
        dir: PathBuf,
        /// What shows it.
        found: Text,
    },
    /// The store has a format, or a revision of it, that this build does not know.
    Format {
        /// The directory.
        dir: PathBuf,
        /// The format's number.
        format: u32,
        /// Its revision.
        revision: u32,
    },
    /// Someone else has it open.
    AlreadyOpen {
        /// The directory.
        dir: PathBuf,
        /// Who, as far as the newest segment says.
        holder: Option<Holder>,
    },
    /// Something that was whole is not. The store can still be opened for reading.
    Rot {
        /// What was found.
        findings: Vec<Rot>,
        /// The runs whose journals are known to be concerned.
        runs: Vec<RunNo>,
    },
    /// The disk is full, and there is no room for the first segment.
    NoSpace(DiskFault),
    /// The disk failed.
    Disk(DiskFault),
    /// A frame is whole, but this build cannot read what it holds.
    Undecodable {
        /// The segment's file.
        file: String,
        /// Where the frame stands.
        offset: u64,
        /// Why.
        error: DecodeError,
    },
    /// The frames are whole, but an event in them does not follow its run's journal.
    Gap {
        /// The segment's file.
        file: String,
        /// Where the frame stands.
        offset: u64,
        /// Whose journal.
        run: RunNo,
        /// The event that was expected.
        expected: EventNo,
        /// The event that was found.
        found: EventNo,
    },
    /// The store could not be taken although nobody else has it.
    Store(StoreError),
}

impl From<DiskFault> for OpenError {
    fn from(fault: DiskFault) -> OpenError {
        if fault.is_full() { OpenError::NoSpace(fault) } else { OpenError::Disk(fault) }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::NotAStore { dir, found } => write!(
                f,
                "{} is not a store: {found}; give an empty or a missing directory to make one [E0101]",
                dir.display()
            ),
            OpenError::Format { dir, format, revision } => write!(
                f,
                "{} has format {format}, revision {revision}, and this build reads format {}, revision {} only; \
                 nothing was touched; open it with the build that wrote it [E0102]",
                dir.display(),
                crate::codec::format_file::FORMAT,
                crate::codec::format_file::REVISION,
            ),
            OpenError::AlreadyOpen { dir, holder } => {
                write!(f, "{} is already open", dir.display())?;
                if let Some(Holder { pid, host, since }) = holder {
                    write!(f, ", by process {pid} on {host}, since {}", utc(*since))?;
                }
                f.write_str("; close it there, or open it for reading only [E0103]")
            }
            OpenError::Rot { findings, runs } => {
                f.write_str("the log is damaged")?;
                findings.iter().take(FINDINGS_SHOWN_MAX).try_for_each(|rot| write!(f, "; {rot}"))?;
                if let Some(more) = findings.len().checked_sub(FINDINGS_SHOWN_MAX + 1) {
                    write!(f, "; and {} more places", more + 1)?;
                }
                if !runs.is_empty() {
                    let runs: Vec<_> = runs.iter().map(RunNo::to_string).collect();
                    write!(f, "; runs concerned: {}", runs.join(", "))?;
                }
                f.write_str("; nothing was changed; open it for reading only, or restore a backup [E0104]")
            }
            OpenError::NoSpace(fault) => {
                write!(f, "there is no space to open the store: {fault}; free some and open it again [E0105]")
            }
            OpenError::Disk(fault) if fault.is_denied() => write!(
                f,
                "the store cannot be opened for writing: {fault}; let this process write there, or open it for reading \
                 only [E0106]"
            ),
            OpenError::Disk(fault) => write!(f, "the disk failed: {fault}; mend that and open it again [E0106]"),
            OpenError::Undecodable { file, offset, error } => write!(
                f,
                "{file} at byte {offset}: a whole frame holds what this build cannot read: {error}; \
                 open it with the build that wrote it [E0107]"
            ),
            OpenError::Gap { file, offset, run, expected, found } => write!(
                f,
                "{file} at byte {offset}: run {run} goes on with event {found} where event {expected} was due; \
                 open it for reading only, and report this [E0108]"
            ),
            OpenError::Store(error) => error.fmt(f),
        }
    }
}

impl Error for OpenError {}

/// A point in time to the second, as people write it.
fn utc(at: Timestamp) -> String {
    let seconds = at.0.div_euclid(1_000_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day is the last one; 146,097 days are 400 of them.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = (era * 400 + year + i64::from(month >= 10), (month + 2) % 12 + 1);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Why the log stands still: final, until the store is opened anew.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum StoreError {
    /// The write of a frame failed.
    Write(DiskFault),
    /// The sync of a frame failed: what the disk holds is known only to a new open.
    Sync(DiskFault),
    /// The next segment could not be made.
    Segment(DiskFault),
    /// The next segment's name is taken: someone else has opened the store meanwhile.
    SegmentTaken {
        /// The name.
        file: String,
    },
    /// The lock file's name leads elsewhere by now: someone else may have opened the store meanwhile.
    LockLost {
        /// The lock file.
        path: PathBuf,
    },
    /// This is a forked child of the process that opened the store.
    Forked {
        /// The process that opened it.
        opened: u32,
        /// This one.
        now: u32,
    },
    /// The log was closed or stopped.
    Stopped,
    /// The log's own task ended before it was asked to.
    WriterGone,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Write(fault) => {
                write!(f, "a write to the log failed: {fault}; the store stands still until it is opened anew [E0110]")
            }
            StoreError::Sync(fault) => {
                write!(f, "a sync of the log failed: {fault}; the store stands still until it is opened anew [E0111]")
            }
            StoreError::Segment(fault) => write!(
                f,
                "the next segment could not be made: {fault}; the store stands still until it is opened anew [E0112]"
            ),
            StoreError::SegmentTaken { file } => write!(
                f,
                "the next segment, {file}, exists already: another process has opened the store; \
                 this one stands still, end it [E0113]"
            ),
            StoreError::LockLost { path } => write!(
                f,
                "{} was removed or replaced, and another process may have opened the store; \
                 this one stands still, end it, and do not remove that file [E0114]",
                path.display()
            ),
            StoreError::Forked { opened, now } => write!(
                f,
                "process {opened} opened the store, and this is its forked child {now}, which must not write to it; \
                 open the store after the fork [E0115]"
            ),
            StoreError::Stopped => f.write_str("the log was closed; open the store anew [E0116]"),
            StoreError::WriterGone => {
                f.write_str("the log's own task ended unasked; open the store anew, and report this [E0117]")
            }
        }
    }
}

impl Error for StoreError {}

/// Why a group was refused. Nothing of it was written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AppendError {
    /// It is too large.
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// It does not go on where its run's journal ends.
    OutOfOrder {
        /// Whose journal.
        run: RunNo,
        /// The event that was expected.
        expected: EventNo,
        /// The event that was given.
        found: EventNo,
    },
    /// It ends a run and does not say whose it was.
    Nameless {
        /// The run.
        run: RunNo,
    },
    /// The tables for a checkpoint are not those after what was appended so far.
    WrongTables {
        /// The first run that is missing, too many, or not as far as its journal.
        run: RunNo,
    },
    /// The log stands still.
    Poisoned(StoreError),
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::TooLarge { bytes, limit } => {
                write!(f, "a group of {bytes} bytes is above the limit of {limit}; record less at once [E0120]")
            }
            AppendError::OutOfOrder { run, expected, found } => {
                write!(f, "run {run} goes on with event {found} where event {expected} was due; report this [E0121]")
            }
            AppendError::WrongTables { run } => write!(
                f,
                "the tables for a checkpoint do not have run {run} as its journal has it; report this [E0122]"
            ),
            AppendError::Nameless { run } => {
                write!(f, "run {run} ends without being named, and could not be found any more; report this [E0123]")
            }
            AppendError::Poisoned(error) => error.fmt(f),
        }
    }
}

impl Error for AppendError {}

/// Why a journal could not be loaded: never a shorter journal instead.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LoadError {
    /// No run of that number is open.
    NotOpen {
        /// The number.
        run: RunNo,
    },
    /// A part of the journal is not where it should be.
    Gap {
        /// Whose journal.
        run: RunNo,
        /// Up to which event the part should have gone.
        expected: EventNo,
        /// The segment's file.
        file: String,
        /// Where it should have been.
        offset: u64,
    },
    /// There is no readable frame where a part of the journal should be.
    Unreadable {
        /// Whose journal.
        run: RunNo,
        /// The segment's file.
        file: String,
        /// Where it should have been.
        offset: u64,
    },
    /// A frame is whole, but this build cannot read what it holds.
    Undecodable {
        /// Whose journal.
        run: RunNo,
        /// The segment's file.
        file: String,
        /// Where the frame stands.
        offset: u64,
        /// Why.
        error: DecodeError,
    },
    /// The disk failed.
    Disk(DiskFault),
    /// The log stands still, and a part of the journal was not written before it did.
    Poisoned(StoreError),
}

impl LoadError {
    pub(super) fn gap(run: RunNo, expected: EventNo, place: Place) -> LoadError {
        LoadError::Gap { run, expected, file: segment::name(place.segment), offset: place.offset }
    }

    pub(super) fn unreadable(run: RunNo, place: Place) -> LoadError {
        LoadError::Unreadable { run, file: segment::name(place.segment), offset: place.offset }
    }

    pub(super) fn undecodable(run: RunNo, place: Place, error: DecodeError) -> LoadError {
        LoadError::Undecodable { run, file: segment::name(place.segment), offset: place.offset, error }
    }
}

impl From<DiskFault> for LoadError {
    fn from(fault: DiskFault) -> LoadError {
        LoadError::Disk(fault)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::NotOpen { run } => write!(f, "no open run has the number {run} [E0130]"),
            LoadError::Gap { run, expected, file, offset } => write!(
                f,
                "the journal of run {run} has a gap before event {expected}: {file} at byte {offset} does not hold \
                 what it should; verify the store [E0131]"
            ),
            LoadError::Unreadable { run, file, offset } => write!(
                f,
                "the journal of run {run} is damaged: {file} is unreadable at byte {offset}; verify the store [E0132]"
            ),
            LoadError::Undecodable { run, file, offset, error } => write!(
                f,
                "the journal of run {run} holds what this build cannot read, in {file} at byte {offset}: {error}; \
                 open it with the build that wrote it [E0133]"
            ),
            LoadError::Disk(fault) => {
                write!(f, "a journal could not be read: {fault}; mend that and try again [E0134]")
            }
            LoadError::Poisoned(error) => error.fmt(f),
        }
    }
}

impl Error for LoadError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_written_as_people_write_them() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
            (951_782_400_000_000, "2000-02-29 00:00:00 UTC"),
            (1_700_000_000_999_999, "2023-11-14 22:13:20 UTC"),
            (4_107_542_399_000_000, "2100-02-28 23:59:59 UTC"),
            (4_107_542_400_000_000, "2100-03-01 00:00:00 UTC"),
        ];
        for (at, text) in cases {
            assert_eq!(utc(Timestamp(at)), text);
        }
    }
}
