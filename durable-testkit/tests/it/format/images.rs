//! Two hundred stores as crashes and decay leave them: what the disk holds after a process died in an operation, after the
//! power went, and after what was durable was damaged. The same images each time.

use durable_testkit::{Keep, Rng, SimDisk, Snapshot};

use super::forge;
use super::scenario::{DIR, Keeps, Stage};

const DEATHS: usize = 30;
const POWER_CUTS: usize = 40;
const RECOVERED: usize = 20;
const OVERTAKEN: usize = 10;
const FORGED: usize = 40;
const DAMAGED: usize = 60;

/// A store as something left it.
pub(super) struct Image {
    pub(super) name: String,
    pub(super) disk: SimDisk,
    pub(super) has: Has,
}

/// What the journals of an image's runs may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    /// No gap, unless it is said that there is rot.
    NoGaps,
    /// Gaps in a chain of frames that has none: no crash makes such a log.
    Gaps,
}

pub(super) fn all() -> Vec<Image> {
    let mut stage = Stage::new(1, Keeps::Moments);
    stage.live().unwrap();
    let moments = stage.moments;
    let at = |index, of| &moments[spread(index, of, moments.len())];
    let deaths = (0..DEATHS).map(|index| death(index, moments.len()));
    let cuts = (0..POWER_CUTS).map(|index| power_cut(index, at(index, POWER_CUTS)));
    let recovered = (0..RECOVERED).map(|index| recovered(index, at(index, RECOVERED)));
    let overtaken = (0..OVERTAKEN).map(|index| overtaken(index, &moments));
    let forged = (0..FORGED).map(|index| forge::forged(index, &stage.disk));
    let damaged = (0..DAMAGED).map(|index| damage(index, &moments));
    deaths.chain(cuts).chain(recovered).chain(overtaken).chain(forged).chain(damaged).collect()
}

/// The power went, another process took the store up, and died too, every second time.
fn recovered(index: usize, moment: &Snapshot) -> Image {
    let mut stage = Stage::after_a_cut(moment, &Keep::Seed(index as u64));
    if index % 2 == 1 {
        let after = stage.disk.performed() + 8 + 2 * index as u64;
        stage = stage.dies_after(after, index as u64);
    }
    assert_eq!(stage.visit().is_err(), index % 2 == 1, "image {index}");
    Image { name: format!("recovered-{index}"), disk: stage.disk, has: Has::NoGaps }
}

/// A process took the store over from one that was not dead: that one wrote on in its own segment, where nobody looked
/// any more.
fn overtaken(index: usize, moments: &[Snapshot]) -> Image {
    let (begin, end) = (moments.len() / 8, moments.len() - 1);
    let at = begin + spread(index, OVERTAKEN, end - begin);
    let mut stage = Stage::after_a_cut(&moments[at], &Keep::Everything);
    let newest = segments(&stage.disk).pop().unwrap();
    stage.visit().unwrap();
    let later = SimDisk::from_snapshot(&moments[end]);
    stage.disk.write_file(&newest, &later.read_file(&newest).unwrap()).unwrap();
    Image { name: format!("overtaken-{index}"), disk: stage.disk, has: Has::NoGaps }
}

/// The index-th of `of` places, evenly spread over `len`.
fn spread(index: usize, of: usize, len: usize) -> usize {
    index * len / of
}

fn death(index: usize, operations: usize) -> Image {
    let after = spread(index, DEATHS, operations);
    let mut stage = Stage::new(1, Keeps::Nothing).dies_after(after as u64, index as u64);
    let lived = stage.live();
    assert!(lived.is_err(), "the process was to die in operation {after} of {operations}");
    Image { name: format!("death-{index}-in-operation-{after}"), disk: stage.disk, has: Has::NoGaps }
}

fn power_cut(index: usize, moment: &Snapshot) -> Image {
    let disk = SimDisk::from_snapshot(moment);
    disk.power_cut(&Keep::Seed(index as u64));
    Image { name: format!("power-cut-{index}"), disk, has: Has::NoGaps }
}

/// Takes a moment of the later half, with all that was written, and damages it.
fn damage(index: usize, moments: &[Snapshot]) -> Image {
    let half = moments.len() / 2;
    let disk = SimDisk::from_snapshot(&moments[half + spread(index, DAMAGED, half)]);
    disk.power_cut(&Keep::Everything);
    let (rng, earlier) = (&mut Rng::new(index as u64), SimDisk::from_snapshot(&moments[spread(index, DAMAGED, half)]));
    let segments = segments(&disk);
    let segment = &segments[rng.index(segments.len())];
    let what = match index % 8 {
        0 | 1 => flip(&disk, segment, rng),
        2 => flip_format(&disk, rng),
        3 => cut(&disk, segment, rng),
        4 => stale_tail(&disk, segment, &segments[rng.index(segments.len())]),
        5 => zero_sector(&disk, segment, rng),
        6 => lose(&disk, segment),
        _ => go_back(&disk, &earlier, &segments[0]),
    };
    Image { name: format!("damaged-{index}-{what}"), disk, has: Has::NoGaps }
}

pub(super) fn segments(disk: &SimDisk) -> Vec<String> {
    let names = disk.file_names(DIR).unwrap();
    names.into_iter().filter(|name| name.ends_with(".seg")).map(|name| format!("{DIR}/{name}")).collect()
}

/// How many bytes there are before the zeros at the end.
fn used(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// A place among a segment's frames.
fn within(disk: &SimDisk, segment: &str, rng: &mut Rng) -> usize {
    let used = used(&disk.read_file(segment).unwrap()).max(FIRST_FRAME + 1);
    FIRST_FRAME + rng.index(used - FIRST_FRAME)
}

const FIRST_FRAME: usize = 4096;

fn flip(disk: &SimDisk, segment: &str, rng: &mut Rng) -> &'static str {
    let offset = within(disk, segment, rng);
    disk.flip_bit(segment, offset as u64, rng.index(8) as u8).unwrap();
    "flipped"
}

fn flip_format(disk: &SimDisk, rng: &mut Rng) -> &'static str {
    let path = format!("{DIR}/FORMAT");
    let len = disk.read_file(&path).unwrap().len();
    // Mostly one of the digits of format and revision.
    let offset = [15, 26, 26, rng.index(len)][rng.index(4)];
    disk.flip_bit(&path, offset as u64, rng.index(3) as u8).unwrap();
    "format-flipped"
}

fn cut(disk: &SimDisk, segment: &str, rng: &mut Rng) -> &'static str {
    disk.truncate_file(segment, within(disk, segment, rng) as u64).unwrap();
    "cut"
}

/// Frames of another segment, and frames of this one at other places, behind the last frame: as in a file that is used again.
fn stale_tail(disk: &SimDisk, segment: &str, other: &str) -> &'static str {
    let (mut bytes, other) = (disk.read_file(segment).unwrap(), disk.read_file(other).unwrap());
    let end = used(&bytes).next_multiple_of(8).max(FIRST_FRAME);
    let stale = [&other[FIRST_FRAME..used(&other).max(FIRST_FRAME)], &bytes[FIRST_FRAME..end]].concat();
    bytes.truncate(end);
    bytes.extend(stale);
    disk.write_file(segment, &bytes).unwrap();
    "stale-tail"
}

fn zero_sector(disk: &SimDisk, segment: &str, rng: &mut Rng) -> &'static str {
    let begin = within(disk, segment, rng) / 512 * 512;
    let mut bytes = disk.read_file(segment).unwrap();
    bytes.iter_mut().skip(begin).take(512).for_each(|byte| *byte = 0);
    disk.write_file(segment, &bytes).unwrap();
    "zeroed"
}

fn lose(disk: &SimDisk, segment: &str) -> &'static str {
    disk.remove_file(segment).unwrap();
    "lost"
}

/// The file as it was before: writes that were acknowledged are gone.
fn go_back(disk: &SimDisk, earlier: &SimDisk, segment: &str) -> &'static str {
    match earlier.read_file(segment) {
        Ok(bytes) => {
            disk.write_file(segment, &bytes).unwrap();
            "gone-back"
        }
        Err(_) => lose(disk, segment),
    }
}
