//! The real disk, over the system's own calls. Each operation runs inline in the call that submits it, and its future is
//! ready at once: whoever must not block a thread calls from one that may be blocked. Unix only. It retries nothing but
//! a call that a signal interrupted before it did anything, and never a sync.

use std::collections::BTreeMap;
use std::future;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rustix::buffer::spare_capacity;
use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use super::disk::{Dir, Disk, File, Identity, Scratch, Submitted, scratch_name};

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);
const DIR_MODE: Mode = Mode::RWXU;

/// What is written where zeros are wanted, at most at once. Nobody ever writes here, so that all of it is the system's one page of zeros.
static ZEROS: OnceLock<Vec<u8>> = OnceLock::new();

fn zeros() -> &'static [u8] {
    ZEROS.get_or_init(|| vec![0; 1 << 20])
}

/// Files of this machine.
#[derive(Debug)]
pub struct RealDisk {
    open: RwLock<BTreeMap<u64, Arc<OwnedFd>>>,
    next: AtomicU64,
    /// What relative paths are relative to, whatever becomes of the process's working directory.
    home: Option<PathBuf>,
    /// The process that opens files here; a forked child has them too.
    owner: Pid,
}

impl RealDisk {
    /// The disk. Relative paths mean what they mean now, also after the process has changed its working directory.
    #[must_use]
    pub fn new() -> RealDisk {
        RealDisk {
            open: RwLock::default(),
            next: AtomicU64::new(1),
            home: std::env::current_dir().ok(),
            owner: getpid(),
        }
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        self.home.as_ref().map_or_else(|| path.to_owned(), |home| home.join(path))
    }

    fn keep(&self, fd: OwnedFd) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.write().unwrap_or_else(PoisonError::into_inner).insert(number, Arc::new(fd));
        number
    }

    fn fd(&self, number: u64) -> io::Result<Arc<OwnedFd>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&number).cloned().ok_or_else(|| Errno::BADF.into())
    }

    /// Closes a file. Its lock goes with it at once, also while a child that is being started has a copy of the descriptor; but a
    /// forked child must not take it from its parent.
    fn do_close(&self, file: File) -> io::Result<()> {
        let fd = self.fd(file.0)?;
        if getpid() == self.owner {
            // A file without a lock, or on a file system without locks, has nothing to let go.
            let _unimportant = fs::flock(&fd, FlockOperation::Unlock);
        }
        self.forget(file.0)
    }

    fn forget(&self, number: u64) -> io::Result<()> {
        let fd = self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&number);
        fd.map(drop).ok_or_else(|| Errno::BADF.into())
    }

    fn open_at(&self, dir: Dir, name: &str, flags: OFlags) -> io::Result<File> {
        let dir = self.fd(dir.0)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = again(|| fs::openat(&dir, component(name)?, flags, FILE_MODE))?;
        Ok(File(self.keep(fd)))
    }

    fn do_open_dir(&self, path: &Path, create: bool) -> io::Result<Dir> {
        let path = self.absolute(path);
        if create {
            make_dirs(&path)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Dir(self.keep(again(|| fs::open(&path, flags, Mode::empty()))?)))
    }

    fn do_list(&self, dir: Dir) -> io::Result<Vec<String>> {
        let dir = self.fd(dir.0)?;
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            if !matches!(name.to_bytes(), b"." | b"..") {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    fn do_read(&self, file: File, offset: u64, len: usize, room: Vec<u8>) -> io::Result<Vec<u8>> {
        let fd = self.fd(file.0)?;
        let mut bytes = room;
        bytes.clear();
        // All the room that there is will be read into, and is kept for as long as what was read.
        bytes.shrink_to(len);
        bytes.reserve_exact(len);
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            if again(|| rustix::io::pread(&fd, spare_capacity(&mut bytes), at))? == 0 {
                break;
            }
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn do_rename(&self, dir: Dir, from: &str, to: &str) -> io::Result<()> {
        let dir = self.fd(dir.0)?;
        Ok(fs::renameat(&dir, component(from)?, &dir, component(to)?)?)
    }

    fn do_link(&self, dir: Dir, from: &str, to: &str) -> io::Result<()> {
        let dir = self.fd(dir.0)?;
        Ok(fs::linkat(&dir, component(from)?, &dir, component(to)?, AtFlags::empty())?)
    }

    fn do_try_lock(&self, file: File) -> io::Result<bool> {
        let fd = self.fd(file.0)?;
        match again(|| fs::flock(&fd, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Default for RealDisk {
    fn default() -> RealDisk {
        RealDisk::new()
    }
}

impl Disk for RealDisk {
    fn open_dir(&self, path: PathBuf, create: bool) -> Submitted<Dir> {
        done(self.do_open_dir(&path, create))
    }

    fn list(&self, dir: Dir) -> Submitted<Vec<String>> {
        done(self.do_list(dir))
    }

    fn open(&self, dir: Dir, name: &str) -> Submitted<File> {
        done(self.open_at(dir, name, OFlags::RDONLY))
    }

    fn open_or_create(&self, dir: Dir, name: &str) -> Submitted<File> {
        done(self.open_at(dir, name, OFlags::RDWR | OFlags::CREATE))
    }

    fn create(&self, dir: Dir, name: &str) -> Submitted<File> {
        done(self.open_at(dir, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL))
    }

    fn read(&self, file: File, offset: u64, len: usize) -> Submitted<Vec<u8>> {
        self.read_to(file, offset, len, Vec::new())
    }

    fn read_to(&self, file: File, offset: u64, len: usize, room: Vec<u8>) -> Submitted<Vec<u8>> {
        done(self.do_read(file, offset, len, room))
    }

    fn write(&self, file: File, offset: u64, bytes: Vec<u8>) -> Submitted<usize> {
        done(self.fd(file.0).and_then(|fd| Ok(again(|| rustix::io::pwrite(&fd, &bytes, offset))?)))
    }

    fn write_zeros(&self, file: File, offset: u64, len: usize) -> Submitted<usize> {
        let zeros = zeros().get(..len).unwrap_or(zeros());
        done(self.fd(file.0).and_then(|fd| Ok(again(|| rustix::io::pwrite(&fd, zeros, offset))?)))
    }

    fn set_len(&self, file: File, len: u64) -> Submitted<()> {
        done(self.fd(file.0).and_then(|fd| Ok(again(|| fs::ftruncate(&fd, len))?)))
    }

    fn len(&self, file: File) -> Submitted<u64> {
        let stat = self.fd(file.0).and_then(|fd| Ok(fs::fstat(&fd)?));
        done(stat.map(|stat| stat.st_size.try_into().unwrap_or(0)))
    }

    fn sync_data(&self, file: File) -> Submitted<()> {
        done(self.fd(file.0).and_then(|fd| Ok(sync(&fd)?)))
    }

    fn sync_dir(&self, dir: Dir) -> Submitted<()> {
        done(self.fd(dir.0).and_then(|fd| Ok(fs::fsync(&fd)?)))
    }

    fn link(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        done(self.do_link(dir, from, to))
    }

    fn rename(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        done(self.do_rename(dir, from, to))
    }

    fn remove(&self, dir: Dir, name: &str) -> Submitted<()> {
        let removed = self.fd(dir.0).and_then(|dir| Ok(fs::unlinkat(&dir, component(name)?, AtFlags::empty())?));
        done(removed)
    }

    fn try_lock(&self, file: File) -> Submitted<bool> {
        done(self.do_try_lock(file))
    }

    fn close(&self, file: File) -> Submitted<()> {
        done(self.do_close(file))
    }

    fn close_dir(&self, dir: Dir) -> Submitted<()> {
        done(self.forget(dir.0))
    }

    fn identity_of(&self, path: &Path) -> Submitted<Identity> {
        done(fs::stat(self.absolute(path)).map_err(io::Error::from).map(|stat| identity(&stat)))
    }

    fn identity(&self, file: File) -> Submitted<Identity> {
        done(self.fd(file.0).and_then(|fd| Ok(fs::fstat(&fd)?)).map(|stat| identity(&stat)))
    }

    fn scratch(&self, dir: Dir) -> io::Result<Box<dyn Scratch>> {
        let dir = self.fd(dir.0)?;
        // Nobody else has this number in this process, and another process has the folder only when this one is gone.
        let name = scratch_name(getpid().as_raw_pid().cast_unsigned(), self.next.fetch_add(1, Ordering::Relaxed));
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = again(|| fs::openat(&dir, &name, flags, FILE_MODE))?;
        match fs::unlinkat(&dir, &name, AtFlags::empty()) {
            // Whoever opened the store meanwhile may have taken the name away, as a leftover.
            Ok(()) | Err(Errno::NOENT) => Ok(Box::new(Unnamed(file))),
            Err(error) => Err(error.into()),
        }
    }
}

/// A file whose name is gone.
#[derive(Debug)]
struct Unnamed(OwnedFd);

impl Scratch for Unnamed {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut read = 0;
        while let Some(left) = bytes.get_mut(read..).filter(|left| !left.is_empty()) {
            match again(|| rustix::io::pread(&self.0, &mut *left, offset + read as u64))? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while let Some(left) = bytes.get(written..).filter(|left| !left.is_empty()) {
            match again(|| rustix::io::pwrite(&self.0, left, offset + written as u64))? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                more => written += more,
            }
        }
        Ok(())
    }

    fn clear(&mut self) {
        // What could not be given back is written over.
        let _unimportant = again(|| fs::ftruncate(&self.0, 0));
    }
}

fn done<T: Send + 'static>(result: io::Result<T>) -> Submitted<T> {
    Box::pin(future::ready(result))
}

/// Does it again while a signal interrupts it before it did anything.
fn again<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> rustix::io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

/// A name that leads nowhere else.
fn component(name: &str) -> rustix::io::Result<&str> {
    if name.is_empty() || name.contains('/') || matches!(name, "." | "..") { Err(Errno::INVAL) } else { Ok(name) }
}

/// Makes a directory and what is missing above it.
fn make_dirs(path: &Path) -> io::Result<()> {
    match (fs::mkdir(path, DIR_MODE), path.parent()) {
        (Ok(()) | Err(Errno::EXIST), _) => Ok(()),
        (Err(Errno::NOENT), Some(parent)) => {
            make_dirs(parent)?;
            make_dirs(path)
        }
        (Err(error), _) => Err(error.into()),
    }
}

#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the types differ between systems")]
fn identity(stat: &fs::Stat) -> Identity {
    Identity { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
}

#[cfg(not(target_vendor = "apple"))]
fn sync(fd: &OwnedFd) -> rustix::io::Result<()> {
    fs::fdatasync(fd)
}

/// `fsync` alone leaves the bytes in the drive's cache there.
#[cfg(target_vendor = "apple")]
fn sync(fd: &OwnedFd) -> rustix::io::Result<()> {
    fs::fcntl_fullfsync(fd)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// What a real disk answers, which is at once.
    fn now<T>(submitted: Submitted<T>) -> T {
        submitted.now_or_never().unwrap().unwrap()
    }

    /// Locks a file, lets something else keep a copy of its descriptor, and closes it; says whether it can be locked then.
    fn is_free_after_close(disk: &RealDisk) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let folder = now(disk.open_dir(dir.path().to_owned(), false));
        let file = now(disk.open_or_create(folder, "LOCK"));
        assert!(now(disk.try_lock(file)));
        let _inherited = disk.fd(file.0).unwrap().try_clone().unwrap();
        now(disk.close(file));
        let again = now(disk.open_or_create(folder, "LOCK"));
        now(disk.try_lock(again))
    }

    #[test]
    fn a_scratch_file_has_no_name_and_keeps_what_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new();
        let folder = now(disk.open_dir(dir.path().to_owned(), false));
        let mut files = [disk.scratch(folder).unwrap(), disk.scratch(folder).unwrap()];
        assert_eq!(now(disk.list(folder)), Vec::<String>::new());
        let mut bytes = [0; 3];
        for (file, n) in files.iter_mut().zip(1..) {
            file.write(5, &[n, n, n, n]).unwrap();
            file.read(6, &mut bytes).unwrap();
            assert_eq!(bytes, [n; 3]);
        }
        assert_eq!(files[0].read(7, &mut bytes).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        files[0].clear();
        assert!(files[0].read(0, &mut bytes).is_err() && files[1].read(5, &mut bytes).is_ok());
    }

    #[test]
    fn no_more_is_read_than_was_asked_for_and_no_more_room_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk::new();
        let folder = now(disk.open_dir(dir.path().to_owned(), false));
        let file = now(disk.create(folder, "file"));
        now(disk.write(file, 0, (0..200).collect()));
        let read = now(disk.read_to(file, 100, 10, Vec::with_capacity(150)));
        assert_eq!((&read[..], read.capacity()), (&[100, 101, 102, 103, 104, 105, 106, 107, 108, 109][..], 10));
    }

    #[test]
    fn a_lock_is_free_when_its_file_is_closed_whoever_inherited_it() {
        assert!(is_free_after_close(&RealDisk::new()));
    }

    #[test]
    fn a_forked_child_does_not_free_the_lock_of_its_parent() {
        let parent = rustix::process::getppid().unwrap();
        assert!(!is_free_after_close(&RealDisk { owner: parent, ..RealDisk::new() }));
    }
}
