//! Validators (`ETag`, `Last-Modified`) and conditional requests (RFC 9110, sections 8.8 and 13).

use std::convert::Infallible;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};
use jiff::{SignedDuration, Timestamp};

/// The value of `Cache-Control` that lets the client store the response but requires it to revalidate it before each use.
pub const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// The format of a response depends on `Accept`.
const VARY: HeaderValue = HeaderValue::from_static("accept");

/// The format of dates in HTTP (RFC 9110, section 5.6.7).
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// The age from which a modification date identifies a representation. HTTP dates have a resolution of one second, in which two versions may be
/// committed. All replicas serve a version two seconds after its commit, so after this time no other version with the same date can appear.
const DATE_STABLE_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// The validators of a representation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The strong ETag, in quotes.
    etag: String,
    /// When the representation was last modified.
    modified_at: Option<Timestamp>,
    /// Whether `modified_at` identifies the representation, so it can be sent as `Last-Modified`.
    has_stable_date: bool,
}

impl Validators {
    /// An ETag and a modification date. `name` is the ETag without quotes: visible ASCII characters other than quotes. `modified_at` is the time
    /// of the writer's clock, which may differ from `now`.
    pub fn new(name: &str, modified_at: Timestamp, now: Timestamp) -> Self {
        Self {
            modified_at: Some(modified_at),
            has_stable_date: now.duration_since(modified_at) >= DATE_STABLE_AFTER,
            ..Self::etag_only(name)
        }
    }

    /// An ETag without a modification date. `name` is as in [`Validators::new`].
    pub fn etag_only(name: &str) -> Self {
        Self {
            etag: format!("\"{name}\""),
            modified_at: None,
            has_stable_date: false,
        }
    }

    /// The strong ETag, in quotes.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// Evaluates the request's preconditions in the order of RFC 9110, section 13.2.2. Returns `None` if the representation must be sent.
    pub fn evaluate_preconditions(&self, headers: &HeaderMap) -> Option<Precondition> {
        let matches_current = match etags(headers, &header::IF_MATCH) {
            Some(mut etags) => etags.any(|etag| etag == "*" || etag == self.etag),
            None => !self.changed_since(headers),
        };
        if !matches_current {
            return Some(Precondition::Failed);
        }
        let is_cached = match etags(headers, &header::IF_NONE_MATCH) {
            Some(mut etags) => etags.any(|etag| etag == "*" || etag.strip_prefix("W/").unwrap_or(etag) == self.etag),
            // The dates must be equal: the clocks of writers differ, so a later version may have an earlier date.
            None => {
                self.has_stable_date
                    && date(headers, &header::IF_MODIFIED_SINCE).is_some_and(|date| self.second() == Some(date.as_second()))
            }
        };
        is_cached.then_some(Precondition::NotModified)
    }

    /// Whether the representation was, or may have been, modified after the date in `If-Unmodified-Since`.
    fn changed_since(&self, headers: &HeaderMap) -> bool {
        let since = date(headers, &header::IF_UNMODIFIED_SINCE).map(Timestamp::as_second);
        let dates = since.zip(self.second());
        dates.is_some_and(|(since, modified)| modified > since || modified == since && !self.has_stable_date)
    }

    fn second(&self) -> Option<i64> {
        self.modified_at.map(Timestamp::as_second)
    }

    /// Whether a range of the representation may be sent, by `If-Range` (RFC 9110, section 13.1.5). Otherwise the client would combine parts of
    /// different representations.
    pub fn allow_range(&self, headers: &HeaderMap) -> bool {
        let Some(condition) = headers.get(header::IF_RANGE) else {
            return true;
        };
        condition.to_str().is_ok_and(|condition| condition == self.etag)
    }

    /// The headers of a response with these validators.
    pub fn headers(&self) -> ValidatorHeaders {
        let text = |text: &str| HeaderValue::try_from(text).expect("ETags and dates consist of visible ASCII characters");
        ValidatorHeaders {
            etag: text(&self.etag),
            modified: self
                .modified_at
                .filter(|_| self.has_stable_date)
                .map(|modified_at| text(&modified_at.strftime(HTTP_DATE).to_string())),
        }
    }
}

/// The response that a precondition requires instead of the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// 304: the client has the representation.
    NotModified,
    /// 412: the current representation is not the one that the client requires.
    Failed,
}

/// `ETag` and `Last-Modified`, with `Cache-Control` and `Vary`.
#[derive(Clone, Debug)]
pub struct ValidatorHeaders {
    etag: HeaderValue,
    modified: Option<HeaderValue>,
}

impl IntoResponseParts for ValidatorHeaders {
    type Error = Infallible;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts, Infallible> {
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag);
        headers.extend(self.modified.map(|modified| (header::LAST_MODIFIED, modified)));
        headers.insert(header::CACHE_CONTROL, PRIVATE);
        headers.insert(header::VARY, VARY);
        Ok(response)
    }
}

/// The ETags in a header, or `None` without the header. ETags with commas are not found, but this server sends none.
fn etags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<impl Iterator<Item = &'a str>> {
    let mut values = headers.get_all(name).into_iter().peekable();
    values.peek()?;
    let lists = values.filter_map(|value| value.to_str().ok());
    Some(lists.flat_map(|value| value.split(',')).map(str::trim))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    headers.get(name).and_then(|value| value.to_str().ok()).and_then(http_date)
}

/// Parses a date in one of the three formats of RFC 9110, section 5.6.7.
fn http_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text).ok()?;
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests;
