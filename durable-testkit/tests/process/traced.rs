//! The system calls of a probe, seen by `strace`: in which order they come, and what becomes of a store whose calls fail. A test
//! without `strace` is left out visibly, and fails where `CI` is set.

use std::path::Path;
use std::process::Command;

use crate::probe::{Probe, all, bytes_of, command, eventually, skip};

/// One system call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    pid: u32,
    name: String,
    args: String,
    result: String,
    /// At which line it was entered and at which it returned: an order in which causes come before what they cause.
    entered: usize,
    returned: usize,
}

/// The calls in what `strace -f` has written.
fn calls(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut open: Vec<Call> = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let (Ok(pid), rest) = (pid.parse::<u32>(), rest.trim_start()) else { continue };
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let began = open.iter().position(|call| call.pid == pid && resumed.starts_with(&call.name));
            let (Some(began), Some((_, result))) = (began, returned(resumed)) else { continue };
            calls.push(Call { result: result.trim().to_owned(), returned: at, ..open.swap_remove(began) });
            continue;
        }
        let Some((name, args)) = rest.split_once('(') else { continue };
        let call = |args: &str, result: &str| Call {
            pid,
            name: name.to_owned(),
            args: args.to_owned(),
            result: result.trim().to_owned(),
            entered: at,
            returned: at,
        };
        match (args.strip_suffix(" <unfinished ...>"), returned(args)) {
            (Some(args), _) => open.push(call(args, "")),
            (None, Some((args, result))) => calls.push(call(args, result)),
            (None, None) => {}
        }
    }
    calls
}

/// What stands before the parenthesis that closes a call, and behind the equals sign, for which there is a column.
fn returned(line: &str) -> Option<(&str, &str)> {
    let (args, result) = line.rsplit_once(" = ")?;
    Some((args.trim_end().strip_suffix(')')?, result))
}

/// Whether the write of `later` was entered only after a sync had returned that was entered after the write of the frame that holds
/// `earlier` had.
fn follows_its_sync(calls: &[Call], earlier: &str, later: &str) -> Result<(), String> {
    let frame = calls.iter().find(|call| call.name == "pwrite64" && call.args.contains(earlier));
    let frame = frame.ok_or(format!("no frame with {earlier}"))?;
    let sync = calls.iter().find(|call| {
        call.name == "fdatasync" && call.result == "0" && file(call) == file(frame) && call.entered > frame.returned
    });
    let sync = sync.ok_or(format!("no sync behind the frame with {earlier}"))?;
    let later_write = calls.iter().find(|call| call.name == "write" && call.args.contains(&format!("\"{later}\\n\"")));
    let later_write = later_write.ok_or(format!("no write of {later}"))?;
    match later_write.entered > sync.returned {
        true => Ok(()),
        false => Err(format!("{later} at {}, before the sync at {}", later_write.entered, sync.returned)),
    }
}

fn file(call: &Call) -> &str {
    call.args.split([',', ')']).next().unwrap_or_default().trim()
}

/// `strace` with these options, on a probe; none if it does not work here.
fn strace(test: &str, options: &[&str], store: &Path) -> Option<Command> {
    let works =
        Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output().is_ok_and(|out| out.status.success());
    if !works {
        assert!(std::env::var_os("CI").is_none(), "{test} cannot be left out here: strace does not work");
        skip(test, "strace does not work here");
        return None;
    }
    let probe = command(store);
    let mut strace = Command::new("strace");
    strace.arg("-f").args(options).arg("--").arg(probe.get_program()).args(probe.get_args());
    Some(strace)
}

#[test]
fn a_step_begins_after_the_result_before_it_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ledger, trace) = (dir.path().join("store"), dir.path().join("ledger"), dir.path().join("trace"));
    let options = ["-s", "8192", "-e", "trace=fdatasync,pwrite64,write", "-o", trace.to_str().unwrap()];
    let Some(mut strace) = strace("a_step_begins_after", &options, &store) else { return };
    let mut probe = Probe::open_by(strace.arg(&ledger));
    probe.ask("start a chain 10", "started a");
    assert_eq!(probe.ask("watch a chain", "ended a "), "result-a-9");
    assert_eq!(probe.shut_down().code(), 0);

    let trace = std::fs::read_to_string(trace).unwrap();
    let calls = calls(&trace);
    for step in 1..10 {
        let (earlier, later) = (format!("result-a-{}", step - 1), format!("begin a {step} 1"));
        follows_its_sync(&calls, &earlier, &later).unwrap();
    }
    follows_its_sync(&calls, "result-a-9", "ended a result-a-9").unwrap();
    follows_its_sync(&calls, "chain", "started a").unwrap();
}

#[test]
fn a_write_before_the_sync_is_told_from_one_after_it() {
    let frame = "12 pwrite64(9, \"FRM0..one..\"..., 176, 4096) = 176\n";
    let trace = |rest: &str| calls(&format!("{frame}{rest}"));
    let padded = "12 fdatasync(9)                  = 0\n11 write(4, \"two\\n\", 4)   = 4\n";
    assert_eq!(follows_its_sync(&trace(padded), "one", "two"), Ok(()));
    let after = "12 fdatasync(9 <unfinished ...>\n11 write(4, \"x\\n\", 2) = 2\n12 <... fdatasync resumed>) = 0\n11 write(4, \"two\\n\", 4) = 4\n";
    assert_eq!(follows_its_sync(&trace(after), "one", "two"), Ok(()));
    for wrong in [
        "12 fdatasync(9 <unfinished ...>\n11 write(4, \"two\\n\", 4) = 4\n12 <... fdatasync resumed>) = 0\n",
        "12 fdatasync(8) = 0\n11 write(4, \"two\\n\", 4) = 4\n",
        "12 fdatasync(9) = -1 EIO (Input/output error) (INJECTED)\n11 write(4, \"two\\n\", 4) = 4\n",
        "11 write(4, \"two\\n\", 4) = 4\n12 fdatasync(9) = 0\n",
    ] {
        assert!(follows_its_sync(&trace(wrong), "one", "two").is_err(), "{wrong}");
    }
}

/// Opens a store whose n-th call of each thread fails in this way, and looks what becomes of it. `n` is high enough that only the
/// log's own thread gets there.
fn stands_still(test: &str, inject: &str, code: &str) {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let store = dir.path().join("store");
    let options = ["-e", "trace=fdatasync,pwrite64", "-e", inject, "-o", trace.to_str().unwrap()];
    let Some(mut strace) = strace(test, &options, &store) else { return };
    let mut first = Probe::open_by(&mut strace);
    let mut n = 0;
    while all(first.heard(), "refused ").is_empty() {
        assert!(n < 100, "nothing has failed: {:?}", first.heard());
        first.say(&format!("start gate-{n} gate"));
        first.next_line(std::time::Instant::now() + crate::probe::PATIENCE);
        if n == 0 {
            first.say("watch gate-0 gate");
        }
        n += 1;
    }
    let acknowledged = all(first.heard(), "started ");
    let refused = all(first.heard(), "refused ");
    assert!(refused[0].ends_with(code), "{refused:?}");
    let waits = acknowledged.iter().any(|id| id == "gate-0");
    if waits && all(first.heard(), "store gate-0: ").is_empty() {
        assert!(first.hear("store gate-0: ").ends_with(code), "who waits gets the error");
    }
    first.ask("still", "still here");
    assert!(first.ask("start late gate", "refused late: ").ends_with(code));
    assert!(first.ask("describe gate-0 gate", "refused gate-0: ").ends_with(code));
    assert!(first.ask("signal gate-0 x", "refused gate-0: ").ends_with(code));
    assert_eq!(all(first.heard(), "started "), acknowledged, "nothing is acknowledged after it");

    // It has let go of the store, and lives on beside the next one.
    let mut second = Probe::open(&store);
    for id in &acknowledged {
        second.ask(&format!("describe {id} gate"), &format!("described {id} running"));
    }
    second.ask("start second gate", "started second");
    first.ask("still", "still here");
    let first = first.shut_down();
    assert_eq!(first.code(), 5, "{}", first.stderr);
    assert!(first.all("not shut down: ")[0].contains(code));
    assert_eq!(second.shut_down().code(), 0);
}

#[test]
fn a_failed_sync_is_final() {
    for when in 4..=7 {
        stands_still("a_failed_sync", &format!("inject=fdatasync:error=EIO:when={when}"), "[E0111]");
    }
}

#[test]
fn a_failed_write_of_a_frame_is_final() {
    for when in 5..=7 {
        stands_still("a_failed_write", &format!("inject=pwrite64:error=ENOSPC:when={when}"), "[E0110]");
    }
    stands_still("a_failed_write", "inject=pwrite64:error=EIO:when=6", "[E0110]");
}

#[test]
fn an_open_that_fails_leaves_what_the_next_one_can_open() {
    let failing = (1..=3).map(|when| (format!("inject=fdatasync:error=EIO:when={when}"), "[E0106]"));
    let full = (1..=4).map(|when| (format!("inject=pwrite64:error=ENOSPC:when={when}"), "[E0105]"));
    for (inject, code) in failing.chain(full) {
        let dir = tempfile::tempdir().unwrap();
        let (store, trace) = (dir.path().join("store"), dir.path().join("trace"));
        let options = ["-e", "trace=fdatasync,pwrite64", "-e", &inject, "-o", trace.to_str().unwrap()];
        let Some(mut strace) = strace("an_open_that_fails", &options, &store) else { return };
        let failed = Probe::start(&mut strace).end();
        assert_eq!(failed.code(), 4, "{inject}: {}", failed.stderr);
        assert!(failed.stderr.trim_end().ends_with(code), "{inject}: {}", failed.stderr);
        let mut next = Probe::open(&store);
        next.ask("start a gate", "started a");
        assert_eq!(next.shut_down().code(), 0);
    }
}

#[test]
fn a_second_start_is_not_answered_by_an_end_that_is_not_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (store, ledger, trace) = (dir.path().join("store"), dir.path().join("ledger"), dir.path().join("trace"));
    // The sync that fails takes so long that the second start finds the first one's end in the file.
    let inject = "inject=fdatasync:error=EIO:delay_enter=400ms:when=6";
    let options = ["-s", "8192", "-e", "trace=fdatasync,pwrite64,write", "-e", inject, "-o", trace.to_str().unwrap()];
    let Some(mut strace) = strace("a_second_start", &options, &store) else { return };
    let mut probe = Probe::open_by(strace.arg(&ledger));
    let until = std::time::Instant::now() + crate::probe::PATIENCE;
    for n in 0.. {
        assert!(n < 10, "nothing has failed: {:?}", probe.heard());
        let id = format!("chain-{n}");
        probe.say(&format!("begin {id} chain 0"));
        eventually("the run's end is in the file", || holds(&store, &id));
        probe.say(&format!("begin {id} chain 0"));
        let answers = |lines: &[String]| all(lines, "started ").len() + all(lines, "refused ").len();
        while answers(probe.heard()) < 2 * (n + 1) {
            assert!(probe.next_line(until).is_some(), "{:?}", probe.heard());
        }
        if !all(probe.heard(), "refused ").is_empty() {
            break;
        }
    }
    let heard = probe.end().heard;
    let calls = calls(&std::fs::read_to_string(trace).unwrap());
    for id in all(&heard, "started ") {
        follows_its_sync(&calls, &id, &format!("started {id}")).unwrap();
    }
}

/// Whether a file of the store holds this text.
fn holds(store: &Path, text: &str) -> bool {
    bytes_of(store).iter().any(|(_, bytes)| bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes()))
}
