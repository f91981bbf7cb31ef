//! A call as a value: what a workflow's or an activity's function returns. It takes its number when it is built, is
//! issued at its first poll, and leaves nothing when it is dropped before. Options are set until then.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::context::{Known, Origin, Pending, What};
use super::definition::{Activity, ActivityKind, Definition, Described, Kind, Prepared, RunDirect, Workflow};
use super::options::ChildOptions;
use super::undo::Compensation;
use super::undo::sealed::Undoes;
use crate::activity::{States, direct};
use crate::error::{CallError, RunError, Undone};
use crate::kernel::command::{ChildOutcome, Command, Inputs, Outcome};
use crate::kernel::event::{CallFailure, ClosePolicy, End, Payload, Text};
use crate::kernel::id::{Digest, Seq};
use crate::kernel::retry::RetryPolicy;
use crate::payload::{self, PayloadCodec, PayloadError};

/// A call of a workflow or an activity, not yet made.
///
/// Awaited in a workflow it is recorded, and gives what was recorded when the run is replayed; a workflow's call awaited
/// in a workflow is a child. `Runtime::start` takes a workflow's call from outside. It may be built anywhere.
///
/// # Panics
/// Awaiting it outside a run panics and names the place where it was built. So does setting an option after its first
/// poll.
#[must_use = "a call does nothing until it is awaited or started"]
pub struct Call<D: Definition> {
    inner: Box<Inner<D>>,
}

/// A call's own, in a box: what a body awaits stands in its future, and arguments may be large.
struct Inner<D: Definition> {
    pending: Pending,
    /// Gone after the first poll: what was asked for then is recorded.
    input: Option<D::Input>,
    /// Gone with the input.
    options: Option<<D::Kind as Kind>::Options>,
    states: States,
}

impl<D: Definition> Call<D> {
    /// What a changed input means at replay, and at a start under a known workflow id.
    #[track_caller]
    pub fn inputs(self, inputs: Inputs) -> Self {
        self.set(|options| *D::Kind::inputs(options) = inputs)
    }

    /// A state for the activities of [`run_direct`](Self::run_direct); it has no other use.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.inner.states.insert(state);
        self
    }

    /// Runs it here, for its unit tests.
    ///
    /// An activity's body runs once, without a run: input and result are encoded and decoded as they would be, nothing is recorded,
    /// nothing is tried again. A workflow runs to its end on a private engine in memory, with no set-up: its activities and children
    /// run as always, retries and timers included.
    ///
    /// # Errors
    /// Of an activity, what its body returns, or that it panicked, as a [`CallError`]. Of a workflow, how its run ended if not with
    /// `Ok`, as a [`RunError`].
    ///
    /// # Panics
    /// If the call was awaited before, or a value cannot be recorded. An activity: when a state is missing. A workflow: when its run is
    /// blocked, with the text that says why, and outside a tokio runtime.
    ///
    /// # Examples
    /// ```
    /// # use durable::prelude::*;
    /// #[activity]
    /// async fn double(x: u32) -> Result<u32, String> { Ok(2 * x) }
    ///
    /// #[workflow]
    /// async fn quadruple(x: u32) -> durable::Result<u32> {
    ///     Ok(double(double(x).await?).await?)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// assert_eq!(double(3).run_direct().await.unwrap(), 6);
    /// assert_eq!(quadruple(3).run_direct().await.unwrap(), 12);
    /// # }
    /// ```
    pub async fn run_direct(self) -> <D::Kind as RunDirect<D>>::Returned
    where
        D::Kind: RunDirect<D>,
    {
        <D::Kind as RunDirect<D>>::run_direct(self).await
    }

    fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let Inner { pending, input, options, .. } = &mut *self.inner;
        pending.poll(cx, |what, origin| command::<D>(what.name(), input.take(), options.take(), origin))
    }

    #[track_caller]
    fn build(what: What, input: D::Input, options: <D::Kind as Kind>::Options) -> Self {
        let pending = Pending::build(what);
        let inner = Inner { pending, input: Some(input), options: Some(options), states: States::default() };
        Call { inner: Box::new(inner) }
    }

    #[track_caller]
    fn set(mut self, set: impl FnOnce(&mut <D::Kind as Kind>::Options)) -> Self {
        assert_unissued(&self.inner.pending);
        set(self.inner.options.as_mut().expect("because the options are there until the first poll"));
        self
    }
}

/// Builds an activity's call.
#[track_caller]
pub fn call_activity<D: Activity>(input: D::Input) -> Call<D> {
    let name = D::name();
    let options = Prepared::new(name.clone(), D::options());
    Call::build(What::Activity { name, of: Known::of::<D>() }, input, options)
}

/// Builds a workflow's call.
#[track_caller]
pub fn call_workflow<D: Workflow>(input: D::Input) -> Call<D> {
    let what = What::Workflow { name: D::name(), of: Known::of::<D>() };
    Call::build(what, input, ChildOptions::from(D::options()))
}

/// Options of an activity's call; each stands in the place of what the attribute says.
impl<D: Activity> Call<D> {
    /// When and how often a failed attempt is tried again.
    #[track_caller]
    pub fn retry(self, policy: RetryPolicy) -> Self {
        self.set(|options| options.call.options.set().retry = policy)
    }

    /// How long one attempt may run.
    #[track_caller]
    pub fn start_to_close(self, limit: Duration) -> Self {
        self.set(|options| options.call.options.set().start_to_close = Some(limit))
    }

    /// How long the whole call may take, waits and retries included.
    #[track_caller]
    pub fn schedule_to_close(self, limit: Duration) -> Self {
        self.set(|options| options.call.options.set().schedule_to_close = Some(limit))
    }

    /// An attempt that may have begun is never started again.
    #[track_caller]
    pub fn at_most_once(self) -> Self {
        self.set(|options| options.call.options.set().at_most_once = true)
    }
}

/// What undoes a call, and what happens to it when it is dropped.
impl<D: Activity> Call<D> {
    /// Binds a compensation to the call: `undo` makes it of the call's result, when the run fails, is cancelled or times out, or when the
    /// scope around it does. From then on the result is registered by the very event that delivers it, so that no crash loses it.
    ///
    /// Compensations run newest first, are not cut by a cancel, and are tried again by their own retry policy. One that fails for good is
    /// named in the run's end, [`RunError::CompensationFailed`], and the older ones run all the same.
    ///
    /// A call with an undo that is dropped in flight (the loser of a `select!`, a cancel) is asked to stop and awaited, and undone if it
    /// succeeded: before its run ends, also if that ends `Ok`.
    ///
    /// # Examples
    /// ```
    /// # use durable::prelude::*;
    /// # #[activity]
    /// # async fn reserve(item: String) -> Result<u32, String> { Ok(7) }
    /// # #[activity]
    /// # async fn release(hold: u32) -> Result<(), String> { Ok(()) }
    /// # #[activity]
    /// # async fn charge(cents: u64) -> Result<(), String> { Err("declined".to_owned()) }
    /// #[workflow]
    /// async fn order(item: String) -> durable::Result<()> {
    ///     reserve(item).undo(|hold| release(hold)).await?;
    ///     charge(999).retry(durable::retry::never()).await?; // declined: the hold is released
    ///     Ok(())
    /// }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// assert!(order("book".to_owned()).run_direct().await.is_err());
    /// # }
    /// ```
    ///
    /// # Journal
    /// That an undo is bound, with the call: every build of the workflow has to bind one. The compensation is recorded as any call, with
    /// the number of the one that it undoes.
    #[track_caller]
    pub fn undo<C: Compensation>(mut self, undo: impl FnOnce(D::Output) -> C + Send + 'static) -> Self {
        assert_unissued(&self.inner.pending);
        self.inner.pending.bound().undo = Some(Box::new(move |result| match D::Answer::value(result) {
            Ok(value) => Ok(Box::new(undo(value))),
            Err(error) => Err(format!("the recorded result of `{}` does not decode: {error}", D::name())),
        }));
        self
    }

    /// What runs in the place of an [`undo`](Self::undo) when it is not known whether the call's effect stands: an attempt timed out,
    /// panicked, or its process died, and the call failed in the end. Without it the run's end names the call as not known to be undone.
    ///
    /// # Journal
    /// As [`undo`](Self::undo).
    #[track_caller]
    pub fn undo_unknown<C: Compensation>(mut self, compensation: C) -> Self {
        assert_unissued(&self.inner.pending);
        self.inner.pending.bound().call = Some(Box::new(compensation));
        self
    }

    /// When the call is dropped in flight, its attempt is asked to stop, see [`durable::activity::cancelled`](crate::activity::cancelled),
    /// and is awaited before the run ends, to its deadline. Else it is dropped where it stands, but for calls with an undo, of which
    /// this is always true.
    ///
    /// # Journal
    /// That it is so, with the call: every build of the workflow has to say the same.
    #[track_caller]
    pub fn wait_on_cancel(mut self) -> Self {
        assert_unissued(&self.inner.pending);
        self.inner.pending.wait_on_cancel();
        self
    }
}

impl<D: Activity> Undoes for Call<D> {
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

impl<D: Activity> RunDirect<D> for ActivityKind {
    type Returned = Result<D::Output, CallError<D::Error>>;

    async fn run_direct(call: Call<D>) -> Self::Returned {
        let Inner { input, states, pending, .. } = *call.inner;
        assert_unissued(&pending);
        let input = input.expect("because the input is there until the first poll");
        let outcome = direct::<D>(pending.name().clone(), input, states).await;
        settle::<D>(outcome).unwrap_or_else(|reason| panic!("{reason}"))
    }
}

/// Options of a workflow's call, for a child and for a start from outside.
impl<D: Workflow> Call<D> {
    /// The workflow id. A child without one gets one of its own.
    #[track_caller]
    pub fn id(self, id: impl Into<String>) -> Self {
        let id = Text::from(id.into());
        self.set(|options| options.id = Some(id))
    }

    /// How long the run may take.
    #[track_caller]
    pub fn timeout(self, limit: Duration) -> Self {
        self.set(|options| options.timeout = Some(limit))
    }

    /// What becomes of the child when its parent ends.
    #[track_caller]
    pub fn close(self, policy: ClosePolicy) -> Self {
        self.set(|options| options.close = policy)
    }

    /// The call for a direct run, and the states that were given for it.
    pub(crate) fn into_direct_run(mut self) -> (Self, States) {
        let states = std::mem::take(&mut self.inner.states);
        (self, states)
    }

    /// The call as the runtime starts it from outside.
    #[track_caller]
    pub(crate) fn into_start(self) -> StartCall {
        let Inner { input, options, pending, .. } = *self.inner;
        assert_unissued(&pending);
        let (input, options) = input.zip(options).expect("because both are there until the first poll");
        StartCall {
            name: pending.name().clone(),
            definition: TypeId::of::<D>(),
            type_name: std::any::type_name::<D>(),
            options,
            input: Box::new(input),
        }
    }
}

impl<D: Definition> Future for Call<D> {
    type Output = Result<D::Output, CallError<D::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let call = self.get_mut();
        match settle::<D>(ready!(call.poll_outcome(cx))) {
            Ok(result) => Poll::Ready(result),
            Err(reason) => call.inner.pending.block(reason).map(|never| match never {}),
        }
    }
}

impl<D: Definition> fmt::Debug for Call<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Call");
        shown.field("name", self.inner.pending.name());
        if let Some(options) = &self.inner.options {
            shown.field("options", options);
        }
        shown.finish()
    }
}

fn command<D: Definition>(
    name: &Text,
    input: Option<D::Input>,
    options: Option<<D::Kind as Kind>::Options>,
    origin: &Origin,
) -> Result<Command, String> {
    let (input, options) = input.zip(options).expect("because a command is made once, at the first poll");
    Ok(D::Kind::command(name, Described::new(name, &input, origin)?, options))
}

#[track_caller]
pub(super) fn assert_unissued(pending: &Pending) {
    assert!(
        !pending.is_issued(),
        "the call of `{}` was awaited already: options are set before its first poll, and it is started only once",
        pending.name()
    );
}

/// What a call gives for its outcome; an error says why the record does not decode.
fn settle<D: Definition>(outcome: Outcome) -> Result<Result<D::Output, CallError<D::Error>>, String> {
    let told = |error: PayloadError| {
        format!("the recorded result of `{}` does not decode: {}", D::name(), payload::way_out(&error))
    };
    match outcome {
        Outcome::Completed(value) => D::Answer::value(&value).map(Ok).map_err(told),
        Outcome::Failed(failure) => failed(*failure, |error| D::Answer::error(error).map_err(told)).map(Err),
        Outcome::Child(child) => {
            let ChildOutcome { how, body, result, undone } = *child;
            let ended = Ended { how, body, result, undone: undone.into() };
            let result = ended.decode::<D>().map_err(told)?;
            Ok(result.map_err(|error| CallError::Child(Box::new(error))))
        }
        Outcome::Fired | Outcome::Signal(_) => {
            Err(format!("the call of `{}` got the outcome of another command: {outcome:?}", D::name()))
        }
    }
}

/// A recorded failure as its caller sees it. An attempt whose input or result could not be recorded has left its text
/// alone: that is no error of the activity's own, so it blocks the run.
pub(super) fn failed<E>(
    failure: CallFailure,
    recall: impl Fn(&Payload) -> Result<E, String>,
) -> Result<CallError<E>, String> {
    CallError::recall(failure, |error, text| match error.is_empty() {
        true => Err(text.to_string()),
        false => recall(error),
    })
}

/// A workflow's call as the runtime takes it: no longer generic.
pub(crate) struct StartCall {
    name: Text,
    definition: TypeId,
    type_name: &'static str,
    options: ChildOptions,
    input: Box<dyn Input>,
}

impl StartCall {
    /// The workflow's recorded name.
    pub(crate) fn name(&self) -> &Text {
        &self.name
    }

    /// Its version.
    pub(crate) fn version(&self) -> u32 {
        self.options.version
    }

    /// Its definition's type and that type's name, to compare with what is registered.
    pub(crate) fn definition(&self) -> (TypeId, &'static str) {
        (self.definition, self.type_name)
    }

    /// The workflow id, if the call has one.
    pub(crate) fn id(&self) -> Option<&Text> {
        self.options.id.as_ref()
    }

    /// How long the run may take.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.options.timeout
    }

    /// What a changed input means where the id is known.
    pub(crate) fn inputs(&self) -> Inputs {
        self.options.inputs
    }

    /// The input as recorded.
    pub(crate) fn payload(&self, codec: PayloadCodec) -> Result<Payload, PayloadError> {
        self.input.payload(codec)
    }

    /// The input's digests, of values and of shape, in the run that has this salt.
    pub(crate) fn digests(&self, salt: &[u8; 16]) -> Result<(Digest, Digest), PayloadError> {
        self.input.digests(salt)
    }
}

impl fmt::Debug for StartCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartCall").field("name", &self.name).field("options", &self.options).finish()
    }
}

/// An input whose type is forgotten.
trait Input: Send {
    fn payload(&self, codec: PayloadCodec) -> Result<Payload, PayloadError>;
    fn digests(&self, salt: &[u8; 16]) -> Result<(Digest, Digest), PayloadError>;
}

impl<T: Serialize + DeserializeOwned + Send> Input for T {
    fn payload(&self, codec: PayloadCodec) -> Result<Payload, PayloadError> {
        payload::encode(codec, self)
    }

    fn digests(&self, salt: &[u8; 16]) -> Result<(Digest, Digest), PayloadError> {
        payload::digest(salt, self)
    }
}

/// A run's end, as it is decoded for whoever asks for the result.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// How the run ended.
    pub(crate) how: End,
    /// How its body ended, which a failed compensation hides.
    pub(crate) body: End,
    /// The recorded result or error.
    pub(crate) result: Payload,
    /// What was undone.
    pub(crate) undone: Undone,
}

/// Decodes a run's end for a handle, which is generic over what comes back and not over the definition.
pub(crate) type DecodeEnd<T, E> = fn(Ended) -> Result<T, RunError<E>>;

impl Ended {
    /// What a handle of a run of `D` gives.
    pub(crate) fn result<D: Definition>(self) -> Result<D::Output, RunError<D::Error>> {
        self.decode::<D>().unwrap_or_else(|error| Err(RunError::Decode(super::answer::display(&error))))
    }

    fn decode<D: Definition>(self) -> Result<Result<D::Output, RunError<D::Error>>, PayloadError> {
        let Ended { how, body, result, undone } = self;
        match RunError::recall(how, body, undone, || D::Answer::error(&result))? {
            None => D::Answer::value(&result).map(Ok),
            Some(error) => Ok(Err(error)),
        }
    }
}
