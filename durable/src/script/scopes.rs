//! Scopes: what a cancel cuts and what it leaves, shields, scopes that fail, handles.

use expect_test::expect;

use super::world::{Build, World};
use super::{check, play};
use crate::prelude::*;
use crate::registry::Registry;
use crate::{Cancelled, Signal};

const GO: Signal<u32> = Signal::new("go");
const STOP: Signal<u32> = Signal::new("stop");

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(2))]
async fn make(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(2))]
async fn unmake(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(2))]
async fn other(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = never(), start_to_close = "10s")]
async fn slow(x: u32) -> Result<u32, String> {
    Ok(x)
}

fn text<E: ToString>(error: E) -> String {
    error.to_string()
}

/// Makes a thing outside and one inside, waits inside, cleans up after a cancel.
#[workflow]
async fn catching() -> Result<String, String> {
    make(1).undo(unmake).await.map_err(text)?;
    let inside = crate::catch_cancel(async {
        make(2).undo(unmake).await.map_err(text)?;
        Ok::<u32, String>(GO.recv().await)
    });
    let word = match inside.await {
        Ok(word) => format!("{word:?}"),
        Err(Cancelled) => format!("cancelled, {:?}", other(3).await),
    };
    Ok(word)
}

/// Two scopes at once, one of them in another.
#[workflow]
async fn nested() -> Result<String, String> {
    let outer = crate::catch_cancel(async {
        let inner = crate::catch_cancel(GO.recv()).await;
        let more = STOP.recv().await;
        (inner, more)
    });
    let (outer, beside) = join!(outer, crate::catch_cancel(GO.recv()));
    Ok(format!("{outer:?} {beside:?}"))
}

#[workflow]
async fn shielded() -> Result<u32, String> {
    let x = crate::shield(async {
        let x = make(1).undo(unmake).await.map_err(text)?;
        other(x).await.map_err(text)
    });
    Ok(x.await? + GO.recv().await)
}

/// A shield in a scope that catches.
#[workflow]
async fn shielded_inside() -> Result<String, String> {
    let inside = crate::catch_cancel(async {
        let x = crate::shield(make(1)).await;
        let word = GO.recv().await;
        (x, word)
    });
    Ok(format!("{:?}", inside.await))
}

/// A scope that is shielded catches nothing.
#[workflow]
async fn shielded_scope() -> Result<String, String> {
    let x = crate::shield(crate::catch_cancel(make(1).undo(unmake))).await;
    let word = GO.recv().await;
    Ok(format!("{x:?} {word}"))
}

/// The inner scope fails and is undone, the run goes on with what it made before.
#[workflow]
async fn failing() -> Result<String, String> {
    make(1).undo(unmake).await.map_err(text)?;
    let inner = crate::scope(async {
        make(2).undo(unmake).await.map_err(text)?;
        other(3).await.map_err(text)
    });
    let failed = inner.await;
    match GO.recv().await {
        0 => Err("refused".to_owned()),
        _ => Ok(format!("{failed:?}")),
    }
}

/// What a scope that ends well has made is undone with the rest.
#[workflow]
async fn passing() -> Result<u32, String> {
    let inner = crate::scope(async {
        let x = make(1).undo(unmake).await.map_err(text)?;
        make(x + 1).undo(unmake).await.map_err(text)
    });
    inner.await?;
    make(3).undo(unmake).await.map_err(text)?;
    Err("no".to_owned())
}

/// A branch cancels a scope by its handle.
#[workflow]
async fn handled() -> Result<String, String> {
    let mut scope = crate::scope(async {
        make(1).undo(unmake).await?;
        Ok::<u32, crate::Error>(GO.recv().await)
    });
    let handle = scope.handle();
    let (ended, ()) = join!(scope, async {
        STOP.recv().await;
        handle.cancel();
        handle.cancel();
    });
    Ok(format!("{:?}", ended.map_err(text)))
}

#[workflow]
async fn cancelled_early() -> Result<String, String> {
    let scope = crate::catch_cancel(make(1));
    scope.handle().cancel();
    Ok(format!("{:?}", scope.await))
}

/// A scope that is dropped leaves what it made to the run.
#[workflow]
async fn losing() -> Result<u32, String> {
    select! {
        x = crate::scope(async {
            make(1).undo(unmake).await.map_err(text)?;
            Ok::<u32, String>(GO.recv().await)
        }) => drop(x),
        _ = STOP.recv() => {}
    }
    match STOP.recv().await {
        0 => Err("refused".to_owned()),
        x => Ok(x),
    }
}

/// A scope that undoes is dropped: it goes on all the same.
#[workflow]
async fn dropped_while_undoing() -> Result<u32, String> {
    select! {
        x = crate::scope(async {
            make(1).undo(unmake).await.map_err(text)?;
            Err::<u32, String>("no".to_owned())
        }) => drop(x),
        _ = STOP.recv() => {}
    }
    Ok(GO.recv().await)
}

/// An outer scope waits for an inner one that undoes.
#[workflow]
async fn both_undo() -> Result<String, String> {
    let outer = crate::scope(async {
        make(1).undo(unmake).await.map_err(text)?;
        let inner = crate::scope(async {
            make(2).undo(unmake).await.map_err(text)?;
            Err::<u32, String>("inner".to_owned())
        });
        select! {
            x = inner => x,
            _ = STOP.recv() => Err("outer".to_owned()),
        }
    });
    Ok(format!("{:?}", outer.await))
}

/// A call without an undo that is awaited when it is dropped.
#[workflow]
async fn awaited() -> Result<u32, String> {
    let x = make(1).wait_on_cancel().await.map_err(text)?;
    Ok(x + GO.recv().await)
}

/// A shield is polled in a scope first, and goes on when that has ended.
#[workflow]
async fn moved_shield() -> Result<u32, String> {
    let mut shielded = std::pin::pin!(crate::shield(async {
        make(1).undo(unmake).await.map_err(text)?;
        make(2).undo(unmake).await.map_err(text)
    }));
    let first = crate::scope(async {
        Ok::<u32, String>(select! {
            x = &mut shielded => x?,
            x = GO.recv() => x,
        })
    });
    let x = first.await? + shielded.await?;
    Err(format!("no {x}"))
}

/// A scope is leaked with what was made in it.
#[workflow]
async fn leaking() -> Result<u32, String> {
    let mut scope = Box::pin(crate::scope(async {
        make(1).undo(unmake).await.map_err(text)?;
        Ok::<u32, String>(GO.recv().await)
    }));
    let word = select! {
        x = &mut scope => x?,
        x = STOP.recv() => x,
    };
    std::mem::forget(scope);
    Err(format!("no {word}"))
}

/// Cancels when it is dropped.
struct CancelsOnDrop(crate::ScopeHandle);

impl Drop for CancelsOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// A branch cancels the scope by two guards.
#[workflow]
async fn guarding() -> Result<String, String> {
    let scope = crate::catch_cancel(make(1).undo(unmake));
    let guards = [CancelsOnDrop(scope.handle()), CancelsOnDrop(scope.handle())];
    let (ended, ()) = join!(scope, async move {
        STOP.recv().await;
        drop(guards);
    });
    Ok(format!("{ended:?}"))
}

/// The call times out in a scope, and has nothing that undoes it then; the run goes on.
#[workflow]
async fn shrugging() -> Result<String, String> {
    let tried = crate::scope(async { slow(1).undo(unmake).await.map_err(text) }).await;
    Ok(format!("{tried:?}"))
}

/// More scopes than a turn may take polls without an outcome.
#[workflow]
async fn crowd() -> Result<usize, String> {
    let scopes = (0..crate::kernel::machine::MAX_POLLS + 1).map(|_| crate::catch_cancel(GO.recv()));
    let ended = futures::future::join_all(scopes).await;
    Ok(ended.iter().filter(|ended| ended.is_err()).count())
}

fn app() -> Build {
    let one = Registry::of((make, unmake, other, catching, nested, shielded, shielded_inside, shielded_scope, failing));
    let two = Registry::of((passing, handled, cancelled_early, losing, dropped_while_undoing, both_undo, awaited));
    let three = Registry::of((moved_shield, leaking, guarding, crowd, slow, shrugging));
    Build::new("b1", Registry::of((one, two, three)))
        .start("catching", || catching().into_start())
        .start("nested", || nested().into_start())
        .start("shielded", || shielded().into_start())
        .start("shielded_inside", || shielded_inside().into_start())
        .start("shielded_scope", || shielded_scope().into_start())
        .start("failing", || failing().into_start())
        .start("passing", || passing().into_start())
        .start("handled", || handled().into_start())
        .start("cancelled_early", || cancelled_early().into_start())
        .start("losing", || losing().into_start())
        .start("dropped_while_undoing", || dropped_while_undoing().into_start())
        .start("both_undo", || both_undo().into_start())
        .start("awaited", || awaited().into_start())
        .start("moved_shield", || moved_shield().into_start())
        .start("leaking", || leaking().into_start())
        .start("guarding", || guarding().into_start())
        .start("shrugging", || shrugging().into_start())
        .start("crowd", || crowd().into_start())
}

#[test]
fn a_process_that_is_given_up_leaves_no_run_in_memory() {
    let mut world = World::new();
    world.open(&app());
    for step in ["start catching", "ok make 1", "ok make 2", "cancel catching"] {
        play(&mut world, &[app()], &step.split(' ').collect::<Vec<_>>());
    }
    assert_eq!(world.drop_process(), (1, 0), "though what undoes waits with a waker that holds it");
}

#[test]
fn a_scope_catches_a_cancel_and_undoes_what_was_made_in_it() {
    check(
        &[app()],
        "start catching | ok make 1 | ok make 2 | cancel catching | cancel catching | ok unmake 2 | crash | ok other 3",
        &expect![[r#"
            > start catching
              catching.0 RunStarted catching{}
              catching.1 Turn of 0: call 1 make with undo
            < start catching: started
            < begin make{"x":1} of catching, seq 1, attempt 1, key 1
            > ok make 1
              catching.2 ActivityCompleted 1: 1
              catching.3 Turn of 2: open scope 1 in 0, call 2 make with undo
            < begin make{"x":2} of catching, seq 2, attempt 1, key 2
            > ok make 2
              catching.4 ActivityCompleted 2: 2
              catching.5 Turn of 4: await 3 go
            > cancel catching
              catching.6 CancelRequested by caller: asked
              catching.7 Turn of 6: drop 3, call 4 unmake undoing 2
            < cancel catching: done
            < begin unmake{"x":2} of catching, seq 4, attempt 1, key 3
            > cancel catching
              catching.8 CancelRequested by caller: asked
              catching.9 Turn of 8: nothing
            < cancel catching: done
            > ok unmake 2
              catching.10 ActivityCompleted 4: 2
              catching.11 Turn of 10: close scope 1, call 5 other
            < begin other{"x":3} of catching, seq 5, attempt 1, key 4
            > crash
              catching is loaded
              catching.12 AttemptFailed 5, attempt 1: interrupted, next at 0ms, may stand
              catching.13 AttemptStarted 5, attempt 2
            < begin other{"x":3} of catching, seq 5, attempt 2, key 4
            > ok other 3
              catching.14 ActivityCompleted 5: 3
              catching.15 Turn of 14: nothing
              catching.16 RunEnded: Completed "cancelled, Ok(3)", undone make 2
        "#]],
    );
}

#[test]
fn of_nested_scopes_the_innermost_catch() {
    check(
        &[app()],
        "start nested | cancel nested | signal nested stop 5",
        &expect![[r#"
        > start nested
          nested.0 RunStarted nested{}
          nested.1 Turn of 0: open scope 1 in 0, open scope 2 in 1, await 2 go, open scope 3 in 0, await 1 go
        < start nested: started
        > cancel nested
          nested.2 CancelRequested by caller: asked
          nested.3 Turn of 2: drop 2, drop 1, close scope 2, close scope 3, await 3 stop
        < cancel nested: done
        > signal nested stop 5
          nested.4 SignalReceived stop: 5
          nested.5 Turn of 4: take 3, close scope 1
          nested.6 RunEnded: Completed "Ok((Err(Cancelled), 5)) Err(Cancelled)"
        < signal nested stop: done
    "#]],
    );
}

#[test]
fn a_shield_holds_a_cancel_off() {
    check(
        &[app()],
        "start shielded | cancel shielded | ok make 1 | crash | ok other 1 | ok unmake 1",
        &expect![[r#"
        > start shielded
          shielded.0 RunStarted shielded{}
          shielded.1 Turn of 0: call 1 make with undo
        < start shielded: started
        < begin make{"x":1} of shielded, seq 1, attempt 1, key 1
        > cancel shielded
          shielded.2 CancelRequested by caller: asked
          shielded.3 Turn of 2: nothing
        < cancel shielded: done
        > ok make 1
          shielded.4 ActivityCompleted 1: 1
          shielded.5 Turn of 4: call 2 other
        < begin other{"x":1} of shielded, seq 2, attempt 1, key 2
        > crash
          shielded is loaded
          shielded.6 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
          shielded.7 AttemptStarted 2, attempt 2
        < begin other{"x":1} of shielded, seq 2, attempt 2, key 2
        > ok other 1
          shielded.8 ActivityCompleted 2: 1
          shielded.9 Turn of 8: await 3 go, drop 3, call 4 unmake undoing 1
          shielded.10 CompensationStarted: Cancelled
        < begin unmake{"x":1} of shielded, seq 4, attempt 1, key 3
        > ok unmake 1
          shielded.11 ActivityCompleted 4: 1
          shielded.12 Turn of 11: nothing
          shielded.13 RunEnded: Cancelled nothing, undone make 1
    "#]],
    );
}

#[test]
fn a_shield_in_a_scope_holds_its_cut_off() {
    check(
        &[app()],
        "start shielded_inside | cancel shielded_inside | ok make 1",
        &expect![[r#"
        > start shielded_inside
          shielded_inside.0 RunStarted shielded_inside{}
          shielded_inside.1 Turn of 0: open scope 1 in 0, call 1 make
        < start shielded_inside: started
        < begin make{"x":1} of shielded_inside, seq 1, attempt 1, key 1
        > cancel shielded_inside
          shielded_inside.2 CancelRequested by caller: asked
          shielded_inside.3 Turn of 2: nothing
        < cancel shielded_inside: done
        > ok make 1
          shielded_inside.4 ActivityCompleted 1: 1
          shielded_inside.5 Turn of 4: await 2 go, drop 2, close scope 1
          shielded_inside.6 RunEnded: Completed "Err(Cancelled)"
    "#]],
    );
}

#[test]
fn a_scope_in_a_shield_does_not_catch() {
    check(
        &[app()],
        "start shielded_scope | cancel shielded_scope | ok make 1 | ok unmake 1",
        &expect![[r#"
        > start shielded_scope
          shielded_scope.0 RunStarted shielded_scope{}
          shielded_scope.1 Turn of 0: open scope 1 in 0, call 1 make with undo
        < start shielded_scope: started
        < begin make{"x":1} of shielded_scope, seq 1, attempt 1, key 1
        > cancel shielded_scope
          shielded_scope.2 CancelRequested by caller: asked
          shielded_scope.3 Turn of 2: nothing
        < cancel shielded_scope: done
        > ok make 1
          shielded_scope.4 ActivityCompleted 1: 1
          shielded_scope.5 Turn of 4: close scope 1, await 2 go, drop 2, call 3 unmake undoing 1
          shielded_scope.6 CompensationStarted: Cancelled
        < begin unmake{"x":1} of shielded_scope, seq 3, attempt 1, key 2
        > ok unmake 1
          shielded_scope.7 ActivityCompleted 3: 1
          shielded_scope.8 Turn of 7: nothing
          shielded_scope.9 RunEnded: Cancelled nothing, undone make 1
    "#]],
    );
}

#[test]
fn a_scope_that_fails_is_undone_before_it_returns() {
    check(
        &[app()],
        "start failing | ok make 1 | ok make 2 | fatal other no | ok unmake 2 | signal failing go 0 | ok unmake 1",
        &expect![[r#"
            > start failing
              failing.0 RunStarted failing{}
              failing.1 Turn of 0: call 1 make with undo
            < start failing: started
            < begin make{"x":1} of failing, seq 1, attempt 1, key 1
            > ok make 1
              failing.2 ActivityCompleted 1: 1
              failing.3 Turn of 2: open scope 1 in 0, call 2 make with undo
            < begin make{"x":2} of failing, seq 2, attempt 1, key 2
            > ok make 2
              failing.4 ActivityCompleted 2: 2
              failing.5 Turn of 4: call 3 other
            < begin other{"x":3} of failing, seq 3, attempt 1, key 3
            > fatal other no
              failing.6 ActivityFailed 3, attempt 1: `no`
              failing.7 Turn of 6: call 4 unmake undoing 2
            < begin unmake{"x":2} of failing, seq 4, attempt 1, key 4
            > ok unmake 2
              failing.8 ActivityCompleted 4: 2
              failing.9 Turn of 8: close scope 1, await 5 go
            > signal failing go 0
              failing.10 SignalReceived go: 0
              failing.11 Turn of 10: take 5, call 6 unmake undoing 1
              failing.12 CompensationStarted: Failed
            < signal failing go: done
            < begin unmake{"x":1} of failing, seq 6, attempt 1, key 5
            > ok unmake 1
              failing.13 ActivityCompleted 6: 1
              failing.14 Turn of 13: nothing
              failing.15 RunEnded: Failed `refused`, undone make 1 and make 2
        "#]],
    );
}

#[test]
fn a_scope_that_ends_well_passes_on_what_was_made() {
    check(
        &[app()],
        "start passing | ok make 1 | ok make 2 | ok make 3 | ok unmake 3 | ok unmake 2 | ok unmake 1",
        &expect![[r#"
            > start passing
              passing.0 RunStarted passing{}
              passing.1 Turn of 0: open scope 1 in 0, call 1 make with undo
            < start passing: started
            < begin make{"x":1} of passing, seq 1, attempt 1, key 1
            > ok make 1
              passing.2 ActivityCompleted 1: 1
              passing.3 Turn of 2: call 2 make with undo
            < begin make{"x":2} of passing, seq 2, attempt 1, key 2
            > ok make 2
              passing.4 ActivityCompleted 2: 2
              passing.5 Turn of 4: close scope 1, call 3 make with undo
            < begin make{"x":3} of passing, seq 3, attempt 1, key 3
            > ok make 3
              passing.6 ActivityCompleted 3: 3
              passing.7 Turn of 6: call 4 unmake undoing 3
              passing.8 CompensationStarted: Failed
            < begin unmake{"x":3} of passing, seq 4, attempt 1, key 4
            > ok unmake 3
              passing.9 ActivityCompleted 4: 3
              passing.10 Turn of 9: call 5 unmake undoing 2
            < begin unmake{"x":2} of passing, seq 5, attempt 1, key 5
            > ok unmake 2
              passing.11 ActivityCompleted 5: 2
              passing.12 Turn of 11: call 6 unmake undoing 1
            < begin unmake{"x":1} of passing, seq 6, attempt 1, key 6
            > ok unmake 1
              passing.13 ActivityCompleted 6: 1
              passing.14 Turn of 13: nothing
              passing.15 RunEnded: Failed `no`, undone make 1 and make 2 and make 3
        "#]],
    );
}

#[test]
fn a_handle_cancels_its_scope_alone() {
    check(
        &[app()],
        "start handled | ok make 1 | signal handled stop 1 | ok unmake 1",
        &expect![[r#"
        > start handled
          handled.0 RunStarted handled{}
          handled.1 Turn of 0: open scope 1 in 0, call 1 make with undo, await 2 stop
        < start handled: started
        < begin make{"x":1} of handled, seq 1, attempt 1, key 1
        > ok make 1
          handled.2 ActivityCompleted 1: 1
          handled.3 Turn of 2: await 3 go
        > signal handled stop 1
          handled.4 SignalReceived stop: 1
          handled.5 Turn of 4: take 2, drop 3, call 4 unmake undoing 1
        < signal handled stop: done
        < begin unmake{"x":1} of handled, seq 4, attempt 1, key 2
        > ok unmake 1
          handled.6 ActivityCompleted 4: 1
          handled.7 Turn of 6: close scope 1
          handled.8 RunEnded: Completed "Err(\"cancelled\")", undone make 1
    "#]],
    );
}

#[test]
fn a_scope_that_is_cancelled_before_it_is_awaited_begins_nothing() {
    check(
        &[app()],
        "start cancelled_early",
        &expect![[r#"
        > start cancelled_early
          cancelled_early.0 RunStarted cancelled_early{}
          cancelled_early.1 Turn of 0: open scope 1 in 0, close scope 1
          cancelled_early.2 RunEnded: Completed "Err(Cancelled)"
        < start cancelled_early: started
    "#]],
    );
}

#[test]
fn a_scope_that_is_dropped_leaves_what_it_made_to_the_run() {
    check(
        &[app()],
        "start losing | ok make 1 | signal losing stop 1 | signal losing stop 0 | ok unmake 1",
        &expect![[r#"
            > start losing
              losing.0 RunStarted losing{}
              losing.1 Turn of 0: open scope 1 in 0, call 2 make with undo, await 1 stop
            < start losing: started
            < begin make{"x":1} of losing, seq 2, attempt 1, key 1
            > ok make 1
              losing.2 ActivityCompleted 2: 1
              losing.3 Turn of 2: await 3 go
            > signal losing stop 1
              losing.4 SignalReceived stop: 1
              losing.5 Turn of 4: take 1, drop 3, close scope 1, await 4 stop
            < signal losing stop: done
            > signal losing stop 0
              losing.6 SignalReceived stop: 0
              losing.7 Turn of 6: take 4, call 5 unmake undoing 2
              losing.8 CompensationStarted: Failed
            < signal losing stop: done
            < begin unmake{"x":1} of losing, seq 5, attempt 1, key 2
            > ok unmake 1
              losing.9 ActivityCompleted 5: 1
              losing.10 Turn of 9: nothing
              losing.11 RunEnded: Failed `refused`, undone make 2
        "#]],
    );
}

#[test]
fn undoing_goes_on_when_its_scope_is_dropped() {
    check(
        &[app()],
        "start dropped_while_undoing | ok make 1 | signal dropped_while_undoing stop 1 | signal dropped_while_undoing go 2 \
         | crash | ok unmake 1",
        &expect![[r#"
            > start dropped_while_undoing
              dropped_while_undoing.0 RunStarted dropped_while_undoing{}
              dropped_while_undoing.1 Turn of 0: open scope 1 in 0, call 2 make with undo, await 1 stop
            < start dropped_while_undoing: started
            < begin make{"x":1} of dropped_while_undoing, seq 2, attempt 1, key 1
            > ok make 1
              dropped_while_undoing.2 ActivityCompleted 2: 1
              dropped_while_undoing.3 Turn of 2: call 3 unmake undoing 2
            < begin unmake{"x":1} of dropped_while_undoing, seq 3, attempt 1, key 2
            > signal dropped_while_undoing stop 1
              dropped_while_undoing.4 SignalReceived stop: 1
              dropped_while_undoing.5 Turn of 4: take 1, await 4 go
            < signal dropped_while_undoing stop: done
            > signal dropped_while_undoing go 2
              dropped_while_undoing.6 SignalReceived go: 2
              dropped_while_undoing.7 Turn of 6: take 4
              dropped_while_undoing.8 CompensationStarted: Completed
            < signal dropped_while_undoing go: done
            > crash
              dropped_while_undoing is loaded
              dropped_while_undoing.9 AttemptFailed 3, attempt 1: interrupted, next at 0ms, may stand
              dropped_while_undoing.10 AttemptStarted 3, attempt 2
            < begin unmake{"x":1} of dropped_while_undoing, seq 3, attempt 2, key 2
            > ok unmake 1
              dropped_while_undoing.11 ActivityCompleted 3: 1
              dropped_while_undoing.12 Turn of 11: close scope 1
              dropped_while_undoing.13 RunEnded: Completed 2, undone make 2
        "#]],
    );
}

#[test]
fn a_cancel_does_not_reach_what_undoes() {
    check(
        &[app()],
        "start dropped_while_undoing | ok make 1 | cancel dropped_while_undoing | ok unmake 1",
        &expect![[r#"
            > start dropped_while_undoing
              dropped_while_undoing.0 RunStarted dropped_while_undoing{}
              dropped_while_undoing.1 Turn of 0: open scope 1 in 0, call 2 make with undo, await 1 stop
            < start dropped_while_undoing: started
            < begin make{"x":1} of dropped_while_undoing, seq 2, attempt 1, key 1
            > ok make 1
              dropped_while_undoing.2 ActivityCompleted 2: 1
              dropped_while_undoing.3 Turn of 2: call 3 unmake undoing 2
            < begin unmake{"x":1} of dropped_while_undoing, seq 3, attempt 1, key 2
            > cancel dropped_while_undoing
              dropped_while_undoing.4 CancelRequested by caller: asked
              dropped_while_undoing.5 Turn of 4: drop 1
              dropped_while_undoing.6 CompensationStarted: Cancelled
            < cancel dropped_while_undoing: done
            > ok unmake 1
              dropped_while_undoing.7 ActivityCompleted 3: 1
              dropped_while_undoing.8 Turn of 7: close scope 1
              dropped_while_undoing.9 RunEnded: Cancelled nothing, undone make 2
        "#]],
    );
}

#[test]
fn an_outer_scope_undoes_after_the_inner_one() {
    check(
        &[app()],
        "start both_undo | ok make 1 | ok make 2 | signal both_undo stop 1 | ok unmake 2 | ok unmake 1",
        &expect![[r#"
            > start both_undo
              both_undo.0 RunStarted both_undo{}
              both_undo.1 Turn of 0: open scope 1 in 0, call 1 make with undo
            < start both_undo: started
            < begin make{"x":1} of both_undo, seq 1, attempt 1, key 1
            > ok make 1
              both_undo.2 ActivityCompleted 1: 1
              both_undo.3 Turn of 2: open scope 2 in 1, call 3 make with undo, await 2 stop
            < begin make{"x":2} of both_undo, seq 3, attempt 1, key 2
            > ok make 2
              both_undo.4 ActivityCompleted 3: 2
              both_undo.5 Turn of 4: call 4 unmake undoing 3
            < begin unmake{"x":2} of both_undo, seq 4, attempt 1, key 3
            > signal both_undo stop 1
              both_undo.6 SignalReceived stop: 1
              both_undo.7 Turn of 6: take 2
            < signal both_undo stop: done
            > ok unmake 2
              both_undo.8 ActivityCompleted 4: 2
              both_undo.9 Turn of 8: close scope 2, call 5 unmake undoing 1
            < begin unmake{"x":1} of both_undo, seq 5, attempt 1, key 4
            > ok unmake 1
              both_undo.10 ActivityCompleted 5: 1
              both_undo.11 Turn of 10: close scope 1
              both_undo.12 RunEnded: Completed "Err(\"outer\")", undone make 1 and make 3
        "#]],
    );
}

#[test]
fn a_call_that_is_awaited_on_cancel_ends_before_its_run() {
    check(
        &[app()],
        "start awaited | cancel awaited | ok make 1",
        &expect![[r#"
        > start awaited
          awaited.0 RunStarted awaited{}
          awaited.1 Turn of 0: call 1 make awaited
        < start awaited: started
        < begin make{"x":1} of awaited, seq 1, attempt 1, key 1
        > cancel awaited
          awaited.2 CancelRequested by caller: asked
          awaited.3 Turn of 2: drop 1
          awaited.4 CompensationStarted: Cancelled
        < cancel awaited: done
        < ask make of awaited to stop
        > ok make 1
          awaited.5 ActivityCompleted 1: 1
          awaited.6 Turn of 5: nothing
          awaited.7 RunEnded: Cancelled nothing
    "#]],
    );
}

#[test]
fn what_a_shield_makes_stands_in_the_scope_where_it_is_polled() {
    check(
        &[app()],
        "start moved_shield | signal moved_shield go 1 | ok make 1 | ok make 2 | ok unmake 2 | ok unmake 1",
        &expect![[r#"
            > start moved_shield
              moved_shield.0 RunStarted moved_shield{}
              moved_shield.1 Turn of 0: open scope 1 in 0, call 2 make with undo, await 1 go
            < start moved_shield: started
            < begin make{"x":1} of moved_shield, seq 2, attempt 1, key 1
            > signal moved_shield go 1
              moved_shield.2 SignalReceived go: 1
              moved_shield.3 Turn of 2: take 1, close scope 1
            < signal moved_shield go: done
            > ok make 1
              moved_shield.4 ActivityCompleted 2: 1
              moved_shield.5 Turn of 4: call 3 make with undo
            < begin make{"x":2} of moved_shield, seq 3, attempt 1, key 2
            > ok make 2
              moved_shield.6 ActivityCompleted 3: 2
              moved_shield.7 Turn of 6: call 4 unmake undoing 3
              moved_shield.8 CompensationStarted: Failed
            < begin unmake{"x":2} of moved_shield, seq 4, attempt 1, key 3
            > ok unmake 2
              moved_shield.9 ActivityCompleted 4: 2
              moved_shield.10 Turn of 9: call 5 unmake undoing 2
            < begin unmake{"x":1} of moved_shield, seq 5, attempt 1, key 4
            > ok unmake 1
              moved_shield.11 ActivityCompleted 5: 1
              moved_shield.12 Turn of 11: nothing
              moved_shield.13 RunEnded: Failed `no 3`, undone make 2 and make 3
        "#]],
    );
}

#[test]
fn what_was_made_in_a_leaked_scope_is_undone_at_the_end() {
    check(
        &[app()],
        "start leaking | ok make 1 | signal leaking stop 1 | ok unmake 1",
        &expect![[r#"
            > start leaking
              leaking.0 RunStarted leaking{}
              leaking.1 Turn of 0: open scope 1 in 0, call 2 make with undo, await 1 stop
            < start leaking: started
            < begin make{"x":1} of leaking, seq 2, attempt 1, key 1
            > ok make 1
              leaking.2 ActivityCompleted 2: 1
              leaking.3 Turn of 2: await 3 go
            > signal leaking stop 1
              leaking.4 SignalReceived stop: 1
              leaking.5 Turn of 4: take 1, drop 3, close scope 1, call 4 unmake undoing 2
              leaking.6 CompensationStarted: Failed
            < signal leaking stop: done
            < begin unmake{"x":1} of leaking, seq 4, attempt 1, key 2
            > ok unmake 1
              leaking.7 ActivityCompleted 4: 1
              leaking.8 Turn of 7: nothing
              leaking.9 RunEnded: Failed `no 1`, undone make 2
        "#]],
    );
}

#[test]
fn a_guard_that_cancels_a_scope_is_inert_while_its_run_is_put_away() {
    check(
        &[app()],
        "start guarding | crash | signal guarding stop 1 | ok make 1 | ok unmake 1",
        &expect![[r#"
            > start guarding
              guarding.0 RunStarted guarding{}
              guarding.1 Turn of 0: open scope 1 in 0, call 1 make with undo, await 2 stop
            < start guarding: started
            < begin make{"x":1} of guarding, seq 1, attempt 1, key 1
            > crash
              guarding is loaded
              guarding.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              guarding.3 AttemptStarted 1, attempt 2
            < begin make{"x":1} of guarding, seq 1, attempt 2, key 1
            > signal guarding stop 1
              guarding.4 SignalReceived stop: 1
              guarding.5 Turn of 4: take 2, drop 1
            < signal guarding stop: done
            < ask make of guarding to stop
            > ok make 1
              guarding.6 ActivityCompleted 1: 1
              guarding.7 Turn of 6: call 3 unmake undoing 1
            < begin unmake{"x":1} of guarding, seq 3, attempt 1, key 2
            > ok unmake 1
              guarding.8 ActivityCompleted 3: 1
              guarding.9 Turn of 8: close scope 1
              guarding.10 RunEnded: Completed "Err(Cancelled)", undone make 1
        "#]],
    );
}

#[test]
fn a_cancel_of_ten_thousand_scopes_is_no_livelock() {
    let told = super::tell(&[app()], "start crowd | cancel crowd", crate::kernel::engine::Residence::Stay);
    assert!(told.contains("RunEnded: Completed 10001"), "{}", told.lines().last().unwrap_or_default());
}

#[test]
fn what_a_scope_that_fails_cannot_undo_is_named_though_the_run_ends_well() {
    check(
        &[app()],
        "start shrugging | advance 10s",
        &expect![[r#"
            > start shrugging
              shrugging.0 RunStarted shrugging{}
              shrugging.1 Turn of 0: open scope 1 in 0, call 1 slow with undo
            < start shrugging: started
            < begin slow{"x":1} of shrugging, seq 1, attempt 1, key 1
            > advance 10s
              shrugging.2 ActivityFailed 1, attempt 1: timed out (StartToClose), may stand
              shrugging.3 Turn of 2: drop 1, close scope 1
              shrugging.4 RunEnded: Completed "Err(\"the call timed out (start-to-close)\")", unknown slow 1
            < stop slow of shrugging
              ! run `shrugging` of `shrugging` ended, and this is not known to be undone: `slow` (seq 1) [E0212]
        "#]],
    );
}
