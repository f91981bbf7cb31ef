//! What becomes of attempts: retries, limits, crashes, shutdowns, slots.

use expect_test::expect;

use super::flows::app;
use super::{check, tell};
use crate::kernel::engine::Residence;

#[test]
fn sequential_steps_take_one_group_each() {
    check(
        &[app()],
        "start steps | watch steps | ok a 10 | ok b 5",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > watch steps
            > ok a 10
              steps.2 ActivityCompleted 1: 10
              steps.3 Turn of 2: call 2 b
            < begin b{"x":10} of steps, seq 2, attempt 1, key 2
            > ok b 5
              steps.4 ActivityCompleted 2: 5
              steps.5 Turn of 4: nothing
              steps.6 RunEnded: Completed 15
            < watch steps: Completed 15
        "#]],
    );
}

#[test]
fn a_retry_waits_its_time_over_a_crash() {
    check(
        &[app()],
        "start a | fail a down | advance 500ms | crash | advance 400ms | advance 100ms | ok a 3",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > fail a down
              a.2 AttemptFailed 1, attempt 1: `down`, next at 1s
            > advance 500ms
            > crash
              a is loaded
            > advance 400ms
            > advance 100ms
              a.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of a, seq 1, attempt 2, key 1
            > ok a 3
              a.4 ActivityCompleted 1: 3
              a.5 Turn of 4: nothing
              a.6 RunEnded: Completed "3"
        "#]],
    );
}

#[test]
fn a_retry_due_tomorrow_is_not_burnt_by_a_restart_today() {
    check(
        &[app()],
        "start daily | fail daily down | crash | close | open | crash | advance 1d | ok daily 1",
        &expect![[r#"
            > start daily
              daily.0 RunStarted one{"name":"daily"}
              daily.1 Turn of 0: call 1 daily
            < start daily: started
            < begin daily{"x":1} of daily, seq 1, attempt 1, key 1
            > fail daily down
              daily.2 AttemptFailed 1, attempt 1: `down`, next at 1d
            > crash
              daily is loaded
            > close
            > open
              daily is loaded
            > crash
              daily is loaded
            > advance 1d
              daily.3 AttemptStarted 1, attempt 2
            < begin daily{"x":1} of daily, seq 1, attempt 2, key 1
            > ok daily 1
              daily.4 ActivityCompleted 1: 1
              daily.5 Turn of 4: nothing
              daily.6 RunEnded: Completed "1"
        "#]],
    );
}

#[test]
fn the_last_error_is_the_call_s() {
    check(
        &[app()],
        "start a | fail a one | advance 1s | fail a two | advance 1s | fail a three",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > fail a one
              a.2 AttemptFailed 1, attempt 1: `one`, next at 1s
            > advance 1s
              a.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of a, seq 1, attempt 2, key 1
            > fail a two
              a.4 AttemptFailed 1, attempt 2: `two`, next at 2s
            > advance 1s
              a.5 AttemptStarted 1, attempt 3
            < begin a{"x":1} of a, seq 1, attempt 3, key 1
            > fail a three
              a.6 ActivityFailed 1, attempt 3: `three`
              a.7 Turn of 6: nothing
              a.8 RunEnded: Completed "App(three)"
        "#]],
    );
}

#[test]
fn a_panic_is_a_failed_attempt() {
    check(
        &[app()],
        "start a | panic a ouch | advance 1s | panic a ouch | advance 1s | panic a ouch",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > panic a ouch
              a.2 AttemptFailed 1, attempt 1: panicked `ouch`, next at 1s, may stand
            > advance 1s
              a.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of a, seq 1, attempt 2, key 1
            > panic a ouch
              a.4 AttemptFailed 1, attempt 2: panicked `ouch`, next at 2s, may stand
            > advance 1s
              a.5 AttemptStarted 1, attempt 3
            < begin a{"x":1} of a, seq 1, attempt 3, key 1
            > panic a ouch
              a.6 ActivityFailed 1, attempt 3: exhausted after 3: panicked: ouch, may stand
              a.7 Turn of 6: nothing
              a.8 RunEnded: Completed "Exhausted { attempts: 3, last: Panicked(\"ouch\") }"
        "#]],
    );
}

#[test]
fn a_final_error_ends_the_call_at_once() {
    check(
        &[app()],
        "start a | fatal a never",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > fatal a never
              a.2 ActivityFailed 1, attempt 1: `never`
              a.3 Turn of 2: nothing
              a.4 RunEnded: Completed "App(never)"
        "#]],
    );
}

#[test]
fn an_attempt_that_takes_too_long_is_stopped() {
    check(
        &[app()],
        "start slow | advance 10s | advance 1s | advance 10s",
        &expect![[r#"
            > start slow
              slow.0 RunStarted one{"name":"slow"}
              slow.1 Turn of 0: call 1 slow
            < start slow: started
            < begin slow{"x":1} of slow, seq 1, attempt 1, key 1
            > advance 10s
              slow.2 AttemptFailed 1, attempt 1: timed out, next at 11s, may stand
            < stop slow of slow
            > advance 1s
              slow.3 AttemptStarted 1, attempt 2
            < begin slow{"x":1} of slow, seq 1, attempt 2, key 1
            > advance 10s
              slow.4 ActivityFailed 1, attempt 2: exhausted after 2: timed out (StartToClose), may stand
              slow.5 Turn of 4: nothing
              slow.6 RunEnded: Completed "Exhausted { attempts: 2, last: TimedOut(StartToClose) }"
            < stop slow of slow
        "#]],
    );
}

#[test]
fn the_result_of_an_attempt_that_timed_out_is_not_that_of_the_next() {
    check(
        &[app()],
        "start slow | advance 10s | advance 1s | late slow 7 | ok slow 8",
        &expect![[r#"
            > start slow
              slow.0 RunStarted one{"name":"slow"}
              slow.1 Turn of 0: call 1 slow
            < start slow: started
            < begin slow{"x":1} of slow, seq 1, attempt 1, key 1
            > advance 10s
              slow.2 AttemptFailed 1, attempt 1: timed out, next at 11s, may stand
            < stop slow of slow
            > advance 1s
              slow.3 AttemptStarted 1, attempt 2
            < begin slow{"x":1} of slow, seq 1, attempt 2, key 1
            > late slow 7
            > ok slow 8
              slow.4 ActivityCompleted 1: 8
              slow.5 Turn of 4: nothing
              slow.6 RunEnded: Completed "8"
        "#]],
    );
}

#[test]
fn a_call_that_takes_too_long_is_stopped() {
    check(
        &[app()],
        "start urgent | fail urgent down | advance 4s | advance 6s",
        &expect![[r#"
            > start urgent
              urgent.0 RunStarted one{"name":"urgent"}
              urgent.1 Turn of 0: call 1 urgent until 10s
            < start urgent: started
            < begin urgent{"x":1} of urgent, seq 1, attempt 1, key 1
            > fail urgent down
              urgent.2 AttemptFailed 1, attempt 1: `down`, next at 4s
            > advance 4s
              urgent.3 AttemptStarted 1, attempt 2
            < begin urgent{"x":1} of urgent, seq 1, attempt 2, key 1
            > advance 6s
              urgent.4 ActivityFailed 1, attempt 2: timed out (ScheduleToClose), may stand
              urgent.5 Turn of 4: nothing
              urgent.6 RunEnded: Completed "TimedOut(ScheduleToClose)"
            < stop urgent of urgent
        "#]],
    );
}

#[test]
fn no_retry_is_planned_past_the_deadline_of_the_call() {
    check(
        &[app()],
        "start urgent | fail urgent one | advance 4s | fail urgent two | advance 1s",
        &expect![[r#"
            > start urgent
              urgent.0 RunStarted one{"name":"urgent"}
              urgent.1 Turn of 0: call 1 urgent until 10s
            < start urgent: started
            < begin urgent{"x":1} of urgent, seq 1, attempt 1, key 1
            > fail urgent one
              urgent.2 AttemptFailed 1, attempt 1: `one`, next at 4s
            > advance 4s
              urgent.3 AttemptStarted 1, attempt 2
            < begin urgent{"x":1} of urgent, seq 1, attempt 2, key 1
            > fail urgent two
              urgent.4 AttemptFailed 1, attempt 2: `two`, next at 8s
            > advance 1s
        "#]],
    );
}

#[test]
fn an_at_least_once_attempt_is_interrupted_by_a_crash_and_begins_again() {
    check(
        &[app()],
        "start a | crash | ok a 3",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > crash
              a is loaded
              a.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              a.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of a, seq 1, attempt 2, key 1
            > ok a 3
              a.4 ActivityCompleted 1: 3
              a.5 Turn of 4: nothing
              a.6 RunEnded: Completed "3"
        "#]],
    );
}

#[test]
fn crashes_use_up_the_attempts() {
    check(
        &[app()],
        "start a | crash | crash | crash",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > crash
              a is loaded
              a.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              a.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of a, seq 1, attempt 2, key 1
            > crash
              a is loaded
              a.4 AttemptFailed 1, attempt 2: interrupted, next at 0ms, may stand
              a.5 AttemptStarted 1, attempt 3
            < begin a{"x":1} of a, seq 1, attempt 3, key 1
            > crash
              a is loaded
              a.6 ActivityFailed 1, attempt 3: exhausted after 3: interrupted: its process ended while it ran, may stand
              a.7 Turn of 6: nothing
              a.8 RunEnded: Completed "Exhausted { attempts: 3, last: Interrupted }"
        "#]],
    );
}

#[test]
fn an_at_most_once_attempt_is_not_begun_again_after_a_crash() {
    check(
        &[app()],
        "start once | crash",
        &expect![[r#"
            > start once
              once.0 RunStarted one{"name":"once"}
              once.1 Turn of 0: call 1 once at most once
              once.2 AttemptStarted 1, attempt 1
            < start once: started
            < begin once{"x":1} of once, seq 1, attempt 1, key 1
            > crash
              once is loaded
              once.3 ActivityFailed 1, attempt 1: interrupted: its process ended while it ran, may stand
              once.4 Turn of 3: nothing
              once.5 RunEnded: Completed "Interrupted"
        "#]],
    );
}

#[test]
fn a_clean_stop_parks_an_attempt_and_burns_none() {
    check(
        &[app()],
        "start a | close | open | ok a 3",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > close
              a.2 AttemptParked 1, attempt 1
            < stop a of a
            > open
              a is loaded
              a.3 AttemptStarted 1, attempt 1
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > ok a 3
              a.4 ActivityCompleted 1: 3
              a.5 Turn of 4: nothing
              a.6 RunEnded: Completed "3"
        "#]],
    );
}

#[test]
fn a_clean_stop_interrupts_an_at_most_once_attempt_that_does_not_end() {
    check(
        &[app()],
        "start once | close | open",
        &expect![[r#"
            > start once
              once.0 RunStarted one{"name":"once"}
              once.1 Turn of 0: call 1 once at most once
              once.2 AttemptStarted 1, attempt 1
            < start once: started
            < begin once{"x":1} of once, seq 1, attempt 1, key 1
            > close
              once.3 ActivityFailed 1, attempt 1: interrupted: its process ended while it ran, may stand
              once.4 Turn of 3: nothing
              once.5 RunEnded: Completed "Interrupted"
            < stop once of once
            > open
        "#]],
    );
}

#[test]
fn a_deadline_that_passed_while_no_process_ran_says_that_the_attempt_may_have_run() {
    check(
        &[app()],
        "start urgent | kill | advance 11s | open",
        &expect![[r#"
            > start urgent
              urgent.0 RunStarted one{"name":"urgent"}
              urgent.1 Turn of 0: call 1 urgent until 10s
            < start urgent: started
            < begin urgent{"x":1} of urgent, seq 1, attempt 1, key 1
            > kill
            > advance 11s
            > open
              urgent.2 ActivityFailed 1, attempt 1: timed out (ScheduleToClose), may stand
              urgent is loaded
              urgent.3 Turn of 2: nothing
              urgent.4 RunEnded: Completed "TimedOut(ScheduleToClose)"
        "#]],
    );
}

#[test]
fn attempts_wait_for_a_slot() {
    check(
        &[app()],
        "attempts 2 | start many | ok single#1 1 | ok single#2 2 | ok single#3 3 | ok single#4 4",
        &expect![[r#"
            > attempts 2
            > start many
              many.0 RunStarted many{}
              many.1 Turn of 0: call 1 single, call 2 single, call 3 single, call 4 single
            < start many: started
            < begin single{"x":0} of many, seq 1, attempt 1, key 1
            < begin single{"x":1} of many, seq 2, attempt 1, key 2
            > ok single#1 1
              many.2 ActivityCompleted 1: 1
              many.3 Turn of 2: nothing
              many.4 AttemptStarted 3, attempt 1
            < begin single{"x":2} of many, seq 3, attempt 1, key 3
            > ok single#2 2
              many.5 ActivityCompleted 2: 2
              many.6 Turn of 5: nothing
              many.7 AttemptStarted 4, attempt 1
            < begin single{"x":3} of many, seq 4, attempt 1, key 4
            > ok single#3 3
              many.8 ActivityCompleted 3: 3
              many.9 Turn of 8: nothing
            > ok single#4 4
              many.10 ActivityCompleted 4: 4
              many.11 Turn of 10: nothing
              many.12 RunEnded: Completed ["1","2","3","4"]
        "#]],
    );
}

#[test]
fn a_slot_that_a_drop_frees_is_passed_on() {
    check(
        &[app()],
        "attempts 1 | start race | start single | ok a 1 | ok single 1",
        &expect![[r#"
            > attempts 1
            > start race
              race.0 RunStarted race{}
              race.1 Turn of 0: call 1 a, call 2 b
            < start race: started
            < begin a{"x":1} of race, seq 1, attempt 1, key 1
            > start single
              single.0 RunStarted one{"name":"single"}
              single.1 Turn of 0: call 1 single
            < start single: started
            > ok a 1
              race.2 ActivityCompleted 1: 1
              race.3 Turn of 2: drop 2, await 3 stop
              single.2 AttemptStarted 1, attempt 1
            < begin single{"x":1} of single, seq 1, attempt 1, key 2
            > ok single 1
              single.3 ActivityCompleted 1: 1
              single.4 Turn of 3: nothing
              single.5 RunEnded: Completed "1"
        "#]],
    );
}

#[test]
fn a_slot_that_a_dropped_call_frees_is_passed_on() {
    check(
        &[app()],
        "attempts 1 | start race | start single | signal race go 1 | cancel race | ok single 1",
        &expect![[r#"
            > attempts 1
            > start race
              race.0 RunStarted race{}
              race.1 Turn of 0: call 1 a, call 2 b
            < start race: started
            < begin a{"x":1} of race, seq 1, attempt 1, key 1
            > start single
              single.0 RunStarted one{"name":"single"}
              single.1 Turn of 0: call 1 single
            < start single: started
            > signal race go 1
              race.2 SignalReceived go: 1
              race.3 Turn of 2: nothing
            < signal race go: done
            > cancel race
              race.4 CancelRequested by caller: asked
              race.5 Turn of 4: drop 1, drop 2
              race.6 RunEnded: Cancelled nothing
            < cancel race: done
            < stop a of race
              single.2 AttemptStarted 1, attempt 1
            < begin single{"x":1} of single, seq 1, attempt 1, key 2
            > ok single 1
              single.3 ActivityCompleted 1: 1
              single.4 Turn of 3: nothing
              single.5 RunEnded: Completed "1"
        "#]],
    );
}

#[test]
fn a_slot_of_a_timed_out_call_is_passed_on() {
    check(
        &[app()],
        "attempts 1 | start urgent | start single | advance 10s | ok single 1",
        &expect![[r#"
            > attempts 1
            > start urgent
              urgent.0 RunStarted one{"name":"urgent"}
              urgent.1 Turn of 0: call 1 urgent until 10s
            < start urgent: started
            < begin urgent{"x":1} of urgent, seq 1, attempt 1, key 1
            > start single
              single.0 RunStarted one{"name":"single"}
              single.1 Turn of 0: call 1 single
            < start single: started
            > advance 10s
              urgent.2 ActivityFailed 1, attempt 1: timed out (ScheduleToClose), may stand
              urgent.3 Turn of 2: nothing
              urgent.4 RunEnded: Completed "TimedOut(ScheduleToClose)"
            < stop urgent of urgent
              single.2 AttemptStarted 1, attempt 1
            < begin single{"x":1} of single, seq 1, attempt 1, key 2
            > ok single 1
              single.3 ActivityCompleted 1: 1
              single.4 Turn of 3: nothing
              single.5 RunEnded: Completed "1"
        "#]],
    );
}

#[test]
fn a_slot_given_to_a_blocked_run_is_passed_on() {
    check(
        &[app()],
        "attempts 1 | start a | start panics | start single | signal panics go 1 | ok a 1 | ok single 1",
        &expect![[r#"
            > attempts 1
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > start panics
              panics.0 RunStarted panics{}
              panics.1 Turn of 0: call 1 single, await 2 go
            < start panics: started
            > start single
              single.0 RunStarted one{"name":"single"}
              single.1 Turn of 0: call 1 single
            < start single: started
            > signal panics go 1
              panics.2 SignalReceived go: 1
              panics.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/flows.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            < signal panics go: done
              ! the workflow panicked after its durable call at durable/src/script/flows.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > ok a 1
              a.2 ActivityCompleted 1: 1
              a.3 Turn of 2: nothing
              a.4 RunEnded: Completed "1"
              single.2 AttemptStarted 1, attempt 1
            < begin single{"x":1} of single, seq 1, attempt 1, key 2
            > ok single 1
              single.3 ActivityCompleted 1: 1
              single.4 Turn of 3: nothing
              single.5 RunEnded: Completed "1"
        "#]],
    );
}

#[test]
fn a_retry_that_comes_due_after_a_crash_has_its_input_again() {
    check(
        &[app()],
        "start daily | close | open | fail daily down | crash | advance 1d",
        &expect![[r#"
            > start daily
              daily.0 RunStarted one{"name":"daily"}
              daily.1 Turn of 0: call 1 daily
            < start daily: started
            < begin daily{"x":1} of daily, seq 1, attempt 1, key 1
            > close
              daily.2 AttemptParked 1, attempt 1
            < stop daily of daily
            > open
              daily is loaded
              daily.3 AttemptStarted 1, attempt 1
            < begin daily{"x":1} of daily, seq 1, attempt 1, key 1
            > fail daily down
              daily.4 AttemptFailed 1, attempt 1: `down`, next at 1d, may stand
            > crash
              daily is loaded
            > advance 1d
              daily.5 AttemptStarted 1, attempt 2
            < begin daily{"x":1} of daily, seq 1, attempt 2, key 1
        "#]],
    );
}

/// The input of a call that waits for its next attempt is let go with its run: the retry brings both back.
#[test]
fn a_retry_of_a_run_that_was_put_away_reloads_it_for_its_input() {
    let script = "start branches | fail a down | ok a 100 | advance 1s";
    let told = tell(&[app()], script, Residence::PutAwayAtEveryAwait);
    let (_, retry) = told.split_once("> advance 1s").unwrap();
    let order = ["branches is loaded", "AttemptStarted 1, attempt 2", "begin a"].map(|line| retry.find(line));
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{told}");
}

#[test]
fn an_at_most_once_attempt_that_failed_is_tried_again() {
    check(
        &[app()],
        "start once | fail once down | advance 1s | ok once 1",
        &expect![[r#"
            > start once
              once.0 RunStarted one{"name":"once"}
              once.1 Turn of 0: call 1 once at most once
              once.2 AttemptStarted 1, attempt 1
            < start once: started
            < begin once{"x":1} of once, seq 1, attempt 1, key 1
            > fail once down
              once.3 AttemptFailed 1, attempt 1: `down`, next at 1s
            > advance 1s
              once.4 AttemptStarted 1, attempt 2
            < begin once{"x":1} of once, seq 1, attempt 2, key 1
            > ok once 1
              once.5 ActivityCompleted 1: 1
              once.6 Turn of 5: nothing
              once.7 RunEnded: Completed "1"
        "#]],
    );
}

#[test]
fn an_at_most_once_attempt_that_may_have_done_it_is_not() {
    check(
        &[app()],
        "start once | panic once ouch | start once as timed | advance 5m",
        &expect![[r#"
            > start once
              once.0 RunStarted one{"name":"once"}
              once.1 Turn of 0: call 1 once at most once
              once.2 AttemptStarted 1, attempt 1
            < start once: started
            < begin once{"x":1} of once, seq 1, attempt 1, key 1
            > panic once ouch
              once.3 ActivityFailed 1, attempt 1: panicked: ouch, may stand
              once.4 Turn of 3: nothing
              once.5 RunEnded: Completed "Panicked(\"ouch\")"
            > start once as timed
              timed.0 RunStarted one{"name":"once"}
              timed.1 Turn of 0: call 1 once at most once
              timed.2 AttemptStarted 1, attempt 1
            < start timed: started
            < begin once{"x":1} of timed, seq 1, attempt 1, key 2
            > advance 5m
              timed.3 ActivityFailed 1, attempt 1: timed out (StartToClose), may stand
              timed.4 Turn of 3: nothing
              timed.5 RunEnded: Completed "TimedOut(StartToClose)"
            < stop once of timed
        "#]],
    );
}

#[test]
fn an_at_most_once_attempt_that_waited_for_a_slot_when_its_process_died_begins() {
    check(
        &[app()],
        "attempts 1 | start a | start once | crash | ok a 1 | ok once 1",
        &expect![[r#"
            > attempts 1
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > start once
              once.0 RunStarted one{"name":"once"}
              once.1 Turn of 0: call 1 once at most once
            < start once: started
            > crash
              a is loaded
              once is loaded
              a.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              a.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of a, seq 1, attempt 2, key 1
            > ok a 1
              a.4 ActivityCompleted 1: 1
              a.5 Turn of 4: nothing
              a.6 RunEnded: Completed "1"
              once.2 AttemptStarted 1, attempt 1
            < begin once{"x":1} of once, seq 1, attempt 1, key 2
            > ok once 1
              once.3 ActivityCompleted 1: 1
              once.4 Turn of 3: nothing
              once.5 RunEnded: Completed "1"
        "#]],
    );
}
