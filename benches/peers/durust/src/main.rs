//! durust with its SQLite provider, which syncs each commit: its worker as it is shipped, and set up for many workflows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use durust::provider::{DurableBackend, HistoryEventData, StreamHistoryRequest};
use durust::{Client, EventId, RunId, SqliteBackend, Worker, WorkerBuilder, WorkerEvent};
use peers_workload::{About, Case, Fault, Peer, Work, count, locked, measure};
use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use tokio::sync::Notify;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Number {
    step: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Start {
    id: String,
}

#[durust::activity(name = "number")]
async fn number(input: Number) -> durust::Result<u32> {
    Ok(count(input.step))
}

#[durust::workflow(name = "steps", version = 1)]
async fn steps(input: Start) -> durust::Result<u32> {
    let mut sum = 0;
    for step in 0..Work::STEPS {
        sum += durust::call_activity!(number(Number { step })).await?;
    }
    ENDS.returned(input.id);
    Ok(sum)
}

#[durust::workflow(name = "timer", version = 1)]
async fn timer(input: Start) -> durust::Result<u32> {
    durust::sleep(Work::NAP).await?;
    ENDS.returned(input.id);
    Ok(0)
}

/// durust has no call that waits for a workflow. It tells of every commit, though, and the workflow knows when it returns, so that whoever
/// waits reads the history once or twice instead of again and again.
static ENDS: LazyLock<Ends> = LazyLock::new(Ends::default);

#[derive(Default)]
struct Ends {
    returned: Mutex<BTreeSet<String>>,
    committed: Mutex<BTreeMap<RunId, Arc<Notify>>>,
}

impl Ends {
    fn returned(&self, id: String) {
        self.returned.lock().expect("no holder panics").insert(id);
    }

    fn has_returned(&self, id: &str) -> bool {
        self.returned.lock().expect("no holder panics").contains(id)
    }

    fn commits(&self, run: &RunId) -> Arc<Notify> {
        self.committed.lock().expect("no holder panics").entry(run.clone()).or_default().clone()
    }

    fn forget(&self, id: &str, run: &RunId) {
        self.returned.lock().expect("no holder panics").remove(id);
        self.committed.lock().expect("no holder panics").remove(run);
    }
}

fn tell(event: WorkerEvent<'_>) {
    match event {
        WorkerEvent::WorkflowTaskCommitted { run_id } => ENDS.commits(run_id).notify_one(),
        WorkerEvent::LoopError { error, .. } => eprintln!("a loop of the worker: {error}"),
        WorkerEvent::WorkflowTaskFailed { error, .. } => eprintln!("a workflow task: {error}"),
        _ => {}
    }
}

#[derive(Clone)]
struct Durust {
    backend: SqliteBackend,
    client: Arc<Client<SqliteBackend>>,
    load: Arc<Load>,
}

/// The workflows that have not ended.
#[derive(Default)]
struct Load {
    open: AtomicU32,
    more: Notify,
}

impl Peer for Durust {
    async fn run(&self, work: Work, id: String) -> Result<u32, Fault> {
        let start = Start { id: id.clone() };
        let run = match work {
            Work::Steps => self.client.start_workflow::<steps>(&id, "default", start).await?,
            Work::Timer => self.client.start_workflow::<timer>(&id, "default", start).await?,
        };
        self.load.open.fetch_add(1, Ordering::Relaxed);
        self.load.more.notify_one();
        let result = self.result(&id, &run).await;
        self.load.open.fetch_sub(1, Ordering::Relaxed);
        ENDS.forget(&id, &run);
        result
    }
}

impl Durust {
    async fn result(&self, id: &str, run: &RunId) -> Result<u32, Fault> {
        let commits = ENDS.commits(run);
        loop {
            commits.notified().await;
            if ENDS.has_returned(id)
                && let Some(result) = self.completed(run).await?
            {
                return Ok(result);
            }
        }
    }

    async fn completed(&self, run: &RunId) -> Result<Option<u32>, Fault> {
        let request = StreamHistoryRequest {
            run_id: run.clone(),
            after_event_id: EventId::ZERO,
            up_to_event_id: EventId(1_000),
            max_events: 100,
            max_bytes: usize::MAX,
        };
        let history = self.backend.stream_history(request).await?;
        let end = history.events.iter().find_map(|event| match &event.data {
            HistoryEventData::WorkflowCompleted { result } => Some(result),
            _ => None,
        });
        Ok(end.map(durust::decode_payload).transpose()?)
    }
}

/// Its README's advice for throughput, with limits that hold all workflows of this workload.
fn tuned(worker: WorkerBuilder<SqliteBackend>) -> WorkerBuilder<SqliteBackend> {
    worker
        .max_concurrent_workflow_tasks(256)
        .workflow_task_prefetch_limit(256)
        .workflow_task_commit_batch_size(256)
        .max_local_activities_per_workflow_task(64)
        .max_concurrent_activities(512)
        .activity_task_batch_size(512)
        .activity_completion_batch_size(512)
}

/// The worker's own loops look for work after 5 ms at the soonest. This looks at once when a workflow was started, and every millisecond
/// while timers may fall due.
async fn drive(mut worker: Worker<SqliteBackend>, load: Arc<Load>) -> durust::Result<()> {
    loop {
        worker.run_until_idle_with(durust::WorkerRunOptions { max_iterations: usize::MAX }).await?;
        match load.open.load(Ordering::Relaxed) {
            0 => load.more.notified().await,
            _ => drop(tokio::time::timeout(Duration::from_millis(1), load.more.notified()).await),
        }
    }
}

/// A worker's future is tied to its thread. Its runtime is its own, so that it ends with the process and not before.
fn on_a_thread<W>(work: W)
where
    W: AsyncFnOnce() -> durust::Result<()> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_time().build().expect("a thread has room for a runtime");
    std::thread::spawn(move || {
        if let Err(error) = runtime.block_on(work()) {
            eprintln!("the worker: {error}");
        }
    });
}

#[tokio::main]
async fn main() -> Result<(), Fault> {
    let case = Case::from_args();
    let backend = SqliteBackend::open(case.dir.join("durust.db"))?;
    let load = Arc::new(Load::default());
    let worker = Worker::builder(backend.clone())
        .register_workflow(steps)
        .register_workflow(timer)
        .register_activity(number)
        .on_event(tell);
    match case.variant.as_str() {
        "as shipped" => on_a_thread(async move || worker.run().await),
        "tuned" => {
            let load = load.clone();
            on_a_thread(async move || drive(tuned(worker).build(), load).await);
        }
        other => return Err(format!("no variant {other:?}").into()),
    }
    let about = About {
        peer: "durust",
        version: locked(include_str!("../Cargo.lock"), "durust"),
        durability: "SQLite WAL, synchronous=FULL: each commit synced (its default)".into(),
    };
    measure(&case, &about, Durust { client: Arc::new(Client::new(backend.clone())), backend, load }).await?;
    Ok(())
}
