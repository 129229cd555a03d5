//! Which failures of S3 are retried.

use std::sync::{Arc, atomic::Ordering};

use aws_smithy_runtime_api::client::{http::HttpConnectorFuture, result::ConnectorError};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use datalake_store::{
    bucket::{Bucket, Etag, PutMode},
    error::StoreError,
    request_counter::RequestCounter,
    s3::S3Bucket,
};
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;

use crate::{
    s3::http,
    s3_canned::{Respond, canned, copy, error, object, put, status, written},
};

#[tokio::test]
async fn transient_failures_are_retried() {
    let reset = || Err(ConnectorError::io("connection reset".into()));
    let (bucket, request_count) = canned(vec![|| status(503, ""), || status(522, ""), || status(429, ""), reset, written]);
    assert_eq!(put(&bucket, PutMode::Replace).await.unwrap(), Etag::new("tag"));
    assert_eq!(request_count.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn retries_end_after_five_attempts() {
    let responses: [Respond; 5] = [
        || status(503, ""),
        || error(500, "InternalError"),
        || error(400, "RequestTimeout"),
        || Err(ConnectorError::timeout("no response".into())),
        || Err(ConnectorError::io("connection refused".into())),
    ];
    for response in responses {
        let (bucket, request_count) = canned(vec![response]);
        let error = put(&bucket, PutMode::Replace).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Unavailable {
                    attempts: 5,
                    cause: Some(_),
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(request_count.load(Ordering::SeqCst), 5);
    }
}

/// During a short outage of the store, each request has its own attempts.
#[tokio::test]
async fn concurrent_requests_do_not_share_retries() {
    let counter = Arc::new(RequestCounter::default());
    let client = http(|request| {
        let is_last = request
            .headers()
            .get("amz-sdk-request")
            .is_some_and(|attempt| attempt.contains("attempt=5"));
        HttpConnectorFuture::ready(if is_last { written() } else { status(503, "") })
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::clone(&counter));
    let writes = futures_util::future::join_all((0..128).map(|_| put(&bucket, PutMode::Replace))).await;
    assert!(
        writes.iter().all(Result::is_ok),
        "{:?}",
        writes.iter().find(|result| result.is_err())
    );
    assert_eq!(counter.snapshot().put, 5 * 128);
}

#[tokio::test]
async fn undecided_create_is_retried() {
    let undecided = || error(409, "ConditionalRequestConflict");
    let (bucket, request_count) = canned(vec![undecided, undecided, written]);
    assert_eq!(put(&bucket, PutMode::Create).await.unwrap(), Etag::new("tag"));
    assert_eq!(request_count.load(Ordering::SeqCst), 3);
    let (bucket, _) = canned(vec![undecided, undecided, undecided, undecided, undecided, || object("", "0")]);
    let result = put(&bucket, PutMode::Create).await;
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
}

#[tokio::test]
async fn error_in_a_response_with_status_200_is_an_error() {
    let (bucket, request_count) = canned(vec![|| error(200, "InternalError")]);
    let result = copy(&bucket).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    assert_eq!(request_count.load(Ordering::SeqCst), 5, "the request is retried");
    let (bucket, _) = canned(vec![|| error(200, "PreconditionFailed")]);
    assert!(matches!(copy(&bucket).await, Err(StoreError::Conflict { .. })));
    let copied = || status(200, "<CopyObjectResult><ETag>&quot;copied&quot;</ETag></CopyObjectResult>");
    let (bucket, _) = canned(vec![|| error(200, "SlowDown"), copied]);
    assert_eq!(copy(&bucket).await.unwrap(), Etag::new("copied"));
}

#[tokio::test]
async fn short_body_is_read_again() {
    let (bucket, request_count) = canned(vec![|| object("who", "5"), || object("whole", "5")]);
    assert_eq!(&bucket.get("a", None, None).await.unwrap().bytes[..], b"whole");
    assert_eq!(request_count.load(Ordering::SeqCst), 2);
    let (bucket, request_count) = canned(vec![|| object("who", "5")]);
    assert!(matches!(
        bucket.get("a", None, None).await,
        Err(StoreError::Unavailable { attempts: 5, .. })
    ));
    assert_eq!(request_count.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn interrupted_body_is_read_again() {
    let broken = || {
        object("", "5").map(|mut response| {
            let parts = [
                Ok(Frame::data(Bytes::from_static(b"who"))),
                Err(std::io::Error::other("connection reset")),
            ];
            *response.body_mut() = SdkBody::from_body_1_x(StreamBody::new(stream::iter(parts)));
            response
        })
    };
    let (bucket, request_count) = canned(vec![broken, || object("whole", "5")]);
    assert_eq!(&bucket.get("a", None, None).await.unwrap().bytes[..], b"whole");
    assert_eq!(request_count.load(Ordering::SeqCst), 2);
    // The object was replaced between the two requests: a conditional get reports it.
    let (bucket, _) = canned(vec![broken, || error(412, "PreconditionFailed")]);
    assert!(matches!(
        bucket.get("a", Some(&Etag::new("tag")), None).await,
        Err(StoreError::Conflict { .. })
    ));
}
