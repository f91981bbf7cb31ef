//! `kill -9` at drawn moments, uniform over the time that the work takes; several kills to a store, and fresh stores in between.

use std::io;
use std::time::Duration;

use durable_testkit::Rng;

use crate::report::Told;
use crate::rig::{LATE, RUNS, Rig, Site, draw};
use crate::worker::Work;

/// So many kills to a store.
const PER_STORE: u64 = 10;

pub(crate) fn run(rig: &Rig, kills: u64, rng: &mut Rng) -> io::Result<Told> {
    let mut told = Told::new("kill");
    let window = rig.undisturbed(&rig.base, &mut told)?;
    for number in 0.. {
        let left = kills.saturating_sub(told.figure("kills"));
        if left == 0 || !told.violations.is_empty() {
            break;
        }
        let site = rig.site(&format!("kill-{number}"), &rig.base);
        // On every second store writes and syncs are late: a kill meets an acknowledgement that did not wait for them.
        let late = if number % 2 == 1 { LATE } else { Duration::ZERO };
        store(&site, left.min(PER_STORE), (window, late), rng, &mut told)?;
    }
    if told.figure("kills at work") * 4 < kills {
        told.violations.push("the kills met no work".to_owned());
    }
    Ok(told)
}

/// Kills so many workers on one store, each with more runs to do, and lets the last one end.
fn store(
    site: &Site,
    kills: u64,
    (window, late): (Duration, Duration),
    rng: &mut Rng,
    told: &mut Told,
) -> io::Result<()> {
    let mut runs = 0;
    for _ in 0..kills {
        runs += RUNS;
        let before = site.ledger_len();
        let mut process = site.spawn(&Work { late, ..site.work(runs) })?;
        std::thread::sleep(draw(window, rng));
        let status = process.kill()?;
        site.judge(status, &[0], told);
        if status.code().is_none() {
            told.add("kills", 1);
            told.add("kills at work", u64::from(site.ledger_len() > before));
        }
    }
    site.finish(&site.work(runs), told)
}
