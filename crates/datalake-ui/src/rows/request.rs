//! The parsed request for the list of rows.

use std::{num::NonZeroU16, sync::Arc};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
    response::{IntoResponse, Redirect, Response},
};
use datalake_core::{dataset::Dataset, query::error::QueryError};

use crate::{
    page::{links, query::Query},
    rows::form_query::{self, FORM, VIEW},
};
use datalake_api::{
    problem::Problem,
    request::{data_query::DataQuery, query_string::QueryString, selected_snapshot::SelectedSnapshot, table_read::selection_problem},
    snapshots::watch::TableWatch,
    state::ApiState,
};

/// The default and maximum number of rows on a page. A row takes about 0.5 KiB, so that a page stays below 84 KB.
pub(crate) const LIMIT: NonZeroU16 = NonZeroU16::new(50).expect("it is not zero");

/// The parameter with the number of the page to go to.
pub(crate) const PAGE: &str = "page";

/// The parameter with the query string of the list whose page is requested.
pub(crate) const PAGE_OF: &str = "of";

/// The page sizes to choose from.
pub(crate) const LIMITS: [u16; 3] = [10, 25, LIMIT.get()];

/// How rows are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ViewMode {
    #[default]
    Table,
    Gallery,
}

impl ViewMode {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Gallery => "gallery",
        }
    }

    pub(crate) fn parse(value: &str) -> Result<Self, QueryError> {
        match value {
            "table" => Ok(Self::Table),
            "gallery" => Ok(Self::Gallery),
            _ => Err(QueryError::value(VIEW, "must be table or gallery")),
        }
    }
}

/// A request. Which of its filters are valid depends on the version that it reads.
pub(crate) struct RowsRequest {
    pairs: QueryString,
    pub(crate) view_mode: ViewMode,
    /// The number of the page to go to, from 1.
    pub(crate) page_number: Option<u64>,
    /// The parameters as the client sent them, without the number of the page.
    pub(crate) query: Query,
}

/// Why a request has no rows.
pub(crate) enum RequestError {
    /// The request is a submitted form, and is redirected to the address with the API's parameters.
    Redirect(Redirect),
    Problem(Problem),
}

impl From<QueryError> for RequestError {
    fn from(error: QueryError) -> Self {
        Self::Problem(Problem::Parameter(error))
    }
}

impl IntoResponse for RequestError {
    fn into_response(self) -> Response {
        match self {
            Self::Redirect(redirect) => redirect.into_response(),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl FromRequestParts<ApiState> for RowsRequest {
    type Rejection = RequestError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, RequestError> {
        let pairs = QueryString::of(parts)?;
        if pairs.get(FORM).is_some() {
            let dataset = dataset_of_form(parts, state, &pairs).await.map_err(RequestError::Problem)?;
            let address = form_query::to_api_query(&dataset, pairs.iter()).address(links::ROWS);
            return Err(RequestError::Redirect(Redirect::to(&address)));
        }
        if let Some(list) = pairs.get(PAGE_OF) {
            let list = Query::of_address(&format!("?{list}")).with(PAGE, pairs.get(PAGE).unwrap_or_default());
            return Err(RequestError::Redirect(Redirect::to(&list.address(links::ROWS))));
        }
        pairs.check_once(&[VIEW, PAGE])?;
        let view_mode = pairs.get(VIEW).map(ViewMode::parse).transpose()?.unwrap_or_default();
        let page_number = pairs.get(PAGE).map(page_number).transpose()?;
        Ok(Self {
            view_mode,
            page_number,
            query: Query::new(pairs.iter()).without(&[PAGE]),
            pairs,
        })
    }
}

impl RowsRequest {
    /// The problem of the request if its version cannot be selected. `newest` is the declaration of the latest version.
    pub(crate) fn selection_problem(&self, newest: &Dataset, selection: Problem) -> Problem {
        selection_problem(&self.pairs, self.rows(newest).err(), selection)
    }

    /// The filters, parsed by the declaration of the version that they select rows of.
    pub(crate) fn rows(&self, dataset: &Dataset) -> Result<DataQuery, QueryError> {
        let mut rows = DataQuery::parse(dataset, &self.pairs.without(&[VIEW, PAGE]), links::ROWS)?;
        rows.query.limit = Some(limit(rows.query.limit)?);
        Ok(rows)
    }
}

/// The declaration whose fields a submitted form has: that of its version. The latest version is shown if the form has no valid version.
async fn dataset_of_form(parts: &mut Parts, state: &ApiState, pairs: &QueryString) -> Result<Arc<Dataset>, Problem> {
    let newest = TableWatch::from_ref(state).dataset();
    let version = pairs.filled(&["version", "as_of"]);
    if version.iter().next().is_none() {
        return Ok(newest);
    }
    match SelectedSnapshot::of_query(parts, state, &version).await {
        Ok(selected) => Ok(Arc::clone(selected.snapshot.dataset())),
        // A later request may succeed.
        Err(problem) if problem.status().is_server_error() => Err(problem),
        Err(_) => Ok(newest),
    }
}

fn page_number(text: &str) -> Result<u64, QueryError> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| QueryError::value(PAGE, "must be the number of a page, from 1"))
}

fn limit(requested: Option<NonZeroU16>) -> Result<NonZeroU16, QueryError> {
    let limit = requested.unwrap_or(LIMIT);
    if limit > LIMIT {
        let reason = format!("must be at most {LIMIT} on this page; the API allows up to 10000, and downloads contain all rows");
        return Err(QueryError::value("limit", &reason));
    }
    Ok(limit)
}
