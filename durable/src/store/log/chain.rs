//! Which frames a store's segments hold, in the order of the log: rules 1 to 5 and 7 of the log. Pure: segments go in by
//! number, what was found comes out. It reports damage and goes on; what to do about damage is decided by the caller.

use super::error::{Rot, RotKind};
use super::files::{Stretch, ZEROS};
use crate::codec::event;
use crate::codec::frame::{self, ALIGN, Frame, Lsn, Place, SegmentNo, StoreId};
use crate::codec::section::Head;
use crate::codec::segment::{self, FIRST_FRAME};
use crate::kernel::id::RunNo;

/// So many zeros are compared in one go behind those.
const FEW_ZEROS: usize = 64;

/// One thing found in a segment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    /// A readable frame.
    Frame(Place, Frame<'a>),
    /// Bytes that are none, and a readable frame behind them.
    Hole {
        /// Where they begin.
        at: Place,
        /// Where that frame stands.
        readable_at: u64,
    },
}

/// Goes through the frames of one segment, or of a stretch of it. An unreadable end with nothing readable behind it ends it silently
/// (rule 3); what cannot be read ends a stretch as well, since its end may stand in the next one.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    /// Where the bytes stand in the segment.
    begin: u64,
    reaches_end: bool,
    store: StoreId,
    next: Place,
}

impl<'a> Frames<'a> {
    /// The frames of a segment, which is given whole.
    pub(super) fn of(bytes: &'a [u8], store: StoreId, segment: SegmentNo) -> Frames<'a> {
        Frames { bytes, begin: 0, reaches_end: true, store, next: Place { segment, offset: FIRST_FRAME } }
    }

    /// The frames of a stretch, from the one at `from` on.
    pub(super) fn within(stretch: &'a Stretch, store: StoreId, from: u64) -> Frames<'a> {
        let Stretch { ref bytes, segment, begin, reaches_end } = *stretch;
        Frames { bytes, begin, reaches_end, store, next: Place { segment, offset: from.max(FIRST_FRAME) } }
    }

    /// Where the frame stands that comes next.
    pub(super) fn next_offset(&self) -> u64 {
        self.next.offset
    }

    /// What shows that the whole segment was written to stand elsewhere; these bytes are its begin.
    fn stranger(&self) -> Option<Rot> {
        let (store, segment) = segment::belongs_elsewhere(self.bytes, self.store, self.next.segment)?;
        let what = RotKind::Elsewhere { store, segment, here: self.store };
        Some(rot(Place { segment: self.next.segment, offset: 0 }, what))
    }

    fn at(&self, place: Place) -> Option<Frame<'a>> {
        let offset = usize::try_from(place.offset.checked_sub(self.begin)?).ok()?;
        frame::decode(self.bytes.get(offset..)?, self.store, place).ok()
    }

    fn readable_behind(&self, place: Place) -> Option<u64> {
        // None begins among the zeros that a segment ends with, which are most of it.
        let end = self.begin + without_zeros(without_zeros(self.bytes, ZEROS.len()), FEW_ZEROS).len() as u64;
        let mut offsets = (place.offset..end).step_by(ALIGN as usize).skip(1);
        let found = offsets.find(|offset| self.at(Place { offset: *offset, ..place }).is_some());
        found.or_else(|| (planted!(10) && end > place.offset).then_some(end))
    }
}

/// The bytes without the zeros at their end, so many at a time.
fn without_zeros(bytes: &[u8], at_once: usize) -> &[u8] {
    let zeros = bytes.rchunks(at_once).take_while(|chunk| **chunk == ZEROS[..chunk.len()]);
    &bytes[..bytes.len() - zeros.map(<[u8]>::len).sum::<usize>()]
}

impl<'a> Iterator for Frames<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let at = self.next;
        if let Some(frame) = self.at(at) {
            self.next.offset += frame.stride();
            return Some(Found::Frame(at, frame));
        }
        if !self.reaches_end {
            return None;
        }
        let readable_at = self.readable_behind(at)?;
        if planted!(11) {
            return None;
        }
        self.next.offset = readable_at;
        Some(Found::Hole { at, readable_at })
    }
}

/// Frames of consecutive numbers in one segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Where the first one stands.
    pub(super) place: Place,
    /// Its number.
    pub(super) first: Lsn,
    /// The last one's number.
    pub(super) last: Lsn,
}

impl Extent {
    /// The same without what stands before a frame, if that is one of its own.
    pub(super) fn beginning_at(self, frame: FrameAt) -> Extent {
        let is_own = self.place.segment == frame.place.segment && (self.first..=self.last).contains(&frame.lsn);
        if is_own { Extent { place: frame.place, first: frame.lsn, ..self } } else { self }
    }

    /// The same without what stands behind a frame.
    pub(super) fn ending_at(self, last: Lsn) -> Extent {
        Extent { last: self.last.min(last), ..self }
    }
}

/// A frame that holds a part of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PartAt {
    lsn: Lsn,
    place: Place,
    part: u64,
    of: u64,
    bytes: usize,
}

/// A frame, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameAt {
    pub(super) lsn: Lsn,
    pub(super) place: Place,
}

/// A checkpoint whose parts are all there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CheckpointAt {
    /// The frame of its first part.
    pub(super) first: FrameAt,
    /// That of its last one.
    pub(super) last: FrameAt,
    /// How many bytes the parts have together.
    pub(super) bytes: usize,
}

/// The place of a segment's first frame that does not follow what was read before it (rule 2).
#[derive(Debug, Clone)]
struct Anew {
    lsn: Lsn,
    rot: Rot,
}

/// The last frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LastFrame {
    pub(super) lsn: Lsn,
    pub(super) base: Lsn,
    pub(super) crc: u32,
    pub(super) place: Place,
    pub(super) len: usize,
}

/// The chain of frames, as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Chain {
    extents: Vec<Extent>,
    /// The content CRCs of the frames from `crcs_from` on, up to the last one.
    crcs: Vec<u32>,
    crcs_from: Lsn,
    parts: Vec<PartAt>,
    anew: Vec<Anew>,
    rot: Vec<Rot>,
    last: Option<LastFrame>,
    /// The segment that comes in.
    segment: Option<SegmentNo>,
    /// Whether a frame of it was seen.
    is_entered: bool,
}

/// What the segments hold.
#[derive(Debug)]
pub(super) struct Read {
    /// The frames that count, in the order of the log.
    pub(super) extents: Vec<Extent>,
    /// The last one.
    pub(super) last: Option<LastFrame>,
    /// The newest complete checkpoint.
    pub(super) checkpoint: Option<CheckpointAt>,
    /// What is damaged.
    pub(super) rot: Vec<Rot>,
}

impl Chain {
    /// Takes in the frames of a segment, or of the next stretch of it; segments come in the order of their numbers (rule 1).
    pub(super) fn take_in(&mut self, frames: &mut Frames<'_>) {
        if self.segment.replace(frames.next.segment) != Some(frames.next.segment) {
            self.is_entered = false;
            self.rot.extend(frames.stranger());
        }
        for found in frames {
            match found {
                Found::Frame(place, frame) if !self.is_entered => {
                    self.is_entered = true;
                    self.enter(place, &frame);
                }
                Found::Frame(place, frame) => self.follow(place, &frame),
                Found::Hole { at, readable_at } => {
                    self.rot.push(rot(at, RotKind::Unreadable { readable_at }));
                }
            }
        }
    }

    /// A segment's first frame supersedes what was read of the same and of higher numbers, and must connect to the one
    /// before it (rules 1 and 2).
    fn enter(&mut self, place: Place, frame: &Frame<'_>) {
        let lsn = frame.header.lsn;
        if planted!(8) && self.last.is_some_and(|last| last.lsn >= lsn) {
            return;
        }
        let is_connected = self.connects(frame);
        let after = self.last.map(|last| last.lsn);
        self.supersede(lsn);
        if !is_connected {
            if !self.is_behind_hole(place) && !planted!(9) {
                self.anew.push(Anew { lsn, rot: rot(place, RotKind::Missing { found: lsn, after }) });
            }
            self.begin_anew(lsn);
        }
        self.push(place, frame, Extent { place, first: lsn, last: lsn });
    }

    fn connects(&self, frame: &Frame<'_>) -> bool {
        let lsn = frame.header.lsn;
        if lsn == Lsn::FIRST {
            return frame.header.chain == 0;
        }
        lsn.0.checked_sub(1).and_then(|before| self.crc(Lsn(before))) == Some(frame.header.chain)
    }

    fn crc(&self, lsn: Lsn) -> Option<u32> {
        let index = lsn.0.checked_sub(self.crcs_from.0)?;
        self.crcs.get(usize::try_from(index).ok()?).copied()
    }

    fn supersede(&mut self, from: Lsn) {
        self.extents.retain(|extent| extent.first < from);
        for extent in &mut self.extents {
            extent.last = extent.last.min(Lsn(from.0.saturating_sub(1)));
        }
        self.parts.retain(|part| part.lsn < from);
        self.anew.retain(|anew| anew.lsn < from);
        let kept = from.0.saturating_sub(self.crcs_from.0);
        self.crcs.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
    }

    fn begin_anew(&mut self, lsn: Lsn) {
        self.crcs.clear();
        self.crcs_from = lsn;
    }

    /// The frames of a segment follow each other: only one process ever wrote it, one frame after the other.
    fn follow(&mut self, place: Place, frame: &Frame<'_>) {
        let lsn = frame.header.lsn;
        let last = self.last.map_or(Lsn::default(), |last| last.lsn);
        if lsn == last.next() && self.crc(last) == Some(frame.header.chain) {
            match self.extents.last_mut().filter(|extent| extent.last == last && adjoins(extent, place)) {
                Some(extent) => extent.last = lsn,
                None => self.extents.push(Extent { place, first: lsn, last: lsn }),
            }
            return self.note(place, frame);
        }
        if !self.is_behind_hole(place) {
            self.rot.push(rot(place, RotKind::Disconnected { found: lsn, after: last }));
        }
        self.supersede(lsn);
        self.begin_anew(lsn);
        self.push(place, frame, Extent { place, first: lsn, last: lsn });
    }

    /// Whether the damage right before `place` is reported already: what is missing there is no second one.
    fn is_behind_hole(&self, place: Place) -> bool {
        self.rot.last().is_some_and(|rot| {
            rot.file == segment::name(place.segment)
                && matches!(rot.what, RotKind::Unreadable { readable_at } if readable_at == place.offset)
        })
    }

    fn push(&mut self, place: Place, frame: &Frame<'_>, extent: Extent) {
        if self.crcs.is_empty() {
            self.crcs_from = extent.first;
        }
        self.extents.push(extent);
        self.note(place, frame);
    }

    fn note(&mut self, place: Place, frame: &Frame<'_>) {
        let lsn = frame.header.lsn;
        self.crcs.push(frame.crc);
        if let Some((part, of, bytes)) = checkpoint_part(frame) {
            self.parts.push(PartAt { lsn, place, part, of, bytes });
        }
        self.last = Some(LastFrame { lsn, base: frame.header.base, crc: frame.crc, place, len: frame.len() });
    }

    /// As [`Chain::finish`], for a reader in another process: it trusts every frame that has one behind it, and an empty
    /// one at the end; the writer may not have synced any other.
    pub(super) fn finish_for_reader(mut self) -> Read {
        if let Some(last) = self.last.filter(|last| last.len > frame::HEADER_BYTES) {
            // That frames before it are missing is known, whether it is trusted or not.
            let anew = std::mem::take(&mut self.anew);
            self.supersede(last.lsn);
            self.anew = anew;
        }
        self.finish()
    }

    /// What all the segments hold, now that the newest frame, and with it the base, is known.
    pub(super) fn finish(self) -> Read {
        let base = self.last.map_or(Lsn::FIRST, |last| last.base);
        let mut rot = self.rot;
        rot.extend(
            self.anew.into_iter().filter(|anew| anew.lsn > base || anew.lsn == Lsn::default()).map(|anew| anew.rot),
        );
        let mut extents = self.extents;
        extents.retain(|extent| extent.last >= base);
        let checkpoint = newest_complete(&self.parts);
        Read { extents, last: self.last, checkpoint, rot }
    }
}

/// Whether a frame at `place` may extend an extent; which frames lie between is known from their numbers.
fn adjoins(extent: &Extent, place: Place) -> bool {
    extent.place.segment == place.segment && extent.place.offset < place.offset
}

fn rot(place: Place, what: RotKind) -> Rot {
    Rot { file: segment::name(place.segment), offset: place.offset, what }
}

/// The parts of a checkpoint stand in consecutive frames, each at the begin of its frame.
fn newest_complete(parts: &[PartAt]) -> Option<CheckpointAt> {
    let ends = parts.iter().enumerate().rev().filter(|(_, end)| end.part.checked_add(1) == Some(end.of));
    ends.filter_map(|(index, end)| {
        let first = index.checked_sub(usize::try_from(end.part).ok()?)?;
        let all = parts.get(first..=index)?;
        let mut numbered = all.iter().zip(0u64..);
        let begin = end.lsn.0.checked_sub(end.part)?;
        let is_whole =
            numbered.all(|(part, number)| (part.part, part.of, part.lsn.0) == (number, end.of, begin + number));
        let bytes = all.iter().map(|part| part.bytes).sum();
        let at = |part: &PartAt| FrameAt { lsn: part.lsn, place: part.place };
        is_whole.then_some(CheckpointAt { first: at(all.first()?), last: at(end), bytes })
    })
    .next()
}

/// Which part of a checkpoint a frame holds, how many there are, and how many bytes it has.
fn checkpoint_part(frame: &Frame<'_>) -> Option<(u64, u64, usize)> {
    let bytes = &mut &*frame.body;
    let head = Head::decode(bytes, frame.header.at).ok()?;
    if head.run != RunNo(0) || head.count != 1 {
        return None;
    }
    let (part, of, tables) = event::checkpoint_part(&event::peek(bytes).ok()?)?;
    Some((part.into(), of.into(), tables.len()))
}
