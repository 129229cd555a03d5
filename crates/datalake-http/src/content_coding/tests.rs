//! Tests of compression, `Accept-Encoding` and weak ETags.

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
    let response = router.oneshot(request).await.unwrap();
    let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
    let case = format!("{status}, {content_type}, accepted: {accepted}");
    assert_eq!(header(header::CONTENT_ENCODING), coding, "{case}");
    if coding.is_some() {
        assert_eq!(header(header::VARY), Some("accept-encoding"), "{case}");
    }
}

#[tokio::test]
async fn only_complete_compressible_responses_are_compressed() {
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
async fn small_bodies_are_not_compressed() {
    for (bytes, coding) in [(BYTES_MIN - 1, None), (BYTES_MIN, Some("gzip"))] {
        let body = "a".repeat(usize::try_from(bytes).unwrap());
        let router = Router::new().route("/", get(async move || body.clone())).layer(compression());
        let request = Request::get("/").header(header::ACCEPT_ENCODING, "gzip");
        let response = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let found = response
            .headers()
            .get(header::CONTENT_ENCODING)
            .map(|value| value.to_str().unwrap());
        assert_eq!(found, coding, "{bytes} bytes");
    }
}

#[track_caller]
fn check_accepts(value: &'static str, coding: &str, expected: bool) {
    let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
    assert_eq!(accepts(&headers, coding), expected, "Accept-Encoding: {value}, {coding}");
}

#[test]
fn accept_encoding_weights_are_honored() {
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
fn clients_that_accept_no_coding_are_detected() {
    check_accepts_any("*;q=0", false);
    check_accepts_any("identity;q=0", false);
    check_accepts_any("identity;q=0, gzip;q=0.0", false);
    check_accepts_any("identity;q=0, gzip", true);
    check_accepts_any("gzip;q=0", true);
    check_accepts_any("*;q=0, identity", true);
    check_accepts_any("gzip;q=0.5", true);
}

/// Checks the ETag of a response with this coding for which the handler has set `etag`.
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
