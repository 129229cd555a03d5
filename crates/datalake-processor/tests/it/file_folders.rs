//! Guards against a folder of files that is not mounted.

use datalake_core::{
    keys,
    plan::DeletionGuard,
    run::{EmptyFolder, RunOutcome},
};
use datalake_processor::{dry_run::dry_run, options::RunOptions};
use datalake_store::bucket::{Metadata, PutMode};
use rstest::rstest;

use crate::lake::{TestLake, now, png, run_id};

const DECLARATION: &str = "[source]\nkey = 'samples/{id}.csv'\n[columns]\nvalue = 'integer'\n\
    [files.scan]\nkey = 'scans/{id}.png'\ntypes = ['image/png']\ncopy_to = 'processed_data/scans/{id}.png'\n";
const SCAN: &str = "scans/1.png";
const COPY: &str = "processed_data/scans/1.png";
const CAUSE: &str = "the only file in scans/ is gone";

async fn put(lake: &TestLake, key: &str, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref().to_vec().into();
    lake.bucket().put(key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
}

async fn remove(lake: &TestLake, key: &str) {
    lake.bucket().delete(key, None).await.unwrap();
}

/// A lake with two rows, after a run. The first has this scan, in a folder of its own.
async fn lake(scan: &[u8]) -> TestLake {
    let lake = TestLake::new();
    put(&lake, keys::DECLARATION, DECLARATION).await;
    put(&lake, "samples/1.csv", "value\n1\n").await;
    put(&lake, "samples/2.csv", "value\n2\n").await;
    put(&lake, SCAN, scan).await;
    assert_eq!(lake.run().await.outcome, RunOutcome::Succeeded);
    lake
}

/// Options with the guards at their defaults.
fn guarded() -> RunOptions {
    RunOptions::new(run_id(), now)
}

async fn has_copy(lake: &TestLake) -> bool {
    lake.objects(COPY).await.contains_key(COPY)
}

#[rstest]
#[tokio::test]
async fn run_without_the_folder_of_files_is_blocked(#[values("", "title = 'Samples'\n")] change_of_the_declaration: &str) {
    let lake = lake(&png("1")).await;
    put(&lake, keys::DECLARATION, change_of_the_declaration.to_owned() + DECLARATION).await;
    remove(&lake, SCAN).await;
    let plan = dry_run(&lake.lake, &guarded()).await.unwrap();
    assert_eq!(plan.blocked_by.unwrap().cause(), CAUSE);
    let report = lake.run_with(&guarded()).await;
    assert_eq!(report.outcome, RunOutcome::Blocked);
    let remedy = "restore the folder, or pass --allow-mass-delete if the files are meant to be removed";
    assert_eq!(report.error.unwrap(), format!("{CAUSE}; nothing was changed; {remedy}"));
    let blocked = report.blocked_deletions.unwrap();
    let folder = EmptyFolder {
        folder: "scans/".to_owned(),
        files: 1,
    };
    assert_eq!((blocked.count, &*blocked.folders), (0, &[folder][..]));
    assert!(has_copy(&lake).await);

    let allowed = RunOptions {
        deletion_guard: DeletionGuard::Off,
        ..guarded()
    };
    let report = lake.run_with(&allowed).await;
    assert_eq!((report.outcome, report.counts.removed), (RunOutcome::Succeeded, 0));
    assert!(!has_copy(&lake).await);
}

#[tokio::test]
async fn permission_covers_the_folder_of_the_blocked_run_only() {
    let lake = lake(&png("1")).await;
    remove(&lake, SCAN).await;
    let blocked = lake.run_with(&guarded()).await;
    let allowed = RunOptions {
        allow_mass_delete_of: Some(blocked.run_id.clone()),
        ..guarded()
    };
    put(&lake, SCAN, png("1")).await;
    put(&lake, "scans/2.png", png("2")).await;
    assert_eq!(lake.run_with(&guarded()).await.outcome, RunOutcome::Succeeded);
    for key in [SCAN, "scans/2.png"] {
        remove(&lake, key).await;
    }
    let others = lake.run_with(&allowed).await;
    assert_eq!(others.outcome, RunOutcome::Blocked);
    assert!(others.error.unwrap().contains("all 2 files in scans/ are gone"));
    let allowed = RunOptions {
        run_id: run_id(),
        allow_mass_delete_of: Some(others.run_id),
        ..guarded()
    };
    assert_eq!(lake.run_with(&allowed).await.outcome, RunOutcome::Succeeded);
    assert!(!has_copy(&lake).await);
}

#[tokio::test]
async fn removed_rows_are_reported_before_the_folder() {
    let lake = lake(&png("1")).await;
    for key in ["samples/1.csv", "samples/2.csv", SCAN] {
        remove(&lake, key).await;
    }
    put(&lake, "samples/3.csv", "value\n3\n").await;
    let report = lake.run_with(&guarded()).await;
    assert!(report.error.unwrap().contains("all 2 rows would be removed"));
}

#[tokio::test]
async fn files_of_removed_rows_and_rejected_files_block_nothing() {
    let with_row = lake(&png("1")).await;
    for key in ["samples/1.csv", SCAN] {
        remove(&with_row, key).await;
    }
    let report = with_row.run_with(&guarded()).await;
    assert_eq!((report.outcome, report.counts.removed), (RunOutcome::Succeeded, 1));

    let rejected = lake(b"no image").await;
    assert_eq!(rejected.rejects().await.len(), 1);
    remove(&rejected, SCAN).await;
    assert_eq!(rejected.run_with(&guarded()).await.outcome, RunOutcome::Succeeded);
    assert!(rejected.rejects().await.is_empty());
}
