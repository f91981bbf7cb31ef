//! What holds for every event and for all bytes.

use durable::codec::frame::{Place, SegmentNo};
use durable::codec::names::Names;
use durable::codec::section::{self, Head};
use durable::codec::{DecodeError, event, kind, leb, tables};
use durable::kernel::event::{Event, Section};
use durable::kernel::id::{EventNo, RunNo, Timestamp};
use durable::kernel::tables::AllTables;
use proptest::collection::vec;
use proptest::prelude::*;

use super::arbitrary;

const AT: Timestamp = Timestamp(1_700_000_000_000_000);

fn encoded(events: &[Event], names: &mut Names) -> Vec<u8> {
    let mut bytes = Vec::new();
    events.iter().for_each(|event| event::encode(event, AT, names, &mut bytes));
    bytes
}

proptest! {
    #[test]
    fn events_come_back_as_they_were(events in vec(arbitrary::event(), 0..8)) {
        let (mut written, mut read) = (Names::new(), Names::new());
        let bytes = encoded(&events, &mut written);
        let mut rest = &*bytes;
        for event in &events {
            let back = event::decode(&mut rest, AT, &mut read).unwrap();
            prop_assert_eq!(back.as_ref(), Some(event));
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(written, read);
    }

    #[test]
    fn an_event_that_is_cut_anywhere_is_refused_and_leaves_the_names(event in arbitrary::event(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(std::slice::from_ref(&event), &mut Names::new());
        let cut = cut.index(bytes.len());
        let mut names = Names::new();
        prop_assert!(event::decode(&mut &bytes[..cut], AT, &mut names).is_err());
        prop_assert_eq!(names, Names::new());
    }

    #[test]
    fn a_body_with_a_byte_too_many_is_refused(event in arbitrary::event()) {
        let mut names = Names::new();
        let bytes = encoded(std::slice::from_ref(&event), &mut names);
        let raw = event::peek(&mut &*bytes).unwrap();
        let mut longer = raw.body.to_vec();
        longer.push(0);
        let raw = event::RawEvent { body: &longer, ..raw };
        prop_assert_eq!(event::decode_raw(&raw, AT, &mut Names::new()), Err(DecodeError::Trailing { left: 1 }));
    }

    #[test]
    fn a_changed_byte_never_panics(event in arbitrary::event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encoded(std::slice::from_ref(&event), &mut Names::new());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = event::decode(&mut &*bytes, AT, &mut Names::new());
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200), known in any::<prop::sample::Index>()) {
        let kinds = kind::ALL;
        let (kind, _) = kinds[known.index(kinds.len())];
        let raw = event::RawEvent { kind, version: 1, flags: 0, body: &bytes };
        let _ = event::decode_raw(&raw, AT, &mut Names::new());
        let _ = event::decode(&mut &*bytes, AT, &mut Names::new());
        let _ = tables::decode(&bytes);
        let _ = Names::decode(&mut &*bytes);
        let mut rest = &*bytes;
        if let Ok(head) = Head::decode(&mut rest, AT) {
            let _ = head.events(&mut {rest}, &mut Names::new());
            let _ = head.raw_events(&mut {rest});
            let _ = head.skip_events(&mut rest);
        }
    }

    #[test]
    fn sections_come_back_as_they_were(
        run in any::<u64>(),
        first in 0..u64::MAX / 2,
        prev in prop::option::of((1..u64::MAX, 0..u64::MAX / 8)),
        at in arbitrary::time(),
        events in vec(arbitrary::event(), 1..5),
    ) {
        let section = Section::of(RunNo(run), EventNo(first), at, events);
        let prev = prev.map(|(segment, eighth)| Place { segment: SegmentNo(segment), offset: eighth * 8 });
        let mut bytes = Vec::new();
        section::encode(&section, prev, AT, &mut Names::new(), &mut bytes);
        let mut rest = &*bytes;
        let head = Head::decode(&mut rest, AT).unwrap();
        prop_assert_eq!((head.run, head.first, head.prev, head.at), (section.run, section.first, prev, at));
        let (mut stepped_over, mut looked_at) = (rest, rest);
        let events = head.events(&mut rest, &mut Names::new()).unwrap();
        prop_assert!(rest.is_empty());
        let numbered: Vec<_> = (first..).map(EventNo).zip(section.events).collect();
        prop_assert_eq!(&events, &numbered);
        head.skip_events(&mut stepped_over).unwrap();
        prop_assert!(stepped_over.is_empty());
        let kinds: Vec<_> = head.raw_events(&mut looked_at).unwrap().iter().map(|(no, raw)| (*no, raw.kind)).collect();
        let expected: Vec<_> = numbered.iter().map(|(no, event)| (*no, event::kind_of(event))).collect();
        prop_assert_eq!(kinds, expected);
    }

    #[test]
    fn tables_come_back_as_they_were(all in arbitrary::tables(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        tables::encode(&AllTables::of(&[&all]), &mut bytes);
        prop_assert_eq!(tables::decode(&bytes), Ok(all));
        prop_assert!(tables::decode(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert_eq!(tables::decode(&bytes), Err(DecodeError::Trailing { left: 1 }));
    }

    #[test]
    fn a_table_of_names_comes_back_as_it_was(events in vec(arbitrary::event(), 0..8)) {
        let mut names = Names::new();
        encoded(&events, &mut names);
        let mut bytes = Vec::new();
        names.encode(&mut bytes);
        prop_assert_eq!(Names::decode(&mut &*bytes), Ok(names));
    }
}

/// An event of this kind with no body.
fn bare(kind: u16, version: u8, flags: u8) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend_from_slice(&[version, flags, 0]);
    bytes
}

fn decode(bytes: &[u8]) -> Result<Option<Event>, DecodeError> {
    event::decode(&mut &*bytes, AT, &mut Names::new())
}

#[test]
fn an_unknown_event_is_refused_unless_it_may_be_stepped_over() {
    let unknown = |kind, name, version, flags| Err(DecodeError::Unknown { kind, name, version, flags });
    assert_eq!(decode(&bare(0x7777, 1, 0)), unknown(0x7777, None, 1, 0));
    assert_eq!(decode(&bare(0x7777, 1, event::SKIPPABLE)), Ok(None));
    assert_eq!(decode(&bare(kind::CLOSED, 1, 0)), Ok(Some(Event::Closed)));
    assert_eq!(decode(&bare(kind::CLOSED, 2, 0)), unknown(kind::CLOSED, Some("Closed"), 2, 0));
    assert_eq!(decode(&bare(kind::CLOSED, 2, event::SKIPPABLE)), Ok(None));
    assert_eq!(decode(&bare(kind::CLOSED, 1, 2)), unknown(kind::CLOSED, Some("Closed"), 1, 2));
}

#[test]
fn a_reserved_kind_is_refused_by_name() {
    let reserved: Vec<_> = kind::ALL.iter().filter(|(kind, _)| !kind::is_known(*kind)).collect();
    for (kind, name) in &reserved {
        let error = decode(&bare(*kind, 1, 0)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(decode(&bare(*kind, 1, event::SKIPPABLE)), Ok(None));
    }
    assert_eq!(reserved.len(), 17);
}

#[test]
fn an_event_that_is_stepped_over_has_a_number() {
    let mut bytes = Vec::new();
    Head { run: RunNo(1), first: EventNo(5), prev: None, at: AT, count: 3 }.encode(AT, &mut bytes);
    bytes.extend(bare(kind::CLOSED, 1, 0));
    bytes.extend(bare(0x7777, 9, event::SKIPPABLE));
    bytes.extend(bare(kind::CLOSED, 1, 0));
    let mut rest = &*bytes;
    let head = Head::decode(&mut rest, AT).unwrap();
    let events = head.events(&mut rest, &mut Names::new()).unwrap();
    assert_eq!(events, [(EventNo(5), Event::Closed), (EventNo(7), Event::Closed)]);
}

#[test]
fn a_number_of_events_that_are_not_there_sets_no_memory_aside() {
    let mut bytes = Vec::new();
    Head { run: RunNo(1), first: EventNo(0), prev: None, at: AT, count: u64::MAX }.encode(AT, &mut bytes);
    let mut rest = &*bytes;
    let head = Head::decode(&mut rest, AT).unwrap();
    assert_eq!(head.events(&mut rest, &mut Names::new()), Err(DecodeError::Ended { missing: 2 }));
}

#[test]
fn a_name_that_no_one_wrote_is_refused() {
    // A turn with one entry: the awaiting of a signal whose name is number 3.
    let raw = event::RawEvent { kind: kind::TURN, version: 1, flags: 0, body: &[0, 1, 2, 1, 3] };
    let decoded = event::decode_raw(&raw, AT, &mut Names::new());
    assert_eq!(decoded, Err(DecodeError::UnknownName { index: 3, known: 0 }));
}

#[test]
fn a_name_written_in_full_twice_is_refused() {
    let raw =
        event::RawEvent { kind: kind::TURN, version: 1, flags: 0, body: &[0, 2, 2, 1, 0, 1, b'a', 2, 2, 1, 1, b'a'] };
    let decoded = event::decode_raw(&raw, AT, &mut Names::new());
    assert!(matches!(decoded, Err(DecodeError::Value { .. })), "{decoded:?}");
}

#[test]
fn a_full_table_of_names_writes_the_rest_in_full() {
    use durable::kernel::event::Entry;
    use durable::kernel::id::Seq;
    let await_it = |name: String| Event::Turn {
        of: EventNo(0),
        entries: vec![Entry::SignalAwaited { seq: Seq(1), name: name.as_str().into() }].into(),
    };
    let mut names = Names::new();
    encoded(&(0..1024).map(|i| await_it(format!("name {i}"))).collect::<Vec<_>>(), &mut names);
    assert_eq!(names.len(), 1024);
    let beyond = [await_it("beyond".to_owned()), await_it("beyond".to_owned()), await_it("name 7".to_owned())];
    let mut read = names.clone();
    let bytes = encoded(&beyond, &mut names);
    let mut rest = &*bytes;
    for event in beyond {
        assert_eq!(event::decode(&mut rest, AT, &mut read), Ok(Some(event)));
    }
    assert_eq!((names.len(), read.len()), (1024, 1024));
}

#[test]
fn nested_exhaustion_is_written_as_one() {
    use durable::kernel::event::CallFailure;
    use durable::kernel::id::{Attempt, Seq};
    let mut error = CallFailure::Cancelled;
    for attempts in (1..=10_000).rev() {
        error = CallFailure::Exhausted { attempts: Attempt(attempts), last: Box::new(error) };
    }
    let failed = Event::ActivityFailed { seq: Seq(1), attempt: Attempt(1), began: AT, error, maybe: false };
    let bytes = encoded(&[failed], &mut Names::new());
    let Ok(Some(Event::ActivityFailed { error, .. })) = decode(&bytes) else { panic!("no failure came back") };
    assert_eq!(error, CallFailure::Exhausted { attempts: Attempt(1), last: Box::new(CallFailure::Cancelled) });
}

#[test]
fn a_length_above_the_limit_is_refused_before_it_is_read() {
    let body = vec![0; (16 << 20) + 1];
    let raw = event::RawEvent { kind: kind::CHECKPOINT, version: 1, flags: 0, body: &body };
    let decoded = event::decode_raw(&raw, AT, &mut Names::new());
    assert_eq!(decoded, Err(DecodeError::TooLong { len: (16 << 20) + 1, limit: 16 << 20 }));
    let mut text = Vec::new();
    leb::put(u64::MAX, &mut text);
    assert!(matches!(leb::take_text(&mut &*text), Err(DecodeError::Ended { .. })));
}
