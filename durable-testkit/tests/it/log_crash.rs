//! The log under crashes: a process that dies at every operation of a scenario, with and without a power cut, a recovery that
//! dies too, syncs that fail, and several processes that take the store from each other. What was acknowledged is there
//! afterwards, what survives is a prefix of what was appended, and an open that was told of it makes it last.

use std::sync::{Arc, Mutex};

use durable::kernel::event::Group;
use durable::kernel::id::Position;
use durable::kernel::tables::Tables;
use durable::seams::Spawn;
use durable::store::log::{Log, OpenError, open};
use durable_testkit::{AfterFailedSync, Fault, Keep, OpKind, Rng, SimDisk, Unfinished, When, errno};

use crate::log_fixture::*;

/// What the scenario appends: group `n` holds the number `n`, from 1. Run 2 ends on the way.
fn groups() -> Vec<Group> {
    let mut groups = vec![group([start(1), signal(1, 1, 1, 0)]), group([start(2), signal(2, 1, 2, 700)])];
    groups.extend((3..9).map(|n| group([signal(1, n - 1, n, 900)])));
    groups.push(group([end(2, 2, 9)]));
    groups.extend((10..24).map(|n| group([signal(1, n - 2, n, if n % 3 == 0 { 2_000 } else { 300 })])));
    groups
}

/// How far a process came in the scenario.
struct Came {
    /// How many groups it appended.
    appended: u64,
    /// How many of them were acknowledged.
    acknowledged: u64,
}

/// Opens the store and appends everything, in batches of one and more, with a checkpoint and empty frames between.
fn play(process: Process) -> Came {
    let Some(Ok(node)) = process.try_open() else { return Came { appended: 0, acknowledged: 0 } };
    let mut tables = Tables::default();
    let mut positions = Vec::new();
    for (index, group) in groups().iter().enumerate() {
        let Ok(position) = node.log.append(group, at(1_000)) else { break };
        positions.push(position);
        for section in &group.sections {
            for (event, no) in section.events.iter().zip(section.first.0..) {
                tables.apply(section.run, durable::kernel::id::EventNo(no), section.at, event).unwrap();
            }
        }
        if index % 4 != 1 {
            node.run_until_idle();
        }
        if index == 12 {
            let _dead_or_not = node.log.checkpoint(&tables);
        }
        if index % 7 == 0 {
            node.log.idle();
        }
    }
    node.run_until_idle();
    let durable = node.acknowledged();
    let acknowledged = positions.iter().filter(|position| **position <= durable).count() as u64;
    if !node.process.sim.is_dead() {
        node.die();
    }
    Came { appended: positions.len() as u64, acknowledged }
}

/// Opens what is left, and says how many groups survived; they are the first ones.
fn survivors(disk: &SimDisk, came: &Came, context: &str) -> u64 {
    let node = match Process::new(disk).try_open().expect("it lives") {
        Ok(node) => node,
        Err(error) => panic!("{context}: {error}\n{}", trace(disk)),
    };
    let numbers = node.all_numbers(&[2]);
    let count = numbers.len() as u64;
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{context}: not a prefix\n{}", trace(disk));
    assert!(
        (came.acknowledged..=came.appended).contains(&count),
        "{context}: {count} of {} acknowledged, {} appended\n{}",
        came.acknowledged,
        came.appended,
        trace(disk)
    );
    node.run_until_idle();
    node.die();
    count
}

fn trace(disk: &SimDisk) -> String {
    disk.trace().iter().map(|line| format!("{line}\n")).collect()
}

/// How many operations the scenario has without a crash, and that it is what it should be.
fn operations() -> u64 {
    let disk = SimDisk::new();
    let process = Process::new(&disk);
    let sim = process.sim.clone();
    let came = play(process);
    assert_eq!((came.appended, came.acknowledged), (23, 23));
    assert!(segments(&disk).len() >= 3, "it rolls");
    assert_eq!(survivors(&disk, &came, "no crash"), 23);
    sim.performed()
}

fn power_cuts(seed: u64) -> [Option<Keep>; 3] {
    [None, Some(Keep::Nothing), Some(Keep::Seed(seed))]
}

#[test]
fn acknowledged_groups_survive_a_crash_at_every_operation() {
    let mut rng = Rng::new(11);
    for after in 0..operations() {
        for unfinished in [Unfinished::NotDone, Unfinished::Done, Unfinished::Half(rng.next_u64())] {
            let disk = SimDisk::new();
            let process = Process::new(&disk);
            process.sim.crash_after(after, unfinished);
            let came = play(process);
            let crashed = disk.snapshot();
            for cut in power_cuts(rng.next_u64()) {
                let context = format!("crash after {after} ({unfinished:?}), {cut:?}");
                let disk = SimDisk::from_snapshot(&crashed);
                if let Some(keep) = &cut {
                    disk.power_cut(keep);
                }
                crash_in_recovery(&disk, &came, &mut rng, &context);
                let seen = survivors(&disk, &came, &context);
                // What an open has told of is there for ever, also without a clean end.
                disk.power_cut(&Keep::Nothing);
                assert_eq!(survivors(&disk, &came, &context), seen, "{context}: a second open finds the same");
            }
        }
    }
}

/// The recovery dies at some operation, the power goes, and another recovery finds all that was acknowledged.
fn crash_in_recovery(disk: &SimDisk, came: &Came, rng: &mut Rng, context: &str) {
    let disk = SimDisk::from_snapshot(&disk.snapshot());
    for depth in 0..2 {
        let process = Process::new(&disk);
        let after = rng.index(45) as u64;
        process.sim.crash_after(after, Unfinished::Half(rng.next_u64()));
        let sim = process.sim.clone();
        if let Some(Ok(node)) = process.try_open() {
            node.run_until_idle();
            node.die();
        }
        sim.crash(Unfinished::NotDone);
        let keep = Keep::Seed(rng.next_u64());
        disk.power_cut(&keep);
        survivors(&disk, came, &format!("{context}, recovery {depth} dies after {after}, {keep:?}"));
    }
}

#[test]
fn acknowledged_groups_survive_a_failed_sync_and_what_follows() {
    let syncs = {
        let disk = SimDisk::new();
        let process = Process::new(&disk);
        play(process);
        disk.trace().iter().filter(|line| line.op.kind() == OpKind::SyncData).count() as u64
    };
    let mut rng = Rng::new(12);
    for nth in 1..=syncs {
        for leaves in [AfterFailedSync::NewContent, AfterFailedSync::OldContent] {
            let disk = SimDisk::new();
            let process = Process::new(&disk);
            let reached = Keep::Seed(rng.next_u64());
            process
                .sim
                .fail(When::Kind(OpKind::SyncData, nth), Fault::SyncFails { errno: errno::EIO, leaves, reached });
            let came = play(process);
            let context = format!("sync {nth} fails, {leaves:?}");
            let seen = survivors(&disk, &came, &context);
            let node = Node::open(&disk);
            node.write([group([start(900), signal(900, 1, 900, 0)])]);
            assert_eq!(node.acknowledged(), Position(1), "{context}");
            disk.power_cut(&Keep::Seed(rng.next_u64()));
            let node = Node::open(&disk);
            assert_eq!(node.numbers(900), [900], "{context}");
            assert_eq!(node.all_numbers(&[2]).len() as u64, seen + 1, "{context}");
        }
    }
}

#[test]
fn a_failure_at_any_operation_loses_nothing_that_was_acknowledged() {
    let mut rng = Rng::new(13);
    for number in 1..operations() {
        for errno in [errno::EIO, errno::ENOSPC] {
            let disk = SimDisk::new();
            let process = Process::new(&disk);
            process.sim.fail(When::Operation(number), Fault::Errno(errno));
            let came = play(process);
            let context = format!("operation {number} fails with {errno}");
            disk.power_cut(&Keep::Seed(rng.next_u64()));
            survivors(&disk, &came, &context);
        }
    }
}

/// One of several processes that have, had or want the store.
struct Contender {
    process: Process,
    number: u64,
    opened: Arc<Mutex<Option<Result<Log, OpenError>>>>,
    reports: Arc<Mutex<Vec<durable::store::log::Report>>>,
    appended: u64,
}

impl Contender {
    fn new(disk: &SimDisk, number: u64) -> Contender {
        let process = LocksLockFile::process(disk);
        let opened = Arc::new(Mutex::new(None));
        let reports = Arc::default();
        let opening = open(Arc::clone(&process.disk), process.seams(), options(&reports));
        let (slot, spawn) = (Arc::clone(&opened), process.spawn.clone());
        process.spawn.task(Box::pin(async move {
            let log = opening.await.map(|(log, writer, _)| {
                spawn.blocking("writer", Box::pin(writer.run()));
                log
            });
            *slot.lock().unwrap() = Some(log);
        }));
        Contender { process, number, opened, reports, appended: 0 }
    }

    fn append(&mut self) {
        if let Some(Ok(log)) = &*self.opened.lock().unwrap() {
            let run = self.number * 1_000 + self.appended + 1;
            if log.append(&group([start(run), signal(run, 1, run, 400)]), at(0)).is_ok() {
                self.appended += 1;
            }
        }
    }

    fn acknowledged(&self) -> Vec<u64> {
        let reports = self.reports.lock().unwrap();
        let durable = reports.iter().filter_map(|report| match report {
            durable::store::log::Report::Durable(position) => Some(position.0),
            _ => None,
        });
        let newest = durable.max().unwrap_or(0);
        (1..=newest).map(|position| self.number * 1_000 + position).collect()
    }
}

#[test]
fn several_processes_on_one_store_lose_nothing_that_any_of_them_acknowledged() {
    let mut opened = 0;
    // The same seeds every time, or those from `DURABLE_SEED` on.
    let from = std::env::var("DURABLE_SEED").ok().map_or(0, |text| text.parse::<u32>().expect("a number as the seed"));
    for seed in (u64::from(from)..).take(400) {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::scheduled(seed);
        disk.write_file(path("FORMAT"), durable::codec::format_file::encode(STORE).as_bytes()).unwrap();
        let mut contenders = vec![Contender::new(&disk, 1)];
        for _ in 0..1_500 {
            let one = rng.index(contenders.len());
            match rng.index(40) {
                0..4 => contenders[one].append(),
                4 => contenders[one].process.sim.stop(),
                5 => contenders[one].process.sim.resume(),
                6 if contenders.len() < 4 && rng.percent(20) => {
                    let _there_or_not = disk.remove_file(path("LOCK"));
                    contenders.push(Contender::new(&disk, contenders.len() as u64 + 1));
                }
                7 if rng.percent(2) => contenders[one].process.sim.crash(Unfinished::Half(seed)),
                _ => {
                    contenders[one].process.spawn.run_until_idle();
                    disk.step();
                }
            }
        }
        let acknowledged: Vec<u64> = contenders.iter().flat_map(Contender::acknowledged).collect();
        opened += contenders.iter().filter(|one| matches!(*one.opened.lock().unwrap(), Some(Ok(_)))).count();
        let context = format!("seed {seed}");
        for keep in [Keep::Nothing, Keep::Everything, Keep::Seed(seed)] {
            let disk = SimDisk::from_snapshot(&disk.snapshot());
            disk.power_cut(&keep);
            let numbers = all_numbers_after(&disk, &context);
            for number in &acknowledged {
                assert!(numbers.contains(number), "{context}, {keep:?}: {number} is lost\n{}", trace(&disk));
            }
            for contender in &contenders {
                let its: Vec<_> = numbers.iter().filter(|number| **number / 1_000 == contender.number).collect();
                assert!(its.iter().zip(1..).all(|(number, n)| **number % 1_000 == n), "{context}: {its:?}");
            }
        }
    }
    assert!(opened > 500, "of 400 stores {opened} opens succeeded: the test tests little");
}

fn all_numbers_after(disk: &SimDisk, context: &str) -> Vec<u64> {
    let process = Process::new(disk);
    let reports = Arc::default();
    let opening = open(Arc::clone(&process.disk), process.seams(), options(&reports));
    let opened = process.spawn.run(opening, || disk.step()).expect("it ends");
    let (log, _writer, recovered) = opened.unwrap_or_else(|error| panic!("{context}: {error}\n{}", trace(disk)));
    let mut numbers = Vec::new();
    for run in recovered.tables.open.keys() {
        let journal = process.spawn.run(log.load(*run), || disk.step()).expect("it ends").expect("it loads");
        numbers.extend(journal.iter().filter_map(|(_, _, event)| number_in(event)));
    }
    numbers
}
