//! The query string of a request, decoded.

use axum::{extract::FromRequestParts, http::request::Parts};
use datalake_core::query::{as_of::TIME_TRAVEL_PARAMETERS, error::QueryError};
use datalake_http::percent_encoding::malformed_encoding;
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::problem::Problem;

/// The decoded names and values of a query string, in its order.
#[derive(Debug)]
pub struct QueryString(Vec<(String, String)>);

impl QueryString {
    /// Decodes the query string of a request. Text that cannot be decoded is an error: a replacement character would change the query.
    pub fn of(parts: &Parts) -> Result<Self, QueryError> {
        let query = parts.uri.query().unwrap_or_default();
        for pair in query.split('&') {
            if let Some(reason) = decoding_error(pair) {
                let decoded = form_urlencoded::parse(pair.as_bytes()).next();
                let (name, _) = decoded.unwrap_or_default();
                return Err(QueryError::value(&name, &reason));
            }
        }
        Ok(Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }

    /// Names and values, in the order of the query string.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of the first parameter with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// A copy with only the parameters of these names that have a value, without white space around it.
    #[must_use]
    pub fn filled(&self, names: &[&str]) -> Self {
        let trimmed = self.0.iter().map(|(name, value)| (name.clone(), value.trim().to_owned()));
        let is_filled = |(name, value): &(String, String)| names.contains(&name.as_str()) && !value.is_empty();
        Self(trimmed.filter(is_filled).collect())
    }

    /// A copy without the parameters of these names.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        Self(kept.cloned().collect())
    }

    /// The parameters except those that select a version, which [`crate::request::selected_snapshot::SelectedSnapshot`] parses.
    pub fn without_time_travel(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| !TIME_TRAVEL_PARAMETERS.contains(name))
    }

    /// Rejects names that are not in `known`, and names that are given more than once.
    pub fn check(&self, known: &[&'static str]) -> Result<(), QueryError> {
        self.check_with(known, &[])
    }

    /// Checks the names like [`QueryString::check`]; `others` are known as well.
    pub fn check_with(&self, known: &[&'static str], others: &[&'static str]) -> Result<(), QueryError> {
        for (index, (name, _)) in self.iter().enumerate() {
            if !known.contains(&name) && !others.contains(&name) {
                return Err(QueryError::unknown(name, &[known, others].concat()));
            }
            if self.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(QueryError::value(name, "given more than once"));
            }
        }
        Ok(())
    }

    /// Checks the names like [`QueryString::check`], for a response that shows only the latest version.
    pub fn check_newest(&self, known: &[&'static str]) -> Result<(), QueryError> {
        self.check_newest_only()?;
        self.check(known)
    }

    /// Rejects the parameters that select an earlier version.
    pub fn check_newest_only(&self) -> Result<(), QueryError> {
        match self.iter().find(|(name, _)| matches!(*name, "version" | "as_of")) {
            Some((name, _)) => Err(QueryError::value(
                name,
                "not available here: the response shows only the latest version",
            )),
            None => Ok(()),
        }
    }

    /// Rejects any of these names that is given more than once.
    pub fn check_once(&self, names: &[&str]) -> Result<(), QueryError> {
        let is_repeated = |name: &&&str| self.iter().filter(|pair| pair.0 == **name).count() > 1;
        match names.iter().find(is_repeated) {
            Some(name) => Err(QueryError::value(name, "given more than once")),
            None => Ok(()),
        }
    }

    /// The value of `limit`: a number from 1 to `limit_max`. `suffix` is appended to the message of the error.
    pub fn limit(&self, default: usize, limit_max: usize, suffix: &str) -> Result<usize, QueryError> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text);
        let limit = digits.and_then(|text| text.parse().ok());
        let limit = limit.filter(|limit| (1..=limit_max).contains(limit));
        limit.ok_or_else(|| QueryError::value("limit", &format!("must be a whole number from 1 to {limit_max}{suffix}")))
    }

    /// The parameters as a query string, except those that select a version and those of these names.
    pub fn encoded(&self, without: &[&str]) -> String {
        let kept = self.without_time_travel().filter(|(name, _)| !without.contains(name));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }

    /// The parameters like [`QueryString::encoded`], sorted, so their order does not matter.
    pub fn canonical(&self, without: &[&str]) -> String {
        let mut sorted: Vec<_> = self.0.clone();
        sorted.sort_unstable();
        Self(sorted).encoded(without)
    }
}

/// Why percent-encoded text cannot be decoded.
pub fn decoding_error(text: &str) -> Option<String> {
    if let Some(escape) = malformed_encoding(text) {
        return Some(format!(
            "has a malformed percent-encoding, `{escape}`; write a percent sign itself as %25"
        ));
    }
    let is_text = percent_decode_str(text).decode_utf8().is_ok();
    (!is_text).then(|| "is not UTF-8 after percent-decoding; encode text as UTF-8".to_owned())
}

impl<S: Send + Sync> FromRequestParts<S> for QueryString {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::of(parts)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_without_a_value_are_not_filled() {
        let pairs = [("version", " 3 "), ("as_of", " "), ("limit", "7")];
        let query = QueryString(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        let filled = query.filled(&["version", "as_of"]);
        assert_eq!(filled.iter().collect::<Vec<_>>(), [("version", "3")]);
    }

    #[test]
    fn limit_is_a_number_in_range() {
        let limit = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            QueryString(pairs.collect()).limit(7, 25, "").ok()
        };
        assert_eq!(limit(&[]), Some(7));
        let limits = ["1", "25", "26", "0", "+1", ""].map(|text| limit(&[("limit", text)]));
        assert_eq!(limits, [Some(1), Some(25), None, None, None, None]);
    }
}
