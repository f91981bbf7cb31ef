//! One frame: a batch of the log as bytes. A frame is readable only where it was written: its checksum covers the store,
//! the segment and the offset. It never decides what an unreadable frame means; that is for recovery, which knows what
//! follows.

use std::fmt;

use crc32fast::Hasher;

use crate::kernel::id::Timestamp;

/// How many bytes stand before a frame's body.
pub const HEADER_BYTES: usize = 48;

/// Every frame begins at a multiple of this.
pub const ALIGN: u64 = 8;

const MAGIC: u32 = 0x304D_5246;

/// The number of a frame in its log, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The first frame of a log.
    pub const FIRST: Lsn = Lsn(1);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0.saturating_add(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a segment in its store, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SegmentNo(pub u64);

impl SegmentNo {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> SegmentNo {
        SegmentNo(self.0.saturating_add(1))
    }
}

/// Which store this is: drawn at random when it is made.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StoreId(pub [u8; 16]);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a frame stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// In which segment.
    pub segment: SegmentNo,
    /// At which byte of it.
    pub offset: u64,
}

/// A frame's fields besides its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its number.
    pub lsn: Lsn,
    /// The lowest number that is still needed.
    pub base: Lsn,
    /// When its batch began to fill, by the wall clock.
    pub at: Timestamp,
    /// The content CRC of the frame before it; 0 for the first.
    pub chain: u32,
}

/// A frame that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its fields.
    pub header: Header,
    /// Its content CRC, which the next frame carries as its chain.
    pub crc: u32,
    /// The sections.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes it takes, without the padding behind it.
    #[must_use]
    pub fn len(&self) -> usize {
        HEADER_BYTES + self.body.len()
    }

    /// Whether it holds no section.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// How many bytes from its begin to where the next one begins.
    #[must_use]
    pub fn stride(&self) -> u64 {
        stride(self.len())
    }
}

/// How many bytes a frame of `len` bytes takes with the padding behind it.
#[must_use]
pub fn stride(len: usize) -> u64 {
    (len as u64).next_multiple_of(ALIGN)
}

/// Why there is no readable frame at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not begin as a frame does.
    NoFrame,
    /// It ends before its announced end, or announces less than a header.
    Length {
        /// The announced length.
        announced: u32,
    },
    /// Its checksum is that of other bytes, or of another place.
    Checksum,
}

/// Appends room for a header; the body is appended behind it, then [`seal`] fills the header in.
pub fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0; HEADER_BYTES]);
}

/// Fills in the header of `frame`, which is a whole frame without padding, for the place where it will stand, and gives
/// its content CRC. Gives `None`, and changes nothing, if `frame` is shorter than a header or longer than 4 GiB.
#[must_use]
pub fn seal(frame: &mut [u8], header: Header, store: StoreId, place: Place) -> Option<u32> {
    let length = u32::try_from(frame.len()).ok()?;
    let (front, body) = frame.split_first_chunk_mut::<HEADER_BYTES>()?;
    let content = content(length, header, body);
    let crc = content.clone().finalize();
    let mut out = Vec::with_capacity(HEADER_BYTES);
    out.extend_from_slice(&MAGIC.to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&placed(content, store, place).to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    out.extend_from_slice(&header.lsn.0.to_le_bytes());
    out.extend_from_slice(&header.base.0.to_le_bytes());
    out.extend_from_slice(&header.at.0.to_le_bytes());
    out.extend_from_slice(&header.chain.to_le_bytes());
    out.extend_from_slice(&0u32.to_le_bytes());
    front.copy_from_slice(&out);
    Some(crc)
}

/// Gives the bytes of `frame` as they stand at `place`: all but the checksum is the same wherever it stands.
#[must_use]
pub fn copy_to(frame: &Frame<'_>, store: StoreId, place: Place) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(frame.len());
    begin(&mut out);
    out.extend_from_slice(frame.body);
    seal(&mut out, frame.header, store, place).map(|_| out)
}

/// Reads the frame at the front of `bytes`, which stand at `place`.
///
/// # Errors
/// [`Unreadable`] if there is none, or if it was written for another place.
pub fn decode(bytes: &[u8], store: StoreId, place: Place) -> Result<Frame<'_>, Unreadable> {
    let (front, _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(Unreadable::NoFrame)?;
    let mut front = Fields(front);
    if front.u32() != MAGIC {
        return Err(Unreadable::NoFrame);
    }
    let announced = front.u32();
    let checksum = front.u32();
    let reserved = front.u32();
    let lsn = Lsn(front.u64());
    let base = Lsn(front.u64());
    let at = Timestamp(front.u64().cast_signed());
    let chain = front.u32();
    if reserved != 0 || front.u32() != 0 {
        return Err(Unreadable::NoFrame);
    }
    let whole = usize::try_from(announced).ok().and_then(|len| bytes.get(..len));
    let body = whole.and_then(|whole| whole.get(HEADER_BYTES..)).ok_or(Unreadable::Length { announced })?;
    let header = Header { lsn, base, at, chain };
    let content = content(announced, header, body);
    let crc = if planted!(13) { checksum } else { content.clone().finalize() };
    if placed(content, store, place) != checksum {
        return Err(Unreadable::Checksum);
    }
    Ok(Frame { header, crc, body })
}

/// How long the frame at the front of `bytes` says that it is, if it begins as a frame does. Nothing is checked.
#[must_use]
pub fn announced(bytes: &[u8]) -> Option<u32> {
    let (front, _) = bytes.split_first_chunk::<8>()?;
    let mut front = Fields(front);
    (front.u32() == MAGIC).then(|| front.u32()).filter(|len| *len >= HEADER_BYTES as u32)
}

/// The body of what may have been a frame at the front of `bytes`, without any check: a guess for a report of damage.
#[must_use]
pub fn guess_body(bytes: &[u8]) -> Option<&[u8]> {
    let len = usize::try_from(announced(bytes)?).ok()?;
    bytes.get(HEADER_BYTES..len.min(bytes.len()))
}

fn content(length: u32, header: Header, body: &[u8]) -> Hasher {
    let mut hasher = Hasher::new();
    if planted!(12) {
        hasher.update(body);
        return hasher;
    }
    // In one piece: most frames are short, and each update of a few bytes takes as long as one of many.
    let mut fields = [0; 32];
    fields[..4].copy_from_slice(&length.to_le_bytes());
    fields[4..12].copy_from_slice(&header.lsn.0.to_le_bytes());
    fields[12..20].copy_from_slice(&header.base.0.to_le_bytes());
    fields[20..28].copy_from_slice(&header.at.0.to_le_bytes());
    fields[28..].copy_from_slice(&header.chain.to_le_bytes());
    hasher.update(&fields);
    hasher.update(body);
    hasher
}

fn placed(mut content: Hasher, store: StoreId, place: Place) -> u32 {
    let mut fields = [0; 32];
    fields[..16].copy_from_slice(&store.0);
    fields[16..24].copy_from_slice(&place.segment.0.to_le_bytes());
    fields[24..].copy_from_slice(&place.offset.to_le_bytes());
    content.update(&fields);
    content.finalize()
}

/// Little-endian fields taken off the front, one after the other; zeros behind the end.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((taken, rest)) = self.0.split_first_chunk::<N>() else { return [0; N] };
        self.0 = rest;
        *taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId(*b"0123456789abcdef");
    const PLACE: Place = Place { segment: SegmentNo(3), offset: 4096 };
    const HEADER: Header = Header { lsn: Lsn(7), base: Lsn(2), at: Timestamp(-5), chain: 0xdead_beef };

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out);
        out.extend_from_slice(body);
        seal(&mut out, HEADER, STORE, PLACE).unwrap();
        out
    }

    #[test]
    fn a_frame_comes_back() {
        let bytes = frame(b"sections");
        let read = decode(&bytes, STORE, PLACE).unwrap();
        assert_eq!((read.header, read.body, read.len()), (HEADER, &b"sections"[..], bytes.len()));
        assert_eq!(announced(&bytes), Some(bytes.len() as u32));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let whole = frame(b"a body of some bytes");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes, STORE, PLACE).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let whole = frame(b"a body of some bytes");
        for len in 0..whole.len() {
            assert!(decode(&whole[..len], STORE, PLACE).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_frame_is_readable_only_where_it_was_written() {
        let bytes = frame(b"body");
        let elsewhere = [
            (StoreId([0; 16]), PLACE),
            (STORE, Place { segment: SegmentNo(4), ..PLACE }),
            (STORE, Place { offset: 4104, ..PLACE }),
        ];
        for (store, place) in elsewhere {
            assert_eq!(decode(&bytes, store, place), Err(Unreadable::Checksum));
        }
    }

    #[test]
    fn a_copy_has_the_same_content_crc_and_another_checksum() {
        let bytes = frame(b"body");
        let there = Place { segment: SegmentNo(9), offset: 8192 };
        let original = decode(&bytes, STORE, PLACE).unwrap();
        let copied = copy_to(&original, STORE, there).unwrap();
        assert_eq!(decode(&copied, STORE, there).unwrap(), original);
        assert_eq!(bytes.len(), copied.len());
        assert!(bytes.iter().zip(&copied).enumerate().all(|(at, (a, b))| a == b || (8..12).contains(&at)));
        assert_ne!(bytes[8..12], copied[8..12]);
    }

    #[test]
    fn the_bytes_of_an_empty_first_frame_are_these() {
        let mut out = Vec::new();
        begin(&mut out);
        let header = Header { lsn: Lsn(1), base: Lsn(1), at: Timestamp(1_000_000), chain: 0 };
        seal(&mut out, header, STORE, Place { segment: SegmentNo(1), offset: 4096 }).unwrap();
        let hex: String = out.iter().map(|byte| format!("{byte:02x}")).collect();
        let checksum = crc_by_the_book(&[
            &48u32.to_le_bytes(),
            &1u64.to_le_bytes(),
            &1u64.to_le_bytes(),
            &1_000_000u64.to_le_bytes(),
            &0u32.to_le_bytes(),
            &STORE.0,
            &1u64.to_le_bytes(),
            &4096u64.to_le_bytes(),
        ]);
        assert_eq!(
            hex,
            format!(
                "46524d3030000000{:08x}000000000100000000000000010000000000000040420f00000000000000000000000000",
                checksum.swap_bytes()
            )
        );
    }

    /// CRC-32 as every textbook has it, bit by bit.
    fn crc_by_the_book(parts: &[&[u8]]) -> u32 {
        let mut crc = !0u32;
        for byte in parts.iter().flat_map(|part| part.iter()) {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            }
        }
        !crc
    }
}
