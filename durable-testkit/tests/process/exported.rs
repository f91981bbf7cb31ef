//! The `journal` program on a store that another process has open, on a copy of it and on a stopped one: it lists, shows, exports, and
//! makes a replay test; and what it exported replays here.

use std::path::Path;
use std::process::{Command, Output};

use durable::journal::RunJournal;
use durable::prelude::*;
use durable_testkit::replay;

use crate::probe::{Probe, bytes_of, copy, eventually};

const GO: Signal<String> = Signal::new("go");

/// What the probe has under this name.
#[workflow]
async fn gate() -> durable::Result<String> {
    Ok(GO.recv().await)
}

/// The same with a step more: its authors changed it.
mod changed {
    use super::*;

    #[workflow]
    pub(super) async fn gate() -> durable::Result<String> {
        durable::sleep(Duration::from_secs(1)).await;
        Ok(GO.recv().await)
    }
}

#[activity]
async fn mark(step: u32) -> Result<String, String> {
    Ok(step.to_string())
}

#[workflow]
async fn chain(steps: u32) -> durable::Result<String> {
    let mut last = String::new();
    for step in 0..steps {
        last = mark(step).await?;
    }
    Ok(last)
}

fn journal(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_journal")).current_dir(dir).args(arguments).output().unwrap()
}

/// What it prints, if it did what it should.
fn told(dir: &Path, arguments: &[&str]) -> String {
    let output = journal(dir, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Its exit code and what it says went wrong.
fn refused(dir: &Path, arguments: &[&str]) -> (i32, String) {
    let output = journal(dir, arguments);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A live store with a run that ended and one that waits, which a reader sees.
fn lived(store: &Path) -> Probe {
    let mut probe = Probe::open(store);
    probe.ask("start order/42 gate", "started order/42");
    probe.ask("signal order/42 one", "signalled order/42");
    assert_eq!(probe.ask("watch order/42 gate", "ended order/42 "), "one");
    probe.ask("start steps chain 3", "started steps");
    probe.ask("watch steps chain", "ended steps ");
    probe.ask("start waits gate", "started waits");
    let dir = store.parent().unwrap();
    // A reader trusts what has a frame behind it: a moment of idleness brings one.
    eventually("a reader sees what was acknowledged", || told(dir, &["list", "store"]).lines().count() == 4);
    probe
}

#[test]
fn a_live_store_is_listed_shown_and_exported_and_what_was_exported_replays() {
    let base = tempfile::tempdir().unwrap();
    let (dir, store) = (base.path(), base.path().join("store"));
    let probe = lived(&store);
    let before: Vec<_> = bytes_of(&store).into_iter().map(|(name, _)| name).collect();

    let listed = told(dir, &["list", "store"]);
    assert!(listed.starts_with("ID        RUN  "), "{listed}");
    let json: Vec<serde_json::Value> =
        told(dir, &["list", "store", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let states: Vec<_> =
        json.iter().map(|run| (run["id"].as_str().unwrap(), run["status"]["state"].as_str().unwrap())).collect();
    assert_eq!(states, [("order/42", "completed"), ("steps", "completed"), ("waits", "running")]);

    let shown = told(dir, &["show", "store", "order/42"]);
    assert!(shown.starts_with("run `order/42` of `gate` version 1, "), "{shown}");
    assert!(shown.contains("SignalReceived  name \"go\"") && shown.contains("value \"one\""), "{shown}");
    assert!(shown.contains("SignalAwaited  name \"go\"  seq 1"), "{shown}");

    // By workflow id and by the run's identity, to the output and into a file: the same text.
    let run = json[0]["run"].as_str().unwrap();
    let text = told(dir, &["export", "store", "order/42"]);
    assert_eq!(told(dir, &["export", "store", run]), text);
    assert_eq!(told(dir, &["show", "store", "order/42", "--json"]), text);
    for id in ["order/42", "steps", "waits"] {
        told(dir, &["export", "store", id, "--to", &format!("journals/{}.jsonl", id.replace('/', "-"))]);
    }
    assert_eq!(std::fs::read_to_string(dir.join("journals/order-42.jsonl")).unwrap(), text);
    assert_eq!(text.parse::<RunJournal>().unwrap().events().len() as u64, json[0]["events"].as_u64().unwrap());

    replay((gate, chain)).folder(dir.join("journals")).assert();
    replay((gate, chain)).store(&store).assert();
    let report = replay((changed::gate,)).folder(dir.join("journals")).skip_other_workflows().times(1).report();
    assert!(!report.holds(), "{report}");
    assert_eq!(
        report.journals.iter().filter(|journal| journal.matched == 1 && !journal.holds()).count(),
        2,
        "{report}"
    );

    let after: Vec<_> = bytes_of(&store).into_iter().map(|(name, _)| name).collect();
    assert_eq!(after, before, "a reader leaves nothing behind");
    assert_eq!(probe.shut_down().code(), 0);
    assert_eq!(told(dir, &["export", "store", "order/42"]), text, "stopped");
}

#[test]
fn a_run_becomes_a_test_in_one_command_and_nothing_is_written_over() {
    let base = tempfile::tempdir().unwrap();
    let (dir, store) = (base.path(), base.path().join("store"));
    let probe = lived(&store);
    copy(&store, &dir.join("copy"));
    std::fs::write(dir.join("Cargo.toml"), "[package]\nname = \"my-shop\"\n").unwrap();

    let said = told(dir, &["as-test", "copy", "waits"]);
    assert!(said.starts_with("wrote tests/journals/waits.jsonl: 2 events of run `waits`"), "{said}");
    assert!(said.contains("wrote tests/replay_waits.rs") && said.contains("cargo test --test replay_waits"), "{said}");
    let test = std::fs::read_to_string(dir.join("tests/replay_waits.rs")).unwrap();
    expect_test::expect![[r#"
        //! The run `waits` of `gate`, as it was recorded: the code of today has to ask for the same again. Nothing is executed.

        use my_shop::gate;

        #[test]
        fn waits_replays() {
            durable_testkit::replay((gate,)).file("tests/journals/waits.jsonl").assert();
        }
    "#]]
    .assert_eq(&test);
    replay((gate,)).file(dir.join("tests/journals/waits.jsonl")).assert();

    // An id that is no file's name gets one, with the end of the run's identity.
    told(dir, &["as-test", "store", "order/42", "--to", "tests/recorded"]);
    let names: Vec<String> = bytes_of(&dir.join("tests")).into_iter().map(|(name, _)| name).collect();
    assert!(names.iter().any(|name| name.starts_with("replay_order_42_") && name.ends_with(".rs")), "{names:?}");
    assert_eq!(bytes_of(&dir.join("tests/recorded")).len(), 1);

    for (kept, gone) in [
        ("tests/journals/waits.jsonl", "tests/replay_waits.rs"),
        ("tests/replay_waits.rs", "tests/journals/waits.jsonl"),
    ] {
        std::fs::write(dir.join(kept), "mine").unwrap();
        std::fs::remove_file(dir.join(gone)).unwrap_or_default();
        let (code, why) = refused(dir, &["as-test", "copy", "waits"]);
        assert_eq!((code, why), (1, format!("error: {kept} is there already: `--force` writes over it\n")));
        assert!(!dir.join(gone).exists(), "nothing is half written");
        assert_eq!(std::fs::read_to_string(dir.join(kept)).unwrap(), "mine");
        told(dir, &["as-test", "copy", "waits", "--force"]);
    }
    assert_eq!(std::fs::read_to_string(dir.join("tests/replay_waits.rs")).unwrap(), test);
    assert_eq!(probe.shut_down().code(), 0);
}

#[test]
fn what_cannot_be_done_is_told_with_a_code() {
    let base = tempfile::tempdir().unwrap();
    let (dir, store) = (base.path(), base.path().join("store"));
    assert_eq!(lived(&store).shut_down().code(), 0);
    for (arguments, code, why) in [
        (vec!["show", "store", "nobody"], 1, "error: no run has the id `nobody` [E0308]"),
        (vec!["show", "store", "waits", "--namespace", "eu"], 1, "error: no run has the id `waits` [E0308]"),
        (vec!["show", "store", "00000000-0000-0000-0000-000000000000"], 1, "no run has the id `0000"),
        (vec!["list", "."], 1, "[E0101]"),
        (vec!["list", "gone"], 1, "error: "),
        (vec!["export", "store", "waits", "--to", "store"], 1, "error: store is there already"),
        (vec!["export", "store"], 2, "error: no RUN; `--help` says what there is"),
        (vec!["list"], 2, "error: no STORE"),
    ] {
        let (found, told) = refused(dir, &arguments);
        assert_eq!(found, code, "{arguments:?}: {told}");
        assert!(told.contains(why), "{arguments:?}: {told}");
    }
    assert!(told(dir, &["--help"]).starts_with("Shows the journals of a store's runs"));
}
