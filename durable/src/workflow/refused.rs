//! What stands in the place of a function that a macro refused, so that its callers compile. It never runs: the program
//! does not compile.

use std::convert::Infallible;
use std::marker::PhantomData;

use super::answer::{Answer, Answered, NEVER, Told};
use super::call::Call;
use super::definition::{Activity, ActivityKind, BodyFuture, Definition, Kind, Workflow, WorkflowKind};
use super::options::WorkflowOptions;
use crate::activity::{ActivityOptions, AttemptFuture, Job, Need};
use crate::kernel::event::Text;
use crate::payload::PayloadCodec;
use crate::registry::Registry;

/// A refused function's definition.
#[derive(Debug)]
pub struct Refused<K>(PhantomData<fn() -> K>);

impl<K: Kind> Definition for Refused<K> {
    type Kind = K;
    type Input = ();
    type Output = ();
    type Error = Infallible;
    type Answer = Answered<Result<(), Infallible>, NEVER>;

    fn name() -> Text {
        refused()
    }

    fn register(_: &mut Registry) {
        refused()
    }

    fn told(error: &<Self::Answer as Answer>::Written) -> Told {
        match *error {}
    }
}

impl Activity for Refused<ActivityKind> {
    fn options() -> ActivityOptions {
        refused()
    }

    fn needs() -> Vec<Need> {
        refused()
    }

    fn attempt(_: Job) -> AttemptFuture {
        refused()
    }
}

impl Workflow for Refused<WorkflowKind> {
    fn options() -> WorkflowOptions {
        refused()
    }

    fn body((): (), _: PayloadCodec) -> BodyFuture {
        refused()
    }
}

/// The call of a refused activity.
#[must_use]
pub fn refused_activity() -> Call<Refused<ActivityKind>> {
    refused()
}

/// The call of a refused workflow.
#[must_use]
pub fn refused_workflow() -> Call<Refused<WorkflowKind>> {
    refused()
}

fn refused<T>() -> T {
    unreachable!("a function that its macro refused does not compile")
}
