//! Handles: what an application holds of a run. A handle is a name, not a resource: dropping it changes nothing, and another one can
//! be had by `Runtime::run`, in another part of the program or after a restart.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::error::{LookupError, SignalError};
use super::request::{Answered, Message, Refused};
use super::shared::Shared;
use super::status::{Description, Status};
use crate::error::RunError;
use crate::kernel::engine::{Answer, WhenBlocked};
use crate::kernel::event::{RunEnded, Sender, Text};
use crate::kernel::id::{RunId, RunNo};
use crate::kernel::machine::ID_LEN_MAX;
use crate::payload;
use crate::registry::NAME_LEN_MAX;
use crate::store::ClosedRun;
use crate::workflow::Signal;
use crate::workflow::call::{DecodeEnd, Ended};

/// A run, from outside. `T` and `E` are what its workflow returns.
pub struct Run<T, E> {
    shared: Arc<Shared>,
    no: RunNo,
    run: RunId,
    namespace: Text,
    id: Text,
    decode: DecodeEnd<T, E>,
    value: PhantomData<fn() -> (T, E)>,
}

impl<T, E> Clone for Run<T, E> {
    fn clone(&self) -> Self {
        Run {
            shared: Arc::clone(&self.shared),
            no: self.no,
            run: self.run,
            namespace: self.namespace.clone(),
            id: self.id.clone(),
            decode: self.decode,
            value: PhantomData,
        }
    }
}

impl<T, E> fmt::Debug for Run<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).field("run", &self.run).finish_non_exhaustive()
    }
}

/// Why a run goes no further, from [`Run::result_or_blocked`].
#[derive(Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The cause, with the way out.
    pub reason: String,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Blocked {}

impl<T, E> Run<T, E> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        no: RunNo,
        run: RunId,
        namespace: Text,
        id: Text,
        decode: DecodeEnd<T, E>,
    ) -> Run<T, E> {
        Run { shared, no, run, namespace, id, decode, value: PhantomData }
    }

    /// The workflow id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The namespace; "" is the default one.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// The run's identity: another run of the same id has another.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run
    }

    /// Waits for the run's end and gives what its workflow returned. A run that is blocked is waited for; why it is blocked is
    /// logged at once, by `tracing`: a program without a subscriber sees nothing of it. To be told here, use
    /// [`result_or_blocked`](Self::result_or_blocked).
    ///
    /// # Errors
    /// How the run ended, if not with `Ok`; [`RunError::Store`] when the runtime is shut down or its store fails first.
    pub async fn result(&self) -> Result<T, RunError<E>> {
        match self.end(WhenBlocked::Wait).await? {
            Ok(ended) => self.decode(ended),
            Err(blocked) => Err(RunError::Store(blocked.reason.into())),
        }
    }

    /// As [`result`](Self::result), but gives up as soon as the run is blocked.
    ///
    /// # Errors
    /// [`Blocked`] says why; the inner result is that of [`result`](Self::result).
    pub async fn result_or_blocked(&self) -> Result<Result<T, RunError<E>>, Blocked> {
        match self.end(WhenBlocked::Tell).await {
            Ok(Ok(ended)) => Ok(self.decode(ended)),
            Ok(Err(blocked)) => Err(blocked),
            Err(error) => Ok(Err(error)),
        }
    }

    /// Replays the run once more if it is blocked, for when the cause was outside the code; tells whether it was. A build that opens the
    /// store for the first time does so by itself. When this returns, that is on disk.
    ///
    /// # Errors
    /// When the runtime is shut down or its store failed.
    pub async fn retry_blocked(&self) -> Result<bool, LookupError> {
        match self.ask(|reply| Message::RetryBlocked { run: Some(self.no), reply }).await? {
            Answered::By(Answer::Retried(runs)) => Ok(runs > 0),
            Answered::Refused(refused) => Err(refused.into()),
            Answered::By(_) | Answered::Closed(..) => Ok(false),
        }
    }

    /// What the run is doing, as far as it is durable.
    ///
    /// # Errors
    /// When the runtime is shut down or its store failed.
    pub async fn status(&self) -> Result<Status, LookupError> {
        Ok(self.describe().await?.status)
    }

    /// What the run is doing and waits for, since when, with which deadlines, as far as it is durable.
    ///
    /// # Errors
    /// When the runtime is shut down or its store failed.
    pub async fn describe(&self) -> Result<Description, LookupError> {
        match self.ask(|reply| Message::Describe { run: self.no, reply }).await? {
            Answered::By(Answer::Described(_, entry, stuck)) => Ok(Description::open(&entry, stuck)),
            Answered::Refused(refused) => Err(refused.into()),
            _ => Ok(Description::closed(&self.closed().await?)),
        }
    }

    /// Sends the run a signal. When this returns, the signal is on disk: the run receives it, whatever happens.
    ///
    /// # Errors
    /// [`SignalError::Closed`] when the run has ended; others when it cannot be recorded.
    ///
    /// # Journal
    /// Records the value. It stays buffered until the run receives it; at most 10,000 are.
    pub async fn signal<V: Serialize + DeserializeOwned>(
        &self,
        signal: Signal<V>,
        value: V,
    ) -> Result<(), SignalError> {
        self.send(signal, value, Sender::Anonymous).await
    }

    /// As [`signal`](Self::signal), once: the run sees only the first of the signals that are sent to it under one `message` id, of at
    /// most 255 bytes.
    ///
    /// # Errors
    /// As [`signal`](Self::signal).
    pub async fn signal_once<V: Serialize + DeserializeOwned>(
        &self,
        signal: Signal<V>,
        value: V,
        message: &str,
    ) -> Result<(), SignalError> {
        if message.len() > ID_LEN_MAX {
            let reason = format!("a message id takes at most {ID_LEN_MAX} bytes, this one has {}", message.len());
            return Err(SignalError::Value { reason });
        }
        self.send(signal, value, Sender::Message(message.into())).await
    }

    /// Asks the run to end: what it waits for is dropped, what it did is undone, newest first, and it ends `Cancelled`. When this
    /// returns, the request is on disk.
    ///
    /// It may still end otherwise: a [`catch_cancel`](crate::catch_cancel) scope catches the cancel and lets the code go on, a
    /// [`shield`](crate::shield) holds it off, and an event that was recorded before it may have ended the body. A run is cancelled once; a second
    /// request is recorded and ignored. [`terminate`](Self::terminate) ends a run whatever its code does.
    ///
    /// # Errors
    /// [`SignalError::Closed`] when the run has ended; others when it cannot be recorded.
    pub async fn cancel(&self, reason: &str) -> Result<(), SignalError> {
        let reason = Text::cut(reason, 4096);
        let answered = self.ask(|reply| Message::Cancel { run: self.no, reason, reply }).await;
        done(answered.map_err(SignalError::from)?)
    }

    /// Ends the run from outside, without another poll: nothing is cleaned up or undone. When this returns, that is on disk. What stands of what
    /// it did is named in its end, [`RunError::Terminated`], in [`describe`](Self::describe), and in a warning.
    ///
    /// # Errors
    /// [`SignalError::Closed`] when the run has ended; others when it cannot be recorded.
    pub async fn terminate(&self, reason: &str) -> Result<(), SignalError> {
        let reason = Text::cut(reason, 4096);
        let answered = self.ask(|reply| Message::Terminate { run: self.no, reason, reply }).await;
        done(answered.map_err(SignalError::from)?)
    }

    async fn send<V: Serialize>(&self, signal: Signal<V>, value: V, sender: Sender) -> Result<(), SignalError> {
        let told = |error: payload::PayloadError| SignalError::Value { reason: error.to_string() };
        if signal.name().len() > NAME_LEN_MAX {
            let reason = format!("a signal's name takes at most {NAME_LEN_MAX} bytes");
            return Err(SignalError::Value { reason });
        }
        let payload = payload::encode(self.shared.codec, &value).map_err(told)?;
        let name = Text::from(signal.name());
        self.shared.room().await?;
        let answered = self.ask(|reply| Message::Signal { run: self.no, name, payload, sender, reply }).await?;
        done(answered)
    }

    async fn end(&self, blocked: WhenBlocked) -> Result<Result<RunEnded, Blocked>, RunError<E>> {
        let answered = self.ask(|reply| Message::Watch { run: self.no, blocked, reply }).await;
        match answered.map_err(|error| RunError::Store(error.to_string().into()))? {
            Answered::By(Answer::Ended(ended)) => Ok(Ok(*ended)),
            Answered::By(Answer::Blocked(reason)) => Ok(Err(Blocked { reason: reason.to_string() })),
            Answered::Refused(refused) => Err(RunError::Store(refused.to_string().into())),
            _ => match self.closed().await {
                Ok(closed) => Ok(Ok(closed.ended)),
                Err(error) => Err(RunError::Store(error.to_string().into())),
            },
        }
    }

    async fn closed(&self) -> Result<ClosedRun, LookupError> {
        let (namespace, id) = (self.namespace.clone(), self.id.clone());
        match self.ask(|reply| Message::Find { namespace, id, reply }).await? {
            Answered::Closed(closed, _) => Ok(*closed),
            Answered::Refused(refused) => Err(refused.into()),
            Answered::By(_) => Err(LookupError::NotFound { id: self.id.to_string() }),
        }
    }

    async fn ask(&self, message: impl FnOnce(oneshot::Sender<Answered>) -> Message) -> Result<Answered, LookupError> {
        ask(self.shared.way(&self.namespace, &self.id), message).await
    }

    fn decode(&self, ended: RunEnded) -> Result<T, RunError<E>> {
        let RunEnded { how, body, result, undone, .. } = ended;
        (self.decode)(Ended { how, body, result, undone: undone.into() })
    }
}

fn done(answered: Answered) -> Result<(), SignalError> {
    match answered {
        Answered::By(Answer::Done) => Ok(()),
        Answered::By(Answer::Full) => Err(SignalError::Full),
        Answered::Refused(refused) => Err(refused.into()),
        Answered::By(_) | Answered::Closed(..) => Err(SignalError::Closed),
    }
}

/// Sends a driver a request and waits for its answer.
pub(super) async fn ask(
    way: &UnboundedSender<Message>,
    message: impl FnOnce(oneshot::Sender<Answered>) -> Message,
) -> Result<Answered, LookupError> {
    let (reply, answer) = oneshot::channel();
    way.send(message(reply)).map_err(|_| LookupError::ShutDown)?;
    match answer.await {
        Ok(answered) => Ok(answered),
        Err(_) => what_happened(way).await,
    }
}

/// Nobody will answer a request. A driver that panicked over it tells whoever asks next why; one that is gone tells nobody.
async fn what_happened(way: &UnboundedSender<Message>) -> Result<Answered, LookupError> {
    let (reply, answer) = oneshot::channel();
    // There is no such run.
    way.send(Message::Describe { run: RunNo(0), reply }).map_err(|_| LookupError::ShutDown)?;
    match answer.await {
        Ok(refused @ Answered::Refused(_)) => Ok(refused),
        Ok(_) | Err(_) => Err(LookupError::ShutDown),
    }
}

impl Shared {
    /// Waits until the log has room for more: what is queued for it is bounded.
    pub(crate) async fn room(&self) -> Result<(), LookupError> {
        loop {
            let moved = self.moved.notified();
            if self.log.queued_bytes() <= self.queued_bytes_max {
                return Ok(());
            }
            if self.ways.iter().any(UnboundedSender::is_closed) {
                return Err(LookupError::ShutDown);
            }
            moved.await;
        }
    }
}

impl From<Refused> for LookupError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::ShuttingDown => LookupError::ShutDown,
            other => LookupError::Store { reason: other.to_string() },
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::ShuttingDown => f.write_str("the runtime is shutting down [E0305]"),
            Refused::NoSpace => f.write_str("the disk is full: nothing new is taken until there is space [E0109]"),
            Refused::Store(reason) => reason.fmt(f),
            Refused::Input(reason) => write!(f, "the input cannot be recorded: {reason} [E0304]"),
        }
    }
}
