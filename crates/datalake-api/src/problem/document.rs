//! Problems as documents (RFC 9457), written outside of the handlers, which do not know the path of the request.

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
    problem::{Kind, Problem},
    routes::run_document::RunView,
};

/// A problem as RFC 9457 words it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// Names the kind of problem; stable.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: &'static str,
    /// The status code once more.
    pub status: u16,
    /// What is wrong with this request, and what to do.
    pub detail: String,
    /// The path that was asked for.
    instance: String,
    /// The newest version, where it is not new enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    newest_version: Option<u64>,
    /// The query parameter that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// The nearest known parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub nearest: Option<String>,
    /// The run that makes the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub run: Option<Box<RunView>>,
}

impl Problem {
    /// The document of the problem for a request of the path `instance`.
    pub fn document(self, instance: String) -> ProblemDocument {
        let Kind { status, name, title } = self.kind();
        let detail = self.detail();
        let newest_version = match self {
            Self::NoSuchVersion { newest } | Self::VersionNotReached { held: newest, .. } => Some(newest),
            _ => None,
        };
        let (parameter, nearest, run) = match self {
            Self::Parameter(error) | Self::Path(error) => (Some(error.parameter), error.nearest, None),
            Self::NoSuchPath { nearest } => (None, nearest, None),
            Self::NoTable { run } => (None, None, run),
            _ => (None, None, None),
        };
        ProblemDocument {
            kind: format!("urn:datalake:problem:{name}"),
            title,
            status: status.as_u16(),
            detail,
            instance,
            newest_version,
            parameter,
            nearest,
            run,
        }
    }
}

/// Writes the documents of problems that come out of the routes.
pub async fn write_documents(mut request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let rejected = request.extensions_mut().remove::<RejectedRequest>();
    // The path of a request that was rejected before its head was parsed is unknown.
    let instance = rejected.as_ref().map_or(request.uri().path(), |_| "").to_owned();
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

/// The response of a problem with a representation of its document: the status and the other headers stay, and no cache keeps it.
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
