//! Users' values as recorded bytes, and their digests.

use std::fmt;
use std::hash::Hasher;

use serde::Serialize;
use serde::de::DeserializeOwned;
use siphasher::sip::SipHasher24;

use crate::kernel::event::Payload;
use crate::kernel::id::Digest;

/// How users' values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadCodec {
    /// MessagePack with named fields.
    #[default]
    MessagePack,
    /// JSON.
    Json,
}

/// A value that cannot be recorded, or a record that is no such value.
#[derive(Debug)]
pub struct PayloadError(String);

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PayloadError {}

pub(crate) fn encode<T: Serialize + ?Sized>(codec: PayloadCodec, value: &T) -> Result<Payload, PayloadError> {
    let (header, bytes) = match codec {
        PayloadCodec::MessagePack => (1, rmp_serde::to_vec_named(value).map_err(|e| PayloadError(e.to_string()))?),
        PayloadCodec::Json => (2, serde_json::to_vec(value).map_err(|e| PayloadError(e.to_string()))?),
    };
    let mut all = vec![header];
    all.extend(bytes);
    Ok(all.into())
}

pub(crate) fn decode<T: DeserializeOwned>(payload: &Payload) -> Result<T, PayloadError> {
    match payload.0.split_first() {
        Some((1, bytes)) => rmp_serde::from_slice(bytes).map_err(|e| PayloadError(e.to_string())),
        Some((2, bytes)) => serde_json::from_slice(bytes).map_err(|e| PayloadError(e.to_string())),
        _ => Err(PayloadError("no such codec".to_owned())),
    }
}

pub(crate) fn digest<T: Serialize + ?Sized>(salt: &[u8; 16], value: &T) -> Result<(Digest, Digest), PayloadError> {
    let mut hasher = SipHasher24::new_with_key(salt);
    hasher.write(&encode(PayloadCodec::MessagePack, value)?.0);
    Ok((Digest(hasher.finish()), Digest(0)))
}
