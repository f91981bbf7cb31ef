//! What the log says of closed runs as a whole: a filter of their ids, and what rows the index must hold. Where each of
//! them lies, the index says, and correctness is never asked of it: a row is checked against the frame to which it leads.
//!
//! That a row leads to the *newest* run of its id is known from here alone. An id of which the filter did not know when its
//! run closed has that one closed run; for any other id the number of the newest one is kept. (A top-level start never
//! begins a run under a closed run's id, it attaches or conflicts; a child with an id of the code's choice may.)
//!
//! ```text
//! filter: length LEB, bytes | rows: count LEB, hash u64 | ids that may have had a run before: count LEB,
//! each: hash 16 bytes, newest run LEB
//! ```

use std::collections::BTreeMap;

use super::runs::IdHash;
use crate::codec::frame::{Lsn, Place, SegmentNo};
use crate::codec::{DecodeError, leb};
use crate::kernel::id::RunNo;
use crate::store::filter::Filter;
use crate::store::index::{self, Sum};

/// A closed run's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClosedPlace {
    /// Its short number.
    pub(super) run: RunNo,
    /// The frame that holds its end.
    pub(super) place: Place,
    /// That frame's number.
    pub(super) lsn: Lsn,
    /// That frame's content CRC, once it is sealed.
    pub(super) crc: Option<u32>,
}

impl ClosedPlace {
    /// The row as the index has it.
    pub(super) fn row(&self) -> index::ClosedPlace {
        let Place { segment, offset } = self.place;
        index::ClosedPlace {
            run: self.run,
            segment: segment.0,
            offset,
            lsn: self.lsn.0,
            crc: self.crc.unwrap_or_default(),
        }
    }
}

impl From<index::ClosedPlace> for ClosedPlace {
    fn from(row: index::ClosedPlace) -> ClosedPlace {
        let place = Place { segment: SegmentNo(row.segment), offset: row.offset };
        ClosedPlace { run: row.run, place, lsn: Lsn(row.lsn), crc: Some(row.crc) }
    }
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// No run of it ever closed.
    Never,
    /// A run of it may have closed; the log knows.
    Perhaps(Newest),
}

/// Which closed run of an id is the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Newest {
    /// It has one at most.
    Sole,
    /// This one.
    Run(RunNo),
}

impl Newest {
    pub(super) fn may_be(self, run: RunNo) -> bool {
        match self {
            Newest::Sole => true,
            Newest::Run(newest) => newest == run,
        }
    }
}

/// See the head of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Closed {
    filter: Filter,
    rows: Sum,
    newest: BTreeMap<IdHash, RunNo>,
}

impl Closed {
    pub(super) fn known(&self, id: &IdHash) -> Known {
        if !self.filter.contains(*id) {
            return Known::Never;
        }
        Known::Perhaps(self.newest.get(id).map_or(Newest::Sole, |run| Newest::Run(*run)))
    }

    /// A run of this id has closed, and none after it.
    pub(super) fn put(&mut self, id: IdHash, closed: &ClosedPlace) {
        if self.filter.contains(id) {
            self.newest.insert(id, closed.run);
        }
        self.filter.insert(id);
        self.rows = self.rows.with(id, &closed.row());
    }

    /// A frame was copied: a row that was put leads to the copy.
    pub(super) fn moved(&mut self, id: IdHash, from: &ClosedPlace, to: &ClosedPlace) {
        self.rows = self.rows.moved(id, &from.row(), &to.row());
    }

    /// What the index must hold.
    pub(super) fn rows(&self) -> Sum {
        self.rows
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut bits = Vec::new();
        self.filter.encode(&mut bits);
        leb::put(bits.len() as u64, out);
        out.append(&mut bits);
        leb::put(self.rows.count, out);
        out.extend_from_slice(&self.rows.hash.to_le_bytes());
        leb::put(self.newest.len() as u64, out);
        for (id, run) in &self.newest {
            out.extend_from_slice(id);
            leb::put(run.0, out);
        }
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Result<Closed, DecodeError> {
        let len = leb::take_len(bytes)?;
        let filter =
            Filter::decode(leb::take_bytes(bytes, len)?).ok_or(DecodeError::Value { rule: "a filter is whole" })?;
        let rows = Sum { count: leb::take(bytes)?, hash: u64::from_le_bytes(leb::take_array(bytes)?) };
        let mut newest = BTreeMap::new();
        for _ in 0..leb::take(bytes)? {
            newest.insert(leb::take_array(bytes)?, RunNo(leb::take(bytes)?));
        }
        Ok(Closed { filter, rows, newest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(run: u64) -> ClosedPlace {
        let place = Place { segment: SegmentNo(run), offset: 8 * run };
        ClosedPlace { run: RunNo(run), place, lsn: Lsn(run), crc: None }
    }

    #[test]
    fn an_id_whose_run_is_not_the_first_one_has_a_newest_run() {
        let mut all = Closed::default();
        assert_eq!(all.known(&[1; 16]), Known::Never);
        all.put([1; 16], &closed(5));
        assert_eq!(all.known(&[1; 16]), Known::Perhaps(Newest::Sole));
        all.put([1; 16], &closed(9));
        let Known::Perhaps(newest) = all.known(&[1; 16]) else { panic!("it closed") };
        assert!(newest.may_be(RunNo(9)) && !newest.may_be(RunNo(5)));
        assert_eq!(all.rows().count, 2);
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let mut all = Closed::default();
        (1..60).for_each(|run| all.put([u8::try_from(run % 50).unwrap(); 16], &closed(run)));
        let mut bytes = Vec::new();
        all.encode(&mut bytes);
        assert_eq!(Closed::decode(&mut &*bytes), Ok(all));
        assert!((0..bytes.len()).all(|len| Closed::decode(&mut bytes.get(..len).unwrap()).is_err()));
    }
}
