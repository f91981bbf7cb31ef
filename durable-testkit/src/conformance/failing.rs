//! A store whose disk fails, or is full.

use durable::kernel::id::RunNo;

use super::Wrong;
use super::groups::{group, signal, start};
use super::stage::{Stage, holds, same, violated};

/// So many groups, at most, until a full disk is noticed.
const GROUPS_UNTIL_FULL: u64 = 5_000;

fn begin(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    stage.append(group([signal(1, 1, 1, 0)]))?;
    stage.settle()
}

fn break_disk(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    if stage.backend.break_disk() { Ok(()) } else { Err(Wrong::LeftOut("the store's disk cannot be broken")) }
}

pub(super) fn a_failure_is_final_and_told(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    begin(stage)?;
    let (durable, rings) = (stage.store().durable(), stage.rings());
    break_disk(stage)?;
    stage.append(group([signal(1, 2, 2, 0)]))?;
    holds("it has failed", stage.until(|store| store.failure().is_some()))?;
    holds("the listener was called", stage.rings() > rings)?;
    let failure = stage.store().failure();
    stage.backend.mend_disk();
    stage.backend.drive();
    holds("nothing is taken", stage.store().append(&group([signal(1, 3, 3, 0)])).is_err())?;
    holds("no new work is taken", !stage.store().accepts_work())?;
    stage.backend.drive();
    same("what is durable", stage.store().durable(), durable)?;
    same("the failure, later", stage.store().failure(), failure)?;
    let later = stage.store().close();
    holds("a close is an error", stage.answer(later)?.is_err())
}

pub(super) fn a_failure_takes_nothing_that_was_durable(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    begin(stage)?;
    let durable = stage.groups.len();
    break_disk(stage)?;
    stage.append(group([signal(1, 2, 2, 0)]))?;
    stage.until(|store| store.failure().is_some());
    stage.backend.mend_disk();
    stage.crash_and_open()?;
    let journal = stage.load(RunNo(1))?;
    let (least, most) = (durable, stage.groups.len());
    holds("what was durable is there, and nothing else", (least..=most).contains(&journal.len()))?;
    holds("the journal is as it was appended", stage.model().journal(RunNo(1)).starts_with(&journal))?;
    let next = journal.len() as u64;
    stage.groups.truncate(journal.len());
    stage.append(group([signal(1, next, next, 0)]))?;
    stage.settle()?;
    stage.journals_are_right()
}

pub(super) fn who_waits_is_told_of_a_failure(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    begin(stage)?;
    break_disk(stage)?;
    stage.append(group([signal(1, 2, 2, 0), super::end(1, 3, 3)]))?;
    let search = stage.store().find_closed(&"".into(), &"run-1".into());
    let close = stage.store().close();
    // Each answer comes, whichever it is; what is told of a run has to be durable.
    let found = stage.answer(search)?;
    if let Ok(Some(closed)) = found {
        return Err(violated("the end of a run that never became durable", closed.run, "an error"));
    }
    holds("a close that writes nothing is an error", stage.answer(close)?.is_err())?;
    let load = stage.store().load(RunNo(1));
    // It may be known still, or not; but it is no shorter.
    let model = stage.model();
    match stage.answer(load)? {
        Ok(journal) => same("the journal of a store that has failed", journal, model.journal(RunNo(1))),
        Err(_) => Ok(()),
    }
}

pub(super) fn a_full_store_takes_no_new_work_until_there_is_space(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    begin(stage)?;
    if !stage.backend.fill_disk() {
        return Err(Wrong::LeftOut("the store's disk cannot be filled"));
    }
    let mut no = 2;
    while stage.store().accepts_work() && no < GROUPS_UNTIL_FULL {
        stage.append(group([signal(1, no, no, 900)]))?;
        stage.backend.drive();
        no += 1;
    }
    holds("no new work is taken", !stage.store().accepts_work())?;
    same("the failure", stage.store().failure(), None)?;
    // What runs may go on, and waits.
    stage.append(group([signal(1, no, no, 900)]))?;
    let rings = stage.rings();
    stage.backend.free_disk();
    stage.settle()?;
    holds("new work is taken again", stage.until(|store| store.accepts_work()))?;
    holds("the listener was called", stage.rings() > rings)?;
    stage.journals_are_right()
}
