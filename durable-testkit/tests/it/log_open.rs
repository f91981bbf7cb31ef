//! What an open must do besides recovering: stay durable below directories that someone else is making, notice what is not there at a second
//! reading, and tell what is the matter by its right name.

use std::sync::Arc;

use durable::kernel::event::{Event, RunStarted};
use durable::kernel::id::{Position, RunNo};
use durable::store::log::{OpenError, Options, StoreError};
use durable_testkit::{Fault, Keep, SimDisk, Unfinished, When, errno};

use crate::log_fixture::*;

/// The process that made the directories died before it had made the upper one durable.
#[test]
fn a_store_below_a_directory_whose_maker_died_lasts() {
    const DEEP: &str = "/a/b/store";
    let opened = |disk: &SimDisk, dies_after: Option<u64>| {
        let process = Process::new(disk);
        if let Some(after) = dies_after {
            process.sim.crash_after(after, Unfinished::NotDone);
        }
        let reports = Arc::default();
        process.open_with(Options { dir: DEEP.into(), ..options(&reports) }, reports)
    };
    let mut gone = Vec::new();
    for after in 0.. {
        let disk = SimDisk::new();
        if opened(&disk, Some(after)).is_some() {
            break;
        }
        let died_before = disk.newest().map(|line| line.to_string());
        let node = opened(&disk, None).unwrap().unwrap();
        node.write([group([start(1)]), group([signal(1, 1, 1, 0)])]);
        assert_eq!(node.acknowledged(), Position(2));
        disk.power_cut(&Keep::Nothing);
        if opened(&disk, None).unwrap().unwrap().recovered.tables.open.is_empty() {
            gone.push((after, died_before));
        }
    }
    assert!(gone.is_empty(), "the store is gone if its maker died after so many operations, the last: {gone:#?}");
}

/// What is folded is read anew where it is not kept; what has become unreadable meanwhile is never left out.
#[test]
fn a_frame_that_is_not_there_when_it_is_folded_is_missed() {
    let sound = SimDisk::new();
    let node = Node::open(&sound);
    node.write([group([start(1)]), group([signal(1, 1, 1, 0)]), group([start(2)])]);
    assert_eq!(node.acknowledged(), Position(3));
    node.die();
    let bytes = sound.read_file(segment_path(1)).unwrap();
    // The frame that holds the signal, the third one.
    let mut frame_at = 4096;
    for _ in 0..2 {
        let len = u32::from_le_bytes(bytes[frame_at + 4..frame_at + 8].try_into().unwrap()) as usize;
        frame_at += len.next_multiple_of(8);
    }
    let mut wrong = Vec::new();
    for nth in 1..8 {
        let disk = SimDisk::from_snapshot(&sound.snapshot());
        disk.power_cut(&Keep::Everything);
        let trapped = disk.clone();
        let process = Trapped::process(&disk, "read", nth, move || {
            trapped.flip_bit(segment_path(1), frame_at as u64 + 50, 0).unwrap();
        });
        let reports = Arc::default();
        let mut options = options(&reports);
        options.sizes.frame_cache_bytes = 0;
        if let Ok(node) = process.open_with(options, reports).unwrap() {
            let next = node.recovered.tables.open.values().next().map(|entry| entry.next.0);
            if next != Some(2) {
                let taken = node.log.append(&group([signal(1, 1, 666, 0)]), at(0)).is_ok();
                node.run_until_idle();
                // It was the reading that was wrong, and not the disk.
                disk.flip_bit(segment_path(1), frame_at as u64 + 50, 0).unwrap();
                node.die();
                wrong.push((nth, next, taken, Process::new(&disk).open_error().to_string()));
            }
        }
    }
    assert!(wrong.is_empty(), "before read, next event of run 1, takes event 1 again: {wrong:?}");
}

/// A file that tidying was about to remove is gone already: its maker has removed it, as every maker does.
#[test]
fn an_open_is_not_refused_because_a_maker_tidied_up_after_itself() {
    for left in ["FORMAT.new-00000000000000aa", "spare-00000000000000aa"] {
        let disk = SimDisk::new();
        Node::open(&disk).close();
        disk.write_file(path(left), b"").unwrap();
        let trapped = disk.clone();
        let process = Trapped::process(&disk, "remove", 1, move || trapped.remove_file(path(left)).unwrap());
        let opened = process.try_open().unwrap();
        assert!(opened.is_ok(), "{left}: {}", opened.err().unwrap());
    }
}

/// A reader does not tell of an end that may still be lost.
#[test]
fn a_reader_that_looks_through_the_whole_log_trusts_no_frame_that_nothing_proves() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)]), group([end(1, 1, 1)])]);
    let copy = SimDisk::from_snapshot(&disk.snapshot());
    copy.power_cut(&Keep::Everything);
    node.log.checkpoint(&Node::open(&copy).recovered.tables).unwrap();
    node.run_until_idle();
    // A second run of the id, as a child may be; its end is written, and its sync fails.
    let again = RunStarted { id: "run-1".into(), workflow: "flow".into(), ..RunStarted::default() };
    node.write([group([section_of(2, 0, vec![Event::RunStarted(Box::new(again))])])]);
    node.process.sim.fail(When::Operation(node.process.sim.performed() + 2), Fault::Errno(errno::EIO));
    node.append(&group([end(2, 1, 2)]));
    node.run_until_idle();
    assert!(matches!(node.poison(), Some(StoreError::Sync(_))));
    let reader = read_only(&disk);
    assert_eq!(reader.tables().open.len(), 1, "the second run is open");
    let process = Process::new(&disk);
    let found = process.run(reader.find_closed(&"".into(), &"run-1".into())).unwrap().unwrap();
    let told = found.map(|found| found.run);
    node.die();
    disk.power_cut(&Keep::Nothing);
    assert!(Node::open(&disk).recovered.tables.open.contains_key(&RunNo(2)), "and stays so");
    assert_eq!(told, Some(RunNo(1)), "the closed run that a reader was told of");
}

/// An open whose LOCK is removed behind its first check names nobody, above all not itself.
#[test]
fn an_open_whose_lock_file_is_removed_does_not_name_itself() {
    for nth in [1, 2] {
        let disk = SimDisk::new();
        let node = Node::open(&disk);
        node.write([group([start(1)])]);
        node.close();
        let trapped = disk.clone();
        // Syncs: the new segment, and the copy in it.
        let process = Trapped::process(&disk, "sync_data", nth, move || trapped.remove_file(path("LOCK")).unwrap());
        // Nobody else has made a segment: nobody is named.
        assert!(matches!(process.open_error(), OpenError::Store(StoreError::LockLost { .. })), "sync {nth}");
    }
}

/// A disk that fails from some operation on is a disk that fails, and not a store that someone has open.
#[test]
fn a_disk_that_fails_for_good_while_a_store_is_opened_is_named() {
    let sound = SimDisk::new();
    let node = Node::open(&sound);
    node.write([group([start(1)])]);
    node.close();
    let mut wrong = Vec::new();
    for from in 1.. {
        let disk = SimDisk::from_snapshot(&sound.snapshot());
        let process = Process::new(&disk);
        process.sim.fail(When::From(from), Fault::Errno(errno::EIO));
        match process.try_open().unwrap() {
            Ok(_) => break,
            Err(OpenError::Disk(_)) => {}
            Err(other) => wrong.push((from, other.to_string())),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An opener that was stopped behind its look at the lock tidies away what the next one is making.
#[test]
fn an_open_whose_new_segment_is_tidied_away_makes_another() {
    let disk = SimDisk::new();
    Node::open(&disk).close();
    let trapped = disk.clone();
    let process = Trapped::process(&disk, "link", 1, move || {
        let names = trapped.file_names(DIR).unwrap();
        let spare = names.into_iter().find(|name| name.starts_with("spare-")).unwrap();
        trapped.remove_file(path(&spare)).unwrap();
    });
    let opened = process.try_open().unwrap();
    assert!(opened.is_ok(), "{}", opened.err().unwrap());
}
