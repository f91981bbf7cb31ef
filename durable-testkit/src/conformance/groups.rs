//! Groups as a kernel makes them, with numbers in their payloads by which they are told apart.

use durable::kernel::event::{End, Entry, Event, Group, RunEnded, RunStarted, Section, Sender, Undone};
use durable::kernel::id::{EventNo, RunNo, Seq, Timestamp};

/// A group of these sections.
#[must_use]
pub fn group(sections: impl IntoIterator<Item = Section>) -> Group {
    Group { sections: sections.into_iter().collect() }
}

fn section(run: u64, first: u64, events: Vec<Event>) -> Section {
    let at = Timestamp(1_000_000 * i64::try_from(run).unwrap_or(i64::MAX) + i64::try_from(first).unwrap_or(i64::MAX));
    Section::of(RunNo(run), EventNo(first), at, events)
}

/// A run starts, under an id that is its own.
#[must_use]
pub fn start(run: u64) -> Section {
    start_as(run, "", &format!("run-{run}"))
}

/// A run starts, under this namespace and id.
#[must_use]
pub fn start_as(run: u64, namespace: &str, id: &str) -> Section {
    let (namespace, id) = (namespace.into(), id.into());
    let started = RunStarted { namespace, id, workflow: "flow".into(), ..RunStarted::default() };
    section(run, 0, vec![Event::RunStarted(Box::new(started))])
}

/// Event `no` of a run: a signal whose payload begins with `number` and has `bytes` bytes, at least eight.
#[must_use]
pub fn signal(run: u64, no: u64, number: u64, bytes: usize) -> Section {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(bytes.max(8), 0x5a);
    let event = Event::SignalReceived { name: "n".into(), payload: payload.into(), sender: Sender::Anonymous };
    section(run, no, vec![event])
}

/// Two events of a run from `no` on: a turn in which it starts a timer, and the timer that fired.
#[must_use]
pub fn marked(run: u64, no: u64, of: u64, seq: u32) -> Section {
    let due = Timestamp(77);
    let entries = vec![
        Entry::TimerStarted { seq: Seq(seq), due },
        Entry::SignalAwaited { seq: Seq(seq + 1), name: format!("name-{no}").into() },
    ];
    section(
        run,
        no,
        vec![Event::Turn { of: EventNo(of), entries: entries.into() }, Event::TimerFired { seq: Seq(seq), at: due }],
    )
}

/// A run that began by [`start`] ends as its event `no`, with this number as its result.
#[must_use]
pub fn end(run: u64, no: u64, number: u64) -> Section {
    end_as(run, no, number, "", &format!("run-{run}"))
}

/// The same, of a run that began under this namespace and id.
#[must_use]
pub fn end_as(run: u64, no: u64, number: u64, namespace: &str, id: &str) -> Section {
    let ended = RunEnded {
        how: End::Completed,
        body: End::Completed,
        result: number.to_le_bytes().to_vec().into(),
        undone: Undone::default(),
        actor: "".into(),
        reason: "".into(),
    };
    section(run, no, vec![Event::RunEnded(Box::new(ended))]).ending(namespace.into(), id.into())
}

/// What an opener tells of itself, which belongs to no run.
#[must_use]
pub fn of_the_opener() -> Section {
    section(0, 0, vec![Event::Opened { build: "build".into(), pid: 7, host: "host".into() }])
}
