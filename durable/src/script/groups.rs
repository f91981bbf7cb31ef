//! The size of groups: whatever comes together, no group comes near the log's limit, and no order changes.

use super::flows::GO;
use super::world::{Build, Reads, World};
use crate::kernel::engine::{AttemptReport, Residence};
use crate::kernel::event::Sender;
use crate::payload::PayloadCodec;
use crate::prelude::*;
use crate::registry::Registry;

/// What the log takes as one group.
const LIMIT: usize = 16 << 20;

const LARGE: usize = 3 << 20;

#[activity(at_most_once)]
async fn keep(text: String) -> Result<usize, String> {
    Ok(text.len())
}

#[workflow]
async fn leaf(text: String) -> Result<usize, String> {
    Ok(text.len())
}

/// Its child's input is large, and so is its first turn.
#[workflow]
async fn stem(n: u8) -> Result<usize, String> {
    leaf(char::from(n).to_string().repeat(LARGE)).await.map_err(|e| e.to_string())
}

#[workflow]
async fn tree() -> Result<usize, String> {
    GO.recv().await;
    let stems = futures::future::join_all((b'a'..b'i').map(stem)).await;
    stems.into_iter().map(|stem| stem.map_err(|e| e.to_string())).sum()
}

/// Each signal makes it record a large input.
#[workflow]
async fn keeper() -> Result<usize, String> {
    let mut kept = Vec::new();
    for _ in 0..8 {
        let x = GO.recv().await;
        let mut call = Box::pin(keep(x.to_string().repeat(LARGE)));
        let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
        assert!(!polled, "nothing is ready at its first poll");
        kept.push(call);
    }
    let kept = futures::future::join_all(kept).await;
    kept.into_iter().map(|kept| kept.map_err(|e| e.to_string())).sum()
}

fn app(id: &'static str) -> Build {
    Build::new(id, Registry::of((keep, leaf, stem, tree, keeper)))
        .start("tree", || tree().into_start())
        .start("keeper", || keeper().into_start())
}

fn go(world: &mut World, id: &str) {
    let one = crate::payload::encode(PayloadCodec::Json, &1_u32).unwrap();
    world.signal(id, "go", one, Sender::Anonymous);
}

fn assert_sizes(world: &World) {
    let largest = world.log.groups.iter().map(Vec::len).max().unwrap();
    assert!(largest < LIMIT, "a group has {largest} bytes");
}

#[test]
fn children_that_start_large_children_are_not_one_group() {
    for residence in [Residence::Stay, Residence::PutAwayAtEveryAwait] {
        let mut world = World::new();
        world.residence = residence;
        world.open(&app("b1"));
        world.start("tree", "t");
        let tree = world.run("t");
        go(&mut world, "t");
        assert_sizes(&world);
        let (how, result) = &world.ends[&tree];
        assert!(how.is_ok(), "{how:?}");
        assert_eq!(crate::payload::decode::<usize>(result).unwrap(), 8 * LARGE);
    }
}

#[test]
fn the_turns_that_a_load_makes_up_for_are_not_one_group() {
    let mut world = World::new();
    world.open(&app("b1"));
    world.start("keeper", "k");
    world.kill();
    world.open(&app("b1"));
    world.reads = Reads::ByHand;
    (0..8).for_each(|_| go(&mut world, "k"));
    world.reads = Reads::AtOnce;
    world.read();
    assert_sizes(&world);
    let (all, run) = (world.running.len(), world.run("k"));
    assert_eq!((all, world.kernel().tables().open[&run].unturned.len()), (8, 0));
    // What was put off replays as it was.
    world.kill();
    world.open(&app("b1"));
    assert!(
        world.ends.contains_key(&run),
        "at-most-once calls are interrupted, and the run ends: {}",
        world.told.len()
    );
}

/// As large as a result may be, or nearly.
const HUGE: usize = (4 << 20) - 64;

#[activity]
async fn fetch() -> Result<String, String> {
    Ok(String::new())
}

/// Its result, its end, its parent's event and what it leaves behind are all large.
#[workflow]
async fn heavy() -> Result<String, String> {
    let text = fetch().await.map_err(|e| e.to_string())?;
    let mut first = Box::pin(leaf("x".repeat(LARGE)).close(crate::ClosePolicy::Abandon));
    let mut second = Box::pin(leaf("y".repeat(19 << 16)).close(crate::ClosePolicy::Abandon));
    std::future::poll_fn(|cx| {
        let polled = [first.as_mut().poll(cx), second.as_mut().poll(cx)];
        assert!(polled.iter().all(std::task::Poll::is_pending), "a child takes its time");
        std::task::Poll::Ready(())
    })
    .await;
    Ok(text)
}

#[workflow]
async fn holder() -> Result<usize, String> {
    Ok(heavy().await.map_err(|e| e.to_string())?.len())
}

#[test]
fn a_large_result_and_all_that_follows_from_it_are_not_one_group() {
    let mut world = World::new();
    let registry = Registry::of((fetch, heavy, holder, leaf));
    world.open(&Build::new("b1", registry).start("holder", || holder().into_start()));
    world.start("holder", "h");
    let (holder, order) = (world.run("h"), world.running("fetch"));
    let text = crate::payload::encode(PayloadCodec::Json, &"z".repeat(HUGE)).unwrap();
    world.report_all(vec![(order, AttemptReport::Completed(text))]);
    assert_sizes(&world);
    assert_eq!(world.ends[&holder].0, crate::kernel::event::End::Completed);
}
