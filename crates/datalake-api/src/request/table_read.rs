//! Extractors of requests that read the table: the parameters of the route, and the snapshot that they select.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use datalake_core::query::as_of::TIME_TRAVEL_PARAMETERS;

use crate::{
    problem::Problem,
    request::{cursor::CURSOR, parameters::QueryParameters, query_string::QueryString, selected_snapshot::SelectedSnapshot},
    snapshots::watch::TableWatch,
    state::ApiState,
};

/// A request that can read any version of the table.
#[derive(Debug)]
pub struct TableRead<Q>(pub Q, pub SelectedSnapshot);

impl<Q: QueryParameters + Send> FromRequestParts<ApiState> for TableRead<Q> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let query = QueryString::of(parts)?;
        let (parameters, read_at) = read(parts, state, &query, TIME_TRAVEL_PARAMETERS).await?;
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
        let (parameters, read_at) = read(parts, state, &query, &["min_version", "wait"]).await?;
        Ok(Self(parameters, read_at))
    }
}

/// Parses the parameters by the declaration of the version that they select.
///
/// Mistakes are found before a version is selected, because most requests read a version with the declaration of the latest one.
async fn read<Q: QueryParameters>(
    parts: &mut Parts,
    state: &ApiState,
    query: &QueryString,
    others: &[&'static str],
) -> Result<(Q, SelectedSnapshot), Problem> {
    let newest = TableWatch::from_ref(state).dataset();
    let by_newest = Q::parse(&newest, query, parts.uri.path(), others);
    let is_newest = query.iter().all(|(name, _)| !["version", "as_of", CURSOR].contains(&name));
    if let Err(error) = &by_newest
        && is_newest
    {
        return Err(error.clone().into());
    }
    let selected = SelectedSnapshot::select(parts, state, query, Q::cursor_version(query)).await;
    match (by_newest, selected) {
        (_, Ok(selected)) if *selected.snapshot.dataset() != newest => {
            let parameters = Q::parse(selected.snapshot.dataset(), query, parts.uri.path(), others)?;
            Ok((parameters, selected))
        }
        (Ok(parameters), Ok(selected)) => Ok((parameters, selected)),
        (Ok(_), Err(problem)) => Err(problem),
        // The version may have the columns that the latest one lacks, and a request may succeed later.
        (Err(error), Err(problem)) if error.parameter != CURSOR && !matches!(problem, Problem::Parameter(_)) => Err(problem),
        (Err(error), _) => Err(error.into()),
    }
}
