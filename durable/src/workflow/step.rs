//! `durable::step`: an anonymous activity, written in place. Its attempts run like any other's; only its closure comes
//! from the run's own future, so a step is not registered.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{Answer, FAILURE, Mode, Recordable, RecordedError, TYPED, Told, display};
use super::call::{assert_unissued, failed};
use super::context::{Origin, Pending, What};
use super::definition::{ActivityKind, Described, Kind, Prepared};
use super::undo::Compensation;
use super::undo::sealed::Undoes;
use crate::activity::{ActivityOptions, AttemptEnd, AttemptFuture, AttemptInfo, attempt};
use crate::error::{CallError, IntoFailure, Retryable};
use crate::kernel::command::{Inputs, Outcome};
use crate::kernel::event::{Payload, Text};
use crate::kernel::id::Seq;
use crate::kernel::retry::RetryPolicy;
use crate::payload::{self, PayloadError};

/// Runs `attempt` as an activity without a name of its own in the program, and gives its recorded result at replay.
///
/// The closure is called once for each attempt. It is not an input: prefer [`step_with`], which records a digest of what
/// the step depends on and gives each attempt a fresh copy.
///
/// The error comes back as itself where it is `Serialize + Deserialize`, [`Retryable`] and displays; as a
/// [`Failure`](crate::Failure) where it is `anyhow::Error`, `Box<dyn Error + Send + Sync>`, [`durable::Error`](crate::Error)
/// or a text.
///
/// # Journal
/// The name, the result.
#[track_caller]
pub fn step<F, Fut, M>(
    name: impl Into<String>,
    attempt: F,
) -> Step<<Fut::Output as StepReturned<M>>::Output, <Fut::Output as StepReturned<M>>::Error>
where
    F: Fn() -> Fut + Send + 'static,
    Fut: Future<Output: StepReturned<M>> + Send + 'static,
{
    Step::build(name.into().into(), (), move |()| attempt())
}

/// As [`step`], with an input: its digest is recorded and checked at replay, and each attempt gets a copy of its own.
///
/// # Journal
/// The name, the input's digests, the result.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// #[workflow]
/// async fn words(text: String) -> durable::Result<usize> {
///     let count = durable::step_with("count", text, |text| async move {
///         Ok::<_, String>(text.split_whitespace().count())
///     });
///     Ok(count.await?)
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert_eq!(words("as it is".to_owned()).run_direct().await.unwrap(), 3);
/// # }
/// ```
#[track_caller]
pub fn step_with<I, F, Fut, M>(
    name: impl Into<String>,
    input: I,
    attempt: F,
) -> Step<<Fut::Output as StepReturned<M>>::Output, <Fut::Output as StepReturned<M>>::Error>
where
    I: Serialize + DeserializeOwned + Send + 'static,
    F: Fn(I) -> Fut + Send + 'static,
    Fut: Future<Output: StepReturned<M>> + Send + 'static,
{
    Step::build(name.into().into(), input, attempt)
}

/// An anonymous activity, not yet called. Made by [`step`] and [`step_with`].
#[must_use = "a step does nothing until it is awaited"]
pub struct Step<T, E> {
    inner: Box<Inner<T, E>>,
}

/// Makes the step's name and input ready for its command; gone after the first poll.
type Describe = Box<dyn FnOnce(&Text, &Origin) -> Result<Described, String> + Send>;

struct Inner<T, E> {
    pending: Pending,
    /// Gone after the first poll, with what describes.
    options: Option<Prepared>,
    describe: Option<Describe>,
    value: fn(&Payload) -> Result<T, PayloadError>,
    error: fn(&Payload) -> Result<E, PayloadError>,
}

impl<T, E> Step<T, E> {
    #[track_caller]
    fn build<I, F, Fut, M>(name: Text, input: I, attempt: F) -> Self
    where
        I: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(I) -> Fut + Send + 'static,
        Fut: Future<Output: StepReturned<M, Output = T, Error = E>> + Send + 'static,
    {
        let options = Prepared::new(name.clone(), &ActivityOptions::DEFAULT);
        let attempts = Some(attempts::<I, F, Fut, M>(attempt));
        let pending = Pending::build(What::Step { name, attempts });
        Step {
            inner: Box::new(Inner {
                pending,
                options: Some(options),
                describe: Some(Box::new(move |name, origin| Described::new(name, &input, origin))),
                value: <Fut::Output as StepReturned<M>>::Answer::value,
                error: <Fut::Output as StepReturned<M>>::Answer::error,
            }),
        }
    }

    #[track_caller]
    fn set(mut self, set: impl FnOnce(&mut ActivityOptions)) -> Self {
        assert_unissued(&self.inner.pending);
        let prepared = self.inner.options.as_mut().expect("because the options are there until the first poll");
        set(prepared.call.options.set());
        self
    }

    /// When and how often a failed attempt is tried again.
    #[track_caller]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.set(|options| options.retry = policy)
    }

    /// How long one attempt may run.
    #[track_caller]
    pub fn start_to_close(self, limit: Duration) -> Self {
        self.set(|options| options.start_to_close = Some(limit))
    }

    /// How long the whole step may take, waits and retries included.
    #[track_caller]
    pub fn schedule_to_close(self, limit: Duration) -> Self {
        self.set(|options| options.schedule_to_close = Some(limit))
    }

    /// An attempt that may have begun is never started again.
    #[track_caller]
    pub fn at_most_once(self) -> Self {
        self.set(|options| options.at_most_once = true)
    }

    /// Binds a compensation to the step; see [`Call::undo`](crate::Call::undo).
    #[track_caller]
    pub fn undo<C: Compensation>(mut self, undo: impl FnOnce(T) -> C + Send + 'static) -> Self
    where
        T: 'static,
    {
        assert_unissued(&self.inner.pending);
        let (name, value) = (self.inner.pending.name().clone(), self.inner.value);
        self.inner.pending.bound().undo = Some(Box::new(move |result| match value(result) {
            Ok(value) => Ok(Box::new(undo(value))),
            Err(error) => Err(format!("the recorded result of step {name:?} does not decode: {error}")),
        }));
        self
    }

    /// What runs when it is not known whether the step's effect stands; see [`Call::undo_unknown`](crate::Call::undo_unknown).
    #[track_caller]
    pub fn undo_unknown<C: Compensation>(mut self, compensation: C) -> Self {
        assert_unissued(&self.inner.pending);
        self.inner.pending.bound().call = Some(Box::new(compensation));
        self
    }

    /// When the step is dropped in flight, its attempt is asked to stop and awaited; see
    /// [`Call::wait_on_cancel`](crate::Call::wait_on_cancel).
    #[track_caller]
    pub fn wait_on_cancel(mut self) -> Self {
        assert_unissued(&self.inner.pending);
        self.inner.pending.wait_on_cancel();
        self
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Inner { pending, options, describe, .. } = &mut *self.inner;
        pending.poll(cx, |what, origin| {
            let both = describe.take().zip(options.take());
            let (describe, options) = both.expect("because a command is made once, at the first poll");
            Ok(ActivityKind::command(what.name(), describe(what.name(), origin)?, options))
        })
    }

    /// What a changed input means at replay.
    #[track_caller]
    pub fn inputs(self, inputs: Inputs) -> Self {
        self.set(|options| options.inputs = inputs)
    }
}

impl<T, E> Inner<T, E> {
    fn settle(&self, outcome: Outcome) -> Result<Result<T, CallError<E>>, String> {
        let told = |error: PayloadError| {
            format!(
                "the recorded result of step {:?} does not decode: {}",
                self.pending.name(),
                payload::way_out(&error)
            )
        };
        match outcome {
            Outcome::Completed(value) => (self.value)(&value).map(Ok).map_err(told),
            Outcome::Failed(failure) => failed(*failure, |error| (self.error)(error).map_err(told)).map(Err),
            Outcome::Fired | Outcome::Signal(_) | Outcome::Child(_) => {
                Err(format!("step {:?} got the outcome of another command: {outcome:?}", self.pending.name()))
            }
        }
    }
}

impl<T, E> Future for Step<T, E> {
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let step = self.get_mut();
        let outcome = ready!(step.poll_outcome(cx));
        match step.inner.settle(outcome) {
            Ok(result) => Poll::Ready(result),
            Err(reason) => step.inner.pending.block(reason).map(|never| match never {}),
        }
    }
}

impl<T: 'static, E: 'static> Undoes for Step<T, E> {
    fn name(&self) -> Text {
        self.inner.pending.name().clone()
    }

    fn begin(&mut self, undoes: Option<Seq>) -> Seq {
        self.inner.pending.undo(undoes)
    }

    fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_outcome(cx).map(drop)
    }
}

impl<T, E> fmt::Debug for Step<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Step");
        shown.field("name", self.inner.pending.name());
        if let Some(options) = &self.inner.options {
            shown.field("options", options);
        }
        shown.finish()
    }
}

/// The closure as the runtime calls it, once for each attempt.
fn attempts<I, F, Fut, M>(work: F) -> Arc<dyn Fn(Payload, AttemptInfo) -> AttemptFuture + Send + Sync>
where
    I: DeserializeOwned + Send + 'static,
    F: Fn(I) -> Fut + Send + 'static,
    Fut: Future<Output: StepReturned<M>> + Send + 'static,
{
    let work = Arc::new(Mutex::new(work));
    Arc::new(move |input, info| {
        let (work, codec) = (Arc::clone(&work), info.codec);
        attempt(info, async move {
            let input = match payload::decode::<I>(&input) {
                Ok(input) => input,
                Err(error) => return AttemptEnd::unrecorded(format!("the step's input does not decode: {error}")),
            };
            let future = work.lock().unwrap_or_else(PoisonError::into_inner)(input);
            let told = <Fut::Output as StepReturned<M>>::told;
            match <Fut::Output as StepReturned<M>>::Answer::record(future.await, told, codec) {
                Ok(Ok(result)) => AttemptEnd::Completed(result),
                Ok(Err(RecordedError { error, text, retry })) => AttemptEnd::Failed { error, text, retry },
                Err(error) => AttemptEnd::unrecorded(format!("the step's result cannot be recorded: {error}")),
            }
        })
    })
}

/// What a step's closure returns. `M` is inferred: it says how the error comes back.
#[diagnostic::on_unimplemented(
    message = "a step cannot return `{Self}`",
    label = "not a `Result` of values that can be recorded",
    note = "either the error derives `Serialize`, `Deserialize` and `durable::Retryable` and displays: it then comes back \
            as itself",
    note = "or it is `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `String` or `durable::Error`: it then comes back as a \
            `durable::Failure`"
)]
pub trait StepReturned<M>: Sized {
    /// The value.
    type Output;
    /// The error as it comes back.
    type Error;
    /// The error as the closure returns it.
    type Written;
    /// How both are recorded.
    type Answer: Answer<Self, Self::Output, Self::Error, Self::Written>;

    /// What the error says about itself.
    fn told(error: &Self::Written) -> Told;
}

/// The error comes back as itself.
#[derive(Debug)]
pub enum Typed {}
/// The error dereferences to any error, and comes back as a failure.
#[derive(Debug)]
pub enum Opaque {}
/// The error is a text, and comes back as a failure.
#[derive(Debug)]
pub enum Words {}

#[diagnostic::do_not_recommend]
impl<T, E> StepReturned<Typed> for Result<T, E>
where
    T: Recordable,
    E: Recordable + Retryable + fmt::Display,
{
    type Output = T;
    type Error = E;
    type Written = E;
    type Answer = Mode<TYPED>;

    fn told(error: &E) -> Told {
        Told { text: Some(display(error)), retry: error.retry() }
    }
}

/// An error that only dereferences to one, as `anyhow::Error`, boxes and the crate's own do.
pub trait Dereferencing: IntoFailure + Deref<Target = dyn StdError + Send + Sync> {}

impl<E: IntoFailure + Deref<Target = dyn StdError + Send + Sync>> Dereferencing for E {}

macro_rules! failures {
    ($([$($parameter:ident: $bound:path)?] $marker:ident, $error:ty;)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl<T: Recordable, $($parameter: $bound)?> StepReturned<$marker> for Result<T, $error> {
                type Output = T;
                type Error = crate::Failure;
                type Written = $error;
                type Answer = Mode<FAILURE>;

                fn told(_: &$error) -> Told {
                    Told::default()
                }
            }
        )*
    };
}

failures! {
    [E: Dereferencing] Opaque, E;
    [] Words, String;
    [] Words, &'static str;
}
