//! The log on standard error: text on a terminal, JSON otherwise.

use std::io::{self, IsTerminal, Write};

use datalake_api::telemetry::traces;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::{
    exit::UsageError,
    log_line::{HumanFormat, LogLine},
    progress,
};

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
    let checked = format!("{ERRORS},{CLIENTS},{}=off,{}", traces::TARGET, checked(filter)?);
    let filter =
        EnvFilter::try_new(checked).map_err(|error| UsageError(format!("--log has `{filter}`, which is not a filter: {error}; {FORM}")))?;
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if is_terminal() {
        let format = HumanFormat { has_color: has_color() };
        fmt::layer().with_writer(|| AboveBars).event_format(format).boxed()
    } else {
        fmt::layer().with_writer(io::stderr).json().flatten_event(true).boxed()
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

/// Standard error, without overwriting progress bars.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::above_bars(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Writes lines of a child process's log, which are JSON: unchanged, or on a terminal in the form of this process's own lines.
pub(crate) fn write_child_log(lines: &[u8]) {
    // If standard error is closed, the child continues without.
    let _may_be_closed = match is_terminal() {
        false => io::stderr().write_all(lines),
        true => AboveBars.write_all(human_lines(&String::from_utf8_lossy(lines), has_color()).as_bytes()),
    };
}

fn human_lines(lines: &str, has_color: bool) -> String {
    let human = |line: &str| LogLine::parse(line).map_or_else(|| line.to_owned(), |line| line.text(has_color)) + "\n";
    lines.lines().map(human).collect()
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
    fn lines_of_a_child_that_are_not_json_are_kept() {
        let json = r#"{"timestamp":"2026-11-24T08:00:00Z","level":"INFO","message":"run started","target":"x"}"#;
        let lines = format!("{json}\nthread main panicked\n");
        assert_eq!(human_lines(&lines, false), "08:00:00Z INFO  run started\nthread main panicked\n");
    }

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
