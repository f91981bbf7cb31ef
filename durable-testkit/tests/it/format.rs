//! The format document against the engine: an independent reader, written in Python from `docs/journal-format.md` alone, says
//! of every store the same as the engine's own reader. Needs `python3`; without it these tests fail.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "real files and a real process, on purpose")]

mod forge;
mod images;
pub(crate) mod scenario;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use durable::Runtime;
use durable::kernel::event::Text;
use durable::store::log::{OpenError, ReadOnly, open_read_only};
use durable::store::real::RealDisk;
use durable_testkit::SimDisk;
use futures::FutureExt;
use serde_json::{Value, json};

use images::Has;
use scenario::{DIR, IDS, Keeps, Stage};

/// Every kind of event that the runtime makes today.
const KINDS: [&str; 20] = [
    "ActivityCompleted",
    "ActivityFailed",
    "AttemptFailed",
    "AttemptParked",
    "AttemptStarted",
    "BuildChanged",
    "CancelRequested",
    "Checkpoint",
    "ChildEnded",
    "Closed",
    "CompensationStarted",
    "Opened",
    "RunBlocked",
    "RunEnded",
    "RunStarted",
    "RunTimedOut",
    "RunUnblocked",
    "SignalReceived",
    "TimerFired",
    "Turn",
];

fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format").join(below)
}

/// The output of `python3` with these arguments.
fn python(arguments: impl IntoIterator<Item = PathBuf>) -> String {
    let output = Command::new("python3").arg("-B").args(arguments).output();
    let output = output.expect("python3 is needed: it runs the independent reader of the format");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What the independent reader says of each directory.
fn told(dirs: &[PathBuf]) -> Vec<Value> {
    let lines = python([folder("reader.py")].into_iter().chain(dirs.iter().cloned()));
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the engine's reader says of a store.
struct Said {
    verdict: &'static str,
    rot: Vec<Value>,
    reader: Option<ReadOnly>,
}

impl Said {
    fn of(dir: &Path) -> Said {
        let opened =
            open_read_only(Arc::new(RealDisk::new()), dir).now_or_never().expect("a real disk answers at once");
        match opened {
            Ok(reader) => Said::of_store(reader),
            Err(OpenError::NotAStore { .. }) => Said::nothing("not-a-store"),
            Err(OpenError::Format { .. }) => Said::nothing("newer-format"),
            Err(OpenError::Undecodable { .. } | OpenError::Gap { .. }) => Said::nothing("undecodable"),
            Err(OpenError::Disk(fault)) if fault.error.kind() == io::ErrorKind::NotFound => {
                Said::nothing("not-a-store")
            }
            Err(error) => panic!("{}: {error}", dir.display()),
        }
    }

    fn of_store(reader: ReadOnly) -> Said {
        let rot = reader.rot().iter().map(|rot| json!([rot.file, rot.offset])).collect::<Vec<_>>();
        Said { verdict: if rot.is_empty() { "ok" } else { "rot" }, rot, reader: Some(reader) }
    }

    fn nothing(verdict: &'static str) -> Said {
        Said { verdict, rot: Vec::new(), reader: None }
    }
}

/// The journals of the runs that the engine calls open: none of one that it cannot give whole.
fn open_journals(reader: &ReadOnly) -> BTreeMap<u64, Option<Value>> {
    let load = |no| reader.load(no).now_or_never().unwrap().ok();
    reader.tables().open.keys().map(|no| (no.0, load(no).map(|journal| events(&journal)))).collect()
}

/// The journals of the closed runs among these ids.
fn closed_journals<'a>(reader: &ReadOnly, ids: impl Iterator<Item = &'a (String, String)>) -> BTreeMap<u64, Value> {
    let mut journals = BTreeMap::new();
    for (namespace, id) in ids {
        let found = reader.find_closed(&Text::from(&**namespace), &Text::from(&**id)).now_or_never().unwrap();
        let Ok(Some(closed)) = found else { continue };
        let journal = reader.load_at(closed.place, closed.run).now_or_never().unwrap().unwrap();
        journals.insert(closed.run.0, events(&journal));
    }
    journals
}

fn events(journal: &[durable::store::log::JournalEvent]) -> Value {
    journal.iter().map(|(no, at, event)| shown::journal_event(*no, *at, event)).collect()
}

/// The runs of one state, by number, as the independent reader tells them.
fn runs_that_are(told: &Value, state: &str) -> BTreeMap<u64, Value> {
    let runs = told["runs"].as_array().unwrap().iter().filter(|run| run["state"] == state);
    runs.map(|run| (run["run"].as_u64().unwrap(), run["events"].clone())).collect()
}

/// The ids of the scenario's runs, and of those that were told.
fn ids_of(told: &Value) -> BTreeSet<(String, String)> {
    let known = IDS.iter().map(|(namespace, id)| ((*namespace).to_owned(), (*id).to_owned()));
    let started = told["runs"].as_array().unwrap().iter().map(|run| &run["events"][0]["fields"]);
    let told = started
        .filter_map(|started| Some((started["namespace"].as_str()?.to_owned(), started["id"].as_str()?.to_owned())));
    known.chain(told).collect()
}

/// Holds what both readers say of a store against each other.
fn compare(name: &str, told: &Value, said: &Said, has: Has) {
    assert_eq!(told["verdict"], said.verdict, "{name}: {told}");
    let Some(reader) = &said.reader else { return };
    assert_eq!(told["store"], reader.store().to_string(), "{name}");
    let rot = told["rot"].as_array().unwrap().iter().map(|rot| json!([rot["file"], rot["offset"]]));
    assert_eq!(rot.collect::<Vec<_>>(), said.rot, "{name}");
    assert_eq!(told["clean"], reader.is_clean(), "{name}");
    for checkpoint in told["checkpoints"].as_array().unwrap() {
        assert!(
            has == Has::Gaps || !said.rot.is_empty() || checkpoint["wrong"] == json!([]),
            "{name}: {}",
            checkpoint["wrong"]
        );
    }
    let (open, ended, broken) =
        (runs_that_are(told, "open"), runs_that_are(told, "ended"), runs_that_are(told, "broken"));
    let closed = closed_journals(reader, ids_of(told).iter());
    let open_here = open_journals(reader);
    if said.rot.is_empty() && has == Has::NoGaps {
        assert_eq!(broken.keys().next(), None, "{name}: {told}");
        let whole = open.iter().map(|(no, events)| (*no, Some(events.clone()))).collect::<BTreeMap<_, _>>();
        assert_eq!(open_here, whole, "{name}");
        assert_eq!(closed, ended, "{name}");
        return;
    }
    compare_damaged(name, reader, (&open_here, &closed), (&open, &ended, &broken));
}

type Journals = BTreeMap<u64, Value>;

/// Of a damaged store the engine serves what it can show to be whole: that is the same on both sides. Where there is rot it
/// puts aside more runs than are shown to be broken, as it guesses which runs stood in what cannot be read, and does not
/// look for the places of closed runs.
fn compare_damaged(
    name: &str,
    reader: &ReadOnly,
    (open_here, closed): (&BTreeMap<u64, Option<Value>>, &Journals),
    (open, ended, broken): (&Journals, &Journals, &Journals),
) {
    let is_put_aside = |no: &u64| reader.broken().iter().any(|broken| broken.0 == *no);
    for (no, journal) in open_here.iter().filter(|(no, _)| !is_put_aside(no)) {
        match (journal, open.get(no)) {
            (Some(journal), None) if !reader.rot().is_empty() => assert_begins(name, *no, journal, broken),
            (journal, told) => assert_eq!(journal.as_ref(), told, "{name}: run {no}"),
        }
    }
    for (no, journal) in closed {
        match ended.get(no) {
            None if !reader.rot().is_empty() => assert_begins(name, *no, journal, broken),
            told => assert_eq!(Some(journal), told, "{name}: run {no}"),
        }
    }
    for no in open.keys().filter(|no| !open_here.contains_key(no)) {
        assert!(is_put_aside(no), "{name}: run {no} is served by one reader only");
    }
    if reader.rot().is_empty() {
        assert_eq!(closed, ended, "{name}");
    }
}

/// Where frames stand in a wrong order the engine still finds a journal by its places, and the independent reader, which
/// goes by the order, gives up in its midst: what it has up to there is the same.
fn assert_begins(name: &str, no: u64, journal: &Value, broken: &Journals) {
    let (journal, told) = (journal.as_array().unwrap(), broken[&no].as_array().unwrap());
    assert!(journal.starts_with(told), "{name}: run {no}");
}

/// How much is written out of the zeros behind a file's last frame. The format says that it makes no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tails {
    Whole,
    Cut,
}

/// Writes the store of a simulated disk into a real directory.
fn write_out(disk: &SimDisk, dir: &Path, tails: Tails) {
    let Ok(names) = disk.file_names(DIR) else { return };
    fs::create_dir_all(dir).unwrap();
    for name in names {
        let bytes = disk.read_file(format!("{DIR}/{name}")).unwrap();
        match tails {
            // What is no segment is known by its name alone.
            _ if name.starts_with("spare-") || name == "reserve" => fs::write(dir.join(name), []).unwrap(),
            Tails::Cut if name.ends_with(".seg") => fs::write(dir.join(name), without_tail(&bytes)).unwrap(),
            Tails::Whole | Tails::Cut => fs::write(dir.join(name), bytes).unwrap(),
        }
    }
}

/// A segment without the blocks of zeros at its end. One block is left: the last frame may itself end with zeros.
fn without_tail(bytes: &[u8]) -> &[u8] {
    let used = bytes.chunks(BLOCK).rposition(|block| block != [0; BLOCK]).map_or(0, |last| last + 1);
    &bytes[..((used + 1) * BLOCK).min(bytes.len())]
}

const BLOCK: usize = 4096;

#[test]
fn both_readers_say_the_same_of_two_hundred_crashed_and_damaged_stores() {
    let dir = tempfile::tempdir().unwrap();
    let images = images::all();
    assert_eq!(images.len(), 200);
    let dirs: Vec<PathBuf> = images.iter().map(|image| dir.path().join(&image.name)).collect();
    for (number, (image, dir)) in images.iter().zip(&dirs).enumerate() {
        write_out(&image.disk, dir, if number % 10 == 0 { Tails::Whole } else { Tails::Cut });
    }
    let told = told(&dirs);
    assert_eq!(told.len(), images.len());
    let mut verdicts = BTreeMap::<&str, usize>::new();
    for ((image, dir), told) in images.iter().zip(&dirs).zip(&told) {
        let said = Said::of(dir);
        compare(&image.name, told, &said, image.has);
        *verdicts.entry(said.verdict).or_default() += 1;
    }
    for (verdict, least) in [("ok", 120), ("rot", 30), ("newer-format", 2), ("not-a-store", 2)] {
        assert!(verdicts.get(verdict).is_some_and(|count| *count >= least), "the images are too alike: {verdicts:?}");
    }
}

/// A segment is lost, and the one behind it holds one frame, which a reader in another process does not trust yet. That what
/// was before it is missing is no less true for that: it is rot for readers as for a writer, and no empty store.
#[test]
fn a_log_that_is_lost_up_to_its_last_frame_is_no_empty_one() {
    let mut stage = Stage::new(1, Keeps::Nothing);
    stage.live().unwrap();
    let dir = tempfile::tempdir().unwrap();
    write_out(&forge::only_one_frame(&stage.disk), dir.path(), Tails::Cut);
    let told = told(&[dir.path().to_owned()]).remove(0);
    assert_eq!((&told["verdict"], &told["offset"]), (&json!("rot"), &json!(4096)));
    compare("one frame", &told, &Said::of(dir.path()), Has::NoGaps);
}

/// Whether the golden store is to be made anew: a change of the format's revision does that, and nothing else.
const MAKE: &str = "MAKE_GOLDEN_STORE";

/// The scenario's store, without the files that hold nothing.
fn make_golden(dir: &Path) {
    let mut stage = Stage::new(0, Keeps::Nothing);
    stage.live().unwrap();
    let names = stage.disk.file_names(DIR).unwrap();
    for name in names.iter().filter(|name| *name != "FORMAT" && !name.ends_with(".seg")) {
        stage.disk.remove_file(format!("{DIR}/{name}")).unwrap();
    }
    fs::remove_dir_all(dir).unwrap_or_default();
    write_out(&stage.disk, dir, Tails::Cut);
}

/// The golden store, and what the independent reader tells of it.
fn golden() -> &'static (PathBuf, Value) {
    static GOLDEN: OnceLock<(PathBuf, Value)> = OnceLock::new();
    GOLDEN.get_or_init(|| {
        let dir = folder("golden");
        if std::env::var_os(MAKE).is_some() {
            make_golden(&dir);
        }
        let told = told(std::slice::from_ref(&dir)).remove(0);
        (dir, told)
    })
}

fn kinds_in(told: &Value) -> BTreeSet<String> {
    let runs = told["runs"].as_array().unwrap().iter().flat_map(|run| run["events"].as_array().unwrap());
    let kinds = runs.chain(told["own"].as_array().unwrap()).map(|event| event["kind"].as_str().unwrap().to_owned());
    let checkpoint = told["checkpoints"].as_array().unwrap().first().map(|_| "Checkpoint".to_owned());
    kinds.chain(checkpoint).collect()
}

#[test]
fn both_readers_say_the_same_of_the_golden_store() {
    let (dir, told) = golden();
    let said = Said::of(dir);
    compare("golden", told, &said, Has::NoGaps);
    assert_eq!((&told["verdict"], &told["clean"]), (&json!("ok"), &json!(true)));
    assert_eq!(kinds_in(told), KINDS.map(str::to_owned).into(), "the golden store lacks kinds, or has new ones");
    let bytes: u64 = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 200 << 10, "the golden store has {bytes} bytes");
}

/// Every kind of entry that the runtime makes today.
const ENTRIES: [&str; 9] = [
    "ActivityScheduled",
    "ChildScheduled",
    "CommandDropped",
    "CompensationRegistered",
    "ScopeClosed",
    "ScopeOpened",
    "SignalAwaited",
    "SignalTaken",
    "TimerStarted",
];

/// What there is in a list, once each.
fn distinct<'a>(all: impl Iterator<Item = &'a Value>) -> BTreeSet<&'a str> {
    all.map(|value| value.as_str().unwrap()).collect()
}

/// The readers agree on little where there is little: the golden store has to show all that undoing leaves.
#[test]
fn the_golden_store_holds_scopes_and_undos_of_every_outcome() {
    let (_, told) = golden();
    let runs = told["runs"].as_array().unwrap().iter();
    let events: Vec<&Value> = runs.flat_map(|run| run["events"].as_array().unwrap()).collect();
    let of_kind = |kind: &'static str| {
        let events = events.iter().copied();
        events.filter(move |event| event["kind"] == kind).map(|event| &event["fields"])
    };
    let entries = of_kind("Turn").flat_map(|turn| turn["entries"].as_array().unwrap());
    let entries: Vec<(&String, &Value)> = entries.flat_map(|entry| entry.as_object().unwrap()).collect();
    assert_eq!(entries.iter().map(|(kind, _)| kind.as_str()).collect::<BTreeSet<_>>(), ENTRIES.into());
    let calls = || entries.iter().filter(|(kind, _)| *kind == "ActivityScheduled").map(|(_, entry)| &entry["call"]);
    for bit in ["at_most_once", "undo", "undo_for_unknown", "awaited_when_dropped"] {
        assert!(calls().any(|call| call[bit] == true), "no call has the bit {bit}");
    }
    for kind in ["RunEnded", "ChildEnded"] {
        for list in ["undone", "not_undone", "unknown"] {
            assert!(of_kind(kind).any(|end| end[list] != json!([])), "no {kind} names anything as {list}");
        }
    }
    let ends = ["cancelled", "compensation failed", "completed", "failed", "terminated", "timed out"];
    assert_eq!(distinct(of_kind("RunEnded").map(|end| &end["how"])), ends.into());
    let open = told["checkpoints"].as_array().unwrap().last().unwrap()["runs"].as_array().unwrap();
    assert!(open.iter().any(|run| run["undoing"] == "failed"));
    let undos = open.iter().flat_map(|run| run["undos"].as_array().unwrap());
    let states = ["not undone", "open", "stands", "undone", "unknown"];
    assert_eq!(distinct(undos.map(|call| &call["state"])), states.into());
}

#[test]
fn both_readers_say_the_same_of_the_golden_checkpoint() {
    let (dir, told) = golden();
    let reader = Said::of(dir).reader.unwrap();
    let newest = told["checkpoints"].as_array().unwrap().last().unwrap();
    let runs: Vec<Value> = reader.tables().open.iter().map(|(no, run)| shown::open_run(no.0, &run)).collect();
    assert!(!runs.is_empty());
    assert_eq!(newest["runs"], Value::from(runs));
    assert_eq!(newest["next_run"], reader.tables().next_run.0);
}

#[test]
fn the_sketch_in_the_document_reads_the_golden_store() {
    let document = fs::read_to_string(folder("../../../docs/journal-format.md")).unwrap();
    let (_, sketch) = document.split_once("```python\n").unwrap();
    let (sketch, _) = sketch.split_once("```").unwrap();
    let (dir, told) = golden();
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("sketch.py");
    fs::write(&path, sketch).unwrap();
    let lines = python([path, dir.clone()]);
    let mut shown: Vec<String> = lines.lines().map(first_words).filter(|line| !line.starts_with("0 ")).collect();
    let mut expected: Vec<String> = told["runs"].as_array().unwrap().iter().flat_map(first_words_of_run).collect();
    shown.sort_unstable();
    expected.sort_unstable();
    assert_eq!(shown, expected);
}

/// Run, number, time and kind.
fn first_words(line: &str) -> String {
    line.split(' ').take(4).collect::<Vec<_>>().join(" ")
}

fn first_words_of_run(run: &Value) -> Vec<String> {
    let events = run["events"].as_array().unwrap().iter();
    events
        .map(|event| format!("{} {} {} {}", run["run"], event["no"], event["at"], event["kind"].as_str().unwrap()))
        .collect()
}

#[test]
fn the_golden_store_opens_for_writing() {
    let (golden, _) = golden();
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    tokio::runtime::Runtime::new().unwrap().block_on(go_on(dir.path()));
    let dir = dir.path().to_owned();
    let told = told(std::slice::from_ref(&dir)).remove(0);
    compare("the golden store, written to", &told, &Said::of(&dir), Has::NoGaps);
    assert_eq!((&told["verdict"], &told["clean"]), (&json!("ok"), &json!(true)));
}

/// Opens the store, and lets one of its runs end.
async fn go_on(dir: &Path) {
    let rt = Runtime::builder(dir).register(scenario::registry()).build_id("build-4").open().await.unwrap();
    let mut open: Vec<String> = rt.runs().await.unwrap().into_iter().map(|run| run.id).collect();
    open.sort_unstable();
    assert_eq!(open, ["brittle-still", "holds", "shelved", "undoes", "waits-for-ever"]);
    let run = rt.run(scenario::waits, "waits-for-ever").await.unwrap();
    run.signal(scenario::NEWS, "at last".to_owned()).await.unwrap();
    assert_eq!(run.result().await.unwrap(), "at last");
    let order = rt.run(scenario::order, "order-1").await.unwrap();
    assert_eq!(order.result().await.unwrap() / 100, 10, "two prices, one of a child, what was sent, a random bit");
    rt.shutdown().await.unwrap();
}
