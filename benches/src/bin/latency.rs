//! How long a step takes: of one run alone, and of runs that begin at a steady pace, at 10, 50 and 90 percent of the highest load. The pace is
//! kept whatever becomes of the runs before, and a run's time counts from when it should have begun, so that a runtime that falls behind
//! cannot hide it.
//!
//! ```text
//! cargo run --release -p durable-benches --bin latency -- --seconds 5 --json
//! ```

use std::time::{Duration, Instant};

use durable::Runtime;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::load::{self, Kind, Load, RUNS, STEPS};
use durable_benches::report::{Report, Row};
use durable_benches::stretch::{Measured, Stretch};
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, quiet};
use tokio::task::JoinSet;

/// So many runs at once are the highest load.
const HIGHEST: usize = 4_096;

struct Options {
    alone: u32,
    steps: u32,
    payload: usize,
    seconds: u64,
    percent: Vec<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { alone: 5_000, steps: 10, payload: 100, seconds: 5, percent: vec![10, 50, 90] }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
The time of a step, alone and under load, beside the bare log.

Usage: latency [--alone N] [--steps N] [--payload BYTES] [--seconds N] [--percent N,..]

  --alone N       steps of the run that is alone (5,000)
  --steps N       steps of each run under load (10)
  --payload B     bytes of input, and of output (100)
  --seconds N     how long each load is kept up (5)
  --percent N,..  of the highest load, which 4,096 runs at once make (10,50,90)";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "alone" => self.alone = args::number(parser)?,
            "steps" => self.steps = args::number(parser)?,
            "payload" => self.payload = args::number(parser)?,
            "seconds" => self.seconds = args::number(parser)?,
            "percent" => self.percent = args::numbers(parser)?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut bench = Bench { workplace: Workplace::new(&common.dir, "latency")? };
    let mut report = Report::new(common.output);
    let alone = Load::new(Kind::Activity, options.alone, options.payload);
    let (measured, done) = bench.play(async |rt| once(&alone, rt).await).await?;
    report.print(&row("alone", 0, done, &measured));

    let load = Load::new(Kind::Activity, options.steps, options.payload);
    let (measured, done) = bench.play(async |rt| all_at_once(&load, rt).await).await?;
    report.print(&row("highest", 100, done, &measured));
    let highest = measured.per_second(done) / f64::from(options.steps);
    for percent in options.percent {
        let pace = Pace { runs_per_second: highest * percent as f64 / 100.0, seconds: options.seconds };
        let (measured, done) = bench.play(async |rt| at_pace(&load, pace, rt).await).await?;
        report.print(&row("steady", percent, done, &measured));
    }
    Ok(())
}

struct Bench {
    workplace: Workplace,
}

impl Bench {
    /// Puts a load on a fresh store; gives what it took, and how many steps were done.
    async fn play(&mut self, load: impl AsyncFnOnce(&Runtime) -> Outcome<()>) -> Outcome<(Measured, u64)> {
        let store = self.workplace.fresh_store()?;
        let rt = load::open(&store).await?;
        load::clear();
        let stretch = Stretch::begin(&store)?;
        load(&rt).await?;
        let ended = stretch.end(&store)?;
        rt.shutdown().await?;
        Ok((ended.beside_bare_log(self.workplace.dir())?, STEPS.count()))
    }
}

async fn once(load: &Load, rt: &Runtime) -> Outcome<()> {
    load.run_many(rt, "alone", 1).await
}

async fn all_at_once(load: &Load, rt: &Runtime) -> Outcome<()> {
    load.run_many(rt, "run", HIGHEST).await
}

/// How fast runs begin, and for how long.
#[derive(Debug, Clone, Copy)]
struct Pace {
    runs_per_second: f64,
    seconds: u64,
}

async fn at_pace(load: &Load, pace: Pace, rt: &Runtime) -> Outcome<()> {
    let begin = Instant::now();
    let mut runs = JoinSet::new();
    for number in 0..(pace.runs_per_second * pace.seconds as f64) as u64 {
        let due = begin + Duration::from_secs_f64(number as f64 / pace.runs_per_second);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let (load, rt) = (load.clone(), rt.clone());
        runs.spawn(async move { load.run(rt, format!("run-{number}"), due).await });
    }
    while let Some(done) = runs.join_next().await {
        done??;
    }
    Ok(())
}

fn row(load: &str, percent: u64, done: u64, measured: &Measured) -> Row {
    let row = Row::of("latency").word("load", load).count("percent", percent).count("steps", done);
    let row = row.real("steps_per_second", measured.per_second(done), 0);
    let row =
        row.real("p50_us", STEPS.us(0.5), 0).real("p99_us", STEPS.us(0.99), 0).real("p99_9_us", STEPS.us(0.999), 0);
    let row = row.real("run_p50_us", RUNS.us(0.5), 0).real("run_p99_us", RUNS.us(0.99), 0);
    measured.add_to(row.real("p50_to_fdatasync", STEPS.us(0.5) / measured.sync_us(), 2))
}
