//! A run that does its steps and then waits for a signal: its journal is as long as one wants, and a reload of it is seen from outside.

use durable::prelude::{Signal, activity, workflow};
use durable::{Builder, Run, Runtime};
use tokio::sync::Notify;

use crate::Outcome;

/// What a run waits for behind its steps, and gives back.
pub const GO: Signal<u64> = Signal::new("go");

/// A run has done all its steps. It is told to the benchmark, and to no workflow.
static ARRIVED: Notify = Notify::const_new();

#[activity]
async fn echo(payload: String) -> Result<String, String> {
    Ok(payload)
}

/// So many steps, with this input and result, and a signal.
#[workflow]
pub async fn long(steps: u64, payload: String) -> durable::Result<u64> {
    for _ in 0..steps {
        echo(payload.clone()).await?;
    }
    arrived();
    Ok(GO.recv().await)
}

/// A replay comes here as well: only who waits already is told, so that none is counted for a later run.
fn arrived() {
    ARRIVED.notify_waiters();
}

/// Registers what such a run needs.
pub fn register(builder: Builder) -> Builder {
    builder.register((long, echo))
}

/// Starts a run and waits until it has done its steps: of several, one after the other, each one's journal lies together.
///
/// # Errors
/// When it cannot be started.
pub async fn record(rt: &Runtime, id: String, steps: u64, payload: usize) -> Outcome<()> {
    let arrived = ARRIVED.notified();
    drop(rt.start(long(steps, "x".repeat(payload))).id(id).await?);
    arrived.await;
    Ok(())
}

/// Sends a run its signal, and waits until it has ended with it.
///
/// # Errors
/// When it ended otherwise.
pub async fn answer(run: &Run<u64, durable::Failure>, number: u64) -> Outcome<()> {
    run.signal(GO, number).await?;
    let answered = run.result().await.map_err(|error| error.to_string())?;
    if answered == number { Ok(()) } else { Err(format!("{answered} was answered to {number}").into()) }
}
