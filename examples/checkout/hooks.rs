//! What makes the story go wrong on purpose: a crash when a step has had its effect and that is not recorded yet, and a cancel in the
//! middle of a step. It must not change what a step does.

use std::fmt;
use std::sync::Arc;

use durable::activity::AttemptInfo;
use tokio::sync::{Semaphore, mpsc, oneshot};

/// The place in an order where something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// An activity, by its name.
    Activity(&'static str),
    /// The wait for the approval.
    Approval,
}

/// The activities, in the order in which an order meets them, and their opposites.
const ACTIVITIES: [&str; 7] = ["reserve", "charge", "ship", "recall", "refund", "refund_order", "release"];

impl Step {
    /// The step of this name.
    pub fn named(name: &str) -> Option<Step> {
        let activity = ACTIVITIES.into_iter().find(|activity| *activity == name).map(Step::Activity);
        activity.or((name == "approval").then_some(Step::Approval))
    }

    fn is(self, attempt: &AttemptInfo) -> bool {
        matches!(self, Step::Activity(name) if name == attempt.activity.as_str())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Activity(name) => name,
            Step::Approval => "approval",
        })
    }
}

/// A request to cancel the order; it is answered when that is on disk.
pub type CancelRequest = oneshot::Sender<()>;

/// What happens to one order in this process.
#[derive(Debug, Clone)]
pub struct Hooks {
    order: String,
    crash_at: Option<Step>,
    cancel_at: Option<(Step, mpsc::UnboundedSender<CancelRequest>)>,
    /// Closed when attempts may begin.
    told: Arc<Semaphore>,
}

impl Hooks {
    /// For this order; the receiver hears when it is to be cancelled.
    pub fn of(
        order: &str,
        crash_at: Option<Step>,
        cancel_at: Option<Step>,
    ) -> (Hooks, mpsc::UnboundedReceiver<CancelRequest>) {
        let (send, receive) = mpsc::unbounded_channel();
        let (order, cancel_at) = (order.to_owned(), cancel_at.map(|step| (step, send)));
        (Hooks { order, crash_at, cancel_at, told: Arc::new(Semaphore::new(0)) }, receive)
    }

    /// It is told where the order stands: what happens from here on may be told as well.
    pub fn told(&self) {
        self.told.close();
    }

    /// An attempt is about to say that it begins.
    pub async fn may_tell(&self) {
        let _ = self.told.acquire().await;
    }

    /// An attempt begins: if this is where the order is cancelled, it waits until that is on disk.
    pub async fn begins(&self, attempt: &AttemptInfo) {
        let Some((_, cancel)) = self.cancel_at.as_ref().filter(|(step, _)| step.is(attempt)) else { return };
        if attempt.workflow_id.as_str() != self.order {
            return;
        }
        let (done, cancelled) = oneshot::channel();
        // Nobody listens any more when the order has ended.
        if cancel.send(done).is_ok() {
            let _ = cancelled.await;
        }
    }

    /// The effect of an attempt is there, and not recorded: the worst moment for a crash.
    pub fn done(&self, attempt: &AttemptInfo) {
        if self.crash_at.is_some_and(|step| step.is(attempt)) && attempt.workflow_id.as_str() == self.order {
            crash(&format!("{} was done and is not recorded", attempt.activity));
        }
    }
}

/// Ends the process here, as a power cut would.
pub fn crash(when: &str) -> ! {
    println!("  shop     crashes now, on purpose: {when}");
    std::process::abort()
}
