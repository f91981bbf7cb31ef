//! Replays what a test recorded, each time in a fresh thread: the order of hash maps and the threads' generators are others there, and
//! the real clock shows another time. It executes nothing.

use durable::replay::{NotReplayed, Replay, Residence};

use super::stage::Journals;

/// How often a test replays what it recorded.
pub(super) const REPLAYS: usize = 16;

/// Replays all journals so many times; an error says what differed.
pub(super) fn replay(journals: &[Journals], times: usize, residence: Residence) -> Result<(), String> {
    for nth in 1..=times {
        for build in journals {
            in_a_fresh_thread(build, residence).map_err(|error| told(&error, nth, times))?;
        }
    }
    Ok(())
}

fn in_a_fresh_thread(Journals { registry, journals }: &Journals, residence: Residence) -> Result<(), NotReplayed> {
    let replay = || {
        let replay = Replay::of(registry.clone()).residence(residence);
        journals.iter().try_for_each(|(_, journal)| replay.journal(journal).map(drop))
    };
    let replayed = std::thread::scope(|scope| scope.spawn(replay).join());
    replayed.expect("because a replay catches the panics of what it replays")
}

fn told(error: &NotReplayed, nth: usize, times: usize) -> String {
    format!(
        "what was recorded does not replay: in replay {nth} of {times}, each in a fresh thread, the same code did something else than \
         when it was recorded. Something in it comes from outside the journal: the order of a `HashMap`, a clock, randomness, a static, \
         what a helper selects at random (docs/determinism.md).\n{error}"
    )
}
