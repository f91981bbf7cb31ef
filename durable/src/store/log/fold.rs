//! The fold of the log's frames into the tables and into what the store knows of each run. Frames go in, in the order of
//! the log. It reads events and never decides which frames count.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::Content;
use super::closed::{Closed, ClosedPlace};
use super::runs::{self, Run, Runs};
use crate::codec::DecodeError;
use crate::codec::event;
use crate::codec::frame::{Frame, Place, StoreId};
use crate::codec::names::Names;
use crate::codec::section::Head;
use crate::kernel::event::Event;
use crate::kernel::id::{EventNo, RunNo};
use crate::kernel::tables::{Gap, Tables};

/// Why a whole frame could not be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// This build cannot read it.
    Undecodable(DecodeError),
    /// It does not go on where a journal ends.
    Gap(Gap),
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Refused {
        Refused::Undecodable(error)
    }
}

/// What becomes of events that do not go on where their run's journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gaps {
    /// They refuse the frame: in a sound log there are none.
    Refuse,
    /// The run is put aside: a reader of a damaged log serves the others.
    PutAside,
}

/// The fold, as far as it has come.
#[derive(Debug)]
pub(super) struct Fold {
    store: StoreId,
    gaps: Gaps,
    pub(super) tables: Tables,
    pub(super) runs: Runs,
    pub(super) closed: Closed,
    /// The runs that closed where the fold saw it, by their ids.
    pub(super) rows: BTreeMap<(runs::IdHash, RunNo), ClosedPlace>,
    /// Whether `Closed` is the last event; also if there is none at all.
    pub(super) is_clean: bool,
    /// Runs whose journals are not whole.
    pub(super) broken: BTreeSet<RunNo>,
}

impl Fold {
    /// Nothing yet.
    pub(super) fn new(store: StoreId, gaps: Gaps) -> Fold {
        Fold {
            store,
            gaps,
            tables: Tables::default(),
            runs: Runs::default(),
            closed: Closed::default(),
            rows: BTreeMap::new(),
            is_clean: true,
            broken: BTreeSet::new(),
        }
    }

    /// Begins at a checkpoint instead.
    pub(super) fn begin_at(&mut self, content: Content) {
        self.tables = content.tables;
        self.runs = content.runs;
        self.closed = content.closed;
        self.is_clean = false;
    }

    /// Takes in the sections of a frame; the first `skip` of them are left out.
    pub(super) fn frame(&mut self, place: Place, frame: &Frame<'_>, skip: usize) -> Result<(), Refused> {
        let bytes = &mut &*frame.body;
        let mut sections = 0;
        while !bytes.is_empty() {
            let head = Head::decode(bytes, frame.header.at)?;
            if sections < skip {
                head.skip_events(bytes)?;
            } else if head.run == RunNo(0) {
                self.store_events(&head, bytes)?;
            } else {
                self.section(&head, bytes, place, frame)?;
            }
            sections += 1;
        }
        Ok(())
    }

    fn store_events(&mut self, head: &Head, bytes: &mut &[u8]) -> Result<(), Refused> {
        for (_, raw) in head.raw_events(bytes)? {
            let event = event::decode_raw(&raw, head.at, &mut Names::new())?;
            self.is_clean = event == Some(Event::Closed);
        }
        Ok(())
    }

    fn section(&mut self, head: &Head, bytes: &mut &[u8], place: Place, frame: &Frame<'_>) -> Result<(), Refused> {
        let events = head.raw_events(bytes)?;
        self.is_clean = false;
        if self.broken.contains(&head.run) {
            return Ok(());
        }
        for (no, raw) in events {
            let decoded = self.runs.with_names(head.run, |names| event::decode_raw(&raw, head.at, names));
            let taken = match decoded {
                Ok(Some(event)) => self.event(head, no, event, place, frame),
                Ok(None) => self.skipped(head.run, no, place),
                Err(error) => Err(Refused::Undecodable(error)),
            };
            match (taken, self.gaps) {
                (Ok(()), _) => {}
                (Err(refused), Gaps::Refuse) => return Err(refused),
                (Err(_), Gaps::PutAside) => {
                    self.put_aside(head.run);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        head: &Head,
        no: EventNo,
        event: Event,
        place: Place,
        frame: &Frame<'_>,
    ) -> Result<(), Refused> {
        let is_end = matches!(event, Event::RunEnded(_));
        let ends = is_end.then(|| self.tables.open.get(&head.run)).flatten();
        let id = ends.map(|entry| runs::id_hash(self.store, &entry.kind.namespace, &entry.id));
        self.tables.apply(head.run, no, head.at, &event).map_err(Refused::Gap)?;
        if let Event::RunStarted(_) = &event {
            self.runs.put(head.run, Run::NEW);
        }
        if !self.goes_on(head.run, no, place) {
            return Err(gap(head.run, EventNo(0), no));
        }
        if let Some(id) = id {
            let closed = ClosedPlace { run: head.run, place, lsn: frame.header.lsn, crc: Some(frame.crc) };
            if !planted!(24) {
                self.closed.put(id, &closed);
            }
            self.rows.insert((id, head.run), closed);
            self.runs.remove(head.run);
        }
        Ok(())
    }

    /// An event that is unknown and may be stepped over has a number all the same.
    fn skipped(&mut self, run: RunNo, no: EventNo, place: Place) -> Result<(), Refused> {
        let Some(entry) = self.tables.open.get_mut(&run) else { return Err(gap(run, EventNo(0), no)) };
        if entry.next != no {
            return Err(gap(run, entry.next, no));
        }
        entry.next = no.next();
        if self.goes_on(run, no, place) { Ok(()) } else { Err(gap(run, EventNo(0), no)) }
    }

    /// A run's journal goes on to this event, in the frame at this place; false if the run has none.
    fn goes_on(&mut self, run: RunNo, no: EventNo, place: Place) -> bool {
        let on = |run: &mut Run| {
            run.next = no.next();
            run.place(place);
        };
        self.runs.change(run, on).is_some()
    }

    fn put_aside(&mut self, run: RunNo) {
        self.broken.insert(run);
        self.runs.remove(run);
        if let Some(entry) = self.tables.open.remove(&run) {
            self.tables.ids.remove(&entry.kind.namespace, &entry.id, run);
        }
    }

    /// A frame was copied: what led to it leads to the copy.
    pub(super) fn moved(&mut self, from: Place, to: Place) {
        let there: Vec<RunNo> =
            self.runs.iter().filter(|(_, run)| run.prev() == Some(from)).map(|(run, _)| run).collect();
        for run in there {
            self.runs.change(run, |run| run.place(to));
        }
        for ((id, _), row) in self.rows.iter_mut().filter(|(_, row)| row.place == from) {
            let moved = ClosedPlace { place: to, ..*row };
            self.closed.moved(*id, row, &moved);
            *row = moved;
        }
    }

    /// The newest of the runs of an id that closed where the fold saw it.
    pub(super) fn newest(&self, id: runs::IdHash) -> Option<ClosedPlace> {
        self.rows.range((id, RunNo(0))..=(id, RunNo(u64::MAX))).next_back().map(|(_, row)| *row)
    }
}

fn gap(run: RunNo, expected: EventNo, found: EventNo) -> Refused {
    Refused::Gap(Gap { run, expected, found })
}
