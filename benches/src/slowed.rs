//! How slow the processors were while something was measured. On a virtual machine a neighbour on the same physical core makes every
//! instruction take up to twice as long, and no accounting of this system shows it. So a thread does the same small piece of arithmetic
//! every twelve milliseconds and takes its own processor time for it, in which waiting for a processor does not count; what that is over
//! the least time that it ever took in this process says how slow a processor was. A piece must never wait, nor touch memory: it would
//! say something else. A machine that is disturbed all the time looks as if nobody disturbed it.

use std::hint::black_box;
use std::io;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long the thread rests between two pieces.
const REST: Duration = Duration::from_millis(12);

/// How many rounds a piece has: 14 µs of a processor of 3.5 GHz that nobody disturbs. With 30 µs to wake and to rest again that is less than
/// half a percent of one.
const ROUNDS: u64 = 12_000;

/// For how long pieces are done one behind the other before the first watch of a process. In a fifth of a second a machine whose
/// neighbours come and go was seldom found at its best; in a second it mostly was, or within a tenth of that.
const CALIBRATION: Duration = Duration::from_secs(1);

/// The least time of a piece in this process, in nanoseconds.
static FASTEST_NS: AtomicU64 = AtomicU64::new(u64::MAX);

/// A thread that watches until this is ended or dropped.
#[derive(Debug)]
pub struct Watch {
    stop: Sender<()>,
    thread: Option<JoinHandle<Vec<Duration>>>,
}

impl Watch {
    /// Begins now; the first one of a process does what [`calibrate`] does before that.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn begin() -> io::Result<Watch> {
        calibrate();
        let (stop, stopped) = mpsc::channel();
        let thread = Builder::new().name("slowed".to_owned()).spawn(move || watch(&stopped))?;
        Ok(Watch { stop, thread: Some(thread) })
    }

    /// Ends, and gives how slow the processors were: 1 is undisturbed, 1.5 took half as long again for the same instructions.
    #[must_use]
    pub fn end(mut self) -> f64 {
        let times = self.stop();
        mean_ratio(&times, Duration::from_nanos(FASTEST_NS.load(Ordering::Relaxed)))
    }

    /// What each piece took; one at least, the first time that this is called.
    fn stop(&mut self) -> Vec<Duration> {
        let _has_ended = self.stop.send(());
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Learns how fast a piece can be, which takes a second; once in a process, and nothing when it has been done.
pub fn calibrate() {
    static CALIBRATED: Once = Once::new();
    CALIBRATED.call_once(|| {
        let begin = Instant::now();
        while begin.elapsed() < CALIBRATION {
            sample();
        }
    });
}

fn watch(stopped: &Receiver<()>) -> Vec<Duration> {
    let mut times = vec![sample()];
    while stopped.recv_timeout(REST) == Err(RecvTimeoutError::Timeout) {
        times.push(sample());
    }
    times
}

/// Does a piece; gives its time on the processor.
fn sample() -> Duration {
    let (before, begin) = (thread_cpu(), Instant::now());
    piece();
    let elapsed = begin.elapsed();
    let time = thread_cpu().saturating_sub(before);
    // Now and then the system counts too little for a thread, by up to two fifths; the other clock does not, and it cannot show less than the
    // processor took.
    let no_less = u64::try_from(time.max(elapsed).as_nanos()).unwrap_or(u64::MAX);
    FASTEST_NS.fetch_min(no_less, Ordering::Relaxed);
    time
}

/// Of this thread. The clock never fails on a system that has it, and gives nothing below zero.
fn thread_cpu() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// Six chains of which none waits for another: they fill a core, so that a neighbour who wants his part of it is felt. A single chain
/// mostly waits for itself and would show a fifth of that and less. All turn by other counts, as equal ones would become vectors.
fn piece() {
    let [mut a, mut b, mut c, mut d, mut e, mut f] = black_box([1_u64, 2, 3, 4, 5, 6]);
    for round in 0..ROUNDS {
        a = (a ^ round).rotate_left(5);
        b = b.wrapping_add(round).rotate_left(7);
        c = (c ^ round).rotate_left(11);
        d = d.wrapping_add(round).rotate_left(13);
        e = (e ^ round).rotate_left(17);
        f = f.wrapping_add(round).rotate_left(19);
    }
    black_box([a, b, c, d, e, f]);
}

/// The mean of the times over the fastest, none of them below 1; not a number if there is none.
fn mean_ratio(times: &[Duration], fastest: Duration) -> f64 {
    let ratios = times.iter().map(|time| (time.as_secs_f64() / fastest.as_secs_f64()).max(1.0));
    ratios.sum::<f64>() / times.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros<const N: usize>(times: [u64; N]) -> [Duration; N] {
        times.map(Duration::from_micros)
    }

    #[test]
    fn slowed_is_the_mean_of_what_each_piece_took_over_the_fastest() {
        let [fastest] = micros([20]);
        assert_eq!(mean_ratio(&micros([20, 20]), fastest), 1.0);
        assert_eq!(mean_ratio(&micros([20, 30, 40, 50]), fastest), 1.75);
        assert!(mean_ratio(&[], fastest).is_nan());
    }

    #[test]
    fn a_piece_for_which_too_little_was_counted_makes_no_other_look_faster() {
        let [fastest] = micros([20]);
        assert_eq!(mean_ratio(&micros([10, 40]), fastest), 1.5);
    }

    #[test]
    fn a_watch_that_ends_at_once_has_a_piece() {
        let mut watch = Watch::begin().expect("a thread starts");
        let times = watch.stop();
        assert!(!times.is_empty() && times.iter().all(|time| *time > Duration::ZERO), "{times:?}");
        assert!(Watch::begin().expect("a thread starts").end() >= 1.0);
    }

    #[test]
    fn no_thread_is_left_of_a_watch_that_is_dropped() {
        let watch = Watch::begin().expect("a thread starts");
        let stop = watch.stop.clone();
        drop(watch);
        assert!(stop.send(()).is_err(), "the thread still listens");
    }
}
