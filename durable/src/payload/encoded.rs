//! A look at encoded values before a decoder is let loose on them, and before they are recorded: whether they are one
//! whole value, and not too deep. A decoder that recurses into a list in a list in a list would end the process, and a
//! length without bytes behind it would have it set memory aside. No recursion here.

use super::{DEPTH_MAX, PayloadCodec, PayloadError};

/// Checks that `body` is one value that is not too deep. Of JSON only the depth is looked at: its decoder needs no more.
pub(super) fn check(codec: PayloadCodec, body: &[u8]) -> Result<(), PayloadError> {
    match codec {
        PayloadCodec::MessagePack => check_message_pack(body),
        PayloadCodec::Json => check_json(body),
        PayloadCodec::Raw => Ok(()),
    }
}

fn check_message_pack(bytes: &[u8]) -> Result<(), PayloadError> {
    if is_flat(bytes) { Ok(()) } else { check_nested(bytes) }
}

/// Whether the bytes are one whole value and certainly not too deep: a short text, a number, or few of these in a list or a map, as most
/// arguments and results are.
fn is_flat(bytes: &[u8]) -> bool {
    let Some((marker, mut rest)) = bytes.split_first() else { return false };
    let inside = match marker {
        0x80..=0x8f => 2 * (marker & 0x0f),
        0x90..=0x9f => marker & 0x0f,
        _ => return behind_leaf(bytes).is_some_and(<[u8]>::is_empty),
    };
    for _ in 0..inside {
        let Some(behind) = behind_leaf(rest) else { return false };
        rest = behind;
    }
    rest.is_empty()
}

/// What follows a value in which there are no others; nothing where that takes a closer look.
#[inline]
fn behind_leaf(bytes: &[u8]) -> Option<&[u8]> {
    let (marker, rest) = bytes.split_first()?;
    let skip = match LEAVES[usize::from(*marker)] {
        SIZED => 1 + usize::from(*rest.first()?),
        OTHER => return None,
        skip => usize::from(skip),
    };
    rest.get(skip..)
}

/// By marker, how many bytes follow it.
const LEAVES: [u8; 256] = {
    let mut leaves = [OTHER; 256];
    let mut marker = 0u8;
    loop {
        leaves[marker as usize] = match marker {
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => 0,
            0xa0..=0xbf => marker & 0x1f,
            0xc4 | 0xd9 => SIZED,
            0xcc | 0xd0 => 1,
            0xcd | 0xd1 => 2,
            0xca | 0xce | 0xd2 => 4,
            0xcb | 0xcf | 0xd3 => 8,
            _ => OTHER,
        };
        if marker == u8::MAX {
            break leaves;
        }
        marker += 1;
    }
};

/// So many as the next byte says.
const SIZED: u8 = 0xfe;

/// It is not told by this table.
const OTHER: u8 = 0xff;

fn check_nested(mut bytes: &[u8]) -> Result<(), PayloadError> {
    // How deep this level is and how many values are still to come in it; the same of those around it that are not at their end.
    let (mut depth, mut left) = (0usize, 1u64);
    let mut around: Vec<(usize, u64)> = Vec::new();
    loop {
        if left == 0 {
            let Some(outside) = around.pop() else { break };
            (depth, left) = outside;
        }
        left -= 1;
        match step_into(&mut bytes)? {
            0 => {}
            _ if depth >= DEPTH_MAX => return Err(PayloadError::TooDeep { limit: DEPTH_MAX }),
            inside if inside <= bytes.len() as u64 => {
                if left > 0 {
                    around.push((depth, left));
                }
                (depth, left) = (depth + 1, inside);
            }
            _ => return Err(Stop::Early.into()),
        }
    }
    match bytes.is_empty() {
        true => Ok(()),
        false => Err(PayloadError::Malformed { why: "bytes follow the value" }),
    }
}

/// Why the look at a value goes no further. It is small, unlike what is made of it: every value of every payload passes here.
enum Stop {
    /// The bytes end before the value does.
    Early,
    /// The marker is none.
    Unknown,
}

impl From<Stop> for PayloadError {
    #[cold]
    fn from(stop: Stop) -> PayloadError {
        let why = match stop {
            Stop::Early => "it ends too early",
            Stop::Unknown => "it is no MessagePack",
        };
        PayloadError::Malformed { why }
    }
}

/// Takes one value off the front, but not what is inside it; gives how many values are.
#[inline]
fn step_into(bytes: &mut &[u8]) -> Result<u64, Stop> {
    let (marker, rest) = bytes.split_first().ok_or(Stop::Early)?;
    *bytes = rest;
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
        0xc1 => return Err(Stop::Unknown),
    };
    *bytes = usize::try_from(skip).ok().and_then(|skip| bytes.get(skip..)).ok_or(Stop::Early)?;
    Ok(inside)
}

#[inline]
fn take_be<const N: usize>(bytes: &mut &[u8]) -> Result<u64, Stop> {
    let (taken, rest) = bytes.split_first_chunk::<N>().ok_or(Stop::Early)?;
    *bytes = rest;
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The same, by recursion: what is left behind one value.
    fn plain(bytes: &[u8], depth: usize) -> Result<&[u8], PayloadError> {
        let early = || PayloadError::Malformed { why: "it ends too early" };
        let be = |bytes: &[u8], len: usize| -> Result<usize, PayloadError> {
            let taken = bytes.get(1..1 + len).ok_or_else(early)?;
            Ok(taken.iter().fold(0, |number, byte| number * 256 + usize::from(*byte)))
        };
        let marker = *bytes.first().ok_or_else(early)?;
        // How many bytes the marker and its length take, how many follow, how many values do.
        let (head, skip, inside) = match marker {
            0x80..=0x8f => (1, 0, usize::from(marker - 0x80) * 2),
            0x90..=0x9f => (1, 0, usize::from(marker - 0x90)),
            0xa0..=0xbf => (1, usize::from(marker - 0xa0), 0),
            0xc1 => return Err(PayloadError::Malformed { why: "it is no MessagePack" }),
            0xc4..=0xc6 => (1 + (1 << (marker - 0xc4)), be(bytes, 1 << (marker - 0xc4))?, 0),
            0xc7..=0xc9 => (1 + (1 << (marker - 0xc7)), 1 + be(bytes, 1 << (marker - 0xc7))?, 0),
            0xca => (1, 4, 0),
            0xcb => (1, 8, 0),
            0xcc..=0xcf => (1, 1 << (marker - 0xcc), 0),
            0xd0..=0xd3 => (1, 1 << (marker - 0xd0), 0),
            0xd4..=0xd8 => (1, 1 + (1 << (marker - 0xd4)), 0),
            0xd9..=0xdb => (1 + (1 << (marker - 0xd9)), be(bytes, 1 << (marker - 0xd9))?, 0),
            0xdc | 0xdd => (1 + (2 << (marker - 0xdc)), 0, be(bytes, 2 << (marker - 0xdc))?),
            0xde | 0xdf => (1 + (2 << (marker - 0xde)), 0, 2 * be(bytes, 2 << (marker - 0xde))?),
            _ => (1, 0, 0),
        };
        let mut rest = bytes.get(head + skip..).ok_or_else(early)?;
        match inside {
            0 => return Ok(rest),
            _ if depth >= DEPTH_MAX => return Err(PayloadError::TooDeep { limit: DEPTH_MAX }),
            _ if inside > rest.len() => return Err(early()),
            _ => {}
        }
        for _ in 0..inside {
            rest = plain(rest, depth + 1)?;
        }
        Ok(rest)
    }

    fn is_as_plain(bytes: &[u8]) {
        let whole = plain(bytes, 0).and_then(|rest| match rest {
            [] => Ok(()),
            _ => Err(PayloadError::Malformed { why: "bytes follow the value" }),
        });
        assert_eq!(check(PayloadCodec::MessagePack, bytes), whole, "{bytes:02x?}");
    }

    #[test]
    fn every_marker_is_looked_at_as_it_is_by_recursion() {
        for marker in 0..=u8::MAX {
            for len in 0..24 {
                for more in [0, 1, 2, 0x81, 0xff] {
                    is_as_plain(&[vec![marker], vec![more; len]].concat());
                    is_as_plain(&[vec![0x92, marker], vec![0, 0, 0, 2], vec![more; len]].concat());
                }
            }
        }
    }

    #[test]
    fn the_deepest_are_looked_at_as_they_are_by_recursion() {
        for depth in DEPTH_MAX - 2..DEPTH_MAX + 3 {
            for (open, end) in [(&b"\x91"[..], &b"\x07"[..]), (b"\x81\xa1k", b"\xa0"), (b"\x92\x00", b"\x90")] {
                is_as_plain(&[open.repeat(depth), end.to_vec()].concat());
                is_as_plain(&[open.repeat(depth), end.repeat(2)].concat());
            }
        }
    }

    proptest! {
        #[test]
        fn bytes_are_looked_at_as_they_are_by_recursion(bytes in vec(any::<u8>(), 0..60)) {
            is_as_plain(&bytes);
        }

        #[test]
        fn values_are_looked_at_as_they_are_by_recursion(
            rows in vec((any::<i64>(), any::<f64>(), "\\PC{0,40}", vec(any::<Option<u16>>(), 0..20)), 0..20),
            cut in 0..400usize,
        ) {
            let bytes = rmp_serde::to_vec_named(&rows).unwrap();
            is_as_plain(&bytes);
            is_as_plain(bytes.get(..cut).unwrap_or(&bytes));
        }
    }
}
