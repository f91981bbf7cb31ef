//! What a death leaves: the store as it lies there, looked at on a copy by a reader and by recoveries, without a trace in the play. What
//! was acknowledged is in it, the tables are what the journals say, a recovery changes nothing that a reader sees, and what a process
//! has opened the store with is there for ever.

use std::collections::BTreeMap;
use std::sync::Arc;

use durable::kernel::event::Text;
use durable::seams::Seams;
use durable::store::Journal;
use durable::store::log::{self, Options, Sizes};

use super::case::Case;
use super::look::{Look, Past};
use super::oracle;
use super::stage::Seen;
use crate::disk::{Keep, SimDisk, Unfinished};
use crate::rng::Rng;
use crate::seams::{InlineSpawn, ManualClock, SeededEntropy};
use crate::sim::{STORE, Setting};

/// How many of a hundred deaths are looked into.
const SHARE: u64 = 25;

/// The wrecks of a play.
#[derive(Debug, Default)]
pub(super) struct Wrecks {
    deaths: u64,
    /// How many were looked into.
    pub(super) looked_into: u64,
    /// What the newest one held, and how often the store had been opened by then.
    newest: Option<(usize, BTreeMap<Text, Journal>)>,
}

impl Wrecks {
    /// A process has died, or the power went: says what is wrong with what is left, if the seed has it looked into.
    pub(super) fn look_into(&mut self, case: &Case, seen: &Seen, disk: &SimDisk, setting: &Setting) -> Vec<String> {
        self.deaths += 1;
        let mut rng = Rng::new(case.seed ^ 0x3EEC_0000_7014_7012 ^ (self.deaths << 32));
        if seen.opened.is_empty() || !rng.percent(SHARE) {
            return Vec::new();
        }
        self.looked_into += 1;
        let wrong = match recovered(case, disk, setting) {
            Ok((look, mut wrong)) => {
                wrong.extend(oracle::acknowledged(case, seen, &look));
                wrong.extend(self.holds_on_to(case, seen, &look));
                wrong
            }
            Err(error) => vec![error],
        };
        wrong.into_iter().map(|what| format!("behind death {} of the play: {what}", self.deaths)).collect()
    }

    /// The power goes: what nobody has opened since may be lost.
    pub(super) fn power_goes(&mut self, seen: &Seen) {
        self.newest.take_if(|(opened, _)| *opened == seen.opened.len());
    }

    /// What a wreck held is there for ever, once a process has opened the store: that made it durable.
    pub(super) fn holds_on_to(&mut self, case: &Case, seen: &Seen, look: &Look) -> Vec<String> {
        let lost = |(id, journal): (&Text, &Journal)| {
            let now = look.runs.get(id).map(|past| &past.journal[..]).unwrap_or_default();
            let events = journal.len();
            (!now.starts_with(journal)).then(|| format!("`{id}` had {events} events when a process had died before"))
        };
        let newest = self.newest.as_ref().filter(|(opened, _)| case.slots.len() == 1 && *opened < seen.opened.len());
        let wrong = newest.map(|(_, runs)| runs.iter().filter_map(lost).collect()).unwrap_or_default();
        let runs = look.runs.iter().map(|(id, past)| (id.clone(), past.journal.clone()));
        self.newest = Some((seen.opened.len(), runs.collect()));
        wrong
    }
}

/// What a recovery of a copy finds, and what is wrong with it.
fn recovered(case: &Case, disk: &SimDisk, setting: &Setting) -> Result<(Look, Vec<String>), String> {
    let copy = SimDisk::from_snapshot(&disk.snapshot());
    // Nobody is left on the copy, and it is on no full disk.
    copy.unlimit_space();
    copy.power_cut(&Keep::Everything);
    let read = Look::at(&copy, (0..case.programs.len()).map(Case::id))?;
    let found = recover(case, &copy, setting.sizes)?;
    let again = recover(case, &copy, setting.sizes)?;
    let mut wrong = oracle::tables(&found);
    if !read.rot.is_empty() {
        wrong.push(format!("the store is damaged: {:?}", read.rot));
    }
    wrong.extend(missing(&read, &found).map(|id| format!("a reader sees events of `{id}` that no recovery finds")));
    if found.tables != again.tables || !found.is_like(&again) {
        wrong.push(format!("a recovery finds {:?}, and a second one {:?}", found.tables, again.tables));
    }
    Ok((found, wrong))
}

/// Runs of which one knows something that the other does not.
fn missing<'a>(one: &'a Look, other: &'a Look) -> impl Iterator<Item = &'a Text> {
    let is_whole =
        |id: &Text, past: &Past| other.runs.get(id).is_some_and(|found| found.journal.starts_with(&past.journal));
    one.runs.iter().filter(move |(id, past)| !is_whole(id, past)).map(|(id, _)| id)
}

/// What a process finds that opens the log, and dies behind that.
fn recover(case: &Case, disk: &SimDisk, sizes: Sizes) -> Result<Look, String> {
    let (process, spawn) = (disk.process(), InlineSpawn::in_order());
    let seams = Seams {
        clock: Arc::new(ManualClock::new(Setting::default().begin)),
        entropy: Arc::new(SeededEntropy::new(process.id().0.into()).with_pid(process.id().0)),
        spawn: Arc::new(spawn.clone()),
    };
    let options = Options { sizes, ..Options::new(STORE, Arc::new(|_| {})) };
    let ids = (0..case.programs.len()).map(|program| Text::from(Case::id(program))).collect();
    let found = async {
        let opened = log::open(Arc::new(process.clone()), seams, options).await;
        let (log, _, recovered) = opened.map_err(|error| error.to_string())?;
        Look::of(&log, recovered, ids).await
    };
    let found = spawn.run(found, || false).ok_or("the recovery of a copy never ends")?;
    process.crash(Unfinished::NotDone);
    found
}
