//! Events in a line each, as scripts print them. For people and snapshots; nothing reads it back.

use std::time::Duration;

use crate::kernel::event::{AttemptCause, CallFailure, ClosePolicy, Entry, Event, Payload, Sender, Undone, UndoneCall};
use crate::kernel::id::Timestamp;

/// An event in words; times count from `begin`. The store's own events are left out.
pub(super) fn event(event: &Event, begin: Timestamp) -> String {
    let at = |at: &Timestamp| after(*at, begin);
    match event {
        Event::RunStarted(started) => {
            let deadline = started.deadline.map(|due| format!(", until {}", at(&due))).unwrap_or_default();
            format!("RunStarted {}{}{deadline}", started.workflow, value(&started.input))
        }
        Event::Turn { of, entries } => {
            let entries: Vec<String> = entries.iter().map(|entry| self::entry(entry, begin)).collect();
            format!("Turn of {of}: {}", if entries.is_empty() { "nothing".to_owned() } else { entries.join(", ") })
        }
        Event::AttemptStarted { seq, attempt } => format!("AttemptStarted {seq}, attempt {attempt}"),
        Event::AttemptFailed { seq, attempt, cause, due, maybe, .. } => {
            format!(
                "AttemptFailed {seq}, attempt {attempt}: {}, next at {}{}",
                self::cause(cause),
                at(due),
                may(*maybe)
            )
        }
        Event::AttemptParked { seq, attempt } => format!("AttemptParked {seq}, attempt {attempt}"),
        Event::ActivityCompleted { seq, result, .. } => format!("ActivityCompleted {seq}: {}", value(result)),
        Event::ActivityFailed { seq, attempt, error, maybe, .. } => {
            format!("ActivityFailed {seq}, attempt {attempt}: {}{}", failure(error), may(*maybe))
        }
        Event::TimerFired { seq, at: fired } => format!("TimerFired {seq} at {}", at(fired)),
        Event::SignalReceived { name, payload, sender } => {
            let by = if let Sender::Message(id) = sender { format!(" by {id}") } else { String::new() };
            format!("SignalReceived {name}: {}{by}", value(payload))
        }
        Event::ChildEnded { seq, how, result, undone, .. } => {
            format!("ChildEnded {seq}: {how:?} {}{}", value(result), self::undone(undone))
        }
        Event::CancelRequested { actor, reason, .. } => format!("CancelRequested by {actor}: {reason}"),
        Event::RunTimedOut { .. } => "RunTimedOut".to_owned(),
        Event::CompensationStarted { cause, .. } => format!("CompensationStarted: {cause:?}"),
        Event::RunEnded(ended) => {
            let body = if ended.body == ended.how { String::new() } else { format!(" after {:?}", ended.body) };
            format!("RunEnded: {:?}{body} {}{}", ended.how, value(&ended.result), undone(&ended.undone))
        }
        Event::BuildChanged { build } => format!("BuildChanged {build}"),
        Event::RunBlocked { build, reason } => {
            let lines: Vec<&str> = reason.as_str().lines().collect();
            format!("RunBlocked in {build}: {}", steady(&lines.join("\n      ")))
        }
        Event::RunUnblocked { build, reason } => format!("RunUnblocked in {build}: {reason}"),
        Event::Opened { .. } | Event::Closed | Event::Checkpoint { .. } => String::new(),
    }
}

fn entry(entry: &Entry, begin: Timestamp) -> String {
    match entry {
        Entry::ActivityScheduled(call) => {
            let once = if call.binding.at_most_once { " at most once" } else { "" };
            let until = call.binding.deadline.map(|due| format!(" until {}", after(due, begin))).unwrap_or_default();
            let bits =
                [(call.undo.undo, " with undo"), (call.undo.unknown, " or unknown"), (call.undo.waits, " awaited")];
            let bits: String = bits.into_iter().filter(|(set, _)| *set).map(|(_, text)| text).collect();
            let undoes = call.undoes.map(|seq| format!(" undoing {seq}")).unwrap_or_default();
            format!("call {} {}{once}{until}{bits}{undoes}", call.seq, call.name)
        }
        Entry::TimerStarted { seq, due } => format!("timer {seq} due {}", after(*due, begin)),
        Entry::SignalAwaited { seq, name } => format!("await {seq} {name}"),
        Entry::SignalTaken { seq } => format!("take {seq}"),
        Entry::ChildScheduled(child) => {
            let close = if child.close == ClosePolicy::Cancel { String::new() } else { format!(" {:?}", child.close) };
            format!("child {} {}{close}", child.seq, child.id)
        }
        Entry::CommandDropped { seq } => format!("drop {seq}"),
        Entry::CompensationRegistered { seq, name, scope } => format!("register {seq} {name} in scope {scope}"),
        Entry::ScopeOpened { scope, parent } => format!("open scope {scope} in {parent}"),
        Entry::ScopeClosed { scope } => format!("close scope {scope}"),
        Entry::SignalSent { .. } => format!("{entry:?}"),
    }
}

fn undone(undone: &Undone) -> String {
    let list = |what: &str, calls: &[UndoneCall]| {
        let calls: Vec<String> = calls.iter().map(|call| format!("{} {}", call.name, call.seq)).collect();
        if calls.is_empty() { String::new() } else { format!(", {what} {}", calls.join(" and ")) }
    };
    list("undone", &undone.undone) + &list("not undone", &undone.not_undone) + &list("unknown", &undone.unknown)
}

fn cause(cause: &AttemptCause) -> String {
    match cause {
        AttemptCause::Error { text, .. } => format!("`{text}`"),
        AttemptCause::TimedOut => "timed out".to_owned(),
        AttemptCause::Panicked(text) => format!("panicked `{text}`"),
        AttemptCause::Interrupted => "interrupted".to_owned(),
    }
}

fn failure(error: &CallFailure) -> String {
    match error {
        CallFailure::App { text, .. } => format!("`{text}`"),
        CallFailure::Exhausted { attempts, last } => format!("exhausted after {attempts}: {}", failure(last)),
        other => other.line().to_string(),
    }
}

fn may(maybe: bool) -> &'static str {
    if maybe { ", may stand" } else { "" }
}

/// A payload in words: an error that was recorded as a failure by its message.
pub(super) fn value(payload: &Payload) -> String {
    if payload.is_empty() {
        return "nothing".to_owned();
    }
    let json = crate::payload::to_json(payload);
    json.get("message")
        .and_then(|message| message.as_str())
        .map_or_else(|| json.to_string(), |text| format!("`{text}`"))
}

/// How long after `begin` a time is.
fn after(at: Timestamp, begin: Timestamp) -> String {
    let span = at.since(begin);
    let (seconds, millis) = (span.as_secs(), span.subsec_millis());
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let mut text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if millis > 0 || span == Duration::ZERO {
        text += &format!("{millis}ms");
    }
    text
}

/// The text without the numbers of source lines, which every edit of a test moves.
pub(super) fn steady(text: &str) -> String {
    let mut parts = text.split(".rs:");
    let mut steady = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        steady += ".rs:_";
        steady += part.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    steady
}
