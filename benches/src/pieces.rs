//! The pieces of the hot path, each done so many times that it can be counted: by `instructions` under valgrind, and by `guard`. What a
//! piece costs is the difference between two counts of repetitions, so that what comes before the first one is not in it.

use std::sync::Arc;

use crate::codec;
use crate::kernel::{Alone, Asks};
use crate::load::{Kind, Load};
use crate::memory_disk::MemoryDisk;
use crate::{Outcome, load, long, part, quiet, still};

/// So many runs can be reloaded. All of them are recorded, however many are: what that costs is not to be counted.
const RELOADABLE: u32 = 16;

/// A piece of the hot path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// A step in the kernel: attempt begun, reported, delivered, the next one asked for.
    KernelStep,
    /// The two events of a step become bytes.
    Encode,
    /// They are read back.
    Decode,
    /// A step of one run, through the runtime, with a batch of its own, on a disk in memory.
    StepAlone,
    /// The same with 256 runs at once, which share batches.
    StepAmong256,
    /// A run from its start to its end, of five such steps, with 256 at once.
    RunAmong256,
    /// A run of 500 such steps, whose journal of 1,000 events lies together, is read, replayed, and goes on.
    Reload,
}

impl Piece {
    /// All of them.
    pub const ALL: [Piece; 7] = [
        Piece::KernelStep,
        Piece::Encode,
        Piece::Decode,
        Piece::StepAlone,
        Piece::StepAmong256,
        Piece::RunAmong256,
        Piece::Reload,
    ];

    /// As it is printed, and as the bounds name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Piece::KernelStep => "kernel_step",
            Piece::Encode => "encode_step",
            Piece::Decode => "decode_step",
            Piece::StepAlone => "durable_step_alone",
            Piece::StepAmong256 => "durable_step_among_256",
            Piece::RunAmong256 => "durable_run_among_256",
            Piece::Reload => "reload_1000_events",
        }
    }

    /// The piece of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Piece> {
        Piece::ALL.into_iter().find(|piece| piece.name() == name)
    }

    /// The two numbers of repetitions between which it is counted.
    #[must_use]
    pub fn repetitions(self) -> [u32; 2] {
        match self {
            Piece::KernelStep | Piece::Encode | Piece::Decode => [1_000, 11_000],
            Piece::StepAlone => [1_000, 3_000],
            Piece::StepAmong256 => [2_560, 12_800],
            Piece::RunAmong256 => [512, 2_560],
            Piece::Reload => [4, RELOADABLE],
        }
    }

    /// Does it so many times.
    ///
    /// # Errors
    /// When the runtime cannot do it.
    pub fn repeat(self, times: u32) -> Outcome<()> {
        match self {
            Piece::KernelStep => kernel_steps(times),
            Piece::Encode => encode(times),
            Piece::Decode => decode(times),
            Piece::StepAlone => return steps(1, 1, times),
            Piece::StepAmong256 => return steps(1, 256, times / 256),
            Piece::RunAmong256 => return steps(times / 256, 256, 5),
            Piece::Reload => return reload(times),
        }
        Ok(())
    }
}

/// In a process that valgrind watches: does what its arguments say. Gives whether it is such a process.
///
/// # Errors
/// When there is no such piece, or it cannot be done.
pub fn play_part() -> Outcome<bool> {
    let Some((_, args)) = part::played() else { return Ok(false) };
    let [name, times] = args.try_into().map_err(|_| "a piece takes a name and a number")?;
    let piece = Piece::named(&name).ok_or("there is no such piece")?;
    quiet::install();
    piece.repeat(times.parse()?)?;
    Ok(true)
}

fn kernel_steps(times: u32) {
    let mut alone = Alone::new(16, Asks::Activities);
    (0..times).for_each(|_| alone.step());
}

fn encode(times: u32) {
    let (step, mut names, mut bytes) = (codec::step(2), codec::names(), Vec::new());
    for _ in 0..times {
        bytes.clear();
        codec::encode(&step, &mut names, &mut bytes);
        std::hint::black_box(&bytes);
    }
}

fn decode(times: u32) {
    let (mut names, mut bytes) = (codec::names(), Vec::new());
    codec::encode(&codec::step(2), &mut names, &mut bytes);
    for _ in 0..times {
        std::hint::black_box(codec::decode(std::hint::black_box(&bytes), &mut names));
    }
}

fn steps(rounds: u32, runs: usize, steps: u32) -> Outcome<()> {
    let tokio = tokio::runtime::Builder::new_current_thread().build()?;
    tokio.block_on(async {
        let rt = load::register(still::builder()).open().await?;
        for round in 0..rounds {
            Load::new(Kind::Activity, steps, 100).run_many(&rt, &format!("run-{round}"), runs).await?;
        }
        Ok(rt.shutdown().await?)
    })
}

fn reload(times: u32) -> Outcome<()> {
    let tokio = tokio::runtime::Builder::new_current_thread().build()?;
    tokio.block_on(async {
        let disk = Arc::new(MemoryDisk::default());
        let rt = long::register(still::builder_on(&disk)).open().await?;
        for run in 0..RELOADABLE {
            long::record(&rt, format!("run-{run}"), 500, 100).await?;
        }
        rt.shutdown().await?;
        let rt = long::register(still::builder_on(&disk)).open().await?;
        for run in 0..times.min(RELOADABLE) {
            long::answer(&rt.run(long::long, &format!("run-{run}")).await?, 1).await?;
        }
        Ok(rt.shutdown().await?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_known_by_its_name() {
        for piece in Piece::ALL {
            assert_eq!(Piece::named(piece.name()), Some(piece));
        }
        assert_eq!(Piece::named("other"), None);
    }

    #[test]
    fn every_piece_can_be_repeated() {
        for piece in Piece::ALL {
            piece.repeat(512).unwrap_or_else(|error| panic!("{}: {error}", piece.name()));
        }
    }
}
