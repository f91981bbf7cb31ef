//! A process on a simulated machine: its open files, its locks, what is planned to go wrong for it. It sees the page
//! cache and nothing else.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, pending, poll_fn, ready};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use durable::store::disk::{Dir, Disk, File, Identity, Submitted};

use super::SimDisk;
use super::fault::{Fault, When};
use super::inode::Ino;
use super::machine::{Submission, poll_ticket};
use super::op::{Answer, Op, OpKind, Request, Unfinished};
use super::state::OpenFile;

/// The number of a process on its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(pub u32);

impl ProcessId {
    /// The process that a `SimDisk` itself is; it begins anew after a power cut.
    pub(super) const OWN: ProcessId = ProcessId(0);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Stopped,
    Dead,
}

/// What the machine knows of a process.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) status: Status,
    pub(super) files: BTreeMap<u64, OpenFile>,
    pub(super) dirs: BTreeMap<u64, Ino>,
    pub(super) crash: Option<(u64, Unfinished)>,
    pub(super) faults: Vec<(When, Fault)>,
    /// How many files and directories it may have open.
    pub(super) open_max: Option<usize>,
    /// What it has asked for.
    submitted: Counts,
    pub(super) performed: Counts,
}

/// How many operations, and how many of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    pub(super) all: u64,
    by_kind: [u64; OpKind::COUNT],
}

impl Counts {
    fn new() -> Counts {
        Counts { all: 0, by_kind: [0; OpKind::COUNT] }
    }

    fn of(&self, kind: OpKind) -> u64 {
        self.by_kind[kind as usize]
    }

    /// Counts an operation; gives its number among all and among those of its kind.
    fn next(&mut self, kind: OpKind) -> (u64, u64) {
        self.all += 1;
        let of_kind = &mut self.by_kind[kind as usize];
        *of_kind += 1;
        (self.all, *of_kind)
    }
}

impl Process {
    pub(super) fn new() -> Self {
        Self {
            status: Status::Running,
            files: BTreeMap::new(),
            dirs: BTreeMap::new(),
            crash: None,
            faults: Vec::new(),
            open_max: None,
            submitted: Counts::new(),
            performed: Counts::new(),
        }
    }

    pub(super) fn dead() -> Self {
        Self { status: Status::Dead, ..Self::new() }
    }

    /// Counts an operation that is done now; gives its number among all and among those of its kind.
    pub(super) fn count(&mut self, kind: OpKind) -> (u64, u64) {
        self.performed.next(kind)
    }

    /// The fault that hits this operation, if it is not only slow.
    pub(super) fn fault(&self, kind: OpKind, number: u64, of_kind: u64) -> Option<Fault> {
        let mut hits = self.faults.iter().filter(|(when, _)| when.hits(kind, number, of_kind));
        hits.find(|(_, fault)| !matches!(fault, Fault::Slow(_))).map(|(_, fault)| fault.clone())
    }

    /// Counts an operation that it asks for; gives how long that will take to begin.
    pub(super) fn delay(&mut self, kind: OpKind) -> Option<Duration> {
        let (number, of_kind) = self.submitted.next(kind);
        let mut hits = self.faults.iter().filter(|(when, _)| when.hits(kind, number, of_kind));
        hits.find_map(|(_, fault)| if let Fault::Slow(delay) = fault { Some(*delay) } else { None })
    }

    /// Whether it may open one more.
    pub(super) fn has_room(&self) -> bool {
        self.open_max.is_none_or(|most| self.files.len() + self.dirs.len() < most)
    }
}

/// A process on a simulated machine, as the `Disk` that it sees. Clones are the same process.
#[derive(Clone)]
pub struct SimProcess {
    disk: SimDisk,
    id: ProcessId,
}

impl fmt::Debug for SimProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimProcess({})", self.id.0)
    }
}

impl SimProcess {
    pub(super) fn new(disk: SimDisk, id: ProcessId) -> Self {
        Self { disk, id }
    }

    /// Its number, as it stands in the trace.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The machine's disk.
    #[must_use]
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn change<R>(&self, f: impl FnOnce(&mut Process) -> R) -> R {
        self.disk.with(|machine| f(machine.process(self.id)))
    }

    /// Plans its death: `after` operations are done and answered (counted since the process began), the next one ends
    /// as `unfinished` says and is never answered, nor is any other. With `NotDone` the death comes at once after the
    /// last operation.
    pub fn crash_after(&self, after: u64, unfinished: Unfinished) {
        let already = self.change(|process| {
            process.crash = Some((after, unfinished));
            process.performed.all >= after && unfinished == Unfinished::NotDone
        });
        if already {
            self.crash(Unfinished::NotDone);
        }
    }

    /// Kills it now: files closed, locks freed, page cache untouched. What it has in flight ends as `in_flight` says.
    pub fn crash(&self, in_flight: Unfinished) {
        self.disk.with(|machine| machine.crash(self.id, in_flight));
    }

    /// Stops it as SIGSTOP does: it keeps its files and locks, and what it submits waits until `resume`.
    pub fn stop(&self) {
        self.change(|process| {
            if process.status == Status::Running {
                process.status = Status::Stopped;
            }
        });
    }

    /// Lets it go on after `stop`.
    pub fn resume(&self) {
        self.disk.with(|machine| machine.resume(self.id));
    }

    /// Lets it have so many files and directories open at most: one more fails with `EMFILE`.
    pub fn limit_open(&self, most: usize) {
        self.change(|process| process.open_max = Some(most));
    }

    /// Plans a fault. Of several that hit an operation, the one planned first counts.
    pub fn fail(&self, when: When, fault: Fault) {
        self.change(|process| process.faults.push((when, fault)));
    }

    /// Takes all planned faults back.
    pub fn heal(&self) {
        self.change(|process| process.faults.clear());
    }

    /// Whether it has died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.change(|process| process.status == Status::Dead)
    }

    /// Completes when it has died.
    pub fn death(&self) -> impl Future<Output = ()> + Send + use<> {
        let this = self.clone();
        poll_fn(move |context| this.disk.with(|machine| machine.poll_death(this.id, context)))
    }

    /// How many of its operations were submitted and are not done.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.disk.with(|machine| machine.in_flight_of(self.id))
    }

    /// How many operations it has done, failed ones included.
    #[must_use]
    pub fn performed(&self) -> u64 {
        self.change(|process| process.performed.all)
    }

    /// How many operations of a kind it has done, failed ones included.
    #[must_use]
    pub fn performed_of(&self, kind: OpKind) -> u64 {
        self.change(|process| process.performed.of(kind))
    }

    fn submit<T: Send + 'static>(&self, op: Op, bytes: Vec<u8>, read: fn(Answer) -> Option<T>) -> Submitted<T> {
        let request = Request { op, bytes };
        let (submission, later) = self.disk.with(|machine| match machine.delay(self.id, request.op.kind()) {
            None => (machine.submit(self.id, request), None),
            Some(wait) => (Submission::Never, Some((wait, request))),
        });
        let Some((wait, request)) = later else { return answered(submission, read) };
        let this = self.clone();
        Box::pin(async move {
            wait.await;
            answered(this.disk.with(|machine| machine.submit(this.id, request)), read).await
        })
    }

    fn do_op(&self, op: Op) -> Submitted<()> {
        self.submit(op, Vec::new(), |answer| matches!(answer, Answer::Nothing).then_some(()))
    }

    fn open_by(&self, op: Op) -> Submitted<File> {
        self.submit(op, Vec::new(), |answer| if let Answer::File(file) = answer { Some(file) } else { None })
    }

    fn identify(&self, op: Op) -> Submitted<Identity> {
        self.submit(
            op,
            Vec::new(),
            |answer| if let Answer::Identity(identity) = answer { Some(identity) } else { None },
        )
    }
}

/// What the submitter waits for.
fn answered<T: Send + 'static>(submission: Submission, read: fn(Answer) -> Option<T>) -> Submitted<T> {
    let read = move |answer: io::Result<Answer>| {
        answer.map(|answer| read(answer).expect("because each operation has one kind of answer"))
    };
    match submission {
        Submission::Done(answer) => Box::pin(ready(read(answer))),
        Submission::Never => Box::pin(pending()),
        Submission::Waiting(ticket) => Box::pin(poll_fn(move |context| poll_ticket(&ticket, context).map(read))),
    }
}

impl Disk for SimProcess {
    fn open_dir(&self, path: PathBuf, create: bool) -> Submitted<Dir> {
        let op = if create { Op::MakeDir { path } } else { Op::OpenDir { path } };
        self.submit(op, Vec::new(), |answer| if let Answer::Dir(dir) = answer { Some(dir) } else { None })
    }

    fn list(&self, dir: Dir) -> Submitted<Vec<String>> {
        let read = |answer| if let Answer::Names(names) = answer { Some(names) } else { None };
        self.submit(Op::List { dir }, Vec::new(), read)
    }

    fn open(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.open_by(Op::Open { dir, name: name.to_owned() })
    }

    fn open_or_create(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.open_by(Op::OpenOrCreate { dir, name: name.to_owned() })
    }

    fn create(&self, dir: Dir, name: &str) -> Submitted<File> {
        self.open_by(Op::Create { dir, name: name.to_owned() })
    }

    fn read(&self, file: File, offset: u64, len: usize) -> Submitted<Vec<u8>> {
        let read = |answer| if let Answer::Bytes(bytes) = answer { Some(bytes) } else { None };
        self.submit(Op::Read { file, offset, len }, Vec::new(), read)
    }

    fn write(&self, file: File, offset: u64, bytes: Vec<u8>) -> Submitted<usize> {
        let read = |answer| if let Answer::Written(count) = answer { Some(count) } else { None };
        self.submit(Op::Write { file, offset, len: bytes.len() }, bytes, read)
    }

    fn set_len(&self, file: File, len: u64) -> Submitted<()> {
        self.do_op(Op::SetLen { file, len })
    }

    fn len(&self, file: File) -> Submitted<u64> {
        let read = |answer| if let Answer::Len(len) = answer { Some(len) } else { None };
        self.submit(Op::Len { file }, Vec::new(), read)
    }

    fn sync_data(&self, file: File) -> Submitted<()> {
        self.do_op(Op::SyncData { file })
    }

    fn sync_dir(&self, dir: Dir) -> Submitted<()> {
        self.do_op(Op::SyncDir { dir })
    }

    fn link(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        self.do_op(Op::Link { dir, from: from.to_owned(), to: to.to_owned() })
    }

    fn rename(&self, dir: Dir, from: &str, to: &str) -> Submitted<()> {
        self.do_op(Op::Rename { dir, from: from.to_owned(), to: to.to_owned() })
    }

    fn remove(&self, dir: Dir, name: &str) -> Submitted<()> {
        self.do_op(Op::Remove { dir, name: name.to_owned() })
    }

    fn try_lock(&self, file: File) -> Submitted<bool> {
        let read = |answer| if let Answer::Locked(locked) = answer { Some(locked) } else { None };
        self.submit(Op::TryLock { file }, Vec::new(), read)
    }

    fn close(&self, file: File) -> Submitted<()> {
        self.do_op(Op::Close { file })
    }

    fn close_dir(&self, dir: Dir) -> Submitted<()> {
        self.do_op(Op::CloseDir { dir })
    }

    fn identity_of(&self, path: &Path) -> Submitted<Identity> {
        self.identify(Op::IdentityOf { path: path.to_owned() })
    }

    fn identity(&self, file: File) -> Submitted<Identity> {
        self.identify(Op::Identity { file })
    }
}
