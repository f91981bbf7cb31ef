//! The loads that several benchmarks put on a runtime: runs that do one step after the other. A step is an attempt like any other, with a retry
//! policy and a time limit armed; it gives back what it was given.

use std::path::Path;
use std::time::Instant;

use durable::prelude::*;
use durable::{Builder, Runtime};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

use crate::Outcome;
use crate::histogram::{Histogram, timed};

/// How many starts of runs that sleep are under way at once.
const STARTS_AT_ONCE: usize = 1_000;

/// How long each step took, from when the code asked for it until it had the result.
pub static STEPS: Histogram = Histogram::new();

/// How long each run took, from when it was to start until its end was known.
pub static RUNS: Histogram = Histogram::new();

#[activity(start_to_close = "30s", retry = exponential("100ms", 2.0).max_interval("10s").max_attempts(5))]
async fn echo(payload: String) -> Result<String, String> {
    Ok(payload)
}

#[activity(start_to_close = "30s", retry = exponential("100ms", 2.0).max_interval("10s").max_attempts(5))]
fn echo_blocking(payload: String) -> Result<String, String> {
    Ok(payload)
}

#[workflow]
async fn activities(steps: u32, payload: String) -> durable::Result<u32> {
    for _ in 0..steps {
        timed(echo(payload.clone()), &STEPS).await?;
    }
    Ok(steps)
}

#[workflow]
async fn blocking_activities(steps: u32, payload: String) -> durable::Result<u32> {
    for _ in 0..steps {
        timed(echo_blocking(payload.clone()), &STEPS).await?;
    }
    Ok(steps)
}

#[workflow]
async fn closures(steps: u32, payload: String) -> durable::Result<u32> {
    for _ in 0..steps {
        let step = durable::step_with("echo", payload.clone(), |payload| async move { Ok::<_, String>(payload) });
        let step = step.start_to_close(Duration::from_secs(30));
        timed(step.retry(durable::retry::exponential("100ms", 2.0).maximum_attempts(5)), &STEPS).await?;
    }
    Ok(steps)
}

/// Sleeps, and gives back for how long.
#[workflow]
pub async fn nap(seconds: u64) -> durable::Result<u64> {
    durable::sleep(Duration::from_secs(seconds)).await;
    Ok(seconds)
}

/// Starts so many runs that sleep longer than any measurement takes.
///
/// # Errors
/// When one cannot be started.
pub async fn start_sleepers(rt: &Runtime, runs: u64) -> Outcome<()> {
    let starts = (0..runs).map(|run| rt.start(nap(30 * 86_400)).id(format!("sleeper-{run}")).into_future());
    stream::iter(starts).buffer_unordered(STARTS_AT_ONCE).try_for_each(async |_| Ok(())).await?;
    Ok(())
}

/// What a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A closure in the workflow.
    Step,
    /// A function of its own.
    Activity,
    /// One that blocks its thread.
    Blocking,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::Step, Kind::Activity, Kind::Blocking];

    /// As a flag says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Step => "step",
            Kind::Activity => "activity",
            Kind::Blocking => "blocking",
        }
    }
}

/// What each run does.
#[derive(Debug, Clone)]
pub struct Load {
    /// So many steps.
    pub steps: u32,
    /// Of this kind.
    pub kind: Kind,
    /// With this input and output.
    pub payload: String,
}

impl Load {
    /// Steps with so many bytes of text.
    #[must_use]
    pub fn new(kind: Kind, steps: u32, payload_bytes: usize) -> Load {
        Load { steps, kind, payload: "x".repeat(payload_bytes) }
    }

    /// Runs this load once, under an id, to its end. The time from `begin` is counted.
    ///
    /// # Errors
    /// When the run cannot be started or does not end as it should.
    pub async fn run(&self, rt: Runtime, id: String, begin: Instant) -> Outcome<()> {
        let (steps, payload) = (self.steps, self.payload.clone());
        let done = match self.kind {
            Kind::Step => rt.start(closures(steps, payload)).id(id).await?.result().await,
            Kind::Activity => rt.start(activities(steps, payload)).id(id).await?.result().await,
            Kind::Blocking => rt.start(blocking_activities(steps, payload)).id(id).await?.result().await,
        };
        let done = done.map_err(|error| error.to_string())?;
        RUNS.record(begin.elapsed());
        if done == steps { Ok(()) } else { Err(format!("a run did {done} steps of {steps}").into()) }
    }

    /// Runs it so many times at once, under ids that begin with `name`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_many(&self, rt: &Runtime, name: &str, runs: usize) -> Outcome<()> {
        let begin = Instant::now();
        try_join_all((0..runs).map(|run| self.run(rt.clone(), format!("{name}-{run}"), begin))).await?;
        Ok(())
    }
}

/// Opens a store whose runs may put this load on it.
///
/// # Errors
/// When it cannot be opened.
pub async fn open(store: &Path) -> Outcome<Runtime> {
    Ok(register(Runtime::builder(store)).open().await?)
}

/// Registers what this load runs.
pub fn register(builder: Builder) -> Builder {
    builder.register((activities, blocking_activities, closures, nap, echo, echo_blocking))
}

/// Forgets the times that were counted.
pub fn clear() {
    STEPS.clear();
    RUNS.clear();
}
