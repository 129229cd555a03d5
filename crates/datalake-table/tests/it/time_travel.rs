//! Earlier versions: which are retained, their differences, and the history of a row.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{
    keys,
    row::{Row, RowView},
    row_id::RowId,
    run::RunId,
};
use datalake_store::{
    bucket::Bucket,
    memory::{EPOCH, MemoryBucket},
};
use datalake_table::{
    delta::{
        commit::CommitDetails,
        edit::Edit,
        history::{Reach, RowHistory},
        version::{Author, Version},
    },
    error::TableError,
    memory::{difference::Difference, snapshot::Snapshot},
    table::Table,
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{details_at, id, keys as keys_under, read, row, rows, table, users, write};

/// Commits changes of a separate run for each version, whose ID is in the rows.
async fn commit_at(table: &Table, current: Option<&Version>, changes: &[(&str, Option<u8>)], second: i64) -> Version {
    let run_id = run(current.map_or(0, |current| current.number() + 1));
    let edits = changes.iter().map(|(user, value)| match value {
        Some(value) => Edit::Put(Row {
            run_id: run_id.clone(),
            ..row(user, *value)
        }),
        None => Edit::Remove(id(user)),
    });
    let staged = table.stage(current, &users(), edits.collect()).await.unwrap();
    let details = CommitDetails {
        run_id,
        ..details_at(EPOCH.as_second() + second)
    };
    table.commit(current, staged, &[], &details).await.unwrap()
}

fn run(number: u64) -> RunId {
    RunId::parse(&format!("run-{number}")).unwrap()
}

/// Commits versions, an hour apart.
async fn filled(bucket: &MemoryBucket, versions: &[&[(&str, Option<u8>)]]) -> Version {
    let table = table(bucket);
    let mut current = None;
    for (number, changes) in (0..).zip(versions) {
        bucket.advance_to(Timestamp::from_second(EPOCH.as_second() + number * 3_600).unwrap());
        current = Some(commit_at(&table, current.as_ref(), changes, number * 3_600).await);
    }
    current.unwrap()
}

/// Commits like another engine, which rewrites all files and keeps the run IDs in the rows.
async fn foreign(bucket: &MemoryBucket, current: &Version, edit: impl Fn(&mut Row)) -> Version {
    let table = table(bucket);
    let mut rows: Vec<Row> = rows(&table, current).await.into_values().collect();
    rows.iter_mut().for_each(&edit);
    let elsewhere = MemoryBucket::new();
    let other = Table::new(Arc::new(elsewhere.clone()));
    let staged = other
        .stage(None, &users(), rows.into_iter().map(Edit::Put).collect())
        .await
        .unwrap();
    let other = other.commit(None, staged, &[], &details_at(0)).await.unwrap();
    let number = current.number() + 1;
    let mut lines = vec![json!({"commitInfo": {"timestamp": (EPOCH.as_second() + 3_600) * 1_000, "operation": "UPDATE"}})];
    let remove = |path: &str| json!({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": true}});
    lines.extend(current.data_files().iter().map(|file| remove(&file.path)));
    for file in other.data_files() {
        write(bucket, &file.key(), read(&elsewhere, &file.key()).await).await;
        lines.push(
            json!({"add": {"path": &*file.path, "partitionValues": {}, "size": file.size, "modificationTime": 0, "dataChange": true}}),
        );
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    write(bucket, &keys::log_entry(number), lines.join("\n")).await;
    table.newer_than(current).await.unwrap().unwrap()
}

async fn retained(table: &Table) -> Option<(u64, u64)> {
    table.retained().await.unwrap().map(std::ops::RangeInclusive::into_inner)
}

#[tokio::test]
async fn facts_are_read_from_the_entries() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    assert_eq!(retained(&table).await, None);
    let ours = filled(&bucket, &[&[("1", Some(1))], &[("1", Some(2))]]).await;
    let theirs = foreign(&bucket, &ours, |_| {}).await;
    assert_eq!(retained(&table).await, Some((0, 2)));
    let facts: Vec<_> = table.facts(vec![2, 1, 0]).try_collect().await.unwrap();
    assert_eq!(facts.iter().map(|facts| facts.number).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!([facts[0].clone(), facts[1].clone()], [theirs.facts(), ours.facts()]);
    assert_eq!(
        facts.iter().map(|facts| facts.author).collect::<Vec<_>>(),
        [Author::OtherEngine, Author::Run, Author::Run]
    );
    let operations: Vec<_> = facts.iter().map(|facts| facts.operation.as_deref().unwrap()).collect();
    assert_eq!(operations, ["UPDATE", "MERGE", "CREATE TABLE AS SELECT"]);
    assert_eq!(
        facts.iter().map(|facts| facts.run_id.clone()).collect::<Vec<_>>(),
        [None, Some(run(1)), Some(run(0))]
    );
    assert_eq!(facts[1].counts, ours.counts().cloned());
    let missing = table.facts(vec![1, 3]).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(missing, TableError::NoSuchVersion { version: 3 }), "{missing}");
}

/// Commits twelve versions, and removes the log before the checkpoint of version 6.
async fn cleaned(bucket: &MemoryBucket) -> Version {
    let table = table(bucket);
    let mut current = None;
    for number in 0..12_u8 {
        let user = if number.is_multiple_of(2) { "1" } else { "2" };
        current = Some(commit_at(&table, current.as_ref(), &[(user, Some(number))], i64::from(number)).await);
    }
    for key in keys_under(bucket, keys::LOG).await {
        if *key < *keys::checkpoint(6) {
            bucket.delete(&key, None).await.unwrap();
        }
    }
    current.unwrap()
}

#[tokio::test]
async fn retained_versions_begin_at_a_checkpoint() {
    let bucket = MemoryBucket::new();
    let newest = cleaned(&bucket).await;
    let table = table(&bucket);
    assert_eq!(newest.number(), 11);
    assert_eq!(retained(&table).await, Some((6, 11)));
    for number in 6..=11 {
        let version = table.at(number).await.unwrap();
        let values = rows(&table, &version).await.into_values().map(|row| row.run_id);
        let (even, odd) = (number - number % 2, (number - 1) | 1);
        assert_eq!(values.collect::<Vec<_>>(), [run(even), run(odd)], "version {number}");
    }
    // A version without its entry can be loaded from its checkpoint.
    bucket.delete(&keys::log_entry(6), None).await.unwrap();
    assert_eq!(retained(&table).await, Some((6, 11)));
    let facts: Vec<_> = table.facts(vec![6]).try_collect().await.unwrap();
    assert_eq!(
        (facts[0].author, &facts[0].run_id, &facts[0].operation),
        (Author::Unknown, &None, &None)
    );
    bucket.delete(&keys::checkpoint(6), None).await.unwrap();
    assert_eq!(retained(&table).await, Some((9, 11)));
}

#[tokio::test]
async fn still_has_is_false_for_a_table_that_was_created_again() {
    let bucket = MemoryBucket::new();
    let current = filled(&bucket, &[&[("1", Some(1))]]).await;
    let table = table(&bucket);
    assert!(table.still_has(&current).await.unwrap());
    for key in keys_under(&bucket, "").await {
        bucket.delete(&key, None).await.unwrap();
    }
    assert!(!table.still_has(&current).await.unwrap());
    let anew = filled(&bucket, &[&[("1", Some(1))]]).await;
    assert!(!table.still_has(&current).await.unwrap());
    assert!(table.still_has(&anew).await.unwrap());
}

/// The version and the run of each state, the newest first.
fn summary(history: &RowHistory) -> Vec<(u64, Option<String>)> {
    let state = |state: &datalake_table::delta::history::RowState| {
        let run = state.row.as_ref().map(|row| row.run_id.to_string());
        (state.version.number, run)
    };
    history.states.iter().map(state).collect()
}

#[track_caller]
fn check(history: &RowHistory, expected: &[(u64, Option<&str>)], oldest: u64, reach: Reach) {
    let expected: Vec<_> = expected.iter().map(|(number, run)| (*number, run.map(str::to_owned))).collect();
    assert_eq!((summary(history), history.oldest, history.reach), (expected, oldest, reach));
}

#[tokio::test]
async fn history_has_additions_changes_and_removals() {
    let bucket = MemoryBucket::new();
    let newest = filled(
        &bucket,
        &[
            &[("2", Some(1))],
            &[("1", Some(1)), ("2", Some(2))],
            &[("2", Some(3))],
            &[("1", Some(2))],
            &[("1", None)],
            &[("2", Some(4))],
            &[("1", Some(5)), ("3", Some(1))],
            &[("3", Some(2))],
        ],
    )
    .await;
    let table = table(&bucket);
    let of = async |user: &str| table.history(&newest, &id(user)).await.unwrap();
    check(
        &of("1").await,
        &[(6, Some("run-6")), (4, None), (3, Some("run-3")), (1, Some("run-1"))],
        0,
        Reach::Whole,
    );
    check(&of("3").await, &[(7, Some("run-7")), (6, Some("run-6"))], 0, Reach::Whole);
    check(&of("0").await, &[], 0, Reach::Whole);
    check(&of("4").await, &[], 0, Reach::Whole);
    let gone = commit_at(&table, Some(&newest), &[("1", None), ("2", None), ("3", None)], 0).await;
    check(
        &table.history(&gone, &id("3")).await.unwrap(),
        &[(8, None), (7, Some("run-7")), (6, Some("run-6"))],
        0,
        Reach::Whole,
    );
}

/// Another engine does not record its changes in the rows, so all later versions are examined.
#[tokio::test]
async fn history_finds_changes_of_another_engine() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let first = filled(&bucket, &[&[("1", Some(1))], &[("2", Some(1))]]).await;
    let compacted = foreign(&bucket, &first, |_| {}).await;
    let edited = foreign(&bucket, &compacted, |row| {
        row.values[0] = Some(datalake_core::dataset::Value::Text("Edited".into()));
    })
    .await;
    let newest = commit_at(&table, Some(&edited), &[("2", Some(2))], 0).await;
    let history = table.history(&newest, &id("1")).await.unwrap();
    check(&history, &[(3, Some("run-0")), (0, Some("run-0"))], 0, Reach::Whole);
    let row = history.states[0].row.as_ref().unwrap();
    assert_eq!(row.values[0].as_ref().unwrap().to_string(), "Edited");
    assert_eq!(history.states[0].version.author, Author::OtherEngine);
}

#[tokio::test]
async fn history_states_why_it_ends() {
    let bucket = MemoryBucket::new();
    let newest = cleaned(&bucket).await;
    let table = table(&bucket);
    let of = async |user: &str| table.history(&newest, &id(user)).await.unwrap();
    let (even, odd) = (
        [(10, Some("run-10")), (8, Some("run-8")), (6, Some("run-6"))],
        [(11, Some("run-11"))],
    );
    check(&of("1").await, &even, 6, Reach::LogEnds);
    // The oldest state was made before the oldest version.
    let odd = [odd[0], (9, Some("run-9")), (7, Some("run-7")), (6, Some("run-5"))];
    check(&of("2").await, &odd, 6, Reach::LogEnds);
    // Only the files of the newest version are left.
    for key in keys_under(&bucket, keys::TABLE).await {
        if keys::parse_data_file(&key).is_some() && newest.data_files().iter().all(|file| file.key() != key) {
            bucket.delete(&key, None).await.unwrap();
        }
    }
    check(&of("2").await, &odd[..1], 11, Reach::FilesGone);
    let error = table.rows_of(&table.at(10).await.unwrap(), &[id("1")]).await.unwrap_err();
    assert!(matches!(error, TableError::Store(_)), "{error}");
}

#[tokio::test]
async fn history_is_limited_in_reads() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let mut current = None;
    for number in 0..40_u8 {
        current = Some(commit_at(&table, current.as_ref(), &[("1", Some(number))], 0).await);
    }
    let newest = current.unwrap();
    let history = table.history(&newest, &id("1")).await.unwrap();
    assert_eq!((history.states.len(), history.oldest, history.reach), (32, 8, Reach::Bound));
}

/// Changes and removals of some users.
fn changes() -> impl Strategy<Value = BTreeMap<u8, Option<u8>>> {
    prop::collection::btree_map(0..20_u8, prop::option::weighted(0.7, 0..4_u8), 0..8)
}

fn view(row: &Row) -> RowView<'_> {
    row.view(datalake_core::dataset::Dataset::users())
}

type Model = BTreeMap<RowId, Row>;

fn check_difference(before: (&Snapshot, &Model), after: (&Snapshot, &Model)) {
    let mut difference = Difference::between(before.0, after.0);
    for user in before.1.keys().chain(after.1.keys()).collect::<std::collections::BTreeSet<_>>() {
        let (before, after) = (before.1.get(user).map(view), after.1.get(user).map(view));
        if before != after {
            let found = difference.next_change().expect("one more row differs");
            assert_eq!((found.before, found.after), (before, after));
        }
    }
    assert_eq!(difference.next_change(), None);
}

/// The history according to a scan of all versions, in the form of [`summary`].
fn scanned_history(models: &[Model], user: &RowId) -> Vec<(u64, Option<String>)> {
    let mut states: Vec<(u64, Option<&Row>)> = Vec::new();
    for (number, model) in (0..).zip(models) {
        let row = model.get(user);
        let is_new = match (states.last().and_then(|state| state.1), row) {
            (None, None) => false,
            (Some(before), Some(row)) => !(before.is_visibly_equal(row) && before.run_id == row.run_id),
            _ => true,
        };
        if is_new {
            states.push((number, row));
        }
    }
    let states = states.into_iter().rev();
    states
        .map(|(number, row)| (number, row.map(|row| row.run_id.to_string())))
        .collect()
}

async fn check_versions(history: Vec<(BTreeMap<u8, Option<u8>>, bool)>) {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let (mut current, mut snapshots) = (None::<Version>, Vec::<Snapshot>::new());
    let (mut model, mut models) = (Model::new(), Vec::new());
    for (changes, compact) in history {
        let changes: BTreeMap<String, Option<u8>> = changes.into_iter().map(|(user, value)| (format!("{user:02}"), value)).collect();
        let changes: Vec<(&str, Option<u8>)> = changes.iter().map(|(user, value)| (user.as_str(), *value)).collect();
        let version = match &current {
            Some(current) if compact && current.row_count() > 0 => foreign(&bucket, current, |_| {}).await,
            _ => {
                let version = commit_at(&table, current.as_ref(), &changes, 0).await;
                for (user, value) in changes {
                    match value {
                        Some(value) => drop(model.insert(
                            id(user),
                            Row {
                                run_id: run(version.number()),
                                ..row(user, value)
                            },
                        )),
                        None => drop(model.remove(&id(user))),
                    }
                }
                version
            }
        };
        snapshots.push(Snapshot::load(&table, version.clone(), snapshots.last()).await.unwrap());
        models.push(model.clone());
        current = Some(version);
    }
    for before in snapshots.iter().zip(&models) {
        for after in snapshots.iter().zip(&models) {
            check_difference(before, after);
        }
    }
    let newest = current.unwrap();
    for user in 0..20 {
        let user = id(&format!("{user:02}"));
        let found = table.history(&newest, &user).await.unwrap();
        assert_eq!(summary(&found), scanned_history(&models, &user), "user {user}");
        assert_eq!(found.reach, Reach::Whole);
    }
    let rows_not_in = Snapshot::rows_not_in(snapshots.last().unwrap(), &snapshots);
    assert!(rows_not_in <= models.iter().map(BTreeMap::len).sum());
    assert_eq!(Snapshot::rows_not_in(&snapshots[0], [&snapshots[0], &snapshots[0]]), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Differences and histories are equal to those from a scan of all rows of all versions.
    #[test]
    fn differences_and_histories_agree_with_a_scan(history in prop::collection::vec((changes(), prop::bool::weighted(0.2)), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check_versions(history));
    }
}
