//! A run as a scenario holds it. The handle outlives the processes: what was asked of one that died is asked of the next.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

use durable::__private::Workflow;
use durable::runtime::Description;
use durable::{Blocked, LookupError, RunError, Runtime, Signal, SignalError, Status, WorkflowFn};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::app::App;
use super::hint::Hint;
use super::play::{Trouble, raise};

/// How a run is found in a runtime.
pub(super) type Find<T, E> = fn(Runtime, String, String) -> Finding<T, E>;

type Finding<T, E> = Pin<Box<dyn Future<Output = Result<durable::Run<T, E>, LookupError>>>>;

/// Finds a run of this workflow.
pub(super) fn find<D: Workflow>(runtime: Runtime, namespace: String, id: String) -> Finding<D::Output, D::Error> {
    Box::pin(async move { runtime.run_in(Of::<D>(PhantomData), &namespace, &id).await })
}

/// A workflow by its definition's type, where only that is known.
struct Of<D>(PhantomData<D>);

impl<D: Workflow> WorkflowFn<Of<D>> for Of<D> {
    type Definition = D;
    type Output = D::Output;
    type Error = D::Error;
}

/// A run, from outside. `T` and `E` are what its workflow returns. It stays good when the application's process is killed or restarted.
pub struct Run<T, E> {
    app: App,
    namespace: String,
    id: String,
    find: Find<T, E>,
}

impl<T, E> Clone for Run<T, E> {
    fn clone(&self) -> Self {
        Run { app: self.app.clone(), namespace: self.namespace.clone(), id: self.id.clone(), find: self.find }
    }
}

impl<T, E> fmt::Debug for Run<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<T, E> Run<T, E> {
    pub(super) fn new(app: App, namespace: String, id: String, find: Find<T, E>) -> Run<T, E> {
        Run { app, namespace, id, find }
    }

    /// The workflow id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The handle of the process that lives, for what this one has no name for.
    ///
    /// # Errors
    /// When there is no such run any more.
    pub async fn handle(&self) -> Result<durable::Run<T, E>, LookupError> {
        let runtime = self.app.runtime().await;
        (self.find)(runtime, self.namespace.clone(), self.id.clone()).await
    }

    /// Waits for the run's end and gives what its workflow returned. Time passes meanwhile as far as it has to.
    ///
    /// If the run is blocked, or waits for something that never comes, the test fails, and says why.
    ///
    /// # Errors
    /// How the run ended, if not with `Ok`.
    pub async fn result(&self) -> Result<T, RunError<E>> {
        match self.end().await {
            Ok(ended) => ended,
            Err(Blocked { reason }) => raise(Trouble::Blocked { id: self.id.clone(), reason }),
        }
    }

    /// As [`result`](Self::result), for a run that may be blocked: the test goes on then.
    ///
    /// # Errors
    /// [`Blocked`] says why; the inner result is that of [`result`](Self::result).
    pub async fn result_or_blocked(&self) -> Result<Result<T, RunError<E>>, Blocked> {
        let ended = self.end().await;
        if ended.is_err() {
            self.app.stage.knows_as_blocked(&self.id);
        }
        ended
    }

    async fn end(&self) -> Result<Result<T, RunError<E>>, Blocked> {
        loop {
            let before = self.app.stage.generation();
            let ended = match self.handle().await {
                Ok(run) => run.result_or_blocked().await,
                Err(error) => Ok(Err(RunError::Store(error.to_string().as_str().into()))),
            };
            let is_gone = before != self.app.stage.generation() || self.app.stage.runtime_now().is_none();
            match ended {
                // It was asked of a process that is dead: the next one knows.
                Ok(Err(RunError::Store(_))) if is_gone => {}
                ended => return ended,
            }
        }
    }

    /// What the run is doing, and what it waits for.
    ///
    /// # Errors
    /// When there is no such run any more.
    pub async fn describe(&self) -> Result<Description, LookupError> {
        self.handle().await?.describe().await
    }

    /// Where the run stands.
    ///
    /// # Errors
    /// When there is no such run any more.
    pub async fn status(&self) -> Result<Status, LookupError> {
        Ok(self.describe().await?.status)
    }

    /// Sends the run a signal. When this returns, the signal is on disk. A scenario that is played again sends it again: see
    /// [`signal_once`](Self::signal_once).
    ///
    /// # Errors
    /// When the run has ended, or the signal cannot be recorded.
    pub async fn signal<V: Serialize + DeserializeOwned>(
        &self,
        signal: Signal<V>,
        value: V,
    ) -> Result<(), SignalError> {
        let name = signal.name();
        self.app.stage.outside().hint(Hint::SentAgain { signal: name, id: self.id.clone() });
        let sent = self.handle().await?.signal(signal, value).await;
        self.heard(sent, &format!("signal `{name}`"))
    }

    /// As [`signal`](Self::signal), once: of those under one `message` id the run sees the first. In a scenario that is played again
    /// after each crash this is the one to use. The run may have ended before, having seen it or not: [`SignalError::Closed`] is no
    /// failure of such a scenario.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub async fn signal_once<V: Serialize + DeserializeOwned>(
        &self,
        signal: Signal<V>,
        value: V,
        message: &str,
    ) -> Result<(), SignalError> {
        let name = signal.name();
        let sent = self.handle().await?.signal_once(signal, value, message).await;
        self.heard(sent, &format!("signal `{name}`"))
    }

    /// Asks the run to end, and to undo what it did.
    ///
    /// # Errors
    /// When the run has ended, or the request cannot be recorded.
    pub async fn cancel(&self, reason: &str) -> Result<(), SignalError> {
        let asked = self.handle().await?.cancel(reason).await;
        self.heard(asked, "the cancel")
    }

    /// Ends the run as it is.
    ///
    /// # Errors
    /// When the run has ended, or that cannot be recorded.
    pub async fn terminate(&self, reason: &str) -> Result<(), SignalError> {
        let asked = self.handle().await?.terminate(reason).await;
        self.heard(asked, "the termination")
    }

    /// Keeps in mind that a request came too late.
    fn heard(&self, answered: Result<(), SignalError>, request: &str) -> Result<(), SignalError> {
        if answered == Err(SignalError::Closed) {
            let (request, id) = (request.to_owned(), self.id.clone());
            self.app.stage.outside().hint(Hint::CameLate { request, id });
        }
        answered
    }
}
