//! What comes out: whole journals.

use durable::kernel::id::RunNo;

use super::Wrong;
use super::groups::{group, marked, signal, start, start_as};
use super::stage::{Stage, holds, same, violated};

pub(super) fn a_journal_is_as_it_was_appended(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1), start_as(2, "space", "ünïcode \u{1f980}")]))?;
    stage.append(group([signal(2, 1, 1, 0), marked(1, 1, 0, 1), signal(2, 2, 2, 100_000)]))?;
    stage.settle()?;
    stage.append(group([marked(1, 3, 2, 3), start(3)]))?;
    stage.append_all((5..80).map(|no| group([signal(1, no, no, 1_000)])))?;
    stage.settle()?;
    stage.journals_are_right()
}

pub(super) fn a_load_has_everything_that_was_appended_before_it(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    for no in 1..20 {
        stage.append(group([signal(1, no, no, 300)]))?;
        let expected = stage.model().journal(RunNo(1));
        let later = stage.store().load(RunNo(1));
        // What follows may be in it or not.
        if no == 10 {
            stage.append(group([start(2)]))?;
        }
        let journal = stage.journal(RunNo(1), later)?;
        same(&format!("the journal after {no} events more"), journal, expected)?;
    }
    let (later, least) = (stage.store().load(RunNo(1)), stage.model().journal(RunNo(1)));
    stage.append(group([signal(1, 20, 20, 300)]))?;
    let (journal, most) = (stage.journal(RunNo(1), later)?, stage.model().journal(RunNo(1)));
    if journal != least && journal != most {
        return Err(violated("a journal that grows meanwhile", journal, most));
    }
    Ok(())
}

pub(super) fn loads_side_by_side_give_the_same(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append_all((1..5).map(|run| group([start(run)])))?;
    stage.append_all((1..30).map(|no| group((1..5).map(|run| signal(run, no, no * run, 200)))))?;
    let runs: Vec<_> = (0..40).map(|n| RunNo(1 + n % 4)).collect();
    let loads: Vec<_> = runs.iter().map(|run| stage.store().load(*run)).collect();
    let model = stage.model();
    for (run, later) in runs.into_iter().zip(loads) {
        let journal = stage.journal(run, later)?;
        same(&format!("the journal of run {run}"), journal, model.journal(run))?;
    }
    Ok(())
}

pub(super) fn a_run_that_is_not_there_has_no_journal(stage: &mut Stage<'_>) -> Result<(), Wrong> {
    stage.append(group([start(1)]))?;
    for run in [0, 2, u64::MAX] {
        let later = stage.store().load(RunNo(run));
        holds(&format!("run {run} is an error"), stage.answer(later)?.is_err())?;
    }
    stage.journals_are_right()
}
