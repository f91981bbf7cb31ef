//! Benchmarks that play in several processes: memory that an allocator keeps, and a kill, are of one process each. A part is this program
//! again, told by its first argument which one it is.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::Outcome;

/// The argument behind which a part's name stands.
const FLAG: &str = "--part";

/// A process that plays a part.
#[derive(Debug)]
pub struct Part {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

/// Which part this process plays, with its arguments; none in the process that the user began.
#[must_use]
pub fn played() -> Option<(String, Vec<String>)> {
    let mut words = std::env::args().skip(1);
    (words.next()? == FLAG).then(|| (words.next().unwrap_or_default(), words.collect()))
}

impl Part {
    /// Begins one.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn begin<A: Into<OsString>>(name: &str, args: impl IntoIterator<Item = A>) -> Outcome<Part> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([FLAG, name]).args(args.into_iter().map(Into::into));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("a part has no standard output")?;
        Ok(Part { child, lines: BufReader::new(stdout) })
    }

    /// The next line that it prints: numbers with blanks between them.
    ///
    /// # Errors
    /// When it ended instead, or printed something else.
    pub fn numbers<const N: usize>(&mut self) -> Outcome<[f64; N]> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let numbers: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        numbers.try_into().map_err(|_| format!("a part of the benchmark failed; it said {line:?}").into())
    }

    /// Kills it, as `kill -9` does.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn kill(mut self) -> Outcome<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Tells it to go on, and waits for its end.
    ///
    /// # Errors
    /// When it did not end well.
    pub fn finish(mut self) -> Outcome<()> {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest)?;
        let status: ExitStatus = self.child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a part of the benchmark failed: {status}").into()) }
    }
}

/// In a part: tells these numbers, and waits until the part is told to go on.
///
/// # Errors
/// When nobody is there to be told.
pub fn tell_and_wait(numbers: &[f64]) -> Outcome<()> {
    let words: Vec<String> = numbers.iter().map(f64::to_string).collect();
    println!("{}", words.join(" "));
    std::io::stdout().flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
