//! The rig's command line.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::index::Damage;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Kills the backup example with `kill -9` at drawn moments, starts it again until it is done, and checks what it left.

Usage: kill [--kills N] [--stores N] [--files N] [--window PERCENT] [--index HOW] [--seed N] [--keep DIR] [--example PATH]

  --kills N         so many kills at least that count: of a process that had begun to work and had not ended (300)
  --stores N        so many stores at least, each from its start to its end (20); others follow until there are enough kills
  --files N         the tree has so many files (2000), and links, empty directories and strange names beside them
  --window PERCENT  a kill comes in this part of the undisturbed run time after a start, uniformly drawn (100); a smaller one
                    gives more kills for each store
  --index HOW       what becomes of the store's index after each kill: none, delete, truncate, garbage, older (none)
  --seed N          repeats the draws; the clock gives one unless it is said
  --keep DIR        where to work; the system's temporary directory unless it is said
  --example PATH    the backup example; it is built unless it is said

Exit code: 0 all held; 1 a violation, and the store is kept; 2 the rig failed.";

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) kills: u64,
    pub(crate) stores: u64,
    pub(crate) files: u64,
    pub(crate) window: u32,
    pub(crate) index: Damage,
    pub(crate) seed: u64,
    pub(crate) keep: Option<PathBuf>,
    pub(crate) example: Option<PathBuf>,
}

/// Why there is nothing to do.
#[derive(Debug)]
pub(crate) enum NoArgs {
    /// Help was asked for.
    Help,
    /// They are wrong, in this way.
    Wrong(String),
}

impl Args {
    /// Reads the arguments behind the program's name.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Args, NoArgs> {
        let mut args = Args {
            kills: 300,
            stores: 20,
            files: 2_000,
            window: 100,
            index: Damage::None,
            seed: clock(),
            keep: None,
            example: None,
        };
        while let Some(name) = given.next() {
            if matches!(name.as_str(), "--help" | "-h") {
                return Err(NoArgs::Help);
            }
            let value = given.next().ok_or_else(|| NoArgs::Wrong(format!("`{name}` needs a value")))?;
            args.set(&name, &value)?;
        }
        Ok(args)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), NoArgs> {
        match name {
            "--kills" => self.kills = number(name, value)?,
            "--stores" => self.stores = number(name, value)?,
            "--files" => self.files = number(name, value)?,
            "--window" => self.window = number(name, value)?,
            "--seed" => self.seed = number(name, value)?,
            "--keep" => self.keep = Some(value.into()),
            "--example" => self.example = Some(value.into()),
            "--index" => {
                let found = Damage::ALL.into_iter().find(|damage| damage.name() == value);
                self.index = found.ok_or_else(|| NoArgs::Wrong(format!("`--index` does not know `{value}`")))?;
            }
            _ => return Err(NoArgs::Wrong(format!("unknown argument `{name}`"))),
        }
        Ok(())
    }
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, NoArgs> {
    value.parse().map_err(|_| NoArgs::Wrong(format!("`{name}` takes a number, not `{value}`")))
}

fn clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
