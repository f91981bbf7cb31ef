//! Timers: so many armed, all due at once: how many fire a second; then so many a second, evenly: how late each is. Each is the sleep of a run
//! of its own, which ends when it wakes.
//!
//! ```text
//! cargo run --release -p durable-benches --bin timers -- --timers 100000 --json
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use durable::Runtime;
use durable::prelude::workflow;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::histogram::Histogram;
use durable_benches::report::{Report, Row};
use durable_benches::stretch::Stretch;
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, quiet, slowed};
use futures::{StreamExt, TryStreamExt, stream};

/// How many starts are under way at once.
const AT_ONCE: usize = 1_000;

/// How late each timer fired.
static LATE: Histogram = Histogram::new();

/// How many fired.
static FIRED: AtomicU64 = AtomicU64::new(0);

/// When a run wakes, in microseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Due(u64);

impl Due {
    fn after(span: Duration) -> Due {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Due((since + span).as_micros() as u64)
    }

    fn at(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.0)
    }

    /// Counts how late it is: that is told outside, and to no workflow.
    fn fired(self) {
        LATE.record(SystemTime::now().duration_since(self.at()).unwrap_or_default());
        FIRED.fetch_add(1, Ordering::Relaxed);
    }
}

#[workflow]
async fn wake(due_us: u64) -> durable::Result<u64> {
    let due = Due(due_us);
    durable::sleep_until(due.at()).await;
    due.fired();
    Ok(due_us)
}

struct Options {
    timers: u64,
    per_second: Option<u64>,
    seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options { timers: 1_000_000, per_second: None, seconds: 5 }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Timers armed and fired, beside the bare log.

Usage: timers [--timers N] [--per-second N] [--seconds N]

  --timers N      so many are armed, and due at once (1,000,000)
  --per-second N  and then so many a second, evenly; a quarter of what fired a second before unless it is said
  --seconds N     for so long (5)";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "timers" => self.timers = args::number(parser)?,
            "per-second" => self.per_second = Some(args::number(parser)?),
            "seconds" => self.seconds = args::number(parser)?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut workplace = Workplace::new(&common.dir, "timers")?;
    let mut report = Report::new(common.output);
    // Not in the first stretch: its timers are due at a time by which they must be armed.
    slowed::calibrate();
    let (armed, fired, per_second) = at_once(options.timers, &mut workplace).await?;
    report.print(&armed);
    report.print(&fired);
    let per_second = options.per_second.unwrap_or((per_second / 4.0) as u64).max(1);
    report.print(&evenly(per_second, options.seconds, &mut workplace).await?);
    Ok(())
}

async fn open(workplace: &mut Workplace) -> Outcome<(Runtime, std::path::PathBuf)> {
    LATE.clear();
    FIRED.store(0, Ordering::Relaxed);
    let store = workplace.fresh_store()?;
    Ok((Runtime::builder(&store).register((wake,)).open().await?, store))
}

async fn arm(rt: &Runtime, name: &str, dues: impl Iterator<Item = Due>) -> Outcome<()> {
    let starts =
        dues.enumerate().map(|(number, due)| rt.start(wake(due.0)).id(format!("{name}-{number}")).into_future());
    Ok(stream::iter(starts).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?)
}

/// Waits until so many have fired and the ends of their runs are on disk.
async fn all_fired(rt: &Runtime, timers: u64) -> Outcome<()> {
    while FIRED.load(Ordering::Relaxed) < timers {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Seldom: the list of all that have not ended takes time by itself.
    while !rt.runs().await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Two rows, and how many fired a second.
async fn at_once(timers: u64, workplace: &mut Workplace) -> Outcome<(Row, Row, f64)> {
    let (rt, store) = open(workplace).await?;
    let sample = timers.div_ceil(50);
    let begin = Instant::now();
    arm(&rt, "sample", (0..sample).map(|_| Due(0))).await?;
    all_fired(&rt, sample).await?;
    // Three times as long as the sample says: the more runs have ended, the more starts look for their id in the log.
    let due = Due::after(begin.elapsed().mul_f64(150.0) + Duration::from_secs(2));
    LATE.clear();

    let stretch = Stretch::begin(&store)?;
    arm(&rt, "timer", (0..timers).map(|_| due)).await?;
    let arming = stretch.end(&store)?;
    let left = due.at().duration_since(SystemTime::now());
    let left = left.map_err(|_| "the first timers were due before the last one was armed; the machine is too busy")?;
    tokio::time::sleep(left).await;
    let stretch = Stretch::begin(&store)?;
    all_fired(&rt, sample + timers).await?;
    let firing = stretch.end(&store)?;
    rt.shutdown().await?;

    let (arming, firing) = (arming.beside_bare_log(workplace.dir())?, firing.beside_bare_log(workplace.dir())?);
    let row = |what: &str| Row::of("timers").word("what", what).count("timers", timers);
    let armed = row("armed").real("per_second", arming.per_second(timers), 0);
    let fired = row("fired").real("per_second", firing.per_second(timers), 0);
    Ok((arming.add_to(armed), firing.add_to(late(fired)), firing.per_second(timers)))
}

async fn evenly(per_second: u64, seconds: u64, workplace: &mut Workplace) -> Outcome<Row> {
    let (rt, store) = open(workplace).await?;
    let timers = per_second * seconds;
    // Half as fast as they fire, and some time before the first.
    let first = Due::after(Duration::from_secs(2 + seconds));
    let dues = (0..timers).map(|number| Due(first.0 + number * 1_000_000 / per_second));
    arm(&rt, "timer", dues).await?;
    tokio::time::sleep(first.at().duration_since(SystemTime::now()).unwrap_or_default()).await;
    let stretch = Stretch::begin(&store)?;
    all_fired(&rt, timers).await?;
    let ended = stretch.end(&store)?;
    rt.shutdown().await?;
    let measured = ended.beside_bare_log(workplace.dir())?;
    let row = Row::of("timers").word("what", "evenly").count("timers", timers);
    Ok(measured.add_to(late(row.real("per_second", measured.per_second(timers), 0))))
}

fn late(row: Row) -> Row {
    row.real("late_p50_us", LATE.us(0.5), 0).real("late_p99_us", LATE.us(0.99), 0)
}
