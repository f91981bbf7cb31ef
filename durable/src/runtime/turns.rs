//! Runs in memory: this is where workflow code is polled. It turns a delivered event into polls and the polls into a turn, live
//! and at replay, and decides nothing: what is granted and what fits is the machine's, what follows from it the kernel's.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Display;
use std::future::Future;
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Wake, Waker};

use futures::stream::{FuturesUnordered, Stream};
use tracing::Span;

use super::definitions::Definitions;
use super::silence::silently;
use crate::error::panic_text;
use crate::kernel::alike::Alike;
use crate::kernel::command::Place;
use crate::kernel::engine::{Abreast, LoadFailure, Replayed, TurnEnd, Turns};
use crate::kernel::event::{End, Entry, Event, Payload, RunStarted, Text};
use crate::kernel::fault::Fault;
use crate::kernel::few::Few;
use crate::kernel::id::{EventNo, RunNo, Seq, Timestamp};
use crate::kernel::machine::{Issued, MAX_POLLS, Machine, Polled, RecordedTurn, Stands, TurnDone};
use crate::kernel::scope::BODY;
use crate::kernel::short::Short;
use crate::kernel::trace::TraceContext;
use crate::payload::PayloadCodec;
use crate::store::log::{JournalEvent, RawJournal};
use crate::store::{Held, Journal, Recorded};
use crate::workflow::context::{BranchFuture, Granted, RunContext, StepFn, Steps, Surroundings, Taken, TurnLeft};
use crate::workflow::definition::{BodyEnd, BodyFuture};
use crate::workflow::undo::undo;

/// All runs in memory.
pub(crate) struct Hot {
    /// Each by itself: its place in the map is small, and may be empty. Each turn looks for its run here, and nothing needs their order.
    runs: HashMap<RunNo, Box<HotRun>, BuildHasherDefault<RunHasher>>,
    turning: Turning,
    /// Runs that are polled together.
    abreast: Vec<Half>,
    definitions: Arc<Definitions>,
    around: Arc<Surroundings>,
    build: Text,
    /// What was met lately that many runs have in common.
    polled: Alike<Polled>,
}

/// A replay, as far as it has come.
#[derive(Default)]
struct Retracing {
    /// Events that were decoded and not taken in yet.
    ahead: VecDeque<JournalEvent>,
    waiting: Unturned,
    asked: Few<Seq, Issued>,
    replayed: Replayed,
}

/// What turns take and leave beside their runs.
#[derive(Default)]
struct Turning {
    /// The closures of steps.
    steps: BTreeMap<RunNo, BTreeMap<Seq, StepFn>>,
    /// Room for turns: as many as were taken at once.
    rooms: Vec<TurnDone>,
    /// Room for the closures of their new steps, likewise.
    step_rooms: Vec<Steps>,
}

/// Room for so many new steps of a turn is kept.
const STEPS_ROOM_MAX: usize = 64;

/// So many events of a journal are decoded before they are replayed, so that the code of either part stays in the processor's cache.
const DECODED_AT_ONCE: usize = 32;

/// What follows an event has to be known when it is taken in: its turn, and how the body ended in that.
const BEHIND: usize = 2;

type Branches = FuturesUnordered<BranchFuture>;

/// Spreads the numbers of runs. They follow each other and nobody chooses them, so that no secret is needed.
#[derive(Default)]
struct RunHasher(u64);

impl Hasher for RunHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("because a run's number is one number")
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

struct HotRun {
    context: Arc<RunContext>,
    body: Option<BodyFuture>,
    /// None until there is some of it.
    beside: Option<Box<Beside>>,
    span: Span,
}

/// What few runs have beside their body.
#[derive(Default)]
struct Beside {
    branches: Option<Box<Branches>>,
    /// What undoes the scopes. No cancel drops it.
    undoers: Option<Box<Branches>>,
    /// How the body ended, while what it did is being undone.
    ending: Option<(End, Payload)>,
}

/// Why a turn is driven: it decides whether the run is polled before anything is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Start,
    Outcome,
    /// An outcome that something undoing may have waited for.
    Settled,
    Cut,
}

/// Delivered events that have no turn yet, at replay. Their turns come in their order, but for a few.
pub(super) type Unturned = VecDeque<JournalEvent>;

/// What became of an event of a journal at its replay.
pub(super) enum Retraced {
    /// A turn was polled again; with it the body's end, if the run ended there.
    Turn(TurnDone, Option<(End, Payload)>),
    /// It waits for its turn; with it the command that it answers.
    Delivered(Option<Seq>),
    /// It causes no poll.
    Other,
}

/// How a turn's polls ended.
enum Driven {
    Quiet,
    Ended(End, Payload),
}

/// How far a run is that is polled together with others.
enum Half {
    /// It is not in memory.
    Gone,
    /// It knows its event.
    Begun(Cause),
    /// It was polled and waits.
    Quiet,
    /// It was polled, and does not wait.
    Driven(Box<Result<Driven, Fault>>),
}

impl Turns for Hot {
    fn turn(&mut self, run: RunNo, no: EventNo, at: Timestamp, event: &Event) -> TurnEnd {
        if let Event::RunStarted(started) = event
            && let Err(failure) = self.make(run, started)
        {
            return failure.into();
        }
        self.turning.forget_answered(run, event);
        let Some(hot) = self.runs.get_mut(&run) else { return not_in_memory() };
        let cause = self.turning.begin_turn(hot, (no, at, event), None);
        let driven = hot.drive(cause);
        self.turning.end_turn(run, hot, driven)
    }

    /// Step by step for all of them, so that the code of a step stays in the processor's cache.
    fn turn_all(&mut self, abreast: &mut [Abreast]) {
        let mut halves = std::mem::take(&mut self.abreast);
        halves.extend(abreast.iter().map(|one| {
            let Some(event) = one.event() else { return Half::Gone };
            self.turning.forget_answered(one.run, event);
            let Some(hot) = self.runs.get(&one.run) else { return Half::Gone };
            Half::Begun(self.turning.begin_turn(hot, (one.no, one.now.wall, event), None))
        }));
        for (one, half) in abreast.iter().zip(&mut halves) {
            if let Half::Begun(cause) = *half {
                *half = match self.runs.get_mut(&one.run).map(|hot| hot.drive(cause)) {
                    Some(Ok(Driven::Quiet)) => Half::Quiet,
                    Some(driven) => Half::Driven(Box::new(driven)),
                    None => Half::Gone,
                };
            }
        }
        for (one, half) in abreast.iter_mut().zip(halves.drain(..)) {
            let driven = match half {
                Half::Gone | Half::Begun(_) => None,
                Half::Quiet => Some(Ok(Driven::Quiet)),
                Half::Driven(driven) => Some(*driven),
            };
            one.end = Some(match (driven, self.runs.get_mut(&one.run)) {
                (Some(driven), Some(hot)) => self.turning.end_turn(one.run, hot, driven),
                (_, _) => not_in_memory(),
            });
        }
        self.abreast = halves;
    }

    fn take_room(&mut self, room: TurnDone) {
        self.turning.take_room(room);
    }

    fn put_away(&mut self, run: RunNo) {
        if let Some(run) = self.runs.remove(&run) {
            run.drop_inertly();
        }
    }

    fn ended(&mut self, run: RunNo) {
        self.put_away(run);
        self.turning.steps.remove(&run).into_iter().flatten().for_each(drop_caught);
    }
}

/// Also where it is given up in the middle of something: what a run waits with may hold the run.
impl Drop for Hot {
    fn drop(&mut self) {
        self.put_all_away();
    }
}

impl Hot {
    pub(crate) fn new(definitions: Arc<Definitions>, codec: PayloadCodec, build: Text) -> Hot {
        let known = Arc::clone(&definitions);
        let around = Surroundings { check: Box::new(move |what| known.check(what)), codec };
        Hot {
            runs: HashMap::default(),
            turning: Turning::default(),
            abreast: Vec::new(),
            definitions,
            around: Arc::new(around),
            build,
            polled: Alike::default(),
        }
    }

    /// The closure of a step that has an attempt to make.
    pub(crate) fn step(&self, run: RunNo, seq: Seq) -> Option<StepFn> {
        self.turning.steps.get(&run)?.get(&seq).cloned()
    }

    /// Replays a journal: every recorded turn is polled again and has to ask for what it asked for then. `wanted` are the commands whose inputs
    /// somebody may ask for: those that the run waits for; none says that all are.
    pub(crate) fn replay(
        &mut self,
        run: RunNo,
        recorded: Recorded,
        wanted: Option<Vec<Seq>>,
    ) -> Result<Replayed, LoadFailure> {
        let raw = match recorded.0 {
            Held::Decoded(journal) => return self.replay_decoded(run, journal, wanted),
            Held::Raw(raw) => raw,
        };
        let refused = match self.replay_raw(run, &raw, wanted.clone()) {
            Ok(replayed) => return Ok(replayed),
            Err(refused) => refused,
        };
        let journal = raw.decode().map_err(unread)?;
        let by_this_build = journal.iter().all(|(_, _, event)| match event {
            Event::RunStarted(started) => started.build == self.build,
            event => !matches!(event, Event::BuildChanged { .. }),
        });
        match self.replay_decoded(run, journal, wanted) {
            // This was for the words alone: code that does something else each time it is replayed has no second try.
            Ok(_) if by_this_build => {
                self.ended(run);
                Err(refused)
            }
            again => again,
        }
    }

    /// Replays a journal of which all is at hand, as a mismatch and a change of builds want it.
    fn replay_decoded(
        &mut self,
        run: RunNo,
        journal: Journal,
        wanted: Option<Vec<Seq>>,
    ) -> Result<Replayed, LoadFailure> {
        let span = match journal.first() {
            Some((_, _, Event::RunStarted(started))) => run_span(started),
            _ => Span::none(),
        };
        self.replay_as(run, span, |hot| {
            hot.begin_replay(run, &journal)?;
            hot.retrace_all(run, wanted, journal.into_iter().map(Ok), |_| true)
        })
    }

    /// Replays a journal event by event, as long as nothing is wrong: of a mismatch, and where builds differ, all of it is to be known.
    fn replay_raw(
        &mut self,
        run: RunNo,
        journal: &RawJournal,
        wanted: Option<Vec<Seq>>,
    ) -> Result<Replayed, LoadFailure> {
        let first = journal.events().next().ok_or_else(at_hand)?.map_err(unread)?;
        let (_, _, Event::RunStarted(started)) = first else { return Err(at_hand()) };
        if started.build != self.build {
            return Err(at_hand());
        }
        let events = journal.events().map(|event| event.map_err(unread));
        self.replay_as(run, run_span(&started), |hot| {
            hot.make(run, &started)?;
            hot.retrace_all(run, wanted, events, |event| !matches!(event, Event::BuildChanged { .. }))
        })
    }

    /// Replays a run, silently. The turns that follow are not silent: `span`, which was made where it is heard, is theirs.
    fn replay_as(
        &mut self,
        run: RunNo,
        span: Span,
        replay: impl FnOnce(&mut Hot) -> Result<Replayed, LoadFailure>,
    ) -> Result<Replayed, LoadFailure> {
        let replayed = silently(|| replay(self));
        match (&replayed, self.runs.get_mut(&run)) {
            (Ok(_), Some(hot)) => hot.span = span,
            // With the closures that it made: they are of calls that it was refused, or that the next replay makes anew.
            _ => self.ended(run),
        }
        replayed
    }

    /// Takes every run out of memory.
    pub(crate) fn put_all_away(&mut self) {
        // In an order that is the same in every process.
        let runs: BTreeSet<RunNo> = self.runs.keys().copied().collect();
        runs.into_iter().for_each(|run| self.put_away(run));
    }

    /// Takes all events of a journal in, as long as they are among those that the caller takes.
    fn retrace_all(
        &mut self,
        run: RunNo,
        wanted: Option<Vec<Seq>>,
        mut journal: impl Iterator<Item = Result<JournalEvent, LoadFailure>>,
        takes: impl Fn(&Event) -> bool,
    ) -> Result<Replayed, LoadFailure> {
        let Hot { runs, turning, .. } = self;
        let Some(hot) = runs.get_mut(&run) else { return Err(LoadFailure::Outside(NOT_IN_MEMORY.into())) };
        hot.context.machine(|machine| machine.want_inputs(wanted));
        let mut retracing = Retracing::default();
        loop {
            for event in journal.by_ref().take(DECODED_AT_ONCE) {
                let event = event?;
                if !takes(&event.2) {
                    return Err(at_hand());
                }
                retracing.ahead.push_back(event);
            }
            if retracing.ahead.len() <= BEHIND {
                break;
            }
            retracing.go_on(turning, run, hot, BEHIND)?;
        }
        retracing.finish(turning, run, hot)
    }

    /// Makes the run that a journal is of, and tells it what the journal holds.
    pub(super) fn begin_replay(&mut self, run: RunNo, journal: &[JournalEvent]) -> Result<(), LoadFailure> {
        let Some((_, _, Event::RunStarted(started))) = journal.first() else {
            return Err(LoadFailure::Outside("its journal does not begin with its start; report this [E0209]".into()));
        };
        self.make(run, started)?;
        self.machine(run, |machine| machine.remember(journal.iter().map(|(_, _, event)| event)));
        Ok(())
    }

    /// Takes one event of a journal in; `next` is the one behind it. A recorded turn is polled again and has to ask for what it
    /// asked for then.
    pub(super) fn retrace(
        &mut self,
        run: RunNo,
        event: JournalEvent,
        next: Option<&Event>,
        waiting: &mut Unturned,
    ) -> Result<Retraced, LoadFailure> {
        let Hot { runs, turning, .. } = self;
        let Some(hot) = runs.get_mut(&run) else { return Err(LoadFailure::Outside(NOT_IN_MEMORY.into())) };
        turning.retrace(run, hot, event, next, waiting)
    }

    /// The code ended the run in a turn behind which the journal goes on.
    pub(super) fn ends_early(&self, run: RunNo, of: EventNo, how: End) -> LoadFailure {
        self.runs.get(&run).map_or(LoadFailure::Outside(NOT_IN_MEMORY.into()), |hot| hot.ends_early(of, how))
    }

    /// Where the durable call of a run was built that was polled last.
    pub(super) fn polled_last(&self, run: RunNo) -> Option<Place> {
        self.runs.get(&run).and_then(|hot| hot.polled_last())
    }

    /// Tells a run's machine something.
    pub(super) fn machine(&self, run: RunNo, f: impl FnOnce(&mut Machine)) {
        if let Some(run) = self.runs.get(&run) {
            run.context.machine(f);
        }
    }

    /// Makes a run as it is before its first event.
    fn make(&mut self, run: RunNo, started: &RunStarted) -> Result<(), LoadFailure> {
        let Some(entry) = self.definitions.workflow(started.workflow.as_str(), started.version) else {
            return Err(LoadFailure::Outside(missing_workflow(&self.definitions, started)));
        };
        let body = catch_unwind(AssertUnwindSafe(|| entry.body(&started.input, self.around.codec)))
            .unwrap_or_else(|panic| Err(format!("reading the recorded input panicked: {}", panic_text(panic.as_ref()))))
            .map_err(|reason| LoadFailure::Fault(Fault::Undecodable(reason.into()).to_string().into()))?;
        let (workflow, build) = (&started.workflow, &self.build);
        let polled = self.polled.find(
            |polled| polled.workflow == *workflow,
            || Polled { workflow: workflow.clone(), build: build.clone() },
        );
        let context = RunContext::new(Machine::of(started, polled), Arc::clone(&self.around));
        let hot = HotRun { context, body: Some(body), beside: None, span: run_span(started) };
        self.runs.insert(run, Box::new(hot));
        Ok(())
    }
}

impl Retracing {
    /// Takes events in until so few are ahead.
    fn go_on(&mut self, turning: &mut Turning, run: RunNo, hot: &mut HotRun, keeps: usize) -> Result<(), LoadFailure> {
        while self.ahead.len() > keeps
            && let Some((no, at, event)) = self.ahead.pop_front()
        {
            self.replayed.next = no.next();
            // As a rule an event's turn comes next.
            let turn = if event.is_delivered() { self.turn_of(no) } else { None };
            let next = self.ahead.front().map(|(_, _, next)| next);
            let retraced = match turn {
                Some((turn_no, entries)) => {
                    self.replayed.next = turn_no.next();
                    event.answers().into_iter().for_each(|seq| drop(self.asked.remove(seq)));
                    turning.forget_answered(run, &event);
                    let recorded = RecordedTurn { entries, end: next.and_then(body_end) };
                    turning.retrace_turn(run, hot, (no, at, &event), recorded)?
                }
                None => turning.retrace(run, hot, (no, at, event), next, &mut self.waiting)?,
            };
            match retraced {
                Retraced::Turn(mut done, None) => {
                    for issued in std::mem::take(&mut done.asked) {
                        self.asked.insert(issued.seq, issued);
                    }
                    self.replayed.warnings.extend(std::mem::take(&mut done.warnings));
                    turning.take_room(done);
                }
                Retraced::Turn(done, Some((how, _))) => return Err(hot.ends_early(done.of, how)),
                Retraced::Delivered(Some(seq)) => drop(self.asked.remove(seq)),
                Retraced::Delivered(None) | Retraced::Other => {}
            }
        }
        Ok(())
    }

    /// Takes the event that comes next, if it is the turn of this one: its number, and what was asked for in it.
    fn turn_of(&mut self, no: EventNo) -> Option<(EventNo, Short<Entry>)> {
        match self.ahead.front_mut() {
            Some((turn_no, _, Event::Turn { of, entries })) if *of == no => {
                let turn = (*turn_no, std::mem::take(entries));
                self.ahead.pop_front();
                Some(turn)
            }
            _ => None,
        }
    }

    /// Takes in what is left: there are no more events.
    fn finish(mut self, turning: &mut Turning, run: RunNo, hot: &mut HotRun) -> Result<Replayed, LoadFailure> {
        self.go_on(turning, run, hot, 0)?;
        hot.context.machine(Machine::forget);
        Ok(Replayed { asked: self.asked.into_values(), unturned: self.waiting.into(), ..self.replayed })
    }
}

impl Turning {
    fn retrace(
        &mut self,
        run: RunNo,
        hot: &mut HotRun,
        (no, at, event): JournalEvent,
        next: Option<&Event>,
        waiting: &mut Unturned,
    ) -> Result<Retraced, LoadFailure> {
        match event {
            Event::BuildChanged { build } => hot.context.machine(|machine| machine.built_by(&build)),
            Event::Turn { of, entries } => {
                let place = waiting.binary_search_by_key(&of, |(no, _, _)| *no);
                let Some((_, at, event)) = place.ok().and_then(|place| waiting.remove(place)) else {
                    return Err(LoadFailure::Outside(
                        format!("its turn of event {of} has no such event; report this [E0209]").into(),
                    ));
                };
                let recorded = RecordedTurn { entries, end: next.and_then(body_end) };
                return self.retrace_turn(run, hot, (of, at, &event), recorded);
            }
            event if event.is_delivered() => {
                let seq = event.answers();
                self.forget_answered(run, &event);
                waiting.push_back((no, at, event));
                return Ok(Retraced::Delivered(seq));
            }
            _ => {}
        }
        Ok(Retraced::Other)
    }

    fn retrace_turn(
        &mut self,
        run: RunNo,
        hot: &mut HotRun,
        (no, at, event): (EventNo, Timestamp, &Event),
        recorded: RecordedTurn,
    ) -> Result<Retraced, LoadFailure> {
        let cause = self.begin_turn(hot, (no, at, event), Some(recorded));
        let driven = hot.drive(cause);
        match self.end_turn(run, hot, driven) {
            TurnEnd::Quiet(done) => Ok(Retraced::Turn(done, None)),
            TurnEnd::Ended(done, how, result) => Ok(Retraced::Turn(done, Some((how, result)))),
            TurnEnd::Blocked(reason) => Err(LoadFailure::Fault(reason)),
            TurnEnd::Stuck(reason) => Err(LoadFailure::Outside(reason)),
        }
    }

    /// Tells a run of an event.
    fn begin_turn(
        &mut self,
        hot: &HotRun,
        (no, at, event): (EventNo, Timestamp, &Event),
        expected: Option<RecordedTurn>,
    ) -> Cause {
        let (room, steps) = (self.rooms.pop().unwrap_or_default(), self.step_rooms.pop().unwrap_or_default());
        hot.context.begin_turn(steps, |machine| {
            machine.deliver(no, at, event, expected, room);
            cause(event, machine)
        })
    }

    /// Takes what came of it.
    fn end_turn(&mut self, run: RunNo, hot: &mut HotRun, driven: Result<Driven, Fault>) -> TurnEnd {
        let (mut steps, end) = hot.end_turn(driven);
        if !steps.is_empty() {
            match end {
                TurnEnd::Quiet(_) | TurnEnd::Ended(..) => {
                    self.steps.entry(run).or_default().extend(steps.drain(..));
                }
                // Some of them are of calls that the run was refused.
                TurnEnd::Blocked(_) | TurnEnd::Stuck(_) => steps.drain(..).for_each(drop_caught),
            }
            steps.shrink_to(STEPS_ROOM_MAX);
        }
        self.step_rooms.push(steps);
        if let TurnEnd::Quiet(done) = &end {
            self.forget_dropped(run, done);
        }
        end
    }

    fn take_room(&mut self, mut room: TurnDone) {
        // What never took any has none to give.
        if let Some(turn) = room.written() {
            turn.clear();
            self.rooms.push(room);
        }
    }

    /// A step that the journal has answered, or that the code has dropped, begins no attempt any more: its closure is not needed. A
    /// report alone says nothing: it may come from an attempt that was given up, and the next one needs the closure.
    fn forget_step(&mut self, run: RunNo, seq: Seq) {
        if let Some(step) = self.steps.get_mut(&run).and_then(|steps| steps.remove(&seq)) {
            drop_caught(step);
        }
    }

    fn forget_answered(&mut self, run: RunNo, event: &Event) {
        event.answers().into_iter().for_each(|seq| self.forget_step(run, seq));
    }

    fn forget_dropped(&mut self, run: RunNo, done: &TurnDone) {
        for entry in &done.entries {
            if let Entry::CommandDropped { seq } = entry {
                self.forget_step(run, *seq);
            }
        }
    }
}

const NOT_IN_MEMORY: &str = "it is to be polled and not in memory; report this [E0209]";

fn not_in_memory() -> TurnEnd {
    TurnEnd::Stuck(NOT_IN_MEMORY.into())
}

fn at_hand() -> LoadFailure {
    LoadFailure::Outside("it is to be replayed with all of its journal at hand".into())
}

fn unread(error: impl Display) -> LoadFailure {
    LoadFailure::Outside(error.to_string().into())
}

/// What a run's own events stand in.
fn run_span(started: &RunStarted) -> Span {
    let trace = started.trace.unwrap_or_else(|| TraceContext::of_run(started.run));
    tracing::info_span!("run", workflow = %started.workflow, id = %started.id, run = %started.run, traceparent = %trace)
}

fn cause(event: &Event, machine: &mut Machine) -> Cause {
    match event {
        Event::RunStarted(_) => Cause::Start,
        Event::CancelRequested { .. } | Event::RunTimedOut { .. } => Cause::Cut,
        _ if machine.take_settled() => Cause::Settled,
        _ => Cause::Outcome,
    }
}

/// How the body ended in the turn before, by the event that follows it.
fn body_end(next: &Event) -> Option<(End, Payload)> {
    match next {
        Event::CompensationStarted { cause, result } => Some((*cause, result.clone())),
        _ => None,
    }
}

impl HotRun {
    /// Polls until the run is quiet and nothing more can be granted.
    fn drive(&mut self, cause: Cause) -> Result<Driven, Fault> {
        // Lent, not copied: each copy of a span is told to the subscriber.
        let span = std::mem::replace(&mut self.span, Span::none());
        let driven = span.in_scope(|| self.drive_inside(cause));
        self.span = span;
        driven
    }

    fn drive_inside(&mut self, cause: Cause) -> Result<Driven, Fault> {
        let mut polls = 0;
        if let Some(end) = self.begin_turn(cause, &mut polls)? {
            return Ok(end);
        }
        let mut granted = self.context.grant();
        loop {
            match granted {
                Granted::Outcome(waker) => self.wake(waker),
                Granted::Nothing => return Ok(Driven::Quiet),
                Granted::Never => return Err(Fault::WaitsOutside { after: self.polled_last() }),
            }
            if let Some(end) = self.poll_until_quiet(&mut polls)? {
                self.context.machine(Machine::settle_grant);
                return Ok(end);
            }
            let (taken, next) = self.context.settle_and_grant();
            if taken == Taken::Outcome {
                // Outcomes are finite: what takes one is no livelock, however many there are in a turn.
                polls = 0;
            }
            granted = next;
        }
    }

    /// What comes before anything is granted: the first poll, the scopes that are cut, what waited for a dropped call.
    fn begin_turn(&mut self, cause: Cause, polls: &mut u32) -> Result<Option<Driven>, Fault> {
        match cause {
            Cause::Start => return self.poll_until_quiet(polls),
            Cause::Settled => {
                self.context.wake_undoers();
                return self.poll_until_quiet(polls);
            }
            Cause::Outcome => {}
            Cause::Cut => {
                // One by one, so that each has dropped what is in it before the next does.
                for scope in self.context.machine(Machine::take_cuts) {
                    // Scopes are finite, as outcomes are.
                    *polls = 0;
                    self.context.wake_scope(scope);
                    if let Some(end) = self.poll_until_quiet(polls)? {
                        return Ok(Some(end));
                    }
                }
                if let Some(end) = self.cut_body()? {
                    return Ok(Some(end));
                }
                // A body that is gone may have left something to undo.
                if self.beside.as_ref().is_some_and(|beside| beside.ending.is_some()) {
                    return self.poll_until_quiet(polls);
                }
            }
        }
        Ok(None)
    }

    fn poll_until_quiet(&mut self, polls: &mut u32) -> Result<Option<Driven>, Fault> {
        loop {
            *polls += 1;
            if *polls > MAX_POLLS {
                return Err(Fault::Livelock { after: self.polled_last() });
            }
            self.context.wakes.woken.store(false, Ordering::Relaxed);
            if let Poll::Ready(end) = self.poll()? {
                let (how, result) = ended(end)?;
                if let Some(end) = self.body_ended(how, result)? {
                    return Ok(Some(end));
                }
                continue;
            }
            match self.context.machine(|machine| machine.stands()) {
                Stands::Undone => {
                    if let Some((how, result)) = self.beside.as_mut().and_then(|beside| beside.ending.take()) {
                        return Ok(Some(Driven::Ended(how, result)));
                    }
                }
                Stands::Failed => return Ok(None),
                Stands::Cut => {
                    if let Some(end) = self.cut_body()? {
                        return Ok(Some(end));
                    }
                    continue;
                }
                Stands::Runs => {}
            }
            if !self.context.wakes.woken.load(Ordering::Relaxed) {
                return Ok(None);
            }
        }
    }

    fn cut_body(&mut self) -> Result<Option<Driven>, Fault> {
        let Some(how) = self.context.machine(|machine| machine.body_cut()) else { return Ok(None) };
        self.drop_body()?;
        self.body_ended(how, Payload::default())
    }

    /// The body is gone. The run ends, unless there is something to undo first; then everything that still waits is dropped.
    fn body_ended(&mut self, how: End, result: Payload) -> Result<Option<Driven>, Fault> {
        let Some(end) = self.context.machine(|machine| machine.end_body(how, &result)) else {
            return Ok(Some(Driven::Ended(how, result)));
        };
        self.drop_body()?;
        self.context.machine(|machine| machine.begin_undo_of_body(end.clone()));
        self.beside.get_or_insert_default().ending = Some(end);
        self.context.add_undoer(Box::pin(undo(Arc::clone(&self.context), BODY)));
        Ok(None)
    }

    /// One poll of the body, of every branch and of what undoes that was woken or is new.
    fn poll(&mut self) -> Result<Poll<BodyEnd>, Fault> {
        let HotRun { context, body, beside, .. } = self;
        let waker = context.waker();
        let mut poll = std::pin::pin!(tokio::task::unconstrained(std::future::poll_fn(|cx| {
            if let Some(running) = body
                && let Poll::Ready(end) = running.as_mut().poll(cx)
            {
                *body = None;
                return Poll::Ready(end);
            }
            if beside.is_none() && !context.has_new() {
                return Poll::Pending;
            }
            let Beside { branches, undoers, .. } = &mut **beside.get_or_insert_default();
            poll_branches(branches, cx, || context.take_branches(), || context.has_branches());
            poll_branches(undoers, cx, || context.take_undoers(), || context.has_undoers());
            Poll::Pending
        })));
        let polled =
            catch_unwind(AssertUnwindSafe(|| context.enter(|| poll.as_mut().poll(&mut Context::from_waker(&waker)))));
        polled.map_err(|panic| self.panicked(panic.as_ref()))
    }

    fn panicked(&self, panic: &(dyn Any + Send)) -> Fault {
        Fault::Panicked { text: panic_text(panic), after: self.polled_last() }
    }

    fn polled_last(&self) -> Option<Place> {
        self.context.machine(|machine| machine.polled_last())
    }

    /// Drops everything that the code waits for, as a journaled point.
    fn drop_body(&mut self) -> Result<(), Fault> {
        let body = self.body.take();
        let branches = self.beside.as_mut().and_then(|beside| beside.branches.take());
        let dropped = catch_unwind(AssertUnwindSafe(|| {
            self.context.enter_drops(|| {
                drop(body);
                drop(self.context.take_branches());
                drop(branches);
            });
        }));
        dropped.map_err(|panic| self.panicked(panic.as_ref()))
    }

    /// Wakes who waits for what was granted, if that is not the run's own task: that is polled next anyway.
    fn wake(&self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.context.enter(|| waker.wake());
        }
    }

    /// The code ended the run in a turn behind which the journal goes on.
    fn ends_early(&self, of: EventNo, how: End) -> LoadFailure {
        LoadFailure::Fault(self.context.machine(|machine| machine.ends_early(of, how)).to_string().into())
    }

    fn end_turn(&mut self, driven: Result<Driven, Fault>) -> (Steps, TurnEnd) {
        let (driven, fault) = match driven {
            Ok(driven) => (driven, None),
            Err(fault) => (Driven::Quiet, Some(fault)),
        };
        let TurnLeft { steps, done } = self.context.end_turn(fault);
        let end = match (done, driven) {
            (Err(missing), _) => TurnEnd::Stuck(missing),
            (Ok(Err(fault)), _) => TurnEnd::Blocked(fault.to_string().into()),
            (Ok(Ok(done)), Driven::Quiet) => TurnEnd::Quiet(done),
            (Ok(Ok(done)), Driven::Ended(how, result)) => TurnEnd::Ended(done, how, result),
        };
        (steps, end)
    }

    /// Drops the futures so that nothing they do counts.
    fn drop_inertly(self) {
        self.context.close();
        let HotRun { body, beside, context, .. } = self;
        let Beside { branches, undoers, .. } = beside.map(|beside| *beside).unwrap_or_default();
        // Each by itself: a second panic while the first unwinds would end the process.
        drop_caught(body);
        branches.into_iter().flat_map(|branches| *branches).for_each(drop_caught);
        undoers.into_iter().flat_map(|undoers| *undoers).for_each(drop_caught);
        context.take_branches().into_iter().for_each(drop_caught);
        context.take_undoers().into_iter().for_each(drop_caught);
        context.take_all_bound().into_values().for_each(drop_caught);
    }
}

fn drop_caught<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        let panic = panic_text(panic.as_ref());
        tracing::error!(%panic, "a destructor panicked while its run was put away [E0210]");
    }
}

/// Polls the branches that were woken, and those that are new: also the ones that a branch has just made.
fn poll_branches(
    branches: &mut Option<Box<Branches>>,
    cx: &mut Context<'_>,
    take_new: impl Fn() -> Vec<BranchFuture>,
    has_new: impl Fn() -> bool,
) {
    if branches.is_none() && !has_new() {
        return;
    }
    let branches = branches.get_or_insert_default();
    loop {
        take_new().into_iter().for_each(|branch| branches.push(branch));
        match Pin::new(&mut **branches).poll_next(cx) {
            Poll::Ready(Some(())) => {}
            Poll::Ready(None) | Poll::Pending if has_new() => {}
            Poll::Ready(None) | Poll::Pending => return,
        }
    }
}

fn ended(end: BodyEnd) -> Result<(End, Payload), Fault> {
    match end {
        BodyEnd::Ok(result) => Ok((End::Completed, result)),
        BodyEnd::Err { error, .. } => Ok((End::Failed, error)),
        BodyEnd::Unrecorded(reason) => Err(Fault::Refused(reason.into())),
    }
}

/// A wake of the run's own task. During the run's own poll it asks for another one; any other is foreign: it never polls the run, and is
/// reported once.
impl Wake for RunContext {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.wakes.closed.load(Ordering::Relaxed) {
            return;
        }
        if self.is_current() {
            self.wakes.woken.store(true, Ordering::Relaxed);
        } else if !self.wakes.foreign.swap(true, Ordering::Relaxed) {
            let (workflow, id) = self.machine(|machine| (machine.workflow().clone(), machine.id().clone()));
            tracing::warn!(
                %workflow, %id,
                "a workflow was woken from outside its journal (a tokio timer, a channel, a join handle): it is not polled for \
                 that, since no replay could repeat it; use an activity, a step, `durable::sleep` or a signal [E0204]"
            );
        }
    }
}

fn missing_workflow(definitions: &Definitions, started: &RunStarted) -> Text {
    let (name, version) = (&started.workflow, started.version);
    format!(
        "workflow `{name}` version {version} is not registered in this binary (it has: {}): register it, and the run goes on at \
         the next open [E0208]",
        definitions.workflows_in_words()
    )
    .into()
}

impl From<LoadFailure> for TurnEnd {
    fn from(failure: LoadFailure) -> TurnEnd {
        match failure {
            LoadFailure::Fault(reason) => TurnEnd::Blocked(reason),
            LoadFailure::Outside(reason) => TurnEnd::Stuck(reason),
        }
    }
}

#[cfg(test)]
impl Hot {
    /// The runs in memory.
    pub(crate) fn contexts(&self) -> Vec<std::sync::Weak<RunContext>> {
        self.runs.values().map(|run| Arc::downgrade(&run.context)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::context::Pending;

    #[test]
    fn a_run_takes_no_more_than_it_has_to() {
        assert_eq!((size_of::<HotRun>(), size_of::<RunContext>(), size_of::<Pending>()), (72, 328, 72));
    }
}
