//! Which answers are compressed, and how much.

use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{And, DefaultPredicate, NotForContentType, Predicate},
    },
};

/// Whether an answer with this head may be compressed.
type OfHead = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Neither what is compressed already nor what is to arrive at once; and no part of a whole, whose offsets are those of the plain bytes.
type Compressible = And<And<And<DefaultPredicate, NotForContentType>, NotForContentType>, OfHead>;

/// Compresses with gzip and zstd. Pictures and events are among the defaults of what is left alone.
pub(crate) fn compression() -> CompressionLayer<Compressible> {
    let is_whole: OfHead = |status, _, _, _| status != StatusCode::PARTIAL_CONTENT;
    let compressible = DefaultPredicate::new()
        .and(NotForContentType::const_new("application/vnd.apache.parquet"))
        .and(NotForContentType::const_new("application/vnd.apache.arrow"))
        .and(is_whole);
    // Rows compress nearly as well at the lowest level, at several times the speed, and with the least memory a stream.
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(compressible)
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, extract::Request, http::header, routing::get};
    use tower::ServiceExt;

    use super::*;

    async fn check(status: u16, content_type: &'static str, accepted: &str, coding: Option<&str>) {
        let status = StatusCode::from_u16(status).unwrap();
        let handler = async move || (status, [(header::CONTENT_TYPE, content_type)], "a".repeat(1000));
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
}
