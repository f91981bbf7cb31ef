//! Crashes everywhere: what is sound passes, what is known to be wrong is found.

use std::cell::Cell;
use std::time::Duration;

use durable::SignalError;
use durable::prelude::*;

use crate::{App, CrashReport, Failure, Service, Test};

#[activity(start_to_close = "1m", retry = fixed("1s"))]
async fn charge(State(bank): State<Service>, step: u32) -> Result<u32, String> {
    Ok(bank.call_once(durable::activity::idempotency_key(), format!("charge:{step}"), || step).await?)
}

#[activity(start_to_close = "1m", retry = fixed("1s"))]
async fn careless(State(bank): State<Service>, step: u32) -> Result<u32, String> {
    Ok(bank.call(format!("charge:{step}"), || step).await?)
}

#[workflow]
async fn ten() -> durable::Result<u32> {
    let mut sum = 0;
    for step in 0..10 {
        sum += charge(step).await?;
    }
    Ok(sum)
}

#[workflow]
async fn one() -> durable::Result<u32> {
    Ok(charge(1).await?)
}

#[workflow]
async fn wrong(order: u32) -> durable::Result<u32> {
    durable::sleep(Duration::from_secs(60)).await;
    Ok(careless(order).await?)
}

fn failure(failed: Result<CrashReport, Failure>) -> String {
    let failure = failed.unwrap_err();
    println!("{failure}");
    failure.to_string()
}

#[test]
fn ten_steps_end_alike_behind_every_crash() {
    let bank = Service::new("bank");
    let report = Test::of((ten, charge)).service(&bank).crash_everywhere(async |t| {
        let sum = t.start(ten()).id("ten").await?.result().await?;
        bank.assert_effects((0..10).map(|step| format!("charge:{step}")));
        Ok(sum)
    });
    assert!(report.operations > 30 && report.awaits > report.operations, "{report}");
    assert!(report.distinct > 100 && report.second_distinct > 20, "{report}");
}

#[test]
fn a_double_charge_is_found_and_the_crash_is_told() {
    let bank = Service::new("bank");
    let test = || Test::of((wrong, careless)).service(&bank);
    let text = failure(test().try_crash_everywhere(async |t| Ok(t.start(wrong(7)).id("o").await?.result().await?)));
    assert!(text.contains("bank does charge:7 twice, and without a crash once"), "{text}");
    assert!(text.contains("on disk then: o (wrong): running\n  waits for activity `careless`, attempt 1"), "{text}");
    assert!(text.contains("DURABLE_CRASH_AT="), "{text}");
    let bank = bank.clone().may_repeat();
    Test::of((wrong, careless))
        .service(&bank)
        .crash_everywhere(async |t| Ok(t.start(wrong(7)).id("o").await?.result().await?));
}

#[test]
fn what_the_scenario_asserts_has_to_hold_behind_every_crash() {
    let bank = Service::new("bank").may_repeat();
    let text = failure(Test::of((wrong, careless)).service(&bank).try_crash_everywhere(async |t| {
        t.start(wrong(7)).id("o").await?.result().await?;
        assert_eq!(bank.ledger().count("charge:7"), 1, "charged more than once");
        Ok(())
    }));
    assert!(text.contains("a crash makes a difference: the scenario panicked"), "{text}");
    assert!(text.contains("charged more than once"), "{text}");
}

#[test]
fn a_result_that_depends_on_the_crash_is_found() {
    let calls = Cell::new(0);
    let test = Test::of((wrong, careless)).double(careless, async |_: u32| {
        calls.set(calls.get() + 1);
        Ok(calls.get())
    });
    let text = failure(test.try_crash_everywhere(async |t| Ok(t.start(wrong(7)).id("o").await?.result().await?)));
    assert!(text.contains("the scenario returns 2, and without a crash 1"), "{text}");
}

#[test]
fn what_fails_without_a_crash_is_told_as_such() {
    let test = Test::of((wrong, careless)).returns(careless, || Err("no".to_owned())).polls_max(5_000);
    let text = failure(test.try_crash_everywhere(async |t| Ok(t.start(wrong(7)).id("o").await?.result().await?)));
    assert!(text.starts_with("without a crash: the scenario does not end"), "{text}");
    let text = failure(Test::of((ten, charge)).service(&Service::new("bank")).try_crash_everywhere(async |t| {
        t.crash().await;
        Ok(())
    }));
    assert!(text.contains("`crash_everywhere` lets the application crash itself"), "{text}");
}

#[test]
fn a_crash_is_repeated_alone_by_its_name_and_another_one_too() {
    let bank = Service::new("bank");
    let test = || Test::of((wrong, careless)).service(&bank);
    let sell = async |t: App| Ok(t.start(wrong(7)).id("o").await?.result().await?);
    let found = test().try_crash_everywhere(sell).unwrap_err();
    let repeat = found.repeat();
    let (_, name) = repeat.split_once("DURABLE_CRASH_AT=").unwrap();
    let again = test().crash_at(name).try_crash_everywhere(sell).unwrap_err();
    assert_eq!(again.to_string(), found.to_string());
    let harmless = test().crash_at("0-killed").try_crash_everywhere(sell).unwrap();
    assert_eq!((harmless.states, harmless.second_states), (1, 0));
    let second = format!("0-killed,{name}");
    let none = test().crash_at("100000-killed").try_crash_everywhere(sell).unwrap_err();
    assert!(none.what().contains("there is no crash 100000-killed"), "{none}");
    let behind = test().crash_at(&second).try_crash_everywhere(sell);
    println!("{second}: {behind:?}");
    let text = failure(behind);
    assert!(
        text.contains(&format!("the crash (0-killed,{name}): at 0.000 s the process is killed before its poll 1")),
        "{text}"
    );
    assert!(
        text.contains(",\n  and then at 0:01:00 the process is killed") && text.contains("bank does charge:7 twice"),
        "{text}"
    );
    assert!(text.contains(&format!("DURABLE_CRASH_AT={second} cargo test")), "{text}");
}

#[test]
fn a_start_without_an_id_is_another_run_behind_a_crash() {
    let bank = Service::new("bank");
    let test = Test::of((one, charge)).service(&bank);
    let text = failure(test.try_crash_everywhere(async |t| Ok(t.start(one()).await?.result().await?)));
    assert!(text.contains("bank does charge:1 twice, and without a crash once"), "{text}");
    assert!(text.contains("crashes.rs:") && text.contains("give it one: `.id(..)`"), "{text}");
}

#[test]
fn each_seed_is_crashed_everywhere() {
    let (bank, plays) = (Service::new("bank"), Cell::new(0));
    let tried = |seeds| {
        let before = plays.get();
        let report = Test::of((one, charge)).service(&bank).seeds(seeds).crash_everywhere(async |t| {
            plays.set(plays.get() + 1);
            Ok(t.start(one()).id("one").await?.result().await?)
        });
        (plays.get() - before, report)
    };
    let ((once, one), (thrice, three)) = (tried(1), tried(3));
    assert!(thrice > 2 * once && thrice < 4 * once, "{once} plays of one seed, {thrice} of three");
    assert!(three.operations > 2 * one.operations && three.distinct > 2 * one.distinct, "{one}\n{three}");
}

#[activity(at_most_once, retry = never())]
async fn ask() -> Result<u32, String> {
    Ok(1)
}

#[activity]
async fn look(at: u32) -> Result<u32, String> {
    Ok(at)
}

/// Behind a crash it does what no journal holds.
#[workflow]
async fn looks_if_interrupted() -> durable::Result<()> {
    if ask().await.is_err() {
        look(is_replayed()).await?;
    }
    Ok(())
}

/// As something of the thread's own: the next process of a play does not see it, a replay does.
fn is_replayed() -> u32 {
    u32::from(std::thread::current().name().is_none())
}

#[test]
fn what_a_crash_lets_a_run_record_is_replayed() {
    let test = || Test::of((looks_if_interrupted, ask, look));
    let play = async |t: App| Ok(t.start(looks_if_interrupted()).id("l").await?.result().await?);
    let text = failure(test().try_crash_everywhere(play));
    assert!(text.starts_with("a crash makes a difference: what was recorded does not replay"), "{text}");
    assert!(text.contains("the code asks for") && text.contains("DURABLE_CRASH_AT="), "{text}");
    test().without_replays().crash_everywhere(play);
}

const GO: Signal<u32> = Signal::new("go");

#[workflow]
async fn two_words() -> durable::Result<u32> {
    Ok(GO.recv().await * 10 + GO.recv().await)
}

#[test]
fn a_signal_that_is_sent_again_is_told() {
    let text = failure(Test::of((two_words,)).try_crash_everywhere(async |t| {
        let run = t.start(two_words()).id("w").await?;
        run.signal(GO, 1).await?;
        run.signal(GO, 2).await?;
        Ok(run.result().await?)
    }));
    assert!(text.contains("signal `go`") && text.contains("`signal_once`"), "{text}");
    let once = async |t: App, closed_is_sent: fn(SignalError) -> Result<(), SignalError>| {
        let run = t.start(two_words()).id("w").await?;
        run.signal_once(GO, 1, "first").await.or_else(closed_is_sent)?;
        run.signal_once(GO, 2, "second").await.or_else(closed_is_sent)?;
        Ok(run.result().await?)
    };
    let text = failure(Test::of((two_words,)).try_crash_everywhere(async |t| once(t, Err).await));
    assert!(
        text.contains("run `w` had ended before") && text.contains("take `SignalError::Closed` for sent"),
        "{text}"
    );
    let text = failure(Test::of((two_words,)).try_crash_everywhere(async |t| {
        let run = t.start(two_words()).id("w").await?;
        for (word, message) in [(1, "first"), (2, "second")] {
            if run.signal_once(GO, word, message).await == Err(SignalError::Closed) {
                return Ok(0);
            }
        }
        Ok(run.result().await?)
    }));
    assert!(text.contains("the scenario returns 0, and without a crash 12") && !text.contains("hint"), "{text}");
    let sent = |error| if error == SignalError::Closed { Ok(()) } else { Err(error) };
    Test::of((two_words,)).crash_everywhere(async |t| once(t, sent).await);
}

#[test]
fn a_variable_counts_here_too() {
    let bank = Service::new("bank");
    let pay = Test::of((one, charge)).service(&bank);
    let report = pay.crash_everywhere(async |t| Ok(t.start(one()).id("one").await?.result().await?));
    assert!(report.distinct > 10, "{report}");
}

#[test]
fn every_second_crash_is_tried_where_that_is_wanted() {
    let bank = Service::new("bank");
    let pay = || Test::of((one, charge)).service(&bank);
    let once = pay().crash_everywhere(async |t| Ok(t.start(one()).id("one").await?.result().await?));
    let twice = pay().crash_twice().crash_everywhere(async |t| Ok(t.start(one()).id("one").await?.result().await?));
    assert_eq!((twice.distinct, twice.operations), (once.distinct, once.operations));
    assert!(twice.second_distinct > 5 * once.second_distinct, "{once}\n{twice}");
}
