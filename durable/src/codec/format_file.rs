//! The text of the `FORMAT` file: what makes a directory a store, and which one. It never tells what a store of another
//! format holds: such a one is refused by name before anything else is touched.

use super::frame::StoreId;

/// The file's name.
pub const NAME: &str = "FORMAT";

/// The format that this build reads and writes.
pub const FORMAT: u32 = 0;

/// Its revision.
pub const REVISION: u32 = 3;

/// Longer than every text that could be one.
pub const BYTES_MAX: usize = 4096;

/// Why a text does not name a store that this build can open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatError {
    /// It is no such text at all.
    Unknown,
    /// It names a store of another format or revision.
    Other {
        /// The format's number.
        format: u32,
        /// Its revision.
        revision: u32,
    },
}

/// The text for a store.
#[must_use]
pub fn encode(store: StoreId) -> String {
    format!("durable\nformat {FORMAT}\nrevision {REVISION}\nstore {store}\n")
}

/// Reads the text.
///
/// # Errors
/// [`FormatError`] if it is not exactly what [`encode`] gives for some store.
pub fn decode(bytes: &[u8]) -> Result<StoreId, FormatError> {
    let text = std::str::from_utf8(bytes).map_err(|_| FormatError::Unknown)?;
    let mut lines = text.split('\n');
    if lines.next() != Some("durable") {
        return Err(FormatError::Unknown);
    }
    let format = number(lines.next(), "format ")?;
    let revision = number(lines.next(), "revision ")?;
    if (format, revision) != (FORMAT, REVISION) {
        return Err(FormatError::Other { format, revision });
    }
    let store = lines.next().and_then(|line| line.strip_prefix("store ")).and_then(store_id);
    let store = store.ok_or(FormatError::Unknown)?;
    if text == encode(store) { Ok(store) } else { Err(FormatError::Unknown) }
}

fn number(line: Option<&str>, key: &str) -> Result<u32, FormatError> {
    let digits = line.and_then(|line| line.strip_prefix(key)).ok_or(FormatError::Unknown)?;
    digits.parse().map_err(|_| FormatError::Unknown)
}

fn store_id(digits: &str) -> Option<StoreId> {
    let (high, low) = digits.split_at_checked(16)?;
    let number = u128::from(super::segment::hex16(high)?) << 64 | u128::from(super::segment::hex16(low)?);
    Some(StoreId(number.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId(*b"0123456789abcdef");

    #[test]
    fn the_text_comes_back() {
        assert_eq!(encode(STORE), "durable\nformat 0\nrevision 3\nstore 30313233343536373839616263646566\n");
        assert_eq!(decode(encode(STORE).as_bytes()), Ok(STORE));
    }

    #[test]
    fn another_format_is_named() {
        assert_eq!(
            decode(b"durable\nformat 1\nrevision 0\nanything"),
            Err(FormatError::Other { format: 1, revision: 0 })
        );
        assert_eq!(decode(b"durable\nformat 0\nrevision 4\n"), Err(FormatError::Other { format: 0, revision: 4 }));
    }

    #[test]
    fn anything_else_is_no_store() {
        let whole = encode(STORE);
        for len in 0..whole.len() {
            assert_eq!(decode(&whole.as_bytes()[..len]), Err(FormatError::Unknown), "{len} bytes");
        }
        for other in [whole.clone() + "\n", whole.replace("format 0", "format 00"), whole.to_uppercase()] {
            assert_eq!(decode(other.as_bytes()), Err(FormatError::Unknown), "{other:?}");
        }
    }
}
