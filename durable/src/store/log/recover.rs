//! What a store's files say: the whole chain is checked, events are read from the newest complete checkpoint on. It only
//! reads, and finds the same whenever it reads the same.

use super::chain::{Chain, CheckpointAt, Extent, Found, Frames, Read};
use super::checkpoint::{self, Content};
use super::error::{DiskFault, OpenError};
use super::files::Segments;
use super::fold::{Fold, Gaps, Refused};
use crate::codec::event;
use crate::codec::frame::{Frame, Lsn, Place, SegmentNo, StoreId};
use crate::codec::section::Head;
use crate::codec::segment;
use crate::codec::tables::Both;
use crate::kernel::tables::Gap;

/// Reads every segment.
pub(super) async fn chain(
    segments: &mut Segments<'_>,
    store: StoreId,
    numbers: &[SegmentNo],
) -> Result<Chain, DiskFault> {
    let mut chain = Chain::default();
    for number in numbers {
        let bytes = segments.read(*number).await?;
        chain.segment(Frames::of(&bytes, store, *number));
    }
    Ok(chain)
}

/// What the frames that count amount to.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) fold: Fold,
    /// How many bytes of frames stand behind the newest checkpoint.
    pub(super) bytes_since_checkpoint: u64,
    /// How many bytes that checkpoint has; 0 if there is none.
    pub(super) checkpoint_bytes: u64,
}

/// Folds the frames that count, from the newest complete checkpoint on; if it cannot be read, from the begin of the log,
/// which says the same. The halves of a large checkpoint are read by `both`.
pub(super) async fn fold(
    segments: &mut Segments<'_>,
    store: StoreId,
    read: &Read,
    gaps: Gaps,
    both: Both<'_>,
) -> Result<Folded, OpenError> {
    let mut folding = Folding::new(store, gaps);
    folding.from = read.last.map_or(Lsn::FIRST, |last| last.base);
    if let Some(at) = read.checkpoint {
        let bytes = parts(segments, store, read, at).await?.unwrap_or_default();
        if let Ok(content) = checkpoint::decode(&bytes, store, both) {
            folding.begin_at(content, bytes.len() as u64, at.last);
        }
    }
    let from = folding.from;
    for extent in read.extents.iter().filter(|extent| extent.last >= from) {
        let bytes = segments.read(extent.place.segment).await?;
        for found in frames(&bytes, store, *extent) {
            let (place, frame) = found?;
            folding.frame(place, &frame).map_err(|refused| refusal(place, refused))?;
        }
    }
    Ok(folding.folded)
}

/// The frames of an extent, of whose segment `bytes` is the whole. Each was readable when the chain was read: one that is not there at
/// another reading was not lost by a crash, and ends the extent with a fault.
pub(super) fn frames(
    bytes: &[u8],
    store: StoreId,
    extent: Extent,
) -> impl Iterator<Item = Result<(Place, Frame<'_>), DiskFault>> {
    let all = Frames::of(bytes, store, extent.place.segment).filter_map(|found| match found {
        Found::Frame(place, frame) => Some((place, frame)),
        Found::Hole { .. } => None,
    });
    let mut all = all.skip_while(move |(place, _)| place.offset < extent.place.offset);
    let mut due = Some(extent.first);
    std::iter::from_fn(move || {
        let lsn = due?;
        let found = all.next().filter(|(_, frame)| frame.header.lsn == lsn);
        due = (found.is_some() && lsn < extent.last).then(|| lsn.next());
        Some(found.ok_or_else(|| gone(segment::name(extent.place.segment))))
    })
}

/// The fault of a frame that could be read a moment ago.
pub(super) fn gone(file: String) -> DiskFault {
    DiskFault::new("reading", file, std::io::Error::other("a frame was readable a moment ago and is not any more"))
}

struct Folding {
    folded: Folded,
    /// The first frame that is taken in.
    from: Lsn,
    /// The frame whose first section, the last part of a checkpoint, is taken in already.
    part: Option<Lsn>,
}

impl Folding {
    fn new(store: StoreId, gaps: Gaps) -> Folding {
        let folded = Folded { fold: Fold::new(store, gaps), bytes_since_checkpoint: 0, checkpoint_bytes: 0 };
        Folding { folded, from: Lsn::FIRST, part: None }
    }

    fn begin_at(&mut self, content: Content, bytes: u64, last_part: Lsn) {
        self.folded.fold.begin_at(content);
        self.folded.checkpoint_bytes = bytes;
        self.from = last_part;
        self.part = Some(last_part);
    }

    fn frame(&mut self, place: Place, frame: &Frame<'_>) -> Result<(), Refused> {
        let lsn = frame.header.lsn;
        if lsn < self.from || (planted!(25) && self.part == Some(lsn)) {
            return Ok(());
        }
        let skip = usize::from(self.part == Some(lsn));
        if skip == 0 {
            self.folded.bytes_since_checkpoint += frame.stride();
        }
        self.folded.fold.frame(place, frame, skip)
    }
}

fn refusal(place: Place, refused: Refused) -> OpenError {
    let (file, offset) = (segment::name(place.segment), place.offset);
    match refused {
        Refused::Undecodable(error) => OpenError::Undecodable { file, offset, error },
        Refused::Gap(Gap { run, expected, found }) => OpenError::Gap { file, offset, run, expected, found },
    }
}

/// The parts of a checkpoint, put together; none if they do not fit together.
async fn parts(
    segments: &mut Segments<'_>,
    store: StoreId,
    read: &Read,
    CheckpointAt { first, last, bytes }: CheckpointAt,
) -> Result<Option<Vec<u8>>, DiskFault> {
    let mut content = Some(Vec::with_capacity(bytes));
    let touches = |extent: &&Extent| extent.last >= first && extent.first <= last;
    for extent in read.extents.iter().filter(touches) {
        let bytes = segments.read(extent.place.segment).await?;
        let in_range = |frame: &Frame<'_>| (first..=last).contains(&frame.header.lsn);
        for found in frames(&bytes, store, *extent) {
            let (_, frame) = found?;
            if !in_range(&frame) {
                continue;
            }
            let part = part_of(&frame, frame.header.lsn == last);
            match (&mut content, part) {
                (Some(content), Some(part)) => content.extend_from_slice(part),
                _ => content = None,
            }
        }
    }
    Ok(content)
}

/// The part of a checkpoint with which a frame begins. Other sections may stand behind the last part only.
fn part_of<'a>(frame: &Frame<'a>, is_last: bool) -> Option<&'a [u8]> {
    let bytes = &mut &*frame.body;
    Head::decode(bytes, frame.header.at).ok()?;
    let (_, _, tables) = event::checkpoint_part(&event::peek(bytes).ok()?)?;
    (is_last || bytes.is_empty()).then_some(tables)
}
