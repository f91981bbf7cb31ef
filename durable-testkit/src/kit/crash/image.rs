//! What a crash leaves of a moment.

use durable::store::disk::{Disk, File};
use futures::FutureExt;

use super::moment::Moment;
use crate::disk::{Ending, Keep, Op, SimDisk, SimProcess, Snapshot, Unfinished};

/// A kind of crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// The process is killed; what it wrote stays in the page cache.
    Killed,
    /// It is killed in the middle of the operation.
    Half,
    /// The power goes, and nothing is left that no sync covered.
    Lost,
    /// The power goes, and everything had reached the disk.
    Kept,
    /// The power goes, and of what no sync covered some sectors are left.
    Torn,
}

impl How {
    pub(super) const ALL: [How; 5] = [How::Killed, How::Half, How::Lost, How::Kept, How::Torn];

    pub(super) fn name(self) -> &'static str {
        match self {
            How::Killed => "killed",
            How::Half => "half",
            How::Lost => "lost",
            How::Kept => "kept",
            How::Torn => "torn",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            How::Killed | How::Half => "the process is killed",
            How::Lost => "the power goes, and what no sync covered is lost,",
            How::Kept => "the power goes, and everything had reached the disk,",
            How::Torn => "the power goes, and of what no sync covered some sectors are left,",
        }
    }
}

/// The disk behind a crash at this moment; none if there is no such crash.
pub(super) fn image(moments: &[Moment], number: usize, how: How, seed: u64) -> Option<Snapshot> {
    let (moment, disk) = (&moments[number], SimDisk::from_snapshot(&moments[number].disk));
    let seed = seed.wrapping_mul(1 << 20).wrapping_add(number as u64);
    match how {
        How::Killed => disk.process_by_id(moment.process).crash(Unfinished::NotDone),
        How::Half => return half(moments.get(number.checked_sub(1)?)?, moment, seed),
        How::Lost => disk.power_cut(&Keep::Nothing),
        How::Kept => disk.power_cut(&Keep::Everything),
        How::Torn => disk.power_cut(&Keep::Seed(seed)),
    }
    Some(disk.snapshot())
}

/// The disk if the process died in the middle of the write that made this moment out of the one before.
fn half(before: &Moment, moment: &Moment, seed: u64) -> Option<Snapshot> {
    let line = moment.operation.as_ref().filter(|line| line.ending == Ending::Done)?;
    let Op::Write { file, offset, len } = line.op else { return None };
    let after = SimDisk::from_snapshot(&moment.disk).process_by_id(moment.process);
    let bytes = written(&after, file, offset, len)?;
    let disk = SimDisk::from_snapshot(&before.disk);
    let process = disk.process_by_id(before.process);
    process.crash_after(process.performed(), Unfinished::Half(seed));
    // It dies in this one, and is never told.
    drop(process.write(file, offset, bytes));
    Some(disk.snapshot())
}

fn written(process: &SimProcess, file: File, offset: u64, len: usize) -> Option<Vec<u8>> {
    process.read(file, offset, len).now_or_never()?.ok()
}
