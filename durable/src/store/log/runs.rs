//! What the store itself knows of each open run: where its journal ends, its number of events, and the names that it has
//! written. Nothing of what the run waits for: that is in the kernel's tables.

use std::sync::{Arc, OnceLock};

use crate::codec::frame::StoreId;
use crate::codec::frame::{Lsn, Place};
use crate::codec::hash;
use crate::codec::names::Names;
use crate::kernel::by_run::ByRun;
use crate::kernel::event::Text;
use crate::kernel::id::EventNo;

/// A namespace and a workflow id, as a hash.
pub(super) type IdHash = [u8; 16];

/// The hash of a workflow id in this store.
pub(super) fn id_hash(store: StoreId, namespace: &Text, id: &Text) -> IdHash {
    hash::id_hash(&store.0, namespace.as_str(), id.as_str())
}

/// Where a frame will stand, once its batch is closed.
pub(super) type PlaceCell = Arc<OnceLock<Place>>;

/// Where a run's newest events stand.
#[derive(Debug, Clone, Default)]
pub(super) enum Tail {
    /// Nowhere: it has none.
    #[default]
    None,
    /// In this frame, which has its place.
    At(Place, Lsn),
    /// In the batch that fills; its events before those are in an earlier frame.
    Filling {
        /// That earlier frame.
        before: Option<Place>,
    },
}

/// An open run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The number of its next event.
    pub(super) next: EventNo,
    pub(super) tail: Tail,
    pub(super) names: Names,
    pub(super) id: IdHash,
    /// Whether its end is appended. It is forgotten when that is written.
    pub(super) is_ended: bool,
}

impl Run {
    pub(super) fn new(id: IdHash) -> Run {
        Run { next: EventNo(0), tail: Tail::None, names: Names::new(), id, is_ended: false }
    }

    /// The frame that holds the run's events before those that are appended now.
    pub(super) fn prev(&self) -> Option<Place> {
        match self.tail {
            Tail::None => None,
            Tail::At(place, _) => Some(place),
            Tail::Filling { before } => before,
        }
    }
}

/// The open runs, by number.
pub(super) type Runs = ByRun<Run>;
