//! The memory tables as bytes: what a checkpoint holds, before it is cut into parts. Texts that many runs share (workflows,
//! builds, activities, ..) are written once, in front, and are shared again in memory when they are read.
//!
//! ```text
//! version u8 = 2 | next run LEB | texts: count LEB, each length LEB + UTF-8 | runs: count LEB, each length LEB + body
//! ```
//!
//! A run's body is bincode, as that of an event. Points in time are distances to the run's start. The ids are not written:
//! they are those of the open runs, and of two runs of one id the later has it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bincode::{BorrowDecode as DeriveBorrowDecode, Decode as DeriveDecode, Encode};

use super::carry::{point, span};
use super::wire::{self, ClosePolicy, Digest, End, Known, List, Span, UndoState};
use super::{DecodeError, leb};
use crate::kernel::alike::Alike;
use crate::kernel::event::{Binding, Text, UndoBits};
use crate::kernel::id::{self, Attempt, EventNo, RunId, RunNo, Seq, Timestamp};
use crate::kernel::open_runs::OpenRuns;
use crate::kernel::rare::Rare;
use crate::kernel::tables::{
    AllTables, AttemptState, Blocked, CallKind, FailedAttempt, Ids, Kinds, RareParts, RunEntry, RunKind, Tables,
    Waiting, WaitingChild, WaitingFor,
};
use crate::kernel::trace::TraceContext;
use crate::kernel::undo::{Undoable, Undos};

const VERSION: u8 = 2;

/// From so many runs on it is worth a thread to read one half of them beside the other.
const MANY: u64 = 1 << 13;

/// No run takes fewer bytes: its identity, salt and digests alone take these.
const RUN_BYTES_MIN: usize = 48;

/// Appends the tables.
pub fn encode(tables: &AllTables<'_>, out: &mut Vec<u8>) {
    let mut runs = Vec::new();
    out.append(&mut encode_runs(tables.next_run(), tables.open(), |run| runs.extend_from_slice(run)));
    out.append(&mut runs);
}

/// The same in pieces: gives each of these runs, which come in the order of their numbers, to `put`, and gives back what stands before them.
pub fn encode_runs<'a>(
    next_run: RunNo,
    open: impl Iterator<Item = (RunNo, Cow<'a, RunEntry>)>,
    mut put: impl FnMut(&[u8]),
) -> Vec<u8> {
    let mut texts = Texts::default();
    let (mut bytes, mut count) = (Vec::new(), 0);
    for (no, run) in open {
        bytes.clear();
        wire::put(&run_to_wire(no, &run, &mut texts), &mut bytes);
        leb::put_before(0, bytes.len() as u64, &mut bytes);
        put(&bytes);
        count += 1;
    }
    let mut front = vec![VERSION];
    leb::put(next_run.0, &mut front);
    texts.encode(&mut front);
    leb::put(count, &mut front);
    front
}

/// Appends one run by itself, with the texts that it needs in front.
pub fn encode_run(no: RunNo, run: &RunEntry, out: &mut Vec<u8>) {
    let (mut texts, mut body) = (Texts::default(), Vec::new());
    wire::put(&run_to_wire(no, run, &mut texts), &mut body);
    texts.encode(out);
    out.append(&mut body);
}

/// Reads what [`encode_run`] wrote; the whole input is the run's.
///
/// # Errors
/// A [`DecodeError`] if it is not.
pub fn decode_run(mut bytes: &[u8], kinds: &mut Kinds) -> Result<(RunNo, RunEntry), DecodeError> {
    let texts = decode_texts(&mut bytes)?;
    run_of_wire(wire::read_within(wire::RUN_MAX, bytes, 0)?, &texts, kinds)
}

/// Does two things, at once if it can.
pub type Both<'a> = &'a (dyn Fn(&mut (dyn FnMut() + Send), &mut (dyn FnMut() + Send)) + Sync);

/// Does one thing behind the other, where there is one thread.
pub fn one_by_one(one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
    one();
    other();
}

/// Reads the tables; the whole input is theirs.
///
/// # Errors
/// A [`DecodeError`] if it is not.
pub fn decode(bytes: &[u8]) -> Result<Tables, DecodeError> {
    decode_by(bytes, &one_by_one)
}

/// The same; where there are many runs, one half of them beside the other.
///
/// # Errors
/// As [`decode`].
pub fn decode_by(mut bytes: &[u8], both: Both<'_>) -> Result<Tables, DecodeError> {
    let bytes = &mut bytes;
    match leb::take_u8(bytes)? {
        VERSION => {}
        found => return Err(DecodeError::Choice { of: "version of the tables", found: found.into() }),
    }
    let next_run = RunNo(leb::take(bytes)?);
    let texts = decode_texts(bytes)?;
    let count = leb::take(bytes)?;
    let (mut first, mut second) = (Part::default(), Part::default());
    if count < MANY {
        second.decode(bytes, count, &texts);
    } else {
        let half = count / 2;
        let front = skip_runs(bytes, half)?;
        both(&mut || first.decode(front, half, &texts), &mut || second.decode(bytes, count - half, &texts));
    }
    let tables = first.join(second)?;
    Ok(Tables { next_run, ..tables })
}

/// Steps over so many runs; gives their bytes.
fn skip_runs<'a>(bytes: &mut &'a [u8], count: u64) -> Result<&'a [u8], DecodeError> {
    let all = *bytes;
    for _ in 0..count {
        let len = leb::take_len(bytes)?;
        leb::take_bytes(bytes, len)?;
    }
    leb::take_bytes(&mut &*all, all.len() - bytes.len())
}

/// Consecutive runs.
#[derive(Default)]
struct Part {
    runs: Vec<(RunNo, Box<RunEntry>)>,
    ids: Ids,
    kinds: Kinds,
    error: Option<DecodeError>,
}

impl Part {
    /// Reads so many runs; all the bytes are theirs.
    fn decode(&mut self, mut bytes: &[u8], count: u64, texts: &[Text]) {
        let bytes = &mut bytes;
        // Never by the count alone, which may be wrong.
        let most = bytes.len() / RUN_BYTES_MIN;
        self.runs.reserve_exact(usize::try_from(count).map_or(most, |count| count.min(most)));
        self.error = (0..count).try_for_each(|_| self.take_run(bytes, texts)).err();
        if !bytes.is_empty() && self.error.is_none() {
            self.error = Some(DecodeError::Trailing { left: bytes.len() as u64 });
        }
        // All at once: put in one by one, ids would be searched for as often as there are runs.
        self.ids = Ids::of(self.runs.iter().map(|(no, run)| (*no, Cow::Borrowed(&**run))));
    }

    fn take_run(&mut self, bytes: &mut &[u8], texts: &[Text]) -> Result<(), DecodeError> {
        let len = leb::take_len(bytes)?;
        let run = wire::read_within(wire::RUN_MAX, leb::take_bytes(bytes, len)?, 0)?;
        let (no, run) = run_of_wire(run, texts, &mut self.kinds)?;
        follows(self.runs.last(), no)?;
        self.runs.push((no, Box::new(run)));
        Ok(())
    }

    /// These runs and those that follow.
    fn join(mut self, other: Part) -> Result<Tables, DecodeError> {
        if let Some(error) = self.error.or(other.error) {
            return Err(error);
        }
        if let Some((no, _)) = other.runs.first() {
            follows(self.runs.last(), *no)?;
        }
        self.ids.append(&other.ids);
        let mut open = OpenRuns::with_capacity(self.runs.len() + other.runs.len());
        self.runs.into_iter().chain(other.runs).for_each(|(no, run)| open.insert(no, run));
        Ok(Tables { open, ids: self.ids, kinds: other.kinds, ..Tables::default() })
    }
}

fn follows(last: Option<&(RunNo, Box<RunEntry>)>, no: RunNo) -> Result<(), DecodeError> {
    match last {
        Some((last, _)) if *last >= no => Err(DecodeError::Value { rule: "runs stand in the order of their numbers" }),
        _ => Ok(()),
    }
}

/// The shared texts while they are gathered.
#[derive(Default)]
struct Texts {
    numbers: BTreeMap<Text, u32>,
    texts: Vec<Text>,
}

impl Texts {
    fn number(&mut self, text: &Text) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.texts.len()).expect("because 4 billion texts do not fit into memory");
        self.numbers.insert(text.clone(), number);
        self.texts.push(text.clone());
        number
    }

    fn encode(&self, out: &mut Vec<u8>) {
        leb::put(self.texts.len() as u64, out);
        for text in &self.texts {
            leb::put_text(text.as_str(), out);
        }
    }
}

fn decode_texts(bytes: &mut &[u8]) -> Result<Vec<Text>, DecodeError> {
    let mut texts = Vec::new();
    for _ in 0..leb::take(bytes)? {
        texts.push(leb::take_text(bytes)?.into());
    }
    Ok(texts)
}

fn shared(number: u32, texts: &[Text]) -> Result<Text, DecodeError> {
    let text = usize::try_from(number).ok().and_then(|number| texts.get(number)).cloned();
    text.ok_or(DecodeError::UnknownName { index: number, known: u32::try_from(texts.len()).unwrap_or(u32::MAX) })
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
struct WireRun<'a> {
    no: u64,
    run: [u8; 16],
    namespace: u32,
    id: &'a str,
    workflow: u32,
    version: u32,
    value: Digest,
    shape: Digest,
    salt: [u8; 16],
    build: u32,
    trace: Option<[u8; 25]>,
    parent: Option<(u64, u32)>,
    started: i64,
    deadline: Option<Span>,
    next: u64,
    unturned: List<u64>,
    waiting: List<WireWaiting<'a>>,
    dropped: List<WireWaiting<'a>>,
    signals: u32,
    blocked: Option<WireBlocked<'a>>,
    cancelling: bool,
    undoing: Option<End>,
    undos: List<WireUndoable>,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
struct WireBlocked<'a> {
    build: u32,
    reason: &'a str,
    since: Span,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
struct WireWaiting<'a> {
    seq: u32,
    since: Span,
    what: WireWhat<'a>,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
enum WireWhat<'a> {
    Activity(WireActivity<'a>),
    Timer { due: Span },
    Signal { name: u32 },
    Child { child: u64, id: &'a str, close: ClosePolicy },
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
struct WireActivity<'a> {
    name: u32,
    at_most_once: bool,
    by_token: bool,
    queue: u32,
    deadline: Option<Span>,
    undo: WireBits,
    state: WireState<'a>,
    maybe: bool,
}

#[derive(Encode, DeriveDecode)]
struct WireBits {
    undo: bool,
    unknown: bool,
    waits: bool,
}

#[derive(Encode, DeriveDecode)]
struct WireUndoable {
    seq: u32,
    name: u32,
    bits: WireBits,
    state: UndoState,
    dropped: bool,
    by: Option<u32>,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
enum WireState<'a> {
    Scheduled,
    Started(u32),
    Failed { attempt: u32, due: Span, cause: &'a str },
    Parked(u32),
}

fn run_to_wire<'a>(no: RunNo, run: &'a RunEntry, texts: &mut Texts) -> WireRun<'a> {
    WireRun {
        no: no.0,
        run: run.run.0,
        namespace: texts.number(&run.kind.namespace),
        id: run.id.as_str(),
        workflow: texts.number(&run.kind.workflow),
        version: run.kind.version,
        value: run.value.0.to_le_bytes(),
        shape: run.shape.0.to_le_bytes(),
        salt: run.salt,
        build: texts.number(&run.kind.build),
        trace: run.rare.trace.map(TraceContext::to_bytes),
        parent: run.rare.parent.map(|(run, seq)| (run.0, seq.0)),
        started: run.started.0,
        deadline: run.rare.deadline.map(|deadline| span(deadline, run.started)),
        next: run.next.0,
        unturned: List(run.unturned.iter().map(|no| no.0).collect()),
        waiting: all_to_wire(&run.waiting, run.started, texts),
        dropped: all_to_wire(&run.rare.dropped, run.started, texts),
        signals: run.rare.signals,
        blocked: run.rare.blocked.as_ref().map(|blocked| WireBlocked {
            build: texts.number(&blocked.build),
            reason: blocked.reason.as_str(),
            since: span(blocked.since, run.started),
        }),
        cancelling: run.rare.cancelling,
        undoing: run.rare.undoing.map(Into::into),
        undos: List(run.rare.undos.iter().map(|call| undoable_to_wire(call, texts)).collect()),
    }
}

fn run_of_wire(run: WireRun<'_>, texts: &[Text], kinds: &mut Kinds) -> Result<(RunNo, RunEntry), DecodeError> {
    let started = Timestamp(run.started);
    let kind = RunKind {
        namespace: shared(run.namespace, texts)?,
        workflow: shared(run.workflow, texts)?,
        version: run.version,
        build: shared(run.build, texts)?,
    };
    let entry = RunEntry {
        run: RunId(run.run),
        kind: kinds.runs.share(kind),
        id: run.id.into(),
        value: id::Digest(u64::from_le_bytes(run.value)),
        shape: id::Digest(u64::from_le_bytes(run.shape)),
        salt: run.salt,
        started,
        next: EventNo(run.next),
        unturned: run.unturned.0.into_iter().map(EventNo).collect(),
        waiting: in_order(all_of_wire(run.waiting, started, texts, &mut kinds.calls)?)?.into(),
        rare: Rare::from(RareParts {
            trace: run.trace.map(TraceContext::of_bytes),
            parent: run.parent.map(|(run, seq)| (RunNo(run), Seq(seq))),
            deadline: run.deadline.map(|deadline| point(deadline, started)),
            dropped: all_of_wire(run.dropped, started, texts, &mut kinds.calls)?,
            signals: run.signals,
            blocked: run.blocked.map(|blocked| blocked_of_wire(&blocked, started, texts)).transpose()?,
            cancelling: run.cancelling,
            undoing: run.undoing.map(Into::into),
            undos: undos_of_wire(run.undos, texts)?,
        }),
    };
    Ok((RunNo(run.no), entry))
}

fn in_order(waiting: Vec<Waiting>) -> Result<Vec<Waiting>, DecodeError> {
    match waiting.is_sorted_by_key(|waiting| waiting.seq) {
        true => Ok(waiting),
        false => Err(DecodeError::Value { rule: "what a run waits for stands in order of seq" }),
    }
}

fn blocked_of_wire(blocked: &WireBlocked<'_>, base: Timestamp, texts: &[Text]) -> Result<Blocked, DecodeError> {
    let (build, since) = (shared(blocked.build, texts)?, point(blocked.since, base));
    Ok(Blocked { build, reason: blocked.reason.into(), since })
}

fn all_to_wire<'a>(all: &'a [Waiting], base: Timestamp, texts: &mut Texts) -> List<WireWaiting<'a>> {
    let to_wire = |waiting: &'a Waiting| WireWaiting {
        seq: waiting.seq.0,
        since: span(waiting.since, base),
        what: what_to_wire(waiting, base, texts),
    };
    List(all.iter().map(to_wire).collect())
}

fn all_of_wire(
    all: List<WireWaiting<'_>>,
    base: Timestamp,
    texts: &[Text],
    kinds: &mut Alike<CallKind>,
) -> Result<Vec<Waiting>, DecodeError> {
    let mut waiting = Vec::with_capacity(all.0.len());
    for one in all.0 {
        let (what, maybe) = what_of_wire(one.what, base, texts, kinds)?;
        waiting.push(Waiting { seq: Seq(one.seq), since: point(one.since, base), what, maybe });
    }
    Ok(waiting)
}

fn what_to_wire<'a>(waiting: &'a Waiting, base: Timestamp, texts: &mut Texts) -> WireWhat<'a> {
    match &waiting.what {
        WaitingFor::Activity { call, state } => WireWhat::Activity(WireActivity {
            name: texts.number(&call.name),
            at_most_once: call.binding.at_most_once,
            by_token: call.binding.by_token,
            queue: texts.number(&call.binding.queue.clone().unwrap_or_default()),
            deadline: call.binding.deadline.map(|deadline| span(deadline, base)),
            undo: bits_to_wire(call.undo),
            state: state_to_wire(state, base),
            maybe: waiting.maybe,
        }),
        WaitingFor::Timer { due } => WireWhat::Timer { due: span(*due, base) },
        WaitingFor::Signal { name } => WireWhat::Signal { name: texts.number(name) },
        WaitingFor::Child(of) => WireWhat::Child { child: of.child.0, id: of.id.as_str(), close: of.close.into() },
    }
}

/// What is waited for, and whether the effect of some try may stand.
fn what_of_wire(
    what: WireWhat<'_>,
    base: Timestamp,
    texts: &[Text],
    kinds: &mut Alike<CallKind>,
) -> Result<(WaitingFor, bool), DecodeError> {
    let what = match what {
        WireWhat::Activity(activity) => {
            let maybe = activity.maybe;
            return Ok((activity_of_wire(activity, base, texts, kinds)?, maybe));
        }
        WireWhat::Timer { due } => WaitingFor::Timer { due: point(due, base) },
        WireWhat::Signal { name } => WaitingFor::Signal { name: shared(name, texts)? },
        WireWhat::Child { child, id, close } => {
            WaitingFor::Child(Box::new(WaitingChild { child: RunNo(child), id: id.into(), close: close.into() }))
        }
    };
    Ok((what, false))
}

fn activity_of_wire(
    activity: WireActivity<'_>,
    base: Timestamp,
    texts: &[Text],
    kinds: &mut Alike<CallKind>,
) -> Result<WaitingFor, DecodeError> {
    let call = CallKind {
        name: shared(activity.name, texts)?,
        binding: Binding {
            at_most_once: activity.at_most_once,
            by_token: activity.by_token,
            queue: Some(shared(activity.queue, texts)?).filter(|queue| !queue.is_empty()),
            deadline: activity.deadline.map(|deadline| point(deadline, base)),
        },
        undo: bits_of_wire(&activity.undo),
    };
    Ok(WaitingFor::Activity { call: call.share(kinds), state: state_of_wire(activity.state, base) })
}

fn bits_to_wire(bits: UndoBits) -> WireBits {
    WireBits { undo: bits.undo, unknown: bits.unknown, waits: bits.waits }
}

fn bits_of_wire(bits: &WireBits) -> UndoBits {
    UndoBits { undo: bits.undo, unknown: bits.unknown, waits: bits.waits }
}

fn undoable_to_wire(call: &Undoable, texts: &mut Texts) -> WireUndoable {
    WireUndoable {
        seq: call.seq.0,
        name: texts.number(&call.name),
        bits: bits_to_wire(call.bits),
        state: call.state.into(),
        dropped: call.dropped,
        by: call.by.map(|seq| seq.0),
    }
}

fn undos_of_wire(calls: List<WireUndoable>, texts: &[Text]) -> Result<Undos, DecodeError> {
    let mut undos = Undos::default();
    for call in calls.0 {
        undos.push_back(Undoable {
            seq: Seq(call.seq),
            name: shared(call.name, texts)?,
            bits: bits_of_wire(&call.bits),
            state: call.state.into(),
            dropped: call.dropped,
            by: call.by.map(Seq),
        });
    }
    Ok(undos)
}

fn state_to_wire(state: &AttemptState, base: Timestamp) -> WireState<'_> {
    match state {
        AttemptState::Scheduled => WireState::Scheduled,
        AttemptState::Started(attempt) => WireState::Started(attempt.0),
        AttemptState::Failed(failed) => {
            WireState::Failed { attempt: failed.attempt.0, due: span(failed.due, base), cause: failed.cause.as_str() }
        }
        AttemptState::Parked(attempt) => WireState::Parked(attempt.0),
    }
}

fn state_of_wire(state: WireState<'_>, base: Timestamp) -> AttemptState {
    match state {
        WireState::Scheduled => AttemptState::Scheduled,
        WireState::Started(attempt) => AttemptState::Started(Attempt(attempt)),
        WireState::Failed { attempt, due, cause } => {
            let failed = FailedAttempt { attempt: Attempt(attempt), due: point(due, base), cause: cause.into() };
            AttemptState::Failed(Box::new(failed))
        }
        WireState::Parked(attempt) => AttemptState::Parked(Attempt(attempt)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::event::{Event, RunStarted};

    /// So many runs, more than are read by one.
    const RUNS: u64 = MANY + 101;

    fn tables() -> Tables {
        let mut tables = Tables::default();
        for run in 1..=RUNS {
            let (id, workflow) = (format!("run-{run}").as_str().into(), "nap".into());
            let started = RunStarted { id, workflow, ..RunStarted::default() };
            let event = Event::RunStarted(Box::new(started));
            tables.apply(RunNo(run), EventNo(0), Timestamp(5), &event).unwrap();
        }
        tables
    }

    /// The tables as bytes: what stands before the runs, and each run behind its length.
    fn encoded(tables: &Tables) -> (Vec<u8>, Vec<Vec<u8>>) {
        let mut bytes = Vec::new();
        encode(&AllTables::of(&[tables]), &mut bytes);
        let rest = &mut &*bytes;
        leb::take_u8(rest).unwrap();
        leb::take(rest).unwrap();
        decode_texts(rest).unwrap();
        leb::take(rest).unwrap();
        let runs = (0..RUNS).map(|_| skip_runs(rest, 1).unwrap().to_vec()).collect::<Vec<_>>();
        bytes.truncate(bytes.len() - runs.iter().map(Vec::len).sum::<usize>());
        (bytes, runs)
    }

    fn decoded(front: &[u8], runs: &[Vec<u8>]) -> Result<Tables, DecodeError> {
        let bytes = [front, &runs.concat()].concat();
        let one_by_one = decode(&bytes);
        let the_other_first = decode_by(&bytes, &|one, other| {
            other();
            one();
        });
        assert_eq!(one_by_one, the_other_first);
        one_by_one
    }

    #[test]
    fn two_halves_are_the_whole() {
        let all = tables();
        let (front, mut runs) = encoded(&all);
        let read = decoded(&front, &runs).unwrap();
        let found: Vec<_> = [1, RUNS / 2, RUNS / 2 + 1, RUNS].map(|run| format!("run-{run}").as_str().into()).to_vec();
        let numbers: Vec<_> = found.iter().filter_map(|id| read.run_of(&Text::default(), id)).collect();
        assert_eq!(numbers, [1, RUNS / 2, RUNS / 2 + 1, RUNS].map(RunNo));
        assert_eq!(read, all);
        runs.push(vec![0]);
        assert_eq!(decoded(&front, &runs), Err(DecodeError::Trailing { left: 1 }));
    }

    #[test]
    fn runs_stand_in_order_within_each_half_and_where_they_meet() {
        let (front, runs) = encoded(&tables());
        let middle = usize::try_from(RUNS / 2).unwrap();
        for at in [1, middle - 1, middle, middle + 1, runs.len() - 1] {
            let mut swapped = runs.clone();
            swapped.swap(at - 1, at);
            let rule = "runs stand in the order of their numbers";
            assert_eq!(decoded(&front, &swapped), Err(DecodeError::Value { rule }), "at {at}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_first_half_is_said_first() {
        let (front, mut runs) = encoded(&tables());
        runs.pop();
        assert_eq!(decoded(&front, &runs), Err(DecodeError::Ended { missing: 1 }));
        runs[0][0] += 1;
        runs[0].push(0);
        assert_eq!(decoded(&front, &runs), Err(DecodeError::Trailing { left: 1 }));
    }
}
