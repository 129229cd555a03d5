//! Writes to S3 that expire: their signatures, and the meaning of rejections.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use aws_smithy_runtime_api::client::{http::HttpConnectorFuture, orchestrator::HttpRequest, result::ConnectorError};
use datalake_store::{
    bucket::{Bucket, Etag, Fenced, Metadata, PutMode},
    error::StoreError,
    s3::S3Bucket,
};

use crate::{
    s3::http,
    s3_canned::{Respond, Response, error, status, with, written},
};

const MADE: &str = "Tue, 24 Nov 2026 00:00:00 GMT";
const IN_TIME: &str = "Tue, 24 Nov 2026 00:04:59 GMT";
const LATE: &str = "Tue, 24 Nov 2026 00:05:01 GMT";

type Sent = Arc<Mutex<Vec<HttpRequest>>>;

/// A fenced view whose server sends the n-th response to the n-th request after the one for the fence, and the last response to all later
/// requests.
async fn fenced(responses: Vec<Respond>) -> (Fenced, Sent) {
    let (sent, count): (Sent, _) = (Arc::default(), AtomicUsize::new(0));
    let requests = Arc::clone(&sent);
    let client = http(move |request| {
        let is_fence = count.load(Ordering::SeqCst) == 0;
        let number = count.fetch_add(1, Ordering::SeqCst);
        if is_fence {
            return HttpConnectorFuture::ready(with(status(404, ""), &[("date", MADE)]));
        }
        requests.lock().unwrap().push(request);
        HttpConnectorFuture::ready(responses[(number - 1).min(responses.len() - 1)]())
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    (bucket.fenced().await.unwrap(), sent)
}

async fn create(view: &Fenced) -> Result<Etag, StoreError> {
    view.bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await
}

/// AWS and versitygw reject a request with an unsigned header of this prefix.
#[track_caller]
fn check_all_are_signed(request: &HttpRequest) {
    let signed = request.uri().split("X-Amz-SignedHeaders=").nth(1).unwrap();
    let signed: Vec<_> = signed.split('&').next().unwrap().split("%3B").collect();
    for (name, _) in request.headers().iter().filter(|(name, _)| name.starts_with("x-amz-")) {
        assert!(signed.contains(&name), "{name}: {signed:?}");
    }
}

fn at(response: Response, date: &'static str) -> Response {
    with(response, &[("date", date)])
}

fn rejected(code: &str, message: &str) -> Response {
    status(403, format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>"))
}

#[tokio::test]
async fn all_attempts_are_signed_with_the_time_of_the_fence() {
    let reset = || Err(ConnectorError::io("connection reset".into()));
    let (view, sent) = fenced(vec![reset, || status(503, ""), written]).await;
    assert_eq!(view.store_time.to_string(), "2026-11-24T00:00:00Z");
    create(&view).await.unwrap();
    let sent = sent.lock().unwrap();
    let uris: Vec<_> = sent.iter().map(HttpRequest::uri).collect();
    assert_eq!(uris.len(), 3);
    assert!(uris.iter().all(|uri| *uri == uris[0]), "{uris:?}");
    for part in ["X-Amz-Date=20261124T000000Z", "X-Amz-Expires=300", "if-none-match"] {
        assert!(uris[0].contains(part), "{part}: {}", uris[0]);
    }
    assert_eq!(sent[0].headers().get("authorization"), None);
    check_all_are_signed(&sent[0]);
}

#[tokio::test]
async fn conditions_are_part_of_each_signature() {
    let copied = || status(200, "<CopyObjectResult><ETag>&quot;tag&quot;</ETag></CopyObjectResult>");
    let (view, sent) = fenced(vec![written, copied, || crate::s3_canned::object("", "0"), || status(204, "")]).await;
    let (etag, none) = (Etag::new("tag"), Metadata::new());
    view.bucket
        .put("a", "x".into(), PutMode::Update(etag.clone()), &none)
        .await
        .unwrap();
    view.bucket.copy("a", &etag, "b", &none).await.unwrap();
    view.bucket.delete("a", Some(&etag)).await.unwrap();
    let sent = sent.lock().unwrap();
    let signed = |number: usize, header: &str| {
        let request: &HttpRequest = &sent[number];
        check_all_are_signed(request);
        assert!(request.uri().contains(header), "{header}: {}", request.uri());
    };
    signed(0, "if-match");
    signed(1, "x-amz-copy-source-if-match");
    signed(3, "if-match");
    assert!(
        !sent[2].uri().contains("X-Amz-Expires"),
        "a read does not expire: {}",
        sent[2].uri()
    );
}

#[tokio::test]
async fn expired_signatures_are_distinguished_from_denied_access() {
    // Responses of MinIO and versitygw, AWS, Ceph and R2; and of a server whose time shows the expiry.
    let expired: [Respond; 6] = [
        || at(rejected("AccessDenied", "Request has expired"), IN_TIME),
        || rejected("AccessDenied", "Request has expired"),
        || at(error(400, "ExpiredToken"), IN_TIME),
        || rejected("ExpiredRequest", ""),
        || at(rejected("AccessDenied", "Access Denied."), LATE),
        || at(rejected("RequestTimeTooSkewed", ""), LATE),
    ];
    for (number, response) in expired.into_iter().enumerate() {
        let (view, _) = fenced(vec![response, || status(404, "")]).await;
        let created = create(&view).await;
        assert!(matches!(created, Err(StoreError::Expired { .. })), "{number}: {created:?}");
        let (view, _) = fenced(vec![response]).await;
        let copied = view.bucket.copy("a", &Etag::new("tag"), "b", &Metadata::new()).await;
        assert!(matches!(copied, Err(StoreError::Expired { .. })), "{number}: {copied:?}");
        let (view, _) = fenced(vec![response]).await;
        let deleted = view.bucket.delete("a", None).await;
        assert!(matches!(deleted, Err(StoreError::Expired { .. })), "{number}: {deleted:?}");
    }
    let denied: [Respond; 4] = [
        || at(rejected("AccessDenied", "Access Denied."), IN_TIME),
        || rejected("AccessDenied", "Access Denied."),
        || at(rejected("SignatureDoesNotMatch", ""), IN_TIME),
        || at(rejected("InvalidAccessKeyId", ""), IN_TIME),
    ];
    for (number, response) in denied.into_iter().enumerate() {
        let (view, _) = fenced(vec![response]).await;
        let created = create(&view).await;
        assert!(matches!(created, Err(StoreError::Denied { .. })), "{number}: {created:?}");
    }
}

/// Without a fence, such a rejection concerns the credentials.
#[tokio::test]
async fn plain_writes_do_not_expire() {
    let client = http(|_| HttpConnectorFuture::ready(at(rejected("AccessDenied", "Request has expired"), LATE)));
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    let put = bucket.put("a", "x".into(), PutMode::Create, &Metadata::new()).await;
    assert!(matches!(put, Err(StoreError::Denied { .. })), "{put:?}");
    let fence = bucket.fenced().await;
    assert!(matches!(fence, Err(StoreError::Denied { .. })), "{fence:?}");
}

/// An attempt whose response was lost may have taken effect before the next one was rejected. Copies and deletions are repeated with a new
/// fence.
#[tokio::test]
async fn outcome_of_a_create_with_an_expired_retry_is_unknown() {
    let lost = || Err(ConnectorError::timeout("the response was lost".into()));
    let late = || at(rejected("AccessDenied", "Request has expired"), LATE);
    let (view, _) = fenced(vec![lost, late, || status(404, "")]).await;
    let created = create(&view).await;
    assert!(matches!(created, Err(StoreError::Unavailable { .. })), "{created:?}");
    for result in [
        fenced(vec![lost, late]).await.0.bucket.delete("a", None).await,
        fenced(vec![lost, late])
            .await
            .0
            .bucket
            .copy("a", &Etag::new("tag"), "b", &Metadata::new())
            .await
            .map(drop),
    ] {
        assert!(matches!(result, Err(StoreError::Expired { .. })), "{result:?}");
    }
}

#[tokio::test]
async fn create_whose_response_was_lost_is_recognized_after_its_expiry() {
    let writer: Arc<Mutex<Option<String>>> = Arc::default();
    let client = http(move |request| {
        let response = match (request.method(), request.headers().get("x-amz-meta-datalake-writer")) {
            ("PUT", Some(name)) if writer.lock().unwrap().is_none() => {
                *writer.lock().unwrap() = Some(name.to_owned());
                Err(ConnectorError::timeout("the response was lost".into()))
            }
            ("PUT", _) => at(rejected("AccessDenied", "Request has expired"), LATE),
            _ => at(crate::s3_canned::object("", "1"), MADE).map(|mut response| {
                let name = writer.lock().unwrap().clone().unwrap_or_default();
                response.headers_mut().insert("x-amz-meta-datalake-writer", name);
                response
            }),
        };
        HttpConnectorFuture::ready(response)
    });
    let view = S3Bucket::over(client, "lake", "", Arc::default()).fenced().await.unwrap();
    assert_eq!(create(&view).await.expect("the first attempt took effect"), Etag::new("tag"));
}

/// The SDK corrects the signing time by the clock skew that it measures. The age of a fence is not a skew.
#[tokio::test]
async fn old_fence_does_not_change_the_signing_time_of_other_requests() {
    let dates: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&dates);
    let client = http(move |request| {
        if let Some(date) = request.headers().get("x-amz-date") {
            seen.lock().unwrap().push(date[.."20261124T000".len()].to_owned());
        }
        // Without a `Date`, there is no skew to measure on plain requests.
        HttpConnectorFuture::ready(match request.uri().contains("X-Amz-Expires") {
            true => at(rejected("AccessDenied", "Request has expired"), "Tue, 24 Nov 2099 00:00:00 GMT"),
            false => status(404, ""),
        })
    });
    let bucket = S3Bucket::over(client, "lake", "", Arc::default());
    bucket.head("a").await.unwrap_err();
    let view = bucket.fenced_at("2026-11-24T00:00:00Z".parse().unwrap());
    view.delete("a", None).await.unwrap_err();
    bucket.head("a").await.unwrap_err();
    let dates = dates.lock().unwrap();
    assert_eq!(dates.len(), 2, "other requests are signed in their headers");
    assert!(dates.iter().all(|date| !date.starts_with("2099")), "{dates:?}");
}

/// The clock of such a server is unknown, but writes must succeed.
#[tokio::test]
async fn writes_do_not_expire_on_a_server_without_dates() {
    let client = http(|request| {
        assert!(!request.uri().contains("X-Amz-Expires"), "{}", request.uri());
        HttpConnectorFuture::ready(match request.method() {
            "HEAD" => status(404, ""),
            _ => written(),
        })
    });
    let view = S3Bucket::over(client, "lake", "", Arc::default()).fenced().await.unwrap();
    create(&view).await.unwrap();
}
