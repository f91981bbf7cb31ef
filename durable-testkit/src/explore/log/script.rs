//! A scenario as data: what is done to one store, one process after the other, on one disk. A seed gives one; a shrunk one
//! is printed as it stands here.

use std::fmt;

use durable::store::log::SegmentSizes;

use crate::disk::{AfterFailedSync, Personality, errno};
use crate::rng::Rng;

/// One thing that is done. What needs an open log opens it first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// So many groups with payloads of so many bytes are appended together.
    Append { groups: u8, bytes: u16 },
    /// An empty frame, if there is a reason for one.
    Idle,
    /// A checkpoint.
    Checkpoint,
    /// A checkpoint, and a group in the frame of its last part.
    CheckpointAnd { bytes: u16 },
    /// The log is closed.
    Close,
    /// The log is stopped.
    Stop,
    /// The process dies.
    Kill,
    /// The power goes; the seed says what survives.
    Cut(u64),
    /// The n-th sync of a file from now on fails.
    FailSync { nth: u8, leaves: AfterFailedSync },
    /// The n-th write from now on fails.
    FailWrite { nth: u8, errno: i32 },
    /// The n-th write from now on is short.
    ShortWrite { nth: u8, bytes: u8 },
    /// The n-th operation from now on fails.
    FailAny { nth: u8, errno: i32 },
    /// The disk has so many bytes left.
    Full { bytes: u16 },
    /// There is space again.
    Free,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Append { groups, bytes } => write!(f, "append {groups} groups of about {bytes} bytes"),
            Act::Idle => f.write_str("idle"),
            Act::Checkpoint => f.write_str("checkpoint"),
            Act::CheckpointAnd { bytes } => write!(f, "checkpoint, and a group of about {bytes} bytes with it"),
            Act::Close => f.write_str("close"),
            Act::Stop => f.write_str("stop"),
            Act::Kill => f.write_str("kill the process"),
            Act::Cut(seed) => write!(f, "cut the power (what survives: seed {seed})"),
            Act::FailSync { nth, leaves } => write!(f, "sync {nth} from now fails, leaving the {leaves:?}"),
            Act::FailWrite { nth, errno } => write!(f, "write {nth} from now fails with {errno}"),
            Act::ShortWrite { nth, bytes } => write!(f, "write {nth} from now writes {bytes} bytes"),
            Act::FailAny { nth, errno } => write!(f, "operation {nth} from now fails with {errno}"),
            Act::Full { bytes } => write!(f, "the disk has {bytes} bytes left"),
            Act::Free => f.write_str("there is space again"),
        }
    }
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) seed: u64,
    pub(super) personality: Personality,
    pub(super) sizes: SegmentSizes,
    pub(super) acts: Vec<Act>,
    /// So many of the acts only lead up to the others: nothing is crashed in them.
    pub(super) prelude: usize,
}

/// Segments of one block of frames.
pub(super) const SMALL: SegmentSizes = SegmentSizes { bytes_min: 8192, bytes_max: 8192 };

/// Which classes of acts a seed has on.
#[derive(Debug, Clone, Copy)]
struct Swarm {
    is_large: bool,
    fails: bool,
    space: bool,
    ends: bool,
    checkpoints: bool,
}

impl Swarm {
    fn draw(rng: &mut Rng) -> Swarm {
        let mut on = |percent| rng.percent(percent);
        Swarm { is_large: on(25), fails: on(35), space: on(12), ends: on(60), checkpoints: on(40) }
    }
}

impl Script {
    /// The scenario of a seed.
    pub(super) fn random(seed: u64) -> Script {
        let mut rng = Rng::new(seed);
        let personality = if rng.percent(60) { Personality::Hostile } else { Personality::ALL[rng.index(4)] };
        let largest = if rng.percent(30) { 16384 } else { 8192 };
        let sizes = SegmentSizes { bytes_min: 8192, bytes_max: largest };
        let swarm = Swarm::draw(&mut rng);
        // Most begin with some groups one after the other, some with anything.
        let first = if rng.percent(60) { 5 } else { 0 };
        let mut acts: Vec<Act> = (0..first).map(|_| append(&mut rng, swarm)).collect();
        let more = if first > 0 { 2 + rng.index(5) } else { 6 + rng.index(7) };
        acts.extend((0..more).map(|_| act(&mut rng, swarm)));
        Script { seed, personality, sizes, acts, prelude: 0 }
    }

    /// The same with a few more groups at the end, for which there is space.
    pub(super) fn longer(mut self) -> Script {
        self.acts.push(Act::Free);
        self.acts.extend([Act::Append { groups: 1, bytes: 700 }; 2]);
        self
    }

    /// The same behind a few groups in a segment of their own.
    pub(super) fn behind_a_segment(mut self) -> Script {
        let prelude = [[Act::Append { groups: 1, bytes: 60 }; 8].as_slice(), &[Act::Kill]].concat();
        self.prelude = prelude.len();
        self.acts.splice(0..0, prelude);
        self
    }

    /// The same without an act.
    pub(super) fn without(&self, act: usize) -> Script {
        let mut script = self.clone();
        script.acts.remove(act);
        script.prelude -= usize::from(act < script.prelude);
        script
    }
}

fn act(rng: &mut Rng, swarm: Swarm) -> Act {
    let nth = u8::try_from(1 + rng.index(4)).expect("because it is below 5");
    match rng.index(20) {
        0 | 1 if swarm.ends => [Act::Close, Act::Stop, Act::Kill, Act::Kill][rng.index(4)],
        2 if swarm.ends => Act::Cut(rng.next_u64() >> 32),
        3 if swarm.checkpoints => Act::Checkpoint,
        11 | 12 if swarm.checkpoints => Act::CheckpointAnd { bytes: 60 },
        4 => Act::Idle,
        5 if swarm.fails => Act::FailSync { nth, leaves: drawn_leaves(rng) },
        6 if swarm.fails => Act::FailWrite { nth, errno: [errno::EIO, errno::ENOSPC][rng.index(2)] },
        7 if swarm.fails => Act::ShortWrite { nth, bytes: [1, 7, 48, 49, 200][rng.index(5)] },
        8 if swarm.fails => {
            let nth = u8::try_from(1 + rng.index(60)).expect("because it is below 61");
            Act::FailAny { nth, errno: [errno::EIO, errno::ENOSPC, errno::EMFILE][rng.index(3)] }
        }
        9 if swarm.space => Act::Full { bytes: [0, 1000, 5000, 9000][rng.index(4)] },
        10 if swarm.space => Act::Free,
        _ => append(rng, swarm),
    }
}

fn append(rng: &mut Rng, swarm: Swarm) -> Act {
    let groups = [1, 1, 1, 2, 3][rng.index(5)];
    let sizes = if swarm.is_large { [300, 700, 1500, 3000] } else { [8, 60, 300, 500] };
    Act::Append { groups, bytes: sizes[rng.index(4)] }
}

fn drawn_leaves(rng: &mut Rng) -> AfterFailedSync {
    if rng.percent(50) { AfterFailedSync::NewContent } else { AfterFailedSync::OldContent }
}
