//! What a run that lost a race for the commit asks of the store when it begins again.

use std::sync::{Arc, Mutex};

use datalake_core::{
    keys,
    report::{Counts, RunMode},
    user::UserId,
};
use datalake_store::{
    faults::{Fate, Faulty, Operation, OperationKind},
    memory::MemoryBucket,
};
use datalake_table::table::{CommitDetails, Edit, Table};

use crate::lake::{TestLake, before_first, csv, now, plain, png, run_id};

/// Commits a version that lacks user `3` and knows nothing of the other changes.
async fn remove_three(bucket: MemoryBucket) {
    let table = Table::new(Arc::new(bucket));
    let base = table.latest().await.unwrap();
    let edits = vec![Edit::Remove(UserId::parse("3").unwrap())];
    let staged = table.stage(base.as_ref(), edits).await.unwrap();
    let details = CommitDetails {
        run_id: run_id(),
        mode: RunMode::Incremental,
        counts: Counts::default(),
        committed_at: now(),
    };
    table.commit(base.as_ref(), staged, &[], &details).await.unwrap();
}

#[tokio::test]
async fn the_loser_reads_no_source_twice() {
    let bucket = MemoryBucket::new();
    let lake = plain(&bucket);
    for id in ["1", "2", "3"] {
        lake.put(&format!("{id}.csv"), csv("Ada", "Before", 1)).await;
    }
    lake.run().await;
    lake.put("1.csv", csv("Ada", "After", 1)).await;
    lake.put("2.csv", "broken").await;
    lake.put("2.png", png("new")).await;

    let reads = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&reads);
    let note = move |operation: &Operation| {
        if operation.kind == OperationKind::Get && operation.key.starts_with(keys::SOURCES) {
            noted.lock().unwrap().push(operation.key.clone());
        }
        Fate::Pass
    };
    let beaten = before_first(&bucket, OperationKind::Put, &keys::log_entry(1), remove_three);
    let watched = TestLake::over(Arc::new(Faulty::new(beaten.lake.bucket, note)), Arc::default());
    let report = watched.run().await;

    assert_eq!((report.version, report.committed), (Some(2), true), "the commit after the winner's");
    let mut reads = reads.lock().unwrap().clone();
    reads.sort_unstable();
    let expected = ["1.csv", "2.csv", "2.png", "3.csv"].map(keys::source);
    assert_eq!(reads, expected, "what the winner removed is new, and all else is still at hand");
    assert_eq!(
        lake.rows().await,
        ["1,Ada,After,1,", "2,Ada,Before,1,processed_data/images/2.png", "3,Ada,Before,1,"]
    );
}
