//! Extractors of requests that read the table: the parameters of the route, and the snapshot that they select.

use axum::{extract::FromRequestParts, http::request::Parts};
use datalake_core::query::as_of::TIME_TRAVEL_PARAMETERS;

use crate::{
    problem::Problem,
    request::{parameters::QueryParameters, query_string::QueryString, selected_snapshot::SelectedSnapshot},
    state::ApiState,
};

/// A request that can read any version of the table.
#[derive(Debug)]
pub struct TableRead<Q>(pub Q, pub SelectedSnapshot);

impl<Q: QueryParameters + Send> FromRequestParts<ApiState> for TableRead<Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let query = QueryString::of(parts)?;
        let parameters = Q::parse(&query, parts.uri.path(), TIME_TRAVEL_PARAMETERS)?;
        let read_at = SelectedSnapshot::select(parts, state, &query, parameters.cursor_version()).await?;
        Ok(Self(parameters, read_at))
    }
}

/// A request that can read only the latest version of the table, and may wait for it.
#[derive(Debug)]
pub struct NewestRead<Q>(pub Q, pub SelectedSnapshot);

impl<Q: QueryParameters + Send> FromRequestParts<ApiState> for NewestRead<Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let query = QueryString::of(parts)?;
        query.check_newest_only()?;
        let parameters = Q::parse(&query, parts.uri.path(), &["min_version", "wait"])?;
        let read_at = SelectedSnapshot::select(parts, state, &query, None).await?;
        Ok(Self(parameters, read_at))
    }
}
