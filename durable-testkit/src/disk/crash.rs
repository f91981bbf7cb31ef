//! Crashes: what a process's death and a power cut leave behind. A process's death keeps the page cache; a power cut
//! keeps the durable image and, of what was pending, what a choice says. Which choices are worth exploring is not
//! decided here.

use std::sync::Arc;

use super::digest::Digest;
use super::inode::{Image, ROOT};
use super::machine::Machine;
use super::op::Unfinished;
use super::pending::Pending;
use super::personality::{Overwrites, Personality};
use super::process::{Process, ProcessId};
use super::state::State;
use crate::rng::Rng;

/// A set of numbers, by bit.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mask(Vec<u64>);

impl Mask {
    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, number: usize) -> bool {
        self.0.get(number / 64).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

impl From<u64> for Mask {
    fn from(bits: u64) -> Self {
        Self(vec![bits])
    }
}

impl FromIterator<usize> for Mask {
    fn from_iter<I: IntoIterator<Item = usize>>(numbers: I) -> Self {
        let mut words = Vec::new();
        for number in numbers {
            if words.len() <= number / 64 {
                words.resize(number / 64 + 1, 0);
            }
            words[number / 64] |= 1 << (number % 64);
        }
        Self(words)
    }
}

/// What survives of the pending operations. They are numbered from 0 in the order in which they were done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// Everything, as if all had been synced.
    Everything,
    /// What the seed says: some seeds keep much, some little, some tear writes.
    Seed(u64),
    /// Whole operations, by their number.
    Operations(Mask),
    /// Units, numbered through all operations: a sector of a write, its growth of the file (before its sectors, if it
    /// grew it), a changed length, a directory entry. `SimDisk::pending_units` says how many there are of each.
    Units(Mask),
}

/// Hands out the choice, operation by operation.
struct Chooser<'a> {
    keep: &'a Keep,
    rng: Rng,
    kept_percent: u64,
    torn_percent: u64,
    operation: usize,
    unit: usize,
}

impl<'a> Chooser<'a> {
    fn new(keep: &'a Keep) -> Self {
        let seed = if let Keep::Seed(seed) = keep { *seed } else { 0 };
        let mut rng = Rng::new(seed);
        let kept_percent = [10, 50, 90][rng.index(3)];
        let torn_percent = [0, 25, 75][rng.index(3)];
        Self { keep, rng, kept_percent, torn_percent, operation: 0, unit: 0 }
    }

    /// Puts into `kept` which of the units of the next operation survive.
    fn next(&mut self, units: usize, kept: &mut Vec<bool>) {
        let (operation, first) = (self.operation, self.unit);
        self.operation += 1;
        self.unit += units;
        kept.clear();
        match self.keep {
            Keep::Nothing => kept.resize(units, false),
            Keep::Everything => kept.resize(units, true),
            Keep::Operations(mask) => kept.resize(units, mask.contains(operation)),
            Keep::Units(mask) => kept.extend((first..first + units).map(|unit| mask.contains(unit))),
            Keep::Seed(_) => self.draw(units, kept),
        }
    }

    fn draw(&mut self, units: usize, kept: &mut Vec<bool>) {
        if units == 1 || !self.rng.percent(self.torn_percent) {
            return kept.resize(units, self.rng.percent(self.kept_percent));
        }
        if self.rng.percent(50) {
            let whole = self.rng.index(units + 1);
            return kept.extend((0..units).map(|unit| unit < whole));
        }
        kept.extend((0..units).map(|_| self.rng.percent(50)));
    }
}

/// Applies what survives of `pending` to `image`: of what `keep` says, what this file system may do.
pub(super) fn survive<'a>(
    image: &mut Image,
    pending: impl Iterator<Item = &'a Pending> + Clone,
    keep: &Keep,
    (personality, overwrites): (Personality, Overwrites),
) {
    let mut chooser = Chooser::new(keep);
    let mut restriction = personality.restriction();
    let mut kept = Vec::new();
    for pending in pending {
        chooser.next(pending.units(), &mut kept);
        restriction.next(pending, &mut kept);
        if overwrites == Overwrites::SpoilTheirBlock {
            pending.spoil(image, &kept);
        }
        pending.apply(image, |unit| kept[unit]);
    }
}

impl Machine {
    /// The power goes: what is in flight may be done first if a seed decides, everything not kept is gone, and so are
    /// all processes.
    pub(super) fn power_cut(&mut self, keep: &Keep) {
        let in_flight = if let Keep::Seed(seed) = keep { Unfinished::Half(*seed) } else { Unfinished::NotDone };
        // Those without anything in flight or anybody who waits for their death need no more than to be gone.
        if self.is_watched() {
            let living: Vec<ProcessId> = self.state.processes.keys().copied().collect();
            living.into_iter().for_each(|process| self.crash(process, in_flight));
        }
        self.state.lose_power(keep);
    }
}

impl State {
    fn lose_power(&mut self, keep: &Keep) {
        let pending = std::mem::take(&mut self.pending);
        let habits = (self.personality, self.overwrites);
        survive(&mut self.durable, pending.iter().map(|pending| &**pending), keep, habits);
        self.durable.drop_unreachable();
        self.seen = self.durable.clone();
        self.lies.clear();
        self.locks.clear();
        // Whoever is not known is dead.
        self.processes.clear();
        self.processes.insert(ProcessId::OWN, Arc::new(Process::new()));
    }

    /// A hash of the tree that processes see: the same paths with the same bytes have the same one.
    pub(super) fn fingerprint(&self) -> u64 {
        self.seen.digest_of_tree(ROOT, Digest::new()).finish()
    }
}
