//! Replay tests: what was recorded, as a file, a folder of files or a whole store, against the code of today. Nothing is executed and no
//! store is changed. A test that replayed nothing fails.

mod report;
mod source;

use std::path::PathBuf;

use durable::journal::JournalEvent;
use durable::replay::{NotReplayed, Replay, Replayed, Residence};
use durable::{Items, Registry};

pub use self::report::{Diverged, JournalReport, Outcome, ReplayReport};

use self::source::{Found, Source};

/// How often a journal is replayed unless a test says otherwise.
pub const TIMES: u32 = 16;

/// Begins a replay test of these workflows: of what was recorded, the code of today has to ask for the same again.
///
/// The workflows of the journals have to be given, and may come as a [`Registry`]; the activities and children that they call need not.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// # #[workflow]
/// # async fn checkout(order: u64) -> Result<u64, String> {
/// #     durable::sleep(std::time::Duration::from_millis(1)).await;
/// #     Ok(order)
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let rt = durable::Runtime::builder(dir.path()).register((checkout,)).open().await?;
/// # rt.start(checkout(42)).id("order-42").await?.result().await?;
/// # rt.shutdown().await?;
/// # let store = dir.path();
/// durable_testkit::replay((checkout,)).store(store).assert();
/// # Ok(())
/// # }
/// ```
pub fn replay<M>(items: impl Items<M>) -> Replays {
    Replays::of(&Registry::of(items))
}

/// A replay test that is being prepared, from [`replay`](crate::replay()).
#[derive(Debug, Clone)]
#[must_use = "nothing is replayed until `assert`, `report` or `journal` is called"]
pub struct Replays {
    replay: Replay,
    sources: Vec<Source>,
    times: u32,
    threads: Threads,
    others: Others,
}

/// Where replays take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threads {
    Fresh,
    Same,
}

/// What becomes of a journal whose workflow was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Fail,
    Skip,
}

impl Replays {
    /// Of all workflows of a registry.
    pub fn of(registry: &Registry) -> Replays {
        let replay = Replay::of(registry.clone());
        Replays { replay, sources: Vec::new(), times: TIMES, threads: Threads::Fresh, others: Others::Fail }
    }

    /// Replays the journal in this file. A path is relative to the package's directory, as `cargo test` has it.
    pub fn file(self, path: impl Into<PathBuf>) -> Self {
        self.source(Source::File(path.into()))
    }

    /// Replays every journal in this folder: its files whose names end in `.jsonl`, not those of folders in it. One without any fails.
    pub fn folder(self, path: impl Into<PathBuf>) -> Self {
        self.source(Source::Folder(path.into()))
    }

    /// Replays every run of the store in this directory: one that is stopped, a copy, or one that a process has open. The runs that are
    /// open are replayed as far as they came. Nothing in the directory is changed or locked. A store without any run fails.
    pub fn store(self, dir: impl Into<PathBuf>) -> Self {
        self.source(Source::Store(dir.into()))
    }

    /// Replays each journal so many times instead of 16; 0 counts as 1.
    pub fn times(mut self, times: u32) -> Self {
        self.times = times.max(1);
        self
    }

    /// Makes all replays of a journal on one thread, instead of each on a new one. What differs from thread to thread is not found out then:
    /// the order of a hash map, a value of a thread's own.
    pub fn on_one_thread(mut self) -> Self {
        self.threads = Threads::Same;
        self
    }

    /// Puts the run away at every await, so that each turn is reached by a new replay from the start, see [`Replay::residence`].
    pub fn put_away_at_every_await(mut self) -> Self {
        self.replay = self.replay.residence(Residence::PutAwayAtEveryAwait);
        self
    }

    /// Compares how runs ended and not with which result, see [`Replay::any_result`].
    pub fn any_result(mut self) -> Self {
        self.replay = self.replay.any_result();
        self
    }

    /// Takes a call of an activity or a child that was not given for an error, see [`Replay::only_registered`].
    pub fn only_registered(mut self) -> Self {
        self.replay = self.replay.only_registered();
        self
    }

    /// Replays as the build of this name, see [`Replay::build`].
    pub fn build(mut self, build: impl Into<String>) -> Self {
        self.replay = self.replay.build(build);
        self
    }

    /// Steps over journals of workflows that were not given, which fail otherwise. The report counts them.
    pub fn skip_other_workflows(mut self) -> Self {
        self.others = Others::Skip;
        self
    }

    /// Replays all that was named, and prints what was replayed.
    ///
    /// # Panics
    /// When a journal cannot be read or diverges, when a file, folder or store that was named holds none, and when nothing was replayed
    /// at all. The text names the journal, the event, and both sides.
    #[track_caller]
    pub fn assert(&self) {
        let report = self.report();
        assert!(report.holds(), "{report}");
        println!("{report}");
    }

    /// Replays all that was named; says of each journal how many of its events matched.
    #[must_use]
    pub fn report(&self) -> ReplayReport {
        let mut report = ReplayReport::new(self.times);
        for source in &self.sources {
            let before = report.journals.len();
            let read = source.each(&mut |found| report.journals.push(self.judge(found)));
            match read {
                Err(reason) => report.empty.push(reason),
                Ok(()) if report.journals.len() == before => report.empty.push(format!("{source} holds no journal")),
                Ok(()) => {}
            }
        }
        report
    }

    /// Replays a journal that is at hand, as often and where this test says.
    ///
    /// # Errors
    /// The first replay that did not come to its end.
    pub fn journal(&self, journal: &[JournalEvent]) -> Result<Replayed, Diverged> {
        let once = || self.replay.journal(journal);
        let mut last = None;
        for replay in 1..=self.times {
            let replayed = match self.threads {
                Threads::Same => once(),
                Threads::Fresh => on_a_fresh_thread(once),
            };
            last = Some(replayed.map_err(|why| Diverged { replay, of: self.times, why })?);
        }
        Ok(last.expect("because it is replayed once at least"))
    }

    fn source(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    fn judge(&self, found: Found) -> JournalReport {
        let Found { source, journal } = found;
        let journal = match journal {
            Ok(journal) => journal,
            Err(reason) => return JournalReport::unreadable(source, reason),
        };
        let outcome = match self.journal(journal.events()) {
            Ok(replayed) => Outcome::Matched(Box::new(replayed)),
            Err(Diverged { why: NotReplayed::Unregistered { .. }, .. }) if self.others == Others::Skip => {
                Outcome::Skipped
            }
            Err(diverged) => Outcome::Diverged(diverged),
        };
        JournalReport::new(source, &journal, outcome)
    }
}

/// What differs from thread to thread is new in it: the keys of hash maps, and whatever a thread keeps of its own.
fn on_a_fresh_thread<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(f);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
