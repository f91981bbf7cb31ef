//! What a step costs in the log beyond its payload.

use std::sync::Arc;

use durable::codec::frame::{Place, SegmentNo};
use durable::codec::names::Names;
use durable::codec::section;
use durable::kernel::event::{ActivityScheduled, Binding, Entry, Event, Section, UndoBits};
use durable::kernel::id::{Attempt, Digest, EventNo, RunNo, Seq, Timestamp};
use expect_test::expect;

/// The section of step `n` of a run: a call completes with 100 bytes, and the turn asks for the next one.
fn step(n: u32, at: Timestamp) -> Section {
    let completed = Event::ActivityCompleted {
        seq: Seq(n),
        attempt: Attempt(1),
        began: Timestamp(at.0 - 700),
        result: vec![1; 100].into(),
    };
    let next = Entry::ActivityScheduled(Arc::new(ActivityScheduled {
        seq: Seq(n + 1),
        name: "charge".into(),
        value: Digest(u64::MAX / u64::from(n + 3)),
        shape: Digest(77),
        binding: Binding::default(),
        undo: UndoBits::default(),
        undoes: None,
        input: None,
    }));
    let first = EventNo(u64::from(n) * 2);
    Section::of(RunNo(200), first, at, vec![completed, Event::Turn { of: first, entries: vec![next].into() }])
}

/// How many bytes the step takes beyond the 100, when the name is known.
fn cost(n: u32) -> usize {
    let frame_at = Timestamp(1_700_000_000_000_000);
    let mut names = Names::new();
    let prev = Some(Place { segment: SegmentNo(12), offset: 30 << 20 });
    section::encode(&step(n - 1, frame_at), prev, frame_at, &mut names, &mut Vec::new());
    let mut bytes = Vec::new();
    section::encode(&step(n, Timestamp(frame_at.0 - 90)), prev, frame_at, &mut names, &mut bytes);
    bytes.len() - 100
}

#[test]
fn a_step_costs_few_bytes_beyond_its_payload() {
    let costs = [10, 1_000, 100_000].map(|n| format!("step {n}: {} bytes\n", cost(n))).concat();
    expect![[r#"
        step 10: 41 bytes
        step 1000: 48 bytes
        step 100000: 55 bytes
    "#]]
    .assert_eq(&costs);
    assert!([10, 1_000, 100_000].iter().all(|n| cost(*n) <= 60));
}
