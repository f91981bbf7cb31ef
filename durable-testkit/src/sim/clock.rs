//! Simulated time: tokio's paused clock, which moves on by itself when nothing else can. The wall clock goes along with it, and
//! can be set.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use durable::kernel::id::Timestamp;
use durable::seams::{Clock, Task};
use tokio::sync::Notify;
use tokio::time::Instant;

/// The clock of a simulated machine, as one of its processes sees it. It works inside a simulation only.
#[derive(Clone)]
pub struct SimClock {
    machine: Instant,
    process: Instant,
    begin: Timestamp,
    wall: Arc<Wall>,
}

#[derive(Debug, Default)]
struct Wall {
    /// By how many microseconds it was set, in all.
    set_by: AtomicI64,
    was_set: Notify,
}

impl fmt::Debug for SimClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimClock(wall {} us, {:?} since it began)", self.wall().0, self.elapsed())
    }
}

impl SimClock {
    pub(super) fn new(begin: Timestamp) -> SimClock {
        let now = Instant::now();
        SimClock { machine: now, process: now, begin, wall: Arc::default() }
    }

    /// The clock of a process that begins now: its monotonic time is zero.
    pub(super) fn of_process(&self) -> SimClock {
        SimClock { process: Instant::now(), ..self.clone() }
    }

    /// How much time has passed on the machine.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.machine.elapsed()
    }

    /// Sets the wall clock forward by so many microseconds, or back. Who waits for a deadline looks at it.
    pub fn set_wall_by(&self, micros: i64) {
        self.wall.set_by.fetch_add(micros, Ordering::Relaxed);
        self.wall.was_set.notify_waiters();
    }
}

impl Clock for SimClock {
    fn wall(&self) -> Timestamp {
        let now = self.begin.after(self.elapsed());
        Timestamp(now.0.saturating_add(self.wall.set_by.load(Ordering::Relaxed)))
    }

    fn monotonic(&self) -> Duration {
        self.process.elapsed()
    }

    fn sleep_until(&self, until: Duration) -> Task {
        let (wall, until) = (Arc::clone(&self.wall), self.process + until);
        Box::pin(async move {
            let was_set = wall.was_set.notified();
            tokio::select! {
                biased;
                () = was_set => {}
                () = tokio::time::sleep_until(until) => {}
            }
        })
    }

    fn looked_at_every(&self) -> Option<Duration> {
        None
    }
}
