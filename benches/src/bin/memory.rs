//! Memory for each run: hot (an attempt of it is in flight), idle (in memory, asleep), evicted (asleep and put away, by the switch that
//! tests have for that). Each is a process of its own, since an allocator keeps the room that it once took.
//!
//! ```text
//! cargo run --release -p durable-benches --bin memory -- --runs 100000 --json
//! ```

use std::future::pending;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use durable::Runtime;
use durable::prelude::{activity, workflow};
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::load::nap;
use durable_benches::part::{self, Part};
use durable_benches::report::{Report, Row};
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, quiet, usage};
use futures::future::try_join_all;
use tokio::time::sleep;

/// So long nothing happens before it is looked: a checkpoint may be under way.
const QUIET: Duration = Duration::from_secs(1);

/// So many runs come before those that are counted.
const FIRST: u64 = 4_000;

/// How many starts are under way at once: what a start needs while it is under way is no run's, and stays with the allocator.
const AT_ONCE: u64 = 1_000;

#[activity(start_to_close = "1d")]
async fn never(number: u64) -> Result<u64, String> {
    pending::<()>().await;
    Ok(number)
}

#[workflow]
async fn attempt(number: u64) -> durable::Result<u64> {
    Ok(never(number).await?)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Hot,
    Idle,
    Evicted,
}

impl State {
    const ALL: [State; 3] = [State::Hot, State::Idle, State::Evicted];

    fn name(self) -> &'static str {
        match self {
            State::Hot => "hot",
            State::Idle => "idle",
            State::Evicted => "evicted",
        }
    }
}

struct Options {
    runs: u64,
    only: Vec<State>,
}

impl Default for Options {
    fn default() -> Self {
        Options { runs: 100_000, only: State::ALL.to_vec() }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Memory for each run, by the process's resident set.

Usage: memory [--runs N] [--only hot|idle|evicted]

  --runs N      so many runs (100,000)
  --only STATE  only those in this state";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "runs" => self.runs = args::number(parser)?,
            "only" => self.only = vec![state(&args::word(parser)?)?],
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

fn state(name: &str) -> Result<State, Error> {
    let found = State::ALL.into_iter().find(|state| state.name() == name);
    found.ok_or_else(|| format!("there is no state `{name}` of a run").into())
}

#[tokio::main]
async fn main() -> Outcome<()> {
    if let Some((name, args)) = part::played() {
        quiet::install();
        let [store, runs] = args.try_into().map_err(|_| "a part takes a store and a number")?;
        return fill(Path::new(&store), state(&name)?, runs.parse()?).await;
    }
    let (options, common) = args::read::<Options>();
    let mut workplace = Workplace::new(&common.dir, "memory")?;
    let mut report = Report::new(common.output);
    for state in options.only {
        let args = [workplace.fresh_store()?.into_os_string(), options.runs.to_string().into()];
        let mut part = Part::begin(state.name(), args)?;
        let [bytes, ids, per_second] = part.numbers()?;
        part.kill()?;
        let row = Row::of("memory").word("state", state.name()).count("runs", options.runs);
        let row = row.real("bytes_per_run", bytes, 0).real("of_them_id_text", ids, 1);
        report.print(&row.real("started_per_second", per_second, 0));
    }
    Ok(())
}

/// Part: fills a store and tells what that took.
async fn fill(store: &Path, state: State, runs: u64) -> Outcome<()> {
    let builder = Runtime::builder(store).register((nap, attempt, never)).attempts((FIRST + runs) as usize);
    let rt = match state {
        State::Hot | State::Idle => builder.open().await?,
        State::Evicted => builder.put_away_at_every_await().open().await?,
    };
    // What a process takes once, for however many runs, it takes for these.
    let first = FIRST.min(runs);
    fill_up(&rt, state, 0..first).await?;
    sleep(QUIET).await;
    let before = usage::resident();
    let begin = Instant::now();
    let ids = fill_up(&rt, state, first..first + runs).await?;
    // Of an evicted run not even the id is in memory.
    let ids = if state == State::Evicted { 0 } else { ids };
    let per_second = runs as f64 / begin.elapsed().as_secs_f64();
    sleep(QUIET).await;
    let bytes = usage::resident().saturating_sub(before) as f64;
    part::tell_and_wait(&[bytes / runs as f64, ids as f64 / runs as f64, per_second])
}

/// Starts these runs; gives how many bytes their ids have.
async fn fill_up(rt: &Runtime, state: State, runs: Range<u64>) -> Outcome<usize> {
    let mut ids = 0;
    for begin in runs.clone().step_by(AT_ONCE as usize) {
        let numbers = begin..runs.end.min(begin + AT_ONCE);
        ids += numbers.clone().map(|number| id(number).len()).sum::<usize>();
        match state {
            State::Hot => drop(try_join_all(numbers.map(|n| rt.start(attempt(n)).id(id(n)).into_future())).await?),
            State::Idle | State::Evicted => {
                drop(try_join_all(numbers.map(|n| rt.start(nap(86_400)).id(id(n)).into_future())).await?);
            }
        }
    }
    Ok(ids)
}

fn id(number: u64) -> String {
    format!("run-{number}")
}
