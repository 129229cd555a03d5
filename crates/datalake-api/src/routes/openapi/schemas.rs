//! Parameters and schemas that are equal for every dataset. `datalake-core` parses the parameters, and `rows/` encodes the rows.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::json;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::{
    routes::openapi::dataset_schemas::ShownRow,
    rows::format::{Format, Shape},
};

/// The conditional request headers (RFC 9110, 13.1).
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "`datalake_http::conditional` parses the headers; this describes them")]
pub(crate) struct ConditionParameters {
    /// ETags of responses that the client has, separated by commas. If one of them is current, the response is a 304 without a body.
    #[param(rename = "If-None-Match", value_type = String, required = false, example = "\"a-1-b\"")]
    if_none_match: Option<String>,
    /// ETags, separated by commas. If none of them is current, the response is a 412.
    #[param(rename = "If-Match", value_type = String, required = false, example = "*")]
    if_match: Option<String>,
}

/// Page, format and layout of the rows.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`DataQuery` parses the parameters; this describes them")]
pub(crate) struct PresentationParameters {
    /// The maximum number of rows in the response; all by default. The header `Link` with `rel="next"` contains the URL of the next page.
    #[param(minimum = 1, maximum = 10000, example = 100)]
    limit: Option<u16>,
    /// The start of the page, from the `Link` header of the previous page. All pages show one version of the table.
    cursor: Option<String>,
    /// The format of the rows; negotiated by the `Accept` header by default.
    #[param(example = "json")]
    format: Option<Format>,
    /// The layout of JSON.
    #[param(example = "rows")]
    shape: Option<Shape>,
    /// Which cells of a CSV are escaped. `spreadsheet` adds a `'` to text that a spreadsheet would evaluate: text that begins with `=`,
    /// `+`, `-`, `@`, a tab or a carriage return.
    #[param(example = "spreadsheet")]
    escape: Option<EscapeDocument>,
}

/// Which cells of a CSV are escaped with `'`.
#[derive(Debug, ToSchema)]
#[schema(as = Escape, rename_all = "snake_case")]
#[expect(dead_code, reason = "`DataQuery` parses the parameter; this describes it")]
pub(crate) enum EscapeDocument {
    /// Cells that a spreadsheet would evaluate.
    Spreadsheet,
}

/// The ID of a run in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "`RunId::parse` parses the ID; this describes it")]
pub(crate) struct RunPath {
    /// The run's ID, as `/runs` shows it.
    #[param(
        min_length = 1,
        max_length = 128,
        pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$",
        example = "datalake-processor-29384756"
    )]
    run_id: String,
}

/// Rows as JSON: an array of rows, or, with `shape=columns`, an object of columns.
#[derive(Serialize, ToSchema)]
#[schema(as = Rows)]
#[serde(untagged)]
#[expect(dead_code, reason = "this describes what `rows/` writes")]
pub(crate) enum RowsDocument {
    List(RowList),
    Columns(RowColumns),
}

/// An array of rows.
#[derive(Serialize, ToSchema)]
pub(crate) struct RowList(Vec<ShownRow>);

/// The selected columns by name, in the layout of pandas.
#[derive(Serialize, ToSchema)]
pub(crate) struct RowColumns(BTreeMap<String, ColumnValues>);

/// The values of a column by row number, from 0: strings, integers or null.
///
/// The schema does not describe the values further, because generated clients for a map of maps of a union type do not compile.
#[derive(Serialize, ToSchema)]
#[schema(value_type = Object, description = "The values of a column by row number, from 0: strings, integers or null.")]
pub(crate) struct ColumnValues(BTreeMap<String, serde_json::Value>);

/// Describes rows as NDJSON.
pub(crate) struct RowLines;

impl PartialSchema for RowLines {
    fn schema() -> RefOr<Schema> {
        lines_of("Rows as NDJSON: one JSON object per line.", "ShownRow")
    }
}

impl ToSchema for RowLines {
    fn name() -> Cow<'static, str> {
        "RowLines".into()
    }
}

/// The schema of NDJSON: a string, because it is not one JSON document, whose lines have the schema of this name.
pub(crate) fn lines_of(description: &str, name: &str) -> RefOr<Schema> {
    let mut text = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .content_media_type("application/x-ndjson")
        .build();
    let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
    text.extensions.get_or_insert_default().insert("contentSchema".to_owned(), schema);
    text.into()
}

/// Binary content.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "this describes bytes of `rows/` and the store")]
pub(crate) struct Binary(Box<[u8]>);
