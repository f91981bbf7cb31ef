//! How a store is let go.

use durable::kernel::event::Group;
use durable::kernel::id::RunNo;

use super::groups::{group, signal, start};
use super::stage::{Stage, holds, same, violated};
use super::{Model, Wrong};

fn queue_some(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    stage.append_all((1..50).map(|no| group([signal(1, no, no, 900)])))
}

pub(super) fn a_close_writes_what_is_queued(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    queue_some(stage)?;
    let later = stage.store().close();
    stage.answer(later)?.map_err(|fault| violated("the store is closed", fault, "it closes"))?;
    same("what is durable", stage.store().durable().0, stage.groups.len() as u64)?;
    stage.crash_and_open()?;
    stage.journals_are_right()
}

fn takes_nothing(stage: &Stage<'_>) -> Result<(), Wrong> {
    let taken = stage.store().append(&group([signal(1, 50, 50, 0)]));
    holds("a group is refused", taken.is_err())?;
    let model = Model::of(&stage.groups);
    holds("a checkpoint is refused", stage.store().checkpoint(&[model.tables()]).is_err())?;
    holds("new work is refused", !stage.store().accepts_work())
}

pub(super) fn after_a_close_nothing_is_taken(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    queue_some(stage)?;
    let later = stage.store().close();
    takes_nothing(stage)?;
    stage.answer(later)?.map_err(|fault| violated("the store is closed", fault, "it closes"))?;
    takes_nothing(stage)
}

pub(super) fn after_a_stop_nothing_is_taken(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    queue_some(stage)?;
    let later = stage.store().stop();
    takes_nothing(stage)?;
    stage.answer(later)?.map_err(|fault| violated("the store is stopped", fault, "it stops"))?;
    takes_nothing(stage)
}

pub(super) fn a_stop_is_a_crash_that_frees_the_store(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    queue_some(stage)?;
    stage.settle()?;
    let durable = stage.groups.len();
    stage.append_all((50..60).map(|no| group([signal(1, no, no, 900)])))?;
    let later = stage.store().stop();
    stage.answer(later)?.map_err(|fault| violated("the store is stopped", fault, "it stops"))?;
    // No process died: what opens it now may be this very one.
    let first = stage.opened.clone();
    stage.open_again()?;
    holds("a stopped store is not clean", !stage.opened.is_clean)?;
    let journal = stage.load(RunNo(1))?;
    holds("what was durable is there", journal.len() >= durable)?;
    let kept: Vec<Group> = stage.groups.iter().take(journal.len()).cloned().collect();
    same("the journal", journal, Model::of(&kept).journal(RunNo(1)))?;
    drop(first);
    Ok(())
}
