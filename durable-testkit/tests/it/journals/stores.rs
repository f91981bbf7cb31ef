//! A reader of a store gives every run's journal, open or ended, by workflow id and by identity; and every journal of the golden store
//! is exported, comes back, and replays.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use durable::journal::{Journal, RunJournal};
use durable::kernel::event::Event;
use durable::kernel::id::EventNo;
use durable::replay::{EndCheck, NotReplayed, Replay, Residence};
use durable::{LookupError, ReadOnly, RunId, Runtime, Status};
use durable_testkit::{SimDisk, replay};
use futures::FutureExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::format::scenario::{DIR, IDS, Keeps, Stage, registry};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format/golden")
}

/// The scenario's store, on a disk whose operations are done at once.
fn lived() -> SimDisk {
    let mut stage = Stage::new(0, Keeps::Nothing);
    stage.live().unwrap();
    let disk = SimDisk::new();
    disk.restore(&stage.disk.snapshot());
    disk
}

fn reader(disk: &SimDisk) -> ReadOnly {
    now(ReadOnly::on(Arc::new(disk.process()), DIR)).unwrap()
}

/// Of a disk that answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("because the disk answers at once")
}

/// Every file of the store.
fn files(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let names = disk.file_names(DIR).unwrap().into_iter();
    names.map(|name| (name.clone(), disk.read_file(format!("{DIR}/{name}")).unwrap())).collect()
}

fn all_journals(store: &ReadOnly) -> Vec<Journal> {
    let mut journals = Vec::new();
    for run in now(store.all_runs()).unwrap() {
        journals.push(now(store.journal_of(run.run)).unwrap());
    }
    journals
}

#[test]
fn every_run_of_a_store_is_listed_and_its_journal_is_had_both_ways() {
    let disk = lived();
    let before = files(&disk);
    let store = reader(&disk);
    let runs = now(store.all_runs()).unwrap();
    let ids: BTreeSet<(&str, &str)> = runs.iter().map(|run| (run.namespace.as_str(), run.id.as_str())).collect();
    let known: BTreeSet<(&str, &str)> = IDS.iter().copied().filter(|(_, id)| *id != "visitor").collect();
    assert_eq!(ids, known);
    assert!(runs.is_sorted_by_key(|run| run.started));
    let open = store.runs();
    assert!(!open.is_empty() && open.len() < runs.len());
    for run in &runs {
        let journal = now(store.journal_of(run.run)).unwrap();
        assert_eq!(now(store.journal(&run.namespace, &run.id)).unwrap(), journal, "{}", run.id);
        assert_eq!(journal.len() as u64, run.events, "{}", run.id);
        let journal = RunJournal::new(journal).unwrap();
        assert_eq!(journal.status(), run.status, "{}", run.id);
        assert_eq!((journal.started().run, journal.ended().is_some()), (run.run, run.ended.is_some()));
    }
    assert_eq!(files(&disk), before, "a reader writes nothing");
    let nobody = now(store.journal_of(RunId([9; 16])));
    assert_eq!(nobody, Err(LookupError::NotFound { id: RunId([9; 16]).to_string() }));
}

#[test]
fn what_is_whole_of_a_damaged_store_is_listed_and_exported() {
    let disk = lived();
    let whole = reader(&disk);
    let journals = all_journals(&whole);
    let name = format!("{DIR}/0000000000000002.seg");
    let mut bytes = disk.read_file(&name).unwrap();
    let middle = 4096 + bytes[4096..].iter().position(|byte| *byte == 0x2a).unwrap();
    bytes[middle] ^= 1;
    disk.write_file(&name, &bytes).unwrap();

    let store = reader(&disk);
    assert!(!store.damage().is_empty());
    let mut served = 0;
    for run in now(store.all_runs()).unwrap() {
        // What cannot be had whole is an error, never a shorter journal.
        let Ok(journal) = now(store.journal_of(run.run)) else { continue };
        assert!(journals.contains(&journal), "{}", run.id);
        served += 1;
        if run.status.is_closed() {
            assert_eq!(now(store.journal(&run.namespace, &run.id)).unwrap(), journal);
        }
    }
    assert!(served > 5 && served < journals.len(), "{served} of {}", journals.len());
}

#[test]
fn the_journals_of_the_golden_store_are_exported_come_back_and_replay() {
    let store = now(Runtime::open_read_only(golden())).unwrap();
    let (plain, put_away) = (Replay::of(registry()), Replay::of(registry()).residence(Residence::PutAwayAtEveryAwait));
    let journals = all_journals(&store);
    assert_eq!(journals.len(), IDS.len() - 1);
    let (mut ends, mut turns) = (BTreeSet::new(), 0);
    for events in journals {
        let journal = RunJournal::new(events).unwrap();
        assert_eq!(journal.to_string().parse::<RunJournal>().unwrap(), journal);
        let replayed = plain.journal(journal.events()).unwrap();
        assert_eq!((replayed.matched, replayed.events), (replayed.events, journal.events().len() as u64));
        assert_eq!(put_away.journal(journal.events()).unwrap(), replayed);
        turns += replayed.turns;
        ends.insert(format!("{:?}", replayed.end));
    }
    assert_eq!(ends, [EndCheck::Alike, EndCheck::FromOutside, EndCheck::Open].map(|end| format!("{end:?}")).into());
    assert!(turns > 80, "{turns}");
}

#[test]
fn the_golden_store_is_a_replay_test() {
    let report = replay(registry()).store(golden()).times(2).report();
    assert!(report.holds(), "{report}");
    let blocked = report.journals.iter().find(|journal| journal.id == "brittle-still").unwrap();
    assert!(blocked.holds(), "what blocked it was a fault of another build");
    assert_eq!(
        report.to_string(),
        format!(
            "{} journals, {1} of {1} events matched, 16 workflows, each replayed 2 times",
            IDS.len() - 1,
            report.events()
        )
    );
}

#[test]
fn a_closed_run_is_described_with_its_events() {
    let store = now(Runtime::open_read_only(golden())).unwrap();
    let runs = now(store.all_runs()).unwrap();
    let terminated = runs.iter().find(|run| run.id == "holds-no-more").unwrap();
    assert_eq!(terminated.status, Status::Terminated);
    assert!(terminated.events > 10 && terminated.ended.is_some());
}

/// What somebody who puts a file together by hand may do to a journal.
#[derive(Debug, Clone)]
enum Edit {
    Drop(Index),
    Repeat(Index),
    Swap(Index, Index),
    /// Puts in an event of any of the golden journals.
    Put(Index, Index),
    TurnOf(Index, u64),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        any::<Index>().prop_map(Edit::Drop),
        any::<Index>().prop_map(Edit::Repeat),
        any::<(Index, Index)>().prop_map(|(one, other)| Edit::Swap(one, other)),
        any::<(Index, Index)>().prop_map(|(at, event)| Edit::Put(at, event)),
        (any::<Index>(), 0..12_u64).prop_map(|(at, of)| Edit::TurnOf(at, of)),
    ];
    vec(edit, 1..4)
}

/// The journal with these edits behind its start, its events numbered anew.
fn edited(mut events: Journal, edits: &[Edit]) -> Journal {
    for edit in edits {
        let len = events.len();
        let at = |index: &Index| if len < 2 { 0 } else { 1 + index.index(len - 1) };
        match edit {
            Edit::Drop(index) if events.len() > 1 => drop(events.remove(at(index))),
            Edit::Repeat(index) => events.insert(at(index), events[at(index)].clone()),
            Edit::Swap(one, other) => events.swap(at(one), at(other)),
            Edit::Put(index, event) => {
                let others: Vec<_> = golden_journals().iter().flatten().collect();
                events.insert(at(index), event.get(&others).to_owned().clone());
            }
            Edit::TurnOf(index, no) => {
                let turn = at(index);
                if let Event::Turn { of, .. } = &mut events[turn].2 {
                    *of = EventNo(*no);
                }
            }
            Edit::Drop(_) => {}
        }
    }
    events.iter_mut().zip(0..).for_each(|((no, _, _), number)| *no = EventNo(number));
    events
}

fn golden_journals() -> &'static [Journal] {
    static JOURNALS: OnceLock<Vec<Journal>> = OnceLock::new();
    JOURNALS.get_or_init(|| all_journals(&now(Runtime::open_read_only(golden())).unwrap()))
}

proptest! {
    #[test]
    fn a_journal_that_was_put_together_by_hand_replays_or_not_and_never_panics(which in any::<Index>(), edits in edits()) {
        let journals = golden_journals();
        let journal = edited(journals[which.index(journals.len())].clone(), &edits);
        for residence in [Residence::Stay, Residence::PutAwayAtEveryAwait] {
            let replayed = Replay::of(registry()).residence(residence).journal(&journal);
            if let Err(NotReplayed::Diverged(divergence)) = replayed {
                prop_assert!(divergence.matched < divergence.events);
            }
        }
    }
}
