//! Runs that have ended.

use std::task::{Context, Poll, Waker};

use durable::kernel::event::Text;
use durable::kernel::id::RunNo;

use super::Wrong;
use super::groups::{end, end_as, group, signal, start, start_as};
use super::stage::{Stage, holds, same};

pub(super) fn a_run_that_may_be_closed_is_never_ruled_out(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    let ids: Vec<Text> = (1..60).map(|run: u64| format!("run-{run}").as_str().into()).collect();
    for run in 1..60 {
        stage.append(group([start(run)]))?;
        stage.append(group([end(run, 1, run)]))?;
        if run % 7 == 0 {
            stage.settle()?;
        }
        let so_far = ids.iter().take(usize::try_from(run).unwrap_or(usize::MAX));
        for id in so_far {
            holds(&format!("`{id}` may be closed"), stage.store().may_be_closed(&"".into(), id))?;
        }
    }
    Ok(())
}

pub(super) fn the_newest_closed_run_of_an_id_is_found(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    for run in 1..6 {
        stage.append(group([start_as(run, "", "same")]))?;
        stage.append(group([signal(run, 1, run, 0), end_as(run, 2, run, "", "same")]))?;
        if run % 2 == 0 {
            stage.settle()?;
        }
        let expected = stage.model().closed("", "same");
        same(&format!("the closed run after run {run}"), stage.find("", "same")?, expected)?;
    }
    // An open one of the same id is none.
    stage.append(group([start_as(6, "", "same")]))?;
    let found = stage.find("", "same")?.map(|closed| closed.run);
    same("the closed run beside an open one", found, Some(RunNo(5)))
}

pub(super) fn a_search_has_everything_that_was_appended_before_it(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    for run in 1..20 {
        stage.append(group([start(run)]))?;
        stage.append(group([end(run, 1, run)]))?;
        let id = format!("run-{run}");
        let later = stage.store().find_closed(&"".into(), &id.as_str().into());
        let expected = stage.model().closed("", &id);
        same(&format!("the closed run `{id}`"), stage.found(&id, later)?, expected)?;
    }
    Ok(())
}

pub(super) fn a_search_tells_of_nothing_that_is_not_durable(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    let last = stage.append(group([end(1, 1, 1)]))?;
    let mut later = stage.store().find_closed(&"".into(), &"run-1".into());
    loop {
        match later.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(_) => return holds("its end is durable when it is told", stage.store().durable() >= last),
            Poll::Pending if stage.backend.drive() => {}
            Poll::Pending => break,
        }
    }
    holds("its end is durable when it is told", stage.store().durable() >= last)
}

pub(super) fn what_is_open_or_elsewhere_or_unknown_is_not_found(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1), start_as(2, "here", "id"), start_as(3, "", "gone")]))?;
    stage.append(group([end_as(2, 1, 2, "here", "id"), end_as(3, 1, 3, "", "gone")]))?;
    stage.settle()?;
    for (namespace, id) in [("", "run-1"), ("", "id"), ("here", "gone"), ("here", "run-1"), ("", "unknown"), ("", "")] {
        same(&format!("the closed run `{id}` of `{namespace}`"), stage.find(namespace, id)?, None)?;
    }
    same("the one that is there", stage.find("here", "id")?, stage.model().closed("here", "id"))
}
