//! A test that failed, in words: what went wrong, what happened before, what services did, and how to repeat it.

use std::fmt;

use durable::replay::Residence;

use super::outside::Line;
use super::play::Left;
use super::repeat::Repeat;
use super::service::Ledger;

/// So many lines of the story are told, the newest ones.
const STORY_LINES_MAX: usize = 60;

/// Why a test failed. Its text is for the person who has to mend it.
#[derive(Debug, Clone)]
pub struct Failure {
    what: String,
    story: Vec<Line>,
    ledgers: Vec<Ledger>,
    /// None if that would be no better.
    repeat: Option<Repeat>,
}

impl Failure {
    pub(super) fn new(what: String, repeat: Repeat) -> Failure {
        Failure { repeat: Some(repeat), ..Failure::of_environment(what) }
    }

    /// Of what the environment says, whatever is tested.
    pub(super) fn of_environment(what: String) -> Failure {
        Failure { what, story: Vec::new(), ledgers: Vec::new(), repeat: None }
    }

    /// With what is left of the play that failed.
    pub(super) fn with(self, left: &Left) -> Failure {
        Failure { story: left.story.clone(), ledgers: left.ledgers.clone(), ..self }
    }

    /// Of a determinism check, in the play of this number.
    pub(super) fn of_check(self, nth: usize, residence: Residence) -> Failure {
        let runs = if residence == Residence::Stay { "held in memory" } else { "put away at every await" };
        Failure { what: format!("play {} of the check, with runs {runs}: {}", nth + 1, self.what), ..self }
    }

    /// What went wrong, without what happened before.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The environment variables that repeat it; empty if what they say is what is wrong.
    #[must_use]
    pub fn repeat(&self) -> String {
        self.repeat.as_ref().map(Repeat::variables).unwrap_or_default()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { what, story, ledgers, repeat } = self;
        writeln!(f, "{what}")?;
        if !story.is_empty() {
            f.write_str("\nwhat happened, in simulated time:\n")?;
        }
        let cut = story.len().saturating_sub(STORY_LINES_MAX);
        if cut > 0 {
            writeln!(f, "{:>12}  .. {cut} lines before", "")?;
        }
        story.iter().skip(cut).try_for_each(|line| writeln!(f, "{line}"))?;
        ledgers.iter().try_for_each(|ledger| writeln!(f, "\n{ledger}"))?;
        repeat.iter().try_for_each(|repeat| write!(f, "\nto repeat it: {repeat}"))
    }
}

impl std::error::Error for Failure {}
