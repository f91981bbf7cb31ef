//! What is refused when it is written, so that what is recorded can be read back; and what hostile bytes may not do.

use durable::kernel::event::Payload;
use durable::payload::{DEPTH_MAX, LEN_MAX, PayloadCodec, PayloadError, decode, encode, to_json};
use proptest::collection::vec;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct List(Vec<List>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Chain {
    End,
    Link(Box<Chain>),
}

/// So many lists in one another.
fn nested(depth: usize) -> List {
    (1..depth).fold(List(vec![]), |inner, _| List(vec![inner]))
}

const CODECS: [PayloadCodec; 2] = [PayloadCodec::MessagePack, PayloadCodec::Json];

#[test]
fn a_value_of_four_mebibytes_is_the_longest() {
    for codec in CODECS {
        let around = encode(codec, &"x".repeat(100_000)).unwrap().len() - 100_000;
        let longest = "x".repeat(LEN_MAX - around);
        let payload = encode(codec, &longest).unwrap();
        assert_eq!(payload.len(), LEN_MAX);
        assert_eq!(decode::<String>(&payload).unwrap(), longest);
        let longer = "x".repeat(LEN_MAX - around + 1);
        assert_eq!(encode(codec, &longer), Err(PayloadError::TooLong { limit: LEN_MAX }));
    }
    assert_eq!(encode(PayloadCodec::Raw, &"x".repeat(LEN_MAX)), Err(PayloadError::TooLong { limit: LEN_MAX }));
}

#[test]
fn what_can_be_written_can_be_read_back_up_to_the_deepest() {
    for codec in CODECS {
        let deepest = nested(DEPTH_MAX);
        assert_eq!(decode::<List>(&encode(codec, &deepest).unwrap()), Ok(deepest));
        assert_eq!(encode(codec, &nested(DEPTH_MAX + 2)), Err(PayloadError::TooDeep { limit: DEPTH_MAX }));
    }
}

#[test]
fn a_payload_that_nests_without_end_ends_no_process() {
    let lists = Payload::from([vec![1], vec![0x91; 1_000_000], vec![0xc0]].concat());
    assert_eq!(decode::<List>(&lists), Err(PayloadError::TooDeep { limit: DEPTH_MAX }));
    let links = Payload::from([vec![1], b"\x81\xa4Link".repeat(500_000), b"\xa3End".to_vec()].concat());
    assert_eq!(decode::<Chain>(&links), Err(PayloadError::TooDeep { limit: DEPTH_MAX }));
    let json = Payload::from([vec![2], vec![b'['; 1_000_000]].concat());
    assert_eq!(decode::<List>(&json), Err(PayloadError::TooDeep { limit: DEPTH_MAX }));
    assert!(to_json(&lists).get("$unreadable").is_some());
}

#[test]
fn a_length_with_no_bytes_behind_it_is_refused() {
    for body in
        [&b"\xdd\xff\xff\xff\xff"[..], b"\xdf\xff\xff\xff\xff\x01", b"\xdb\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff"]
    {
        let payload = Payload::from([b"\x01", body].concat());
        let refused = decode::<Vec<u64>>(&payload);
        assert_eq!(refused, Err(PayloadError::Malformed { why: "it ends too early" }));
    }
}

#[test]
fn bytes_behind_a_value_are_refused() {
    let decoded = [b"\x01\x07\x07", b"\x02\x37\x37"].map(|bytes| decode::<u8>(&Payload::from(bytes.to_vec())));
    assert_eq!(decoded[0], Err(PayloadError::Malformed { why: "bytes follow the value" }));
    assert_eq!(decoded[1], Ok(77), "as JSON it is one number");
    assert!(decode::<u8>(&Payload::from(b"\x027 7".to_vec())).is_err());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), codec in 1..4u8) {
        let payload = Payload::from([vec![codec], bytes].concat());
        let _ = decode::<List>(&payload);
        let _ = decode::<Chain>(&payload);
        let _ = decode::<String>(&payload);
        let _ = decode::<serde_json::Value>(&payload);
        let _ = to_json(&payload);
    }

    #[test]
    fn values_come_back_as_they_were(numbers in vec(any::<i64>(), 0..20), texts in vec("\\PC*", 0..5), maybe in any::<Option<bool>>()) {
        let value = (numbers, texts, maybe);
        for codec in CODECS {
            let payload = encode(codec, &value).unwrap();
            prop_assert_eq!(decode(&payload), Ok(value.clone()));
        }
    }
}
