//! Real faults, beside the simulated ones: processes that are killed, file systems whose power is cut, full disks, syncs that fail
//! or are late. A process works on a store and writes to a ledger elsewhere; when the fault is over, the store is opened anew and
//! what happened is held against the ledger. It must never help the store: it repairs nothing and restarts no recovery by hand.
//!
//! `real --help` says how; the figures of a run stand in its report.

mod args;
mod check;
mod cut;
mod disk;
mod full;
mod image;
mod kill;
mod ledger;
mod load;
mod nth;
mod report;
mod rig;
mod strace;
mod worker;

use std::io;
use std::process::ExitCode;
use std::time::Instant;

use durable_testkit::Rng;

use args::{Args, Asked, Name};
use image::FileSystem;
use report::{Report, Told};
use rig::Rig;

fn main() -> ExitCode {
    match Args::parse(std::env::args_os().skip(1)) {
        Ok(Args::Worker(work)) => worker::run(*work),
        Ok(Args::Fault(asked)) => fault(&asked),
        Ok(Args::Help) => {
            println!("{}", args::HELP);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn fault(asked: &Asked) -> ExitCode {
    match tell(asked) {
        Ok(report) => {
            match asked.json {
                true => println!("{}", report.to_json()),
                false => println!("{report}"),
            }
            ExitCode::from(u8::from(!report.has_held()))
        }
        Err(error) => {
            eprintln!("error: the rig itself failed: {error}");
            ExitCode::from(2)
        }
    }
}

/// Lets the faults come, and tells of them.
fn tell(asked: &Asked) -> io::Result<Report> {
    let rig = Rig::new(asked.keep.as_deref(), asked.ledgers.as_deref())?;
    let mut report = Report { seed: asked.seed, told: Vec::new(), is_everything_here: image::is_everything_here() };
    let mut rng = Rng::new(asked.seed);
    for fault in faults(asked) {
        let began = Instant::now();
        let mut told = fault(&rig, &mut rng.split())?;
        told.took = began.elapsed();
        report.told.push(told);
    }
    match report.told.iter().all(|told| told.violations.is_empty()) {
        true => rig.remove()?,
        false => eprintln!("kept for inspection: {}", rig.kept()),
    }
    Ok(report)
}

/// A fault that is to come.
type Fault<'a> = Box<dyn Fn(&Rig, &mut Rng) -> io::Result<Told> + 'a>;

fn faults(asked: &Asked) -> Vec<Fault<'_>> {
    let rounds = asked.rounds;
    let is_asked = |name| asked.name == name || asked.name == Name::All;
    let mut faults: Vec<Fault<'_>> = Vec::new();
    if is_asked(Name::Kill) {
        faults.push(Box::new(move |rig, rng| kill::run(rig, rounds.kill, rng)));
    }
    if is_asked(Name::Nth) {
        faults.push(Box::new(move |rig, rng| nth::run(rig, rounds.nth_stride, rng.next_u64())));
    }
    if is_asked(Name::Cut) {
        for file_system in file_systems(asked, &FileSystem::WITH_POWER) {
            faults.push(Box::new(move |rig, rng| cut::run(rig, file_system, rounds.cut, rng)));
        }
    }
    if is_asked(Name::Full) {
        for file_system in file_systems(asked, &FileSystem::SMALL[..1]) {
            faults.push(Box::new(move |rig, _| full::run(rig, file_system, rounds.full)));
        }
    }
    if is_asked(Name::Strace) {
        faults.push(Box::new(move |rig, _| strace::run(rig, rounds.strace)));
    }
    faults
}

fn file_systems(asked: &Asked, usual: &[FileSystem]) -> Vec<FileSystem> {
    if asked.file_systems.is_empty() { usual.to_vec() } else { asked.file_systems.clone() }
}
