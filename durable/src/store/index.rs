//! The index: where the last frame of each closed run lies, by the hash of its id and by its number, so that an id that is
//! used again has a row for each of its runs. It is a cache in sled that may be deleted at any time, and the only file that
//! names sled.
//!
//! Nothing here is ever asked for correctness: the log checks every place that it is given against the frame there, and
//! a missing row costs time only. So no failure leaves this file. sled is touched by one thread of its own, under
//! `catch_unwind`; whoever waits for it waits a bounded time; when it fails, hangs or is in doubt the index goes on in
//! memory and the folder is removed at the next open. This is the one place beside the real disk that touches files and
//! starts a thread, because sled knows no seam; a simulated engine uses [`Index::in_memory`].

use std::collections::BTreeMap;
use std::fs;
use std::hash::Hasher;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use siphasher::sip::SipHasher13;

use crate::kernel::id::RunNo;

/// sled's cache, in bytes.
const CACHE_BYTES_MAX: u64 = 16 << 20;
/// The longest value, in bytes; a longer one is no row of ours.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// The rows that are kept in memory: those that wait for sled, or all of them without it. More are dropped.
const ROWS_MAX: usize = 1 << 20;
/// The rows that are written before the thread looks for a question again.
const ROWS_AT_ONCE: usize = 256;
/// The rows that wait to be written in one go, in the order of their keys: the more there are, the fewer of sled's pages each has for itself.
/// Fewer wait for [`IDLE`] at most.
const ROWS_WAITING: usize = 64 << 10;
/// The rows that are summed up before the thread looks for a question again.
const SUMMED_AT_ONCE: usize = 4096;
/// The first byte of a value: which numbers follow.
const ROW_VERSION: u8 = 1;
/// How long a question waits for an answer.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// How long an opening, a scan of all rows or the end may take.
const SCAN_WAIT: Duration = Duration::from_secs(60);
/// How long the thread is idle before it hands what it wrote to the system.
const IDLE: Duration = Duration::from_secs(1);
/// How often, and how long apart, a lock is tried that the last closing may not have freed yet.
const LOCK_TRIES: u32 = 10;
const LOCK_WAIT: Duration = Duration::from_millis(20);
/// In the folder: how many openings have not ended in a clean close or a scan that found everything.
const UNCLEAN: &str = "UNCLEAN";
/// So many of them and the folder is removed: it may be what kills the process.
const UNCLEAN_MAX: u32 = 3;

/// The hash of a run's namespace and id.
pub type Key = [u8; 16];

/// What sled has as a row's key: the hash, and the run's number, so that the newest run of an id comes last.
type RowKey = [u8; 24];

fn row_key(key: Key, run: RunNo) -> RowKey {
    let mut bytes = [0; 24];
    let (hash, number) = bytes.split_at_mut(16);
    hash.copy_from_slice(&key);
    number.copy_from_slice(&run.0.to_be_bytes());
    bytes
}

/// Where a closed run's last frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosedPlace {
    /// The run's number.
    pub run: RunNo,
    /// The segment's number.
    pub segment: u64,
    /// The frame's offset in it.
    pub offset: u64,
    /// The frame's LSN.
    pub lsn: u64,
    /// The frame's CRC.
    pub crc: u32,
}

impl ClosedPlace {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![ROW_VERSION];
        [self.segment, self.offset, self.lsn].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        out.extend_from_slice(&self.crc.to_le_bytes());
        out
    }

    fn decode(key: &[u8], value: &[u8]) -> Option<Self> {
        if value.len() > VALUE_BYTES_MAX {
            return None;
        }
        let (_, run) = key.split_last_chunk()?;
        let (version, rest) = value.split_first()?;
        let (segment, rest) = rest.split_first_chunk()?;
        let (offset, rest) = rest.split_first_chunk()?;
        let (lsn, rest) = rest.split_first_chunk()?;
        let crc = u32::from_le_bytes(rest.try_into().ok()?);
        let [segment, offset, lsn] = [segment, offset, lsn].map(|number| u64::from_le_bytes(*number));
        let place = Self { run: RunNo(u64::from_be_bytes(*run)), segment, offset, lsn, crc };
        (*version == ROW_VERSION && key.len() == size_of::<RowKey>()).then_some(place)
    }
}

/// A row's share in the order-free hash of all rows, which is the wrapping sum of the shares. The CRC has none: it is not
/// known yet when a checkpoint has to say what the index holds.
#[must_use]
pub fn row_hash(key: Key, place: &ClosedPlace) -> u64 {
    let mut hasher = hasher();
    hasher.write(&row_key(key, place.run));
    [place.segment, place.offset, place.lsn].into_iter().for_each(|number| hasher.write_u64(number));
    hasher.finish()
}

fn hasher() -> SipHasher13 {
    SipHasher13::new_with_keys(0x6475_7261_626c_6521, 0x696e_6465_7820_3031)
}

/// How many rows there are and their order-free hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many.
    pub count: u64,
    /// The wrapping sum of their [`row_hash`]es.
    pub hash: u64,
}

impl Sum {
    /// With one row more.
    #[must_use]
    pub fn with(self, key: Key, place: &ClosedPlace) -> Self {
        self.and(row_hash(key, place))
    }

    /// With one row, which was counted, at another place.
    #[must_use]
    pub fn moved(self, key: Key, from: &ClosedPlace, to: &ClosedPlace) -> Self {
        let hash = self.hash.wrapping_sub(row_hash(key, from)).wrapping_add(row_hash(key, to));
        Self { hash, ..self }
    }

    fn and(self, share: u64) -> Self {
        Self { count: self.count.saturating_add(1), hash: self.hash.wrapping_add(share) }
    }

    /// With a row as sled has it. One that is none of ours counts too, so that it is noticed; one of a later frame does not.
    fn with_raw(self, key: &[u8], value: &[u8], up_to: u64) -> Self {
        let place = ClosedPlace::decode(key, value);
        match place.zip(key.first_chunk()) {
            Some((place, _)) if place.lsn > up_to => self,
            Some((place, key)) => self.with(*key, &place),
            None => self.and(1),
        }
    }
}

type Rows = BTreeMap<RowKey, ClosedPlace>;

fn newest(rows: &Rows, key: Key) -> Option<ClosedPlace> {
    rows.range(row_key(key, RunNo(0))..=row_key(key, RunNo(u64::MAX))).next_back().map(|(_, place)| *place)
}

/// The rows in memory, and whether sled answers.
#[derive(Debug, Default)]
struct Shared {
    rows: Mutex<Rows>,
    serving: AtomicBool,
}

impl Shared {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_serving(&self) -> bool {
        self.serving.load(Ordering::SeqCst)
    }

    /// Ends the use of sled; true if it was in use.
    fn retire(&self) -> bool {
        self.serving.swap(false, Ordering::SeqCst)
    }
}

/// What the thread is asked.
#[derive(Debug)]
enum Request {
    Rows,
    Get(Key, SyncSender<Option<ClosedPlace>>),
    Sum { up_to: u64, answer: SyncSender<Sum> },
    Settle(SyncSender<()>),
    Clear(SyncSender<()>),
    Close(SyncSender<()>),
}

/// The index. Clones are the same index.
#[derive(Debug, Clone)]
pub struct Index {
    shared: Arc<Shared>,
    requests: Option<Sender<Request>>,
    path: PathBuf,
}

impl Index {
    /// An index that lives in memory only, for a simulated disk.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { shared: Arc::default(), requests: None, path: PathBuf::new() }
    }

    /// Opens the index in this folder, which is made if there is none and made anew if it is in doubt. Where that cannot
    /// be done the index lives in memory. Blocks the thread.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        // The working directory may change while the index is open.
        let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let shared = Arc::new(Shared { serving: AtomicBool::new(true), ..Shared::default() });
        let (requests, received) = channel();
        let index = Self { shared: Arc::clone(&shared), requests: Some(requests), path: path.to_owned() };
        let (opened, is_open) = sync_channel(1);
        let worker = Worker {
            path: path.to_owned(),
            shared,
            unwritten: 0,
            written_to: None,
            waiting_since: None,
            summing: None,
        };
        let thread = std::thread::Builder::new().name("durable-index".to_owned());
        if thread.spawn(move || worker.run(&received, &opened)).is_err() || is_open.recv_timeout(SCAN_WAIT).is_err() {
            index.give_up("it could not be opened");
        }
        index
    }

    /// The place of the newest closed run of an id that the index knows. Blocks the thread, a few microseconds as a rule.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<ClosedPlace> {
        let waiting = newest(&self.shared.rows(), key);
        // What waits is newer than what is written: a row is put when its run has closed.
        waiting.or_else(|| self.ask(ANSWER_WAIT, |answer| Request::Get(key, answer))?)
    }

    /// Adds rows, or replaces them. They are written later; a `get` finds them at once.
    pub fn put(&self, rows: impl IntoIterator<Item = (Key, ClosedPlace)>) {
        let mut waiting = self.shared.rows();
        for (key, place) in rows {
            let key = row_key(key, place.run);
            if waiting.len() < ROWS_MAX || waiting.contains_key(&key) {
                waiting.insert(key, place);
            }
        }
        drop(waiting);
        self.tell(Request::Rows);
    }

    /// Whether the index holds, of the frames up to that LSN, exactly the rows that this is the sum of. Questions are
    /// answered meanwhile. Reads all rows and blocks the thread.
    #[must_use]
    pub fn verify(&self, expected: Sum, up_to: u64) -> bool {
        let whole = self.sum(up_to) == Some(expected);
        if whole && self.shared.is_serving() {
            mark_unclean(&self.path, 1);
        }
        whole
    }

    fn sum(&self, up_to: u64) -> Option<Sum> {
        if self.shared.is_serving() {
            return self.ask(SCAN_WAIT, |answer| Request::Sum { up_to, answer });
        }
        let rows = self.shared.rows();
        let counted = rows.iter().filter(|(_, place)| place.lsn <= up_to);
        Some(counted.fold(Sum::default(), |sum, (key, place)| sum.with_raw(key, &place.encode(), up_to)))
    }

    /// Waits until the rows that wait are with sled. Blocks the thread.
    pub fn settle(&self) {
        let _in_memory: Option<()> = self.ask(SCAN_WAIT, Request::Settle);
    }

    /// Whether rows are kept in more than memory.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.shared.is_serving()
    }

    /// Forgets all rows. Blocks the thread.
    pub fn clear(&self) {
        self.shared.rows().clear();
        let _in_memory: Option<()> = self.ask(SCAN_WAIT, Request::Clear);
    }

    /// Writes what waits and lets go of the folder. Afterwards the index answers from memory, where nothing is.
    /// Blocks the thread.
    pub fn close(&self) {
        let _in_memory: Option<()> = self.ask(SCAN_WAIT, Request::Close);
        self.shared.retire();
    }

    fn tell(&self, request: Request) {
        if let Some(requests) = self.requests.as_ref().filter(|_| self.shared.is_serving()) {
            // A thread that has ended is noticed by the next question.
            let _ended = requests.send(request);
        }
    }

    fn ask<T>(&self, wait: Duration, request: impl FnOnce(SyncSender<T>) -> Request) -> Option<T> {
        let requests = self.requests.as_ref().filter(|_| self.shared.is_serving())?;
        let (answer, answered) = sync_channel(1);
        let asked = requests.send(request(answer)).is_ok();
        let answer = answered.recv_timeout(wait).ok().filter(|_| asked);
        if answer.is_none() {
            self.give_up("it did not answer");
        }
        answer
    }

    fn give_up(&self, why: &str) {
        if self.shared.retire() {
            tracing::warn!(path = %self.path.display(), why, "the index is put aside; it is rebuilt at the next open");
            doubt(&self.path);
        }
    }
}

// The folder.

fn unclean(path: &Path) -> u32 {
    match fs::read_to_string(path.join(UNCLEAN)) {
        Ok(text) => text.trim().parse().unwrap_or(UNCLEAN_MAX),
        Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
        Err(_) => UNCLEAN_MAX,
    }
}

/// Best effort: a folder that has vanished or takes nothing is not read either.
fn mark_unclean(path: &Path, times: u32) {
    let _unwritten = fs::write(path.join(UNCLEAN), times.to_string());
}

fn doubt(path: &Path) {
    mark_unclean(path, UNCLEAN_MAX);
}

/// Removes the folder, or whatever else is there; a symbolic link itself, not what it leads to.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if !is_folder || unclean(path) >= UNCLEAN_MAX {
        remove(path)?;
        fs::DirBuilder::new().mode(0o700).create(path)?;
    }
    mark_unclean(path, unclean(path).saturating_add(1));
    Ok(())
}

/// Why sled cannot be used.
#[derive(Debug)]
enum Unusable {
    /// Someone else has the folder open.
    InUse,
    /// Anything else.
    InDoubt,
}

/// What a call into sled gives, whether it fails or panics.
fn guarded<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, Unusable> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        // sled names a lock that is taken in no other way.
        Ok(Err(sled::Error::Io(e))) if e.to_string().contains("could not acquire lock") => Err(Unusable::InUse),
        Ok(Err(_)) | Err(_) => Err(Unusable::InDoubt),
    }
}

/// No flusher of sled's own: should that thread panic, dropping the database would wait for it for ever.
fn open_sled(path: &Path) -> Result<sled::Db, Unusable> {
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES_MAX).flush_every_ms(None);
    for _ in 0..LOCK_TRIES {
        match guarded(|| config.open()) {
            Err(Unusable::InUse) => std::thread::sleep(LOCK_WAIT),
            opened => return opened,
        }
    }
    Err(Unusable::InUse)
}

fn drop_whole(db: sled::Db) -> sled::Result<()> {
    drop(db);
    Ok(())
}

/// Opens the folder, anew if it is in doubt.
fn open_folder(path: &Path) -> Option<sled::Db> {
    for _ in 0..2 {
        let before = unclean(path);
        make_folder(path).ok()?;
        match open_sled(path) {
            Ok(db) => return Some(db),
            Err(Unusable::InUse) => {
                mark_unclean(path, before);
                return None;
            }
            Err(Unusable::InDoubt) => doubt(path),
        }
    }
    None
}

// The thread.

/// Whether the thread goes on after a request.
enum Next {
    GoOn,
    Close(SyncSender<()>),
}

#[derive(Debug)]
struct Worker {
    path: PathBuf,
    shared: Arc<Shared>,
    unwritten: usize,
    /// How far the rows that wait are written, in the order of their keys; none when that has come to an end.
    written_to: Option<RowKey>,
    /// Since when rows wait, as far as it was seen.
    waiting_since: Option<Instant>,
    summing: Option<Summing>,
}

/// A sum of all rows that is under way. Nothing is written meanwhile.
#[derive(Debug)]
struct Summing {
    up_to: u64,
    sum: Sum,
    /// The last row that is counted.
    after: Option<sled::IVec>,
    answer: SyncSender<Sum>,
}

impl Worker {
    fn run(mut self, requests: &Receiver<Request>, opened: &SyncSender<()>) {
        let Some(mut db) = open_folder(&self.path) else {
            self.shared.retire();
            let _gone = opened.send(());
            return;
        };
        let _gone = opened.send(());
        match self.serve(&mut db, requests) {
            Ok(closing) => self.close(db, closing),
            Err(_) => {
                if self.shared.retire() {
                    tracing::warn!(path = %self.path.display(), "the index failed; it is rebuilt at the next open");
                }
                doubt(&self.path);
                // Dropping a database that has panicked may panic again, or wait for ever.
                std::mem::forget(db);
            }
        }
    }

    /// Answers questions, and writes rows between them, until it is told to end or everyone is gone.
    fn serve(&mut self, db: &mut sled::Db, requests: &Receiver<Request>) -> Result<Option<SyncSender<()>>, Unusable> {
        loop {
            let request = match requests.try_recv() {
                Err(TryRecvError::Empty) if self.sum_some(db)? || self.write_if_many(db)? => continue,
                Err(TryRecvError::Empty) => requests.recv_timeout(IDLE),
                Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
                Ok(request) => Ok(request),
            };
            match request {
                Ok(request) => {
                    if let Next::Close(closing) = self.answer(db, request)? {
                        return Ok(Some(closing));
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    if !self.write_some(db)? {
                        self.hand_over(db)?;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    fn answer(&mut self, db: &mut sled::Db, request: Request) -> Result<Next, Unusable> {
        // Whoever asked may have given up.
        match request {
            Request::Rows => {}
            Request::Get(key, answer) => {
                let range = row_key(key, RunNo(0))..=row_key(key, RunNo(u64::MAX));
                let last = guarded(|| db.range(range).next_back().transpose())?;
                let _gone = answer.send(last.and_then(|(key, value)| ClosedPlace::decode(&key, &value)));
            }
            Request::Sum { up_to, answer } => {
                while self.write_some(db)? {}
                self.summing = Some(Summing { up_to, sum: Sum::default(), after: None, answer });
            }
            Request::Settle(answer) => {
                while self.write_some(db)? {}
                let _gone = answer.send(());
            }
            Request::Clear(answer) => {
                let old = std::mem::replace(db, self.rebuilt()?);
                let _either_way = guarded(|| drop_whole(old));
                let _gone = answer.send(());
            }
            Request::Close(closing) => return Ok(Next::Close(closing)),
        }
        Ok(Next::GoOn)
    }

    /// Goes on with a sum; false if none is under way.
    fn sum_some(&mut self, db: &sled::Db) -> Result<bool, Unusable> {
        let Some(mut summing) = self.summing.take() else { return Ok(false) };
        let from = summing.after.take().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (from, Bound::<sled::IVec>::Unbounded);
        let some: Vec<_> = guarded(|| db.range(range).take(SUMMED_AT_ONCE).collect())?;
        for (key, value) in &some {
            summing.sum = summing.sum.with_raw(key, value, summing.up_to);
        }
        if some.len() < SUMMED_AT_ONCE {
            let _gone = summing.answer.send(summing.sum);
        } else {
            summing.after = some.into_iter().next_back().map(|(key, _)| key);
            self.summing = Some(summing);
        }
        Ok(true)
    }

    /// Goes on writing, or begins to when many rows wait, or some for long; false if there is nothing to do.
    fn write_if_many(&mut self, db: &sled::Db) -> Result<bool, Unusable> {
        if self.written_to.is_none() {
            let since = *self.waiting_since.get_or_insert_with(Instant::now);
            if self.shared.rows().len() < ROWS_WAITING && since.elapsed() < IDLE {
                return Ok(false);
            }
            self.waiting_since = None;
        }
        self.write_some(db)
    }

    /// Writes some of the rows that wait, in the order of their keys; false if none did.
    fn write_some(&mut self, db: &sled::Db) -> Result<bool, Unusable> {
        let from = self.written_to.map_or(Bound::Unbounded, Bound::Excluded);
        let from_here = |rows: &Rows, from| -> Vec<(RowKey, ClosedPlace)> {
            rows.range((from, Bound::Unbounded)).take(ROWS_AT_ONCE).map(|(key, place)| (*key, *place)).collect()
        };
        let mut some = from_here(&self.shared.rows(), from);
        if some.is_empty() {
            some = from_here(&self.shared.rows(), Bound::Unbounded);
        }
        for (key, place) in &some {
            guarded(|| db.insert(key, place.encode()))?;
        }
        self.written_to = some.last().map(|(key, _)| *key).filter(|_| some.len() == ROWS_AT_ONCE);
        let mut rows = self.shared.rows();
        for (key, place) in &some {
            if rows.get(key) == Some(place) {
                rows.remove(key);
            }
        }
        self.unwritten = self.unwritten.saturating_add(some.len());
        Ok(!some.is_empty())
    }

    /// Hands what was written to the system, so that the death of this process does not take it along. It is no sync.
    fn hand_over(&mut self, db: &sled::Db) -> Result<(), Unusable> {
        if self.unwritten > 0 {
            guarded(|| db.flush())?;
            self.unwritten = 0;
        }
        Ok(())
    }

    /// An empty database in a new folder: sled's file never shrinks.
    fn rebuilt(&mut self) -> Result<sled::Db, Unusable> {
        self.unwritten = 0;
        remove(&self.path).or(Err(Unusable::InDoubt))?;
        open_folder(&self.path).ok_or(Unusable::InDoubt)
    }

    fn close(mut self, db: sled::Db, closing: Option<SyncSender<()>>) {
        let written = (|| {
            while self.write_some(&db)? {}
            self.hand_over(&db)
        })();
        let was_serving = self.shared.retire();
        let ended = match written {
            Ok(()) => guarded(|| drop_whole(db)),
            Err(failed) => {
                std::mem::forget(db);
                Err(failed)
            }
        };
        match ended {
            Ok(()) if was_serving => drop(fs::remove_file(self.path.join(UNCLEAN))),
            Ok(()) | Err(_) => doubt(&self.path),
        }
        if let Some(closing) = closing {
            let _gone = closing.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn key(number: u64) -> Key {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        key[8..].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn place(number: u64) -> ClosedPlace {
        let crc = u32::try_from(number % 1000).unwrap();
        ClosedPlace { run: RunNo(number), segment: number / 100, offset: number * 8, lsn: number, crc }
    }

    fn rows(numbers: std::ops::Range<u64>) -> Vec<(Key, ClosedPlace)> {
        numbers.map(|number| (key(number), place(number))).collect()
    }

    fn sum(numbers: std::ops::Range<u64>) -> Sum {
        numbers.fold(Sum::default(), |sum, number| sum.with(key(number), &place(number)))
    }

    fn holds(index: &Index, numbers: std::ops::Range<u64>) -> bool {
        index.verify(sum(numbers), u64::MAX)
    }

    fn serves(index: &Index) -> bool {
        index.shared.is_serving()
    }

    /// A folder with these rows, cleanly closed.
    fn filled(numbers: std::ops::Range<u64>) -> (TempDir, PathBuf) {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("index");
        let index = Index::open(&path);
        index.put(rows(numbers));
        index.close();
        (temp, path)
    }

    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let target = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &target),
                false => drop(fs::copy(entry.path(), target).unwrap()),
            }
        }
    }

    fn files(path: &Path) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.is_file());
        files.sort();
        files
    }

    /// Whatever the folder holds, opening it gives an index that takes rows and gives them back, and that says of
    /// itself whether it holds what it should.
    fn is_usable(path: &Path) {
        let index = Index::open(path);
        let _whatever_it_knows = index.get(key(1));
        let _either_answer = holds(&index, 0..500);
        index.clear();
        index.put(rows(5..9));
        assert_eq!(index.get(key(7)), Some(place(7)));
        assert_eq!(index.get(key(3)), None);
        assert!(holds(&index, 5..9));
        index.close();
        let again = Index::open(path);
        assert!(serves(&again));
        again.close();
    }

    #[test]
    fn rows_are_there_at_once_and_after_a_close() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("index");
        let index = Index::open(&path);
        index.put(rows(0..3000));
        assert_eq!(
            (index.get(key(0)), index.get(key(2999)), index.get(key(3000))),
            (Some(place(0)), Some(place(2999)), None)
        );
        assert!(holds(&index, 0..3000));
        index.close();
        assert!(!path.join(UNCLEAN).exists());
        let index = Index::open(&path);
        assert!(serves(&index));
        assert_eq!(index.get(key(1234)), Some(place(1234)));
        assert!(holds(&index, 0..3000));
        assert!(!holds(&index, 1..3001));
        assert!(!index.verify(Sum { count: 2999, ..sum(0..3000) }, u64::MAX));
    }

    #[test]
    fn a_clear_forgets_all_and_the_index_goes_on() {
        let (_temp, path) = filled(0..100);
        let index = Index::open(&path);
        index.clear();
        assert!(holds(&index, 0..0));
        index.put(rows(0..10));
        assert!(holds(&index, 0..10) && serves(&index));
        index.close();
        assert!(holds(&Index::open(&path), 0..10));
    }

    #[test]
    fn a_folder_in_use_is_left_alone_and_the_second_index_lives_in_memory() {
        let (_temp, path) = filled(0..100);
        let first = Index::open(&path);
        for _ in 0..4 {
            let second = Index::open(&path);
            assert!(!serves(&second));
            second.put(rows(0..10));
            assert_eq!(second.get(key(3)), Some(place(3)));
            second.close();
        }
        first.put(rows(100..200));
        assert!(holds(&first, 0..200) && serves(&first));
        first.close();
        assert!(holds(&Index::open(&path), 0..200));
    }

    #[test]
    fn a_folder_deleted_while_open_harms_nobody() {
        let (_temp, path) = filled(0..100);
        let index = Index::open(&path);
        fs::remove_dir_all(&path).unwrap();
        index.put(rows(100..30_000));
        assert_eq!(index.get(key(50)), Some(place(50)));
        let _either_answer = holds(&index, 0..30_000);
        index.close();
        is_usable(&path);
    }

    #[test]
    fn a_folder_that_cannot_be_made_leaves_the_index_in_memory() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("file"), b"x").unwrap();
        let index = Index::open(&temp.path().join("file/index"));
        assert!(!serves(&index));
        index.put(rows(0..10));
        assert!(holds(&index, 0..10));
        assert_eq!(index.get(key(3)), Some(place(3)));
    }

    #[test]
    fn a_file_or_a_link_in_the_folders_place_gives_way() {
        let temp = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (temp.path().join("index"), temp.path().join("elsewhere"));
        fs::write(&path, b"not a folder").unwrap();
        is_usable(&path);
        fs::remove_dir_all(&path).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        is_usable(&path);
        assert!(files(&elsewhere).is_empty(), "a link is not followed");
    }

    #[test]
    fn a_folder_that_was_open_at_three_unclean_ends_is_removed() {
        let (_temp, path) = filled(0..100);
        mark_unclean(&path, UNCLEAN_MAX - 1);
        let index = Index::open(&path);
        assert!(holds(&index, 0..100), "two are borne");
        assert_eq!(unclean(&path), 1, "and a scan that finds everything restores trust");
        index.close();
        for mark in ["3", "", "garbage"] {
            fs::write(path.join(UNCLEAN), mark).unwrap();
            let index = Index::open(&path);
            assert!(holds(&index, 0..0));
            index.put(rows(0..10));
            index.close();
        }
    }

    #[test]
    fn truncated_files_harm_nobody() {
        let (temp, path) = filled(0..500);
        for (number, file) in files(&path).into_iter().enumerate() {
            let len = fs::metadata(&file).unwrap().len();
            for (cut, to) in [0, 1, len / 3, len.saturating_sub(1)].into_iter().enumerate() {
                let copied = temp.path().join(format!("{number}-{cut}"));
                copy(&path, &copied);
                let target = copied.join(file.file_name().unwrap());
                fs::OpenOptions::new().write(true).open(target).unwrap().set_len(to).unwrap();
                is_usable(&copied);
            }
        }
    }

    #[test]
    fn garbage_in_any_file_harms_nobody() {
        let (temp, path) = filled(0..500);
        for (number, file) in files(&path).into_iter().enumerate() {
            for seed in 0..8_usize {
                let copied = temp.path().join(format!("{number}-{seed}"));
                copy(&path, &copied);
                let target = copied.join(file.file_name().unwrap());
                let mut bytes = fs::read(&target).unwrap();
                let (step, first) = (1 + seed * 37, seed * 5);
                for (at, byte) in bytes.iter_mut().enumerate().skip(first).step_by(step) {
                    *byte = u8::try_from((at * 131 + seed * 71) % 251).unwrap();
                }
                fs::write(&target, bytes).unwrap();
                is_usable(&copied);
            }
        }
    }

    #[test]
    fn a_panic_in_sled_is_a_folder_in_doubt() {
        assert!(matches!(guarded::<()>(|| panic!("as sled does")), Err(Unusable::InDoubt)));
    }

    #[test]
    fn a_database_at_whose_opening_sled_panics_is_made_anew() {
        const SLED_SEGMENT: usize = 512 << 10;
        let (temp, path) = filled(0..20_000);
        let mut bytes = fs::read(path.join("db")).unwrap();
        bytes.copy_within(SLED_SEGMENT..2 * SLED_SEGMENT, 0);
        let bare = temp.path().join("bare");
        copy(&path, &bare);
        for folder in [&path, &bare] {
            fs::write(folder.join("db"), &bytes).unwrap();
        }
        let opened = catch_unwind(|| sled::Config::new().path(&bare).flush_every_ms(None).open());
        assert!(opened.is_err(), "this is what is guarded against");
        is_usable(&path);
    }

    #[test]
    fn files_from_an_older_moment_harm_nobody_and_are_found_out() {
        let (temp, path) = filled(0..100);
        let older = temp.path().join("older");
        copy(&path, &older);
        let index = Index::open(&path);
        index.put(rows(100..400));
        index.close();
        let index = Index::open(&older);
        assert_eq!(index.get(key(300)), None);
        assert!(!holds(&index, 0..400) && holds(&index, 0..100));
        index.close();
        for file in files(&older) {
            let mixed = temp.path().join(format!("with-old-{}", file.file_name().unwrap().display()));
            copy(&path, &mixed);
            fs::copy(&file, mixed.join(file.file_name().unwrap())).unwrap();
            is_usable(&mixed);
        }
    }

    #[test]
    fn a_thread_that_is_gone_leaves_the_index_in_memory() {
        let shared = Arc::new(Shared { serving: AtomicBool::new(true), ..Shared::default() });
        let temp = tempfile::tempdir().unwrap();
        let (requests, gone) = channel();
        drop(gone);
        let index = Index { shared, requests: Some(requests), path: temp.path().to_owned() };
        assert_eq!(index.get(key(1)), None);
        assert!(!serves(&index));
        index.put(rows(0..3));
        assert!(holds(&index, 0..3));
        assert_eq!(unclean(temp.path()), UNCLEAN_MAX, "and the folder is removed at the next open");
    }

    #[test]
    fn in_memory_it_answers_the_same() {
        let index = Index::in_memory();
        index.put(rows(0..50));
        assert_eq!((index.get(key(49)), index.get(key(50))), (Some(place(49)), None));
        assert!(holds(&index, 0..50) && !holds(&index, 0..49));
        index.clear();
        assert!(holds(&index, 0..0));
        index.close();
    }

    #[test]
    fn a_place_is_read_back_and_other_bytes_are_none() {
        let (key, bytes) = (row_key(key(77), RunNo(77)), place(77).encode());
        assert_eq!(ClosedPlace::decode(&key, &bytes), Some(place(77)));
        assert!((0..bytes.len()).all(|len| ClosedPlace::decode(&key, &bytes[..len]).is_none()));
        assert!((0..key.len()).all(|len| ClosedPlace::decode(&key[..len], &bytes).is_none()));
        assert_eq!(ClosedPlace::decode(&key, &[0; 29]), None, "a row of another version");
        assert_eq!(ClosedPlace::decode(&key, &vec![1; VALUE_BYTES_MAX + 1]), None);
    }
    #[test]
    fn of_an_id_that_is_used_again_the_newest_run_is_found() {
        let temp = tempfile::tempdir().unwrap();
        for index in [Index::in_memory(), Index::open(&temp.path().join("index"))] {
            let again = |run| (key(1), ClosedPlace { run: RunNo(run), ..place(run) });
            index.put([again(1), again(256), again(7)]);
            assert_eq!(index.get(key(1)).map(|found| found.run), Some(RunNo(256)));
            let all = [1, 256, 7].into_iter().fold(Sum::default(), |sum, run| sum.with(key(1), &again(run).1));
            assert!(index.verify(all, u64::MAX), "each run has a row");
            assert_eq!(index.get(key(1)).map(|found| found.run), Some(RunNo(256)), "also when all are written");
            index.close();
        }
    }

    #[test]
    fn rows_of_later_frames_are_not_what_is_verified() {
        let temp = tempfile::tempdir().unwrap();
        for index in [Index::in_memory(), Index::open(&temp.path().join("index"))] {
            index.put(rows(0..9000));
            assert!(index.verify(sum(0..5001), 5000));
            assert!(!index.verify(sum(0..5001), 5001));
            index.close();
        }
    }

    #[test]
    fn a_row_that_moves_is_counted_once() {
        let to = ClosedPlace { segment: 99, ..place(3) };
        let moved = sum(0..5).moved(key(3), &place(3), &to);
        assert_eq!(moved, sum(0..3).with(key(3), &to).with(key(4), &place(4)));
    }
}
