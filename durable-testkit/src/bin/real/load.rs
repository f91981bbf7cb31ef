//! The load: workflows whose calls write to the ledger what began, with which key, after what, and what it gave. Every attempt gives
//! a value of its own, so that two results of one call can be told apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use durable::CallError;
use durable::prelude::*;

use crate::check::INTERRUPTED;
use crate::ledger::{Begin, Ledger, Line};

/// What is sent to a run that receives.
pub(crate) const GO: Signal<String> = Signal::new("go");

/// The signal after which it receives no more.
pub(crate) const LAST: &str = "last";

/// So many branches has a run that spreads.
const WIDTH: u32 = 4;

/// What an activity has in its hands.
#[derive(Debug, Clone)]
pub(crate) struct Hands {
    pub(crate) ledger: Arc<Ledger>,
    count: Arc<AtomicU64>,
}

impl Hands {
    pub(crate) fn new(ledger: Arc<Ledger>) -> Hands {
        Hands { ledger, count: Arc::default() }
    }

    /// Something that was never said before.
    pub(crate) fn new_word(&self) -> String {
        format!("{}.{}", std::process::id(), self.count.fetch_add(1, Ordering::Relaxed))
    }

    fn begin(&self, once: bool, step: u32, seen: Vec<String>) -> Result<String, String> {
        let info = durable::activity::info();
        let (run, attempt) = (info.workflow_id.to_string(), info.attempt.0);
        let value = format!("{run}:{step}:{attempt}:{}", self.new_word());
        let begin = Begin { once, run, step, attempt, key: info.idempotency_key(), seen };
        self.ledger.append(&Line::Begin(begin)).map_err(|error| error.to_string())?;
        Ok(value)
    }

    fn give(&self, value: String) -> Result<String, String> {
        self.ledger.append(&Line::Gave(value.clone())).map_err(|error| error.to_string())?;
        Ok(value)
    }
}

/// A step. Every second one is a task of its own before it ends; the others end in their first poll.
#[activity]
pub(crate) async fn mark(
    State(hands): State<Hands>,
    step: u32,
    seen: Vec<String>,
    load: String,
) -> Result<String, String> {
    let value = hands.begin(false, step, seen)?;
    if step % 2 == 1 {
        tokio::task::yield_now().await;
    }
    drop(load);
    hands.give(value)
}

/// A step that may begin at most once.
#[activity(at_most_once)]
pub(crate) async fn mark_once(State(hands): State<Hands>, step: u32, seen: Vec<String>) -> Result<String, String> {
    let value = hands.begin(true, step, seen)?;
    tokio::task::yield_now().await;
    hands.give(value)
}

/// Steps one after the other, each of which is given the result of the one before.
#[workflow]
pub(crate) async fn chain(steps: u32, load: String) -> durable::Result<Vec<String>> {
    let mut values: Vec<String> = Vec::new();
    for step in 0..steps {
        let seen = values.last().cloned().into_iter().collect();
        values.push(mark(step, seen, load.clone()).await?);
    }
    Ok(values)
}

/// As [`chain`], but every second step may begin at most once.
#[workflow]
pub(crate) async fn careful(name: String, steps: u32) -> durable::Result<Vec<String>> {
    let mut values: Vec<String> = Vec::new();
    for step in 0..steps {
        let seen = values.last().cloned().into_iter().collect();
        let value = match step % 2 {
            0 => mark(step, seen, String::new()).await?,
            _ => match mark_once(step, seen).await {
                Err(CallError::Interrupted) => format!("{name}:{step}:{INTERRUPTED}"),
                value => value?,
            },
        };
        values.push(value);
    }
    Ok(values)
}

/// Steps side by side, a timer, a child, and a step that is given the results of all.
#[workflow]
pub(crate) async fn spread(name: String, load: String) -> durable::Result<Vec<String>> {
    let steps = (0..WIDTH).map(|step| mark(step, Vec::new(), load.clone()));
    let mut values = futures::future::try_join_all(steps).await?;
    durable::sleep(Duration::from_millis(2)).await;
    values.extend(chain(2, load.clone()).id(format!("{name}-child")).await?);
    values.push(mark(WIDTH, values.clone(), load).await?);
    Ok(values)
}

/// Receives signals and does a step for each, until the last one.
#[workflow]
pub(crate) async fn receive() -> durable::Result<Vec<String>> {
    let mut values = Vec::new();
    for step in 0.. {
        let signal = GO.recv().await;
        if signal == LAST {
            break;
        }
        values.push(signal.clone());
        values.push(mark(step, vec![signal], String::new()).await?);
    }
    Ok(values)
}
