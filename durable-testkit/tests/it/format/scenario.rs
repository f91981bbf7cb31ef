//! A store's life on a simulated disk: three processes, one after the other, whose runs make every kind of event that the
//! runtime can make. It is the same, byte for byte, each time it is lived. Nothing here looks at a byte of the store.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;

use durable::prelude::*;
use durable::retry::{RetryPolicy, fixed, never};
use durable::runtime::World;
use durable::seams::{Clock, Seams};
use durable::store::disk::Disk;
use durable::{ClosePolicy, Registry, Runtime, Signal};
use durable_testkit::{InlineSpawn, Keep, ManualClock, SeededEntropy, SimDisk, SimProcess, Snapshot, Unfinished};

/// Where the store is on the simulated disk.
pub(crate) const DIR: &str = "/store";

/// The ids that the scenario's runs have, with their namespaces.
pub(crate) const IDS: &[(&str, &str)] = &[
    ("", "order-1"),
    ("", "order-1/order-1-item"),
    ("", "order-2"),
    ("", "order-2/order-2-item"),
    ("", "failures"),
    ("", "failures/waits-for-ever"),
    ("", "limited"),
    ("", "forgets"),
    ("", "forgets/forgets-stopped"),
    ("", "forgets/forgets-cancelled"),
    ("", "waits"),
    ("eu", "waits"),
    ("", "waits-for-ever"),
    ("", "shelved"),
    ("", "risky"),
    ("", "brittle"),
    ("", "brittle-still"),
    ("", "visitor"),
    ("", "travels"),
    ("", "travels/travels-booked"),
    ("", "stops"),
    ("", "leaves"),
    ("", "cuts"),
    ("", "holds"),
    ("", "holds-no-more"),
    ("", "undoes"),
];

const GO: Signal<u32> = Signal::new("go");
pub(super) const NEWS: Signal<String> = Signal::new("news");

const SOON: RetryPolicy = fixed("1s").max_attempts(3).jitter(0.0);

thread_local! {
    /// Whether this process's build has the fault that blocks the brittle runs.
    static IS_FAULTY: Cell<bool> = const { Cell::new(false) };
}

#[activity(retry = SOON)]
async fn price(item: u32) -> Result<u32, String> {
    let attempt = durable::activity::info().attempt.0;
    if attempt < 2 { Err(format!("attempt {attempt} found no price")) } else { Ok(item * 100) }
}

#[activity(retry = SOON)]
async fn doomed(why: String) -> Result<(), String> {
    Err(why)
}

#[activity(retry = never())]
async fn explodes() -> Result<(), String> {
    panic!("on purpose")
}

#[activity(retry = SOON, start_to_close = "2s")]
async fn hangs() -> Result<(), String> {
    std::future::pending().await
}

#[activity(schedule_to_close = "5s")]
async fn hangs_longer(_hours: u64) -> Result<(), String> {
    std::future::pending().await
}

#[activity(start_to_close = "1000h")]
async fn slow(_page: u32) -> Result<(), String> {
    std::future::pending().await
}

#[activity(at_most_once, start_to_close = "1000h")]
async fn pays(cents: i64) -> Result<i64, String> {
    if cents < 0 { std::future::pending().await } else { Ok(cents) }
}

#[activity]
async fn reserve(room: u32) -> Result<u32, String> {
    Ok(room)
}

#[activity]
async fn release(_room: u32) -> Result<(), String> {
    Ok(())
}

#[activity(retry = never())]
async fn refuses(room: u32) -> Result<(), String> {
    Err(format!("room {room} stays reserved"))
}

#[activity]
async fn stops() -> Result<(), String> {
    durable::activity::cancelled().await;
    Ok(())
}

#[workflow]
async fn item(count: u32) -> durable::Result<u32> {
    Ok(price(count).await? + durable::random::<u32>() % 2)
}

#[workflow(version = 3)]
pub(super) async fn order(name: String, items: Vec<u32>) -> durable::Result<u32> {
    let mut total = 0;
    for item in items {
        total += price(item).await?;
    }
    durable::sleep(Duration::from_secs(5)).await;
    let id = format!("{name}-item");
    let (child, go) = join!(item(7).id(id), GO.recv());
    total += durable::step("adds", move || async move { Ok::<_, String>(go) }).await?;
    pays(i64::from(total)).await?;
    Ok(total + child?)
}

#[workflow]
async fn failures() -> durable::Result<u32> {
    let mut failed = 0;
    failed += u32::from(doomed("it was doomed".to_owned()).await.is_err());
    failed += u32::from(explodes().await.is_err());
    failed += u32::from(hangs().await.is_err());
    failed += u32::from(hangs_longer(u64::MAX).await.is_err());
    failed += u32::from(item(1).id("waits-for-ever").await.is_err());
    Err(durable::Error::from(durable::Failure::new(format!("{failed} calls failed"))))
}

#[workflow(timeout = "3s")]
async fn limited() -> durable::Result<u32> {
    Ok(GO.recv().await)
}

#[workflow]
pub(super) async fn waits() -> durable::Result<String> {
    Ok(NEWS.recv().await)
}

#[workflow]
async fn forgets() -> durable::Result<()> {
    let limit = Duration::from_secs(1);
    let stopped = durable::timeout(limit, waits().id("forgets-stopped").close(ClosePolicy::Terminate)).await;
    let cancelled = durable::timeout(limit, waits().id("forgets-cancelled")).await;
    let slept = durable::timeout(limit, slow(1)).await;
    assert!(stopped.is_err() && cancelled.is_err() && slept.is_err());
    Ok(())
}

#[workflow]
async fn shelved() -> durable::Result<()> {
    let (page, cover) = join!(slow(2), slow(3));
    page?;
    Ok(cover?)
}

#[workflow]
async fn risky() -> durable::Result<i64> {
    Ok(pays(-1).await?)
}

#[workflow]
async fn brittle() -> durable::Result<String> {
    let news = NEWS.recv().await;
    assert!(!IS_FAULTY.get(), "this build has a fault");
    let more = NEWS.recv().await;
    Ok(news + &more)
}

/// Of what it did one call is undone, one is not, and of one it is not known.
#[workflow]
async fn booking() -> durable::Result<()> {
    reserve(1).undo(release).await?;
    reserve(2).undo(refuses).await?;
    durable::compensate(release(3));
    hangs().retry(never()).undo(|()| release(4)).await?;
    Ok(())
}

#[workflow]
async fn travels() -> durable::Result<()> {
    Ok(booking().id("travels-booked").await?)
}

/// What is awaited when it is dropped, beside what was never begun.
#[workflow]
async fn awaits() -> durable::Result<()> {
    let limit = Duration::from_secs(1);
    assert!(durable::timeout(limit, stops().wait_on_cancel()).await.is_err());
    let raced = select! {
        room = reserve(5).undo(release) => room?,
        () = std::future::ready(()) => 0,
    };
    assert_eq!(raced, 0);
    Ok(())
}

/// Its process dies while the call that it dropped is in flight.
#[workflow]
async fn leaves() -> durable::Result<()> {
    let left = slow(4).undo(|()| release(6)).undo_unknown(release(7));
    assert!(durable::timeout(Duration::from_secs(1), left).await.is_err());
    let named = slow(5).undo(|()| release(8));
    assert!(durable::timeout(Duration::from_secs(1), named).await.is_err());
    Ok(())
}

/// A cancel ends in it.
#[workflow]
async fn cuts() -> durable::Result<u32> {
    let cut = durable::catch_cancel(async {
        reserve(9).undo(release).await?;
        let inner = durable::scope(async {
            reserve(10).undo(release).await?;
            Ok::<_, durable::Error>(GO.recv().await)
        });
        inner.await
    });
    cut.await.unwrap_or(Ok(0))
}

/// Holds something of every kind, and goes on.
#[workflow]
async fn holds() -> durable::Result<()> {
    let failed = durable::scope(async {
        reserve(11).undo(release).await?;
        reserve(12).undo(refuses).await?;
        Err::<(), durable::Error>(durable::Error::from(durable::Failure::new("none left")))
    });
    assert!(failed.await.is_err());
    assert!(hangs().retry(never()).undo(|()| release(13)).await.is_err());
    reserve(14).undo(release).await?;
    Ok(slow(6).undo(|()| release(15)).await?)
}

/// What undoes it takes for ever.
#[workflow]
async fn undoes() -> durable::Result<()> {
    reserve(16).undo(slow).await?;
    Err(durable::Error::from(durable::Failure::new("no")))
}

/// Everything that the scenario's runs need.
pub(crate) fn registry() -> Registry {
    let mut all = Registry::of((price, doomed, explodes, hangs, hangs_longer, slow, pays));
    all.register((item, order, failures, limited, waits, forgets, shelved, risky, brittle));
    all.register((reserve, release, refuses, stops));
    all.register((booking, travels, awaits, leaves, cuts, holds, undoes));
    all
}

/// The machine on which the scenario is lived.
pub(crate) struct Stage {
    pub(crate) disk: SimDisk,
    clock: ManualClock,
    /// Moments of the disk, one behind each of its operations, if they are to be kept.
    pub(super) moments: Vec<Snapshot>,
    keep: Keeps,
    /// When a process is to die: after so many operations of the whole scenario, in the next one.
    death: Option<(u64, u64)>,
}

/// Whether a stage keeps its moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keeps {
    Moments,
    Nothing,
}

/// Who opens the store.
#[derive(Debug, Clone, Copy)]
struct Life {
    number: u32,
    build: &'static str,
    is_faulty: bool,
}

/// The power, or the process, is gone.
#[derive(Debug)]
pub(crate) struct Died;

impl Stage {
    pub(crate) fn new(seed: u64, keep: Keeps) -> Stage {
        let clock = ManualClock::new(durable::kernel::id::Timestamp(1_760_000_000_000_000));
        let disk = SimDisk::scheduled(seed);
        // A directory that was made before, so that a power cut cannot take it away; a real disk sees to that.
        disk.write_file(format!("{DIR}/before"), &[]).unwrap();
        disk.remove_file(format!("{DIR}/before")).unwrap();
        Stage { disk, clock, moments: Vec::new(), keep, death: None }
    }

    /// A machine that starts again: the power was cut at that moment.
    pub(super) fn after_a_cut(moment: &Snapshot, keep: &Keep) -> Stage {
        let disk = SimDisk::scheduled(3);
        disk.restore(moment);
        disk.power_cut(keep);
        let clock = ManualClock::new(durable::kernel::id::Timestamp(1_760_000_900_000_000));
        Stage { disk, clock, moments: Vec::new(), keep: Keeps::Nothing, death: None }
    }

    /// The process that does the operation behind the first `after` ones dies in it, half done as the seed says.
    pub(super) fn dies_after(self, after: u64, seed: u64) -> Stage {
        Stage { death: Some((after, seed)), ..self }
    }

    /// Lives the whole scenario, or as much of it as there is before a process dies.
    pub(crate) fn live(&mut self) -> Result<(), Died> {
        self.life(Life { number: 1, build: "build-1", is_faulty: false }, first_life)?;
        self.crash(Life { number: 2, build: "build-2", is_faulty: true }, second_life)?;
        self.life(Life { number: 3, build: "build-3", is_faulty: false }, third_life)
    }

    /// One more process, which takes up what is there, waits a little and leaves.
    pub(super) fn visit(&mut self) -> Result<(), Died> {
        self.life(Life { number: 4, build: "build-4", is_faulty: false }, visit)
    }

    /// A process that shuts its runtime down.
    fn life<F: Future<Output = ()>>(&mut self, life: Life, body: fn(Runtime, ManualClock) -> F) -> Result<(), Died> {
        let (process, spawn) = self.begin(life);
        let (world, clock) = (self.world(life, &process, &spawn), self.clock.clone());
        let story = async move {
            let runtime = open(life, world).await;
            body(runtime.clone(), clock).await;
            runtime.shutdown().await.unwrap();
        };
        self.run(&spawn, &process, story)?;
        process.crash(Unfinished::Done);
        Ok(())
    }

    /// A process that is killed where its story ends.
    fn crash<F: Future<Output = ()>>(&mut self, life: Life, body: fn(Runtime, ManualClock) -> F) -> Result<(), Died> {
        let (process, spawn) = self.begin(life);
        let (world, clock) = (self.world(life, &process, &spawn), self.clock.clone());
        let killed = process.clone();
        let story = async move {
            let runtime = open(life, world).await;
            body(runtime.clone(), clock).await;
            killed.crash(Unfinished::NotDone);
        };
        self.run(&spawn, &process, story)?;
        spawn.drop_tasks();
        Ok(())
    }

    fn begin(&mut self, life: Life) -> (SimProcess, InlineSpawn) {
        IS_FAULTY.set(life.is_faulty);
        let process = self.disk.process();
        if let Some((after, seed)) = self.death {
            process.crash_after(after.saturating_sub(self.disk.performed()), Unfinished::Half(seed));
        }
        (process, InlineSpawn::in_order())
    }

    fn world(&self, life: Life, process: &SimProcess, spawn: &InlineSpawn) -> World {
        let entropy = SeededEntropy::new(life.number.into()).with_pid(1000 + life.number).with_host("box");
        let seams = Seams {
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(entropy.with_boot_id([7; 16])),
            spawn: Arc::new(spawn.clone()),
        };
        World::new(seams, Arc::new(process.clone()) as Arc<dyn Disk>)
    }

    /// Polls until the story ends; moves the disk on when nobody else can move, and time when the disk stands still.
    fn run(&mut self, spawn: &InlineSpawn, process: &SimProcess, story: impl Future<Output = ()>) -> Result<(), Died> {
        let (disk, clock, keep, moments) = (&self.disk, &self.clock, self.keep, &mut self.moments);
        let mut idle = || {
            if process.is_dead() {
                return false;
            }
            if !disk.step() {
                return clock.advance_to_next();
            }
            if keep == Keeps::Moments {
                moments.push(disk.snapshot());
            }
            true
        };
        let ended = spawn.run(story, &mut idle);
        if ended.is_none() {
            spawn.drop_tasks();
        }
        ended.ok_or(Died)
    }
}

async fn open(life: Life, world: World) -> Runtime {
    Runtime::builder(DIR).register(registry()).build_id(life.build).world(world).open().await.unwrap()
}

async fn pass(clock: &ManualClock, seconds: u64) {
    clock.sleep_until(clock.monotonic() + Duration::from_secs(seconds)).await;
}

async fn visit(rt: Runtime, clock: ManualClock) {
    rt.start(waits()).id("visitor").await.unwrap();
    pass(&clock, 3).await;
}

async fn first_life(rt: Runtime, clock: ManualClock) {
    rt.start(waits()).id("waits-for-ever").await.unwrap();
    let order = rt.start(order("order-1".to_owned(), vec![1, 2])).id("order-1").await.unwrap();
    let failures = rt.start(failures()).id("failures").await.unwrap();
    let limited = rt.start(limited()).id("limited").await.unwrap();
    let forgets = rt.start(forgets()).id("forgets").await.unwrap();
    rt.start(shelved()).id("shelved").await.unwrap();
    rt.start(brittle()).id("brittle").await.unwrap();
    rt.start(brittle()).id("brittle-still").await.unwrap();
    order.signal(GO, 5).await.unwrap();
    order.result().await.unwrap();
    failures.result().await.unwrap_err();
    limited.result().await.unwrap_err();
    forgets.result().await.unwrap();
    let waits = rt.start(waits()).id("waits").namespace("eu").await.unwrap();
    waits.signal_once(NEWS, "good".to_owned(), "message-1").await.unwrap();
    waits.result().await.unwrap();
    rt.start(travels()).id("travels").await.unwrap().result().await.unwrap_err();
    rt.start(awaits()).id("stops").await.unwrap().result().await.unwrap();
    pass(&clock, 2).await;
}

async fn second_life(rt: Runtime, clock: ManualClock) {
    rt.start(risky()).id("risky").await.unwrap();
    for id in ["brittle", "brittle-still"] {
        let run = rt.run(brittle, id).await.unwrap();
        run.signal(NEWS, "bad".to_owned()).await.unwrap();
        run.result_or_blocked().await.unwrap_err();
    }
    let waits = rt.start(waits()).id("waits").await.unwrap();
    waits.cancel("nobody listens").await.unwrap();
    waits.result().await.unwrap_err();
    rt.start(leaves()).id("leaves").await.unwrap();
    rt.start(order("order-2".to_owned(), vec![u32::MAX / 200])).id("order-2").await.unwrap();
    pass(&clock, 3).await;
}

async fn third_life(rt: Runtime, clock: ManualClock) {
    let brittle = rt.run(brittle, "brittle").await.unwrap();
    brittle.signal(NEWS, " and good".to_owned()).await.unwrap();
    brittle.result().await.unwrap();
    rt.run(risky, "risky").await.unwrap().result().await.unwrap_err();
    let order = rt.run(order, "order-2").await.unwrap();
    pass(&clock, 10).await;
    order.signal(GO, 5).await.unwrap();
    order.result().await.unwrap();
    rt.run(leaves, "leaves").await.unwrap().result().await.unwrap();
    let cuts = rt.start(cuts()).id("cuts").await.unwrap();
    pass(&clock, 1).await;
    cuts.cancel("nobody needs it").await.unwrap();
    assert_eq!(cuts.result().await.unwrap(), 0);
    rt.start(holds()).id("holds").await.unwrap();
    let ended = rt.start(holds()).id("holds-no-more").await.unwrap();
    rt.start(undoes()).id("undoes").await.unwrap();
    pass(&clock, 4).await;
    ended.terminate("it takes too long").await.unwrap();
    ended.result().await.unwrap_err();
    pass(&clock, 2).await;
}
