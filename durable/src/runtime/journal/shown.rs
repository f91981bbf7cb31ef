//! Events for the eyes of people: every field by its name, recorded values as JSON. Never used to read an event back.

use serde_json::{Map, Value, json};

use crate::kernel::event::{
    ActivityScheduled, AttemptCause, CallFailure, ChildScheduled, ClosePolicy, End, Entry, Event, Payload, RunEnded,
    RunStarted, Sender, Text, Undone, UndoneCall, Which,
};
use crate::kernel::id::{Digest, Timestamp};
use crate::payload::to_json;
use crate::runtime::status::{Micros, Status};

/// What an event holds, field by field. What is absent, and a switch that is off, is left out.
#[must_use]
pub fn fields(event: &Event) -> Value {
    match event {
        Event::RunStarted(started) => run_started(started),
        Event::Turn { of, entries } => {
            let entries: Vec<Value> = entries.iter().map(entry).collect();
            json!({ "of": of.0, "entries": entries })
        }
        Event::AttemptStarted { seq, attempt } | Event::AttemptParked { seq, attempt } => {
            json!({ "seq": seq.0, "attempt": attempt.0 })
        }
        Event::AttemptFailed { seq, attempt, began, cause, due, maybe } => {
            let all = Fields::of([("seq", seq.0.into()), ("attempt", attempt.0.into())]);
            all.at("began", *began).put("cause", attempt_cause(cause)).at("due", *due).flag("maybe", *maybe).done()
        }
        Event::ActivityCompleted { seq, attempt, began, result } => {
            let all = Fields::of([("seq", seq.0.into()), ("attempt", attempt.0.into())]);
            all.at("began", *began).put("result", to_json(result)).done()
        }
        Event::ActivityFailed { seq, attempt, began, error, maybe } => {
            let all = Fields::of([("seq", seq.0.into()), ("attempt", attempt.0.into())]);
            all.at("began", *began).put("error", call_failure(error)).flag("maybe", *maybe).done()
        }
        Event::TimerFired { seq, at } => Fields::of([("seq", seq.0.into())]).at("at", *at).done(),
        Event::SignalReceived { name, payload, sender } => {
            json!({ "name": name.as_str(), "value": to_json(payload), "sender": sent_by(sender) })
        }
        Event::ChildEnded { seq, how, body, result, undone } => {
            let all = Fields::of([("seq", seq.0.into()), ("how", end(*how).into()), ("body", end(*body).into())]);
            undone_of(all.put("result", to_json(result)), undone).done()
        }
        Event::CancelRequested { scope, actor, reason, message } => {
            let all = Fields::of([("scope", scope.0.into())]);
            all.text("actor", actor).text("reason", reason).text("message", message).done()
        }
        Event::RunTimedOut { at } => Fields::of([]).at("at", *at).done(),
        Event::CompensationStarted { cause, result } => json!({ "cause": end(*cause), "result": to_json(result) }),
        Event::RunEnded(ended) => run_ended(ended),
        Event::BuildChanged { build } => json!({ "build": build.as_str() }),
        Event::RunBlocked { build, reason } | Event::RunUnblocked { build, reason } => {
            json!({ "build": build.as_str(), "reason": reason.as_str() })
        }
        Event::Opened { build, pid, host } => json!({ "build": build.as_str(), "pid": pid, "host": host.as_str() }),
        Event::Closed => json!({}),
        Event::Checkpoint { part, of, tables } => json!({ "part": part, "of": of, "bytes": tables.len() }),
    }
}

fn run_started(started: &RunStarted) -> Value {
    let pairs = |pairs: &[(Text, Payload)]| {
        let all: Map<String, Value> = pairs.iter().map(|(key, value)| (key.to_string(), to_json(value))).collect();
        (!all.is_empty()).then(|| Value::from(all))
    };
    Fields::of([("run", started.run.to_string().into()), ("id", started.id.as_str().into())])
        .text("namespace", &started.namespace)
        .put("workflow", started.workflow.as_str().into())
        .put("version", started.version.into())
        .put("input", to_json(&started.input))
        .digests(started.value, started.shape)
        .maybe("trace", started.trace.map(|trace| trace.to_string().into()))
        .maybe("headers", pairs(&started.headers))
        .put("build", started.build.as_str().into())
        .put("semantics", started.semantics.into())
        .maybe("deadline", started.deadline.map(time))
        .maybe("attributes", pairs(&started.attributes))
        .maybe("parent", started.parent.map(|(run, seq)| json!({ "run": run.0, "seq": seq.0 })))
        .put("seed", hex(&started.seed).into())
        .put("salt", hex(&started.salt).into())
        .text("queue", &started.queue)
        .maybe("priority", (started.priority != 0).then(|| started.priority.into()))
        .text("message", &started.message)
        .done()
}

fn run_ended(ended: &RunEnded) -> Value {
    let all = Fields::of([("how", end(ended.how).into()), ("body", end(ended.body).into())]);
    let all = undone_of(all.put("result", to_json(&ended.result)), &ended.undone);
    all.text("actor", &ended.actor).text("reason", &ended.reason).done()
}

fn undone_of(all: Fields, undone: &Undone) -> Fields {
    let calls = |calls: &[UndoneCall]| {
        let calls: Vec<Value> =
            calls.iter().map(|call| json!({ "seq": call.seq.0, "name": call.name.as_str() })).collect();
        (!calls.is_empty()).then(|| Value::from(calls))
    };
    let Undone { undone, not_undone, unknown } = undone;
    all.maybe("undone", calls(undone)).maybe("not_undone", calls(not_undone)).maybe("unknown", calls(unknown))
}

fn entry(entry: &Entry) -> Value {
    match entry {
        Entry::ActivityScheduled(call) => json!({ "ActivityScheduled": activity_scheduled(call) }),
        Entry::TimerStarted { seq, due } => json!({ "TimerStarted": { "seq": seq.0, "due": time(*due) } }),
        Entry::SignalAwaited { seq, name } => json!({ "SignalAwaited": { "seq": seq.0, "name": name.as_str() } }),
        Entry::SignalTaken { seq } => json!({ "SignalTaken": { "seq": seq.0 } }),
        Entry::SignalSent { seq, to, name, value } => {
            let (to, name, value) = (to.as_str(), name.as_str(), value.to_string());
            json!({ "SignalSent": { "seq": seq.0, "to": to, "name": name, "value": value } })
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
    let ActivityScheduled { seq, name, value, shape, binding, undo, undoes, input } = call;
    Fields::of([("seq", seq.0.into()), ("name", name.as_str().into())])
        .digests(*value, *shape)
        .flag("at_most_once", binding.at_most_once)
        .flag("by_token", binding.by_token)
        .maybe("queue", binding.queue.as_ref().map(|queue| queue.as_str().into()))
        .maybe("deadline", binding.deadline.map(time))
        .flag("undo", undo.undo)
        .flag("undo_for_unknown", undo.unknown)
        .flag("awaited_when_dropped", undo.waits)
        .maybe("undoes", undoes.map(|seq| seq.0.into()))
        .maybe("input", input.as_ref().map(to_json))
        .done()
}

fn child_scheduled(child: &ChildScheduled) -> Value {
    let ChildScheduled { seq, workflow, child, id, value, shape, close } = child;
    let all = Fields::of([("seq", seq.0.into()), ("workflow", workflow.as_str().into()), ("child", child.0.into())]);
    all.put("id", id.as_str().into()).digests(*value, *shape).put("close", close_policy(*close).into()).done()
}

fn attempt_cause(cause: &AttemptCause) -> Value {
    match cause {
        AttemptCause::Error { error, text } => json!({ "error": to_json(error), "text": text.as_str() }),
        AttemptCause::TimedOut => json!("timed out"),
        AttemptCause::Panicked(text) => json!({ "panicked": text.as_str() }),
        AttemptCause::Interrupted => json!("interrupted"),
    }
}

fn call_failure(failure: &CallFailure) -> Value {
    match failure {
        CallFailure::App { error, text } => json!({ "error": to_json(error), "text": text.as_str() }),
        CallFailure::TimedOut(which) => json!({ "timed_out": time_limit(*which) }),
        CallFailure::Cancelled => json!("cancelled"),
        CallFailure::Interrupted => json!("interrupted"),
        CallFailure::Panicked(text) => json!({ "panicked": text.as_str() }),
        CallFailure::Exhausted { attempts, last } => json!({ "attempts": attempts.0, "last": call_failure(last) }),
    }
}

fn sent_by(sender: &Sender) -> Value {
    match sender {
        Sender::Anonymous => json!("anonymous"),
        Sender::Message(message) => json!({ "message": message.as_str() }),
        Sender::Run(run, seq) => json!({ "run": run.to_string(), "seq": seq.0 }),
    }
}

fn end(end: End) -> String {
    match end {
        End::NotStarted => "not started".to_owned(),
        end => Status::from(end).to_string(),
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

fn time(at: Timestamp) -> Value {
    Micros(at).to_string().into()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 0x0f)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The bytes of a text that [`hex`] gave; capitals are read too.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let half = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(half(*high)? << 4 | half(*low)?),
            _ => None,
        })
        .collect()
}

/// Fields, one after the other.
struct Fields(Map<String, Value>);

impl Fields {
    fn of<const N: usize>(first: [(&str, Value); N]) -> Fields {
        Fields(first.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn put(self, name: &str, value: Value) -> Fields {
        self.maybe(name, Some(value))
    }

    fn maybe(mut self, name: &str, value: Option<Value>) -> Fields {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    fn text(self, name: &str, value: &Text) -> Fields {
        self.maybe(name, (!value.is_empty()).then(|| value.as_str().into()))
    }

    fn flag(self, name: &str, is_on: bool) -> Fields {
        self.maybe(name, is_on.then(|| true.into()))
    }

    fn at(self, name: &str, at: Timestamp) -> Fields {
        self.put(name, time(at))
    }

    fn digests(self, value: Digest, shape: Digest) -> Fields {
        self.put("value", value.to_string().into()).put("shape", shape.to_string().into())
    }

    fn done(self) -> Value {
        self.0.into()
    }
}
