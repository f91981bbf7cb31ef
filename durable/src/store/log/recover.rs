//! What a store's files say: the whole chain is checked, events are read from the newest complete checkpoint on. It only
//! reads, and finds the same whenever it reads the same.

use std::ops::ControlFlow;

use super::chain::{Chain, CheckpointAt, Extent, Found, FrameAt, Frames, Read};
use super::checkpoint::{self, Content};
use super::error::{DiskFault, OpenError};
use super::files::{Reach, Segments, Stretch};
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
        go_over(segments, store, *number, 0, |frames| {
            chain.take_in(frames);
            Ok::<_, DiskFault>(ControlFlow::Continue(()))
        })
        .await?;
    }
    Ok(chain)
}

/// Goes over a segment from the byte `from` on, stretch by stretch, for as long as `take` wants. What cannot be read at the begin of a
/// stretch is longer than that, or damaged, or the end of what was written. If only zeros follow it is the end; if not, a stretch up to the
/// segment's end tells which.
async fn go_over<E: From<DiskFault>>(
    segments: &mut Segments<'_>,
    store: StoreId,
    number: SegmentNo,
    mut from: u64,
    mut take: impl FnMut(&mut Frames<'_>) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let mut reach = Reach::Usual;
    loop {
        let stretch = segments.stretch(number, from, reach).await?;
        let mut frames = Frames::within(&stretch, store, from);
        if take(&mut frames)?.is_break() || stretch.reaches_end {
            return Ok(());
        }
        from = frames.next_offset();
        if from == stretch.begin {
            if ends_in_zeros(segments, stretch).await? {
                return Ok(());
            }
            reach = Reach::End;
        } else {
            reach = Reach::Usual;
        }
    }
}

/// Whether a stretch and all that stands behind it in its segment are zeros. They were that all at once, also if somebody writes meanwhile: a
/// segment that has its name only ever goes from zeros to something.
async fn ends_in_zeros(segments: &mut Segments<'_>, mut stretch: Stretch) -> Result<bool, DiskFault> {
    // A file that is shorter than it says gives nothing.
    while !stretch.bytes.is_empty() && stretch.is_zeros() {
        if stretch.reaches_end {
            return Ok(true);
        }
        let Stretch { segment, begin, ref bytes, .. } = stretch;
        let behind = begin + bytes.len() as u64;
        drop(stretch);
        stretch = segments.stretch(segment, behind, Reach::Usual).await?;
    }
    Ok(false)
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
        if let Ok(content) = checkpoint::decode(&bytes, both) {
            folding.begin_at(content, bytes.len() as u64, at.last);
        }
    }
    let (from, part) = (folding.from, folding.part);
    for extent in read.extents.iter().filter(|extent| extent.last >= from) {
        let extent = part.map_or(*extent, |part| extent.beginning_at(part));
        each(segments, store, extent, |place, frame| {
            folding.frame(place, frame).map_err(|refused| refusal(place, refused))
        })
        .await?;
    }
    Ok(folding.folded)
}

/// Hands out the frames of an extent. Each was readable when the chain was read: one that is not there at another reading was not lost by a
/// crash, and ends the extent with a fault.
pub(super) async fn each<E: From<DiskFault>>(
    segments: &mut Segments<'_>,
    store: StoreId,
    extent: Extent,
    mut take: impl FnMut(Place, &Frame<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let Extent { place: Place { segment, offset }, first, last } = extent;
    let mut due = Some(first);
    go_over(segments, store, segment, offset, |frames| -> Result<_, E> {
        for found in frames {
            let Found::Frame(place, frame) = found else { continue };
            let Some(lsn) = due.filter(|lsn| frame.header.lsn == *lsn) else { return Err(gone(segment).into()) };
            take(place, &frame)?;
            due = (lsn < last).then(|| lsn.next());
            if due.is_none() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
    .await?;
    if due.is_some() { Err(gone(segment).into()) } else { Ok(()) }
}

/// The fault of a frame that could be read a moment ago.
fn gone(segment: SegmentNo) -> DiskFault {
    let error = std::io::Error::other("a frame was readable a moment ago and is not any more");
    DiskFault::new("reading", segment::name(segment), error)
}

struct Folding {
    folded: Folded,
    /// The first frame that is taken in.
    from: Lsn,
    /// The frame whose first section, the last part of a checkpoint, is taken in already.
    part: Option<FrameAt>,
}

impl Folding {
    fn new(store: StoreId, gaps: Gaps) -> Folding {
        let folded = Folded { fold: Fold::new(store, gaps), bytes_since_checkpoint: 0, checkpoint_bytes: 0 };
        Folding { folded, from: Lsn::FIRST, part: None }
    }

    fn begin_at(&mut self, content: Content, bytes: u64, last_part: FrameAt) {
        self.folded.fold.begin_at(content);
        self.folded.checkpoint_bytes = bytes;
        self.from = last_part.lsn;
        self.part = Some(last_part);
    }

    fn frame(&mut self, place: Place, frame: &Frame<'_>) -> Result<(), Refused> {
        let lsn = frame.header.lsn;
        let is_part = self.part.is_some_and(|part| part.lsn == lsn);
        if lsn < self.from || (planted!(25) && is_part) {
            return Ok(());
        }
        let skip = usize::from(is_part);
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
    let touches = |extent: &&Extent| extent.last >= first.lsn && extent.first <= last.lsn;
    for extent in read.extents.iter().filter(touches) {
        // Nothing else is handed out: the extents that count have no number twice.
        each(segments, store, extent.beginning_at(first).ending_at(last.lsn), |_, frame| {
            match (&mut content, part_of(frame, frame.header.lsn == last.lsn)) {
                (Some(content), Some(part)) => content.extend_from_slice(part),
                _ => content = None,
            }
            Ok::<_, DiskFault>(())
        })
        .await?;
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
