//! The OpenAPI description, which is generated from the handlers and from the declaration of the dataset.
//!
//! Texts contain `ENTITY`, `ENTITIES` and `FILE`, which are replaced by words of the declaration.

pub(crate) mod dataset_document;
pub(crate) mod dataset_parameters;
pub(crate) mod dataset_schemas;
pub(crate) mod schemas;

use std::collections::BTreeMap;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        Content, OpenApi as Document, PathItem, Ref, RefOr, Required, Response as ResponseObject,
        path::{Operation, Parameter, ParameterIn},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::{
    operator_paths::is_probe_or_metrics,
    problem::document::ProblemDocument,
    routes::openapi::schemas::EscapeDocument,
    rows::format::{Format, Shape},
};

/// The parts of the description that do not come from a handler.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "datalake",
        description = "Query the ENTITIES of a lake, and run the processor that keeps them up to date.\n\nReads are served from memory: they never \
                       wait for a run, and do not fail while the store is unavailable. The headers `datalake-version`, `datalake-version-age` and \
                       `datalake-checked-age` (seconds) state the version and its age. Errors are problem documents (RFC 9457).\n\nIf the \
                       server has a token, `POST` and `DELETE` require it, and with `--protect-reads` so does every other request except those to \
                       `/healthz`, `/readyz` and `/metrics`. A browser that has signed in (`/page/sign-in`) sends a session cookie instead, \
                       which permits `POST` and `DELETE` from pages of the server. If the server has a token, responses to requests without it \
                       contain a fixed message in place of a run's `error`, and no `log_tail`.",
        contact(name = "The maintainers of datalake"),
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((url = "/", description = "This server")),
    tags(
        (name = "data", description = "Rows, statistics and history"),
        (name = "formats", description = "Rows in the format of the path, for programs that derive the format from a file name"),
        (name = "runs", description = "Start, follow and stop runs"),
        (name = "server", description = "Start page, health and metrics"),
    ),
    components(schemas(Format, Shape, EscapeDocument, ProblemDocument)),
    security((), ("token" = [])),
    modifiers(&Token)
)]
pub(crate) struct Description;

/// The bearer token, which is optional.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("The token of the server (`--token-file`), if it has one.".to_owned());
        let scheme = SecurityScheme::Http(scheme);
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The errors of all paths.
const COMMON: &[(&str, &str)] = &[("400", "A parameter is unknown or malformed")];

/// The errors of all paths except probes and metrics, which need no token and have limits of their own.
const COMMON_EXCEPT_PROBES: &[(&str, &str)] = &[
    ("401", "This server requires a token"),
    ("406", "The client accepts none of the content codings"),
    ("421", "The host name is not allowed"),
    ("503", "Too many requests are in flight"),
    ("504", "The request took too long"),
];

/// Adds the security requirements, and the errors that no handler decides.
pub(crate) fn add_common_responses(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        let is_probe = is_probe_or_metrics(path);
        for operation in operations(item) {
            if is_probe {
                operation.security = Some(Vec::new());
            }
            // Otherwise, generated clients cannot omit the body.
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(Required::False);
            }
            let others = if is_probe { &[] } else { COMMON_EXCEPT_PROBES };
            for (status, description) in COMMON.iter().chain(others) {
                let response = || RefOr::T(problem_response(description));
                operation.responses.responses.entry((*status).to_owned()).or_insert_with(response);
            }
        }
    }
}

/// Describes a response with a problem document.
pub(crate) fn problem_response(description: &str) -> ResponseObject {
    let mut response = ResponseObject::new(description);
    let document = Content::new(Some(Ref::from_schema_name("ProblemDocument")));
    response.content.insert("application/problem+json".to_owned(), document.into());
    response
}

/// Moves parameters that several operations share to the components, so that each is described once.
fn share_parameters(document: &mut Document) {
    let mut uses: BTreeMap<String, Vec<Parameter>> = BTreeMap::new();
    for parameter in document.paths.paths.values_mut().flat_map(operations).flat_map(parameters) {
        if let RefOr::T(parameter) = parameter {
            uses.entry(key(parameter)).or_default().push(parameter.clone());
        }
    }
    // Different parameters may have the same name, such as `limit`.
    uses.retain(
        |_, parameters| matches!(&parameters[..], [first, rest @ ..] if !rest.is_empty() && rest.iter().all(|other| other == first)),
    );
    for parameter in document.paths.paths.values_mut().flat_map(operations).flat_map(parameters) {
        let shared = match parameter {
            RefOr::T(parameter) => Some(key(parameter)).filter(|key| uses.contains_key(key)),
            RefOr::Ref(_) => None,
        };
        if let Some(key) = shared {
            *parameter = RefOr::Ref(Ref::new(format!("#/components/parameters/{key}")));
        }
    }
    let shared = uses
        .into_iter()
        .filter_map(|(key, mut parameters)| Some((key, RefOr::T(parameters.pop()?))));
    document.components.get_or_insert_default().parameters.extend(shared);
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten()
}

fn parameters(operation: &mut Operation) -> impl Iterator<Item = &mut RefOr<Parameter>> {
    operation.parameters.iter_mut().flatten()
}

/// The key of a parameter in the components. A path and a query string may both have a parameter `user_id`.
fn key(parameter: &Parameter) -> String {
    let place = match parameter.parameter_in {
        ParameterIn::Query => "query",
        ParameterIn::Path => "path",
        ParameterIn::Header => "header",
        ParameterIn::Cookie => "cookie",
        ParameterIn::QueryString => "querystring",
    };
    format!("{place}.{}", parameter.name)
}

/// Responds with the document.
pub(crate) fn show(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
