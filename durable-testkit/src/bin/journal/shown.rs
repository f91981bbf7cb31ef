//! Runs and journals for the eyes of people.

use std::fmt::Write;

use durable::Description;
use durable::codec::{event, kind};
use durable::journal::{RunJournal, fields};
use durable::kernel::id::EventNo;
use serde_json::Value;

/// One line for each run, under a head.
pub(crate) fn runs(runs: &[Description]) -> String {
    let head = ["ID", "RUN", "WORKFLOW", "STATE", "EVENTS", "STARTED"].map(str::to_owned);
    let mut rows = vec![head];
    rows.extend(runs.iter().map(row));
    let mut text = String::new();
    for row in &rows {
        let widths = (0..row.len()).map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _infallible = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

fn row(run: &Description) -> [String; 6] {
    let id = if run.namespace.is_empty() { run.id.clone() } else { format!("{} (in {})", run.id, run.namespace) };
    let started = serde_json::to_value(run).ok().and_then(|run| Some(run.get("started")?.as_str()?.to_owned()));
    [
        printable(&id),
        run.run.to_string(),
        printable(&run.workflow),
        run.status.to_string(),
        run.events.to_string(),
        started.unwrap_or_default(),
    ]
}

/// A journal: what the run is, then its events with the time since it started, each with its fields.
pub(crate) fn journal(journal: &RunJournal) -> String {
    let (started, mut text) = (journal.started(), String::new());
    let begin = journal.events().first().map(|(_, at, _)| *at).unwrap_or_default();
    let _infallible = writeln!(
        text,
        "run `{}` of `{}` version {}, {}: {}, {} events, recorded by build {}",
        printable(started.id.as_str()),
        printable(started.workflow.as_str()),
        started.version,
        started.run,
        journal.status(),
        journal.events().len(),
        printable(started.build.as_str()),
    );
    for (no, at, event) in journal.events() {
        let name = kind::name(event::kind_of(event)).unwrap_or("?");
        event_lines(&mut text, *no, at.since(begin), name, &fields(event));
    }
    text
}

fn event_lines(text: &mut String, no: EventNo, since: std::time::Duration, name: &str, fields: &Value) {
    let mut head = format!("{no:>5}  +{:<12}  {name}", format!("{:.6}s", since.as_secs_f64()));
    let Some(fields) = fields.as_object() else { return };
    let (entries, plain): (Vec<_>, Vec<_>) = fields.iter().partition(|(name, _)| *name == "entries");
    for (name, value) in plain {
        let _infallible = write!(head, "  {name} {value}");
    }
    let _infallible = writeln!(text, "{head}");
    for entry in entries.into_iter().filter_map(|(_, value)| value.as_array()).flatten() {
        let _infallible = writeln!(text, "{:24}{}", "", entry_line(entry));
    }
}

/// An entry of a turn: its kind and its fields.
fn entry_line(entry: &Value) -> String {
    let Some((kind, fields)) = entry.as_object().and_then(|entry| entry.iter().next()) else {
        return entry.to_string();
    };
    let fields = fields.as_object().into_iter().flatten().map(|(name, value)| format!("  {name} {value}"));
    format!("{kind}{}", fields.collect::<String>())
}

/// A text that cannot steer a terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}
