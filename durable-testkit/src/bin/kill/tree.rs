//! A tree to copy: files of all sizes, links, empty directories and names that are hard to write down. A seed names it.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use durable_testkit::Rng;

/// One directory for so many files.
const FILES_IN_DIR: u64 = 25;

/// One link, and one empty directory, for so many files.
const FILES_FOR_LINK: u64 = 40;
const FILES_FOR_EMPTY_DIR: u64 = 100;

/// Names that a manifest cannot hold as they are.
const STRANGE: [&[u8]; 6] = [b"tab\there", b"line\nbreak", b"100%", b"%41", b"\xff\xfe no utf-8", b"-rf"];

/// What was built.
pub(crate) struct Built {
    files: u64,
    bytes: u64,
    directories: usize,
    links: u64,
}

impl fmt::Display for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Built { files, bytes, directories, links } = self;
        write!(f, "{files} files ({bytes} bytes), {directories} directories, {links} links")
    }
}

/// Builds a tree of so many files.
pub(crate) fn build(root: &Path, files: u64, rng: &mut Rng) -> io::Result<Built> {
    fs::create_dir_all(root)?;
    let mut dirs = directories(root, files, rng)?;
    let mut bytes = 0;
    for number in 0..files {
        let path = dirs[rng.index(dirs.len())].join(file_name(number));
        let content = content(rng);
        bytes += content.len() as u64;
        fs::write(&path, content)?;
        fs::set_permissions(&path, Permissions::from_mode([0o644, 0o600, 0o755, 0o444][rng.index(4)]))?;
    }
    let links = files / FILES_FOR_LINK;
    for number in 0..links {
        let dir = &dirs[rng.index(dirs.len())];
        symlink(["nowhere", "..", "file-1", "/dev/null"][rng.index(4)], dir.join(format!("link-{number}")))?;
    }
    for number in 0..files / FILES_FOR_EMPTY_DIR {
        let dir = dirs[rng.index(dirs.len())].join(format!("empty-{number}"));
        fs::create_dir(&dir)?;
        dirs.push(dir);
    }
    Ok(Built { files, bytes, directories: dirs.len() - 1, links })
}

/// The root and directories in it, nested at random.
fn directories(root: &Path, files: u64, rng: &mut Rng) -> io::Result<Vec<PathBuf>> {
    let mut dirs = vec![root.to_owned()];
    for number in 0..files / FILES_IN_DIR {
        let dir = dirs[rng.index(dirs.len())].join(format!("dir-{number}"));
        fs::create_dir(&dir)?;
        dirs.push(dir);
    }
    Ok(dirs)
}

fn file_name(number: u64) -> PathBuf {
    let strange = usize::try_from(number).ok().and_then(|number| STRANGE.get(number));
    strange.map_or_else(|| format!("file-{number}").into(), |name| OsString::from_vec(name.to_vec()).into())
}

/// Mostly small, some empty, a few that take many writes.
fn content(rng: &mut Rng) -> Vec<u8> {
    let len_max = match rng.below(100) {
        0..10 => 0,
        10..75 => 4 << 10,
        75..99 => 64 << 10,
        _ => 2 << 20,
    };
    let mut content = vec![0; rng.index(len_max + 1)];
    rng.fill(&mut content);
    content
}
