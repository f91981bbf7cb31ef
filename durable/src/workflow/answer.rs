//! How a body's `Result` is recorded and comes back: its error as itself, where that can be recorded, else as a
//! [`Failure`]. Which of the two is decided by what the error type implements, at compile time, so that aliases are seen
//! through.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Failure, IntoFailure, RetryHint, Retryable, TEXT_LEN_MAX};
use crate::kernel::event::{Payload, Text};
use crate::payload::{self, PayloadCodec, PayloadError};

/// The error comes back as itself.
pub const TYPED: u8 = 0;
/// The error comes back as a [`Failure`].
pub const FAILURE: u8 = 1;
/// There is no error.
pub const NEVER: u8 = 2;

const CONVERTS: u8 = 1;
const ERROR: u8 = 2;
const INFALLIBLE: u8 = 4;
const OWN: u8 = 8;

/// Asks what the error of a `Result` implements: each constant here stands before the one of [`ProbeDefault`] of the same
/// name where its bound holds.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<R>);

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> Probe<Result<T, E>> {
    /// It converts into a box.
    pub const CONVERTS: u8 = CONVERTS;
}

impl<T, E: StdError> Probe<Result<T, E>> {
    /// It is an error itself.
    pub const ERROR: u8 = ERROR;
}

impl<T> Probe<Result<T, Infallible>> {
    /// There is none.
    pub const INFALLIBLE: u8 = INFALLIBLE;
}

impl<T> Probe<Result<T, crate::Error>> {
    /// It is the crate's own.
    pub const OWN: u8 = OWN;
}

/// The answers of [`Probe`] where the bound does not hold.
pub trait ProbeDefault {
    /// It does not convert into a box.
    const CONVERTS: u8 = 0;
    /// It is no error.
    const ERROR: u8 = 0;
    /// There is one.
    const INFALLIBLE: u8 = 0;
    /// It is not the crate's own.
    const OWN: u8 = 0;
}

impl<R> ProbeDefault for Probe<R> {}

/// How the error comes back, from the answers of [`Probe`].
#[must_use]
pub const fn mode(answers: u8) -> u8 {
    match answers {
        _ if answers & INFALLIBLE != 0 => NEVER,
        _ if answers & OWN != 0 => FAILURE,
        _ if answers & CONVERTS != 0 && answers & ERROR == 0 => FAILURE,
        _ => TYPED,
    }
}

/// What an error says about itself, asked where its type is known.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// What it displays as, if it can.
    pub text: Option<Text>,
    /// What it says about another attempt.
    pub retry: RetryHint,
}

/// Asks an error: each method here stands before the one of [`AskDefault`] of the same name where its bound holds.
#[derive(Debug)]
pub struct Ask<'a, E>(pub &'a E);

impl<E: fmt::Display> Ask<'_, E> {
    /// What it displays as.
    #[must_use]
    pub fn text(&self) -> Option<Text> {
        Some(display(self.0))
    }
}

impl<E: Retryable> Ask<'_, E> {
    /// What it says about another attempt.
    #[must_use]
    pub fn retry(&self) -> RetryHint {
        self.0.retry()
    }
}

/// The answers of [`Ask`] where the bound does not hold.
pub trait AskDefault {
    /// It has no text.
    fn text(&self) -> Option<Text> {
        None
    }

    /// Try again.
    fn retry(&self) -> RetryHint {
        RetryHint::Yes
    }
}

impl<E> AskDefault for Ask<'_, E> {}

/// A value that can be recorded and comes back as itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded",
    label = "not `Serialize + Deserialize`",
    note = "derive `Serialize` and `Deserialize` for it",
    note = "for an error, or return `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `String` or `durable::Result<T>`: it \
            then comes back as a `durable::Failure`"
)]
pub trait Recordable: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Recordable for T {}

/// What a workflow or an activity returns, taken apart: a `Result`, whose error comes back as `MODE` says.
#[diagnostic::on_unimplemented(
    message = "a workflow or an activity cannot return `{Self}`",
    label = "not a `Result`",
    note = "return `Result<T, E>`, where `T` is `Serialize + Deserialize`, and `E` is too or converts into \
            `Box<dyn Error + Send + Sync>`; `durable::Result<T>` takes every error by `?`"
)]
pub trait Returned<const MODE: u8> {
    /// The value.
    type Output;
    /// The error as it comes back.
    type Error;
    /// The error as the body returns it.
    type Written;
}

#[cfg(not(rust_analyzer))]
#[diagnostic::do_not_recommend]
impl<T, E> Returned<TYPED> for Result<T, E> {
    type Output = T;
    type Error = E;
    type Written = E;
}

#[cfg(not(rust_analyzer))]
#[diagnostic::do_not_recommend]
impl<T, E> Returned<FAILURE> for Result<T, E> {
    type Output = T;
    type Error = Failure;
    type Written = E;
}

#[cfg(not(rust_analyzer))]
#[diagnostic::do_not_recommend]
impl<T> Returned<NEVER> for Result<T, Infallible> {
    type Output = T;
    type Error = Infallible;
    type Written = Infallible;
}

/// What is recorded of a result: the value, or the error.
pub(crate) type Recorded = Result<Payload, RecordedError>;

/// An error as it is recorded.
#[derive(Debug)]
pub struct RecordedError {
    /// The error.
    pub error: Payload,
    /// Its text, for operators.
    pub text: Text,
    /// What it says about another attempt.
    pub retry: RetryHint,
}

/// How an error comes back, as a type.
#[derive(Debug)]
pub enum Mode<const MODE: u8> {}

/// How a result `R` is recorded, and comes back as a value `T` or an error `E`; the body returns the error as `W`.
pub trait Answer<R, T, E, W> {
    /// What is recorded. `told` asks the error.
    fn record(returned: R, told: impl FnOnce(&W) -> Told, codec: PayloadCodec) -> Result<Recorded, PayloadError>;
    /// The value that was recorded.
    fn value(value: &Payload) -> Result<T, PayloadError>;
    /// The error that was recorded.
    fn error(error: &Payload) -> Result<E, PayloadError>;
}

impl<T: Recordable, E: Recordable> Answer<Result<T, E>, T, E, E> for Mode<TYPED> {
    fn record(
        returned: Result<T, E>,
        told: impl FnOnce(&E) -> Told,
        codec: PayloadCodec,
    ) -> Result<Recorded, PayloadError> {
        let error = match returned {
            Ok(value) => return payload::encode(codec, &value).map(Ok),
            Err(error) => error,
        };
        let Told { text, retry } = told(&error);
        let text = text.unwrap_or_else(|| as_json(&error));
        Ok(Err(RecordedError { error: payload::encode(codec, &error)?, text, retry }))
    }

    fn value(value: &Payload) -> Result<T, PayloadError> {
        payload::decode(value)
    }

    fn error(error: &Payload) -> Result<E, PayloadError> {
        payload::decode(error)
    }
}

impl<T: Recordable, E: IntoFailure> Answer<Result<T, E>, T, Failure, E> for Mode<FAILURE> {
    fn record(
        returned: Result<T, E>,
        told: impl FnOnce(&E) -> Told,
        codec: PayloadCodec,
    ) -> Result<Recorded, PayloadError> {
        let error = match returned {
            Ok(value) => return payload::encode(codec, &value).map(Ok),
            Err(error) => error,
        };
        let told = told(&error).retry;
        let (failure, retry) = error.into_failure();
        let retry = if retry == RetryHint::Yes { told } else { retry };
        Ok(Err(RecordedError { error: payload::encode(codec, &failure)?, text: failure.message().into(), retry }))
    }

    fn value(value: &Payload) -> Result<T, PayloadError> {
        payload::decode(value)
    }

    fn error(error: &Payload) -> Result<Failure, PayloadError> {
        payload::decode(error)
    }
}

impl<T: Recordable> Answer<Result<T, Infallible>, T, Infallible, Infallible> for Mode<NEVER> {
    fn record(
        returned: Result<T, Infallible>,
        _: impl FnOnce(&Infallible) -> Told,
        codec: PayloadCodec,
    ) -> Result<Recorded, PayloadError> {
        let Ok(value) = returned;
        payload::encode(codec, &value).map(Ok)
    }

    fn value(value: &Payload) -> Result<T, PayloadError> {
        payload::decode(value)
    }

    fn error(error: &Payload) -> Result<Infallible, PayloadError> {
        payload::decode::<NoError>(error).map(|none| match none {})
    }
}

/// Decodes from nothing.
#[derive(serde::Deserialize)]
enum NoError {}

/// What the value displays as, cut.
pub(crate) fn display(value: &impl fmt::Display) -> Text {
    Text::cut(&value.to_string(), TEXT_LEN_MAX)
}

fn as_json(value: &impl Serialize) -> Text {
    let json = serde_json::to_string(value);
    Text::cut(json.as_deref().unwrap_or("an error without text"), TEXT_LEN_MAX)
}
