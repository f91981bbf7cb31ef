//! `strace` injects what a disk does rarely: the n-th `fdatasync` of a thread fails, or all of them are late. After a failure
//! everybody who waits gets an error with a code, nothing is acknowledged and nothing begins; the next open has all of it.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::ledger::Line;
use crate::report::Told;
use crate::rig::{PATIENCE, RUNS, Rig, Site};
use crate::worker::{NOT_OPEN, STANDS_STILL, Work};

/// A sync fails so long after it began: by then, what the sync before it made durable is acknowledged.
const BEFORE_FAILURE: Duration = Duration::from_millis(100);

/// So late is every sync.
const LATE: Duration = Duration::from_millis(20);

pub(crate) fn run(rig: &Rig, failures: u64) -> io::Result<Told> {
    let works = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if !works.is_ok_and(|status| status.success()) {
        return Ok(Told::skipped("strace", "strace does not work here".to_owned()));
    }
    let mut told = Told::new("strace");
    for when in 1..=failures {
        fails(rig, when, &mut told)?;
    }
    late(rig, &mut told)?;
    if told.figure("stores that stood still") == 0 {
        told.violations.push("no sync of a log has failed".to_owned());
    }
    Ok(told)
}

/// A worker whose calls are seen, and one of them changed.
fn traced(site: &Site, work: &Work, inject: &str, trace: &Path) -> Command {
    let worker = site.command(work);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-y", "-s", "64", "-e", "trace=fdatasync,write", "-e", inject, "-o"]).arg(trace);
    strace.arg("--").arg(worker.get_program()).args(worker.get_args());
    strace
}

/// The `when`-th sync of each thread fails.
fn fails(rig: &Rig, when: u64, told: &mut Told) -> io::Result<()> {
    let site = rig.site(&format!("strace-{when}"), &rig.base);
    let (work, trace) = (site.work(RUNS), site.ledger.with_extension("trace"));
    let inject = format!("inject=fdatasync:error=EIO:delay_enter={}:when={when}", BEFORE_FAILURE.as_micros());
    let ended = site.spawn_by(&mut traced(&site, &work, &inject, &trace))?.end(PATIENCE)?;
    let Some(status) = ended else {
        told.violations.push(format!("strace-{when}: who waits is not told that the store stands still"));
        return Ok(());
    };
    site.judge(status, &[0, NOT_OPEN, STANDS_STILL], told);
    let text = fs::read_to_string(&trace)?;
    fs::remove_file(&trace)?;
    let wrong = match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(NOT_OPEN) => {
            told.add("opens refused", 1);
            said_with_a_code(&site.stderr())
        }
        Some(STANDS_STILL) => {
            told.add("stores that stood still", 1);
            stands_still(&site, &text)?
        }
        _ => {
            told.add("without effect", 1);
            without_effect(&text)
        }
    };
    told.violations.extend(wrong.into_iter().map(|wrong| format!("strace-{when}: {wrong}")));
    site.finish(&work, told)
}

fn said_with_a_code(text: &str) -> Vec<String> {
    let has_code = text.lines().last().is_some_and(|line| line.ends_with(']') && line.contains("[E0"));
    if has_code { Vec::new() } else { vec![format!("this has no code: {text}")] }
}

/// What is wrong with a store that stands still: who waited was told, and after the failure nothing was acknowledged or begun.
fn stands_still(site: &Site, trace: &str) -> io::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let ledger = fs::read_to_string(&site.ledger)?;
    let lines: Vec<Line> = ledger.lines().filter_map(Line::parse).collect();
    let told: Vec<_> = lines
        .iter()
        .filter_map(|line| match line {
            Line::Store(_, why) | Line::Refused(_, why) => Some(why),
            _ => None,
        })
        .collect();
    wrong.extend(told.iter().flat_map(|why| said_with_a_code(why)));
    let waited: Vec<_> = waiting(&lines);
    wrong.extend(waited.iter().map(|run| format!("{run} waited, and was told nothing")));
    wrong.extend(after_failure(trace).map(|line| format!("after the failure: {line}")));
    Ok(wrong)
}

/// The runs that were asked for and of which nothing was told.
fn waiting(lines: &[Line]) -> Vec<&str> {
    let mut waiting = Vec::new();
    for line in lines {
        match line {
            Line::Starting(run) => waiting.push(run.as_str()),
            Line::Ended(run, _) | Line::Store(run, _) | Line::Refused(run, _) => waiting.retain(|other| other != run),
            _ => {}
        }
    }
    waiting
}

/// Acknowledgements, and attempts that begin, behind the first sync of the log that failed.
fn after_failure(trace: &str) -> impl Iterator<Item = &str> {
    let behind = trace.lines().skip_while(|line| !is_failure(line));
    behind.filter(|line| {
        let text = line.split_once("write(").and_then(|(_, args)| args.split_once(", \"")).map(|(_, text)| text);
        let words = ["started ", "ended ", "signalled ", "begin ", "once "];
        text.is_some_and(|text| words.iter().any(|word| text.starts_with(word)))
    })
}

fn is_failure(line: &str) -> bool {
    line.contains("fdatasync") && line.contains("= -1 EIO")
}

/// A sync may fail without effect if it was of the index, or if there was none.
fn without_effect(trace: &str) -> Vec<String> {
    let of_log =
        trace.lines().filter(|line| is_failure(line) && !line.contains("/index/") && !line.contains("resumed"));
    of_log.map(|line| format!("nobody was told of {line}")).collect()
}

/// Every sync is late: everything is slow, and right.
fn late(rig: &Rig, told: &mut Told) -> io::Result<()> {
    let site = rig.site("strace-late", &rig.base);
    let (work, trace) = (site.work(RUNS), site.ledger.with_extension("trace"));
    let inject = format!("inject=fdatasync:delay_enter={}", LATE.as_micros());
    let began = Instant::now();
    let ended = site.spawn_by(&mut traced(&site, &work, &inject, &trace))?.end(PATIENCE)?;
    let late = fs::read_to_string(&trace)?.lines().filter(|line| line.contains("fdatasync(")).count() as u64;
    fs::remove_file(&trace)?;
    told.add("late syncs", late);
    if !ended.is_some_and(|status| status.success()) {
        told.violations.push(format!("strace-late: it ended with {ended:?}: {}", site.stderr()));
    }
    if began.elapsed() < LATE * 10 || late < 10 {
        told.violations.push(format!("strace-late: {late} syncs in {:?}: they were not late", began.elapsed()));
    }
    site.finish(&work, told)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: &str = "12 fdatasync(9</s/segment-1>)     = -1 EIO (Input/output error) (INJECTED)\n";

    #[test]
    fn what_is_told_after_a_failure_is_found() {
        let before = format!("11 write(4</l>, \"started r1\\n\", 11) = 11\n{FAILED}");
        assert_eq!(after_failure(&before).count(), 0);
        let after = format!("{FAILED}11 write(4</l>, \"store r1 ..\\n\", 11) = 11\n");
        assert_eq!(after_failure(&after).count(), 0);
        for word in ["started r1", "ended r1 -", "signalled r1 x", "begin r1 0 1 k -", "once r1 0 1 k -"] {
            let after = format!("{FAILED}11 write(4</l>, \"{word}\\n\", 11) = 11\n");
            assert_eq!(after_failure(&after).count(), 1, "{word}");
        }
    }

    #[test]
    fn a_failure_without_effect_is_of_the_index_alone() {
        assert_eq!(without_effect(FAILED).len(), 1);
        assert!(without_effect(&FAILED.replace("/s/segment-1", "/s/index/db")).is_empty());
    }

    #[test]
    fn who_waits_and_hears_nothing_is_found() {
        let lines: Vec<_> = ["starting r1", "starting r2", "started r2", "store r2 why [E0111]"]
            .map(Line::parse)
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(waiting(&lines), ["r1"]);
        assert!(said_with_a_code("a sync failed [E0111]").is_empty());
        assert_eq!(said_with_a_code("a sync failed").len(), 1);
    }
}
