//! Compensation: what is undone at which end, in which order, and what an end names that was not.

use std::sync::atomic::{AtomicUsize, Ordering};

use expect_test::expect;

use super::check;
use super::world::Build;
use crate::Signal;
use crate::prelude::*;
use crate::registry::Registry;

const GO: Signal<u32> = Signal::new("go");

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(2))]
async fn reserve(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(2), start_to_close = "10s")]
async fn charge(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(2))]
async fn release(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(2))]
async fn refund(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(retry = never())]
async fn void(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[activity(at_most_once, retry = never())]
async fn mail(x: u32) -> Result<u32, String> {
    Ok(x)
}

fn text<E: ToString>(error: E) -> String {
    error.to_string()
}

/// Reserves, charges, waits for a word: 0 is a refusal.
#[workflow]
async fn order() -> Result<u32, String> {
    let hold = reserve(1).undo(release).await.map_err(text)?;
    let receipt = charge(2).undo(|receipt| refund(receipt)).undo_unknown(void(9)).await.map_err(text)?;
    match GO.recv().await {
        0 => Err("refused".to_owned()),
        word => Ok(hold + receipt + word),
    }
}

#[workflow(timeout = "1h")]
async fn limited() -> Result<u32, String> {
    reserve(1).undo(release).await.map_err(text)?;
    Ok(GO.recv().await)
}

/// A charge races with a word: the loser is dropped, and undone although the run ends well.
#[workflow]
async fn race() -> Result<u32, String> {
    let first = select! {
        receipt = charge(2).undo(refund) => receipt.map_err(text)?,
        word = GO.recv() => word,
    };
    Ok(first)
}

/// Asked for and dropped in the same turn.
#[workflow]
async fn hasty() -> Result<u32, String> {
    let first = select! {
        receipt = charge(2).undo(refund) => receipt.map_err(text)?,
        () = std::future::ready(()) => 7,
    };
    Ok(first)
}

/// Both in flight at once; the first that fails drops the other.
#[workflow]
async fn both() -> Result<u32, String> {
    let (x, y) = try_join!(reserve(1).undo(release), charge(2).undo(refund).undo_unknown(void(9))).map_err(text)?;
    Ok(x + y)
}

#[workflow]
async fn by_hand() -> Result<u32, String> {
    reserve(1).undo(release).await.map_err(text)?;
    crate::compensate(refund(5));
    crate::compensate(void(6));
    charge(2).await.map_err(text)
}

#[workflow]
async fn mailing() -> Result<u32, String> {
    let sent = mail(1).undo(release).undo_unknown(void(1)).await;
    GO.recv().await;
    sent.map_err(text)
}

/// A branch of the run has something in flight when the body ends.
#[workflow]
async fn detached() -> Result<u32, String> {
    drop(crate::spawn(async { charge(2).undo(refund).await.is_ok() }));
    Ok(GO.recv().await)
}

/// The compensation is a step.
#[workflow]
async fn stepped() -> Result<u32, String> {
    let made = crate::step_with("make", 3, |x: u32| async move { Ok::<u32, String>(x) });
    made.undo(|x| crate::step_with("unmake", x, |x| async move { Ok::<u32, String>(x) }).retry(crate::retry::never()))
        .await
        .map_err(text)?;
    Err("no".to_owned())
}

#[workflow]
async fn parent() -> Result<String, String> {
    Ok(format!("{:?}", order().await))
}

/// A compensation that has the option of calls that are awaited when they are dropped.
#[workflow]
async fn patient() -> Result<u32, String> {
    reserve(1).undo(|x| void(x).wait_on_cancel()).await.map_err(text)?;
    Err("no".to_owned())
}

/// A branch has made a call and looks at something else when its outcome comes.
#[workflow]
async fn absent() -> Result<u32, String> {
    drop(crate::spawn(async {
        let mut made = charge(2).undo(refund);
        assert!(futures::poll!(&mut made).is_pending());
        crate::sleep(Duration::from_secs(3600)).await;
        made.await.is_ok()
    }));
    Ok(GO.recv().await)
}

#[workflow]
async fn waiting(x: u32) -> Result<u32, String> {
    Ok(x + GO.recv().await)
}

/// Fails while it has one child of each policy, one more of which a word has won, and something to undo.
#[workflow]
async fn leaving() -> Result<u32, String> {
    reserve(1).undo(release).await.map_err(text)?;
    drop(crate::spawn(waiting(1).id("cancelled")));
    drop(crate::spawn(waiting(2).id("terminated").close(crate::ClosePolicy::Terminate)));
    drop(crate::spawn(waiting(3).id("abandoned").close(crate::ClosePolicy::Abandon)));
    let word = select! {
        _ = waiting(4).id("loser").close(crate::ClosePolicy::Abandon) => 0,
        word = GO.recv() => word,
    };
    Err(format!("refused {word}"))
}

/// What a step's closure holds lives as long as this says.
static HELD: AtomicUsize = AtomicUsize::new(0);

struct Held;

impl Held {
    fn new() -> Held {
        HELD.fetch_add(1, Ordering::Relaxed);
        Held
    }

    fn undoing(self) -> crate::Step<u32, crate::Failure> {
        crate::step("undoing", move || {
            let _held = &self;
            async { Ok::<u32, String>(1) }
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

#[workflow]
async fn holding() -> Result<u32, String> {
    crate::compensate(Held::new().undoing());
    charge(2).undo_unknown(Held::new().undoing()).await.map_err(text)
}

fn registry() -> Registry {
    Registry::of((
        Registry::of((reserve, charge, release, refund, void, mail)),
        Registry::of((order, limited, race, hasty, both, by_hand, mailing, detached, stepped, parent)),
        Registry::of((patient, absent, waiting, leaving, holding)),
    ))
}

fn app() -> Build {
    build("b1")
}

fn build(id: &'static str) -> Build {
    Build::new(id, registry())
        .start("order", || order().into_start())
        .start("limited", || limited().into_start())
        .start("race", || race().into_start())
        .start("hasty", || hasty().into_start())
        .start("both", || both().into_start())
        .start("by_hand", || by_hand().into_start())
        .start("mailing", || mailing().into_start())
        .start("detached", || detached().into_start())
        .start("stepped", || stepped().into_start())
        .start("parent", || parent().into_start())
        .start("patient", || patient().into_start())
        .start("absent", || absent().into_start())
        .start("leaving", || leaving().into_start())
        .start("holding", || holding().into_start())
}

#[test]
fn a_run_that_ends_well_undoes_nothing() {
    check(
        &[app()],
        "start order | ok reserve 1 | ok charge 2 | signal order go 4",
        &expect![[r#"
        > start order
          order.0 RunStarted order{}
          order.1 Turn of 0: call 1 reserve with undo
        < start order: started
        < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
        > ok reserve 1
          order.2 ActivityCompleted 1: 1
          order.3 Turn of 2: call 2 charge with undo or unknown
        < begin charge{"x":2} of order, seq 2, attempt 1, key 2
        > ok charge 2
          order.4 ActivityCompleted 2: 2
          order.5 Turn of 4: await 4 go
        > signal order go 4
          order.6 SignalReceived go: 4
          order.7 Turn of 6: take 4
          order.8 RunEnded: Completed 7
        < signal order go: done
    "#]],
    );
}

#[test]
fn a_failed_run_undoes_newest_first() {
    check(
        &[app()],
        "start order | ok reserve 1 | ok charge 2 | signal order go 0 | ok refund 2 | fail release no | advance 1s | ok release 1",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > ok charge 2
              order.4 ActivityCompleted 2: 2
              order.5 Turn of 4: await 4 go
            > signal order go 0
              order.6 SignalReceived go: 0
              order.7 Turn of 6: take 4, call 5 refund undoing 2
              order.8 CompensationStarted: Failed
            < signal order go: done
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > ok refund 2
              order.9 ActivityCompleted 5: 2
              order.10 Turn of 9: call 6 release undoing 1
            < begin release{"x":1} of order, seq 6, attempt 1, key 4
            > fail release no
              order.11 AttemptFailed 6, attempt 1: `no`, next at 1s
            > advance 1s
              order.12 AttemptStarted 6, attempt 2
            < begin release{"x":1} of order, seq 6, attempt 2, key 4
            > ok release 1
              order.13 ActivityCompleted 6: 1
              order.14 Turn of 13: nothing
              order.15 RunEnded: Failed `refused`, undone reserve 1 and charge 2
        "#]],
    );
}

#[test]
fn a_cancelled_run_undoes_and_is_cancelled_once() {
    check(
        &[app()],
        "start order | ok reserve 1 | ok charge 2 | cancel order | cancel order | ok refund 2 | ok release 1",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > ok charge 2
              order.4 ActivityCompleted 2: 2
              order.5 Turn of 4: await 4 go
            > cancel order
              order.6 CancelRequested by caller: asked
              order.7 Turn of 6: drop 4, call 5 refund undoing 2
              order.8 CompensationStarted: Cancelled
            < cancel order: done
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > cancel order
              order.9 CancelRequested by caller: asked
              order.10 Turn of 9: nothing
            < cancel order: done
            > ok refund 2
              order.11 ActivityCompleted 5: 2
              order.12 Turn of 11: call 6 release undoing 1
            < begin release{"x":1} of order, seq 6, attempt 1, key 4
            > ok release 1
              order.13 ActivityCompleted 6: 1
              order.14 Turn of 13: nothing
              order.15 RunEnded: Cancelled nothing, undone reserve 1 and charge 2
        "#]],
    );
}

#[test]
fn undoing_survives_crashes_and_is_not_repeated() {
    check(
        &[app()],
        "start order | ok reserve 1 | ok charge 2 | cancel order | crash | ok refund 2 | crash | ok release 1",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > ok charge 2
              order.4 ActivityCompleted 2: 2
              order.5 Turn of 4: await 4 go
            > cancel order
              order.6 CancelRequested by caller: asked
              order.7 Turn of 6: drop 4, call 5 refund undoing 2
              order.8 CompensationStarted: Cancelled
            < cancel order: done
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > crash
              order is loaded
              order.9 AttemptFailed 5, attempt 1: interrupted, next at 0ms, may stand
              order.10 AttemptStarted 5, attempt 2
            < begin refund{"x":2} of order, seq 5, attempt 2, key 3
            > ok refund 2
              order.11 ActivityCompleted 5: 2
              order.12 Turn of 11: call 6 release undoing 1
            < begin release{"x":1} of order, seq 6, attempt 1, key 4
            > crash
              order is loaded
              order.13 AttemptFailed 6, attempt 1: interrupted, next at 0ms, may stand
              order.14 AttemptStarted 6, attempt 2
            < begin release{"x":1} of order, seq 6, attempt 2, key 4
            > ok release 1
              order.15 ActivityCompleted 6: 1
              order.16 Turn of 15: nothing
              order.17 RunEnded: Cancelled nothing, undone reserve 1 and charge 2
        "#]],
    );
}

#[test]
fn a_call_in_flight_is_asked_to_stop_and_its_success_undone() {
    check(
        &[app()],
        "start order | ok reserve 1 | cancel order | ok charge 2 | ok refund 2 | ok release 1",
        &expect![[r#"
        > start order
          order.0 RunStarted order{}
          order.1 Turn of 0: call 1 reserve with undo
        < start order: started
        < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
        > ok reserve 1
          order.2 ActivityCompleted 1: 1
          order.3 Turn of 2: call 2 charge with undo or unknown
        < begin charge{"x":2} of order, seq 2, attempt 1, key 2
        > cancel order
          order.4 CancelRequested by caller: asked
          order.5 Turn of 4: drop 2
          order.6 CompensationStarted: Cancelled
        < cancel order: done
        < ask charge of order to stop
        > ok charge 2
          order.7 ActivityCompleted 2: 2
          order.8 Turn of 7: call 4 refund undoing 2
        < begin refund{"x":2} of order, seq 4, attempt 1, key 3
        > ok refund 2
          order.9 ActivityCompleted 4: 2
          order.10 Turn of 9: call 5 release undoing 1
        < begin release{"x":1} of order, seq 5, attempt 1, key 4
        > ok release 1
          order.11 ActivityCompleted 5: 1
          order.12 Turn of 11: nothing
          order.13 RunEnded: Cancelled nothing, undone reserve 1 and charge 2
    "#]],
    );
}

#[test]
fn a_call_in_flight_that_fails_cleanly_needs_no_undo() {
    check(
        &[app()],
        "start order | ok reserve 1 | cancel order | fail charge no | ok release 1",
        &expect![[r#"
        > start order
          order.0 RunStarted order{}
          order.1 Turn of 0: call 1 reserve with undo
        < start order: started
        < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
        > ok reserve 1
          order.2 ActivityCompleted 1: 1
          order.3 Turn of 2: call 2 charge with undo or unknown
        < begin charge{"x":2} of order, seq 2, attempt 1, key 2
        > cancel order
          order.4 CancelRequested by caller: asked
          order.5 Turn of 4: drop 2
          order.6 CompensationStarted: Cancelled
        < cancel order: done
        < ask charge of order to stop
        > fail charge no
          order.7 ActivityFailed 2, attempt 1: `no`
          order.8 Turn of 7: call 4 release undoing 1
        < begin release{"x":1} of order, seq 4, attempt 1, key 3
        > ok release 1
          order.9 ActivityCompleted 4: 1
          order.10 Turn of 9: nothing
          order.11 RunEnded: Cancelled nothing, undone reserve 1
    "#]],
    );
}

#[test]
fn a_call_in_flight_that_times_out_is_unknown() {
    check(
        &[app()],
        "start order | ok reserve 1 | cancel order | advance 10s | ok void 9 | ok release 1",
        &expect![[r#"
        > start order
          order.0 RunStarted order{}
          order.1 Turn of 0: call 1 reserve with undo
        < start order: started
        < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
        > ok reserve 1
          order.2 ActivityCompleted 1: 1
          order.3 Turn of 2: call 2 charge with undo or unknown
        < begin charge{"x":2} of order, seq 2, attempt 1, key 2
        > cancel order
          order.4 CancelRequested by caller: asked
          order.5 Turn of 4: drop 2
          order.6 CompensationStarted: Cancelled
        < cancel order: done
        < ask charge of order to stop
        > advance 10s
          order.7 ActivityFailed 2, attempt 1: timed out (StartToClose), may stand
          order.8 Turn of 7: call 3 void undoing 2
        < stop charge of order
        < begin void{"x":9} of order, seq 3, attempt 1, key 3
        > ok void 9
          order.9 ActivityCompleted 3: 9
          order.10 Turn of 9: call 4 release undoing 1
        < begin release{"x":1} of order, seq 4, attempt 1, key 4
        > ok release 1
          order.11 ActivityCompleted 4: 1
          order.12 Turn of 11: nothing
          order.13 RunEnded: Cancelled nothing, undone reserve 1 and charge 2
    "#]],
    );
}

#[test]
fn a_call_in_flight_whose_process_dies_is_unknown() {
    check(
        &[app()],
        "start order | ok reserve 1 | cancel order | crash | ok void 9 | ok release 1",
        &expect![[r#"
        > start order
          order.0 RunStarted order{}
          order.1 Turn of 0: call 1 reserve with undo
        < start order: started
        < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
        > ok reserve 1
          order.2 ActivityCompleted 1: 1
          order.3 Turn of 2: call 2 charge with undo or unknown
        < begin charge{"x":2} of order, seq 2, attempt 1, key 2
        > cancel order
          order.4 CancelRequested by caller: asked
          order.5 Turn of 4: drop 2
          order.6 CompensationStarted: Cancelled
        < cancel order: done
        < ask charge of order to stop
        > crash
          order.7 ActivityFailed 2, attempt 1: cancelled, may stand
          order is loaded
          order.8 Turn of 7: call 3 void undoing 2
        < begin void{"x":9} of order, seq 3, attempt 1, key 3
        > ok void 9
          order.9 ActivityCompleted 3: 9
          order.10 Turn of 9: call 4 release undoing 1
        < begin release{"x":1} of order, seq 4, attempt 1, key 4
        > ok release 1
          order.11 ActivityCompleted 4: 1
          order.12 Turn of 11: nothing
          order.13 RunEnded: Cancelled nothing, undone reserve 1 and charge 2
    "#]],
    );
}

#[test]
fn a_call_in_back_off_is_settled_at_once() {
    check(
        &[app()],
        "start order | ok reserve 1 | fail charge no | cancel order | ok release 1",
        &expect![[r#"
        > start order
          order.0 RunStarted order{}
          order.1 Turn of 0: call 1 reserve with undo
        < start order: started
        < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
        > ok reserve 1
          order.2 ActivityCompleted 1: 1
          order.3 Turn of 2: call 2 charge with undo or unknown
        < begin charge{"x":2} of order, seq 2, attempt 1, key 2
        > fail charge no
          order.4 AttemptFailed 2, attempt 1: `no`, next at 1s
        > cancel order
          order.5 CancelRequested by caller: asked
          order.6 Turn of 5: drop 2
          order.7 CompensationStarted: Cancelled
          order.8 ActivityFailed 2, attempt 1: cancelled
          order.9 Turn of 8: call 4 release undoing 1
        < cancel order: done
        < begin release{"x":1} of order, seq 4, attempt 1, key 3
        > ok release 1
          order.10 ActivityCompleted 4: 1
          order.11 Turn of 10: nothing
          order.12 RunEnded: Cancelled nothing, undone reserve 1
    "#]],
    );
}

#[test]
fn an_unknown_call_that_the_code_saw_fail_is_undone_as_unknown() {
    check(
        &[app()],
        "start order | ok reserve 1 | advance 10s | advance 1s | advance 10s | ok void 9 | ok release 1",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > advance 10s
              order.4 AttemptFailed 2, attempt 1: timed out, next at 11s, may stand
            < stop charge of order
            > advance 1s
              order.5 AttemptStarted 2, attempt 2
            < begin charge{"x":2} of order, seq 2, attempt 2, key 2
            > advance 10s
              order.6 ActivityFailed 2, attempt 2: exhausted after 2: timed out (StartToClose), may stand
              order.7 Turn of 6: call 3 void undoing 2
              order.8 CompensationStarted: Failed
            < stop charge of order
            < begin void{"x":9} of order, seq 3, attempt 1, key 3
            > ok void 9
              order.9 ActivityCompleted 3: 9
              order.10 Turn of 9: call 4 release undoing 1
            < begin release{"x":1} of order, seq 4, attempt 1, key 4
            > ok release 1
              order.11 ActivityCompleted 4: 1
              order.12 Turn of 11: nothing
              order.13 RunEnded: Failed `2 attempts failed, the last: the call timed out (start-to-close)`, undone reserve 1 and charge 2
        "#]],
    );
}

#[test]
fn an_unknown_call_without_its_own_undo_is_named() {
    check(
        &[app()],
        "start race | advance 10s | advance 1s | advance 10s",
        &expect![[r#"
            > start race
              race.0 RunStarted race{}
              race.1 Turn of 0: call 1 charge with undo, await 2 go
            < start race: started
            < begin charge{"x":2} of race, seq 1, attempt 1, key 1
            > advance 10s
              race.2 AttemptFailed 1, attempt 1: timed out, next at 11s, may stand
            < stop charge of race
            > advance 1s
              race.3 AttemptStarted 1, attempt 2
            < begin charge{"x":2} of race, seq 1, attempt 2, key 1
            > advance 10s
              race.4 ActivityFailed 1, attempt 2: exhausted after 2: timed out (StartToClose), may stand
              race.5 Turn of 4: drop 2
              race.6 RunEnded: Failed `2 attempts failed, the last: the call timed out (start-to-close)`, unknown charge 1
            < stop charge of race
              ! run `race` of `race` ended, and this is not known to be undone: `charge` (seq 1) [E0212]
        "#]],
    );
}

#[test]
fn a_compensation_that_fails_is_named_and_the_older_ones_run() {
    check(
        &[app()],
        "start order | watch order | ok reserve 1 | ok charge 2 | signal order go 0 | fatal refund broken | ok release 1",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > watch order
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > ok charge 2
              order.4 ActivityCompleted 2: 2
              order.5 Turn of 4: await 4 go
            > signal order go 0
              order.6 SignalReceived go: 0
              order.7 Turn of 6: take 4, call 5 refund undoing 2
              order.8 CompensationStarted: Failed
            < signal order go: done
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > fatal refund broken
              order.9 ActivityFailed 5, attempt 1: `broken`
              order.10 Turn of 9: call 6 release undoing 1
            < begin release{"x":1} of order, seq 6, attempt 1, key 4
            > ok release 1
              order.11 ActivityCompleted 6: 1
              order.12 Turn of 11: nothing
              order.13 RunEnded: CompensationFailed after Failed `refused`, undone reserve 1, not undone charge 2
            < watch order: CompensationFailed `refused`
              ! run `order` of `order` ended, and this was not undone: `charge` (seq 2) [E0212]
        "#]],
    );
}

#[test]
fn a_run_that_is_out_of_time_undoes() {
    check(
        &[app()],
        "start limited | ok reserve 1 | advance 1h | ok release 1",
        &expect![[r#"
        > start limited
          limited.0 RunStarted limited{}, until 1h
          limited.1 Turn of 0: call 1 reserve with undo
        < start limited: started
        < begin reserve{"x":1} of limited, seq 1, attempt 1, key 1
        > ok reserve 1
          limited.2 ActivityCompleted 1: 1
          limited.3 Turn of 2: await 2 go
        > advance 1h
          limited.4 RunTimedOut
          limited.5 Turn of 4: drop 2, call 3 release undoing 1
          limited.6 CompensationStarted: TimedOut
        < begin release{"x":1} of limited, seq 3, attempt 1, key 2
        > ok release 1
          limited.7 ActivityCompleted 3: 1
          limited.8 Turn of 7: nothing
          limited.9 RunEnded: TimedOut nothing, undone reserve 1
    "#]],
    );
}

#[test]
fn a_terminated_run_names_what_stands_and_what_is_in_flight() {
    check(
        &[app()],
        "start order | ok reserve 1 | terminate order",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > terminate order
              order.4 RunEnded: Terminated nothing, not undone reserve 1, unknown charge 2
            < stop charge of order
              ! run `order` of `order` ended, and this is not known to be undone: `charge` (seq 2) [E0212]
              ! run `order` of `order` ended, and this was not undone: `reserve` (seq 1) [E0212]
            < terminate order: done
        "#]],
    );
}

#[test]
fn a_run_is_terminated_while_it_undoes() {
    check(
        &[app()],
        "start order | ok reserve 1 | ok charge 2 | cancel order | ok refund 2 | terminate order",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > ok charge 2
              order.4 ActivityCompleted 2: 2
              order.5 Turn of 4: await 4 go
            > cancel order
              order.6 CancelRequested by caller: asked
              order.7 Turn of 6: drop 4, call 5 refund undoing 2
              order.8 CompensationStarted: Cancelled
            < cancel order: done
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > ok refund 2
              order.9 ActivityCompleted 5: 2
              order.10 Turn of 9: call 6 release undoing 1
            < begin release{"x":1} of order, seq 6, attempt 1, key 4
            > terminate order
              order.11 RunEnded: Terminated nothing, undone charge 2, not undone reserve 1
            < stop release of order
              ! run `order` of `order` ended, and this was not undone: `reserve` (seq 1) [E0212]
            < terminate order: done
        "#]],
    );
}

#[test]
fn the_loser_of_a_race_is_undone_before_the_run_ends_well() {
    check(
        &[app()],
        "start race | signal race go 5 | ok charge 2 | ok refund 2",
        &expect![[r#"
        > start race
          race.0 RunStarted race{}
          race.1 Turn of 0: call 1 charge with undo, await 2 go
        < start race: started
        < begin charge{"x":2} of race, seq 1, attempt 1, key 1
        > signal race go 5
          race.2 SignalReceived go: 5
          race.3 Turn of 2: take 2, drop 1
          race.4 CompensationStarted: Completed
        < signal race go: done
        < ask charge of race to stop
        > ok charge 2
          race.5 ActivityCompleted 1: 2
          race.6 Turn of 5: call 3 refund undoing 1
        < begin refund{"x":2} of race, seq 3, attempt 1, key 2
        > ok refund 2
          race.7 ActivityCompleted 3: 2
          race.8 Turn of 7: nothing
          race.9 RunEnded: Completed 5, undone charge 1
    "#]],
    );
}

#[test]
fn the_loser_that_succeeded_unseen_is_undone_too() {
    check(
        &[app()],
        "start race | stall | signal race go 5 | sync | ok charge 2 | ok refund 2",
        &expect![[r#"
        > start race
          race.0 RunStarted race{}
          race.1 Turn of 0: call 1 charge with undo, await 2 go
        < start race: started
        < begin charge{"x":2} of race, seq 1, attempt 1, key 1
        > stall
        > signal race go 5
          race.2 SignalReceived go: 5
          race.3 Turn of 2: take 2, drop 1
          race.4 CompensationStarted: Completed
        > sync
        < signal race go: done
        < ask charge of race to stop
        > ok charge 2
          race.5 ActivityCompleted 1: 2
          race.6 Turn of 5: call 3 refund undoing 1
        < begin refund{"x":2} of race, seq 3, attempt 1, key 2
        > ok refund 2
          race.7 ActivityCompleted 3: 2
          race.8 Turn of 7: nothing
          race.9 RunEnded: Completed 5, undone charge 1
    "#]],
    );
}

#[test]
fn a_call_that_never_began_is_settled_in_its_own_group() {
    check(
        &[app()],
        "start hasty",
        &expect![[r#"
        > start hasty
          hasty.0 RunStarted hasty{}
          hasty.1 Turn of 0: call 1 charge with undo, drop 1
          hasty.2 CompensationStarted: Completed
          hasty.3 ActivityFailed 1, attempt 0: cancelled
          hasty.4 Turn of 3: nothing
          hasty.5 RunEnded: Completed 7
        < start hasty: started
    "#]],
    );
}

#[test]
fn the_rest_of_a_try_join_is_settled_and_undone() {
    check(
        &[app()],
        "start both | fatal reserve no | ok charge 2 | ok refund 2",
        &expect![[r#"
        > start both
          both.0 RunStarted both{}
          both.1 Turn of 0: call 1 reserve with undo, call 2 charge with undo or unknown
        < start both: started
        < begin reserve{"x":1} of both, seq 1, attempt 1, key 1
        < begin charge{"x":2} of both, seq 2, attempt 1, key 2
        > fatal reserve no
          both.2 ActivityFailed 1, attempt 1: `no`
          both.3 Turn of 2: drop 2
          both.4 CompensationStarted: Failed
        < ask charge of both to stop
        > ok charge 2
          both.5 ActivityCompleted 2: 2
          both.6 Turn of 5: call 4 refund undoing 2
        < begin refund{"x":2} of both, seq 4, attempt 1, key 3
        > ok refund 2
          both.7 ActivityCompleted 4: 2
          both.8 Turn of 7: nothing
          both.9 RunEnded: Failed `no`, undone charge 2
    "#]],
    );
}

#[test]
fn newest_is_by_the_order_of_success() {
    check(
        &[app()],
        "start both | ok charge 2 | fatal reserve no | ok refund 2",
        &expect![[r#"
        > start both
          both.0 RunStarted both{}
          both.1 Turn of 0: call 1 reserve with undo, call 2 charge with undo or unknown
        < start both: started
        < begin reserve{"x":1} of both, seq 1, attempt 1, key 1
        < begin charge{"x":2} of both, seq 2, attempt 1, key 2
        > ok charge 2
          both.2 ActivityCompleted 2: 2
          both.3 Turn of 2: nothing
        > fatal reserve no
          both.4 ActivityFailed 1, attempt 1: `no`
          both.5 Turn of 4: call 4 refund undoing 2
          both.6 CompensationStarted: Failed
        < begin refund{"x":2} of both, seq 4, attempt 1, key 3
        > ok refund 2
          both.7 ActivityCompleted 4: 2
          both.8 Turn of 7: nothing
          both.9 RunEnded: Failed `no`, undone charge 2
    "#]],
    );
}

#[test]
fn what_was_registered_by_hand_is_undone_in_its_place() {
    check(
        &[app()],
        "start by_hand | ok reserve 1 | fatal charge no | ok void 6 | ok refund 5 | ok release 1",
        &expect![[r#"
        > start by_hand
          by_hand.0 RunStarted by_hand{}
          by_hand.1 Turn of 0: call 1 reserve with undo
        < start by_hand: started
        < begin reserve{"x":1} of by_hand, seq 1, attempt 1, key 1
        > ok reserve 1
          by_hand.2 ActivityCompleted 1: 1
          by_hand.3 Turn of 2: register 2 refund in scope 0, register 3 void in scope 0, call 4 charge
        < begin charge{"x":2} of by_hand, seq 4, attempt 1, key 2
        > fatal charge no
          by_hand.4 ActivityFailed 4, attempt 1: `no`
          by_hand.5 Turn of 4: call 3 void undoing 3
          by_hand.6 CompensationStarted: Failed
        < begin void{"x":6} of by_hand, seq 3, attempt 1, key 3
        > ok void 6
          by_hand.7 ActivityCompleted 3: 6
          by_hand.8 Turn of 7: call 2 refund undoing 2
        < begin refund{"x":5} of by_hand, seq 2, attempt 1, key 4
        > ok refund 5
          by_hand.9 ActivityCompleted 2: 5
          by_hand.10 Turn of 9: call 5 release undoing 1
        < begin release{"x":1} of by_hand, seq 5, attempt 1, key 5
        > ok release 1
          by_hand.11 ActivityCompleted 5: 1
          by_hand.12 Turn of 11: nothing
          by_hand.13 RunEnded: Failed `no`, undone reserve 1 and refund 2 and void 3
    "#]],
    );
}

#[test]
fn an_interrupted_call_of_at_most_once_is_unknown() {
    check(
        &[app()],
        "start mailing | crash | signal mailing go 1 | ok void 1",
        &expect![[r#"
        > start mailing
          mailing.0 RunStarted mailing{}
          mailing.1 Turn of 0: call 1 mail at most once with undo or unknown
          mailing.2 AttemptStarted 1, attempt 1
        < start mailing: started
        < begin mail{"x":1} of mailing, seq 1, attempt 1, key 1
        > crash
          mailing is loaded
          mailing.3 ActivityFailed 1, attempt 1: interrupted: its process ended while it ran, may stand
          mailing.4 Turn of 3: await 3 go
        > signal mailing go 1
          mailing.5 SignalReceived go: 1
          mailing.6 Turn of 5: take 3, call 2 void undoing 1
          mailing.7 CompensationStarted: Failed
        < signal mailing go: done
        < begin void{"x":1} of mailing, seq 2, attempt 1, key 2
        > ok void 1
          mailing.8 ActivityCompleted 2: 1
          mailing.9 Turn of 8: nothing
          mailing.10 RunEnded: Failed `the call was interrupted: its process ended while it may have been running`, undone mail 1
    "#]],
    );
}

#[test]
fn what_a_branch_has_in_flight_is_undone() {
    check(
        &[app()],
        "start detached | signal detached go 1 | ok charge 2 | ok refund 2",
        &expect![[r#"
        > start detached
          detached.0 RunStarted detached{}
          detached.1 Turn of 0: await 1 go, call 2 charge with undo
        < start detached: started
        < begin charge{"x":2} of detached, seq 2, attempt 1, key 1
        > signal detached go 1
          detached.2 SignalReceived go: 1
          detached.3 Turn of 2: take 1, drop 2
          detached.4 CompensationStarted: Completed
        < signal detached go: done
        < ask charge of detached to stop
        > ok charge 2
          detached.5 ActivityCompleted 2: 2
          detached.6 Turn of 5: call 3 refund undoing 2
        < begin refund{"x":2} of detached, seq 3, attempt 1, key 2
        > ok refund 2
          detached.7 ActivityCompleted 3: 2
          detached.8 Turn of 7: nothing
          detached.9 RunEnded: Completed 1, undone charge 2
    "#]],
    );
}

#[test]
fn a_step_undoes_a_step() {
    check(
        &[app()],
        "start stepped | ok make 3 | ok unmake 3",
        &expect![[r#"
        > start stepped
          stepped.0 RunStarted stepped{}
          stepped.1 Turn of 0: call 1 make with undo
        < start stepped: started
        < begin make3 of stepped, seq 1, attempt 1, key 1
        > ok make 3
          stepped.2 ActivityCompleted 1: 3
          stepped.3 Turn of 2: call 2 unmake undoing 1
          stepped.4 CompensationStarted: Failed
        < begin unmake3 of stepped, seq 2, attempt 1, key 2
        > ok unmake 3
          stepped.5 ActivityCompleted 2: 3
          stepped.6 Turn of 5: nothing
          stepped.7 RunEnded: Failed `no`, undone make 1
    "#]],
    );
}

#[test]
fn a_shutdown_awaits_what_was_dropped() {
    check(
        &[app()],
        "start order | ok reserve 1 | cancel order | close | open | ok void 9 | ok release 1",
        &expect![[r#"
        > start order
          order.0 RunStarted order{}
          order.1 Turn of 0: call 1 reserve with undo
        < start order: started
        < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
        > ok reserve 1
          order.2 ActivityCompleted 1: 1
          order.3 Turn of 2: call 2 charge with undo or unknown
        < begin charge{"x":2} of order, seq 2, attempt 1, key 2
        > cancel order
          order.4 CancelRequested by caller: asked
          order.5 Turn of 4: drop 2
          order.6 CompensationStarted: Cancelled
        < cancel order: done
        < ask charge of order to stop
        > close
          order.7 ActivityFailed 2, attempt 1: interrupted: its process ended while it ran, may stand
          order.8 Turn of 7: call 3 void undoing 2
        < stop charge of order
        > open
          order is loaded
        < begin void{"x":9} of order, seq 3, attempt 1, key 3
        > ok void 9
          order.9 ActivityCompleted 3: 9
          order.10 Turn of 9: call 4 release undoing 1
        < begin release{"x":1} of order, seq 4, attempt 1, key 4
        > ok release 1
          order.11 ActivityCompleted 4: 1
          order.12 Turn of 11: nothing
          order.13 RunEnded: Cancelled nothing, undone reserve 1 and charge 2
    "#]],
    );
}

#[test]
fn a_shutdown_while_undoing_goes_on_at_the_next_open() {
    check(
        &[app()],
        "start order | ok reserve 1 | ok charge 2 | cancel order | close | open | ok refund 2 | ok release 1",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > ok charge 2
              order.4 ActivityCompleted 2: 2
              order.5 Turn of 4: await 4 go
            > cancel order
              order.6 CancelRequested by caller: asked
              order.7 Turn of 6: drop 4, call 5 refund undoing 2
              order.8 CompensationStarted: Cancelled
            < cancel order: done
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > close
              order.9 AttemptParked 5, attempt 1
            < stop refund of order
            > open
              order is loaded
              order.10 AttemptStarted 5, attempt 1
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > ok refund 2
              order.11 ActivityCompleted 5: 2
              order.12 Turn of 11: call 6 release undoing 1
            < begin release{"x":1} of order, seq 6, attempt 1, key 4
            > ok release 1
              order.13 ActivityCompleted 6: 1
              order.14 Turn of 13: nothing
              order.15 RunEnded: Cancelled nothing, undone reserve 1 and charge 2
        "#]],
    );
}

#[test]
fn a_parent_hears_what_its_child_left() {
    check(
        &[app()],
        "start parent | ok reserve 1 | ok charge 2 | signal parent/1 go 0 | fatal refund broken | ok release 1",
        &expect![[r#"
            > start parent
              parent.0 RunStarted parent{}
              parent.1 Turn of 0: child 1 parent/1
              parent/1.0 RunStarted order{}
              parent/1.1 Turn of 0: call 1 reserve with undo
            < start parent: started
            < begin reserve{"x":1} of parent/1, seq 1, attempt 1, key 1
            > ok reserve 1
              parent/1.2 ActivityCompleted 1: 1
              parent/1.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of parent/1, seq 2, attempt 1, key 2
            > ok charge 2
              parent/1.4 ActivityCompleted 2: 2
              parent/1.5 Turn of 4: await 4 go
            > signal parent/1 go 0
              parent/1.6 SignalReceived go: 0
              parent/1.7 Turn of 6: take 4, call 5 refund undoing 2
              parent/1.8 CompensationStarted: Failed
            < signal parent/1 go: done
            < begin refund{"x":2} of parent/1, seq 5, attempt 1, key 3
            > fatal refund broken
              parent/1.9 ActivityFailed 5, attempt 1: `broken`
              parent/1.10 Turn of 9: call 6 release undoing 1
            < begin release{"x":1} of parent/1, seq 6, attempt 1, key 4
            > ok release 1
              parent/1.11 ActivityCompleted 6: 1
              parent/1.12 Turn of 11: nothing
              parent/1.13 RunEnded: CompensationFailed after Failed `refused`, undone reserve 1, not undone charge 2
              parent.2 ChildEnded 1: CompensationFailed `refused`, undone reserve 1, not undone charge 2
              parent.3 Turn of 2: nothing
              parent.4 RunEnded: Completed "Err(Child(CompensationFailed { cause: Some(Failed(refused)), undone: Undone { undone: [UndoneCall { seq: 1, name: \"reserve\" }], not_undone: [UndoneCall { seq: 2, name: \"charge\" }], unknown: [] } }))"
              ! run `parent/1` of `order` ended, and this was not undone: `charge` (seq 2) [E0212]
        "#]],
    );
}

#[test]
fn undoing_goes_on_under_another_build() {
    check(
        &[app(), build("b2")],
        "start order | ok reserve 1 | ok charge 2 | signal order go 0 | kill | open b2 | ok refund 2 | ok release 1",
        &expect![[r#"
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.2 ActivityCompleted 1: 1
              order.3 Turn of 2: call 2 charge with undo or unknown
            < begin charge{"x":2} of order, seq 2, attempt 1, key 2
            > ok charge 2
              order.4 ActivityCompleted 2: 2
              order.5 Turn of 4: await 4 go
            > signal order go 0
              order.6 SignalReceived go: 0
              order.7 Turn of 6: take 4, call 5 refund undoing 2
              order.8 CompensationStarted: Failed
            < signal order go: done
            < begin refund{"x":2} of order, seq 5, attempt 1, key 3
            > kill
            > open b2
              order is loaded
              order.9 AttemptFailed 5, attempt 1: interrupted, next at 0ms, may stand
              order.10 AttemptStarted 5, attempt 2
            < begin refund{"x":2} of order, seq 5, attempt 2, key 3
            > ok refund 2
              order.11 ActivityCompleted 5: 2
              order.12 BuildChanged b2
              order.13 Turn of 11: call 6 release undoing 1
            < begin release{"x":1} of order, seq 6, attempt 1, key 4
            > ok release 1
              order.14 ActivityCompleted 6: 1
              order.15 Turn of 14: nothing
              order.16 RunEnded: Failed `refused`, undone reserve 1 and charge 2
        "#]],
    );
}

#[test]
fn a_compensation_that_would_be_awaited_is_named_as_any_other() {
    check(
        &[app()],
        "start patient | ok reserve 1 | fail void no",
        &expect![[r#"
            > start patient
              patient.0 RunStarted patient{}
              patient.1 Turn of 0: call 1 reserve with undo
            < start patient: started
            < begin reserve{"x":1} of patient, seq 1, attempt 1, key 1
            > ok reserve 1
              patient.2 ActivityCompleted 1: 1
              patient.3 Turn of 2: call 2 void undoing 1
              patient.4 CompensationStarted: Failed
            < begin void{"x":1} of patient, seq 2, attempt 1, key 2
            > fail void no
              patient.5 ActivityFailed 2, attempt 1: `no`
              patient.6 Turn of 5: nothing
              patient.7 RunEnded: CompensationFailed after Failed `no`, not undone reserve 1
              ! run `patient` of `patient` ended, and this was not undone: `reserve` (seq 1) [E0212]
        "#]],
    );
}

#[test]
fn what_a_branch_did_and_never_saw_is_undone_with_it() {
    check(
        &[app()],
        "start absent | ok charge 2 | signal absent go 4 | ok refund 2",
        &expect![[r#"
            > start absent
              absent.0 RunStarted absent{}
              absent.1 Turn of 0: await 1 go, call 2 charge with undo, timer 3 due 1h
            < start absent: started
            < begin charge{"x":2} of absent, seq 2, attempt 1, key 1
            > ok charge 2
              absent.2 ActivityCompleted 2: 2
              absent.3 Turn of 2: nothing
            > signal absent go 4
              absent.4 SignalReceived go: 4
              absent.5 Turn of 4: take 1, drop 3, drop 2, call 4 refund undoing 2
              absent.6 CompensationStarted: Completed
            < signal absent go: done
            < begin refund{"x":2} of absent, seq 4, attempt 1, key 2
            > ok refund 2
              absent.7 ActivityCompleted 4: 2
              absent.8 Turn of 7: nothing
              absent.9 RunEnded: Completed 4, undone charge 2
        "#]],
    );
}

#[test]
fn the_children_that_a_body_leaves_are_closed_by_their_policies_though_it_undoes() {
    check(
        &[app()],
        "start leaving | ok reserve 1 | signal leaving go 4 | ok release 1",
        &expect![[r#"
            > start leaving
              leaving.0 RunStarted leaving{}
              leaving.1 Turn of 0: call 1 reserve with undo
            < start leaving: started
            < begin reserve{"x":1} of leaving, seq 1, attempt 1, key 1
            > ok reserve 1
              leaving.2 ActivityCompleted 1: 1
              leaving.3 Turn of 2: child 5 leaving/loser Abandon, await 6 go, child 2 leaving/cancelled, child 3 leaving/terminated Terminate, child 4 leaving/abandoned Abandon
              leaving/loser.0 RunStarted waiting{"x":4}
              leaving/loser.1 Turn of 0: await 1 go
              leaving/cancelled.0 RunStarted waiting{"x":1}
              leaving/cancelled.1 Turn of 0: await 1 go
              leaving/terminated.0 RunStarted waiting{"x":2}
              leaving/terminated.1 Turn of 0: await 1 go
              leaving/abandoned.0 RunStarted waiting{"x":3}
              leaving/abandoned.1 Turn of 0: await 1 go
            > signal leaving go 4
              leaving.4 SignalReceived go: 4
              leaving.5 Turn of 4: take 6, drop 5, drop 4, drop 3, drop 2, call 7 release undoing 1
              leaving.6 CompensationStarted: Failed
              leaving/terminated.2 RunEnded: Terminated nothing
              leaving/loser.2 CancelRequested by parent: its parent does not wait for it any more
              leaving/loser.3 Turn of 2: drop 1
              leaving/loser.4 RunEnded: Cancelled nothing
              leaving/cancelled.2 CancelRequested by parent: its parent does not wait for it any more
              leaving/cancelled.3 Turn of 2: drop 1
              leaving/cancelled.4 RunEnded: Cancelled nothing
            < signal leaving go: done
            < begin release{"x":1} of leaving, seq 7, attempt 1, key 2
            > ok release 1
              leaving.7 ActivityCompleted 7: 1
              leaving.8 Turn of 7: nothing
              leaving.9 RunEnded: Failed `refused 4`, undone reserve 1
        "#]],
    );
}

#[test]
fn what_is_bound_to_calls_is_freed_when_its_run_leaves_memory() {
    check(
        &[app()],
        "start holding | crash | ok charge 2",
        &expect![[r#"
            > start holding
              holding.0 RunStarted holding{}
              holding.1 Turn of 0: register 1 undoing in scope 0, call 2 charge or unknown
            < start holding: started
            < begin charge{"x":2} of holding, seq 2, attempt 1, key 1
            > crash
              holding is loaded
              holding.2 AttemptFailed 2, attempt 1: interrupted, next at 0ms, may stand
              holding.3 AttemptStarted 2, attempt 2
            < begin charge{"x":2} of holding, seq 2, attempt 2, key 1
            > ok charge 2
              holding.4 ActivityCompleted 2: 2
              holding.5 Turn of 4: nothing
              holding.6 RunEnded: Completed 2
        "#]],
    );
    assert_eq!(HELD.load(Ordering::Relaxed), 0);
}

#[test]
fn a_call_that_waits_for_a_slot_at_a_shutdown_is_not_unknown() {
    check(
        &[app()],
        "attempts 1 | start order as first | start order as second | close | open | ok reserve 1 | cancel second | fail reserve no",
        &expect![[r#"
            > attempts 1
            > start order as first
              first.0 RunStarted order{}
              first.1 Turn of 0: call 1 reserve with undo
            < start first: started
            < begin reserve{"x":1} of first, seq 1, attempt 1, key 1
            > start order as second
              second.0 RunStarted order{}
              second.1 Turn of 0: call 1 reserve with undo
            < start second: started
            > close
              first.2 AttemptParked 1, attempt 1
            < stop reserve of first
            > open
              first is loaded
              second is loaded
              first.3 AttemptStarted 1, attempt 1
            < begin reserve{"x":1} of first, seq 1, attempt 1, key 1
            > ok reserve 1
              first.4 ActivityCompleted 1: 1
              first.5 Turn of 4: call 2 charge with undo or unknown
              second.2 AttemptStarted 1, attempt 1
            < begin reserve{"x":1} of second, seq 1, attempt 1, key 2
            > cancel second
              second.3 CancelRequested by caller: asked
              second.4 Turn of 3: drop 1
              second.5 CompensationStarted: Cancelled
            < cancel second: done
            < ask reserve of second to stop
            > fail reserve no
              second.6 ActivityFailed 1, attempt 1: `no`
              second.7 Turn of 6: nothing
              second.8 RunEnded: Cancelled nothing
              first.6 AttemptStarted 2, attempt 1
            < begin charge{"x":2} of first, seq 2, attempt 1, key 3
        "#]],
    );
}

#[test]
fn an_at_most_once_call_that_waits_for_a_slot_at_a_shutdown_is_not_unknown() {
    check(
        &[app()],
        "attempts 1 | start order | start mailing | close | open | ok reserve 1 | fail mail no | signal mailing go 1",
        &expect![[r#"
            > attempts 1
            > start order
              order.0 RunStarted order{}
              order.1 Turn of 0: call 1 reserve with undo
            < start order: started
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > start mailing
              mailing.0 RunStarted mailing{}
              mailing.1 Turn of 0: call 1 mail at most once with undo or unknown
            < start mailing: started
            > close
              order.2 AttemptParked 1, attempt 1
            < stop reserve of order
            > open
              order is loaded
              mailing is loaded
              order.3 AttemptStarted 1, attempt 1
            < begin reserve{"x":1} of order, seq 1, attempt 1, key 1
            > ok reserve 1
              order.4 ActivityCompleted 1: 1
              order.5 Turn of 4: call 2 charge with undo or unknown
              mailing.2 AttemptStarted 1, attempt 1
            < begin mail{"x":1} of mailing, seq 1, attempt 1, key 2
            > fail mail no
              mailing.3 ActivityFailed 1, attempt 1: `no`
              mailing.4 Turn of 3: await 3 go
              order.6 AttemptStarted 2, attempt 1
            < begin charge{"x":2} of order, seq 2, attempt 1, key 3
            > signal mailing go 1
              mailing.5 SignalReceived go: 1
              mailing.6 Turn of 5: take 3
              mailing.7 RunEnded: Failed `no`
            < signal mailing go: done
        "#]],
    );
}

#[test]
fn a_run_that_undoes_has_no_deadline_any_more() {
    check(
        &[app()],
        "start limited | ok reserve 1 | advance 59m | cancel limited | advance 2m | ok release 1",
        &expect![[r#"
            > start limited
              limited.0 RunStarted limited{}, until 1h
              limited.1 Turn of 0: call 1 reserve with undo
            < start limited: started
            < begin reserve{"x":1} of limited, seq 1, attempt 1, key 1
            > ok reserve 1
              limited.2 ActivityCompleted 1: 1
              limited.3 Turn of 2: await 2 go
            > advance 59m
            > cancel limited
              limited.4 CancelRequested by caller: asked
              limited.5 Turn of 4: drop 2, call 3 release undoing 1
              limited.6 CompensationStarted: Cancelled
            < cancel limited: done
            < begin release{"x":1} of limited, seq 3, attempt 1, key 2
            > advance 2m
            > ok release 1
              limited.7 ActivityCompleted 3: 1
              limited.8 Turn of 7: nothing
              limited.9 RunEnded: Cancelled nothing, undone reserve 1
        "#]],
    );
}
