//! `/data.csv`, `/data.parquet` and so on: the format in the path, for programs that derive the format from a file name.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method},
    routing::get,
};
use datalake_core::{query::error::QueryError, text::capitalized};
use utoipa::openapi::{
    Header, HttpMethod, OpenApi as Document, PathItem, RefOr, Required, Response,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};

use crate::{
    request::{
        data_query::{DataQuery, ESCAPE},
        table_read::TableRead,
    },
    routes::{
        openapi::problem_response,
        users::{self, RowResources},
    },
    rows::format::Format,
    state::ApiState,
};

/// The routes.
pub(crate) fn router() -> Router<ApiState> {
    Format::ALL.into_iter().fold(Router::new(), |router, suffix| {
        let list = async move |TableRead(data_query, read_at): TableRead<DataQuery>,
                               State(resources): State<RowResources>,
                               method: Method,
                               headers: HeaderMap| {
            if data_query.format.is_some_and(|format| format != suffix) {
                return Err(QueryError::value("format", "contradicts the suffix of the path; omit it").into());
            }
            users::respond(suffix, data_query, read_at, &resources, &method, &headers).await
        };
        router.route(&path(suffix), get(list))
    })
}

fn path(format: Format) -> String {
    format!("/data.{}", format.name())
}

/// Adds the routes to the OpenAPI description, derived from that of `/data`.
pub(crate) fn describe(document: &mut Document) {
    let Some(all) = document.paths.get_path_operation("/data", HttpMethod::Get).cloned() else {
        return;
    };
    for format in Format::ALL {
        let item = PathItem::new(HttpMethod::Get, of_format(all.clone(), format));
        document.paths.paths.insert(path(format), item);
    }
}

fn of_format(mut operation: Operation, format: Format) -> Operation {
    let media_type = format.media_type();
    // A group of their own, so that they do not separate `/data` from the other paths.
    operation.tags = Some(vec!["formats".to_owned()]);
    operation.operation_id = Some(format!("listRowsAs{}", capitalized(format.name())));
    operation.summary = Some(format!("List ENTITIES as {}", label(format)));
    operation.description = Some(format!("Returns the response of `/data?format={}`.", format.name()));
    let applies = |name: &str| match name {
        "format" => false,
        "shape" => format == Format::Json,
        ESCAPE => format == Format::Csv,
        _ => true,
    };
    let parameters = operation.parameters.get_or_insert_default();
    parameters.retain(|parameter| !matches!(parameter, RefOr::T(parameter) if !applies(&parameter.name)));
    let responses = &mut operation.responses.responses;
    // The path selects the format. The common 406 for content codings is added later.
    responses.remove("406");
    if let Some(RefOr::T(whole)) = responses.get_mut("200") {
        whole.content.retain(|name, _| name == media_type);
    }
    if matches!(format, Format::Parquet | Format::Csv | Format::Ndjson) {
        parameters.push(RefOr::T(range()));
        let part = responses.get("200").cloned().map(part_of);
        responses.extend(part.map(|part| ("206".to_owned(), part)));
        responses.insert("416".to_owned(), RefOr::T(problem_response("The range starts after the end")));
    }
    operation
}

fn part_of(whole: RefOr<Response>) -> RefOr<Response> {
    let RefOr::T(mut part) = whole else { return whole };
    "The requested range".clone_into(&mut part.description);
    let header = Header::new(ObjectBuilder::new().schema_type(Type::String));
    part.headers.insert("content-range".to_owned(), RefOr::T(header));
    RefOr::T(part)
}

fn range() -> Parameter {
    ParameterBuilder::new()
        .name("Range")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A byte range of the file: `bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LAST`",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .example(Some("bytes=0-3".into()))
        .build()
}

/// The name of the format in prose.
fn label(format: Format) -> &'static str {
    match format {
        Format::Json => "JSON",
        Format::Ndjson => "NDJSON",
        Format::Csv => "CSV",
        Format::Parquet => "Parquet",
        Format::Arrow => "Arrow",
    }
}
