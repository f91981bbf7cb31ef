//! How a runtime is opened.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::definitions::Definitions;
use super::driver::{Driver, Parts};
use super::error::OpenError;
use super::part::Part;
use super::peers::{self, Peers};
use super::reader::Reader;
use super::real::{SystemClock, SystemEntropy, TokioSpawn};
use super::request::Message;
use super::shared::Shared;
use super::turns::Hot;
use super::{Inner, Runtime};
use crate::activity::States;
use crate::kernel::engine::{Config, Kernel, Now, Numbers, Residence, Role, Stop};
use crate::kernel::event::Text;
use crate::kernel::open_runs::Shelf;
use crate::kernel::tables::Tables;
use crate::payload::PayloadCodec;
use crate::registry::{Items, Registry};
use crate::seams::{Entropy, Seams, Task};
use crate::store::disk::Disk;
use crate::store::log::{self, IndexAt, Log, Options, Recovered, Report, Sizes, Writer};
use crate::store::real::RealDisk;
use crate::store::{Listener, Store};

/// How many attempts may wait in flight at once, unless told otherwise.
pub(super) const ATTEMPTS: usize = 1_000;

/// How many bytes may wait for the log before starts and signals wait too.
pub(super) const QUEUED_BYTES: usize = 64 << 20;

/// The world that a runtime works in: the real one, or a simulator's. Outside the crate's stability promise.
#[derive(Debug, Clone)]
pub struct World {
    /// Time, entropy and tasks.
    pub seams: Seams,
    /// The disk.
    pub disk: Arc<dyn Disk>,
    /// How large the parts of the log are.
    pub sizes: Sizes,
}

impl World {
    /// A world of these, with the default sizes.
    #[must_use]
    pub fn new(seams: Seams, disk: Arc<dyn Disk>) -> World {
        World { seams, disk, sizes: Sizes::default() }
    }

    /// The real world; inside a tokio runtime.
    ///
    /// # Errors
    /// Outside one.
    pub fn real() -> Result<World, OpenError> {
        let handle = Handle::try_current().map_err(|_| OpenError::NoTokio)?;
        let seams = Seams {
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy::new()),
            spawn: Arc::new(TokioSpawn::new(handle)),
        };
        Ok(World::new(seams, Arc::new(RealDisk::new())))
    }
}

/// A runtime that is being prepared, from [`Runtime::builder`].
#[must_use = "a runtime opens when `open` is awaited"]
pub struct Builder {
    dir: PathBuf,
    registry: Registry,
    states: States,
    build: Option<String>,
    codec: PayloadCodec,
    attempts: usize,
    drivers: Option<usize>,
    queued_bytes_max: usize,
    residence: Residence,
    world: Option<World>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("dir", &self.dir).field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl Builder {
    pub(super) fn new(dir: PathBuf) -> Builder {
        Builder {
            dir,
            registry: Registry::default(),
            states: States::default(),
            build: None,
            codec: PayloadCodec::default(),
            attempts: ATTEMPTS,
            drivers: None,
            queued_bytes_max: QUEUED_BYTES,
            residence: Residence::default(),
            world: None,
        }
    }

    /// Registers workflows and activities: a tuple of functions, at most 16 of them in one call, or a [`Registry`]. One function is
    /// `(function,)`.
    pub fn register<M>(mut self, items: impl Items<M>) -> Self {
        self.registry.register(items);
        self
    }

    /// Gives the activities that take a `State<T>` their value.
    pub fn state<T: Clone + Send + Sync + 'static>(mut self, state: T) -> Self {
        self.states.insert(state);
        self
    }

    /// What names this build: a run that is blocked is replayed once by each build that opens the store. Without it the build is a
    /// hash of the executable, which is read for that.
    pub fn build_id(mut self, build: impl Into<String>) -> Self {
        self.build = Some(build.into());
        self
    }

    /// How values are written; both are read whatever is chosen here.
    pub fn codec(mut self, codec: PayloadCodec) -> Self {
        self.codec = codec;
        self
    }

    /// How many attempts may wait in flight at once; 1,000 unless this is called. The others wait for a slot; an attempt that ends in
    /// its first poll is not counted.
    pub fn attempts(mut self, most: usize) -> Self {
        self.attempts = most.max(1);
        self
    }

    /// How many drivers share the runs, each with a thread on which it polls them; unless this is called as many as there are processors, at most 4,
    /// and 1 in a tokio runtime of one thread. A run has one driver, and so have all whose ids begin alike up to the first `/`, a
    /// run's children among them: ids as `order-17` are divided, those as `orders/17` are one driver's. What a run does is the same however
    /// many there are. There are never more than [`attempts`](Self::attempts), nor more than 64.
    pub fn drivers(mut self, drivers: usize) -> Self {
        self.drivers = Some(drivers.max(1));
        self
    }

    /// How many bytes may wait for the log before starts and signals wait too; 64 MiB unless this is called.
    pub fn queued_bytes_max(mut self, most: usize) -> Self {
        self.queued_bytes_max = most;
        self
    }

    /// For tests: every run is put away at every await and loaded again by its next event.
    #[doc(hidden)]
    pub fn put_away_at_every_await(mut self) -> Self {
        self.residence = Residence::PutAwayAtEveryAwait;
        self
    }

    /// For simulators: another world than the real one.
    #[doc(hidden)]
    pub fn world(mut self, world: World) -> Self {
        self.world = Some(world);
        self
    }

    /// Opens the store and resumes every open run that has something to do.
    ///
    /// # Errors
    /// When what was registered does not fit together, the store is open elsewhere, is no store, has another format, or is damaged.
    /// Nothing is changed then.
    pub async fn open(self) -> Result<Runtime, OpenError> {
        let faults = self.registry.faults(&self.states);
        if !faults.is_empty() {
            return Err(OpenError::Registry(faults));
        }
        let world = match &self.world {
            Some(world) => world.clone(),
            None => World::real()?,
        };
        self.open_in(world).await
    }

    async fn open_in(self, world: World) -> Result<Runtime, OpenError> {
        let World { mut seams, disk, sizes } = world;
        if let Some(build) = self.build {
            seams.entropy = Arc::new(Named { build, inner: seams.entropy });
        }
        // Each needs one attempt at least that may wait in flight.
        let drivers = self.drivers.unwrap_or_else(|| seams.spawn.drivers()).min(self.attempts).min(peers::MANY);
        let wires = Wires::new(drivers);
        let index = match self.world {
            None => IndexAt::Folder(self.dir.join("index")),
            Some(_) => IndexAt::Memory,
        };
        let options = Options { index, sizes, ..Options::new(self.dir, wires.log_listener()) };
        let (log, writer, recovered) = open_log(disk, seams.clone(), options).await?;
        warn_of_abort();
        let store = Opened {
            store: Arc::new(log),
            writer: Some(Box::pin(writer.run())),
            tables: recovered.tables,
            stop: if recovered.is_clean { Stop::Clean } else { Stop::Unclean },
        };
        let setting = Setting {
            definitions: Arc::new(Definitions::of(self.registry)),
            states: self.states,
            build: seams.entropy.build_id().into(),
            codec: self.codec,
            attempts: self.attempts,
            queued_bytes_max: self.queued_bytes_max,
            residence: self.residence,
        };
        Ok(assemble(store, setting, seams, wires))
    }
}

/// Entropy under a build's name that the application chose: the executable is not asked for one.
#[derive(Debug)]
struct Named {
    build: String,
    inner: Arc<dyn Entropy>,
}

impl Entropy for Named {
    fn fill(&self, bytes: &mut [u8]) {
        self.inner.fill(bytes);
    }

    fn pid(&self) -> u32 {
        self.inner.pid()
    }

    fn host(&self) -> String {
        self.inner.host()
    }

    fn boot_id(&self) -> [u8; 16] {
        self.inner.boot_id()
    }

    fn build_id(&self) -> String {
        self.build.clone()
    }
}

/// A store that was opened.
pub(super) struct Opened {
    pub(super) store: Arc<dyn Store>,
    /// What writes it, if it does not write by itself.
    pub(super) writer: Option<Task>,
    pub(super) tables: Tables,
    pub(super) stop: Stop,
}

/// What an application chose.
pub(super) struct Setting {
    pub(super) definitions: Arc<Definitions>,
    pub(super) states: States,
    pub(super) build: Text,
    pub(super) codec: PayloadCodec,
    pub(super) attempts: usize,
    pub(super) queued_bytes_max: usize,
    pub(super) residence: Residence,
}

/// The ways between the store, the drivers and the handles.
pub(super) struct Wires {
    ways: Arc<[UnboundedSender<Message>]>,
    ends: Vec<UnboundedReceiver<Message>>,
    /// Of each driver, whether it is to be told when more is durable. One that is alone always is.
    bells: Vec<Arc<AtomicBool>>,
    moved: Arc<Notify>,
}

impl Wires {
    pub(super) fn new(drivers: usize) -> Wires {
        let (ways, ends): (Vec<_>, Vec<_>) = (0..drivers).map(|_| unbounded_channel()).unzip();
        let bells = (0..drivers).map(|_| Arc::default()).collect();
        Wires { ways: ways.into(), ends, bells, moved: Arc::new(Notify::new()) }
    }

    /// Tells the drivers and whoever waits for room that the store moved.
    pub(super) fn listener(&self) -> Listener {
        let (ways, moved) = (Arc::clone(&self.ways), Arc::clone(&self.moved));
        Arc::new(move || {
            // A driver is gone when the runtime is.
            ways.iter().for_each(|way| drop(way.send(Message::LogMoved)));
            moved.notify_waiters();
        })
    }

    /// The same for the log, which says why it calls: more that is durable is told to those that wait for something.
    fn log_listener(&self) -> log::Listener {
        let (all, moved, bells) = (self.listener(), Arc::clone(&self.moved), self.bells.clone());
        let ways = Arc::clone(&self.ways);
        Arc::new(move |report| match report {
            Report::Durable(_) if ways.len() > 1 => {
                let rung = ways.iter().zip(&bells).filter(|(_, bell)| bell.swap(false, Ordering::SeqCst));
                rung.for_each(|(way, _)| drop(way.send(Message::LogMoved)));
                moved.notify_waiters();
            }
            _ => all(),
        })
    }
}

/// Puts a runtime together and starts its drivers.
pub(super) fn assemble(opened: Opened, setting: Setting, seams: Seams, wires: Wires) -> Runtime {
    let shared = Arc::new(Shared {
        ways: Arc::clone(&wires.ways),
        log: Arc::clone(&opened.store),
        codec: setting.codec,
        entropy: Arc::clone(&seams.entropy),
        queued_bytes_max: setting.queued_bytes_max,
        moved: Arc::clone(&wires.moved),
    });
    let (definitions, spawn) = (Arc::clone(&setting.definitions), Arc::clone(&seams.spawn));
    let Opened { store, writer, tables, stop } = opened;
    let drivers = Crew { store, setting, seams, wires, numbers: Numbers::default(), stop }.drivers(tables);
    let mut drivers: Vec<Task> = drivers.into_iter().map(|driver| -> Task { Box::pin(driver.run()) }).collect();
    match writer {
        Some(writer) => spawn.engine(writer, drivers),
        None => drivers.drain(..).for_each(|driver| spawn.task(driver)),
    }
    Runtime { inner: Arc::new(Inner { shared, definitions, spawn }) }
}

/// From so many runs on it is worth a thread to open one kernel beside another.
const MANY: usize = 1 << 13;

/// A kernel, and what it is opened with.
struct Begin {
    with: Option<(Config, Tables)>,
    opened: Option<Kernel>,
}

impl Begin {
    fn new(config: Config, tables: Tables) -> Begin {
        Begin { with: Some((config, tables)), opened: None }
    }

    fn runs(&self) -> usize {
        self.with.as_ref().map_or(0, |(_, tables)| tables.open.len())
    }

    fn open(&mut self, stop: Stop, now: Now, shelf: impl Fn() -> Box<dyn Shelf>) {
        let Some((config, mut tables)) = self.with.take() else { return };
        if tables.ids.is_empty() {
            tables.find_ids();
        }
        let stays = config.residence == Residence::Stay;
        let mut kernel = Kernel::open(config, tables, stop, now);
        if !stays {
            kernel.put_up_on(shelf());
        }
        self.opened = Some(kernel);
    }
}

/// What all drivers of a store have in common.
struct Crew {
    store: Arc<dyn Store>,
    setting: Setting,
    seams: Seams,
    wires: Wires,
    numbers: Numbers,
    stop: Stop,
}

impl Crew {
    /// The drivers, each with its part of what is open.
    fn drivers(mut self, tables: Tables) -> Vec<Driver> {
        let ends = std::mem::take(&mut self.wires.ends);
        let many = ends.len();
        let parts = match many {
            1 => vec![tables],
            _ => tables.split(many, |entry| peers::home(&entry.kind.namespace, &entry.id, many)),
        };
        let slots = Arc::new(peers::Shared::new(self.setting.attempts));
        let begin = |(tables, number)| Begin::new(self.config(number, slots.of_driver(number, many)), tables);
        let mut begins: Vec<Begin> = parts.into_iter().zip(0..).map(begin).collect();
        self.open_all(&mut begins);
        let kernels = begins.into_iter().map(|begin| begin.opened.expect("because all of them were opened"));
        let first = self.wires.ways[0].clone();
        let reads = Reader::start(Arc::clone(&self.store), self.seams.spawn.as_ref(), first);
        let all = kernels.zip(ends).enumerate();
        let mut drivers: Vec<Driver> = all
            .map(|(number, (kernel, receive))| {
                let peers = Peers::new(number, Arc::clone(&self.wires.ways), Arc::clone(&slots));
                self.driver(number, kernel, receive, reads.to(self.wires.ways[number].clone()), peers)
            })
            .collect();
        if many > 1 {
            // The first says that the store was opened, before any of them adds to it.
            drivers.iter_mut().for_each(Driver::feed_log);
        }
        drivers
    }

    fn config(&self, number: usize, attempts: usize) -> Config {
        let entropy = &self.seams.entropy;
        let mut seed = [0; 8];
        entropy.fill(&mut seed);
        Config {
            build: self.setting.build.clone(),
            pid: entropy.pid(),
            host: entropy.host().into(),
            attempts,
            numbers: self.numbers.clone(),
            role: if number == 0 { Role::First } else { Role::Other },
            residence: self.setting.residence,
            seed: u64::from_le_bytes(seed),
        }
    }

    /// Opens the kernels: where there are many runs, some beside the others.
    fn open_all(&self, begins: &mut [Begin]) {
        let Seams { clock, spawn, .. } = &self.seams;
        let runs: usize = begins.iter().map(Begin::runs).sum();
        match begins {
            [first, rest @ ..] if rest.is_empty() || runs < MANY => {
                let now = Now { wall: clock.wall(), monotonic: clock.monotonic() };
                first.open(self.stop, now, || self.store.shelf());
                self.open_all(rest);
            }
            [] => {}
            many => {
                let (some, others) = many.split_at_mut(many.len() / 2);
                spawn.both(&mut || self.open_all(some), &mut || self.open_all(others));
            }
        }
    }

    fn driver(
        &self,
        number: usize,
        kernel: Kernel,
        receive: UnboundedReceiver<Message>,
        reads: Reader,
        peers: Peers,
    ) -> Driver {
        let (setting, seams) = (&self.setting, &self.seams);
        let log: Arc<dyn Store> = match peers.is_alone() {
            true => Arc::clone(&self.store),
            false => Arc::new(Part::new(Arc::clone(&self.store), Arc::clone(&self.wires.bells[number]))),
        };
        Driver::new(Parts {
            kernel,
            hot: Hot::new(Arc::clone(&setting.definitions), setting.codec, setting.build.clone()),
            log,
            definitions: Arc::clone(&setting.definitions),
            states: setting.states.clone(),
            codec: setting.codec,
            build: setting.build.clone(),
            clock: Arc::clone(&seams.clock),
            spawn: Arc::clone(&seams.spawn),
            entropy: Arc::clone(&seams.entropy),
            send: self.wires.ways[number].clone(),
            receive,
            reads,
            peers,
            moved: Arc::clone(&self.wires.moved),
        })
    }
}

/// Opens the log on a thread that may wait for the disk.
async fn open_log(disk: Arc<dyn Disk>, seams: Seams, options: Options) -> Result<(Log, Writer, Recovered), OpenError> {
    let (give, opened) = oneshot::channel();
    let opening = log::open(disk, seams.clone(), options);
    // A caller that gave up does not want the log any more: it is let go with the writer.
    seams.spawn.blocking("durable-open", Box::pin(async move { drop(give.send(opening.await)) }));
    opened.await.map_err(|_| OpenError::NoThread)?.map_err(OpenError::Store)
}

/// With `panic = "abort"` a panic of an activity ends the process instead of the attempt.
fn warn_of_abort() {
    if cfg!(panic = "abort") {
        tracing::warn!(
            "this program is built with `panic = \"abort\"`: a panic in an activity or a workflow ends the process [E0316]"
        );
    }
}
