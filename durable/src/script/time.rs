//! What the clock does: timers, deadlines, and the clock set back.

use std::time::Duration;

use expect_test::expect;

use super::check;
use super::flows::{a, app};
use super::world::Build;
use crate::prelude::*;
use crate::registry::Registry;

#[test]
fn a_nap_takes_its_time() {
    check(
        &[app()],
        "start nap | watch nap | advance 59m | advance 1m",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > watch nap
            > advance 59m
            > advance 1m
              nap.2 TimerFired 1 at 1h
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
            < watch nap: Completed 1
        "#]],
    );
}

#[test]
fn sleep_survives_a_crash() {
    check(
        &[app()],
        "start nap | advance 30m | crash | advance 30m",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > advance 30m
            > crash
            > advance 30m
              nap.2 TimerFired 1 at 1h
              nap is loaded
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn a_timer_that_came_due_while_nobody_ran_fires_at_open() {
    check(
        &[app()],
        "start nap | kill | advance 2h | open",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > kill
            > advance 2h
            > open
              nap.2 TimerFired 1 at 2h
              nap is loaded
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn a_clock_set_back_prolongs_nothing() {
    check(
        &[app()],
        "start nap | advance 30m | clock back 5h | advance 30m",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > advance 30m
            > clock back 5h
            > advance 30m
              nap.2 TimerFired 1 at 1h
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn a_clock_set_forward_ends_what_is_over_by_it() {
    check(
        &[app()],
        "start nap | advance 10m | clock forward 40m | clock forward 15m | advance 1m",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > advance 10m
            > clock forward 40m
            > clock forward 15m
              nap.2 TimerFired 1 at 1h5m
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
            > advance 1m
        "#]],
    );
}

#[test]
fn a_clock_set_forward_and_back_shortens_nothing_that_was_not_over() {
    check(
        &[app()],
        "start nap | advance 10m | clock forward 40m | clock back 40m | advance 20m | advance 30m",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > advance 10m
            > clock forward 40m
            > clock back 40m
            > advance 20m
            > advance 30m
              nap.2 TimerFired 1 at 1h
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn a_clock_set_forward_ends_what_an_open_found_asleep() {
    check(
        &[app()],
        "start nap | crash | advance 10m | clock forward 1h",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > crash
            > advance 10m
            > clock forward 1h
              nap.2 TimerFired 1 at 1h10m
              nap is loaded
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
        "#]],
    );
}

/// Two hours, and a call that has one.
#[workflow]
async fn naps() -> Result<u32, String> {
    crate::sleep(Duration::from_secs(3600)).await;
    crate::sleep(Duration::from_secs(3600)).await;
    a(1).schedule_to_close(Duration::from_secs(3600)).await.map_err(|e| e.to_string())
}

#[test]
fn what_begins_after_the_clock_was_set_back_lasts_no_longer_either() {
    check(
        &[Build::new("naps", Registry::of((a, naps))).start("naps", || naps().into_start())],
        "advance 9h | start naps | clock back 5h | advance 1h | crash | advance 1h | advance 1h",
        &expect![[r#"
            > advance 9h
            > start naps
              naps.0 RunStarted naps{}
              naps.1 Turn of 0: timer 1 due 10h
            < start naps: started
            > clock back 5h
            > advance 1h
              naps.2 TimerFired 1 at 10h
              naps.3 Turn of 2: timer 2 due 6h
            > crash
            > advance 1h
              naps.4 TimerFired 2 at 6h
              naps is loaded
              naps.5 Turn of 4: call 3 a until 7h
            < begin a{"x":1} of naps, seq 3, attempt 1, key 1
            > advance 1h
              naps.6 ActivityFailed 3, attempt 1: timed out (StartToClose), may stand
              naps.7 Turn of 6: nothing
              naps.8 RunEnded: Failed `the call timed out (start-to-close)`
            < stop a of naps
        "#]],
    );
}

/// Whether its time went back while it waited.
#[workflow]
async fn watches() -> Result<bool, String> {
    let before = crate::now();
    a(1).await.map_err(|e| e.to_string())?;
    Ok(crate::now() < before)
}

#[test]
fn a_run_s_time_does_not_go_back_with_the_clock() {
    check(
        &[Build::new("watches", Registry::of((a, watches))).start("watches", || watches().into_start())],
        "advance 9h | start watches | clock back 5h | ok a 1",
        &expect![[r#"
            > advance 9h
            > start watches
              watches.0 RunStarted watches{}
              watches.1 Turn of 0: call 1 a
            < start watches: started
            < begin a{"x":1} of watches, seq 1, attempt 1, key 1
            > clock back 5h
            > ok a 1
              watches.2 ActivityCompleted 1: 1
              watches.3 Turn of 2: nothing
              watches.4 RunEnded: Completed false
        "#]],
    );
}

#[test]
fn the_timer_that_lost_a_select_never_fires() {
    check(
        &[app()],
        "start wait_or_nap | signal wait_or_nap go 7 | advance 2h | signal wait_or_nap stop 1",
        &expect![[r#"
            > start wait_or_nap
              wait_or_nap.0 RunStarted wait_or_nap{}
              wait_or_nap.1 Turn of 0: await 1 go, timer 2 due 1h
            < start wait_or_nap: started
            > signal wait_or_nap go 7
              wait_or_nap.2 SignalReceived go: 7
              wait_or_nap.3 Turn of 2: take 1, drop 2, await 3 stop
            < signal wait_or_nap go: done
            > advance 2h
            > signal wait_or_nap stop 1
              wait_or_nap.4 SignalReceived stop: 1
              wait_or_nap.5 Turn of 4: take 3
              wait_or_nap.6 RunEnded: Completed "go 7"
            < signal wait_or_nap stop: done
        "#]],
    );
}

#[test]
fn the_timer_that_lost_a_select_never_fires_after_a_crash_either() {
    check(
        &[app()],
        "start wait_or_nap | signal wait_or_nap go 7 | crash | advance 2h | signal wait_or_nap stop 1",
        &expect![[r#"
            > start wait_or_nap
              wait_or_nap.0 RunStarted wait_or_nap{}
              wait_or_nap.1 Turn of 0: await 1 go, timer 2 due 1h
            < start wait_or_nap: started
            > signal wait_or_nap go 7
              wait_or_nap.2 SignalReceived go: 7
              wait_or_nap.3 Turn of 2: take 1, drop 2, await 3 stop
            < signal wait_or_nap go: done
            > crash
            > advance 2h
            > signal wait_or_nap stop 1
              wait_or_nap.4 SignalReceived stop: 1
              wait_or_nap is loaded
            < signal wait_or_nap stop: done
              wait_or_nap.5 Turn of 4: take 3
              wait_or_nap.6 RunEnded: Completed "go 7"
        "#]],
    );
}

#[test]
fn a_timer_that_fires_before_its_run_has_seen_the_signal_has_lost_all_the_same() {
    check(
        &[app()],
        "start wait_or_nap | crash | hold reads | signal wait_or_nap go 7 | advance 2h | read | signal wait_or_nap stop 1",
        &expect![[r#"
            > start wait_or_nap
              wait_or_nap.0 RunStarted wait_or_nap{}
              wait_or_nap.1 Turn of 0: await 1 go, timer 2 due 1h
            < start wait_or_nap: started
            > crash
            > hold reads
            > signal wait_or_nap go 7
              wait_or_nap.2 SignalReceived go: 7
            < signal wait_or_nap go: done
            > advance 2h
              wait_or_nap.3 TimerFired 2 at 2h
            > read
              wait_or_nap is loaded
              wait_or_nap.4 Turn of 2: take 1, drop 2, await 3 stop
              wait_or_nap.5 Turn of 3: nothing
            > signal wait_or_nap stop 1
              wait_or_nap.6 SignalReceived stop: 1
              wait_or_nap.7 Turn of 6: take 3
              wait_or_nap.8 RunEnded: Completed "go 7"
            < signal wait_or_nap stop: done
        "#]],
    );
}

#[test]
fn a_timer_of_a_sleeping_run_fires_though_the_process_dies_before_the_load() {
    check(
        &[app()],
        "start nap | crash | hold reads | advance 1h | crash | read",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > crash
            > hold reads
            > advance 1h
              nap.2 TimerFired 1 at 1h
            > crash
            > read
              nap is loaded
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn a_run_timeout_ends_the_run() {
    check(
        &[app()],
        "start limited | watch limited | advance 1h",
        &expect![[r#"
            > start limited
              limited.0 RunStarted limited{}, until 1h
              limited.1 Turn of 0: await 1 go
            < start limited: started
            > watch limited
            > advance 1h
              limited.2 RunTimedOut
              limited.3 Turn of 2: drop 1
              limited.4 RunEnded: TimedOut nothing
            < watch limited: TimedOut nothing
        "#]],
    );
}

#[test]
fn a_run_timeout_of_a_sleeping_run_loads_it() {
    check(
        &[app()],
        "start limited | crash | advance 1h",
        &expect![[r#"
            > start limited
              limited.0 RunStarted limited{}, until 1h
              limited.1 Turn of 0: await 1 go
            < start limited: started
            > crash
            > advance 1h
              limited.2 RunTimedOut
              limited is loaded
              limited.3 Turn of 2: drop 1
              limited.4 RunEnded: TimedOut nothing
        "#]],
    );
}

#[test]
fn a_run_timeout_passes_while_nobody_runs() {
    check(
        &[app()],
        "start limited | kill | advance 2h | open",
        &expect![[r#"
            > start limited
              limited.0 RunStarted limited{}, until 1h
              limited.1 Turn of 0: await 1 go
            < start limited: started
            > kill
            > advance 2h
            > open
              limited.2 RunTimedOut
              limited is loaded
              limited.3 Turn of 2: drop 1
              limited.4 RunEnded: TimedOut nothing
        "#]],
    );
}

#[test]
fn a_retry_comes_due_though_the_clock_was_set_back_and_the_run_is_away() {
    check(
        &[app()],
        "start branches | fail a#1 down | ok a#2 5 | clock back 5h | advance 1s",
        &expect![[r#"
            > start branches
              branches.0 RunStarted branches{}
              branches.1 Turn of 0: call 1 a, call 2 a
            < start branches: started
            < begin a{"x":1} of branches, seq 1, attempt 1, key 1
            < begin a{"x":100} of branches, seq 2, attempt 1, key 2
            > fail a#1 down
              branches.2 AttemptFailed 1, attempt 1: `down`, next at 1s
            > ok a#2 5
              branches.3 ActivityCompleted 2: 5
              branches.4 Turn of 3: call 3 b
            < begin b{"x":101} of branches, seq 3, attempt 1, key 3
            > clock back 5h
            > advance 1s
              branches.5 AttemptStarted 1, attempt 2
            < begin a{"x":1} of branches, seq 1, attempt 2, key 1
        "#]],
    );
}
