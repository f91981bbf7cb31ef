//! The small store of `docs/journal-format.md`: the document shows the bytes that the codec writes.

use std::fmt::Write;
use std::sync::Arc;

use durable::codec::frame::{self, Header, Lsn, Place, SegmentNo, StoreId};
use durable::codec::names::Names;
use durable::codec::segment::SegmentHeader;
use durable::codec::{format_file, hash, section};
use durable::kernel::event::*;
use durable::kernel::id::*;
use durable::kernel::short::Short;

const DOCUMENT: &str = include_str!("../../../../docs/journal-format.md");

const STORE: StoreId = StoreId([0, 17, 34, 51, 68, 85, 102, 119, 136, 153, 170, 187, 204, 221, 238, 255]);
const AT: Timestamp = Timestamp(1_700_000_000_000_000);
const RUN: RunId = RunId([1, 139, 207, 229, 104, 0, 112, 1, 130, 3, 4, 5, 6, 7, 8, 9]);

fn segment_header() -> Vec<u8> {
    let header = SegmentHeader {
        format: format_file::FORMAT,
        revision: format_file::REVISION,
        store: STORE,
        segment: SegmentNo(1),
        pid: 4242,
        boot_id: [7; 16],
        opened_at: AT,
        host: "box".into(),
        build: "b1".into(),
    };
    header.encode()
}

/// A segment while it is written.
struct Segment {
    bytes: Vec<u8>,
    lsn: Lsn,
    chain: u32,
}

impl Segment {
    /// Appends a frame and gives its place.
    fn frame(&mut self, at: Timestamp, body: &[u8]) -> Place {
        let place = Place { segment: SegmentNo(1), offset: self.bytes.len() as u64 };
        let mut whole = Vec::new();
        frame::begin(&mut whole);
        whole.extend_from_slice(body);
        let header = Header { lsn: self.lsn, base: Lsn(1), at, chain: self.chain };
        self.chain = frame::seal(&mut whole, header, STORE, place).unwrap();
        self.lsn = self.lsn.next();
        whole.resize(whole.len().next_multiple_of(8), 0);
        self.bytes.extend(whole);
        place
    }
}

fn opened() -> Section {
    let events = vec![Event::Opened { build: "b1".into(), pid: 4242, host: "box".into() }];
    Section::of(RunNo(0), EventNo(0), AT, events)
}

fn started(at: Timestamp) -> Section {
    let started = RunStarted {
        run: RUN,
        id: "order-42".into(),
        workflow: "checkout".into(),
        version: 1,
        input: b"\x01\x81\xa5total\x07".to_vec().into(),
        value: Digest(0x0807_0605_0403_0201),
        shape: Digest(0x1817_1615_1413_1211),
        build: "b1".into(),
        semantics: 1,
        seed: *b"seedseedseedseed",
        salt: *b"saltsaltsaltsalt",
        ..RunStarted::default()
    };
    let call = ActivityScheduled {
        seq: Seq(1),
        name: "charge".into(),
        value: Digest(0x2827_2625_2423_2221),
        shape: Digest(0x3837_3635_3433_3231),
        binding: Binding::default(),
        undo: UndoBits { undo: true, ..UndoBits::default() },
        undoes: None,
        input: None,
    };
    let turn = Event::Turn { of: EventNo(0), entries: vec![Entry::ActivityScheduled(Arc::new(call))].into() };
    Section::of(RunNo(1), EventNo(0), at, vec![Event::RunStarted(Box::new(started)), turn])
}

fn ended(at: Timestamp) -> Section {
    let completed = Event::ActivityCompleted {
        seq: Seq(1),
        attempt: Attempt(1),
        began: Timestamp(at.0 - 700),
        result: b"\x01\x2a".to_vec().into(),
    };
    let ended = RunEnded {
        how: End::Completed,
        body: End::Completed,
        result: b"\x01\x2a".to_vec().into(),
        undone: Undone::default(),
        actor: Text::default(),
        reason: Text::default(),
    };
    let turn = Event::Turn { of: EventNo(2), entries: Short::NOTHING };
    Section::of(RunNo(1), EventNo(2), at, vec![completed, turn, Event::RunEnded(Box::new(ended))])
}

/// The only segment of the store.
fn segment() -> Vec<u8> {
    let (mut store_names, mut names) = (Names::new(), Names::new());
    let mut segment = Segment { bytes: segment_header(), lsn: Lsn(1), chain: 0 };
    segment.frame(AT, &[]);
    let mut body = Vec::new();
    section::encode(&opened(), None, AT, &mut store_names, &mut body);
    segment.frame(AT, &body);

    let at = Timestamp(AT.0 + 1_000_000);
    let mut body = Vec::new();
    section::encode(&started(Timestamp(at.0 + 50)), None, at, &mut names, &mut body);
    let place = segment.frame(at, &body);

    let at = Timestamp(AT.0 + 1_002_000);
    let mut body = Vec::new();
    section::encode(&ended(at), Some(place), at, &mut names, &mut body);
    segment.frame(at, &body);
    segment.bytes
}

/// Sixteen bytes a line, behind their offset; lines of zeros are left out.
fn dump(bytes: &[u8]) -> String {
    let mut lines = String::new();
    for (number, line) in bytes.chunks(16).enumerate().filter(|(_, line)| line.iter().any(|byte| *byte != 0)) {
        let words: Vec<String> = line.chunks(4).map(|word| word.iter().map(|b| format!("{b:02x}")).collect()).collect();
        writeln!(lines, "{:06x}  {}", number * 16, words.join(" ")).unwrap();
    }
    lines
}

#[test]
fn the_document_shows_the_bytes_of_the_small_store() {
    let segment = segment();
    let shown = dump(&segment);
    assert!(DOCUMENT.contains(&format_file::encode(STORE)), "the FORMAT text is not in the document");
    assert!(DOCUMENT.contains(&shown), "the document lacks these bytes:\n{shown}");
}

#[test]
fn the_document_names_every_kind_with_its_number() {
    for (kind, name) in durable::codec::kind::ALL {
        let cell = format!("| {kind:#06x} | `{name}` |");
        assert!(DOCUMENT.contains(&cell), "the document lacks {cell}");
    }
}

#[test]
fn the_document_shows_a_key_and_an_id_as_they_are_made() {
    let key = hash::idempotency_key(RUN, "charge", Digest(0x2827_2625_2423_2221), 0);
    assert!(DOCUMENT.contains(&key), "the document lacks the idempotency key {key}");
    let id: String = hash::id_hash(&STORE.0, "", "order-42").iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(DOCUMENT.contains(&id), "the document lacks the hash of the id {id}");
}
