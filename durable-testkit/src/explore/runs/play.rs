//! One process's life, from what a crash left to the end of its client, with the moments at which it may crash in turn.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use durable::Registry;
use durable::kernel::id::Timestamp;
use durable::seams::Clock;
use tokio::sync::Notify;

use super::Scenario;
use super::world::{Ledger, World};
use crate::disk::digest::Digest;
use crate::disk::{Moment, SimDisk, Snapshot};
use crate::explore::images::Before;
use crate::sim::{BEGIN, ONE_SEGMENT, Order, Setting, Sim};

/// What has not ended after so much simulated time never does.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Where a process begins.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) disk: Snapshot,
    pub(super) ledger: Arc<Ledger>,
    pub(super) wall: Timestamp,
    /// The crashes that led here, in words.
    pub(super) crashes: Vec<String>,
}

/// A moment right before an operation of the disk, and the world at it.
pub(super) struct Point {
    pub(super) moment: Moment,
    pub(super) ledger: Arc<Ledger>,
    pub(super) wall: Timestamp,
    pub(super) before: Before,
}

/// What a life came to.
pub(super) struct Played {
    /// None if it was ended where it became another life.
    pub(super) end: Option<String>,
    pub(super) ledger: Ledger,
    pub(super) points: Vec<Point>,
}

/// The moments that the lives behind equally many crashes have come to. A life that comes to one of another life is ended: from the same
/// files, with the same pending, in the same world at the same time and about to do the same, it would go on as that one, which is judged.
#[derive(Debug, Default)]
pub(super) struct Met(Mutex<BTreeSet<u64>>);

impl Met {
    fn is_new(&self, digest: u64) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest)
    }
}

/// Whether the moments of a life are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    Moments,
    Nothing,
}

impl Start {
    /// A machine with an empty store on it.
    pub(super) fn empty() -> Start {
        static EMPTY: OnceLock<Snapshot> = OnceLock::new();
        let disk = EMPTY.get_or_init(empty_store).clone();
        Start { disk, ledger: Arc::default(), wall: BEGIN, crashes: Vec::new() }
    }

    /// The same for two from which the same follows. `disk` is at it.
    pub(super) fn digest(disk: &SimDisk, ledger: &Ledger, wall: Timestamp) -> u64 {
        let digest = Digest::new().number(disk.fingerprint()).number(disk.pending_digest());
        ledger.digest(digest.number(wall.0.cast_unsigned())).finish()
    }

    /// Lets a process live from here.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn play(&self, scenario: &Scenario, keeps: Keeps, met: Option<&Arc<Met>>) -> Result<Played, String> {
        let setting = Setting {
            // Two processes of one machine draw no number twice.
            seed: self.crashes.len() as u64,
            order: Order::AsTheyCome,
            begin: self.wall,
            time_max: TIME_MAX,
            sizes: ONE_SEGMENT,
            disk: Some(self.disk.clone()),
            ..Setting::default()
        };
        let world = World::of(Ledger::clone(&self.ledger));
        let lived = Sim::play(setting, async |sim| {
            let watched = Watched { keeps, met: met.cloned(), is_met: Arc::default(), points: Arc::default() };
            watched.watch(&sim, &world);
            let end = tokio::select! {
                biased;
                () = watched.is_met.notified() => None,
                end = live(&sim, scenario, &world) => Some(end?),
            };
            sim.disk().unwatch();
            Ok::<_, String>(Played { end, ledger: world.now(), points: watched.take() })
        });
        lived.unwrap_or_else(|stalled| Err(stalled.to_string()))
    }
}

async fn live(sim: &Sim, scenario: &Scenario, world: &World) -> Result<String, String> {
    let process = sim.process();
    let lived = process.run(async {
        let opened = process.runtime((scenario.registry)()).state(world.clone()).open().await;
        let runtime = opened.map_err(|error| format!("the store does not open: {error}"))?;
        let end = (scenario.client)(runtime.clone(), world.clone()).await?;
        world.ack(format!("ended {end}"));
        runtime.shutdown().await.map_err(|error| format!("the runtime does not shut down: {error}"))?;
        Ok(end)
    });
    lived.await.unwrap_or_else(|| Err("the process died by itself".to_owned()))
}

/// Who looks at the moments of a life.
#[derive(Clone)]
struct Watched {
    keeps: Keeps,
    met: Option<Arc<Met>>,
    /// Told when the life has become another one.
    is_met: Arc<Notify>,
    points: Arc<Mutex<Vec<Point>>>,
}

impl Watched {
    /// Looks at every moment of the disk from now on.
    fn watch(&self, sim: &Sim, world: &World) {
        let (watched, clock, world) = (self.clone(), sim.clock().clone(), world.clone());
        if self.keeps == Keeps::Moments || self.met.is_some() {
            sim.disk().watch(move |moment| watched.look(moment, world.now(), clock.wall()));
        }
    }

    fn look(&self, moment: Moment, now: Ledger, wall: Timestamp) {
        if let Some(met) = &self.met {
            let digest = Digest::new().number(moment.digest()).number(wall.0.cast_unsigned());
            if !met.is_new(now.digest(digest).finish()) {
                // What it is about to do, and leaves behind, is the other life's.
                return self.is_met.notify_one();
            }
        }
        if self.keeps == Keeps::Nothing {
            return;
        }
        let mut points = self.points.lock().unwrap_or_else(PoisonError::into_inner);
        let last = points.last().filter(|last| *last.ledger == now);
        let before = if last.is_some_and(|last| last.wall == wall) { Before::Known } else { Before::New };
        let ledger = last.map_or_else(|| Arc::new(now), |last| Arc::clone(&last.ledger));
        points.push(Point { moment, ledger, wall, before });
    }

    fn take(&self) -> Vec<Point> {
        std::mem::take(&mut *self.points.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn empty_store() -> Snapshot {
    let made = Sim::play(Setting { sizes: ONE_SEGMENT, ..Setting::default() }, async |sim| {
        sim.disk().stop_tracing();
        let process = sim.process();
        let made = process.run(async {
            let runtime = process.runtime(Registry::default()).open().await?;
            runtime.shutdown().await?;
            Ok::<(), durable::Error>(())
        });
        assert!(matches!(made.await, Some(Ok(()))), "because nothing goes wrong on a sound disk");
        sim.disk().settle();
        sim.disk().snapshot()
    });
    made.expect("because an empty store opens and closes")
}
