//! Attempts in flight. Each is polled once in place; one that waits then becomes a task of its own. An activity whose first polls
//! take long (it computes before it awaits) goes to a task at once, so that it does not hold up the runs.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::sync::mpsc::UnboundedSender;

use super::request::Message;
use crate::activity::{Asked, AttemptEnd, AttemptFuture, AttemptInfo, KeyOf};
use crate::error::RetryHint;
use crate::kernel::engine::{AttemptOrder, AttemptReport, Now, Retry, WhyStopped};
use crate::kernel::event::{Payload, Text};
use crate::kernel::id::{Attempt, RunNo, Seq};
use crate::seams::{Clock, Spawn};

/// A first poll that takes longer holds up the runs.
const LONG_POLL: Duration = Duration::from_micros(200);

/// What a long first poll counts against its activity; a short one takes 1 back. So it is its habit that counts, and not the one
/// poll during which the machine did something else.
const LONG_POLL_COUNTS: u32 = 4;

/// At so many an activity is given tasks from the start.
const SLOW: u32 = 12;

/// The attempts that have a task.
pub(crate) struct InFlight {
    tasks: BTreeMap<(RunNo, Seq), Arc<InTask>>,
    /// How slow an activity's first polls were, where one was.
    slow: BTreeMap<Text, u32>,
    clock: Arc<dyn Clock>,
    spawn: Arc<dyn Spawn>,
    done: UnboundedSender<Message>,
}

/// What an attempt's task shares with who may stop it.
struct InTask {
    attempt: Attempt,
    /// The attempt is to be dropped where it stands.
    aborted: AtomicBool,
    /// Who polls the task.
    polls: AtomicWaker,
    /// How it hears that it is to stop.
    asked: Option<Asked>,
    /// What it does, and what is said of its end, is said in here.
    span: tracing::Span,
}

/// An attempt's task.
struct Flight {
    run: RunNo,
    seq: Seq,
    shared: Arc<InTask>,
    /// None when it is over: a report is sent when nothing of the attempt is left.
    future: Option<AttemptFuture>,
    done: UnboundedSender<Message>,
}

/// What is known of an attempt while it runs.
pub(crate) struct Begun {
    run: RunNo,
    seq: Seq,
    attempt: Attempt,
    activity: Text,
    span: tracing::Span,
}

impl Begun {
    pub(crate) fn of(order: &AttemptOrder) -> Begun {
        let span = tracing::info_span!(
            "attempt", activity = %order.name, workflow = %order.workflow, id = %order.id, seq = order.seq.0,
            attempt = order.attempt.0, traceparent = %order.trace
        );
        Begun { run: order.run, seq: order.seq, attempt: order.attempt, activity: order.name.clone(), span }
    }
}

impl InFlight {
    pub(crate) fn new(clock: Arc<dyn Clock>, spawn: Arc<dyn Spawn>, done: UnboundedSender<Message>) -> InFlight {
        InFlight { tasks: BTreeMap::new(), slow: BTreeMap::new(), clock, spawn, done }
    }

    /// Begins an attempt; gives its report if it ended in its first poll. `now` is when it begins, and then the time behind that poll; for the
    /// two clocks to be read for each attempt costs more than most of them take.
    pub(crate) fn begin(
        &mut self,
        begun: Begun,
        mut future: AttemptFuture,
        asked: Option<Asked>,
        now: &mut Now,
    ) -> Option<AttemptReport> {
        if self.slow.get(&begun.activity).is_none_or(|slow| *slow < SLOW) {
            let _entered = begun.span.enter();
            let polled = poll_once(&mut future);
            let monotonic = self.clock.monotonic();
            let took = monotonic.saturating_sub(now.monotonic);
            *now = Now { wall: now.wall.after(took), monotonic };
            self.judge(&begun.activity, took);
            if let Poll::Ready(end) = polled {
                return Some(report(end));
            }
        }
        self.run(begun, future, asked);
        None
    }

    fn judge(&mut self, activity: &Text, first_poll: Duration) {
        if first_poll > LONG_POLL {
            *self.slow.entry(activity.clone()).or_default() += LONG_POLL_COUNTS;
        } else if let Some(slow) = self.slow.get_mut(activity) {
            *slow = slow.saturating_sub(1);
        }
    }

    /// An attempt has reported: its task is over. One that was given up may report when the next one has its task already.
    pub(crate) fn ended(&mut self, run: RunNo, seq: Seq, attempt: Attempt) {
        if self.tasks.get(&(run, seq)).is_some_and(|task| task.attempt == attempt) {
            self.tasks.remove(&(run, seq));
        }
    }

    #[cfg(test)]
    pub(crate) fn running(&self) -> usize {
        self.tasks.len()
    }

    /// Asks an attempt to stop.
    pub(crate) fn ask(&self, run: RunNo, seq: Seq) {
        if let Some(asked) = self.tasks.get(&(run, seq)).and_then(|task| task.asked.as_ref()) {
            asked.ask();
        }
    }

    /// Drops an attempt where it stands. A timeout is told to operators as an error of its own would be.
    pub(crate) fn stop(&mut self, run: RunNo, seq: Seq, why: WhyStopped) {
        let Some(task) = self.tasks.remove(&(run, seq)) else { return };
        if why == WhyStopped::TimedOut {
            task.span.in_scope(|| tracing::warn!("the attempt timed out (start-to-close)"));
        }
        if !planted!(40) || why != WhyStopped::TimedOut {
            task.abort();
        }
    }

    /// Drops all of them.
    pub(crate) fn stop_all(&mut self) {
        std::mem::take(&mut self.tasks).into_values().for_each(|task| task.abort());
    }

    fn run(&mut self, begun: Begun, future: AttemptFuture, asked: Option<Asked>) {
        let Begun { run, seq, attempt, span, .. } = begun;
        let (aborted, polls) = (AtomicBool::new(false), AtomicWaker::new());
        let shared = Arc::new(InTask { attempt, aborted, polls, asked, span });
        self.tasks.insert((run, seq), Arc::clone(&shared));
        self.spawn.task(Box::pin(Flight { run, seq, shared, future: Some(future), done: self.done.clone() }));
    }
}

impl InTask {
    fn abort(&self) {
        self.aborted.store(true, Ordering::Relaxed);
        self.polls.wake();
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }
}

impl Future for Flight {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.is_aborted() {
            self.end();
            return Poll::Ready(());
        }
        let Flight { run, seq, shared, future, done } = &mut *self;
        let _entered = shared.span.enter();
        let Some(running) = future else { return Poll::Ready(()) };
        if let Poll::Ready(end) = running.as_mut().poll(cx) {
            *future = None;
            let (attempt, report) = (shared.attempt, report(end));
            // Nobody is there any more when the runtime was dropped.
            let _ = done.send(Message::Attempt { run: *run, seq: *seq, attempt, report });
            return Poll::Ready(());
        }
        shared.polls.register(cx.waker());
        // Whoever stopped it meanwhile has woken nobody.
        if shared.is_aborted() {
            *future = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

impl Flight {
    /// Drops the attempt where it stands, as it was polled: in its span.
    fn end(&mut self) {
        if let Some(future) = self.future.take() {
            self.shared.span.in_scope(|| drop(future));
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.end();
    }
}

fn poll_once(future: &mut AttemptFuture) -> Poll<AttemptEnd> {
    let mut context = Context::from_waker(Waker::noop());
    std::pin::pin!(tokio::task::unconstrained(future)).poll(&mut context)
}

/// What the kernel is told of an attempt's end. A failure is told to operators too, in the attempt's span: with retries without end
/// nothing else would show it while the call goes on.
fn report(end: AttemptEnd) -> AttemptReport {
    match end {
        AttemptEnd::Completed(result) => AttemptReport::Completed(result),
        AttemptEnd::Failed { error, text, retry } => {
            tracing::warn!(error = %text, "the attempt failed");
            AttemptReport::Failed { error, text, retry: retry.into() }
        }
        AttemptEnd::Panicked(text) => {
            tracing::warn!(panic = %text, "the attempt panicked");
            AttemptReport::Panicked(text)
        }
    }
}

impl From<RetryHint> for Retry {
    fn from(hint: RetryHint) -> Retry {
        match hint {
            RetryHint::Yes => Retry::ByPolicy,
            RetryHint::Never => Retry::Never,
            RetryHint::After(span) => Retry::After(span),
        }
    }
}

/// What an order hands over to the attempt: the arguments, and what an activity may know. Nothing is copied, since each copy of a text of the
/// run's touches a place in memory that nothing else of the attempt does.
pub(crate) fn handed_over(order: AttemptOrder, codec: crate::payload::PayloadCodec) -> (Payload, AttemptInfo) {
    let info = AttemptInfo {
        namespace: order.namespace,
        workflow_id: order.id,
        workflow: order.workflow,
        run: order.run_id,
        activity: order.name,
        seq: order.seq,
        attempt: order.attempt,
        key: KeyOf::Call(order.recorded_value, order.ordinal),
        codec,
        asked: order.may_be_asked.then(Asked::default),
        of_run: order.trace.of_run,
    };
    (order.input, info)
}
