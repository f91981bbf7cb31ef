//! What one run's journal has to hold by itself, beside what the world saw, and beside the journals of its children. It reads what is
//! recorded and knows nothing of how the engine comes to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use durable::kernel::event::{
    ActivityScheduled, AttemptCause, CallFailure, ChildScheduled, ClosePolicy, End, Entry, Event, RunEnded, Text,
};
use durable::kernel::id::{Attempt, Timestamp};
use durable::runtime::replay::EndCheck;

use super::case::Case;
use super::facts::LATE_MAX;
use super::look::{Look, Past};
use super::program::Build;
use super::retold::Retold;
use super::stage::{AttemptSeen, Seen};

/// What is wrong with the journals.
pub(super) fn judge(case: &Case, seen: &Seen, look: &Look, retold: &BTreeMap<&Text, Retold>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, past) in &look.runs {
        let attempts: Vec<&AttemptSeen> =
            seen.attempts.iter().filter(|attempt| attempt.run == past.started.run).collect();
        let history = History { case, seen, look, past, attempts };
        let mut its = history.judge();
        its.extend(retold.get(id).map(|retold| history.replayed(retold)).unwrap_or_default());
        wrong.extend(its.into_iter().map(|what| format!("`{id}`: {what}")));
    }
    wrong
}

struct History<'a> {
    case: &'a Case,
    seen: &'a Seen,
    look: &'a Look,
    past: &'a Past,
    /// Its attempts, in order.
    attempts: Vec<&'a AttemptSeen>,
}

impl History<'_> {
    fn judge(&self) -> Vec<String> {
        let mut wrong = self.calls();
        wrong.extend(self.parked());
        wrong.extend(self.children());
        if self.case.has_one_clock() {
            wrong.extend(self.back_off());
            wrong.extend(self.blocked());
        }
        if self.case.has_one_clock() && self.case.is_prompt() {
            wrong.extend(self.late());
        }
        wrong
    }

    // Calls.

    fn calls(&self) -> Vec<String> {
        let mut calls: BTreeMap<u32, CallPast> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (_, _, event) in &self.past.journal {
            if let Event::Turn { entries, .. } = event {
                note_entries(&mut calls, entries);
            } else if let Some(call) = seq_of(event).and_then(|seq| calls.get_mut(&seq)) {
                wrong.extend(call.note(event));
            }
        }
        if let Some(ended) = &self.past.ended {
            wrong.extend(unknown(&calls, ended));
        }
        wrong
    }

    /// An attempt begins again in another process under its number only if it was put aside.
    fn parked(&self) -> Vec<String> {
        let parked = self.past.journal.iter().filter_map(|(_, _, event)| match event {
            Event::AttemptParked { seq, attempt } => Some((seq.0, *attempt)),
            _ => None,
        });
        let parked: BTreeSet<(u32, Attempt)> = parked.collect();
        let mut last: BTreeMap<u32, &AttemptSeen> = BTreeMap::new();
        let mut wrong = Vec::new();
        for attempt in &self.attempts {
            let before = last.insert(attempt.seq, attempt);
            let again = before.filter(|before| {
                before.attempt == attempt.attempt && before.process != attempt.process && !self.seen.is_outdated(before)
            });
            if again.is_some()
                && !self.seen.is_outdated(attempt)
                && !parked.contains(&(attempt.seq, Attempt(attempt.attempt)))
            {
                let AttemptSeen { seq, attempt: number, .. } = attempt;
                wrong.push(format!("attempt {number} of seq {seq} began again and was not put aside"));
            }
        }
        wrong
    }

    /// The next attempt of a call does not begin before it is due.
    fn back_off(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (_, _, event) in &self.past.journal {
            let Event::AttemptFailed { seq, attempt, due, .. } = event else { continue };
            let next = self.attempts.iter().find(|next| next.seq == seq.0 && next.attempt == attempt.0 + 1);
            let early = next.filter(|next| next.wall < *due && !self.seen.is_outdated(next));
            wrong
                .extend(early.map(|next| {
                    format!("attempt {} of seq {seq}, due {}, began {}", next.attempt, due.0, next.wall.0)
                }));
        }
        wrong
    }

    /// While a run is blocked nothing of it begins.
    fn blocked(&self) -> Vec<String> {
        let mut since = None;
        let mut spans = Vec::new();
        for (_, at, event) in &self.past.journal {
            match event {
                Event::RunBlocked { .. } => since = since.or(Some(*at)),
                Event::RunUnblocked { .. } | Event::RunEnded(_) => spans.extend(since.take().map(|from| (from, *at))),
                _ => {}
            }
        }
        let begins = |(from, to): &(Timestamp, Timestamp)| {
            self.attempts.iter().find(|attempt| {
                // Code that differs from its beginning is blocked before anything of the run begins in its process.
                let from = if self.begins_otherwise(attempt) { *from } else { from.after(Duration::from_millis(1)) };
                attempt.wall >= from && attempt.wall < *to && !self.seen.is_outdated(attempt)
            })
        };
        let early = spans.iter().filter_map(begins);
        early
            .map(|attempt| {
                format!("attempt {} of seq {} began while the run was blocked", attempt.attempt, attempt.seq)
            })
            .collect()
    }

    /// Whether it began under code whose first turn is not the recorded one.
    fn begins_otherwise(&self, attempt: &AttemptSeen) -> bool {
        self.seen.build_of(attempt.process).is_some_and(|build| build.differs() && build != Build::Broken)
    }

    // Replays.

    /// The code that recorded the journal gives it again, and the keys by which the world knows its calls.
    fn replayed(&self, retold: &Retold) -> Vec<String> {
        let replayed = match &retold.replayed {
            Ok(replayed) => replayed,
            Err(why) => return vec![format!("its journal is not replayed: {why}")],
        };
        let mut wrong = Vec::new();
        if self.past.ended.is_some() && replayed.end == EndCheck::Open {
            wrong.push("the replay has no end".to_owned());
        }
        for call in &replayed.calls {
            let other = self.attempts.iter().find(|attempt| attempt.seq == call.seq && attempt.key != call.key);
            wrong.extend(other.map(|other| {
                format!("the replay has seq {} under the key {}, and the world under {}", call.seq, call.key, other.key)
            }));
        }
        wrong
    }

    // Children.

    /// A child that its parent dropped, or that ends with its parent, is cancelled or terminated, unless it had ended.
    fn children(&self) -> Vec<String> {
        let mut open: BTreeMap<u32, &ChildScheduled> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (_, at, event) in &self.past.journal {
            match event {
                Event::Turn { entries, .. } => {
                    for entry in entries {
                        match entry {
                            Entry::ChildScheduled(child) => drop(open.insert(child.seq.0, child)),
                            Entry::CommandDropped { seq } => {
                                let dropped = open.remove(&seq.0);
                                wrong.extend(dropped.and_then(|child| self.goes_on(child, *at)));
                            }
                            _ => {}
                        }
                    }
                }
                Event::ChildEnded { seq, .. } => drop(open.remove(&seq.0)),
                Event::RunEnded(_) => {
                    let left = std::mem::take(&mut open).into_values();
                    wrong.extend(left.filter_map(|child| self.goes_on(child, *at)));
                }
                _ => {}
            }
        }
        wrong
    }

    fn goes_on(&self, child: &ChildScheduled, since: Timestamp) -> Option<String> {
        if child.close == ClosePolicy::Abandon || !self.case.has_one_clock() {
            return None;
        }
        let past = self.look.runs.get(&child.id)?;
        let is_told = |event: &Event| match event {
            Event::CancelRequested { .. } => true,
            Event::RunEnded(ended) => matches!(ended.how, End::Terminated | End::NotStarted),
            _ => false,
        };
        let ended = past.journal.iter().find(|(_, _, event)| matches!(event, Event::RunEnded(_)));
        let had_ended = ended.is_some_and(|(_, at, _)| *at <= since.after(LATE_MAX));
        let is_told = past.journal.iter().any(|(_, _, event)| is_told(event));
        (!had_ended && !is_told).then(|| format!("its child `{}` goes on although it was dropped", child.id))
    }

    // Lateness.

    /// Timers and the run's time limit are not late where nothing holds a process up.
    fn late(&self) -> Vec<String> {
        let mut due: BTreeMap<u32, Timestamp> = BTreeMap::new();
        let mut wrong = Vec::new();
        for (_, at, event) in &self.past.journal {
            match event {
                Event::Turn { entries, .. } => due.extend(entries.iter().filter_map(|entry| match entry {
                    Entry::TimerStarted { seq, due } => Some((seq.0, *due)),
                    _ => None,
                })),
                Event::TimerFired { seq, .. } => {
                    let late = due.get(&seq.0).filter(|due| *at > self.seen.latest(**due, *at));
                    wrong.extend(late.map(|due| format!("timer {seq}, due {}, fires {}", due.0, at.0)));
                }
                Event::RunTimedOut { .. } | Event::RunEnded(_) => {
                    let late = self.past.started.deadline.filter(|due| *at > self.seen.latest(*due, *at));
                    let late = late.filter(|_| !self.was_cut() || matches!(event, Event::RunTimedOut { .. }));
                    wrong.extend(late.map(|due| format!("its time was over at {}, and at {} it goes on", due.0, at.0)));
                }
                _ => {}
            }
        }
        wrong
    }

    /// Whether its time limit has cut it, or had nothing left to cut: what undoes and what cleans up is not cut.
    fn was_cut(&self) -> bool {
        let cuts = |event: &Event| {
            matches!(
                event,
                Event::RunTimedOut { .. } | Event::CompensationStarted { .. } | Event::CancelRequested { .. }
            )
        };
        self.past.journal.iter().any(|(_, _, event)| cuts(event))
    }
}

/// A call, as far as its journal goes.
struct CallPast<'a> {
    call: &'a ActivityScheduled,
    /// Whether the code has dropped it.
    is_dropped: bool,
    /// Whether an attempt of it timed out, panicked or was interrupted.
    may_stand: bool,
    /// Whether it failed for good.
    has_failed: bool,
    /// Whether it has an outcome.
    is_settled: bool,
    /// Which call undoes it.
    undone_by: Option<u32>,
}

impl CallPast<'_> {
    /// Takes in an event of it, and says what is wrong with it.
    fn note(&mut self, event: &Event) -> Option<String> {
        let seq = self.call.seq;
        if self.is_settled {
            return Some(format!("behind the outcome of seq {seq} there is {event:?}"));
        }
        self.is_settled = matches!(event, Event::ActivityCompleted { .. } | Event::ActivityFailed { .. });
        match event {
            Event::AttemptStarted { attempt, .. } if self.is_dropped => {
                Some(format!("attempt {attempt} of seq {seq} begins behind the drop of the call"))
            }
            Event::AttemptStarted { attempt, .. } if self.call.binding.at_most_once && self.may_stand => {
                Some(format!("attempt {attempt} of the at-most-once call {seq} begins although one may have done it"))
            }
            Event::AttemptFailed { cause, maybe, .. } => {
                self.may_stand |= !matches!(cause, AttemptCause::Error { .. });
                if self.is_dropped {
                    return Some(format!("seq {seq} is to be tried again behind the drop of the call"));
                }
                (self.may_stand && !maybe).then(|| format!("it is forgotten that the effect of seq {seq} may stand"))
            }
            Event::ActivityCompleted { .. } => self.settled(),
            Event::ActivityFailed { error, maybe, .. } => {
                self.has_failed = true;
                self.may_stand |= is_unknown(error);
                let forgotten = self.may_stand && !maybe;
                self.settled().or_else(|| {
                    forgotten.then(|| format!("it is forgotten at its end that the effect of seq {seq} may stand"))
                })
            }
            _ => None,
        }
    }

    fn settled(&self) -> Option<String> {
        let owes = self.call.undo.owes();
        (self.is_dropped && !owes).then(|| format!("seq {} has an outcome behind the drop of the call", self.call.seq))
    }
}

fn note_entries<'a>(calls: &mut BTreeMap<u32, CallPast<'a>>, entries: &'a [Entry]) {
    for entry in entries {
        match entry {
            Entry::ActivityScheduled(call) => {
                if let Some(undone) = call.undoes.and_then(|of| calls.get_mut(&of.0)) {
                    undone.undone_by = Some(call.seq.0);
                }
                let past = CallPast {
                    call,
                    is_dropped: false,
                    may_stand: false,
                    has_failed: false,
                    is_settled: false,
                    undone_by: None,
                };
                calls.insert(call.seq.0, past);
            }
            Entry::CommandDropped { seq } => {
                if let Some(call) = calls.get_mut(&seq.0) {
                    call.is_dropped = true;
                }
            }
            _ => {}
        }
    }
}

/// An effect that may stand is undone, if there is something that undoes it, or named.
fn unknown(calls: &BTreeMap<u32, CallPast<'_>>, ended: &RunEnded) -> Vec<String> {
    if ended.body == End::Completed {
        return Vec::new();
    }
    let named = ended.undone.undone.iter().chain(&ended.undone.not_undone).chain(&ended.undone.unknown);
    let named: BTreeSet<u32> = named.map(|call| call.seq.0).collect();
    let mut wrong = Vec::new();
    let open = calls.iter().filter(|(_, past)| past.has_failed && past.may_stand && past.undone_by.is_none());
    for (seq, past) in open {
        if past.call.undo.unknown && ended.body != End::Terminated {
            wrong.push(format!("the effect of seq {seq} may stand, and what undoes it never ran"));
        } else if past.call.undo.binds() && !named.contains(seq) {
            wrong.push(format!("the effect of seq {seq} may stand, and the end does not name it"));
        }
    }
    wrong
}

fn is_unknown(error: &CallFailure) -> bool {
    match error {
        CallFailure::Interrupted | CallFailure::Panicked(_) => true,
        CallFailure::Exhausted { last, .. } => is_unknown(last),
        CallFailure::App { .. } | CallFailure::TimedOut(_) | CallFailure::Cancelled => false,
    }
}

fn seq_of(event: &Event) -> Option<u32> {
    match event {
        Event::AttemptStarted { seq, .. }
        | Event::AttemptFailed { seq, .. }
        | Event::AttemptParked { seq, .. }
        | Event::ActivityCompleted { seq, .. }
        | Event::ActivityFailed { seq, .. } => Some(seq.0),
        _ => None,
    }
}
