//! What a scenario holds: the application, from outside. Its processes come and go; the handle stays, and so do those of runs.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use durable::__private::{Definition, Workflow};
use durable::runtime::Description;
use durable::seams::Clock;
use durable::{ActivityFn, Call, Items, LookupError, Registry, Runtime, StartError, WorkflowFn};

use super::hint::Hint;
use super::play::{Trouble, raise};
use super::run::{Find, Run, find};
use super::stage::{Stage, pass};
use crate::sim::Sim;

/// The application under test, on a simulated machine with a simulated clock. Clones are the same application.
///
/// A time that is waited for passes at once: awaiting a run's result lets the clock go to whatever is due next, for years if need be.
#[derive(Clone)]
pub struct App {
    pub(super) stage: Rc<Stage>,
    pub(super) crashes: Crashes,
}

/// Who lets the application crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crashes {
    /// The scenario, if it wants to.
    Scenario,
    /// Whoever plays the scenario.
    Player,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "App(process {})", self.stage.generation())
    }
}

impl App {
    /// Starts a run. Set its id with [`id`](Starting::id), then await it: when that returns, the run is on disk. A start under an id that
    /// is known attaches.
    #[track_caller]
    pub fn start<D: Workflow>(&self, call: Call<D>) -> Starting<D> {
        Starting { app: self.clone(), call, id: None, namespace: None, place: Location::caller() }
    }

    /// A handle on the run of this id, open or closed, in the default namespace.
    ///
    /// # Errors
    /// When there is no such run, or it is of another workflow.
    pub async fn run<F, M>(&self, _: F, id: &str) -> Result<Run<F::Output, F::Error>, LookupError>
    where
        F: WorkflowFn<M>,
    {
        let find: Find<F::Output, F::Error> = find::<F::Definition>;
        find(self.runtime().await, String::new(), id.to_owned()).await?;
        Ok(Run::new(self.clone(), String::new(), id.to_owned(), find))
    }

    /// All runs that are open, and what each waits for.
    ///
    /// # Panics
    /// When the runtime was shut down behind the application's back.
    pub async fn runs(&self) -> Vec<Description> {
        match self.runtime().await.runs().await {
            Ok(runs) => runs,
            Err(error) => raise(Trouble::Said(format!("the runs are not known: {error}"))),
        }
    }

    /// The runtime of the process that lives, for what this handle has no name for.
    pub async fn runtime(&self) -> Runtime {
        self.stage.runtime().await
    }

    /// The machine, for what this handle has no name for: faults of its disk, a second process.
    #[must_use]
    pub fn sim(&self) -> &Sim {
        self.stage.sim()
    }

    /// The time that the wall clock shows. It begins at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.sim().clock().wall().into()
    }

    /// How much simulated time has passed since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.stage.outside().elapsed()
    }

    /// Lets so much time pass, with all that comes due in it. When this returns, nothing moves until time passes again.
    pub async fn advance(&self, span: Duration) {
        pass(&self.stage, span).await;
    }

    /// Lets time pass until the next timer of a run is due, or the next attempt, or a deadline, and with it all that comes due; gives
    /// how much time that was, none if no run waits for the clock. A wall clock that was set forward brings it nearer; one that was set
    /// back does not put it off.
    pub async fn advance_to_next_timer(&self) -> Option<Duration> {
        self.sim().settle().await;
        let span = self.runtime().await.next_due().await?;
        self.advance(span).await;
        Some(span)
    }

    /// Lets everything happen that can without time passing.
    pub async fn settle(&self) {
        self.sim().settle().await;
    }

    /// Sets the wall clock forward, as an operator does: no time passes.
    pub fn set_wall_forward(&self, span: Duration) {
        self.sim().clock().set_wall_by(micros(span));
    }

    /// Sets the wall clock back.
    pub fn set_wall_back(&self, span: Duration) {
        self.sim().clock().set_wall_by(-micros(span));
    }

    /// Kills the process where it stands, as `kill -9` does, and opens the store in a new one.
    pub async fn crash(&self) {
        self.crash_for(Duration::ZERO).await;
    }

    /// As [`crash`](Self::crash), but the new process begins so much later.
    pub async fn crash_for(&self, span: Duration) {
        self.may_crash();
        self.stage.kill();
        if !span.is_zero() {
            pass(&self.stage, span).await;
        }
        self.stage.open().await;
    }

    /// The power goes: of what no sync has covered only a part is left, as the seed says. Then the store is opened in a new process.
    pub async fn power_cut(&self) {
        self.may_crash();
        self.stage.power_cut();
        self.stage.open().await;
    }

    /// Shuts the runtime down in good order, and opens the store in a new process.
    pub async fn restart(&self) {
        self.may_crash();
        self.stage.shut_down().await;
        self.stage.open().await;
    }

    /// As [`restart`](Self::restart), with another build of the application: these workflows and activities in the place of those
    /// before. Doubles stay, for the activities that they are of.
    pub async fn deploy<M>(&self, items: impl Items<M>) {
        self.may_crash();
        self.stage.shut_down().await;
        self.stage.deploy(Registry::of(items)).await;
        self.stage.open().await;
    }

    fn may_crash(&self) {
        if self.crashes == Crashes::Player {
            let text = "`crash_everywhere` lets the application crash itself: its scenario may not";
            raise(Trouble::Said(text.to_owned()));
        }
    }

    /// How many attempts of this activity have begun, of all runs.
    pub fn attempts<F: ActivityFn<M>, M>(&self, _: F) -> u32 {
        self.stage.outside().attempts(F::Definition::name().as_str())
    }

    /// Adds a line to the story that a failure tells.
    pub fn note(&self, what: impl Into<String>) {
        self.stage.outside().tell(what.into());
    }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// A start that is being prepared, from [`App::start`]. Await it.
#[must_use = "a run is started when this is awaited"]
pub struct Starting<D: Definition> {
    app: App,
    call: Call<D>,
    id: Option<String>,
    namespace: Option<String>,
    place: &'static Location<'static>,
}

impl<D: Definition> fmt::Debug for Starting<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Starting").field("id", &self.id).field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl<D: Definition> Starting<D> {
    /// The workflow id. Without one the run gets a random id, and a scenario that is played again behind a crash starts another run.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The namespace.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }
}

impl<D: Workflow> Starting<D>
where
    D::Output: 'static,
{
    async fn start(self) -> Result<Run<D::Output, D::Error>, StartError> {
        let Starting { app, call, id, namespace, place } = self;
        let mut starting = app.runtime().await.start(call);
        match id {
            Some(id) => starting = starting.id(id),
            None => app.stage.outside().hint(Hint::NoId { place: place.to_string() }),
        }
        if let Some(namespace) = namespace {
            starting = starting.namespace(namespace);
        }
        let run = starting.await?;
        Ok(Run::new(app, run.namespace().to_owned(), run.id().to_owned(), find::<D>))
    }
}

impl<D: Workflow> IntoFuture for Starting<D>
where
    D::Output: 'static,
{
    type Output = Result<Run<D::Output, D::Error>, StartError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output>>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}
