//! The guard of the hot path: counts instructions and allocations of one step and holds them against the bounds in `benches/guard.toml`. It
//! does not depend on time, so that it may run on any machine, however busy. Without valgrind it says so, and guards nothing.
//!
//! ```text
//! cargo run --release -p durable-benches --bin guard
//! ```

use std::process::ExitCode;

use durable_benches::Outcome;
use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::bounds::{Bound, Bounds};
use durable_benches::pieces::{self, Piece};
use durable_benches::report::{Report, Row};
use durable_benches::valgrind::{self, Counted};

/// The recorded bounds.
const BOUNDS: &str = include_str!("../../guard.toml");

#[derive(Default)]
struct Options {
    record: bool,
}

impl Flags for Options {
    const HELP: &'static str = "\
Holds what the hot path costs against its bounds. Without valgrind it says so and ends well.

Usage: guard [--record]

  --record    counts, and prints bounds a tenth above what was counted, to be put into benches/guard.toml

Here exit code 1 is also: a bound was passed.";

    fn set(&mut self, flag: &str, _: &mut Parser) -> Result<Known, Error> {
        match flag {
            "record" => self.record = true,
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

fn main() -> Outcome<ExitCode> {
    if pieces::play_part()? {
        return Ok(ExitCode::SUCCESS);
    }
    let (options, common) = args::read::<Options>();
    if !valgrind::is_there() {
        println!("guard: left out, valgrind cannot be run here");
        return Ok(ExitCode::SUCCESS);
    }
    if options.record {
        for piece in Piece::ALL {
            print!("{}", Bound::above(&valgrind::count(piece)?).section(piece));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let bounds: Bounds = BOUNDS.parse()?;
    let mut report = Report::new(common.output);
    let mut passed = Vec::new();
    for piece in Piece::ALL {
        let (bound, counted) = (bounds.of(piece)?, valgrind::count(piece)?);
        report.print(&row(piece, &counted, &bound));
        passed.extend(bound.passed(piece, &counted));
    }
    passed.iter().for_each(|passed| eprintln!("guard: {passed}"));
    Ok(if passed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(piece: Piece, counted: &Counted, bound: &Bound) -> Row {
    let row = Row::of("guard").word("piece", piece.name());
    let row = row.real("instructions", counted.instructions, 0).real("at_most", bound.instructions, 0);
    row.real("allocations", counted.allocations, 2).real("at_most_allocations", bound.allocations, 2)
}
