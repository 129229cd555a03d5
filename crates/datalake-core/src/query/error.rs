//! Errors of query strings.

use std::fmt;

use crate::nearest::nearest;

/// A parameter is unknown or malformed. Parameters are never ignored, so the request fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct QueryError {
    /// The name of the parameter in the request.
    pub parameter: String,
    /// What is wrong, and what is accepted.
    pub reason: String,
    /// The names that are known, if the name is unknown.
    pub known: Option<String>,
    /// The most similar known name, if the name is unknown and one is similar.
    pub nearest: Option<String>,
}

impl QueryError {
    /// An invalid value.
    pub fn value(parameter: &str, reason: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            reason: reason.to_owned(),
            known: None,
            nearest: None,
        }
    }

    /// A name that is not in `known`.
    pub fn unknown(parameter: &str, known: &[&str]) -> Self {
        let (reason, list) = match known {
            [] => ("unknown parameter; this request takes none", None),
            _ => ("unknown parameter", Some(known.join(", "))),
        };
        Self {
            parameter: parameter.to_owned(),
            reason: reason.to_owned(),
            known: list,
            nearest: nearest(parameter, known.iter().copied()).map(str::to_owned),
        }
    }
}

/// The parameter, the reason, all known names, and the most similar one.
impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.reason)?;
        if let Some(known) = &self.known {
            write!(f, "; known are {known}")?;
        }
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}
