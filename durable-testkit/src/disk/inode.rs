//! Inodes and what they hold: the image of a disk as one moment sees it. The page cache is one image, what a power cut
//! leaves is another. Blocks are shared between images and snapshots, so that a copy of an image costs a few pointers.
//! An image knows nothing of processes, syncs or faults.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use super::digest::Digest;

/// The unit in which contents are shared.
pub(super) const BLOCK: usize = 4096;

/// An inode's number; never used twice on one disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ino(pub(super) u64);

/// The root directory.
pub(super) const ROOT: Ino = Ino(1);

/// Whether all bytes are zeros: compared block by block, because most of what is written here is, and a loop over bytes takes long where
/// nothing is optimised.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(BLOCK).all(|chunk| chunk == &[0; BLOCK][..chunk.len()])
}

/// A block that holds nothing.
const ZEROS: &[u8; BLOCK] = &[0; BLOCK];

/// A block's bytes, and their hash once somebody has asked for it.
#[derive(Debug)]
struct Bytes {
    bytes: [u8; BLOCK],
    digest: OnceLock<u64>,
}

impl Bytes {
    fn new(bytes: [u8; BLOCK]) -> Arc<Bytes> {
        Arc::new(Bytes { bytes, digest: OnceLock::new() })
    }

    fn digest(&self) -> u64 {
        *self.digest.get_or_init(|| if is_zero(&self.bytes) { 0 } else { Digest::new().bytes(&self.bytes).finish() })
    }
}

impl Clone for Bytes {
    fn clone(&self) -> Bytes {
        Bytes { bytes: self.bytes, digest: OnceLock::new() }
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Bytes {}

/// A block of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Block {
    /// Never written: reads as zeros and takes no space.
    Hole,
    /// Written with zeros: takes space on the disk, none here.
    Zeros,
    /// Written.
    Data(Arc<Bytes>),
}

impl Block {
    fn bytes(&self) -> &[u8; BLOCK] {
        match self {
            Block::Hole | Block::Zeros => ZEROS,
            Block::Data(block) => &block.bytes,
        }
    }

    fn digest(&self) -> u64 {
        match self {
            Block::Hole | Block::Zeros => 0,
            Block::Data(block) => block.digest(),
        }
    }

    fn overwrite(&mut self, at: usize, bytes: &[u8]) {
        let zeros = is_zero(bytes);
        match self {
            Block::Zeros if zeros => {}
            Block::Hole if zeros => *self = Block::Zeros,
            _ if zeros && bytes.len() == BLOCK => *self = Block::Zeros,
            // Nothing of the old block is left, and nothing of it need be copied.
            _ if bytes.len() == BLOCK => {
                *self = Block::Data(Bytes::new(*bytes.first_chunk().expect("as long as that")))
            }
            Block::Hole | Block::Zeros => {
                let mut block = [0; BLOCK];
                block[at..at + bytes.len()].copy_from_slice(bytes);
                *self = Block::Data(Bytes::new(block));
            }
            Block::Data(block) => {
                let block = Arc::make_mut(block);
                block.bytes[at..at + bytes.len()].copy_from_slice(bytes);
                block.digest = OnceLock::new();
            }
        }
    }
}

/// A file's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Content {
    len: u64,
    blocks: Vec<Block>,
    whole: Known,
}

/// A hash once somebody has asked for it. It makes no difference between two of whatever it is a part.
#[derive(Debug, Clone, Default)]
struct Known(OnceLock<u64>);

impl PartialEq for Known {
    fn eq(&self, _: &Known) -> bool {
        true
    }
}

impl Eq for Known {}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("because a simulated file is far smaller than the address space")
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Up to `len` bytes at `offset`, fewer at the end.
    pub(super) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let end = offset.saturating_add(len as u64).min(self.len);
        let mut out = Vec::with_capacity(index(end.saturating_sub(offset)));
        let mut at = offset;
        while at < end {
            let within = index(at % BLOCK as u64);
            let take = (BLOCK - within).min(index(end - at));
            match self.blocks.get(index(at / BLOCK as u64)) {
                Some(block) => out.extend_from_slice(&block.bytes()[within..within + take]),
                None => out.resize(out.len() + take, 0),
            }
            at += take as u64;
        }
        out
    }

    /// Writes, and grows the file if it ends before `offset + bytes.len()`.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        self.len = self.len.max(offset + bytes.len() as u64);
        self.overwrite(offset, bytes);
    }

    /// Writes what lies within the file as long as it is; the rest is dropped.
    pub(super) fn overwrite(&mut self, offset: u64, bytes: &[u8]) {
        self.whole = Known::default();
        let inside = self.len.saturating_sub(offset).min(bytes.len() as u64);
        let (mut at, mut rest) = (offset, &bytes[..index(inside)]);
        while !rest.is_empty() {
            let within = index(at % BLOCK as u64);
            let (now, later) = rest.split_at((BLOCK - within).min(rest.len()));
            self.block(index(at / BLOCK as u64)).overwrite(within, now);
            at += now.len() as u64;
            rest = later;
        }
    }

    fn block(&mut self, number: usize) -> &mut Block {
        if self.blocks.len() <= number {
            self.blocks.resize(number + 1, Block::Hole);
        }
        &mut self.blocks[number]
    }

    pub(super) fn grow(&mut self, len: u64) {
        self.whole = Known::default();
        self.len = self.len.max(len);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.whole = Known::default();
        if len < self.len {
            self.blocks.truncate(index(len.div_ceil(BLOCK as u64)));
            let tail = index(len % BLOCK as u64);
            if let Some(block @ Block::Data(_)) = self.blocks.get_mut(index(len / BLOCK as u64)) {
                block.overwrite(tail, &[0; BLOCK][tail..]);
            }
        }
        self.len = len;
    }

    /// A hash of what a read of so many bytes at `offset` gives.
    pub(super) fn digest(&self, offset: u64, len: usize) -> u64 {
        if offset > 0 || (len as u64) < self.len {
            return Digest::new().bytes(&self.read(offset, len)).finish();
        }
        *self.whole.0.get_or_init(|| self.digest_of_all())
    }

    fn digest_of_all(&self) -> u64 {
        // A block that ends with the file holds zeros behind its end.
        let blocks = self.blocks.iter().map(Block::digest);
        let missing = index(self.len.div_ceil(BLOCK as u64)).saturating_sub(self.blocks.len());
        let all = blocks.chain(std::iter::repeat_n(0, missing));
        all.fold(Digest::new().number(self.len), Digest::number).finish()
    }

    /// The space that the file takes, in bytes: written blocks, the last one as far as the file reaches.
    pub(super) fn space(&self) -> u64 {
        let taken = |(number, block): (usize, &Block)| match block {
            Block::Hole => 0,
            Block::Zeros | Block::Data(_) => self.len.saturating_sub((number * BLOCK) as u64).min(BLOCK as u64),
        };
        self.blocks.iter().enumerate().map(taken).sum()
    }
}

/// The names in a directory.
pub(super) type Entries = BTreeMap<Arc<str>, Ino>;

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// A regular file.
    File(Content),
    /// A directory.
    Dir(Entries),
}

/// All inodes as one moment sees them. A copy costs one pointer until one of the two changes.
#[derive(Debug, Clone)]
pub(super) struct Image {
    nodes: Arc<BTreeMap<Ino, Arc<Node>>>,
}

impl Image {
    /// A disk with an empty root directory.
    pub(super) fn empty() -> Self {
        Self { nodes: Arc::new(BTreeMap::from([(ROOT, Arc::new(Node::Dir(Entries::new())))])) }
    }

    pub(super) fn insert(&mut self, ino: Ino, node: Node) {
        Arc::make_mut(&mut self.nodes).insert(ino, Arc::new(node));
    }

    pub(super) fn node(&self, ino: Ino) -> Option<&Node> {
        self.nodes.get(&ino).map(|node| &**node)
    }

    /// Has of this inode what `other` has, if both have it.
    pub(super) fn share(&mut self, ino: Ino, other: &Image) {
        let Some(node) = other.nodes.get(&ino) else { return };
        let is_known = self.nodes.get(&ino).is_some_and(|own| !Arc::ptr_eq(own, node));
        if is_known {
            Arc::make_mut(&mut self.nodes).insert(ino, Arc::clone(node));
        }
    }

    pub(super) fn file(&self, ino: Ino) -> Option<&Content> {
        match self.node(ino)? {
            Node::File(content) => Some(content),
            Node::Dir(_) => None,
        }
    }

    pub(super) fn file_mut(&mut self, ino: Ino) -> Option<&mut Content> {
        match Arc::make_mut(Arc::make_mut(&mut self.nodes).get_mut(&ino)?) {
            Node::File(content) => Some(content),
            Node::Dir(_) => None,
        }
    }

    pub(super) fn entries(&self, dir: Ino) -> Option<&Entries> {
        match self.node(dir)? {
            Node::Dir(entries) => Some(entries),
            Node::File(_) => None,
        }
    }

    pub(super) fn entries_mut(&mut self, dir: Ino) -> Option<&mut Entries> {
        match Arc::make_mut(Arc::make_mut(&mut self.nodes).get_mut(&dir)?) {
            Node::Dir(entries) => Some(entries),
            Node::File(_) => None,
        }
    }

    pub(super) fn lookup(&self, dir: Ino, name: &str) -> Option<Ino> {
        self.entries(dir)?.get(name).copied()
    }

    /// The inodes that a name in some directory leads to, and the root.
    pub(super) fn named(&self) -> BTreeSet<Ino> {
        let dirs = self.nodes.keys().filter_map(|ino| self.entries(*ino));
        dirs.flat_map(|entries| entries.values().copied()).chain([ROOT]).collect()
    }

    /// Drops every inode that is not in `kept`.
    pub(super) fn retain(&mut self, kept: &BTreeSet<Ino>) {
        if self.nodes.keys().any(|ino| !kept.contains(ino)) {
            Arc::make_mut(&mut self.nodes).retain(|ino, _| kept.contains(ino));
        }
    }

    /// Drops what no path leads to, as a file system check would.
    pub(super) fn drop_unreachable(&mut self) {
        let mut kept = vec![ROOT];
        let mut next = 0;
        while let Some(ino) = kept.get(next).copied() {
            next += 1;
            for below in self.entries(ino).into_iter().flat_map(|entries| entries.values()) {
                if !kept.contains(below) {
                    kept.push(*below);
                }
            }
        }
        if kept.len() < self.nodes.len() {
            Arc::make_mut(&mut self.nodes).retain(|ino, _| kept.contains(ino));
        }
    }

    /// The space that these files take, in bytes.
    pub(super) fn space(&self, of: &BTreeSet<Ino>) -> u64 {
        of.iter().filter_map(|ino| self.file(*ino)).map(Content::space).sum()
    }

    /// The same for two images in which the same paths hold the same bytes.
    pub(super) fn digest_of_tree(&self, dir: Ino, digest: Digest) -> Digest {
        let entries = self.entries(dir).into_iter().flatten();
        let all = entries.fold(digest.number(DIR_BEGINS), |digest, (name, ino)| {
            let digest = digest.bytes(name.as_bytes());
            match self.file(*ino) {
                Some(content) => digest.number(content.digest(0, usize::MAX)),
                None => self.digest_of_tree(*ino, digest),
            }
        });
        all.number(DIR_ENDS)
    }
}

/// What stands around the entries of a directory in the hash of a tree.
const DIR_BEGINS: u64 = 0xD1;
const DIR_ENDS: u64 = 0xED;
