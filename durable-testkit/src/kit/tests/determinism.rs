//! The determinism check: what reads something that no journal holds is found, the rest passes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use durable::prelude::*;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::{App, Test};

#[activity]
async fn fetch(n: u64) -> Result<u64, String> {
    tokio::time::sleep(Duration::from_secs(n % 5)).await;
    Ok(n)
}

#[workflow]
async fn well_behaved() -> durable::Result<u64> {
    let mut all: FuturesUnordered<_> = (0..6).map(fetch).collect();
    let mut sum = 0;
    while let Some(n) = all.next().await {
        sum += n?;
    }
    let first = select! {
        n = fetch(3) => n?,
        () = durable::sleep(Duration::from_secs(2)) => 0,
    };
    let draw = durable::random::<u64>() % 7;
    Ok(sum + first + fetch(draw).await?)
}

#[workflow]
async fn map_order() -> durable::Result<u64> {
    let mut sum = 0;
    for n in (0..12).map(|n| (n, ())).collect::<HashMap<u64, ()>>().into_keys() {
        sum += fetch(n).await?;
    }
    Ok(sum)
}

/// As a thread's generator does, which is seeded anew in each thread.
fn drawn() -> u64 {
    RandomState::new().hash_one(1)
}

#[workflow]
async fn random() -> durable::Result<u64> {
    Ok(fetch(drawn()).await?)
}

fn nanos() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos().into()
}

#[workflow]
async fn clock() -> durable::Result<u64> {
    durable::sleep(Duration::from_secs(1)).await;
    Ok(fetch(nanos()).await?)
}

async fn either() -> Result<u64, durable::CallError<durable::Failure>> {
    tokio::select! {
        n = fetch(1) => n,
        n = fetch(2) => n,
    }
}

#[workflow]
async fn selects() -> durable::Result<u64> {
    Ok(either().await? + either().await? + either().await?)
}

static CALLS: AtomicU32 = AtomicU32::new(0);

fn counted() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed).into()
}

#[workflow]
async fn counts() -> durable::Result<u64> {
    Ok(fetch(counted()).await?)
}

macro_rules! checked {
    ($workflow:ident) => {
        Test::of(($workflow, fetch)).try_check_determinism(async |t: App| {
            Ok(t.start($workflow()).id(stringify!($workflow)).await?.result().await?)
        })
    };
}

#[test]
fn a_workflow_that_follows_the_journal_passes() {
    checked!(well_behaved).unwrap();
}

#[test]
fn what_reads_something_else_is_found_and_told() {
    let all = [checked!(map_order), checked!(random), checked!(clock), checked!(selects), checked!(counts)];
    for (checked, workflow) in all.into_iter().zip(["map_order", "random", "clock", "selects", "counts"]) {
        let text = checked.unwrap_err().to_string();
        println!("{text}\n");
        assert!(text.contains(&format!("workflow `{workflow}`")), "{text}");
        assert!(text.contains("the journal holds") && text.contains("the code asks for"), "{text}");
        assert!(text.contains("to repeat it: DURABLE_SEED="), "{text}");
    }
}
