//! Extractors of requests that read the table: the parameters of the route, and the snapshot that they select.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::request::Parts,
};
use datalake_core::query::{as_of::TIME_TRAVEL_PARAMETERS, error::QueryError};

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
    if let Err(error) = &by_newest
        && !selects_version(query)
    {
        return Err(error.clone().into());
    }
    let selected = match SelectedSnapshot::select(parts, state, query, Q::cursor_version(query)).await {
        Ok(selected) => selected,
        Err(problem) => return Err(selection_problem(query, by_newest.err(), problem)),
    };
    let parameters = match *selected.snapshot.dataset() == newest {
        true => by_newest?,
        false => Q::parse(selected.snapshot.dataset(), query, parts.uri.path(), others)?,
    };
    Ok((parameters, selected))
}

/// Whether a parameter selects a version, which may have other columns than the latest one.
fn selects_version(query: &QueryString) -> bool {
    query.iter().any(|(name, _)| ["version", "as_of", CURSOR].contains(&name))
}

/// The problem of a request whose version cannot be selected. `by_newest` is the first mistake in the parameters, by the declaration of the latest
/// version.
///
/// A selected version may have the columns that the latest one lacks, so the failed selection is reported: the version has expired, or a later
/// request may succeed. A mistake in the cursor, or in the parameters that select the version, is one by every declaration.
pub fn selection_problem(query: &QueryString, by_newest: Option<QueryError>, selection: Problem) -> Problem {
    match by_newest {
        None => selection,
        Some(error) => match selects_version(query) && error.parameter != CURSOR && !matches!(selection, Problem::Parameter(_)) {
            true => selection,
            false => error.into(),
        },
    }
}
