//! Many runs on one log: the kernel proper.
//!
//! Facts go in by `handle_*` (a start, a signal, an attempt's end, a loaded journal, a tick of the clock, how far the log is
//! durable); groups, effects and loads come out by `poll_*`. One fact is worked off to its end before the next, but for results that come together
//! (`abreast`): its events, the turns that they cause and everything those ask for make one group. An effect leaves only when the group that justifies
//! it is durable: that is the ordering contract, and `Held` is the only way out. Workflow code is reached through `Turns`
//! alone; the kernel never polls, never reads a clock and never touches a file.

mod abreast;
mod attempts;
mod here;
mod numbered;
mod runs;
mod sleepers;
mod timers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::command::Inputs;
use super::event::{End, Event, Group, Payload, RunEnded, RunStarted, Section, Sender, Text, Whose};
use super::id::{Attempt, EventNo, Position, RunId, RunNo, Seq, Timestamp};
use super::machine::{Issued, TurnDone};
use super::open_runs::Shelf;
use super::tables::{RunEntry, Tables};

pub use abreast::{Abreast, Ended};
use attempts::Calls;
pub use attempts::{AttemptOrder, AttemptReport, Retry, WhyStopped};
use here::{Here, Memory};
pub use runs::Likeness;
use timers::Timers;

/// The version of the rules of replay that this kernel follows.
pub const SEMANTICS: u16 = 0;

/// The most signals that one run may have buffered.
pub const MAX_SIGNALS: u32 = 10_000;

/// The most bytes that one turn may ask the log for. With the event that causes it, the run's end and its parent's event, which hold at
/// most 4 MiB each, a group stays below the log's limit of 16 MiB.
pub const MAX_TURN_BYTES: usize = 5 << 20;

/// Above this a group takes no further turn: the turns of what it delivers follow in groups of their own.
const TURNS_UP_TO_BYTES: usize = 2 << 20;

/// How many timers are worked off before the shell looks at something else.
const DUE_AT_ONCE: usize = 1024;

/// What the kernel has to know of its process.
#[derive(Debug, Clone)]
pub struct Config {
    /// The build's id.
    pub build: Text,
    /// The process's id.
    pub pid: u32,
    /// The host's name.
    pub host: Text,
    /// How many attempts may wait in flight at once.
    pub attempts: usize,
    /// Where the numbers of new runs come from.
    pub numbers: Numbers,
    /// Whether this kernel is the one that says that the store was opened.
    pub role: Role,
    /// When runs are put away.
    pub residence: Residence,
    /// What the jitter of retries is drawn from.
    pub seed: u64,
}

/// Whether a kernel drives a store alone, or which of several it is. Each of several drives runs of its own, families and all: nothing that
/// a run does concerns a run of another kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// The only one, or the first of several: it says that the store was opened.
    #[default]
    First,
    /// Another one.
    Other,
}

/// The numbers of runs, which the kernels of one store share: the log takes a number that is above all others without a search.
#[derive(Debug, Clone, Default)]
pub struct Numbers(Arc<AtomicU64>);

impl Numbers {
    /// The next number that is free, at least this one.
    fn take(&self, at_least: RunNo) -> RunNo {
        self.0.fetch_max(at_least.0, Ordering::Relaxed);
        RunNo(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// When a run that waits is put away, to be loaded again by its next event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Residence {
    /// It stays in memory until it ends.
    #[default]
    Stay,
    /// At every await: a test's switch, which shows that a reload changes nothing.
    PutAwayAtEveryAwait,
}

/// The two clocks, read once for each fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The process's monotonic clock.
    pub monotonic: Duration,
}

/// How the kernel reaches workflow code: the shell's, or a test's.
pub trait Turns {
    /// Delivers an event and polls the run until it is quiet. Before a `RunStarted` the run is made.
    fn turn(&mut self, run: RunNo, no: EventNo, at: Timestamp, event: &Event) -> TurnEnd;
    /// The same for several runs that are in memory, each with an event of its own.
    fn turn_all(&mut self, abreast: &mut [Abreast]) {
        for one in abreast {
            one.end = one.event().map(|event| self.turn(one.run, one.no, one.now.wall, event));
        }
    }
    /// Takes the room of a turn back whose end was told: the next one may have it.
    fn take_room(&mut self, _room: TurnDone) {}
    /// Takes a run out of memory: its futures are dropped and leave no trace.
    fn put_away(&mut self, run: RunNo);
    /// The same, and the run has ended: nothing of it will be asked for again.
    fn ended(&mut self, run: RunNo);
}

/// How a turn ended.
#[derive(Debug)]
pub enum TurnEnd {
    /// The run waits.
    Quiet(TurnDone),
    /// The body ended.
    Ended(TurnDone, End, Payload),
    /// The run cannot go on; the text says why, and what to do. That is recorded.
    Blocked(Text),
    /// The run cannot go on for a cause outside the code, which is not recorded: it is looked at anew at each open.
    Stuck(Text),
}

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller(pub u64);

/// What the shell owes the world. It leaves the kernel only when what justifies it is durable.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "most are orders, and each is made where it leaves")]
pub enum Effect {
    /// Begin an attempt.
    StartAttempt(AttemptOrder),
    /// Ask an attempt to stop, and let it end: the code has dropped its call, and what it does has to be known.
    AskAttempt {
        /// Its run.
        run: RunNo,
        /// Its call.
        seq: Seq,
    },
    /// Drop an attempt: nobody waits for it any more.
    StopAttempt {
        /// Its run.
        run: RunNo,
        /// Its call.
        seq: Seq,
        /// Why.
        why: WhyStopped,
    },
    /// Answer a caller.
    Answer(Caller, Answer),
}

/// An answer to a caller.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The run is on disk.
    Started {
        /// Its short number.
        run: RunNo,
        /// Its identity.
        id: RunId,
    },
    /// A run of that id was there already, with the same workflow and input.
    Attached {
        /// Its short number.
        run: RunNo,
        /// Its identity.
        id: RunId,
        /// Whether the input had another shape, by another build.
        reshaped: bool,
    },
    /// A run of that id was there already and is another one.
    Conflict(Box<RunEntry>),
    /// It is done, and on disk.
    Done,
    /// The run has ended or never was.
    NotOpen,
    /// The run has [`MAX_SIGNALS`] signals buffered.
    Full,
    /// The run ended.
    Ended(Box<RunEnded>),
    /// The run is blocked.
    Blocked(Text),
    /// What is known of an open run; the last part is why this process cannot poll it.
    Described(RunNo, Box<RunEntry>, Option<Text>),
    /// Open runs, in order of their short numbers.
    Listed(Vec<(RunNo, RunEntry, Option<Text>)>),
    /// So many blocked runs are replayed once more.
    Retried(usize),
}

/// A run that the shell has replayed from its journal.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Everything that its recorded turns asked for.
    pub asked: Vec<Issued>,
    /// The number that follows the last event of the journal that was loaded.
    pub next: EventNo,
    /// The delivered events of that journal that have no turn yet.
    pub unturned: Vec<(EventNo, Timestamp, Event)>,
    /// What an operator should know: changed inputs that were let stand.
    pub warnings: Vec<Text>,
}

/// Why a run could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoadFailure {
    /// Its replay failed; that is recorded.
    Fault(Text),
    /// The cause is outside the code (a workflow that this binary lacks, an unreadable journal): looked at anew at each open.
    Outside(Text),
}

/// A delivered event, with its number and its time.
type Delivered = (EventNo, Timestamp, Event);

/// What the kernel holds until the log is durable.
#[derive(Debug)]
enum Owed {
    /// An attempt, whose order is made when it leaves: it may not be wanted any more by then.
    Attempt {
        run: RunNo,
        seq: Seq,
        attempt: Attempt,
    },
    Ask {
        run: RunNo,
        seq: Seq,
    },
    Stop {
        run: RunNo,
        seq: Seq,
        why: WhyStopped,
    },
    Answer(Caller, Answer),
}

/// All runs of one store that this process drives.
#[derive(Debug)]
pub struct Kernel {
    config: Config,
    tables: Tables,
    here: Here,
    calls: Calls,
    timers: Timers,
    recent: Recent,
    group: Group,
    group_bytes: usize,
    spares: Spares,
    work: Work,
    /// Events, most of them of groups before this one, whose turns follow in groups of their own.
    later: VecDeque<(RunNo, Delivered)>,
    groups: VecDeque<Group>,
    loads: VecDeque<RunNo>,
    held: Held,
    /// Empty between two facts: room.
    abreast: Vec<Abreast>,
    warnings: Vec<(RunNo, Text)>,
    /// What was warned of at the replay of an open run, so that each is told once.
    warned: BTreeSet<(RunNo, Text)>,
    draws: u64,
    draining: Option<Draining>,
}

/// A graceful shutdown is under way: no attempt begins any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Draining;

/// Who waits for a run's end.
#[derive(Debug, Clone, Copy)]
struct Watcher {
    caller: Caller,
    blocked: WhenBlocked,
}

/// What a caller who waits for a run's end wants to hear of a blocked run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenBlocked {
    /// Nothing: it goes on waiting.
    Wait,
    /// That it is blocked, and why.
    Tell,
}

/// The ends of the runs that ended last, so that asking for them costs no read.
#[derive(Debug, Default)]
struct Recent {
    ends: BTreeMap<RunNo, Box<RunEnded>>,
    order: VecDeque<RunNo>,
    bytes: usize,
}

impl Recent {
    /// How many bytes of results are kept at most.
    const BYTES_MAX: usize = 8 << 20;
    /// About what an end takes besides its result.
    const OVERHEAD: usize = 256;

    fn keep(&mut self, run: RunNo, ended: Box<RunEnded>) {
        self.bytes += ended.result.len() + Recent::OVERHEAD;
        self.ends.insert(run, ended);
        self.order.push_back(run);
        while self.bytes > Recent::BYTES_MAX {
            let Some(ended) = self.order.pop_front().and_then(|run| self.ends.remove(&run)) else { return };
            self.bytes -= ended.result.len() + Recent::OVERHEAD;
        }
    }

    fn get(&self, run: RunNo) -> Option<&RunEnded> {
        self.ends.get(&run).map(AsRef::as_ref)
    }
}

/// Room for groups that were written: most hold an event and its turn, and there is one for each step of each run.
#[derive(Debug, Default)]
struct Spares {
    sections: Vec<Vec<Section>>,
    events: Vec<Vec<Event>>,
}

impl Spares {
    /// So many of each are kept, ..
    const KEPT_MAX: usize = 64;
    /// .. and none that has room for more than this.
    const ROOM_MAX: usize = 8;

    fn events(&mut self) -> Vec<Event> {
        // Most often an event and its turn.
        self.events.pop().unwrap_or_else(|| Vec::with_capacity(2))
    }

    fn take(&mut self, group: Group) {
        let Group { mut sections } = group;
        for Section { mut events, .. } in sections.drain(..) {
            events.clear();
            keep(&mut self.events, events);
        }
        keep(&mut self.sections, sections);
    }
}

fn keep<T>(spares: &mut Vec<Vec<T>>, spare: Vec<T>) {
    if spares.len() < Spares::KEPT_MAX && (1..=Spares::ROOM_MAX).contains(&spare.capacity()) {
        spares.push(spare);
    }
}

/// Events that are about to be delivered, in one group with what set them in motion.
#[derive(Debug, Default)]
struct Work {
    events: VecDeque<(RunNo, Event)>,
    bytes: usize,
}

impl Work {
    fn push_back(&mut self, work: (RunNo, Event)) {
        self.bytes += work.1.bytes();
        self.events.push_back(work);
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn pop_front(&mut self) -> Option<(RunNo, Event)> {
        let work = self.events.pop_front()?;
        self.bytes -= work.1.bytes();
        Some(work)
    }
}

/// Effects that wait for the log.
#[derive(Debug, Default)]
struct Held {
    waiting: VecDeque<(Position, Owed)>,
    /// How many of those, at the end, belong to the group at hand.
    fresh: usize,
    sealed: Position,
    durable: Position,
}

impl Kernel {
    /// Takes over a store: `tables` as the log gave them, `clean` if the last process closed it. The first group says that
    /// the store was opened; runs that have something to do are asked for.
    #[must_use]
    pub fn open(config: Config, tables: Tables, clean: Stop, now: Now) -> Kernel {
        let (draws, attempts) = (config.seed, config.attempts);
        let mut kernel = Kernel {
            config,
            tables,
            here: Here::default(),
            calls: Calls::new(clean, attempts),
            timers: Timers::default(),
            recent: Recent::default(),
            group: Group::default(),
            group_bytes: 0,
            spares: Spares::default(),
            work: Work::default(),
            later: VecDeque::new(),
            groups: VecDeque::new(),
            loads: VecDeque::new(),
            held: Held::default(),
            abreast: Vec::new(),
            warnings: Vec::new(),
            warned: BTreeSet::new(),
            draws,
            draining: None,
        };
        kernel.tables.next_run = kernel.tables.next_run.max(RunNo(1));
        kernel.calls.remember(&kernel.tables);
        let opened = Event::Opened {
            build: kernel.config.build.clone(),
            pid: kernel.config.pid,
            host: kernel.config.host.clone(),
        };
        if kernel.config.role == Role::First {
            kernel.append_for_store(opened, now);
        }
        kernel.timers = Timers::of(kernel.armed(now), now);
        let runs: Vec<RunNo> = kernel.tables.open.keys().collect();
        for run in runs {
            kernel.take_up(run, now);
            kernel.seal_if_full();
        }
        kernel.seal();
        kernel
    }

    /// What is known of runs that are put away goes onto this shelf. Without one it stays in memory.
    pub fn put_up_on(&mut self, shelf: Box<dyn Shelf>) {
        self.tables.open.put_up_on(shelf);
    }

    /// The log is durable up to this group.
    pub fn handle_durable(&mut self, position: Position) {
        self.held.durable = self.held.durable.max(position);
    }

    /// The next group for the log, in order: the n-th one that is taken has position n.
    pub fn poll_group(&mut self) -> Option<Group> {
        self.groups.pop_front()
    }

    /// A group that was handed to the log, for the room that it takes.
    pub fn reuse(&mut self, group: Group) {
        self.spares.take(group);
    }

    /// The next run whose journal is wanted. Every group has to be handed to the log before.
    pub fn poll_load(&mut self) -> Option<RunNo> {
        if self.groups.is_empty() { self.loads.pop_front() } else { None }
    }

    /// The next effect whose reason is durable. It may leave a group behind: a stop frees a slot.
    pub fn poll_effect(&mut self, now: Now) -> Option<Effect> {
        while let Some(owed) = self.held.release() {
            match owed {
                Owed::Attempt { run, seq, attempt } => {
                    if let Some(order) = self.begin_attempt(run, seq, attempt, now) {
                        return Some(Effect::StartAttempt(order));
                    }
                }
                Owed::Stop { run, seq, why } => {
                    self.stopped(now);
                    return Some(Effect::StopAttempt { run, seq, why });
                }
                Owed::Ask { run, seq } => return Some(Effect::AskAttempt { run, seq }),
                Owed::Answer(caller, answer) => return Some(Effect::Answer(caller, answer)),
            }
        }
        None
    }

    /// When the monotonic clock has to be looked at again.
    #[must_use]
    pub fn poll_timeout(&self, now: Now) -> Option<Duration> {
        if self.later.is_empty() { self.timers.next(now) } else { Some(Duration::ZERO) }
    }

    /// The tables, for as long as a checkpoint of all kernels is made of them; nothing else may be asked meanwhile.
    pub fn lend_tables(&mut self) -> Tables {
        std::mem::take(&mut self.tables)
    }

    /// The tables are back.
    pub fn take_back(&mut self, tables: Tables) {
        self.tables = tables;
    }

    /// How many attempts wait for slots that this kernel does not have.
    #[must_use]
    pub fn slots_wanted(&self) -> usize {
        self.calls.wanted()
    }

    /// Whether an attempt that begins next finds a slot.
    #[must_use]
    pub fn has_slot(&self) -> bool {
        self.calls.has_room()
    }

    /// How many slots this kernel has.
    #[must_use]
    pub fn slots_held(&self) -> usize {
        self.calls.held()
    }

    /// So many more attempts may wait in flight.
    pub fn handle_slots(&mut self, more: usize, now: Now) {
        self.calls.take_slots(more);
        self.pass_slots_on(now);
        self.seal();
    }

    /// Nobody else wants slots: this kernel uses all that it has. Says whether it did not before.
    pub fn keep_slots(&mut self, now: Now) -> bool {
        let has_more = self.calls.keep_slots();
        if has_more {
            self.pass_slots_on(now);
            self.seal();
        }
        has_more
    }

    /// Others want slots. Gives up those that are free, where no attempt waits for one, and else those above `share`, as they come free. Gives how
    /// many.
    pub fn give_slots_up(&mut self, share: usize) -> usize {
        self.calls.give_slots_up(share)
    }

    /// Something that operators should know, once each.
    pub fn poll_warning(&mut self) -> Option<(RunNo, Text)> {
        self.warnings.pop()
    }

    /// The tables as they are with every group that was made so far.
    #[must_use]
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The position of the newest group.
    #[must_use]
    pub fn sealed(&self) -> Position {
        self.held.sealed
    }

    /// Whether a run is in memory.
    #[must_use]
    pub fn is_hot(&self, run: RunNo) -> bool {
        self.here.memory(run) == Memory::Hot
    }

    /// How many attempts are in flight.
    #[must_use]
    pub fn attempts_in_flight(&self) -> usize {
        self.calls.in_flight()
    }

    // The one way into the log, and the one way out into the world.

    fn append(&mut self, run: RunNo, event: Event, now: Now) -> EventNo {
        let no = self.tables.append(run, now.wall, &event);
        self.group_bytes += event.bytes();
        match self.group.sections.last_mut() {
            Some(section) if section.run == run => section.events.push(event),
            _ => {
                let mut events = self.spares.events();
                events.push(event);
                self.group.sections.push(Section::of(run, no, now.wall, events));
            }
        }
        no
    }

    fn append_end(&mut self, run: RunNo, ended: Box<RunEnded>, whose: Whose, now: Now) {
        self.append(run, Event::RunEnded(ended), now);
        self.group.sections.last_mut().expect("because it was just appended").ended = Some(Box::new(whose));
    }

    /// The event that was appended last.
    fn newest(&self) -> &Event {
        let section = self.group.sections.last();
        section.and_then(|section| section.events.last()).expect("because it was just appended")
    }

    fn append_for_store(&mut self, event: Event, now: Now) {
        self.group.sections.push(Section::of(RunNo(0), EventNo(0), now.wall, vec![event]));
    }

    /// Answers a caller when everything that was made so far is durable.
    pub fn answer(&mut self, caller: Caller, answer: Answer) {
        self.hold(Owed::Answer(caller, answer));
        self.seal_answers();
    }

    fn hold(&mut self, owed: Owed) {
        self.held.hold(owed);
    }

    /// Works off what the fact at hand set in motion, and closes its group.
    fn settle(&mut self, now: Now, turns: &mut dyn Turns) {
        self.work_off(now, turns);
        self.pass_slots_on(now);
        self.seal();
    }

    fn work_off(&mut self, now: Now, turns: &mut dyn Turns) {
        while let Some((run, event)) = self.work.pop_front() {
            self.deliver(run, event, now, turns);
        }
    }

    /// Gives the turns that were put off, each in a group of its own; those that are put off meanwhile come next time, so that a run
    /// whose children end at once does not keep the kernel for itself.
    fn catch_up(&mut self, now: Now, turns: &mut dyn Turns) {
        for _ in 0..self.later.len() {
            let Some((run, delivered)) = self.later.pop_front() else { return };
            // A run that was blocked and loaded meanwhile has had this turn.
            if self.awaits_turn(run, delivered.0) {
                self.turn(run, &delivered, now, turns);
                self.release_withheld(run);
                self.settle(now, turns);
            }
        }
    }

    /// Whether the group at hand, with what it is about to deliver, takes no further turn.
    fn is_full(&self) -> bool {
        self.group_bytes + self.work.bytes > TURNS_UP_TO_BYTES
    }

    /// Between facts that have nothing to do with each other: no number of them makes a group too large.
    fn seal_if_full(&mut self) {
        if self.is_full() {
            self.seal();
        }
    }

    fn seal(&mut self) {
        if !self.group.sections.is_empty() {
            let (group, _) = self.take_group();
            self.push(group);
        }
        self.seal_answers();
    }

    /// The fact at hand is over, and its answers belong to the newest group.
    fn seal_answers(&mut self) {
        self.held.seal();
        self.tables.open.forget();
    }

    /// The group at hand, and about how many bytes its events take.
    fn take_group(&mut self) -> (Group, usize) {
        let next = Group { sections: self.spares.sections.pop().unwrap_or_default() };
        (std::mem::replace(&mut self.group, next), std::mem::take(&mut self.group_bytes))
    }

    /// What is held at hand belongs to the group that follows.
    fn push(&mut self, group: Group) {
        self.groups.push_back(group);
        self.held.sealed = self.held.sealed.next();
    }

    fn draw(&mut self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
        self.draws = self.draws.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.draws ^ (self.draws >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl Kernel {
    fn draw_16(&mut self) -> [u8; 16] {
        (u128::from(self.draw()) << 64 | u128::from(self.draw())).to_le_bytes()
    }
}

/// How the process before this one stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It closed the store: nothing was in flight.
    Clean,
    /// It did not: whatever may have begun may have run.
    Unclean,
}

impl Held {
    /// The position of what belongs to the group at hand, which has none yet: never durable.
    const NOT_SEALED: Position = Position(u64::MAX);

    fn hold(&mut self, owed: Owed) {
        self.waiting.push_back((Held::NOT_SEALED, owed));
        self.fresh += 1;
    }

    /// Ties what the group at hand justifies to that group.
    fn seal(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        self.waiting.iter_mut().rev().take(fresh).for_each(|(position, _)| *position = self.sealed);
    }

    /// What was released is released next.
    fn put_back(&mut self, owed: Owed) {
        self.waiting.push_front((self.durable, owed));
    }

    fn release(&mut self) -> Option<Owed> {
        let (position, owed) = self.waiting.front()?;
        let is_early = planted!(31) && matches!(owed, Owed::Attempt { .. });
        if *position > self.durable && !is_early {
            return None;
        }
        self.waiting.pop_front().map(|(_, owed)| owed)
    }
}

/// A start, as a caller asks for it.
#[derive(Debug)]
pub struct Start {
    /// Who asks.
    pub caller: Caller,
    /// The run as it will be recorded.
    pub started: RunStarted,
    /// What another input means where the id is known.
    pub inputs: Inputs,
}

/// A signal, as a caller sends it.
#[derive(Debug)]
pub struct SendSignal {
    /// Who asks.
    pub caller: Caller,
    /// The run.
    pub run: RunNo,
    /// The signal's name.
    pub name: Text,
    /// Its value.
    pub payload: Payload,
    /// Who sent it.
    pub sender: Sender,
}
