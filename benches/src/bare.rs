//! The bare log: a program that writes the same bytes in the same batch sizes with `pwrite` and `fdatasync` into a file zeroed beforehand,
//! and does nothing else.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use durable::codec::frame;

/// Where frames begin in a segment.
const HEADER: usize = 4096;

/// Where a frame stands: its segment's file name, and the byte in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Mark {
    segment: String,
    offset: usize,
}

/// The frames of a store, in their order.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    /// How long each is.
    pub lengths: Vec<usize>,
    /// Where the last one stands.
    pub last: Mark,
}

/// The frames in a store's segments behind `mark`; all of them behind the default one. A store that is not there has none.
///
/// # Errors
/// When a segment cannot be read.
pub fn frames(store: &Path, mark: &Mark) -> io::Result<Frames> {
    let mut frames = Frames { lengths: Vec::new(), last: mark.clone() };
    for segment in segments(store)? {
        if segment < mark.segment {
            continue;
        }
        let bytes = fs::read(store.join(&segment))?;
        let mut offset = HEADER;
        while let Some(length) = bytes.get(offset..).and_then(frame::announced) {
            let place = Mark { segment: segment.clone(), offset };
            if place > *mark {
                frames.lengths.push(length as usize);
                frames.last = place;
            }
            offset += (length as usize).next_multiple_of(frame::ALIGN as usize);
        }
    }
    Ok(frames)
}

fn segments(store: &Path) -> io::Result<Vec<String>> {
    if !store.exists() {
        return Ok(Vec::new());
    }
    let names = fs::read_dir(store)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut segments: Vec<String> = names.filter(|name| name.ends_with(".seg")).collect();
    segments.sort();
    Ok(segments)
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
