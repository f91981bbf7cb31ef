//! The application on its simulated machine: one process at a time, opened anew on the same store after each that ended. It knows
//! nothing of scenarios.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use durable::activity::{AttemptEnd, AttemptInfo};
use durable::kernel::engine::Residence;
use durable::runtime::{Description, ReadOnly};
use durable::store::Journal;
use durable::{Attempts, Registry, RunId, Runtime};
use tokio::sync::Notify;

use super::double::{self, Request, Requests};
use super::outside::Outside;
use super::play::{Trouble, raise};
use super::test::{Doubled, Plan, State};
use crate::disk::{Keep, Unfinished};
use crate::sim::{Process, STORE, Sim};

pub(super) struct Stage {
    sim: Sim,
    outside: Outside,
    states: Vec<State>,
    doubled: Vec<Doubled>,
    residence: Residence,
    attempts_max: u32,
    requests: Requests,
    living: RefCell<Living>,
    opened: Notify,
}

/// What changes from process to process.
struct Living {
    registry: Registry,
    build: u32,
    process: Option<Process>,
    runtime: Option<Runtime>,
    /// How many processes were opened.
    generation: u32,
    /// The runs whose being blocked the scenario knows of.
    known_as_blocked: BTreeSet<String>,
    /// What builds before this one recorded to its end.
    recorded: Vec<Journals>,
}

impl Stage {
    pub(super) fn new(plan: &Plan<'_>, sim: Sim, outside: Outside, requests: Requests) -> Stage {
        let living = Living {
            registry: plan.registry.clone(),
            build: 1,
            process: None,
            runtime: None,
            generation: 0,
            known_as_blocked: BTreeSet::new(),
            recorded: Vec::new(),
        };
        Stage {
            sim,
            outside,
            states: plan.states.clone(),
            doubled: plan.doubled.clone(),
            residence: plan.residence,
            attempts_max: plan.attempts_max,
            requests,
            living: RefCell::new(living),
            opened: Notify::new(),
        }
    }

    pub(super) fn sim(&self) -> &Sim {
        &self.sim
    }

    pub(super) fn outside(&self) -> &Outside {
        &self.outside
    }

    /// A new process on the machine, which has not begun to do anything.
    pub(super) fn begin(&self) -> Process {
        let mut living = self.living.borrow_mut();
        let process = self.sim.process().of_build(&format!("build {}", living.build));
        living.process = Some(process.clone());
        process
    }

    /// Opens the store in a process; false if it dies first.
    pub(super) async fn open_in(&self, process: &Process) -> bool {
        self.outside.tell(format!("{} opens the store", self.named(process)));
        let registry = self.watched(process);
        let builder = self.states.iter().fold(process.runtime(registry), |builder, state| state(builder));
        let builder = match self.residence {
            Residence::PutAwayAtEveryAwait => builder.put_away_at_every_await(),
            _ => builder,
        };
        match process.run(builder.open()).await {
            None => return false,
            Some(Err(error)) => raise(Trouble::Said(format!("the store does not open: {error}"))),
            Some(Ok(runtime)) => {
                let mut living = self.living.borrow_mut();
                living.runtime = Some(runtime);
                living.generation += 1;
            }
        }
        self.opened.notify_waiters();
        true
    }

    /// A process as the story names it. The machine's first one made the store, before the story begins.
    fn named(&self, process: &Process) -> String {
        format!("process {}", process.number() - 1)
    }

    /// Begins a process and opens the store in it.
    pub(super) async fn open(&self) {
        let process = self.begin();
        if !self.open_in(&process).await {
            raise(Trouble::Said("the process died while it opened the store".to_owned()));
        }
    }

    /// The activities with their doubles, each of their attempts told.
    fn watched(&self, process: &Process) -> Registry {
        let mut registry = self.living.borrow().registry.clone();
        for (number, Doubled { name, first }) in self.doubled.iter().enumerate() {
            let Some(entry) = registry.activity(name).cloned() else { continue };
            let double = double::attempts(number, &self.requests, process);
            let mut entry = match first {
                None => entry.with_attempts(double),
                Some(first) => entry.with_attempts(self.at_first(*first, double, Arc::clone(entry.attempts()))),
            };
            if first.is_none() {
                entry.needs.clear();
            }
            registry.put_activity(entry);
        }
        let entries: Vec<_> = registry.activities().cloned().collect();
        for entry in entries {
            registry.put_activity(entry.with_attempts(self.told(Arc::clone(entry.attempts()))));
        }
        registry
    }

    /// The first attempts are made in one way, the others in another.
    fn at_first(&self, first: u32, double: Attempts, then: Attempts) -> Attempts {
        let outside = self.outside.clone();
        Arc::new(move |job| {
            let so_far = outside.attempts(job.info().activity.as_str());
            if so_far <= first { double(job) } else { then(job) }
        })
    }

    /// Each attempt is told, until a call has had too many.
    fn told(&self, attempts: Attempts) -> Attempts {
        let (outside, requests, most) = (self.outside.clone(), self.requests.clone(), self.attempts_max);
        Arc::new(move |job| {
            let (outside, info) = (outside.clone(), job.info().clone());
            if info.attempt.0 > most {
                // Nobody hears it if the play is over.
                let _ = requests.send(Request::End(hopeless(&info, most, &outside)));
                return Box::pin(std::future::pending());
            }
            outside.count_attempt(info.activity.as_str());
            outside.tell(format!("{} begins", words(&info)));
            let attempt = attempts(job);
            Box::pin(async move {
                let end = attempt.await;
                outside.tell(format!("{} {}", words(&info), ended(&end)));
                outside.ends(&info, &end);
                end
            })
        })
    }

    /// The runtime of the process that lives; waits for one.
    pub(super) async fn runtime(&self) -> Runtime {
        loop {
            let opened = self.opened.notified();
            if let Some(runtime) = self.runtime_now() {
                return runtime;
            }
            opened.await;
        }
    }

    /// The runtime of the process that lives, if one does.
    pub(super) fn runtime_now(&self) -> Option<Runtime> {
        let living = self.living.borrow();
        let lives = living.process.as_ref().is_some_and(|process| !process.is_dead());
        living.runtime.clone().filter(|_| lives)
    }

    pub(super) fn generation(&self) -> u32 {
        self.living.borrow().generation
    }

    /// Kills the process that lives.
    pub(super) fn kill(&self) {
        let process = self.living.borrow().process.clone();
        if let Some(process) = process {
            self.outside.tell(format!("{} is killed", self.named(&process)));
            process.kill(Unfinished::NotDone);
        }
        self.forget();
    }

    /// The scenario is over: the process goes without a word.
    pub(super) fn end(&self) {
        let process = self.living.borrow().process.clone();
        process.into_iter().for_each(|process| process.kill(Unfinished::NotDone));
        self.forget();
    }

    pub(super) fn power_cut(&self) {
        self.outside.tell("the power goes".to_owned());
        let keep = Keep::Seed(self.sim.rng().next_u64());
        self.sim.power_cut(&keep);
        self.forget();
    }

    /// The dead process's memory goes.
    pub(super) fn forget(&self) {
        let runtime = self.living.borrow_mut().runtime.take();
        drop(runtime);
    }

    /// Shuts the runtime down, and lets its process end.
    pub(super) async fn shut_down(&self) {
        let runtime = self.runtime().await;
        self.outside.tell("the runtime is shut down".to_owned());
        if let Err(error) = runtime.shutdown().await {
            raise(Trouble::Said(format!("the runtime does not shut down: {error}")));
        }
        drop(runtime);
        self.end();
    }

    /// From now on the application is of these, as another build. What has ended belongs to the build before: no code of another
    /// build has to replay it.
    pub(super) async fn deploy(&self, registry: Registry) {
        let ended = self.journals_of(Runs::Ended).await.unwrap_or_else(|trouble| raise(trouble));
        let mut living = self.living.borrow_mut();
        living.recorded.push(ended);
        living.registry = registry;
        living.build += 1;
        self.outside.tell(format!("build {} is deployed", living.build));
    }

    /// The open runs, in words.
    pub(super) async fn runs(&self) -> Vec<String> {
        let Some(runtime) = self.runtime_now() else { return Vec::new() };
        runtime.runs().await.unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    pub(super) fn knows_as_blocked(&self, id: &str) {
        self.living.borrow_mut().known_as_blocked.insert(id.to_owned());
    }

    /// The first run that is blocked without the scenario knowing it.
    pub(super) async fn blocked(&self) -> Option<Trouble> {
        let runs = self.runtime_now()?.runs().await.ok()?;
        let known = self.living.borrow().known_as_blocked.clone();
        runs.into_iter().find_map(|run| match run.status {
            durable::Status::Blocked { reason, .. } if !known.contains(&run.id) => {
                Some(Trouble::Blocked { id: run.id, reason })
            }
            _ => None,
        })
    }

    /// The journals of all runs, open and closed, each with the code that is to replay it.
    pub(super) async fn journals(&self) -> Result<Vec<Journals>, Trouble> {
        let newest = self.journals_of(Runs::All).await?;
        let mut all = std::mem::take(&mut self.living.borrow_mut().recorded);
        all.push(newest);
        Ok(all)
    }

    /// The journals that no build before this one has to replay.
    async fn journals_of(&self, which: Runs) -> Result<Journals, Trouble> {
        let read = async || -> durable::Result<Vec<(RunId, Journal)>> {
            let disk = self.sim.process().disk().clone();
            let store = ReadOnly::on(Arc::new(disk), STORE).await?;
            let mut journals = Vec::new();
            for Description { run, status, .. } in store.all_runs().await? {
                if !self.is_recorded(run) && (which == Runs::All || status.is_closed()) {
                    journals.push((run, store.journal_of(run).await?));
                }
            }
            Ok(journals)
        };
        let journals = read().await.map_err(|error| Trouble::Said(format!("the store cannot be read: {error}")))?;
        Ok(Journals { registry: self.living.borrow().registry.clone(), journals })
    }

    fn is_recorded(&self, run: RunId) -> bool {
        self.living.borrow().recorded.iter().flat_map(|build| &build.journals).any(|(other, _)| *other == run)
    }
}

/// Which runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Runs {
    All,
    Ended,
}

/// What a play recorded, and the code that is to replay it.
pub(super) struct Journals {
    pub(super) registry: Registry,
    pub(super) journals: Vec<(RunId, Journal)>,
}

fn hopeless(attempt: &AttemptInfo, attempts: u32, outside: &Outside) -> Trouble {
    let (activity, id) = (attempt.activity.to_string(), attempt.workflow_id.to_string());
    let last = outside.last_error(attempt).unwrap_or_else(|| "its process died".to_owned());
    Trouble::Hopeless { activity, id, attempts, last }
}

fn words(attempt: &AttemptInfo) -> String {
    format!("`{}`: {}, attempt {},", attempt.workflow_id, attempt.activity, attempt.attempt.0)
}

fn ended(end: &AttemptEnd) -> String {
    match end {
        AttemptEnd::Completed(_) => "returns Ok".to_owned(),
        AttemptEnd::Failed { text, .. } => format!("returns an error: {text}"),
        AttemptEnd::Panicked(text) => format!("panics: {text}"),
    }
}

/// How long a process may be down.
pub(super) async fn pass(stage: &Rc<Stage>, span: Duration) {
    stage.sim.sleep(span).await;
    stage.sim.settle().await;
}
