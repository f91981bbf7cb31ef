//! Two processes, one store: the second is told who has it, whatever became of the lock file and of the first.

use std::path::Path;
use std::time::SystemTime;

use durable::store::log::{self, Holder};
use durable::{OpenError, Runtime};

use crate::probe::{Probe, all, bytes_of};

/// A second process is refused, and named the first; so is a runtime in this process, which gets the same as data.
fn refused(store: &Path, first: &Probe, opened: std::ops::RangeInclusive<SystemTime>) {
    let before = bytes_of(store);
    let second = Probe::refused(store);
    assert_eq!(second.code(), 3, "{}", second.stderr);
    assert_eq!(second.heard, [""; 0]);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let text =
        format!("error: {} is already open, by process {} on {}, since ", store.display(), first.pid(), host.trim());
    assert!(second.stderr.starts_with(&text), "{}", second.stderr);
    assert!(
        second.stderr.trim_end().ends_with(" UTC; close it there, or open it for reading only [E0103]"),
        "{}",
        second.stderr
    );

    let Holder { pid, since, .. } = holder(store);
    assert_eq!(pid, first.pid());
    assert!(opened.contains(&SystemTime::from(since)), "{since:?} is not in {opened:?}");
    let segments = |(name, _): &(String, Vec<u8>)| name.ends_with(".seg") || name == "FORMAT";
    let kept =
        |files: Vec<(String, Vec<u8>)>| files.into_iter().filter(segments).map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(kept(bytes_of(store)), kept(before), "whoever is refused leaves no segment behind");
}

fn holder(store: &Path) -> Holder {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    match tokio.block_on(Runtime::builder(store).open()) {
        Err(OpenError::Store(log::OpenError::AlreadyOpen { dir, holder })) => {
            assert_eq!(dir, store);
            holder.unwrap()
        }
        other => panic!("a store that another process has open was opened: {other:?}"),
    }
}

/// Opens the first probe, and says when that was.
fn first(store: &Path) -> (Probe, std::ops::RangeInclusive<SystemTime>) {
    let before = SystemTime::now();
    let first = Probe::open(store);
    (first, before..=SystemTime::now())
}

#[test]
fn a_second_process_is_told_who_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, opened) = first(dir.path());
    refused(dir.path(), &first, opened.clone());
    first.ask("start a gate", "started a");
    refused(dir.path(), &first, opened);
    first.ask("signal a one", "signalled a");

    let ended = first.shut_down();
    assert_eq!((ended.code(), ended.all("shut down").len()), (0, 1), "{}", ended.stderr);
    let mut second = Probe::open(dir.path());
    assert_eq!(second.ask("watch a gate", "ended a "), "one");
    assert_eq!(second.shut_down().code(), 0);
}

#[test]
fn a_process_that_was_stopped_still_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, opened) = first(dir.path());
    first.ask("start a gate", "started a");
    first.freeze();
    refused(dir.path(), &first, opened);
    first.thaw();
    first.ask("signal a one", "signalled a");
    assert_eq!(first.ask("watch a gate", "ended a "), "one");

    first.freeze();
    assert_eq!(first.kill().status.code(), None);
    let mut second = Probe::open(dir.path());
    assert_eq!(second.ask("watch a gate", "ended a "), "one");
}

#[test]
fn a_deleted_lock_file_lets_nobody_in_and_ends_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let (mut first, opened) = first(dir.path());
    first.ask("start a gate", "started a");
    first.say("watch a gate");
    first.ask("still", "still here");
    first.freeze();
    std::fs::remove_file(dir.path().join("LOCK")).unwrap();
    refused(dir.path(), &first, opened.clone());
    refused(dir.path(), &first, opened);
    first.thaw();

    let why = first.ask("start b gate", "refused b: ");
    assert!(why.contains("LOCK was removed or replaced") && why.ends_with("[E0114]"), "{why}");
    first.ask("still", "still here");
    assert!(all(first.heard(), "store a: ").iter().all(|why| why.ends_with("[E0114]")));
    assert_eq!(all(first.heard(), "store a: ").len(), 1, "who waited gets it as well: {:?}", first.heard());
    let why = first.ask("watch a gate", "unknown a: ");
    assert!(why.ends_with("[E0114]"), "{why}");
    let why = first.ask("describe a gate", "refused a: ");
    assert!(why.ends_with("[E0114]"), "{why}");

    // It has let go, and lives.
    let mut second = Probe::open(dir.path());
    second.ask("signal a two", "signalled a");
    assert_eq!(second.ask("watch a gate", "ended a "), "two");
    // What was refused may be there or not; nobody was told that it is.
    second.ask("start b gate", "started b");
    first.ask("still", "still here");
    let ended = first.shut_down();
    assert_eq!(ended.code(), 5, "{}", ended.stderr);
    assert!(ended.all("not shut down: ")[0].contains("[E0114]"));
    assert_eq!(second.shut_down().code(), 0);
}
