//! Blocked runs: what blocks one, what is kept of it meanwhile, and what lets it go on.

use expect_test::expect;

use self::broken::fickle;
use super::flows::a;
use super::world::{Build, World};
use super::{check, check_in_memory, tell};
use crate::kernel::engine::Residence;
use crate::kernel::id::Seq;
use crate::registry::Registry;

mod broken {
    //! Workflows that cannot go on.

    use super::super::flows::{GO, a, b, child};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn panics() -> Result<u32, String> {
        let (x, y) = join!(a(1), b(2));
        panic!("with {x:?} and {y:?}")
    }

    #[workflow]
    pub(super) async fn panics_first() -> Result<u32, String> {
        let (x, y) = join!(
            async {
                let x = GO.recv().await;
                panic!("got {x}")
            },
            a(1),
        );
        let never: u32 = x;
        Ok(never + y.map_err(|e| e.to_string())?)
    }

    thread_local! {
        /// How often `fickle` was begun.
        static BEGUN: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    /// Asks for something else every other time.
    #[workflow]
    pub(super) async fn fickle() -> Result<u32, String> {
        BEGUN.set(BEGUN.get() + 1);
        match BEGUN.get() % 2 {
            1 => a(1).await.map_err(|e| e.to_string()),
            _ => crate::step("other", || async { Ok::<u32, String>(7) }).await.map_err(|e| e.to_string()),
        }
    }

    #[workflow]
    pub(super) async fn spins() -> Result<u32, String> {
        std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            std::task::Poll::<()>::Pending
        })
        .await;
        Ok(GO.recv().await)
    }

    #[workflow]
    pub(super) async fn waits_outside() -> Result<u32, String> {
        let x = a(1).await.map_err(|e| e.to_string())?;
        std::future::pending::<()>().await;
        Ok(x)
    }

    /// Polls its two calls in turn, and never the one whose outcome was granted.
    #[workflow]
    pub(super) async fn misses() -> Result<u32, String> {
        let (mut x, mut y, mut polls) = (a(1), b(2), 0_u32);
        std::future::poll_fn(move |cx| {
            polls += 1;
            if polls % 2 == 1 {
                let _ = std::pin::Pin::new(&mut x).poll(cx);
            }
            if polls % 2 == 0 || polls == 1 {
                let _ = std::pin::Pin::new(&mut y).poll(cx);
            }
            std::task::Poll::<()>::Pending
        })
        .await;
        Ok(0)
    }

    #[workflow]
    pub(super) async fn twins() -> Result<u32, String> {
        let (x, y) = join!(child(1).id("twin"), child(2).id("twin"));
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }

    /// Breaks nothing: it receives ten thousand signals in one turn.
    #[workflow]
    pub(super) async fn hoards() -> Result<u32, String> {
        let mut sum = a(1).await.map_err(|e| e.to_string())?;
        for _ in 0..10_000 {
            sum += GO.recv().await;
        }
        Ok(sum)
    }

    #[workflow]
    pub(super) async fn mistaken() -> Result<u32, String> {
        a(1).await.map_err(|e| e.to_string())
    }
}

mod mended {
    //! The same, mended.

    use super::super::flows::{GO, a, b, child};
    use crate::prelude::*;

    #[workflow]
    pub(super) async fn panics() -> Result<u32, String> {
        let (x, y) = join!(a(1), b(2));
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn spins() -> Result<u32, String> {
        Ok(GO.recv().await)
    }

    #[workflow]
    pub(super) async fn waits_outside() -> Result<u32, String> {
        a(1).await.map_err(|e| e.to_string())
    }

    #[workflow]
    pub(super) async fn twins() -> Result<u32, String> {
        let (x, y) = join!(child(1).id("one"), child(2).id("two"));
        Ok(x.map_err(|e| e.to_string())? + y.map_err(|e| e.to_string())?)
    }

    #[workflow]
    pub(super) async fn panics_first() -> Result<u32, String> {
        let (x, y) = join!(async { GO.recv().await }, a(1));
        Ok(x + y.map_err(|e| e.to_string())?)
    }
}

fn builds() -> [Build; 4] {
    use super::flows::{a, b, child, nap, steps};
    use broken::{hoards, misses, mistaken, panics, panics_first, spins, twins, waits_outside};
    [
        Build::new(
            "b1",
            Registry::of((
                a,
                b,
                child,
                nap,
                steps,
                panics,
                panics_first,
                spins,
                misses,
                waits_outside,
                twins,
                mistaken,
                hoards,
            )),
        )
        .start("panics", || panics().into_start())
        .start("panics_first", || panics_first().into_start())
        .start("hoards", || hoards().into_start())
        .start("misses", || misses().into_start())
        .start("spins", || spins().into_start())
        .start("waits_outside", || waits_outside().into_start())
        .start("twins", || twins().into_start())
        .start("mistaken", || mistaken().into_start())
        .start("steps", || steps().into_start())
        .start("nap", || nap().into_start()),
        Build::new(
            "mended",
            Registry::of((
                a,
                b,
                child,
                mended::panics,
                mended::panics_first,
                mended::spins,
                mended::waits_outside,
                mended::twins,
            )),
        ),
        Build::new("empty", Registry::default()),
        Build::new("without_b", Registry::of((a, steps, nap))).start("steps", || steps().into_start()),
    ]
}

#[test]
fn a_panic_blocks_the_run_and_another_build_mends_it() {
    check(
        &builds(),
        "start panics | watch panics blocked | ok a 1 | ok b 2 | kill | open | retry blocked | kill | open mended",
        &expect![[r#"
            > start panics
              panics.0 RunStarted panics{}
              panics.1 Turn of 0: call 1 a, call 2 b
            < start panics: started
            < begin a{"x":1} of panics, seq 1, attempt 1, key 1
            < begin b{"x":2} of panics, seq 2, attempt 1, key 2
            > watch panics blocked
            > ok a 1
              panics.2 ActivityCompleted 1: 1
              panics.3 Turn of 2: nothing
            > ok b 2
              panics.4 ActivityCompleted 2: 2
              panics.5 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/blocked.rs:_: with Ok(1) and Ok(2); mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            < watch panics: blocked
              ! the workflow panicked after its durable call at durable/src/script/blocked.rs:_: with Ok(1) and Ok(2); mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > kill
            > open
            > retry blocked
              panics.6 RunUnblocked in b1: asked for
              panics is loaded
              ! the workflow panicked after its durable call at durable/src/script/blocked.rs:_: with Ok(1) and Ok(2); mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
              panics.7 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/blocked.rs:_: with Ok(1) and Ok(2); mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > kill
            > open mended
              panics.8 RunUnblocked in mended: another build opened the store
              panics is loaded
              panics.9 BuildChanged mended
              panics.10 Turn of 4: nothing
              panics.11 RunEnded: Completed 3
        "#]],
    );
}

#[test]
fn what_comes_for_a_blocked_run_is_kept_and_no_attempt_begins() {
    check(
        &builds(),
        "start panics_first | signal panics_first go 1 | fail a down | advance 1s | signal panics_first go 2 | kill | open mended | ok a 5",
        &expect![[r#"
            > start panics_first
              panics_first.0 RunStarted panics_first{}
              panics_first.1 Turn of 0: await 2 go, call 1 a
            < start panics_first: started
            < begin a{"x":1} of panics_first, seq 1, attempt 1, key 1
            > signal panics_first go 1
              panics_first.2 SignalReceived go: 1
              panics_first.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            < signal panics_first go: done
              ! the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > fail a down
              panics_first.4 AttemptFailed 1, attempt 1: `down`, next at 1s
            > advance 1s
            > signal panics_first go 2
              panics_first.5 SignalReceived go: 2
            < signal panics_first go: done
            > kill
            > open mended
              panics_first.6 RunUnblocked in mended: another build opened the store
              panics_first is loaded
              panics_first.7 BuildChanged mended
              panics_first.8 Turn of 2: take 2
              panics_first.9 Turn of 5: nothing
              panics_first.10 AttemptStarted 1, attempt 2
            < begin a{"x":1} of panics_first, seq 1, attempt 2, key 1
            > ok a 5
              panics_first.11 ActivityCompleted 1: 5
              panics_first.12 Turn of 11: nothing
              panics_first.13 RunEnded: Completed 6
        "#]],
    );
}

#[test]
fn a_completion_that_comes_for_a_blocked_run_is_kept() {
    check(
        &builds(),
        "start panics_first | signal panics_first go 1 | ok a 5 | close | open mended",
        &expect![[r#"
            > start panics_first
              panics_first.0 RunStarted panics_first{}
              panics_first.1 Turn of 0: await 2 go, call 1 a
            < start panics_first: started
            < begin a{"x":1} of panics_first, seq 1, attempt 1, key 1
            > signal panics_first go 1
              panics_first.2 SignalReceived go: 1
              panics_first.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            < signal panics_first go: done
              ! the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > ok a 5
              panics_first.4 ActivityCompleted 1: 5
            > close
            > open mended
              panics_first.5 RunUnblocked in mended: another build opened the store
              panics_first is loaded
              panics_first.6 BuildChanged mended
              panics_first.7 Turn of 2: take 2
              panics_first.8 Turn of 4: nothing
              panics_first.9 RunEnded: Completed 6
        "#]],
    );
}

#[test]
fn a_blocked_run_can_be_terminated() {
    check(
        &builds(),
        "start panics_first | signal panics_first go 1 | terminate panics_first",
        &expect![[r#"
            > start panics_first
              panics_first.0 RunStarted panics_first{}
              panics_first.1 Turn of 0: await 2 go, call 1 a
            < start panics_first: started
            < begin a{"x":1} of panics_first, seq 1, attempt 1, key 1
            > signal panics_first go 1
              panics_first.2 SignalReceived go: 1
              panics_first.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            < signal panics_first go: done
              ! the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > terminate panics_first
              panics_first.4 RunEnded: Terminated nothing
            < stop a of panics_first
            < terminate panics_first: done
        "#]],
    );
}

#[test]
fn a_run_that_wakes_itself_for_ever_is_a_livelock() {
    check(
        &builds(),
        "start spins | kill | open | kill | open mended | signal spins go 4",
        &expect![[r#"
            > start spins
              spins.0 RunStarted spins{}
              spins.1 RunBlocked in b1: the workflow was polled 10000 times without an event, before its first durable call: look for a loop around something that is always ready, or a future that wakes itself whenever it is polled, and let it wait for something durable, as `durable::sleep` [E0203]
            < start spins: started
              ! the workflow was polled 10000 times without an event, before its first durable call: look for a loop around something that is always ready, or a future that wakes itself whenever it is polled, and let it wait for something durable, as `durable::sleep` [E0203]
            > kill
            > open
            > kill
            > open mended
              spins.2 RunUnblocked in mended: another build opened the store
              spins is loaded
              spins.3 BuildChanged mended
              spins.4 Turn of 0: await 1 go
            > signal spins go 4
              spins.5 SignalReceived go: 4
              spins.6 Turn of 5: take 1
              spins.7 RunEnded: Completed 4
            < signal spins go: done
        "#]],
    );
}

#[test]
fn a_run_that_waits_for_nothing_durable_is_blocked() {
    check(
        &builds(),
        "start waits_outside | ok a 1 | kill | open mended",
        &expect![[r#"
            > start waits_outside
              waits_outside.0 RunStarted waits_outside{}
              waits_outside.1 Turn of 0: call 1 a
            < start waits_outside: started
            < begin a{"x":1} of waits_outside, seq 1, attempt 1, key 1
            > ok a 1
              waits_outside.2 ActivityCompleted 1: 1
              waits_outside.3 RunBlocked in b1: the workflow waits for something outside its journal (a tokio timer, a channel fed from elsewhere, a join handle) and for nothing durable, after its durable call at durable/src/script/blocked.rs:_: move it into an activity or a step, or use `durable::sleep`, a signal or `durable::spawn` [E0204]
              ! the workflow waits for something outside its journal (a tokio timer, a channel fed from elsewhere, a join handle) and for nothing durable, after its durable call at durable/src/script/blocked.rs:_: move it into an activity or a step, or use `durable::sleep`, a signal or `durable::spawn` [E0204]
            > kill
            > open mended
              waits_outside.4 RunUnblocked in mended: another build opened the store
              waits_outside is loaded
              waits_outside.5 BuildChanged mended
              waits_outside.6 Turn of 2: nothing
              waits_outside.7 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn two_children_under_one_id_are_refused() {
    check(
        &builds(),
        "start twins | kill | open mended | terminate twins",
        &expect![[r#"
            > start twins
              twins.0 RunStarted twins{}
              twins.1 RunBlocked in b1: it starts two children under the one id `twins/twin`: give each another one by `.id(..)` (at durable/src/script/blocked.rs:_) [E0207]
            < start twins: started
              ! it starts two children under the one id `twins/twin`: give each another one by `.id(..)` (at durable/src/script/blocked.rs:_) [E0207]
            > kill
            > open mended
              twins.2 RunUnblocked in mended: another build opened the store
              twins is loaded
              twins.3 BuildChanged mended
              twins.4 Turn of 0: child 1 twins/one, child 2 twins/two
              twins/one.0 RunStarted child{"x":1}
              twins/one.1 Turn of 0: call 1 a
              twins/two.0 RunStarted child{"x":2}
              twins/two.1 Turn of 0: call 1 a
            < begin a{"x":1} of twins/one, seq 1, attempt 1, key 1
            < begin a{"x":2} of twins/two, seq 1, attempt 1, key 2
            > terminate twins
              twins.5 RunEnded: Terminated nothing
              twins/one.2 CancelRequested by parent: its parent does not wait for it any more
              twins/one.3 Turn of 2: drop 1
              twins/one.4 RunEnded: Cancelled nothing
              twins/two.2 CancelRequested by parent: its parent does not wait for it any more
              twins/two.3 Turn of 2: drop 1
              twins/two.4 RunEnded: Cancelled nothing
            < terminate twins: done
            < stop a of twins/one
            < stop a of twins/two
        "#]],
    );
}

#[test]
fn a_recorded_result_that_does_not_decode_blocks_the_run() {
    check(
        &builds(),
        "start mistaken | ok a \"text\"",
        &expect![[r#"
            > start mistaken
              mistaken.0 RunStarted mistaken{}
              mistaken.1 Turn of 0: call 1 a
            < start mistaken: started
            < begin a{"x":1} of mistaken, seq 1, attempt 1, key 1
            > ok a "text"
              mistaken.2 ActivityCompleted 1: "text"
              mistaken.3 RunBlocked in b1: the call of activity `a` at durable/src/script/blocked.rs:_:9: the recorded result of `a` does not decode: the recorded value is no `u32`: invalid type: string "text", expected u32 at line 1 column 6; give new fields a `#[serde(default)]`, or bring the old type back [E0205]
              ! the call of activity `a` at durable/src/script/blocked.rs:_:9: the recorded result of `a` does not decode: the recorded value is no `u32`: invalid type: string "text", expected u32 at line 1 column 6; give new fields a `#[serde(default)]`, or bring the old type back [E0205]
        "#]],
    );
}

#[test]
fn a_run_of_a_workflow_that_this_binary_lacks_is_stuck_and_nothing_is_recorded() {
    check(
        &builds(),
        "start steps | kill | open empty | watch steps blocked | kill | open | ok a 1",
        &expect![[r#"
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > kill
            > open empty
              steps is loaded
              ! workflow `steps` version 1 is not registered in this binary (it has: none): register it, and the run goes on at the next open [E0208]
            > watch steps blocked
            < watch steps: blocked
            > kill
            > open
              steps is loaded
              steps.2 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              steps.3 AttemptStarted 1, attempt 2
            < begin a{"x":1} of steps, seq 1, attempt 2, key 1
            > ok a 1
              steps.4 ActivityCompleted 1: 1
              steps.5 Turn of 4: call 2 b
            < begin b{"x":1} of steps, seq 2, attempt 1, key 2
        "#]],
    );
}

#[test]
fn a_timer_of_a_workflow_that_this_binary_lacks_fires_all_the_same() {
    check(
        &builds(),
        "start nap | kill | open empty | advance 1h | close | open",
        &expect![[r#"
            > start nap
              nap.0 RunStarted nap{}
              nap.1 Turn of 0: timer 1 due 1h
            < start nap: started
            > kill
            > open empty
            > advance 1h
              nap.2 TimerFired 1 at 1h
              nap is loaded
              ! workflow `nap` version 1 is not registered in this binary (it has: none): register it, and the run goes on at the next open [E0208]
            > close
            > open
              nap is loaded
              nap.3 Turn of 2: nothing
              nap.4 RunEnded: Completed 1
        "#]],
    );
}

#[test]
fn a_call_of_an_activity_that_this_binary_lacks_is_stuck() {
    check(
        &builds(),
        "open without_b | start steps | ok a 1 | kill | open | ok b 2",
        &expect![[r#"
            > open without_b
            > start steps
              steps.0 RunStarted steps{}
              steps.1 Turn of 0: call 1 a
            < start steps: started
            < begin a{"x":1} of steps, seq 1, attempt 1, key 1
            > ok a 1
              steps.2 ActivityCompleted 1: 1
              ! the call of activity `b` at durable/src/script/flows.rs:_: it is not registered in this binary: add it to `.register((.., b))`, and the run goes on at the next open [E0208]
            > kill
            > open
              steps is loaded
              steps.3 BuildChanged b1
              steps.4 Turn of 2: call 2 b
            < begin b{"x":1} of steps, seq 2, attempt 1, key 2
            > ok b 2
              steps.5 ActivityCompleted 2: 2
              steps.6 Turn of 5: nothing
              steps.7 RunEnded: Completed 3
        "#]],
    );
}

#[test]
fn a_blocked_run_is_looked_at_once_by_each_build() {
    check(
        &builds(),
        "start panics | ok a 1 | ok b 2 | kill | open | kill | open | kill | open mended",
        &expect![[r#"
            > start panics
              panics.0 RunStarted panics{}
              panics.1 Turn of 0: call 1 a, call 2 b
            < start panics: started
            < begin a{"x":1} of panics, seq 1, attempt 1, key 1
            < begin b{"x":2} of panics, seq 2, attempt 1, key 2
            > ok a 1
              panics.2 ActivityCompleted 1: 1
              panics.3 Turn of 2: nothing
            > ok b 2
              panics.4 ActivityCompleted 2: 2
              panics.5 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/blocked.rs:_: with Ok(1) and Ok(2); mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
              ! the workflow panicked after its durable call at durable/src/script/blocked.rs:_: with Ok(1) and Ok(2); mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > kill
            > open
            > kill
            > open
            > kill
            > open mended
              panics.6 RunUnblocked in mended: another build opened the store
              panics is loaded
              panics.7 BuildChanged mended
              panics.8 Turn of 4: nothing
              panics.9 RunEnded: Completed 3
        "#]],
    );
}

#[test]
fn a_call_of_a_blocked_run_may_have_run_though_a_clean_stop_came_after_the_crash() {
    check(
        &builds(),
        "start panics_first | signal panics_first go 1 | crash | close | open mended | ok a 5",
        &expect![[r#"
            > start panics_first
              panics_first.0 RunStarted panics_first{}
              panics_first.1 Turn of 0: await 2 go, call 1 a
            < start panics_first: started
            < begin a{"x":1} of panics_first, seq 1, attempt 1, key 1
            > signal panics_first go 1
              panics_first.2 SignalReceived go: 1
              panics_first.3 RunBlocked in b1: the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            < signal panics_first go: done
              ! the workflow panicked after its durable call at durable/src/script/blocked.rs:_: got 1; mend it and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]
            > crash
            > close
              panics_first.4 AttemptStarted 1, attempt 1
            > open mended
              panics_first.5 RunUnblocked in mended: another build opened the store
              panics_first is loaded
              panics_first.6 AttemptFailed 1, attempt 1: interrupted, next at 0ms, may stand
              panics_first.7 BuildChanged mended
              panics_first.8 Turn of 2: take 2
              panics_first.9 AttemptStarted 1, attempt 2
            < begin a{"x":1} of panics_first, seq 1, attempt 2, key 1
            > ok a 5
              panics_first.10 ActivityCompleted 1: 5
              panics_first.11 Turn of 10: nothing
              panics_first.12 RunEnded: Completed 6
        "#]],
    );
}

#[test]
fn a_run_that_never_takes_what_it_is_granted_is_a_livelock() {
    check_in_memory(
        &builds(),
        "start misses | ok a 1 | ok b 2",
        &expect![[r#"
            > start misses
              misses.0 RunStarted misses{}
              misses.1 Turn of 0: call 1 a, call 2 b
            < start misses: started
            < begin a{"x":1} of misses, seq 1, attempt 1, key 1
            < begin b{"x":2} of misses, seq 2, attempt 1, key 2
            > ok a 1
              misses.2 ActivityCompleted 1: 1
              misses.3 Turn of 2: nothing
            > ok b 2
              misses.4 ActivityCompleted 2: 2
              misses.5 RunBlocked in b1: the workflow was polled 10000 times without an event, after its durable call at durable/src/script/blocked.rs:_: look for a loop around something that is always ready, or a future that wakes itself whenever it is polled, and let it wait for something durable, as `durable::sleep` [E0203]
              ! the workflow was polled 10000 times without an event, after its durable call at durable/src/script/blocked.rs:_: look for a loop around something that is always ready, or a future that wakes itself whenever it is polled, and let it wait for something durable, as `durable::sleep` [E0203]
        "#]],
    );
}

#[test]
fn ten_thousand_outcomes_in_one_turn_are_no_livelock() {
    let mut script = "start hoards".to_owned();
    script.push_str(&" | signal hoards go 1".repeat(10_000));
    script.push_str(" | ok a 7");
    let told = tell(&builds(), &script, Residence::Stay);
    let (_, end) = told.rsplit_once("hoards.").unwrap();
    assert_eq!(end.trim_end(), "20004 RunEnded: Completed 10007");
}

/// A journal is decoded as it is replayed, and anew when that went wrong: the second time counts for what is said of it alone. Nor may the closure of a
/// step that the journal does not know take the place of the call that it knows.
#[test]
fn code_that_fits_every_other_time_is_found() {
    let build = Build::new("b1", Registry::of((a, fickle))).start("fickle", || fickle().into_start());
    let mut world = World::new();
    world.open(&build);
    world.start("fickle", "f");
    let run = world.run("f");
    let same = world.kill();
    world.open(&same);
    assert!(world.kernel().is_blocked(run), "{}", world.told);
    assert!(world.told.contains("E0201"), "{}", world.told);
    assert!(!world.has_step(run, Seq(1)), "a closure of what was refused is left");
}
