//! What this process has used, by the system's own accounting.

use std::fs;
use std::time::Duration;

/// Processor time of all threads, user and system.
#[must_use]
pub fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    // USER_HZ is 100 on every Linux that Rust supports.
    Duration::from_millis(ticks * 10)
}

/// Memory that is resident now, in bytes.
#[must_use]
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// What the whole machine has done so far, and this process's part in it.
#[derive(Debug, Clone, Copy)]
pub struct Machine {
    ticks: u64,
    busy: u64,
    own: Duration,
}

impl Machine {
    /// As it is now.
    #[must_use]
    pub fn now() -> Machine {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        Machine::of(stat.lines().next().unwrap_or_default(), cpu())
    }

    /// From the line of all processors: user, nice, system, idle, waits for disks, interrupts of two kinds, stolen.
    fn of(line: &str, own: Duration) -> Machine {
        let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
        let idle: u64 = ticks.iter().skip(3).take(2).sum();
        let all = ticks.iter().sum();
        Machine { ticks: all, busy: all - idle, own }
    }

    /// How much of all processors' time others took since `before`, in percent. Above a few percent a figure is worth little: a thread
    /// that comes back from the disk waits for whoever has the processor.
    #[must_use]
    pub fn others_percent(&self, before: &Machine) -> f64 {
        let own = self.own.saturating_sub(before.own).as_millis() as f64 / 10.0;
        let others = (self.busy - before.busy) as f64 - own;
        (others / (self.ticks - before.ticks).max(1) as f64 * 100.0).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_is_what_was_busy_and_not_ours() {
        let before = Machine::of("cpu  100 10 50 1000 40 0 0 0 7 7", Duration::ZERO);
        let after = Machine::of("cpu  140 10 70 1100 60 10 10 0 7 7", Duration::from_millis(300));
        assert_eq!(after.others_percent(&before), 25.0);
    }
}
