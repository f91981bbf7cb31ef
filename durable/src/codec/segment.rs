//! A segment's name, and the header block before its frames. The header is for people: it says which process wrote the
//! segment. Reading frames never needs it; a whole one that names another place shows that the file is not where it belongs.

use crc32fast::Hasher;

use super::frame::{SegmentNo, StoreId};
use crate::kernel::event::Text;
use crate::kernel::id::Timestamp;

/// How many bytes stand before a segment's first frame.
pub const HEADER_BYTES: usize = 4096;

/// Where a segment's first frame stands.
pub const FIRST_FRAME: u64 = HEADER_BYTES as u64;

/// The longest text in a header.
pub const TEXT_BYTES_MAX: usize = 255;

const MAGIC: [u8; 8] = *b"DURSEG\r\n";
const SUFFIX: &str = ".seg";
const SPARE: &str = "spare-";

/// Who wrote a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The format's number.
    pub format: u32,
    /// The format's revision.
    pub revision: u32,
    /// The store.
    pub store: StoreId,
    /// The segment's number.
    pub segment: SegmentNo,
    /// The process that wrote it.
    pub pid: u32,
    /// The boot of its machine.
    pub boot_id: [u8; 16],
    /// When that process opened the store.
    pub opened_at: Timestamp,
    /// Its host.
    pub host: Text,
    /// Its build.
    pub build: Text,
}

impl SegmentHeader {
    /// The whole block. Texts are cut to [`TEXT_BYTES_MAX`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.format.to_le_bytes());
        out.extend_from_slice(&self.revision.to_le_bytes());
        out.extend_from_slice(&self.store.0);
        out.extend_from_slice(&self.segment.0.to_le_bytes());
        out.extend_from_slice(&self.pid.to_le_bytes());
        out.extend_from_slice(&self.boot_id);
        out.extend_from_slice(&self.opened_at.0.to_le_bytes());
        put_text(&self.host, &mut out);
        put_text(&self.build, &mut out);
        out.resize(HEADER_BYTES - 4, 0);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the block at the front of `bytes`; `None` if it is not whole or not one.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<SegmentHeader> {
        let (block, _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let (covered, crc) = block.split_last_chunk::<4>()?;
        let mut hasher = Hasher::new();
        hasher.update(covered);
        if hasher.finalize() != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut rest = covered;
        if take::<8>(&mut rest)? != MAGIC {
            return None;
        }
        Some(SegmentHeader {
            format: u32::from_le_bytes(take(&mut rest)?),
            revision: u32::from_le_bytes(take(&mut rest)?),
            store: StoreId(take(&mut rest)?),
            segment: SegmentNo(u64::from_le_bytes(take(&mut rest)?)),
            pid: u32::from_le_bytes(take(&mut rest)?),
            boot_id: take(&mut rest)?,
            opened_at: Timestamp(i64::from_le_bytes(take(&mut rest)?)),
            host: take_text(&mut rest)?,
            build: take_text(&mut rest)?,
        })
    }
}

/// Which segment of which store the bytes of a file are, by their header, if that is whole and names another than these.
#[cfg(feature = "runtime")]
pub(crate) fn belongs_elsewhere(bytes: &[u8], store: StoreId, segment: SegmentNo) -> Option<(StoreId, SegmentNo)> {
    // The checksum is looked at only where it matters.
    let is_named = bytes.get(16..32) == Some(&store.0) && bytes.get(32..40) == Some(&segment.0.to_le_bytes());
    if is_named {
        return None;
    }
    SegmentHeader::decode(bytes).map(|header| (header.store, header.segment))
}

fn put_text(text: &Text, out: &mut Vec<u8>) {
    let text = Text::cut(text.as_str(), TEXT_BYTES_MAX);
    let len = u16::try_from(text.as_str().len()).unwrap_or_default();
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_str().as_bytes());
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

fn take_text(bytes: &mut &[u8]) -> Option<Text> {
    let len = usize::from(u16::from_le_bytes(take(bytes)?));
    let (taken, rest) = bytes.split_at_checked(len).filter(|_| len <= TEXT_BYTES_MAX)?;
    *bytes = rest;
    std::str::from_utf8(taken).ok().map(Text::from)
}

/// The name of a segment's file.
#[must_use]
pub fn name(segment: SegmentNo) -> String {
    let mut name = String::with_capacity(16 + SUFFIX.len());
    let digits = (0..16).rev().map(|digit| segment.0 >> (4 * digit) & 0xf);
    name.extend(digits.filter_map(|digit| u32::try_from(digit).ok().and_then(|digit| char::from_digit(digit, 16))));
    name.push_str(SUFFIX);
    name
}

/// Which segment a file's name stands for; `None` if it is no segment's.
#[must_use]
pub fn number(name: &str) -> Option<SegmentNo> {
    hex16(name.strip_suffix(SUFFIX)?).filter(|number| *number > 0).map(SegmentNo)
}

/// The name of a segment that is prepared ahead, by a number drawn at random.
#[must_use]
pub fn spare_name(random: u64) -> String {
    format!("{SPARE}{random:016x}")
}

/// Whether a file's name is that of a segment prepared ahead.
#[must_use]
pub fn is_spare(name: &str) -> bool {
    name.strip_prefix(SPARE).and_then(hex16).is_some()
}

/// Sixteen lower-case hex digits, the only spelling of a number in a file's name.
pub(crate) fn hex16(digits: &str) -> Option<u64> {
    let is_plain = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    u64::from_str_radix(digits, 16).ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        SegmentHeader {
            format: 0,
            revision: 1,
            store: StoreId([7; 16]),
            segment: SegmentNo(12),
            pid: 4711,
            boot_id: [9; 16],
            opened_at: Timestamp(1_700_000_000_000_000),
            host: "host".into(),
            build: "build".into(),
        }
    }

    #[test]
    fn a_header_comes_back() {
        let bytes = header().encode();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(SegmentHeader::decode(&bytes), Some(header()));
    }

    #[test]
    fn texts_are_cut_at_a_character() {
        let long = SegmentHeader { host: "ä".repeat(200).into(), ..header() };
        let read = SegmentHeader::decode(&long.encode()).unwrap();
        assert_eq!(read.host.as_str(), "ä".repeat(127));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_refused() {
        let whole = header().encode();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&bytes), None, "bit {bit}");
        }
        for len in 0..whole.len() {
            assert_eq!(SegmentHeader::decode(&whole[..len]), None, "{len} bytes");
        }
    }

    #[test]
    fn a_whole_header_tells_where_it_belongs() {
        let (bytes, StoreId(id)) = (header().encode(), header().store);
        let (here, other) = ((StoreId(id), SegmentNo(12)), (StoreId([8; 16]), SegmentNo(13)));
        assert_eq!(belongs_elsewhere(&bytes, here.0, here.1), None);
        assert_eq!(belongs_elsewhere(&bytes, other.0, here.1), Some(here));
        assert_eq!(belongs_elsewhere(&bytes, here.0, other.1), Some(here));
        assert_eq!(
            belongs_elsewhere(&bytes[..HEADER_BYTES - 1], other.0, here.1),
            None,
            "one that is cut says nothing"
        );
    }

    #[test]
    fn names_have_one_spelling() {
        assert_eq!(name(SegmentNo(255)), "00000000000000ff.seg");
        assert_eq!(number("00000000000000ff.seg"), Some(SegmentNo(255)));
        for other in ["00000000000000FF.seg", "ff.seg", "0000000000000000.seg", "+0000000000000ff.seg", "LOCK"] {
            assert_eq!(number(other), None, "{other}");
        }
        assert!(is_spare(&spare_name(u64::MAX)));
        assert!(!is_spare("spare-1"));
    }
}
