//! Destructors: what is dropped while a run is put away leaves no trace, and what a destructor may not do is told.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use expect_test::expect;
use futures::FutureExt;

use super::flows::{GO, STOP, a, b};
use super::world::Build;
use super::{check, check_in_memory};
use crate::prelude::*;
use crate::registry::Registry;

/// A guard that touches durable futures in its destructor: it drops one that waits, builds another one and polls it.
struct Guard {
    waits: Option<crate::Sleep>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.waits.take());
        let polled = catch_unwind(AssertUnwindSafe(|| crate::sleep(Duration::from_secs(5)).now_or_never()));
        // Where the run is put away the poll panics, and that is nobody's affair.
        drop(polled);
    }
}

async fn polled_once(span: Duration) -> Option<crate::Sleep> {
    let mut sleep = crate::sleep(span);
    let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(sleep.poll_unpin(cx))).await;
    assert!(polled.is_pending());
    Some(sleep)
}

#[workflow]
async fn guarded() -> Result<u32, String> {
    let guard = Guard { waits: polled_once(Duration::from_secs(3600)).await };
    let x = a(1).await.map_err(|e| e.to_string())?;
    let y = GO.recv().await;
    drop(guard);
    let z = b(2).await.map_err(|e| e.to_string())?;
    Ok(x + y + z)
}

/// Panics when it is dropped, unless the body says that it has ended well.
struct Brittle {
    ended: bool,
}

impl Drop for Brittle {
    fn drop(&mut self) {
        if !self.ended && !std::thread::panicking() {
            panic!("dropped too early");
        }
    }
}

#[workflow]
async fn brittle() -> Result<u32, String> {
    let mut body = Brittle { ended: false };
    let branch = crate::spawn(async {
        let mut branch = Brittle { ended: false };
        let x = a(1).await.map_err(|e| e.to_string());
        branch.ended = true;
        x
    });
    let x = branch.await?;
    let y = GO.recv().await;
    body.ended = true;
    Ok(x + y)
}

#[workflow]
async fn breaks() -> Result<u32, String> {
    let brittle = Brittle { ended: false };
    let x = GO.recv().await;
    drop(brittle);
    Ok(x)
}

thread_local! {
    static STOLEN: RefCell<Vec<crate::Sleep>> = const { RefCell::new(Vec::new()) };
}

#[workflow]
async fn victim() -> Result<u32, String> {
    let sleep = polled_once(Duration::from_secs(3600)).await;
    STOLEN.with(|stolen| stolen.borrow_mut().extend(sleep));
    Ok(GO.recv().await)
}

#[workflow]
async fn thief() -> Result<u32, String> {
    STOLEN.with(|stolen| stolen.borrow_mut().clear());
    Ok(STOP.recv().await)
}

/// Awaits in its destructor.
struct Waiter;

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = a(1).now_or_never();
    }
}

#[workflow]
async fn waits_in_drop() -> Result<u32, String> {
    let _waiter = Waiter;
    Ok(GO.recv().await)
}

fn app() -> Build {
    let registry = Registry::of((a, b, guarded, brittle, breaks, victim, thief, waits_in_drop));
    Build::new("b1", registry)
        .start("guarded", || guarded().into_start())
        .start("brittle", || brittle().into_start())
        .start("breaks", || breaks().into_start())
        .start("victim", || victim().into_start())
        .start("thief", || thief().into_start())
        .start("waits_in_drop", || waits_in_drop().into_start())
}

#[test]
fn a_guard_that_touches_durable_futures_is_inert_while_its_run_is_put_away() {
    check(
        &[app()],
        "start guarded | ok a 1 | signal guarded go 2 | ok b 3",
        &expect![[r#"
            > start guarded
              guarded.0 RunStarted guarded{}
              guarded.1 Turn of 0: timer 1 due 1h, call 2 a
            < start guarded: started
            < begin a{"x":1} of guarded, seq 2, attempt 1, key 1
            > ok a 1
              guarded.2 ActivityCompleted 2: 1
              guarded.3 Turn of 2: await 3 go
            > signal guarded go 2
              guarded.4 SignalReceived go: 2
              guarded.5 Turn of 4: take 3, drop 1, timer 4 due 5s, drop 4, call 5 b
            < signal guarded go: done
            < begin b{"x":2} of guarded, seq 5, attempt 1, key 2
            > ok b 3
              guarded.6 ActivityCompleted 5: 3
              guarded.7 Turn of 6: nothing
              guarded.8 RunEnded: Completed 6
        "#]],
    );
}

#[test]
fn a_guard_is_inert_at_a_shutdown_and_a_crash() {
    check(
        &[app()],
        "start guarded | close | open | ok a 1 | crash | signal guarded go 2 | ok b 3",
        &expect![[r#"
            > start guarded
              guarded.0 RunStarted guarded{}
              guarded.1 Turn of 0: timer 1 due 1h, call 2 a
            < start guarded: started
            < begin a{"x":1} of guarded, seq 2, attempt 1, key 1
            > close
              guarded.2 AttemptParked 2, attempt 1
            < stop a of guarded
            > open
              guarded is loaded
              guarded.3 AttemptStarted 2, attempt 1
            < begin a{"x":1} of guarded, seq 2, attempt 1, key 1
            > ok a 1
              guarded.4 ActivityCompleted 2: 1
              guarded.5 Turn of 4: await 3 go
            > crash
            > signal guarded go 2
              guarded.6 SignalReceived go: 2
              guarded is loaded
            < signal guarded go: done
              guarded.7 Turn of 6: take 3, drop 1, timer 4 due 5s, drop 4, call 5 b
            < begin b{"x":2} of guarded, seq 5, attempt 1, key 2
            > ok b 3
              guarded.8 ActivityCompleted 5: 3
              guarded.9 Turn of 8: nothing
              guarded.10 RunEnded: Completed 6
        "#]],
    );
}

#[test]
fn what_a_cancel_drops_is_recorded_and_a_destructor_cannot_await() {
    check(
        &[app()],
        "start guarded | cancel guarded",
        &expect![[r#"
        > start guarded
          guarded.0 RunStarted guarded{}
          guarded.1 Turn of 0: timer 1 due 1h, call 2 a
        < start guarded: started
        < begin a{"x":1} of guarded, seq 2, attempt 1, key 1
        > cancel guarded
          guarded.2 CancelRequested by caller: asked
          guarded.3 Turn of 2: drop 2, drop 1
          guarded.4 RunEnded: Cancelled nothing
        < cancel guarded: done
        < stop a of guarded
    "#]],
    );
}

#[test]
fn destructors_that_panic_while_their_run_is_put_away_harm_nothing() {
    check(
        &[app()],
        "start brittle | ok a 1 | signal brittle go 2",
        &expect![[r#"
        > start brittle
          brittle.0 RunStarted brittle{}
          brittle.1 Turn of 0: call 1 a
        < start brittle: started
        < begin a{"x":1} of brittle, seq 1, attempt 1, key 1
        > ok a 1
          brittle.2 ActivityCompleted 1: 1
          brittle.3 Turn of 2: await 2 go
        > signal brittle go 2
          brittle.4 SignalReceived go: 2
          brittle.5 Turn of 4: take 2
          brittle.6 RunEnded: Completed 3
        < signal brittle go: done
    "#]],
    );
}

#[test]
fn a_destructor_that_panics_at_a_cancel_blocks_the_run() {
    check(
        &[app()],
        "start breaks | cancel breaks",
        &expect![[r#"
        > start breaks
          breaks.0 RunStarted breaks{}
          breaks.1 Turn of 0: await 1 go
        < start breaks: started
        > cancel breaks
          breaks.2 CancelRequested by caller: asked
          breaks.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/drops.rs:_: dropped too early; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
        < cancel breaks: done
          ! the workflow panicked after its durable call at durable/src/script/drops.rs:_: dropped too early; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
    "#]],
    );
}

#[test]
fn a_destructor_that_panics_in_a_poll_blocks_the_run() {
    check(
        &[app()],
        "start breaks | signal breaks go 1",
        &expect![[r#"
        > start breaks
          breaks.0 RunStarted breaks{}
          breaks.1 Turn of 0: await 1 go
        < start breaks: started
        > signal breaks go 1
          breaks.2 SignalReceived go: 1
          breaks.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/drops.rs:_: dropped too early; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
        < signal breaks go: done
          ! the workflow panicked after its durable call at durable/src/script/drops.rs:_: dropped too early; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
    "#]],
    );
}

#[test]
fn a_durable_future_that_another_run_drops_is_reported() {
    check_in_memory(
        &[app()],
        "start victim | start thief | signal victim go 1",
        &expect![[r#"
        > start victim
          victim.0 RunStarted victim{}
          victim.1 Turn of 0: timer 1 due 1h, await 2 go
        < start victim: started
        > start thief
          thief.0 RunStarted thief{}
          thief.1 Turn of 0: await 1 stop
        < start thief: started
        > signal victim go 1
          victim.2 SignalReceived go: 1
          victim.3 RunBlocked in b1: the durable sleep, built at durable/src/script/drops.rs:_:21, was dropped outside the run's own polls: keep durable futures in the workflow's body [E0207]
        < signal victim go: done
          ! the durable sleep, built at durable/src/script/drops.rs:_:21, was dropped outside the run's own polls: keep durable futures in the workflow's body [E0207]
    "#]],
    );
}

#[test]
fn an_await_in_a_destructor_at_a_cancel_blocks_the_run() {
    check(
        &[app()],
        "start waits_in_drop | cancel waits_in_drop",
        &expect![[r#"
        > start waits_in_drop
          waits_in_drop.0 RunStarted waits_in_drop{}
          waits_in_drop.1 Turn of 0: await 1 go
        < start waits_in_drop: started
        > cancel waits_in_drop
          waits_in_drop.2 CancelRequested by caller: asked
          waits_in_drop.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/drops.rs:_: the call of activity `a`, built at durable/src/script/drops.rs:_:17, is not durable here: it is awaited in a `Drop` while its run is cancelled: a destructor may touch memory only; clean up in the workflow's body; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
        < cancel waits_in_drop: done
          ! the workflow panicked after its durable call at durable/src/script/drops.rs:_: the call of activity `a`, built at durable/src/script/drops.rs:_:17, is not durable here: it is awaited in a `Drop` while its run is cancelled: a destructor may touch memory only; clean up in the workflow's body; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
    "#]],
    );
}
