//! The log as a [`Store`]: what the runtime knows of it. Nothing here adds to the log; it turns typed errors into words and futures
//! into boxes.

use std::fmt::Display;

use super::{Log, Report};
use crate::kernel::event::{Group, Text};
use crate::kernel::id::{Position, RunNo};
use crate::kernel::open_runs::Shelf;
use crate::kernel::tables::Tables;
use crate::store::shelf::Rows;
use crate::store::{ClosedRun, Journal, Later, Listener, Recorded, Store, StoreFault};

/// A listener of the log that only says that it moved.
#[must_use]
pub fn rung_by(listener: Listener) -> super::Listener {
    std::sync::Arc::new(move |_: Report| listener())
}

impl Store for Log {
    fn append(&self, group: &Group) -> Result<Position, StoreFault> {
        Log::append(self, group, self.clock.wall()).map_err(fault)
    }

    fn durable(&self) -> Position {
        Log::durable(self)
    }

    fn queued_bytes(&self) -> usize {
        Log::queued_bytes(self)
    }

    fn accepts_work(&self) -> bool {
        Log::accepts_work(self)
    }

    fn failure(&self) -> Option<StoreFault> {
        self.shared.queue().fault.clone().map(fault)
    }

    fn load(&self, run: RunNo) -> Later<Journal> {
        let journal = Log::load(self, run);
        Box::pin(async move { journal.await.map_err(fault) })
    }

    fn load_recorded(&self, run: RunNo) -> Later<Recorded> {
        let journal = Log::load_raw(self, run);
        Box::pin(async move { journal.await.map(Recorded::from).map_err(fault) })
    }

    fn may_be_closed(&self, namespace: &Text, id: &Text) -> bool {
        Log::may_be_closed(self, namespace, id)
    }

    fn find_closed(&self, namespace: &Text, id: &Text) -> Later<Option<ClosedRun>> {
        let (log, namespace, id) = (self.clone(), namespace.clone(), id.clone());
        Box::pin(async move {
            let found = Log::find_closed(&log, &namespace, &id).await.map_err(fault)?;
            Ok(found.map(ClosedRun::from))
        })
    }

    fn wants_checkpoint(&self) -> bool {
        Log::wants_checkpoint(self)
    }

    fn checkpoint(&self, tables: &[&Tables]) -> Result<(), StoreFault> {
        Log::checkpoint_of(self, tables).map(|_| ()).map_err(fault)
    }

    fn idle(&self) {
        Log::idle(self);
    }

    fn shelf(&self) -> Box<dyn Shelf> {
        let (folder, log) = (std::sync::Arc::clone(&self.folder), self.clone());
        // What is left of a full disk is the log's.
        Box::new(Rows::new(move || folder.scratch(), move || log.accepts_work()))
    }

    fn close(&self) -> Later<()> {
        let closing = Log::close(self);
        Box::pin(async move { closing.await.map_err(fault) })
    }

    fn stop(&self) -> Later<()> {
        let stopping = Log::stop(self);
        Box::pin(async move {
            stopping.await;
            Ok(())
        })
    }
}

fn fault(error: impl Display) -> StoreFault {
    StoreFault(error.to_string().into())
}

impl From<super::ClosedRun> for ClosedRun {
    fn from(found: super::ClosedRun) -> ClosedRun {
        ClosedRun {
            run: found.run,
            started: *found.started,
            started_at: found.started_at,
            ended: *found.ended,
            ended_at: found.ended_at,
        }
    }
}
