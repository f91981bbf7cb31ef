//! The moments of a play: between two of them something changed on the disk, outside, or on the clock. Many polls leave everything as it
//! is, and share a moment with those before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durable::kernel::id::Timestamp;
use durable::seams::Clock;

use super::image::How;
use crate::disk::{Op, ProcessId, Snapshot, TraceLine};
use crate::kit::outside::{self, Shown};
use crate::kit::stage::Stage;
use crate::sim::{Process, Step};

/// A moment, with all that a crash may leave of it.
#[derive(Debug, Clone)]
pub(super) struct Moment {
    pub(super) disk: Snapshot,
    pub(super) outside: outside::Moment,
    pub(super) wall: Timestamp,
    pub(super) process: ProcessId,
    /// The operation that made it; none if it was something else.
    pub(super) operation: Option<Arc<TraceLine>>,
    operations: u64,
    polls: u64,
    at: Duration,
}

/// All of them, and what was counted.
#[derive(Debug, Default)]
pub(super) struct Moments {
    pub(super) all: Vec<Moment>,
    pub(super) operations: u64,
    pub(super) polls: u64,
    newest: Option<(u64, u64, Timestamp)>,
}

/// Where they are gathered while the play goes on.
pub(super) struct Watched(Arc<Mutex<Option<Moments>>>);

impl Watched {
    /// What was gathered so far; nothing more is.
    pub(super) fn take(self) -> Moments {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}

/// Gathers the moments of this process from now on.
pub(super) fn watch(stage: &Stage, process: &Process) -> Watched {
    let moments = Arc::new(Mutex::new(Some(Moments::default())));
    let (disk, clock, outside) = (stage.sim().disk().clone(), stage.sim().clock().clone(), stage.outside().clone());
    let (gathered, number, id) = (Arc::clone(&moments), process.number(), process.disk().id());
    stage.sim().watch(move |step| {
        let mut gathered = gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(moments) = gathered.as_mut() else { return };
        match step {
            Step::Poll { process } if process != number => return,
            Step::Poll { .. } => moments.polls += 1,
            Step::Operation => moments.operations += 1,
        }
        let now = (disk.performed(), outside.changes(), clock.wall());
        if moments.newest.replace(now) == Some(now) {
            return;
        }
        let moment = Moment {
            disk: disk.snapshot(),
            outside: outside.moment(),
            wall: clock.wall(),
            process: id,
            operation: disk.newest().filter(|_| step == Step::Operation),
            operations: moments.operations,
            polls: moments.polls,
            at: outside.elapsed(),
        };
        moments.all.push(moment);
    });
    Watched(moments)
}

impl Moment {
    /// Whether it is a moment only because something was looked at: whatever a crash leaves of it, it leaves of the one before.
    pub(super) fn only_looked(&self) -> bool {
        self.operation.as_ref().is_some_and(|line| !line.op.kind().is_change())
    }

    /// A crash at it, for a person.
    pub(super) fn words(&self, how: How) -> String {
        format!("at {} {}", Shown(self.at), self.deed(how))
    }

    /// As [`words`](Self::words), without the time.
    pub(super) fn deed(&self, how: How) -> String {
        let place = match (&self.operation, how) {
            (Some(line), How::Half) => format!("in the middle of operation {}: {}", self.operations, operation(line)),
            (Some(line), _) => format!("right behind operation {}: {}", self.operations, operation(line)),
            (None, _) => format!("before its poll {}, behind {} operations", self.polls, self.operations),
        };
        format!("{} {place}", how.words())
    }
}

fn operation(line: &TraceLine) -> String {
    let TraceLine { op, name, .. } = line;
    match op {
        Op::Write { offset, len, .. } => format!("write {len} bytes at {offset} of {name}"),
        Op::Read { offset, len, .. } => format!("read {len} bytes at {offset} of {name}"),
        Op::SetLen { len, .. } => format!("set the length of {name} to {len}"),
        Op::SyncData { .. } => format!("sync {name}"),
        Op::SyncDir { .. } => "sync the directory".to_owned(),
        Op::Create { name, .. } => format!("create {name}"),
        Op::Open { name, .. } | Op::OpenOrCreate { name, .. } => format!("open {name}"),
        Op::Link { from, to, .. } => format!("link {from} as {to}"),
        Op::Rename { from, to, .. } => format!("rename {from} to {to}"),
        Op::Remove { name, .. } => format!("remove {name}"),
        Op::OpenDir { path } | Op::MakeDir { path } | Op::IdentityOf { path } => {
            format!("{:?} {}", op.kind(), path.display())
        }
        Op::List { .. } | Op::CloseDir { .. } => format!("{:?}", op.kind()),
        Op::Len { .. } | Op::TryLock { .. } | Op::Close { .. } | Op::Identity { .. } => {
            format!("{:?} {name}", op.kind())
        }
    }
}
