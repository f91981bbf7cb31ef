//! The whole story: four orders, each started as often as its process crashes, against one world outside that lives all the time.
//! At the end the world's own ledger is compared with what should stand. It starts processes and looks at the ledger, no more.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::process::Command;

use crate::run::LEDGER;
use crate::service::ledger::{self, Effect, Kind, Line};
use crate::service::{self, euros};

const KINDS: [Kind; 3] = [Kind::Hold, Kind::Charge, Kind::Parcel];

/// What happens to one order.
struct Act {
    title: &'static str,
    order: &'static str,
    starts: &'static [Start],
    leaves: Leaves,
}

/// One process.
struct Start {
    /// Nobody runs for so long before.
    after: Duration,
    args: &'static [&'static str],
    ends: Ends,
}

/// How a process ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Crashed,
    Done,
    Undone,
}

/// What stands outside in the end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaves {
    /// One of each kind.
    All,
    Nothing,
}

const fn start(args: &'static [&'static str], ends: Ends) -> Start {
    Start { after: Duration::ZERO, args, ends }
}

const STORY: [Act; 4] = [
    Act {
        title: "The bank fails, then does not answer. The shop crashes three times, and sells.",
        order: "order-1",
        starts: &[
            start(&["--card", "flaky", "--crash-at", "charge"], Ends::Crashed),
            start(&["--crash-at", "approval"], Ends::Crashed),
            start(&["--approve", "--crash-at", "ship"], Ends::Crashed),
            start(&[], Ends::Done),
        ],
        leaves: Leaves::All,
    },
    Act {
        title: "The bank declines the card: that is final, and what was held is released.",
        order: "order-2",
        starts: &[start(&["--card", "declined"], Ends::Undone)],
        leaves: Leaves::Nothing,
    },
    Act {
        title: "Nobody approves in time, also because nobody runs. All is undone, newest first, through a crash.",
        order: "order-3",
        starts: &[
            start(&["--within", "2", "--crash-at", "approval"], Ends::Crashed),
            Start { after: Duration::from_secs(2), args: &["--crash-at", "refund"], ends: Ends::Crashed },
            start(&[], Ends::Undone),
        ],
        leaves: Leaves::Nothing,
    },
    Act {
        title: "The customer cancels while the bank does not answer: nobody knows whether there is something to refund.",
        order: "order-4",
        starts: &[start(&["--card", "silent", "--cancel-at", "charge"], Ends::Undone)],
        leaves: Leaves::Nothing,
    },
];

/// Tells it, in this directory or in a temporary one.
pub async fn tell(dir: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let begin = Instant::now();
    let temporary = if dir.is_none() { Some(tempfile::Builder::new().prefix("checkout").tempdir()?) } else { None };
    let dir = dir.or(temporary.as_ref().map(|dir| dir.path().to_path_buf())).context("no directory")?;
    fs::create_dir_all(&dir).with_context(|| format!("--dir {}", dir.display()))?;
    ensure!(fs::read_dir(&dir)?.next().is_none(), "{} is not empty: the story begins with nothing", dir.display());
    let outside = service::start(&dir.join(LEDGER)).await.context("the world outside")?;
    for act in &STORY {
        play(act, &dir, outside).await?;
    }
    let lines = ledger::read(&dir.join(LEDGER))?;
    println!("\n== What the world outside has in its ledger\n");
    STORY.iter().for_each(|act| println!("  {}", row(act, &lines)));
    let wrong: Vec<String> = STORY.iter().flat_map(|act| wrong(act, &lines)).collect();
    ensure!(wrong.is_empty(), "the ledger is not as it should be: {}", wrong.join("; "));
    println!("\nNothing was done twice, and nothing stands that should not. That took {:.1?}.", begin.elapsed());
    Ok(ExitCode::SUCCESS)
}

async fn play(act: &Act, dir: &Path, outside: SocketAddr) -> anyhow::Result<()> {
    println!("\n== {}", act.title);
    for start in act.starts {
        if !start.after.is_zero() {
            println!("\nThe shop is closed for {:?}.", start.after);
            tokio::time::sleep(start.after).await;
        }
        let args = [&["--order", act.order], start.args].concat();
        println!("\n$ checkout {}", args.join(" "));
        let mut command = Command::new(std::env::current_exe()?);
        command.args(args).arg("--dir").arg(dir).arg("--service").arg(outside.to_string());
        let status = command.kill_on_drop(true).status().await?;
        ensure!(ended(status) == Some(start.ends), "this process should have ended otherwise: {status}");
    }
    Ok(())
}

fn ended(status: ExitStatus) -> Option<Ends> {
    match status.code() {
        Some(0) => Some(Ends::Done),
        Some(3) => Some(Ends::Undone),
        Some(_) => None,
        None => Some(Ends::Crashed),
    }
}

/// What was done for an order, and what of it was undone.
fn row(act: &Act, lines: &[Line]) -> String {
    let done: Vec<String> = of(act, lines).map(|effect| shown(effect, lines)).collect();
    format!("{}  {}", act.order, done.join(", "))
}

fn shown(effect: &Effect, lines: &[Line]) -> String {
    let amount = if effect.cents == 0 { String::new() } else { format!(" of {}", euros(effect.cents)) };
    let undone = if ledger::is_undone(lines, &effect.id) { " (undone)" } else { "" };
    format!("{}{amount}{undone}", effect.id)
}

/// What should not be as it is.
fn wrong(act: &Act, lines: &[Line]) -> Vec<String> {
    let mut wrong = Vec::new();
    for kind in KINDS {
        let made: Vec<&Effect> = of(act, lines).filter(|effect| effect.kind == kind).collect();
        let standing = made.iter().filter(|effect| !ledger::is_undone(lines, &effect.id)).count();
        if made.len() > 1 {
            wrong.push(format!("{} has {} {kind}s", act.order, made.len()));
        }
        if (standing == 1) != (act.leaves == Leaves::All) {
            wrong.push(format!("{} has {standing} {kind}s that stand", act.order));
        }
    }
    wrong
}

fn of<'a>(act: &Act, lines: &'a [Line]) -> impl Iterator<Item = &'a Effect> {
    ledger::effects(lines).filter(move |effect| effect.order == act.order)
}
