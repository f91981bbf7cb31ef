//! The shell: tokio, threads and clocks live here, and nowhere else in the crate. It carries facts to the kernel and effects from
//! it, and has no rule of its own.

mod attempts;
mod builder;
pub(crate) mod definitions;
mod direct;
mod driver;
mod error;
mod handle;
pub mod journal;
mod part;
mod peers;
mod read_only;
mod reader;
mod real;
pub mod replay;
mod request;
mod shared;
mod silence;
mod status;
mod threads;
pub(crate) mod turns;

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

pub use self::builder::{Builder, World};
pub use self::error::{LookupError, OpenError, ShutdownError, SignalError, StartError};
pub use self::handle::{Blocked, Run};
pub use self::read_only::ReadOnly;
pub use self::status::{Description, Status, WaitsFor, What};

use self::definitions::Definitions;
use self::handle::ask;
use self::request::{Answered, Fit, Message, Refused, StartRequest};
use self::shared::Shared;
use crate::kernel::engine::Answer;
use crate::kernel::event::Text;
use crate::kernel::id::RunId;
use crate::registry::WorkflowFn;
use crate::seams::Spawn;
use crate::workflow::Call;
use crate::workflow::call::{Ended, StartCall};
use crate::workflow::definition::{Definition, Workflow};

use crate::kernel::machine::ID_LEN_MAX;
pub use crate::kernel::trace::TraceContext;

/// How long `shutdown` waits for at-most-once attempts, unless told otherwise.
pub const SHUTDOWN_DEADLINE: Duration = Duration::from_secs(30);

/// A store that is open, and the runs in it: they go on from the moment it is opened. Cheap to clone; all clones are one runtime.
///
/// When the last clone is dropped without [`shutdown`](Self::shutdown), that is to the journal as if the process had been killed:
/// nothing acknowledged is lost, attempts in flight count as interrupted, and the store's lock is free when `drop` returns.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    definitions: Arc<Definitions>,
    spawn: Arc<dyn Spawn>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A driver may have ended already, and the store with it.
        self.shared.ways.iter().for_each(|way| drop(way.send(Message::Kill)));
        let stopped = self.shared.log.stop();
        // A handle that outlives the runtime may wait for room in the log.
        self.shared.moved.notify_waiters();
        self.spawn.wait(Box::pin(async move { drop(stopped.await) }));
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("definitions", &self.inner.definitions).finish_non_exhaustive()
    }
}

impl Runtime {
    /// Prepares to open the store in this directory; it is made if there is none.
    pub fn builder(dir: impl Into<PathBuf>) -> Builder {
        Builder::new(dir.into())
    }

    /// Opens a store for reading alone: also while another process has it open, or when it is damaged. Nothing is written or locked.
    ///
    /// # Errors
    /// When the directory holds no store, or one of another format.
    pub async fn open_read_only(dir: impl Into<PathBuf>) -> Result<ReadOnly, OpenError> {
        ReadOnly::open(dir.into()).await
    }

    /// Starts a run. Set its id with [`id`](Starting::id), then await it: when that returns, the run is on disk.
    ///
    /// # Examples
    /// ```
    /// # use durable::prelude::*;
    /// # #[workflow]
    /// # async fn greet(name: String) -> Result<String, String> { Ok(format!("hello, {name}")) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let rt = durable::Runtime::builder(dir.path()).register((greet,)).open().await?;
    /// let run = rt.start(greet("you".to_owned())).id("greeting-1").await?;
    /// assert_eq!(run.result().await?, "hello, you");
    /// # rt.shutdown().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn start<D: Workflow>(&self, call: Call<D>) -> Starting<D> {
        let call = call.into_start();
        let id = call.id().cloned();
        Starting { runtime: self.clone(), call, id, namespace: Text::default(), trace: None, definition: PhantomData }
    }

    /// A handle on the run of this id, open or closed, in the default namespace.
    ///
    /// # Errors
    /// When there is no such run, it is of another workflow, or the store cannot answer.
    pub async fn run<F, M>(&self, workflow: F, id: &str) -> Result<Run<F::Output, F::Error>, LookupError>
    where
        F: WorkflowFn<M>,
    {
        self.run_in(workflow, "", id).await
    }

    /// As [`run`](Self::run), in a namespace.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_in<F, M>(&self, _: F, namespace: &str, id: &str) -> Result<Run<F::Output, F::Error>, LookupError>
    where
        F: WorkflowFn<M>,
    {
        let name = F::Definition::name();
        let (namespace, id) = (Text::from(namespace), Text::from(id));
        let find = |reply| Message::Find { namespace: namespace.clone(), id: id.clone(), reply };
        let (no, run, stored) = match ask(self.inner.shared.way(&namespace, &id), find).await? {
            Answered::By(Answer::Described(no, entry, _)) => (no, entry.run, entry.kind.workflow.clone()),
            Answered::Closed(closed, _) => (closed.run, closed.started.run, closed.started.workflow),
            Answered::Refused(refused) => return Err(refused.into()),
            Answered::By(_) => return Err(LookupError::NotFound { id: id.to_string() }),
        };
        if stored != name {
            let (id, stored, asked) = (id.to_string(), stored.to_string(), name.to_string());
            return Err(LookupError::OtherWorkflow { id, stored, asked });
        }
        Ok(Run::new(Arc::clone(&self.inner.shared), no, run, namespace, id, Ended::result::<F::Definition>))
    }

    /// All runs that are open: what each waits for, and why those that are blocked are. Newest durable state, oldest run first.
    ///
    /// # Errors
    /// When the runtime was shut down or its store failed.
    pub async fn runs(&self) -> Result<Vec<Description>, LookupError> {
        let mut all = Vec::new();
        for way in self.inner.shared.ways.iter() {
            match ask(way, |reply| Message::List { reply }).await? {
                Answered::By(Answer::Listed(runs)) => all.extend(runs),
                Answered::Refused(refused) => return Err(refused.into()),
                Answered::By(_) | Answered::Closed(..) => {}
            }
        }
        all.sort_by_key(|(run, _, _)| *run);
        Ok(all.into_iter().map(|(_, entry, stuck)| Description::open(&entry, stuck)).collect())
    }

    /// Replays all blocked runs once more; gives how many there were. When this returns, that is on disk.
    ///
    /// # Errors
    /// When the runtime was shut down or its store failed.
    pub async fn retry_blocked(&self) -> Result<usize, LookupError> {
        let mut all = 0;
        for way in self.inner.shared.ways.iter() {
            match ask(way, |reply| Message::RetryBlocked { run: None, reply }).await? {
                Answered::By(Answer::Retried(runs)) => all += runs,
                Answered::Refused(refused) => return Err(refused.into()),
                Answered::By(_) | Answered::Closed(..) => {}
            }
        }
        Ok(all)
    }

    /// In how much time of the monotonic clock the next timer, attempt or time limit of a run is due, for who holds that clock; none if
    /// nothing waits for it, or the runtime is gone.
    #[doc(hidden)]
    pub async fn next_due(&self) -> Option<Duration> {
        let mut all = Vec::new();
        for way in self.inner.shared.ways.iter() {
            let (reply, due) = oneshot::channel();
            way.send(Message::NextDue { reply }).ok()?;
            all.extend(due.await.ok().flatten());
        }
        all.into_iter().min()
    }

    /// Shuts the runtime down: no new work is taken, attempts in flight are put aside without losing one (those of at-most-once
    /// activities are awaited, for 30 s unless [`deadline`](Shutdown::deadline) says otherwise), and the store is closed.
    #[must_use = "a shutdown does nothing unless it is awaited"]
    pub fn shutdown(&self) -> Shutdown {
        Shutdown { runtime: self.clone(), deadline: SHUTDOWN_DEADLINE }
    }
}

/// A start that is being prepared, from [`Runtime::start`]. Await it.
#[must_use = "a run is started when this is awaited"]
pub struct Starting<D: Definition> {
    runtime: Runtime,
    call: StartCall,
    id: Option<Text>,
    namespace: Text,
    trace: Option<TraceContext>,
    definition: PhantomData<fn() -> D>,
}

impl<D: Definition> fmt::Debug for Starting<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("call", &self.call).field("id", &self.id).finish_non_exhaustive()
    }
}

impl<D: Definition> Starting<D> {
    /// The workflow id, 1 to 255 bytes. A second start under an id attaches to the run that has it, open or closed, if the workflow
    /// and the input are the same, and is an error otherwise. Without one the run gets a random id.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into().into());
        self
    }

    /// The namespace, at most 255 bytes; workflow ids are unique in theirs.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into().into();
        self
    }

    /// Where in a distributed trace the run is started, as a request's `traceparent` header says it. It is recorded with the run; its
    /// spans name it, its attempts and children carry it on, see [`trace_context`](crate::activity::trace_context). Without it the
    /// run begins a trace. A start that attaches changes nothing.
    ///
    /// # Examples
    /// ```
    /// # use durable::prelude::*;
    /// # #[workflow]
    /// # async fn order() -> durable::Result<()> { Ok(()) }
    /// # async fn handle(rt: durable::Runtime, headers: std::collections::BTreeMap<String, String>) -> Result<(), durable::StartError> {
    /// let mut start = rt.start(order()).id("order-42");
    /// if let Some(context) = headers.get("traceparent").and_then(|header| header.parse().ok()) {
    ///     start = start.trace_context(context);
    /// }
    /// let run = start.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn trace_context(mut self, context: TraceContext) -> Self {
        self.trace = Some(context);
        self
    }

    async fn start(self) -> Result<Run<D::Output, D::Error>, StartError> {
        let Starting { runtime, call, id, namespace, trace, .. } = self;
        let shared = Arc::clone(&runtime.inner.shared);
        runtime.check(&call)?;
        let id = match id {
            Some(id) => id,
            None => RunId::new(crate::kernel::id::Timestamp::default(), shared.random()).to_string().into(),
        };
        if id.as_str().is_empty() || id.as_str().len() > ID_LEN_MAX {
            return Err(StartError::Id { len: id.as_str().len() });
        }
        if namespace.as_str().len() > ID_LEN_MAX {
            return Err(StartError::Namespace { len: namespace.as_str().len() });
        }
        let input = call.payload(shared.codec).map_err(|error| StartError::Input { reason: error.to_string() })?;
        let asked = call.name().clone();
        shared.room().await?;
        let (of, to) = (id.clone(), namespace.clone());
        let request =
            |reply| Message::Start(Box::new(StartRequest { namespace: to, id: of, call, input, trace, reply }));
        let (no, run) = match ask(shared.way(&namespace, &id), request).await? {
            Answered::By(Answer::Started { run, id }) => (run, id),
            Answered::By(Answer::Attached { run, id: identity, reshaped }) => {
                if reshaped {
                    tracing::warn!(%id, "the start's input has another shape than the stored one: the stored run stands [E0211]");
                }
                (run, identity)
            }
            Answered::Closed(closed, Fit::Same) => (closed.run, closed.started.run),
            Answered::Closed(closed, Fit::Other) => {
                return Err(conflict(&id, &closed.started.workflow, closed.started.value, &asked));
            }
            Answered::By(Answer::Conflict(entry)) => {
                return Err(conflict(&id, &entry.kind.workflow, entry.value, &asked));
            }
            Answered::Refused(Refused::Input(reason)) => return Err(StartError::Input { reason: reason.to_string() }),
            Answered::Refused(refused) => return Err(LookupError::from(refused).into()),
            Answered::By(other) => unreachable!("because a start is never answered with {other:?}"),
        };
        Ok(Run::new(shared, no, run, namespace, id, Ended::result::<D>))
    }
}

impl<D: Definition> IntoFuture for Starting<D>
where
    D::Output: 'static,
{
    type Output = Result<Run<D::Output, D::Error>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

impl Runtime {
    fn check(&self, call: &StartCall) -> Result<(), StartError> {
        let (type_id, _) = call.definition();
        let name = call.name();
        let registered = self.inner.definitions.workflow(name.as_str(), call.version());
        match registered {
            Some(entry) if entry.type_id == type_id => Ok(()),
            other => Err(StartError::Unregistered {
                workflow: name.to_string(),
                instead: other.map(|entry| entry.type_name.to_owned()),
            }),
        }
    }
}

fn conflict(id: &Text, stored: &Text, value: crate::kernel::id::Digest, asked: &Text) -> StartError {
    let asked = if stored == asked { format!("`{asked}` with another input") } else { format!("`{asked}`") };
    StartError::Conflict { id: id.to_string(), stored: format!("`{stored}` with input {value}"), asked }
}

impl From<LookupError> for StartError {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::ShutDown => StartError::ShutDown,
            other => StartError::Store { reason: other.to_string() },
        }
    }
}

/// A shutdown that is being prepared, from [`Runtime::shutdown`]. Await it.
#[derive(Debug)]
#[must_use = "a shutdown does nothing unless it is awaited"]
pub struct Shutdown {
    runtime: Runtime,
    deadline: Duration,
}

impl Shutdown {
    /// How long at-most-once attempts in flight are awaited; 30 s unless this is called. Those that still run then are recorded as
    /// interrupted.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

impl IntoFuture for Shutdown {
    type Output = Result<(), ShutdownError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let message = Message::Shutdown { deadline: self.deadline, reply };
            let first = self.runtime.inner.shared.ways.first();
            if first.is_none_or(|way| way.send(message).is_err()) {
                return Ok(());
            }
            match answer.await {
                Ok(closed) => closed.map_err(|reason| ShutdownError { reason: reason.to_string() }),
                // The store was closed, or the runtime dropped, before this was heard.
                Err(_) => Ok(()),
            }
        })
    }
}
