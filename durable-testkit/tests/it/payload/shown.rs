//! Payloads as tools show them.

use std::collections::BTreeMap;

use durable::kernel::event::Payload;
use durable::payload::{DEPTH_MAX, PayloadCodec, encode, to_json};
use expect_test::{Expect, expect};
use serde::Serialize;

#[derive(Serialize)]
struct Receipt {
    id: u64,
    lines: Vec<(String, i32)>,
    paid: Option<f64>,
    way: Way,
}

#[derive(Serialize)]
enum Way {
    Card { last: &'static str },
}

fn check(payload: &Payload, expected: Expect) {
    expected.assert_eq(&to_json(payload).to_string());
}

fn message_pack(value: &(impl Serialize + ?Sized)) -> Payload {
    encode(PayloadCodec::MessagePack, value).unwrap()
}

#[test]
fn a_value_is_shown_as_json_in_both_codecs() {
    let receipt = Receipt { id: 7, lines: vec![("tea".into(), -2)], paid: Some(1.5), way: Way::Card { last: "42" } };
    let shown = to_json(&message_pack(&receipt));
    assert_eq!(to_json(&encode(PayloadCodec::Json, &receipt).unwrap()), shown);
    expect![[r#"{"id":7,"lines":[["tea",-2]],"paid":1.5,"way":{"Card":{"last":"42"}}}"#]].assert_eq(&shown.to_string());
}

#[test]
fn what_json_does_not_have_is_shown_all_the_same() {
    check(&message_pack(&[f64::NAN, f64::NEG_INFINITY, 1.0]), expect![[r#"["NaN","-inf",1.0]"#]]);
    check(
        &message_pack(&BTreeMap::from([((1, true), "x"), ((2, false), "y")])),
        expect![[r#"{"$entries":[[[1,true],"x"],[[2,false],"y"]]}"#]],
    );
    check(&message_pack(&BTreeMap::from([(1, "x"), (-2, "y")])), expect![[r#"{"-2":"y","1":"x"}"#]]);
    check(&message_pack(&u128::MAX), expect![[r#"{"$bytes":"ffffffffffffffffffffffffffffffff"}"#]]);
    check(&encode(PayloadCodec::Raw, b"ab").unwrap(), expect![[r#"{"$bytes":"6162"}"#]]);
    check(&Payload::from(b"\x01\xd6\xff\x00\x00\x00\x01".to_vec()), expect![[r#"[-1,{"$bytes":"00000001"}]"#]]);
}

#[test]
fn maps_that_are_keys_of_maps_do_not_double_the_text() {
    let nested = |depth: usize| Payload::from([&[1][..], &vec![0x81; depth], &vec![0xc0; depth + 1]].concat());
    check(&nested(1), expect![[r#"{"null":null}"#]]);
    check(&nested(3), expect![[r#"{"$entries":[[{"$entries":[[{"null":null},null]]},null]]}"#]]);
    assert_eq!(to_json(&nested(DEPTH_MAX)).to_string().len(), 22 * DEPTH_MAX - 9);
}

#[test]
fn what_cannot_be_read_says_why() {
    check(&Payload::default(), expect!["null"]);
    check(
        &Payload::from(b"\x01\x92\x01".to_vec()),
        expect![[r#"{"$bytes":"019201","$unreadable":"the recorded bytes are no payload: it ends too early"}"#]],
    );
    check(
        &Payload::from(b"\x02{".to_vec()),
        expect![[
            r#"{"$bytes":"027b","$unreadable":"the recorded value is no `value`: EOF while parsing an object at line 1 column 1"}"#
        ]],
    );
    check(
        &Payload::from(b"\x11\x09\x02k3secret".to_vec()),
        expect![[r#"{"$bytes":"736563726574","$key":"k3","$transform":9}"#]],
    );
}
