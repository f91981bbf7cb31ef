//! What workflow code asks for, and what it receives. A command is what an entry of a turn records, plus what only the
//! process needs: the input, the policy, the place in the source.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::event::{CallFailure, ClosePolicy, End, Payload, Text, UndoBits, Undone};
use super::id::{Digest, Seq, Timestamp};
use super::options::CallOptions;

/// What workflow code asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Run an activity and give its result.
    CallActivity(Box<CallActivity>),
    /// Wake up then.
    StartTimer {
        /// When.
        due: Timestamp,
    },
    /// Receive a signal.
    AwaitSignal {
        /// Its name.
        name: Text,
    },
    /// Start a child and give its end.
    StartChild(Box<StartChild>),
}

/// A call of an activity.
#[derive(Debug, Clone, PartialEq)]
pub struct CallActivity {
    /// The activity's recorded name.
    pub name: Text,
    /// The arguments, as a map by parameter name; none where nobody will ask for them.
    pub input: Option<Payload>,
    /// The digest of the arguments' values.
    pub value: Digest,
    /// The digest of the arguments' shape.
    pub shape: Digest,
    /// What is said about it.
    pub options: CallOptions,
    /// What is bound to it.
    pub undo: UndoBits,
    /// Which call it undoes.
    pub undoes: Option<Seq>,
}

/// A call of a child workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct StartChild {
    /// The workflow's recorded name.
    pub workflow: Text,
    /// Its version.
    pub version: u32,
    /// The child's workflow id, if the code chose one.
    pub id: Option<Text>,
    /// The arguments, as a map by parameter name.
    pub input: Payload,
    /// The digest of the arguments' values.
    pub value: Digest,
    /// The digest of the arguments' shape.
    pub shape: Digest,
    /// What a changed input means at replay.
    pub inputs: Inputs,
    /// What becomes of it when its parent ends.
    pub close: ClosePolicy,
    /// How long the child may take.
    pub timeout: Option<Duration>,
}

/// What a changed input of a call means at replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inputs {
    /// Other values are a mismatch; another shape, recorded by another build, is a warning.
    #[default]
    Checked,
    /// Any change is a mismatch.
    Strict,
    /// No change is a mismatch.
    Loose,
}

/// What a command receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// An activity's result.
    Completed(Payload),
    /// An activity's failure.
    Failed(Box<CallFailure>),
    /// The timer fired.
    Fired,
    /// A signal's value.
    Signal(Payload),
    /// A child's end.
    Child(Box<ChildOutcome>),
}

/// The end of a child workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildOutcome {
    /// How it ended.
    pub how: End,
    /// How its body ended.
    pub body: End,
    /// Its result or error.
    pub result: Payload,
    /// What it undid, and what it did not.
    pub undone: Undone,
}

/// Where in the source a command was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(pub &'static Location<'static>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.file(), self.0.line())
    }
}
