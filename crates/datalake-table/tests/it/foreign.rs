//! Tables that another engine has written to.

use datalake_core::keys;
use datalake_store::{bucket::Bucket, memory::MemoryBucket};
use datalake_table::{delta::version::Version, error::TableError};
use futures_util::TryStreamExt;
use serde_json::{Value, json};

use crate::support::{commit, details, ids, put, read, refusal, remove, row, rows, table, write};

async fn append(bucket: &MemoryBucket, number: u64, actions: &[Value]) {
    let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
    write(bucket, &keys::log_entry(number), lines.join("\n")).await;
}

/// A data file under `path` with rows of `users`, as the log of another table names it.
async fn foreign_file(bucket: &MemoryBucket, path: &str, users: &[&str], stats: bool) -> Value {
    let elsewhere = MemoryBucket::new();
    let table = datalake_table::table::Table::new(std::sync::Arc::new(elsewhere.clone()));
    let version = commit(&table, None, users.iter().map(|user| put(user, 7)).collect()).await;
    let file = &version.segments()[0];
    write(bucket, &keys::table_file(path), read(&elsewhere, &file.key()).await).await;
    let mut add =
        json!({"path": path.replace(' ', "%20"), "partitionValues": {}, "size": file.size, "modificationTime": 0, "dataChange": false});
    if stats {
        // Spark cuts long texts, so that the bounds are wider than the rows.
        let bounds = |user_id: &str| json!({"user_id": user_id, "birthts": 0, "extra": {"nested": 1}});
        let stats = json!({"numRecords": users.len(), "minValues": bounds(&file.min_user_id), "maxValues": bounds(&format!("{}~", file.max_user_id))});
        add["stats"] = stats.to_string().into();
    }
    json!({ "add": add })
}

fn removal(version: &Version) -> Vec<Value> {
    let remove = |path: &str| json!({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": false}});
    version.segments().iter().map(|segment| remove(&segment.path)).collect()
}

#[tokio::test]
async fn another_engines_compaction_is_read_as_it_is() {
    for stats in [false, true] {
        let bucket = MemoryBucket::new();
        let table = table(&bucket);
        let staged = table
            .stage(None, ["1", "2", "3", "4", "5"].map(|id| put(id, 7)).to_vec())
            .await
            .unwrap();
        let base = table.commit(None, staged, &[refusal("src-data/9.csv")], &details()).await.unwrap();
        let mut entry = removal(&base);
        entry.push(foreign_file(&bucket, "compacted 1/part-0.parquet", &["1", "2", "3", "4", "5"], stats).await);
        append(&bucket, 1, &entry).await;

        let compacted = table.newer_than(&base).await.unwrap().unwrap();
        assert_eq!(rows(&table, &compacted).await, rows(&table, &base).await);
        assert_eq!((compacted.segments().len(), compacted.segments()[0].rows), (1, 5));
        assert_eq!((compacted.run_id(), compacted.counts()), (None, None));
        assert_eq!(table.refusals(&compacted).await.unwrap().len(), 1, "refusals are carried over");
        assert_eq!(table.latest().await.unwrap().unwrap().segments(), compacted.segments());

        let next = commit(&table, Some(&compacted), vec![put("6", 1)]).await;
        assert_eq!(ids(&table, &next).await, ["1", "2", "3", "4", "5", "6"]);
        assert!(next.segments().is_sorted_by(|a, b| a.max_user_id < b.min_user_id));
    }
}

#[tokio::test]
async fn overlapping_segments_are_read_in_order_and_taken_apart() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let base = commit(&table, None, vec![put("1", 1), put("5", 1)]).await;
    let other = foreign_file(&bucket, "other.parquet", &["3", "7"], true).await;
    append(&bucket, 1, &[other, json!({"txn": {"appId": "stream", "version": 3}})]).await;
    let mixed = table.newer_than(&base).await.unwrap().unwrap();
    assert_eq!(ids(&table, &mixed).await, ["1", "3", "5", "7"]);
    let shown: Vec<_> = table.shown(&mixed).try_collect().await.unwrap();
    let shown: Vec<_> = shown
        .iter()
        .flat_map(datalake_table::memory::columns::SegmentRows::iter)
        .map(|row| row.user_id.to_owned())
        .collect();
    assert_eq!(shown, ["1", "3", "5", "7"], "a reader sees them as one");
    // A run that changes another user's row takes them apart, too.
    let elsewhere = table.stage(Some(&mixed), vec![remove("9")]).await.unwrap();
    assert!(!elsewhere.is_empty());
    let apart = commit(&table, Some(&mixed), vec![put("4", 4)]).await;
    assert_eq!(ids(&table, &apart).await, ["1", "3", "4", "5", "7"]);
    assert!(apart.segments().is_sorted_by(|a, b| a.max_user_id < b.min_user_id));
    // Version 3 writes a checkpoint, which keeps the other engine's stream.
    commit(&table, Some(&apart), vec![put("8", 8)]).await;
    let loaded = table.latest().await.unwrap().unwrap();
    assert!(format!("{loaded:?}").contains("app_id: \"stream\""));
}

#[tokio::test]
async fn two_rows_of_a_user_are_damage() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let base = commit(&table, None, vec![put("1", 1), put("5", 1)]).await;
    let other = foreign_file(&bucket, "other.parquet", &["5"], true).await;
    append(&bucket, 1, &[other]).await;
    let mixed = table.newer_than(&base).await.unwrap().unwrap();
    let known = table.known(&mixed).await.try_collect::<Vec<_>>().await.unwrap_err();
    assert!(
        matches!(&known, TableError::Corrupt { reason, .. } if reason.contains("two rows")),
        "{known}"
    );
    let found = table
        .rows_of(&mixed, &[datalake_core::user::UserId::parse("5").unwrap()])
        .await
        .unwrap_err();
    assert!(
        matches!(&found, TableError::Corrupt { reason, .. } if reason.contains("column=user_id")),
        "{found}"
    );
    assert!(table.stage(Some(&mixed), vec![put("5", 2)]).await.is_err());
}

#[track_caller]
fn assert_refused(error: &TableError, expected: &str) {
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn what_is_not_known_is_refused() {
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
        let held = commit(&table, None, vec![put("1", 1)]).await;
        append(&bucket, 1, &[action]).await;
        assert_refused(&table.newer_than(&held).await.unwrap_err(), expected);
        assert_refused(&table.latest().await.unwrap_err(), expected);
        assert!(table.at(0).await.is_ok(), "the versions before stay readable");
    }
}

#[tokio::test]
async fn damage_names_its_place() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let version = commit(&table, None, vec![put("1", 1)]).await;
    write(&bucket, &version.segments()[0].key(), "no parquet").await;
    let error = table.known(&version).await.try_collect::<Vec<_>>().await.unwrap_err();
    assert_refused(&error, &version.segments()[0].key());
    append(&bucket, 1, &[json!({"add": {"path": 1}})]).await;
    assert_refused(&table.latest().await.unwrap_err(), "line=1");
    write(&bucket, &keys::log_entry(1), [0xff, 0xfe].as_slice()).await;
    assert_refused(&table.latest().await.unwrap_err(), "not UTF-8");
    bucket.delete(&keys::log_entry(0), None).await.unwrap();
    assert_refused(&table.latest().await.unwrap_err(), "the entry is missing");
}

/// A table of ours that delta-rs compacted and wrote a checkpoint of; no entry is left: `tests/fixtures/delta-rs/README.md`.
#[tokio::test]
async fn another_engines_checkpoint_is_read() {
    let bucket = MemoryBucket::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/delta-rs");
    let fixture = |file: &str| std::fs::read(root.join(file)).unwrap();
    write(&bucket, &keys::checkpoint(45), fixture("checkpoint.parquet")).await;
    write(&bucket, keys::LAST_CHECKPOINT, fixture("last_checkpoint.json")).await;
    let table = table(&bucket);
    let version = table.latest().await.unwrap().unwrap();
    assert_eq!((version.number(), version.run_id(), version.segments().len()), (45, None, 1));
    assert!(
        format!("{version:?}").contains("datalake.refusals"),
        "the key of the refusals is carried over"
    );

    write(&bucket, &version.segments()[0].key(), fixture("compacted.parquet")).await;
    let found = rows(&table, &version).await;
    assert_eq!(found.len(), 237);
    let user = datalake_core::user::UserId::parse("308").unwrap();
    assert_eq!(found[&user], row("308", 44));
    // The file of refusals is not part of the fixture: none are open from here on.
    let next = commit(&table, Some(&version), vec![put("a", 1)]).await;
    assert_eq!(rows(&table, &next).await.len(), 238);
}

/// As `ALTER TABLE … ADD COLUMNS` of Spark.
#[tokio::test]
async fn columns_of_another_engine_are_kept() {
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
    // A change of the rejects changes the metadata too.
    let staged = table.stage(Some(&next), Vec::new()).await.unwrap();
    let last = table
        .commit(Some(&next), staged, &[refusal("src-data/9.csv")], &details())
        .await
        .unwrap();
    let written = read(&bucket, &keys::log_entry(last.number())).await;
    assert!(
        String::from_utf8_lossy(&written).contains("of residence"),
        "the column is still declared"
    );
    assert_eq!(ids(&table, &table.latest().await.unwrap().unwrap()).await, ["1", "2", "3"]);
}
