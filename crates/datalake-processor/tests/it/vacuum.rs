//! The daily vacuum: image copies, staged objects, intents and reports.

use datalake_core::{keys, run::RunMode};
use datalake_processor::options::RunOptions;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    faults::{FaultAction, Faulty, OperationKind},
    memory::{EtagInput, MemoryBucket},
};
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;

use crate::lake::{COPIES, TestLake, before_first, copy_key, csv, now, options, plain, png};

fn two_days_later() -> Timestamp {
    now() + SignedDuration::from_hours(48)
}

async fn vacuum_two_days_later(lake: &TestLake) {
    lake.advance_to(two_days_later());
    let later = RunOptions {
        clock: two_days_later,
        ..options(RunMode::Incremental)
    };
    assert!(lake.run_with(&later).await.committed == Some(false));
}

async fn lake(etags: EtagInput) -> TestLake {
    let lake = TestLake::with_etags_of(etags);
    for id in ["1", "2", "3"] {
        lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
        lake.put(&format!("{id}.png"), png(id)).await;
    }
    lake.put("4.csv", csv("Ada", "4", 1)).await;
    lake.run().await;
    lake
}

async fn write(lake: &TestLake, key: &str, bytes: Vec<u8>) {
    lake.bucket()
        .put(key, bytes.into(), PutMode::Replace, &Metadata::new())
        .await
        .unwrap();
}

#[rstest]
#[tokio::test]
async fn vacuum_restores_and_removes_copies(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let lake = lake(etags).await;
    let whole = lake.objects(COPIES).await;
    lake.bucket().delete(&copy_key("1"), None).await.unwrap();
    write(&lake, &copy_key("2"), b"something else".to_vec()).await;
    write(&lake, &copy_key("4"), png("unlinked")).await;
    write(&lake, &copy_key("a-user-who-never-was"), png("no user")).await;
    write(&lake, "processed_data/images/notes.txt", b"not ours".to_vec()).await;
    vacuum_two_days_later(&lake).await;

    let mut restored = lake.objects(COPIES).await;
    assert!(
        restored.remove("processed_data/images/notes.txt").is_some(),
        "an object without the name of a copy is kept"
    );
    assert_eq!(restored, whole);
}

#[rstest]
#[tokio::test]
async fn recent_unlinked_copy_is_kept(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let lake = lake(etags).await;
    write(&lake, &copy_key("4"), png("not linked yet")).await;
    lake.run().await;
    assert!(lake.objects(COPIES).await.contains_key(&copy_key("4")));
}

/// The ETag of the source, in the metadata of the copy, distinguishes images of the same size.
#[rstest]
#[tokio::test]
async fn copy_of_another_image_of_the_same_size_is_replaced(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let lake = lake(etags).await;
    let foreign = Metadata::from([("source-etag".to_owned(), "another".to_owned())]);
    lake.bucket()
        .put(&copy_key("1"), png("x").into(), PutMode::Replace, &foreign)
        .await
        .unwrap();
    vacuum_two_days_later(&lake).await;
    assert_eq!(lake.objects(COPIES).await[&copy_key("1")], png("1"));
}

#[rstest]
#[tokio::test]
async fn image_replaced_while_its_copy_is_restored_is_read_in_the_same_run(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
) {
    let bucket = MemoryBucket::new().with_etags_of(etags);
    let lake = plain(&bucket);
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("1")).await;
    lake.run().await;
    bucket.delete(&copy_key("1"), None).await.unwrap();
    let edited = before_first(&bucket, OperationKind::Copy, &copy_key("1"), |bucket| async move {
        plain(&bucket).put("1.png", png("new")).await;
    });
    edited.advance_to(two_days_later());
    assert_eq!(edited.run().await.committed, Some(true));
    assert_eq!(lake.objects(COPIES).await[&copy_key("1")], png("new"));
}

#[rstest]
#[tokio::test]
async fn staged_objects_of_dead_runs_are_removed(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let lake = lake(etags).await;
    let proof = keys::create_proof("1");
    write(&lake, &proof, b"{}".to_vec()).await;
    write(&lake, "processed_data/users/part-left.parquet", b"never committed".to_vec()).await;
    let whole = lake.objects(keys::TABLE).await;
    lake.advance_to(now() + SignedDuration::from_hours(8 * 24));
    vacuum_two_days_later(&lake).await;
    let kept = lake.objects(keys::TABLE).await;
    assert_eq!(whole.len() - kept.len(), 2, "{:?}", kept.keys());
    assert!(!kept.contains_key(&proof) && !kept.contains_key("processed_data/users/part-left.parquet"));
}

/// Ages are those of the store's clock, so a machine whose clock is a year ahead removes only old objects.
#[rstest]
#[tokio::test]
async fn wrong_clock_does_not_remove_recent_objects(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    fn a_year_later() -> Timestamp {
        now() + SignedDuration::from_hours(365 * 24)
    }
    let lake = lake(etags).await;
    lake.put("1.csv", csv("Ada", "changed", 1)).await;
    write(&lake, &copy_key("4"), png("not linked yet")).await;
    write(&lake, "processed_data/users/part-staged.parquet", b"not committed yet".to_vec()).await;
    let before = lake.objects("processed_data/").await;
    for id in 0..25 {
        lake.put("2.csv", csv("Ada", "changed", id)).await;
        let ahead = RunOptions {
            clock: a_year_later,
            ..options(RunMode::Incremental)
        };
        assert!(lake.run_with(&ahead).await.committed == Some(true));
    }
    let after = lake.objects("processed_data/").await;
    let removed: Vec<_> = before.keys().filter(|key| !after.contains_key(*key)).collect();
    assert!(removed.is_empty(), "{removed:?}");
    assert_eq!(
        after.keys().filter(|key| key.contains("/part-")).count(),
        2 + 25,
        "a data file of each version, and the staged one"
    );
}

#[rstest]
#[tokio::test]
async fn failed_vacuum_is_repeated_by_the_next_run(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = MemoryBucket::new().with_etags_of(etags);
    let lake = plain(&bucket);
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.run().await;
    write(&lake, &copy_key("4"), png("unlinked")).await;
    let faulty = Faulty::new(std::sync::Arc::new(bucket.clone()), |operation| match operation.kind {
        OperationKind::Delete => FaultAction::FailBefore,
        _ => FaultAction::Pass,
    });
    vacuum_two_days_later(&TestLake::with_faults(faulty, &bucket)).await;
    assert!(lake.objects(COPIES).await.contains_key(&copy_key("4")));
    vacuum_two_days_later(&lake).await;
    assert!(lake.objects(COPIES).await.is_empty());
}

/// Intents that cannot be parsed are removed as well.
#[rstest]
#[tokio::test]
async fn expired_intents_are_removed(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let lake = lake(etags).await;
    let intents = keys::image_intent(&crate::lake::run_id(), "1");
    write(&lake, &intents, b"[\"1\",\"no id\",\"4\"]".to_vec()).await;
    let broken = keys::image_intent(&crate::lake::run_id(), "2");
    write(&lake, &broken, b"cut sho".to_vec()).await;
    lake.run().await;
    assert_eq!(lake.objects(keys::IMAGE_INTENTS).await.len(), 2, "their runs may be active");
    vacuum_two_days_later(&lake).await;
    assert!(lake.objects(keys::IMAGE_INTENTS).await.is_empty());
}

#[tokio::test]
async fn old_reports_are_removed() {
    let lake = lake(EtagInput::default()).await;
    let report = |number: usize| format!("{}old-{number}.json", keys::RUNS);
    write(&lake, &report(0), b"{}".to_vec()).await;
    write(&lake, &format!("{}notes.txt", keys::RUNS), b"not ours".to_vec()).await;
    write(&lake, &format!("{}dead.progress", keys::RUNS), b"{}".to_vec()).await;
    lake.advance_to(now() + SignedDuration::from_hours(91 * 24));
    for number in 1..=10_001 {
        write(&lake, &report(number), b"{}".to_vec()).await;
    }
    vacuum_two_days_later(&lake).await;
    let kept = lake.objects(keys::RUNS).await;
    assert!(!kept.contains_key(&report(0)), "older than 90 days");
    assert!(!kept.contains_key("processed_data/runs/dead.progress"), "its run is dead");
    assert!(!kept.contains_key(&report(1)), "10,000 are newer");
    assert!(kept.contains_key(&report(2)) && kept.contains_key(&format!("{}notes.txt", keys::RUNS)));
    assert_eq!(kept.len(), 10_000 + 2, "including that of the vacuuming run");
}
