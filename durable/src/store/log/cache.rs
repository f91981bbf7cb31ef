//! Frames that were read and checked, kept while there is room: many runs' sections share a frame, and each run's journal
//! would have it read and checked anew. A frame never changes once it is written, and no place is given twice, so that what
//! is kept needs no check. The lock is never held while something is read. What holds one section is not kept for a journal:
//! no other journal wants it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::codec::DecodeError;
use crate::codec::frame::{Frame, Lsn, Place};
use crate::codec::section::Head;
use crate::kernel::few::Few;
use crate::kernel::id::{RunNo, Timestamp};

/// What a frame takes beside its bytes and its sections, about.
const FRAME_OVERHEAD_BYTES: usize = 256;

/// Where a section stands in a frame's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct SectionAt {
    run: RunNo,
    from: usize,
    to: usize,
}

/// A whole frame, and where each run's sections stand in it.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) lsn: Lsn,
    pub(super) crc: u32,
    at: Timestamp,
    body: Box<[u8]>,
    /// Sorted.
    sections: Vec<SectionAt>,
}

impl Checked {
    /// Keeps of a frame that was read what its journals are read from.
    pub(super) fn new(frame: &Frame<'_>) -> Result<Checked, DecodeError> {
        let header = frame.header;
        let mut sections = sections_of(frame.body, header.at)?;
        sections.sort_unstable();
        Ok(Checked { lsn: header.lsn, crc: frame.crc, at: header.at, body: frame.body.into(), sections })
    }

    /// The sections of a run, in their order: the head of each, and its events.
    pub(super) fn sections(&self, run: RunNo) -> impl Iterator<Item = Result<(Head, &[u8]), DecodeError>> {
        let begin = self.sections.partition_point(|section| section.run < run);
        let mine = self.sections.iter().skip(begin).take_while(move |section| section.run == run);
        mine.map(|section| {
            let bytes = &mut self.body.get(section.from..section.to).unwrap_or_default();
            Ok((Head::decode(bytes, self.at)?, *bytes))
        })
    }

    fn cost(&self) -> usize {
        self.body.len() + self.sections.len() * size_of::<SectionAt>() + FRAME_OVERHEAD_BYTES
    }
}

fn sections_of(body: &[u8], at: Timestamp) -> Result<Vec<SectionAt>, DecodeError> {
    let mut sections = Vec::new();
    let rest = &mut &*body;
    while !rest.is_empty() {
        let from = body.len() - rest.len();
        let head = Head::decode(rest, at)?;
        head.skip_events(rest)?;
        sections.push(SectionAt { run: head.run, from, to: body.len() - rest.len() });
    }
    Ok(sections)
}

/// The section of a frame that holds no other: its head, and its events.
pub(super) fn only_section<'a>(frame: &Frame<'a>) -> Result<Option<(Head, &'a [u8])>, DecodeError> {
    let mut rest = frame.body;
    if rest.is_empty() {
        return Ok(None);
    }
    let head = Head::decode(&mut rest, frame.header.at)?;
    let events = rest;
    head.skip_events(&mut rest)?;
    Ok(rest.is_empty().then_some((head, events)))
}

/// See the head of the file. What was not used for the longest time goes first.
pub(super) struct FrameCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    frames: BTreeMap<Place, (Arc<Checked>, u64)>,
    /// The places by their last use, which is counted.
    uses: BTreeMap<u64, Place>,
    next_use: u64,
    bytes: usize,
    /// Who waits for a frame that someone else reads.
    reading: Few<Place, Vec<Waker>>,
}

/// What there is of a frame.
pub(super) enum Found<'a> {
    /// It is kept.
    Frame(Arc<Checked>),
    /// The caller reads it; others wait until this is dropped.
    ToRead(Reading<'a>),
}

/// The right to read a frame, alone.
pub(super) struct Reading<'a> {
    cache: &'a FrameCache,
    place: Place,
}

impl FrameCache {
    pub(super) fn new(bytes_max: usize) -> FrameCache {
        FrameCache { bytes_max, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The frame at `place`, when nobody else reads it any more.
    pub(super) async fn get(&self, place: Place) -> Found<'_> {
        poll_fn(|context| {
            let mut kept = self.kept();
            if let Some(frame) = kept.used(place) {
                return Poll::Ready(Found::Frame(frame));
            }
            if let Some(waiting) = kept.reading.get_mut(place) {
                waiting.push(context.waker().clone());
                return Poll::Pending;
            }
            kept.reading.insert(place, Vec::new());
            Poll::Ready(Found::ToRead(Reading { cache: self, place }))
        })
        .await
    }
}

impl fmt::Debug for FrameCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        f.debug_struct("FrameCache")
            .field("frames", &kept.frames.len())
            .field("bytes", &kept.bytes)
            .finish_non_exhaustive()
    }
}

impl Kept {
    fn used(&mut self, place: Place) -> Option<Arc<Checked>> {
        let (frame, last_use) = self.frames.get_mut(&place)?;
        self.uses.remove(last_use);
        *last_use = self.next_use;
        self.uses.insert(self.next_use, place);
        self.next_use += 1;
        Some(Arc::clone(frame))
    }

    fn put(&mut self, place: Place, frame: &Arc<Checked>, bytes_max: usize) {
        if frame.cost() > bytes_max || self.frames.contains_key(&place) {
            return;
        }
        self.bytes += frame.cost();
        self.frames.insert(place, (Arc::clone(frame), self.next_use));
        self.uses.insert(self.next_use, place);
        self.next_use += 1;
        while self.bytes > bytes_max {
            let Some((_, oldest)) = self.uses.pop_first() else { return };
            let gone = self.frames.remove(&oldest);
            self.bytes -= gone.map_or(0, |(frame, _)| frame.cost());
        }
    }
}

impl Reading<'_> {
    /// It was read: it is kept, and those who wait have it.
    pub(super) fn keep(self, frame: Checked) -> Arc<Checked> {
        let frame = Arc::new(frame);
        self.cache.kept().put(self.place, &frame, self.cache.bytes_max);
        frame
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let waiting = self.cache.kept().reading.remove(self.place);
        waiting.into_iter().flatten().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::codec::frame::SegmentNo;

    fn place(offset: u64) -> Place {
        Place { segment: SegmentNo(1), offset }
    }

    fn frame(lsn: u64) -> Checked {
        Checked { lsn: Lsn(lsn), crc: 0, at: Timestamp(0), body: [0; 1000].into(), sections: Vec::new() }
    }

    fn is_kept(cache: &FrameCache, offset: u64) -> bool {
        matches!(cache.get(place(offset)).now_or_never(), Some(Found::Frame(_)))
    }

    fn put(cache: &FrameCache, offset: u64) {
        match cache.get(place(offset)).now_or_never() {
            Some(Found::ToRead(reading)) => drop(reading.keep(frame(offset))),
            Some(Found::Frame(_)) | None => panic!("it is there already"),
        }
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let cache = FrameCache::new(3 * frame(0).cost());
        (1..=3).for_each(|offset| put(&cache, offset));
        assert!(is_kept(&cache, 1));
        put(&cache, 4);
        assert_eq!([1, 2, 3, 4].map(|offset| is_kept(&cache, offset)), [true, false, true, true]);
        let kept = cache.kept();
        assert_eq!((kept.bytes, kept.uses.len(), kept.reading.is_empty()), (3 * frame(0).cost(), 3, true));
    }

    #[test]
    fn a_frame_above_the_bound_is_not_kept() {
        let cache = FrameCache::new(frame(0).cost() - 1);
        put(&cache, 1);
        assert!(!is_kept(&cache, 1));
        assert_eq!(cache.kept().bytes, 0);
    }

    #[test]
    fn who_wants_a_frame_that_is_being_read_waits_for_it_and_reads_it_if_that_failed() {
        let cache = FrameCache::new(1 << 20);
        let Some(Found::ToRead(first)) = cache.get(place(8)).now_or_never() else { panic!("nobody has read it") };
        let mut second = Box::pin(cache.get(place(8)));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let Some(Found::ToRead(second)) = second.now_or_never() else { panic!("the first one failed") };
        let third = cache.get(place(8));
        drop(second.keep(frame(1)));
        assert!(matches!(third.now_or_never(), Some(Found::Frame(frame)) if frame.lsn == Lsn(1)));
    }
}
