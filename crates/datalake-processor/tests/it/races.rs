//! Runs that are not alone.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use datalake_core::{
    keys,
    report::{Counts, RunMode, RunOutcome},
    user::UserId,
};
use datalake_store::{
    bucket::Bucket,
    faults::{Fate, Faulty, Operation, OperationKind},
    memory::{EtagInput, MemoryBucket},
};
use datalake_table::{
    delta::{commit::CommitDetails, rows::Edit},
    table::Table,
};
use futures_util::FutureExt;
use rstest::rstest;

use crate::lake::{TestLake, before_first, csv, edited, elsewhere, now, options, plain, png, run_id};

/// Commits a version that lacks user `3` and knows nothing of the other changes.
async fn remove_three(bucket: MemoryBucket) {
    let table = Table::new(Arc::new(bucket));
    let base = table.latest().await.unwrap();
    let edits = vec![Edit::Remove(UserId::parse("3").unwrap())];
    let staged = table.stage(base.as_ref(), edits).await.unwrap();
    let details = CommitDetails {
        run_id: run_id(),
        mode: RunMode::Incremental,
        counts: Counts::default(),
        committed_at: now(),
    };
    table.commit(base.as_ref(), staged, &[], &details).await.unwrap();
}

#[tokio::test]
async fn the_loser_reads_no_source_twice() {
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
    let noted = Arc::clone(&reads);
    let note = move |operation: &Operation| {
        if operation.kind == OperationKind::Get && operation.key.starts_with(keys::SOURCES) {
            noted.lock().unwrap().push(operation.key.clone());
        }
        Fate::Pass
    };
    let beaten = before_first(&bucket, OperationKind::Put, &keys::log_entry(1), remove_three);
    let watched = TestLake::over(Arc::new(Faulty::new(beaten.lake.bucket, note)), Arc::default());
    let report = watched.run().await;

    assert_eq!(
        (report.version, report.committed),
        (Some(2), Some(true)),
        "the commit after the winner's"
    );
    let mut reads = reads.lock().unwrap().clone();
    reads.sort_unstable();
    let expected = ["1.csv", "2.csv", "2.png", "3.csv"].map(keys::source);
    assert_eq!(reads, expected, "what the winner removed is new, and all else is still at hand");
    assert_eq!(
        lake.rows().await,
        ["1,Ada,After,1,", "2,Ada,Before,1,processed_data/images/2.png", "3,Ada,Before,1,"]
    );
}

/// Another run commits between a run's load and its commit: the loser begins again, and reads nothing twice.
#[rstest]
#[tokio::test]
async fn a_lost_race_is_run_again(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let other = bucket.clone();
    let has_come_between = Arc::new(AtomicBool::new(false));
    let hook = move |operation: Operation| {
        let other = other.clone();
        let is_time = operation.kind == OperationKind::Put && operation.key == keys::log_entry(1);
        let comes_now = is_time && !has_come_between.swap(true, Ordering::SeqCst);
        async move {
            if comes_now {
                elsewhere(move || async move {
                    let lake = plain(&other);
                    lake.put("6.csv", csv("Fay", "Between", 6)).await;
                    lake.run().await
                })
                .await;
            }
        }
        .boxed()
    };
    let store = Faulty::with_hook(Arc::new(bucket.clone()), |_| Fate::Pass, hook);
    let report = TestLake::behind(store, &bucket).run().await;
    assert_eq!(
        (report.version, report.committed),
        (Some(1), Some(false)),
        "the other run did it all"
    );
    let rows = plain(&bucket).rows().await;
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert!(plain(&bucket).output().await.contains("6,Fay,Between"));
}

/// Runs at once end in one history, whoever wins.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let runs = (0..6).map(|_| {
        let bucket = bucket.clone();
        elsewhere(move || async move { plain(&bucket).run_with(&options(RunMode::Incremental)).await })
    });
    let reports = futures_util::future::join_all(runs).await;
    let committed = reports.iter().filter(|report| report.committed == Some(true)).count();
    assert_eq!(committed, 1);
    assert!(reports.iter().all(|report| report.outcome == RunOutcome::Succeeded));
    assert!(plain(&bucket).run().await.committed == Some(false));
}

/// Run B has unlinked a picture and is still removing its copy, when run A copies the picture anew and links it: whoever comes last sees
/// to it that there is a copy.
#[rstest]
#[tokio::test]
async fn a_picture_that_one_run_links_while_another_removes_it(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    for moment in ["before the commit", "after it"] {
        let bucket = edited(tags).await;
        plain(&bucket).run().await;
        plain(&bucket).remove("1.png").await;
        let between = move |bucket: MemoryBucket| async move {
            elsewhere(move || async move {
                plain(&bucket).put("1.png", png("back again")).await;
                let slow = if moment == "after it" {
                    plain(&bucket)
                } else {
                    // B's removal falls between A's copy and A's commit.
                    before_first(&bucket, OperationKind::Put, &keys::log_entry(3), |bucket| async move {
                        bucket.delete(&keys::image("1"), None).await.unwrap();
                    })
                };
                slow.run().await;
            })
            .await;
        };
        let removing = before_first(&bucket, OperationKind::Delete, &keys::image("1"), between);
        removing.run().await;
        let images = plain(&bucket).objects(keys::IMAGES).await;
        assert_eq!(images.get(&keys::image("1")), Some(&png("back again").into()), "{moment}");
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

/// A publisher that comes late leaves the newer file alone.
#[rstest]
#[tokio::test]
async fn output_never_goes_backwards(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let late = before_first(&bucket, OperationKind::Put, keys::OUTPUT, |bucket| async move {
        elsewhere(move || async move {
            plain(&bucket).put("8.csv", csv("Zoe", "Newer", 8)).await;
            plain(&bucket).run().await;
        })
        .await;
    });
    let report = late.run().await;
    assert_eq!(report.version, Some(1));
    assert!(plain(&bucket).output().await.contains("8,Zoe,Newer"), "version 2 is shown");
}

/// By tags of bytes alone a slow publisher cannot tell the file of its base from one of a newer version with the same rows.
#[rstest]
#[tokio::test]
async fn output_ends_at_the_newest_version_though_tags_come_back(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = MemoryBucket::new().with_etags_of(tags);
    plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
    plain(&bucket).run().await;
    let before = plain(&bucket).output().await;
    plain(&bucket).put("1.csv", csv("Ada", "Wolf", 1)).await;
    let slow = before_first(&bucket, OperationKind::Put, keys::OUTPUT, |bucket| async move {
        elsewhere(move || async move {
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
