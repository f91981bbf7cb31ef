//! Attempts: when each may begin, what its end means, when the next one is due. They belong to (run, seq, attempt), not to the
//! run's future: a run with attempts in flight can be put away. Nothing here begins an attempt before what allows it is
//! durable, and nothing counts one twice.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use super::here::Memory;
use super::timers::{Due, Number};
use super::{Draining, Kernel, Now, Owed, Stop, Turns};
use crate::kernel::command::CallActivity;
use crate::kernel::event::{AttemptCause, Binding, CallFailure, Event, Payload, Text, Which};
use crate::kernel::id::{Attempt, Digest, RunId, RunNo, Seq, Timestamp};
use crate::kernel::machine::Issued;
use crate::kernel::tables::{AttemptState, CallKind, RunEntry, Tables, Waiting, WaitingFor};
use crate::kernel::trace::AttemptTrace;

/// An attempt that may begin now.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptOrder {
    /// Its run.
    pub run: RunNo,
    /// Its run's identity.
    pub run_id: RunId,
    /// Its run's namespace.
    pub namespace: Text,
    /// Its run's workflow id.
    pub id: Text,
    /// Its run's workflow.
    pub workflow: Text,
    /// Its call.
    pub seq: Seq,
    /// Which try it is.
    pub attempt: Attempt,
    /// The activity's name.
    pub name: Text,
    /// The arguments.
    pub input: Payload,
    /// The recorded digest of the arguments, of which the idempotency key is made.
    pub recorded_value: Digest,
    /// Which of the run's equal calls it is, from 0.
    pub ordinal: u32,
    /// How long it may run.
    pub start_to_close: Option<Duration>,
    /// When the call was asked for.
    pub scheduled: Timestamp,
    /// Whether it may be asked to stop.
    pub may_be_asked: bool,
    /// Where in a distributed trace the attempt stands.
    pub trace: AttemptTrace,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum AttemptReport {
    /// With a result.
    Completed(Payload),
    /// With an error.
    Failed {
        /// The error, as recorded.
        error: Payload,
        /// Its text.
        text: Text,
        /// What it says of another try.
        retry: Retry,
    },
    /// With a panic.
    Panicked(Text),
}

/// What an error says of another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Retry {
    /// The policy decides.
    #[default]
    ByPolicy,
    /// There is none.
    Never,
    /// The policy decides whether, this is how long to wait.
    After(Duration),
}

/// Why an attempt is dropped where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyStopped {
    /// It ran longer than its start-to-close timeout.
    TimedOut,
    /// The code dropped its call, or the call or the run has ended.
    Dropped,
}

/// What is to be known of all calls; each by itself is with its run.
#[derive(Debug)]
pub(super) struct Calls {
    in_flight: usize,
    /// How many attempts nobody waits for any more and still run, until their stop is released.
    stopping: usize,
    queue: VecDeque<(RunNo, Seq)>,
    /// How many attempts may wait in flight, ..
    held: usize,
    /// .. and how many while other kernels want some of those.
    limit: usize,
    /// The calls that were given a slot from the queue and have not begun yet.
    promised: BTreeSet<(RunNo, Seq)>,
    /// How the process before this one stopped.
    stop: Stop,
    /// The calls that were open then.
    from_before: BTreeSet<(RunNo, Seq)>,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    /// What was asked for; none while the run is put away and the call waits for its next attempt.
    issued: Option<Issued>,
    scheduled: Timestamp,
    phase: Phase,
    maybe: bool,
    wanted: Wanted,
    ends: Ends,
}

/// Whether a call has a deadline, which is armed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    InTime,
    Whenever,
}

/// Whether the code still waits for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    /// It has dropped it; the attempt in flight is asked to stop and is the last.
    Dropped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// This attempt begins when what allows it is durable.
    Ordered(Attempt),
    /// This attempt waits for a slot.
    Queued(Attempt),
    /// This attempt runs.
    Running(Running),
    /// This attempt is the next one; a timer begins it.
    Backoff(Attempt),
    /// This attempt could begin, but its run is blocked or has an event to see first: the run's next load begins it.
    Withheld(Attempt),
}

/// An attempt that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Running {
    attempt: Attempt,
    began: Timestamp,
    /// Its start-to-close timeout, if it has one.
    times_out: Option<Number>,
}

impl Calls {
    pub(super) fn new(stop: Stop, attempts: usize) -> Calls {
        Calls {
            in_flight: 0,
            stopping: 0,
            queue: VecDeque::new(),
            held: attempts,
            limit: attempts,
            promised: BTreeSet::new(),
            stop,
            from_before: BTreeSet::new(),
        }
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Notes which calls the process before this one left.
    pub(super) fn remember(&mut self, tables: &Tables) {
        for (run, entry) in tables.open.iter() {
            let calls = entry.waiting.iter().chain(entry.rare.dropped.iter()).filter(|waiting| is_call(waiting));
            self.from_before.extend(calls.map(|waiting| (run, waiting.seq)));
        }
    }

    /// Whether an attempt may begin that was promised no slot.
    pub(super) fn has_room(&self) -> bool {
        self.used() < self.limit
    }

    /// How many slots are taken, or promised.
    fn used(&self) -> usize {
        self.in_flight + self.stopping + self.promised.len()
    }

    /// How many slots there are.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How many calls wait for slots that are not there.
    pub(super) fn wanted(&self) -> usize {
        if self.has_room() { 0 } else { self.queue.len() }
    }

    pub(super) fn take_slots(&mut self, more: usize) {
        self.held += more;
        self.limit += more;
    }

    /// All slots may be used; says whether that was not so.
    pub(super) fn keep_slots(&mut self) -> bool {
        std::mem::replace(&mut self.limit, self.held) < self.held
    }

    /// Gives slots up: what is free, and from now on whatever comes free above `share`, or all of it where no call waits for one.
    pub(super) fn give_slots_up(&mut self, share: usize) -> usize {
        let kept = if self.queue.is_empty() { self.used() } else { share };
        self.limit = self.limit.min(kept);
        let given = self.held.saturating_sub(self.used().max(self.limit));
        self.held -= given;
        given
    }

    /// Whether the process before this one may have begun an attempt of a call that was not taken up yet.
    fn may_have_begun(&self, run: RunNo, seq: Seq, state: &AttemptState, binding: &Binding) -> bool {
        self.from_before.contains(&(run, seq))
            && match state {
                AttemptState::Scheduled => self.stop == Stop::Unclean && !binding.at_most_once,
                // Behind a clean stop too: it would be parked if anyone had taken it up.
                AttemptState::Started(_) => true,
                AttemptState::Failed(_) | AttemptState::Parked(_) => false,
            }
    }

    /// Takes a promise back; gives whether there was one.
    fn break_promise(&mut self, run: RunNo, seq: Seq) -> bool {
        !self.promised.is_empty() && self.promised.remove(&(run, seq))
    }
}

fn is_call(waiting: &Waiting) -> bool {
    matches!(waiting.what, WaitingFor::Activity { .. })
}

impl RunEntry {
    /// Whether something that it waits for needs an attempt in this process.
    #[must_use]
    pub fn needs_attempts(&self) -> bool {
        self.waiting.iter().any(is_call)
    }
}

impl Kernel {
    /// An attempt that was started has ended.
    pub fn handle_attempt(
        &mut self,
        run: RunNo,
        seq: Seq,
        attempt: Attempt,
        report: AttemptReport,
        now: Now,
        turns: &mut dyn Turns,
    ) {
        let running = self.here.call(run, seq).and_then(Call::running);
        let Some((current, began)) = running else { return };
        if current != attempt && !planted!(40) {
            return;
        }
        match report {
            AttemptReport::Completed(result) => {
                self.settle_call(run, seq);
                self.deliver(run, Event::ActivityCompleted { seq, attempt, began, result }, now, turns);
            }
            AttemptReport::Failed { error, text, retry } => {
                self.free_slot(run, seq);
                self.attempt_failed(run, seq, attempt, began, AttemptCause::Error { error, text }, retry, now);
            }
            AttemptReport::Panicked(text) => {
                self.free_slot(run, seq);
                self.attempt_failed(run, seq, attempt, began, AttemptCause::Panicked(text), Retry::ByPolicy, now);
            }
        }
        self.settle(now, turns);
    }

    /// A command of the code asks for an activity: its first attempt may begin when this group is durable, and that of an
    /// at-most-once call when it is recorded that it may.
    pub(super) fn schedule(&mut self, run: RunNo, issued: Issued, deadline: Option<Timestamp>, now: Now) {
        let (seq, at_most_once, attempt) = (issued.seq, issued.is_at_most_once(), Attempt(1));
        let call = Call {
            issued: Some(issued),
            scheduled: now.wall,
            phase: Phase::Ordered(attempt),
            maybe: false,
            wanted: Wanted::Yes,
            ends: self.arm_call_deadline(run, seq, deadline, now),
        };
        self.here.insert_call(run, seq, call);
        match at_most_once {
            true => self.order_recorded(run, seq, attempt),
            false => self.hold(Owed::Attempt { run, seq, attempt }),
        }
    }

    /// Takes up a call of a run that was loaded: where it stands is said by its newest event.
    pub(super) fn resume(&mut self, run: RunNo, issued: Issued, now: Now) {
        let seq = issued.seq;
        if let Some(call) = self.here.call_mut(run, seq) {
            call.issued = Some(issued);
            return;
        }
        let Some(waiting) = self.tables.open.get(&run).and_then(|entry| entry.waits(seq)).cloned() else { return };
        let (maybe, WaitingFor::Activity { call, state }) = (waiting.maybe, waiting.what) else { return };
        let CallKind { binding, .. } = &*call;
        let ends = self.arm_call_deadline(run, seq, binding.deadline, now);
        let before = self.calls.from_before.remove(&(run, seq));
        let unclean = before && self.calls.stop == Stop::Unclean;
        let call = Call {
            issued: Some(issued),
            scheduled: waiting.since,
            phase: Phase::Backoff(Attempt(1)),
            maybe,
            wanted: Wanted::Yes,
            ends,
        };
        self.here.insert_call(run, seq, call);
        match state {
            AttemptState::Scheduled if unclean && !binding.at_most_once => self.interrupted(run, seq, Attempt(1), now),
            AttemptState::Scheduled if binding.at_most_once => self.order_recorded(run, seq, Attempt(1)),
            AttemptState::Scheduled => self.order(run, seq, Attempt(1)),
            AttemptState::Started(attempt) if planted!(34) && !binding.at_most_once => {
                self.order_recorded(run, seq, attempt);
            }
            AttemptState::Started(attempt) => self.interrupted(run, seq, attempt, now),
            AttemptState::Failed(failed) if planted!(38) => self.order_recorded(run, seq, failed.attempt.next()),
            AttemptState::Failed(failed) => self.back_off(run, seq, failed.attempt.next(), failed.due, now),
            AttemptState::Parked(attempt) if planted!(37) => self.order_recorded(run, seq, attempt.next()),
            AttemptState::Parked(attempt) => self.order_recorded(run, seq, attempt),
        }
    }

    /// The code dropped a call, or its run ended: nobody waits for it any more.
    pub(super) fn drop_call(&mut self, run: RunNo, seq: Seq) {
        self.calls.from_before.remove(&(run, seq));
        self.timers.disarm(run, Due::Retry(seq));
        let Some(call) = self.take_call(run, seq) else {
            // At open the deadlines of all calls are armed.
            return self.timers.disarm(run, Due::Call(seq));
        };
        self.disarm_call(run, seq, &call);
        if let Phase::Running(_) = call.phase {
            self.stop(run, seq, WhyStopped::Dropped);
        }
    }

    /// A call has its result.
    pub(super) fn settle_call(&mut self, run: RunNo, seq: Seq) {
        if let Some(call) = self.take_call(run, seq) {
            self.disarm_call(run, seq, &call);
        }
    }

    /// Forgets a call, and with it that an attempt of it is in flight.
    fn take_call(&mut self, run: RunNo, seq: Seq) -> Option<Call> {
        self.calls.break_promise(run, seq);
        let call = self.here.remove_call(run, seq)?;
        if let Phase::Running(_) = call.phase {
            self.calls.in_flight -= 1;
        }
        Some(call)
    }

    /// Disarms the deadline of a call that was taken out, and the timeout of its attempt.
    fn disarm_call(&mut self, run: RunNo, seq: Seq, call: &Call) {
        if let Phase::Running(running) = call.phase {
            self.disarm_attempt(run, seq, running);
        }
        if call.ends == Ends::InTime {
            self.timers.disarm(run, Due::Call(seq));
        }
    }

    /// The code dropped a call of which it has to be known how it came out: the attempt in flight may end, and is the last. One of which
    /// nothing is in flight is settled at once.
    pub(super) fn settle_dropped(&mut self, run: RunNo, seq: Seq, now: Now) {
        match self.here.call_mut(run, seq) {
            Some(call) if call.running().is_some() => {
                call.wanted = Wanted::Dropped;
                self.hold(Owed::Ask { run, seq });
            }
            Some(_) | None => {
                if let Some(event) = self.settled_without_attempt(run, seq, now) {
                    self.drop_call(run, seq);
                    self.work.push_back((run, event));
                }
            }
        }
    }

    /// At open: nothing is in flight of what the process before this one had dropped. Whether there was anything.
    pub(super) fn settle_left(&mut self, run: RunNo, now: Now) -> bool {
        let Some(entry) = self.tables.open.get(&run).filter(|_| !planted!(36)) else { return false };
        let seqs: Vec<Seq> = entry.rare.dropped.iter().filter(|w| is_call(w)).map(|w| w.seq).collect();
        let events: Vec<Event> = seqs.iter().filter_map(|seq| self.settled_without_attempt(run, *seq, now)).collect();
        let any = !events.is_empty();
        for event in events {
            self.append(run, event, now);
        }
        any
    }

    fn settled_without_attempt(&self, run: RunNo, seq: Seq, now: Now) -> Option<Event> {
        let waiting = self.tables.open.get(&run)?.call(seq)?;
        let WaitingFor::Activity { call, state } = &waiting.what else { return None };
        let may_have_begun = self.calls.may_have_begun(run, seq, state, &call.binding);
        let maybe = waiting.maybe || may_have_begun || self.here.call(run, seq).is_some_and(|call| call.maybe);
        let attempt = last_attempt(state).max(Attempt(u32::from(may_have_begun)));
        Some(Event::ActivityFailed { seq, attempt, began: now.wall, error: CallFailure::Cancelled, maybe })
    }

    /// An attempt is stopped when what drops it is durable; it has its slot until then.
    fn stop(&mut self, run: RunNo, seq: Seq, why: WhyStopped) {
        self.calls.stopping += 1;
        self.hold(Owed::Stop { run, seq, why });
    }

    /// A stop was released: the slot is free.
    pub(super) fn stopped(&mut self, now: Now) {
        self.calls.stopping -= 1;
        self.pass_slots_on(now);
        self.seal();
    }

    pub(super) fn drop_calls(&mut self, run: RunNo) {
        self.here.calls_of(run).into_iter().for_each(|seq| self.drop_call(run, seq));
    }

    /// The run leaves memory: what only a reload can give again is let go.
    pub(super) fn forget_inputs(&mut self, run: RunNo) {
        for seq in self.here.calls_of(run) {
            if let Some(call) = self.here.call_mut(run, seq)
                && let Phase::Backoff(_) = call.phase
            {
                call.issued = None;
            }
        }
    }

    /// An order leaves, if it is still wanted and there is room; otherwise it waits for a slot.
    pub(super) fn begin_attempt(&mut self, run: RunNo, seq: Seq, attempt: Attempt, now: Now) -> Option<AttemptOrder> {
        if self.draining.is_some() {
            return None;
        }
        let promised = self.calls.break_promise(run, seq);
        let room = promised || self.calls.has_room();
        let entry = self.tables.open.get(&run)?;
        let seat = self.here.seat_mut(run)?;
        let withheld = withholds(entry, seat.memory);
        let call = seat.call_mut(seq)?;
        if call.phase != Phase::Ordered(attempt) {
            return None;
        }
        if withheld {
            call.phase = Phase::Withheld(attempt);
            return None;
        }
        if !room && !planted!(70) {
            call.phase = Phase::Queued(attempt);
            self.calls.queue.push_back((run, seq));
            return None;
        }
        let order = call.order(run, attempt, entry)?;
        let limit = order.start_to_close.filter(|_| !planted!(67));
        let times_out = limit.map(|span| self.timers.arm_in(run, Due::Attempt(seq), span, now));
        call.phase = Phase::Running(Running { attempt, began: now.wall, times_out });
        self.calls.in_flight += 1;
        Some(order)
    }

    /// An attempt that was ordered and is not begun: its order leaves again, before all others, if it is wanted then. It keeps its slot.
    pub fn put_back(&mut self, order: &AttemptOrder) {
        let AttemptOrder { run, seq, attempt, .. } = *order;
        let Some(call) = self.here.call_mut(run, seq) else { return };
        let Phase::Running(running) = call.phase else { return };
        if running.attempt != attempt {
            return;
        }
        call.phase = Phase::Ordered(attempt);
        self.calls.in_flight -= 1;
        self.calls.promised.insert((run, seq));
        self.disarm_attempt(run, seq, running);
        self.held.put_back(Owed::Attempt { run, seq, attempt });
    }

    pub(super) fn retry_due(&mut self, run: RunNo, seq: Seq) {
        let withheld = self.withholds(run);
        let Some(call) = self.here.call_mut(run, seq) else { return };
        let Phase::Backoff(attempt) = call.phase else { return };
        if self.draining.is_some() {
            return;
        }
        let is_away = call.issued.is_none();
        if withheld || is_away {
            // Its timer is used up: from here on the run's load begins it, whatever the clock says then.
            call.phase = Phase::Withheld(attempt);
            return if is_away && !withheld {
                self.wake(run)
            };
        }
        self.order_recorded(run, seq, attempt);
    }

    /// Whether no attempt of the run may begin: it is blocked, or has a delivered event without a turn.
    fn withholds(&self, run: RunNo) -> bool {
        let (entry, memory) = (self.tables.open.get(&run), self.here.memory(run));
        entry.is_some_and(|entry| withholds(entry, memory))
    }

    /// The run has seen everything: what was withheld from it may begin.
    pub(super) fn release_withheld(&mut self, run: RunNo) {
        if !self.here.has_calls(run) || self.withholds(run) {
            return;
        }
        for seq in self.here.calls_of(run) {
            if let Some(Phase::Withheld(attempt)) = self.here.call(run, seq).map(|call| call.phase) {
                self.order_recorded(run, seq, attempt);
            }
        }
    }

    pub(super) fn attempt_timed_out(&mut self, run: RunNo, seq: Seq, now: Now) {
        let running = self.here.call(run, seq).and_then(Call::running);
        let Some((attempt, began)) = running else { return };
        self.stop(run, seq, WhyStopped::TimedOut);
        self.free_slot(run, seq);
        self.mark_maybe(run, seq);
        self.attempt_failed(run, seq, attempt, began, AttemptCause::TimedOut, Retry::ByPolicy, now);
    }

    pub(super) fn call_timed_out(&mut self, run: RunNo, seq: Seq, now: Now) {
        let call = self.here.call(run, seq);
        let running = call.and_then(Call::running);
        let waits = self.tables.open.get(&run).and_then(|entry| entry.call(seq));
        let Some(Waiting { what: WaitingFor::Activity { call: kind, state }, maybe, .. }) = waits else { return };
        let may_have_begun = self.calls.may_have_begun(run, seq, state, &kind.binding);
        let maybe = *maybe || running.is_some() || may_have_begun || call.is_some_and(|call| call.maybe);
        let last = last_attempt(state).max(Attempt(u32::from(may_have_begun)));
        let (attempt, began) = running.unwrap_or((last, now.wall));
        self.drop_call(run, seq);
        let error = CallFailure::TimedOut(Which::ScheduleToClose);
        self.work.push_back((run, Event::ActivityFailed { seq, attempt, began, error, maybe }));
    }

    /// A graceful shutdown begins: attempts are parked, except at-most-once ones, which are awaited.
    pub fn handle_drain(&mut self, now: Now, turns: &mut dyn Turns) {
        self.draining = Some(Draining);
        for (run, seq) in self.here.calls() {
            self.park(run, seq, now);
            self.seal_if_full();
        }
        self.record_left(now);
        self.settle(now, turns);
    }

    /// Calls that the process before this one may have begun, of runs that were not taken up since (a blocked one, say): the next
    /// process finds a clean stop and could not know that they are interrupted.
    fn record_left(&mut self, now: Now) {
        let left: Vec<(RunNo, Seq)> = self.calls.from_before.iter().copied().collect();
        for (run, seq) in left {
            let waits = self.tables.open.get(&run).and_then(|entry| entry.waits(seq));
            let Some(Waiting { what: WaitingFor::Activity { call, state }, .. }) = waits else { continue };
            if *state == AttemptState::Scheduled && self.calls.may_have_begun(run, seq, state, &call.binding) {
                self.append(run, Event::AttemptStarted { seq, attempt: Attempt(1) }, now);
                self.seal_if_full();
            }
        }
    }

    /// The drain's deadline: at-most-once attempts that still run are interrupted.
    pub fn handle_drain_deadline(&mut self, now: Now, turns: &mut dyn Turns) {
        for (run, seq) in self.here.calls() {
            let Some((attempt, began)) = self.here.call(run, seq).and_then(Call::running) else { continue };
            self.drop_call(run, seq);
            let error = CallFailure::Interrupted;
            self.work.push_back((run, Event::ActivityFailed { seq, attempt, began, error, maybe: true }));
        }
        self.settle(now, turns);
    }

    fn park(&mut self, run: RunNo, seq: Seq, now: Now) {
        let Some(call) = self.here.call(run, seq) else { return };
        let awaited = call.is_at_most_once() || call.wanted == Wanted::Dropped;
        let (attempt, running) = match call.phase {
            Phase::Backoff(_) => return,
            Phase::Withheld(attempt) | Phase::Ordered(attempt) | Phase::Queued(attempt) => (attempt, false),
            Phase::Running(running) => (running.attempt, true),
        };
        if awaited && running {
            return;
        }
        // One that has neither begun nor is recorded to begin leaves nothing to park: the next process finds it as it was.
        if (running || self.is_recorded(run, seq, attempt)) && !planted!(63) {
            self.append(run, Event::AttemptParked { seq, attempt }, now);
        }
        self.drop_call(run, seq);
    }

    fn arm_call_deadline(&mut self, run: RunNo, seq: Seq, deadline: Option<Timestamp>, now: Now) -> Ends {
        let Some(deadline) = deadline else { return Ends::Whenever };
        self.timers.arm_at(run, Due::Call(seq), deadline, now);
        Ends::InTime
    }

    fn interrupted(&mut self, run: RunNo, seq: Seq, attempt: Attempt, now: Now) {
        self.mark_maybe(run, seq);
        let began = now.wall;
        if self.here.call(run, seq).is_some_and(Call::is_at_most_once) {
            if planted!(39) {
                return self.order_recorded(run, seq, attempt);
            }
            self.drop_call(run, seq);
            let error = CallFailure::Interrupted;
            self.work.push_back((run, Event::ActivityFailed { seq, attempt, began, error, maybe: true }));
            return;
        }
        self.attempt_failed(run, seq, attempt, began, AttemptCause::Interrupted, Retry::After(Duration::ZERO), now);
    }

    fn mark_maybe(&mut self, run: RunNo, seq: Seq) {
        if let Some(call) = self.here.call_mut(run, seq).filter(|_| !planted!(35)) {
            call.maybe = true;
        }
    }

    #[allow(clippy::too_many_arguments, reason = "all of it goes into one event")]
    fn attempt_failed(
        &mut self,
        run: RunNo,
        seq: Seq,
        attempt: Attempt,
        began: Timestamp,
        cause: AttemptCause,
        retry: Retry,
        now: Now,
    ) {
        let draw = self.draw();
        let deadline = self.call_deadline(run, seq);
        let Some(call) = self.here.call_mut(run, seq) else { return };
        call.maybe |= matches!(cause, AttemptCause::Panicked(_));
        let maybe = call.maybe;
        // Of an at-most-once call whose effect may stand there is no further attempt.
        let last = (call.wanted == Wanted::Dropped && !planted!(42)) || (maybe && call.is_at_most_once());
        let retry = if last { Retry::Never } else { retry };
        let due =
            call.next_due(attempt, retry, draw, now).filter(|due| deadline.is_none_or(|deadline| *due < deadline));
        match due {
            Some(due) => {
                self.append(run, Event::AttemptFailed { seq, attempt, began, cause, due, maybe }, now);
                self.back_off(run, seq, attempt.next(), due, now);
            }
            None => {
                self.drop_call(run, seq);
                let error = final_failure(cause, attempt);
                self.work.push_back((run, Event::ActivityFailed { seq, attempt, began, error, maybe }));
            }
        }
    }

    fn call_deadline(&self, run: RunNo, seq: Seq) -> Option<Timestamp> {
        match &self.tables.open.get(&run)?.call(seq)?.what {
            WaitingFor::Activity { call, .. } => call.binding.deadline,
            WaitingFor::Timer { .. } | WaitingFor::Signal { .. } | WaitingFor::Child(_) => None,
        }
    }

    fn back_off(&mut self, run: RunNo, seq: Seq, next: Attempt, due: Timestamp, now: Now) {
        if let Some(call) = self.here.call_mut(run, seq) {
            call.phase = Phase::Backoff(next);
        }
        if due <= now.wall || planted!(68) {
            return self.retry_due(run, seq);
        }
        self.timers.arm_at(run, Due::Retry(seq), due, now);
    }

    /// An attempt that has to be recorded before it begins: it is, as soon as there is a slot for it.
    fn order_recorded(&mut self, run: RunNo, seq: Seq, attempt: Attempt) {
        if self.draining.is_some() {
            return;
        }
        if let Some(call) = self.here.call_mut(run, seq) {
            call.phase = Phase::Queued(attempt);
            self.calls.queue.push_back((run, seq));
        }
    }

    fn order(&mut self, run: RunNo, seq: Seq, attempt: Attempt) {
        if let Some(call) = self.here.call_mut(run, seq) {
            call.phase = Phase::Ordered(attempt);
            self.hold(Owed::Attempt { run, seq, attempt });
        }
    }

    /// An attempt ended: its slot is free.
    fn free_slot(&mut self, run: RunNo, seq: Seq) {
        let Some(call) = self.here.call_mut(run, seq) else { return };
        let Phase::Running(running) = call.phase else { return };
        call.phase = Phase::Backoff(running.attempt.next());
        self.calls.in_flight -= 1;
        self.disarm_attempt(run, seq, running);
    }

    fn disarm_attempt(&mut self, run: RunNo, seq: Seq, running: Running) {
        if let Some(number) = running.times_out {
            self.timers.disarm_in(run, Due::Attempt(seq), number);
        }
    }

    /// Free slots go to the calls that wait longest, however they came free.
    pub(super) fn pass_slots_on(&mut self, now: Now) {
        if self.draining.is_some() || planted!(69) {
            return;
        }
        while self.calls.has_room()
            && let Some((run, seq)) = self.calls.queue.pop_front()
        {
            let withheld = self.withholds(run);
            let Some(call) = self.here.call_mut(run, seq) else { continue };
            let Phase::Queued(attempt) = call.phase else { continue };
            if withheld {
                call.phase = Phase::Withheld(attempt);
                continue;
            }
            self.calls.promised.insert((run, seq));
            if !self.is_recorded(run, seq, attempt) && !planted!(33) {
                self.append(run, Event::AttemptStarted { seq, attempt }, now);
            }
            self.order(run, seq, attempt);
        }
    }

    /// Whether an attempt that did not begin yet was recorded already: there is one record for each beginning.
    fn is_recorded(&self, run: RunNo, seq: Seq, attempt: Attempt) -> bool {
        let waits = self.tables.open.get(&run).and_then(|entry| entry.waits(seq));
        let started = AttemptState::Started(attempt);
        waits.is_some_and(|w| matches!(&w.what, WaitingFor::Activity { state, .. } if *state == started))
    }

    /// The run was blocked, or has something to see first: the slots that its calls were promised are free again.
    pub(super) fn take_promises_back(&mut self, run: RunNo) {
        if self.calls.promised.is_empty() {
            return;
        }
        let calls = (run, Seq(0))..=(run, Seq(u32::MAX));
        let promised: Vec<(RunNo, Seq)> = self.calls.promised.range(calls).copied().collect();
        for (run, seq) in promised {
            self.calls.promised.remove(&(run, seq));
            if let Some(call) = self.here.call_mut(run, seq)
                && let Phase::Ordered(attempt) = call.phase
            {
                call.phase = Phase::Withheld(attempt);
            }
        }
    }

    /// Begins to load a run that is asleep.
    pub(super) fn wake(&mut self, run: RunNo) {
        if self.here.memory(run) == Memory::Away && self.tables.open.contains_key(&run) {
            self.here.put(run, Memory::Loading);
            self.loads.push_back(run);
        }
    }
}

#[cfg(test)]
impl Call {
    /// One that waits for its first attempt.
    pub(super) fn example() -> Call {
        Call {
            issued: None,
            scheduled: Timestamp(0),
            phase: Phase::Ordered(Attempt(1)),
            maybe: false,
            wanted: Wanted::Yes,
            ends: Ends::Whenever,
        }
    }
}

impl Call {
    pub(super) fn running(&self) -> Option<(Attempt, Timestamp)> {
        match self.phase {
            Phase::Running(running) => Some((running.attempt, running.began)),
            Phase::Ordered(_) | Phase::Queued(_) | Phase::Backoff(_) | Phase::Withheld(_) => None,
        }
    }

    /// What begins this attempt; none while what was asked for is not in memory.
    fn order(&self, run: RunNo, attempt: Attempt, entry: &RunEntry) -> Option<AttemptOrder> {
        let Issued { seq, ordinal, recorded_value, .. } = *self.issued.as_ref()?;
        let activity = self.activity()?;
        Some(AttemptOrder {
            run,
            run_id: entry.run,
            namespace: entry.kind.namespace.clone(),
            id: entry.id.clone(),
            workflow: entry.kind.workflow.clone(),
            seq,
            attempt,
            name: activity.name.clone(),
            input: activity.input.clone()?,
            recorded_value,
            ordinal,
            start_to_close: activity.options.start_to_close,
            scheduled: self.scheduled,
            may_be_asked: activity.undo.owes(),
            trace: AttemptTrace { of_run: entry.rare.trace, run: entry.run, seq, attempt },
        })
    }

    fn is_at_most_once(&self) -> bool {
        self.issued.as_ref().is_some_and(Issued::is_at_most_once)
    }

    fn activity(&self) -> Option<&CallActivity> {
        match &self.issued.as_ref()?.command {
            crate::kernel::command::Command::CallActivity(activity) => Some(activity),
            _ => None,
        }
    }

    /// When the attempt after this failed one is due; none if there is none.
    fn next_due(&self, failed: Attempt, retry: Retry, draw: u64, now: Now) -> Option<Timestamp> {
        let elapsed = now.wall.since(self.scheduled);
        // Without its input (the run is put away) the policy is not known either; the run is loaded for both.
        let by_policy = match self.activity() {
            Some(activity) => activity.options.retry.delay(failed, elapsed, draw)?,
            None => Duration::ZERO,
        };
        match retry {
            Retry::Never => None,
            Retry::ByPolicy => Some(now.wall.after(by_policy)),
            Retry::After(span) => Some(now.wall.after(span)),
        }
    }
}

impl Issued {
    /// Whether it is a call of which no attempt may begin twice.
    #[must_use]
    pub fn is_at_most_once(&self) -> bool {
        matches!(&self.command, crate::kernel::command::Command::CallActivity(call) if call.options.at_most_once)
    }
}

/// Whether no attempt of a run may begin: it cannot be polled, is blocked, or has a delivered event without a turn.
fn withholds(entry: &RunEntry, memory: Memory) -> bool {
    let withheld = memory == Memory::Stuck || entry.rare.blocked.is_some() || !entry.unturned.is_empty();
    withheld && !planted!(60)
}

fn last_attempt(state: &AttemptState) -> Attempt {
    match state {
        AttemptState::Scheduled => Attempt(0),
        AttemptState::Started(attempt) | AttemptState::Parked(attempt) => *attempt,
        AttemptState::Failed(failed) => failed.attempt,
    }
}

/// What the caller sees when `attempt` was the last.
fn final_failure(cause: AttemptCause, attempt: Attempt) -> CallFailure {
    let last = match cause {
        AttemptCause::Error { error, text } => return CallFailure::App { error, text },
        AttemptCause::TimedOut => CallFailure::TimedOut(Which::StartToClose),
        AttemptCause::Panicked(text) => CallFailure::Panicked(text),
        AttemptCause::Interrupted => CallFailure::Interrupted,
    };
    if attempt.0 <= 1 { last } else { CallFailure::Exhausted { attempts: attempt, last: Box::new(last) } }
}
