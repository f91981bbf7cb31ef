//! What a file system adds to what POSIX says: which subsets of the pending units may survive a power cut, what a failed
//! sync leaves in the page cache, what an overwrite needs. A personality never adds a crash; it only takes crashes away
//! that this file system cannot have, and each rule says why it is believed. The hostile one takes none away.

use serde::{Deserialize, Serialize};

use super::fault::AfterFailedSync;
use super::inode::BLOCK;
use super::pending::{Pending, SECTOR};

/// A file system's habits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Personality {
    /// Does anything that POSIX allows: any subset, in any order, of sectors, sizes and names.
    #[default]
    Hostile,
    /// ext4 as it is mounted by default, `data=ordered`. Changes of names and sizes are in one journal whose transactions
    /// are committed in their order, so that a prefix of them survives; and the data of a file that grew are written before
    /// the transaction that has its new size, so that a grown size never shows bytes that were not written (the kernel's
    /// documentation, `filesystems/ext4/journal`, and the `data=` options in ext4(5)). Overwritten data are under no order.
    Ext4,
    /// XFS. Names and sizes are changed by log items that recovery replays in the order of the log, so that a prefix
    /// survives; the size on disk moves when the write beyond the old end is complete and not before (the kernel's
    /// documentation, `filesystems/xfs/xfs-delayed-logging-design`, and `xfs_setfilesize` at the end of a write).
    Xfs,
    /// btrfs. As above for names and sizes: a commit has all that came before it in its tree. Data are copied on write, so
    /// that a block (4096 bytes) is the old one or the new one and never torn, and an overwrite needs a free block: it can
    /// fail with `ENOSPC` (btrfs(5), NODATACOW, and the documentation's page on copy-on-write).
    Btrfs,
}

/// What an interrupted write does to the bytes of its physical block that it does not touch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Overwrites {
    /// They stay: the assumption that the log states (rule 14) as long as it has no option to pad its frames.
    #[default]
    KeepTheirBlock,
    /// They are noise, as on a device whose physical sector is larger than 512 bytes and that is not powersafe. Off unless
    /// it is asked for: a log without padding does not claim to survive it.
    SpoilTheirBlock,
}

impl Personality {
    /// All of them.
    pub const ALL: [Personality; 4] = [Personality::Hostile, Personality::Ext4, Personality::Xfs, Personality::Btrfs];

    /// What processes see of a file whose sync failed. ext4 and XFS mark the pages clean and keep the new content, btrfs
    /// goes back to the old one (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020). The
    /// hostile one may do either; this is the worse of the two, since a page that lies is found out only after a cut.
    #[must_use]
    pub fn after_failed_sync(self) -> AfterFailedSync {
        match self {
            Personality::Hostile | Personality::Ext4 | Personality::Xfs => AfterFailedSync::NewContent,
            Personality::Btrfs => AfterFailedSync::OldContent,
        }
    }

    /// Whether an overwrite needs space of its own.
    pub(super) fn copies_on_write(self) -> bool {
        self == Personality::Btrfs
    }

    pub(super) fn restriction(self) -> Restriction {
        Restriction { personality: self, in_order: true }
    }
}

/// Goes through the pending operations in their order and takes away what cannot survive.
#[derive(Debug)]
pub(super) struct Restriction {
    personality: Personality,
    /// Whether every change of names and sizes so far survived.
    in_order: bool,
}

impl Restriction {
    pub(super) fn next(&mut self, pending: &Pending, kept: &mut [bool]) {
        match self.personality {
            Personality::Hostile => {}
            Personality::Ext4 | Personality::Xfs => self.journalled(pending, kept),
            Personality::Btrfs => {
                whole_blocks(pending, kept);
                self.journalled(pending, kept);
            }
        }
    }

    fn journalled(&mut self, pending: &Pending, kept: &mut [bool]) {
        let grows = match pending {
            Pending::Write { grows_to, .. } => grows_to.is_some(),
            Pending::SetLen { .. } | Pending::Link { .. } | Pending::Unlink { .. } | Pending::Rename { .. } => true,
        };
        let Some((metadata, data)) = kept.split_first_mut().filter(|_| grows) else { return };
        *metadata &= self.in_order && data.iter().all(|kept| *kept);
        self.in_order = *metadata;
    }
}

/// A block survives when all of its sectors do.
fn whole_blocks(pending: &Pending, kept: &mut [bool]) {
    let Pending::Write { offset, grows_to, .. } = pending else { return };
    let Some(sectors) = kept.get_mut(usize::from(grows_to.is_some())..) else { return };
    let per_block = BLOCK / SECTOR as usize;
    let before = (offset % BLOCK as u64 / SECTOR) as usize;
    let (first, rest) = sectors.split_at_mut((per_block - before).min(sectors.len()));
    for block in std::iter::once(first).chain(rest.chunks_mut(per_block)) {
        let whole = block.iter().all(|kept| *kept);
        block.fill(whole);
    }
}
