//! Attempts that are reported together: what each leads to is recorded as if they had come one after the other, and where a turn concerns another
//! run of them, no event of that run is written out of its order.

use expect_test::expect;

use super::flows::{GO, a, b, branches, child, race, steps};
use super::world::Build;
use super::{check, check_in_memory};
use crate::ClosePolicy;
use crate::prelude::*;
use crate::registry::Registry;

/// Leaves a child behind, which ends with it.
#[workflow]
async fn leaves() -> Result<u32, String> {
    let child = crate::spawn(async { child(1).close(ClosePolicy::Terminate).await.map_err(|e| e.to_string()) });
    let x = b(2).await.map_err(|e| e.to_string());
    drop(child);
    x
}

/// Lets go of its child when its own call is done.
#[workflow]
async fn lets_go() -> Result<u32, String> {
    let x = select! {
        x = child(1) => x.map_err(|e| e.to_string())?,
        x = b(2) => x.map_err(|e| e.to_string())?,
    };
    Ok(x + GO.recv().await)
}

/// Awaits a child and a call.
#[workflow]
async fn awaits() -> Result<String, String> {
    let (x, y) = join!(child(1), b(2));
    Ok(format!("{x:?} {y:?}"))
}

fn app() -> Build {
    Build::new("b1", Registry::of((a, b, child, leaves, lets_go, awaits, steps, race, branches)))
        .start("leaves", || leaves().into_start())
        .start("lets_go", || lets_go().into_start())
        .start("awaits", || awaits().into_start())
        .start("steps", || steps().into_start())
        .start("race", || race().into_start())
        .start("branches", || branches().into_start())
}

#[test]
fn runs_that_have_nothing_to_do_with_each_other_have_a_group_each() {
    check(
        &[app()],
        "start steps as x | start steps as y | together a@x=1 a@y=2 | together b@y=3 b@x=4",
        &expect![[r#"
        > start steps as x
          x.0 RunStarted steps{}
          x.1 Turn of 0: call 1 a
        < start x: started
        < begin a{"x":1} of x, seq 1, attempt 1, key 1
        > start steps as y
          y.0 RunStarted steps{}
          y.1 Turn of 0: call 1 a
        < start y: started
        < begin a{"x":1} of y, seq 1, attempt 1, key 2
        > together a@x=1 a@y=2
          x.2 ActivityCompleted 1: 1
          x.3 Turn of 2: call 2 b
          y.2 ActivityCompleted 1: 2
          y.3 Turn of 2: call 2 b
        < begin b{"x":1} of x, seq 2, attempt 1, key 3
        < begin b{"x":2} of y, seq 2, attempt 1, key 4
        > together b@y=3 b@x=4
          y.4 ActivityCompleted 2: 3
          y.5 Turn of 4: nothing
          y.6 RunEnded: Completed 5
          x.4 ActivityCompleted 2: 4
          x.5 Turn of 4: nothing
          x.6 RunEnded: Completed 5
    "#]],
    );
}

#[test]
fn a_run_with_two_results_sees_one_after_the_other() {
    check_in_memory(
        &[app()],
        "start branches | start steps | together a#1=1 a@steps=2 a#2=3 | together b=4 b@steps=5 b#4=6",
        &expect![[r#"
            > start branches
              branches.0 RunStarted branches{}
              branches.1 Turn of 0: call 1 a, call 2 a
            < start branches: started
            < begin a{"x":1} of branches, seq 1, attempt 1, key 1
            < begin a{"x":100} of branches, seq 2, attempt 1, key 2
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 3
            > together a#1=1 a@steps=2 a#2=3
              branches.2 ActivityCompleted 1: 1
              branches.3 Turn of 2: call 3 b
              steps.2 ActivityCompleted 1: 2
              steps.3 Turn of 2: call 2 b
              branches.4 ActivityCompleted 2: 3
              branches.5 Turn of 4: call 4 b
            < begin b{"x":2} of branches, seq 3, attempt 1, key 4
            < begin b{"x":2} of steps, seq 2, attempt 1, key 5
            < begin b{"x":101} of branches, seq 4, attempt 1, key 6
            > together b=4 b@steps=5 b#4=6
              branches.6 ActivityCompleted 3: 4
              branches.7 Turn of 6: nothing
              steps.4 ActivityCompleted 2: 5
              steps.5 Turn of 4: nothing
              steps.6 RunEnded: Completed 7
              branches.8 ActivityCompleted 4: 6
              branches.9 Turn of 8: nothing
              branches.10 RunEnded: Completed ["1 4","3 6"]
        "#]],
    );
}

#[test]
fn a_result_that_nobody_waits_for_any_more_is_none() {
    check_in_memory(
        &[app()],
        "start race | start steps | together a@race=1 b@race=2 a@steps=3",
        &expect![[r#"
        > start race
          race.0 RunStarted race{}
          race.1 Turn of 0: call 1 a, call 2 b
        < start race: started
        < begin a{"x":1} of race, seq 1, attempt 1, key 1
        < begin b{"x":2} of race, seq 2, attempt 1, key 2
        > start steps
          steps.0 RunStarted steps{}
          steps.1 Turn of 0: call 1 a
        < start steps: started
        < begin a{"x":1} of steps, seq 1, attempt 1, key 3
        > together a@race=1 b@race=2 a@steps=3
          race.2 ActivityCompleted 1: 1
          race.3 Turn of 2: drop 2, await 3 stop
          steps.2 ActivityCompleted 1: 3
          steps.3 Turn of 2: call 2 b
        < begin b{"x":3} of steps, seq 2, attempt 1, key 4
    "#]],
    );
}

/// The parent's end ends the child, whose own result is written before that, and has no turn.
#[test]
fn a_parent_that_ends_before_its_child_is_seen_ends_it() {
    check_in_memory(
        &[app()],
        "start leaves | together b=7 a=5",
        &expect![[r#"
        > start leaves
          leaves.0 RunStarted leaves{}
          leaves.1 Turn of 0: call 1 b, child 2 leaves/2 Terminate
          leaves/2.0 RunStarted child{"x":1}
          leaves/2.1 Turn of 0: call 1 a
        < start leaves: started
        < begin b{"x":2} of leaves, seq 1, attempt 1, key 1
        < begin a{"x":1} of leaves/2, seq 1, attempt 1, key 2
        > together b=7 a=5
          leaves/2.2 ActivityCompleted 1: 5
          leaves.2 ActivityCompleted 1: 7
          leaves.3 Turn of 2: nothing
          leaves.4 RunEnded: Completed 7
          leaves/2.3 RunEnded: Terminated nothing
    "#]],
    );
}

#[test]
fn a_child_that_ends_before_its_parent_has_ended() {
    check_in_memory(
        &[app()],
        "start leaves | together a=5 b=7",
        &expect![[r#"
        > start leaves
          leaves.0 RunStarted leaves{}
          leaves.1 Turn of 0: call 1 b, child 2 leaves/2 Terminate
          leaves/2.0 RunStarted child{"x":1}
          leaves/2.1 Turn of 0: call 1 a
        < start leaves: started
        < begin b{"x":2} of leaves, seq 1, attempt 1, key 1
        < begin a{"x":1} of leaves/2, seq 1, attempt 1, key 2
        > together a=5 b=7
          leaves.2 ActivityCompleted 1: 7
          leaves/2.2 ActivityCompleted 1: 5
          leaves/2.3 Turn of 2: nothing
          leaves/2.4 RunEnded: Completed 5
          leaves.3 ChildEnded 2: Completed 5
          leaves.4 Turn of 2: nothing
          leaves.5 RunEnded: Completed 7
    "#]],
    );
}

#[test]
fn a_child_that_is_cancelled_sees_its_result_before_that() {
    check_in_memory(
        &[app()],
        "start lets_go | together b=7 a=5",
        &expect![[r#"
        > start lets_go
          lets_go.0 RunStarted lets_go{}
          lets_go.1 Turn of 0: child 1 lets_go/1, call 2 b
          lets_go/1.0 RunStarted child{"x":1}
          lets_go/1.1 Turn of 0: call 1 a
        < start lets_go: started
        < begin b{"x":2} of lets_go, seq 2, attempt 1, key 1
        < begin a{"x":1} of lets_go/1, seq 1, attempt 1, key 2
        > together b=7 a=5
          lets_go/1.2 ActivityCompleted 1: 5
          lets_go.2 ActivityCompleted 2: 7
          lets_go.3 Turn of 2: drop 1, await 3 go
          lets_go/1.3 CancelRequested by parent: its parent does not wait for it any more
          lets_go/1.4 Turn of 2: nothing
          lets_go/1.5 RunEnded: Completed 5
    "#]],
    );
}

/// The child's end is told to the parent behind the parent's own result, which was there before.
#[test]
fn a_parent_hears_of_its_child_behind_what_it_has_to_see() {
    check_in_memory(
        &[app()],
        "start awaits | together a=5 b=7",
        &expect![[r#"
        > start awaits
          awaits.0 RunStarted awaits{}
          awaits.1 Turn of 0: child 1 awaits/1, call 2 b
          awaits/1.0 RunStarted child{"x":1}
          awaits/1.1 Turn of 0: call 1 a
        < start awaits: started
        < begin b{"x":2} of awaits, seq 2, attempt 1, key 1
        < begin a{"x":1} of awaits/1, seq 1, attempt 1, key 2
        > together a=5 b=7
          awaits.2 ActivityCompleted 2: 7
          awaits/1.2 ActivityCompleted 1: 5
          awaits/1.3 Turn of 2: nothing
          awaits/1.4 RunEnded: Completed 5
          awaits.3 ChildEnded 1: Completed 5
          awaits.4 Turn of 2: nothing
          awaits.5 Turn of 3: nothing
          awaits.6 RunEnded: Completed "Ok(5) Ok(7)"
    "#]],
    );
}

#[test]
fn a_parent_that_has_seen_its_result_hears_of_its_child() {
    check_in_memory(
        &[app()],
        "start awaits | together b=7 a=5",
        &expect![[r#"
        > start awaits
          awaits.0 RunStarted awaits{}
          awaits.1 Turn of 0: child 1 awaits/1, call 2 b
          awaits/1.0 RunStarted child{"x":1}
          awaits/1.1 Turn of 0: call 1 a
        < start awaits: started
        < begin b{"x":2} of awaits, seq 2, attempt 1, key 1
        < begin a{"x":1} of awaits/1, seq 1, attempt 1, key 2
        > together b=7 a=5
          awaits.2 ActivityCompleted 2: 7
          awaits.3 Turn of 2: nothing
          awaits/1.2 ActivityCompleted 1: 5
          awaits/1.3 Turn of 2: nothing
          awaits/1.4 RunEnded: Completed 5
          awaits.4 ChildEnded 1: Completed 5
          awaits.5 Turn of 4: nothing
          awaits.6 RunEnded: Completed "Ok(5) Ok(7)"
    "#]],
    );
}

#[test]
fn one_that_fails_stands_between_those_before_and_those_behind_it() {
    let script = "start steps as x | start steps as y | start steps as z | together a@x=1 a@y!broken a@z=3 | crash | together b@z=1 b@x=2";
    check(
        &[app()],
        script,
        &expect![[r#"
        > start steps as x
          x.0 RunStarted steps{}
          x.1 Turn of 0: call 1 a
        < start x: started
        < begin a{"x":1} of x, seq 1, attempt 1, key 1
        > start steps as y
          y.0 RunStarted steps{}
          y.1 Turn of 0: call 1 a
        < start y: started
        < begin a{"x":1} of y, seq 1, attempt 1, key 2
        > start steps as z
          z.0 RunStarted steps{}
          z.1 Turn of 0: call 1 a
        < start z: started
        < begin a{"x":1} of z, seq 1, attempt 1, key 3
        > together a@x=1 a@y!broken a@z=3
          x.2 ActivityCompleted 1: 1
          x.3 Turn of 2: call 2 b
          y.2 AttemptFailed 1, attempt 1: `broken`, next at 1s
          z.2 ActivityCompleted 1: 3
          z.3 Turn of 2: call 2 b
        < begin b{"x":1} of x, seq 2, attempt 1, key 4
        < begin b{"x":3} of z, seq 2, attempt 1, key 5
        > crash
          x is loaded
          y is loaded
          z is loaded
          x.4 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
          x.5 AttemptStarted 2, attempt 2
          z.4 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
          z.5 AttemptStarted 2, attempt 2
        < begin b{"x":1} of x, seq 2, attempt 2, key 4
        < begin b{"x":3} of z, seq 2, attempt 2, key 5
        > together b@z=1 b@x=2
          z.6 ActivityCompleted 2: 1
          z.7 Turn of 6: nothing
          z.8 RunEnded: Completed 4
          x.6 ActivityCompleted 2: 2
          x.7 Turn of 6: nothing
          x.8 RunEnded: Completed 3
    "#]],
    );
}
