//! What changes a digest, and what must not.

use std::collections::{BTreeMap, HashMap};

use durable::codec::hash::sip64;
use durable::kernel::id::Digest;
use durable::payload::digest;
use expect_test::expect;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

const SALT: [u8; 16] = *b"saltsaltsaltsalt";

fn of(value: &(impl Serialize + ?Sized)) -> (Digest, Digest) {
    digest(&SALT, value).unwrap()
}

fn same(a: &impl Serialize, b: &impl Serialize) {
    assert_eq!(of(a), of(b));
}

fn same_shape_other_values(a: &impl Serialize, b: &impl Serialize) {
    let (a, b) = (of(a), of(b));
    assert_eq!(a.1, b.1, "the shapes differ");
    assert_ne!(a.0, b.0, "the values are the same");
}

fn same_values_other_shape(a: &impl Serialize, b: &impl Serialize) {
    let (a, b) = (of(a), of(b));
    assert_eq!(a.0, b.0, "the values differ");
    assert_ne!(a.1, b.1, "the shapes are the same");
}

fn other_shape(a: &impl Serialize, b: &impl Serialize) {
    let (a, b) = (of(a), of(b));
    assert_ne!(a.1, b.1, "the shapes are the same");
    assert_ne!(a.0, b.0, "the values are the same");
}

/// The types of one build.
mod old {
    use super::*;

    #[derive(Serialize, Clone, Default)]
    pub(super) struct Order {
        pub(super) id: u32,
        pub(super) name: String,
        pub(super) share: f32,
        pub(super) note: Option<String>,
    }

    #[derive(Serialize)]
    pub(super) enum Way {
        Cash,
        Card(u32),
        Split { a: u32, b: u32 },
    }

    #[derive(Serialize)]
    pub(super) struct Node {
        pub(super) next: Option<Box<Node>>,
        pub(super) all: Vec<Node>,
    }

    #[derive(Serialize)]
    pub(super) struct Skipping {
        pub(super) a: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) b: Option<u8>,
    }

    #[derive(Serialize)]
    pub(super) struct Flat {
        pub(super) a: u8,
        #[serde(flatten)]
        pub(super) inner: Inner,
    }

    #[derive(Serialize)]
    pub(super) struct Inner {
        pub(super) b: u8,
    }
}

/// The same names in the next build.
mod new {
    use super::*;

    /// Wider numbers, other order.
    #[derive(Serialize)]
    pub(super) struct Order {
        pub(super) note: Option<String>,
        pub(super) share: f64,
        pub(super) name: String,
        pub(super) id: u64,
    }

    #[derive(Serialize)]
    pub(super) struct Flat {
        pub(super) a: u8,
        #[serde(flatten)]
        pub(super) inner: Inner,
    }

    #[derive(Serialize)]
    pub(super) struct Inner {
        pub(super) b: u8,
        pub(super) c: u8,
    }

    pub(super) mod added {
        use super::*;

        #[derive(Serialize)]
        pub(in super::super) struct Order {
            pub(in super::super) id: u32,
            pub(in super::super) name: String,
            pub(in super::super) share: f32,
            pub(in super::super) note: Option<String>,
            pub(in super::super) more: Option<u8>,
        }
    }

    pub(super) mod renamed {
        use super::*;

        #[derive(Serialize)]
        pub(in super::super) struct Purchase {
            pub(in super::super) id: u32,
            pub(in super::super) name: String,
            pub(in super::super) share: f32,
            pub(in super::super) note: Option<String>,
        }
    }
}

fn order() -> old::Order {
    old::Order { id: 7, name: "n".into(), share: 0.5, note: None }
}

#[test]
fn a_number_is_the_same_in_every_width() {
    same(&7u8, &7u64);
    same(&7u32, &7i64);
    same(&-7i8, &-7i64);
    same(&7u8, &7u128);
    same(&-7i8, &-7i128);
    same(&1.5f32, &1.5f64);
    same(&u64::MAX, &i128::from(u64::MAX));
    same(&i64::MIN, &i128::from(i64::MIN));
}

#[test]
fn fields_that_are_widened_or_reordered_change_nothing() {
    same(&order(), &new::Order { id: 7, name: "n".into(), share: 0.5, note: None });
}

#[test]
fn other_values_change_the_values_alone() {
    same_shape_other_values(&order(), &old::Order { id: 8, ..order() });
    same_shape_other_values(&order(), &old::Order { note: Some("x".into()), ..order() });
    same_shape_other_values(&old::Order { note: Some(String::new()), ..order() }, &order());
    same_shape_other_values(&true, &false);
    same_shape_other_values(&0u8, &());
    same_shape_other_values(&1u8, &1.0f64);
    same_shape_other_values(&-1i8, &0u8);
    same_shape_other_values(&u128::MAX, &i128::MIN);
    same_shape_other_values(&("ab", "c"), &("a", "bc"));
    same_shape_other_values(&vec![vec![1], vec![]], &vec![vec![], vec![1]]);
    same_shape_other_values(&(vec![1], 2), &(vec![1, 2], ()));
}

#[test]
fn a_field_or_a_name_that_is_new_changes_the_shape_but_not_values_that_it_does_not_add() {
    let added = new::added::Order { id: 7, name: "n".into(), share: 0.5, note: None, more: None };
    same_values_other_shape(&order(), &added);
    other_shape(&order(), &new::added::Order { more: Some(1), ..added });
    let renamed = new::renamed::Purchase { id: 7, name: "n".into(), share: 0.5, note: None };
    same_values_other_shape(&order(), &renamed);
}

#[test]
fn neither_how_many_nor_how_deep_nor_in_which_order_changes_the_shape() {
    same_shape_other_values(&vec![order()], &vec![order(), order()]);
    same_shape_other_values(&Vec::<u32>::new(), &vec![1, 2]);
    same_shape_other_values(&vec![Some(order()), None], &vec![None, Some(order()), None]);
    let node = |next| old::Node { next, all: vec![] };
    let chain = node(Some(Box::new(node(Some(Box::new(node(None)))))));
    same_shape_other_values(&chain, &node(None));
    same_shape_other_values(&old::Node { next: None, all: vec![node(None)] }, &node(None));
    let (cash, card) = (|| old::Way::Cash, || old::Way::Card(1));
    same_shape_other_values(&vec![cash(), card()], &vec![card(), cash(), cash()]);
}

#[test]
fn a_field_that_is_skipped_is_known_all_the_same() {
    same_shape_other_values(&old::Skipping { a: 1, b: None }, &old::Skipping { a: 1, b: Some(1) });
}

#[test]
fn a_variant_shows_in_the_shape() {
    other_shape(&old::Way::Cash, &old::Way::Card(1));
    other_shape(&old::Way::Card(1), &old::Way::Split { a: 1, b: 2 });
    same_shape_other_values(&old::Way::Split { a: 1, b: 2 }, &old::Way::Split { a: 2, b: 1 });
    other_shape(&Ok::<u8, u8>(1), &Err::<u8, u8>(1));
}

#[test]
fn a_field_added_to_a_flattened_struct_changes_the_shape() {
    let old = old::Flat { a: 1, inner: old::Inner { b: 2 } };
    other_shape(&old, &new::Flat { a: 1, inner: new::Inner { b: 2, c: 3 } });
    same_shape_other_values(&old, &old::Flat { a: 2, inner: old::Inner { b: 2 } });
}

#[test]
fn the_keys_of_a_map_are_values_and_their_order_is_none() {
    same_shape_other_values(&BTreeMap::from([("a", 1)]), &BTreeMap::from([("b", 1), ("c", 2)]));
    let many = || (0..100u32).map(|i| (format!("key {i}"), i));
    same(&many().collect::<HashMap<_, _>>(), &many().collect::<BTreeMap<_, _>>());
    same(&InOrder(&[("b", 1), ("a", 2)]), &InOrder(&[("a", 2), ("b", 1)]));
    same_shape_other_values(&BTreeMap::from([("a", None::<u8>)]), &BTreeMap::<&str, Option<u8>>::new());
}

/// A map in the order in which it is given.
struct InOrder<'a>(&'a [(&'a str, u8)]);

impl Serialize for InOrder<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        self.0.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
        map.end()
    }
}

#[test]
fn every_nan_is_the_same_and_zeros_are_two() {
    let odd = f64::from_bits(0xfff8_0000_0000_1234);
    assert!(odd.is_nan());
    same(&f64::NAN, &odd);
    same(&f32::NAN, &odd);
    same_shape_other_values(&f64::NAN, &f64::INFINITY);
    same_shape_other_values(&0.0, &-0.0);
}

#[test]
fn a_newtype_is_what_it_holds() {
    #[derive(Serialize)]
    struct Cents(u64);
    same_values_other_shape(&Cents(7), &7u64);
    same(&Some(7), &7);
    same(&Box::new(7), &7);
}

#[test]
fn another_salt_gives_other_digests() {
    let (a, b) = (of(&order()), digest(&[0; 16], &order()).unwrap());
    assert!(a.0 != b.0 && a.1 != b.1);
}

#[test]
fn digests_are_the_same_for_ever() {
    let all = (
        order(),
        (old::Way::Cash, old::Way::Card(1), old::Way::Split { a: 1, b: 300 }),
        (u128::MAX, i128::MIN, -1, 1.5, 'c', true, None::<u8>, ()),
        BTreeMap::from([("b", 1), ("a", 2)]),
        old::Flat { a: 1, inner: old::Inner { b: 2 } },
    );
    expect![[r#"
        (
            e25791830ed3572d,
            cad576da00ede16f,
        )
    "#]]
    .assert_debug_eq(&of(&all));
    expect![[r#"
        (
            f865e9c7a4eed25d,
            a44b2184fe3d2829,
        )
    "#]]
    .assert_debug_eq(&of(&()));
}

/// The form and the names as `docs/journal-format.md` lays them out, written by hand.
#[test]
fn digests_are_hashes_of_what_the_document_says() {
    let is = |value: &dyn Fn() -> (Digest, Digest), form: &[u8], names: &[&[u8]]| {
        let value_digest = Digest(sip64(&SALT, &[b"v", form].concat()));
        let shape = Digest(sip64(&SALT, &[b"s", names.concat().as_slice()].concat()));
        assert_eq!(value(), (value_digest, shape));
    };
    is(&|| of(&()), b"\x02", &[]);
    is(
        &|| of(&(300u16, -1i8, true, 'c', [0u8; 2])),
        b"\x0c\x05\xac\x02\x06\x00\x04\x0a\x01c\x0c\x05\x00\x05\x00\x00\x00",
        &[],
    );
    is(&|| of(&(1u128 << 64)), b"\x07\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", &[]);
    is(&|| of(&(-2 - i128::from(u64::MAX))), b"\x08\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", &[]);
    is(&|| of(&f32::NAN), b"\x09\0\0\0\0\0\0\xf8\x7f", &[]);
    is(&|| of(&BTreeMap::from([("b", None), ("a", Some(2))])), b"\x0d\x0a\x01a\x05\x02\x0a\x01b\x01\x00", &[]);
    let order_form = b"\x0d\x0a\x02id\x05\x07\x0a\x04name\x0a\x01n\x0a\x05share\x09\0\0\0\0\0\0\xe0\x3f\x00";
    is(&|| of(&order()), order_form, &[b"\x00\x05Order\x00\x04\x02id\x04name\x04note\x05share"]);
    is(&|| of(&old::Way::Cash), b"\x0e\x04Cash", &[b"\x01\x03Way\x04Cash\x00\x00"]);
    is(&|| of(&old::Way::Card(1)), b"\x0f\x04Card\x05\x01", &[b"\x01\x03Way\x04Card\x01\x00"]);
    let split = old::Way::Split { a: 1, b: 2 };
    let split_names: &[u8] = b"\x01\x03Way\x05Split\x00\x02\x01a\x01b";
    is(&|| of(&split), b"\x0f\x05Split\x0d\x0a\x01a\x05\x01\x0a\x01b\x05\x02\x00", &[split_names]);
    let flat = old::Flat { a: 1, inner: old::Inner { b: 2 } };
    is(&|| of(&flat), b"\x0d\x0a\x01a\x05\x01\x0a\x01b\x05\x02\x00", &[b"\x00\x00\x00\x02\x01a\x01b"]);
    let both = (old::Way::Cash, 40u64, old::Inner { b: 2 });
    let names: [&[u8]; 2] = [b"\x00\x05Inner\x00\x01\x01b", b"\x01\x03Way\x04Cash\x00\x00"];
    is(&|| of(&both), b"\x0c\x0e\x04Cash\x05\x28\x0d\x0a\x01b\x05\x02\x00\x00", &names);
}

#[test]
fn a_value_that_refuses_says_why() {
    struct Refusing;
    impl Serialize for Refusing {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    let error = digest(&SALT, &Refusing).unwrap_err().to_string();
    assert!(error.contains("Refusing") && error.ends_with("not today"), "{error}");
}

proptest! {
    #[test]
    fn values_differ_exactly_if_their_digests_do(a in value(), b in value()) {
        prop_assert_eq!(a == b, of(&a).0 == of(&b).0);
        prop_assert_eq!(of(&a).1, of(&b).1);
    }
}

type Value = (Vec<i64>, BTreeMap<String, Option<u8>>, Option<String>, (bool, Vec<Vec<u8>>));

/// Values out of few, so that equal ones are met.
fn value() -> impl Strategy<Value = Value> {
    let text = || prop::sample::select(vec!["", "a", "ab", "b"]).prop_map(str::to_owned);
    let map = btree_map(text(), prop::option::of(0..2u8), 0..2);
    (vec(-1..2i64, 0..2), map, prop::option::of(text()), (any::<bool>(), vec(vec(0..2u8, 0..2), 0..2)))
}
