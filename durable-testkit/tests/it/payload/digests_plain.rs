//! Digests of any values beside a second reading of the document: the whole form and all names are made first, by recursion and with nothing
//! kept from one value to the next.

use std::collections::BTreeSet;

use durable::codec::hash::sip64;
use durable::kernel::id::Digest;
use durable::payload::digest;
use proptest::collection::vec;
use proptest::prelude::*;
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTupleStruct, SerializeTupleVariant,
    Serializer,
};

/// A value of any type.
#[derive(Debug, Clone)]
enum Any {
    None,
    Unit,
    Bool(bool),
    Number(i128),
    Fraction(f64),
    Text(String),
    Bytes(Vec<u8>),
    Some(Box<Any>),
    List(Vec<Any>),
    /// With a length, or flattened.
    Map(Vec<(Any, Any)>),
    Flat(Vec<(Any, Any)>),
    UnitStruct(Name),
    Newtype(Name, Box<Any>),
    Tuple(Name, Vec<Any>),
    /// A field without value is skipped.
    Struct(Name, Vec<(Name, Option<Any>)>),
    Variant(Name, Name),
    NewtypeVariant(Name, Name, Box<Any>),
    TupleVariant(Name, Name, Vec<Any>),
    StructVariant(Name, Name, Vec<(Name, Option<Any>)>),
}

type Name = &'static str;

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Any::None => to.serialize_none(),
            Any::Unit => to.serialize_unit(),
            Any::Bool(value) => to.serialize_bool(*value),
            Any::Number(number) => match (u8::try_from(*number), i64::try_from(*number)) {
                (Ok(number), _) => to.serialize_u8(number),
                (_, Ok(number)) => to.serialize_i64(number),
                _ => to.serialize_i128(*number),
            },
            Any::Fraction(value) => to.serialize_f64(*value),
            Any::Text(text) => to.serialize_str(text),
            Any::Bytes(bytes) => to.serialize_bytes(bytes),
            Any::Some(value) => to.serialize_some(value),
            Any::List(items) => {
                let mut list = to.serialize_seq(None)?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Any::Map(entries) | Any::Flat(entries) => {
                let mut map = to.serialize_map(matches!(self, Any::Map(_)).then_some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
            Any::UnitStruct(name) => to.serialize_unit_struct(name),
            Any::Newtype(name, value) => to.serialize_newtype_struct(name, value),
            Any::Tuple(name, items) => {
                let mut tuple = to.serialize_tuple_struct(name, items.len())?;
                items.iter().try_for_each(|item| tuple.serialize_field(item))?;
                tuple.end()
            }
            Any::Struct(name, fields) => {
                let mut fielded = to.serialize_struct(name, fields.len())?;
                fields.iter().try_for_each(|(field, value)| match value {
                    Some(value) => fielded.serialize_field(field, value),
                    None => fielded.skip_field(field),
                })?;
                fielded.end()
            }
            Any::Variant(name, variant) => to.serialize_unit_variant(name, 0, variant),
            Any::NewtypeVariant(name, variant, value) => to.serialize_newtype_variant(name, 0, variant, value),
            Any::TupleVariant(name, variant, items) => {
                let mut tuple = to.serialize_tuple_variant(name, 0, variant, items.len())?;
                items.iter().try_for_each(|item| tuple.serialize_field(item))?;
                tuple.end()
            }
            Any::StructVariant(name, variant, fields) => {
                let mut fielded = to.serialize_struct_variant(name, 0, variant, fields.len())?;
                fields.iter().try_for_each(|(field, value)| match value {
                    Some(value) => fielded.serialize_field(field, value),
                    None => fielded.skip_field(field),
                })?;
                fielded.end()
            }
        }
    }
}

fn leb(mut number: u128) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push((number % 0x80) as u8 + 0x80);
        number /= 0x80;
    }
    bytes.push(number as u8);
    bytes
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [leb(bytes.len() as u128), bytes.to_vec()].concat()
}

fn tagged(tag: u8, more: &[Vec<u8>]) -> Vec<u8> {
    [vec![tag], more.concat()].concat()
}

fn number(number: i128) -> Vec<u8> {
    let is_negative = number < 0;
    let value = if is_negative { (-1 - number).cast_unsigned() } else { number.cast_unsigned() };
    match u64::try_from(value) {
        Ok(_) => tagged(if is_negative { 6 } else { 5 }, &[leb(value)]),
        Err(_) => tagged(if is_negative { 8 } else { 7 }, &[value.to_le_bytes().to_vec()]),
    }
}

fn list(items: &[Any]) -> Vec<u8> {
    tagged(12, &[items.iter().flat_map(form).collect(), vec![0]])
}

fn map(mut entries: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    tagged(13, &[entries.into_iter().flat_map(|(key, value)| [key, value].concat()).collect(), vec![0]])
}

fn fields(fields: &[(Name, Option<Any>)]) -> Vec<u8> {
    let all =
        fields.iter().filter_map(|(name, value)| Some((tagged(10, &[sized(name.as_bytes())]), form(value.as_ref()?))));
    map(all.filter(|(_, value)| *value != [1]).collect())
}

/// The canonical form.
fn form(value: &Any) -> Vec<u8> {
    match value {
        Any::None => vec![1],
        Any::Unit | Any::UnitStruct(_) => vec![2],
        Any::Bool(value) => vec![3 + u8::from(*value)],
        Any::Number(value) => number(*value),
        Any::Fraction(value) if value.is_nan() => tagged(9, &[0x7ff8_0000_0000_0000_u64.to_le_bytes().to_vec()]),
        Any::Fraction(value) => tagged(9, &[value.to_bits().to_le_bytes().to_vec()]),
        Any::Text(text) => tagged(10, &[sized(text.as_bytes())]),
        Any::Bytes(bytes) => tagged(11, &[sized(bytes)]),
        Any::Some(value) | Any::Newtype(_, value) => form(value),
        Any::List(items) | Any::Tuple(_, items) => list(items),
        Any::Map(entries) => map(entries.iter().map(|(key, value)| (form(key), form(value))).collect()),
        Any::Flat(entries) => {
            let all = entries.iter().map(|(key, value)| (form(key), form(value)));
            map(all.filter(|(_, value)| *value != [1]).collect())
        }
        Any::Struct(_, all) => fields(all),
        Any::Variant(_, variant) => tagged(14, &[sized(variant.as_bytes())]),
        Any::NewtypeVariant(_, variant, value) => tagged(15, &[sized(variant.as_bytes()), form(value)]),
        Any::TupleVariant(_, variant, items) => tagged(15, &[sized(variant.as_bytes()), list(items)]),
        Any::StructVariant(_, variant, all) => tagged(15, &[sized(variant.as_bytes()), fields(all)]),
    }
}

fn spelled(name: &str, variant: Option<&str>, nameless: usize, named: &[&str]) -> Vec<u8> {
    let mut named = named.to_vec();
    named.sort();
    let texts = |texts: &[&str]| texts.iter().flat_map(|text| sized(text.as_bytes())).collect::<Vec<u8>>();
    let counts = [leb(nameless as u128), leb(named.len() as u128)].concat();
    [vec![u8::from(variant.is_some())], texts(&[name]), texts(variant.as_slice()), counts, texts(&named)].concat()
}

/// The names that were met.
fn names(value: &Any, met: &mut BTreeSet<Vec<u8>>) {
    let of = |fields: &[(Name, Option<Any>)]| fields.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    met.extend(match value {
        Any::UnitStruct(name) => Some(spelled(name, None, 0, &[])),
        Any::Newtype(name, _) => Some(spelled(name, None, 1, &[])),
        Any::Tuple(name, items) => Some(spelled(name, None, items.len(), &[])),
        Any::Struct(name, fields) => Some(spelled(name, None, 0, &of(fields))),
        Any::Variant(name, variant) => Some(spelled(name, Some(variant), 0, &[])),
        Any::NewtypeVariant(name, variant, _) => Some(spelled(name, Some(variant), 1, &[])),
        Any::TupleVariant(name, variant, items) => Some(spelled(name, Some(variant), items.len(), &[])),
        Any::StructVariant(name, variant, fields) => Some(spelled(name, Some(variant), 0, &of(fields))),
        Any::Flat(entries) => {
            let texts = entries.iter().filter_map(|(key, _)| match bare(key) {
                Any::Text(text) => Some(text.as_str()),
                _ => None,
            });
            Some(spelled("", None, 0, &texts.collect::<Vec<_>>()))
        }
        _ => None,
    });
    match value {
        Any::Some(value) | Any::Newtype(_, value) | Any::NewtypeVariant(_, _, value) => names(value, met),
        Any::List(items) | Any::Tuple(_, items) | Any::TupleVariant(_, _, items) => {
            items.iter().for_each(|item| names(item, met));
        }
        Any::Map(entries) | Any::Flat(entries) => entries.iter().for_each(|(key, value)| {
            names(key, met);
            names(value, met);
        }),
        Any::Struct(_, fields) | Any::StructVariant(_, _, fields) => {
            fields.iter().filter_map(|(_, value)| value.as_ref()).for_each(|value| names(value, met));
        }
        _ => {}
    }
}

/// A newtype is what it holds.
fn bare(value: &Any) -> &Any {
    match value {
        Any::Some(value) | Any::Newtype(_, value) => bare(value),
        other => other,
    }
}

fn hash(salt: &[u8; 16], what: u8, bytes: &[u8]) -> Digest {
    Digest(sip64(salt, &[&[what], bytes].concat()))
}

proptest! {
    #[test]
    fn a_digest_is_the_hash_of_the_form_and_of_the_names(all in vec(any_value(), 1..4), salt in any::<[u8; 16]>()) {
        // One after the other on this thread, so that each gets the room of the one before, and meets the names of that again.
        for value in all.iter().flat_map(|value| [value, value]).chain(&all) {
            let mut met = BTreeSet::new();
            names(value, &mut met);
            let names: Vec<u8> = met.into_iter().flatten().collect();
            prop_assert_eq!(digest(&salt, value), Ok((hash(&salt, b'v', &form(value)), hash(&salt, b's', &names))));
        }
    }
}

/// A value that asks for the digest of another one while its own is made.
struct Asking<'a>(&'a Any);

impl Serialize for Asking<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Asking", 2)?;
        fields.serialize_field("a", self.0)?;
        let (value, shape) = digest(&[7; 16], self.0).map_err(serde::ser::Error::custom)?;
        fields.serialize_field("b", &(value.0, shape.0))?;
        fields.end()
    }
}

proptest! {
    #[test]
    fn a_digest_may_be_made_while_another_one_is(value in any_value(), salt in any::<[u8; 16]>()) {
        let (of_value, of_shape) = digest(&[7; 16], &value).unwrap();
        let pair = Any::List(vec![Any::Number(of_value.0.into()), Any::Number(of_shape.0.into())]);
        let same = Any::Struct("Asking", vec![("a", Some(value.clone())), ("b", Some(pair))]);
        prop_assert_eq!(digest(&salt, &Asking(&value)), digest(&salt, &same));
    }
}

/// Names out of few, so that the same ones come twice and in any order.
fn name() -> impl Strategy<Value = Name> {
    prop::sample::select(vec!["", "A", "a", "ab", "b", "item", "order"])
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![name().prop_map(str::to_owned), "\\PC{0,40}", "[a-z]{120,300}"]
}

fn leaf() -> impl Strategy<Value = Any> {
    prop_oneof![
        Just(Any::None),
        Just(Any::Unit),
        any::<bool>().prop_map(Any::Bool),
        any::<i8>().prop_map(|number| Any::Number(number.into())),
        any::<i64>().prop_map(|number| Any::Number(number.into())),
        any::<i128>().prop_map(Any::Number),
        any::<f64>().prop_map(Any::Fraction),
        Just(Any::Fraction(f64::NAN)),
        text().prop_map(Any::Text),
        vec(any::<u8>(), 0..20).prop_map(Any::Bytes),
        name().prop_map(Any::UnitStruct),
        (name(), name()).prop_map(|(name, variant)| Any::Variant(name, variant)),
    ]
}

fn any_value() -> impl Strategy<Value = Any> {
    leaf().prop_recursive(4, 40, 5, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let items = || vec(inner.clone(), 0..5);
        let entries = || vec((inner.clone(), inner.clone()), 0..5);
        let fields = || vec((name(), prop::option::of(inner.clone())), 0..5);
        prop_oneof![
            boxed().prop_map(Any::Some),
            items().prop_map(Any::List),
            entries().prop_map(Any::Map),
            entries().prop_map(Any::Flat),
            (name(), boxed()).prop_map(|(name, value)| Any::Newtype(name, value)),
            (name(), items()).prop_map(|(name, items)| Any::Tuple(name, items)),
            (name(), fields()).prop_map(|(name, fields)| Any::Struct(name, fields)),
            (name(), name(), boxed()).prop_map(|(name, variant, value)| Any::NewtypeVariant(name, variant, value)),
            (name(), name(), items()).prop_map(|(name, variant, items)| Any::TupleVariant(name, variant, items)),
            (name(), name(), fields()).prop_map(|(name, variant, fields)| Any::StructVariant(name, variant, fields)),
        ]
    })
}
