//! What the macros make of a function: a definition, a type without values that knows the function's name, its argument
//! struct, what it returns, and how it is registered. Nothing here runs anything.

use std::fmt::{self, Debug};
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer::{Answer, Recorded, RecordedError, Told};
use super::call::Call;
use super::context::Origin;
use super::options::{ChildOptions, WorkflowOptions};
use crate::activity::{ActivityOptions, AttemptFuture, Job, Need};
use crate::kernel::command::{CallActivity, Command, Inputs, StartChild};
use crate::kernel::event::{Payload, Text, UndoBits};
use crate::kernel::id::Digest;
use crate::kernel::options::CallOptions;
use crate::payload::{self, PayloadCodec};
use crate::registry::Registry;

/// A workflow or an activity, made from a function by its attribute.
pub trait Definition: Sized + 'static {
    /// Which of the two.
    type Kind: Kind;
    /// The arguments, by name.
    type Input: Serialize + DeserializeOwned + Send + 'static;
    /// What the function returns: a `Result`.
    type Returned;
    /// Its value.
    type Output;
    /// Its error as the caller sees it.
    type Error;
    /// Its error as the function returns it.
    type Written;
    /// How both are recorded.
    type Answer: Answer<Self::Returned, Self::Output, Self::Error, Self::Written>;

    /// The recorded name.
    fn name() -> Text;
    /// Enters it.
    fn register(registry: &mut Registry);
    /// What an error says about itself.
    fn told(error: &Self::Written) -> Told;
}

/// A value that can be an argument: it is recorded and decoded after a restart.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded, and an argument is",
    label = "not `Serialize + Deserialize + Send`",
    note = "derive `Serialize` and `Deserialize` for it; a generic parameter is bound by `Serialize + DeserializeOwned + Send`"
)]
pub trait Argument: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Argument for T {}

/// An activity's definition.
pub trait Activity: Definition<Kind = ActivityKind> {
    /// The types of its arguments, in their order: what a test's double takes.
    type Args;
    /// The arguments of an input, in their order.
    fn args(input: Self::Input) -> Self::Args;
    /// The attribute's options.
    fn options() -> &'static ActivityOptions;
    /// Which states it takes.
    fn needs() -> Vec<Need>;
    /// One attempt.
    fn attempt(job: Job) -> AttemptFuture;
}

/// A workflow's definition.
#[diagnostic::on_unimplemented(
    message = "this is not the call of a workflow",
    label = "not a workflow's call",
    note = "a run is started of a function that is marked with `#[durable::workflow]`; an activity is called in one, or tried \
            out by `run_direct()`"
)]
pub trait Workflow: Definition<Kind = WorkflowKind> {
    /// The attribute's options.
    fn options() -> WorkflowOptions;
    /// The body's future.
    fn body(input: Self::Input, codec: PayloadCodec) -> BodyFuture;
}

/// What the body of a run gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyEnd {
    /// `Ok`.
    Ok(Payload),
    /// `Err`.
    Err {
        /// The error, as recorded.
        error: Payload,
        /// Its text, for operators.
        text: Text,
    },
    /// A result that cannot be recorded: the run is blocked.
    Unrecorded(String),
}

/// The body of a run.
pub type BodyFuture = Pin<Box<dyn Future<Output = BodyEnd> + Send>>;

/// Boxes a workflow's body, so that its result is recorded.
pub fn body<D, F>(future: F, codec: PayloadCodec) -> BodyFuture
where
    D: Workflow,
    F: Future<Output = D::Returned> + Send + 'static,
{
    Box::pin(future.map(move |returned| match end::<D>(returned, codec) {
        Ok(Ok(result)) => BodyEnd::Ok(result),
        Ok(Err(RecordedError { error, text, .. })) => BodyEnd::Err { error, text },
        Err(reason) => BodyEnd::Unrecorded(reason),
    }))
}

/// What is recorded of what a body or an attempt returned; an error says why it cannot be recorded.
pub(crate) fn end<D: Definition>(returned: D::Returned, codec: PayloadCodec) -> Result<Recorded, String> {
    let recorded = D::Answer::record(returned, D::told, codec);
    recorded.map_err(|error| format!("the result of `{}` cannot be recorded: {error}", D::name()))
}

/// Whether a definition is a workflow or an activity: what its calls ask for, with which options.
pub trait Kind: Debug + 'static {
    /// What may be set on a call, and becomes its command.
    type Options: Debug + Send + 'static;
    /// What is said about a changed input.
    fn inputs(options: &mut Self::Options) -> &mut Inputs;
    /// The command of a call.
    fn command(name: &Text, call: Described, options: Self::Options) -> Command;
}

/// How a call of this kind is run directly.
pub trait RunDirect<D: Definition>: Kind {
    /// What it gives.
    type Returned;
    #[doc(hidden)]
    fn run_direct(call: Call<D>) -> impl Future<Output = Self::Returned> + Send;
}

/// A call's input, on the way to a command.
#[derive(Debug)]
pub struct Described {
    /// None where it is not wanted.
    pub(crate) input: Option<Payload>,
    pub(crate) value: Digest,
    pub(crate) shape: Digest,
}

impl Described {
    pub(crate) fn new<T: Serialize>(name: &Text, input: &T, origin: &Origin) -> Result<Described, String> {
        let told = |error| format!("the input of `{name}` cannot be recorded: {error}");
        let (value, shape) = payload::digest(&origin.salt, input).map_err(told)?;
        let input = origin.wants_input.then(|| payload::encode(origin.codec, input)).transpose().map_err(told)?;
        Ok(Described { input, value, shape })
    }
}

/// The kind of an activity.
#[derive(Debug)]
pub enum ActivityKind {}

impl Kind for ActivityKind {
    type Options = Prepared;

    fn inputs(options: &mut Prepared) -> &mut Inputs {
        &mut options.call.options.set().inputs
    }

    fn command(_: &Text, call: Described, options: Prepared) -> Command {
        let mut command = options.call;
        command.input = call.input;
        command.value = call.value;
        command.shape = call.shape;
        Command::CallActivity(command)
    }
}

/// An activity's call whose input is not known yet. It is the command already, so that nothing has to be copied at the first poll.
pub struct Prepared {
    pub(crate) call: Box<CallActivity>,
}

impl Prepared {
    pub(crate) fn new(name: Text, options: &'static ActivityOptions) -> Prepared {
        let call = CallActivity {
            name,
            input: None,
            value: Digest::default(),
            shape: Digest::default(),
            options: CallOptions::Defined(options),
            undo: UndoBits::default(),
            undoes: None,
        };
        Prepared { call: Box::new(call) }
    }
}

impl Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (*self.call.options).fmt(f)
    }
}

/// The kind of a workflow.
#[derive(Debug)]
pub enum WorkflowKind {}

impl Kind for WorkflowKind {
    type Options = ChildOptions;

    fn inputs(options: &mut ChildOptions) -> &mut Inputs {
        &mut options.inputs
    }

    fn command(name: &Text, call: Described, options: ChildOptions) -> Command {
        Command::StartChild(Box::new(StartChild {
            workflow: name.clone(),
            version: options.version,
            id: options.id,
            // One that is not wanted was given to the child when it was recorded.
            input: call.input.unwrap_or_default(),
            value: call.value,
            shape: call.shape,
            inputs: options.inputs,
            close: options.close,
            timeout: options.timeout,
        }))
    }
}

/// A name that is made once, for functions whose name is the same in every instance.
#[derive(Debug)]
pub struct Name {
    name: &'static str,
    text: OnceLock<Text>,
}

impl Name {
    /// The name.
    #[must_use]
    pub const fn new(name: &'static str) -> Name {
        Name { name, text: OnceLock::new() }
    }

    /// The name as text, cheap to clone.
    #[must_use]
    pub fn text(&self) -> Text {
        self.text.get_or_init(|| self.name.into()).clone()
    }
}
