//! How long a store with sleeping runs takes to open, and until a first step is done: after a kill, with its index deleted, and from the
//! checkpoint of a clean close. Each open is a process of its own.
//!
//! ```text
//! cargo run --release -p durable-benches --bin open -- --runs 100000 --json
//! ```

use std::path::Path;
use std::time::Instant;

use durable::Runtime;
use durable::prelude::{activity, workflow};
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::load::{self, nap};
use durable_benches::part::{self, Part};
use durable_benches::report::{Report, Row};
use durable_benches::slowed::Watch;
use durable_benches::stretch::{DURABILITY, Stretch};
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, bare, quiet, usage};

#[activity]
async fn echo(number: u64) -> Result<u64, String> {
    Ok(number)
}

#[workflow]
async fn one_step(number: u64) -> durable::Result<u64> {
    Ok(echo(number).await?)
}

struct Options {
    runs: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { runs: 1_000_000 }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Opening a store with sleeping runs, to the first step done.

Usage: open [--runs N]

  --runs N    so many sleep (1,000,000)";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "runs" => self.runs = args::number(parser)?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    if let Some((name, args)) = part::played() {
        quiet::install();
        let [store, runs] = args.try_into().map_err(|_| "a part takes a store and a number")?;
        return match name.as_str() {
            "fill" => fill(Path::new(&store), runs.parse()?).await,
            _ => open(Path::new(&store), runs.parse()?).await,
        };
    }
    let (options, common) = args::read::<Options>();
    let mut workplace = Workplace::new(&common.dir, "open")?;
    let mut report = Report::new(common.output);
    let store = workplace.fresh_store()?;
    let args = [store.clone().into_os_string(), options.runs.to_string().into()];

    let mut filling = Part::begin("fill", args.clone())?;
    let [per_second, ratio, slowed] = filling.numbers()?;
    let row = Row::of("open").word("what", "filled").count("runs", options.runs);
    let row = row.real("per_second", per_second, 0).real("ratio_to_bare_log", ratio, 3);
    report.print(&besides(row, slowed, workplace.dir())?);
    filling.kill()?;
    std::fs::remove_dir_all(store.join("index"))?;
    for how in ["killed, index deleted", "closed"] {
        let bytes: u64 = bare::frames(&store, &bare::Mark::default())?.lengths.iter().map(|len| *len as u64).sum();
        let mut opening = Part::begin("open", args.clone())?;
        let [opened, first_step, resident, slowed] = opening.numbers()?;
        let row =
            Row::of("open").word("what", how).count("runs", options.runs).real("log_mib", bytes as f64 / 1048576.0, 1);
        let row = row.real("open_s", opened, 3).real("first_step_s", first_step, 3);
        let row = row.real("bytes_per_run", resident / options.runs as f64, 0);
        report.print(&besides(row, slowed, workplace.dir())?);
        opening.finish()?;
    }
    Ok(())
}

/// Adds what a row says of the disk and of the processors.
fn besides(row: Row, slowed: f64, dir: &Path) -> Outcome<Row> {
    let sync = bare::write(dir, &[4096; 200])?.sync;
    let row = row.real("fdatasync_us", sync.as_secs_f64() * 1e6, 0).word("durability", DURABILITY);
    Ok(row.real("processor_slowed", slowed, 2))
}

async fn runtime(store: &Path) -> Outcome<Runtime> {
    Ok(Runtime::builder(store).register((nap, one_step, echo)).open().await?)
}

/// Part: fills a store, and waits for its kill.
async fn fill(store: &Path, runs: u64) -> Outcome<()> {
    let rt = runtime(store).await?;
    let stretch = Stretch::begin(store)?;
    load::start_sleepers(&rt, runs).await?;
    let ended = stretch.end(store)?;
    let dir = store.parent().ok_or("a store lies in a directory")?;
    let measured = ended.beside_bare_log(dir)?;
    part::tell_and_wait(&[measured.per_second(runs), measured.ratio(), measured.slowed])
}

/// Part: opens the store and does a step; closes it when told to.
async fn open(store: &Path, runs: u64) -> Outcome<()> {
    let watch = Watch::begin()?;
    let begin = Instant::now();
    let rt = runtime(store).await?;
    let opened = begin.elapsed();
    let run = rt.start(one_step(runs)).await?;
    run.result().await.map_err(|error| error.to_string())?;
    let first_step = begin.elapsed();
    let slowed = watch.end();
    let resident = usage::resident();
    let open = rt.runs().await?.len() as u64;
    if open != runs {
        return Err(format!("{open} runs are open, and not {runs}").into());
    }
    part::tell_and_wait(&[opened.as_secs_f64(), first_step.as_secs_f64(), resident as f64, slowed])?;
    Ok(rt.shutdown().await?)
}
