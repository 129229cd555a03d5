//! What tells a client that it has an answer already: `ETag`, `Last-Modified`, and the conditions on them (RFC 9110, 13).

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;

/// May be kept, and is to be asked about each time: a version may have come meanwhile, and asking costs a hundred bytes.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("no-cache");
/// One path has several formats.
const VARY: HeaderValue = HeaderValue::from_static("accept");

/// How HTTP writes instants: RFC 9110, 5.6.7.
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// Names the bytes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    /// The strong tag, in quotes.
    etag: String,
    /// No change of the answer is later.
    modified_at: Timestamp,
}

impl Validators {
    /// `name` holds visible ASCII characters other than quotes.
    pub(crate) fn new(name: &str, modified_at: Timestamp) -> Self {
        Self {
            etag: format!("\"{name}\""),
            modified_at,
        }
    }

    /// The tag, in quotes.
    pub(crate) fn etag(&self) -> &str {
        &self.etag
    }

    /// Whether the client says that it has this very answer. `If-None-Match` counts where there is one.
    pub(crate) fn are_held(&self, headers: &HeaderMap) -> bool {
        let mut tags = headers.get_all(header::IF_NONE_MATCH).into_iter().peekable();
        if tags.peek().is_some() {
            let tags = tags.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
            return tags
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag);
        }
        let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|value| value.to_str().ok());
        let since = since.and_then(http_date);
        since.is_some_and(|since| self.modified_at.as_second() <= since.as_second())
    }

    /// Whether `If-Range` lets a range be answered: a part of another answer would be put together with this one.
    pub(crate) fn allow_range(&self, headers: &HeaderMap) -> bool {
        let Some(condition) = headers.get(header::IF_RANGE) else {
            return true;
        };
        condition.to_str().is_ok_and(|condition| condition == self.etag)
    }

    /// The headers of an answer that they name.
    pub(crate) fn headers(&self) -> [(HeaderName, HeaderValue); 4] {
        let text = |text: &str| HeaderValue::try_from(text).expect("tags and dates are visible ASCII characters");
        [
            (header::ETAG, text(&self.etag)),
            (header::LAST_MODIFIED, text(&self.modified_at.strftime(HTTP_DATE).to_string())),
            (header::CACHE_CONTROL, CACHE_CONTROL),
            (header::VARY, VARY),
        ]
    }

    /// The answer to one who has it already.
    pub(crate) fn not_modified(&self) -> Response {
        (StatusCode::NOT_MODIFIED, self.headers()).into_response()
    }
}

fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(HeaderName, &'static str)], expected: bool) {
        let validators = Validators::new("t-3-ab", "2026-11-24T11:00:00.5Z".parse().unwrap());
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(validators.are_held(&headers), expected, "{headers:?}");
    }

    #[test]
    fn conditions() {
        check(&[], false);
        check(&[(header::IF_NONE_MATCH, "\"t-3-ab\"")], true);
        check(&[(header::IF_NONE_MATCH, "W/\"t-3-ab\"")], true);
        check(&[(header::IF_NONE_MATCH, "\"x\", \"t-3-ab\"")], true);
        check(&[(header::IF_NONE_MATCH, "*")], true);
        check(&[(header::IF_NONE_MATCH, "\"t-2-ab\"")], false);
        check(&[(header::IF_NONE_MATCH, "t-3-ab")], false);
        check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:00 GMT")], true);
        check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 10:59:59 GMT")], false);
        check(&[(header::IF_MODIFIED_SINCE, "yesterday")], false);
        // The tag says more than the time.
        check(
            &[
                (header::IF_NONE_MATCH, "\"t-2-ab\""),
                (header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:00 GMT"),
            ],
            false,
        );
    }

    #[test]
    fn dates_are_those_of_http() {
        let validators = Validators::new("x", "2026-11-04T01:02:03Z".parse().unwrap());
        let headers: HeaderMap = validators.headers().into_iter().collect();
        assert_eq!(headers[header::LAST_MODIFIED], "Wed, 04 Nov 2026 01:02:03 GMT");
        assert_eq!(headers[header::ETAG], "\"x\"");
    }
}
