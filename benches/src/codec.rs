//! What one durable step adds to the log: the section of an activity's completion and of the turn that asks for the next one, with 100 bytes
//! of result, as bytes and back.

use std::sync::Arc;

use durable::codec::frame::{self, Header, Lsn, Place, SegmentNo, StoreId};
use durable::codec::names::Names;
use durable::codec::section::{self, Head};
use durable::kernel::event::{ActivityScheduled, Binding, Entry, Event, Section, UndoBits};
use durable::kernel::id::{Attempt, Digest, EventNo, RunNo, Seq, Timestamp};

/// When all of it happens.
pub const AT: Timestamp = Timestamp(1_767_225_600_000_000);

/// A store, for frames.
pub const STORE: StoreId = StoreId([7; 16]);

/// Where its frames stand.
pub const PLACE: Place = Place { segment: SegmentNo(3), offset: 65_536 };

/// The section of step `seq` of a run.
#[must_use]
pub fn step(seq: u32) -> Section {
    let completed = Event::ActivityCompleted {
        seq: Seq(seq),
        attempt: Attempt(1),
        began: Timestamp(AT.0 - 170),
        result: vec![b'x'; 100].into(),
    };
    let next = ActivityScheduled {
        seq: Seq(seq + 1),
        name: "echo".into(),
        value: Digest(0x2827_2625_2423_2221),
        shape: Digest(0x3837_3635_3433_3231),
        binding: Binding::default(),
        undo: UndoBits::default(),
        undoes: None,
        input: None,
    };
    let first = EventNo(u64::from(seq) * 2);
    let turn = Event::Turn { of: first, entries: vec![Entry::ActivityScheduled(Arc::new(next))].into() };
    Section::of(RunNo(300), first, AT, vec![completed, turn])
}

/// A run's names, as they are after its first step.
#[must_use]
pub fn names() -> Names {
    let mut names = Names::new();
    encode(&step(1), &mut names, &mut Vec::new());
    names
}

/// Appends a section.
pub fn encode(step: &Section, names: &mut Names, out: &mut Vec<u8>) {
    section::encode(step, Some(PLACE), AT, names, out);
}

/// Reads a section back; gives how many events it held.
///
/// # Panics
/// When the bytes are no section.
#[must_use]
pub fn decode(mut bytes: &[u8], names: &mut Names) -> usize {
    let head = Head::decode(&mut bytes, AT).expect("because it was just encoded");
    head.events(&mut bytes, names).expect("because they were just encoded").len()
}

/// A frame with so many of these steps, its header not sealed yet.
#[must_use]
pub fn frame_of(steps: u32) -> Vec<u8> {
    let (mut names, mut frame) = (names(), Vec::new());
    frame::begin(&mut frame);
    (1..=steps).for_each(|seq| encode(&step(seq), &mut names, &mut frame));
    frame
}

/// Seals a frame.
///
/// # Panics
/// When it is no frame.
pub fn seal(frame: &mut [u8]) -> u32 {
    let header = Header { lsn: Lsn(9), base: Lsn(1), at: AT, chain: 77 };
    frame::seal(frame, header, STORE, PLACE).expect("because it has a header and is not long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_comes_back_from_its_frame() {
        let mut frame = frame_of(1);
        seal(&mut frame);
        let read = frame::decode(&frame, STORE, PLACE).expect("it was just sealed");
        assert_eq!(decode(read.body, &mut names()), 2);
    }
}
