//! How a test is repeated: what the environment says, and the line that a failure prints. Nothing else of the kit reads the
//! environment.

use std::fmt;

use super::failure::Failure;

/// The seed of a test, unless told otherwise.
const FIRST: u64 = 1;

const SEED: &str = "DURABLE_SEED";
const SEEDS: &str = "DURABLE_SEEDS";
const CRASH_AT: &str = "DURABLE_CRASH_AT";

/// What repeats a play.
#[derive(Debug, Clone)]
pub(super) struct Repeat {
    seed: u64,
    crash_at: Option<String>,
}

impl Repeat {
    pub(super) fn of_seed(seed: u64) -> Repeat {
        Repeat { seed, crash_at: None }
    }

    pub(super) fn of_crash(seed: u64, at: String) -> Repeat {
        Repeat { seed, crash_at: Some(at) }
    }

    /// The seeds under which a test is played that wants so many: one at least.
    ///
    /// # Errors
    /// When the environment names something else than numbers.
    pub(super) fn seeds(wanted: u64) -> Result<impl Iterator<Item = u64>, Failure> {
        let (from, count) = match (number(SEED)?, number(SEEDS)?) {
            (Some(seed), count) => (seed, count.unwrap_or(1)),
            (None, count) => (FIRST, count.unwrap_or(wanted)),
        };
        Ok((0..count.max(1)).map(move |nth| from.wrapping_add(nth)))
    }

    /// The crash that is to be repeated alone.
    pub(super) fn crash_at() -> Option<String> {
        std::env::var(CRASH_AT).ok()
    }

    pub(super) fn variables(&self) -> String {
        let crash_at = self.crash_at.iter().map(|at| format!(" {CRASH_AT}={at}")).collect::<String>();
        format!("{SEED}={}{crash_at}", self.seed)
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The harness names a test's thread by the test, except where it runs all of them on one.
        let thread = std::thread::current();
        let test = thread.name().filter(|name| *name != "main").unwrap_or("<this test>");
        write!(f, "{} cargo test {test}", self.variables())
    }
}

fn number(variable: &str) -> Result<Option<u64>, Failure> {
    let Some(text) = std::env::var_os(variable) else { return Ok(None) };
    let number = text.to_str().and_then(|text| text.parse().ok());
    let wrong = || Failure::of_environment(format!("{variable} is {text:?}, and is to be a number"));
    number.map(Some).ok_or_else(wrong)
}
