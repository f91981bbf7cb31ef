//! A store opened for reading alone: also one that another process has open, or that is damaged. Nothing in its directory is changed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::error::{LookupError, OpenError};
use super::status::Description;
use crate::kernel::event::Text;
use crate::kernel::id::{RunId, RunNo};
use crate::store::disk::Disk;
use crate::store::log::{self, ListedRun, Rot};
use crate::store::real::RealDisk;
use crate::store::{ClosedRun, Journal};

/// A store as it was when it was opened for reading, from [`Runtime::open_read_only`](super::Runtime::open_read_only).
pub struct ReadOnly {
    log: log::ReadOnly,
    /// The runs that have ended, as far as the log stood when they were first asked for.
    ended: OnceCell<BTreeMap<RunId, ListedRun>>,
}

impl fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnly").field("store", &self.log.store()).finish_non_exhaustive()
    }
}

impl ReadOnly {
    pub(super) async fn open(dir: PathBuf) -> Result<ReadOnly, OpenError> {
        ReadOnly::on(Arc::new(RealDisk::new()), dir).await
    }

    /// As [`Runtime::open_read_only`](super::Runtime::open_read_only), on a disk of a test's choice. Outside the promise of stability.
    ///
    /// # Errors
    /// When the directory holds no store, or one of another format.
    pub async fn on(disk: Arc<dyn Disk>, dir: impl Into<PathBuf>) -> Result<ReadOnly, OpenError> {
        let log = log::open_read_only(disk, dir).await.map_err(OpenError::Store)?;
        Ok(ReadOnly { log, ended: OnceCell::new() })
    }

    /// The open runs: what each waits for.
    #[must_use]
    pub fn runs(&self) -> Vec<Description> {
        self.log.tables().open.values().map(|entry| Description::open(&entry, None)).collect()
    }

    /// All runs, also those that have ended, oldest first. The first time the whole log is read.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn all_runs(&self) -> Result<Vec<Description>, LookupError> {
        let open = &self.log.tables().open;
        let mut runs: BTreeMap<RunNo, Description> =
            open.iter().map(|(run, entry)| (run, Description::open(&entry, None))).collect();
        for ListedRun { run, events } in self.ended().await?.values() {
            // A live store goes on: what it ended since it was opened here is open here.
            let closed = || Description { events: *events, ..Description::closed(&ClosedRun::from(run.clone())) };
            runs.entry(run.run).or_insert_with(closed);
        }
        Ok(runs.into_values().collect())
    }

    /// What is known of the run of this id, open or closed.
    ///
    /// # Errors
    /// When there is no such run, or what is stored of it cannot be read.
    pub async fn describe(&self, namespace: &str, id: &str) -> Result<Description, LookupError> {
        let tables = self.log.tables();
        let open = tables.run_of(&namespace.into(), &id.into()).and_then(|run| tables.open.get(&run));
        match open {
            Some(entry) => Ok(Description::open(entry, None)),
            None => Ok(Description::closed(&self.closed(namespace, id).await?.into())),
        }
    }

    /// The whole journal of the run of this id; of its newest run, if it had several.
    ///
    /// # Errors
    /// When there is no such run, or its journal has a gap.
    pub async fn journal(&self, namespace: &str, id: &str) -> Result<Journal, LookupError> {
        if let Some(run) = self.log.tables().run_of(&namespace.into(), &id.into()) {
            return self.log.load(run).await.map_err(store);
        }
        let closed = self.closed(namespace, id).await?;
        self.log.load_at(closed.place, closed.run).await.map_err(store)
    }

    /// The whole journal of the run of this identity, open or closed. The first time the whole log may be read.
    ///
    /// # Errors
    /// As [`journal`](Self::journal).
    pub async fn journal_of(&self, run: RunId) -> Result<Journal, LookupError> {
        if let Some((no, _)) = self.log.tables().open.iter().find(|(_, entry)| entry.run == run) {
            return self.log.load(no).await.map_err(store);
        }
        let found = self.ended().await?.get(&run).ok_or_else(|| LookupError::NotFound { id: run.to_string() })?;
        self.log.load_at(found.run.place, found.run.run).await.map_err(store)
    }

    /// Whether the last process closed the store.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.log.is_clean()
    }

    /// What is damaged: each finding names its file and offset. Everything that is whole is served all the same.
    #[must_use]
    pub fn damage(&self) -> &[Rot] {
        self.log.rot()
    }

    async fn closed(&self, namespace: &str, id: &str) -> Result<log::ClosedRun, LookupError> {
        let (namespace, id) = (Text::from(namespace), Text::from(id));
        let found = match self.log.find_closed(&namespace, &id).await {
            Ok(found) => found,
            Err(error) if self.log.rot().is_empty() => return Err(store(error)),
            // A damaged log does not say which run of an id is the newest; what is whole is served.
            Err(_) => self.newest_whole(&namespace, &id).await?,
        };
        found.ok_or_else(|| LookupError::NotFound { id: id.to_string() })
    }

    async fn newest_whole(&self, namespace: &Text, id: &Text) -> Result<Option<log::ClosedRun>, LookupError> {
        let of_id = self.ended().await?.values().map(|listed| &listed.run);
        let of_id = of_id.filter(|run| run.started.namespace == *namespace && run.started.id == *id);
        Ok(of_id.max_by_key(|run| run.run).cloned())
    }

    async fn ended(&self) -> Result<&BTreeMap<RunId, ListedRun>, LookupError> {
        let read = async || {
            let ended = self.log.ended().await.map_err(store)?;
            Ok(ended.into_iter().map(|listed| (listed.run.started.run, listed)).collect())
        };
        self.ended.get_or_try_init(read).await
    }
}

fn store(error: log::LoadError) -> LookupError {
    LookupError::Store { reason: error.to_string() }
}
