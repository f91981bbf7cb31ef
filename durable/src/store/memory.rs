//! A disk in memory for the private engine behind `run_direct()` of a workflow: files as vectors, every operation done
//! at once, nothing ever fails that a real disk would do. It has no crashes and no faults; those are the testkit's.

use std::collections::BTreeMap;
use std::future::ready;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Dir, DirEntry, Disk, File, Identity, Submitted};

/// What a name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ino(u64);

#[derive(Debug, Default)]
struct Files {
    contents: BTreeMap<u64, Vec<u8>>,
    dirs: BTreeMap<PathBuf, BTreeMap<String, Ino>>,
    open_files: BTreeMap<File, Ino>,
    open_dirs: BTreeMap<Dir, PathBuf>,
    locks: BTreeMap<u64, File>,
    last: u64,
}

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<Files>>,
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn submit<T: Send + 'static>(&self, f: impl FnOnce(&mut Files) -> io::Result<T>) -> Submitted<T> {
        let result = f(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner));
        Box::pin(ready(result))
    }
}

fn fail<T>(kind: ErrorKind) -> io::Result<T> {
    Err(io::Error::from(kind))
}

/// The path without what says nothing, so that each directory has one name here.
fn plain(path: &Path) -> PathBuf {
    path.components().filter(|component| matches!(component, Component::Normal(_) | Component::ParentDir)).collect()
}

fn checked(name: &str) -> io::Result<&str> {
    let bad = matches!(name, "" | "." | "..") || name.contains(['/', '\0']);
    if bad { fail(ErrorKind::InvalidInput) } else { Ok(name) }
}

fn size(len: u64) -> io::Result<usize> {
    usize::try_from(len).or(fail(ErrorKind::FileTooLarge))
}

impl Files {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn open_dir(&mut self, path: &Path, create: bool) -> io::Result<Dir> {
        let path = plain(path);
        if create {
            self.dirs.entry(path.clone()).or_default();
        } else if !self.dirs.contains_key(&path) {
            return fail(ErrorKind::NotFound);
        }
        let dir = Dir(self.number());
        self.open_dirs.insert(dir, path);
        Ok(dir)
    }

    fn entries(&mut self, dir: Dir) -> io::Result<&mut BTreeMap<String, Ino>> {
        let entries = self.open_dirs.get(&dir).and_then(|path| self.dirs.get_mut(path));
        entries.ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))
    }

    fn find(&mut self, dir: Dir, name: &str) -> io::Result<Ino> {
        let found = self.entries(dir)?.get(checked(name)?).copied();
        found.ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }

    fn list(&mut self, dir: Dir) -> io::Result<Vec<DirEntry>> {
        let entries = self.entries(dir)?.clone();
        let len = |ino: &Ino| self.contents.get(&ino.0).map_or(0, Vec::len) as u64;
        Ok(entries.iter().map(|(name, ino)| DirEntry { name: name.clone(), is_file: true, len: len(ino) }).collect())
    }

    fn open(&mut self, ino: Ino) -> File {
        let file = File(self.number());
        self.open_files.insert(file, ino);
        file
    }

    fn create(&mut self, dir: Dir, name: &str) -> io::Result<File> {
        let ino = Ino(self.number());
        self.add(dir, name, ino)?;
        self.contents.insert(ino.0, Vec::new());
        Ok(self.open(ino))
    }

    fn add(&mut self, dir: Dir, name: &str, ino: Ino) -> io::Result<()> {
        let entries = self.entries(dir)?;
        if entries.contains_key(checked(name)?) {
            return fail(ErrorKind::AlreadyExists);
        }
        entries.insert(name.to_owned(), ino);
        Ok(())
    }

    fn ino(&self, file: File) -> io::Result<Ino> {
        self.open_files.get(&file).copied().ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))
    }

    fn content(&mut self, file: File) -> io::Result<&mut Vec<u8>> {
        let ino = self.ino(file)?;
        self.contents.get_mut(&ino.0).ok_or_else(|| io::Error::from(ErrorKind::NotFound))
    }

    fn read(&mut self, file: File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let rest = self.content(file)?.get(size(offset)?..).unwrap_or_default();
        Ok(rest.get(..len).unwrap_or(rest).to_vec())
    }

    fn write(&mut self, file: File, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let start = size(offset)?;
        let Some(end) = start.checked_add(bytes.len()) else { return fail(ErrorKind::FileTooLarge) };
        let content = self.content(file)?;
        if content.len() < end && !bytes.is_empty() {
            content.resize(end, 0);
        }
        content.get_mut(start..end).unwrap_or_default().copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn rename(&mut self, dir: Dir, from: &str, to: &str) -> io::Result<()> {
        checked(to)?;
        let ino = self.find(dir, from)?;
        let entries = self.entries(dir)?;
        entries.remove(from);
        entries.insert(to.to_owned(), ino);
        self.forget();
        Ok(())
    }

    fn remove(&mut self, dir: Dir, name: &str) -> io::Result<()> {
        self.find(dir, name)?;
        self.entries(dir)?.remove(name);
        self.forget();
        Ok(())
    }

    fn close(&mut self, file: File) -> io::Result<()> {
        self.ino(file)?;
        self.open_files.remove(&file);
        self.locks.retain(|_, holder| *holder != file);
        self.forget();
        Ok(())
    }

    /// Drops what no name leads to and nobody has open.
    fn forget(&mut self) {
        let Self { contents, dirs, open_files, .. } = self;
        let named = |ino: &u64| dirs.values().any(|entries| entries.values().any(|other| other.0 == *ino));
        contents.retain(|ino, _| named(ino) || open_files.values().any(|open| open.0 == *ino));
    }

    fn identity_of(&self, path: &Path) -> io::Result<Identity> {
        let path = plain(path);
        let above = path.parent().and_then(|above| self.dirs.get(above));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match above.and_then(|entries| entries.get(name)) {
            Some(ino) => Ok(identity(*ino)),
            None => fail(ErrorKind::NotFound),
        }
    }
}

fn identity(ino: Ino) -> Identity {
    Identity { device: 0, inode: ino.0 }
}

impl Disk for MemoryDisk {
    fn open_dir(&self, path: PathBuf, create: bool) -> Submitted<Dir> {
        self.submit(|files| files.open_dir(&path, create))
    }

    fn list(&self, dir: Dir) -> Submitted<Vec<DirEntry>> {
        self.submit(|files| files.list(dir))
    }

    fn open(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.submit(|files| files.find(dir, name).map(|ino| files.open(ino)))
    }

    fn open_or_create(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.submit(|files| match files.find(dir, name) {
            Err(e) if e.kind() == ErrorKind::NotFound => files.create(dir, name),
            found => found.map(|ino| files.open(ino)),
        })
    }

    fn create(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.submit(|files| files.create(dir, name))
    }

    fn read(&self, file: File, offset: u64, len: usize) -> Submitted<Vec<u8>> {
        self.submit(|files| files.read(file, offset, len))
    }

    fn write(&self, file: File, offset: u64, bytes: Vec<u8>) -> Submitted<usize> {
        self.submit(|files| files.write(file, offset, &bytes))
    }

    fn set_len(&self, file: File, len: u64) -> Submitted<()> {
        self.submit(|files| {
            files.content(file)?.resize(size(len)?, 0);
            Ok(())
        })
    }

    fn len(&self, file: File) -> Submitted<u64> {
        self.submit(|files| Ok(files.content(file)?.len() as u64))
    }

    fn sync_data(&self, file: File) -> Submitted<()> {
        self.submit(|files| files.ino(file).map(|_| ()))
    }

    fn sync_dir(&self, dir: Dir) -> Submitted<()> {
        self.submit(|files| files.entries(dir).map(|_| ()))
    }

    fn link(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        self.submit(|files| files.find(dir, from).and_then(|ino| files.add(dir, to, ino)))
    }

    fn rename(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        self.submit(|files| files.rename(dir, from, to))
    }

    fn remove(&self, dir: Dir, name: &str) -> Submitted<()> {
        self.submit(|files| files.remove(dir, name))
    }

    fn try_lock(&self, file: File) -> Submitted<bool> {
        self.submit(|files| {
            let ino = files.ino(file)?;
            Ok(*files.locks.entry(ino.0).or_insert(file) == file)
        })
    }

    fn close(&self, file: File) -> Submitted<()> {
        self.submit(|files| files.close(file))
    }

    fn close_dir(&self, dir: Dir) -> Submitted<()> {
        self.submit(|files| {
            files.entries(dir)?;
            files.open_dirs.remove(&dir);
            Ok(())
        })
    }

    fn identity_of(&self, path: &Path) -> Submitted<Identity> {
        self.submit(|files| files.identity_of(path))
    }

    fn identity(&self, file: File) -> Submitted<Identity> {
        self.submit(|files| files.ino(file).map(identity))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn done<T>(submitted: Submitted<T>) -> io::Result<T> {
        submitted.now_or_never().expect("every operation is done at once")
    }

    #[test]
    fn files_are_written_read_linked_and_removed() {
        let disk = MemoryDisk::new();
        let dir = done(disk.open_dir("/data".into(), true)).unwrap();
        let a = done(disk.create(dir, "a")).unwrap();
        assert_eq!(done(disk.write(a, 2, b"xyz".to_vec())).unwrap(), 3);
        assert_eq!(done(disk.read(a, 1, 3)).unwrap(), b"\0xy");
        assert_eq!(done(disk.read(a, 9, 3)).unwrap(), b"");
        assert_eq!(done(disk.create(dir, "a")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        done(disk.link(dir, "a", "b")).unwrap();
        assert_eq!(done(disk.link(dir, "a", "b")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        done(disk.remove(dir, "a")).unwrap();
        assert_eq!(done(disk.list(dir)).unwrap(), [DirEntry { name: "b".into(), is_file: true, len: 5 }]);
        assert_eq!(done(disk.identity_of(Path::new("/data/b"))).unwrap(), done(disk.identity(a)).unwrap());
        done(disk.set_len(a, 1)).unwrap();
        assert_eq!(done(disk.len(a)).unwrap(), 1);
    }

    #[test]
    fn a_lock_excludes_until_its_file_is_closed() {
        let disk = MemoryDisk::new();
        let dir = done(disk.open_dir("d".into(), true)).unwrap();
        let first = done(disk.open_or_create(dir, "LOCK")).unwrap();
        let second = done(disk.open_or_create(dir, "LOCK")).unwrap();
        assert!(done(disk.try_lock(first)).unwrap());
        assert!(!done(disk.try_lock(second)).unwrap());
        done(disk.close(first)).unwrap();
        assert!(done(disk.try_lock(second)).unwrap());
    }

    #[test]
    fn an_unlinked_file_lives_as_long_as_it_is_open() {
        let disk = MemoryDisk::new();
        let dir = done(disk.open_dir("d".into(), true)).unwrap();
        let a = done(disk.create(dir, "a")).unwrap();
        done(disk.write(a, 0, b"1".to_vec())).unwrap();
        done(disk.remove(dir, "a")).unwrap();
        assert_eq!(done(disk.read(a, 0, 9)).unwrap(), b"1");
        done(disk.close(a)).unwrap();
        assert!(disk.files.lock().unwrap().contents.is_empty());
    }
}
