//! durable with its default durability, and the bare log: the same bytes in the same batches, written and synced by nothing but a loop.

use std::path::Path;

use durable::Runtime;
use durable::prelude::*;
use durable_benches::bare;
use peers_workload::{About, Case, Fault, Line, Measured, Peer, Work, count, locked, measure, print};

#[activity]
async fn number(step: u32) -> Result<u32, String> {
    Ok(count(step))
}

#[workflow]
async fn steps() -> durable::Result<u32> {
    let mut sum = 0;
    for step in 0..Work::STEPS {
        sum += number(step).await?;
    }
    Ok(sum)
}

#[workflow]
async fn timer() -> durable::Result<u32> {
    durable::sleep(Work::NAP).await;
    Ok(0)
}

#[derive(Clone)]
struct Durable(Runtime);

impl Peer for Durable {
    async fn run(&self, work: Work, id: String) -> Result<u32, Fault> {
        let run = match work {
            Work::Steps => self.0.start(steps()).id(id).await?,
            Work::Timer => self.0.start(timer()).id(id).await?,
        };
        Ok(run.result().await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let case = Case::from_args();
    let store = case.dir.join("store");
    let runtime = Runtime::builder(&store).register((steps, timer, number)).open().await?;
    let workflows =
        measure(&case, &about("durable", "its own log, each step synced (its default)"), Durable(runtime.clone()))
            .await?;
    runtime.shutdown().await?;
    bare_log(&case, &store, workflows)
}

fn about(peer: &'static str, durability: &str) -> About {
    let version = locked(include_str!("../Cargo.lock"), "durable");
    About { peer, version, durability: durability.to_owned() }
}

/// A timer's wait is no writing, so only the steps have a bare log beside them.
fn bare_log(case: &Case, store: &Path, workflows: u64) -> Result<(), Fault> {
    if case.work == Work::Timer {
        return Ok(());
    }
    let bare = bare::write(&case.dir, &bare::frames(store, &bare::Mark::default())?.lengths)?;
    let about = about("bare log", "the bytes and batches of the next row, pwrite and fdatasync");
    print(&Line::measured(case, &about, Measured::new(case.work, workflows, bare.total, None, &[], 0)))
}
