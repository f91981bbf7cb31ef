//! What this process has of each open run: whether it is in memory, those of its calls that were taken up, and who waits for its end. A step
//! looks for the first two, so that a run has one place for all, and one box for what comes and goes, which goes from run to run. A run that is
//! in the log alone, and of which nobody waits for anything, has no place. It never decides anything.

use std::collections::BTreeMap;

use super::attempts::Call;
use super::{Delivered, Watcher};
use crate::kernel::by_run::ByRun;
use crate::kernel::event::Text;
use crate::kernel::few::Few;
use crate::kernel::id::{RunNo, Seq};
use crate::kernel::short::Short;

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// In the log alone.
    Away,
    /// Its journal is being loaded.
    Loading,
    /// It can be polled.
    Hot,
    /// This process cannot poll it.
    Stuck,
}

/// One open run. There may be a million: what few of them have stands beside.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) memory: Memory,
    /// None as long as nothing is in it.
    guests: Option<Box<Guests>>,
}

/// What comes and goes while a run is open.
#[derive(Debug, Default)]
struct Guests {
    calls: Few<Seq, Call>,
    watchers: Short<Watcher>,
}

/// See the head of the file.
#[derive(Debug, Default)]
pub(super) struct Here {
    seats: ByRun<Seat>,
    /// Delivered events that came while their run was being loaded.
    tails: BTreeMap<RunNo, Vec<Delivered>>,
    /// Why this process cannot poll a run.
    stuck: BTreeMap<RunNo, Text>,
    /// Boxes that are empty.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    spares: Vec<Box<Guests>>,
}

impl Here {
    /// So many boxes are kept.
    const SPARES_MAX: usize = 1024;

    pub(super) fn memory(&self, run: RunNo) -> Memory {
        self.seats.get(&run).map_or(Memory::Away, |seat| seat.memory)
    }

    pub(super) fn seat_mut(&mut self, run: RunNo) -> Option<&mut Seat> {
        self.seats.get_mut(&run)
    }

    /// Notes where a run is now; gives where it was.
    pub(super) fn put(&mut self, run: RunNo, memory: Memory) -> Memory {
        self.forget_beside(run);
        let before = match self.seats.get_mut(&run) {
            Some(seat) => std::mem::replace(&mut seat.memory, memory),
            None => {
                if memory != Memory::Away {
                    self.seats.insert(run, Seat { memory, guests: None });
                }
                return Memory::Away;
            }
        };
        self.leave_seat(run);
        before
    }

    /// Gives a run's seat up if nothing is in it that is not so for a run without one.
    fn leave_seat(&mut self, run: RunNo) {
        if self.seats.get(&run).is_some_and(|seat| seat.memory == Memory::Away && seat.guests.is_none()) {
            self.seats.remove(&run);
        }
    }

    /// This process cannot poll a run.
    pub(super) fn stick(&mut self, run: RunNo, reason: Text) {
        self.put(run, Memory::Stuck);
        self.stuck.insert(run, reason);
    }

    /// Why this process cannot poll a run, if it cannot.
    pub(super) fn stuck(&self, run: RunNo) -> Option<&Text> {
        self.stuck.get(&run)
    }

    /// An event came for a run that is being loaded.
    pub(super) fn push_tail(&mut self, run: RunNo, delivered: Delivered) {
        self.tails.entry(run).or_default().push(delivered);
    }

    /// The events that came for a run while it was being loaded, which is over; none if it was not.
    pub(super) fn end_loading(&mut self, run: RunNo) -> Option<Vec<Delivered>> {
        let tail = self.tails.remove(&run);
        let before = self.put(run, Memory::Away);
        (before == Memory::Loading).then(|| tail.unwrap_or_default())
    }

    /// The run has ended.
    pub(super) fn remove(&mut self, run: RunNo) {
        self.forget_beside(run);
        if let Some(Seat { guests: Some(guests), .. }) = self.seats.remove(&run) {
            keep(&mut self.spares, guests);
        }
    }

    fn forget_beside(&mut self, run: RunNo) {
        if !self.tails.is_empty() {
            self.tails.remove(&run);
        }
        if !self.stuck.is_empty() {
            self.stuck.remove(&run);
        }
    }

    pub(super) fn call(&self, run: RunNo, seq: Seq) -> Option<&Call> {
        self.seats.get(&run)?.guests.as_ref()?.calls.get(seq)
    }

    pub(super) fn call_mut(&mut self, run: RunNo, seq: Seq) -> Option<&mut Call> {
        self.seats.get_mut(&run)?.call_mut(seq)
    }

    /// Takes up a call.
    pub(super) fn insert_call(&mut self, run: RunNo, seq: Seq, call: Call) {
        self.guests(run).calls.insert(seq, call);
    }

    pub(super) fn remove_call(&mut self, run: RunNo, seq: Seq) -> Option<Call> {
        let seat = self.seats.get_mut(&run)?;
        let call = seat.guests.as_mut()?.calls.remove(seq);
        if seat.leave(&mut self.spares) {
            self.leave_seat(run);
        }
        call
    }

    /// Someone waits for a run's end.
    pub(super) fn watch(&mut self, run: RunNo, watcher: Watcher) {
        self.guests(run).watchers.push(watcher);
    }

    /// Keeps those who wait for a run's end of whom `keep` says so.
    pub(super) fn keep_watchers(&mut self, run: RunNo, keep: impl FnMut(&Watcher) -> bool) {
        let Some(seat) = self.seats.get_mut(&run) else { return };
        if let Some(guests) = &mut seat.guests {
            guests.watchers.retain(keep);
            if seat.leave(&mut self.spares) {
                self.leave_seat(run);
            }
        }
    }

    /// Who waits for a run's end: they are told now.
    pub(super) fn take_watchers(&mut self, run: RunNo) -> Short<Watcher> {
        let guests = self.seats.get_mut(&run).and_then(|seat| seat.guests.as_mut());
        guests.map(|guests| std::mem::take(&mut guests.watchers)).unwrap_or_default()
    }

    fn guests(&mut self, run: RunNo) -> &mut Guests {
        if self.seats.get(&run).is_none() {
            self.seats.insert(run, Seat { memory: Memory::Away, guests: None });
        }
        let seat = self.seats.get_mut(&run).expect("because it was just put there");
        seat.guests.get_or_insert_with(|| self.spares.pop().unwrap_or_default())
    }

    /// Whether a call of the run was taken up.
    pub(super) fn has_calls(&self, run: RunNo) -> bool {
        let guests = self.seats.get(&run).and_then(|seat| seat.guests.as_ref());
        guests.is_some_and(|guests| !guests.calls.is_empty())
    }

    /// The calls of a run.
    pub(super) fn calls_of(&self, run: RunNo) -> Vec<Seq> {
        match self.seats.get(&run).and_then(|seat| seat.guests.as_ref()) {
            Some(guests) if !guests.calls.is_empty() => guests.calls.keys().collect(),
            Some(_) | None => Vec::new(),
        }
    }

    /// All calls, by run and number.
    pub(super) fn calls(&self) -> Vec<(RunNo, Seq)> {
        let of_run = |(run, seat): (RunNo, &Seat)| {
            let seqs: Vec<Seq> = seat.guests.iter().flat_map(|guests| guests.calls.keys()).collect();
            seqs.into_iter().map(move |seq| (run, seq))
        };
        self.seats.iter().flat_map(of_run).collect()
    }
}

/// Keeps a box that a run does not need any more. Room for many is not kept: most runs have one call at a time, and one who waits.
#[expect(clippy::vec_box, reason = "the boxes are what is kept")]
fn keep(spares: &mut Vec<Box<Guests>>, mut guests: Box<Guests>) {
    if spares.len() < Here::SPARES_MAX {
        *guests = Guests::default();
        spares.push(guests);
    }
}

impl Seat {
    /// Gives the box back if nothing is in it. Says whether the run is nowhere then, and needs no seat.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept")]
    fn leave(&mut self, spares: &mut Vec<Box<Guests>>) -> bool {
        if let Some(guests) = self.guests.take_if(|guests| guests.is_empty()) {
            keep(spares, guests);
        }
        self.guests.is_none() && self.memory == Memory::Away
    }

    pub(super) fn call_mut(&mut self, seq: Seq) -> Option<&mut Call> {
        self.guests.as_mut()?.calls.get_mut(seq)
    }
}

impl Guests {
    fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.watchers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::engine::{Caller, WhenBlocked};
    use crate::kernel::id::Timestamp;

    #[test]
    fn what_stands_beside_a_run_goes_when_it_is_somewhere_else() {
        let mut here = Here::default();
        let (run, seq) = (RunNo(1), Seq(1));
        here.put(run, Memory::Loading);
        here.push_tail(run, (Default::default(), Timestamp(1), crate::kernel::event::Event::Closed));
        assert_eq!(here.end_loading(run).map(|tail| tail.len()), Some(1));
        assert_eq!((here.memory(run), here.end_loading(run)), (Memory::Away, None));
        here.stick(run, "why".into());
        assert_eq!(here.stuck(run), Some(&"why".into()));
        here.put(run, Memory::Away);
        assert_eq!((here.stuck(run), here.call(run, seq).is_some()), (None, false));
        here.stick(run, "again".into());
        here.remove(run);
        assert_eq!((here.memory(run), here.stuck(run)), (Memory::Away, None));
    }

    #[test]
    fn the_box_of_a_runs_calls_goes_to_the_next_run() {
        let mut here = Here::default();
        let all: Vec<(RunNo, Seq)> = (1..4).flat_map(|run| (1..30).map(move |seq| (RunNo(run), Seq(seq)))).collect();
        for (run, seq) in &all {
            here.put(*run, Memory::Hot);
            here.insert_call(*run, *seq, Call::example());
        }
        assert_eq!((here.calls(), here.calls_of(RunNo(2)).len(), here.spares.len()), (all.clone(), 29, 0));
        for (run, seq) in &all {
            assert!(here.remove_call(*run, *seq).is_some() && here.call(*run, *seq).is_none());
        }
        assert_eq!((here.calls(), here.spares.len()), (Vec::new(), 3));
        here.insert_call(RunNo(3), Seq(31), Call::example());
        assert_eq!((here.calls_of(RunNo(3)), here.spares.len()), (vec![Seq(31)], 2));
        here.remove(RunNo(3));
        assert_eq!((here.calls(), here.spares.len()), (Vec::new(), 3), "also where the run ends");
    }

    #[test]
    fn who_waits_keeps_the_box_and_is_gone_with_it() {
        let mut here = Here::default();
        let run = RunNo(1);
        here.put(run, Memory::Hot);
        for caller in 1..4 {
            here.watch(run, Watcher { caller: Caller(caller), blocked: WhenBlocked::Wait });
        }
        here.insert_call(run, Seq(1), Call::example());
        here.remove_call(run, Seq(1));
        here.keep_watchers(run, |watcher| watcher.caller != Caller(2));
        assert_eq!(here.spares.len(), 0);
        here.keep_watchers(run, |watcher| watcher.caller == Caller(3));
        let told: Vec<Caller> = here.take_watchers(run).into_iter().map(|watcher| watcher.caller).collect();
        assert_eq!(told, [Caller(3)]);
        here.watch(run, Watcher { caller: Caller(4), blocked: WhenBlocked::Tell });
        here.keep_watchers(run, |_| false);
        assert_eq!((here.take_watchers(run).len(), here.spares.len()), (0, 1));
    }

    #[test]
    fn a_run_takes_no_more_than_two_words_and_its_number() {
        assert_eq!(ByRun::<Seat>::PLACE_BYTES, 3 * size_of::<u64>());
    }
}
