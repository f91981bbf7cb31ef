//! Files of a store, opened and read. A handle closes its file when it is dropped, so that a future that is dropped half
//! way leaks nothing. Nothing here knows what the bytes mean, and no sync is tried twice.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::DiskFault;
use crate::codec::frame::SegmentNo;
use crate::codec::segment;
use crate::store::disk::{Dir, Disk, File, Identity, Scratch};

/// How much is zeroed at once, at most.
const CHUNK_BYTES: usize = 1 << 20;

/// What stands where nothing was written, so much of it as is compared in one go.
pub(super) const ZEROS: [u8; 4096] = [0; 4096];

/// How much of a segment is looked at in one go: what fits a processor's cache, and is much more than a frame takes.
pub(super) const STRETCH_BYTES: usize = 4 << 20;

/// An open file.
#[derive(Debug)]
pub(super) struct Handle {
    disk: Arc<dyn Disk>,
    file: File,
    name: String,
    is_open: bool,
}

impl Handle {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) async fn len(&self) -> Result<u64, DiskFault> {
        self.disk.len(self.file).await.map_err(|error| self.fault("measuring", error))
    }

    pub(super) async fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, DiskFault> {
        self.read_to(offset, len, Vec::new()).await
    }

    /// The same, into the memory of `room` if that is enough.
    async fn read_to(&self, offset: u64, len: usize, room: Vec<u8>) -> Result<Vec<u8>, DiskFault> {
        self.disk.read_to(self.file, offset, len, room).await.map_err(|error| self.fault("reading", error))
    }

    /// The whole file, as long as it is now.
    pub(super) async fn read_all(&self) -> Result<Vec<u8>, DiskFault> {
        let len = self.len().await?;
        self.read(0, usize::try_from(len).unwrap_or(usize::MAX)).await
    }

    /// Writes all of `bytes`; a short write is continued.
    pub(super) async fn write_all(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskFault> {
        let mut done = 0;
        while let Some(rest) = bytes.get(done..).filter(|rest| !rest.is_empty()) {
            let written = self.disk.write(self.file, offset + done as u64, rest.to_vec()).await;
            match written.map_err(|error| self.fault("writing", error))? {
                0 => return Err(self.fault("writing", io::ErrorKind::WriteZero.into())),
                _ if planted!(20) => return Ok(()),
                written => done += written,
            }
        }
        Ok(())
    }

    /// Writes zeros from `from` to `to`.
    pub(super) async fn zero(&self, from: u64, to: u64) -> Result<(), DiskFault> {
        let mut offset = from;
        while offset < to {
            let len = usize::try_from(to - offset).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let written = self.disk.write_zeros(self.file, offset, len).await;
            match written.map_err(|error| self.fault("writing", error))? {
                0 => return Err(self.fault("writing", io::ErrorKind::WriteZero.into())),
                written => offset += written as u64,
            }
        }
        Ok(())
    }

    pub(super) async fn sync(&self) -> Result<(), DiskFault> {
        let mut synced = self.disk.sync_data(self.file).await;
        if planted!(18) && synced.is_err() {
            synced = self.disk.sync_data(self.file).await;
        }
        synced.map_err(|error| self.fault("syncing", error))
    }

    pub(super) async fn try_lock(&self) -> Result<bool, DiskFault> {
        let locked = self.disk.try_lock(self.file).await.map_err(|error| self.fault("locking", error))?;
        Ok(locked || planted!(16))
    }

    pub(super) async fn identity(&self) -> Result<Identity, DiskFault> {
        self.disk.identity(self.file).await.map_err(|error| self.fault("looking at", error))
    }

    /// Closes it. What comes of that interests nobody: all that counts was synced.
    pub(super) async fn close(mut self) {
        self.is_open = false;
        let _unimportant = self.disk.close(self.file).await;
    }

    pub(super) fn fault(&self, doing: &'static str, error: io::Error) -> DiskFault {
        DiskFault::new(doing, &self.name, error)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.is_open {
            drop(self.disk.close(self.file));
        }
    }
}

/// The open directory of a store.
#[derive(Debug)]
pub(super) struct Folder {
    disk: Arc<dyn Disk>,
    dir: Dir,
    path: PathBuf,
    stretch_bytes: usize,
}

impl Folder {
    /// Opens a directory that is there.
    pub(super) async fn open(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Folder, DiskFault> {
        Self::open_as(disk, path, false).await
    }

    /// Opens a directory; makes it, and what is missing above it, if it is missing. What was made is durable then.
    pub(super) async fn open_or_make(disk: &Arc<dyn Disk>, path: PathBuf) -> Result<Folder, DiskFault> {
        let mut missing = Vec::new();
        let mut next = path;
        let mut folder = loop {
            match (Self::open(disk, next.clone()).await, parent(&next)) {
                (Err(fault), Some(parent)) if fault.error.kind() == io::ErrorKind::NotFound => {
                    missing.push(std::mem::replace(&mut next, parent));
                }
                (opened, _) => break opened?,
            }
        };
        while let Some(path) = missing.pop() {
            let made = Self::open_as(disk, path, true).await?;
            folder.sync().await?;
            folder = made;
        }
        Ok(folder)
    }

    async fn open_as(disk: &Arc<dyn Disk>, path: PathBuf, make: bool) -> Result<Folder, DiskFault> {
        let opened = disk.open_dir(path.clone(), make).await;
        let dir = opened.map_err(|error| DiskFault::new("opening", path.display().to_string(), error))?;
        Ok(Folder { disk: Arc::clone(disk), dir, path, stretch_bytes: STRETCH_BYTES })
    }

    /// The same folder, whose segments are gone over in stretches of so many bytes, of a segment's header at least.
    pub(super) fn in_stretches_of(mut self, bytes: usize) -> Folder {
        self.stretch_bytes = bytes.max(segment::HEADER_BYTES);
        self
    }

    /// Makes the directory's own entry durable, and those of all directories on the way to it: someone else may have made any of them a
    /// moment ago, and died. Where a directory may not be read, or not be synced because nobody writes there, what is in it was made by
    /// someone else for sure, and long ago.
    pub(super) async fn sync_above(&self) -> Result<(), DiskFault> {
        let mut below = self.path.clone();
        while let Some(above) = parent(&below).filter(|above| *above != below) {
            let synced = match Self::open(&self.disk, above.clone()).await {
                Ok(folder) => folder.sync().await,
                Err(fault) => Err(fault),
            };
            match synced {
                Err(fault) if !is_of_others(&fault) => return Err(fault),
                Ok(()) | Err(_) => below = above,
            }
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &PathBuf {
        &self.path
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    fn handle(&self, name: &str, file: File) -> Handle {
        Handle { disk: Arc::clone(&self.disk), file, name: name.to_owned(), is_open: true }
    }

    /// A file without a name in it.
    pub(super) fn scratch(&self) -> io::Result<Box<dyn Scratch>> {
        self.disk.scratch(self.dir)
    }

    /// The names of what is in it, sorted.
    pub(super) async fn list(&self) -> Result<Vec<String>, DiskFault> {
        let listed = self.disk.list(self.dir).await;
        let mut names = listed.map_err(|error| self.own_fault("listing", error))?;
        names.sort_unstable();
        Ok(names)
    }

    pub(super) async fn open_file(&self, name: &str) -> Result<Handle, DiskFault> {
        let file = self.disk.open(self.dir, name).await.map_err(|error| self.fault("opening", name, error))?;
        Ok(self.handle(name, file))
    }

    pub(super) async fn open_or_create(&self, name: &str) -> Result<Handle, DiskFault> {
        let opened = self.disk.open_or_create(self.dir, name).await;
        Ok(self.handle(name, opened.map_err(|error| self.fault("opening", name, error))?))
    }

    pub(super) async fn create(&self, name: &str) -> Result<Handle, DiskFault> {
        let file = self.disk.create(self.dir, name).await.map_err(|error| self.fault("making", name, error))?;
        Ok(self.handle(name, file))
    }

    pub(super) async fn link(&self, from: &str, to: &str) -> Result<(), DiskFault> {
        let named = match planted!(17) {
            true => self.disk.rename(self.dir, from, to).await,
            false => self.disk.link(self.dir, from, to).await,
        };
        named.map_err(|error| self.fault("naming", to, error))
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), DiskFault> {
        self.disk.remove(self.dir, name).await.map_err(|error| self.fault("removing", name, error))
    }

    /// Removes a file, unless someone else has done so by now.
    pub(super) async fn remove_if_there(&self, name: &str) -> Result<(), DiskFault> {
        match self.remove(name).await {
            Err(fault) if fault.error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    pub(super) async fn sync(&self) -> Result<(), DiskFault> {
        let synced = self.disk.sync_dir(self.dir).await;
        synced.map_err(|error| self.own_fault("syncing", error))
    }

    /// The segments that are there, by number.
    pub(super) async fn segments(&self) -> Result<Vec<SegmentNo>, DiskFault> {
        let names = self.list().await?;
        let mut segments: Vec<_> = names.iter().filter_map(|name| segment::number(name)).collect();
        segments.sort_unstable();
        Ok(segments)
    }

    pub(super) async fn read_segment(&self, segment: SegmentNo) -> Result<Vec<u8>, DiskFault> {
        let handle = self.open_file(&segment::name(segment)).await?;
        let bytes = handle.read_all().await;
        handle.close().await;
        bytes
    }

    /// A fault with one of its files, which says where: who meets it may have more than one store.
    fn fault(&self, doing: &'static str, file: &str, error: io::Error) -> DiskFault {
        DiskFault { dir: Some(self.path.clone()), ..DiskFault::new(doing, file, error) }
    }

    fn own_fault(&self, doing: &'static str, error: io::Error) -> DiskFault {
        DiskFault::new(doing, self.path.display().to_string(), error)
    }
}

/// Bytes of a segment that stand beside each other: all of it, or so much as is looked at in one go.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) segment: SegmentNo,
    /// Where in the segment they begin.
    pub(super) begin: u64,
    /// Whether they reach to its end.
    pub(super) reaches_end: bool,
}

/// How far a stretch goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// As far as most do.
    Usual,
    /// To the end of the segment.
    End,
}

impl Stretch {
    fn is_whole(&self) -> bool {
        self.begin == 0 && self.reaches_end
    }

    /// Whether it holds nothing but zeros.
    pub(super) fn is_zeros(&self) -> bool {
        self.bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
    }
}

/// The segments of a folder for who goes over them. A small one is read whole, and the newest of those are kept, as far as there is room: who
/// goes over them again finds them in memory. A larger one is read stretch by stretch into the same memory, each time that somebody goes
/// over it. To keep it would cost more: memory that is new has to be found and zeroed, and what is checked later is in no cache any more.
#[derive(Debug)]
pub(super) struct Segments<'f> {
    folder: &'f Folder,
    bytes_max: usize,
    kept: BTreeMap<SegmentNo, Arc<Vec<u8>>>,
    bytes: usize,
    /// Memory for what is read next. Whoever was given the bytes in it has dropped them by then, or it is not used again.
    room: Arc<Vec<u8>>,
}

impl<'f> Segments<'f> {
    /// Of the small ones so many bytes are kept at most.
    pub(super) fn keeping(folder: &'f Folder, bytes_max: usize) -> Segments<'f> {
        Segments { folder, bytes_max, kept: BTreeMap::new(), bytes: 0, room: Arc::default() }
    }

    /// The bytes of a segment from `begin` on; if it is small all that it has, as it is or was when it was read first.
    pub(super) async fn stretch(&mut self, segment: SegmentNo, begin: u64, reach: Reach) -> Result<Stretch, DiskFault> {
        if let Some(bytes) = self.kept.get(&segment) {
            return Ok(Stretch { bytes: Arc::clone(bytes), segment, begin: 0, reaches_end: true });
        }
        let handle = self.folder.open_file(&segment::name(segment)).await?;
        let stretch = self.read(&handle, segment, begin, reach).await;
        handle.close().await;
        let stretch = stretch?;
        if stretch.is_whole() {
            self.keep(&stretch);
        } else {
            self.room = Arc::clone(&stretch.bytes);
        }
        Ok(stretch)
    }

    async fn read(
        &mut self,
        handle: &Handle,
        segment: SegmentNo,
        begin: u64,
        reach: Reach,
    ) -> Result<Stretch, DiskFault> {
        let (len, usual) = (handle.len().await?, self.folder.stretch_bytes as u64);
        let is_small = len <= usual;
        let begin = if is_small { 0 } else { begin.min(len) };
        let rest = len - begin;
        let reaches_end = reach == Reach::End || rest <= usual;
        let wanted = if reaches_end { rest } else { usual };
        let room = Arc::into_inner(std::mem::take(&mut self.room)).unwrap_or_default();
        let bytes = handle.read_to(begin, usize::try_from(wanted).unwrap_or(usize::MAX), room).await?;
        Ok(Stretch { bytes: Arc::new(bytes), segment, begin, reaches_end })
    }

    fn keep(&mut self, whole: &Stretch) {
        self.bytes += whole.bytes.len();
        self.kept.insert(whole.segment, Arc::clone(&whole.bytes));
        while self.bytes > self.bytes_max {
            let Some((_, oldest)) = self.kept.pop_first() else { break };
            self.bytes -= oldest.len();
            self.room = oldest;
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.disk.close_dir(self.dir));
    }
}

fn is_of_others(fault: &DiskFault) -> bool {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    matches!(fault.error.kind(), PermissionDenied | ReadOnlyFilesystem | Unsupported | InvalidInput)
}

/// The directory above; none above the root.
fn parent(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    Some(if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
}
