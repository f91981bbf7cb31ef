//! The bare log: a program that writes the same bytes in the same batch sizes with `pwrite` and `fdatasync` into a file zeroed beforehand,
//! and does nothing else.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Where frames begin in a segment.
const HEADER: usize = 4096;
const MAGIC: u32 = 0x304D_5246;

/// The lengths of all frames in a store's segments, in their order.
///
/// # Errors
/// When the directory cannot be read.
pub fn frames(store: &Path) -> io::Result<Vec<usize>> {
    let mut segments: Vec<_> = fs::read_dir(store)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "seg"));
    segments.sort();
    let mut lengths = Vec::new();
    for segment in segments {
        let bytes = fs::read(segment)?;
        let mut at = HEADER;
        while let Some(length) = frame_length(&bytes, at) {
            lengths.push(length);
            at += length.next_multiple_of(8);
        }
    }
    Ok(lengths)
}

fn frame_length(bytes: &[u8], at: usize) -> Option<usize> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    (word(at)? == MAGIC).then(|| word(at + 4)).flatten().map(|length| length as usize)
}

/// What the bare log took.
#[derive(Debug, Clone, Copy)]
pub struct Bare {
    /// For all writes and syncs.
    pub total: Duration,
    /// The median of a single write and its sync.
    pub sync: Duration,
}

/// Writes and syncs these batches.
///
/// # Errors
/// When the file cannot be written.
pub fn write(dir: &Path, lengths: &[usize]) -> io::Result<Bare> {
    let path = dir.join("bare.log");
    let bytes: usize = lengths.iter().map(|length| length.next_multiple_of(8)).sum();
    let file = zeroed(&path, bytes)?;
    let batch = vec![0xA5; lengths.iter().copied().max().unwrap_or(0)];
    let mut syncs = Vec::with_capacity(lengths.len());
    let begin = Instant::now();
    let mut at = 0;
    for length in lengths {
        let before = Instant::now();
        file.write_all_at(&batch[..*length], at)?;
        file.sync_data()?;
        syncs.push(before.elapsed());
        at += length.next_multiple_of(8) as u64;
    }
    let total = begin.elapsed();
    fs::remove_file(path)?;
    syncs.sort();
    Ok(Bare { total, sync: syncs.get(syncs.len() / 2).copied().unwrap_or_default() })
}

fn zeroed(path: &Path, bytes: usize) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let zeros = vec![0; 1 << 20];
    let mut at = 0;
    while at < bytes {
        let length = zeros.len().min(bytes - at);
        file.write_all_at(&zeros[..length], at as u64)?;
        at += length;
    }
    file.sync_all()?;
    Ok(file)
}
