//! Replay: how many events a second are replayed from a journal in memory, by payload; and how long a run with 1,000 events in its journal, which
//! was written by it alone, takes until it has answered a signal behind an open of the store, read and replayed.
//!
//! ```text
//! cargo run --release -p durable-benches --bin replay -- --payload 100,10000 --json
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use durable::replay::Replay;
use durable::{Failure, Run, Runtime};
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::histogram::Histogram;
use durable_benches::long::{self, long};
use durable_benches::report::{Report, Row};
use durable_benches::slowed::Watch;
use durable_benches::stretch::DURABILITY;
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, bare, quiet};

struct Options {
    payload: Vec<usize>,
    events: u64,
    runs: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { payload: vec![10, 100, 1_000, 10_000], events: 1_000, runs: 20 }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Journals replayed, from memory and from the disk.

Usage: replay [--payload BYTES,..] [--events N] [--runs N]

  --payload B,..  bytes of each step's input, and of its result (10,100,1000,10000)
  --events N      in a journal: two for each step (1,000)
  --runs N        so many such runs are read from the disk, one after the other (20)";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "payload" => self.payload = args::numbers(parser)?,
            "events" => self.events = args::number(parser)?,
            "runs" => self.runs = args::number(parser)?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut workplace = Workplace::new(&common.dir, "replay")?;
    let mut report = Report::new(common.output);
    for payload in &options.payload {
        let store = workplace.fresh_store()?;
        record(&store, &options, *payload).await?;
        report.print(&reload(&store, &options, *payload, workplace.dir()).await?);
        report.print(&replay(&store, *payload).await?);
    }
    Ok(())
}

async fn open(store: &Path) -> Outcome<Runtime> {
    Ok(long::register(Runtime::builder(store)).open().await?)
}

/// One run after the other, so that each one's journal lies together.
async fn record(store: &Path, options: &Options, payload: usize) -> Outcome<()> {
    let rt = open(store).await?;
    for number in 0..options.runs {
        long::record(&rt, format!("long-{number}"), options.events / 2, payload).await?;
    }
    Ok(rt.shutdown().await?)
}

/// Behind an open, a run is read and replayed when a signal comes. The same of a run without a step, which is in memory, is told beside.
async fn reload(store: &Path, options: &Options, payload: usize, dir: &Path) -> Outcome<Row> {
    let rt = open(store).await?;
    let (reloaded, in_memory) = (Histogram::new(), Histogram::new());
    let watch = Watch::begin()?;
    for number in 0..options.runs {
        let run = rt.run(long, &format!("long-{number}")).await?;
        answer(&run, number, &reloaded).await?;
        let run = rt.start(long(0, String::new())).id(format!("short-{number}")).await?;
        answer(&run, number, &in_memory).await?;
    }
    let slowed = watch.end();
    rt.shutdown().await?;
    let sync = bare::write(dir, &[512; 200])?.sync;
    let row = Row::of("replay").word("what", "from the disk").count("payload", payload as u64);
    let row = row.count("events", options.events).count("runs", options.runs);
    let row = row.real("reloaded_p50_us", reloaded.us(0.5), 0).real("in_memory_p50_us", in_memory.us(0.5), 0);
    let above = |part| reloaded.us(part) - in_memory.us(0.5);
    let row = row.real("reload_us", above(0.5), 0).real("reload_p25_us", above(0.25), 0);
    let row = row.real("fdatasync_us", sync.as_secs_f64() * 1e6, 0).word("durability", DURABILITY);
    Ok(row.real("processor_slowed", slowed, 2))
}

async fn answer(run: &Run<u64, Failure>, number: u64, times: &Histogram) -> Outcome<()> {
    let begin = Instant::now();
    long::answer(run, number).await?;
    times.record(begin.elapsed());
    Ok(())
}

async fn replay(store: &Path, payload: usize) -> Outcome<Row> {
    let journal = Runtime::open_read_only(store).await?.journal("", "long-0").await?;
    let replay = Replay::of((long,));
    let watch = Watch::begin()?;
    let (begin, mut times) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_secs(1) {
        replay.journal(&journal)?;
        times += 1;
    }
    let per_event = begin.elapsed().as_secs_f64() / f64::from(times) / journal.len() as f64;
    let slowed = watch.end();
    let row = Row::of("replay").word("what", "from memory").count("payload", payload as u64);
    let row = row.count("events", journal.len() as u64).real("events_per_second", 1.0 / per_event, 0);
    Ok(row.real("us_per_1000_events", per_event * 1e9, 0).real("processor_slowed", slowed, 2))
}
