//! Problem documents (RFC 9457). A layer outside of the handlers writes them, because `Problem` does not know the path of the request.

use axum::{
    Json,
    extract::Request,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use datalake_http::server::request_error::RejectedRequest;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    problem::{Problem, detail::NO_SUCH_PATH, kind::Kind},
    request::row_path,
    routes::run_document::RunDocument,
};

/// The page that explains each kind of problem, under its name.
pub const REFERENCE: &str = "/docs/problems";

/// A problem (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// The kind of problem, as a URI reference to its explanation; stable.
    #[schema(format = "uri-reference", example = "/docs/problems#invalid-parameter")]
    #[serde(rename = "type")]
    pub kind: String,
    /// The title of the kind of problem.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// The requested path.
    instance: String,
    /// The latest version of the table, if it is older than requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    newest_version: Option<u64>,
    /// The invalid parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameter: Option<String>,
    /// What is wrong, without the known names and without the most similar one; not serialized, because `detail` contains it.
    #[serde(skip)]
    pub cause: String,
    /// The known names, if a name is unknown; not serialized, because `detail` contains them.
    #[serde(skip)]
    pub known: Option<String>,
    /// The most similar known parameter or path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nearest: Option<String>,
    /// The latest run, if there is no table yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run: Option<Box<RunDocument>>,
}

impl Problem {
    /// The problem document of a request for the path `instance`.
    pub fn document(self, instance: String) -> ProblemDocument {
        let Kind { status, name, .. } = self.kind();
        let (title, detail) = (self.title(), self.detail());
        let newest_version = match self {
            Self::NoSuchVersion { newest } | Self::VersionNotReached { newest, .. } => Some(newest),
            _ => None,
        };
        let mut document = ProblemDocument {
            kind: format!("{REFERENCE}#{name}"),
            title,
            status: status.as_u16(),
            cause: detail.clone(),
            detail,
            instance,
            newest_version,
            parameter: None,
            known: None,
            nearest: None,
            run: None,
        };
        match self {
            Self::Parameter(error) | Self::Path(error) => {
                document.cause = format!("{}: {}", error.parameter, error.reason);
                (document.parameter, document.known, document.nearest) = (Some(error.parameter), error.known, error.nearest);
            }
            Self::NoSuchPath { nearest: Some(nearest) } => {
                NO_SUCH_PATH.clone_into(&mut document.cause);
                document.nearest = Some(nearest);
            }
            Self::NoTable { run } => document.run = run,
            _ => {}
        }
        document
    }
}

/// Writes the documents of the problems in responses.
pub async fn write_documents(mut request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let rejected = request.extensions_mut().remove::<RejectedRequest>();
    // The path of a request that was rejected before its head was parsed is unknown.
    let instance = rejected.as_ref().map_or(row_path::sent(&request), |_| "").to_owned();
    let mut response = match rejected {
        Some(RejectedRequest(error)) => Problem::from(error).into_response(),
        None => next(request).await,
    };
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    let media_type = HeaderValue::from_static("application/problem+json");
    replace_body(response, problem, instance, |document| {
        ([(header::CONTENT_TYPE, media_type)], Json(document)).into_response()
    })
}

/// Replaces the body of a response by a representation of the problem document. The status and the other headers are kept, and caches do
/// not store it.
pub fn replace_body(
    response: Response,
    problem: Problem,
    instance: String,
    represent: impl FnOnce(ProblemDocument) -> Response,
) -> Response {
    let (mut parts, _) = response.into_parts();
    parts.extensions.insert(problem.observed());
    parts.headers.remove(header::CONTENT_LENGTH);
    let (representation, body) = represent(problem.document(instance)).into_parts();
    parts.headers.extend(representation.headers);
    parts.headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, body)
}
