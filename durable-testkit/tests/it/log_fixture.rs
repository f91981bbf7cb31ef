//! What the log's tests share: groups whose payloads are numbers, a process that has the log open on a simulated disk, and
//! store directories made frame by frame. No test here waits for anything real.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use durable::codec::format_file;
use durable::codec::frame::{self, Header, Lsn, Place, SegmentNo, StoreId};
use durable::codec::names::Names;
use durable::codec::section;
use durable::codec::segment::{self, SegmentHeader};
use durable::kernel::event::{End, Event, Group, Payload, RunEnded, RunStarted, Section, Sender, Text, Undone};
use durable::kernel::id::{EventNo, Position, RunNo, Timestamp};
use durable::seams::{Entropy, Seams};
use durable::store::disk::{Dir, Disk, File, Identity, Submitted};
use durable::store::log::{
    Log, OpenError, Options, ReadOnly, Recovered, Report, SegmentSizes, StoreError, open, open_read_only,
};
use durable_testkit::{InlineSpawn, ManualClock, SeededEntropy, SimDisk, SimProcess};

pub(crate) const DIR: &str = "/store";
pub(crate) const STORE: StoreId = StoreId(*b"0123456789abcdef");

/// Small segments: a few frames each.
pub(crate) const SIZES: SegmentSizes = SegmentSizes { bytes_min: 8192, bytes_max: 16384 };

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp(micros)
}

pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name)
}

pub(crate) fn segment_path(number: u64) -> PathBuf {
    path(&segment::name(SegmentNo(number)))
}

/// A run starts.
pub(crate) fn start(run: u64) -> Section {
    let id = format!("run-{run}").into();
    let started = RunStarted { id, workflow: "flow".into(), ..RunStarted::default() };
    section_of(run, 0, vec![Event::RunStarted(Box::new(started))])
}

/// Event `no` of a run: a signal whose payload is `number`, padded to `bytes`.
pub(crate) fn signal(run: u64, no: u64, number: u64, bytes: usize) -> Section {
    let mut payload = number.to_le_bytes().to_vec();
    payload.resize(bytes.max(8), 0x5a);
    let event = Event::SignalReceived { name: "n".into(), payload: payload.into(), sender: Sender::Anonymous };
    section_of(run, no, vec![event])
}

/// A run ends, as its event `no`; its result is `number`.
pub(crate) fn end(run: u64, no: u64, number: u64) -> Section {
    let ended = RunEnded {
        how: End::Completed,
        body: End::Completed,
        result: number.to_le_bytes().to_vec().into(),
        undone: Undone::default(),
        actor: "".into(),
        reason: "".into(),
    };
    section_of(run, no, vec![Event::RunEnded(Box::new(ended))]).ending("".into(), format!("run-{run}").into())
}

pub(crate) fn section_of(run: u64, first: u64, events: Vec<Event>) -> Section {
    Section::of(RunNo(run), EventNo(first), at(1_000), events)
}

pub(crate) fn group(sections: impl IntoIterator<Item = Section>) -> Group {
    Group { sections: sections.into_iter().collect() }
}

/// The number in an event that [`signal`] or [`end`] made.
pub(crate) fn number_in(event: &Event) -> Option<u64> {
    let payload: &Payload = match event {
        Event::SignalReceived { payload, .. } => payload,
        Event::RunEnded(ended) => &ended.result,
        _ => return None,
    };
    payload.0.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

pub(crate) fn options(reports: &Arc<Mutex<Vec<Report>>>) -> Options {
    let reports = Arc::clone(reports);
    let mut options = Options::new(DIR, Arc::new(move |report| reports.lock().unwrap().push(report)));
    options.sizes.segments = SIZES;
    options.sizes.reserve_bytes = 8192;
    options
}

/// A process on the simulated machine that opens the log.
pub(crate) struct Process {
    pub(crate) sim: SimProcess,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) spawn: InlineSpawn,
    pub(crate) clock: ManualClock,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Process {
    pub(crate) fn new(disk: &SimDisk) -> Process {
        let sim = disk.process();
        Process::with_disk(sim.clone(), Arc::new(sim))
    }

    /// A process whose operations go through `disk`.
    pub(crate) fn with_disk(sim: SimProcess, disk: Arc<dyn Disk>) -> Process {
        let pid = 100 + sim.id().0;
        let entropy = Arc::new(SeededEntropy::new(u64::from(pid)).with_pid(pid));
        let clock = ManualClock::new(at(1_700_000_000_000_000));
        Process { sim, disk, spawn: InlineSpawn::in_order(), clock, entropy }
    }

    pub(crate) fn seams(&self) -> Seams {
        Seams {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::clone(&self.entropy),
            spawn: Arc::new(self.spawn.clone()),
        }
    }

    /// Runs a future with the tasks beside it; none if it never ends.
    pub(crate) fn run<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        self.spawn.run(future, || false)
    }

    /// Opens the log; none if the process dies in it.
    pub(crate) fn try_open(self) -> Option<Result<Node, OpenError>> {
        let reports = Arc::default();
        self.open_with(options(&reports), reports)
    }

    pub(crate) fn open_with(
        self,
        options: Options,
        reports: Arc<Mutex<Vec<Report>>>,
    ) -> Option<Result<Node, OpenError>> {
        let opened = self.run(open(Arc::clone(&self.disk), self.seams(), options))?;
        Some(opened.map(|(log, writer, recovered)| {
            use durable::seams::Spawn;
            self.spawn.blocking("writer", Box::pin(writer.run()));
            Node { process: self, log, recovered, reports }
        }))
    }

    pub(crate) fn open(self) -> Node {
        self.try_open().expect("it lives").expect("it opens")
    }

    /// Opens the log, in segments that hold many frames and are gone over in stretches of so many bytes.
    pub(crate) fn open_in_stretches_of(self, bytes: usize) -> Result<Node, OpenError> {
        let reports = Arc::default();
        let mut options = options(&reports);
        options.sizes.segments = SegmentSizes { bytes_min: 65_536, bytes_max: 65_536 };
        options.sizes.stretch_bytes = bytes;
        self.open_with(options, reports).expect("it lives")
    }

    pub(crate) fn open_error(self) -> OpenError {
        match self.try_open().expect("it lives") {
            Ok(_) => panic!("it must not open"),
            Err(error) => error,
        }
    }
}

/// A process that has the log open.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) log: Log,
    pub(crate) recovered: Recovered,
    pub(crate) reports: Arc<Mutex<Vec<Report>>>,
}

impl Node {
    pub(crate) fn open(disk: &SimDisk) -> Node {
        Process::new(disk).open()
    }

    /// Opens the log so that it keeps so many bytes of what it reads.
    pub(crate) fn open_keeping(disk: &SimDisk, frame_cache_bytes: usize) -> Node {
        let reports = Arc::default();
        let mut options = options(&reports);
        options.sizes.frame_cache_bytes = frame_cache_bytes;
        Process::new(disk).open_with(options, reports).unwrap().unwrap()
    }

    /// Appends groups, each a batch of its own, and lets the writer run.
    pub(crate) fn write(&self, groups: impl IntoIterator<Item = Group>) {
        for group in groups {
            self.append(&group);
            self.process.spawn.run_until_idle();
        }
    }

    /// Appends a group and lets nothing run.
    pub(crate) fn append(&self, group: &Group) -> Position {
        self.log.append(group, at(1_000)).expect("it takes groups")
    }

    pub(crate) fn run_until_idle(&self) {
        self.process.spawn.run_until_idle();
    }

    /// The newest group that was reported durable.
    pub(crate) fn acknowledged(&self) -> Position {
        let reports = self.reports.lock().unwrap();
        let durable = reports.iter().rev().find_map(|report| match report {
            Report::Durable(position) => Some(*position),
            _ => None,
        });
        durable.unwrap_or_default()
    }

    /// Why the store stands still.
    pub(crate) fn poison(&self) -> Option<StoreError> {
        self.reports.lock().unwrap().iter().find_map(|report| match report {
            Report::Poisoned(cause) => Some(cause.clone()),
            _ => None,
        })
    }

    /// The numbers in a run's journal.
    pub(crate) fn numbers(&self, run: u64) -> Vec<u64> {
        let journal = self.process.run(self.log.load(RunNo(run))).expect("it lives").expect("it loads");
        journal.iter().filter_map(|(_, _, event)| number_in(event)).collect()
    }

    /// What is said when a run's journal is loaded.
    pub(crate) fn loads(&self, run: u64) -> String {
        format!("{:?}", self.process.run(self.log.load(RunNo(run))).expect("it lives"))
    }

    /// The numbers in the journals of all open runs, and of the closed ones of `closed`, sorted.
    pub(crate) fn all_numbers(&self, closed: &[u64]) -> Vec<u64> {
        let open: Vec<_> = self.recovered.tables.open.keys().map(|run| run.0).collect();
        let mut numbers: Vec<_> = open.iter().flat_map(|run| self.numbers(*run)).collect();
        for run in closed.iter().filter(|run| !open.contains(run)) {
            numbers.extend(self.closed_numbers(*run).unwrap_or_default());
        }
        numbers.sort_unstable();
        numbers
    }

    /// The numbers in a closed run's journal; none if no run of that id is closed.
    pub(crate) fn closed_numbers(&self, run: u64) -> Option<Vec<u64>> {
        let (namespace, id): (Text, Text) = ("".into(), format!("run-{run}").into());
        let found = self.process.run(self.log.find_closed(&namespace, &id)).expect("it lives").expect("it looks")?;
        let journal = self.process.run(self.log.load_at(found.place, found.run)).expect("it lives").expect("it loads");
        Some(journal.iter().filter_map(|(_, _, event)| number_in(event)).collect())
    }

    /// Everything between open and now is forgotten, as the death of the process does.
    pub(crate) fn die(&self) {
        self.process.sim.crash(durable_testkit::Unfinished::NotDone);
        self.process.spawn.drop_tasks();
    }

    pub(crate) fn close(self) {
        self.process.run(self.log.close()).expect("it lives").expect("it closes");
    }
}

pub(crate) fn read_only(disk: &SimDisk) -> ReadOnly {
    let process = Process::new(disk);
    process.run(open_read_only(Arc::clone(&process.disk), DIR)).expect("it lives").expect("it opens")
}

/// The segments that are there.
pub(crate) fn segments(disk: &SimDisk) -> Vec<u64> {
    let names = disk.file_names(DIR).unwrap();
    names.iter().filter_map(|name| segment::number(name)).map(|number| number.0).collect()
}

/// A store directory made frame by frame.
pub(crate) struct Image {
    disk: SimDisk,
    files: Vec<(u64, Vec<u8>)>,
}

/// A frame that was put somewhere.
#[derive(Debug, Clone)]
pub(crate) struct Put {
    pub(crate) header: Header,
    pub(crate) crc: u32,
    pub(crate) place: Place,
    pub(crate) body: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    pub(crate) fn new() -> Image {
        let disk = SimDisk::new();
        disk.write_file(path("FORMAT"), format_file::encode(STORE).as_bytes()).unwrap();
        disk.write_file(path("LOCK"), b"").unwrap();
        Image { disk, files: Vec::new() }
    }

    /// A segment with a header and no frame begins.
    pub(crate) fn segment(&mut self, number: u64) -> &mut Image {
        let header = SegmentHeader {
            format: 0,
            revision: 1,
            store: STORE,
            segment: SegmentNo(number),
            pid: 77,
            boot_id: [0; 16],
            opened_at: at(5_000_000),
            host: "elsewhere".into(),
            build: "b".into(),
        };
        self.files.push((number, header.encode()));
        self
    }

    fn end(&mut self) -> (Place, &mut Vec<u8>) {
        let (number, bytes) = self.files.last_mut().expect("a segment began");
        (Place { segment: SegmentNo(*number), offset: bytes.len() as u64 }, bytes)
    }

    /// Puts a frame at the end of the newest segment.
    pub(crate) fn frame(&mut self, lsn: u64, base: u64, chain: u32, sections: &[(Section, Option<Place>)]) -> Put {
        let mut body = Vec::new();
        for (section, prev) in sections {
            section::encode(section, *prev, at(0), &mut Names::new(), &mut body);
        }
        self.put(Header { lsn: Lsn(lsn), base: Lsn(base), at: at(0), chain }, body)
    }

    pub(crate) fn put(&mut self, header: Header, body: Vec<u8>) -> Put {
        let (place, file) = self.end();
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        bytes.extend_from_slice(&body);
        let crc = frame::seal(&mut bytes, header, STORE, place).unwrap();
        file.extend_from_slice(&bytes);
        file.resize(file.len().next_multiple_of(8), 0);
        Put { header, crc, place, body, bytes }
    }

    /// Puts a copy of a frame at the end of the newest segment.
    pub(crate) fn copy(&mut self, of: &Put) -> Put {
        self.put(of.header, of.body.clone())
    }

    /// Puts bytes at the end of the newest segment.
    pub(crate) fn bytes(&mut self, more: &[u8]) -> &mut Image {
        let (_, file) = self.end();
        file.extend_from_slice(more);
        file.resize(file.len().next_multiple_of(8), 0);
        self
    }

    /// The disk that holds it, each segment followed by zeros.
    pub(crate) fn disk(&self) -> SimDisk {
        for (number, bytes) in &self.files {
            let mut bytes = bytes.clone();
            bytes.resize(bytes.len().next_multiple_of(4096) + 4096, 0);
            self.disk.write_file(segment_path(*number), &bytes).unwrap();
        }
        self.disk.clone()
    }
}

/// What is done when an operation of a kind is about to be submitted.
type Trap = Box<dyn FnOnce() + Send>;

/// A disk that springs traps: before the n-th operation of a name, something else happens.
pub(crate) struct Trapped {
    inner: SimProcess,
    traps: Mutex<Vec<(&'static str, u32, Trap)>>,
}

impl fmt::Debug for Trapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Trapped {
    pub(crate) fn process(
        disk: &SimDisk,
        name: &'static str,
        nth: u32,
        trap: impl FnOnce() + Send + 'static,
    ) -> Process {
        let sim = disk.process();
        let traps = Mutex::new(vec![(name, nth, Box::new(trap) as Trap)]);
        Process::with_disk(sim.clone(), Arc::new(Trapped { inner: sim, traps }))
    }

    fn spring(&self, name: &'static str) {
        let mut sprung = Vec::new();
        self.traps.lock().unwrap().retain_mut(|(wanted, left, trap)| {
            if *wanted != name {
                return true;
            }
            *left -= 1;
            if *left == 0 {
                sprung.push(std::mem::replace(trap, Box::new(|| {})));
            }
            *left > 0
        });
        sprung.into_iter().for_each(|trap| trap());
    }
}

macro_rules! through {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        impl Disk for Trapped {
            $(fn $name(&self, $($argument: $type),*) -> Submitted<$answer> {
                self.spring(stringify!($name));
                self.inner.$name($($argument),*)
            })*
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
    write(file: File, offset: u64, bytes: Vec<u8>) -> usize;
    set_len(file: File, len: u64) -> ();
    len(file: File) -> u64;
    sync_data(file: File) -> ();
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

/// The lock file's name leads elsewhere from now on.
pub(crate) fn replace_lock(disk: &SimDisk) -> io::Result<()> {
    disk.remove_file(path("LOCK"))?;
    disk.write_file(path("LOCK"), b"")
}
