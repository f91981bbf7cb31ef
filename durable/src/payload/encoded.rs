//! A look at encoded values before a decoder is let loose on them, and before they are recorded: whether they are one
//! whole value, and not too deep. A decoder that recurses into a list in a list in a list would end the process, and a
//! length without bytes behind it would have it set memory aside. No recursion here.

use super::{DEPTH_MAX, PayloadCodec, PayloadError};
use crate::codec::{DecodeError, leb};

/// Checks that `body` is one value that is not too deep. Of JSON only the depth is looked at: its decoder needs no more.
pub(super) fn check(codec: PayloadCodec, body: &[u8]) -> Result<(), PayloadError> {
    match codec {
        PayloadCodec::MessagePack => check_message_pack(body),
        PayloadCodec::Json => check_json(body),
        PayloadCodec::Raw => Ok(()),
    }
}

fn check_message_pack(mut bytes: &[u8]) -> Result<(), PayloadError> {
    // How deep this level is and how many values are still to come in it; the same of those around it that are not at their end.
    let (mut depth, mut left) = (0usize, 1u64);
    let mut around: Vec<(usize, u64)> = Vec::new();
    loop {
        if left == 0 {
            let Some(outside) = around.pop() else { break };
            (depth, left) = outside;
        }
        left -= 1;
        match step_into(&mut bytes) {
            Ok(0) => {}
            Ok(_) if depth >= DEPTH_MAX => return Err(PayloadError::TooDeep { limit: DEPTH_MAX }),
            Ok(inside) if inside <= bytes.len() as u64 => {
                if left > 0 {
                    around.push((depth, left));
                }
                (depth, left) = (depth + 1, inside);
            }
            Ok(_) | Err(DecodeError::Ended { .. }) => return Err(PayloadError::Malformed { why: "it ends too early" }),
            Err(_) => return Err(PayloadError::Malformed { why: "it is no MessagePack" }),
        }
    }
    match bytes.is_empty() {
        true => Ok(()),
        false => Err(PayloadError::Malformed { why: "bytes follow the value" }),
    }
}

/// Takes one value off the front, but not what is inside it; gives how many values are.
fn step_into(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let marker = leb::take_u8(bytes)?;
    let (skip, inside) = match marker {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, 0),
        0x80..=0x8f => (0, 2 * u64::from(marker & 0x0f)),
        0x90..=0x9f => (0, u64::from(marker & 0x0f)),
        0xa0..=0xbf => (u64::from(marker & 0x1f), 0),
        0xc4 | 0xd9 => (take_be::<1>(bytes)?, 0),
        0xc5 | 0xda => (take_be::<2>(bytes)?, 0),
        0xc6 | 0xdb => (take_be::<4>(bytes)?, 0),
        0xc7 => (1 + take_be::<1>(bytes)?, 0),
        0xc8 => (1 + take_be::<2>(bytes)?, 0),
        0xc9 => (1 + take_be::<4>(bytes)?, 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 | 0xd4 => (2, 0),
        0xd5 => (3, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xd6 => (5, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xd7 => (9, 0),
        0xd8 => (17, 0),
        0xdc => (0, take_be::<2>(bytes)?),
        0xdd => (0, take_be::<4>(bytes)?),
        0xde => (0, 2 * take_be::<2>(bytes)?),
        0xdf => (0, 2 * take_be::<4>(bytes)?),
        0xc1 => return Err(DecodeError::Choice { of: "MessagePack marker", found: marker.into() }),
    };
    leb::take_bytes(bytes, usize::try_from(skip).map_err(|_| DecodeError::Ended { missing: skip })?)?;
    Ok(inside)
}

fn take_be<const N: usize>(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let taken = leb::take_array::<N>(bytes)?;
    Ok(taken.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn check_json(body: &[u8]) -> Result<(), PayloadError> {
    let mut depth = 0usize;
    let mut is_text = false;
    let mut is_escaped = false;
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b'[' | b'{' if !is_text => depth += 1,
            b']' | b'}' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return Err(PayloadError::TooDeep { limit: DEPTH_MAX });
        }
    }
    Ok(())
}
