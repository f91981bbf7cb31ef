//! The report of the torture program: what was reached, in words and as JSON.

use std::fmt;

use serde::Serialize;

use super::play::Counts;

/// What a torture reached.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// The first seed, and the one behind the last that was taken.
    pub seeds: (u64, u64),
    /// How many were played.
    pub played: u64,
    /// Crashes of the whole runtime after which the store was opened again.
    pub crashes: u64,
    /// How many power cuts were among them.
    pub power_cuts: u64,
    /// Faults that hit something in flight.
    pub faults: u64,
    /// Simulated hours of whose minutes each had such a fault.
    pub hours: f64,
    /// Crash states of the log layer alone.
    pub log_states: Option<u64>,
    /// Scenarios that were explored from end to end.
    pub scenarios: Option<u64>,
    /// Planted bugs: caught, and how many there are; `not run` where this build has none.
    pub planted: Option<(u64, u64)>,
    /// Seeds with a violation.
    pub violations: Vec<u64>,
    /// How long it took.
    pub seconds: f64,
}

impl Report {
    /// Adds a play.
    pub fn add(&mut self, counts: Counts) {
        self.played += 1;
        self.crashes += counts.crashes;
        self.power_cuts += counts.power_cuts;
        self.faults += counts.faults;
        self.hours += counts.minutes as f64 / 60.0;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_not = |count: Option<u64>| count.map_or("not run".to_owned(), |count| count.to_string());
        writeln!(
            f,
            "seeds                {}..{}, {} played in {:.1} s",
            self.seeds.0, self.seeds.1, self.played, self.seconds
        )?;
        writeln!(f, "log crash states     {}", or_not(self.log_states))?;
        writeln!(f, "runtime crashes      {}, of which {} power cuts", self.crashes, self.power_cuts)?;
        writeln!(f, "faults in flight     {}", self.faults)?;
        writeln!(f, "simulated hours      {:.1}, each minute with a fault", self.hours)?;
        writeln!(f, "exhaustive scenarios {}", or_not(self.scenarios))?;
        match self.planted {
            None => writeln!(f, "planted bugs         not run")?,
            Some((caught, all)) => writeln!(f, "planted bugs         {caught} of {all} caught")?,
        }
        writeln!(f, "violations           {}", self.violations.len())
    }
}
