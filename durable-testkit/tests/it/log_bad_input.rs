//! What an open does with a directory that is not what it should be: it says so, with the name of what is wrong, and
//! changes nothing.

use std::path::Path;

use durable::codec::frame::{Lsn, SegmentNo, StoreId};
use durable::kernel::id::RunNo;
use durable::store::log::{OpenError, Rot, RotKind};
use durable_testkit::{Fault, Keep, OpKind, SimDisk, When, errno};

use crate::log_fixture::*;

fn refused(disk: &SimDisk) -> OpenError {
    let before = disk.fingerprint();
    let error = Process::new(disk).open_error();
    assert_eq!(disk.fingerprint(), before, "nothing is touched: {error}");
    error
}

#[test]
fn a_store_of_another_format_is_refused_by_name_before_anything_is_touched() {
    let disk = SimDisk::new();
    Node::open(&disk).close();
    for (text, format, revision) in [
        ("durable\nformat 1\nrevision 9\n", 1, 9),
        ("durable\nformat 0\nrevision 2\n", 0, 2),
        ("durable\nformat 0\nrevision 4\n", 0, 4),
    ] {
        disk.write_file(path("FORMAT"), text.as_bytes()).unwrap();
        let error = refused(&disk);
        assert!(matches!(&error, OpenError::Format { format: f, revision: r, .. } if (*f, *r) == (format, revision)));
        assert!(error.to_string().contains(&format!("format {format}, revision {revision}")), "{error}");
        assert!(error.to_string().ends_with("[E0102]"));
    }
}

#[test]
fn a_directory_that_holds_something_else_is_not_a_store() {
    let disk = SimDisk::new();
    disk.write_file(path("photo.jpg"), b"not ours").unwrap();
    let error = refused(&disk);
    assert!(error.to_string().contains("photo.jpg") && error.to_string().ends_with("[E0101]"), "{error}");

    let disk = SimDisk::new();
    Node::open(&disk).close();
    disk.remove_file(path("FORMAT")).unwrap();
    assert!(matches!(refused(&disk), OpenError::NotAStore { .. }), "also if it holds a log");

    disk.write_file(path("FORMAT"), b"some text").unwrap();
    assert!(matches!(refused(&disk), OpenError::NotAStore { .. }));
}

#[test]
fn what_is_left_of_the_making_of_a_store_does_not_stop_another_try() {
    let disk = SimDisk::new();
    disk.write_file(path("FORMAT.new-0123456789abcdef"), b"dura").unwrap();
    Node::open(&disk).close();
    assert!(disk.file_names(DIR).unwrap().iter().all(|name| !name.starts_with("FORMAT.new-")));
}

#[test]
fn a_missing_directory_is_made_with_what_is_above_it_and_stays() {
    let disk = SimDisk::new();
    let process = Process::new(&disk);
    let reports = std::sync::Arc::default();
    let mut options = options(&reports);
    options.dir = Path::new("/a/b/c").into();
    let node = process.open_with(options, reports).unwrap().unwrap();
    node.write([group([start(1)])]);
    disk.power_cut(&Keep::Nothing);
    assert!(disk.file_names("/a/b/c").unwrap().contains(&"FORMAT".to_owned()));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1)])]);
    node.close();
    disk.make_read_only();
    match refused(&disk) {
        OpenError::Disk(fault) => assert_eq!(fault.file, "LOCK"),
        other => panic!("{other}"),
    }
    assert_eq!(read_only(&disk).tables().open.len(), 1, "it can be read");
}

#[test]
fn a_missing_store_is_not_made_by_a_reader() {
    let disk = SimDisk::new();
    let process = Process::new(&disk);
    let opened = process.run(durable::store::log::open_read_only(process.disk.clone(), DIR)).unwrap();
    assert!(matches!(opened, Err(OpenError::Disk(_))));
    assert!(disk.file_names(DIR).is_err());
}

#[test]
fn a_full_disk_refuses_an_open_and_leaves_nothing_behind() {
    let disk = SimDisk::new();
    Node::open(&disk).close();
    let before = disk.file_names(DIR).unwrap();
    let process = Process::new(&disk);
    process.sim.fail(When::KindFrom(OpKind::Write, 1), Fault::Errno(errno::ENOSPC));
    let error = process.open_error();
    assert!(matches!(error, OpenError::NoSpace(_)), "{error}");
    assert!(error.to_string().ends_with("[E0105]"));
    assert_eq!(disk.file_names(DIR).unwrap(), before);
}

/// A log of a few segments, of which each test breaks something.
fn sound() -> SimDisk {
    let disk = SimDisk::new();
    let node = Node::open(&disk);
    node.write([group([start(1), start(2)])]);
    node.write((1..30).map(|no| group([signal(1, no, no, 500)])));
    node.write([group([signal(2, 1, 1, 0)])]);
    node.close();
    assert!(segments(&disk).len() >= 3);
    disk
}

#[test]
fn a_truncated_segment_is_rot_unless_it_is_the_last_one() {
    let disk = sound();
    let middle = segments(&disk)[1];
    disk.truncate_file(segment_path(middle), 6000).unwrap();
    match refused(&disk) {
        OpenError::Rot { findings, runs } => {
            assert_eq!(findings[0].file, segment_path(middle + 1).file_name().unwrap().to_str().unwrap());
            assert_eq!(findings[0].offset, 4096);
            assert!(matches!(findings[0].what, RotKind::Missing { .. }));
            assert_eq!(runs, [RunNo(1)]);
        }
        other => panic!("{other}"),
    }
    // A torn end of the last one cannot be told from a crash.
    let disk = sound();
    let last = *segments(&disk).last().unwrap();
    disk.truncate_file(segment_path(last), 4096 + 60).unwrap();
    Node::open(&disk);
}

#[test]
fn a_missing_segment_is_rot() {
    for which in 0..2 {
        let disk = sound();
        let missing = segments(&disk)[which];
        disk.remove_file(segment_path(missing)).unwrap();
        let error = refused(&disk);
        assert!(matches!(&error, OpenError::Rot { .. }), "segment {missing}: {error}");
        assert!(error.to_string().ends_with("[E0104]"));
    }
}

#[test]
fn swapped_segments_are_rot_and_never_another_story() {
    let disk = sound();
    let [one, two] = [segments(&disk)[0], segments(&disk)[1]];
    let bytes = disk.read_file(segment_path(one)).unwrap();
    disk.rename_file(segment_path(two), segment_path(one)).unwrap();
    disk.write_file(segment_path(two), &bytes).unwrap();
    assert_eq!(elsewhere(&disk).iter().map(|found| found.1.0).collect::<Vec<_>>(), [two, one]);
}

/// The segments that say of themselves that they belong elsewhere, as an open tells them: to which store, and as which.
fn elsewhere(disk: &SimDisk) -> Vec<(StoreId, SegmentNo)> {
    let OpenError::Rot { findings, .. } = refused(disk) else { panic!("it is damaged") };
    assert_eq!(read_only(disk).rot(), findings, "a reader says the same");
    let place = |found: &Rot| match found.what {
        RotKind::Elsewhere { store, segment, .. } => Some((store, segment)),
        RotKind::Unreadable { .. } | RotKind::Disconnected { .. } | RotKind::Missing { .. } => None,
    };
    findings.iter().filter_map(place).collect()
}

#[test]
fn a_last_segment_that_was_renamed_is_rot_and_no_torn_end() {
    let disk = sound();
    let last = *segments(&disk).last().unwrap();
    disk.rename_file(segment_path(last), segment_path(last + 1)).unwrap();
    assert_eq!(elsewhere(&disk).iter().map(|found| found.1.0).collect::<Vec<_>>(), [last]);
    assert!(refused(&disk).to_string().contains("give it that name"));
}

#[test]
fn a_changed_store_id_is_rot_and_no_empty_store() {
    let disk = sound();
    let store = read_only(&disk).store();
    let text = disk.read_file(path("FORMAT")).unwrap();
    let digit = text.len() as u64 - 5;
    disk.flip_bit(path("FORMAT"), digit, 0).unwrap();
    let of = elsewhere(&disk);
    assert_eq!(of, segments(&disk).iter().map(|number| (store, SegmentNo(*number))).collect::<Vec<_>>());
    assert!(refused(&disk).to_string().contains(&format!("was written for store {store}, and FORMAT names store")));
    disk.write_file(path("FORMAT"), &text).unwrap();
    Node::open(&disk);
}

#[test]
fn every_flipped_bit_of_a_log_is_found_or_without_effect() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let second = image.frame(2, 1, first.crc, &[(signal(1, 1, 1, 0), Some(first.place))]);
    let third = image.frame(3, 1, second.crc, &[(signal(1, 2, 2, 0), Some(second.place))]);
    let copy = image.segment(2).copy(&third);
    image.frame(4, 1, copy.crc, &[(signal(1, 3, 3, 0), Some(copy.place))]);
    let disk = image.disk();
    let whole = disk.snapshot();
    let (mut rot, mut tail, mut same) = (0, 0, 0);
    for segment in [1, 2] {
        let len = disk.read_file(segment_path(segment)).unwrap().len() as u64;
        // Every byte where the frames are, and some of the header and of the zeros behind.
        for byte in (0..len).filter(|byte| (4096..4700).contains(byte) || byte % 127 == 0) {
            let disk = SimDisk::from_snapshot(&whole);
            disk.flip_bit(segment_path(segment), byte, (byte % 8) as u8).unwrap();
            match Process::new(&disk).try_open().unwrap() {
                Err(OpenError::Rot { findings, .. }) => {
                    let (name, found) = (segment_path(segment), &findings[0]);
                    assert!(name.ends_with(&found.file), "segment {segment}, byte {byte}: {found}");
                    assert!(found.offset <= byte && byte < found.offset + 300, "byte {byte}: {found}");
                    rot += 1;
                }
                Err(other) => panic!("segment {segment}, byte {byte}: {other}"),
                Ok(node) => match node.numbers(1)[..] {
                    [1, 2, 3] => same += 1,
                    // The last frame of all: it cannot be told from a torn end.
                    [1, 2] => tail += 1,
                    ref other => panic!("segment {segment}, byte {byte}: {other:?}"),
                },
            }
        }
    }
    assert!(rot > 250 && tail > 50 && same > 500, "{rot} {tail} {same}");
}

#[test]
fn a_rotten_store_is_served_as_far_as_it_is_whole() {
    let disk = sound();
    let middle = segments(&disk)[1];
    disk.flip_bit(segment_path(middle), 4096 + 200, 1).unwrap();
    let error = refused(&disk);
    assert!(matches!(&error, OpenError::Rot { runs, .. } if runs.contains(&RunNo(1))), "{error}");
    let reader = read_only(&disk);
    assert!(reader.broken().contains(&RunNo(1)));
    let process = Process::new(&disk);
    assert!(process.run(reader.load(RunNo(1))).unwrap().is_err());
    assert_eq!(process.run(reader.load(RunNo(2))).unwrap().unwrap().len(), 2);
}

#[test]
fn a_recycled_looking_tail_is_ignored() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    let old: Vec<u8> = (0..40).flat_map(|n| image_frame(n, first.crc)).collect();
    image.segment(2).copy(&first);
    image.bytes(&[0x77; 24]).bytes(&old);
    assert_eq!(Node::open(&image.disk()).numbers(1), [0u64; 0]);
}

/// A frame that is whole, of another segment.
fn image_frame(lsn: u64, chain: u32) -> Vec<u8> {
    let mut other = Image::new();
    other.segment(9).frame(lsn + 2, 1, chain, &[]).bytes
}

#[test]
fn an_event_that_only_a_newer_build_knows_is_refused_by_name() {
    let mut image = Image::new();
    // A section of run 1 with one event of kind 0xfff0 that may not be stepped over.
    let body = [&[1, 0, 0, 0, 1][..], &[0xf0, 0xff, 1, 0, 0]].concat();
    let header = durable::codec::frame::Header { lsn: Lsn(1), base: Lsn(1), at: at(0), chain: 0 };
    image.segment(1).put(header, body);
    let error = refused(&image.disk());
    assert!(matches!(&error, OpenError::Undecodable { offset: 4096, .. }));
    assert!(error.to_string().contains("0xfff0") && error.to_string().ends_with("[E0107]"), "{error}");
}

#[test]
fn an_event_that_may_be_stepped_over_keeps_its_number() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    // Run 1, first event 1, before it segment 1 at byte 4096, one event of kind 0xfff0 with the flag.
    let body = [&[1, 1, 1, 0x80, 0x04, 0, 1][..], &[0xf0, 0xff, 1, 1, 0]].concat();
    let header = durable::codec::frame::Header { lsn: Lsn(2), base: Lsn(1), at: at(0), chain: first.crc };
    image.put(header, body);
    let node = Node::open(&image.disk());
    node.write([group([signal(1, 2, 2, 0)])]);
    let journal = node.process.run(node.log.load(RunNo(1))).unwrap().unwrap();
    assert_eq!(journal.iter().map(|(no, _, _)| no.0).collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn a_whole_frame_that_does_not_fit_its_journal_is_refused() {
    let mut image = Image::new();
    let first = image.segment(1).frame(1, 1, 0, &[(start(1), None)]);
    image.frame(2, 1, first.crc, &[(signal(1, 2, 2, 0), Some(first.place))]);
    let error = refused(&image.disk());
    assert!(matches!(error, OpenError::Gap { run: RunNo(1), .. }), "{error}");
    assert!(error.to_string().ends_with("[E0108]"));
}
