//! What a store holds by the groups that it was given: journals, the fold of them, the closed runs. It is given every group that was
//! taken, and judges nothing.

use std::collections::BTreeMap;

use durable::kernel::event::{Event, Group};
use durable::kernel::id::{EventNo, RunNo};
use durable::kernel::tables::Tables;
use durable::store::{ClosedRun, Journal};

/// The journals and tables that some groups make.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    journals: BTreeMap<RunNo, Journal>,
    tables: Tables,
}

impl Model {
    /// What these groups make.
    ///
    /// # Panics
    /// When they leave a gap.
    #[must_use]
    pub fn of(groups: &[Group]) -> Model {
        let mut model = Model::default();
        groups.iter().for_each(|group| model.take(group));
        model
    }

    /// Takes in a group.
    ///
    /// # Panics
    /// When it leaves a gap.
    pub fn take(&mut self, group: &Group) {
        // What the opener tells of itself is in no journal.
        for section in group.sections.iter().filter(|section| section.run != RunNo(0)) {
            for (no, event) in (section.first.0..).map(EventNo).zip(&section.events) {
                let applied = self.tables.apply(section.run, no, section.at, event);
                applied.unwrap_or_else(|gap| panic!("a model is given whole journals: {gap:?}"));
                self.journals.entry(section.run).or_default().push((no, section.at, event.clone()));
            }
        }
    }

    /// A run's journal, open or closed; empty if there is no such run.
    #[must_use]
    pub fn journal(&self, run: RunNo) -> Journal {
        self.journals.get(&run).cloned().unwrap_or_default()
    }

    /// The fold of the groups.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The open runs.
    pub fn open(&self) -> impl Iterator<Item = RunNo> {
        self.tables.open.keys()
    }

    /// The newest closed run of an id.
    #[must_use]
    pub fn closed(&self, namespace: &str, id: &str) -> Option<ClosedRun> {
        self.journals.iter().rev().find_map(|(run, journal)| {
            let (_, started_at, Event::RunStarted(started)) = journal.first()? else { return None };
            let (_, ended_at, Event::RunEnded(ended)) = journal.last()? else { return None };
            let is_it = started.namespace.as_str() == namespace && started.id.as_str() == id;
            is_it.then(|| ClosedRun {
                run: *run,
                started: (**started).clone(),
                started_at: *started_at,
                ended: (**ended).clone(),
                ended_at: *ended_at,
            })
        })
    }
}
