//! The torture program: plays seeds, and says what is wrong with them.

use std::process::ExitCode;

use durable_testkit::sim::Words;
use durable_testkit::torture::{Case, judge};
use lexopt::prelude::*;

struct Args {
    from: u64,
    to: u64,
    trace: bool,
}

fn args() -> Result<Args, lexopt::Error> {
    let mut args = Args { from: 1, to: 101, trace: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seed") => {
                args.from = parser.value()?.parse()?;
                args.to = args.from + 1;
            }
            Long("seeds") => {
                let value = parser.value()?.string()?;
                let (from, to) = value.split_once("..").ok_or("seeds are FROM..TO")?;
                args.from = from.parse().map_err(|_| "seeds are numbers")?;
                args.to = to.parse().map_err(|_| "seeds are numbers")?;
            }
            Long("trace") => args.trace = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(args)
}

fn main() -> ExitCode {
    let args = match args() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let mut failed = 0;
    for seed in args.from..args.to {
        let case = Case::draw(seed);
        let played = case.play(if args.trace { Words::Yes } else { Words::No });
        if args.trace {
            println!("{case:#?}\n{}", played.seen.lines.join("\n"));
            if let Ok(look) = &played.first {
                for (id, past) in &look.runs {
                    println!("journal of {id}:");
                    past.journal.iter().for_each(|(no, at, event)| println!("  {no} {at:?} {event:?}"));
                }
            }
        }
        let wrong = judge(&case, &played);
        if !wrong.is_empty() {
            failed += 1;
            println!("seed {seed}:");
            wrong.iter().for_each(|wrong| println!("  {wrong}"));
        }
    }
    println!("{failed} of {} seeds failed", args.to - args.from);
    ExitCode::from(u8::from(failed > 0))
}
