//! What the program writes: all of it or none, and nothing over a file that is there unless that is asked for.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::args::Existing;

/// Files to be written.
#[derive(Debug)]
pub(crate) struct Files {
    existing: Existing,
    files: Vec<(PathBuf, String)>,
}

impl Files {
    pub(crate) fn new(existing: Existing) -> Files {
        Files { existing, files: Vec::new() }
    }

    pub(crate) fn with(mut self, path: PathBuf, text: String) -> Files {
        self.files.push((path, text));
        self
    }

    /// Writes them, and makes the folders that they are to stand in.
    pub(crate) fn write(&self) -> Result<(), String> {
        if self.existing == Existing::Keep {
            // All are looked at first, so that nothing is half written.
            if let Some((path, _)) = self.files.iter().find(|(path, _)| path.exists()) {
                return Err(format!("{} is there already: `--force` writes over it", path.display()));
            }
        }
        self.files.iter().try_for_each(|(path, text)| {
            self.write_one(path, text).map_err(|error| format!("{} cannot be written: {error}", path.display()))
        })
    }

    fn write_one(&self, path: &PathBuf, text: &str) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        match self.existing {
            Existing::Keep => options.write(true).create_new(true),
            Existing::WriteOver => options.write(true).create(true).truncate(true),
        };
        options.open(path)?.write_all(text.as_bytes())
    }
}

/// Prints a text. A reader that has seen enough and went away is no mistake.
pub(crate) fn print(text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the output cannot be written: {error}");
            ExitCode::FAILURE
        }
    }
}
