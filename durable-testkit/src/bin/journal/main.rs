//! The `journal` program: shows the journals of a store's runs, writes them to files, and makes replay tests of them. It only reads the
//! store: `cargo run -p durable-testkit --bin journal -- list STORE`.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "a program has the real disk")]

mod args;
mod as_test;
mod files;
mod shown;

use std::process::ExitCode;

use durable::journal::RunJournal;
use durable::{Description, LookupError, ReadOnly, Runtime};

use crate::args::{Args, Command, HELP, NoArgs, Print};
use crate::files::Files;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args_os().skip(1)) {
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let done = runtime.map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(run(&args)));
    match done {
        Ok(text) => files::print(&text),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Does what was asked for; gives what is to be printed.
async fn run(args: &Args) -> Result<String, String> {
    let store = Runtime::open_read_only(&args.store).await.map_err(|error| error.to_string())?;
    for rot in store.damage() {
        eprintln!("warning: the store is damaged, what is whole is served: {rot}");
    }
    match &args.command {
        Command::List => list(&store, args.print).await,
        Command::Show { run } => {
            let journal = journal(&store, &args.namespace, run).await?;
            match args.print {
                Print::Json => Ok(journal.to_string()),
                Print::ForPeople => Ok(shown::journal(&journal)),
            }
        }
        Command::Export { run } => export(&journal(&store, &args.namespace, run).await?, args),
        Command::AsTest { run } => as_test::write(&journal(&store, &args.namespace, run).await?, args),
    }
}

async fn list(store: &ReadOnly, print: Print) -> Result<String, String> {
    let runs = store.all_runs().await.map_err(|error| error.to_string())?;
    match print {
        Print::Json => {
            let lines: Result<Vec<String>, _> = runs.iter().map(serde_json::to_string::<Description>).collect();
            lines.map(|lines| lines.iter().map(|line| format!("{line}\n")).collect()).map_err(|error| error.to_string())
        }
        Print::ForPeople => Ok(shown::runs(&runs)),
    }
}

/// The journal of the run of this workflow id, or of this identity.
async fn journal(store: &ReadOnly, namespace: &str, run: &str) -> Result<RunJournal, String> {
    let events = match (store.journal(namespace, run).await, run.parse()) {
        (Err(LookupError::NotFound { .. }), Ok(run)) => store.journal_of(run).await,
        (found, _) => found,
    };
    RunJournal::new(events.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}

fn export(journal: &RunJournal, args: &Args) -> Result<String, String> {
    let Some(path) = &args.to else { return Ok(journal.to_string()) };
    Files::new(args.existing).with(path.clone(), journal.to_string()).write()?;
    Ok(format!("wrote {}: {} events of run `{}`\n", path.display(), journal.events().len(), journal.started().id))
}
