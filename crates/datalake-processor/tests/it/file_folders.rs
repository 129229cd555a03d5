//! Guards against a folder of files that is not mounted.

use datalake_core::{keys, plan::DeletionGuard, run::RunOutcome};
use datalake_processor::{dry_run::dry_run, options::RunOptions};
use datalake_store::bucket::{Metadata, PutMode};

use crate::lake::{TestLake, now, png, run_id};

const COPY: &str = "processed_data/scans/1.png";

/// A lake with a row whose scan is in a folder of its own, after a run.
async fn lake() -> TestLake {
    let lake = TestLake::new();
    let declaration = "[source]\nkey = 'samples/{id}.csv'\n[columns]\nvalue = 'integer'\n\
        [files.scan]\nkey = 'scans/{id}.png'\ntypes = ['image/png']\ncopy_to = 'processed_data/scans/{id}.png'\n";
    for (key, bytes) in [
        (keys::DECLARATION, declaration.as_bytes()),
        ("samples/1.csv", b"value\n1\n"),
        ("samples/2.csv", b"value\n2\n"),
        ("scans/1.png", &png("1")),
    ] {
        let bytes = bytes.to_vec().into();
        lake.bucket().put(key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
    }
    assert_eq!(lake.run().await.outcome, RunOutcome::Succeeded);
    assert!(lake.objects(COPY).await.contains_key(COPY));
    lake
}

#[tokio::test]
async fn run_without_the_folder_of_files_is_blocked_unless_allowed() {
    let lake = lake().await;
    let before = lake.objects("").await;
    lake.bucket().delete("scans/1.png", None).await.unwrap();
    let guarded = RunOptions::new(run_id(), now);
    let report = lake.run_with(&guarded).await;
    assert_eq!(report.outcome, RunOutcome::Blocked);
    assert_eq!(
        report.error.unwrap(),
        "the only file in scans/ is gone; nothing was changed; restore the folder, or pass --allow-mass-delete if the files are meant to be removed"
    );
    assert_eq!(report.blocked_deletions, None, "no row would be removed");
    let plan = dry_run(&lake.lake, &guarded).await.unwrap();
    assert_eq!(plan.blocked_by.unwrap().cause(), "the only file in scans/ is gone");
    let objects = lake.objects("").await;
    assert_eq!(objects.get(COPY), before.get(COPY));

    let allowed = RunOptions {
        deletion_guard: DeletionGuard::Off,
        ..RunOptions::new(run_id(), now)
    };
    let report = lake.run_with(&allowed).await;
    assert_eq!((report.outcome, report.counts.changed), (RunOutcome::Succeeded, 1));
    assert!(!lake.objects(COPY).await.contains_key(COPY));
}

#[tokio::test]
async fn files_of_removed_rows_block_nothing() {
    let lake = lake().await;
    for key in ["samples/1.csv", "scans/1.png"] {
        lake.bucket().delete(key, None).await.unwrap();
    }
    let report = lake.run_with(&RunOptions::new(run_id(), now)).await;
    assert_eq!((report.outcome, report.counts.removed), (RunOutcome::Succeeded, 1));
}
