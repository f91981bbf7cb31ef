//! The scenarios. A client does again in each process what it was not told to be done, and nothing of what it was: what was
//! acknowledged and is lost is missed.

use std::fmt::Debug;
use std::time::Duration;

use durable::prelude::*;
use durable::{Registry, Run, RunError, Runtime};

use super::{Client, Effects, Scenario, World};

const GO: Signal<u32> = Signal::new("go");

#[activity(start_to_close = "1m", retry = fixed("1s"))]
async fn act(State(world): State<World>, what: u32) -> Result<u32, String> {
    world.had(what.to_string());
    Ok(what)
}

/// Fails twice, wherever its attempts run.
#[activity(start_to_close = "1m", retry = fixed("1s"))]
async fn brittle(State(world): State<World>, what: u32) -> Result<u32, String> {
    if world.had(what.to_string()) < 3 { Err("busy".to_owned()) } else { Ok(what) }
}

#[activity(at_most_once, start_to_close = "1m")]
async fn letter(State(world): State<World>, what: u32) -> Result<u32, String> {
    // A second attempt is a second call's effect, and found as such.
    let before = world.had(format!("letter {what}"));
    if before > 1 { Err("sent twice".to_owned()) } else { Ok(what) }
}

#[activity(start_to_close = "1m", retry = fixed("1s"))]
async fn give_back(State(world): State<World>, what: u32) -> Result<(), String> {
    world.had(format!("{what} given back"));
    Ok(())
}

#[workflow]
async fn steps(count: u32) -> durable::Result<u32> {
    let mut sum = 0;
    for what in 0..count {
        sum += act(what).await?;
    }
    Ok(sum)
}

#[workflow]
async fn signals() -> durable::Result<u32> {
    let mut sum = act(0).await?;
    for _ in 0..2 {
        sum += act(GO.recv().await).await?;
    }
    Ok(sum)
}

#[workflow]
async fn timers() -> durable::Result<u32> {
    let mut sum = 0;
    for what in 0..3 {
        durable::sleep(Duration::from_secs(3600)).await;
        sum += act(what).await?;
    }
    Ok(sum)
}

#[workflow]
async fn parent() -> durable::Result<u32> {
    let one = steps(2).await?;
    let (two, three) = join!(act(10), steps_from(20));
    Ok(one + two? + three?)
}

#[workflow]
async fn steps_from(what: u32) -> durable::Result<u32> {
    Ok(act(what).await? + act(what + 1).await?)
}

#[workflow]
async fn travel() -> durable::Result<u32> {
    let sum = act(1).undo(|_| give_back(1)).await? + act(2).undo(|_| give_back(2)).await?;
    durable::sleep(Duration::from_secs(86_400)).await;
    Ok(sum)
}

#[workflow]
async fn retries() -> durable::Result<u32> {
    Ok(act(1).await? + brittle(2).await? + act(3).await?)
}

#[workflow]
async fn once() -> durable::Result<String> {
    let first = act(1).await?;
    let told = match letter(2).await {
        Ok(_) => "sent".to_owned(),
        Err(CallError::Interrupted) => "nobody knows".to_owned(),
        Err(other) => format!("{other}"),
    };
    act(first + 2).await?;
    Ok(told)
}

#[workflow]
async fn select() -> durable::Result<u32> {
    let sum = act(1).await?;
    let first = select! {
        answer = GO.recv() => answer,
        () = durable::sleep(Duration::from_secs(5)) => 100,
    };
    Ok(sum + act(first).await?)
}

fn told<T: Debug, E: Debug>(ended: &Result<T, RunError<E>>) -> Result<String, String> {
    match ended {
        Err(RunError::Store(reason)) => Err(format!("the store cannot answer: {reason}")),
        ended => Ok(format!("{ended:?}")),
    }
}

/// Starts the run, or finds it if its start was acknowledged.
macro_rules! begun {
    ($runtime:expr, $world:expr, $workflow:ident($($argument:expr)?)) => {
        if $world.is_acked("started") {
            let found = $runtime.run($workflow, "run").await;
            found.map_err(|error| format!("its start was acknowledged, and it is not there: {error}"))?
        } else {
            let started = $runtime.start($workflow($($argument)?)).id("run").await;
            let run = started.map_err(|error| format!("it does not start: {error}"))?;
            $world.ack("started");
            run
        }
    };
}

macro_rules! client {
    ($workflow:ident($($argument:expr)?)) => { client!($workflow($($argument)?), async |_, _| Ok(())) };
    ($workflow:ident($($argument:expr)?), $meanwhile:expr) => {
        |runtime: Runtime, world: World| {
            Box::pin(async move {
                let run = begun!(runtime, world, $workflow($($argument)?));
                meanwhile($meanwhile, &run, &world).await?;
                told(&run.result().await)
            })
        }
    };
}

async fn meanwhile<'a, T: 'a, E: 'a>(
    deed: impl AsyncFnOnce(&'a Run<T, E>, &'a World) -> Result<(), String>,
    run: &'a Run<T, E>,
    world: &'a World,
) -> Result<(), String> {
    deed(run, world).await
}

/// Sends a signal, unless that it is there was acknowledged.
async fn send<T, E>(run: &Run<T, E>, world: &World, value: u32) -> Result<(), String> {
    let ack = format!("signal {value}");
    if world.is_acked(&ack) {
        return Ok(());
    }
    match run.signal_once(GO, value, &ack).await {
        Ok(()) | Err(durable::SignalError::Closed) => world.ack(ack),
        Err(error) => return Err(format!("the signal is refused: {error}")),
    }
    Ok(())
}

async fn cancel<T, E>(run: &Run<T, E>, world: &World) -> Result<(), String> {
    if world.is_acked("cancelled") {
        return Ok(());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    match run.cancel("enough").await {
        Ok(()) | Err(durable::SignalError::Closed) => world.ack("cancelled"),
        Err(error) => return Err(format!("the cancel is refused: {error}")),
    }
    Ok(())
}

fn registry() -> Registry {
    let mut registry = Registry::of((steps, signals, timers, parent, steps_from, travel, retries, once, select));
    registry.register((act, brittle, letter, give_back));
    registry
}

fn scenario(name: &'static str, depth: u8, client: Client) -> Scenario {
    Scenario { name, depth, share: 2, registry, client, effects: Effects::InOrder, may_end: &[] }
}

/// Ten steps, one after the other, with two crashes: what speed is told by.
#[must_use]
pub fn ten_steps() -> Scenario {
    Scenario { share: 4, ..scenario("ten steps", 2, client!(steps(10))) }
}

/// All scenarios: those of ten steps, an effect at most once, a choice between what comes first, children, signals, an undo behind a
/// cancel, retries, timers, and, as it takes longest by far, five steps with three crashes.
#[must_use]
pub fn catalogue() -> Vec<Scenario> {
    let signals: Client = client!(signals(), async |run, world| {
        send(run, world, 1).await?;
        send(run, world, 2).await
    });
    let once = scenario("at most once", 2, client!(once()));
    let parent = scenario("children", 2, client!(parent()));
    vec![
        Scenario { may_end: &["Ok(\"nobody knows\")"], ..once },
        scenario("select", 2, client!(select(), async |run, world| send(run, world, 7).await)),
        Scenario { effects: Effects::Unordered, ..parent },
        scenario("signals", 2, signals),
        scenario("undo behind a cancel", 2, client!(travel(), cancel)),
        scenario("retries", 2, client!(retries())),
        scenario("timers", 2, client!(timers())),
        // The largest of two crashes, and then the one of three: what the others leave of their time goes to them.
        ten_steps(),
        Scenario { share: 1, ..scenario("five steps", 3, client!(steps(5))) },
    ]
}
