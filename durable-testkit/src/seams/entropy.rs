//! Randomness from a seed, and made-up names for the process, the host, the boot and the build. Never for secrets.

use std::sync::{Arc, Mutex, PoisonError};

use durable::seams::Entropy;

use crate::rng::Rng;

/// A stream of random bytes, and what names this process. Made by [`SeededEntropy::new`], named by the `with_` calls.
#[derive(Debug, Clone)]
pub struct SeededEntropy {
    rng: Arc<Mutex<Rng>>,
    pid: u32,
    host: String,
    boot_id: [u8; 16],
    build_id: String,
}

impl SeededEntropy {
    /// The stream of this seed, in process 1 of host `sim`, its boot id all ones, its build `test`. Clones draw from
    /// the same stream.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Arc::new(Mutex::new(Rng::new(seed))),
            pid: 1,
            host: "sim".to_owned(),
            boot_id: [1; 16],
            build_id: "test".to_owned(),
        }
    }

    /// The same stream in a process of this id.
    #[must_use]
    pub fn with_pid(self, pid: u32) -> Self {
        Self { pid, ..self }
    }

    /// The same stream on this host.
    #[must_use]
    pub fn with_host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// The same stream in this boot of the machine.
    #[must_use]
    pub fn with_boot_id(self, boot_id: [u8; 16]) -> Self {
        Self { boot_id, ..self }
    }

    /// The same stream in this build of the program.
    #[must_use]
    pub fn with_build_id(self, build_id: &str) -> Self {
        Self { build_id: build_id.to_owned(), ..self }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }

    fn pid(&self) -> u32 {
        self.pid
    }

    fn host(&self) -> String {
        self.host.clone()
    }

    fn boot_id(&self) -> [u8; 16] {
        self.boot_id
    }

    fn build_id(&self) -> String {
        self.build_id.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(entropy: &SeededEntropy) -> [u8; 20] {
        let mut bytes = [0; 20];
        entropy.fill(&mut bytes);
        bytes
    }

    #[test]
    fn one_seed_is_one_stream_that_clones_share() {
        let entropy = SeededEntropy::new(7).with_pid(9).with_host("h");
        let other = entropy.clone();
        let both = [drawn(&entropy), drawn(&other)];
        let again = SeededEntropy::new(7);
        assert_eq!([drawn(&again), drawn(&again)], both);
        assert_ne!(both[0], both[1]);
        assert_eq!((entropy.pid(), entropy.host().as_str()), (9, "h"));
    }
}
