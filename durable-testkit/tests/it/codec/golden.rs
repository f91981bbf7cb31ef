//! One event of each kind as bytes, and the tables: the format as it is. A change here is a change of the format.

use std::fmt::Write;
use std::sync::Arc;

use durable::codec::frame::{Place, SegmentNo};
use durable::codec::names::Names;
use durable::codec::{DecodeError, event, kind, section, tables};
use durable::kernel::event::*;
use durable::kernel::id::*;
use durable::kernel::short::Short;
use durable::kernel::tables::{AllTables, Tables};
use expect_test::{Expect, expect};

const AT: Timestamp = Timestamp(1_700_000_000_000_000);

fn later(span_us: i64) -> Timestamp {
    Timestamp(AT.0 + span_us)
}

fn payload(body: &[u8]) -> Payload {
    [&[1], body].concat().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn started() -> RunStarted {
    RunStarted {
        run: RunId(*b"0123456789abcdef"),
        namespace: "ns".into(),
        id: "order-42".into(),
        workflow: "checkout".into(),
        version: 3,
        input: payload(b"\x81\xa1n\x07"),
        value: Digest(0x1122_3344_5566_7788),
        shape: Digest(0x99aa_bbcc_ddee_ff00),
        trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap()),
        headers: vec![("tenant".into(), payload(b"\xa1t"))],
        build: "b1".into(),
        semantics: 1,
        deadline: Some(later(60_000_000)),
        attributes: vec![("city".into(), payload(b"\xa1c"))],
        parent: Some((RunNo(5), Seq(6))),
        seed: *b"seedseedseedseed",
        salt: *b"saltsaltsaltsalt",
        queue: "q".into(),
        priority: -1,
        message: "m1".into(),
    }
}

fn call(seq: u32) -> ActivityScheduled {
    ActivityScheduled {
        seq: Seq(seq),
        name: "charge".into(),
        value: Digest(0x0102_0304_0506_0708),
        shape: Digest(0x1112_1314_1516_1718),
        binding: Binding::default(),
        undo: UndoBits::default(),
        undoes: None,
        input: None,
    }
}

fn entries() -> Vec<Entry> {
    let all_options = ActivityScheduled {
        binding: Binding { at_most_once: true, by_token: true, queue: Some("q".into()), deadline: Some(later(1000)) },
        undo: UndoBits { undo: true, unknown: true, waits: true },
        undoes: Some(Seq(1)),
        input: Some(payload(b"\xc0")),
        ..call(2)
    };
    let child = ChildScheduled {
        seq: Seq(6),
        workflow: "ship".into(),
        child: RunNo(300),
        id: "ship-1".into(),
        value: Digest(1),
        shape: Digest(2),
        close: ClosePolicy::Abandon,
    };
    let one_bit = ActivityScheduled { undo: UndoBits { waits: true, ..UndoBits::default() }, ..call(8) };
    vec![
        Entry::ActivityScheduled(Arc::new(call(1))),
        Entry::ActivityScheduled(Arc::new(all_options)),
        Entry::ActivityScheduled(Arc::new(one_bit)),
        Entry::TimerStarted { seq: Seq(3), due: later(172_800_000_000) },
        Entry::SignalAwaited { seq: Seq(4), name: "approval".into() },
        Entry::SignalSent { seq: Seq(5), to: "order-7".into(), name: "approval".into(), value: Digest(9) },
        Entry::ChildScheduled(Box::new(child)),
        Entry::CompensationRegistered { seq: Seq(7), name: "remove".into(), scope: ScopeNo(1) },
        Entry::ScopeOpened { scope: ScopeNo(2), parent: ScopeNo(1) },
        Entry::ScopeClosed { scope: ScopeNo(2) },
        Entry::CommandDropped { seq: Seq(4) },
        Entry::SignalTaken { seq: Seq(4) },
    ]
}

fn attempts() -> Vec<Event> {
    let (seq, attempt, began) = (Seq(1), Attempt(2), later(-700));
    let failed = |cause| Event::AttemptFailed { seq, attempt, began, cause, due: later(100_000), maybe: true };
    let ended = |error| Event::ActivityFailed { seq, attempt, began, error, maybe: false };
    let app = CallFailure::App { error: payload(b"\xa1e"), text: "declined".into() };
    let last = Box::new(CallFailure::TimedOut(Which::StartToClose));
    vec![
        Event::AttemptStarted { seq, attempt },
        failed(AttemptCause::Error { error: payload(b"\xa1e"), text: "no".into() }),
        failed(AttemptCause::TimedOut),
        failed(AttemptCause::Panicked("boom".into())),
        failed(AttemptCause::Interrupted),
        Event::AttemptParked { seq, attempt },
        Event::ActivityCompleted { seq, attempt, began, result: payload(b"\x2a") },
        ended(app),
        ended(CallFailure::TimedOut(Which::Heartbeat)),
        ended(CallFailure::Cancelled),
        ended(CallFailure::Interrupted),
        ended(CallFailure::Panicked("boom".into())),
        ended(CallFailure::Exhausted { attempts: Attempt(5), last }),
    ]
}

fn facts() -> Vec<Event> {
    let signal = |sender| Event::SignalReceived { name: "approval".into(), payload: payload(b"\xc3"), sender };
    vec![
        Event::TimerFired { seq: Seq(3), at: later(5) },
        signal(Sender::Anonymous),
        signal(Sender::Message("m2".into())),
        signal(Sender::Run(RunId(*b"0123456789abcdef"), Seq(8))),
        Event::ChildEnded {
            seq: Seq(6),
            how: End::NotStarted,
            body: End::NotStarted,
            result: Payload::default(),
            undone: Undone::default(),
        },
        Event::ChildEnded {
            seq: Seq(6),
            how: End::CompensationFailed,
            body: End::Cancelled,
            result: Payload::default(),
            undone: undone(),
        },
        Event::CancelRequested {
            scope: ScopeNo(0),
            actor: "ada".into(),
            reason: "too late".into(),
            message: "m3".into(),
        },
        Event::RunTimedOut { at: later(0) },
        Event::CompensationStarted { cause: End::Failed, result: payload(b"\xa1e") },
    ]
}

fn undone() -> Undone {
    let call = |seq, name: &str| UndoneCall { seq: Seq(seq), name: name.into() };
    Undone {
        undone: vec![call(1, "charge")],
        not_undone: vec![call(2, "charge"), call(300, "ship")],
        unknown: vec![call(7, "")],
    }
}

fn ends_and_builds() -> Vec<Event> {
    let ended = RunEnded {
        how: End::CompensationFailed,
        body: End::Failed,
        result: payload(b"\xa1e"),
        undone: undone(),
        actor: "ada".into(),
        reason: "why".into(),
    };
    vec![
        Event::RunEnded(Box::new(ended)),
        Event::BuildChanged { build: "b2".into() },
        Event::RunBlocked { build: "b2".into(), reason: "mismatch".into() },
        Event::RunUnblocked { build: "b3".into(), reason: "fits".into() },
        Event::Opened { build: "b2".into(), pid: 4242, host: "box".into() },
        Event::Closed,
        Event::Checkpoint { part: 0, of: 1, tables: payload(b"") },
    ]
}

fn all() -> Vec<Event> {
    let turn = Event::Turn { of: EventNo(0), entries: entries().into() };
    let empty = Event::Turn { of: EventNo(1000), entries: Short::NOTHING };
    [vec![Event::RunStarted(Box::new(started())), turn, empty], attempts(), facts(), ends_and_builds()].concat()
}

fn check(events: &[Event], expected: Expect) {
    let mut names = Names::new();
    let mut lines = String::new();
    for event in events {
        let mut bytes = Vec::new();
        event::encode(event, AT, &mut names, &mut bytes);
        let name = kind::name(event::kind_of(event)).unwrap();
        let (head, body) = (bytes.len() - event::peek(&mut &*bytes).unwrap().body.len(), bytes.len());
        writeln!(lines, "{name} {} {}", hex(&bytes[..head]), hex(&bytes[head..body])).unwrap();
    }
    expected.assert_eq(&lines);
}

#[test]
fn every_kind_that_can_be_read_is_held_here() {
    let mut held: Vec<_> = all().iter().map(event::kind_of).collect();
    held.sort_unstable();
    held.dedup();
    let known: Vec<_> = kind::ALL.iter().map(|(kind, _)| *kind).filter(|kind| kind::is_known(*kind)).collect();
    assert_eq!(held, known);
}

#[test]
fn the_bytes_of_a_start_and_of_turns() {
    check(
        &all()[..3],
        expect![[r#"
            RunStarted 100001009f01 30313233343536373839616263646566026e73086f726465722d343208636865636b6f757403050181a16e07887766554433221100ffeeddccbbaa99014bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701010674656e616e740301a1740262310101fc000e27070104636974790301a1630105067365656473656564736565647365656473616c7473616c7473616c7473616c74017101026d31
            Turn 18000100a201 000c0001000663686172676518171615141312110807060504030201000002000807060504030201fbff010171fbd007010201c00008000807060504030201fb00010103fd00805d775000000002040108617070726f76616c0305076f726465722d3701090000000000000004060204736869700200000000000000fb2c0106736869702d3101000000000000000205070672656d6f766501060201070208040904
            Turn 1800010004 fbe80300
        "#]],
    );
}

#[test]
fn the_bytes_of_attempts() {
    check(
        &attempts(),
        expect![[r#"
        AttemptStarted 2000010002 0102
        AttemptFailed 2200010013 0102fb7705000301a165026e6ffc400d030001
        AttemptFailed 220001000c 0102fb770501fc400d030001
        AttemptFailed 2200010011 0102fb77050204626f6f6dfc400d030001
        AttemptFailed 220001000c 0102fb770503fc400d030001
        AttemptParked 2400010002 0102
        ActivityCompleted 3000010008 0102fb770502012a
        ActivityFailed 3200010015 0102fb770500000301a165086465636c696e656400
        ActivityFailed 3200010009 0102fb770500010300
        ActivityFailed 3200010008 0102fb7705000200
        ActivityFailed 3200010008 0102fb7705000300
        ActivityFailed 320001000d 0102fb7705000404626f6f6d00
        ActivityFailed 320001000a 0102fb77050105010000
    "#]],
    );
}

#[test]
fn the_bytes_of_facts() {
    check(
        &facts(),
        expect![[r#"
            TimerFired 4000010002 030a
            SignalReceived 480001000d 08617070726f76616c0201c300
            SignalReceived 4800010010 08617070726f76616c0201c301026d32
            SignalReceived 480001001e 08617070726f76616c0201c3023031323334353637383961626364656608
            ChildEnded 5000010007 06060600000000
            ChildEnded 5000010021 06050200010106636861726765020206636861726765fb2c010473686970010700
            CancelRequested 5800010011 000361646108746f6f206c617465026d33
            RunTimedOut 5a00010001 00
            CompensationStarted 6000010005 010301a165
        "#]],
    );
}

#[test]
fn the_bytes_of_ends_and_builds() {
    check(
        &ends_and_builds(),
        expect![[r#"
            RunEnded 680001002b 05010301a165010106636861726765020206636861726765fb2c0104736869700107000361646103776879
            BuildChanged 7000010003 026232
            RunBlocked 780001000c 026232086d69736d61746368
            RunUnblocked 7a00010008 0262330466697473
            Opened 000101000a 026232fb921003626f78
            Closed 0201010000 
            Checkpoint 1001010004 00010101
        "#]],
    );
}

#[test]
fn an_option_that_nobody_knows_is_refused() {
    let turn = Event::Turn { of: EventNo(0), entries: vec![Entry::ActivityScheduled(Arc::new(call(1)))].into() };
    let mut bytes = Vec::new();
    event::encode(&turn, AT, &mut Names::new(), &mut bytes);
    // The bits are the last byte: its next value that is no option takes two bytes more.
    assert_eq!(bytes.pop(), Some(0));
    bytes.extend([251, 0, 2]);
    bytes[4] += 2;
    let rule = "a call has no options but those that are known";
    assert_eq!(event::decode(&mut &*bytes, AT, &mut Names::new()), Err(DecodeError::Value { rule }));
}

#[test]
fn the_bytes_of_a_section() {
    let events = vec![
        Event::TimerFired { seq: Seq(3), at: later(5) },
        Event::Turn { of: EventNo(200), entries: Short::NOTHING },
    ];
    let section = Section::of(RunNo(300), EventNo(200), later(-1), events);
    let mut bytes = Vec::new();
    section::encode(&section, Some(Place { segment: SegmentNo(2), offset: 8192 }), AT, &mut Names::new(), &mut bytes);
    expect!["ac02c80102800801024000010002030c1800010002c800"].assert_eq(&hex(&bytes));
}

#[test]
fn the_bytes_of_the_tables() {
    let mut tables = Tables { next_run: RunNo(7), ..Tables::default() };
    let turn = Event::Turn { of: EventNo(0), entries: entries().into() };
    let started = Event::RunStarted(Box::new(started()));
    tables.apply(RunNo(7), EventNo(0), AT, &started).unwrap();
    tables.apply(RunNo(7), EventNo(1), AT, &turn).unwrap();
    for (no, event) in (2..).zip(attempts().into_iter().take(2)) {
        tables.apply(RunNo(7), EventNo(no), later(10), &event).unwrap();
    }
    let (attempt, began, error) = (Attempt(1), later(-700), CallFailure::Cancelled);
    let rest = [
        Event::ActivityFailed { seq: Seq(2), attempt, began, error, maybe: true },
        Event::CompensationStarted { cause: End::Failed, result: Payload::default() },
        Event::RunBlocked { build: "b2".into(), reason: "mismatch".into() },
    ];
    for (no, event) in (4..).zip(rest) {
        tables.apply(RunNo(7), EventNo(no), later(20), &event).unwrap();
    }
    let mut bytes = Vec::new();
    tables::encode(&AllTables::of(&[&tables]), &mut bytes);
    assert_eq!(tables::decode(&bytes), Ok(tables));
    expect!["020807026e7308636865636b6f757402623106636861726765000262320672656d6f766501d001073031323334353637383961626364656600086f726465722d34320103887766554433221100ffeeddccbbaa9973616c7473616c7473616c7473616c7402014bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b701010506fd00803c3048140c00000701040401000003000004000000000202fc400d0300026e6f01030001fd00805d7750000000060003fb2c0106736869702d31020800000300000400000001000000000105086d69736d617463682800010103080300000100000007060100000100000203010101020000"].assert_eq(&hex(&bytes));
}

#[test]
fn the_bytes_of_a_table_of_names() {
    let mut names = Names::new();
    event::encode(&all()[1], AT, &mut names, &mut Vec::new());
    let mut bytes = Vec::new();
    names.encode(&mut bytes);
    expect!["030663686172676501181716151413121108617070726f76616c000473686970010200000000000000"]
        .assert_eq(&hex(&bytes));
}
