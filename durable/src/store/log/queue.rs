//! What was appended and is not durable yet, and who waits for it: the state that the log's handles and its writer share.
//! Nothing here touches the disk; all of it runs under one mutex and never waits.

use std::collections::{BTreeMap, VecDeque};
use std::task::Waker;

use super::batch::{Batch, Filling};
use super::checkpoint::{self, Encoded};
use super::closed::{Closed, ClosedPlace, Known};
use super::error::{AppendError, StoreError};
use super::place::Layout;
use super::runs::{self, Run, Runs, Tail};
use crate::codec::frame::{Lsn, Place, SegmentNo, StoreId};
use crate::codec::names::Names;
use crate::codec::section;
use crate::kernel::event::{Event, Group, Payload, Section};
use crate::kernel::id::{EventNo, Position, RunNo, Timestamp};
use crate::kernel::tables::AllTables;

/// The largest group, as it is written.
pub const GROUP_BYTES_MAX: usize = 16 << 20;

/// A batch that has so many bytes takes no further group, so that a frame stays below this and one group.
const BATCH_BYTES_FULL: usize = 4 << 20;

/// A checkpoint is wanted after so many times its own size of log, ..
const CHECKPOINT_TIMES: u64 = 4;

/// What the writer is to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Write this.
    Write(Batch),
    /// Nothing is left and nothing more comes.
    End,
}

/// Whether the log takes groups, and what becomes of those that it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It does.
    Open,
    /// It does not; what is queued is written.
    Closing,
    /// It does not; what is queued is dropped.
    Stopping,
}

/// See the head of the file.
#[derive(Debug)]
pub(super) struct Queue {
    store: StoreId,
    layout: Layout,
    filling: Filling,
    /// How many names the run of each section had before the group at hand.
    marks: Vec<u32>,
    closed_batches: VecDeque<Batch>,
    /// The frames that have a place and are not written, in order.
    unwritten: VecDeque<(Place, Lsn)>,
    /// Bytes that are queued or being written.
    pub(super) queued_bytes: usize,
    /// The newest group.
    appended: Position,
    /// The newest group that is durable.
    pub(super) durable: Position,
    /// The newest frame that is written, durable or not.
    pub(super) written: Lsn,
    /// The newest frame that is durable.
    pub(super) synced: Lsn,
    pub(super) runs: Runs,
    closed: Closed,
    /// The runs that closed and that the index does not know yet: their frames are not durable.
    pending: BTreeMap<runs::IdHash, ClosedPlace>,
    /// Whether the newest frame has no section: then a reader elsewhere sees all there is.
    is_idle: bool,
    bytes_since_checkpoint: u64,
    checkpoint_bytes: u64,
    checkpoint_bytes_min: u64,
    /// The frame of the newest checkpoint's last part, while it is not written.
    checkpoint_pending: Option<Lsn>,
    pub(super) phase: Phase,
    pub(super) fault: Option<StoreError>,
    /// Whether the writer has let go of the locks.
    pub(super) is_released: bool,
    /// Whether the roll to the next segment waits for space.
    pub(super) is_stalled: bool,
    writer: Option<Waker>,
    waiting: Vec<Waker>,
}

/// How a queue begins.
#[derive(Debug)]
pub(super) struct Begin {
    pub(super) store: StoreId,
    pub(super) layout: Layout,
    /// The last frame, and whether it has no section.
    pub(super) last: Lsn,
    pub(super) is_idle: bool,
    pub(super) runs: Runs,
    pub(super) closed: Closed,
    pub(super) bytes_since_checkpoint: u64,
    pub(super) checkpoint_bytes: u64,
    pub(super) checkpoint_bytes_min: u64,
}

impl Queue {
    pub(super) fn new(begin: Begin) -> Queue {
        Queue {
            store: begin.store,
            layout: begin.layout,
            filling: Filling::new(begin.last.next()),
            marks: Vec::new(),
            closed_batches: VecDeque::new(),
            unwritten: VecDeque::new(),
            queued_bytes: 0,
            appended: Position(0),
            durable: Position(0),
            written: begin.last,
            synced: begin.last,
            runs: begin.runs,
            closed: begin.closed,
            pending: BTreeMap::new(),
            is_idle: begin.is_idle,
            bytes_since_checkpoint: begin.bytes_since_checkpoint,
            checkpoint_bytes: begin.checkpoint_bytes,
            checkpoint_bytes_min: begin.checkpoint_bytes_min,
            checkpoint_pending: None,
            phase: Phase::Open,
            fault: None,
            is_released: false,
            is_stalled: false,
            writer: None,
            waiting: Vec::new(),
        }
    }

    /// Takes in a group, as a whole or not at all.
    pub(super) fn append(&mut self, group: &Group, at: Timestamp) -> Result<Position, AppendError> {
        self.take(group, at, self.appended.next())
    }

    /// Takes in a group that is `position`. What the log appends of itself has no position of its own: positions count the groups that
    /// it was given, and who gave them counts along.
    fn take(&mut self, group: &Group, at: Timestamp, position: Position) -> Result<Position, AppendError> {
        self.refuse()?;
        self.check_order(group)?;
        if planted!(29) && group.sections.len() > 1 {
            let (one, rest) = group.sections.split_at(1);
            self.take(&Group { sections: one.to_vec() }, at, self.appended)?;
            self.close_batch();
            return self.take(&Group { sections: rest.to_vec() }, at, position);
        }
        if self.filling.bytes.len() >= BATCH_BYTES_FULL {
            self.close_batch();
        }
        if self.filling.is_idle() {
            self.filling.at = at;
        }
        let begin = self.filling.bytes.len();
        let mut marks = std::mem::take(&mut self.marks);
        marks.clear();
        marks.extend(group.sections.iter().map(|section| self.put(section)));
        let bytes = self.filling.bytes.len() - begin;
        if bytes > GROUP_BYTES_MAX {
            self.take_back(group, &marks, begin);
        }
        self.marks = marks;
        if bytes > GROUP_BYTES_MAX {
            return Err(AppendError::TooLarge { bytes, limit: GROUP_BYTES_MAX });
        }
        group.sections.iter().for_each(|section| self.note(section));
        self.queued_bytes += bytes;
        self.appended = position;
        self.filling.last = Some(self.appended);
        self.is_idle = false;
        self.wake_writer();
        Ok(self.appended)
    }

    fn refuse(&self) -> Result<(), AppendError> {
        match (&self.fault, self.phase) {
            (Some(fault), _) => Err(AppendError::Poisoned(fault.clone())),
            (None, Phase::Open) => Ok(()),
            (None, Phase::Closing | Phase::Stopping) => Err(AppendError::Poisoned(StoreError::Stopped)),
        }
    }

    /// Every section goes on where its run's journal ends, be it in this very group.
    fn check_order(&self, group: &Group) -> Result<(), AppendError> {
        let mut ends = BTreeMap::new();
        for section in group.sections.iter().filter(|section| section.run != RunNo(0)) {
            // Most groups have one section, and need no map.
            let before = if group.sections.len() > 1 { ends.insert(section.run, end_of(section)) } else { None };
            let expected = match (before, self.runs.get(section.run)) {
                (Some(before), _) => before,
                (None, Some(run)) if run.is_ended => EventNo(u64::MAX),
                (None, Some(run)) => run.next,
                (None, None) => EventNo(0),
            };
            let is_start = matches!(section.events.first(), Some(Event::RunStarted(_)));
            if section.first != expected || is_start != (expected == EventNo(0)) {
                return Err(AppendError::OutOfOrder { run: section.run, expected, found: section.first });
            }
            if section.ended.is_none() && section.events.iter().any(|event| matches!(event, Event::RunEnded(_))) {
                return Err(AppendError::Nameless { run: section.run });
            }
        }
        Ok(())
    }

    /// Appends a section's bytes. Gives how many names its run had before.
    fn put(&mut self, section: &Section) -> u32 {
        let Filling { at, bytes, .. } = &mut self.filling;
        if section.run == RunNo(0) {
            section::encode(section, None, *at, &mut Names::new(), bytes);
            return 0;
        }
        if section.first == EventNo(0) {
            self.runs.put(section.run, Run::NEW);
        }
        self.runs.with(section.run, |run, names| {
            let before = names.len();
            section::encode(section, run.prev(), *at, names, bytes);
            before
        })
    }

    /// Undoes what `put` did for all sections of a group.
    fn take_back(&mut self, group: &Group, marks: &[u32], begin: usize) {
        self.filling.bytes.truncate(begin);
        for (section, names) in group.sections.iter().zip(marks).rev() {
            if section.first == EventNo(0) {
                self.runs.remove(section.run);
            } else {
                self.runs.with_names(section.run, |written| written.truncate(*names));
            }
        }
    }

    /// Remembers where the section's run has come to.
    fn note(&mut self, section: &Section) {
        let is_ended = section.events.iter().any(|event| matches!(event, Event::RunEnded(_)));
        let is_first = self.runs.change(section.run, |run| {
            run.next = end_of(section);
            run.is_ended |= is_ended;
            run.fills()
        });
        if is_first == Some(true) {
            self.filling.touched.push(section.run);
        }
        if let Some(whose) = section.ended.as_ref().filter(|_| is_ended) {
            self.filling.ended.push((runs::id_hash(self.store, &whose.namespace, &whose.id), section.run));
        }
    }

    /// The batch that fills takes nothing more and gets its place; another one begins.
    fn close_batch(&mut self) {
        let next = Filling::new(self.filling.lsn.next());
        let mut filling = std::mem::replace(&mut self.filling, next);
        let lsn = filling.lsn;
        let touched = std::mem::take(&mut filling.touched);
        let batch = filling.close(&mut self.layout);
        for run in touched {
            self.runs.change(run, |run| run.place(batch.place()));
        }
        for (id, run) in &batch.ended {
            self.runs.remove(*run);
            let closed = ClosedPlace { run: *run, place: batch.place(), lsn, crc: None };
            self.closed.put(*id, &closed);
            self.pending.insert(*id, closed);
        }
        self.bytes_since_checkpoint += crate::codec::frame::stride(batch.bytes.len());
        self.unwritten.push_back((batch.place(), lsn));
        self.closed_batches.push_back(batch);
    }

    fn close_batch_if_any(&mut self) {
        if !self.filling.is_idle() {
            self.close_batch();
        }
    }

    /// An empty frame, if something was appended since the last one.
    pub(super) fn idle(&mut self, at: Timestamp) {
        if self.is_idle || self.has_work() || self.refuse().is_err() {
            return;
        }
        self.put_empty(at);
    }

    /// Whether anything waits to be written.
    pub(super) fn has_work(&self) -> bool {
        !self.filling.is_idle() || !self.closed_batches.is_empty()
    }

    fn put_empty(&mut self, at: Timestamp) {
        self.filling.at = at;
        self.close_batch();
        self.is_idle = true;
        self.wake_writer();
    }

    /// Appends a checkpoint, in parts. `tables` are the tables after exactly what was appended so far.
    pub(super) fn checkpoint(
        &mut self,
        tables: &AllTables<'_>,
        encoded: Encoded,
        at: Timestamp,
    ) -> Result<Position, AppendError> {
        self.refuse()?;
        if !encoded.fits(&self.runs) {
            let run = checkpoint::first_that_differs(tables, &self.runs).unwrap_or(tables.next_run());
            return Err(AppendError::WrongTables { run });
        }
        self.close_batch_if_any();
        let parts = encoded.with(&self.runs, &self.closed);
        let bytes: usize = parts.iter().map(Vec::len).sum();
        let of = u32::try_from(parts.len()).expect("because tables of 4 PiB do not fit into memory");
        for (part, tables) in (0..of).zip(parts) {
            self.close_batch_if_any();
            self.take(&checkpoint_group(part, of, &tables, at), at, self.appended)?;
        }
        self.checkpoint_pending = Some(self.filling.lsn);
        self.checkpoint_bytes = bytes as u64;
        self.bytes_since_checkpoint = 0;
        Ok(self.appended)
    }

    pub(super) fn wants_checkpoint(&self) -> bool {
        let wanted = self.checkpoint_bytes.saturating_mul(CHECKPOINT_TIMES).max(self.checkpoint_bytes_min);
        self.bytes_since_checkpoint >= wanted
    }

    /// `Closed` is the last event, an empty frame the last one, and nothing more comes.
    pub(super) fn close(&mut self, at: Timestamp) -> Result<(), AppendError> {
        self.take(&closed_group(at), at, self.appended)?;
        self.close_batch();
        self.put_empty(at);
        self.phase = Phase::Closing;
        self.wake_all();
        Ok(())
    }

    /// Nothing more is written than what is being written.
    pub(super) fn stop(&mut self) {
        self.phase = Phase::Stopping;
        self.closed_batches.clear();
        self.queued_bytes = 0;
        self.wake_all();
    }

    /// What the writer is to do next; none yet, if it is to wait.
    pub(super) fn next(&mut self) -> Option<Next> {
        if self.phase == Phase::Stopping || self.fault.is_some() {
            return Some(Next::End);
        }
        if self.closed_batches.is_empty() {
            self.close_batch_if_any();
        }
        match self.closed_batches.pop_front() {
            Some(batch) => Some(Next::Write(batch)),
            None if self.phase == Phase::Closing => Some(Next::End),
            None => None,
        }
    }

    /// How large `segment` must be for what is given out of it, `batch` included.
    pub(super) fn bytes_needed(&self, segment: SegmentNo, batch: &Batch) -> u64 {
        let queued = self.closed_batches.iter().filter(|queued| queued.place().segment == segment).map(Batch::end);
        queued.chain([batch.end()]).max().unwrap_or_default()
    }

    /// A segment was made, with this size.
    pub(super) fn segment_made(&mut self, segment: SegmentNo, bytes: u64) {
        self.layout.made(segment, bytes);
    }

    /// Whether what is queued is what the reserve is kept for.
    pub(super) fn may_use_reserve(&self) -> bool {
        self.phase == Phase::Closing || self.checkpoint_pending.is_some()
    }

    /// How large the newest checkpoint is.
    pub(super) fn checkpoint_bytes(&self) -> u64 {
        self.checkpoint_bytes
    }

    /// The frame is in the file. It is not durable.
    pub(super) fn frame_written(&mut self, lsn: Lsn) {
        self.written = lsn;
        self.unwritten.drain(..self.unwritten.partition_point(|(_, unwritten)| *unwritten <= lsn));
        self.wake_waiting();
    }

    /// The frame is durable and the lock was ours after that. Gives the newest group in it.
    pub(super) fn frame_durable(&mut self, lsn: Lsn, last: Option<Position>, bytes: usize) -> Option<Position> {
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        if self.checkpoint_pending.is_some_and(|pending| pending <= lsn) {
            self.checkpoint_pending = None;
        }
        self.synced = lsn;
        self.durable = if planted!(27) { self.appended } else { last.unwrap_or(self.durable) };
        self.wake_waiting();
        last
    }

    /// Final: the first cause stands.
    pub(super) fn poison(&mut self, cause: StoreError) {
        self.fault.get_or_insert(cause);
        self.closed_batches.clear();
        // Nothing waits to be written any more: who waits for room has to hear that the store stands still.
        self.queued_bytes = 0;
        self.wake_all();
    }

    /// Why nothing more is written, if that is so.
    pub(super) fn gone(&self) -> Option<StoreError> {
        let is_stopped = self.phase == Phase::Stopping || self.is_released;
        self.fault.clone().or(is_stopped.then_some(StoreError::Stopped))
    }

    /// The writer has let go of the locks.
    pub(super) fn released(&mut self) {
        self.is_released = true;
        self.wake_all();
    }

    /// What is known of closed runs of an id, and the place of one that the index may not know yet.
    pub(super) fn closed(&self, id: &runs::IdHash) -> (Known, Option<ClosedPlace>) {
        (self.closed.known(id), self.pending.get(id).copied())
    }

    /// The index has the rows of these runs.
    pub(super) fn indexed(&mut self, ended: &[(runs::IdHash, RunNo)]) {
        for (id, run) in ended {
            if self.pending.get(id).is_some_and(|closed| closed.run == *run) {
                self.pending.remove(id);
            }
        }
    }

    /// Whether the batch that fills holds the end of a run of this id; gives its number.
    pub(super) fn ends_in_filling(&self, id: &runs::IdHash) -> Option<Lsn> {
        self.filling.ended.iter().any(|(ended, _)| ended == id).then_some(self.filling.lsn)
    }

    /// Where the newest events of an open run stand, or will.
    pub(super) fn tail(&self, run: RunNo) -> Option<(runs::PlaceCell, Lsn, EventNo)> {
        let run = self.runs.get(run)?;
        match (run.tail(), run.prev()) {
            (Tail::Filling | Tail::AllFilling, _) => Some((self.filling.cell.clone(), self.filling.lsn, run.next)),
            (Tail::None | Tail::Placed, prev) => prev.map(|place| (placed(place), self.lsn_of(place), run.next)),
        }
    }

    /// The number of the frame at a place, or one that is written like it.
    fn lsn_of(&self, place: Place) -> Lsn {
        let unwritten = self.unwritten.binary_search_by_key(&place, |(place, _)| *place).ok();
        unwritten.and_then(|at| self.unwritten.get(at)).map_or(Lsn::default(), |(_, lsn)| *lsn)
    }

    pub(super) fn wait_as_writer(&mut self, waker: &Waker) {
        self.writer = Some(waker.clone());
    }

    pub(super) fn wait(&mut self, waker: &Waker) {
        self.waiting.push(waker.clone());
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    fn wake_waiting(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    fn wake_all(&mut self) {
        self.wake_writer();
        self.wake_waiting();
    }
}

fn placed(place: Place) -> runs::PlaceCell {
    let cell = runs::PlaceCell::default();
    let _is_first = cell.set(place);
    cell
}

fn end_of(section: &Section) -> EventNo {
    EventNo(section.first.0.saturating_add(section.events.len() as u64))
}

fn store_group(event: Event, at: Timestamp) -> Group {
    Group { sections: vec![Section::of(RunNo(0), EventNo(0), at, vec![event])] }
}

fn closed_group(at: Timestamp) -> Group {
    store_group(Event::Closed, at)
}

fn checkpoint_group(part: u32, of: u32, tables: &[u8], at: Timestamp) -> Group {
    store_group(Event::Checkpoint { part, of, tables: Payload(tables.into()) }, at)
}
