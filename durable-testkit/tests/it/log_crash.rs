//! The log under crashes: a process that dies at every operation of a scenario, with and without a power cut, a recovery that
//! dies too, and syncs that fail. What was acknowledged is there afterwards, what survives is a prefix of what was appended,
//! and an open that was told of it makes it last. The scenario is longer than those that the explorer takes apart.

use durable::kernel::event::Group;
use durable::kernel::id::Position;
use durable::kernel::tables::Tables;
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
