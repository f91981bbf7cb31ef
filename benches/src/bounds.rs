//! The bounds of the hot path, as `guard.toml` records them: a section for each piece, with the most instructions and the most allocations
//! that one repetition may take. Of TOML only what that file needs is read.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::Outcome;
use crate::pieces::Piece;
use crate::valgrind::Counted;

/// How far above what was counted a bound is put: what another processor, C library or point release of the compiler may add.
const ROOM: f64 = 1.10;

/// What one repetition of a piece may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Instructions.
    pub instructions: f64,
    /// Allocations.
    pub allocations: f64,
}

/// The bounds of all pieces.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    sections: BTreeMap<String, BTreeMap<String, f64>>,
}

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Bounds, String> {
        let mut sections: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        let mut section = None;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = Some(sections.entry(name.to_owned()).or_default());
                continue;
            }
            let wrong = || format!("guard.toml: {line:?} is neither a section nor a bound in one");
            let (name, value) = line.split_once('=').ok_or_else(wrong)?;
            let value = value.trim().parse().map_err(|_| wrong())?;
            section.as_mut().ok_or_else(wrong)?.insert(name.trim().to_owned(), value);
        }
        Ok(Bounds { sections })
    }
}

impl Bounds {
    /// The bound of a piece.
    ///
    /// # Errors
    /// When it has none: nothing is guarded by leaving it out.
    pub fn of(&self, piece: Piece) -> Outcome<Bound> {
        let bound = |what: &str| {
            let found = self.sections.get(piece.name()).and_then(|section| section.get(what)).copied();
            found.ok_or_else(|| format!("guard.toml has no bound on `{what}` of `{}`", piece.name()))
        };
        Ok(Bound { instructions: bound("instructions")?, allocations: bound("allocations")? })
    }
}

impl Bound {
    /// A bound above what was counted.
    #[must_use]
    pub fn above(counted: &Counted) -> Bound {
        Bound { instructions: (counted.instructions * ROOM).ceil(), allocations: counted.allocations * ROOM }
    }

    /// As the file has it.
    #[must_use]
    pub fn section(&self, piece: Piece) -> String {
        let Bound { instructions, allocations } = self;
        format!("\n[{}]\ninstructions = {instructions:.0}\nallocations = {allocations:.2}\n", piece.name())
    }

    /// Which of the two was passed, in words.
    #[must_use]
    pub fn passed(&self, piece: Piece, counted: &Counted) -> Vec<String> {
        let both = [
            ("instructions", counted.instructions, self.instructions),
            ("allocations", counted.allocations, self.allocations),
        ];
        let passed = both.into_iter().filter(|(_, seen, most)| seen > most);
        let told = passed.map(|(what, seen, most)| {
            let name = piece.name();
            format!(
                "{name} takes {seen:.2} {what}, and at most {most:.2} are allowed: find what was added, or record why"
            )
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(instructions: f64, allocations: f64) -> Counted {
        Counted { instructions, allocations, allocated_bytes: 0.0 }
    }

    #[test]
    fn a_recorded_bound_is_read_back_and_has_room() {
        let bound = Bound::above(&counted(1_000.0, 10.0));
        let bounds: Bounds = format!("# why\n{}", bound.section(Piece::KernelStep)).parse().unwrap();
        assert_eq!(bounds.of(Piece::KernelStep).unwrap(), Bound { instructions: 1_100.0, allocations: 11.0 });
        assert!(bounds.of(Piece::Encode).is_err());
    }

    #[test]
    fn what_passes_a_bound_is_told() {
        let bound = Bound { instructions: 1_100.0, allocations: 11.0 };
        assert_eq!(bound.passed(Piece::Encode, &counted(1_100.0, 11.0)), Vec::<String>::new());
        assert_eq!(bound.passed(Piece::Encode, &counted(1_101.0, 12.0)).len(), 2);
    }

    #[test]
    fn the_recorded_bounds_cover_every_piece_and_nothing_else() {
        let bounds: Bounds = include_str!("../guard.toml").parse().unwrap();
        assert!(Piece::ALL.into_iter().all(|piece| bounds.of(piece).is_ok()));
        assert_eq!(bounds.sections.len(), Piece::ALL.len());
    }

    #[test]
    fn a_file_that_is_no_list_of_bounds_is_refused() {
        for wrong in ["instructions = 1", "[a]\ninstructions", "[a]\ninstructions = many"] {
            assert!(wrong.parse::<Bounds>().is_err(), "{wrong}");
        }
    }
}
