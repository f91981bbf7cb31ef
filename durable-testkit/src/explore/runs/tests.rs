use std::collections::BTreeSet;
use std::num::NonZero;
use std::sync::atomic::Ordering;

use durable::prelude::*;
use durable::{Registry, Runtime};

use super::play::{Behind, Start};
use super::search::{Lives, Search};
use super::world::Ledger;
use super::*;

const ONE: NonZero<usize> = NonZero::<usize>::MIN;

#[activity(start_to_close = "1m", retry = fixed("1s"))]
async fn pay(State(world): State<World>, keeps: u32) -> Result<u32, String> {
    Ok(world.had("paid").min(keeps as usize) as u32)
}

#[workflow]
async fn pays(keeps: u32) -> durable::Result<u32> {
    Ok(pay(keeps).await?)
}

fn small(client: Client) -> Scenario {
    let registry = || Registry::of((pays, pay));
    Scenario { name: "small", depth: 1, share: 1, registry, client, effects: Effects::InOrder, may_end: &[] }
}

fn wrong(client: Client) -> Explored {
    small(client).explore(ONE)
}

async fn end_of(runtime: &Runtime, keeps: u32) -> Result<String, String> {
    let run = runtime.start(pays(keeps)).id("run").await.map_err(|error| error.to_string())?;
    Ok(format!("{:?}", run.result().await))
}

/// What is wrong, behind a crash.
fn broken(explored: Explored) -> String {
    println!("{explored}");
    let Broken { what, crashes } = explored.broken.unwrap();
    assert_eq!(crashes.len(), 1);
    what
}

#[test]
fn small_scenarios_end_alike_behind_every_crash() {
    for scenario in catalogue().into_iter().filter(|scenario| ["at most once", "select"].contains(&scenario.name)) {
        let explored = scenario.with_depth(1).explore(ONE);
        println!("{explored}");
        assert_eq!(explored.broken, None, "{explored}");
        assert!(explored.states[0] > 100 && explored.images > explored.states[0], "{explored}");
    }
}

/// What is left out, because it is said to come to the same as something that is played, is played here.
#[test]
fn lives_that_are_ended_early_and_states_that_are_folded_make_no_difference() {
    let scenario = Scenario {
        may_end: &["Ok(2)", "Ok(3)"],
        ..small(|runtime, _| Box::pin(async move { end_of(&runtime, 9).await }))
    };
    let reference = scenario.reference().unwrap();
    let (folded_scenario, whole_scenario) = (scenario.with_depth(2), scenario.with_depth(3));
    let folded = Search::new(&folded_scenario, &reference, Lives::EndWhereTheyMeet, &|| true);
    folded.run(ONE).map_err(|broken| broken.what).unwrap();
    // The states of the second level are told apart by all that a third one could see, each life is lived to its end.
    let whole = Search::new(&whole_scenario, &reference, Lives::GoOn, &|| true);
    let first = whole.first();
    let second: Vec<Start> = whole.level(&first, ONE).map_err(|broken| broken.what).unwrap();
    second.iter().for_each(|start| drop(whole.judged(start).map_err(|broken| broken.what).unwrap()));
    let by_processes = |start: &Start| Behind::Nothing.digest(&start.disk, &start.ledger, start.wall).finish();
    let states: BTreeSet<u64> = first.iter().chain(&second).map(by_processes).collect();
    let folded_states = folded.seen_by_processes.lock().unwrap();
    let different = folded_states.symmetric_difference(&states).count();
    assert_eq!(different, 0, "of {} and {} states", folded_states.len(), states.len());
    let endings = folded.endings.lock().unwrap();
    assert_eq!(*endings, *whole.endings.lock().unwrap());
    assert!(endings.len() > 5, "{} endings", endings.len());
    let played = folded.levels[1].played.load(Ordering::Relaxed) as usize;
    assert!(played > 500 && played < second.len(), "{played} of {} states", second.len());
}

#[test]
fn an_end_that_depends_on_the_crash_is_found() {
    let what = broken(wrong(|runtime, _| Box::pin(async move { end_of(&runtime, 9).await })));
    assert_eq!(what, "it ends with Ok(2), and without a crash with Ok(1)");
}

#[test]
fn what_was_acknowledged_too_early_is_missed() {
    let what = broken(wrong(|runtime, world| {
        Box::pin(async move {
            if world.is_acked("started") {
                runtime.run(pays, "run").await.map_err(|error| format!("not there: {error}"))?;
            }
            world.ack("started");
            end_of(&runtime, 1).await
        })
    }));
    assert!(what.starts_with("not there: "), "{what}");
}

#[test]
fn an_end_that_was_told_too_early_is_missed() {
    let what = broken(wrong(|runtime, world| {
        Box::pin(async move {
            if !world.is_acked("ended Ok(1)") {
                world.ack("ended Ok(1)");
            }
            end_of(&runtime, 1).await
        })
    }));
    assert_eq!(what, "an attempt began after the run had ended");
}

#[test]
fn attempts_out_of_order_and_effects_of_their_own_are_told() {
    let ledger = |effects: &[(&str, &str)]| Ledger {
        effects: effects.iter().map(|(key, what)| ((*key).to_owned(), (*what).to_owned())).collect(),
        acks: Vec::new(),
    };
    let sound = ledger(&[("a", "1"), ("b", "2")]);
    let repeated = ledger(&[("a", "1"), ("a", "1"), ("b", "2")]);
    assert_eq!(search::compare(&sound, &repeated, Effects::InOrder), Ok(()));
    let late = ledger(&[("a", "1"), ("b", "2"), ("a", "1")]);
    assert!(search::compare(&sound, &late, Effects::InOrder).is_err());
    assert_eq!(search::compare(&sound, &late, Effects::Unordered), Ok(()));
    let twice = ledger(&[("a", "1"), ("c", "1"), ("b", "2")]);
    assert!(search::compare(&sound, &twice, Effects::Unordered).is_err());
}
