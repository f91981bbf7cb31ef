//! The work on the disk: what an activity does, and nothing of when. Everything here may be done twice, by a process that follows
//! one that was killed at any point of it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use durable::Retryable;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::path_text::PathText;

/// Contents go through memory in pieces of so many bytes.
const CHUNK: usize = 256 << 10;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// In bytes.
    pub size: u64,
    /// In hex digits.
    pub sha256: String,
}

/// Why an entry was not copied. None is tried again: the manifest says it, and the backup goes on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize, Retryable)]
#[retry(never)]
pub enum EntryError {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("cannot be written: {0}")]
    Unwritable(String),
    #[error("changed while it was copied")]
    Changed,
    #[error("what was read back is not what was written")]
    Differs,
}

fn unreadable(error: impl fmt::Display) -> EntryError {
    EntryError::Unreadable(error.to_string())
}

fn unwritable(error: impl fmt::Display) -> EntryError {
    EntryError::Unwritable(error.to_string())
}

/// The fingerprint of what the file holds now.
pub fn hash(file: &Path) -> Result<Fingerprint, EntryError> {
    pass(&mut open(file)?, &mut io::sink())
}

/// Copies under another name, syncs, takes the place. Gives the fingerprint of what was written.
pub fn copy(from: &Path, to: &Path, temporary: &Path) -> Result<Fingerprint, EntryError> {
    let written = write(from, temporary).and_then(|written| take_place(temporary, to).map(|()| written));
    written.inspect_err(|_| drop(fs::remove_file(temporary)))
}

/// Copies a link, not what it leads to; gives what it says.
pub fn link(from: &Path, to: &Path, temporary: &Path) -> Result<PathText, EntryError> {
    let says = fs::read_link(from).map_err(unreadable)?;
    match fs::remove_file(temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unwritable(error)),
        _ => symlink(&says, temporary).map_err(unwritable)?,
    }
    take_place(temporary, to).inspect_err(|_| drop(fs::remove_file(temporary)))?;
    Ok(says.as_path().into())
}

/// Makes a directory like this one, which its owner can write to in any case; one that is there is left as it is.
pub fn make_dir(from: &Path, to: &Path) -> Result<(), EntryError> {
    let mode = fs::metadata(from).map_or(0, |meta| meta.permissions().mode()) & 0o777 | 0o700;
    match DirBuilder::new().mode(mode).create(to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && is_dir(to) => {}
        made => made.map_err(unwritable)?,
    }
    sync_parent(to).map_err(unwritable)
}

/// Makes the names in a directory durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir())
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), sync_dir)
}

/// Opens a file, and nothing that has come into its place: a pipe would wait for a writer.
fn open(file: &Path) -> Result<File, EntryError> {
    let meta = fs::symlink_metadata(file).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(unreadable("it is no file any more"));
    }
    File::open(file).map_err(unreadable)
}

fn write(from: &Path, temporary: &Path) -> Result<Fingerprint, EntryError> {
    let mut source = open(from)?;
    let mode = source.metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    let mut target =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(temporary).map_err(unwritable)?;
    let written = pass(&mut source, &mut target)?;
    target.set_permissions(Permissions::from_mode(mode)).map_err(unwritable)?;
    target.sync_all().map_err(unwritable)?;
    Ok(written)
}

fn take_place(temporary: &Path, to: &Path) -> Result<(), EntryError> {
    fs::rename(temporary, to).and_then(|()| sync_parent(to)).map_err(unwritable)
}

/// Passes all that can be read on, and takes its fingerprint.
fn pass(from: &mut File, to: &mut impl Write) -> Result<Fingerprint, EntryError> {
    let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => buffer.get(..read).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(error)),
        };
        hasher.update(read);
        to.write_all(read).map_err(unwritable)?;
        size += read.len() as u64;
    }
    Ok(Fingerprint { size, sha256: format!("{:x}", hasher.finalize()) })
}

/// The name under which a copy is written before it takes its place, the same for all attempts.
pub fn temporary(to: &Path, number: u64) -> PathBuf {
    to.with_file_name(format!(".backup-{number}.part"))
}
