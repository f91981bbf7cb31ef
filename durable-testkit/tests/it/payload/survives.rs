//! What was written by one build and is read by the next one, under each codec; and what bincode, which is for the
//! engine's own records only, makes of it.

use durable::payload::{PayloadCodec, PayloadError, decode, encode};
use expect_test::{Expect, expect};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::fmt::{Debug, Write};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, bincode::Encode, bincode::Decode)]
struct Order {
    id: u64,
    name: String,
    amount: u32,
}

fn order() -> Order {
    Order { id: 7, name: "x".repeat(12), amount: 250 }
}

#[derive(Debug, Default, Deserialize, bincode::Decode)]
#[expect(dead_code, reason = "read by `Debug`")]
struct Added {
    id: u64,
    name: String,
    amount: u32,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Deserialize, bincode::Decode)]
#[expect(dead_code, reason = "read by `Debug`")]
struct Dropped {
    id: u64,
    amount: u32,
}

#[derive(Debug, Deserialize, bincode::Decode)]
#[expect(dead_code, reason = "read by `Debug`")]
struct Reordered {
    amount: u32,
    name: String,
    id: u64,
}

#[derive(Debug, Deserialize, bincode::Decode)]
#[expect(dead_code, reason = "read by `Debug`")]
struct Widened {
    id: u64,
    name: String,
    amount: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
    Fields { a: u8, b: Option<u8> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Card { number: String },
    Cash,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value")]
enum Adjacent {
    Card(u64, u64),
    Cash,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum External {
    Unit,
    New(u64),
    Tuple(u8, String),
    Fields { a: i64 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    order: Order2,
    #[serde(flatten)]
    rest: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order2 {
    city: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    a: Option<u64>,
    b: bool,
}

const CODECS: [(PayloadCodec, &str); 2] = [(PayloadCodec::MessagePack, "MessagePack"), (PayloadCodec::Json, "JSON")];

/// A line for each codec: how long the payload is, and what is read back.
fn read_as<New: DeserializeOwned + Debug>(old: &impl Serialize, expected: Expect) {
    let mut lines = String::new();
    for (codec, name) in CODECS {
        let payload = encode(codec, old).unwrap();
        match decode::<New>(&payload) {
            Ok(new) => writeln!(lines, "{name} {} bytes: {new:?}", payload.len() - 1).unwrap(),
            Err(error) => writeln!(lines, "{name}: {error}").unwrap(),
        }
    }
    expected.assert_eq(&lines);
}

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) {
    for (codec, name) in CODECS {
        let payload = encode(codec, &value).unwrap();
        assert_eq!(decode::<T>(&payload).as_ref(), Ok(&value), "under {name}");
    }
}

#[test]
fn a_field_that_is_added_dropped_reordered_or_widened_reads_back() {
    read_as::<Added>(
        &order(),
        expect![[r#"
        MessagePack 32 bytes: Added { id: 7, name: "xxxxxxxxxxxx", amount: 250, note: None }
        JSON 43 bytes: Added { id: 7, name: "xxxxxxxxxxxx", amount: 250, note: None }
    "#]],
    );
    read_as::<Dropped>(
        &order(),
        expect![[r#"
        MessagePack 32 bytes: Dropped { id: 7, amount: 250 }
        JSON 43 bytes: Dropped { id: 7, amount: 250 }
    "#]],
    );
    read_as::<Reordered>(
        &order(),
        expect![[r#"
        MessagePack 32 bytes: Reordered { amount: 250, name: "xxxxxxxxxxxx", id: 7 }
        JSON 43 bytes: Reordered { amount: 250, name: "xxxxxxxxxxxx", id: 7 }
    "#]],
    );
    read_as::<Widened>(
        &order(),
        expect![[r#"
        MessagePack 32 bytes: Widened { id: 7, name: "xxxxxxxxxxxx", amount: 250 }
        JSON 43 bytes: Widened { id: 7, name: "xxxxxxxxxxxx", amount: 250 }
    "#]],
    );
}

#[test]
fn bincode_reads_a_changed_struct_back_silently_wrong() {
    fn old<T: bincode::Decode<()> + Debug>() -> String {
        let config = bincode::config::standard();
        let bytes = bincode::encode_to_vec(Order { name: "x".repeat(7), ..order() }, config).unwrap();
        match bincode::decode_from_slice::<T, _>(&bytes, config) {
            Ok((value, used)) => format!("{value:?}, {} bytes left\n", bytes.len() - used),
            Err(error) => format!("{error}\n"),
        }
    }
    let lines = [old::<Added>(), old::<Dropped>(), old::<Reordered>(), old::<Widened>()].concat();
    expect![[r#"
        UnexpectedEnd { additional: 1 }
        Dropped { id: 7, amount: 7 }, 8 bytes left
        Reordered { amount: 7, name: "xxxxxxx", id: 250 }, 0 bytes left
        Widened { id: 7, name: "xxxxxxx", amount: 125 }, 0 bytes left
    "#]]
    .assert_eq(&lines);
}

#[test]
fn every_way_to_write_an_enum_comes_back() {
    for value in [Untagged::Number(7), Untagged::Text("t".into()), Untagged::Fields { a: 1, b: None }] {
        comes_back(value);
    }
    for value in [Tagged::Card { number: "4".into() }, Tagged::Cash] {
        comes_back(value);
    }
    for value in [Adjacent::Card(1, 2), Adjacent::Cash] {
        comes_back(value);
    }
    for value in [External::Unit, External::New(7), External::Tuple(1, "t".into()), External::Fields { a: -1 }] {
        comes_back(value);
    }
    comes_back(vec![Ok::<u8, String>(1), Err("e".into())]);
}

#[test]
fn flattened_and_skipped_fields_come_back() {
    let rest = BTreeMap::from([("x".to_owned(), 1), ("y".to_owned(), 2)]);
    comes_back(Flattened { id: 7, order: Order2 { city: "c".into() }, rest });
    comes_back(Skipping { a: None, b: true });
    comes_back(Skipping { a: Some(1), b: false });
}

#[test]
fn plain_values_come_back() {
    comes_back(());
    comes_back((1u8, -1i64, "t".to_owned(), 'c', 1.5f64, None::<u8>, Some(3)));
    comes_back((u64::MAX, i64::MIN));
    comes_back(serde_json::json!({ "a": [1, -2.5, null, "t", { "b": true }] }));
    comes_back(HashMap::from([(1u64, "one".to_owned()), (2, "two".to_owned())]));
    comes_back(vec![0u8, 127, 128, 255]);
    comes_back([7u8; 32]);
}

/// A reader of JSON that takes a short cut with decimal fractions gives back a neighbour of such a number.
#[test]
fn the_last_bit_of_a_fraction_comes_back() {
    comes_back(-1.025_036_7e-38_f32 as f64);
    comes_back([0.1 + 0.2, f64::MIN_POSITIVE, f64::MAX, 5e-324]);
}

#[test]
fn numbers_of_128_bits_come_back() {
    for value in [0, 1, u128::MAX] {
        comes_back(value);
    }
    comes_back(i128::MIN);
}

#[test]
fn nan_comes_back_or_is_refused_never_lost() {
    let payload = encode(PayloadCodec::MessagePack, &[f64::NAN, f64::INFINITY]).unwrap();
    let back: [f64; 2] = decode(&payload).unwrap();
    assert!(back[0].is_nan() && back[1].is_infinite());
    for value in [Some(f64::NAN), Some(f64::NEG_INFINITY)] {
        assert_eq!(encode(PayloadCodec::Json, &value), Err(PayloadError::NotFinite));
    }
    comes_back(Some(1.5f32));
}

#[test]
fn a_value_of_another_type_is_refused_with_both_sides_named() {
    read_as::<u64>(
        &"seven",
        expect![[r#"
        MessagePack: the recorded value is no `u64`: wrong msgpack marker FixStr(5)
        JSON: the recorded value is no `u64`: invalid type: string "seven", expected u64 at line 1 column 7
    "#]],
    );
    read_as::<Order>(
        &Dropping { id: 7 },
        expect![[r#"
        MessagePack: the recorded value is no `it::payload::survives::Order`: missing field `name`
        JSON: the recorded value is no `it::payload::survives::Order`: missing field `name` at line 1 column 8
    "#]],
    );
}

#[derive(Serialize)]
struct Dropping {
    id: u64,
}

/// Of what a type that wraps nothing says, no codec keeps anything.
#[test]
fn some_of_nothing_is_read_back_as_none() {
    for (codec, _) in CODECS {
        let payload = encode(codec, &Some(None::<u8>)).unwrap();
        assert_eq!(decode::<Option<Option<u8>>>(&payload), Ok(None));
        let payload = encode(codec, &Some(())).unwrap();
        assert_eq!(decode::<Option<()>>(&payload), Ok(None));
    }
}

/// What a kibibyte of bytes takes: a list of numbers, unless the type says that it is bytes.
#[test]
fn bytes_take_what_they_take() {
    let bytes: Vec<u8> = (0..1024u32).map(|i| (i * 7) as u8).collect();
    let sizes = CODECS.map(|(codec, name)| format!("{name} {}\n", encode(codec, &bytes).unwrap().len())).concat();
    expect![[r#"
        MessagePack 1540
        JSON 3658
    "#]]
    .assert_eq(&sizes);
    let raw = encode(PayloadCodec::Raw, &bytes).unwrap();
    assert_eq!(raw.len(), 1025);
    assert_eq!(decode::<serde_bytes_like::Bytes>(&raw).unwrap().0, bytes);
}

/// A type that is bytes for serde.
mod serde_bytes_like {
    use serde::de::{Deserialize, Deserializer, Visitor};

    #[derive(Debug)]
    pub(super) struct Bytes(pub(super) Vec<u8>);

    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct AnyBytes;
            impl Visitor<'_> for AnyBytes {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_vec()))
                }
            }
            deserializer.deserialize_byte_buf(AnyBytes)
        }
    }
}
