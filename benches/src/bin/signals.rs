//! Signals: the round trip (a signal is sent, the run receives it and answers by an activity), and how many a second reach one run from many
//! senders.
//!
//! ```text
//! cargo run --release -p durable-benches --bin signals -- --senders 1,256 --json
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
use futures::future::try_join_all;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const PING: Signal<u32> = Signal::new("ping");

/// From the call of `signal` until it is acknowledged.
static SENT: Histogram = Histogram::new();
/// From there until the answer is here.
static ANSWERED: Histogram = Histogram::new();

#[activity]
async fn pong(State(back): State<UnboundedSender<u32>>, number: u32) -> Result<u32, String> {
    back.send(number).map_err(|_| "nobody listens".to_owned())?;
    Ok(number)
}

#[workflow]
async fn answer(pings: u32) -> durable::Result<u32> {
    for _ in 0..pings {
        pong(PING.recv().await).await?;
    }
    Ok(pings)
}

#[workflow]
async fn gather(pings: u32) -> durable::Result<u64> {
    let mut sum = 0;
    for _ in 0..pings {
        sum += u64::from(PING.recv().await);
    }
    Ok(sum)
}

struct Options {
    pings: u32,
    senders: Vec<u32>,
    signals: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options { pings: 3_000, senders: vec![1, 16, 256, 1024], signals: 50_000 }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Signals there and back, and from many to one, beside the bare log.

Usage: signals [--pings N] [--senders N,..] [--signals N]

  --pings N       round trips, one after the other (3,000)
  --senders N,..  so many send to one run at once, one row for each (1,16,256,1024)
  --signals N     so many in all, but at most 3,000 of each sender (50,000)";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "pings" => self.pings = args::number(parser)?,
            "senders" => self.senders = args::numbers(parser)?,
            "signals" => self.signals = args::number(parser)?,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut workplace = Workplace::new(&common.dir, "signals")?;
    let mut report = Report::new(common.output);
    report.print(&round_trips(options.pings, &mut workplace).await?);
    for senders in options.senders {
        let each = (options.signals / senders).clamp(1, 3_000);
        report.print(&fan_in(senders, each, &mut workplace).await?);
    }
    Ok(())
}

async fn round_trips(pings: u32, workplace: &mut Workplace) -> Outcome<Row> {
    let store = workplace.fresh_store()?;
    let (back, mut pongs) = unbounded_channel();
    let rt = Runtime::builder(&store).register((answer, pong)).state(back).open().await?;
    let run = rt.start(answer(pings)).id("answers").await?;
    let stretch = Stretch::begin(&store)?;
    for ping in 0..pings {
        let begin = Instant::now();
        run.signal(PING, ping).await?;
        SENT.record(begin.elapsed());
        let answer = pongs.recv().await;
        ANSWERED.record(begin.elapsed());
        if answer != Some(ping) {
            return Err(format!("{answer:?} came back of {ping}").into());
        }
    }
    run.result().await.map_err(|error| error.to_string())?;
    let ended = stretch.end(&store)?;
    rt.shutdown().await?;
    let measured = ended.beside_bare_log(workplace.dir())?;
    let row = Row::of("signals").word("what", "round trips").count("signals", u64::from(pings));
    let row = row.real("per_second", measured.per_second(u64::from(pings)), 0);
    let row = row.real("sent_p50_us", SENT.us(0.5), 0).real("sent_p99_us", SENT.us(0.99), 0);
    let row = row.real("answered_p50_us", ANSWERED.us(0.5), 0).real("answered_p99_us", ANSWERED.us(0.99), 0);
    Ok(measured.add_to(row))
}

async fn fan_in(senders: u32, each: u32, workplace: &mut Workplace) -> Outcome<Row> {
    let store = workplace.fresh_store()?;
    let rt = Runtime::builder(&store).register((gather,)).open().await?;
    let run = rt.start(gather(senders * each)).id("gathers").await?;
    SENT.clear();
    let stretch = Stretch::begin(&store)?;
    let send = async || {
        for _ in 0..each {
            let begin = Instant::now();
            run.signal(PING, 1).await?;
            SENT.record(begin.elapsed());
        }
        Ok::<_, durable::SignalError>(())
    };
    try_join_all((0..senders).map(|_| send())).await?;
    let sum = run.result().await.map_err(|error| error.to_string())?;
    let ended = stretch.end(&store)?;
    let signals = u64::from(senders * each);
    if sum != signals {
        return Err(format!("{sum} signals of {signals} were received").into());
    }
    rt.shutdown().await?;
    let measured = ended.beside_bare_log(workplace.dir())?;
    let row = Row::of("signals").word("what", "fan-in").count("senders", u64::from(senders)).count("signals", signals);
    let row = row.real("per_second", measured.per_second(signals), 0);
    let row = row.real("cpu_us_per_signal", measured.cpu_us(signals), 2);
    let row = row.real("bytes_per_signal", measured.bytes_per(signals), 1);
    Ok(measured.add_to(row.real("sent_p50_us", SENT.us(0.5), 0).real("sent_p99_us", SENT.us(0.99), 0)))
}
