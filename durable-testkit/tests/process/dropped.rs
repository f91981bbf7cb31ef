//! A runtime that is dropped without a shutdown is to its store as a process that was killed: the lock is free when `drop` returns,
//! and what was in flight is interrupted. In one process, on both of tokio's runtimes.

use std::path::Path;
use std::sync::Mutex;

use durable::prelude::*;
use durable::{Failure, Run, Runtime};
use tokio::sync::oneshot;

use crate::parked::{Flights, hang, hang_once_only, try_hang, try_hang_once_only};

/// Both of tokio's runtimes.
pub(crate) fn on_both(test: impl AsyncFn()) {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test());
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap().block_on(test());
}

pub(crate) async fn open(dir: &Path, flights: &Flights) -> Runtime {
    let items = (hang, hang_once_only, try_hang, try_hang_once_only);
    Runtime::builder(dir).register(items).state(flights.clone()).open().await.unwrap()
}

#[test]
fn the_lock_is_free_when_drop_returns() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        for round in 0..10 {
            let rt = open(dir.path(), &flights).await;
            let run = rt.start(try_hang(true)).id(format!("{round}")).await.unwrap();
            // Some work is on its way into the log, and nobody waits for it.
            for n in 0..50 {
                let mut start = rt.start(try_hang(true)).id(format!("{round}-{n}")).into_future();
                let _ = futures::poll!(&mut start);
            }
            drop(rt);
            let text = run.result().await.unwrap_err().to_string();
            assert!(text.contains("[E0305]"), "{text}");
        }
        open(dir.path(), &flights).await.shutdown().await.unwrap();
    });
}

#[test]
fn a_runtime_may_outlive_the_tokio_runtime_that_it_was_opened_in() {
    let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
    for _ in 0..2 {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let rt = tokio.block_on(async {
            let rt = open(dir.path(), &flights).await;
            let run = rt.start(try_hang(true)).id("a").await.unwrap();
            flights.began("hang").await;
            drop(run);
            rt
        });
        drop(tokio);
        drop(rt);
    }
}

const GO: Signal<()> = Signal::new("go");

/// The last runtime, for an activity to drop, and who is told when that is done.
static LAST: Mutex<Option<(Runtime, oneshot::Sender<()>)>> = Mutex::new(None);

#[activity]
async fn drop_the_last() -> Result<(), String> {
    let (last, dropped) = LAST.lock().unwrap().take().ok_or("there is none")?;
    drop(last);
    dropped.send(()).map_err(|()| "nobody listens".to_owned())
}

#[workflow]
async fn ends_its_runtime() -> durable::Result<()> {
    GO.recv().await;
    Ok(drop_the_last().await?)
}

#[test]
fn an_activity_may_drop_the_last_runtime() {
    on_both(async || {
        let dir = tempfile::tempdir().unwrap();
        for id in ["a", "b", "c"] {
            let rt = Runtime::builder(dir.path()).register((ends_its_runtime, drop_the_last)).open().await.unwrap();
            let run = rt.start(ends_its_runtime()).id(id).await.unwrap();
            let (dropped, is_dropped) = oneshot::channel();
            *LAST.lock().unwrap() = Some((rt, dropped));
            // It is answered, or the runtime is gone by then.
            let _either_way = run.signal(GO, ()).await;
            is_dropped.await.unwrap();
        }
        Runtime::builder(dir.path()).register((ends_its_runtime, drop_the_last)).open().await.unwrap();
    });
}

#[test]
fn an_attempt_in_flight_is_interrupted_and_made_again() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        let rt = open(dir.path(), &flights).await;
        rt.start(try_hang(true)).id("a").await.unwrap();
        flights.began("hang").await;
        drop(rt);

        flights.let_go();
        let rt = open(dir.path(), &flights).await;
        let run: Run<u32, Failure> = rt.run(try_hang, "a").await.unwrap();
        assert_eq!(run.result().await.unwrap(), 2, "the second attempt gave the result");
        assert_eq!(flights.all(), ["hang 1", "hang 2"]);
        rt.shutdown().await.unwrap();
    });
}

#[test]
fn an_at_most_once_attempt_in_flight_is_interrupted_and_not_made_again() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        let rt = open(dir.path(), &flights).await;
        rt.start(try_hang_once_only()).id("a").await.unwrap();
        flights.began("hang_once_only").await;
        drop(rt);

        flights.let_go();
        let rt = open(dir.path(), &flights).await;
        let run: Run<String, Failure> = rt.run(try_hang_once_only, "a").await.unwrap();
        assert_eq!(run.result().await.unwrap(), "Err(Interrupted)");
        assert_eq!(flights.all(), ["hang_once_only 1"]);
        rt.shutdown().await.unwrap();
    });
}

#[test]
fn what_is_dropped_ends_with_the_runtime() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        let rt = open(dir.path(), &flights).await;
        rt.start(try_hang(true)).id("a").await.unwrap();
        flights.began("hang").await;
        drop(rt);
        flights.ended("hang").await;
    });
}
