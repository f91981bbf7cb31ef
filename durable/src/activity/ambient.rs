//! Which attempt is running: set around each poll of it and restored after, never left behind in the thread.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::codec::hash;
use crate::kernel::event::Text;
use crate::kernel::id::{Attempt, Digest, RunId, Seq};
use crate::kernel::trace::{AttemptTrace, TraceContext};
use crate::payload::PayloadCodec;

thread_local! {
    static CURRENT: RefCell<Option<AttemptInfo>> = const { RefCell::new(None) };
}

/// What an activity may know about the attempt that runs it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptInfo {
    /// The namespace of the run that called.
    pub namespace: Text,
    /// The run's workflow id.
    pub workflow_id: Text,
    /// The run's workflow.
    pub workflow: Text,
    /// The run.
    pub run: RunId,
    /// The activity's, or the step's, recorded name.
    pub activity: Text,
    /// The call's number in its run.
    pub seq: Seq,
    /// Which try this is, from 1.
    pub attempt: Attempt,
    /// The trace that the run was started with, if there is one.
    pub(crate) of_run: Option<TraceContext>,
    /// What the idempotency key is made of.
    pub(crate) key: KeyOf,
    /// How results are written.
    pub(crate) codec: PayloadCodec,
    /// How it hears that it is to stop; none if nobody will ask it.
    pub(crate) asked: Option<Asked>,
}

/// How an attempt hears that it is to stop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(Arc<Ask>);

#[derive(Debug, Default)]
struct Ask {
    asked: AtomicBool,
    told: Notify,
}

impl Asked {
    /// Asks.
    pub(crate) fn ask(&self) {
        self.0.asked.store(true, Ordering::Release);
        self.0.told.notify_waiters();
    }

    fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Acquire)
    }

    async fn wait(self) {
        loop {
            let told = self.0.told.notified();
            if self.is_asked() {
                return;
            }
            told.await;
        }
    }
}

impl PartialEq for Asked {
    fn eq(&self, other: &Asked) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Asked {}

/// What an idempotency key is made of, beyond the run and the activity's name. Most activities never ask for theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyOf {
    /// The recorded digest of the arguments, and which of the run's equal calls it is.
    Call(Digest, u32),
    /// No run: the activity is run directly.
    DirectRun,
}

impl AttemptInfo {
    /// Where in a distributed trace the attempt stands.
    #[must_use]
    pub fn trace_context(&self) -> TraceContext {
        let AttemptInfo { of_run, run, seq, attempt, .. } = *self;
        AttemptTrace { of_run, run, seq, attempt }.context()
    }

    /// The key under which the outside world knows this call: the same for all its attempts, over replays, restarts and
    /// deploys, and for no other call.
    #[must_use]
    pub fn idempotency_key(&self) -> String {
        match self.key {
            KeyOf::Call(value, ordinal) => hash::idempotency_key(self.run, self.activity.as_str(), value, ordinal),
            KeyOf::DirectRun => format!("run_direct/{}", self.activity),
        }
    }
}

impl fmt::Debug for AttemptInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptInfo")
            .field("workflow_id", &self.workflow_id)
            .field("run", &self.run)
            .field("activity", &self.activity)
            .field("seq", &self.seq)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// The attempt that runs the code that asks.
///
/// # Panics
/// Outside an activity or a step, and in what it spawned.
#[track_caller]
#[must_use]
pub fn info() -> AttemptInfo {
    match try_info() {
        Some(info) => info,
        None => panic!(
            "no attempt of an activity is running here: ask in the body of an activity or a step, not in a workflow and \
             not in a task that the activity spawned"
        ),
    }
}

/// The attempt that runs the code that asks, if there is one.
#[must_use]
pub fn try_info() -> Option<AttemptInfo> {
    CURRENT.with_borrow(Clone::clone)
}

/// The key under which the outside world knows this call: the same for all its attempts, over replays, restarts and
/// deploys, and for no other call. Give it to whom you ask for an effect that must happen once.
///
/// # Panics
/// Outside an activity or a step, and in what it spawned.
#[track_caller]
#[must_use]
pub fn idempotency_key() -> String {
    info().idempotency_key()
}

/// Where in a distributed trace the attempt stands: send it along as the `traceparent` header, and what the other side records hangs
/// under this attempt. The trace is the one that the run was started in, see
/// [`Starting::trace_context`](crate::runtime::Starting::trace_context), else its own: its trace id is then the run's id. Each attempt is a span
/// of its own, whose id a replay does not change; children go on in their parent's trace.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// #[activity]
/// async fn fetch(url: String) -> Result<String, String> {
///     let traceparent = durable::activity::trace_context().to_string();
///     # let _ = url;
///     // client.get(url).header("traceparent", traceparent) ..
///     Ok(traceparent)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(fetch("http://localhost".to_owned()).run_direct().await.unwrap().starts_with("00-"));
/// # }
/// ```
///
/// # Panics
/// Outside an activity or a step, and in what it spawned.
#[track_caller]
#[must_use]
pub fn trace_context() -> TraceContext {
    info().trace_context()
}

/// Whether the attempt is asked to stop: its call was dropped (a cancel, the loser of a `select!`) and its outcome is awaited, because
/// it has an [`undo`](crate::Call::undo) or said [`wait_on_cancel`](crate::Call::wait_on_cancel). What it returns is recorded all the
/// same; an error says that nothing was done. Other attempts are dropped where they stand, and are never asked.
///
/// # Panics
/// Outside an activity or a step, and in what it spawned.
#[track_caller]
#[must_use]
pub fn is_cancelled() -> bool {
    info().asked.is_some_and(|asked| asked.is_asked())
}

/// Waits until the attempt is asked to stop; see [`is_cancelled`].
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # async fn transfer() -> Result<u64, String> { Ok(1) }
/// #[activity]
/// async fn move_money() -> Result<u64, String> {
///     tokio::select! {
///         moved = transfer() => moved,
///         () = durable::activity::cancelled() => Err("asked to stop before it was sent".to_owned()),
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(move_money().run_direct().await.unwrap(), 1);
/// # }
/// ```
///
/// # Panics
/// Outside an activity or a step, and in what it spawned.
#[track_caller]
pub fn cancelled() -> impl Future<Output = ()> + Send + 'static {
    let asked = info().asked;
    async move {
        match asked {
            Some(asked) => asked.wait().await,
            None => std::future::pending().await,
        }
    }
}

/// While it lives, the attempt is that of this thread; then it is back in its place, and the one before is that of the thread.
pub(super) struct Entered<'a> {
    place: &'a mut Option<AttemptInfo>,
}

pub(super) fn enter(place: &mut Option<AttemptInfo>) -> Entered<'_> {
    let mut entered = Entered { place };
    entered.change_places();
    entered
}

impl Entered<'_> {
    fn change_places(&mut self) {
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.place));
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.change_places();
    }
}
