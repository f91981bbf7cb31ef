//! A case: programs, what the outside world does to them, and what goes wrong, as data. A case plays the same every time; what is
//! taken out of it leaves the rest as it was.

use serde::{Deserialize, Serialize};

use super::program::{Build, Program};
use crate::disk::{AfterFailedSync, OpKind, Personality, Unfinished};

/// Everything that one play is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Says the order of everything that is not said here.
    pub seed: u64,
    /// How the runtime and the machine are set up.
    pub conduct: Conduct,
    /// The runs, by number: program `n` is run under the id `run-n`.
    pub programs: Vec<Root>,
    /// Who asks something of them. Each does one thing after the other.
    pub clients: Vec<Vec<Planned>>,
    /// Processes: each slot holds one after the other, all slots at once.
    pub slots: Vec<Vec<Life>>,
    /// What happens to the machine.
    pub blows: Vec<Blow>,
}

/// A run from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Root {
    /// What it does.
    pub program: Program,
    /// How long it may take.
    pub limit_ms: Option<u32>,
}

/// How the runtime and the machine are set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conduct {
    /// Whether runs are put away at every await.
    pub puts_away: bool,
    /// How large the parts of the log are.
    pub room: Room,
    /// How many attempts may run at once.
    pub attempts: u16,
    /// Whether the runs have several drivers, and then what says how many each process has.
    #[serde(default)]
    pub drivers: Option<u8>,
    /// How often, in percent, the disk lets time pass, and for how long at most.
    pub lag: (u8, u32),
    /// Whether the disk's locks hold for a file of the lock's name alone.
    #[serde(default)]
    pub sole_lock: bool,
    /// Which file system the disk is like.
    #[serde(default)]
    pub file_system: Personality,
}

impl Conduct {
    /// How many drivers the process of this number has, from 1 to 3: another number than the one before it.
    #[must_use]
    pub fn drivers_of(&self, process: u32) -> usize {
        self.drivers.map_or(1, |drivers| 1 + (usize::from(drivers) + process as usize) % 3)
    }
}

/// How large the parts of the log are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Room {
    /// A small play fills one segment.
    Large,
    /// Segments roll, and checkpoints are written, all the time.
    Small,
    /// A segment holds a few frames, and a checkpoint is rare.
    Tight,
}

/// What a client does, and when at the earliest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Since the beginning.
    pub at_ms: u32,
    /// What.
    pub deed: Deed,
}

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// Starts a run, or attaches to it.
    Start(u8),
    /// Sends a signal, by a message id if that is said.
    Signal(u8, u8, bool),
    /// Cancels a run.
    Cancel(u8),
    /// Terminates one.
    Terminate(u8),
    /// Asks what it does.
    Describe(u8),
    /// Asks what all do.
    List,
}

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Life {
    /// When it begins, at the earliest, after the one before.
    pub after_ms: u32,
    /// Which build it runs.
    pub build: Build,
    /// When it dies, if nothing else kills it.
    pub lasts_ms: u32,
    /// What kills it before.
    pub death: Option<Death>,
    /// What goes wrong on its disk.
    pub faults: Vec<DiskFault>,
    /// When it is stopped, and for how long.
    pub stops: Vec<(u32, u32)>,
}

/// What kills a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// When.
    pub at: Moment,
    /// What is left of what it has in flight.
    pub leaves: Leaves,
    /// Whether the power goes with it, and then what says which of the rest survives.
    pub power: Option<u64>,
}

/// A moment in the life of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Moment {
    /// Right before its poll of this number.
    Poll(u32),
    /// When its disk has done so many operations.
    Operation(u32),
    /// When so many things were acknowledged by it.
    Answer(u32),
    /// When it has said of so many runs that they ended, however often it was asked.
    End(u32),
    /// When so many attempts began in it.
    Attempt(u32),
    /// A clean shutdown after so long, that is not killed.
    ShutDown(u32),
}

/// What is left of an operation in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leaves {
    /// Nothing.
    Nothing,
    /// All.
    All,
    /// A part.
    Part(u64),
}

impl From<Leaves> for Unfinished {
    fn from(leaves: Leaves) -> Unfinished {
        match leaves {
            Leaves::Nothing => Unfinished::NotDone,
            Leaves::All => Unfinished::Done,
            Leaves::Part(seed) => Unfinished::Half(seed),
        }
    }
}

/// What goes wrong on a process's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskFault {
    /// The n-th sync of a file fails; the page cache holds the new content or the old; so much had reached the disk.
    Sync(u32, After, u64),
    /// The n-th operation of a kind fails with this error number.
    Fails(Kind, u32, i32),
    /// So do all of that kind that follow.
    FailsFrom(Kind, u32, i32),
    /// The n-th operation begins so many milliseconds later.
    Slow(u32, u32),
    /// The n-th write writes at most so many bytes.
    Short(u32, u32),
}

/// What the page cache holds after a failed sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// What was written.
    New,
    /// What is on the disk.
    Old,
}

impl From<After> for AfterFailedSync {
    fn from(after: After) -> AfterFailedSync {
        match after {
            After::New => AfterFailedSync::NewContent,
            After::Old => AfterFailedSync::OldContent,
        }
    }
}

/// A kind of operation that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// An open of a file.
    Open,
    /// A new file.
    Create,
    /// A write.
    Write,
    /// A read.
    Read,
    /// A sync of a file's data, which gives up nothing of it: it never began.
    SyncData,
    /// A sync of a directory.
    SyncDir,
    /// A name taken away.
    Remove,
    /// A second name.
    Link,
    /// Another name.
    Rename,
    /// The names in a directory.
    List,
    /// A lock.
    Lock,
    /// Another length.
    SetLen,
    /// The length of a file.
    Len,
}

impl From<Kind> for OpKind {
    fn from(kind: Kind) -> OpKind {
        match kind {
            Kind::Open => OpKind::Open,
            Kind::Create => OpKind::Create,
            Kind::Write => OpKind::Write,
            Kind::Read => OpKind::Read,
            Kind::SyncDir => OpKind::SyncDir,
            Kind::Remove => OpKind::Remove,
            Kind::SyncData => OpKind::SyncData,
            Kind::Link => OpKind::Link,
            Kind::Rename => OpKind::Rename,
            Kind::List => OpKind::List,
            Kind::Lock => OpKind::TryLock,
            Kind::SetLen => OpKind::SetLen,
            Kind::Len => OpKind::Len,
        }
    }
}

/// What happens to the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blow {
    /// Since the beginning.
    pub at_ms: u32,
    /// What.
    pub what: Hit,
}

/// What hits a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hit {
    /// The power goes; the seed says what survives.
    Power(u64),
    /// Somebody removes the lock file.
    Unlock,
    /// The wall clock is set by so many seconds.
    Clock(i32),
    /// The disk has so many bytes left, for so long.
    Full(u32, u32),
}

impl Case {
    /// The id of a run.
    #[must_use]
    pub fn id(program: usize) -> String {
        format!("run-{program}")
    }

    /// Whether every run has to end as it would without any fault: calls are at least once and tried for ever, nothing races, nothing
    /// looks at a clock, and nobody interferes.
    #[must_use]
    pub fn is_tame(&self) -> bool {
        let meddles = |planned: &Planned| matches!(planned.deed, Deed::Cancel(_) | Deed::Terminate(_));
        self.programs.iter().all(|root| root.limit_ms.is_none() && root.program.is_tame())
            && !self.clients.iter().flatten().any(meddles)
    }
}
