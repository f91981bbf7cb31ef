//! The oracle: looks at what a recovery found and says what is wrong with it. What was acknowledged is there; what survives
//! are the first things that were appended, none missing in between and none invented; the tables, the journals and the
//! closed runs are those of a plain fold of just these things.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use durable::kernel::id::RunNo;
use durable::kernel::tables::Tables;
use durable::store::log::{Log, OpenError, Recovered, Writer};

use super::model::History;

/// What a recovery came to.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// It opened the store and found this.
    Opened {
        /// The tables.
        tables: Arc<Tables>,
        /// Whether it says that nothing can have run.
        is_clean: bool,
    },
    /// It found damage and refused.
    Rot(String),
    /// It refused for another reason.
    Refused(String),
}

impl Outcome {
    /// What an open came to, and the open log, if it is one.
    pub(super) fn of(opened: Result<(Log, Writer, Recovered), OpenError>) -> (Outcome, Option<(Log, Writer)>) {
        match opened {
            Ok((log, writer, found)) => (Outcome::found(found.tables, found.is_clean), Some((log, writer))),
            Err(error @ OpenError::Rot { .. }) => (Outcome::Rot(error.to_string()), None),
            Err(error) => (Outcome::Refused(error.to_string()), None),
        }
    }

    pub(super) fn found(tables: Tables, is_clean: bool) -> Outcome {
        Outcome::Opened { tables: Arc::new(tables), is_clean }
    }
}

/// How many things there must be, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// So many were acknowledged.
    pub(super) lower: usize,
    /// So many were appended.
    pub(super) upper: usize,
}

/// Finds out how many things of `history` survived.
pub(super) fn judge(outcome: &Outcome, history: &History, bounds: Bounds) -> Result<usize, String> {
    let (tables, is_clean) = match outcome {
        Outcome::Opened { tables, is_clean } => (tables, *is_clean),
        Outcome::Rot(error) => return Err(format!("a sound store is called rotten: {error}")),
        Outcome::Refused(error) => return Err(format!("a sound store does not open: {error}")),
    };
    let fits = |count: &usize| *history.tables(*count) == *tables && history.is_clean(*count) == is_clean;
    if let Some(count) = (bounds.lower..=bounds.upper).rev().find(fits) {
        return Ok(count);
    }
    let Bounds { lower, upper } = bounds;
    match (0..=history.len()).rev().find(fits) {
        Some(count) if count < lower => Err(format!("{lower} things were acknowledged, the first {count} survived")),
        Some(count) => Err(format!("{upper} things were appended, and {count} are there")),
        None => {
            Err(format!("what is there is no beginning of what was appended: {}", shown(tables, is_clean, history)))
        }
    }
}

fn shown(tables: &Tables, is_clean: bool, history: &History) -> String {
    let runs =
        |tables: &Tables| -> Vec<(u64, u64)> { tables.open.iter().map(|(run, entry)| (run.0, entry.next.0)).collect() };
    let same = (0..=history.len()).rev().find(|count| **history.tables(*count) == *tables);
    format!(
        "found runs {:?} (number, events), clean {is_clean}, the tables of {same:?} of {} things; appended were {:?}",
        runs(tables),
        history.len(),
        runs(history.tables(history.len()))
    )
}

/// The value of a future that waits for nothing on a disk that does everything at once.
pub(super) fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Why a look at a log is not content with it.
#[derive(Debug)]
pub(super) enum Complaint {
    /// Something could not be read. A fault that is due excuses that, once.
    Unread(String),
    /// What was read is wrong. Nothing excuses that.
    Wrong(String),
}

impl From<String> for Complaint {
    fn from(what: String) -> Complaint {
        Complaint::Wrong(what)
    }
}

impl From<Complaint> for String {
    fn from(complaint: Complaint) -> String {
        match complaint {
            Complaint::Unread(what) | Complaint::Wrong(what) => what,
        }
    }
}

/// Looks at the journal of the run that was appended to last, and at the filter of closed runs.
pub(super) fn look(log: &Log, history: &History, count: usize) -> Result<(), Complaint> {
    let open = &history.tables(count).open;
    let newest = history.newest_run(count).filter(|run| open.contains_key(run));
    newest.map_or(Ok(()), |run| look_at_journal(log, history, count, run))
}

/// Looks at everything.
pub(super) fn look_closely(log: &Log, history: &History, count: usize) -> Result<(), Complaint> {
    for run in history.tables(count).open.keys() {
        look_at_journal(log, history, count, run)?;
    }
    look_at_closed(log, history, count)
}

/// Looks at every journal of a store that may be damaged: one loads as it was appended, or it does not load.
pub(super) fn look_for_lies(log: &Log, history: &History, count: usize) -> Result<(), Complaint> {
    for run in history.tables(count).open.keys() {
        match now(log.load(run)) {
            Some(Err(_)) => {}
            Some(Ok(_)) | None => look_at_journal(log, history, count, run)?,
        }
    }
    Ok(())
}

fn look_at_journal(log: &Log, history: &History, count: usize, run: RunNo) -> Result<(), Complaint> {
    let loaded = now(log.load(run)).ok_or_else(|| format!("the journal of run {} never loads", run.0))?;
    let unread = |error| Complaint::Unread(format!("the journal of run {} does not load: {error}", run.0));
    let loaded = loaded.map_err(unread)?;
    let found = loaded.iter().map(|(no, _, event)| (*no, event));
    if !found.eq(history.journal(count, run)) {
        return Err(format!("the journal of run {} is not what was appended", run.0).into());
    }
    Ok(())
}

fn look_at_closed(log: &Log, history: &History, count: usize) -> Result<(), Complaint> {
    let namespace = "".into();
    let closed = history.closed(count);
    for id in history.ids() {
        let newest = closed.get(id).copied();
        if newest.is_some() && !log.may_be_closed(&namespace, id) {
            return Err(format!("closed run {id} is unknown").into());
        }
        let found = now(log.find_closed(&namespace, id)).ok_or_else(|| format!("closed run {id} is never found"))?;
        let found = found.map_err(|error| Complaint::Unread(format!("closed run {id} is not found: {error}")))?;
        if found.as_ref().map(|found| found.run) != newest {
            return Err(format!(
                "the newest closed run of {id} is {newest:?}, and {:?} was found",
                found.map(|f| f.run)
            )
            .into());
        }
        if let Some(found) = found {
            let journal = now(log.load_at(found.place, found.run))
                .ok_or_else(|| format!("the journal of closed run {id} never loads"))?;
            let unread = |error| Complaint::Unread(format!("the journal of closed run {id} does not load: {error}"));
            let journal = journal.map_err(unread)?;
            if !journal.iter().map(|(no, _, event)| (*no, event)).eq(history.journal(count, found.run)) {
                return Err(format!("the journal of closed run {id} is not what was appended").into());
            }
        }
    }
    Ok(())
}
