//! The torture program: plays cases of seeds on two threads, makes those that fail small, and prints one report. `--planted` builds it
//! anew with the planted bugs in it and says how many seeds each took.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program has the real clock, threads and processes"
)]

use std::io::IsTerminal;
use std::num::NonZero;
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use durable_testkit::explore;
use durable_testkit::torture::{Case, Log, Planted, Report, Runs, Verdict, shrink};
use lexopt::prelude::*;

const HELP: &str = "\
torture [--seconds S | --seeds FROM..TO] [--seed N] [--json]
    plays seeds, two at a time, for so long (60 s) from seed N (1), and prints a report; with --seconds a third of
    the time goes to crashes of the log alone, and at most a third to small workflows, crashed wherever they can be
torture --repro CASE | --trace SEED
    plays one case, as a violation prints it, or that of a seed, and prints what happened
torture --traces COUNT [--seed N]
    prints one hash for each seed: the same in debug and release, with logging and without
torture --planted [--bugs N,N,..] [--seeds FROM..TO] [--json]
    builds itself with the planted bugs, says how many seeds each takes, and plays seeds (1..20001) without any";

/// Within how many seeds a planted bug has to be caught, and how many are clean without any.
const PLANTED_SEEDS_MAX: u64 = 20_000;

/// How many plays a failing case may take to become small, and how long.
const SHRINK_PLAYS_MAX: usize = 400;
const SHRINK_TIME_MAX: Duration = Duration::from_secs(15);

/// One part in so many of the time goes to the log alone, and one to whole runs.
const SHARE: u32 = 3;

const THREADS: NonZero<usize> = NonZero::new(2).expect("two");

/// After so many violations the rest is not wanted.
const VIOLATIONS_MAX: usize = 5;

enum Wanted {
    Report,
    Repro(String),
    Trace,
    Traces(u64),
    Planted,
    PlantedHere,
    PlantedBug(u16),
    Help,
}

struct Args {
    wanted: Wanted,
    from: u64,
    to: Option<u64>,
    seconds: u64,
    json: bool,
    bugs: Vec<u16>,
}

fn args() -> Result<Args, lexopt::Error> {
    let mut args = Args { wanted: Wanted::Report, from: 1, to: None, seconds: 60, json: false, bugs: Vec::new() };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seed") => args.from = parser.value()?.parse()?,
            Long("seeds") => {
                let value = parser.value()?.string()?;
                let (from, to) = value.split_once("..").ok_or("seeds are FROM..TO")?;
                args.from = from.parse().map_err(|_| "seeds are numbers")?;
                args.to = Some(to.parse().map_err(|_| "seeds are numbers")?);
            }
            Long("seconds") => args.seconds = parser.value()?.parse()?,
            Long("json") => args.json = true,
            Long("repro") => args.wanted = Wanted::Repro(parser.value()?.string()?),
            Long("trace") => {
                args.from = parser.value()?.parse()?;
                args.wanted = Wanted::Trace;
            }
            Long("traces") => args.wanted = Wanted::Traces(parser.value()?.parse()?),
            Long("planted") => args.wanted = Wanted::Planted,
            Long("planted-here") => args.wanted = Wanted::PlantedHere,
            Long("planted-bug") => args.wanted = Wanted::PlantedBug(parser.value()?.parse()?),
            Long("bugs") => {
                let value = parser.value()?.string()?;
                let bugs: Result<Vec<u16>, _> = value.split(',').map(str::parse).collect();
                args.bugs = bugs.map_err(|_| "bugs are numbers")?;
            }
            Short('h') | Long("help") => args.wanted = Wanted::Help,
            other => return Err(other.unexpected()),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("error: {error}; `--help` says what there is");
            return ExitCode::from(2);
        }
    };
    match &args.wanted {
        Wanted::Help => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        Wanted::Report => report(&args, None),
        Wanted::Trace => told(&Case::draw(args.from)),
        Wanted::Repro(text) => match serde_json::from_str::<Case>(text) {
            Ok(case) => told(&case),
            Err(error) => {
                eprintln!("error: this is no case: {error}");
                ExitCode::from(2)
            }
        },
        Wanted::Traces(count) => {
            (args.from..args.from + count).for_each(|seed| println!("{seed} {:016x}", Case::draw(seed).check().trace));
            ExitCode::SUCCESS
        }
        Wanted::Planted => planted(),
        Wanted::PlantedHere => planted_here(args),
        Wanted::PlantedBug(number) => bugs::one(*number),
    }
}

/// Plays one case and prints what happened.
fn told(case: &Case) -> ExitCode {
    let verdict = case.check();
    println!("to repeat it: {}", repro(case));
    verdict.lines.iter().for_each(|line| println!("{line}"));
    println!("trace {:016x}", verdict.trace);
    verdict.wrong.iter().for_each(|wrong| println!("VIOLATED: {wrong}"));
    ExitCode::from(u8::from(!verdict.wrong.is_empty()))
}

/// The line that repeats it. No text of a case has a quote in it.
fn repro(case: &Case) -> String {
    let text = serde_json::to_string(case).expect("because a case is plain data");
    format!("cargo run --release -p durable-testkit --bin torture -- --repro '{text}'")
}

fn report(args: &Args, planted: Option<Planted>) -> ExitCode {
    let begun = Instant::now();
    let wanted = args.to.is_none().then(|| Duration::from_secs(args.seconds));
    let log = wanted.map(|wanted| explore_log(args.from, wanted / SHARE));
    let runs = wanted.map(|wanted| explore_runs(wanted / SHARE));
    let apart = begun.elapsed();
    let report = Mutex::new(Report { seeds: (args.from, args.from), log, runs, planted, ..Report::default() });
    let next = AtomicU64::new(args.from);
    let until = wanted.map(|wanted| begun + wanted);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let is_over = || until.is_some_and(|until| Instant::now() >= until);
                while !is_over() && lock(&report).violations.len() < VIOLATIONS_MAX {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if args.to.is_some_and(|to| seed >= to) {
                        break;
                    }
                    judged(seed, &Case::draw(seed).check(), &report);
                }
            });
        }
    });
    let mut report = report.into_inner().expect("because no thread panics");
    report.seconds = (begun.elapsed() - apart).as_secs_f64();
    report.violations.sort_unstable();
    match args.json {
        true => println!("{}", serde_json::to_string(&report).expect("because a report is plain data")),
        false => print!("{report}"),
    }
    ExitCode::from(u8::from(report.violated() > 0))
}

/// Crashes of the log alone, for so long, on two threads.
fn explore_log(seed: u64, wanted: Duration) -> Log {
    let begun = Instant::now();
    let report = Mutex::new(explore::Report::default());
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let report = &report;
            scope.spawn(move || {
                let mut torture = explore::Torture::new(seed + thread, 2);
                let explored = torture.run_for(|| begun.elapsed() < wanted);
                report.lock().expect("because no thread panics").add(explored);
            });
        }
    });
    let report = report.into_inner().expect("because no thread panics");
    report.failures.iter().for_each(|failure| eprintln!("the log is violated, {failure}"));
    Log { report, seconds: begun.elapsed().as_secs_f64() }
}

/// Whole runs, each crashed at every operation and in its recovery again, for so long. Each has its share of the time that is left: what
/// one does not need goes to those behind it.
fn explore_runs(wanted: Duration) -> Runs {
    let begun = Instant::now();
    let scenarios = explore::runs::catalogue();
    let all = scenarios.len();
    let crashes_a_second = crashes_a_second(&explore::runs::ten_steps(), wanted / 20);
    let explored = scenarios.iter().enumerate().map(|(number, scenario)| {
        let shares: u32 = scenarios[number..].iter().map(|scenario| scenario.share).sum();
        let (begin, left) = (Instant::now(), wanted.saturating_sub(begun.elapsed()));
        scenario.explore_while(THREADS, || begin.elapsed() < left * scenario.share / shares)
    });
    Runs { explored: explored.collect(), all, crashes_a_second, seconds: begun.elapsed().as_secs_f64() }
}

/// How often in a second a scenario is crashed, recovered and finished, on all threads; tried for so long.
fn crashes_a_second(scenario: &explore::runs::Scenario, wanted: Duration) -> f64 {
    let begun = Instant::now();
    let finished = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..THREADS.get() {
            scope.spawn(|| {
                finished.fetch_add(scenario.crash_and_finish(|| begun.elapsed() < wanted), Ordering::Relaxed);
            });
        }
    });
    finished.into_inner() as f64 / begun.elapsed().as_secs_f64()
}

fn lock(report: &Mutex<Report>) -> std::sync::MutexGuard<'_, Report> {
    report.lock().expect("because no thread panics")
}

fn judged(seed: u64, verdict: &Verdict, report: &Mutex<Report>) {
    let mut all = lock(report);
    all.add(verdict.counts);
    all.seeds.1 = all.seeds.1.max(seed + 1);
    if all.played.is_multiple_of(1_000) && std::io::stderr().is_terminal() {
        eprint!("\r{} seeds, {} crashes ", all.played, all.crashes);
    }
    if verdict.wrong.is_empty() {
        return;
    }
    all.violations.push(seed);
    drop(all);
    eprintln!("seed {seed} is violated: {}", verdict.wrong[0]);
    let begun = Instant::now();
    let small = shrink(&Case::draw(seed), SHRINK_PLAYS_MAX, |case| {
        begun.elapsed() < SHRINK_TIME_MAX && case.check().is_like(verdict)
    });
    let verdict = small.check();
    let _whole = std::io::stderr().lock();
    eprintln!("seed {seed} is violated; made small:");
    verdict.lines.iter().for_each(|line| eprintln!("  {line}"));
    verdict.wrong.iter().for_each(|wrong| eprintln!("VIOLATED: {wrong}"));
    eprintln!("to repeat it: {}", repro(&small));
}

/// Builds this program with the planted bugs in it, in a folder of its own, and runs them.
fn planted() -> ExitCode {
    let flags = format!("{} --cfg planted", std::env::var("RUSTFLAGS").unwrap_or_default());
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(["run", "--release", "--quiet", "-p", "durable-testkit", "--bin", "torture"]);
    command.args(["--target-dir", "target/planted", "--", "--planted-here"]).env("RUSTFLAGS", flags);
    // What this program was told, that one is told as well.
    command.args(std::env::args_os().skip(1).filter(|arg| arg != "--planted"));
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: cargo does not run: {error}");
            ExitCode::from(2)
        }
    }
}

/// In a build that has the planted bugs: what each takes, and the seeds without any.
fn planted_here(args: Args) -> ExitCode {
    let Some(planted) = bugs::all(&args.bugs) else { return planted_not_run() };
    let to = args.to.or(Some(args.from + PLANTED_SEEDS_MAX));
    report(&Args { to, ..args }, Some(planted))
}

fn planted_not_run() -> ExitCode {
    eprintln!("planted bugs: not run, this build has none");
    ExitCode::from(2)
}

/// What only a build with the planted bugs does.
#[cfg(not(planted))]
mod bugs {
    use std::process::ExitCode;

    use durable_testkit::torture::Planted;

    pub(super) fn all(_wanted: &[u16]) -> Option<Planted> {
        None
    }

    pub(super) fn one(_number: u16) -> ExitCode {
        super::planted_not_run()
    }
}

/// The planted bugs: `torture --planted` in a build that has them.
#[cfg(planted)]
mod bugs {
    use std::process::{Command, ExitCode};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use durable::planted::{ALL, Bug, choose, met};
    use durable_testkit::explore;
    use durable_testkit::torture::{By, Case, Caught, Planted};

    use super::{PLANTED_SEEDS_MAX, THREADS};

    /// How long a play may take by the real clock. The longest without a bug takes a few seconds.
    const PLAY_MAX: Duration = Duration::from_secs(300);

    /// Plays seeds with each of these bugs until it is caught. A bug is chosen for a whole process, so each has one of its own: a play that
    /// would never end ends with it.
    pub(super) fn all(wanted: &[u16]) -> Option<Planted> {
        let mut planted = Planted::default();
        for bug in ALL.iter().filter(|bug| wanted.is_empty() || wanted.contains(&bug.number)) {
            let caught = in_a_process_of_its_own(*bug);
            eprintln!("{caught}");
            planted.bugs.push(caught);
        }
        // What comes behind is played without any.
        choose(None);
        Some(planted)
    }

    fn in_a_process_of_its_own(bug: Bug) -> Caught {
        let this = std::env::current_exe().expect("because this program runs");
        let output = Command::new(this).args(["--planted-bug", &bug.number.to_string()]).output();
        let output = output.expect("because a program that runs can be run again");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| {
            eprintln!("bug {} ended its process: {}", bug.number, output.status);
            caught(bug, 0, None)
        })
    }

    fn caught(bug: Bug, seeds: u64, by: Option<(u64, By)>) -> Caught {
        Caught { number: bug.number, name: bug.name.to_owned(), by, seeds, met: met() }
    }

    /// Plays seeds with the bug of this number, and prints what came of it as JSON.
    pub(super) fn one(number: u16) -> ExitCode {
        let Some(bug) = Bug::numbered(number) else {
            eprintln!("error: there is no planted bug {number}");
            return ExitCode::from(2);
        };
        std::panic::set_hook(Box::new(|_| {}));
        choose(Some(bug));
        let next = AtomicU64::new(1);
        let found: Mutex<Option<(u64, By)>> = Mutex::new(None);
        let lock = || found.lock().expect("because no thread panics with it");
        std::thread::scope(|scope| {
            for _ in 0..THREADS.get() {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed > PLANTED_SEEDS_MAX || lock().is_some() {
                            break;
                        }
                        let over = watch(bug, seed);
                        let by = catch(bug, seed);
                        drop(over);
                        let mut found = lock();
                        if let Some(by) = by
                            && found.as_ref().is_none_or(|(before, _)| seed < *before)
                        {
                            *found = Some((seed, by));
                        }
                    }
                });
            }
        });
        let found = found.into_inner().expect("because no thread panics with it");
        tell(&caught(bug, next.into_inner() - 1, found));
        ExitCode::SUCCESS
    }

    /// What sees the bug in the case of a seed; for a bug of the log, in the seed's scenario of the log alone as well.
    fn catch(bug: Bug, seed: u64) -> Option<By> {
        let verdict = Case::draw(seed).check();
        if let Some(wrong) = verdict.wrong.into_iter().next() {
            return Some(if verdict.is_cut { By::Limit(wrong) } else { By::Runs(wrong) });
        }
        if !bug.files.iter().any(|file| file.starts_with("store/") || file.starts_with("codec/")) {
            return None;
        }
        let report = explore::Torture::new(seed, 1).unshrunk().step();
        report.failures.into_iter().next().map(|failure| By::Log(failure.what))
    }

    /// While what is returned lives, a play is played; one that takes too long ends the process, which tells so.
    fn watch(bug: Bug, seed: u64) -> std::sync::mpsc::Sender<()> {
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            if is_over.recv_timeout(PLAY_MAX) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                let by = By::Limit(format!("the play was not over after {PLAY_MAX:?} of real time"));
                tell(&caught(bug, seed, Some((seed, by))));
                std::process::exit(0);
            }
        });
        over
    }

    fn tell(caught: &Caught) {
        println!("{}", serde_json::to_string(caught).expect("because it is plain data"));
    }
}
