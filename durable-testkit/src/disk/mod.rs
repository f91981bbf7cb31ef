//! A simulated disk: one machine's file system, the processes on it, and everything that may happen to them. Real files
//! are never touched, and the same calls with the same seeds give the same bytes.
//!
//! # The model
//!
//! Processes see the page cache: what one writes another reads at once. Apart from it lies the durable image. Between
//! the two, in order, is what no sync has covered yet. `sync_data` makes a file's bytes and its length durable, not its
//! name; `sync_dir` makes the entries of that one directory durable, not those above it (a directory that `open_dir`
//! made is itself an entry of the one above). A power cut keeps the durable image and any chosen subset of the rest:
//! writes sector by sector (512 bytes), lengths, and directory entries, each on its own. A sector is whole, and the
//! bytes in it that a write did not touch are intact. A rename is atomic. A process's death keeps the page cache, closes
//! its files and frees its locks; a stopped process keeps them.
//!
//! That is the hostile disk, the default; [`Personality`] narrows it to what one file system does. [`Fault`] says what else
//! may go wrong, and [`Unfair`] what only broken hardware does.
//!
//! Not modelled: symbolic links, permissions, memory maps, inode numbers that are used again.

mod crash;
pub(crate) mod digest;
mod fault;
mod inode;
mod machine;
mod moment;
mod op;
mod pending;
mod personality;
mod process;
pub(crate) mod question;
mod rest;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use durable::seams::Task;
use durable::store::disk::{Dir, Disk, File, Identity, Submitted};

pub use crash::{Keep, Mask};
use digest::Digest;
pub use fault::{AfterFailedSync, Fault, Unfair, When, errno};
use machine::{Completion, Machine, Watcher};
pub use moment::Moment;
pub use op::{Ending, Op, OpKind, TraceLine, Unfinished};
pub use personality::{Overwrites, Personality};
use process::Process;
pub use process::{ProcessId, SimProcess};
use question::{Question, Questions};
use state::{Mount, State};

use crate::rng::Rng;

/// One machine's disk. Clones are the same disk. As a `Disk` it is a process of its own that begins anew after a power
/// cut; a test that lets a process die makes one with [`SimDisk::process`].
#[derive(Clone)]
pub struct SimDisk {
    machine: Arc<Mutex<Machine>>,
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|machine| write!(f, "SimDisk({} operations done)", machine.state.performed))
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

/// A moment of a disk and its processes. Cheap to take and to keep: contents are shared.
#[derive(Debug, Clone)]
pub struct Snapshot(State);

impl Snapshot {
    /// How many units each pending operation has, in order: what [`Keep::Units`] and [`Keep::Operations`] number.
    #[must_use]
    pub fn pending_units(&self) -> Vec<usize> {
        self.0.pending.iter().map(|pending| pending.units()).collect()
    }

    /// As [`SimDisk::fingerprint`].
    pub(crate) fn fingerprint(&self) -> u64 {
        self.0.fingerprint()
    }

    /// A hash of what is pending.
    pub(crate) fn pending_digest(&self) -> u64 {
        self.0.pending_digest()
    }

    /// A hash of what a power cut finds: what is on the platter, and what is pending.
    pub(crate) fn platter_digest(&self) -> u64 {
        self.0.platter_digest()
    }
}

impl SimDisk {
    /// An empty disk on which every operation is done as it is submitted.
    #[must_use]
    pub fn new() -> Self {
        Self { machine: Arc::new(Mutex::new(Machine::new(Completion::Immediate))) }
    }

    /// An empty disk on which operations wait for [`SimDisk::step`], which takes them in the order that the seed says.
    #[must_use]
    pub fn scheduled(seed: u64) -> Self {
        Self { machine: Arc::new(Mutex::new(Machine::new(Completion::Scheduled(Rng::new(seed))))) }
    }

    /// An empty disk on which operations wait for [`SimDisk::step`], which takes them as they were submitted.
    #[must_use]
    pub fn in_order() -> Self {
        Self { machine: Arc::new(Mutex::new(Machine::new(Completion::InOrder))) }
    }

    /// A disk of its own that begins at that moment, with its processes and their open files. Operations are done as they
    /// are submitted; to have them scheduled, restore the moment on a scheduled disk.
    #[must_use]
    pub fn from_snapshot(snapshot: &Snapshot) -> Self {
        let disk = Self::new();
        disk.restore(snapshot);
        disk
    }

    fn with<R>(&self, f: impl FnOnce(&mut Machine) -> R) -> R {
        let mut machine = self.machine.lock().unwrap_or_else(PoisonError::into_inner);
        let result = f(&mut machine);
        let wakers = std::mem::take(&mut machine.to_wake);
        drop(machine);
        wakers.into_iter().for_each(std::task::Waker::wake);
        result
    }

    fn own(&self) -> SimProcess {
        SimProcess::new(self.clone(), ProcessId::OWN)
    }

    // Processes and crashes.

    /// A new process on this machine.
    #[must_use]
    pub fn process(&self) -> SimProcess {
        let id = self.with(|machine| {
            let id = ProcessId(machine.state.next_process);
            machine.state.next_process += 1;
            machine.state.processes.insert(id, Arc::new(Process::new()));
            id
        });
        SimProcess::new(self.clone(), id)
    }

    /// The process of that number, for example after [`SimDisk::from_snapshot`].
    #[must_use]
    pub fn process_by_id(&self, id: ProcessId) -> SimProcess {
        SimProcess::new(self.clone(), id)
    }

    /// Kills a process: see [`SimProcess::crash`].
    pub fn process_crash(&self, process: &SimProcess, in_flight: Unfinished) {
        self.with(|machine| machine.crash(process.id(), in_flight));
    }

    /// Cuts the power: every process dies, and of what no sync covered only what `keep` says is there afterwards.
    pub fn power_cut(&self, keep: &Keep) {
        self.with(|machine| machine.power_cut(keep));
    }

    /// How many units each pending operation has, in order: what [`Keep::Units`] and [`Keep::Operations`] number.
    #[must_use]
    pub fn pending_units(&self) -> Vec<usize> {
        self.with(|machine| machine.state.pending.iter().map(|pending| pending.units()).collect())
    }

    /// Makes everything durable that is pending, as if all had been synced.
    pub fn settle(&self) {
        self.with(|machine| machine.state.settle(|_| true));
    }

    // Order of completions.

    /// Does one operation that waits; false if there is none that may go on.
    pub fn step(&self) -> bool {
        self.with(Machine::step)
    }

    /// Does what waits until nothing does. What is submitted meanwhile by those who are woken comes later.
    pub fn run_until_idle(&self) {
        while self.step() {}
    }

    /// How many operations were submitted and are not done.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.with(|machine| machine.in_flight())
    }

    // Moments.

    /// This moment. Operations in flight are not in it.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.with(|machine| Snapshot(machine.state.clone()))
    }

    /// Goes back (or over) to a moment. Operations in flight are dropped and never complete.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.with(|machine| machine.restore(snapshot.0.clone()));
    }

    /// The same for two disks on which processes see the same paths with the same bytes.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.with(|machine| machine.state.fingerprint())
    }

    /// A hash of every operation since the first time that this was asked: what it was, where, and the bytes of writes.
    pub(crate) fn told(&self) -> u64 {
        self.with(|machine| machine.told.get_or_insert_with(Digest::new).finish())
    }

    /// How many operations were done on this disk, failed ones included.
    #[must_use]
    pub fn performed(&self) -> u64 {
        self.with(|machine| machine.state.performed)
    }

    /// Every operation so far, in the order in which they were done. A line prints as one line of text.
    /// Empty after [`SimDisk::stop_tracing`].
    #[must_use]
    pub fn trace(&self) -> Vec<Arc<TraceLine>> {
        self.with(|machine| machine.state.trace.clone().unwrap_or_default())
    }

    /// Forgets the trace and keeps none from now on, nor do snapshots of this disk: a snapshot has the whole trace in it,
    /// and a million of them are better without.
    pub fn stop_tracing(&self) {
        self.with(|machine| machine.state.trace = None);
    }

    /// Shows `watcher` every operation that may change something, right before it is done. It is called while the disk
    /// is locked and must not use the disk.
    pub fn watch(&self, watcher: impl FnMut(Moment) + Send + 'static) {
        self.with(|machine| machine.watcher = Some(Watcher(Box::new(watcher))));
    }

    /// From now on notes what is asked about files, names and directories, each question once.
    pub(crate) fn note_questions(&self) {
        self.with(|machine| machine.questions = Some(Questions::default()));
    }

    /// What was asked since [`SimDisk::note_questions`], in order.
    pub(crate) fn take_questions(&self) -> Vec<Question> {
        self.with(|machine| machine.questions.take().map(Questions::into_list).unwrap_or_default())
    }

    /// Lends `f` somebody who says, as a hash, what the disk would answer.
    pub(crate) fn answers<R>(&self, f: impl FnOnce(&dyn Fn(&Question) -> u64) -> R) -> R {
        self.with(|machine| f(&|question| machine.state.answer(question)))
    }

    /// Drops the watcher.
    pub fn unwatch(&self) {
        let watcher = self.with(|machine| machine.watcher.take());
        drop(watcher);
    }

    // Habits.

    /// From now on power cuts, failed syncs and overwrites are those of this file system.
    pub fn set_personality(&self, personality: Personality) {
        self.with(|machine| machine.state.personality = personality);
    }

    /// Which file system it is like.
    #[must_use]
    pub fn personality(&self) -> Personality {
        self.with(|machine| machine.state.personality)
    }

    /// What an interrupted write does to the rest of its physical block.
    pub fn set_overwrites(&self, overwrites: Overwrites) {
        self.with(|machine| machine.state.overwrites = overwrites);
    }

    /// From now on a lock excludes others on files that were opened under this name only; any other is given to all who
    /// ask. Fair: file systems over a network, and some in containers, have no locks or only some.
    pub fn lock_only(&self, name: &str) {
        self.with(|machine| machine.state.sole_lock = Some(name.into()));
    }

    /// How the delay of a [`Fault::Slow`] passes: the operation begins when the future that `wait` gives is done, for
    /// example `move |delay| clock.sleep_until(clock.monotonic() + delay)` with a clock of the test's own. An operation
    /// whose process dies meanwhile never begins.
    pub fn on_slow(&self, wait: impl Fn(Duration) -> Task + Send + Sync + 'static) {
        self.with(|machine| machine.slow = Some(Arc::new(wait)));
    }

    /// Who is told, in the midst of it, that a planned fault hit an operation, or that it found no space; `told` must not use the disk.
    pub fn on_strike(&self, told: impl Fn() + Send + Sync + 'static) {
        self.with(|machine| machine.strikes = Some(Arc::new(told)));
    }

    /// From now on nobody is told of a strike, and no operation is slow: whoever was told may hold this disk, and would for ever.
    pub(crate) fn let_go(&self) {
        // They go when the disk is free again: what they hold may ask something of it at its end.
        drop(self.with(|machine| (machine.strikes.take(), machine.slow.take())));
    }

    /// The newest operation.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<TraceLine>> {
        self.with(|machine| machine.state.trace.as_ref()?.last().cloned())
    }

    // Space and mount.

    /// Gives the disk so many bytes: a write that does not fit is short or fails with `ENOSPC`, and a new name fails
    /// when nothing is left. Written bytes count, holes do not; removing a file that nobody has open frees its space.
    pub fn limit_space(&self, bytes: u64) {
        self.with(|machine| machine.state.capacity = Some(bytes));
    }

    /// Takes the limit of space away.
    pub fn unlimit_space(&self) {
        self.with(|machine| machine.state.capacity = None);
    }

    /// The bytes that are left; `None` without a limit.
    #[must_use]
    pub fn free_space(&self) -> Option<u64> {
        self.with(|machine| machine.state.free())
    }

    /// From now on every change fails with `EROFS`.
    pub fn make_read_only(&self) {
        self.with(|machine| machine.state.mount = Mount::ReadOnly);
    }

    /// Takes `make_read_only` back.
    pub fn make_writable(&self) {
        self.with(|machine| machine.state.mount = Mount::Writable);
    }

    // An outside hand.

    /// The bytes of a file as processes see them.
    ///
    /// # Errors
    /// If no file is there.
    pub fn read_file(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        self.with(|machine| machine.state.read_file(path.as_ref()))
    }

    /// The names of the files in a directory, sorted.
    ///
    /// # Errors
    /// If no directory is there.
    pub fn file_names(&self, path: impl AsRef<Path>) -> io::Result<Vec<String>> {
        self.with(|machine| machine.state.file_names(path.as_ref()))
    }

    /// Puts a file there, durable at once, with the directories above it.
    ///
    /// # Errors
    /// If a directory is there, or no space is left for the name.
    pub fn write_file(&self, path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
        self.with(|machine| machine.state.write_file(path.as_ref(), bytes))
    }

    /// Flips a bit (0 to 7) of the byte at `offset`, in the page cache and on the platter; nothing beyond the end. A
    /// pending write of that sector may undo it.
    ///
    /// # Errors
    /// If no file is there.
    pub fn flip_bit(&self, path: impl AsRef<Path>, offset: u64, bit: u8) -> io::Result<()> {
        self.with(|machine| machine.state.flip_bit(path.as_ref(), offset, bit))
    }

    /// Cuts or extends a file, durable at once.
    ///
    /// # Errors
    /// If no file is there.
    pub fn truncate_file(&self, path: impl AsRef<Path>, len: u64) -> io::Result<()> {
        self.with(|machine| machine.state.truncate_file(path.as_ref(), len))
    }

    /// Removes a file's name, durable at once; who has the file open keeps it.
    ///
    /// # Errors
    /// If no file is there.
    pub fn remove_file(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.with(|machine| machine.state.remove_file(path.as_ref()))
    }

    /// Renames a file, replacing, durable at once.
    ///
    /// # Errors
    /// If no file is there, or no directory to put it in.
    pub fn rename_file(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.with(|machine| machine.state.rename_file(from.as_ref(), to.as_ref()))
    }

    /// Copies a directory with all below it, as processes see it, to a path where nothing is, durable at once.
    ///
    /// # Errors
    /// If no directory is at `from`, or something is at `to`.
    pub fn copy_dir(&self, from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
        self.with(|machine| machine.state.copy_dir(from.as_ref(), to.as_ref()))
    }
}

impl Disk for SimDisk {
    fn open_dir(&self, path: PathBuf, create: bool) -> Submitted<Dir> {
        self.own().open_dir(path, create)
    }

    fn list(&self, dir: Dir) -> Submitted<Vec<String>> {
        self.own().list(dir)
    }

    fn open(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.own().open(dir, name)
    }

    fn open_or_create(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.own().open_or_create(dir, name)
    }

    fn create(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.own().create(dir, name)
    }

    fn read(&self, file: File, offset: u64, len: usize) -> Submitted<Vec<u8>> {
        self.own().read(file, offset, len)
    }

    fn write(&self, file: File, offset: u64, bytes: Vec<u8>) -> Submitted<usize> {
        self.own().write(file, offset, bytes)
    }

    fn set_len(&self, file: File, len: u64) -> Submitted<()> {
        self.own().set_len(file, len)
    }

    fn len(&self, file: File) -> Submitted<u64> {
        self.own().len(file)
    }

    fn sync_data(&self, file: File) -> Submitted<()> {
        self.own().sync_data(file)
    }

    fn sync_dir(&self, dir: Dir) -> Submitted<()> {
        self.own().sync_dir(dir)
    }

    fn link(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        self.own().link(dir, from, to)
    }

    fn rename(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        self.own().rename(dir, from, to)
    }

    fn remove(&self, dir: Dir, name: &str) -> Submitted<()> {
        self.own().remove(dir, name)
    }

    fn try_lock(&self, file: File) -> Submitted<bool> {
        self.own().try_lock(file)
    }

    fn close(&self, file: File) -> Submitted<()> {
        self.own().close(file)
    }

    fn close_dir(&self, dir: Dir) -> Submitted<()> {
        self.own().close_dir(dir)
    }

    fn identity_of(&self, path: &Path) -> Submitted<Identity> {
        self.own().identity_of(path)
    }

    fn identity(&self, file: File) -> Submitted<Identity> {
        self.own().identity(file)
    }
}
