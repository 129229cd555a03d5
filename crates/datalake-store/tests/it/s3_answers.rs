//! What S3's answers become: a server that says, request by request, what it was told to.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::{
    client::{http::HttpConnectorFuture, orchestrator::HttpResponse, result::ConnectorError},
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use datalake_store::{
    bucket::{Bucket, Etag, Metadata, PutMode},
    counter::RequestCounter,
    error::StoreError,
    s3::S3Bucket,
};
use futures_util::{TryStreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;

use crate::s3::http;

pub(crate) type Answer = Result<HttpResponse, ConnectorError>;

/// Makes an answer each time it is asked for one.
pub(crate) type Answering = fn() -> Answer;

#[expect(clippy::unnecessary_wraps, reason = "an answer may also not come at all")]
pub(crate) fn status(status: u16, body: impl Into<String>) -> Answer {
    let body = body.into();
    let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
    response.headers_mut().insert("content-length", body.len().to_string());
    *response.body_mut() = SdkBody::from(body);
    Ok(response)
}

pub(crate) fn error(number: u16, code: &str) -> Answer {
    status(
        number,
        format!("<Error><Code>{code}</Code><Message>as it was told</Message></Error>"),
    )
}

pub(crate) fn with(answer: Answer, headers: &[(&'static str, &'static str)]) -> Answer {
    answer.map(|mut response| {
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        response
    })
}

pub(crate) fn object(bytes: &'static str, length: &'static str) -> Answer {
    let headers = [
        ("content-length", length),
        ("etag", "\"tag\""),
        ("last-modified", "Tue, 24 Nov 2026 00:00:00 GMT"),
    ];
    with(status(200, bytes), &headers)
}

pub(crate) fn written() -> Answer {
    with(status(200, ""), &[("etag", "\"tag\"")])
}

/// A bucket whose server answers the n-th request with the n-th answer, and every later one with the last.
pub(crate) fn canned(answers: Vec<Answering>) -> (S3Bucket, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let client = http(move |_| {
        let number = usize::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
        HttpConnectorFuture::ready(answers[number.min(answers.len() - 1)]())
    });
    (S3Bucket::over(client, "lake", "", Arc::default()), asked)
}

async fn put(bucket: &S3Bucket, mode: PutMode) -> Result<Etag, StoreError> {
    bucket.put("a", "x".into(), mode, &Metadata::new()).await
}

async fn copy(bucket: &S3Bucket) -> Result<Etag, StoreError> {
    bucket.copy("a", &Etag::new("tag"), "b", &Metadata::new()).await
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let reset = || Err(ConnectorError::io("connection reset".into()));
    let (bucket, asked) = canned(vec![|| status(503, ""), || status(522, ""), || status(429, ""), reset, written]);
    assert_eq!(put(&bucket, PutMode::Replace).await.unwrap(), Etag::new("tag"));
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn what_does_not_pass_is_given_up() {
    let answers: [Answering; 5] = [
        || status(503, ""),
        || error(500, "InternalError"),
        || error(400, "RequestTimeout"),
        || Err(ConnectorError::timeout("no answer".into())),
        || Err(ConnectorError::io("connection refused".into())),
    ];
    for answer in answers {
        let (bucket, asked) = canned(vec![answer]);
        let error = put(&bucket, PutMode::Replace).await.unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::Unavailable {
                    attempts: 5,
                    source: Some(_),
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(asked.load(Ordering::SeqCst), 5);
    }
}

/// When the store hiccups, nobody's attempts are used up by others.
#[tokio::test]
async fn many_failures_at_once_are_survived() {
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
async fn an_undecided_create_is_tried_again() {
    let undecided = || error(409, "ConditionalRequestConflict");
    let (bucket, asked) = canned(vec![undecided, undecided, written]);
    assert_eq!(put(&bucket, PutMode::Create).await.unwrap(), Etag::new("tag"));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let (bucket, _) = canned(vec![undecided, undecided, undecided, undecided, undecided, || object("", "0")]);
    let result = put(&bucket, PutMode::Create).await;
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
}

#[tokio::test]
async fn a_lost_condition_is_a_conflict() {
    let (bucket, _) = canned(vec![|| error(412, "PreconditionFailed"), || object("", "0")]);
    assert!(matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Conflict { .. })));
    let (bucket, _) = canned(vec![|| error(412, "PreconditionFailed"), || status(404, "")]);
    assert!(
        matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Conflict { .. })),
        "and removed since"
    );
    let (bucket, _) = canned(vec![|| error(404, "NoSuchKey")]);
    assert!(matches!(
        put(&bucket, PutMode::Update(Etag::new("tag"))).await,
        Err(StoreError::NotFound { .. })
    ));
    let (bucket, _) = canned(vec![|| error(412, "PreconditionFailed"), || status(503, "")]);
    assert!(
        matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Unavailable { .. })),
        "whose it is cannot be told"
    );
}

#[tokio::test]
async fn denials_name_cause_and_remedy() {
    let cases: [(Answering, &[&str]); 11] = [
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
    for (answer, words) in cases {
        let (bucket, asked) = canned(vec![answer]);
        let result = put(&bucket, PutMode::Replace).await;
        let Err(error @ StoreError::Denied { .. }) = result else {
            panic!("{words:?}: {result:?}")
        };
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1, "retrying does not help: {error}");
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
async fn failures_begin_with_their_cause() {
    let cases: [(Answering, &[&str]); 4] = [
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
    for (answer, words) in cases {
        let (bucket, _) = canned(vec![answer]);
        let message = put(&bucket, PutMode::Replace).await.unwrap_err().to_string();
        for word in words {
            assert!(message.contains(word), "{word}: {message}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_that_is_no_s3_server_is_named() {
    let page = || {
        with(
            status(200, "<html><title>Sign in</title></html>"),
            &[("content-type", "text/html; charset=utf-8")],
        )
    };
    let missing = || with(status(404, "<html>Not Found</html>"), &[("content-type", "text/html")]);
    let answers: [Answering; 2] = [page, missing];
    for answer in answers {
        let (bucket, asked) = canned(vec![answer]);
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
            assert!(is_named.iter().all(|word| message.contains(word)), "{message}");
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2, "retrying does not help");
    }
    // A proxy in front of a store that is down.
    let (bucket, _) = canned(vec![|| with(status(502, "<html>"), &[("content-type", "text/html")])]);
    let result = bucket.get("a", None, None).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
}

#[tokio::test]
async fn a_store_without_copies_gets_the_bytes() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let client = http(move |request| {
        let is_copy = request.headers().get("x-amz-copy-source").is_some();
        let is_conditional = request.headers().get("if-match").is_some();
        let mut requests = requests.lock().unwrap();
        let answer = match request.method() {
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
        HttpConnectorFuture::ready(answer)
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    assert_eq!(copy(&bucket).await.unwrap(), Etag::new("tag"));
    // The second copy does not try again what the store does not implement.
    assert_eq!(copy(&bucket).await.unwrap(), Etag::new("tag"));
    assert_eq!(*seen.lock().unwrap(), ["copy", "get if-match", "put", "get if-match", "put"]);
}

/// Seconds since 1970 of 2026-11-24.
const TUESDAY: u64 = 1_795_478_400;

const ON_TUESDAY: &str = "Tue, 24 Nov 2026 00:00:01 GMT";
const ON_WEDNESDAY: &str = "Wed, 25 Nov 2026 01:00:00 GMT";

/// The clock of this machine, in seconds since 1970.
#[derive(Clone, Debug)]
struct LocalClock(Arc<AtomicU64>);

impl TimeSource for LocalClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A bucket whose machine is suspended for 25 h while the first request is on its way, and the signing times of its requests. The first
/// request is answered with `first`, every later one with `later`.
fn suspended(first: Answering, later: Answering) -> (S3Bucket, Arc<Mutex<Vec<String>>>) {
    let (clock, signed) = (LocalClock(Arc::new(AtomicU64::new(TUESDAY))), Arc::<Mutex<Vec<String>>>::default());
    let (local, times) = (clock.clone(), Arc::clone(&signed));
    let client = http(move |request| {
        let mut times = times.lock().unwrap();
        times.push(request.headers().get("x-amz-date").unwrap().to_owned());
        if times.len() > 1 {
            return HttpConnectorFuture::ready(later());
        }
        local.0.fetch_add(25 * 3_600, Ordering::SeqCst);
        HttpConnectorFuture::ready(first())
    });
    let bucket = S3Bucket::over_with_clock(client, SharedTimeSource::new(clock), "lake", "", Arc::default());
    (bucket, signed)
}

#[tokio::test]
async fn a_request_whose_signature_expired_in_a_suspended_machine_is_signed_again() {
    let refusals: [Answering; 4] = [
        || with(error(403, "RequestTimeTooSkewed"), &[("date", ON_WEDNESDAY)]),
        || error(403, "RequestTimeTooSkewed"),
        // A HEAD has no code.
        || with(status(403, ""), &[("date", ON_WEDNESDAY)]),
        || with(error(400, "ExpiredToken"), &[("date", ON_WEDNESDAY)]),
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        let (bucket, signed) = suspended(refusal, || object("x", "1"));
        let head = bucket.head("a").await;
        assert!(head.is_ok(), "{number}: {head:?}");
        assert_eq!(*signed.lock().unwrap(), ["20261124T000000Z", "20261125T010000Z"], "{number}");
    }
}

#[tokio::test]
async fn a_request_that_is_rejected_with_a_new_signature_is_given_up() {
    let refused = || with(error(403, "RequestTimeTooSkewed"), &[("date", ON_WEDNESDAY)]);
    let (bucket, signed) = suspended(refused, refused);
    let result = put(&bucket, PutMode::Replace).await;
    assert!(
        matches!(&result, Err(StoreError::Denied { reason, .. }) if reason.contains("clock")),
        "{result:?}"
    );
    assert_eq!(*signed.lock().unwrap(), ["20261124T000000Z", "20261125T010000Z"]);
}

/// The SDK signs by the time of the last response, which a proxy or a suspended server may have had wrong.
#[tokio::test]
async fn a_request_that_was_signed_by_a_wrong_time_of_the_store_is_signed_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let client = http(move |request| {
        let answer = match count.fetch_add(1, Ordering::SeqCst) {
            0 => with(status(404, ""), &[("date", ON_WEDNESDAY)]),
            _ if request.headers().get("x-amz-date").unwrap().starts_with("20261124") => written(),
            _ => with(error(403, "RequestTimeTooSkewed"), &[("date", ON_TUESDAY)]),
        };
        HttpConnectorFuture::ready(answer)
    });
    let clock = SharedTimeSource::new(LocalClock(Arc::new(AtomicU64::new(TUESDAY))));
    let bucket = S3Bucket::over_with_clock(client, clock, "lake", "", Arc::default());
    assert!(matches!(bucket.head("a").await, Err(StoreError::NotFound { .. })));
    put(&bucket, PutMode::Replace)
        .await
        .expect("the second signature has the right time");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_a_store_cannot_do_is_said() {
    let answers: [Answering; 3] = [|| error(501, "NotImplemented"), || error(400, "NotImplemented"), || status(501, "")];
    for answer in answers {
        let (bucket, asked) = canned(vec![answer]);
        let error = put(&bucket, PutMode::Create).await.unwrap_err();
        assert!(error.is_not_supported(), "{error:?}");
        assert!(error.to_string().contains("use another store"), "{error}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
    let (bucket, _) = canned(vec![written]);
    let name = Metadata::from([("a\nb".to_owned(), "c".to_owned())]);
    let result = bucket.put("a", "x".into(), PutMode::Create, &name).await;
    assert!(matches!(result, Err(StoreError::Invalid { .. })), "{result:?}");
}

/// A run must not fail after its commit because the store knows no condition on DELETE: the tag was compared by then.
#[tokio::test]
async fn a_delete_on_condition_is_made_without_it_where_the_store_knows_none() {
    let tag = Etag::new("tag");
    for refused in [|| error(501, "NotImplemented"), || error(400, "NotImplemented")] {
        let (bucket, asked) = canned(vec![|| object("", "0"), refused, || status(204, "")]);
        bucket.delete("a", Some(&tag)).await.expect("the tag is the one that is there");
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
    let (bucket, asked) = canned(vec![|| object("", "0")]);
    let result = bucket.delete("a", Some(&Etag::new("other"))).await;
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "nothing is removed");
    let (bucket, asked) = canned(vec![|| error(501, "NotImplemented")]);
    assert!(bucket.delete("a", None).await.unwrap_err().is_not_supported());
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_error_inside_a_success_is_an_error() {
    let (bucket, asked) = canned(vec![|| error(200, "InternalError")]);
    let result = copy(&bucket).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 5, "it is tried again");
    let (bucket, _) = canned(vec![|| error(200, "PreconditionFailed")]);
    assert!(matches!(copy(&bucket).await, Err(StoreError::Conflict { .. })));
    let copied = || status(200, "<CopyObjectResult><ETag>&quot;copied&quot;</ETag></CopyObjectResult>");
    let (bucket, _) = canned(vec![|| error(200, "SlowDown"), copied]);
    assert_eq!(copy(&bucket).await.unwrap(), Etag::new("copied"));
}

#[tokio::test]
async fn a_short_body_is_read_again() {
    let (bucket, asked) = canned(vec![|| object("who", "5"), || object("whole", "5")]);
    assert_eq!(&bucket.get("a", None, None).await.unwrap().bytes[..], b"whole");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    let (bucket, asked) = canned(vec![|| object("who", "5")]);
    assert!(matches!(
        bucket.get("a", None, None).await,
        Err(StoreError::Unavailable { attempts: 5, .. })
    ));
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_read_again() {
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
    let (bucket, asked) = canned(vec![broken, || object("whole", "5")]);
    assert_eq!(&bucket.get("a", None, None).await.unwrap().bytes[..], b"whole");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    // Between the two, the object was replaced: a caller with a condition hears of it.
    let (bucket, _) = canned(vec![broken, || error(412, "PreconditionFailed")]);
    assert!(matches!(
        bucket.get("a", Some(&Etag::new("tag")), None).await,
        Err(StoreError::Conflict { .. })
    ));
}

#[tokio::test]
async fn ranges_are_checked() {
    let part = || with(object("234", "3"), &[("content-range", "bytes 2-4/10")]);
    let (bucket, _) = canned(vec![part]);
    let object_part = bucket.get("a", None, Some(2..5)).await.unwrap();
    assert_eq!((&object_part.bytes[..], object_part.meta.size), (&b"234"[..], 10));
    let other = bucket.get("a", None, Some(3..6)).await;
    assert!(
        matches!(other, Err(StoreError::Invalid { .. })),
        "another part than was asked for: {other:?}"
    );
    let (bucket, asked) = canned(vec![|| object("0123456789", "10")]);
    let whole = bucket.get("a", None, Some(2..5)).await.unwrap();
    assert_eq!(
        (&whole.bytes[..], whole.meta.size),
        (&b"234"[..], 10),
        "a server may send the whole"
    );
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
    for empty in [5..5, 5..4] {
        assert!(matches!(bucket.get("a", None, Some(empty)).await, Err(StoreError::Invalid { .. })));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "an empty range is not asked for");
    let (bucket, _) = canned(vec![|| error(416, "InvalidRange")]);
    assert!(matches!(bucket.get("a", None, Some(10..11)).await, Err(StoreError::Invalid { .. })));
}

#[tokio::test]
async fn an_upload_whose_completion_was_lost_is_known_again() {
    let (writer, completions) = (Arc::new(OnceLock::new()), AtomicU32::new(0));
    let client = http(move |request| {
        let answer = match (request.method(), request.uri()) {
            ("POST", uri) if uri.contains("?uploads") => {
                writer.get_or_init(|| request.headers().get("x-amz-meta-datalake-writer").unwrap().to_owned());
                status(
                    200,
                    "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>",
                )
            }
            ("PUT", _) => written(),
            ("POST", _) if completions.fetch_add(1, Ordering::SeqCst) == 0 => Err(ConnectorError::timeout("the answer was lost".into())),
            ("POST", _) => error(404, "NoSuchUpload"),
            ("HEAD", _) => object("", "17825792").map(|mut response| {
                response
                    .headers_mut()
                    .insert("x-amz-meta-datalake-writer", writer.get().cloned().unwrap_or_default());
                response
            }),
            (method, uri) => panic!("{method} {uri}"),
        };
        HttpConnectorFuture::ready(answer)
    });
    let counter = Arc::new(RequestCounter::default());
    let bucket = S3Bucket::over(client, "lake", "", Arc::clone(&counter));
    let large = Bytes::from(vec![7; 17 * 1024 * 1024]);
    let etag = bucket
        .put("large", large, PutMode::Replace, &Metadata::new())
        .await
        .expect("it took effect");
    assert_eq!(etag, Etag::new("tag"));
    let counted = counter.snapshot();
    assert_eq!(
        (counted.put, counted.head, counted.delete),
        (6, 1, 0),
        "begun, three parts, completed twice; looked; nothing to remove"
    );
}

#[tokio::test]
async fn the_parts_of_an_upload_that_failed_are_removed() {
    let aborted = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&aborted);
    let client = http(move |request| {
        let answer = match (request.method(), request.uri()) {
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
        HttpConnectorFuture::ready(answer)
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    let result = bucket
        .put("large", vec![7; 17 * 1024 * 1024].into(), PutMode::Create, &Metadata::new())
        .await;
    assert!(matches!(result, Err(StoreError::Denied { .. })), "{result:?}");
    assert_eq!(aborted.load(Ordering::SeqCst), 1);
}

/// Without an ETag, a change of the same size would never be detected.
#[tokio::test]
async fn objects_without_an_etag_are_invalid() {
    let tag = Etag::new("tag");
    let cases: [fn() -> Answer; 3] = [
        || with(object("x", "1"), &[("etag", "\"\"")]),
        || with(object("x", "1"), &[("etag", "")]),
        || with(object("x", "1"), &[("etag", "W/\"\"")]),
    ];
    for answer in cases {
        let (bucket, _) = canned(vec![answer]);
        let results = [
            bucket.get("a", None, None).await.map(drop),
            bucket.get("a", Some(&tag), None).await.map(drop),
            bucket.head("a").await.map(drop),
            put(&bucket, PutMode::Replace).await.map(drop),
        ];
        for result in results {
            let Err(error @ StoreError::Invalid { .. }) = result else {
                panic!("{result:?}")
            };
            for word in ["a: ", "empty ETag", "upload the object again"] {
                assert!(error.to_string().contains(word), "{word}: {error}");
            }
        }
    }
}

/// The ETag of a proxy that compresses: the store knows it without the mark.
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
async fn huge_objects_are_not_read() {
    let (bucket, _) = canned(vec![|| object("", "9223372036854775807")]);
    let result = bucket.get("a", None, None).await;
    let Err(error @ StoreError::Invalid { .. }) = result else {
        panic!("{result:?}")
    };
    assert!(error.to_string().contains("9223372036854775807 bytes"), "{error}");
    assert_eq!(bucket.head("a").await.unwrap().meta.size, 9_223_372_036_854_775_807);
}
