//! The command lines: a program says which flags it has, the rest is the same for all of them. Wrong use is told on the standard error,
//! with exit code 2.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::exit;
use std::str::FromStr;

use lexopt::prelude::*;
pub use lexopt::{Error, Parser};

use crate::report::Output;

const COMMON: &str = "
  --dir DIR   where the store is made, and removed at the end; the system's temporary directory unless it is said.
              A directory in memory makes every figure that counts syncs worthless
  --json      one line of JSON for each row, instead of a table
  --help      this text

Exit code: 0 measured; 1 it could not be; 2 wrong use.";

/// The flags of one program.
pub trait Flags: Default {
    /// What `--help` prints above the flags that all programs have.
    const HELP: &'static str;

    /// Takes a flag, with its values if it has some.
    ///
    /// # Errors
    /// When a value is missing or makes no sense.
    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error>;
}

/// Whether a program has a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It has.
    Yes,
    /// It has not.
    No,
}

/// What every program is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Common {
    /// Where stores are made.
    pub dir: PathBuf,
    /// How rows are printed.
    pub output: Output,
}

/// What a command line says.
#[derive(Debug)]
pub enum Said<F> {
    /// To measure.
    Measure(F, Common),
    /// To explain.
    Help,
}

/// Reads this process's command line. Help ends the process, and so does wrong use.
#[must_use]
pub fn read<F: Flags>() -> (F, Common) {
    match parse(std::env::args_os().skip(1)) {
        Ok(Said::Measure(flags, common)) => (flags, common),
        Ok(Said::Help) => {
            println!("{}\n{COMMON}", F::HELP);
            exit(0)
        }
        Err(error) => {
            eprintln!("{error}; `--help` lists the flags");
            exit(2)
        }
    }
}

/// Reads the arguments behind a program's name.
///
/// # Errors
/// When a flag is unknown, or a value is missing or makes no sense.
pub fn parse<F: Flags>(given: impl IntoIterator<Item = OsString>) -> Result<Said<F>, Error> {
    let mut parser = Parser::from_args(given);
    let (mut flags, mut common) = (F::default(), Common { dir: std::env::temp_dir(), output: Output::Table });
    while let Some(arg) = parser.next()? {
        let flag = match arg {
            Short('h') | Long("help") => return Ok(Said::Help),
            Long("dir") => {
                common.dir = parser.value()?.into();
                continue;
            }
            Long("json") => {
                common.output = Output::Json;
                continue;
            }
            Long(flag) => flag.to_owned(),
            other => return Err(other.unexpected()),
        };
        if flags.set(&flag, &mut parser)? == Known::No {
            return Err(format!("unknown flag `--{flag}`").into());
        }
    }
    Ok(Said::Measure(flags, common))
}

/// The next value: a number that is not zero.
///
/// # Errors
/// When there is none, or it is something else.
pub fn number<N: FromStr<Err: Display> + PartialEq + Default>(parser: &mut Parser) -> Result<N, Error> {
    some(&parser.value()?.string()?)
}

/// The next value: such numbers, with commas between them.
///
/// # Errors
/// When there is none, or one is something else.
pub fn numbers<N: FromStr<Err: Display> + PartialEq + Default>(parser: &mut Parser) -> Result<Vec<N>, Error> {
    parser.value()?.string()?.split(',').map(some).collect()
}

/// The next value, as it is.
///
/// # Errors
/// When there is none.
pub fn word(parser: &mut Parser) -> Result<String, Error> {
    parser.value()?.string()
}

fn some<N: FromStr<Err: Display> + PartialEq + Default>(text: &str) -> Result<N, Error> {
    match text.parse::<N>() {
        Ok(number) if number != N::default() => Ok(number),
        Ok(_) => Err("a number of nothing measures nothing".into()),
        Err(error) => Err(format!("`{text}` is no number: {error}").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Sample {
        runs: Vec<usize>,
    }

    impl Flags for Sample {
        const HELP: &'static str = "A sample.";

        fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
            match flag {
                "runs" => self.runs = numbers(parser)?,
                _ => return Ok(Known::No),
            }
            Ok(Known::Yes)
        }
    }

    fn said(line: &str) -> Result<Said<Sample>, Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_of_the_program_and_of_all_programs_mix() {
        let Ok(Said::Measure(flags, common)) = said("--json --runs 1,16 --dir /d") else { panic!("it measures") };
        assert_eq!(flags.runs, [1, 16]);
        assert_eq!(common, Common { dir: "/d".into(), output: Output::Json });
        assert!(matches!(said("--runs 1 --help"), Ok(Said::Help)));
    }

    #[test]
    fn wrong_use_is_told() {
        for wrong in ["--rnus 1", "word", "--runs", "--runs 0", "--runs 1,", "--runs x", "--dir"] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }
}
