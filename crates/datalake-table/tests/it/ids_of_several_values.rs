//! Tables whose rows have IDs of several values: the bounds of data files, checkpoints, and files of other engines.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{
    calendar::Day,
    dataset::{Dataset, Value},
    keys,
    row::Row,
    row_id::RowId,
};
use datalake_store::{
    bucket::{Bucket, PutMode},
    memory::MemoryBucket,
};
use datalake_table::{
    delta::{edit::Edit, version::Version},
    memory::snapshot::Snapshot,
    table::Table,
};

use crate::support::{details, keys as keys_under, read, row, table};

const DECLARATION: &str = "source.key = 'src-data/{plate}/{day}/{well}.csv'\n[columns]\nday = { type = 'date', format = '%Y%m%d' }\nsignal = \
                           'integer'\n[files.scan]\nkey = 'src-data/{plate}/{day}/{well}.png'\n";

fn wells() -> Arc<Dataset> {
    Arc::new(Dataset::parse(DECLARATION).unwrap())
}

fn well(plate: &str, day: i32, well: i64) -> Row {
    let date = Day::from_number(day).unwrap();
    let texts = [plate.to_owned(), date.date().strftime("%Y%m%d").to_string(), well.to_string()];
    Row {
        row_id: RowId::of(&texts.each_ref().map(String::as_str)).unwrap(),
        values: [Some(Value::Date(date)), Some(Value::Integer(well))].into(),
        ..row("1", 1)
    }
}

/// The rows of several plates, which have several data files each.
fn all() -> Vec<Row> {
    let plates = ["P1", "P1-b", "P1.c", "P10", "P2"];
    let rows = plates
        .iter()
        .flat_map(|plate| (0..6).map(|number| well(plate, 20_000 + number % 2, i64::from(number))));
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by(|left, right| left.row_id.cmp(&right.row_id));
    rows
}

async fn commit_wells(table: &Table, base: Option<&Version>, edits: Vec<Edit>) -> Version {
    let staged = table.stage(base, &wells(), edits).await.unwrap();
    table.commit(base, staged, &[], &details()).await.unwrap()
}

/// A table of the rows after seven commits, with two checkpoints.
async fn filled(bucket: &MemoryBucket) -> Version {
    let mut version: Option<Version> = None;
    for rows in all().chunks(5) {
        let edits = rows.iter().cloned().map(Edit::Put).collect();
        version = Some(commit_wells(&table(bucket), version.as_ref(), edits).await);
    }
    let removed = Edit::Remove(well("P2", 20_001, 5).row_id);
    commit_wells(&table(bucket), version.as_ref(), vec![removed]).await
}

fn remaining() -> Vec<Row> {
    let mut rows = all();
    rows.retain(|row| row.row_id != well("P2", 20_001, 5).row_id);
    rows
}

async fn check_rows(bucket: &MemoryBucket) {
    let table = table(bucket);
    let version = table.latest().await.unwrap().unwrap();
    let ids: Vec<RowId> = remaining().into_iter().map(|row| row.row_id).collect();
    let files = version.data_files();
    assert!(
        files.len() > 5 && files.windows(2).all(|pair| pair[0].max_id < pair[1].min_id),
        "{files:?}"
    );
    let rows: BTreeMap<RowId, Row> = table.rows_of(&version, &ids).await.unwrap();
    assert_eq!(rows.into_values().collect::<Vec<_>>(), remaining());
    let snapshot = Snapshot::load(&table, version, None).await.unwrap();
    let all = snapshot.select(&datalake_core::query::filter::Filter::default(), Day::FIRST);
    let found: Vec<_> = snapshot
        .rows(&all)
        .map(|row| (row.row_id.to_owned(), row.value(1), row.value(2), row.value(3)))
        .collect();
    let dataset = wells();
    let views = remaining();
    let expected: Vec<_> = views.iter().map(|row| row.view(&dataset)).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|row| (row.row_id.to_owned(), row.value(1), row.value(2), row.value(3)))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn rows_are_found_by_all_values_after_checkpoints() {
    let bucket = MemoryBucket::new();
    filled(&bucket).await;
    let checkpoints = keys_under(&bucket, keys::LOG).await;
    assert!(checkpoints.contains(&keys::checkpoint(6)), "{checkpoints:?}");
    check_rows(&bucket).await;
    for entry in 0..6 {
        bucket.delete(&keys::log_entry(entry), None).await.unwrap();
    }
    check_rows(&bucket).await;
}

#[tokio::test]
async fn bounds_of_other_engines_are_read_from_their_files() {
    let bucket = MemoryBucket::new();
    filled(&bucket).await;
    for checkpoint in [keys::checkpoint(3), keys::checkpoint(6), keys::LAST_CHECKPOINT.to_owned()] {
        bucket.delete(&checkpoint, None).await.unwrap();
    }
    let mut with_tags = 0;
    for number in 0..=6 {
        let key = keys::log_entry(number);
        let text = String::from_utf8(read(&bucket, &key).await.to_vec()).unwrap();
        let line = |line: &str| {
            let mut action: serde_json::Value = serde_json::from_str(line).unwrap();
            // The digest of the entry before is that of the entry with tags.
            if let Some(info) = action.pointer_mut("/commitInfo/datalake") {
                info.as_object_mut().unwrap().remove("base");
            }
            if let Some(add) = action.get_mut("add") {
                with_tags += usize::from(add.as_object_mut().unwrap().remove("tags").is_some());
            }
            format!("{action}\n")
        };
        let without_tags: String = text.lines().map(line).collect();
        bucket
            .put(&key, without_tags.into(), PutMode::Replace, &BTreeMap::new())
            .await
            .unwrap();
    }
    assert!(with_tags > 6, "{with_tags}");
    check_rows(&bucket).await;
}
