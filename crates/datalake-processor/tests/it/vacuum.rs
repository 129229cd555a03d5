//! The daily clean-up: copies of pictures against the table, both ways.

use datalake_core::{keys, report::RunMode};
use datalake_processor::options::RunOptions;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    faults::{Fate, Faulty, OperationKind},
    memory::{EtagInput, MemoryBucket},
};
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;

use crate::lake::{TestLake, before_first, csv, now, options, plain, png};

fn two_days_later() -> Timestamp {
    now() + SignedDuration::from_hours(48)
}

async fn clean_up(lake: &TestLake) {
    lake.advance_to(two_days_later());
    let later = RunOptions {
        clock: two_days_later,
        ..options(RunMode::Incremental)
    };
    assert!(lake.run_with(&later).await.committed == Some(false));
}

async fn lake(tags: EtagInput) -> TestLake {
    let lake = TestLake::with_etags_of(tags);
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
async fn copies_are_mended_both_ways(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let lake = lake(tags).await;
    let whole = lake.objects(keys::IMAGES).await;
    lake.bucket().delete(&keys::image("1"), None).await.unwrap();
    write(&lake, &keys::image("2"), b"something else".to_vec()).await;
    write(&lake, &keys::image("4"), png("nobody links it")).await;
    write(&lake, &keys::image("a-user-who-never-was"), png("nor this one")).await;
    write(&lake, "processed_data/images/notes.txt", b"not ours".to_vec()).await;
    clean_up(&lake).await;

    let mut mended = lake.objects(keys::IMAGES).await;
    assert!(
        mended.remove("processed_data/images/notes.txt").is_some(),
        "what is named like no copy is left alone"
    );
    assert_eq!(mended, whole);
}

#[rstest]
#[tokio::test]
async fn a_young_copy_that_nobody_links_may_belong_to_a_run_under_way(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput,
) {
    let lake = lake(tags).await;
    write(&lake, &keys::image("4"), png("not linked yet")).await;
    lake.run().await;
    assert!(lake.objects(keys::IMAGES).await.contains_key(&keys::image("4")));
}

/// A copy of the same size is told by the tag of its source, which it carries.
#[rstest]
#[tokio::test]
async fn a_copy_of_another_picture_of_the_same_size_is_replaced(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let lake = lake(tags).await;
    let foreign = Metadata::from([("source-etag".to_owned(), "another".to_owned())]);
    lake.bucket()
        .put(&keys::image("1"), png("x").into(), PutMode::Replace, &foreign)
        .await
        .unwrap();
    clean_up(&lake).await;
    assert_eq!(lake.objects(keys::IMAGES).await[&keys::image("1")], png("1"));
}

/// The source has changed meanwhile: the copy cannot be made again, and the next run sees the change anyway.
#[rstest]
#[tokio::test]
async fn an_image_replaced_while_its_copy_is_restored_is_read_again_in_the_same_run(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput,
) {
    let bucket = MemoryBucket::new().with_etags_of(tags);
    let lake = plain(&bucket);
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("1")).await;
    lake.run().await;
    bucket.delete(&keys::image("1"), None).await.unwrap();
    let edited = before_first(&bucket, OperationKind::Copy, &keys::image("1"), |bucket| async move {
        plain(&bucket).put("1.png", png("new")).await;
    });
    edited.advance_to(two_days_later());
    assert_eq!(edited.run().await.committed, Some(true));
    assert_eq!(lake.objects(keys::IMAGES).await[&keys::image("1")], png("new"));
}

#[rstest]
#[tokio::test]
async fn what_a_dead_run_left_is_removed(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let lake = lake(tags).await;
    let proof = keys::create_proof("1");
    write(&lake, &proof, b"{}".to_vec()).await;
    write(&lake, "processed_data/users/part-left.parquet", b"never committed".to_vec()).await;
    let whole = lake.objects(keys::TABLE).await;
    lake.advance_to(now() + SignedDuration::from_hours(8 * 24));
    clean_up(&lake).await;
    let left = lake.objects(keys::TABLE).await;
    assert_eq!(whole.len() - left.len(), 2, "{:?}", left.keys());
    assert!(!left.contains_key(&proof) && !left.contains_key("processed_data/users/part-left.parquet"));
}

/// Ages are told by the store: a machine whose clock is a year ahead removes nothing that is young, however often it cleans up.
#[rstest]
#[tokio::test]
async fn a_clock_that_is_a_year_ahead_removes_nothing_young(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    fn a_year_later() -> Timestamp {
        now() + SignedDuration::from_hours(365 * 24)
    }
    let lake = lake(tags).await;
    lake.put("1.csv", csv("Ada", "changed", 1)).await;
    write(&lake, &keys::image("4"), png("not linked yet")).await;
    write(&lake, "processed_data/users/part-under-way.parquet", b"not committed yet".to_vec()).await;
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
        "a segment of each version, and the one under way"
    );
}

/// A clean-up that failed half way is done again, and not only a day later.
#[rstest]
#[tokio::test]
async fn a_clean_up_that_failed_is_done_again(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = MemoryBucket::new().with_etags_of(tags);
    let lake = plain(&bucket);
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.run().await;
    write(&lake, &keys::image("4"), png("nobody links it")).await;
    let faulty = Faulty::new(std::sync::Arc::new(bucket.clone()), |operation| match operation.kind {
        OperationKind::Delete => Fate::FailBefore,
        _ => Fate::Pass,
    });
    clean_up(&TestLake::behind(faulty, &bucket)).await;
    assert!(lake.objects(keys::IMAGES).await.contains_key(&keys::image("4")));
    clean_up(&lake).await;
    assert!(lake.objects(keys::IMAGES).await.is_empty());
}

/// Unreadable notes name no users, and are removed with the others.
#[rstest]
#[tokio::test]
async fn old_notes_are_removed(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let lake = lake(tags).await;
    let note = keys::image_intent(&crate::lake::run_id(), "1");
    write(&lake, &note, b"[\"1\",\"no id\",\"4\"]".to_vec()).await;
    let broken = keys::image_intent(&crate::lake::run_id(), "2");
    write(&lake, &broken, b"cut sho".to_vec()).await;
    lake.run().await;
    assert_eq!(lake.objects(keys::IMAGE_INTENTS).await.len(), 2, "their runs may be under way");
    clean_up(&lake).await;
    assert!(lake.objects(keys::IMAGE_INTENTS).await.is_empty());
}

#[tokio::test]
async fn old_reports_are_removed() {
    let lake = lake(EtagInput::default()).await;
    let report = |number: usize| format!("{}old-{number}.json", keys::RUNS);
    write(&lake, &report(0), b"{}".to_vec()).await;
    write(&lake, &format!("{}notes.txt", keys::RUNS), b"not ours".to_vec()).await;
    lake.advance_to(now() + SignedDuration::from_hours(91 * 24));
    for number in 1..=10_001 {
        write(&lake, &report(number), b"{}".to_vec()).await;
    }
    clean_up(&lake).await;
    let left = lake.objects(keys::RUNS).await;
    assert!(!left.contains_key(&report(0)), "older than 90 days");
    assert!(!left.contains_key(&report(1)), "10,000 are newer");
    assert!(left.contains_key(&report(2)) && left.contains_key(&format!("{}notes.txt", keys::RUNS)));
    assert_eq!(left.len(), 10_000 + 2, "and the clean-up's own");
}
