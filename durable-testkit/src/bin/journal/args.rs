//! The program's command line.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::prelude::*;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Shows the journals of a store's runs, writes them to files, and makes replay tests of them. The store may be stopped, a copy, or open in
another process; nothing in its directory is changed.

Usage: journal list STORE [--json]
       journal show STORE RUN [--json]
       journal export STORE RUN [--to FILE] [--force]
       journal as-test STORE RUN [--to FOLDER] [--force]

  list      every run of the store: its id, its identity, its workflow, where it stands, how many events its journal holds
  show      a run's journal, for a person to read
  export    a run's journal as JSON lines, which `durable::journal::RunJournal` and replay tests read; to the output without `--to`
  as-test   writes a run's journal to FOLDER/<id>.jsonl (tests/journals) and a test that replays it to replay_<id>.rs in the folder above

  STORE             the store's directory
  RUN               a workflow id, or a run's identity as `list` prints it
  --namespace NAME  the namespace of the workflow id; the default namespace unless it is said
  --json            prints JSON, one object a line
  --to PATH         where to write
  --force           writes over files that are there

Exit code: 0 done; 1 not done, the text says why; 2 the command line is wrong.";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Args {
    pub(crate) command: Command,
    pub(crate) store: PathBuf,
    pub(crate) namespace: String,
    pub(crate) print: Print,
    pub(crate) to: Option<PathBuf>,
    pub(crate) existing: Existing,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    List,
    Show { run: String },
    Export { run: String },
    AsTest { run: String },
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Print {
    ForPeople,
    Json,
}

/// What becomes of files that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    WriteOver,
}

/// Why there is nothing to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoArgs {
    /// Help was asked for.
    Help,
    /// They are wrong, in this way.
    Wrong(String),
}

impl From<lexopt::Error> for NoArgs {
    fn from(error: lexopt::Error) -> NoArgs {
        NoArgs::Wrong(error.to_string())
    }
}

impl Args {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(given: impl IntoIterator<Item = OsString>) -> Result<Args, NoArgs> {
        let mut parser = lexopt::Parser::from_args(given);
        let mut values: Vec<OsString> = Vec::new();
        let (mut namespace, mut to) = (String::new(), None);
        let (mut print, mut existing) = (Print::ForPeople, Existing::Keep);
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') | Long("help") => return Err(NoArgs::Help),
                Long("json") => print = Print::Json,
                Long("force") => existing = Existing::WriteOver,
                Long("namespace") => namespace = parser.value()?.string()?,
                Long("to") => to = Some(PathBuf::from(parser.value()?)),
                Value(value) => values.push(value),
                other => return Err(other.unexpected().into()),
            }
        }
        let mut values = values.into_iter();
        let name = values.next().ok_or_else(|| wrong("no command"))?.string()?;
        let store = values.next().ok_or_else(|| wrong("no STORE"))?.into();
        let command = Command::of(&name, values.next())?;
        if let Some(value) = values.next() {
            return Err(wrong(&format!("`{}` is one argument too many", value.to_string_lossy())));
        }
        let args = Args { command, store, namespace, print, to, existing };
        args.check()?;
        Ok(args)
    }

    /// An option that means nothing for the command is a mistake.
    fn check(&self) -> Result<(), NoArgs> {
        let writes = matches!(self.command, Command::Export { .. } | Command::AsTest { .. });
        if !writes && (self.to.is_some() || self.existing == Existing::WriteOver) {
            return Err(wrong("`--to` and `--force` are for `export` and `as-test`"));
        }
        if writes && self.print == Print::Json {
            return Err(wrong("`--json` is for `list` and `show`"));
        }
        Ok(())
    }
}

impl Command {
    fn of(name: &str, run: Option<OsString>) -> Result<Command, NoArgs> {
        let run = run.map(|run| run.string()).transpose()?;
        match (name, run) {
            ("list", None) => Ok(Command::List),
            ("list", Some(_)) => Err(wrong("`list` takes no RUN")),
            ("show", Some(run)) => Ok(Command::Show { run }),
            ("export", Some(run)) => Ok(Command::Export { run }),
            ("as-test", Some(run)) => Ok(Command::AsTest { run }),
            ("show" | "export" | "as-test", None) => Err(wrong("no RUN")),
            (other, _) => Err(wrong(&format!("no command is called `{other}`"))),
        }
    }
}

fn wrong(what: &str) -> NoArgs {
    NoArgs::Wrong(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, NoArgs> {
        Args::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn a_command_line_is_read() {
        let args = parse("as-test --force store order-42 --to=tests/old").unwrap();
        assert_eq!(args.command, Command::AsTest { run: "order-42".to_owned() });
        assert_eq!((args.store, args.to), ("store".into(), Some("tests/old".into())));
        assert_eq!(args.existing, Existing::WriteOver);
        assert_eq!(parse("show store x --namespace eu --json").unwrap().namespace, "eu");
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for line in [
            "",
            "list",
            "list a b",
            "show a",
            "frobnicate a b",
            "show a b c",
            "list a --to b",
            "export a b --json",
            "list a --what",
        ] {
            assert!(matches!(parse(line), Err(NoArgs::Wrong(_))), "{line}");
        }
        assert_eq!(parse("show --help"), Err(NoArgs::Help));
    }
}
