//! The variable part of a path.

use axum::{
    extract::{FromRef, FromRequestParts, MatchedPath, Path},
    http::request::Parts,
};
use datalake_core::{
    nearest::nearest,
    query::error::QueryError,
    row_id::{RowId, text_of},
};

use crate::{
    problem::{MissingRow, Problem},
    request::{query_string::decoding_error, row_path},
    snapshots::watch::TableWatch,
};

/// The one variable part of the path, decoded.
#[derive(Debug)]
pub struct PathParameter(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathParameter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        check_encoding(parts)?;
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        // Another number of variable parts is an error in the router.
        decoded.map(|Path(text)| Self(text)).map_err(|_| Problem::Internal)
    }
}

/// axum does not decode a malformed percent-encoding, and does not report it.
fn check_encoding(parts: &Parts) -> Result<(), Problem> {
    match decoding_error(parts.uri.path()) {
        Some(reason) => Err(Problem::Path(QueryError::value(name(parts), &reason))),
        None => Ok(()),
    }
}

/// The name of the variable part in the template of the path.
fn name(parts: &Parts) -> &str {
    let template = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let name = template.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    name.map_or("path", |(name, _)| name)
}

/// The user that the path names. A name that cannot be an ID is the name of no user.
#[derive(Debug)]
pub struct PathRowId(pub RowId);

impl<S: Send + Sync> FromRequestParts<S> for PathRowId
where
    TableWatch: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let PathParameter(user_id) = PathParameter::from_request_parts(parts, state).await?;
        let missing = || Problem::NoSuchRow(MissingRow::of(&TableWatch::from_ref(state).dataset()));
        RowId::parse_shown(&user_id).map(Self).map_err(|_| missing())
    }
}

/// The file of a row that the path names, and that the dataset of the latest version declares.
#[derive(Debug)]
pub(crate) struct PathFile {
    /// The index in the dataset.
    pub(crate) file: usize,
    /// The text of an ID, valid or not.
    pub(crate) row_id: String,
}

impl<S: Send + Sync> FromRequestParts<S> for PathFile
where
    TableWatch: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        check_encoding(parts)?;
        let decoded = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((row_id, name)) = decoded.map_err(|_| Problem::Internal)?;
        let dataset = TableWatch::from_ref(state).dataset();
        let mut names = dataset.files().iter().map(|file| file.name.as_str());
        if let Some(file) = names.clone().position(|known| known == name) {
            let row_id = text_of(&row_id).into_owned();
            return Ok(Self { file, row_id });
        }
        let nearest = nearest(&name, names.by_ref().chain(["history", "explain"]));
        let start = row_path::sent_of(&parts.extensions, &parts.uri)
            .rsplit_once('/')
            .map_or("", |(start, _)| start);
        Err(Problem::NoSuchPath {
            nearest: nearest.map(|name| format!("{start}/{name}")),
        })
    }
}
