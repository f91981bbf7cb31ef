//! Planted bugs: the test of the tests. Each is a few lines in the engine that do one thing wrong, as a careless programmer would
//! have written it, and that do so only when its number is chosen while the program runs. The whole module is there only in a
//! build with `--cfg planted`, which no feature and no default build sets. It never decides anything for the engine.

mod table;

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

pub use table::{ALL, Bug};

/// What the environment may choose a bug by, where the program does not.
pub const VARIABLE: &str = "DURABLE_PLANTED";

/// No bug.
const NONE: u16 = 0;

/// Nobody has chosen yet: the environment says.
const UNCHOSEN: u16 = u16::MAX;

static CHOSEN: AtomicU16 = AtomicU16::new(UNCHOSEN);
static MET: AtomicU64 = AtomicU64::new(0);

impl Bug {
    /// The bug of this number; none if there is none.
    #[must_use]
    pub fn numbered(number: u16) -> Option<Bug> {
        ALL.iter().copied().find(|bug| bug.number == number)
    }
}

/// Chooses the bug that this process has from now on, or none.
pub fn choose(bug: Option<Bug>) {
    CHOSEN.store(bug.map_or(NONE, |bug| bug.number), Ordering::Relaxed);
    MET.store(0, Ordering::Relaxed);
}

/// The bug that this process has.
///
/// # Panics
/// If nothing was chosen, and the environment's choice is no bug's number.
#[must_use]
pub fn chosen() -> Option<Bug> {
    Bug::numbered(number())
}

/// How often the chosen bug's place was come by since it was chosen. One that was never come by says nothing about the tests.
#[must_use]
pub fn met() -> u64 {
    MET.load(Ordering::Relaxed)
}

/// Whether the bug of this number was chosen.
pub(crate) fn is(bug: u16) -> bool {
    let is = number() == bug;
    if is {
        MET.fetch_add(1, Ordering::Relaxed);
    }
    is
}

fn number() -> u16 {
    match CHOSEN.load(Ordering::Relaxed) {
        UNCHOSEN => {
            let number = by_environment();
            CHOSEN.store(number, Ordering::Relaxed);
            number
        }
        number => number,
    }
}

fn by_environment() -> u16 {
    let Ok(text) = std::env::var(VARIABLE) else { return NONE };
    let bug = text.parse().ok().and_then(Bug::numbered);
    match bug {
        Some(bug) => bug.number,
        None => panic!("{VARIABLE} is {text:?}: give a number from 1 to {}", ALL.len()),
    }
}
