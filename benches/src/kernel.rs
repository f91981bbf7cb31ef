//! The kernel by itself: runs whose code asks for one thing after the other, without a future, a payload codec, a log or a clock. What is
//! counted here is the kernel, its machines and its tables, and a few lines of this file.

use std::collections::BTreeMap;
use std::panic::Location;
use std::time::Duration;

use durable::kernel::command::{CallActivity, Command, Inputs, Place};
use durable::kernel::engine::{
    AttemptReport, Caller, Config, Effect, Kernel, Now, Numbers, Residence, Role, Start, Stop, TurnEnd, Turns,
};
use durable::kernel::event::{Event, RunStarted, UndoBits};
use durable::kernel::id::{Digest, EventNo, Position, RunNo, Timestamp};
use durable::kernel::machine::{Machine, TurnDone};
use durable::kernel::options::{ActivityOptions, CallOptions};
use durable::kernel::scope::Within;
use durable::kernel::tables::Tables;

use crate::codec::AT;

/// What the runs ask for, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Activities, with 100 bytes of input and of result.
    Activities,
    /// Timers: the first of a run as far away as the run's number says, each further one so much later.
    Timers(Duration),
}

/// See the head of the file.
#[derive(Debug)]
pub struct Alone {
    kernel: Kernel,
    code: Code,
    now: Now,
    taken: Position,
}

impl Alone {
    /// So many runs, each waiting for the first thing that it asked for.
    #[must_use]
    pub fn new(runs: u64, asks: Asks) -> Alone {
        let config = Config {
            build: "b".into(),
            pid: 1,
            host: "h".into(),
            attempts: 1_000,
            numbers: Numbers::default(),
            role: Role::First,
            residence: Residence::Stay,
            seed: 7,
        };
        let now = Now { wall: AT, monotonic: Duration::ZERO };
        let kernel = Kernel::open(config, Tables::default(), Stop::Clean, now);
        let mut alone = Alone { kernel, code: Code::new(asks), now, taken: Position::default() };
        (0..runs).for_each(|run| alone.start(run));
        alone.take_groups();
        alone
    }

    fn start(&mut self, number: u64) {
        let started = RunStarted {
            id: format!("run-{number}").into(),
            workflow: "loops".into(),
            input: vec![0; 100].into(),
            ..RunStarted::default()
        };
        let start = Start { caller: Caller(number), started, inputs: Inputs::Checked };
        self.kernel.handle_start(start, self.now, &mut self.code);
    }

    /// Lets the log, which is not there, have all groups, and be durable.
    fn take_groups(&mut self) {
        while let Some(group) = self.kernel.poll_group() {
            self.kernel.reuse(group);
            self.taken = self.taken.next();
        }
        self.kernel.handle_durable(self.taken);
    }

    /// One step: the next attempt that may begin, its report, the turn that it causes.
    ///
    /// # Panics
    /// When no attempt may begin.
    pub fn step(&mut self) {
        loop {
            match self.kernel.poll_effect(self.now) {
                Some(Effect::StartAttempt(order)) => {
                    let report = AttemptReport::Completed(vec![b'x'; 100].into());
                    let (run, seq, attempt) = (order.run, order.seq, order.attempt);
                    self.kernel.handle_attempt(run, seq, attempt, report, self.now, &mut self.code);
                    return self.take_groups();
                }
                Some(_) => {}
                None => panic!("no attempt may begin: the runs ask for something else"),
            }
        }
    }

    /// Lets time pass until the next timer is due, and fires what is due then; gives how many timers that were.
    ///
    /// # Panics
    /// When no timer is armed.
    pub fn fire(&mut self) -> u64 {
        let due = self.kernel.poll_timeout(self.now).expect("because each run waits for a timer");
        let passed = due.saturating_sub(self.now.monotonic);
        self.now = Now { wall: self.now.wall.after(passed), monotonic: self.now.monotonic + passed };
        let before = self.taken.0;
        self.kernel.handle_timeout(self.now, &mut self.code);
        self.take_groups();
        self.taken.0 - before
    }
}

/// The code of all runs.
#[derive(Debug)]
struct Code {
    asks: Asks,
    machines: BTreeMap<RunNo, Machine>,
    rooms: Vec<TurnDone>,
}

impl Code {
    fn new(asks: Asks) -> Code {
        Code { asks, machines: BTreeMap::new(), rooms: Vec::new() }
    }

    fn command(&self, run: RunNo, event: &Event, at: Timestamp) -> Command {
        match (self.asks, event) {
            (Asks::Activities, _) => Command::CallActivity(Box::new(call())),
            (Asks::Timers(_), Event::RunStarted(_)) => {
                Command::StartTimer { due: at.after(Duration::from_micros(run.0)) }
            }
            (Asks::Timers(span), _) => Command::StartTimer { due: at.after(span) },
        }
    }
}

impl Turns for Code {
    fn turn(&mut self, run: RunNo, no: EventNo, at: Timestamp, event: &Event) -> TurnEnd {
        let next = self.command(run, event, at);
        if let Event::RunStarted(started) = event {
            self.machines.insert(run, Machine::new(started, "b".into()));
        }
        let machine = self.machines.get_mut(&run).expect("because a run is started before anything else");
        machine.deliver(no, at, event, None, self.rooms.pop().unwrap_or_default());
        if let Some(granted) = machine.grant() {
            machine.observe(granted).expect("because it was granted");
            machine.settle_grant();
        }
        let seq = machine.take_seq();
        machine.issue(seq, next, Within::default(), Place(Location::caller()));
        TurnEnd::Quiet(machine.end_turn().expect("because nothing is replayed"))
    }

    fn take_room(&mut self, mut room: TurnDone) {
        room.clear();
        self.rooms.push(room);
    }

    fn put_away(&mut self, run: RunNo) {
        self.machines.remove(&run);
    }

    fn ended(&mut self, run: RunNo) {
        self.machines.remove(&run);
    }
}

const OPTIONS: ActivityOptions = ActivityOptions::DEFAULT.start_to_close(Duration::from_secs(30));

fn call() -> CallActivity {
    CallActivity {
        name: "echo".into(),
        input: Some(vec![b'x'; 100].into()),
        value: Digest(0x2827_2625_2423_2221),
        shape: Digest(0x3837_3635_3433_3231),
        options: CallOptions::Defined(&OPTIONS),
        undo: UndoBits::default(),
        undoes: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_one_group_of_the_log() {
        let mut alone = Alone::new(3, Asks::Activities);
        let before = alone.taken.0;
        (0..10).for_each(|_| alone.step());
        assert_eq!(alone.taken.0 - before, 10);
    }

    #[test]
    fn timers_fire_one_by_one_and_are_armed_again() {
        let mut alone = Alone::new(3, Asks::Timers(Duration::from_secs(1)));
        let fired: u64 = (0..9).map(|_| alone.fire()).sum();
        assert_eq!(fired, 9);
    }
}
