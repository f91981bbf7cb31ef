//! The report of the torture program: what was reached, in words and as JSON.

use std::fmt;

use serde::Serialize;

use super::planted::Planted;
use super::play::Counts;
use crate::explore;

/// What a torture reached.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The first seed, and the one behind the last that was taken.
    pub seeds: (u64, u64),
    /// How many were played.
    pub played: u64,
    /// Crashes of the whole runtime: processes that died with the store open, and whose store was opened again.
    pub crashes: u64,
    /// Those of them with or behind which the power went, before the store was opened again.
    pub power_cuts: u64,
    /// Deaths after which the store was looked into at once, on a copy.
    pub wrecks: u64,
    /// Faults that hit something in flight.
    pub faults: u64,
    /// Simulated hours of whose minutes each had such a fault.
    pub hours: f64,
    /// The log layer alone.
    pub log: Option<Log>,
    /// Scenarios that were explored from end to end.
    pub runs: Option<Runs>,
    /// The polls of the longest play.
    pub polls_max: u64,
    /// The planted bugs; none if they were not played.
    pub planted: Option<Planted>,
    /// Seeds with a violation.
    pub violations: Vec<u64>,
    /// How long it took.
    pub seconds: f64,
}

/// What the explorer of the log reached.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Log {
    /// What was explored, and what failed.
    pub report: explore::Report,
    /// How long it took.
    pub seconds: f64,
}

impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let explore::Counts { states, unfolded, .. } = self.report.counts;
        let a_second = states as f64 / self.seconds.max(f64::MIN_POSITIVE);
        writeln!(f, "{states}, {a_second:.0} a second, folded from {unfolded} images")?;
        self.report.counts.fmt(f)
    }
}

/// What the exploration of whole runs reached.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Runs {
    /// Each scenario that was begun.
    pub explored: Vec<explore::runs::Explored>,
    /// How many there are.
    pub all: usize,
    /// How often in a second a workflow of ten steps is crashed, recovered and finished.
    pub crashes_a_second: f64,
    /// How long it took.
    pub seconds: f64,
}

impl Runs {
    fn broken(&self) -> usize {
        self.explored.iter().filter(|explored| explored.broken.is_some()).count()
    }
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.explored.iter().filter(|explored| explored.is_whole).count();
        let states: u64 = self.explored.iter().map(explore::runs::Explored::all_states).sum();
        writeln!(f, "{whole} of {}, {states} states in {:.1} s", self.all, self.seconds)?;
        writeln!(f, "  {:.0} crashes of ten steps a second, recovered and finished", self.crashes_a_second)?;
        self.explored.iter().try_for_each(|explored| writeln!(f, "  {explored}"))
    }
}

impl Report {
    /// How many violations were found, of all layers; a planted bug that was not caught is one.
    #[must_use]
    pub fn violated(&self) -> usize {
        let in_log = self.log.as_ref().map_or(0, |log| log.report.failures.len());
        let not_caught = self.planted.as_ref().map_or(0, |planted| planted.bugs.len() - planted.caught());
        self.violations.len() + in_log + self.runs.as_ref().map_or(0, Runs::broken) + not_caught
    }

    /// Adds a play.
    pub fn add(&mut self, counts: Counts) {
        self.played += 1;
        self.crashes += counts.crashes;
        self.power_cuts += counts.power_cuts;
        self.wrecks += counts.wrecks;
        self.faults += counts.faults;
        self.polls_max = self.polls_max.max(counts.polls);
        self.hours += counts.minutes as f64 / 60.0;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seeds                {}..{}, {} played in {:.1} s",
            self.seeds.0, self.seeds.1, self.played, self.seconds
        )?;
        match &self.log {
            None => writeln!(f, "log crash states     not run")?,
            Some(log) => write!(f, "log crash states     {log}")?,
        }
        writeln!(f, "runtime crashes      {}, {} of them with a power cut", self.crashes, self.power_cuts)?;
        writeln!(f, "wrecks looked into   {}", self.wrecks)?;
        writeln!(f, "faults in flight     {}", self.faults)?;
        writeln!(f, "simulated hours      {:.1}, each minute with a fault", self.hours)?;
        writeln!(f, "longest play         {} polls", self.polls_max)?;
        match &self.runs {
            None => writeln!(f, "exhaustive scenarios not run")?,
            Some(runs) => write!(f, "exhaustive scenarios {runs}")?,
        }
        match &self.planted {
            None => writeln!(f, "planted bugs         not run")?,
            Some(planted) => {
                planted.bugs.iter().try_for_each(|bug| writeln!(f, "{bug}"))?;
                writeln!(f, "planted bugs         {planted}")?;
            }
        }
        writeln!(f, "violations           {}", self.violated())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_in_the_log_is_a_violation_and_its_states_are_told() {
        let clean = Report::default();
        assert_eq!(clean.violated(), 0);
        assert!(clean.to_string().contains("log crash states     not run"));
        let failure = explore::Failure { seed: 3, what: "lost".into(), timeline: Vec::new(), repeat: String::new() };
        let counts = explore::Counts { states: 10, unfolded: 30, ..explore::Counts::default() };
        let log = explore::Report { counts, failures: vec![failure], ..explore::Report::default() };
        let torn = Report { log: Some(Log { report: log, seconds: 2.0 }), violations: vec![7], ..Report::default() };
        assert_eq!(torn.violated(), 2);
        let text = torn.to_string();
        assert!(text.contains("log crash states     10, 5 a second, folded from 30 images"), "{text}");
        assert!(text.contains("violations           2"), "{text}");
        let broken = explore::runs::Broken { what: "another end".into(), crashes: vec!["here".into()] };
        let explored = explore::runs::Explored { broken: Some(broken), ..Default::default() };
        let runs = Runs { explored: vec![explored], all: 9, crashes_a_second: 0.0, seconds: 1.0 };
        let torn = Report { runs: Some(runs), ..torn };
        assert_eq!(torn.violated(), 3);
        let text = torn.to_string();
        assert!(text.contains("exhaustive scenarios 0 of 9, 0 states in 1.0 s"), "{text}");
        assert!(text.contains("VIOLATED: another end\n  crashed here"), "{text}");
    }
}
