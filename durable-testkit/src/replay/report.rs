//! What replay tests found: of each journal how many events matched, and in one line how much that is altogether.

use std::collections::BTreeSet;
use std::fmt;

use durable::journal::RunJournal;
use durable::replay::{NotReplayed, Replayed};
use serde::Serialize;

/// What a replay test found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ReplayReport {
    /// How often each journal was replayed.
    pub times: u32,
    /// The journals, as they were found.
    pub journals: Vec<JournalReport>,
    /// What was named, and could not be read or held no journal.
    pub empty: Vec<String>,
}

/// What was found of one journal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JournalReport {
    /// Where it comes from: a file, or a run in a store.
    pub source: String,
    /// The workflow id.
    pub id: String,
    /// The workflow's recorded name.
    pub workflow: String,
    /// How many events it holds.
    pub events: u64,
    /// How many of them the code fits.
    pub matched: u64,
    /// How many turns were polled again in each replay.
    pub turns: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a journal.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The code of today gives it again.
    Matched(Box<Replayed>),
    /// It does not.
    Diverged(Diverged),
    /// It is of a workflow that was not given, and the test steps over these.
    Skipped,
    /// It cannot be read.
    Unreadable {
        /// Why.
        reason: String,
    },
}

/// A replay that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diverged {
    /// Which replay of this journal it was, from 1: those before it came to the end.
    pub replay: u32,
    /// How many there were to be.
    pub of: u32,
    /// What stopped it.
    pub why: NotReplayed,
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diverged { replay, of, why } = self;
        why.fmt(f)?;
        if *replay > 1 {
            write!(
                f,
                "\n  it was replay {replay} of {of}, and those before it agreed: the code reads something that is not the same each \
                 time (the order of a hash map, a static, a thread's own, a clock)"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Diverged {}

impl JournalReport {
    pub(super) fn new(source: String, journal: &RunJournal, outcome: Outcome) -> JournalReport {
        let (matched, turns) = match &outcome {
            Outcome::Matched(replayed) => (replayed.matched, replayed.turns),
            Outcome::Diverged(Diverged { why: NotReplayed::Diverged(divergence), .. }) => {
                (divergence.matched, divergence.turns)
            }
            Outcome::Diverged(_) | Outcome::Skipped | Outcome::Unreadable { .. } => (0, 0),
        };
        let (id, workflow) = (journal.started().id.to_string(), journal.started().workflow.to_string());
        JournalReport { source, id, workflow, events: journal.events().len() as u64, matched, turns, outcome }
    }

    pub(super) fn unreadable(source: String, reason: String) -> JournalReport {
        let (id, workflow, outcome) = (String::new(), String::new(), Outcome::Unreadable { reason });
        JournalReport { source, id, workflow, events: 0, matched: 0, turns: 0, outcome }
    }

    /// Whether it was replayed to its end.
    #[must_use]
    pub fn holds(&self) -> bool {
        matches!(self.outcome, Outcome::Matched(_))
    }

    fn is_skipped(&self) -> bool {
        self.outcome == Outcome::Skipped
    }
}

impl ReplayReport {
    pub(super) fn new(times: u32) -> ReplayReport {
        ReplayReport { times, journals: Vec::new(), empty: Vec::new() }
    }

    /// Whether every journal was replayed to its end, and there was something to replay.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.empty.is_empty() && !self.is_vacuous() && self.replayed().all(JournalReport::holds)
    }

    /// Whether nothing was compared at all.
    #[must_use]
    pub fn is_vacuous(&self) -> bool {
        self.replayed().all(|journal| journal.holds() && journal.turns == 0)
    }

    /// How many events the journals hold, those that were stepped over left out.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.replayed().map(|journal| journal.events).sum()
    }

    /// How many of them matched.
    #[must_use]
    pub fn matched(&self) -> u64 {
        self.replayed().map(|journal| journal.matched).sum()
    }

    /// Of how many workflows there were journals, those that were stepped over left out.
    #[must_use]
    pub fn workflows(&self) -> usize {
        let named = self.replayed().map(|journal| journal.workflow.as_str()).filter(|name| !name.is_empty());
        named.collect::<BTreeSet<_>>().len()
    }

    fn replayed(&self) -> impl Iterator<Item = &JournalReport> {
        self.journals.iter().filter(|journal| !journal.is_skipped())
    }
}

/// One line, then everything that does not hold.
impl fmt::Display for ReplayReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let journals = self.replayed().count();
        write!(
            f,
            "{}, {} of {} events matched, {}, each replayed {}",
            counted(journals, "journal"),
            self.matched(),
            self.events(),
            counted(self.workflows(), "workflow"),
            times(self.times)
        )?;
        let skipped = self.journals.len() - journals;
        if skipped > 0 {
            write!(f, "; {} of other workflows stepped over", counted(skipped, "journal"))?;
        }
        for journal in self.replayed() {
            journal.tell(f)?;
        }
        self.empty.iter().try_for_each(|what| write!(f, "\n{what}"))?;
        if self.is_vacuous() {
            write!(f, "\nnothing was replayed: no turn of any run was compared with the code")?;
        }
        Ok(())
    }
}

impl JournalReport {
    /// Why it does not hold, if it does not.
    fn tell(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Outcome::Diverged(diverged) => write!(f, "\n{}: {diverged}", self.source),
            Outcome::Unreadable { reason } => write!(f, "\n{}: {reason}", self.source),
            Outcome::Matched(_) | Outcome::Skipped => Ok(()),
        }
    }
}

fn times(times: u32) -> String {
    if times == 1 { "once".to_owned() } else { format!("{times} times") }
}

fn counted(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}
