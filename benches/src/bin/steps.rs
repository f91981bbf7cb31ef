//! Durable steps per second: runs at once, each a sequence of activities, beside the bare log.
//!
//! ```text
//! cargo run --release -p durable-benches --bin steps -- --runs 256 [--steps 10] [--payload 100] [--dir DIR] [--json]
//! ```

use std::path::PathBuf;
use std::time::{Duration, Instant};

use durable::Runtime;
use durable::prelude::*;
use durable_benches::{bare, usage};

#[activity]
async fn echo(step: u32, payload: String) -> Result<String, String> {
    let _ = step;
    Ok(payload)
}

#[workflow]
async fn steps(count: u32, payload: String) -> Result<u32, String> {
    for step in 0..count {
        echo(step, payload.clone()).await.map_err(|error| error.to_string())?;
    }
    Ok(count)
}

struct Options {
    runs: usize,
    steps: u32,
    payload: usize,
    dir: PathBuf,
    json: Json,
}

#[derive(PartialEq)]
enum Json {
    Yes,
    No,
}

fn options() -> Options {
    let mut options = Options { runs: 256, steps: 10, payload: 100, dir: std::env::temp_dir(), json: Json::No };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} takes a value"));
        match word.as_str() {
            "--runs" => options.runs = value().parse().expect("a number of runs"),
            "--steps" => options.steps = value().parse().expect("a number of steps"),
            "--payload" => options.payload = value().parse().expect("a number of bytes"),
            "--dir" => options.dir = value().into(),
            "--json" => options.json = Json::Yes,
            other => panic!("unknown option {other}: --runs N --steps N --payload BYTES --dir DIR --json"),
        }
    }
    options
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = options();
    let dir = options.dir.join(format!("durable-steps-{}", std::process::id()));
    let store = dir.join("store");
    std::fs::create_dir_all(&dir)?;
    let rt = Runtime::builder(&store).register((steps, echo)).open().await?;
    let (begin, cpu) = (Instant::now(), usage::cpu());
    let payload = "x".repeat(options.payload);
    let mut runs = Vec::with_capacity(options.runs);
    let starts = (0..options.runs)
        .map(|run| rt.start(steps(options.steps, payload.clone())).id(format!("run-{run}")).into_future());
    for started in futures::future::join_all(starts).await {
        runs.push(started?);
    }
    let started = begin.elapsed();
    for run in &runs {
        run.result().await.map_err(|error| error.to_string())?;
    }
    let (elapsed, cpu) = (begin.elapsed(), usage::cpu().saturating_sub(cpu));
    drop(runs);
    drop(rt);
    report(&options, &dir, &store, elapsed, started, cpu)?;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

fn report(
    options: &Options,
    dir: &std::path::Path,
    store: &std::path::Path,
    elapsed: Duration,
    started: Duration,
    cpu: Duration,
) -> std::io::Result<()> {
    let frames = bare::frames(store)?;
    let bytes: usize = frames.iter().sum();
    let bare = bare::write(dir, &frames)?;
    let steps = options.runs as f64 * f64::from(options.steps);
    let per_second = steps / elapsed.as_secs_f64();
    let cpu_us = cpu.as_secs_f64() * 1e6 / steps;
    let bytes_per_step = bytes as f64 / steps;
    let ratio = elapsed.as_secs_f64() / bare.total.as_secs_f64();
    let sync_us = bare.sync.as_secs_f64() * 1e6;
    if options.json == Json::Yes {
        println!(
            "{{\"runs\":{},\"steps\":{},\"steps_per_second\":{per_second:.0},\"ratio_to_bare_log\":{ratio:.3},\
             \"cpu_us_per_step\":{cpu_us:.2},\"bytes_per_step\":{bytes_per_step:.1},\"fdatasync_us\":{sync_us:.0}}}",
            options.runs, options.steps
        );
        return Ok(());
    }
    println!(
        "{:>6} runs x {} steps, {} B   {per_second:>9.0} steps/s   started in {:.0} ms   {:.2} x the bare log ({} frames, \
         {sync_us:.0} us a sync)   {cpu_us:.1} us CPU a step   {bytes_per_step:.0} B a step",
        options.runs,
        options.steps,
        options.payload,
        started.as_secs_f64() * 1e3,
        ratio,
        frames.len()
    );
    Ok(())
}
