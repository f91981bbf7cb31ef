//! What stands in the place of a function that a macro refused, so that its callers compile. It never runs: the program
//! does not compile.

use std::marker::PhantomData;

use super::answer::{Answer, Mode, Returned, Told};
use super::call::Call;
use super::definition::{Activity, ActivityKind, BodyFuture, Definition, Kind, Workflow, WorkflowKind};
use super::options::WorkflowOptions;
use crate::activity::{ActivityOptions, AttemptFuture, Job, Need};
use crate::kernel::event::Text;
use crate::payload::PayloadCodec;
use crate::registry::Registry;

/// A refused function's definition: what it returns is kept.
#[derive(Debug)]
pub struct Refused<R, K, const MODE: u8>(PhantomData<fn() -> (R, K)>);

impl<R, K, const MODE: u8> Definition for Refused<R, K, MODE>
where
    R: Returned<MODE> + 'static,
    K: Kind,
    Mode<MODE>: Answer<R, R::Output, R::Error, R::Written>,
{
    type Kind = K;
    type Input = ();
    type Returned = R;
    type Output = R::Output;
    type Error = R::Error;
    type Written = R::Written;
    type Answer = Mode<MODE>;

    fn name() -> Text {
        refused()
    }

    fn register(_: &mut Registry) {
        refused()
    }

    fn told(_: &R::Written) -> Told {
        refused()
    }
}

impl<R, const MODE: u8> Activity for Refused<R, ActivityKind, MODE>
where
    R: Returned<MODE> + 'static,
    Mode<MODE>: Answer<R, R::Output, R::Error, R::Written>,
{
    type Args = ();

    fn args((): ()) {
        refused()
    }

    fn options() -> &'static ActivityOptions {
        refused()
    }

    fn needs() -> Vec<Need> {
        refused()
    }

    fn attempt(_: Job) -> AttemptFuture {
        refused()
    }
}

#[diagnostic::do_not_recommend]
impl<R, const MODE: u8> Workflow for Refused<R, WorkflowKind, MODE>
where
    R: Returned<MODE> + 'static,
    Mode<MODE>: Answer<R, R::Output, R::Error, R::Written>,
{
    fn options() -> WorkflowOptions {
        refused()
    }

    fn body((): (), _: PayloadCodec) -> BodyFuture {
        refused()
    }
}

/// The call of a refused activity.
pub fn refused_activity<R, const MODE: u8>() -> Call<Refused<R, ActivityKind, MODE>>
where
    R: Returned<MODE> + 'static,
    Mode<MODE>: Answer<R, R::Output, R::Error, R::Written>,
{
    refused()
}

/// The call of a refused workflow.
pub fn refused_workflow<R, const MODE: u8>() -> Call<Refused<R, WorkflowKind, MODE>>
where
    R: Returned<MODE> + 'static,
    Mode<MODE>: Answer<R, R::Output, R::Error, R::Written>,
{
    refused()
}

fn refused<T>() -> T {
    unreachable!("a function that its macro refused does not compile")
}
