//! A store in memory, without files, frames or faults: what a store must do, and nothing else. It is the model that the log is tested
//! against, and what an unrecorded run lives in. It forgets everything when it is dropped.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{ClosedRun, Journal, Later, Listener, Store, StoreFault};
use crate::kernel::event::{Event, Group, Text};
use crate::kernel::id::{EventNo, Position, RunNo};
use crate::kernel::tables::Tables;

/// A store in memory. Everything is durable as soon as it is appended.
pub struct PlainStore {
    kept: Mutex<Kept>,
    listener: Listener,
}

#[derive(Default)]
struct Kept {
    journals: BTreeMap<RunNo, Journal>,
    position: Position,
    closed: bool,
}

impl std::fmt::Debug for PlainStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlainStore").field("runs", &self.lock().journals.len()).finish_non_exhaustive()
    }
}

impl PlainStore {
    /// An empty store, which calls `listener` whenever something was appended.
    #[must_use]
    pub fn new(listener: Listener) -> PlainStore {
        PlainStore { kept: Mutex::default(), listener }
    }

    /// The journal of a run, open or closed.
    #[must_use]
    pub fn journal(&self, run: RunNo) -> Option<Journal> {
        self.lock().journals.get(&run).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self, namespace: &Text, id: &Text) -> Option<ClosedRun> {
        self.lock().journals.iter().rev().find_map(|(run, journal)| {
            let (_, started_at, Event::RunStarted(started)) = journal.first()? else { return None };
            let (_, ended_at, Event::RunEnded(ended)) = journal.last()? else { return None };
            (started.namespace == *namespace && started.id == *id).then(|| ClosedRun {
                run: *run,
                started: (**started).clone(),
                started_at: *started_at,
                ended: (**ended).clone(),
                ended_at: *ended_at,
            })
        })
    }
}

impl Store for PlainStore {
    fn append(&self, group: &Group) -> Result<Position, StoreFault> {
        let mut kept = self.lock();
        if kept.closed {
            return Err(StoreFault("the store was closed".into()));
        }
        for section in &group.sections {
            let journal = kept.journals.entry(section.run).or_default();
            let numbers = (section.first.0..).map(EventNo);
            journal.extend(numbers.zip(&section.events).map(|(no, event)| (no, section.at, event.clone())));
        }
        kept.position = kept.position.next();
        let position = kept.position;
        drop(kept);
        (self.listener)();
        Ok(position)
    }

    fn durable(&self) -> Position {
        self.lock().position
    }

    fn queued_bytes(&self) -> usize {
        0
    }

    fn accepts_work(&self) -> bool {
        true
    }

    fn failure(&self) -> Option<StoreFault> {
        None
    }

    fn load(&self, run: RunNo) -> Later<Journal> {
        let journal = self.journal(run).ok_or_else(|| StoreFault(format!("run {run} has no journal").into()));
        Box::pin(async move { journal })
    }

    fn may_be_closed(&self, namespace: &Text, id: &Text) -> bool {
        self.closed(namespace, id).is_some()
    }

    fn find_closed(&self, namespace: &Text, id: &Text) -> Later<Option<ClosedRun>> {
        let closed = self.closed(namespace, id);
        Box::pin(async move { Ok(closed) })
    }

    fn wants_checkpoint(&self) -> bool {
        false
    }

    fn checkpoint(&self, _: &Tables) -> Result<(), StoreFault> {
        Ok(())
    }

    fn idle(&self) {}

    fn close(&self) -> Later<()> {
        self.stop()
    }

    fn stop(&self) -> Later<()> {
        self.lock().closed = true;
        Box::pin(async { Ok(()) })
    }
}
