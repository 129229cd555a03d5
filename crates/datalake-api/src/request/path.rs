//! The variable part of a path.

use axum::{
    extract::{FromRequestParts, MatchedPath, Path},
    http::request::Parts,
};
use datalake_core::{query::error::QueryError, user::UserId};

use crate::{problem::Problem, request::query_string::decoding_error};

/// The one variable part of the path, decoded.
#[derive(Debug)]
pub struct PathParameter(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathParameter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // axum does not decode a malformed percent-encoding, and does not report it.
        if let Some(reason) = decoding_error(parts.uri.path()) {
            return Err(Problem::Path(QueryError::value(name(parts), &reason)));
        }
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        // Another number of variable parts is an error in the router.
        decoded.map(|Path(text)| Self(text)).map_err(|_| Problem::Internal)
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
pub struct PathUserId(pub UserId);

impl<S: Send + Sync> FromRequestParts<S> for PathUserId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let PathParameter(user_id) = PathParameter::from_request_parts(parts, state).await?;
        UserId::parse(&user_id).map(Self).map_err(|_| Problem::NoSuchUser)
    }
}
