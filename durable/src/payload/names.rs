//! The names that a value's shape is made of, spelled out: a set, in the order of its bytes. All of them stand in one piece, since most
//! values have one name or none and what is hashed is then there already.

use std::ops::Range;

use crate::codec::hash::sip64;
use crate::codec::leb;

/// What is hashed in front of the names.
const SHAPE: u8 = b's';

/// More room for text is not kept for the next value.
const KEPT_MAX: usize = 4 << 10;

/// The same, for how many names there are.
const KEPT_NAMES_MAX: usize = 256;

/// See the head of the file.
#[derive(Default)]
pub(super) struct Names {
    /// `SHAPE`, then each name where it was met first. Of a value without names yet, the name that `before` tells of may stand there.
    spelled: Vec<u8>,
    /// Where they stand, sorted by what stands there.
    sorted: Vec<Range<usize>>,
    /// What the first name in `spelled` was made of, where that is known: one call is made again and again, and its arguments are a struct.
    before: Option<Fielded>,
    /// The digest of that name alone, and under which salt: a run makes it again and again.
    digested: Option<([u8; 16], u64)>,
}

/// A struct or a variant with named fields. It is told by where its texts stand in memory: they are there for ever, so what stands at one
/// place is one text.
#[derive(Default)]
struct Fielded {
    name: &'static str,
    variant: Option<&'static str>,
    /// As they were met.
    fields: Vec<&'static str>,
}

impl Names {
    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        match self.sorted.len() {
            0 | 1 if self.before.is_some() => self.sorted.clear(),
            _ => self.reset(),
        }
    }

    /// Adds a struct (no `variant`) or a variant without named fields, but with so many that have no names.
    pub(super) fn add(&mut self, name: &str, variant: Option<&str>, nameless: usize) {
        self.spell(name, variant, nameless, &[]);
    }

    /// Adds what serde flattened, by its fields.
    pub(super) fn add_flattened(&mut self, fields: &mut [&str]) {
        fields.sort_unstable();
        self.spell("", None, 0, fields);
    }

    /// Adds a struct (no `variant`) or a variant with named fields. Sorts them.
    pub(super) fn add_fielded(
        &mut self,
        name: &'static str,
        variant: Option<&'static str>,
        fields: &mut [&'static str],
    ) {
        if !self.sorted.is_empty() {
            fields.sort_unstable();
            return self.spell(name, variant, 0, fields);
        }
        if self.before.as_ref().is_some_and(|before| before.is(name, variant, fields)) {
            return self.sorted.push(1..self.spelled.len());
        }
        let mut first = self.before.take().unwrap_or_default();
        first.set(name, variant, fields);
        fields.sort_unstable();
        self.spell(name, variant, 0, fields);
        self.before = Some(first);
    }

    /// The digest of all names. `room` is where they are put together if they do not stand in their order.
    pub(super) fn digest(&mut self, salt: &[u8; 16], room: &mut Vec<u8>) -> u64 {
        let is_before_alone = self.sorted.len() == 1 && self.before.is_some();
        if is_before_alone && let Some((_, digest)) = self.digested.filter(|(under, _)| under == salt) {
            return digest;
        }
        let digest = sip64(salt, self.hashed(room));
        if is_before_alone {
            self.digested = Some((*salt, digest));
        }
        digest
    }

    fn hashed<'a>(&'a self, room: &'a mut Vec<u8>) -> &'a [u8] {
        if self.sorted.is_empty() {
            return &[SHAPE];
        }
        if self.sorted.is_sorted_by_key(|place| place.start) {
            return &self.spelled;
        }
        room.clear();
        room.push(SHAPE);
        let names = self.sorted.iter().filter_map(|place| self.spelled.get(place.clone()));
        names.for_each(|name| room.extend_from_slice(name));
        room
    }

    /// Whether it takes little enough to be kept.
    pub(super) fn is_small(&self) -> bool {
        self.spelled.capacity() <= KEPT_MAX && self.sorted.capacity() <= KEPT_NAMES_MAX
    }

    fn reset(&mut self) {
        self.sorted.clear();
        self.spelled.clear();
        self.spelled.push(SHAPE);
        self.before = None;
        self.digested = None;
    }

    fn spell(&mut self, name: &str, variant: Option<&str>, nameless: usize, fields: &[&str]) {
        if self.sorted.is_empty() {
            self.reset();
        }
        let start = self.spelled.len();
        spell(&mut self.spelled, name, variant, nameless, fields);
        let name = |place: &Range<usize>| self.spelled.get(place.clone()).unwrap_or_default();
        let new = start..self.spelled.len();
        match self.sorted.binary_search_by(|known| name(known).cmp(name(&new))) {
            Ok(_) => self.spelled.truncate(start),
            Err(place) => self.sorted.insert(place, new),
        }
    }
}

fn spell(spelled: &mut Vec<u8>, name: &str, variant: Option<&str>, nameless: usize, fields: &[&str]) {
    spelled.push(u8::from(variant.is_some()));
    leb::put_text(name, spelled);
    variant.iter().for_each(|variant| leb::put_text(variant, spelled));
    leb::put(nameless as u64, spelled);
    leb::put(fields.len() as u64, spelled);
    fields.iter().for_each(|field| leb::put_text(field, spelled));
}

impl Fielded {
    fn set(&mut self, name: &'static str, variant: Option<&'static str>, fields: &[&'static str]) {
        (self.name, self.variant) = (name, variant);
        self.fields.clear();
        self.fields.extend_from_slice(fields);
    }

    fn is(&self, name: &'static str, variant: Option<&'static str>, fields: &[&'static str]) -> bool {
        let is_same = |(a, b): (&&'static str, &&'static str)| std::ptr::eq(*a, *b);
        std::ptr::eq(self.name, name)
            && self.variant.is_some() == variant.is_some()
            && self.variant.iter().zip(&variant).all(is_same)
            && self.fields.len() == fields.len()
            && self.fields.iter().zip(fields).all(is_same)
    }
}
