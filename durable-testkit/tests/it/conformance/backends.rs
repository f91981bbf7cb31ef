//! The stores that there are, as backends of the suite.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use durable::seams::Spawn;
use durable::store::Listener;
use durable::store::log::{self, GROUP_BYTES_MAX, Options};
use durable::store::plain::PlainStore;
use durable::store::real::RealDisk;
use durable_testkit::conformance::{Backend, Opened};
use durable_testkit::{Fault, Keep, SimDisk, Unfinished, When, errno};

use crate::log_fixture::{DIR, Process, SIZES};

/// The store in memory.
#[derive(Default)]
pub(crate) struct Plain;

impl Backend for Plain {
    fn open(&mut self, listener: Listener) -> Result<Opened, String> {
        Ok(Opened::new(Arc::new(PlainStore::new(listener))))
    }
}

fn open(process: &Process, dir: PathBuf, listener: Listener) -> Result<Opened, String> {
    let mut options = Options::new(dir, log::rung_by(listener));
    options.sizes.segments = SIZES;
    options.sizes.reserve_bytes = 8192;
    let opened = process.run(log::open(Arc::clone(&process.disk), process.seams(), options));
    let (log, writer, recovered) = opened.expect("it lives").map_err(|error| error.to_string())?;
    process.spawn.blocking("writer", Box::pin(writer.run()));
    Ok(Opened { store: Arc::new(log), tables: recovered.tables, is_clean: recovered.is_clean })
}

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Crash {
    /// Nothing: only the process dies.
    Process,
    /// It is gone.
    PowerCut,
    /// Some of it survives, by this seed.
    Torn(u64),
}

/// The log on a simulated disk.
pub(crate) struct LogOnSim {
    disk: SimDisk,
    crash: Crash,
    /// The processes that opened it; the last one works.
    processes: Vec<Process>,
}

impl LogOnSim {
    pub(crate) fn new(crash: Crash) -> LogOnSim {
        LogOnSim { disk: SimDisk::new(), crash, processes: Vec::new() }
    }

    fn process(&self) -> &Process {
        self.processes.last().expect("because it was opened")
    }
}

impl Backend for LogOnSim {
    fn open(&mut self, listener: Listener) -> Result<Opened, String> {
        self.processes.push(Process::new(&self.disk));
        open(self.process(), DIR.into(), listener)
    }

    fn drive(&mut self) -> bool {
        self.process().spawn.run_until_idle();
        false
    }

    fn keeps(&self) -> bool {
        true
    }

    fn crash(&mut self) {
        match &mut self.crash {
            Crash::Process => self.process().sim.crash(Unfinished::NotDone),
            Crash::PowerCut => self.disk.power_cut(&Keep::Nothing),
            Crash::Torn(seed) => {
                *seed += 1;
                self.disk.power_cut(&Keep::Seed(*seed));
            }
        }
        self.process().spawn.drop_tasks();
    }

    fn break_disk(&mut self) -> bool {
        let sim = &self.process().sim;
        sim.fail(When::From(sim.performed() + 1), Fault::Errno(errno::EIO));
        true
    }

    fn mend_disk(&mut self) {
        self.process().sim.heal();
    }

    fn fill_disk(&mut self) -> bool {
        self.disk.limit_space(0);
        true
    }

    fn free_disk(&mut self) {
        self.disk.unlimit_space();
        self.drive();
        self.process().clock.advance(Duration::from_secs(1));
    }

    fn group_bytes_max(&self) -> Option<usize> {
        Some(GROUP_BYTES_MAX)
    }
}

/// The log on real files, in a directory of its own.
pub(crate) struct LogOnReal {
    home: tempfile::TempDir,
    process: Option<Process>,
}

impl LogOnReal {
    pub(crate) fn new() -> LogOnReal {
        LogOnReal { home: tempfile::tempdir().unwrap(), process: None }
    }
}

impl Backend for LogOnReal {
    fn open(&mut self, listener: Listener) -> Result<Opened, String> {
        let process = Process::with_disk(SimDisk::new().process(), Arc::new(RealDisk::new()));
        let opened = open(&process, self.home.path().join("store"), listener);
        self.process = Some(process);
        opened
    }

    fn drive(&mut self) -> bool {
        if let Some(process) = &self.process {
            process.spawn.run_until_idle();
        }
        false
    }

    fn keeps(&self) -> bool {
        true
    }

    fn crash(&mut self) {
        // What dies lets go of its locks: the writer is dropped where it stands.
        if let Some(process) = self.process.take() {
            process.spawn.drop_tasks();
        }
    }

    fn group_bytes_max(&self) -> Option<usize> {
        Some(GROUP_BYTES_MAX)
    }
}
