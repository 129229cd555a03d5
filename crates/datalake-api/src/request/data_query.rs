//! The queries of `/data`, `/stats` and `/data/{user_id}`.

use datalake_core::{
    csv::Escape,
    dataset::Dataset,
    query::{Query, Scope, as_of::TIME_TRAVEL_PARAMETERS, error::QueryError},
};

use crate::{
    request::{
        cursor::{self, CURSOR, Cursor},
        parameters::QueryParameters,
        query_string::QueryString,
    },
    rows::format::{Format, Shape},
};

/// The parameter that selects which cells of a CSV are escaped.
pub const ESCAPE: &str = "escape";

/// The parameters of `/data` that are not part of the [`Query`].
const PRESENTATION_PARAMETERS: [&str; 4] = ["format", "shape", ESCAPE, CURSOR];

/// The parameters that change neither the rows of a list nor their order. They may differ from page to page.
const PAGE_PARAMETERS: [&str; 7] = ["format", "shape", ESCAPE, CURSOR, "select", "limit", "on"];

/// The query of `/data`.
#[derive(Debug)]
pub struct DataQuery {
    /// Filters, order, columns and limit.
    pub query: Query,
    /// `format=`; without it, the suffix of the path or `Accept` decides.
    pub format: Option<Format>,
    /// `shape=`
    pub shape: Shape,
    /// `escape=`
    pub escape: Escape,
    /// `cursor=`
    pub cursor: Option<Cursor>,
    /// Identifies the response: path and parameters. Equal queries have equal texts.
    pub identity: String,
    /// Identifies the list that pages are parts of: filters and order.
    pub list_identity: String,
    /// Path and query string of all pages, without their cursors.
    page: String,
}

impl DataQuery {
    /// Parses the query string. `path` is the path of all pages.
    pub fn parse(dataset: &Dataset, query_string: &QueryString, path: &str) -> Result<Self, QueryError> {
        query_string.check_once(&PRESENTATION_PARAMETERS)?;
        let is_in_query = |pair: &(&str, &str)| !PRESENTATION_PARAMETERS.contains(&pair.0);
        let others = [&PRESENTATION_PARAMETERS, TIME_TRAVEL_PARAMETERS].concat();
        let pairs = query_string.without_time_travel().filter(is_in_query);
        let query = Query::parse(dataset, pairs, Scope::Rows, &others)?;
        let cursor = query_string.get(CURSOR).map(Cursor::parse).transpose()?;
        let list_identity = query_string.canonical(&PAGE_PARAMETERS);
        if let Some(cursor) = &cursor {
            cursor.check_list(&list_identity)?;
            if query.on.is_some_and(|on| on != cursor.day) {
                return Err(QueryError::value(
                    "on",
                    "differs from the day of the cursor; keep the day, or start without a cursor",
                ));
            }
        }
        Ok(Self {
            query,
            format: query_string.get("format").map(Format::parse).transpose()?,
            shape: query_string.get("shape").map(Shape::parse).transpose()?.unwrap_or_default(),
            escape: query_string.get(ESCAPE).map(parse_escape).transpose()?.unwrap_or_default(),
            cursor,
            // The path is in the link to the next page.
            identity: format!("{path}?{}", query_string.canonical(&[])),
            list_identity,
            page: format!("{path}?{}", query_string.encoded(&[CURSOR])),
        })
    }

    /// The URL of the page after this cursor, relative to the server.
    pub fn page_after(&self, cursor: &Cursor) -> String {
        let separator = if self.page.ends_with('?') { "" } else { "&" };
        format!("{}{separator}{CURSOR}={cursor}", self.page)
    }
}

impl QueryParameters for DataQuery {
    fn parse(dataset: &Dataset, query: &QueryString, path: &str, _: &[&'static str]) -> Result<Self, QueryError> {
        Self::parse(dataset, query, path)
    }

    fn cursor_version(query: &QueryString) -> Option<u64> {
        cursor::version_in(query)
    }
}

/// Parses the value of `escape`.
pub(crate) fn parse_escape(value: &str) -> Result<Escape, QueryError> {
    match value {
        "spreadsheet" => Ok(Escape::Spreadsheet),
        _ => Err(QueryError::value(ESCAPE, "must be spreadsheet, or omitted")),
    }
}

/// The query of `/stats`.
#[derive(Debug)]
pub struct StatsQuery {
    /// Filters.
    pub query: Query,
    /// Identifies the query: equal queries have equal texts.
    pub identity: String,
}

impl QueryParameters for StatsQuery {
    fn parse(dataset: &Dataset, query: &QueryString, _: &str, others: &[&'static str]) -> Result<Self, QueryError> {
        Ok(Self {
            query: Query::parse(dataset, query.without_time_travel(), Scope::Stats, others)?,
            identity: query.canonical(&[]),
        })
    }
}

/// The query of `/data/{user_id}`: only the day on which the age is computed.
#[derive(Debug)]
pub struct RowRequest {
    /// The parsed query.
    pub query: Query,
    /// Identifies the response: path and parameters. Equal queries have equal texts.
    pub identity: String,
}

impl QueryParameters for RowRequest {
    fn parse(dataset: &Dataset, query: &QueryString, path: &str, others: &[&'static str]) -> Result<Self, QueryError> {
        query.check_with(&["on"], others)?;
        Ok(Self {
            query: Query::parse(dataset, query.without_time_travel(), Scope::Stats, &[])?,
            identity: format!("{path}?{}", query.canonical(&[])),
        })
    }
}
