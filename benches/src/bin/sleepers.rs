//! The memory of runs that sleep: in memory, and put away; and how long a store with all of them takes to open.
//!
//! ```text
//! cargo run --release -p durable-benches --bin sleepers -- [--runs 100000] [--only hot|away] [--dir DIR]
//! ```

use std::path::{Path, PathBuf};
use std::time::Instant;

use durable::Runtime;
use durable::prelude::*;
use durable_benches::usage;

/// How many starts are under way at once.
const WAVE: usize = 1000;

#[workflow]
async fn nap(seconds: u64) -> Result<u64, String> {
    durable::sleep(Duration::from_secs(seconds)).await;
    Ok(seconds)
}

#[derive(Clone, Copy)]
enum Residence {
    InMemory,
    PutAway,
}

async fn open(store: &Path, residence: Residence) -> Result<Runtime, durable::OpenError> {
    let builder = Runtime::builder(store).register((nap,));
    match residence {
        Residence::InMemory => builder.open().await,
        Residence::PutAway => builder.put_away_at_every_await().open().await,
    }
}

async fn measure(runs: usize, dir: &Path, residence: Residence) -> Result<(), Box<dyn std::error::Error>> {
    let store = dir.join("store");
    let rt = open(&store, residence).await?;
    let before = usage::resident();
    let begin = Instant::now();
    // In waves: what a start needs while it is under way is no run's, and an allocator keeps the room that it once took.
    for wave in 0..runs.div_ceil(WAVE) {
        let starts = (wave * WAVE..runs.min((wave + 1) * WAVE))
            .map(|run| rt.start(nap(86_400)).id(format!("sleeper-{run}")).into_future());
        for started in futures::future::join_all(starts).await {
            drop(started?);
        }
    }
    let (elapsed, after) = (begin.elapsed(), usage::resident());
    let name = match residence {
        Residence::InMemory => "in memory",
        Residence::PutAway => "put away ",
    };
    println!(
        "{runs} sleeping runs, {name}: {} B a run, started at {:.0} a second",
        after.saturating_sub(before) / runs as u64,
        runs as f64 / elapsed.as_secs_f64()
    );
    let begin = Instant::now();
    rt.shutdown().await?;
    drop(rt);
    println!("  closed in {:.2} s", begin.elapsed().as_secs_f64());
    let begin = Instant::now();
    let rt = open(&store, residence).await?;
    println!("  opened in {:.2} s, {} runs open", begin.elapsed().as_secs_f64(), rt.runs().await?.len());
    drop(rt);
    std::fs::remove_dir_all(store)?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut runs = 100_000;
    let mut dir = std::env::temp_dir();
    // One of them a process: an allocator keeps the room that the other one took.
    let mut residences = vec![Residence::InMemory, Residence::PutAway];
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} takes a value"));
        match word.as_str() {
            "--runs" => runs = value().parse()?,
            "--dir" => dir = PathBuf::from(value()),
            "--only" => {
                residences = match value().as_str() {
                    "hot" => vec![Residence::InMemory],
                    "away" => vec![Residence::PutAway],
                    other => panic!("--only takes hot or away, not {other}"),
                }
            }
            other => panic!("unknown option {other}: --runs N --only hot|away --dir DIR"),
        }
    }
    let dir = dir.join(format!("durable-sleepers-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    for residence in residences {
        measure(runs, &dir, residence).await?;
    }
    std::fs::remove_dir_all(dir)?;
    Ok(())
}
