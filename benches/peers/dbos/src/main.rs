//! DBOS Transact for Rust, over a Postgres that the script starts: both as they are shipped, and both set up for many workflows.

use dbos::{Config, DBOS, Error, RunOptions, WorkflowRef, sleep, step};
use peers_workload::{About, Case, Fault, Peer, Work, count, locked, measure};

async fn steps(_: ()) -> Result<u32, Error> {
    let mut sum = 0;
    for number in 0..Work::STEPS {
        sum += step("number", || async move { Ok::<_, Error>(count(number)) }).await?;
    }
    Ok(sum)
}

async fn timer(_: ()) -> Result<u32, Error> {
    sleep(Work::NAP).await?;
    Ok(0)
}

#[derive(Clone)]
struct Dbos {
    steps: WorkflowRef<(), u32>,
    timer: WorkflowRef<(), u32>,
}

impl Peer for Dbos {
    async fn run(&self, work: Work, id: String) -> Result<u32, Fault> {
        let options = RunOptions { workflow_id: Some(&id), ..RunOptions::default() };
        let workflow = match work {
            Work::Steps => &self.steps,
            Work::Timer => &self.timer,
        };
        Ok(workflow.run_with((), options).await?)
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let case = Case::from_args();
    let url = case.url.clone().ok_or("--url says where the database is")?;
    let shipped = Config { app_version: Some("1".into()), ..Config::new("peers", url) };
    let (config, durability) = match case.variant.as_str() {
        "as shipped" => (shipped, "Postgres as Debian ships it: fsync=on, synchronous_commit=on"),
        "tuned" => (
            Config { max_connections: 32, ..shipped },
            "Postgres with fsync=on, synchronous_commit=on; larger buffers and WAL",
        ),
        other => return Err(format!("no variant {other:?}").into()),
    };
    let dbos = DBOS::new(config);
    let peer = Dbos { steps: dbos.register_workflow("steps", steps)?, timer: dbos.register_workflow("timer", timer)? };
    dbos.launch().await?;
    let about =
        About { peer: "dbos", version: locked(include_str!("../Cargo.lock"), "dbos"), durability: durability.into() };
    measure(&case, &about, peer).await?;
    dbos.shutdown().await;
    Ok(())
}
