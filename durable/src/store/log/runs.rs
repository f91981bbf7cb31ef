//! What the store itself knows of each open run: where its journal ends, its number of events, and the names that it has
//! written. Nothing of what the run waits for: that is in the kernel's tables.

use std::sync::{Arc, OnceLock};

use crate::codec::frame::{Place, StoreId};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nowhere: it has none.
    None,
    /// In a frame that has its place.
    Placed,
    /// In the batch that fills, and its events before those in a frame that has its place.
    Filling,
    /// All in the batch that fills.
    AllFilling,
}

/// An open run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The number of its next event.
    pub(super) next: EventNo,
    tail: Tail,
    /// The newest frame of its events that has its place, if there is one.
    placed: Place,
    pub(super) names: Names,
    pub(super) id: IdHash,
    /// Whether its end is appended. It is forgotten when that is written.
    pub(super) is_ended: bool,
}

impl Run {
    pub(super) fn new(id: IdHash) -> Run {
        Run { next: EventNo(0), tail: Tail::None, placed: Place::default(), names: Names::new(), id, is_ended: false }
    }

    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// The frame that holds the run's events before those that are appended now.
    pub(super) fn prev(&self) -> Option<Place> {
        match self.tail {
            Tail::None | Tail::AllFilling => None,
            Tail::Placed | Tail::Filling => Some(self.placed),
        }
    }

    /// Its newest events are in the batch that fills. Tells whether those are the first of its there.
    pub(super) fn fills(&mut self) -> bool {
        let before = self.tail;
        self.tail = match before {
            Tail::None | Tail::AllFilling => Tail::AllFilling,
            Tail::Placed | Tail::Filling => Tail::Filling,
        };
        before != self.tail
    }

    /// Its newest events are in the frame at this place.
    pub(super) fn place(&mut self, place: Place) {
        (self.tail, self.placed) = (Tail::Placed, place);
    }
}

/// The open runs, by number.
pub(super) type Runs = ByRun<Run>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::RunNo;

    #[test]
    fn a_run_takes_no_more_than_it_has_to() {
        assert_eq!(size_of::<(RunNo, Option<Run>)>(), 64);
    }
}
