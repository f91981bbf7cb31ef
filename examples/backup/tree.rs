//! What there is to copy, in pages, so that no record grows with the tree. It reads directories and changes nothing.

use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::manifest;
use crate::path_text::PathText;

/// A page holds so many entries at most, and about so many bytes of paths.
const PAGE_ENTRIES_MAX: usize = 1_000;
const PAGE_BYTES_MAX: usize = 1 << 20;

/// A thing in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where, from the tree's root.
    pub path: PathText,
    pub kind: Kind,
    /// Why it is not copied as it is, if something was seen to be wrong with it.
    pub problem: Option<String>,
}

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    Directory,
    File,
    Link,
    Fifo,
    Socket,
    Device,
}

/// Some entries, in the order of their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Whether others follow.
    pub more: bool,
}

/// The entries of the tree behind a path, or its first ones.
pub fn page(root: &Path, after: Option<&Path>) -> io::Result<Page> {
    let mut walk = Walk { root, after, page: Page::default(), bytes: 0 };
    let names = names(root)?;
    walk.visit(Path::new(""), names);
    Ok(walk.page)
}

struct Walk<'a> {
    root: &'a Path,
    after: Option<&'a Path>,
    page: Page,
    bytes: usize,
}

impl Walk<'_> {
    fn visit(&mut self, dir: &Path, names: Vec<PathBuf>) {
        for name in names {
            if self.page.more {
                return;
            }
            self.meet(&dir.join(name));
        }
    }

    fn meet(&mut self, path: &Path) {
        let is_new = self.after.is_none_or(|after| path > after);
        let leads_on = is_new || self.after.is_some_and(|after| after.starts_with(path));
        if !leads_on {
            return;
        }
        let found = fs::symlink_metadata(self.root.join(path)).map(|meta| kind(meta.file_type()));
        let (kind, inside) = match found {
            Ok(Kind::Directory) => (Kind::Directory, names(&self.root.join(path))),
            Ok(kind) => (kind, Ok(Vec::new())),
            Err(error) => (Kind::File, Err(error)),
        };
        let problem = inside.as_ref().err().map(|error| format!("cannot be read: {error}"));
        if is_new {
            self.push(Entry { path: path.into(), kind, problem: problem.or_else(|| manifest::takes_the_name(path)) });
        }
        self.visit(path, inside.unwrap_or_default());
    }

    fn push(&mut self, entry: Entry) {
        if self.page.entries.len() >= PAGE_ENTRIES_MAX || self.bytes >= PAGE_BYTES_MAX {
            self.page.more = true;
            return;
        }
        self.bytes += entry.path.len();
        self.page.entries.push(entry);
    }
}

/// What is in a directory, in order.
fn names(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = fs::read_dir(dir)?
        .map(|entry| entry.map(|entry| PathBuf::from(entry.file_name())))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        of if of.is_dir() => Kind::Directory,
        of if of.is_file() => Kind::File,
        of if of.is_symlink() => Kind::Link,
        of if of.is_fifo() => Kind::Fifo,
        of if of.is_socket() => Kind::Socket,
        _ => Kind::Device,
    }
}
