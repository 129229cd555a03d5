//! An S3 server in this process that returns canned responses.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use aws_smithy_runtime_api::{
    client::{http::HttpConnectorFuture, orchestrator::HttpResponse, result::ConnectorError},
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use datalake_store::{
    bucket::{Bucket, Etag, Metadata, PutMode},
    error::StoreError,
    s3::S3Bucket,
};

use crate::s3::http;

pub(crate) type Response = Result<HttpResponse, ConnectorError>;

/// Makes a response.
pub(crate) type Respond = fn() -> Response;

#[expect(clippy::unnecessary_wraps, reason = "responses can also be connection errors")]
pub(crate) fn status(status: u16, body: impl Into<String>) -> Response {
    let body = body.into();
    let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
    response.headers_mut().insert("content-length", body.len().to_string());
    *response.body_mut() = SdkBody::from(body);
    Ok(response)
}

pub(crate) fn error(number: u16, code: &str) -> Response {
    status(number, format!("<Error><Code>{code}</Code><Message>canned</Message></Error>"))
}

pub(crate) fn with(response: Response, headers: &[(&'static str, &'static str)]) -> Response {
    response.map(|mut response| {
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        response
    })
}

pub(crate) fn object(bytes: &'static str, length: &'static str) -> Response {
    let headers = [
        ("content-length", length),
        ("etag", "\"tag\""),
        ("last-modified", "Tue, 24 Nov 2026 00:00:00 GMT"),
    ];
    with(status(200, bytes), &headers)
}

pub(crate) fn written() -> Response {
    with(status(200, ""), &[("etag", "\"tag\"")])
}

/// A bucket whose server sends the n-th response to the n-th request, and the last response to all later requests. Also returns the number
/// of requests.
pub(crate) fn canned(responses: Vec<Respond>) -> (S3Bucket, Arc<AtomicU32>) {
    let request_count = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&request_count);
    let client = http(move |_| {
        let number = usize::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
        HttpConnectorFuture::ready(responses[number.min(responses.len() - 1)]())
    });
    (S3Bucket::over(client, "lake", "", Arc::default()), request_count)
}

pub(crate) async fn put(bucket: &S3Bucket, mode: PutMode) -> Result<Etag, StoreError> {
    bucket.put("a", "x".into(), mode, &Metadata::new()).await
}

pub(crate) async fn copy(bucket: &S3Bucket) -> Result<Etag, StoreError> {
    bucket.copy("a", &Etag::new("tag"), "b", &Metadata::new()).await
}
