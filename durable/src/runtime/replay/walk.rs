//! One walk through a journal: every event is taken in, every recorded turn is polled again. It stops at the first difference.

use std::collections::BTreeMap;

use super::report::{Divergence, EndCheck, NotReplayed, Replayed, ReplayedCall};
use super::{Results, report};
use crate::codec::{event, kind};
use crate::kernel::command::Command;
use crate::kernel::engine::{LoadFailure, TurnEnd, Turns};
use crate::kernel::event::{End, Entry, Event, Payload, RunEnded, RunStarted, Text};
use crate::kernel::id::{EventNo, RunNo, Seq};
use crate::kernel::machine::{Machine, TurnDone};
use crate::runtime::status::Status;
use crate::runtime::turns::{Hot, Retraced, Unturned};
use crate::store::log::JournalEvent;

/// The number of the one run in memory.
const RUN: RunNo = RunNo(1);

/// See the head of the file.
pub(super) struct Walk<'a> {
    hot: Hot,
    started: &'a RunStarted,
    journal: &'a [JournalEvent],
    results: Results,
    waiting: Unturned,
    turns: u64,
    calls: BTreeMap<Seq, ReplayedCall>,
    warnings: Vec<Text>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(hot: Hot, started: &'a RunStarted, journal: &'a [JournalEvent], results: Results) -> Walk<'a> {
        let (waiting, calls) = (Unturned::new(), BTreeMap::new());
        Walk { hot, started, journal, results, waiting, turns: 0, calls, warnings: Vec::new() }
    }

    /// The whole journal; an open one with the events that have no turn yet.
    pub(super) fn whole(mut self) -> Result<Replayed, NotReplayed> {
        self.retrace(self.journal.len())?;
        let ended = self.journal.last().and_then(|(_, _, event)| run_ended(event));
        if ended.is_none() {
            self.go_on()?;
        }
        self.hot.put_away(RUN);
        let (events, started) = (self.journal.len() as u64, self.started);
        Ok(Replayed {
            id: started.id.to_string(),
            namespace: started.namespace.to_string(),
            run: started.run,
            workflow: started.workflow.to_string(),
            version: started.version,
            events,
            matched: events,
            turns: self.turns,
            status: ended.map_or(Status::Running, |ended| ended.how.into()),
            end: match ended {
                None => EndCheck::Open,
                Some(ended) if is_from_outside(ended) => EndCheck::FromOutside,
                Some(_) => EndCheck::Alike,
            },
            calls: self.calls.into_values().collect(),
            warnings: self.warnings.iter().map(ToString::to_string).collect(),
        })
    }

    /// The journal up to the turn that stands at `at`, as a run that was put away is loaded.
    pub(super) fn up_to(mut self, at: usize) -> Result<(), NotReplayed> {
        self.retrace(at + 1)?;
        self.hot.put_away(RUN);
        Ok(())
    }

    fn retrace(&mut self, len: usize) -> Result<(), NotReplayed> {
        let journal = self.journal.get(..len).unwrap_or_default();
        self.hot.begin_replay(RUN, journal).map_err(|failure| self.failed(0, failure))?;
        for (at, event) in journal.iter().enumerate() {
            let next = self.journal.get(at + 1).map(|(_, _, next)| next);
            self.note(&event.2);
            let retraced = self.hot.retrace(RUN, event.clone(), next, &mut self.waiting);
            match retraced.map_err(|failure| self.failed(at, failure))? {
                Retraced::Turn(done, end) => self.turn(at, done, end, self.end_behind(at))?,
                Retraced::Delivered(_) | Retraced::Other => {}
            }
        }
        Ok(())
    }

    /// The run's end, if it ended in the turn that stands at `at`: behind it, or behind the begin of an undoing that had nothing left
    /// to wait for.
    fn end_behind(&self, at: usize) -> Option<&'a RunEnded> {
        let mut behind = self.journal.iter().skip(at + 1).map(|(_, _, event)| event);
        let next = behind.next();
        let next = if let Some(Event::CompensationStarted { .. }) = next { behind.next() } else { next };
        next.and_then(run_ended)
    }

    /// A turn asked for what is recorded: that leaves the end, if the run ended in it here or there.
    fn turn(
        &mut self,
        at: usize,
        done: TurnDone,
        end: Option<(End, Payload)>,
        recorded: Option<&RunEnded>,
    ) -> Result<(), NotReplayed> {
        self.turns += 1;
        match (end, recorded.filter(|ended| !is_from_outside(ended))) {
            (None, None) => {}
            (Some((how, _)), None) => return Err(self.failed(at, self.hot.ends_early(RUN, done.of, how))),
            (None, Some(ended)) => {
                let reason = report::ends_late(ended, self.hot.polled_last(RUN));
                return Err(self.diverged(at, reason));
            }
            (Some((how, result)), Some(ended)) => {
                let alike = how == ended.body && (self.results == Results::Any || is_same(&result, &ended.result));
                if !alike {
                    return Err(self.diverged(at, report::ends_otherwise(ended, how, &result)));
                }
            }
        }
        self.take_calls(done);
        Ok(())
    }

    /// Gives the code the events that have no turn, as the next open would.
    fn go_on(&mut self) -> Result<(), NotReplayed> {
        self.hot.machine(RUN, Machine::forget);
        for (no, event_at, event) in std::mem::take(&mut self.waiting) {
            let at = self.journal.partition_point(|(earlier, _, _)| *earlier < no);
            match self.hot.turn(RUN, no, event_at, &event) {
                TurnEnd::Quiet(_) => {}
                TurnEnd::Ended(..) => break,
                TurnEnd::Blocked(reason) => return Err(self.failed(at, LoadFailure::Fault(reason))),
                TurnEnd::Stuck(reason) => return Err(self.failed(at, LoadFailure::Outside(reason))),
            }
        }
        Ok(())
    }

    fn take_calls(&mut self, mut done: TurnDone) {
        for issued in std::mem::take(&mut done.asked) {
            if let Command::CallActivity(call) = &issued.command {
                let call = ReplayedCall::new(self.started.run, done.of, call, &issued);
                self.calls.insert(issued.seq, call);
            }
        }
        for entry in &done.entries {
            if let Entry::CommandDropped { seq } = entry
                && let Some(call) = self.calls.get_mut(seq)
            {
                call.dropped();
            }
        }
        self.warnings.extend(std::mem::take(&mut done.warnings));
    }

    /// What an event of the journal says of a call.
    fn note(&mut self, event: &Event) {
        let seq = match event {
            Event::AttemptStarted { seq, .. }
            | Event::AttemptFailed { seq, .. }
            | Event::AttemptParked { seq, .. }
            | Event::ActivityCompleted { seq, .. }
            | Event::ActivityFailed { seq, .. } => seq,
            _ => return,
        };
        if let Some(call) = self.calls.get_mut(seq) {
            call.note(event);
        }
    }

    fn failed(&self, at: usize, failure: LoadFailure) -> NotReplayed {
        match failure {
            LoadFailure::Fault(reason) => self.diverged(at, reason.to_string()),
            LoadFailure::Outside(reason) => {
                NotReplayed::Stuck { id: self.started.id.to_string(), event: self.no(at).0, reason: reason.to_string() }
            }
        }
    }

    /// The code differs at the event that stands at `at`: all before it agreed.
    fn diverged(&self, at: usize, reason: String) -> NotReplayed {
        let kind = self.journal.get(at).and_then(|(_, _, event)| kind::name(event::kind_of(event))).unwrap_or_default();
        NotReplayed::Diverged(Box::new(Divergence {
            id: self.started.id.to_string(),
            run: self.started.run,
            workflow: self.started.workflow.to_string(),
            version: self.started.version,
            event: self.no(at).0,
            kind,
            matched: at as u64,
            events: self.journal.len() as u64,
            turns: self.turns,
            reason,
        }))
    }

    fn no(&self, at: usize) -> EventNo {
        self.journal.get(at).map(|(no, _, _)| *no).unwrap_or_default()
    }
}

fn run_ended(event: &Event) -> Option<&RunEnded> {
    match event {
        Event::RunEnded(ended) => Some(ended),
        _ => None,
    }
}

/// Whether the run was ended over the code's head: then there is nothing to compare.
fn is_from_outside(ended: &RunEnded) -> bool {
    matches!(ended.how, End::Terminated | End::NotStarted)
}

/// Whether two results are one value, also where a map was written in another order.
fn is_same(one: &Payload, other: &Payload) -> bool {
    one == other || crate::payload::to_json(one) == crate::payload::to_json(other)
}
