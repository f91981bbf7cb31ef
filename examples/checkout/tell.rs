//! What the shop says, on standard output: what `tracing` carries, a line each. What a workflow says is said once: `tracing` hears
//! nothing of a replay. What the engine says comes with the attempt that it says it of.

use std::fmt;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// From here on it is told.
pub fn begin() {
    tracing_subscriber::fmt().with_max_level(Level::INFO).event_format(Lines).init();
}

struct Lines;

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        out.write_str("  shop     ")?;
        context.format_fields(out.by_ref(), event)?;
        let is_own = event.metadata().target().starts_with(env!("CARGO_CRATE_NAME"));
        if let Some(span) = context.lookup_current().filter(|_| !is_own) {
            let extensions = span.extensions();
            extensions.get::<FormattedFields<N>>().iter().try_for_each(|fields| write!(out, " ({fields})"))?;
        }
        writeln!(out)
    }
}
