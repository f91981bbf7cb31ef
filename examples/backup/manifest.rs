//! `manifest.tsv`: a line for each entry of the tree, with what became of it. Made in parts, so that no record grows with the tree.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{Fingerprint, sync_dir};
use crate::path_text::PathText;

/// The manifest's name in the target.
pub const NAME: &str = "manifest.tsv";

/// So many lines go into one part.
pub const PART_LINES: usize = 500;

const HEADER: &str = "path\tsize\tsha256\toutcome\n";

/// What became of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub path: PathText,
    pub outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The copy has this content.
    Copied(Fingerprint),
    Directory,
    /// The copy of a link, which points there.
    Link(PathText),
    /// It has no content that could be copied; this is what it is.
    Skipped(String),
    /// It was not copied, for this reason.
    Failed(String),
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.outcome {
            Outcome::Copied(Fingerprint { size, sha256 }) => write!(f, "{path}\t{size}\t{sha256}\tcopied"),
            Outcome::Directory => write!(f, "{path}\t-\t-\tdirectory"),
            Outcome::Link(to) => write!(f, "{path}\t-\t-\tlink to {to}"),
            Outcome::Skipped(what) => write!(f, "{path}\t-\t-\tskipped: {what}"),
            Outcome::Failed(why) => write!(f, "{path}\t-\t-\tfailed: {}", why.replace(['\t', '\n'], " ")),
        }
    }
}

/// Why an entry of this path cannot be copied, if its name is the manifest's or one of its parts'.
pub fn takes_the_name(path: &Path) -> Option<String> {
    let taken = path.as_os_str().as_bytes().starts_with(NAME.as_bytes()) && path.components().count() == 1;
    taken.then(|| format!("names that begin with {NAME} are kept for the manifest"))
}

/// Writes a part anew.
pub fn write_part(to: &Path, number: u64, lines: &[Line]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(part(to, number))?);
    lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
    file.into_inner()?.sync_all()
}

/// Makes the manifest of its parts, then removes them. Whichever part of this was done before, it comes to the same: a part is
/// gone only when the manifest is there.
pub fn join(to: &Path, parts: u64) -> io::Result<()> {
    let mut parts = (0..parts).map(|number| part(to, number));
    if parts.clone().all(|part| part.exists()) {
        join_parts(to, parts.clone())?;
        sync_dir(to)?;
    }
    parts.try_for_each(remove)?;
    sync_dir(to)
}

fn join_parts(to: &Path, parts: impl Iterator<Item = PathBuf>) -> io::Result<()> {
    let whole = to.join(format!("{NAME}.new"));
    let mut file = File::create(&whole)?;
    file.write_all(HEADER.as_bytes())?;
    for part in parts {
        io::copy(&mut File::open(part)?, &mut file)?;
    }
    file.sync_all()?;
    fs::rename(whole, to.join(NAME))
}

fn remove(part: PathBuf) -> io::Result<()> {
    match fs::remove_file(part) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn part(to: &Path, number: u64) -> PathBuf {
    to.join(format!("{NAME}.{number}"))
}
