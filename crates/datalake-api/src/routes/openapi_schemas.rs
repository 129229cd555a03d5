//! Parameters and schemas for the OpenAPI description. `datalake-core` parses the parameters, and `rows/` encodes the rows.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;
use serde_json::json;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

use crate::rows::format::{Format, Shape};

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

/// The filters, and the day on which ages are computed.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`Query::parse` parses the parameters; this describes them")]
pub(crate) struct FilterParameters {
    /// Words, separated by white space. Each is part of the user ID, the first name or the last name; the case is ignored in every script.
    /// Without `order`, users whose ID or names begin with the words come first.
    #[param(pattern = "\\S", example = "lee")]
    q: Option<String>,
    /// `True` selects users with an image, `False` users without one. The case is ignored.
    #[param(pattern = "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee])$", example = "True")]
    is_image_exists: Option<String>,
    /// The minimum age in completed years, inclusive. An empty value selects the lowest age among the rows that match all other filters.
    #[param(
        pattern = "^(0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$",
        example = "30"
    )]
    min_age: Option<String>,
    /// The maximum age in completed years, inclusive. An empty value selects the highest age among the rows that match all other filters.
    #[param(
        pattern = "^(0*([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$",
        example = "40"
    )]
    max_age: Option<String>,
    /// The day on which ages are computed, as `YYYY-MM-DD`; today (UTC) by default.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-24")]
    on: Option<String>,
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

/// The ID of a user in a path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "`UserId::parse` parses the ID; this describes it")]
pub(crate) struct UserPath {
    /// The user's ID: the name of the user's CSV file without its extension.
    #[param(
        min_length = 1,
        max_length = 64,
        pattern = "^(\\.*[A-Za-z0-9_-][A-Za-z0-9._-]*|\\.{3,})$",
        example = "1000"
    )]
    user_id: String,
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

/// The selected columns of a user's row.
#[derive(Serialize, ToSchema)]
pub(crate) struct ShownRow {
    /// The user's ID; a string, even if it looks like a number.
    #[schema(nullable = false, example = "1000")]
    user_id: Option<String>,
    /// The user's first name.
    #[schema(nullable = false)]
    first_name: Option<String>,
    /// The user's last name.
    #[schema(nullable = false)]
    last_name: Option<String>,
    /// The time of birth in milliseconds since 1970-01-01 UTC.
    #[schema(nullable = false, example = 334_540_800_000_i64)]
    birthts: Option<i64>,
    /// The key of the user's image in the lake; null without an image.
    img_path: Option<String>,
    /// Completed years on the requested day; null for a user born after it.
    age: Option<u16>,
}

/// A user's row as a version of the table stores it. It has no age, which depends on a day.
#[derive(Serialize, ToSchema)]
#[schema(as = StoredRow)]
pub(crate) struct StoredRowSchema {
    /// The user's ID; a string, even if it looks like a number.
    #[schema(example = "1000")]
    user_id: String,
    /// The user's first name.
    first_name: String,
    /// The user's last name.
    last_name: String,
    /// The time of birth in milliseconds since 1970-01-01 UTC.
    #[schema(example = 334_540_800_000_i64)]
    birthts: i64,
    /// The key of the user's image in the lake; null without an image.
    #[schema(required)]
    img_path: Option<String>,
}

/// A user's row, with the age on the requested day.
#[derive(Serialize, ToSchema)]
#[schema(as = Row)]
pub(crate) struct RowSchema {
    #[serde(flatten)]
    stored: StoredRowSchema,
    /// Completed years on the requested day; null for a user born after it.
    #[schema(required)]
    age: Option<u16>,
}

/// Statistics of users. Users born after the requested day are counted, but have no age.
#[derive(Serialize, ToSchema)]
#[schema(as = Statistics)]
pub(crate) struct StatisticsSchema {
    /// The version of the table.
    version: u64,
    /// The day on which ages are computed.
    #[schema(format = Date)]
    on: String,
    /// The number of users.
    count: u64,
    /// The mean of the ages in completed years; null if no user has an age.
    #[schema(required)]
    average_age: Option<f64>,
    /// The lowest age in completed years.
    #[schema(required)]
    min_age: Option<u16>,
    /// The highest age in completed years.
    #[schema(required)]
    max_age: Option<u16>,
    /// The middle age, or the mean of the two middle ages.
    #[schema(required)]
    median_age: Option<f64>,
    /// The number of users with an image.
    with_image: u64,
    /// The number of users without an image.
    without_image: u64,
    /// The number of users by age, in ascending order of age.
    by_age: Vec<AgeCount>,
}

/// The number of users of one age.
#[derive(Serialize, ToSchema)]
pub(crate) struct AgeCount {
    /// The age in completed years.
    age: u16,
    /// The number of users.
    count: u64,
}
