//! A disk in memory that does everything at once and forgets it with the process: what a durable step costs the processor, without the
//! system and without a wait. It is no simulator: nothing ever fails here, and nothing can be cut off.

use std::collections::BTreeMap;
use std::fmt;
use std::future::ready;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use durable::store::disk::{Dir, Disk, File, Identity, Submitted};

/// See the head of the file.
#[derive(Default)]
pub struct MemoryDisk {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    dirs: BTreeMap<PathBuf, Dir>,
    /// Which file a name in a directory leads to.
    names: BTreeMap<(u64, String), File>,
    files: BTreeMap<u64, Vec<u8>>,
    last: u64,
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk").field("files", &self.lock().files.len()).finish_non_exhaustive()
    }
}

impl MemoryDisk {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn open(&self, dir: Dir, name: &str) -> io::Result<File> {
        self.names.get(&(dir.0, name.to_owned())).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn create(&mut self, dir: Dir, name: &str) -> io::Result<File> {
        if self.open(dir, name).is_ok() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        let file = File(self.number());
        self.files.insert(file.0, Vec::new());
        self.names.insert((dir.0, name.to_owned()), file);
        Ok(file)
    }

    fn bytes(&mut self, file: File) -> io::Result<&mut Vec<u8>> {
        self.files.get_mut(&file.0).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn read(&mut self, file: File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let bytes = self.bytes(file)?;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = begin.saturating_add(len).min(bytes.len());
        Ok(bytes.get(begin..end).unwrap_or_default().to_vec())
    }

    fn write(&mut self, file: File, offset: u64, written: &[u8]) -> io::Result<usize> {
        let begin = usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge)?;
        let bytes = self.bytes(file)?;
        if bytes.len() < begin + written.len() {
            bytes.resize(begin + written.len(), 0);
        }
        if let Some(place) = bytes.get_mut(begin..begin + written.len()) {
            place.copy_from_slice(written);
        }
        Ok(written.len())
    }

    fn identity_of(&self, path: &Path) -> io::Result<Identity> {
        let dir = path.parent().and_then(|parent| self.dirs.get(parent)).ok_or(ErrorKind::NotFound)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::NotFound)?;
        self.open(*dir, name).map(identity)
    }
}

fn identity(file: File) -> Identity {
    Identity { device: 1, inode: file.0 }
}

fn done<T: Send + 'static>(result: io::Result<T>) -> Submitted<T> {
    Box::pin(ready(result))
}

impl Disk for MemoryDisk {
    fn open_dir(&self, path: PathBuf, create: bool) -> Submitted<Dir> {
        let mut kept = self.lock();
        let known = kept.dirs.get(&path).copied();
        // The root is always there.
        done(match (known, create || path.parent().is_none()) {
            (Some(dir), _) => Ok(dir),
            (None, false) => Err(ErrorKind::NotFound.into()),
            (None, true) => {
                let dir = Dir(kept.number());
                kept.dirs.insert(path, dir);
                Ok(dir)
            }
        })
    }

    fn list(&self, dir: Dir) -> Submitted<Vec<String>> {
        let kept = self.lock();
        let names = kept.names.keys().filter(|(at, _)| *at == dir.0);
        done(Ok(names.map(|(_, name)| name.clone()).collect()))
    }

    fn open(&self, dir: Dir, name: &str) -> Submitted<File> {
        done(self.lock().open(dir, name))
    }

    fn open_or_create(&self, dir: Dir, name: &str) -> Submitted<File> {
        let mut kept = self.lock();
        let known = kept.open(dir, name);
        done(known.or_else(|_| kept.create(dir, name)))
    }

    fn create(&self, dir: Dir, name: &str) -> Submitted<File> {
        done(self.lock().create(dir, name))
    }

    fn read(&self, file: File, offset: u64, len: usize) -> Submitted<Vec<u8>> {
        done(self.lock().read(file, offset, len))
    }

    fn write(&self, file: File, offset: u64, bytes: Vec<u8>) -> Submitted<usize> {
        done(self.lock().write(file, offset, &bytes))
    }

    fn set_len(&self, file: File, len: u64) -> Submitted<()> {
        let len = usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge.into());
        done(len.and_then(|len| self.lock().bytes(file).map(|bytes| bytes.resize(len, 0))))
    }

    fn len(&self, file: File) -> Submitted<u64> {
        done(self.lock().bytes(file).map(|bytes| bytes.len() as u64))
    }

    fn sync_data(&self, _: File) -> Submitted<()> {
        done(Ok(()))
    }

    fn sync_dir(&self, _: Dir) -> Submitted<()> {
        done(Ok(()))
    }

    fn link(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        let mut kept = self.lock();
        let linked = match (kept.open(dir, from), kept.open(dir, to)) {
            (Ok(file), Err(_)) => {
                kept.names.insert((dir.0, to.to_owned()), file);
                Ok(())
            }
            (Ok(_), Ok(_)) => Err(ErrorKind::AlreadyExists.into()),
            (Err(error), _) => Err(error),
        };
        done(linked)
    }

    fn rename(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        let mut kept = self.lock();
        let file = kept.names.remove(&(dir.0, from.to_owned()));
        let renamed = file.ok_or(ErrorKind::NotFound.into());
        done(renamed.map(|file| {
            kept.names.insert((dir.0, to.to_owned()), file);
        }))
    }

    fn remove(&self, dir: Dir, name: &str) -> Submitted<()> {
        let removed = self.lock().names.remove(&(dir.0, name.to_owned()));
        done(removed.map(drop).ok_or(ErrorKind::NotFound.into()))
    }

    fn try_lock(&self, _: File) -> Submitted<bool> {
        done(Ok(true))
    }

    fn close(&self, _: File) -> Submitted<()> {
        done(Ok(()))
    }

    fn close_dir(&self, _: Dir) -> Submitted<()> {
        done(Ok(()))
    }

    fn identity_of(&self, path: &Path) -> Submitted<Identity> {
        done(self.lock().identity_of(path))
    }

    fn identity(&self, file: File) -> Submitted<Identity> {
        done(Ok(identity(file)))
    }
}
