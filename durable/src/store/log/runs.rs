//! What the store itself knows of each open run: where its journal ends, its number of events, and the names that it has
//! written. Nothing of what the run waits for, nor whose it is: that is in the kernel's tables.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};

use crate::codec::frame::{ALIGN, Place, SegmentNo, StoreId};
use crate::codec::hash;
use crate::codec::names::Names;
use crate::kernel::by_run::ByRun;
use crate::kernel::event::Text;
use crate::kernel::id::{EventNo, RunNo};

/// A namespace and a workflow id, as a hash.
pub(super) type IdHash = [u8; 16];

/// The hash of a workflow id in this store.
pub(super) fn id_hash(store: StoreId, namespace: &Text, id: &Text) -> IdHash {
    hash::id_hash(&store.0, namespace.as_str(), id.as_str())
}

/// Where a frame will stand, once its batch is closed.
pub(super) type PlaceCell = Arc<OnceLock<Place>>;

/// Where a run's newest events stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// Nowhere: it has none.
    None,
    /// In a frame that has its place.
    Placed,
    /// In the batch that fills, and its events before those in a frame that has its place.
    Filling,
    /// All in the batch that fills.
    AllFilling,
}

/// An open run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The number of its next event.
    pub(super) next: EventNo,
    tail: Tail,
    /// The newest frame of its events that has its place, if there is one.
    placed: Place,
    /// Whether its end is appended. It is forgotten when that is written.
    pub(super) is_ended: bool,
}

impl Run {
    /// One of which there is nothing yet.
    pub(super) const NEW: Run =
        Run { next: EventNo(0), tail: Tail::None, placed: Place { segment: SegmentNo(0), offset: 0 }, is_ended: false };

    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// The frame that holds the run's events before those that are appended now.
    pub(super) fn prev(&self) -> Option<Place> {
        match self.tail {
            Tail::None | Tail::AllFilling => None,
            Tail::Placed | Tail::Filling => Some(self.placed),
        }
    }

    /// Its newest events are in the batch that fills. Tells whether those are the first of its there.
    pub(super) fn fills(&mut self) -> bool {
        let before = self.tail;
        self.tail = match before {
            Tail::None | Tail::AllFilling => Tail::AllFilling,
            Tail::Placed | Tail::Filling => Tail::Filling,
        };
        before != self.tail
    }

    /// Its newest events are in the frame at this place.
    pub(super) fn place(&mut self, place: Place) {
        (self.tail, self.placed) = (Tail::Placed, place);
    }
}

/// The open runs, by number. There may be a million: each is packed into two words, and what few have stands beside.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    packed: ByRun<Packed>,
    /// What does not fit into two words.
    large: BTreeMap<RunNo, Run>,
    /// The names that runs have written; those of no run are empty.
    names: Vec<Names>,
    /// The numbers of the empty ones.
    free: Vec<Number>,
}

/// Which names are a run's, counted from 2; 1 is none.
type Number = NonZeroU32;

const NO_NAMES: Number = Number::MIN;

/// A run, from the highest bit on: its segment (31), its offset by 8 (29), whether it is large (1), whether it ended (1), its tail (2).
#[derive(Debug, Clone, Copy)]
struct Packed {
    bits: u64,
    next: u32,
    names: Number,
}

const SEGMENT_BITS: u32 = 31;
const OFFSET_BITS: u32 = 29;
const LARGE: u64 = 1 << 3;
const ENDED: u64 = 1 << 2;
const TAILS: [Tail; 4] = [Tail::None, Tail::Placed, Tail::Filling, Tail::AllFilling];

impl Packed {
    fn new(run: &Run, names: Number) -> Option<Packed> {
        let Place { segment, offset } = run.placed;
        let offset = (offset % ALIGN == 0).then_some(offset / ALIGN)?;
        if segment.0 >> SEGMENT_BITS != 0 || offset >> OFFSET_BITS != 0 {
            return None;
        }
        let ended = if run.is_ended { ENDED } else { 0 };
        let bits = segment.0 << (64 - SEGMENT_BITS) | offset << 4 | ended | run.tail as u64;
        Some(Packed { bits, next: run.next.0.try_into().ok()?, names })
    }

    fn large(names: Number) -> Packed {
        Packed { bits: LARGE, next: 0, names }
    }

    fn run(&self) -> Run {
        let segment = SegmentNo(self.bits >> (64 - SEGMENT_BITS));
        let offset = (self.bits >> 4 & ((1 << OFFSET_BITS) - 1)) * ALIGN;
        Run {
            next: EventNo(self.next.into()),
            tail: TAILS[(self.bits & 3) as usize],
            placed: Place { segment, offset },
            is_ended: self.bits & ENDED != 0,
        }
    }
}

impl Runs {
    pub(super) fn with_capacity(room: usize) -> Runs {
        Runs { packed: ByRun::with_capacity(room), ..Runs::default() }
    }

    pub(super) fn get(&self, run: RunNo) -> Option<Run> {
        self.packed.get(&run).map(|packed| self.unpack(run, packed))
    }

    fn unpack(&self, run: RunNo, packed: &Packed) -> Run {
        match packed.bits & LARGE {
            0 => packed.run(),
            _ => self.large.get(&run).copied().unwrap_or(Run::NEW),
        }
    }

    /// Puts in a run, or what is known of it now. Its names stay what they are.
    pub(super) fn put(&mut self, no: RunNo, run: Run) {
        let before = self.packed.get_mut(&no);
        let names = before.as_ref().map_or(NO_NAMES, |packed| packed.names);
        if before.as_ref().is_some_and(|packed| packed.bits & LARGE != 0) {
            self.large.remove(&no);
        }
        let packed = Packed::new(&run, names).unwrap_or_else(|| {
            self.large.insert(no, run);
            Packed::large(names)
        });
        match before {
            Some(before) => *before = packed,
            None => drop(self.packed.insert(no, packed)),
        }
    }

    /// Changes what is known of a run, if it is open.
    pub(super) fn change<T>(&mut self, run: RunNo, change: impl FnOnce(&mut Run) -> T) -> Option<T> {
        let packed = self.packed.get_mut(&run)?;
        if packed.bits & LARGE == 0 {
            let mut changed = packed.run();
            let told = change(&mut changed);
            match Packed::new(&changed, packed.names) {
                Some(fits) => *packed = fits,
                None => self.put(run, changed),
            }
            return Some(told);
        }
        let mut changed = self.get(run)?;
        let told = change(&mut changed);
        self.put(run, changed);
        Some(told)
    }

    pub(super) fn remove(&mut self, run: RunNo) {
        if let Some(Packed { bits, names, .. }) = self.packed.remove(&run) {
            if bits & LARGE != 0 {
                self.large.remove(&run);
            }
            if names != NO_NAMES {
                self.free.push(names);
                self.put_names(names, Names::new());
            }
        }
    }

    /// All of them, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RunNo, Run)> + Clone + '_ {
        self.packed.iter().map(|(run, packed)| (run, self.unpack(run, packed)))
    }

    /// Their numbers.
    pub(super) fn keys(&self) -> impl Iterator<Item = RunNo> + '_ {
        self.packed.keys()
    }

    /// The names that a run has written; none if it is not open.
    pub(super) fn names(&self, run: RunNo) -> &Names {
        const NONE: &Names = &Names::new();
        let number = self.packed.get(&run).and_then(|packed| place(packed.names));
        number.and_then(|place| self.names.get(place)).unwrap_or(NONE)
    }

    /// Goes on with the names that a run has written, if it is open.
    pub(super) fn with_names<T>(&mut self, run: RunNo, go_on: impl FnOnce(&mut Names) -> T) -> T {
        self.with(run, |_, names| go_on(names))
    }

    /// The same, with what is known of the run.
    pub(super) fn with<T>(&mut self, run: RunNo, go_on: impl FnOnce(Run, &mut Names) -> T) -> T {
        let Some(packed) = self.packed.get_mut(&run) else { return go_on(Run::NEW, &mut Names::new()) };
        let known = match packed.bits & LARGE {
            0 => packed.run(),
            _ => self.large.get(&run).copied().unwrap_or(Run::NEW),
        };
        if let Some(names) = place(packed.names).and_then(|place| self.names.get_mut(place)) {
            return go_on(known, names);
        }
        let mut names = Names::new();
        let told = go_on(known, &mut names);
        if !names.is_empty() {
            let number = self.free.pop().or_else(|| Number::new(u32::try_from(self.names.len() + 2).ok()?));
            let number = number.expect("because 4 billion runs do not fit into memory");
            packed.names = number;
            self.put_names(number, names);
        }
        told
    }

    fn put_names(&mut self, number: Number, names: Names) {
        match place(number).and_then(|place| self.names.get_mut(place)) {
            Some(there) => *there = names,
            None => self.names.push(names),
        }
    }
}

fn place(number: Number) -> Option<usize> {
    (number.get() as usize).checked_sub(2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::names::Name;

    /// A run as the log has it; some do not fit into two words.
    fn run() -> impl Strategy<Value = Run> {
        let large = || prop_oneof![0..100_u64, u64::from(u32::MAX) - 1..u64::from(u32::MAX) + 2, any::<u64>()];
        let offset = prop_oneof![0..100_u64, (1 << OFFSET_BITS) - 1..(1 << OFFSET_BITS) + 2_u64];
        let segment = prop_oneof![0..100_u64, (1 << SEGMENT_BITS) - 1..(1 << SEGMENT_BITS) + 2_u64];
        (large(), segment, offset, 0..4_usize, any::<bool>()).prop_map(|(next, segment, offset, tail, is_ended)| Run {
            next: EventNo(next),
            tail: TAILS[tail],
            placed: Place { segment: SegmentNo(segment), offset: offset * ALIGN },
            is_ended,
        })
    }

    #[derive(Debug, Clone)]
    enum Op {
        Put(u64, Run),
        Name(u64, u8),
        Cut(u64, u32),
        Remove(u64),
    }

    fn ops() -> impl Strategy<Value = Vec<Op>> {
        let no = || 1..20_u64;
        let op = prop_oneof![
            3 => (no(), run()).prop_map(|(no, run)| Op::Put(no, run)),
            3 => (no(), any::<u8>()).prop_map(|(no, name)| Op::Name(no, name)),
            1 => (no(), 0..3_u32).prop_map(|(no, len)| Op::Cut(no, len)),
            1 => no().prop_map(Op::Remove),
        ];
        proptest::collection::vec(op, 0..200)
    }

    proptest! {
        #[test]
        fn what_is_packed_is_what_was_put_in(ops in ops()) {
            let (mut runs, mut model) = (Runs::default(), BTreeMap::<RunNo, (Run, Vec<u8>)>::new());
            for op in ops {
                match op {
                    Op::Put(no, run) => {
                        runs.put(RunNo(no), run);
                        model.entry(RunNo(no)).or_insert((run, Vec::new())).0 = run;
                    }
                    Op::Name(no, name) => {
                        runs.with_names(RunNo(no), |names| names.spell(&name.to_string().as_str().into(), None));
                        if let Some((_, names)) = model.get_mut(&RunNo(no)).filter(|(_, names)| !names.contains(&name)) {
                            names.push(name);
                        }
                    }
                    Op::Cut(no, len) => {
                        runs.with_names(RunNo(no), |names| names.truncate(len));
                        model.get_mut(&RunNo(no)).into_iter().for_each(|(_, names)| names.truncate(len as usize));
                    }
                    Op::Remove(no) => {
                        runs.remove(RunNo(no));
                        model.remove(&RunNo(no));
                    }
                }
                let large = model.values().filter(|(run, _)| Packed::new(run, NO_NAMES).is_none()).count();
                prop_assert_eq!((runs.large.len(), runs.names.len() <= 19), (large, true));
            }
            prop_assert!(runs.iter().eq(model.iter().map(|(no, (run, _))| (*no, *run))));
            for no in (0..21).map(RunNo) {
                let (run, names) = model.get(&no).cloned().map_or((None, Vec::new()), |(run, names)| (Some(run), names));
                prop_assert_eq!(runs.get(no), run);
                let names = names.iter().map(|name| Name { text: name.to_string().as_str().into(), shape: None });
                prop_assert!(runs.names(no).iter().cloned().eq(names));
            }
        }
    }

    #[test]
    fn a_run_takes_no_more_than_it_has_to() {
        assert_eq!(ByRun::<Packed>::PLACE_BYTES, 24);
    }
}
