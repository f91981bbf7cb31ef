//! The real disk, with an end: the process kills itself at an operation that was chosen, before it, after it, or in the middle of a
//! write. Writes and syncs may come late, so that whoever does not wait for them is found out. It never changes what an operation
//! does.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use durable::store::disk::{Dir, Disk, File, Identity, Scratch, Submitted};
use durable::store::real::RealDisk;
use futures::FutureExt;
use rustix::process::{Signal, getpid, kill_process};

/// At which operation, counted from 1, the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fatal {
    /// Before the n-th operation.
    Before(u64),
    /// After the n-th operation, before anybody hears of it.
    After(u64),
    /// When half of the bytes of the n-th write are written.
    Half(u64),
}

/// How many operations there were.
#[derive(Debug, Default)]
pub(crate) struct Count {
    all: AtomicU64,
    writes: AtomicU64,
}

impl Count {
    pub(crate) fn all(&self) -> u64 {
        self.all.load(Ordering::Relaxed)
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
}

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct MortalDisk {
    inner: RealDisk,
    count: Arc<Count>,
    fatal: Option<Fatal>,
    /// How late writes and syncs are.
    late: Duration,
}

impl MortalDisk {
    pub(crate) fn new(fatal: Option<Fatal>, late: Duration) -> (MortalDisk, Arc<Count>) {
        let count = Arc::<Count>::default();
        (MortalDisk { inner: RealDisk::new(), count: Arc::clone(&count), fatal, late }, count)
    }

    fn come_late(&self) {
        if !self.late.is_zero() {
            std::thread::sleep(self.late);
        }
    }

    /// Counts an operation and does it. The real disk does it in the call that submits it.
    fn operation<T>(&self, submit: impl FnOnce(&RealDisk) -> Submitted<T>) -> Submitted<T> {
        let number = self.count.all.fetch_add(1, Ordering::Relaxed) + 1;
        if self.fatal == Some(Fatal::Before(number)) {
            die();
        }
        let submitted = submit(&self.inner);
        if self.fatal == Some(Fatal::After(number)) {
            die();
        }
        submitted
    }

    fn half(&self, file: File, offset: u64, bytes: &[u8]) {
        let number = self.count.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if self.fatal == Some(Fatal::Half(number)) {
            let half = bytes.get(..bytes.len() / 2).unwrap_or_default().to_vec();
            let _done_or_not = self.inner.write(file, offset, half).now_or_never();
            die();
        }
    }
}

/// Ends the process as `kill -9` does.
fn die() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

macro_rules! through {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Disk for MortalDisk {
            $(fn $name(&self, $($argument: $type),*) -> Submitted<$answer> {
                self.operation(|disk| disk.$name($($argument),*))
            })*

            fn write(&self, file: File, offset: u64, bytes: Vec<u8>) -> Submitted<usize> {
                self.come_late();
                self.half(file, offset, &bytes);
                self.operation(|disk| disk.write(file, offset, bytes))
            }

            fn scratch(&self, dir: Dir) -> io::Result<Box<dyn Scratch>> {
                self.inner.scratch(dir)
            }

            fn sync_data(&self, file: File) -> Submitted<()> {
                self.come_late();
                self.operation(|disk| disk.sync_data(file))
            }
        }
    };
}

through! {
    open_dir(path: PathBuf, create: bool) -> Dir;
    list(dir: Dir) -> Vec<String>;
    open(dir: Dir, name: &str) -> File;
    open_or_create(dir: Dir, name: &str) -> File;
    create(dir: Dir, name: &str) -> File;
    read(file: File, offset: u64, len: usize) -> Vec<u8>;
    set_len(file: File, len: u64) -> ();
    len(file: File) -> u64;
    sync_dir(dir: Dir) -> ();
    link(dir: Dir, from: &str, to: &str) -> ();
    rename(dir: Dir, from: &str, to: &str) -> ();
    remove(dir: Dir, name: &str) -> ();
    try_lock(file: File) -> bool;
    close(file: File) -> ();
    close_dir(dir: Dir) -> ();
    identity_of(path: &Path) -> Identity;
    identity(file: File) -> Identity;
}
