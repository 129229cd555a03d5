//! Why a query string is refused.

use crate::nearest::nearest;

/// A parameter that is not known or not well formed: never an unfiltered answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}, parameter={parameter}", .nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
pub struct QueryError {
    /// The parameter's name as it was given.
    pub parameter: String,
    /// What is wrong and what is accepted.
    pub reason: String,
    /// The nearest known name, where the name is not known and one is near.
    pub nearest: Option<String>,
}

impl QueryError {
    /// The refusal of a value.
    pub fn value(parameter: &str, reason: &str) -> Self {
        Self {
            parameter: parameter.to_owned(),
            reason: reason.to_owned(),
            nearest: None,
        }
    }

    /// The refusal of a name that is none of `known`.
    pub fn unknown(parameter: &str, known: &[&str]) -> Self {
        let reason = match known {
            [] => "unknown parameter; none is taken here".to_owned(),
            _ => format!("unknown parameter; known are {}", known.join(", ")),
        };
        Self {
            parameter: parameter.to_owned(),
            reason,
            nearest: nearest(parameter, known.iter().copied()).map(str::to_owned),
        }
    }
}
