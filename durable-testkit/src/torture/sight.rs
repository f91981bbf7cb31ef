//! What workflow code saw of time and chance. It looks at bodies alone, and never at what is recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::case::{Case, Hit};
use super::stage::{Body, Seen};

/// How much longer than it is a sleep may last where nothing holds it up.
const LATE_MAX: Duration = Duration::from_secs(2);

/// What is wrong with what bodies saw.
pub(super) fn judge(case: &Case, seen: &Seen) -> Vec<String> {
    let mut wrong: Vec<String> = seen.bodies.iter().flat_map(alone).collect();
    wrong.extend(together(seen));
    if is_awake(case) {
        let set_at = set_at(case);
        wrong.extend(seen.bodies.iter().filter_map(|body| slow(body, set_at)));
    }
    wrong
}

/// Time does not go back, and no random number comes twice.
fn alone(body: &Body) -> Vec<String> {
    let mut wrong = Vec::new();
    if body.looks.windows(2).any(|pair| pair[1].0 < pair[0].0) {
        wrong.push(format!("a body in process {} saw time go back: {:?}", body.process, body.looks));
    }
    if let Some(pair) = body.times.windows(2).find(|pair| pair[1] < pair[0]) {
        wrong.push(format!("a body in process {} saw time go back: {pair:?}", body.process));
    }
    let drawn: BTreeSet<u64> = body.looks.iter().map(|(_, random)| *random).collect();
    if drawn.len() != body.looks.len() {
        wrong.push(format!("a body in process {} drew a number twice: {:?}", body.process, body.looks));
    }
    wrong
}

/// Bodies of one run see the same, as far as both come, if nothing was lost between them.
fn together(seen: &Seen) -> Vec<String> {
    let mut last: BTreeMap<u64, &Body> = BTreeMap::new();
    let mut wrong = Vec::new();
    for body in seen.bodies.iter().filter(|body| !differs(seen, body)) {
        let Some(run) = body.given.first().map(|given| given.run) else { continue };
        let Some(before) = last.insert(run, body) else { continue };
        let is_kept = before.process == body.process || seen.left_clean.contains(&before.process);
        let differs = before.looks.iter().zip(&body.looks).any(|(before, now)| before != now);
        if is_kept && differs {
            let (was, is) = (&before.looks, &body.looks);
            wrong.push(format!(
                "two bodies of one run saw {was:?} and {is:?}, in processes {} and {}",
                before.process, body.process
            ));
        }
    }
    wrong
}

fn differs(seen: &Seen, body: &Body) -> bool {
    seen.opened.iter().any(|opened| opened.process == body.process && opened.build.differs())
}

/// A sleep ends when its span is over, whatever the wall clock shows.
fn slow(body: &Body, set_at: Duration) -> Option<String> {
    let mut sleeps = body.sleeps.iter().filter(|slept| slept.began < set_at);
    let slow = sleeps.find(|slept| slept.ended > slept.began + slept.span + LATE_MAX)?;
    Some(format!("a body in process {} slept too long: {slow:?}", body.process))
}

/// Whether nothing holds up a process that is alive.
fn is_awake(case: &Case) -> bool {
    let is_full = case.blows.iter().any(|blow| matches!(blow.what, Hit::Full(..)));
    let is_held = case.slots.iter().flatten().any(|life| !life.stops.is_empty() || !life.faults.is_empty());
    // Such a branch is not polled all the time, and sees late that it has slept.
    let programs = format!("{:?}", case.programs);
    let is_polled = !["Unordered(", "Drop(", "Set("].iter().any(|node| programs.contains(node));
    case.conduct.lag.0 == 0 && is_polled && !is_full && !is_held && case.slots.len() == 1
}

/// When the clock is set first. A sleep that begins later begins at the run's time, which does not go back, and ends by it.
fn set_at(case: &Case) -> Duration {
    let set = case.blows.iter().filter(|blow| matches!(blow.what, Hit::Clock(_)));
    set.map(|blow| Duration::from_millis(blow.at_ms.into())).min().unwrap_or(Duration::MAX)
}
