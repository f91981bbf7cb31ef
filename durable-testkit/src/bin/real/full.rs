//! A small file system is filled under load, and freed again, many times. While it is full, new work is refused with the error that
//! says so, and nothing is acknowledged; when there is space, everything goes on by itself, in the same process. The last time of a
//! store it is killed while its disk is full, and opened on it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::image::{FileSystem, Mounted};
use crate::ledger::Line;
use crate::report::Told;
use crate::rig::{PATIENCE, Process, Rig, Site, eventually};
use crate::worker::{NOT_OPEN, STANDS_STILL, Work};

/// The size of the file system. A log's segments double, so that it is used up after a few times.
const BYTES: u64 = 24 << 20;

/// A store that takes more than this is the last time that it is filled.
const STORE_BYTES_MAX: u64 = 12 << 20;

/// Bytes that go with each step.
const LOAD: usize = 4 << 10;

/// For so long nothing must be acknowledged.
const QUIET: Duration = Duration::from_millis(300);

/// How long it may take until that is so: what is on its way ends, and the last spare segment is used up.
const UNTIL_QUIET: Duration = Duration::from_secs(30);

pub(crate) fn run(rig: &Rig, file_system: FileSystem, times: u64) -> io::Result<Told> {
    let name = format!("full {}", file_system.name());
    if let Some(why) = file_system.missing() {
        return Ok(Told::skipped(name, why));
    }
    let mut told = Told::new(name);
    let dir = rig.base.join(format!("full-{}", file_system.name()));
    fs::create_dir_all(&dir)?;
    let disk = Mounted::make(file_system, BYTES, &dir)?;
    while told.figure("times full") < times && told.violations.is_empty() {
        let name = format!("full-{}-{}", file_system.name(), told.figure("times full"));
        let scene = Scene { site: rig.site(&name, disk.at()), filler: disk.at().join("filler") };
        scene.play(times, &mut told)?;
    }
    Ok(told)
}

struct Scene {
    site: Site,
    filler: PathBuf,
}

/// What the ledger says behind a place in it.
#[derive(Debug, Default)]
struct Since {
    started: usize,
    ended: usize,
    acknowledged: usize,
    refused: Vec<String>,
}

impl Scene {
    /// Fills and frees the disk until the store is too large for it.
    fn play(&self, times: u64, told: &mut Told) -> io::Result<()> {
        let work = Work { load: LOAD, until_eof: true, ..self.site.work(0) };
        let mut process = self.site.spawn(&work)?;
        loop {
            self.goes_on(0, told)?;
            let full_at = self.fill_until_refused(told)?;
            told.add("times full", 1);
            let is_last = told.figure("times full") >= times || bytes_in(&self.site.store)? > STORE_BYTES_MAX;
            if is_last || !told.violations.is_empty() {
                break;
            }
            fs::remove_file(&self.filler)?;
            self.goes_on(full_at, told)?;
        }
        self.kill_and_open(&mut process, &work, told)?;
        self.site.finish(&Work { runs: self.site.history()?.asked(), ..work }, told)
    }

    /// New runs are started and runs end, in the ledger behind `from`.
    fn goes_on(&self, from: u64, told: &mut Told) -> io::Result<()> {
        let goes_on = eventually(PATIENCE, || {
            let since = self.since(from)?;
            Ok(since.started > 20 && since.ended > 20)
        })?;
        if !goes_on {
            told.violations.push(format!("there is space, and nothing goes on: {:?}", self.since(from)?));
        }
        Ok(())
    }

    /// Fills the disk and waits until something is refused and nothing is acknowledged any more. Gives the place in the ledger.
    fn fill_until_refused(&self, told: &mut Told) -> io::Result<u64> {
        let begin = self.site.ledger_len();
        let is_refused = eventually(UNTIL_QUIET, || {
            fill(&self.filler)?;
            Ok(!self.since(begin)?.refused.is_empty())
        })?;
        if !is_refused {
            told.violations.push("the disk is full, and nothing is refused".to_owned());
        }
        let mut at = self.site.ledger_len();
        let is_quiet = eventually(UNTIL_QUIET, || {
            at = self.site.ledger_len();
            std::thread::sleep(QUIET);
            Ok(self.since(at)?.acknowledged == 0)
        })?;
        if !is_quiet {
            told.violations.push("the disk is full, and everything goes on".to_owned());
        }
        let unclear = self.since(begin)?.refused.into_iter().find(|why| !why.ends_with("[E0109]"));
        told.violations.extend(unclear.map(|why| format!("on a full disk this was said: {why}")));
        Ok(at)
    }

    /// Kills the process on the full disk, opens the store there, which may fail for want of space, and frees the disk.
    fn kill_and_open(&self, process: &mut Process, work: &Work, told: &mut Told) -> io::Result<()> {
        let status = process.kill()?;
        self.site.judge(status, &[], told);
        let mut second = self.site.spawn(&Work { until_eof: true, ..work.clone() })?;
        drop(second.take_stdin());
        if let Some(status) = second.end(Duration::from_secs(2))? {
            self.site.judge(status, &[0, NOT_OPEN, STANDS_STILL], told);
            let is_refused = status.code() == Some(i32::from(NOT_OPEN));
            told.add("opens refused", u64::from(is_refused));
            if is_refused && !self.site.stderr().ends_with("[E0105]") {
                told.violations.push(format!("on a full disk the open said: {}", self.site.stderr()));
            }
        }
        fs::remove_file(&self.filler)
    }

    fn since(&self, from: u64) -> io::Result<Since> {
        let mut rest = Vec::new();
        let mut file = match File::open(&self.site.ledger) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Since::default()),
            file => file?,
        };
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut rest)?;
        let mut since = Since::default();
        for line in String::from_utf8_lossy(&rest).split_inclusive('\n') {
            let Some(line) = line.strip_suffix('\n').and_then(Line::parse) else { continue };
            since.acknowledged += usize::from(line.is_acknowledgement());
            match line {
                Line::Started(_) => since.started += 1,
                Line::Ended(..) => since.ended += 1,
                Line::Refused(_, why) | Line::Store(_, why) => since.refused.push(why),
                _ => {}
            }
        }
        Ok(since)
    }
}

/// Writes to a file until there is no space.
fn fill(path: &Path) -> io::Result<()> {
    let mut filler = File::options().append(true).create(true).open(path)?;
    loop {
        match filler.write(&[0; 4096]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn bytes_in(dir: &Path) -> io::Result<u64> {
    fs::read_dir(dir)?.map(|file| Ok(file?.metadata()?.len())).sum()
}
