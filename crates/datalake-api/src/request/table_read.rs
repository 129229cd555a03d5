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
    let cursor_version = match &by_newest {
        Ok(parameters) => parameters.cursor_version(),
        Err(error) if is_newest => return Err(error.clone().into()),
        Err(_) => None,
    };
    let selected = SelectedSnapshot::select(parts, state, query, cursor_version).await;
    let parameters = match (by_newest, &selected) {
        (_, Ok(selected)) if *selected.snapshot.dataset() != newest => {
            Q::parse(selected.snapshot.dataset(), query, parts.uri.path(), others)?
        }
        (by_newest, _) => by_newest?,
    };
    Ok((parameters, selected?))
}
