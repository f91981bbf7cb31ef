//! The oracle: what has to hold of every play, whatever went wrong in it. It compares what the world saw with what the store holds; it
//! knows nothing of how the engine works inside.

use std::collections::{BTreeMap, BTreeSet};

use durable::kernel::event::{ActivityScheduled, End, Entry, Event, RunEnded, Text};
use durable::kernel::id::{Attempt, EventNo, RunNo, Seq};
use durable::kernel::tables::Tables;
use durable::{Failure, RunError, RunId, payload};

use super::case::{Case, Deed};
use super::look::{Look, Past};
use super::play::Played;
use super::program::{Given, Word};
use super::retold::Retold;
use super::stage::{Acked, Once, Seen, number_of};
use super::{calls, history, sight, timing};

/// What is wrong with a play; empty if nothing is.
#[must_use]
pub fn judge(case: &Case, played: &Played) -> Vec<String> {
    let mut wrong = played.seen.wrong.clone();
    match (&played.first, &played.second) {
        (Ok(first), Ok(second)) => {
            let judge = Judge { case, seen: &played.seen, look: first, wrong: &mut wrong };
            judge.judge();
            let retold: BTreeMap<&Text, Retold> = first.runs.iter().map(|(id, past)| (id, Retold::of(past))).collect();
            wrong.extend(history::judge(case, &played.seen, first, &retold));
            wrong.extend(timing::judge(case, &played.seen, first));
            wrong.extend(sight::judge(case, &played.seen, retold.values()));
            compare(first, second, &mut wrong);
        }
        (Err(error), _) | (_, Err(error)) => wrong.push(format!("the store cannot be read: {error}")),
    }
    wrong
}

/// What was acknowledged by now is in the store as it is.
pub(super) fn acknowledged(case: &Case, seen: &Seen, look: &Look) -> Vec<String> {
    let mut wrong = Vec::new();
    Judge { case, seen, look, wrong: &mut wrong }.acks();
    wrong
}

/// A process that opens a store in which nothing is open changes no run.
fn compare(first: &Look, second: &Look, wrong: &mut Vec<String>) {
    if first.tables != second.tables {
        wrong.push(format!("another open changed the tables: {:?} and then {:?}", first.tables, second.tables));
    }
    if !first.is_like(second) {
        wrong.push("another open changed what is recorded".to_owned());
    }
}

/// The recorded end of a call.
pub(super) struct Settled {
    pub(super) no: EventNo,
    /// With which attempt.
    pub(super) attempt: Attempt,
    pub(super) given: Option<Given>,
}

/// A run with what the oracle asks of its journal.
pub(super) struct Record<'a> {
    pub(super) id: &'a Text,
    pub(super) past: &'a Past,
    pub(super) calls: BTreeMap<u32, (&'a ActivityScheduled, EventNo)>,
    pub(super) settled: BTreeMap<u32, Settled>,
}

impl Record<'_> {
    /// The event that the turn of this number saw.
    fn seen_in(&self, turn: EventNo) -> EventNo {
        let turns = self.past.journal.iter().filter(|(no, ..)| *no == turn);
        let mut of =
            turns.filter_map(|(_, _, event)| if let Event::Turn { of, .. } = event { Some(*of) } else { None });
        of.next_back().unwrap_or(turn)
    }
}

struct Judge<'a> {
    case: &'a Case,
    seen: &'a Seen,
    look: &'a Look,
    wrong: &'a mut Vec<String>,
}

impl<'a> Judge<'a> {
    fn judge(mut self) {
        if !self.look.rot.is_empty() {
            self.wrong.push(format!("the store is damaged: {:?}", self.look.rot));
        }
        if !self.look.is_clean {
            self.wrong.push("the last shutdown left no clean store".to_owned());
        }
        let mut records = BTreeMap::new();
        for (id, past) in &self.look.runs {
            let record = self.record(id, past);
            records.insert(past.started.run, record);
        }
        self.acks();
        self.signals();
        self.wrong.extend(calls::judge(self.case, self.seen, &records));
        self.bodies(&records);
        records.values().for_each(|record| self.run(record));
        self.tables();
    }

    // What is recorded.

    fn record(&mut self, id: &'a Text, past: &'a Past) -> Record<'a> {
        let mut record = Record { id, past, calls: BTreeMap::new(), settled: BTreeMap::new() };
        for (no, _, event) in &past.journal {
            match event {
                Event::Turn { entries, .. } => {
                    for entry in entries {
                        if let Entry::ActivityScheduled(call) = entry
                            && record.calls.insert(call.seq.0, (call, *no)).is_some()
                        {
                            self.wrong.push(format!("`{id}` has two calls of seq {}", call.seq));
                        }
                    }
                }
                Event::ActivityCompleted { seq, attempt, result, .. } => {
                    let given = payload::decode::<Given>(result);
                    if let Err(error) = &given {
                        self.wrong.push(format!("`{id}`, seq {seq}: the result does not decode: {error}"));
                    }
                    self.settle(&mut record, *seq, Settled { no: *no, attempt: *attempt, given: given.ok() });
                }
                Event::ActivityFailed { seq, attempt, .. } => {
                    self.settle(&mut record, *seq, Settled { no: *no, attempt: *attempt, given: None });
                }
                _ => {}
            }
        }
        record
    }

    fn settle(&mut self, record: &mut Record<'a>, seq: Seq, settled: Settled) {
        if !record.calls.contains_key(&seq.0) {
            self.wrong.push(format!("`{}` has a result of seq {seq}, which was not asked for", record.id));
        }
        if record.settled.insert(seq.0, settled).is_some() {
            self.wrong.push(format!("`{}` has two results of seq {seq}", record.id));
        }
    }

    // What was acknowledged.

    fn acks(&mut self) {
        let mut ends: BTreeMap<usize, &String> = BTreeMap::new();
        for ack in &self.seen.acks {
            let wrong = match &ack.what {
                Acked::Started(program, run) => self.started(*program, *run),
                Acked::Ended(program, told) => match ends.insert(*program, told) {
                    Some(before) if before != told => {
                        Some(format!("run {program} ended with {before}, and then with {told}"))
                    }
                    _ => self.ended(*program, told),
                },
                Acked::Closed(program) => self.closed(*program),
                Acked::Cancelled(program) => {
                    let is_it = |event: &Event| matches!(event, Event::CancelRequested { .. });
                    (!self.has(*program, is_it)).then(|| format!("the cancel of run {program} is lost"))
                }
                Acked::Terminated(program) => {
                    let is_it = |event: &Event| matches!(event, Event::RunEnded(ended) if ended.how == End::Terminated);
                    (!self.has(*program, is_it)).then(|| format!("the termination of run {program} is lost"))
                }
                Acked::Signalled(program, word, _) => {
                    (!self.words(*program).contains(word)).then(|| format!("signal {word:?} of run {program} is lost"))
                }
            };
            if let Some(wrong) = wrong {
                self.wrong.push(format!("acknowledged at {:?} by process {}: {wrong}", ack.at, ack.process));
            }
        }
    }

    fn past(&self, program: usize) -> Option<&'a Past> {
        self.look.runs.get(&Text::from(Case::id(program)))
    }

    fn has(&self, program: usize, is_it: impl Fn(&Event) -> bool) -> bool {
        self.past(program).is_some_and(|past| past.journal.iter().any(|(_, _, event)| is_it(event)))
    }

    fn started(&self, program: usize, run: RunId) -> Option<String> {
        match self.past(program) {
            None => Some(format!("the start of run {program} is lost")),
            Some(past) if past.started.run != run => {
                Some(format!("run {program} was {run} and is {}", past.started.run))
            }
            Some(_) => None,
        }
    }

    fn closed(&self, program: usize) -> Option<String> {
        let open = self.past(program).is_none_or(|past| past.ended.is_none());
        open.then(|| format!("the end of run {program} is lost"))
    }

    fn ended(&self, program: usize, told: &str) -> Option<String> {
        let Some(ended) = self.past(program).and_then(|past| past.ended.as_ref()) else {
            return Some(format!("the end of run {program} is lost: {told}"));
        };
        let recorded = recorded_end(ended);
        (recorded != told)
            .then(|| format!("run {program} was told to end with {told}, and is recorded to end with {recorded}"))
    }

    fn words(&self, program: usize) -> Vec<Word> {
        self.past(program).map(words_of).unwrap_or_default()
    }

    fn signals(&mut self) {
        for program in 0..self.case.programs.len() {
            let words = self.words(program);
            let mut last: BTreeMap<u8, u32> = BTreeMap::new();
            let mut known = BTreeSet::new();
            for word in words.iter().filter(|word| word.program != 255) {
                if usize::from(word.program) != program {
                    self.wrong.push(format!("run {program} has a signal for another: {word:?}"));
                }
                if self.sent(word).is_none() {
                    self.wrong.push(format!("run {program} has a signal that nobody sent: {word:?}"));
                }
                if !known.insert(*word) {
                    if self.is_anonymous(word) {
                        self.wrong.push(format!("run {program} has signal {word:?} twice"));
                    }
                    continue;
                }
                if last.insert(word.sender, word.number).is_some_and(|before| before > word.number) {
                    self.wrong.push(format!(
                        "run {program} has the signals of sender {} out of order: {words:?}",
                        word.sender
                    ));
                }
            }
        }
    }

    fn is_anonymous(&self, word: &Word) -> bool {
        self.sent(word) == Some(Once::No)
    }

    /// How a client sent it; none if none did.
    fn sent(&self, word: &Word) -> Option<Once> {
        let deeds = self.case.clients.get(usize::from(word.sender))?;
        match deeds.get(word.number as usize)?.deed {
            Deed::Signal(program, name, once) if (program, name) == (word.program, word.name) => {
                Some(if once { Once::Yes } else { Once::No })
            }
            _ => None,
        }
    }

    // What workflow code saw.

    fn bodies(&mut self, records: &BTreeMap<RunId, Record<'a>>) {
        let runs: BTreeMap<u64, &Record<'a>> = records.iter().map(|(run, record)| (number_of(*run), record)).collect();
        let sources: BTreeMap<u64, u32> =
            self.seen.attempts.iter().map(|attempt| (attempt.nonce, attempt.process)).collect();
        for body in &self.seen.bodies {
            let mut seqs: BTreeMap<u32, u64> = BTreeMap::new();
            for given in body.given() {
                if seqs.insert(given.seq, given.nonce).is_some() {
                    self.wrong.push(format!("a body saw seq {} twice: {given:?}", given.seq));
                }
                let settled = runs.get(&given.run).and_then(|record| record.settled.get(&given.seq));
                let Some(recorded) = settled.and_then(|settled| settled.given) else { continue };
                let source = sources.get(&recorded.nonce).copied().unwrap_or(0);
                let (was, is) = (self.seen.opened_at(body.process), self.seen.opened_at(source));
                if recorded.nonce != given.nonce && is <= was {
                    self.wrong.push(format!(
                        "process {} showed its code {given:?}, and {recorded:?} is recorded, which was there",
                        body.process
                    ));
                }
            }
            let mut heard: BTreeMap<(u8, u8), u32> = BTreeMap::new();
            for word in body.words().filter(|word| word.program != 255) {
                if heard.insert((word.name, word.sender), word.number).is_some_and(|before| before >= word.number) {
                    self.wrong
                        .push(format!("a body in process {} heard {word:?} again, or out of order", body.process));
                }
            }
        }
    }

    // What a run's journal says of itself.

    fn run(&mut self, record: &Record<'a>) {
        let wrong: Vec<String> =
            [numbers(record), timers(record), nothing_after_end(record)].into_iter().flatten().collect();
        self.wrong.extend(wrong);
        self.undone(record);
        if record.past.ended.is_none() {
            self.wrong.push(format!("`{}` has not ended", record.id));
        }
    }

    /// What was done and could be undone, was: once, newest first; or it is named.
    fn undone(&mut self, record: &Record<'a>) {
        let Some(ended) = &record.past.ended else { return };
        let mut undos: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (seq, (call, _)) in &record.calls {
            if let Some(of) = call.undoes {
                undos.entry(of.0).or_default().push(*seq);
            }
        }
        for (of, by) in &undos {
            self.undone_once(record, *of, by);
        }
        if matches!(ended.how, End::Completed | End::NotStarted) {
            return;
        }
        let named = ended.undone.undone.iter().chain(&ended.undone.not_undone).chain(&ended.undone.unknown);
        let named: BTreeSet<u32> = named.map(|call| call.seq.0).collect();
        for (seq, (call, _)) in &record.calls {
            let is_done = record.settled.get(seq).is_some_and(|settled| settled.given.is_some());
            let must = call.undo.undo && is_done && ended.body != End::Completed;
            if must && !undos.contains_key(seq) && !named.contains(seq) {
                self.wrong
                    .push(format!("`{}` ended {:?}, and seq {seq} is neither undone nor named", record.id, ended.how));
            }
        }
        self.newest_first(record);
    }

    /// One call undoes another, and is told of its effect.
    fn undone_once(&mut self, record: &Record<'a>, of: u32, by: &[u32]) {
        if by.len() > 1 {
            self.wrong.push(format!("`{}`: seq {of} is undone more than once, by {by:?}", record.id));
        }
        let effect = record.settled.get(&of).and_then(|settled| settled.given).map(|given| given.nonce);
        let asked = by.iter().filter_map(|seq| self.asked_to_undo(record, *seq)).find(|nonce| *nonce != 0);
        if asked.is_some_and(|asked| effect != Some(asked)) {
            let id = record.id;
            self.wrong.push(format!("`{id}`: the undo of seq {of} undoes {asked:?}, and the effect is {effect:?}"));
        }
    }

    fn asked_to_undo(&self, record: &Record<'a>, seq: u32) -> Option<u64> {
        let run = record.past.started.run;
        let attempt = self.seen.attempts.iter().find(|attempt| attempt.run == run && attempt.seq == seq);
        attempt.map(|attempt| attempt.ask.of)
    }

    fn newest_first(&mut self, record: &Record<'a>) {
        let begins =
            record.past.journal.iter().find(|(_, _, event)| matches!(event, Event::CompensationStarted { .. }));
        let Some((begins, ..)) = begins else { return };
        // A scope that undoes already goes on before the body begins to, however old what it undoes is.
        let inner = record.past.journal.iter().filter(|(_, _, event)| closes_scope(event)).map(|(no, ..)| no).max();
        let mut undoing: Vec<(EventNo, u32)> = Vec::new();
        for (call, no) in record.calls.values() {
            // One that was registered by hand names itself, and stands where it was registered.
            if let Some(of) = call.undoes
                && of != call.seq
                && no > begins
                && Some(no) >= inner
            {
                undoing.push((*no, of.0));
            }
        }
        undoing.sort_unstable();
        let settled = |(no, of): &(EventNo, u32)| Some((record.seen_in(*no), record.settled.get(of)?.no));
        let order: Vec<(EventNo, EventNo)> = undoing.iter().filter_map(settled).collect();
        // What the run saw only behind the turn that asked for an undo comes behind that undo, however new it is.
        if order.windows(2).any(|pair| pair[0].1 < pair[1].1 && pair[1].1 <= pair[0].0) {
            self.wrong.push(format!("`{}` is not undone newest first: {undoing:?}", record.id));
        }
    }

    /// What the log says of the open runs is what their journals say.
    fn tables(&mut self) {
        self.wrong.extend(tables(self.look));
    }
}

fn closes_scope(event: &Event) -> bool {
    let Event::Turn { entries, .. } = event else { return false };
    entries.iter().any(|entry| matches!(entry, Entry::ScopeClosed { .. }))
}

fn recorded_end(ended: &RunEnded) -> String {
    let undone = durable::error::Undone::from(ended.undone.clone());
    let failed = || payload::decode::<Failure>(&ended.result).ok();
    let cause = |how: End| match how {
        End::Completed => None,
        End::Failed => failed().map(RunError::Failed),
        End::Cancelled => Some(RunError::Cancelled),
        End::TimedOut => Some(RunError::TimedOut),
        End::Terminated => Some(RunError::Terminated(undone.clone())),
        End::NotStarted => Some(RunError::NotStarted),
        End::CompensationFailed => None,
    };
    let result: Result<u64, RunError<Failure>> = match ended.how {
        End::Completed => return format!("{:?}", payload::decode::<u64>(&ended.result).map_err(|_| ())),
        End::CompensationFailed => {
            let cause = cause(ended.body).map(Box::new);
            Err(RunError::CompensationFailed { cause, undone: undone.clone() })
        }
        how => match cause(how) {
            Some(error) => Err(error),
            None => return format!("{how:?} without a cause"),
        },
    };
    format!("{result:?}")
}

fn words_of(past: &Past) -> Vec<Word> {
    let payloads = past.journal.iter().filter_map(|(_, _, event)| match event {
        Event::SignalReceived { payload, .. } => Some(payload),
        _ => None,
    });
    payloads.filter_map(|payload| payload::decode(payload).ok()).collect()
}

fn numbers(record: &Record<'_>) -> Option<String> {
    let numbers = record.past.journal.iter().map(|(no, ..)| no.0);
    (!numbers.eq(0..record.past.journal.len() as u64)).then(|| format!("the journal of `{}` has a gap", record.id))
}

/// Timers fire once.
fn timers(record: &Record<'_>) -> Option<String> {
    let mut open: BTreeSet<Seq> = BTreeSet::new();
    for (_, _, event) in &record.past.journal {
        match event {
            Event::Turn { entries, .. } => open.extend(entries.iter().filter_map(|entry| match entry {
                Entry::TimerStarted { seq, .. } => Some(*seq),
                _ => None,
            })),
            Event::TimerFired { seq, .. } if !open.remove(seq) => {
                return Some(format!("`{}`: timer {seq} fires twice, or was not started", record.id));
            }
            _ => {}
        }
    }
    None
}

fn nothing_after_end(record: &Record<'_>) -> Option<String> {
    let end = record.past.journal.iter().position(|(_, _, event)| matches!(event, Event::RunEnded(_)))?;
    (end + 1 != record.past.journal.len()).then(|| format!("`{}` has events after its end", record.id))
}

/// What the log says of the open runs is what their journals say, and all that ended is found again.
pub(super) fn tables(look: &Look) -> Vec<String> {
    let folded = fold(look);
    let mut wrong = Vec::new();
    if folded.ids != look.tables.ids {
        wrong.push(format!(
            "the open runs are {:?} in the tables, and {:?} by their journals",
            look.tables.ids, folded.ids
        ));
    }
    let runs: BTreeSet<RunNo> = folded.open.keys().chain(look.tables.open.keys()).collect();
    for run in runs {
        let (told, is) = (look.tables.open.get(&run), folded.open.get(&run));
        if told != is {
            wrong.push(format!("run {run} is {told:?} in the tables, and {is:?} by its journal"));
        }
    }
    let found: BTreeSet<RunNo> = look.runs.values().filter(|past| past.ended.is_some()).map(|past| past.no).collect();
    if found != look.ended {
        wrong.push(format!("the runs {:?} have ended, and the index finds {found:?}", look.ended));
    }
    wrong
}

/// What the journals say that their runs wait for. A child's end comes behind all that its parent has of it.
fn fold(look: &Look) -> Tables {
    let mut tables = Tables::default();
    let mut pasts: Vec<&Past> = look.runs.values().collect();
    pasts.sort_unstable_by_key(|past| past.no);
    for past in pasts {
        let gap = past.journal.iter().find_map(|(no, at, event)| tables.apply(past.no, *no, *at, event).err());
        // Then the run is missed in the tables that are compared.
        if gap.is_some() {
            tables.open.remove(&past.no);
        }
    }
    tables
}
