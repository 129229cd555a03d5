//! The formats of rows.

use datalake_core::{
    dataset::Dataset,
    query::{column::Column, error::QueryError},
};
use utoipa::ToSchema;

use datalake_http::accept::Accept;

/// A format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Format {
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// The format of `output.csv`: RFC 4180, with LF line endings.
    Csv,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC stream.
    Arrow,
}

/// The layout of JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum Shape {
    /// An array of rows.
    #[default]
    Rows,
    /// One object per column, with the values by row number: the layout that pandas' `read_json` and `to_json` use.
    Columns,
}

impl Format {
    /// All formats, in the server's order of preference.
    pub const ALL: [Self; 5] = [Self::Json, Self::Ndjson, Self::Csv, Self::Parquet, Self::Arrow];

    /// The name in `format=` and in the suffix of the path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// The media type, for `Accept` and `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv",
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json | Self::Ndjson | Self::Parquet | Self::Arrow => self.media_type(),
        }
    }

    /// The default columns. A CSV has those of `output.csv`, which has no derived columns.
    pub fn columns(self, dataset: &Dataset) -> Box<[Column]> {
        match self {
            Self::Csv => Column::stored(dataset).collect(),
            Self::Json | Self::Ndjson | Self::Parquet | Self::Arrow => Column::all(dataset).collect(),
        }
    }

    /// The value of `format=`.
    pub fn parse(value: &str) -> Result<Self, QueryError> {
        let named = Self::ALL.into_iter().find(|format| format.name() == value);
        named.ok_or_else(|| QueryError::value("format", &format!("must be one of {}", Self::names())))
    }

    /// The format that the client prefers; of several, the first of [`Format::ALL`]. None if the client accepts no format.
    pub fn accepted(accept: &Accept) -> Option<Self> {
        let weight = |format: &Self| accept.weight(format.media_type());
        // Of equal maxima, `max_by_key` returns the last.
        let best = Self::ALL.into_iter().rev().max_by_key(weight);
        best.filter(|format| weight(format) > 0)
    }

    /// The media types and the names of all formats, for messages.
    pub fn offered() -> String {
        format!("{} ({})", Self::ALL.map(Self::media_type).join(", "), Self::names())
    }

    /// The names of all formats, for messages.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl Shape {
    /// The value of `shape=`.
    pub fn parse(value: &str) -> Result<Self, QueryError> {
        match value {
            "rows" => Ok(Self::Rows),
            "columns" => Ok(Self::Columns),
            _ => Err(QueryError::value("shape", "must be rows or columns")),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::*;

    #[track_caller]
    fn check(accept: &'static str, expected: Option<Format>) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        assert_eq!(Format::accepted(&Accept::from_headers(&headers)), expected, "Accept: {accept}");
    }

    #[test]
    fn accepted_formats() {
        check("*/*", Some(Format::Json));
        check("text/csv", Some(Format::Csv));
        check("text/html,application/xhtml+xml,*/*;q=0.8", Some(Format::Json)); // A browser.
        check("application/vnd.apache.parquet, application/json;q=0.9", Some(Format::Parquet));
        check("application/*", Some(Format::Json));
        check("application/json;q=0, */*;q=0.1", Some(Format::Ndjson));
        check("text/html", None);
        check("application/json;q=0", None);
    }
}
