//! Where the next frame goes: places are given in the order of frames, from lengths alone, before anything is written. It
//! knows no file.

use crate::codec::frame::{self, Place, SegmentNo};
use crate::codec::segment::FIRST_FRAME;

/// Segments are whole numbers of these.
pub(super) const BLOCK: u64 = 4096;

/// How large segments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSizes {
    /// The first one of an open.
    pub bytes_min: u64,
    /// What doubling ends at. A frame that is larger gets a segment of its size.
    pub bytes_max: u64,
}

impl Default for SegmentSizes {
    fn default() -> SegmentSizes {
        SegmentSizes { bytes_min: 256 << 10, bytes_max: 64 << 20 }
    }
}

impl SegmentSizes {
    /// How large a segment is that must hold a frame of `len` bytes and follows one of `before` bytes.
    pub(super) fn after(self, before: u64, len: usize) -> u64 {
        self.doubled(before).max(room_for(len))
    }

    /// How large the first segment of an open is, which must hold a frame of `len` bytes.
    pub(super) fn first(self, len: usize) -> u64 {
        self.bytes_min.max(room_for(len)).next_multiple_of(BLOCK)
    }

    /// How large the segment after one of `before` bytes is if its first frame is small.
    pub(super) fn doubled(self, before: u64) -> u64 {
        before.saturating_mul(2).min(self.bytes_max).max(BLOCK).next_multiple_of(BLOCK)
    }
}

/// The size of a segment that holds one frame of `len` bytes.
pub(super) fn room_for(len: usize) -> u64 {
    (FIRST_FRAME + frame::stride(len)).next_multiple_of(BLOCK)
}

/// What a frame is given: where it stands, and how large its segment is meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Berth {
    pub(super) place: Place,
    pub(super) segment_bytes: u64,
}

/// How far the newest segment is given out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    sizes: SegmentSizes,
    segment: SegmentNo,
    bytes: u64,
    offset: u64,
}

impl Layout {
    /// A segment of `bytes` bytes, given out up to `offset`.
    pub(super) fn new(sizes: SegmentSizes, segment: SegmentNo, bytes: u64, offset: u64) -> Layout {
        Layout { sizes, segment, bytes, offset }
    }

    /// The place of the next frame, of `len` bytes: behind the last one, or at the begin of the next segment.
    pub(super) fn take(&mut self, len: usize) -> Berth {
        let stride = frame::stride(len);
        if self.offset.saturating_add(stride) > self.bytes {
            self.bytes = self.sizes.after(self.bytes, len);
            self.segment = self.segment.next();
            self.offset = FIRST_FRAME;
        }
        let place = Place { segment: self.segment, offset: self.offset };
        self.offset += stride;
        Berth { place, segment_bytes: self.bytes }
    }

    /// `segment` was made, with this size. What is given out of it fits: the writer sees to that.
    pub(super) fn made(&mut self, segment: SegmentNo, bytes: u64) {
        if self.segment == segment {
            self.bytes = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: SegmentSizes = SegmentSizes { bytes_min: 8192, bytes_max: 16384 };

    fn take(layout: &mut Layout, len: usize) -> (u64, u64, u64) {
        let Berth { place, segment_bytes } = layout.take(len);
        (place.segment.0, place.offset, segment_bytes)
    }

    #[test]
    fn frames_stand_at_multiples_of_eight_and_roll_when_full() {
        let mut layout = Layout::new(SIZES, SegmentNo(1), SIZES.first(48), 4096);
        assert_eq!(take(&mut layout, 50), (1, 4096, 8192));
        assert_eq!(take(&mut layout, 4040), (1, 4152, 8192));
        assert_eq!(take(&mut layout, 1), (2, 4096, 16384));
        assert_eq!(take(&mut layout, 12289), (3, 4096, 20480), "a segment is as large as its first frame");
        assert_eq!(take(&mut layout, 4088), (3, 16392, 20480));
        assert_eq!(take(&mut layout, 8), (4, 4096, 16384), "and the one after it is not");
    }

    #[test]
    fn a_smaller_segment_rolls_earlier() {
        let mut layout = Layout::new(SIZES, SegmentNo(1), 8192, 8192);
        assert_eq!(take(&mut layout, 48), (2, 4096, 16384));
        layout.made(SegmentNo(2), 4160);
        assert_eq!(take(&mut layout, 16), (2, 4144, 4160));
        assert_eq!(take(&mut layout, 16).0, 3);
    }
}
