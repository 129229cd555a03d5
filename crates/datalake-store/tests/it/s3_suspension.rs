//! Requests whose signature is outdated, because the machine was suspended or a clock was wrong.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_smithy_async::time::{SharedTimeSource, TimeSource};
use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use datalake_store::{
    bucket::{Bucket, PutMode},
    error::StoreError,
    s3::S3Bucket,
};

use crate::{
    s3::http,
    s3_canned::{Respond, error, object, put, status, with, written},
};

/// 2026-11-24 in seconds since 1970.
const TUESDAY: u64 = 1_795_478_400;

const ON_TUESDAY: &str = "Tue, 24 Nov 2026 00:00:01 GMT";

const ON_WEDNESDAY: &str = "Wed, 25 Nov 2026 01:00:00 GMT";

/// The local clock, in seconds since 1970.
#[derive(Clone, Debug)]
struct LocalClock(Arc<AtomicU64>);

impl TimeSource for LocalClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A bucket on a machine that is suspended for 25 h during the first request, and the signing times of the requests. The server sends
/// `first` to the first request and `later` to all others.
fn suspended(first: Respond, later: Respond) -> (S3Bucket, Arc<Mutex<Vec<String>>>) {
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
async fn request_with_a_signature_that_expired_during_suspension_is_signed_again() {
    let rejections: [Respond; 4] = [
        || with(error(403, "RequestTimeTooSkewed"), &[("date", ON_WEDNESDAY)]),
        || error(403, "RequestTimeTooSkewed"),
        // A response to HEAD has no code.
        || with(status(403, ""), &[("date", ON_WEDNESDAY)]),
        || with(error(400, "ExpiredToken"), &[("date", ON_WEDNESDAY)]),
    ];
    for (number, rejection) in rejections.into_iter().enumerate() {
        let (bucket, signed) = suspended(rejection, || object("x", "1"));
        let head = bucket.head("a").await;
        assert!(head.is_ok(), "{number}: {head:?}");
        assert_eq!(*signed.lock().unwrap(), ["20261124T000000Z", "20261125T010000Z"], "{number}");
    }
}

#[tokio::test]
async fn request_that_is_rejected_with_a_new_signature_fails() {
    let rejected = || with(error(403, "RequestTimeTooSkewed"), &[("date", ON_WEDNESDAY)]);
    let (bucket, signed) = suspended(rejected, rejected);
    let result = put(&bucket, PutMode::Replace).await;
    assert!(
        matches!(&result, Err(StoreError::Denied { reason, .. }) if reason.contains("clock")),
        "{result:?}"
    );
    assert_eq!(*signed.lock().unwrap(), ["20261124T000000Z", "20261125T010000Z"]);
}

/// The SDK signs with the time of the last response, which a proxy or a suspended server may have set wrongly.
#[tokio::test]
async fn request_that_was_signed_with_a_wrong_server_time_is_signed_again() {
    let request_count = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&request_count);
    let client = http(move |request| {
        let response = match count.fetch_add(1, Ordering::SeqCst) {
            0 => with(status(404, ""), &[("date", ON_WEDNESDAY)]),
            _ if request.headers().get("x-amz-date").unwrap().starts_with("20261124") => written(),
            _ => with(error(403, "RequestTimeTooSkewed"), &[("date", ON_TUESDAY)]),
        };
        HttpConnectorFuture::ready(response)
    });
    let clock = SharedTimeSource::new(LocalClock(Arc::new(AtomicU64::new(TUESDAY))));
    let bucket = S3Bucket::over_with_clock(client, clock, "lake", "", Arc::default());
    assert!(matches!(bucket.head("a").await, Err(StoreError::NotFound { .. })));
    put(&bucket, PutMode::Replace)
        .await
        .expect("the second signature has the right time");
    assert_eq!(request_count.load(Ordering::SeqCst), 3);
}
