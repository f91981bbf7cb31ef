//! A store opened for reading alone: also one that another process has open, or that is damaged. Nothing in its directory is changed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::{LookupError, OpenError};
use super::status::Description;
use crate::kernel::event::Text;
use crate::store::disk::Disk;
use crate::store::log::{self, Rot};
use crate::store::real::RealDisk;
use crate::store::{ClosedRun, Journal};

/// A store as it was when it was opened for reading, from [`Runtime::open_read_only`](super::Runtime::open_read_only).
pub struct ReadOnly {
    log: log::ReadOnly,
}

impl fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadOnly").field("store", &self.log.store()).finish_non_exhaustive()
    }
}

impl ReadOnly {
    pub(super) async fn open(dir: PathBuf) -> Result<ReadOnly, OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
        Ok(ReadOnly { log: log::open_read_only(disk, dir).await.map_err(OpenError::Store)? })
    }

    /// The open runs: what each waits for.
    #[must_use]
    pub fn runs(&self) -> Vec<Description> {
        self.log.tables().open.values().map(|entry| Description::open(entry, None)).collect()
    }

    /// What is known of the run of this id, open or closed.
    ///
    /// # Errors
    /// When there is no such run, or what is stored of it cannot be read.
    pub async fn describe(&self, namespace: &str, id: &str) -> Result<Description, LookupError> {
        let tables = self.log.tables();
        let open = tables.ids.get(&(namespace.into(), id.into())).and_then(|run| tables.open.get(run));
        match open {
            Some(entry) => Ok(Description::open(entry, None)),
            None => Ok(Description::closed(&self.closed(namespace, id).await?)),
        }
    }

    /// The whole journal of the run of this id.
    ///
    /// # Errors
    /// When there is no such run, or its journal has a gap.
    pub async fn journal(&self, namespace: &str, id: &str) -> Result<Journal, LookupError> {
        let store = |error: log::LoadError| LookupError::Store { reason: error.to_string() };
        if let Some(run) = self.log.tables().ids.get(&(namespace.into(), id.into())) {
            return self.log.load(*run).await.map_err(store);
        }
        let found = self.log.find_closed(&namespace.into(), &id.into()).await.map_err(store)?;
        let closed = found.ok_or_else(|| LookupError::NotFound { id: id.to_owned() })?;
        self.log.load_at(closed.place, closed.run).await.map_err(store)
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

    async fn closed(&self, namespace: &str, id: &str) -> Result<ClosedRun, LookupError> {
        let (namespace, id) = (Text::from(namespace), Text::from(id));
        let found = self.log.find_closed(&namespace, &id).await;
        let found = found.map_err(|error| LookupError::Store { reason: error.to_string() })?;
        found.map(ClosedRun::from).ok_or_else(|| LookupError::NotFound { id: id.to_string() })
    }
}
