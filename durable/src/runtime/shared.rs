//! What every handle shares: the ways to the drivers, and what can be known without asking it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::peers;
use super::request::Message;
use crate::kernel::event::Text;
use crate::payload::PayloadCodec;
use crate::seams::Entropy;
use crate::store::Store;

pub(crate) struct Shared {
    /// The ways to the drivers.
    pub(crate) ways: Arc<[UnboundedSender<Message>]>,
    pub(crate) log: Arc<dyn Store>,
    pub(crate) codec: PayloadCodec,
    pub(crate) entropy: Arc<dyn Entropy>,
    /// How many bytes may wait for the log before starts and signals wait too.
    pub(crate) queued_bytes_max: usize,
    /// Rung whenever the log moved.
    pub(crate) moved: Arc<Notify>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("codec", &self.codec).finish_non_exhaustive()
    }
}

impl Shared {
    /// The way to the driver that has the runs of this id.
    pub(crate) fn way(&self, namespace: &Text, id: &Text) -> &UnboundedSender<Message> {
        &self.ways[peers::home(namespace, id, self.ways.len())]
    }

    pub(crate) fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes
    }
}
