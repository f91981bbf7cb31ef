//! The disk, as the store sees it: the one seam through which bytes reach a file. Every operation is submitted and its
//! completion is reported later, through the future that `submit` gives; the real disk completes at once, a simulated
//! one completes in any order that its seed says. Nothing here knows what the bytes mean.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;

/// A completion that is reported later.
pub type Submitted<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

/// An open directory: the one that was opened, whatever its path names by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dir(pub u64);

/// An open file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct File(pub u64);

/// Which file a path or a descriptor leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The device.
    pub device: u64,
    /// The inode there.
    pub inode: u64,
}

/// The operations. Names are single components, never paths. Symbolic links are not followed, except in the path given
/// to `open_dir` and `identity_of`. Files are made with mode 0600, directories with 0700.
pub trait Disk: Send + Sync + Debug + 'static {
    /// Opens a directory; makes it, and what is missing above it, if `create`.
    fn open_dir(&self, path: PathBuf, create: bool) -> Submitted<Dir>;
    /// The names of what the directory holds, in no particular order.
    fn list(&self, dir: Dir) -> Submitted<Vec<String>>;
    /// Opens a file that exists, for reading.
    fn open(&self, dir: Dir, name: &str) -> Submitted<File>;
    /// Opens a file for reading and writing; makes an empty one if there is none.
    fn open_or_create(&self, dir: Dir, name: &str) -> Submitted<File>;
    /// Makes a file for reading and writing that did not exist (`AlreadyExists` otherwise).
    fn create(&self, dir: Dir, name: &str) -> Submitted<File>;
    /// Reads up to `len` bytes at `offset`; fewer only at the end of the file.
    fn read(&self, file: File, offset: u64, len: usize) -> Submitted<Vec<u8>>;
    /// As [`Disk::read`], into the memory of `room` if that is enough; what there is more of it is given back to the system.
    fn read_to(&self, file: File, offset: u64, len: usize, room: Vec<u8>) -> Submitted<Vec<u8>> {
        drop(room);
        self.read(file, offset, len)
    }
    /// Writes at `offset`; gives how many bytes were written, which may be fewer than there are.
    fn write(&self, file: File, offset: u64, bytes: Vec<u8>) -> Submitted<usize>;
    /// As [`Disk::write`], of `len` zeros, for which nobody has to find memory.
    fn write_zeros(&self, file: File, offset: u64, len: usize) -> Submitted<usize> {
        self.write(file, offset, vec![0; len])
    }
    /// Cuts or extends a file.
    fn set_len(&self, file: File, len: u64) -> Submitted<()>;
    /// How long a file is.
    fn len(&self, file: File) -> Submitted<u64>;
    /// Makes a file's data, and what of its metadata is needed to read them, durable (`fdatasync`).
    fn sync_data(&self, file: File) -> Submitted<()>;
    /// Makes a directory's entries durable.
    fn sync_dir(&self, dir: Dir) -> Submitted<()>;
    /// Gives a file a second name; fails with `AlreadyExists` rather than replace.
    fn link(&self, dir: Dir, from: &str, to: &str) -> Submitted<()>;
    /// Renames, replacing.
    fn rename(&self, dir: Dir, from: &str, to: &str) -> Submitted<()>;
    /// Removes a name.
    fn remove(&self, dir: Dir, name: &str) -> Submitted<()>;
    /// Takes the exclusive lock of a file (`flock`); `false` if someone else holds it. Closing the file frees it.
    fn try_lock(&self, file: File) -> Submitted<bool>;
    /// Closes a file.
    fn close(&self, file: File) -> Submitted<()>;
    /// Closes a directory.
    fn close_dir(&self, dir: Dir) -> Submitted<()>;
    /// Which file a path leads to, resolved anew and not through any open directory.
    fn identity_of(&self, path: &Path) -> Submitted<Identity>;
    /// Which file an open file is.
    fn identity(&self, file: File) -> Submitted<Identity>;
    /// Makes a file without a name in the directory, for what nobody wants when this process is gone. It answers at once, and is no part of what
    /// is stored: a simulated disk has it in memory.
    fn scratch(&self, dir: Dir) -> io::Result<Box<dyn Scratch>> {
        let _ = dir;
        Ok(Box::new(InMemory::default()))
    }
}

/// The name of a [scratch](Disk::scratch) file, for the moment that it has one: by process, and the number of the file there.
#[must_use]
pub fn scratch_name(process: u32, number: u64) -> String {
    format!("scratch-{process}-{number}")
}

/// Whether a file has such a name: its maker died before it took it away.
#[must_use]
pub fn is_scratch(name: &str) -> bool {
    let numbers = name.strip_prefix("scratch-").and_then(|rest| rest.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(process, number)| is_number(process) && is_number(number))
}

/// A file without a name.
pub trait Scratch: Send + Sync + Debug {
    /// Fills `bytes` with what stands at `offset`.
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()>;
    /// Writes at `offset`.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Nothing in it is wanted any more.
    fn clear(&mut self);
}

/// A file without a name that is none.
#[derive(Debug, Default)]
pub struct InMemory(Vec<u8>);

impl Scratch for InMemory {
    fn read(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = self.0.get(from..).and_then(|there| there.get(..bytes.len()));
        bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        if self.0.len() < from + bytes.len() {
            self.0.resize(from + bytes.len(), 0);
        }
        self.0.get_mut(from..from + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(bytes);
        Ok(())
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
