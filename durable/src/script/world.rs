//! A world for scripts: the real kernel and the real runs in memory over a log of bytes that is kept in a vector, a clock
//! that is moved by hand, attempts that the script answers. It holds every effect to the ordering contract when it leaves,
//! and reads journals back only from their bytes. It polls nothing itself and has no rule of the engine.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use super::shown;
use crate::codec::names::Names;
use crate::codec::{hash, leb, section};
use crate::kernel::command::Inputs;
use crate::kernel::engine::{
    Answer, AttemptOrder, AttemptReport, Caller, Config, Effect, Ended, Kernel, Now, Numbers, Residence, Retry, Role,
    SEMANTICS, SendSignal, Start, Stop, WhenBlocked,
};
use crate::kernel::event::{Event, Group, Payload, RunStarted, Section, Sender, Text};
use crate::kernel::id::{Attempt, EventNo, Position, RunId, RunNo, Seq, Timestamp};
use crate::kernel::tables::{AttemptState, Tables, WaitingFor};
use crate::payload::PayloadCodec;
use crate::registry::Registry;
use crate::runtime::definitions::Definitions;
use crate::runtime::turns::Hot;
use crate::store::Journal;
use crate::store::log::RawJournal;
use crate::store::shelf::Rows;
use crate::workflow::call::StartCall;

/// When every script begins: 2026-01-01T00:00:00Z.
pub(super) const BEGIN: Timestamp = Timestamp(1_767_225_600_000_000);

/// A build of an application: what it registers, and the starts that a script can ask for by name.
#[derive(Clone)]
pub(super) struct Build {
    pub(super) id: &'static str,
    pub(super) definitions: Arc<Definitions>,
    pub(super) starts: BTreeMap<&'static str, fn() -> StartCall>,
}

impl Build {
    pub(super) fn new(id: &'static str, registry: Registry) -> Build {
        Build { id, definitions: Arc::new(Definitions::of(registry)), starts: BTreeMap::new() }
    }

    pub(super) fn start(mut self, name: &'static str, call: fn() -> StartCall) -> Build {
        self.starts.insert(name, call);
        self
    }
}

/// Whether the log is durable as soon as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syncs {
    AtOnce,
    ByHand,
}

/// Whether a journal that is wanted is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reads {
    AtOnce,
    ByHand,
}

pub(super) struct World {
    pub(super) attempts: usize,
    pub(super) residence: Residence,
    pub(super) syncs: Syncs,
    pub(super) reads: Reads,
    pub(super) log: Log,
    pub(super) told: String,
    pub(super) running: BTreeMap<(RunNo, Seq), AttemptOrder>,
    /// Every attempt that began: (activity, idempotency key, attempt).
    pub(super) begun: Vec<(Text, String, Attempt)>,
    pub(super) ends: BTreeMap<RunNo, (crate::kernel::event::End, Payload)>,
    process: Option<Process>,
    now: Now,
    callers: BTreeMap<Caller, Asked>,
    next_caller: u64,
    keys: Vec<String>,
}

struct Process {
    kernel: Kernel,
    hot: Hot,
    build: Build,
    /// How many groups stood in the log before this process.
    base: usize,
    loads: Vec<RunNo>,
}

/// What a caller waits for.
struct Asked {
    what: String,
    /// How many groups the log must keep when the answer leaves.
    needs: usize,
}

impl World {
    pub(super) fn new() -> World {
        World {
            attempts: 1000,
            residence: Residence::Stay,
            syncs: Syncs::AtOnce,
            reads: Reads::AtOnce,
            log: Log::default(),
            told: String::new(),
            running: BTreeMap::new(),
            begun: Vec::new(),
            ends: BTreeMap::new(),
            process: None,
            now: Now { wall: BEGIN, monotonic: Duration::ZERO },
            callers: BTreeMap::new(),
            next_caller: 0,
            keys: Vec::new(),
        }
    }

    pub(super) fn say(&mut self, line: &str) {
        for line in line.lines() {
            writeln!(self.told, "{line}").unwrap();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.process.is_some()
    }

    /// A process begins; what the log keeps is all that it knows.
    pub(super) fn open(&mut self, build: &Build) {
        assert!(self.process.is_none(), "one process at a time");
        let tables = self.log.reopen();
        let stop = self.log.stop();
        let config = Config {
            build: build.id.into(),
            pid: 1,
            host: "host".into(),
            attempts: self.attempts,
            numbers: Numbers::default(),
            role: Role::First,
            residence: self.residence,
            seed: 7,
        };
        let mut kernel = Kernel::open(config, tables, stop, self.now);
        if self.residence != Residence::Stay {
            kernel.put_up_on(Box::new(Rows::in_memory()));
        }
        let hot = Hot::new(Arc::clone(&build.definitions), PayloadCodec::MessagePack, build.id.into());
        self.process =
            Some(Process { kernel, hot, build: build.clone(), base: self.log.groups.len(), loads: Vec::new() });
        self.pump();
    }

    /// The process is killed: what is not durable is lost. Gives the build that it ran.
    pub(super) fn kill(&mut self) -> Build {
        let mut process = self.process.take().unwrap();
        process.hot.put_all_away();
        self.log.lose_tail();
        self.running.clear();
        self.callers.clear();
        process.build
    }

    /// All that a process has in memory goes as it stands. Gives how many runs that were, and how many are left.
    pub(super) fn drop_process(&mut self) -> (usize, usize) {
        let contexts = self.process.as_ref().unwrap().hot.contexts();
        self.process = None;
        let left = contexts.iter().filter(|context| context.strong_count() > 0);
        (contexts.len(), left.count())
    }

    /// The process shuts down gracefully.
    pub(super) fn close(&mut self) {
        self.with(|kernel, hot, now| kernel.handle_drain(now, hot));
        self.pump();
        self.with(|kernel, hot, now| kernel.handle_drain_deadline(now, hot));
        self.pump();
        let mut process = self.process.take().unwrap();
        process.hot.put_all_away();
        let closed = Section::of(RunNo(0), EventNo(0), self.now.wall, vec![Event::Closed]);
        self.log.append(&Group { sections: vec![closed] });
        self.log.durable = self.log.groups.len();
        self.running.clear();
        self.callers.clear();
    }

    /// Time passes, and nothing else.
    pub(super) fn advance(&mut self, span: Duration) {
        self.now.wall = self.now.wall.after(span);
        if self.process.is_some() {
            self.now.monotonic += span;
            self.pump();
        }
    }

    /// How long it is until something is due.
    pub(super) fn next_timer(&self) -> Option<Duration> {
        self.kernel().poll_timeout(self.now).map(|due| due.saturating_sub(self.now.monotonic))
    }

    /// Someone sets the wall clock back.
    pub(super) fn set_back(&mut self, span: Duration) {
        self.now.wall = Timestamp(self.now.wall.0 - i64::try_from(span.as_micros()).unwrap());
    }

    /// The wall clock is set forward, as after a machine's sleep.
    pub(super) fn set_forward(&mut self, span: Duration) {
        self.now.wall = self.now.wall.after(span);
        self.pump();
    }

    pub(super) fn start(&mut self, name: &str, id: &str) {
        let call = (self.build().starts.get(name).unwrap_or_else(|| panic!("no start `{name}`")))();
        self.start_call(&call, id);
    }

    pub(super) fn start_call(&mut self, call: &StartCall, id: &str) {
        let tables = self.kernel().tables();
        let open = tables.run_of(&Text::default(), &id.into()).and_then(|run| tables.open.get(&run));
        let tag = u8::try_from(self.log.groups.len() % 251).unwrap();
        let salt = open.map_or([3; 16], |entry| entry.salt);
        let (value, shape) = call.digests(&salt).unwrap();
        let started = RunStarted {
            run: RunId::new(self.now.wall, [tag; 16]),
            id: id.into(),
            workflow: call.name().clone(),
            version: call.version(),
            input: call.payload(PayloadCodec::MessagePack).unwrap(),
            value,
            shape,
            build: self.build().id.into(),
            semantics: SEMANTICS,
            deadline: call.timeout().map(|span| self.now.wall.after(span)),
            seed: [5; 16],
            salt,
            ..RunStarted::default()
        };
        let caller = self.caller(format!("start {id}"));
        self.with(|kernel, hot, now| kernel.handle_start(Start { caller, started, inputs: Inputs::Checked }, now, hot));
        self.asked(caller);
    }

    pub(super) fn signal(&mut self, id: &str, name: &str, payload: Payload, sender: Sender) {
        let run = self.run(id);
        let caller = self.caller(format!("signal {id} {name}"));
        let signal = SendSignal { caller, run, name: name.into(), payload, sender };
        self.with(|kernel, hot, now| kernel.handle_signal(signal, now, hot));
        self.asked(caller);
    }

    pub(super) fn cancel(&mut self, id: &str) {
        let run = self.run(id);
        let caller = self.caller(format!("cancel {id}"));
        self.with(|kernel, hot, now| kernel.handle_cancel(caller, run, "asked".into(), now, hot));
        self.asked(caller);
    }

    /// Whether a run of this id is open.
    pub(super) fn is_running(&self, id: &str) -> bool {
        self.kernel().tables().open.values().any(|entry| entry.id.as_str() == id)
    }

    pub(super) fn terminate(&mut self, id: &str) {
        let run = self.run(id);
        let caller = self.caller(format!("terminate {id}"));
        self.with(|kernel, hot, now| kernel.handle_terminate(caller, run, "asked".into(), now, hot));
        self.asked(caller);
    }

    pub(super) fn watch(&mut self, id: &str, blocked: WhenBlocked) {
        let run = self.run(id);
        let caller = self.caller(format!("watch {id}"));
        self.with(|kernel, _, _| kernel.handle_watch(caller, run, blocked));
        self.pump();
    }

    pub(super) fn retry_blocked(&mut self) {
        self.with(|kernel, hot, now| {
            kernel.handle_retry_blocked(None, now, hot);
        });
        self.pump();
    }

    /// The attempt of this activity that runs and has the lowest number, or the one that is named by `name#seq`, or `name@id`.
    pub(super) fn running(&self, name: &str) -> AttemptOrder {
        let (name, id) = name.split_once('@').map_or((name, None), |(name, id)| (name, Some(id)));
        let (name, seq) =
            name.split_once('#').map_or((name, None), |(name, seq)| (name, Some(Seq(seq.parse().unwrap()))));
        let fits = |order: &&AttemptOrder| {
            order.name.as_str() == name
                && seq.is_none_or(|seq| order.seq == seq)
                && id.is_none_or(|id| order.id.as_str() == id)
        };
        let found = self.running.values().find(fits);
        found.unwrap_or_else(|| panic!("no attempt of `{name}` runs; told so far:\n{}", self.told)).clone()
    }

    pub(super) fn report(&mut self, order: &AttemptOrder, report: AttemptReport) {
        self.running.remove(&(order.run, order.seq));
        let (run, seq, attempt) = (order.run, order.seq, order.attempt);
        self.with(|kernel, hot, now| kernel.handle_attempt(run, seq, attempt, report, now, hot));
        self.pump();
    }

    /// Several attempts report together.
    pub(super) fn report_all(&mut self, reports: Vec<(AttemptOrder, AttemptReport)>) {
        for (order, _) in &reports {
            self.running.remove(&(order.run, order.seq));
        }
        let ended = |now| {
            let ended = reports.into_iter().map(move |(order, report)| {
                let AttemptOrder { run, seq, attempt, .. } = order;
                Ended { run, seq, attempt, report, now }
            });
            ended.collect::<Vec<_>>()
        };
        self.with(|kernel, hot, now| kernel.handle_attempts(ended(now), hot));
        self.pump();
    }

    /// The attempt before this one reports now.
    pub(super) fn report_late(&mut self, order: &AttemptOrder, report: AttemptReport) {
        let (run, seq, attempt) = (order.run, order.seq, Attempt(order.attempt.0 - 1));
        self.with(|kernel, hot, now| kernel.handle_attempt(run, seq, attempt, report, now, hot));
        self.pump();
    }

    pub(super) fn run(&self, id: &str) -> RunNo {
        let known = self.kernel().tables().run_of(&Text::default(), &id.into());
        known.unwrap_or(RunNo(u64::MAX))
    }

    /// Makes the log durable: all of it, or so many groups more.
    pub(super) fn sync(&mut self, groups: Option<usize>) {
        let all = self.log.groups.len();
        self.log.durable = groups.map_or(all, |more| (self.log.durable + more).min(all));
        self.pump();
    }

    /// Reads the journals that are wanted.
    pub(super) fn read(&mut self) {
        for run in std::mem::take(&mut self.process.as_mut().unwrap().loads) {
            self.load(run);
        }
        self.pump();
    }

    pub(super) fn kernel(&self) -> &Kernel {
        &self.process.as_ref().unwrap().kernel
    }

    fn build(&self) -> &Build {
        &self.process.as_ref().unwrap().build
    }

    fn caller(&mut self, what: String) -> Caller {
        self.next_caller += 1;
        let caller = Caller(self.next_caller);
        self.callers.insert(caller, Asked { what, needs: 0 });
        caller
    }

    /// The fact was handed over: its answer may leave when everything up to here is durable.
    fn asked(&mut self, caller: Caller) {
        let base = self.process.as_ref().unwrap().base;
        let needs = base + usize::try_from(self.kernel().sealed().0).unwrap();
        self.callers.get_mut(&caller).unwrap().needs = needs;
        self.pump();
    }

    fn with(&mut self, f: impl FnOnce(&mut Kernel, &mut Hot, Now)) {
        let Process { kernel, hot, .. } = self.process.as_mut().unwrap();
        f(kernel, hot, self.now);
    }

    /// Whether there is a closure for a call of a run.
    pub(super) fn has_step(&self, run: RunNo, seq: Seq) -> bool {
        self.process.as_ref().unwrap().hot.step(run, seq).is_some()
    }

    /// Carries groups to the log and effects to the world until both have everything.
    pub(super) fn pump(&mut self) {
        loop {
            self.with(|kernel, hot, now| kernel.handle_timeout(now, hot));
            let moved = self.feed_log() | self.feed_reads() | self.feed_world();
            while let Some((_, warning)) = self.process.as_mut().unwrap().kernel.poll_warning() {
                let first = warning.as_str().lines().next().unwrap_or_default().to_owned();
                self.say(&format!("  ! {}", shown::steady(&first)));
            }
            if !moved {
                return;
            }
        }
    }

    fn feed_log(&mut self) -> bool {
        let mut moved = false;
        while let Some(group) = self.process.as_mut().unwrap().kernel.poll_group() {
            moved = true;
            for section in &group.sections {
                let id = self.id_of(section);
                for (event, no) in section.events.iter().zip(section.first.0..) {
                    let line = shown::event(event, BEGIN);
                    if !line.is_empty() {
                        self.say(&format!("  {id}.{no} {line}"));
                    }
                    if let Event::RunEnded(ended) = event {
                        self.ends.insert(section.run, (ended.body, ended.result.clone()));
                    }
                }
            }
            self.log.append(&group);
        }
        if self.syncs == Syncs::AtOnce {
            self.log.durable = self.log.groups.len();
        }
        moved
    }

    fn id_of(&mut self, section: &Section) -> Text {
        if let Some(Event::RunStarted(started)) = section.events.first() {
            self.log.ids.insert(section.run, started.id.clone());
        }
        self.log.ids.get(&section.run).cloned().unwrap_or_default()
    }

    fn feed_reads(&mut self) -> bool {
        let Process { kernel, loads, .. } = self.process.as_mut().unwrap();
        let mut wanted = Vec::new();
        while let Some(run) = kernel.poll_load() {
            wanted.push(run);
        }
        if self.reads == Reads::ByHand {
            loads.extend(wanted);
            return false;
        }
        let moved = !wanted.is_empty();
        wanted.into_iter().for_each(|run| self.load(run));
        moved
    }

    fn load(&mut self, run: RunNo) {
        let id = self.log.ids.get(&run).cloned().unwrap_or_default();
        self.say(&format!("  {id} is loaded"));
        let journal = self.log.journal(run);
        self.with(|kernel, hot, now| {
            let raw = RawJournal::of(run, &journal);
            let loaded = hot.replay(run, raw.into(), Some(kernel.awaited(run)));
            kernel.handle_loaded(run, loaded, now, hot);
        });
    }

    fn feed_world(&mut self) -> bool {
        let Process { kernel, base, .. } = self.process.as_mut().unwrap();
        let durable = self.log.durable.saturating_sub(*base);
        kernel.handle_durable(Position(u64::try_from(durable).unwrap()));
        let Some(effect) = kernel.poll_effect(self.now) else { return false };
        match effect {
            Effect::StartAttempt(order) => self.begin(order),
            Effect::AskAttempt { run, seq } => {
                // It may have ended while the log lagged.
                if let Some(order) = self.running.get(&(run, seq)) {
                    let asked = format!("< ask {} of {} to stop", order.name, order.id);
                    self.say(&asked);
                }
            }
            Effect::StopAttempt { run, seq, .. } => {
                if let Some(order) = self.running.remove(&(run, seq)) {
                    self.say(&format!("< stop {} of {}", order.name, order.id));
                }
            }
            Effect::Answer(caller, answer) => self.answer(caller, &answer),
        }
        true
    }

    fn begin(&mut self, order: AttemptOrder) {
        self.assert_allowed(&order);
        let key = hash::idempotency_key(order.run_id, order.name.as_str(), order.recorded_value, order.ordinal);
        let alias = match self.keys.iter().position(|known| *known == key) {
            Some(place) => place,
            None => {
                self.keys.push(key.clone());
                self.keys.len() - 1
            }
        };
        let input = crate::payload::to_json(&order.input);
        let AttemptOrder { id, seq, attempt, name, .. } = &order;
        self.say(&format!("< begin {name}{input} of {id}, seq {seq}, attempt {attempt}, key {}", alias + 1));
        self.begun.push((name.clone(), key, *attempt));
        self.running.insert((order.run, order.seq), order);
    }

    /// What allows an attempt is durable when its order leaves, and the run can be polled and has seen everything.
    fn assert_allowed(&mut self, order: &AttemptOrder) {
        assert!(
            self.log.durable > self.process.as_ref().unwrap().base,
            "`Opened` is durable before any attempt begins"
        );
        let durable = self.log.durable_tables();
        let entry = durable.open.get(&order.run).expect("the run of an attempt that begins is durable");
        let waiting = entry.waits(order.seq).expect("a call whose attempt begins is durable");
        let WaitingFor::Activity { call, state } = &waiting.what else { panic!("an attempt of {waiting:?}") };
        match state {
            AttemptState::Scheduled => assert!(order.attempt == Attempt(1) && !call.binding.at_most_once, "{order:?}"),
            AttemptState::Started(attempt) => assert_eq!(*attempt, order.attempt, "{order:?}"),
            AttemptState::Failed(_) | AttemptState::Parked(_) => panic!("{state:?} allows no attempt: {order:?}"),
        }
        let entry = self.kernel().tables().open.get(&order.run).unwrap();
        assert!(entry.rare.blocked.is_none(), "no attempt begins while its run is blocked: {order:?}");
        assert!(entry.unturned.is_empty(), "no attempt begins while its run has an event to see: {order:?}");
        assert!(self.running.len() < self.attempts, "more attempts in flight than {}:\n{}", self.attempts, self.told);
    }

    fn answer(&mut self, caller: Caller, answer: &Answer) {
        let asked = self.callers.remove(&caller).expect("one answer for each caller");
        assert!(self.log.durable >= asked.needs, "`{}` is answered before it is durable", asked.what);
        let is_open = |tables: &Tables, of: &str| tables.open.values().any(|entry| of == format!("watch {}", entry.id));
        let line = match answer {
            Answer::Started { run, .. } => {
                assert!(self.log.is_durable(*run), "a start is on disk when it is answered");
                "started".to_owned()
            }
            Answer::Attached { reshaped, .. } => if *reshaped { "attached, reshaped" } else { "attached" }.to_owned(),
            Answer::Conflict(entry) => format!("conflict with `{}`", entry.kind.workflow),
            Answer::Done => "done".to_owned(),
            Answer::NotOpen => "not open".to_owned(),
            Answer::Full => "full".to_owned(),
            Answer::Ended(ended) => {
                assert!(!is_open(self.log.durable_tables(), &asked.what), "an end is on disk when it is told");
                format!("{:?} {}", ended.how, shown::value(&ended.result))
            }
            Answer::Blocked(_) => "blocked".to_owned(),
            Answer::Described(..) | Answer::Listed(_) | Answer::Retried(_) => "described".to_owned(),
        };
        self.say(&format!("< {}: {line}", asked.what));
    }
}

/// An error that an attempt returned, as it would be recorded for an activity that returns a text.
pub(super) fn failed(text: &str, retry: Retry) -> AttemptReport {
    let error = crate::payload::encode(PayloadCodec::MessagePack, &crate::Failure::new(text)).unwrap();
    AttemptReport::Failed { error, text: text.into(), retry }
}

/// The log: groups as bytes, and how many of them a power cut leaves. Whatever is asked of it comes from the bytes.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) groups: Vec<Vec<u8>>,
    pub(super) durable: usize,
    pub(super) ids: BTreeMap<RunNo, Text>,
    names: BTreeMap<RunNo, Names>,
    read: Read,
}

/// What was read of the groups so far.
#[derive(Debug, Default)]
struct Read {
    groups: Vec<Vec<Section>>,
    names: BTreeMap<RunNo, Names>,
    /// The tables of the first `folded` groups.
    tables: Tables,
    folded: usize,
}

impl Log {
    pub(super) fn append(&mut self, group: &Group) {
        let at = group.sections[0].at;
        let mut bytes = Vec::new();
        leb::put_signed(at.0, &mut bytes);
        for part in &group.sections {
            section::encode(part, None, at, self.names.entry(part.run).or_default(), &mut bytes);
        }
        self.read.groups.push(decode(&bytes, &mut self.read.names));
        let mut sections = group.sections.clone();
        for section in &mut sections {
            // It is told to the log, and not written.
            let whose = section.ended.take().map(|whose| whose.id);
            let ends = matches!(section.events.last(), Some(Event::RunEnded(_)));
            assert_eq!(whose.as_ref(), ends.then(|| &self.ids[&section.run]), "whose run it was that ended");
        }
        assert_eq!(self.read.groups.last(), Some(&sections), "what is read is what was written");
        self.groups.push(bytes);
    }

    pub(super) fn journal(&self, run: RunNo) -> Journal {
        let sections = self.read.groups.iter().flatten().filter(|section| section.run == run);
        let numbered = |section: &Section| {
            let (at, numbers) = (section.at, (section.first.0..).map(EventNo));
            numbers.zip(section.events.clone()).map(move |(no, event)| (no, at, event)).collect::<Vec<_>>()
        };
        sections.flat_map(numbered).collect()
    }

    /// What the log says as far as it is durable.
    fn durable_tables(&mut self) -> &Tables {
        let Read { groups, tables, folded, .. } = &mut self.read;
        for section in groups.iter().take(self.durable).skip(*folded).flatten() {
            for (no, event) in (section.first.0..).map(EventNo).zip(&section.events) {
                tables.apply(section.run, no, section.at, event).expect("a journal has no gap");
            }
        }
        *folded = (*folded).max(self.durable);
        tables
    }

    fn is_durable(&self, run: RunNo) -> bool {
        self.read.groups.iter().take(self.durable).flatten().any(|section| section.run == run)
    }

    fn stop(&self) -> Stop {
        match self.read.groups.last().and_then(|sections| sections.last()?.events.last()) {
            None | Some(Event::Closed) => Stop::Clean,
            Some(_) => Stop::Unclean,
        }
    }

    fn lose_tail(&mut self) {
        self.groups.truncate(self.durable);
    }

    /// What a new process knows: the tables, and the names that each run has written.
    fn reopen(&mut self) -> Tables {
        self.durable = self.groups.len();
        self.read = Read::default();
        for bytes in &self.groups {
            self.read.groups.push(decode(bytes, &mut self.read.names));
        }
        self.names = self.read.names.clone();
        self.ids.retain(|run, _| self.read.names.contains_key(run));
        self.durable_tables().clone()
    }
}

fn decode(mut bytes: &[u8], names: &mut BTreeMap<RunNo, Names>) -> Vec<Section> {
    let at = Timestamp(leb::take_signed(&mut bytes).unwrap());
    let mut sections = Vec::new();
    while !bytes.is_empty() {
        let head = section::Head::decode(&mut bytes, at).unwrap();
        let events = head.events(&mut bytes, names.entry(head.run).or_default()).unwrap();
        let events = events.into_iter().map(|(_, event)| event).collect();
        sections.push(Section::of(head.run, head.first, head.at, events));
    }
    sections
}
