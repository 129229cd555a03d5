//! Snapshots: their rows and statistics, and the reuse of parts by later versions.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{
    calendar::{Day, age_on},
    dataset::{Dataset, Value as Years},
    query::{
        Query, Scope,
        filter::{FileFilter, Filter, YearsBound},
    },
    row::{Row, RowView},
    row_id::RowId,
};
use datalake_store::{memory::MemoryBucket, request_counter::RequestCounter};
use datalake_table::{
    delta::edit::Edit,
    error::TableError,
    memory::{
        row_cursor::{PreviousPage, RowCursor, last_of_first, previous_page},
        snapshot::Snapshot,
    },
    table::Table,
};
use jiff::civil::date;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{commit, details, excluded, id, ignored, put, read, remove, row, table, users, write};

fn on() -> Day {
    Day::from_date(date(2026, 11, 24)).unwrap()
}

fn ids(snapshot: &Snapshot, filter: &Filter) -> Vec<String> {
    let selection = snapshot.select(filter, on());
    snapshot.rows(&selection).map(|row| row.row_id.to_owned()).collect()
}

fn assert_shows(snapshot: &Snapshot, model: &BTreeMap<RowId, Row>) {
    fn view(row: &Row) -> RowView<'_> {
        row.view(Dataset::users())
    }
    let all = snapshot.select(&Filter::default(), on());
    let rows: Vec<_> = snapshot.rows(&all).collect();
    assert_eq!(rows, model.values().map(view).collect::<Vec<_>>());
    assert_eq!((snapshot.len(), snapshot.is_empty()), (model.len(), model.is_empty()));
    for (user_id, row) in model {
        assert_eq!(snapshot.row(user_id.as_str()), Some(view(row)));
    }
    assert_eq!((snapshot.row(""), snapshot.row("~")), (None, None));
}

#[tokio::test]
async fn only_new_data_files_are_read() {
    let counter = Arc::new(RequestCounter::default());
    let bucket = MemoryBucket::with_counter(Arc::clone(&counter));
    let table = table(&bucket);
    let first_name = |snapshot: &Snapshot| snapshot.row("10").unwrap().value(1).unwrap().to_string();
    let edits: Vec<_> = (10..26).map(|user| put(&user.to_string(), 1)).collect();
    let first = commit(&table, None, edits).await;
    assert!(first.data_files().len() > 3, "{} data files", first.data_files().len());
    let before = counter.snapshot().get;
    let current = Snapshot::load(&table, first.clone(), None).await.unwrap();
    assert_eq!(counter.snapshot().get - before, u64::try_from(first.data_files().len()).unwrap());

    let second = commit(&table, Some(&first), vec![put("10", 2)]).await;
    let before = counter.snapshot().get;
    let next = Snapshot::load(&table, second, Some(&current)).await.unwrap();
    assert_eq!(counter.snapshot().get - before, 1);
    assert_eq!(first_name(&next), "Zoë 2");
    // The older snapshot is unchanged.
    assert_eq!(first_name(&current), "Zoë 1");
}

#[tokio::test]
async fn rejects_are_part_of_a_snapshot() {
    let table = table(&MemoryBucket::new());
    let rejects = [excluded("src-data/1.csv"), ignored("src-data/notes.txt")];
    let staged = table.stage(None, &users(), vec![put("1", 1)]).await.unwrap();
    let version = table.commit(None, staged, &rejects, &details()).await.unwrap();
    let snapshot = Snapshot::load(&table, version, None).await.unwrap();
    assert_eq!(snapshot.rejects(), rejects);
}

#[tokio::test]
async fn rows_continue_from_the_remaining_span() {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, (10..30).map(|user| put(&user.to_string(), user)).collect()).await;
    let snapshot = Snapshot::load(&table, version, None).await.unwrap();
    let selection = snapshot.select(
        &Filter {
            file: Some(FileFilter::With),
            ..Filter::default()
        },
        on(),
    );
    let whole: Vec<_> = snapshot.rows(&selection).collect();
    let (mut rest, mut pieces) = (snapshot.span(&selection), Vec::new());
    loop {
        let mut rows = snapshot.rows_from(&selection, rest);
        let piece: Vec<_> = rows.by_ref().take(3).collect();
        rest = rows.remaining();
        if piece.is_empty() {
            break;
        }
        pieces.extend(piece);
    }
    assert_eq!(pieces, whole);
}

#[tokio::test]
async fn pages_start_after_the_rows_before_them() {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, (10..30).map(|user| put(&user.to_string(), user)).collect()).await;
    let snapshot = Arc::new(Snapshot::load(&table, version, None).await.unwrap());
    for pairs in [
        &[][..],
        &[("user_id__gt", "13"), ("user_id__lte", "25")],
        &[("order", "birthts.desc")],
        &[("q", "2")],
        &[("is_image_exists", "True"), ("order", "first_name,user_id.desc")],
    ] {
        let query = Query::parse(Dataset::users(), pairs.iter().copied(), Scope::Rows, &[]).unwrap();
        let selection = snapshot.select(&query.filter, on());
        let total = snapshot.count(&selection);
        let mut cursor = RowCursor::all(Arc::clone(&snapshot), selection.clone(), &query.order, None, total);
        let mut ids = Vec::new();
        while let Some(row) = cursor.next_row() {
            ids.push(row.row_id.to_owned());
        }
        assert!(ids.len() > 5, "{pairs:?}: {ids:?}");
        let found: Vec<_> = (0..=ids.len() + 1)
            .map(|count| last_of_first(&snapshot, &selection, &query.order, count))
            .collect();
        let expected = [None].into_iter().chain(ids.iter().cloned().map(Some)).chain([None]);
        assert_eq!(found, expected.collect::<Vec<_>>(), "{pairs:?}");
        for (limit, last) in (1..8).flat_map(|limit| (0..ids.len()).map(move |last| (limit, last))) {
            let found = previous_page(&snapshot, &selection, &query.order, &ids[last], limit);
            let expected = match last.checked_sub(limit) {
                Some(before) => PreviousPage::After(ids[before].clone()),
                None => PreviousPage::First,
            };
            assert_eq!(found, expected, "{pairs:?}, {limit} rows before {}", ids[last]);
        }
    }
}

#[tokio::test]
async fn neighbors_are_the_users_before_and_after_an_id() {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, (10..30).map(|user| put(&user.to_string(), 1)).collect()).await;
    let snapshot = Snapshot::load(&table, version, None).await.unwrap();
    for (user_id, expected) in [
        ("10", [None, Some("11")]),
        ("15", [Some("14"), Some("16")]),
        ("15x", [Some("15"), Some("16")]),
        ("29", [Some("28"), None]),
        ("", [None, Some("10")]),
        ("~", [Some("29"), None]),
    ] {
        let found = snapshot.neighbors(user_id).map(|row| row.map(|row| row.row_id));
        assert_eq!(found, expected, "{user_id}");
    }
}

#[tokio::test]
async fn ranges_of_user_ids_are_counted_without_reading_rows() {
    let table = table(&MemoryBucket::new());
    let version = commit(&table, None, (10..30).map(|user| put(&user.to_string(), 1)).collect()).await;
    let snapshot = Snapshot::load(&table, version, None).await.unwrap();
    let all: Vec<_> = (10..30).map(|user| user.to_string()).collect();
    let values = ["", "10", "13", "13x", "14", "22", "29", "~"];
    let bounds = [
        "user_id",
        "user_id__gt",
        "user_id__gte",
        "user_id__lt",
        "user_id__lte",
        "user_id__not",
    ]
    .into_iter()
    .flat_map(|name| values.map(|value| (name, value)))
    .collect::<Vec<_>>();
    for first in &bounds {
        for second in bounds.iter().filter(|second| first.0 != second.0 || first.0.contains("__")) {
            let question = Query::parse(Dataset::users(), [*first, *second], Scope::Rows, &[]).unwrap();
            let selection = snapshot.select(&question.filter, on());
            let holds = |id: &&String| [first, second].into_iter().all(|(name, value)| meets(id, name, value));
            let expected: Vec<_> = all.iter().filter(holds).collect();
            let rows: Vec<_> = snapshot.rows(&selection).map(|row| row.row_id).collect();
            assert_eq!(rows, expected, "{first:?}, {second:?}");
            assert_eq!(
                usize::try_from(snapshot.count(&selection)).unwrap(),
                rows.len(),
                "{first:?}, {second:?}"
            );
        }
    }
}

fn meets(id: &str, name: &str, value: &str) -> bool {
    match name {
        "user_id" => id == value,
        "user_id__gt" => id > value,
        "user_id__gte" => id >= value,
        "user_id__lt" => id < value,
        "user_id__lte" => id <= value,
        "user_id__not" => id != value,
        other => panic!("no such condition: {other}"),
    }
}

/// Adds a data file with rows of `users`, from another table, under `path` to the log.
async fn append_file(bucket: &MemoryBucket, number: u64, path: &str, users: &[&str]) {
    let elsewhere = MemoryBucket::new();
    let version = commit(
        &Table::new(Arc::new(elsewhere.clone())),
        None,
        users.iter().map(|user| put(user, 7)).collect(),
    )
    .await;
    let file = &version.data_files()[0];
    write(bucket, &datalake_core::keys::table_file(path), read(&elsewhere, &file.key()).await).await;
    let add: Value = json!({"add": {"path": path, "partitionValues": {}, "size": file.size, "modificationTime": 0, "dataChange": false}});
    write(bucket, &datalake_core::keys::log_entry(number), add.to_string()).await;
}

#[tokio::test]
async fn data_files_that_overlap_are_shown_as_one() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let base = commit(&table, None, vec![put("1", 1), put("5", 3)]).await;
    let current = Snapshot::load(&table, base.clone(), None).await.unwrap();
    append_file(&bucket, 1, "other.parquet", &["3", "7"]).await;
    let mixed = table.newer_than(&base).await.unwrap().unwrap();
    for previous in [None, Some(&current)] {
        let snapshot = Snapshot::load(&table, mixed.clone(), previous).await.unwrap();
        assert_eq!(ids(&snapshot, &Filter::default()), ["1", "3", "5", "7"]);
        assert!(["1", "3", "5", "7"].iter().all(|user| snapshot.row(user).is_some()));
    }
}

#[tokio::test]
async fn two_rows_of_a_user_are_corrupt() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let base = commit(&table, None, vec![put("1", 1), put("5", 3)]).await;
    append_file(&bucket, 1, "other.parquet", &["3", "5"]).await;
    let mixed = table.newer_than(&base).await.unwrap().unwrap();
    let error = Snapshot::load(&table, mixed, None).await.unwrap_err();
    assert!(
        matches!(&error, TableError::Corrupt { reason, .. } if reason.contains("column user_id")),
        "{error}"
    );
}

/// Changes and removals of some users.
fn changes() -> impl Strategy<Value = BTreeMap<u8, Option<u8>>> {
    prop::collection::btree_map(0..40_u8, prop::option::weighted(0.7, any::<u8>()), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A snapshot that reuses the previous one has the rows of the edits, and its extremes and statistics are those of the rows.
    #[test]
    fn snapshots_agree_with_a_model_of_the_edits(history in prop::collection::vec(changes(), 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let table = table(&MemoryBucket::new());
            let (mut base, mut current, mut model) = (None, None::<Snapshot>, BTreeMap::new());
            for changes in history {
                let mut edits = Vec::new();
                for (user, change) in changes {
                    let user = format!("{user:02}");
                    if let Some(value) = change {
                        model.insert(id(&user), row(&user, value));
                        edits.push(put(&user, value));
                    } else {
                        model.remove(&id(&user));
                        edits.push(remove(&user));
                    }
                }
                edits.sort_by(|a: &Edit, b| a.row_id().cmp(b.row_id()));
                let version = commit(&table, base.as_ref(), edits).await;
                let snapshot = Snapshot::load(&table, version.clone(), current.as_ref()).await.unwrap();
                assert_shows(&snapshot, &model);
                for image in [None, Some(FileFilter::With), Some(FileFilter::Without)] {
                    assert_extremes(&snapshot, &model, image);
                }
                (base, current) = (Some(version), Some(snapshot));
            }
        });
    }
}

fn assert_extremes(snapshot: &Snapshot, model: &BTreeMap<RowId, Row>, image: Option<FileFilter>) {
    let age = |row: &Row| age_on(row.values[2].as_ref()?.day()?, on()).map(datalake_core::calendar::Age::years);
    let left: Vec<&Row> = model
        .values()
        .filter(|row| image.is_none_or(|image| image.matches(row.file(0).is_some())))
        .collect();
    let youngest = left.iter().filter_map(|row| age(row)).min();
    let oldest = left.iter().filter_map(|row| age(row)).max();
    let aged = |years: Option<u16>| -> Vec<String> {
        let taken = left.iter().filter(|row| years.is_some() && age(row) == years);
        taken.map(|row| row.row_id.to_string()).collect()
    };
    let filter = Filter {
        file: image,
        ..Filter::default()
    };
    let extreme = Some(YearsBound::Extreme);
    assert_eq!(
        ids(
            snapshot,
            &Filter {
                years_min: extreme,
                ..filter.clone()
            }
        ),
        aged(youngest)
    );
    assert_eq!(
        ids(
            snapshot,
            &Filter {
                years_max: extreme,
                ..filter.clone()
            }
        ),
        aged(oldest)
    );
    let figures = snapshot.statistics(&snapshot.select(&filter, on()));
    assert_eq!(
        (figures.count, &figures.columns[0].least, &figures.columns[0].greatest),
        (
            u64::try_from(left.len()).unwrap(),
            &youngest.map(|years| Years::Integer(years.into())),
            &oldest.map(|years| Years::Integer(years.into()))
        )
    );
}
