//! Loading the journals of many runs whose sections share frames: how often the disk is read for it.

use durable::kernel::id::RunNo;
use durable::store::log::SegmentSizes;
use durable_testkit::{Fault, Op, OpKind, SimDisk, When, errno};

use crate::log_fixture::*;

const RUNS: u64 = 200;
const FRAMES: u64 = 10;

/// Every frame holds a section of every run.
fn shared_frames() -> SimDisk {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group((1..=RUNS).map(start))]);
    node.write((1..FRAMES).map(|no| group((1..=RUNS).map(|run| signal(run, no, run * 100 + no, 200)))));
    node.die();
    disk
}

/// How many times, and how many bytes, are read while `act` runs.
fn reads(disk: &SimDisk, act: impl FnOnce()) -> (usize, usize) {
    let before = disk.trace().len();
    act();
    let trace = disk.trace();
    let lens = trace.iter().skip(before).filter_map(|line| match line.op {
        Op::Read { len, .. } => Some(len),
        _ => None,
    });
    lens.fold((0, 0), |(times, bytes), len| (times + 1, bytes + len))
}

fn load_all(node: &Node) {
    for run in 1..=RUNS {
        assert_eq!(node.numbers(run), (1..FRAMES).map(|no| run * 100 + no).collect::<Vec<_>>());
    }
}

#[test]
fn a_frame_that_many_runs_share_is_read_once() {
    let disk = shared_frames();
    let log_bytes: usize = segments(&disk).iter().map(|n| disk.read_file(segment_path(*n)).unwrap().len()).sum();
    let node = Node::open_keeping(&disk, 64 << 20);
    let (times, bytes) = reads(&disk, || load_all(&node));
    assert!(times <= 2 * FRAMES as usize, "{times} reads");
    assert!(bytes <= 2 * log_bytes, "{bytes} bytes of {log_bytes}");
    assert_eq!(reads(&disk, || load_all(&node)), (0, 0), "and not again");
}

#[test]
fn loads_at_the_same_time_read_a_frame_once() {
    let disk = shared_frames();
    let node = Node::open_keeping(&disk, 64 << 20);
    let (times, _) = reads(&disk, || {
        let loads = (1..=RUNS).map(|run| node.log.load(RunNo(run)));
        let loaded = node.process.run(futures::future::join_all(loads)).unwrap();
        assert!(loaded.iter().all(|journal| journal.as_ref().unwrap().len() == FRAMES as usize));
    });
    assert!(times <= 2 * FRAMES as usize, "{times} reads");
}

#[test]
fn without_room_every_load_reads_and_finds_the_same() {
    let disk = shared_frames();
    let node = Node::open_keeping(&disk, 0);
    let (times, _) = reads(&disk, || load_all(&node));
    assert!(times >= (RUNS * FRAMES) as usize, "{times} reads");
}

#[test]
fn a_frame_that_was_spoilt_is_not_kept_and_one_that_was_kept_is_still_whole() {
    let disk = shared_frames();
    let node = Node::open_keeping(&disk, 64 << 20);
    let place = durable::codec::frame::Place { segment: durable::codec::frame::SegmentNo(1), offset: 4096 };
    assert_eq!(disk.flip_bit(segment_path(1), place.offset + 60, 1).ok(), Some(()));
    // The first frame is empty: every store begins with one. The second one is spoilt too.
    let found = disk.flip_bit(segment_path(2), place.offset + 100, 1);
    assert!(found.is_ok());
    let failed = |run| node.process.run(node.log.load(RunNo(run))).unwrap().is_err();
    assert!(failed(1) && failed(2), "what is not whole is found out each time");
    disk.flip_bit(segment_path(2), place.offset + 100, 1).unwrap();
    disk.flip_bit(segment_path(1), place.offset + 60, 1).unwrap();
    load_all(&node);
    disk.flip_bit(segment_path(2), place.offset + 100, 1).unwrap();
    load_all(&node);
}

/// How many events the one run has that wrote alone.
const ALONE: u64 = 600;

/// Opens the log with segments that hold all that a run alone writes.
fn open_roomy(disk: &SimDisk) -> Node {
    let reports = std::sync::Arc::default();
    let mut options = options(&reports);
    options.sizes.segments = SegmentSizes { bytes_min: 1 << 20, bytes_max: 1 << 20 };
    Process::new(disk).open_with(options, reports).unwrap().unwrap()
}

/// One run's journal lies together, each event in a frame of its own.
fn together() -> SimDisk {
    let disk = SimDisk::new();
    let node = open_roomy(&disk);
    node.write([group([start(1)])]);
    node.write((1..ALONE).map(|no| group([signal(1, no, no, 100)])));
    node.die();
    disk
}

#[test]
fn a_journal_that_lies_together_is_read_in_a_few_stretches_and_no_part_of_it_twice() {
    let disk = together();
    let node = open_roomy(&disk);
    let mut found = Vec::new();
    let (times, bytes) = reads(&disk, || found = node.numbers(1));
    assert_eq!(found, (1..ALONE).collect::<Vec<_>>());
    let least = ALONE as usize * 150;
    assert!(times <= 8, "{times} reads");
    // The copy of the newest frame, and that frame before it, are read with what follows them, which is nothing.
    assert!((least..2 * least).contains(&bytes), "{bytes} bytes");
}

#[test]
fn where_a_stretch_cannot_be_read_each_frame_is_read_by_itself() {
    let disk = together();
    let in_open = |node: &Node| {
        let trace = disk.trace();
        let mine = trace.iter().filter(|line| line.process == node.process.sim.id());
        mine.filter(|line| matches!(line.op, Op::Read { .. })).count() as u64
    };
    let mut failed = 0;
    for nth in 1..=4 {
        let node = open_roomy(&disk);
        let read = in_open(&node);
        node.process.sim.fail(When::Kind(OpKind::Read, read + nth), Fault::Errno(errno::EIO));
        match node.process.run(node.log.load(RunNo(1))).unwrap() {
            Ok(journal) => assert_eq!(journal.len() as u64, ALONE),
            Err(_) => failed += 1,
        }
        node.die();
    }
    assert_eq!(failed, 2, "of the copy of the newest frame, and of the frame before it, nothing else was read");
}
