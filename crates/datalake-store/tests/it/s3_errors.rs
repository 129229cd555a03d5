//! Errors of S3 as errors of the store.

use std::sync::atomic::Ordering;

use aws_smithy_runtime_api::client::result::ConnectorError;
use datalake_store::{
    bucket::{Bucket, Etag, Metadata, PutMode},
    error::StoreError,
};
use futures_util::TryStreamExt;

use crate::s3_canned::{Respond, Response, canned, copy, error, object, put, status, with, written};

#[tokio::test]
async fn failed_condition_is_a_conflict() {
    let (bucket, _) = canned(vec![|| error(412, "PreconditionFailed"), || object("", "0")]);
    assert!(matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Conflict { .. })));
    let (bucket, _) = canned(vec![|| error(412, "PreconditionFailed"), || status(404, "")]);
    assert!(
        matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Conflict { .. })),
        "the object was deleted since"
    );
    let (bucket, _) = canned(vec![|| error(404, "NoSuchKey")]);
    assert!(matches!(
        put(&bucket, PutMode::Update(Etag::new("tag"))).await,
        Err(StoreError::NotFound { .. })
    ));
    let (bucket, _) = canned(vec![|| error(412, "PreconditionFailed"), || status(503, "")]);
    assert!(
        matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Unavailable { .. })),
        "the writer of the object is unknown"
    );
}

#[tokio::test]
async fn denials_name_cause_and_remedy() {
    let cases: [(Respond, &[&str]); 11] = [
        (
            || error(403, "AccessDenied"),
            &[
                "cannot write a in bucket lake",
                "denies access (403 AccessDenied",
                "s3:PutObject on arn:aws:s3:::lake/a",
            ],
        ),
        (|| status(403, ""), &["cannot write a", "denies access (403)", "s3:PutObject"]),
        (|| error(403, "InvalidObjectState"), &["archive storage class", "restored first"]),
        (
            || error(400, "KMS.DisabledException"),
            &["encryption key cannot be used (400 KMS.DisabledException"],
        ),
        (
            || status(401, ""),
            &["http://in-process does not accept the credentials (401)", "AWS_ACCESS_KEY_ID"],
        ),
        (
            || error(403, "InvalidAccessKeyId"),
            &["http://in-process does not know the access key", "AWS_ACCESS_KEY_ID"],
        ),
        (|| error(403, "SignatureDoesNotMatch"), &["AWS_SECRET_ACCESS_KEY"]),
        (|| error(400, "ExpiredToken"), &["expired"]),
        (|| error(403, "RequestTimeTooSkewed"), &["clock"]),
        (
            || error(301, "PermanentRedirect"),
            &["bucket lake is in another region", "http://in-process"],
        ),
        (
            || error(404, "NoSuchBucket"),
            &["bucket lake does not exist at http://in-process", "datalake init"],
        ),
    ];
    for (response, parts) in cases {
        let (bucket, request_count) = canned(vec![response]);
        let result = put(&bucket, PutMode::Replace).await;
        let Err(error @ StoreError::Denied { .. }) = result else {
            panic!("{parts:?}: {result:?}")
        };
        for part in parts {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert_eq!(request_count.load(Ordering::SeqCst), 1, "retrying will not help: {error}");
    }
}

#[tokio::test]
async fn denied_requests_name_their_operation_and_permission() {
    let denied = || canned(vec![|| error(403, "AccessDenied")]).0;
    let message = |error: StoreError| error.to_string();
    let listed = denied().list("src-data/", None).try_next().await.unwrap_err();
    let got = denied().get("src-data/1.csv", None, None).await.unwrap_err();
    let described = denied().head("src-data/1.csv").await.unwrap_err();
    let copied = copy(&denied()).await.unwrap_err();
    let deleted = denied().delete("a", None).await.unwrap_err();
    let checks = [
        (
            message(listed),
            "cannot list src-data/ in bucket lake",
            "s3:ListBucket on arn:aws:s3:::lake",
        ),
        (
            message(got),
            "cannot read src-data/1.csv in bucket lake",
            "s3:GetObject on arn:aws:s3:::lake/src-data/1.csv",
        ),
        (message(described), "cannot read src-data/1.csv", "s3:GetObject"),
        (
            message(copied),
            "cannot copy a to b in bucket lake",
            "s3:GetObject on arn:aws:s3:::lake/a and s3:PutObject on arn:aws:s3:::lake/b",
        ),
        (
            message(deleted),
            "cannot remove a in bucket lake",
            "s3:DeleteObject on arn:aws:s3:::lake/a",
        ),
    ];
    for (message, operation, permission) in checks {
        assert!(message.contains(operation) && message.contains(permission), "{message}");
    }
}

#[tokio::test]
async fn failures_name_the_request_the_store_and_the_cause() {
    let cases: [(Respond, &[&str]); 4] = [
        (
            || error(503, "SlowDown"),
            &[
                "cannot write a in bucket lake: the store at http://in-process failed (503 SlowDown",
                "5 attempts",
            ],
        ),
        (|| status(500, ""), &["the store at http://in-process failed (500)"]),
        (
            || Err(ConnectorError::io("connection refused".into())),
            &["no response from the store at http://in-process: connection refused"],
        ),
        (
            || Err(ConnectorError::timeout("too slow".into())),
            &["no response from the store at http://in-process: too slow"],
        ),
    ];
    for (response, parts) in cases {
        let (bucket, _) = canned(vec![response]);
        let message = put(&bucket, PutMode::Replace).await.unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[tokio::test]
async fn endpoint_that_is_not_an_s3_server_is_named() {
    let page = || {
        with(
            status(200, "<html><title>Sign in</title></html>"),
            &[("content-type", "text/html; charset=utf-8")],
        )
    };
    let missing = || with(status(404, "<html>Not Found</html>"), &[("content-type", "text/html")]);
    let responses: [Respond; 2] = [page, missing];
    for response in responses {
        let (bucket, request_count) = canned(vec![response]);
        for error in [
            bucket.list("src-data/", None).try_next().await.unwrap_err(),
            bucket.get("a", None, None).await.unwrap_err(),
        ] {
            let message = error.to_string();
            let is_named = [
                "http://in-process does not respond as S3 does",
                "check that it is the endpoint of an S3 server",
            ];
            assert!(matches!(error, StoreError::Invalid { .. }), "{error:?}");
            assert!(is_named.iter().all(|part| message.contains(part)), "{message}");
        }
        assert_eq!(request_count.load(Ordering::SeqCst), 2, "retrying will not help");
    }
    // A page of a proxy in front of a store that is down.
    let (bucket, _) = canned(vec![|| with(status(502, "<html>"), &[("content-type", "text/html")])]);
    let result = bucket.get("a", None, None).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
}

#[tokio::test]
async fn unsupported_requests_are_named() {
    let responses: [Respond; 3] = [|| error(501, "NotImplemented"), || error(400, "NotImplemented"), || status(501, "")];
    for response in responses {
        let (bucket, request_count) = canned(vec![response]);
        let error = put(&bucket, PutMode::Create).await.unwrap_err();
        assert!(error.is_not_supported(), "{error:?}");
        assert!(error.to_string().contains("use another store"), "{error}");
        assert_eq!(request_count.load(Ordering::SeqCst), 1);
    }
    let (bucket, _) = canned(vec![written]);
    let name = Metadata::from([("a\nb".to_owned(), "c".to_owned())]);
    let result = bucket.put("a", "x".into(), PutMode::Create, &name).await;
    assert!(matches!(result, Err(StoreError::Invalid { .. })), "{result:?}");
}

/// Without an ETag, changes that keep the size could not be detected.
#[tokio::test]
async fn objects_without_an_etag_are_invalid() {
    let etag = Etag::new("tag");
    let cases: [fn() -> Response; 3] = [
        || with(object("x", "1"), &[("etag", "\"\"")]),
        || with(object("x", "1"), &[("etag", "")]),
        || with(object("x", "1"), &[("etag", "W/\"\"")]),
    ];
    for response in cases {
        let (bucket, _) = canned(vec![response]);
        let results = [
            bucket.get("a", None, None).await.map(drop),
            bucket.get("a", Some(&etag), None).await.map(drop),
            bucket.head("a").await.map(drop),
            put(&bucket, PutMode::Replace).await.map(drop),
        ];
        for result in results {
            let Err(error @ StoreError::Invalid { .. }) = result else {
                panic!("{result:?}")
            };
            for part in ["a: ", "empty ETag", "upload the object again"] {
                assert!(error.to_string().contains(part), "{part}: {error}");
            }
        }
    }
}
