//! Signals: typed messages to a run, buffered until it receives them.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::context::{Pending, What};
use crate::kernel::command::{Command, Outcome};
use crate::payload;

/// A kind of message that runs can be sent: a name and the type of its values. Declared once, as a constant, and used by both
/// sides.
///
/// # Examples
/// ```
/// use durable::prelude::*;
///
/// #[derive(Serialize, Deserialize)]
/// struct Approval { yes: bool }
///
/// const APPROVAL: Signal<Approval> = Signal::new("approval");
///
/// #[workflow]
/// async fn publish(page: String) -> Result<String, String> {
///     let approval = APPROVAL.recv().await;
///     if approval.yes { Ok(page) } else { Err("not approved".to_owned()) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let rt = durable::Runtime::builder(dir.path()).register((publish,)).open().await?;
/// let run = rt.start(publish("about".to_owned())).id("about").await?;
/// run.signal(APPROVAL, Approval { yes: true }).await?;
/// assert_eq!(run.result().await?, "about");
/// # rt.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Signal<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Signal<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Signal<T> {}

impl<T> Signal<T> {
    /// A signal of this name. The name is recorded: renaming it loses what was sent under the old one.
    #[must_use]
    pub const fn new(name: &'static str) -> Signal<T> {
        Signal { name, value: PhantomData }
    }

    /// The signal's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T: Serialize + DeserializeOwned> Signal<T> {
    /// Waits for the next value that was sent to this run, oldest first.
    ///
    /// # Panics
    /// When it is awaited outside a workflow run.
    ///
    /// # Journal
    /// Records that the run waits, and that it took a value. A value that does not decode as `T` blocks the run.
    ///
    /// # Cancellation
    /// A receive that is dropped before it returned takes nothing.
    #[track_caller]
    pub fn recv(&self) -> Recv<T> {
        let name = self.name.into();
        Recv { pending: Pending::build(What::Receive { name }), name: self.name, value: PhantomData }
    }
}

/// A receive that waits, from [`Signal::recv`].
#[derive(Debug)]
#[must_use = "a receive does nothing unless it is awaited"]
pub struct Recv<T> {
    pending: Pending,
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Future for Recv<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let name = self.name;
        let outcome = self.pending.poll(cx, |what, _| Ok(Command::AwaitSignal { name: what.name().clone() }));
        let payload = match outcome {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Outcome::Signal(payload)) => payload,
            Poll::Ready(other) => unreachable!("because a receive is given signals only, not {other:?}"),
        };
        match payload::decode(&payload) {
            Ok(value) => Poll::Ready(value),
            Err(error) => {
                let error = payload::way_out(&error);
                let reason =
                    format!("a value of signal `{name}` does not decode as the type that is received: {error}");
                self.pending.block(reason).map(|never| match never {})
            }
        }
    }
}
