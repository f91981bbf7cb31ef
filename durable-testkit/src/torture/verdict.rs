//! What is said of a case: it is played, beside a play without any fault where both have to end alike, and judged. A panic of the
//! engine is a violation like any other.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::case::{Case, Conduct, Life};
use super::oracle::judge;
use super::play::{Counts, Played};
use super::program::Build;
use super::stage::{Acked, Seen, root_of};
use crate::disk::Personality;
use crate::panics::text_of;
use crate::sim::{LIVELOCK, NO_END, Words};

/// What came of a case.
#[derive(Debug)]
pub struct Verdict {
    /// What is wrong; empty if nothing is.
    pub wrong: Vec<String>,
    /// Whether a limit ended the play that no sound one comes near: it moved, and came to no end.
    pub is_cut: bool,
    /// What a report counts.
    pub counts: Counts,
    /// The same for two plays in which the same happened.
    pub trace: u64,
    /// What happened, for a person; then the journals.
    pub lines: Vec<String>,
}

impl Verdict {
    /// Whether something is wrong in the same way: the same words, up to the first name, number or detail.
    #[must_use]
    pub fn is_like(&self, other: &Verdict) -> bool {
        let ways: BTreeSet<&str> = other.wrong.iter().map(|wrong| way(wrong)).collect();
        self.wrong.iter().any(|wrong| ways.contains(way(wrong)))
    }
}

fn way(wrong: &str) -> &str {
    let behind_name = wrong.strip_prefix('`').and_then(|named| named.split_once('`'));
    let told = behind_name.map_or(wrong, |(_, told)| told);
    let told = told.trim_start_matches([':', ',', ' ']);
    told.split(|c: char| c.is_ascii_digit() || "`{[(:".contains(c)).next().unwrap_or(told)
}

impl Case {
    /// Plays the case and says what is wrong.
    #[must_use]
    pub fn check(&self) -> Verdict {
        match catch_unwind(AssertUnwindSafe(|| self.checked())) {
            Ok(verdict) => verdict,
            Err(panic) => {
                let text = text_of(&*panic);
                let is_cut = text.starts_with(LIVELOCK) || text.starts_with(NO_END);
                let wrong = vec![format!("a panic: {text}")];
                Verdict { wrong, is_cut, counts: Counts::default(), trace: 0, lines: Vec::new() }
            }
        }
    }

    fn checked(&self) -> Verdict {
        let played = self.play(Words::No);
        let mut wrong = judge(self, &played);
        if wrong.is_empty() && self.is_tame() {
            let calm = self.without_faults().play(Words::No);
            wrong.extend(differences(&played.seen, &calm.seen));
        }
        Verdict { wrong, is_cut: false, counts: played.counts, trace: trace_of(&played), lines: lines_of(&played) }
    }

    /// The same with nothing that goes wrong.
    fn without_faults(&self) -> Case {
        let life = Life {
            after_ms: 0,
            build: Build::First,
            lasts_ms: 1_000,
            death: None,
            faults: Vec::new(),
            stops: Vec::new(),
        };
        let conduct = Conduct { lag: (0, 0), file_system: Personality::Hostile, ..self.conduct };
        Case { conduct, slots: vec![vec![life]], blows: Vec::new(), ..self.clone() }
    }
}

/// What two plays of tame programs must have in common: the ends, and the effects.
fn differences(stormy: &Seen, calm: &Seen) -> Vec<String> {
    let ends = |seen: &Seen| -> BTreeSet<(usize, String)> {
        let ends = seen.acks.iter().filter_map(|ack| match &ack.what {
            Acked::Ended(program, told) => Some((*program, told.clone())),
            _ => None,
        });
        ends.collect()
    };
    let effects = |seen: &Seen| -> BTreeSet<(String, String, u16)> {
        let effects = seen.attempts.iter();
        effects
            .map(|attempt| (root_of(attempt.id.as_str()).to_owned(), attempt.name.to_string(), attempt.ask.site))
            .collect()
    };
    let mut wrong = Vec::new();
    if ends(stormy) != ends(calm) {
        wrong.push(format!("runs ended with {:?}, and without any fault with {:?}", ends(stormy), ends(calm)));
    }
    if effects(stormy) != effects(calm) {
        wrong.push(format!("the effects were {:?}, and without any fault {:?}", effects(stormy), effects(calm)));
    }
    wrong
}

fn trace_of(played: &Played) -> u64 {
    let bytes = played.seen.lines.iter().flat_map(|line| line.bytes());
    bytes.fold(played.trace.hash(), |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
}

fn lines_of(played: &Played) -> Vec<String> {
    let mut lines = played.seen.lines.clone();
    if let Ok(look) = &played.first {
        for (id, past) in &look.runs {
            lines.push(format!("journal of {id}"));
            lines.extend(past.journal.iter().map(|(no, at, event)| format!("  {no} {} {event:?}", at.0)));
        }
    }
    lines
}
