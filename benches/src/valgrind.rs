//! Counts of a piece, by valgrind: instructions by callgrind, allocations by dhat. A count does not depend on what else the machine does. It
//! depends a little on the compiler, on the C library and on which instructions the processor has.

use std::process::Command;

use crate::Outcome;
use crate::pieces::Piece;

/// What one repetition of a piece costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted {
    /// Instructions.
    pub instructions: f64,
    /// Blocks that are asked of the allocator.
    pub allocations: f64,
    /// Their bytes.
    pub allocated_bytes: f64,
}

/// Whether valgrind can be run.
#[must_use]
pub fn is_there() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Counts a piece in processes of this very program, which has to know `--part piece NAME TIMES`.
///
/// # Errors
/// When valgrind or the program fails.
pub fn count(piece: Piece) -> Outcome<Counted> {
    let [few, many] = piece.repetitions();
    let per = |few_of: u64, many_of: u64| (many_of.saturating_sub(few_of)) as f64 / f64::from(many - few);
    let instructions = per(instructions(piece, few)?, instructions(piece, many)?);
    let (heap_few, heap_many) = (heap(piece, few)?, heap(piece, many)?);
    Ok(Counted {
        instructions,
        allocations: per(heap_few.blocks, heap_many.blocks),
        allocated_bytes: per(heap_few.bytes, heap_many.bytes),
    })
}

fn instructions(piece: Piece, times: u32) -> Outcome<u64> {
    let said = run(&["--tool=callgrind", "--callgrind-out-file=/dev/null"], piece, times)?;
    collected(&said).ok_or_else(|| format!("callgrind counted nothing: {said}").into())
}

#[derive(Debug, PartialEq, Eq)]
struct Heap {
    bytes: u64,
    blocks: u64,
}

fn heap(piece: Piece, times: u32) -> Outcome<Heap> {
    let said = run(&["--tool=dhat", "--dhat-out-file=/dev/null"], piece, times)?;
    total(&said).ok_or_else(|| format!("dhat counted nothing: {said}").into())
}

fn run(tool: &[&str], piece: Piece, times: u32) -> Outcome<String> {
    let mut command = Command::new("valgrind");
    command.args(tool).arg(std::env::current_exe()?).args(["--part", "piece", piece.name(), &times.to_string()]);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("valgrind failed: {said}").into()) }
}

/// The number behind `Collected : `.
fn collected(said: &str) -> Option<u64> {
    said.lines().find_map(|line| number(line.split_once("Collected : ")?.1.split_whitespace().next()?))
}

/// The numbers of `Total: 1,234 bytes in 56 blocks`.
fn total(said: &str) -> Option<Heap> {
    said.lines().find_map(|line| {
        let (bytes, rest) = line.split_once("Total:")?.1.split_once(" bytes in ")?;
        Some(Heap { bytes: number(bytes.trim())?, blocks: number(rest.split_whitespace().next()?)? })
    })
}

fn number(text: &str) -> Option<u64> {
    text.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_valgrind_says_is_understood() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 1234567\n"), Some(1_234_567));
        assert_eq!(total("==1== Total:     1,234 bytes in 56 blocks\n"), Some(Heap { bytes: 1_234, blocks: 56 }));
        assert_eq!((collected("Killed"), total("Killed")), (None, None));
    }
}
