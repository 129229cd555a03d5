//! Preconditions: who wins, and what the loser hears.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{put, text};
use crate::{
    bucket::{Bucket, Etag, Metadata, PutMode},
    contract::objects::pattern,
    error::StoreError,
    faults::{Fate, Faulty, OperationKind},
};

const WRITERS: usize = 64;

/// The create is the only lock of a commit: its races are tried longest. A folder takes 3 s for them, and MinIO and versitygw 40 s.
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

/// Writes at once from 64 tasks, and gives the number of each that succeeded.
async fn race(bucket: &Arc<dyn Bucket>, key: &str, mode: &PutMode) -> Vec<usize> {
    let write = |number: usize| {
        let (bucket, key, mode) = (Arc::clone(bucket), key.to_owned(), mode.clone());
        tokio::spawn(async move {
            let result = bucket.put(&key, Bytes::from(number.to_string()), mode, &Metadata::new()).await;
            match result {
                Ok(_) => Some(number),
                Err(StoreError::Conflict { .. }) => None,
                Err(error) => panic!("a loser of a race hears of a conflict, not {error:?}"),
            }
        })
    };
    let results = join_all((0..WRITERS).map(write)).await;
    results.into_iter().filter_map(|result| result.expect("no writer panics")).collect()
}

/// Of 64 creates of one key exactly one succeeds, and its bytes are there.
pub async fn create_once_under_a_race(bucket: Arc<dyn Bucket>) {
    for round in 0..CREATE_ROUNDS {
        let key = format!("create-race/{round}");
        let winners = race(&bucket, &key, &PutMode::Create).await;
        assert_eq!(winners.len(), 1, "winners: {winners:?}");
        assert_eq!(text(bucket.as_ref(), &key).await, winners[0].to_string());
    }
}

/// Of 64 updates of one state exactly one succeeds.
pub async fn update_under_a_race(bucket: Arc<dyn Bucket>) {
    for round in 0..UPDATE_ROUNDS {
        let key = format!("update-race/{round}");
        let etag = put(bucket.as_ref(), &key, "before").await;
        let winners = race(&bucket, &key, &PutMode::Update(etag)).await;
        assert_eq!(winners.len(), 1, "winners: {winners:?}");
        assert_eq!(text(bucket.as_ref(), &key).await, winners[0].to_string());
    }
}

/// A create of a key that has an object is a conflict and changes nothing.
pub async fn create_is_refused_where_an_object_is(bucket: Arc<dyn Bucket>) {
    let key = "create/1";
    bucket
        .put(key, "a".into(), PutMode::Create, &Metadata::new())
        .await
        .expect("there is no object yet");
    assert_conflict(&bucket.put(key, "b".into(), PutMode::Create, &Metadata::new()).await);
    // Also the same bytes again: who created is not told by what is there.
    assert_conflict(&bucket.put(key, "a".into(), PutMode::Create, &Metadata::new()).await);
    assert_eq!(text(bucket.as_ref(), key).await, "a");
    bucket.delete(key, None).await.expect("it is there");
    bucket
        .put(key, "c".into(), PutMode::Create, &Metadata::new())
        .await
        .expect("there is none again");
}

/// An update succeeds with the present tag alone.
pub async fn update_needs_the_tag(bucket: Arc<dyn Bucket>) {
    let key = "update/1";
    let first = put(bucket.as_ref(), key, "a").await;
    let second = bucket
        .put(key, "b".into(), PutMode::Update(first.clone()), &Metadata::new())
        .await
        .expect("the tag is right");
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

/// A get with another tag than the present one is a conflict.
pub async fn get_needs_the_tag(bucket: Arc<dyn Bucket>) {
    let key = "get/1";
    let first = put(bucket.as_ref(), key, "a").await;
    assert_eq!(
        bucket.get(key, Some(&first), None).await.expect("the tag is right").meta.etag,
        first
    );
    let second = put(bucket.as_ref(), key, "bb").await;
    assert_conflict(&bucket.get(key, Some(&first), None).await);
    let object = bucket.get(key, Some(&second), None).await.expect("the tag is right");
    assert_eq!((object.meta.size, &object.bytes[..]), (2, &b"bb"[..]));
}

/// A copy is of the state that was asked for, or is not made.
pub async fn copy_needs_the_sources_tag(bucket: Arc<dyn Bucket>) {
    let (from, to) = ("copy/from é+ %2F", "copy/to");
    let first = put(bucket.as_ref(), from, "a").await;
    let metadata = Metadata::from([("source-etag".to_owned(), first.to_string())]);
    let copied = bucket.copy(from, &first, to, &metadata).await.expect("the tag is right");
    let head = bucket.head(to).await.expect("the copy is there");
    assert_eq!((&head.meta.etag, head.meta.size, &head.metadata), (&copied, 1, &metadata));

    put(bucket.as_ref(), from, "bb").await;
    assert_conflict(&bucket.copy(from, &first, to, &metadata).await);
    assert_eq!(text(bucket.as_ref(), to).await, "a");
    bucket.delete(from, None).await.expect("it is there");
    assert_not_found(&bucket.copy(from, &first, to, &metadata).await);
    assert_eq!(text(bucket.as_ref(), to).await, "a");
}

/// A delete with a tag removes that state alone.
pub async fn delete_needs_the_tag(bucket: Arc<dyn Bucket>) {
    let key = "delete/1";
    let first = put(bucket.as_ref(), key, "a").await;
    let second = put(bucket.as_ref(), key, "bb").await;
    assert_conflict(&bucket.delete(key, Some(&first)).await);
    bucket.delete(key, Some(&second)).await.expect("the tag is right");
    assert_not_found(&bucket.delete(key, Some(&second)).await);
    bucket.delete(key, None).await.expect("what is not there need not be removed");
}

/// What is not there is not found, by every operation that reads.
pub async fn missing_objects(bucket: Arc<dyn Bucket>) {
    let tag = Etag::new("none");
    assert_not_found(&bucket.get("missing/1", None, None).await);
    assert_not_found(&bucket.get("missing/1", Some(&tag), None).await);
    assert_not_found(&bucket.head("missing/1").await);
    assert_not_found(&bucket.copy("missing/1", &tag, "missing/2", &Metadata::new()).await);
    put(bucket.as_ref(), "missing/folder/file", "a").await;
    assert_not_found(&bucket.get("missing/folder", None, None).await);
}

/// A large create that comes too late is a conflict, too.
pub async fn large_creates_are_decided(bucket: Arc<dyn Bucket>) {
    let key = "large-create/1";
    let large = pattern(20 * 1024 * 1024);
    bucket
        .put(key, large.clone(), PutMode::Create, &Metadata::new())
        .await
        .expect("there is no object yet");
    assert_conflict(&bucket.put(key, large.slice(1..), PutMode::Create, &Metadata::new()).await);
    assert_eq!(bucket.head(key).await.expect("it is there").meta.size, 20 * 1024 * 1024);
}

/// After an answer that is lost, the effect may be there: it is found by looking.
pub async fn answers_lost_after_the_effect(bucket: Arc<dyn Bucket>) {
    let lossy = Faulty::new(Arc::clone(&bucket), |operation| match operation.kind {
        OperationKind::Put => Fate::FailAfter,
        _ => Fate::Pass,
    });
    let result = lossy.put("lost/1", "a".into(), PutMode::Create, &Metadata::new()).await;
    assert!(matches!(result, Err(StoreError::Unavailable { .. })), "{result:?}");
    assert_eq!(text(&lossy, "lost/1").await, "a");
    assert_conflict(&bucket.put("lost/1", "b".into(), PutMode::Create, &Metadata::new()).await);
}
