//! What tests see and do: a line for each attempt that begins, and a crash in the middle. It must not change what an activity does.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Notes the attempts of this process, and may end it after some of them.
#[derive(Debug, Clone)]
pub struct Effects {
    file: Option<Arc<File>>,
    crash_after: Option<u64>,
    done: Arc<AtomicU64>,
}

impl Effects {
    /// Appends to this file, if there is one, and crashes after so many activities, if there is a number.
    pub fn open(file: Option<&Path>, crash_after: Option<u64>) -> io::Result<Effects> {
        let open = |path| OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(Arc::new);
        Ok(Effects { file: file.map(open).transpose()?, crash_after, done: Arc::default() })
    }

    /// Runs the body of an activity's attempt.
    pub fn attempt<T>(&self, body: impl FnOnce() -> T) -> T {
        if let Some(file) = &self.file {
            note(file).unwrap_or_else(|error| die(&error));
        }
        let given = body();
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.crash_after == Some(done) {
            std::process::abort();
        }
        given
    }
}

/// One line, in one write, so that lines of several threads do not mix.
fn note(mut file: &File) -> io::Result<()> {
    let info = durable::activity::info();
    let key = info.idempotency_key();
    let (run, activity, attempt) = (info.workflow_id, info.activity, info.attempt.0);
    file.write_all(format!("{run}/{activity}/{key} {attempt}\n").as_bytes())?;
    file.sync_data()
}

/// A record with holes would be worse than none.
fn die(error: &io::Error) -> ! {
    eprintln!("error: the file of `--effects` cannot be written: {error}");
    std::process::exit(1)
}
