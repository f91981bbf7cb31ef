//! The driver: one task that owns the kernel, the runs in memory and the attempts in flight. It reads as the architecture: facts
//! go into the kernel, groups go to the log, effects whose reason is durable go to the world. It polls no user code but in place,
//! waits for nothing but its one queue and its one timer, and knows no rule of its own. One of several drivers of a store waits for its peers too,
//! while a checkpoint is made of the tables of all.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{Either, select};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use super::attempts::{self, Begun, InFlight};
use super::definitions::Definitions;
use super::peers::{Lent, Peers, Returned};
use super::reader::{Job, Reader};
use super::request::{Answered, Fit, Message, Peer, Refused, Reply, StartRequest};
use super::turns::Hot;
use crate::activity::States;
use crate::error::panic_text;
use crate::kernel::engine::{
    Answer, AttemptOrder, Caller, Effect, Ended, Kernel, Likeness, LoadFailure, Now, SEMANTICS, SendSignal, Start,
};
use crate::kernel::event::{RunStarted, Text};
use crate::kernel::id::{RunId, RunNo};
use crate::kernel::tables::{RunEntry, RunKind};
use crate::payload::PayloadCodec;
use crate::seams::{Clock, Entropy, Spawn};
use crate::store::{ClosedRun, Store};

/// How long nothing may be written before an empty frame tells other readers that all of it is whole.
const IDLE: Duration = Duration::from_secs(1);

/// How many messages are taken before the log is fed again.
const MESSAGES_AT_ONCE: usize = 128;

/// How many journals are being read, or wait for their replay, at once.
const LOADS_AT_ONCE: usize = 128;

/// How many callers wait for the ends of runs before it is looked who has given up.
const WATCHING_MIN: usize = 64;

/// How many effects are carried out before messages are looked at, and before what they led to is written: runs that move all the time leave no
/// pause. A sync of its own for each few of them would take a processor that they need.
const EFFECTS_AT_ONCE: usize = 128;

/// How many attempts begin together, and are reported together when they end in their first poll: what is done for one is done for all of them before
/// the next thing is (the kernel's `abreast` says why). More gain nothing: what they hold has to stay in a cache too.
const ABREAST: usize = 8;

/// How long they may take together: what was appended by then is not written yet.
const EFFECTS_FOR: Duration = Duration::from_millis(1);

/// Why a store cannot go on of which a driver is gone, with what was lent to it or with what it was to lend.
const LOST: &str = "one of the store's drivers is gone: open the store anew, and report this [E0209]";

/// What a driver is made of.
pub(crate) struct Parts {
    pub(crate) kernel: Kernel,
    pub(crate) hot: Hot,
    pub(crate) log: Arc<dyn Store>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) states: States,
    pub(crate) codec: PayloadCodec,
    pub(crate) build: Text,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) spawn: Arc<dyn Spawn>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) send: UnboundedSender<Message>,
    pub(crate) receive: UnboundedReceiver<Message>,
    pub(crate) reads: Reader,
    pub(crate) peers: Peers,
    pub(crate) moved: Arc<Notify>,
}

pub(crate) struct Driver {
    kernel: Kernel,
    hot: Hot,
    log: Arc<dyn Store>,
    definitions: Arc<Definitions>,
    states: States,
    codec: PayloadCodec,
    build: Text,
    clock: Arc<dyn Clock>,
    spawn: Arc<dyn Spawn>,
    entropy: Arc<dyn Entropy>,
    receive: UnboundedReceiver<Message>,
    attempts: InFlight,
    callers: BTreeMap<Caller, Reply>,
    next_caller: u64,
    /// The callers who wait for a run's end. They may give up.
    watching: BTreeMap<Caller, RunNo>,
    /// How many of them there are when it is looked who has given up.
    watching_most: usize,
    reads: Reader,
    /// How many journals are being read.
    loading: usize,
    /// Starts that wait for a start of the same id whose closed runs are being looked up.
    #[allow(clippy::vec_box, reason = "requests come boxed, and leave so")]
    starting: BTreeMap<(Text, Text), Vec<Box<StartRequest>>>,
    stopping: Option<Stopping>,
    failed: Option<Text>,
    peers: Peers,
    meeting: Meeting,
    /// Attempts that are about to begin, and those that ended in their first poll: empty while anything else is done.
    orders: Vec<AttemptOrder>,
    ended: Vec<Ended>,
    /// Whether something was written since the driver waited last, when it has waited since something was, and how often all had written by then.
    has_written: bool,
    written_at: Option<(Duration, u64)>,
    /// Rung for those who wait for room in the log.
    moved: Arc<Notify>,
}

/// What a driver is about to do with its peers.
#[derive(Default)]
struct Meeting {
    /// Of the first: whether it is to make a checkpoint. Of another: whether it has asked the first for one.
    checkpoint: bool,
    /// The first wants the tables, ..
    lends: Option<oneshot::Sender<Lent>>,
    /// .. and closes the store with them.
    closes: bool,
    /// Whether nothing is awaited here any more, in a shutdown.
    has_drained: bool,
    /// Of the first: how many others have drained.
    others_drained: usize,
}

/// A graceful shutdown that is under way.
struct Stopping {
    until: Duration,
    /// Who asked for it. All are answered when it is done.
    replies: Vec<oneshot::Sender<Result<(), Text>>>,
}

/// Why the driver's loop ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The store may be closed.
    Drained,
    /// The first driver has closed the store, or failed to.
    Closed,
    /// The first driver went with this one's tables.
    Lost,
    Killed,
}

/// Whether everything was carried to the log and to the world that can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pumped {
    All,
    /// There is more, which waits for its turn.
    Some,
}

/// Whether the driver goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    Killed,
}

/// Whether effects have taken a while together.
fn takes_long(since: Now, now: Now) -> bool {
    now.monotonic.saturating_sub(since.monotonic) > EFFECTS_FOR
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Driver {
        let Parts { kernel, hot, log, definitions, states, codec, build, clock, spawn, entropy, send, receive, .. } =
            parts;
        let attempts = InFlight::new(Arc::clone(&clock), Arc::clone(&spawn), send);
        Driver {
            kernel,
            hot,
            log,
            definitions,
            states,
            codec,
            build,
            clock,
            spawn,
            entropy,
            receive,
            attempts,
            callers: BTreeMap::new(),
            next_caller: 0,
            watching: BTreeMap::new(),
            watching_most: WATCHING_MIN,
            reads: parts.reads,
            loading: 0,
            starting: BTreeMap::new(),
            stopping: None,
            failed: None,
            peers: parts.peers,
            meeting: Meeting::default(),
            orders: Vec::new(),
            ended: Vec::new(),
            has_written: false,
            written_at: None,
            moved: parts.moved,
        }
    }

    /// Drives until the runtime is shut down or dropped.
    pub(crate) async fn run(mut self) {
        match AssertUnwindSafe(self.drive()).catch_unwind().await {
            Ok(Last::Drained) => self.close().await,
            Ok(Last::Closed) => self.release_all(),
            Ok(Last::Lost) if self.is_killed() => self.die(),
            Ok(Last::Lost) => self.stand_still(LOST.into()).await,
            Ok(Last::Killed) => self.die(),
            Err(panic) => {
                let panic = panic_text(panic.as_ref());
                let reason = format!("the runtime panicked ({panic}): open the store anew, and report this [E0209]");
                self.stand_still(reason.into()).await;
            }
        }
    }

    async fn drive(&mut self) -> Last {
        // A runtime may be dropped before its driver does anything: there is no log to feed then.
        if self.handle_waiting() == Flow::Killed {
            return Last::Killed;
        }
        loop {
            let pumped = self.pump();
            if let Some(last) = self.meet().await {
                return last;
            }
            if self.has_drained() {
                return Last::Drained;
            }
            if pumped == Pumped::Some {
                tokio::task::yield_now().await;
            } else {
                let Some(message) = self.next().await else { continue };
                if self.handle(message) == Flow::Killed {
                    return Last::Killed;
                }
            }
            if self.handle_waiting() == Flow::Killed {
                return Last::Killed;
            }
        }
    }

    /// Takes the messages that wait, as many as is fair.
    fn handle_waiting(&mut self) -> Flow {
        for _ in 0..MESSAGES_AT_ONCE {
            let Ok(message) = self.receive.try_recv() else { break };
            if self.handle(message) == Flow::Killed {
                return Flow::Killed;
            }
        }
        Flow::On
    }

    /// Feeds the log and the world until both have everything that the kernel has for them, or for as long as is fair.
    fn pump(&mut self) -> Pumped {
        let now = self.now();
        self.kernel.handle_timeout(now, &mut self.hot);
        let mut pumped = Pumped::Some;
        let mut carried_out = 0;
        while carried_out < EFFECTS_AT_ONCE {
            self.feed_log();
            self.feed_reads();
            let taken = self.take_effects(now);
            if taken == 0 {
                pumped = Pumped::All;
                break;
            }
            carried_out += taken;
            if takes_long(now, self.begin_all(now)) {
                break;
            }
        }
        while let Some((run, text)) = self.kernel.poll_warning() {
            self.warn(run, &text);
        }
        self.refuse_if_failed();
        if self.trade_slots(now) { Pumped::Some } else { pumped }
    }

    /// Takes effects, and carries them out but for attempts that are to begin, which are collected; gives how many. (What is stopped, or asked to
    /// stop, is none of these: what has not begun is never told to.)
    fn take_effects(&mut self, now: Now) -> usize {
        for taken in 0..ABREAST {
            // One that finds no slot is recorded to begin when there is one: most of these give theirs back when they begin.
            if !self.orders.is_empty() && !self.kernel.has_slot() {
                return taken;
            }
            let Some(effect) = self.next_effect(now) else { return taken };
            self.execute(effect);
        }
        ABREAST
    }

    /// Begins the attempts that were ordered, as many as is fair, and reports those that end in their first poll. Gives the time behind the last
    /// one; `since` is when effects began to be carried out.
    fn begin_all(&mut self, since: Now) -> Now {
        if self.orders.is_empty() {
            return since;
        }
        let (mut orders, mut now) = (std::mem::take(&mut self.orders), self.now());
        let mut all = orders.drain(..);
        for order in &mut all {
            self.begin(order, &mut now);
            if takes_long(since, now) {
                break;
            }
        }
        // What the first ones report may be that the others are not wanted any more.
        all.rev().for_each(|order| self.kernel.put_back(&order));
        self.orders = orders;
        self.report_all();
        now
    }

    fn report_all(&mut self) {
        self.kernel.handle_attempts(self.ended.drain(..), &mut self.hot);
    }

    /// Slots for attempts go to the driver that wants some. Whether this one got any.
    fn trade_slots(&mut self, now: Now) -> bool {
        if self.peers.is_alone() {
            return false;
        }
        let wanted = self.kernel.slots_wanted();
        let taken = if wanted > 0 { self.peers.take_slots(wanted, self.kernel.slots_held()) } else { 0 };
        if wanted == 0 {
            self.peers.want_no_slots();
        }
        if taken > 0 {
            self.kernel.handle_slots(taken, now);
            return true;
        }
        if !self.peers.others_want_slots() {
            return self.kernel.keep_slots(now);
        }
        let given = self.kernel.give_slots_up(self.peers.share());
        if given > 0 {
            self.peers.give_slots(given);
        }
        false
    }

    /// The next effect whose reason is durable. The log is asked how far it has come when nothing is left of what it had said.
    fn next_effect(&mut self, now: Now) -> Option<Effect> {
        if let Some(effect) = self.kernel.poll_effect(now) {
            return Some(effect);
        }
        self.kernel.handle_durable(self.log.durable());
        self.kernel.poll_effect(now)
    }

    pub(super) fn feed_log(&mut self) {
        let mut has_fed = false;
        while let Some(group) = self.kernel.poll_group() {
            if self.failed.is_some() {
                continue;
            }
            has_fed = true;
            if let Err(error) = self.log.append(&group) {
                self.fail(error.to_string().into());
            }
            self.kernel.reuse(group);
        }
        if !has_fed {
            return;
        }
        self.has_written = true;
        self.peers.note_write();
        if self.failed.is_none() && self.log.wants_checkpoint() {
            self.checkpoint_is_due();
        }
    }

    /// Journals are asked for as they can be replayed, so that not all of them are in memory after an open. Once the store has failed none is:
    /// what the kernel knows is newer than what will ever be recorded, and it would load them again and again.
    fn feed_reads(&mut self) {
        while self.failed.is_none()
            && self.loading < LOADS_AT_ONCE
            && let Some(run) = self.kernel.poll_load()
        {
            self.loading += 1;
            self.read(Job::Load(run));
        }
    }

    fn read(&mut self, job: Job) {
        if self.reads.submit(job).is_err() {
            self.fail("the thread that reads the log is gone: open the store anew [E0315]".into());
        }
    }

    fn checkpoint_is_due(&mut self) {
        if self.peers.is_alone() {
            return self.checkpoint(&[]);
        }
        if !std::mem::replace(&mut self.meeting.checkpoint, true) && !self.peers.is_first() {
            self.peers.tell_first(Peer::CheckpointDue);
        }
    }

    /// Writes a checkpoint of these tables and what the others lent. All groups of all of them have been appended, and nobody appends meanwhile.
    fn checkpoint(&self, lent: &[Lent]) {
        let tables: Vec<_> = [self.kernel.tables()].into_iter().chain(lent.iter().map(|lent| &lent.tables)).collect();
        // What was put away may not be readable any more. That is no reason to leave the store open.
        let written = catch_unwind(AssertUnwindSafe(|| self.log.checkpoint(&tables)));
        let error = match written {
            Ok(Ok(())) => return,
            Ok(Err(fault)) => fault.to_string(),
            Err(panic) => panic_text(panic.as_ref()).to_string(),
        };
        tracing::warn!(%error, "a checkpoint could not be written; the next open reads more of the log");
    }

    // Among peers.

    /// Does what its peers wait for, and makes the checkpoint that is due.
    async fn meet(&mut self) -> Option<Last> {
        if let Some(to) = self.meeting.lends.take() {
            return self.lend(to).await;
        }
        if self.peers.is_first() && std::mem::take(&mut self.meeting.checkpoint) {
            self.gather().await;
        }
        None
    }

    /// Makes a checkpoint of everyone's tables.
    async fn gather(&mut self) {
        if self.failed.is_some() || !self.log.wants_checkpoint() {
            return;
        }
        // One that is gone has said why, or the runtime goes.
        let Some(lent) = self.peers.borrow(false).await else { return };
        self.feed_log();
        self.meeting.checkpoint = false;
        if lent.iter().all(|lent| lent.failed.is_none()) {
            self.checkpoint(&lent);
        }
        lent.into_iter().for_each(Lent::go_on);
    }

    /// Lends the tables, and does nothing until they are back.
    async fn lend(&mut self, to: oneshot::Sender<Lent>) -> Option<Last> {
        if self.meeting.closes {
            self.attempts.stop_all();
            self.hot.put_all_away();
        }
        self.feed_log();
        self.meeting.checkpoint = false;
        let (back, returned) = oneshot::channel();
        let lent = Lent { tables: self.kernel.lend_tables(), failed: self.failed.clone(), back };
        if let Err(Lent { tables, .. }) = to.send(lent) {
            self.kernel.take_back(tables);
            return self.meeting.closes.then_some(Last::Lost);
        }
        let (tables, last) = match returned.await {
            Ok(Returned::GoOn(tables)) => (tables, None),
            Ok(Returned::Closed(tables, Ok(()))) => (tables, Some(Last::Closed)),
            Ok(Returned::Closed(tables, Err(reason))) => {
                // The first driver has said so.
                self.fail_too(reason);
                (tables, Some(Last::Closed))
            }
            Err(_) => return Some(Last::Lost),
        };
        self.kernel.take_back(tables);
        last
    }

    fn handle_peer(&mut self, message: Peer, now: Now) {
        match message {
            Peer::CheckpointDue => self.meeting.checkpoint = true,
            Peer::Lend { to, closing } => {
                self.meeting.lends = Some(to);
                self.meeting.closes |= closing;
            }
            Peer::Drain { until } => self.drain(until, None, now),
            Peer::Drained => self.meeting.others_drained += 1,
            Peer::Failed(reason) => self.fail_too(reason),
            // They are looked at behind each message.
            Peer::Slots => {}
        }
    }

    /// Waits for a message, at most until something is due.
    async fn next(&mut self) -> Option<Message> {
        let Some(until) = self.next_due() else { return self.receive.recv().await };
        let sleep = self.clock.sleep_until(until);
        let message = match select(std::pin::pin!(self.receive.recv()), sleep).await {
            Either::Left((message, _)) => message,
            Either::Right(((), _)) => None,
        };
        if message.is_none() {
            self.rest();
        }
        message
    }

    fn next_due(&mut self) -> Option<Duration> {
        let now = self.now();
        if std::mem::take(&mut self.has_written) {
            self.written_at = Some((now.monotonic, self.peers.writes()));
        }
        let look = self.clock.looked_at_every().map_or(Duration::MAX, |span| now.monotonic.saturating_add(span));
        let timers = self.kernel.poll_timeout(now).map(|due| due.min(look));
        let idle = self.written_at.map(|(at, _)| at.saturating_add(IDLE));
        let stop = self
            .stopping
            .as_ref()
            .filter(|_| self.failed.is_none() && !self.meeting.has_drained)
            .map(|stopping| stopping.until);
        [timers, idle, stop].into_iter().flatten().min()
    }

    /// A second of idleness: an empty frame proves the last one to other readers.
    fn rest(&mut self) {
        let now = self.clock.monotonic();
        let Some((_, writes)) = self.written_at.take_if(|(at, _)| at.saturating_add(IDLE) <= now) else { return };
        // Who has written since then does so when it rests.
        if writes == self.peers.writes() {
            self.log.idle();
        }
    }

    fn handle(&mut self, message: Message) -> Flow {
        let now = self.now();
        match message {
            Message::Start(request) => self.start(request),
            Message::LookedUp(request, found) => self.looked_up(request, found),
            Message::Signal { run, name, payload, sender, reply } => {
                let Some(caller) = self.admit(reply) else { return Flow::On };
                let signal = SendSignal { caller, run, name, payload, sender };
                self.kernel.handle_signal(signal, now, &mut self.hot);
            }
            Message::Cancel { run, reason, reply } => {
                let Some(caller) = self.admit(reply) else { return Flow::On };
                self.kernel.handle_cancel(caller, run, reason, now, &mut self.hot);
            }
            Message::Terminate { run, reason, reply } => {
                let Some(caller) = self.admit(reply) else { return Flow::On };
                self.kernel.handle_terminate(caller, run, reason, now, &mut self.hot);
            }
            Message::Watch { run, blocked, reply } => {
                let Some(caller) = self.reader(reply) else { return Flow::On };
                self.forget_who_gave_up();
                self.watching.insert(caller, run);
                self.kernel.handle_watch(caller, run, blocked);
            }
            Message::Describe { run, reply } => {
                let Some(caller) = self.reader(reply) else { return Flow::On };
                self.kernel.handle_describe(caller, run);
            }
            Message::Find { namespace, id, reply } => self.find(namespace, id, reply),
            Message::List { reply } => {
                let Some(caller) = self.reader(reply) else { return Flow::On };
                self.kernel.handle_list(caller);
            }
            Message::RetryBlocked { run, reply } => {
                let Some(caller) = self.reader(reply) else { return Flow::On };
                let runs = self.kernel.handle_retry_blocked(run, now, &mut self.hot);
                self.kernel.answer(caller, Answer::Retried(runs));
            }
            Message::NextDue { reply } => {
                let due = self.kernel.poll_timeout(now);
                // Whoever asked may have given up.
                let _ = reply.send(due.map(|due| due.saturating_sub(now.monotonic)));
            }
            Message::Attempt { run, seq, attempt, report } => {
                self.attempts.ended(run, seq, attempt);
                self.kernel.handle_attempt(run, seq, attempt, report, now, &mut self.hot);
            }
            Message::Loaded { run, journal } => {
                self.loading = self.loading.saturating_sub(1);
                let loaded = match journal {
                    Ok(journal) => self.hot.replay(run, *journal, Some(self.kernel.awaited(run))),
                    Err(reason) => Err(LoadFailure::Outside(reason)),
                };
                self.kernel.handle_loaded(run, loaded, now, &mut self.hot);
            }
            Message::LogMoved => self.log_moved(),
            Message::Shutdown { deadline, reply } => self.shut_down(now.monotonic.saturating_add(deadline), reply, now),
            Message::Kill => return Flow::Killed,
            Message::Peer(message) => self.handle_peer(message, now),
        }
        Flow::On
    }

    // Requests.

    /// A caller of something that changes a run, unless no work is taken.
    fn admit(&mut self, reply: Reply) -> Option<Caller> {
        match self.refusal() {
            None => Some(self.caller(reply)),
            Some(refused) => {
                let _ = reply.send(Answered::Refused(refused));
                None
            }
        }
    }

    /// A caller that only asks; nobody is answered once the store has failed, since nothing becomes durable any more.
    fn reader(&mut self, reply: Reply) -> Option<Caller> {
        let Some(failed) = &self.failed else { return Some(self.caller(reply)) };
        let _ = reply.send(Answered::Refused(Refused::Store(failed.clone())));
        None
    }

    fn refusal(&self) -> Option<Refused> {
        if let Some(failed) = &self.failed {
            return Some(Refused::Store(failed.clone()));
        }
        if self.stopping.is_some() {
            return Some(Refused::ShuttingDown);
        }
        (!self.log.accepts_work()).then_some(Refused::NoSpace)
    }

    fn caller(&mut self, reply: Reply) -> Caller {
        self.next_caller += 1;
        let caller = Caller(self.next_caller);
        self.callers.insert(caller, reply);
        caller
    }

    /// Who waits for a run's end may give up; when there are twice as many as were left the last time, it is looked who did.
    fn forget_who_gave_up(&mut self) {
        if self.watching.len() < self.watching_most {
            return;
        }
        let callers = &self.callers;
        let has_left = |caller: &Caller| callers.get(caller).is_none_or(Reply::is_closed);
        let gone: BTreeSet<Caller> = self.watching.keys().copied().filter(has_left).collect();
        let runs: BTreeSet<RunNo> = gone.iter().filter_map(|caller| self.watching.remove(caller)).collect();
        runs.into_iter().for_each(|run| self.kernel.handle_unwatch(run, &gone));
        self.callers.retain(|caller, _| !gone.contains(caller));
        self.watching_most = (2 * self.watching.len()).max(WATCHING_MIN);
    }

    fn shut_down(&mut self, until: Duration, reply: oneshot::Sender<Result<(), Text>>, now: Now) {
        self.peers.tell_others(|| Peer::Drain { until });
        self.drain(until, Some(reply), now);
    }

    /// A second shutdown waits for the first; the earlier deadline counts.
    fn drain(&mut self, until: Duration, reply: Option<oneshot::Sender<Result<(), Text>>>, now: Now) {
        match &mut self.stopping {
            Some(stopping) => {
                stopping.until = stopping.until.min(until);
                stopping.replies.extend(reply);
            }
            None => {
                self.stopping = Some(Stopping { until, replies: reply.into_iter().collect() });
                self.kernel.handle_drain(now, &mut self.hot);
            }
        }
    }

    fn start(&mut self, request: Box<StartRequest>) {
        if let Some(refused) = self.refusal() {
            let _ = request.reply.send(Answered::Refused(refused));
            return;
        }
        let key = (request.namespace.clone(), request.id.clone());
        if self.kernel.tables().run_of(&key.0, &key.1).is_some() {
            return self.start_now(*request);
        }
        if let Some(queue) = self.starting.get_mut(&key) {
            return queue.push(request);
        }
        // A run that has ended since the log was fed is in no table any more, and not in the log yet.
        self.feed_log();
        if !self.log.may_be_closed(&key.0, &key.1) {
            return self.start_now(*request);
        }
        self.starting.insert(key, Vec::new());
        self.read(Job::LookUp(request));
    }

    fn looked_up(&mut self, request: Box<StartRequest>, found: Result<Option<Box<ClosedRun>>, Text>) {
        let key = (request.namespace.clone(), request.id.clone());
        let waiting = self.starting.remove(&key).unwrap_or_default();
        match found {
            Ok(None) => self.start_now(*request),
            Ok(Some(closed)) => {
                let answered = match self.compare(&request, &closed) {
                    Ok(fit) => Answered::Closed(closed, fit),
                    Err(refused) => Answered::Refused(refused),
                };
                let _ = request.reply.send(answered);
            }
            Err(reason) => {
                let _ = request.reply.send(Answered::Refused(Refused::Store(reason)));
            }
        }
        // The run that was just started may have ended already: each of these looks for itself.
        waiting.into_iter().for_each(|request| self.start(request));
    }

    fn compare(&self, request: &StartRequest, closed: &ClosedRun) -> Result<Fit, Refused> {
        let started = self.started(request, Some(closed.started.salt))?;
        let entry = RunEntry::started(closed.started_at, &closed.started, RunKind::of(&closed.started).into());
        Ok(match entry.compare(&started, request.call.inputs(), &self.build) {
            Likeness::Same | Likeness::Reshaped => Fit::Same,
            Likeness::Other => Fit::Other,
        })
    }

    fn start_now(&mut self, request: StartRequest) {
        let tables = self.kernel.tables();
        let open = tables.run_of(&request.namespace, &request.id).and_then(|run| tables.open.get(&run));
        let started = self.started(&request, open.map(|entry| entry.salt));
        match started {
            Ok(started) => {
                let now = self.now();
                let inputs = request.call.inputs();
                let caller = self.caller(request.reply);
                self.kernel.handle_start(Start { caller, started, inputs }, now, &mut self.hot);
            }
            Err(refused) => {
                let _ = request.reply.send(Answered::Refused(refused));
            }
        }
    }

    /// The run as it would be recorded; its digests are keyed with `salt`, that of the run it is compared with.
    fn started(&self, request: &StartRequest, salt: Option<[u8; 16]>) -> Result<RunStarted, Refused> {
        let salt = salt.unwrap_or_else(|| self.random());
        let digests = request.call.digests(&salt);
        let (value, shape) = digests.map_err(|error| Refused::Input(error.to_string().into()))?;
        let wall = self.clock.wall();
        Ok(RunStarted {
            run: RunId::new(wall, self.random()),
            namespace: request.namespace.clone(),
            id: request.id.clone(),
            workflow: request.call.name().clone(),
            version: request.call.version(),
            input: request.input.clone(),
            value,
            shape,
            build: self.build.clone(),
            semantics: SEMANTICS,
            deadline: request.call.timeout().map(|span| wall.after(span)),
            trace: request.trace,
            seed: self.random(),
            salt,
            ..RunStarted::default()
        })
    }

    fn find(&mut self, namespace: Text, id: Text, reply: Reply) {
        if let Some(run) = self.kernel.tables().run_of(&namespace, &id) {
            if let Some(caller) = self.reader(reply) {
                self.kernel.handle_describe(caller, run);
            }
            return;
        }
        self.feed_log();
        self.read(Job::Find { namespace, id, reply });
    }

    // Effects.

    fn execute(&mut self, effect: Effect) {
        match effect {
            // It begins with others.
            Effect::StartAttempt(order) => self.orders.push(order),
            Effect::AskAttempt { run, seq } => self.attempts.ask(run, seq),
            Effect::StopAttempt { run, seq, why } => self.attempts.stop(run, seq, why),
            Effect::Answer(caller, answer) => {
                self.watching.remove(&caller);
                if let Some(reply) = self.callers.remove(&caller) {
                    let _ = reply.send(Answered::By(answer));
                }
            }
        }
    }

    fn begin(&mut self, order: AttemptOrder, now: &mut Now) {
        // Someone else may have the store of a log that has failed, and the call with it.
        if self.failed.is_some() {
            return;
        }
        let begun = Begun::of(&order);
        let (run, seq, attempt) = (order.run, order.seq, order.attempt);
        let (input, info) = attempts::handed_over(order, self.codec);
        let asked = info.asked.clone();
        let future = match self.hot.step(run, seq) {
            Some(step) => step(input, info),
            None => match self.definitions.activity(info.activity.as_str()) {
                Some(entry) => entry.attempt(input, &self.states, info, Some(Arc::clone(&self.spawn))),
                None => {
                    return tracing::error!(
                        workflow = %info.workflow, id = %info.workflow_id,
                        "`{}` has neither a closure nor a registered activity; report this [E0209]", info.activity
                    );
                }
            },
        };
        if let Some(report) = self.attempts.begin(begun, future, asked, now) {
            self.ended.push(Ended { run, seq, attempt, report, now: *now });
        }
    }

    fn log_moved(&mut self) {
        if let Some(error) = self.log.failure() {
            self.fail(error.to_string().into());
        }
    }

    /// The log failed for good: nobody is answered any more, and no attempt begins.
    fn fail(&mut self, reason: Text) {
        if self.failed.is_some() {
            return;
        }
        tracing::error!(%reason, "the store failed; nothing is acknowledged until it is opened anew");
        self.peers.tell_others(|| Peer::Failed(reason.clone()));
        self.fail_too(reason);
    }

    /// The same, of which another driver has told everyone.
    fn fail_too(&mut self, reason: Text) {
        self.failed.get_or_insert(reason);
        self.attempts.stop_all();
        self.refuse_if_failed();
    }

    /// What is not answered when the log stands still never will be: whoever waits for it, or comes to wait, is told so.
    fn refuse_if_failed(&mut self) {
        let Some(reason) = &self.failed else { return };
        let starting = std::mem::take(&mut self.starting).into_values().flatten().map(|request| request.reply);
        for reply in std::mem::take(&mut self.callers).into_values().chain(starting) {
            let _ = reply.send(Answered::Refused(Refused::Store(reason.clone())));
        }
        self.watching.clear();
    }

    fn warn(&self, run: RunNo, text: &Text) {
        match self.kernel.tables().open.get(&run) {
            Some(entry) if self.kernel.is_blocked(run) => {
                tracing::error!(workflow = %entry.kind.workflow, id = %entry.id, "{text}");
            }
            Some(entry) => tracing::warn!(workflow = %entry.kind.workflow, id = %entry.id, "{text}"),
            None => tracing::warn!(run = run.0, "{text}"),
        }
    }

    // The end.

    /// Whether the store may be closed: of several drivers the first closes it, when all have drained.
    fn has_drained(&mut self) -> bool {
        if self.stopping.is_none() {
            return false;
        }
        if self.failed.is_some() {
            return self.peers.is_first();
        }
        if !self.meeting.has_drained {
            if !self.drains_no_more() {
                return false;
            }
            self.meeting.has_drained = true;
            if !self.peers.is_first() {
                self.peers.tell_first(Peer::Drained);
            }
        }
        self.peers.is_first() && self.meeting.others_drained == self.peers.others().count()
    }

    fn drains_no_more(&mut self) -> bool {
        let until = self.stopping.as_ref().map(|stopping| stopping.until);
        if self.kernel.attempts_in_flight() > 0 && until.is_some_and(|until| self.clock.monotonic() < until) {
            return false;
        }
        let now = self.now();
        self.kernel.handle_drain_deadline(now, &mut self.hot);
        self.feed_log();
        self.kernel.handle_durable(self.log.durable());
        true
    }

    /// Whether the runtime was dropped, as a message says that waits. What else waits hears nothing any more.
    fn is_killed(&mut self) -> bool {
        std::iter::from_fn(|| self.receive.try_recv().ok()).any(|message| matches!(message, Message::Kill))
    }

    async fn close(mut self) {
        self.attempts.stop_all();
        self.hot.put_all_away();
        let lent = self.peers.borrow(true).await;
        if lent.is_none() {
            if self.is_killed() {
                return;
            }
            self.fail(LOST.into());
        }
        let lent = lent.unwrap_or_default();
        if let Some(reason) = lent.iter().find_map(|lent| lent.failed.clone()) {
            self.failed.get_or_insert(reason);
        }
        let closed = match self.failed.take() {
            Some(reason) => {
                // What is wrong with the store is known already.
                let _ = self.log.stop().await;
                Err(reason)
            }
            None => {
                self.feed_log();
                self.checkpoint(&lent);
                self.log.close().await.map_err(|error| error.to_string().into())
            }
        };
        lent.into_iter().for_each(|lent| lent.closed(closed.clone()));
        self.release_durable();
        if closed.is_ok() {
            // Whoever hears that all is over may end what the others need to answer their callers.
            self.peers.wait_for_others().await;
        }
        self.answer_shutdown(&closed);
    }

    /// The store is closed: whoever waits for what became durable is answered.
    fn release_all(mut self) {
        self.release_durable();
    }

    fn release_durable(&mut self) {
        self.kernel.handle_durable(self.log.durable());
        let now = self.now();
        while let Some(effect) = self.kernel.poll_effect(now) {
            if let Effect::Answer(..) = effect {
                self.execute(effect);
            }
        }
    }

    fn answer_shutdown(&mut self, closed: &Result<(), Text>) {
        for reply in self.stopping.take().into_iter().flat_map(|stopping| stopping.replies) {
            let _ = reply.send(closed.clone());
        }
    }

    /// The driver itself panicked: what the kernel holds may be half done, and nothing more of it leaves. The store is let go of as if
    /// the process had died; who waits, and who comes later, is told why.
    async fn stand_still(mut self, reason: Text) {
        self.fail(reason.clone());
        self.refuse_if_failed();
        self.meeting = Meeting::default();
        self.hot.put_all_away();
        let _ = self.log.stop().await;
        self.moved.notify_waiters();
        self.answer_shutdown(&Err(reason.clone()));
        while let Some(message) = self.receive.recv().await {
            match message {
                Message::Kill => return,
                Message::Shutdown { reply, .. } => drop(reply.send(Err(reason.clone()))),
                other => {
                    if let Some(reply) = other.into_reply() {
                        let _ = reply.send(Answered::Refused(Refused::Store(reason.clone())));
                    }
                }
            }
        }
    }

    fn die(mut self) {
        self.attempts.stop_all();
        self.hot.put_all_away();
    }

    fn now(&self) -> Now {
        Now { wall: self.clock.wall(), monotonic: self.clock.monotonic() }
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes
    }
}
