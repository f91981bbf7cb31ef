//! What reaches the driver: requests of handles, reports of attempts, of loads and of the log.

use std::fmt;
use std::time::Duration;

use tokio::sync::oneshot;

use super::peers::Lent;
use crate::kernel::engine::{Answer, AttemptReport, WhenBlocked};
use crate::kernel::event::{Payload, Sender, Text};
use crate::kernel::id::{Attempt, RunNo, Seq};
use crate::kernel::trace::TraceContext;
use crate::store::{ClosedRun, Recorded};
use crate::workflow::call::StartCall;

/// Where an answer goes. It is dropped when the runtime is gone.
pub(crate) type Reply = oneshot::Sender<Answered>;

/// What a request gives.
#[derive(Debug)]
pub(crate) enum Answered {
    /// The kernel's answer; what it says is durable.
    By(Answer),
    /// A closed run has the id that was asked for.
    Closed(Box<ClosedRun>, Fit),
    /// The request cannot be carried out.
    Refused(Refused),
}

/// How a start fits a closed run of the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is the same: the caller gets that run.
    Same,
    /// It is another one.
    Other,
}

/// Why a request was refused before it came to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The runtime shuts down.
    ShuttingDown,
    /// The disk is full.
    NoSpace,
    /// The store failed; it has to be opened anew.
    Store(Text),
    /// The input cannot be recorded.
    Input(Text),
}

/// A start on its way.
pub(crate) struct StartRequest {
    pub(crate) namespace: Text,
    pub(crate) id: Text,
    pub(crate) call: StartCall,
    pub(crate) input: Payload,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) reply: Reply,
}

/// What reaches the driver.
pub(crate) enum Message {
    Start(Box<StartRequest>),
    /// A start whose id may be that of a closed run was looked up.
    LookedUp(Box<StartRequest>, Result<Option<Box<ClosedRun>>, Text>),
    Signal {
        run: RunNo,
        name: Text,
        payload: Payload,
        sender: Sender,
        reply: Reply,
    },
    Cancel {
        run: RunNo,
        reason: Text,
        reply: Reply,
    },
    Terminate {
        run: RunNo,
        reason: Text,
        reply: Reply,
    },
    Watch {
        run: RunNo,
        blocked: WhenBlocked,
        reply: Reply,
    },
    Describe {
        run: RunNo,
        reply: Reply,
    },
    Find {
        namespace: Text,
        id: Text,
        reply: Reply,
    },
    List {
        reply: Reply,
    },
    RetryBlocked {
        run: Option<RunNo>,
        reply: Reply,
    },
    /// In how much time something is due.
    NextDue {
        reply: oneshot::Sender<Option<Duration>>,
    },
    Attempt {
        run: RunNo,
        seq: Seq,
        attempt: Attempt,
        report: AttemptReport,
    },
    Loaded {
        run: RunNo,
        journal: Result<Box<Recorded>, Text>,
    },
    /// The log moved: how far it is durable, or what is wrong with it, is asked of itself.
    LogMoved,
    Shutdown {
        deadline: Duration,
        reply: oneshot::Sender<Result<(), Text>>,
    },
    /// The runtime was dropped: as if the process had died.
    Kill,
    /// Among several drivers.
    Peer(Peer),
}

/// What drivers of one store tell each other.
pub(crate) enum Peer {
    /// To the first: a checkpoint is due.
    CheckpointDue,
    /// From the first: lend your tables.
    Lend {
        to: oneshot::Sender<Lent>,
        /// Whether the store is about to be closed.
        closing: bool,
    },
    /// From the first: the runtime shuts down. Attempts are awaited until then, on the monotonic clock.
    Drain { until: Duration },
    /// To the first: nothing is awaited here any more.
    Drained,
    /// The store failed, as one of them has found.
    Failed(Text),
    /// Slots are wanted, or there are some.
    Slots,
}

impl Message {
    /// Where the answer goes, if the message is a request.
    pub(crate) fn into_reply(self) -> Option<Reply> {
        match self {
            Message::Start(request) | Message::LookedUp(request, _) => Some(request.reply),
            Message::Signal { reply, .. }
            | Message::Cancel { reply, .. }
            | Message::Terminate { reply, .. }
            | Message::Watch { reply, .. }
            | Message::Describe { reply, .. }
            | Message::Find { reply, .. }
            | Message::RetryBlocked { reply, .. }
            | Message::List { reply } => Some(reply),
            Message::NextDue { .. }
            | Message::Attempt { .. }
            | Message::Loaded { .. }
            | Message::LogMoved
            | Message::Shutdown { .. }
            | Message::Kill
            | Message::Peer(_) => None,
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Message::Start(_) => "Start",
            Message::LookedUp(..) => "LookedUp",
            Message::Signal { .. } => "Signal",
            Message::Cancel { .. } => "Cancel",
            Message::Terminate { .. } => "Terminate",
            Message::Watch { .. } => "Watch",
            Message::Describe { .. } => "Describe",
            Message::Find { .. } => "Find",
            Message::List { .. } => "List",
            Message::RetryBlocked { .. } => "RetryBlocked",
            Message::NextDue { .. } => "NextDue",
            Message::Attempt { .. } => "Attempt",
            Message::Loaded { .. } => "Loaded",
            Message::LogMoved => "LogMoved",
            Message::Shutdown { .. } => "Shutdown",
            Message::Kill => "Kill",
            Message::Peer(_) => "Peer",
        })
    }
}
