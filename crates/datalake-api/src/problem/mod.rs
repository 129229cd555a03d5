//! The errors that a request can get. Each becomes a problem document (RFC 9457); `kind.rs` alone chooses its status.

mod detail;
pub mod document;
pub mod from;
mod kind;
mod missing;
pub mod responses;

use std::{any::Any, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use datalake_core::query::error::QueryError;
use datalake_http::server::request_error::RequestError;

pub use self::missing::{MissingFile, MissingRow};
use crate::routes::run_document::RunDocument;

/// Why a request fails. One variant for each reaction of the client.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The request was rejected before it reached the router.
    Request(RequestError),
    /// The path matches no route.
    NoSuchPath {
        /// The most similar path that exists.
        nearest: Option<String>,
    },
    /// The route does not support the method; the `Allow` header lists those that it supports.
    MethodNotAllowed,
    /// A query parameter is unknown or malformed.
    Parameter(QueryError),
    /// The client accepts none of the formats.
    NotAcceptable {
        /// The media types and the names of the formats.
        offered: String,
    },
    /// The client accepts no supported content coding, not even `identity`.
    NoContentCoding,
    /// The version that the cursor is bound to has expired, or belongs to another table.
    CursorGone,
    /// The byte range starts after the end.
    RangeNotSatisfiable {
        /// The length of the response in bytes.
        bytes: u64,
    },
    /// `If-Match` or `If-Unmodified-Since` does not hold.
    PreconditionFailed,
    /// The variable part of the path is malformed.
    Path(QueryError),
    /// A header is malformed.
    Header {
        /// The name of the header.
        name: &'static str,
        /// What is accepted.
        reason: &'static str,
    },
    /// The body is not declared as JSON.
    UnsupportedMediaType {
        /// The `Content-Type` header, if there is one.
        found: Option<String>,
    },
    /// The body exceeds the limit.
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body is not JSON of the required shape.
    InvalidBody {
        /// What is wrong with it.
        reason: String,
    },
    /// The request is not authorized.
    Unauthorized {
        /// Why the request is not authorized.
        reason: UnauthorizedReason,
        /// How to get the token, if the operator configured a hint.
        hint: Option<Arc<str>>,
    },
    /// The server does not accept the host name.
    HostNotAllowed {
        /// The name.
        host: String,
    },
    /// A page of another site sent a request that would change something.
    CrossSite,
    /// The body did not arrive in time.
    BodyTimedOut,
    /// The table has no such row.
    NoSuchRow(MissingRow),
    /// The row does not have the file, or the file has changed since the version linked it.
    NoImage(MissingFile),
    /// The version does not exist yet.
    NoSuchVersion {
        /// The latest version.
        newest: u64,
    },
    /// The requested time is before the first version of the table.
    BeforeFirstVersion,
    /// The version has expired.
    VersionGone,
    /// The version was not committed within the time that the client wanted to wait.
    VersionNotReached {
        /// The requested version.
        requested: u64,
        /// The latest version.
        newest: u64,
    },
    /// Two versions have other columns.
    DatasetChanged {
        /// The earlier version.
        since: u64,
        /// The later version.
        until: u64,
    },
    /// Neither a report nor the launcher knows the run.
    NoSuchRun,
    /// The run has ended, so it cannot be stopped.
    RunEnded,
    /// There is no table yet.
    NoTable {
        /// The latest run, which may create it.
        run: Option<Box<RunDocument>>,
    },
    /// The table has not been loaded since this server started.
    TableNotLoaded,
    /// The store does not respond.
    StoreUnavailable,
    /// This server does not start runs.
    RunsDisabled,
    /// The server is shutting down.
    ShuttingDown,
    /// The run could not be started.
    LaunchFailed {
        /// Why the run could not be started, and what to do.
        reason: String,
    },
    /// The run could not be stopped.
    StopFailed {
        /// Why the run could not be stopped, and what to do.
        reason: String,
    },
    /// The maximum number of runs is active, and the request can join none of them.
    TooManyRuns {
        /// What to do.
        reason: String,
    },
    /// The idempotency key was used for another request.
    KeyReused {
        /// For which request the key was used, and what to do.
        reason: String,
    },
    /// The run that the request refers to has no blocked deletions.
    NothingBlocked {
        /// Why there are no blocked deletions, and what to do.
        reason: String,
        /// Whether the run is active and may still be blocked.
        is_active: bool,
    },
    /// The launcher cannot start a run yet.
    LauncherBusy {
        /// What it waits for.
        reason: String,
    },
    /// Too many requests are in flight.
    TooBusy,
    /// The responses to this client, or to all clients, use all of the memory for responses.
    ResponseBudgetExhausted,
    /// The API does not accept connections.
    NotAccepting,
    /// The request took too long.
    TimedOut,
    /// An internal error, which the log describes.
    Internal,
}

/// Why a request is not authorized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnauthorizedReason {
    /// It has no token, and no valid session.
    NoToken,
    /// Its token is not the token of the server.
    WrongToken,
    /// It would change something and has a session, but no `Origin` of this server.
    OtherOrigin,
}

/// Whether a response with this status requires a token, which a browser does not send by itself.
pub fn is_unauthorized(status: u16) -> bool {
    status == StatusCode::UNAUTHORIZED
}

impl Problem {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.kind().status
    }

    /// The kind of problem, for the access log.
    pub fn observed(&self) -> ProblemKind {
        ProblemKind(self.kind().name)
    }

    /// The title of the kind of problem, in the words of the dataset.
    pub fn title(&self) -> String {
        match self {
            Self::NoSuchRow(row) => row.title(),
            Self::NoImage(file) => file.title(),
            _ => self.kind().title.to_owned(),
        }
    }

    /// Seconds after which a retry may succeed.
    fn retry_after(&self) -> Option<u16> {
        match self {
            Self::NoTable { .. }
            | Self::TableNotLoaded
            | Self::StoreUnavailable
            | Self::ResponseBudgetExhausted
            | Self::TooManyRuns { .. }
            | Self::NothingBlocked { is_active: true, .. } => Some(5),
            Self::ShuttingDown | Self::LauncherBusy { .. } | Self::TooBusy | Self::VersionNotReached { .. } => Some(1),
            _ => None,
        }
    }
}

/// Passes the problem to [`document::write_documents`], which knows the path of the request.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(seconds) = self.retry_after() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Self::RangeNotSatisfiable { bytes } = self {
            let range = HeaderValue::try_from(format!("bytes */{bytes}")).expect("digits are visible ASCII characters");
            headers.insert(header::CONTENT_RANGE, range);
        }
        if matches!(self, Self::Unauthorized { .. }) {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let mut response = (self.status(), headers).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The kind of the problem in a response, for the access log.
#[derive(Clone, Copy, Debug)]
pub struct ProblemKind(pub &'static str);

/// The response of a handler that panicked. The message is logged and not sent, because it may contain what the client must not see.
#[expect(clippy::needless_pass_by_value, reason = "`CatchPanicLayer` passes the payload by value")]
pub fn from_panic(panic: Box<dyn Any + Send>) -> Response<Body> {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&'static str>().copied());
    tracing::error!(panic = message.unwrap_or("no message"), "request handler panicked");
    Problem::Internal.into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::to_bytes,
        extract::Request,
        middleware::{self, Next},
        routing::get,
    };
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    use super::{document::write_documents, *};

    async fn panicking() -> Response {
        panic!("a secret");
    }

    #[tokio::test]
    async fn panic_is_a_problem_without_its_message() {
        let router = Router::new()
            .route("/broken", get(panicking))
            .layer(CatchPanicLayer::custom(from_panic))
            .layer(middleware::from_fn(|request, next: Next| {
                write_documents(request, |request| next.run(request))
            }));
        let request = Request::get("/broken").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"instance\":\"/broken\"") && !body.contains("secret"), "{body}");
    }
}
