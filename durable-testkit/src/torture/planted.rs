//! What came of the planted bugs: which seed caught each, what saw it, and how many seeds it took. Plain data that one process hands to
//! another; it knows nothing of the bugs themselves.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How many characters of what was seen are shown.
const SHOWN_MAX: usize = 100;

/// What saw a planted bug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum By {
    /// The oracle of whole runs: what it said first.
    Runs(String),
    /// The oracle of the log alone.
    Log(String),
    /// A limit that no play without a bug comes near.
    Limit(String),
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, told) = match self {
            By::Runs(told) => ("runs", told),
            By::Log(told) => ("the log", told),
            By::Limit(told) => ("a limit", told),
        };
        let told: String = told.chars().take(SHOWN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
        write!(f, "{what}: {told}")
    }
}

/// One planted bug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caught {
    /// Its number.
    pub number: u16,
    /// Its name.
    pub name: String,
    /// The first seed that caught it, and what saw it there.
    pub by: Option<(u64, By)>,
    /// How many seeds were played at all.
    pub seeds: u64,
    /// How often its place was come by.
    pub met: u64,
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Caught { number, name, seeds, met, .. } = self;
        write!(f, "{number:>3} {name:<52} ")?;
        match &self.by {
            Some((seed, by)) => write!(f, "seed {seed:>5}, {by}"),
            None => write!(f, "NOT caught by {seeds} seeds, met {met} times"),
        }
    }
}

/// All planted bugs, as far as they were played.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Planted {
    /// Each of them.
    pub bugs: Vec<Caught>,
}

impl Planted {
    /// How many were caught.
    #[must_use]
    pub fn caught(&self) -> usize {
        self.bugs.iter().filter(|bug| bug.by.is_some()).count()
    }

    /// The median and the largest number of seeds that those took which were caught.
    #[must_use]
    pub fn seeds(&self) -> Option<(u64, u64)> {
        let mut seeds: Vec<u64> = self.bugs.iter().filter_map(|bug| Some(bug.by.as_ref()?.0)).collect();
        seeds.sort_unstable();
        Some((*seeds.get(seeds.len().saturating_sub(1) / 2)?, *seeds.last()?))
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} caught", self.caught(), self.bugs.len())?;
        match self.seeds() {
            Some((median, most)) => write!(f, ", seeds each took: median {median}, at most {most}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bug(number: u16, by: Option<(u64, By)>) -> Caught {
        Caught { number, name: format!("bug {number}"), by, seeds: 20_000, met: 7 }
    }

    #[test]
    fn what_was_caught_is_counted_and_what_saw_it_is_told() {
        let by = |seed, by| Some((seed, by));
        let planted = Planted {
            bugs: vec![
                bug(1, by(3, By::Runs("the start of run 0\nis lost".into()))),
                bug(2, by(900, By::Limit("a livelock".into()))),
                bug(3, None),
                bug(4, by(12, By::Log("a hole".into()))),
            ],
        };
        assert_eq!(planted.to_string(), "3 of 4 caught, seeds each took: median 12, at most 900");
        let lines: Vec<String> = planted.bugs.iter().map(ToString::to_string).collect();
        assert!(lines[0].ends_with("seed     3, runs: the start of run 0 is lost"), "{lines:?}");
        assert!(lines[1].ends_with("seed   900, a limit: a livelock"), "{lines:?}");
        assert!(lines[2].ends_with("NOT caught by 20000 seeds, met 7 times"), "{lines:?}");
        let text = serde_json::to_string(&planted.bugs[1]).expect("plain data");
        assert_eq!(serde_json::from_str::<Caught>(&text).expect("its own text"), planted.bugs[1]);
    }

    #[test]
    fn without_any_caught_there_is_no_median() {
        assert_eq!(Planted::default().seeds(), None);
        assert_eq!(Planted { bugs: vec![bug(1, None)] }.to_string(), "0 of 1 caught");
    }
}
