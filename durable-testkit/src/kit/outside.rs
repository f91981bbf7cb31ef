//! What is outside the application while a scenario plays, and outlives its processes: the services, the count of attempts, the story
//! of what happened. Services find it in the thread, as tokio's timers find their runtime; nothing of it is left there afterwards.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use durable::RunId;
use durable::activity::{AttemptEnd, AttemptInfo};

use super::hint::Hint;
use super::service::{Book, Ledger, Service};
use crate::disk::digest::Digest;
use crate::rng::Rng;
use crate::sim::SimClock;

thread_local! {
    static CURRENT: RefCell<Option<Outside>> = const { RefCell::new(None) };
}

/// One play's outside. Clones are the same one.
#[derive(Clone)]
pub(super) struct Outside(Arc<Inner>);

struct Inner {
    /// No two plays of a program have the same: what a service holds belongs to one of them.
    number: u64,
    seed: u64,
    clock: SimClock,
    /// How much time had passed when this play began.
    before: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    services: Vec<Service>,
    attempts: BTreeMap<String, u32>,
    /// How the last attempt of each call failed that has failed, by its run and number.
    errors: BTreeMap<(RunId, u32), String>,
    hints: BTreeSet<Hint>,
    story: Vec<Line>,
    moves: u64,
}

/// A line of the story.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) at: Duration,
    pub(super) what: String,
}

/// A moment of it, from which a play can begin.
#[derive(Clone, Default)]
pub(super) struct Moment {
    books: Vec<(Service, Book)>,
    state: State,
    at: Duration,
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Moment({} services, at {:?})", self.books.len(), self.at)
    }
}

impl Moment {
    /// The same for two moments in which services hold the same.
    pub(super) fn fingerprint(&self) -> u64 {
        let attempts = self.state.attempts.iter();
        let digest = attempts.fold(Digest::new(), |digest, (activity, count)| {
            digest.bytes(activity.as_bytes()).number(u64::from(*count))
        });
        let books = self.books.iter();
        books.fold(digest, |digest, (service, book)| book.digest(digest.bytes(service.name().as_bytes()))).finish()
    }

    pub(super) fn add_to_story(&mut self, what: String) {
        self.state.story.push(Line { at: self.at, what });
    }
}

/// While it lives, its outside is the thread's.
pub(super) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl Outside {
    /// The outside of a play that begins now, as it was in that moment.
    pub(super) fn new(seed: u64, clock: SimClock, from: &Moment) -> Outside {
        static PLAYS: AtomicU64 = AtomicU64::new(1);
        let number = PLAYS.fetch_add(1, Ordering::Relaxed);
        from.books.iter().for_each(|(service, book)| service.restore(book.clone(), number));
        let state = Mutex::new(from.state.clone());
        Outside(Arc::new(Inner { number, seed, clock, before: from.at, state }))
    }

    /// From now on it is the thread's.
    pub(super) fn enter(&self) -> Entered {
        CURRENT.set(Some(self.clone()));
        Entered
    }

    /// The thread's.
    pub(super) fn current() -> Option<Outside> {
        CURRENT.with_borrow(Clone::clone)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn number(&self) -> u64 {
        self.0.number
    }

    /// A service's own stream of randomness.
    pub(super) fn rng_of(&self, service: &str) -> Rng {
        Rng::new(Digest::new().number(self.0.seed).bytes(service.as_bytes()).finish())
    }

    /// How much simulated time has passed since the first process began.
    pub(super) fn elapsed(&self) -> Duration {
        self.0.before + self.0.clock.elapsed()
    }

    /// A service that is used for the first time.
    pub(super) fn join(&self, service: &Service) {
        let mut state = self.state();
        if !state.services.iter().any(|other| other.is(service)) {
            state.services.push(service.clone());
        }
    }

    /// Something outside is different now.
    pub(super) fn moves(&self, what: impl FnOnce() -> String) {
        self.state().moves += 1;
        self.tell(what());
    }

    /// Adds a line to the story.
    pub(super) fn tell(&self, what: String) {
        let at = self.elapsed();
        self.state().story.push(Line { at, what });
    }

    /// Counts an attempt; gives its number among all of the activity's, of all runs.
    pub(super) fn count_attempt(&self, activity: &str) -> u32 {
        let mut state = self.state();
        let count = state.attempts.entry(activity.to_owned()).or_default();
        *count += 1;
        *count
    }

    pub(super) fn attempts(&self, activity: &str) -> u32 {
        self.state().attempts.get(activity).copied().unwrap_or_default()
    }

    /// An attempt has ended like this.
    pub(super) fn ends(&self, attempt: &AttemptInfo, end: &AttemptEnd) {
        let text = match end {
            AttemptEnd::Completed(_) => return,
            AttemptEnd::Failed { text, .. } => text.to_string(),
            AttemptEnd::Panicked(text) => format!("a panic: {text}"),
        };
        self.state().errors.insert((attempt.run, attempt.seq.0), text);
    }

    /// How the attempt's call failed before.
    pub(super) fn last_error(&self, attempt: &AttemptInfo) -> Option<String> {
        self.state().errors.get(&(attempt.run, attempt.seq.0)).cloned()
    }

    /// Keeps that in mind for when a crash makes a difference.
    pub(super) fn hint(&self, hint: Hint) {
        self.state().hints.insert(hint);
    }

    pub(super) fn hints(&self) -> Vec<Hint> {
        self.state().hints.iter().cloned().collect()
    }

    pub(super) fn story(&self) -> Vec<Line> {
        self.state().story.clone()
    }

    pub(super) fn ledgers(&self) -> Vec<Ledger> {
        let services = self.state().services.clone();
        services.iter().map(Service::ledger).collect()
    }

    /// How often each effect was had, of the services for which that matters.
    pub(super) fn effects(&self) -> BTreeMap<(String, String), usize> {
        let services = self.state().services.clone();
        let mut effects = BTreeMap::new();
        for service in services.iter().filter(|service| service.counts()) {
            for effect in service.ledger().effects {
                *effects.entry((service.name().to_owned(), effect.what)).or_default() += 1;
            }
        }
        effects
    }

    /// The number of changes so far: two moments of one play with the same number are alike.
    pub(super) fn changes(&self) -> u64 {
        self.state().moves
    }

    /// This moment.
    pub(super) fn moment(&self) -> Moment {
        let state = self.state().clone();
        let books = state.services.iter().map(|service| (service.clone(), service.book_in(self))).collect();
        Moment { books, state, at: self.elapsed() }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12}  {}", Shown(self.at).to_string(), self.what)
    }
}

/// Simulated time as a person reads it.
pub(super) struct Shown(pub(super) Duration);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0.as_secs() / 86_400, self.0.as_secs() % 86_400);
        match days {
            0 => {}
            1 => f.write_str("1 day ")?,
            days => write!(f, "{days} days ")?,
        }
        if rest < 60 {
            return write!(f, "{rest}.{:03} s", self.0.subsec_millis());
        }
        write!(f, "{}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60)
    }
}
