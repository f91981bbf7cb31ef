//! Runs that cannot go on: each says why to whoever asks, none stops another one, and each goes on when its cause is gone. The ways
//! in which code breaks stand in helper functions, where the macro does not see them.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "clocks and tasks are what a workflow must not use"
)]

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::task::Poll;

use durable::prelude::*;
use durable::{Blocked, Failure, Run, Runtime, Status};
use expect_test::expect;
use tokio::sync::mpsc;

const GO: Signal<u32> = Signal::new("go");
/// The same signal as another build knows it.
const GO_IN_WORDS: Signal<String> = Signal::new("go");

thread_local! {
    static IS_BROKEN: Cell<bool> = const { Cell::new(true) };
    /// The senders of channels that a workflow waits for.
    static FED_FROM_OUTSIDE: RefCell<Vec<mpsc::Sender<u32>>> = const { RefCell::new(Vec::new()) };
}

#[activity]
async fn double(x: u64) -> Result<u64, String> {
    Ok(2 * x)
}

#[workflow]
async fn work(cause: String) -> durable::Result<u64> {
    let before = double(1).await?;
    if IS_BROKEN.get() {
        misbehave(&cause).await?;
    }
    let after = match cause.as_str() {
        "another type" if !IS_BROKEN.get() => GO_IN_WORDS.recv().await.len() as u32,
        _ => GO.recv().await,
    };
    Ok(before + u64::from(after))
}

async fn misbehave(cause: &str) -> durable::Result<()> {
    match cause {
        "a tokio timer" => tokio::time::sleep(Duration::from_secs(3600)).await,
        "a channel fed from outside" => {
            let (send, mut receive) = mpsc::channel(1);
            FED_FROM_OUTSIDE.with_borrow_mut(|kept| kept.push(send));
            receive.recv().await;
        }
        "a join handle" => drop(tokio::spawn(async { 1 }).await),
        "tokio's yield" => tokio::task::yield_now().await,
        "a loop over in-run wakes" => {
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        }
        "a panic" => panic!("as it was told"),
        "a clock" => {
            double(read_a_clock()).await?;
        }
        _ => {}
    }
    Ok(())
}

fn read_a_clock() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos().into()
}

async fn open(dir: &Path, build: &str) -> Runtime {
    Runtime::builder(dir).register((work, double)).build_id(build).open().await.unwrap()
}

async fn start(rt: &Runtime, cause: &str) -> Run<u64, Failure> {
    rt.start(work(cause.to_owned())).id(cause).await.unwrap()
}

/// The text without what is another one each time: lines in the source, digests.
fn steady(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        steady += ".rs:_";
        steady += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let is_digest = |word: &&str| word.len() == 16 && word.bytes().all(|c| c.is_ascii_hexdigit());
    let words: Vec<&str> = steady.split(' ').map(|word| if is_digest(&word) { "#" } else { word }).collect();
    words.join(" ")
}

/// Waits until the run is blocked. `describe` and the list say the same, and who waits for its result goes on waiting.
async fn blocked(rt: &Runtime, run: &Run<u64, Failure>) -> String {
    let Blocked { reason } = run.result_or_blocked().await.unwrap_err();
    let mut result = std::pin::pin!(run.result());
    assert!(futures::poll!(&mut result).is_pending());
    assert_eq!(reason_of(run.status().await.unwrap()), reason);
    let described = run.describe().await.unwrap();
    assert!(described.to_string().contains(&reason), "{described}");
    let listed = rt.runs().await.unwrap().into_iter().find(|listed| listed.id == run.id()).unwrap();
    assert_eq!(reason_of(listed.status), reason);
    assert!(futures::poll!(&mut result).is_pending(), "it waits as long as the run is blocked");
    reason
}

fn reason_of(status: Status) -> String {
    match status {
        Status::Blocked { reason, .. } => reason,
        other => panic!("the run is {other}"),
    }
}

/// What makes a run go on.
#[derive(Clone, Copy)]
enum Mend {
    Retry,
    RetryOfAll,
    AnotherBuild,
}

/// A run breaks for this cause beside others, which end; then it is mended, and ends.
async fn breaks(cause: &str, mend: Mend) -> String {
    IS_BROKEN.set(true);
    let dir = tempfile::tempdir().unwrap();
    let rt = open(dir.path(), "b1").await;
    let other = start(&rt, "nothing").await;
    let run = start(&rt, cause).await;
    if cause == "another type" {
        run.signal(GO_IN_WORDS, "four".to_owned()).await.unwrap();
    }
    let text = blocked(&rt, &run).await;
    other.signal(GO, 1).await.unwrap();
    assert_eq!(other.result().await.unwrap(), 3, "{cause} stopped another run");
    if cause != "another type" {
        run.signal(GO, 4).await.unwrap();
    }

    assert!(run.retry_blocked().await.unwrap());
    assert_eq!(blocked(&rt, &run).await, text, "the cause is not gone");
    IS_BROKEN.set(false);
    let rt = match mend {
        Mend::Retry => {
            assert!(run.retry_blocked().await.unwrap());
            rt
        }
        Mend::RetryOfAll => {
            assert_eq!(rt.retry_blocked().await.unwrap(), 1);
            rt
        }
        Mend::AnotherBuild => {
            rt.shutdown().await.unwrap();
            drop(rt);
            let rt = open(dir.path(), "b1").await;
            blocked(&rt, &rt.run(work, cause).await.unwrap()).await;
            rt.shutdown().await.unwrap();
            drop(rt);
            open(dir.path(), "b2").await
        }
    };
    let run = rt.run(work, cause).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 6, "{cause}");
    assert!(!run.retry_blocked().await.unwrap(), "it is not blocked any more");
    rt.shutdown().await.unwrap();
    text
}

async fn check(cause: &str, expected: &str) {
    for mend in [Mend::Retry, Mend::RetryOfAll, Mend::AnotherBuild] {
        assert_eq!(steady(&breaks(cause, mend).await), expected);
    }
}

const WAITS_OUTSIDE: &str = "the workflow waits for something outside its journal (a tokio timer, a channel fed from elsewhere, a \
     join handle) and for nothing durable, after its durable call at durable-testkit/tests/it/blocked.rs:_: move it into an \
     activity or a step, or use `durable::sleep`, a signal or `durable::spawn` [E0204]";

#[tokio::test]
async fn a_tokio_timer_in_a_workflow_blocks_the_run() {
    check("a tokio timer", WAITS_OUTSIDE).await;
}

#[tokio::test]
async fn a_channel_that_is_fed_from_outside_blocks_the_run() {
    check("a channel fed from outside", WAITS_OUTSIDE).await;
}

#[tokio::test]
async fn a_join_handle_of_a_tokio_task_blocks_the_run() {
    check("a join handle", WAITS_OUTSIDE).await;
}

#[tokio::test]
async fn tokio_s_yield_blocks_the_run() {
    check("tokio's yield", WAITS_OUTSIDE).await;
}

#[tokio::test]
async fn a_loop_over_in_run_wakes_blocks_the_run() {
    let expected = "the workflow was polled 10000 times without an event, after its durable call at \
         durable-testkit/tests/it/blocked.rs:_: look for a loop around something that is always ready, or a future that wakes \
         itself whenever it is polled, and let it wait for something durable, as `durable::sleep` [E0203]";
    check("a loop over in-run wakes", expected).await;
}

#[tokio::test]
async fn a_panic_blocks_the_run() {
    let expected = "the workflow panicked after its durable call at durable-testkit/tests/it/blocked.rs:_: as it was told; mend it \
         and open the store with the new build, or call `retry_blocked` if the cause was outside the code [E0202]";
    check("a panic", expected).await;
}

#[tokio::test]
async fn a_signal_that_does_not_decode_blocks_the_run() {
    let expected = "the receive of signal `go` at durable-testkit/tests/it/blocked.rs:_:17: a value of signal `go` does not decode \
         as the type that is received: the recorded value is no `u32`: wrong msgpack marker FixStr(4); give new fields a \
         `#[serde(default)]`, or bring the old type back [E0205]";
    check("another type", expected).await;
}

#[tokio::test]
async fn a_clock_that_is_read_blocks_the_run_at_its_replay_by_the_same_build() {
    IS_BROKEN.set(true);
    let dir = tempfile::tempdir().unwrap();
    let rt = open(dir.path(), "b1").await;
    let (other, run) = (start(&rt, "nothing").await, start(&rt, "a clock").await);
    while !run.describe().await.unwrap().to_string().contains("signal `go`") {
        tokio::task::yield_now().await;
    }
    drop(rt);
    drop((other, run));

    let rt = open(dir.path(), "b1").await;
    let (other, run) = (rt.run(work, "nothing").await.unwrap(), rt.run(work, "a clock").await.unwrap());
    run.signal(GO, 1).await.unwrap();
    let text = steady(&blocked(&rt, &run).await);
    expect![[r#"
        mismatch in workflow `work`, run a clock, at seq 2
          the journal holds     activity `double` (seq 2) with input # (build b1)
          the code asks for     activity `double` (seq 2) with input # (durable-testkit/tests/it/blocked.rs:_, build b1)
          around it             1 activity `double`   2 activity `double`   3 signal `go`
          likely cause          the code reads something that no journal holds: a clock, a random number, the order of a hash map, an unbiased `select!` (use the one of `durable::prelude`, or `biased;`)
          way out               put what it reads into an activity or a step, or take `durable::now`, `durable::random`, a `BTreeMap`; a run that fits in no build is ended by `Run::terminate`
          the run is parked and nothing was lost; it goes on with a fitting binary [E0201]"#]]
    .assert_eq(&text);
    other.signal(GO, 1).await.unwrap();
    assert_eq!(other.result().await.unwrap(), 3);
    run.terminate("it fits in no build").await.unwrap();
    assert!(matches!(run.result().await, Err(durable::RunError::Terminated(_))));
    rt.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_workflow_or_an_activity_that_is_not_registered_blocks_its_runs_until_it_is() {
    IS_BROKEN.set(false);
    let dir = tempfile::tempdir().unwrap();
    let rt = Runtime::builder(dir.path()).register((work,)).build_id("b1").open().await.unwrap();
    let run = start(&rt, "none").await;
    let lacks_activity = "the call of activity `double` at durable-testkit/tests/it/blocked.rs:_: it is not registered in this \
         binary: add it to `.register((.., double))`, and the run goes on at the next open [E0208]";
    assert_eq!(steady(&blocked(&rt, &run).await), lacks_activity);
    assert!(run.retry_blocked().await.unwrap());
    blocked(&rt, &run).await;
    rt.shutdown().await.unwrap();
    drop(rt);

    let rt = Runtime::builder(dir.path()).register((other_work, double)).build_id("b1").open().await.unwrap();
    let (other, listed) = (rt.start(other_work()).await.unwrap(), rt.runs().await.unwrap());
    assert_eq!(other.result().await.unwrap(), 14);
    let listed = listed.into_iter().find(|listed| listed.id == "none").unwrap();
    let lacks_workflow = "workflow `work` version 1 is not registered in this binary (it has: `other_work` version 1): register \
         it, and the run goes on at the next open [E0208]";
    assert_eq!(reason_of(listed.status), lacks_workflow);
    rt.shutdown().await.unwrap();
    drop(rt);

    let rt = open(dir.path(), "b1").await;
    let run = rt.run(work, "none").await.unwrap();
    run.signal(GO, 4).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 6, "the same build that has it goes on");
    rt.shutdown().await.unwrap();
}

#[workflow]
async fn other_work() -> durable::Result<u64> {
    Ok(double(7).await?)
}

#[derive(Clone)]
struct Psp;

#[activity]
async fn pay(State(_psp): State<Psp>) -> Result<u64, String> {
    Ok(1)
}

#[workflow]
async fn pays() -> durable::Result<u64> {
    Ok(pay().await?)
}

#[activity]
async fn too_long() -> Result<String, String> {
    Ok("x".repeat(5 << 20))
}

#[workflow]
async fn wants_too_much() -> durable::Result<u64> {
    Ok(too_long().await?.len() as u64)
}

#[tokio::test]
async fn a_call_that_left_no_value_says_why_and_nothing_of_types() {
    use futures::FutureExt;

    let direct = std::panic::AssertUnwindSafe(pays().run_direct()).catch_unwind().await.unwrap_err();
    let expected = "the run is blocked: the call of activity `pay` at durable-testkit/tests/it/blocked.rs:_:8: `pay` cannot run: \
         there is no state of type `it::blocked::Psp`: give it by `.state(..)` [E0205]";
    assert_eq!(steady(direct.downcast_ref::<String>().unwrap()), expected);

    let dir = tempfile::tempdir().unwrap();
    let rt = Runtime::builder(dir.path()).register((wants_too_much, too_long)).open().await.unwrap();
    let run = rt.start(wants_too_much()).id("a").await.unwrap();
    let expected = "the call of activity `too_long` at durable-testkit/tests/it/blocked.rs:_:8: the result of `too_long` cannot be \
         recorded: a value takes more than 4194304 bytes; store it elsewhere and record where it is; this call has no value in any \
         build: mend it, end the run by `Run::terminate`, and start another one [E0205]";
    assert_eq!(steady(&blocked(&rt, &run).await), expected);
    run.terminate("as the text says").await.unwrap();
    assert!(matches!(run.result().await, Err(durable::RunError::Terminated(_))));
    rt.shutdown().await.unwrap();
}
