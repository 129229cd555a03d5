//! Which answers are compressed, and how much.

use std::convert::Infallible;

use axum::{
    body::Body,
    extract::Request,
    http::{Extensions, HeaderMap, StatusCode, Version, header},
    response::{IntoResponse, Response},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::{
    CompressionLevel,
    compression::{
        CompressionLayer,
        predicate::{And, DefaultPredicate, NotForContentType, Predicate, SizeAbove},
    },
};

use crate::problem::Problem;

/// A smaller body fits the first packet of an answer, and may be larger once it is compressed.
const BYTES_MIN: u64 = 1024;

/// Whether an answer with this head may be compressed.
type OfHead = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Neither what is small, nor what is compressed already, nor what is to arrive at once; and no part of a whole, whose offsets are those of the plain bytes.
type Compressible = And<And<And<And<SizeAbove, DefaultPredicate>, NotForContentType>, NotForContentType>, OfHead>;

/// Compresses with gzip and zstd. Pictures and events are among the defaults of what is left alone.
pub(crate) fn compression() -> CompressionLayer<Compressible> {
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

/// Refuses before anything is done what the compression would refuse after it, with 406 as well: a client that takes neither the plain bytes
/// nor any coding.
pub(crate) async fn refuse_codings(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    if is_refused(request.headers()).await {
        return Problem::NoCoding.into_response();
    }
    next(request).await
}

/// What the compression itself says of the header.
async fn is_refused(headers: &HeaderMap) -> bool {
    let asked = headers.get_all(header::ACCEPT_ENCODING);
    // Nothing is refused without a weight of 0, which hardly any client sends.
    if !asked.iter().any(|value| value.as_bytes().contains(&b'0')) {
        return false;
    }
    let mut question = Request::new(Body::empty());
    for value in asked {
        question.headers_mut().append(header::ACCEPT_ENCODING, value.clone());
    }
    let empty = service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::empty())));
    let Ok(answer) = compression().layer(empty).oneshot(question).await;
    !answer.status().is_success()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use axum::{
        Router,
        middleware::{self, Next},
        routing::get,
    };

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

    #[tokio::test]
    async fn who_takes_no_coding_is_refused_before_anything_is_done() {
        let done = Arc::new(AtomicUsize::new(0));
        let handler = {
            let done = Arc::clone(&done);
            async move || {
                done.fetch_add(1, Ordering::Relaxed);
                "a".repeat(2000)
            }
        };
        let router = Router::new()
            .route("/", get(handler))
            .layer(middleware::from_fn(|request, next: Next| {
                refuse_codings(request, |request| next.run(request))
            }))
            .layer(compression());
        for (accepted, expected) in [
            ("*;q=0", 406),
            ("identity;q=0", 406),
            ("identity;q=0, gzip;q=0.0", 406),
            ("identity;q=0, gzip", 200),
            ("gzip;q=0", 200),
            ("*;q=0, identity", 200),
            ("gzip;q=0.5", 200),
        ] {
            let before = done.load(Ordering::Relaxed);
            let request = Request::get("/")
                .header(header::ACCEPT_ENCODING, accepted)
                .body(Body::empty())
                .unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status().as_u16(), expected, "{accepted}");
            let was_done = done.load(Ordering::Relaxed) > before;
            assert_eq!(was_done, expected == 200, "{accepted}");
        }
    }
}
