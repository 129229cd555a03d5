//! Groups of error responses, for the OpenAPI description.

use utoipa::IntoResponses;

use crate::problem::document::ProblemDocument;

/// The errors of requests that read any version of the table.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "this describes responses that `Problem` makes")]
pub(crate) enum ReadProblems {
    /// A parameter is unknown or malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    InvalidParameter(ProblemDocument),
    /// The user or the version does not exist.
    #[response(status = 404, content_type = "application/problem+json")]
    NotFound(ProblemDocument),
    /// `min_version` was not committed in time.
    #[response(status = 409, content_type = "application/problem+json")]
    VersionNotReached(ProblemDocument),
    /// The version has expired.
    #[response(status = 410, content_type = "application/problem+json")]
    VersionGone(ProblemDocument),
    /// There is no table yet, the server is too busy, or the store does not respond. `Retry-After` says when to retry.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// The errors of requests that read only the latest version of the table.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "this describes responses that `Problem` makes")]
pub(crate) enum NewestReadProblems {
    /// A parameter is unknown or malformed.
    #[response(status = 400, content_type = "application/problem+json")]
    InvalidParameter(ProblemDocument),
    /// `min_version` was not committed in time.
    #[response(status = 409, content_type = "application/problem+json")]
    VersionNotReached(ProblemDocument),
    /// There is no table yet, the server is too busy, or the store does not respond. `Retry-After` says when to retry.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// The responses to conditional requests.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "this describes responses that `Validators` and `Problem` make")]
#[expect(clippy::large_enum_variant, reason = "no value is created")]
pub(crate) enum ConditionalResponses {
    /// The client has the current response: one of the ETags in `If-None-Match` matches.
    #[response(status = 304)]
    NotModified,
    /// None of the ETags in `If-Match` matches.
    #[response(status = 412, content_type = "application/problem+json")]
    PreconditionFailed(ProblemDocument),
}

/// The errors of requests that start or stop runs.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "this describes responses that `Problem` makes")]
pub(crate) enum RunProblems {
    /// This server requires a token.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemDocument),
    /// A browser sent the request for a page of another site.
    #[response(status = 403, content_type = "application/problem+json")]
    CrossSite(ProblemDocument),
    /// This server does not start runs.
    #[response(status = 501, content_type = "application/problem+json")]
    RunsDisabled(ProblemDocument),
    /// The launcher failed to start or stop the run.
    #[response(status = 502, content_type = "application/problem+json")]
    LauncherFailed(ProblemDocument),
    /// The server is shutting down or too busy, or the store does not respond. `Retry-After` says when to retry.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}

/// The errors of requests that read runs.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "this describes responses that `Problem` makes")]
pub(crate) enum RunReadProblems {
    /// No run has this ID.
    #[response(status = 404, content_type = "application/problem+json")]
    NoSuchRun(ProblemDocument),
    /// The server is too busy, or the store does not respond. `Retry-After` says when to retry.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemDocument),
}
