//! One process's life, from what a crash left to the end of its client, with the moments at which it may crash in turn.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use durable::Registry;
use durable::kernel::id::Timestamp;
use durable::seams::Clock;
use tokio::sync::Notify;

use super::Scenario;
use super::world::{Ledger, World};
use crate::disk::digest::Digest;
use crate::disk::{Moment, Op, OpKind, Snapshot};
use crate::explore::images::{Before, Choice};
use crate::sim::{BEGIN, ONE_SEGMENT, Order, Setting, Sim};

/// What has not ended after so much simulated time never does.
const TIME_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Where a process begins.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub(super) disk: Snapshot,
    pub(super) ledger: Arc<Ledger>,
    pub(super) wall: Timestamp,
    /// The crash that led here; none at the begin of all.
    pub(super) crash: Option<Arc<Crash>>,
}

/// A crash, and the one before it.
#[derive(Debug)]
pub(super) struct Crash {
    pub(super) before: Option<Arc<Crash>>,
    /// The how-manieth moment of its life it was in, and what was about to be done.
    pub(super) at: (usize, Op),
    pub(super) choice: Choice,
}

impl Crash {
    /// How many crashes there were, this one included.
    pub(super) fn number(&self) -> usize {
        1 + self.before.as_ref().map_or(0, |before| before.number())
    }

    /// All of them in words, from the first.
    pub(super) fn told(&self) -> Vec<String> {
        let mut told = self.before.as_ref().map_or_else(Vec::new, |before| before.told());
        let ((number, op), choice) = (&self.at, &self.choice);
        told.push(format!("at operation {number}, {op:?}: {choice:?}"));
        told
    }
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

/// The moments of the lives behind equally many crashes that have been lived. A life that comes to one of them is ended: from the same
/// files, with the same on the platter and pending, in the same world at the same time, about to do the same with the same in flight, it
/// would go on as that one, which is judged.
/// A life's own moments are in it when it is over and not before, so that no two lives end where each became the other.
#[derive(Debug, Default)]
pub(super) struct Met(Mutex<BTreeSet<u64>>);

impl Met {
    fn knows(&self, digest: u64) -> bool {
        self.moments().contains(&digest)
    }

    fn moments(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What comes behind a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// It is crashed wherever it can be: its moments are kept, and what is on the platter and pending makes a difference.
    Crashes,
    /// Nothing: of the disk only what processes see makes a difference.
    Nothing,
}

impl Behind {
    /// The same for two disks, worlds and times from which the same follows.
    pub(super) fn digest(self, disk: &Snapshot, ledger: &Ledger, wall: Timestamp) -> Digest {
        let digest = Digest::new().number(disk.fingerprint());
        let digest = match self {
            Behind::Crashes => digest.number(disk.platter_digest()),
            Behind::Nothing => digest,
        };
        ledger.digest(digest.number(wall.0.cast_unsigned()))
    }
}

impl Start {
    /// A machine with an empty store on it.
    pub(super) fn empty() -> Start {
        static EMPTY: OnceLock<Snapshot> = OnceLock::new();
        let disk = EMPTY.get_or_init(empty_store).clone();
        Start { disk, ledger: Arc::default(), wall: BEGIN, crash: None }
    }

    /// How many crashes led here.
    pub(super) fn crashes(&self) -> usize {
        self.crash.as_ref().map_or(0, |crash| crash.number())
    }

    /// Lets a process live from here.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn play(&self, scenario: &Scenario, behind: Behind, met: Option<&Arc<Met>>) -> Result<Played, String> {
        let setting = Setting {
            // Two processes of one machine draw no number twice.
            seed: self.crashes() as u64,
            order: Order::AsTheyCome,
            begin: self.wall,
            time_max: TIME_MAX,
            sizes: ONE_SEGMENT,
            disk: Some(self.disk.clone()),
            ..Setting::default()
        };
        let world = World::of(Ledger::clone(&self.ledger));
        let lived = Sim::play(setting, async |sim| {
            let watched = Watched { behind, met: met.cloned(), is_met: Arc::default(), seen: Arc::default() };
            watched.watch(&sim, &world);
            let end = tokio::select! {
                biased;
                () = watched.is_met.notified() => None,
                end = live(&sim, scenario, &world) => Some(end?),
            };
            sim.disk().unwatch();
            Ok::<_, String>(Played { end, ledger: world.now(), points: watched.over() })
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
    behind: Behind,
    met: Option<Arc<Met>>,
    /// Told when the life has become another one.
    is_met: Arc<Notify>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    points: Vec<Point>,
    /// What the moments are known by.
    digests: Vec<u64>,
    is_over: bool,
}

impl Watched {
    /// Looks at every moment of the disk from now on.
    fn watch(&self, sim: &Sim, world: &World) {
        let (watched, clock, world) = (self.clone(), sim.clock().clone(), world.clone());
        if self.behind == Behind::Crashes || self.met.is_some() {
            sim.disk().watch(move |moment| watched.look(moment, world.now(), clock.wall()));
        }
    }

    fn look(&self, moment: Moment, now: Ledger, wall: Timestamp) {
        let mut seen = self.seen();
        if seen.is_over {
            return;
        }
        if let Some(met) = &self.met {
            let digest = self.behind.digest(moment.before(), &now, wall).number(moment.op_digest()).finish();
            if met.knows(digest) {
                // What it is about to do, and leaves behind, is the other life's.
                seen.is_over = true;
                return self.is_met.notify_one();
            }
            seen.digests.push(digest);
        }
        if self.behind == Behind::Crashes {
            seen.keep(moment, now, wall);
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life is over: its moments are known from now on. Gives those that were kept.
    fn over(&self) -> Vec<Point> {
        let Seen { points, digests, .. } = std::mem::take(&mut *self.seen());
        if let Some(met) = &self.met {
            met.moments().extend(digests);
        }
        points
    }
}

impl Seen {
    fn keep(&mut self, moment: Moment, now: Ledger, wall: Timestamp) {
        let last = self.points.last().filter(|last| *last.ledger == now);
        // Of what a sync was about, each subset may have been too many to be tried.
        let leads =
            |last: &&Point| last.wall == wall && !matches!(last.moment.op().kind(), OpKind::SyncData | OpKind::SyncDir);
        let before = if last.filter(leads).is_some() { Before::Known } else { Before::New };
        let ledger = last.map_or_else(|| Arc::new(now), |last| Arc::clone(&last.ledger));
        self.points.push(Point { moment, ledger, wall, before });
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
