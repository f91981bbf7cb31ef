#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::disk::Personality;

#[test]
fn a_sample_of_seeds_holds_and_gives_the_same_traces_with_logging() {
    let trace = |seed| {
        let verdict = Case::draw(seed).check();
        assert!(verdict.wrong.is_empty(), "seed {seed}: {:#?}\n{}", verdict.wrong, verdict.lines.join("\n"));
        verdict.trace
    };
    let quiet: Vec<u64> = (1..=200).map(trace).collect();
    let said = Arc::new(AtomicUsize::new(0));
    let loud = Loud { said: Arc::clone(&said) };
    let loud: Vec<u64> = tracing::subscriber::with_default(loud, || (1..=200).map(trace).collect());
    assert_eq!(quiet, loud);
    assert!(said.load(Ordering::Relaxed) > 10_000, "the log is loud");
    assert!(quiet.windows(2).all(|pair| pair[0] != pair[1]));
}

/// A subscriber that takes everything, and writes it out; how much that is.
struct Loud {
    said: Arc<AtomicUsize>,
}

impl tracing::Subscriber for Loud {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        self.said.fetch_add(format!("{span:?}").len(), Ordering::Relaxed);
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.said.fetch_add(format!("{event:?}").len(), Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn a_case_is_a_text_that_comes_back() {
    let case = Case::draw(7);
    let text = serde_json::to_string(&case).unwrap();
    assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
}

#[test]
fn a_failing_case_becomes_small() {
    let has_receive = |nodes: &[Node]| format!("{nodes:?}").contains("Sleep");
    let fails = |case: &Case| case.programs.iter().any(|root| has_receive(&root.program.nodes));
    let large = (1..).map(Case::draw).find(|case| fails(case) && case.slots[0].len() > 3).unwrap();
    let small = shrink(&large, 5_000, fails);
    assert!(fails(&small));
    let nodes: usize = small.programs.iter().map(|root| root.program.nodes.len()).sum();
    assert_eq!((nodes, small.slots[0].len(), small.blows.len()), (1, 0, 0), "{small:?}");
}

#[test]
fn a_broken_promise_is_seen() {
    let case = Case::draw(1);
    let mut played = case.play(crate::sim::Words::No);
    assert_eq!(judge(&case, &played), Vec::<String>::new());
    let start = played.seen.acks.iter().find(|ack| matches!(ack.what, Acked::Started(..))).cloned().unwrap();
    played.seen.acks.push(Ack { what: Acked::Started(0, durable::RunId([7; 16])), ..start });
    assert_eq!(judge(&case, &played).len(), 1);
}

/// A case without programs in which one process lives after the other, until somebody has asked something at last.
fn lives(lives: Vec<Life>, blows: Vec<Blow>) -> Case {
    let conduct = Conduct {
        puts_away: false,
        room: Room::Large,
        attempts: 1000,
        drivers: None,
        lag: (0, 0),
        sole_lock: false,
        file_system: Personality::Hostile,
    };
    let clients = vec![vec![Planned { at_ms: 600_000, deed: Deed::List }]];
    Case { seed: 1, conduct, programs: Vec::new(), clients, slots: vec![lives], blows }
}

fn life(after_ms: u32, death: Option<Death>) -> Life {
    Life { after_ms, build: Build::First, lasts_ms: 1_000, death, faults: Vec::new(), stops: Vec::new() }
}

#[test]
fn a_crash_counts_when_the_store_is_opened_again_and_its_power_cuts_once() {
    let power = |at_ms| Blow { at_ms, what: Hit::Power(1) };
    let closed = Death { at: Moment::ShutDown(500), leaves: Leaves::Nothing, power: None };
    // The power goes twice behind the first, is killed the second, closes the third, and goes again then.
    let case = lives(
        vec![life(0, None), life(10, None), life(0, Some(closed)), life(10, None)],
        vec![power(500), power(505), power(2_015)],
    );
    let verdict = case.check();
    assert_eq!(verdict.wrong, Vec::<String>::new(), "{:#?}", verdict.lines);
    assert_eq!((verdict.counts.crashes, verdict.counts.power_cuts), (3, 1), "{:#?}", verdict.lines);
}

fn of_one(nodes: Vec<Node>, clients: Vec<Vec<Planned>>) -> Case {
    let root = Root { program: Program { nodes, fails: false }, limit_ms: None };
    Case { programs: vec![root], clients, ..lives(Vec::new(), Vec::new()) }
}

#[test]
fn a_receive_that_is_not_polled_for_an_hour_gets_few_signals() {
    let waits = Node::Drop(Box::new(Node::Receive(0)), Box::new(Node::Sleep(3_600_000)));
    let case = of_one(vec![waits], vec![vec![Planned { at_ms: 0, deed: Deed::Start(0) }]]);
    let played = case.play(crate::sim::Words::No);
    assert_eq!(judge(&case, &played), Vec::<String>::new());
    let events = played.first.unwrap().runs.into_values().next().unwrap().journal.len();
    assert!((20..60).contains(&events), "{events} events");
}

#[test]
fn nobody_waits_for_a_run_that_nobody_starts() {
    let case = of_one(Vec::new(), vec![vec![Planned { at_ms: 0, deed: Deed::Signal(0, 0, true) }]]);
    assert_eq!(case.check().wrong, Vec::<String>::new());
}

/// Which of two branches comes first to its next call decides the child's seq, and with that its id.
#[test]
fn a_child_that_comes_later_under_a_slow_disk_has_the_effects_of_one_that_comes_sooner() {
    let (how, tries) = (How::Error, Tries::Forever);
    let ask = |site, takes_ms, fails| Ask { site, takes_ms, fails, how, tries, within_ms: None, of: 0, more: None };
    let child = Program { nodes: vec![Node::Call(ask(7, 0, 0))], fails: false };
    let calls = vec![Node::Call(ask(1, 0, 2)), Node::Call(ask(2, 0, 0)), Node::Call(ask(3, 0, 0))];
    let both = vec![Node::Seq(calls), Node::Seq(vec![Node::Call(ask(4, 3_000, 0)), Node::Child(child)])];
    let start = vec![vec![Planned { at_ms: 0, deed: Deed::Start(0) }]];
    let case = of_one(vec![Node::All(both)], start);
    let id_of_child = |case: &Case| {
        let played = case.play(crate::sim::Words::No);
        let ids: Vec<String> = played.first.unwrap().runs.into_keys().map(|id| id.to_string()).collect();
        ids.into_iter().find(|id| id.contains('/')).unwrap()
    };
    let slow = (1..).map(|seed| Case { seed, conduct: Conduct { lag: (50, 60_000), ..case.conduct }, ..case.clone() });
    let slow = slow.take(20).find(|slow| id_of_child(slow) != id_of_child(&case)).unwrap();
    assert!(slow.is_tame());
    assert_eq!(slow.check().wrong, Vec::<String>::new());
}

#[test]
fn what_is_wrong_in_the_same_way_has_the_same_words() {
    let of = |wrong: &str| Verdict { wrong: vec![wrong.to_owned()], ..Case::draw(1).check() };
    let (one, other) = (of("`run-1` has not ended"), of("`run-0/2` has not ended"));
    assert!(one.is_like(&other));
    assert!(!one.is_like(&of("`run-1` has events after its end")));
    assert!(of("runs do not end: run-1 running").is_like(&of("runs do not end: ")));
    assert!(!of("runs do not end: run-1 running").is_like(&of("runs ended with {}")));
}
