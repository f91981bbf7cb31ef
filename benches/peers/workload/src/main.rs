//! `table` puts the lines on standard input into a table; `failed` writes the line of a program that left none.
//!
//! ```text
//! peers-workload table < lines
//! peers-workload failed PEER VARIANT VERSION steps|timer AT_ONCE < what it printed
//! ```

use std::io::{Read, stdin};

use peers_workload::{Failed, Fault, Line, Outcome, table};

fn main() -> Result<(), Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut input = String::new();
    stdin().read_to_string(&mut input)?;
    match words[..] {
        ["table"] => print!("{}", table::render(&lines(&input)?)),
        ["failed", peer, variant, version, work, at_once] => {
            let line = failed(&input, [peer, variant, version, work], at_once.parse()?)?;
            println!("{}", serde_json::to_string(&line)?);
        }
        _ => return Err("table, or failed PEER VARIANT VERSION steps|timer AT_ONCE".into()),
    }
    Ok(())
}

fn lines(input: &str) -> Result<Vec<Line>, Fault> {
    input.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

fn failed(printed: &str, [peer, variant, version, work]: [&str; 4], at_once: usize) -> Result<Line, Fault> {
    Ok(Line {
        peer: peer.to_owned(),
        variant: variant.to_owned(),
        version: version.to_owned(),
        durability: String::new(),
        work: serde_json::from_value(work.into())?,
        at_once,
        outcome: Outcome::Failed(Failed { failed: printed.to_owned() }),
    })
}
