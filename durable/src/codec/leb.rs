//! Numbers of variable length (unsigned LEB128, and zigzag LEB128 for signed ones), and the taking of bytes off the
//! front of an input. A reader takes the shortest form only, so that a number has one spelling.

use super::DecodeError;

/// The longest number in bytes.
pub const LEN_MAX: usize = 10;

/// Appends `value`.
#[inline]
pub fn put(value: u64, out: &mut Vec<u8>) {
    // Most numbers are small.
    match value {
        0..0x80 => out.push((value & 0x7f) as u8),
        _ => put_long(value, out),
    }
}

#[inline(never)]
fn put_long(value: u64, out: &mut Vec<u8>) {
    let (bytes, len) = form(value);
    out.extend_from_slice(bytes.get(..len).unwrap_or_default());
}

/// Appends `value`, zigzag: 0, -1, 1, -2, .. are written as 0, 1, 2, 3, ..
pub fn put_signed(value: i64, out: &mut Vec<u8>) {
    put((value << 1 ^ value >> 63).cast_unsigned(), out);
}

/// Puts `value` before what stands in `out` from `start` on: the length of a body that was written first.
pub(crate) fn put_before(start: usize, value: u64, out: &mut Vec<u8>) {
    if value < 0x80 {
        return out.insert(start, (value & 0x7f) as u8);
    }
    let (bytes, len) = form(value);
    out.splice(start..start, bytes.into_iter().take(len));
}

fn form(mut value: u64) -> ([u8; LEN_MAX], usize) {
    let mut bytes = [0; LEN_MAX];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        *byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, len)
}

/// Takes a number off the front of `bytes`.
///
/// # Errors
/// [`DecodeError::Ended`], or [`DecodeError::Number`] if it does not fit or is not in its shortest form.
#[inline]
pub fn take(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    // Most numbers are small.
    match bytes.split_first() {
        Some((byte @ 0..0x80, rest)) => {
            *bytes = rest;
            Ok((*byte).into())
        }
        _ => take_long(bytes),
    }
}

#[inline(never)]
fn take_long(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = take_u8(bytes)?;
        let group = u64::from(byte & 0x7f);
        if shift == 63 && group > 1 {
            return Err(DecodeError::Number);
        }
        value |= group << shift;
        if byte & 0x80 == 0 {
            let is_shortest = byte != 0 || shift == 0;
            return if is_shortest { Ok(value) } else { Err(DecodeError::Number) };
        }
    }
    Err(DecodeError::Number)
}

/// Takes a zigzag number off the front of `bytes`.
///
/// # Errors
/// As [`take`].
pub fn take_signed(bytes: &mut &[u8]) -> Result<i64, DecodeError> {
    let value = take(bytes)?;
    Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
}

/// Takes a number that counts or measures something that must stand in `bytes`.
///
/// # Errors
/// As [`take`], and [`DecodeError::Ended`] if more is announced than there are bytes.
pub fn take_len(bytes: &mut &[u8]) -> Result<usize, DecodeError> {
    let len = take(bytes)?;
    let missing = len.saturating_sub(bytes.len() as u64);
    match usize::try_from(len) {
        Ok(len) if missing == 0 => Ok(len),
        _ => Err(DecodeError::Ended { missing }),
    }
}

/// Takes `len` bytes off the front of `bytes`.
///
/// # Errors
/// [`DecodeError::Ended`].
pub fn take_bytes<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecodeError> {
    let Some((taken, rest)) = bytes.split_at_checked(len) else {
        return Err(DecodeError::Ended { missing: (len - bytes.len()) as u64 });
    };
    *bytes = rest;
    Ok(taken)
}

/// Takes `N` bytes off the front of `bytes`.
///
/// # Errors
/// [`DecodeError::Ended`].
pub fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let Some((taken, rest)) = bytes.split_first_chunk::<N>() else {
        return Err(DecodeError::Ended { missing: (N - bytes.len()) as u64 });
    };
    *bytes = rest;
    Ok(*taken)
}

/// Takes one byte off the front of `bytes`.
///
/// # Errors
/// [`DecodeError::Ended`].
pub fn take_u8(bytes: &mut &[u8]) -> Result<u8, DecodeError> {
    take_array::<1>(bytes).map(|[byte]| byte)
}

/// Takes a length and so many bytes of UTF-8 off the front of `bytes`.
///
/// # Errors
/// As [`take_len`], and [`DecodeError::Utf8`].
pub fn take_text<'a>(bytes: &mut &'a [u8]) -> Result<&'a str, DecodeError> {
    let len = take_len(bytes)?;
    std::str::from_utf8(take_bytes(bytes, len)?).map_err(|_| DecodeError::Utf8)
}

/// Appends a text behind its length.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    put(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put(value, &mut out);
        out
    }

    #[test]
    fn numbers_come_back() {
        for value in (0..64).flat_map(|bit| [(1u64 << bit) - 1, 1 << bit]).chain([u64::MAX]) {
            assert_eq!(take(&mut &*written(value)), Ok(value));
            for signed in [value.cast_signed(), value.cast_signed().wrapping_neg()] {
                let mut out = Vec::new();
                put_signed(signed, &mut out);
                assert_eq!(take_signed(&mut &*out), Ok(signed));
            }
        }
    }

    #[test]
    fn only_the_shortest_form_is_read() {
        assert_eq!(take(&mut &[0x00][..]), Ok(0));
        assert_eq!(take(&mut &[0x80, 0x00][..]), Err(DecodeError::Number));
        assert_eq!(take(&mut &[0xff, 0x80, 0x00][..]), Err(DecodeError::Number));
    }

    #[test]
    fn a_number_above_64_bits_is_refused() {
        let mut most = [0xff; 10];
        most[9] = 0x01;
        assert_eq!(take(&mut &most[..]), Ok(u64::MAX));
        most[9] = 0x02;
        assert_eq!(take(&mut &most[..]), Err(DecodeError::Number));
        assert_eq!(take(&mut &[0xff; 11][..]), Err(DecodeError::Number));
    }

    #[test]
    fn an_end_inside_a_number_says_so() {
        assert_eq!(take(&mut &[0x80][..]), Err(DecodeError::Ended { missing: 1 }));
        assert_eq!(take_len(&mut &[5, 1, 2][..]), Err(DecodeError::Ended { missing: 3 }));
    }

    #[test]
    fn a_length_goes_before_a_body_that_is_there() {
        let mut out = b"head body".to_vec();
        put_before(5, 300, &mut out);
        assert_eq!(out, b"head \xac\x02body");
    }
}
