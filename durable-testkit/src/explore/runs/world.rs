//! What is outside the application and survives its processes: the effects that its activities had, and what its client was told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::digest::Digest;

/// The outside world, as activities and the client hold it. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct World(Arc<Mutex<Ledger>>);

/// What it remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    /// The idempotency key of each attempt that came this far, and its effect.
    pub(super) effects: Vec<(String, String)>,
    /// What was acknowledged to the client.
    pub(super) acks: Vec<String>,
}

impl Ledger {
    pub(super) fn digest(&self, digest: Digest) -> Digest {
        let texts = self.effects.iter().flat_map(|(key, what)| [key, what]).chain(&self.acks);
        let digest = digest.number(self.effects.len() as u64);
        texts.fold(digest, |digest, text| digest.bytes(text.as_bytes()))
    }
}

impl World {
    pub(super) fn of(ledger: Ledger) -> World {
        World(Arc::new(Mutex::new(ledger)))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its state now.
    pub(super) fn now(&self) -> Ledger {
        self.ledger().clone()
    }

    /// The activity that runs has this effect. Gives how many of its attempts have had it, this one included.
    pub(super) fn had(&self, what: impl Into<String>) -> usize {
        let (key, what) = (durable::activity::idempotency_key(), what.into());
        let mut ledger = self.ledger();
        ledger.effects.push((key, what.clone()));
        ledger.effects.iter().filter(|(_, other)| *other == what).count()
    }

    /// The client was told so.
    pub(super) fn ack(&self, what: impl Into<String>) {
        self.ledger().acks.push(what.into());
    }

    /// Whether a client was told so, in this process or one before it.
    pub(super) fn is_acked(&self, what: &str) -> bool {
        self.ledger().acks.iter().any(|ack| ack == what)
    }
}
