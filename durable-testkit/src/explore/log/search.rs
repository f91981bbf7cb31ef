//! The search: every image of every moment of a play, recovered and looked at, and the moments of those recoveries in
//! turn, as deep as asked for. Images of which a recovery would read the same are folded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use durable::codec::format_file;
use durable::codec::frame::{self, Place, StoreId};
use durable::codec::segment::{self, FIRST_FRAME};
use durable::seams::{Clock, Seams, Spawn};
use durable::store::disk::Disk;
use durable::store::log::{Log, SegmentSizes, open};
use serde::Serialize;

use super::model::History;
use super::oracle::{self, Bounds, Outcome, now};
use super::player::{self, DIR, NOW, Played, Player, Point};
use super::script::{Act, Script};
use crate::disk::{OpKind, ProcessId, SimDisk, Snapshot};
use crate::explore::fold::{Folds, Leaf};
use crate::explore::images::{Before, Choice, ImageKind, choices};
use crate::rng::Rng;
use crate::seams::{InlineSpawn, ManualClock, SeededEntropy};

/// The tables are compared after each recovery. The journal that was appended to last is loaded and compared after each
/// of the first level, and after one of so many of those below, ..
const LOOK_AT_JOURNAL_EVERY: u64 = 4;
/// .. and every journal and every closed run after one of so many.
const LOOK_CLOSELY_EVERY: u64 = 32;

/// How deep and how widely a scenario is explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exploration {
    /// How many crashes follow one another: 1 crashes the scenario, 2 also the recovery from that, and so on.
    pub depth: u8,
    /// How many of a hundred recoveries are crashed in turn.
    pub deepened_percent: u8,
}

/// What was explored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Distinct crash states: images, after folding, on which the recovery ran and the oracle looked.
    pub states: u64,
    /// All images, each of which the oracle judged.
    pub unfolded: u64,
    /// Of the states, those of which every journal and every closed run was loaded and compared, and not only the tables.
    pub looked_at_closely: u64,
    /// The moments at which so much was pending that a stated sample of the surviving images was tried, and not all.
    pub sampled: u64,
    /// Images with a bit flipped at rest, each opened and judged; they are no crash states.
    pub rotten: u64,
    /// Scenarios of one process after the other.
    pub scenarios: u64,
    /// Schedules of several processes at once.
    pub schedules: u64,
    /// Images of those that were recovered and judged, apart from the states above: equal ones are not folded.
    pub contended: u64,
    /// The states by how many crashes led there.
    pub by_depth: BTreeMap<u8, u64>,
    /// The states by the operation in which the last crash fell.
    pub by_operation: BTreeMap<String, u64>,
    /// The states by what kind of image it is.
    pub by_image: BTreeMap<String, u64>,
    /// The states by how many frames their scenario leaves.
    pub by_frames: BTreeMap<u64, u64>,
    /// The states by how many segments their scenario leaves.
    pub by_segments: BTreeMap<u64, u64>,
}

impl Counts {
    /// Adds what another exploration did.
    pub fn add(&mut self, other: &Counts) {
        self.states += other.states;
        self.unfolded += other.unfolded;
        self.looked_at_closely += other.looked_at_closely;
        self.rotten += other.rotten;
        self.sampled += other.sampled;
        self.scenarios += other.scenarios;
        self.schedules += other.schedules;
        self.contended += other.contended;
        add(&mut self.by_depth, &other.by_depth);
        add(&mut self.by_operation, &other.by_operation);
        add(&mut self.by_image, &other.by_image);
        add(&mut self.by_frames, &other.by_frames);
        add(&mut self.by_segments, &other.by_segments);
    }
}

fn add<K: Ord + Clone>(to: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    from.iter().for_each(|(key, count)| *to.entry(key.clone()).or_default() += count);
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { states, unfolded, looked_at_closely, rotten, sampled, .. } = self;
        let Counts { scenarios, schedules, contended, .. } = self;
        writeln!(
            f,
            "{states} crash states of {unfolded} images in {scenarios} scenarios, {looked_at_closely} looked at closely"
        )?;
        writeln!(f, "{sampled} moments had more surviving images than were tried")?;
        writeln!(f, "{rotten} more images with a bit flipped at rest")?;
        writeln!(f, "{contended} images in {schedules} schedules of several processes")?;
        for (depth, count) in &self.by_depth {
            writeln!(f, "  after crash {depth:<12} {count:>12}")?;
        }
        for (name, count) in self.by_operation.iter().chain(&self.by_image) {
            writeln!(f, "  {name:<24} {count:>12}")?;
        }
        histogram(f, "frames", &self.by_frames)?;
        histogram(f, "segments", &self.by_segments)
    }
}

/// One line: how many states are those of scenarios of so many of these.
fn histogram(f: &mut fmt::Formatter<'_>, of: &str, states: &BTreeMap<u64, u64>) -> fmt::Result {
    write!(f, "  states by {of}")?;
    states.iter().try_for_each(|(many, states)| write!(f, "  {many}: {states}"))?;
    writeln!(f)
}

/// Why a search ended before its end.
#[derive(Debug)]
pub(super) enum Ended {
    /// There was no time left.
    Early,
    /// Something is wrong.
    Wrong(Wrong),
}

/// Something that is wrong, and how it came to that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) story: Vec<String>,
}

/// See the head of the file. One scenario's search.
pub(super) struct Search<'a> {
    exploration: Exploration,
    goes_on: &'a mut dyn FnMut() -> bool,
    sizes: SegmentSizes,
    seed: u64,
    rng: Rng,
    scratch: SimDisk,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    spawn: Arc<dyn Spawn>,
    folds: Folds,
    leaves: Vec<Outcome>,
    deepened: BTreeSet<u64>,
    counts: Tally,
}

/// Counts by small numbers, since there are millions of them.
#[derive(Debug, Default)]
struct Tally {
    states: u64,
    unfolded: u64,
    looked_at_closely: u64,
    rotten: u64,
    sampled: u64,
    by: BTreeMap<(u8, OpKind, ImageKind), u64>,
    /// How many frames and how many segments the scenario leaves.
    left: (u64, u64),
}

/// What became of an image.
struct Looked {
    leaf: Leaf,
    is_new: bool,
}

impl<'a> Search<'a> {
    pub(super) fn new(exploration: Exploration, script: &Script, goes_on: &'a mut dyn FnMut() -> bool) -> Search<'a> {
        let scratch = SimDisk::new();
        scratch.stop_tracing();
        let disk: Arc<dyn Disk> = Arc::new(scratch.clone());
        Search {
            exploration,
            goes_on,
            sizes: script.sizes,
            seed: script.seed,
            rng: Rng::new(script.seed ^ 0x5EA8C4),
            scratch,
            disk,
            clock: Arc::new(ManualClock::new(NOW)),
            spawn: Arc::new(InlineSpawn::in_order()),
            folds: Folds::default(),
            leaves: Vec::new(),
            deepened: BTreeSet::new(),
            counts: Tally::default(),
        }
    }

    /// What was counted so far.
    pub(super) fn counts(&self) -> Counts {
        let Tally { states, unfolded, looked_at_closely, rotten, sampled, by, left: (frames, segments) } = &self.counts;
        let (states, unfolded, looked_at_closely) = (*states, *unfolded, *looked_at_closely);
        let (rotten, sampled) = (*rotten, *sampled);
        let mut counts =
            Counts { states, unfolded, looked_at_closely, rotten, sampled, scenarios: 1, ..Counts::default() };
        for ((depth, operation, image), count) in by {
            *counts.by_depth.entry(*depth).or_default() += count;
            *counts.by_operation.entry(format!("in {operation:?}")).or_default() += count;
            *counts.by_image.entry(image.to_string()).or_default() += count;
        }
        counts.by_frames.insert(*frames, states);
        counts.by_segments.insert(*segments, states);
        counts
    }

    /// Plays the scenario and explores it.
    pub(super) fn run(&mut self, script: &Script) -> Result<(), Ended> {
        let disk = SimDisk::new();
        disk.stop_tracing();
        disk.set_personality(script.personality);
        let bounds = Bounds { lower: 0, upper: 0 };
        let author = player::author(script.seed, 0);
        let player = Player::new(disk.clone(), self.sizes, History::default(), bounds, author);
        let played = player.play(&script.acts).map_err(|(what, story)| Ended::Wrong(Wrong { what, story }))?;
        self.counts.left = left_on(&disk);
        self.explore(&played, script.prelude, 1)?;
        self.rot(&disk, &played)
    }

    /// Crashes at every moment of a play from an act on.
    fn explore(&mut self, played: &Played, from: usize, depth: u8) -> Result<(), Ended> {
        let mut before: Option<&Point> = None;
        for point in played.points.iter().filter(|point| point.act >= from) {
            let all = choices(&point.moment, leads_to(before, point), &self.scratch);
            before = Some(point);
            self.counts.sampled += u64::from(all.are_a_sample);
            for choice in &all.choices {
                if self.counts.unfolded.is_multiple_of(16) && !(self.goes_on)() {
                    return Err(Ended::Early);
                }
                self.crash(played, point, choice, depth).map_err(|ended| told(ended, played, point, choice))?;
            }
        }
        Ok(())
    }

    fn crash(&mut self, played: &Played, point: &Point, choice: &Choice, depth: u8) -> Result<(), Ended> {
        let history = &played.histories[point.history];
        choice.make(&point.moment, &self.scratch);
        // A full disk opens no store: whoever wants that makes space first.
        self.scratch.unlimit_space();
        let looked = self.look(history, point.bounds, depth).map_err(wrong)?;
        if looked.is_new {
            let key = (depth, point.moment.op().kind(), choice.kind);
            *self.counts.by.entry(key).or_default() += 1;
        }
        if depth < self.exploration.depth {
            let image = self.scratch.snapshot();
            if self.is_worth_more(&image, &looked) {
                self.deepen(&image, history, point.bounds, depth)?;
            }
        }
        Ok(())
    }

    /// Whether the recovery from an image is crashed in turn: once for what it reads and what is pending behind it.
    fn is_worth_more(&mut self, image: &Snapshot, looked: &Looked) -> bool {
        let key = crate::disk::digest::Digest::new().number(looked.leaf as u64).number(image.pending_digest());
        self.deepened.insert(key.finish()) && self.rng.percent(self.exploration.deepened_percent.into())
    }

    /// Recovers from an image, goes on for a while, and crashes in all that.
    fn deepen(&mut self, image: &Snapshot, history: &History, bounds: Bounds, depth: u8) -> Result<(), Ended> {
        let disk = SimDisk::from_snapshot(image);
        let author = player::author(self.seed, depth);
        let acts = self.afterwards();
        let player = Player::new(disk, self.sizes, history.clone(), bounds, author);
        let played = player.play(&acts).map_err(|(what, story)| Ended::Wrong(Wrong { what, story }))?;
        self.explore(&played, 0, depth + 1)
    }

    /// What is done after a recovery.
    fn afterwards(&mut self) -> Vec<Act> {
        let append = |bytes| Act::Append { groups: 1, bytes };
        match self.rng.index(4) {
            0 => vec![append(8)],
            1 => vec![append(60), append(300)],
            2 => vec![append(8), Act::Kill, append(8)],
            _ => vec![append(8), Act::Close],
        }
    }

    /// Recovers the image that the scratch disk is, or knows what comes of it. The disk is that image again then.
    fn look(&mut self, history: &History, bounds: Bounds, depth: u8) -> Result<Looked, String> {
        self.counts.unfolded += 1;
        if let Some(leaf) = self.folds.find(&self.scratch) {
            oracle::judge(&self.leaves[leaf], history, bounds)?;
            return Ok(Looked { leaf, is_new: false });
        }
        self.counts.states += 1;
        let image = self.scratch.snapshot();
        self.scratch.note_questions();
        let opened = now(open(Arc::clone(&self.disk), self.seams(), player::options(self.sizes, Arc::new(|_| {}))));
        let questions = self.scratch.take_questions();
        let opened = opened.ok_or("the open of the store never ends")?;
        let (outcome, open) = Outcome::of(opened);
        let count = oracle::judge(&outcome, history, bounds)?;
        if let Some((log, _)) = &open {
            self.look_at(log, history, count, depth)?;
        }
        let own = self.scratch.process_by_id(ProcessId(0));
        own.crash(crate::disk::Unfinished::NotDone);
        drop(open);
        self.scratch.restore(&image);
        let leaf = self.leaves.len();
        self.leaves.push(outcome);
        self.folds.insert(&self.scratch, questions, leaf);
        Ok(Looked { leaf, is_new: true })
    }

    fn look_at(&mut self, log: &Log, history: &History, count: usize, depth: u8) -> Result<(), String> {
        let is_first = depth <= 1 && self.counts.states % LOOK_AT_JOURNAL_EVERY == 1;
        if is_first || self.counts.states.is_multiple_of(LOOK_CLOSELY_EVERY) {
            self.counts.looked_at_closely += 1;
            return Ok(oracle::look_closely(log, history, count)?);
        }
        if depth <= 1 || self.counts.states.is_multiple_of(LOOK_AT_JOURNAL_EVERY) {
            return Ok(oracle::look(log, history, count)?);
        }
        Ok(())
    }

    fn seams(&self) -> Seams {
        Seams {
            clock: Arc::clone(&self.clock),
            entropy: Arc::new(SeededEntropy::new(77)),
            spawn: Arc::clone(&self.spawn),
        }
    }

    // Rot.

    /// One bit flips in one frame at rest, in turn in each: it is found out, or without effect, unless it is the last frame
    /// of all, which cannot be told from a torn end.
    fn rot(&mut self, disk: &SimDisk, played: &Played) -> Result<(), Ended> {
        let history = played.histories.last().expect("because a play has a history");
        disk.unlimit_space();
        let whole = disk.snapshot();
        let frames = frames_of(disk);
        let last = frames.last().map(|(place, _)| *place);
        for (place, len) in frames {
            for byte in [0, 4, 8, 47, 48, len / 2, len - 1] {
                disk.restore(&whole);
                let path = Path::new(DIR).join(segment::name(place.segment));
                let offset = place.offset + byte.min(len - 1) as u64;
                disk.flip_bit(&path, offset, 3).map_err(|error| wrong(error.to_string()))?;
                let damage = format!("a bit flips at rest: {}, byte {offset}", path.display());
                let lower = if Some(place) == last { 0 } else { played.bounds.lower };
                let bounds = Bounds { lower, ..played.bounds };
                self.look_at_rot(disk, history, bounds).map_err(|what| {
                    Ended::Wrong(Wrong { what, story: [played.story.clone(), vec![damage]].concat() })
                })?;
            }
        }
        Ok(())
    }

    fn look_at_rot(&mut self, disk: &SimDisk, history: &History, bounds: Bounds) -> Result<(), String> {
        let process: Arc<dyn Disk> = Arc::new(disk.process());
        let opened = now(open(process, self.seams(), player::options(self.sizes, Arc::new(|_| {}))));
        let opened = opened.ok_or("the open of a damaged store never ends")?;
        self.counts.rotten += 1;
        match Outcome::of(opened) {
            (Outcome::Rot(_), _) => Ok(()),
            (outcome, Some((log, _writer))) => {
                let count = oracle::judge(&outcome, history, bounds)?;
                Ok(oracle::look_for_lies(&log, history, count)?)
            }
            (outcome, None) => oracle::judge(&outcome, history, bounds).map(|_| ()),
        }
    }
}

/// Plays a scenario and nothing else. Gives how many frames and how many segments are left, if nothing is wrong.
pub(super) fn size_of(script: &Script) -> Option<(u64, u64)> {
    let disk = SimDisk::new();
    disk.stop_tracing();
    disk.set_personality(script.personality);
    let author = player::author(script.seed, 0);
    let player = Player::new(disk.clone(), script.sizes, History::default(), Bounds { lower: 0, upper: 0 }, author);
    player.play(&script.acts).ok()?;
    Some(left_on(&disk))
}

/// How many frames and how many segments are on a disk.
fn left_on(disk: &SimDisk) -> (u64, u64) {
    let frames = frames_of(disk);
    let segments: BTreeSet<_> = frames.iter().map(|(place, _)| place.segment).collect();
    (frames.len() as u64, segments.len() as u64)
}

/// Whether all that happened between two moments is the operation of the first. A sync may have failed.
fn leads_to(before: Option<&Point>, point: &Point) -> Before {
    let leads = |before: &&Point| {
        let is_sync = matches!(before.moment.op().kind(), OpKind::SyncData | OpKind::SyncDir);
        let of = |point: &Point| (point.act, point.history, point.bounds, point.moment.process());
        !is_sync && of(before) == of(point)
    };
    if before.is_some_and(|before| leads(&before)) { Before::Known } else { Before::New }
}

fn wrong(what: String) -> Ended {
    Ended::Wrong(Wrong { what, story: Vec::new() })
}

/// Puts before the story of what went wrong how it came to this image.
fn told(ended: Ended, played: &Played, point: &Point, choice: &Choice) -> Ended {
    let Ended::Wrong(Wrong { what, story }) = ended else { return ended };
    let mut lines = played.story.clone();
    let until =
        lines.iter().enumerate().filter(|(_, line)| !line.starts_with(' ')).map(|(at, _)| at).nth(point.act + 1);
    lines.truncate(until.unwrap_or(lines.len()));
    let Bounds { lower, upper } = point.bounds;
    lines.push(format!(
        "{}: in {:?}, {:?}{}  ({lower} acknowledged of {upper})",
        choice.kind,
        point.moment.op(),
        choice.unfinished,
        choice.keep.as_ref().map(|keep| format!(", surviving {keep:?}")).unwrap_or_default(),
    ));
    lines.extend(story);
    Ended::Wrong(Wrong { what, story: lines })
}

/// The readable frames of a store, in the order of the log, each with its length.
fn frames_of(disk: &SimDisk) -> Vec<(Place, usize)> {
    let store = disk.read_file(Path::new(DIR).join(format_file::NAME)).ok();
    let store: StoreId = store.and_then(|bytes| format_file::decode(&bytes).ok()).unwrap_or_default();
    let mut frames = Vec::new();
    for name in disk.file_names(DIR).unwrap_or_default() {
        let Some(segment) = segment::number(&name) else { continue };
        let bytes = disk.read_file(Path::new(DIR).join(&name)).unwrap_or_default();
        let mut place = Place { segment, offset: FIRST_FRAME };
        let rest = |place: Place| usize::try_from(place.offset).ok().and_then(|offset| bytes.get(offset..));
        while let Some(Ok(frame)) = rest(place).map(|rest| frame::decode(rest, store, place)) {
            frames.push((place, frame.len()));
            place.offset += frame.stride();
        }
    }
    frames
}
