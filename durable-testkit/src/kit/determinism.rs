//! The determinism check: one scenario under many seeds, its runs held in memory or put away at every await, and all that was recorded
//! replayed in both ways, in fresh threads.

use durable::replay::Residence;

use super::app::App;
use super::failure::Failure;
use super::play::{Start, Trouble, play};
use super::repeat::Repeat;
use super::replays::{REPLAYS, replay};
use super::test::{Plan, Test, follow};

/// Under how many seeds a scenario is played, unless told otherwise.
const SEEDS: u64 = 20;

/// How often what was recorded is replayed with the run put away at every await, which costs the square of its turns.
const PUT_AWAY_REPLAYS: usize = 4;

impl Test<'_> {
    /// Looks for whatever makes a workflow do something else when it is replayed: the order of a `HashMap`, a clock, randomness, a
    /// static, a thread's own memory, a `tokio::select!` in a helper.
    ///
    /// Plays the scenario under 20 seeds, or as many as [`seeds`](Self::seeds) says: each orders completions and what happens at one
    /// time in another way. Under every second one all runs are put away at every await, so that each poll is the first after a replay.
    /// Each time all that was recorded is replayed in fresh threads, where hash maps have another order and threads' generators another
    /// seed, at another time of the real clock; 16 times from beginning to end, and 4 times put away at every await.
    ///
    /// # Examples
    /// ```
    /// # use durable::prelude::*;
    /// # use durable_testkit::Test;
    /// # #[activity] async fn fetch(n: u32) -> Result<u32, String> { Ok(n) }
    /// #[workflow]
    /// async fn sum() -> durable::Result<u32> {
    ///     let (a, b) = try_join!(fetch(1), fetch(2))?;
    ///     Ok(a + b)
    /// }
    ///
    /// Test::of((sum, fetch)).check_determinism(async |t| Ok(t.start(sum()).await?.result().await?));
    /// ```
    ///
    /// # Panics
    /// When something differs, with both sides, and when the scenario fails.
    #[track_caller]
    pub fn check_determinism<R>(self, scenario: impl AsyncFn(App) -> durable::Result<R>) {
        if let Err(failure) = self.try_check_determinism(scenario) {
            panic!("{failure}");
        }
    }

    /// As [`check_determinism`](Self::check_determinism), without the panic.
    ///
    /// # Errors
    /// When something differs, or the scenario fails, and when `DURABLE_SEED` or `DURABLE_SEEDS` is no number.
    pub fn try_check_determinism<R>(self, scenario: impl AsyncFn(App) -> durable::Result<R>) -> Result<(), Failure> {
        let mut plan = self.plan;
        for (nth, seed) in Repeat::seeds(self.seeds.unwrap_or(SEEDS))?.enumerate() {
            // The seed alone says which, so that it repeats alone what it did among others.
            plan.residence = [Residence::Stay, Residence::PutAwayAtEveryAwait][usize::from(seed.is_multiple_of(2))];
            check(&plan, seed, &scenario).map_err(|failure| failure.of_check(nth, plan.residence))?;
        }
        Ok(())
    }
}

fn check<R>(plan: &Plan<'_>, seed: u64, scenario: impl AsyncFn(App) -> durable::Result<R>) -> Result<(), Failure> {
    let (played, left) = play(plan, seed, &Start::empty(), async |stage| {
        stage.open().await;
        follow(&stage, scenario).await
    });
    let failed = |trouble: Trouble| Failure::new(trouble.to_string(), Repeat::of_seed(seed)).with(&left);
    let (_, journals) = played.map_err(failed)?;
    for (times, residence) in [(REPLAYS, Residence::Stay), (PUT_AWAY_REPLAYS, Residence::PutAwayAtEveryAwait)] {
        replay(&journals, times, residence).map_err(|text| failed(Trouble::Said(text)))?;
    }
    Ok(())
}
