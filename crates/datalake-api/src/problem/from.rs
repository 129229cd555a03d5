//! Which problem an error of the layers below is.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use datalake_core::{error_chain::error_chain, query::error::QueryError};
use datalake_http::{
    conditional::{Precondition, Validators},
    range::RangeNotSatisfiable,
    response_budget::BudgetExhausted,
    server::request_error::RequestError,
};
use datalake_runs::launcher::LaunchError;

use crate::{problem::Problem, snapshots::error::PastError};

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

impl From<PastError> for Problem {
    fn from(error: PastError) -> Self {
        match error {
            PastError::Unknown => Self::TableUnknown,
            PastError::NoTable => Self::NoTable { run: None },
            PastError::NotYet { newest } => Self::NoSuchVersion { newest },
            PastError::BeforeFirst => Self::BeforeFirstVersion,
            PastError::Gone => Self::VersionGone,
            PastError::TooBusy => Self::TooBusy,
            PastError::StoreUnavailable => Self::StoreUnavailable,
            PastError::Damaged => Self::Internal,
        }
    }
}

impl From<LaunchError> for Problem {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::Disabled => Self::NotLaunching,
            LaunchError::ShuttingDown => Self::ShuttingDown,
            LaunchError::Busy { reason } => Self::LauncherBusy { reason },
            LaunchError::TooManyRuns => Self::TooManyRuns { reason: error.to_string() },
            LaunchError::KeyReused { .. } => Self::KeyReused { reason: error.to_string() },
            LaunchError::NothingBlocked { is_active, .. } => Self::NothingBlocked {
                reason: error.to_string(),
                is_active,
            },
            LaunchError::StoreUnavailable { .. } => {
                tracing::warn!(error = error_chain(&error), "request for a run needs the store");
                Self::StoreUnavailable
            }
            LaunchError::Failed { .. } => {
                // The answer says what was tried; what came of it may name the inside of a cluster, and is the operator's.
                tracing::warn!(error = error_chain(&error), "a run could not be started or stopped");
                Self::LaunchFailed { reason: error.to_string() }
            }
        }
    }
}

/// The response that a condition requires instead of the representation that the validators name.
pub fn of_precondition(precondition: Precondition, validators: &Validators) -> Response {
    match precondition {
        Precondition::NotModified => (StatusCode::NOT_MODIFIED, validators.headers(), ()).into_response(),
        Precondition::Failed => (validators.headers(), Problem::ConditionFailed).into_response(),
    }
}
