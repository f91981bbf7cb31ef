//! The next segment, and what happens when there is no space for it: nothing is acknowledged, the roll waits, and it goes
//! on by itself. No frame is in a segment that is being made, so a full disk here is no failure (rule 15); anything else
//! is.

use std::future::poll_fn;
use std::io;
use std::task::Poll;
use std::time::Duration;

use super::batch::Batch;
use super::error::{DiskFault, StoreError};
use super::place::BLOCK;
use super::queue::Phase;
use super::reserve;
use super::shared::Report;
use super::spare::{self, Ahead, Spare};
use super::writer::Writer;
use crate::codec::frame::SegmentNo;
use crate::codec::segment;

/// How long the roll waits before it looks for space again.
const RETRY: Duration = Duration::from_millis(500);

/// What a wait for space ended by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waited {
    /// There may be some.
    LookAgain,
    /// The log was stopped.
    Stopped,
}

impl Writer {
    /// The next segment, with its name; none if the log was stopped while it waited for space.
    pub(super) async fn next_segment(&mut self, batch: &Batch) -> Result<Option<Spare>, StoreError> {
        let mut is_stalled = false;
        loop {
            let fault = match self.try_next(batch).await {
                Ok(spare) => {
                    self.stalled(&mut is_stalled, false);
                    return Ok(Some(spare));
                }
                Err(fault) if fault.is_full() && !planted!(21) => fault,
                Err(fault) => return Err(self.final_cause(fault, batch.place().segment).await),
            };
            let is_reserved = self.shared.queue().may_use_reserve();
            if is_reserved && reserve::release(&self.folder).await.map_err(StoreError::Segment)? {
                continue;
            }
            if self.shared.queue().phase == Phase::Closing {
                // A close does not wait for someone to make space: what is not durable was not acknowledged.
                return Err(StoreError::Segment(fault));
            }
            self.stalled(&mut is_stalled, true);
            if self.wait_for_space(is_reserved).await == Waited::Stopped {
                return Ok(None);
            }
        }
    }

    fn stalled(&self, was: &mut bool, is: bool) {
        if *was != is {
            *was = is;
            self.shared.queue().is_stalled = is;
            self.shared.report(if is { Report::NoSpace } else { Report::SpaceAgain });
        }
    }

    /// Takes the spare that was made ahead, or makes one; one that is as small as can be, if the disk is nearly full.
    async fn try_next(&mut self, batch: &Batch) -> Result<Spare, DiskFault> {
        let segment = batch.place().segment;
        if let Some(spare) = self.take_ahead().await {
            if spare.segment != segment || !self.fits(batch, spare.bytes) {
                spare::discard(&self.folder, spare).await;
            } else {
                match self.name(spare).await {
                    Err(fault) if fault.is_full() => {}
                    named => return named,
                }
            }
        }
        match self.make(batch, batch.berth.segment_bytes).await {
            Err(fault) if fault.is_full() => {
                let needed = self.shared.queue().bytes_needed(segment, batch);
                self.make(batch, needed.next_multiple_of(BLOCK)).await
            }
            made => made,
        }
    }

    async fn take_ahead(&mut self) -> Option<Spare> {
        match self.ahead.take() {
            Some(ahead) => Ahead::take(ahead).await,
            None => None,
        }
    }

    async fn make(&self, batch: &Batch, mut bytes: u64) -> Result<Spare, DiskFault> {
        loop {
            let name = segment::spare_name(spare::draw(&*self.seams.entropy));
            let made = spare::make(&self.folder, &self.author, &name, batch.place().segment, bytes).await?;
            if self.fits(batch, made.bytes) {
                return self.name(made).await;
            }
            // More was given out of it meanwhile.
            spare::discard(&self.folder, made).await;
            let needed = self.shared.queue().bytes_needed(batch.place().segment, batch);
            bytes = needed.next_multiple_of(BLOCK);
        }
    }

    /// Whether all that is given out of the batch's segment fits into so many bytes; then no more is given out of it.
    fn fits(&self, batch: &Batch, bytes: u64) -> bool {
        let segment = batch.place().segment;
        let mut queue = self.shared.queue();
        let fits = queue.bytes_needed(segment, batch) <= bytes;
        if fits {
            queue.segment_made(segment, bytes);
        }
        fits
    }

    async fn name(&self, spare: Spare) -> Result<Spare, DiskFault> {
        match spare::name(&self.folder, &spare).await {
            Ok(()) => Ok(spare),
            Err(fault) => {
                spare::discard(&self.folder, spare).await;
                Err(fault)
            }
        }
    }

    /// The name is taken, or the lock is lost, or it is as it looks.
    async fn final_cause(&self, fault: DiskFault, segment: SegmentNo) -> StoreError {
        if fault.error.kind() == io::ErrorKind::AlreadyExists {
            return StoreError::SegmentTaken { file: segment::name(segment) };
        }
        match self.lock.check().await {
            Ok(()) => StoreError::Segment(fault),
            Err(lost) => lost,
        }
    }

    /// Waits for a while; less, if the log is stopped or something is appended for which the reserve is kept.
    async fn wait_for_space(&self, reserve_is_used: bool) -> Waited {
        let until = self.seams.clock.monotonic() + RETRY;
        let mut sleep = self.seams.clock.sleep_until(until);
        poll_fn(|context| {
            {
                let mut queue = self.shared.queue();
                queue.wait_as_writer(context.waker());
                if queue.phase == Phase::Stopping {
                    return Poll::Ready(Waited::Stopped);
                }
                if !reserve_is_used && queue.may_use_reserve() {
                    return Poll::Ready(Waited::LookAgain);
                }
            }
            sleep.as_mut().poll(context).map(|()| Waited::LookAgain)
        })
        .await
    }
}
