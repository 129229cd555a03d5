//! Checkpoints, and loads with and without them.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use datalake_core::keys;
use datalake_store::{
    bucket::Bucket,
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::MemoryBucket,
};
use datalake_table::{delta::version::Version, error::CommitError, table::Table};
use futures_util::FutureExt;

use crate::support::{SMALL, commit, details, excluded, ids, keys as keys_under, put, read, table, users, write};

/// Creates versions 0 to `last`, each with another user, and with the same rejects.
async fn filled(bucket: &MemoryBucket, last: u64) -> Version {
    let table = table(bucket);
    let mut current: Option<Version> = None;
    for number in 0..=last {
        let staged = table
            .stage(current.as_ref(), &users(), vec![put(&number.to_string(), 1)])
            .await
            .unwrap();
        current = Some(
            table
                .commit(current.as_ref(), staged, &[excluded("src-data/x.csv")], &details())
                .await
                .unwrap(),
        );
    }
    current.unwrap()
}

#[tokio::test]
async fn checkpoint_is_written_after_the_configured_number_of_commits() {
    let bucket = MemoryBucket::new();
    filled(&bucket, 7).await;
    let checkpoints: Vec<String> = keys_under(&bucket, keys::LOG)
        .await
        .into_iter()
        .filter(|key| key.contains("checkpoint"))
        .collect();
    assert_eq!(
        checkpoints,
        [keys::checkpoint(3), keys::checkpoint(6), keys::LAST_CHECKPOINT.to_owned()]
    );
    assert!(read(&bucket, keys::LAST_CHECKPOINT).await.starts_with(b"{\"version\":6,"));
}

/// Removes objects from a log of versions 0 to 6 with checkpoints 3 and 6, and loads version 6 from the rest.
async fn check(change: &str, keep: impl Fn(&str) -> bool, expected_run: Option<&str>) {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, 6).await;
    for key in keys_under(&bucket, keys::LOG).await {
        if !keep(&key) {
            bucket.delete(&key, None).await.unwrap();
        }
    }
    let table = table(&bucket);
    let loaded = table.latest().await.unwrap().unwrap();
    assert_eq!((loaded.number(), loaded.data_files()), (6, version.data_files()), "{change}");
    assert_eq!(loaded.run_id().map(datalake_core::run::RunId::as_str), expected_run, "{change}");
    assert_eq!(table.rejects(&loaded).await.unwrap(), [excluded("src-data/x.csv")], "{change}");
    assert_eq!(ids(&table, &loaded).await.len(), 7, "{change}");
}

#[tokio::test]
async fn load_uses_the_remaining_checkpoints_and_entries() {
    check("nothing is removed", |_| true, Some("run-9")).await;
    check("no `_last_checkpoint`", |key| !key.ends_with("_last_checkpoint"), Some("run-9")).await;
    check(
        "the checkpoint in `_last_checkpoint` is missing",
        |key| *key != keys::checkpoint(6),
        Some("run-9"),
    )
    .await;
    check("no checkpoint", |key| !key.contains("checkpoint"), Some("run-9")).await;
    check(
        "entries before a checkpoint are missing",
        |key| *key >= *keys::checkpoint(6),
        Some("run-9"),
    )
    .await;
    check("only a checkpoint is left", |key| key.contains(".checkpoint"), None).await;
}

#[tokio::test]
async fn damaged_last_checkpoint_is_ignored() {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, 4).await;
    for pointer in ["", "{", "{\"version\":\"x\"}", "{\"version\":99}"] {
        write(&bucket, keys::LAST_CHECKPOINT, pointer.to_owned()).await;
        assert_eq!(
            table(&bucket).latest().await.unwrap().unwrap().data_files(),
            version.data_files(),
            "pointer: {pointer}"
        );
    }
}

#[tokio::test]
async fn multi_part_checkpoint_is_an_error_only_if_entries_are_missing() {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, 2).await;
    let part = keys::checkpoint(2).replace(".parquet", ".0000000001.0000000002.parquet");
    write(&bucket, &part, "a part").await;
    write(&bucket, keys::LAST_CHECKPOINT, "{\"version\":2,\"size\":9,\"parts\":2}").await;
    assert_eq!(table(&bucket).latest().await.unwrap().unwrap().data_files(), version.data_files());
    bucket.delete(&keys::log_entry(0), None).await.unwrap();
    let error = table(&bucket).latest().await.unwrap_err();
    assert!(error.to_string().contains("multi-part checkpoints"), "{error}");
}

#[tokio::test]
async fn damaged_checkpoint_is_skipped_if_earlier_entries_exist() {
    let bucket = MemoryBucket::new();
    let last = filled(&bucket, 7).await;
    write(&bucket, &keys::checkpoint(7), "no parquet").await;
    let loaded = table(&bucket).latest().await.unwrap().unwrap();
    assert_eq!((loaded.id(), loaded.row_count()), (last.id(), last.row_count()));
    write(&bucket, &keys::checkpoint(3), "no parquet").await;
    let loaded = table(&bucket).latest().await.unwrap().unwrap();
    assert_eq!((loaded.id(), loaded.data_files()), (last.id(), last.data_files()));
    let next = commit(&table(&bucket), Some(&loaded), vec![put("x", 2)]).await;
    assert_eq!(next.number(), 8);
}

#[tokio::test]
async fn damaged_checkpoint_is_an_error_if_earlier_entries_are_missing() {
    let bucket = MemoryBucket::new();
    filled(&bucket, 3).await;
    write(&bucket, &keys::checkpoint(3), "no parquet").await;
    bucket.delete(&keys::log_entry(0), None).await.unwrap();
    let error = table(&bucket).latest().await.unwrap_err();
    assert!(error.to_string().contains(&keys::checkpoint(3)), "{error}");
}

#[tokio::test]
async fn commit_follows_a_checkpoint() {
    let bucket = MemoryBucket::new();
    filled(&bucket, 3).await;
    let table = table(&bucket);
    let loaded = table.latest().await.unwrap().unwrap();
    let next = commit(&table, Some(&loaded), vec![put("x", 2)]).await;
    assert_eq!((next.number(), next.row_count()), (4, 5));
}

#[tokio::test]
async fn version_that_was_replaced_during_a_load_is_rejected_as_base() {
    let bucket = MemoryBucket::new();
    let base = filled(&bucket, 2).await;
    let other = bucket.snapshot();
    commit(&table(&bucket), Some(&base), vec![put("a", 1)]).await;
    commit(&table(&other), Some(&base), vec![put("b", 1)]).await;
    // Between the requests for the entry and the checkpoint of version 3 an operator rolls back, and a run commits another version 3.
    let (reads, replaced) = (AtomicU32::new(0), bucket.clone());
    let of_version = [keys::log_entry(3), keys::checkpoint(3)];
    let hook = move |operation: Operation| {
        let is_read = operation.kind == OperationKind::Get && of_version.contains(&operation.key);
        if is_read && reads.fetch_add(1, Ordering::Relaxed) == 1 {
            other.peek_all(keys::TABLE).into_iter().for_each(|object| replaced.restore(object));
        }
        async {}.boxed()
    };
    let faulty = Faulty::with_hook(Arc::new(bucket.clone()), |_| FaultAction::Pass, hook);
    let slow = Table::with_settings(Arc::new(faulty), SMALL);
    let loaded = slow.latest().await.unwrap().unwrap();
    let staged = slow.stage(Some(&loaded), &users(), vec![put("b", 2)]).await.unwrap();
    let error = slow.commit(Some(&loaded), staged, &[], &details()).await.unwrap_err();
    assert!(matches!(error, CommitError::Conflict { version: 4 }), "{error}");
    assert_eq!(ids(&slow, &table(&bucket).latest().await.unwrap().unwrap()).await.len(), 4);
}
