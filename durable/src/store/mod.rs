//! The memory: where journals are kept. A store takes groups of events, says up to which one they are durable, and gives journals
//! back. It never decides what an event means for a run.

pub mod disk;
pub mod filter;
#[allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "sled has files and a thread of its own")]
pub mod index;
pub mod log;
pub mod plain;
#[cfg(unix)]
pub mod real;
pub mod shelf;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use self::log::RawJournal;
use self::shelf::Rows;
use crate::kernel::event::{Event, Group, RunEnded, RunStarted, Text};
use crate::kernel::id::{EventNo, Position, RunNo, Timestamp};
use crate::kernel::open_runs::Shelf;
use crate::kernel::tables::Tables;

/// A run's journal: its events in their order.
pub type Journal = Vec<(EventNo, Timestamp, Event)>;

/// A run's journal for its replay: its events in their order, each of which may be decoded when its turn comes.
#[derive(Debug)]
pub struct Recorded(pub(crate) Held);

/// How the events are held.
#[derive(Debug)]
pub(crate) enum Held {
    Decoded(Journal),
    Raw(RawJournal),
}

impl From<RawJournal> for Recorded {
    fn from(journal: RawJournal) -> Recorded {
        Recorded(Held::Raw(journal))
    }
}

impl From<Journal> for Recorded {
    fn from(journal: Journal) -> Recorded {
        Recorded(Held::Decoded(journal))
    }
}

/// An answer of a store that comes later.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, StoreFault>> + Send>>;

/// Called whenever the store moved: more is durable, it failed, space ran out or came back.
pub type Listener = Arc<dyn Fn() + Send + Sync>;

/// Where journals are kept. What is appended is durable in the order in which it was appended, each group as a whole or not at all.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Takes a group; gives its position: how many groups were taken since the store was opened. Never waits.
    ///
    /// # Errors
    /// When the group is over a limit or does not go on where its runs' journals end (nothing of it is taken), or the store failed.
    fn append(&self, group: &Group) -> Result<Position, StoreFault>;
    /// The last position up to which everything is durable.
    fn durable(&self) -> Position;
    /// How many bytes wait to be written.
    fn queued_bytes(&self) -> usize;
    /// Whether new work may be taken: false while the disk is full.
    fn accepts_work(&self) -> bool;
    /// Why the store failed, if it did: it has to be opened anew.
    fn failure(&self) -> Option<StoreFault>;
    /// An open run's whole journal, with everything that was appended before the call. A gap is an error, never a shorter journal.
    fn load(&self, run: RunNo) -> Later<Journal>;
    /// The same, for its replay. An event that cannot be read may be an error of the replay instead.
    fn load_recorded(&self, run: RunNo) -> Later<Recorded> {
        let journal = self.load(run);
        Box::pin(async move { journal.await.map(Recorded::from) })
    }
    /// Whether a closed run may have this id; never false if one has.
    fn may_be_closed(&self, namespace: &Text, id: &Text) -> bool;
    /// The closed run of this id, with everything that was appended before the call.
    fn find_closed(&self, namespace: &Text, id: &Text) -> Later<Option<ClosedRun>>;
    /// Whether so much was appended since the last checkpoint that another one is worth its bytes.
    fn wants_checkpoint(&self) -> bool;
    /// Appends a checkpoint; `tables` together hold exactly what was appended so far, each run in one of them.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    fn checkpoint(&self, tables: &[&Tables]) -> Result<(), StoreFault>;
    /// Nothing was appended for a while: shows other readers that all of it is whole.
    fn idle(&self);
    /// Where what is known of runs stands while they are not in memory: one for each who drives runs.
    fn shelf(&self) -> Box<dyn Shelf> {
        Box::new(Rows::in_memory())
    }
    /// Writes what is queued, says that the store was closed, and lets go of it.
    fn close(&self) -> Later<()>;
    /// Lets go of the store as if the process had died; what is queued is not written. Done when the store is free.
    fn stop(&self) -> Later<()>;
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedRun {
    /// Its short number.
    pub run: RunNo,
    /// What it was started with.
    pub started: RunStarted,
    /// When.
    pub started_at: Timestamp,
    /// How it ended.
    pub ended: RunEnded,
    /// When.
    pub ended_at: Timestamp,
}

/// What went wrong with a store, in words: what was seen, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreFault(pub Text);

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for StoreFault {}
