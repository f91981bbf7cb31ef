//! Fan-out: runs that await so many activities at once, again and again.
//!
//! ```text
//! cargo run --release -p durable-benches --bin fan_out -- --width 10,1000 --json
//! ```

use durable::Runtime;
use durable::prelude::*;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::histogram::{Histogram, timed};
use durable_benches::report::{Report, Row};
use durable_benches::stretch::Stretch;
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, quiet};
use futures::future::{join_all, try_join_all};

/// How long it took until all activities of a round were done.
static ROUNDS: Histogram = Histogram::new();

#[activity]
async fn echo(payload: String) -> Result<String, String> {
    Ok(payload)
}

#[workflow]
async fn fan(width: u64, rounds: u64, payload: String) -> durable::Result<u64> {
    let mut done = 0;
    for _ in 0..rounds {
        let all = join_all((0..width).map(|_| echo(payload.clone())));
        for result in timed(Box::pin(all), &ROUNDS).await {
            result?;
            done += 1;
        }
    }
    Ok(done)
}

struct Options {
    width: Vec<u64>,
    runs: u64,
    rounds: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { width: vec![10, 100, 1_000], runs: 1, rounds: None }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Activities awaited together, beside the bare log.

Usage: fan_out [--width N,..] [--runs N] [--rounds N]

  --width N,..  so many activities at once, one row for each (10,100,1000)
  --runs N      in each of so many runs (1)
  --rounds N    so often; unless it is said as often as makes 50,000 activities, but at most 500 times";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "width" => self.width = args::numbers(parser)?,
            "runs" => self.runs = args::number(parser)?,
            "rounds" => self.rounds = Some(args::number(parser)?),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut workplace = Workplace::new(&common.dir, "fan-out")?;
    let mut report = Report::new(common.output);
    for width in options.width {
        let rounds = options.rounds.unwrap_or((50_000 / width / options.runs).clamp(1, 500));
        report.print(&measure(Shape { width, runs: options.runs, rounds }, &mut workplace).await?);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    width: u64,
    runs: u64,
    rounds: u64,
}

async fn measure(shape: Shape, workplace: &mut Workplace) -> Outcome<Row> {
    let Shape { width, runs, rounds } = shape;
    let store = workplace.fresh_store()?;
    let rt = Runtime::builder(&store).register((fan, echo)).open().await?;
    ROUNDS.clear();
    let stretch = Stretch::begin(&store)?;
    try_join_all((0..runs).map(|number| run(&rt, shape, number))).await?;
    let ended = stretch.end(&store)?;
    rt.shutdown().await?;
    let measured = ended.beside_bare_log(workplace.dir())?;
    let done = width * runs * rounds;
    let row = Row::of("fan_out").count("width", width).count("runs", runs).count("rounds", rounds);
    let row = row.real("activities_per_second", measured.per_second(done), 0);
    let row = row.real("cpu_us_per_activity", measured.cpu_us(done), 2);
    let row = row.real("bytes_per_activity", measured.bytes_per(done), 1);
    Ok(measured.add_to(row.real("round_p50_us", ROUNDS.us(0.5), 0).real("round_p99_us", ROUNDS.us(0.99), 0)))
}

async fn run(rt: &Runtime, shape: Shape, number: u64) -> Outcome<()> {
    let call = fan(shape.width, shape.rounds, "x".repeat(100));
    let run = rt.start(call).id(format!("fan-{number}")).await?;
    let done = run.result().await.map_err(|error| error.to_string())?;
    let expected = shape.width * shape.rounds;
    if done == expected { Ok(()) } else { Err(format!("{done} activities of {expected}").into()) }
}
