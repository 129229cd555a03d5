//! Which section of the documentation is about an error. The paths are those of the repository, because the executable is used without a server.

use datalake_core::run::RunOutcome;
use datalake_processor::error::RunError;
use datalake_store::error::StoreError;
use datalake_table::error::TableError;

use crate::exit::ProblemError;

const DATASETS: &str = "docs/src/datasets.md";
const GUARDS: &str = "docs/src/concepts.md#guards";
const LAKE: &str = "docs/src/configuration.md#the-lake";
const PROBLEMS: &str = "docs/src/problems.md";
const RECOVERY: &str = "docs/src/operations.md#recovery";
const TROUBLESHOOTING: &str = "docs/src/operations.md#troubleshooting";

/// The codes of rejected and ignored sources. A server has the same page.
pub(crate) const REJECTS: &str = "docs/src/rejects.md";

/// The section about an error; none if the message is sufficient.
pub(crate) fn page_of(error: &anyhow::Error) -> Option<String> {
    let page = |cause: &(dyn std::error::Error + 'static)| {
        if let Some(problem) = cause.downcast_ref::<ProblemError>() {
            return Some(format!("{PROBLEMS}#{}", problem.kind));
        }
        let page = match cause.downcast_ref() {
            Some(error) => of_run_error(error),
            None => cause.downcast_ref().and_then(of_store_error),
        };
        page.map(str::to_owned)
    };
    error.chain().find_map(page)
}

/// The section about a run that did not succeed.
pub(crate) fn page_of_outcome(outcome: RunOutcome) -> Option<&'static str> {
    match outcome {
        RunOutcome::Blocked => Some(GUARDS),
        RunOutcome::Misconfigured | RunOutcome::Failed => Some(TROUBLESHOOTING),
        RunOutcome::Succeeded | RunOutcome::Stopped => None,
    }
}

fn of_run_error(error: &RunError) -> Option<&'static str> {
    match error {
        RunError::Store(error) | RunError::Table(TableError::Store(error)) => of_store_error(error),
        RunError::Table(_) => Some(RECOVERY),
        RunError::Declaration(_) => Some(DATASETS),
        RunError::Guard(_) | RunError::Removals { .. } | RunError::NoBlockedRun { .. } => Some(GUARDS),
        RunError::OutOfOrder(_) | RunError::NoCreateIfAbsent { .. } | RunError::Unread { .. } => Some(TROUBLESHOOTING),
        RunError::Contended { .. } | RunError::TableGone | RunError::Stopped => None,
    }
}

fn of_store_error(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Denied { .. } | StoreError::Unavailable { .. } => Some(TROUBLESHOOTING),
        StoreError::Invalid { .. } => Some(LAKE),
        StoreError::NotFound { .. } | StoreError::Conflict { .. } | StoreError::Expired { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use datalake_core::plan::GuardError;

    use super::*;

    /// The fragment of links to a heading.
    fn fragment(heading: &str) -> String {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        let allowed = |character: &char| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_');
        text.chars().filter(allowed).collect::<String>().replace(' ', "-")
    }

    #[test]
    fn every_page_exists() {
        for page in [DATASETS, GUARDS, LAKE, PROBLEMS, RECOVERY, TROUBLESHOOTING, REJECTS] {
            let (file, expected) = page.split_once('#').unwrap_or((page, ""));
            let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(file);
            let text = fs::read_to_string(path).unwrap();
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            assert!(
                expected.is_empty() || headings.any(|heading| fragment(heading) == expected),
                "{page}"
            );
        }
    }

    #[track_caller]
    fn check(error: impl Into<anyhow::Error>, expected: Option<&str>) {
        let error = error.into();
        assert_eq!(page_of(&error).as_deref(), expected, "{error:?}");
        assert_eq!(page_of(&error.context("while doing something")).as_deref(), expected);
    }

    #[test]
    fn errors_name_the_page_of_their_topic() {
        check(RunError::Guard(GuardError::EmptyListing), Some(GUARDS));
        check(RunError::Stopped, None);
        let missing = || StoreError::Denied {
            key: String::new(),
            reason: "no".to_owned(),
            cause: None,
        };
        check(missing(), Some(TROUBLESHOOTING));
        check(RunError::from(TableError::from(missing())), Some(TROUBLESHOOTING));
        let damaged = TableError::Corrupt {
            key: String::new(),
            reason: "no".to_owned(),
            source: None,
        };
        check(RunError::Table(damaged), Some(RECOVERY));
        let problem = ProblemError {
            detail: "no".to_owned(),
            kind: "invalid-parameter".to_owned(),
            is_permanent: true,
        };
        check(problem, Some("docs/src/problems.md#invalid-parameter"));
        check(anyhow::anyhow!("broken"), None);
    }
}
