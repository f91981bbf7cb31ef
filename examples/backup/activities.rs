//! The activities: each is one thing on the disk that is done at least once and recorded once. They are plain functions, because
//! files block their thread. Nothing here decides what comes next.

use durable::prelude::*;

use crate::effects::Effects;
use crate::files::{self, EntryError, Fingerprint};
use crate::manifest::{self, Line};
use crate::path_text::PathText;
use crate::progress::Progress;
use crate::tree::{self, Page};
use crate::workflow::{Job, Task};

/// Lists a page of the tree: the entries behind a path, or the first ones.
#[activity(start_to_close = "1h")]
pub fn list(State(effects): State<Effects>, job: Job, after: Option<PathText>) -> anyhow::Result<Page> {
    let after = after.map(|after| after.to_path());
    effects.attempt(|| told("the tree cannot be listed", tree::page(&job.from.to_path(), after.as_deref())))
}

/// Makes directories, each after the one that holds it; gives what is wrong with each, if anything is.
#[activity(start_to_close = "1h")]
pub fn make_dirs(
    State(effects): State<Effects>,
    job: Job,
    dirs: Vec<PathText>,
) -> Result<Vec<Option<EntryError>>, EntryError> {
    let (from, to) = (job.from.to_path(), job.to.to_path());
    let make = |dir: &PathText| files::make_dir(&from.join(dir.to_path()), &to.join(dir.to_path())).err();
    effects.attempt(|| Ok(dirs.iter().map(make).collect()))
}

/// Takes a file's fingerprint.
#[activity(start_to_close = "1d")]
pub fn hash(
    State(effects): State<Effects>,
    State(progress): State<Progress>,
    task: Task,
) -> Result<Fingerprint, EntryError> {
    effects.attempt(|| {
        progress.at(&task);
        files::hash(&task.from())
    })
}

/// Copies a file; gives the fingerprint of what was written.
#[activity(start_to_close = "1d")]
pub fn copy(State(effects): State<Effects>, task: Task) -> Result<Fingerprint, EntryError> {
    effects.attempt(|| files::copy(&task.from(), &task.to(), &files::temporary(&task.to(), task.number)))
}

/// Takes the fingerprint of a file's copy.
#[activity(start_to_close = "1d")]
pub fn verify(State(effects): State<Effects>, task: Task) -> Result<Fingerprint, EntryError> {
    effects.attempt(|| files::hash(&task.to()))
}

/// Copies a link; gives what it says.
#[activity]
pub fn link(
    State(effects): State<Effects>,
    State(progress): State<Progress>,
    task: Task,
) -> Result<PathText, EntryError> {
    effects.attempt(|| {
        progress.at(&task);
        files::link(&task.from(), &task.to(), &files::temporary(&task.to(), task.number))
    })
}

/// Writes a part of the manifest.
#[activity]
pub fn write_part(State(effects): State<Effects>, job: Job, number: u64, lines: Vec<Line>) -> anyhow::Result<()> {
    effects.attempt(|| told("the manifest cannot be written", manifest::write_part(&job.to.to_path(), number, &lines)))
}

/// Makes the manifest of its parts.
#[activity]
pub fn join_parts(State(effects): State<Effects>, job: Job, parts: u64) -> anyhow::Result<()> {
    effects.attempt(|| told("the manifest cannot be written", manifest::join(&job.to.to_path(), parts)))
}

/// Without these steps there is no backup: they are tried until they succeed, so the user is told why that takes long.
fn told<T>(what: &str, done: std::io::Result<T>) -> anyhow::Result<T> {
    done.inspect_err(|error| eprintln!("warning: {what}: {error}; it is tried again")).map_err(Into::into)
}
