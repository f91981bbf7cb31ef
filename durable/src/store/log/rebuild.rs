//! The index after an open, beside the log: it is compared with what the log says that it must hold, and in doubt cleared
//! and made anew from the whole log. Lookups go on meanwhile, and nothing here changes what they answer.

use std::sync::Arc;

use super::ends::{self, Ends, Who};
use super::error::DiskFault;
use super::files::Folder;
use super::queue::Phase;
use super::recover;
use super::shared::Shared;
use crate::codec::frame::{Lsn, StoreId};
use crate::store::index::{Index, Sum};

/// See the head of the file.
pub(super) struct Rebuild {
    pub(super) index: Index,
    pub(super) shared: Arc<Shared>,
    pub(super) folder: Arc<Folder>,
    pub(super) store: StoreId,
    /// What the index must hold of the frames up to the last one that the open found.
    pub(super) expected: Sum,
    pub(super) last: Lsn,
}

impl Rebuild {
    pub(super) async fn run(self) {
        if self.index.verify(self.expected, self.last.0) || self.is_over() {
            return;
        }
        // What the writer puts from here on stays; what it put before is in the log by now.
        self.index.clear();
        tracing::info!(runs = self.expected.count, "the index of closed runs is made anew from the log");
        if let Err(fault) = self.fill().await {
            tracing::warn!(%fault, "the index of closed runs could not be made anew; lookups read the log instead");
        }
    }

    async fn fill(&self) -> Result<(), DiskFault> {
        let read = ends::read_log(&self.folder, self.store, Who::Owner).await?;
        let mut ends = Ends::new(self.store);
        for extent in read.extents {
            if self.is_over() {
                return Ok(());
            }
            let bytes = self.folder.read_segment(extent.place.segment).await?;
            for found in recover::frames(&bytes, self.store, extent) {
                let (place, frame) = found?;
                // A frame that this build cannot read: those who look for a run in it will say so.
                let ended = ends.of(place, &frame).unwrap_or_default();
                self.index.put(ended.iter().map(|(id, closed)| (*id, closed.row())));
            }
            self.index.settle();
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let queue = self.shared.queue();
        queue.gone().is_some() || queue.phase != Phase::Open
    }
}
