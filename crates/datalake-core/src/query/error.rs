//! Errors of query strings.

use crate::nearest::nearest;

/// A parameter is unknown or malformed. Parameters are never ignored, so the request fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {reason}{}", .nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
pub struct QueryError {
    /// The name of the parameter in the request.
    pub parameter: String,
    /// What is wrong, and what is accepted.
    pub reason: String,
    /// The most similar known name, if the name is unknown and one is similar.
    pub nearest: Option<String>,
}

impl QueryError {
    /// An invalid value.
    pub fn value(parameter: &str, reason: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            reason: reason.to_owned(),
            nearest: None,
        }
    }

    /// A name that is not in `known`.
    pub fn unknown(parameter: &str, known: &[&str]) -> Self {
        let reason = match known {
            [] => "unknown parameter; this request takes none".to_owned(),
            _ => format!("unknown parameter; known are {}", known.join(", ")),
        };
        Self {
            parameter: parameter.to_owned(),
            reason,
            nearest: nearest(parameter, known.iter().copied()).map(str::to_owned),
        }
    }
}
