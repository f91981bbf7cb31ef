//! The other process of the tests in `tests/process`: opens a store and does what the lines on its standard input say, with a line
//! on standard output for each answer. It must never judge: it tells what it was told, and the test decides whether that holds.
//!
//! `probe STORE [LEDGER]` says `open PID` when the store is open. Then each line of input is one of
//! - `start ID chain STEPS`, `start ID gate`: says `started ID`, or `refused ID: WHY`;
//! - `begin ID ..`: the same, but the next line does not wait for the answer;
//! - `watch ID chain`, `watch ID gate`: says `ended ID VALUE`, `failed ID: WHY`, `store ID: WHY` or `unknown ID: WHY`, in its time;
//! - `signal ID VALUE`, to a gate: says `signalled ID`, or `refused ID: WHY`;
//! - `describe ID chain`: says `described ID STATUS`, or `refused ID: WHY`;
//! - `still`: says `still here`;
//! - `shutdown`: says `shut down`, or `not shut down: WHY`, and ends.
//!
//! At the end of the input it ends without a shutdown. What it says, and every attempt that begins, goes into the ledger too, one
//! write a line, so that the ledger has the order of all of it. Exit codes: 0, 2 for wrong arguments, 3 if the store is open
//! elsewhere, 4 if it does not open for another cause, 5 if the shutdown was not clean.

use std::fs::File;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use durable::prelude::*;
use durable::store::log;
use durable::{Failure, OpenError, Run, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const GO: Signal<String> = Signal::new("go");

/// Where everything is told.
#[derive(Clone)]
struct Ledger(Option<Arc<File>>);

impl Ledger {
    fn append(&self, line: &str) -> std::io::Result<()> {
        match &self.0 {
            Some(file) => file.as_ref().write_all(format!("{line}\n").as_bytes()),
            None => Ok(()),
        }
    }

    /// Says a line: in the ledger before on the output, so that nobody acts on what is not there yet.
    fn say(&self, line: &str) {
        self.append(line).expect("because the ledger is a plain file");
        println!("{line}");
    }
}

/// A step of a chain. Every second one is a task of its own before it ends; the others end in their first poll.
#[activity]
async fn mark(State(ledger): State<Ledger>, step: u32) -> Result<String, String> {
    let info = durable::activity::info();
    let (run, attempt) = (info.workflow_id, info.attempt);
    ledger.append(&format!("begin {run} {step} {attempt}")).map_err(|error| error.to_string())?;
    if step % 2 == 1 {
        tokio::task::yield_now().await;
    }
    Ok(format!("result-{run}-{step}"))
}

#[workflow]
async fn chain(steps: u32) -> durable::Result<String> {
    let mut last = String::new();
    for step in 0..steps {
        last = mark(step).await?;
    }
    Ok(last)
}

#[workflow]
async fn gate() -> durable::Result<String> {
    Ok(GO.recv().await)
}

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(store), ledger, None) = (args.next(), args.next(), args.next()) else {
        eprintln!("error: give a store and at most a ledger");
        return ExitCode::from(2);
    };
    let ledger = ledger.map(|path| File::options().append(true).create(true).open(path)).transpose();
    let ledger = match ledger {
        Ok(file) => Ledger(file.map(Arc::new)),
        Err(error) => {
            eprintln!("error: the ledger does not open: {error}");
            return ExitCode::from(2);
        }
    };
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
    tokio.expect("because a runtime of one thread needs nothing of the system").block_on(serve(store.into(), ledger))
}

async fn serve(store: PathBuf, ledger: Ledger) -> ExitCode {
    let builder = Runtime::builder(store).register((chain, mark, gate)).state(ledger.clone()).build_id("probe");
    let runtime = match builder.open().await {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: {error}");
            let is_open = matches!(error, OpenError::Store(log::OpenError::AlreadyOpen { .. }));
            return ExitCode::from(if is_open { 3 } else { 4 });
        }
    };
    ledger.say(&format!("open {}", std::process::id()));
    let mut lines = lines();
    while let Some(line) = lines.recv().await {
        let words: Vec<&str> = line.split_whitespace().collect();
        match *words.as_slice() {
            ["start", id, workflow, ref rest @ ..] => ledger.say(&start(&runtime, id, workflow, rest).await),
            ["begin", ..] => begin(&runtime, &line, &ledger),
            ["watch", id, workflow] => watch(&runtime, id, workflow, &ledger).await,
            ["signal", id, value] => ledger.say(&signal(&runtime, id, value).await),
            ["describe", id, workflow] => ledger.say(&describe(&runtime, id, workflow).await),
            ["still"] => ledger.say("still here"),
            ["shutdown"] => return shutdown(&runtime, &ledger).await,
            _ => {
                eprintln!("error: `{line}` is nothing that can be done");
                return ExitCode::from(2);
            }
        }
    }
    ExitCode::SUCCESS
}

/// The lines of the input; a thread reads them.
fn lines() -> UnboundedReceiver<String> {
    let (send, receive) = unbounded_channel();
    std::thread::spawn(move || {
        let lines = std::io::stdin().lock().lines();
        lines.map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    receive
}

async fn start(runtime: &Runtime, id: &str, workflow: &str, rest: &[&str]) -> String {
    let started = match (workflow, rest) {
        ("chain", [steps]) => match steps.parse() {
            Ok(steps) => runtime.start(chain(steps)).id(id).await.map(drop),
            Err(_) => return format!("refused {id}: `{steps}` is no number of steps"),
        },
        ("gate", []) => runtime.start(gate()).id(id).await.map(drop),
        _ => return format!("refused {id}: there is no such workflow"),
    };
    answer("started", id, started)
}

fn begin(runtime: &Runtime, line: &str, ledger: &Ledger) {
    let (runtime, line, ledger) = (runtime.clone(), line.to_owned(), ledger.clone());
    tokio::spawn(async move {
        if let ["begin", id, workflow, ref rest @ ..] = *line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ledger.say(&start(&runtime, id, workflow, rest).await);
        }
    });
}

async fn find(runtime: &Runtime, id: &str, workflow: &str) -> Result<Run<String, Failure>, durable::LookupError> {
    match workflow {
        "gate" => runtime.run(gate, id).await,
        _ => runtime.run(chain, id).await,
    }
}

async fn watch(runtime: &Runtime, id: &str, workflow: &str, ledger: &Ledger) {
    let run = match find(runtime, id, workflow).await {
        Ok(run) => run,
        Err(error) => return ledger.say(&format!("unknown {id}: {error}")),
    };
    let ledger = ledger.clone();
    tokio::spawn(async move {
        let id = run.id();
        ledger.say(&match run.result().await {
            Ok(value) => format!("ended {id} {value}"),
            Err(RunError::Store(reason)) => format!("store {id}: {reason}"),
            Err(error) => format!("failed {id}: {error}"),
        });
    });
}

async fn signal(runtime: &Runtime, id: &str, value: &str) -> String {
    match find(runtime, id, "gate").await {
        Ok(run) => answer("signalled", id, run.signal(GO, value.to_owned()).await),
        Err(error) => format!("refused {id}: {error}"),
    }
}

async fn describe(runtime: &Runtime, id: &str, workflow: &str) -> String {
    let described = match find(runtime, id, workflow).await {
        Ok(run) => run.status().await,
        Err(error) => Err(error),
    };
    match described {
        Ok(status) => format!("described {id} {status}"),
        Err(error) => format!("refused {id}: {error}"),
    }
}

async fn shutdown(runtime: &Runtime, ledger: &Ledger) -> ExitCode {
    match runtime.shutdown().await {
        Ok(()) => {
            ledger.say("shut down");
            ExitCode::SUCCESS
        }
        Err(error) => {
            ledger.say(&format!("not shut down: {error}"));
            ExitCode::from(5)
        }
    }
}

fn answer<E: std::fmt::Display>(done: &str, id: &str, answered: Result<(), E>) -> String {
    match answered {
        Ok(()) => format!("{done} {id}"),
        Err(error) => format!("refused {id}: {error}"),
    }
}
