//! Payloads for the eyes of people: whatever is recorded as a JSON value. Never used to read a value back.

use std::fmt;

use serde::de::{Deserialize, Deserializer, EnumAccess, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};

use super::{Header, PayloadCodec, PayloadError, Transform, encoded, header};
use crate::kernel::event::Payload;

/// The payload as JSON, for tools. Total: bytes become `{"$bytes": "<hex>"}`, NaN and the infinities their names, keys
/// that are numbers, truths or null their JSON text, a map with a list or a map among its keys
/// `{"$entries": [[key, value], ..]}`; what cannot be read says why, beside its bytes; what is absent is null. As long as
/// a small multiple of the payload.
#[must_use]
pub fn to_json(payload: &Payload) -> Value {
    match header(payload).and_then(|header| of_header(&header)) {
        Ok(value) => value,
        Err(PayloadError::Absent) => Value::Null,
        Err(error) => json!({ "$unreadable": error.to_string(), "$bytes": hex(&payload.0) }),
    }
}

fn of_header(header: &Header<'_>) -> Result<Value, PayloadError> {
    let Header { codec, transform, body, .. } = *header;
    if let Some(Transform { id, key }) = transform {
        return Ok(json!({ "$transform": id, "$key": String::from_utf8_lossy(key), "$bytes": hex(body) }));
    }
    encoded::check(codec, body)?;
    let why = |why: String| PayloadError::Decode { wanted: "value", why };
    match codec {
        PayloadCodec::MessagePack => {
            rmp_serde::from_slice(body).map(|Shown(value)| value).map_err(|error| why(error.to_string()))
        }
        PayloadCodec::Json => serde_json::from_slice(body).map_err(|error| why(error.to_string())),
        PayloadCodec::Raw => Ok(of_bytes(body)),
    }
}

fn of_bytes(bytes: &[u8]) -> Value {
    json!({ "$bytes": hex(bytes) })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key's JSON text as a name would have to be escaped, and so again on each level around it: the text would double with
/// each map that is a key of a map.
fn of_entries(entries: Vec<(Value, Value)>) -> Value {
    if entries.iter().any(|(key, _)| key.is_array() || key.is_object()) {
        return json!({ "$entries": entries });
    }
    let name = |key| match key {
        Value::String(key) => key,
        other => other.to_string(),
    };
    entries.into_iter().map(|(key, value)| (name(key), value)).collect::<Map<_, _>>().into()
}

/// A value of any type.
struct Shown(Value);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Shown)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(of_bytes(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Shown(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(all.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some((Shown(key), Shown(value))) = entries.next_entry()? {
            all.push((key, value));
        }
        Ok(of_entries(all))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, choice: A) -> Result<Value, A::Error> {
        choice.variant::<Shown>().map(|(Shown(value), _)| value)
    }
}
