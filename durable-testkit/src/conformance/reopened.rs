//! What the next open finds.

use durable::kernel::event::Group;
use durable::kernel::id::{Position, RunNo};
use durable::store::Journal;

use super::groups::{end, end_as, group, marked, signal, start, start_as};
use super::stage::{Stage, holds, same, violated};
use super::{Model, Wrong};

/// Runs that are open, closed and in between.
fn some_runs() -> Vec<Group> {
    let mut groups = vec![group([start(1), start_as(2, "space", "id")]), group([marked(1, 1, 0, 1)])];
    groups.extend((1..30).map(|no| group([signal(2, no, no, 500)])));
    groups.extend([group([start(3)]), group([end(3, 1, 3), signal(1, 3, 3, 0)]), group([start_as(4, "", "run-3")])]);
    groups
}

/// The store holds what was appended, in its tables as well.
fn is_all_there(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    let model = stage.model();
    same("the tables", &stage.opened.tables, model.tables())?;
    same("what is durable of this open", stage.store().durable(), Position(0))?;
    stage.journals_are_right()
}

pub(super) fn what_was_closed_comes_back(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append_all(some_runs())?;
    for open in 0..3 {
        stage.close_and_open()?;
        holds("a closed store is clean", stage.opened.is_clean)?;
        is_all_there(stage)?;
        stage.append(group([signal(2, 30 + open, open, 0)]))?;
    }
    Ok(())
}

pub(super) fn tables_are_the_fold_of_all_groups(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    for group in some_runs() {
        stage.append(group)?;
        stage.settle()?;
        stage.crash_and_open()?;
        is_all_there(stage)?;
    }
    Ok(())
}

pub(super) fn a_checkpoint_takes_no_position_and_changes_nothing(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    let groups = some_runs();
    for (number, group) in groups.into_iter().enumerate() {
        stage.append(group)?;
        if number % 5 == 2 {
            let model = stage.model();
            let taken = stage.store().checkpoint(&[model.tables()]);
            taken.map_err(|fault| violated("a checkpoint is appended", fault, "it is taken"))?;
            holds("another one is not wanted at once", !stage.store().wants_checkpoint())?;
        }
    }
    stage.settle()?;
    stage.journals_are_right()?;
    stage.crash_and_open()?;
    is_all_there(stage)?;
    stage.append(group([signal(4, 1, 1, 0)]))?;
    stage.settle()?;
    stage.crash_and_open()?;
    is_all_there(stage)
}

pub(super) fn what_is_durable_survives_a_crash(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    for group in some_runs() {
        let position = stage.append(group)?;
        // Of a store that says so at once it has to be true at once.
        stage.until(|store| store.durable() >= position);
        stage.crash_and_open()?;
        stage.journals_are_right()?;
    }
    stage.append(group([signal(2, 30, 1, 0)]))?;
    if stage.store().durable() < Position(1) {
        // What was not durable may be gone.
        stage.groups.pop();
    }
    stage.crash_and_open()?;
    let journal = stage.load(RunNo(2))?;
    holds("what was said to be durable at once", journal.starts_with(&stage.model().journal(RunNo(2))))
}

/// Groups that hold an event of each of two runs.
fn pairs() -> Vec<Group> {
    let mut groups = vec![group([start(1), start(2)])];
    groups.extend((1..40).map(|no| group([signal(1, no, no, 900), signal(2, no, no, 900)])));
    groups
}

fn journal_or_nothing(stage: &mut Stage<'_>, run: RunNo) -> Result<Journal, Wrong> {
    match stage.opened.tables.open.contains_key(&run) {
        true => stage.load(run),
        false => Ok(Journal::new()),
    }
}

pub(super) fn a_crash_leaves_whole_groups_in_order(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    for (number, group) in pairs().into_iter().enumerate() {
        stage.append(group)?;
        if number == 20 {
            stage.settle()?;
        }
    }
    let durable = stage.store().durable();
    stage.crash_and_open()?;
    let (one, two) = (journal_or_nothing(stage, RunNo(1))?, journal_or_nothing(stage, RunNo(2))?);
    let least = usize::try_from(durable.0).unwrap_or(usize::MAX);
    holds("what was durable is there", one.len() >= least)?;
    let kept: Vec<Group> = stage.groups.iter().take(one.len()).cloned().collect();
    let model = Model::of(&kept);
    same("the journal of run 1", one, model.journal(RunNo(1)))?;
    same("the journal of run 2, of whole groups", two, model.journal(RunNo(2)))?;
    same("the tables", &stage.opened.tables, model.tables())
}

pub(super) fn a_crash_is_no_close(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    stage.settle()?;
    stage.crash_and_open()?;
    holds("a crashed store is not clean", !stage.opened.is_clean)?;
    stage.close_and_open()?;
    holds("a closed store is clean", stage.opened.is_clean)?;
    stage.append(group([signal(1, 1, 1, 0)]))?;
    stage.settle()?;
    stage.crash_and_open()?;
    holds("a crashed store is not clean, however it was closed before", !stage.opened.is_clean)
}

pub(super) fn closed_runs_are_found_by_the_next_open(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    for run in 1..30 {
        let id = format!("id-{}", run % 7);
        stage.append(group([start_as(run, "", &id)]))?;
        stage.append(group([end_as(run, 1, run, "", &id)]))?;
        if run == 15 {
            stage.close_and_open()?;
        }
    }
    stage.settle()?;
    stage.crash_and_open()?;
    for id in (0..7).map(|id| format!("id-{id}")) {
        holds(&format!("`{id}` may be closed"), stage.store().may_be_closed(&"".into(), &id.as_str().into()))?;
        let expected = stage.model().closed("", &id);
        same(&format!("the closed run `{id}`"), stage.find("", &id)?, expected)?;
    }
    Ok(())
}
