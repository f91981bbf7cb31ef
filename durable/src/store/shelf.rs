//! Where what is known of runs stands while they are not in memory: rows in a file without a name, which is gone with the process. It is never
//! synced and never read by another process, since the log has it all. A row is as in a checkpoint, with the texts that it needs in front.
//!
//! ```text
//! crc32 u32 | length u16 | texts | run
//! ```
//!
//! A row begins at a multiple of 32 bytes. Its place goes to another one that takes as many of these when it is taken out.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::disk::{InMemory, Scratch};
use crate::codec::tables;
use crate::kernel::id::RunNo;
use crate::kernel::open_runs::{Shelf, Spot};
use crate::kernel::tables::{Kinds, RunEntry};

/// Rows begin at multiples of this.
const UNIT: usize = 32;

/// What stands in front of a row: its checksum and its length.
const HEAD: usize = 6;

/// What is longer stays in memory.
const ROW_MAX: usize = 4096;

/// So much is written at once, and so much is kept until then.
const TAIL_MAX: usize = 64 << 10;

/// Makes the file: not before there is more than is kept, and once.
type Make = Box<dyn FnOnce() -> io::Result<Box<dyn Scratch>> + Send + Sync>;

/// Whether the file may become longer.
type MayGrow = Box<dyn Fn() -> bool + Send + Sync>;

/// See the head of the file.
pub struct Rows {
    make: Option<Make>,
    may_grow: MayGrow,
    file: Option<Box<dyn Scratch>>,
    /// What is not in the file yet, ..
    tail: Vec<u8>,
    /// .. and where it will stand there.
    tail_at: u64,
    /// The places of rows that were taken out, by how many units they have.
    free: BTreeMap<usize, Vec<Spot>>,
    /// How many rows there are.
    rows: usize,
    read: Mutex<Read>,
}

/// What was read last.
#[derive(Default)]
struct Read {
    begin: u64,
    bytes: Vec<u8>,
    kinds: Kinds,
}

impl Rows {
    /// In a file that `make` makes, and that becomes longer as long as `may_grow` says so.
    pub fn new(
        make: impl FnOnce() -> io::Result<Box<dyn Scratch>> + Send + Sync + 'static,
        may_grow: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Rows {
        Rows {
            make: Some(Box::new(make)),
            may_grow: Box::new(may_grow),
            file: None,
            tail: Vec::new(),
            tail_at: 0,
            free: BTreeMap::new(),
            rows: 0,
            read: Mutex::default(),
        }
    }

    /// In memory: as long as in a file, and gone as it is.
    #[must_use]
    pub fn in_memory() -> Rows {
        Rows::new(|| Ok(Box::new(InMemory::default())), || true)
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a row where one was taken out, or behind all others.
    fn write(&mut self, row: &[u8]) -> io::Result<Spot> {
        let units = row.len() / UNIT;
        if let Some(spot) = self.free.get_mut(&units).and_then(Vec::pop) {
            let written = self.write_at(offset(spot), row);
            if written.is_err() {
                self.free.entry(units).or_default().push(spot);
            }
            return written.map(|()| spot);
        }
        if self.tail.len() + row.len() > TAIL_MAX {
            self.write_tail()?;
        }
        let spot = spot(self.tail_at + self.tail.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        self.tail.extend_from_slice(row);
        Ok(spot)
    }

    fn write_at(&mut self, at: u64, row: &[u8]) -> io::Result<()> {
        if let Some(in_tail) = behind(at, self.tail_at) {
            let place = self.tail.get_mut(in_tail..in_tail + row.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            place.copy_from_slice(row);
            return Ok(());
        }
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write(at, row)?;
        // It may be what was read last.
        self.read.get_mut().unwrap_or_else(PoisonError::into_inner).bytes.clear();
        Ok(())
    }

    fn write_tail(&mut self) -> io::Result<()> {
        if !(self.may_grow)() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(make) = self.make.take() {
            self.file = Some(make()?);
        }
        let file = self.file.as_mut().ok_or(io::ErrorKind::NotFound)?;
        file.write(self.tail_at, &self.tail)?;
        self.tail_at += self.tail.len() as u64;
        self.tail.clear();
        Ok(())
    }

    /// The row at a spot: the run, and how many units it takes.
    fn row(&self, run: RunNo, spot: Spot) -> io::Result<(RunEntry, usize)> {
        let at = offset(spot);
        let Read { begin, bytes, kinds } = &mut *self.read();
        if let Some(in_tail) = behind(at, self.tail_at) {
            return decode(self.tail.get(in_tail..).unwrap_or_default(), run, kinds);
        }
        let known = behind(at, *begin).and_then(|from| bytes.get(from..)).unwrap_or_default();
        if let Some(row) = whole(known) {
            return decode(row, run, kinds);
        }
        // With what stands behind it: who reads all rows reads on there.
        bytes.resize(behind(self.tail_at, at).map_or(ROW_MAX, |left| left.min(ROW_MAX)), 0);
        let read = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?.read(at, bytes);
        if let Err(error) = read {
            bytes.clear();
            return Err(error);
        }
        *begin = at;
        decode(bytes, run, kinds)
    }

    /// Nothing is on it any more: it begins anew.
    fn clear(&mut self) {
        self.tail.clear();
        self.tail_at = 0;
        self.free.clear();
        self.read.get_mut().unwrap_or_else(PoisonError::into_inner).bytes.clear();
        if let Some(file) = &mut self.file {
            file.clear();
        }
    }
}

impl Shelf for Rows {
    fn put(&mut self, run: RunNo, entry: &RunEntry) -> Option<Spot> {
        let mut row = vec![0; HEAD];
        tables::encode_run(run, entry, &mut row);
        if row.len() > ROW_MAX {
            return None;
        }
        let len = u16::try_from(row.len() - HEAD).ok()?;
        let crc = crc32fast::hash(row.get(HEAD..)?);
        row.get_mut(..4)?.copy_from_slice(&crc.to_le_bytes());
        row.get_mut(4..HEAD)?.copy_from_slice(&len.to_le_bytes());
        row.resize(row.len().next_multiple_of(UNIT), 0);
        match self.write(&row) {
            Ok(spot) => {
                self.rows += 1;
                Some(spot)
            }
            Err(error) => {
                tracing::debug!(%error, "what is known of a run that was put away stays in memory");
                None
            }
        }
    }

    fn get(&self, run: RunNo, spot: Spot) -> RunEntry {
        self.row(run, spot).unwrap_or_else(|error| lost(run, &error)).0
    }

    fn take(&mut self, run: RunNo, spot: Spot) -> RunEntry {
        let (entry, units) = self.row(run, spot).unwrap_or_else(|error| lost(run, &error));
        let free = self.free.entry(units).or_default();
        free.extend(std::iter::repeat_n(spot, if planted!(76) { 2 } else { 1 }));
        self.rows -= 1;
        if self.rows == 0 {
            self.clear();
        }
        entry
    }
}

fn lost(run: RunNo, error: &io::Error) -> ! {
    panic!("what is known of run {run} cannot be read back from where it stood while the run was put away: {error}")
}

fn offset(spot: Spot) -> u64 {
    (u64::from(spot.number()) - 1) * UNIT as u64
}

fn spot(offset: u64) -> Option<Spot> {
    Spot::new(u32::try_from(offset / UNIT as u64 + 1).ok()?)
}

/// How far behind `from` it is, if it is not before.
fn behind(at: u64, from: u64) -> Option<usize> {
    usize::try_from(at.checked_sub(from)?).ok()
}

/// What there is of the bytes, if the row that they begin with is whole.
fn whole(bytes: &[u8]) -> Option<&[u8]> {
    let len = bytes.get(4..HEAD)?.try_into().map(u16::from_le_bytes).ok()?;
    (bytes.len() >= HEAD + usize::from(len)).then_some(bytes)
}

/// The run that the bytes begin with, and how many units it takes.
fn decode(bytes: &[u8], run: RunNo, kinds: &mut Kinds) -> io::Result<(RunEntry, usize)> {
    let (head, rest) = bytes.split_at_checked(HEAD).ok_or(io::ErrorKind::UnexpectedEof)?;
    let (crc, len) = head.split_at(4);
    let len = usize::from(u16::from_le_bytes(len.try_into().map_err(io::Error::other)?));
    let row = rest.get(..len).ok_or(io::ErrorKind::UnexpectedEof)?;
    let of_another = || io::Error::new(io::ErrorKind::InvalidData, "it is another one's, or damaged");
    if crc32fast::hash(row).to_le_bytes() != crc {
        return Err(of_another());
    }
    let (no, entry) = tables::decode_run(row, kinds).map_err(io::Error::other)?;
    if no != run {
        return Err(of_another());
    }
    Ok((entry, (HEAD + len).div_ceil(UNIT)))
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} runs", self.rows)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use proptest::prelude::*;

    use super::*;
    use crate::kernel::event::RunStarted;
    use crate::kernel::id::{EventNo, Seq, Timestamp};
    use crate::kernel::tables::{RunKind, Waiting, WaitingFor};

    fn entry(no: u64, id_len: usize) -> RunEntry {
        let id = format!("{no}{}", "x".repeat(id_len)).as_str().into();
        let started = RunStarted { id, workflow: "nap".into(), ..RunStarted::default() };
        let mut entry = RunEntry::started(Timestamp(7), &started, RunKind::of(&started).into());
        entry.next = EventNo(no + 2);
        entry.unturned = Default::default();
        let what = WaitingFor::Timer { due: Timestamp(77) };
        entry.waiting.push(Waiting { seq: Seq(1), since: Timestamp(8), what, maybe: false });
        entry
    }

    proptest! {
        #[test]
        fn who_takes_out_gets_what_was_put_in(ops in proptest::collection::vec((0..40_u64, 0..900_usize), 0..400)) {
            let (mut rows, mut model) = (Rows::in_memory(), BTreeMap::new());
            for (no, id_len) in ops {
                let run = RunNo(no);
                match model.remove(&run) {
                    Some((spot, was)) if id_len % 3 == 0 => {
                        prop_assert_eq!(&rows.get(run, spot), &was);
                        model.insert(run, (spot, was));
                    }
                    Some((spot, was)) => prop_assert_eq!(rows.take(run, spot), was),
                    None => {
                        let entry = entry(no, id_len);
                        model.insert(run, (rows.put(run, &entry).unwrap(), entry));
                    }
                }
            }
            for (run, (spot, was)) in &model {
                prop_assert_eq!(&rows.get(*run, *spot), was);
            }
            for (run, (spot, was)) in model {
                prop_assert_eq!(rows.take(run, spot), was);
            }
            prop_assert_eq!((rows.tail_at, rows.tail.len(), rows.rows), (0, 0, 0));
        }
    }

    #[test]
    fn a_place_goes_to_the_next_row_of_its_size() {
        let mut rows = Rows::in_memory();
        // More than is kept until it is written.
        let spots: Vec<Spot> = (0..2_000).map(|no| rows.put(RunNo(no), &entry(no, 0)).unwrap()).collect();
        assert!(rows.tail_at > 0);
        let end = rows.tail_at + rows.tail.len() as u64;
        for (no, spot) in (0..2_000).zip(&spots).filter(|(no, _)| no % 2 == 0) {
            assert_eq!(rows.get(RunNo(no), *spot), entry(no, 0));
            rows.take(RunNo(no), *spot);
            let again = rows.put(RunNo(no), &entry(no, 1)).unwrap();
            assert_eq!((again, rows.get(RunNo(no), again)), (*spot, entry(no, 1)));
        }
        assert_eq!(rows.tail_at + rows.tail.len() as u64, end);
        assert_eq!(rows.put(RunNo(1), &entry(1, ROW_MAX)), None, "what is long stays in memory");
    }

    /// A file that fails when it is told to.
    #[derive(Debug)]
    struct Failing(InMemory, Arc<AtomicBool>);

    impl Failing {
        fn check(&self) -> io::Result<()> {
            if self.1.load(Ordering::Relaxed) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }
    }

    impl Scratch for Failing {
        fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
            self.check()?;
            self.0.read(offset, bytes)
        }

        fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
            self.check()?;
            self.0.write(offset, bytes)
        }

        fn clear(&mut self) {
            self.0.clear();
        }
    }

    #[test]
    fn what_finds_no_room_stays_where_it_is_and_what_is_there_stays_whole() {
        let fails = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&fails);
        let mut rows = Rows::new(move || Ok(Box::new(Failing(InMemory::default(), told))), || true);
        let put = |rows: &mut Rows, no| rows.put(RunNo(no), &entry(no, 0)).map(|spot| (no, spot));
        let mut there: Vec<(u64, Spot)> = (0..2_000).filter_map(|no| put(&mut rows, no)).collect();
        assert_eq!(there.len(), 2_000);
        let (_, in_file) = there.remove(0);
        rows.take(RunNo(0), in_file);
        fails.store(true, Ordering::Relaxed);
        assert_eq!(put(&mut rows, 0), None, "the place in the file cannot be written");
        let more: Vec<_> = (2_000..4_000).filter_map(|no| put(&mut rows, no)).collect();
        assert!(more.len() < 1_000, "no more than is kept until it is written");
        fails.store(false, Ordering::Relaxed);
        assert_eq!(put(&mut rows, 0), Some((0, in_file)), "it is not lost");
        for (no, spot) in there.into_iter().chain(more) {
            assert_eq!(rows.get(RunNo(no), spot), entry(no, 0));
        }
    }

    #[test]
    fn a_file_that_may_not_grow_or_cannot_be_made_takes_nothing() {
        let fills = |mut rows: Rows| (0..2_000).filter_map(|no| rows.put(RunNo(no), &entry(no, 0))).count();
        let in_tail = fills(Rows::new(|| Ok(Box::new(InMemory::default())), || false));
        assert!((100..1_000).contains(&in_tail), "{in_tail}");
        assert_eq!(fills(Rows::new(|| Err(io::ErrorKind::PermissionDenied.into()), || true)), in_tail);
    }

    #[test]
    #[should_panic(expected = "what is known of run 3 cannot be read back")]
    fn what_cannot_be_read_back_is_never_made_up() {
        let mut rows = Rows::in_memory();
        let spot = rows.put(RunNo(3), &entry(3, 0)).unwrap();
        rows.tail[HEAD + 20] ^= 1;
        rows.get(RunNo(3), spot);
    }
}
