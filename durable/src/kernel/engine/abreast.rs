//! Attempts that ended together, of runs that have nothing to do with each other: each step of what follows is taken for all of them before the
//! next step is taken for any. What one step of all runs together costs is its code, which stays in the processor's cache from one run to the
//! next; taken run by run the steps push each other out of it, and a processor waits longer for its code than it works.
//!
//! What is recorded is the same: each run's event and turn in a group of their own; slots are passed on in one behind them. Where a turn may concern
//! another run after all, the events of those that follow are written alone first, as of runs that are not in memory, and their turns behind
//! them. No event of a run is written before one that it got earlier, and no run is polled twice for one.

use super::attempts::{AttemptReport, Call};
use super::here::Memory;
use super::{Kernel, Now, TURNS_UP_TO_BYTES, TurnEnd, Turns, keep};
use crate::kernel::event::{Event, Group};
use crate::kernel::id::{Attempt, EventNo, RunNo, Seq, Timestamp};

/// An attempt that ended.
#[derive(Debug)]
pub struct Ended {
    /// Its run.
    pub run: RunNo,
    /// Its call.
    pub seq: Seq,
    /// Which try it was.
    pub attempt: Attempt,
    /// How it ended.
    pub report: AttemptReport,
    /// When.
    pub now: Now,
}

/// A run with a result that it has not seen.
#[derive(Debug)]
pub struct Abreast {
    /// The run.
    pub run: RunNo,
    /// The event's number.
    pub no: EventNo,
    /// When it came.
    pub now: Now,
    /// How its turn ended.
    pub end: Option<TurnEnd>,
    /// The event, until it is written or has its turn beside it.
    group: Option<(Group, usize)>,
}

impl Abreast {
    /// The event that it is to see.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        self.group.as_ref()?.0.sections.first()?.events.first()
    }
}

impl Kernel {
    /// Attempts that were started have ended; as [`handle_attempt`](Kernel::handle_attempt) of one after the other.
    pub fn handle_attempts(&mut self, ended: impl IntoIterator<Item = Ended>, turns: &mut dyn Turns) {
        let mut abreast = std::mem::take(&mut self.abreast);
        for Ended { run, seq, attempt, report, now } in ended {
            match (report, self.began(run, seq, attempt)) {
                // With more, what the turn asks for and what the end says beside it, a group could be larger than the log takes.
                (AttemptReport::Completed(result), Some(began)) if result.len() <= TURNS_UP_TO_BYTES => {
                    let event = Event::ActivityCompleted { seq, attempt, began, result };
                    abreast.push(self.complete(run, seq, event, now));
                }
                (report, _) => {
                    self.go_on(&mut abreast, turns);
                    self.handle_attempt(run, seq, attempt, report, now, turns);
                }
            }
        }
        self.go_on(&mut abreast, turns);
        self.abreast = abreast;
    }

    /// When the attempt began, if its run waits for it and has nothing else to see.
    fn began(&self, run: RunNo, seq: Seq, attempt: Attempt) -> Option<Timestamp> {
        let (current, began) = self.here.call(run, seq).and_then(Call::running)?;
        let entry = self.tables.open.get(&run)?;
        let is_free = entry.unturned.is_empty()
            && entry.rare.blocked.is_none()
            && entry.call(seq).is_some()
            && self.here.memory(run) == Memory::Hot;
        (is_free && current == attempt).then_some(began)
    }

    /// Takes a result, whose event is all that is made of it for now.
    fn complete(&mut self, run: RunNo, seq: Seq, event: Event, now: Now) -> Abreast {
        self.settle_call(run, seq);
        let no = self.append(run, event, now);
        Abreast { run, no, now, group: Some(self.take_group()), end: None }
    }

    /// Polls them all, then records it all.
    fn go_on(&mut self, abreast: &mut Vec<Abreast>, turns: &mut dyn Turns) {
        turns.turn_all(abreast);
        for place in 0..abreast.len() {
            if let Some((one, behind)) = abreast.get_mut(place..).and_then(<[_]>::split_first_mut) {
                self.record_one(one, behind, turns);
            }
        }
        // Not before: a slot that a call of theirs was given would be taken back, as long as its run has something to see.
        if let Some(last) = abreast.pop() {
            self.pass_slots_on(last.now);
            self.seal();
        }
        abreast.clear();
    }

    fn record_one(&mut self, one: &mut Abreast, behind: &mut [Abreast], turns: &mut dyn Turns) {
        let (run, now) = (one.run, one.now);
        let Some(end) = one.end.take() else { return self.write_alone(std::slice::from_mut(one)) };
        match one.group.take() {
            Some((group, bytes)) => {
                let empty = std::mem::replace(&mut self.group, group);
                keep(&mut self.spares.sections, empty.sections);
                self.group_bytes = bytes;
            }
            // Its event was written alone. What it was polled for counts, unless another run's turn has ended it since.
            None if !self.awaits_turn(run, one.no) => return,
            None => {}
        }
        self.turned(run, end, now, turns);
        if !self.work.is_empty() || self.group.sections.len() > 1 {
            self.write_alone(behind);
        }
        self.work_off(now, turns);
        self.seal();
    }

    /// The turn at hand concerns other runs, which may be these: their events come before what it says of them.
    fn write_alone(&mut self, abreast: &mut [Abreast]) {
        for (group, _) in abreast.iter_mut().filter_map(|one| one.group.take()) {
            self.push(group);
        }
    }

    /// Whether this is the next event that the run is to see.
    pub(super) fn awaits_turn(&self, run: RunNo, of: EventNo) -> bool {
        let next = self.tables.open.get(&run).and_then(|entry| entry.unturned.first());
        self.is_hot(run) && next == Some(&of)
    }
}
