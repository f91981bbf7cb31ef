//! A run's journal as a file: JSON lines that a person can read and that give the journal back exactly. What is read back is the bytes of
//! the events; what stands beside them is for the eyes. A file is untrusted input: whatever it holds is refused or read, never a panic.

mod error;
mod shown;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::error::JournalError;
pub use self::shown::fields;
pub use crate::store::Journal;
pub use crate::store::log::JournalEvent;

use super::status::{Micros, Status};
use crate::codec::format_file::{FORMAT, REVISION};
use crate::codec::kind;
use crate::codec::names::Names;
use crate::codec::{DecodeError, event};
use crate::kernel::event::{Event, RunEnded, RunStarted};
use crate::kernel::id::{EventNo, Timestamp};

/// What the first line of a file says that it is.
const WHAT: &str = "durable";

/// A run's journal, apart from its store.
///
/// Its text is JSON lines. The first says what the file is, of which format, and which run it is of. Each other line is one event: its
/// number, its time, its kind, its fields for a person to read (recorded values as JSON where they can be shown), and its bytes as in
/// the log, in hexadecimal. Reading takes number, time and bytes, and checks the kind; fields that were edited change nothing.
///
/// A journal holds the run's input, and the results of its calls, in clear: look at one before you give it away.
///
/// # Examples
/// ```
/// # use durable::prelude::*;
/// use durable::journal::RunJournal;
/// # #[workflow]
/// # async fn greet(name: String) -> Result<String, String> { Ok(format!("hello, {name}")) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let rt = durable::Runtime::builder(dir.path()).register((greet,)).open().await?;
/// # rt.start(greet("you".to_owned())).id("greeting-1").await?.result().await?;
/// # rt.shutdown().await?;
///
/// let store = durable::Runtime::open_read_only(dir.path()).await?;
/// let journal = RunJournal::new(store.journal("", "greeting-1").await?)?;
/// let text = journal.to_string();
/// assert!(text.contains(r#""kind":"RunStarted""#));
///
/// let back: RunJournal = text.parse()?;
/// assert_eq!(back, journal);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunJournal {
    /// Its first event is the run's start, and their numbers rise.
    events: Journal,
}

/// The first line of a file.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    journal: String,
    format: u32,
    revision: u32,
    id: String,
    namespace: String,
    run: String,
    workflow: String,
    version: u32,
    build: String,
    started: String,
    status: String,
    events: u64,
}

/// What every head has, of whichever format.
#[derive(Debug, Deserialize)]
struct Mark {
    journal: String,
    format: u32,
    revision: u32,
}

/// A line that is written.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    no: u64,
    at: i64,
    time: String,
    kind: &'a str,
    fields: Value,
    bytes: String,
}

/// What of a line is read.
#[derive(Debug, Deserialize)]
struct Line<'a> {
    no: u64,
    at: i64,
    #[serde(borrow)]
    kind: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    bytes: std::borrow::Cow<'a, str>,
}

impl RunJournal {
    /// The journal that these events are, as a store gives them.
    ///
    /// # Errors
    /// [`JournalError::NotAJournal`] if the first is not a run's start of number 0, or their numbers do not rise.
    pub fn new(events: Journal) -> Result<RunJournal, JournalError> {
        let why = |why: &str| JournalError::NotAJournal { why: why.to_owned() };
        if !matches!(events.first(), Some((EventNo(0), _, Event::RunStarted(_)))) {
            return Err(why("its first event is not the start of a run"));
        }
        if !events.is_sorted_by(|(before, _, _), (after, _, _)| before < after) {
            return Err(why("the numbers of its events do not rise"));
        }
        Ok(RunJournal { events })
    }

    /// Its events, in their order.
    #[must_use]
    pub fn events(&self) -> &[JournalEvent] {
        &self.events
    }

    /// What the run was started with.
    #[must_use]
    pub fn started(&self) -> &RunStarted {
        match self.events.first() {
            Some((_, _, Event::RunStarted(started))) => started,
            _ => unreachable!("because a journal begins with the start of its run"),
        }
    }

    /// How the run ended; none if it is open.
    #[must_use]
    pub fn ended(&self) -> Option<&RunEnded> {
        match self.events.last() {
            Some((_, _, Event::RunEnded(ended))) => Some(ended),
            _ => None,
        }
    }

    /// Where the journal leaves the run; [`Status::Blocked`] if nothing but facts came after it was blocked.
    #[must_use]
    pub fn status(&self) -> Status {
        if let Some(ended) = self.ended() {
            return ended.how.into();
        }
        let mut status = Status::Running;
        for (_, at, event) in &self.events {
            match event {
                Event::RunBlocked { reason, .. } => {
                    let since = Some((*at).into());
                    status = Status::Blocked { reason: reason.to_string(), since };
                }
                Event::CompensationStarted { .. } => status = Status::Compensating,
                Event::RunUnblocked { .. } | Event::Turn { .. } if matches!(status, Status::Blocked { .. }) => {
                    status = Status::Running;
                }
                _ => {}
            }
        }
        status
    }

    fn head(&self) -> Head {
        let started = self.started();
        Head {
            journal: WHAT.to_owned(),
            format: FORMAT,
            revision: REVISION,
            id: started.id.to_string(),
            namespace: started.namespace.to_string(),
            run: started.run.to_string(),
            workflow: started.workflow.to_string(),
            version: started.version,
            build: started.build.to_string(),
            started: self.events.first().map(|(_, at, _)| Micros(*at).to_string()).unwrap_or_default(),
            status: self.status().to_string(),
            events: self.events.len() as u64,
        }
    }
}

/// The lines of the file, each with its end.
impl fmt::Display for RunJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = |line: Result<String, serde_json::Error>| line.map_err(|_| fmt::Error);
        writeln!(f, "{}", json(serde_json::to_string(&self.head()))?)?;
        let mut names = Names::new();
        for (no, at, event) in &self.events {
            let mut bytes = Vec::new();
            event::encode(event, *at, &mut names, &mut bytes);
            let line = Shown {
                no: no.0,
                at: at.0,
                time: Micros(*at).to_string(),
                kind: kind::name(event::kind_of(event)).unwrap_or_default(),
                fields: fields(event),
                bytes: shown::hex(&bytes),
            };
            writeln!(f, "{}", json(serde_json::to_string(&line))?)?;
        }
        Ok(())
    }
}

impl FromStr for RunJournal {
    type Err = JournalError;

    fn from_str(text: &str) -> Result<RunJournal, JournalError> {
        let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let head = head(lines.next().map_or("", |(line, _)| line))?;
        let mut names = Names::new();
        let (mut events, mut found) = (Journal::new(), 0);
        for (line, number) in lines {
            let read = read(line, &mut names).map_err(|why| JournalError::Line { line: number, why })?;
            events.extend(read);
            found += 1;
        }
        let why = |why: String| JournalError::NotAJournal { why };
        if found != head.events {
            return Err(why(format!("its first line says {} events, and {found} follow", head.events)));
        }
        let journal = RunJournal::new(events)?;
        let run = journal.started().run.to_string();
        if run != head.run {
            return Err(why(format!("its first line is of run {}, its events of run {run}", head.run)));
        }
        Ok(journal)
    }
}

fn head(line: &str) -> Result<Head, JournalError> {
    let why =
        |error: serde_json::Error| JournalError::NotAJournal { why: format!("its first line is no head: {error}") };
    let Mark { journal, format, revision } = serde_json::from_str(line).map_err(why)?;
    if journal != WHAT {
        return Err(JournalError::NotAJournal { why: "its first line does not say that it is one".to_owned() });
    }
    if (format, revision) != (FORMAT, REVISION) {
        return Err(JournalError::OtherFormat { format, revision });
    }
    serde_json::from_str(line).map_err(why)
}

/// One event; none if it is unknown and may be stepped over.
fn read(line: &str, names: &mut Names) -> Result<Option<JournalEvent>, String> {
    let Line { no, at, kind, bytes } = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let bytes = shown::unhex(&bytes).ok_or("its bytes are not written in hexadecimal")?;
    let rest = &mut bytes.as_slice();
    let undecodable = |error: DecodeError| error.to_string();
    let raw = event::peek(rest).map_err(undecodable)?;
    if !rest.is_empty() {
        return Err(format!("{} bytes stand behind its event", rest.len()));
    }
    let named = kind::name(raw.kind).map_or_else(|| raw.kind.to_string(), str::to_owned);
    if named != kind {
        return Err(format!("it says {kind:?}, and its bytes are {named:?}"));
    }
    let event = event::decode_raw(&raw, Timestamp(at), names).map_err(undecodable)?;
    Ok(event.map(|event| (EventNo(no), Timestamp(at), event)))
}
