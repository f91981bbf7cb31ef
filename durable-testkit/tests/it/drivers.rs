//! Several drivers of one store: what one of them does is what all of them do.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use durable::prelude::*;
use durable::runtime::{Builder, StartError};
use durable::store::log::{self, IndexAt, Options};
use durable::{Failure, Registry, Run, Runtime};
use durable_testkit::sim::{Process, Setting, Sim};
use durable_testkit::{Fault, OpKind, Unfinished, When, errno};
use futures::FutureExt;
use futures::future::join_all;

const GO: Signal<u32> = Signal::new("go");
const LETTER: Signal<String> = Signal::new("letter");

/// How many attempts run now, and the most that ever did.
#[derive(Debug, Clone, Default)]
struct Running(Arc<(AtomicUsize, AtomicUsize)>);

#[activity]
async fn slow(State(running): State<Running>, n: u32) -> Result<u32, String> {
    let (now, most) = &*running.0;
    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(1)).await;
    now.fetch_sub(1, Ordering::SeqCst);
    Ok(n)
}

#[workflow]
async fn steps(n: u32) -> durable::Result<u32> {
    let mut sum = 0;
    for step in 0..n {
        sum += slow(step).await?;
    }
    Ok(sum)
}

#[workflow]
async fn waits(n: u32) -> durable::Result<u32> {
    Ok(n + GO.recv().await)
}

#[workflow]
async fn family(n: u32) -> durable::Result<u32> {
    let child = waits(n).id("child");
    Ok(1 + child.await?)
}

/// A value that can be written once: the next time a driver does it, with nobody around it who expects a panic.
#[derive(serde::Deserialize)]
struct Fragile {
    #[serde(skip)]
    written: Arc<AtomicUsize>,
}

impl serde::Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_eq!(self.written.fetch_add(1, Ordering::Relaxed), 0, "written twice");
        serializer.serialize_unit_struct("Fragile")
    }
}

#[workflow]
async fn handles(fragile: Fragile) -> durable::Result<u32> {
    drop(fragile);
    Ok(1)
}

#[workflow]
async fn letters(n: u32) -> durable::Result<usize> {
    let mut len = 0;
    for _ in 0..n {
        len += LETTER.recv().await.len();
    }
    Ok(len)
}

fn registry() -> Registry {
    Registry::of((steps, slow, waits, family, handles, letters))
}

fn builder(process: &Process, drivers: usize) -> Builder {
    process.runtime(registry()).state(Running::default()).drivers(drivers)
}

async fn open(process: &Process, drivers: usize) -> Runtime {
    process.run(builder(process, drivers).open()).await.unwrap().unwrap()
}

/// What a future gives that is a part of this process.
async fn of<F: IntoFuture>(process: &Process, future: F) -> F::Output {
    process.run(future.into_future()).await.unwrap()
}

async fn shut_down(process: &Process, rt: Runtime) {
    of(process, rt.shutdown()).await.unwrap();
    process.kill(Unfinished::NotDone);
}

#[test]
fn each_open_may_divide_the_runs_otherwise() {
    Sim::play(Setting::default(), async |sim| {
        for (round, drivers) in [3, 1, 4, 2].into_iter().enumerate() {
            let process = sim.process();
            let rt = open(&process, drivers).await;
            for number in 0..12_u32 {
                let id = format!("round-{round}-{number}");
                of(&process, rt.start(waits(number)).id(id)).await.unwrap();
            }
            // Half of those that are there end: of this round and of those before.
            let open = of(&process, rt.runs()).await.unwrap();
            let ids: Vec<String> = open.iter().map(|run| run.id.clone()).collect();
            for id in ids.iter().step_by(2) {
                let run = of(&process, rt.run(waits, id)).await.unwrap();
                of(&process, run.signal(GO, 100)).await.unwrap();
                assert!(of(&process, run.result()).await.unwrap() >= 100);
            }
            let left: Vec<String> = of(&process, rt.runs()).await.unwrap().into_iter().map(|run| run.id).collect();
            let expected: Vec<String> = ids.into_iter().skip(1).step_by(2).collect();
            assert_eq!(left, expected, "oldest first");
            shut_down(&process, rt).await;
        }
    })
    .unwrap();
}

#[test]
fn runs_are_numbered_in_the_order_in_which_they_start_whichever_driver_has_them() {
    Sim::play(Setting::default(), async |sim| {
        let mut started = Vec::new();
        for drivers in [3, 2] {
            let process = sim.process();
            let rt = open(&process, drivers).await;
            for number in 0..20_u32 {
                let id = format!("{drivers}-{number}");
                of(&process, rt.start(waits(number)).id(&id)).await.unwrap();
                started.push(id);
            }
            shut_down(&process, rt).await;
        }
        let process = sim.process();
        let rt = open(&process, 1).await;
        let runs = of(&process, rt.runs()).await.unwrap();
        assert_eq!(runs.into_iter().map(|run| run.id).collect::<Vec<_>>(), started);
        shut_down(&process, rt).await;
    })
    .unwrap();
}

#[test]
fn no_number_of_drivers_lets_more_attempts_run_than_were_asked_for() {
    for (attempts, drivers) in [(1, 3), (2, 3), (3, 2), (5, 4)] {
        let most = Sim::play(Setting::default(), async |sim| {
            let (process, running) = (sim.process(), Running::default());
            let builder = process.runtime(registry()).state(running.clone()).drivers(drivers).attempts(attempts);
            let rt = of(&process, builder.open()).await.unwrap();
            let mut runs = Vec::new();
            for number in 0..8 {
                runs.push(of(&process, rt.start(steps(3)).id(format!("run-{number}"))).await.unwrap());
            }
            for run in runs {
                assert_eq!(of(&process, run.result()).await.unwrap(), 3);
            }
            shut_down(&process, rt).await;
            // None of the slots is lost: all of one driver's runs can have them all.
            let process = sim.process();
            let builder = process.runtime(registry()).state(running.clone()).drivers(drivers).attempts(attempts);
            let rt = of(&process, builder.open()).await.unwrap();
            let before = sim.elapsed();
            let mut runs = Vec::new();
            for number in 0..attempts {
                runs.push(of(&process, rt.start(steps(1)).id(format!("family/{number}"))).await.unwrap());
            }
            for run in runs {
                of(&process, run.result()).await.unwrap();
            }
            assert!(sim.elapsed() - before < Duration::from_millis(1_500), "they run at once");
            shut_down(&process, rt).await;
            running.0.1.load(Ordering::SeqCst)
        })
        .unwrap();
        assert_eq!(most, attempts, "{attempts} attempts, {drivers} drivers");
    }
}

#[test]
fn a_driver_that_never_runs_out_of_attempts_leaves_the_others_their_share() {
    Sim::play(Setting::default(), async |sim| {
        let process = sim.process();
        let rt = of(&process, builder(&process, 3).attempts(6).open()).await.unwrap();
        for number in 0..20 {
            of(&process, rt.start(steps(10_000)).id(format!("orders/{number}"))).await.unwrap();
        }
        // All slots are the orders' by now.
        sim.sleep(Duration::from_secs(60)).await;
        let before = sim.elapsed();
        let mut runs = Vec::new();
        for number in 0..4 {
            runs.push(of(&process, rt.start(steps(3)).id(format!("nightly-{number}"))).await.unwrap());
        }
        for run in runs {
            assert_eq!(of(&process, run.result()).await.unwrap(), 3);
        }
        let took = sim.elapsed() - before;
        assert!(took < Duration::from_secs(30), "{took:?}");
        process.kill(Unfinished::NotDone);
    })
    .unwrap();
}

#[test]
fn a_child_is_found_wherever_its_family_lives_and_its_id_is_taken() {
    Sim::play(Setting::default(), async |sim| {
        let process = sim.process();
        let rt = open(&process, 4).await;
        for number in 0..8 {
            let id = format!("family-{number}");
            let parent = of(&process, rt.start(family(number)).id(&id)).await.unwrap();
            let child = of(&process, rt.run(waits, &format!("{id}/child"))).await.unwrap();
            let other = of(&process, rt.start(waits(number + 1)).id(format!("{id}/child"))).await;
            assert!(matches!(other, Err(StartError::Conflict { .. })), "{other:?}");
            let same = of(&process, rt.start(waits(number)).id(format!("{id}/child"))).await.unwrap();
            assert_eq!(same.run_id(), child.run_id(), "whoever starts the same is attached, as to any run");
            of(&process, child.signal(GO, 10)).await.unwrap();
            assert_eq!(of(&process, parent.result()).await.unwrap(), 11 + number);
        }
        shut_down(&process, rt).await;
    })
    .unwrap();
}

#[test]
fn a_store_that_fails_for_one_driver_fails_for_all() {
    Sim::play(Setting::default(), async |sim| {
        let process = sim.process();
        let rt = open(&process, 4).await;
        let mut runs = Vec::new();
        for number in 0..8 {
            runs.push(of(&process, rt.start(waits(number)).id(format!("run-{number}"))).await.unwrap());
        }
        process.disk().fail(When::KindFrom(OpKind::SyncData, 1), Fault::Errno(errno::EIO));
        of(&process, rt.start(waits(9)).id("late")).await.unwrap_err();
        for run in &runs {
            let ended = of(&process, run.result()).await.unwrap_err();
            assert!(matches!(ended, RunError::Store(_)), "{ended:?}");
        }
        of(&process, rt.shutdown()).await.unwrap_err();
    })
    .unwrap();
}

#[test]
fn a_driver_that_panics_stops_the_store_for_all() {
    // Whichever of the four it is.
    for victim in 0..8 {
        Sim::play(Setting::default(), async |sim| {
            let process = sim.process();
            let rt = open(&process, 4).await;
            let mut runs = Vec::new();
            for number in 0..8 {
                runs.push(of(&process, rt.start(waits(number)).id(format!("run-{number}"))).await.unwrap());
            }
            let refused =
                of(&process, rt.start(handles(Fragile { written: Arc::default() })).id(format!("run-{victim}/x")))
                    .await;
            let refused = refused.unwrap_err();
            assert!(matches!(refused, StartError::Store { .. }) && refused.to_string().contains("written twice"));
            for run in &runs {
                let ended = of(&process, run.result()).await.unwrap_err();
                assert!(ended.to_string().contains("written twice"), "{ended}");
            }
            let late = of(&process, rt.start(waits(9)).id("late")).await.unwrap_err();
            assert!(late.to_string().contains("written twice"), "{late}");
            let closed = of(&process, rt.shutdown()).await.unwrap_err();
            assert!(closed.to_string().contains("written twice"), "{closed}");
            drop(rt);
            // The store was let go of, and everything that was acknowledged is in it.
            let rt = open(&process, 3).await;
            for number in 0..8 {
                let run = of(&process, rt.run(waits, &format!("run-{number}"))).await.unwrap();
                of(&process, run.signal(GO, 1)).await.unwrap();
                assert_eq!(of(&process, run.result()).await.unwrap(), number + 1);
            }
            shut_down(&process, rt).await;
        })
        .unwrap();
    }
}

#[test]
fn a_runtime_that_is_dropped_while_its_drivers_lend_their_tables_lets_go_of_the_store() {
    // At each moment of the same course of things.
    for poll in 1..80 {
        Sim::play(Setting { seed: 1, ..Setting::default() }, async |sim| {
            let process = sim.process();
            let rt = open(&process, 3).await;
            let mut runs = Vec::new();
            for number in 0..6 {
                runs.push(of(&process, rt.start(letters(2)).id(format!("run-{number}"))).await.unwrap());
            }
            let slot = Mutex::new(Some(rt));
            process.before_poll(process.polls() + poll, move || drop(slot.lock().unwrap().take()));
            // So much to record that a checkpoint is due behind every third.
            let write = async |run: Run<usize, Failure>| {
                let letters = [run.signal(LETTER, "x".repeat(3000)).await, run.signal(LETTER, "y".repeat(3000)).await];
                letters.iter().filter(|received| received.is_ok()).count()
            };
            let received = of(&process, join_all(runs.into_iter().map(write))).await;
            sim.sleep(Duration::from_secs(1)).await;
            let rt = open(&process, 2).await;
            for (number, received) in received.into_iter().enumerate() {
                let run = of(&process, rt.run(letters, &format!("run-{number}"))).await.unwrap();
                for _ in received..2 {
                    // What was not acknowledged may be there.
                    let _has_ended = of(&process, run.signal(LETTER, "z".repeat(3000))).await;
                }
                assert_eq!(of(&process, run.result()).await.unwrap(), 6000);
            }
            shut_down(&process, rt).await;
        })
        .unwrap();
    }
}

#[test]
fn a_clean_shutdown_says_so_whichever_driver_had_something_to_wait_for() {
    for seed in 0..30 {
        Sim::play(Setting { seed, ..Setting::default() }, async |sim| {
            let process = sim.process();
            let rt = open(&process, 3).await;
            for number in 0..6 {
                of(&process, rt.start(steps(5)).id(format!("run-{number}"))).await.unwrap();
            }
            sim.sleep(Duration::from_millis(700 * seed)).await;
            let first = of(&process, rt.shutdown());
            let second = of(&process, rt.shutdown().deadline(Duration::from_secs(1)));
            let (first, second) = join!(first, second);
            first.unwrap();
            second.unwrap();
            process.kill(Unfinished::NotDone);
            let process = sim.process();
            let options =
                Options { index: IndexAt::Memory, ..Options::new(durable_testkit::sim::STORE, Arc::new(|_| {})) };
            let opened =
                of(&process, log::open(Arc::new(process.disk().clone()), process.world().seams, options)).await;
            let (log, writer, recovered) = opened.unwrap();
            assert!(recovered.is_clean);
            drop((log, writer));
            process.kill(Unfinished::NotDone);
            let process = sim.process();
            let rt = open(&process, 2).await;
            for number in 0..6 {
                let run = of(&process, rt.run(steps, &format!("run-{number}"))).await.unwrap();
                assert_eq!(of(&process, run.result()).await.unwrap(), 10);
            }
            shut_down(&process, rt).await;
        })
        .unwrap();
    }
}

#[test]
fn whoever_waits_for_a_run_is_answered_before_the_shutdown_is() {
    for seed in 0..40 {
        Sim::play(Setting { seed, ..Setting::default() }, async |sim| {
            let process = sim.process();
            let rt = open(&process, 3).await;
            let mut results = Vec::new();
            for number in 0..9 {
                let run = of(&process, rt.start(waits(number)).id(format!("run-{number}"))).await.unwrap();
                let mut result = Box::pin(async move { run.result().await });
                let asked = process.run(async { result.as_mut().now_or_never() }).await.unwrap();
                assert!(asked.is_none());
                results.push(result);
            }
            of(&process, rt.shutdown()).await.unwrap();
            for result in results {
                let answered = process.run(async { result.now_or_never() }).await.unwrap();
                assert!(answered.is_some(), "it waits still, and may for good: the process may end now");
            }
            process.kill(Unfinished::NotDone);
        })
        .unwrap();
    }
}

#[test]
fn a_process_with_several_drivers_dies_anywhere_and_the_next_one_goes_on() {
    for after in (1..500).step_by(9) {
        Sim::play(Setting { seed: after, ..Setting::default() }, async |sim| {
            let process = sim.process();
            process.kill_at_poll(after, Unfinished::NotDone);
            let acknowledged = Arc::new(Mutex::new(Vec::new()));
            let noted = Arc::clone(&acknowledged);
            process
                .run(async {
                    let rt = builder(&process, 3).open().await.unwrap();
                    for number in 0..12_u32 {
                        let id = format!("run-{number}");
                        rt.start(steps(4)).id(&id).await.unwrap();
                        noted.lock().unwrap().push(id);
                    }
                    sim.sleep(Duration::from_secs(60)).await;
                })
                .await;
            process.kill(Unfinished::NotDone);
            let process = sim.process();
            let rt = open(&process, 1 + after as usize % 3).await;
            let known = acknowledged.lock().unwrap().clone();
            for id in known {
                let run = of(&process, rt.run(steps, &id)).await.unwrap();
                assert_eq!(of(&process, run.result()).await.unwrap(), 6, "{id}");
            }
            shut_down(&process, rt).await;
        })
        .unwrap();
    }
}
