//! What reads take and give, for the description alone: parameters are parsed in `datalake-core`, and rows are written by `views/`.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

/// Which rows, and on which day ages are counted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "this describes what `Question::parse` takes")]
pub(super) struct FilterParameters {
    /// `True`: those with a picture; `False`: those without; any case
    #[param(example = "True")]
    is_image_exists: Option<String>,
    /// At least so many completed years; without a value: the youngest
    #[param(allow_reserved = false, example = "30")]
    min_age: Option<String>,
    /// At most so many completed years; without a value: the oldest
    #[param(example = "40")]
    max_age: Option<String>,
    /// The day on which ages are counted; today (UTC) if left out
    #[param(value_type = Option<String>, format = Date, example = "2026-11-24")]
    on: Option<String>,
    /// The user of this id. Like every column, with an operator behind two underscores it asks for more: `user_id__startswith=10`.
    /// Operators: `not`, `contains`, `startswith`, `endswith`, `gt`, `gte`, `lt`, `lte`, `in` (values between commas, or a JSON array),
    /// `isnull`, `notnull`
    user_id: Option<String>,
    /// Those of this first name; with an operator: `first_name__contains=an`
    first_name: Option<String>,
    /// Those of this last name; with an operator: `last_name__in=Lee,Fox`
    #[param(example = "Lee")]
    last_name: Option<String>,
    /// Those born at this time, in milliseconds since 1970-01-01 UTC; with an operator: `birthts__gte=0`
    birthts: Option<i64>,
    /// Those whose picture lies there; with an operator: `img_path__isnull`
    img_path: Option<String>,
    /// Those of this age; with an operator: `age__not=30`
    age: Option<i64>,
}

/// How rows are shown.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "this describes what `Question::parse` and `RowsAsked` take")]
pub(super) struct ShowingParameters {
    /// Columns between commas, in the order in which they are to be shown; all if left out
    #[param(example = "user_id,age")]
    select: Option<String>,
    /// Columns between commas, each with `.asc` or `.desc` behind it; `user_id` decides among equals, and rows without a value come last
    #[param(example = "age.desc,last_name")]
    order: Option<String>,
    /// Most rows in the answer; all if left out. `Link: …; rel="next"` says where the next page is
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<u16>,
    /// Where the page begins: from the `Link` header of the page before. A walk over pages sees one version of the table
    cursor: Option<String>,
    /// `json`, `ndjson`, `csv`, `parquet` or `arrow`; by the `Accept` header if left out
    #[param(example = "json")]
    format: Option<String>,
    /// How JSON is laid out: `rows`, or `columns` as pandas has it
    #[param(example = "rows")]
    shape: Option<String>,
    /// `spreadsheet` prefixes the cells of a CSV that a spreadsheet would evaluate (those of text that begin with `=`, `+`, `-`, `@`, a tab or
    /// a carriage return) with `'`; for CSV alone
    #[param(example = "spreadsheet")]
    escape: Option<String>,
}

/// Rows as JSON: an array of them, or with `shape=columns` an object a column, of values by row number.
#[derive(Serialize, ToSchema)]
#[schema(as = Rows)]
#[serde(untagged)]
#[expect(dead_code, reason = "this describes what `views/` writes")]
pub(super) enum RowsDocument {
    Rows(Vec<ShownRow>),
    Columns(BTreeMap<String, BTreeMap<String, serde_json::Value>>),
}

/// Bytes that are no text.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "this describes what `views/` and the store give")]
pub(super) struct Binary(Box<[u8]>);

/// A user, with the selected columns.
#[derive(Serialize, ToSchema)]
pub(super) struct ShownRow {
    /// Names the user; text, also where it looks like a number.
    #[schema(example = "1000")]
    user_id: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    /// When the user was born, in milliseconds since 1970-01-01 UTC.
    #[schema(example = 334_540_800_000_i64)]
    birthts: Option<i64>,
    /// Where in the lake the user's picture lies; null where there is none.
    img_path: Option<String>,
    /// Completed years on the day of the question; null for one born after it.
    age: Option<u16>,
}
