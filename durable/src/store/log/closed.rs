//! Where closed runs are: by workflow id, the frame that holds the newest run's end. Correctness is never asked of it: a
//! row is checked against the frame to which it leads, and what is not found here is looked for in the log.

use std::collections::BTreeMap;

use super::runs::IdHash;
use crate::codec::frame::{Lsn, Place};
use crate::kernel::id::RunNo;
use crate::store::filter::Filter;

/// A closed run's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedPlace {
    /// Its short number.
    pub(super) run: RunNo,
    /// The frame that holds its end.
    pub(super) place: Place,
    /// That frame's number.
    pub(super) lsn: Lsn,
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// No run of it ever closed.
    Never,
    /// A run of it closed here.
    At(ClosedPlace),
    /// A run of it may have closed; the log knows.
    Perhaps,
}

/// The closed runs' places, as far as they are at hand, and a filter of all closed runs' ids.
#[derive(Debug, Default)]
pub(super) struct Closed {
    rows: BTreeMap<IdHash, ClosedPlace>,
    filter: Filter,
}

impl Closed {
    /// The places are not at hand of those that closed before; these are their ids.
    pub(super) fn before(filter: Filter) -> Closed {
        Closed { rows: BTreeMap::new(), filter }
    }

    pub(super) fn get(&self, id: &IdHash) -> Known {
        match self.rows.get(id) {
            Some(row) => Known::At(*row),
            None if self.filter.contains(*id) => Known::Perhaps,
            None => Known::Never,
        }
    }

    pub(super) fn put(&mut self, id: IdHash, row: ClosedPlace) {
        self.filter.insert(id);
        self.rows.insert(id, row);
    }

    /// A place that was looked for and found; one that is at hand by now is newer.
    pub(super) fn learn(&mut self, id: IdHash, row: ClosedPlace) {
        let newest = self.rows.entry(id).or_insert(row);
        if newest.lsn < row.lsn {
            *newest = row;
        }
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// A frame was copied: what led to it leads to the copy.
    pub(super) fn moved(&mut self, from: Place, to: Place) {
        self.rows.values_mut().filter(|row| row.place == from).for_each(|row| row.place = to);
    }
}
