//! What every part of the oracle asks of a play: who had the store when, and whether anything held a process up. It judges nothing.

use std::time::Duration;

use durable::kernel::id::Timestamp;

use super::case::{Case, Hit};
use super::program::Build;
use super::stage::{AttemptSeen, Body, Opened, Seen};

/// How much later than it is due something may happen where nothing holds it up.
pub(super) const LATE_MAX: Duration = Duration::from_secs(2);

impl Case {
    /// Whether the wall clock is never set, so that what is recorded can be told from what was seen.
    pub(super) fn has_one_clock(&self) -> bool {
        !self.blows.iter().any(|blow| matches!(blow.what, Hit::Clock(_)))
    }

    /// Whether the wall clock may be set back.
    pub(super) fn sets_back(&self) -> bool {
        self.blows.iter().any(|blow| matches!(blow.what, Hit::Clock(seconds) if seconds < 0))
    }

    /// Whether nothing holds up a process that is alive: the disk answers at once, and there is one process at a time.
    pub(super) fn holds_nothing_up(&self) -> bool {
        let is_full = self.blows.iter().any(|blow| matches!(blow.what, Hit::Full(..)));
        let is_held = self.slots.iter().flatten().any(|life| !life.stops.is_empty() || !life.faults.is_empty());
        self.slots.len() == 1 && self.conduct.lag.0 == 0 && !is_full && !is_held
    }

    /// Whether, besides, no run is blocked by code that differs.
    pub(super) fn is_prompt(&self) -> bool {
        self.holds_nothing_up() && !self.slots.iter().flatten().any(|life| life.build.differs())
    }
}

impl Seen {
    /// Which build a process runs; none if it never had the store.
    pub(super) fn build_of(&self, process: u32) -> Option<Build> {
        self.opened.iter().find(|opened| opened.process == process).map(|opened| opened.build)
    }

    /// Whether a body is one of code that differs from that which recorded.
    pub(super) fn is_of_other_code(&self, body: &Body) -> bool {
        self.build_of(body.process).is_some_and(Build::differs)
    }

    /// Which of those that opened the store a process is.
    pub(super) fn opened_at(&self, process: u32) -> Option<usize> {
        self.opened.iter().position(|opened| opened.process == process)
    }

    /// Whether another process had opened the store when this attempt began.
    pub(super) fn is_outdated(&self, attempt: &AttemptSeen) -> bool {
        let newest = self.opened.iter().rev().find(|opened| opened.at <= attempt.began);
        newest.is_none_or(|newest| newest.process != attempt.process)
    }

    /// When something that is due then has happened at the latest, if it happened in the process that had the store open at `at`.
    pub(super) fn latest(&self, due: Timestamp, at: Timestamp) -> Timestamp {
        let opened = self.opened.iter().rev().find(|Opened { wall, .. }| *wall <= at);
        opened.map_or(due, |opened| due.max(opened.wall)).after(LATE_MAX)
    }

    /// Whether the wall clock was set forward within this time.
    pub(super) fn was_set_forward(&self, from: Duration, to: Duration) -> bool {
        self.clock_set.iter().any(|(at, by_us)| *by_us > 0 && (from..=to).contains(at))
    }

    /// Up to when all that code saw in a process is there for ever; none if that is not known. What it saw in the instant in which
    /// the process died may be lost.
    pub(super) fn kept_until(&self, case: &Case, process: u32) -> Option<Duration> {
        if self.left_clean.contains(&process) {
            return Some(Duration::MAX);
        }
        self.died.get(&process).copied().filter(|_| case.holds_nothing_up())
    }
}
