//! The line of JSON that a measurement leaves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{About, Case, Work};

/// One row of the table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    pub peer: String,
    pub variant: String,
    pub version: String,
    pub durability: String,
    pub work: Work,
    pub at_once: usize,
    #[serde(flatten)]
    pub outcome: Outcome,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    Measured(Measured),
    Failed(Failed),
}

/// What came out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Measured {
    pub workflows: u64,
    pub seconds: f64,
    pub workflows_per_second: f64,
    /// None where a workflow has no step.
    pub steps_per_second: Option<f64>,
    /// Of the process and of the peer's servers. None where it was not counted.
    pub cpu_us_per_workflow: Option<f64>,
    pub cpu_us_per_step: Option<f64>,
    /// From the call that starts a workflow to its result.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// Step bodies that ran a second time. No peer was killed, so there should be none.
    pub steps_repeated: u64,
}

/// Why nothing came out, in the program's own words.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failed {
    pub failed: String,
}

impl Line {
    /// A row with figures.
    #[must_use]
    pub fn measured(case: &Case, about: &About, measured: Measured) -> Self {
        Line {
            peer: about.peer.to_owned(),
            variant: case.variant.clone(),
            version: [Some(about.version.clone()), case.with.clone()]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" + "),
            durability: about.durability.clone(),
            work: case.work,
            at_once: case.at_once,
            outcome: Outcome::Measured(measured),
        }
    }
}

impl Measured {
    /// From counts and times; `latencies` are sorted.
    #[must_use]
    pub fn new(
        work: Work,
        workflows: u64,
        elapsed: Duration,
        cpu: Option<Duration>,
        latencies: &[Duration],
        steps_repeated: u64,
    ) -> Self {
        let per_second = workflows as f64 / elapsed.as_secs_f64();
        let steps = (work == Work::Steps).then_some(f64::from(work.steps()));
        let cpu_us_per_workflow = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / workflows as f64);
        Measured {
            workflows,
            seconds: elapsed.as_secs_f64(),
            workflows_per_second: per_second,
            steps_per_second: steps.map(|steps| per_second * steps),
            cpu_us_per_workflow,
            cpu_us_per_step: steps.and_then(|steps| Some(cpu_us_per_workflow? / steps)),
            p50_ms: quantile(latencies, 0.5),
            p99_ms: quantile(latencies, 0.99),
            steps_repeated,
        }
    }
}

fn quantile(sorted: &[Duration], part: f64) -> Option<f64> {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at).map(|latency| latency.as_secs_f64() * 1e3)
}

/// The version of a crate in a lock file, as it was when the program was built.
///
/// # Panics
/// When the lock file does not name the crate.
#[must_use]
pub fn locked(lock: &str, name: &str) -> String {
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\"")).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = ")).expect("the lock file names the crate");
    version.trim_matches('"').to_owned()
}
