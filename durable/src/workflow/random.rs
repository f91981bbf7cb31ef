//! Randomness that every replay repeats. A draw depends on the run's seed, on how many events the run has seen, and on how many
//! draws came since the last one, so that an added draw moves only its neighbours.

use uuid::Uuid;

use super::context::in_run;

/// A type that [`random`] can draw.
pub trait Random: sealed::Sealed {
    #[doc(hidden)]
    fn draw(next: &mut dyn FnMut() -> u64) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! whole {
    ($($t:ty),*) => {$(
        impl sealed::Sealed for $t {}
        impl Random for $t {
            #[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "all bits of a draw are random")]
            fn draw(next: &mut dyn FnMut() -> u64) -> $t {
                next() as $t
            }
        }
    )*};
}
whole!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

impl sealed::Sealed for u128 {}
impl Random for u128 {
    fn draw(next: &mut dyn FnMut() -> u64) -> u128 {
        u128::from(next()) << 64 | u128::from(next())
    }
}

impl sealed::Sealed for bool {}
impl Random for bool {
    fn draw(next: &mut dyn FnMut() -> u64) -> bool {
        next() & 1 == 1
    }
}

impl sealed::Sealed for f64 {}
impl Random for f64 {
    #[allow(clippy::cast_precision_loss, reason = "53 bits are all that fits")]
    fn draw(next: &mut dyn FnMut() -> u64) -> f64 {
        (next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A random value, the same at every replay: a number over its whole range, an `f64` in `0.0..1.0`.
///
/// # Panics
/// Outside a workflow run.
///
/// # Journal
/// Records nothing. A value that leaves the process (an order number, a token) should be drawn in a step: there it survives a
/// change of the code around it.
#[must_use]
#[track_caller]
pub fn random<T: Random>() -> T {
    in_run("random", |machine| T::draw(&mut || machine.draw()))
}

/// A random UUID (version 4), the same at every replay.
///
/// # Panics
/// Outside a workflow run.
///
/// # Journal
/// Records nothing; see [`random`].
#[must_use]
#[track_caller]
pub fn uuid() -> Uuid {
    let bits: u128 = in_run("uuid", |machine| u128::draw(&mut || machine.draw()));
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}
