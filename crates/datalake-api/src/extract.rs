//! Parts of a request, parsed at the edge. Each refusal is a problem.

use std::convert::Infallible;

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};
use datalake_core::filter::{QueryError, Question};
use url::form_urlencoded;

use crate::problem::Problem;

/// The decoded pairs of the query string, in order.
pub(crate) struct Pairs(Vec<(String, String)>);

impl Pairs {
    fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Refuses names that are none of `known`, and names that are given twice.
    pub(crate) fn check(&self, known: &[&'static str]) -> Result<(), QueryError> {
        for (index, (name, _)) in self.iter().enumerate() {
            if !known.contains(&name) {
                return Err(QueryError::unknown(name, known));
            }
            if self.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(malformed(name, "given more than once"));
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }
}

/// The refusal of a value.
pub(crate) fn malformed(parameter: &str, reason: &str) -> QueryError {
    QueryError {
        parameter: parameter.to_owned(),
        reason: reason.to_owned(),
        nearest: None,
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }
}

/// Nothing after the question mark.
pub(crate) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(pairs) = Pairs::from_request_parts(parts, state).await;
        pairs.check(&[])?;
        Ok(Self)
    }
}

/// What `/data` and `/stats` are asked.
pub(crate) struct Asked(pub(crate) Question);

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(pairs) = Pairs::from_request_parts(parts, state).await;
        Ok(Self(Question::parse(pairs.iter())?))
    }
}

/// What one row is asked: the day on which ages are counted, and nothing else.
pub(crate) struct AskedOfRow(pub(crate) Question);

impl<S: Send + Sync> FromRequestParts<S> for AskedOfRow {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(pairs) = Pairs::from_request_parts(parts, state).await;
        pairs.check(&["on"])?;
        Ok(Self(Question::parse(pairs.iter())?))
    }
}

/// The one variable part of the path, decoded.
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        decoded.map(|Path(text)| Self(text)).map_err(|_| Problem::UndecodablePath)
    }
}
