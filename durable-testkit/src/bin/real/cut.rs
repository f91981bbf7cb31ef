//! The power of a real file system is cut: what was not on disk is gone, its own log as well. A file that is written right before
//! the cut and not synced shows each time that something was lost.

use std::fs::{self, File};
use std::io::{self, Write};
use std::time::Duration;

use durable_testkit::Rng;

use crate::image::{FileSystem, Mounted, is_program};
use crate::report::Told;
use crate::rig::{LATE, RUNS, Rig, Site, draw};
use crate::worker::{NOT_OPEN, STANDS_STILL, Work};

/// So many cuts to a store.
const PER_STORE: u64 = 5;

/// XFS takes no less than 300 MiB; what is not written takes no space.
const IMAGE_BYTES: u64 = 400 << 20;

/// Bytes that are written and not synced.
const CANARY_BYTES: usize = 100_000;

/// How long a process lives on after its disk is gone.
const AFTER: Duration = Duration::from_millis(5);

pub(crate) fn run(rig: &Rig, file_system: FileSystem, cuts: u64, rng: &mut Rng) -> io::Result<Told> {
    let name = format!("cut {}", file_system.name());
    if let Some(why) = missing(file_system) {
        return Ok(Told::skipped(name, why));
    }
    let mut told = Told::new(name);
    let dir = rig.base.join(file_system.name());
    fs::create_dir_all(&dir)?;
    let mut disk = Mounted::make(file_system, IMAGE_BYTES, &dir)?;
    let window = rig.undisturbed(disk.at(), &mut told)?;
    while told.figure("cuts") < cuts && told.violations.is_empty() {
        let site = rig.site(&format!("cut-{}-{}", file_system.name(), told.figure("cuts")), disk.at());
        let left = cuts - told.figure("cuts");
        store(&mut disk, &site, left.min(PER_STORE), window, rng, &mut told)?;
    }
    if told.figure("cuts that lost something") * 2 < cuts {
        told.violations.push("the cuts lost nothing of what was not synced, so they were none".to_owned());
    }
    Ok(told)
}

fn missing(file_system: FileSystem) -> Option<String> {
    file_system.missing().or_else(|| (!is_program("xfs_io")).then(|| "there is no xfs_io".to_owned()))
}

fn store(
    disk: &mut Mounted,
    site: &Site,
    cuts: u64,
    window: Duration,
    rng: &mut Rng,
    told: &mut Told,
) -> io::Result<()> {
    let mut runs = 0;
    for number in 0..cuts {
        runs += RUNS;
        let before = site.ledger_len();
        // Every second time writes and syncs are late: what waits for a sync is on no disk when the power goes.
        let late = if number % 2 == 1 { LATE } else { Duration::ZERO };
        let mut process = site.spawn(&Work { late, ..site.work(runs) })?;
        std::thread::sleep(draw(window, rng));
        let canary = disk.at().join("canary");
        File::create(&canary)?.write_all(&[0x5a; CANARY_BYTES])?;
        disk.cut()?;
        std::thread::sleep(AFTER);
        let status = process.kill()?;
        site.judge(status, &[0, NOT_OPEN, STANDS_STILL], told);
        disk.remount()?;
        told.add("cuts", 1);
        told.add("cuts at work", u64::from(site.ledger_len() > before));
        let is_whole = fs::read(&canary).is_ok_and(|bytes| bytes == [0x5a; CANARY_BYTES]);
        told.add("cuts that lost something", u64::from(!is_whole));
        if canary.exists() {
            fs::remove_file(&canary)?;
        }
    }
    site.finish(&site.work(runs), told)
}
