//! The result of a check.

use datalake_core::{error_chain::error_chain, run::RunOutcome};
use datalake_store::error::StoreError;

use crate::{doctor::OnCheck, error::RunError};

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckResult {
    /// As required.
    Ok,
    /// Runs succeed, but the operator should know.
    Warning,
    /// Runs fail, or can lose rows.
    Failed,
    /// Not checked, because an earlier check failed.
    Skipped,
}

impl CheckResult {
    /// The result in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One check of a lake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Its result.
    pub result: CheckResult,
    /// What was found.
    pub found: String,
    /// What to do; none if there is nothing to do.
    pub remedy: Option<String>,
    /// Whether a failure may be gone at the next attempt.
    pub is_transient: bool,
}

/// Why a check did not pass.
#[derive(Debug)]
pub(super) struct Finding {
    result: CheckResult,
    found: String,
    remedy: Option<String>,
    is_transient: bool,
}

impl Finding {
    pub(super) fn failed(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            result: CheckResult::Failed,
            found: found.into(),
            remedy: Some(remedy.into()),
            is_transient: false,
        }
    }

    pub(super) fn warning(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            result: CheckResult::Warning,
            ..Self::failed(found, remedy)
        }
    }

    /// A finding for a message that ends with its remedy after a semicolon.
    fn of_message(message: &str, is_transient: bool) -> Self {
        let (found, remedy) = match message.rsplit_once("; ") {
            Some((found, remedy)) => (found, Some(remedy.to_owned())),
            None => (message, None),
        };
        Self {
            result: CheckResult::Failed,
            found: found.to_owned(),
            remedy,
            is_transient,
        }
    }
}

impl From<StoreError> for Finding {
    fn from(error: StoreError) -> Self {
        RunError::from(error).into()
    }
}

impl From<RunError> for Finding {
    fn from(error: RunError) -> Self {
        Self::of_message(&error_chain(&error), error.outcome() == RunOutcome::Failed)
    }
}

/// What a check that passed found.
pub(super) type Outcome = Result<String, Finding>;

/// The checks so far.
pub(super) struct Checks<'a> {
    list: Vec<Check>,
    on_check: &'a OnCheck<'a>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(on_check: &'a OnCheck<'a>) -> Self {
        Self {
            list: Vec::new(),
            on_check,
        }
    }

    /// Runs a check and records its result.
    pub(super) async fn run(&mut self, name: &'static str, check: impl Future<Output = Outcome>) -> CheckResult {
        (self.on_check)(name);
        let check = match check.await {
            Ok(found) => Check {
                name,
                result: CheckResult::Ok,
                found,
                remedy: None,
                is_transient: false,
            },
            Err(finding) => Check {
                name,
                result: finding.result,
                found: finding.found,
                remedy: finding.remedy,
                is_transient: finding.is_transient,
            },
        };
        let result = check.result;
        self.list.push(check);
        result
    }

    /// The result of the last check.
    pub(super) fn last(&self) -> CheckResult {
        self.list.last().map_or(CheckResult::Skipped, |check| check.result)
    }

    /// Whether the failure of the last check may be gone at the next attempt.
    pub(super) fn is_transient(&self) -> bool {
        self.list.last().is_some_and(|check| check.is_transient)
    }

    /// Records checks that are not run.
    pub(super) fn skip_all(&mut self, names: impl IntoIterator<Item = &'static str>, reason: &str) {
        self.list.extend(names.into_iter().map(|name| Check {
            name,
            result: CheckResult::Skipped,
            found: reason.to_owned(),
            remedy: None,
            is_transient: false,
        }));
    }

    pub(super) fn into_list(self) -> Vec<Check> {
        self.list
    }
}
