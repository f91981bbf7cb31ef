//! Digests of values and of their shapes, by which a replay sees that a call asks for something else than the journal
//! holds. A value is written in a canonical form that depends on what it is, not on how its type is declared; the form is
//! never stored, only its hash is, and its layout is for ever (`docs/journal-format.md`). It never reads anything back.
//!
//! **Values.** A number is the same in every width, so that `u32` may become `u64`, and `f32` `f64`; all NaNs are one.
//! Structs and maps are maps, sorted by the encoded key. A newtype and `Some` are what they hold; a field that is `None`
//! is as one that is not there.
//!
//! **Shapes.** The set of what has a name: each struct with the names of its fields, each variant that occurred. A set,
//! so that how often, how deep and in which order does not matter: neither the length of a list nor that of a chain of
//! structs changes it. Values do where nothing else is known of the type: an enum shows only the variant that it is, a
//! `None` and an empty list nothing of what they could hold. Numbers, texts, tuples, lists and maps have no names.
//!
//! What this does not do: serde does not tell a `HashSet` from a `Vec`, so the order of a set's items counts, and it is
//! another one in each process. Inputs take a `BTreeSet` instead. A `HashMap` is safe.

use std::cell::Cell;

use serde::ser::{
    self, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant,
};

use super::names::Names;
use super::{LEN_MAX, PayloadError};
use crate::codec::hash::sip64;
use crate::codec::leb;
use crate::kernel::id::Digest;

/// The longest canonical form; a value that needs more is too long for a payload as well.
const FORM_MAX: usize = 16 * LEN_MAX;

/// What is hashed in front of the form.
const VALUES: u8 = b'v';

/// How much room there is for a form at first.
const ROOM: usize = 256;

/// A form that took more is not kept for the next one: a value of megabytes is rare.
const KEPT_MAX: usize = 64 << 10;

/// The same, for how many entries and fields were open at once.
const KEPT_ENTRIES_MAX: usize = 1 << 10;

/// What stands for every NaN.
const NAN_BITS: u64 = 0x7ff8_0000_0000_0000;

/// The tags of the canonical form.
mod tag {
    pub(super) const END: u8 = 0;
    pub(super) const NONE: u8 = 1;
    pub(super) const UNIT: u8 = 2;
    pub(super) const FALSE: u8 = 3;
    pub(super) const TRUE: u8 = 4;
    /// The number, LEB.
    pub(super) const NUMBER: u8 = 5;
    /// -1 less the number, LEB.
    pub(super) const NEGATIVE: u8 = 6;
    /// A number from 2^64 on: 16 bytes, little endian.
    pub(super) const BIG: u8 = 7;
    /// -1 less a number from 2^64 on: 16 bytes, little endian.
    pub(super) const BIG_NEGATIVE: u8 = 8;
    /// The bits of an `f64`, little endian.
    pub(super) const FLOAT: u8 = 9;
    /// The length, LEB, and so many bytes.
    pub(super) const TEXT: u8 = 10;
    /// The length, LEB, and so many bytes.
    pub(super) const BYTES: u8 = 11;
    /// The items, then `END`.
    pub(super) const LIST: u8 = 12;
    /// Keys and values, then `END`.
    pub(super) const MAP: u8 = 13;
    /// The variant's name, as `TEXT` without its tag, and nothing else.
    pub(super) const VARIANT: u8 = 14;
    /// The variant's name, as `TEXT` without its tag, then what it holds.
    pub(super) const HOLDING_VARIANT: u8 = 15;
}

/// The digest of the values and the digest of the shape, under `salt`.
///
/// # Errors
/// [`PayloadError::Encode`] if the value's own `Serialize` refuses, [`PayloadError::TooLong`].
pub fn digest<T: Serialize + ?Sized>(salt: &[u8; 16], value: &T) -> Result<(Digest, Digest), PayloadError> {
    let mut form = Form::of(value)?;
    let values = sip64(salt, &form.out);
    let Form { out, names, .. } = &mut *form;
    let shape = names.digest(salt, out);
    form.give_back();
    Ok((Digest(values), Digest(shape)))
}

/// Refuses a value that holds NaN or an infinity.
pub(super) fn check_finite<T: Serialize + ?Sized>(value: &T) -> Result<(), PayloadError> {
    let form = Form::of(value)?;
    let is_infinite = form.is_infinite;
    form.give_back();
    match is_infinite {
        true => Err(PayloadError::NotFinite),
        false => Ok(()),
    }
}

/// What a value that is bytes, a list of bytes or a text holds.
pub(super) fn raw_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, String> {
    let form = Form::of(value).map_err(|error| error.to_string())?;
    let bytes = bytes_of(form.written());
    form.give_back();
    bytes.ok_or_else(|| "only bytes and texts can be recorded as they are".to_owned())
}

fn bytes_of(mut form: &[u8]) -> Option<Vec<u8>> {
    match leb::take_u8(&mut form).ok()? {
        tag::TEXT | tag::BYTES => {
            let len = leb::take_len(&mut form).ok()?;
            (len == form.len()).then(|| form.to_vec())
        }
        tag::LIST => {
            let mut bytes = Vec::new();
            while let tag::NUMBER = leb::take_u8(&mut form).ok()? {
                bytes.push(u8::try_from(leb::take(&mut form).ok()?).ok()?);
            }
            form.is_empty().then_some(bytes)
        }
        _ => None,
    }
}

thread_local! {
    /// The room of the last form on this thread. Who needs one while somebody above has it, as a value that is made of another one's digest,
    /// gets one of his own.
    static KEPT: Cell<Option<Box<Form>>> = const { Cell::new(None) };
}

/// A value in canonical form while it is written, and the names that were met.
#[derive(Default)]
struct Form {
    /// `VALUES`, then the form.
    out: Vec<u8>,
    /// The entries of the maps that are open, those of the innermost last.
    places: Vec<EntryPlace>,
    /// The fields of the structs that are open, those of the innermost last.
    fields: Vec<&'static str>,
    /// Each struct and variant.
    names: Names,
    is_infinite: bool,
}

impl Form {
    fn of<T: Serialize + ?Sized>(value: &T) -> Result<Box<Form>, PayloadError> {
        let mut form = Form::empty();
        value.serialize(&mut *form).map_err(|error| match error {
            FormError::TooLong => PayloadError::TooLong { limit: LEN_MAX },
            FormError::Refused(why) => PayloadError::Encode { of: std::any::type_name::<T>(), why },
        })?;
        Ok(form)
    }

    fn empty() -> Box<Form> {
        let mut form = KEPT.take().unwrap_or_default();
        form.out.clear();
        form.out.reserve(ROOM);
        form.out.push(VALUES);
        form.places.clear();
        form.fields.clear();
        form.names.clear();
        form.is_infinite = false;
        form
    }

    /// For the next one.
    fn give_back(self: Box<Self>) {
        let is_small = self.out.capacity() <= KEPT_MAX
            && self.places.capacity().max(self.fields.capacity()) <= KEPT_ENTRIES_MAX
            && self.names.is_small();
        if is_small {
            KEPT.set(Some(self));
        }
    }

    /// The form so far.
    fn written(&self) -> &[u8] {
        self.out.get(1..).unwrap_or_default()
    }

    /// Says whether a tag and so many bytes are still to be written.
    fn has_room(&self, len: usize) -> Done {
        // Without `VALUES`, which is no part of the form.
        match self.out.len() - 1 + len < FORM_MAX {
            true => Ok(()),
            false => Err(FormError::TooLong),
        }
    }

    fn tag(&mut self, tag: u8) -> Done {
        self.tagged(tag, &[])
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) -> Done {
        self.has_room(bytes.len())?;
        self.out.push(tag);
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn number(&mut self, tag: u8, number: u64) -> Done {
        self.tag(tag)?;
        leb::put(number, &mut self.out);
        Ok(())
    }

    fn sized(&mut self, tag: u8, bytes: &[u8]) -> Done {
        self.has_room(bytes.len())?;
        match bytes.len() {
            // As `leb` would write it, in one piece.
            len @ 0..0x80 => self.out.extend_from_slice(&[tag, (len & 0x7f) as u8]),
            len => {
                self.out.push(tag);
                leb::put(len as u64, &mut self.out);
            }
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

#[derive(Debug)]
enum FormError {
    TooLong,
    Refused(String),
}

impl std::fmt::Display for FormError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FormError::TooLong => f.write_str("it is too long"),
            FormError::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for FormError {}

impl ser::Error for FormError {
    fn custom<T: std::fmt::Display>(why: T) -> Self {
        FormError::Refused(why.to_string())
    }
}

type Done = Result<(), FormError>;

impl<'a> ser::Serializer for &'a mut Form {
    type Ok = ();
    type Error = FormError;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Done {
        self.tag(if value { tag::TRUE } else { tag::FALSE })
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Done {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Done {
        match u64::try_from(value) {
            Ok(number) => self.number(tag::NUMBER, number),
            Err(_) => self.number(tag::NEGATIVE, value.unsigned_abs() - 1),
        }
    }

    fn serialize_i128(self, value: i128) -> Done {
        if let Ok(value) = u128::try_from(value) {
            return self.serialize_u128(value);
        }
        let less = value.unsigned_abs() - 1;
        match u64::try_from(less) {
            Ok(number) => self.number(tag::NEGATIVE, number),
            Err(_) => self.tagged(tag::BIG_NEGATIVE, &less.to_le_bytes()),
        }
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.number(tag::NUMBER, value.into())
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.number(tag::NUMBER, value.into())
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.number(tag::NUMBER, value.into())
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.number(tag::NUMBER, value)
    }

    fn serialize_u128(self, value: u128) -> Done {
        match u64::try_from(value) {
            Ok(number) => self.number(tag::NUMBER, number),
            Err(_) => self.tagged(tag::BIG, &value.to_le_bytes()),
        }
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.is_infinite |= !value.is_finite();
        let bits = if value.is_nan() { NAN_BITS } else { value.to_bits() };
        self.tagged(tag::FLOAT, &bits.to_le_bytes())
    }

    fn serialize_char(self, value: char) -> Done {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        self.sized(tag::TEXT, value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.sized(tag::BYTES, value)
    }

    fn serialize_none(self) -> Done {
        self.tag(tag::NONE)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.tag(tag::UNIT)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Done {
        self.names.add(name, None, 0);
        self.tag(tag::UNIT)
    }

    fn serialize_unit_variant(self, name: &'static str, _index: u32, variant: &'static str) -> Done {
        self.names.add(name, Some(variant), 0);
        self.sized(tag::VARIANT, variant.as_bytes())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Done {
        self.names.add(name, None, 1);
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.names.add(name, Some(variant), 1);
        self.sized(tag::HOLDING_VARIANT, variant.as_bytes())?;
        value.serialize(self)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'a>, FormError> {
        self.tag(tag::LIST)?;
        Ok(List { form: self })
    }

    fn serialize_tuple(self, _len: usize) -> Result<List<'a>, FormError> {
        self.serialize_seq(None)
    }

    fn serialize_tuple_struct(self, name: &'static str, len: usize) -> Result<List<'a>, FormError> {
        self.names.add(name, None, len);
        self.serialize_seq(None)
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<List<'a>, FormError> {
        self.names.add(name, Some(variant), len);
        self.sized(tag::HOLDING_VARIANT, variant.as_bytes())?;
        self.serialize_seq(None)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Entries<'a>, FormError> {
        self.tag(tag::MAP)?;
        // What is flattened gives no count in advance, a map does: its keys are then names of fields.
        Ok(Entries {
            begin: self.places.len(),
            start: self.out.len(),
            form: self,
            fields: len.is_none().then(Vec::new),
        })
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Fields<'a>, FormError> {
        Fields::begin(self, name, None)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Fields<'a>, FormError> {
        self.sized(tag::HOLDING_VARIANT, variant.as_bytes())?;
        Fields::begin(self, name, Some(variant))
    }
}

/// A list or a tuple while it is written.
struct List<'a> {
    form: &'a mut Form,
}

impl List<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut *self.form)
    }

    fn close(self) -> Done {
        self.form.tag(tag::END)
    }
}

impl SerializeSeq for List<'_> {
    type Ok = ();
    type Error = FormError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.item(value)
    }

    fn end(self) -> Done {
        self.close()
    }
}

impl SerializeTuple for List<'_> {
    type Ok = ();
    type Error = FormError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.item(value)
    }

    fn end(self) -> Done {
        self.close()
    }
}

impl SerializeTupleStruct for List<'_> {
    type Ok = ();
    type Error = FormError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.item(value)
    }

    fn end(self) -> Done {
        self.close()
    }
}

impl SerializeTupleVariant for List<'_> {
    type Ok = ();
    type Error = FormError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.item(value)
    }

    fn end(self) -> Done {
        self.close()
    }
}

/// Where an entry stands in the form: its key, then its value up to the next entry.
#[derive(Clone, Copy)]
struct EntryPlace {
    key: usize,
    value: usize,
    end: usize,
}

/// A map while it is written.
struct Entries<'a> {
    form: &'a mut Form,
    /// From where on the places are its own.
    begin: usize,
    start: usize,
    /// The keys that are texts, if what is written is a flattened struct.
    fields: Option<Vec<String>>,
}

impl Entries<'_> {
    fn key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        let start = self.form.out.len();
        key.serialize(&mut *self.form)?;
        let value = self.form.out.len();
        self.form.places.push(EntryPlace { key: start, value, end: value });
        Ok(())
    }

    /// Writes the value of the last key.
    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut *self.form)?;
        let end = self.form.out.len();
        if let Some(place) = self.form.places.get_mut(self.begin..).and_then(<[_]>::last_mut) {
            place.end = end;
        }
        Ok(())
    }

    fn last(&self) -> Option<EntryPlace> {
        self.form.places.get(self.begin..)?.last().copied()
    }

    /// Forgets the last entry if its value is `None`.
    fn forget_none(&mut self) {
        let Some(last) = self.last() else { return };
        if self.form.out.get(last.value..last.end) == Some(&[tag::NONE]) {
            self.form.out.truncate(last.key);
            self.form.places.pop();
        }
    }

    fn last_key(&self) -> Option<String> {
        let last = self.last()?;
        let key = self.form.out.get(last.key..last.value)?;
        let bytes = key.first().filter(|first| **first == tag::TEXT).and_then(|_| bytes_of(key))?;
        String::from_utf8(bytes).ok()
    }

    /// Sorts the entries by their encoded keys and closes the map. Of equal keys the order of writing stands.
    fn close(self) -> Done {
        let Entries { form, begin, start, .. } = self;
        let Form { out, places, .. } = &mut *form;
        let own = places.get_mut(begin..).unwrap_or_default();
        let key = |place: &EntryPlace| out.get(place.key..place.value).unwrap_or_default();
        if !own.is_sorted_by(|a, b| key(a) <= key(b)) {
            own.sort_by(|a, b| key(a).cmp(key(b)));
            let entries = own.iter().filter_map(|place| out.get(place.key..place.end));
            let sorted: Vec<u8> = entries.flatten().copied().collect();
            out.truncate(start);
            out.extend_from_slice(&sorted);
        }
        places.truncate(begin);
        form.tag(tag::END)
    }
}

impl SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = FormError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.value(value)?;
        if let Some(mut fields) = self.fields.take() {
            fields.extend(self.last_key());
            self.fields = Some(fields);
            self.forget_none();
        }
        Ok(())
    }

    fn end(mut self) -> Done {
        if let Some(fields) = self.fields.take() {
            let mut fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            self.form.names.add_flattened(&mut fields);
        }
        self.close()
    }
}

/// A struct, or a variant with named fields, while it is written.
struct Fields<'a> {
    entries: Entries<'a>,
    name: &'static str,
    variant: Option<&'static str>,
    /// From where on the fields are its own.
    begin: usize,
}

impl<'a> Fields<'a> {
    fn begin(form: &'a mut Form, name: &'static str, variant: Option<&'static str>) -> Result<Self, FormError> {
        let begin = form.fields.len();
        let entries = ser::Serializer::serialize_map(form, Some(0))?;
        Ok(Fields { entries, name, variant, begin })
    }

    fn skip(&mut self, field: &'static str) {
        self.entries.form.fields.push(field);
    }

    fn field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Done {
        self.skip(field);
        let form = &mut *self.entries.form;
        let key = form.out.len();
        form.sized(tag::TEXT, field.as_bytes())?;
        let at = form.out.len();
        value.serialize(&mut *form)?;
        match form.out.get(at..) {
            Some(&[tag::NONE]) => form.out.truncate(key),
            _ => form.places.push(EntryPlace { key, value: at, end: form.out.len() }),
        }
        Ok(())
    }

    fn close(self) -> Done {
        let Fields { entries, name, variant, begin } = self;
        let Form { fields, names, .. } = &mut *entries.form;
        names.add_fielded(name, variant, fields.get_mut(begin..).unwrap_or_default());
        fields.truncate(begin);
        entries.close()
    }
}

impl SerializeStruct for Fields<'_> {
    type Ok = ();
    type Error = FormError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Done {
        self.field(field, value)
    }

    fn skip_field(&mut self, field: &'static str) -> Done {
        self.skip(field);
        Ok(())
    }

    fn end(self) -> Done {
        self.close()
    }
}

impl SerializeStructVariant for Fields<'_> {
    type Ok = ();
    type Error = FormError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, field: &'static str, value: &T) -> Done {
        self.field(field, value)
    }

    fn skip_field(&mut self, field: &'static str) -> Done {
        self.skip(field);
        Ok(())
    }

    fn end(self) -> Done {
        self.close()
    }
}
