//! What workflows and activities say by `tracing`, and what is said of failed attempts: once for each turn that happens, never at
//! replay, in spans that name the run and the attempt, also after the run was loaded again.
//!
//! A process of its own, with one test: `tracing` asks about a place in the code once a process, so that threads of other tests, which
//! have no subscriber, would decide what is heard here.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use durable::Runtime;
use durable::prelude::*;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps every event, with the spans around it.
#[derive(Clone, Default)]
struct Collector(Arc<Collected>);

#[derive(Default)]
struct Collected {
    next: AtomicU64,
    spans: Mutex<Vec<(u64, String)>>,
    entered: Mutex<Vec<u64>>,
    events: Mutex<Vec<String>>,
}

/// Fields as text.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let told_by_the_engine = metadata.target() == "durable::runtime::attempts";
        metadata.target().starts_with("spans") || told_by_the_engine || metadata.is_span()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields(span.metadata().name().to_owned());
        span.record(&mut fields);
        let id = self.0.next.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.spans.lock().unwrap().push((id, fields.0));
        Id::from_u64(id)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let (spans, entered) = (self.0.spans.lock().unwrap(), self.0.entered.lock().unwrap());
        let around = entered.iter().filter_map(|id| spans.iter().find(|(span, _)| span == id));
        let around: Vec<&str> = around.map(|(_, text)| text.as_str()).collect();
        self.0.events.lock().unwrap().push(format!("{} in [{}]", fields.0.trim(), around.join("; ")));
    }

    fn enter(&self, span: &Id) {
        self.0.entered.lock().unwrap().push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut entered = self.0.entered.lock().unwrap();
        let left = entered.iter().rposition(|id| *id == span.into_u64()).unwrap();
        entered.remove(left);
    }
}

const WORD: Signal<String> = Signal::new("word");

#[activity(retry = fixed("1ms"))]
async fn speak(n: u32) -> Result<u32, String> {
    tokio::task::yield_now().await;
    tracing::info!("speaks");
    match durable::activity::info().attempt.0 {
        1 => Err("once more".to_owned()),
        _ => Ok(n),
    }
}

#[workflow]
async fn talk() -> durable::Result<String> {
    tracing::info!("begins");
    let n = speak(7).await?;
    tracing::info!(n, "has spoken");
    let word = WORD.recv().await;
    tracing::info!(word, "has heard");
    let n = speak(8).await?;
    tracing::info!(n, "ends");
    Ok(word)
}

/// Whether [`hum`] hums: its place in the code is then met for the first time in a replay.
static HUMS: AtomicBool = AtomicBool::new(false);

#[workflow]
async fn hum() -> durable::Result<String> {
    if HUMS.load(Ordering::Relaxed) {
        tracing::info!("hums");
    }
    Ok(WORD.recv().await)
}

#[test]
fn each_turn_is_told_once_in_the_span_of_its_run() {
    let collector = Collector::default();
    let _heard = tracing::subscriber::set_default(collector.clone());
    let dir = tempfile::tempdir().unwrap();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let run_id = tokio.block_on(async {
        let open = async || Runtime::builder(dir.path()).register((talk, speak)).open().await.unwrap();
        let rt = open().await;
        let run = rt.start(talk()).id("a").await.unwrap();
        while !collector.0.events.lock().unwrap().iter().any(|event| event.contains("has spoken")) {
            tokio::task::yield_now().await;
        }
        rt.shutdown().await.unwrap();
        // Once by a clean open, once by one after a drop: neither replay is heard.
        drop(open().await);
        let rt = open().await;
        let again = rt.run(talk, "a").await.unwrap();
        again.signal(WORD, "yes".to_owned()).await.unwrap();
        assert_eq!(again.result().await.unwrap(), "yes");
        rt.shutdown().await.unwrap();
        run.run_id()
    });
    let told = std::mem::take(&mut *collector.0.events.lock().unwrap());

    let run = format!("run workflow=talk id=a run={run_id}");
    let attempt = |seq, attempt| format!("attempt activity=speak workflow=talk id=a seq={seq} attempt={attempt}");
    let expected = [
        format!("message=begins in [{run}]"),
        format!("message=speaks in [{}]", attempt(1, 1)),
        format!("message=the attempt failed error=once more in [{}]", attempt(1, 1)),
        format!("message=speaks in [{}]", attempt(1, 2)),
        format!("message=has spoken n=7 in [{run}]"),
        format!("message=has heard word=\"yes\" in [{run}]"),
        format!("message=speaks in [{}]", attempt(3, 1)),
        format!("message=the attempt failed error=once more in [{}]", attempt(3, 1)),
        format!("message=speaks in [{}]", attempt(3, 2)),
        format!("message=ends n=8 in [{run}]"),
    ];
    assert_eq!(told, expected);

    // What a replay met first, and kept to itself, is heard from the next run.
    let run_id = tokio.block_on(async {
        let open = async || Runtime::builder(dir.path()).register((talk, speak, hum)).open().await.unwrap();
        let rt = open().await;
        rt.start(hum()).id("old").await.unwrap();
        drop(rt);
        HUMS.store(true, Ordering::Relaxed);
        let rt = open().await;
        let old = rt.run(hum, "old").await.unwrap();
        old.signal(WORD, "yes".to_owned()).await.unwrap();
        old.result().await.unwrap();
        let new = rt.start(hum()).id("new").await.unwrap();
        new.signal(WORD, "yes".to_owned()).await.unwrap();
        new.result().await.unwrap();
        rt.shutdown().await.unwrap();
        new.run_id()
    });
    let expected = [format!("message=hums in [run workflow=hum id=new run={run_id}]")];
    assert_eq!(*collector.0.events.lock().unwrap(), expected);
}
