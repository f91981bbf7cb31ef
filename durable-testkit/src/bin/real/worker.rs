//! The process that works on the store and is killed, cut off or starved. It drives runs, and tells the ledger what it was told; it
//! must never judge, except whether what was acknowledged to it before is there.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use durable::runtime::World;
use durable::{Failure, LookupError, OpenError, Run, RunError, Runtime, SignalError};
use futures::StreamExt;
use futures::future::ready;
use futures::stream;

use crate::check::History;
use crate::disk::{Count, Fatal, MortalDisk};
use crate::ledger::{self, Ledger, Line};
use crate::load::{GO, Hands, LAST, careful, chain, mark, mark_once, receive, spread};

/// The store did not open.
pub(crate) const NOT_OPEN: u8 = 4;

/// The store stands still.
pub(crate) const STANDS_STILL: u8 = 5;

/// So many signals gets a run that receives, and the last one.
const SIGNALS: u64 = 3;

/// How long is waited before something that a full disk refused is tried again.
const WHEN_FULL: Duration = Duration::from_millis(20);

/// How often a worker that never has enough asks for a run beside the others.
const KNOCKS: Duration = Duration::from_millis(50);

/// The number of the first run that is asked for so, and that of one that must be refused.
const FIRST_KNOCK: u64 = 1_000_000;
const LAST_KNOCK: u64 = 4_000_000;

/// What a worker is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) store: PathBuf,
    pub(crate) ledger: PathBuf,
    /// So many runs there are to be.
    pub(crate) runs: u64,
    /// So many at once.
    pub(crate) parallel: usize,
    pub(crate) steps: u32,
    /// So many bytes goes with a step.
    pub(crate) load: usize,
    /// Whether runs are begun until the standard input ends, however many those are.
    pub(crate) until_eof: bool,
    /// Whether the runs that ended before are looked at.
    pub(crate) verify: bool,
    /// Whether the disk's operations are counted.
    pub(crate) count: bool,
    pub(crate) fatal: Option<Fatal>,
    /// How late each write and each sync is.
    pub(crate) late: Duration,
}

/// A run, whatever its workflow.
type AnyRun = Run<Vec<String>, Failure>;

struct Worker {
    work: Work,
    /// What was in the ledger when this process began.
    before: History,
    runtime: Runtime,
    ledger: Arc<Ledger>,
    hands: Hands,
    /// Whether the store has failed.
    stands_still: AtomicBool,
    /// Whether no more runs are to begin.
    is_enough: Arc<AtomicBool>,
}

/// Works, in a tokio runtime of its own.
pub(crate) fn run(work: Work) -> ExitCode {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let tokio = tokio.expect("because a runtime of one thread needs nothing of the system");
    match tokio.block_on(serve(work)) {
        Ok(code) => code,
        Err(text) => {
            eprintln!("error: {text}");
            ExitCode::from(NOT_OPEN)
        }
    }
}

async fn serve(work: Work) -> Result<ExitCode, String> {
    let told = |error: std::io::Error| format!("the ledger cannot be used: {error}");
    let before = History::of(&ledger::read(&work.ledger).map_err(told)?);
    let ledger = Arc::new(Ledger::open(&work.ledger).map_err(told)?);
    let hands = Hands::new(Arc::clone(&ledger));
    let (runtime, count) = open(&work, &hands).await.map_err(|error| error.to_string())?;
    ledger.say(&Line::Open(std::process::id()));
    let is_enough = Arc::new(AtomicBool::new(false));
    if work.until_eof {
        hear_the_end(Arc::clone(&is_enough));
    }
    let stands_still = AtomicBool::new(false);
    let worker = Worker { work, before, runtime, ledger, hands, stands_still, is_enough };
    worker.work().await;
    Ok(worker.end(count).await)
}

async fn open(work: &Work, hands: &Hands) -> Result<(Runtime, Option<Arc<Count>>), OpenError> {
    let mut builder = Runtime::builder(&work.store)
        .register((chain, careful, spread, receive, mark, mark_once))
        .state(hands.clone())
        .build_id("real");
    let mut counted = None;
    if work.count || work.fatal.is_some() || !work.late.is_zero() {
        let (disk, count) = MortalDisk::new(work.fatal, work.late);
        builder = builder.world(World { disk: Arc::new(disk), ..World::real()? });
        counted = Some(count);
    }
    Ok((builder.open().await?, counted))
}

/// Sets a flag when the standard input ends.
fn hear_the_end(is_enough: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        // However it ends, it has ended.
        let _ = std::io::stdin().read_to_end(&mut rest);
        is_enough.store(true, Ordering::Release);
    });
}

fn name(number: u64) -> String {
    format!("r{number}")
}

impl Worker {
    async fn work(&self) {
        if self.work.verify {
            for (run, values) in self.before.finished() {
                self.verify(run, values).await;
            }
        }
        let unfinished = self.before.unfinished().filter_map(|run| run.strip_prefix('r')?.parse::<u64>().ok());
        let fresh = (self.before.asked()..).take_while(|number| self.may_begin(*number));
        let working =
            stream::iter(unfinished.chain(fresh)).for_each_concurrent(self.work.parallel, |number| async move {
                // An error was told where it was met.
                let _ = self.drive(number).await;
            });
        futures::join!(working, self.knock());
        if self.stands_still() {
            // Nothing may begin any more.
            let _ = self.start(LAST_KNOCK).await;
        }
    }

    /// Asks for more every now and then, as long as there may be more, whatever waits by then: so it hears whether more is taken.
    async fn knock(&self) {
        if !self.work.until_eof {
            return;
        }
        let numbers = (self.before.asked() + FIRST_KNOCK..).step_by(4);
        let in_time = stream::iter(numbers).then(|number| async move {
            tokio::time::sleep(KNOCKS).await;
            number - number % 4
        });
        let knocks = in_time.take_while(|_| ready(self.may_begin(0)));
        let driven = knocks.for_each_concurrent(None, |number| async move {
            // An error was told where it was met.
            let _ = self.drive(number).await;
        });
        driven.await;
    }

    fn may_begin(&self, number: u64) -> bool {
        let is_enough = match self.work.until_eof {
            true => self.is_enough.load(Ordering::Acquire),
            false => number >= self.work.runs,
        };
        !is_enough && !self.stands_still()
    }

    fn stands_still(&self) -> bool {
        self.stands_still.load(Ordering::Relaxed)
    }

    async fn drive(&self, number: u64) -> Result<(), ()> {
        let id = name(number);
        let run = match self.before.is_started(&id) {
            true => self.find(number).await.map_err(|error| self.not_found(&id, &error))?,
            false => self.start(number).await?,
        };
        if number % 4 == 3 {
            self.send(&run).await?;
        }
        self.watch(&run).await;
        Ok(())
    }

    fn not_found(&self, id: &str, error: &LookupError) {
        match error {
            LookupError::NotFound { .. } | LookupError::OtherWorkflow { .. } => {
                self.ledger.say(&Line::Lost(id.to_owned(), error.to_string()));
            }
            error => self.failed(Line::Store(id.to_owned(), error.to_string())),
        }
    }

    /// The store has failed.
    fn failed(&self, line: Line) {
        self.stands_still.store(true, Ordering::Relaxed);
        self.ledger.say(&line);
    }

    /// Something new was refused. Says whether it is worth another try, after a while.
    async fn refused(&self, id: &str, why: String) -> bool {
        let is_full = why.contains("[E0109]");
        let line = Line::Refused(id.to_owned(), why);
        if is_full {
            self.ledger.say(&line);
            tokio::time::sleep(WHEN_FULL).await;
        } else {
            self.failed(line);
        }
        is_full
    }

    async fn find(&self, number: u64) -> Result<AnyRun, LookupError> {
        let id = name(number);
        match number % 4 {
            0 => self.runtime.run(chain, &id).await,
            1 => self.runtime.run(careful, &id).await,
            2 => self.runtime.run(spread, &id).await,
            _ => self.runtime.run(receive, &id).await,
        }
    }

    async fn start(&self, number: u64) -> Result<AnyRun, ()> {
        let id = name(number);
        let (steps, load) = (self.work.steps, "x".repeat(self.work.load));
        self.ledger.say(&Line::Starting(id.clone()));
        loop {
            let started = match number % 4 {
                0 => self.runtime.start(chain(steps, load.clone())).id(&id).await,
                1 => self.runtime.start(careful(id.clone(), steps)).id(&id).await,
                2 => self.runtime.start(spread(id.clone(), load.clone())).id(&id).await,
                _ => self.runtime.start(receive()).id(&id).await,
            };
            match started {
                Ok(run) => {
                    self.ledger.say(&Line::Started(id));
                    return Ok(run);
                }
                Err(error) if self.refused(&id, error.to_string()).await => {}
                Err(_) => return Err(()),
            }
        }
    }

    /// Sends what was not acknowledged yet, one after the other; every second one under a message id.
    async fn send(&self, run: &AnyRun) -> Result<(), ()> {
        let id = run.id();
        for number in self.before.signalled(id) as u64..SIGNALS {
            let value = format!("{id}:s{number}:{}", self.hands.new_word());
            self.ledger.say(&Line::Sending(id.to_owned(), value.clone()));
            let message = (number % 2 == 0).then(|| format!("{id}-{number}"));
            if self.signal(run, &value, message.as_deref()).await? {
                self.ledger.say(&Line::Signalled(id.to_owned(), value));
            }
        }
        self.signal(run, LAST, None).await.map(drop)
    }

    /// Sends a signal until it is acknowledged; says whether the run was there to receive it.
    async fn signal(&self, run: &AnyRun, value: &str, message: Option<&str>) -> Result<bool, ()> {
        loop {
            let sent = match message {
                Some(message) => run.signal_once(GO, value.to_owned(), message).await,
                None => run.signal(GO, value.to_owned()).await,
            };
            match sent {
                Ok(()) => return Ok(true),
                Err(SignalError::Closed) => return Ok(false),
                Err(error) if self.refused(run.id(), error.to_string()).await => {}
                Err(_) => return Err(()),
            }
        }
    }

    async fn watch(&self, run: &AnyRun) {
        let id = run.id().to_owned();
        match run.result_or_blocked().await {
            Ok(Ok(values)) => self.ledger.say(&Line::Ended(id, values)),
            Ok(Err(RunError::Store(reason))) => self.failed(Line::Store(id, reason.to_string())),
            Ok(Err(error)) => self.ledger.say(&Line::Failed(id, error.to_string())),
            Err(blocked) => self.ledger.say(&Line::Failed(id, blocked.to_string())),
        }
    }

    /// Whether a run that ended before is there as it was.
    async fn verify(&self, id: &str, values: &Vec<String>) {
        let Some(number) = id.strip_prefix('r').and_then(|number| number.parse().ok()) else { return };
        let run = match self.find(number).await {
            Ok(run) => run,
            Err(error) => return self.not_found(id, &error),
        };
        match run.result().await {
            Ok(now) if now == *values => {}
            Ok(now) => self.ledger.say(&Line::Lost(id.to_owned(), format!("it gives {now:?} now"))),
            Err(error) => self.ledger.say(&Line::Lost(id.to_owned(), error.to_string())),
        }
    }

    async fn end(self, count: Option<Arc<Count>>) -> ExitCode {
        if let Err(error) = self.runtime.shutdown().await {
            eprintln!("error: not shut down: {error}");
            return ExitCode::from(STANDS_STILL);
        }
        self.ledger.say(&Line::Shut);
        if let Some(count) = count.filter(|_| self.work.count) {
            self.ledger.say(&Line::Operations(count.all(), count.writes()));
        }
        ExitCode::from(if self.stands_still() { STANDS_STILL } else { 0 })
    }
}
