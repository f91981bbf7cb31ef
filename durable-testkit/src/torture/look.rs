//! A look at the store as it lies on the disk: on a copy, at any moment, without a trace in the play. It reads; it judges nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use durable::kernel::event::{Entry, Event, RunEnded, RunStarted, Text};
use durable::kernel::id::RunNo;
use durable::kernel::tables::Tables;
use durable::store::Journal;
use durable::store::log::{self, Log, ReadOnly, Recovered, Rot};
use futures::FutureExt;

use crate::disk::SimDisk;
use crate::sim::STORE;

/// What the store holds.
#[derive(Debug, Clone)]
pub struct Look {
    /// What the log says of the open runs.
    pub tables: Tables,
    /// Whether the last process closed it.
    pub is_clean: bool,
    /// What is damaged.
    pub rot: Vec<Rot>,
    /// The runs that have ended, by a scan of the log.
    pub ended: BTreeSet<RunNo>,
    /// All runs that can be found from those that were asked for, by workflow id.
    pub runs: BTreeMap<Text, Past>,
}

/// A run as it is recorded.
#[derive(Debug, Clone)]
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

    async fn through(store: &ReadOnly, ids: Vec<Text>) -> Result<Look, String> {
        let ended = store.ended().await.map_err(|error| error.to_string())?;
        let ended = ended.into_iter().map(|listed| listed.run.run).collect();
        let runs = read(Source::Reader(store), ids).await?;
        Ok(Look { tables: store.tables().clone(), is_clean: store.is_clean(), rot: store.rot().to_vec(), ended, runs })
    }

    /// What a process finds that has opened the store. The runs that have ended are those that it finds.
    pub(super) async fn of(log: &Log, found: Recovered, ids: Vec<Text>) -> Result<Look, String> {
        let runs = read(Source::Owner(log, &found.tables), ids).await?;
        let ended = runs.values().filter(|past| past.ended.is_some()).map(|past| past.no).collect();
        Ok(Look { tables: found.tables, is_clean: found.is_clean, rot: Vec::new(), ended, runs })
    }

    /// Looks at the store on a copy of this disk.
    ///
    /// # Errors
    /// What could not be read.
    pub fn at(disk: &SimDisk, ids: impl IntoIterator<Item = String>) -> Result<Look, String> {
        let copy = SimDisk::from_snapshot(&disk.snapshot());
        let look = async move {
            let store = log::open_read_only(Arc::new(copy), STORE).await.map_err(|error| error.to_string())?;
            Look::through(&store, ids.into_iter().map(Text::from).collect()).await
        };
        look.now_or_never().expect("because every operation on the copy is done at once")
    }
}

/// What a store is read through.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    /// By somebody who has not opened it: what may not be durable yet is not told.
    Reader(&'a ReadOnly),
    /// By a process that has.
    Owner(&'a Log, &'a Tables),
}

impl Source<'_> {
    fn tables(&self) -> &Tables {
        match self {
            Source::Reader(store) => store.tables(),
            Source::Owner(_, tables) => tables,
        }
    }

    async fn load(&self, run: RunNo) -> Result<Journal, log::LoadError> {
        match self {
            Source::Reader(store) => store.load(run).await,
            Source::Owner(log, _) => log.load(run).await,
        }
    }

    async fn closed(&self, id: &Text) -> Result<Option<(RunNo, Journal)>, log::LoadError> {
        let found = match self {
            Source::Reader(store) => store.find_closed(&Text::default(), id).await?,
            Source::Owner(log, _) => log.find_closed(&Text::default(), id).await?,
        };
        let Some(closed) = found else { return Ok(None) };
        let journal = match self {
            Source::Reader(store) => store.load_at(closed.place, closed.run).await?,
            Source::Owner(log, _) => log.load_at(closed.place, closed.run).await?,
        };
        Ok(Some((closed.run, journal)))
    }
}

async fn read(source: Source<'_>, mut ids: Vec<Text>) -> Result<BTreeMap<Text, Past>, String> {
    let mut runs = BTreeMap::new();
    while let Some(id) = ids.pop() {
        if runs.contains_key(&id) {
            continue;
        }
        let read = journal_of(source, &id).await.map_err(|error| format!("`{id}`: {error}"))?;
        let Some((no, journal)) = read else { continue };
        ids.extend(children(&journal));
        runs.insert(id.clone(), past(no, journal).ok_or_else(|| format!("the journal of `{id}` has no beginning"))?);
    }
    Ok(runs)
}

async fn journal_of(source: Source<'_>, id: &Text) -> Result<Option<(RunNo, Journal)>, log::LoadError> {
    let open = source.tables().run_of(&Text::default(), id);
    match open {
        Some(no) => Ok(Some((no, source.load(no).await?))),
        None => source.closed(id).await,
    }
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
