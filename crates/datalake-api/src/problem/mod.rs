//! Everything that can go wrong with a request, and the one place that chooses status codes. Problems are documents as RFC 9457 has them.

pub mod document;
pub mod from;

use std::{any::Any, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use datalake_core::query::error::QueryError;
use datalake_http::server::request_error::RequestError;

use crate::routes::run_document::RunView;

/// Why a request has no other answer. A variant a reaction of the client.
#[derive(Clone, Debug)]
pub enum Problem {
    /// The request was refused before a route could be found for it.
    Request(RequestError),
    /// No route has the path.
    NoSuchPath {
        /// The nearest path that there is.
        nearest: Option<String>,
    },
    /// The route does not take the method; the `Allow` header says which it takes.
    MethodNotAllowed,
    /// A query parameter is unknown or malformed.
    Parameter(QueryError),
    /// The client accepts none of the formats.
    NotAcceptable {
        /// The media types and the names of the formats.
        offered: String,
    },
    /// The client takes neither the plain bytes nor a coding that there is.
    NoCoding,
    /// The state of the table that a cursor is bound to is not to be had any more.
    CursorGone,
    /// A range of bytes begins behind the end.
    RangeNotSatisfiable {
        /// Bytes of the answer.
        bytes: u64,
    },
    /// `If-Match` or `If-Unmodified-Since` wants another answer than there is.
    ConditionFailed,
    /// A variable part of the path is malformed.
    Path(QueryError),
    /// A header is malformed.
    Header {
        /// Its name.
        name: &'static str,
        /// What is accepted.
        reason: &'static str,
    },
    /// The body is no JSON.
    BodyType {
        /// The `Content-Type` header, if there is one.
        found: Option<String>,
    },
    /// The body is over the limit.
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The body is JSON of another shape, or none.
    BodyInvalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The request does not have the rights of the token.
    Unauthorized {
        /// Why.
        refusal: Refusal,
        /// How it is got here, where that was configured.
        hint: Option<Arc<str>>,
    },
    /// The server does not answer under the name of this host.
    HostNotAllowed {
        /// The name.
        host: String,
    },
    /// A page of another site would change something.
    CrossSite,
    /// The body did not arrive in time.
    BodyTimedOut,
    /// The table has no such user.
    NoSuchUser,
    /// The user has no picture.
    NoPicture,
    /// The table has no such version yet.
    NoSuchVersion {
        /// The newest version.
        newest: u64,
    },
    /// The time asked for lies before the table's first version.
    BeforeFirstVersion,
    /// The version was there once.
    VersionGone,
    /// The version did not come in the time that the client would wait.
    VersionNotReached {
        /// At least this one.
        asked: u64,
        /// The newest version.
        held: u64,
    },
    /// Neither a report nor a launcher knows the run.
    NoSuchRun,
    /// The run cannot be stopped any more.
    RunEnded,
    /// There is no table yet.
    NoTable {
        /// The run that makes it, or the last one that tried.
        run: Option<Box<RunView>>,
    },
    /// The store has not answered since this server started.
    TableUnknown,
    /// The store does not answer now.
    StoreUnavailable,
    /// This server starts no runs.
    NotLaunching,
    /// The server is shutting down.
    ShuttingDown,
    /// The run could not be started.
    LaunchFailed {
        /// Why, and what to do.
        reason: String,
    },
    /// The run could not be stopped.
    StopFailed {
        /// Why, and what to do.
        reason: String,
    },
    /// As many runs as are allowed are active, and none of them answers the request.
    TooManyRuns {
        /// What to do.
        reason: String,
    },
    /// The idempotency key was used for another request.
    KeyReused {
        /// For which, and what to do.
        reason: String,
    },
    /// The run that a request refers to has no blocked deletions.
    NothingBlocked {
        /// Why, and what to do.
        reason: String,
        /// Whether the run may still be blocked.
        is_active: bool,
    },
    /// No run can be started yet.
    LauncherBusy {
        /// What is waited for.
        reason: String,
    },
    /// Too many requests are in flight.
    TooBusy,
    /// Responses in memory hold as much as they may, of this client or of all.
    ResponseBudgetExhausted,
    /// The listener of the API does not accept connections.
    NotAccepting,
    /// The request took too long.
    TimedOut,
    /// A fault of this program.
    Internal,
}

/// Why a request does not have the rights of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It has no token, and no session that is valid.
    NoToken,
    /// It has a token that is not the server's.
    WrongToken,
    /// It would change something, and has a session, but no `Origin` of the server's own.
    OtherOrigin,
}

/// What all problems of one kind share.
struct Kind {
    status: StatusCode,
    name: &'static str,
    title: &'static str,
}

const fn kind(status: StatusCode, name: &'static str, title: &'static str) -> Kind {
    Kind { status, name, title }
}

fn kind_of_request(error: &RequestError) -> Kind {
    match error {
        RequestError::Malformed { .. } => kind(StatusCode::BAD_REQUEST, "malformed-request", "The request is malformed"),
        RequestError::TooLarge { .. } => kind(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "head-too-large",
            "The head of the request is too large",
        ),
        RequestError::TimedOut => kind(
            StatusCode::REQUEST_TIMEOUT,
            "request-timed-out",
            "The request did not arrive in time",
        ),
        RequestError::UnsupportedVersion => kind(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            "http-version-not-supported",
            "The version of HTTP is not supported",
        ),
        RequestError::UnsupportedTransferCoding => kind(
            StatusCode::NOT_IMPLEMENTED,
            "transfer-coding-not-supported",
            "The transfer coding is not supported",
        ),
        RequestError::UnsupportedConnect => kind(StatusCode::NOT_IMPLEMENTED, "no-proxy", "The server is no proxy"),
    }
}

impl Problem {
    fn kind(&self) -> Kind {
        match self {
            Self::Request(error) => kind_of_request(error),
            Self::NoSuchPath { .. } => kind(StatusCode::NOT_FOUND, "no-such-path", "There is nothing at this path"),
            Self::MethodNotAllowed => kind(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This path does not take the method",
            ),
            Self::Parameter(_) => kind(StatusCode::BAD_REQUEST, "invalid-parameter", "A parameter is unknown or malformed"),
            Self::NotAcceptable { .. } => kind(
                StatusCode::NOT_ACCEPTABLE,
                "not-acceptable",
                "There is no format that the client takes",
            ),
            Self::NoCoding => kind(StatusCode::NOT_ACCEPTABLE, "no-coding", "There is no coding that the client takes"),
            Self::CursorGone => kind(StatusCode::GONE, "cursor-gone", "The cursor's version of the table is gone"),
            Self::RangeNotSatisfiable { .. } => kind(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "range-not-satisfiable",
                "The range begins behind the end",
            ),
            Self::ConditionFailed => kind(
                StatusCode::PRECONDITION_FAILED,
                "condition-failed",
                "The answer is another than the request wants",
            ),
            Self::Path(_) => kind(StatusCode::BAD_REQUEST, "invalid-path", "The path is malformed"),
            Self::Header { .. } => kind(StatusCode::BAD_REQUEST, "invalid-header", "A header is malformed"),
            Self::BodyType { .. } => kind(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body must be JSON",
            ),
            Self::BodyTooLarge { .. } => kind(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large"),
            Self::BodyInvalid { .. } => kind(StatusCode::BAD_REQUEST, "invalid-body", "The body is malformed"),
            Self::Unauthorized { .. } => kind(StatusCode::UNAUTHORIZED, "unauthorized", "A bearer token is needed"),
            Self::HostNotAllowed { .. } => kind(
                StatusCode::MISDIRECTED_REQUEST,
                "host-not-allowed",
                "The server does not answer under this host name",
            ),
            Self::CrossSite => kind(StatusCode::FORBIDDEN, "cross-site", "Another site may not change anything here"),
            Self::BodyTimedOut => kind(StatusCode::REQUEST_TIMEOUT, "body-timed-out", "The body did not arrive in time"),
            Self::NoSuchUser => kind(StatusCode::NOT_FOUND, "no-such-user", "There is no such user"),
            Self::NoPicture => kind(StatusCode::NOT_FOUND, "no-picture", "The user has no picture"),
            Self::NoSuchVersion { .. } | Self::BeforeFirstVersion => {
                kind(StatusCode::NOT_FOUND, "no-such-version", "There is no such version")
            }
            Self::VersionGone => kind(StatusCode::GONE, "version-gone", "The version is gone"),
            Self::VersionNotReached { .. } => kind(StatusCode::CONFLICT, "version-not-reached", "The version is not there yet"),
            Self::NoSuchRun => kind(StatusCode::NOT_FOUND, "no-such-run", "There is no such run"),
            Self::RunEnded => kind(StatusCode::CONFLICT, "run-ended", "The run has ended"),
            Self::NoTable { .. } => kind(StatusCode::SERVICE_UNAVAILABLE, "no-table-yet", "There is no table yet"),
            Self::TableUnknown => kind(StatusCode::SERVICE_UNAVAILABLE, "table-unknown", "The table has not been read yet"),
            Self::StoreUnavailable => kind(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", "The store does not answer"),
            Self::NotLaunching => kind(StatusCode::NOT_IMPLEMENTED, "not-launching", "This server starts no runs"),
            Self::ShuttingDown => kind(StatusCode::SERVICE_UNAVAILABLE, "shutting-down", "The server is shutting down"),
            Self::LaunchFailed { .. } => kind(StatusCode::BAD_GATEWAY, "launch-failed", "The run could not be started"),
            Self::StopFailed { .. } => kind(StatusCode::BAD_GATEWAY, "stop-failed", "The run could not be stopped"),
            Self::TooManyRuns { .. } => kind(StatusCode::TOO_MANY_REQUESTS, "too-many-runs", "Too many runs are active"),
            Self::KeyReused { .. } => kind(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The idempotency key was used for another request",
            ),
            Self::NothingBlocked { is_active: true, .. } => kind(StatusCode::CONFLICT, "run-active", "The run has not ended"),
            Self::NothingBlocked { is_active: false, .. } => kind(
                StatusCode::UNPROCESSABLE_ENTITY,
                "nothing-blocked",
                "The run has no blocked deletions",
            ),
            Self::LauncherBusy { .. } => kind(StatusCode::SERVICE_UNAVAILABLE, "launcher-busy", "No run can be started yet"),
            Self::TooBusy => kind(StatusCode::SERVICE_UNAVAILABLE, "too-busy", "Too many requests are in flight"),
            Self::ResponseBudgetExhausted => kind(
                StatusCode::SERVICE_UNAVAILABLE,
                "response-budget-exhausted",
                "Too many large responses are being sent",
            ),
            Self::NotAccepting => kind(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-accepting",
                "The API does not accept connections",
            ),
            Self::TimedOut => kind(StatusCode::GATEWAY_TIMEOUT, "timed-out", "The request took too long"),
            Self::Internal => kind(StatusCode::INTERNAL_SERVER_ERROR, "internal", "A fault of this program"),
        }
    }

    /// The status of an answer that tells the problem.
    pub fn status(&self) -> StatusCode {
        self.kind().status
    }

    /// The kind of problem, for what observes the answer.
    pub fn observed(&self) -> ProblemKind {
        ProblemKind(self.kind().name)
    }

    /// The kind of problem in words.
    pub fn title(&self) -> &'static str {
        self.kind().title
    }

    /// What is wrong with this request, and what to do.
    pub fn detail(&self) -> String {
        match self {
            Self::Request(error) => error.detail(),
            Self::NoSuchPath { nearest: None } => "no path like this is known; / and /openapi.json list those that are".to_owned(),
            Self::NoSuchPath { nearest: Some(nearest) } => format!("no such path is known; did you mean `{nearest}`?"),
            Self::MethodNotAllowed => "the Allow header says which methods it takes".to_owned(),
            Self::Parameter(error) | Self::Path(error) => error.to_string(),
            Self::HostNotAllowed { host } => {
                format!("the host `{host}` is not allowed; use localhost or an address, or allow the name with --allowed-hosts")
            }
            Self::CrossSite => "a browser sent this request for a page of another site; allow that site with --cors-origin".to_owned(),
            Self::BodyTimedOut => "the body must arrive within 10 seconds; send it again".to_owned(),
            Self::NotAcceptable { offered } => {
                format!("the response can be {offered}; request one by the Accept header, format= or a suffix like /data.csv")
            }
            Self::NoCoding => "take identity, gzip or zstd by Accept-Encoding".to_owned(),
            Self::CursorGone => "begin again without a cursor: the table is another now".to_owned(),
            Self::RangeNotSatisfiable { bytes } => format!("the answer has {bytes} bytes"),
            Self::ConditionFailed => {
                "a version came since, or the day changed: begin anew; of rows and figures, `version=` and `on=` ask for those of before"
                    .to_owned()
            }
            Self::Header { name, reason } => format!("{reason}, header={name}"),
            Self::BodyType { found } => {
                let found = found.as_ref().map_or("the body has no Content-Type".to_owned(), |found| {
                    format!("the Content-Type is `{found}`")
                });
                format!("{found}; send JSON as application/json (`curl --json BODY`), or no body")
            }
            Self::BodyTooLarge { bytes_max } => format!("the body may have {bytes_max} bytes"),
            Self::BodyInvalid { reason }
            | Self::LaunchFailed { reason }
            | Self::StopFailed { reason }
            | Self::TooManyRuns { reason }
            | Self::KeyReused { reason }
            | Self::NothingBlocked { reason, .. }
            | Self::LauncherBusy { reason } => reason.clone(),
            Self::Unauthorized { refusal, hint } => {
                let hint = hint.as_deref().unwrap_or("it is in the file that --token-file names");
                let what = match refusal {
                    Refusal::NoToken => "no token was sent",
                    Refusal::WrongToken => "the token that was sent is not this server's",
                    Refusal::OtherOrigin => {
                        "a session starts and stops runs only from pages of this server (Origin), and no token was sent"
                    }
                };
                format!("{what}: send the token of this server as `Authorization: Bearer TOKEN`; {hint}")
            }
            Self::NoSuchUser => "no row of the table has this user_id; ids are compared byte by byte".to_owned(),
            Self::NoPicture => "the lake holds no good picture of this user; /data/{id}/explain says why".to_owned(),
            Self::NoSuchVersion { newest } => {
                format!("the newest version is {newest}; `min_version` and `wait` wait for one that is to come")
            }
            Self::BeforeFirstVersion => "the table's first version came later; /versions shows when".to_owned(),
            Self::VersionGone => {
                "what made up this version is removed: a version is kept for a week after a newer one replaced it; /versions shows those \
                 that the log still reaches back to. Ask for a newer one, or begin anew"
                    .to_owned()
            }
            Self::VersionNotReached { asked, held } => {
                format!("the newest version is {held}, and {asked} did not come in time; ask again, or wait longer (`wait`, at most 60s)")
            }
            Self::RunEnded => "only an active run can be stopped; what this one did is in its report".to_owned(),
            Self::NoSuchRun => "no run of this id has left a report or is active; /runs shows those that are known".to_owned(),
            Self::NoTable { run: None } => "no run has succeeded yet; POST /data starts one".to_owned(),
            Self::NoTable { run: Some(run) } => format!("the run {} is {}; ask again later", run.run_id(), run.state()),
            Self::TableUnknown => "it could not be read since this server started, as the server's log tells; ask again later".to_owned(),
            Self::StoreUnavailable => "this is read from the store, which does not answer now; ask again later".to_owned(),
            Self::NotLaunching => "it was started to only read; start runs with `datalake process`".to_owned(),
            Self::ShuttingDown | Self::TooBusy => "ask again in a moment".to_owned(),
            Self::ResponseBudgetExhausted => {
                "each response holds memory until its client has read it; retry after a few seconds, or request less".to_owned()
            }
            Self::NotAccepting => "the log of the server names the cause; restart the server".to_owned(),
            Self::TimedOut => "ask again, or for less".to_owned(),
            Self::Internal => "the request failed for a reason that the server's log tells under its request id".to_owned(),
        }
    }

    /// Whole seconds after which a further try may have another answer.
    fn retry_after(&self) -> Option<u16> {
        match self {
            Self::NoTable { .. }
            | Self::TableUnknown
            | Self::StoreUnavailable
            | Self::ResponseBudgetExhausted
            | Self::TooManyRuns { .. }
            | Self::NothingBlocked { is_active: true, .. } => Some(5),
            Self::ShuttingDown | Self::LauncherBusy { .. } | Self::TooBusy | Self::VersionNotReached { .. } => Some(1),
            _ => None,
        }
    }
}

/// Whether a response of this status asks for the token, which a browser does not send by itself.
pub fn is_unauthorized(status: u16) -> bool {
    status == StatusCode::UNAUTHORIZED
}

/// Carries the problem to [`write_documents`], which knows the request's path.
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
        let mut response = (self.kind().status, headers).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The kind of the problem that an answer is, for what observes it.
#[derive(Clone, Copy, Debug)]
pub struct ProblemKind(pub &'static str);

/// The answer where a handler panicked. The message is logged and not told: it may hold what a client must not see.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands over what was thrown")]
pub fn of_panic(panic: Box<dyn Any + Send>) -> Response<Body> {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&'static str>().copied());
    tracing::error!(panic = message.unwrap_or("not a text"), "a handler panicked");
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

    async fn broken() -> Response {
        panic!("a secret");
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_without_its_message() {
        let router = Router::new()
            .route("/broken", get(broken))
            .layer(CatchPanicLayer::custom(of_panic))
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
