//! Loads one run's journal: from the frame that holds its newest events backwards, frame by frame, each of which says where
//! the one before it stands. A gap is an error, never a shorter journal; every frame is checked when it is read, and only
//! whole ones are kept for the next journal.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::cache::{Checked, Found, FrameCache, only_section};
use super::error::LoadError;
use super::files::{Folder, Handle};
use crate::codec::frame::{self, Frame, Place, SegmentNo, StoreId};
use crate::codec::names::Names;
use crate::codec::section::Head;
use crate::codec::segment::{self, FIRST_FRAME};
use crate::codec::{DecodeError, event};
use crate::kernel::event::Event;
use crate::kernel::id::{EventNo, RunNo, Timestamp};

/// How much of a frame is read before its length is known. A journal lies together where a frame of it begins no further before the next.
const FIRST_READ_BYTES: usize = 16 << 10;

/// For how many sections there is room before they are seen, at most: most hold two events.
const PIECES_AT_FIRST: u64 = 1 << 10;

/// For how many bytes of each event there is room before they are seen.
const EVENT_BYTES: usize = 96;

/// How much is read at once of a journal that lies together, at most.
const TOGETHER_BYTES_MAX: usize = 1 << 20;

/// An event with its number and the time at which it happened. An event that this build does not know, and may step over,
/// is left out; its number is missing then.
pub type JournalEvent = (EventNo, Timestamp, Event);

/// Reads frames by their places.
pub(super) struct Reader<'a> {
    folder: &'a Folder,
    frames: &'a FrameCache,
    store: StoreId,
    open: BTreeMap<SegmentNo, Handle>,
    stretch: Stretch,
    /// Whether the frame before this one held nothing but the run's events, as all do where a journal lies together.
    is_alone: bool,
}

/// What was read last: the bytes of a segment from `begin` on. The frames before are looked for in it, since a journal is read backwards.
#[derive(Default)]
struct Stretch {
    begin: Place,
    bytes: Vec<u8>,
    /// Where the frame begins that was taken out of it last.
    taken: Place,
}

impl Stretch {
    /// What there is of the bytes from `place` on, if that is a whole frame by its own account.
    fn frame_at(&self, place: Place) -> Option<&[u8]> {
        let offset = place.offset.checked_sub(self.begin.offset).filter(|_| place.segment == self.begin.segment)?;
        let bytes = self.bytes.get(usize::try_from(offset).ok()?..)?;
        bytes.get(..usize::try_from(frame::announced(bytes)?).ok()?)
    }

    /// Where to begin to read the frame at `place`, and how much: itself, or with it so much before it as lies together, twice as much each
    /// time.
    fn before(&self, place: Place) -> (u64, usize) {
        let gap = self.taken.offset.checked_sub(place.offset).filter(|_| place.segment == self.taken.segment);
        if gap.is_none_or(|gap| gap > FIRST_READ_BYTES as u64) {
            return (place.offset, FIRST_READ_BYTES);
        }
        let len = (2 * self.bytes.len()).clamp(FIRST_READ_BYTES, TOGETHER_BYTES_MAX);
        // It ends where the frame begins that was taken last, and no frame stands before the first.
        let end = self.taken.offset;
        let begin = end.saturating_sub(len as u64).max(FIRST_FRAME).min(place.offset);
        (begin, usize::try_from(end - begin).unwrap_or(FIRST_READ_BYTES))
    }
}

/// A run's whole journal as it stands in the log: its sections, and the bytes of their events. An event is decoded when it is taken, so that who
/// replays a long journal never has all of it in memory as values.
#[derive(Debug)]
pub struct RawJournal {
    run: RunNo,
    /// The newest first.
    pieces: Vec<Piece>,
    bytes: Vec<u8>,
}

/// A section of the run: its head, and where its events stand among what was gathered.
#[derive(Debug)]
struct Piece {
    place: Place,
    head: Head,
    events: Range<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(folder: &'a Folder, frames: &'a FrameCache, store: StoreId) -> Reader<'a> {
        Reader { folder, frames, store, open: BTreeMap::new(), stretch: Stretch::default(), is_alone: false }
    }

    /// The journal whose newest events stand at `from`, up to event `up_to`, which is not in it; up to the last event in
    /// that frame, if that is not known.
    pub(super) async fn journal(
        &mut self,
        run: RunNo,
        from: Place,
        up_to: Option<EventNo>,
    ) -> Result<RawJournal, LoadError> {
        let events = up_to.map_or(0, |up_to| up_to.0).min(PIECES_AT_FIRST);
        let events = usize::try_from(events).unwrap_or_default();
        let (pieces, bytes) = (Vec::with_capacity(events), Vec::with_capacity(EVENT_BYTES * events));
        let mut gathered = RawJournal { run, pieces, bytes };
        let mut next = Some((from, up_to));
        while let Some((place, end)) = next {
            next = match self.take_alone(&mut gathered, place, end)? {
                Some(before) => before,
                None => self.gather(&mut gathered, place, end).await?,
            };
        }
        Ok(gathered)
    }

    /// Gathers the run's sections in the frame at `place`; gives where its events before these stand.
    async fn gather(&mut self, to: &mut RawJournal, place: Place, end: Option<EventNo>) -> Result<Before, LoadError> {
        let run = to.run;
        let undecodable = |error| LoadError::undecodable(run, place, error);
        let reading = match self.frames.get(place).await {
            Found::Frame(frame) => return to.take(place, end, frame.sections(run)),
            Found::ToRead(reading) => reading,
        };
        let frame = self.decoded(run, place).await?;
        if let Some(only) = only_section(&frame).map_err(undecodable)? {
            let before = to.take_only(place, end, only);
            self.is_alone = true;
            return before;
        }
        let frame = reading.keep(Checked::new(&frame).map_err(undecodable)?);
        to.take(place, end, frame.sections(run))
    }

    /// Takes the run's section in the frame at `place`, if that stands in what was read and holds nothing else, as the frame before it did: what
    /// only this journal wants nobody else has read.
    fn take_alone(
        &mut self,
        to: &mut RawJournal,
        place: Place,
        end: Option<EventNo>,
    ) -> Result<Option<Before>, LoadError> {
        let Some(bytes) = self.stretch.frame_at(place).filter(|_| self.is_alone) else { return Ok(None) };
        let frame = frame::decode(bytes, self.store, place).map_err(|_| LoadError::unreadable(to.run, place))?;
        let only = only_section(&frame).map_err(|error| LoadError::undecodable(to.run, place, error))?;
        let Some(only) = only else {
            self.is_alone = false;
            return Ok(None);
        };
        let before = to.take_only(place, end, only)?;
        self.stretch.taken = place;
        Ok(Some(before))
    }

    /// The frame at `place`, which is readable.
    pub(super) async fn frame(&mut self, run: RunNo, place: Place) -> Result<Arc<Checked>, LoadError> {
        let reading = match self.frames.get(place).await {
            Found::Frame(frame) => return Ok(frame),
            Found::ToRead(reading) => reading,
        };
        let frame = self.decoded(run, place).await?;
        let checked = Checked::new(&frame).map_err(|error| LoadError::undecodable(run, place, error))?;
        Ok(reading.keep(checked))
    }

    /// The same, as it stands in what was read.
    async fn decoded(&mut self, run: RunNo, place: Place) -> Result<Frame<'_>, LoadError> {
        let store = self.store;
        let bytes = self.bytes(run, place).await?;
        frame::decode(bytes, store, place).map_err(|_| LoadError::unreadable(run, place))
    }

    /// So many bytes as the frame at `place` says that it has, or a few more.
    async fn bytes(&mut self, run: RunNo, place: Place) -> Result<&[u8], LoadError> {
        if self.stretch.frame_at(place).is_none() {
            self.read(run, place).await?;
        }
        self.stretch.taken = place;
        self.stretch.frame_at(place).ok_or_else(|| LoadError::unreadable(run, place))
    }

    /// Reads the frame at `place`, and what lies together with it.
    async fn read(&mut self, run: RunNo, place: Place) -> Result<(), LoadError> {
        let (begin, len) = self.stretch.before(place);
        if begin < place.offset {
            // What stands before it may be unreadable, and does not matter: the frame is read by itself then.
            let bytes = self.segment(run, place).await?.read(begin, len).await.unwrap_or_default();
            self.stretch = Stretch { begin: Place { offset: begin, ..place }, bytes, taken: place };
            if self.stretch.frame_at(place).is_some() {
                return Ok(());
            }
        }
        self.stretch = self.alone(run, place).await?;
        Ok(())
    }

    async fn alone(&mut self, run: RunNo, place: Place) -> Result<Stretch, LoadError> {
        let handle = self.segment(run, place).await?;
        let mut bytes = handle.read(place.offset, FIRST_READ_BYTES).await?;
        let announced = frame::announced(&bytes).ok_or_else(|| LoadError::unreadable(run, place))?;
        let len = usize::try_from(announced).unwrap_or(usize::MAX);
        if let Some(missing) = len.checked_sub(bytes.len()).filter(|missing| *missing > 0) {
            let left = handle.len().await?.saturating_sub(place.offset);
            if (len as u64) > left {
                return Err(LoadError::unreadable(run, place));
            }
            bytes.extend(handle.read(place.offset + bytes.len() as u64, missing).await?);
        }
        Ok(Stretch { begin: place, bytes, taken: place })
    }

    async fn segment(&mut self, run: RunNo, place: Place) -> Result<&Handle, LoadError> {
        if !self.open.contains_key(&place.segment) {
            let opened = self.folder.open_file(&segment::name(place.segment)).await;
            let handle = opened.map_err(|fault| match fault.error.kind() {
                std::io::ErrorKind::NotFound => LoadError::unreadable(run, place),
                _ => LoadError::Disk(fault),
            })?;
            self.open.insert(place.segment, handle);
        }
        Ok(self.open.get(&place.segment).expect("because it was put there"))
    }
}

/// The frame that holds the run's events before others, and up to which one.
type Before = Option<(Place, Option<EventNo>)>;

impl RawJournal {
    /// Takes the run's sections in the frame at `place`, up to event `end`, which must be where they end.
    fn take<'a>(
        &mut self,
        place: Place,
        end: Option<EventNo>,
        sections: impl Iterator<Item = Result<(Head, &'a [u8]), DecodeError>>,
    ) -> Result<Before, LoadError> {
        let (run, begin) = (self.run, self.pieces.len());
        let mut first = None;
        let mut last: Option<EventNo> = None;
        for section in sections {
            let (head, events) = section.map_err(|error| LoadError::undecodable(run, place, error))?;
            if end.is_some_and(|end| head.first >= end) {
                continue;
            }
            if last.is_some_and(|last| last != head.first) {
                return Err(LoadError::gap(run, head.first, place));
            }
            first.get_or_insert(head);
            last = Some(EventNo(head.first.0.saturating_add(head.count)));
            let from = self.bytes.len();
            self.bytes.extend_from_slice(events);
            self.pieces.push(Piece { place, head, events: from..self.bytes.len() });
        }
        // In a frame the oldest comes first.
        self.pieces.get_mut(begin..).unwrap_or_default().reverse();
        match (first, end) {
            (Some(head), Some(end)) if last == Some(end) => before(run, place, head),
            (Some(head), None) => before(run, place, head),
            (_, end) => Err(LoadError::gap(run, end.unwrap_or_default(), place)),
        }
    }

    /// The same of a frame that holds one section.
    fn take_only(&mut self, place: Place, end: Option<EventNo>, only: (Head, &[u8])) -> Result<Before, LoadError> {
        let run = self.run;
        self.take(place, end, [Ok(only)].into_iter().filter(|_| only.0.run == run))
    }

    /// All of it.
    ///
    /// # Errors
    /// [`LoadError::Undecodable`], of its first event that this build cannot read and may not step over.
    pub fn decode(&self) -> Result<Vec<JournalEvent>, LoadError> {
        // So many events were seen in these frames.
        let count: u64 = self.pieces.iter().map(|piece| piece.head.count).sum();
        let mut journal = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        for event in self.events() {
            journal.push(event?);
        }
        Ok(journal)
    }

    /// Its events in their order, up to one that cannot be read.
    pub(crate) fn events(&self) -> Events<'_> {
        Events { journal: self, left: self.pieces.len(), at: None, bytes: &[], numbers: 0..0, names: Names::new() }
    }
}

#[cfg(test)]
impl RawJournal {
    /// As a log would give it that has a section for each event.
    pub(crate) fn of(run: RunNo, journal: &[JournalEvent]) -> RawJournal {
        let (mut raw, mut names) = (RawJournal { run, pieces: Vec::new(), bytes: Vec::new() }, Names::new());
        for (no, at, event) in journal {
            let from = raw.bytes.len();
            event::encode(event, *at, &mut names, &mut raw.bytes);
            let head = Head { run, first: *no, prev: None, at: *at, count: 1 };
            let place = Place { segment: SegmentNo(1), offset: 0 };
            raw.pieces.push(Piece { place, head, events: from..raw.bytes.len() });
        }
        raw.pieces.reverse();
        raw
    }
}

/// The events of a journal, each decoded when it is taken.
pub(crate) struct Events<'a> {
    journal: &'a RawJournal,
    /// How many pieces were not begun yet.
    left: usize,
    /// The piece at hand, ..
    at: Option<&'a Piece>,
    /// .. what is left of its bytes, ..
    bytes: &'a [u8],
    /// .. and of its events' numbers.
    numbers: Range<u64>,
    names: Names,
}

impl Iterator for Events<'_> {
    type Item = Result<JournalEvent, LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((piece, no)) = self.at.zip(self.numbers.next()) else {
                self.begin_next()?;
                continue;
            };
            match event::decode(&mut self.bytes, piece.head.at, &mut self.names) {
                Ok(Some(event)) => return Some(Ok((EventNo(no), piece.head.at, event))),
                Ok(None) => {}
                Err(error) => return Some(Err(LoadError::undecodable(self.journal.run, piece.place, error))),
            }
        }
    }
}

impl Events<'_> {
    fn begin_next(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let piece = self.journal.pieces.get(self.left)?;
        self.bytes = self.journal.bytes.get(piece.events.clone()).unwrap_or_default();
        self.numbers = piece.head.first.0..piece.head.first.0.saturating_add(piece.head.count);
        self.at = Some(piece);
        Some(())
    }
}

/// Where the run's events before those of a section stand; none if these begin the journal.
fn before(run: RunNo, place: Place, head: Head) -> Result<Before, LoadError> {
    match head.prev {
        None if head.first == EventNo(0) => Ok(None),
        // It names an earlier frame always, so that following it ends.
        Some(prev) if prev < place && head.first > EventNo(0) => Ok(Some((prev, Some(head.first)))),
        None | Some(_) => Err(LoadError::gap(run, head.first, place)),
    }
}
