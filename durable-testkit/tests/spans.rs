//! What workflows and activities say by `tracing`, and what is said of failed attempts and blocked runs: once for each turn that
//! happens, never at replay, in spans that name the run and the attempt, also after the run was loaded again.
//!
//! A process of its own, with one test: `tracing` asks about a place in the code once a process, so that threads of other tests, which
//! have no subscriber, would decide what is heard here.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected fails")]

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use durable::kernel::id::{Attempt, Seq};
use durable::prelude::*;
use durable::{Runtime, TraceContext};
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
        let told_by_the_engine = ["durable::runtime::attempts", "durable::runtime::driver", "durable::runtime::turns"];
        metadata.target().starts_with("spans") || told_by_the_engine.contains(&metadata.target()) || metadata.is_span()
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
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error: ",
            _ => "",
        };
        self.0.events.lock().unwrap().push(format!("{level}{} in [{}]", fields.0.trim(), around.join("; ")));
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

/// Its first attempt never ends by itself.
#[activity(start_to_close = "1ms", retry = fixed("1ms"))]
async fn hang() -> Result<u32, String> {
    match durable::activity::info().attempt.0 {
        1 => std::future::pending().await,
        n => Ok(n),
    }
}

#[workflow]
async fn hangs() -> durable::Result<u32> {
    Ok(hang().await?)
}

/// What is awaited here is fed from outside the journal.
static FED: Mutex<Option<tokio::sync::oneshot::Receiver<()>>> = Mutex::new(None);

fn fed() -> tokio::sync::oneshot::Receiver<()> {
    FED.lock().unwrap().take().unwrap()
}

/// Waits for a word, and beside it for something that no journal holds.
#[workflow]
async fn overhears() -> durable::Result<String> {
    let fed = fed();
    Ok(select! {
        word = WORD.recv() => word,
        _ = fed => "overheard".to_owned(),
    })
}

/// Whether [`trips`] trips.
static TRIPS: AtomicBool = AtomicBool::new(true);

#[workflow]
async fn trips() -> durable::Result<String> {
    let word = WORD.recv().await;
    assert!(!TRIPS.load(Ordering::Relaxed), "it trips");
    Ok(word)
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

    let trace = TraceContext::of_run(run_id);
    let run = format!("run workflow=talk id=a run={run_id} traceparent={trace}");
    let attempt = |seq, attempt| {
        let trace = trace.of_call(run_id, Seq(seq), Attempt(attempt));
        format!("attempt activity=speak workflow=talk id=a seq={seq} attempt={attempt} traceparent={trace}")
    };
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
    let expected = [format!(
        "message=hums in [run workflow=hum id=new run={run_id} traceparent={}]",
        TraceContext::of_run(run_id)
    )];
    assert_eq!(*collector.0.events.lock().unwrap(), expected);
    let heard = || std::mem::take(&mut *collector.0.events.lock().unwrap());
    heard();
    tokio.block_on(async {
        let rt = Runtime::builder(dir.path()).register((hangs, hang, overhears, trips)).open().await.unwrap();

        // A timeout is told as an error of the attempt would be.
        let run = rt.start(hangs()).id("hangs").await.unwrap();
        assert_eq!(run.result().await.unwrap(), 2);
        let trace = TraceContext::of_run(run.run_id()).of_call(run.run_id(), Seq(1), Attempt(1));
        let attempt = format!("attempt activity=hang workflow=hangs id=hangs seq=1 attempt=1 traceparent={trace}");
        assert_eq!(heard(), [format!("message=the attempt timed out (start-to-close) in [{attempt}]")]);

        // A wake from outside is told once, and polls nothing.
        let (feed, fed) = tokio::sync::oneshot::channel();
        *FED.lock().unwrap() = Some(fed);
        let run = rt.start(overhears()).id("overhears").await.unwrap();
        feed.send(()).unwrap();
        let told = heard();
        assert!(
            matches!(&told[..], [one] if one.contains("woken from outside its journal") && one.contains("[E0204]"))
        );
        assert!(told[0].contains("workflow=overhears id=overhears"), "{told:?}");
        assert_eq!(run.status().await.unwrap(), durable::Status::Running);
        run.signal(WORD, "heard".to_owned()).await.unwrap();
        assert_eq!(run.result().await.unwrap(), "heard");

        // Why a run is blocked is told when that happens, and again to whoever comes to wait for its result.
        let run = rt.start(trips()).id("trips").await.unwrap();
        run.signal(WORD, "up".to_owned()).await.unwrap();
        let reason = run.result_or_blocked().await.unwrap_err().to_string();
        assert!(reason.contains("it trips") && reason.ends_with("[E0202]"), "{reason}");
        let expected = [format!("error: message={reason} workflow=trips id=trips in []")];
        assert_eq!(heard(), expected);
        let mut result = std::pin::pin!(run.result());
        assert!(futures::poll!(&mut result).is_pending());
        run.status().await.unwrap();
        assert_eq!(heard(), expected);
        assert!(futures::poll!(&mut result).is_pending(), "it goes on waiting");
        TRIPS.store(false, Ordering::Relaxed);
        assert!(run.retry_blocked().await.unwrap());
        assert_eq!(result.await.unwrap(), "up");
        assert_eq!(heard(), Vec::<String>::new());
        rt.shutdown().await.unwrap();
    });
}
