//! A test of workflows: what the application is made of, what stands in the place of what, and how it is played.

use std::fmt;
use std::rc::Rc;

use durable::kernel::engine::Residence;
use durable::{ActivityFn, Builder, Items, Registry};

use super::app::{App, Crashes};
use super::crash::Seconds;
use super::double::{Body, Double};
use super::failure::Failure;
use super::play::{ATTEMPTS_MAX, POLLS_MAX, Start, Trouble, play};
use super::repeat::Repeat;
use super::replays::{REPLAYS, replay};
use super::service::Service;
use super::stage::{Journals, Stage};

/// What gives the application one of its states.
pub(super) type State = Rc<dyn Fn(Builder) -> Builder>;

/// A test of an application: its workflows and activities, and what stands in the place of some of them. It runs inside a plain
/// `#[test] fn`, on its thread, in simulated time.
///
/// # Examples
/// ```
/// use durable::prelude::*;
/// use durable_testkit::Test;
///
/// const DAY: Duration = Duration::from_secs(86_400);
///
/// #[activity]
/// async fn mail(to: String, text: String) -> Result<(), String> {
///     Err(format!("no mail server here to tell {to} that {text}"))
/// }
///
/// #[workflow]
/// async fn trial(user: String) -> durable::Result<String> {
///     durable::sleep(30 * DAY).await;
///     mail(user, "your trial ends".to_owned()).await?;
///     Ok("ended".to_owned())
/// }
///
/// # fn main() {
/// Test::of((trial, mail)).double(mail, async |_to: String, _text: String| Ok(())).run(async |t| {
///     let run = t.start(trial("ada".to_owned())).id("ada").await?;
///     t.advance(29 * DAY).await;
///     assert_eq!(t.attempts(mail), 0);
///     assert_eq!(run.result().await?, "ended");
///     assert_eq!(t.elapsed().as_secs(), 30 * DAY.as_secs());
///     Ok(())
/// });
/// # }
/// ```
#[must_use = "a test does nothing until it is run"]
pub struct Test<'a> {
    pub(super) plan: Plan<'a>,
    pub(super) seeds: Option<u64>,
    replays: usize,
    pub(super) second_crashes: Seconds,
    pub(super) crash_at: Option<String>,
}

/// What a play needs to know of its test.
pub(super) struct Plan<'a> {
    pub(super) registry: Registry,
    pub(super) states: Vec<State>,
    pub(super) doubled: Vec<Doubled>,
    /// The doubles, in the order of `doubled`.
    pub(super) doubles: Vec<Body<'a>>,
    pub(super) residence: Residence,
    pub(super) attempts_max: u32,
    pub(super) polls_max: u64,
}

/// An activity that has a double.
#[derive(Debug, Clone)]
pub(super) struct Doubled {
    pub(super) name: String,
    /// For how many of its attempts; none if for all.
    pub(super) first: Option<u32>,
}

impl fmt::Debug for Test<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { registry, doubled, .. } = &self.plan;
        f.debug_struct("Test").field("registry", registry).field("doubled", doubled).finish_non_exhaustive()
    }
}

impl<'a> Test<'a> {
    /// A test of these workflows and activities: a tuple of functions, or a [`Registry`]. One function is `(function,)`.
    pub fn of<M>(items: impl Items<M>) -> Test<'a> {
        let plan = Plan {
            registry: Registry::of(items),
            states: Vec::new(),
            doubled: Vec::new(),
            doubles: Vec::new(),
            residence: Residence::default(),
            attempts_max: ATTEMPTS_MAX,
            polls_max: POLLS_MAX,
        };
        Test { plan, seeds: None, replays: REPLAYS, second_crashes: Seconds::Sampled, crash_at: None }
    }

    /// Gives the activities that take a `State<T>` their value. It is no part of any process's memory: a crash does not touch what it
    /// points to, and neither does the next scenario of this test. What a process loses is given by [`state_with`](Self::state_with).
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.plan.states.push(Rc::new(move |builder| builder.state(state.clone())));
        self
    }

    /// As [`state`](Self::state), made anew by each process.
    pub fn state_with<T: Clone + Send + Sync + 'static>(mut self, make: impl Fn() -> T + 'static) -> Self {
        self.plan.states.push(Rc::new(move |builder| builder.state(make())));
        self
    }

    /// A service to which the activities have access as a `State<Service>`.
    pub fn service(self, service: &Service) -> Self {
        self.state(service.clone())
    }

    /// Runs `double` in the place of the activity's body. It takes the arguments, states excepted, and returns what the activity
    /// returns: what does not fit does not compile. It may borrow from the test, and use all that an activity may, as
    /// `durable::activity::idempotency_key()` and `tokio::time`. The activity's options still count, its states need not be given.
    /// A panic in it, as of an assertion, fails the test at once; one in an activity's own body is a failed attempt.
    ///
    /// # Examples
    /// ```
    /// # use durable::prelude::*;
    /// # use durable_testkit::Test;
    /// # #[activity] async fn charge(card: String, cents: u64) -> Result<u64, String> { Err(format!("no bank here to charge {cents} to {card}")) }
    /// # #[workflow] async fn sell() -> durable::Result<u64> { Ok(charge("4242".to_owned(), 100).await?) }
    /// let charged = std::cell::Cell::new(0);
    /// let test = Test::of((sell, charge)).double(charge, async |_card: String, cents: u64| {
    ///     charged.set(charged.get() + cents);
    ///     Ok(1)
    /// });
    /// test.run(async |t| {
    ///     t.start(sell()).await?.result().await?;
    ///     assert_eq!(charged.get(), 100);
    ///     Ok(())
    /// });
    /// ```
    ///
    /// What does not fit:
    /// ```compile_fail,E0631
    /// # use durable::prelude::*;
    /// # use durable_testkit::Test;
    /// # #[activity] async fn charge(card: String, cents: u64) -> Result<u64, String> { Err(format!("no bank here to charge {cents} to {card}")) }
    /// let test = Test::of((charge,)).double(charge, async |card: String, cents: u32| Ok(1));
    /// ```
    ///
    /// # Panics
    /// If the activity is not one of the test's.
    #[track_caller]
    pub fn double<M, F>(self, activity: F, double: impl Double<F::Args, F::Returned> + 'a) -> Self
    where
        F: ActivityFn<M>,
        F::Args: 'a,
    {
        self.doubled(activity, None, double)
    }

    /// Every attempt of the activity returns this.
    ///
    /// # Panics
    /// If the activity is not one of the test's.
    #[track_caller]
    pub fn returns<M, F>(self, activity: F, value: impl Fn() -> F::Returned + 'a) -> Self
    where
        F: ActivityFn<M>,
        F::Args: 'a,
    {
        self.doubled(activity, None, Constant(value))
    }

    /// The first `attempts` of the activity, of all runs, return this; those behind them do what they would without it.
    ///
    /// # Examples
    /// ```
    /// # use durable::prelude::*;
    /// # use durable_testkit::Test;
    /// # #[activity] async fn charge(cents: u64) -> Result<u64, String> { Ok(cents) }
    /// # #[workflow] async fn sell() -> durable::Result<u64> { Ok(charge(100).await?) }
    /// Test::of((sell, charge)).first(2, charge, || Err("busy".to_owned())).run(async |t| {
    ///     assert_eq!(t.start(sell()).await?.result().await?, 100);
    ///     assert_eq!(t.attempts(charge), 3);
    ///     Ok(())
    /// });
    /// ```
    ///
    /// # Panics
    /// If the activity is not one of the test's.
    #[track_caller]
    pub fn first<M, F>(self, attempts: u32, activity: F, value: impl Fn() -> F::Returned + 'a) -> Self
    where
        F: ActivityFn<M>,
        F::Args: 'a,
    {
        self.doubled(activity, Some(attempts), Constant(value))
    }

    #[track_caller]
    fn doubled<M, F>(mut self, _: F, first: Option<u32>, double: impl Double<F::Args, F::Returned> + 'a) -> Self
    where
        F: ActivityFn<M>,
        F::Args: 'a,
    {
        use durable::__private::Definition;
        let name = F::Definition::name().to_string();
        assert!(
            self.plan.registry.activity(&name).is_some(),
            "`{name}` has a double and is not one of the test's activities"
        );
        self.plan.doubled.push(Doubled { name, first });
        self.plan.doubles.push(Body::of::<M, F>(double));
        self
    }

    /// Plays the scenario under so many seeds, each of which orders what happens at one time in another way; one unless this is called.
    /// `DURABLE_SEEDS` in the environment says how many for all tests, `DURABLE_SEED` names a single one.
    ///
    /// [`crash_everywhere`](Self::crash_everywhere) crashes the scenario everywhere under each of them, and takes as many times as long;
    /// one crash that is wanted alone is tried under the first.
    pub fn seeds(mut self, seeds: u64) -> Self {
        self.seeds = Some(seeds);
        self
    }

    /// When one call of an activity has failed in so many attempts and would be tried again, the scenario has failed; 1,000 unless this is
    /// called. What the activity's own options allow counts as well.
    pub fn attempts_max(mut self, attempts: u32) -> Self {
        self.plan.attempts_max = attempts;
        self
    }

    /// After so many polls of tasks the scenario has failed: it never ends. 300,000 unless this is called; a step takes about ten.
    pub fn polls_max(mut self, polls: u64) -> Self {
        self.plan.polls_max = polls;
        self
    }

    /// What was recorded is not replayed afterwards, neither by [`run`](Self::run) nor by
    /// [`crash_everywhere`](Self::crash_everywhere).
    pub fn without_replays(mut self) -> Self {
        self.replays = 0;
        self
    }

    /// Plays the scenario: it gets the application, opened on an empty store. Afterwards everything that was recorded is replayed against
    /// the same code, 16 times, each in a fresh thread, so that code which does not replay fails its test.
    ///
    /// Gives what the scenario returned, under the last seed.
    ///
    /// # Panics
    /// When the scenario fails: it panics, returns an error, never ends, or a run is blocked; and when what it recorded does not replay.
    /// The text says what happened, and how to repeat it.
    #[track_caller]
    pub fn run<R>(self, scenario: impl AsyncFn(App) -> durable::Result<R>) -> R {
        match self.try_run(scenario) {
            Ok(value) => value,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// As [`run`](Self::run), without the panic.
    ///
    /// # Errors
    /// When the scenario fails, or what it recorded does not replay, and when `DURABLE_SEED` or `DURABLE_SEEDS` is no number.
    pub fn try_run<R>(self, scenario: impl AsyncFn(App) -> durable::Result<R>) -> Result<R, Failure> {
        let mut last = None;
        for seed in Repeat::seeds(self.seeds.unwrap_or(1))? {
            last = Some(self.once(seed, &scenario)?);
        }
        Ok(last.expect("because there is at least one seed"))
    }

    fn once<R>(&self, seed: u64, scenario: impl AsyncFn(App) -> durable::Result<R>) -> Result<R, Failure> {
        let (played, left) = play(&self.plan, seed, &Start::empty(), async |stage| {
            stage.open().await;
            follow(&stage, scenario).await
        });
        let failed = |trouble: Trouble| Failure::new(trouble.to_string(), Repeat::of_seed(seed)).with(&left);
        let (value, journals) = played.map_err(failed)?;
        replay(&journals, self.replays, Residence::Stay).map_err(|text| failed(Trouble::Said(text)))?;
        Ok(value)
    }

    pub(super) fn replays(&self) -> usize {
        self.replays
    }
}

/// Plays the scenario in an application that is open, and reads what it recorded.
pub(super) async fn follow<R>(
    stage: &Rc<Stage>,
    scenario: impl AsyncFn(App) -> durable::Result<R>,
) -> Result<(R, Vec<Journals>), Trouble> {
    let app = App { stage: Rc::clone(stage), crashes: Crashes::Scenario };
    let value = scenario(app).await.map_err(|error| Trouble::Failed(error.to_string()))?;
    if let Some(blocked) = stage.blocked().await {
        return Err(blocked);
    }
    stage.end();
    Ok((value, stage.journals().await?))
}

struct Constant<V>(V);

impl<A, R, V: Fn() -> R> Double<A, R> for Constant<V> {
    async fn call(&self, _: A) -> R {
        (self.0)()
    }
}
