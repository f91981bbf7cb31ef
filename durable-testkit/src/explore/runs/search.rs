//! The search: level by level, every state that a crash leaves, once, and the oracle on what becomes of it. The states of the last
//! level, which are most of all, are played as they are found; those of the others are kept, for their lives are crashed in turn.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::play::{Behind, Crash, Met, Played, Point, Start};
use super::world::Ledger;
use super::{Effects, Scenario};
use crate::disk::digest::Digest;
use crate::disk::{SimDisk, Snapshot};
use crate::explore::images::{Choice, choices};
use crate::panics::text_of;

/// What an exploration came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explored {
    /// The scenario's name.
    pub scenario: String,
    /// The states that were recovered and played to the end, by how many crashes led there, from one.
    pub states: Vec<u64>,
    /// The states that were found: as many, or the exploration did not come to its end.
    pub found: Vec<u64>,
    /// In how many ways all ended: how the run did, the effects, and what the client was told.
    pub endings: u64,
    /// All images of all crashes; those that left a state that was known were not played again.
    pub images: u64,
    /// The moments at which so much was pending that a stated sample of the surviving images was tried, and not all.
    pub sampled: u64,
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
        let level = |(played, found): (&u64, &u64)| match played == found {
            true => played.to_string(),
            false => format!("{played} of {found}"),
        };
        let levels: Vec<String> = self.states.iter().zip(&self.found).map(level).collect();
        let Explored { scenario, images, endings, seconds, sampled, .. } = self;
        write!(
            f,
            "{scenario:<24} {} states of {images} images, {endings} endings, {seconds:.2} s",
            levels.join(" + ")
        )?;
        if *sampled > 0 {
            write!(f, ", a sample of the images at {sampled} moments")?;
        }
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
        let reference = match unless_it_panics(|| self.reference()) {
            Ok(reference) => reference,
            Err(what) => {
                explored.broken = Some(Broken { what: format!("without a crash: {what}"), crashes: Vec::new() });
                return explored;
            }
        };
        let search = Search::new(self, &reference, Lives::EndWhereTheyMeet, &goes_on);
        explored.broken = search.run(threads).err();
        search.tell(&mut explored);
        explored.seconds = begun.elapsed().as_secs_f64();
        explored
    }

    /// The play without a crash.
    pub(super) fn reference(&self) -> Result<Played, String> {
        Start::empty().play(self, Behind::Crashes, None)
    }

    /// Crashes the scenario somewhere, recovers it and plays it to the end, again and again while `goes_on` says so. Gives how often.
    ///
    /// # Panics
    /// If the crash makes a difference.
    pub fn crash_and_finish(&self, goes_on: impl Fn() -> bool + Sync) -> u64 {
        let reference = self.reference().expect("because nothing goes wrong without a crash");
        let scenario = self.with_depth(1);
        let search = Search::new(&scenario, &reference, Lives::GoOn, &goes_on);
        let starts = search.first();
        let mut finished = 0;
        for start in starts.iter().cycle().take_while(|_| goes_on()) {
            search.judged(start).expect("because no crash makes a difference");
            finished += 1;
        }
        finished
    }
}

/// Whether a life that becomes one that is known is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lives {
    /// It is.
    EndWhereTheyMeet,
    /// Each is lived to its end.
    GoOn,
}

/// What is common to the lives behind equally many crashes.
#[derive(Debug)]
pub(super) struct Level {
    behind: Behind,
    met: Option<Arc<Met>>,
    found: AtomicU64,
    pub(super) played: AtomicU64,
}

/// One scenario's search.
pub(super) struct Search<'s> {
    scenario: &'s Scenario,
    reference: &'s Played,
    /// How it ends without a crash.
    end: &'s str,
    /// From the level of one crash on.
    pub(super) levels: Vec<Level>,
    /// The states that were found.
    seen: Mutex<BTreeSet<u64>>,
    /// The same, without what makes a difference to those only who are crashed again.
    pub(super) seen_by_processes: Mutex<BTreeSet<u64>>,
    /// The ways in which all ended.
    pub(super) endings: Mutex<BTreeSet<u64>>,
    images: AtomicU64,
    sampled: AtomicU64,
    is_cut_short: AtomicBool,
    goes_on: &'s (dyn Fn() -> bool + Sync),
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'s> Search<'s> {
    pub(super) fn new(
        scenario: &'s Scenario,
        reference: &'s Played,
        lives: Lives,
        goes_on: &'s (dyn Fn() -> bool + Sync),
    ) -> Search<'s> {
        let level = |number| Level {
            behind: if number < scenario.depth { Behind::Crashes } else { Behind::Nothing },
            met: (lives == Lives::EndWhereTheyMeet).then(Arc::default),
            found: AtomicU64::new(0),
            played: AtomicU64::new(0),
        };
        Search {
            scenario,
            reference,
            end: reference.end.as_deref().expect("because it meets no other life"),
            levels: (1..=scenario.depth).map(level).collect(),
            seen: Mutex::default(),
            seen_by_processes: Mutex::default(),
            endings: Mutex::default(),
            images: AtomicU64::new(0),
            sampled: AtomicU64::new(0),
            is_cut_short: AtomicBool::new(false),
            goes_on,
        }
    }

    /// Explores all.
    pub(super) fn run(&self, threads: NonZero<usize>) -> Result<(), Broken> {
        let mut level = self.first();
        while !level.is_empty() {
            level = self.level(&level, threads)?;
        }
        Ok(())
    }

    fn tell(&self, explored: &mut Explored) {
        let count =
            |of: fn(&Level) -> &AtomicU64| self.levels.iter().map(of).map(|count| count.load(Ordering::Relaxed));
        explored.states = count(|level| &level.played).collect();
        explored.found = count(|level| &level.found).collect();
        explored.endings = lock(&self.endings).len() as u64;
        explored.images = self.images.load(Ordering::Relaxed);
        explored.sampled = self.sampled.load(Ordering::Relaxed);
        explored.is_whole = explored.broken.is_none() && !self.is_cut_short.load(Ordering::Relaxed);
    }

    /// The states behind a crash of the play without one.
    pub(super) fn first(&self) -> Vec<Start> {
        let mut starts = Vec::new();
        let disk = SimDisk::new();
        let kept = self.crash(&self.reference.points, None, &disk, &mut |start| {
            starts.push(start);
            Ok(())
        });
        kept.expect("because nothing is played yet");
        starts
    }

    /// Plays all these; gives the states behind crashes in them that are not played yet.
    pub(super) fn level(&self, starts: &[Start], threads: NonZero<usize>) -> Result<Vec<Start>, Broken> {
        let next = AtomicUsize::new(0);
        let work = || {
            let (mut behind, disk) = (Vec::new(), SimDisk::new());
            while let Some(start) = starts.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| self.goes_on()) {
                let lived = self.live(start, &disk, &mut behind);
                // The others need not go on.
                lived.inspect_err(|_| self.is_cut_short.store(true, Ordering::Relaxed))?;
            }
            Ok(behind)
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
            let all = workers.into_iter().map(|worker| worker.join().expect("because a play's panic is caught"));
            Ok(all.collect::<Result<Vec<_>, Broken>>()?.into_iter().flatten().collect())
        })
    }

    fn goes_on(&self) -> bool {
        let goes_on = !self.is_cut_short.load(Ordering::Relaxed) && (self.goes_on)();
        if !goes_on {
            self.is_cut_short.store(true, Ordering::Relaxed);
        }
        goes_on
    }

    /// Plays one, and crashes it wherever it can be. What that leaves is played as well if it is not crashed in turn, and else put to
    /// `later`.
    fn live(&self, start: &Start, disk: &SimDisk, later: &mut Vec<Start>) -> Result<(), Broken> {
        let points = self.judged(start)?;
        let Some(next) = self.levels.get(start.crashes()) else { return Ok(()) };
        let is_last = next.behind == Behind::Nothing;
        self.crash(&points, Some(start), disk, &mut |start| {
            match is_last {
                true => self.judged(&start).map(|_| ())?,
                false => later.push(start),
            }
            Ok(())
        })
    }

    /// Plays one and judges it; gives its moments, if they are wanted.
    pub(super) fn judged(&self, start: &Start) -> Result<Vec<Point>, Broken> {
        let level = &self.levels[start.crashes() - 1];
        let played = unless_it_panics(|| start.play(self.scenario, level.behind, level.met.as_ref()));
        let judged = played.and_then(|played| self.judge(start, &played).map(|()| played));
        level.played.fetch_add(1, Ordering::Relaxed);
        match judged {
            Ok(played) => Ok(played.points),
            Err(what) => {
                Err(Broken { what, crashes: start.crash.as_ref().map_or_else(Vec::new, |crash| crash.told()) })
            }
        }
    }

    /// The states that crashes at these moments leave, of which none was met before; as long as time is left.
    fn crash(
        &self,
        points: &[Point],
        life: Option<&Start>,
        disk: &SimDisk,
        to: &mut dyn FnMut(Start) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let level = &self.levels[life.map_or(0, Start::crashes)];
        for (number, point) in points.iter().enumerate() {
            let all = choices(&point.moment, point.before, disk);
            self.sampled.fetch_add(u64::from(all.are_a_sample), Ordering::Relaxed);
            for choice in all.choices {
                if !self.goes_on() {
                    return Ok(());
                }
                self.images.fetch_add(1, Ordering::Relaxed);
                if let Some(start) = self.new_start((number, point), choice, life, disk) {
                    level.found.fetch_add(1, Ordering::Relaxed);
                    to(start)?;
                }
            }
        }
        Ok(())
    }

    fn new_start(
        &self,
        (number, point): (usize, &Point),
        choice: Choice,
        life: Option<&Start>,
        disk: &SimDisk,
    ) -> Option<Start> {
        choice.make(&point.moment, disk);
        let snapshot = disk.snapshot();
        if !self.is_new(life.map_or(0, Start::crashes), &snapshot, point) {
            return None;
        }
        let before = life.and_then(|life| life.crash.clone());
        let crash = Crash { before, at: (number, point.moment.op().clone()), choice };
        let (ledger, wall) = (Arc::clone(&point.ledger), point.wall);
        Some(Start { disk: snapshot, ledger, wall, crash: Some(Arc::new(crash)) })
    }

    /// Whether nothing that comes to the same was found before, on this level or one above. What is crashed again is the same only if
    /// what is pending is; what is not, if processes see the same.
    fn is_new(&self, level: usize, disk: &Snapshot, point: &Point) -> bool {
        let digest = |behind: Behind| behind.digest(disk, &point.ledger, point.wall).finish();
        let is_new_to_processes = lock(&self.seen_by_processes).insert(digest(Behind::Nothing));
        match self.levels[level].behind {
            Behind::Nothing => is_new_to_processes,
            Behind::Crashes => lock(&self.seen).insert(digest(Behind::Crashes)),
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
        lock(&self.endings).insert(ledger.digest(Digest::new().bytes(end.as_bytes())).finish());
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
    catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| Err(format!("it panicked: {}", text_of(&*panic))))
}
