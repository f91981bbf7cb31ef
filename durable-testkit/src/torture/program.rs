//! The programs that are tortured: a tree over all that workflow code does, and the ordinary workflow and activities that interpret
//! it through the public API. What a program sees it folds into a number, in the order in which it sees it, and tells the stage. It
//! never knows of crashes.

use std::fmt;
use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::Pin;
use std::time::Duration;

use durable::__private::Activity;
use durable::prelude::*;
use durable::retry::{self, RetryPolicy};
use durable::{Call, CallError, Registry, Retryable, Signal};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Serializer;
use serde::ser::SerializeStruct;

use super::stage::{Attempting, Eye, Sight};

/// A workflow: its statements, one after the other, and whether it fails at its end.
#[derive(Debug, Clone, PartialEq, Hash, Serialize, Deserialize)]
pub struct Program {
    /// Its statements.
    pub nodes: Vec<Node>,
    /// Whether it ends `Err` after the last one.
    pub fails: bool,
}

impl Program {
    /// Tells it from the others of a case.
    fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// How many statements a build that breaks comes to before it does: some, and always as many in one program.
    fn breaks_behind(&self) -> u32 {
        let all: u32 = self.nodes.iter().map(Node::statements).sum();
        let mixed = format!("{:?}", self.nodes).bytes().fold(0, |sum: u32, byte| sum.rotate_left(5) ^ u32::from(byte));
        mixed % all.max(1)
    }
}

/// What an attempt of a call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub struct Ask {
    /// Tells calls apart; two calls of one site are equal to the runtime.
    pub site: u16,
    /// How long an attempt takes.
    pub takes_ms: u32,
    /// How many of the first attempts do not succeed.
    pub fails: u8,
    /// How those fail.
    pub how: How,
    /// How often it is tried.
    pub tries: Tries,
    /// How long the whole call may take.
    #[serde(default)]
    pub within_ms: Option<u32>,
    /// Which effect it undoes, by its nonce; 0 is none.
    pub of: u64,
    /// What a build says that has a field more.
    #[serde(default)]
    pub more: Option<u8>,
}

/// As the builds before the one with a field more have it: without the field, and not with one that is empty.
impl Serialize for Ask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Ask { site, takes_ms, fails, how, tries, within_ms, of, more } = self;
        let mut fields = serializer.serialize_struct("Ask", 7 + usize::from(more.is_some()))?;
        fields.serialize_field("site", site)?;
        fields.serialize_field("takes_ms", takes_ms)?;
        fields.serialize_field("fails", fails)?;
        fields.serialize_field("how", how)?;
        fields.serialize_field("tries", tries)?;
        fields.serialize_field("within_ms", within_ms)?;
        fields.serialize_field("of", of)?;
        if let Some(more) = more {
            fields.serialize_field("more", more)?;
        }
        fields.end()
    }
}

/// How an attempt fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum How {
    /// It returns an error that may be tried again.
    Error,
    /// It panics.
    Panic,
    /// It runs into its time limit.
    Hang,
    /// It returns a final error.
    Final,
}

/// How the waits between the attempts of a call are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// All alike.
    Even,
    /// Each twice as long as the one before, up to a limit.
    Doubling,
    /// Each longer by the same.
    Growing,
}

/// How often a call is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Tries {
    /// Until it succeeds.
    Forever,
    /// So often, with a limit for the whole.
    AtMost(u8),
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Hash, Serialize, Deserialize)]
pub enum Node {
    /// A call of an async activity.
    Call(Ask),
    /// A call of an activity that blocks its thread.
    Block(Ask),
    /// A call that begins at most once.
    Once(Ask),
    /// A step.
    Step(Ask),
    /// A timer.
    Sleep(u32),
    /// A receive.
    Receive(u8),
    /// So many receives at once.
    Burst(u8, u8),
    /// The time and a random number.
    Look,
    /// One after the other.
    Seq(Vec<Node>),
    /// `join!`.
    Join(Box<Node>, Box<Node>),
    /// `try_join!`.
    TryJoin(Box<Node>, Box<Node>),
    /// `join_all`.
    All(Vec<Node>),
    /// `FuturesUnordered`, with one more call for each that completes.
    Unordered(Vec<Node>, Ask),
    /// `select!`.
    Select(Vec<Node>),
    /// A time limit in the workflow.
    Timeout(u32, Box<Node>),
    /// A branch that is awaited after the second.
    Spawn(Box<Node>, Box<Node>),
    /// A branch that nobody awaits.
    Detach(Box<Node>),
    /// A `JoinSet` of which so many are joined, and the others dropped.
    Set(Vec<Node>, u8),
    /// A child that is awaited.
    Child(Program),
    /// The first is polled once and dropped when the second is done.
    Drop(Box<Node>, Box<Node>),
    /// A call with an undo.
    Undo(Ask, Ask),
    /// A call with an undo, and one for the unknown.
    UndoBoth(Ask, Ask),
    /// A compensation by hand.
    Compensate(Ask),
    /// A scope that ends well, or fails after its last statement.
    Scope(Vec<Node>, bool),
    /// A scope that catches a cancel.
    Catch(Vec<Node>),
    /// What no cancel cuts.
    Shield(Box<Node>),
    /// A scope that a second branch cancels when it is done.
    CutScope(Box<Node>, Box<Node>),
}

impl Node {
    /// How many statements it is, with those in it. A child comes to its statements in a body of its own.
    fn statements(&self) -> u32 {
        1 + self.inner().map(Node::statements).sum::<u32>()
    }

    /// The statements right in it that its own body comes to.
    fn inner(&self) -> impl Iterator<Item = &Node> {
        let (nodes, pair): (&[Node], [Option<&Node>; 2]) = match self {
            Node::Call(_)
            | Node::Block(_)
            | Node::Once(_)
            | Node::Step(_)
            | Node::Sleep(_)
            | Node::Receive(_)
            | Node::Burst(..)
            | Node::Look
            | Node::Undo(..)
            | Node::UndoBoth(..)
            | Node::Compensate(_)
            | Node::Child(_) => (&[], [None, None]),
            Node::Seq(nodes)
            | Node::All(nodes)
            | Node::Unordered(nodes, _)
            | Node::Select(nodes)
            | Node::Set(nodes, _)
            | Node::Scope(nodes, _)
            | Node::Catch(nodes) => (nodes, [None, None]),
            Node::Join(x, y) | Node::TryJoin(x, y) | Node::Spawn(x, y) | Node::Drop(x, y) | Node::CutScope(x, y) => {
                (&[], [Some(x), Some(y)])
            }
            Node::Timeout(_, node) | Node::Detach(node) | Node::Shield(node) => (&[], [Some(node), None]),
        };
        nodes.iter().chain(pair.into_iter().flatten())
    }

    /// Whether all that is in it, children's statements too, is polled whenever it can go on: a branch of these others is not, and
    /// sees late what has come.
    pub(super) fn is_always_polled(&self) -> bool {
        match self {
            Node::Unordered(..) | Node::Drop(..) | Node::Set(..) => false,
            Node::Child(program) => program.nodes.iter().all(Node::is_always_polled),
            node => node.inner().all(Node::is_always_polled),
        }
    }
}

/// What an attempt gives: what is recorded, and told to the workflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// Whose call.
    pub run: u64,
    /// The call's number there.
    pub seq: u32,
    /// Which attempt gave it.
    pub attempt: u32,
    /// No other attempt in the world gives this.
    pub nonce: u64,
    /// What every attempt of the call gives.
    pub value: u64,
}

/// Why an attempt gives nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Retryable)]
pub enum Refusal {
    /// It may be tried again.
    Again(Given),
    /// It may not.
    #[retry(never)]
    Final(Given),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, given) = match self {
            Refusal::Again(given) => ("not now", given),
            Refusal::Final(given) => ("never", given),
        };
        write!(f, "{text}: attempt {} of seq {}", given.attempt, given.seq)
    }
}

impl std::error::Error for Refusal {}

/// What a signal carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Word {
    /// Whose run it is for: the number of its program, or 255 for any.
    pub program: u8,
    /// Which signal.
    pub name: u8,
    /// Who sent it.
    pub sender: u8,
    /// The how-manieth of that sender.
    pub number: u32,
}

/// The signals that programs receive.
pub(super) const SIGNALS: [Signal<Word>; 4] =
    [Signal::new("north"), Signal::new("east"), Signal::new("south"), Signal::new("west")];

/// How long an attempt of a call that may hang may take.
const HANG_LIMIT: Duration = Duration::from_secs(20);

/// What a statement gives.
type Folded = Result<u64, u64>;
type Branch = Pin<Box<dyn Future<Output = Folded> + Send>>;

#[activity]
async fn work(ask: Ask) -> Result<Given, Refusal> {
    attempt(ask).await
}

#[activity]
fn block(ask: Ask) -> Result<Given, Refusal> {
    Attempting::begin(&ask).end(&ask)
}

#[activity]
async fn once(ask: Ask) -> Result<Given, Refusal> {
    attempt(ask).await
}

#[activity]
async fn undo(ask: Ask) -> Result<Given, Refusal> {
    attempt(ask).await
}

async fn attempt(ask: Ask) -> Result<Given, Refusal> {
    let attempting = Attempting::begin(&ask);
    if ask.takes_ms > 0 {
        tokio::time::sleep(Duration::from_millis(ask.takes_ms.into())).await;
    }
    if attempting.hangs(&ask) {
        // Its time limit ends it, or nothing does.
        std::future::pending::<()>().await;
    }
    attempting.end(&ask)
}

impl Ask {
    fn policy(&self) -> RetryPolicy {
        let policy = match self.pace() {
            Pace::Even => retry::fixed("500ms"),
            Pace::Doubling => retry::exponential("200ms", 2.0).max_interval("2s"),
            Pace::Growing => retry::linear("100ms", "400ms"),
        };
        match self.tries {
            Tries::Forever => policy,
            Tries::AtMost(most) => policy.maximum_attempts(most.into()),
        }
    }

    fn pace(&self) -> Pace {
        match self.site % 4 {
            0 => Pace::Doubling,
            2 => Pace::Growing,
            _ => Pace::Even,
        }
    }

    /// How long the wait after this failed attempt is at most; it is four fifths of that at least.
    pub(super) fn wait_max(&self, failed: u32) -> Duration {
        let before = failed.saturating_sub(1);
        Duration::from_millis(match self.pace() {
            Pace::Even => 500,
            Pace::Doubling => (200 << before.min(4)).min(2_000),
            Pace::Growing => (100 + 400 * u64::from(before)).min(60_000),
        })
    }

    /// How long the whole call may take.
    pub(super) fn within(&self) -> Option<Duration> {
        self.within_ms.map(|within_ms| Duration::from_millis(within_ms.into()))
    }

    /// How often it is tried at most.
    pub(super) fn most(&self) -> u32 {
        match self.tries {
            Tries::Forever => u32::MAX,
            Tries::AtMost(most) => most.into(),
        }
    }

    /// How long an attempt may take, of an activity that has a limit.
    pub(super) fn limit(&self) -> Duration {
        if self.how == How::Hang { HANG_LIMIT } else { Duration::from_secs(300) }
    }
}

/// The workflow that all programs are run by.
#[workflow]
pub async fn torture(program: Program) -> Result<u64, String> {
    interpret(program).await
}

/// As another build has it: with a statement more at its beginning.
#[workflow(name = "torture")]
async fn inserted(program: Program) -> Result<u64, String> {
    let (how, tries) = (How::Error, Tries::Forever);
    let ask = Ask { site: u16::MAX, takes_ms: 0, fails: 0, how, tries, within_ms: None, of: 0, more: None };
    let nodes = std::iter::once(Node::Step(ask)).chain(program.nodes).collect();
    interpret(Program { nodes, ..program }).await
}

/// As another build has it: without the first statement.
#[workflow(name = "torture")]
async fn removed(program: Program) -> Result<u64, String> {
    interpret(Program { nodes: program.nodes.into_iter().skip(1).collect(), ..program }).await
}

/// As another build has it: the first call is of another activity.
#[workflow(name = "torture")]
async fn renamed(program: Program) -> Result<u64, String> {
    let mut nodes = program.nodes;
    if let Some(first) = nodes.first_mut()
        && let Node::Call(ask) = *first
    {
        *first = Node::Block(ask);
    }
    interpret(Program { nodes, ..program }).await
}

/// As another build has it: it panics in the middle.
#[workflow(name = "torture")]
async fn broken(program: Program) -> Result<u64, String> {
    let eye = Eye::open(program.number()).breaking_behind(program.breaks_behind());
    fold(program, eye).await
}

/// A build of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Build {
    /// As it was at first.
    First,
    /// The same code again, under another build id.
    Second,
    /// With a statement more.
    Inserted,
    /// With a statement less.
    Removed,
    /// With a call of another activity.
    Renamed,
    /// With a panic.
    Broken,
    /// With a field more in what its calls are given.
    Widened,
}

impl Build {
    /// Its build id.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Build::First => "first",
            Build::Second => "second",
            Build::Inserted => "inserted",
            Build::Removed => "removed",
            Build::Renamed => "renamed",
            Build::Broken => "broken",
            Build::Widened => "widened",
        }
    }

    /// Whether its workflow does something else.
    #[must_use]
    pub fn differs(self) -> bool {
        !matches!(self, Build::First | Build::Second | Build::Widened)
    }

    /// What it registers.
    #[must_use]
    pub fn registry(self) -> Registry {
        let mut registry = Registry::of((work, block, once, undo));
        match self {
            Build::First | Build::Second | Build::Widened => registry.register((torture,)),
            Build::Inserted => registry.register((inserted,)),
            Build::Removed => registry.register((removed,)),
            Build::Renamed => registry.register((renamed,)),
            Build::Broken => registry.register((broken,)),
        }
        registry
    }
}

async fn interpret(program: Program) -> Result<u64, String> {
    let eye = Eye::open(program.number());
    fold(program, eye).await
}

async fn fold(program: Program, eye: Eye) -> Result<u64, String> {
    let folded = all(program.nodes, &eye).await;
    if program.fails { Err(format!("folded {folded:016x}")) } else { Ok(folded) }
}

/// Folds what was seen into what was seen before.
fn mix(before: u64, seen: Folded) -> u64 {
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => !error,
    };
    (before.rotate_left(5) ^ seen).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

async fn all(nodes: Vec<Node>, eye: &Eye) -> u64 {
    let mut folded = 0;
    for node in nodes {
        folded = mix(folded, run(node, eye.clone()).await);
        eye.saw(Sight::Time(now_us()));
    }
    folded
}

fn now_us() -> u64 {
    let now = durable::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_micros());
    u64::try_from(now).unwrap_or(0)
}

/// What was seen of a call, without what differs between two attempts.
fn told(eye: &Eye, result: Result<Given, CallError<Refusal>>) -> Folded {
    match result {
        Ok(given) => {
            eye.saw(Sight::Given(given));
            Ok(given.value)
        }
        Err(error) => {
            let kind = kind_of(&error);
            eye.saw(Sight::Refused(kind, said(&error)));
            Err(kind)
        }
    }
}

/// What the last attempt of a call said.
fn said(error: &CallError<Refusal>) -> Option<Given> {
    match error {
        CallError::App(Refusal::Again(given) | Refusal::Final(given)) => Some(*given),
        CallError::Exhausted { last, .. } => said(last),
        _ => None,
    }
}

fn kind_of(error: &CallError<Refusal>) -> u64 {
    match error {
        CallError::App(Refusal::Again(_)) => 1,
        CallError::App(Refusal::Final(_)) => 2,
        CallError::TimedOut(_) => 3,
        CallError::Cancelled => 4,
        CallError::Interrupted => 5,
        CallError::Panicked(_) => 6,
        CallError::Exhausted { last, .. } => 16 + kind_of(last),
        _ => 7,
    }
}

/// A call under the limits that are asked for.
fn limited<D: Activity>(call: Call<D>, ask: &Ask) -> Call<D> {
    let call = call.retry(ask.policy()).start_to_close(ask.limit());
    match ask.within() {
        Some(within) => call.schedule_to_close(within),
        None => call,
    }
}

async fn step(eye: &Eye, ask: Ask) -> Folded {
    let step = durable::step_with("step", eye.widened(ask), attempt).retry(ask.policy()).start_to_close(ask.limit());
    let step = match ask.within() {
        Some(within) => step.schedule_to_close(within),
        None => step,
    };
    told(eye, step.await)
}

fn undoing(ask: Ask, of: u64) -> impl durable::Compensation {
    limited(undo(Ask { of, ..ask }), &ask)
}

async fn undoable(ask: Ask, back: Ask) -> Result<Given, CallError<Refusal>> {
    limited(work(ask), &ask).undo(move |given| undoing(back, given.nonce)).await
}

async fn undoable_both(ask: Ask, back: Ask) -> Result<Given, CallError<Refusal>> {
    let call = limited(work(ask), &ask).undo(move |given| undoing(back, given.nonce));
    call.undo_unknown(undoing(back, 0)).await
}

fn run(node: Node, eye: Eye) -> Branch {
    Box::pin(async move {
        eye.comes_to_a_statement();
        match node {
            Node::Call(ask) => told(&eye, limited(work(eye.widened(ask)), &ask).await),
            Node::Block(ask) => told(&eye, limited(block(eye.widened(ask)), &ask).await),
            Node::Once(ask) => told(&eye, limited(once(eye.widened(ask)), &ask).at_most_once().await),
            Node::Step(ask) => step(&eye, ask).await,
            Node::Sleep(ms) => {
                let (began, span) = (eye.now(), Duration::from_millis(ms.into()));
                durable::sleep(span).await;
                eye.slept(began, span);
                Ok(ms.into())
            }
            Node::Receive(name) => Ok(receive(name, &eye).await),
            Node::Burst(name, count) => {
                let words = futures::future::join_all((0..count).map(|_| receive(name, &eye))).await;
                Ok(words.into_iter().fold(1, |folded, word| mix(folded, Ok(word))))
            }
            Node::Look => Ok(look(&eye)),
            Node::Child(program) => child(program, &eye).await,
            Node::Undo(ask, back) => told(&eye, undoable(eye.widened(ask), back).await),
            Node::UndoBoth(ask, back) => told(&eye, undoable_both(eye.widened(ask), back).await),
            Node::Compensate(ask) => {
                durable::compensate(undoing(ask, 0));
                Ok(8)
            }
            other => combined(other, eye).await,
        }
    })
}

/// Several at once.
async fn combined(node: Node, eye: Eye) -> Folded {
    let run = |node: Node| run(node, eye.clone());
    match node {
        Node::Join(x, y) => {
            let (x, y) = join!(run(*x), run(*y));
            Ok(mix(mix(1, x), y))
        }
        Node::TryJoin(x, y) => try_join!(run(*x), run(*y)).map(|(x, y)| mix(mix(2, Ok(x)), Ok(y))),
        Node::All(nodes) => {
            let folded = futures::future::join_all(nodes.into_iter().map(run)).await;
            Ok(folded.into_iter().fold(3, mix))
        }
        Node::Unordered(nodes, ask) => unordered(nodes, ask, &eye).await,
        Node::Select(nodes) => select(nodes.into_iter().map(run).collect()).await,
        Node::Spawn(x, y) => {
            let branch = durable::spawn(run(*x));
            let y = run(*y).await;
            Ok(mix(mix(9, y), branch.await))
        }
        Node::Detach(node) => {
            drop(durable::spawn(run(*node)));
            Ok(10)
        }
        Node::Set(nodes, joined) => set(nodes.into_iter().map(run).collect(), joined).await,
        Node::Drop(x, y) => dropping(run(*x), run(*y)).await,
        other => enclosed(other, eye).await,
    }
}

/// What stands in something.
async fn enclosed(node: Node, eye: Eye) -> Folded {
    let run = |node: Node| run(node, eye.clone());
    let inner = eye.clone();
    match node {
        Node::Seq(nodes) => Ok(all(nodes, &eye).await),
        Node::Timeout(ms, node) => {
            let timed = durable::timeout(Duration::from_millis(ms.into()), run(*node)).await;
            timed.unwrap_or(Err(u64::from(ms)))
        }
        Node::Scope(nodes, fails) => {
            durable::scope(async move {
                let folded = all(nodes, &inner).await;
                if fails { Err(folded) } else { Ok(folded) }
            })
            .await
        }
        Node::Catch(nodes) => Ok(durable::catch_cancel(async move { all(nodes, &inner).await }).await.unwrap_or(21)),
        Node::Shield(node) => durable::shield(run(*node)).await,
        Node::CutScope(x, y) => cut_scope(run(*x), run(*y)).await,
        simple => run(simple).await,
    }
}

async fn dropping(mut dropped: Branch, kept: Branch) -> Folded {
    let done = std::future::poll_fn(|cx| std::task::Poll::Ready(dropped.as_mut().poll(cx).is_ready())).await;
    let kept = kept.await;
    drop(dropped);
    Ok(mix(u64::from(done), kept))
}

async fn receive(name: u8, eye: &Eye) -> u64 {
    let word = SIGNALS[usize::from(name) % SIGNALS.len()].recv().await;
    eye.saw(Sight::Word(word));
    u64::from(word.name)
}

fn look(eye: &Eye) -> u64 {
    let (now, random) = (now_us(), durable::random::<u64>());
    eye.saw(Sight::Look(now, random));
    random ^ now
}

async fn child(program: Program, eye: &Eye) -> Folded {
    let folded = torture(program).await.map_err(|error| match error {
        CallError::Child(ended) if ended.app().is_some() => 30,
        CallError::Child(_) => 31,
        CallError::Cancelled => 32,
        _ => 33,
    });
    eye.saw(Sight::Child(folded));
    folded
}

async fn unordered(nodes: Vec<Node>, ask: Ask, eye: &Eye) -> Folded {
    let mut branches: FuturesUnordered<Branch> = nodes.into_iter().map(|node| run(node, eye.clone())).collect();
    let mut folded = 11;
    while let Some(branch) = branches.next().await {
        folded = mix(folded, branch);
        folded = mix(folded, run(Node::Call(ask), eye.clone()).await);
    }
    Ok(folded)
}

async fn select(mut branches: Vec<Branch>) -> Folded {
    match (branches.pop(), branches.pop(), branches.pop()) {
        (Some(x), Some(y), Some(z)) => Ok(select! {
            x = x => mix(4, x),
            y = y => mix(5, y),
            z = z => mix(6, z),
        }),
        (Some(x), Some(y), None) => Ok(select! {
            x = x => mix(4, x),
            y = y => mix(5, y),
        }),
        (Some(x), None, _) => x.await,
        (None, ..) => Ok(7),
    }
}

async fn set(branches: Vec<Branch>, joined: u8) -> Folded {
    let mut set = durable::JoinSet::new();
    branches.into_iter().for_each(|branch| set.spawn(branch));
    let mut folded = 15;
    for _ in 0..joined {
        let Some(branch) = set.join_next().await else { break };
        folded = mix(folded, branch);
    }
    Ok(folded)
}

async fn cut_scope(x: Branch, y: Branch) -> Folded {
    let scope = durable::catch_cancel(x);
    let handle = scope.handle();
    let (x, y) = join!(scope, async move {
        let y = y.await;
        handle.cancel();
        y
    });
    Ok(mix(x.map_or(18, |x| mix(19, x)), y))
}
