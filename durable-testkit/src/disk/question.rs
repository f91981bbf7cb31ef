//! What a process asks of the disk, by names and not by descriptors: two disks that answer the same questions the same
//! are one and the same to whoever asks nothing else. Answers are hashes; nothing here changes a disk.

use std::path::PathBuf;
use std::sync::Arc;

use durable::store::disk::File;

use super::digest::Digest;
use super::inode::{Content, Ino, ROOT};
use super::op::Op;
use super::pending::Pending;
use super::process::ProcessId;
use super::state::State;

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    what: What,
    key: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Whether a path leads somewhere.
    Path(PathBuf),
    /// The names in a directory.
    Names(Ino),
    /// Whether a name is there.
    Name(Ino, Arc<str>),
    /// The length of the file of that name.
    Len(Ino, Arc<str>),
    /// Bytes of the file of that name.
    Bytes(Ino, Arc<str>, u64, usize),
}

impl Question {
    fn new(what: What) -> Question {
        let digest = Digest::new();
        let named = |number: u64, dir: &Ino, name: &str| digest.number(number).number(dir.0).bytes(name.as_bytes());
        let key = match &what {
            What::Path(path) => digest.number(1).bytes(path.as_os_str().as_encoded_bytes()),
            What::Names(dir) => digest.number(2).number(dir.0),
            What::Name(dir, name) => named(3, dir, name),
            What::Len(dir, name) => named(4, dir, name),
            What::Bytes(dir, name, offset, len) => named(5, dir, name).number(*offset).number(*len as u64),
        };
        Question { what, key: key.finish() }
    }
}

/// The questions that were asked, each once.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    list: Vec<Question>,
}

impl Questions {
    pub(crate) fn into_list(self) -> Vec<Question> {
        self.list
    }

    /// Notes what an operation asks that is about to be done.
    pub(super) fn note(&mut self, state: &State, process: ProcessId, op: &Op) {
        let Some(what) = what(state, process, op) else { return };
        let question = Question::new(what);
        if !self.list.iter().any(|known| known.key == question.key) {
            self.list.push(question);
        }
    }
}

fn what(state: &State, process: ProcessId, op: &Op) -> Option<What> {
    let of = |file: &File| state.file(process, *file).ok().map(|open| (open.dir, Arc::clone(&open.name)));
    let named = |dir, name: &str| state.dir(process, dir).ok().map(|dir| What::Name(dir, name.into()));
    match op {
        Op::OpenDir { path } | Op::MakeDir { path } | Op::IdentityOf { path } => Some(What::Path(path.clone())),
        Op::List { dir } => state.dir(process, *dir).ok().map(What::Names),
        Op::Open { dir, name }
        | Op::OpenOrCreate { dir, name }
        | Op::Create { dir, name }
        | Op::Remove { dir, name } => named(*dir, name),
        Op::Link { dir, to, .. } | Op::Rename { dir, to, .. } => named(*dir, to),
        Op::Read { file, offset, len } => of(file).map(|(dir, name)| What::Bytes(dir, name, *offset, *len)),
        Op::Len { file } => of(file).map(|(dir, name)| What::Len(dir, name)),
        Op::Write { .. }
        | Op::SetLen { .. }
        | Op::SyncData { .. }
        | Op::SyncDir { .. }
        | Op::TryLock { .. }
        | Op::Close { .. }
        | Op::CloseDir { .. }
        | Op::Identity { .. } => None,
    }
}

impl State {
    pub(super) fn answer(&self, question: &Question) -> u64 {
        match &question.what {
            What::Path(path) => u64::from(self.resolve(path).is_ok()),
            What::Names(dir) => self.names_digest(*dir),
            What::Name(dir, name) => u64::from(self.seen.lookup(*dir, name).is_some()),
            What::Len(dir, name) => self.content_of(*dir, name).map_or(u64::MAX, Content::len),
            What::Bytes(dir, name, offset, len) => {
                self.content_of(*dir, name).map_or(u64::MAX, |content| content.digest(*offset, *len))
            }
        }
    }

    fn content_of(&self, dir: Ino, name: &str) -> Option<&Content> {
        self.seen.file(self.seen.lookup(dir, name)?)
    }

    fn names_digest(&self, dir: Ino) -> u64 {
        let names = self.seen.entries(dir).into_iter().flat_map(|entries| entries.keys());
        names.fold(Digest::new(), |digest, name| digest.bytes(name.as_bytes())).finish()
    }

    pub(super) fn pending_digest(&self) -> u64 {
        self.pending.iter().fold(Digest::new(), |digest, pending| pending.digest(digest)).finish()
    }

    /// A hash of what is on the platter, and of what is pending.
    pub(super) fn platter_digest(&self) -> u64 {
        let durable = self.durable.digest_of_tree(ROOT, Digest::new());
        let pending = |digest: Digest, pending: &Arc<Pending>| {
            // It may have no name yet that is on the platter.
            let content = self.durable.file(pending.ino()).map_or(0, |content| content.digest(0, usize::MAX));
            pending.digest(digest).number(content)
        };
        self.pending.iter().fold(durable, pending).finish()
    }
}

impl Pending {
    fn digest(&self, digest: Digest) -> Digest {
        let digest = digest.number(self.ino().0);
        match self {
            Pending::Write { offset, bytes, grows_to, .. } => {
                bytes.digest(digest.number(1).number(*offset).number(grows_to.unwrap_or_default()))
            }
            Pending::SetLen { len, .. } => digest.number(2).number(*len),
            Pending::Link { dir, name, .. } => digest.number(3).number(dir.0).bytes(name.as_bytes()),
            Pending::Unlink { dir, name, .. } => digest.number(4).number(dir.0).bytes(name.as_bytes()),
            Pending::Rename { dir, from, to, .. } => {
                digest.number(5).number(dir.0).bytes(from.as_bytes()).bytes(to.as_bytes())
            }
        }
    }
}
