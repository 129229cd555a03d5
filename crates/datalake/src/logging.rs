//! Talk goes to stderr: for people on a terminal, as JSON elsewhere.

use std::io::{self, IsTerminal};

use datalake_api::telemetry::traces;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::exit::UsageError;

/// The AWS client warns of every failure, in its own structures; what a failure means is told by whoever asked for it. A filter given
/// later in the list overrides this one.
const CLIENTS: &str = "aws_config=error";

/// A filter for one part of the program does not silence the errors of the others; `off` does.
const ERRORS: &str = "error";

const FORM: &str = "a filter is off, error, warn, info, debug or trace, or like info,datalake_table=debug";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A word alone is a level. It would be taken for the name of a part of the program otherwise, and a misspelt level would silence the log.
fn checked(filter: &str) -> Result<String, UsageError> {
    let directives: Vec<_> = filter.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    if directives.is_empty() {
        return Err(UsageError(format!("--log is empty; {FORM}")));
    }
    let is_known = |directive: &&str| {
        directive.contains(['=', '['])
            || LEVELS.iter().any(|level| directive.eq_ignore_ascii_case(level))
            || directive.split("::").next().is_some_and(|name| CRATES.contains(&name))
    };
    match directives.iter().find(|directive| !is_known(directive)) {
        Some(unknown) => Err(UsageError(format!("--log has `{unknown}`, which is not a level; {FORM}"))),
        None => Ok(directives.join(",")),
    }
}

/// The parts of the program that log.
const CRATES: [&str; 10] = [
    "datalake",
    "datalake_api",
    "datalake_core",
    "datalake_http",
    "datalake_processor",
    "datalake_runs",
    "datalake_server",
    "datalake_store",
    "datalake_table",
    "datalake_ui",
];

/// Whether a person reads along.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Starts the log, and the traces where there is a `tracer`. `filter` is in the syntax of `tracing`, as `--log` gives it.
pub(crate) fn start(filter: &str, tracer: Option<SdkTracer>) -> anyhow::Result<()> {
    // A span is no line: where nothing exports it, it is not even made.
    let filter = format!("{ERRORS},{CLIENTS},{}=off,{}", traces::TARGET, checked(filter)?);
    let filter = EnvFilter::try_new(filter).map_err(|error| UsageError(format!("--log is not a filter: {error}; {FORM}")))?;
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
pub(crate) fn has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        for filter in [
            "info",
            "WARN",
            "off",
            "datalake_table",
            "info, datalake_table=debug",
            "hyper=trace",
            "[run]=debug",
            "datalake_server::serve",
        ] {
            let checked = checked(filter).unwrap();
            assert!(EnvFilter::try_new(&checked).is_ok(), "{checked}");
        }
        for filter in ["inof", "", ",", "verbose", "info,wran", "datalaek_table"] {
            let error = checked(filter).unwrap_err().0;
            assert!(error.contains("--log") && error.contains("off, error, warn"), "{filter}: {error}");
        }
    }
}
