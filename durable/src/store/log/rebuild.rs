//! The index after an open, beside the log: it is compared with what the log says that it must hold, and in doubt cleared
//! and made anew from the whole log. Lookups go on meanwhile, and nothing here changes what they answer.

use std::sync::Arc;

use super::ends::{self, Ends, Who};
use super::error::DiskFault;
use super::files::{Folder, Segments};
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
        let mut segments = Segments::keeping(&self.folder, 0);
        for extent in read.extents {
            if self.is_over() {
                return Ok(());
            }
            recover::each(&mut segments, self.store, extent, |place, frame| {
                // A frame that this build cannot read: those who look for a run in it will say so.
                let ended = ends.of(place, frame).unwrap_or_default();
                self.index.put(ended.iter().map(|(id, closed)| (*id, closed.row())));
                Ok::<_, DiskFault>(())
            })
            .await?;
            self.index.settle();
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        let queue = self.shared.queue();
        queue.gone().is_some() || queue.phase != Phase::Open
    }
}
