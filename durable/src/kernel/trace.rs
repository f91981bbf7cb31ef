//! Trace context as it crosses processes: the `traceparent` of W3C Trace Context (<https://www.w3.org/TR/trace-context/>). A run carries
//! the one that it was started with; its attempts and children carry on the same trace. Nothing here records a span.

use std::fmt;
use std::hash::Hasher;
use std::str::FromStr;

use siphasher::sip::SipHasher24;

use super::id::{Attempt, RunId, Seq};

/// Where in a distributed trace something stands. It displays as a `traceparent` header, and is parsed from one.
///
/// # Examples
/// ```
/// let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let context: durable::kernel::trace::TraceContext = header.parse()?;
/// assert!(context.is_sampled());
/// assert_eq!(context.to_string(), header);
/// # Ok::<(), durable::kernel::trace::NoTraceContext>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace: [u8; 16],
    parent: [u8; 8],
    flags: u8,
}

/// A text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoTraceContext;

impl fmt::Display for NoTraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a `traceparent`: it has the form 00-<32 lower hex digits>-<16 lower hex digits>-<2 lower hex digits>",
        )
    }
}

impl std::error::Error for NoTraceContext {}

impl TraceContext {
    /// How many bytes it takes.
    pub const LEN: usize = 25;

    /// The trace of a run that was started without one: its id is the run's.
    #[must_use]
    pub fn of_run(run: RunId) -> TraceContext {
        TraceContext { trace: run.0, parent: span_of(run, Seq(0), Attempt(0)), flags: 0 }
    }

    /// The same trace, seen from an attempt of a run's call; from its child at attempt 0.
    #[must_use]
    pub fn of_call(self, run: RunId, seq: Seq, attempt: Attempt) -> TraceContext {
        TraceContext { parent: span_of(run, seq, attempt), ..self }
    }

    /// The trace's id.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        u128::from_be_bytes(self.trace)
    }

    /// The id of the span that is the parent of what comes next.
    #[must_use]
    pub fn parent_id(&self) -> u64 {
        u64::from_be_bytes(self.parent)
    }

    /// Whether who began the trace records it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 != 0
    }

    /// As bytes: trace, parent, flags.
    #[must_use]
    pub fn to_bytes(self) -> [u8; TraceContext::LEN] {
        let mut bytes = [0; TraceContext::LEN];
        let parts = self.trace.into_iter().chain(self.parent).chain([self.flags]);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Of what [`to_bytes`](Self::to_bytes) gave.
    #[must_use]
    pub fn of_bytes(bytes: [u8; TraceContext::LEN]) -> TraceContext {
        let (mut trace, mut parent) = ([0; 16], [0; 8]);
        trace.iter_mut().chain(&mut parent).zip(bytes).for_each(|(to, from)| *to = from);
        TraceContext { trace, parent, flags: bytes[TraceContext::LEN - 1] }
    }
}

/// Where an attempt stands in its run's trace, for who asks: few do, and it takes a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptTrace {
    /// What the run was started with, if anything.
    pub of_run: Option<TraceContext>,
    /// The run.
    pub run: RunId,
    /// The call.
    pub seq: Seq,
    /// Which try.
    pub attempt: Attempt,
}

impl AttemptTrace {
    /// The attempt's place.
    #[must_use]
    pub fn context(&self) -> TraceContext {
        self.of_run.unwrap_or_else(|| TraceContext::of_run(self.run)).of_call(self.run, self.seq, self.attempt)
    }
}

impl fmt::Display for AttemptTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.context().fmt(f)
    }
}

/// A span's id, never 0: the same for an attempt whoever asks, and in whichever process.
fn span_of(run: RunId, seq: Seq, attempt: Attempt) -> [u8; 8] {
    let mut hasher = SipHasher24::new_with_key(&run.0);
    hasher.write_u32(seq.0);
    hasher.write_u32(attempt.0);
    hasher.finish().max(1).to_be_bytes()
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id(), self.parent_id(), self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = NoTraceContext;

    /// Reads a header of version 00, and of a later one what version 00 knows of it.
    fn from_str(text: &str) -> Result<TraceContext, NoTraceContext> {
        let mut parts = text.split('-');
        let mut next = |len| parts.next().filter(|part| part.len() == len && is_lower_hex(part)).ok_or(NoTraceContext);
        let (version, trace, parent, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let trace = u128::from_str_radix(trace, 16).map_err(|_| NoTraceContext)?;
        let parent = u64::from_str_radix(parent, 16).map_err(|_| NoTraceContext)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| NoTraceContext)?;
        let goes_on = parts.next().is_some();
        if version == "ff" || trace == 0 || parent == 0 || (version == "00" && goes_on) {
            return Err(NoTraceContext);
        }
        // Only the first bit means something to version 00.
        Ok(TraceContext { trace: trace.to_be_bytes(), parent: parent.to_be_bytes(), flags: flags & 1 })
    }
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_comes_back() {
        let context: TraceContext = HEADER.parse().unwrap();
        assert_eq!(context.to_string(), HEADER);
        assert_eq!(TraceContext::of_bytes(context.to_bytes()), context);
    }

    #[test]
    fn anything_else_is_none() {
        let zero_trace = HEADER.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_parent = HEADER.replace("00f067aa0ba902b7", &"0".repeat(16));
        let others =
            ["", "00", &HEADER.to_uppercase(), &HEADER[..54], &format!("{HEADER}-01"), &zero_trace, &zero_parent];
        for text in others.into_iter().chain([HEADER.replacen("00", "ff", 1).as_str(), &HEADER.replace("4b", "+b")]) {
            assert_eq!(text.parse::<TraceContext>(), Err(NoTraceContext), "{text}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = format!("{}-more", HEADER.replacen("00", "01", 1));
        assert_eq!(later.parse::<TraceContext>().unwrap().to_string(), HEADER);
    }

    #[test]
    fn every_attempt_has_a_span_of_its_own_in_one_trace() {
        let run = RunId([7; 16]);
        let context = TraceContext::of_run(run);
        let first = context.of_call(run, Seq(1), Attempt(1));
        assert_eq!(first, context.of_call(run, Seq(1), Attempt(1)));
        assert_eq!(first.trace_id(), context.trace_id());
        assert_ne!(first.parent_id(), context.of_call(run, Seq(1), Attempt(2)).parent_id());
        assert_ne!(first.parent_id(), context.of_call(run, Seq(2), Attempt(1)).parent_id());
    }
}
