//! What every handle shares: the way to the driver, and what can be known without asking it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::request::Message;
use crate::payload::PayloadCodec;
use crate::seams::Entropy;
use crate::store::Store;

pub(crate) struct Shared {
    pub(crate) send: UnboundedSender<Message>,
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
    pub(crate) fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        bytes
    }
}
