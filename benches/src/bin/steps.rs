//! Durable steps per second, for so many runs at once, each a sequence of steps. A run's start and end are in the time.
//!
//! ```text
//! cargo run --release -p durable-benches --bin steps -- --runs 4096 --json
//! ```

use durable::Runtime;
use durable::runtime::Builder;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::load::{self, Kind, Load, STEPS};
use durable_benches::report::{Report, Row};
use durable_benches::stretch::Stretch;
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, quiet};

struct Options {
    runs: Vec<u32>,
    /// None is as many as give a second or so.
    steps: Option<u32>,
    payload: Vec<usize>,
    kinds: Vec<Kind>,
    /// None is as many as the runtime has by itself.
    drivers: Option<usize>,
    asleep: u64,
}

impl Default for Options {
    fn default() -> Self {
        let (runs, payload, kinds) = (vec![1, 16, 256, 4096], vec![100], vec![Kind::Activity]);
        Options { runs, steps: None, payload, kinds, drivers: None, asleep: 0 }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Durable steps per second, beside the bare log.

Usage: steps [--runs N,..] [--steps N] [--payload BYTES,..] [--kind step|activity|blocking|all] [--drivers N]
             [--asleep N]

  --runs N,..        so many runs at once, one row for each (1,16,256,4096)
  --steps N          each does so many steps, one after the other; unless it is said as many as make 200,000 of all runs,
                     but at least 20 and at most 2,000
  --payload B,..     with so many bytes of input, and as many of output (100)
  --kind K           a closure in the workflow, an activity, one that blocks its thread, or each of them (activity)
  --drivers N        so many threads poll the runs; unless it is said as many as there are processors, at most 4
  --asleep N         while so many other runs are open and wait for a timer (0)";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "runs" => self.runs = args::numbers(parser)?,
            "steps" => self.steps = Some(args::number(parser)?),
            "payload" => self.payload = args::numbers(parser)?,
            "kind" => self.kinds = kinds(&args::word(parser)?)?,
            "drivers" => self.drivers = Some(args::number(parser)?),
            "asleep" => self.asleep = args::number(parser)?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

fn kinds(word: &str) -> Result<Vec<Kind>, Error> {
    let kinds: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| word == "all" || word == kind.name()).collect();
    if kinds.is_empty() { Err(format!("there is no kind `{word}` of step").into()) } else { Ok(kinds) }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut workplace = Workplace::new(&common.dir, "steps")?;
    let mut report = Report::new(common.output);
    for kind in &options.kinds {
        for payload in &options.payload {
            for runs in &options.runs {
                let steps = options.steps.unwrap_or((200_000 / runs).clamp(20, 2_000));
                let load = Load::new(*kind, steps, *payload);
                report.print(&measure(*runs, &load, &options, &mut workplace).await?);
            }
        }
    }
    Ok(())
}

async fn measure(runs: u32, load: &Load, options: &Options, workplace: &mut Workplace) -> Outcome<Row> {
    let store = workplace.fresh_store()?;
    let builder = load::register(Runtime::builder(&store));
    let rt = options.drivers.into_iter().fold(builder, Builder::drivers).open().await?;
    load::start_sleepers(&rt, options.asleep).await?;
    load::clear();
    let stretch = Stretch::begin(&store)?;
    load.run_many(&rt, "run", runs as usize).await?;
    let ended = stretch.end(&store)?;
    rt.shutdown().await?;
    let measured = ended.beside_bare_log(workplace.dir())?;
    let done = u64::from(runs) * u64::from(load.steps);
    let row = Row::of("steps").word("kind", load.kind.name()).count("runs", u64::from(runs));
    let row = row.count("steps", u64::from(load.steps)).count("payload", load.payload.len() as u64);
    let row = row.count("asleep", options.asleep);
    let row = row.real("steps_per_second", measured.per_second(done), 0);
    let row = row.real("cpu_us_per_step", measured.cpu_us(done), 2);
    let row = row.real("bytes_per_step", measured.bytes_per(done), 1);
    let row = row.real("p50_us", STEPS.us(0.5), 0).real("p99_us", STEPS.us(0.99), 0);
    Ok(measured.add_to(row))
}
