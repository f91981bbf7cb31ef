//! A store that is wrong in one way, for each check one: the check has to find it.

use std::future::{pending, ready};
use std::sync::{Arc, Mutex};

use durable::kernel::event::{Group, Text};
use durable::kernel::id::{Position, RunNo, Timestamp};
use durable::kernel::tables::Tables;
use durable::store::{ClosedRun, Journal, Later, Listener, Store, StoreFault};
use durable_testkit::conformance::{Backend, Model, Opened, check_all, checks, try_check};

use super::backends::{Crash, LogOnSim};

/// The log on a simulated disk, spoiled in the way that the check of this name is for.
struct Broken {
    inner: LogOnSim,
    defect: &'static str,
    opens: u32,
}

impl Broken {
    fn new(defect: &'static str) -> Broken {
        Broken { inner: LogOnSim::new(Crash::PowerCut), defect, opens: 0 }
    }
}

impl Backend for Broken {
    fn open(&mut self, listener: Listener) -> Result<Opened, String> {
        let is_deaf = self.defect == "the_listener_is_called_when_more_is_durable";
        let opened = self.inner.open(if is_deaf { Arc::new(|| {}) } else { listener })?;
        self.opens += 1;
        let (defect, is_first) = (self.defect, self.opens == 1);
        let tables = match defect {
            "tables_are_the_fold_of_all_groups" => Tables::default(),
            _ => opened.tables,
        };
        let is_clean = match defect {
            "what_was_closed_comes_back" => false,
            "a_crash_is_no_close" => true,
            _ => opened.is_clean,
        };
        let store = BrokenStore { inner: opened.store, defect, is_first, kept: Mutex::default() };
        Ok(Opened { store: Arc::new(store), tables, is_clean })
    }

    fn drive(&mut self) -> bool {
        self.inner.drive()
    }

    fn keeps(&self) -> bool {
        true
    }

    fn crash(&mut self) {
        self.inner.crash();
    }

    fn break_disk(&mut self) -> bool {
        self.inner.break_disk()
    }

    fn mend_disk(&mut self) {
        self.inner.mend_disk();
    }

    fn fill_disk(&mut self) -> bool {
        self.inner.fill_disk()
    }

    fn free_disk(&mut self) {
        self.inner.free_disk();
    }

    fn group_bytes_max(&self) -> Option<usize> {
        self.inner.group_bytes_max()
    }
}

#[derive(Debug)]
struct BrokenStore {
    inner: Arc<dyn Store>,
    defect: &'static str,
    is_first: bool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    appended: u64,
    loads: u64,
    looks: u64,
    model: Model,
    first_found: Option<ClosedRun>,
}

impl BrokenStore {
    fn is(&self, defects: &[&str]) -> bool {
        defects.contains(&self.defect)
    }

    /// What is given to the store inside, of a group that is the `number`-th.
    fn forward(&self, group: &Group, number: u64) -> Result<Position, StoreFault> {
        match self.defect {
            "a_failure_takes_nothing_that_was_durable" if number > 1 && self.is_first => Ok(Position(number)),
            "a_crash_leaves_whole_groups_in_order" if number > 10 => {
                self.inner.append(&Group { sections: group.sections[..1].to_vec() })
            }
            "what_the_opener_tells_of_itself_is_in_no_journal" if group.sections.iter().any(|s| s.run == RunNo(0)) => {
                Err(StoreFault("there is no run 0".into()))
            }
            "positions_count_groups" => {
                self.inner.append(group).map(|position| Position(position.0 + group.sections.len() as u64 - 1))
            }
            _ => self.inner.append(group),
        }
    }

    /// What comes of a group that is refused.
    fn refused(&self, group: &Group, fault: StoreFault) -> Result<Position, StoreFault> {
        let next = Position(self.kept.lock().unwrap().appended + 1);
        match self.defect {
            "a_group_that_leaves_a_gap_is_refused_as_a_whole"
            | "after_a_close_nothing_is_taken"
            | "after_a_stop_nothing_is_taken" => Ok(next),
            "a_group_over_the_limit_is_refused_before_anything_is_taken" => {
                let _taken = self.inner.append(&Group { sections: group.sections[..1].to_vec() });
                Err(fault)
            }
            _ => Err(fault),
        }
    }
}

impl Store for BrokenStore {
    fn append(&self, group: &Group) -> Result<Position, StoreFault> {
        let number = self.kept.lock().unwrap().appended + 1;
        match self.forward(group, number) {
            Ok(position) => {
                let mut kept = self.kept.lock().unwrap();
                kept.appended = number;
                if self.is_first {
                    kept.model.take(group);
                }
                Ok(position)
            }
            Err(fault) => self.refused(group, fault),
        }
    }

    fn durable(&self) -> Position {
        let mut kept = self.kept.lock().unwrap();
        kept.looks += 1;
        let durable = self.inner.durable();
        match self.defect {
            "a_new_store_is_empty" => durable.max(Position(1)),
            "what_is_appended_becomes_durable_in_order" if kept.looks % 5 == 4 => Position(0),
            "what_is_durable_survives_a_crash" => Position(kept.appended),
            "a_failure_takes_nothing_that_was_durable" if self.is_first => Position(kept.appended),
            _ => durable,
        }
    }

    fn queued_bytes(&self) -> usize {
        match self.defect {
            "queued_bytes_are_those_that_are_not_durable" => 0,
            _ => self.inner.queued_bytes(),
        }
    }

    fn accepts_work(&self) -> bool {
        self.is(&["a_full_store_takes_no_new_work_until_there_is_space"]) || self.inner.accepts_work()
    }

    fn failure(&self) -> Option<StoreFault> {
        self.inner.failure().filter(|_| !self.is(&["a_failure_is_final_and_told"]))
    }

    fn load(&self, run: RunNo) -> Later<Journal> {
        let defect = self.defect;
        let mut kept = self.kept.lock().unwrap();
        kept.loads += 1;
        let (later, is_seventh) = (self.inner.load(run), kept.loads.is_multiple_of(7));
        Box::pin(async move {
            let mut journal = match later.await {
                Err(_) if defect == "a_run_that_is_not_there_has_no_journal" => Journal::new(),
                journal => journal?,
            };
            match defect {
                "a_journal_is_as_it_was_appended" => journal.iter_mut().for_each(|(_, at, _)| *at = Timestamp(0)),
                "a_load_has_everything_that_was_appended_before_it" => drop(journal.pop()),
                "loads_side_by_side_give_the_same" if is_seventh => journal.clear(),
                _ => {}
            }
            Ok(journal)
        })
    }

    fn may_be_closed(&self, namespace: &Text, id: &Text) -> bool {
        !self.is(&["a_run_that_may_be_closed_is_never_ruled_out"]) && self.inner.may_be_closed(namespace, id)
    }

    fn find_closed(&self, namespace: &Text, id: &Text) -> Later<Option<ClosedRun>> {
        let kept = self.kept.lock().unwrap();
        let is_durable = self.inner.durable().0 >= kept.appended;
        match self.defect {
            "the_newest_closed_run_of_an_id_is_found" if kept.first_found.is_some() => {
                return Box::pin(ready(Ok(kept.first_found.clone())));
            }
            "a_search_has_everything_that_was_appended_before_it" if !is_durable => return Box::pin(ready(Ok(None))),
            "a_search_tells_of_nothing_that_is_not_durable" => {
                return Box::pin(ready(Ok(kept.model.closed(namespace.as_str(), id.as_str()))));
            }
            "what_is_open_or_elsewhere_or_unknown_is_not_found" => return self.inner.find_closed(&"here".into(), id),
            "closed_runs_are_found_by_the_next_open" if !self.is_first => return Box::pin(ready(Ok(None))),
            "who_waits_is_told_of_a_failure" => return Box::pin(pending()),
            _ => {}
        }
        drop(kept);
        if self.is(&["the_newest_closed_run_of_an_id_is_found"]) {
            let mut kept = self.kept.lock().unwrap();
            kept.first_found = kept.model.closed(namespace.as_str(), id.as_str());
        }
        self.inner.find_closed(namespace, id)
    }

    fn wants_checkpoint(&self) -> bool {
        self.inner.wants_checkpoint()
    }

    fn checkpoint(&self, tables: &[&Tables]) -> Result<(), StoreFault> {
        if self.is(&["a_checkpoint_takes_no_position_and_changes_nothing"]) {
            self.inner.append(&Group { sections: Vec::new() })?;
        }
        self.inner.checkpoint(tables)
    }

    fn idle(&self) {
        if self.is(&["an_idle_call_changes_nothing"]) {
            let _taken = self.inner.append(&Group { sections: Vec::new() });
        }
        self.inner.idle();
    }

    fn close(&self) -> Later<()> {
        match self.defect {
            "a_close_writes_what_is_queued" => self.inner.stop(),
            _ => self.inner.close(),
        }
    }

    fn stop(&self) -> Later<()> {
        match self.defect {
            "a_stop_is_a_crash_that_frees_the_store" => Box::pin(ready(Ok(()))),
            _ => self.inner.stop(),
        }
    }
}

#[test]
fn each_check_finds_the_defect_that_it_is_for() {
    let mut missed = Vec::new();
    for check in checks() {
        match try_check(check.name, || Broken::new(check.name)) {
            Ok(outcome) => missed.push(format!("{}: {outcome:?}", check.name)),
            Err(failure) => {
                let text = failure.to_string();
                assert!(text.contains(check.name) && text.contains("seen:") && text.contains("expected:"), "{text}");
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

#[test]
fn without_a_defect_nothing_is_found() {
    check_all(|| Broken::new("none"));
}

#[test]
#[should_panic(expected = "`positions_count_groups` does not hold: the position of a group")]
fn a_check_that_fails_names_itself() {
    durable_testkit::conformance::check("positions_count_groups", || Broken::new("positions_count_groups"));
}
