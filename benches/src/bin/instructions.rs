//! What the hot path costs, counted and not timed: instructions and allocations of one step, by valgrind.
//!
//! ```text
//! cargo run --release -p durable-benches --bin instructions -- --json
//! ```

use std::process::ExitCode;

use durable_benches::args::{self, Error, Flags, Known, Parser};
use durable_benches::pieces::{self, Piece};
use durable_benches::report::{Report, Row};
use durable_benches::{Outcome, valgrind};

struct Options {
    pieces: Vec<Piece>,
}

impl Default for Options {
    fn default() -> Self {
        Options { pieces: Piece::ALL.to_vec() }
    }
}

impl Flags for Options {
    const HELP: &'static str = "\
Instructions and allocations of pieces of the hot path, by valgrind, which has to be installed.

Usage: instructions [--piece NAME]

  --piece NAME  only this one: kernel_step, encode_step, decode_step, durable_step_alone,
                durable_step_among_256, durable_run_among_256, reload_1000_events";

    fn set(&mut self, flag: &str, parser: &mut Parser) -> Result<Known, Error> {
        match flag {
            "piece" => self.pieces = vec![piece(&args::word(parser)?)?],
            _ => return Ok(Known::No),
        }
        Ok(Known::Yes)
    }
}

fn piece(name: &str) -> Result<Piece, Error> {
    Piece::named(name).ok_or_else(|| format!("there is no piece `{name}`").into())
}

fn main() -> Outcome<ExitCode> {
    if pieces::play_part()? {
        return Ok(ExitCode::SUCCESS);
    }
    let (options, common) = args::read::<Options>();
    if !valgrind::is_there() {
        eprintln!("valgrind cannot be run: install it to count");
        return Ok(ExitCode::FAILURE);
    }
    let mut report = Report::new(common.output);
    for piece in options.pieces {
        let counted = valgrind::count(piece)?;
        let row = Row::of("instructions").word("piece", piece.name()).real("instructions", counted.instructions, 0);
        let row = row.real("allocations", counted.allocations, 2);
        report.print(&row.real("allocated_bytes", counted.allocated_bytes, 0));
    }
    Ok(ExitCode::SUCCESS)
}
