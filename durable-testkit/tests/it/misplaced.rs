//! Calls that are awaited where nothing would be durable: each panics, names the place where the call was built, and says what
//! to do instead.

#![allow(clippy::disallowed_methods, reason = "tasks and threads are what a call must not be awaited in")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use durable::prelude::*;
use durable::{Runtime, Signal};
use futures::FutureExt;

const GO: Signal<u32> = Signal::new("go");

#[activity]
async fn double(x: u32) -> Result<u32, String> {
    Ok(2 * x)
}

/// An activity that calls another one.
#[activity(retry = never())]
async fn calls_another(x: u32) -> Result<u32, String> {
    double(x).await.map_err(|e| e.to_string())
}

#[workflow]
async fn child(x: u32) -> Result<u32, String> {
    Ok(x)
}

#[workflow]
async fn by_activity() -> Result<String, String> {
    Ok(format!("{:?}", calls_another(1).await))
}

/// Gives calls that it built to another thread, and what that said.
#[workflow(allow(spawn))]
async fn by_thread() -> Result<(Vec<String>, u32), String> {
    let line = line!();
    let call = double(1);
    let sleep = durable::sleep(Duration::from_secs(1));
    let receive = GO.recv();
    let texts = std::thread::spawn(move || {
        vec![text_of(|| call.now_or_never()), text_of(|| sleep.now_or_never()), text_of(|| receive.now_or_never())]
    });
    Ok((texts.join().map_err(|_| "the thread panicked")?, line))
}

static LENT: Mutex<Option<durable::Sleep>> = Mutex::new(None);

#[workflow]
async fn lender() -> Result<u32, String> {
    *LENT.lock().unwrap() = Some(durable::sleep(Duration::from_secs(1)));
    Ok(GO.recv().await)
}

#[workflow]
async fn borrower() -> Result<u32, String> {
    let lent = LENT.lock().unwrap().take().unwrap();
    lent.await;
    Ok(0)
}

fn text_of<T>(f: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).err().expect("it should have panicked");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a panic with a text")
}

fn built_at(line: u32) -> String {
    format!("built at durable-testkit/tests/it/misplaced.rs:{line}:")
}

async fn open() -> (tempfile::TempDir, Runtime) {
    let dir = tempfile::tempdir().unwrap();
    let items = (double, calls_another, child, by_activity, by_thread, lender, borrower);
    let runtime = Runtime::builder(dir.path()).register(items).open().await.unwrap();
    (dir, runtime)
}

#[tokio::test]
async fn a_call_awaited_in_plain_async_code_says_where_it_was_built() {
    let (line, call) = (line!(), double(1));
    let panic = AssertUnwindSafe(call).catch_unwind().await.unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("the call of activity `double`, "), "{text}");
    assert!(text.contains(&built_at(line)), "{text}");
    assert!(text.contains("outside a workflow run") && text.contains("`run_direct()`"), "{text}");
}

#[tokio::test]
async fn a_child_s_call_awaited_in_a_spawned_task_says_where_it_was_built() {
    let (line, call) = (line!(), child(1));
    let error = tokio::spawn(call).await.unwrap_err();
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("the call of workflow `child`, "), "{text}");
    assert!(text.contains(&built_at(line)), "{text}");
    assert!(text.contains("`Runtime::start`"), "{text}");
}

#[tokio::test]
async fn what_a_run_gives_to_another_thread_says_where_it_was_built() {
    let (_dir, runtime) = open().await;
    let (texts, line) = runtime.start(by_thread()).await.unwrap().result().await.unwrap();
    let whats = ["the call of activity `double`", "the durable sleep", "the receive of signal `go`"];
    for ((text, what), line) in texts.iter().zip(whats).zip(line + 1..) {
        assert!(text.starts_with(what), "{text}");
        assert!(text.contains(&built_at(line)), "{text}");
        assert!(text.contains("another thread"), "{text}");
    }
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_call_awaited_in_an_activity_is_a_panic_of_the_attempt() {
    let (_dir, runtime) = open().await;
    let told = runtime.start(by_activity()).await.unwrap().result().await.unwrap();
    assert!(told.starts_with("Err(Panicked("), "{told}");
    assert!(told.contains("the call of activity `double`"), "{told}");
    assert!(told.contains("it is awaited in an activity"), "{told}");
    runtime.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_future_of_another_run_blocks_the_run_that_awaits_it_and_names_both() {
    let (_dir, runtime) = open().await;
    let lender = runtime.start(lender()).id("lender").await.unwrap();
    let borrower = runtime.start(borrower()).id("borrower").await.unwrap();
    let blocked = borrower.result_or_blocked().await.unwrap_err();
    let text = blocked.to_string();
    assert!(text.contains("the durable sleep, built at durable-testkit/tests/it/misplaced.rs:"), "{text}");
    assert!(text.contains("in run `lender`, is awaited in run `borrower`"), "{text}");
    lender.signal(GO, 3).await.unwrap();
    assert_eq!(lender.result().await.unwrap(), 3);
    runtime.shutdown().await.unwrap();
}

#[test]
fn what_works_only_in_a_run_panics_at_its_caller() {
    let here = |f: &dyn Fn()| {
        let (text, file) = located(f);
        assert!(text.contains("outside a workflow run"), "{text}");
        assert!(file.ends_with("tests/it/misplaced.rs"), "{text} at {file}");
    };
    here(&|| {
        let _ = durable::now();
    });
    here(&|| {
        let _ = durable::random::<u64>();
    });
    here(&|| {
        let _ = durable::uuid();
    });
    here(&|| drop(durable::spawn(async {})));
    here(&|| durable::JoinSet::new().spawn(async {}));
}

/// The text of a panic and the file that it names.
fn located(f: &dyn Fn()) -> (String, String) {
    static ONE_HOOK: Mutex<()> = Mutex::new(());
    static FILE: Mutex<Option<(std::thread::ThreadId, String)>> = Mutex::new(None);
    let _one = ONE_HOOK.lock().unwrap();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        let file = info.location().map(|location| location.file().to_owned()).unwrap_or_default();
        let mut kept = FILE.lock().unwrap();
        // Other tests panic beside this one: the newest panic of this thread is found by its id.
        if kept.as_ref().is_none_or(|(thread, _)| *thread != std::thread::current().id()) {
            *kept = Some((std::thread::current().id(), file));
        }
    }));
    *FILE.lock().unwrap() = None;
    let text = text_of(f);
    std::panic::set_hook(before);
    let (thread, file) = FILE.lock().unwrap().take().unwrap();
    assert_eq!(thread, std::thread::current().id());
    (text, file)
}
