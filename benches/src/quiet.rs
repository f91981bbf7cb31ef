//! A subscriber of `tracing` that is on at `info` and does nothing with what it is told: the engine's spans and events are made, nobody
//! formats them.

use std::sync::atomic::{AtomicU64, Ordering};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

#[derive(Debug, Default)]
struct Quiet {
    spans: AtomicU64,
}

/// Takes what this process traces from now on.
///
/// # Panics
/// When something else does already.
pub fn install() {
    let installed = tracing::subscriber::set_global_default(Quiet::default());
    installed.expect("because a benchmark installs its subscriber once, at first");
}

impl Subscriber for Quiet {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn max_level_hint(&self) -> Option<tracing::level_filters::LevelFilter> {
        Some(tracing::level_filters::LevelFilter::INFO)
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
