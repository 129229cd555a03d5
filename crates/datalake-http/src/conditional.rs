//! What tells a client that it has an answer already: `ETag`, `Last-Modified`, and the conditions on them (RFC 9110, 13).

use std::convert::Infallible;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponseParts, ResponseParts},
};
use jiff::{SignedDuration, Timestamp};

/// The client may store the response and must revalidate it each time: there may be a newer version, and a revalidation costs a hundred bytes.
pub const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");

/// One path has several formats.
const VARY: HeaderValue = HeaderValue::from_static("accept");

/// How HTTP writes instants: RFC 9110, 5.6.7.
const HTTP_DATE: &str = "%a, %d %b %Y %H:%M:%S GMT";

/// HTTP's instants are whole seconds, of which two versions may be made in one. Every replica shows a version two seconds after it was made, so
/// that whoever reads an older one after this time reads what no other version of the same second can follow.
const DATE_STABLE_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// Names the bytes of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validators {
    /// The strong tag, in quotes.
    etag: String,
    /// When the answer changed last.
    modified_at: Option<Timestamp>,
    /// Whether that is told as `Last-Modified`: once it tells this answer from others.
    has_stable_date: bool,
}

impl Validators {
    /// `name` holds visible ASCII characters other than quotes; `modified_at` is when the answer changed last, of which clocks may tell
    /// different times.
    pub fn new(name: &str, modified_at: Timestamp, now: Timestamp) -> Self {
        Self {
            modified_at: Some(modified_at),
            has_stable_date: now.duration_since(modified_at) >= DATE_STABLE_AFTER,
            ..Self::etag_only(name)
        }
    }

    /// Of what is known by its tag alone.
    pub fn etag_only(name: &str) -> Self {
        Self {
            etag: format!("\"{name}\""),
            modified_at: None,
            has_stable_date: false,
        }
    }

    /// The tag, in quotes.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// What the request's conditions require instead of the representation, evaluated in the order of RFC 9110, 13.2.2.
    pub fn evaluate_preconditions(&self, headers: &HeaderMap) -> Option<Precondition> {
        let is_wanted = match tags(headers, &header::IF_MATCH) {
            Some(mut tags) => tags.any(|tag| tag == "*" || tag == self.etag),
            None => !self.changed_since(headers),
        };
        if !is_wanted {
            return Some(Precondition::Failed);
        }
        let is_held = match tags(headers, &header::IF_NONE_MATCH) {
            Some(mut tags) => tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.etag),
            // To the very date, not up to it: clocks of writers differ, and a later version may have an earlier time.
            None => {
                self.has_stable_date
                    && date(headers, &header::IF_MODIFIED_SINCE).is_some_and(|asked| self.second() == Some(asked.as_second()))
            }
        };
        is_held.then_some(Precondition::NotModified)
    }

    /// Whether the answer changed after the date of `If-Unmodified-Since`, or may have in its very second.
    fn changed_since(&self, headers: &HeaderMap) -> bool {
        let asked = date(headers, &header::IF_UNMODIFIED_SINCE).map(Timestamp::as_second);
        let dates = asked.zip(self.second());
        dates.is_some_and(|(asked, modified)| modified > asked || modified == asked && !self.has_stable_date)
    }

    fn second(&self) -> Option<i64> {
        self.modified_at.map(Timestamp::as_second)
    }

    /// Whether `If-Range` lets a range be answered: a part of another answer would be put together with this one.
    pub fn allow_range(&self, headers: &HeaderMap) -> bool {
        let Some(condition) = headers.get(header::IF_RANGE) else {
            return true;
        };
        condition.to_str().is_ok_and(|condition| condition == self.etag)
    }

    /// The headers of an answer that they name.
    pub fn headers(&self) -> ValidatorHeaders {
        let text = |text: &str| HeaderValue::try_from(text).expect("tags and dates are visible ASCII characters");
        ValidatorHeaders {
            etag: text(&self.etag),
            modified: self
                .modified_at
                .filter(|_| self.has_stable_date)
                .map(|modified_at| text(&modified_at.strftime(HTTP_DATE).to_string())),
        }
    }
}

/// What conditions require instead of the representation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// 304: the client has the representation.
    NotModified,
    /// 412: the client requires another representation than the current one.
    Failed,
}

/// The tag and the date, and how the answer may be kept.
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

/// The tags that a header lists, if it is there. Commas in a tag are none of ours.
fn tags<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<impl Iterator<Item = &'a str>> {
    let mut values = headers.get_all(name).into_iter().peekable();
    values.peek()?;
    let lists = values.filter_map(|value| value.to_str().ok());
    Some(lists.flat_map(|value| value.split(',')).map(str::trim))
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<Timestamp> {
    headers.get(name).and_then(|value| value.to_str().ok()).and_then(http_date)
}

/// A date in any of the three forms of RFC 9110, 5.6.7.
fn http_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text).ok()?;
    Timestamp::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    const MODIFIED: &str = "2026-11-24T11:00:00.5Z";

    fn validators() -> Validators {
        let now = "2026-11-24T11:00:10.5Z".parse().unwrap();
        Validators::new("t-3-ab", MODIFIED.parse().unwrap(), now)
    }

    #[track_caller]
    fn check(headers: &[(HeaderName, &'static str)], expected: Option<u16>) {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)))
            .collect();
        let precondition = validators().evaluate_preconditions(&headers);
        let status = precondition.map(|precondition| match precondition {
            Precondition::NotModified => 304,
            Precondition::Failed => 412,
        });
        assert_eq!(status, expected, "{headers:?}");
    }

    #[test]
    fn conditions() {
        check(&[], None);
        check(&[(header::IF_NONE_MATCH, "\"t-3-ab\"")], Some(304));
        check(&[(header::IF_NONE_MATCH, "W/\"t-3-ab\"")], Some(304));
        check(&[(header::IF_NONE_MATCH, "\"x\", \"t-3-ab\"")], Some(304));
        check(&[(header::IF_NONE_MATCH, "*")], Some(304));
        check(&[(header::IF_NONE_MATCH, "\"t-2-ab\"")], None);
        check(&[(header::IF_NONE_MATCH, "t-3-ab")], None);
        check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:00 GMT")], Some(304));
        check(&[(header::IF_MODIFIED_SINCE, "Tuesday, 24-Nov-26 11:00:00 GMT")], Some(304));
        check(&[(header::IF_MODIFIED_SINCE, "Tue Nov 24 11:00:00 2026")], Some(304));
        check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 10:59:59 GMT")], None);
        check(&[(header::IF_MODIFIED_SINCE, "Tuesday, 24-Nov-26 10:59:59 GMT")], None);
        check(&[(header::IF_MODIFIED_SINCE, "Tue Nov 24 10:59:59 2026")], None);
        // Of a version that a writer with another clock made.
        check(&[(header::IF_MODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:01 GMT")], None);
        check(&[(header::IF_MODIFIED_SINCE, "yesterday")], None);
        check(&[(header::IF_MATCH, "\"t-3-ab\"")], None);
        check(&[(header::IF_MATCH, "\"x\", \"t-3-ab\"")], None);
        check(&[(header::IF_MATCH, "*")], None);
        check(&[(header::IF_MATCH, "\"t-2-ab\"")], Some(412));
        // A weak tag names no bytes.
        check(&[(header::IF_MATCH, "W/\"t-3-ab\"")], Some(412));
        check(&[(header::IF_UNMODIFIED_SINCE, "Tue, 24 Nov 2026 11:00:00 GMT")], None);
        check(&[(header::IF_UNMODIFIED_SINCE, "Tue, 24 Nov 2026 10:00:00 GMT")], Some(412));
        check(&[(header::IF_UNMODIFIED_SINCE, "Tue, 24 Nov 2026 12:00:00 GMT")], None);
        check(&[(header::IF_UNMODIFIED_SINCE, "yesterday")], None);
    }

    #[test]
    fn tags_say_more_than_dates() {
        let date = "Tue, 24 Nov 2026 11:00:00 GMT";
        check(&[(header::IF_NONE_MATCH, "\"t-2-ab\""), (header::IF_MODIFIED_SINCE, date)], None);
        check(&[(header::IF_MATCH, "\"t-2-ab\""), (header::IF_UNMODIFIED_SINCE, date)], Some(412));
        check(
            &[(header::IF_MATCH, "\"t-3-ab\""), (header::IF_NONE_MATCH, "\"t-3-ab\"")],
            Some(304),
        );
        check(
            &[(header::IF_MATCH, "\"t-2-ab\""), (header::IF_NONE_MATCH, "\"t-3-ab\"")],
            Some(412),
        );
    }

    fn told(validators: &Validators) -> HeaderMap {
        (validators.headers(), ()).into_response().headers().clone()
    }

    #[test]
    fn dates_are_those_of_http() {
        let modified_at: Timestamp = "2026-11-04T01:02:03Z".parse().unwrap();
        let headers = told(&Validators::new("x", modified_at, modified_at + DATE_STABLE_AFTER));
        assert_eq!(headers[header::LAST_MODIFIED], "Wed, 04 Nov 2026 01:02:03 GMT");
        assert_eq!(headers[header::ETAG], "\"x\"");
    }

    #[test]
    fn a_date_is_told_once_no_other_version_can_have_it() {
        let modified_at: Timestamp = MODIFIED.parse().unwrap();
        let now = modified_at + DATE_STABLE_AFTER - SignedDuration::from_nanos(1);
        let headers = told(&Validators::new("x", modified_at, now));
        assert!(!headers.contains_key(header::LAST_MODIFIED) && headers.contains_key(header::ETAG));
        let asked = HeaderMap::from_iter([(header::IF_MODIFIED_SINCE, HeaderValue::from_static("Tue, 24 Nov 2026 11:00:00 GMT"))]);
        let validators = Validators::new("x", modified_at, now);
        assert_eq!(validators.evaluate_preconditions(&asked), None);
        // Who goes on with an older version, or one of the same second, is told that it is another.
        for since in ["Tue, 24 Nov 2026 10:00:00 GMT", "Tue, 24 Nov 2026 11:00:00 GMT"] {
            let asked = HeaderMap::from_iter([(header::IF_UNMODIFIED_SINCE, HeaderValue::from_static(since))]);
            assert_eq!(validators.evaluate_preconditions(&asked), Some(Precondition::Failed), "{since}");
        }
    }
}
