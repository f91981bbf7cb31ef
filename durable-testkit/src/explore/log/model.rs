//! What a log should hold: the groups that were appended, in their order, with the tables and the journals after each. It
//! knows nothing of frames, segments or syncs.

use std::collections::BTreeMap;
use std::sync::Arc;

use durable::kernel::event::{End, Event, Group, RunEnded, RunStarted, Section, Sender, Text, Undone};
use durable::kernel::id::{EventNo, RunNo, Timestamp};
use durable::kernel::tables::Tables;

use crate::rng::Rng;

/// The one moment at which everything happens that is appended.
pub(super) const AT: Timestamp = Timestamp(1_000);

/// How many runs are open at once, at most.
const OPEN_MAX: usize = 3;

/// What stands in the log.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// A group that was appended.
    Group(Group),
    /// The log was closed.
    Closed,
    /// A checkpoint.
    Checkpoint,
}

/// One thing in the log, and what is the case behind it.
#[derive(Debug)]
struct Step {
    entry: Entry,
    tables: Arc<Tables>,
}

/// What was put into the log, in order. A point in it is how many things stand before it. Cheap to clone and to cut.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    steps: Vec<Arc<Step>>,
    none: Arc<Tables>,
}

impl History {
    /// How many things stand in it.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The tables behind the first `count` things.
    pub(super) fn tables(&self, count: usize) -> &Arc<Tables> {
        count.checked_sub(1).and_then(|last| self.steps.get(last)).map_or(&self.none, |step| &step.tables)
    }

    /// Whether nothing can have run behind the first `count` things: a close is the last one, or there is none.
    pub(super) fn is_clean(&self, count: usize) -> bool {
        let last = count.checked_sub(1).and_then(|last| self.steps.get(last));
        last.is_none_or(|step| matches!(step.entry, Entry::Closed))
    }

    pub(super) fn cut(&mut self, count: usize) {
        self.steps.truncate(count);
    }

    pub(super) fn push(&mut self, entry: Entry) {
        let tables = match &entry {
            Entry::Group(group) => Arc::new(applied(self.tables(self.len()), group)),
            Entry::Closed | Entry::Checkpoint => Arc::clone(self.tables(self.len())),
        };
        self.steps.push(Arc::new(Step { entry, tables }));
    }

    fn sections(&self, count: usize) -> impl DoubleEndedIterator<Item = &Section> {
        let groups = self.steps.iter().take(count).filter_map(|step| match &step.entry {
            Entry::Group(group) => Some(group),
            Entry::Closed | Entry::Checkpoint => None,
        });
        groups.flat_map(|group| &group.sections).filter(|section| section.run != RunNo(0))
    }

    /// The journal of a run, by the first `count` things.
    pub(super) fn journal(&self, count: usize, run: RunNo) -> impl Iterator<Item = (EventNo, &Event)> {
        let of_run = self.sections(count).filter(move |section| section.run == run);
        of_run.flat_map(|section| (section.first.0..).map(EventNo).zip(&section.events))
    }

    /// The run that was appended to last.
    pub(super) fn newest_run(&self, count: usize) -> Option<RunNo> {
        self.sections(count).next_back().map(|section| section.run)
    }

    /// The newest closed run of each workflow id.
    pub(super) fn closed(&self, count: usize) -> BTreeMap<Text, RunNo> {
        let (mut ids, mut closed) = (BTreeMap::new(), BTreeMap::new());
        for section in self.sections(count) {
            for event in &section.events {
                match event {
                    Event::RunStarted(started) => {
                        ids.insert(section.run, started.id.clone());
                    }
                    Event::RunEnded(_) => closed.extend(ids.remove(&section.run).map(|id| (id, section.run))),
                    _ => {}
                }
            }
        }
        closed
    }

    /// Every workflow id that was ever used.
    pub(super) fn ids(&self) -> impl Iterator<Item = &Text> {
        let events = self.sections(self.len()).flat_map(|section| &section.events);
        events.filter_map(|event| if let Event::RunStarted(started) = event { Some(&started.id) } else { None })
    }
}

fn applied(tables: &Tables, group: &Group) -> Tables {
    let mut tables = tables.clone();
    for section in group.sections.iter().filter(|section| section.run != RunNo(0)) {
        for (event, no) in section.events.iter().zip(section.first.0..) {
            let fits = tables.apply(section.run, EventNo(no), section.at, event);
            fits.expect("because the author goes on where the journals end");
        }
    }
    tables
}

/// Makes groups up. No two events of one author hold the same number.
#[derive(Debug, Clone)]
pub(super) struct Author {
    rng: Rng,
    number: u64,
}

impl Author {
    /// An author whose numbers begin at `from`.
    pub(super) fn new(rng: Rng, from: u64) -> Author {
        Author { rng, number: from }
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// The next group that fits behind all of `history`; its payloads have about `bytes` bytes.
    pub(super) fn group(&mut self, history: &History, bytes: usize) -> Group {
        let tables = history.tables(history.len());
        let open: Vec<RunNo> = tables.open.keys().collect();
        let mut sections = Vec::new();
        if open.is_empty() || (open.len() < OPEN_MAX && self.rng.percent(20)) {
            sections.push(self.start(tables.next_run.max(RunNo(1)), history, bytes));
        } else {
            let run = open[self.rng.index(open.len())];
            sections.push(self.go_on(run, tables, bytes));
            if let Some(other) = open.iter().find(|other| **other != run).filter(|_| self.rng.percent(15)) {
                sections.push(self.go_on(*other, tables, 8));
            }
        }
        if self.rng.percent(4) {
            sections.insert(0, opened());
        }
        Group { sections }
    }

    fn start(&mut self, run: RunNo, history: &History, bytes: usize) -> Section {
        // An id is used again when its run has ended, and not while another run has it.
        let open = history.tables(history.len());
        let mut closed = history.closed(history.len()).into_keys();
        let again = closed.next().filter(|id| self.rng.percent(25) && open.run_of(&Text::default(), id).is_none());
        let id = again.unwrap_or_else(|| format!("run-{}", self.number()).into());
        let started = RunStarted { id, workflow: "flow".into(), ..RunStarted::default() };
        let events = vec![Event::RunStarted(Box::new(started)), self.signal(bytes)];
        Section::of(run, EventNo(0), AT, events)
    }

    fn go_on(&mut self, run: RunNo, tables: &Tables, bytes: usize) -> Section {
        let entry = tables.open.get(&run).expect("because the run was chosen among the open ones");
        if self.rng.percent(18) {
            let (namespace, id) = (entry.kind.namespace.clone(), entry.id.clone());
            return Section::of(run, entry.next, AT, vec![self.end()]).ending(namespace, id);
        }
        Section::of(run, entry.next, AT, vec![self.signal(bytes)])
    }

    fn signal(&mut self, bytes: usize) -> Event {
        let mut payload = self.number().to_le_bytes().to_vec();
        payload.resize(bytes.max(8), 0x5a);
        let name = ["a", "b"][self.rng.index(2)].into();
        Event::SignalReceived { name, payload: payload.into(), sender: Sender::Anonymous }
    }

    fn end(&mut self) -> Event {
        Event::RunEnded(Box::new(RunEnded {
            how: End::Completed,
            body: End::Completed,
            result: self.number().to_le_bytes().to_vec().into(),
            undone: Undone::default(),
            actor: "".into(),
            reason: "".into(),
        }))
    }
}

fn opened() -> Section {
    let event = Event::Opened { build: "b".into(), pid: 1, host: "h".into() };
    Section::of(RunNo(0), EventNo(0), AT, vec![event])
}
