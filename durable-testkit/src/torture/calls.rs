//! What attempts did, beside what is recorded of their calls: each is recorded before it begins, one runs at a time, and none begins when
//! the call, or its run, has its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use durable::RunId;
use durable::kernel::event::Event;
use durable::kernel::id::Attempt;

use super::case::Case;
use super::oracle::{Record, Settled};
use super::stage::{Acked, AttemptSeen, Ended, Seen, number_of};

/// What is wrong with attempts.
pub(super) fn judge(case: &Case, seen: &Seen, records: &BTreeMap<RunId, Record<'_>>) -> Vec<String> {
    let mut calls: BTreeMap<(RunId, u32), Vec<&AttemptSeen>> = BTreeMap::new();
    for attempt in &seen.attempts {
        calls.entry((attempt.run, attempt.seq)).or_default().push(attempt);
    }
    let mut keys: BTreeMap<&str, (RunId, u32)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for ((run, seq), attempts) in &calls {
        let Some(record) = records.get(run) else {
            wrong.push(format!("an attempt began of a run that is not recorded: {}", shown(attempts[0])));
            continue;
        };
        for attempt in attempts {
            if keys.insert(&attempt.key, (*run, *seq)).is_some_and(|before| before != (*run, *seq)) {
                wrong.push(format!("another call has this one's key: {}", shown(attempt)));
            }
        }
        let call = Call { seen, record, seq: *seq, attempts };
        wrong.extend(call.judge());
    }
    wrong.extend(behind_end(case, seen, records));
    wrong
}

/// A closed run begins nothing: neither behind its recorded end, nor when somebody was told of that.
fn behind_end(case: &Case, seen: &Seen, records: &BTreeMap<RunId, Record<'_>>) -> Vec<String> {
    let mut told: BTreeMap<String, Duration> = BTreeMap::new();
    for ack in &seen.acks {
        if let Acked::Ended(program, _) | Acked::Closed(program) | Acked::Terminated(program) = &ack.what {
            told.entry(Case::id(*program)).or_insert(ack.at);
        }
    }
    let is_late = |attempt: &&AttemptSeen| {
        let end = records.get(&attempt.run).and_then(|record| record.past.journal.last());
        let is_behind = end.is_some_and(|(_, at, event)| matches!(event, Event::RunEnded(_)) && attempt.wall > *at);
        let was_told = told.get(attempt.id.as_str()).is_some_and(|told| attempt.began > *told);
        (was_told || (is_behind && case.has_one_clock())) && !seen.is_outdated(attempt)
    };
    let late = seen.attempts.iter().filter(is_late);
    late.map(|attempt| format!("an attempt began behind the end of its run: {}", shown(attempt))).collect()
}

/// A call with its attempts, in order.
struct Call<'a> {
    seen: &'a Seen,
    record: &'a Record<'a>,
    seq: u32,
    attempts: &'a [&'a AttemptSeen],
}

impl Call<'_> {
    fn judge(&self) -> Vec<String> {
        let Some((call, _)) = self.record.calls.get(&self.seq) else {
            return vec![format!("an attempt began of a call that is not recorded: {}", shown(self.attempts[0]))];
        };
        let mut wrong = Vec::new();
        for attempt in self.attempts {
            if attempt.name != call.name || attempt.key != self.attempts[0].key {
                wrong.push(format!("an attempt of another call, or of another key: {}", shown(attempt)));
            }
            if attempt.attempt > attempt.ask.most() {
                wrong.push(format!("more attempts than {}: {}", attempt.ask.most(), shown(attempt)));
            }
        }
        wrong.extend(self.unrecorded(call.binding.at_most_once));
        wrong.extend(self.attempts.windows(2).filter_map(|pair| self.pair(pair[0], pair[1])));
        if call.binding.at_most_once {
            let before = &self.attempts[..self.attempts.len() - 1];
            let unknown = |attempt: &&&AttemptSeen| matches!(attempt.ended, Ended::Not | Ended::Died);
            let unknown = before.iter().find(unknown).map(|attempt| shown(attempt));
            wrong.extend(unknown.map(|shown| format!("an at-most-once call began again after {shown}")));
        }
        if let Some(settled) = self.record.settled.get(&self.seq) {
            wrong.extend(self.behind(settled));
            wrong.extend(self.result(settled));
        }
        wrong
    }

    /// Every attempt but the first, and that too of an at-most-once call, is recorded before it begins.
    fn unrecorded(&self, at_most_once: bool) -> Vec<String> {
        let started = self.record.past.journal.iter().filter_map(|(_, _, event)| match event {
            Event::AttemptStarted { seq, attempt } if seq.0 == self.seq => Some(*attempt),
            _ => None,
        });
        let started: BTreeSet<Attempt> = started.collect();
        let must = |attempt: &&&AttemptSeen| attempt.attempt > 1 || at_most_once;
        let missing = self.attempts.iter().filter(must).filter(|seen| !started.contains(&Attempt(seen.attempt)));
        missing.map(|attempt| format!("it is not recorded that it may begin: {}", shown(attempt))).collect()
    }

    /// Two attempts, one after the other.
    fn pair(&self, before: &AttemptSeen, after: &AttemptSeen) -> Option<String> {
        let (told, again) = (shown(before), shown(after));
        // A process that lost the store while it was stopped may begin what the new owner has done: stated, not solved.
        if self.seen.is_outdated(after) || self.seen.is_outdated(before) {
            return None;
        }
        // A process that was stopped may hear of the result when the time limit has passed as well.
        let in_time = before.until - before.began < before.ask.limit();
        if before.ended == Ended::Gave && before.process == after.process && in_time {
            return Some(format!("an attempt after the call had its result: {told}, then {again}"));
        }
        if before.process == after.process && before.until > after.began {
            return Some(format!("an attempt while another one ran on until {:?}: {told}, then {again}", before.until));
        }
        if before.ended == Ended::Not {
            return Some(format!("an attempt while another one ran: {told}, then {again}"));
        }
        let same = before.attempt == after.attempt;
        // A shutdown puts an attempt aside, also one whose end it has not heard of yet.
        let was_parked = before.process != after.process && self.seen.shut_down.contains(&before.process);
        if after.attempt < before.attempt || (same && before.ended != Ended::Dropped && !was_parked) {
            return Some(format!("an attempt's number came again: {told}, then {again}"));
        }
        None
    }

    /// The recorded outcome is that of the last attempt, in whatever process one may have begun.
    fn behind(&self, settled: &Settled) -> Option<String> {
        let behind = self.attempts.iter().find(|attempt| attempt.attempt > settled.attempt.0)?;
        Some(format!("the outcome is that of attempt {}, and there was another: {}", settled.attempt, shown(behind)))
    }

    /// What is recorded of a call is what one of its attempts gave, and none began in a later process.
    fn result(&self, settled: &Settled) -> Option<String> {
        let given = settled.given?;
        let Some(source) = self.attempts.iter().find(|attempt| attempt.nonce == given.nonce) else {
            let (id, seq) = (self.record.id, self.seq);
            return Some(format!("`{id}`, seq {seq}: the recorded result is that of no attempt of it: {given:?}"));
        };
        if source.ended != Ended::Gave || source.attempt != given.attempt || number_of(source.run) != given.run {
            return Some(format!("the recorded result is not what the attempt gave: {given:?}, {}", shown(source)));
        }
        let is_later = |attempt: &&&AttemptSeen| {
            attempt.process > source.process
                && self.seen.opened_at(attempt.process) > self.seen.opened_at(source.process)
                && !self.seen.is_outdated(attempt)
        };
        let later = self.attempts.iter().find(is_later)?;
        Some(format!("an attempt began although {} had been recorded: {}", shown(source), shown(later)))
    }
}

fn shown(attempt: &AttemptSeen) -> String {
    let AttemptSeen { id, seq, attempt: number, name, process, nonce, ended, began, .. } = attempt;
    format!(
        "attempt {number} of {name}, `{id}` seq {seq}, in process {process} at {began:?} (nonce {nonce}, {ended:?})"
    )
}
