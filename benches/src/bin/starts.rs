//! Runs started and finished per second: workflows that do nothing, so many under way at once.
//!
//! ```text
//! cargo run --release -p durable-benches --bin starts -- --at-once 1,256 --json
//! ```

use std::time::Instant;

use durable::Runtime;
use durable::prelude::*;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::histogram::Histogram;
use durable_benches::report::{Report, Row};
use durable_benches::stretch::Stretch;
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, quiet};
use futures::{StreamExt, TryStreamExt, stream};

/// From the call of `start` until the run is acknowledged.
static STARTED: Histogram = Histogram::new();
/// From the call of `start` until the run's end is known.
static ENDED: Histogram = Histogram::new();

#[workflow]
async fn nothing(number: u64) -> durable::Result<u64> {
    Ok(number)
}

struct Options {
    at_once: Vec<u64>,
    runs: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { at_once: vec![1, 16, 256, 4096], runs: None }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Runs started and finished per second, beside the bare log.

Usage: starts [--at-once N,..] [--runs N]

  --at-once N,..  so many are under way at any time, one row for each (1,16,256,4096)
  --runs N        so many in all; unless it is said 1,000 for each that is under way, at least 2,000 and at most 100,000";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "at-once" => self.at_once = args::numbers(parser)?,
            "runs" => self.runs = Some(args::number(parser)?),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut workplace = Workplace::new(&common.dir, "starts")?;
    let mut report = Report::new(common.output);
    for at_once in options.at_once {
        let runs = options.runs.unwrap_or((at_once * 1_000).clamp(2_000, 100_000));
        report.print(&measure(at_once, runs, &mut workplace).await?);
    }
    Ok(())
}

async fn measure(at_once: u64, runs: u64, workplace: &mut Workplace) -> Outcome<Row> {
    let store = workplace.fresh_store()?;
    let rt = Runtime::builder(&store).register((nothing,)).open().await?;
    STARTED.clear();
    ENDED.clear();
    let stretch = Stretch::begin(&store)?;
    let all = stream::iter(0..runs).map(|number| run(&rt, number)).buffer_unordered(at_once as usize);
    all.try_collect::<()>().await?;
    let ended = stretch.end(&store)?;
    rt.shutdown().await?;
    let measured = ended.beside_bare_log(workplace.dir())?;
    let row = Row::of("starts").count("at_once", at_once).count("runs", runs);
    let row = row.real("runs_per_second", measured.per_second(runs), 0);
    let row = row.real("cpu_us_per_run", measured.cpu_us(runs), 2);
    let row = row.real("bytes_per_run", measured.bytes_per(runs), 1);
    let row = row.real("started_p50_us", STARTED.us(0.5), 0).real("started_p99_us", STARTED.us(0.99), 0);
    Ok(measured.add_to(row.real("ended_p50_us", ENDED.us(0.5), 0).real("ended_p99_us", ENDED.us(0.99), 0)))
}

async fn run(rt: &Runtime, number: u64) -> Outcome<()> {
    let begin = Instant::now();
    let run = rt.start(nothing(number)).id(format!("run-{number}")).await?;
    STARTED.record(begin.elapsed());
    run.result().await.map_err(|error| error.to_string())?;
    ENDED.record(begin.elapsed());
    Ok(())
}
