//! What stands before a value.

use durable::kernel::event::Payload;
use durable::kernel::id::{RunId, Seq};
use durable::payload::{Header, PayloadCodec, PayloadError, Transform, decode, encode, header, with_origin};

const RUN: RunId = RunId(*b"0123456789abcdef");

#[test]
fn a_payload_is_one_byte_longer_than_its_value() {
    let plain = |codec| encode(codec, &7u8).unwrap().0.to_vec();
    assert_eq!(plain(PayloadCodec::MessagePack), [1, 7]);
    assert_eq!(plain(PayloadCodec::Json), [2, b'7']);
    assert_eq!(encode(PayloadCodec::Raw, b"ab").unwrap().0.to_vec(), [3, b'a', b'b']);
}

#[test]
fn an_origin_is_written_once_and_changes_no_value() {
    let payload = encode(PayloadCodec::MessagePack, "value").unwrap();
    let sent = with_origin(&payload, RUN, Seq(300)).unwrap();
    assert_eq!(sent.len(), payload.len() + 20);
    assert_eq!(header(&sent).unwrap().origin, Some((RUN, Seq(300))));
    assert_eq!(decode::<String>(&sent).unwrap(), "value");
    assert_eq!(with_origin(&sent, RunId::default(), Seq(1)).unwrap(), sent);
}

#[test]
fn a_payload_under_a_transform_is_not_taken_for_a_value() {
    let transform = Some(Transform { id: 9, key: b"k3" });
    let whole = Header { codec: PayloadCodec::Json, transform, origin: Some((RUN, Seq(1))), body: b"\x00secret" };
    let payload = whole.encode().unwrap();
    assert_eq!(header(&payload), Ok(whole));
    assert_eq!(decode::<u8>(&payload), Err(PayloadError::Transformed { id: 9, key: b"k3".to_vec() }));
}

#[test]
fn a_header_that_is_cut_or_unknown_is_refused() {
    let whole = Header {
        codec: PayloadCodec::Raw,
        transform: Some(Transform { id: 9, key: b"k3" }),
        origin: Some((RUN, Seq(1))),
        body: b"",
    };
    let bytes = whole.encode().unwrap().0.to_vec();
    for cut in 1..bytes.len() {
        let payload = Payload::from(bytes[..cut].to_vec());
        assert!(matches!(header(&payload), Err(PayloadError::Malformed { .. })), "cut at {cut}");
    }
    for first in [0x00, 0x04, 0x0f, 0x41, 0x81] {
        let payload = Payload::from(vec![first, 0, 0, 0]);
        assert!(matches!(header(&payload), Err(PayloadError::Malformed { .. })), "{first:#04x}");
    }
    assert_eq!(header(&Payload::default()), Err(PayloadError::Absent));
    assert_eq!(decode::<()>(&Payload::default()), Err(PayloadError::Absent));
}
