//! Which pages of other sites may read answers (CORS): those of the configured origins, and none by default.

use std::{fmt, str::FromStr, sync::Arc};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use thiserror::Error;
use url::Url;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE, OPTIONS");

/// What a page may send beside what every page may.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, prefer, if-match, if-none-match, if-modified-since, if-unmodified-since, \
     range, if-range, last-event-id",
);

/// What a page may look at beside what every page may. The wildcard would do, were it not for `Authorization`.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "datalake-version, datalake-version-age, datalake-checked-age, datalake-runs-stale, etag, link, x-total-count, location, \
     retry-after, x-request-id, preference-applied, content-range, accept-ranges",
);

/// Browsers ask again after two hours at the latest; a list that is changed shows sooner with ten minutes.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Scheme, host and port of a site, as browsers write it in the header `Origin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The text is no origin.
#[derive(Clone, Debug, Error)]
#[error(
    "not an origin: {reason}; an origin is a scheme, a host and, unless it is the scheme's own, a port: https://app.example.com or http://localhost:3000"
)]
pub struct OriginError {
    reason: &'static str,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let refusal = |reason| OriginError { reason };
        let url = Url::parse(text).map_err(|_| refusal("no scheme and host"))?;
        let is_bare = url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
        let names_nobody = url.username().is_empty() && url.password().is_none();
        match (url.scheme(), is_bare, names_nobody) {
            ("http" | "https", true, true) => {}
            ("http" | "https", false, _) => return Err(refusal("there is something behind the host")),
            ("http" | "https", true, false) => return Err(refusal("there is a user in it")),
            _ => return Err(refusal("the scheme is neither http nor https")),
        }
        // Lower case, and without a port that goes without saying.
        let text = url.origin().ascii_serialization();
        HeaderValue::try_from(text).map(Self).map_err(|_| refusal("no header can carry it"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

/// The origins whose pages may read answers.
#[derive(Clone, Debug)]
pub(crate) struct AllowList(Arc<[Origin]>);

impl AllowList {
    pub(crate) fn new(origins: &[Origin]) -> Self {
        Self(origins.into())
    }

    /// The request's origin, if its pages may read the answer.
    pub(crate) fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.0.iter().any(|allowed| allowed.0 == origin).then(|| origin.clone())
    }
}

/// Answers the question of a browser whether a page may ask, and marks the answers that it may read.
pub(crate) async fn cors(list: &AllowList, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if list.0.is_empty() {
        return next(request).await;
    }
    let origin = list.allowed(request.headers());
    let asks_first = request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (&origin, asks_first) {
        (Some(_), true) => allowance().into_response(),
        _ => next(request).await,
    };
    let headers = response.headers_mut();
    // A cache must not hand one site what was marked for another.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    response
}

fn allowance() -> (StatusCode, [(HeaderName, HeaderValue); 3]) {
    (
        StatusCode::NO_CONTENT,
        [
            (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let origin = text.parse::<Origin>();
        assert_eq!(origin.as_ref().ok().map(ToString::to_string).as_deref(), expected, "{text}");
        if let Err(error) = origin {
            assert!(error.to_string().contains("https://app.example.com"), "{error}");
        }
    }

    #[test]
    fn origins() {
        check("https://app.example.com", Some("https://app.example.com"));
        check("http://localhost:3000", Some("http://localhost:3000"));
        check("http://[::1]:3000", Some("http://[::1]:3000"));
        check("HTTPS://App.Example.com:443", Some("https://app.example.com"));
        check("http://app.example.com:443", Some("http://app.example.com:443"));
        check("https://bücher.example", Some("https://xn--bcher-kva.example"));
        check("*", None);
        check("null", None);
        check("", None);
        check("app.example.com", None);
        check("https://", None);
        check("https://app.example.com/", None);
        check("https://app.example.com/path", None);
        check("https://app.example.com?x", None);
        check("https://app.example.com#x", None);
        check("https://me@app.example.com", None);
        check("ftp://app.example.com", None);
        check("file:///tmp", None);
        check("https://a.example, https://b.example", None);
    }
}
