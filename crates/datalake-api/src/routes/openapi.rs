//! The description of the API, made from the handlers themselves.

use std::collections::BTreeMap;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document, PathItem, Ref, RefOr, Required,
        path::{Operation, Parameter, ParameterIn},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::parameters::EscapeDocument;
use crate::routes::format_suffix::refusal;
use crate::{
    probes::is_probe_or_metrics,
    rows::format::{Format, Shape},
};

/// What no handler says by itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "datalake",
        description = "The users of a lake, and the runs that keep them up to date.\n\nReads are answered from memory: they never wait for a \
                       run, and do not fail while the store is unavailable. The headers `datalake-version`, `datalake-version-age` and \
                       `datalake-checked-age` (seconds) state the version and its age. Errors are problem documents (RFC 9457).\n\nIf the \
                       server has a token, `POST` and `DELETE` need it, and with `--protect-reads` so does everything else except `/healthz`, \
                       `/readyz` and `/metrics`. Otherwise no request needs it. A browser that has signed in (`/page/sign-in`) sends a session cookie \
                       instead, which permits `POST` and `DELETE` from pages of the server. If the server has a token, responses to requests \
                       without it have a fixed message in place of a run's `error`, and no `log_tail`.",
        contact(name = "The maintainers of datalake"),
        license(name = "MIT", identifier = "MIT"),
    ),
    servers((url = "/", description = "The server that this description comes from")),
    tags(
        (name = "data", description = "The users and their history, from the table"),
        (name = "runs", description = "The runs that read the sources and commit new versions"),
        (name = "server", description = "Start page, health and metrics of the server"),
    ),
    components(schemas(Format, Shape, EscapeDocument)),
    security((), ("token" = [])),
    modifiers(&Token)
)]
pub(crate) struct Description;

/// The bearer token, which a server may or may not need.
struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let mut scheme = Http::new(HttpAuthScheme::Bearer);
        scheme.description = Some("The token of the server (`--token-file`). Not every server has one.".to_owned());
        let scheme = SecurityScheme::Http(scheme);
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The errors that a request to any path may get.
const OF_ALL: &[(&str, &str)] = &[("400", "A parameter is unknown or malformed")];

/// The errors of all paths but probes and metrics, which need no token and have their own budget.
const OF_OTHERS: &[(&str, &str)] = &[
    ("401", "This server needs a token for this request"),
    ("406", "There is no content coding that the client accepts"),
    ("421", "The server does not answer under this host name"),
    ("503", "Too many requests are in flight"),
    ("504", "The request took too long"),
];

/// Adds what no handler decides: who needs a token, and errors of the server as a whole.
pub(crate) fn add_rules_of_the_server(document: &mut Document) {
    for (path, item) in &mut document.paths.paths {
        let is_open = is_probe_or_metrics(path);
        for operation in operations(item) {
            if is_open {
                operation.security = Some(Vec::new());
            }
            // Of a body that may also be null, generators make clients that cannot leave it out.
            if let Some(RefOr::T(body)) = &mut operation.request_body {
                body.required = Some(Required::False);
            }
            let others = if is_open { &[] } else { OF_OTHERS };
            for (status, description) in OF_ALL.iter().chain(others) {
                let refusal = || RefOr::T(refusal(description));
                operation.responses.responses.entry((*status).to_owned()).or_insert_with(refusal);
            }
        }
    }
}

/// Moves parameters that several operations have in common to the components, so that each is described once.
pub(crate) fn share_parameters(document: &mut Document) {
    let mut uses: BTreeMap<String, Vec<Parameter>> = BTreeMap::new();
    for parameter in document.paths.paths.values_mut().flat_map(operations).flat_map(parameters) {
        if let RefOr::T(parameter) = parameter {
            uses.entry(key(parameter)).or_default().push(parameter.clone());
        }
    }
    // A name may be that of another parameter elsewhere, as `limit` is.
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

/// The key of a parameter in the components: a path and a query may both have a `user_id`.
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

/// The document. It is not part of itself.
pub(crate) fn show(text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
