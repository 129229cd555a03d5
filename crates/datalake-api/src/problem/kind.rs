//! The status, name and title of each kind of problem. No other code chooses the status of an error.

use axum::http::StatusCode;
use datalake_http::server::request_error::RequestError;

use crate::problem::Problem;

/// What all problems of one kind have in common.
pub(super) struct Kind {
    pub(super) status: StatusCode,
    /// The end of the document's `type`; stable.
    pub(super) name: &'static str,
    /// The title, unless the dataset has words of its own for it.
    pub(super) title: &'static str,
}

const fn kind(status: StatusCode, name: &'static str, title: &'static str) -> Kind {
    Kind { status, name, title }
}

impl Problem {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Request(error) => kind_of_request(error),
            Self::NoSuchPath { .. } => kind(StatusCode::NOT_FOUND, "no-such-path", "Path not found"),
            Self::MethodNotAllowed => kind(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::Parameter(_) => kind(StatusCode::BAD_REQUEST, "invalid-parameter", "Invalid parameter"),
            Self::NotAcceptable { .. } => kind(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "Not acceptable: no supported media type",
            ),
            Self::NoContentCoding => kind(
                StatusCode::NOT_ACCEPTABLE,
                "no-coding",
                "Not acceptable: no supported content coding",
            ),
            Self::CursorGone => kind(StatusCode::GONE, "cursor-gone", "Cursor expired"),
            Self::RangeNotSatisfiable { .. } => kind(StatusCode::RANGE_NOT_SATISFIABLE, "range-not-satisfiable", "Range not satisfiable"),
            Self::PreconditionFailed => kind(StatusCode::PRECONDITION_FAILED, "condition-failed", "Precondition failed"),
            Self::Path(_) => kind(StatusCode::BAD_REQUEST, "invalid-path", "Invalid path"),
            Self::Header { .. } => kind(StatusCode::BAD_REQUEST, "invalid-header", "Invalid header"),
            Self::UnsupportedMediaType { .. } => kind(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "Unsupported media type",
            ),
            Self::BodyTooLarge { .. } => kind(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large"),
            Self::InvalidBody { .. } => kind(StatusCode::BAD_REQUEST, "invalid-body", "Invalid body"),
            Self::Unauthorized { .. } => kind(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized"),
            Self::HostNotAllowed { .. } => kind(StatusCode::MISDIRECTED_REQUEST, "host-not-allowed", "Host name not allowed"),
            Self::CrossSite => kind(StatusCode::FORBIDDEN, "cross-site", "Cross-site request rejected"),
            Self::BodyTimedOut => kind(StatusCode::REQUEST_TIMEOUT, "body-timed-out", "Body timed out"),
            Self::NoSuchRow(_) => kind(StatusCode::NOT_FOUND, "no-such-user", "User not found"),
            Self::NoImage(_) => kind(StatusCode::NOT_FOUND, "no-image", "Image not found"),
            Self::NoSuchVersion { .. } | Self::BeforeFirstVersion => kind(StatusCode::NOT_FOUND, "no-such-version", "Version not found"),
            Self::VersionGone => kind(StatusCode::GONE, "version-gone", "Version expired"),
            Self::VersionNotReached { .. } => kind(StatusCode::CONFLICT, "version-not-reached", "Version not committed yet"),
            Self::DatasetChanged { .. } => kind(StatusCode::CONFLICT, "dataset-changed", "Dataset changed"),
            Self::NoSuchRun => kind(StatusCode::NOT_FOUND, "no-such-run", "Run not found"),
            Self::RunEnded => kind(StatusCode::CONFLICT, "run-ended", "Run already ended"),
            Self::NoTable { .. } => kind(StatusCode::SERVICE_UNAVAILABLE, "no-table-yet", "No table yet"),
            Self::TableNotLoaded => kind(StatusCode::SERVICE_UNAVAILABLE, "table-unknown", "Table not loaded yet"),
            Self::StoreUnavailable => kind(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "Store unavailable"),
            Self::RunsDisabled => kind(StatusCode::NOT_IMPLEMENTED, "not-launching", "Runs disabled"),
            Self::ShuttingDown => kind(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", "Server shutting down"),
            Self::LaunchFailed { .. } => kind(StatusCode::BAD_GATEWAY, "launch-failed", "Cannot start run"),
            Self::StopFailed { .. } => kind(StatusCode::BAD_GATEWAY, "stop-failed", "Cannot stop run"),
            Self::TooManyRuns { .. } => kind(StatusCode::TOO_MANY_REQUESTS, "too-many-runs", "Too many active runs"),
            Self::KeyReused { .. } => kind(StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused", "Idempotency key reused"),
            Self::NothingBlocked { is_active: true, .. } => kind(StatusCode::CONFLICT, "run-active", "Run still active"),
            Self::NothingBlocked { is_active: false, .. } => {
                kind(StatusCode::UNPROCESSABLE_ENTITY, "nothing-blocked", "No blocked deletions")
            }
            Self::LauncherBusy { .. } => kind(StatusCode::SERVICE_UNAVAILABLE, "launcher-busy", "Launcher busy"),
            Self::TooBusy => kind(StatusCode::SERVICE_UNAVAILABLE, "too-busy", "Too many requests in flight"),
            Self::ResponseBudgetExhausted => kind(
                StatusCode::SERVICE_UNAVAILABLE,
                "response-budget-exhausted",
                "Too many large responses in flight",
            ),
            Self::NotAccepting => kind(StatusCode::SERVICE_UNAVAILABLE, "not-accepting", "API not accepting connections"),
            Self::TimedOut => kind(StatusCode::GATEWAY_TIMEOUT, "timed-out", "Request timed out"),
            Self::Internal => kind(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal server error"),
        }
    }
}

fn kind_of_request(error: &RequestError) -> Kind {
    match error {
        RequestError::Malformed { .. } => kind(StatusCode::BAD_REQUEST, "malformed-request", "Malformed request"),
        RequestError::TooLarge { .. } => kind(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head-too-large",
            "Request head too large",
        ),
        RequestError::TimedOut => kind(StatusCode::REQUEST_TIMEOUT, "request-timed-out", "Request head timed out"),
        RequestError::UnsupportedVersion => kind(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http-version-not-supported",
            "HTTP version not supported",
        ),
        RequestError::UnsupportedTransferCoding => kind(
            StatusCode::NOT_IMPLEMENTED,
            "transfer-coding-not-supported",
            "Transfer coding not supported",
        ),
        RequestError::UnsupportedConnect => kind(StatusCode::NOT_IMPLEMENTED, "no-proxy", "Proxy requests not supported"),
    }
}
