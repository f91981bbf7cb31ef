//! Doubles: what a test runs in the place of an activity's own body. A double stays on the test's thread, so that it may borrow from the
//! test and be no `Send`; the attempt, which is a task of the simulated process, asks for it and waits.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use durable::activity::{AttemptEnd, AttemptFuture, Job};
use durable::{ActivityFn, Attempts};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use super::play::Trouble;
use crate::panics::Panic;
use crate::sim::Process;

/// What can stand in the place of an activity's body: an `async` closure that takes the activity's arguments `A` (its states excepted)
/// and returns what the activity returns, `R`.
#[diagnostic::on_unimplemented(
    message = "this is no double of that activity: it has to take {A} and to return `{R}`",
    label = "takes or returns something else",
    note = "a double is `async |first: A, second: B| ..`: an async closure with the activity's arguments, each with its type, states \
            excepted; it returns what the activity returns"
)]
pub trait Double<A, R> {
    /// Runs it.
    #[doc(hidden)]
    fn call(&self, args: A) -> impl Future<Output = R>;
}

macro_rules! doubles {
    ($($argument:ident)*) => {
        #[diagnostic::do_not_recommend]
        impl<F, R, $($argument),*> Double<($($argument,)*), R> for F
        where
            F: AsyncFn($($argument),*) -> R,
        {
            #[allow(non_snake_case, reason = "one name serves as type and as variable")]
            async fn call(&self, ($($argument,)*): ($($argument,)*)) -> R {
                self($($argument),*).await
            }
        }
    };
}

doubles!();
doubles!(A1);
doubles!(A1 A2);
doubles!(A1 A2 A3);
doubles!(A1 A2 A3 A4);
doubles!(A1 A2 A3 A4 A5);
doubles!(A1 A2 A3 A4 A5 A6);
doubles!(A1 A2 A3 A4 A5 A6 A7);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15);
doubles!(A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16);

type Doubling<'a> = Pin<Box<dyn Future<Output = AttemptEnd> + 'a>>;

/// A double without its types.
#[derive(Clone)]
pub(super) struct Body<'a>(Rc<dyn Fn(Job) -> Doubling<'a> + 'a>);

impl<'a> Body<'a> {
    pub(super) fn of<M, F>(double: impl Double<F::Args, F::Returned> + 'a) -> Body<'a>
    where
        F: ActivityFn<M>,
        F::Args: 'a,
    {
        let double = Rc::new(double);
        Body(Rc::new(move |job| {
            let double = Rc::clone(&double);
            Box::pin(job.run_double::<F::Definition, _, _>(move |args| async move { double.call(args).await }))
        }))
    }
}

/// What an attempt asks of the test.
pub(super) enum Request {
    /// To be made by a double.
    Double(Box<Asked>),
    /// To end the play.
    End(Trouble),
}

/// An attempt that asks for a double.
pub(super) struct Asked {
    /// Which double.
    double: usize,
    job: Job,
    process: Process,
    reply: oneshot::Sender<AttemptEnd>,
}

/// Where attempts ask.
pub(super) type Requests = UnboundedSender<Request>;

/// How attempts of a doubled activity are made in this process.
pub(super) fn attempts(double: usize, requests: &Requests, process: &Process) -> Attempts {
    let (requests, process) = (requests.clone(), process.clone());
    std::sync::Arc::new(move |job| ask(double, job, requests.clone(), process.clone()))
}

fn ask(double: usize, job: Job, requests: Requests, process: Process) -> AttemptFuture {
    Box::pin(async move {
        let (reply, answer) = oneshot::channel();
        // Whoever runs doubles is gone when the play is over, and then nobody waits for this.
        let _ = requests.send(Request::Double(Box::new(Asked { double, job, process, reply })));
        match answer.await {
            Ok(end) => end,
            Err(_) => std::future::pending().await,
        }
    })
}

/// Runs doubles for whoever asks, until something ends the play. What an attempt asked for is dropped with it, and with its process.
pub(super) async fn serve(doubles: &[Body<'_>], mut requests: UnboundedReceiver<Request>) -> Trouble {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(request) = requests.recv() => match request {
                Request::Double(asked) => running.push(run(&doubles[asked.double], asked)),
                Request::End(trouble) => return trouble,
            },
            Some(ended) = running.next(), if !running.is_empty() => match ended {
                Ok(()) => {}
                Err(trouble) => return trouble,
            },
            else => return std::future::pending().await,
        }
    }
}

/// Runs a double for one attempt. The engine takes a panic for a failure, to be tried again: one of a double is an assertion of the
/// test that does not hold.
async fn run(double: &Body<'_>, asked: Box<Asked>) -> Result<(), Trouble> {
    let Asked { job, process, mut reply, .. } = *asked;
    let info = job.info().clone();
    let end = {
        let running = process.run((double.0)(job));
        tokio::select! {
            biased;
            () = reply.closed() => None,
            end = running => end,
        }
    };
    match end {
        None => {}
        Some(AttemptEnd::Panicked(text)) => {
            let (activity, id) = (info.activity.to_string(), info.workflow_id.to_string());
            let panic = Panic::said(text.as_str());
            return Err(Trouble::Double { activity, id, attempt: info.attempt.0, panic });
        }
        Some(end) => {
            // The attempt may have been dropped in this very moment.
            let _ = reply.send(end);
        }
    }
    Ok(())
}
