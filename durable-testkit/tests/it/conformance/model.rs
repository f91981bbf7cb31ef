//! The log and the store in memory are given the same calls in any order, and give the same answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use durable::kernel::event::{Group, Text};
use durable::kernel::id::RunNo;
use durable::store::plain::PlainStore;
use durable::store::{Later, Store, StoreFault};
use durable_testkit::conformance::{Backend, Model, Opened, end_as, group, marked, signal, start_as};
use futures::FutureExt;
use proptest::prelude::*;

use super::backends::{Crash, LogOnSim};

/// Something that is done to both.
#[derive(Debug, Clone)]
enum Step {
    /// A run starts under one of a few ids.
    Start { id: u8 },
    /// One of the open runs receives a signal, or two, or takes a turn.
    Go { which: prop::sample::Index, what: u8, bytes: usize },
    /// Two runs go on in one group.
    Both { one: prop::sample::Index, other: prop::sample::Index },
    /// One of the open runs ends.
    End { which: prop::sample::Index },
    /// An event of a run that is not its next one.
    Gap { which: prop::sample::Index, by: u64 },
    /// The store works until it waits.
    Drive,
    /// A run's journal is asked for.
    Load { which: prop::sample::Index },
    /// A closed run is looked for.
    Find { id: u8 },
    /// A checkpoint.
    Checkpoint,
    /// Nothing was appended for a while.
    Idle,
    /// The store is closed and opened.
    Close,
    /// Everything becomes durable, then the process dies.
    Crash,
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..4u8).prop_map(|id| Step::Start { id }),
        6 => (which(), 0..3u8, 0..3_000usize).prop_map(|(which, what, bytes)| Step::Go { which, what, bytes }),
        2 => (which(), which()).prop_map(|(one, other)| Step::Both { one, other }),
        2 => which().prop_map(|which| Step::End { which }),
        1 => (which(), 1..3u64).prop_map(|(which, by)| Step::Gap { which, by }),
        3 => Just(Step::Drive),
        2 => which().prop_map(|which| Step::Load { which }),
        2 => (0..5u8).prop_map(|id| Step::Find { id }),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Idle),
        1 => Just(Step::Close),
        1 => Just(Step::Crash),
    ]
}

/// Both stores, and what they were given.
struct Pair {
    backend: LogOnSim,
    log: Opened,
    plain: PlainStore,
    model: Model,
    /// The next event of each open run.
    next: BTreeMap<u64, u64>,
    runs: u64,
}

fn id(number: u8) -> Text {
    format!("id-{number}").as_str().into()
}

fn now<T>(later: Later<T>) -> Result<T, StoreFault> {
    later.now_or_never().expect("because a store in memory answers at once")
}

impl Pair {
    fn new() -> Pair {
        let mut backend = LogOnSim::new(Crash::PowerCut);
        let log = backend.open(Arc::new(|| {})).unwrap();
        let plain = PlainStore::new(Arc::new(|| {}));
        Pair { backend, log, plain, model: Model::default(), next: BTreeMap::new(), runs: 0 }
    }

    /// The answer of the log, which works until then.
    fn ask<T>(&mut self, later: Later<T>) -> Result<T, StoreFault> {
        self.backend.drive();
        later.now_or_never().expect("because it waits for nothing else")
    }

    fn pick(&self, which: prop::sample::Index) -> Option<(u64, u64)> {
        let runs: Vec<_> = self.next.iter().map(|(run, next)| (*run, *next)).collect();
        (!runs.is_empty()).then(|| *which.get(&runs))
    }

    fn append(&mut self, group: &Group) {
        let (log, plain) = (self.log.store.append(group), self.plain.append(group));
        assert_eq!(log.is_ok(), plain.is_ok(), "{log:?} and {plain:?}");
        if log.is_ok() {
            self.model.take(group);
            for section in &group.sections {
                self.next.insert(section.run.0, section.first.0 + section.events.len() as u64);
            }
        }
    }

    fn settle(&mut self) {
        self.backend.drive();
        assert_eq!(self.log.store.queued_bytes(), 0);
    }

    fn open_again(&mut self) {
        self.backend.crash();
        self.log = self.backend.open(Arc::new(|| {})).unwrap();
        assert_eq!(&self.log.tables, self.model.tables());
    }

    fn go(&mut self, which: prop::sample::Index, what: u8, bytes: usize) {
        let Some((run, no)) = self.pick(which) else { return };
        let seq = u32::try_from(no).unwrap() * 2;
        self.append(&match what {
            0 => group([signal(run, no, no, bytes)]),
            1 => group([signal(run, no, no, bytes), signal(run, no + 1, no, bytes)]),
            _ => group([marked(run, no, 0, seq)]),
        });
    }

    fn both(&mut self, one: prop::sample::Index, other: prop::sample::Index) {
        let (Some((one, no)), Some((other, at))) = (self.pick(one), self.pick(other)) else { return };
        // The same run twice is refused by both.
        self.append(&group([signal(one, no, 1, 0), signal(other, at, 2, 0)]));
    }

    fn load(&mut self, which: prop::sample::Index) {
        let Some((run, _)) = self.pick(which) else { return };
        let later = self.log.store.load(RunNo(run));
        let journal = self.ask(later).unwrap();
        assert_eq!(journal, now(self.plain.load(RunNo(run))).unwrap());
        assert_eq!(journal, self.model.journal(RunNo(run)));
    }

    fn find(&mut self, number: u8) {
        let (namespace, id) = (Text::default(), id(number));
        if self.plain.may_be_closed(&namespace, &id) {
            assert!(self.log.store.may_be_closed(&namespace, &id));
        }
        let later = self.log.store.find_closed(&namespace, &id);
        let found = self.ask(later).unwrap();
        assert_eq!(found, now(self.plain.find_closed(&namespace, &id)).unwrap());
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Start { id: number } => {
                // A kernel never has two open runs of one id.
                if self.model.tables().run_of(&Text::default(), &id(number)).is_some() {
                    return;
                }
                self.runs += 1;
                self.append(&group([start_as(self.runs, "", id(number).as_str())]));
            }
            Step::Go { which, what, bytes } => self.go(which, what, bytes),
            Step::Both { one, other } => self.both(one, other),
            Step::End { which } => {
                let Some((run, no)) = self.pick(which) else { return };
                let id = self.model.tables().open[&RunNo(run)].id.clone();
                self.append(&group([end_as(run, no, run, "", id.as_str())]));
                self.next.remove(&run);
            }
            Step::Gap { which, by } => {
                let Some((run, no)) = self.pick(which) else { return };
                self.append(&group([signal(run, no + by, 0, 0)]));
            }
            Step::Drive => self.settle(),
            Step::Load { which } => self.load(which),
            Step::Find { id } => self.find(id),
            Step::Checkpoint => self.log.store.checkpoint(&[self.model.tables()]).unwrap(),
            Step::Idle => self.log.store.idle(),
            Step::Close => {
                let later = self.log.store.close();
                self.ask(later).unwrap();
                self.open_again();
                assert!(self.log.is_clean);
            }
            Step::Crash => {
                self.settle();
                self.open_again();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_log_and_the_store_in_memory_give_the_same_answers(steps in prop::collection::vec(step(), 0..60)) {
        let mut pair = Pair::new();
        steps.iter().for_each(|step| pair.take(step));
        pair.settle();
        for run in pair.next.keys().copied().collect::<Vec<_>>() {
            let later = pair.log.store.load(RunNo(run));
            let journal = pair.ask(later).unwrap();
            prop_assert_eq!(&journal, &pair.plain.journal(RunNo(run)).unwrap());
        }
        (0..5).for_each(|id| pair.find(id));
    }
}
