//! Cross-origin resource sharing (CORS): pages of the configured origins may read responses. By default there are none.

use std::{convert::Infallible, fmt, str::FromStr, sync::Arc, time::Duration};

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};
use thiserror::Error;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::cors::CorsLayer;
use url::Url;

const ALLOWED_METHODS: [Method; 5] = [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS];

/// Headers that pages may send in addition to the CORS-safelisted request headers.
const ALLOWED_HEADERS: [HeaderName; 11] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("prefer"),
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
    header::IF_RANGE,
    HeaderName::from_static("last-event-id"),
];

/// Headers that pages may read in addition to the CORS-safelisted response headers.
const EXPOSED_HEADERS: [HeaderName; 13] = [
    HeaderName::from_static("datalake-version"),
    HeaderName::from_static("datalake-version-age"),
    HeaderName::from_static("datalake-checked-age"),
    HeaderName::from_static("datalake-runs-stale"),
    header::ETAG,
    header::LINK,
    HeaderName::from_static("x-total-count"),
    header::LOCATION,
    header::RETRY_AFTER,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("preference-applied"),
    header::CONTENT_RANGE,
    header::ACCEPT_RANGES,
];

/// How long browsers may cache the response to a preflight request. They allow at most two hours; a changed list of origins takes effect sooner.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_mins(10);

/// An origin as in the header `Origin` (RFC 6454): scheme, host and, unless it is the default of the scheme, port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// The text is not an origin.
#[derive(Clone, Debug, Error)]
#[error("not an origin: {reason}; give scheme, host and port, such as https://app.example.com or http://localhost:3000")]
pub struct OriginError {
    reason: &'static str,
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let error = |reason| OriginError { reason };
        let url = Url::parse(text).map_err(|_| error("it has no scheme or no host"))?;
        let is_bare = url.path() == "/" && !text.ends_with('/') && url.query().is_none() && url.fragment().is_none();
        let has_no_user = url.username().is_empty() && url.password().is_none();
        match (url.scheme(), is_bare, has_no_user) {
            ("http" | "https", true, true) => {}
            ("http" | "https", false, _) => return Err(error("it has a path, a query or a fragment")),
            ("http" | "https", true, false) => return Err(error("it contains a user name or a password")),
            _ => return Err(error("the scheme is neither http nor https")),
        }
        // This form is in lower case and without the default port.
        let text = url.origin().ascii_serialization();
        HeaderValue::try_from(text)
            .map(Self)
            .map_err(|_| error("a header cannot contain it"))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.as_bytes()))
    }
}

/// The origins whose pages may read responses. Clones share them.
#[derive(Clone, Debug)]
pub struct Cors(Option<Arc<CorsPolicy>>);

#[derive(Debug)]
struct CorsPolicy {
    origins: Vec<HeaderValue>,
    layer: CorsLayer,
}

impl Cors {
    /// Lets pages of these origins read responses.
    pub fn new(origins: &[Origin]) -> Self {
        if origins.is_empty() {
            return Self(None);
        }
        let origins: Vec<_> = origins.iter().map(|Origin(origin)| origin.clone()).collect();
        let layer = CorsLayer::new()
            .allow_origin(origins.clone())
            .allow_methods(ALLOWED_METHODS)
            .allow_headers(ALLOWED_HEADERS)
            .expose_headers(EXPOSED_HEADERS)
            .max_age(PREFLIGHT_MAX_AGE)
            .vary([header::ORIGIN]);
        Self(Some(Arc::new(CorsPolicy { origins, layer })))
    }

    /// Whether pages of the origin in the header `Origin` may read responses.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        self.0.as_ref().is_some_and(|policy| policy.allows(headers))
    }
}

impl CorsPolicy {
    fn allows(&self, headers: &HeaderMap) -> bool {
        headers.get(header::ORIGIN).is_some_and(|origin| self.origins.contains(origin))
    }
}

/// Responds to preflight requests, and adds the CORS headers to responses for allowed origins.
///
/// Only such requests pass through the layer of tower-http. It would respond to every `OPTIONS` request, also to one for the methods of a path.
/// All other requests cost one comparison.
pub async fn cors(cors: &Cors, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let Some(policy) = &cors.0 else {
        return next(request).await;
    };
    let is_options = request.method() == Method::OPTIONS;
    let is_preflight = is_options && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !policy.allows(request.headers()) || is_options && !is_preflight {
        let mut response = next(request).await;
        // A cache must not use this response for a request from an allowed origin.
        response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
        return response;
    }
    let mut next = Some(next);
    let inner = service_fn(move |request| {
        let next = next.take().expect("the service is called once");
        async move { Ok::<_, Infallible>(next(request).await) }
    });
    let mut response = match policy.layer.layer(inner).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if is_preflight {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
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
    fn origins_are_parsed_and_normalized() {
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
