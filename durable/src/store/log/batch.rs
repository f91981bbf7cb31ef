//! A batch: the groups that one frame will hold, while it fills and while it waits to be written.

use std::sync::Arc;

use super::place::{Berth, Layout};
use super::runs::{IdHash, PlaceCell};
use crate::codec::frame::{self, Lsn, Place};
use crate::kernel::id::{Position, RunNo, Timestamp};

/// A batch that fills. Its number is known, its place is not.
#[derive(Debug)]
pub(super) struct Filling {
    pub(super) lsn: Lsn,
    /// When the first group came in.
    pub(super) at: Timestamp,
    /// Room for the header, and the sections.
    pub(super) bytes: Vec<u8>,
    pub(super) cell: PlaceCell,
    /// The runs that have events in it.
    pub(super) touched: Vec<RunNo>,
    /// The runs that end in it.
    pub(super) ended: Vec<(IdHash, RunNo)>,
    /// The last group in it; none if it has no group.
    pub(super) last: Option<Position>,
}

impl Filling {
    pub(super) fn new(lsn: Lsn) -> Filling {
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        Filling {
            lsn,
            at: Timestamp::default(),
            bytes,
            cell: Arc::default(),
            touched: Vec::new(),
            ended: Vec::new(),
            last: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.last.is_none()
    }

    /// Nothing goes in any more: it gets its place.
    pub(super) fn close(self, layout: &mut Layout) -> Batch {
        let berth = layout.take(self.bytes.len());
        // The cell is set once: a batch that fills is closed once, and nobody else sets it.
        let _is_first = self.cell.set(berth.place);
        Batch { lsn: self.lsn, at: self.at, bytes: self.bytes, berth, ended: self.ended, last: self.last }
    }
}

/// A batch that waits to be written.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lsn: Lsn,
    pub(super) at: Timestamp,
    /// The frame, its header still empty.
    pub(super) bytes: Vec<u8>,
    pub(super) berth: Berth,
    /// The runs that end in it.
    pub(super) ended: Vec<(IdHash, RunNo)>,
    /// The last group in it; none if it has no group.
    pub(super) last: Option<Position>,
}

impl Batch {
    pub(super) fn place(&self) -> Place {
        self.berth.place
    }

    /// Where the next frame may begin.
    pub(super) fn end(&self) -> u64 {
        self.berth.place.offset + frame::stride(self.bytes.len())
    }
}
