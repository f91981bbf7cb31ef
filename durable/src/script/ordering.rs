//! The ordering contract: nothing leaves before what justifies it is durable.

use expect_test::expect;

use super::check;
use super::flows::app;

#[test]
fn nothing_leaves_while_the_log_stalls() {
    check(
        &[app()],
        "stall | start steps | sync | ok a 1",
        &expect![[r#"
            > stall
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            > sync
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > ok a 1
              steps.2 ActivityCompleted 1: 1
              steps.3 Turn of 2: call 2 b
            < begin b{"x":1} of steps, seq 2, attempt 1, key 2
        "#]],
    );
}

#[test]
fn effects_leave_group_by_group() {
    check(
        &[app()],
        "stall | start steps as x | start steps as y | sync 1 | sync 1 | sync 1",
        &expect![[r#"
            > stall
            > start steps as x
              x.0 RunStarted steps{}
              x.1 Turn of 0: call 1 a
            > start steps as y
              y.0 RunStarted steps{}
              y.1 Turn of 0: call 1 a
            > sync 1
            < start x: started
            < begin a{"x":1} of x, seq 1, attempt 1, key 1
            > sync 1
            < start y: started
            < begin a{"x":1} of y, seq 1, attempt 1, key 2
            > sync 1
        "#]],
    );
}

#[test]
fn a_start_that_a_crash_loses_was_never_answered() {
    check(
        &[app()],
        "stall | start steps | crash | sync",
        &expect![[r#"
            > stall
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            > crash
            > sync
        "#]],
    );
}

#[test]
fn an_attach_waits_for_the_start_that_it_attaches_to() {
    check(
        &[app()],
        "stall | start nap | start nap | sync",
        &expect![[r#"
            > stall
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            > start nap
            > sync
            < start nap: started
            < start nap: attached
        "#]],
    );
}

#[test]
fn a_retry_waits_for_its_record() {
    check(
        &[app()],
        "start a | stall | fail a down | advance 1s | sync",
        &expect![[r#"
            > start a
              a.0 RunStarted one{"name":"a"}
              a.1 Turn of 0: call 1 a
            < start a: started
            < begin a{"x":1} of a, seq 1, attempt 1, key 1
            > stall
            > fail a down
              a.2 AttemptFailed 1, attempt 1: `down`, next at 1s
            > advance 1s
              a.3 AttemptStarted 1, attempt 2
            > sync
            < begin a{"x":1} of a, seq 1, attempt 2, key 1
        "#]],
    );
}

#[test]
fn a_result_waits_for_the_end() {
    check(
        &[app()],
        "start child as c | watch c | stall | ok a 3 | sync",
        &expect![[r#"
            > start child as c
              c.0 RunStarted child{"x":1}
              c.1 Turn of 0: call 1 a
            < start c: started
            < begin a{"x":1} of c, seq 1, attempt 1, key 1
            > watch c
            > stall
            > ok a 3
              c.2 ActivityCompleted 1: 3
              c.3 Turn of 2: nothing
              c.4 RunEnded: Completed 3
            > sync
            < watch c: Completed 3
        "#]],
    );
}

#[test]
fn two_branches_and_a_crash_between_an_append_and_its_sync() {
    check(
        &[app()],
        "start branches | stall | ok a#1 5 | crash | sync | ok a#2 7 | ok a#1 5 | ok b 1 | ok b 2",
        &expect![[r#"
            > start branches
              branches.0 RunStarted branches{}
              branches.1 Turn of 0: call 1 a, call 2 a
            < start branches: started
            < begin a{"x":1} of branches, seq 1, attempt 1, key 1
            < begin a{"x":100} of branches, seq 2, attempt 1, key 2
            > stall
            > ok a#1 5
              branches.2 ActivityCompleted 1: 5
              branches.3 Turn of 2: call 3 b
            > crash
              branches is loaded
              branches.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              branches.3 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              branches.4 AttemptStarted 1, attempt 2
              branches.5 AttemptStarted 2, attempt 2
            > sync
            < begin a{"x":1} of branches, seq 1, attempt 2, key 1
            < begin a{"x":100} of branches, seq 2, attempt 2, key 2
            > ok a#2 7
              branches.6 ActivityCompleted 2: 7
              branches.7 Turn of 6: call 3 b
            < begin b{"x":101} of branches, seq 3, attempt 1, key 3
            > ok a#1 5
              branches.8 ActivityCompleted 1: 5
              branches.9 Turn of 8: call 4 b
            < begin b{"x":2} of branches, seq 4, attempt 1, key 4
            > ok b 1
              branches.10 ActivityCompleted 3: 1
              branches.11 Turn of 10: nothing
            > ok b 2
              branches.12 ActivityCompleted 4: 2
              branches.13 Turn of 12: nothing
              branches.14 RunEnded: Completed ["5 2","7 1"]
        "#]],
    );
}
