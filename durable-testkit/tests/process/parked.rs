//! A graceful shutdown: attempts in flight are parked and burn nothing, at-most-once ones are awaited to a deadline, and runs that
//! sleep, wait or back off go on where they were at the next open.

use std::sync::{Arc, Mutex};

use durable::prelude::*;
use durable::{CallError, Failure, Run, Runtime};
use tokio::sync::watch;

use crate::dropped::{on_both, open};

/// The attempts that begin and end, and whether those that hang are let go.
#[derive(Clone)]
pub(crate) struct Flights {
    log: Arc<Mutex<Vec<String>>>,
    moved: watch::Sender<usize>,
    free: watch::Sender<bool>,
}

impl Default for Flights {
    fn default() -> Flights {
        Flights { log: Arc::default(), moved: watch::Sender::new(0), free: watch::Sender::new(false) }
    }
}

impl Flights {
    fn note(&self, line: String) {
        self.log.lock().unwrap().push(line);
        self.moved.send_modify(|count| *count += 1);
    }

    /// The attempts that began, in order.
    pub(crate) fn all(&self) -> Vec<String> {
        self.log.lock().unwrap().iter().filter(|line| !line.ends_with("ended")).cloned().collect()
    }

    /// Returns when an attempt of that activity has begun.
    pub(crate) async fn began(&self, activity: &str) {
        self.noted(|line| line.starts_with(activity)).await;
    }

    /// Returns when an attempt of that activity has ended or was dropped.
    pub(crate) async fn ended(&self, activity: &str) {
        self.noted(|line| line == format!("{activity} ended")).await;
    }

    /// Returns when so many attempts have begun.
    async fn count(&self, attempts: usize) {
        let mut moved = self.moved.subscribe();
        moved.wait_for(|_| self.all().len() >= attempts).await.unwrap();
    }

    async fn noted(&self, mut is: impl FnMut(&str) -> bool) {
        let mut moved = self.moved.subscribe();
        moved.wait_for(|_| self.log.lock().unwrap().iter().any(|line| is(line))).await.unwrap();
    }

    /// What hangs goes on, now and in all time.
    pub(crate) fn let_go(&self) {
        self.free.send_replace(true);
    }

    async fn hang(&self, activity: &'static str) -> u32 {
        struct Ends<'a>(&'a Flights, &'static str);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.note(format!("{} ended", self.1));
            }
        }
        let attempt = durable::activity::info().attempt.0;
        self.note(format!("{activity} {attempt}"));
        let _ends = Ends(self, activity);
        self.free.subscribe().wait_for(|free| *free).await.unwrap();
        attempt
    }
}

/// Hangs until it is let go; gives which attempt it was. With one attempt for the call an interruption would be its end.
#[activity(retry = fixed("1ms").max_attempts(2))]
pub(crate) async fn hang(State(flights): State<Flights>) -> Result<u32, String> {
    Ok(flights.hang("hang").await)
}

#[activity(at_most_once)]
pub(crate) async fn hang_once_only(State(flights): State<Flights>) -> Result<u32, String> {
    Ok(flights.hang("hang_once_only").await)
}

#[workflow]
pub(crate) async fn try_hang(_once: bool) -> durable::Result<u32> {
    Ok(hang().await?)
}

#[workflow]
pub(crate) async fn try_hang_once_only() -> durable::Result<String> {
    Ok(match hang_once_only().await {
        Ok(attempt) => format!("Ok({attempt})"),
        Err(CallError::Interrupted) => "Err(Interrupted)".to_owned(),
        Err(other) => other.to_string(),
    })
}

#[test]
fn a_parked_attempt_is_made_again_as_the_same_attempt() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        for round in 1..=3 {
            let rt = open(dir.path(), &flights).await;
            rt.start(try_hang(true)).id("a").await.unwrap();
            flights.count(round).await;
            rt.shutdown().await.unwrap();
        }
        flights.let_go();
        let rt = open(dir.path(), &flights).await;
        let run: Run<u32, Failure> = rt.run(try_hang, "a").await.unwrap();
        assert_eq!(run.result().await.unwrap(), 1, "no attempt was burnt");
        assert_eq!(flights.all(), ["hang 1"; 4]);
        rt.shutdown().await.unwrap();
    });
}

#[test]
fn a_shutdown_awaits_at_most_once_attempts() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        let rt = open(dir.path(), &flights).await;
        rt.start(try_hang_once_only()).id("a").await.unwrap();
        flights.began("hang_once_only").await;
        let mut shutdown = rt.shutdown().deadline(Duration::from_secs(600)).into_future();
        // It is under way when it refuses work, and it is not over.
        refuses_work(&rt, &mut shutdown).await;
        flights.let_go();
        shutdown.await.unwrap();

        let rt = open(dir.path(), &flights).await;
        let run: Run<String, Failure> = rt.run(try_hang_once_only, "a").await.unwrap();
        assert_eq!(run.result().await.unwrap(), "Ok(1)", "what it gave while it was awaited is recorded");
        rt.shutdown().await.unwrap();
    });
}

/// Polls a shutdown until the runtime takes no work any more; it must not be over by then.
async fn refuses_work(rt: &Runtime, shutdown: &mut (impl Future<Output = Result<(), durable::ShutdownError>> + Unpin)) {
    for n in 0_u64.. {
        assert!(futures::poll!(&mut *shutdown).is_pending(), "the shutdown did not wait");
        if rt.start(try_hang(true)).id(format!("late-{n}")).await.is_err() {
            break;
        }
    }
    assert!(futures::poll!(&mut *shutdown).is_pending(), "the shutdown did not wait");
}

#[test]
fn a_shutdown_awaits_them_to_its_deadline() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        let rt = open(dir.path(), &flights).await;
        rt.start(try_hang_once_only()).id("a").await.unwrap();
        flights.began("hang_once_only").await;
        rt.shutdown().deadline(Duration::from_millis(20)).await.unwrap();
        flights.ended("hang_once_only").await;

        flights.let_go();
        let rt = open(dir.path(), &flights).await;
        let run: Run<String, Failure> = rt.run(try_hang_once_only, "a").await.unwrap();
        assert_eq!(run.result().await.unwrap(), "Err(Interrupted)");
        assert_eq!(flights.all(), ["hang_once_only 1"]);
        rt.shutdown().await.unwrap();
    });
}

const NEWS: Signal<u32> = Signal::new("news");

#[activity(retry = fixed("30ms"))]
async fn fails_first(State(flights): State<Flights>) -> Result<u32, String> {
    let attempt = durable::activity::info().attempt.0;
    flights.note(format!("fails_first {attempt}"));
    if attempt == 1 { Err("not yet".to_owned()) } else { Ok(attempt) }
}

#[workflow]
async fn sleeps() -> durable::Result<u32> {
    durable::sleep(Duration::from_millis(30)).await;
    Ok(1)
}

#[workflow]
async fn sleeps_long() -> durable::Result<u32> {
    durable::sleep(Duration::from_secs(86_400)).await;
    Ok(1)
}

#[workflow]
async fn waits() -> durable::Result<u32> {
    Ok(NEWS.recv().await + NEWS.recv().await)
}

#[workflow]
async fn backs_off() -> durable::Result<u32> {
    Ok(fails_first().await?)
}

#[test]
fn runs_that_sleep_wait_and_back_off_go_on_after_a_shutdown() {
    on_both(async || {
        let (dir, flights) = (tempfile::tempdir().unwrap(), Flights::default());
        let open = async || {
            let items = (sleeps, sleeps_long, waits, backs_off, fails_first);
            Runtime::builder(dir.path()).register(items).state(flights.clone()).open().await.unwrap()
        };
        let rt = open().await;
        rt.start(sleeps()).id("sleeps").await.unwrap();
        rt.start(sleeps_long()).id("sleeps_long").await.unwrap();
        rt.start(waits()).id("waits").await.unwrap().signal(NEWS, 40).await.unwrap();
        rt.start(backs_off()).id("backs_off").await.unwrap();
        flights.began("fails_first").await;
        rt.shutdown().await.unwrap();

        let rt = open().await;
        assert_eq!(rt.run(sleeps, "sleeps").await.unwrap().result().await.unwrap(), 1);
        assert_eq!(rt.run(backs_off, "backs_off").await.unwrap().result().await.unwrap(), 2);
        assert_eq!(flights.all(), ["fails_first 1", "fails_first 2"]);
        let waits = rt.run(waits, "waits").await.unwrap();
        waits.signal(NEWS, 2).await.unwrap();
        assert_eq!(waits.result().await.unwrap(), 42);
        let still = rt.runs().await.unwrap();
        let still: Vec<_> = still.iter().map(|run| (run.id.as_str(), run.status.clone())).collect();
        assert_eq!(still, [("sleeps_long", durable::Status::Running)]);
        rt.shutdown().await.unwrap();
    });
}
