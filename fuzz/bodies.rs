//! What the fuzz targets do with their bytes. The stable tests of `durable-testkit` do the same with bytes of proptest's.
//! A target runs by `cargo +nightly fuzz run decode_event`, from the root of the repository.

use durable::codec::frame::{self, Lsn, Place, SegmentNo, StoreId};
use durable::codec::names::Names;
use durable::codec::section::Head;
use durable::codec::segment::SegmentHeader;
use durable::codec::{event, format_file, tables};
use durable::kernel::event::Payload;
use durable::kernel::id::Timestamp;
use durable::payload;
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
        tables::encode(&all, &mut written);
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
