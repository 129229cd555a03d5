//! Commits: each creates one version or nothing.

use std::sync::Arc;

use datalake_store::memory::MemoryBucket;
use datalake_table::{error::CommitError, table::Table};
use serde_json::Value;

use crate::support::{Fault, FaultyBucket, SMALL, commit, details, excluded, ids, put, read, table, users};

#[tokio::test]
async fn one_of_two_writers_succeeds() {
    let bucket = MemoryBucket::new();
    let (one, other) = (table(&bucket), table(&bucket));
    let base = commit(&one, None, vec![put("1", 1)]).await;
    let (mine, theirs) = (
        one.stage(Some(&base), &users(), vec![put("2", 2)]).await.unwrap(),
        other.stage(Some(&base), &users(), vec![put("3", 3)]).await.unwrap(),
    );
    let details = details();
    let (mine, theirs) = tokio::join!(
        one.commit(Some(&base), mine, &[], &details),
        other.commit(Some(&base), theirs, &[], &details)
    );
    let lost = [mine.as_ref().err(), theirs.as_ref().err()];
    assert_eq!(
        lost.iter()
            .flatten()
            .filter(|error| matches!(error, CommitError::Conflict { version: 1 }))
            .count(),
        1,
        "{lost:?}"
    );
    let won = mine.or(theirs).unwrap();
    assert_eq!(one.latest().await.unwrap().unwrap().data_files(), won.data_files());
}

#[tokio::test]
async fn late_first_commit_is_a_conflict() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    commit(&table, None, vec![put("1", 1)]).await;
    let late = table.stage(None, &users(), vec![put("2", 2)]).await.unwrap();
    let lost = table.commit(None, late, &[], &details()).await;
    assert!(matches!(lost, Err(CommitError::Conflict { version: 0 })), "{lost:?}");
}

#[tokio::test]
async fn files_staged_for_another_base_are_a_conflict() {
    let table = table(&MemoryBucket::new());
    let first = commit(&table, None, vec![put("1", 1)]).await;
    let staged = table.stage(Some(&first), &users(), vec![put("2", 2)]).await.unwrap();
    let second = commit(&table, Some(&first), vec![put("3", 3)]).await;
    let lost = table.commit(Some(&second), staged, &[], &details()).await;
    assert!(matches!(lost, Err(CommitError::Conflict { version: 2 })), "{lost:?}");
}

async fn check(faults: &[Fault], expected: Result<&[&str], &str>) {
    let bucket = MemoryBucket::new();
    let base = commit(&table(&bucket), None, vec![put("1", 1)]).await;
    let table = Table::with_settings(Arc::new(FaultyBucket::new(bucket, faults)), SMALL);
    let staged = table.stage(Some(&base), &users(), vec![put("2", 2)]).await.unwrap();
    match (table.commit(Some(&base), staged, &[], &details()).await, expected) {
        (Ok(version), Ok(expected)) => {
            assert_eq!(ids(&table, &version).await, expected, "faults: {faults:?}");
            assert_eq!(table.latest().await.unwrap().unwrap().data_files(), version.data_files());
        }
        (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected, "faults: {faults:?}"),
        (outcome, _) => panic!("faults: {faults:?}, outcome: {outcome:?}"),
    }
}

#[tokio::test]
async fn put_with_an_unknown_outcome_is_read_back() {
    use Fault::{ConflictWithItself, Overtaken, RequestLost, ResponseLost};
    check(&[ResponseLost], Ok(&["1", "2"])).await;
    check(&[RequestLost], Ok(&["1", "2"])).await;
    check(&[RequestLost, RequestLost], Ok(&["1", "2"])).await;
    check(&[RequestLost, ResponseLost], Ok(&["1", "2"])).await;
    check(&[ConflictWithItself], Ok(&["1", "2"])).await;
    check(&[Overtaken], Err("another writer committed version 1 first")).await;
    check(&[RequestLost, Overtaken], Err("another writer committed version 1 first")).await;
    check(
        &[RequestLost, RequestLost, RequestLost],
        Err("the outcome of the commit of version 1 is unknown"),
    )
    .await;
}

async fn entry(bucket: &MemoryBucket, number: u64) -> Vec<Value> {
    let bytes = read(bucket, &format!("processed_data/users/_delta_log/{number:020}.json")).await;
    std::str::from_utf8(&bytes)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn entries_match_the_snapshots() {
    let bucket = MemoryBucket::new();
    let table = table(&bucket);
    let first = commit(&table, None, vec![put("1", 1), put("2", 3)]).await;
    let staged = table.stage(Some(&first), &users(), vec![put("2", 2)]).await.unwrap();
    let second = table
        .commit(Some(&first), staged, &[excluded("src-data/1.csv")], &details())
        .await
        .unwrap();
    let staged = table.stage(Some(&second), &users(), vec![]).await.unwrap();
    table
        .commit(Some(&second), staged, &[excluded("src-data/1.csv")], &details())
        .await
        .unwrap();
    for number in 0..3 {
        insta::assert_json_snapshot!(format!("entry-{number}"), entry(&bucket, number).await, {
            ".**.path" => "[path]",
            ".**.size" => "[size]",
            ".**.numTargetBytesAdded" => "[bytes]",
            ".**.id" => "[id]",
            ".**.writer_id" => "[writer]",
            ".**.base" => "[digest]",
            ".**.rejects" => "[rejects]",
            ".**.configuration[\"datalake.rejects\"]" => "[rejects]",
        });
    }
}
