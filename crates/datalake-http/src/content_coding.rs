//! Content codings: which responses are compressed, which codings a client accepts, and weak ETags for compressed responses.
//!
//! A strong ETag names bytes, and each coding has other bytes (RFC 9110, 8.8.3).

use axum::{
    extract::Request,
    http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header},
    response::Response,
};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{And, DefaultPredicate, NotForContentType, Predicate, SizeAbove},
    },
};

/// A smaller body fits the first packet of an answer, and may be larger once it is compressed.
const BYTES_MIN: u64 = 1024;

/// Whether an answer with this head may be compressed.
type OfHead = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Neither what is small, nor what is compressed already, nor what is to arrive at once; and no part of a whole, whose offsets are those of the plain bytes.
type Compressible = And<And<And<And<SizeAbove, DefaultPredicate>, NotForContentType>, NotForContentType>, OfHead>;

/// Compresses with gzip and zstd. Pictures and events are among the defaults of what is left alone.
pub fn compression() -> CompressionLayer<Compressible> {
    let is_whole: OfHead = |status, _, _, _| status != StatusCode::PARTIAL_CONTENT;
    let compressible = SizeAbove::new(BYTES_MIN)
        .and(DefaultPredicate::new())
        .and(NotForContentType::const_new("application/vnd.apache.parquet"))
        .and(NotForContentType::const_new("application/vnd.apache.arrow"))
        .and(is_whole);
    // Rows compress nearly as well at the lowest level, at several times the speed, and with the least memory a stream.
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(compressible)
}

/// Whether the client accepts the coding, by `Accept-Encoding` (RFC 9110, 12.5.3). `identity` is the plain bytes.
pub fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let weight_of = |name: &str| {
        let values = headers.get_all(header::ACCEPT_ENCODING).into_iter();
        let mut elements = values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        elements.find_map(|element| {
            let (found, parameter) = element.split_once(';').unwrap_or((element, ""));
            let weight = parameter
                .trim()
                .strip_prefix("q=")
                .map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
            found.trim().eq_ignore_ascii_case(name).then_some(weight.unwrap_or_default())
        })
    };
    let default = if coding == "identity" { 1.0 } else { 0.0 };
    weight_of(coding).or_else(|| weight_of("*")).unwrap_or(default) > 0.0
}

/// Whether the client accepts the plain bytes or a coding of [`compression`].
pub fn accepts_any(headers: &HeaderMap) -> bool {
    ["identity", "gzip", "zstd"].iter().any(|coding| accepts(headers, coding))
}

/// Makes the ETag of a compressed response weak, as nginx does. Handlers know the ETag of the plain bytes only.
pub async fn weaken_etags(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let mut response = next(request).await;
    let is_compressed = response.headers().contains_key(header::CONTENT_ENCODING);
    if let Some(etag) = response.headers().get(header::ETAG).cloned() {
        vary(response.headers_mut());
        if is_compressed && etag.as_bytes().starts_with(b"\"") {
            let weak = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()).expect("an ETag has visible characters only");
            response.headers_mut().insert(header::ETAG, weak);
        }
    }
    response
}

/// Whether a response is compressed depends on its size and its type, which a 304 does not know: each response with an ETag varies.
fn vary(headers: &mut HeaderMap) {
    let varies = headers.get_all(header::VARY).iter().any(|value| value == "accept-encoding");
    if !varies {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        Router,
        body::Body,
        middleware::{self, Next},
        routing::get,
    };
    use tower::ServiceExt;

    use super::*;

    async fn check(status: u16, content_type: &'static str, accepted: &str, coding: Option<&str>) {
        let status = StatusCode::from_u16(status).unwrap();
        let handler = async move || (status, [(header::CONTENT_TYPE, content_type)], "a".repeat(2000));
        let router = Router::new().route("/", get(handler)).layer(compression());
        let request = Request::get("/")
            .header(header::ACCEPT_ENCODING, accepted)
            .body(Body::empty())
            .unwrap();
        let answer = router.oneshot(request).await.unwrap();
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap());
        let case = format!("{status}, {content_type}, accepted: {accepted}");
        assert_eq!(header(header::CONTENT_ENCODING), coding, "{case}");
        if coding.is_some() {
            assert_eq!(header(header::VARY), Some("accept-encoding"), "{case}");
        }
    }

    #[tokio::test]
    async fn what_is_compressed() {
        check(200, "application/json", "gzip", Some("gzip")).await;
        check(200, "application/json", "zstd", Some("zstd")).await;
        check(200, "application/json", "gzip;q=0.5, zstd;q=0.9", Some("zstd")).await;
        check(200, "application/x-ndjson", "gzip", Some("gzip")).await;
        check(200, "text/csv; charset=utf-8", "gzip, br", Some("gzip")).await;
        check(503, "application/problem+json", "gzip", Some("gzip")).await;
        check(200, "application/json", "br", None).await;
        check(200, "application/json", "identity", None).await;
        check(206, "application/json", "gzip", None).await;
        check(200, "application/vnd.apache.parquet", "gzip", None).await;
        check(200, "application/vnd.apache.arrow.stream", "zstd", None).await;
        check(200, "image/png", "gzip", None).await;
        check(200, "text/event-stream", "gzip", None).await;
    }

    #[tokio::test]
    async fn small_bodies_are_left_as_they_are() {
        for (bytes, coding) in [(BYTES_MIN - 1, None), (BYTES_MIN, Some("gzip"))] {
            let body = "a".repeat(usize::try_from(bytes).unwrap());
            let router = Router::new().route("/", get(async move || body.clone())).layer(compression());
            let request = Request::get("/").header(header::ACCEPT_ENCODING, "gzip");
            let answer = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let found = answer.headers().get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap());
            assert_eq!(found, coding, "{bytes} bytes");
        }
    }

    #[track_caller]
    fn check_accepts(value: &'static str, coding: &str, expected: bool) {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
        assert_eq!(accepts(&headers, coding), expected, "Accept-Encoding: {value}, {coding}");
    }

    #[test]
    fn accept_encoding_is_parsed() {
        check_accepts("gzip", "gzip", true);
        check_accepts("deflate, GZIP;q=0.5, br", "gzip", true);
        check_accepts("gzip;q=0", "gzip", false);
        check_accepts("gzip; q=0.000", "gzip", false);
        check_accepts("gzip;q=x", "gzip", false);
        check_accepts("*", "gzip", true);
        check_accepts("*;q=0, gzip", "gzip", true);
        check_accepts("identity", "gzip", false);
        check_accepts("br", "gzip", false);
        check_accepts("", "gzip", false);
        check_accepts("gzip", "identity", true);
        check_accepts("", "identity", true);
        check_accepts("*;q=0", "identity", false);
        check_accepts("*;q=0, identity", "identity", true);
        check_accepts("identity;q=0", "identity", false);
        assert!(accepts(&HeaderMap::new(), "identity") && !accepts(&HeaderMap::new(), "gzip"));
    }

    #[track_caller]
    fn check_accepts_any(value: &'static str, expected: bool) {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
        assert_eq!(accepts_any(&headers), expected, "Accept-Encoding: {value}");
    }

    #[test]
    fn clients_that_accept_no_coding_are_recognized() {
        check_accepts_any("*;q=0", false);
        check_accepts_any("identity;q=0", false);
        check_accepts_any("identity;q=0, gzip;q=0.0", false);
        check_accepts_any("identity;q=0, gzip", true);
        check_accepts_any("gzip;q=0", true);
        check_accepts_any("*;q=0, identity", true);
        check_accepts_any("gzip;q=0.5", true);
    }

    /// The ETag that a client receives where the handler's is `etag` and the response has the coding.
    async fn check_etag(etag: &'static str, coding: Option<&'static str>, expected: &str) {
        let handler = async move || {
            let mut response = Response::new(Body::empty());
            response.headers_mut().insert(header::ETAG, HeaderValue::from_static(etag));
            let coding = coding.map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
            response.headers_mut().extend(coding);
            response
        };
        let router = Router::new()
            .route("/", get(handler))
            .layer(middleware::from_fn(|request, next: Next| {
                weaken_etags(request, |request| next.run(request))
            }));
        let response = router.oneshot(Request::get("/").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()[header::ETAG], expected, "{etag}, coding: {coding:?}");
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
    }

    #[tokio::test]
    async fn etags_of_compressed_responses_are_weak() {
        check_etag("\"a\"", None, "\"a\"").await;
        check_etag("\"a\"", Some("gzip"), "W/\"a\"").await;
        check_etag("\"a\"", Some("zstd"), "W/\"a\"").await;
        check_etag("W/\"a\"", Some("gzip"), "W/\"a\"").await;
    }
}
