//! What a service did, as data and as a table.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::kit::outside::Shown;

/// What a service did in one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ledger {
    /// Its name.
    pub service: String,
    /// In the order in which it did them.
    pub effects: Vec<Effect>,
}

/// Something that a service did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Effect {
    /// What, in the caller's words.
    pub what: String,
    /// Under which key; none if it does it each time that it is asked.
    pub key: Option<String>,
    /// How much simulated time had passed since the first process began.
    pub at: Duration,
    /// Who asked: the run's workflow id, the activity, and the attempt's number; none if it was no attempt.
    pub asked_by: Option<(String, String, u32)>,
    /// Whether somebody was there to hear that it is done.
    pub acknowledged: bool,
    /// How often it was asked for under its key again.
    pub repeats: u32,
}

impl Effect {
    pub(super) fn now(at: Duration, what: &str, key: Option<&str>) -> Effect {
        let attempt = durable::activity::try_info();
        let asked_by = attempt.map(|info| (info.workflow_id.to_string(), info.activity.to_string(), info.attempt.0));
        let key = key.map(str::to_owned);
        Effect { what: what.to_owned(), key, at, asked_by, acknowledged: false, repeats: 0 }
    }
}

impl Ledger {
    /// How often it had this effect.
    #[must_use]
    pub fn count(&self, what: &str) -> usize {
        self.effects.iter().filter(|effect| effect.what == what).count()
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ledger { service, effects } = self;
        write!(f, "ledger of {service}: {}", if effects.is_empty() { "empty" } else { "" })?;
        let width = effects.iter().map(|effect| effect.what.len()).max().unwrap_or_default();
        for Effect { what, key, at, asked_by, acknowledged, repeats } in effects {
            write!(f, "\n{:>14}  {what:width$}", Shown(*at).to_string())?;
            if let Some((run, activity, attempt)) = asked_by {
                write!(f, "  for `{run}`, {activity}, attempt {attempt}")?;
            }
            if key.is_none() {
                f.write_str(", without a key")?;
            }
            if *repeats > 0 {
                write!(f, ", asked for {repeats} times more")?;
            }
            if !acknowledged {
                f.write_str(", nobody heard the answer")?;
            }
        }
        Ok(())
    }
}
