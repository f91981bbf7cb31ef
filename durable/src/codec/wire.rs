//! The bodies of events as they are written: bincode 2 in its standard configuration (little endian, numbers of variable
//! length). These types are apart from the kernel's, so that a change there never changes a byte here; `event.rs` carries
//! values over. Field order, variant order and types are the format: a change of one is a new version of the event.
//!
//! A point in time is written as its distance in microseconds to the section's `at`, wrapping. A digest is eight bytes,
//! little endian. What is borrowed from the input is not copied here.

use bincode::de::{BorrowDecode, BorrowDecoder, Decode};
use bincode::enc::Encoder;
use bincode::error::{DecodeError as BodyError, EncodeError};
use bincode::{BorrowDecode as DeriveBorrowDecode, Decode as DeriveDecode, Encode};

use super::DecodeError;
use super::names::LIMIT;

/// The longest body that is read: no group, and so no event, is longer.
pub(super) const BODY_MAX: usize = 16 << 20;

/// The longest body of a run in the tables: what waits in a run adds up over many groups.
pub(super) const RUN_MAX: usize = 256 << 20;

/// What bincode may claim for one body: a byte of the input claims eight at most (a number of 64 bits).
const CLAIM_MAX: usize = 8 * RUN_MAX;

/// How many names the run's table holds when the body is read; counts those that the body adds.
pub(super) struct Known(pub(super) u32);

pub(super) type Digest = [u8; 8];
pub(super) type Span = i64;

/// Appends a body.
pub(super) fn put<T: Encode>(body: &T, out: &mut Vec<u8>) {
    let done = bincode::encode_into_std_write(body, out, bincode::config::standard());
    done.expect("because writing to memory cannot fail and no wire type refuses to be written");
}

/// Reads a body of an event, all of it.
pub(super) fn read<'a, T: BorrowDecode<'a, Known>>(body: &'a [u8], known: u32) -> Result<T, DecodeError> {
    read_within(BODY_MAX, body, known)
}

/// Reads a body of at most `limit` bytes, all of it.
pub(super) fn read_within<'a, T>(limit: usize, body: &'a [u8], known: u32) -> Result<T, DecodeError>
where
    T: BorrowDecode<'a, Known>,
{
    let mut body = Body::within(limit, body)?;
    let value = body.take(known)?;
    body.end()?;
    Ok(value)
}

/// A body that is read piece by piece, all of it.
pub(super) struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    /// The body of an event.
    pub(super) fn new(body: &'a [u8]) -> Result<Body<'a>, DecodeError> {
        Body::within(BODY_MAX, body)
    }

    fn within(limit: usize, body: &'a [u8]) -> Result<Body<'a>, DecodeError> {
        match body.len() <= limit {
            true => Ok(Body(body)),
            false => Err(DecodeError::TooLong { len: body.len() as u64, limit: limit as u64 }),
        }
    }

    /// Takes a value off its front.
    pub(super) fn take<T: BorrowDecode<'a, Known>>(&mut self, known: u32) -> Result<T, DecodeError> {
        let config = bincode::config::standard().with_limit::<CLAIM_MAX>();
        let (value, used) =
            bincode::borrow_decode_from_slice_with_context(self.0, config, Known(known)).map_err(why)?;
        self.0 = self.0.get(used..).unwrap_or_default();
        Ok(value)
    }

    /// Says that nothing is left.
    pub(super) fn end(self) -> Result<(), DecodeError> {
        match self.0.len() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left: left as u64 }),
        }
    }
}

fn why(error: BodyError) -> DecodeError {
    match error {
        BodyError::UnexpectedEnd { additional } => DecodeError::Ended { missing: additional as u64 },
        BodyError::LimitExceeded => DecodeError::Value { rule: "a length stays below the limit" },
        BodyError::UnexpectedVariant { type_name, found, .. } => DecodeError::Choice { of: type_name, found },
        BodyError::InvalidBooleanValue(found) => DecodeError::Choice { of: "bool", found: found.into() },
        BodyError::Utf8 { .. } => DecodeError::Utf8,
        BodyError::OutsideUsizeRange(len) => DecodeError::TooLong { len, limit: usize::MAX as u64 },
        BodyError::Other(rule) => DecodeError::Value { rule },
        _ => DecodeError::Number,
    }
}

/// As bincode's own `Vec`: a count, then the items. It grows with the items that are there, never by the count. Most hold one.
pub(super) struct List<T>(pub(super) Vec<T>);

impl<T: Encode> Encode for List<T> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        self.0.iter().try_for_each(|item| item.encode(encoder))
    }
}

impl<'de, C, T: BorrowDecode<'de, C>> BorrowDecode<'de, C> for List<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, BodyError> {
        let count = u64::decode(decoder)?;
        let mut items = Vec::with_capacity(usize::from(count > 0));
        for _ in 0..count {
            items.push(T::borrow_decode(decoder)?);
        }
        Ok(List(items))
    }
}

/// A name: its number if the table holds it, else the table's length, the text, and what belongs to it.
pub(super) enum Named<'a, S> {
    Number(u32),
    InFull { index: u32, text: &'a str, shape: S },
}

impl<S: Encode> Encode for Named<'_, S> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Named::Number(index) => index.encode(encoder),
            Named::InFull { index, text, shape } => {
                index.encode(encoder)?;
                text.encode(encoder)?;
                shape.encode(encoder)
            }
        }
    }
}

impl<'de, S: Decode<Known>> BorrowDecode<'de, Known> for Named<'de, S> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Known>>(decoder: &mut D) -> Result<Self, BodyError> {
        let index = u32::decode(decoder)?;
        let known = decoder.context();
        if index != known.0 {
            return Ok(Named::Number(index));
        }
        known.0 = (index + 1).min(LIMIT);
        let text = <&str>::borrow_decode(decoder)?;
        let shape = S::decode(decoder)?;
        Ok(Named::InFull { index, text, shape })
    }
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct RunStarted<'a> {
    pub(super) run: [u8; 16],
    pub(super) namespace: &'a str,
    pub(super) id: &'a str,
    pub(super) workflow: &'a str,
    pub(super) version: u32,
    pub(super) input: &'a [u8],
    pub(super) value: Digest,
    pub(super) shape: Digest,
    pub(super) trace: Option<[u8; 25]>,
    pub(super) headers: List<(&'a str, &'a [u8])>,
    pub(super) build: &'a str,
    pub(super) semantics: u16,
    pub(super) deadline: Option<Span>,
    pub(super) attributes: List<(&'a str, &'a [u8])>,
    pub(super) parent: Option<(u64, u32)>,
    pub(super) seed: [u8; 16],
    pub(super) salt: [u8; 16],
    pub(super) queue: &'a str,
    pub(super) priority: i32,
    pub(super) message: &'a str,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) enum Entry<'a> {
    ActivityScheduled(ActivityScheduled<'a>),
    TimerStarted { seq: u32, due: Span },
    SignalAwaited { seq: u32, name: Named<'a, ()> },
    SignalSent { seq: u32, to: &'a str, name: Named<'a, ()>, value: Digest },
    ChildScheduled(ChildScheduled<'a>),
    CompensationRegistered { seq: u32, name: &'a str, scope: u32 },
    ScopeOpened { scope: u32, parent: u32 },
    ScopeClosed { scope: u32 },
    CommandDropped { seq: u32 },
    SignalTaken { seq: u32 },
}

pub(super) struct ActivityScheduled<'a> {
    pub(super) seq: u32,
    pub(super) name: Named<'a, Digest>,
    pub(super) value: Digest,
    pub(super) at_most_once: bool,
    pub(super) by_token: bool,
    pub(super) undo: bool,
    pub(super) undo_unknown: bool,
    pub(super) waits: bool,
    pub(super) queue: Option<&'a str>,
    pub(super) deadline: Option<Span>,
    pub(super) undoes: Option<u32>,
    pub(super) input: Option<&'a [u8]>,
}

/// Which of an activity's options are set, and which of the optional fields follow, as the bits of a number.
const AT_MOST_ONCE: u16 = 1;
const BY_TOKEN: u16 = 1 << 1;
const UNDO: u16 = 1 << 2;
const UNDO_UNKNOWN: u16 = 1 << 3;
const QUEUE: u16 = 1 << 4;
const DEADLINE: u16 = 1 << 5;
const UNDOES: u16 = 1 << 6;
const INPUT: u16 = 1 << 7;
const WAITS: u16 = 1 << 8;
const ALL_BITS: u16 = (WAITS << 1) - 1;

impl ActivityScheduled<'_> {
    fn bits(&self) -> u16 {
        let set = [
            (self.at_most_once, AT_MOST_ONCE),
            (self.by_token, BY_TOKEN),
            (self.undo, UNDO),
            (self.undo_unknown, UNDO_UNKNOWN),
            (self.queue.is_some(), QUEUE),
            (self.deadline.is_some(), DEADLINE),
            (self.undoes.is_some(), UNDOES),
            (self.input.is_some(), INPUT),
            (self.waits, WAITS),
        ];
        set.into_iter().filter(|(is_set, _)| *is_set).fold(0, |bits, (_, bit)| bits | bit)
    }
}

impl Encode for ActivityScheduled<'_> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.seq.encode(encoder)?;
        self.name.encode(encoder)?;
        self.value.encode(encoder)?;
        self.bits().encode(encoder)?;
        self.queue.iter().try_for_each(|queue| queue.encode(encoder))?;
        self.deadline.iter().try_for_each(|deadline| deadline.encode(encoder))?;
        self.undoes.iter().try_for_each(|undoes| undoes.encode(encoder))?;
        self.input.iter().try_for_each(|input| input.encode(encoder))
    }
}

impl<'de> BorrowDecode<'de, Known> for ActivityScheduled<'de> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Known>>(decoder: &mut D) -> Result<Self, BodyError> {
        let seq = u32::decode(decoder)?;
        let name = Named::borrow_decode(decoder)?;
        let value = Digest::decode(decoder)?;
        let bits = u16::decode(decoder)?;
        if bits & !ALL_BITS != 0 {
            return Err(BodyError::Other("a call has no options but those that are known"));
        }
        let is_set = |bit| bits & bit != 0;
        Ok(ActivityScheduled {
            seq,
            name,
            value,
            at_most_once: is_set(AT_MOST_ONCE),
            by_token: is_set(BY_TOKEN),
            undo: is_set(UNDO),
            undo_unknown: is_set(UNDO_UNKNOWN),
            waits: is_set(WAITS),
            queue: is_set(QUEUE).then(|| <&str>::borrow_decode(decoder)).transpose()?,
            deadline: is_set(DEADLINE).then(|| Span::decode(decoder)).transpose()?,
            undoes: is_set(UNDOES).then(|| u32::decode(decoder)).transpose()?,
            input: is_set(INPUT).then(|| <&[u8]>::borrow_decode(decoder)).transpose()?,
        })
    }
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct ChildScheduled<'a> {
    pub(super) seq: u32,
    pub(super) workflow: Named<'a, Digest>,
    pub(super) child: u64,
    pub(super) id: &'a str,
    pub(super) value: Digest,
    pub(super) close: ClosePolicy,
}

#[derive(Encode, DeriveDecode)]
pub(super) struct AttemptStarted {
    pub(super) seq: u32,
    pub(super) attempt: u32,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct AttemptFailed<'a> {
    pub(super) seq: u32,
    pub(super) attempt: u32,
    pub(super) began: Span,
    pub(super) cause: Cause<'a>,
    pub(super) due: Span,
    pub(super) maybe: bool,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) enum Cause<'a> {
    Error { error: &'a [u8], text: &'a str },
    TimedOut,
    Panicked(&'a str),
    Interrupted,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct ActivityCompleted<'a> {
    pub(super) seq: u32,
    pub(super) attempt: u32,
    pub(super) began: Span,
    pub(super) result: &'a [u8],
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct ActivityFailed<'a> {
    pub(super) seq: u32,
    pub(super) attempt: u32,
    pub(super) began: Span,
    /// How many attempts there were, if the caller gets `Exhausted`; `error` is then why the last one failed.
    pub(super) exhausted: Option<u32>,
    pub(super) error: Failure<'a>,
    pub(super) maybe: bool,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) enum Failure<'a> {
    App { error: &'a [u8], text: &'a str },
    TimedOut(Which),
    Cancelled,
    Interrupted,
    Panicked(&'a str),
}

#[derive(Encode, DeriveDecode)]
pub(super) struct TimerFired {
    pub(super) seq: u32,
    pub(super) at: Span,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct SignalReceived<'a> {
    pub(super) name: &'a str,
    pub(super) payload: &'a [u8],
    pub(super) sender: Sender<'a>,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) enum Sender<'a> {
    Anonymous,
    Message(&'a str),
    Run([u8; 16], u32),
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct ChildEnded<'a> {
    pub(super) seq: u32,
    pub(super) how: End,
    pub(super) body: End,
    pub(super) result: &'a [u8],
    pub(super) undone: Undone<'a>,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct CancelRequested<'a> {
    pub(super) scope: u32,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

#[derive(Encode, DeriveDecode)]
pub(super) struct RunTimedOut {
    pub(super) at: Span,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct CompensationStarted<'a> {
    pub(super) cause: End,
    pub(super) result: &'a [u8],
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct RunEnded<'a> {
    pub(super) how: End,
    pub(super) body: End,
    pub(super) result: &'a [u8],
    pub(super) undone: Undone<'a>,
    pub(super) actor: &'a str,
    pub(super) reason: &'a str,
}

/// Calls by seq and name: undone, not undone, unknown.
#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct Undone<'a> {
    pub(super) undone: List<(u32, &'a str)>,
    pub(super) not_undone: List<(u32, &'a str)>,
    pub(super) unknown: List<(u32, &'a str)>,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct BuildChanged<'a> {
    pub(super) build: &'a str,
}

/// `RunBlocked` and `RunUnblocked`.
#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct BuildAndReason<'a> {
    pub(super) build: &'a str,
    pub(super) reason: &'a str,
}

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct Opened<'a> {
    pub(super) build: &'a str,
    pub(super) pid: u32,
    pub(super) host: &'a str,
}

#[derive(Encode, DeriveDecode)]
pub(super) struct Closed;

#[derive(Encode, DeriveBorrowDecode)]
#[bincode(decode_context = "Known")]
pub(super) struct Checkpoint<'a> {
    pub(super) part: u32,
    pub(super) of: u32,
    pub(super) tables: &'a [u8],
}

/// Declares a choice without data and how it stands for the kernel's.
macro_rules! choice {
    ($module:ident::$name:ident: $($variant:ident),*) => {
        #[derive(Encode, DeriveDecode, Clone, Copy)]
        pub(super) enum $name { $($variant),* }

        impl From<crate::kernel::$module::$name> for $name {
            fn from(value: crate::kernel::$module::$name) -> Self {
                match value { $(crate::kernel::$module::$name::$variant => Self::$variant),* }
            }
        }

        impl From<$name> for crate::kernel::$module::$name {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),* }
            }
        }
    };
}

choice!(event::End: Completed, Failed, Cancelled, TimedOut, Terminated, CompensationFailed, NotStarted);
choice!(event::ClosePolicy: Cancel, Terminate, Abandon);
choice!(event::Which: StartToClose, ScheduleToClose, ScheduleToStart, Heartbeat);
choice!(undo::UndoState: Open, Stands, Unknown, Undone, NotUndone);
