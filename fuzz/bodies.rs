//! What the fuzz targets do with their bytes. The stable tests of `durable-testkit` do the same with bytes of proptest's.
//! A target runs by `cargo +nightly fuzz run decode_event`, from the root of the repository.

use std::sync::Arc;

use durable::codec::frame::{self, Lsn, Place, SegmentNo, StoreId};
use durable::codec::names::Names;
use durable::codec::section::{self, Head};
use durable::codec::segment::{self, SegmentHeader};
use durable::codec::{event, format_file, tables};
use durable::kernel::event::{Event, Payload, RunStarted, Section, Sender};
use durable::kernel::id::{EventNo, RunNo, Timestamp};
use durable::kernel::tables::{AllTables, Tables};
use durable::payload;
use durable::seams::Seams;
use durable::store::log::{self, OpenError, Options, SegmentSizes};
use durable_testkit::{InlineSpawn, ManualClock, Op, SeededEntropy, SimDisk, Unfinished};
use serde_json::Value;

const AT: Timestamp = Timestamp(1_700_000_000_000_000);

/// Events, one behind the other: what can be read is written and read again as it was.
pub(super) fn decode_event(mut bytes: &[u8]) {
    let (mut names, mut names_again) = (Names::new(), Names::new());
    while let Ok(Some(event)) = event::decode(&mut bytes, AT, &mut names) {
        let mut written = Vec::new();
        let mut names_written = names_again.clone();
        event::encode(&event, AT, &mut names_written, &mut written);
        let again = event::decode(&mut &*written, AT, &mut names_again);
        assert_eq!(again, Ok(Some(event)));
        assert_eq!(names_again, names_written);
        assert_eq!(names_again, names);
    }
}

/// A section: reading it, looking at it and stepping over it end at the same place.
pub(super) fn decode_section(mut bytes: &[u8]) {
    let Ok(head) = Head::decode(&mut bytes, AT) else { return };
    let (mut read, mut looked_at, mut stepped_over) = (bytes, bytes, bytes);
    let events = head.events(&mut read, &mut Names::new());
    let raw = head.raw_events(&mut looked_at);
    assert_eq!(raw.is_ok(), head.skip_events(&mut stepped_over).is_ok());
    if let (Ok(events), Ok(raw)) = (events, raw) {
        assert_eq!((read.len(), looked_at.len()), (stepped_over.len(), stepped_over.len()));
        assert!(events.len() <= raw.len());
    }
}

/// A frame, a segment's header, the `FORMAT` text; and the bytes as a frame's body, in which no bit may be changed.
pub(super) fn decode_frame(bytes: &[u8]) {
    let (store, place) = (StoreId([3; 16]), Place { segment: SegmentNo(2), offset: 4096 });
    let _ = frame::decode(bytes, store, place);
    let _ = frame::guess_body(bytes);
    let _ = SegmentHeader::decode(bytes);
    let _ = format_file::decode(bytes);

    let header = frame::Header { lsn: Lsn(9), base: Lsn(4), at: AT, chain: 7 };
    let mut whole = Vec::new();
    frame::begin(&mut whole);
    whole.extend_from_slice(bytes);
    let crc = frame::seal(&mut whole, header, store, place).expect("a short body fits into a frame");
    let read = frame::decode(&whole, store, place).expect("what was sealed can be read");
    assert_eq!((read.header, read.crc, read.body), (header, crc, bytes));
    let bit = crc as usize % (8 * whole.len());
    whole[bit / 8] ^= 1 << (bit % 8);
    assert!(frame::decode(&whole, store, place).is_err(), "bit {bit} was changed unseen");
}

/// Tables, and a table of names: what can be read is written and read again as it was.
pub(super) fn decode_tables(bytes: &[u8]) {
    if let Ok(all) = tables::decode(bytes) {
        let mut written = Vec::new();
        tables::encode(&AllTables::of(&[&all]), &mut written);
        assert_eq!(tables::decode(&written), Ok(all));
    }
    if let Ok(names) = Names::decode(&mut &*bytes) {
        let mut written = Vec::new();
        names.encode(&mut written);
        assert_eq!(Names::decode(&mut &*written), Ok(names));
    }
}

/// A payload, as several types and as tools show it; its header is written again as it was.
pub(super) fn decode_payload(bytes: &[u8]) {
    let payload = Payload::from(bytes.to_vec());
    if let Ok(header) = payload::header(&payload)
        && let Ok(again) = header.encode()
    {
        assert_eq!(payload::header(&again), Ok(header));
    }
    let _ = payload::decode::<Vec<Option<String>>>(&payload);
    let _ = payload::decode::<(u64, f64, char, Result<bool, i128>)>(&payload);
    let _ = payload::decode::<Value>(&payload);
    let _ = payload::to_json(&payload);
}

/// A value: its digest is that of the value read back from either codec, and the shape does not hang on the values.
pub(super) fn digest(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else { return };
    let salt = [7; 16];
    let digests = payload::digest(&salt, &value).expect("a value of JSON refuses nothing");
    assert_eq!(payload::digest(&salt, &Value::Null).map(|(_, shape)| shape), Ok(digests.1));
    for codec in [payload::PayloadCodec::MessagePack, payload::PayloadCodec::Json] {
        let Ok(written) = payload::encode(codec, &value) else { continue };
        let back: Value = payload::decode(&written).expect("what was written can be read");
        assert_eq!(payload::digest(&salt, &back), Ok(digests));
    }
}

const STORE_DIR: &str = "/store";
const STORE_ID: StoreId = StoreId([3; 16]);

/// A store's directory out of arbitrary bytes, whole frames with arbitrary bodies and whole journals, some of it spoilt
/// afterwards: opening it never panics, reads no more than is there, and says the same a second time.
pub(super) fn recover(bytes: &[u8]) {
    let disk = Directory::default().fill(bytes).disk();
    read_only(&disk);
    let first = open(&disk);
    let second = open(&disk);
    match (first, second) {
        (Ok(first), Ok(second)) => assert_eq!(second, first),
        // An open that finds no fault and fails for another cause may leave a segment behind.
        (Err(first), Err(second)) => assert_eq!(second.to_string(), first.to_string()),
        (first, second) => panic!("first {first:?}, then {second:?}"),
    }
    read_only(&disk);
    let bytes = disk.file_names(STORE_DIR).expect("it is there");
    let bytes: usize =
        bytes.iter().map(|name| disk.read_file(format!("{STORE_DIR}/{name}")).map_or(0, |b| b.len())).sum();
    let longest =
        disk.trace().iter().filter_map(|line| if let Op::Read { len, .. } = line.op { Some(len) } else { None }).max();
    assert!(longest.unwrap_or_default() <= bytes.max(16 << 10), "{longest:?} of {bytes} bytes at once");
}

/// What an open finds; the process dies behind it.
fn open(disk: &SimDisk) -> Result<Tables, OpenError> {
    let (process, spawn) = (disk.process(), InlineSpawn::in_order());
    let seams = Seams {
        clock: Arc::new(ManualClock::new(AT)),
        entropy: Arc::new(SeededEntropy::new(u64::from(process.id().0))),
        spawn: Arc::new(spawn.clone()),
    };
    let mut options = Options::new(STORE_DIR, Arc::new(|_| {}));
    options.sizes.segments = SegmentSizes { bytes_min: 8192, bytes_max: 16384 };
    options.sizes.reserve_bytes = 0;
    let opened = spawn.run(log::open(Arc::new(process.clone()), seams, options), || false).expect("it ends");
    let found = opened.map(|(log, _writer, recovered)| {
        for run in recovered.tables.open.keys() {
            let _either_way = spawn.run(log.load(run), || false).expect("it ends");
        }
        let _either_way = spawn.run(log.find_closed(&"".into(), &"id".into()), || false).expect("it ends");
        recovered.tables
    });
    process.crash(Unfinished::NotDone);
    spawn.drop_tasks();
    found
}

fn read_only(disk: &SimDisk) {
    let spawn = InlineSpawn::in_order();
    let Ok(log) = spawn.run(log::open_read_only(Arc::new(disk.process()), STORE_DIR), || false).expect("it ends")
    else {
        return;
    };
    for run in log.tables().open.keys() {
        let _either_way = spawn.run(log.load(run), || false).expect("it ends");
    }
    let _either_way = spawn.run(log.find_closed(&"".into(), &"id".into()), || false).expect("it ends");
}

/// The segments of a store, while they are put together.
#[derive(Default)]
struct Directory {
    segments: Vec<(u64, Vec<u8>)>,
    last: Option<(frame::Header, u32)>,
    /// Where the one run's newest events stand, and how many it has.
    run: Option<(Place, u64)>,
}

impl Directory {
    /// Each step is a byte that says what, a length, and so many bytes.
    fn fill(mut self, mut bytes: &[u8]) -> Directory {
        while let [what, len, rest @ ..] = bytes {
            let (content, after) = rest.split_at(rest.len().min(usize::from(*len)));
            bytes = after;
            match what % 8 {
                0 => self.begin(content),
                1 => self.put(content),
                2 | 3 => {
                    self.frame(content.to_vec());
                }
                4 | 5 => self.journal(content),
                6 => self.odd_frame(content),
                _ => self.spoil(content),
            }
        }
        self
    }

    fn begin(&mut self, content: &[u8]) {
        let before = self.segments.last().map_or(0, |(number, _)| *number);
        let number = match content.first() {
            None | Some(0..200) => before.saturating_add(1),
            Some(200..250) => 7,
            Some(250..) => u64::MAX,
        };
        let mut header = content.to_vec();
        header.resize(segment::HEADER_BYTES, 0);
        self.segments.push((number, header));
    }

    /// The end of the newest segment.
    fn end(&mut self) -> (Place, &mut Vec<u8>) {
        if self.segments.is_empty() {
            self.begin(&[]);
        }
        let (number, bytes) = self.segments.last_mut().expect("because one was begun");
        (Place { segment: SegmentNo(*number), offset: bytes.len() as u64 }, bytes)
    }

    fn put(&mut self, bytes: &[u8]) {
        let (_, segment) = self.end();
        segment.extend_from_slice(bytes);
        segment.resize(segment.len().next_multiple_of(8), 0);
    }

    /// A frame that follows the last one.
    fn frame(&mut self, body: Vec<u8>) -> Place {
        let (lsn, chain) = self.last.map_or((Lsn::FIRST, 0), |(last, crc)| (last.lsn.next(), crc));
        self.sealed(frame::Header { lsn, base: Lsn::FIRST, at: AT, chain }, body)
    }

    /// A frame whose numbers are arbitrary.
    fn odd_frame(&mut self, content: &[u8]) {
        let number = |at| content.get(at).map_or(0, |byte: &u8| u64::from(*byte).wrapping_sub(1));
        let chain = self.last.map_or(0, |(_, crc)| crc);
        let header = frame::Header { lsn: Lsn(number(0)), base: Lsn(number(1)), at: AT, chain };
        self.sealed(header, content.to_vec());
    }

    fn sealed(&mut self, header: frame::Header, body: Vec<u8>) -> Place {
        let (place, _) = self.end();
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        bytes.extend_from_slice(&body);
        let crc = frame::seal(&mut bytes, header, STORE_ID, place).expect("a short body fits into a frame");
        self.last = Some((header, crc));
        self.put(&bytes);
        place
    }

    /// A frame in which the run's journal goes on.
    fn journal(&mut self, content: &[u8]) {
        let (prev, next) = self.run.map_or((None, 0), |(place, next)| (Some(place), next));
        let event = match next {
            0 => Event::RunStarted(Box::new(RunStarted { id: "id".into(), ..RunStarted::default() })),
            _ => {
                Event::SignalReceived { name: "n".into(), payload: content.to_vec().into(), sender: Sender::Anonymous }
            }
        };
        let section = Section::of(RunNo(1), EventNo(next), AT, vec![event]);
        let mut body = Vec::new();
        section::encode(&section, prev, AT, &mut Names::new(), &mut body);
        let place = self.frame(body);
        self.run = Some((place, next + 1));
    }

    /// Changes a byte, or cuts a segment.
    fn spoil(&mut self, content: &[u8]) {
        let [which, high, low, how, ..] = *content else { return };
        let count = self.segments.len().max(1);
        let Some((_, bytes)) = self.segments.get_mut(usize::from(which) % count) else { return };
        let at = usize::from(u16::from_le_bytes([low, high])) % bytes.len().max(1);
        match how {
            0 => bytes.truncate(at),
            how => bytes.get_mut(at).into_iter().for_each(|byte| *byte ^= how),
        }
    }

    fn disk(&self) -> SimDisk {
        let disk = SimDisk::new();
        let file =
            |name: &str, bytes: &[u8]| disk.write_file(format!("{STORE_DIR}/{name}"), bytes).expect("it takes files");
        file("FORMAT", format_file::encode(STORE_ID).as_bytes());
        file("LOCK", b"");
        for (number, bytes) in &self.segments {
            file(&segment::name(SegmentNo(*number)), bytes);
        }
        disk
    }
}
