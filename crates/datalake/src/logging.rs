//! Talk goes to stderr: for people on a terminal, as JSON elsewhere.

use std::io::{self, IsTerminal};

use datalake_api::traces;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// The AWS client warns of every failure, in its own structures; what a failure means is told by whoever asked for it. A filter given
/// later in the list overrides this one.
const CLIENTS: &str = "aws_config=error";

/// Whether a person reads along.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Starts the log, and the traces where there is a `tracer`. `filter` is in the syntax of `tracing`, as `--log` gives it.
pub(crate) fn start(filter: &str, tracer: Option<SdkTracer>) -> anyhow::Result<()> {
    // A span is no line: where nothing exports it, it is not even made.
    let filter = format!("{CLIENTS},{}=off,{filter}", traces::TARGET);
    let filter = EnvFilter::try_new(filter).map_err(|error| crate::exit::UsageError(format!("--log is no filter: {error}")))?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if is_terminal() {
        lines.with_ansi(has_colour()).with_target(false).compact().boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    let log = tracing_subscriber::registry().with(lines.with_filter(filter));
    // No layer is not the same as a layer that is none: that one would be interested in every span.
    let Some(tracer) = tracer else {
        log.init();
        return Ok(());
    };
    let spans = tracing_opentelemetry::layer().with_tracer(tracer);
    let spans = spans.with_location(false).with_threads(false).with_tracked_inactivity(false);
    let exported = Targets::new().with_target(traces::TARGET, LevelFilter::INFO);
    log.with(spans.with_filter(exported)).init();
    Ok(())
}

/// <https://no-color.org>: set and not empty means no colour.
#[expect(
    clippy::disallowed_methods,
    reason = "NO_COLOR is a convention over all programs, not an argument of ours"
)]
fn has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
