#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use std::future::IntoFuture;

use durable::prelude::*;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

#[activity]
async fn slow(State(log): State<Log>, n: u32) -> Result<u32, String> {
    tokio::time::sleep(Duration::from_secs(u64::from(n))).await;
    log.lock().unwrap().push(n);
    Ok(n * 10)
}

#[activity]
fn blocking(State(log): State<Log>, n: u32) -> Result<u32, String> {
    log.lock().unwrap().push(n);
    Ok(n)
}

#[workflow]
async fn month() -> durable::Result<u32> {
    let a = slow(3).await?;
    durable::sleep(30 * DAY).await;
    let b = blocking(7).await?;
    Ok(a + b)
}

type Log = Arc<Mutex<Vec<u32>>>;

fn registry() -> durable::Registry {
    durable::Registry::of((month, slow, blocking))
}

fn setting(seed: u64) -> Setting {
    Setting { seed, words: Words::Yes, ..Setting::default() }
}

async fn run_month(sim: &Sim, process: &Process, log: &Log) -> Option<u32> {
    let _ = sim;
    process
        .run(async {
            let rt = process.runtime(registry()).state(Arc::clone(log)).open().await.unwrap();
            let run = rt.start(month()).id("m").await.unwrap();
            let ended = run.result().await.unwrap();
            rt.shutdown().await.unwrap();
            ended
        })
        .await
}

#[test]
fn a_month_takes_no_time() {
    let (value, elapsed, log) = Sim::play(setting(1), async |sim| {
        let log = Log::default();
        let value = run_month(&sim, &sim.process(), &log).await;
        (value, sim.elapsed(), log)
    })
    .unwrap();
    assert_eq!(value, Some(37));
    assert!(elapsed >= 30 * DAY && elapsed < 31 * DAY, "{elapsed:?}");
    assert_eq!(*log.lock().unwrap(), [3, 7]);
}

#[test]
fn one_seed_is_one_trace_and_another_seed_another() {
    let trace = |seed| {
        Sim::play(setting(seed), async |sim| {
            run_month(&sim, &sim.process(), &Log::default()).await;
            sim.trace()
        })
        .unwrap()
    };
    let first = trace(1);
    assert!(first.lines().len() > 100);
    assert_eq!(first, trace(1));
    assert_ne!(first.hash(), trace(2).hash());
}

#[test]
fn a_process_dies_at_each_of_its_polls_and_the_next_one_goes_on() {
    let mut ends = Vec::new();
    for poll in (1..400).step_by(7) {
        let (dead, value) = Sim::play(setting(3), async |sim| {
            let log = Log::default();
            let process = sim.process();
            process.kill_at_poll(poll, Unfinished::NotDone);
            let first = run_month(&sim, &process, &log).await;
            assert!(first.is_none_or(|value| value == 37), "{first:?} before poll {poll}");
            (first.is_none(), run_month(&sim, &sim.process(), &log).await)
        })
        .unwrap();
        assert_eq!(value, Some(37), "behind a death at poll {poll}");
        ends.push(dead);
    }
    assert!(ends[0] && !ends[ends.len() - 1]);
}

#[test]
fn a_process_dies_at_each_operation_and_nothing_of_it_is_polled_then() {
    for after in (0..120).step_by(3) {
        Sim::play(setting(4), async |sim| {
            let log = Log::default();
            let process = sim.process();
            process.kill_at_operation(after, Unfinished::Half(after));
            let value = run_month(&sim, &process, &log).await;
            let polls = process.polls();
            assert_eq!(run_month(&sim, &sim.process(), &log).await, Some(37));
            assert!(value.is_some() || (process.is_dead() && process.polls() == polls));
        })
        .unwrap();
    }
}

#[test]
fn what_waits_for_ever_is_told() {
    let stalled = Sim::play(setting(1), async |sim| {
        sim.sleep(DAY).await;
        std::future::pending::<()>().await;
    });
    assert_eq!(stalled, Err(Stalled { since: DAY }));
}

#[test]
fn a_stopped_process_keeps_the_store_and_goes_on_later() {
    Sim::play(setting(5), async |sim| {
        let (first, second, log) = (sim.process(), sim.process(), Log::default());
        let rt = first.run(first.runtime(registry()).state(Arc::clone(&log)).open()).await.unwrap().unwrap();
        first.stop();
        let refused = second.run(second.runtime(registry()).state(Arc::clone(&log)).open()).await.unwrap();
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("by process 101"), "{refused}");
        first.resume();
        first.run(rt.shutdown().into_future()).await.unwrap().unwrap();
        assert_eq!(run_month(&sim, &second, &log).await, Some(37));
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "it goes on for ever: 1001 polls until")]
fn more_polls_than_there_may_be_are_a_play_without_an_end() {
    let setting = Setting { polls_max: 1_000, ..setting(1) };
    let _ = Sim::play(setting, async |sim| {
        loop {
            sim.sleep(Duration::from_secs(1)).await;
        }
    });
}

#[test]
fn a_failed_store_leaves_runs_that_are_put_away_alone() {
    let setting = Setting { polls_max: 100_000, ..setting(1) };
    Sim::play(setting, async |sim| {
        let (process, log) = (sim.process(), Log::default());
        let builder = process.runtime(registry()).state(log).put_away_at_every_await();
        let rt = process.run(builder.open()).await.unwrap().unwrap();
        // What the runtime knows of this run goes on with its timer, which nobody can record any more.
        process.run(rt.start(month()).id("asleep").into_future()).await.unwrap().unwrap();
        sim.sleep(DAY).await;
        let fails = crate::Fault::Errno(crate::errno::EIO);
        process.disk().fail(crate::When::KindFrom(crate::OpKind::SyncData, 1), fails);
        process.run(rt.start(month()).id("late").into_future()).await.unwrap().unwrap_err();
        sim.sleep(60 * DAY).await;
        process.run(rt.shutdown().into_future()).await.unwrap().unwrap_err();
    })
    .unwrap();
}
