//! Opening a store for writing, in the order of rule 10: lock, list, read, check the lock, begin a new segment with a copy
//! of the last frame, sync, check the lock again. Nothing of what other opens wrote is changed, cut or appended to.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::cache::FrameCache;
use super::chain::{Extent, LastFrame, Read};
use super::damage;
use super::error::{DiskFault, OpenError, StoreError};
use super::files::{Folder, STRETCH_BYTES, Segments};
use super::fold::Gaps;
use super::identity;
use super::lock::{self, Lock, Newest};
use super::place::{Layout, SegmentSizes};
use super::queue::{Begin, Queue};
use super::rebuild::Rebuild;
use super::recover::{self, Folded};
use super::shared::{Listener, Shared};
use super::spare::{self, Author, Spare};
use super::writer::{Alive, Writer};
use super::{Log, Recovered};
use crate::codec::frame::{self, Header, Lsn, Place, SegmentNo, StoreId};
use crate::codec::segment::{self, FIRST_FRAME};
use crate::seams::Seams;
use crate::store::disk::{Disk, is_scratch};
use crate::store::index::Index;

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    /// Its directory; an empty or a missing one becomes a store.
    pub dir: PathBuf,
    /// Who is told what becomes of what is appended.
    pub listener: Listener,
    /// How large its parts are.
    pub sizes: Sizes,
    /// Where the index of closed runs lives.
    pub index: IndexAt,
}

/// How large the parts of a log are. Small ones make rare things common, in tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// How large segments are.
    pub segments: SegmentSizes,
    /// How much space is kept for a checkpoint and a close on a full disk; at least twice the newest checkpoint.
    pub reserve_bytes: u64,
    /// How much log there is at least between two checkpoints.
    pub checkpoint_bytes_min: u64,
    /// How many bytes of frames that were read are kept for the next journal; and of small segments, while the store is opened.
    pub frame_cache_bytes: usize,
    /// How much of a segment is looked at in one go while the store is opened; a smaller segment is read whole. What is less than a
    /// segment's header counts as that.
    pub stretch_bytes: usize,
}

impl Default for Sizes {
    /// Segments of 256 KiB to 64 MiB, 1 MiB in reserve, 64 MiB between checkpoints, 64 MiB of frames kept, stretches of 4 MiB.
    fn default() -> Sizes {
        Sizes {
            segments: SegmentSizes::default(),
            reserve_bytes: 1 << 20,
            checkpoint_bytes_min: 64 << 20,
            frame_cache_bytes: FRAME_CACHE_BYTES,
            stretch_bytes: STRETCH_BYTES,
        }
    }
}

/// Where the index of closed runs lives. It is a cache: whatever becomes of it, every answer stays the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexAt {
    /// In memory: it begins empty.
    Memory,
    /// In this folder, which is made, and removed when it is in doubt.
    Folder(PathBuf),
}

/// The default of [`Sizes::frame_cache_bytes`].
pub(super) const FRAME_CACHE_BYTES: usize = 64 << 20;

impl Options {
    /// The default sizes, and the index in memory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, listener: Listener) -> Options {
        Options { dir: dir.into(), listener, sizes: Sizes::default(), index: IndexAt::Memory }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("dir", &self.dir).field("sizes", &self.sizes).finish_non_exhaustive()
    }
}

/// How often a new segment is made that somebody tidies away.
const NAMINGS: u32 = 3;

/// Opens a store, or makes one of an empty or a missing directory. When this returns, what it has read is durable.
///
/// # Errors
/// [`OpenError`], each variant with its code. Nothing is changed but for an empty segment, at most.
pub async fn open(disk: Arc<dyn Disk>, seams: Seams, options: Options) -> Result<(Log, Writer, Recovered), OpenError> {
    let folder = Folder::open_or_make(&disk, options.dir.clone()).await?;
    let folder = Arc::new(folder.in_stretches_of(options.sizes.stretch_bytes));
    let store = identity::find_or_make(&folder, &seams).await?;
    let Some(lock) = Lock::take(&folder, &seams.entropy).await? else { return Err(lock::already_open(&folder).await) };
    let opening = Opening { folder, store, author: Author::new(store, &seams), seams, options };
    match opening.take_over(&lock).await {
        Ok(taken) => Ok(opening.finish(lock, taken)),
        Err(error) => {
            lock.release().await;
            Err(error)
        }
    }
}

struct Opening {
    folder: Arc<Folder>,
    store: StoreId,
    author: Author,
    seams: Seams,
    options: Options,
}

/// What was taken over.
struct Taken {
    folded: Folded,
    segment: Spare,
    last: LastFrame,
}

impl Opening {
    async fn take_over(&self, lock: &Lock) -> Result<Taken, OpenError> {
        let Some(newest) = lock::lock_newest(&self.folder).await? else {
            return Err(lock::already_open(&self.folder).await);
        };
        let taken = self.take_over_from(lock, &newest).await;
        if let Some(handle) = newest.handle {
            handle.close().await;
        }
        // Whatever was found, rot above all, counts only if nobody else wrote meanwhile (rule 13).
        let Err(error) = taken else { return taken };
        match lock.is_ours().await {
            Ok(false) => Err(self.overtaken(lock).await),
            Err(fault) if !matches!(error, OpenError::Disk(_)) => Err(fault.into()),
            Ok(true) | Err(_) => Err(error),
        }
    }

    async fn take_over_from(&self, lock: &Lock, newest: &Newest) -> Result<Taken, OpenError> {
        let mut files = Segments::keeping(&self.folder, self.options.sizes.frame_cache_bytes);
        let (mut folded, read) = self.read(&mut files, &newest.segments).await?;
        self.check(lock).await?;
        self.tidy().await?;
        let number = newest.segments.last().copied().unwrap_or_default().next();
        let place = Place { segment: number, offset: FIRST_FRAME };
        let (bytes, last) = self.copy_of_last(&mut files, &read, place).await?;
        let segment = self.begin_segment(number, &bytes, lock).await?;
        if !planted!(7) {
            move_tails(&mut folded, &read, last.place);
        }
        Ok(Taken { folded, segment, last })
    }

    async fn read(&self, files: &mut Segments<'_>, segments: &[SegmentNo]) -> Result<(Folded, Read), OpenError> {
        let read = recover::chain(files, self.store, segments).await?.finish();
        if !read.rot.is_empty() {
            let runs = damage::runs_concerned(&self.folder, self.store, segments, &read.rot).await?;
            return Err(OpenError::Rot { findings: read.rot, runs });
        }
        let folded =
            recover::fold(files, self.store, &read, Gaps::Refuse, &|one, other| self.seams.spawn.both(one, other))
                .await?;
        Ok((folded, read))
    }

    /// Removes what earlier opens have left of files that they began to make, and their spares: nobody may give those a number any more
    /// (rule 12).
    async fn tidy(&self) -> Result<(), DiskFault> {
        for name in self.folder.list().await? {
            if identity::is_left(&name) || segment::is_spare(&name) || is_scratch(&name) {
                // Its maker may have removed it, as every maker does.
                self.folder.remove_if_there(&name).await?;
            }
        }
        Ok(())
    }

    async fn check(&self, lock: &Lock) -> Result<(), OpenError> {
        match lock.check().await {
            Ok(()) => Ok(()),
            Err(StoreError::LockLost { .. }) => Err(self.overtaken(lock).await),
            Err(StoreError::Sync(fault)) => Err(fault.into()),
            Err(error) => Err(OpenError::Store(error)),
        }
    }

    /// The error for an open whose lock leads elsewhere by now: who has the store, if someone else has made a segment meanwhile.
    async fn overtaken(&self, lock: &Lock) -> OpenError {
        match lock::holder(&self.folder).await {
            Ok(Some(holder)) if holder == self.author.holder() => OpenError::Store(lock.lost()),
            holder => OpenError::AlreadyOpen { dir: self.folder.path().clone(), holder: holder.ok().flatten() },
        }
    }

    /// The last frame as it will stand at `place`; the first frame of a log, if there is none.
    async fn copy_of_last(
        &self,
        files: &mut Segments<'_>,
        read: &Read,
        place: Place,
    ) -> Result<(Vec<u8>, LastFrame), OpenError> {
        let Some(last) = read.last else {
            let first = Header { lsn: Lsn::FIRST, base: Lsn::FIRST, at: self.seams.clock.wall(), chain: 0 };
            return Ok(self.empty_frame(first, place));
        };
        if planted!(6) {
            let next = Header { lsn: last.lsn.next(), base: last.base, at: self.seams.clock.wall(), chain: last.crc };
            let (bytes, empty) = self.empty_frame(next, place);
            return Ok((bytes, LastFrame { place: last.place, ..empty }));
        }
        let original = Extent { place: last.place, first: last.lsn, last: last.lsn };
        let mut copy = None;
        recover::each(files, self.store, original, |_, frame| {
            copy = frame::copy_to(frame, self.store, place);
            Ok::<_, DiskFault>(())
        })
        .await?;
        let copy = copy
            .expect("because this one frame was handed out, and a frame that was read is never too long to be written");
        Ok((copy, LastFrame { place, ..last }))
    }

    fn empty_frame(&self, header: Header, place: Place) -> (Vec<u8>, LastFrame) {
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        let crc = frame::seal(&mut bytes, header, self.store, place).expect("because an empty frame is short");
        let len = bytes.len();
        (bytes, LastFrame { lsn: header.lsn, base: header.base, crc, place, len })
    }

    /// A new segment that begins with `copy`. When this returns, both are durable and the lock is ours.
    async fn begin_segment(&self, number: SegmentNo, copy: &[u8], lock: &Lock) -> Result<Spare, OpenError> {
        let made = self.named_segment(number, copy, lock).await?;
        if !planted!(4) {
            self.folder.sync().await?;
        }
        made.handle.write_all(FIRST_FRAME, copy).await?;
        if !planted!(5) {
            made.handle.sync().await?;
        }
        self.check(lock).await?;
        Ok(made)
    }

    /// A new segment under its name. One that lost its name before it had this one was tidied away by an opener whose lock is lost and who
    /// does not know it yet: another is made.
    async fn named_segment(&self, number: SegmentNo, copy: &[u8], lock: &Lock) -> Result<Spare, OpenError> {
        let bytes = self.options.sizes.segments.first(copy.len());
        let mut tries = 1..=NAMINGS;
        loop {
            let name = segment::spare_name(spare::draw(&*self.seams.entropy));
            let made = spare::make(&self.folder, &self.author, &name, number, bytes).await?;
            let Err(fault) = spare::name(&self.folder, &made).await else { return Ok(made) };
            spare::discard(&self.folder, made).await;
            match fault.error.kind() {
                ErrorKind::AlreadyExists => return Err(self.overtaken(lock).await),
                ErrorKind::NotFound if tries.next().is_some() => {}
                _ => return Err(fault.into()),
            }
        }
    }

    fn open_index(&self, folded: &Folded) -> Index {
        let index = match &self.options.index {
            IndexAt::Memory => Index::in_memory(),
            IndexAt::Folder(path) => Index::open(path),
        };
        index.put(folded.fold.rows.iter().map(|((id, _), closed)| (*id, closed.row())));
        index
    }

    fn finish(self, lock: Lock, taken: Taken) -> (Log, Writer, Recovered) {
        let Taken { folded, segment, last } = taken;
        let index = self.open_index(&folded);
        let expected = folded.fold.closed.rows();
        let sizes = self.options.sizes.segments;
        let queue = Queue::new(Begin {
            store: self.store,
            layout: Layout::new(sizes, segment.segment, segment.bytes, FIRST_FRAME + frame::stride(last.len)),
            last: last.lsn,
            is_idle: last.len == frame::HEADER_BYTES,
            runs: folded.fold.runs,
            closed: folded.fold.closed,
            bytes_since_checkpoint: folded.bytes_since_checkpoint,
            checkpoint_bytes: folded.checkpoint_bytes,
            checkpoint_bytes_min: self.options.sizes.checkpoint_bytes_min,
        });
        let shared = Arc::new(Shared::new(queue, self.options.listener));
        let recovered = Recovered {
            store: self.store,
            tables: folded.fold.tables,
            is_clean: folded.fold.is_clean || planted!(30),
            opened_at: self.author.opened_at(),
        };
        let log = Log {
            shared: Arc::clone(&shared),
            folder: Arc::clone(&self.folder),
            frames: Arc::new(FrameCache::new(self.options.sizes.frame_cache_bytes)),
            index: index.clone(),
            store: self.store,
            clock: Arc::clone(&self.seams.clock),
        };
        if let IndexAt::Folder(_) = self.options.index {
            let (shared, folder) = (Arc::clone(&shared), Arc::clone(&self.folder));
            let rebuild = Rebuild { index: index.clone(), shared, folder, store: self.store, expected, last: last.lsn };
            self.seams.spawn.blocking("durable-index-check", Box::pin(rebuild.run()));
        }
        let writer = Writer {
            alive: Alive(Arc::clone(&shared)),
            shared,
            index,
            folder: self.folder,
            seams: self.seams,
            author: self.author,
            store: self.store,
            sizes,
            reserve_bytes: self.options.sizes.reserve_bytes,
            base: last.base,
            chain: last.crc,
            segment,
            ahead: None,
            lock,
        };
        (log, writer, recovered)
    }
}

/// What ends in the last frame ends in its copy from now on: the original may never have reached the disk.
fn move_tails(folded: &mut Folded, read: &Read, copy: Place) {
    if let Some(last) = read.last {
        folded.fold.moved(last.place, copy);
    }
}
