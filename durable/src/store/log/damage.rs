//! Which runs a damage concerns: for the report, and only there. It guesses on the safe side of silence: a run that it
//! names is concerned or looks so, one whose only trace was in the damaged bytes may be missing.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::{Found, Frames};
use super::error::{DiskFault, Rot, RotKind};
use super::files::Folder;
use crate::codec::frame::{self, Place, SegmentNo, StoreId};
use crate::codec::section::Head;
use crate::codec::segment;
use crate::kernel::id::{RunNo, Timestamp};

/// Runs that go on from a frame which is nowhere, and runs whose number can still be made out in damaged bytes.
pub(super) async fn runs_concerned(
    folder: &Folder,
    store: StoreId,
    segments: &[SegmentNo],
    rot: &[Rot],
) -> Result<Vec<RunNo>, DiskFault> {
    let mut survey = Survey::default();
    for number in segments {
        let bytes = folder.read_segment(*number).await?;
        for found in Frames::of(&bytes, store, *number) {
            if let Found::Frame(place, frame) = found {
                survey.frame(place, frame.body, frame.header.at);
            }
        }
        let file = segment::name(*number);
        for hole in rot.iter().filter(|rot| rot.file == file && matches!(rot.what, RotKind::Unreadable { .. })) {
            let rest = usize::try_from(hole.offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
            survey.guess(frame::guess_body(rest).unwrap_or_default());
        }
    }
    Ok(survey.concerned())
}

#[derive(Default)]
struct Survey {
    /// Where frames stand, in their order: 8 bytes for each frame of the log.
    places: BTreeMap<SegmentNo, Vec<u64>>,
    /// Runs that go on from where no frame stands.
    dangling: BTreeSet<RunNo>,
    largest: RunNo,
    guessed: BTreeSet<RunNo>,
}

impl Survey {
    fn frame(&mut self, place: Place, body: &[u8], at: Timestamp) {
        self.places.entry(place.segment).or_default().push(place.offset);
        for head in heads(body, at) {
            self.largest = self.largest.max(head.run);
            // A run goes on from a frame that stands before.
            self.dangling.extend(head.prev.filter(|prev| !self.has(*prev)).map(|_| head.run));
        }
    }

    fn has(&self, place: Place) -> bool {
        self.places.get(&place.segment).is_some_and(|offsets| offsets.binary_search(&place.offset).is_ok())
    }

    fn guess(&mut self, body: &[u8]) {
        self.guessed.extend(heads(body, Timestamp::default()).map(|head| head.run));
    }

    fn concerned(mut self) -> Vec<RunNo> {
        // A number that a flipped bit has made is larger than any real one, nearly always.
        self.guessed.retain(|run| run.0 <= self.largest.0.saturating_add(1 << 10));
        let mut runs: BTreeSet<_> = self.dangling.union(&self.guessed).copied().collect();
        runs.remove(&RunNo(0));
        runs.into_iter().collect()
    }
}

/// The heads of the sections of a body, up to the first one that is none.
fn heads(body: &[u8], at: Timestamp) -> impl Iterator<Item = Head> {
    let mut rest = body;
    std::iter::from_fn(move || {
        let bytes = &mut rest;
        if bytes.is_empty() {
            return None;
        }
        let head = Head::decode(bytes, at).ok()?;
        head.skip_events(bytes).ok()?;
        Some(head)
    })
}
