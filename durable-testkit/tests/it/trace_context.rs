//! The trace of a request that goes on through a run: into its attempts, its children, the next process.

use durable::prelude::*;
use durable::{Runtime, TraceContext};

const GO: Signal<()> = Signal::new("go");

/// Fails once, so that it has two attempts.
#[activity(retry = fixed("1ms"))]
async fn tell(which: u32) -> Result<(u32, String), String> {
    let attempt = durable::activity::info().attempt.0;
    if attempt == 1 { Err(which.to_string()) } else { Ok((attempt, durable::activity::trace_context().to_string())) }
}

#[workflow]
async fn child() -> durable::Result<String> {
    Ok(tell(1).await?.1)
}

#[workflow]
async fn parent() -> durable::Result<Vec<String>> {
    let first = tell(1).await?.1;
    GO.recv().await;
    Ok(vec![first, tell(2).await?.1, child().await?])
}

async fn open(dir: &std::path::Path) -> Runtime {
    Runtime::builder(dir).register((parent, child, tell)).put_away_at_every_await().open().await.unwrap()
}

#[tokio::test]
async fn a_run_carries_on_the_trace_that_it_was_started_in() {
    let dir = tempfile::tempdir().unwrap();
    let context: TraceContext = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let rt = open(dir.path()).await;
    rt.start(parent()).id("a").trace_context(context).await.unwrap();
    let own = rt.start(parent()).id("b").await.unwrap();
    rt.shutdown().await.unwrap();

    let rt = open(dir.path()).await;
    for (id, trace, sampled) in [("a", context.trace_id(), true), ("b", u128::from_be_bytes(own.run_id().0), false)] {
        let run = rt.run(parent, id).await.unwrap();
        run.signal(GO, ()).await.unwrap();
        let told: Vec<TraceContext> = run.result().await.unwrap().iter().map(|told| told.parse().unwrap()).collect();
        assert!(told.iter().all(|told| told.trace_id() == trace && told.is_sampled() == sampled), "{told:?}");
        let mut spans: Vec<u64> = told.iter().map(TraceContext::parent_id).collect();
        spans.extend([context.parent_id()]);
        spans.sort_unstable();
        spans.dedup();
        assert_eq!(spans.len(), 4, "each attempt is a span of its own");
    }
    rt.shutdown().await.unwrap();
}
