//! duroxide with its SQLite provider: as it is shipped, with each commit synced, and with that and one worker of each kind that looks for work
//! more often, while who waits for a workflow does not look for it before it has returned.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use duroxide::providers::sqlite::SqliteProvider;
use duroxide::runtime::registry::ActivityRegistry;
use duroxide::runtime::{Runtime, RuntimeOptions};
use duroxide::{ActivityContext, Client, OrchestrationContext, OrchestrationRegistry, OrchestrationStatus};
use peers_workload::{About, Case, Fault, Peer, Work, count, locked, measure};
use tokio::sync::Notify;

async fn steps(context: OrchestrationContext, _: String) -> Result<String, String> {
    let mut sum = 0;
    for step in 0..Work::STEPS {
        let number: u32 = context.schedule_activity_typed("number", &step).await?;
        sum += number;
    }
    RETURNED.of(&context.instance_id()).notify_one();
    Ok(sum.to_string())
}

async fn timer(context: OrchestrationContext, _: String) -> Result<String, String> {
    context.schedule_timer(Work::NAP).await;
    RETURNED.of(&context.instance_id()).notify_one();
    Ok("0".into())
}

/// duroxide's own wait asks the store again and again, which keeps the store from its work when hundreds wait.
static RETURNED: LazyLock<Returned> = LazyLock::new(Returned::default);

#[derive(Default)]
struct Returned(Mutex<BTreeMap<String, Arc<Notify>>>);

impl Returned {
    fn of(&self, id: &str) -> Arc<Notify> {
        self.0.lock().expect("no holder panics").entry(id.to_owned()).or_default().clone()
    }
}

#[derive(Clone)]
struct Duroxide {
    client: Arc<Client>,
    wait: Wait,
}

#[derive(Clone, Copy, PartialEq)]
enum Wait {
    /// As its documentation does.
    Asking,
    /// Asks when the workflow's function has returned: soon after that, the store says so too.
    Told,
}

impl Peer for Duroxide {
    async fn run(&self, work: Work, id: String) -> Result<u32, Fault> {
        let name = match work {
            Work::Steps => "steps",
            Work::Timer => "timer",
        };
        self.client.start_orchestration(&id, name, "").await.map_err(|error| format!("{error:?}"))?;
        if self.wait == Wait::Told {
            RETURNED.of(&id).notified().await;
        }
        // It asks the store again and again, at first after 5 ms, in the end every 100 ms.
        let ended = self.client.wait_for_orchestration(&id, Duration::from_secs(600)).await;
        match ended.map_err(|error| format!("{error:?}"))? {
            OrchestrationStatus::Completed { output, .. } => Ok(output.parse()?),
            other => Err(format!("ended as {other:?}").into()),
        }
    }
}

struct Setting {
    options: RuntimeOptions,
    synced: bool,
    wait: Wait,
}

fn setting(variant: &str) -> Result<Setting, Fault> {
    // Where several write, they find the database locked and back off for 200 ms and longer.
    let tuned = RuntimeOptions {
        dispatcher_min_poll_interval: Duration::from_millis(1),
        orchestration_concurrency: 1,
        worker_concurrency: 1,
        ..RuntimeOptions::default()
    };
    match variant {
        "as shipped" => Ok(Setting { options: RuntimeOptions::default(), synced: false, wait: Wait::Asking }),
        "FULL" => Ok(Setting { options: RuntimeOptions::default(), synced: true, wait: Wait::Asking }),
        "FULL, tuned" => Ok(Setting { options: tuned, synced: true, wait: Wait::Told }),
        other => Err(format!("no variant {other:?}").into()),
    }
}

/// Sets the synchronous mode on every connection of the provider's pool, which offers no way to set it when it opens them.
async fn sync_all(store: &SqliteProvider) -> Result<(), Fault> {
    let pool = store.get_pool();
    let mut connections = Vec::new();
    for _ in 0..pool.options().get_max_connections() {
        let mut connection = pool.acquire().await?;
        sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await?;
        connections.push(connection);
    }
    Ok(())
}

/// What SQLite says of a connection. The provider asks for a mode of the name WAL, which SQLite does not have.
async fn mode(store: &SqliteProvider) -> Result<&'static str, Fault> {
    let mode: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(store.get_pool()).await?;
    match mode {
        0 => Ok("OFF"),
        1 => Ok("NORMAL"),
        2 => Ok("FULL"),
        other => Err(format!("synchronous mode {other}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let case = Case::from_args();
    let setting = setting(&case.variant)?;
    let url = format!("sqlite://{}?mode=rwc", case.dir.join("duroxide.db").display());
    let store = Arc::new(SqliteProvider::new(&url, None).await?);
    if setting.synced {
        sync_all(&store).await?;
    }
    let mode = mode(&store).await?;
    let activities = ActivityRegistry::builder()
        .register_typed("number", |_: ActivityContext, step: u32| async move { Ok::<_, String>(count(step)) })
        .build();
    let orchestrations = OrchestrationRegistry::builder().register("steps", steps).register("timer", timer).build();
    let runtime = Runtime::start_with_options(store.clone(), activities, orchestrations, setting.options).await;
    let about = About {
        peer: "duroxide",
        version: locked(include_str!("../Cargo.lock"), "duroxide"),
        durability: match mode {
            "FULL" => "SQLite WAL, synchronous=FULL: each commit synced".into(),
            other => format!("SQLite WAL, synchronous={other}: a power cut takes commits"),
        },
    };
    measure(&case, &about, Duroxide { client: Arc::new(Client::new(store)), wait: setting.wait }).await?;
    runtime.shutdown(None).await;
    Ok(())
}
