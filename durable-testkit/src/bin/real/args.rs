//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lexopt::prelude::*;

use crate::disk::Fatal;
use crate::image::FileSystem;
use crate::worker::Work;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Real faults: a process works on a store, something is done to it or to its disk, and what it left is held against a ledger of
effects that lies elsewhere.

Usage: real FAULT [OPTIONS]

  kill    kill -9 at drawn moments; --rounds kills (1000), ten to a store
  nth     the process kills itself before, after and in the middle of the n-th operation of its disk, and again in the recovery;
          for every n, or with --stride N for every N-th one
  cut     the power of a file system goes: the shutdown ioctl on a loop-mounted image; --fs ext4|xfs (both), --rounds cuts each (50)
  full    a small file system is filled and freed; --fs tmpfs|ext4 (tmpfs), --rounds times (40)
  strace  fdatasync fails or is late, injected by strace; --rounds calls that fail (30)
  all     all of it with small numbers: --kill N (100), --nth STRIDE (20), --cut N (5), --full N (6), --strace N (6)

  --seed N    repeats the draws; the clock gives one unless it is said
  --json      the report as JSON
  --keep DIR  where stores are; a directory of the system's temporary one unless it is said. It is kept after a violation
  --ledgers DIR  where ledgers are: another file system; /dev/shm, if it is there

Exit code: 0 all held, or what could not be done here was left out; 1 a violation, or something was left out on a machine that has
what it takes (root, loop devices, xfsprogs); 2 wrong use, or the rig itself failed.";

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Args {
    /// A fault.
    Fault(Asked),
    /// To be the worker of one.
    Worker(Box<Work>),
    /// Help.
    Help,
}

/// Which fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Name {
    Kill,
    Nth,
    Cut,
    Full,
    Strace,
    All,
}

/// A fault, with its numbers.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) name: Name,
    pub(crate) seed: u64,
    pub(crate) json: bool,
    pub(crate) keep: Option<PathBuf>,
    pub(crate) ledgers: Option<PathBuf>,
    pub(crate) file_systems: Vec<FileSystem>,
    pub(crate) rounds: Rounds,
}

/// How often each fault comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rounds {
    pub(crate) kill: u64,
    /// Each so-manieth operation.
    pub(crate) nth_stride: u64,
    pub(crate) cut: u64,
    pub(crate) full: u64,
    pub(crate) strace: u64,
}

const EACH: Rounds = Rounds { kill: 1_000, nth_stride: 1, cut: 50, full: 40, strace: 30 };
const OF_ALL: Rounds = Rounds { kill: 100, nth_stride: 20, cut: 5, full: 6, strace: 6 };

impl Args {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(given: impl IntoIterator<Item = OsString>) -> Result<Args, lexopt::Error> {
        let mut parser = lexopt::Parser::from_args(given);
        let name = match parser.next()? {
            Some(Value(word)) => word.string()?,
            Some(Short('h') | Long("help")) => return Ok(Args::Help),
            Some(other) => return Err(other.unexpected()),
            None => return Err("say which fault; `--help` lists them".into()),
        };
        let name = match name.as_str() {
            "worker" => return Ok(Args::Worker(Box::new(worker(&mut parser)?))),
            "kill" => Name::Kill,
            "nth" => Name::Nth,
            "cut" => Name::Cut,
            "full" => Name::Full,
            "strace" => Name::Strace,
            "all" => Name::All,
            other => return Err(format!("there is no fault `{other}`; `--help` lists them").into()),
        };
        fault(name, &mut parser)
    }
}

fn fault(name: Name, parser: &mut lexopt::Parser) -> Result<Args, lexopt::Error> {
    let rounds = if name == Name::All { OF_ALL } else { EACH };
    let mut asked =
        Asked { name, seed: clock(), json: false, keep: None, ledgers: None, file_systems: Vec::new(), rounds };
    while let Some(arg) = parser.next()? {
        match (arg, name) {
            (Short('h') | Long("help"), _) => return Ok(Args::Help),
            (Long("seed"), _) => asked.seed = parser.value()?.parse()?,
            (Long("json"), _) => asked.json = true,
            (Long("keep"), _) => asked.keep = Some(parser.value()?.into()),
            (Long("ledgers"), _) => asked.ledgers = Some(parser.value()?.into()),
            (Long("fs"), Name::Cut) => asked.file_systems.push(one_of(parser, &FileSystem::WITH_POWER)?),
            (Long("fs"), Name::Full) => asked.file_systems.push(one_of(parser, &FileSystem::SMALL)?),
            (Long("rounds" | "kill"), Name::Kill) | (Long("kill"), Name::All) => asked.rounds.kill = some(parser)?,
            (Long("stride" | "nth"), Name::Nth) | (Long("nth"), Name::All) => asked.rounds.nth_stride = some(parser)?,
            (Long("rounds" | "cut"), Name::Cut) | (Long("cut"), Name::All) => asked.rounds.cut = some(parser)?,
            (Long("rounds" | "full"), Name::Full) | (Long("full"), Name::All) => asked.rounds.full = some(parser)?,
            (Long("rounds" | "strace"), Name::Strace) | (Long("strace"), Name::All) => {
                asked.rounds.strace = some(parser)?;
            }
            (other, _) => return Err(other.unexpected()),
        }
    }
    Ok(Args::Fault(asked))
}

/// A number that is not zero: a fault that never comes proves nothing.
fn some(parser: &mut lexopt::Parser) -> Result<u64, lexopt::Error> {
    match parser.value()?.parse()? {
        0 => Err("the fault has to come at least once".into()),
        number => Ok(number),
    }
}

fn one_of(parser: &mut lexopt::Parser, known: &[FileSystem]) -> Result<FileSystem, lexopt::Error> {
    let name = parser.value()?.string()?;
    let found = known.iter().copied().find(|known| known.name() == name);
    found.ok_or_else(|| format!("`--fs` does not know `{name}` here").into())
}

fn worker(parser: &mut lexopt::Parser) -> Result<Work, lexopt::Error> {
    let mut work = Work { parallel: 8, steps: 6, ..Work::default() };
    while let Some(arg) = parser.next()? {
        match arg {
            Long("store") => work.store = parser.value()?.into(),
            Long("ledger") => work.ledger = parser.value()?.into(),
            Long("runs") => work.runs = parser.value()?.parse()?,
            Long("parallel") => work.parallel = parser.value()?.parse()?,
            Long("steps") => work.steps = parser.value()?.parse()?,
            Long("load") => work.load = parser.value()?.parse()?,
            Long("until-eof") => work.until_eof = true,
            Long("verify") => work.verify = true,
            Long("count") => work.count = true,
            Long("late-us") => work.late = Duration::from_micros(parser.value()?.parse()?),
            Long("die-before") => work.fatal = Some(Fatal::Before(parser.value()?.parse()?)),
            Long("die-after") => work.fatal = Some(Fatal::After(parser.value()?.parse()?)),
            Long("die-half") => work.fatal = Some(Fatal::Half(parser.value()?.parse()?)),
            other => return Err(other.unexpected()),
        }
    }
    Ok(work)
}

impl Work {
    /// The arguments behind the program's name that say this.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["worker".into(), "--store".into(), self.store.clone().into()];
        args.extend(["--ledger".into(), self.ledger.clone().into()]);
        let mut add = |name: &str, value: String| args.extend([name.into(), value.into()]);
        add("--runs", self.runs.to_string());
        add("--parallel", self.parallel.to_string());
        add("--steps", self.steps.to_string());
        add("--load", self.load.to_string());
        add("--late-us", self.late.as_micros().to_string());
        match self.fatal {
            Some(Fatal::Before(number)) => add("--die-before", number.to_string()),
            Some(Fatal::After(number)) => add("--die-after", number.to_string()),
            Some(Fatal::Half(number)) => add("--die-half", number.to_string()),
            None => {}
        }
        let flags = [("--until-eof", self.until_eof), ("--verify", self.verify), ("--count", self.count)];
        args.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.into()));
        args
    }
}

fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, lexopt::Error> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_worker_is_told_what_its_work_says() {
        let work = Work {
            store: "/s".into(),
            ledger: "/l".into(),
            runs: 1,
            parallel: 2,
            steps: 3,
            load: 4,
            until_eof: true,
            verify: true,
            count: true,
            fatal: Some(Fatal::Half(5)),
            late: Duration::from_micros(6),
        };
        let Ok(Args::Worker(parsed)) = Args::parse(work.to_args()) else { panic!("it is a worker") };
        assert_eq!(*parsed, work);
    }

    #[test]
    fn numbers_belong_to_their_fault() {
        let Ok(Args::Fault(kill)) = parse("kill --rounds 7 --seed 3 --json") else { panic!("it is a fault") };
        assert_eq!((kill.rounds.kill, kill.seed, kill.json), (7, 3, true));
        let Ok(Args::Fault(all)) = parse("all --kill 2 --cut 3") else { panic!("it is a fault") };
        assert_eq!(all.rounds, Rounds { kill: 2, cut: 3, ..OF_ALL });
    }

    #[test]
    fn wrong_use_is_told() {
        for wrong in ["", "melt", "kill --cut 3", "kill --rounds 0", "kill --rounds", "cut --fs ntfs", "full --fs xfs"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(parse("--help"), Ok(Args::Help)));
        assert!(matches!(parse("nth --help"), Ok(Args::Help)));
    }
}
