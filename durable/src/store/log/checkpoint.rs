//! A checkpoint's content: the kernel's tables and what the store knows of each open run, as they were where part 0
//! stands. It is cut into parts, each the first section of a frame of its own, so that recovery finds them without
//! reading what else the frames hold.
//!
//! ```text
//! version u8 = 2 | what is known of closed runs
//! open runs: count LEB, each: number LEB, segment LEB, offset/8 LEB, names | tables, to the end
//! ```

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::closed::Closed;
use super::runs::{Run, Runs};
use crate::codec::frame::{Place, SegmentNo};
use crate::codec::names::Names;
use crate::codec::tables::{self, Both};
use crate::codec::{DecodeError, leb};
use crate::kernel::id::{EventNo, RunNo};
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

/// Bytes, cut into parts while they come: there may be a hundred megabytes, for which nobody has to find memory at once.
#[derive(Debug, Default)]
struct Cut(Vec<Vec<u8>>);

impl Cut {
    fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.0.last().is_none_or(|part| part.len() >= PART_BYTES_MAX) {
                self.0.push(Vec::new());
            }
            let Some(part) = self.0.last_mut() else { return };
            let (fits, left) = bytes.split_at(bytes.len().min(PART_BYTES_MAX - part.len()));
            part.extend_from_slice(fits);
            bytes = left;
        }
    }

    /// These parts and those that follow; two are one where they meet if that is not too long.
    fn then(mut self, others: Cut) -> Vec<Vec<u8>> {
        let mut others = others.0.into_iter().peekable();
        if let (Some(last), Some(first)) = (self.0.last_mut(), others.peek())
            && last.len() + first.len() <= PART_BYTES_MAX
        {
            last.extend_from_slice(first);
            others.next();
        }
        self.0.extend(others);
        self.0
    }
}

/// The tables as bytes, before anybody else has to wait: a part of them may have to be read, and the log goes on meanwhile.
#[derive(Debug)]
pub(super) struct Encoded {
    /// What stands before the runs.
    front: Vec<u8>,
    runs: Cut,
    /// Which runs there are, and the numbers of their next events, as one number.
    sum: u64,
}

impl Encoded {
    pub(super) fn of(tables: &AllTables<'_>) -> Encoded {
        let (mut runs, mut sum) = (Cut::default(), Sum::default());
        let open = tables.open().inspect(|(no, entry)| sum.add(*no, entry.next));
        let front = tables::encode_runs(tables.next_run(), open, |run| runs.extend(run));
        Encoded { front, runs, sum: sum.get() }
    }

    /// The whole content, in parts. Every run's tail has its place: the batch that fills was closed before.
    pub(super) fn with(self, runs: &Runs, closed: &Closed) -> Vec<Vec<u8>> {
        let (mut front, mut out) = (Cut::default(), vec![VERSION]);
        closed.encode(&mut out);
        let open = || runs.iter().filter(|(_, run)| !run.is_ended);
        leb::put(open().count() as u64, &mut out);
        for (no, run) in open() {
            let place = run.prev().unwrap_or_default();
            leb::put(no.0, &mut out);
            leb::put(place.segment.0, &mut out);
            leb::put(place.offset / 8, &mut out);
            if planted!(26) {
                Names::new().encode(&mut out)
            } else {
                runs.names(no).encode(&mut out)
            }
            if out.len() >= PART_BYTES_MAX {
                front.extend(&out);
                out.clear();
            }
        }
        front.extend(&out);
        front.extend(&self.front);
        front.then(self.runs)
    }

    /// Whether these are the tables of what was appended.
    pub(super) fn fits(&self, runs: &Runs) -> bool {
        let mut sum = Sum::default();
        open(runs).for_each(|(no, next)| sum.add(no, next));
        sum.get() == self.sum
    }
}

/// The first run that is open by what was appended and not by the tables, or with another number of events, or the other way round.
pub(super) fn first_that_differs(tables: &AllTables<'_>, runs: &Runs) -> Option<RunNo> {
    let (mut appended, mut given) = (open(runs), tables.open().map(|(no, entry)| (no, entry.next)));
    loop {
        match (appended.next(), given.next()) {
            (None, None) => return None,
            (appended, given) if appended == given => {}
            (appended, given) => return appended.into_iter().chain(given).map(|(no, _)| no).min(),
        }
    }
}

/// The runs that are open by what was appended, and the numbers of their next events.
fn open(runs: &Runs) -> impl Iterator<Item = (RunNo, EventNo)> + '_ {
    runs.iter().filter(|(_, run)| !run.is_ended).map(|(no, run)| (no, run.next))
}

/// Runs and numbers as one number. It guards against a defect, and not against whoever would choose them for it.
#[derive(Default)]
struct Sum(SipHasher13);

impl Sum {
    fn add(&mut self, RunNo(run): RunNo, EventNo(next): EventNo) {
        self.0.write_u64(run);
        self.0.write_u64(next);
    }

    fn get(&self) -> u64 {
        self.0.finish()
    }
}

/// Reads the content.
pub(super) fn decode(mut bytes: &[u8], both: Both<'_>) -> Result<Content, DecodeError> {
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
        take_run(bytes, &mut runs)?;
    }
    let tables = tables::decode_by(bytes, both)?;
    if !runs.keys().eq(tables.open.keys()) {
        return Err(DecodeError::Value { rule: "the runs that have a place are those in the tables" });
    }
    for (no, entry) in tables.open.iter() {
        runs.change(no, |run| run.next = entry.next);
    }
    Ok(Content { tables, runs, closed })
}

/// A run's place and names; the rest of it follows from the tables.
fn take_run(bytes: &mut &[u8], runs: &mut Runs) -> Result<(), DecodeError> {
    let no = RunNo(leb::take(bytes)?);
    let segment = SegmentNo(leb::take(bytes)?);
    let offset = leb::take(bytes)?.checked_mul(8).ok_or(DecodeError::Number)?;
    let mut run = Run::NEW;
    run.place(Place { segment, offset });
    runs.put(no, run);
    let written = Names::decode(bytes)?;
    runs.with_names(no, |names| *names = written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_was_cut_and_none_is_too_long() {
        let bytes = |from: usize, len: usize| (from..from + len).map(|n| (n % 251) as u8).collect::<Vec<u8>>();
        for (front, behind) in
            [(0, 0), (10, 0), (10, 20), (PART_BYTES_MAX, 1), (PART_BYTES_MAX + 7, 3 * PART_BYTES_MAX)]
        {
            let (mut cut, mut others) = (Cut::default(), Cut::default());
            // As long as a run takes, which fits into no number of parts.
            bytes(0, front).chunks(113).for_each(|run| cut.extend(run));
            bytes(front, behind).chunks(113).for_each(|run| others.extend(run));
            let parts = cut.then(others);
            assert_eq!(parts.concat(), bytes(0, front + behind));
            assert!(parts.iter().all(|part| (1..=PART_BYTES_MAX).contains(&part.len())), "{front}, {behind}");
            assert!(parts.len() <= (front + behind).div_ceil(PART_BYTES_MAX) + 1);
        }
    }
}
