//! The parameters of a route, parsed from its query string.

use axum::{extract::FromRequestParts, http::request::Parts};
use datalake_core::{dataset::Dataset, query::error::QueryError};

use crate::{problem::Problem, request::query_string::QueryString};

/// What a route takes from the query string.
pub trait QueryParameters: Sized {
    /// Parses the query string of a request for `path`. `dataset` is the declaration of the rows that are read. `others` are names that the
    /// extractor parses itself; any other unknown name is an error.
    fn parse(dataset: &Dataset, query: &QueryString, path: &str, others: &[&'static str]) -> Result<Self, QueryError>;

    /// The version of the table that a cursor in the query string is bound to. The other parameters may name columns that only this version
    /// has, so it does not depend on them.
    fn cursor_version(_: &QueryString) -> Option<u64> {
        None
    }
}

/// No parameters.
#[derive(Debug)]
pub struct NoParameters;

impl QueryParameters for NoParameters {
    fn parse(_: &Dataset, query: &QueryString, _: &str, others: &[&'static str]) -> Result<Self, QueryError> {
        query.check(others)?;
        Ok(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = QueryString::of(parts)?;
        query.check(&[])?;
        Ok(Self)
    }
}

/// The number of entries in a list, from 1 to `MAX`.
#[derive(Debug)]
pub struct Limit<const DEFAULT: usize, const MAX: usize>(pub usize);

impl<const DEFAULT: usize, const MAX: usize> QueryParameters for Limit<DEFAULT, MAX> {
    fn parse(_: &Dataset, query: &QueryString, _: &str, others: &[&'static str]) -> Result<Self, QueryError> {
        query.check_with(&["limit"], others)?;
        Ok(Self(query.limit(DEFAULT, MAX, "")?))
    }
}

impl<S: Send + Sync, const DEFAULT: usize, const MAX: usize> FromRequestParts<S> for Limit<DEFAULT, MAX> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = QueryString::of(parts)?;
        query.check_with(&["limit"], &[])?;
        Ok(Self(query.limit(DEFAULT, MAX, "")?))
    }
}
