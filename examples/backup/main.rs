//! A backup that can be killed at any moment: `cargo run --release --example backup -- --from DIR --to DIR`. Started again it goes
//! on where it was, and copies nothing twice that it has recorded as copied. One run copies the tree, a child run each file.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a program has the real disk and the real clock"
)]
#![allow(unreachable_pub, reason = "in a program `pub` says: for the other files")]

mod activities;
mod args;
mod effects;
mod files;
mod manifest;
mod path_text;
mod progress;
mod tree;
mod workflow;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, ensure};
use durable::{Run, Runtime, StartError};

use crate::args::{Args, HELP, NoArgs};
use crate::effects::Effects;
use crate::progress::Progress;
use crate::workflow::{Job, Summary};

/// There is one backup in a store.
const ID: &str = "backup";

const SOME_FAILED: u8 = 3;
const WRONG_ARGUMENTS: u8 = 2;
const STOPPED: u8 = 130;

#[tokio::main]
async fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
        Ok(args) => args,
        Err(NoArgs::Help) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(NoArgs::Wrong(what)) => {
            eprintln!("error: {what}; `--help` says what there is");
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    let places = match Places::prepare(&args) {
        Ok(places) => places,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(WRONG_ARGUMENTS);
        }
    };
    match go_on(&args, &places).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The directories, checked.
struct Places {
    from: PathBuf,
    to: PathBuf,
    store: PathBuf,
}

impl Places {
    fn prepare(args: &Args) -> anyhow::Result<Places> {
        let from = fs::canonicalize(&args.from).with_context(|| format!("--from {}", args.from.display()))?;
        fs::read_dir(&from).with_context(|| format!("--from {}", from.display()))?;
        fs::create_dir_all(&args.to).with_context(|| format!("--to {}", args.to.display()))?;
        let to = fs::canonicalize(&args.to).with_context(|| format!("--to {}", args.to.display()))?;
        let store = match &args.store {
            Some(store) => std::path::absolute(store).with_context(|| format!("--store {}", store.display()))?,
            None => beside(&to),
        };
        ensure!(!from.starts_with(&to) && !to.starts_with(&from), "--from and --to lie in each other");
        ensure!(!store.starts_with(&from) && !store.starts_with(&to), "--store lies in --from or --to");
        Ok(Places { from, to, store })
    }

    fn job(&self) -> Job {
        Job { from: self.from.as_path().into(), to: self.to.as_path().into() }
    }
}

fn beside(to: &Path) -> PathBuf {
    let mut store = to.as_os_str().to_owned();
    store.push(".durable");
    PathBuf::from(store)
}

/// Opens the store, and waits until its backup is done.
async fn go_on(args: &Args, places: &Places) -> anyhow::Result<ExitCode> {
    let effects = Effects::open(args.effects.as_deref(), args.crash_after).context("--effects")?;
    let progress = Progress::new();
    let runtime = Runtime::builder(&places.store)
        .register((workflow::backup, workflow::copy_file, workflow::copy_link))
        .register((activities::list, activities::make_dirs, activities::hash, activities::copy, activities::verify))
        .register((activities::link, activities::write_part, activities::join_parts))
        .state(effects)
        .state(progress.clone())
        .open()
        .await?;
    let run = match runtime.start(workflow::backup(places.job())).id(ID).await {
        Err(StartError::Conflict { .. }) => {
            let store = places.store.display();
            eprintln!(
                "error: {store} is the store of a backup from or to another directory; give each its own `--store`"
            );
            return Ok(ExitCode::from(WRONG_ARGUMENTS));
        }
        started => started?,
    };
    let was_done = run.status().await?.is_closed();
    let code = tokio::select! {
        code = end(&run, was_done, &progress) => code?,
        _ = tokio::signal::ctrl_c() => {
            progress.clear();
            eprintln!("stopped; started again it goes on");
            ExitCode::from(STOPPED)
        }
    };
    runtime.shutdown().await?;
    Ok(code)
}

async fn end(run: &Run<Summary, durable::Failure>, was_done: bool, progress: &Progress) -> anyhow::Result<ExitCode> {
    let ended = run.result_or_blocked().await;
    progress.clear();
    let Summary { files, bytes, directories, links, skipped, failed } = ended.context("the backup is blocked")??;
    if was_done {
        println!("nothing was left to do, this backup was finished before:");
    }
    println!(
        "copied {files} files ({bytes} bytes), {directories} directories, {links} links; {skipped} skipped, {failed} failed"
    );
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}
