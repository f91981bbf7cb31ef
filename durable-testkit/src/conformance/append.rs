//! What goes in: positions, what becomes durable, limits, and what is refused.

use durable::kernel::event::Group;
use durable::kernel::id::{Position, RunNo};
use durable::kernel::tables::Tables;

use super::Wrong;
use super::groups::{end, group, marked, of_the_opener, signal, start};
use super::stage::{Stage, holds, same, violated};

pub(super) fn a_new_store_is_empty(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    same("what is durable", stage.store().durable(), Position(0))?;
    same("the queued bytes", stage.store().queued_bytes(), 0)?;
    holds("new work is taken", stage.store().accepts_work())?;
    same("the failure", stage.store().failure(), None)?;
    same("the tables", &stage.opened.tables, &Tables::default())?;
    holds("it is clean", stage.opened.is_clean)?;
    same("a closed run", stage.find("", "run-1")?, None)
}

pub(super) fn positions_count_groups(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    stage.append(group([signal(1, 1, 1, 0), start(2), signal(2, 1, 2, 0)]))?;
    stage.settle()?;
    stage.append(group([marked(1, 2, 1, 1)]))?;
    stage.append(group([end(2, 2, 3)]))?;
    stage.settle()
}

pub(super) fn what_is_appended_becomes_durable_in_order(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    let mut before = Position(0);
    stage.append(group([start(1)]))?;
    for no in 1..40 {
        let last = stage.append(group([signal(1, no, no, 700)]))?;
        if no % 3 == 0 {
            stage.backend.drive();
        }
        let durable = stage.store().durable();
        if durable < before || durable > last {
            return Err(violated("what is durable", durable, format!("from {before} to {last}")));
        }
        before = durable;
    }
    stage.settle()?;
    same("what is durable in the end", stage.store().durable(), Position(40))
}

pub(super) fn the_listener_is_called_when_more_is_durable(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    for no in 0..5 {
        let before = stage.rings();
        stage.append(group([if no == 0 { start(1) } else { signal(1, no, no, 0) }]))?;
        stage.settle()?;
        holds("the listener was called", stage.rings() > before)?;
    }
    Ok(())
}

pub(super) fn queued_bytes_are_those_that_are_not_durable(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    let last = stage.append(group([signal(1, 1, 1, 5_000)]))?;
    let (durable, queued) = (stage.store().durable(), stage.store().queued_bytes());
    holds("what is not durable is queued", durable == last || queued >= 5_000)?;
    stage.settle()?;
    stage.until(|store| store.queued_bytes() == 0);
    same("the queued bytes when all is durable", stage.store().queued_bytes(), 0)
}

/// The group is refused, and everything is as it was.
fn is_refused(stage: &mut Stage<'_>, what: &str, group: &Group) -> Result<(), Wrong> {
    if let Ok(position) = stage.store().append(group) {
        return Err(violated(format!("{what} is appended"), position, "it is refused"));
    }
    stage.journals_are_right()?;
    same("the failure", stage.store().failure(), None)
}

pub(super) fn a_group_that_leaves_a_gap_is_refused_as_a_whole(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1), signal(1, 1, 1, 0)]))?;
    stage.append(group([start(2), end(2, 1, 2)]))?;
    let wrong = [
        ("an event too far", group([signal(1, 2, 2, 0), signal(1, 4, 4, 0)])),
        ("an event again", group([signal(1, 1, 9, 0)])),
        ("a start again", group([start(1)])),
        ("an event of no run", group([signal(1, 2, 2, 0), signal(3, 1, 1, 0)])),
        ("an event of a closed run", group([signal(1, 2, 2, 0), signal(2, 2, 2, 0)])),
        ("a journal without a start", group([signal(3, 0, 1, 0)])),
    ];
    for (what, group) in &wrong {
        is_refused(stage, what, group)?;
    }
    // Nothing of them was taken: what they held may come now.
    stage.append(group([signal(1, 2, 2, 0), start(3), signal(3, 1, 1, 0)]))?;
    stage.settle()?;
    stage.journals_are_right()
}

pub(super) fn a_group_over_the_limit_is_refused_before_anything_is_taken(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    let Some(most) = stage.backend.group_bytes_max() else {
        return Err(Wrong::LeftOut("the store has no limit"));
    };
    stage.append(group([start(1)]))?;
    let queued = stage.store().queued_bytes();
    let large = group([marked(1, 1, 0, 1), start(2), signal(2, 1, 1, most + 1)]);
    is_refused(stage, "a group over the limit", &large)?;
    holds("nothing of it is queued", stage.store().queued_bytes() <= queued)?;
    let unknown = stage.store().load(RunNo(2));
    holds("its run is not there", stage.answer(unknown)?.is_err())?;
    stage.append(group([marked(1, 1, 0, 1), start(2), signal(2, 1, 1, 0)]))?;
    stage.settle()?;
    stage.journals_are_right()
}

pub(super) fn an_idle_call_changes_nothing(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.store().idle();
    stage.append(group([start(1)]))?;
    stage.store().idle();
    stage.settle()?;
    stage.store().idle();
    stage.store().idle();
    stage.backend.drive();
    same("what is durable", stage.store().durable(), Position(1))?;
    stage.append(group([signal(1, 1, 1, 0)]))?;
    stage.settle()?;
    stage.journals_are_right()
}

pub(super) fn what_the_opener_tells_of_itself_is_in_no_journal(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([of_the_opener()]))?;
    stage.append(group([start(1), of_the_opener(), signal(1, 1, 1, 0)]))?;
    stage.append(group([of_the_opener()]))?;
    stage.settle()?;
    let later = stage.store().load(RunNo(0));
    holds("no run has the number 0", stage.answer(later)?.is_err())?;
    stage.journals_are_right()
}
