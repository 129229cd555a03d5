//! The log on standard error: text on a terminal, JSON otherwise.

use std::io::{self, IsTerminal};

use datalake_api::telemetry::traces;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::exit::UsageError;

/// The AWS client logs a warning for every failure. The caller of the request logs what the failure means. A later filter in the list overrides this
/// one.
const CLIENTS: &str = "aws_config=error";

/// A filter for one crate does not hide the errors of the others; `off` does.
const ERRORS: &str = "error";

const FORM: &str = "a filter is off, error, warn, info, debug or trace, or like info,datalake_table=debug";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A word without `=` must be a level or the name of a crate: `tracing` would take a misspelled level for a crate, and log nothing.
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

/// The crates of the workspace that log.
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

/// Whether standard error is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Starts the log, and the traces if there is a `tracer`. `filter` is the value of `--log`.
pub(crate) fn start(filter: &str, tracer: Option<SdkTracer>) -> anyhow::Result<()> {
    // Spans are not logged, and not created if they are not exported.
    let filter = format!("{ERRORS},{CLIENTS},{}=off,{}", traces::TARGET, checked(filter)?);
    let filter = EnvFilter::try_new(filter).map_err(|error| UsageError(format!("--log is not a filter: {error}; {FORM}")))?;
    let lines = fmt::layer().with_writer(io::stderr);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if is_terminal() {
        lines.with_ansi(has_color()).with_target(false).compact().boxed()
    } else {
        lines.json().flatten_event(true).boxed()
    };
    let log = tracing_subscriber::registry().with(lines.with_filter(filter));
    // `Option::None` as a layer would enable every span.
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

/// Whether to use colors: <https://no-color.org>.
#[expect(
    clippy::disallowed_methods,
    reason = "NO_COLOR is a convention of all programs, not an argument of this one"
)]
pub(crate) fn has_color() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_level_is_rejected() {
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
