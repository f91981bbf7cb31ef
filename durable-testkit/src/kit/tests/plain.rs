//! Tests in simulated time.

use std::cell::{Cell, RefCell};
use std::time::{Duration, SystemTime};

use durable::prelude::*;

use crate::{App, Failure, Service, Test};

const DAY: Duration = Duration::from_secs(86_400);
const GO: Signal<u32> = Signal::new("go");

#[activity]
async fn mail(to: String) -> Result<(), String> {
    Err(format!("no mail to {to}"))
}

#[activity(retry = fixed("1s"))]
async fn slow(seconds: u64) -> Result<u64, String> {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    Ok(seconds)
}

#[activity]
fn inline(State(secret): State<String>, n: u32) -> Result<String, String> {
    Ok(format!("{secret}{n}"))
}

#[workflow]
async fn trial(user: String) -> durable::Result<String> {
    durable::sleep(30 * DAY).await;
    mail(user).await?;
    Ok("ended".to_owned())
}

#[workflow]
async fn naps(n: u64) -> durable::Result<u64> {
    let mut slept = 0;
    for _ in 0..n {
        slept += slow(10).await?;
    }
    Ok(slept)
}

#[workflow]
async fn waits() -> durable::Result<u32> {
    Ok(GO.recv().await)
}

#[workflow]
async fn tells(n: u32) -> durable::Result<String> {
    Ok(inline(n).await?)
}

#[workflow]
async fn clock() -> durable::Result<String> {
    Ok(inline(nanos()).await?)
}

/// Where the macro does not see it.
fn nanos() -> u32 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos()
}

#[workflow]
async fn hashed() -> durable::Result<()> {
    let all: std::collections::HashMap<u32, ()> = (0..20).map(|n| (n, ())).collect();
    for n in all.into_keys() {
        inline(n).await?;
    }
    Ok(())
}

#[workflow]
async fn panics(n: u32) -> durable::Result<()> {
    assert!(n < 3, "{n} is too much");
    Ok(())
}

fn ok(n: u32) -> Result<String, String> {
    Ok(n.to_string())
}

fn failure<R: std::fmt::Debug>(failed: Result<R, Failure>) -> String {
    let failure = failed.unwrap_err();
    println!("{failure}");
    failure.to_string()
}

#[test]
fn a_trial_ends_after_thirty_days() {
    let mails = Cell::new(0);
    Test::of((trial, mail))
        .double(mail, async |_: String| {
            mails.set(mails.get() + 1);
            Ok(())
        })
        .run(async |t| {
            let run = t.start(trial("ada".into())).id("ada").await?;
            t.advance(29 * DAY).await;
            assert_eq!(mails.get(), 0);
            t.advance(DAY).await;
            assert_eq!(mails.get(), 1);
            assert_eq!(run.result().await?, "ended");
            Ok(())
        });
}

#[test]
fn the_clock_goes_to_the_next_timer_and_no_further() {
    Test::of((trial, mail)).returns(mail, || Ok(())).run(async |t| {
        let begun = t.now();
        assert_eq!(t.advance_to_next_timer().await, None);
        let run = t.start(trial("ada".into())).id("ada").await?;
        let span = t.advance_to_next_timer().await.unwrap();
        assert!(span > 29 * DAY && span <= 30 * DAY, "{span:?}");
        assert!(run.status().await?.is_closed());
        assert_eq!(t.now().duration_since(begun)?, t.elapsed());
        t.set_wall_back(DAY);
        assert_eq!(t.now().duration_since(begun)? + DAY, t.elapsed());
        t.set_wall_forward(2 * DAY);
        assert_eq!(t.now().duration_since(begun)?, t.elapsed() + DAY);
        Ok(())
    });
}

#[test]
fn the_next_timer_is_as_near_as_a_clock_that_was_set_lets_it_be() {
    let set = |set: fn(&App)| {
        Test::of((trial, mail)).returns(mail, || Ok(())).run(async |t| {
            let run = t.start(trial("ada".into())).id("ada").await?;
            t.advance(DAY).await;
            set(&t);
            let span = t.advance_to_next_timer().await.unwrap();
            assert!(run.status().await?.is_closed(), "behind {span:?}");
            Ok(span)
        })
    };
    let days = |span: Duration| span.as_secs_f64() / 86_400.0;
    assert!((28.9..29.01).contains(&days(set(|_| {}))));
    assert!((28.9..29.01).contains(&days(set(|t| t.set_wall_back(DAY)))));
    assert!((18.9..19.01).contains(&days(set(|t| t.set_wall_forward(10 * DAY)))));
}

#[test]
fn a_run_is_not_later_than_a_wall_clock_that_was_set_forward() {
    let took = Test::of((trial, mail)).returns(mail, || Ok(())).run(async |t| {
        let run = t.start(trial("ada".into())).id("ada").await?;
        t.set_wall_forward(10 * DAY);
        run.result().await?;
        Ok(t.elapsed())
    });
    assert!(took > 19 * DAY && took < 21 * DAY, "{took:?}");
}

#[test]
fn a_wall_clock_that_is_set_forward_fires_a_timer() {
    Test::of((trial, mail)).returns(mail, || Ok(())).run(async |t| {
        let run = t.start(trial("ada".into())).id("ada").await?;
        t.set_wall_forward(31 * DAY);
        assert_eq!(run.result().await?, "ended");
        assert!(t.elapsed() < DAY);
        Ok(())
    });
}

#[test]
fn a_run_goes_on_behind_every_kind_of_restart() {
    let test = || Test::of((naps, slow)).seeds(3);
    let took = test().run(async |t| {
        let run = t.start(naps(4)).id("n").await?;
        t.advance(Duration::from_secs(15)).await;
        t.crash().await;
        t.advance(Duration::from_secs(12)).await;
        t.power_cut().await;
        t.advance(Duration::from_secs(2)).await;
        t.crash_for(Duration::from_secs(100)).await;
        t.restart().await;
        assert_eq!(run.result().await?, 40);
        assert_eq!(t.run(naps, "n").await?.result().await?, 40);
        Ok(t.elapsed())
    });
    assert!(took > Duration::from_secs(140) && took < Duration::from_secs(200), "{took:?}");
}

#[test]
fn another_build_is_deployed_and_doubles_stay() {
    #[workflow(name = "tells")]
    async fn tells_more(n: u32) -> durable::Result<String> {
        let first = inline(n).await?;
        Ok(first + &inline(n + 1).await?)
    }

    Test::of((tells, inline)).double(inline, async |n: u32| ok(n)).run(async |t| {
        let old = t.start(tells(1)).id("old").await?.result().await?;
        t.deploy((tells_more, inline)).await;
        let new = t.start(tells_more(1)).id("new").await?.result().await?;
        assert_eq!((old.as_str(), new.as_str()), ("1", "12"));
        Ok(())
    });
}

#[test]
fn a_double_borrows_from_the_test_knows_its_attempt_and_needs_no_state() {
    let seen = RefCell::new(Vec::new());
    Test::of((tells, inline))
        .double(inline, async |n: u32| {
            let info = durable::activity::info();
            tokio::time::sleep(Duration::from_secs(1)).await;
            seen.borrow_mut().push((n, info.attempt.0, durable::activity::idempotency_key()));
            if info.attempt.0 < 3 { Err("not yet".to_owned()) } else { ok(n) }
        })
        .run(async |t| {
            assert_eq!(t.start(tells(5)).await?.result().await?, "5");
            assert_eq!(t.attempts(inline), 3);
            Ok(())
        });
    let seen = seen.into_inner();
    assert_eq!(seen.iter().map(|(n, attempt, _)| (*n, *attempt)).collect::<Vec<_>>(), [(5, 1), (5, 2), (5, 3)]);
    assert!(seen.iter().all(|(_, _, key)| *key == seen[0].2));
}

#[test]
fn the_first_attempts_fail_and_then_the_body_runs() {
    let test = Test::of((tells, inline)).state("s".to_owned()).first(2, inline, || Err("no".to_owned()));
    test.run(async |t| {
        assert_eq!(t.start(tells(5)).await?.result().await?, "s5");
        assert_eq!(t.attempts(inline), 3);
        Ok(())
    });
}

#[test]
fn a_stall_says_what_each_run_waits_for() {
    let text = failure(Test::of((waits,)).try_run(async |t| Ok(t.start(waits()).id("w").await?.result().await?)));
    assert!(
        text.contains("waits for something that never comes\nw (waits): running\n  waits for signal `go`"),
        "{text}"
    );
}

#[test]
fn an_attempt_that_fails_for_ever_is_told() {
    let test = || Test::of((trial, mail)).without_replays();
    let play = async |t: App| Ok(t.start(trial("a".into())).id("a").await?.result().await?);
    let text = failure(test().try_run(play));
    let told = "`mail` of run `a` was attempted 1000 times, failed each time, and is tried again; the last error: no mail to a\n";
    assert!(text.starts_with(told) && text.contains("`Test::attempts_max`"), "{text}");
    let text = failure(test().polls_max(5_000).try_run(play));
    assert!(
        text.contains("the scenario does not end") && text.contains("waits for activity `mail`, attempt 3"),
        "{text}"
    );
}

#[test]
fn a_panic_in_a_double_ends_the_test_at_once() {
    let calls = Cell::new(0);
    let test = Test::of((tells, inline)).double(inline, async |n: u32| {
        calls.set(calls.get() + 1);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(n, 6, "another argument");
        ok(n)
    });
    let text = failure(test.try_run(async |t| Ok(t.start(tells(5)).id("t").await?.result().await?)));
    let told =
        "the double of `inline` panicked, in attempt 1 of run `t`: assertion `left == right` failed: another argument";
    assert!(text.starts_with(told) && text.contains("kit/tests/plain.rs:"), "{text}");
    assert_eq!(calls.get(), 1);
}

#[test]
fn a_blocked_run_fails_the_test_with_its_reason() {
    let text = failure(Test::of((panics,)).try_run(async |t| Ok(t.start(panics(7)).id("p").await?.result().await?)));
    assert!(text.starts_with("run `p` is blocked: ") && text.contains("7 is too much"), "{text}");
    let text = failure(Test::of((panics,)).try_run(async |t| {
        t.start(panics(7)).id("p").await?;
        t.settle().await;
        Ok(())
    }));
    assert!(text.starts_with("run `p` is blocked: "), "{text}");
    Test::of((panics,)).without_replays().run(async |t| {
        let blocked = t.start(panics(7)).id("p").await?.result_or_blocked().await.unwrap_err();
        assert!(blocked.reason.contains("7 is too much"));
        Ok(())
    });
}

#[test]
fn a_failed_test_says_how_to_repeat_it() {
    let text = failure(Test::of((tells, inline)).returns(inline, || ok(1)).seeds(3).try_run(async |t| {
        t.start(tells(1)).id("t").await?.result().await?;
        assert_eq!(t.now(), SystemTime::UNIX_EPOCH, "as if");
        Ok(())
    }));
    assert!(text.starts_with("the scenario panicked: assertion `left == right` failed: as if"), "{text}");
    assert!(text.contains("`t`: inline, attempt 1, returns Ok"), "{text}");
    let line = "to repeat it: DURABLE_SEED=1 cargo test kit::tests::plain::a_failed_test_says_how_to_repeat_it";
    assert!(text.ends_with(line), "{text}");
}

/// Plays another test of this file as a user does, with this in the environment; gives what it printed.
fn played_with(variable: &str, value: &str, test: &str) -> (bool, String) {
    let mut harness = std::process::Command::new(std::env::current_exe().unwrap());
    let path = format!("kit::tests::{test}");
    let played = harness.args(["--exact", "--nocapture", &path]).env(variable, value).output().unwrap();
    let text = String::from_utf8([played.stdout, played.stderr].concat()).unwrap();
    assert!(text.contains("running 1 test"), "{text}");
    (played.status.success(), text)
}

#[test]
fn a_variable_that_is_no_number_fails_the_test_where_it_stands() {
    let (passed, text) = played_with("DURABLE_SEED", "seven", "plain::a_trial_ends_after_thirty_days");
    assert!(!passed && text.contains("DURABLE_SEED is \"seven\", and is to be a number"), "{text}");
    assert!(text.contains("kit/tests/plain.rs:"), "{text}");
    let (passed, text) =
        played_with("DURABLE_SEEDS", "many", "crashes::every_second_crash_is_tried_where_that_is_wanted");
    assert!(!passed && text.contains("DURABLE_SEEDS is \"many\", and is to be a number"), "{text}");
    assert!(text.contains("kit/tests/crashes.rs:"), "{text}");
}

#[test]
fn the_environment_says_how_many_seeds_are_crashed_everywhere() {
    let (passed, text) = played_with("DURABLE_SEEDS", "2", "crashes::a_variable_counts_here_too");
    assert!(passed && text.contains("crashes under 2 seeds: "), "{text}");
    let (passed, text) = played_with("DURABLE_SEED", "7", "crashes::a_variable_counts_here_too");
    assert!(passed && text.contains("\ncrashes: "), "{text}");
}

#[test]
fn a_missing_state_and_an_error_are_told() {
    let text = failure(Test::of((tells, inline)).try_run(async |_| Ok(())));
    assert!(text.contains("takes a state of type `alloc::string::String`"), "{text}");
    let text = failure(Test::of((tells,)).try_run(async |_| -> durable::Result<()> { Err("no".into()) }));
    assert!(text.starts_with("the scenario returned an error: no"), "{text}");
}

#[test]
fn a_workflow_that_reads_the_clock_fails_its_test() {
    let test = || Test::of((clock, inline)).returns(inline, || ok(1));
    let text = failure(test().try_run(async |t| Ok(t.start(clock()).id("c").await?.result().await?)));
    assert!(text.starts_with("what was recorded does not replay"), "{text}");
    assert!(text.contains("the journal holds") && text.contains("the code asks for"), "{text}");
    test().without_replays().run(async |t| Ok(t.start(clock()).await?.result().await?));
}

#[test]
fn a_workflow_that_follows_the_order_of_a_hash_map_fails_its_test() {
    let test = Test::of((hashed, inline)).returns(inline, || ok(1));
    let text = failure(test.try_run(async |t| Ok(t.start(hashed()).id("h").await?.result().await?)));
    assert!(text.starts_with("what was recorded does not replay"), "{text}");
}

#[workflow]
async fn pays(order: u32) -> durable::Result<u32> {
    Ok(pay(order).await?)
}

#[activity(start_to_close = "1m", retry = fixed("1s"))]
async fn pay(State(bank): State<Service>, order: u32) -> Result<u32, String> {
    Ok(bank.call_once(durable::activity::idempotency_key(), format!("charge:{order}"), || order).await?)
}

#[test]
fn a_service_takes_its_time_fails_and_keeps_silent_and_its_ledger_tells() {
    let range = Duration::from_millis(10)..Duration::from_secs(3);
    let bank = Service::new("bank").latency(range).fails(30).ambiguous(30).down_for(Duration::from_secs(20));
    let took = Test::of((pays, pay)).service(&bank).seeds(5).run(async |t| {
        let run = t.start(pays(7)).id("o").await?;
        assert_eq!(run.result().await?, 7);
        bank.assert_effects(["charge:7"]);
        let ledger = bank.ledger();
        assert!(t.elapsed() > Duration::from_secs(20) && ledger.effects[0].acknowledged);
        let asked_again = ledger.effects[0].repeats;
        bank.goes_down_for(Duration::from_secs(60));
        let begun = t.elapsed();
        assert_eq!(t.start(pays(8)).id("p").await?.result().await?, 8);
        assert!(t.elapsed() - begun > Duration::from_secs(60));
        assert_eq!(bank.ledger().count("charge:8"), 1);
        Ok(asked_again)
    });
    println!("asked again {took} times\n{}", bank.ledger());
    assert_eq!(bank.ledger().effects.len(), 2);
}

#[test]
fn a_double_charge_is_seen_in_the_ledger() {
    #[activity]
    async fn careless(State(bank): State<Service>) -> Result<(), String> {
        Ok(bank.call("charge", || ()).await?)
    }

    #[workflow]
    async fn sells() -> durable::Result<()> {
        Ok(careless().await?)
    }

    let bank = Service::new("bank").latency(Duration::from_secs(2)..Duration::from_secs(3));
    let text = failure(Test::of((sells, careless)).service(&bank).try_run(async |t| {
        let run = t.start(sells()).id("o").await?;
        t.advance(Duration::from_millis(1600)).await;
        t.crash().await;
        run.result().await?;
        bank.assert_effects(["charge"]);
        Ok(())
    }));
    assert!(text.contains("bank had other effects than [\"charge\"]"), "{text}");
    assert!(text.contains("charge  for `o`, careless, attempt 1, without a key, nobody heard the answer"), "{text}");
}

#[test]
fn a_failure_is_the_same_whenever_it_is_repeated() {
    let told = || {
        let bank =
            Service::new("bank").latency(Duration::from_millis(1)..Duration::from_secs(9)).fails(40).ambiguous(20);
        failure(Test::of((pays, pay)).service(&bank).seeds(2).try_run(async |t| -> durable::Result<()> {
            t.start(pays(7)).id("o").await?.result().await?;
            t.crash().await;
            t.start(pays(8)).id("p").await?.result().await?;
            if bank.ledger().effects.len() == 2 { Err("as it should".into()) } else { Ok(()) }
        }))
    };
    assert_eq!(told(), told());
}

#[test]
fn a_test_inside_a_runtime_is_told_to_be_a_plain_one() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let text = failure(runtime.block_on(async { Test::of((waits,)).try_run(async |_| Ok(())) }));
    assert!(text.starts_with("this is inside a tokio runtime: a test of workflows is a plain `#[test] fn`"), "{text}");
}
