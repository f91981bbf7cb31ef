//! What must hold when an order has ended: what stands outside is due, or the run's end names it. The rules are those of the table of
//! ends in the guarantees, and know nothing of how the engine keeps them.

use std::collections::BTreeSet;
use std::fmt;

use super::partners::Line;
use super::play::{Asked, Case, End, Flow, How, Played, Residence};

/// What an order makes, oldest first.
const EFFECTS: [&str; 3] = ["reserve", "charge", "ship"];

/// Every rule that does not hold, in words.
pub(super) fn faults(case: &Case, played: &Played) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, rule: String| {
        if !holds {
            faults.push(rule);
        }
    };
    let Played { end, partners, cancel, terminate, seen, .. } = played;
    let ledger = partners.ledger();
    for effect in EFFECTS {
        let times = |line: Line| ledger.iter().filter(|other| **other == line).count();
        let (made, undone) = (times(Line::Made(effect)), times(Line::Undone(effect)));
        must(made <= 1, format!("`{effect}` was done {made} times"));
        must(undone <= made, format!("`{effect}` was done {made} times and undone {undone} times"));
    }
    for path in ["/holds", "/charges", "/parcels"] {
        let keys: BTreeSet<String> = partners.keys(path).into_iter().collect();
        must(keys.len() <= 1, format!("`{path}` was asked for under {} keys", keys.len()));
    }
    let stands = standing(&ledger);
    let named: BTreeSet<&str> = end.not_undone.iter().chain(&end.unknown).map(String::as_str).collect();
    if end.how == How::Sold {
        must(stands == EFFECTS.into(), format!("it is sold, and what stands is {stands:?}"));
        must(end.names_nothing(), "it is sold, and its end names something".to_owned());
        must(!ledger.iter().any(|line| matches!(line, Line::Undone(_))), "it is sold, and was undone".to_owned());
        must(case.approved == Some(true), "it is sold, and nobody approved".to_owned());
        // A run that is being loaded may have the event that ends it before it: then the cancel comes too late, and is on disk.
        let saw_it = case.residence == Residence::Stays && seen.len() == 1;
        must(!saw_it || *cancel != Asked::Taken, "it is sold, and a cancel was taken before".to_owned());
    } else {
        let left: Vec<_> = stands.difference(&named).collect();
        must(left.is_empty(), format!("what stands and is not named: {left:?}"));
    }
    let wrong: Vec<_> = end.undone.iter().filter(|name| stands.contains(name.as_str())).collect();
    must(wrong.is_empty(), format!("what its end says is undone, and stands: {wrong:?}"));
    must(
        end.not_undone.is_empty() || matches!(end.how, How::NotUndone | How::Terminated),
        format!("it ended {:?}, and its end names what was not undone", end.how),
    );
    must(end.how != How::Cancelled || *cancel != Asked::No, "nobody cancelled it".to_owned());
    must(end.how != How::Terminated || *terminate != Asked::No, "nobody terminated it".to_owned());
    must(case.shop.flow == Flow::AtOnce || undone_newest_first(&ledger), "it was not undone newest first".to_owned());
    faults
}

/// What was done and not undone.
pub(super) fn standing(ledger: &[Line]) -> BTreeSet<&'static str> {
    let made = ledger.iter().filter_map(|line| if let Line::Made(effect) = line { Some(*effect) } else { None });
    made.filter(|effect| !ledger.contains(&Line::Undone(effect))).collect()
}

fn undone_newest_first(ledger: &[Line]) -> bool {
    let undone = ledger.iter().filter_map(|line| if let Line::Undone(effect) = line { Some(*effect) } else { None });
    let made: Vec<&str> = EFFECTS.into_iter().rev().filter(|effect| ledger.contains(&Line::Undone(effect))).collect();
    undone.eq(made)
}

impl End {
    fn names_nothing(&self) -> bool {
        self.undone.is_empty() && self.not_undone.is_empty() && self.unknown.is_empty()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.how, self.text)?;
        for (what, names) in [("undone", &self.undone), ("not undone", &self.not_undone), ("unknown", &self.unknown)] {
            if !names.is_empty() {
                write!(f, "; {what}: {}", names.join(", "))?;
            }
        }
        Ok(())
    }
}
