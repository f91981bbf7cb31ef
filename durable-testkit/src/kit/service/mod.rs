//! A service outside the application, in memory: it takes its time, fails, and sometimes does what it is asked for without saying so.
//! What it did stands in its ledger, which no crash of the application touches.

mod ledger;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::future::{pending, poll_fn};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

pub use ledger::{Effect, Ledger};

use super::outside::Outside;
use crate::disk::digest::Digest;
use crate::rng::Rng;

/// A service that activities, or their doubles, call. Clones are the same service: give one to the application by
/// [`Test::state`](super::Test::state), or capture it in a double, and keep one for the assertions.
///
/// Its time is the simulated time, what is random in it comes from the test's seed, and each scenario begins with an empty ledger.
///
/// # Examples
/// ```
/// use durable::prelude::*;
/// use durable_testkit::{Service, Test};
///
/// #[activity(retry = fixed("1s"))]
/// async fn charge(State(bank): State<Service>, order: u32) -> Result<(), String> {
///     bank.call_once(durable::activity::idempotency_key(), format!("charge:{order}"), || ()).await?;
///     Ok(())
/// }
///
/// #[workflow]
/// async fn sell(order: u32) -> durable::Result<()> {
///     Ok(charge(order).await?)
/// }
///
/// let bank = Service::new("bank").fails(50);
/// Test::of((sell, charge)).state(bank.clone()).run(async |t| {
///     t.start(sell(7)).id("order-7").await?.result().await?;
///     bank.assert_effects(["charge:7"]);
///     Ok(())
/// });
/// ```
#[derive(Clone)]
pub struct Service(Arc<Shared>);

struct Shared {
    name: String,
    habits: Mutex<Habits>,
    book: Mutex<Book>,
}

#[derive(Debug, Clone)]
struct Habits {
    latency: Range<Duration>,
    fails_percent: u64,
    ambiguous_percent: u64,
    down_at_first: Duration,
    counts: bool,
}

/// What a service remembers in one play.
#[derive(Clone)]
pub(super) struct Book {
    play: u64,
    rng: Rng,
    effects: Vec<Effect>,
    /// The answer under each key, and the effect's place in the ledger.
    answers: BTreeMap<String, (usize, Answer)>,
    down_until: Duration,
}

type Answer = Arc<dyn Any + Send + Sync>;

/// What becomes of one call.
struct Fate {
    there: Duration,
    back: Duration,
    end: End,
}

enum End {
    Answered,
    Refused,
    /// It is done, and nobody says so.
    Silent,
}

/// The service did nothing, and says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// Its name.
    pub service: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not available", self.service)
    }
}

impl std::error::Error for Unavailable {}

impl From<Unavailable> for String {
    fn from(unavailable: Unavailable) -> String {
        unavailable.to_string()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Service({})", self.name())
    }
}

impl Service {
    /// A service of this name that answers at once and never fails.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Service {
        let habits = Habits {
            latency: Duration::ZERO..Duration::ZERO,
            fails_percent: 0,
            ambiguous_percent: 0,
            down_at_first: Duration::ZERO,
            counts: true,
        };
        let book = Mutex::new(Book::new(0, Rng::new(0), Duration::ZERO));
        Service(Arc::new(Shared { name: name.into(), habits: Mutex::new(habits), book }))
    }

    /// How long a call takes, there and back: a time in this range, each time another one.
    #[must_use]
    pub fn latency(self, range: Range<Duration>) -> Service {
        self.habits().latency = range;
        self
    }

    /// How often, in percent, it does nothing and says that it is [`Unavailable`].
    #[must_use]
    pub fn fails(self, percent: u64) -> Service {
        self.habits().fails_percent = percent;
        self
    }

    /// How often, in percent, it does what it is asked for and never answers: the caller waits until its time limit.
    #[must_use]
    pub fn ambiguous(self, percent: u64) -> Service {
        self.habits().ambiguous_percent = percent;
        self
    }

    /// It is down for so long, from the beginning of each scenario.
    #[must_use]
    pub fn down_for(self, span: Duration) -> Service {
        self.habits().down_at_first = span;
        self
    }

    /// Its effects may be had again after a crash without harm: [`crash_everywhere`](super::Test::crash_everywhere) does not compare
    /// them with those of the run without a crash.
    #[must_use]
    pub fn may_repeat(self) -> Service {
        self.habits().counts = false;
        self
    }

    /// It goes down now, for so long.
    ///
    /// # Panics
    /// Outside a scenario.
    #[track_caller]
    pub fn goes_down_for(&self, span: Duration) {
        let outside = self.outside();
        self.with(&outside, |book| book.down_until = outside.elapsed() + span);
        outside.moves(|| format!("{} goes down for {span:?}", self.name()));
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Asks it for an effect, which it has each time that it is asked: `what` names it in the ledger, `effect` gives the answer.
    ///
    /// A caller that is dropped before the call has arrived (its process died) has no effect; one that is dropped later has.
    ///
    /// # Errors
    /// [`Unavailable`] when it fails or is down. It has no effect then.
    ///
    /// # Panics
    /// Outside a scenario.
    pub async fn call<T>(&self, what: impl Into<String>, effect: impl FnOnce() -> T) -> Result<T, Unavailable> {
        let (outside, what) = (self.outside(), what.into());
        let arrive = |service: &Service| {
            let at = service.write_down(&outside, &what, None);
            (at, effect())
        };
        self.ask(&outside, &what, arrive).await
    }

    /// As [`call`](Self::call), but of all calls under one key only the first has an effect; the others get its answer again.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    ///
    /// # Panics
    /// Outside a scenario, and if the answer under this key is of another type.
    pub async fn call_once<T: Clone + Send + Sync + 'static>(
        &self,
        key: impl Into<String>,
        what: impl Into<String>,
        effect: impl FnOnce() -> T,
    ) -> Result<T, Unavailable> {
        let (outside, key, what) = (self.outside(), key.into(), what.into());
        let arrive = |service: &Service| {
            if let Some((at, answer)) = service.known(&outside, &key) {
                return (at, answer);
            }
            let (at, answer) = (service.write_down(&outside, &what, Some(&key)), effect());
            let kept: Answer = Arc::new(answer.clone());
            service.with(&outside, |book| book.answers.insert(key.clone(), (at, kept)));
            (at, answer)
        };
        self.ask(&outside, &what, arrive).await
    }

    async fn ask<T>(
        &self,
        outside: &Outside,
        what: &str,
        arrive: impl FnOnce(&Service) -> (usize, T),
    ) -> Result<T, Unavailable> {
        let Fate { there, back, end } = self.draw(outside);
        outside.moves(|| format!("{} is asked for {what}", self.name()));
        pass(there).await;
        if matches!(end, End::Refused) || self.is_down(outside) {
            outside.moves(|| format!("{} refuses {what}", self.name()));
            pass(back).await;
            return Err(Unavailable { service: self.name().to_owned() });
        }
        let (at, answer) = arrive(self);
        if matches!(end, End::Silent) {
            outside.moves(|| format!("{} does not answer", self.name()));
            return pending().await;
        }
        pass(back).await;
        self.with(outside, |book| book.effects[at].acknowledged = true);
        outside.moves(|| format!("{} answers: {what} is done", self.name()));
        Ok(answer)
    }

    fn draw(&self, outside: &Outside) -> Fate {
        let Habits { latency, fails_percent, ambiguous_percent, .. } = self.habits().clone();
        self.with(outside, |book| {
            let span = latency.end.saturating_sub(latency.start).as_millis() as u64;
            let all = latency.start + Duration::from_millis(book.rng.below(span));
            let there = all / 2;
            let end = match (book.rng.percent(fails_percent), book.rng.percent(ambiguous_percent)) {
                (true, _) => End::Refused,
                (false, true) => End::Silent,
                (false, false) => End::Answered,
            };
            Fate { there, back: all - there, end }
        })
    }

    fn is_down(&self, outside: &Outside) -> bool {
        self.with(outside, |book| outside.elapsed() < book.down_until)
    }

    /// It has the effect: gives its place in the ledger.
    fn write_down(&self, outside: &Outside, what: &str, key: Option<&str>) -> usize {
        let effect = Effect::now(outside.elapsed(), what, key);
        let place = self.with(outside, |book| {
            book.effects.push(effect);
            book.effects.len() - 1
        });
        outside.moves(|| format!("{} does {what}", self.name()));
        place
    }

    #[track_caller]
    fn known<T: Clone + 'static>(&self, outside: &Outside, key: &str) -> Option<(usize, T)> {
        let (at, answer) = self.with(outside, |book| book.answers.get(key).cloned())?;
        let Some(answer) = answer.downcast_ref::<T>() else {
            panic!("{} gave another type of answer under the key {key:?} before", self.name());
        };
        self.with(outside, |book| book.effects[at].repeats += 1);
        outside.moves(|| format!("{} has done that already", self.name()));
        Some((at, answer.clone()))
    }

    /// What it did in the scenario that plays, or in the last one that did.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        let outside = Outside::current();
        let effects = match outside {
            Some(outside) => self.with(&outside, |book| book.effects.clone()),
            None => self.book().effects.clone(),
        };
        Ledger { service: self.name().to_owned(), effects }
    }

    /// Asserts that it had these effects and no others, in whatever order. One that it had twice stands here twice.
    ///
    /// # Panics
    /// If it had others, with the ledger.
    #[track_caller]
    pub fn assert_effects<W: Into<String>>(&self, expected: impl IntoIterator<Item = W>) {
        let ledger = self.ledger();
        let mut expected: Vec<String> = expected.into_iter().map(Into::into).collect();
        let mut had: Vec<String> = ledger.effects.iter().map(|effect| effect.what.clone()).collect();
        expected.sort();
        had.sort();
        assert!(expected == had, "{} had other effects than {expected:?}\n{ledger}", self.name());
    }

    #[track_caller]
    fn outside(&self) -> Outside {
        let Some(outside) = Outside::current() else {
            panic!("the service `{}` is used outside a scenario: use it in what is given to `Test::run`", self.name());
        };
        outside
    }

    /// Does something to what it remembers of this play.
    fn with<R>(&self, outside: &Outside, f: impl FnOnce(&mut Book) -> R) -> R {
        let down_at_first = self.habits().down_at_first;
        let mut book = self.book();
        if book.play != outside.number() {
            *book = Book::new(outside.number(), outside.rng_of(self.name()), down_at_first);
            outside.join(self);
        }
        f(&mut book)
    }

    fn habits(&self) -> MutexGuard<'_, Habits> {
        self.0.habits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is(&self, other: &Service) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn counts(&self) -> bool {
        self.habits().counts
    }

    pub(super) fn book_in(&self, outside: &Outside) -> Book {
        self.with(outside, |book| book.clone())
    }

    /// Lets it remember that, in the play of this number.
    pub(super) fn restore(&self, book: Book, play: u64) {
        *self.book() = Book { play, ..book };
    }
}

impl Book {
    fn new(play: u64, rng: Rng, down_until: Duration) -> Book {
        Book { play, rng, effects: Vec::new(), answers: BTreeMap::new(), down_until }
    }

    pub(super) fn digest(&self, digest: Digest) -> Digest {
        let Book { rng, effects, down_until, .. } = self;
        digest.bytes(format!("{rng:?}{effects:?}{down_until:?}").as_bytes())
    }
}

/// Lets time pass; without any, lets others go first.
async fn pass(span: Duration) {
    if !span.is_zero() {
        return tokio::time::sleep(span).await;
    }
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
