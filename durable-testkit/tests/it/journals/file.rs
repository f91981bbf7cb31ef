//! A journal's file gives the journal back exactly, is read whatever it holds without a panic, and refuses what it is not.

use durable::codec::format_file::{FORMAT, REVISION};
use durable::journal::{Journal, JournalError, RunJournal};
use durable::kernel::event::{Event, RunStarted};
use durable::kernel::id::{EventNo, RunId, Timestamp};
use durable::kernel::short::Short;
use expect_test::expect;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::codec::arbitrary;

/// A journal of a run's start and whatever else, in sections of their own times.
fn journals() -> impl Strategy<Value = RunJournal> {
    let later = vec((1..3_u64, arbitrary::time(), arbitrary::event()), 0..12);
    (arbitrary::time(), later).prop_map(|(at, later)| {
        let mut events: Journal = vec![(EventNo(0), at, Event::RunStarted(Box::new(started())))];
        for (step, at, event) in later {
            let no = EventNo(events.last().map_or(0, |(no, _, _)| no.0) + step);
            events.push((no, at, event));
        }
        RunJournal::new(events).unwrap()
    })
}

fn started() -> RunStarted {
    let (run, id, workflow) = (RunId([7; 16]), "order-42".into(), "checkout".into());
    RunStarted { run, id, workflow, version: 1, ..RunStarted::default() }
}

fn small() -> RunJournal {
    let at = Timestamp(1_767_225_600_000_000);
    let ended = Event::RunBlocked { build: "b1".into(), reason: "it panicked".into() };
    let events = vec![
        (EventNo(0), at, Event::RunStarted(Box::new(started()))),
        (EventNo(1), at, Event::Turn { of: EventNo(0), entries: Short::NOTHING }),
        (EventNo(2), at, ended),
    ];
    RunJournal::new(events).unwrap()
}

fn refused(text: &str) -> String {
    text.parse::<RunJournal>().unwrap_err().to_string()
}

proptest! {
    #[test]
    fn a_journal_comes_back_from_its_text_as_it_was(journal in journals()) {
        let text = journal.to_string();
        let back: RunJournal = text.parse().unwrap();
        prop_assert_eq!(&back, &journal);
        prop_assert_eq!(back.to_string(), text);
    }

    #[test]
    fn lines_may_end_as_on_windows_and_empty_ones_are_stepped_over(journal in journals()) {
        let text = journal.to_string().replace('\n', "\r\n\r\n");
        prop_assert_eq!(text.parse::<RunJournal>().unwrap(), journal);
    }

    #[test]
    fn a_changed_text_is_read_or_refused(
        journal in journals(),
        at in any::<prop::sample::Index>(),
        len in 0..6_usize,
        put in vec(any::<char>(), 0..6),
    ) {
        let text: Vec<char> = journal.to_string().chars().collect();
        let at = at.index(text.len());
        let end = (at + len).min(text.len());
        let changed: String = text[..at].iter().chain(&put).chain(&text[end..]).collect();
        read_or_refuse(&changed)?;
    }

    #[test]
    fn any_text_is_read_or_refused(lines in vec(any::<String>(), 0..4)) {
        read_or_refuse(&lines.join("\n"))?;
    }

    /// A head and lines of the right form, with bytes that nobody encoded.
    #[test]
    fn any_bytes_are_read_or_refused(kinds in vec((0..0x0130_u16, vec(any::<u8>(), 0..60)), 1..6)) {
        let mut text: String = small().to_string().lines().take(2).map(|line| format!("{line}\n")).collect();
        text = text.replace("\"events\":3", &format!("\"events\":{}", kinds.len() + 1));
        for (no, (kind, body)) in kinds.iter().enumerate() {
            let mut bytes = kind.to_le_bytes().to_vec();
            bytes.extend([1, 0, u8::try_from(body.len()).unwrap()]);
            bytes.extend(body);
            let name = durable::codec::kind::name(*kind).map_or_else(|| kind.to_string(), str::to_owned);
            let bytes: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            text += &format!("{{\"no\":{},\"at\":0,\"kind\":\"{name}\",\"bytes\":\"{bytes}\"}}\n", no + 1);
        }
        read_or_refuse(&text)?;
    }
}

/// What is read is written again so that it reads as the same.
fn read_or_refuse(text: &str) -> Result<(), TestCaseError> {
    if let Ok(journal) = text.parse::<RunJournal>() {
        prop_assert_eq!(journal.to_string().parse::<RunJournal>().unwrap(), journal);
    }
    Ok(())
}

#[test]
fn a_file_is_read_by_people() {
    expect![[r#"
        {"journal":"durable","format":0,"revision":3,"id":"order-42","namespace":"","run":"07070707-0707-0707-0707-070707070707","workflow":"checkout","version":1,"build":"","started":"2026-01-01T00:00:00.000000Z","status":"blocked","events":3}
        {"no":0,"at":1767225600000000,"time":"2026-01-01T00:00:00.000000Z","kind":"RunStarted","fields":{"build":"","id":"order-42","input":null,"run":"07070707-0707-0707-0707-070707070707","salt":"00000000000000000000000000000000","seed":"00000000000000000000000000000000","semantics":0,"shape":"0000000000000000","value":"0000000000000000","version":1,"workflow":"checkout"},"bytes":""}
    "#]]
    .assert_eq(&steady(&small().to_string()));
}

/// The first two lines, without the bytes, which other tests hold.
fn steady(text: &str) -> String {
    let lines = text.lines().take(2).map(|line| match line.split_once("\"bytes\":\"") {
        Some((before, _)) => format!("{before}\"bytes\":\"\"}}\n"),
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn a_file_of_another_format_is_refused_by_name() {
    let text = small().to_string().replacen("\"revision\":3", "\"revision\":99", 1);
    let other = JournalError::OtherFormat { format: FORMAT, revision: 99 };
    assert_eq!(text.parse::<RunJournal>(), Err(other));
    let told = refused(&text);
    assert!(told.contains("format 0 revision 99") && told.contains(&format!("revision {REVISION}")), "{told}");
    // Also where nothing else of its head is as this build knows it.
    assert!(refused(r#"{"journal":"durable","format":7,"revision":1}"#).ends_with("[E0318]"));
}

#[test]
fn what_is_no_journal_is_refused_with_the_reason() {
    let text = small().to_string();
    let lines: Vec<&str> = text.lines().collect();
    for (text, why) in [
        (String::new(), "its first line is no head"),
        (text.replacen("\"journal\":\"durable\"", "\"journal\":\"diary\"", 1), "does not say that it is one"),
        (lines[..3].join("\n"), "its first line says 3 events, and 2 follow"),
        (lines[1..].join("\n"), "its first line is no head"),
        (
            text.replacen("07070707-0707-0707-0707-070707070707", &RunId([8; 16]).to_string(), 1),
            "its first line is of run 08",
        ),
        ([lines[0], lines[2], lines[1], lines[3]].join("\n"), "its first event is not the start of a run"),
        ([lines[0], lines[1], lines[3], lines[2]].join("\n"), "the numbers of its events do not rise"),
    ] {
        let told = refused(&text);
        assert!(told.contains(why) && told.ends_with("[E0317]"), "{told}");
    }
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let text = small().to_string();
    for (change, to, why) in [
        (
            "\"kind\":\"Turn\"",
            "\"kind\":\"TimerFired\"",
            "line 3 of the journal cannot be read: it says \"TimerFired\", and its bytes are \"Turn\"",
        ),
        ("\"no\":1,", "\"no\":one,", "line 3 of the journal cannot be read: expected value"),
        ("\"no\":2,", "\"number\":2,", "line 4 of the journal cannot be read: missing field `no`"),
    ] {
        let told = refused(&text.replacen(change, to, 1));
        assert!(told.contains(why) && told.ends_with("[E0319]"), "{told}");
    }
    let with_bytes = |bytes: &str| {
        let (line, _) = text.lines().nth(2).unwrap().rsplit_once("\"bytes\":\"").unwrap();
        let line = format!("{line}\"bytes\":\"{bytes}\"}}");
        refused(
            &text
                .lines()
                .enumerate()
                .map(|(no, old)| if no == 2 { line.clone() } else { old.to_owned() } + "\n")
                .collect::<String>(),
        )
    };
    let turn = text.lines().nth(2).unwrap().rsplit_once("\"bytes\":\"").unwrap().1.trim_end_matches("\"}").to_owned();
    for (bytes, why) in [
        ("0x12".to_owned(), "not written in hexadecimal"),
        ("123".to_owned(), "not written in hexadecimal"),
        (format!("{turn}00"), "1 bytes stand behind its event"),
        (turn[..turn.len() - 2].to_owned(), "line 3 of the journal cannot be read"),
    ] {
        let told = with_bytes(&bytes);
        assert!(told.contains(why) && told.ends_with("[E0319]"), "{told}");
    }
}

#[test]
fn what_is_for_people_may_be_edited_and_changes_nothing() {
    let text = small().to_string();
    let edited = text.replace("\"time\":\"2026", "\"time\":\"1999").replacen("it panicked", "who knows", 1);
    assert_ne!(edited, text);
    assert_eq!(edited.parse::<RunJournal>().unwrap(), small());
}
