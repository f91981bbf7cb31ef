//! The log under what no sound kernel and disk do: syncs and writes that lie, reads that are stale. Nobody claims that what was
//! acknowledged survives them. Shown here is what of it an open finds out, and that it never tells another story: what is there
//! is the begin of what was appended.

use durable_testkit::{AfterFailedSync, Fault, Keep, OpKind, SimDisk, Unfair, Unfinished, When};
use expect_test::{Expect, expect};

use crate::log_fixture::*;

/// How many groups a sound process writes first, and how many there are in all.
const SOUND: u64 = 6;
const ALL: u64 = 30;

/// What opens found, after one fault in each place where it can be.
#[derive(Default)]
struct Told {
    /// Opens that were refused, and named the damage.
    found: u64,
    /// Opens that had everything acknowledged.
    unharmed: u64,
    /// Opens that had lost groups from the end, and did not know it.
    lost: u64,
}

fn write(node: &Node, from: u64, to: u64) {
    for n in from..=to {
        let begin = (n == 1).then(|| start(1));
        let group = group(begin.into_iter().chain([signal(1, n, n, 200 + 37 * (n % 9) as usize)]));
        if node.log.append(&group, at(1_000)).is_err() {
            return;
        }
        node.run_until_idle();
    }
}

/// A store that was written soundly so far.
fn sound() -> SimDisk {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    write(&node, 1, SOUND);
    node.close();
    disk
}

/// Opens a sound store, with this fault, and writes to it; gives how many operations of the kind there were.
fn live(disk: &SimDisk, kind: OpKind, fault: Option<(u64, Unfair)>) -> u64 {
    let process = Process::new(disk);
    let sim = process.sim.clone();
    if let Some((n, unfair)) = fault {
        sim.fail(When::Kind(kind, n), Fault::Unfair(unfair));
    }
    if let Ok(node) = process.try_open().expect("it lives") {
        write(&node, SOUND + 1, ALL);
        node.die();
    }
    sim.crash(Unfinished::NotDone);
    disk.trace().iter().filter(|line| line.process == sim.id() && line.op.kind() == kind).count() as u64
}

/// One fault at each operation of the kind; then the process dies, or the power goes; then the store is opened.
fn check(kind: OpKind, unfair: Unfair, expected: &Expect) {
    let count = live(&sound(), kind, None);
    assert!(count > 1, "there are such operations");
    let mut told = Told::default();
    for n in 1..=count {
        for keep in [None, Some(Keep::Nothing), Some(Keep::Everything)] {
            let disk = sound();
            live(&disk, kind, Some((n, unfair)));
            if let Some(keep) = &keep {
                disk.power_cut(keep);
            }
            told.open(&disk, &format!("{unfair:?} at {kind:?} {n}, {keep:?}"));
        }
    }
    expected.assert_eq(&format!("{} found, {} unharmed, {} lost unseen", told.found, told.unharmed, told.lost));
}

impl Told {
    fn open(&mut self, disk: &SimDisk, case: &str) {
        match Process::new(disk).try_open().expect("it lives") {
            Err(error) => {
                assert!(error.to_string().ends_with("[E0104]"), "{case}: {error}");
                self.found += 1;
            }
            Ok(node) => {
                let numbers = node.numbers(1);
                assert!(numbers.iter().copied().eq(1..=numbers.len() as u64), "{case}: {numbers:?}");
                match numbers.len() as u64 {
                    ALL => self.unharmed += 1,
                    _ => self.lost += 1,
                }
            }
        }
    }
}

#[test]
fn a_sync_that_lies_is_harmless_if_an_honest_one_follows_and_else_loses_the_end() {
    check(OpKind::SyncData, Unfair::LyingSync, &expect!["1 found, 82 unharmed, 1 lost unseen"]);
}

#[test]
fn a_sync_that_fails_in_silence_is_found_or_loses_the_end() {
    check(
        OpKind::SyncData,
        Unfair::SilentSync(AfterFailedSync::NewContent),
        &expect!["38 found, 42 unharmed, 4 lost unseen"],
    );
    check(
        OpKind::SyncData,
        Unfair::SilentSync(AfterFailedSync::OldContent),
        &expect!["72 found, 9 unharmed, 3 lost unseen"],
    );
}

#[test]
fn a_write_that_was_not_done_is_found_where_a_frame_stands_behind_it() {
    check(OpKind::Write, Unfair::PhantomWrite, &expect!["72 found, 18 unharmed, 3 lost unseen"]);
}

#[test]
fn a_write_that_went_elsewhere_is_found_where_a_frame_stands_behind_it() {
    check(OpKind::Write, Unfair::MisdirectedWrite(0), &expect!["72 found, 18 unharmed, 3 lost unseen"]);
    check(OpKind::Write, Unfair::MisdirectedWrite(4096), &expect!["69 found, 24 unharmed, 0 lost unseen"]);
    check(OpKind::Write, Unfair::MisdirectedWrite(5000), &expect!["75 found, 18 unharmed, 0 lost unseen"]);
}

#[test]
fn a_stale_read_hides_nothing_that_was_acknowledged() {
    check(OpKind::Read, Unfair::StaleRead, &expect!["0 found, 6 unharmed, 0 lost unseen"]);
}
