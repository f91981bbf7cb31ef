//! A store's directory is moved away under a stopped process and a copy put in its place: what the process says after it woke can
//! no longer be trusted to last, so it says nothing; and the copy's new owner notices nothing of it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::probe::{Probe, all, bytes_of, copy};

/// What a probe acknowledged: the runs that it started, and what those that ended gave.
fn acknowledged(heard: &[String]) -> BTreeMap<String, Option<String>> {
    let started = all(heard, "started ").into_iter().map(|id| (id, None));
    let ended = all(heard, "ended ").into_iter().map(|line| {
        let (id, value) = line.split_once(' ').unwrap();
        (id.to_owned(), Some(value.to_owned()))
    });
    started.chain(ended).collect()
}

/// Every run that was acknowledged is there, and ends as it was said to have ended. `values` are what gates were or will be told.
fn all_are_there(store: &Path, acknowledged: &BTreeMap<String, Option<String>>) {
    let mut probe = Probe::open(store);
    for (id, value) in acknowledged {
        let workflow = if id.starts_with("chain") { "chain" } else { "gate" };
        if value.is_none() && workflow == "gate" {
            // One that a signal was acknowledged for has ended; one without goes on when it gets one.
            probe.say(&format!("signal {id} late"));
            probe.next_line(std::time::Instant::now() + crate::probe::PATIENCE);
        }
        let ended = probe.ask(&format!("watch {id} {workflow}"), &format!("ended {id} "));
        assert!(
            value.as_ref().is_none_or(|value| *value == ended),
            "{id} ended with {ended}, and {value:?} was acknowledged"
        );
    }
    assert_eq!(probe.shut_down().code(), 0);
}

#[test]
fn a_stopped_process_wakes_beside_a_copy_and_does_nothing() {
    let base = tempfile::tempdir().unwrap();
    let (store, away) = (base.path().join("store"), base.path().join("away"));
    let mut first = Probe::open(&store);
    first.ask("start gate-1 gate", "started gate-1");
    first.ask("start gate-2 gate", "started gate-2");
    first.ask("signal gate-1 first", "signalled gate-1");
    assert_eq!(first.ask("watch gate-1 gate", "ended gate-1 "), "first");
    first.say("watch gate-2 gate");
    for n in 0..8 {
        first.say(&format!("start chain-{n} chain 40"));
        first.say(&format!("watch chain-{n} chain"));
    }
    // Stopped in the middle of its work, wherever that is.
    first.hear("started chain-6");
    first.freeze();
    std::fs::rename(&store, &away).unwrap();
    copy(&away, &store);

    let mut second = Probe::open(&store);
    second.ask("start gate-3 gate", "started gate-3");
    second.ask("signal gate-3 second", "signalled gate-3");
    assert_eq!(second.ask("watch gate-3 gate", "ended gate-3 "), "second");

    first.thaw();
    assert!(first.hear("store gate-2: ").contains("[E0114]"), "who waits gets the error");
    let why = first.ask("start gate-4 gate", "refused gate-4: ");
    assert!(why.contains("LOCK was removed or replaced") && why.ends_with("[E0114]"), "{why}");
    let told = first.heard().len();

    second.ask("signal gate-2 second", "signalled gate-2");
    assert_eq!(second.ask("watch gate-2 gate", "ended gate-2 "), "second");
    let second = second.shut_down();
    assert_eq!(second.code(), 0, "{}", second.stderr);
    let closed = bytes_of(&store);

    first.say("signal gate-2 first");
    first.say("start gate-5 gate");
    first.say("describe gate-2 gate");
    first.hear("refused gate-2: ");
    let first = first.shut_down();
    assert_eq!(first.code(), 5, "{}", first.stderr);
    let said_late = acknowledged(&first.heard[told..]);
    assert!(said_late.is_empty(), "acknowledged by a process that lost its store: {said_late:?}");
    assert!(bytes_of(&store) == closed, "the copy was touched by the process that lost it");

    let mut both = acknowledged(&first.heard);
    both.extend(acknowledged(&second.heard));
    assert!(both.len() >= 10, "{both:?}");
    all_are_there(&store, &both);
    // What was moved away is a store of its own, with all that its owner acknowledged.
    all_are_there(&away, &acknowledged(&first.heard));
}

#[test]
fn a_copy_has_everything_that_was_acknowledged_however_often_it_is_taken_over() {
    let base = tempfile::tempdir().unwrap();
    let store = base.path().join("store");
    let mut frozen = Vec::new();
    let mut acks = BTreeMap::new();
    for round in 0..3 {
        let mut probe = Probe::open(&store);
        for n in 0..4 {
            let id = format!("chain-{round}-{n}");
            probe.say(&format!("start {id} chain 20"));
            probe.say(&format!("watch {id} chain"));
        }
        probe.hear(&format!("started chain-{round}-3"));
        probe.freeze();
        let away = base.path().join(format!("away-{round}"));
        std::fs::rename(&store, &away).unwrap();
        copy(&away, &store);
        frozen.push(probe);
    }
    frozen.iter().for_each(Probe::thaw);
    for mut probe in frozen {
        let why = probe.ask("start gate-0 gate", "refused gate-0: ");
        assert!(why.ends_with("[E0114]"), "{why}");
        acks.extend(acknowledged(&probe.shut_down().heard));
    }
    assert!(acks.len() >= 12, "{acks:?}");
    all_are_there(&store, &acks);
}
