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
use super::hint::Hint;
use super::outside::{self, Line, Outside};
use super::service::Ledger;
use super::stage::Stage;
use super::test::Plan;
use crate::disk::Snapshot;
use crate::panics::{Panic, note_places};
use crate::sim::{BEGIN, ONE_SEGMENT, Setting, Sim};

/// A scenario that has not ended after so much simulated time never does: twenty years.
const TIME_MAX: Duration = Duration::from_secs(20 * 365 * 86_400);

/// Nor one that has not after so many polls, unless its test says otherwise.
pub(super) const POLLS_MAX: u64 = 300_000;

/// A call that has failed so often fails for ever, unless its test says otherwise.
pub(super) const ATTEMPTS_MAX: u32 = 1_000;

const INSIDE_A_RUNTIME: &str =
    "this is inside a tokio runtime: a test of workflows is a plain `#[test] fn`, and brings a runtime of its own";

/// Where a play begins.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) disk: Snapshot,
    pub(super) outside: outside::Moment,
    pub(super) wall: Timestamp,
    /// How many processes lived on this machine before.
    pub(super) crashes: usize,
}

impl Start {
    /// A machine with an empty store on it.
    pub(super) fn empty() -> Start {
        static EMPTY: OnceLock<Snapshot> = OnceLock::new();
        let disk = EMPTY.get_or_init(empty_store).clone();
        Start { disk, outside: outside::Moment::default(), wall: BEGIN, crashes: 0 }
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
    /// The scenario, or what it called, panicked.
    Panicked(Panic),
    /// A double panicked: an assertion of the test.
    Double { activity: String, id: String, attempt: u32, panic: Panic },
    /// A call fails for ever.
    Hopeless { activity: String, id: String, attempts: u32, last: String },
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
        match panic.downcast_ref::<Trouble>() {
            Some(trouble) => trouble.clone(),
            None => Trouble::Panicked(Panic::of(panic)),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Panicked(panic) => write!(f, "the scenario panicked: {panic}"),
            Trouble::Double { activity, id, attempt, panic } => {
                write!(f, "the double of `{activity}` panicked, in attempt {attempt} of run `{id}`: {panic}")
            }
            Trouble::Hopeless { activity, id, attempts, last } => write!(
                f,
                "`{activity}` of run `{id}` was attempted {attempts} times, failed each time, and is tried again; the last error: \
                 {last}\nin a test a call has {attempts} attempts: `Test::attempts_max` gives it more, and its `retry` option fewer"
            ),
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
    pub(super) hints: Vec<Hint>,
}

impl Left {
    fn of(outside: &Outside) -> Left {
        Left { story: outside.story(), ledgers: outside.ledgers(), hints: outside.hints() }
    }
}

/// Plays it from `start` under `seed`.
pub(super) fn play<T>(
    plan: &Plan<'_>,
    seed: u64,
    start: &Start,
    body: impl AsyncFnOnce(Rc<Stage>) -> Result<T, Trouble>,
) -> (Result<T, Trouble>, Left) {
    if tokio::runtime::Handle::try_current().is_ok() {
        return (Err(Trouble::Said(INSIDE_A_RUNTIME.to_owned())), Left::default());
    }
    note_places();
    let outside = RefCell::new(None);
    let playing = || {
        Sim::play(setting(seed, start), async |sim| {
            let here = Outside::new(seed, sim.clock().clone(), &start.outside);
            outside.replace(Some(here.clone()));
            let _entered = here.enter();
            // Each process before has drawn its numbers: no two of one machine draw the same.
            for _ in 0..start.crashes {
                let _its = sim.rng();
            }
            perform(plan, sim, here, body).await
        })
    };
    let played = match catch_unwind(AssertUnwindSafe(playing)) {
        Ok(Ok(played)) => played,
        Ok(Err(stalled)) => Err(Trouble::Stalled { how: stalled.to_string(), runs: Vec::new() }),
        Err(panic) => Err(Trouble::of_panic(&*panic)),
    };
    (played, outside.take().as_ref().map(Left::of).unwrap_or_default())
}

fn setting(seed: u64, start: &Start) -> Setting {
    Setting {
        seed,
        begin: start.wall,
        time_max: TIME_MAX * 2,
        sizes: ONE_SEGMENT,
        disk: Some(start.disk.clone()),
        ..Setting::default()
    }
}

/// The application on its machine and the doubles beside it, until one of them is done with the play.
async fn perform<T>(
    plan: &Plan<'_>,
    sim: Sim,
    outside: Outside,
    body: impl AsyncFnOnce(Rc<Stage>) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let (requests, asked) = unbounded_channel();
    let stage = Rc::new(Stage::new(plan, sim, outside, requests));
    tokio::select! {
        biased;
        played = body(Rc::clone(&stage)) => played,
        trouble = serve(&plan.doubles, asked) => Err(trouble),
        stalled = give_up(&stage, plan.polls_max) => Err(stalled),
    }
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
