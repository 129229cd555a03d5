//! Content codings: which responses are compressed, which codings a client accepts, and weak ETags for compressed responses.
//!
//! A strong ETag identifies bytes, which differ between codings (RFC 9110, section 8.8.3).

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

/// A smaller body fits in the first packet of a response, and compression may enlarge it.
const BYTES_MIN: u64 = 1024;

/// Whether a response with this head may be compressed.
type HeadPredicate = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// Excludes small bodies, compressed formats, event streams, and partial responses, whose offsets refer to the identity coding.
type Compressible = And<And<And<And<SizeAbove, DefaultPredicate>, NotForContentType>, NotForContentType>, HeadPredicate>;

/// Compresses responses with gzip or zstd. The defaults of tower-http exclude images and event streams.
pub fn compression() -> CompressionLayer<Compressible> {
    let is_complete: HeadPredicate = |status, _, _, _| status != StatusCode::PARTIAL_CONTENT;
    let compressible = SizeAbove::new(BYTES_MIN)
        .and(DefaultPredicate::new())
        .and(NotForContentType::const_new("application/vnd.apache.parquet"))
        .and(NotForContentType::const_new("application/vnd.apache.arrow"))
        .and(is_complete);
    // The lowest level is several times faster, needs the least memory per stream, and compresses rows nearly as well.
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(compressible)
}

/// Whether the client accepts the coding, by `Accept-Encoding` (RFC 9110, section 12.5.3). `identity` means no compression.
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

/// Whether the client accepts `identity` or a coding of [`compression`].
pub fn accepts_any(headers: &HeaderMap) -> bool {
    ["identity", "gzip", "zstd"].iter().any(|coding| accepts(headers, coding))
}

/// Makes the ETag of a compressed response weak, as nginx does. Handlers set the strong ETag of the uncompressed bytes.
pub async fn weaken_etags(request: Request, next: impl AsyncFnOnce(Request) -> Response) -> Response {
    let mut response = next(request).await;
    let is_compressed = response.headers().contains_key(header::CONTENT_ENCODING);
    if let Some(etag) = response.headers().get(header::ETAG).cloned() {
        vary_on_accept_encoding(response.headers_mut());
        if is_compressed && etag.as_bytes().starts_with(b"\"") {
            let weak = HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()).expect("an ETag consists of visible characters");
            response.headers_mut().insert(header::ETAG, weak);
        }
    }
    response
}

/// Adds `Vary: accept-encoding`. Every response with an ETag has it, because a 304 response cannot know whether the 200 response was compressed.
fn vary_on_accept_encoding(headers: &mut HeaderMap) {
    let varies = headers.get_all(header::VARY).iter().any(|value| value == "accept-encoding");
    if !varies {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

#[cfg(test)]
mod tests;
