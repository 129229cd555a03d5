//! What is removed, and what must stay. Seconds are counted by the store's clock, from the memory's first write. The runs' own clocks stand
//! still, years before that: nothing depends on them.

use datalake_core::keys;
use datalake_store::memory::{EPOCH, MemoryBucket};
use datalake_table::{vacuum::VacuumSummary, version::Version};
use jiff::Timestamp;

use crate::support::{details, ids, keys as keys_under, put, refusal, rows, table, write};

const DAY: i64 = 24 * 60 * 60;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(EPOCH.as_second() + second).unwrap()
}

/// Each commit replaces the one user, with refusals of its own, at the second given.
async fn commit_at(bucket: &MemoryBucket, held: Option<&Version>, value: u8, second: i64) -> Version {
    bucket.advance_to(at(second));
    let table = table(bucket);
    let staged = table.stage(held, vec![put("1", value)]).await.unwrap();
    table
        .commit(held, staged, &[refusal(&format!("src-data/{value}.csv"))], &details())
        .await
        .unwrap()
}

async fn filled(bucket: &MemoryBucket, seconds: &[i64]) -> Version {
    let mut held = None;
    for (value, second) in (0..).zip(seconds) {
        held = Some(commit_at(bucket, held.as_ref(), value, *second).await);
    }
    held.unwrap()
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
async fn young_files_stay() {
    let bucket = MemoryBucket::new();
    filled(&bucket, &[10, 20, 30]).await;
    write(&bucket, &keys::in_table("part-abandoned.parquet"), "x").await;
    assert_eq!(vacuum(&bucket, 40).await, VacuumSummary::default());
}

#[tokio::test]
async fn unnamed_and_replaced_files_are_removed_after_the_retention() {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, &[10, 20]).await;
    let abandoned = ["part-abandoned.parquet", "folder/part.parquet"];
    for path in abandoned {
        write(&bucket, &keys::in_table(path), "x").await;
    }
    write(&bucket, &keys::refusals("abandoned", 0), "x").await;
    for path in ["_changes/x.parquet", "notes.txt", "_delta_log/.tmp", "_ingest/last_vacuum.json"] {
        write(&bucket, &keys::in_table(path), "x").await;
    }
    assert_eq!(vacuum(&bucket, 6 * DAY).await, VacuumSummary::default());
    assert_eq!(
        ids(&table(&bucket), &table(&bucket).at(0).await.unwrap()).await,
        ["1"],
        "the version before is whole"
    );
    let removed = vacuum(&bucket, 8 * DAY).await;
    assert_eq!(
        (removed.segments_removed, removed.refusals_removed, removed.log_objects_removed),
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
async fn the_log_of_a_week_stays() {
    let bucket = MemoryBucket::new();
    filled(&bucket, &[1, 2, 3, 4, 5, 6, 7]).await;
    assert_eq!(entries(&bucket).await.len(), 7 + 2 + 1);
}

#[tokio::test]
async fn entries_past_the_retention_are_removed() {
    let bucket = MemoryBucket::new();
    let version = filled(&bucket, &[10, 20, 30, 40, 50]).await;
    let table = table(&bucket);
    let mut held = version;
    for value in 5..8 {
        held = commit_at(&bucket, Some(&held), value, 8 * DAY).await;
    }
    // The checkpoint of version 6 is young; that of version 3 is old by then.
    let before = vacuum(&bucket, 8 * DAY + 60).await;
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
    assert_eq!(table.latest().await.unwrap().unwrap().segments(), held.segments());
    assert_eq!(
        table.at(2).await.unwrap_err().to_string(),
        "there is no such version of the table, version=2"
    );
    let at_checkpoint = table.at(6).await.unwrap();
    assert_eq!(rows(&table, &at_checkpoint).await.len(), 1);

    // Files that were removed within the week stay, and so do the refusals of all versions that are in the log.
    assert_eq!((before.segments_removed, before.refusals_removed), (4, 3));
    assert_eq!(table.refusals(&at_checkpoint).await.unwrap(), [refusal("src-data/6.csv")]);
    assert_eq!(vacuum(&bucket, 16 * DAY).await.segments_removed, 3);
    assert_eq!(rows(&table, &held).await.len(), 1);
}

#[tokio::test]
async fn the_log_before_a_damaged_checkpoint_stays() {
    let bucket = MemoryBucket::new();
    let mut held = filled(&bucket, &[10, 20, 30, 40, 50]).await;
    for value in 5..8 {
        held = commit_at(&bucket, Some(&held), value, 8 * DAY).await;
    }
    write(&bucket, &keys::checkpoint(3), "no parquet").await;
    write(&bucket, &keys::checkpoint(6), "no parquet").await;
    assert_eq!(vacuum(&bucket, 8 * DAY + 60).await.log_objects_removed, 0);
    let loaded = table(&bucket).latest().await.unwrap().unwrap();
    assert_eq!((loaded.id(), loaded.segments()), (held.id(), held.segments()));
    assert_eq!(rows(&table(&bucket), &loaded).await.len(), 1);
}

#[tokio::test]
async fn a_held_version_notices_that_entries_are_gone() {
    let bucket = MemoryBucket::new();
    let held = filled(&bucket, &[10]).await;
    let table = table(&bucket);
    let mut newest = held.clone();
    for value in 1..7 {
        newest = commit_at(&bucket, Some(&newest), value, i64::from(value) * 3 * DAY).await;
    }
    vacuum(&bucket, 18 * DAY + 60).await;
    assert!(table.newer_than(&held).await.unwrap().is_none(), "entry 1 is gone");
    assert_eq!(table.reload_if_lost(&held).await.unwrap().unwrap().number(), 6);
}

#[tokio::test]
async fn a_vacuum_of_no_table_does_nothing() {
    assert_eq!(vacuum(&MemoryBucket::new(), 9 * DAY).await, VacuumSummary::default());
}
