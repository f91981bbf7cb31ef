//! Compensation: what undoes a call, and the loop that undoes what was done in a scope, newest first. What is to be undone, and in which
//! order, the machine says; nothing here remembers what was done.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::context::{RunContext, current_run};
use crate::kernel::event::{Payload, Text, UndoBits};
use crate::kernel::fault::Fault;
use crate::kernel::id::{ScopeNo, Seq};
use crate::kernel::machine::{NextUndo, UndoFrom};

/// What can undo: the call of an activity, or a step.
#[diagnostic::on_unimplemented(
    message = "this cannot undo a call",
    label = "not a call of an activity, and not a step",
    note = "an undo is one call of an activity (`|receipt| refund(receipt.id)`) or a `durable::step`; it is awaited by the engine, with \
            its own retry policy"
)]
pub trait Compensation: sealed::Undoes {}

impl<C: sealed::Undoes> Compensation for C {}

pub(crate) mod sealed {
    use super::{Context, Poll, Seq, Text};

    /// A command that can be made for the engine.
    pub trait Undoes: Send + 'static {
        /// Its recorded name.
        fn name(&self) -> Text;
        /// Makes it the compensation of a call, or one that stands by itself; gives its number.
        fn begin(&mut self, undoes: Option<Seq>) -> Seq;
        /// Polls it until it is settled; how it came out is in the journal.
        fn poll_settled(&mut self, cx: &mut Context<'_>) -> Poll<()>;
    }
}

type Undoes = Box<dyn sealed::Undoes>;

/// Makes a compensation from a call's recorded result.
pub(crate) type UndoFn = Box<dyn FnOnce(&Payload) -> Result<Undoes, String> + Send>;

/// What is bound to one call.
#[derive(Default)]
pub(crate) struct Bound {
    pub(crate) undo: Option<UndoFn>,
    /// For a call whose effect is not known to stand; or what was registered by hand.
    pub(crate) call: Option<Undoes>,
}

impl Bound {
    pub(crate) fn bits(&self) -> UndoBits {
        UndoBits { undo: self.undo.is_some(), unknown: self.call.is_some(), waits: false }
    }

    fn compensation(self, from: UndoFrom) -> Result<Option<Undoes>, String> {
        match from {
            UndoFrom::Value(result) => self.undo.map(|undo| undo(&result)).transpose(),
            UndoFrom::Unknown | UndoFrom::Hand => Ok(self.call),
        }
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bits().fmt(f)
    }
}

/// Registers a compensation by hand: it runs when the scope around it is cancelled or fails, like one that is bound to a call by
/// `undo`.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # #[activity]
/// # async fn remove(dir: String) -> Result<(), String> { Ok(()) }
/// # #[activity]
/// # async fn unpack(dir: String) -> Result<(), String> { Err("no space".to_owned()) }
/// #[workflow]
/// async fn import(dir: String) -> durable::Result<()> {
///     durable::compensate(remove(dir.clone()));
///     unpack(dir).retry(durable::retry::never()).await?;
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(import("new".to_owned()).run_direct().await.is_err());
/// # }
/// ```
///
/// # Panics
/// Outside a workflow run, and when the call was awaited before.
///
/// # Journal
/// `CompensationRegistered`. When it runs, it is recorded as any call.
#[track_caller]
pub fn compensate<C: Compensation>(mut call: C) {
    let Some(run) = current_run() else {
        panic!("`durable::compensate` is called outside a workflow run: it works only in a workflow's own body")
    };
    let (seq, name) = (call.begin(None), call.name());
    let within = run.here();
    run.machine(|machine| machine.register(seq, name, within));
    run.bind(seq, Bound { undo: None, call: Some(Box::new(call)) });
}

/// Undoes what was done in a scope, and closes it.
pub(crate) async fn undo(run: Arc<RunContext>, scope: ScopeNo) {
    while let Some((seq, from)) = poll_fn(|cx| next(&run, scope, cx)).await {
        let bound = run.take_bound(seq).unwrap_or_default();
        match bound.compensation(from) {
            Ok(Some(mut call)) => {
                call.begin(Some(seq));
                poll_fn(|cx| call.poll_settled(cx)).await;
            }
            Ok(None) => {
                let text = format!("what undoes seq {seq} is not there; report this");
                run.machine(|machine| machine.fail(Fault::Refused(text.into())));
            }
            Err(reason) => {
                let text = format!("the undo of seq {seq}: {reason}");
                run.machine(|machine| machine.fail(Fault::Undecodable(text.into())));
            }
        }
    }
    run.close_scope(scope);
    // A scope around this one may wait for it.
    run.wake_undoers();
}

fn next(run: &RunContext, scope: ScopeNo, cx: &Context<'_>) -> Poll<Option<(Seq, UndoFrom)>> {
    match run.machine(|machine| machine.next_undo(scope)) {
        NextUndo::Undo(seq, from) => Poll::Ready(Some((seq, from))),
        NextUndo::Done => Poll::Ready(None),
        NextUndo::Wait => {
            run.wait_to_undo(cx);
            Poll::Pending
        }
    }
}
