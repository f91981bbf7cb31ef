//! What the machine's kernel holds, and what each operation does to it: two images, what is pending between them, open
//! files and locks. Everything here is plain data that can be cloned cheaply. It never fails by plan and never waits;
//! faults, deaths and the order of completions come from `machine`.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use durable::store::disk::{Dir, File, Identity};

use super::fault::errno;
use super::inode::{BLOCK, Content, Entries, Image, Ino, Node, ROOT};
use super::op::{Answer, Op, TraceLine};
use super::pending::{Bytes, Pending, SECTOR};
use super::personality::{Overwrites, Personality};
use super::process::{Process, ProcessId};

/// The longest file that the simulated disk takes, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 40;
/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// The device number of a simulated disk.
const DEVICE: u64 = 1;

/// A file that a process has open.
#[derive(Debug, Clone)]
pub(super) struct OpenFile {
    pub(super) ino: Ino,
    pub(super) dir: Ino,
    pub(super) name: Arc<str>,
    pub(super) access: Access,
}

/// What an open file may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    ReadWrite,
}

/// Whether the disk takes changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mount {
    Writable,
    ReadOnly,
}

/// One machine's disk with the processes on it.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The page cache and the entries: what processes see.
    pub(super) seen: Image,
    /// What is on the platter for certain.
    pub(super) durable: Image,
    /// What lies between the two, in order.
    pub(super) pending: Vec<Arc<Pending>>,
    /// The files of which processes see what is not on the platter and not pending either, behind a sync that failed.
    pub(super) lies: BTreeSet<Ino>,
    /// Shared with snapshots, one by one.
    pub(super) processes: BTreeMap<ProcessId, Arc<Process>>,
    /// Which open file holds the lock of which inode.
    pub(super) locks: BTreeMap<Ino, u64>,
    pub(super) capacity: Option<u64>,
    pub(super) mount: Mount,
    pub(super) personality: Personality,
    pub(super) overwrites: Overwrites,
    /// The only file whose lock excludes anybody; none if all do.
    pub(super) sole_lock: Option<Arc<str>>,
    pub(super) performed: u64,
    /// What was done, unless nobody wants to know.
    pub(super) trace: Option<Vec<Arc<TraceLine>>>,
    next_ino: u64,
    next_handle: u64,
    pub(super) next_process: u32,
}

fn fail<T>(number: i32) -> io::Result<T> {
    Err(io::Error::from_raw_os_error(number))
}

fn checked(name: &str) -> io::Result<&str> {
    let bad = name.is_empty() || name == "." || name == ".." || name.len() > NAME_BYTES_MAX;
    if bad || name.contains(['/', '\0']) { fail(errno::EINVAL) } else { Ok(name) }
}

/// The names on a path, from the root; a relative path is taken from the root too.
pub(super) fn components(path: &Path) -> io::Result<Vec<&str>> {
    let mut names = Vec::new();
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => names.push(checked(name.to_str().unwrap_or(""))?),
            Component::ParentDir | Component::Prefix(_) => return fail(errno::EINVAL),
        }
    }
    Ok(names)
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            seen: Image::empty(),
            durable: Image::empty(),
            pending: Vec::new(),
            lies: BTreeSet::new(),
            processes: BTreeMap::new(),
            locks: BTreeMap::new(),
            capacity: None,
            mount: Mount::Writable,
            personality: Personality::default(),
            overwrites: Overwrites::default(),
            sole_lock: None,
            performed: 0,
            trace: Some(Vec::new()),
            next_ino: ROOT.0 + 1,
            next_handle: 1,
            next_process: 1,
        }
    }

    /// Does an operation of a process that lives. `bytes` are those of a write.
    pub(super) fn perform(&mut self, process: ProcessId, op: &Op, bytes: &[u8]) -> io::Result<Answer> {
        match op {
            Op::OpenDir { path } => self.resolve(path).and_then(|ino| self.open_dir(process, ino)),
            Op::MakeDir { path } => self.make_path(path).and_then(|ino| self.open_dir(process, ino)),
            Op::List { dir } => self.list(self.dir(process, *dir)?),
            Op::Open { dir, name } => self.open(process, *dir, name),
            Op::OpenOrCreate { dir, name } => self.open_or_create(process, *dir, name),
            Op::Create { dir, name } => self.create(process, *dir, name),
            Op::Read { file, offset, len } => {
                Ok(Answer::Bytes(self.content(self.file(process, *file)?.ino)?.read(*offset, *len)))
            }
            Op::Write { file, offset, .. } => self.write(process, *file, *offset, bytes),
            Op::SetLen { file, len } => self.set_len(process, *file, *len),
            Op::Len { file } => Ok(Answer::Len(self.content(self.file(process, *file)?.ino)?.len())),
            Op::SyncData { file } => self.sync_data(process, *file),
            Op::SyncDir { dir } => self.sync_dir(process, *dir),
            Op::Link { dir, from, to } => self.link(process, *dir, from, to),
            Op::Rename { dir, from, to } => self.rename(process, *dir, from, to),
            Op::Remove { dir, name } => self.remove(process, *dir, name),
            Op::TryLock { file } => self.try_lock(process, *file),
            Op::Close { file } => self.close(process, *file),
            Op::CloseDir { dir } => self.close_dir(process, *dir),
            Op::IdentityOf { path } => self.resolve(path).map(identity),
            Op::Identity { file } => Ok(identity(self.file(process, *file)?.ino)),
        }
    }

    fn process(&self, process: ProcessId) -> &Process {
        self.processes.get(&process).expect("because a process stays known after its death")
    }

    fn process_mut(&mut self, process: ProcessId) -> &mut Process {
        Arc::make_mut(self.processes.get_mut(&process).expect("because a process stays known after its death"))
    }

    pub(super) fn file(&self, process: ProcessId, file: File) -> io::Result<&OpenFile> {
        self.process(process).files.get(&file.0).ok_or_else(|| io::Error::from_raw_os_error(errno::EBADF))
    }

    pub(super) fn dir(&self, process: ProcessId, dir: Dir) -> io::Result<Ino> {
        self.process(process).dirs.get(&dir.0).copied().ok_or_else(|| io::Error::from_raw_os_error(errno::EBADF))
    }

    fn content(&self, ino: Ino) -> io::Result<&Content> {
        self.seen.file(ino).ok_or_else(|| io::Error::from_raw_os_error(errno::EISDIR))
    }

    fn find(&self, dir: Ino, name: &str) -> io::Result<Ino> {
        let entries = self.seen.entries(dir).ok_or_else(|| io::Error::from_raw_os_error(errno::ENOTDIR))?;
        entries.get(checked(name)?).copied().ok_or_else(|| io::Error::from_raw_os_error(errno::ENOENT))
    }

    pub(super) fn resolve(&self, path: &Path) -> io::Result<Ino> {
        components(path)?.into_iter().try_fold(ROOT, |dir, name| self.find(dir, name))
    }

    fn writable(&self) -> io::Result<()> {
        if self.mount == Mount::ReadOnly { fail(errno::EROFS) } else { Ok(()) }
    }

    // Space.

    /// The bytes that are left, if there is a budget.
    pub(super) fn free(&self) -> Option<u64> {
        let capacity = self.capacity?;
        let mut held = self.seen.named();
        held.extend(self.processes.values().flat_map(|process| process.files.values().map(|file| file.ino)));
        Some(capacity.saturating_sub(self.seen.space(&held)))
    }

    fn room_for_an_entry(&self) -> io::Result<()> {
        self.writable()?;
        if self.free() == Some(0) { fail(errno::ENOSPC) } else { Ok(()) }
    }

    // Directories.

    pub(super) fn make_path(&mut self, path: &Path) -> io::Result<Ino> {
        components(path)?.into_iter().try_fold(ROOT, |dir, name| match self.find(dir, name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.make_node(dir, name, Node::Dir(Entries::new())),
            found => found,
        })
    }

    /// A new inode and the name of it. The inode is on the platter at once, which shows only if its name is kept too.
    pub(super) fn make_node(&mut self, dir: Ino, name: &str, node: Node) -> io::Result<Ino> {
        self.room_for_an_entry()?;
        let ino = Ino(self.next_ino);
        self.next_ino += 1;
        self.seen.insert(ino, node.clone());
        self.durable.insert(ino, node);
        self.add_entry(dir, name, ino);
        Ok(ino)
    }

    fn add_entry(&mut self, dir: Ino, name: &str, ino: Ino) {
        let name: Arc<str> = name.into();
        if let Some(entries) = self.seen.entries_mut(dir) {
            entries.insert(Arc::clone(&name), ino);
        }
        self.pending.push(Arc::new(Pending::Link { dir, name, ino }));
    }

    fn open_dir(&mut self, process: ProcessId, ino: Ino) -> io::Result<Answer> {
        if self.seen.entries(ino).is_none() {
            return fail(errno::ENOTDIR);
        }
        let handle = self.handle(process)?;
        self.process_mut(process).dirs.insert(handle, ino);
        Ok(Answer::Dir(Dir(handle)))
    }

    fn handle(&mut self, process: ProcessId) -> io::Result<u64> {
        if !self.process(process).has_room() {
            return fail(errno::EMFILE);
        }
        self.next_handle += 1;
        Ok(self.next_handle)
    }

    fn list(&self, dir: Ino) -> io::Result<Answer> {
        let entries = self.seen.entries(dir).ok_or_else(|| io::Error::from_raw_os_error(errno::ENOTDIR))?;
        Ok(Answer::Names(entries.keys().map(|name| String::from(&**name)).collect()))
    }

    fn close_dir(&mut self, process: ProcessId, dir: Dir) -> io::Result<Answer> {
        self.dir(process, dir)?;
        self.process_mut(process).dirs.remove(&dir.0);
        Ok(Answer::Nothing)
    }

    // Opening files.

    fn open(&mut self, process: ProcessId, dir: Dir, name: &str) -> io::Result<Answer> {
        let dir = self.dir(process, dir)?;
        let ino = self.find(dir, name)?;
        self.open_ino(process, (dir, ino), name, Access::Read)
    }

    fn open_or_create(&mut self, process: ProcessId, dir: Dir, name: &str) -> io::Result<Answer> {
        self.writable()?;
        let dir = self.dir(process, dir)?;
        let ino = match self.find(dir, name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.make_node(dir, name, Node::File(Content::default()))?
            }
            found => found?,
        };
        self.open_ino(process, (dir, ino), name, Access::ReadWrite)
    }

    fn create(&mut self, process: ProcessId, dir: Dir, name: &str) -> io::Result<Answer> {
        let dir = self.dir(process, dir)?;
        self.must_be_free(dir, name)?;
        let ino = self.make_node(dir, name, Node::File(Content::default()))?;
        self.open_ino(process, (dir, ino), name, Access::ReadWrite)
    }

    fn must_be_free(&self, dir: Ino, name: &str) -> io::Result<()> {
        match self.find(dir, name) {
            Ok(_) => fail(errno::EEXIST),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn open_ino(
        &mut self,
        process: ProcessId,
        (dir, ino): (Ino, Ino),
        name: &str,
        access: Access,
    ) -> io::Result<Answer> {
        self.content(ino)?;
        let handle = self.handle(process)?;
        self.process_mut(process).files.insert(handle, OpenFile { ino, dir, name: name.into(), access });
        Ok(Answer::File(File(handle)))
    }

    fn close(&mut self, process: ProcessId, file: File) -> io::Result<Answer> {
        self.file(process, file)?;
        self.process_mut(process).files.remove(&file.0);
        self.locks.retain(|_, holder| *holder != file.0);
        Ok(Answer::Nothing)
    }

    fn try_lock(&mut self, process: ProcessId, file: File) -> io::Result<Answer> {
        let OpenFile { ino, name, .. } = self.file(process, file)?;
        if self.sole_lock.as_ref().is_some_and(|sole| sole != name) {
            return Ok(Answer::Locked(true));
        }
        let ino = *ino;
        let holder = *self.locks.entry(ino).or_insert(file.0);
        Ok(Answer::Locked(holder == file.0))
    }

    // Data.

    fn file_to_write(&self, process: ProcessId, file: File) -> io::Result<Ino> {
        self.writable()?;
        match self.file(process, file)? {
            OpenFile { ino, access: Access::ReadWrite, .. } => Ok(*ino),
            OpenFile { access: Access::Read, .. } => fail(errno::EBADF),
        }
    }

    fn write(&mut self, process: ProcessId, file: File, offset: u64, bytes: &[u8]) -> io::Result<Answer> {
        let ino = self.file_to_write(process, file)?;
        if offset.saturating_add(bytes.len() as u64) > FILE_BYTES_MAX {
            return fail(errno::EFBIG);
        }
        let fits = self.fitting(ino, offset, bytes);
        if fits < bytes.len() && fits == 0 {
            return fail(errno::ENOSPC);
        }
        self.write_cached(ino, offset, &bytes[..fits]);
        Ok(Answer::Written(fits))
    }

    /// How many of `bytes` there is room for.
    fn fitting(&self, ino: Ino, offset: u64, bytes: &[u8]) -> usize {
        let (Some(free), Some(content)) = (self.free(), self.seen.file(ino)) else { return bytes.len() };
        if self.personality.copies_on_write() {
            // The old blocks are free again only when the new ones are durable, so that each block needs a new one.
            let end = (offset / BLOCK as u64 + free / BLOCK as u64) * BLOCK as u64;
            return bytes.len().min(usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX));
        }
        let fits = |count: usize| {
            let mut after = content.clone();
            after.write(offset, &bytes[..count]);
            after.space().saturating_sub(content.space()) <= free
        };
        if fits(bytes.len()) {
            return bytes.len();
        }
        let (mut low, mut high) = (0, bytes.len());
        while high - low > 1 {
            let middle = low.midpoint(high);
            if fits(middle) { low = middle } else { high = middle }
        }
        low
    }

    fn write_cached(&mut self, ino: Ino, offset: u64, bytes: &[u8]) {
        let Some(content) = self.seen.file_mut(ino).filter(|_| !bytes.is_empty()) else { return };
        let (len_before, end) = (content.len(), offset + bytes.len() as u64);
        content.write(offset, bytes);
        let first = offset / SECTOR * SECTOR;
        let last = end.next_multiple_of(SECTOR).min(content.len());
        let whole = match (first, last) == (offset, end) {
            true => Bytes::new(bytes),
            false => {
                Bytes::new(&content.read(first, usize::try_from(last - first).expect("because it fits in memory")))
            }
        };
        self.pending.push(Arc::new(Pending::Write {
            ino,
            offset: first,
            bytes: whole,
            grows_to: Some(end).filter(|end| *end > len_before),
        }));
    }

    fn set_len(&mut self, process: ProcessId, file: File, len: u64) -> io::Result<Answer> {
        let ino = self.file_to_write(process, file)?;
        if len > FILE_BYTES_MAX {
            return fail(errno::EFBIG);
        }
        if let Some(content) = self.seen.file_mut(ino) {
            content.set_len(len);
        }
        self.pending.push(Arc::new(Pending::SetLen { ino, len }));
        Ok(Answer::Nothing)
    }

    fn sync_data(&mut self, process: ProcessId, file: File) -> io::Result<Answer> {
        let ino = self.file(process, file)?.ino;
        if self.lies.contains(&ino) {
            self.settle(|pending| pending.data_of() == Some(ino));
        } else {
            // What is pending for the file is all that is between the two.
            self.pending.retain(|pending| pending.data_of() != Some(ino));
            self.durable.share(ino, &self.seen);
        }
        Ok(Answer::Nothing)
    }

    // Entries.

    fn sync_dir(&mut self, process: ProcessId, dir: Dir) -> io::Result<Answer> {
        let ino = self.dir(process, dir)?;
        let takes_names = |pending: &Arc<Pending>| pending.entry_of() == Some(ino) && pending.takes_a_name();
        let may_be_nameless = self.pending.iter().any(takes_names);
        self.settle(|pending| pending.entry_of() == Some(ino));
        if may_be_nameless {
            self.forget_the_nameless();
        }
        Ok(Answer::Nothing)
    }

    /// Makes durable, in order, what is pending and chosen.
    pub(super) fn settle(&mut self, chosen: impl Fn(&Pending) -> bool) {
        let Self { pending, durable, .. } = self;
        pending.retain(|pending| {
            let settled = chosen(pending);
            if settled {
                pending.apply(durable, |_| true);
            }
            !settled
        });
    }

    /// Drops inodes that no name leads to or may lead to after a cut, and that nobody has open.
    fn forget_the_nameless(&mut self) {
        let mut kept: BTreeSet<Ino> = self.seen.named();
        kept.extend(self.durable.named());
        kept.extend(self.pending.iter().filter(|pending| pending.entry_of().is_some()).map(|pending| pending.ino()));
        for process in self.processes.values() {
            kept.extend(process.files.values().map(|file| file.ino).chain(process.dirs.values().copied()));
        }
        self.seen.retain(&kept);
        self.durable.retain(&kept);
        self.pending.retain(|pending| kept.contains(&pending.ino()));
    }

    fn link(&mut self, process: ProcessId, dir: Dir, from: &str, to: &str) -> io::Result<Answer> {
        let dir = self.dir(process, dir)?;
        let ino = self.find(dir, from)?;
        self.must_be_free(dir, to)?;
        self.content(ino).or_else(|_| fail(errno::EPERM))?;
        self.room_for_an_entry()?;
        self.add_entry(dir, to, ino);
        Ok(Answer::Nothing)
    }

    fn rename(&mut self, process: ProcessId, dir: Dir, from: &str, to: &str) -> io::Result<Answer> {
        self.writable()?;
        let dir = self.dir(process, dir)?;
        let ino = self.find(dir, from)?;
        let replaced = self.seen.lookup(dir, checked(to)?);
        if replaced == Some(ino) {
            return Ok(Answer::Nothing);
        }
        if replaced.is_some_and(|replaced| self.content(replaced).is_err()) {
            return fail(errno::EISDIR);
        }
        if let Some(entries) = self.seen.entries_mut(dir) {
            entries.remove(from);
            entries.insert(to.into(), ino);
        }
        self.pending.push(Arc::new(Pending::Rename { dir, from: from.into(), to: to.into(), ino }));
        Ok(Answer::Nothing)
    }

    fn remove(&mut self, process: ProcessId, dir: Dir, name: &str) -> io::Result<Answer> {
        self.writable()?;
        let dir = self.dir(process, dir)?;
        let ino = self.find(dir, name)?;
        self.content(ino)?;
        if let Some(entries) = self.seen.entries_mut(dir) {
            entries.remove(name);
        }
        self.pending.push(Arc::new(Pending::Unlink { dir, name: name.into(), ino }));
        Ok(Answer::Nothing)
    }
}

fn identity(ino: Ino) -> Answer {
    Answer::Identity(Identity { device: DEVICE, inode: ino.0 })
}
