//! What happened in a simulation: a hash that two equal simulations share, and, where wanted, one line for each thing. It must
//! never depend on anything but what happened.

use std::fmt;

/// What happened so far.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) fn new(words: super::Words) -> Trace {
        // FNV-1a's offset basis, of 64 bits.
        Trace { hash: 0xCBF2_9CE4_8422_2325, lines: (words == super::Words::Yes).then(Vec::new) }
    }

    /// The same for two simulations in which the same happened.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// One line for each thing that happened; empty where words were not wanted.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Adds numbers to the hash.
    pub(super) fn add(&mut self, numbers: [u64; 3]) {
        for number in numbers {
            // FNV-1a by words: a trace is long, and nobody attacks it.
            self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01B3).rotate_left(29);
        }
    }

    /// Adds a line, if words are wanted. What it says must be in the hash, or follow from it.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trace({:016x}, {} lines)", self.hash, self.lines().len())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "trace {:016x}", self.hash)
    }
}
