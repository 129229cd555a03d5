//! S3 against `s3s-fs` in this process, without a port; against answers made here; and, with the feature `real-s3`, against a real server.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use datalake_store::{
    bucket::{Bucket, Etag, Metadata, PutMode},
    error::StoreError,
    s3::S3Bucket,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;

/// A connector that is a function: no socket is opened.
#[derive(Clone)]
struct Answer(Arc<dyn Fn(HttpRequest) -> HttpConnectorFuture + Send + Sync>);

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

impl HttpConnector for Answer {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        (self.0)(request)
    }
}

fn http(answer: impl Fn(HttpRequest) -> HttpConnectorFuture + Send + Sync + 'static) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Answer(Arc::new(answer)));
    http_client_fn(move |_, _| connector.clone())
}

/// A server over a new folder, with the bucket `lake`.
fn server() -> S3Service {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep();
    std::fs::create_dir(root.join("lake")).unwrap();
    let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root).unwrap());
    builder.set_auth(s3s::auth::SimpleAuth::from_single("in-process", "in-process"));
    builder.build()
}

async fn ask(service: &S3Service, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::other(error, None);
    // A client on a socket adds this header, which the signature covers.
    request.headers_mut().insert("host", "in-process");
    let request = request.try_into_http1x().map_err(|error| failed(error.into()))?;
    let response = service
        .call(request.map(s3s::Body::http_body_unsync))
        .await
        .map_err(|error| failed(format!("{error:?}").into()))?;
    let (parts, body) = response.into_parts();
    let bytes = http_body_util::BodyExt::collect(body)
        .await
        .map_err(|error| failed(error.to_string().into()))?
        .to_bytes();
    HttpResponse::try_from(hyper::Response::from_parts(parts, SdkBody::from(bytes))).map_err(|error| failed(error.into()))
}

fn over(service: S3Service) -> SharedHttpClient {
    http(move |request| {
        let service = service.clone();
        HttpConnectorFuture::new(async move { ask(&service, request).await })
    })
}

#[expect(clippy::unused_async, reason = "the suite takes a future")]
async fn open() -> Arc<dyn Bucket> {
    Arc::new(S3Bucket::over(over(server()), "lake", "some/prefix/"))
}

datalake_store::store_contract!(open(), only [
    create_is_refused_where_an_object_is
    update_needs_the_tag
    copy_needs_the_sources_tag
    delete_needs_the_tag
    metadata_round_trips
    large_objects
    ranges
    empty_objects
    answers_lost_after_the_effect
] because "s3s-fs checks a condition and writes in two steps, lists without tags and without encoding, and ignores If-Match on a get");

#[cfg(feature = "real-s3")]
mod real {
    use std::sync::Arc;

    use datalake_store::{
        bucket::Bucket,
        lake::{self, LakeUrl, OpenOptions},
    };

    #[expect(clippy::disallowed_methods, reason = "the server to test against is named by the environment")]
    async fn open() -> Arc<dyn Bucket> {
        let endpoint = std::env::var("DATALAKE_TEST_S3_ENDPOINT").expect("DATALAKE_TEST_S3_ENDPOINT names the server to test against");
        let options = OpenOptions {
            endpoint: Some(endpoint),
            region: None,
        };
        let url: LakeUrl = format!("s3://test-{}/a/prefix", uuid::Uuid::now_v7().simple()).parse().unwrap();
        lake::create(&url, &options).await.unwrap();
        lake::create(&url, &options).await.expect("making it twice is no error");
        lake::open(&url, &options).await.unwrap().bucket
    }

    datalake_store::store_contract!(open());
}

#[expect(clippy::unnecessary_wraps, reason = "an answer may also be a failure of the connection")]
fn status(status: u16, body: &'static str) -> Result<HttpResponse, ConnectorError> {
    let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-length", body.len().to_string());
    Ok(response)
}

/// A bucket whose server answers the n-th request with the n-th answer, and every later one with the last.
fn canned(answers: Vec<fn() -> Result<HttpResponse, ConnectorError>>) -> (S3Bucket, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let client = http(move |_| {
        let number = usize::try_from(count.fetch_add(1, Ordering::SeqCst)).unwrap();
        HttpConnectorFuture::ready(answers[number.min(answers.len() - 1)]())
    });
    (S3Bucket::over(client, "lake", ""), asked)
}

async fn put(bucket: &S3Bucket, mode: PutMode) -> Result<Etag, StoreError> {
    bucket.put("a", "x".into(), mode, &Metadata::new()).await
}

fn written() -> Result<HttpResponse, ConnectorError> {
    status(200, "").map(|mut response| {
        response.headers_mut().insert("etag", "\"tag\"");
        response
    })
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let (bucket, asked) = canned(vec![
        || status(503, ""),
        || status(500, ""),
        || Err(ConnectorError::io("connection reset".into())),
        written,
    ]);
    assert_eq!(put(&bucket, PutMode::Replace).await.unwrap(), Etag::new("tag"));
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn what_does_not_pass_is_given_up() {
    let (bucket, asked) = canned(vec![|| status(503, "")]);
    let error = put(&bucket, PutMode::Replace).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { attempts: 5, .. }), "{error:?}");
    assert_eq!(asked.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn an_undecided_create_is_tried_again() {
    const UNDECIDED: &str = "<Error><Code>ConditionalRequestConflict</Code></Error>";
    let (bucket, asked) = canned(vec![|| status(409, UNDECIDED), || status(409, UNDECIDED), written]);
    assert_eq!(put(&bucket, PutMode::Create).await.unwrap(), Etag::new("tag"));
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let (bucket, _) = canned(vec![|| status(409, UNDECIDED)]);
    assert!(matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Conflict { .. })));
}

#[track_caller]
fn check_denied(result: &Result<Etag, StoreError>, words: &[&str]) {
    let Err(StoreError::Denied { reason, .. }) = result else {
        panic!("{result:?}")
    };
    for word in words.iter().chain(&["lake"]) {
        assert!(reason.contains(word), "{reason}");
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let refused = async |answer: fn() -> Result<HttpResponse, ConnectorError>| {
        let (bucket, asked) = canned(vec![answer]);
        let result = put(&bucket, PutMode::Replace).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1, "no retry helps");
        result
    };
    check_denied(
        &refused(|| status(403, "<Error><Code>AccessDenied</Code></Error>")).await,
        &["policy"],
    );
    check_denied(
        &refused(|| status(403, "<Error><Code>InvalidAccessKeyId</Code></Error>")).await,
        &["AWS_ACCESS_KEY_ID"],
    );
    check_denied(
        &refused(|| status(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>")).await,
        &["AWS_SECRET_ACCESS_KEY"],
    );
    check_denied(
        &refused(|| status(404, "<Error><Code>NoSuchBucket</Code></Error>")).await,
        &["does not exist", "datalake init"],
    );
    check_denied(&refused(|| status(401, "")).await, &["refuses"]);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_known_again() {
    let service = server();
    let asked = Arc::new(AtomicU32::new(0));
    let client = http(move |request| {
        let (service, is_first) = (service.clone(), asked.fetch_add(1, Ordering::SeqCst) == 0);
        HttpConnectorFuture::new(async move {
            let response = ask(&service, request).await?;
            if is_first {
                Err(ConnectorError::timeout("the answer was lost".into()))
            } else {
                Ok(response)
            }
        })
    });
    let bucket = S3Bucket::over(client, "lake", "");
    let etag = put(&bucket, PutMode::Create).await.expect("our own first attempt took effect");
    let head = bucket.head("a").await.unwrap();
    assert_eq!((head.meta.etag, head.metadata), (etag, Metadata::new()));
    assert!(
        matches!(put(&bucket, PutMode::Create).await, Err(StoreError::Conflict { .. })),
        "the second call is another writer"
    );
}

#[tokio::test]
async fn a_short_body_is_read_again() {
    fn object(length: &'static str) -> Result<HttpResponse, ConnectorError> {
        status(200, "whole").map(|mut response| {
            for (name, value) in [
                ("content-length", length),
                ("etag", "\"tag\""),
                ("last-modified", "Tue, 24 Nov 2026 00:00:00 GMT"),
            ] {
                response.headers_mut().insert(name, value);
            }
            response
        })
    }
    let (bucket, asked) = canned(vec![|| object("9"), || object("5")]);
    assert_eq!(&bucket.get("a", None, None).await.unwrap().bytes[..], b"whole");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
