//! What workflow code saw: of time and chance by itself, and all of it beside what the recorded journal gives to the same code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::case::Case;
use super::facts::LATE_MAX;
use super::program::Node;
use super::retold::Retold;
use super::stage::{Body, Saw, Seen, Slept};

/// What is wrong with what bodies saw.
pub(super) fn judge<'a>(case: &Case, seen: &Seen, retold: impl IntoIterator<Item = &'a Retold>) -> Vec<String> {
    let mut wrong: Vec<String> = seen.bodies.iter().flat_map(alone).collect();
    wrong.extend(together(seen));
    wrong.extend(recorded(case, seen, retold));
    if case.holds_nothing_up() {
        let is_polled = case.programs.iter().all(|root| root.program.nodes.iter().all(Node::is_always_polled));
        for (body, slept) in live_sleeps(seen) {
            wrong.extend(short(seen, body, slept));
            wrong.extend(slow(body, slept).filter(|_| is_polled));
        }
    }
    wrong
}

/// Time does not go back, and no random number comes twice.
fn alone(body: &Body) -> Vec<String> {
    let mut wrong = Vec::new();
    let looks: Vec<(u64, u64)> = body.looks().collect();
    let times: Vec<u64> = body.times().collect();
    if looks.windows(2).any(|pair| pair[1].0 < pair[0].0) {
        wrong.push(format!("a body in process {} saw time go back: {looks:?}", body.process));
    }
    if let Some(pair) = times.windows(2).find(|pair| pair[1] < pair[0]) {
        wrong.push(format!("a body in process {} saw time go back: {pair:?}", body.process));
    }
    let drawn: BTreeSet<u64> = looks.iter().map(|(_, random)| *random).collect();
    if drawn.len() != looks.len() {
        wrong.push(format!("a body in process {} drew a number twice: {looks:?}", body.process));
    }
    wrong
}

/// Bodies of one run see the same, as far as both come, if nothing was lost between them.
fn together(seen: &Seen) -> Vec<String> {
    let mut last: BTreeMap<u64, &Body> = BTreeMap::new();
    let mut wrong = Vec::new();
    for body in seen.bodies.iter().filter(|body| !seen.is_of_other_code(body)) {
        let Some(run) = body.given().next().map(|given| given.run) else { continue };
        let Some(before) = last.insert(run, body) else { continue };
        let is_kept = before.process == body.process || seen.left_clean.contains(&before.process);
        let differs = before.looks().zip(body.looks()).any(|(before, now)| before != now);
        if is_kept && differs {
            let (was, is): (Vec<_>, Vec<_>) = (before.looks().collect(), body.looks().collect());
            wrong.push(format!(
                "two bodies of one run saw {was:?} and {is:?}, in processes {} and {}",
                before.process, body.process
            ));
        }
    }
    wrong
}

// Beside what is recorded.

/// What a body saw is what the recorded journal gives to the same code, as far as it cannot have been lost.
fn recorded<'a>(case: &Case, seen: &Seen, retold: impl IntoIterator<Item = &'a Retold>) -> Vec<String> {
    let mut by_program: BTreeMap<u64, Vec<&Body>> = BTreeMap::new();
    for body in retold.into_iter().filter_map(|retold| retold.body.as_ref()) {
        by_program.entry(body.program).or_default().push(body);
    }
    let mut wrong = Vec::new();
    for body in seen.bodies.iter().filter(|body| !seen.is_of_other_code(body)) {
        let Some(until) = seen.kept_until(case, body.process) else { continue };
        let told = by_program.get(&body.program).map(Vec::as_slice).unwrap_or_default();
        // Two equal programs are told apart by nothing else.
        let differences: Vec<String> = told.iter().map_while(|told| difference(body, told, until)).collect();
        if !told.is_empty() && differences.len() == told.len() {
            wrong.push(format!("a body in process {} saw {}", body.process, differences.join(", or ")));
        }
    }
    wrong
}

/// The first thing that a body saw before that moment and that is not recorded.
fn difference(body: &Body, told: &Body, until: Duration) -> Option<String> {
    let kept = body.saw.iter().take_while(|saw| saw.at < until);
    let mut recorded = told.saw.iter();
    let differs = |saw: &Saw| (Some(saw.what), recorded.next().map(|saw| saw.what));
    let (saw, recorded) = kept.map(differs).find(|(saw, recorded)| saw != recorded)?;
    Some(format!("{saw:?}, where {recorded:?} is recorded"))
}

// Sleeps.

/// The sleeps that a body came to in its life, and not in a replay: a replay takes no time.
fn live_sleeps(seen: &Seen) -> impl Iterator<Item = (&Body, &Slept)> {
    let mut known = BTreeSet::new();
    let bodies = seen.bodies.iter().map(move |body| (body, known.insert(body.program)));
    bodies.flat_map(|(body, is_first)| {
        let live = body.sleeps.iter().filter(move |slept| is_first || slept.began > body.at);
        live.map(move |slept| (body, slept))
    })
}

/// A sleep lasts as long as it is to, unless the wall clock is set forward.
fn short(seen: &Seen, body: &Body, slept: &Slept) -> Option<String> {
    let is_short = slept.ended < slept.began + slept.span && !seen.was_set_forward(slept.began, slept.ended);
    is_short.then(|| format!("a body in process {} slept too little: {slept:?}", body.process))
}

/// A sleep ends when its span is over, whatever the wall clock shows.
fn slow(body: &Body, slept: &Slept) -> Option<String> {
    let is_slow = slept.ended > slept.began + slept.span + LATE_MAX;
    is_slow.then(|| format!("a body in process {} slept too long: {slept:?}", body.process))
}
