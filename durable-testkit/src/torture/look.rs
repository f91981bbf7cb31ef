//! A look at the store as it lies on the disk: on a copy, at any moment, without a trace in the play. It reads; it judges nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use durable::kernel::event::{Entry, Event, RunEnded, RunStarted, Text};
use durable::kernel::id::RunNo;
use durable::kernel::tables::Tables;
use durable::store::Journal;
use durable::store::log::{self, ReadOnly, Rot};
use futures::FutureExt;

use crate::disk::SimDisk;
use crate::sim::STORE;

/// What the store holds.
#[derive(Debug)]
pub struct Look {
    /// What the log says of the open runs.
    pub tables: Tables,
    /// Whether the last process closed it.
    pub is_clean: bool,
    /// What is damaged.
    pub rot: Vec<Rot>,
    /// All runs that can be found from those that were asked for, by workflow id.
    pub runs: BTreeMap<Text, Past>,
}

/// A run as it is recorded.
#[derive(Debug)]
pub struct Past {
    /// Its number.
    pub no: RunNo,
    /// How it was started.
    pub started: RunStarted,
    /// All that happened.
    pub journal: Journal,
    /// Its end, if it has one.
    pub ended: Option<RunEnded>,
}

impl Look {
    /// Whether the same runs happened in the same way.
    #[must_use]
    pub fn is_like(&self, other: &Look) -> bool {
        self.runs.len() == other.runs.len()
            && other.runs.iter().all(|(id, past)| self.runs.get(id).is_some_and(|same| same.journal == past.journal))
    }

    /// Looks at the store on a copy of this disk.
    ///
    /// # Errors
    /// What could not be read.
    pub fn at(disk: &SimDisk, ids: impl IntoIterator<Item = String>) -> Result<Look, String> {
        let copy = SimDisk::from_snapshot(&disk.snapshot());
        let look = async move {
            let store = log::open_read_only(Arc::new(copy), STORE).await.map_err(|error| error.to_string())?;
            read(&store, ids.into_iter().map(Text::from).collect()).await
        };
        look.now_or_never().expect("because every operation on the copy is done at once")
    }
}

async fn read(store: &ReadOnly, mut ids: Vec<Text>) -> Result<Look, String> {
    let mut runs = BTreeMap::new();
    while let Some(id) = ids.pop() {
        if runs.contains_key(&id) {
            continue;
        }
        let Some((no, journal)) = journal_of(store, &id).await? else { continue };
        ids.extend(children(&journal));
        runs.insert(id.clone(), past(no, journal).ok_or_else(|| format!("the journal of `{id}` has no beginning"))?);
    }
    Ok(Look { tables: store.tables().clone(), is_clean: store.is_clean(), rot: store.rot().to_vec(), runs })
}

async fn journal_of(store: &ReadOnly, id: &Text) -> Result<Option<(RunNo, Journal)>, String> {
    let told = |error: log::LoadError| format!("`{id}`: {error}");
    if let Some(no) = store.tables().ids.get(&(Text::default(), id.clone())) {
        return Ok(Some((*no, store.load(*no).await.map_err(told)?)));
    }
    let Some(closed) = store.find_closed(&Text::default(), id).await.map_err(told)? else { return Ok(None) };
    Ok(Some((closed.run, store.load_at(closed.place, closed.run).await.map_err(told)?)))
}

fn children(journal: &Journal) -> impl Iterator<Item = Text> {
    let turns = journal.iter().filter_map(|(_, _, event)| match event {
        Event::Turn { entries, .. } => Some(entries),
        _ => None,
    });
    turns.flatten().filter_map(|entry| match entry {
        Entry::ChildScheduled(child) => Some(child.id.clone()),
        _ => None,
    })
}

fn past(no: RunNo, journal: Journal) -> Option<Past> {
    let started = match journal.first() {
        Some((_, _, Event::RunStarted(started))) => (**started).clone(),
        _ => return None,
    };
    let ended = journal.iter().rev().find_map(|(_, _, event)| match event {
        Event::RunEnded(ended) => Some((**ended).clone()),
        _ => None,
    });
    Some(Past { no, started, journal, ended })
}
