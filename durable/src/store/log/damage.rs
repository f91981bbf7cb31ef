//! Which runs a damage concerns: for the report, and only there. It guesses on the safe side of silence: a run that it
//! names is concerned or looks so, one whose only trace was in the damaged bytes may be missing.

use std::collections::BTreeSet;

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
    places: BTreeSet<Place>,
    links: BTreeSet<(Place, RunNo)>,
    known: BTreeSet<RunNo>,
    guessed: BTreeSet<RunNo>,
}

impl Survey {
    fn frame(&mut self, place: Place, body: &[u8], at: Timestamp) {
        self.places.insert(place);
        for head in heads(body, at) {
            self.known.insert(head.run);
            self.links.extend(head.prev.map(|prev| (prev, head.run)));
        }
    }

    fn guess(&mut self, body: &[u8]) {
        self.guessed.extend(heads(body, Timestamp::default()).map(|head| head.run));
    }

    fn concerned(mut self) -> Vec<RunNo> {
        // A number that a flipped bit has made is larger than any real one, nearly always.
        let largest = self.known.last().copied().unwrap_or_default();
        self.guessed.retain(|run| run.0 <= largest.0.saturating_add(1 << 10));
        let dangling = self.links.iter().filter(|(place, _)| !self.places.contains(place)).map(|(_, run)| *run);
        let mut runs: BTreeSet<_> = dangling.chain(self.guessed.iter().copied()).collect();
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
