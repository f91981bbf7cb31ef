//! One store, from its first start to its end: start, kill, start again.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use durable_testkit::Rng;

use crate::check;
use crate::index::Damage;

/// How often is looked whether a process has ended.
const GLANCE: Duration = Duration::from_micros(500);

/// After so many kills in a row that met no work the process is left alone.
const IDLE_KILLS_MAX: u64 = 100;

/// Left alone, a backup takes no longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

/// No more violations of a store than these are told.
const VIOLATIONS_MAX: usize = 20;

/// A store, its source and target.
pub(crate) struct Cycle {
    example: PathBuf,
    from: PathBuf,
    dir: PathBuf,
}

/// What is to tell of a store, or of all.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Kills that count.
    pub(crate) kills: u64,
    /// Kills of a process that had not begun to work.
    early: u64,
    /// How often the index was damaged.
    pub(crate) damaged: u64,
    /// Attempts beyond the first of each call that was seen to begin.
    repeated: usize,
    /// What did not hold.
    pub(crate) violations: Vec<String>,
}

impl Told {
    pub(crate) fn add(&mut self, other: Told) {
        self.kills += other.kills;
        self.early += other.early;
        self.damaged += other.damaged;
        self.repeated += other.repeated;
        self.violations.extend(other.violations);
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { kills, early, damaged, repeated, violations } = self;
        write!(f, "{kills} kills ({early} others came before the work), {repeated} attempts repeated")?;
        if *damaged > 0 {
            write!(f, ", index damaged {damaged} times")?;
        }
        write!(f, ", {} violations", violations.len())
    }
}

/// How a process ended.
enum End {
    /// By itself.
    Own(ExitStatus),
    /// It was killed.
    Killed,
}

impl Cycle {
    /// A store in a directory of its own.
    pub(crate) fn new(example: &Path, from: &Path, dir: PathBuf) -> io::Result<Cycle> {
        fs::create_dir(&dir)?;
        Ok(Cycle { example: example.to_owned(), from: from.to_owned(), dir })
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Lets the backup run; gives how long it took.
    pub(crate) fn undisturbed(&self) -> io::Result<(Duration, Told)> {
        let mut told = Told::default();
        let began = Instant::now();
        let end = self.run_for(PATIENCE)?;
        let span = began.elapsed();
        self.judge(end, &mut told)?;
        Ok((span, told))
    }

    /// Kills the backup within `window` of each start, until it ends first.
    pub(crate) fn killed_until_done(&self, window: Duration, index: Damage, rng: &mut Rng) -> io::Result<Told> {
        let mut told = Told::default();
        let mut idle = 0;
        loop {
            let before = self.effects_len();
            let span = if idle < IDLE_KILLS_MAX { draw(window, rng) } else { PATIENCE };
            let end = self.run_for(span)?;
            if span == PATIENCE || matches!(end, End::Own(_)) {
                self.judge(end, &mut told)?;
                return Ok(told);
            }
            check::drop_cut_line(&self.effects())?;
            match self.effects_len() > before {
                true => (told.kills, idle) = (told.kills + 1, 0),
                false => (told.early, idle) = (told.early + 1, idle + 1),
            }
            told.damaged += u64::from(index.strike(&self.store(), rng)?);
        }
    }

    /// Starts the backup, and kills it if it has not ended after `span`.
    fn run_for(&self, span: Duration) -> io::Result<End> {
        let began = Instant::now();
        let mut process = self.start()?;
        while began.elapsed() < span {
            if let Some(status) = process.try_wait()? {
                return Ok(End::Own(status));
            }
            thread::sleep(GLANCE.min(span.saturating_sub(began.elapsed())));
        }
        process.kill()?;
        // It may have ended between the last look and the kill.
        let status = process.wait()?;
        Ok(if status.code().is_some() { End::Own(status) } else { End::Killed })
    }

    fn start(&self) -> io::Result<Child> {
        let open = |name| File::options().append(true).create(true).open(self.dir.join(name));
        Command::new(&self.example)
            .arg("--from")
            .arg(&self.from)
            .arg("--to")
            .arg(self.to())
            .arg("--store")
            .arg(self.store())
            .arg("--effects")
            .arg(self.effects())
            .stdin(Stdio::null())
            .stdout(open("stdout")?)
            .stderr(open("stderr")?)
            .spawn()
    }

    /// Checks what is there after the last process.
    fn judge(&self, end: End, told: &mut Told) -> io::Result<()> {
        match end {
            End::Killed => told.violations.push(format!("the backup did not end in {} s", PATIENCE.as_secs())),
            End::Own(status) if !status.success() => told.violations.push(format!("the backup ended with {status}")),
            End::Own(_) => self.check(told)?,
        }
        told.violations.truncate(VIOLATIONS_MAX);
        let place = self.dir.display();
        told.violations.iter_mut().for_each(|violation| *violation = format!("{place}: {violation}"));
        Ok(())
    }

    fn check(&self, told: &mut Told) -> io::Result<()> {
        told.violations.extend(check::trees(&self.from, &self.to())?);
        told.violations.extend(check::manifest(&self.from, &self.to())?);
        let effects = fs::read_to_string(self.effects())?;
        told.violations.extend(check::effects(&effects));
        (_, told.repeated) = check::calls(&effects);
        match self.run_for(PATIENCE)? {
            End::Own(status) if status.success() && fs::read_to_string(self.effects())? == effects => {}
            _ => told.violations.push("a start after the end did something".to_owned()),
        }
        Ok(())
    }

    fn effects_len(&self) -> u64 {
        fs::metadata(self.effects()).map_or(0, |meta| meta.len())
    }

    fn effects(&self) -> PathBuf {
        self.dir.join("effects")
    }

    fn to(&self) -> PathBuf {
        self.dir.join("to")
    }

    fn store(&self) -> PathBuf {
        self.dir.join("store")
    }
}

fn draw(window: Duration, rng: &mut Rng) -> Duration {
    Duration::from_micros(rng.below(u64::try_from(window.as_micros()).unwrap_or(u64::MAX)))
}
