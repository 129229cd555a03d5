//! Tables that another engine has written to.

use datalake_core::keys;
use datalake_store::{bucket::Bucket, memory::MemoryBucket};
use datalake_table::{delta::version::Version, error::TableError};
use futures_util::TryStreamExt;
use serde_json::{Value, json};

use crate::support::{commit, details, excluded, ids, put, read, remove, row, rows, table, users, write};

async fn append(bucket: &MemoryBucket, number: u64, actions: &[Value]) {
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    write(bucket, &keys::log_entry(number), lines.join("\n")).await;
}

/// Writes a data file with rows of `users` under `path`, and returns its action as another engine writes it.
async fn foreign_file(bucket: &MemoryBucket, path: &str, users: &[&str], stats: bool) -> Value {
    let elsewhere = MemoryBucket::new();
    let table = datalake_table::table::Table::new(std::sync::Arc::new(elsewhere.clone()));
    let version = commit(&table, None, users.iter().map(|user| put(user, 7)).collect()).await;
    let file = &version.data_files()[0];
    write(bucket, &keys::table_file(path), read(&elsewhere, &file.key()).await).await;
    let mut add =
        json!({"path": path.replace(' ', "%20"), "partitionValues": {}, "size": file.size, "modificationTime": 0, "dataChange": false});
    if stats {
        // Spark truncates long strings, so the bounds are wider than the rows.
        let bounds = |user_id: &str| json!({"user_id": user_id, "birthts": 0, "extra": {"nested": 1}});
        let stats =
            json!({"numRecords": users.len(), "minValues": bounds(&file.min_id), "maxValues": bounds(&format!("{}~", file.max_id))});
        add["stats"] = stats.to_string().into();
    }
    json!({ "add": add })
}

fn removal(version: &Version) -> Vec<Value> {
    let remove = |path: &str| json!({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": false}});
    version.data_files().iter().map(|file| remove(&file.path)).collect()
}

#[tokio::test]
async fn compaction_by_another_engine_is_read() {
    for stats in [false, true] {
        let bucket = MemoryBucket::new();
        let table = table(&bucket);
        let staged = table
            .stage(None, &users(), ["1", "2", "3", "4", "5"].map(|id| put(id, 7)).to_vec())
            .await
            .unwrap();
        let base = table.commit(None, staged, &[excluded("src-data/9.csv")], &details()).await.unwrap();
        let mut entry = removal(&base);
        entry.push(foreign_file(&bucket, "compacted 1/part-0.parquet", &["1", "2", "3", "4", "5"], stats).await);
        append(&bucket, 1, &entry).await;

        let compacted = table.newer_than(&base).await.unwrap().unwrap();
        assert_eq!(rows(&table, &compacted).await, rows(&table, &base).await);
        assert_eq!((compacted.data_files().len(), compacted.data_files()[0].rows), (1, 5));
        assert_eq!((compacted.run_id(), compacted.counts()), (None, None));
        assert_eq!(table.rejects(&compacted).await.unwrap().len(), 1, "the rejects are preserved");
        assert_eq!(table.latest().await.unwrap().unwrap().data_files(), compacted.data_files());

        let next = commit(&table, Some(&compacted), vec![put("6", 1)]).await;
        assert_eq!(ids(&table, &next).await, ["1", "2", "3", "4", "5", "6"]);
        assert!(next.data_files().is_sorted_by(|a, b| a.max_id < b.min_id));
    }
}

#[tokio::test]
async fn overlapping_data_files_are_read_in_order_and_rewritten() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let base = commit(&table, None, vec![put("1", 1), put("5", 1)]).await;
    let other = foreign_file(&bucket, "other.parquet", &["3", "7"], true).await;
    append(&bucket, 1, &[other, json!({"txn": {"appId": "stream", "version": 3}})]).await;
    let mixed = table.newer_than(&base).await.unwrap().unwrap();
    assert_eq!(ids(&table, &mixed).await, ["1", "3", "5", "7"]);
    let shown: Vec<_> = table.all_rows(&mixed).try_collect().await.unwrap();
    let shown: Vec<_> = shown
        .iter()
        .flat_map(datalake_table::memory::packed_rows::PackedRows::iter)
        .map(|row| row.row_id.to_owned())
        .collect();
    assert_eq!(shown, ["1", "3", "5", "7"], "readers see merged rows");
    // A run that changes another user's row rewrites them as well.
    let elsewhere = table.stage(Some(&mixed), &users(), vec![remove("9")]).await.unwrap();
    assert!(!elsewhere.is_empty());
    let apart = commit(&table, Some(&mixed), vec![put("4", 4)]).await;
    assert_eq!(ids(&table, &apart).await, ["1", "3", "4", "5", "7"]);
    assert!(apart.data_files().is_sorted_by(|a, b| a.max_id < b.min_id));
    // The checkpoint of version 3 keeps the progress of the other engine's stream.
    commit(&table, Some(&apart), vec![put("8", 8)]).await;
    let loaded = table.latest().await.unwrap().unwrap();
    assert!(format!("{loaded:?}").contains("app_id: \"stream\""));
}

#[tokio::test]
async fn two_rows_of_a_user_are_corrupt() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let base = commit(&table, None, vec![put("1", 1), put("5", 1)]).await;
    let other = foreign_file(&bucket, "other.parquet", &["5"], true).await;
    append(&bucket, 1, &[other]).await;
    let mixed = table.newer_than(&base).await.unwrap().unwrap();
    let known = table.recorded_sources(&mixed).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(
        matches!(&known, TableError::Corrupt { reason, .. } if reason.contains("a value twice")),
        "{known}"
    );
    let found = table
        .rows_of(&mixed, &[datalake_core::row_id::RowId::parse("5").unwrap()])
        .await
        .unwrap_err();
    assert!(
        matches!(&found, TableError::Corrupt { reason, .. } if reason.contains("column user_id")),
        "{found}"
    );
    assert!(table.stage(Some(&mixed), &users(), vec![put("5", 2)]).await.is_err());
}

#[track_caller]
fn assert_message(error: &TableError, expected: &str) {
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn unsupported_features_are_rejected() {
    let metadata = |change: Value| json!({ "metaData": change });
    let base = json!({"id": "x", "format": {"provider": "parquet"}, "partitionColumns": ["city"], "schemaString": "{}"});
    for (action, expected) in [
        (
            json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"]}}),
            "deletionVectors",
        ),
        (
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking"]}}),
            "rowTracking",
        ),
        (metadata(base), "partition columns"),
    ] {
        let bucket = MemoryBucket::new();
        let table = table(&bucket);
        let current = commit(&table, None, vec![put("1", 1)]).await;
        append(&bucket, 1, &[action]).await;
        assert_message(&table.newer_than(&current).await.unwrap_err(), expected);
        assert_message(&table.latest().await.unwrap_err(), expected);
        assert!(table.at(0).await.is_ok(), "earlier versions stay readable");
    }
}

#[tokio::test]
async fn errors_name_the_damaged_object() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let version = commit(&table, None, vec![put("1", 1)]).await;
    write(&bucket, &version.data_files()[0].key(), "no parquet").await;
    let error = table.recorded_sources(&version).try_collect::<Vec<_>>().await.unwrap_err();
    assert_message(&error, &version.data_files()[0].key());
    append(&bucket, 1, &[json!({"add": {"path": 1}})]).await;
    assert_message(&table.latest().await.unwrap_err(), "line 1");
    write(&bucket, &keys::log_entry(1), [0xff, 0xfe].as_slice()).await;
    assert_message(&table.latest().await.unwrap_err(), "not UTF-8");
    bucket.delete(&keys::log_entry(0), None).await.unwrap();
    assert_message(&table.latest().await.unwrap_err(), "the entry is missing");
}

/// A table of this product after delta-rs has compacted it and written a checkpoint, without entries: see
/// `tests/fixtures/delta-rs/README.md`.
#[tokio::test]
async fn checkpoint_of_another_engine_is_read() {
    let bucket = MemoryBucket::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/delta-rs");
    let fixture = |file: &str| std::fs::read(root.join(file)).unwrap();
    write(&bucket, &keys::checkpoint(45), fixture("checkpoint.parquet")).await;
    write(&bucket, keys::LAST_CHECKPOINT, fixture("last_checkpoint.json")).await;
    let table = table(&bucket);
    let version = table.latest().await.unwrap().unwrap();
    assert_eq!((version.number(), version.run_id(), version.data_files().len()), (45, None, 1));
    assert!(
        format!("{version:?}").contains("datalake.rejects"),
        "the path of the rejects file is preserved"
    );

    write(&bucket, &version.data_files()[0].key(), fixture("compacted.parquet")).await;
    let found = rows(&table, &version).await;
    assert_eq!(found.len(), 237);
    let user = datalake_core::row_id::RowId::parse("308").unwrap();
    assert_eq!(found[&user], row("308", 44));
    // The rejects file is not part of the fixture, so there are no rejects from here on.
    let next = commit(&table, Some(&version), vec![put("a", 1)]).await;
    assert_eq!(rows(&table, &next).await.len(), 238);
}

/// Like `ALTER TABLE … ADD COLUMNS` of Spark.
#[tokio::test]
async fn columns_of_another_engine_are_preserved() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let base = commit(&table, None, vec![put("1", 1), put("2", 1)]).await;
    let entry = read(&bucket, &keys::log_entry(0)).await;
    let actions = entry
        .split(|byte| *byte == b'\n')
        .map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let mut metadata = actions.into_iter().find_map(|action| action.get("metaData").cloned()).unwrap();
    let mut schema: Value = serde_json::from_str(metadata["schemaString"].as_str().unwrap()).unwrap();
    let city = json!({"name": "city", "type": "string", "nullable": true, "metadata": {"comment": "of residence"}});
    schema["fields"].as_array_mut().unwrap().push(city);
    metadata["schemaString"] = schema.to_string().into();
    append(&bucket, 1, &[json!({"metaData": metadata})]).await;

    let altered = table.newer_than(&base).await.unwrap().unwrap();
    let next = commit(&table, Some(&altered), vec![put("2", 2), put("3", 3)]).await;
    assert_eq!(ids(&table, &next).await, ["1", "2", "3"]);
    // A change of the rejects also changes the metadata.
    let staged = table.stage(Some(&next), &users(), Vec::new()).await.unwrap();
    let last = table
        .commit(Some(&next), staged, &[excluded("src-data/9.csv")], &details())
        .await
        .unwrap();
    let written = read(&bucket, &keys::log_entry(last.number())).await;
    assert!(
        String::from_utf8_lossy(&written).contains("of residence"),
        "the column is still declared"
    );
    assert_eq!(ids(&table, &table.latest().await.unwrap().unwrap()).await, ["1", "2", "3"]);
}
