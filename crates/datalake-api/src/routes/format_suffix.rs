//! `/data.csv` and its like: the format in the path, for programs that go by a file's name.

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method},
    routing::get,
};
use datalake_core::query::error::QueryError;
use utoipa::openapi::{
    Content, Header, HttpMethod, OpenApi as Document, PathItem, Ref, RefOr, Required, Response,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};

use crate::routes::users::{self, Kept};
use crate::{
    request::{
        query_string::{ESCAPE, RowsAsked},
        snapshot::Reading,
    },
    rows::format::Format,
    state::ApiState,
};

/// The routes.
pub(crate) fn router() -> Router<ApiState> {
    Format::ALL.into_iter().fold(Router::new(), |router, suffix| {
        let list = async move |asked: RowsAsked, reading: Reading, State(kept): State<Kept>, method: Method, headers: HeaderMap| {
            if asked.format.is_some_and(|format| format != suffix) {
                return Err(QueryError::value("format", "is another format than the path's").into());
            }
            users::answer(suffix, asked, reading, &kept, &method, &headers).await
        };
        router.route(&path(suffix), get(list))
    })
}

fn path(format: Format) -> String {
    format!("/data.{}", format.name())
}

/// Adds their description: that of `/data`, of which a format is one.
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
    operation.operation_id = Some(format!("listRowsAs{}", capitalized(format.name())));
    operation.summary = Some(format!("The users that the parameters select, as {media_type}."));
    operation.description = Some(format!("The same as `/data?format={}`.", format.name()));
    let is_taken = |name: &str| match name {
        "format" => false,
        "shape" => format == Format::Json,
        ESCAPE => format == Format::Csv,
        _ => true,
    };
    let parameters = operation.parameters.get_or_insert_default();
    parameters.retain(|parameter| !matches!(parameter, RefOr::T(parameter) if !is_taken(&parameter.name)));
    let responses = &mut operation.responses.responses;
    // The path says which format is wanted; codings may still be refused.
    responses.remove("406");
    if let Some(RefOr::T(whole)) = responses.get_mut("200") {
        whole.content.retain(|name, _| name == media_type);
    }
    if matches!(format, Format::Parquet | Format::Csv | Format::Ndjson) {
        parameters.push(RefOr::T(range()));
        let part = responses.get("200").cloned().map(part_of);
        responses.extend(part.map(|part| ("206".to_owned(), part)));
        responses.insert("416".to_owned(), RefOr::T(refusal("The range begins behind the end")));
    }
    operation
}

fn part_of(whole: RefOr<Response>) -> RefOr<Response> {
    let RefOr::T(mut part) = whole else { return whole };
    "The part that `Range` names".clone_into(&mut part.description);
    let header = Header::new(ObjectBuilder::new().schema_type(Type::String));
    part.headers.insert("content-range".to_owned(), RefOr::T(header));
    RefOr::T(part)
}

fn range() -> Parameter {
    ParameterBuilder::new()
        .name("Range")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("`bytes=FIRST-LAST`, `bytes=FIRST-` or `bytes=-LAST`: one part of the file"))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .example(Some("bytes=0-3".into()))
        .build()
}

/// A problem document.
pub(crate) fn refusal(description: &str) -> Response {
    let mut response = Response::new(description);
    let document = Content::new(Some(Ref::from_schema_name("ProblemDocument")));
    response.content.insert("application/problem+json".to_owned(), document.into());
    response
}

fn capitalized(name: &str) -> String {
    let mut characters = name.chars();
    characters
        .next()
        .map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + characters.as_str())
}
