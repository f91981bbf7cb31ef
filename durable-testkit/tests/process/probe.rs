//! The other process, as a test holds it in its hand: the `probe` program, its lines, its signals and its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// No wait takes longer; a machine that builds something else beside the tests is slow, not wrong.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A probe that runs.
pub(crate) struct Probe {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    /// The process that has the store, which is not the child where something else started it.
    pid: u32,
    heard: Vec<String>,
}

/// A probe that has ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
    pub(crate) heard: Vec<String>,
}

/// The command that starts a probe on a store.
pub(crate) fn command(store: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.arg(store);
    command
}

impl Probe {
    /// Starts a probe that has to get the store.
    pub(crate) fn open(store: &Path) -> Probe {
        Probe::open_by(&mut command(store))
    }

    /// The same, with a ledger.
    pub(crate) fn open_with_ledger(store: &Path, ledger: &Path) -> Probe {
        Probe::open_by(command(store).arg(ledger))
    }

    /// The same, by a command of the caller's own.
    pub(crate) fn open_by(command: &mut Command) -> Probe {
        let mut probe = Probe::start(command);
        let opened = probe.hear("open ");
        probe.pid = opened.parse().unwrap();
        probe
    }

    /// Starts a probe that must not get the store; gives how it ended.
    pub(crate) fn refused(store: &Path) -> Ended {
        Probe::start(&mut command(store)).end()
    }

    pub(crate) fn start(command: &mut Command) -> Probe {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut stderr = child.stderr.take().unwrap();
        let stderr = std::thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        let (stdin, pid) = (child.stdin.take(), child.id());
        Probe { child, stdin, lines, stderr: Some(stderr), pid, heard: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Tells the probe what to do.
    pub(crate) fn say(&mut self, line: &str) {
        self.stdin.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line that begins with `prefix`, without it. Other lines are kept in [`heard`](Self::heard).
    pub(crate) fn hear(&mut self, prefix: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let Some(line) = self.next_line(until) else {
                let (heard, stderr) = (self.heard.clone(), self.end_now());
                panic!("`{prefix}..` was not heard, but {heard:#?}; and on the side: {stderr}");
            };
            if let Some(rest) = line.strip_prefix(prefix) {
                return rest.to_owned();
            }
        }
    }

    /// Tells the probe something and hears the answer.
    pub(crate) fn ask(&mut self, line: &str, prefix: &str) -> String {
        self.say(line);
        self.hear(prefix)
    }

    /// The next line, whatever it is; none at the end of the output.
    pub(crate) fn next_line(&mut self, until: Instant) -> Option<String> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.heard.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Every line so far, as far as it was waited for.
    pub(crate) fn heard(&self) -> &[String] {
        &self.heard
    }

    /// Stops it where it stands; returns when all its threads stand.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid);
        eventually("every thread is stopped", || {
            let mut tasks = std::fs::read_dir(&tasks).unwrap();
            tasks.all(|task| state_of(&task.unwrap().path().join("stat")).is_none_or(|state| state == 'T'))
        });
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// `kill -9`; returns when it is gone, with everything that it said.
    pub(crate) fn kill(self) -> Ended {
        self.signal(Signal::KILL);
        self.end()
    }

    /// Shuts the runtime down and waits for the end of the process.
    pub(crate) fn shut_down(mut self) -> Ended {
        self.say("shutdown");
        self.end()
    }

    /// Closes its input and waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        self.stdin = None;
        let until = Instant::now() + PATIENCE;
        while self.next_line(until).is_some() {}
        let mut status = None;
        eventually("the process has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Ended { status: status.unwrap(), stderr, heard: std::mem::take(&mut self.heard) }
    }

    fn end_now(&mut self) -> String {
        self.child.kill().unwrap();
        self.stderr.take().map(|stderr| stderr.join().unwrap()).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.pid.try_into().unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("it ended with {}: {}", self.status, self.stderr))
    }

    /// The lines that begin with `prefix`, without it.
    pub(crate) fn all(&self, prefix: &str) -> Vec<String> {
        all(&self.heard, prefix)
    }
}

/// The lines that begin with `prefix`, without it.
pub(crate) fn all(lines: &[String], prefix: &str) -> Vec<String> {
    lines.iter().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect()
}

/// Looks until something holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not in {} s: {what}", PATIENCE.as_secs());
        std::thread::yield_now();
    }
}

/// What `/proc` says a thread is doing; none if it is gone.
fn state_of(stat: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(stat).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Copies a store as it stands, byte for byte.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for (name, bytes) in bytes_of(from) {
        std::fs::write(to.join(name), bytes).unwrap();
    }
}

/// Every file of a store with its bytes.
pub(crate) fn bytes_of(store: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(store).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut files: Vec<_> =
        files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect();
    files.sort();
    files
}

/// Says in the output of the tests that one was not run, and why: past the capture of the output, since a reader has to see it.
pub(crate) fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
