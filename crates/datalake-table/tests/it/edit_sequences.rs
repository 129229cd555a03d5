//! Sequences of edits: each version has the rows of its edits.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{row::Row, row_id::RowId};
use datalake_store::{bucket::Bucket, memory::MemoryBucket};
use datalake_table::{settings::TableSettings, table::Table};
use proptest::prelude::*;

use crate::support::{commit, details, edit_model, excluded, id, ids, ignored, keys, put, read, remove, row, rows, table, users, write};

#[tokio::test]
async fn lake_without_a_table_has_no_version() {
    let table = table(&MemoryBucket::new());
    assert!(table.latest().await.unwrap().is_none());
    assert_eq!(
        table.at(0).await.unwrap_err().to_string(),
        "version 0 of the table does not exist, or its log entries have been removed"
    );
}

#[tokio::test]
async fn row_is_read_as_it_was_put() {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, vec![put("0001", 1), put("1", 3)]).await;
    let expected = BTreeMap::from([(id("0001"), row("0001", 1)), (id("1"), row("1", 3))]);
    assert_eq!(rows(&table, &version).await, expected);
    assert_eq!(
        table
            .rows_of(&version, &[id("0000"), id("1"), id("2")])
            .await
            .unwrap()
            .into_keys()
            .collect::<Vec<_>>(),
        [id("1")]
    );
    assert_eq!(version.number(), 0);
    assert_eq!(version.run_id().unwrap().as_str(), "run-9");
    assert_eq!(version.counts().unwrap().listed, 7);
    assert_eq!(version.committed_at(), details().committed_at);
}

#[tokio::test]
async fn equal_rows_give_equal_data_files() {
    let (first, second) = (MemoryBucket::new(), MemoryBucket::new());
    for bucket in [&first, &second] {
        commit(&table(bucket), None, vec![put("1", 1), put("2", 2)]).await;
    }
    let file = async |bucket: &MemoryBucket| {
        let keys = keys(bucket, "processed_data/users/part-").await;
        read(bucket, &keys[0]).await
    };
    assert_eq!(file(&first).await, file(&second).await);
}

#[tokio::test]
async fn only_edited_data_files_are_rewritten() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let edits = ["1", "2", "3", "4", "5", "6", "7", "8"].map(|id| put(id, 1));
    let first = commit(&table, None, edits.to_vec()).await;
    assert_eq!(first.data_files().len(), 2);
    let second = commit(&table, Some(&first), vec![put("6", 2)]).await;
    assert_eq!(first.data_files()[0], second.data_files()[0]);
    assert_ne!(first.data_files()[1], second.data_files()[1]);
    // A data file of four rows gets a fifth, and is split.
    let third = commit(&table, Some(&second), vec![put("25", 2)]).await;
    assert_eq!(third.data_files().iter().map(|file| file.rows).collect::<Vec<_>>(), [3, 2, 4]);
    // Small consecutive data files are merged if one of them is rewritten.
    let fourth = commit(&table, Some(&third), vec![remove("1"), remove("2"), remove("3")]).await;
    assert_eq!(
        fourth.data_files().iter().map(|file| file.rows).collect::<Vec<_>>(),
        [1, 1, 4],
        "the number of rows before the removals decides"
    );
    let fifth = commit(&table, Some(&fourth), vec![remove("25")]).await;
    assert_eq!(ids(&table, &fifth).await, ["4", "5", "6", "7", "8"]);
}

#[tokio::test]
async fn edits_without_effect_stage_nothing() {
    let table = table(&MemoryBucket::new());
    assert!(table.stage(None, &users(), vec![]).await.unwrap().is_empty());
    assert!(table.stage(None, &users(), vec![remove("1")]).await.unwrap().is_empty());
    let version = commit(&table, None, vec![put("1", 1), put("3", 3)]).await;
    assert!(
        table
            .stage(Some(&version), &users(), vec![remove("0"), remove("2"), remove("4")])
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn table_can_be_empty() {
    let table = table(&MemoryBucket::new());
    let empty = commit(&table, None, vec![]).await;
    assert_eq!((empty.number(), empty.row_count()), (0, 0));
    let one = commit(&table, Some(&empty), vec![put("1", 1)]).await;
    let none = commit(&table, Some(&one), vec![remove("1")]).await;
    assert_eq!((none.row_count(), none.data_files().len()), (0, 0));
    assert_eq!(table.latest().await.unwrap().unwrap().row_count(), 0);
}

#[tokio::test]
async fn rejects_belong_to_a_version() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let open = [excluded("src-data/1.csv"), ignored("src-data/x.txt")];
    let mut version = None;
    let mut files = Vec::new();
    for rejects in [&open[..], &open, &open[1..], &[]] {
        let staged = table.stage(version.as_ref(), &users(), vec![]).await.unwrap();
        let next = table.commit(version.as_ref(), staged, rejects, &details()).await.unwrap();
        assert_eq!(table.rejects(&next).await.unwrap(), rejects);
        assert_eq!(table.rejects(&table.latest().await.unwrap().unwrap()).await.unwrap(), rejects);
        files.push(keys(&bucket, "processed_data/users/_ingest/").await.len());
        version = Some(next);
    }
    assert_eq!(files, [1, 1, 2, 2], "unchanged rejects are not written again");
    let first = table.at(0).await.unwrap();
    assert_eq!(table.rejects(&first).await.unwrap(), open, "an older version keeps its rejects");
}

#[tokio::test]
async fn newer_than_applies_new_entries_to_the_current_version() {
    let bucket = MemoryBucket::new();
    let (table, reader) = (table(&bucket), table(&bucket));
    let first = commit(&table, None, vec![put("1", 1)]).await;
    assert!(reader.newer_than(&first).await.unwrap().is_none());
    let second = commit(&table, Some(&first), vec![put("2", 1)]).await;
    let third = commit(&table, Some(&second), vec![put("3", 1)]).await;
    let newest = reader.newer_than(&first).await.unwrap().unwrap();
    assert_eq!((newest.number(), newest.data_files()), (2, third.data_files()));
    assert!(reader.reload_if_lost(&first).await.unwrap().is_none(), "its entry still exists");
}

#[tokio::test]
async fn table_that_was_created_again_is_detected() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let first = commit(&table, None, vec![put("1", 1)]).await;
    let current = commit(&table, Some(&first), vec![put("2", 1)]).await;
    for key in keys(&bucket, "processed_data/").await {
        bucket.delete(&key, None).await.unwrap();
    }
    assert!(table.reload_if_lost(&current).await.unwrap().is_none(), "there is no table");
    let rebuilt = commit(&table, None, vec![put("3", 1)]).await;
    assert!(table.newer_than(&current).await.unwrap().is_none());
    let found = table.reload_if_lost(&current).await.unwrap().unwrap();
    assert_eq!((found.number(), found.table_id()), (0, rebuilt.table_id()));
    // Also if the new table has reached the same version number.
    let rebuilt = commit(&table, Some(&rebuilt), vec![put("4", 1)]).await;
    assert_eq!(
        table.reload_if_lost(&current).await.unwrap().unwrap().data_files(),
        rebuilt.data_files()
    );
    // Also if it has passed the number: the next entry does not follow the current version.
    let rebuilt = commit(&table, Some(&rebuilt), vec![put("5", 1)]).await;
    let newest = table.newer_than(&current).await.unwrap().unwrap();
    assert_eq!((newest.number(), newest.data_files()), (2, rebuilt.data_files()));
    assert_eq!(ids(&table, &newest).await, ["3", "4", "5"]);
}

#[tokio::test]
async fn newer_than_takes_one_request_without_a_newer_version() {
    let bucket = MemoryBucket::new();
    let version = commit(&table(&bucket), None, vec![put("1", 1)]).await;
    let requests = Arc::new(datalake_store::request_counter::RequestCounter::default());
    let counted = MemoryBucket::with_counter(Arc::clone(&requests));
    assert!(table(&counted).newer_than(&version).await.unwrap().is_none());
    let requests = requests.snapshot();
    assert_eq!((requests.get, requests.list, requests.head), (1, 0, 0));
}

/// The changes of one commit, by the number of the user.
fn edits() -> impl Strategy<Value = BTreeMap<u8, Option<u8>>> {
    proptest::collection::btree_map(0..40_u8, proptest::option::weighted(0.7, 0..30_u8), 0..12)
}

fn settings() -> impl Strategy<Value = TableSettings> {
    (1..9_usize, 1..5_u64).prop_map(|(data_file_rows_max, commits_per_checkpoint)| TableSettings {
        data_file_rows_max,
        commits_per_checkpoint,
    })
}

/// A copy of the lake without checkpoints, from which the same versions must be loaded.
async fn without_checkpoints(bucket: &MemoryBucket) -> MemoryBucket {
    let copy = MemoryBucket::new();
    for key in keys(bucket, "").await {
        if !key.contains("checkpoint") {
            write(&copy, &key, read(bucket, &key).await).await;
        }
    }
    copy
}

async fn check_sequence(settings: TableSettings, commits: &[BTreeMap<u8, Option<u8>>]) {
    let bucket = MemoryBucket::new();
    let table = Table::with_settings(Arc::<MemoryBucket>::new(bucket.clone()), settings);
    let mut model: BTreeMap<RowId, Row> = BTreeMap::new();
    let mut models = Vec::new();
    let mut current = None;
    for changes in commits {
        // User IDs are not sorted like numbers.
        let changes: BTreeMap<RowId, Option<Row>> = changes
            .iter()
            .map(|(user, value)| (id(&user.to_string()), value.map(|value| row(&user.to_string(), value))))
            .collect();
        let edits = edit_model(&mut model, changes);
        let version = commit(&table, current.as_ref(), edits).await;
        assert_eq!(rows(&table, &version).await, model);
        assert!(
            version
                .data_files()
                .iter()
                .all(|file| file.rows > 0 && file.rows <= u64::try_from(settings.data_file_rows_max).unwrap())
        );
        assert!(
            version.data_files().is_sorted_by(|a, b| a.max_id < b.min_id),
            "data files of this product never overlap"
        );
        let loaded = table.latest().await.unwrap().unwrap();
        assert_eq!(
            (loaded.number(), loaded.data_files(), loaded.committed_at()),
            (version.number(), version.data_files(), version.committed_at())
        );
        models.push(model.clone());
        current = Some(version);
    }
    let whole = Table::with_settings(Arc::new(without_checkpoints(&bucket).await), settings);
    for (number, model) in (0..).zip(&models) {
        let (short, long) = (table.at(number).await.unwrap(), whole.at(number).await.unwrap());
        assert_eq!(short.data_files(), long.data_files());
        assert_eq!(&rows(&table, &short).await, model);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn versions_agree_with_a_model_of_the_edits(settings in settings(), commits in proptest::collection::vec(edits(), 1..9)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check_sequence(settings, &commits));
    }
}
