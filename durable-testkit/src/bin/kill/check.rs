//! What has to hold when a backup is done, however often it was killed. It reads; it knows the example's files, and nothing of how
//! the example makes them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The only thing in the target that is not in the source.
const MANIFEST: &str = "manifest.tsv";

/// The activities of a backup in the order in which they begin: those of the parent, and in the middle those of the children.
const PHASES: [&[&str]; 5] =
    [&["list"], &["make_dirs"], &["hash", "copy", "verify", "link"], &["write_part"], &["join_parts"]];

/// So many names go to one `sha256sum`.
const HASHED_AT_ONCE: usize = 500;

/// Something in a tree.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Directory,
    File { size: u64, mode: u32 },
    Link(PathBuf),
}

/// How the target differs from the source, the manifest apart.
pub(crate) fn trees(from: &Path, to: &Path) -> io::Result<Vec<String>> {
    let (source, mut target) = (walk(from)?, walk(to)?);
    target.remove(Path::new(MANIFEST));
    let mut wrong = Vec::new();
    for (path, seen) in &source {
        match target.remove(path) {
            None => wrong.push(format!("{path:?} is missing")),
            Some(copy) if copy != *seen => wrong.push(format!("{path:?} is {copy:?}, not {seen:?}")),
            Some(Seen::File { .. }) if fs::read(from.join(path))? != fs::read(to.join(path))? => {
                wrong.push(format!("{path:?} has another content"));
            }
            Some(_) => {}
        }
    }
    wrong.extend(target.into_keys().map(|path| format!("{path:?} is there and has no business to be")));
    Ok(wrong)
}

/// What is wrong with the manifest, if every entry could be copied: its hashes are taken anew, by another program.
pub(crate) fn manifest(from: &Path, to: &Path) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(to.join(MANIFEST))?;
    let mut lines = text.lines();
    let mut wrong = Vec::new();
    if lines.next() != Some("path\tsize\tsha256\toutcome") {
        wrong.push("the manifest has another head".to_owned());
    }
    let source = walk(from)?;
    let hashes = hashes(to, &source)?;
    let mut expected: BTreeMap<&PathBuf, String> =
        source.iter().map(|(path, seen)| (path, expected(seen, hashes.get(path)))).collect();
    for line in lines {
        let Some((path, rest)) = line.split_once('\t') else {
            wrong.push(format!("the manifest's line {line:?} has no columns"));
            continue;
        };
        match expected.remove(&path_of(path)) {
            None => wrong.push(format!("the manifest's line {line:?} is of nothing, or there twice")),
            Some(expected) if expected != rest => {
                wrong.push(format!("the manifest's line {line:?} should say {expected:?}"))
            }
            Some(_) => {}
        }
    }
    wrong.extend(expected.into_keys().map(|path| format!("{path:?} is not in the manifest")));
    Ok(wrong)
}

fn expected(seen: &Seen, hash: Option<&String>) -> String {
    match seen {
        Seen::Directory => "-\t-\tdirectory".to_owned(),
        Seen::File { size, .. } => format!("{size}\t{}\tcopied", hash.map_or("?", String::as_str)),
        Seen::Link(to) => format!("-\t-\tlink to {}", text_of(to.as_os_str())),
    }
}

/// What is wrong with the order in which attempts began: a step that begins again behind a later step of its run had been recorded
/// as done, or should have been.
pub(crate) fn effects(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut phase, mut newest, mut ended) = (0, BTreeMap::<&str, Attempt<'_>>::new(), BTreeSet::new());
    for line in text.lines() {
        let Some(attempt) = Attempt::parse(line) else {
            wrong.push(format!("the line {line:?} is no attempt"));
            continue;
        };
        if attempt.phase < phase {
            wrong.push(format!("{line:?} stands behind a later phase of the backup"));
        }
        phase = phase.max(attempt.phase);
        match newest.insert(attempt.run, attempt) {
            Some(before) if before.key != attempt.key => {
                ended.insert(before.key);
                if before.step > attempt.step {
                    wrong.push(format!("{line:?} stands behind a later step of its run"));
                }
            }
            Some(before) if before.number >= attempt.number => {
                wrong.push(format!("{line:?} stands behind attempt {} of the same call", before.number));
            }
            _ => {}
        }
        if ended.contains(attempt.key) {
            wrong.push(format!("{line:?} begins again behind another step of its run"));
        }
    }
    wrong
}

/// A kill may have cut the last line: its attempt had not begun.
pub(crate) fn drop_cut_line(effects: &Path) -> io::Result<()> {
    let text = match fs::read(effects) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text?,
    };
    let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    match whole == text.len() {
        true => Ok(()),
        false => File::options().write(true).open(effects)?.set_len(whole as u64),
    }
}

/// How many calls there are, and how many attempts more than those.
pub(crate) fn calls(text: &str) -> (usize, usize) {
    let attempts = text.lines().filter_map(Attempt::parse);
    let calls = attempts.clone().map(|attempt| attempt.key).collect::<BTreeSet<_>>().len();
    (calls, attempts.count() - calls)
}

/// A line of the file of effects.
#[derive(Debug, Clone, Copy)]
struct Attempt<'a> {
    run: &'a str,
    key: &'a str,
    number: u32,
    phase: usize,
    step: usize,
}

impl<'a> Attempt<'a> {
    fn parse(line: &'a str) -> Option<Attempt<'a>> {
        let (call, number) = line.split_once(' ')?;
        let (call, key) = call.rsplit_once('/')?;
        let (run, activity) = call.rsplit_once('/')?;
        let is_step = |steps: &&[&str]| steps.contains(&activity);
        let phase = PHASES.iter().position(is_step)?;
        let step = PHASES.concat().iter().position(|step| *step == activity)?;
        let whole = !run.is_empty() && !key.is_empty();
        whole.then_some(Attempt { run, key, number: number.parse().ok()?, phase, step })
    }
}

fn walk(root: &Path) -> io::Result<BTreeMap<PathBuf, Seen>> {
    let mut seen = BTreeMap::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let path = dir.join(entry?.file_name());
            let meta = fs::symlink_metadata(root.join(&path))?;
            let what = match meta.file_type() {
                of if of.is_dir() => {
                    dirs.push(path.clone());
                    Seen::Directory
                }
                of if of.is_symlink() => Seen::Link(fs::read_link(root.join(&path))?),
                _ => Seen::File { size: meta.len(), mode: meta.permissions().mode() & 0o777 },
            };
            seen.insert(path, what);
        }
    }
    Ok(seen)
}

/// The hashes of the files, as `sha256sum` sees them.
fn hashes(root: &Path, seen: &BTreeMap<PathBuf, Seen>) -> io::Result<BTreeMap<PathBuf, String>> {
    let files: Vec<&PathBuf> =
        seen.iter().filter(|(_, seen)| matches!(seen, Seen::File { .. })).map(|(path, _)| path).collect();
    let mut hashes = BTreeMap::new();
    for files in files.chunks(HASHED_AT_ONCE) {
        let output = Command::new("sha256sum").args(["--zero", "--"]).args(files).current_dir(root).output()?;
        for line in output.stdout.split(|&byte| byte == 0).filter(|line| !line.is_empty()) {
            let (hash, path) =
                line.split_at_checked(66).ok_or_else(|| io::Error::other("sha256sum says too little"))?;
            let hash = String::from_utf8_lossy(hash).trim_end().to_owned();
            hashes.insert(OsStr::from_bytes(path).into(), hash);
        }
    }
    Ok(hashes)
}

/// The path that a manifest's text stands for.
fn path_of(text: &str) -> PathBuf {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(b'?'));
        bytes.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    OsString::from_vec(bytes).into()
}

/// The text of a link's target: the rig makes none that has to be written otherwise.
fn text_of(path: &OsStr) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::effects;

    const GOOD: &str = "\
backup/list/l 1
backup/make_dirs/m 1
backup/file-1/hash/h1 1
backup/file-2/hash/h2 1
backup/file-1/hash/h1 2
backup/file-1/copy/c1 1
backup/file-2/copy/c2 1
backup/file-2/verify/v2 1
backup/file-1/verify/v1 1
backup/write_part/w 1
backup/write_part/x 1
backup/join_parts/j 1
";

    #[test]
    fn attempts_in_order_are_right() {
        assert_eq!(effects(GOOD), Vec::<String>::new());
    }

    #[test]
    fn a_step_that_begins_again_behind_a_later_one_is_a_violation() {
        let again = "backup/file-1/copy/c1 1\nbackup/file-1/verify/v1 1\nbackup/file-1/copy/c1 2\n";
        assert!(effects(again).iter().any(|wrong| wrong.contains("behind a later step")));
    }

    #[test]
    fn a_part_that_begins_again_behind_the_next_one_is_a_violation() {
        let again = format!("{}backup/write_part/w 2\n", GOOD.trim_end_matches("backup/join_parts/j 1\n"));
        assert!(effects(&again).iter().any(|wrong| wrong.contains("begins again")));
    }

    #[test]
    fn an_attempt_that_begins_twice_is_a_violation() {
        assert_eq!(effects("backup/file-1/hash/h 1\nbackup/file-1/hash/h 1\n").len(), 1);
    }

    #[test]
    fn a_file_that_is_copied_behind_the_manifest_is_a_violation() {
        let late = format!("{GOOD}backup/file-3/hash/h3 1\n");
        assert!(effects(&late).iter().any(|wrong| wrong.contains("later phase")));
    }

    #[test]
    fn a_line_that_is_no_attempt_is_a_violation() {
        assert_eq!(effects("backup/file-1/hash 1\n").len(), 1);
    }
}
