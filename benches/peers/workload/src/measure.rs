//! The loop that every peer goes through: rounds of as many workflows as shall be under way at once, each round waited for to its end.

use std::error::Error;
use std::future::Future;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::usage;
use crate::{Case, Line, Measured, Work};

pub type Fault = Box<dyn Error + Send + Sync>;

/// Something that runs workflows.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Starts the workflow of this name and returns what it returned, once its end is as durable as the peer makes it.
    fn run(&self, work: Work, id: String) -> impl Future<Output = Result<u32, Fault>> + Send;
}

/// Who is measured.
#[derive(Debug, Clone)]
pub struct About {
    pub peer: &'static str,
    pub version: String,
    /// What survives what, in a few words, as it is set up here.
    pub durability: String,
}

/// How many times the body of a step ran in this process.
static STEPS_RUN: AtomicU64 = AtomicU64::new(0);

/// The body of every step: counts that it ran, and returns its number.
pub fn count(step: u32) -> u32 {
    STEPS_RUN.fetch_add(1, Ordering::Relaxed);
    step
}

/// Measures a case and prints its line. Returns how many workflows ran in all, those of the warm-up with them.
///
/// # Errors
/// When a workflow fails, returns something else than it should, or was shorter than its timer.
pub async fn measure(case: &Case, about: &About, peer: impl Peer) -> Result<u64, Fault> {
    let warm = case.at_once.min(50);
    round(&peer, case.work, "warm", warm).await?;
    let (begin, cpu) = (Instant::now(), usage::cpu(&case.servers));
    let mut latencies = Vec::new();
    while begin.elapsed() < case.time {
        let name = format!("run-{}", latencies.len());
        latencies.extend(round(&peer, case.work, &name, case.at_once).await?);
    }
    let (elapsed, cpu) = (begin.elapsed(), usage::cpu(&case.servers).saturating_sub(cpu));
    latencies.sort_unstable();
    let workflows = latencies.len() as u64;
    let repeated = repeated(case.work, workflows + warm as u64)?;
    let measured = Measured::new(case.work, workflows, elapsed, Some(cpu), &latencies, repeated);
    print(&Line::measured(case, about, measured))?;
    Ok(workflows + warm as u64)
}

/// Prints a line for the table.
///
/// # Errors
/// When standard output is closed.
pub fn print(line: &Line) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, line)?;
    writeln!(out)?;
    Ok(())
}

async fn round(peer: &impl Peer, work: Work, name: &str, at_once: usize) -> Result<Vec<Duration>, Fault> {
    let mut runs = JoinSet::new();
    for run in 0..at_once {
        runs.spawn(one(peer.clone(), work, format!("{name}-{run}")));
    }
    let mut latencies = Vec::with_capacity(at_once);
    while let Some(latency) = runs.join_next().await {
        latencies.push(latency??);
    }
    Ok(latencies)
}

async fn one(peer: impl Peer, work: Work, id: String) -> Result<Duration, Fault> {
    let begin = Instant::now();
    let result = peer.run(work, id).await?;
    let latency = begin.elapsed();
    if result != work.result() {
        return Err(format!("a workflow returned {result} instead of {}", work.result()).into());
    }
    if work == Work::Timer && latency < Work::NAP {
        return Err(format!("a timer of {:?} fired after {latency:?}", Work::NAP).into());
    }
    Ok(latency)
}

/// How many step bodies ran more often than once.
fn repeated(work: Work, workflows: u64) -> Result<u64, Fault> {
    let (ran, needed) = (STEPS_RUN.load(Ordering::Relaxed), workflows * u64::from(work.steps()));
    ran.checked_sub(needed).ok_or_else(|| format!("{ran} steps ran where {needed} were needed").into())
}
