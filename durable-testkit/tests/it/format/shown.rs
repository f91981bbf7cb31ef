//! Events and tables as the independent reader shows them, from the engine's own types. Every kind and every field is named
//! by hand, so that the two sides agree only where both read the same out of the same bytes.

use durable::kernel::event::*;
use durable::kernel::id::{EventNo, Timestamp};
use durable::kernel::tables::{AttemptState, RunEntry, Waiting, WaitingFor};
use durable::kernel::undo::{UndoState, Undoable};
use serde_json::{Value, json};

/// An event of a run's journal.
pub(super) fn journal_event(no: EventNo, at: Timestamp, event: &Event) -> Value {
    let (kind, fields) = event_fields(event);
    json!({ "no": no.0, "at": at.0, "kind": kind, "fields": fields })
}

fn event_fields(event: &Event) -> (&'static str, Value) {
    match event {
        Event::RunStarted(started) => ("RunStarted", run_started(started)),
        Event::Turn { of, entries } => {
            let entries: Vec<Value> = entries.iter().map(entry).collect();
            ("Turn", json!({ "of": of.0, "entries": entries }))
        }
        Event::AttemptStarted { seq, attempt } => ("AttemptStarted", json!({ "seq": seq.0, "attempt": attempt.0 })),
        Event::AttemptParked { seq, attempt } => ("AttemptParked", json!({ "seq": seq.0, "attempt": attempt.0 })),
        Event::AttemptFailed { seq, attempt, began, cause, due, maybe } => {
            let (seq, attempt, began, due) = (seq.0, attempt.0, began.0, due.0);
            let cause = attempt_cause(cause);
            let fields =
                json!({ "seq": seq, "attempt": attempt, "began": began, "cause": cause, "due": due, "maybe": maybe });
            ("AttemptFailed", fields)
        }
        Event::ActivityCompleted { seq, attempt, began, result } => {
            let (seq, attempt, began) = (seq.0, attempt.0, began.0);
            let fields = json!({ "seq": seq, "attempt": attempt, "began": began, "result": bytes(&result.0) });
            ("ActivityCompleted", fields)
        }
        Event::ActivityFailed { seq, attempt, began, error, maybe } => {
            let (exhausted, error) = call_failure(error);
            let (seq, attempt, began) = (seq.0, attempt.0, began.0);
            let fields = json!({
                "seq": seq, "attempt": attempt, "began": began, "exhausted": exhausted, "error": error, "maybe": maybe,
            });
            ("ActivityFailed", fields)
        }
        Event::TimerFired { seq, at } => ("TimerFired", json!({ "seq": seq.0, "at": at.0 })),
        Event::SignalReceived { name, payload, sender } => {
            let fields = json!({ "name": name.as_str(), "payload": bytes(&payload.0), "sender": sent_by(sender) });
            ("SignalReceived", fields)
        }
        Event::ChildEnded { seq, how, body, result, undone } => {
            let (how, body, result) = (end(*how), end(*body), bytes(&result.0));
            let fields = json!({
                "seq": seq.0, "how": how, "body": body, "result": result, "undone": undone_calls(&undone.undone),
                "not_undone": undone_calls(&undone.not_undone), "unknown": undone_calls(&undone.unknown),
            });
            ("ChildEnded", fields)
        }
        Event::CancelRequested { scope, actor, reason, message } => {
            let (actor, reason, message) = (actor.as_str(), reason.as_str(), message.as_str());
            let fields = json!({ "scope": scope.0, "actor": actor, "reason": reason, "message": message });
            ("CancelRequested", fields)
        }
        Event::RunTimedOut { at } => ("RunTimedOut", json!({ "at": at.0 })),
        Event::CompensationStarted { cause, result } => {
            ("CompensationStarted", json!({ "cause": end(*cause), "result": bytes(&result.0) }))
        }
        Event::RunEnded(ended) => ("RunEnded", run_ended(ended)),
        Event::BuildChanged { build } => ("BuildChanged", json!({ "build": build.as_str() })),
        Event::RunBlocked { build, reason } => ("RunBlocked", build_and_reason(build, reason)),
        Event::RunUnblocked { build, reason } => ("RunUnblocked", build_and_reason(build, reason)),
        Event::Opened { build, pid, host } => {
            ("Opened", json!({ "build": build.as_str(), "pid": pid, "host": host.as_str() }))
        }
        Event::Closed => ("Closed", json!({})),
        Event::Checkpoint { part, of, tables } => {
            ("Checkpoint", json!({ "part": part, "of": of, "tables": bytes(&tables.0) }))
        }
    }
}

fn run_started(started: &RunStarted) -> Value {
    let pairs = |pairs: &[(Text, Payload)]| -> Vec<Value> {
        pairs.iter().map(|(key, value)| json!([key.as_str(), bytes(&value.0)])).collect()
    };
    json!({
        "run": bytes(&started.run.0),
        "namespace": started.namespace.as_str(),
        "id": started.id.as_str(),
        "workflow": started.workflow.as_str(),
        "version": started.version,
        "input": bytes(&started.input.0),
        "value": started.value.0,
        "shape": started.shape.0,
        "trace": started.trace.map(|trace| bytes(&trace.to_bytes())),
        "headers": pairs(&started.headers),
        "build": started.build.as_str(),
        "semantics": started.semantics,
        "deadline": started.deadline.map(|at| at.0),
        "attributes": pairs(&started.attributes),
        "parent": started.parent.map(|(run, seq)| (run.0, seq.0)),
        "seed": bytes(&started.seed),
        "salt": bytes(&started.salt),
        "queue": started.queue.as_str(),
        "priority": started.priority,
        "message": started.message.as_str(),
    })
}

fn run_ended(ended: &RunEnded) -> Value {
    json!({
        "how": end(ended.how),
        "body": end(ended.body),
        "result": bytes(&ended.result.0),
        "undone": undone_calls(&ended.undone.undone),
        "not_undone": undone_calls(&ended.undone.not_undone),
        "unknown": undone_calls(&ended.undone.unknown),
        "actor": ended.actor.as_str(),
        "reason": ended.reason.as_str(),
    })
}

fn undone_calls(calls: &[UndoneCall]) -> Vec<Value> {
    calls.iter().map(|call| json!([call.seq.0, call.name.as_str()])).collect()
}

fn entry(entry: &Entry) -> Value {
    match entry {
        Entry::ActivityScheduled(call) => json!({ "ActivityScheduled": { "call": activity_scheduled(call) } }),
        Entry::TimerStarted { seq, due } => json!({ "TimerStarted": { "seq": seq.0, "due": due.0 } }),
        Entry::SignalAwaited { seq, name } => {
            json!({ "SignalAwaited": { "seq": seq.0, "name": [name.as_str(), null] } })
        }
        Entry::SignalTaken { seq } => json!({ "SignalTaken": { "seq": seq.0 } }),
        Entry::SignalSent { seq, to, name, value } => {
            let (to, name) = (to.as_str(), name.as_str());
            json!({ "SignalSent": { "seq": seq.0, "to": to, "name": [name, null], "value": value.0 } })
        }
        Entry::ChildScheduled(child) => json!({ "ChildScheduled": child_scheduled(child) }),
        Entry::CompensationRegistered { seq, name, scope } => {
            json!({ "CompensationRegistered": { "seq": seq.0, "name": name.as_str(), "scope": scope.0 } })
        }
        Entry::ScopeOpened { scope, parent } => json!({ "ScopeOpened": { "scope": scope.0, "parent": parent.0 } }),
        Entry::ScopeClosed { scope } => json!({ "ScopeClosed": { "scope": scope.0 } }),
        Entry::CommandDropped { seq } => json!({ "CommandDropped": { "seq": seq.0 } }),
    }
}

fn activity_scheduled(call: &ActivityScheduled) -> Value {
    json!({
        "seq": call.seq.0,
        "activity": [call.name.as_str(), call.shape.0],
        "value": call.value.0,
        "at_most_once": call.binding.at_most_once,
        "by_token": call.binding.by_token,
        "undo": call.undo.undo,
        "undo_for_unknown": call.undo.unknown,
        "awaited_when_dropped": call.undo.waits,
        "queue": call.binding.queue.as_ref().map(Text::as_str),
        "deadline": call.binding.deadline.map(|at| at.0),
        "undoes": call.undoes.map(|seq| seq.0),
        "input": call.input.as_ref().map(|input| bytes(&input.0)),
    })
}

fn child_scheduled(child: &ChildScheduled) -> Value {
    json!({
        "seq": child.seq.0,
        "workflow": [child.workflow.as_str(), child.shape.0],
        "child": child.child.0,
        "id": child.id.as_str(),
        "value": child.value.0,
        "close": close_policy(child.close),
    })
}

fn attempt_cause(cause: &AttemptCause) -> Value {
    match cause {
        AttemptCause::Error { error, text } => json!({ "error": { "error": bytes(&error.0), "text": text.as_str() } }),
        AttemptCause::TimedOut => json!("timed out"),
        AttemptCause::Panicked(text) => json!({ "panicked": { "text": text.as_str() } }),
        AttemptCause::Interrupted => json!("interrupted"),
    }
}

/// How many attempts were made, where the caller is told so, and the failure itself.
fn call_failure(failure: &CallFailure) -> (Option<u32>, Value) {
    match failure {
        CallFailure::App { error, text } => {
            (None, json!({ "error": { "error": bytes(&error.0), "text": text.as_str() } }))
        }
        CallFailure::TimedOut(which) => (None, json!({ "timed out": { "which": time_limit(*which) } })),
        CallFailure::Cancelled => (None, json!("cancelled")),
        CallFailure::Interrupted => (None, json!("interrupted")),
        CallFailure::Panicked(text) => (None, json!({ "panicked": { "text": text.as_str() } })),
        CallFailure::Exhausted { attempts, last } => (Some(attempts.0), call_failure(last).1),
    }
}

fn sent_by(sender: &Sender) -> Value {
    match sender {
        Sender::Anonymous => json!("anonymous"),
        Sender::Message(message) => json!({ "message": { "message": message.as_str() } }),
        Sender::Run(run, seq) => json!({ "run": { "run": bytes(&run.0), "seq": seq.0 } }),
    }
}

fn end(end: End) -> &'static str {
    match end {
        End::Completed => "completed",
        End::Failed => "failed",
        End::Cancelled => "cancelled",
        End::TimedOut => "timed out",
        End::Terminated => "terminated",
        End::CompensationFailed => "compensation failed",
        End::NotStarted => "not started",
    }
}

fn close_policy(close: ClosePolicy) -> &'static str {
    match close {
        ClosePolicy::Cancel => "cancel",
        ClosePolicy::Terminate => "terminate",
        ClosePolicy::Abandon => "abandon",
    }
}

fn time_limit(which: Which) -> &'static str {
    match which {
        Which::StartToClose => "start-to-close",
        Which::ScheduleToClose => "schedule-to-close",
        Which::ScheduleToStart => "schedule-to-start",
        Which::Heartbeat => "heartbeat",
    }
}

fn build_and_reason(build: &Text, reason: &Text) -> Value {
    json!({ "build": build.as_str(), "reason": reason.as_str() })
}

/// A run as a checkpoint holds it.
pub(super) fn open_run(no: u64, run: &RunEntry) -> Value {
    let blocked = run.rare.blocked.as_ref().map(|blocked| {
        json!({ "build": blocked.build.as_str(), "reason": blocked.reason.as_str(), "since": blocked.since.0 })
    });
    json!({
        "no": no,
        "run": bytes(&run.run.0),
        "namespace": run.kind.namespace.as_str(),
        "id": run.id.as_str(),
        "workflow": run.kind.workflow.as_str(),
        "version": run.kind.version,
        "value": run.value.0,
        "shape": run.shape.0,
        "salt": bytes(&run.salt),
        "build": run.kind.build.as_str(),
        "trace": run.rare.trace.map(|trace| bytes(&trace.to_bytes())),
        "parent": run.rare.parent.map(|(run, seq)| (run.0, seq.0)),
        "started": run.started.0,
        "deadline": run.rare.deadline.map(|at| at.0),
        "next_event": run.next.0,
        "without_turn": run.unturned.iter().map(|no| no.0).collect::<Vec<u64>>(),
        "waiting": run.waiting.iter().map(waiting).collect::<Vec<Value>>(),
        "dropped": run.rare.dropped.iter().map(waiting).collect::<Vec<Value>>(),
        "signals": run.rare.signals,
        "blocked": blocked,
        "cancelling": run.rare.cancelling,
        "undoing": run.rare.undoing.map(end),
        "undos": run.rare.undos.iter().map(undoable).collect::<Vec<Value>>(),
    })
}

fn waiting(waiting: &Waiting) -> Value {
    json!({ "seq": waiting.seq.0, "since": waiting.since.0, "what": waits_for(waiting) })
}

fn waits_for(waiting: &Waiting) -> Value {
    match &waiting.what {
        WaitingFor::Activity { call, state } => json!({ "activity": {
            "name": call.name.as_str(),
            "at_most_once": call.binding.at_most_once,
            "by_token": call.binding.by_token,
            "queue": call.binding.queue.as_ref().map_or("", Text::as_str),
            "deadline": call.binding.deadline.map(|at| at.0),
            "undo": call.undo.undo,
            "undo_for_unknown": call.undo.unknown,
            "awaited_when_dropped": call.undo.waits,
            "state": attempt_state(state),
            "maybe": waiting.maybe,
        } }),
        WaitingFor::Timer { due } => json!({ "timer": { "due": due.0 } }),
        WaitingFor::Signal { name } => json!({ "signal": { "name": name.as_str() } }),
        WaitingFor::Child(of) => {
            json!({ "child": { "child": of.child.0, "id": of.id.as_str(), "close": close_policy(of.close) } })
        }
    }
}

fn attempt_state(state: &AttemptState) -> Value {
    match state {
        AttemptState::Scheduled => json!("scheduled"),
        AttemptState::Started(attempt) => json!({ "started": { "attempt": attempt.0 } }),
        AttemptState::Failed(failed) => {
            json!({ "failed": { "attempt": failed.attempt.0, "due": failed.due.0, "cause": failed.cause.as_str() } })
        }
        AttemptState::Parked(attempt) => json!({ "parked": { "attempt": attempt.0 } }),
    }
}

fn undoable(call: &Undoable) -> Value {
    let state = match call.state {
        UndoState::Open => "open",
        UndoState::Stands => "stands",
        UndoState::Unknown => "unknown",
        UndoState::Undone => "undone",
        UndoState::NotUndone => "not undone",
    };
    json!({
        "seq": call.seq.0,
        "name": call.name.as_str(),
        "undo": call.bits.undo,
        "undo_for_unknown": call.bits.unknown,
        "awaited_when_dropped": call.bits.waits,
        "state": state,
        "dropped": call.dropped,
        "by": call.by.map(|seq| seq.0),
    })
}

pub(super) fn bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
