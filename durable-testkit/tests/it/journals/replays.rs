//! Replay tests as a user writes them: the code of today against what was recorded, and what they say where it differs.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "real files, and what a workflow must not read"
)]

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use durable::journal::{Journal, RunJournal};
use durable::kernel::id::EventNo;
use durable::prelude::*;
use durable::replay::{CallState, EndCheck, NotReplayed, Replay};
use durable::{PayloadCodec, Registry, Runtime};
use durable_testkit::replay;
use durable_testkit::replay::{Diverged, Replays, TIMES};
use expect_test::expect;

const GO: Signal<u32> = Signal::new("go");

/// The application as it was when it recorded.
mod before {
    use super::*;

    #[activity]
    pub(super) async fn charge(cents: u64) -> Result<u64, String> {
        Ok(cents)
    }

    #[activity]
    pub(super) async fn ship(order: String) -> Result<String, String> {
        Ok(format!("parcel of {order}"))
    }

    #[workflow]
    pub(super) async fn checkout(order: String) -> durable::Result<String> {
        charge(250).await?;
        durable::sleep(Duration::from_millis(1)).await;
        Ok(ship(order).await?)
    }

    #[workflow]
    pub(super) async fn waits() -> durable::Result<u32> {
        let first = GO.recv().await;
        Ok(first + GO.recv().await)
    }
}

/// The application after somebody put a step between.
mod after {
    use super::*;
    use before::{charge, ship};

    #[workflow]
    pub(super) async fn checkout(order: String) -> durable::Result<String> {
        charge(250).await?;
        durable::step("ask for the address", || async { Ok::<_, String>(()) }).await?;
        durable::sleep(Duration::from_millis(1)).await;
        Ok(ship(order).await?)
    }

    #[workflow]
    pub(super) async fn waits() -> durable::Result<u32> {
        Ok(GO.recv().await)
    }
}

/// The application after somebody changed what it returns.
mod reworded {
    use super::*;
    use before::{charge, ship};

    #[workflow]
    pub(super) async fn checkout(order: String) -> durable::Result<String> {
        charge(250).await?;
        durable::sleep(Duration::from_millis(1)).await;
        Ok(ship(order).await?.to_uppercase())
    }
}

async fn open(dir: &Path) -> Runtime {
    let builder = Runtime::builder(dir).register((before::checkout, before::waits, before::charge, before::ship));
    builder.build_id("before").open().await.unwrap()
}

/// A store with one run of `checkout` that ended and one of `waits` that waits for its second signal.
async fn recorded(dir: &Path) {
    let rt = open(dir).await;
    rt.start(before::checkout("42".to_owned())).id("order-42").await.unwrap().result().await.unwrap();
    let run = rt.start(before::waits()).id("waits").await.unwrap();
    run.signal(GO, 1).await.unwrap();
    rt.shutdown().await.unwrap();
}

async fn journal(dir: &Path, id: &str) -> Journal {
    Runtime::open_read_only(dir).await.unwrap().journal("", id).await.unwrap()
}

/// Writes a run's journal into a file.
async fn exported(store: &Path, id: &str, folder: &Path) -> PathBuf {
    let journal = RunJournal::new(journal(store, id).await).unwrap();
    let file = folder.join(format!("{id}.jsonl"));
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(&file, journal.to_string()).unwrap();
    file
}

/// The message of an assertion that fails.
fn failed(test: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(test)).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| panic.downcast_ref::<&str>().unwrap().to_string())
}

/// The text without what is another one each time: directories, lines in the source.
fn steady(text: &str, dir: &Path) -> String {
    let text = text.replace(&dir.display().to_string(), "..");
    let mut parts = text.split("replays.rs:");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        steady += "replays.rs:_";
        steady += part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ':');
    }
    steady
}

#[tokio::test]
async fn what_was_recorded_replays_as_a_file_a_folder_and_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, folder) = (dir.path().join("store"), dir.path().join("journals"));
    recorded(&store).await;
    let file = exported(&store, "order-42", &folder).await;
    exported(&store, "waits", &folder).await;
    std::fs::write(folder.join("README.md"), "not a journal").unwrap();

    replay((before::checkout, before::charge, before::ship)).file(&file).assert();
    let report = replay((before::checkout,)).file(&file).report();
    assert_eq!(report.to_string(), "1 journal, 9 of 9 events matched, 1 workflow, each replayed 16 times");
    let all = (before::checkout, before::waits);
    let expected = "2 journals, 13 of 13 events matched, 2 workflows, each replayed 16 times";
    assert_eq!(replay(all).folder(&folder).report().to_string(), expected);
    assert_eq!(replay(all).store(&store).report().to_string(), expected);
    replay(all).folder(&folder).file(&file).store(&store).on_one_thread().put_away_at_every_await().assert();

    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["journals"][0]["outcome"]["matched"]["status"]["state"], "completed");
    assert_eq!((&json["times"], &json["journals"][0]["matched"]), (&16.into(), &9.into()));
}

#[tokio::test]
async fn a_store_that_is_open_elsewhere_or_was_copied_replays() {
    let dir = tempfile::tempdir().unwrap();
    let (store, copy) = (dir.path().join("store"), dir.path().join("copy"));
    recorded(&store).await;
    let rt = open(&store).await;
    rt.start(before::waits()).id("waits-too").await.unwrap();
    std::fs::create_dir(&copy).unwrap();
    for entry in std::fs::read_dir(&store).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    for store in [&store, &copy] {
        let report = replay((before::checkout, before::waits)).store(store).times(1).report();
        assert!(report.holds(), "{report}");
        assert!(report.journals.len() >= 2);
    }
    let run = rt.run(before::waits, "waits").await.unwrap();
    run.signal(GO, 2).await.unwrap();
    assert_eq!(run.result().await.unwrap(), 3);
    rt.shutdown().await.unwrap();
}

#[tokio::test]
async fn changed_code_diverges_at_the_turn_that_it_changed_and_both_sides_are_told() {
    let dir = tempfile::tempdir().unwrap();
    recorded(&dir.path().join("store")).await;
    let file = exported(&dir.path().join("store"), "order-42", dir.path()).await;
    let text = failed(|| replay((after::checkout,)).file(&file).assert());
    expect![[r#"
        1 journal, 3 of 9 events matched, 1 workflow, each replayed 16 times
        ../order-42.jsonl: run `order-42` of `checkout` diverges at event 3 (Turn), 3 of 9 events matched: mismatch in workflow `checkout`, run order-42, at seq 2
          the journal holds     timer due _ (seq 2) (build before)
          the code asks for     activity `ask for the address` (seq 2) (durable-testkit/tests/it/journals/replays.rs:_, build of today)
          around it             1 activity `charge`   2 timer due _   3 activity `ship`
          likely cause          calls were added, removed, swapped or changed while this run was in flight
          way out               finish the open runs on the build that recorded them, or bring the old order back
          the run is parked and nothing was lost; it goes on with a fitting binary [E0201]"#]]
    .assert_eq(&without_due(&steady(&text, dir.path())));

    let journal = journal(&dir.path().join("store"), "order-42").await;
    let Err(NotReplayed::Diverged(divergence)) = Replay::of((after::checkout,)).journal(&journal) else { panic!() };
    assert_eq!((divergence.event, divergence.kind, divergence.matched, divergence.turns), (3, "Turn", 3, 1));
    assert_eq!((divergence.events, divergence.workflow.as_str(), divergence.version), (9, "checkout", 1));
}

/// The text without the times at which timers are due.
fn without_due(text: &str) -> String {
    let mut words = text.split("due ");
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |text, rest| format!("{text}due _{}", rest.split_once('Z').map_or("", |(_, rest)| rest)))
}

#[tokio::test]
async fn another_result_diverges_at_the_end_unless_any_will_do() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path()).await;
    let journal = journal(dir.path(), "order-42").await;
    let why = Replay::of((reworded::checkout,)).journal(&journal).unwrap_err();
    expect![[r#"
        run `order-42` of `checkout` diverges at event 7 (Turn), 7 of 9 events matched: another end of the run
          the journal holds     completed, with "parcel of 42"
          the code gives        completed, with "PARCEL OF 42"
          way out               if that is meant, record the journal anew, or compare ends without their results by `any_result` [E0213]"#]]
    .assert_eq(&why.to_string());
    let replayed = Replay::of((reworded::checkout,)).any_result().journal(&journal).unwrap();
    assert_eq!((replayed.end, replayed.matched), (EndCheck::Alike, 9));
    replay((reworded::checkout, before::waits)).store(dir.path()).any_result().times(1).assert();
}

#[tokio::test]
async fn code_that_goes_on_behind_the_recorded_end_or_ends_before_it_diverges() {
    let dir = tempfile::tempdir().unwrap();
    let rt = Runtime::builder(dir.path()).register((after::waits,)).open().await.unwrap();
    let run = rt.start(after::waits()).id("short").await.unwrap();
    run.signal(GO, 1).await.unwrap();
    run.result().await.unwrap();
    rt.shutdown().await.unwrap();
    let short = journal(dir.path(), "short").await;
    let why = Replay::of((before::waits,)).journal(&short).unwrap_err().to_string();
    // The second receive is an entry that the recorded turn lacks.
    assert!(why.contains("diverges at event 3 (Turn), 3 of 5") && why.contains("signal `go` (seq 2)"), "{why}");

    recorded(dir.path()).await;
    let longer = journal(dir.path(), "waits").await;
    let why = Replay::of((after::waits,)).journal(&longer).unwrap_err().to_string();
    assert!(why.contains("diverges at event 3 (Turn), 3 of 4") && why.contains("nothing more in this turn"), "{why}");
}

#[tokio::test]
async fn an_end_that_the_code_does_not_give_and_one_that_the_journal_lacks_are_differences() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path()).await;
    let mut open = journal(dir.path(), "waits").await;
    let mut ended = journal(dir.path(), "order-42").await;
    let (_, at, end) = ended.pop().unwrap();
    let why = Replay::of((before::checkout,)).journal(&ended).unwrap_err().to_string();
    assert!(why.contains("diverges at event 7 (Turn), 7 of 8"), "{why}");
    assert!(why.contains("further turns of the run") && why.contains("the end of the run, with `Ok`"), "{why}");

    open.push((EventNo(4), at, end));
    let why = Replay::of((before::waits,)).journal(&open).unwrap_err().to_string();
    assert!(why.contains("diverges at event 3 (Turn), 3 of 5"), "{why}");
    assert!(
        why.contains("completed, with \"parcel of 42\"") && why.contains("no end yet, after its durable call at"),
        "{why}"
    );
}

#[tokio::test]
async fn an_activity_need_not_be_given_unless_that_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path()).await;
    let test = replay((before::checkout,)).store(dir.path()).skip_other_workflows().times(1);
    test.assert();
    let text = failed(|| test.clone().only_registered().assert());
    assert!(
        text.contains("`charge`") && text.contains("is not registered in this binary") && text.ends_with("[E0208]"),
        "{text}"
    );
    test.only_registered().build("x").journal(&journal(dir.path(), "waits").await).unwrap_err();
}

#[tokio::test]
async fn a_journal_of_a_workflow_that_was_not_given_fails_unless_it_is_to_be_stepped_over() {
    let dir = tempfile::tempdir().unwrap();
    recorded(dir.path()).await;
    let test = replay((before::checkout,)).store(dir.path()).times(1);
    let text = failed(|| test.assert());
    let why = "waits in ..: run `waits` was not replayed: workflow `waits` version 1 is not among those that were given \
               (`checkout` version 1) [E0208]";
    assert!(steady(&text, dir.path()).contains(why), "{text}");
    let report = test.skip_other_workflows().report();
    let line =
        "1 journal, 9 of 9 events matched, 1 workflow, each replayed once; 1 journal of other workflows stepped over";
    assert_eq!((report.holds(), report.to_string().as_str()), (true, line));
}

#[tokio::test]
async fn a_test_that_replays_nothing_fails() {
    let dir = tempfile::tempdir().unwrap();
    let (store, empty, bare) = (dir.path().join("store"), dir.path().join("empty"), dir.path().join("bare"));
    recorded(&store).await;
    std::fs::create_dir(&empty).unwrap();
    Runtime::builder(&bare).open().await.unwrap().shutdown().await.unwrap();
    let test = || replay((before::checkout, before::waits)).times(1);
    for (test, why) in [
        (test(), "nothing was replayed: no turn of any run was compared with the code"),
        (test().folder(&empty), "the folder ../empty (files `*.jsonl`) holds no journal"),
        (test().store(&store).folder(&empty), "the folder ../empty (files `*.jsonl`) holds no journal"),
        (test().folder(dir.path().join("gone")), "the folder ../gone (files `*.jsonl`) cannot be read: No such file"),
        (test().file(dir.path().join("gone.jsonl")), "../gone.jsonl: No such file"),
        (test().store(&bare), "the store ../bare holds no journal"),
        (test().store(&empty), "the store ../empty cannot be read: "),
        (replay(()).store(&store).skip_other_workflows(), "nothing was replayed"),
    ] {
        let text = steady(&failed(|| test.assert()), dir.path());
        assert!(text.contains(why), "{why}: {text}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_journal_fails_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    recorded(&dir.path().join("store")).await;
    let file = exported(&dir.path().join("store"), "waits", dir.path()).await;
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.lines().take(3).collect::<Vec<_>>().join("\n")).unwrap();
    exported(&dir.path().join("store"), "order-42", dir.path()).await;
    let report = replay((before::checkout, before::waits)).folder(dir.path()).times(1).report();
    assert!(!report.holds());
    let text = steady(&report.to_string(), dir.path());
    assert!(text.starts_with("2 journals, 9 of 9 events matched, 1 workflow"), "{text}");
    assert!(
        text.contains(
            "../waits.jsonl: this is no journal, or not all of one: its first line says 4 events, and 2 follow [E0317]"
        ),
        "{text}"
    );
}

thread_local! {
    /// Something that a thread keeps, and a journal does not hold.
    static IS_THE_TESTS_OWN: Cell<bool> = const { Cell::new(false) };
}

#[workflow]
async fn reads_its_thread() -> durable::Result<()> {
    if own_flag() {
        durable::sleep(Duration::from_millis(1)).await;
    }
    durable::sleep(Duration::from_millis(2)).await;
    Ok(())
}

fn own_flag() -> bool {
    IS_THE_TESTS_OWN.get()
}

#[tokio::test]
async fn what_a_thread_keeps_is_found_out_on_a_fresh_one_and_not_on_the_test_s() {
    let dir = tempfile::tempdir().unwrap();
    IS_THE_TESTS_OWN.set(true);
    let rt = Runtime::builder(dir.path()).register((reads_its_thread,)).open().await.unwrap();
    rt.start(reads_its_thread()).id("own").await.unwrap().result().await.unwrap();
    rt.shutdown().await.unwrap();
    let (registry, journal) = (Registry::of((reads_its_thread,)), journal(dir.path(), "own").await);
    Replays::of(&registry).on_one_thread().journal(&journal).unwrap();
    let Diverged { replay, of, .. } = Replays::of(&registry).journal(&journal).unwrap_err();
    assert_eq!((replay, of), (1, TIMES));
}

/// Counts its first polls.
static POLLS: AtomicU64 = AtomicU64::new(0);

#[workflow]
async fn counts() -> durable::Result<()> {
    if counted() >= 5 {
        durable::sleep(Duration::from_millis(1)).await;
    }
    durable::sleep(Duration::from_millis(2)).await;
    Ok(())
}

fn counted() -> u64 {
    POLLS.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn what_differs_from_time_to_time_is_told_as_that() {
    let dir = tempfile::tempdir().unwrap();
    let rt = Runtime::builder(dir.path()).register((counts,)).open().await.unwrap();
    rt.start(counts()).id("counts").await.unwrap().result().await.unwrap();
    rt.shutdown().await.unwrap();
    let journal = journal(dir.path(), "counts").await;
    POLLS.store(1, Ordering::Relaxed);
    let diverged = replay((counts,)).journal(&journal).unwrap_err();
    assert_eq!((diverged.replay, diverged.of), (5, 16));
    let text = diverged.to_string();
    assert!(text.contains("it was replay 5 of 16, and those before it agreed"), "{text}");
    // Put away at every await, a run begins anew for each of its turns: one replay is enough then.
    POLLS.store(3, Ordering::Relaxed);
    replay((counts,)).times(1).journal(&journal).unwrap();
    POLLS.store(3, Ordering::Relaxed);
    replay((counts,)).times(1).put_away_at_every_await().journal(&journal).unwrap_err();
}

thread_local! {
    static IS_BROKEN: Cell<bool> = const { Cell::new(false) };
}

#[workflow]
async fn breaks() -> durable::Result<u32> {
    let go = GO.recv().await;
    assert!(!IS_BROKEN.get(), "as it was told");
    Ok(go)
}

#[tokio::test]
async fn a_blocked_run_fails_its_test_until_the_code_is_mended() {
    let dir = tempfile::tempdir().unwrap();
    IS_BROKEN.set(true);
    let rt = Runtime::builder(dir.path()).register((breaks,)).open().await.unwrap();
    let run = rt.start(breaks()).id("breaks").await.unwrap();
    run.signal(GO, 1).await.unwrap();
    run.result_or_blocked().await.unwrap_err();
    rt.shutdown().await.unwrap();
    let journal = journal(dir.path(), "breaks").await;
    let test = replay((breaks,)).on_one_thread();
    let text = test.journal(&journal).unwrap_err().to_string();
    assert!(text.contains("diverges at event 2 (SignalReceived), 2 of 4") && text.contains("as it was told"), "{text}");
    IS_BROKEN.set(false);
    let replayed = test.journal(&journal).unwrap();
    assert_eq!((replayed.end, replayed.matched, replayed.turns), (EndCheck::Open, 4, 1));
    assert_eq!(replayed.status, durable::Status::Running);
}

#[activity]
async fn fails_once(key_of: u32) -> Result<String, String> {
    let info = durable::activity::info();
    KEYS.with_borrow_mut(|keys| keys.insert(info.idempotency_key(), key_of));
    if info.attempt.0 == 1 { Err("once".to_owned()) } else { Ok(info.idempotency_key()) }
}

thread_local! {
    static KEYS: std::cell::RefCell<BTreeMap<String, u32>> = const { std::cell::RefCell::new(BTreeMap::new()) };
}

#[workflow]
async fn keys() -> durable::Result<()> {
    let quick = durable::retry::fixed("1ms");
    fails_once(1).retry(quick).await?;
    fails_once(2).retry(quick).await?;
    fails_once(1).retry(quick).await?;
    select! {
        _ = GO.recv() => {},
        () = durable::sleep(Duration::from_millis(1)) => {},
    }
    Ok(())
}

#[tokio::test]
async fn a_replay_gives_the_keys_that_the_attempts_had_and_how_often_each_was_tried() {
    let dir = tempfile::tempdir().unwrap();
    let builder = Runtime::builder(dir.path()).register((keys, fails_once)).codec(PayloadCodec::Json);
    let rt = builder.open().await.unwrap();
    rt.start(keys()).id("keys").await.unwrap().result().await.unwrap();
    rt.shutdown().await.unwrap();
    let replayed = Replay::of((keys,)).journal(&journal(dir.path(), "keys").await).unwrap();
    let begun = KEYS.take();
    let given: BTreeMap<String, u32> = replayed
        .calls
        .iter()
        .map(|call| (call.key.clone(), durable::payload::to_json(&call.input)["key_of"].as_u64().unwrap() as u32))
        .collect();
    assert_eq!((given, replayed.calls.len()), (begun, 3));
    for call in &replayed.calls {
        assert_eq!((call.activity.as_str(), call.attempts, call.state), ("fails_once", 2, CallState::Completed));
    }
}

#[workflow]
async fn sorts_nothing() -> durable::Result<HashMap<u32, u32>> {
    durable::sleep(Duration::from_millis(1)).await;
    Ok(unsorted())
}

fn unsorted() -> HashMap<u32, u32> {
    (0..40).map(|number| (number, number)).collect()
}

#[tokio::test]
async fn a_result_whose_map_was_written_in_another_order_is_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    let rt = Runtime::builder(dir.path()).register((sorts_nothing,)).open().await.unwrap();
    rt.start(sorts_nothing()).id("map").await.unwrap().result().await.unwrap();
    rt.shutdown().await.unwrap();
    replay((sorts_nothing,)).journal(&journal(dir.path(), "map").await).unwrap();
}
