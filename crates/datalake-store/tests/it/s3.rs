//! S3 against a server in this process, without a port.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
};
use aws_smithy_types::body::SdkBody;
use datalake_store::{
    bucket::{Bucket, FENCE_LIFETIME, Metadata, PutMode},
    contract,
    error::StoreError,
    request_counter::RequestCounter,
    s3::S3Bucket,
};
use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use jiff::SignedDuration;
use s3s::service::S3Service;
use tempfile::TempDir;

use crate::{
    s3_canned::status,
    s3_clock::Clock,
    s3_server::{Conditions, server},
};

/// A connector that calls a function instead of opening a socket.
#[derive(Clone)]
struct Connector(Arc<dyn Fn(HttpRequest) -> HttpConnectorFuture + Send + Sync>);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        (self.0)(request)
    }
}

pub(crate) fn http(respond: impl Fn(HttpRequest) -> HttpConnectorFuture + Send + Sync + 'static) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(Connector(Arc::new(respond)));
    http_client_fn(move |_, _| connector.clone())
}

/// A server without a bucket.
fn empty_server() -> S3Service {
    let root = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    server(Arc::new(root), ["in-process"; 2], Conditions { are_obeyed: true })
}

async fn respond(service: &S3Service, clock: &Clock, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let query = request.uri().split_once('?').map_or("", |(_, query)| query);
    let response = match clock.has_expired(query) {
        true => status(
            403,
            "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
        ),
        false => call(service, request).await,
    };
    response.map(|mut response| {
        response.headers_mut().insert("date", clock.date());
        response
    })
}

async fn call(service: &S3Service, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let failed = |error: String| ConnectorError::other(error.into(), None);
    let mut request = request.try_into_http1x().map_err(|error| failed(error.to_string()))?;
    // An HTTP client sends this header, and it is signed.
    request
        .headers_mut()
        .insert("host", hyper::header::HeaderValue::from_static("in-process"));
    let response = service
        .call(request.map(s3s::Body::http_body_unsync))
        .await
        .map_err(|error| failed(format!("{error:?}")))?;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.map_err(|error| failed(error.to_string()))?.to_bytes();
    HttpResponse::try_from(hyper::Response::from_parts(parts, SdkBody::from(bytes))).map_err(|error| failed(error.to_string()))
}

/// Decides by the method and the number of a request whether its response arrives.
type Arrives = fn(&str, u32) -> bool;

/// A new bucket whose server executes all requests, but whose responses may be lost.
async fn lossy(arrives: Arrives) -> (S3Bucket, Arc<RequestCounter>) {
    with_clock(arrives, Clock::default()).await
}

async fn with_clock(arrives: Arrives, clock: Clock) -> (S3Bucket, Arc<RequestCounter>) {
    let service = empty_server();
    let count = Arc::new(AtomicU32::new(0));
    let client = http(move |request| {
        let (service, count, clock) = (service.clone(), Arc::clone(&count), clock.clone());
        HttpConnectorFuture::new(async move {
            let is_numbered = request.uri().contains("some/prefix");
            let number = if is_numbered {
                count.fetch_add(1, Ordering::SeqCst)
            } else {
                u32::MAX
            };
            let method = request.method().to_owned();
            let response = respond(&service, &clock, request).await?;
            if !is_numbered || arrives(&method, number) {
                Ok(response)
            } else {
                Err(ConnectorError::timeout("the response was lost".into()))
            }
        })
    });
    let counter = Arc::new(RequestCounter::default());
    let bucket = S3Bucket::over(client, "lake", "some/prefix/", Arc::clone(&counter));
    bucket.create().await.expect("there is no bucket yet");
    bucket.create().await.expect("creating it again succeeds");
    (bucket, counter)
}

async fn open() -> Arc<dyn Bucket> {
    Arc::new(lossy(|_, _| true).await.0)
}

datalake_store::store_contract!(open());

#[tokio::test]
async fn fenced_writes_expire_by_the_servers_clock() {
    let clock = Clock::default();
    let (bucket, _) = with_clock(|_, _| true, clock.clone()).await;
    contract::expired_writes_have_no_effect(Arc::new(bucket), async || {
        clock.advance(FENCE_LIFETIME + SignedDuration::from_secs(2));
    })
    .await;
}

#[tokio::test]
async fn writes_succeed_if_the_local_clock_is_wrong_by_days() {
    let clock = Clock::default();
    let (bucket, _) = with_clock(|_, _| true, clock.clone()).await;
    clock.advance(SignedDuration::from_hours(20 * 24));
    let bucket: Arc<dyn Bucket> = Arc::new(bucket);
    contract::concurrent_fenced_creates_have_one_winner(Arc::clone(&bucket)).await;
    contract::expired_writes_have_no_effect(bucket, async || {
        clock.advance(FENCE_LIFETIME + SignedDuration::from_secs(2));
    })
    .await;
}

#[tokio::test]
async fn create_whose_response_was_lost_is_recognized() {
    let (bucket, counter) = lossy(|_, number| number != 0).await;
    let etag = bucket
        .put("a", "x".into(), PutMode::Create, &Metadata::new())
        .await
        .expect("the first attempt took effect");
    let counted = counter.snapshot();
    assert_eq!(
        (counted.put, counted.head),
        (3, 3),
        "two attempts and one head, in addition to the creation of the bucket"
    );
    let head = bucket.head("a").await.unwrap();
    assert_eq!(
        (head.meta.etag, head.metadata),
        (etag, Metadata::new()),
        "callers do not see the writer ID"
    );
    let again = bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await;
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "the second call is another writer: {again:?}"
    );
}

#[tokio::test]
async fn update_whose_response_was_lost_is_recognized() {
    let (bucket, _) = lossy(|_, number| number != 1).await;
    let first = bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    let second = bucket
        .put("a", "y".into(), PutMode::Update(first.clone()), &Metadata::new())
        .await
        .expect("the first attempt took effect");
    assert_eq!(bucket.head("a").await.unwrap().meta.etag, second);
    let late = bucket.put("a", "z".into(), PutMode::Update(first), &Metadata::new()).await;
    assert!(matches!(late, Err(StoreError::Conflict { .. })), "{late:?}");
}

#[tokio::test]
async fn delete_whose_response_was_lost_succeeds() {
    let (bucket, _) = lossy(|method, number| method != "DELETE" || number > 2).await;
    let etag = bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await.unwrap();
    bucket.delete("a", Some(&etag)).await.expect("the first attempt removed it");
    assert!(matches!(bucket.head("a").await, Err(StoreError::NotFound { .. })));
}

#[tokio::test]
async fn missing_bucket_is_named() {
    let service = empty_server();
    let client = http(move |request| {
        let service = service.clone();
        HttpConnectorFuture::new(async move { respond(&service, &Clock::default(), request).await })
    });
    let bucket = S3Bucket::over(client, "no-such-lake", "", Arc::default());
    let result = bucket.list("", None).try_collect::<Vec<_>>().await;
    let Err(StoreError::Denied { reason, .. }) = result else {
        panic!("{result:?}")
    };
    for word in ["no-such-lake", "datalake init", "http://in-process"] {
        assert!(reason.contains(word), "{reason}");
    }
}
