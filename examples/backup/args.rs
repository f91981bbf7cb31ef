//! The command line. It only reads it; whether the directories make sense is asked when they are opened.

use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` prints.
pub const HELP: &str = "\
Copies a directory, file by file, so that it can be killed at any moment and goes on when it is started again.

Usage: backup --from DIR --to DIR [--store DIR] [--effects FILE] [--crash-after N]

  --from DIR       what is copied: contents, links, empty directories, permission bits (no owners, times, attributes)
  --to DIR         where to; made if it is not there. At the end it holds manifest.tsv as well: path, size, SHA-256, outcome
  --store DIR      where the progress is kept; <to>.durable unless this is given. One store is one backup
  --effects FILE   appends a synced line `RUN/ACTIVITY/KEY ATTEMPT` when an attempt of an activity begins: the workflow id (`backup`,
                   or `backup/file-17`), the activity's name, the idempotency key, the number of the attempt. For tests
  --crash-after N  aborts the process when the N-th activity is done and not yet recorded. For tests

In manifest.tsv bytes of a path that are no UTF-8, control characters and `%` are written as `%` and two hex digits.

Exit code: 0 all is copied; 3 all is done, and something could not be copied (manifest.tsv says what and why); 2 wrong arguments;
130 stopped by Ctrl-C; 1 anything else. After 130 and 1 start it again with the same arguments, and it goes on.";

/// What was asked for.
#[derive(Debug)]
pub struct Args {
    pub from: PathBuf,
    pub to: PathBuf,
    pub store: Option<PathBuf>,
    pub effects: Option<PathBuf>,
    pub crash_after: Option<u64>,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub enum NoArgs {
    /// Help was asked for.
    Help,
    /// They are wrong, in this way.
    Wrong(String),
}

impl Args {
    /// Reads the arguments behind the program's name.
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Args, NoArgs> {
        let mut args = args.into_iter();
        let (mut from, mut to, mut store, mut effects, mut crash_after) = (None, None, None, None, None);
        while let Some(name) = args.next() {
            let name = name.to_string_lossy().into_owned();
            let slot = match name.as_str() {
                "--help" | "-h" => return Err(NoArgs::Help),
                "--from" => &mut from,
                "--to" => &mut to,
                "--store" => &mut store,
                "--effects" => &mut effects,
                "--crash-after" => &mut crash_after,
                _ => return Err(NoArgs::Wrong(format!("unknown argument `{name}`"))),
            };
            let value = args.next().ok_or_else(|| NoArgs::Wrong(format!("`{name}` needs a value")))?;
            if slot.replace(value).is_some() {
                return Err(NoArgs::Wrong(format!("`{name}` is given twice")));
            }
        }
        Ok(Args {
            from: needed("--from", from)?,
            to: needed("--to", to)?,
            store: store.map(PathBuf::from),
            effects: effects.map(PathBuf::from),
            crash_after: crash_after.map(number).transpose()?,
        })
    }
}

fn needed(name: &str, value: Option<OsString>) -> Result<PathBuf, NoArgs> {
    value.map(PathBuf::from).ok_or_else(|| NoArgs::Wrong(format!("`{name} DIR` is missing")))
}

fn number(value: OsString) -> Result<u64, NoArgs> {
    let parsed = value.to_str().and_then(|text| text.parse().ok()).filter(|&number| number > 0);
    parsed.ok_or_else(|| NoArgs::Wrong(format!("`--crash-after` takes a number from 1, not {value:?}")))
}
