//! Runs after damage, rollbacks, copies of lakes and wrong clocks: the next run continues from the sources.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use datalake_core::{
    keys,
    run::{RunMode, RunOutcome, RunReport},
};
use datalake_processor::options::RunOptions;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    faults::{FaultAction, Faulty, OperationKind},
    folder::FolderBucket,
    memory::{EtagInput, MemoryBucket},
};
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use tempfile::TempDir;

use crate::lake::{TestLake, before_first, copy_key, csv, edited, now, options, plain, png, visible_state};

/// What readers see after a run over the same sources in an empty lake.
async fn rebuilt(bucket: &MemoryBucket) -> (String, Vec<String>, Vec<String>) {
    let empty = MemoryBucket::new();
    let lake = plain(&empty);
    for source in bucket.peek_all(keys::SOURCES) {
        empty
            .put(&source.meta.key, source.bytes, PutMode::Replace, &Metadata::new())
            .await
            .unwrap();
    }
    lake.run().await;
    visible_state(&empty).await
}

/// Some users, a reject and two versions.
async fn lake_of_two_versions(etags: EtagInput) -> MemoryBucket {
    let bucket = MemoryBucket::new().with_etags_of(etags);
    let lake = plain(&bucket);
    for id in ["1", "2", "3"] {
        lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
        lake.put(&format!("{id}.png"), png(id)).await;
    }
    lake.put("8.csv", "broken").await;
    lake.run().await;
    lake.put("2.csv", csv("Ada", "changed", 1)).await;
    lake.run().await;
    bucket
}

/// The last object with this prefix and suffix.
fn key_of(bucket: &MemoryBucket, prefix: &str, end: &str) -> String {
    let objects = bucket.peek_all(prefix);
    let found = objects.into_iter().map(|object| object.meta.key).rfind(|key| key.ends_with(end));
    found.unwrap_or_else(|| panic!("there is no {prefix}…{end}"))
}

async fn damage(bucket: &MemoryBucket, key: &str, is_deleted: bool) {
    if is_deleted {
        bucket.delete(key, None).await.unwrap();
    } else {
        let bytes = bucket.peek(key).unwrap().bytes.slice(..9);
        bucket.put(key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
    }
}

/// Removes or damages an object, adds another user, and runs.
async fn check_lost(etags: EtagInput, prefix: &str, end: &str, is_deleted: bool, mode: RunMode) -> RunReport {
    let bucket = lake_of_two_versions(etags).await;
    let key = key_of(&bucket, prefix, end);
    damage(&bucket, &key, is_deleted).await;
    let lake = plain(&bucket);
    lake.put("9.csv", csv("Eve", "New", 9)).await;
    let report = lake.run_in(mode).await;
    assert_eq!(visible_state(&bucket).await, rebuilt(&bucket).await, "{key}");
    assert_eq!(lake.run().await.committed, Some(false), "{key}: the next run has nothing to do");
    report
}

#[rstest]
#[tokio::test]
async fn lost_data_file_is_replaced_from_the_sources(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
    #[values(true, false)] is_deleted: bool,
    #[values(RunMode::Incremental, RunMode::Full)] mode: RunMode,
) {
    let report = check_lost(etags, "processed_data/users/part-", ".parquet", is_deleted, mode).await;
    assert!(report.repaired.is_some(), "{report:?}");
}

#[rstest]
#[tokio::test]
async fn lost_rejects_file_is_replaced_from_the_sources(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
    #[values(true, false)] is_deleted: bool,
    #[values(RunMode::Incremental, RunMode::Full)] mode: RunMode,
) {
    let report = check_lost(etags, "processed_data/users/_ingest/rejects-", ".parquet", is_deleted, mode).await;
    assert!(report.repaired.is_some(), "{report:?}");
}

#[rstest]
#[tokio::test]
async fn lost_output_is_published_again(#[values(true, false)] is_deleted: bool) {
    check_lost(EtagInput::Bytes, keys::OUTPUT, "", is_deleted, RunMode::Incremental).await;
}

#[rstest]
#[tokio::test]
async fn lost_vacuum_record_does_not_fail_the_run(#[values(true, false)] is_deleted: bool) {
    check_lost(EtagInput::Bytes, keys::LAST_VACUUM, "", is_deleted, RunMode::Incremental).await;
}

/// The operator removes the newest versions, and the user edits sources.
#[rstest]
#[tokio::test]
async fn output_after_a_rollback_is_that_of_the_remaining_versions(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
) {
    let bucket = lake_of_two_versions(etags).await;
    let lake = plain(&bucket);
    for round in 0..3 {
        lake.put("3.csv", csv("Ada", "abandoned", round)).await;
        lake.run().await;
    }
    let abandoned = lake.table().latest().await.unwrap().unwrap();
    for number in [2, 3, 4] {
        bucket.delete(&keys::log_entry(number), None).await.unwrap();
    }
    lake.put("3.csv", csv("Ada", "restored", 1)).await;
    let report = lake.run().await;
    assert_eq!(
        (report.committed, report.version),
        (Some(true), Some(2)),
        "version numbers are used again"
    );
    assert_eq!(visible_state(&bucket).await, rebuilt(&bucket).await);
    assert!(lake.output().await.contains("restored"));

    // The same number identifies another version.
    for round in 0..2 {
        lake.put("3.csv", csv("Ada", "later", round)).await;
        lake.run().await;
    }
    let later = lake.table().latest().await.unwrap().unwrap();
    assert_eq!((abandoned.number(), abandoned.table_id()), (later.number(), later.table_id()));
    assert_ne!(abandoned.id(), later.id());
}

/// The copied files have other inodes and modification times, so all ETags differ.
#[tokio::test]
async fn copied_folder_needs_no_commit() {
    let folders = TempDir::new().unwrap();
    let [original, copy] = ["original", "copy"].map(|name| folders.path().join(name));
    std::fs::create_dir(&original).unwrap();
    let open = |root: &Path| TestLake::over(Arc::new(FolderBucket::new(root.to_owned())), Arc::default());
    let lake = open(&original);
    for id in ["1", "2", "3"] {
        lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
        lake.put(&format!("{id}.png"), png(id)).await;
    }
    lake.put("8.csv", "broken").await;
    lake.run().await;
    let copied = Command::new("cp").arg("-a").args([&original, &copy]).status().unwrap();
    assert!(copied.success());

    let lake = open(&copy);
    let before = lake.objects("processed_data/users/").await;
    let report = lake.run().await;
    assert_eq!((report.committed, report.version), (Some(false), Some(0)), "{report:?}");
    assert_eq!(report.counts.images_copied, 0, "{report:?}");
    let mut after = lake.objects("processed_data/users/").await;
    after.retain(|key, _| !key.contains("/_ingest/"));
    assert!(
        after.iter().all(|(key, bytes)| before.get(key) == Some(bytes)),
        "{:?}",
        after.keys()
    );
}

/// A wrong clock dated the record of the vacuum one year in the future.
#[rstest]
#[tokio::test]
async fn vacuum_record_dated_in_the_future_does_not_defer_the_vacuum(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
) {
    fn in_two_days() -> Timestamp {
        now() + SignedDuration::from_hours(48)
    }
    let bucket = edited(etags).await;
    let lake = plain(&bucket);
    let present = bucket.now();
    bucket.set_now(present + SignedDuration::from_hours(365 * 24));
    let record = bucket.peek(keys::LAST_VACUUM).unwrap();
    bucket
        .put(keys::LAST_VACUUM, record.bytes, PutMode::Replace, &Metadata::new())
        .await
        .unwrap();
    bucket.set_now(present);
    let staged = "processed_data/users/part-left.parquet";
    bucket
        .put(staged, "never committed".into(), PutMode::Create, &Metadata::new())
        .await
        .unwrap();

    bucket.set_now(present + SignedDuration::from_hours(8 * 24));
    let later = RunOptions {
        clock: in_two_days,
        ..options(RunMode::Incremental)
    };
    lake.run_with(&later).await;
    assert!(bucket.peek(staged).is_none(), "the vacuum has removed the staged file");
    assert!(bucket.peek(keys::LAST_VACUUM).unwrap().meta.modified < present + SignedDuration::from_hours(9 * 24));
}

/// The first commit succeeds. An image is replaced before its copy is restored, so the run starts over; then the second listing or the second
/// commit fails.
#[rstest]
#[tokio::test(start_paused = true)]
async fn commit_is_reported_although_a_later_attempt_fails(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
    #[values(OperationKind::List, OperationKind::Put)] failing: OperationKind,
) {
    let bucket = MemoryBucket::new().with_etags_of(etags);
    let lake = plain(&bucket);
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("1")).await;
    lake.run().await;
    bucket.delete(&copy_key("1"), None).await.unwrap();
    lake.put("2.csv", csv("Bea", "Lee", 1)).await;
    bucket.advance_to(now() + SignedDuration::from_hours(48));

    let edited = before_first(&bucket, OperationKind::Copy, &copy_key("1"), |bucket| async move {
        plain(&bucket).put("1.png", png("new")).await;
    });
    let listings = AtomicUsize::new(0);
    let failing_store = Faulty::new(edited.lake.bucket, move |operation| {
        let is_second = match operation.kind {
            OperationKind::List => operation.key == keys::SOURCES && listings.fetch_add(1, Ordering::SeqCst) == 1,
            _ => operation.key == keys::log_entry(2),
        };
        if is_second && operation.kind == failing {
            FaultAction::FailBefore
        } else {
            FaultAction::Pass
        }
    });
    let report = TestLake::with_faults(failing_store, &bucket)
        .run_with(&options(RunMode::Incremental))
        .await;
    assert_eq!((report.committed, report.counts.added), (Some(true), 1), "{report:?}");
    assert_eq!(lake.run().await.outcome, RunOutcome::Succeeded);
    assert_eq!(visible_state(&bucket).await, rebuilt(&bucket).await);
}
