//! The way between the wire types and the kernel's: values are carried over, one by one, and names are looked up in the
//! run's table. Nothing is decided here, and nothing is written or read.

use std::sync::Arc;

use super::DecodeError;
use super::names::{Name, Names, Spelling};
use super::wire::{self, List, Named};
use crate::kernel::event::{
    ActivityScheduled, AttemptCause, Binding, CallFailure, ChildScheduled, Entry, Payload, RunEnded, RunStarted,
    Sender, Text, UndoBits, Undone, UndoneCall,
};
use crate::kernel::id::{Attempt, Digest, RunId, RunNo, ScopeNo, Seq, Timestamp};
use crate::kernel::trace::TraceContext;

pub(super) fn span(at: Timestamp, base: Timestamp) -> i64 {
    at.0.wrapping_sub(base.0)
}

pub(super) fn point(span: i64, base: Timestamp) -> Timestamp {
    Timestamp(base.0.wrapping_add(span))
}

pub(super) fn payload(bytes: &[u8]) -> Payload {
    Payload(bytes.into())
}

fn digest_to_wire(digest: Digest) -> wire::Digest {
    digest.0.to_le_bytes()
}

fn digest_of_wire(bytes: wire::Digest) -> Digest {
    Digest(u64::from_le_bytes(bytes))
}

fn map_to_wire(map: &[(Text, Payload)]) -> List<(&str, &[u8])> {
    List(map.iter().map(|(key, value)| (key.as_str(), &*value.0)).collect())
}

fn map_of_wire(map: &List<(&str, &[u8])>) -> Vec<(Text, Payload)> {
    map.0.iter().map(|(key, value)| ((*key).into(), payload(value))).collect()
}

pub(super) fn started_to_wire(started: &RunStarted, base: Timestamp) -> wire::RunStarted<'_> {
    wire::RunStarted {
        run: started.run.0,
        namespace: started.namespace.as_str(),
        id: started.id.as_str(),
        workflow: started.workflow.as_str(),
        version: started.version,
        input: &started.input.0,
        value: digest_to_wire(started.value),
        shape: digest_to_wire(started.shape),
        trace: started.trace.map(TraceContext::to_bytes),
        headers: map_to_wire(&started.headers),
        build: started.build.as_str(),
        semantics: started.semantics,
        deadline: started.deadline.map(|deadline| span(deadline, base)),
        attributes: map_to_wire(&started.attributes),
        parent: started.parent.map(|(run, seq)| (run.0, seq.0)),
        seed: started.seed,
        salt: started.salt,
        queue: started.queue.as_str(),
        priority: started.priority,
        message: started.message.as_str(),
    }
}

pub(super) fn started_of_wire(started: &wire::RunStarted<'_>, base: Timestamp) -> RunStarted {
    RunStarted {
        run: RunId(started.run),
        namespace: started.namespace.into(),
        id: started.id.into(),
        workflow: started.workflow.into(),
        version: started.version,
        input: payload(started.input),
        value: digest_of_wire(started.value),
        shape: digest_of_wire(started.shape),
        trace: started.trace.map(TraceContext::of_bytes),
        headers: map_of_wire(&started.headers),
        build: started.build.into(),
        semantics: started.semantics,
        deadline: started.deadline.map(|deadline| point(deadline, base)),
        attributes: map_of_wire(&started.attributes),
        parent: started.parent.map(|(run, seq)| (RunNo(run), Seq(seq))),
        seed: started.seed,
        salt: started.salt,
        queue: started.queue.into(),
        priority: started.priority,
        message: started.message.into(),
    }
}

pub(super) fn ended_to_wire(ended: &RunEnded) -> wire::RunEnded<'_> {
    wire::RunEnded {
        how: ended.how.into(),
        body: ended.body.into(),
        result: &ended.result.0,
        undone: undone_to_wire(&ended.undone),
        actor: ended.actor.as_str(),
        reason: ended.reason.as_str(),
    }
}

pub(super) fn ended_of_wire(ended: wire::RunEnded<'_>) -> RunEnded {
    RunEnded {
        how: ended.how.into(),
        body: ended.body.into(),
        result: payload(ended.result),
        undone: undone_of_wire(ended.undone),
        actor: ended.actor.into(),
        reason: ended.reason.into(),
    }
}

pub(super) fn undone_to_wire(undone: &Undone) -> wire::Undone<'_> {
    wire::Undone {
        undone: calls_to_wire(&undone.undone),
        not_undone: calls_to_wire(&undone.not_undone),
        unknown: calls_to_wire(&undone.unknown),
    }
}

fn calls_to_wire(calls: &[UndoneCall]) -> List<(u32, &str)> {
    List(calls.iter().map(|call| (call.seq.0, call.name.as_str())).collect())
}

pub(super) fn undone_of_wire(undone: wire::Undone<'_>) -> Undone {
    let call = |(seq, name): (u32, &str)| UndoneCall { seq: Seq(seq), name: name.into() };
    let calls = |calls: List<(u32, &str)>| calls.0.into_iter().map(call).collect();
    Undone { undone: calls(undone.undone), not_undone: calls(undone.not_undone), unknown: calls(undone.unknown) }
}

pub(super) fn cause_to_wire(cause: &AttemptCause) -> wire::Cause<'_> {
    match cause {
        AttemptCause::Error { error, text } => wire::Cause::Error { error: &error.0, text: text.as_str() },
        AttemptCause::TimedOut => wire::Cause::TimedOut,
        AttemptCause::Panicked(text) => wire::Cause::Panicked(text.as_str()),
        AttemptCause::Interrupted => wire::Cause::Interrupted,
    }
}

pub(super) fn cause_of_wire(cause: wire::Cause<'_>) -> AttemptCause {
    match cause {
        wire::Cause::Error { error, text } => AttemptCause::Error { error: payload(error), text: text.into() },
        wire::Cause::TimedOut => AttemptCause::TimedOut,
        wire::Cause::Panicked(text) => AttemptCause::Panicked(text.into()),
        wire::Cause::Interrupted => AttemptCause::Interrupted,
    }
}

/// The count of attempts if they are exhausted, and why the last one failed. What is exhausted is one call's attempts, so
/// one count is all there can be: of several around one another the outermost stands.
pub(super) fn failure_to_wire(failure: &CallFailure) -> (Option<u32>, wire::Failure<'_>) {
    let mut exhausted = None;
    let mut failure = failure;
    while let CallFailure::Exhausted { attempts, last } = failure {
        exhausted = exhausted.or(Some(attempts.0));
        failure = last;
    }
    let failure = match failure {
        CallFailure::App { error, text } => wire::Failure::App { error: &error.0, text: text.as_str() },
        CallFailure::TimedOut(which) => wire::Failure::TimedOut((*which).into()),
        CallFailure::Panicked(text) => wire::Failure::Panicked(text.as_str()),
        CallFailure::Cancelled => wire::Failure::Cancelled,
        CallFailure::Interrupted | CallFailure::Exhausted { .. } => wire::Failure::Interrupted,
    };
    (exhausted, failure)
}

pub(super) fn failure_of_wire(exhausted: Option<u32>, failure: wire::Failure<'_>) -> CallFailure {
    let last = match failure {
        wire::Failure::App { error, text } => CallFailure::App { error: payload(error), text: text.into() },
        wire::Failure::TimedOut(which) => CallFailure::TimedOut(which.into()),
        wire::Failure::Cancelled => CallFailure::Cancelled,
        wire::Failure::Interrupted => CallFailure::Interrupted,
        wire::Failure::Panicked(text) => CallFailure::Panicked(text.into()),
    };
    match exhausted {
        Some(attempts) => CallFailure::Exhausted { attempts: Attempt(attempts), last: Box::new(last) },
        None => last,
    }
}

pub(super) fn sender_to_wire(sender: &Sender) -> wire::Sender<'_> {
    match sender {
        Sender::Anonymous => wire::Sender::Anonymous,
        Sender::Message(id) => wire::Sender::Message(id.as_str()),
        Sender::Run(run, seq) => wire::Sender::Run(run.0, seq.0),
    }
}

pub(super) fn sender_of_wire(sender: wire::Sender<'_>) -> Sender {
    match sender {
        wire::Sender::Anonymous => Sender::Anonymous,
        wire::Sender::Message(id) => Sender::Message(id.into()),
        wire::Sender::Run(run, seq) => Sender::Run(RunId(run), Seq(seq)),
    }
}

pub(super) fn entry_to_wire<'a>(entry: &'a Entry, base: Timestamp, names: &mut Names) -> wire::Entry<'a> {
    match entry {
        Entry::ActivityScheduled(call) => wire::Entry::ActivityScheduled(call_to_wire(call, base, names)),
        Entry::TimerStarted { seq, due } => wire::Entry::TimerStarted { seq: seq.0, due: span(*due, base) },
        Entry::SignalAwaited { seq, name } => {
            wire::Entry::SignalAwaited { seq: seq.0, name: signal_to_wire(name, names) }
        }
        Entry::SignalSent { seq, to, name, value } => {
            let (to, name, value) = (to.as_str(), signal_to_wire(name, names), digest_to_wire(*value));
            wire::Entry::SignalSent { seq: seq.0, to, name, value }
        }
        Entry::ChildScheduled(child) => wire::Entry::ChildScheduled(child_to_wire(child, names)),
        Entry::CompensationRegistered { seq, name, scope } => {
            wire::Entry::CompensationRegistered { seq: seq.0, name: name.as_str(), scope: scope.0 }
        }
        Entry::ScopeOpened { scope, parent } => wire::Entry::ScopeOpened { scope: scope.0, parent: parent.0 },
        Entry::ScopeClosed { scope } => wire::Entry::ScopeClosed { scope: scope.0 },
        Entry::CommandDropped { seq } => wire::Entry::CommandDropped { seq: seq.0 },
        Entry::SignalTaken { seq } => wire::Entry::SignalTaken { seq: seq.0 },
    }
}

pub(super) fn entry_of_wire(entry: wire::Entry<'_>, base: Timestamp, names: &mut Names) -> Result<Entry, DecodeError> {
    Ok(match entry {
        wire::Entry::ActivityScheduled(call) => Entry::ActivityScheduled(Arc::new(call_of_wire(call, base, names)?)),
        wire::Entry::TimerStarted { seq, due } => Entry::TimerStarted { seq: Seq(seq), due: point(due, base) },
        wire::Entry::SignalAwaited { seq, name } => {
            Entry::SignalAwaited { seq: Seq(seq), name: signal_of_wire(name, names)? }
        }
        wire::Entry::SignalSent { seq, to, name, value } => {
            let (to, name, value) = (to.into(), signal_of_wire(name, names)?, digest_of_wire(value));
            Entry::SignalSent { seq: Seq(seq), to, name, value }
        }
        wire::Entry::ChildScheduled(child) => Entry::ChildScheduled(Box::new(child_of_wire(child, names)?)),
        wire::Entry::CompensationRegistered { seq, name, scope } => {
            Entry::CompensationRegistered { seq: Seq(seq), name: name.into(), scope: ScopeNo(scope) }
        }
        wire::Entry::ScopeOpened { scope, parent } => {
            Entry::ScopeOpened { scope: ScopeNo(scope), parent: ScopeNo(parent) }
        }
        wire::Entry::ScopeClosed { scope } => Entry::ScopeClosed { scope: ScopeNo(scope) },
        wire::Entry::CommandDropped { seq } => Entry::CommandDropped { seq: Seq(seq) },
        wire::Entry::SignalTaken { seq } => Entry::SignalTaken { seq: Seq(seq) },
    })
}

fn call_to_wire<'a>(call: &'a ActivityScheduled, base: Timestamp, names: &mut Names) -> wire::ActivityScheduled<'a> {
    let Binding { at_most_once, by_token, queue, deadline } = &call.binding;
    wire::ActivityScheduled {
        seq: call.seq.0,
        name: shaped_to_wire(&call.name, call.shape, names),
        value: digest_to_wire(call.value),
        at_most_once: *at_most_once,
        by_token: *by_token,
        undo: call.undo.undo,
        undo_unknown: call.undo.unknown,
        waits: call.undo.waits,
        queue: queue.as_ref().map(Text::as_str),
        deadline: deadline.map(|deadline| span(deadline, base)),
        undoes: call.undoes.map(|seq| seq.0),
        input: call.input.as_ref().map(|input| &*input.0),
    }
}

fn call_of_wire(
    call: wire::ActivityScheduled<'_>,
    base: Timestamp,
    names: &mut Names,
) -> Result<ActivityScheduled, DecodeError> {
    let (name, shape) = shaped_of_wire(call.name, names)?;
    Ok(ActivityScheduled {
        seq: Seq(call.seq),
        name,
        value: digest_of_wire(call.value),
        shape,
        binding: Binding {
            at_most_once: call.at_most_once,
            by_token: call.by_token,
            queue: call.queue.filter(|queue| !queue.is_empty()).map(Text::from),
            deadline: call.deadline.map(|deadline| point(deadline, base)),
        },
        undo: UndoBits { undo: call.undo, unknown: call.undo_unknown, waits: call.waits },
        undoes: call.undoes.map(Seq),
        input: call.input.map(payload),
    })
}

fn child_to_wire<'a>(child: &'a ChildScheduled, names: &mut Names) -> wire::ChildScheduled<'a> {
    wire::ChildScheduled {
        seq: child.seq.0,
        workflow: shaped_to_wire(&child.workflow, child.shape, names),
        child: child.child.0,
        id: child.id.as_str(),
        value: digest_to_wire(child.value),
        close: child.close.into(),
    }
}

fn child_of_wire(child: wire::ChildScheduled<'_>, names: &mut Names) -> Result<ChildScheduled, DecodeError> {
    let (workflow, shape) = shaped_of_wire(child.workflow, names)?;
    Ok(ChildScheduled {
        seq: Seq(child.seq),
        workflow,
        child: RunNo(child.child),
        id: child.id.into(),
        value: digest_of_wire(child.value),
        shape,
        close: child.close.into(),
    })
}

fn signal_to_wire<'a>(name: &'a Text, names: &mut Names) -> Named<'a, ()> {
    match names.spell(name, None) {
        Spelling::Number(number) => Named::Number(number),
        Spelling::InFull(index) => Named::InFull { index, text: name.as_str(), shape: () },
    }
}

fn signal_of_wire(name: Named<'_, ()>, names: &mut Names) -> Result<Text, DecodeError> {
    match name {
        Named::InFull { text, .. } => {
            let text = Text::from(text);
            names.add(Name { text: text.clone(), shape: None })?;
            Ok(text)
        }
        Named::Number(index) => match names.get(index)? {
            Name { text, shape: None } => Ok(text.clone()),
            Name { .. } => Err(DecodeError::Value { rule: "a signal's name has no shape" }),
        },
    }
}

fn shaped_to_wire<'a>(name: &'a Text, shape: Digest, names: &mut Names) -> Named<'a, wire::Digest> {
    match names.spell(name, Some(shape)) {
        Spelling::Number(number) => Named::Number(number),
        Spelling::InFull(index) => Named::InFull { index, text: name.as_str(), shape: digest_to_wire(shape) },
    }
}

fn shaped_of_wire(name: Named<'_, wire::Digest>, names: &mut Names) -> Result<(Text, Digest), DecodeError> {
    match name {
        Named::InFull { text, shape, .. } => {
            let (text, shape) = (Text::from(text), digest_of_wire(shape));
            names.add(Name { text: text.clone(), shape: Some(shape) })?;
            Ok((text, shape))
        }
        Named::Number(index) => match names.get(index)? {
            Name { text, shape: Some(shape) } => Ok((text.clone(), *shape)),
            Name { shape: None, .. } => Err(DecodeError::Value { rule: "a call's name has a shape" }),
        },
    }
}
