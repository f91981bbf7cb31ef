//! Keyed hashes, all of them SipHash-2-4 over a text that is laid out here. What they give is stored, or is sent to the
//! outside, so the layouts are part of the format and never change.

use std::hash::Hasher;

use siphasher::sip::SipHasher24;
use siphasher::sip128;

use crate::kernel::id::{Digest, RunId};

/// The hash of 64 bits.
#[must_use]
pub fn sip64(key: &[u8; 16], bytes: &[u8]) -> u64 {
    SipHasher24::new_with_key(key).hash(bytes)
}

/// The hash of 128 bits, as bytes: the first half little endian, then the second.
#[must_use]
pub fn sip128(key: &[u8; 16], bytes: &[u8]) -> [u8; 16] {
    sip128::SipHasher24::new_with_key(key).hash(bytes).as_bytes()
}

/// What stands for a workflow id in the memory tables and in the index: [`sip128()`] under the store's id over the length
/// of the namespace (u32 LE), the namespace, and the id.
#[must_use]
pub fn id_hash(store: &[u8; 16], namespace: &str, id: &str) -> [u8; 16] {
    let len = u32::try_from(namespace.len()).unwrap_or(u32::MAX);
    let mut hasher = sip128::SipHasher24::new_with_key(store);
    hasher.write(&len.to_le_bytes());
    hasher.write(namespace.as_bytes());
    hasher.write(id.as_bytes());
    sip128::Hasher128::finish128(&hasher).as_bytes()
}

/// What an activity hands to the outside so that an effect happens once: 32 lower hex digits, the same for every attempt
/// of a call, in every build, for ever. `value` is the digest that was *recorded* in `ActivityScheduled`, `ordinal` counts
/// from 0 the calls before this one that the run recorded with equal name and value.
///
/// It is [`sip128()`] under the run's id over `durable idempotency key 1`, the length of the name (u32 LE), the name, the
/// value (u64 LE) and the ordinal (u32 LE).
#[must_use]
pub fn idempotency_key(run: RunId, name: &str, value: Digest, ordinal: u32) -> String {
    const WHAT: &[u8] = b"durable idempotency key 1";
    let mut text = Vec::with_capacity(WHAT.len() + 4 + name.len() + 8 + 4);
    text.extend_from_slice(WHAT);
    put_text(name, &mut text);
    text.extend_from_slice(&value.0.to_le_bytes());
    text.extend_from_slice(&ordinal.to_le_bytes());
    hex(&sip128(&run.0, &text))
}

/// A text behind its length. No text here comes near 4 GiB: names and ids have limits.
fn put_text(text: &str, out: &mut Vec<u8>) {
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble });
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}
