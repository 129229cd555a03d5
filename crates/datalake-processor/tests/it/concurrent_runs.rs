//! Runs that are active at the same time.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use datalake_core::{
    keys,
    row_id::RowId,
    run::{Counts, RunMode, RunOutcome},
};
use datalake_store::{
    bucket::Bucket,
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::{EtagInput, MemoryBucket},
};
use datalake_table::{
    delta::{commit::CommitDetails, edit::Edit},
    table::Table,
};
use futures_util::FutureExt;
use rstest::rstest;

use crate::lake::{COPIES, TestLake, before_first, copy_key, csv, edited, now, on_other_thread, options, plain, png, run_id};

/// Commits a version without user `3` and without the other changes.
async fn remove_three(bucket: MemoryBucket) {
    let table = Table::new(Arc::new(bucket));
    let base = table.latest().await.unwrap();
    let edits = vec![Edit::Remove(RowId::parse("3").unwrap())];
    let staged = table
        .stage(base.as_ref(), &datalake_core::dataset::Dataset::shared_users(), edits)
        .await
        .unwrap();
    let details = CommitDetails {
        run_id: run_id(),
        mode: RunMode::Incremental,
        counts: Counts::default(),
        committed_at: now(),
    };
    table.commit(base.as_ref(), staged, &[], &details).await.unwrap();
}

#[tokio::test]
async fn run_that_starts_over_reads_no_source_twice() {
    let bucket = MemoryBucket::new();
    let lake = plain(&bucket);
    for id in ["1", "2", "3"] {
        lake.put(&format!("{id}.csv"), csv("Ada", "Before", 1)).await;
    }
    lake.run().await;
    lake.put("1.csv", csv("Ada", "After", 1)).await;
    lake.put("2.csv", "broken").await;
    lake.put("2.png", png("new")).await;

    let reads = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&reads);
    let record = move |operation: &Operation| {
        if operation.kind == OperationKind::Get && operation.key.starts_with(keys::SOURCES) {
            recorded.lock().unwrap().push(operation.key.clone());
        }
        FaultAction::Pass
    };
    let conflicting = before_first(&bucket, OperationKind::Put, &keys::log_entry(1), remove_three);
    let watched = TestLake::over(Arc::new(Faulty::new(conflicting.lake.bucket, record)), Arc::default());
    let report = watched.run().await;

    assert_eq!(
        (report.version, report.committed),
        (Some(2), Some(true)),
        "the commit after that of the other run"
    );
    let mut reads = reads.lock().unwrap().clone();
    reads.sort_unstable();
    let expected = ["1.csv", "2.csv", "2.png", "3.csv"].map(keys::source);
    assert_eq!(reads, expected, "only the user that the other run removed is read again");
    assert_eq!(
        lake.rows().await,
        ["1,Ada,After,1,", "2,Ada,Before,1,processed_data/images/2.png", "3,Ada,Before,1,"]
    );
}

/// Another run commits between the load and the commit of a run.
#[rstest]
#[tokio::test]
async fn run_starts_over_after_a_conflict(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let other = bucket.clone();
    let has_run = Arc::new(AtomicBool::new(false));
    let hook = move |operation: Operation| {
        let other = other.clone();
        let is_commit = operation.kind == OperationKind::Put && operation.key == keys::log_entry(1);
        let runs_now = is_commit && !has_run.swap(true, Ordering::SeqCst);
        async move {
            if runs_now {
                on_other_thread(move || async move {
                    let lake = plain(&other);
                    lake.put("6.csv", csv("Fay", "Between", 6)).await;
                    lake.run().await
                })
                .await;
            }
        }
        .boxed()
    };
    let store = Faulty::with_hook(Arc::new(bucket.clone()), |_| FaultAction::Pass, hook);
    let report = TestLake::with_faults(store, &bucket).run().await;
    assert_eq!(
        (report.version, report.committed),
        (Some(1), Some(false)),
        "the other run committed all changes"
    );
    let rows = plain(&bucket).rows().await;
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert!(plain(&bucket).output().await.contains("6,Fay,Between"));
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_runs_commit_once(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let runs = (0..6).map(|_| {
        let bucket = bucket.clone();
        on_other_thread(move || async move { plain(&bucket).run_with(&options(RunMode::Incremental)).await })
    });
    let reports = futures_util::future::join_all(runs).await;
    let committed = reports.iter().filter(|report| report.committed == Some(true)).count();
    assert_eq!(committed, 1);
    assert!(reports.iter().all(|report| report.outcome == RunOutcome::Succeeded));
    assert!(plain(&bucket).run().await.committed == Some(false));
}

/// Run B has unlinked an image and is about to remove the copy when run A copies the image and links it. The later of the two restores the copy.
#[rstest]
#[tokio::test]
async fn image_linked_by_one_run_while_another_removes_the_copy_is_restored(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
) {
    for moment in ["before the commit", "after it"] {
        let bucket = edited(etags).await;
        plain(&bucket).run().await;
        plain(&bucket).remove("1.png").await;
        let between = move |bucket: MemoryBucket| async move {
            on_other_thread(move || async move {
                plain(&bucket).put("1.png", png("linked again")).await;
                let slow = if moment == "after it" {
                    plain(&bucket)
                } else {
                    // B removes the copy between the copy and the commit of A.
                    before_first(&bucket, OperationKind::Put, &keys::log_entry(3), |bucket| async move {
                        bucket.delete(&copy_key("1"), None).await.unwrap();
                    })
                };
                slow.run().await;
            })
            .await;
        };
        let removing = before_first(&bucket, OperationKind::Delete, &copy_key("1"), between);
        removing.run().await;
        let images = plain(&bucket).objects(COPIES).await;
        assert_eq!(images.get(&copy_key("1")), Some(&png("linked again").into()), "{moment}");
        assert!(
            plain(&bucket)
                .output()
                .await
                .contains("1,Ada,Changed,1,processed_data/images/1.png\n"),
            "{moment}"
        );
        assert!(plain(&bucket).run().await.committed == Some(false), "{moment}");
    }
}

#[rstest]
#[tokio::test]
async fn late_publisher_keeps_the_newer_output(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let late = before_first(&bucket, OperationKind::Put, keys::OUTPUT, |bucket| async move {
        on_other_thread(move || async move {
            plain(&bucket).put("8.csv", csv("Zoe", "Newer", 8)).await;
            plain(&bucket).run().await;
        })
        .await;
    });
    let report = late.run().await;
    assert_eq!(report.version, Some(1));
    assert!(plain(&bucket).output().await.contains("8,Zoe,Newer"), "version 2 is shown");
}

/// If the ETag is derived only from the bytes, a slow publisher cannot distinguish the file of its base from that of a newer version with the same
/// rows.
#[rstest]
#[tokio::test]
async fn output_is_of_the_newest_version_although_an_etag_recurs(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
) {
    let bucket = MemoryBucket::new().with_etags_of(etags);
    plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
    plain(&bucket).run().await;
    let before = plain(&bucket).output().await;
    plain(&bucket).put("1.csv", csv("Ada", "Wolf", 1)).await;
    let slow = before_first(&bucket, OperationKind::Put, keys::OUTPUT, |bucket| async move {
        on_other_thread(move || async move {
            plain(&bucket).put("1.csv", csv("Ada", "Fox", 1)).await;
            plain(&bucket).run().await;
            plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
            plain(&bucket).run().await;
        })
        .await;
    });
    assert_eq!(slow.run().await.version, Some(1));
    assert_eq!(plain(&bucket).output().await, before, "version 3 is shown");
    let published = bucket.head(keys::OUTPUT).await.unwrap().metadata;
    assert_eq!(published.get("datalake-version").map(String::as_str), Some("3"));
}
