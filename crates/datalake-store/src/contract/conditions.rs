//! Preconditions and races.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{put, text};
use crate::{
    bucket::{Bucket, Etag, Metadata, PutMode},
    contract::objects::pattern,
    error::StoreError,
    faults::{FaultAction, Faulty, OperationKind},
};

const WRITERS: usize = 64;

/// The create is the only lock of a commit, so it gets the most rounds. A folder takes 3 s for them, MinIO and versitygw 40 s.
const CREATE_ROUNDS: usize = 200;
const UPDATE_ROUNDS: usize = 20;

#[track_caller]
fn assert_conflict<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::Conflict { .. })), "{result:?}");
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(result: &Result<T, StoreError>) {
    assert!(matches!(result, Err(StoreError::NotFound { .. })), "{result:?}");
}

/// Writes concurrently from 64 tasks, and returns the numbers of those that succeeded.
async fn race(bucket: &Arc<dyn Bucket>, key: &str, mode: &PutMode) -> Vec<usize> {
    let write = |number: usize| {
        let (bucket, key, mode) = (Arc::clone(bucket), key.to_owned(), mode.clone());
        tokio::spawn(async move {
            let result = bucket.put(&key, Bytes::from(number.to_string()), mode, &Metadata::new()).await;
            match result {
                Ok(_) => Some(number),
                Err(StoreError::Conflict { .. }) => None,
                Err(error) => panic!("the loser of a race must get a conflict, not {error:?}"),
            }
        })
    };
    let results = join_all((0..WRITERS).map(write)).await;
    results.into_iter().filter_map(|result| result.expect("no writer panics")).collect()
}

/// Of 64 concurrent creates of one key, exactly one succeeds, and its bytes are stored.
pub async fn concurrent_creates_have_one_winner(bucket: Arc<dyn Bucket>) {
    for round in 0..CREATE_ROUNDS {
        let key = format!("create-race/{round}");
        let winners = race(&bucket, &key, &PutMode::Create).await;
        assert_eq!(winners.len(), 1, "winners: {winners:?}");
        assert_eq!(text(bucket.as_ref(), &key).await, winners[0].to_string());
    }
}

/// Of 64 concurrent updates with the same ETag, exactly one succeeds.
pub async fn concurrent_updates_have_one_winner(bucket: Arc<dyn Bucket>) {
    for round in 0..UPDATE_ROUNDS {
        let key = format!("update-race/{round}");
        let etag = put(bucket.as_ref(), &key, "before").await;
        let winners = race(&bucket, &key, &PutMode::Update(etag)).await;
        assert_eq!(winners.len(), 1, "winners: {winners:?}");
        assert_eq!(text(bucket.as_ref(), &key).await, winners[0].to_string());
    }
}

/// A create of an existing object is a conflict and changes nothing.
pub async fn create_of_an_existing_object_is_a_conflict(bucket: Arc<dyn Bucket>) {
    let key = "create/1";
    bucket
        .put(key, "a".into(), PutMode::Create, &Metadata::new())
        .await
        .expect("there is no object yet");
    assert_conflict(&bucket.put(key, "b".into(), PutMode::Create, &Metadata::new()).await);
    // Equal bytes are a conflict as well: the content does not show who created the object.
    assert_conflict(&bucket.put(key, "a".into(), PutMode::Create, &Metadata::new()).await);
    assert_eq!(text(bucket.as_ref(), key).await, "a");
    bucket.delete(key, None).await.expect("the object exists");
    bucket
        .put(key, "c".into(), PutMode::Create, &Metadata::new())
        .await
        .expect("the object was deleted");
}

/// An update succeeds only with the current ETag.
pub async fn update_needs_the_current_etag(bucket: Arc<dyn Bucket>) {
    let key = "update/1";
    let first = put(bucket.as_ref(), key, "a").await;
    let second = bucket
        .put(key, "b".into(), PutMode::Update(first.clone()), &Metadata::new())
        .await
        .expect("the ETag is current");
    assert_ne!(first, second);
    assert_conflict(&bucket.put(key, "c".into(), PutMode::Update(first.clone()), &Metadata::new()).await);
    assert_eq!(text(bucket.as_ref(), key).await, "b");

    let missing = bucket
        .put("update/missing", "a".into(), PutMode::Update(first), &Metadata::new())
        .await;
    assert!(
        matches!(missing, Err(StoreError::NotFound { .. } | StoreError::Conflict { .. })),
        "{missing:?}"
    );
    assert_not_found(&bucket.head("update/missing").await);
}

/// A get with an outdated ETag is a conflict.
pub async fn get_needs_the_current_etag(bucket: Arc<dyn Bucket>) {
    let key = "get/1";
    let first = put(bucket.as_ref(), key, "a").await;
    assert_eq!(
        bucket.get(key, Some(&first), None).await.expect("the ETag is current").meta.etag,
        first
    );
    let second = put(bucket.as_ref(), key, "bb").await;
    assert_conflict(&bucket.get(key, Some(&first), None).await);
    let object = bucket.get(key, Some(&second), None).await.expect("the ETag is current");
    assert_eq!((object.meta.size, &object.bytes[..]), (2, &b"bb"[..]));
}

/// A copy with an outdated ETag of the source is a conflict and changes nothing.
pub async fn copy_needs_the_current_etag_of_the_source(bucket: Arc<dyn Bucket>) {
    let (from, to) = ("copy/from é+ %2F", "copy/to");
    let first = put(bucket.as_ref(), from, "a").await;
    let metadata = Metadata::from([("source-etag".to_owned(), first.to_string())]);
    let copied = bucket.copy(from, &first, to, &metadata).await.expect("the ETag is current");
    let head = bucket.head(to).await.expect("the copy is there");
    assert_eq!((&head.meta.etag, head.meta.size, &head.metadata), (&copied, 1, &metadata));

    put(bucket.as_ref(), from, "bb").await;
    assert_conflict(&bucket.copy(from, &first, to, &metadata).await);
    assert_eq!(text(bucket.as_ref(), to).await, "a");
    bucket.delete(from, None).await.expect("the object exists");
    assert_not_found(&bucket.copy(from, &first, to, &metadata).await);
    assert_eq!(text(bucket.as_ref(), to).await, "a");
}

/// A delete with an outdated ETag is a conflict and changes nothing.
pub async fn delete_needs_the_current_etag(bucket: Arc<dyn Bucket>) {
    let key = "delete/1";
    let first = put(bucket.as_ref(), key, "a").await;
    let second = put(bucket.as_ref(), key, "bb").await;
    assert_conflict(&bucket.delete(key, Some(&first)).await);
    bucket.delete(key, Some(&second)).await.expect("the ETag is current");
    assert_not_found(&bucket.delete(key, Some(&second)).await);
    bucket.delete(key, None).await.expect("deleting a missing object succeeds");
}

/// Every operation that reads returns `NotFound` for a missing object.
pub async fn missing_objects_are_not_found(bucket: Arc<dyn Bucket>) {
    let etag = Etag::new("none");
    assert_not_found(&bucket.get("missing/1", None, None).await);
    assert_not_found(&bucket.get("missing/1", Some(&etag), None).await);
    assert_not_found(&bucket.head("missing/1").await);
    assert_not_found(&bucket.copy("missing/1", &etag, "missing/2", &Metadata::new()).await);
    put(bucket.as_ref(), "missing/folder/file", "a").await;
    assert_not_found(&bucket.get("missing/folder", None, None).await);
}

/// A create of a large existing object is a conflict.
pub async fn large_create_of_an_existing_object_is_a_conflict(bucket: Arc<dyn Bucket>) {
    let key = "large-create/1";
    let large = pattern(20 * 1024 * 1024);
    bucket
        .put(key, large.clone(), PutMode::Create, &Metadata::new())
        .await
        .expect("there is no object yet");
    assert_conflict(&bucket.put(key, large.slice(1..), PutMode::Create, &Metadata::new()).await);
    assert_eq!(bucket.head(key).await.expect("the object exists").meta.size, 20 * 1024 * 1024);
}

/// A put whose response was lost takes effect.
pub async fn put_with_a_lost_response_takes_effect(bucket: Arc<dyn Bucket>) {
    let lossy = Faulty::new(Arc::clone(&bucket), |operation| match operation.kind {
        OperationKind::Put => FaultAction::FailAfter,
        _ => FaultAction::Pass,
    });
    let result = lossy.put("lost/1", "a".into(), PutMode::Create, &Metadata::new()).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    assert_eq!(text(&lossy, "lost/1").await, "a");
    assert_conflict(&bucket.put("lost/1", "b".into(), PutMode::Create, &Metadata::new()).await);
}
