//! The ledger of effects: a file outside the store into which goes what happened, as it happens, one write a line. So it has the
//! order of all of it, whatever becomes of the process. It must never be on the file system that fails.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// What stands where a list is empty.
const NOTHING: &str = "-";

/// A line of the ledger. Names and values have no spaces; a reason ends its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// A process has opened the store.
    Open(u32),
    /// A run is about to be asked for.
    Starting(String),
    /// Its start was acknowledged.
    Started(String),
    /// Something new was refused, with this reason.
    Refused(String, String),
    /// An attempt begins.
    Begin(Begin),
    /// An attempt is about to return this.
    Gave(String),
    /// A signal is about to be sent to a run.
    Sending(String, String),
    /// The signal was acknowledged.
    Signalled(String, String),
    /// A run's end was acknowledged, with what it returned.
    Ended(String, Vec<String>),
    /// A run ended in a way in which none may.
    Failed(String, String),
    /// A run that was acknowledged is not there, or is not as it was.
    Lost(String, String),
    /// Who waited for a run was told that the store stands still.
    Store(String, String),
    /// How many operations of the disk there were, and how many of them were writes.
    Operations(u64, u64),
    /// The runtime was shut down.
    Shut,
}

/// An attempt that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Whether it may begin at most once.
    pub(crate) once: bool,
    pub(crate) run: String,
    pub(crate) step: u32,
    pub(crate) attempt: u32,
    /// Its idempotency key.
    pub(crate) key: String,
    /// The results and signals that its run has seen since the last call.
    pub(crate) seen: Vec<String>,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Line::Open(pid) => write!(f, "open {pid}"),
            Line::Starting(run) => write!(f, "starting {run}"),
            Line::Started(run) => write!(f, "started {run}"),
            Line::Refused(run, why) => write!(f, "refused {run} {why}"),
            Line::Begin(Begin { once, run, step, attempt, key, seen }) => {
                let word = if *once { "once" } else { "begin" };
                write!(f, "{word} {run} {step} {attempt} {key} {}", listed(seen))
            }
            Line::Gave(value) => write!(f, "gave {value}"),
            Line::Sending(run, value) => write!(f, "sending {run} {value}"),
            Line::Signalled(run, value) => write!(f, "signalled {run} {value}"),
            Line::Ended(run, values) => write!(f, "ended {run} {}", listed(values)),
            Line::Failed(run, why) => write!(f, "failed {run} {why}"),
            Line::Lost(run, why) => write!(f, "lost {run} {why}"),
            Line::Store(run, why) => write!(f, "store {run} {why}"),
            Line::Operations(all, writes) => write!(f, "operations {all} {writes}"),
            Line::Shut => f.write_str("shut"),
        }
    }
}

impl Line {
    /// Reads a line; none if it is not one.
    pub(crate) fn parse(line: &str) -> Option<Line> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (name, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let both = || (name.to_owned(), more.to_owned());
        Some(match word {
            "open" => Line::Open(name.parse().ok()?),
            "starting" => Line::Starting(name.to_owned()),
            "started" => Line::Started(name.to_owned()),
            "refused" => both_as(Line::Refused, both()),
            "begin" | "once" => Line::Begin(Begin::parse(word == "once", rest)?),
            "gave" => Line::Gave(name.to_owned()),
            "sending" => both_as(Line::Sending, both()),
            "signalled" => both_as(Line::Signalled, both()),
            "ended" => Line::Ended(name.to_owned(), list(more)),
            "failed" => both_as(Line::Failed, both()),
            "lost" => both_as(Line::Lost, both()),
            "store" => both_as(Line::Store, both()),
            "operations" => Line::Operations(name.parse().ok()?, more.parse().ok()?),
            "shut" => Line::Shut,
            _ => return None,
        })
    }

    /// Whether somebody was told that something is on disk.
    pub(crate) fn is_acknowledgement(&self) -> bool {
        matches!(self, Line::Started(_) | Line::Signalled(..) | Line::Ended(..))
    }
}

impl Begin {
    fn parse(once: bool, rest: &str) -> Option<Begin> {
        let words: Vec<&str> = rest.split(' ').collect();
        let [run, step, attempt, key, seen] = words.try_into().ok()?;
        let (step, attempt) = (step.parse().ok()?, attempt.parse().ok()?);
        Some(Begin { once, run: run.to_owned(), step, attempt, key: key.to_owned(), seen: list(seen) })
    }
}

fn both_as(line: impl Fn(String, String) -> Line, (run, more): (String, String)) -> Line {
    line(run, more)
}

fn listed(values: &[String]) -> String {
    if values.is_empty() { NOTHING.to_owned() } else { values.join(",") }
}

fn list(text: &str) -> Vec<String> {
    if text == NOTHING { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

/// A ledger that is written.
#[derive(Debug)]
pub(crate) struct Ledger(File);

impl Ledger {
    /// Opens a ledger at its end; makes it if there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Ledger> {
        Ok(Ledger(File::options().append(true).create(true).open(path)?))
    }

    /// Puts a line at the end.
    pub(crate) fn append(&self, line: &Line) -> io::Result<()> {
        let mut file = &self.0;
        file.write_all(format!("{}\n", line.to_string().replace('\n', " ")).as_bytes())
    }

    /// As [`Ledger::append`]; what is not in the ledger did not happen, and nothing may.
    pub(crate) fn say(&self, line: &Line) {
        self.append(line).expect("because the ledger's file system is not the one that fails");
    }
}

/// Every whole line of a ledger that is not being written. What a kill has cut off is removed: the next line would stand behind it.
pub(crate) fn read(path: &Path) -> io::Result<Vec<String>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes?,
    };
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        File::options().write(true).open(path)?.set_len(whole as u64)?;
    }
    Ok(String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_comes_back_as_it_was() {
        let text = |text: &str| text.to_owned();
        let begin = |once| Begin { once, run: text("r1"), step: 2, attempt: 3, key: text("k"), seen: vec![text("a")] };
        let lines = [
            Line::Open(7),
            Line::Starting(text("r1")),
            Line::Started(text("r1")),
            Line::Refused(text("r1"), text("the disk is full [E0109]")),
            Line::Begin(begin(true)),
            Line::Begin(Begin { seen: vec![], ..begin(false) }),
            Line::Gave(text("r1:2:3:x")),
            Line::Sending(text("r1"), text("r1:s0:x")),
            Line::Signalled(text("r1"), text("r1:s0:x")),
            Line::Ended(text("r1"), vec![text("a"), text("b")]),
            Line::Ended(text("r1"), vec![]),
            Line::Failed(text("r1"), text("for this reason")),
            Line::Lost(text("r1"), text("no run has the id")),
            Line::Store(text("r1"), text("it stands still [E0111]")),
            Line::Operations(10, 3),
            Line::Shut,
        ];
        for line in lines {
            assert_eq!(Line::parse(&line.to_string()), Some(line));
        }
        assert_eq!(Line::parse("begin r1 2 3"), None);
        assert_eq!(Line::parse("sta"), None);
    }

    #[test]
    fn a_line_that_was_cut_is_removed() {
        let path = std::env::temp_dir().join(format!("durable-real-ledger-{}", std::process::id()));
        fs::write(&path, "open 1\nstarted r").unwrap();
        assert_eq!(read(&path).unwrap(), ["open 1"]);
        Ledger::open(&path).unwrap().append(&Line::Shut).unwrap();
        assert_eq!(read(&path).unwrap(), ["open 1", "shut"]);
        fs::remove_file(&path).unwrap();
    }
}
