//! Times, counted in buckets that are three percent wide at most, by any number of threads without a lock. What is asked of it is the
//! upper end of a bucket: a percentile is never shown smaller than it was.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// How many buckets there are between a power of two and the next one.
const FINE: u64 = 32;
const FINE_BITS: u32 = FINE.trailing_zeros();
const BUCKETS: usize = (64 - FINE_BITS as usize + 1) * FINE as usize;

/// See the head of the file.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::new()
    }
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Histogram {
        Histogram { buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }

    /// Counts a time.
    pub fn record(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(bucket(ns)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets all times.
    pub fn clear(&self) {
        self.buckets.iter().for_each(|bucket| bucket.store(0, Ordering::Relaxed));
    }

    /// How many times were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// In how many microseconds so great a part of the times lay; not a number if there is none.
    #[must_use]
    pub fn us(&self, part: f64) -> f64 {
        let wanted = (self.count() as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let found = self.buckets.iter().position(|bucket| {
            seen += bucket.load(Ordering::Relaxed);
            seen >= wanted
        });
        found.map_or(f64::NAN, |bucket| upper(bucket as u64) as f64 / 1e3)
    }
}

fn bucket(ns: u64) -> usize {
    if ns < FINE {
        return ns as usize;
    }
    let power = u64::from(ns.ilog2() - FINE_BITS);
    ((power + 1) * FINE + ((ns >> power) - FINE)) as usize
}

/// The longest time of a bucket, in nanoseconds.
fn upper(bucket: u64) -> u64 {
    if bucket < FINE {
        return bucket;
    }
    let power = bucket / FINE - 1;
    let begin = u128::from(bucket % FINE + FINE + 1) << power;
    u64::try_from(begin - 1).unwrap_or(u64::MAX)
}

/// Counts how long a future took from its first poll. In a workflow nothing of that time reaches the code: what is replayed is the same.
pub fn timed<F: Future + Unpin>(future: F, times: &'static Histogram) -> Timed<F> {
    Timed { future, times, begin: None }
}

/// A future whose time is counted, from [`timed`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct Timed<F> {
    future: F,
    times: &'static Histogram,
    begin: Option<Instant>,
}

impl<F: Future + Unpin> Future for Timed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let begin = *self.begin.get_or_insert_with(Instant::now);
        let polled = Pin::new(&mut self.future).poll(context);
        if polled.is_ready() {
            self.times.record(begin.elapsed());
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_three_percent_wide_at_most_and_holds_its_own() {
        for power in 0..63 {
            for ns in [1_u64 << power, (1 << power) + 1, (1 << power) * 2 - 1] {
                let upper = upper(bucket(ns) as u64);
                assert!(upper >= ns && (upper - ns) as f64 <= ns as f64 * 0.032, "{ns}: {upper}");
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
        assert_eq!(upper(bucket(u64::MAX) as u64), u64::MAX);
    }

    #[test]
    fn percentiles_are_those_of_what_was_counted() {
        let times = Histogram::new();
        (1..=100).for_each(|us| times.record(Duration::from_micros(us)));
        for (part, us) in [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0)] {
            let told = times.us(part);
            assert!(told >= us && told <= us * 1.032, "{part}: {told}");
        }
        times.clear();
        assert!(times.us(0.5).is_nan());
    }
}
