//! What a program drives: one scenario after the other, each from a seed of its own, in slices of time; a failing one is
//! shrunk to the smallest and told.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;

use super::contend::Schedule;
use super::script::{Act, SMALL, Script};
use super::search::{Counts, Ended, Exploration, Search, Wrong, size_of};
use crate::disk::{AfterFailedSync, Personality, errno};
use crate::panics::text_of;

/// How many images a candidate for a smaller scenario is given to fail.
const SHRINK_IMAGES_MAX: u32 = 400_000;

/// The frames and the segments that every random scenario leaves, at least.
const FRAMES_MIN: u64 = 8;
const SEGMENTS_MIN: u64 = 2;
const TRIES_TO_GROW: usize = 6;

/// The first scenarios of the catalogue, which are explored as a whole.
const SMALLEST: u64 = 2;

/// A scenario that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What is wrong.
    pub what: String,
    /// The story, line by line: what was done, the crash, what survived.
    pub timeline: Vec<String>,
    /// The command that repeats it.
    pub repeat: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        self.timeline.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        write!(f, "repeat it with: {}", self.repeat)
    }
}

/// What a slice of torture did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was explored.
    pub counts: Counts,
    /// The first and the last seed that was begun.
    pub seeds: Option<(u64, u64)>,
    /// What failed.
    pub failures: Vec<Failure>,
}

impl Report {
    /// Adds another slice's, for example another thread's.
    pub fn add(&mut self, other: Report) {
        self.counts.add(&other.counts);
        self.seeds = match (self.seeds, other.seeds) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, other) => one.or(other),
        };
        self.failures.extend(other.failures);
    }
}

/// Random scenarios of the log, one after the other. What a seed does is the same every time; threads take instances of
/// their own with seeds of their own.
#[derive(Debug, Clone)]
pub struct Torture {
    next: u64,
    step: u64,
    exploration: Exploration,
    shrinking: Shrinking,
}

/// Whether a failure is made as small as it gets, which takes longer than to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shrinking {
    Wanted,
    NotWanted,
}

impl Torture {
    /// The scenarios of the seeds `seed`, `seed + step`, and so on; with two threads, one begins one later and both step
    /// by two.
    #[must_use]
    pub fn new(seed: u64, step: u64) -> Torture {
        let exploration = Exploration { depth: 2, deepened_percent: 3 };
        Torture { next: seed, step, exploration, shrinking: Shrinking::Wanted }
    }

    /// The same scenarios, explored otherwise.
    #[must_use]
    pub fn with_exploration(self, exploration: Exploration) -> Torture {
        Torture { exploration, ..self }
    }

    /// The same, and what fails is told as it was found. For who only counts failures.
    #[must_use]
    pub fn unshrunk(self) -> Torture {
        Torture { shrinking: Shrinking::NotWanted, ..self }
    }

    /// Runs scenarios as long as `goes_on` says so, which is asked every few images. One that is cut short is counted as
    /// far as it came and not taken up again. Ends at the first failure, shrunk.
    pub fn run_for(&mut self, mut goes_on: impl FnMut() -> bool) -> Report {
        let mut report = Report::default();
        while report.failures.is_empty() && goes_on() {
            let seed = self.next;
            self.next = self.next.wrapping_add(self.step);
            let first = report.seeds.map_or(seed, |(first, _)| first);
            report.seeds = Some((first, seed));
            self.seed(seed, &mut goes_on, &mut report);
        }
        report
    }

    /// What a seed stands for: one scenario of one process, one schedule of several.
    fn seed(&self, seed: u64, goes_on: &mut dyn FnMut() -> bool, report: &mut Report) {
        report.failures.extend(self.contend(seed, &mut report.counts));
        let script = large_enough(Script::random(seed));
        let (counts, ended) = run(&script, self.exploration, goes_on);
        report.counts.add(&counts);
        report.failures.extend(ended.map(|wrong| self.failure(&script, wrong)));
    }

    fn failure(&self, script: &Script, wrong: Wrong) -> Failure {
        match self.shrinking {
            Shrinking::Wanted => failure(script, wrong, self.exploration),
            Shrinking::NotWanted => told(script.seed, wrong),
        }
    }

    fn contend(&self, seed: u64, counts: &mut Counts) -> Option<Failure> {
        counts.schedules += 1;
        let schedule = Schedule::random(seed);
        match unless_it_panics(|| schedule.play()) {
            Ok(looks) => {
                counts.contended += looks;
                None
            }
            Err(wrong) => Some(match self.shrinking {
                Shrinking::Wanted => told(seed, shrink_schedule(schedule, wrong)),
                Shrinking::NotWanted => told(seed, wrong),
            }),
        }
    }

    /// Runs the next scenario to its end.
    pub fn step(&mut self) -> Report {
        let seed = self.next;
        self.next = self.next.wrapping_add(self.step);
        let mut report = Report { seeds: Some((seed, seed)), ..Report::default() };
        self.seed(seed, &mut || true, &mut report);
        report
    }
}

/// Plays and explores a scenario. Gives what is wrong, if something is.
fn run(script: &Script, exploration: Exploration, goes_on: &mut dyn FnMut() -> bool) -> (Counts, Option<Wrong>) {
    let mut search = Search::new(exploration, script, goes_on);
    let ended = unless_it_panics(|| match search.run(script) {
        Ok(()) | Err(Ended::Early) => Ok(()),
        Err(Ended::Wrong(wrong)) => Err(wrong),
    });
    (search.counts(), ended.err())
}

/// A panic, of the engine or of an assertion here, is something that is wrong like any other.
fn unless_it_panics<T>(f: impl FnOnce() -> Result<T, Wrong>) -> Result<T, Wrong> {
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|panic| Err(Wrong { what: format!("a panic: {}", text_of(&*panic)), story: Vec::new() }))
}

/// A scenario of at least so many frames and segments, as far as a few groups more make it one.
fn large_enough(mut script: Script) -> Script {
    for _ in 0..TRIES_TO_GROW {
        match size_of(&script) {
            Some((frames, segments)) if frames < FRAMES_MIN || segments < SEGMENTS_MIN => script = script.longer(),
            Some(_) | None => break,
        }
    }
    script
}

fn failure(script: &Script, wrong: Wrong, exploration: Exploration) -> Failure {
    let (script, wrong) = shrink(script.clone(), wrong, exploration);
    let Script { seed, personality, sizes, acts, .. } = &script;
    let mut timeline =
        vec![format!("a {personality:?} disk, segments of {} to {} bytes", sizes.bytes_min, sizes.bytes_max)];
    timeline.extend(wrong.story);
    timeline.push(format!("the smallest scenario has {} acts", acts.len()));
    told(*seed, Wrong { what: wrong.what, story: timeline })
}

fn told(seed: u64, wrong: Wrong) -> Failure {
    let Wrong { what, story: mut timeline } = wrong;
    timeline.push(format!("wrong: {what}"));
    let repeat = format!("DURABLE_SEED={seed} cargo test -p durable-testkit --test it one_seed_of_the_log_torture");
    Failure { seed, what, timeline, repeat }
}

/// Takes moves away, many at a time and then fewer, as long as something is wrong without them.
fn shrink_schedule(mut schedule: Schedule, mut wrong: Wrong) -> Wrong {
    let mut count = schedule.len() / 2;
    while count > 0 {
        let mut at = 0;
        while at < schedule.len() {
            let smaller = schedule.without(at, count);
            match unless_it_panics(|| smaller.play()) {
                Err(still) => (schedule, wrong) = (smaller, still),
                Ok(_) => at += count,
            }
        }
        count /= 2;
    }
    wrong
}

/// Takes acts away, one at a time, as long as something is wrong without them.
fn shrink(mut script: Script, mut wrong: Wrong, exploration: Exploration) -> (Script, Wrong) {
    // What fails with one crash needs no second one.
    let depths = 1..=exploration.depth;
    let shallow = depths
        .map(|depth| Exploration { depth, ..exploration })
        .find_map(|exploration| fails(&script, exploration).map(|wrong| (exploration, wrong)));
    let Some((exploration, first)) = shallow else { return (script, wrong) };
    wrong = first;
    let mut at = script.acts.len();
    while at > 0 {
        at -= 1;
        let smaller = script.without(at);
        if let Some(still) = fails(&smaller, exploration) {
            (script, wrong) = (smaller, still);
        }
    }
    (script, wrong)
}

fn fails(script: &Script, exploration: Exploration) -> Option<Wrong> {
    let mut asked = 0;
    let (_, wrong) = run(script, exploration, &mut || {
        asked += 1;
        asked * 16 < SHRINK_IMAGES_MAX
    });
    wrong
}

/// A named scenario that is explored whole.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// What it is about.
    pub name: &'static str,
    script: Script,
    exploration: Exploration,
}

impl Catalogue {
    /// Explores it, every point and every image.
    ///
    /// # Errors
    /// What is wrong.
    pub fn explore(&self) -> Result<Counts, Failure> {
        let (counts, wrong) = run(&self.script, self.exploration, &mut || true);
        match wrong {
            None => Ok(counts),
            Some(wrong) => Err(failure(&self.script, wrong, self.exploration)),
        }
    }

    /// The same scenario explored otherwise.
    #[must_use]
    pub fn with_exploration(self, exploration: Exploration) -> Catalogue {
        Catalogue { exploration, ..self }
    }
}

/// Small scenarios, each about one thing that the log does. Every image of every moment is looked at; of the smallest two, which begin
/// with nothing, every image of every moment of every recovery as well. The others begin behind a segment of eight frames, and of them
/// a few recoveries are crashed.
#[must_use]
pub fn catalogue() -> Vec<Catalogue> {
    let scenarios = scenarios().into_iter().zip(1..);
    let exploration = |seed| Exploration { depth: 2, deepened_percent: if seed <= SMALLEST { 100 } else { 1 } };
    scenarios
        .map(|((name, personality, acts), seed)| Catalogue {
            name,
            script: script(seed, personality, acts),
            exploration: exploration(seed),
        })
        .collect()
}

fn script(seed: u64, personality: Personality, acts: Vec<Act>) -> Script {
    let alone = Script { seed, personality, sizes: SMALL, acts, prelude: 0 };
    if seed <= SMALLEST { alone } else { alone.behind_a_segment() }
}

fn scenarios() -> Vec<(&'static str, Personality, Vec<Act>)> {
    let append = |bytes| Act::Append { groups: 1, bytes };
    let fail_sync = |leaves| Act::FailSync { nth: 1, leaves };
    let (new, old) = (AfterFailedSync::NewContent, AfterFailedSync::OldContent);
    vec![
        ("an open", Personality::Hostile, vec![Act::Idle]),
        ("a group", Personality::Hostile, vec![append(8)]),
        ("two groups and a close", Personality::Ext4, vec![append(8), append(60), Act::Close]),
        ("a roll", Personality::Hostile, vec![append(3000), append(3000), append(8)]),
        ("groups in one frame", Personality::Xfs, vec![Act::Append { groups: 3, bytes: 60 }, Act::Idle]),
        ("a process that dies and another one", Personality::Hostile, vec![append(8), Act::Kill, append(8)]),
        ("a power cut and another open", Personality::Btrfs, vec![append(8), append(700), Act::Cut(3), append(8)]),
        (
            "a checkpoint",
            Personality::Hostile,
            vec![append(60), Act::CheckpointAnd { bytes: 60 }, Act::Kill, append(8)],
        ),
        (
            "a sync fails and the page lies",
            Personality::Hostile,
            vec![append(8), fail_sync(new), append(60), append(8)],
        ),
        (
            "a sync fails and the page is old",
            Personality::Btrfs,
            vec![append(8), fail_sync(old), append(60), append(8)],
        ),
        ("a write is short", Personality::Hostile, vec![append(8), Act::ShortWrite { nth: 1, bytes: 49 }, append(60)]),
        (
            "a write fails",
            Personality::Xfs,
            vec![append(8), Act::FailWrite { nth: 1, errno: errno::EIO }, append(60), append(8)],
        ),
        (
            "a full disk",
            Personality::Ext4,
            vec![Act::Idle, Act::Full { bytes: 0 }, append(3000), append(3000), Act::Free, append(8)],
        ),
        ("a stop", Personality::Hostile, vec![append(8), Act::Stop, append(8), Act::Stop]),
    ]
}
