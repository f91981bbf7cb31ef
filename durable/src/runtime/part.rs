//! The store as one of several drivers sees it. A store counts all groups that it is given; a kernel counts its own. The log's listener rings
//! only those drivers that wait for something.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kernel::event::{Group, Text};
use crate::kernel::id::{Position, RunNo};
use crate::kernel::open_runs::Shelf;
use crate::kernel::tables::Tables;
use crate::store::{ClosedRun, Journal, Later, Recorded, Store, StoreFault};

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Part {
    store: Arc<dyn Store>,
    /// Whether the driver is to be told when more is durable.
    bell: Arc<AtomicBool>,
    count: Mutex<Count>,
}

/// The groups of this driver.
#[derive(Debug, Default)]
struct Count {
    appended: Position,
    durable: Position,
    /// What the store calls those that were not durable when it was asked last.
    waiting: VecDeque<Position>,
}

impl Count {
    /// All of the store is durable up to there.
    fn see(&mut self, durable: Position) {
        while self.waiting.front().is_some_and(|first| *first <= durable) {
            self.waiting.pop_front();
            self.durable = self.durable.next();
        }
    }
}

impl Part {
    /// A driver's part of `store`; `bell` says whether it is to be told when more is durable.
    pub(super) fn new(store: Arc<dyn Store>, bell: Arc<AtomicBool>) -> Part {
        Part { store, bell, count: Mutex::default() }
    }

    fn count(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Part {
    fn append(&self, group: &Group) -> Result<Position, StoreFault> {
        let position = self.store.append(group)?;
        let mut count = self.count();
        count.waiting.push_back(position);
        count.appended = count.appended.next();
        Ok(count.appended)
    }

    /// What is not durable rings when it is: the driver asks behind whatever it appends.
    fn durable(&self) -> Position {
        let mut count = self.count();
        if planted!(72) {
            return self.store.durable();
        }
        count.see(self.store.durable());
        if !count.waiting.is_empty() && !planted!(73) {
            self.bell.store(true, Ordering::SeqCst);
            // It may have become so before the bell was set.
            count.see(self.store.durable());
        }
        count.durable
    }

    fn queued_bytes(&self) -> usize {
        self.store.queued_bytes()
    }

    fn accepts_work(&self) -> bool {
        self.store.accepts_work()
    }

    fn failure(&self) -> Option<StoreFault> {
        self.store.failure()
    }

    fn load(&self, run: RunNo) -> Later<Journal> {
        self.store.load(run)
    }

    fn load_recorded(&self, run: RunNo) -> Later<Recorded> {
        self.store.load_recorded(run)
    }

    fn may_be_closed(&self, namespace: &Text, id: &Text) -> bool {
        self.store.may_be_closed(namespace, id)
    }

    fn find_closed(&self, namespace: &Text, id: &Text) -> Later<Option<ClosedRun>> {
        self.store.find_closed(namespace, id)
    }

    fn wants_checkpoint(&self) -> bool {
        self.store.wants_checkpoint()
    }

    fn checkpoint(&self, tables: &[&Tables]) -> Result<(), StoreFault> {
        self.store.checkpoint(tables)
    }

    fn idle(&self) {
        self.store.idle();
    }

    fn shelf(&self) -> Box<dyn Shelf> {
        self.store.shelf()
    }

    fn close(&self) -> Later<()> {
        self.store.close()
    }

    fn stop(&self) -> Later<()> {
        self.store.stop()
    }
}
