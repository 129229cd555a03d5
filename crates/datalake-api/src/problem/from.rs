//! Converts errors of other layers to problems.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use datalake_core::{error_chain::error_chain, query::error::QueryError};
use datalake_http::{
    conditional::{Precondition, Validators},
    range::RangeNotSatisfiable,
    response_budget::BudgetExhausted,
    server::request_error::RequestError,
};
use datalake_runs::launcher::LaunchError;
use tokio::task::JoinError;

use crate::{problem::Problem, snapshots::error::VersionError};

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<BudgetExhausted> for Problem {
    fn from(BudgetExhausted: BudgetExhausted) -> Self {
        Self::ResponseBudgetExhausted
    }
}

impl From<RangeNotSatisfiable> for Problem {
    fn from(RangeNotSatisfiable { bytes }: RangeNotSatisfiable) -> Self {
        Self::RangeNotSatisfiable { bytes }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        Self::Parameter(error)
    }
}

impl From<VersionError> for Problem {
    fn from(error: VersionError) -> Self {
        match error {
            VersionError::Unknown => Self::TableNotLoaded,
            VersionError::NoTable => Self::NoTable { run: None },
            VersionError::NotYet { newest } => Self::NoSuchVersion { newest },
            VersionError::BeforeFirst => Self::BeforeFirstVersion,
            VersionError::Gone => Self::VersionGone,
            VersionError::TooBusy => Self::TooBusy,
            VersionError::StoreUnavailable => Self::StoreUnavailable,
            VersionError::Damaged => Self::Internal,
        }
    }
}

/// A scan failed: it panicked, or the process is about to end.
impl From<JoinError> for Problem {
    fn from(error: JoinError) -> Self {
        tracing::error!(error = error_chain(&error), "scan failed");
        Self::Internal
    }
}

impl From<LaunchError> for Problem {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Disabled => Self::RunsDisabled,
            LaunchError::ShuttingDown => Self::ShuttingDown,
            LaunchError::Busy { reason } => Self::LauncherBusy { reason },
            LaunchError::TooManyRuns => Self::TooManyRuns { reason: error.to_string() },
            LaunchError::KeyReused { .. } => Self::KeyReused { reason: error.to_string() },
            LaunchError::NothingBlocked { is_active, .. } => Self::NothingBlocked {
                reason: error.to_string(),
                is_active,
            },
            LaunchError::StoreUnavailable { .. } => {
                tracing::warn!(error = error_chain(&error), "cannot read store for run request");
                Self::StoreUnavailable
            }
            LaunchError::Failed { .. } => {
                // The response says what was attempted. The cause may name parts of a cluster, and is only logged.
                tracing::warn!(error = error_chain(&error), "cannot start or stop run");
                Self::LaunchFailed { reason: error.to_string() }
            }
        }
    }
}

/// The response that a precondition requires instead of the representation with these validators.
pub fn precondition_response(precondition: Precondition, validators: &Validators) -> Response {
    match precondition {
        Precondition::NotModified => (StatusCode::NOT_MODIFIED, validators.headers(), ()).into_response(),
        Precondition::Failed => (validators.headers(), Problem::PreconditionFailed).into_response(),
    }
}

/// Logs an internal error, which clients cannot do anything about.
pub fn internal_error(message: &'static str, error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error = error_chain(error), "{message}");
    Problem::Internal
}
