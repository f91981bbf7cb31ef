//! The kill rig: starts the `backup` example, kills it with `kill -9` at a drawn moment, starts it again, until it is done; then
//! compares what it left with what it had to do. Real processes, a real disk, real time: `cargo run --release -p durable-testkit
//! --bin kill -- --kills 300 --stores 20 --files 2000`.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program has the real disk and the real clock"
)]

mod args;
mod check;
mod cycle;
mod index;
mod tree;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use durable_testkit::Rng;

use crate::args::{Args, HELP, NoArgs};
use crate::cycle::{Cycle, Told};
use crate::index::Damage;

/// After so many stores with a violation the rig has seen enough.
const VIOLATED_STORES_MAX: u64 = 3;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(NoArgs::Help) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(NoArgs::Wrong(what)) => {
            eprintln!("error: {what}; `--help` says what there is");
            return ExitCode::from(2);
        }
    };
    match rig(&args) {
        Ok(Verdict::Held) => ExitCode::SUCCESS,
        Ok(Verdict::Violated) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: the rig itself failed: {error}");
            ExitCode::from(2)
        }
    }
}

/// What came out.
enum Verdict {
    Held,
    Violated,
}

fn rig(args: &Args) -> io::Result<Verdict> {
    let began = Instant::now();
    let example = match &args.example {
        Some(path) => path.clone(),
        None => build_example()?,
    };
    let base = base(args)?;
    let from = base.join("from");
    let mut rng = Rng::new(args.seed);
    let built = tree::build(&from, args.files, &mut rng.split())?;
    println!("seed {}: {built}, in {}", args.seed, base.display());

    let mut total = Told::default();
    let undisturbed = Cycle::new(&example, &from, base.join("undisturbed"))?;
    let (span, told) = undisturbed.undisturbed()?;
    println!("undisturbed: {:.2} s", span.as_secs_f64());
    finish(&undisturbed, told, &mut total)?;

    let window = span.mul_f64(f64::from(args.window) / 100.0).max(Duration::from_millis(1));
    let (mut stores, mut violated) = (0, 0);
    while violated < VIOLATED_STORES_MAX && (stores < args.stores || total.kills < args.kills) {
        stores += 1;
        let cycle = Cycle::new(&example, &from, base.join(format!("store-{stores}")))?;
        let told = cycle.killed_until_done(window, args.index, &mut rng.split())?;
        println!("store {stores}: {told}");
        violated += u64::from(!told.violations.is_empty());
        finish(&cycle, told, &mut total)?;
    }
    println!("in all: {stores} stores, {total}; seed {}, {:.0} s", args.seed, began.elapsed().as_secs_f64());
    if total.violations.is_empty() {
        fs::remove_dir_all(&base)?;
        return match args.index != Damage::None && total.damaged == 0 {
            true => Err(io::Error::other("no index was there to damage, so nothing was tested of it")),
            false => Ok(Verdict::Held),
        };
    }
    total.violations.iter().for_each(|violation| eprintln!("violation: {violation}"));
    eprintln!("kept for inspection: {}", base.display());
    Ok(Verdict::Violated)
}

/// Adds what a store told; one without a violation is removed.
fn finish(cycle: &Cycle, told: Told, total: &mut Told) -> io::Result<()> {
    if told.violations.is_empty() {
        fs::remove_dir_all(cycle.dir())?;
    }
    total.add(told);
    Ok(())
}

/// A directory of this rig's own.
fn base(args: &Args) -> io::Result<PathBuf> {
    let parent = args.keep.clone().unwrap_or_else(std::env::temp_dir);
    let base = parent.join(format!("durable-kill-{}", std::process::id()));
    fs::create_dir_all(&base)?;
    fs::canonicalize(base)
}

/// Builds the example, in the profile of the rig, and gives its path beside the rig's own. With the whole workspace in view, as the rig most often was
/// built, nothing is built twice.
fn build_example() -> io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let dir = own.parent().unwrap_or(Path::new("."));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--workspace", "--example", "backup"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    if !cfg!(debug_assertions) {
        build.arg("--release");
    }
    match build.status()?.success() {
        true => Ok(dir.join("examples").join("backup")),
        false => Err(io::Error::other("the backup example does not build")),
    }
}
