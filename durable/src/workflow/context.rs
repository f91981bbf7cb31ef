//! The ambient context: which run is being polled on this thread, and what its futures may ask of it.
//!
//! A run's context is set around each poll of its future and around the drops that a journaled point causes, and restored
//! after it; it never leaks into another task. Once it is closed (the run is put away, blocked, ended, or its process is going
//! down), everything that is still dropped is inert.

use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::activity::{AttemptFuture, AttemptInfo};
use crate::kernel::command::{Command, Outcome, Place};
use crate::kernel::event::{Payload, Text, UndoBits};
use crate::kernel::fault::Fault;
use crate::kernel::few::Few;
use crate::kernel::id::{ScopeNo, Seq, Timestamp};
use crate::kernel::machine::{Machine, TurnDone};
use crate::kernel::rare::Rare;
use crate::kernel::scope::{Catches, ShieldNo, Within};
use crate::payload::PayloadCodec;
use crate::registry::Registry;
use crate::workflow::definition::Definition;
use crate::workflow::undo::Bound;

/// What a command asks for, for messages and for the check of what is registered under its name.
pub(crate) enum What {
    /// An activity's call.
    Activity { name: Text, of: &'static Known },
    /// A child workflow.
    Workflow { name: Text, of: &'static Known },
    /// A step; its attempts until the command is asked for.
    Step { name: Text, attempts: Option<StepFn> },
    /// A durable timer.
    Sleep(Until),
    /// A receive.
    Receive { name: Text },
}

/// What is known of a definition where it is called: there is one for each, and each call that waits points to it.
#[derive(Debug)]
pub(crate) struct Known {
    /// Its type.
    pub(crate) definition: fn() -> TypeId,
    /// How it is entered.
    pub(crate) register: fn(&mut Registry),
}

impl Known {
    /// That of `D`.
    pub(crate) const fn of<D: Definition>() -> &'static Known {
        const { &Known { definition: TypeId::of::<D>, register: D::register } }
    }
}

/// How long a durable timer takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// So long from when it is asked for.
    After(Duration),
    /// Until then.
    At(Timestamp),
}

impl Until {
    /// When it is due, if it is asked for now.
    pub(crate) fn due(self, now: Timestamp) -> Timestamp {
        match self {
            Until::After(span) => now.after(span),
            Until::At(at) => at,
        }
    }
}

impl What {
    /// The name of what is called or received.
    ///
    /// # Panics
    /// If it is a durable timer, which has none.
    pub(crate) fn name(&self) -> &Text {
        match self {
            What::Activity { name, .. }
            | What::Workflow { name, .. }
            | What::Step { name, .. }
            | What::Receive { name } => name,
            What::Sleep(_) => unreachable!("because nobody asks a durable timer for its name"),
        }
    }

    /// A step's attempts; once.
    fn take_attempts(&mut self) -> Option<StepFn> {
        match self {
            What::Step { attempts, .. } => attempts.take(),
            What::Activity { .. } | What::Workflow { .. } | What::Sleep(_) | What::Receive { .. } => None,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::Activity { name, .. } => write!(f, "the call of activity `{name}`"),
            What::Workflow { name, .. } => write!(f, "the call of workflow `{name}`"),
            What::Step { name, .. } => write!(f, "the step `{name}`"),
            What::Sleep(_) => f.write_str("the durable sleep"),
            What::Receive { name } => write!(f, "the receive of signal `{name}`"),
        }
    }
}

/// One attempt at a step: its closure, called anew for each.
pub(crate) type StepFn = Arc<dyn Fn(Payload, AttemptInfo) -> AttemptFuture + Send + Sync>;

/// A branch of the run's own future.
pub(crate) type BranchFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Nothing: the run does not go on from there.
pub(crate) type Never = Infallible;

/// Says why a call may not be made: its name leads to another definition, or to none.
pub(crate) type Check = dyn Fn(&What) -> Result<(), Refusal> + Send + Sync;

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The code is wrong; that is recorded.
    Wrong(Text),
    /// This binary lacks something; that is not recorded.
    Missing(Text),
}

/// A run in memory, as its futures see it.
pub(crate) struct RunContext {
    inner: Mutex<Inner>,
    around: Arc<Surroundings>,
    pub(crate) wakes: Wakes,
}

/// What all runs in memory have around them.
pub(crate) struct Surroundings {
    pub(crate) check: Box<Check>,
    pub(crate) codec: PayloadCodec,
}

/// What the run's own waker was called for.
#[derive(Debug, Default)]
pub(crate) struct Wakes {
    /// During the run's own poll: it asks for another one.
    pub(crate) woken: AtomicBool,
    /// From outside, which was reported.
    pub(crate) foreign: AtomicBool,
    /// Nobody is to be told any more.
    pub(crate) closed: AtomicBool,
}

struct Inner {
    machine: Machine,
    /// Of the commands that wait in a task of their own within the run: a combinator's. The run's own task is polled for every outcome.
    wakers: Rare<Few<Seq, Waker>>,
    branches: Rare<Vec<BranchFuture>>,
    /// None until there is some of it: most runs have no scope and nothing to undo.
    seldom: Option<Box<Seldom>>,
    /// Where the code that is being polled stands.
    within: Within,
    /// The closures of new steps; in room that is lent.
    steps: Steps,
    open: Gate,
}

/// The closures of a turn's new steps.
pub(crate) type Steps = Rare<Vec<(Seq, StepFn)>>;

/// What a run may observe next.
pub(crate) enum Granted {
    /// An outcome; with the waker of whoever waits for it, unless that is the run's own task.
    Outcome(Option<Waker>),
    /// Nothing yet.
    Nothing,
    /// Nothing, ever: the run waits for nothing durable.
    Never,
}

/// What a turn left.
pub(crate) struct TurnLeft {
    /// The closures of new steps.
    pub(crate) steps: Steps,
    /// The machine's answer; else what this binary lacks for the run to go on.
    pub(crate) done: Result<Result<TurnDone, Box<Fault>>, Text>,
}

/// What became of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Outcome,
    Nothing,
}

impl Inner {
    fn grant(&mut self) -> Granted {
        match self.machine.grant() {
            Some(seq) => Granted::Outcome(self.forget_waker(seq)),
            None if self.machine.has_failed() || self.machine.waits() => Granted::Nothing,
            None => Granted::Never,
        }
    }

    fn refuse(&mut self, refusal: Refusal, what: &What, place: Place) {
        let text = match refusal {
            Refusal::Wrong(text) => format!("{text} (at {place})").into(),
            Refusal::Missing(text) => {
                let text = Text::from(format!("{what} at {place}: {text}"));
                self.seldom.get_or_insert_default().missing = Some(text.clone());
                text
            }
        };
        self.machine.fail(Fault::Refused(text));
    }

    fn forget_waker(&mut self, seq: Seq) -> Option<Waker> {
        self.wakers.written()?.remove(seq)
    }
}

/// A command that is asked for, with what belongs to it.
struct Asked {
    seq: Seq,
    place: Place,
    command: Result<Command, String>,
    bound: Option<Bound>,
    attempts: Option<StepFn>,
}

/// What few runs have.
#[derive(Default)]
struct Seldom {
    /// What this binary lacks for the run to go on.
    missing: Option<Text>,
    /// What undoes a scope. No cancel drops these, and they outlive the body.
    undoers: Vec<BranchFuture>,
    /// The wakers of what undoes.
    undoing: Vec<Waker>,
    /// The wakers of scopes.
    wakers: BTreeMap<ScopeNo, Waker>,
    /// What is bound to calls that may have to be undone.
    bound: BTreeMap<Seq, Bound>,
}

/// Whether what the futures do still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Open,
    /// Dropping is recorded, and nothing can be awaited any more.
    Dropping,
    Closed,
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext").finish_non_exhaustive()
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<RunContext>>> = const { RefCell::new(None) };
}

/// Restores the context that was there before, also when a poll panics.
struct Restore(Option<Arc<RunContext>>);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.with(|current| std::mem::swap(&mut *current.borrow_mut(), &mut self.0));
    }
}

/// Goes back to where the code stood before, also when a poll panics.
struct Back<'a> {
    run: &'a RunContext,
    to: Within,
}

impl Drop for Back<'_> {
    fn drop(&mut self) {
        self.run.lock().within = self.to;
    }
}

/// The run that is being polled on this thread.
pub(crate) fn current_run() -> Option<Arc<RunContext>> {
    CURRENT.with(|current| current.borrow().clone())
}

impl RunContext {
    pub(crate) fn new(machine: Machine, around: Arc<Surroundings>) -> Arc<RunContext> {
        let inner = Inner {
            machine,
            wakers: Rare::default(),
            branches: Rare::default(),
            seldom: None,
            within: Within::default(),
            steps: Steps::default(),
            open: Gate::Open,
        };
        Arc::new(RunContext { inner: Mutex::new(inner), around, wakes: Wakes::default() })
    }

    /// Runs `f` with this run as the one that is polled.
    pub(crate) fn enter<T>(self: &Arc<Self>, f: impl FnOnce() -> T) -> T {
        let _restore = Restore(CURRENT.with(|current| current.borrow_mut().replace(self.clone())));
        f()
    }

    /// Runs `f`, which drops what the run, or a scope of it, waits for: that is recorded, and what a destructor awaits panics.
    pub(crate) fn enter_drops<T>(self: &Arc<Self>, f: impl FnOnce() -> T) -> T {
        let before = std::mem::replace(&mut self.lock().open, Gate::Dropping);
        let done = self.enter(f);
        let mut inner = self.lock();
        if inner.open == Gate::Dropping {
            inner.open = before;
        }
        done
    }

    /// Polls what stands in a scope, or in a shield.
    pub(crate) fn within<T>(&self, within: Within, f: impl FnOnce() -> T) -> T {
        let before = std::mem::replace(&mut self.lock().within, within);
        let _back = Back { run: self, to: before };
        f()
    }

    /// Where the code that is being polled stands.
    pub(crate) fn here(&self) -> Within {
        self.lock().within
    }

    /// Whether this run is the one that is being polled on this thread.
    pub(crate) fn is_current(self: &Arc<Self>) -> bool {
        CURRENT.with(|current| current.borrow().as_ref().is_some_and(|current| Arc::ptr_eq(current, self)))
    }

    pub(crate) fn machine<T>(&self, f: impl FnOnce(&mut Machine) -> T) -> T {
        f(&mut self.lock().machine)
    }

    /// Begins a turn, in which there is room for the closures of new steps.
    pub(crate) fn begin_turn<T>(&self, steps: Steps, f: impl FnOnce(&mut Machine) -> T) -> T {
        let mut inner = self.lock();
        inner.steps = steps;
        f(&mut inner.machine)
    }

    /// The waker of the run's own task; what a wake does, the shell says.
    pub(crate) fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// From now on nothing that the futures do counts, and nobody is woken: a waker may be the run's own, which holds it.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.open = Gate::Closed;
        let seldom = inner.seldom.as_mut();
        let of_scopes = seldom.map(|seldom| (std::mem::take(&mut seldom.undoing), std::mem::take(&mut seldom.wakers)));
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        self.wakes.closed.store(true, Ordering::Relaxed);
        drop((of_scopes, wakers));
    }

    /// Whether the run was put away: nothing that is still dropped counts.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().open == Gate::Closed
    }

    /// Grants the next outcome that there is.
    pub(crate) fn grant(&self) -> Granted {
        self.lock().grant()
    }

    /// After what a grant caused: whether its outcome was taken, and the next grant.
    pub(crate) fn settle_and_grant(&self) -> (Taken, Granted) {
        let mut inner = self.lock();
        let taken = if inner.machine.settle_grant() { Taken::Outcome } else { Taken::Nothing };
        (taken, inner.grant())
    }

    pub(crate) fn take_branches(&self) -> Vec<BranchFuture> {
        std::mem::take(&mut self.lock().branches).take()
    }

    /// What undoes and was not taken yet.
    pub(crate) fn take_undoers(&self) -> Vec<BranchFuture> {
        self.lock().seldom.as_mut().map(|seldom| std::mem::take(&mut seldom.undoers)).unwrap_or_default()
    }

    /// Whether there are branches, or something undoes, that was not taken yet.
    pub(crate) fn has_new(&self) -> bool {
        let inner = self.lock();
        !inner.branches.is_empty() || inner.seldom.as_ref().is_some_and(|seldom| !seldom.undoers.is_empty())
    }

    /// Whether something undoes that was not taken yet.
    pub(crate) fn has_undoers(&self) -> bool {
        self.lock().seldom.as_mut().is_some_and(|seldom| !seldom.undoers.is_empty())
    }

    /// Adds what undoes a scope.
    pub(crate) fn add_undoer(&self, undoer: BranchFuture) {
        self.lock().seldom.get_or_insert_default().undoers.push(undoer);
    }

    /// Wakes what undoes: something that it waits for may be settled.
    pub(crate) fn wake_undoers(self: &Arc<Self>) {
        let wakers = self.lock().seldom.as_mut().map(|seldom| std::mem::take(&mut seldom.undoing)).unwrap_or_default();
        self.enter(|| wakers.into_iter().for_each(Waker::wake));
    }

    /// Has what undoes woken when something is settled.
    pub(crate) fn wait_to_undo(&self, cx: &Context<'_>) {
        self.lock().seldom.get_or_insert_default().undoing.push(cx.waker().clone());
    }

    /// What is bound to a call; once.
    pub(crate) fn take_bound(&self, seq: Seq) -> Option<Bound> {
        self.lock().seldom.as_mut()?.bound.remove(&seq)
    }

    /// Everything that is bound to calls. Compensations that were built in the run hold it: what is not taken out would never be freed.
    pub(crate) fn take_all_bound(&self) -> BTreeMap<Seq, Bound> {
        self.lock().seldom.as_mut().map(|seldom| std::mem::take(&mut seldom.bound)).unwrap_or_default()
    }

    /// Binds something to a call.
    pub(crate) fn bind(&self, seq: Seq, bound: Bound) {
        self.lock().seldom.get_or_insert_default().bound.insert(seq, bound);
    }

    /// Opens a scope where the code stands.
    pub(crate) fn open_scope(&self, catches: Catches) -> ScopeNo {
        let mut inner = self.lock();
        let within = inner.within;
        inner.machine.open_scope(within, catches)
    }

    /// Has a scope woken when it is cut, or when what was done in it is undone.
    pub(crate) fn wait_in_scope(&self, scope: ScopeNo, cx: &Context<'_>) {
        let old = self.lock().seldom.get_or_insert_default().wakers.insert(scope, cx.waker().clone());
        drop(old);
    }

    /// Closes a scope. Where it is dropped, `what` names it.
    pub(crate) fn close_scope(self: &Arc<Self>, scope: ScopeNo) {
        let here = self.is_current();
        let mut inner = self.lock();
        if inner.open == Gate::Closed {
            return;
        }
        if here {
            inner.machine.close_scope(scope);
        } else {
            let text = "a scope was dropped outside the run's own polls: keep durable futures in the workflow's body";
            inner.machine.fail(Fault::Refused(text.into()));
        }
        let waker = inner.seldom.as_mut().and_then(|seldom| seldom.wakers.remove(&scope));
        drop(inner);
        // It may wait for the end of its undoing.
        waker.into_iter().filter(|_| here).for_each(Waker::wake);
    }

    /// Ends a shield.
    pub(crate) fn unshield(&self, shield: ShieldNo) {
        let mut inner = self.lock();
        if inner.open != Gate::Closed {
            inner.machine.unshield(shield);
        }
    }

    /// Wakes a scope that is to be cut.
    pub(crate) fn wake_scope(self: &Arc<Self>, scope: ScopeNo) {
        let waker = self.lock().seldom.as_mut().and_then(|seldom| seldom.wakers.remove(&scope));
        self.enter(|| waker.into_iter().for_each(Waker::wake));
    }

    /// Whether there are branches that were not taken yet.
    pub(crate) fn has_branches(&self) -> bool {
        !self.lock().branches.is_empty()
    }

    /// Ends the turn. `fault` is what the shell met in it.
    pub(crate) fn end_turn(&self, fault: Option<Fault>) -> TurnLeft {
        let mut inner = self.lock();
        let steps = std::mem::take(&mut inner.steps);
        if let Some(missing) = inner.seldom.as_mut().and_then(|seldom| seldom.missing.take()) {
            return TurnLeft { steps, done: Err(missing) };
        }
        if let Some(fault) = fault {
            inner.machine.fail(fault);
        }
        TurnLeft { steps, done: Ok(inner.machine.end_turn()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a command is made from; none while the run's futures are dropped.
    fn origin(&self, seq: Seq) -> Option<Origin> {
        let inner = self.lock();
        let (salt, spans_from) = (inner.machine.salt(), inner.machine.spans_from());
        let wants_input = inner.machine.wants_input(seq);
        (inner.open == Gate::Open).then_some(Origin { salt, spans_from, codec: self.around.codec, wants_input })
    }

    /// Asks for a command, at the first poll of its future.
    fn issue(self: &Arc<Self>, what: &What, asked: Asked, cx: &Context<'_>) -> Poll<Outcome> {
        let refused = (self.around.check)(what).err();
        let mut inner = self.lock();
        let Asked { seq, place, command, bound, attempts } = asked;
        if let Some(bound) = bound {
            inner.seldom.get_or_insert_default().bound.insert(seq, bound);
        }
        match (refused, command) {
            (Some(refusal), _) => inner.refuse(refusal, what, place),
            (None, Ok(command)) => {
                let within = inner.within;
                inner.machine.issue(seq, command, within, place);
            }
            (None, Err(reason)) => inner.refuse(Refusal::Wrong(reason.into()), what, place),
        }
        if let Some(attempts) = attempts {
            inner.steps.push((seq, attempts));
        }
        if inner.open == Gate::Closed {
            return Poll::Pending;
        }
        // Every durable future is pending at its first poll.
        inner.machine.polls(place);
        self.wait(inner, seq, cx)
    }

    /// Has the command's future woken when its outcome is granted.
    fn wait(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, seq: Seq, cx: &Context<'_>) -> Poll<Outcome> {
        let old = if cx.waker().will_wake(&self.waker()) {
            inner.forget_waker(seq)
        } else {
            match inner.wakers.get_mut(seq) {
                Some(waker) if waker.will_wake(cx.waker()) => None,
                Some(waker) => Some(std::mem::replace(waker, cx.waker().clone())),
                None => inner.wakers.insert(seq, cx.waker().clone()),
            }
        };
        // It may be anybody's: it is dropped outside the lock.
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// The command's outcome, if it was granted; none at all while the run's futures are dropped.
    fn observe(self: &Arc<Self>, seq: Seq, place: Place, cx: &Context<'_>) -> Option<Poll<Outcome>> {
        let mut inner = self.lock();
        if inner.open != Gate::Open {
            return None;
        }
        inner.machine.polls(place);
        let Some(outcome) = inner.machine.observe(seq) else { return Some(self.wait(inner, seq, cx)) };
        let waker = inner.forget_waker(seq);
        drop(inner);
        drop(waker);
        Some(Poll::Ready(outcome))
    }

    fn abandon(self: &Arc<Self>, seq: Seq, what: &What, built: &Location<'_>) {
        let here = self.is_current();
        let mut inner = self.lock();
        if inner.open == Gate::Closed {
            return;
        }
        if here {
            inner.machine.abandon(seq);
        } else {
            let text = format!(
                "{what}, built at {built}, was dropped outside the run's own polls: keep durable futures in the workflow's body"
            );
            inner.machine.fail(Fault::Refused(text.into()));
        }
        let waker = inner.forget_waker(seq);
        drop(inner);
        drop(waker);
    }
}

/// One durable command of the run being polled. It takes its number when it is built in a run, is issued at its first poll,
/// and built and dropped leaves nothing.
pub(crate) struct Pending {
    what: What,
    built: &'static Location<'static>,
    run: Option<Arc<RunContext>>,
    /// Its number, if it has a run.
    seq: Seq,
    stage: Stage,
    extras: Option<Box<Extras>>,
}

/// What few commands have.
#[derive(Default)]
struct Extras {
    bound: Bound,
    waits: bool,
    undoes: Option<Seq>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Built,
    Issued,
    Done,
}

/// What a command is made from in its run.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) salt: [u8; 16],
    pub(crate) spans_from: Timestamp,
    pub(crate) codec: PayloadCodec,
    /// Whether its input is wanted, beyond the digests.
    pub(crate) wants_input: bool,
}

impl Pending {
    #[track_caller]
    pub(crate) fn build(what: What) -> Pending {
        let run = current_run();
        let seq = run.as_ref().map(|run| run.machine(Machine::take_seq)).unwrap_or_default();
        Pending { what, built: Location::caller(), run, seq, stage: Stage::Built, extras: None }
    }

    /// How long it takes, if it is a durable timer.
    pub(crate) fn until(&self) -> Option<Until> {
        match self.what {
            What::Sleep(until) => Some(until),
            What::Activity { .. } | What::Workflow { .. } | What::Step { .. } | What::Receive { .. } => None,
        }
    }

    /// What is called, by name.
    ///
    /// # Panics
    /// If it is a durable timer, which has none.
    pub(crate) fn name(&self) -> &Text {
        self.what.name()
    }

    pub(crate) fn is_issued(&self) -> bool {
        self.stage != Stage::Built
    }

    /// What is bound to a call, before its first poll.
    pub(crate) fn bound(&mut self) -> &mut Bound {
        &mut self.extras.get_or_insert_default().bound
    }

    /// When it is dropped, its attempt is asked to stop and awaited.
    pub(crate) fn wait_on_cancel(&mut self) {
        self.extras.get_or_insert_default().waits = true;
    }

    /// From now on it is a compensation: of this call, or registered by hand. Gives its number.
    ///
    /// # Panics
    /// Where it is not registered, or made, in the run that it was built in, and when it was awaited before.
    pub(crate) fn undo(&mut self, undoes: Option<Seq>) -> Seq {
        assert!(!self.is_issued(), "{} was awaited already: it cannot undo something", self.what);
        let (_, seq) = self.here();
        let extras = self.extras.get_or_insert_default();
        extras.bound = Bound::default();
        // Nothing drops it.
        extras.waits = false;
        extras.undoes = Some(undoes.unwrap_or(seq));
        seq
    }

    /// Asks for the command at the first poll; gives its outcome when it is granted.
    ///
    /// # Panics
    /// Where it is awaited outside the run that it was built in.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        command: impl FnOnce(&What, &Origin) -> Result<Command, String>,
    ) -> Poll<Outcome> {
        assert!(self.stage != Stage::Done, "{} was polled again after it had given its result", self.what);
        if !self.run.as_ref().is_some_and(RunContext::is_current) {
            self.here();
        }
        let (place, seq) = (Place(self.built), self.seq);
        let Pending { what, run, extras, stage, .. } = self;
        let run = run.as_ref().expect("because it is in its run");
        let outcome = match stage {
            Stage::Built => run.origin(seq).map(|origin| {
                *stage = Stage::Issued;
                let (command, attempts) = (command(what, &origin), what.take_attempts());
                let mut asked = Asked { seq, place, command, bound: None, attempts };
                if let Some(extras) = extras.take() {
                    asked.add(*extras);
                }
                run.issue(what, asked, cx)
            }),
            Stage::Issued | Stage::Done => run.observe(seq, place, cx),
        };
        match outcome {
            Some(Poll::Ready(outcome)) => {
                self.stage = Stage::Done;
                Poll::Ready(outcome)
            }
            Some(Poll::Pending) => Poll::Pending,
            None => self.dropping(),
        }
    }

    /// Parks the run: a recorded value does not decode.
    pub(crate) fn block(&self, reason: String) -> Poll<Never> {
        if let Some(run) = &self.run {
            let text = format!("{} at {}: {reason}", self.what, self.built);
            run.machine(|machine| machine.fail(Fault::Undecodable(text.into())));
        }
        Poll::Pending
    }

    fn dropping(&self) -> ! {
        panic!(
            "{}, built at {}, is not durable here: it is awaited in a `Drop` while its run is cancelled: a destructor may touch memory \
             only; clean up in the workflow's body",
            self.what, self.built
        )
    }

    /// The run that is being polled and the number in it; a call that was built outside takes its number now.
    fn here(&mut self) -> (Arc<RunContext>, Seq) {
        let (what, built) = (&self.what, self.built);
        let Some(current) = current_run() else {
            let instead = if self.run.as_ref().is_some_and(|run| run.lock().open != Gate::Open) {
                "it is awaited in a spawned task, or in a `Drop`: branch with `durable::spawn` instead of a task; a destructor may \
                 touch memory only, clean up in the workflow's body"
            } else if crate::activity::try_info().is_some() {
                "it is awaited in an activity: call another activity from the workflow, or run its body here with `run_direct()`"
            } else {
                "it is awaited outside a workflow run (a spawned task, another thread, plain async code): await it in the \
                 workflow's own body, branch with `durable::spawn`, start workflows from outside with `Runtime::start`, or run \
                 it without a journal with `run_direct()`"
            };
            panic!("{what}, built at {built}, is not durable here: {instead}");
        };
        if current.lock().open != Gate::Open {
            self.dropping();
        }
        match &self.run {
            Some(run) if Arc::ptr_eq(run, &current) => (current, self.seq),
            Some(run) => {
                let (built_in, here) = (run.machine(|m| m.id().clone()), current.machine(|m| m.id().clone()));
                panic!(
                    "{}, built at {} in run `{built_in}`, is awaited in run `{here}`: a call belongs to the run that built it; \
                     pass values between runs, by arguments or signals",
                    self.what, self.built
                );
            }
            None => {
                self.seq = current.machine(Machine::take_seq);
                self.run = Some(current.clone());
                (current, self.seq)
            }
        }
    }
}

impl Asked {
    fn add(&mut self, Extras { bound, waits, undoes }: Extras) {
        let Ok(Command::CallActivity(call)) = &mut self.command else { return };
        call.undo = UndoBits { waits, ..bound.bits() };
        call.undoes = undoes;
        self.bound = call.undo.binds().then_some(bound);
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.stage == Stage::Issued
            && let Some(run) = &self.run
        {
            run.abandon(self.seq, &self.what, self.built);
        }
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, built at {}", self.what, self.built)
    }
}

/// Asks something of the run that is being polled.
///
/// # Panics
/// Outside a run; the message names `what`.
#[track_caller]
pub(crate) fn in_run<T>(what: &str, f: impl FnOnce(&mut Machine) -> T) -> T {
    match current_run() {
        Some(run) => run.machine(f),
        None => panic!("`durable::{what}` is called outside a workflow run: it works only in a workflow's own body"),
    }
}

/// Makes `branch` a branch of the run that is being polled.
///
/// # Panics
/// Outside a run.
#[track_caller]
pub(crate) fn spawn_branch(branch: BranchFuture) {
    let Some(run) = current_run() else {
        panic!("`durable::spawn` is called outside a workflow run: it works only in a workflow's own body")
    };
    run.lock().branches.push(branch);
}
