//! The real seams: the system's clocks, its randomness, tokio's tasks and one thread of our own.

use std::fmt;
use std::io::Read;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime::Handle;

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

/// The system's randomness, and what names this process.
#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
                Ok(more) => filled += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("the system gives no randomness: {error}"),
            }
        }
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
        // The clock's sleeps are tokio's, on these threads too.
        let handle = self.handle.clone();
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let _inside = handle.enter();
            block_on_awake(task);
        });
        if let Err(error) = spawned {
            tracing::error!(%error, name, "a thread could not be started [E0315]");
        }
    }

    fn pool(&self, work: Work) {
        self.handle.spawn_blocking(work);
    }

    fn wait(&self, task: Task) {
        block_on(task);
    }
}

/// How long a thread stays awake when its future begins to wait. A run that takes one step after the other appends again that soon behind
/// a sync, and a thread that sleeps by then is woken for more than a tenth of what the sync took.
const AWAKE: Duration = Duration::from_micros(50);

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

/// The same, and the thread sleeps only when the future has waited for a while, if there is another processor for what it waits for.
fn block_on_awake<F: Future>(future: F) -> F::Output {
    let is_alone = std::thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
    block_on_with(future, if is_alone { Duration::ZERO } else { AWAKE })
}

fn block_on_with<F: Future>(future: F, awake: Duration) -> F::Output {
    let alarm = Arc::new(Alarm { thread: std::thread::current(), rang: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&alarm));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        let begin = Instant::now();
        while !alarm.rang.load(Ordering::Acquire) && begin.elapsed() < awake {
            // Whoever is to ring may want this processor.
            std::thread::yield_now();
        }
        while !alarm.rang.swap(false, Ordering::AcqRel) {
            std::thread::park();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
