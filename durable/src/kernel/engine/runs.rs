//! Runs: their start, their turns, their end, and everything that is sent to them.

use std::collections::BTreeSet;

use super::here::Memory;
use super::timers::Due;
use super::{
    Answer, Caller, DUE_AT_ONCE, Delivered, Kernel, LoadFailure, MAX_SIGNALS, MAX_TURN_BYTES, Now, Owed, Replayed,
    Residence, SEMANTICS, SendSignal, Start, TurnEnd, Turns, Watcher, WhenBlocked,
};
use crate::kernel::command::{Command, Inputs, StartChild};
use crate::kernel::event::{
    ClosePolicy, End, Entry, Event, Payload, RunEnded, RunStarted, Text, Undone, UndoneCall, Whose,
};
use crate::kernel::id::{Attempt, RunId, RunNo, ScopeNo, Seq, Timestamp};
use crate::kernel::machine::{Issued, Turn};
use crate::kernel::short::Short;
use crate::kernel::tables::{RunEntry, Waiting, WaitingFor};

impl Kernel {
    /// Starts a run, or attaches to the open one of the same id. That no closed run has the id was made sure before.
    pub fn handle_start(&mut self, start: Start, now: Now, turns: &mut dyn Turns) {
        let Start { caller, started, inputs } = start;
        if let Some(run) = self.tables.run_of(&started.namespace, &started.id) {
            self.attach(caller, run, &started, inputs);
        } else {
            let run = self.next_run();
            self.hold_answer(caller, Answer::Started { run, id: started.run });
            self.deliver(run, Event::RunStarted(Box::new(started)), now, turns);
        }
        self.settle(now, turns);
    }

    /// Sends a signal to an open run.
    pub fn handle_signal(&mut self, signal: SendSignal, now: Now, turns: &mut dyn Turns) {
        let SendSignal { caller, run, name, payload, sender } = signal;
        let answer = match self.tables.open.get(&run) {
            None => Answer::NotOpen,
            Some(entry) if entry.rare.signals >= MAX_SIGNALS => Answer::Full,
            Some(_) => Answer::Done,
        };
        if answer == Answer::Done {
            self.work.push_back((run, Event::SignalReceived { name, payload, sender }));
        }
        self.hold_answer(caller, answer);
        if planted!(32) {
            self.held.seal();
        }
        self.settle(now, turns);
    }

    /// Asks an open run to end: everything that its code waits for is dropped.
    pub fn handle_cancel(&mut self, caller: Caller, run: RunNo, reason: Text, now: Now, turns: &mut dyn Turns) {
        let answer = if self.tables.open.contains_key(&run) { Answer::Done } else { Answer::NotOpen };
        if answer == Answer::Done && (!planted!(52) || self.is_hot(run)) {
            self.work.push_back((run, cancel_by("caller".into(), reason)));
        }
        self.hold_answer(caller, answer);
        self.settle(now, turns);
    }

    /// Ends an open run without another poll.
    pub fn handle_terminate(&mut self, caller: Caller, run: RunNo, reason: Text, now: Now, turns: &mut dyn Turns) {
        let answer = if self.tables.open.contains_key(&run) { Answer::Done } else { Answer::NotOpen };
        if answer == Answer::Done {
            self.end(run, End::Terminated, Payload::default(), ("caller".into(), reason), now, turns);
        }
        self.hold_answer(caller, answer);
        self.settle(now, turns);
    }

    /// Answers when the run ends; at once if it is not open.
    pub fn handle_watch(&mut self, caller: Caller, run: RunNo, blocked: WhenBlocked) {
        match (self.tables.open.contains_key(&run), self.why_blocked(run)) {
            (false, _) => {
                let ended = self.recent.get(run).map(|ended| Answer::Ended(Box::new(ended.clone())));
                self.hold_answer(caller, ended.unwrap_or(Answer::NotOpen));
            }
            (true, Some(reason)) if blocked == WhenBlocked::Tell => {
                self.hold_answer(caller, Answer::Blocked(reason));
            }
            (true, reason) => {
                self.warnings.extend(reason.map(|reason| (run, reason)));
                self.here.watch(run, Watcher { caller, blocked });
            }
        }
        self.seal_answers();
    }

    /// These callers are gone; some of them waited for this run's end.
    pub fn handle_unwatch(&mut self, run: RunNo, gone: &BTreeSet<Caller>) {
        self.here.keep_watchers(run, |watcher| !gone.contains(&watcher.caller));
    }

    /// Says what is known of a run, as of what is durable.
    pub fn handle_describe(&mut self, caller: Caller, run: RunNo) {
        let answer = match self.tables.open.get(&run) {
            Some(entry) => Answer::Described(run, Box::new(entry.clone()), self.stuck(run)),
            None => Answer::NotOpen,
        };
        self.hold_answer(caller, answer);
        self.seal_answers();
    }

    /// Lists all open runs, as of what is durable.
    pub fn handle_list(&mut self, caller: Caller) {
        let all = self.tables.open.iter();
        let runs = all.map(|(run, entry)| (run, entry.into_owned(), self.stuck(run))).collect();
        self.hold_answer(caller, Answer::Listed(runs));
        self.seal_answers();
    }

    /// The clock moved. What is due is worked off as far as is fair: a run that arms a timer which is due at once comes next time. So
    /// do the turns that were put off.
    pub fn handle_timeout(&mut self, now: Now, turns: &mut dyn Turns) {
        self.catch_up(now, turns);
        for _ in 0..DUE_AT_ONCE {
            let Some((run, due)) = self.timers.take_due(now) else { return };
            match due {
                Due::Timer(seq) => self.timer_fired(run, seq, now),
                Due::Retry(seq) => self.retry_due(run, seq),
                Due::Attempt(seq) => self.attempt_timed_out(run, seq, now),
                Due::Call(seq) => self.call_timed_out(run, seq, now),
                Due::Run => self.work.push_back((run, Event::RunTimedOut { at: now.wall })),
            }
            self.settle(now, turns);
        }
    }

    /// A run that was asked for by `poll_load` was replayed, or could not be.
    pub fn handle_loaded(
        &mut self,
        run: RunNo,
        loaded: Result<Replayed, LoadFailure>,
        now: Now,
        turns: &mut dyn Turns,
    ) {
        if !self.tables.open.contains_key(&run) {
            return turns.ended(run);
        }
        let Some(tail) = self.here.end_loading(run) else { return turns.put_away(run) };
        match loaded {
            Ok(replayed) => {
                self.here.put(run, Memory::Hot);
                self.adopt(run, replayed, tail, now, turns);
            }
            Err(LoadFailure::Fault(reason)) => self.block(run, reason, now, turns),
            Err(LoadFailure::Outside(reason)) => self.stick(run, reason, turns),
        }
        self.settle(now, turns);
    }

    /// The commands that a run waits for, in order: those of which an attempt may begin.
    #[must_use]
    pub fn awaited(&self, run: RunNo) -> Vec<Seq> {
        self.tables.open.get(&run).map(|entry| entry.awaited()).unwrap_or_default()
    }

    /// Replays blocked runs once more; gives how many.
    pub fn handle_retry_blocked(&mut self, run: Option<RunNo>, now: Now, turns: &mut dyn Turns) -> usize {
        let is_blocked = |no: RunNo, entry: &RunEntry| entry.rare.blocked.is_some() || self.here.stuck(no).is_some();
        let blocked: Vec<RunNo> = match run {
            Some(run) => {
                self.tables.open.get(&run).filter(|entry| is_blocked(run, entry)).map(|_| run).into_iter().collect()
            }
            None => {
                self.tables.open.iter().filter(|(run, entry)| is_blocked(*run, entry)).map(|(run, _)| run).collect()
            }
        };
        for run in &blocked {
            self.unblock(*run, "asked for".into(), now);
            self.seal_if_full();
        }
        self.settle(now, turns);
        blocked.len()
    }

    /// At open: what all runs wait for that has a wall deadline.
    pub(super) fn armed(&self, now: Now) -> impl Iterator<Item = (RunNo, Due, Timestamp)> + '_ {
        self.tables.open.iter().flat_map(move |(run, entry)| {
            let of_run = |(due, at): (Due, Timestamp)| {
                let at = if planted!(54) { now.wall.after(at.since(entry.started)) } else { at };
                (run, due, at)
            };
            // Most runs wait for one thing.
            entry.armed().map(of_run).collect::<Short<_>>()
        })
    }

    /// At open: loads the run if there is something to do.
    pub(super) fn take_up(&mut self, run: RunNo, now: Now) {
        let Some(entry) = self.tables.open.get(&run) else { return };
        let replay = !entry.unturned.is_empty() || entry.needs_attempts();
        let blocked = entry.rare.blocked.as_ref().map(|blocked| blocked.build.clone());
        let replay = self.settle_left(run, now) || replay;
        match blocked {
            Some(build) if build == self.config.build => {}
            Some(_) => self.unblock(run, "another build opened the store".into(), now),
            None if replay => self.wake(run),
            None => {}
        }
    }

    /// Appends a delivered event and, if the run is in memory, the turn that it causes.
    pub(super) fn deliver(&mut self, run: RunNo, event: Event, now: Now, turns: &mut dyn Turns) {
        let (behind, blocked) = match &event {
            Event::RunStarted(started) => {
                self.begin(run, started, now);
                (false, false)
            }
            event => match self.tables.open.get(&run).filter(|entry| entry.wants(event)) {
                Some(entry) => (!entry.unturned.is_empty(), entry.rare.blocked.is_some()),
                None => return,
            },
        };
        let no = self.append(run, event, now);
        if blocked {
            return;
        }
        match self.here.memory(run) {
            Memory::Hot if behind || self.is_full() => {
                self.later.push_back((run, (no, now.wall, self.newest().clone())));
            }
            Memory::Hot => {
                let end = turns.turn(run, no, now.wall, self.newest());
                return self.turned(run, end, now, turns);
            }
            Memory::Loading => self.here.push_tail(run, (no, now.wall, self.newest().clone())),
            Memory::Stuck => {}
            Memory::Away => self.wake(run),
        }
        self.take_promises_back(run);
    }

    /// A run that starts is in memory.
    fn begin(&mut self, run: RunNo, started: &RunStarted, now: Now) {
        self.here.put(run, Memory::Hot);
        if let Some(deadline) = started.deadline {
            self.timers.arm_at(run, Due::Run, deadline, now);
        }
    }

    /// Whether the run cannot go on, for a cause that is recorded or for one that only this process has.
    #[must_use]
    pub fn is_blocked(&self, run: RunNo) -> bool {
        self.why_blocked(run).is_some()
    }

    fn why_blocked(&self, run: RunNo) -> Option<Text> {
        let blocked = self.tables.open.get(&run).and_then(|entry| entry.rare.blocked.as_ref());
        blocked.map(|blocked| blocked.reason.clone()).or_else(|| self.stuck(run))
    }

    fn stuck(&self, run: RunNo) -> Option<Text> {
        self.here.stuck(run).cloned()
    }

    fn hold_answer(&mut self, caller: Caller, answer: Answer) {
        self.hold(Owed::Answer(caller, answer));
    }

    fn next_run(&mut self) -> RunNo {
        let run = self.config.numbers.take(self.tables.next_run);
        self.tables.next_run = run.next();
        run
    }

    fn attach(&mut self, caller: Caller, run: RunNo, started: &RunStarted, inputs: Inputs) {
        let Some(entry) = self.tables.open.get(&run) else { return };
        let answer = match entry.compare(started, inputs, &self.config.build) {
            Likeness::Same => Answer::Attached { run, id: entry.run, reshaped: false },
            Likeness::Reshaped => Answer::Attached { run, id: entry.run, reshaped: true },
            Likeness::Other => Answer::Conflict(Box::new(entry.clone())),
        };
        self.hold_answer(caller, answer);
    }

    fn timer_fired(&mut self, run: RunNo, seq: Seq, now: Now) {
        if planted!(53) && !self.is_hot(run) {
            return;
        }
        let waits = self.tables.open.get(&run).and_then(|entry| entry.waits(seq));
        if let Some(Waiting { what: WaitingFor::Timer { due }, .. }) = waits {
            let at = if planted!(55) { now.wall } else { now.wall.max(*due) };
            self.work.push_back((run, Event::TimerFired { seq, at }));
        }
    }

    pub(super) fn turn(&mut self, run: RunNo, delivered: &Delivered, now: Now, turns: &mut dyn Turns) {
        let (no, at, event) = delivered;
        let end = turns.turn(run, *no, *at, event);
        self.turned(run, end, now, turns);
    }

    /// A turn ended.
    pub(super) fn turned(&mut self, run: RunNo, end: TurnEnd, now: Now, turns: &mut dyn Turns) {
        match end {
            TurnEnd::Quiet(mut done) => {
                let is_recorded = self.record(run, &mut done, now, turns);
                turns.take_room(done);
                if is_recorded {
                    self.rest(run, now, turns);
                }
            }
            TurnEnd::Ended(mut done, how, result) => {
                let is_recorded = self.record(run, &mut done, now, turns);
                turns.take_room(done);
                if is_recorded {
                    self.end(run, how, result, (Text::default(), Text::default()), now, turns);
                }
            }
            TurnEnd::Blocked(reason) => self.block(run, reason, now, turns),
            TurnEnd::Stuck(reason) => self.stick(run, reason, turns),
        }
    }

    /// The run waits, and has seen everything: it is put away if that is what was asked for.
    fn rest(&mut self, run: RunNo, now: Now, turns: &mut dyn Turns) {
        if self.config.residence == Residence::Stay {
            return;
        }
        if self.tables.open.get(&run).is_some_and(|entry| entry.unturned.is_empty()) {
            self.put_away(run, now, turns);
        }
    }

    /// Takes a run out of memory for a cause that only this process has.
    fn stick(&mut self, run: RunNo, reason: Text, turns: &mut dyn Turns) {
        self.take_promises_back(run);
        self.forget_inputs(run);
        turns.put_away(run);
        self.tell_blocked(run, &reason);
        self.here.stick(run, reason);
    }

    /// Appends a turn and sets in motion what it asked for; false if the run was blocked instead.
    fn record(&mut self, run: RunNo, done: &mut Turn, now: Now, turns: &mut dyn Turns) -> bool {
        let bytes = done.bytes();
        if bytes > MAX_TURN_BYTES {
            let reason = format!(
                "one turn asks for {bytes} bytes of log, the limit is {MAX_TURN_BYTES}: start fewer calls at once, or pass \
                 smaller inputs [E0206]"
            );
            self.block(run, reason.into(), now, turns);
            return false;
        }
        if !done.warnings.is_nothing() {
            let warnings = std::mem::take(&mut done.warnings);
            self.warnings.extend(warnings.into_iter().map(|warning| (run, warning)));
        }
        self.note_build(run, now);
        for entry in &mut done.entries {
            if let Entry::ChildScheduled(child) = entry {
                child.child = self.next_run();
            }
        }
        if done.end.is_none() && !done.entries.iter().any(Entry::stirs) {
            self.append_turn(run, done, now);
            self.take_all_on(run, done, &Children::default(), now);
            return true;
        }
        let dropped: Vec<Waiting> = self.about_to_drop(run, &done.entries);
        let left = match done.end {
            Some(_) => dropped_in(&done.entries[done.before_end as usize..]).collect(),
            None => Vec::new(),
        };
        let children = Children::new(done.entries.iter().filter_map(child_of).collect(), left);
        self.append_turn(run, done, now);
        if let Some(end) = done.end.take() {
            self.begin_undoing(run, *end, now);
        }
        for waiting in dropped {
            match waiting.what {
                WaitingFor::Child(of) if children.is_left(waiting.seq) => {
                    self.close_child(of.child, of.close, now, turns);
                }
                _ => self.dropped(run, waiting, now),
            }
        }
        self.take_all_on(run, done, &children, now);
        true
    }

    fn append_turn(&mut self, run: RunNo, done: &mut Turn, now: Now) {
        if planted!(59) {
            done.entries.sort_by_key(|entry| entry.seq().map(|seq| seq.0.reverse_bits()));
        }
        let (of, entries) = (done.of, std::mem::take(&mut done.entries));
        self.append(run, Event::Turn { of, entries }, now);
    }

    /// The body ended, and what it did is undone.
    fn begin_undoing(&mut self, run: RunNo, (cause, result): (End, Payload), now: Now) {
        if !planted!(49) {
            self.append(run, Event::CompensationStarted { cause, result }, now);
        }
        self.timers.disarm(run, Due::Run);
    }

    fn take_all_on(&mut self, run: RunNo, done: &mut Turn, children: &Children, now: Now) {
        for issued in std::mem::take(&mut done.asked) {
            self.take_on(run, issued, children, now);
        }
    }

    fn note_build(&mut self, run: RunNo, now: Now) {
        let known = self.tables.open.get(&run).is_some_and(|entry| entry.kind.build == self.config.build);
        if !known {
            self.append(run, Event::BuildChanged { build: self.config.build.clone() }, now);
        }
    }

    /// What the turn drops of what was asked for in earlier turns.
    fn about_to_drop(&self, run: RunNo, entries: &[Entry]) -> Vec<Waiting> {
        let Some(entry) = self.tables.open.get(&run) else { return Vec::new() };
        dropped_in(entries).filter_map(|seq| entry.waits(seq).cloned()).collect()
    }

    fn dropped(&mut self, run: RunNo, waiting: Waiting, now: Now) {
        match waiting.what {
            WaitingFor::Activity { call, .. } if call.undo.owes() => self.settle_dropped(run, waiting.seq, now),
            WaitingFor::Activity { .. } if planted!(41) => {}
            WaitingFor::Activity { .. } => self.drop_call(run, waiting.seq),
            WaitingFor::Timer { .. } => self.timers.disarm(run, Due::Timer(waiting.seq)),
            WaitingFor::Child(of) => self.cancel_child(of.child),
            WaitingFor::Signal { .. } => {}
        }
    }

    fn take_on(&mut self, run: RunNo, issued: Issued, children: &Children, now: Now) {
        let seq = issued.seq;
        let Some(waiting) = self.tables.open.get(&run).and_then(|entry| entry.waits(seq)) else {
            return self.dropped_at_once(run, &issued, children, now);
        };
        match &issued.command {
            Command::CallActivity(_) => self.schedule(run, issued, waiting.deadline(), now),
            Command::StartTimer { due } => self.timers.arm_at(run, Due::Timer(seq), *due, now),
            Command::AwaitSignal { .. } => {}
            Command::StartChild(child) => self.begin_child(run, seq, child, children, now),
        }
    }

    /// A child that was asked for and dropped in one turn still begins, since the journal says so, and is cancelled, unless the body has left
    /// it behind to live on. A call never begins; one with something to undo is settled all the same.
    fn dropped_at_once(&mut self, run: RunNo, issued: &Issued, children: &Children, now: Now) {
        match &issued.command {
            Command::StartChild(child) => {
                self.begin_child(run, issued.seq, child, children, now);
                let lives_on = child.close == ClosePolicy::Abandon && children.is_left(issued.seq);
                if let Some((no, _)) = children.asked(issued.seq).filter(|_| !lives_on) {
                    self.work.push_back((*no, cancel_by("parent".into(), "its call was dropped".into())));
                }
            }
            Command::CallActivity(call) if call.undo.owes() => self.settle_dropped(run, issued.seq, now),
            Command::CallActivity(_) | Command::StartTimer { .. } | Command::AwaitSignal { .. } => {}
        }
    }

    fn begin_child(&mut self, run: RunNo, seq: Seq, child: &StartChild, children: &Children, now: Now) {
        let Some((no, id)) = children.asked(seq) else { return };
        let Some(parent) = self.tables.open.get(&run) else { return };
        let (namespace, trace) = (parent.kind.namespace.clone(), parent.trace().of_call(parent.run, seq, Attempt(0)));
        // Its input was digested with it.
        let salt = parent.salt;
        if self.tables.run_of(&namespace, id).is_some() {
            let how = End::NotStarted;
            let (result, undone) = (Payload::default(), Undone::default());
            return self.work.push_back((run, Event::ChildEnded { seq, how, body: how, result, undone }));
        }
        let (random, seed) = (self.draw_16(), self.draw_16());
        let started = RunStarted {
            run: RunId::new(now.wall, random),
            namespace,
            id: id.clone(),
            workflow: child.workflow.clone(),
            version: child.version,
            input: child.input.clone(),
            value: child.value,
            shape: child.shape,
            build: self.config.build.clone(),
            semantics: SEMANTICS,
            deadline: child.timeout.map(|span| now.wall.after(span)),
            trace: Some(trace),
            parent: Some((run, seq)),
            seed,
            salt,
            ..RunStarted::default()
        };
        self.work.push_back((*no, Event::RunStarted(Box::new(started))));
    }

    fn cancel_child(&mut self, child: RunNo) {
        if planted!(51) {
            return;
        }
        let reason = "its parent does not wait for it any more".into();
        self.work.push_back((child, cancel_by("parent".into(), reason)));
    }

    pub(super) fn end(
        &mut self,
        run: RunNo,
        how: End,
        result: Payload,
        by: (Text, Text),
        now: Now,
        turns: &mut dyn Turns,
    ) {
        let Some(entry) = self.tables.open.get(&run) else { return };
        let (parent, children) = (entry.rare.parent, entry.children());
        let whose = Whose { namespace: entry.kind.namespace.clone(), id: entry.id.clone() };
        let (actor, reason) = by;
        let (body, undone) = (how, entry.rare.undos.undone(how));
        let failed = how != End::Terminated && !undone.not_undone.is_empty();
        let how = if failed { End::CompensationFailed } else { how };
        if !undone.is_empty() {
            let named = format!("run `{}` of `{}`", entry.id, entry.kind.workflow);
            self.warn_of_what_stands(run, &named, &undone);
        }
        let ended = Box::new(RunEnded { how, body, result, undone, actor, reason });
        let watchers = self.here.take_watchers(run);
        let parent = parent.filter(|(parent, _)| !planted!(50) || self.is_hot(*parent));
        let told = (parent.is_some() || !watchers.is_empty()).then(|| ended.clone());
        self.recent.keep(run, ended.clone());
        self.disarm_run(run);
        self.append_end(run, ended, whose, now);
        self.drop_calls(run);
        self.here.remove(run);
        self.forget_warnings(run);
        turns.ended(run);
        children.into_iter().for_each(|(child, close)| self.close_child(child, close, now, turns));
        let Some(ended) = told else { return };
        if let Some((parent, seq)) = parent {
            let (result, undone) = (ended.result.clone(), ended.undone.clone());
            self.work.push_back((parent, Event::ChildEnded { seq, how, body, result, undone }));
        }
        let mut watchers = watchers.into_iter();
        let last = watchers.next_back();
        for watcher in watchers {
            self.hold_answer(watcher.caller, Answer::Ended(ended.clone()));
        }
        if let Some(last) = last {
            self.hold_answer(last.caller, Answer::Ended(ended));
        }
    }

    /// Disarms all wall deadlines of a run that is open still.
    fn disarm_run(&mut self, run: RunNo) {
        if let Some(entry) = self.tables.open.get(&run).filter(|_| self.timers.has_deadlines()) {
            entry.deadlines().for_each(|due| self.timers.disarm(run, due));
        }
    }

    /// What a run leaves behind is told to operators: nobody else may ever look.
    fn warn_of_what_stands(&mut self, run: RunNo, ended: &str, undone: &Undone) {
        let named = |calls: &[UndoneCall]| {
            let named: Vec<String> = calls.iter().map(|call| format!("`{}` (seq {})", call.name, call.seq)).collect();
            named.join(", ")
        };
        let (not_undone, unknown) = (named(&undone.not_undone), named(&undone.unknown));
        if !not_undone.is_empty() {
            self.warnings.push((run, format!("{ended} ended, and this was not undone: {not_undone} [E0212]").into()));
        }
        if !unknown.is_empty() {
            self.warnings
                .push((run, format!("{ended} ended, and this is not known to be undone: {unknown} [E0212]").into()));
        }
    }

    fn close_child(&mut self, child: RunNo, close: ClosePolicy, now: Now, turns: &mut dyn Turns) {
        match close {
            ClosePolicy::Abandon => {}
            ClosePolicy::Cancel => self.cancel_child(child),
            // The parent's last turn asked for it: it has its first turn yet to come, and has done nothing that a cancel would undo.
            ClosePolicy::Terminate if !self.tables.open.contains_key(&child) => self.cancel_child(child),
            ClosePolicy::Terminate => {
                let by = ("parent".into(), "its parent ended".into());
                self.end(child, End::Terminated, Payload::default(), by, now, turns);
            }
        }
    }

    pub(super) fn block(&mut self, run: RunNo, reason: Text, now: Now, turns: &mut dyn Turns) {
        let build = self.config.build.clone();
        self.append(run, Event::RunBlocked { build, reason: reason.clone() }, now);
        self.here.put(run, Memory::Away);
        self.take_promises_back(run);
        self.forget_inputs(run);
        turns.put_away(run);
        self.tell_blocked(run, &reason);
    }

    fn tell_blocked(&mut self, run: RunNo, reason: &Text) {
        self.warnings.push((run, reason.clone()));
        let mut told = Vec::new();
        self.here.keep_watchers(run, |watcher| match watcher.blocked {
            WhenBlocked::Wait => true,
            WhenBlocked::Tell => {
                told.push(watcher.caller);
                false
            }
        });
        for caller in told {
            self.hold_answer(caller, Answer::Blocked(reason.clone()));
        }
    }

    fn unblock(&mut self, run: RunNo, reason: Text, now: Now) {
        if self.tables.open.get(&run).is_some_and(|entry| entry.rare.blocked.is_some()) {
            let build = self.config.build.clone();
            self.append(run, Event::RunUnblocked { build, reason }, now);
        }
        self.here.put(run, Memory::Away);
        self.wake(run);
    }

    fn put_away(&mut self, run: RunNo, now: Now, turns: &mut dyn Turns) {
        self.here.put(run, Memory::Away);
        self.forget_inputs(run);
        turns.put_away(run);
        self.put_up(run, now);
    }

    /// What is known of a run that was put away, and that nothing is expected of before it has waited, leaves memory too.
    fn put_up(&mut self, run: RunNo, now: Now) {
        let Some(entry) = self.tables.open.get(&run).filter(|_| !self.here.has_calls(run)) else { return };
        if !entry.unturned.is_empty() {
            return;
        }
        entry.timers().for_each(|seq| self.timers.put_aside(run, seq, now));
        self.tables.open.put_up(run);
    }

    /// Takes up a run that was replayed: its open commands, and the delivered events that have no turn.
    fn adopt(&mut self, run: RunNo, replayed: Replayed, tail: Vec<Delivered>, now: Now, turns: &mut dyn Turns) {
        let newer = tail.into_iter().filter(|(no, _, _)| *no >= replayed.next);
        let unturned: Vec<_> = replayed.unturned.into_iter().chain(newer).collect();
        let numbers = unturned.iter().map(|(no, _, _)| *no);
        if !self.tables.open.get(&run).is_some_and(|entry| numbers.eq(entry.unturned.iter().copied())) {
            // The journal that was loaded is older than what was appended since: it is loaded again.
            self.put_away(run, now, turns);
            return self.wake(run);
        }
        self.warn_of_replay(run, replayed.warnings);
        for issued in replayed.asked {
            if let Command::CallActivity(_) = issued.command {
                self.resume(run, issued, now);
            }
        }
        self.due_while_away(run, now);
        for delivered in unturned {
            if !self.is_hot(run) {
                break;
            }
            // Nothing is sealed in this loop: what is full stays full, and the order stays.
            match self.is_full() {
                true => self.later.push_back((run, delivered)),
                false => self.turn(run, &delivered, now, turns),
            }
        }
        self.release_withheld(run);
        if self.is_hot(run) {
            self.rest(run, now, turns);
        }
    }

    /// Once for each build: when the run has a turn of this one, that was said before.
    fn warn_of_replay(&mut self, run: RunNo, warnings: Vec<Text>) {
        if self.tables.open.get(&run).is_some_and(|entry| entry.kind.build == self.config.build) {
            return;
        }
        for warning in warnings {
            if self.warned.insert((run, warning.clone())) {
                self.warnings.push((run, warning));
            }
        }
    }

    fn forget_warnings(&mut self, run: RunNo) {
        if self.warned.is_empty() {
            return;
        }
        let of_run = (run, Text::default())..(run.next(), Text::default());
        let warned: Vec<_> = self.warned.range(of_run).cloned().collect();
        warned.iter().for_each(|warning| {
            self.warned.remove(warning);
        });
    }

    /// Retries that came due while the run was being loaded.
    fn due_while_away(&mut self, run: RunNo, now: Now) {
        let Some(entry) = self.tables.open.get(&run) else { return };
        let seqs: Vec<Seq> = entry.waiting.iter().filter(|w| w.is_due(now.wall)).map(|w| w.seq).collect();
        for seq in seqs {
            // It is due now, and not once more.
            self.timers.disarm(run, Due::Retry(seq));
            self.retry_due(run, seq);
        }
    }
}

impl Entry {
    /// Whether it concerns more than what it asks for: it begins a child, or drops what was asked for before.
    fn stirs(&self) -> bool {
        matches!(self, Entry::ChildScheduled(_) | Entry::CommandDropped { .. })
    }
}

/// The children of a turn. Most turns have none.
#[derive(Default)]
struct Children {
    /// Those that it asks for: their numbers and ids, by command.
    asked: Vec<(Seq, (RunNo, Text))>,
    /// The commands that the body left behind at its end: what becomes of a child there, its close policy says.
    left: Vec<Seq>,
}

impl Children {
    fn new(mut asked: Vec<(Seq, (RunNo, Text))>, mut left: Vec<Seq>) -> Children {
        asked.sort_unstable_by_key(|(seq, _)| *seq);
        left.sort_unstable();
        Children { asked, left }
    }

    fn asked(&self, seq: Seq) -> Option<&(RunNo, Text)> {
        let place = self.asked.binary_search_by_key(&seq, |(seq, _)| *seq).ok()?;
        self.asked.get(place).map(|(_, child)| child)
    }

    fn is_left(&self, seq: Seq) -> bool {
        self.left.binary_search(&seq).is_ok()
    }
}

fn dropped_in(entries: &[Entry]) -> impl Iterator<Item = Seq> {
    entries.iter().filter_map(|entry| match entry {
        Entry::CommandDropped { seq } => Some(*seq),
        _ => None,
    })
}

fn child_of(entry: &Entry) -> Option<(Seq, (RunNo, Text))> {
    match entry {
        Entry::ChildScheduled(child) => Some((child.seq, (child.child, child.id.clone()))),
        _ => None,
    }
}

fn cancel_by(actor: Text, reason: Text) -> Event {
    Event::CancelRequested { scope: ScopeNo(0), actor, reason, message: Text::default() }
}

impl Waiting {
    /// The deadline of a call, if it has one.
    fn deadline(&self) -> Option<Timestamp> {
        match &self.what {
            WaitingFor::Activity { call, .. } => call.binding.deadline,
            WaitingFor::Timer { .. } | WaitingFor::Signal { .. } | WaitingFor::Child(_) => None,
        }
    }

    fn is_due(&self, wall: Timestamp) -> bool {
        use crate::kernel::tables::AttemptState;
        matches!(&self.what, WaitingFor::Activity { state: AttemptState::Failed(failed), .. } if failed.due <= wall)
    }
}

/// How a start compares with the run that has its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// The same workflow and input.
    Same,
    /// The same workflow; the input has another shape, and another build recorded it.
    Reshaped,
    /// Another workflow, or other values.
    Other,
}

impl RunEntry {
    /// Compares a start with this run; the start's digests were made with this run's salt.
    #[must_use]
    pub fn compare(&self, started: &RunStarted, inputs: Inputs, build: &Text) -> Likeness {
        if self.kind.workflow != started.workflow {
            return Likeness::Other;
        }
        let (same_value, same_shape) = (self.value == started.value, self.shape == started.shape);
        match inputs {
            _ if same_value && same_shape => Likeness::Same,
            Inputs::Loose => Likeness::Same,
            Inputs::Checked if !same_shape && self.kind.build != *build => Likeness::Reshaped,
            Inputs::Checked | Inputs::Strict => Likeness::Other,
        }
    }

    /// Whether an event still means something to the run: it waits for it, if it is an outcome.
    fn wants(&self, event: &Event) -> bool {
        match event {
            Event::ActivityCompleted { .. } if planted!(41) => true,
            Event::ActivityCompleted { seq, .. } | Event::ActivityFailed { seq, .. } => self.call(*seq).is_some(),
            Event::TimerFired { seq, .. } | Event::ChildEnded { seq, .. } => self.waits(*seq).is_some(),
            _ => true,
        }
    }

    /// The children that it waits for, and what becomes of them when it ends.
    fn children(&self) -> Vec<(RunNo, ClosePolicy)> {
        let children = self.waiting.iter().filter_map(|waiting| match &waiting.what {
            WaitingFor::Child(of) => Some((of.child, of.close)),
            WaitingFor::Timer { .. } | WaitingFor::Activity { .. } | WaitingFor::Signal { .. } => None,
        });
        children.collect()
    }

    /// The timers that it waits for.
    fn timers(&self) -> impl Iterator<Item = Seq> + '_ {
        self.waiting
            .iter()
            .filter(|waiting| matches!(waiting.what, WaitingFor::Timer { .. }))
            .map(|waiting| waiting.seq)
    }

    /// All wall deadlines that it may have.
    fn deadlines(&self) -> impl Iterator<Item = Due> + '_ {
        let commands = self.waiting.iter().chain(&self.rare.dropped).flat_map(|waiting| match &waiting.what {
            WaitingFor::Timer { .. } => [Some(Due::Timer(waiting.seq)), None],
            WaitingFor::Activity { .. } => [Some(Due::Retry(waiting.seq)), Some(Due::Call(waiting.seq))],
            WaitingFor::Signal { .. } | WaitingFor::Child(_) => [None, None],
        });
        commands.flatten().chain([Due::Run])
    }

    /// The wall deadlines that the tables alone give.
    fn armed(&self) -> impl Iterator<Item = (Due, Timestamp)> + '_ {
        let timers = self.waiting.iter().filter_map(|waiting| match &waiting.what {
            WaitingFor::Timer { due } => Some((Due::Timer(waiting.seq), *due)),
            WaitingFor::Activity { call, .. } => Some((Due::Call(waiting.seq), call.binding.deadline?)),
            WaitingFor::Signal { .. } | WaitingFor::Child(_) => None,
        });
        timers.chain(self.rare.deadline.filter(|_| !planted!(64)).map(|at| (Due::Run, at)))
    }
}

impl Turn {
    /// About how many bytes it takes in the log, its children's inputs included.
    fn bytes(&self) -> usize {
        let inputs = self.asked.iter().map(|issued| match &issued.command {
            Command::StartChild(child) => child.input.len() + 256,
            Command::CallActivity(call) if call.options.at_most_once => call.input.as_ref().map_or(0, Payload::len),
            Command::CallActivity(_) | Command::StartTimer { .. } | Command::AwaitSignal { .. } => 0,
        });
        inputs.sum::<usize>() + self.entries.len() * 64
    }
}
