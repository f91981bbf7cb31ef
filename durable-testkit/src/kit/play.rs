//! One play of a scenario: a simulated machine, the application on it, and the test outside. What goes wrong in it comes back as data,
//! with the story of what happened.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use durable::Registry;
use durable::kernel::id::Timestamp;
use tokio::sync::mpsc::unbounded_channel;

use super::double::serve;
use super::outside::{self, Line, Outside};
use super::service::Ledger;
use super::stage::Stage;
use super::test::Plan;
use crate::disk::Snapshot;
use crate::sim::{BEGIN, ONE_SEGMENT, Setting, Sim};

/// A scenario that has not ended after so much simulated time never does: twenty years.
const TIME_MAX: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Nor one that has not after so many polls, unless its test says otherwise.
pub(super) const POLLS_MAX: u64 = 300_000;

/// Where a play begins.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) disk: Snapshot,
    pub(super) outside: outside::Moment,
    pub(super) wall: Timestamp,
}

impl Start {
    /// A machine with an empty store on it.
    pub(super) fn empty() -> Start {
        static EMPTY: OnceLock<Snapshot> = OnceLock::new();
        let disk = EMPTY.get_or_init(empty_store).clone();
        Start { disk, outside: outside::Moment::default(), wall: BEGIN }
    }
}

fn empty_store() -> Snapshot {
    let made = Sim::play(Setting { sizes: ONE_SEGMENT, ..Setting::default() }, async |sim| {
        let process = sim.process();
        let made = process.run(async {
            let runtime = process.runtime(Registry::default()).open().await?;
            runtime.shutdown().await?;
            Ok::<(), durable::Error>(())
        });
        assert!(matches!(made.await, Some(Ok(()))), "because nothing goes wrong on a sound disk");
        sim.disk().settle();
        sim.disk().snapshot()
    });
    made.expect("because an empty store opens and closes")
}

/// Why a play came to no good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The scenario, or what it called, panicked with this text.
    Panicked(String),
    /// The scenario returned an error.
    Failed(String),
    /// A run is blocked.
    Blocked { id: String, reason: String },
    /// Nothing moves any more, or everything does for ever.
    Stalled { how: String, runs: Vec<String> },
    /// What the kit says itself.
    Said(String),
}

/// Ends the play.
pub(super) fn raise(trouble: Trouble) -> ! {
    // No hook prints anything for this: whoever caught it does.
    resume_unwind(Box::new(trouble))
}

impl Trouble {
    fn of_panic(panic: &(dyn Any + Send)) -> Trouble {
        if let Some(trouble) = panic.downcast_ref::<Trouble>() {
            return trouble.clone();
        }
        let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Trouble::Panicked(text.unwrap_or("a panic without a text").to_owned())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Panicked(text) => write!(f, "the scenario panicked: {text}"),
            Trouble::Failed(error) => write!(f, "the scenario returned an error: {error}"),
            Trouble::Blocked { id, reason } => write!(f, "run `{id}` is blocked: {reason}"),
            Trouble::Stalled { how, runs } => {
                f.write_str(how)?;
                runs.iter().try_for_each(|run| write!(f, "\n{run}"))?;
                if runs.is_empty() { f.write_str("\nno run is open") } else { Ok(()) }
            }
            Trouble::Said(text) => f.write_str(text),
        }
    }
}

/// What is left of a play.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) story: Vec<Line>,
    pub(super) ledgers: Vec<Ledger>,
}

/// Plays it from `start` under `seed`.
pub(super) fn play<T>(
    plan: &Plan<'_>,
    seed: u64,
    start: &Start,
    body: impl AsyncFnOnce(Rc<Stage>) -> Result<T, Trouble>,
) -> (Result<T, Trouble>, Left) {
    if tokio::runtime::Handle::try_current().is_ok() {
        let text = "this is inside a tokio runtime: a test of workflows is a plain `#[test] fn`, and brings a runtime of its own";
        return (Err(Trouble::Said(text.to_owned())), Left::default());
    }
    let setting = Setting {
        seed,
        begin: start.wall,
        time_max: TIME_MAX * 2,
        sizes: ONE_SEGMENT,
        disk: Some(start.disk.clone()),
        ..Setting::default()
    };
    let outside = RefCell::new(None);
    let playing = || {
        Sim::play(setting, async |sim| {
            let here = Outside::new(seed, sim.clock().clone(), &start.outside);
            outside.replace(Some(here.clone()));
            let _entered = here.enter();
            let (requests, asked) = unbounded_channel();
            let stage = Rc::new(Stage::new(plan, sim, here, requests));
            tokio::select! {
                biased;
                played = body(Rc::clone(&stage)) => played,
                () = serve(&plan.doubles, asked) => unreachable!("because doubles are served for ever"),
                stalled = give_up(&stage, plan.polls_max) => Err(stalled),
            }
        })
    };
    let played = match catch_unwind(AssertUnwindSafe(playing)) {
        Ok(Ok(played)) => played,
        Ok(Err(stalled)) => Err(Trouble::Stalled { how: stalled.to_string(), runs: Vec::new() }),
        Err(panic) => Err(Trouble::of_panic(&*panic)),
    };
    let left = outside.take().map(|outside| Left { story: outside.story(), ledgers: outside.ledgers() });
    (played, left.unwrap_or_default())
}

/// Ends when the scenario will not.
async fn give_up(stage: &Stage, polls_max: u64) -> Trouble {
    let how = tokio::select! {
        biased;
        () = stage.sim().after_polls(polls_max) => {
            let elapsed = outside::Shown(stage.outside().elapsed());
            format!("the scenario does not end: {polls_max} polls, and {elapsed} of simulated time")
        }
        () = tokio::time::sleep(TIME_MAX) => "the scenario waits for something that never comes".to_owned(),
    };
    Trouble::Stalled { how, runs: stage.runs().await }
}
