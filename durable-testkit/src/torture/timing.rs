//! When things happen, by what is recorded of a run and by what the world saw of its attempts: nothing that is due comes early, no
//! attempt outlasts its limit, and what a policy says of tries and waits is what is done.

use std::collections::BTreeMap;

use durable::kernel::event::{ActivityScheduled, AttemptCause, CallFailure, Entry, Event, Which};
use durable::kernel::id::{Attempt, Timestamp};
use durable::payload;

use super::case::Case;
use super::facts::LATE_MAX;
use super::look::{Look, Past};
use super::program::{Ask, Refusal};
use super::stage::{AttemptSeen, Ended, Seen};

/// What is wrong with when things happened.
pub(super) fn judge(case: &Case, seen: &Seen, look: &Look) -> Vec<String> {
    let mut wrong = if case.holds_nothing_up() { at_once(case, seen) } else { Vec::new() };
    for (id, past) in &look.runs {
        let timing = Timing::of(case, seen, past);
        wrong.extend(timing.judge().into_iter().map(|what| format!("`{id}`: {what}")));
    }
    wrong
}

/// No more attempts run at once in a process than may.
fn at_once(case: &Case, seen: &Seen) -> Vec<String> {
    let most = usize::from(case.conduct.attempts);
    let mut running: Vec<&AttemptSeen> = Vec::new();
    let mut wrong = Vec::new();
    for attempt in &seen.attempts {
        running.retain(|other| other.process == attempt.process && other.until > attempt.began);
        running.push(attempt);
        if running.len() > most {
            let (process, at) = (attempt.process, attempt.began);
            wrong.push(format!("{} attempts run at once in process {process} at {at:?}, of {most}", running.len()));
        }
    }
    wrong
}

/// A run with its calls.
struct Timing<'a> {
    case: &'a Case,
    seen: &'a Seen,
    past: &'a Past,
    attempts: Vec<&'a AttemptSeen>,
    calls: BTreeMap<u32, Called<'a>>,
    timers: BTreeMap<u32, Timestamp>,
}

/// A call, and what becomes of it.
struct Called<'a> {
    scheduled: &'a ActivityScheduled,
    /// What was asked of it, if an attempt was seen.
    ask: Option<Ask>,
    is_dropped: bool,
    is_settled: bool,
}

impl Called<'_> {
    fn deadline(&self) -> Option<Timestamp> {
        self.scheduled.binding.deadline
    }
}

impl<'a> Timing<'a> {
    fn of(case: &'a Case, seen: &'a Seen, past: &'a Past) -> Timing<'a> {
        let attempts = seen.attempts.iter().filter(|attempt| attempt.run == past.started.run).collect();
        Timing { case, seen, past, attempts, calls: BTreeMap::new(), timers: BTreeMap::new() }
    }

    fn judge(mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (_, at, event) in &self.past.journal {
            match event {
                Event::Turn { entries, .. } => entries.iter().for_each(|entry| self.note(entry)),
                Event::TimerFired { .. } | Event::RunTimedOut { .. } => wrong.extend(self.early(*at, event)),
                Event::AttemptFailed { seq, attempt, cause, due, .. } => {
                    wrong.extend(self.wait(*at, seq.0, *attempt, cause, *due));
                    if *cause == AttemptCause::TimedOut {
                        wrong.extend(self.cut_early(seq.0, *attempt));
                    }
                }
                Event::ActivityCompleted { seq, .. } => wrong.extend(self.settled(*at, seq.0)),
                Event::ActivityFailed { seq, attempt, error, maybe, .. } => {
                    wrong.extend(self.gave_up(*at, seq.0, *attempt, (error, *maybe)));
                    wrong.extend(self.settled(*at, seq.0));
                }
                Event::RunEnded(_) => wrong.extend(self.left_open(*at)),
                _ => {}
            }
        }
        if self.case.holds_nothing_up() {
            wrong.extend(self.attempts.iter().filter_map(|attempt| outlasts(attempt)));
            wrong.extend(self.behind_deadline());
        }
        wrong
    }

    fn note(&mut self, entry: &'a Entry) {
        match entry {
            Entry::ActivityScheduled(scheduled) => {
                let ask = self.attempts.iter().find(|attempt| attempt.seq == scheduled.seq.0).map(|seen| seen.ask);
                let called = Called { scheduled, ask, is_dropped: false, is_settled: false };
                self.calls.insert(scheduled.seq.0, called);
            }
            Entry::TimerStarted { seq, due } => drop(self.timers.insert(seq.0, *due)),
            Entry::CommandDropped { seq } => {
                if let Some(call) = self.calls.get_mut(&seq.0) {
                    call.is_dropped = true;
                }
            }
            _ => {}
        }
    }

    /// What is due by the wall clock is not recorded before that shows it. One that is set back is not waited for; but code whose sleep
    /// is over is never told of a time before its end.
    fn early(&self, at: Timestamp, event: &Event) -> Option<String> {
        let (what, due) = match event {
            Event::TimerFired { seq, at: told } => {
                let due = *self.timers.get(&seq.0)?;
                if *told < due {
                    return Some(format!("timer {seq}, due {}, tells the code of {}", due.0, told.0));
                }
                (format!("timer {seq}"), due)
            }
            _ => ("its time limit".to_owned(), self.past.started.deadline?),
        };
        (at < due && !self.case.sets_back()).then(|| format!("{what}, due {}, comes {}", due.0, at.0))
    }

    // Tries and waits.

    /// The next attempt is due when the policy says; at once after one whose process died.
    fn wait(&self, at: Timestamp, seq: u32, failed: Attempt, cause: &AttemptCause, due: Timestamp) -> Option<String> {
        let wait = due.since(at);
        let is_right = match cause {
            AttemptCause::Interrupted => due == at,
            AttemptCause::Error { .. } | AttemptCause::Panicked(_) | AttemptCause::TimedOut => {
                let most = self.calls.get(&seq)?.ask?.wait_max(failed.0);
                wait <= most && wait >= most * 4 / 5
            }
        };
        (!is_right).then(|| format!("behind attempt {failed} of seq {seq}, {cause:?}, there is a wait of {wait:?}"))
    }

    /// A call fails without a result when its attempts are used up, or its time is, or its error says so.
    fn gave_up(&self, at: Timestamp, seq: u32, last: Attempt, (error, maybe): (&CallFailure, bool)) -> Vec<String> {
        let Some(call) = self.calls.get(&seq) else { return Vec::new() };
        let mut wrong = Vec::new();
        if !self.may_give_up(at, call, last, (error, maybe)) {
            wrong.push(format!("seq {seq} is given up with attempt {last}: {error:?}"));
        }
        if let CallFailure::Exhausted { attempts, .. } = error
            && *attempts != last
        {
            wrong.push(format!("seq {seq} is said to have had {attempts} attempts, and attempt {last} was the last"));
        }
        if is_cut(error) {
            wrong.extend(self.cut_early(seq, last));
        }
        wrong
    }

    fn may_give_up(
        &self,
        at: Timestamp,
        call: &Called<'_>,
        last: Attempt,
        (error, maybe): (&CallFailure, bool),
    ) -> bool {
        let has_no_more = call.ask.is_none_or(|ask| last.0 >= ask.most());
        // Of an at-most-once call that may stand there is no second one, and none of one that the code has dropped.
        let has_no_other = call.is_dropped || (call.scheduled.binding.at_most_once && maybe);
        // The next one would begin behind the call's own deadline.
        let wait = call.ask.map_or(LATE_MAX, |ask| ask.wait_max(last.0));
        let has_no_time = call.deadline().is_some_and(|deadline| at.after(wait) >= deadline);
        match error {
            CallFailure::Cancelled => call.is_dropped,
            CallFailure::TimedOut(Which::StartToClose) | CallFailure::Panicked(_) | CallFailure::Interrupted => {
                has_no_more || has_no_other || has_no_time
            }
            CallFailure::TimedOut(_) => call.deadline().is_some_and(|deadline| at >= deadline || self.case.sets_back()),
            CallFailure::App { error, .. } => {
                let is_final = matches!(payload::decode::<Refusal>(error), Ok(Refusal::Final(_)));
                is_final || has_no_more || has_no_other || has_no_time
            }
            CallFailure::Exhausted { last: error, .. } => self.may_give_up(at, call, last, (error, maybe)),
        }
    }

    // Limits.

    /// An attempt that was cut by its time limit had that time.
    fn cut_early(&self, seq: u32, attempt: Attempt) -> Option<String> {
        let mut its = self.attempts.iter().rev().filter(|seen| seen.seq == seq && seen.attempt == attempt.0);
        let seen = its.next().filter(|seen| seen.ended != Ended::Died && self.case.holds_nothing_up())?;
        let (lasted, limit) = (seen.until - seen.began, seen.ask.limit());
        (lasted < limit).then(|| format!("attempt {attempt} of seq {seq} was cut after {lasted:?}, of {limit:?}"))
    }

    /// A call does not outlast its schedule-to-close.
    fn settled(&mut self, at: Timestamp, seq: u32) -> Option<String> {
        let call = self.calls.get_mut(&seq)?;
        call.is_settled = true;
        let deadline = call.deadline().filter(|_| self.case.is_prompt() && self.case.has_one_clock())?;
        let late = at > self.seen.latest(deadline, at);
        late.then(|| format!("the time of seq {seq} was over at {}, and it is settled at {}", deadline.0, at.0))
    }

    /// Nor is it open behind that.
    fn left_open(&self, at: Timestamp) -> Vec<String> {
        if !self.case.is_prompt() || !self.case.has_one_clock() {
            return Vec::new();
        }
        let open = self.calls.iter().filter(|(_, call)| !call.is_settled && !call.is_dropped);
        let late = open.filter(|(_, call)| call.deadline().is_some_and(|due| at > self.seen.latest(due, at)));
        late.map(|(seq, _)| format!("the time of seq {seq} was over, and it is open at {}", at.0)).collect()
    }

    /// No attempt begins when the time of the whole call is over.
    fn behind_deadline(&self) -> Vec<String> {
        if !self.case.has_one_clock() {
            return Vec::new();
        }
        let deadline = |attempt: &AttemptSeen| self.calls.get(&attempt.seq).and_then(Called::deadline);
        let late = self.attempts.iter().filter(|attempt| deadline(attempt).is_some_and(|due| attempt.wall > due));
        late.map(|attempt| format!("attempt {} of seq {} begins behind its time", attempt.attempt, attempt.seq))
            .collect()
    }
}

/// Whether an attempt took longer than it may.
fn outlasts(attempt: &AttemptSeen) -> Option<String> {
    let (lasted, limit) = (attempt.until - attempt.began, attempt.ask.limit());
    let AttemptSeen { seq, attempt: number, .. } = attempt;
    (lasted > limit + LATE_MAX).then(|| format!("attempt {number} of seq {seq} took {lasted:?}, of {limit:?}"))
}

fn is_cut(error: &CallFailure) -> bool {
    match error {
        CallFailure::TimedOut(which) => *which == Which::StartToClose,
        CallFailure::Exhausted { last, .. } => is_cut(last),
        CallFailure::App { .. } | CallFailure::Panicked(_) | CallFailure::Interrupted | CallFailure::Cancelled => false,
    }
}
