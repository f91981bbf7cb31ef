//! Users' values as bytes: a header and the value in a self-describing codec, so that a field that was added, dropped,
//! reordered or widened since reads back right. Pure: what a transform (encryption, compression) needs is the shell's
//! affair. It never keeps a value that could not be read back: limits are checked when it is written.
//!
//! | | field added (`default`), dropped, reordered | widened | `untagged`, `tag`, `flatten`, `skip_serializing_if` | NaN | bytes |
//! |---|---|---|---|---|---|
//! | MessagePack, named | ok | ok | ok | ok | ok; a `Vec<u8>` as a list of numbers |
//! | JSON | ok | ok | ok | refused when written | as a list of numbers |
//!
//! Neither tells `Some(None)` or `Some(())` from `None`.

mod digest;
mod encoded;
mod header;
mod names;
mod room;
mod shown;

use std::any::type_name;
use std::fmt;
use std::io;

use serde::Serialize;
use serde::de::value::BytesDeserializer;
use serde::de::{DeserializeOwned, value::Error as ValueError};

pub use digest::digest;
pub use header::{Header, Transform, header, with_origin};
pub use shown::to_json;

use crate::kernel::event::Payload;

/// The longest payload, its header included: 4 MiB.
pub const LEN_MAX: usize = 4 << 20;

/// How deep lists and maps may stand in one another: 100.
pub const DEPTH_MAX: usize = 100;

/// How a value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum PayloadCodec {
    /// MessagePack with named fields (the default).
    #[default]
    MessagePack,
    /// JSON. It cannot hold NaN or an infinity, and only texts and numbers as keys of maps.
    Json,
    /// The value is bytes, as they are.
    Raw,
}

/// Why a value could not be written as a payload, or read back from one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PayloadError {
    /// It is longer than [`LEN_MAX`].
    TooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// Lists and maps stand in one another deeper than [`DEPTH_MAX`].
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// JSON cannot hold NaN or an infinity: it would come back as null.
    NotFinite,
    /// The value's own `Serialize` refused, or the codec cannot hold it.
    Encode {
        /// The Rust type.
        of: &'static str,
        /// What was said.
        why: String,
    },
    /// The bytes are not a value of the type that was asked for.
    Decode {
        /// The Rust type.
        wanted: &'static str,
        /// What was said.
        why: String,
    },
    /// There is no value: the payload is empty.
    Absent,
    /// The bytes are no payload.
    Malformed {
        /// What is wrong with them.
        why: &'static str,
    },
    /// The payload is under a transform that has to be undone first.
    Transformed {
        /// The transform's number.
        id: u8,
        /// The key's id.
        key: Vec<u8>,
    },
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PayloadError::TooLong { limit } => {
                write!(f, "a value takes more than {limit} bytes; store it elsewhere and record where it is")
            }
            PayloadError::TooDeep { limit } => write!(f, "lists and maps stand in one another deeper than {limit}"),
            PayloadError::NotFinite => {
                f.write_str("json cannot hold NaN or an infinity; use the MessagePack codec for such values")
            }
            PayloadError::Encode { of, why } => write!(f, "cannot write a `{of}`: {why}"),
            PayloadError::Decode { wanted, why } => write!(f, "the recorded value is no `{wanted}`: {why}"),
            PayloadError::Absent => f.write_str("no value was recorded"),
            PayloadError::Malformed { why } => write!(f, "the recorded bytes are no payload: {why}"),
            PayloadError::Transformed { id, .. } => write!(f, "the payload is under transform {id}, undo that first"),
        }
    }
}

impl std::error::Error for PayloadError {}

/// Why a recorded value cannot be had, with what to do where that is known.
pub(crate) fn way_out(error: &PayloadError) -> String {
    match error {
        PayloadError::Decode { .. } => {
            format!("{error}; give new fields a `#[serde(default)]`, or bring the old type back")
        }
        other => other.to_string(),
    }
}

/// The value as a payload, at most [`LEN_MAX`] bytes. With [`PayloadCodec::Raw`] the value must be bytes or text.
///
/// # Errors
/// [`PayloadError::TooLong`], [`PayloadError::TooDeep`], [`PayloadError::NotFinite`], or [`PayloadError::Encode`].
pub fn encode<T: Serialize + ?Sized>(codec: PayloadCodec, value: &T) -> Result<Payload, PayloadError> {
    let mut out = Bounded { bytes: room::take(), is_full: false };
    let encoded = encode_to(&mut out, codec, value);
    let payload = encoded.map(|()| Payload(out.bytes.as_slice().into()));
    room::give_back(out.bytes);
    payload
}

fn encode_to<T: Serialize + ?Sized>(out: &mut Bounded, codec: PayloadCodec, value: &T) -> Result<(), PayloadError> {
    out.bytes.push(header::plain(codec));
    let written = match codec {
        PayloadCodec::MessagePack => {
            let mut serializer = rmp_serde::Serializer::new(&mut *out).with_struct_map();
            value.serialize(&mut serializer).map_err(|error| error.to_string())
        }
        PayloadCodec::Json => {
            digest::check_finite(value)?;
            serde_json::to_writer(&mut *out, value).map_err(|error| error.to_string())
        }
        PayloadCodec::Raw => digest::raw_bytes(value).and_then(|bytes| {
            let written = io::Write::write_all(out, &bytes);
            written.map_err(|error| error.to_string())
        }),
    };
    if out.is_full {
        return Err(PayloadError::TooLong { limit: LEN_MAX });
    }
    written.map_err(|why| PayloadError::Encode { of: type_name::<T>(), why })?;
    encoded::check(codec, out.bytes.get(1..).unwrap_or_default())
}

/// The value that a payload holds.
///
/// # Errors
/// [`PayloadError::Decode`] if it is a value of another type, else what is wrong with the bytes. Never panics, and sets
/// no more memory aside than a small multiple of the payload's length.
pub fn decode<T: DeserializeOwned>(payload: &Payload) -> Result<T, PayloadError> {
    let Header { codec, transform, body, .. } = header(payload)?;
    if let Some(Transform { id, key }) = transform {
        return Err(PayloadError::Transformed { id, key: key.to_vec() });
    }
    encoded::check(codec, body)?;
    let value = match codec {
        PayloadCodec::MessagePack => rmp_serde::from_slice(body).map_err(|error| error.to_string()),
        PayloadCodec::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        PayloadCodec::Raw => {
            let bytes = BytesDeserializer::<ValueError>::new(body);
            T::deserialize(bytes).map_err(|error| error.to_string())
        }
    };
    value.map_err(|why| PayloadError::Decode { wanted: type_name::<T>(), why })
}

/// Bytes that stop growing at [`LEN_MAX`].
struct Bounded {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        self.write_all(more).map(|()| more.len())
    }

    // Encoders write in many small pieces: this is the one that they call, and it takes each as a whole.
    #[inline]
    fn write_all(&mut self, more: &[u8]) -> io::Result<()> {
        if more.len() > LEN_MAX - self.bytes.len() {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
