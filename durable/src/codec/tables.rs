//! The memory tables as bytes: what a checkpoint holds, before it is cut into parts. Texts that many runs share (workflows,
//! builds, activities, ..) are written once, in front, and are shared again in memory when they are read.
//!
//! ```text
//! version u8 = 2 | next run LEB | texts: count LEB, each length LEB + UTF-8 | runs: count LEB, each length LEB + body
//! ```
//!
//! A run's body is bincode, as that of an event. Points in time are distances to the run's start. The ids are not written:
//! they are those of the open runs, and of two runs of one id the later has it.

use std::collections::BTreeMap;

use bincode::{BorrowDecode as DeriveBorrowDecode, Decode as DeriveDecode, Encode};

use super::carry::{point, span};
use super::wire::{self, ClosePolicy, Digest, End, Known, List, Span, UndoState};
use super::{DecodeError, leb};
use crate::kernel::alike::Alike;
use crate::kernel::event::{Binding, Text, UndoBits};
use crate::kernel::id::{self, Attempt, EventNo, RunId, RunNo, Seq, Timestamp};
use crate::kernel::rare::Rare;
use crate::kernel::tables::{
    AllTables, AttemptState, Blocked, CallKind, FailedAttempt, Kinds, RareParts, RunEntry, RunKind, Tables, Waiting,
    WaitingChild, WaitingFor,
};
use crate::kernel::trace::TraceContext;
use crate::kernel::undo::{Undoable, Undos};

const VERSION: u8 = 2;

/// Appends the tables.
pub fn encode(tables: &AllTables<'_>, out: &mut Vec<u8>) {
    let mut texts = Texts::default();
    let mut runs = Vec::new();
    for (no, run) in &tables.open {
        let start = runs.len();
        wire::put(&run_to_wire(*no, run, &mut texts), &mut runs);
        leb::put_before(start, (runs.len() - start) as u64, &mut runs);
    }
    out.push(VERSION);
    leb::put(tables.next_run.0, out);
    texts.encode(out);
    leb::put(tables.open.len() as u64, out);
    out.append(&mut runs);
}

/// Reads the tables; the whole input is theirs.
///
/// # Errors
/// A [`DecodeError`] if it is not.
pub fn decode(mut bytes: &[u8]) -> Result<Tables, DecodeError> {
    let bytes = &mut bytes;
    match leb::take_u8(bytes)? {
        VERSION => {}
        found => return Err(DecodeError::Choice { of: "version of the tables", found: found.into() }),
    }
    let next_run = RunNo(leb::take(bytes)?);
    let texts = decode_texts(bytes)?;
    let mut tables = Tables { next_run, ..Tables::default() };
    for _ in 0..leb::take(bytes)? {
        let len = leb::take_len(bytes)?;
        let run = wire::read_within(wire::RUN_MAX, leb::take_bytes(bytes, len)?, 0)?;
        let (no, run) = run_of_wire(run, &texts, &mut tables.kinds)?;
        add(&mut tables, no, run)?;
    }
    // All at once: put in one by one, ids would be searched for as often as there are runs.
    tables.ids = tables.open.iter().map(|(no, run)| (&run.kind.namespace, &run.id, *no)).collect();
    match bytes.len() {
        0 => Ok(tables),
        left => Err(DecodeError::Trailing { left: left as u64 }),
    }
}

fn add(tables: &mut Tables, no: RunNo, run: RunEntry) -> Result<(), DecodeError> {
    let last = tables.open.last_key_value().map(|(last, _)| *last);
    if last.is_some_and(|last| last >= no) {
        return Err(DecodeError::Value { rule: "runs stand in the order of their numbers" });
    }
    tables.open.insert(no, Box::new(run));
    Ok(())
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
