//! A store in memory, without files, frames or faults: what a store must do, and nothing else. It is the model that the log is tested
//! against, and what an unrecorded run lives in. It forgets everything when it is dropped.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{ClosedRun, Journal, Later, Listener, Store, StoreFault};
use crate::kernel::event::{Event, Group, Section, Text};
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

impl Kept {
    fn check_open(&self) -> Result<(), StoreFault> {
        if self.closed { Err(StoreFault("the store was closed".into())) } else { Ok(()) }
    }

    /// Every section goes on where its run's journal ends, be it in this very group; a journal begins with its start and ends with its
    /// end.
    fn check_order(&self, group: &Group) -> Result<(), StoreFault> {
        let mut ends = BTreeMap::new();
        for section in of_runs(group) {
            let expected = ends.get(&section.run).copied().unwrap_or_else(|| self.next(section.run));
            let is_start = matches!(section.events.first(), Some(Event::RunStarted(_)));
            if Some(section.first) != expected || is_start != (expected == Some(EventNo(0))) {
                let expected = expected.map_or_else(|| "none".to_owned(), |no| no.to_string());
                let (run, found) = (section.run, section.first);
                let text = format!("run {run}: event {expected} is the next one, and not event {found}");
                return Err(StoreFault(text.into()));
            }
            ends.insert(section.run, end_of(section));
        }
        Ok(())
    }

    /// The event with which a run's journal goes on; none if it has ended.
    fn next(&self, run: RunNo) -> Option<EventNo> {
        let Some((no, _, event)) = self.journals.get(&run).and_then(|journal| journal.last()) else {
            return Some(EventNo(0));
        };
        (!matches!(event, Event::RunEnded(_))).then(|| no.next())
    }
}

/// The sections that belong to a run: what the store's opener tells of itself is in no journal.
fn of_runs(group: &Group) -> impl Iterator<Item = &Section> {
    group.sections.iter().filter(|section| section.run != RunNo(0))
}

/// The event that follows a section; none if the run ends in it.
fn end_of(section: &Section) -> Option<EventNo> {
    let is_end = matches!(section.events.last(), Some(Event::RunEnded(_)));
    (!is_end).then(|| EventNo(section.first.0.saturating_add(section.events.len() as u64)))
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
        kept.check_open()?;
        kept.check_order(group)?;
        for section in of_runs(group) {
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
        !self.lock().closed
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

    fn checkpoint(&self, _: &[&Tables]) -> Result<(), StoreFault> {
        self.lock().check_open()
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
