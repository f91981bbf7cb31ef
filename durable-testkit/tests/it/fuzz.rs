//! The stable twins of the fuzz targets: the same bodies, on bytes that are arbitrary and on bytes that almost fit.

use durable::codec::{kind, leb};
use proptest::collection::vec;
use proptest::prelude::*;

#[path = "../../../fuzz/bodies.rs"]
mod bodies;

/// Bytes out of few, as numbers, markers and lengths are.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![4 => 0..16u8, 1 => any::<u8>(), 1 => prop::sample::select(b"{}[]\",:null0129".to_vec())];
    vec(byte, 0..120)
}

/// Events of known kinds with bodies that hardly ever fit.
fn events() -> impl Strategy<Value = Vec<u8>> {
    vec((prop::sample::select(kind::ALL.to_vec()), bytes()), 1..4).prop_map(|events| {
        let mut out = Vec::new();
        for ((kind, _), body) in events {
            out.extend(kind.to_le_bytes());
            out.extend([1, 0]);
            leb::put(body.len() as u64, &mut out);
            out.extend(body);
        }
        out
    })
}

/// JSON with numbers, texts and lists in one another.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_filter("json has no others", |f| f.is_finite()).prop_map(|f| format!("{f:?}")),
        "[a-z]{0,4}".prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(4, 30, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-c]", inner), 0..4).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

/// Steps that put a store's directory together: most of them journals and whole frames.
fn steps() -> impl Strategy<Value = Vec<u8>> {
    let step = prop_oneof![
        1 => (Just(0u8), bytes()),
        1 => (Just(1u8), bytes()),
        1 => (Just(2u8), bytes()),
        6 => (Just(4u8), bytes()),
        1 => (Just(6u8), bytes()),
        2 => (Just(7u8), vec(any::<u8>(), 4)),
    ];
    vec(step, 0..12).prop_map(|steps| {
        let step = |(what, content): (u8, Vec<u8>)| [vec![what, content.len() as u8], content].concat();
        steps.into_iter().flat_map(step).collect()
    })
}

proptest! {
    #[test]
    fn decode_event(arbitrary in bytes(), known in events()) {
        bodies::decode_event(&arbitrary);
        bodies::decode_event(&known);
    }

    #[test]
    fn decode_frame(bytes in bytes()) {
        bodies::decode_frame(&bytes);
    }

    #[test]
    fn decode_section(bytes in bytes()) {
        bodies::decode_section(&bytes);
    }

    #[test]
    fn decode_tables(mut bytes in bytes()) {
        bodies::decode_tables(&bytes);
        bytes.insert(0, 1);
        bodies::decode_tables(&bytes);
    }

    #[test]
    fn decode_payload(mut bytes in bytes(), codec in 0..4u8) {
        bodies::decode_payload(&bytes);
        bytes.insert(0, codec);
        bodies::decode_payload(&bytes);
    }

    #[test]
    fn digest(json in json()) {
        bodies::digest(json.as_bytes());
    }
}

proptest! {
    // Each case opens four stores.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn recover(arbitrary in bytes(), steps in steps()) {
        bodies::recover(&arbitrary);
        bodies::recover(&steps);
    }
}
