//! The open runs: each in memory, or on a shelf if it was put away. Whoever looks sees no difference, but for the time that it takes: what stands
//! on the shelf is read when somebody looks, kept until the next fact, and back in memory when it changes. What a shelf is the shell says; the
//! kernel only knows that it gets back what it gave.

use std::borrow::Cow;
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::ops::Index;
use std::sync::OnceLock;

use super::by_run::{self, ByRun};
use super::id::RunNo;
use super::tables::RunEntry;

/// Where what is known of runs stands while they are not in memory. It need not outlive the process: the log has it all.
pub trait Shelf: Debug + Send + Sync {
    /// Puts up what is known of a run; none if there is no room, or it is too long: then it stays in memory.
    fn put(&mut self, run: RunNo, entry: &RunEntry) -> Option<Spot>;

    /// What was put up there.
    ///
    /// # Panics
    /// If it cannot be read back. Whoever drives the kernel ends it then: nothing is lost, since the log has it.
    fn get(&self, run: RunNo, spot: Spot) -> RunEntry;

    /// The same; its place is free then.
    ///
    /// # Panics
    /// As [`get`](Self::get).
    fn take(&mut self, run: RunNo, spot: Spot) -> RunEntry;
}

/// A place on a shelf: a number up to [`Spot::MAX`], counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot(NonZeroU32);

impl Spot {
    /// The highest number.
    pub const MAX: u32 = Slot::HERE - 1;

    /// The place of this number; none if there is no such place.
    #[must_use]
    pub fn new(number: u32) -> Option<Spot> {
        NonZeroU32::new(number).filter(|_| number <= Spot::MAX).map(Spot)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

/// See the head of the file. It is ordered, and compares and prints, as a map does.
#[derive(Debug, Default)]
pub struct OpenRuns {
    runs: ByRun<Slot>,
    here: Here,
    shelf: Option<Box<dyn Shelf>>,
    /// What somebody has looked at since the last fact.
    seen: OnceLock<Box<Seen>>,
}

/// Where an open run is. There may be a million, for whom this is all that there is in memory.
#[derive(Debug, Clone, Copy)]
struct Slot(NonZeroU32);

/// What it says.
enum Is {
    Here(u32),
    Shelved(Spot),
}

impl Slot {
    /// This bit says that it is in memory.
    const HERE: u32 = 1 << 31;

    fn here(place: u32) -> Slot {
        Slot(NonZeroU32::new(place | Slot::HERE).expect("because of that bit"))
    }

    fn is(self) -> Is {
        let Slot(number) = self;
        match number.get() & Slot::HERE {
            0 => Is::Shelved(Spot(number)),
            _ => Is::Here(number.get() & !Slot::HERE),
        }
    }
}

/// The runs that are in memory, each by itself, by places that go from one to another.
#[derive(Debug, Default)]
struct Here {
    entries: Vec<Option<Box<RunEntry>>>,
    free: Vec<u32>,
}

impl Here {
    /// So many places are kept when nobody is there.
    const KEPT_MAX: usize = 1024;

    fn put(&mut self, entry: Box<RunEntry>) -> u32 {
        if let Some(place) = self.free.pop() {
            self.entries[place as usize] = Some(entry);
            return place;
        }
        let place = u32::try_from(self.entries.len()).ok().filter(|place| place & Slot::HERE == 0);
        self.entries.push(Some(entry));
        place.expect("because two billion runs do not fit into memory")
    }

    fn get(&self, place: u32) -> Option<&RunEntry> {
        self.entries.get(place as usize)?.as_deref()
    }

    fn get_mut(&mut self, place: u32) -> Option<&mut RunEntry> {
        self.entries.get_mut(place as usize)?.as_deref_mut()
    }

    fn take(&mut self, place: u32) -> Option<Box<RunEntry>> {
        let entry = self.entries.get_mut(place as usize)?.take()?;
        self.free.push(place);
        if self.free.len() == self.entries.len() && self.free.len() > Here::KEPT_MAX {
            // What a flood of them took is given back.
            *self = Here::default();
        }
        Some(entry)
    }
}

/// A run on the shelf, as somebody saw it, and who was seen next.
#[derive(Debug)]
struct Seen {
    run: RunNo,
    entry: Box<RunEntry>,
    next: OnceLock<Box<Seen>>,
}

impl OpenRuns {
    /// None, with room for so many.
    #[must_use]
    pub fn with_capacity(room: usize) -> OpenRuns {
        let mut all = OpenRuns::default();
        all.runs = ByRun::with_capacity(room);
        all.here.entries.reserve_exact(room);
        all
    }

    /// Where runs go that are put away. Without one they stay in memory.
    pub fn put_up_on(&mut self, shelf: Box<dyn Shelf>) {
        debug_assert!(self.shelf.is_none(), "because what stands on another shelf could not be found");
        self.shelf = Some(shelf);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether a run is among them.
    #[must_use]
    pub fn contains_key(&self, run: &RunNo) -> bool {
        self.runs.contains_key(run)
    }

    /// What is known of a run.
    #[must_use]
    pub fn get(&self, run: &RunNo) -> Option<&RunEntry> {
        match self.runs.get(run)?.is() {
            Is::Here(place) => self.here.get(place),
            Is::Shelved(spot) => Some(self.look(*run, spot)),
        }
    }

    /// The same, without keeping it: for whoever looks at many.
    #[must_use]
    pub fn read(&self, run: &RunNo) -> Option<Cow<'_, RunEntry>> {
        read(&self.here, self.shelf.as_deref(), *run, *self.runs.get(run)?)
    }

    /// The same, to be changed: it is in memory from now on.
    pub fn get_mut(&mut self, run: &RunNo) -> Option<&mut RunEntry> {
        let slot = self.runs.get_mut(run)?;
        let place = match slot.is() {
            Is::Here(place) => place,
            Is::Shelved(spot) => {
                let entry = self.shelf.as_mut().expect("because it stands on one").take(*run, spot);
                let seen = self.seen.get().filter(|_| keeps_what_was_seen()).and_then(|seen| seen.entry_of(*run));
                forget(&mut self.seen);
                let place = self.here.put(seen.unwrap_or(Box::new(entry)));
                *slot = Slot::here(place);
                place
            }
        };
        self.here.get_mut(place)
    }

    /// Puts a run in.
    pub fn insert(&mut self, run: RunNo, entry: Box<RunEntry>) {
        if self.runs.contains_key(&run) {
            self.remove(&run);
        }
        let place = self.here.put(entry);
        self.runs.insert(run, Slot::here(place));
    }

    /// Takes a run out.
    pub fn remove(&mut self, run: &RunNo) -> Option<Box<RunEntry>> {
        match self.runs.remove(run)?.is() {
            Is::Here(place) => self.here.take(place),
            Is::Shelved(spot) => {
                forget(&mut self.seen);
                Some(Box::new(self.shelf.as_mut()?.take(*run, spot)))
            }
        }
    }

    /// Puts a run on the shelf, if there is one and it has room.
    pub fn put_up(&mut self, run: RunNo) {
        let Some(shelf) = &mut self.shelf else { return };
        if let Some(slot) = self.runs.get_mut(&run)
            && let Is::Here(place) = slot.is()
            && let Some(spot) = self.here.get(place).and_then(|entry| shelf.put(run, entry))
        {
            *slot = Slot(spot.0);
            self.here.take(place);
        }
    }

    /// Lets go of what was read from the shelf to be looked at.
    pub fn forget(&mut self) {
        forget(&mut self.seen);
    }

    /// All runs, by number. What stands on the shelf is read, and not kept.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { runs: self.runs.iter(), here: &self.here, shelf: self.shelf.as_deref() }
    }

    /// All runs, by number, taken out.
    pub fn into_all(mut self) -> impl Iterator<Item = (RunNo, Box<RunEntry>)> {
        let (runs, mut here) = (std::mem::take(&mut self.runs), std::mem::take(&mut self.here));
        let mut shelf = self.shelf.take();
        runs.into_iter().filter_map(move |(run, slot)| match slot.is() {
            Is::Here(place) => Some((run, here.take(place)?)),
            Is::Shelved(spot) => Some((run, Box::new(shelf.as_mut()?.take(run, spot)))),
        })
    }

    /// Their numbers.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = RunNo> {
        self.runs.keys()
    }

    /// What is known of them.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = Cow<'_, RunEntry>> {
        self.iter().map(|(_, entry)| entry)
    }

    fn look(&self, run: RunNo, spot: Spot) -> &RunEntry {
        let mut next = &self.seen;
        loop {
            let seen = next.get_or_init(|| {
                let shelf = self.shelf.as_ref().expect("because it stands on one");
                Box::new(Seen { run, entry: Box::new(shelf.get(run, spot)), next: OnceLock::new() })
            });
            if seen.run == run {
                return &seen.entry;
            }
            next = &seen.next;
        }
    }
}

fn forget(seen: &mut OnceLock<Box<Seen>>) {
    if keeps_what_was_seen() {
        return;
    }
    // One by one: however many there are, none is dropped within another.
    while let Some(mut first) = seen.take() {
        *seen = std::mem::take(&mut first.next);
    }
}

/// Never, but for a planted bug.
fn keeps_what_was_seen() -> bool {
    planted!(75)
}

impl Seen {
    /// What was seen of a run, and may be older than what there is: a planted bug.
    fn entry_of(&self, run: RunNo) -> Option<Box<RunEntry>> {
        if self.run == run { Some(self.entry.clone()) } else { self.next.get()?.entry_of(run) }
    }
}

fn read<'a>(here: &'a Here, shelf: Option<&'a dyn Shelf>, run: RunNo, slot: Slot) -> Option<Cow<'a, RunEntry>> {
    match slot.is() {
        Is::Here(place) => here.get(place).map(Cow::Borrowed),
        Is::Shelved(spot) => Some(Cow::Owned(shelf?.get(run, spot))),
    }
}

/// All runs, by number.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    runs: by_run::Iter<'a, Slot>,
    here: &'a Here,
    shelf: Option<&'a dyn Shelf>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (RunNo, Cow<'a, RunEntry>);

    fn next(&mut self) -> Option<Self::Item> {
        let (run, slot) = self.runs.next()?;
        Some((run, read(self.here, self.shelf, run, *slot)?))
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let (run, slot) = self.runs.next_back()?;
        Some((run, read(self.here, self.shelf, run, *slot)?))
    }
}

impl Index<&RunNo> for OpenRuns {
    type Output = RunEntry;

    /// # Panics
    /// If the run is not open.
    fn index(&self, run: &RunNo) -> &RunEntry {
        self.get(run).expect("the run is open")
    }
}

impl Drop for OpenRuns {
    fn drop(&mut self) {
        self.forget();
    }
}

/// All of it in memory: a shelf has one owner.
impl Clone for OpenRuns {
    fn clone(&self) -> Self {
        self.iter().map(|(run, entry)| (run, Box::new(entry.into_owned()))).collect()
    }
}

impl FromIterator<(RunNo, Box<RunEntry>)> for OpenRuns {
    fn from_iter<I: IntoIterator<Item = (RunNo, Box<RunEntry>)>>(runs: I) -> Self {
        let mut all = OpenRuns::default();
        runs.into_iter().for_each(|(run, entry)| all.insert(run, entry));
        all
    }
}

impl PartialEq for OpenRuns {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for OpenRuns {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::kernel::event::{RunStarted, Text};
    use crate::kernel::id::{EventNo, Timestamp};
    use crate::kernel::tables::RunKind;

    /// A shelf of two places that counts how often it was read.
    #[derive(Debug, Clone, Default)]
    struct Two(Arc<Mutex<State>>);

    #[derive(Debug, Default)]
    struct State {
        places: BTreeMap<Spot, RunEntry>,
        reads: u32,
    }

    impl Shelf for Two {
        fn put(&mut self, _: RunNo, entry: &RunEntry) -> Option<Spot> {
            let mut state = self.0.lock().unwrap();
            let spots = [1, 2].map(|spot| Spot::new(spot).unwrap());
            let spot = spots.into_iter().find(|spot| !state.places.contains_key(spot))?;
            state.places.insert(spot, entry.clone());
            Some(spot)
        }

        fn get(&self, _: RunNo, spot: Spot) -> RunEntry {
            let mut state = self.0.lock().unwrap();
            state.reads += 1;
            state.places[&spot].clone()
        }

        fn take(&mut self, _: RunNo, spot: Spot) -> RunEntry {
            self.0.lock().unwrap().places.remove(&spot).unwrap()
        }
    }

    fn entry(id: &str) -> Box<RunEntry> {
        let started = RunStarted { id: id.into(), ..RunStarted::default() };
        Box::new(RunEntry::started(Timestamp(1), &started, RunKind::of(&started).into()))
    }

    fn three() -> (OpenRuns, Two) {
        let shelf = Two::default();
        let mut runs: OpenRuns = (1..=3).map(|run| (RunNo(run), entry(&run.to_string()))).collect();
        runs.put_up_on(Box::new(shelf.clone()));
        (1..=3).for_each(|run| runs.put_up(RunNo(run)));
        (runs, shelf)
    }

    fn on_it(shelf: &Two) -> usize {
        shelf.0.lock().unwrap().places.len()
    }

    #[test]
    fn who_looks_sees_no_difference() {
        let (runs, shelf) = three();
        assert_eq!(on_it(&shelf), 2, "the third found no room");
        for run in 1..=3 {
            assert_eq!(runs.get(&RunNo(run)), Some(&*entry(&run.to_string())));
        }
        let ids = |runs: &OpenRuns| runs.values().map(|entry| entry.id.clone()).collect::<Vec<Text>>();
        assert_eq!(ids(&runs), ["1", "2", "3"].map(Text::from));
        assert_eq!(runs.clone(), runs);
        assert_eq!(ids(&runs.clone()), ids(&runs));
        assert_eq!((runs.len(), runs.get(&RunNo(4))), (3, None));
    }

    #[test]
    fn what_is_looked_at_twice_is_read_once_until_the_next_fact() {
        let (mut runs, shelf) = three();
        let reads = || shelf.0.lock().unwrap().reads;
        let both = (runs.get(&RunNo(1)).unwrap(), runs.get(&RunNo(2)).unwrap());
        assert_eq!((both.0.id.as_str(), both.1.id.as_str()), ("1", "2"), "both can be held at once");
        assert_eq!((runs.get(&RunNo(2)).unwrap().id.as_str(), reads()), ("2", 2));
        runs.forget();
        assert_eq!((runs.get(&RunNo(2)).unwrap().id.as_str(), reads(), on_it(&shelf)), ("2", 3, 2));
        runs.get_mut(&RunNo(2)).unwrap();
        assert_eq!((reads(), on_it(&shelf)), (3, 1));
    }

    #[test]
    fn however_many_were_seen_they_are_let_go_one_by_one() {
        let mut seen = OnceLock::new();
        for run in 0..200_000 {
            let next = std::mem::take(&mut seen);
            seen = OnceLock::from(Box::new(Seen { run: RunNo(run), entry: entry("any"), next }));
        }
        forget(&mut seen);
        assert!(seen.get().is_none());
    }

    #[test]
    fn what_changes_is_in_memory_and_its_place_goes_to_another() {
        let (mut runs, shelf) = three();
        assert_eq!(runs.get(&RunNo(1)).unwrap().next, EventNo(1));
        runs.get_mut(&RunNo(1)).unwrap().next = EventNo(7);
        assert_eq!((runs[&RunNo(1)].next, on_it(&shelf)), (EventNo(7), 1));
        runs.put_up(RunNo(3));
        assert_eq!((runs[&RunNo(3)].id.as_str(), on_it(&shelf)), ("3", 2));
        assert_eq!(runs.remove(&RunNo(3)).map(|entry| entry.id), Some("3".into()));
        assert_eq!((runs.remove(&RunNo(3)), on_it(&shelf)), (None, 1));
        runs.put_up(RunNo(1));
        runs.insert(RunNo(1), entry("another"));
        assert_eq!((runs[&RunNo(1)].id.as_str(), on_it(&shelf)), ("another", 1));
    }

    #[test]
    fn a_run_takes_no_more_than_it_has_to() {
        assert_eq!(ByRun::<Slot>::PLACE_BYTES, 12);
    }
}
