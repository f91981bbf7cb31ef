//! Plays a case: processes one after the other and beside each other, clients that ask and wait for answers, and whatever goes wrong;
//! then calm, until every run has ended. What the world saw and what the store holds is what the oracle looks at.

use std::collections::BTreeSet;
use std::future::IntoFuture;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durable::runtime::What;
use durable::store::log;
use durable::{LookupError, OpenError, Run, RunError, Runtime, SignalError, StartError, Status};
use futures::future::{join_all, select, try_join, try_join_all};

use super::case::{Blow, Case, Death, Deed, DiskFault, Hit, Life, Moment, Planned, Room};
use super::look::Look;
use super::program::{Build, SIGNALS, Word, torture};
use super::stage::{Acked, Counted, Once, Opened, Seen, Stage, Struck};
use super::wreck::Wrecks;
use crate::disk::{Fault, Keep, OpKind, Personality, SimDisk, Unfinished, When, errno};
use crate::rng::Rng;
use crate::sim::{Process, SMALL, STORE, Setting, Sim, Trace, Words};

/// Sends the last signals, so that every run can end.
const FINISHER: u8 = 255;

/// How long every run has to end once nothing goes wrong any more.
const CALM_MAX: Duration = Duration::from_secs(40 * 86_400);

/// How soon the calm is looked at again when something was new.
const LOOK_SOON: Duration = Duration::from_millis(100);

/// How seldom the calm is looked at when nothing is new.
const LOOK_SELDOM: Duration = Duration::from_secs(3_600);

/// How often the calm is looked at: once an hour, and more often behind each receive, of which no program has so many.
const LOOKS_MAX: u32 = 2_000;

/// No case has so many attempts, however often its processes die: one that has goes on for ever.
const ATTEMPTS_MAX: usize = 5_000;

/// No play has so many polls, whatever goes wrong, by far: one that has goes on for ever, and is wrong.
const POLLS_MAX: u64 = 200_000;

/// In how many copies of a play's store a bit is flipped.
const FLIPS: u32 = 6;

/// So many bytes before the end of what is written belong to a segment's last frame.
const LAST_BYTES: u64 = 32;

/// What came of a case.
#[derive(Debug, Clone)]
pub struct Played {
    /// What the world saw.
    pub seen: Seen,
    /// The store after all runs had ended and the last process had closed it.
    pub first: Result<Look, String>,
    /// The store after one more process had opened it for a day, and closed it.
    pub second: Result<Look, String>,
    /// What happened.
    pub trace: Trace,
    /// What a report counts.
    pub counts: Counts,
}

/// What a report counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Processes that died with the store open, and whose store was opened again.
    pub crashes: u64,
    /// Those of them with or behind which the power went, before the store was opened again.
    pub power_cuts: u64,
    /// Faults that hit something in flight.
    pub faults: u64,
    /// Simulated minutes in which at least one fault hit something in flight while a run was open.
    pub minutes: u64,
    /// How many of the deaths left a store that was looked into at once.
    pub wrecks: u64,
    /// Polls of tasks: how long the play was for the machine that played it.
    pub polls: u64,
}

/// Everything that a play holds in its hands.
#[derive(Clone)]
struct Director {
    sim: Sim,
    stage: Arc<Stage>,
    case: Arc<Case>,
    calm: Arc<AtomicBool>,
    wrecks: Arc<Mutex<Wrecks>>,
}

/// The process has no use any more: its store failed, or it was shut down.
struct Gone;

impl Case {
    /// Plays the case.
    #[must_use]
    pub fn play(&self, words: Words) -> Played {
        let case = Arc::new(self.clone());
        let setting = setting(self, words);
        let played = Sim::play(setting, async |sim| {
            let stage = Arc::new(Stage::new(sim.clock().clone(), case.clients.len()));
            let _entered = stage.enter();
            let director = Director { sim, stage, case, calm: Arc::default(), wrecks: Arc::default() };
            director.direct().await
        });
        played.expect("because the play never waits without a limit")
    }
}

/// Sizes with which a small play fills one segment.
const LARGE: log::Sizes = log::Sizes {
    segments: log::SegmentSizes { bytes_min: 65_536, bytes_max: 262_144 },
    reserve_bytes: 16_384,
    checkpoint_bytes_min: 65_536,
    frame_cache_bytes: 65_536,
    stretch_bytes: 65_536,
};

/// Sizes with which every few frames are a segment, and most plays have no checkpoint.
const TIGHT: log::Sizes = log::Sizes {
    segments: log::SegmentSizes { bytes_min: 4096, bytes_max: 4096 },
    reserve_bytes: 4096,
    checkpoint_bytes_min: 65_536,
    frame_cache_bytes: 4096,
    stretch_bytes: 4096,
};

fn setting(case: &Case, words: Words) -> Setting {
    let (percent, most_ms) = case.conduct.lag;
    Setting {
        seed: case.seed,
        sizes: match case.conduct.room {
            Room::Large => LARGE,
            Room::Small => SMALL,
            Room::Tight => TIGHT,
        },
        lag_percent: percent.into(),
        lag_max: Duration::from_millis(most_ms.into()),
        polls_max: POLLS_MAX,
        words,
        ..Setting::default()
    }
}

impl Director {
    async fn direct(self) -> Played {
        if self.case.conduct.sole_lock {
            self.sim.disk().lock_only("LOCK");
        }
        self.sim.disk().set_personality(self.case.conduct.file_system);
        self.let_disk_be_slow();
        let stage = Arc::clone(&self.stage);
        self.sim.disk().on_strike(move || stage.fault(Struck::Operation));
        self.plan_blows();
        let slots = self.case.slots.iter().map(|lives| self.slot(lives));
        join_all(slots).await;
        self.calm.store(true, Ordering::Relaxed);
        self.sim.disk().unlimit_space();
        self.stage.say("calm");
        self.calm_life(true).await;
        let first = self.look();
        if let Ok(first) = &first {
            let lost = self.wrecks().holds_on_to(&self.case, &self.stage.seen(), first);
            self.stage.seen().wrong.extend(lost);
        }
        self.rot(first.as_ref());
        self.calm_life(false).await;
        let second = self.look();
        let counts = self.counts();
        let trace = self.sim.trace();
        let seen = self.stage.seen().clone();
        Played { seen, first, second, trace, counts }
    }

    /// An operation that is slow counts as a fault when it has begun at last.
    fn let_disk_be_slow(&self) {
        let stage = Arc::clone(&self.stage);
        self.sim.disk().on_slow(move |delay| {
            let stage = Arc::clone(&stage);
            Box::pin(async move {
                tokio::time::sleep(delay).await;
                stage.fault(Struck::Operation);
            })
        });
    }

    fn wrecks(&self) -> MutexGuard<'_, Wrecks> {
        self.wrecks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process has died: looks into what it leaves.
    fn look_into_wreck(&self) {
        let wrong = self.wrecks().look_into(&self.case, &self.stage.seen(), self.sim.disk(), self.sim.setting());
        self.stage.seen().wrong.extend(wrong);
    }

    fn look(&self) -> Result<Look, String> {
        Look::at(self.sim.disk(), (0..self.case.programs.len()).map(Case::id))
    }

    /// Flips bits of copies of the store as it lies there: each has to be noticed or to change nothing of what happened.
    fn rot(&self, sound: Result<&Look, &String>) {
        let Ok(sound) = sound else { return };
        let mut rng = Rng::new(self.case.seed ^ 0x0B17_F11D);
        let image = self.sim.disk().snapshot();
        for _ in 0..FLIPS {
            let copy = SimDisk::from_snapshot(&image);
            let names = copy.file_names(STORE).unwrap_or_default();
            let Some(name) = names.get(rng.index(names.len().max(1))) else { return };
            let path = format!("{STORE}/{name}");
            let written = copy
                .read_file(&path)
                .map_or(0, |bytes| bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1));
            // What was written last is what is missed least: half of the flips are there.
            let span = if rng.percent(50) { written.min(LAST_BYTES) } else { written };
            let (offset, bit) = (written - span + rng.below(span.max(1)), rng.below(8) as u8);
            if copy.flip_bit(&path, offset, bit).is_err() {
                continue;
            }
            let Ok(look) = Look::at(&copy, (0..self.case.programs.len()).map(Case::id)) else { continue };
            if look.rot.is_empty() && !look.is_like(sound) {
                self.stage.wrong(format!("bit {bit} of byte {offset} of {name} was flipped, and nobody noticed"));
            }
        }
    }

    fn counts(&self) -> Counts {
        let seen = self.stage.seen();
        let minutes: BTreeSet<u64> = seen.faults.iter().map(|at| at.as_secs() / 60).collect();
        Counts {
            crashes: seen.crashes,
            power_cuts: seen.power_cuts,
            faults: seen.faults.len() as u64,
            minutes: minutes.len() as u64,
            wrecks: self.wrecks().looked_into,
            polls: self.sim.polls(),
        }
    }

    // The machine.

    fn plan_blows(&self) {
        for blow in &self.case.blows {
            let (this, Blow { at_ms, what }) = (self.clone(), *blow);
            self.sim.spawn(async move {
                this.sim.sleep(Duration::from_millis(at_ms.into())).await;
                if !this.calm.load(Ordering::Relaxed) {
                    this.hit(what).await;
                }
            });
        }
    }

    async fn hit(&self, what: Hit) {
        self.stage.say(&format!("the machine: {what:?}"));
        match what {
            Hit::Power(seed) => self.cut_power(seed),
            Hit::Unlock => {
                let _ = self.sim.disk().remove_file(format!("{STORE}/LOCK"));
                self.stage.seen().unlocked = Some(self.stage.now());
            }
            Hit::Clock(seconds) => self.set_clock(i64::from(seconds) * 1_000_000),
            Hit::Full(left, span_ms) => self.fill(left, span_ms).await,
        }
    }

    fn set_clock(&self, by_us: i64) {
        let at = self.stage.now();
        self.stage.seen().clock_set.push((at, by_us));
        self.sim.clock().set_wall_by(by_us);
    }

    fn cut_power(&self, seed: u64) {
        self.stage.power_goes(self.sim.disk().in_flight() > 0);
        self.sim.power_cut(&Keep::Seed(seed));
        self.wrecks().power_goes(&self.stage.seen());
        self.look_into_wreck();
    }

    async fn fill(&self, left: u32, span_ms: u32) {
        let most = 1 << 40;
        self.sim.disk().limit_space(most);
        let used = most - self.sim.disk().free_space().unwrap_or(most);
        self.sim.disk().limit_space(used + u64::from(left));
        self.sim.sleep(Duration::from_millis(span_ms.into())).await;
        self.sim.disk().unlimit_space();
        self.stage.say("the disk has space again");
    }

    // Processes.

    async fn slot(&self, lives: &[Life]) {
        for life in lives {
            if self.has_asked_all() {
                return;
            }
            self.sim.sleep(Duration::from_millis(life.after_ms.into())).await;
            let process = self.begin(life);
            self.plan_death(&process, life);
            self.plan_stops(&process, life);
            let lasts = self.sim.sleep(Duration::from_millis(life.lasts_ms.into()));
            let living = process.run(self.live(&process, life));
            select(pin!(living), pin!(lasts)).await;
            if !process.is_dead() {
                self.stage.dies(process.number(), process.disk().in_flight() > 0);
                process.kill(Unfinished::NotDone);
                self.look_into_wreck();
            }
        }
    }

    fn begin(&self, life: &Life) -> Process {
        let process = self.sim.process().of_build(life.build.id());
        self.stage.enrol(&process, life.build);
        self.stage.say(&format!("process {} begins, build {}", process.number(), life.build.id()));
        for fault in &life.faults {
            let (when, fault) = planned_fault(fault);
            process.disk().fail(when, fault);
        }
        process
    }

    fn plan_death(&self, process: &Process, life: &Life) {
        let Some(Death { at, leaves, power }) = life.death else { return };
        let (this, dying) = (self.clone(), process.clone());
        let die = move || {
            let number = dying.number();
            this.stage.dies(number, dying.disk().in_flight() > 0);
            match power {
                Some(seed) => this.cut_power(seed),
                None => {
                    dying.kill(leaves.into());
                    this.look_into_wreck();
                }
            }
        };
        match at {
            Moment::Poll(poll) => process.before_poll(poll.into(), die),
            Moment::Answer(count) => self.stage.reap(process.number(), Counted::Answers, count, die),
            Moment::End(count) => self.stage.reap(process.number(), Counted::Ends, count, die),
            Moment::Attempt(count) => self.stage.reap(process.number(), Counted::Attempts, count, die),
            Moment::Operation(after) => {
                process.kill_at_operation(after.into(), leaves.into());
                let (death, this, number) = (process.disk().death(), self.clone(), process.number());
                self.sim.spawn(async move {
                    death.await;
                    this.stage.dies(number, true);
                    match power.filter(|_| !this.calm.load(Ordering::Relaxed)) {
                        Some(seed) => this.cut_power(seed),
                        None => this.look_into_wreck(),
                    }
                });
            }
            Moment::ShutDown(_) => {}
        }
    }

    fn plan_stops(&self, process: &Process, life: &Life) {
        for (at_ms, span_ms) in life.stops.iter().copied() {
            let (this, process) = (self.clone(), process.clone());
            self.sim.spawn(async move {
                this.sim.sleep(Duration::from_millis(at_ms.into())).await;
                if process.is_dead() {
                    return;
                }
                this.stage.say(&format!("process {} is stopped", process.number()));
                if process.disk().in_flight() > 0 {
                    this.stage.fault(Struck::Operation);
                }
                process.stop();
                this.sim.sleep(Duration::from_millis(span_ms.into())).await;
                process.resume();
                this.stage.say(&format!("process {} goes on", process.number()));
            });
        }
    }

    /// A process that opens the store and lets its clients ask until it is shut down, or is no use any more.
    async fn live(&self, process: &Process, life: &Life) {
        let Some(rt) = self.open(process, life.build, usize::MAX).await else { return };
        let epoch = self.opened(process, life.build);
        let life_long = pin!(self.serve(&rt, process, life.build, epoch));
        let Some(Death { at: Moment::ShutDown(after_ms), .. }) = life.death else {
            life_long.await;
            return self.stage.say(&format!("process {} has no use any more", process.number()));
        };
        select(life_long, pin!(self.sim.sleep(Duration::from_millis(after_ms.into())))).await;
        self.stage.seen().shut_down.insert(process.number());
        let shut = rt.shutdown().into_future().await;
        self.stage.say(&format!("process {} shuts down: {shut:?}", process.number()));
        if shut.is_ok() {
            self.stage.seen().left_clean.insert(process.number());
        }
        // The program ends.
        process.kill(Unfinished::NotDone);
    }

    fn opened(&self, process: &Process, build: Build) -> usize {
        self.stage.say(&format!("process {} has opened the store", process.number()));
        let opened = Opened { process: process.number(), at: self.stage.now(), wall: self.stage.wall(), build };
        let mut seen = self.stage.seen();
        seen.opens(opened);
        seen.opened.len()
    }

    async fn open(&self, process: &Process, build: Build, tries: usize) -> Option<Runtime> {
        for _ in 0..tries {
            let began = self.stage.now();
            let conduct = self.case.conduct;
            let mut builder = process.runtime(build.registry()).attempts(conduct.attempts.into());
            builder = builder.drivers(conduct.drivers_of(process.number()));
            if conduct.puts_away {
                builder = builder.put_away_at_every_await();
            }
            match builder.open().await {
                Ok(rt) => return Some(rt),
                Err(error) => self.refused(process, began, &error),
            }
            self.sim.sleep(Duration::from_secs(1)).await;
        }
        None
    }

    fn refused(&self, process: &Process, began: Duration, error: &OpenError) {
        self.stage.say(&format!("process {} does not open the store: {error}", process.number()));
        let OpenError::Store(error) = error else {
            return self.stage.wrong(format!("the store does not open: {error}"));
        };
        let is_fair = match error {
            // Who cannot tell whether somebody else has the store now does not take it.
            log::OpenError::AlreadyOpen { .. } => {
                self.case.slots.len() > 1 || self.stage.seen().unlocked >= Some(began)
            }
            log::OpenError::NoSpace(_) | log::OpenError::Disk(_) | log::OpenError::Store(_) => {
                !self.calm.load(Ordering::Relaxed)
            }
            _ => false,
        };
        if !is_fair {
            self.stage.wrong(format!("a sound store is refused: {error}"));
        }
    }

    // Clients.

    /// Lets the clients ask and tells the ends of runs, until the process is no use any more.
    async fn serve(&self, rt: &Runtime, process: &Process, build: Build, epoch: usize) {
        let here = Here { director: self, rt, process: process.number(), build, epoch };
        let clients = try_join_all((0..self.case.clients.len()).map(|client| here.client(client)));
        let watchers = try_join_all((0..self.case.programs.len()).map(|program| here.watch(program)));
        // What has failed for one of them has failed for all.
        if try_join(clients, watchers).await.is_ok() {
            std::future::pending::<()>().await;
        }
    }

    /// The last process: nothing goes wrong any more, and every run has to end; or, with nothing left to do, to stay ended.
    async fn calm_life(&self, finishes: bool) {
        let process = self.sim.process().of_build(Build::First.id());
        self.stage.enrol(&process, Build::First);
        process.run(self.live_calmly(&process, finishes)).await;
        process.kill(Unfinished::NotDone);
    }

    async fn live_calmly(&self, process: &Process, finishes: bool) {
        let Some(rt) = self.open(process, Build::First, 5).await else {
            return self.stage.wrong("the store does not open any more".to_owned());
        };
        let epoch = self.opened(process, Build::First);
        if finishes {
            let serving = pin!(self.serve(&rt, process, Build::First, epoch));
            select(serving, pin!(self.finish(&rt))).await;
        } else {
            self.sim.sleep(Duration::from_secs(86_400)).await;
        }
        match rt.shutdown().into_future().await {
            Ok(_) => drop(self.stage.seen().left_clean.insert(process.number())),
            Err(error) => self.stage.wrong(format!("a calm shutdown fails: {error}")),
        }
    }

    /// Sends what runs wait for, until all have ended.
    async fn finish(&self, rt: &Runtime) {
        let (begun, mut pause) = (self.stage.now(), LOOK_SOON);
        let mut answered = BTreeSet::new();
        for look in 1.. {
            self.sim.sleep(pause).await;
            pause = (2 * pause).min(LOOK_SELDOM);
            let open = match rt.runs().await {
                Ok(open) => open,
                Err(error) => return self.stage.wrong(format!("the calm store fails: {error}")),
            };
            if open.is_empty() && self.has_asked_all() {
                return;
            }
            let are_stuck =
                look > 30 && !open.is_empty() && open.iter().all(|run| matches!(run.status, Status::Blocked { .. }));
            let attempts = self.stage.seen().attempts.len();
            if attempts > ATTEMPTS_MAX {
                return self.stage.wrong(format!("runs try for ever: {attempts} attempts began"));
            }
            if self.stage.now() - begun > CALM_MAX || look > LOOKS_MAX || are_stuck {
                let told: Vec<String> =
                    open.iter().map(|run| format!("{} {}: {:?}", run.id, run.status, run.waits_for)).collect();
                return self.stage.wrong(format!("runs do not end: {}", told.join("; ")));
            }
            for run in open {
                for waits in &run.waits_for {
                    let What::Signal { name } = &waits.what else { continue };
                    // A receive that its program does not poll goes on waiting, and somebody else may take its signal: one is
                    // sent again, and ever more seldom.
                    if answered.insert((run.run, waits.seq)) {
                        pause = LOOK_SOON;
                    }
                    self.send_last(rt, &run.id, name).await;
                }
            }
        }
    }

    /// How long somebody who has to ask again waits, where nobody else makes it be there.
    fn patience(&self, in_storm: Duration) -> Duration {
        if self.calm.load(Ordering::Relaxed) { in_storm.max(Duration::from_secs(60)) } else { in_storm }
    }

    fn has_asked_all(&self) -> bool {
        let seen = self.stage.seen();
        let lens = self.case.clients.iter().map(Vec::len);
        let told = seen.acks.iter().filter(|ack| matches!(ack.what, Acked::Ended(..))).map(|ack| match ack.what {
            Acked::Ended(program, _) => program,
            _ => usize::MAX,
        });
        let told: BTreeSet<usize> = told.collect();
        seen.clients.iter().zip(lens).all(|((at, _), len)| *at >= len) && told.len() >= self.started(&seen)
    }

    fn started(&self, seen: &Seen) -> usize {
        let started = |acked: &Acked| matches!(acked, Acked::Started(..));
        let runs = seen.acks.iter().filter(|ack| started(&ack.what)).map(|ack| match ack.what {
            Acked::Started(program, _) => program,
            _ => usize::MAX,
        });
        runs.collect::<BTreeSet<usize>>().len()
    }

    async fn send_last(&self, rt: &Runtime, id: &str, name: &str) {
        let Some(number) = SIGNALS.iter().position(|signal| signal.name() == name) else { return };
        let word = Word { program: 255, name: number as u8, sender: FINISHER, number: 0 };
        let Ok(run) = rt.run(torture, id).await else { return };
        match run.signal(SIGNALS[number], word).await {
            Ok(()) | Err(SignalError::Closed) => {}
            Err(error) => self.stage.wrong(format!("the calm store takes no signal: {error}")),
        }
    }
}

fn planned_fault(fault: &DiskFault) -> (When, Fault) {
    match *fault {
        DiskFault::Sync(number, leaves, seed) => {
            let fault = Fault::SyncFails { errno: errno::EIO, leaves: leaves.into(), reached: Keep::Seed(seed) };
            (When::Kind(OpKind::SyncData, number.into()), fault)
        }
        DiskFault::Fails(kind, number, errno) => (When::Kind(kind.into(), number.into()), Fault::Errno(errno)),
        DiskFault::FailsFrom(kind, number, errno) => (When::KindFrom(kind.into(), number.into()), Fault::Errno(errno)),
        DiskFault::Slow(number, ms) => (When::Operation(number.into()), Fault::Slow(Duration::from_millis(ms.into()))),
        DiskFault::Short(number, most) => {
            (When::Kind(OpKind::Write, number.into()), Fault::ShortWrite(most.max(1) as usize))
        }
    }
}

/// What a client in a process holds.
#[derive(Clone, Copy)]
struct Here<'a> {
    director: &'a Director,
    rt: &'a Runtime,
    process: u32,
    build: Build,
    epoch: usize,
}

type Handle = Run<u64, durable::Failure>;

impl Here<'_> {
    fn stage(&self) -> &Stage {
        &self.director.stage
    }

    fn ack(&self, what: Acked) {
        self.stage().ack(self.process, what);
    }

    async fn client(&self, client: usize) -> Result<(), Gone> {
        loop {
            let (at, asked) = self.stage().seen().clients[client];
            let Some(planned) = self.director.case.clients[client].get(at).copied() else { return Ok(()) };
            let Planned { at_ms, deed } = planned;
            if asked && matches!(deed, Deed::Signal(_, _, false)) {
                // It may be there or not: who sends it again may send it twice.
                self.stage().seen().clients[client] = (at + 1, false);
                continue;
            }
            let due = Duration::from_millis(at_ms.into());
            self.director.sim.sleep(due.saturating_sub(self.stage().now())).await;
            if self.stage().seen().opened.len() != self.epoch {
                return Ok(());
            }
            if self.build.differs() && matches!(deed, Deed::Start(_)) {
                return Ok(());
            }
            self.stage().seen().clients[client] = (at, true);
            match self.ask(client, at, deed).await? {
                Next::Done => {
                    let mut seen = self.stage().seen();
                    if seen.clients[client] == (at, true) {
                        seen.clients[client] = (at + 1, false);
                    } else if seen.opened.len() != self.epoch {
                        return Ok(());
                    }
                }
                Next::Again => {
                    self.stage().seen().clients[client] = (at, false);
                    self.director.sim.sleep(self.director.patience(Duration::from_millis(500))).await;
                }
            }
        }
    }

    async fn ask(&self, client: usize, number: usize, deed: Deed) -> Result<Next, Gone> {
        match deed {
            Deed::Start(program) => self.start(program.into()).await,
            Deed::Signal(program, name, once) => {
                let Some(run) = self.handle(program.into()).await? else { return Ok(self.missed(program)) };
                let word = Word { program, name, sender: client as u8, number: number as u32 };
                self.signal(&run, program.into(), word, if once { Once::Yes } else { Once::No }).await
            }
            Deed::Cancel(program) => {
                let Some(run) = self.handle(program.into()).await? else { return Ok(self.missed(program)) };
                self.answered(program.into(), run.cancel("as was planned").await, Acked::Cancelled(program.into()))
            }
            Deed::Terminate(program) => {
                let Some(run) = self.handle(program.into()).await? else { return Ok(self.missed(program)) };
                self.answered(program.into(), run.terminate("as was planned").await, Acked::Terminated(program.into()))
            }
            Deed::Describe(program) => {
                let Some(run) = self.handle(program.into()).await? else { return Ok(Next::Done) };
                let described = run.describe().await;
                self.looked(described.map(|described| {
                    if described.status.is_closed() {
                        self.ack(Acked::Closed(program.into()));
                    }
                }))
            }
            Deed::List => self.looked(self.rt.runs().await.map(drop)),
        }
    }

    /// The run is not there: it is asked for again if somebody starts it.
    fn missed(&self, program: u8) -> Next {
        let starts = |planned: &Planned| planned.deed == Deed::Start(program);
        if self.director.case.clients.iter().flatten().any(starts) { Next::Again } else { Next::Done }
    }

    /// The store failed. A full disk alone never fails one that is not being closed, unless what is written needs space of its own though
    /// it stood there before (rule 15 of the log).
    fn gone(&self, reason: &str) -> Gone {
        let is_closing = self.stage().seen().shut_down.contains(&self.process);
        let needs_space = self.director.case.conduct.file_system == Personality::Btrfs;
        if !is_closing && !needs_space && reason.contains(&std::io::Error::from_raw_os_error(errno::ENOSPC).to_string())
        {
            self.stage().wrong(format!("a full disk fails the store of process {}: {reason}", self.process));
        }
        Gone
    }

    fn looked(&self, looked: Result<(), LookupError>) -> Result<Next, Gone> {
        match looked {
            Ok(()) => Ok(Next::Done),
            Err(LookupError::Store { reason }) if is_full(&reason) => Ok(Next::Again),
            Err(LookupError::Store { reason }) => Err(self.gone(&reason)),
            Err(_) => Err(Gone),
        }
    }

    async fn start(&self, program: usize) -> Result<Next, Gone> {
        let root = &self.director.case.programs[program];
        let mut call = torture(root.program.clone());
        if let Some(limit_ms) = root.limit_ms {
            call = call.timeout(Duration::from_millis(limit_ms.into()));
        }
        match self.rt.start(call).id(Case::id(program)).await {
            Ok(run) => {
                self.ack(Acked::Started(program, run.run_id()));
                Ok(Next::Done)
            }
            Err(StartError::Store { reason }) if is_full(&reason) => Ok(Next::Again),
            Err(StartError::Store { reason }) => Err(self.gone(&reason)),
            Err(StartError::ShutDown) => Err(Gone),
            Err(error) => {
                self.stage().wrong(format!("run {program} does not start: {error}"));
                Ok(Next::Done)
            }
        }
    }

    async fn signal(&self, run: &Handle, program: usize, word: Word, once: Once) -> Result<Next, Gone> {
        let signal = SIGNALS[usize::from(word.name)];
        let sent = match once {
            Once::Yes => run.signal_once(signal, word, &format!("{}-{}", word.sender, word.number)).await,
            Once::No => run.signal(signal, word).await,
        };
        self.answered(program, sent, Acked::Signalled(program, word, once))
    }

    fn answered(&self, program: usize, answered: Result<(), SignalError>, what: Acked) -> Result<Next, Gone> {
        match answered {
            Ok(()) => self.ack(what),
            Err(SignalError::Closed) => self.ack(Acked::Closed(program)),
            Err(SignalError::Store { reason }) if is_full(&reason) => return Ok(Next::Again),
            Err(SignalError::Store { reason }) => return Err(self.gone(&reason)),
            Err(SignalError::ShutDown) => return Err(Gone),
            Err(error) => self.stage().wrong(format!("{what:?} is refused: {error}")),
        }
        Ok(Next::Done)
    }

    /// The run of this number, if it was started.
    async fn handle(&self, program: usize) -> Result<Option<Handle>, Gone> {
        match self.rt.run(torture, &Case::id(program)).await {
            Ok(run) => Ok(Some(run)),
            Err(LookupError::NotFound { .. }) => {
                self.not_found(program);
                Ok(None)
            }
            Err(LookupError::Store { reason }) if is_full(&reason) => Ok(None),
            Err(LookupError::Store { reason }) => Err(self.gone(&reason)),
            Err(LookupError::ShutDown) => Err(Gone),
            Err(error) => {
                self.stage().wrong(format!("run {program} cannot be had: {error}"));
                Ok(None)
            }
        }
    }

    /// Only the newest opener has to know: one that lost the store knows what was there before.
    fn not_found(&self, program: usize) {
        let seen = self.stage().seen();
        let started = seen.acks.iter().any(|ack| matches!(ack.what, Acked::Started(of, _) if of == program));
        let is_newest = seen.opened.len() == self.epoch;
        drop(seen);
        if started && is_newest {
            self.stage().wrong(format!("run {program} was acknowledged and is not found"));
        }
    }

    /// Waits for a run's end and tells it.
    async fn watch(&self, program: usize) -> Result<(), Gone> {
        let run = loop {
            if let Some(run) = self.handle(program).await? {
                break run;
            }
            self.director.sim.sleep(self.director.patience(Duration::from_millis(700))).await;
        };
        match run.result_or_blocked().await {
            Ok(Err(RunError::Store(reason))) => Err(self.gone(reason.as_str())),
            Ok(ended) => {
                self.ack(Acked::Ended(program, format!("{ended:?}")));
                Ok(())
            }
            Err(blocked) => {
                self.stage().say(&format!("run {program} is blocked: {}", first_line(&blocked.reason)));
                // What the disk did not give is no fault of the code: the next open looks again.
                if !self.build.differs() && !blocked.reason.contains("[E0134]") {
                    self.stage().wrong(format!("run {program} is blocked under its own code: {}", blocked.reason));
                }
                Ok(())
            }
        }
    }
}

/// What a client does next.
enum Next {
    Done,
    Again,
}

fn is_full(reason: &str) -> bool {
    reason.contains("[E0109]")
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
