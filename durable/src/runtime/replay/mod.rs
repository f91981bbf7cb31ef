//! Replays a recorded journal against the code of today and executes nothing: no attempt, no answer, no event of `tracing`. It only
//! compares; what a difference means for a run that is open, the kernel decides elsewhere.

mod report;
mod walk;

use std::fmt;
use std::sync::Arc;

pub use self::report::{CallState, Divergence, EndCheck, NotReplayed, Replayed, ReplayedCall};
pub use crate::kernel::engine::Residence;

use self::walk::Walk;
use super::definitions::Definitions;
use super::silence::silently;
use super::turns::Hot;
use crate::activity::States;
use crate::kernel::event::{Event, RunStarted, Text};
use crate::payload::{PayloadCodec, header};
use crate::registry::{Items, Registry, RegistryFault};
use crate::store::log::JournalEvent;

/// The build of the code that replays, unless it is given another name. It is never that of a recording, so that what may change
/// from build to build may differ from it.
const BUILD: &str = "of today";

/// The code against which journals are replayed: its workflows and activities, and what it is compared as.
///
/// # Examples
/// A run is recorded, then its journal is replayed against the code as it is now.
///
/// ```
/// # use durable::prelude::*;
/// use durable::replay::Replay;
///
/// #[workflow]
/// async fn greet(name: String) -> Result<String, String> {
///     durable::sleep(std::time::Duration::from_millis(1)).await;
///     Ok(format!("hello, {name}"))
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let rt = durable::Runtime::builder(dir.path()).register((greet,)).open().await?;
/// # rt.start(greet("you".to_owned())).id("greeting-1").await?.result().await?;
/// # rt.shutdown().await?;
/// let store = durable::Runtime::open_read_only(dir.path()).await?;
/// let journal = store.journal("", "greeting-1").await?;
///
/// let replayed = Replay::of((greet,)).journal(&journal)?;
/// assert_eq!(replayed.matched, replayed.events);
/// assert_eq!(replayed.turns, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Replay {
    registry: Registry,
    calls: Calls,
    build: Text,
    residence: Residence,
    results: Results,
}

/// What a workflow may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calls {
    Anything,
    Registered,
}

/// Whether the result with which a run ends is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Results {
    Compared,
    Any,
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Replay { registry, calls, build, residence, results } = self;
        f.debug_struct("Replay")
            .field("registry", registry)
            .field("calls", calls)
            .field("build", build)
            .field("residence", residence)
            .field("results", results)
            .finish()
    }
}

impl Replay {
    /// Against these workflows: a tuple of them, or a [`Registry`]. What they call need not be among them, and states are not needed,
    /// since nothing is called.
    #[must_use]
    pub fn of<M>(items: impl Items<M>) -> Replay {
        Replay {
            registry: Registry::of(items),
            calls: Calls::Anything,
            build: BUILD.into(),
            residence: Residence::Stay,
            results: Results::Compared,
        }
    }

    /// Takes a call of an activity or of a child that was not given for an error, as a runtime with just these would.
    #[must_use]
    pub fn only_registered(mut self) -> Self {
        self.calls = Calls::Registered;
        self
    }

    /// As the build of this name. A journal that this very build recorded is held to the rules for one build: then an input of another
    /// shape is a mismatch. Unless this is called the code counts as another build than any that recorded.
    #[must_use]
    pub fn build(mut self, build: impl Into<String>) -> Self {
        self.build = build.into().into();
        self
    }

    /// Whether the run stays in memory, as it does unless this is called, or is put away at every await: then each of its turns is
    /// reached by a new replay from the start, so that a workflow which keeps something outside its own variables (a static, a
    /// thread's own) is found out. That costs the square of the number of turns.
    #[must_use]
    pub fn residence(mut self, residence: Residence) -> Self {
        self.residence = residence;
        self
    }

    /// Compares only how a run ended, and not with which result or error: for a workflow whose result has changed its shape on purpose.
    #[must_use]
    pub fn any_result(mut self) -> Self {
        self.results = Results::Any;
        self
    }

    /// Replays one run's journal. One that has no end is replayed to its last turn; then the code is given the events that have none.
    ///
    /// # Errors
    /// [`NotReplayed::Diverged`] at the first difference; the other kinds if it could not be tried.
    ///
    /// # Panics
    /// Never: a panic of the workflow is a divergence.
    pub fn journal(&self, journal: &[JournalEvent]) -> Result<Replayed, NotReplayed> {
        let Some((_, _, Event::RunStarted(started))) = journal.first() else {
            return Err(NotReplayed::Malformed {
                reason: "its first event is not the start of a run [E0213]".to_owned(),
            });
        };
        self.check(started)?;
        within_tokio(|| silently(|| self.walk(started, journal)))
    }

    fn walk(&self, started: &RunStarted, journal: &[JournalEvent]) -> Result<Replayed, NotReplayed> {
        let walk = || Walk::new(self.hot(started), started, journal, self.results);
        if self.residence == Residence::PutAwayAtEveryAwait {
            turns_of(journal).try_for_each(|at| walk().up_to(at).map(drop))?;
        }
        walk().whole()
    }

    fn check(&self, started: &RunStarted) -> Result<(), NotReplayed> {
        let faults = self.registry.faults(&States::default()).into_iter();
        let faults: Vec<String> = faults
            .filter(|fault| !matches!(fault, RegistryFault::MissingState { .. }))
            .map(|f| f.to_string())
            .collect();
        if !faults.is_empty() {
            return Err(NotReplayed::Registry { reason: faults.join("; ") });
        }
        if self.registry.workflow(started.workflow.as_str(), started.version).is_none() {
            return Err(NotReplayed::Unregistered {
                id: started.id.to_string(),
                workflow: started.workflow.to_string(),
                version: started.version,
                registered: Definitions::of(self.registry.clone()).workflows_in_words(),
            });
        }
        Ok(())
    }

    /// A memory with no run in it.
    fn hot(&self, started: &RunStarted) -> Hot {
        let definitions = match self.calls {
            Calls::Anything => Definitions::and_as_met(self.registry.clone()),
            Calls::Registered => Definitions::of(self.registry.clone()),
        };
        Hot::new(Arc::new(definitions), codec_of(started), self.build.clone())
    }
}

/// Where the turns of a journal stand in it.
fn turns_of(journal: &[JournalEvent]) -> impl Iterator<Item = usize> {
    let is_turn = |event: &Event| matches!(event, Event::Turn { .. });
    journal.iter().enumerate().filter(move |(_, (_, _, event))| is_turn(event)).map(|(at, _)| at)
}

/// The codec of the runtime that recorded: that of the run's input.
fn codec_of(started: &RunStarted) -> PayloadCodec {
    header(&started.input).map_or_else(|_| PayloadCodec::default(), |header| header.codec)
}

/// Calls `f` within a tokio runtime, as a workflow always is: one that builds a tokio timer has to get as far as it does there.
fn within_tokio<T>(f: impl FnOnce() -> T) -> T {
    let has_one = tokio::runtime::Handle::try_current().is_ok();
    let runtime = (!has_one).then(|| tokio::runtime::Builder::new_current_thread().enable_time().build());
    let runtime = runtime.and_then(Result::ok);
    let _guard = runtime.as_ref().map(tokio::runtime::Runtime::enter);
    f()
}
