//! What can happen to the store's index while no process runs: it is a cache, so nothing of it may matter.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use durable_testkit::Rng;

/// What becomes of the index after a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Nothing.
    None,
    /// It is gone.
    Delete,
    /// Its files are cut.
    Truncate,
    /// Its files hold random bytes.
    Garbage,
    /// It is as it was after an earlier kill.
    Older,
}

impl Damage {
    pub(crate) const ALL: [Damage; 5] =
        [Damage::None, Damage::Delete, Damage::Truncate, Damage::Garbage, Damage::Older];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Damage::None => "none",
            Damage::Delete => "delete",
            Damage::Truncate => "truncate",
            Damage::Garbage => "garbage",
            Damage::Older => "older",
        }
    }

    /// Does it to the index of this store; tells whether there was one to do it to.
    pub(crate) fn strike(self, store: &Path, rng: &mut Rng) -> io::Result<bool> {
        let index = store.join("index");
        if self == Damage::None || !index.exists() {
            return Ok(false);
        }
        match self {
            Damage::None => {}
            Damage::Delete => fs::remove_dir_all(&index)?,
            Damage::Truncate => files(&index)?.into_iter().try_for_each(|file| truncate(&file, rng))?,
            Damage::Garbage => files(&index)?.into_iter().try_for_each(|file| scribble(&file, rng))?,
            Damage::Older => return put_back(&index, &store.with_extension("index")),
        }
        Ok(true)
    }
}

fn truncate(file: &Path, rng: &mut Rng) -> io::Result<()> {
    let len = fs::metadata(file)?.len();
    File::options().write(true).open(file)?.set_len(rng.below(len + 1))
}

fn scribble(file: &Path, rng: &mut Rng) -> io::Result<()> {
    let mut bytes = fs::read(file)?;
    rng.fill(&mut bytes);
    fs::write(file, bytes)
}

/// Puts the copy in the place of the index if there is one; else makes it.
fn put_back(index: &Path, copy: &Path) -> io::Result<bool> {
    if !copy.exists() {
        copy_dir(index, copy)?;
        return Ok(false);
    }
    fs::remove_dir_all(index)?;
    copy_dir(copy, index)?;
    Ok(true)
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_dir(&entry.path(), &to)?,
            false => fs::copy(entry.path(), to).map(drop)?,
        }
    }
    Ok(())
}

fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files.extend(self::files(&entry.path())?),
            false => files.push(entry.path()),
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("store/index/blobs")).unwrap();
        write(dir.path(), b"as it was in the beginning");
        dir
    }

    fn file(dir: &Path) -> PathBuf {
        dir.join("store/index/blobs/db")
    }

    fn write(dir: &Path, content: &[u8]) {
        fs::write(file(dir), content).unwrap();
    }

    fn strike(damage: Damage, dir: &Path) -> bool {
        damage.strike(&dir.join("store"), &mut Rng::new(5)).unwrap()
    }

    #[test]
    fn every_damage_leaves_another_index() {
        for damage in [Damage::Delete, Damage::Truncate, Damage::Garbage] {
            let dir = store();
            let before = fs::read(file(dir.path())).unwrap();
            assert!(strike(damage, dir.path()));
            assert_ne!(fs::read(file(dir.path())).ok(), Some(before), "{damage:?}");
        }
    }

    #[test]
    fn an_older_index_is_the_first_that_was_seen() {
        let dir = store();
        assert!(!strike(Damage::Older, dir.path()), "the first time there is none yet");
        write(dir.path(), b"newer");
        assert!(strike(Damage::Older, dir.path()));
        assert_eq!(fs::read(file(dir.path())).unwrap(), b"as it was in the beginning");
    }

    #[test]
    fn a_store_without_an_index_is_not_counted_as_damaged() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Damage::ALL.into_iter().all(|damage| !strike(damage, dir.path())));
    }
}
