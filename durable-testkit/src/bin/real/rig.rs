//! What all faults share: a place for stores and one for ledgers, processes that work there, and the look at what they left.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use durable_testkit::Rng;

use crate::check::History;
use crate::ledger;
use crate::report::Told;
use crate::worker::Work;

/// How often is looked whether something has happened.
const GLANCE: Duration = Duration::from_micros(500);

/// Left alone, a worker takes no longer than this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// So many runs are added in a round.
pub(crate) const RUNS: u64 = 40;

/// Bytes that go with each step: in a few rounds, a store has several segments.
const LOAD: usize = 2 << 10;

/// How late writes and syncs are where they are.
pub(crate) const LATE: Duration = Duration::from_millis(2);

/// The place of all faults.
#[derive(Debug)]
pub(crate) struct Rig {
    program: PathBuf,
    /// Where stores are.
    pub(crate) base: PathBuf,
    ledgers: PathBuf,
}

/// A store and its ledger.
#[derive(Debug)]
pub(crate) struct Site {
    name: String,
    program: PathBuf,
    pub(crate) store: PathBuf,
    pub(crate) ledger: PathBuf,
    stderr: PathBuf,
}

/// A worker that runs. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Rig {
    /// A place that is this process's own.
    pub(crate) fn new(stores: Option<&Path>, ledgers: Option<&Path>) -> io::Result<Rig> {
        let own = format!("durable-real-{}", std::process::id());
        let shared_memory = Path::new("/dev/shm");
        let ledgers = match ledgers {
            Some(ledgers) => ledgers.to_owned(),
            None if shared_memory.is_dir() => shared_memory.to_owned(),
            None => std::env::temp_dir(),
        };
        let base = stores.map_or_else(std::env::temp_dir, Path::to_owned).join(&own);
        let ledgers = ledgers.join(own);
        fs::create_dir_all(&base)?;
        fs::create_dir_all(&ledgers)?;
        Ok(Rig {
            program: std::env::current_exe()?,
            base: fs::canonicalize(base)?,
            ledgers: fs::canonicalize(ledgers)?,
        })
    }

    /// A new store of this name, in `dir`.
    pub(crate) fn site(&self, name: &str, dir: &Path) -> Site {
        let beside = |what: &str| self.ledgers.join(format!("{name}.{what}"));
        Site {
            name: name.to_owned(),
            program: self.program.clone(),
            store: dir.join(name),
            ledger: beside("ledger"),
            stderr: beside("stderr"),
        }
    }

    /// Removes everything.
    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.base)?;
        fs::remove_dir_all(&self.ledgers)
    }

    pub(crate) fn kept(&self) -> String {
        format!("{} and {}", self.base.display(), self.ledgers.display())
    }

    /// How long a worker takes for the runs of a round when nothing disturbs it.
    pub(crate) fn undisturbed(&self, dir: &Path, told: &mut Told) -> io::Result<Duration> {
        let site = self.site(&format!("{}-undisturbed", told.name.replace(' ', "-")), dir);
        let began = Instant::now();
        site.spawn(&site.work(RUNS))?.end(PATIENCE)?;
        let took = began.elapsed();
        site.finish(&site.work(RUNS), told)?;
        Ok(took)
    }
}

/// A drawn part of a span.
pub(crate) fn draw(span: Duration, rng: &mut Rng) -> Duration {
    Duration::from_nanos(rng.below(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)))
}

impl Site {
    /// The usual work: so many runs in all.
    pub(crate) fn work(&self, runs: u64) -> Work {
        let (store, ledger) = (self.store.clone(), self.ledger.clone());
        Work { store, ledger, runs, parallel: 8, steps: 6, load: LOAD, ..Work::default() }
    }

    /// A worker, as a command.
    pub(crate) fn command(&self, work: &Work) -> Command {
        let mut command = Command::new(&self.program);
        command.args(work.to_args());
        command
    }

    pub(crate) fn spawn(&self, work: &Work) -> io::Result<Process> {
        self.spawn_by(&mut self.command(work))
    }

    pub(crate) fn spawn_by(&self, command: &mut Command) -> io::Result<Process> {
        let stderr = File::options().append(true).create(true).open(&self.stderr)?;
        let stdin = Stdio::piped();
        Ok(Process(command.stdin(stdin).stdout(Stdio::null()).stderr(stderr).spawn()?))
    }

    /// How long the ledger is.
    pub(crate) fn ledger_len(&self) -> u64 {
        fs::metadata(&self.ledger).map_or(0, |meta| meta.len())
    }

    /// What processes said on their way out.
    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default().trim_end().to_owned()
    }

    pub(crate) fn history(&self) -> io::Result<History> {
        Ok(History::of(&ledger::read(&self.ledger)?))
    }

    /// Opens the store anew, lets everything end, and looks at all that the ledger says. If it is right, the store is removed.
    pub(crate) fn finish(&self, work: &Work, told: &mut Told) -> io::Result<()> {
        let work = Work { verify: true, until_eof: false, fatal: None, late: Duration::ZERO, ..work.clone() };
        let mut wrong = match self.spawn(&work)?.end(PATIENCE)? {
            Some(status) if status.success() => Vec::new(),
            Some(status) => vec![format!("the last process ended with {status}: {}", self.stderr())],
            None => vec![format!("not all runs have ended in {} s", PATIENCE.as_secs())],
        };
        let (counts, violations) = self.history()?.close();
        wrong.extend(violations);
        told.add_counts(counts);
        if wrong.is_empty() && told.violations.is_empty() {
            return self.remove();
        }
        told.violations.extend(wrong.into_iter().map(|wrong| format!("{}: {wrong}", self.name)));
        Ok(())
    }

    fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.store)?;
        fs::remove_file(&self.stderr)?;
        fs::remove_file(&self.ledger)
    }

    /// Tells of a process that ended by itself in a way in which none may.
    pub(crate) fn judge(&self, status: ExitStatus, allowed: &[u8], told: &mut Told) {
        if let Some(code) = status.code()
            && !allowed.iter().any(|allowed| i32::from(*allowed) == code)
        {
            told.violations.push(format!("{}: a process ended with {status}: {}", self.name, self.stderr()));
        }
    }
}

impl Process {
    /// Waits for its end; none if it has not ended within `span`: then it is killed.
    pub(crate) fn end(&mut self, span: Duration) -> io::Result<Option<ExitStatus>> {
        let began = Instant::now();
        while began.elapsed() < span {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            thread::sleep(GLANCE.min(span.saturating_sub(began.elapsed())));
        }
        self.kill()?;
        Ok(None)
    }

    /// Kills it; gives how it ended, which may have been by itself.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        self.0.kill()?;
        self.0.wait()
    }

    /// Its standard input, whose end is a sign to it.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.0.stdin.take()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.kill();
    }
}

/// Looks until something holds; says whether it did.
pub(crate) fn eventually(span: Duration, mut holds: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
    let began = Instant::now();
    while !holds()? {
        if began.elapsed() > span {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}
