//! Whether the oracle is blind: one thing is changed in what a play saw or recorded, and the check that is there for it has to say so.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use durable::kernel::event::{AttemptCause, Entry, Event};
use durable::kernel::id::Timestamp;

use super::*;
use crate::sim::Words;

/// Changes something; none if there is nothing of the kind in the play.
type Change = fn(&mut Case, &mut Played) -> Option<()>;

/// What is changed, and what the oracle says of it.
const CHANGES: &[(&str, Change)] = &[
    ("and there was another", attempt_behind_a_success),
    ("and there was another", attempt_behind_a_failure),
    ("an attempt began behind the end of its run", attempt_behind_the_end),
    ("it is not recorded that it may begin", start_not_recorded),
    ("is recorded", |_, played| hear(played, Word { program: 0, name: 0, sender: 77, number: 5 })),
    ("is recorded", |_, played| see(played, |sight| matches!(sight, Sight::Look(..)), Sight::Look(7, 7))),
    ("is recorded", |_, played| see(played, |sight| matches!(sight, Sight::Time(_)), Sight::Time(u64::MAX))),
    ("is recorded", |_, played| see(played, |sight| matches!(sight, Sight::Refused(..)), Sight::Refused(99, None))),
    ("is recorded", |_, played| see(played, |sight| matches!(sight, Sight::Child(_)), Sight::Child(Ok(99)))),
    ("has a signal that nobody sent", nobody_sends),
    ("comes", timer_is_early),
    ("comes", time_limit_is_early),
    ("there is a wait of", wait_is_short),
    ("was cut after", cut_early),
    ("took", outlasts),
    ("is given up with attempt", given_up_early),
    ("behind the outcome of seq", failed_behind_its_outcome),
    ("attempts run at once", fewer_may_run),
    ("slept too little", |case, played| sleep(case, played, |slept| slept.ended = slept.began)),
    ("slept too long", |case, played| sleep(case, played, |slept| slept.ended += Duration::from_secs(60))),
    ("and the index finds", lost_to_the_index),
    ("by their journals", open_in_the_tables),
    ("another open changed what is recorded", another_open_changes),
];

/// How often each change is made.
const TIMES: u32 = 1;

#[test]
fn each_change_of_what_a_play_saw_or_recorded_is_seen() {
    let mut made = vec![0; CHANGES.len()];
    for seed in 1..=600 {
        if made.iter().all(|times| *times >= TIMES) {
            break;
        }
        let case = Case::draw(seed);
        let played = case.play(Words::No);
        assert_eq!(judge(&case, &played), Vec::<String>::new(), "seed {seed}");
        for (number, (told, change)) in CHANGES.iter().enumerate() {
            if made[number] >= TIMES {
                continue;
            }
            let (mut case, mut played) = (case.clone(), played.clone());
            if change(&mut case, &mut played).is_some() {
                made[number] += 1;
                let wrong = judge(&case, &played);
                assert!(
                    wrong.iter().any(|wrong| wrong.contains(told)),
                    "seed {seed}, change {number} ({told}): {wrong:?}"
                );
            }
        }
    }
    assert!(made.iter().all(|times| *times > 0), "changes that no play had room for: {made:?}");
}

// What the world saw.

/// The calls that are settled, by run and seq, and whether they failed.
fn settled(played: &Played) -> BTreeMap<(durable::RunId, u32), bool> {
    let pasts = played.first.as_ref().unwrap().runs.values();
    let events = pasts.flat_map(|past| past.journal.iter().map(|(_, _, event)| (past.started.run, event)));
    let settled = events.filter_map(|(run, event)| match event {
        Event::ActivityCompleted { seq, .. } => Some(((run, seq.0), false)),
        Event::ActivityFailed { seq, .. } => Some(((run, seq.0), true)),
        _ => None,
    });
    settled.collect()
}

fn attempt_behind(played: &mut Played, failed: bool) -> Option<()> {
    let settled = settled(played);
    let is_it = |attempt: &AttemptSeen| settled.get(&(attempt.run, attempt.seq)) == Some(&failed);
    let last = played.seen.attempts.iter().rposition(is_it)?;
    let attempt = played.seen.attempts[last].clone();
    let (began, number) = (attempt.until + Duration::from_secs(1), attempt.attempt + 1);
    let another =
        AttemptSeen { attempt: number, nonce: 9_000_000, began, until: began, ended: Ended::Failed, ..attempt };
    played.seen.attempts.insert(last + 1, another);
    Some(())
}

fn attempt_behind_a_success(_: &mut Case, played: &mut Played) -> Option<()> {
    attempt_behind(played, false)
}

fn attempt_behind_a_failure(_: &mut Case, played: &mut Played) -> Option<()> {
    attempt_behind(played, true)
}

fn attempt_behind_the_end(_: &mut Case, played: &mut Played) -> Option<()> {
    let settled = settled(played);
    let roots = |attempt: &AttemptSeen| !attempt.id.as_str().contains('/');
    let is_open = |attempt: &AttemptSeen| !settled.contains_key(&(attempt.run, attempt.seq)) && roots(attempt);
    let place = played.seen.attempts.iter().rposition(is_open)?;
    let newest = *played.seen.opened.last()?;
    let began = newest.at + Duration::from_secs(86_400 * 365);
    let attempt = played.seen.attempts[place].clone();
    let number = attempt.attempt + 1;
    let another =
        AttemptSeen { attempt: number, process: newest.process, began, until: began, ended: Ended::Failed, ..attempt };
    played.seen.attempts.insert(place + 1, another);
    Some(())
}

fn start_not_recorded(_: &mut Case, played: &mut Played) -> Option<()> {
    let attempt =
        played.seen.attempts.iter_mut().find(|attempt| attempt.attempt == 1 && attempt.ended == Ended::Failed)?;
    attempt.attempt = 40;
    Some(())
}

/// The saws of bodies whose process closed the store: what those saw is all recorded.
fn kept(played: &mut Played) -> impl Iterator<Item = &mut Vec<Saw>> {
    let Seen { bodies, left_clean, opened, .. } = &mut played.seen;
    let differs = |process: u32| opened.iter().any(|opened| opened.process == process && opened.build.differs());
    let kept = bodies.iter_mut().filter(move |body| left_clean.contains(&body.process) && !differs(body.process));
    kept.map(|body| &mut body.saw)
}

fn see(played: &mut Played, is_it: fn(&Sight) -> bool, other: Sight) -> Option<()> {
    kept(played).flatten().find(|saw| is_it(&saw.what))?.what = other;
    Some(())
}

fn hear(played: &mut Played, word: Word) -> Option<()> {
    let saws = kept(played).find(|saws| !saws.is_empty())?;
    saws.push(Saw { at: saws[0].at, what: Sight::Word(word) });
    Some(())
}

fn sleep(case: &mut Case, played: &mut Played, change: fn(&mut Slept)) -> Option<()> {
    let is_plain = case.holds_nothing_up() && case.has_one_clock();
    let is_polled = case.programs.iter().all(|root| root.program.nodes.iter().all(Node::is_always_polled));
    let body = played.seen.bodies.first_mut().filter(|_| is_plain && is_polled)?;
    change(body.sleeps.iter_mut().find(|slept| slept.span > Duration::from_millis(1))?);
    Some(())
}

fn cut_early(case: &mut Case, played: &mut Played) -> Option<()> {
    let events = played.first.as_ref().unwrap().runs.values();
    let cut = events.flat_map(|past| past.journal.iter().map(|(_, _, event)| (past.started.run, event)));
    let mut cut = cut.filter_map(|(run, event)| match event {
        Event::AttemptFailed { seq, attempt, cause: AttemptCause::TimedOut, .. } => Some((run, seq.0, attempt.0)),
        _ => None,
    });
    let cut = cut.next().filter(|_| case.holds_nothing_up())?;
    let mut attempts = played.seen.attempts.iter_mut().rev();
    let attempt = attempts.find(|seen| (seen.run, seen.seq, seen.attempt) == cut)?;
    attempt.until = attempt.began + (attempt.until - attempt.began) / 2;
    Some(())
}

fn outlasts(case: &mut Case, played: &mut Played) -> Option<()> {
    let attempt = played.seen.attempts.iter_mut().rfind(|_| case.holds_nothing_up())?;
    attempt.until += Duration::from_secs(1_000);
    Some(())
}

fn fewer_may_run(case: &mut Case, played: &mut Played) -> Option<()> {
    let attempts = &played.seen.attempts;
    let overlaps = |one: &AttemptSeen| {
        attempts.iter().any(|two| {
            two.nonce > one.nonce && two.process == one.process && (one.began..one.until).contains(&two.began)
        })
    };
    attempts.iter().find(|one| overlaps(one)).filter(|_| case.holds_nothing_up())?;
    case.conduct.attempts = 1;
    Some(())
}

// What is recorded.

fn events(played: &mut Played) -> impl Iterator<Item = (&mut Timestamp, &mut Event)> {
    let pasts = played.first.as_mut().unwrap().runs.values_mut();
    pasts.flat_map(|past| past.journal.iter_mut().map(|(_, at, event)| (at, event)))
}

fn timer_is_early(case: &mut Case, played: &mut Played) -> Option<()> {
    let due = events(played)
        .filter_map(|(_, event)| if let Event::Turn { entries, .. } = event { Some(entries) } else { None });
    let due: Vec<Timestamp> = due
        .flat_map(|entries| entries.iter())
        .filter_map(|entry| if let Entry::TimerStarted { due, .. } = entry { Some(*due) } else { None })
        .collect();
    let mut fired = events(played).filter(|(_, event)| matches!(event, Event::TimerFired { .. }));
    let (at, _) = fired.find(|(at, _)| due.contains(at)).filter(|_| !case.sets_back())?;
    at.0 -= 1;
    Some(())
}

fn time_limit_is_early(case: &mut Case, played: &mut Played) -> Option<()> {
    let mut out = events(played).filter(|(_, event)| matches!(event, Event::RunTimedOut { .. }));
    let (at, _) = out.next().filter(|_| !case.sets_back())?;
    at.0 -= 200_000_000;
    Some(())
}

fn wait_is_short(_: &mut Case, played: &mut Played) -> Option<()> {
    let mut failed = events(played).filter_map(|(at, event)| match event {
        Event::AttemptFailed { cause: AttemptCause::Error { .. }, due, .. } => Some((*at, due)),
        _ => None,
    });
    let (at, due) = failed.next()?;
    *due = at;
    Some(())
}

fn given_up_early(_: &mut Case, played: &mut Played) -> Option<()> {
    let again: Vec<(durable::RunId, u32)> = played
        .seen
        .attempts
        .iter()
        .filter(|seen| seen.ask.how == How::Panic)
        .map(|seen| (seen.run, seen.seq))
        .collect();
    let pasts = played.first.as_mut().unwrap().runs.values_mut();
    let events = pasts.flat_map(|past| past.journal.iter_mut().map(|(_, _, event)| (past.started.run, event)));
    let mut failed = events.filter_map(|(run, event)| match event {
        Event::ActivityFailed {
            seq,
            attempt,
            error: durable::kernel::event::CallFailure::Exhausted { .. },
            maybe,
            ..
        } if attempt.0 > 1 && again.contains(&(run, seq.0)) => Some((attempt, maybe)),
        _ => None,
    });
    let (attempt, _) = failed.next()?;
    attempt.0 -= 1;
    Some(())
}

fn failed_behind_its_outcome(_: &mut Case, played: &mut Played) -> Option<()> {
    let pasts = played.first.as_mut().unwrap().runs.values_mut();
    for past in pasts {
        let failed = past.journal.iter().position(|(_, _, event)| matches!(event, Event::AttemptFailed { .. }));
        let Some(Event::AttemptFailed { seq, .. }) = failed.map(|at| past.journal[at].2.clone()) else { continue };
        let is_it = |event: &Event| matches!(event, Event::ActivityCompleted { seq: of, .. } if *of == seq);
        let Some(outcome) = past.journal.iter().position(|(_, _, event)| is_it(event)) else { continue };
        let (earlier, later) = (past.journal[failed?].2.clone(), past.journal[outcome].2.clone());
        (past.journal[failed?].2, past.journal[outcome].2) = (later, earlier);
        return Some(());
    }
    None
}

fn nobody_sends(case: &mut Case, played: &mut Played) -> Option<()> {
    let words = played.first.as_ref().unwrap().runs.get(Case::id(0).as_str())?.journal.iter();
    let mut words = words.filter_map(|(_, _, event)| match event {
        Event::SignalReceived { payload, .. } => durable::payload::decode::<Word>(payload).ok(),
        _ => None,
    });
    let word = words.find(|word| word.program == 0)?;
    case.clients[usize::from(word.sender)][word.number as usize].deed = Deed::List;
    Some(())
}

fn lost_to_the_index(_: &mut Case, played: &mut Played) -> Option<()> {
    played.first.as_mut().unwrap().ended.pop_first().map(drop)
}

fn open_in_the_tables(_: &mut Case, played: &mut Played) -> Option<()> {
    let look = played.first.as_mut().unwrap();
    let past = look.runs.values().next()?;
    look.tables.ids.insert(&durable::kernel::event::Text::default(), &past.started.id, past.no);
    Some(())
}

fn another_open_changes(_: &mut Case, played: &mut Played) -> Option<()> {
    let past = played.second.as_mut().unwrap().runs.values_mut().next()?;
    let (_, _, event) = past.journal.iter_mut().find(|(_, _, event)| matches!(event, Event::TimerFired { .. }))?;
    let Event::TimerFired { at, .. } = event else { return None };
    at.0 += 1;
    Some(())
}
