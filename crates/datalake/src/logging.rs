//! Talk goes to stderr: for people on a terminal, as JSON elsewhere.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The AWS client warns of every failure, in its own structures; what a failure means is told by whoever asked for it. A filter given
/// later in the list overrides this one.
const CLIENTS: &str = "aws_config=error";

/// Whether a person reads along.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Starts the log. `filter` is in the syntax of `tracing`, as `--log` gives it.
pub(crate) fn start(filter: &str) -> anyhow::Result<()> {
    let filter = format!("{CLIENTS},{filter}");
    let filter = EnvFilter::try_new(filter).map_err(|error| crate::exit::UsageError(format!("--log is no filter: {error}")))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if is_terminal() {
        builder.with_ansi(has_colour()).with_target(false).compact().init();
    } else {
        builder.json().flatten_event(true).init();
    }
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
