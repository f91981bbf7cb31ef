//! The workflows: a backup, and the copy of one entry. They decide what is done next from what was recorded, and touch no disk.

use std::path::PathBuf;

use durable::CallError;
use durable::prelude::*;
use futures::StreamExt;
use futures::stream;

use crate::activities::{copy, hash, join_parts, link, list, make_dirs, verify, write_part};
use crate::files::{EntryError, Fingerprint};
use crate::manifest::{Line, Outcome, PART_LINES};
use crate::path_text::PathText;
use crate::tree::{Entry, Kind};

/// So many entries are copied at once.
const AT_ONCE: usize = 64;

/// So many directories are made by one activity.
const DIRS: usize = 500;

/// The two directories of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub from: PathText,
    pub to: PathText,
}

/// The copy of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub job: Job,
    pub path: PathText,
    /// Which one it is, from 1.
    pub number: u64,
    /// How many there are.
    pub total: u64,
}

impl Task {
    pub fn from(&self) -> PathBuf {
        self.job.from.to_path().join(self.path.to_path())
    }

    pub fn to(&self) -> PathBuf {
        self.job.to.to_path().join(self.path.to_path())
    }
}

/// How many entries ended in which way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    pub files: u64,
    pub bytes: u64,
    pub directories: u64,
    pub links: u64,
    pub skipped: u64,
    pub failed: u64,
}

/// Copies a tree: first its directories, then everything else, some at once, then the manifest.
#[workflow]
pub async fn backup(job: Job) -> durable::Result<Summary> {
    let (dirs, rest) = survey(&job).await?;
    let mut lines = make_all(&job, dirs).await?;
    let total = rest.len() as u64;
    let tasks = rest.into_iter().zip(1..).map(|(entry, number)| {
        let task = Task { job: job.clone(), path: entry.path.clone(), number, total };
        copy_entry(entry, task)
    });
    lines.extend(stream::iter(tasks).buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    lines.sort_by(|a, b| a.path.cmp(&b.path));
    write_manifest(job, &lines).await?;
    Ok(Summary::of(&lines))
}

/// Copies a file and reads it back.
#[workflow]
pub async fn copy_file(task: Task) -> Result<Fingerprint, CallError<EntryError>> {
    let source = hash(task.clone()).await?;
    if copy(task.clone()).await? != source {
        return Err(CallError::App(EntryError::Changed));
    }
    if verify(task).await? != source {
        return Err(CallError::App(EntryError::Differs));
    }
    Ok(source)
}

/// Copies a link.
#[workflow]
pub async fn copy_link(task: Task) -> Result<PathText, CallError<EntryError>> {
    link(task).await
}

/// All that is in the tree, directories apart.
async fn survey(job: &Job) -> durable::Result<(Vec<Entry>, Vec<Entry>)> {
    let (mut dirs, mut rest) = (Vec::new(), Vec::new());
    let mut after = None;
    loop {
        let page = list(job.clone(), after).await?;
        after = page.entries.last().map(|entry| entry.path.clone());
        let (of_dirs, others): (Vec<_>, Vec<_>) =
            page.entries.into_iter().partition(|entry| entry.kind == Kind::Directory);
        dirs.extend(of_dirs);
        rest.extend(others);
        if !page.more {
            return Ok((dirs, rest));
        }
    }
}

async fn make_all(job: &Job, dirs: Vec<Entry>) -> durable::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for dirs in dirs.chunks(DIRS) {
        let paths = dirs.iter().map(|dir| dir.path.clone()).collect();
        let made = make_dirs(job.clone(), paths).await?;
        lines.extend(dirs.iter().cloned().zip(made).map(|(dir, error)| {
            let problem = dir.problem.or_else(|| error.map(|error| error.to_string()));
            Line { path: dir.path, outcome: problem.map_or(Outcome::Directory, Outcome::Failed) }
        }));
    }
    Ok(lines)
}

/// One run for a file or a link; none for what cannot be copied.
async fn copy_entry(entry: Entry, task: Task) -> Line {
    let number = task.number;
    let outcome = match (entry.problem, entry.kind) {
        (Some(problem), _) => Outcome::Failed(problem),
        (None, Kind::File) => copy_file(task).id(format!("file-{number}")).await.map_or_else(failed, Outcome::Copied),
        (None, Kind::Link) => copy_link(task).id(format!("link-{number}")).await.map_or_else(failed, Outcome::Link),
        (None, Kind::Fifo) => Outcome::Skipped("a fifo".to_owned()),
        (None, Kind::Socket) => Outcome::Skipped("a socket".to_owned()),
        (None, Kind::Device) => Outcome::Skipped("a device".to_owned()),
        (None, Kind::Directory) => Outcome::Directory,
    };
    Line { path: entry.path, outcome }
}

/// What the entry's own error says, or how else its run ended.
fn failed(error: CallError<CallError<EntryError>>) -> Outcome {
    let own = error.app().and_then(CallError::app).map(EntryError::to_string);
    Outcome::Failed(own.unwrap_or_else(|| error.to_string()))
}

async fn write_manifest(job: Job, lines: &[Line]) -> durable::Result<()> {
    let mut parts = 0;
    for lines in lines.chunks(PART_LINES) {
        write_part(job.clone(), parts, lines.to_vec()).await?;
        parts += 1;
    }
    Ok(join_parts(job, parts).await?)
}

impl Summary {
    fn of(lines: &[Line]) -> Summary {
        let mut summary = Summary::default();
        for line in lines {
            match &line.outcome {
                Outcome::Copied(file) => {
                    summary.files += 1;
                    summary.bytes += file.size;
                }
                Outcome::Directory => summary.directories += 1,
                Outcome::Link(_) => summary.links += 1,
                Outcome::Skipped(_) => summary.skipped += 1,
                Outcome::Failed(_) => summary.failed += 1,
            }
        }
        summary
    }
}
