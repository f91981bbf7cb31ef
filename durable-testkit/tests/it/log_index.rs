//! The index of closed runs may be deleted, cut, overwritten or put back from an older moment, between opens and while it is
//! open: every closed run is found all the same, and no id that had a run looks unused.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use durable::kernel::event::{Event, RunStarted};
use durable::kernel::tables::Tables;
use durable::store::log::{IndexAt, Options};
use durable_testkit::{Op, SimDisk};
use futures::FutureExt;
use tempfile::TempDir;

use crate::log_fixture::*;

/// A store on a simulated disk whose index is a real folder.
struct Store {
    disk: SimDisk,
    home: TempDir,
}

impl Store {
    fn new() -> Store {
        Store { disk: SimDisk::new(), home: tempfile::tempdir().unwrap() }
    }

    fn index(&self) -> PathBuf {
        self.home.path().join("index")
    }

    fn open(&self) -> Node {
        let reports = Arc::default();
        let options = Options { index: IndexAt::Folder(self.index()), ..options(&reports) };
        Process::new(&self.disk).open_with(options, reports).unwrap().unwrap()
    }

    /// Runs that end, each in a frame of its own or together with others.
    fn close_runs(&self, node: &Node, runs: std::ops::Range<u64>) {
        node.write([group(runs.clone().map(start))]);
        let (alone, together) = (runs.start..runs.start + 3, runs.start + 3..runs.end);
        node.write(alone.map(|run| group([end(run, 1, run)])));
        node.write([group(together.map(|run| end(run, 1, run)))]);
    }

    /// Some opens, each of which closes runs; a checkpoint stands among them. All but run 1,000 are closed.
    fn filled() -> Store {
        let store = Store::new();
        let node = store.open();
        store.close_runs(&node, 1..20);
        node.close();
        let node = store.open();
        store.close_runs(&node, 20..40);
        let tables = Tables { next_run: durable::kernel::id::RunNo(40), ..node.recovered.tables.clone() };
        node.log.checkpoint(&tables).unwrap();
        store.close_runs(&node, 40..60);
        stop(node);
        let node = store.open();
        node.write([group([start(1000)])]);
        store.close_runs(&node, 60..80);
        node.close();
        store
    }

    /// How many segments are read from their begin while `act` runs: only a search of the whole log does that.
    fn segments_searched(&self, act: impl FnOnce()) -> usize {
        let before = self.disk.trace().len();
        act();
        self.disk.trace().iter().skip(before).filter(|line| matches!(line.op, Op::Read { offset: 0, .. })).count()
    }
}

/// As the death of the process, but the index's files are closed in time for the next open.
fn stop(node: Node) {
    node.process.run(node.log.stop()).unwrap();
}

fn all_are_found(node: &Node) {
    for run in 1..80 {
        assert!(node.log.may_be_closed(&"".into(), &format!("run-{run}").into()), "run {run}");
        assert_eq!(node.closed_numbers(run), Some(vec![run]), "run {run}");
    }
    assert_eq!((node.closed_numbers(1000), node.closed_numbers(1001)), (None, None));
}

fn files(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => assert!(fs::copy(entry.path(), target).is_ok()),
        }
    }
}

fn delete(index: &Path) {
    fs::remove_dir_all(index).unwrap();
}

fn truncate(index: &Path) {
    for file in files(index) {
        let len = fs::metadata(&file).unwrap().len();
        fs::OpenOptions::new().write(true).open(file).unwrap().set_len(len / 3).unwrap();
    }
}

fn garbage(index: &Path) {
    for file in files(index) {
        let mut bytes = fs::read(&file).unwrap();
        bytes.iter_mut().enumerate().skip(7).step_by(13).for_each(|(at, byte)| *byte = (at % 251) as u8);
        fs::write(file, bytes).unwrap();
    }
}

fn a_file_in_its_place(index: &Path) {
    delete(index);
    fs::write(index, "not a folder").unwrap();
}

const DAMAGES: [fn(&Path); 4] = [delete, truncate, garbage, a_file_in_its_place];

#[test]
fn with_a_whole_index_no_lookup_searches_the_log() {
    let store = Store::filled();
    let node = store.open();
    node.run_until_idle();
    let searched = store.segments_searched(|| all_are_found(&node));
    assert_eq!(searched, 0);
    node.close();
}

#[test]
fn damage_between_opens_changes_no_answer_and_is_mended() {
    for damage in DAMAGES {
        let store = Store::filled();
        damage(&store.index());
        let node = store.open();
        all_are_found(&node);
        node.close();
        let node = store.open();
        node.run_until_idle();
        let searched = store.segments_searched(|| all_are_found(&node));
        assert_eq!(searched, 0);
        node.close();
    }
}

#[test]
fn lookups_before_the_index_is_made_anew_search_the_log() {
    let store = Store::filled();
    delete(&store.index());
    let node = store.open();
    // Nothing beside the lookup has run.
    let searched = store.segments_searched(|| {
        let found = node.log.find_closed(&"".into(), &"run-7".into()).now_or_never();
        assert!(found.unwrap().unwrap().is_some());
    });
    assert!(searched > 0);
    all_are_found(&node);
    node.close();
}

#[test]
fn damage_while_it_is_open_changes_no_answer() {
    for damage in DAMAGES {
        let store = Store::filled();
        let node = store.open();
        node.run_until_idle();
        damage(&store.index());
        all_are_found(&node);
        node.write([group([start(2000)]), group([end(2000, 1, 2000)])]);
        assert_eq!(node.closed_numbers(2000), Some(vec![2000]));
        node.close();
        let node = store.open();
        all_are_found(&node);
        assert_eq!(node.closed_numbers(2000), Some(vec![2000]));
        stop(node);
    }
}

#[test]
fn an_older_index_changes_no_answer_and_is_made_anew() {
    let store = Store::new();
    let node = store.open();
    store.close_runs(&node, 1..30);
    node.close();
    let older = store.home.path().join("older");
    copy(&store.index(), &older);
    let node = store.open();
    store.close_runs(&node, 30..80);
    node.close();
    delete(&store.index());
    copy(&older, &store.index());
    let node = store.open();
    all_are_found(&node);
    node.close();
    let node = store.open();
    node.run_until_idle();
    let searched = store.segments_searched(|| all_are_found(&node));
    assert_eq!(searched, 0);
    node.close();
}

#[test]
fn an_index_that_is_newer_than_the_log_changes_no_answer() {
    let store = Store::filled();
    let moment = store.disk.snapshot();
    let node = store.open();
    store.close_runs(&node, 80..120);
    node.close();
    let newer = Store { disk: SimDisk::from_snapshot(&moment), home: store.home };
    let node = newer.open();
    all_are_found(&node);
    assert_eq!(node.closed_numbers(100), None);
    // The log goes on in another way: the same numbers and places hold other runs.
    node.write([group((80..120).map(|run| start(run + 500)))]);
    assert_eq!(node.closed_numbers(100), None);
    node.close();
}

#[test]
fn of_an_id_that_was_used_again_the_newest_run_is_found_whatever_the_index_says() {
    let again = |run: u64| {
        let started = RunStarted { id: "again".into(), workflow: "flow".into(), ..RunStarted::default() };
        section_of(run, 0, vec![Event::RunStarted(Box::new(started))])
    };
    let end_again = |run: u64| end(run, 1, run).ending("".into(), "again".into());
    let newest = |node: &Node| {
        let found = node.process.run(node.log.find_closed(&"".into(), &"again".into())).unwrap().unwrap();
        found.map(|found| found.run.0)
    };
    let store = Store::new();
    let node = store.open();
    node.write([group([again(1)]), group([end_again(1)])]);
    assert_eq!(newest(&node), Some(1));
    node.close();
    let older = store.home.path().join("older");
    copy(&store.index(), &older);
    let node = store.open();
    node.write([group([again(2)]), group([end_again(2)])]);
    assert_eq!(newest(&node), Some(2));
    let tables = Tables { next_run: durable::kernel::id::RunNo(3), ..Tables::default() };
    node.log.checkpoint(&tables).unwrap();
    node.close();
    delete(&store.index());
    copy(&older, &store.index());
    let node = store.open();
    let found = node.log.find_closed(&"".into(), &"again".into()).now_or_never();
    assert_eq!(found.unwrap().unwrap().map(|found| found.run.0), Some(2), "the old row is not believed");
    assert_eq!(newest(&node), Some(2));
    node.close();
}
