//! Writes that expire.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{TryStreamExt, future::join_all};

use super::{put, text};
use crate::{
    bucket::{Bucket, Etag, Fenced, Metadata, ObjectMeta, PutMode},
    error::StoreError,
};

const WRITERS: usize = 16;
const ROUNDS: usize = 10;

/// Makes a fenced view.
pub async fn fence(bucket: &Arc<dyn Bucket>) -> Fenced {
    bucket.fenced().await.expect("a fence can be made")
}

/// Until the fence expires, every kind of write through it takes effect, and conditions are checked.
pub async fn fenced_writes_take_effect(bucket: Arc<dyn Bucket>) {
    let fenced = fence(&bucket).await.bucket;
    let metadata = Metadata::from([("datalake-version".to_owned(), "7".to_owned())]);
    for name in ["a", "é+ %2F=&?", "deep/er/1"] {
        let key = format!("fenced/{name}");
        let first = fenced
            .put(&key, "a".into(), PutMode::Create, &metadata)
            .await
            .expect("there is no object yet");
        let head = bucket.head(&key).await.expect("the object exists");
        assert_eq!((&head.meta.etag, &head.metadata), (&first, &metadata), "{key}");
        let conflict = fenced.put(&key, "b".into(), PutMode::Create, &metadata).await;
        assert!(matches!(conflict, Err(StoreError::Conflict { .. })), "{key}: {conflict:?}");
        let second = fenced
            .put(&key, "bb".into(), PutMode::Update(first.clone()), &metadata)
            .await
            .expect("the ETag is current");
        let conflict = fenced.put(&key, "c".into(), PutMode::Update(first.clone()), &metadata).await;
        assert!(matches!(conflict, Err(StoreError::Conflict { .. })), "{key}: {conflict:?}");
        assert_eq!(text(bucket.as_ref(), &key).await, "bb");

        let copy = format!("{key}.copy");
        let conflict = fenced.copy(&key, &first, &copy, &metadata).await;
        assert!(matches!(conflict, Err(StoreError::Conflict { .. })), "{key}: {conflict:?}");
        let copied = fenced.copy(&key, &second, &copy, &metadata).await.expect("the ETag is current");
        let head = bucket.head(&copy).await.expect("the copy is there");
        assert_eq!((&head.meta.etag, &head.metadata), (&copied, &metadata), "{key}");

        let conflict = fenced.delete(&key, Some(&first)).await;
        assert!(matches!(conflict, Err(StoreError::Conflict { .. })), "{key}: {conflict:?}");
        fenced.delete(&key, Some(&second)).await.expect("the ETag is current");
        let missing = fenced.delete(&key, Some(&second)).await;
        assert!(matches!(missing, Err(StoreError::NotFound { .. })), "{key}: {missing:?}");
        fenced.delete(&key, None).await.expect("deleting a missing object succeeds");
        let third = fenced
            .put(&key, "d".into(), PutMode::Replace, &Metadata::new())
            .await
            .expect("a plain put succeeds");
        assert_eq!(bucket.head(&key).await.expect("the object exists").meta.etag, third);
        fenced.delete(&key, None).await.expect("the object exists");
        fenced.delete(&copy, None).await.expect("the object exists");
    }
    let left: Vec<_> = fenced.list("fenced/", None).try_collect().await.expect("listing succeeds");
    assert_eq!(left, []);
}

/// Large objects can be written through a fence.
pub async fn large_fenced_writes_take_effect(bucket: Arc<dyn Bucket>) {
    let large = super::objects::pattern(17 * 1024 * 1024);
    let fenced = fence(&bucket).await.bucket;
    let etag = fenced
        .put("fenced-large/1", large.clone(), PutMode::Create, &Metadata::new())
        .await
        .expect("there is no object yet");
    let object = bucket.get("fenced-large/1", Some(&etag), None).await.expect("the object exists");
    assert!(object.bytes == large, "the bytes differ");
    let conflict = fenced.put("fenced-large/1", large, PutMode::Create, &Metadata::new()).await;
    assert!(matches!(conflict, Err(StoreError::Conflict { .. })), "{conflict:?}");
}

/// Of 16 concurrent creates, each through its own fence, exactly one succeeds, and its bytes are stored.
pub async fn concurrent_fenced_creates_have_one_winner(bucket: Arc<dyn Bucket>) {
    for round in 0..ROUNDS {
        let key = format!("fenced-race/{round}");
        let write = |number: usize| {
            let (bucket, key) = (Arc::clone(&bucket), key.clone());
            tokio::spawn(async move {
                let fenced = fence(&bucket).await.bucket;
                let bytes = Bytes::from(number.to_string());
                match fenced.put(&key, bytes, PutMode::Create, &Metadata::new()).await {
                    Ok(_) => Some(number),
                    Err(StoreError::Conflict { .. }) => None,
                    Err(error) => panic!("the loser of a race gets a conflict, not {error:?}"),
                }
            })
        };
        let results = join_all((0..WRITERS).map(write)).await;
        let winners: Vec<_> = results.into_iter().filter_map(|result| result.expect("no writer panics")).collect();
        assert_eq!(winners.len(), 1, "winners: {winners:?}");
        assert_eq!(text(bucket.as_ref(), &key).await, winners[0].to_string());
    }
}

/// The time of a fence is the store's time, and not later than the times of objects that are written through it.
pub async fn fences_report_the_stores_time(bucket: Arc<dyn Bucket>) {
    put(bucket.as_ref(), "fence-time/before", "a").await;
    let before = bucket.head("fence-time/before").await.expect("the object exists").meta.modified;
    let Fenced {
        bucket: fenced,
        store_time,
    } = fence(&bucket).await;
    put(fenced.as_ref(), "fence-time/after", "a").await;
    let after = bucket.head("fence-time/after").await.expect("the object exists").meta.modified;
    // Some servers update the time in their responses once a second.
    let late = before.duration_since(store_time);
    assert!(late.as_secs() <= 2, "{before} {store_time}");
    // A folder changes the time of a file within its millisecond.
    assert!(after.duration_since(store_time).as_millis() >= -1, "{store_time} {after}");
}

/// After `expire`, every kind of write through an earlier fence returns [`StoreError::Expired`] and has no effect. Reads succeed, and a new
/// fence is valid.
pub async fn expired_writes_have_no_effect(bucket: Arc<dyn Bucket>, expire: impl AsyncFnOnce()) {
    let etag = put(bucket.as_ref(), "expired/1", "a").await;
    let fenced = fence(&bucket).await.bucket;
    let other_view = fence(&fenced).await.bucket;
    expire().await;
    for view in [&fenced, &other_view] {
        check_expired(bucket.as_ref(), view.as_ref(), &etag).await;
    }
    let again = fence(&bucket).await.bucket;
    again
        .put("expired/2", "c".into(), PutMode::Create, &Metadata::new())
        .await
        .expect("the new fence is valid");
    again.delete("expired/1", Some(&etag)).await.expect("the new fence is valid");
}

/// Checks that every kind of write through an expired view returns [`StoreError::Expired`] and has no effect. The object `expired/1` has
/// this `etag` and the bytes `a`.
pub async fn check_expired(bucket: &dyn Bucket, view: &dyn Bucket, etag: &Etag) {
    let listing = async || -> Vec<ObjectMeta> { bucket.list("expired/", None).try_collect().await.expect("listing succeeds") };
    let before = listing().await;
    for mode in [PutMode::Create, PutMode::Replace, PutMode::Update(etag.clone())] {
        let key = if mode == PutMode::Create { "expired/2" } else { "expired/1" };
        assert_expired(&view.put(key, "b".into(), mode.clone(), &Metadata::new()).await);
    }
    // The missing folder of the object is another reason for a missing path.
    assert_expired(&view.put("expired/deep/er/3", "b".into(), PutMode::Create, &Metadata::new()).await);
    assert_expired(&view.copy("expired/1", etag, "expired/3", &Metadata::new()).await);
    assert_expired(&view.delete("expired/1", None).await);
    assert_expired(&view.delete("expired/1", Some(etag)).await);
    assert_eq!(listing().await, before);
    assert_eq!(text(view, "expired/1").await, "a");
    assert_eq!(view.head("expired/1").await.expect("reads do not expire").meta.etag, *etag);
}

#[track_caller]
fn assert_expired<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Expired { .. })), "{result:?}");
}
