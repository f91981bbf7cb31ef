//! The subscriber that replay speaks to: it hears nothing, and decides nothing about who else hears.
//!
//! `Dispatch::none()` would do for the first half alone. `tracing` asks about a place in the code once in a process; as long as there
//! is one subscriber, it asks whatever the thread that gets there first has as its default. A place that a replay met first, with
//! none, would be dead for good, and the new runs of the process mute.

use std::sync::LazyLock;

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Runs `f` with nobody listening on this thread.
pub(crate) fn silently<T>(f: impl FnOnce() -> T) -> T {
    // Kept for ever: places are asked about with every subscriber that exists, so with the application's too.
    static SILENCE: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Silence));
    tracing::dispatcher::with_default(&SILENCE, f)
}

struct Silence;

impl Subscriber for Silence {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // What the others want always goes on without a question each time.
        Interest::always()
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
