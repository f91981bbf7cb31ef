//! The backup, crashed in the middle of its activities. What has to hold then is what the kill rig checks.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::check;

const SIGABRT: i32 = 6;
const SOME_FAILED: i32 = 3;
const WRONG_ARGUMENTS: i32 = 2;

/// How many activities the small tree takes: a list, the directories, three for each of six files, a link, two for the manifest.
const ACTIVITIES: u64 = 1 + 1 + 3 * 6 + 1 + 2;

/// A source, a target and a store in a directory of their own.
struct Place {
    dir: TempDir,
}

impl Place {
    /// With the small tree as its source.
    fn new() -> Place {
        let place = Place { dir: tempfile::tempdir().unwrap() };
        let from = place.from();
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::create_dir(from.join("hollow")).unwrap();
        for (name, content) in [("empty", ""), ("a/one", "1"), ("a/b/two", "22"), ("a/100%", "%"), ("a/tab\there", "t")]
        {
            fs::write(from.join(name), content).unwrap();
        }
        fs::write(from.join(OsStr::from_bytes(b"a/\xff\xfe")), vec![7; 600_000]).unwrap();
        symlink("../nowhere", from.join("a/b/link")).unwrap();
        place
    }

    fn from(&self) -> PathBuf {
        self.dir.path().join("from")
    }

    fn to(&self) -> PathBuf {
        self.dir.path().join("to")
    }

    fn effects(&self) -> PathBuf {
        self.dir.path().join("effects")
    }

    fn manifest(&self) -> String {
        fs::read_to_string(self.to().join("manifest.tsv")).unwrap()
    }

    fn backup(&self, more: &[&str]) -> Output {
        let mut command = backup();
        command.arg("--from").arg(self.from()).arg("--to").arg(self.to()).arg("--effects").arg(self.effects());
        command.args(more).output().unwrap()
    }

    fn crash_after(&self, activities: u64) -> Output {
        let output = self.backup(&["--crash-after", &activities.to_string()]);
        check::drop_cut_line(&self.effects()).unwrap();
        output
    }
}

/// The example, as `cargo test` builds it beside this test.
fn backup() -> Command {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples/backup");
    assert!(path.exists(), "{} is not there: run `cargo build -p durable-examples --examples`", path.display());
    Command::new(path)
}

fn none() -> Vec<String> {
    Vec::new()
}

fn goes_on_after(activities: u64) {
    let place = Place::new();
    let crashed = place.crash_after(activities);
    assert_eq!(crashed.status.signal(), Some(SIGABRT), "after {activities}: {crashed:?}");
    let again = place.crash_after(2);
    assert!(again.status.success() || again.status.signal() == Some(SIGABRT), "after {activities}: {again:?}");
    let done = place.backup(&[]);
    assert!(done.status.success(), "after {activities}: {done:?}");
    holds(&place);
}

fn holds(place: &Place) {
    assert_eq!(check::trees(&place.from(), &place.to()).unwrap(), none());
    assert_eq!(check::manifest(&place.from(), &place.to()).unwrap(), none());
    let effects = fs::read_to_string(place.effects()).unwrap();
    assert_eq!(check::effects(&effects), none());
    assert_eq!(check::calls(&effects).0 as u64, ACTIVITIES, "each call begins: {effects}");
}

#[test]
fn a_backup_goes_on_behind_a_crash_in_its_first_activities() {
    [1, 2, 3].into_iter().for_each(goes_on_after);
}

#[test]
fn a_backup_goes_on_behind_a_crash_in_the_middle() {
    [9, 15].into_iter().for_each(goes_on_after);
}

#[test]
fn a_backup_goes_on_behind_a_crash_at_its_end() {
    [ACTIVITIES - 1, ACTIVITIES].into_iter().for_each(goes_on_after);
}

#[test]
fn a_start_behind_the_end_does_nothing_and_says_so() {
    let place = Place::new();
    assert!(place.backup(&[]).status.success());
    let before = fs::read_to_string(place.effects()).unwrap();
    let again = place.backup(&[]);
    assert!(again.status.success());
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("nothing was left to do"), "{again:?}");
    assert_eq!(fs::read_to_string(place.effects()).unwrap(), before);
    holds(&place);
}

#[test]
fn what_cannot_be_copied_has_its_reason_in_the_manifest() {
    let place = Place::new();
    let socket = UnixListener::bind(place.from().join("a/socket")).unwrap();
    fs::write(place.from().join("manifest.tsv"), "mine").unwrap();
    fs::write(place.from().join("vanishes"), "soon").unwrap();
    fs::create_dir_all(place.to().join("empty/not")).unwrap();
    assert_eq!(place.crash_after(2).status.signal(), Some(SIGABRT), "it crashes when the tree is listed");
    fs::remove_file(place.from().join("vanishes")).unwrap();
    let done = place.backup(&[]);
    assert_eq!(done.status.code(), Some(SOME_FAILED), "{done:?}");
    let manifest = place.manifest();
    let outcome = |path: &str| manifest.lines().find_map(|line| line.strip_prefix(path)?.strip_prefix("\t-\t-\t"));
    assert_eq!(outcome("a/socket"), Some("skipped: a socket"));
    assert_eq!(outcome("manifest.tsv"), Some("failed: names that begin with manifest.tsv are kept for the manifest"));
    assert_eq!(outcome("vanishes"), Some("failed: cannot be read: No such file or directory (os error 2)"));
    assert_eq!(outcome("empty"), Some("failed: cannot be written: Is a directory (os error 21)"));
    assert_eq!(fs::read(place.to().join("a/b/two")).unwrap(), b"22");
    assert_eq!(leftovers(&place.to()), Vec::<PathBuf>::new());
    drop(socket);
}

/// Copies that did not take their place.
fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension() == Some(OsStr::new("part"))).collect()
}

#[test]
fn a_store_is_of_one_backup() {
    let place = Place::new();
    assert!(place.backup(&[]).status.success());
    let other = place.dir.path().join("other");
    let store = place.dir.path().join("to.durable");
    let output =
        backup().arg("--from").arg(place.from()).arg("--to").arg(other).arg("--store").arg(store).output().unwrap();
    assert_eq!(output.status.code(), Some(WRONG_ARGUMENTS));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another directory"), "{output:?}");
}

#[test]
fn wrong_arguments_are_named() {
    let place = Place::new();
    let refused = |command: &mut Command, says: &str| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(WRONG_ARGUMENTS), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{output:?}");
    };
    refused(&mut backup(), "`--from DIR` is missing");
    refused(backup().arg("--from").arg(place.from()), "`--to DIR` is missing");
    refused(backup().arg("--frm"), "unknown argument `--frm`");
    refused(backup().args(["--from"]), "`--from` needs a value");
    refused(backup().args(["--from", "a", "--to", "b", "--crash-after", "0"]), "number from 1");
    refused(backup().arg("--from").arg(place.from().join("no")).args(["--to", "b"]), "--from");
    refused(backup().arg("--from").arg(place.from()).arg("--to").arg(place.from().join("a")), "lie in each other");
}
