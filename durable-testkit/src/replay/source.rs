//! Where the journals of a replay test come from. They are read one after the other, so that a whole store need not fit into memory.

use std::fmt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use durable::Runtime;
use durable::journal::RunJournal;

/// How the name of a journal's file ends.
const EXTENSION: &str = "jsonl";

/// Where journals are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    File(PathBuf),
    Folder(PathBuf),
    Store(PathBuf),
}

/// A journal, or why it is none.
pub(super) struct Found {
    /// The file; the run in its store.
    pub(super) source: String,
    pub(super) journal: Result<RunJournal, String>,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "the file {}", path.display()),
            Source::Folder(path) => write!(f, "the folder {} (files `*.{EXTENSION}`)", path.display()),
            Source::Store(path) => write!(f, "the store {}", path.display()),
        }
    }
}

impl Source {
    /// Gives every journal to `f`, in the order of files' names, or of runs' starts.
    pub(super) fn each(&self, f: &mut (dyn FnMut(Found) + Send)) -> Result<(), String> {
        match self {
            Source::File(path) => f(of_file(path)),
            Source::Folder(path) => {
                let files = files(path).map_err(|error| format!("{self} cannot be read: {error}"))?;
                files.iter().for_each(|path| f(of_file(path)));
            }
            Source::Store(dir) => {
                within_tokio(each_of_store(dir, f)).map_err(|error| format!("{self} cannot be read: {error}"))?;
            }
        }
        Ok(())
    }
}

fn of_file(path: &Path) -> Found {
    let read = fs::read_to_string(path).map_err(|error| error.to_string());
    let journal = read.and_then(|text| text.parse().map_err(|error: durable::journal::JournalError| error.to_string()));
    Found { source: path.display().to_string(), journal }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

async fn each_of_store(dir: &Path, f: &mut (dyn FnMut(Found) + Send)) -> Result<(), String> {
    let store = Runtime::open_read_only(dir).await.map_err(|error| error.to_string())?;
    for run in store.all_runs().await.map_err(|error| error.to_string())? {
        let journal = store.journal_of(run.run).await.map_err(|error| error.to_string());
        let journal = journal.and_then(|events| RunJournal::new(events).map_err(|error| error.to_string()));
        f(Found { source: format!("{} in {}", run.id, dir.display()), journal });
    }
    Ok(())
}

/// Waits for a future in a tokio runtime of its own: the test may stand in one, and may not be held up there.
fn within_tokio<T: Send>(future: impl Future<Output = Result<T, String>> + Send) -> Result<T, String> {
    super::on_a_fresh_thread(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.map_err(|error| error.to_string())?.block_on(future)
    })
}
