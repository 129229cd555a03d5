//! The vacuum. Times are seconds of the store's clock since the first write. The clocks of the runs do not advance, because nothing depends
//! on them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use datalake_core::{keys, reject::ExcludedSource};
use datalake_store::{
    error::StoreError,
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::{EPOCH, Expiry, MemoryBucket},
};
use datalake_table::{
    delta::{vacuum::VacuumSummary, version::Version},
    error::TableError,
    table::Table,
};
use futures_util::FutureExt;
use jiff::Timestamp;

use crate::support::{details, excluded, ids, keys as keys_under, put, read, rows, table, users, write};

const DAY: i64 = 24 * 60 * 60;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(EPOCH.as_second() + second).unwrap()
}

/// Replaces the row of the only user at the given second, with other rejects for each value.
async fn commit_at(bucket: &MemoryBucket, current: Option<&Version>, value: u8, second: i64) -> Version {
    commit_with(bucket, current, value, &[excluded(&format!("src-data/{value}.csv"))], second).await
}

async fn commit_with(bucket: &MemoryBucket, current: Option<&Version>, value: u8, rejected: &[ExcludedSource], second: i64) -> Version {
    bucket.advance_to(at(second));
    let table = table(bucket);
    let staged = table.stage(current, &users(), vec![put("1", value)]).await.unwrap();
    table.commit(current, staged, rejected, &details()).await.unwrap()
}

async fn filled(bucket: &MemoryBucket, seconds: &[i64]) -> Version {
    let mut current = None;
    for (value, second) in (0..).zip(seconds) {
        current = Some(commit_at(bucket, current.as_ref(), value, *second).await);
    }
    current.unwrap()
}

async fn vacuum(bucket: &MemoryBucket, second: i64) -> VacuumSummary {
    bucket.advance_to(at(second));
    table(bucket).vacuum().await.unwrap()
}

async fn entries(bucket: &MemoryBucket) -> Vec<String> {
    let name = |key: String| key.rsplit('/').next().unwrap().trim_start_matches('0').to_owned();
    keys_under(bucket, keys::LOG).await.into_iter().map(name).collect()
}

#[tokio::test]
async fn recent_files_are_kept() {
    let bucket = MemoryBucket::new();
    filled(&bucket, &[10, 20, 30]).await;
    write(&bucket, &keys::table_file("part-abandoned.parquet"), "x").await;
    assert_eq!(vacuum(&bucket, 40).await, VacuumSummary::default());
}

#[tokio::test]
async fn unnamed_and_replaced_files_are_removed_after_the_retention() {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, &[10, 20]).await;
    let abandoned = ["part-abandoned.parquet", "folder/part.parquet"];
    for path in abandoned {
        write(&bucket, &keys::table_file(path), "x").await;
    }
    write(&bucket, &keys::rejects_file("abandoned", 0), "x").await;
    for path in ["_changes/x.parquet", "notes.txt", "_delta_log/.tmp", "_ingest/last_vacuum.json"] {
        write(&bucket, &keys::table_file(path), "x").await;
    }
    assert_eq!(vacuum(&bucket, 6 * DAY).await, VacuumSummary::default());
    assert_eq!(
        ids(&table(&bucket), &table(&bucket).at(0).await.unwrap()).await,
        ["1"],
        "the earlier version is complete"
    );
    let removed = vacuum(&bucket, 8 * DAY).await;
    assert_eq!(
        (
            removed.data_files_removed,
            removed.rejects_files_removed,
            removed.log_objects_removed
        ),
        (3, 2, 1)
    );
    assert_eq!(
        keys_under(&bucket, keys::TABLE)
            .await
            .iter()
            .filter(|key| key.contains("part-"))
            .count(),
        1
    );
    assert_eq!(ids(&table(&bucket), &version).await, ["1"]);
    assert_eq!(vacuum(&bucket, 9 * DAY).await, VacuumSummary::default());
    assert_eq!(
        entries(&bucket).await,
        [".tmp", "1.checkpoint.parquet", "1.json", "_last_checkpoint"]
    );
}

#[tokio::test]
async fn files_of_another_run_are_kept_if_the_stores_clock_is_set_back_during_the_vacuum() {
    for expiry in [Expiry::Timed, Expiry::Swept, Expiry::Never] {
        let bucket = MemoryBucket::new().expiring(expiry);
        filled(&bucket, &[10, 20]).await;
        bucket.advance_to(at(20 * DAY));
        let written = [keys::table_file("part-staged.parquet"), keys::rejects_file("staged", 0)];
        let (store, new_files) = (bucket.clone(), written.clone());
        let hook = move |operation: Operation| {
            let (store, new_files) = (store.clone(), new_files.clone());
            async move {
                if (operation.kind, &*operation.key) == (OperationKind::List, keys::TABLE) {
                    store.set_now(at(10 * DAY));
                    for key in new_files {
                        write(&store, &key, "x").await;
                    }
                }
            }
            .boxed()
        };
        let faulty = Faulty::with_hook(Arc::new(bucket.clone()), |_| FaultAction::Pass, hook);
        let removed = Table::new(Arc::new(faulty)).vacuum().await.unwrap();
        let remaining = keys_under(&bucket, keys::TABLE).await;
        assert!(
            written.iter().all(|key| remaining.contains(key)),
            "{expiry:?}: {removed:?} {remaining:?}"
        );
        assert_eq!(removed.data_files_removed + removed.rejects_files_removed, 0, "{expiry:?}");
    }
}

#[tokio::test]
async fn versions_within_the_retention_are_kept_if_the_stores_clock_is_set_back_during_the_vacuum() {
    let bucket = MemoryBucket::new().expiring(Expiry::Never);
    let version = filled(&bucket, &[10 * DAY, 50 * DAY, 50 * DAY]).await;
    let (store, is_loaded, is_set_back) = (bucket.clone(), AtomicBool::new(false), AtomicBool::new(false));
    let hook = move |operation: Operation| {
        is_loaded.fetch_or(operation.key == keys::log_entry(version.number()), Ordering::SeqCst);
        let is_listing = operation.kind == OperationKind::List && is_loaded.load(Ordering::SeqCst);
        let is_first_listing = is_listing && !is_set_back.swap(true, Ordering::SeqCst);
        let (store, mut version) = (store.clone(), version.clone());
        async move {
            if is_first_listing {
                store.set_now(at(0));
                // One of them gets a checkpoint.
                for value in 0..10 {
                    version = commit_at(&store, Some(&version), value, 0).await;
                }
            }
        }
        .boxed()
    };
    let faulty = Faulty::with_hook(Arc::new(bucket.clone()), |_| FaultAction::Pass, hook);
    Table::new(Arc::new(faulty)).vacuum().await.unwrap();
    assert_eq!(ids(&table(&bucket), &table(&bucket).at(1).await.unwrap()).await, ["1"]);
}

#[tokio::test]
async fn log_within_the_retention_is_kept() {
    let bucket = MemoryBucket::new();
    filled(&bucket, &[1, 2, 3, 4, 5, 6, 7]).await;
    assert_eq!(entries(&bucket).await.len(), 7 + 2 + 1);
}

#[tokio::test]
async fn entries_past_the_retention_are_removed() {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, &[10, 20, 30, 40, 50]).await;
    let table = table(&bucket);
    let mut current = version;
    for value in 5..8 {
        current = commit_at(&bucket, Some(&current), value, 7 * DAY).await;
    }
    // The checkpoint of version 6 is within the retention, that of version 3 is not.
    let before = vacuum(&bucket, 7 * DAY + 60).await;
    assert_eq!(before.log_objects_removed, 3);
    assert_eq!(
        entries(&bucket).await,
        [
            "3.checkpoint.parquet",
            "3.json",
            "4.json",
            "5.json",
            "6.checkpoint.parquet",
            "6.json",
            "7.json",
            "_last_checkpoint"
        ]
    );
    assert_eq!(table.latest().await.unwrap().unwrap().data_files(), current.data_files());
    assert_eq!(
        table.at(2).await.unwrap_err().to_string(),
        "version 2 of the table does not exist, or its log entries have been removed"
    );
    let at_checkpoint = table.at(6).await.unwrap();
    assert_eq!(rows(&table, &at_checkpoint).await.len(), 1);

    // Data files and rejects files that were superseded within the week are kept.
    assert_eq!((before.data_files_removed, before.rejects_files_removed), (4, 4));
    assert_eq!(table.rejects(&at_checkpoint).await.unwrap(), [excluded("src-data/6.csv")]);
    assert_eq!(vacuum(&bucket, 16 * DAY).await.data_files_removed, 3);
    assert_eq!(rows(&table, &current).await.len(), 1);
}

/// The table keeps its log for 30 days, as Delta Lake does without the property.
async fn keep_log_for_30_days(bucket: &MemoryBucket) -> Version {
    let key = keys::log_entry(0);
    let entry = String::from_utf8(read(bucket, &key).await.to_vec()).unwrap();
    let property = r#""delta.logRetentionDuration":"interval 7 days""#;
    assert!(entry.contains(property), "{entry}");
    write(bucket, &key, entry.replace(property, &property.replace('7', "30"))).await;
    table(bucket).latest().await.unwrap().unwrap()
}

async fn rejects_files(bucket: &MemoryBucket) -> usize {
    keys_under(bucket, keys::TABLE)
        .await
        .iter()
        .filter(|key| keys::is_rejects_file(key))
        .count()
}

#[tokio::test]
async fn rejects_files_of_superseded_versions_are_removed_after_the_data_file_retention() {
    let bucket = MemoryBucket::new();
    filled(&bucket, &[10]).await;
    let first = keep_log_for_30_days(&bucket).await;
    let without_rejects = commit_with(&bucket, Some(&first), 1, &[], 20).await;
    let rejected = [excluded("src-data/2.csv")];
    let newest = commit_with(&bucket, Some(&without_rejects), 2, &rejected, 6 * DAY).await;
    let table = table(&bucket);
    assert_eq!(
        vacuum(&bucket, 7 * DAY).await.rejects_files_removed,
        0,
        "superseded within the retention"
    );
    assert_eq!(table.rejects(&first).await.unwrap(), [excluded("src-data/0.csv")]);

    let removed = vacuum(&bucket, 7 * DAY + 60).await;
    assert_eq!((removed.rejects_files_removed, removed.log_objects_removed), (1, 0));
    let version = table.at(0).await.unwrap();
    let gone = table.rejects(&version).await;
    assert!(matches!(gone, Err(TableError::Store(StoreError::NotFound { .. }))), "{gone:?}");
    for day in [8, 12, 20] {
        assert_eq!(
            vacuum(&bucket, day * DAY).await.rejects_files_removed,
            0,
            "the newest version names it, day {day}"
        );
    }
    assert_eq!(table.rejects(&newest).await.unwrap(), rejected);
}

#[tokio::test]
async fn shared_rejects_file_is_kept_until_all_its_versions_are_superseded() {
    let bucket = MemoryBucket::new();
    let rejected = [excluded("src-data/x.csv")];
    let mut version = commit_with(&bucket, None, 0, &rejected, 10).await;
    for (value, day) in [(1, 3), (2, 6)] {
        version = commit_with(&bucket, Some(&version), value, &rejected, day * DAY).await;
    }
    let last = version;
    commit_with(&bucket, Some(&last), 3, &[], 9 * DAY).await;
    for (day, files) in [(10, 1), (15, 1), (17, 0)] {
        vacuum(&bucket, day * DAY).await;
        assert_eq!(rejects_files(&bucket).await, files, "day {day}");
    }
}

/// A source was rejected and then deleted. No run has committed anything since.
#[tokio::test]
async fn excerpts_of_a_deleted_source_expire_on_a_lake_without_changes() {
    let bucket = MemoryBucket::new();
    filled(&bucket, &[10]).await;
    let first = keep_log_for_30_days(&bucket).await;
    let newest = commit_with(&bucket, Some(&first), 1, &[], 20).await;
    let mut rejects_files_on = Vec::new();
    for day in 1..=32 {
        vacuum(&bucket, day * DAY).await;
        rejects_files_on.push(rejects_files(&bucket).await);
    }
    assert_eq!(rejects_files_on.iter().sum::<usize>(), 7, "{rejects_files_on:?}");
    assert_eq!(entries(&bucket).await, ["1.checkpoint.parquet", "1.json", "_last_checkpoint"]);
    let loaded = table(&bucket).latest().await.unwrap().unwrap();
    assert_eq!((loaded.id(), loaded.data_files()), (newest.id(), newest.data_files()));
    assert_eq!(rows(&table(&bucket), &loaded).await.len(), 1);
}

#[tokio::test]
async fn log_before_a_damaged_checkpoint_is_kept() {
    let bucket = MemoryBucket::new();
    let mut current = filled(&bucket, &[10, 20, 30, 40, 50]).await;
    for value in 5..8 {
        current = commit_at(&bucket, Some(&current), value, 7 * DAY).await;
    }
    write(&bucket, &keys::checkpoint(3), "no parquet").await;
    write(&bucket, &keys::checkpoint(6), "no parquet").await;
    assert_eq!(vacuum(&bucket, 7 * DAY + 60).await.log_objects_removed, 0);
    let loaded = table(&bucket).latest().await.unwrap().unwrap();
    assert_eq!((loaded.id(), loaded.data_files()), (current.id(), current.data_files()));
    assert_eq!(rows(&table(&bucket), &loaded).await.len(), 1);

    // A day later, the vacuum writes another checkpoint, and removes the entries before it and the damaged checkpoint.
    assert_eq!(vacuum(&bucket, 8 * DAY + 60).await.log_objects_removed, 5);
    let loaded = table(&bucket).latest().await.unwrap().unwrap();
    assert_eq!((loaded.id(), loaded.data_files()), (current.id(), current.data_files()));
}

#[tokio::test]
async fn reload_if_lost_detects_removed_entries() {
    let bucket = MemoryBucket::new();
    let current = filled(&bucket, &[10]).await;
    let table = table(&bucket);
    let mut newest = current.clone();
    for value in 1..7 {
        newest = commit_at(&bucket, Some(&newest), value, i64::from(value) * 3 * DAY).await;
    }
    vacuum(&bucket, 18 * DAY + 60).await;
    assert!(table.newer_than(&current).await.unwrap().is_none(), "entry 1 was removed");
    assert_eq!(table.reload_if_lost(&current).await.unwrap().unwrap().number(), 6);
}

#[tokio::test]
async fn vacuum_without_a_table_does_nothing() {
    assert_eq!(vacuum(&MemoryBucket::new(), 9 * DAY).await, VacuumSummary::default());
}

/// Five commits in a year, the last of them within the retention: no commit writes a checkpoint.
#[tokio::test]
async fn entries_of_a_lake_that_changes_rarely_expire() {
    let bucket = MemoryBucket::new();
    filled(&bucket, &[10]).await;
    let mut version = keep_log_for_30_days(&bucket).await;
    for (value, day) in [(1, 100), (2, 200), (3, 300), (4, 360)] {
        version = commit_with(&bucket, Some(&version), value, &[], day * DAY).await;
    }
    vacuum(&bucket, 330 * DAY).await;
    vacuum(&bucket, 365 * DAY).await;
    let newest = version.number();
    let (old, new) = (newest - 1, newest);
    let expected = [
        format!("{old}.checkpoint.parquet"),
        format!("{old}.json"),
        format!("{new}.json"),
        "_last_checkpoint".to_owned(),
    ];
    assert_eq!(entries(&bucket).await, expected);
    let loaded = table(&bucket).latest().await.unwrap().unwrap();
    assert_eq!(loaded.id(), version.id());
    assert_eq!(table(&bucket).at(old).await.unwrap().number(), old);
}
