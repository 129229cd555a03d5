//! Versions before the newest: which there are, what differs between them, and what one row was.

use std::{collections::BTreeMap, sync::Arc};

use datalake_core::{
    keys,
    report::RunId,
    row::{Row, RowView},
    user::UserId,
};
use datalake_store::{
    bucket::Bucket,
    memory::{EPOCH, MemoryBucket},
};
use datalake_table::{
    delta::{
        history::{Reach, RowHistory},
        version::{Author, Version},
    },
    error::TableError,
    memory::{difference::Difference, snapshot::Snapshot},
    table::{CommitDetails, Edit, Table},
};
use futures_util::TryStreamExt;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{details_at, id, keys as keys_under, read, row, rows, table, write};

/// A run of its own for each version, and rows that name it.
async fn commit_at(table: &Table, held: Option<&Version>, changes: &[(&str, Option<u8>)], second: i64) -> Version {
    let run_id = run(held.map_or(0, |held| held.number() + 1));
    let edits = changes.iter().map(|(user, value)| match value {
        Some(value) => Edit::Put(Row {
            run_id: run_id.clone(),
            ..row(user, *value)
        }),
        None => Edit::Remove(id(user)),
    });
    let staged = table.stage(held, edits.collect()).await.unwrap();
    let details = CommitDetails {
        run_id,
        ..details_at(EPOCH.as_second() + second)
    };
    table.commit(held, staged, &[], &details).await.unwrap()
}

fn run(number: u64) -> RunId {
    RunId::parse(&format!("run-{number}")).unwrap()
}

/// Version after version, an hour apart.
async fn filled(bucket: &MemoryBucket, versions: &[&[(&str, Option<u8>)]]) -> Version {
    let table = table(bucket);
    let mut held = None;
    for (number, changes) in (0..).zip(versions) {
        bucket.advance_to(Timestamp::from_second(EPOCH.as_second() + number * 3_600).unwrap());
        held = Some(commit_at(&table, held.as_ref(), changes, number * 3_600).await);
    }
    held.unwrap()
}

/// What another engine does: it rewrites all files and leaves the rows' own run as it was.
async fn foreign(bucket: &MemoryBucket, held: &Version, edit: impl Fn(&mut Row)) -> Version {
    let table = table(bucket);
    let mut rows: Vec<Row> = rows(&table, held).await.into_values().collect();
    rows.iter_mut().for_each(&edit);
    let elsewhere = MemoryBucket::new();
    let other = Table::new(Arc::new(elsewhere.clone()));
    let staged = other.stage(None, rows.into_iter().map(Edit::Put).collect()).await.unwrap();
    let other = other.commit(None, staged, &[], &details_at(0)).await.unwrap();
    let number = held.number() + 1;
    let mut lines = vec![json!({"commitInfo": {"timestamp": (EPOCH.as_second() + 3_600) * 1_000, "operation": "UPDATE"}})];
    let remove = |path: &str| json!({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": true}});
    lines.extend(held.segments().iter().map(|segment| remove(&segment.path)));
    for segment in other.segments() {
        write(bucket, &segment.key(), read(&elsewhere, &segment.key()).await).await;
        lines.push(
            json!({"add": {"path": &*segment.path, "partitionValues": {}, "size": segment.size, "modificationTime": 0, "dataChange": true}}),
        );
    }
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    write(bucket, &keys::log_entry(number), lines.join("\n")).await;
    table.newer_than(held).await.unwrap().unwrap()
}

async fn retained(table: &Table) -> Option<(u64, u64)> {
    table.retained().await.unwrap().map(std::ops::RangeInclusive::into_inner)
}

#[tokio::test]
async fn facts_are_those_of_the_entries() {
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

/// A dozen versions; the log before the checkpoint of version 6 is removed.
async fn cleaned(bucket: &MemoryBucket) -> Version {
    let table = table(bucket);
    let mut held = None;
    for number in 0..12_u8 {
        let user = if number.is_multiple_of(2) { "1" } else { "2" };
        held = Some(commit_at(&table, held.as_ref(), &[(user, Some(number))], i64::from(number)).await);
    }
    for key in keys_under(bucket, keys::LOG).await {
        if *key < *keys::checkpoint(6) {
            bucket.delete(&key, None).await.unwrap();
        }
    }
    held.unwrap()
}

#[tokio::test]
async fn the_log_reaches_back_to_a_checkpoint() {
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
    // Of a version whose entry is gone the checkpoint is left.
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
async fn the_entry_tells_a_table_from_one_made_anew() {
    let bucket = MemoryBucket::new();
    let held = filled(&bucket, &[&[("1", Some(1))]]).await;
    let table = table(&bucket);
    assert!(table.still_has(&held).await.unwrap());
    for key in keys_under(&bucket, "").await {
        bucket.delete(&key, None).await.unwrap();
    }
    assert!(!table.still_has(&held).await.unwrap());
    let anew = filled(&bucket, &[&[("1", Some(1))]]).await;
    assert!(!table.still_has(&held).await.unwrap());
    assert!(table.still_has(&anew).await.unwrap());
}

/// The versions that made the states, the newest first, each with the run that the row names.
fn shown(history: &RowHistory) -> Vec<(u64, Option<String>)> {
    let state = |state: &datalake_table::delta::history::RowState| {
        let run = state.row.as_ref().map(|row| row.run_id.to_string());
        (state.version.number, run)
    };
    history.states.iter().map(state).collect()
}

#[track_caller]
fn check(history: &RowHistory, expected: &[(u64, Option<&str>)], oldest: u64, reach: Reach) {
    let expected: Vec<_> = expected.iter().map(|(number, run)| (*number, run.map(str::to_owned))).collect();
    assert_eq!((shown(history), history.oldest, history.reach), (expected, oldest, reach));
}

#[tokio::test]
async fn a_row_comes_goes_and_comes_again() {
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

/// What another engine changes bears no run: each version since is looked at.
#[tokio::test]
async fn another_engine_leaves_no_trace_in_the_row() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let first = filled(&bucket, &[&[("1", Some(1))], &[("2", Some(1))]]).await;
    let compacted = foreign(&bucket, &first, |_| {}).await;
    let edited = foreign(&bucket, &compacted, |row| row.record.first_name = "Edited".into()).await;
    let newest = commit_at(&table, Some(&edited), &[("2", Some(2))], 0).await;
    let history = table.history(&newest, &id("1")).await.unwrap();
    check(&history, &[(3, Some("run-0")), (0, Some("run-0"))], 0, Reach::Whole);
    assert_eq!(&*history.states[0].row.as_ref().unwrap().record.first_name, "Edited");
    assert_eq!(history.states[0].version.author, Author::OtherEngine);
}

#[tokio::test]
async fn a_history_says_where_it_ends() {
    let bucket = MemoryBucket::new();
    let newest = cleaned(&bucket).await;
    let table = table(&bucket);
    let of = async |user: &str| table.history(&newest, &id(user)).await.unwrap();
    let (even, odd) = (
        [(10, Some("run-10")), (8, Some("run-8")), (6, Some("run-6"))],
        [(11, Some("run-11"))],
    );
    check(&of("1").await, &even, 6, Reach::LogEnds);
    // The oldest state is older than the oldest version.
    let odd = [odd[0], (9, Some("run-9")), (7, Some("run-7")), (6, Some("run-5"))];
    check(&of("2").await, &odd, 6, Reach::LogEnds);
    // Nothing but the newest version's files is left.
    for key in keys_under(&bucket, keys::TABLE).await {
        if keys::parse_data_file(&key).is_some() && newest.segments().iter().all(|file| file.key() != key) {
            bucket.delete(&key, None).await.unwrap();
        }
    }
    check(&of("2").await, &odd[..1], 11, Reach::FilesGone);
    let error = table.rows_of(&table.at(10).await.unwrap(), &[id("1")]).await.unwrap_err();
    assert!(matches!(error, TableError::Store(_)), "{error}");
}

#[tokio::test]
async fn a_history_is_no_more_work_than_may_be() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let mut held = None;
    for number in 0..40_u8 {
        held = Some(commit_at(&table, held.as_ref(), &[("1", Some(number))], 0).await);
    }
    let newest = held.unwrap();
    let history = table.history(&newest, &id("1")).await.unwrap();
    assert_eq!((history.states.len(), history.oldest, history.reach), (32, 8, Reach::Bound));
}

/// Some users change or go.
fn changes() -> impl Strategy<Value = BTreeMap<u8, Option<u8>>> {
    prop::collection::btree_map(0..20_u8, prop::option::weighted(0.7, 0..4_u8), 0..8)
}

fn view(row: &Row) -> RowView<'_> {
    RowView {
        user_id: row.user_id.as_str(),
        first_name: &row.record.first_name,
        last_name: &row.record.last_name,
        birth: row.record.birth,
        has_image: row.image.is_some(),
    }
}

type Model = BTreeMap<UserId, Row>;

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

/// What a walk through every version finds, as [`shown`].
fn naive_history(models: &[Model], user: &UserId) -> Vec<(u64, Option<String>)> {
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
    let (mut held, mut snapshots) = (None::<Version>, Vec::<Snapshot>::new());
    let (mut model, mut models) = (Model::new(), Vec::new());
    for (changes, compact) in history {
        let changes: BTreeMap<String, Option<u8>> = changes.into_iter().map(|(user, value)| (format!("{user:02}"), value)).collect();
        let changes: Vec<(&str, Option<u8>)> = changes.iter().map(|(user, value)| (user.as_str(), *value)).collect();
        let version = match &held {
            Some(held) if compact && held.row_count() > 0 => foreign(&bucket, held, |_| {}).await,
            _ => {
                let version = commit_at(&table, held.as_ref(), &changes, 0).await;
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
        held = Some(version);
    }
    for before in snapshots.iter().zip(&models) {
        for after in snapshots.iter().zip(&models) {
            check_difference(before, after);
        }
    }
    let newest = held.unwrap();
    for user in 0..20 {
        let user = id(&format!("{user:02}"));
        let found = table.history(&newest, &user).await.unwrap();
        assert_eq!(shown(&found), naive_history(&models, &user), "user {user}");
        assert_eq!(found.reach, Reach::Whole);
    }
    let rows_beside = Snapshot::rows_beside(snapshots.last().unwrap(), &snapshots);
    assert!(rows_beside <= models.iter().map(BTreeMap::len).sum());
    assert_eq!(Snapshot::rows_beside(&snapshots[0], [&snapshots[0], &snapshots[0]]), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Differences and histories are those that a look at every row of every version finds.
    #[test]
    fn versions_agree_with_a_look_at_every_row(history in prop::collection::vec((changes(), prop::bool::weighted(0.2)), 1..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(check_versions(history));
    }
}
