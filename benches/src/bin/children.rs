//! Children: runs that await so many child runs, some at once, each of which does three activities, as the example `backup` copies files.
//!
//! ```text
//! cargo run --release -p durable-benches --bin children -- --parents 1 --at-once 64 --json
//! ```

use durable::Runtime;
use durable::prelude::*;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::histogram::{Histogram, timed};
use durable_benches::report::{Report, Row};
use durable_benches::stretch::Stretch;
use durable_benches::workplace::Workplace;
use durable_benches::{Outcome, quiet};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};

/// How long each child took.
static CHILDREN: Histogram = Histogram::new();

#[activity]
async fn part(payload: String) -> Result<String, String> {
    Ok(payload)
}

#[workflow]
async fn child(payload: String) -> Result<String, CallError<durable::Failure>> {
    let read = part(payload).await?;
    let written = part(read).await?;
    part(written).await
}

#[workflow]
async fn parent(children: u64, at_once: u64, payload: String) -> durable::Result<u64> {
    let calls = (0..children).map(|number| timed(child(payload.clone()).id(format!("part-{number}")), &CHILDREN));
    stream::iter(calls).buffer_unordered(at_once as usize).try_for_each(async |_| Ok(())).await?;
    Ok(children)
}

struct Options {
    parents: Vec<u64>,
    at_once: Vec<u64>,
    children: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Options { parents: vec![1, 64], at_once: vec![1, 64], children: None }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Children awaited, beside the bare log.

Usage: children [--parents N,..] [--at-once N,..] [--children N]

  --parents N,..  so many parents (1,64)
  --at-once N,..  each has so many children at once; one row for each pair (1,64)
  --children N    each has so many in all; unless it is said as many as give a second or so";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "parents" => self.parents = args::numbers(parser)?,
            "at-once" => self.at_once = args::numbers(parser)?,
            "children" => self.children = Some(args::number(parser)?),
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let (options, common) = args::read::<Options>();
    quiet::install();
    let mut workplace = Workplace::new(&common.dir, "children")?;
    let mut report = Report::new(common.output);
    for parents in options.parents {
        for at_once in &options.at_once {
            let each = (500 * at_once / parents).clamp(100, 10_000);
            let shape = Shape { parents, at_once: *at_once, each: options.children.unwrap_or(each) };
            report.print(&measure(shape, &mut workplace).await?);
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
struct Shape {
    parents: u64,
    at_once: u64,
    each: u64,
}

async fn measure(shape: Shape, workplace: &mut Workplace) -> Outcome<Row> {
    let Shape { parents, at_once, each } = shape;
    let store = workplace.fresh_store()?;
    let rt = Runtime::builder(&store).register((parent, child, part)).open().await?;
    CHILDREN.clear();
    let stretch = Stretch::begin(&store)?;
    try_join_all((0..parents).map(|number| run(&rt, shape, number))).await?;
    let ended = stretch.end(&store)?;
    rt.shutdown().await?;
    let measured = ended.beside_bare_log(workplace.dir())?;
    let children = parents * each;
    let row = Row::of("children").count("parents", parents).count("at_once", at_once).count("children", children);
    let row = row.real("children_per_second", measured.per_second(children), 0);
    let row = row.real("cpu_us_per_child", measured.cpu_us(children), 2);
    let row = row.real("bytes_per_child", measured.bytes_per(children), 1);
    Ok(measured.add_to(row.real("p50_us", CHILDREN.us(0.5), 0).real("p99_us", CHILDREN.us(0.99), 0)))
}

async fn run(rt: &Runtime, shape: Shape, number: u64) -> Outcome<()> {
    let call = parent(shape.each, shape.at_once, "x".repeat(100));
    let run = rt.start(call).id(format!("parent-{number}")).await?;
    let done = run.result().await.map_err(|error| error.to_string())?;
    if done == shape.each { Ok(()) } else { Err(format!("{done} children of {}", shape.each).into()) }
}
