//! What a checkpoint keeps, and what a load does without one.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use datalake_core::keys;
use datalake_store::{
    bucket::Bucket,
    faults::{Fate, Faulty, Operation, OperationKind},
    memory::MemoryBucket,
};
use datalake_table::{delta::version::Version, error::CommitError, table::Table};
use futures_util::FutureExt;

use crate::support::{SMALL, commit, details, ids, keys as keys_under, put, read, refusal, table, write};

/// Versions 0 to `last`, a user each; the refusals of version 0 stay open.
async fn filled(bucket: &MemoryBucket, last: u64) -> Version {
    let table = table(bucket);
    let mut held: Option<Version> = None;
    for number in 0..=last {
        let staged = table.stage(held.as_ref(), vec![put(&number.to_string(), 1)]).await.unwrap();
        held = Some(
            table
                .commit(held.as_ref(), staged, &[refusal("src-data/x.csv")], &details())
                .await
                .unwrap(),
        );
    }
    held.unwrap()
}

#[tokio::test]
async fn a_checkpoint_is_written_every_so_often() {
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

/// Changes the log of versions 0 to 6, with checkpoints 3 and 6, and loads version 6 from what is left.
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
    assert_eq!(loaded.run_id().map(datalake_core::report::RunId::as_str), expected_run, "{change}");
    assert_eq!(table.rejects(&loaded).await.unwrap(), [refusal("src-data/x.csv")], "{change}");
    assert_eq!(ids(&table, &loaded).await.len(), 7, "{change}");
}

#[tokio::test]
async fn a_load_finds_its_way() {
    check("everything is there", |_| true, Some("run-9")).await;
    check("no pointer", |key| !key.ends_with("_last_checkpoint"), Some("run-9")).await;
    check(
        "the checkpoint of the pointer is gone",
        |key| *key != keys::checkpoint(6),
        Some("run-9"),
    )
    .await;
    check("no checkpoint", |key| !key.contains("checkpoint"), Some("run-9")).await;
    check(
        "entries before a checkpoint are gone",
        |key| *key >= *keys::checkpoint(6),
        Some("run-9"),
    )
    .await;
    check("only a checkpoint is left", |key| key.contains(".checkpoint"), None).await;
}

#[tokio::test]
async fn a_damaged_pointer_is_as_good_as_none() {
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
async fn checkpoints_in_parts_are_refused_only_where_the_log_is_not_whole() {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, 2).await;
    let part = keys::checkpoint(2).replace(".parquet", ".0000000001.0000000002.parquet");
    write(&bucket, &part, "a part").await;
    write(&bucket, keys::LAST_CHECKPOINT, "{\"version\":2,\"size\":9,\"parts\":2}").await;
    assert_eq!(table(&bucket).latest().await.unwrap().unwrap().data_files(), version.data_files());
    bucket.delete(&keys::log_entry(0), None).await.unwrap();
    let error = table(&bucket).latest().await.unwrap_err();
    assert!(error.to_string().contains("several parts"), "{error}");
}

#[tokio::test]
async fn a_table_is_loaded_without_a_damaged_checkpoint() {
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
async fn a_damaged_checkpoint_is_damage_if_entries_before_it_are_gone() {
    let bucket = MemoryBucket::new();
    filled(&bucket, 3).await;
    write(&bucket, &keys::checkpoint(3), "no parquet").await;
    bucket.delete(&keys::log_entry(0), None).await.unwrap();
    let error = table(&bucket).latest().await.unwrap_err();
    assert!(error.to_string().contains(&keys::checkpoint(3)), "{error}");
}

#[tokio::test]
async fn a_commit_goes_on_from_a_checkpoint() {
    let bucket = MemoryBucket::new();
    filled(&bucket, 3).await;
    let table = table(&bucket);
    let loaded = table.latest().await.unwrap().unwrap();
    let next = commit(&table, Some(&loaded), vec![put("x", 2)]).await;
    assert_eq!((next.number(), next.row_count()), (4, 5));
}

#[tokio::test]
async fn version_replaced_during_a_load_is_not_a_base() {
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
    let faulty = Faulty::with_hook(Arc::new(bucket.clone()), |_| Fate::Pass, hook);
    let slow = Table::with_settings(Arc::new(faulty), SMALL);
    let loaded = slow.latest().await.unwrap().unwrap();
    let staged = slow.stage(Some(&loaded), vec![put("b", 2)]).await.unwrap();
    let error = slow.commit(Some(&loaded), staged, &[], &details()).await.unwrap_err();
    assert!(matches!(error, CommitError::Conflict { version: 4 }), "{error}");
    assert_eq!(ids(&slow, &table(&bucket).latest().await.unwrap().unwrap()).await.len(), 4);
}
