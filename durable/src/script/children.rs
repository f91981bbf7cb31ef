//! Children: their groups, their ends, what their parents' drops and ends do to them.

use expect_test::expect;

use super::check;
use super::flows::{app, child};
use super::world::{Build, World};
use crate::prelude::*;
use crate::registry::Registry;

/// Ends in the turn in which a branch of it asks for a child.
#[workflow]
async fn hurried() -> Result<u32, String> {
    let (ask, asked) = futures::channel::oneshot::channel();
    drop(crate::spawn(async move {
        let child = child(2).id("late").close(crate::ClosePolicy::Terminate);
        let _ = join!(child, async { ask.send(()) });
    }));
    asked.await.map_err(|e| e.to_string()).map(|()| 1)
}

#[test]
fn a_parent_gets_its_child_s_result() {
    check(
        &[app()],
        "start parent | ok a 5",
        &expect![[r#"
            > start parent
              parent.0 RunStarted parent{}
              parent.1 Turn of 0: child 1 parent/1
              parent/1.0 RunStarted child{"x":1}
              parent/1.1 Turn of 0: call 1 a
            < start parent: started
            < begin a{"x":1} of parent/1, seq 1, attempt 1, key 1
            > ok a 5
              parent/1.2 ActivityCompleted 1: 5
              parent/1.3 Turn of 2: nothing
              parent/1.4 RunEnded: Completed 5
              parent.2 ChildEnded 1: Completed 5
              parent.3 Turn of 2: nothing
              parent.4 RunEnded: Completed "Ok(5)"
        "#]],
    );
}

#[test]
fn a_parent_gets_its_child_s_error() {
    check(
        &[app()],
        "start parent | fatal a broken",
        &expect![[r#"
            > start parent
              parent.0 RunStarted parent{}
              parent.1 Turn of 0: child 1 parent/1
              parent/1.0 RunStarted child{"x":1}
              parent/1.1 Turn of 0: call 1 a
            < start parent: started
            < begin a{"x":1} of parent/1, seq 1, attempt 1, key 1
            > fatal a broken
              parent/1.2 ActivityFailed 1, attempt 1: `broken`
              parent/1.3 Turn of 2: nothing
              parent/1.4 RunEnded: Failed `broken`
              parent.2 ChildEnded 1: Failed `broken`
              parent.3 Turn of 2: nothing
              parent.4 RunEnded: Completed "Err(Child(Failed(broken)))"
        "#]],
    );
}

#[test]
fn a_parent_and_its_child_survive_a_crash() {
    check(
        &[app()],
        "start parent | crash | ok a 5",
        &expect![[r#"
            > start parent
              parent.0 RunStarted parent{}
              parent.1 Turn of 0: child 1 parent/1
              parent/1.0 RunStarted child{"x":1}
              parent/1.1 Turn of 0: call 1 a
            < start parent: started
            < begin a{"x":1} of parent/1, seq 1, attempt 1, key 1
            > crash
              parent/1 is loaded
              parent/1.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              parent/1.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of parent/1, seq 1, attempt 2, key 1
            > ok a 5
              parent/1.4 ActivityCompleted 1: 5
              parent/1.5 Turn of 4: nothing
              parent/1.6 RunEnded: Completed 5
              parent.2 ChildEnded 1: Completed 5
              parent is loaded
              parent.3 Turn of 2: nothing
              parent.4 RunEnded: Completed "Ok(5)"
        "#]],
    );
}

#[test]
fn a_child_that_is_dropped_is_cancelled() {
    check(
        &[app()],
        "start fickle_parent | signal fickle_parent go 1 | signal fickle_parent stop 1",
        &expect![[r#"
            > start fickle_parent
              fickle_parent.0 RunStarted fickle_parent{}
              fickle_parent.1 Turn of 0: child 1 fickle_parent/1, await 2 go
              fickle_parent/1.0 RunStarted child{"x":1}
              fickle_parent/1.1 Turn of 0: call 1 a
            < start fickle_parent: started
            < begin a{"x":1} of fickle_parent/1, seq 1, attempt 1, key 1
            > signal fickle_parent go 1
              fickle_parent.2 SignalReceived go: 1
              fickle_parent.3 Turn of 2: take 2, drop 1, await 3 stop
              fickle_parent/1.2 CancelRequested by parent: its parent does not wait for it any more
              fickle_parent/1.3 Turn of 2: drop 1
              fickle_parent/1.4 RunEnded: Cancelled nothing
            < signal fickle_parent go: done
            < stop a of fickle_parent/1
            > signal fickle_parent stop 1
              fickle_parent.4 SignalReceived stop: 1
              fickle_parent.5 Turn of 4: take 3
              fickle_parent.6 RunEnded: Completed "dropped"
            < signal fickle_parent stop: done
        "#]],
    );
}

#[test]
fn the_end_of_a_parent_closes_its_children_by_their_policies() {
    check(
        &[app()],
        "start closing_parent | signal closing_parent go 9 | ok a 1",
        &expect![[r#"
            > start closing_parent
              closing_parent.0 RunStarted closing_parent{}
              closing_parent.1 Turn of 0: child 1 closing_parent/cancelled, child 2 closing_parent/terminated Terminate, child 3 closing_parent/abandoned Abandon, await 4 go
              closing_parent/cancelled.0 RunStarted child{"x":1}
              closing_parent/cancelled.1 Turn of 0: call 1 a
              closing_parent/terminated.0 RunStarted child{"x":2}
              closing_parent/terminated.1 Turn of 0: call 1 a
              closing_parent/abandoned.0 RunStarted child{"x":3}
              closing_parent/abandoned.1 Turn of 0: call 1 a
            < start closing_parent: started
            < begin a{"x":1} of closing_parent/cancelled, seq 1, attempt 1, key 1
            < begin a{"x":2} of closing_parent/terminated, seq 1, attempt 1, key 2
            < begin a{"x":3} of closing_parent/abandoned, seq 1, attempt 1, key 3
            > signal closing_parent go 9
              closing_parent.2 SignalReceived go: 9
              closing_parent.3 Turn of 2: take 4
              closing_parent.4 RunEnded: Completed 9
              closing_parent/terminated.2 RunEnded: Terminated nothing
              closing_parent/cancelled.2 CancelRequested by parent: its parent does not wait for it any more
              closing_parent/cancelled.3 Turn of 2: drop 1
              closing_parent/cancelled.4 RunEnded: Cancelled nothing
            < signal closing_parent go: done
            < stop a of closing_parent/terminated
            < stop a of closing_parent/cancelled
            > ok a 1
              closing_parent/abandoned.2 ActivityCompleted 1: 1
              closing_parent/abandoned.3 Turn of 2: nothing
              closing_parent/abandoned.4 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn a_child_that_is_dropped_in_its_own_turn_begins_and_is_cancelled() {
    check(
        &[app()],
        "start start_and_drop | signal start_and_drop go 1",
        &expect![[r#"
            > start start_and_drop
              start_and_drop.0 RunStarted start_and_drop{}
              start_and_drop.1 Turn of 0: child 1 start_and_drop/late, drop 1, await 2 go
              start_and_drop/late.0 RunStarted child{"x":1}
              start_and_drop/late.1 Turn of 0: call 1 a
              start_and_drop/late.2 CancelRequested by parent: its call was dropped
              start_and_drop/late.3 Turn of 2: drop 1
              start_and_drop/late.4 RunEnded: Cancelled nothing
            < start start_and_drop: started
            > signal start_and_drop go 1
              start_and_drop.2 SignalReceived go: 1
              start_and_drop.3 Turn of 2: take 2
              start_and_drop.4 RunEnded: Completed 1
            < signal start_and_drop go: done
        "#]],
    );
}

#[test]
fn a_child_whose_id_is_taken_does_not_begin() {
    check(
        &[app()],
        "start child as parent/1 | start parent",
        &expect![[r#"
            > start child as parent/1
              parent/1.0 RunStarted child{"x":1}
              parent/1.1 Turn of 0: call 1 a
            < start parent/1: started
            < begin a{"x":1} of parent/1, seq 1, attempt 1, key 1
            > start parent
              parent.0 RunStarted parent{}
              parent.1 Turn of 0: child 1 parent/1
              parent.2 ChildEnded 1: NotStarted nothing
              parent.3 Turn of 2: nothing
              parent.4 RunEnded: Completed "Err(Child(NotStarted))"
            < start parent: started
        "#]],
    );
}

#[test]
fn a_terminated_child_ends_its_parent_s_call() {
    check(
        &[app()],
        "start parent | terminate parent/1",
        &expect![[r#"
            > start parent
              parent.0 RunStarted parent{}
              parent.1 Turn of 0: child 1 parent/1
              parent/1.0 RunStarted child{"x":1}
              parent/1.1 Turn of 0: call 1 a
            < start parent: started
            < begin a{"x":1} of parent/1, seq 1, attempt 1, key 1
            > terminate parent/1
              parent/1.2 RunEnded: Terminated nothing
              parent.2 ChildEnded 1: Terminated nothing
              parent.3 Turn of 2: nothing
              parent.4 RunEnded: Completed "Err(Child(Terminated(Undone { undone: [], not_undone: [], unknown: [] })))"
            < stop a of parent/1
            < terminate parent/1: done
        "#]],
    );
}

#[test]
fn a_child_that_was_dropped_and_has_ended_is_forgotten() {
    let mut world = World::new();
    world.open(&app());
    world.start("start_and_drop", "p");
    let parent = world.run("p");
    assert_eq!(world.kernel().tables().open[&parent].rare.dropped[..], [], "its cancelled child has ended");
}

#[test]
fn a_child_that_its_parent_s_last_turn_asks_for_does_not_outlive_it() {
    let app =
        Build::new("b1", Registry::of((hurried, child, super::flows::a))).start("hurried", || hurried().into_start());
    check(
        &[app],
        "start hurried",
        &expect![[r#"
        > start hurried
          hurried.0 RunStarted hurried{}
          hurried.1 Turn of 0: child 1 hurried/late Terminate
          hurried.2 RunEnded: Completed 1
          hurried/late.0 RunStarted child{"x":2}
          hurried/late.1 Turn of 0: call 1 a
          hurried/late.2 CancelRequested by parent: its parent does not wait for it any more
          hurried/late.3 Turn of 2: drop 1
          hurried/late.4 RunEnded: Cancelled nothing
        < start hurried: started
    "#]],
    );
}
