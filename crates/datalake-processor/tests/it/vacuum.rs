//! The daily clean-up: copies of pictures against the table, both ways.

use datalake_core::{keys, report::RunMode};
use datalake_processor::run::RunOptions;
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    faults::OperationKind,
    memory::MemoryBucket,
};
use jiff::SignedDuration;

use crate::lake::{TestLake, before_first, csv, now, options, plain, png};

fn two_days_later() -> jiff::Timestamp {
    now() + SignedDuration::from_hours(48)
}

async fn clean_up(lake: &TestLake) {
    let later = RunOptions {
        clock: two_days_later,
        ..options(RunMode::Incremental)
    };
    assert!(!lake.run_with(&later).await.committed);
}

async fn lake() -> TestLake {
    let lake = TestLake::new();
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

#[tokio::test]
async fn copies_are_mended_both_ways() {
    let lake = lake().await;
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

#[tokio::test]
async fn a_young_copy_that_nobody_links_may_belong_to_a_run_under_way() {
    let lake = lake().await;
    write(&lake, &keys::image("4"), png("not linked yet")).await;
    lake.run().await;
    assert!(lake.objects(keys::IMAGES).await.contains_key(&keys::image("4")));
}

/// A copy of the same size is told by the tag of its source, which it carries.
#[tokio::test]
async fn a_copy_of_another_picture_of_the_same_size_is_replaced() {
    let lake = lake().await;
    let foreign = Metadata::from([("source-etag".to_owned(), "another".to_owned())]);
    lake.bucket()
        .put(&keys::image("1"), png("x").into(), PutMode::Replace, &foreign)
        .await
        .unwrap();
    clean_up(&lake).await;
    assert_eq!(lake.objects(keys::IMAGES).await[&keys::image("1")], png("1"));
}

/// The source has changed meanwhile: the copy cannot be made again, and the next run sees the change anyway.
#[tokio::test]
async fn a_copy_whose_source_is_another_now_waits_for_the_next_run() {
    let bucket = MemoryBucket::new();
    let lake = plain(&bucket);
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("1")).await;
    lake.run().await;
    bucket.delete(&keys::image("1"), None).await.unwrap();
    let edited = before_first(&bucket, OperationKind::Copy, &keys::image("1"), |bucket| async move {
        plain(&bucket).put("1.png", png("new")).await;
    });
    clean_up(&edited).await;
    assert!(lake.objects(keys::IMAGES).await.is_empty());
    assert!(lake.run().await.committed);
    assert_eq!(lake.objects(keys::IMAGES).await[&keys::image("1")], png("new"));
}

#[tokio::test]
async fn what_a_dead_run_left_is_removed() {
    let lake = lake().await;
    let proof = keys::create_proof(&crate::lake::run_id());
    write(&lake, &proof, b"{}".to_vec()).await;
    write(&lake, "processed_data/users/part-left.parquet", b"never committed".to_vec()).await;
    let whole = lake.objects(keys::TABLE).await;
    clean_up(&lake).await;
    let left = lake.objects(keys::TABLE).await;
    assert_eq!(whole.len() - left.len(), 2, "{:?}", left.keys());
    assert!(!left.contains_key(&proof) && !left.contains_key("processed_data/users/part-left.parquet"));
}
