//! The real seams: the system's clocks, its randomness, tokio's tasks and threads of our own.

use std::fmt;
use std::io::Read;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::threads;
use crate::kernel::id::Timestamp;
use crate::seams::{Clock, Entropy, Spawn, Task, Work};

/// The system's clocks.
#[derive(Debug)]
pub(crate) struct SystemClock {
    begin: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> SystemClock {
        SystemClock { begin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        Timestamp::from(SystemTime::now())
    }

    fn monotonic(&self) -> Duration {
        self.begin.elapsed()
    }

    fn sleep_until(&self, until: Duration) -> Task {
        let span = until.saturating_sub(self.begin.elapsed());
        Box::pin(tokio::time::sleep(span))
    }
}

/// How many random bytes are asked for at once: so many are given without a break, and a start needs three times sixteen.
const RANDOM_BYTES: usize = 256;

/// The system's randomness, and what names this process. A few bytes are asked for in advance; they are this value's own, so that two
/// runtimes, in one process or in a forked one, never share any.
pub(crate) struct SystemEntropy {
    ahead: Mutex<Ahead>,
}

/// Bytes that nobody was given yet.
struct Ahead {
    bytes: [u8; RANDOM_BYTES],
    left: usize,
    /// The process that asked for them. A forked one asks anew.
    pid: u32,
}

impl SystemEntropy {
    pub(crate) fn new() -> SystemEntropy {
        SystemEntropy { ahead: Mutex::new(Ahead { bytes: [0; RANDOM_BYTES], left: 0, pid: std::process::id() }) }
    }
}

impl fmt::Debug for SystemEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemEntropy")
    }
}

impl Ahead {
    /// Gives bytes that were asked for in advance, and forgets them.
    fn take(&mut self, bytes: &mut [u8], pid: u32) {
        if self.left < bytes.len() || self.pid != pid {
            fill_from_system(&mut self.bytes);
            (self.left, self.pid) = (RANDOM_BYTES, pid);
        }
        let begin = self.left - bytes.len();
        for (to, from) in bytes.iter_mut().zip(self.bytes.iter_mut().skip(begin)) {
            *to = std::mem::take(from);
        }
        self.left = begin;
    }
}

fn fill_from_system(bytes: &mut [u8]) {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(more) => filled += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("the system gives no randomness: {error}"),
        }
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > RANDOM_BYTES {
            return fill_from_system(bytes);
        }
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner).take(bytes, self.pid());
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn host(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    fn boot_id(&self) -> [u8; 16] {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let digits: Vec<u8> = text.bytes().filter_map(|c| char::from(c).to_digit(16)).map(|d| d as u8).collect();
        let mut id = [0; 16];
        id.iter_mut()
            .zip(digits.chunks_exact(2))
            .for_each(|(byte, pair)| *byte = pair.iter().fold(0, |b, d| b << 4 | d));
        id
    }

    fn build_id(&self) -> String {
        static BUILD: OnceLock<String> = OnceLock::new();
        BUILD.get_or_init(hash_of_executable).clone()
    }
}

/// The checksum and the length of the running executable; the crate's version where it cannot be read.
fn hash_of_executable() -> String {
    let mut hasher = crc32fast::Hasher::new();
    let mut length: u64 = 0;
    let hashed = std::env::current_exe().and_then(std::fs::File::open).and_then(|mut file| {
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
            length += read as u64;
        }
    });
    match hashed {
        Ok(()) => format!("{:08x}-{length:x}", hasher.finalize()),
        Err(_) => format!("durable-{}", env!("CARGO_PKG_VERSION")),
    }
}

/// How many drivers there are at most, unless told otherwise: the one writer of the log has more than enough of so many.
const DRIVERS_MAX: usize = 4;

/// Tokio's tasks, and threads of our own for what blocks.
pub(crate) struct TokioSpawn {
    handle: Handle,
}

impl TokioSpawn {
    pub(crate) fn new(handle: Handle) -> TokioSpawn {
        TokioSpawn { handle }
    }
}

impl fmt::Debug for TokioSpawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokioSpawn")
    }
}

impl Spawn for TokioSpawn {
    fn task(&self, task: Task) {
        self.handle.spawn(task);
    }

    fn blocking(&self, name: &str, task: Task) {
        // One that cannot be started was told of, and is missed where its task was to do something.
        let _is_started = threads::is_started(name, &self.handle, move |_| block_on(task));
    }

    fn engine(&self, writer: Task, drivers: Vec<Task>) {
        if self.handle.runtime_flavor() == RuntimeFlavor::CurrentThread {
            // Whoever chose one thread for everything has the runs there too.
            let _is_started = threads::is_started("durable-log", &self.handle, move |_| {
                block_on_with(writer, threads::awake());
            });
            return drivers.into_iter().for_each(|driver| self.task(driver));
        }
        threads::start(&self.handle, writer, drivers);
    }

    fn drivers(&self) -> usize {
        match self.handle.runtime_flavor() {
            RuntimeFlavor::CurrentThread => 1,
            _ => std::thread::available_parallelism().map_or(1, |processors| processors.get().min(DRIVERS_MAX)),
        }
    }

    fn both(&self, one: &mut (dyn FnMut() + Send), other: &mut (dyn FnMut() + Send)) {
        threads::both(one, other);
    }

    fn pool(&self, work: Work) {
        self.handle.spawn_blocking(work);
    }

    fn wait(&self, task: Task) {
        threads::wait(task);
    }
}

/// Wakes a thread that sleeps, or is about to.
struct Alarm {
    thread: Thread,
    rang: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.rang.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future on this thread, which sleeps while the future waits.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    block_on_with(future, Duration::ZERO)
}

/// The same, and the thread sleeps only when the future has waited for so long.
fn block_on_with<F: Future>(future: F, awake: Duration) -> F::Output {
    let alarm = Arc::new(Alarm { thread: std::thread::current(), rang: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        threads::stay_awake(awake, || alarm.rang.load(Ordering::Acquire));
        while !alarm.rang.swap(false, Ordering::AcqRel) {
            std::thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_random_byte_is_given_twice() {
        let entropy = SystemEntropy::new();
        let mut drawn = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes);
            assert!(bytes != [0; 16] && drawn.insert(bytes));
        }
        let mut long = [0; RANDOM_BYTES + 1];
        entropy.fill(&mut long);
        assert!(long.iter().filter(|byte| **byte == 0).count() < 30);
    }

    #[test]
    fn a_forked_process_asks_for_bytes_of_its_own() {
        let mut ahead = Ahead { bytes: [7; RANDOM_BYTES], left: RANDOM_BYTES, pid: 1 };
        let (mut parents, mut childs) = ([0; 16], [0; 16]);
        ahead.take(&mut parents, 1);
        ahead.take(&mut childs, 2);
        assert_eq!((parents, ahead.left), ([7; 16], RANDOM_BYTES - 16));
        assert_ne!(childs, [7; 16]);
    }

    #[test]
    fn a_task_that_may_block_can_wait_for_the_clock() {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        tokio.block_on(async {
            let clock = SystemClock::new();
            let (done, waited) = tokio::sync::oneshot::channel();
            let spawn = TokioSpawn::new(Handle::current());
            let task = async move {
                clock.sleep_until(clock.monotonic() + Duration::from_millis(1)).await;
                done.send(()).unwrap();
            };
            spawn.blocking("waits", Box::pin(task));
            waited.await.expect("because the log's writer waits so for space");
        });
    }
}
