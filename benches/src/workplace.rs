//! Where a benchmark works: a directory of its own, which goes away with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory that is removed when this is dropped.
#[derive(Debug)]
pub struct Workplace {
    dir: PathBuf,
    stores: usize,
}

impl Workplace {
    /// Makes one under this directory.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(under: &Path, bench: &str) -> io::Result<Workplace> {
        let dir = under.join(format!("durable-bench-{bench}-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        Ok(Workplace { dir, stores: 0 })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where a store may lie that there is not yet. The one before is removed: nobody needs both.
    ///
    /// # Errors
    /// When that one cannot be removed.
    pub fn fresh_store(&mut self) -> io::Result<PathBuf> {
        let before = self.dir.join(format!("store-{}", self.stores));
        if before.exists() {
            fs::remove_dir_all(before)?;
        }
        self.stores += 1;
        Ok(self.dir.join(format!("store-{}", self.stores)))
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("{} was left behind: {error}", self.dir.display());
        }
    }
}
