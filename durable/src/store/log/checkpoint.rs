//! A checkpoint's content: the kernel's tables and what the store knows of each open run, as they were where part 0
//! stands. It is cut into parts, each the first section of a frame of its own, so that recovery finds them without
//! reading what else the frames hold.
//!
//! ```text
//! version u8 = 2 | what is known of closed runs
//! open runs: count LEB, each: number LEB, segment LEB, offset/8 LEB, names | tables, to the end
//! ```

use super::closed::Closed;
use super::runs::{self, IdHash, Run, Runs};
use crate::codec::frame::{Place, SegmentNo, StoreId};
use crate::codec::names::Names;
use crate::codec::tables::{self, Both};
use crate::codec::{DecodeError, leb};
use crate::kernel::id::RunNo;
use crate::kernel::tables::{AllTables, Tables};

/// The longest part.
pub(super) const PART_BYTES_MAX: usize = 1 << 20;

const VERSION: u8 = 2;

/// No run takes fewer bytes, here and in the tables together.
const RUN_BYTES_MIN: usize = 48;

/// What a checkpoint holds.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) tables: Tables,
    pub(super) runs: Runs,
    pub(super) closed: Closed,
}

/// The whole content. Every run's tail has its place: the batch that fills was closed before.
pub(super) fn encode(tables: &AllTables<'_>, runs: &Runs, closed: &Closed) -> Vec<u8> {
    let mut out = vec![VERSION];
    closed.encode(&mut out);
    let open = || runs.iter().filter(|(_, run)| !run.is_ended);
    leb::put(open().count() as u64, &mut out);
    for (no, run) in open() {
        let place = run.prev().unwrap_or_default();
        leb::put(no.0, &mut out);
        leb::put(place.segment.0, &mut out);
        leb::put(place.offset / 8, &mut out);
        if planted!(26) { Names::new().encode(&mut out) } else { run.names.encode(&mut out) }
    }
    tables::encode(tables, &mut out);
    out
}

/// Reads the content.
pub(super) fn decode(mut bytes: &[u8], store: StoreId, both: Both<'_>) -> Result<Content, DecodeError> {
    let bytes = &mut bytes;
    match leb::take_u8(bytes)? {
        VERSION => {}
        found => return Err(DecodeError::Choice { of: "version of a checkpoint", found: found.into() }),
    }
    let closed = Closed::decode(bytes)?;
    let count = leb::take(bytes)?;
    // Never by the count alone, which may be wrong.
    let most = bytes.len() / RUN_BYTES_MIN;
    let mut runs = Runs::with_capacity(usize::try_from(count).map_or(most, |count| count.min(most)));
    for _ in 0..count {
        let (no, run) = take_run(bytes)?;
        runs.insert(no, run);
    }
    let tables = tables::decode_by(bytes, both)?;
    if !runs.keys().eq(tables.open.keys()) {
        return Err(DecodeError::Value { rule: "the runs that have a place are those in the tables" });
    }
    for (run, entry) in runs.values_mut().zip(tables.open.values()) {
        run.next = entry.next;
        run.id = runs::id_hash(store, &entry.kind.namespace, &entry.id);
    }
    Ok(Content { tables, runs, closed })
}

/// A run's place and names; the rest of it follows from the tables.
fn take_run(bytes: &mut &[u8]) -> Result<(RunNo, Run), DecodeError> {
    let no = RunNo(leb::take(bytes)?);
    let segment = SegmentNo(leb::take(bytes)?);
    let offset = leb::take(bytes)?.checked_mul(8).ok_or(DecodeError::Number)?;
    let mut run = Run::new(IdHash::default());
    run.place(Place { segment, offset });
    run.names = Names::decode(bytes)?;
    Ok((no, run))
}
