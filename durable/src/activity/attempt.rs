//! One attempt as a future: decode the input, run the body with its attempt as the ambient one, record what it gives. A
//! panic is caught here and is an outcome.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project::pin_project;
use tokio::sync::oneshot;

use super::ambient::{AttemptInfo, KeyOf, enter};
use super::state::{Missing, States};
use crate::error::{RetryHint, TEXT_LEN_MAX, panic_text};
use crate::kernel::command::Outcome;
use crate::kernel::event::{CallFailure, Payload, Text};
use crate::kernel::id::{Attempt, RunId, Seq};
use crate::kernel::trace::TraceContext;
use crate::payload::{self, PayloadCodec};
use crate::seams::{Spawn, Work};
use crate::workflow::answer::RecordedError;
use crate::workflow::definition::{Activity, Definition, end};

/// An attempt. It never panics.
pub type AttemptFuture = Pin<Box<dyn Future<Output = AttemptEnd> + Send>>;

/// What an attempt gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptEnd {
    /// A result.
    Completed(Payload),
    /// An error.
    Failed {
        /// The error as recorded. Empty where it is none of the activity's own: its input or its result could not be
        /// recorded, or a state is missing; the call then blocks its run with the text.
        error: Payload,
        /// Its text, for operators.
        text: Text,
        /// What it says about another attempt.
        retry: RetryHint,
    },
    /// It panicked, with this text.
    Panicked(Text),
}

impl AttemptEnd {
    /// A failure that is no error of the activity's own: what should be recorded cannot be, and no other build can go on from
    /// there.
    pub(crate) fn unrecorded(text: impl fmt::Display) -> AttemptEnd {
        AttemptEnd::without_value(&format!(
            "{text}; this call has no value in any build: mend it, end the run by `Run::terminate`, and start another one"
        ))
    }

    fn without_value(text: &str) -> AttemptEnd {
        let text = Text::cut(text, TEXT_LEN_MAX);
        AttemptEnd::Failed { error: Payload::default(), text, retry: RetryHint::Never }
    }
}

/// What an attempt of a registered activity is made of.
#[derive(Debug)]
pub struct Job {
    pub(crate) input: Payload,
    pub(crate) states: States,
    pub(crate) info: AttemptInfo,
    /// Where it runs if it blocks its thread; tokio's pool if this is none.
    pub(crate) pool: Option<Arc<dyn Spawn>>,
}

impl Job {
    /// Runs an `async fn`.
    pub fn run<D, W, F>(self, work: W) -> AttemptFuture
    where
        D: Activity,
        W: FnOnce(D::Input, &States) -> Result<F, Missing> + Send + 'static,
        F: Future<Output = D::Returned> + Send + 'static,
    {
        let Job { input, states, info, .. } = self;
        let codec = info.codec;
        attempt(info, async move {
            match prepare::<D, F>(&input, &states, work) {
                Ok(future) => recorded::<D>(future.await, codec),
                Err(end) => end,
            }
        })
    }

    /// The attempt that it is for.
    #[doc(hidden)]
    #[must_use]
    pub fn info(&self) -> &AttemptInfo {
        &self.info
    }

    /// Runs a double in the place of the activity's own body, as a future that stays on its thread.
    #[doc(hidden)]
    pub fn run_double<D, W, F>(self, work: W) -> impl Future<Output = AttemptEnd>
    where
        D: Activity,
        W: FnOnce(D::Args) -> F,
        F: Future<Output = D::Returned>,
    {
        let Job { input, states, info, .. } = self;
        let codec = info.codec;
        InAttempt {
            info: Some(info),
            work: async move {
                match prepare::<D, F>(&input, &states, |input, _| Ok(work(D::args(input)))) {
                    Ok(future) => recorded::<D>(future.await, codec),
                    Err(end) => end,
                }
            },
        }
    }

    /// Runs a plain `fn`, on the pool for what blocks its thread. It goes on there when the attempt is dropped.
    pub fn run_blocking<D, W, F>(self, work: W) -> AttemptFuture
    where
        D: Activity,
        W: FnOnce(D::Input, &States) -> Result<F, Missing> + Send + 'static,
        F: FnOnce() -> D::Returned + Send + 'static,
    {
        let Job { input, states, info, pool } = self;
        let (codec, mut inside) = (info.codec, Some(info.clone()));
        attempt(info, async move {
            match prepare::<D, F>(&input, &states, work) {
                Ok(call) => {
                    blocking(pool, move || {
                        let _entered = enter(&mut inside);
                        recorded::<D>(call(), codec)
                    })
                    .await
                }
                Err(end) => end,
            }
        })
    }
}

fn prepare<D: Activity, F>(
    input: &Payload,
    states: &States,
    work: impl FnOnce(D::Input, &States) -> Result<F, Missing>,
) -> Result<F, AttemptEnd> {
    let input = payload::decode::<D::Input>(input)
        .map_err(|error| AttemptEnd::unrecorded(format!("the input of `{}` does not decode: {error}", D::name())))?;
    // An open refuses this: only a direct run meets it.
    work(input, states).map_err(|missing| AttemptEnd::without_value(&format!("`{}` cannot run: {missing}", D::name())))
}

fn recorded<D: Definition>(returned: D::Returned, codec: PayloadCodec) -> AttemptEnd {
    match end::<D>(returned, codec) {
        Ok(Ok(result)) => AttemptEnd::Completed(result),
        Ok(Err(RecordedError { error, text, retry })) => AttemptEnd::Failed { error, text, retry },
        Err(text) => AttemptEnd::unrecorded(text),
    }
}

/// Runs what blocks its thread, on the pool for that. A panic in it is an outcome; when the pool shuts down before it began, it
/// never ends.
async fn blocking(pool: Option<Arc<dyn Spawn>>, work: impl FnOnce() -> AttemptEnd + Send + 'static) -> AttemptEnd {
    let (give, given) = oneshot::channel();
    let work: Work = Box::new(move || {
        let ended = catch_unwind(AssertUnwindSafe(work));
        // An attempt that was dropped does not want to know.
        let _ = give.send(ended.unwrap_or_else(|panic| AttemptEnd::Panicked(panic_text(&*panic))));
    });
    match pool {
        Some(pool) => pool.pool(work),
        None => drop(tokio::task::spawn_blocking(work)),
    }
    match given.await {
        Ok(end) => end,
        Err(_) => std::future::pending().await,
    }
}

/// A future that runs as this attempt: ambient in each poll, its panics caught.
pub(crate) fn attempt(info: AttemptInfo, work: impl Future<Output = AttemptEnd> + Send + 'static) -> AttemptFuture {
    Box::pin(InAttempt { info: Some(info), work })
}

#[pin_project]
struct InAttempt<F> {
    /// Here while it is not polled.
    info: Option<AttemptInfo>,
    #[pin]
    work: F,
}

impl<F: Future<Output = AttemptEnd>> Future for InAttempt<F> {
    type Output = AttemptEnd;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AttemptEnd> {
        let this = self.project();
        let _entered = enter(this.info);
        let polled = catch_unwind(AssertUnwindSafe(|| this.work.poll(cx)));
        polled.unwrap_or_else(|panic| Poll::Ready(AttemptEnd::Panicked(panic_text(&*panic))))
    }
}

/// The outcome of one attempt outside any run.
pub(crate) async fn direct<D: Activity>(name: Text, input: D::Input, states: States) -> Outcome {
    if let Some(need) = D::needs().into_iter().find(|need| !states.has(need)) {
        panic!("`{name}` cannot run: {}", Missing { type_name: need.type_name });
    }
    let codec = PayloadCodec::default();
    let input = match payload::encode(codec, &input) {
        Ok(input) => input,
        Err(error) => panic!("the input of `{name}` cannot be recorded: {error}"),
    };
    let info = AttemptInfo {
        namespace: Text::default(),
        workflow_id: "run_direct".into(),
        workflow: Text::default(),
        run: RunId::default(),
        key: KeyOf::DirectRun,
        activity: name,
        seq: Seq(1),
        attempt: Attempt(1),
        codec,
        asked: None,
        of_run: Some(TraceContext::of_run(RunId([1; 16]))),
    };
    match D::attempt(Job { input, states, info, pool: None }).await {
        AttemptEnd::Completed(result) => Outcome::Completed(result),
        AttemptEnd::Failed { error, text, .. } => Outcome::Failed(Box::new(CallFailure::App { error, text })),
        AttemptEnd::Panicked(text) => Outcome::Failed(Box::new(CallFailure::Panicked(text))),
    }
}
