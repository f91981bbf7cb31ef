//! What one program is asked to measure. One process measures one case, so that its processor time and its files are its own.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one workflow does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Work {
    /// Five steps, one after the other. A step returns its number and does nothing else.
    Steps,
    /// One durable timer of ten milliseconds, and no step.
    Timer,
}

impl Work {
    /// How many steps a workflow of [`Work::Steps`] has.
    pub const STEPS: u32 = 5;
    /// How long a workflow of [`Work::Timer`] sleeps.
    pub const NAP: Duration = Duration::from_millis(10);

    /// The steps of one workflow.
    #[must_use]
    pub fn steps(self) -> u32 {
        match self {
            Work::Steps => Self::STEPS,
            Work::Timer => 0,
        }
    }

    /// What a workflow returns when it did all of its work: the sum of what its steps returned.
    #[must_use]
    pub fn result(self) -> u32 {
        (0..self.steps()).sum()
    }
}

/// One measurement.
#[derive(Debug, Clone)]
pub struct Case {
    /// How the peer is set up, in the program's own words; the first of them is what it does without any.
    pub variant: String,
    pub work: Work,
    /// Workflows under way at the same time.
    pub at_once: usize,
    /// An empty directory for the peer's files.
    pub dir: PathBuf,
    /// How long to go on. The workflows that are under way then are waited for.
    pub time: Duration,
    /// The processes whose time counts as the peer's, beside this one: a database, a server. Their children count too.
    pub servers: Vec<u32>,
    /// Where a peer's server answers, if it has one.
    pub url: Option<String>,
    /// What the server is, to stand beside the peer's version.
    pub with: Option<String>,
}

const USAGE: &str =
    "--variant NAME --work steps|timer --at-once N --dir DIR --seconds N [--server PID]... [--url URL] [--with SERVER]";

impl Case {
    /// What the command line says.
    ///
    /// # Panics
    /// When it cannot be understood.
    #[must_use]
    pub fn from_args() -> Self {
        let mut case = Case {
            variant: String::new(),
            work: Work::Steps,
            at_once: 1,
            dir: PathBuf::new(),
            time: Duration::from_secs(3),
            servers: Vec::new(),
            url: None,
            with: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().unwrap_or_else(|| panic!("{word} takes a value: {USAGE}"));
            case.option(&word, value);
        }
        case
    }

    fn option(&mut self, word: &str, value: String) {
        match word {
            "--variant" => self.variant = value,
            "--work" => self.work = serde_json::from_value(value.into()).expect("--work is steps or timer"),
            "--at-once" => self.at_once = value.parse().expect("--at-once is a number"),
            "--dir" => self.dir = value.into(),
            "--seconds" => self.time = Duration::from_secs_f64(value.parse().expect("--seconds is a number")),
            "--server" => self.servers.push(value.parse().expect("--server is a process id")),
            "--url" => self.url = Some(value),
            "--with" => self.with = Some(value),
            other => panic!("unknown option {other}: {USAGE}"),
        }
    }
}
