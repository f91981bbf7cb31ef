//! The search: level by level, every state that a crash leaves, once, and the oracle on what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::play::{Keeps, Played, Point, Start};
use super::world::Ledger;
use super::{Effects, Scenario};
use crate::disk::SimDisk;
use crate::explore::images::choices;

/// What an exploration came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Explored {
    /// The scenario's name.
    pub scenario: String,
    /// The states that were recovered and played to the end, by how many crashes led there, from one.
    pub states: Vec<u64>,
    /// All images of all crashes; those that left a state that was known were not played again.
    pub images: u64,
    /// What is wrong, if something is; the exploration ends with the first.
    pub broken: Option<Broken>,
}

/// A crash that makes a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// What is wrong.
    pub what: String,
    /// The crashes, one after the other.
    pub crashes: Vec<String>,
}

impl Explored {
    /// All states.
    #[must_use]
    pub fn all_states(&self) -> u64 {
        self.states.iter().sum()
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states: Vec<String> = self.states.iter().map(u64::to_string).collect();
        write!(f, "{:<24} {} states of {} images", self.scenario, states.join(" + "), self.images)?;
        let Some(Broken { what, crashes }) = &self.broken else { return Ok(()) };
        write!(f, "\n  VIOLATED: {what}")?;
        crashes.iter().try_for_each(|crash| write!(f, "\n  crashed {crash}"))
    }
}

impl Scenario {
    /// The same, with so many crashes one behind the other.
    #[must_use]
    pub fn with_depth(self, depth: u8) -> Scenario {
        Scenario { depth, ..self }
    }

    /// Explores the scenario as a whole, on so many threads.
    #[must_use]
    pub fn explore(&self, threads: NonZero<usize>) -> Explored {
        let mut explored = Explored { scenario: self.name.to_owned(), ..Explored::default() };
        let reference = match unless_it_panics(|| Start::empty().play(self, Keeps::Moments)) {
            Ok(reference) => reference,
            Err(what) => {
                explored.broken = Some(Broken { what: format!("without a crash: {what}"), crashes: Vec::new() });
                return explored;
            }
        };
        let search =
            Search { scenario: self, reference: &reference, seen: Mutex::default(), images: AtomicUsize::new(0) };
        let mut level = Vec::new();
        search.images(&reference.points, &[], &SimDisk::new(), &mut level);
        for depth in 1..=self.depth {
            let keeps = if depth < self.depth { Keeps::Moments } else { Keeps::Nothing };
            explored.states.push(level.len() as u64);
            match search.level(&level, keeps, threads) {
                Ok(next) => level = next,
                Err(broken) => {
                    explored.broken = Some(broken);
                    break;
                }
            }
        }
        explored.images = search.images.into_inner() as u64;
        explored
    }

    /// Plays the scenario once without a crash, then so often from a crash in its middle to the end.
    ///
    /// # Panics
    /// If the crash makes a difference.
    pub fn crash_and_finish(&self, times: u64) {
        let reference = Start::empty().play(self, Keeps::Moments).expect("because nothing goes wrong without a crash");
        let search =
            Search { scenario: self, reference: &reference, seen: Mutex::default(), images: AtomicUsize::new(0) };
        let mut starts = Vec::new();
        search.images(&reference.points, &[], &SimDisk::new(), &mut starts);
        for start in starts.iter().cycle().take(usize::try_from(times).unwrap_or(usize::MAX)) {
            let played = start.play(self, Keeps::Nothing).and_then(|played| search.judge(start, &played));
            played.expect("because no crash makes a difference");
        }
    }
}

struct Search<'s> {
    scenario: &'s Scenario,
    reference: &'s Played,
    seen: Mutex<BTreeSet<u64>>,
    images: AtomicUsize,
}

impl Search<'_> {
    /// Plays all these; gives the states behind crashes in them, if moments are kept.
    fn level(&self, starts: &[Start], keeps: Keeps, threads: NonZero<usize>) -> Result<Vec<Start>, Broken> {
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            let (mut behind, disk) = (Vec::new(), SimDisk::new());
            while let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)) {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                if let Err(what) = self.state(start, keeps, &disk, &mut behind) {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(Broken { what, crashes: start.crashes.clone() });
                }
            }
            Ok(behind)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
            let all = workers.into_iter().map(|worker| worker.join().expect("because a play's panic is caught"));
            Ok(all.collect::<Result<Vec<_>, Broken>>()?.into_iter().flatten().collect())
        })
    }

    fn state(&self, start: &Start, keeps: Keeps, disk: &SimDisk, behind: &mut Vec<Start>) -> Result<(), String> {
        let played = unless_it_panics(|| start.play(self.scenario, keeps))?;
        self.judge(start, &played)?;
        self.images(&played.points, &start.crashes, disk, behind);
        Ok(())
    }

    /// The states that crashes at these moments leave, of which none was met before.
    fn images(&self, points: &[Point], crashes: &[String], disk: &SimDisk, to: &mut Vec<Start>) {
        for (number, point) in points.iter().enumerate() {
            for choice in choices(&point.moment, point.before, disk) {
                self.images.fetch_add(1, Ordering::Relaxed);
                choice.make(&point.moment, disk);
                let digest = Start::digest(disk, &point.ledger, point.wall);
                if !self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(digest) {
                    continue;
                }
                let mut crashes = crashes.to_vec();
                crashes.push(format!("at operation {number}, {:?}: {choice:?}", point.moment.op()));
                let (disk, ledger) = (disk.snapshot(), Arc::clone(&point.ledger));
                to.push(Start { disk, ledger, wall: point.wall, crashes });
            }
        }
    }

    /// What has to hold behind a crash.
    fn judge(&self, start: &Start, played: &Played) -> Result<(), String> {
        let Played { end, ledger, .. } = played;
        if *end != self.reference.end && !self.scenario.may_end.contains(&end.as_str()) {
            return Err(format!("it ends with {end}, and without a crash with {}", self.reference.end));
        }
        if let Some(told) = start.ledger.acks.iter().find(|ack| ack.starts_with("ended ")) {
            if *told != format!("ended {end}") {
                return Err(format!("it ends with {end}, and the client was told before that it {told}"));
            }
            if start.ledger.effects.len() != ledger.effects.len() {
                return Err("an attempt began after the run had ended".to_owned());
            }
        }
        if *end != self.reference.end {
            return Ok(());
        }
        compare(&self.reference.ledger, ledger, self.scenario.effects)
    }
}

/// Whether the effects are those of the play without a crash, up to attempts that were made again.
pub(super) fn compare(reference: &Ledger, ledger: &Ledger, effects: Effects) -> Result<(), String> {
    same_effects(reference, ledger)?;
    match effects {
        Effects::InOrder => in_order(reference, ledger),
        Effects::Unordered => Ok(()),
    }
}

/// How many calls had each effect: repeats under one key are one call's.
fn by_call(ledger: &Ledger) -> BTreeMap<&str, usize> {
    let calls: BTreeSet<_> = ledger.effects.iter().map(|(key, what)| (what.as_str(), key)).collect();
    let mut effects = BTreeMap::new();
    calls.into_iter().for_each(|(what, _)| *effects.entry(what).or_default() += 1);
    effects
}

fn same_effects(reference: &Ledger, ledger: &Ledger) -> Result<(), String> {
    let (without, with) = (by_call(reference), by_call(ledger));
    if without == with {
        return Ok(());
    }
    Err(format!("the effects are {with:?}, and without a crash {without:?}"))
}

fn in_order(reference: &Ledger, ledger: &Ledger) -> Result<(), String> {
    let order = |ledger: &Ledger| {
        let mut whats: Vec<String> = ledger.effects.iter().map(|(_, what)| what.clone()).collect();
        whats.dedup();
        whats
    };
    let (without, with) = (order(reference), order(ledger));
    if without == with {
        return Ok(());
    }
    Err(format!("an attempt began after its result was durable: {with:?}"))
}

fn unless_it_panics<T>(play: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("it panicked: {}", text.unwrap_or("with something else than text")))
    })
}
