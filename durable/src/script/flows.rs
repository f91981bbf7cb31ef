//! The workflows and activities of the scripts. Activities never run: the script answers their attempts.

use super::world::Build;
use crate::prelude::*;
use crate::registry::Registry;
use crate::{CallError, Signal};

type Call<T> = Result<T, CallError<crate::Failure>>;

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(3))]
pub(super) async fn a(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(3))]
pub(super) async fn b(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = never())]
pub(super) async fn single(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = fixed("1d").jitter(0.0))]
pub(super) async fn daily(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(at_most_once, retry = fixed("1s").jitter(0.0).max_attempts(3))]
pub(super) async fn once(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(start_to_close = "10s", retry = fixed("1s").jitter(0.0).max_attempts(2))]
pub(super) async fn slow(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(schedule_to_close = "10s", retry = fixed("4s").jitter(0.0))]
pub(super) async fn urgent(x: u32) -> Result<u32, String> {
    Ok(x)
}

pub(super) const GO: Signal<u32> = Signal::new("go");
pub(super) const STOP: Signal<u32> = Signal::new("stop");

/// How a call ended, in a word: so that a script shows what the code saw.
fn word(result: Call<u32>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

#[workflow]
pub(super) async fn nap() -> Result<u32, String> {
    crate::sleep(Duration::from_secs(3600)).await;
    Ok(1)
}

#[workflow]
pub(super) async fn steps() -> Result<u32, String> {
    let x = a(1).await.map_err(|e| e.to_string())?;
    let y = b(x).await.map_err(|e| e.to_string())?;
    Ok(x + y)
}

#[workflow]
pub(super) async fn one(name: String) -> Result<String, String> {
    Ok(word(match name.as_str() {
        "a" => a(1).await,
        "single" => single(1).await,
        "daily" => daily(1).await,
        "once" => once(1).await,
        "slow" => slow(1).await,
        _ => urgent(1).await,
    }))
}

#[workflow(timeout = "1h")]
pub(super) async fn limited() -> Result<u32, String> {
    Ok(GO.recv().await)
}

#[workflow]
pub(super) async fn receive() -> Result<u32, String> {
    Ok(GO.recv().await * 10 + GO.recv().await)
}

#[workflow]
pub(super) async fn wait_or_nap() -> Result<String, String> {
    let first = select! {
        x = GO.recv() => format!("go {x}"),
        () = crate::sleep(Duration::from_secs(3600)) => "slept".to_owned(),
    };
    STOP.recv().await;
    Ok(first)
}

#[workflow]
pub(super) async fn race() -> Result<String, String> {
    let first = select! {
        x = a(1) => format!("a {}", word(x)),
        x = b(2) => format!("b {}", word(x)),
    };
    STOP.recv().await;
    Ok(first)
}

/// Two branches of two activities each.
#[workflow]
pub(super) async fn branches() -> Result<Vec<String>, String> {
    let (left, right) = join!(two(1), two(100));
    Ok(vec![left, right])
}

async fn two(x: u32) -> String {
    let first = word(a(x).await);
    let second = word(b(x + 1).await);
    format!("{first} {second}")
}

#[workflow]
pub(super) async fn child(x: u32) -> Result<u32, String> {
    a(x).await.map_err(|e| e.to_string())
}

#[workflow]
pub(super) async fn parent() -> Result<String, String> {
    Ok(format!("{:?}", child(1).await))
}

#[workflow]
pub(super) async fn fickle_parent() -> Result<String, String> {
    select! {
        done = child(1) => return Ok(format!("{done:?}")),
        _ = GO.recv() => {}
    }
    STOP.recv().await;
    Ok("dropped".to_owned())
}

/// A parent that ends while three children run, each with another policy.
#[workflow]
pub(super) async fn closing_parent() -> Result<u32, String> {
    let (mut cancelled, mut terminated, mut abandoned) = (
        child(1).id("cancelled"),
        child(2).id("terminated").close(crate::ClosePolicy::Terminate),
        child(3).id("abandoned").close(crate::ClosePolicy::Abandon),
    );
    select! {
        _ = &mut cancelled => {}
        _ = &mut terminated => {}
        _ = &mut abandoned => {}
        x = GO.recv() => {
            // The three are still held: they are open when the body returns.
            std::mem::forget((cancelled, terminated, abandoned));
            return Ok(x);
        }
    }
    Ok(0)
}

#[workflow]
pub(super) async fn start_and_drop() -> Result<u32, String> {
    let mut call = Box::pin(child(1).id("late"));
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
    drop(call);
    Ok(u32::from(polled) + GO.recv().await)
}

#[workflow]
pub(super) async fn many() -> Result<Vec<String>, String> {
    let calls = futures::future::join_all((0..4).map(single));
    Ok(calls.await.into_iter().map(word).collect())
}

#[workflow]
pub(super) async fn panics() -> Result<u32, String> {
    let call = single(1);
    select! {
        x = call => x.map_err(|e| e.to_string()),
        x = GO.recv() => panic!("got {x}"),
    }
}

#[workflow]
pub(super) async fn nested_branches() -> Result<String, String> {
    let (give, take) = futures::channel::oneshot::channel();
    // A branch that is not woken beside it: otherwise all branches were polled, and are polled again.
    drop(crate::spawn(async { STOP.recv().await }));
    crate::spawn(async move {
        let first = word(a(1).await);
        let second = crate::spawn(async move { word(b(2).await) }).await;
        give.send(format!("{first} {second}")).unwrap();
    });
    Ok(take.await.unwrap())
}

pub(super) fn registry() -> Registry {
    let mut registry = Registry::of((a, b, single, daily, once, slow, urgent));
    registry.register((nap, steps, one, limited, receive, wait_or_nap, race, branches));
    registry.register((child, parent, fickle_parent, closing_parent, start_and_drop, many, nested_branches, panics));
    registry
}

/// The application as it stands.
pub(super) fn app() -> Build {
    Build::new("b1", registry())
        .start("nap", || nap().into_start())
        .start("steps", || steps().into_start())
        .start("a", || one("a".to_owned()).into_start())
        .start("single", || one("single".to_owned()).into_start())
        .start("daily", || one("daily".to_owned()).into_start())
        .start("once", || one("once".to_owned()).into_start())
        .start("slow", || one("slow".to_owned()).into_start())
        .start("urgent", || one("urgent".to_owned()).into_start())
        .start("limited", || limited().into_start())
        .start("receive", || receive().into_start())
        .start("wait_or_nap", || wait_or_nap().into_start())
        .start("race", || race().into_start())
        .start("branches", || branches().into_start())
        .start("parent", || parent().into_start())
        .start("fickle_parent", || fickle_parent().into_start())
        .start("closing_parent", || closing_parent().into_start())
        .start("start_and_drop", || start_and_drop().into_start())
        .start("many", || many().into_start())
        .start("nested_branches", || nested_branches().into_start())
        .start("panics", || panics().into_start())
        .start("child", || child(1).into_start())
        .start("other", || child(2).into_start())
}
