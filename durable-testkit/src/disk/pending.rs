//! What was done and is not yet durable: in order, each operation made of units that a power cut keeps or loses on their
//! own. It never decides what survives; that is chosen in `crash`.
//!
//! A write is kept or lost sector by sector (512 bytes), and its growth of the file is a unit of its own: kept without
//! the bytes it gives zeros, lost it takes the bytes behind the old end with it. A sector is written whole, with what
//! the page cache held in it at the time of the write, so a later write never survives without the earlier ones in its
//! sector. A directory entry is one unit; a rename is one unit and thus atomic.

use std::sync::Arc;

use super::digest::Digest;
use super::inode::{BLOCK, Image, Ino, is_zero};

/// What a disk writes whole or not at all.
pub(super) const SECTOR: u64 = 512;

/// How many sectors that survive side by side are written in one go.
const SECTORS_AT_ONCE: usize = 128;

/// Bytes of a pending write.
#[derive(Debug, Clone)]
pub(super) enum Bytes {
    /// So many zeros.
    Zeros(usize),
    /// These.
    Data(Arc<[u8]>),
}

impl Bytes {
    pub(super) fn new(bytes: &[u8]) -> Self {
        match is_zero(bytes) {
            true => Bytes::Zeros(bytes.len()),
            false => Bytes::Data(bytes.into()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Bytes::Zeros(len) => *len,
            Bytes::Data(bytes) => bytes.len(),
        }
    }

    pub(super) fn digest(&self, digest: Digest) -> Digest {
        match self {
            Bytes::Zeros(len) => digest.number(*len as u64),
            Bytes::Data(bytes) => digest.bytes(bytes),
        }
    }

    /// So many sectors, [`SECTORS_AT_ONCE`] at most.
    fn sectors(&self, first: usize, count: usize) -> &[u8] {
        let start = first * SECTOR as usize;
        let end = (start + count * SECTOR as usize).min(self.len());
        match self {
            Bytes::Zeros(_) => &[0; SECTORS_AT_ONCE * SECTOR as usize][..end - start],
            Bytes::Data(bytes) => &bytes[start..end],
        }
    }
}

/// One operation that a sync has yet to make durable.
#[derive(Debug, Clone)]
pub(super) enum Pending {
    /// Whole sectors of a file from `offset` on (the last one may end with the file).
    Write { ino: Ino, offset: u64, bytes: Bytes, grows_to: Option<u64> },
    /// A file cut or extended.
    SetLen { ino: Ino, len: u64 },
    /// A new name.
    Link { dir: Ino, name: Arc<str>, ino: Ino },
    /// A name taken away.
    Unlink { dir: Ino, name: Arc<str>, ino: Ino },
    /// A name changed, replacing.
    Rename { dir: Ino, from: Arc<str>, to: Arc<str>, ino: Ino },
}

impl Pending {
    /// The file whose data this is, if it is data.
    pub(super) fn data_of(&self) -> Option<Ino> {
        match self {
            Pending::Write { ino, .. } | Pending::SetLen { ino, .. } => Some(*ino),
            Pending::Link { .. } | Pending::Unlink { .. } | Pending::Rename { .. } => None,
        }
    }

    /// The directory whose entry this is, if it is one.
    pub(super) fn entry_of(&self) -> Option<Ino> {
        match self {
            Pending::Write { .. } | Pending::SetLen { .. } => None,
            Pending::Link { dir, .. } | Pending::Unlink { dir, .. } | Pending::Rename { dir, .. } => Some(*dir),
        }
    }

    /// Whether an inode may be without a name after it.
    pub(super) fn takes_a_name(&self) -> bool {
        matches!(self, Pending::Unlink { .. } | Pending::Rename { .. })
    }

    /// The inode that this is about.
    pub(super) fn ino(&self) -> Ino {
        match self {
            Pending::Write { ino, .. }
            | Pending::SetLen { ino, .. }
            | Pending::Link { ino, .. }
            | Pending::Unlink { ino, .. }
            | Pending::Rename { ino, .. } => *ino,
        }
    }

    /// How many parts of it a power cut keeps or loses on their own.
    pub(super) fn units(&self) -> usize {
        match self {
            Pending::Write { bytes, grows_to, .. } => {
                bytes.len().div_ceil(SECTOR as usize) + usize::from(grows_to.is_some())
            }
            Pending::SetLen { .. } | Pending::Link { .. } | Pending::Unlink { .. } | Pending::Rename { .. } => 1,
        }
    }

    /// Does to `image` what is left of this when only the units survive of which `kept` says so.
    pub(super) fn apply(&self, image: &mut Image, mut kept: impl FnMut(usize) -> bool) {
        match self {
            Pending::Write { ino, offset, bytes, grows_to } => {
                let Some(content) = image.file_mut(*ino) else { return };
                let first = usize::from(grows_to.is_some());
                if let Some(len) = grows_to.filter(|_| kept(0)) {
                    content.grow(len);
                }
                let sectors = bytes.len().div_ceil(SECTOR as usize);
                let mut sector = 0;
                while sector < sectors {
                    let most = sectors.min(sector + SECTORS_AT_ONCE);
                    let run = (sector..most).take_while(|sector| kept(first + sector)).count();
                    content.overwrite(offset + sector as u64 * SECTOR, bytes.sectors(sector, run));
                    sector += run.max(1);
                }
            }
            Pending::SetLen { ino, len } if kept(0) => {
                if let Some(content) = image.file_mut(*ino) {
                    content.set_len(*len);
                }
            }
            _ if kept(0) => self.apply_entry(image),
            _ => {}
        }
    }

    /// Fills with noise what the write would have kept of the physical blocks (4096 bytes) that it has touched, unless all
    /// of it survives.
    pub(super) fn spoil(&self, image: &mut Image, kept: &[bool]) {
        let Pending::Write { ino, offset, bytes, .. } = self else { return };
        if kept.iter().all(|kept| *kept) || !kept.iter().any(|kept| *kept) {
            return;
        }
        let first = offset / BLOCK as u64 * BLOCK as u64;
        let end = (offset + bytes.len() as u64).next_multiple_of(BLOCK as u64);
        let Some(content) = image.file_mut(*ino) else { return };
        let noise = vec![0xA5; usize::try_from(end - first).expect("because a write fits in memory")];
        content.overwrite(first, &noise);
    }

    fn apply_entry(&self, image: &mut Image) {
        let Some(entries) = self.entry_of().and_then(|dir| image.entries_mut(dir)) else { return };
        let mut drop_name = |name: &Arc<str>, ino: &Ino| {
            if entries.get(name) == Some(ino) {
                entries.remove(name);
            }
        };
        match self {
            Pending::Unlink { name, ino, .. } => drop_name(name, ino),
            Pending::Rename { from, to, ino, .. } => {
                drop_name(from, ino);
                entries.insert(to.clone(), *ino);
            }
            Pending::Link { name, ino, .. } => {
                entries.insert(name.clone(), *ino);
            }
            Pending::Write { .. } | Pending::SetLen { .. } => {}
        }
    }
}
