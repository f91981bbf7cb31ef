//! The operations as data, and the trace of them. Nothing here does anything.

use std::fmt;
use std::io;
use std::path::PathBuf;

use durable::store::disk::{Dir, File, Identity};

use super::process::ProcessId;

macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* })*) => {
        /// An operation that was asked of the disk. The bytes of a write are not kept.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Op {
            $($(#[$doc])* $name {
                $(#[doc = concat!("Its ", stringify!($field), ".")] $field: $type),*
            }),*
        }

        /// What an operation does, without what it does it to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum OpKind {
            $($(#[$doc])* $name),*
        }

        impl OpKind {
            /// How many kinds there are.
            pub(super) const COUNT: usize = [$(OpKind::$name),*].len();
        }

        impl Op {
            /// What this does.
            #[must_use]
            pub fn kind(&self) -> OpKind {
                match self {
                    $(Op::$name { .. } => OpKind::$name),*
                }
            }
        }
    };
}

operations! {
    /// `Disk::open_dir` of a directory that exists or fails.
    OpenDir { path: PathBuf }
    /// `Disk::open_dir` that makes what is missing.
    MakeDir { path: PathBuf }
    /// `Disk::list`.
    List { dir: Dir }
    /// `Disk::open`.
    Open { dir: Dir, name: String }
    /// `Disk::open_or_create`.
    OpenOrCreate { dir: Dir, name: String }
    /// `Disk::create`.
    Create { dir: Dir, name: String }
    /// `Disk::read`.
    Read { file: File, offset: u64, len: usize }
    /// `Disk::write`.
    Write { file: File, offset: u64, len: usize }
    /// `Disk::set_len`.
    SetLen { file: File, len: u64 }
    /// `Disk::len`.
    Len { file: File }
    /// `Disk::sync_data`.
    SyncData { file: File }
    /// `Disk::sync_dir`.
    SyncDir { dir: Dir }
    /// `Disk::link`.
    Link { dir: Dir, from: String, to: String }
    /// `Disk::rename`.
    Rename { dir: Dir, from: String, to: String }
    /// `Disk::remove`.
    Remove { dir: Dir, name: String }
    /// `Disk::try_lock`.
    TryLock { file: File }
    /// `Disk::close`.
    Close { file: File }
    /// `Disk::close_dir`.
    CloseDir { dir: Dir }
    /// `Disk::identity_of`.
    IdentityOf { path: PathBuf }
    /// `Disk::identity`.
    Identity { file: File }
}

impl OpKind {
    /// Whether it can change what a crash leaves: files, names, or what of them is durable.
    #[must_use]
    pub fn is_change(self) -> bool {
        match self {
            OpKind::MakeDir
            | OpKind::OpenOrCreate
            | OpKind::Create
            | OpKind::Write
            | OpKind::SetLen
            | OpKind::SyncData
            | OpKind::SyncDir
            | OpKind::Link
            | OpKind::Rename
            | OpKind::Remove => true,
            OpKind::OpenDir
            | OpKind::List
            | OpKind::Open
            | OpKind::Read
            | OpKind::Len
            | OpKind::TryLock
            | OpKind::Close
            | OpKind::CloseDir
            | OpKind::IdentityOf
            | OpKind::Identity => false,
        }
    }
}

impl Op {
    /// The open file that this works on, if it does on one.
    #[must_use]
    pub fn file(&self) -> Option<File> {
        match self {
            Op::Read { file, .. }
            | Op::Write { file, .. }
            | Op::SetLen { file, .. }
            | Op::Len { file }
            | Op::SyncData { file }
            | Op::TryLock { file }
            | Op::Close { file }
            | Op::Identity { file } => Some(*file),
            _ => None,
        }
    }
}

/// How an operation in the trace ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was done.
    Done,
    /// It failed.
    Failed(io::ErrorKind),
    /// Its process died in it.
    Died(Unfinished),
}

/// What became of an operation in which its process died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// Nothing of it was done.
    NotDone,
    /// All of it was done; nobody was told.
    Done,
    /// Of a write the first so many bytes were done; any other operation was done.
    Part(usize),
    /// Of a write the beginning was done, as much as the seed says; any other operation was done or not, as it says.
    Half(u64),
}

/// A line of the trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceLine {
    /// The how-manieth operation on this disk, counted from 1.
    pub number: u64,
    /// Whose.
    pub process: ProcessId,
    /// What.
    pub op: Op,
    /// The name under which the file was opened, for operations on an open file.
    pub name: String,
    /// How it ended.
    pub ending: Ending,
}

impl fmt::Display for TraceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} p{} {:?}", self.number, self.process.0, self.op)?;
        if !self.name.is_empty() {
            write!(f, " of {}", self.name)?;
        }
        match &self.ending {
            Ending::Done => Ok(()),
            Ending::Failed(kind) => write!(f, " -> {kind}"),
            Ending::Died(unfinished) => write!(f, " -> the process died in it: {unfinished:?}"),
        }
    }
}

/// What an operation gives.
#[derive(Debug)]
pub(super) enum Answer {
    Nothing,
    Dir(Dir),
    File(File),
    Names(Vec<String>),
    Bytes(Vec<u8>),
    Written(usize),
    Len(u64),
    Locked(bool),
    Identity(Identity),
}

/// An operation with the bytes of a write.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) op: Op,
    pub(super) bytes: Vec<u8>,
}
