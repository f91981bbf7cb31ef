//! What a check works with: a store that is open, what it was given, and the questions with which a check says what was seen and
//! what was expected. A check never waits: it lets the backend work until that has nothing to do.

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use durable::kernel::event::{Group, Text};
use durable::kernel::id::{Position, RunNo};
use durable::store::{ClosedRun, Journal, Later, Store, StoreFault};

use super::{Backend, Model, Opened, Wrong};

/// See the head of the file.
pub(super) struct Stage<'a> {
    pub(super) backend: &'a mut dyn Backend,
    pub(super) opened: Opened,
    /// Every group that was taken, in order, over all opens.
    pub(super) groups: Vec<Group>,
    /// How many of them this open was given.
    since_open: u64,
    rings: Arc<AtomicU64>,
}

/// The violation of a check.
pub(super) fn violated(at: impl Into<String>, seen: impl Debug, expected: impl Debug) -> Wrong {
    Wrong::Violated { at: at.into(), seen: format!("{seen:?}"), expected: format!("{expected:?}") }
}

/// Both are equal, or it is a violation.
pub(super) fn same<T: PartialEq + Debug>(at: &str, seen: T, expected: T) -> Result<(), Wrong> {
    if seen == expected { Ok(()) } else { Err(violated(at, seen, expected)) }
}

/// It is so, or it is a violation.
pub(super) fn holds(at: &str, is_so: bool) -> Result<(), Wrong> {
    same(at, is_so, true)
}

impl<'a> Stage<'a> {
    pub(super) fn open(backend: &'a mut dyn Backend) -> Result<Stage<'a>, Wrong> {
        let rings = Arc::<AtomicU64>::default();
        let opened = open(backend, &rings)?;
        Ok(Stage { backend, opened, groups: Vec::new(), since_open: 0, rings })
    }

    pub(super) fn store(&self) -> &dyn Store {
        &*self.opened.store
    }

    /// How often the listener was called.
    pub(super) fn rings(&self) -> u64 {
        self.rings.load(Ordering::Acquire)
    }

    /// What was given makes this.
    pub(super) fn model(&self) -> Model {
        Model::of(&self.groups)
    }

    /// Appends a group that has to be taken.
    pub(super) fn append(&mut self, group: Group) -> Result<Position, Wrong> {
        let position =
            self.store().append(&group).map_err(|fault| violated("a group is appended", fault, "a position"))?;
        self.groups.push(group);
        self.since_open += 1;
        same("the position of a group", position, Position(self.since_open))?;
        Ok(position)
    }

    /// Appends groups, each of which has to be taken.
    pub(super) fn append_all(&mut self, groups: impl IntoIterator<Item = Group>) -> Result<(), Wrong> {
        groups.into_iter().try_for_each(|group| self.append(group).map(drop))
    }

    /// Lets the backend work until something holds, or nothing more comes; says whether it holds.
    pub(super) fn until(&mut self, mut is_so: impl FnMut(&dyn Store) -> bool) -> bool {
        loop {
            if is_so(self.store()) {
                return true;
            }
            if !self.backend.drive() {
                return is_so(self.store());
            }
        }
    }

    /// Lets everything become durable that was appended.
    pub(super) fn settle(&mut self) -> Result<(), Wrong> {
        let last = Position(self.since_open);
        if self.until(|store| store.durable() >= last) {
            return Ok(());
        }
        Err(violated("everything that was appended becomes durable", self.store().durable(), last))
    }

    /// What is asked for later, with the backend at work meanwhile.
    pub(super) fn answer<T>(&mut self, later: Later<T>) -> Result<Result<T, StoreFault>, Wrong> {
        let mut later = pin!(later);
        loop {
            if let Poll::Ready(answer) = later.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return Ok(answer);
            }
            if !self.backend.drive() {
                let ended = later.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                let Poll::Ready(answer) = ended else {
                    return Err(violated("something that comes later", "it never comes", "an answer, or an error"));
                };
                return Ok(answer);
            }
        }
    }

    /// The journal of a run that has one.
    pub(super) fn load(&mut self, run: RunNo) -> Result<Journal, Wrong> {
        let later = self.store().load(run);
        self.journal(run, later)
    }

    /// The journal of a run that has one, asked for before.
    pub(super) fn journal(&mut self, run: RunNo, later: Later<Journal>) -> Result<Journal, Wrong> {
        self.answer(later)?.map_err(|fault| violated(format!("run {run} is loaded"), fault, "its journal"))
    }

    /// The newest closed run of an id.
    pub(super) fn find(&mut self, namespace: &str, id: &str) -> Result<Option<ClosedRun>, Wrong> {
        let later = self.store().find_closed(&Text::from(namespace), &Text::from(id));
        self.found(id, later)
    }

    /// The newest closed run of an id, asked for before.
    pub(super) fn found(&mut self, id: &str, later: Later<Option<ClosedRun>>) -> Result<Option<ClosedRun>, Wrong> {
        self.answer(later)?.map_err(|fault| violated(format!("`{id}` is looked for"), fault, "a run, or none"))
    }

    /// The journals of all open runs are as they were appended.
    pub(super) fn journals_are_right(&mut self) -> Result<(), Wrong> {
        let model = self.model();
        for run in model.open().collect::<Vec<_>>() {
            let journal = self.load(run)?;
            same(&format!("the journal of run {run}"), journal, model.journal(run))?;
        }
        Ok(())
    }

    /// Lets the process die and opens the store again.
    pub(super) fn crash_and_open(&mut self) -> Result<(), Wrong> {
        self.backend.crash();
        self.open_again()
    }

    /// Opens the store again, in the state in which it is.
    pub(super) fn open_again(&mut self) -> Result<(), Wrong> {
        if !self.backend.keeps() {
            return Err(Wrong::LeftOut("the store keeps nothing when it is let go"));
        }
        self.opened = open(self.backend, &self.rings)?;
        self.since_open = 0;
        Ok(())
    }

    /// Closes the store, lets the process end, and opens the store again.
    pub(super) fn close_and_open(&mut self) -> Result<(), Wrong> {
        let later = self.store().close();
        self.answer(later)?.map_err(|fault| violated("the store is closed", fault, "it closes"))?;
        self.crash_and_open()
    }
}

fn open(backend: &mut dyn Backend, rings: &Arc<AtomicU64>) -> Result<Opened, Wrong> {
    let rings = Arc::clone(rings);
    let listener = Arc::new(move || {
        rings.fetch_add(1, Ordering::AcqRel);
    });
    backend.open(listener).map_err(|error| violated("the store is opened", error, "it opens"))
}
