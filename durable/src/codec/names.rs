//! The names that a run's journal has written so far. An activity or a child workflow (name and shape of its input) and a
//! signal (name) are written in full where they come first; from then on their number stands for them. One table per run,
//! the same on both sides: a writer and a reader that went through the same events hold equal tables.

use super::{DecodeError, leb};
use crate::kernel::event::Text;
use crate::kernel::id::Digest;
use crate::kernel::rare::{Empty, Rare};
use crate::kernel::short::Short;

/// How many names a table holds. A run with more writes those that come later in full, each time.
pub const LIMIT: u32 = 1024;

/// A name: the text, and the shape digest where it is an activity or a workflow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The text.
    pub text: Text,
    /// The shape of its input; none for a signal.
    pub shape: Option<Digest>,
}

/// So many names are looked through one by one.
const FEW: usize = 8;

/// The names that a run's journal has written so far, by number. There is a table for each open run, and most have no name or one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names(Rare<Table>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    names: Short<Name>,
    /// The numbers, in the order of their names; none as long as there are few.
    sorted: Rare<Vec<u16>>,
}

/// How a name stands in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// By its number alone.
    Number(u32),
    /// In full, behind the length of the table.
    InFull(u32),
}

impl Name {
    fn key(&self) -> (&Text, Option<Digest>) {
        (&self.text, self.shape)
    }
}

impl Empty for Table {
    fn empty() -> &'static Table {
        static EMPTY: Table = Table { names: Short::NOTHING, sorted: Rare::NOTHING };
        &EMPTY
    }
}

impl Names {
    /// An empty table: that of a run whose journal begins.
    #[must_use]
    pub const fn new() -> Names {
        Names(Rare::NOTHING)
    }

    /// How many names there are.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "at most LIMIT")]
    pub fn len(&self) -> u32 {
        self.0.names.len() as u32
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.names.is_empty()
    }

    /// The names, by number.
    pub fn iter(&self) -> impl Iterator<Item = &Name> {
        self.0.names.iter()
    }

    /// How `name` is to be written now; takes it in if it is new.
    pub(crate) fn spell(&mut self, text: &Text, shape: Option<Digest>) -> Spelling {
        match self.find(text, shape) {
            Ok(number) => Spelling::Number(number),
            Err(place) => {
                let number = self.len();
                self.insert(place, Name { text: text.clone(), shape });
                Spelling::InFull(number)
            }
        }
    }

    /// Takes in a name that was read in full.
    pub(crate) fn add(&mut self, name: Name) -> Result<(), DecodeError> {
        let Err(place) = self.find(&name.text, name.shape) else {
            return Err(DecodeError::Value { rule: "a name is written in full once" });
        };
        self.insert(place, name);
        Ok(())
    }

    /// The name of that number.
    pub(crate) fn get(&self, index: u32) -> Result<&Name, DecodeError> {
        let name = usize::try_from(index).ok().and_then(|index| self.0.names.get(index));
        name.ok_or(DecodeError::UnknownName { index, known: self.len() })
    }

    /// Forgets the names from number `len` on.
    pub(crate) fn truncate(&mut self, len: u32) {
        let Some(table) = self.0.written() else { return };
        table.names.truncate(len as usize);
        if let Some(sorted) = table.sorted.written() {
            sorted.retain(|number| table.names.len() > FEW && u32::from(*number) < len);
        }
    }

    /// The number of a name, or its place among the sorted ones.
    #[allow(clippy::cast_possible_truncation, reason = "at most LIMIT")]
    fn find(&self, text: &Text, shape: Option<Digest>) -> Result<u32, usize> {
        let Table { names, sorted } = &*self.0;
        if names.len() <= FEW {
            let place = names.iter().position(|name| name.shape == shape && name.text == *text);
            return place.map(|place| place as u32).ok_or(0);
        }
        let place = sorted.binary_search_by(|number| names[usize::from(*number)].key().cmp(&(text, shape)))?;
        Ok(u32::from(sorted[place]))
    }

    fn insert(&mut self, place: usize, name: Name) {
        let Some(number) = u16::try_from(self.len()).ok().filter(|number| u32::from(*number) < LIMIT) else { return };
        let Table { names, sorted } = &mut *self.0;
        names.push(name);
        match names.len() {
            0..=FEW => {}
            len if len == FEW + 1 => {
                sorted.extend(0..=number);
                sorted.sort_by(|one, other| names[usize::from(*one)].key().cmp(&names[usize::from(*other)].key()));
            }
            _ => sorted.insert(place, number),
        }
    }

    /// Appends the table: a checkpoint holds that of each open run.
    pub fn encode(&self, out: &mut Vec<u8>) {
        leb::put(u64::from(self.len()), out);
        for name in self.iter() {
            leb::put_text(name.text.as_str(), out);
            out.push(u8::from(name.shape.is_some()));
            out.extend(name.shape.iter().flat_map(|shape| shape.0.to_le_bytes()));
        }
    }

    /// Takes a table off the front of `bytes`.
    ///
    /// # Errors
    /// A [`DecodeError`] if it is none.
    pub fn decode(bytes: &mut &[u8]) -> Result<Names, DecodeError> {
        let count = leb::take(bytes)?;
        if count > u64::from(LIMIT) {
            return Err(DecodeError::TooLong { len: count, limit: u64::from(LIMIT) });
        }
        let mut names = Names::new();
        for _ in 0..count {
            names.add(Self::decode_name(bytes)?)?;
        }
        Ok(names)
    }

    fn decode_name(bytes: &mut &[u8]) -> Result<Name, DecodeError> {
        let text = leb::take_text(bytes)?.into();
        let shape = match leb::take_u8(bytes)? {
            0 => None,
            1 => Some(Digest(u64::from_le_bytes(leb::take_array(bytes)?))),
            found => return Err(DecodeError::Choice { of: "mark of a shape", found: found.into() }),
        };
        Ok(Name { text, shape })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(number: u32) -> Text {
        // Not in the order of their numbers.
        format!("name {}", number.wrapping_mul(0x9E37_79B9) >> 16).as_str().into()
    }

    #[test]
    fn a_name_has_its_number_with_few_names_and_with_many() {
        let mut names = Names::new();
        for round in 0..4 {
            for number in names.len()..30 {
                assert_eq!(names.spell(&text(number), None), Spelling::InFull(number));
                let table = (0..=number).map(|number| (names.spell(&text(number), None), number));
                assert!(table.into_iter().all(|(spelling, number)| spelling == Spelling::Number(number)));
            }
            // Also to fewer than are sorted, and back.
            names.truncate(round * 6);
            let mut bytes = Vec::new();
            names.encode(&mut bytes);
            assert_eq!((Names::decode(&mut &*bytes), names.len()), (Ok(names.clone()), round * 6));
        }
        assert_eq!(names.spell(&text(0), Some(Digest(1))), Spelling::InFull(18), "the shape is a part of the name");
    }
}
