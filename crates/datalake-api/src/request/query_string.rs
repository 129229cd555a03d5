//! Parts of a request, parsed at the edge. Each refusal is a problem.

use axum::{
    extract::{FromRequestParts, MatchedPath, Path},
    http::request::Parts,
};
use datalake_core::{
    output::Escape,
    query::{Query, Scope, as_of::TIME_TRAVEL_PARAMETERS, error::QueryError},
    user::UserId,
};
use percent_encoding::percent_decode_str;
use url::form_urlencoded;

use crate::{
    problem::Problem,
    request::cursor::{CURSOR, Cursor},
    rows::format::{Format, Shape},
};
use datalake_http::percent_encoding::malformed_encoding;

/// The decoded pairs of the query string, in order.
#[derive(Debug)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Those of a request. What cannot be decoded is refused: with something else in its place the question would be another.
    pub fn of(parts: &Parts) -> Result<Self, QueryError> {
        let query = parts.uri.query().unwrap_or_default();
        for pair in query.split('&') {
            if let Some(reason) = undecodable(pair) {
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

    /// The pairs but for those of some names.
    pub fn without(&self, names: &[&str]) -> Self {
        let kept = self.0.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        Self(kept.cloned().collect())
    }

    /// The pairs but for those about time, which [`crate::request::snapshot::Reading`] takes.
    fn without_moment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| !TIME_TRAVEL_PARAMETERS.contains(name))
    }

    /// Refuses names that are none of `known`, and names that are given twice.
    pub fn check(&self, known: &[&'static str]) -> Result<(), QueryError> {
        for (index, (name, _)) in self.iter().enumerate() {
            if !known.contains(&name) {
                return Err(QueryError::unknown(name, known));
            }
            if self.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(QueryError::value(name, "given more than once"));
            }
        }
        Ok(())
    }

    /// Refuses a second one of these names.
    pub fn check_once(&self, names: &[&str]) -> Result<(), QueryError> {
        let is_twice = |name: &&&str| self.iter().filter(|pair| pair.0 == **name).count() > 1;
        match names.iter().find(is_twice) {
            Some(name) => Err(QueryError::value(name, "given more than once")),
            None => Ok(()),
        }
    }

    /// The pairs as a query string, but for those about time and those of some names.
    pub fn encoded(&self, without: &[&str]) -> String {
        let kept = self.without_moment().filter(|(name, _)| !without.contains(name));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }

    /// The same, whatever order the pairs came in.
    fn canonical(&self, without: &[&str]) -> String {
        let mut sorted: Vec<_> = self.0.clone();
        sorted.sort_unstable();
        Self(sorted).encoded(without)
    }

    /// The same, where the answer is about the newest version; whoever asks for another is told so.
    pub fn check_newest(&self, known: &[&'static str]) -> Result<(), QueryError> {
        match self.iter().find(|(name, _)| matches!(*name, "version" | "as_of")) {
            Some((name, _)) => Err(QueryError::value(name, "this answer is of the newest version alone")),
            None => self.check(known),
        }
    }

    /// `limit=`, from 1 on; `where_it_holds` follows the bound in the refusal's words.
    pub fn limit(&self, default: usize, limit_max: usize, where_it_holds: &str) -> Result<usize, QueryError> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()).then_some(text);
        let limit = digits.and_then(|text| text.parse().ok());
        let limit = limit.filter(|limit| (1..=limit_max).contains(limit));
        limit.ok_or_else(|| QueryError::value("limit", &format!("must be a whole number from 1 to {limit_max}{where_it_holds}")))
    }

    /// The value of the parameter; the empty text if it has none.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|pair| pair.0 == name).map(|pair| pair.1)
    }
}

/// Why percent-encoded text cannot be decoded, if so.
fn undecodable(text: &str) -> Option<String> {
    if let Some(escape) = malformed_encoding(text) {
        return Some(format!(
            "has a malformed percent-encoding, `{escape}`; write a percent sign itself as %25"
        ));
    }
    let is_text = percent_decode_str(text).decode_utf8().is_ok();
    (!is_text).then(|| "is not UTF-8 once its percent signs are decoded; encode text as UTF-8".to_owned())
}

impl<S: Send + Sync> FromRequestParts<S> for Pairs {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(Self::of(parts)?)
    }
}

/// Nothing after the question mark.
#[derive(Debug)]
pub struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        pairs.check(&[])?;
        Ok(Self)
    }
}

/// Nothing but a moment, which [`crate::request::snapshot::Reading`] takes.
#[derive(Debug)]
pub struct MomentAlone;

impl<S: Send + Sync> FromRequestParts<S> for MomentAlone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        pairs.check(TIME_TRAVEL_PARAMETERS)?;
        Ok(Self)
    }
}

/// Nothing but what [`crate::request::snapshot::Reading`] takes where there is only the newest version to ask for.
#[derive(Debug)]
pub struct NewestAlone;

impl<S: Send + Sync> FromRequestParts<S> for NewestAlone {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        pairs.check_newest(&["min_version", "wait"])?;
        Ok(Self)
    }
}

/// What `/stats` is asked.
#[derive(Debug)]
pub struct Asked {
    /// The parsed query.
    pub question: Query,
    /// Names the question: equal texts are equal questions.
    pub identity: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        let question = Query::parse(pairs.without_moment(), Scope::Stats, TIME_TRAVEL_PARAMETERS)?;
        Ok(Self {
            question,
            identity: pairs.canonical(&[]),
        })
    }
}

/// What `/data` is asked.
#[derive(Debug)]
pub struct RowsAsked {
    /// The parsed query.
    pub question: Query,
    /// `format=`; none is by suffix or `Accept`.
    pub format: Option<Format>,
    /// `shape=`
    pub shape: Shape,
    /// `escape=`
    pub escape: Escape,
    /// `cursor=`
    pub cursor: Option<Cursor>,
    /// Names the question: equal texts are equal questions.
    pub identity: String,
    /// Names the list of rows that pages are cut from: filters and order.
    pub listing: String,
    /// Path and query of the next page, but for its cursor.
    next: String,
}

/// The parameter that says what of a CSV is escaped.
pub const ESCAPE: &str = "escape";

/// What `/data` takes beside the question itself.
const ROWS_PARAMETERS: [&str; 4] = ["format", "shape", ESCAPE, CURSOR];

/// What changes nothing about which rows there are, and in which order: a walk over pages may change these on its way.
const SHOWING_PARAMETERS: [&str; 7] = ["format", "shape", ESCAPE, CURSOR, "select", "limit", "on"];

impl<S: Send + Sync> FromRequestParts<S> for RowsAsked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        Ok(Self::parse(&pairs, parts.uri.path())?)
    }
}

impl RowsAsked {
    /// The address of the page that begins behind this cursor, relative to the server.
    pub fn page_behind(&self, cursor: &Cursor) -> String {
        let separator = if self.next.ends_with('?') { "" } else { "&" };
        format!("{}{separator}{CURSOR}={cursor}", self.next)
    }

    /// Takes the pairs of a query string. `path` is where the next page will be.
    pub fn parse(pairs: &Pairs, path: &str) -> Result<Self, QueryError> {
        let apart = |name: &str| ROWS_PARAMETERS.contains(&name);
        pairs.check_once(&ROWS_PARAMETERS)?;
        let others = [&ROWS_PARAMETERS, TIME_TRAVEL_PARAMETERS].concat();
        let question = Query::parse(pairs.without_moment().filter(|pair| !apart(pair.0)), Scope::Rows, &others)?;
        let cursor = pairs.get(CURSOR).map(Cursor::parse).transpose()?;
        let listing = pairs.canonical(&SHOWING_PARAMETERS);
        if let Some(cursor) = &cursor {
            cursor.check_question(&listing)?;
            if question.on.is_some_and(|on| on != cursor.day) {
                return Err(QueryError::value(
                    "on",
                    "is another day than the cursor's: leave it as it was, or begin without a cursor",
                ));
            }
        }
        Ok(Self {
            question,
            format: pairs.get("format").map(Format::parse).transpose()?,
            shape: pairs.get("shape").map(Shape::parse).transpose()?.unwrap_or_default(),
            escape: pairs.get(ESCAPE).map(parse_escape).transpose()?.unwrap_or_default(),
            cursor,
            // With the path, since it is in the link to the next page.
            identity: format!("{path}?{}", pairs.canonical(&[])),
            listing,
            next: format!("{path}?{}", pairs.encoded(&[CURSOR])),
        })
    }
}

fn parse_escape(value: &str) -> Result<Escape, QueryError> {
    match value {
        "spreadsheet" => Ok(Escape::Spreadsheet),
        _ => Err(QueryError::value(ESCAPE, "must be spreadsheet, or left out")),
    }
}

/// What one row is asked: the day on which ages are counted, and nothing else.
#[derive(Debug)]
pub struct AskedOfRow {
    /// The parsed query.
    pub question: Query,
    /// Names the question, with the path: equal texts are equal questions.
    pub identity: String,
}

impl<S: Send + Sync> FromRequestParts<S> for AskedOfRow {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let pairs = Pairs::from_request_parts(parts, state).await?;
        pairs.check(&["on", "version", "as_of", "min_version", "wait"])?;
        Ok(Self {
            question: Query::parse(pairs.without_moment(), Scope::Stats, &[])?,
            identity: format!("{}?{}", parts.uri.path(), pairs.canonical(&[])),
        })
    }
}

/// The user that the path names. Who has a name that no id can have is nobody.
#[derive(Debug)]
pub struct AskedUser(pub UserId);

impl<S: Send + Sync> FromRequestParts<S> for AskedUser {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Segment(user_id) = Segment::from_request_parts(parts, state).await?;
        UserId::parse(&user_id).map(Self).map_err(|_| Problem::NoSuchUser)
    }
}

/// The one variable part of the path, decoded.
#[derive(Debug)]
pub struct Segment(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // axum leaves a malformed percent-encoding as it is.
        if let Some(reason) = undecodable(parts.uri.path()) {
            return Err(Problem::Path(QueryError::value(&variable(parts), &reason)));
        }
        let decoded = Path::<String>::from_request_parts(parts, state).await;
        // The route has one variable part.
        decoded.map(|Path(text)| Self(text)).map_err(|_| Problem::Internal)
    }
}

/// The name of the one variable part of the path.
fn variable(parts: &Parts) -> String {
    let template = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let name = template.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    name.map_or("path", |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let asked = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Pairs(pairs.collect()).limit(7, 25, "").ok()
        };
        assert_eq!(asked(&[]), Some(7));
        let texts = ["1", "25", "26", "0", "+1", ""].map(|text| asked(&[("limit", text)]));
        assert_eq!(texts, [Some(1), Some(25), None, None, None, None]);
    }
}
