//! durare with its SQLite provider: as it is shipped, and with each commit synced.

use std::sync::Arc;
use std::time::Duration;

use durare::{DurableContext, DurableEngine, SqliteProvider, WorkflowOptions};
use peers_workload::{About, Case, Fault, Peer, Work, count, locked, measure};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

#[durare::step]
async fn number(ctx: &DurableContext, step: u32) -> durare::Result<u32> {
    Ok(count(step))
}

#[durare::workflow]
async fn steps(ctx: DurableContext, _nothing: ()) -> durare::Result<u32> {
    let mut sum = 0;
    for step in 0..Work::STEPS {
        sum += number(&ctx, step).await?;
    }
    Ok(sum)
}

#[durare::workflow]
async fn timer(ctx: DurableContext, _nothing: ()) -> durare::Result<u32> {
    ctx.sleep(Work::NAP).await?;
    Ok(0)
}

#[derive(Clone)]
struct Durare(Arc<DurableEngine>);

impl Peer for Durare {
    async fn run(&self, work: Work, id: String) -> Result<u32, Fault> {
        let options = WorkflowOptions::with_id(&id);
        let run = match work {
            Work::Steps => self.0.start_with(Steps, (), options).await?,
            Work::Timer => self.0.start_with(Timer, (), options).await?,
        };
        Ok(run.await?)
    }
}

/// What the provider sets by itself, but for the synchronous mode, the wait for a lock and the size of the pool.
async fn provider(case: &Case) -> Result<(SqliteProvider, &'static str), Fault> {
    let file = case.dir.join("durare.db");
    match case.variant.as_str() {
        "as shipped" => {
            let provider = SqliteProvider::connect(&format!("sqlite://{}", file.display())).await?;
            Ok((provider, "SQLite WAL, synchronous=NORMAL: a power cut takes commits"))
        }
        "FULL" => Ok((synced(&file, 5).await?, "SQLite WAL, synchronous=FULL: each commit synced")),
        "FULL, tuned" => Ok((synced(&file, 1).await?, "SQLite WAL, synchronous=FULL: each commit synced")),
        other => Err(format!("no variant {other:?}").into()),
    }
}

async fn synced(file: &std::path::Path, connections: u32) -> Result<SqliteProvider, Fault> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(60));
    let pool = SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_secs(60))
        .connect_with(options)
        .await?;
    Ok(SqliteProvider::from_pool(pool))
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let case = Case::from_args();
    let (provider, durability) = provider(&case).await?;
    let engine = DurableEngine::builder(Arc::new(provider)).build().await?;
    let about = About {
        peer: "durare",
        version: locked(include_str!("../Cargo.lock"), "durare"),
        durability: durability.into(),
    };
    measure(&case, &about, Durare(Arc::new(engine))).await?;
    Ok(())
}
