//! Which pages of other sites may read answers (CORS): those of the configured origins, and none by default.

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

const METHODS: [Method; 5] = [Method::GET, Method::HEAD, Method::POST, Method::DELETE, Method::OPTIONS];

/// What a page may send in addition to what every page may send.
const HEADERS: [HeaderName; 11] = [
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

/// What a page may read in addition to what every page may read. A wildcard does not cover `Authorization`.
const EXPOSED: [HeaderName; 13] = [
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

/// Browsers keep the answer for two hours at most; with ten minutes, a changed list takes effect sooner.
const MAX_AGE: Duration = Duration::from_mins(10);

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

/// The origins whose pages may read answers. Clones share them.
#[derive(Clone, Debug)]
pub struct Cors(Option<Arc<Allowed>>);

#[derive(Debug)]
struct Allowed {
    origins: Vec<HeaderValue>,
    layer: CorsLayer,
}

impl Cors {
    /// Allows requests from pages of these origins.
    pub fn new(origins: &[Origin]) -> Self {
        if origins.is_empty() {
            return Self(None);
        }
        let origins: Vec<_> = origins.iter().map(|Origin(origin)| origin.clone()).collect();
        let layer = CorsLayer::new()
            .allow_origin(origins.clone())
            .allow_methods(METHODS)
            .allow_headers(HEADERS)
            .expose_headers(EXPOSED)
            .max_age(MAX_AGE)
            .vary([header::ORIGIN]);
        Self(Some(Arc::new(Allowed { origins, layer })))
    }

    /// Whether pages of the request's origin may read the answer.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        self.0.as_ref().is_some_and(|allowed| allowed.allow(headers))
    }
}

impl Allowed {
    fn allow(&self, headers: &HeaderMap) -> bool {
        headers.get(header::ORIGIN).is_some_and(|origin| self.origins.contains(origin))
    }
}

/// Answers the preflight requests of browsers, and marks the answers that pages of allowed origins may read.
///
/// The layer gets only what it should answer or mark. It would answer every `OPTIONS` request, also those that ask for the methods of a path. Other
/// requests, which is nearly all of them, pay for one comparison.
pub async fn cors(cors: &Cors, request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let Some(allowed) = &cors.0 else {
        return next(request).await;
    };
    let is_options = request.method() == Method::OPTIONS;
    let is_preflight = is_options && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !allowed.allow(request.headers()) || is_options && !is_preflight {
        let mut response = next(request).await;
        // A cache must not hand one site what was marked for another.
        response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
        return response;
    }
    let mut next = Some(next);
    let inner = service_fn(move |request| {
        let next = next.take().expect("the service gets one request");
        async move { Ok::<_, Infallible>(next(request).await) }
    });
    let mut response = match allowed.layer.layer(inner).oneshot(request).await {
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
