//! Operations on servers that support a part of S3, and multipart uploads.

use std::sync::{
    Arc, Mutex, OnceLock,
    atomic::{AtomicU32, Ordering},
};

use aws_smithy_runtime_api::client::{http::HttpConnectorFuture, result::ConnectorError};
use bytes::Bytes;
use datalake_store::{
    bucket::{Bucket, Etag, Metadata, PutMode},
    error::StoreError,
    request_counter::RequestCounter,
    s3::S3Bucket,
};

use crate::{
    s3::http,
    s3_canned::{canned, copy, error, object, status, with, written},
};

#[tokio::test]
async fn copy_without_copy_object_reads_and_writes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let client = http(move |request| {
        let is_copy = request.headers().get("x-amz-copy-source").is_some();
        let is_conditional = request.headers().get("if-match").is_some();
        let mut requests = requests.lock().unwrap();
        let response = match request.method() {
            "PUT" if is_copy => {
                requests.push("copy");
                error(501, "NotImplemented")
            }
            "PUT" => {
                requests.push("put");
                written()
            }
            _ => {
                requests.push(if is_conditional { "get if-match" } else { "get" });
                object("whole", "5")
            }
        };
        HttpConnectorFuture::ready(response)
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    assert_eq!(copy(&bucket).await.unwrap(), Etag::new("tag"));
    // The second copy does not repeat the unsupported request.
    assert_eq!(copy(&bucket).await.unwrap(), Etag::new("tag"));
    assert_eq!(*seen.lock().unwrap(), ["copy", "get if-match", "put", "get if-match", "put"]);
}

/// A run must not fail after its commit because the store does not support conditional deletes: the ETag was compared before.
#[tokio::test]
async fn conditional_delete_falls_back_to_comparing_the_etag() {
    let etag = Etag::new("tag");
    for rejection in [|| error(501, "NotImplemented"), || error(400, "NotImplemented")] {
        let (bucket, request_count) = canned(vec![|| object("", "0"), rejection, || status(204, "")]);
        bucket.delete("a", Some(&etag)).await.expect("the ETag is current");
        assert_eq!(request_count.load(Ordering::SeqCst), 3);
    }
    let (bucket, request_count) = canned(vec![|| object("", "0")]);
    let result = bucket.delete("a", Some(&Etag::new("other"))).await;
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
    assert_eq!(request_count.load(Ordering::SeqCst), 1, "nothing is removed");
    let (bucket, request_count) = canned(vec![|| error(501, "NotImplemented")]);
    assert!(bucket.delete("a", None).await.unwrap_err().is_not_supported());
    assert_eq!(request_count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn ranges_of_responses_are_checked() {
    let part = || with(object("234", "3"), &[("content-range", "bytes 2-4/10")]);
    let (bucket, _) = canned(vec![part]);
    let object_part = bucket.get("a", None, Some(2..5)).await.unwrap();
    assert_eq!((&object_part.bytes[..], object_part.meta.size), (&b"234"[..], 10));
    let other = bucket.get("a", None, Some(3..6)).await;
    assert!(
        matches!(other, Err(StoreError::Invalid { .. })),
        "the response has another range than the request: {other:?}"
    );
    let (bucket, request_count) = canned(vec![|| object("0123456789", "10")]);
    let whole = bucket.get("a", None, Some(2..5)).await.unwrap();
    assert_eq!(
        (&whole.bytes[..], whole.meta.size),
        (&b"234"[..], 10),
        "a server may send the whole object"
    );
    #[expect(clippy::reversed_empty_ranges, reason = "an empty range is the case that is tested")]
    for empty in [5..5, 5..4] {
        assert!(matches!(bucket.get("a", None, Some(empty)).await, Err(StoreError::Invalid { .. })));
    }
    assert_eq!(request_count.load(Ordering::SeqCst), 1, "an empty range is not requested");
    let (bucket, _) = canned(vec![|| error(416, "InvalidRange")]);
    assert!(matches!(bucket.get("a", None, Some(10..11)).await, Err(StoreError::Invalid { .. })));
}

#[tokio::test]
async fn upload_whose_completion_response_was_lost_is_recognized() {
    let (writer, completions) = (Arc::new(OnceLock::new()), AtomicU32::new(0));
    let client = http(move |request| {
        let response = match (request.method(), request.uri()) {
            ("POST", uri) if uri.contains("?uploads") => {
                writer.get_or_init(|| request.headers().get("x-amz-meta-datalake-writer").unwrap().to_owned());
                status(
                    200,
                    "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
                )
            }
            ("PUT", _) => written(),
            ("POST", _) if completions.fetch_add(1, Ordering::SeqCst) == 0 => Err(ConnectorError::timeout("the response was lost".into())),
            ("POST", _) => error(404, "NoSuchUpload"),
            ("HEAD", _) => object("", "17825792").map(|mut response| {
                response
                    .headers_mut()
                    .insert("x-amz-meta-datalake-writer", writer.get().cloned().unwrap_or_default());
                response
            }),
            (method, uri) => panic!("{method} {uri}"),
        };
        HttpConnectorFuture::ready(response)
    });
    let counter = Arc::new(RequestCounter::default());
    let bucket = S3Bucket::over(client, "lake", "", Arc::clone(&counter));
    let large = Bytes::from(vec![7; 17 * 1024 * 1024]);
    let etag = bucket
        .put("large", large, PutMode::Replace, &Metadata::new())
        .await
        .expect("the upload took effect");
    assert_eq!(etag, Etag::new("tag"));
    let counted = counter.snapshot();
    assert_eq!(
        (counted.put, counted.head, counted.delete),
        (6, 1, 0),
        "one start, three parts, two completions; one head; no deletion"
    );
}

#[tokio::test]
async fn parts_of_a_failed_upload_are_removed() {
    let aborted = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&aborted);
    let client = http(move |request| {
        let response = match (request.method(), request.uri()) {
            ("POST", uri) if uri.contains("?uploads") => status(
                200,
                "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
            ),
            ("PUT", _) => error(403, "AccessDenied"),
            ("DELETE", uri) if uri.contains("uploadId=1") => {
                count.fetch_add(1, Ordering::SeqCst);
                status(204, "")
            }
            (method, uri) => panic!("{method} {uri}"),
        };
        HttpConnectorFuture::ready(response)
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    let result = bucket
        .put("large", vec![7; 17 * 1024 * 1024].into(), PutMode::Create, &Metadata::new())
        .await;
    assert!(matches!(result, Err(StoreError::Denied { .. })), "{result:?}");
    assert_eq!(aborted.load(Ordering::SeqCst), 1);
}

/// A proxy that compresses marks the ETag, while the store compares it without the mark.
#[tokio::test]
async fn weak_etags_are_compared_by_their_opaque_part() {
    let matches: Arc<OnceLock<String>> = Arc::default();
    let sent = Arc::clone(&matches);
    let client = http(move |request| {
        if let Some(condition) = request.headers().get("if-match") {
            sent.get_or_init(|| condition.to_owned());
        }
        HttpConnectorFuture::ready(with(object("x", "1"), &[("etag", "W/\"tag\"")]))
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    let etag = bucket.head("a").await.unwrap().meta.etag;
    assert_eq!(etag, Etag::new("\"tag\""));
    assert_eq!(bucket.get("a", Some(&etag), None).await.unwrap().meta.etag, etag);
    assert_eq!(matches.get().unwrap(), "\"tag\"");
}

#[tokio::test]
async fn objects_over_the_size_limit_are_not_read() {
    let (bucket, _) = canned(vec![|| object("", "9223372036854775807")]);
    let result = bucket.get("a", None, None).await;
    let Err(error @ StoreError::Invalid { .. }) = result else {
        panic!("{result:?}")
    };
    assert!(error.to_string().contains("9223372036854775807 bytes"), "{error}");
    assert_eq!(bucket.head("a").await.unwrap().meta.size, 9_223_372_036_854_775_807);
}
