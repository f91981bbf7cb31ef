//! The rules of the log, one test or more each: take the rule out and its test fails. Images are made frame by frame where
//! the rule is about what is read, played on the simulated disk where it is about the order of things.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use durable::codec::frame::{self, Lsn, Place, SegmentNo, StoreId};
use durable::kernel::event::Event;
use durable::kernel::id::{Position, RunNo};
use durable::seams::Entropy;
use durable::store::log::{AppendError, LoadError, OpenError, Report, Rot, RotKind, StoreError};
use durable_testkit::{AfterFailedSync, Fault, Keep, Op, OpKind, Rng, SimDisk, TraceLine, Unfinished, When, errno};
use futures::FutureExt;

use crate::log_fixture::*;

fn rot_of(error: &OpenError) -> (&[Rot], Vec<u64>) {
    match error {
        OpenError::Rot { findings, runs } => (findings, runs.iter().map(|run| run.0).collect()),
        other => panic!("not rot: {other}"),
    }
}

fn rot(segment: u64, offset: u64, what: RotKind) -> Rot {
    Rot { file: segment_path(segment).file_name().unwrap().to_str().unwrap().to_owned(), offset, what }
}

// Rule 1: order.

#[test]
fn a_segments_first_frame_supersedes_what_a_stopped_writer_left() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    // The stopped writer's frame 2 came late: the new owner had copied frame 1 and acknowledged another frame 2.
    image.frame(2, 1, first.crc, &[(signal(1, 1, 666, 0), Some(first.place))]);
    let copy = image.segment(2).copy(&first);
    let second = image.frame(2, 1, copy.crc, &[(signal(1, 1, 2, 0), Some(copy.place))]);
    image.frame(3, 1, second.crc, &[(signal(1, 2, 3, 0), Some(second.place))]);
    assert_eq!(Node::open(&image.disk()).numbers(1), [2, 3]);
}

#[test]
fn frames_of_higher_numbers_are_superseded_too() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let stray = image.frame(2, 1, first.crc, &[(signal(1, 1, 666, 0), Some(first.place))]);
    image.frame(3, 1, stray.crc, &[(signal(1, 2, 667, 0), Some(stray.place))]);
    image.segment(2).copy(&first);
    let node = Node::open(&image.disk());
    assert_eq!(node.numbers(1), [0u64; 0]);
    node.write([group([signal(1, 1, 2, 0)])]);
    assert_eq!(node.numbers(1), [2]);
}

#[test]
fn segments_are_read_by_number_and_not_by_name_or_age() {
    let mut image = Image::new();
    let first = image.segment(9).frame(1, 1, 0, &[(start(1), None)]);
    image.segment(16).frame(2, 1, first.crc, &[(signal(1, 1, 2, 0), Some(first.place))]);
    assert_eq!(Node::open(&image.disk()).numbers(1), [2]);
}

// Rule 2: connect.

#[test]
fn a_segment_that_does_not_go_on_where_the_last_one_ends_is_rot() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let lost = Place { segment: SegmentNo(1), offset: 5000 };
    image.segment(2).frame(3, 1, 77, &[(signal(1, 2, 3, 0), Some(lost))]);
    let error = Process::new(&image.disk()).open_error();
    let found = rot(2, 4096, RotKind::Missing { found: Lsn(3), after: Some(first.header.lsn) });
    assert_eq!(rot_of(&error), (&[found][..], vec![1]));
}

#[test]
fn a_segment_that_follows_by_number_but_not_by_chain_is_rot() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    image.segment(2).frame(2, 1, first.crc ^ 1, &[(signal(1, 1, 2, 0), Some(first.place))]);
    let error = Process::new(&image.disk()).open_error();
    assert_eq!(rot_of(&error).0, [rot(2, 4096, RotKind::Missing { found: Lsn(2), after: Some(Lsn(1)) })]);
}

#[test]
fn a_log_may_begin_anew_at_the_base() {
    let mut image = Image::new();
    image.segment(1).frame(1, 1, 0, &[]);
    let fourth = image.segment(3).frame(4, 4, 77, &[(start(7), None)]);
    image.frame(5, 4, fourth.crc, &[(signal(7, 1, 5, 0), Some(fourth.place))]);
    assert_eq!(Node::open(&image.disk()).numbers(7), [5]);
}

#[test]
fn a_log_that_begins_above_the_base_has_lost_its_begin() {
    let mut image = Image::new();
    image.segment(3).frame(4, 3, 77, &[(start(7), None)]);
    let error = Process::new(&image.disk()).open_error();
    assert_eq!(rot_of(&error).0, [rot(3, 4096, RotKind::Missing { found: Lsn(4), after: None })]);
}

#[test]
fn two_frames_of_one_segment_that_do_not_follow_each_other_are_rot() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let stray = image.frame(3, 1, first.crc, &[]);
    let error = Process::new(&image.disk()).open_error();
    let what = RotKind::Disconnected { found: Lsn(3), after: Lsn(1) };
    assert_eq!(rot_of(&error).0, [rot(1, stray.place.offset, what)]);
}

// Rule 3: tail.

#[test]
fn an_unreadable_end_of_a_segment_is_ignored_and_left_as_it_is() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let torn = image.frame(2, 1, first.crc, &[(signal(1, 1, 666, 300), Some(first.place))]);
    let disk = image.disk();
    disk.flip_bit(segment_path(1), torn.place.offset + 100, 3).unwrap();
    let before = disk.read_file(segment_path(1)).unwrap();
    let node = Node::open(&disk);
    assert_eq!(node.numbers(1), [0u64; 0]);
    node.write([group([signal(1, 1, 2, 0)])]);
    node.die();
    let node = Node::open(&disk);
    assert_eq!(node.numbers(1), [2], "the third open finds a sound store");
    assert_eq!(disk.read_file(segment_path(1)).unwrap(), before);
}

#[test]
fn a_segment_without_a_readable_frame_is_skipped() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    image.segment(2);
    image.segment(3).bytes(&[0xaa; 100]);
    let copy = image.segment(4).copy(&first);
    image.frame(2, 1, copy.crc, &[(signal(1, 1, 2, 0), Some(copy.place))]);
    let disk = image.disk();
    disk.truncate_file(segment_path(2), 0).unwrap();
    assert_eq!(Node::open(&disk).numbers(1), [2]);
}

// Rule 4: rot.

#[test]
fn a_readable_frame_behind_an_unreadable_one_is_rot() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None), (start(2), None)]);
    let second = image.frame(2, 1, first.crc, &[(signal(1, 1, 2, 400), Some(first.place))]);
    let third = image.frame(3, 1, second.crc, &[(signal(1, 2, 3, 0), Some(second.place))]);
    let disk = image.disk();
    disk.flip_bit(segment_path(1), second.place.offset + 200, 0).unwrap();
    let before = disk.read_file(segment_path(1)).unwrap();
    let error = Process::new(&disk).open_error();
    let what = RotKind::Unreadable { readable_at: third.place.offset };
    assert_eq!(rot_of(&error), (&[rot(1, second.place.offset, what)][..], vec![1]));
    assert_eq!(disk.read_file(segment_path(1)).unwrap(), before);
    assert_eq!(segments(&disk), [1], "nothing was written");

    let reader = read_only(&disk);
    assert_eq!(reader.rot().len(), 1);
    assert!(reader.broken().contains(&RunNo(1)));
    let process = Process::new(&disk);
    let loaded = process.run(reader.load(RunNo(2))).unwrap().unwrap();
    assert_eq!(loaded.len(), 1, "the run that is not concerned is served");
    assert!(process.run(reader.load(RunNo(1))).unwrap().is_err());
}

#[test]
fn a_hole_is_rot_also_among_frames_that_were_superseded() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[]);
    let second = image.frame(2, 1, first.crc, &[]);
    image.frame(3, 1, second.crc, &[]);
    image.segment(2).copy(&first);
    let disk = image.disk();
    disk.flip_bit(segment_path(1), second.place.offset + 20, 0).unwrap();
    assert_eq!(rot_of(&Process::new(&disk).open_error()).0.len(), 1);
}

#[test]
fn a_hole_before_the_first_readable_frame_is_rot() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[]);
    let second = image.frame(2, 1, first.crc, &[]);
    let copy = image.segment(2).copy(&second);
    image.frame(3, 1, copy.crc, &[]);
    let disk = image.disk();
    disk.flip_bit(segment_path(2), 4096 + 20, 0).unwrap();
    let error = Process::new(&disk).open_error();
    assert_eq!(rot_of(&error).0, [rot(2, 4096, RotKind::Unreadable { readable_at: 4096 + 48 })]);
}

// Rule 5: place.

#[test]
fn what_another_segment_held_at_this_place_is_noise() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[]);
    let second = image.frame(2, 1, first.crc, &[(start(1), None)]);
    let third = image.frame(3, 1, second.crc, &[(signal(1, 1, 3, 0), Some(second.place))]);
    // Segment 2 stands in a file that held segment 1: a copy of frame 3, a torn frame, and frames of segment 1.
    image.segment(2).copy(&third);
    image.bytes(&[0x11; 64]).bytes(&second.bytes).bytes(&third.bytes);
    assert_eq!(Node::open(&image.disk()).numbers(1), [3]);
}

#[test]
fn what_another_segment_held_at_this_very_byte_is_noise() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[]);
    let second = image.frame(2, 1, first.crc, &[(start(1), None)]);
    let third = image.frame(3, 1, second.crc, &[]);
    image.segment(2).copy(&third);
    image.bytes(&vec![0x11; second.bytes.len()]).bytes(&third.bytes);
    assert_eq!(Node::open(&image.disk()).numbers(1), [0u64; 0]);
}

#[test]
fn a_file_that_was_copied_under_the_next_number_is_damage() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)]), group([signal(1, 1, 2, 0)])]);
    node.die();
    let bytes = disk.read_file(segment_path(1)).unwrap();
    disk.write_file(segment_path(2), &bytes).unwrap();
    let OpenError::Rot { findings, .. } = Process::new(&disk).open_error() else { panic!("it is damage") };
    assert!(
        matches!(&findings[..], [Rot { what: RotKind::Elsewhere { segment: SegmentNo(1), .. }, .. }]),
        "{findings:?}"
    );
    assert_eq!(segments(&disk), [1, 2]);
}

#[test]
fn a_frame_of_another_store_is_noise() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let place = Place { segment: SegmentNo(2), offset: 4096 };
    let mut foreign = Vec::new();
    frame::begin(&mut foreign);
    frame::seal(&mut foreign, first.header, StoreId([9; 16]), place).unwrap();
    image.segment(2).bytes(&foreign);
    assert_eq!(Node::open(&image.disk()).numbers(1), [0u64; 0]);
}

// Rule 6: copy.

/// A process dies between the write and the sync of its last frame: the frame lives in the page cache only.
fn last_frame_in_the_page_cache_only() -> SimDisk {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)]), group([signal(1, 1, 1, 0)])]);
    node.append(&group([signal(1, 2, 2, 0)]));
    node.process.sim.crash_after(node.process.sim.performed() + 1, Unfinished::NotDone);
    node.run_until_idle();
    assert_eq!((node.acknowledged(), node.process.sim.is_dead()), (Position(2), true));
    node.process.spawn.drop_tasks();
    disk
}

#[test]
fn an_open_makes_the_last_frame_durable_before_it_returns() {
    let disk = last_frame_in_the_page_cache_only();
    let node = Node::open(&disk);
    assert_eq!(node.numbers(1), [1, 2], "it was seen");
    disk.power_cut(&Keep::Nothing);
    assert_eq!(Node::open(&disk).numbers(1), [1, 2], "so it is there for ever");
}

#[test]
fn what_is_appended_behind_a_copied_frame_survives_with_it() {
    let disk = last_frame_in_the_page_cache_only();
    let node = Node::open(&disk);
    node.write([group([signal(1, 3, 3, 0)])]);
    assert_eq!(node.acknowledged(), Position(1));
    disk.power_cut(&Keep::Nothing);
    assert_eq!(Node::open(&disk).numbers(1), [1, 2, 3], "the journal leads through the copy, not the original");
}

#[test]
fn a_closed_runs_place_leads_to_the_copy() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    node.append(&group([end(1, 1, 9)]));
    node.process.sim.crash_after(node.process.sim.performed() + 1, Unfinished::NotDone);
    node.run_until_idle();
    node.process.spawn.drop_tasks();
    let node = Node::open(&disk);
    assert_eq!(node.closed_numbers(1), Some(vec![9]));
    let found = node.process.run(node.log.find_closed(&"".into(), &"run-1".into())).unwrap().unwrap().unwrap();
    assert_eq!(found.place, Place { segment: SegmentNo(2), offset: 4096 });
}

#[test]
fn an_empty_frame_is_copied_too_and_a_fresh_log_begins_with_one() {
    let disk = SimDisk::new();
    Node::open(&disk).die();
    Node::open(&disk).die();
    let store = store_id(&disk);
    for number in [1, 2] {
        let place = Place { segment: SegmentNo(number), offset: 4096 };
        let bytes = disk.read_file(segment_path(number)).unwrap();
        let frame = frame::decode(&bytes[4096..], store, place).unwrap();
        assert_eq!((frame.header.lsn, frame.header.chain, frame.body.len()), (Lsn(1), 0, 0), "segment {number}");
    }
}

fn store_id(disk: &SimDisk) -> StoreId {
    durable::codec::format_file::decode(&disk.read_file(path("FORMAT")).unwrap()).unwrap()
}

// Rule 7: base.

#[test]
fn new_frames_carry_the_base_and_frames_below_it_are_ignored() {
    let mut image = Image::new();
    // Below the base: a run that nobody knows any more, in a frame that would not fit.
    image.segment(1).frame(1, 1, 0, &[(signal(5, 9, 9, 0), None)]);
    let second = image.frame(2, 2, image_crc_of_first(), &[(start(1), None)]);
    let disk = image.disk();
    let node = Node::open(&disk);
    assert_eq!(node.numbers(1), [0u64; 0]);
    node.write([group([signal(1, 1, 3, 0)])]);
    let bytes = disk.read_file(segment_path(2)).unwrap();
    let offset = 4096 + frame::stride(second.bytes.len());
    let place = Place { segment: SegmentNo(2), offset };
    let written = frame::decode(&bytes[offset as usize..], STORE, place).unwrap();
    assert_eq!((written.header.lsn, written.header.base), (Lsn(3), Lsn(2)));
}

fn image_crc_of_first() -> u32 {
    Image::new().segment(1).frame(1, 1, 0, &[(signal(5, 9, 9, 0), None)]).crc
}

// Rule 9: acknowledge.

#[test]
fn nothing_is_acknowledged_once_the_lock_is_lost() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    replace_lock(&disk).unwrap();
    node.append(&group([signal(1, 1, 1, 0)]));
    node.run_until_idle();
    assert_eq!(node.acknowledged(), Position(1));
    assert!(matches!(node.poison(), Some(StoreError::LockLost { .. })));
    let before = disk.fingerprint();
    let refused = node.log.append(&group([signal(1, 2, 2, 0)]), at(0));
    assert!(disk.file_names(DIR).unwrap().iter().any(|name| name.starts_with("spare-")), "nothing is removed");
    assert!(matches!(refused, Err(AppendError::Poisoned(StoreError::LockLost { .. }))));
    node.run_until_idle();
    assert_eq!(disk.fingerprint(), before, "nothing more is written");
    assert!(!node.log.accepts_work());
}

#[test]
fn the_lock_is_asked_for_after_the_sync_and_not_only_before() {
    let disk = SimDisk::new();
    let (trapped, switch) = (disk.clone(), Arc::new(AtomicU32::new(0)));
    let armed = Arc::clone(&switch);
    // Syncs: the FORMAT file, the segment, its first frame, the spare ahead, the reserve; then the first batch's.
    let process = Trapped::process(&disk, "sync_data", 6, move || {
        armed.store(1, Ordering::Relaxed);
        replace_lock(&trapped).unwrap();
    });
    let node = process.open();
    node.run_until_idle();
    assert_eq!(switch.load(Ordering::Relaxed), 0);
    node.write([group([start(1)])]);
    assert_eq!(switch.load(Ordering::Relaxed), 1);
    assert_eq!(node.acknowledged(), Position(0));
    assert!(matches!(node.poison(), Some(StoreError::LockLost { .. })));
}

/// A process id that changes, as in a forked child.
#[derive(Debug)]
struct Forking {
    inner: Arc<dyn Entropy>,
    pid: AtomicU32,
}

impl Entropy for Forking {
    fn fill(&self, bytes: &mut [u8]) {
        self.inner.fill(bytes);
    }

    fn pid(&self) -> u32 {
        self.pid.load(Ordering::Relaxed)
    }

    fn host(&self) -> String {
        self.inner.host()
    }

    fn boot_id(&self) -> [u8; 16] {
        self.inner.boot_id()
    }

    fn build_id(&self) -> String {
        self.inner.build_id()
    }
}

#[test]
fn a_forked_child_writes_nothing_and_acknowledges_nothing() {
    let disk = SimDisk::new();
    let mut process = Process::new(&disk);
    let forking = Arc::new(Forking { inner: Arc::clone(&process.entropy), pid: AtomicU32::new(7) });
    process.entropy = forking.clone();
    let node = process.open();
    node.write([group([start(1)])]);
    let before = disk.read_file(segment_path(1)).unwrap();
    forking.pid.store(8, Ordering::Relaxed);
    node.append(&group([signal(1, 1, 1, 0)]));
    node.run_until_idle();
    assert!(matches!(node.poison(), Some(StoreError::Forked { opened: 7, now: 8 })));
    assert_eq!((node.acknowledged(), disk.read_file(segment_path(1)).unwrap()), (Position(1), before));
}

#[test]
fn what_was_acknowledged_survives_any_power_cut() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    let snapshots: Vec<_> = (1..60)
        .map(|no| {
            node.write([group([signal(1, no, no, 300)])]);
            assert_eq!(node.acknowledged(), Position(no + 1));
            (no, disk.snapshot())
        })
        .collect();
    assert!(segments(&disk).len() > 2, "it rolled");
    for (no, snapshot) in snapshots {
        for keep in [Keep::Nothing, Keep::Everything, Keep::Seed(no)] {
            let disk = SimDisk::from_snapshot(&snapshot);
            disk.power_cut(&keep);
            assert_eq!(Node::open(&disk).numbers(1), (1..=no).collect::<Vec<_>>(), "{keep:?}");
        }
    }
}

// Rule 10: open.

#[test]
fn an_open_whose_lock_is_lost_at_its_end_does_not_succeed() {
    let disk = SimDisk::new();
    let trapped = disk.clone();
    // Syncs: the FORMAT file, the segment, and its first frame.
    let process = Trapped::process(&disk, "sync_data", 3, move || replace_lock(&trapped).unwrap());
    assert!(matches!(process.open_error(), OpenError::Store(StoreError::LockLost { .. })));
}

#[test]
fn an_open_whose_lock_is_lost_while_it_reads_makes_no_segment() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    node.die();
    let trapped = disk.clone();
    let process = Trapped::process(&disk, "read", 2, move || replace_lock(&trapped).unwrap());
    assert!(matches!(process.open_error(), OpenError::AlreadyOpen { .. }));
    assert_eq!(segments(&disk), [1]);
}

#[test]
fn of_two_opens_at_once_one_finds_its_segment_taken() {
    let disk = SimDisk::new();
    let (trapped, other) = (disk.clone(), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&other);
    // There is no segment to lock yet, so that a removed lock file lets a second process in. The second link gives the
    // first segment its name (the first one is that of FORMAT).
    let process = Trapped::process(&disk, "link", 2, move || {
        trapped.remove_file(path("LOCK")).unwrap();
        let node = Node::open(&trapped);
        node.write([group([start(1)]), group([signal(1, 1, 1, 0)])]);
        assert_eq!(node.acknowledged(), Position(2));
        *slot.lock().unwrap() = Some(node);
    });
    assert!(matches!(process.open_error(), OpenError::AlreadyOpen { .. }));
    let node = other.lock().unwrap().take().unwrap();
    node.write([group([signal(1, 2, 2, 0)])]);
    assert_eq!((node.acknowledged(), node.numbers(1)), (Position(3), vec![1, 2]));
}

#[test]
fn a_store_in_a_directory_that_someone_else_is_making_lasts() {
    let disk = SimDisk::new();
    let (trapped, other) = (disk.clone(), Arc::new(Mutex::new(None)));
    let slot = Arc::clone(&other);
    // Before the one that made the directory makes it durable, another one has opened a store there.
    let process = Trapped::process(&disk, "sync_dir", 1, move || {
        let node = Node::open(&trapped);
        node.write([group([start(1)]), group([signal(1, 1, 1, 0)])]);
        *slot.lock().unwrap() = Some(node.acknowledged());
        trapped.power_cut(&Keep::Nothing);
    });
    assert!(process.try_open().is_none(), "it died with the power");
    assert_eq!(*other.lock().unwrap(), Some(Position(2)));
    assert_eq!(Node::open(&disk).numbers(1), [1]);
}

#[test]
fn no_segment_of_another_open_is_written_to() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    node.die();
    let before = disk.read_file(segment_path(1)).unwrap();
    let node = Node::open(&disk);
    node.write((1..80).map(|no| group([signal(1, no, no, 200)])));
    assert_eq!(disk.read_file(segment_path(1)).unwrap(), before);
    assert!(segments(&disk).len() > 3);
}

// Rule 11: roll.

#[test]
fn a_roll_whose_number_is_taken_is_final() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    disk.write_file(segment_path(2), b"someone else's").unwrap();
    node.append(&group([start(1)]));
    for no in 1..60 {
        if node.log.append(&group([signal(1, no, no, 300)]), at(0)).is_err() {
            break;
        }
        node.run_until_idle();
    }
    assert!(matches!(node.poison(), Some(StoreError::SegmentTaken { .. })));
    assert_eq!(segments(&disk), [1, 2], "and not the next free number");
    assert_eq!(disk.read_file(segment_path(2)).unwrap(), b"someone else's");
    let acknowledged = node.acknowledged().0;
    disk.remove_file(segment_path(2)).unwrap();
    node.die();
    let numbers = Node::open(&disk).numbers(1);
    assert_eq!(numbers, (1..acknowledged).collect::<Vec<_>>());
}

// Rule 12: spares.

#[test]
fn spares_of_earlier_opens_are_removed() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    let spares = |disk: &SimDisk| {
        let names = disk.file_names(DIR).unwrap();
        names.into_iter().filter(|name| name.starts_with("spare-")).collect::<Vec<_>>()
    };
    let first = spares(&disk);
    assert_eq!(first.len(), 1);
    node.die();
    let node = Node::open(&disk);
    assert!(spares(&disk).iter().all(|name| !first.contains(name)));
    node.run_until_idle();
    node.close();
    assert_eq!(spares(&disk), Vec::<String>::new(), "and a clean close leaves none");
}

#[test]
fn an_end_that_does_not_say_whose_it_is_is_refused_and_leaves_nothing() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.log.append(&group([start(1)]), at(0)).unwrap();
    let mut nameless = end(1, 1, 7);
    nameless.ended = None;
    let refused = node.log.append(&group([nameless]), at(0));
    assert!(matches!(refused, Err(AppendError::Nameless { run: RunNo(1) })), "{refused:?}");
    node.log.append(&group([end(1, 1, 7)]), at(0)).unwrap();
    node.run_until_idle();
    let found = node.process.run(node.log.find_closed(&"".into(), &"run-1".into())).unwrap().unwrap();
    assert_eq!(found.map(|found| found.run), Some(RunNo(1)));
}

#[test]
fn names_that_scratch_files_had_are_removed_and_nothing_that_is_called_alike() {
    let disk = SimDisk::new();
    Node::open(&disk).close();
    let (left, others) = (["scratch-17-3"], ["scratch-notes.txt", "scratch-1", "scratch--2", "scratch-1-2-3"]);
    left.iter().chain(&others).for_each(|name| disk.write_file(path(name), b"").unwrap());
    Node::open(&disk).close();
    let there: Vec<String> =
        disk.file_names(DIR).unwrap().into_iter().filter(|name| name.starts_with("scratch")).collect();
    let mut there: Vec<&str> = there.iter().map(String::as_str).collect();
    let mut others = others.to_vec();
    there.sort_unstable();
    others.sort_unstable();
    assert_eq!(there, others);
}

#[test]
fn a_writer_whose_spare_was_removed_does_not_take_another_number() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    for name in disk.file_names(DIR).unwrap().iter().filter(|name| name.starts_with("spare-")) {
        disk.remove_file(path(name)).unwrap();
    }
    for no in 0..60 {
        let section = if no == 0 { start(1) } else { signal(1, no, no, 300) };
        if node.log.append(&group([section]), at(0)).is_err() {
            break;
        }
        node.run_until_idle();
    }
    assert!(matches!(node.poison(), Some(StoreError::Segment(_))));
    assert_eq!(segments(&disk), [1]);
}

// Rule 13: a finding of rot counts only if the lock is ours.

#[test]
fn rot_that_is_seen_without_the_lock_is_no_rot() {
    let rotten = || {
        let mut image = Image::new();
        image.segment(1).frame(1, 1, 0, &[]);
        image.segment(2).frame(3, 1, 77, &[]);
        image.disk()
    };
    assert!(matches!(Process::new(&rotten()).open_error(), OpenError::Rot { .. }));
    let disk = rotten();
    let trapped = disk.clone();
    let process = Trapped::process(&disk, "read", 3, move || replace_lock(&trapped).unwrap());
    match process.open_error() {
        OpenError::AlreadyOpen { holder: Some(holder), .. } => {
            assert_eq!((holder.pid, holder.host.as_str(), holder.since), (77, "elsewhere", at(5_000_000)));
        }
        other => panic!("{other}"),
    }
}

// Rule 15: a failed write or sync is final.

#[test]
fn a_failed_write_is_final() {
    for fault in [Fault::Errno(errno::EIO), Fault::Errno(errno::ENOSPC), Fault::Kind(io::ErrorKind::QuotaExceeded)] {
        let disk = SimDisk::new();
        let node = Node::open(&disk);
        node.run_until_idle();
        node.write([group([start(1)])]);
        node.process.sim.fail(When::Operation(node.process.sim.performed() + 1), fault);
        node.append(&group([signal(1, 1, 1, 0)]));
        node.run_until_idle();
        assert!(matches!(node.poison(), Some(StoreError::Write(_))));
        assert!(matches!(node.log.append(&group([signal(1, 2, 2, 0)]), at(0)), Err(AppendError::Poisoned(_))));
        node.run_until_idle();
        assert_eq!(node.acknowledged(), Position(1));
        assert!(matches!(node.process.run(node.log.close()).unwrap(), Err(StoreError::Write(_))));
        let node = Node::open(&disk);
        node.write([group([signal(1, 1, 3, 0)])]);
        assert_eq!(node.numbers(1), [3]);
    }
}

#[test]
fn nobody_waits_for_room_in_a_store_that_stands_still() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    node.process.sim.fail(When::Operation(node.process.sim.performed() + 1), Fault::Errno(errno::EIO));
    node.append(&group([start(1)]));
    node.run_until_idle();
    assert!(matches!(node.poison(), Some(StoreError::Write(_))));
    assert_eq!(node.log.queued_bytes(), 0, "nothing is queued that will be written");
}

#[test]
fn a_failed_sync_is_final_and_a_new_open_makes_it_good() {
    for leaves in [AfterFailedSync::NewContent, AfterFailedSync::OldContent] {
        let disk = SimDisk::new();
        let node = Node::open(&disk);
        node.run_until_idle();
        node.write([group([start(1)]), group([signal(1, 1, 1, 0)])]);
        let fails = Fault::SyncFails { errno: errno::EIO, leaves, reached: Keep::Nothing };
        node.process.sim.fail(When::Operation(node.process.sim.performed() + 2), fails);
        node.append(&group([signal(1, 2, 2, 0)]));
        node.run_until_idle();
        assert!(matches!(node.poison(), Some(StoreError::Sync(_))), "{leaves:?}");
        assert_eq!(node.acknowledged(), Position(2));
        let before = syncs(&disk);
        node.run_until_idle();
        assert_eq!(syncs(&disk), before, "no second try");
        // The page cache lies: the next process reads what no disk holds.
        let node = Node::open(&disk);
        let seen = node.numbers(1);
        let next = seen.len() as u64 + 1;
        node.write([group([signal(1, next, 9, 0)])]);
        assert_eq!(node.acknowledged(), Position(1));
        disk.power_cut(&Keep::Nothing);
        assert_eq!(Node::open(&disk).numbers(1), [seen, vec![9]].concat(), "{leaves:?}");
    }
}

#[test]
fn a_short_write_is_continued() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    let next = node.process.sim.performed() + 1;
    node.process.sim.fail(When::Operation(next), Fault::ShortWrite(7));
    node.process.sim.fail(When::Operation(next + 1), Fault::ShortWrite(1));
    node.write([group([start(1)]), group([signal(1, 1, 1, 0)])]);
    assert_eq!((node.acknowledged(), node.poison().is_none()), (Position(2), true));
    disk.power_cut(&Keep::Nothing);
    assert_eq!(Node::open(&disk).numbers(1), [1]);
}

#[test]
fn a_roll_waits_for_space_and_goes_on_by_itself() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    disk.limit_space(disk_bytes(&disk));
    node.write([group([start(1)])]);
    let mut no = 0;
    while node.log.accepts_work() {
        no += 1;
        node.write([group([signal(1, no, no, 600)])]);
        assert!(no < 500, "the disk is full some day");
    }
    assert!(matches!(node.reports.lock().unwrap().last(), Some(Report::NoSpace)));
    let acknowledged = node.acknowledged();
    assert_eq!(acknowledged, Position(no), "the last one waits");
    // Running work is queued, and nothing is acknowledged.
    node.write([group([signal(1, no + 1, no + 1, 600)])]);
    assert_eq!((node.acknowledged(), node.poison().is_none()), (acknowledged, true));
    assert!(node.log.queued_bytes() > 1_000);
    assert!(node.process.clock.advance_to_next());
    node.run_until_idle();
    assert_eq!(node.acknowledged(), acknowledged);
    disk.unlimit_space();
    assert!(node.process.clock.advance_to_next());
    node.run_until_idle();
    assert_eq!(node.acknowledged(), Position(no + 2));
    assert!(node.reports.lock().unwrap().iter().any(|report| matches!(report, Report::SpaceAgain)));
    assert!(node.log.accepts_work());
    disk.power_cut(&Keep::Nothing);
    assert_eq!(Node::open(&disk).numbers(1), (1..=no + 1).collect::<Vec<_>>());
}

fn disk_bytes(disk: &SimDisk) -> u64 {
    let names = disk.file_names(DIR).unwrap();
    names.iter().map(|name| disk.read_file(path(name)).unwrap().len() as u64).sum()
}

#[test]
fn a_full_disk_still_lets_the_log_close() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    disk.limit_space(disk_bytes(&disk));
    node.write([group([start(1)])]);
    let mut no = 0;
    while node.log.accepts_work() {
        no += 1;
        node.write([group([signal(1, no, no, 600)])]);
    }
    node.close();
    disk.unlimit_space();
    let node = Node::open(&disk);
    assert_eq!(node.numbers(1), (1..=no).collect::<Vec<_>>());
    assert!(node.recovered.is_clean);
}

#[test]
fn a_stop_is_heard_while_the_log_waits_for_space() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    disk.limit_space(disk_bytes(&disk));
    node.write([group([start(1)])]);
    let mut no = 0;
    while node.log.accepts_work() {
        no += 1;
        node.write([group([signal(1, no, no, 600)])]);
    }
    node.process.run(node.log.stop()).expect("it ends");
    disk.unlimit_space();
    assert_eq!(Node::open(&disk).numbers(1), (1..no).collect::<Vec<_>>(), "what waited is not written");
}

// Readers in other processes.

#[test]
fn a_reader_trusts_what_has_a_frame_behind_it_and_an_empty_end() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)]), group([signal(1, 1, 1, 0)])]);
    assert_eq!(read_only(&disk).tables().open[&RunNo(1)].next.0, 1, "the last frame may not be synced");
    node.log.idle();
    node.run_until_idle();
    assert_eq!(read_only(&disk).tables().open[&RunNo(1)].next.0, 2);
    let before = disk.fingerprint();
    node.log.idle();
    node.run_until_idle();
    assert_eq!(disk.fingerprint(), before, "a second empty frame would say nothing");
    node.close();
    let reader = read_only(&disk);
    assert!(reader.is_clean());
    let process = Process::new(&disk);
    assert_eq!(process.run(reader.load(RunNo(1))).unwrap().unwrap().len(), 2);
}

// Journals.

#[test]
fn a_gap_is_an_error_and_never_a_shorter_journal() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)]), group([signal(1, 1, 1, 0)]), group([signal(1, 2, 2, 0)])]);
    let whole = disk.read_file(segment_path(1)).unwrap();
    // The frame of event 1, by its payload's only place in the file.
    let at_byte = whole.windows(8).position(|bytes| bytes == 1u64.to_le_bytes()).unwrap();
    for byte in (4096..whole.len() as u64).filter(|byte| (*byte).abs_diff(at_byte as u64) < 4 || byte % 97 == 0) {
        disk.flip_bit(segment_path(1), byte, 5).unwrap();
        match node.process.run(node.log.load(RunNo(1))).unwrap() {
            Ok(journal) => assert_eq!(journal.len(), 3, "byte {byte}"),
            Err(LoadError::Unreadable { run, file, .. }) => {
                assert_eq!((run, file.as_str()), (RunNo(1), "0000000000000001.seg"));
            }
            Err(other) => panic!("{other}"),
        }
        disk.flip_bit(segment_path(1), byte, 5).unwrap();
    }
    assert_eq!(node.numbers(1), [1, 2]);
}

#[test]
fn a_journal_is_loaded_up_to_what_was_appended_before_the_call() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.append(&group([start(1), signal(1, 1, 1, 0)]));
    let mut load = Box::pin(node.log.load(RunNo(1)));
    assert!((&mut load).now_or_never().is_none(), "it is not written yet");
    node.append(&group([signal(1, 2, 2, 0)]));
    let journal = node.process.run(load).unwrap().unwrap();
    assert_eq!(journal.iter().filter_map(|(_, _, event)| number_in(event)).collect::<Vec<_>>(), [1]);
    assert_eq!(node.numbers(1), [1, 2]);
    assert!(matches!(node.process.run(node.log.load(RunNo(9))).unwrap(), Err(LoadError::NotOpen { run: RunNo(9) })));
}

#[test]
fn a_group_that_does_not_fit_its_journal_is_refused_whole() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    let wrong = [
        group([signal(1, 2, 0, 0)]),
        group([signal(1, 0, 0, 0)]),
        group([start(1)]),
        group([signal(2, 1, 0, 0)]),
        group([signal(1, 1, 0, 0), signal(1, 3, 0, 0)]),
        group([start(3), signal(3, 2, 0, 0)]),
    ];
    for group in wrong {
        let refused = node.log.append(&group, at(0));
        assert!(matches!(refused, Err(AppendError::OutOfOrder { .. })), "{group:?}");
    }
    let huge = group([signal(1, 1, 0, 17 << 20)]);
    assert!(matches!(node.log.append(&huge, at(0)), Err(AppendError::TooLarge { .. })));
    node.write([group([signal(1, 1, 1, 0), start(3)]), group([end(1, 2, 2)])]);
    assert!(matches!(node.log.append(&group([signal(1, 3, 0, 0)]), at(0)), Err(AppendError::OutOfOrder { .. })));
    assert_eq!((node.acknowledged(), node.closed_numbers(1)), (Position(3), Some(vec![1, 2])));
    node.die();
    let node = Node::open(&disk);
    assert_eq!((node.numbers(3), node.closed_numbers(1)), (vec![], Some(vec![1, 2])));
}

// Close, stop, checkpoints.

#[test]
fn only_a_close_as_the_last_event_is_clean() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    assert!(node.recovered.is_clean, "nothing can have run in a fresh store");
    node.write([group([start(1)])]);
    node.close();
    let node = Node::open(&disk);
    assert!(node.recovered.is_clean);
    node.process.run(node.log.stop()).unwrap();
    let node = Node::open(&disk);
    assert!(node.recovered.is_clean, "nothing was appended since");
    let opened = Event::Opened { build: "b".into(), pid: 1, host: "h".into() };
    node.write([group([section_of(0, 0, vec![opened])])]);
    node.die();
    assert!(!Node::open(&disk).recovered.is_clean);
}

#[test]
fn a_stop_drops_what_is_queued_and_frees_the_lock() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    node.append(&group([signal(1, 1, 666, 0)]));
    node.process.run(node.log.stop()).expect("it ends");
    assert!(matches!(
        node.log.append(&group([signal(1, 1, 1, 0)]), at(0)),
        Err(AppendError::Poisoned(StoreError::Stopped))
    ));
    assert_eq!(Node::open(&disk).numbers(1), [0u64; 0]);
}

#[test]
fn a_dropped_writer_leaves_a_store_that_stands_still() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    node.process.spawn.drop_tasks();
    assert!(matches!(node.poison(), Some(StoreError::WriterGone)));
    assert!(node.process.run(node.log.close()).expect("it ends").is_err());
    assert_eq!(Node::open(&disk).numbers(1), [0u64; 0]);
}

#[test]
fn a_listener_that_panics_leaves_a_store_that_stands_still() {
    let disk = SimDisk::new();
    let process = Process::new(&disk);
    let mut options = options(&Arc::default());
    options.listener = Arc::new(|_| panic!("the listener's own fault"));
    let node = process.open_with(options, Arc::default()).unwrap().unwrap();
    node.append(&group([start(1)]));
    let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.run_until_idle()));
    assert!(ran.is_err());
    assert!(matches!(node.log.append(&group([start(2)]), at(0)), Err(AppendError::Poisoned(StoreError::WriterGone))));
    assert_eq!(Node::open(&disk).numbers(1), [0u64; 0], "and the lock is free");
}

#[test]
fn a_checkpoint_says_what_the_whole_log_says() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1), start(2)]), group([signal(1, 1, 1, 0)]), group([end(2, 1, 7)])]);
    let tables = fold_of(&disk);
    node.log.checkpoint(&tables).unwrap();
    node.write([group([signal(1, 2, 2, 0)]), group([start(3)])]);
    node.die();
    let with = Node::open(&disk);
    assert_eq!(
        (with.numbers(1), with.closed_numbers(2)),
        (vec![1, 2], Some(vec![7])),
        "closed before it, found by a scan"
    );
    assert_eq!(with.closed_numbers(1), None);
    with.die();
    // The events before the checkpoint are not read at open: one there that nobody can read does not matter to it.
    let again = Node::open(&disk);
    assert_eq!(again.recovered.tables, with.recovered.tables);
    assert_eq!(again.recovered.tables.open.keys().map(|run| run.0).collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn a_checkpoint_takes_no_position() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    let runs = many_blocked_runs(&node);
    node.log.checkpoint(&fold_of(&disk)).unwrap();
    node.run_until_idle();
    assert_eq!(node.log.durable(), Position(runs), "who appends counts its groups, and no part of a checkpoint");
    assert_eq!(node.append(&group([start(900)])), Position(runs + 1));
    assert_eq!(node.log.durable(), Position(runs), "what is queued is not durable");
    node.run_until_idle();
    assert_eq!(node.log.durable(), Position(runs + 1));
}

#[test]
fn nobody_is_told_of_a_closed_run_before_its_end_is_durable() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.run_until_idle();
    node.append(&group([start(1), end(1, 1, 7)]));
    let fails = Fault::SyncFails { errno: errno::EIO, leaves: AfterFailedSync::NewContent, reached: Keep::Nothing };
    node.process.sim.fail(When::Operation(node.process.sim.performed() + 2), fails);
    let (namespace, id) = ("".into(), "run-1".into());
    let found = node.process.run(node.log.find_closed(&namespace, &id)).unwrap();
    assert!(
        matches!(found, Err(LoadError::Poisoned(StoreError::Sync(_)))),
        "it was written, and not synced: {found:?}"
    );
    node.die();
    disk.power_cut(&Keep::Nothing);
    assert_eq!(Node::open(&disk).closed_numbers(1), None);
}

#[test]
fn events_before_a_checkpoint_are_not_read_again() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    node.write((1..60).map(|no| group([signal(1, no, no, 400)])));
    node.log.checkpoint(&fold_of(&disk)).unwrap();
    node.write([group([signal(1, 60, 60, 0)])]);
    node.die();
    let node = Node::open_keeping(&disk, 0);
    assert_eq!(times_opened(&node, 1), 1, "once, for the chain");
    assert_eq!(node.numbers(1), (1..=60).collect::<Vec<_>>());
}

#[test]
fn a_segment_that_is_kept_is_read_from_the_disk_once() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)]), group([signal(1, 1, 1, 400)])]);
    node.die();
    let times = |kept| {
        let node = Node::open_keeping(&disk, kept);
        let times = times_opened(&node, 1);
        node.die();
        times
    };
    // To lock it, for the chain, for the fold, and for the copy of its last frame.
    assert_eq!(times(0), 4);
    // The open before this one has begun a segment with that copy, and this one folds the first anew.
    assert_eq!(times(1 << 20), 1);
}

/// Longer frames than a stretch, ends of processes, checkpoints, and damage of any kind: what is found does not depend on how a segment is read.
#[test]
fn a_segment_says_the_same_in_stretches_of_any_size() {
    let mut refused = 0;
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let disk = large_segments(&mut rng);
        for _ in 0..rng.below(3) {
            damage(&disk, &mut rng);
        }
        let found: Vec<_> = [1 << 20, 4096, 4104, 6144, 20_000].map(|bytes| found_in_stretches(&disk, bytes)).into();
        assert!(found.iter().all(|other| *other == found[0]), "seed {seed}: {found:#?}");
        refused += u32::from(found[0].starts_with("Err"));
    }
    assert!((10..50).contains(&refused), "of 60 damaged and sound stores, {refused} were refused");
}

/// What an open finds that looks at so many bytes at once.
fn found_in_stretches(disk: &SimDisk, bytes: usize) -> String {
    let disk = SimDisk::from_snapshot(&disk.snapshot());
    let opened = Process::new(&disk).open_in_stretches_of(bytes);
    format!("{:?}", opened.map(|node| (node.recovered.clone(), (1..=3).map(|run| node.loads(run)).collect::<Vec<_>>())))
}

/// A log of segments that hold many frames, written by three processes that died.
fn large_segments(rng: &mut Rng) -> SimDisk {
    let (disk, mut events) = (SimDisk::new(), [0; 3]);
    for _ in 0..3 {
        let node = Process::new(&disk).open_in_stretches_of(1 << 20).unwrap();
        for _ in 0..rng.below(25) {
            let run = rng.index(3);
            let (no, bytes) = (events[run], if rng.percent(25) { rng.index(9_000) } else { rng.index(400) });
            events[run] += 1;
            let number = run as u64 + 1;
            let section = if no == 0 { start(number) } else { signal(number, no, no, bytes) };
            node.write([group([section])]);
            if rng.percent(8) {
                node.log.checkpoint(&fold_of(&disk)).unwrap();
                node.run_until_idle();
            }
        }
        node.die();
    }
    disk
}

/// Some bytes of a segment are otherwise, or missing.
fn damage(disk: &SimDisk, rng: &mut Rng) {
    let numbers = segments(disk);
    let of = segment_path(numbers[rng.index(numbers.len())]);
    let mut bytes = disk.read_file(&of).unwrap();
    let from = rng.index(bytes.len());
    let to = (from + rng.index(9_000)).min(bytes.len());
    match rng.below(5) {
        0 => bytes[from] ^= 1 << rng.below(8),
        1 => bytes[from..to].fill(0),
        2 => bytes[from..to].fill(0x5a),
        3 => bytes.truncate(from),
        _ => bytes = disk.read_file(segment_path(numbers[0])).unwrap(),
    }
    disk.write_file(&of, &bytes).unwrap();
}

#[test]
fn zeros_over_several_stretches_with_frames_behind_them_are_rot() {
    let mut image = Image::new();
    let mut last = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let mut puts = Vec::new();
    for no in 1..40 {
        last = image.frame(no + 1, 1, last.crc, &[(signal(1, no, no, 1_000), Some(last.place))]);
        puts.push(last.clone());
    }
    let (from, to) = (puts[10].place.offset, puts[35].place.offset);
    let disk = image.disk();
    let mut bytes = disk.read_file(segment_path(1)).unwrap();
    bytes[from as usize..to as usize].fill(0);
    disk.write_file(segment_path(1), &bytes).unwrap();
    for stretch in [4096, 6144, 1 << 20] {
        let copy = SimDisk::from_snapshot(&disk.snapshot());
        let opened = Process::new(&copy).open_in_stretches_of(stretch);
        let Err(error) = opened else { panic!("it opens in stretches of {stretch}") };
        assert_eq!(rot_of(&error).0, [rot(1, from, RotKind::Unreadable { readable_at: to })], "{stretch}");
    }
}

#[test]
fn what_was_never_written_is_read_in_stretches_too() {
    let disk = SimDisk::new();
    let node = Process::new(&disk).open_in_stretches_of(1 << 20).unwrap();
    node.write([group([start(1)])]);
    node.write((1..70).map(|no| group([signal(1, no, no, 500)])));
    node.die();
    let node = Process::new(&disk).open_in_stretches_of(8192).unwrap();
    let lens = read_lens(&node);
    let stretches = lens.iter().filter(|len| **len == 8192).count();
    assert!(stretches > 2 * 35_000 / 8192, "once for the chain and once for the fold: {lens:?}");
    assert!(lens.iter().all(|len| *len <= 8192), "nor is the end, where nothing was written: {lens:?}");
}

/// How much a node asked for in each of its reads.
fn read_lens(node: &Node) -> Vec<usize> {
    let (trace, id) = (node.process.sim.disk().trace(), node.process.sim.id());
    let asked = |line: &TraceLine| if let Op::Read { len, .. } = line.op { Some(len) } else { None };
    trace.iter().filter(|line| line.process == id).filter_map(|line| asked(line)).collect()
}

/// How often a node has opened a segment's file.
fn times_opened(node: &Node, segment: u64) -> usize {
    let (trace, id) = (node.process.sim.disk().trace(), node.process.sim.id());
    let name = segment_path(segment).file_name().unwrap().to_str().unwrap().to_owned();
    let opens = |line: &TraceLine| matches!(&line.op, Op::Open { name: opened, .. } if *opened == name);
    trace.iter().filter(|line| line.process == id && opens(line)).count()
}

/// Runs whose tables take more than one part of a checkpoint.
fn many_blocked_runs(node: &Node) -> u64 {
    let reason: String = "r".repeat(4_000);
    let blocked = |run| {
        let event = Event::RunBlocked { build: "b".into(), reason: reason.as_str().into() };
        section_of(run, 1, vec![event])
    };
    node.write((1..=400).map(|run| group([start(run), blocked(run)])));
    400
}

fn syncs(disk: &SimDisk) -> u32 {
    disk.trace().iter().filter(|line| line.op.kind() == OpKind::SyncData).count() as u32
}

#[test]
fn a_checkpoint_in_parts_counts_when_its_last_part_is_there() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    let runs = many_blocked_runs(&node);
    let (tables, first_sync) = (fold_of(&disk), syncs(&disk));
    node.log.checkpoint(&tables).unwrap();
    node.run_until_idle();
    let last_sync = syncs(&disk);
    let parts = disk.trace().iter().filter(|line| matches!(line.op, Op::Write { len, .. } if len > 500_000)).count();
    assert!(parts >= 2, "in {parts} parts");
    node.die();
    let whole = Node::open_keeping(&disk, 0);
    assert_eq!((whole.recovered.tables.clone(), times_opened(&whole, 1)), (tables.clone(), 1));
    assert_eq!(whole.recovered.tables.open.len() as u64, runs);

    // A power cut at each sync on the way: the log itself says the same as long as a part is missing.
    let mut counts = Vec::new();
    for nth in first_sync + 1..=last_sync {
        let (disk, cut) = (SimDisk::new(), Arc::new(Mutex::new(None)));
        let (trapped, slot) = (disk.clone(), Arc::clone(&cut));
        let process = Trapped::process(&disk, "sync_data", nth, move || {
            let image = SimDisk::from_snapshot(&trapped.snapshot());
            image.power_cut(&Keep::Nothing);
            *slot.lock().unwrap() = Some(image);
        });
        let node = process.open();
        many_blocked_runs(&node);
        node.log.checkpoint(&tables).unwrap();
        node.run_until_idle();
        let image = cut.lock().unwrap().take().expect("the trap was sprung");
        let found = Node::open_keeping(&image, 0);
        assert_eq!(found.recovered.tables, tables, "before sync {nth}");
        counts.push(times_opened(&found, 1) == 1);
    }
    assert!(counts.is_sorted() && counts.starts_with(&[false, false, false]), "{counts:?}");
}

/// The tables as an open finds them, without leaving a trace.
fn fold_of(disk: &SimDisk) -> durable::kernel::tables::Tables {
    let copy = SimDisk::from_snapshot(&disk.snapshot());
    copy.power_cut(&Keep::Everything);
    Node::open(&copy).recovered.tables.clone()
}

#[test]
fn a_checkpoint_of_other_tables_is_refused() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    let tables = fold_of(&disk);
    node.write([group([signal(1, 1, 1, 0)])]);
    assert!(matches!(node.log.checkpoint(&tables), Err(AppendError::WrongTables { run: RunNo(1) })));
    node.write([group([start(2)])]);
    assert!(node.log.checkpoint(&fold_of(&disk)).is_ok());
}

#[test]
fn a_second_opener_learns_who_has_the_store() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    let before = disk.fingerprint();
    match Process::new(&disk).open_error() {
        OpenError::AlreadyOpen { holder: Some(holder), .. } => {
            assert_eq!((holder.pid, holder.host.as_str()), (node.process.entropy.pid(), "sim"));
            assert_eq!(holder.since, at(1_700_000_000_000_000));
        }
        other => panic!("{other}"),
    }
    assert_eq!(disk.fingerprint(), before, "not a byte is written by the loser");
    disk.remove_file(path("LOCK")).unwrap();
    assert!(
        matches!(Process::new(&disk).open_error(), OpenError::AlreadyOpen { .. }),
        "the newest segment is locked too"
    );
    node.die();
    Node::open(&disk);
}
