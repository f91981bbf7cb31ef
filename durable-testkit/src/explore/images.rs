//! Which images a crash in an operation leaves: the process dies in it, or the power goes. All subsets of the pending
//! units where they are few, a stated choice of them where they are many. The disk's personality takes away of each what
//! its file system cannot have; equal images are folded by the caller.

use std::fmt;

use durable::codec::frame::HEADER_BYTES;

use crate::disk::{Keep, Mask, Moment, Op, SimDisk, Unfinished};

/// Up to so many units, every subset of them is tried.
const UNITS_FOR_ALL_SUBSETS: usize = 6;
/// Up to so many operations, every subset of them is tried as wholes.
const OPERATIONS_FOR_ALL_SUBSETS: usize = 5;
/// A write that is longer is torn at its first, a middle and its last sector edge only.
const ALL_EDGES_BYTES_MAX: usize = 2048;
const SECTOR: u64 = 512;

/// What kind of image it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageKind {
    /// The process died between two operations, or in one that was done or not: the page cache survives.
    Died,
    /// The process died in a write of which the first bytes were done.
    DiedInWrite,
    /// The power went, and of what was pending some units survived.
    Cut,
    /// The power went in a write of which the first bytes were done.
    CutInWrite,
}

impl fmt::Display for ImageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ImageKind::Died => "process died",
            ImageKind::DiedInWrite => "process died in a write",
            ImageKind::Cut => "power cut",
            ImageKind::CutInWrite => "power cut in a write",
        })
    }
}

/// One way to crash at a moment.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) kind: ImageKind,
    pub(crate) unfinished: Unfinished,
    /// What of the pending units survives; none if the process dies and the machine lives.
    pub(crate) keep: Option<Keep>,
}

impl Choice {
    fn died(kind: ImageKind, unfinished: Unfinished) -> Choice {
        Choice { kind, unfinished, keep: None }
    }

    fn cut(kind: ImageKind, unfinished: Unfinished, keep: Keep) -> Choice {
        Choice { kind, unfinished, keep: Some(keep) }
    }

    /// Brings `disk` to this image of a crash at `moment`.
    pub(crate) fn make(&self, moment: &Moment, disk: &SimDisk) {
        moment.interrupt(disk, self.unfinished);
        match &self.keep {
            Some(keep) => disk.power_cut(keep),
            None => disk.process_crash(&disk.process_by_id(moment.process()), Unfinished::NotDone),
        }
    }
}

/// Whether a moment was led up to by the operation of the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// It was: without its operation it is what the one before was with its own.
    Known,
    /// Something else happened between the two.
    New,
}

/// The ways to crash at a moment.
#[derive(Debug)]
pub(crate) struct Choices {
    pub(crate) choices: Vec<Choice>,
    /// Whether more units were pending than all subsets of are tried.
    pub(crate) are_a_sample: bool,
}

/// All ways to crash at a moment that are not those of the moment before, or the stated sample of them. `disk` is used to try them.
pub(crate) fn choices(moment: &Moment, known: Before, disk: &SimDisk) -> Choices {
    let before = moment.before().pending_units();
    let is_sampled = |units: &[usize]| units.iter().sum::<usize>() > UNITS_FOR_ALL_SUBSETS;
    let mut are_a_sample = false;
    let cut = |unfinished| move |mask| Choice::cut(ImageKind::Cut, unfinished, Keep::Units(mask));
    let mut choices = Vec::new();
    if known == Before::New {
        choices.push(Choice::died(ImageKind::Died, Unfinished::NotDone));
        are_a_sample |= is_sampled(&before);
        choices.extend(subsets(&before, 0).into_iter().map(cut(Unfinished::NotDone)));
    }
    moment.interrupt(disk, Unfinished::Done);
    let after = disk.pending_units();
    if after.len() > before.len() {
        choices.push(Choice::died(ImageKind::Died, Unfinished::Done));
        are_a_sample |= is_sampled(&after);
        choices.extend(subsets(&after, before.len()).into_iter().map(cut(Unfinished::Done)));
    }
    for part in tears(moment) {
        let part = Unfinished::Part(part);
        choices.push(Choice::died(ImageKind::DiedInWrite, part));
        if before.is_empty() {
            // All that can be lost is this part: a recovery reads the same whether the power stayed or went.
            continue;
        }
        choices.push(Choice::cut(ImageKind::CutInWrite, part, Keep::Everything));
        let this_one: Mask = (before.len()..=before.len()).collect();
        choices.push(Choice::cut(ImageKind::CutInWrite, part, Keep::Operations(this_one)));
    }
    Choices { choices, are_a_sample }
}

/// Where the write that is about to be done is torn: how many of its bytes are done. At the edges of sectors, and behind
/// the first, a middle and the last but one byte of a frame's header and of its body.
fn tears(moment: &Moment) -> Vec<usize> {
    let Op::Write { offset, len, .. } = moment.op() else { return Vec::new() };
    let first = usize::try_from(SECTOR - offset % SECTOR).unwrap_or_default();
    let edges: Vec<usize> = (first..*len).step_by(SECTOR as usize).collect();
    let mut tears = match edges.len() {
        0 => Vec::new(),
        _ if *len <= ALL_EDGES_BYTES_MAX => edges,
        count => vec![edges[0], edges[count / 2], edges[count - 1]],
    };
    if (HEADER_BYTES..=ALL_EDGES_BYTES_MAX).contains(len) {
        let (header, body) = (HEADER_BYTES, *len - HEADER_BYTES);
        tears.extend([1, header / 2, header - 1, header, header + 1, header + body / 2, len - 1]);
    }
    tears.sort_unstable();
    tears.dedup();
    tears.retain(|part| (1..*len).contains(part));
    tears
}

/// Subsets of the units of all operations, each with a unit of the operations from `new` on. All of them, if the units are
/// few; else whole operations in every combination, or each alone and all but each alone, and every operation torn: only
/// its first unit, only its last, all but its first, all but its last, with all the other operations and without.
fn subsets(units: &[usize], new: usize) -> Vec<Mask> {
    let total: usize = units.iter().sum();
    let first_new: usize = units.iter().take(new).sum();
    if total <= UNITS_FOR_ALL_SUBSETS {
        let subsets = (0..1_u64 << total).filter(|bits| new == 0 || bits >> first_new != 0);
        return subsets.map(Mask::from).collect();
    }
    let mut ranges = Vec::new();
    let mut at = 0;
    for count in units {
        ranges.push(at..at + count);
        at += count;
    }
    let mut masks: Vec<Mask> = combinations(ranges.len())
        .into_iter()
        .map(|chosen| {
            ranges.iter().zip(chosen).filter(|(_, chosen)| *chosen).flat_map(|(range, _)| range.clone()).collect()
        })
        .collect();
    for range in ranges.iter().filter(|range| range.len() > 1) {
        let (first, last) = (range.start, range.end - 1);
        let torn: [Box<dyn Fn(usize) -> bool>; 4] = [
            Box::new(move |unit| unit == first),
            Box::new(move |unit| unit == last),
            Box::new(move |unit| unit != first),
            Box::new(move |unit| unit != last),
        ];
        for keeps in torn {
            masks.push(range.clone().filter(|unit| keeps(*unit)).collect());
            masks.push((0..total).filter(|unit| !range.contains(unit) || keeps(*unit)).collect());
        }
    }
    masks.sort_unstable();
    masks.dedup();
    masks.retain(|mask| new == 0 || (first_new..total).any(|unit| mask.contains(unit)));
    masks
}

/// Which of so many operations are kept.
fn combinations(count: usize) -> Vec<Vec<bool>> {
    if count <= OPERATIONS_FOR_ALL_SUBSETS {
        return (0..1_usize << count).map(|bits| (0..count).map(|n| bits >> n & 1 == 1).collect()).collect();
    }
    let alone = (0..count).map(|only| (0..count).map(|n| n == only).collect());
    let but_one = (0..count).map(|lost| (0..count).map(|n| n != lost).collect());
    let prefixes = (0..=count).map(|kept| (0..count).map(|n| n < kept).collect());
    alone.chain(but_one).chain(prefixes).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn few_units_give_every_subset_and_new_ones_are_in_each() {
        assert_eq!(subsets(&[2, 1], 0).len(), 8);
        let with_new = subsets(&[2, 1], 1);
        assert_eq!(with_new.len(), 4);
        assert!(with_new.iter().all(|mask| mask.contains(2)));
    }

    #[test]
    fn many_units_give_whole_operations_and_torn_ones() {
        let masks: BTreeSet<Mask> = subsets(&[9, 1, 9], 0).into_iter().collect();
        assert!(masks.contains(&(0..19).collect()) && masks.contains(&Mask::default()));
        assert!(masks.contains(&(0..9).collect()) && masks.contains(&(9..19).collect()));
        assert!(masks.contains(&(0..8).collect()), "all but its last unit");
        assert!(masks.contains(&(1..19).collect()), "all but the first unit of all");
        assert!((20..64).contains(&masks.len()), "{}", masks.len());
    }
}
