//! What was tried, in numbers.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// What [`crash_everywhere`](crate::Test::crash_everywhere) tried: every crash ended like the run without one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CrashReport {
    /// Under how many seeds; all that is counted here is the sum over them.
    pub seeds: u64,
    /// How many operations the disk did in the run without a crash, from the opening of the store to its close.
    pub operations: u64,
    /// How often the process was polled in it.
    pub awaits: u64,
    /// How many moments that makes: many polls change nothing that outlives the process.
    pub moments: u64,
    /// How many crashes there are at these moments.
    pub states: u64,
    /// How many of them leave something of their own: each was recovered from and played to its end.
    pub distinct: u64,
    /// How many crashes behind a crash were tried.
    pub second_states: u64,
    /// How many of those left something of their own.
    pub second_distinct: u64,
    /// How long all this took, in real time.
    pub took: Duration,
}

impl CrashReport {
    pub(super) fn count_state(&mut self, is_second: bool) {
        *(if is_second { &mut self.second_states } else { &mut self.states }) += 1;
    }

    /// With what was tried under other seeds.
    pub(super) fn and(self, other: &CrashReport) -> CrashReport {
        CrashReport {
            seeds: self.seeds + other.seeds,
            operations: self.operations + other.operations,
            awaits: self.awaits + other.awaits,
            moments: self.moments + other.moments,
            states: self.states + other.states,
            distinct: self.distinct + other.distinct,
            second_states: self.second_states + other.second_states,
            second_distinct: self.second_distinct + other.second_distinct,
            took: self.took + other.took,
        }
    }

    pub(super) fn count_distinct(&mut self, is_second: bool) {
        *(if is_second { &mut self.second_distinct } else { &mut self.distinct }) += 1;
    }
}

impl fmt::Display for CrashReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CrashReport { seeds, operations, awaits, moments, states, distinct, second_states, second_distinct, took } =
            self;
        f.write_str("crashes")?;
        if *seeds > 1 {
            write!(f, " under {seeds} seeds")?;
        }
        write!(
            f,
            ": {operations} operations and {awaits} awaits are {moments} moments; {states} crashes at them leave {distinct} states; \
             {second_states} crashes behind those leave {second_distinct} more; all end alike ({:.2} s)",
            took.as_secs_f64()
        )
    }
}
