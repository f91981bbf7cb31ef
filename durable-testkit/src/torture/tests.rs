#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

#[test]
fn a_sample_of_seeds_holds_and_gives_the_same_traces_with_logging() {
    let trace = |seed| {
        let verdict = Case::draw(seed).check();
        assert!(verdict.wrong.is_empty(), "seed {seed}: {:#?}\n{}", verdict.wrong, verdict.lines.join("\n"));
        verdict.trace
    };
    let quiet: Vec<u64> = (1..=200).map(trace).collect();
    let loud: Vec<u64> = tracing::subscriber::with_default(Loud, || (1..=200).map(trace).collect());
    assert_eq!(quiet, loud);
    assert!(quiet.windows(2).all(|pair| pair[0] != pair[1]));
}

/// A subscriber that takes everything.
struct Loud;

impl tracing::Subscriber for Loud {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {}

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
