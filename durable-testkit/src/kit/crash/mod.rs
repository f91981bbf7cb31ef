//! Crashes everywhere: a scenario is played once without a crash, and every moment of it is kept. From each moment, and each thing that a
//! crash may leave of it, the application is opened again and the scenario played to its end: it has to give the same, and to have had the
//! same effects.

mod image;
mod moment;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Instant;

use durable::kernel::id::Timestamp;
use durable::replay::Residence;

use self::image::{How, image};
use self::moment::{Moment, Moments, Watched, watch};
pub use self::report::CrashReport;
use super::app::{App, Crashes};
use super::failure::Failure;
use super::play::{Left, Start, Trouble, play};
use super::repeat::Repeat;
use super::replays::replay;
use super::stage::{Journals, Stage};
use super::test::Test;
use crate::disk::{SimDisk, Snapshot};
use crate::rng::Rng;

/// Behind one in so many crashes a second one is tried, if not all are.
const SAMPLED: usize = 3;

/// How many second crashes are tried there.
const SECONDS: usize = 2;

/// Whether all second crashes are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seconds {
    Sampled,
    All,
}

/// What a play of the scenario came to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome<R> {
    value: R,
    /// How often each service had each effect.
    effects: BTreeMap<(String, String), usize>,
}

/// A play of the scenario in one process, from its opening to its end.
struct Played<R> {
    outcome: Outcome<R>,
    moments: Moments,
    /// What it recorded; nothing if that is not kept, or no test wants it replayed.
    journals: Vec<Journals>,
    left: Left,
}

/// What of a play is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// Its moments and what it recorded.
    Everything,
    /// Its moments, to crash at.
    Moments,
    /// What it recorded, to be replayed.
    Journals,
}

/// A crash, and the one before it.
#[derive(Debug, Clone)]
struct Crash {
    names: Vec<String>,
    words: Vec<String>,
    /// What it left.
    start: Start,
}

/// What makes two states alike: what processes see on the disk, what is outside, and the time.
type Key = (u64, u64, Timestamp);

struct Explorer<'t, 'a, S, R> {
    test: &'t Test<'a>,
    scenario: S,
    seed: u64,
    /// The one crash that is wanted, by its names.
    only: Option<Vec<String>>,
    /// Whether that one was tried.
    is_met: bool,
    alike: Option<Outcome<R>>,
    seen: BTreeSet<Key>,
    /// The crashes that were tried and left something of their own.
    firsts: Vec<Crash>,
    report: CrashReport,
}

impl Test<'_> {
    /// [`crash_everywhere`](Self::crash_everywhere) tries a second crash at every moment behind every first one, and not at some of
    /// them: minutes in place of a second.
    pub fn crash_twice(mut self) -> Self {
        self.second_crashes = Seconds::All;
        self
    }

    /// [`crash_everywhere`](Self::crash_everywhere) tries this crash alone, by the name that a failure gave it: as `DURABLE_CRASH_AT`
    /// does.
    pub fn crash_at(mut self, name: &str) -> Self {
        self.crash_at = Some(name.to_owned());
        self
    }

    /// Lets the application crash at every moment of the scenario.
    ///
    /// The scenario is played inside the process, as a `main` is: it starts runs under ids and awaits their results. It is played once
    /// without a crash. Then, for each operation of the disk and each await, the process is killed there (with the operation not
    /// done, half done, or done and unanswered), or the power goes (and what no sync covered is lost, kept, or torn); another process
    /// opens the store, and plays the scenario again, from its beginning: a start under a known id attaches. Behind some of these crashes
    /// comes a second one. Each time the scenario has to return what it returned without a crash, its assertions have to hold, and each
    /// [`Service`](super::Service) must have had the same effects as often, unless it [may repeat](super::Service::may_repeat) them.
    ///
    /// What was recorded without a crash is replayed 16 times, as by [`run`](Self::run), and what was recorded behind each crash once:
    /// there are attempts that nobody heard of, which no run without a crash records.
    /// [`without_replays`](Self::without_replays) turns both off.
    ///
    /// Each process draws other random numbers, as a real one does. So a run whose start a crash has undone is not the same again in its
    /// second life: a scenario that returns what a workflow drew at random returns something else then.
    ///
    /// What doubles and states keep in variables of the test is not taken back between the crashes; what services hold is.
    ///
    /// # Examples
    /// ```
    /// use durable::prelude::*;
    /// use durable_testkit::{Service, Test};
    /// # #[activity(start_to_close = "1m")]
    /// # async fn charge(State(bank): State<Service>, order: u32) -> Result<(), String> {
    /// #     bank.call_once(durable::activity::idempotency_key(), format!("charge:{order}"), || ()).await?;
    /// #     Ok(())
    /// # }
    /// # #[workflow]
    /// # async fn sell(order: u32) -> durable::Result<()> { Ok(charge(order).await?) }
    ///
    /// let bank = Service::new("bank");
    /// let report = Test::of((sell, charge)).service(&bank).crash_everywhere(async |t| {
    ///     t.start(sell(7)).id("order-7").await?.result().await?;
    ///     bank.assert_effects(["charge:7"]);
    ///     Ok(())
    /// });
    /// assert!(report.operations > 10 && report.distinct > 20);
    /// ```
    ///
    /// # Panics
    /// When a crash makes a difference. The text says which crash, what was done then, and how to repeat it alone.
    #[track_caller]
    pub fn crash_everywhere<R>(self, scenario: impl AsyncFn(App) -> durable::Result<R>) -> CrashReport
    where
        R: PartialEq + Debug,
    {
        match self.try_crash_everywhere(scenario) {
            Ok(report) => {
                println!("{report}");
                report
            }
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`crash_everywhere`](Self::crash_everywhere), without the panic.
    ///
    /// # Errors
    /// When a crash makes a difference, or the scenario fails without one, and when `DURABLE_SEED` or `DURABLE_SEEDS` is no number.
    pub fn try_crash_everywhere<R>(
        self,
        scenario: impl AsyncFn(App) -> durable::Result<R>,
    ) -> Result<CrashReport, Failure>
    where
        R: PartialEq + Debug,
    {
        let only = self.crash_at.clone().or_else(Repeat::crash_at);
        let only = only.map(|names| names.split(',').map(str::to_owned).collect::<Vec<_>>());
        // A crash has its name under one seed.
        let seeds_max = if only.is_some() { 1 } else { usize::MAX };
        let mut report = CrashReport::default();
        for seed in Repeat::seeds(self.seeds.unwrap_or(1))?.take(seeds_max) {
            report = report.and(&Explorer::new(&self, &scenario, seed, only.clone()).explore()?);
        }
        Ok(report)
    }
}

impl<'t, 'a, S, R> Explorer<'t, 'a, S, R>
where
    S: AsyncFn(App) -> durable::Result<R>,
    R: PartialEq + Debug,
{
    fn new(test: &'t Test<'a>, scenario: S, seed: u64, only: Option<Vec<String>>) -> Self {
        Explorer {
            test,
            scenario,
            seed,
            only,
            is_met: false,
            alike: None,
            seen: BTreeSet::new(),
            firsts: Vec::new(),
            report: CrashReport { seeds: 1, ..CrashReport::default() },
        }
    }

    fn explore(mut self) -> Result<CrashReport, Failure> {
        let begun = Instant::now();
        let Played { outcome, moments, .. } = self.reference()?;
        self.report.operations = moments.operations;
        self.report.awaits = moments.polls;
        self.report.moments = moments.all.len() as u64;
        self.alike = Some(outcome);
        self.crash_at_each(&moments.all, None)?;
        self.crash_again()?;
        self.is_met()?;
        self.report.took = begun.elapsed();
        Ok(self.report)
    }

    /// A crash that is wanted alone has to be there.
    fn is_met(&self) -> Result<(), Failure> {
        let Some(only) = self.only.as_ref().map(|only| only.join(",")) else { return Ok(()) };
        if self.is_met {
            println!("crash {only} makes no difference");
            return Ok(());
        }
        Err(Failure::new(format!("there is no crash {only} in this scenario"), Repeat::of_crash(self.seed, only)))
    }

    /// The run without a crash; what it recorded is replayed.
    fn reference(&self) -> Result<Played<R>, Failure> {
        let failed = |text: String, left: &Left| Failure::new(text, Repeat::of_seed(self.seed)).with(left);
        let played = self.play(&Start::empty(), Keeps::Everything);
        let played = played.map_err(|bad| failed(format!("without a crash: {}", bad.0), &bad.1))?;
        let replayed = replay(&played.journals, self.test.replays(), Residence::Stay);
        replayed.map_err(|text| failed(text, &played.left))?;
        Ok(played)
    }

    /// Plays the scenario in one process.
    fn play(&self, start: &Start, keeps: Keeps) -> Result<Played<R>, Box<(Trouble, Left)>> {
        let (played, left) = play(&self.test.plan, self.seed, start, async |stage| {
            let (value, moments) = live(&stage, &self.scenario, keeps).await?;
            let outcome = Outcome { value, effects: stage.outside().effects() };
            let are_replayed = keeps != Keeps::Moments && self.test.replays() > 0;
            let journals = if are_replayed { stage.journals().await? } else { Vec::new() };
            Ok((outcome, moments, journals))
        });
        match played {
            Ok((outcome, moments, journals)) => Ok(Played { outcome, moments, journals, left }),
            Err(trouble) => Err(Box::new((trouble, left))),
        }
    }

    /// Every crash at each of these moments; `before` is the crash that they are behind.
    fn crash_at_each(&mut self, moments: &[Moment], before: Option<&Crash>) -> Result<(), Failure> {
        for number in 0..moments.len() {
            for how in How::ALL {
                self.crash(moments, number, how, before)?;
            }
        }
        Ok(())
    }

    /// Some crashes at some of these moments.
    fn crash_at_some(&mut self, moments: &[Moment], nth: usize, before: &Crash) -> Result<(), Failure> {
        let mut rng = Rng::new(self.seed.wrapping_mul(1 << 20).wrapping_add(nth as u64));
        for _ in 0..SECONDS {
            let (number, how) = (rng.index(moments.len()), How::ALL[rng.index(How::ALL.len())]);
            self.crash(moments, number, how, Some(before))?;
        }
        Ok(())
    }

    fn crash(&mut self, moments: &[Moment], number: usize, how: How, before: Option<&Crash>) -> Result<(), Failure> {
        let mut names = before.map_or_else(Vec::new, |before| before.names.clone());
        names.push(format!("{number}-{}", how.name()));
        if number > 0 && how != How::Half && self.only.is_none() && Self::leaves_as_the_one_before(moments, number) {
            self.report.count_state(before.is_some());
            return Ok(());
        }
        let is_wanted = self.only.as_ref().is_none_or(|only| only.starts_with(&names));
        let Some(disk) = is_wanted.then(|| image(moments, number, how, self.seed)).flatten() else { return Ok(()) };
        self.is_met |= self.only.as_ref() == Some(&names);
        self.report.count_state(before.is_some());
        let (moment, key) = (&moments[number], key(&disk, &moments[number]));
        if !self.seen.insert(key) && self.only.is_none() {
            return Ok(());
        }
        self.report.count_distinct(before.is_some());
        let mut words = before.map_or_else(Vec::new, |before| before.words.clone());
        words.push(moment.words(how));
        let mut outside = moment.outside.clone();
        outside.add_to_story(moment.deed(how));
        let start = Start { disk, outside, wall: moment.wall, crashes: names.len() };
        let crash = Crash { names, words, start };
        self.replay(&crash, &self.recover(&crash, Keeps::Journals)?)?;
        if before.is_none() {
            self.firsts.push(crash);
        }
        Ok(())
    }

    fn leaves_as_the_one_before(moments: &[Moment], number: usize) -> bool {
        let (before, moment) = (&moments[number - 1], &moments[number]);
        moment.only_looked()
            && moment.wall == before.wall
            && moment.outside.fingerprint() == before.outside.fingerprint()
    }

    /// Crashes behind the first ones: later than all of these, because one crash is easier to understand than two.
    fn crash_again(&mut self) -> Result<(), Failure> {
        for (nth, first) in std::mem::take(&mut self.firsts).into_iter().enumerate() {
            let Some(seconds) = self.seconds(nth) else { continue };
            let moments = self.recover(&first, Keeps::Moments)?.moments.all;
            match seconds {
                Seconds::All => self.crash_at_each(&moments, Some(&first))?,
                Seconds::Sampled => self.crash_at_some(&moments, nth, &first)?,
            }
        }
        Ok(())
    }

    /// Which second crashes are tried behind the first one of this number.
    fn seconds(&self, nth: usize) -> Option<Seconds> {
        match (&self.only, self.test.second_crashes) {
            (Some(only), _) => (only.len() > 1).then_some(Seconds::All),
            (None, Seconds::All) => Some(Seconds::All),
            (None, Seconds::Sampled) => nth.is_multiple_of(SAMPLED).then_some(Seconds::Sampled),
        }
    }

    /// Opens what a crash left, plays the scenario to its end, and compares.
    fn recover(&self, crash: &Crash, keeps: Keeps) -> Result<Played<R>, Failure> {
        let alike = self.alike.as_ref().expect("because the scenario was played without a crash before");
        match self.play(&crash.start, keeps) {
            Ok(played) if played.outcome == *alike => Ok(played),
            Ok(played) => Err(self.failure(&differs(alike, &played.outcome), crash, &played.left)),
            Err(bad) => Err(self.failure(&bad.0.to_string(), crash, &bad.1)),
        }
    }

    /// What was recorded until the recovery's end replays: once, because there are as many recoveries as crashes.
    fn replay(&self, crash: &Crash, played: &Played<R>) -> Result<(), Failure> {
        let replayed = replay(&played.journals, self.test.replays().min(1), Residence::Stay);
        replayed.map_err(|text| self.failure(&text, crash, &played.left))
    }

    fn failure(&self, what: &str, crash: &Crash, left: &Left) -> Failure {
        let (names, words) = (crash.names.join(","), crash.words.join(",\n  and then "));
        let runs = self.runs_in(&crash.start);
        let hints = left.hints.iter().filter(|hint| hint.may_explain(what));
        let hints: String = hints.map(|hint| format!("\nhint: {hint}")).collect();
        let text =
            format!("a crash makes a difference: {what}{hints}\n\nthe crash ({names}): {words}\non disk then: {runs}");
        Failure::new(text, Repeat::of_crash(self.seed, names)).with(left)
    }

    /// What the runs in a store were doing when it was left like this.
    fn runs_in(&self, start: &Start) -> String {
        let (runs, _) = play(&self.test.plan, self.seed, start, async |stage| {
            stage.open().await;
            Ok(stage.runs().await)
        });
        match runs {
            Ok(runs) if runs.is_empty() => "no run is open".to_owned(),
            Ok(runs) => runs.join("\n"),
            Err(trouble) => format!("what does not open: {trouble}"),
        }
    }
}

/// Opens the store in a process, plays the scenario in it to its end and shuts it down.
async fn live<R>(
    stage: &Rc<Stage>,
    scenario: impl AsyncFn(App) -> durable::Result<R>,
    keeps: Keeps,
) -> Result<(R, Moments), Trouble> {
    let process = stage.begin();
    let performed = stage.sim().disk().performed();
    let watched = (keeps != Keeps::Journals).then(|| watch(stage, &process));
    if !stage.open_in(&process).await {
        return Err(Trouble::Said("the process died while it opened the store".to_owned()));
    }
    let app = App { stage: Rc::clone(stage), crashes: Crashes::Player };
    let ended = process.run(async {
        let value = scenario(app).await.map_err(|error| Trouble::Failed(error.to_string()))?;
        if let Some(blocked) = stage.blocked().await {
            return Err(blocked);
        }
        let closed = stage.runtime().await.shutdown().await;
        closed.map_err(|error| Trouble::Said(format!("the runtime does not shut down: {error}")))?;
        Ok(value)
    });
    let value = ended.await.ok_or_else(|| Trouble::Said("the process died".to_owned()))??;
    let moments = watched.map(Watched::take);
    if let Some(Moments { operations, polls, .. }) = &moments {
        assert_eq!(*operations, stage.sim().disk().performed() - performed, "each operation of the disk was seen");
        assert_eq!(*polls, process.polls(), "each poll of the process was seen");
    }
    stage.end();
    Ok((value, moments.unwrap_or_default()))
}

fn key(disk: &Snapshot, moment: &Moment) -> Key {
    (SimDisk::from_snapshot(disk).fingerprint(), moment.outside.fingerprint(), moment.wall)
}

fn differs<R: PartialEq + Debug>(alike: &Outcome<R>, other: &Outcome<R>) -> String {
    if alike.value != other.value {
        return format!("the scenario returns {:?}, and without a crash {:?}", other.value, alike.value);
    }
    let all: BTreeSet<_> = alike.effects.keys().chain(other.effects.keys()).collect();
    let count = |effects: &BTreeMap<_, usize>, effect| effects.get(effect).copied().unwrap_or_default();
    let mut differ = all.into_iter().filter(|effect| count(&alike.effects, effect) != count(&other.effects, effect));
    let told = differ.next().map(|effect| {
        let (service, what) = effect;
        let (with, without) = (times(count(&other.effects, effect)), times(count(&alike.effects, effect)));
        format!("{service} does {what} {with}, and without a crash {without}")
    });
    told.unwrap_or_default()
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        count => format!("{count} times"),
    }
}
