//! Random programs: a syntax tree over all that workflow code combines futures with, and the workflow that interprets it.
//! What a program sees, it folds into a number, in the order in which it sees it: two replays that differ in anything that
//! the code can observe end with different numbers.

use std::pin::Pin;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use proptest::prelude::*;

use crate::prelude::{Deserialize, Duration, Serialize, activity, join, select, try_join, workflow};
use crate::registry::Registry;
use crate::{CallError, Signal};

/// A program: its statements, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Program(pub(super) Vec<Node>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Node {
    /// A call of an activity.
    Call(u8, u8),
    /// A step.
    Step(u8),
    /// Two calls in an async helper function.
    Helper(u8),
    Sleep(u16),
    Receive(u8),
    /// So many receives at once.
    Burst(u8),
    /// A random number and the time.
    Look,
    Seq(Vec<Node>),
    Join(Box<Node>, Box<Node>),
    TryJoin(Box<Node>, Box<Node>, Box<Node>),
    JoinAll(Vec<Node>),
    /// In the order of completion, with a further call for each.
    Unordered(Vec<Node>),
    Select(Box<Node>, Box<Node>, Box<Node>),
    TokioBiased(Box<Node>, Box<Node>),
    /// Two futures that go in and out of a loop of selects.
    SelectLoop(Box<Node>, Box<Node>),
    Timeout(u16, Box<Node>),
    /// One branch sends what it sees to another, which makes a call for each.
    Channel(Vec<Node>),
    /// A branch that is awaited.
    Spawn(Box<Node>, Box<Node>),
    /// A branch that nobody awaits.
    Detach(Box<Node>),
    /// Branches that are joined as they end; some are dropped.
    Set(Vec<Node>, u8),
    Child(Vec<Node>),
    /// A child, a call or a receive that is dropped for a call that is first.
    Drop(Box<Node>, Box<Node>),
    /// A call with an undo, one for the unknown too, or one that is only awaited when it is dropped.
    Undo(u8, u8),
    /// A compensation by hand.
    Compensate(u8),
    /// A scope that ends well, or fails after its last statement.
    Scope(Vec<Node>, bool),
    Catch(Vec<Node>),
    Shield(Box<Node>),
    /// A scope that a second branch cancels when it is done.
    Cancel(Box<Node>, Box<Node>),
    /// Tokio's `select!` under a name that the macro does not see: taken in random order. Only in programs that must diverge.
    Unbiased(Box<Node>, Box<Node>),
}

/// Makes a statement of two.
type OfTwo = fn(Box<Node>, Box<Node>) -> Node;

/// What a statement gives.
type Seen = Result<u64, u64>;
type Branch = Pin<Box<dyn Future<Output = Seen> + Send>>;

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(3))]
pub(super) async fn red(x: u64) -> Result<u64, String> {
    Ok(x)
}

#[activity(retry = fixed("2s").jitter(0.0).max_attempts(2))]
pub(super) async fn green(x: u64) -> Result<u64, String> {
    Ok(x)
}

#[activity(retry = fixed("1s").jitter(0.0).max_attempts(3))]
pub(super) async fn undo(x: u64) -> Result<u64, String> {
    Ok(x)
}

#[activity(at_most_once, retry = never())]
pub(super) async fn blue(x: u64) -> Result<u64, String> {
    Ok(x)
}

pub(super) const SIGNALS: [Signal<u64>; 3] = [Signal::new("one"), Signal::new("two"), Signal::new("burst")];

#[workflow]
pub(super) async fn interpret(program: Program) -> Result<u64, String> {
    let fails = program.0.len().is_multiple_of(2) && program.0.iter().any(|node| matches!(node, Node::Undo(..)));
    let seen = all(program.0).await;
    if fails && seen % 3 == 0 {
        return Err(format!("seen {seen}"));
    }
    Ok(seen)
}

async fn bound(which: u8, x: u64) -> Seen {
    told(match which % 4 {
        0 => red(x).undo(undo).await,
        1 => green(x).undo(|x| undo(x + 1)).undo_unknown(undo(7)).await,
        2 => red(x).wait_on_cancel().await,
        _ => blue(x).undo(undo).undo_unknown(undo(8)).await,
    })
}

async fn scoped(nodes: Vec<Node>, fails: bool) -> Seen {
    let scope = crate::scope(async move {
        let seen = all(nodes).await;
        if fails { Err(seen) } else { Ok(seen) }
    });
    scope.await
}

async fn cancelled(x: Branch, y: Branch) -> Seen {
    let scope = crate::catch_cancel(x);
    let handle = scope.handle();
    let (x, y) = join!(scope, async move {
        let y = y.await;
        handle.cancel();
        y
    });
    Ok(mix(x.map_or(18, |x| mix(19, x)), y))
}

async fn all(nodes: Vec<Node>) -> u64 {
    let mut seen = 0;
    for node in nodes {
        seen = mix(seen, run(node).await);
    }
    seen
}

/// Folds what was seen into what was seen before.
fn mix(before: u64, seen: Seen) -> u64 {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => !error,
    };
    (before.rotate_left(5) ^ seen).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn told<E: std::fmt::Debug>(result: Result<u64, CallError<E>>) -> Seen {
    result.map_err(|error| format!("{error:?}").bytes().fold(7, |sum, byte| mix(sum, Ok(u64::from(byte)))))
}

async fn call(which: u8, x: u64) -> Seen {
    told(match which % 3 {
        0 => red(x).await,
        1 => green(x).await,
        _ => blue(x).await,
    })
}

async fn helper(x: u64) -> Seen {
    let first = call(0, x).await?;
    call(1, first).await
}

async fn nap(ms: u16) {
    crate::sleep(Duration::from_millis(u64::from(ms))).await;
}

fn run(node: Node) -> Branch {
    Box::pin(async move {
        match node {
            Node::Call(which, x) => call(which, u64::from(x)).await,
            Node::Step(x) => {
                told(crate::step_with("step", x, |x| async move { Ok::<u64, String>(u64::from(x)) }).await)
            }
            Node::Helper(x) => helper(u64::from(x)).await,
            Node::Sleep(ms) => {
                nap(ms).await;
                Ok(u64::from(ms))
            }
            Node::Receive(which) => Ok(SIGNALS[usize::from(which % 2)].recv().await),
            Node::Burst(n) => {
                let receives = (0..n).map(|_| SIGNALS[2].recv());
                let seen = futures::future::join_all(receives).await;
                Ok(seen.into_iter().fold(0, |sum, x| mix(sum, Ok(x))))
            }
            Node::Look => {
                let now = crate::now().duration_since(std::time::UNIX_EPOCH).unwrap();
                Ok(crate::random::<u64>() ^ u64::try_from(now.as_micros()).unwrap())
            }
            Node::Seq(nodes) => Ok(all(nodes).await),
            Node::Join(x, y) => {
                let (x, y) = join!(run(*x), run(*y));
                Ok(mix(mix(1, x), y))
            }
            Node::TryJoin(x, y, z) => {
                let joined = try_join!(run(*x), run(*y), run(*z));
                joined.map(|(x, y, z)| mix(mix(mix(2, Ok(x)), Ok(y)), Ok(z)))
            }
            Node::JoinAll(nodes) => {
                let seen = futures::future::join_all(nodes.into_iter().map(run)).await;
                Ok(seen.into_iter().fold(3, mix))
            }
            Node::Unordered(nodes) => unordered(nodes).await,
            Node::Select(x, y, z) => Ok(select! {
                x = run(*x) => mix(4, x),
                y = run(*y) => mix(5, y),
                z = run(*z) => mix(6, z),
            }),
            Node::TokioBiased(x, y) => Ok(tokio::select! {
                biased;
                x = run(*x) => mix(7, x),
                y = run(*y) => mix(8, y),
            }),
            Node::SelectLoop(x, y) => select_loop(run(*x), run(*y)).await,
            Node::Timeout(ms, node) => {
                let timed = crate::timeout(Duration::from_millis(u64::from(ms)), run(*node)).await;
                timed.unwrap_or(Err(u64::from(ms)))
            }
            Node::Channel(nodes) => channel(nodes).await,
            Node::Spawn(x, y) => {
                let branch = crate::spawn(run(*x));
                let y = run(*y).await;
                Ok(mix(mix(9, y), branch.await))
            }
            Node::Detach(node) => {
                drop(crate::spawn(run(*node)));
                Ok(10)
            }
            Node::Set(nodes, keep) => set(nodes, keep).await,
            Node::Child(nodes) => told(interpret(Program(nodes)).await),
            Node::Drop(x, y) => {
                let mut dropped = run(*x);
                let done =
                    std::future::poll_fn(|cx| std::task::Poll::Ready(dropped.as_mut().poll(cx).is_ready())).await;
                let y = run(*y).await;
                drop(dropped);
                Ok(mix(u64::from(done), y))
            }
            Node::Undo(which, x) => bound(which, u64::from(x)).await,
            Node::Compensate(x) => {
                crate::compensate(undo(u64::from(x)));
                Ok(20)
            }
            Node::Scope(nodes, fails) => scoped(nodes, fails).await,
            Node::Catch(nodes) => Ok(crate::catch_cancel(all(nodes)).await.unwrap_or(21)),
            Node::Shield(node) => crate::shield(run(*node)).await,
            Node::Cancel(x, y) => cancelled(run(*x), run(*y)).await,
            Node::Unbiased(x, y) => unbiased(run(*x), run(*y)).await,
        }
    })
}

async fn unordered(nodes: Vec<Node>) -> Seen {
    let mut branches: FuturesUnordered<Branch> = nodes.into_iter().map(run).collect();
    let (mut seen, mut round) = (11, 0);
    while let Some(x) = branches.next().await {
        seen = mix(seen, x);
        if round < 3 {
            branches.push(run(Node::Call(round, 1)));
        }
        round += 1;
        seen = mix(seen, call(0, seen % 5).await);
    }
    Ok(seen)
}

async fn select_loop(mut x: Branch, mut y: Branch) -> Seen {
    let (mut seen, mut x_waits, mut y_waits) = (12, true, true);
    for round in 0..6_u8 {
        if round % 2 == 0 {
            select! {
                x = &mut x, if x_waits => { seen = mix(seen, x); x_waits = false; }
                z = call(round, 3) => seen = mix(seen, z),
            }
        } else {
            select! {
                z = helper(u64::from(round)) => seen = mix(seen, z),
                y = &mut y, if y_waits => { seen = mix(seen, y); y_waits = false; }
                () = nap(700) => seen = mix(seen, Ok(13)),
            }
        }
    }
    Ok(seen)
}

async fn channel(nodes: Vec<Node>) -> Seen {
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel();
    let sender = async move {
        for node in nodes {
            let seen = run(node).await;
            send.send(seen).unwrap();
        }
    };
    let receiver = async move {
        let mut seen = 14;
        while let Some(x) = receive.recv().await {
            seen = mix(seen, x);
            seen = mix(seen, call(1, seen % 4).await);
        }
        seen
    };
    let ((), seen) = join!(sender, receiver);
    Ok(seen)
}

async fn set(nodes: Vec<Node>, keep: u8) -> Seen {
    let mut set = crate::JoinSet::new();
    let most = nodes.len() - usize::from(keep) % nodes.len();
    nodes.into_iter().for_each(|node| set.spawn(run(node)));
    let mut seen = 15;
    for _ in 0..most {
        seen = mix(seen, set.join_next().await.unwrap());
    }
    Ok(seen)
}

/// What the macro does not see: the name is another one, in a helper function.
async fn unbiased(x: Branch, y: Branch) -> Seen {
    use tokio::select as whichever;
    Ok(whichever! {
        x = x => mix(16, x),
        y = y => mix(17, y),
    })
}

pub(super) fn registry() -> Registry {
    Registry::of((red, green, blue, undo, interpret))
}

/// A build that lacks an activity: a run that calls it waits for another.
pub(super) fn registry_without_green() -> Registry {
    Registry::of((red, blue, undo, interpret))
}

fn leaf() -> impl Strategy<Value = Node> {
    prop_oneof![
        6 => (0..3_u8, 0..4_u8).prop_map(|(which, x)| Node::Call(which, x)),
        2 => (0..4_u8).prop_map(Node::Step),
        3 => (0..4_u8).prop_map(Node::Helper),
        2 => (0..3000_u16).prop_map(Node::Sleep),
        2 => (0..2_u8).prop_map(Node::Receive),
        3 => (0..4_u8, 0..4_u8).prop_map(|(which, x)| Node::Undo(which, x)),
        1 => (0..4_u8).prop_map(Node::Compensate),
        1 => (1..12_u8).prop_map(Node::Burst),
        1 => Just(Node::Look),
    ]
}

fn pair(node: impl Strategy<Value = Node> + Clone) -> impl Strategy<Value = (Box<Node>, Box<Node>)> {
    (node.clone().prop_map(Box::new), node.prop_map(Box::new))
}

/// Statements, `deep` levels of them; `odd` is one more kind.
fn node(odd: Option<OfTwo>) -> impl Strategy<Value = Node> {
    leaf().prop_recursive(3, 16, 4, move |node| {
        let some = || prop::collection::vec(node.clone(), 1..4);
        let two = || pair(node.clone());
        let usual = prop_oneof![
            some().prop_map(Node::Seq),
            two().prop_map(|(x, y)| Node::Join(x, y)),
            (two(), node.clone()).prop_map(|((x, y), z)| Node::TryJoin(x, y, Box::new(z))),
            some().prop_map(Node::JoinAll),
            some().prop_map(Node::Unordered),
            (two(), node.clone()).prop_map(|((x, y), z)| Node::Select(x, y, Box::new(z))),
            two().prop_map(|(x, y)| Node::TokioBiased(x, y)),
            two().prop_map(|(x, y)| Node::SelectLoop(x, y)),
            (0..3000_u16, node.clone()).prop_map(|(ms, node)| Node::Timeout(ms, Box::new(node))),
            some().prop_map(Node::Channel),
            two().prop_map(|(x, y)| Node::Spawn(x, y)),
            node.clone().prop_map(|node| Node::Detach(Box::new(node))),
            (some(), 0..3_u8).prop_map(|(nodes, keep)| Node::Set(nodes, keep)),
            some().prop_map(Node::Child),
            two().prop_map(|(x, y)| Node::Drop(x, y)),
            (some(), any::<bool>()).prop_map(|(nodes, fails)| Node::Scope(nodes, fails)),
            some().prop_map(Node::Catch),
            node.clone().prop_map(|node| Node::Shield(Box::new(node))),
            two().prop_map(|(x, y)| Node::Cancel(x, y)),
        ];
        match odd {
            None => usual.boxed(),
            Some(odd) => prop_oneof![2 => usual, 3 => two().prop_map(move |(x, y)| odd(x, y))].boxed(),
        }
    })
}

/// Programs that must replay.
pub(super) fn programs() -> impl Strategy<Value = Program> {
    prop::collection::vec(node(None), 3..7).prop_map(Program)
}

/// Programs with an unbiased select in them, which must not.
pub(super) fn unbiased_programs() -> impl Strategy<Value = Program> {
    prop::collection::vec(node(Some(Node::Unbiased)), 3..7).prop_map(Program)
}
