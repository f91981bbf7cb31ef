//! What came out, as a table for people and as JSON.

use std::fmt;
use std::time::Duration;

use crate::check::Counts;

/// What is to tell of one fault.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) name: String,
    figures: Vec<(&'static str, u64)>,
    pub(crate) violations: Vec<String>,
    /// Why it was left out.
    pub(crate) skipped: Option<String>,
    pub(crate) took: Duration,
}

impl Told {
    pub(crate) fn new(name: impl Into<String>) -> Told {
        Told { name: name.into(), ..Told::default() }
    }

    pub(crate) fn skipped(name: impl Into<String>, why: String) -> Told {
        Told { skipped: Some(why), ..Told::new(name) }
    }

    /// Adds to a figure.
    pub(crate) fn add(&mut self, what: &'static str, more: u64) {
        match self.figures.iter_mut().find(|(name, _)| *name == what) {
            Some((_, figure)) => *figure += more,
            None => self.figures.push((what, more)),
        }
    }

    pub(crate) fn figure(&self, what: &str) -> u64 {
        self.figures.iter().find(|(name, _)| *name == what).map_or(0, |(_, figure)| *figure)
    }

    /// Adds what a ledger says.
    pub(crate) fn add_counts(&mut self, counts: Counts) {
        self.add("stores", 1);
        self.add("opens", counts.opens);
        self.add("acknowledged", counts.acknowledged);
        self.add("attempts", counts.attempts);
        self.add("repeated", counts.repeated);
        self.add("interrupted", counts.interrupted);
        self.add("refused", counts.refused);
    }

    fn verdict(&self) -> String {
        match (&self.skipped, self.violations.len()) {
            (Some(why), _) => format!("LEFT OUT: {why}"),
            (None, 0) => "held".to_owned(),
            (None, wrong) => format!("{wrong} VIOLATIONS"),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let figures: serde_json::Map<_, _> =
            self.figures.iter().map(|(name, figure)| ((*name).to_owned(), (*figure).into())).collect();
        serde_json::json!({
            "fault": self.name,
            "held": self.skipped.is_none() && self.violations.is_empty(),
            "skipped": self.skipped,
            "seconds": self.took.as_secs_f64(),
            "figures": figures,
            "violations": self.violations,
        })
    }
}

/// What is to tell of all.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) told: Vec<Told>,
    /// Whether nothing may be left out.
    pub(crate) is_everything_here: bool,
}

impl Report {
    /// Whether all held that had to.
    pub(crate) fn has_held(&self) -> bool {
        let is_complete = !self.is_everything_here || self.told.iter().all(|told| told.skipped.is_none());
        is_complete && self.told.iter().all(|told| told.violations.is_empty())
    }

    pub(crate) fn to_json(&self) -> serde_json::Value {
        let faults: Vec<_> = self.told.iter().map(Told::to_json).collect();
        serde_json::json!({
            "seed": self.seed,
            "held": self.has_held(),
            "nothing_may_be_left_out": self.is_everything_here,
            "faults": faults,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for told in &self.told {
            writeln!(f, "{:<11} {:>6.1} s  {}", told.name, told.took.as_secs_f64(), told.verdict())?;
            let figures: Vec<_> = told.figures.iter().map(|(name, figure)| format!("{figure} {name}")).collect();
            if !figures.is_empty() {
                writeln!(f, "            {}", figures.join(", "))?;
            }
            for violation in &told.violations {
                writeln!(f, "            violation: {violation}")?;
            }
        }
        let verdict = if self.has_held() { "all held" } else { "NOT ALL HELD" };
        write!(f, "{verdict}; seed {}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_counts_only_where_everything_is_there() {
        let report = |is_everything_here| Report {
            seed: 1,
            told: vec![Told::new("kill"), Told::skipped("cut ext4", "only root may mount".to_owned())],
            is_everything_here,
        };
        assert!(report(false).has_held() && !report(true).has_held());
        assert!(report(true).to_string().contains("LEFT OUT: only root may mount\n"));
        assert_eq!(report(false).to_json()["held"], true);
    }

    #[test]
    fn a_violation_is_never_held() {
        let mut told = Told::new("kill");
        told.add("kills", 2);
        told.add("kills", 3);
        told.violations.push("r1 has not ended".to_owned());
        let report = Report { seed: 1, told: vec![told], is_everything_here: false };
        assert!(!report.has_held());
        assert!(report.to_string().contains("5 kills"));
        assert!(report.to_string().ends_with("NOT ALL HELD; seed 1"));
    }
}
