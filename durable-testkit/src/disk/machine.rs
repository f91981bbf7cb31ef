//! The machine: takes operations in, does them at once or when told to, lets them fail and processes die by plan, and
//! wakes who waits. It holds the only state that is not plain data: the operations in flight and the wakers.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use durable::seams::Task;
use durable::store::disk::File;

use super::Snapshot;
use super::crash::{Keep, survive};
use super::digest::Digest;
use super::fault::{AfterFailedSync, Fault, Unfair, errno};
use super::moment::Moment;
use super::op::{Answer, Ending, Op, OpKind, Request, TraceLine, Unfinished};
use super::process::{Process, ProcessId, Status};
use super::question::Questions;
use super::state::State;
use crate::rng::Rng;

/// When operations are done.
#[derive(Debug)]
pub(super) enum Completion {
    /// As they are submitted.
    Immediate,
    /// When told to, as they were submitted.
    InOrder,
    /// When told to, in the order that the stream says.
    Scheduled(Rng),
}

/// Where the answer to an operation in flight is put.
#[derive(Debug, Default)]
pub(super) struct Slot {
    answer: Option<io::Result<Answer>>,
    waker: Option<Waker>,
}

/// The submitter's and the machine's share of an operation in flight.
pub(super) type Ticket = Arc<Mutex<Slot>>;

/// Waits for the answer; for ever, if the machine has dropped its share.
pub(super) fn poll_ticket(ticket: &Ticket, context: &Context<'_>) -> Poll<io::Result<Answer>> {
    let mut slot = ticket.lock().unwrap_or_else(PoisonError::into_inner);
    match slot.answer.take() {
        Some(answer) => Poll::Ready(answer),
        None => {
            slot.waker = Some(context.waker().clone());
            Poll::Pending
        }
    }
}

#[derive(Debug)]
struct InFlight {
    process: ProcessId,
    request: Request,
    ticket: Ticket,
}

/// What became of an operation that was submitted.
pub(super) enum Submission {
    Done(io::Result<Answer>),
    Waiting(Ticket),
    Never,
}

pub(super) struct Machine {
    pub(super) state: State,
    pub(super) completion: Completion,
    in_flight: Vec<InFlight>,
    mourners: BTreeMap<ProcessId, Vec<Waker>>,
    pub(super) to_wake: Vec<Waker>,
    pub(super) slow: Option<Slow>,
    pub(super) strikes: Option<Strikes>,
    pub(super) watcher: Option<Watcher>,
    pub(super) questions: Option<Questions>,
    /// What all operations were, their bytes with them, since somebody wanted to know.
    pub(super) told: Option<Digest>,
}

/// How a delay passes.
pub(super) type Slow = Arc<dyn Fn(Duration) -> Task + Send + Sync>;

/// Who is told that a planned fault, or the want of space, hit an operation.
pub(super) type Strikes = Arc<dyn Fn() + Send + Sync>;

/// Who is shown every operation that is about to be done.
pub(super) struct Watcher(pub(super) Box<dyn FnMut(Moment) + Send>);

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watcher")
    }
}

impl Machine {
    pub(super) fn new(completion: Completion) -> Self {
        let mut state = State::new();
        state.processes.insert(ProcessId::OWN, Arc::new(Process::new()));
        let (mourners, to_wake) = (BTreeMap::new(), Vec::new());
        Self {
            state,
            completion,
            in_flight: Vec::new(),
            mourners,
            to_wake,
            slow: None,
            strikes: None,
            watcher: None,
            questions: None,
            told: None,
        }
    }

    pub(super) fn process(&mut self, process: ProcessId) -> &mut Process {
        Arc::make_mut(self.state.processes.entry(process).or_insert_with(|| Arc::new(Process::dead())))
    }

    fn status(&self, process: ProcessId) -> Status {
        self.state.processes.get(&process).map_or(Status::Dead, |process| process.status)
    }

    /// What an operation that is asked for now has to wait for before it begins.
    pub(super) fn delay(&mut self, process: ProcessId, kind: OpKind) -> Option<Task> {
        let slow = self.slow.clone()?;
        self.process(process).delay(kind).map(|delay| slow(delay))
    }

    pub(super) fn submit(&mut self, process: ProcessId, request: Request) -> Submission {
        match (self.status(process), &self.completion) {
            (Status::Dead, _) => Submission::Never,
            (Status::Running, Completion::Immediate) => match self.execute(process, &request) {
                Some(answer) => Submission::Done(answer),
                None => Submission::Never,
            },
            (Status::Stopped, _) | (Status::Running, Completion::InOrder | Completion::Scheduled(_)) => {
                let ticket = Ticket::default();
                self.in_flight.push(InFlight { process, request, ticket: Arc::clone(&ticket) });
                Submission::Waiting(ticket)
            }
        }
    }

    /// Does one operation, or lets it fail, or lets its process die in it (`None`).
    fn execute(&mut self, id: ProcessId, request: &Request) -> Option<io::Result<Answer>> {
        let process = self.process(id);
        let (number, of_kind) = process.count(request.op.kind());
        let plan = process.crash;
        if let Some((_, unfinished)) = plan.filter(|(after, _)| number > *after) {
            self.leave_unfinished(id, request, unfinished);
            self.crash(id, Unfinished::NotDone);
            return None;
        }
        let fault = process.fault(request.op.kind(), number, of_kind);
        self.told = self.told.map(|told| request.digest(&self.state, id, told));
        self.show(id, request);
        if let Some(questions) = &mut self.questions {
            questions.note(&self.state, id, &request.op);
        }
        let name = self.name_of(id, &request.op);
        let is_hit = fault.as_ref().is_some_and(|fault| is_felt(fault, request));
        let answer = self.perform(id, request, fault);
        let is_full = |error: &io::Error| error.raw_os_error() == Some(errno::ENOSPC);
        if is_hit || answer.as_ref().is_err_and(is_full) {
            self.strikes.iter().for_each(|strikes| strikes());
        }
        self.note(id, &request.op, name, || {
            answer.as_ref().map_or_else(|e| Ending::Failed(e.kind()), |_| Ending::Done)
        });
        if plan == Some((number, Unfinished::NotDone)) {
            self.crash(id, Unfinished::NotDone);
        }
        Some(answer)
    }

    fn perform(&mut self, id: ProcessId, request: &Request, fault: Option<Fault>) -> io::Result<Answer> {
        let Request { op, bytes } = request;
        match (fault, op) {
            (Some(Fault::Errno(number)), _) => Err(io::Error::from_raw_os_error(number)),
            (Some(Fault::Kind(kind)), _) => Err(io::Error::from(kind)),
            (Some(Fault::ShortWrite(most)), Op::Write { .. }) => {
                self.state.perform(id, op, &bytes[..most.min(bytes.len())])
            }
            (Some(Fault::SyncFails { errno, leaves, reached }), Op::SyncData { file }) => {
                self.give_up(id, *file, leaves, &reached)?;
                Err(io::Error::from_raw_os_error(errno))
            }
            (Some(Fault::Unfair(unfair)), _) => self.perform_unfairly(id, request, unfair),
            (None | Some(Fault::ShortWrite(_) | Fault::SyncFails { .. } | Fault::Slow(_)), _) => {
                self.state.perform(id, op, bytes)
            }
        }
    }

    /// A sync of the file failed: what was pending for it is given up.
    fn give_up(&mut self, id: ProcessId, file: File, leaves: AfterFailedSync, reached: &Keep) -> io::Result<()> {
        let ino = self.state.file(id, file)?.ino;
        let State { durable, pending, seen, lies, personality, overwrites, .. } = &mut self.state;
        let of_file = pending.iter().filter(|pending| pending.data_of() == Some(ino)).map(|pending| &**pending);
        survive(durable, of_file, reached, (*personality, *overwrites));
        pending.retain(|pending| pending.data_of() != Some(ino));
        match leaves {
            AfterFailedSync::OldContent => seen.share(ino, durable),
            AfterFailedSync::NewContent => drop(lies.insert(ino)),
        }
        Ok(())
    }

    fn perform_unfairly(&mut self, id: ProcessId, request: &Request, unfair: Unfair) -> io::Result<Answer> {
        let Request { op, bytes } = request;
        match (unfair, op) {
            (Unfair::LyingSync, Op::SyncData { .. }) => Ok(Answer::Nothing),
            (Unfair::SilentSync(leaves), Op::SyncData { file }) => {
                self.give_up(id, *file, leaves, &Keep::Nothing).map(|()| Answer::Nothing)
            }
            (Unfair::PhantomWrite, Op::Write { .. }) => Ok(Answer::Written(bytes.len())),
            (Unfair::MisdirectedWrite(offset), Op::Write { file, len, .. }) => {
                self.state.perform(id, &Op::Write { file: *file, offset, len: *len }, bytes)
            }
            (Unfair::StaleRead, Op::Read { file, offset, len }) => {
                let ino = self.state.file(id, *file)?.ino;
                Ok(Answer::Bytes(self.state.durable.file(ino).map(|old| old.read(*offset, *len)).unwrap_or_default()))
            }
            _ => self.state.perform(id, op, bytes),
        }
    }

    fn name_of(&self, id: ProcessId, op: &Op) -> Option<Arc<str>> {
        self.state.trace.as_ref()?;
        let open = op.file().and_then(|file| self.state.file(id, file).ok());
        open.map(|open| Arc::clone(&open.name))
    }

    fn note(&mut self, process: ProcessId, op: &Op, name: Option<Arc<str>>, ending: impl FnOnce() -> Ending) {
        self.state.performed += 1;
        let number = self.state.performed;
        if let Some(trace) = &mut self.state.trace {
            let name = name.as_deref().unwrap_or_default().to_owned();
            trace.push(Arc::new(TraceLine { number, process, op: op.clone(), name, ending: ending() }));
        }
    }

    fn show(&mut self, process: ProcessId, request: &Request) {
        if let Some(Watcher(watcher)) = self.watcher.as_mut().filter(|_| request.op.kind().is_change()) {
            let all = self.in_flight.iter();
            let beside =
                all.fold(Digest::new(), |digest, other| other.request.digest(&self.state, other.process, digest));
            let (before, beside) = (Snapshot(self.state.clone()), beside.finish());
            watcher(Moment { before, process, request: Arc::new(request.clone()), beside });
        }
    }

    /// The process dies in this operation: done as the choice says, and nobody is told.
    pub(super) fn leave_unfinished(&mut self, id: ProcessId, request: &Request, unfinished: Unfinished) {
        let name = self.name_of(id, &request.op);
        let (op, bytes) = (&request.op, &request.bytes[..]);
        // Whether it would have failed is of no interest: its process never learns it.
        let _unseen = match (unfinished, op) {
            (Unfinished::NotDone, _) => None,
            (Unfinished::Part(part), Op::Write { .. }) => {
                Some(self.state.perform(id, op, &bytes[..part.min(bytes.len())]))
            }
            (Unfinished::Done | Unfinished::Part(_), _) => Some(self.state.perform(id, op, bytes)),
            (Unfinished::Half(seed), Op::Write { .. }) => {
                let part = Rng::new(seed).index(bytes.len() + 1);
                Some(self.state.perform(id, op, &bytes[..part]))
            }
            (Unfinished::Half(seed), _) => Rng::new(seed).percent(50).then(|| self.state.perform(id, op, bytes)),
        };
        self.note(id, op, name, || Ending::Died(unfinished));
    }

    /// The process dies now. What it has in flight is done as the choice says, its files close, its locks are freed.
    pub(super) fn crash(&mut self, id: ProcessId, in_flight: Unfinished) {
        if self.status(id) == Status::Dead {
            return;
        }
        let its: Vec<InFlight> = self.in_flight.extract_if(.., |other| other.process == id).collect();
        for (number, operation) in its.iter().enumerate() {
            let unfinished = match in_flight {
                Unfinished::Half(seed) => drawn(Rng::new(seed.wrapping_add(number as u64)).split()),
                whole => whole,
            };
            self.leave_unfinished(id, &operation.request, unfinished);
        }
        self.bury(id);
    }

    fn bury(&mut self, id: ProcessId) {
        let process = self.process(id);
        let files = std::mem::take(&mut process.files);
        process.dirs.clear();
        process.status = Status::Dead;
        self.state.locks.retain(|_, holder| !files.contains_key(holder));
        self.to_wake.extend(self.mourners.remove(&id).unwrap_or_default());
    }

    /// Ready when the process is dead.
    pub(super) fn poll_death(&mut self, id: ProcessId, context: &Context<'_>) -> Poll<()> {
        if self.status(id) == Status::Dead {
            return Poll::Ready(());
        }
        self.mourners.entry(id).or_default().push(context.waker().clone());
        Poll::Pending
    }

    /// Does one of the operations in flight; false if there is none that may go on.
    pub(super) fn step(&mut self) -> bool {
        let may_go_on = |operation: &InFlight, state: &State| {
            state.processes.get(&operation.process).is_some_and(|process| process.status == Status::Running)
        };
        let ready: Vec<usize> =
            (0..self.in_flight.len()).filter(|number| may_go_on(&self.in_flight[*number], &self.state)).collect();
        let next = match &mut self.completion {
            _ if ready.is_empty() => return false,
            Completion::Immediate | Completion::InOrder => ready[0],
            Completion::Scheduled(rng) => ready[rng.index(ready.len())],
        };
        let InFlight { process, request, ticket } = self.in_flight.remove(next);
        if let Some(answer) = self.execute(process, &request) {
            let mut slot = ticket.lock().unwrap_or_else(PoisonError::into_inner);
            slot.answer = Some(answer);
            self.to_wake.extend(slot.waker.take());
        }
        true
    }

    /// Whether a process's death is of interest to anybody.
    pub(super) fn is_watched(&self) -> bool {
        !self.in_flight.is_empty() || !self.mourners.is_empty()
    }

    /// How many operations of a process were submitted and are not done.
    pub(super) fn in_flight_of(&self, process: ProcessId) -> usize {
        self.in_flight.iter().filter(|operation| operation.process == process).count()
    }

    /// How many operations were submitted and are not done.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Lets a stopped process go on.
    pub(super) fn resume(&mut self, id: ProcessId) {
        let process = self.process(id);
        if process.status == Status::Stopped {
            process.status = Status::Running;
        }
        while matches!(self.completion, Completion::Immediate) && self.step() {}
    }

    /// Goes back to an earlier state. What is in flight is dropped and never completes.
    pub(super) fn restore(&mut self, state: State) {
        self.in_flight.clear();
        self.state = state;
        for (_, wakers) in std::mem::take(&mut self.mourners) {
            self.to_wake.extend(wakers);
        }
    }
}

fn drawn(mut rng: Rng) -> Unfinished {
    match rng.index(3) {
        0 => Unfinished::NotDone,
        1 => Unfinished::Done,
        _ => Unfinished::Half(rng.next_u64()),
    }
}

/// Whether a planned fault changes what becomes of the operation that it hits.
fn is_felt(fault: &Fault, request: &Request) -> bool {
    match fault {
        Fault::Errno(_) | Fault::Kind(_) | Fault::Unfair(_) => true,
        Fault::ShortWrite(most) => matches!(request.op, Op::Write { .. }) && *most < request.bytes.len(),
        Fault::SyncFails { .. } => matches!(request.op, Op::SyncData { .. }),
        Fault::Slow(_) => false,
    }
}
