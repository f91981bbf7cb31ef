//! What stands before a value: how it is encoded, under which transform, and where it was made if not here.
//!
//! ```text
//! bits 0..4 codec, bit 4 transform follows, bit 5 origin follows, the others 0
//! transform: id u8 | key id length u8 | key id
//! origin: run id, 16 bytes | seq u32 LE
//! ```

use super::{LEN_MAX, PayloadCodec, PayloadError};
use crate::codec::{DecodeError, leb};
use crate::kernel::event::Payload;
use crate::kernel::id::{RunId, Seq};

const CODEC: u8 = 0x0f;
const TRANSFORM: u8 = 1 << 4;
const ORIGIN: u8 = 1 << 5;
const UNUSED: u8 = 0xc0;

/// A payload, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header<'a> {
    /// How the value is encoded.
    pub codec: PayloadCodec,
    /// What was done to the encoded value.
    pub transform: Option<Transform<'a>>,
    /// Where it was made, if not in the journal where it stands.
    pub origin: Option<(RunId, Seq)>,
    /// The encoded value.
    pub body: &'a [u8],
}

/// What was done to an encoded value: encryption, compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transform<'a> {
    /// Which transform.
    pub id: u8,
    /// With which key; empty if it needs none.
    pub key: &'a [u8],
}

/// Takes a payload apart.
///
/// # Errors
/// [`PayloadError::Absent`] or [`PayloadError::Malformed`].
#[inline]
pub fn header(payload: &Payload) -> Result<Header<'_>, PayloadError> {
    let Some((first, body)) = payload.0.split_first() else { return Err(PayloadError::Absent) };
    // Most are neither transformed nor of another journal.
    if let Some(codec) = codec_of(*first) {
        return Ok(Header { codec, transform: None, origin: None, body });
    }
    parse(&payload.0).map_err(malformed)
}

fn malformed(error: DecodeError) -> PayloadError {
    match error {
        DecodeError::Value { rule } => PayloadError::Malformed { why: rule },
        _ => PayloadError::Malformed { why: "it ends inside its header" },
    }
}

fn parse(mut bytes: &[u8]) -> Result<Header<'_>, DecodeError> {
    let first = leb::take_u8(&mut bytes)?;
    if first & UNUSED != 0 {
        return Err(DecodeError::Value { rule: "its header has bits that this build does not know" });
    }
    let Some(codec) = codec_of(first & CODEC) else {
        return Err(DecodeError::Value { rule: "it is in a codec that this build does not know" });
    };
    let transform = (first & TRANSFORM != 0).then(|| take_transform(&mut bytes)).transpose()?;
    let origin = (first & ORIGIN != 0).then(|| take_origin(&mut bytes)).transpose()?;
    Ok(Header { codec, transform, origin, body: bytes })
}

#[inline]
fn codec_of(number: u8) -> Option<PayloadCodec> {
    match number {
        1 => Some(PayloadCodec::MessagePack),
        2 => Some(PayloadCodec::Json),
        3 => Some(PayloadCodec::Raw),
        _ => None,
    }
}

fn take_transform<'a>(bytes: &mut &'a [u8]) -> Result<Transform<'a>, DecodeError> {
    let id = leb::take_u8(bytes)?;
    let len = leb::take_u8(bytes)?;
    Ok(Transform { id, key: leb::take_bytes(bytes, len.into())? })
}

fn take_origin(bytes: &mut &[u8]) -> Result<(RunId, Seq), DecodeError> {
    let run = RunId(leb::take_array(bytes)?);
    Ok((run, Seq(u32::from_le_bytes(leb::take_array(bytes)?))))
}

/// The first byte of a payload without transform and origin.
pub(super) fn plain(codec: PayloadCodec) -> u8 {
    match codec {
        PayloadCodec::MessagePack => 1,
        PayloadCodec::Json => 2,
        PayloadCodec::Raw => 3,
    }
}

impl Header<'_> {
    /// The payload that this header and body make.
    ///
    /// # Errors
    /// [`PayloadError::TooLong`] above [`LEN_MAX`]; [`PayloadError::Malformed`] if the key's id has more than 255 bytes.
    pub fn encode(&self) -> Result<Payload, PayloadError> {
        let mut out = vec![plain(self.codec)];
        if let Some(Transform { id, key }) = self.transform {
            let len = u8::try_from(key.len()).map_err(|_| PayloadError::Malformed { why: "a key's id is too long" })?;
            mark(&mut out, TRANSFORM);
            out.extend_from_slice(&[id, len]);
            out.extend_from_slice(key);
        }
        if let Some((run, seq)) = self.origin {
            mark(&mut out, ORIGIN);
            out.extend_from_slice(&run.0);
            out.extend_from_slice(&seq.0.to_le_bytes());
        }
        out.extend_from_slice(self.body);
        if out.len() > LEN_MAX {
            return Err(PayloadError::TooLong { limit: LEN_MAX });
        }
        Ok(out.into())
    }
}

fn mark(out: &mut [u8], bit: u8) {
    if let Some(first) = out.first_mut() {
        *first |= bit;
    }
}

/// The payload with its origin written into it, for a journal other than that of `run`. One that has an origin keeps it.
///
/// # Errors
/// As [`header`] and [`Header::encode`].
pub fn with_origin(payload: &Payload, run: RunId, seq: Seq) -> Result<Payload, PayloadError> {
    let mut header = header(payload)?;
    if header.origin.is_some() {
        return Ok(payload.clone());
    }
    header.origin = Some((run, seq));
    header.encode()
}
