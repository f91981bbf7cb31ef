//! The search: level by level, every state that a crash leaves, once, and the oracle on what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::play::{Keeps, Met, Played, Point, Start};
use super::world::Ledger;
use super::{Effects, Scenario};
use crate::disk::SimDisk;
use crate::explore::images::choices;

/// What an exploration came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explored {
    /// The scenario's name.
    pub scenario: String,
    /// The states that were recovered and played to the end, by how many crashes led there, from one.
    pub states: Vec<u64>,
    /// All images of all crashes; those that left a state that was known were not played again.
    pub images: u64,
    /// How long it took.
    pub seconds: f64,
    /// Whether it came to its end: it does not if the time was over, or something is wrong.
    pub is_whole: bool,
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
        write!(
            f,
            "{:<24} {} states of {} images in {:.2} s",
            self.scenario,
            states.join(" + "),
            self.images,
            self.seconds
        )?;
        if !self.is_whole {
            write!(f, ", and not all")?;
        }
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
        self.explore_while(threads, || true)
    }

    /// As [`explore`](Self::explore), as long as `goes_on` says so, which is asked before every state.
    #[must_use]
    pub fn explore_while(&self, threads: NonZero<usize>, goes_on: impl Fn() -> bool + Sync) -> Explored {
        let begun = Instant::now();
        let mut explored = Explored { scenario: self.name.to_owned(), ..Explored::default() };
        let reference = match unless_it_panics(|| Start::empty().play(self, Keeps::Moments, None)) {
            Ok(reference) => reference,
            Err(what) => {
                explored.broken = Some(Broken { what: format!("without a crash: {what}"), crashes: Vec::new() });
                return explored;
            }
        };
        let search = Search::new(self, &reference, &goes_on);
        match search.levels(threads, &mut explored.states) {
            Ok(()) => explored.is_whole = goes_on(),
            Err(broken) => explored.broken = Some(broken),
        }
        explored.seconds = begun.elapsed().as_secs_f64();
        explored.images = search.images.into_inner() as u64;
        explored
    }

    /// Crashes the scenario somewhere, recovers it and plays it to the end, again and again while `goes_on` says so. Gives how often.
    ///
    /// # Panics
    /// If the crash makes a difference.
    pub fn crash_and_finish(&self, goes_on: impl Fn() -> bool + Sync) -> u64 {
        let reference =
            Start::empty().play(self, Keeps::Moments, None).expect("because nothing goes wrong without a crash");
        let search = Search::new(self, &reference, &goes_on);
        let mut starts = Vec::new();
        search.images(&reference.points, &[], &SimDisk::new(), &mut starts);
        let mut finished = 0;
        for start in starts.iter().cycle().take_while(|_| goes_on()) {
            let played = start.play(self, Keeps::Nothing, None).and_then(|played| search.judge(start, &played));
            played.expect("because no crash makes a difference");
            finished += 1;
        }
        finished
    }
}

struct Search<'s> {
    scenario: &'s Scenario,
    reference: &'s Played,
    /// How it ends without a crash.
    end: &'s str,
    seen: Mutex<BTreeSet<u64>>,
    images: AtomicUsize,
    goes_on: &'s (dyn Fn() -> bool + Sync),
}

impl<'s> Search<'s> {
    fn new(scenario: &'s Scenario, reference: &'s Played, goes_on: &'s (dyn Fn() -> bool + Sync)) -> Search<'s> {
        let end = reference.end.as_deref().expect("because it meets no other life");
        Search { scenario, reference, end, seen: Mutex::default(), images: AtomicUsize::new(0), goes_on }
    }

    /// One level behind the other; adds to `states` how many states each has.
    fn levels(&self, threads: NonZero<usize>, states: &mut Vec<u64>) -> Result<(), Broken> {
        let mut level = Vec::new();
        self.images(&self.reference.points, &[], &SimDisk::new(), &mut level);
        for depth in 1..=self.scenario.depth {
            let keeps = if depth < self.scenario.depth { Keeps::Moments } else { Keeps::Nothing };
            let (next, played) = self.level(&level, keeps, threads)?;
            states.push(played);
            level = next;
        }
        Ok(())
    }

    /// Plays all these; gives the states behind crashes in them, if moments are kept, and how many were played.
    fn level(&self, starts: &[Start], keeps: Keeps, threads: NonZero<usize>) -> Result<(Vec<Start>, u64), Broken> {
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (played, met) = (AtomicUsize::new(0), Arc::<Met>::default());
        let work = || {
            let (mut behind, disk) = (Vec::new(), SimDisk::new());
            while let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)) {
                if is_over.load(Ordering::Relaxed) || !(self.goes_on)() {
                    break;
                }
                played.fetch_add(1, Ordering::Relaxed);
                if let Err(what) = self.state(start, (keeps, &met), &disk, &mut behind) {
                    is_over.store(true, Ordering::Relaxed);
                    return Err(Broken { what, crashes: start.crashes.clone() });
                }
            }
            Ok(behind)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
            let all = workers.into_iter().map(|worker| worker.join().expect("because a play's panic is caught"));
            let behind = all.collect::<Result<Vec<_>, Broken>>()?.into_iter().flatten().collect();
            Ok((behind, played.load(Ordering::Relaxed) as u64))
        })
    }

    fn state(
        &self,
        start: &Start,
        (keeps, met): (Keeps, &Arc<Met>),
        disk: &SimDisk,
        behind: &mut Vec<Start>,
    ) -> Result<(), String> {
        let played = unless_it_panics(|| start.play(self.scenario, keeps, Some(met)))?;
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
        let told = start.ledger.acks.iter().find(|ack| ack.starts_with("ended "));
        if told.is_some() && start.ledger.effects.len() != ledger.effects.len() {
            return Err("an attempt began after the run had ended".to_owned());
        }
        let Some(end) = end else { return Ok(()) };
        if *end != self.end && !self.scenario.may_end.contains(&end.as_str()) {
            return Err(format!("it ends with {end}, and without a crash with {}", self.end));
        }
        if let Some(told) = told.filter(|told| **told != format!("ended {end}")) {
            return Err(format!("it ends with {end}, and the client was told before that it {told}"));
        }
        if *end != self.end {
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
