//! Logs that no engine wrote: whole frames with right checksums in a wrong order, with wrong contents, or with a higher base.
//! They show that both readers check the chain, the numbers of events and the places before them, and not checksums alone.

use durable::codec::event::SKIPPABLE;
use durable::codec::frame::{self, Header, Lsn, Place, SegmentNo, StoreId};
use durable::codec::section::Head;
use durable::codec::{format_file, leb, segment};
use durable_testkit::{Rng, SimDisk};

use super::images::{Has, Image, segments};
use super::scenario::DIR;

/// A frame, apart from where it stands.
#[derive(Clone)]
struct Loose {
    header: Header,
    body: Vec<u8>,
}

/// The frames of one segment; the first one is a copy of the last one of the segment before.
struct Segment {
    path: String,
    number: SegmentNo,
    head: Vec<u8>,
    frames: Vec<Loose>,
}

/// All frames of a store.
struct Log {
    store: StoreId,
    segments: Vec<Segment>,
}

pub(super) fn forged(index: usize, whole: &SimDisk) -> Image {
    let disk = SimDisk::from_snapshot(&whole.snapshot());
    disk.settle();
    let rng = &mut Rng::new(index as u64);
    let mut log = Log::of(&disk);
    let number = rng.index(log.segments.len());
    let frames = &mut log.segments[number].frames;
    // Neither the copy nor what is copied.
    let inner = frames.len() - 2;
    let (first, second) = (1 + rng.index(inner), 1 + rng.index(inner));
    let (what, has) = match index % 8 {
        0 => {
            frames.swap(first, second);
            ("frames-swapped", Has::NoGaps)
        }
        1 => {
            frames.remove(first);
            ("frame-left-out", Has::NoGaps)
        }
        2 => {
            frames.remove(first);
            log.chain_anew();
            ("frame-left-out-of-the-chain", Has::Gaps)
        }
        3 => {
            frames[first].blank();
            log.chain_anew();
            ("sections-left-out", Has::Gaps)
        }
        4 => {
            log.raise_base(&disk);
            ("base-raised", Has::Gaps)
        }
        5 => {
            frames[first].blank();
            ("chain-broken", Has::NoGaps)
        }
        6 => {
            frames.iter_mut().for_each(Loose::skip_a_number);
            log.chain_anew();
            ("numbers-skipped", Has::Gaps)
        }
        _ => {
            log.begin_anew_twice(first);
            ("begun-anew-twice", Has::NoGaps)
        }
    };
    log.write(&disk);
    Image { name: format!("forged-{index}-{what}"), disk, has }
}

/// The store without all but one frame, which is not empty and stands at the begin of the last segment.
pub(super) fn only_one_frame(whole: &SimDisk) -> SimDisk {
    let disk = SimDisk::from_snapshot(&whole.snapshot());
    let mut log = Log::of(&disk);
    let mut last = log.segments.pop().unwrap();
    log.segments.iter().for_each(|segment| disk.remove_file(&segment.path).unwrap());
    last.frames.retain(|frame| !frame.body.is_empty());
    last.frames.truncate(1);
    log.segments = vec![last];
    log.write(&disk);
    disk
}

impl Log {
    fn of(disk: &SimDisk) -> Log {
        let store = format_file::decode(&disk.read_file(format!("{DIR}/FORMAT")).unwrap()).unwrap();
        Log { store, segments: segments(disk).into_iter().map(|path| Segment::of(disk, store, path)).collect() }
    }

    fn write(&self, disk: &SimDisk) {
        for segment in &self.segments {
            disk.write_file(&segment.path, &segment.bytes(self.store)).unwrap();
        }
    }

    /// Numbers and chains all frames anew: the log is one that a writer could have written.
    fn chain_anew(&mut self) {
        let (mut last, mut crc) = (None::<Header>, 0);
        for segment in &mut self.segments {
            for (index, loose) in segment.frames.iter_mut().enumerate() {
                let next = Header { lsn: last.map_or(Lsn::FIRST, |last| last.lsn.next()), chain: crc, ..loose.header };
                loose.header = last.filter(|_| index == 0).unwrap_or(next);
                crc = loose.sealed(self.store, Place::default()).1;
                last = Some(loose.header);
            }
        }
    }

    /// The second segment has lost its first frames, and the third one goes on where the first one ended.
    fn begin_anew_twice(&mut self, lost: usize) {
        let last = self.segments[0].frames.last().unwrap().clone();
        let [_, second, third] = &mut *self.segments else { panic!("the scenario has three processes") };
        second.frames.drain(..1 + lost.min(second.frames.len() - 2));
        third.frames = vec![last];
    }

    /// Says in the last segment that nothing before it is needed any more, and takes the segments before it away.
    fn raise_base(&mut self, disk: &SimDisk) {
        let last = self.segments.pop().unwrap();
        self.segments.drain(..).for_each(|segment| disk.remove_file(&segment.path).unwrap());
        self.segments.push(last);
        let frames = &mut self.segments[0].frames;
        let (base, mut chain) = (frames[0].header.lsn, frames[0].header.chain);
        for loose in frames {
            loose.header = Header { base, chain, ..loose.header };
            chain = loose.sealed(self.store, Place::default()).1;
        }
    }
}

impl Segment {
    fn of(disk: &SimDisk, store: StoreId, path: String) -> Segment {
        let number = segment::number(path.rsplit('/').next().unwrap()).unwrap();
        let bytes = disk.read_file(&path).unwrap();
        let (mut frames, mut offset) = (Vec::new(), segment::FIRST_FRAME);
        while let Ok(found) = frame::decode(&bytes[offset as usize..], store, Place { segment: number, offset }) {
            frames.push(Loose { header: found.header, body: found.body.to_vec() });
            offset += found.stride();
        }
        Segment { path, number, head: bytes[..segment::FIRST_FRAME as usize].to_vec(), frames }
    }

    /// The frames one behind the other, each sealed for where it stands now.
    fn bytes(&self, store: StoreId) -> Vec<u8> {
        let mut bytes = self.head.clone();
        for loose in &self.frames {
            let place = Place { segment: self.number, offset: bytes.len() as u64 };
            bytes.extend(loose.sealed(store, place).0);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }
}

impl Loose {
    /// The whole frame, and its content CRC.
    fn sealed(&self, store: StoreId, place: Place) -> (Vec<u8>, u32) {
        let mut bytes = Vec::new();
        frame::begin(&mut bytes);
        bytes.extend_from_slice(&self.body);
        let crc = frame::seal(&mut bytes, self.header, store, place).unwrap();
        (bytes, crc)
    }

    /// Adds one to the number of the first event of every section that does not begin a journal.
    fn skip_a_number(&mut self) {
        let (bytes, mut body) = (&mut &*self.body, Vec::new());
        while !bytes.is_empty() {
            let mut head = Head::decode(bytes, self.header.at).unwrap();
            let events = *bytes;
            head.skip_events(bytes).unwrap();
            head.first.0 += u64::from(head.first.0 > 0);
            head.encode(self.header.at, &mut body);
            body.extend_from_slice(&events[..events.len() - bytes.len()]);
        }
        if body.len() == self.body.len() {
            self.body = body;
        }
    }

    /// Puts one event of the store that nobody knows in the place of all that the frame holds, of the same size: all other
    /// frames stay where they are. An empty frame stays empty.
    fn blank(&mut self) {
        let len = self.body.len();
        let unknown = |filler: usize| {
            // Run 0, event 0, nothing before, at the frame's time, one event: of an unknown kind, to be stepped over.
            let mut section = vec![0, 0, 0, 0, 1, 0x77, 0x77, 1, SKIPPABLE];
            leb::put(filler as u64, &mut section);
            section.resize(section.len() + filler, 0);
            section
        };
        if let Some(section) = (0..len).map(unknown).find(|section| section.len() == len) {
            self.body = section;
        }
    }
}
