//! A first walk through the public surface, on a real directory.

use std::sync::Arc;

use durable::codec::segment::SegmentHeader;
use durable::kernel::id::Timestamp;
use durable::prelude::*;
use durable::runtime::World;
use durable::seams::{Entropy, Seams};
use durable::{Run, Runtime};
use durable_testkit::{ManualClock, SeededEntropy, SimDisk, TokioSpawn};

const GO: Signal<u32> = Signal::new("go");

#[activity]
async fn double(x: u32) -> Result<u32, String> {
    Ok(x * 2)
}

#[activity]
async fn slow(x: u32) -> Result<u32, String> {
    tokio::task::yield_now().await;
    Ok(x + 1)
}

#[workflow]
async fn sum(n: u32) -> durable::Result<u32> {
    let mut total = 0;
    for i in 0..n {
        total += double(i).await?;
    }
    let (a, b) = join!(slow(1), slow(2));
    total += a? + b?;
    durable::sleep(Duration::from_millis(5)).await;
    total += durable::step("three", || async { Ok::<_, String>(3_u32) }).await?;
    total += child(4).await?;
    Ok(total + GO.recv().await)
}

#[workflow]
async fn child(x: u32) -> durable::Result<u32> {
    Ok(double(x).await?)
}

async fn open(dir: &std::path::Path, away: Residence) -> Runtime {
    let builder = Runtime::builder(dir).register((sum, double, slow, child));
    let builder = match away {
        Residence::Stays => builder,
        Residence::PutAway => builder.put_away_at_every_await(),
    };
    builder.open().await.unwrap()
}

#[derive(Clone, Copy)]
enum Residence {
    Stays,
    PutAway,
}

#[tokio::test]
async fn a_run_does_everything_once_and_is_known_after_a_restart() {
    for residence in [Residence::Stays, Residence::PutAway] {
        let dir = tempfile::tempdir().unwrap();
        let rt = open(dir.path(), residence).await;
        let run = rt.start(sum(3)).id("a").await.unwrap();
        run.signal(GO, 100).await.unwrap();
        assert_eq!(run.result().await.unwrap(), 6 + 2 + 3 + 3 + 8 + 100);
        rt.shutdown().await.unwrap();
        drop(rt);

        let rt = open(dir.path(), residence).await;
        let run: Run<u32, durable::Failure> = rt.run(sum, "a").await.unwrap();
        assert_eq!(run.result().await.unwrap(), 122);
        let again = rt.start(sum(3)).id("a").await.unwrap();
        assert_eq!(again.run_id(), run.run_id());
        assert!(rt.start(sum(4)).id("a").await.is_err());
        rt.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_run_goes_on_after_its_runtime_was_dropped() {
    for residence in [Residence::Stays, Residence::PutAway] {
        let dir = tempfile::tempdir().unwrap();
        let rt = open(dir.path(), residence).await;
        let run = rt.start(sum(3)).id("a").await.unwrap();
        drop(rt);
        assert!(run.result().await.is_err());

        let rt = open(dir.path(), residence).await;
        let run = rt.run(sum, "a").await.unwrap();
        run.signal(GO, 100).await.unwrap();
        assert_eq!(run.result().await.unwrap(), 122);
        rt.shutdown().await.unwrap();
    }
}

/// More runs than the shelf keeps in memory before it has a file.
const SLEEPERS: u32 = 3_000;

#[workflow]
async fn wait(n: u32) -> durable::Result<u32> {
    let told = durable::timeout(Duration::from_secs(86_400), GO.recv()).await.unwrap_or_default();
    Ok(n + told)
}

/// Whether this process has a file of the folder open that has no name any more.
#[cfg(target_os = "linux")]
fn holds_a_file_without_a_name(dir: &std::path::Path) -> bool {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let names = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let begin = dir.canonicalize().unwrap().join("scratch-").display().to_string();
    names.map(|name| name.display().to_string()).any(|name| name.starts_with(&begin) && name.ends_with("(deleted)"))
}

#[tokio::test]
async fn runs_that_were_put_away_are_all_there_and_leave_no_file() {
    let id = |n: u32| format!("sleeper-{n}");
    let open = |dir: &std::path::Path| Runtime::builder(dir).register((wait,)).put_away_at_every_await().open();
    let dir = tempfile::tempdir().unwrap();
    let rt = open(dir.path()).await.unwrap();
    futures::future::try_join_all((0..SLEEPERS).map(|n| rt.start(wait(n)).id(id(n)).into_future())).await.unwrap();
    #[cfg(target_os = "linux")]
    assert!(holds_a_file_without_a_name(dir.path()), "what is known of them is in it");
    for round in 0..2 {
        let mut known: Vec<String> = rt.runs().await.unwrap().into_iter().map(|run| run.id.to_string()).collect();
        known.sort();
        let mut all: Vec<String> = (round * 1_000..SLEEPERS).map(id).collect();
        all.sort();
        assert_eq!(known, all);
        assert!(rt.start(wait(2_999)).id(id(2_999)).await.is_ok(), "it is attached to");
        assert!(rt.start(wait(1)).id(id(2_999)).await.is_err(), "it is another one");
        assert_eq!(rt.retry_blocked().await.unwrap(), 0);
        for n in round * 1_000..(round + 1) * 1_000 {
            let run = rt.run(wait, &id(n)).await.unwrap();
            run.signal(GO, 7).await.unwrap();
            assert_eq!(run.result().await.unwrap(), n + 7);
        }
    }
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with("scratch-")).collect::<Vec<_>>(), Vec::<String>::new());
    rt.shutdown().await.unwrap();
    let rt = open(dir.path()).await.unwrap();
    assert_eq!(rt.runs().await.unwrap().len(), 1_000);
    rt.shutdown().await.unwrap();
}

#[tokio::test]
async fn two_starts_at_once_are_one_run_though_it_ends_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let rt = Runtime::builder(dir.path()).register((at_once,)).open().await.unwrap();
    for id in ["a", "b", "c"] {
        let (first, second) = join!(rt.start(at_once()).id(id).into_future(), rt.start(at_once()).id(id).into_future());
        assert_eq!(first.unwrap().run_id(), second.unwrap().run_id());
    }
    rt.shutdown().await.unwrap();
}

#[workflow]
async fn at_once() -> durable::Result<u32> {
    Ok(1)
}

/// Entropy that has a name for the build only if it may be asked.
#[derive(Debug)]
struct Unnamed(SeededEntropy);

impl Entropy for Unnamed {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }

    fn pid(&self) -> u32 {
        self.0.pid()
    }

    fn host(&self) -> String {
        self.0.host()
    }

    fn boot_id(&self) -> [u8; 16] {
        self.0.boot_id()
    }

    fn build_id(&self) -> String {
        panic!("the executable was read though the build has a name")
    }
}

#[tokio::test]
async fn a_build_that_has_a_name_stands_in_the_log_under_it_and_the_executable_is_not_read() {
    let disk = SimDisk::new();
    let seams = Seams {
        clock: Arc::new(ManualClock::new(Timestamp(0))),
        entropy: Arc::new(Unnamed(SeededEntropy::new(7))),
        spawn: Arc::new(TokioSpawn),
    };
    let world = World::new(seams, Arc::new(disk.process()));
    let rt = Runtime::builder("/store").register((at_once,)).build_id("release-7").world(world).open().await.unwrap();
    let run = rt.start(at_once()).id("a").await.unwrap();
    run.result().await.unwrap();
    let header = SegmentHeader::decode(&disk.read_file("/store/0000000000000001.seg").unwrap()).unwrap();
    assert_eq!(header.build.as_str(), "release-7");
    assert_eq!(run.describe().await.unwrap().build, "release-7");
}
