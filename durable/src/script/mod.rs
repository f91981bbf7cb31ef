//! Scripts: stories of the engine that take no time. `check("start nap | advance 1h | crash | ..", expect![[..]])` runs the
//! real kernel over the real runs and a log of bytes, and prints each event, each effect that is released and each answer.
//!
//! Every script is told twice: with runs that stay in memory, and with runs that are put away at every await. Both must
//! leave the same journals.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_types, reason = "tests")]

mod abreast;
mod attempts;
mod blocked;
mod children;
mod code_changes;
mod drops;
mod flows;
mod groups;
mod messages;
mod ordering;
mod program;
mod replays;
mod scopes;
mod shown;
mod time;
mod undo;
mod world;

use expect_test::Expect;

use self::world::{Build, Reads, Syncs, World, failed};
use crate::kernel::engine::{AttemptReport, Residence, Retry, WhenBlocked};
use crate::kernel::event::{Payload, Sender};
use crate::kernel::retry::duration;
use crate::payload::PayloadCodec;

/// Tells a script to a world in which `builds` can be opened, the first one to begin with.
fn check(builds: &[Build], script: &str, expected: &Expect) {
    let stays = tell(builds, script, Residence::Stay);
    expected.assert_eq(&stays);
    let put_away = tell(builds, script, Residence::PutAwayAtEveryAwait);
    assert_eq!(by_step(&stays), by_step(&put_away), "a run that is put away at every await leaves another journal");
}

/// As [`check`], for a script in which it matters that its runs stay in memory.
fn check_in_memory(builds: &[Build], script: &str, expected: &Expect) {
    expected.assert_eq(&tell(builds, script, Residence::Stay));
}

/// What was told at each step, sorted: a run that is loaded first has its turn in a group of its own, so that effects which
/// do not depend on it are released earlier.
fn by_step(told: &str) -> Vec<Vec<&str>> {
    let steps = told.split("\n> ");
    let lines = steps.map(|step| {
        let mut lines: Vec<&str> = step.lines().filter(|line| !line.ends_with(" is loaded")).collect();
        lines.sort_unstable();
        lines
    });
    lines.collect()
}

fn tell(builds: &[Build], script: &str, residence: Residence) -> String {
    let mut world = World::new();
    world.residence = residence;
    for step in script.split('|').map(str::trim) {
        world.say(&format!("> {step}"));
        let words: Vec<&str> = step.split_whitespace().collect();
        if let ["attempts", most] = words[..] {
            world.attempts = most.parse().unwrap();
            continue;
        }
        if !world.is_open() && !matches!(words[..], ["open", ..] | ["advance", ..]) {
            world.open(&builds[0]);
        }
        play(&mut world, builds, &words);
    }
    std::mem::take(&mut world.told)
}

fn play(world: &mut World, builds: &[Build], words: &[&str]) {
    let build = |id: &str| builds.iter().find(|build| build.id == id).unwrap_or_else(|| panic!("no build `{id}`"));
    match *words {
        ["start", name] => world.start(name, name),
        ["start", name, "as", id] => world.start(name, id),
        ["watch", id] => world.watch(id, WhenBlocked::Wait),
        ["watch", id, "blocked"] => world.watch(id, WhenBlocked::Tell),
        ["signal", id, name, value] => world.signal(id, name, json(value), Sender::Anonymous),
        ["signal", id, name, value, "by", message] => {
            world.signal(id, name, json(value), Sender::Message(message.into()));
        }
        ["cancel", id] => world.cancel(id),
        ["terminate", id] => world.terminate(id),
        ["retry", "blocked"] => world.retry_blocked(),
        ["ok", name, value] => report(world, name, AttemptReport::Completed(json(value))),
        ["together", ref ends @ ..] => {
            let reports = ends.iter().map(|end| match end.split_once('=') {
                Some((name, value)) => (world.running(name), AttemptReport::Completed(json(value))),
                None => {
                    let (name, text) = end.split_once('!').unwrap();
                    (world.running(name), failed(text, Retry::ByPolicy))
                }
            });
            let reports = reports.collect();
            world.report_all(reports);
        }
        ["fail", name, text] => report(world, name, failed(text, Retry::ByPolicy)),
        ["fatal", name, text] => report(world, name, failed(text, Retry::Never)),
        ["panic", name, text] => report(world, name, AttemptReport::Panicked(text.into())),
        ["late", name, value] => {
            let order = world.running(name);
            world.report_late(&order, AttemptReport::Completed(json(value)));
        }
        ["advance", span] => world.advance(duration(span)),
        ["clock", "back", span] => world.set_back(duration(span)),
        ["clock", "forward", span] => world.set_forward(duration(span)),
        ["crash"] => {
            let same = world.kill();
            world.open(&same);
        }
        ["kill"] => drop(world.kill()),
        ["close"] => world.close(),
        ["open"] => world.open(&builds[0]),
        ["open", id] => world.open(build(id)),
        ["stall"] => world.syncs = Syncs::ByHand,
        ["sync"] => {
            world.syncs = Syncs::AtOnce;
            world.sync(None);
        }
        ["sync", groups] => world.sync(Some(groups.parse().unwrap())),
        ["hold", "reads"] => world.reads = Reads::ByHand,
        ["read"] => {
            world.reads = Reads::AtOnce;
            world.read();
        }
        _ => panic!("no such step: {words:?}"),
    }
}

fn report(world: &mut World, name: &str, report: AttemptReport) {
    let order = world.running(name);
    world.report(&order, report);
}

fn json(text: &str) -> Payload {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    crate::payload::encode(PayloadCodec::Json, &value).unwrap()
}
