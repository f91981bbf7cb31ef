//! Starts, signals, cancels: each applied once, none answered before it is on disk.

use expect_test::expect;

use super::check;
use super::flows::{GO, a, app};
use super::world::{Build, World};
use crate::kernel::event::Sender;
use crate::prelude::*;
use crate::registry::Registry;

#[test]
fn signals_are_received_in_their_order() {
    check(
        &[app()],
        "signal receive go 1 | start receive | signal receive go 4 | watch receive | signal receive go 2",
        &expect![[r#"
            > signal receive go 1
            < signal receive go: not open
            > start receive
              receive.0 RunStarted receive{}
              receive.1 Turn of 0: await 1 go
            < start receive: started
            > signal receive go 4
              receive.2 SignalReceived go: 4
              receive.3 Turn of 2: take 1, await 2 go
            < signal receive go: done
            > watch receive
            > signal receive go 2
              receive.4 SignalReceived go: 2
              receive.5 Turn of 4: take 2
              receive.6 RunEnded: Completed 42
            < signal receive go: done
            < watch receive: Completed 42
        "#]],
    );
}

/// Both signals are there before the first is received.
#[workflow]
async fn busy() -> Result<u32, String> {
    a(1).await.map_err(|e| e.to_string())?;
    Ok(GO.recv().await * 10 + GO.recv().await)
}

#[test]
fn signals_that_wait_are_received_in_their_order() {
    check(
        &[Build::new("busy", Registry::of((a, busy))).start("busy", || busy().into_start())],
        "start busy | signal busy go 4 | signal busy go 2 | ok a 1",
        &expect![[r#"
            > start busy
              busy.0 RunStarted busy{}
              busy.1 Turn of 0: call 1 a
            < start busy: started
            < begin a{"x":1} of busy, seq 1, attempt 1, key 1
            > signal busy go 4
              busy.2 SignalReceived go: 4
              busy.3 Turn of 2: nothing
            < signal busy go: done
            > signal busy go 2
              busy.4 SignalReceived go: 2
              busy.5 Turn of 4: nothing
            < signal busy go: done
            > ok a 1
              busy.6 ActivityCompleted 1: 1
              busy.7 Turn of 6: await 2 go, take 2, await 3 go, take 3
              busy.8 RunEnded: Completed 42
        "#]],
    );
}

#[test]
fn a_signal_for_a_sleeping_run_is_kept_though_the_process_dies_before_the_load() {
    check(
        &[app()],
        "start receive | crash | hold reads | signal receive go 4 | crash | read | signal receive go 2",
        &expect![[r#"
            > start receive
              receive.0 RunStarted receive{}
              receive.1 Turn of 0: await 1 go
            < start receive: started
            > crash
            > hold reads
            > signal receive go 4
              receive.2 SignalReceived go: 4
            < signal receive go: done
            > crash
            > read
              receive is loaded
              receive.3 Turn of 2: take 1, await 2 go
            > signal receive go 2
              receive.4 SignalReceived go: 2
              receive.5 Turn of 4: take 2
              receive.6 RunEnded: Completed 42
            < signal receive go: done
        "#]],
    );
}

#[test]
fn a_message_id_is_applied_once() {
    check(
        &[app()],
        "start receive | signal receive go 4 by m1 | signal receive go 4 by m1 | crash | signal receive go 4 by m1 | signal receive go 2 by m2",
        &expect![[r#"
            > start receive
              receive.0 RunStarted receive{}
              receive.1 Turn of 0: await 1 go
            < start receive: started
            > signal receive go 4 by m1
              receive.2 SignalReceived go: 4 by m1
              receive.3 Turn of 2: take 1, await 2 go
            < signal receive go: done
            > signal receive go 4 by m1
              receive.4 SignalReceived go: 4 by m1
              receive.5 Turn of 4: take 0
            < signal receive go: done
            > crash
            > signal receive go 4 by m1
              receive.6 SignalReceived go: 4 by m1
              receive is loaded
            < signal receive go: done
              receive.7 Turn of 6: take 0
            > signal receive go 2 by m2
              receive.8 SignalReceived go: 2 by m2
              receive.9 Turn of 8: take 2
              receive.10 RunEnded: Completed 42
            < signal receive go: done
        "#]],
    );
}

#[test]
fn a_second_start_attaches() {
    check(
        &[app()],
        "start child as x | start child as x | crash | start child as x",
        &expect![[r#"
            > start child as x
              x.0 RunStarted child{"x":1}
              x.1 Turn of 0: call 1 a
            < start x: started
            < begin a{"x":1} of x, seq 1, attempt 1, key 1
            > start child as x
            < start x: attached
            > crash
              x is loaded
              x.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              x.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of x, seq 1, attempt 2, key 1
            > start child as x
            < start x: attached
        "#]],
    );
}

#[test]
fn a_start_of_another_input_is_a_conflict() {
    check(
        &[app()],
        "start child as x | start other as x | start nap as x",
        &expect![[r#"
            > start child as x
              x.0 RunStarted child{"x":1}
              x.1 Turn of 0: call 1 a
            < start x: started
            < begin a{"x":1} of x, seq 1, attempt 1, key 1
            > start other as x
            < start x: conflict with `child`
            > start nap as x
            < start x: conflict with `child`
        "#]],
    );
}

#[test]
fn a_cancel_drops_what_the_code_waits_for() {
    check(
        &[app()],
        "start race | cancel race",
        &expect![[r#"
            > start race
              race.0 RunStarted race{}
              race.1 Turn of 0: call 1 a, call 2 b
            < start race: started
            < begin a{"x":1} of race, seq 1, attempt 1, key 1
            < begin b{"x":2} of race, seq 2, attempt 1, key 2
            > cancel race
              race.2 CancelRequested by caller: asked
              race.3 Turn of 2: drop 1, drop 2
              race.4 RunEnded: Cancelled nothing
            < cancel race: done
            < stop a of race
            < stop b of race
        "#]],
    );
}

#[test]
fn a_cancel_of_a_sleeping_run_loads_it() {
    check(
        &[app()],
        "start wait_or_nap | crash | cancel wait_or_nap",
        &expect![[r#"
            > start wait_or_nap
              wait_or_nap.0 RunStarted wait_or_nap{}
              wait_or_nap.1 Turn of 0: await 1 go, timer 2 due 1h
            < start wait_or_nap: started
            > crash
            > cancel wait_or_nap
              wait_or_nap.2 CancelRequested by caller: asked
              wait_or_nap is loaded
            < cancel wait_or_nap: done
              wait_or_nap.3 Turn of 2: drop 1, drop 2
              wait_or_nap.4 RunEnded: Cancelled nothing
        "#]],
    );
}

#[test]
fn a_terminate_polls_nothing() {
    check(
        &[app()],
        "start race | crash | hold reads | terminate race | read",
        &expect![[r#"
            > start race
              race.0 RunStarted race{}
              race.1 Turn of 0: call 1 a, call 2 b
            < start race: started
            < begin a{"x":1} of race, seq 1, attempt 1, key 1
            < begin b{"x":2} of race, seq 2, attempt 1, key 2
            > crash
              race is loaded
              race.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              race.3 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              race.4 AttemptStarted 1, attempt 2
              race.5 AttemptStarted 2, attempt 2
            < begin a{"x":1} of race, seq 1, attempt 2, key 1
            < begin b{"x":2} of race, seq 2, attempt 2, key 2
            > hold reads
            > terminate race
              race.6 RunEnded: Terminated nothing
            < stop a of race
            < stop b of race
            < terminate race: done
            > read
        "#]],
    );
}

#[test]
fn a_branch_that_a_branch_spawns_is_polled_at_once() {
    check(
        &[app()],
        "start nested_branches | ok a 1 | ok b 2",
        &expect![[r#"
            > start nested_branches
              nested_branches.0 RunStarted nested_branches{}
              nested_branches.1 Turn of 0: await 1 stop, call 2 a
            < start nested_branches: started
            < begin a{"x":1} of nested_branches, seq 2, attempt 1, key 1
            > ok a 1
              nested_branches.2 ActivityCompleted 2: 1
              nested_branches.3 Turn of 2: call 3 b
            < begin b{"x":2} of nested_branches, seq 3, attempt 1, key 2
            > ok b 2
              nested_branches.4 ActivityCompleted 3: 2
              nested_branches.5 Turn of 4: nothing
              nested_branches.6 RunEnded: Completed "1 2"
        "#]],
    );
}

#[test]
fn of_two_cancels_the_first_ends_the_run() {
    check(
        &[app()],
        "start wait_or_nap | crash | hold reads | cancel wait_or_nap | cancel wait_or_nap | read",
        &expect![[r#"
            > start wait_or_nap
              wait_or_nap.0 RunStarted wait_or_nap{}
              wait_or_nap.1 Turn of 0: await 1 go, timer 2 due 1h
            < start wait_or_nap: started
            > crash
            > hold reads
            > cancel wait_or_nap
              wait_or_nap.2 CancelRequested by caller: asked
            < cancel wait_or_nap: done
            > cancel wait_or_nap
              wait_or_nap.3 CancelRequested by caller: asked
            < cancel wait_or_nap: done
            > read
              wait_or_nap is loaded
              wait_or_nap.4 Turn of 2: drop 1, drop 2
              wait_or_nap.5 RunEnded: Cancelled nothing
        "#]],
    );
}

#[test]
fn a_signal_whose_message_id_is_known_is_not_counted_as_buffered() {
    let mut world = World::new();
    world.open(&app());
    world.start("receive", "r");
    let run = world.run("r");
    let four = || crate::payload::encode(crate::payload::PayloadCodec::Json, &4_u32).unwrap();
    (0..5).for_each(|_| world.signal("r", "go", four(), Sender::Message("m1".into())));
    assert_eq!(world.kernel().tables().open[&run].rare.signals, 0, "one was taken, the others were known");
    let build = world.kill();
    world.open(&build);
    world.signal("r", "go", four(), Sender::Message("m2".into()));
    assert!(world.ends.contains_key(&run), "and it replays");
}
