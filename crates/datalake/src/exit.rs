//! Exit statuses and error messages.

use std::{io::Write, process::ExitCode};

use datalake_core::{error_chain::error_chain, run::RunOutcome};
use datalake_processor::error::RunError;
use datalake_store::{error::StoreError, masking::mask_urls_in};

use crate::{documentation, lake_arguments::with_complete_commands};

/// The operator has to change the arguments, the configuration or the credentials. clap uses the same status.
pub(crate) const USAGE: u8 = 2;

/// The exit status: 1 if a retry may help, 2 for configuration, 4 for a guard.
pub(crate) fn status_of(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<RunError>() {
            return error.outcome().exit_status();
        }
        if let Some(StoreError::Denied { .. } | StoreError::Invalid { .. } | StoreError::NotFound { .. }) = cause.downcast_ref() {
            return USAGE;
        }
        if cause.is::<UsageError>() || cause.downcast_ref().is_some_and(|error: &ProblemError| error.is_permanent) {
            return USAGE;
        }
    }
    RunOutcome::Failed.exit_status()
}

/// Prints the error and where its topic is described, and returns its exit status. `lake` are the arguments that select the lake.
pub(crate) fn report(error: &anyhow::Error, lake: Option<&str>) -> ExitCode {
    let message = message(error);
    let message = lake.map_or_else(|| message.clone(), |lake| with_complete_commands(&message, lake));
    let see = documentation::page_of(error).map_or_else(String::new, |page| format!("see {page}\n"));
    // If stderr is closed, the exit status still reports the error.
    let _closed = write!(std::io::stderr().lock(), "error: {message}\n{see}");
    ExitCode::from(status_of(error))
}

/// The error and its causes in one line. Credentials in URLs are masked, because a library may include a URL.
pub(crate) fn message(error: &anyhow::Error) -> String {
    mask_urls_in(&error_chain(&**error))
}

/// Invalid arguments or configuration. Retrying will not help.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// A problem document of the API's routes.
#[derive(Debug)]
pub(crate) struct ProblemError {
    /// The detail of the document.
    pub(crate) detail: String,
    /// The fragment of the document's type, like `invalid-parameter`.
    pub(crate) kind: String,
    /// Whether the same request cannot succeed later.
    pub(crate) is_permanent: bool,
}

impl std::fmt::Display for ProblemError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for ProblemError {}

#[cfg(test)]
mod tests {
    use datalake_core::plan::{GuardError, OutOfOrder};
    use datalake_table::error::TableError;

    use super::*;

    #[track_caller]
    fn check(error: impl Into<anyhow::Error>, status: u8) {
        let error = error.into();
        assert_eq!(status_of(&error), status, "{error:?}");
        assert_eq!(status_of(&error.context("while doing something")), status);
    }

    #[test]
    fn exit_status_depends_on_the_error() {
        check(RunError::Guard(GuardError::EmptyListing), 4);
        check(RunError::NoCreateIfAbsent { source: None }, 2);
        check(RunError::Contended { attempts: 8 }, 1);
        check(RunError::Stopped, 1);
        let damaged = TableError::Corrupt {
            key: String::new(),
            reason: "no".to_owned(),
            source: None,
        };
        check(RunError::Table(damaged), 2);
        let unsupported = TableError::Unsupported { reason: "no".to_owned() };
        check(RunError::Table(unsupported), 2);
        let out_of_order = OutOfOrder {
            key: String::new(),
            previous: String::new(),
        };
        check(RunError::OutOfOrder(out_of_order), 2);
        check(
            StoreError::Denied {
                key: String::new(),
                reason: "no".to_owned(),
                cause: None,
            },
            2,
        );
        check(
            StoreError::Unavailable {
                key: String::new(),
                reason: "no".to_owned(),
                attempts: 3,
                cause: None,
            },
            1,
        );
        check(UsageError("no".to_owned()), 2);
        let problem = |is_permanent| ProblemError {
            detail: "no".to_owned(),
            kind: "x".to_owned(),
            is_permanent,
        };
        check(problem(true), 2);
        check(problem(false), 1);
        check(std::io::Error::other("broken"), 1);
    }
}
