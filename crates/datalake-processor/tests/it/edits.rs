//! Runs after single edits of sources.

use datalake_core::{
    keys,
    plan::GuardError,
    run::{RunMode, RunOutcome},
};
use datalake_processor::{dry_run::dry_run, options::RunOptions};

use crate::lake::{COPIES, TestLake, copy_key, csv, now, options, png, run_id};

const HEADER: &str = "user_id,first_name,last_name,birthts,img_path\n";

#[tokio::test]
async fn rows_are_added_changed_and_removed_by_user() {
    let lake = TestLake::new();
    lake.put("2.csv", csv("Bea", "Fox", 2)).await;
    lake.put("10.csv", csv("Ada", "Lee, Jr", 1).replace("Lee, Jr", "\"Lee, Jr\"")).await;
    lake.put("2.png", png("a")).await;
    let report = lake.run().await;
    assert_eq!((report.version, report.committed, report.counts.added), (Some(0), Some(true), 2));
    let expected = format!("{HEADER}10,Ada,\"Lee, Jr\",1,\n2,Bea,Fox,2,processed_data/images/2.png\n");
    assert_eq!(lake.output().await, expected);
    assert_eq!(lake.objects(COPIES).await.into_values().collect::<Vec<_>>(), [png("a")]);

    lake.put("2.csv", csv("Bea", "Wolf", 2)).await;
    lake.put("10.png", png("b")).await;
    lake.put("3.csv", csv("Cleo", "Cat", 3)).await;
    let report = lake.run().await;
    assert_eq!((report.counts.added, report.counts.changed, report.counts.removed), (1, 2, 0));
    assert_eq!(
        (report.counts.csv_read, report.counts.images_read),
        (2, 1),
        "only what changed is read"
    );

    lake.remove("2.csv").await;
    lake.remove("10.png").await;
    let report = lake.run().await;
    assert_eq!(
        (report.counts.changed, report.counts.removed, report.counts.images_removed),
        (1, 1, 2)
    );
    assert_eq!(lake.output().await, format!("{HEADER}10,Ada,\"Lee, Jr\",1,\n3,Cleo,Cat,3,\n"));
    assert!(lake.objects(COPIES).await.is_empty());
    assert_eq!(lake.rejects().await, ["2.png orphan_image"]);
}

#[tokio::test]
async fn unchanged_sources_write_only_the_report() {
    let lake = TestLake::new();
    for id in 0..20 {
        lake.put(&format!("{id}.csv"), csv("Ada", "Lee", id)).await;
        lake.put(&format!("{id}.png"), png(&id.to_string())).await;
    }
    lake.put("bad.csv", "nonsense").await;
    lake.run().await;
    let before = lake.objects("").await;

    let report = lake.run().await;
    assert!(report.committed == Some(false));
    assert_eq!((report.requests.put, report.requests.copy, report.requests.delete), (0, 0, 0));
    assert_eq!(
        (
            report.counts.csv_read,
            report.counts.images_read,
            report.counts.users,
            report.counts.rejects_open
        ),
        (0, 0, 20, 1)
    );
    let mut after = lake.objects("").await;
    assert!(after.remove(&keys::run_report(&report.run_id)).is_some());
    assert_eq!(after, before);
}

#[tokio::test]
async fn full_run_reads_all_sources_and_changes_nothing() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("a")).await;
    lake.run().await;
    let report = lake.run_in(RunMode::Full).await;
    assert_eq!(
        (report.committed, report.counts.csv_read, report.counts.images_read),
        (Some(false), 1, 1)
    );
}

#[tokio::test]
async fn same_bytes_under_new_etag_change_nothing() {
    // In a folder, a file that is written again has another ETag.
    let folder = tempfile::tempdir().unwrap();
    let bucket = datalake_store::folder::FolderBucket::new(folder.path().to_owned());
    let lake = TestLake::over(std::sync::Arc::new(bucket), std::sync::Arc::default());
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("a")).await;
    lake.put("2.csv", "nonsense").await;
    lake.run().await;

    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("a")).await;
    lake.put("2.csv", "nonsense").await;
    let report = lake.run().await;
    assert_eq!(
        (
            report.committed,
            report.counts.csv_read,
            report.counts.images_read,
            report.counts.changed
        ),
        (Some(false), 2, 1, 0)
    );

    // The next commit records the new ETags.
    lake.put("3.csv", csv("Cleo", "Cat", 3)).await;
    assert_eq!(lake.run().await.counts.csv_read, 3);
    assert_eq!(lake.run().await.counts.csv_read, 0);
}

/// The next commit records the new ETag in the row, and later runs compare with it.
#[tokio::test]
async fn repeatedly_touched_image_changes_nothing() {
    let lake = TestLake::new();
    for id in ["1", "2"] {
        lake.put(&format!("{id}.csv"), csv("Ada", "Lee", 1)).await;
        lake.put(&format!("{id}.png"), png("a")).await;
    }
    lake.run().await;
    for round in 0..4 {
        lake.touch("1.png", &format!("{round}, alone")).await;
        assert!(lake.run().await.committed == Some(false), "round {round}");
        lake.touch("1.png", &format!("{round}, with an edit")).await;
        lake.put("2.csv", csv("Ada", "Lee", round + 2)).await;
        let report = lake.run().await;
        assert_eq!((report.committed, report.counts.changed), (Some(true), 1), "round {round}");
        let full = lake.run_in(RunMode::Full).await;
        assert_eq!((full.committed, full.requests.copy), (Some(false), 0), "round {round}");
    }
    assert_eq!(lake.objects(COPIES).await.into_values().collect::<Vec<_>>(), [png("a"), png("a")]);
}

#[tokio::test]
async fn full_run_restores_lost_copy_without_a_commit() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("a")).await;
    lake.run().await;
    lake.bucket().delete(&copy_key("1"), None).await.unwrap();
    assert!(lake.run_in(RunMode::Full).await.committed == Some(false));
    assert_eq!(lake.objects(COPIES).await.into_values().collect::<Vec<_>>(), [png("a")]);
}

#[tokio::test]
async fn rejected_change_keeps_the_last_valid_row() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("a")).await;
    lake.run().await;
    let valid = lake.output().await;

    lake.put("1.csv", "first_name,last_name,birthts\nAda,Lee,soon\n").await;
    lake.put("1.png", "no image").await;
    let report = lake.run().await;
    let counts = &report.counts;
    assert_eq!((counts.rejected, counts.rejected_new, counts.rejects_open), (2, 2, 2));
    assert_eq!(lake.output().await, valid);
    assert_eq!(lake.objects(COPIES).await.into_values().collect::<Vec<_>>(), [png("a")]);
    assert_eq!(lake.rejects().await, ["1.csv type", "1.png image_not_png"]);
    assert!(
        lake.run().await.committed == Some(false),
        "an unchanged rejected source is not read again"
    );
    let full = lake.run_in(RunMode::Full).await.counts;
    assert_eq!((full.rejected, full.rejected_new), (2, 0), "they were rejected before");

    lake.put("1.csv", csv("Ada", "Wolf", 1)).await;
    lake.put("1.png", png("b")).await;
    lake.run().await;
    assert_eq!(lake.output().await, format!("{HEADER}1,Ada,Wolf,1,processed_data/images/1.png\n"));
    assert!(lake.rejects().await.is_empty());
    assert_eq!(lake.objects(COPIES).await.into_values().collect::<Vec<_>>(), [png("b")]);
}

#[tokio::test]
async fn similar_user_ids_are_different_users() {
    let lake = TestLake::new();
    for (name, last_name) in [
        ("1", "One"),
        ("0001", "Padded"),
        ("1.0", "Fraction"),
        ("a", "Lower"),
        ("A", "Upper"),
        ("a-b", "Hyphen"),
    ] {
        lake.put(&format!("{name}.csv"), csv("Ada", last_name, 1)).await;
        lake.put(&format!("{name}.png"), png(name)).await;
    }
    assert_eq!(lake.run().await.counts.users, 6);
    let ids: Vec<_> = lake
        .output()
        .await
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["0001", "1", "1.0", "A", "a", "a-b"], "byte order");
    assert!(lake.run().await.committed == Some(false));
}

#[tokio::test]
async fn dry_run_returns_the_plan_and_changes_nothing() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.txt", "x").await;
    let before = lake.objects("").await;
    let plan = dry_run(&lake.lake, &options(RunMode::Incremental)).await.unwrap();
    assert_eq!((plan.version, plan.listed, plan.steps.len(), plan.ignored.len()), (None, 2, 1, 1));
    assert_eq!(plan.blocked_by, None);
    assert_eq!(lake.objects("").await, before);
}

#[tokio::test]
async fn dry_run_returns_the_plan_that_a_guard_blocks() {
    let lake = TestLake::new();
    for id in 0..50 {
        lake.put(&format!("{id}.csv"), csv("Ada", "Lee", id)).await;
    }
    lake.run().await;
    for id in 0..11 {
        lake.remove(&format!("{id}.csv")).await;
    }
    let guarded = RunOptions::new(run_id(), now);
    let plan = dry_run(&lake.lake, &guarded).await.unwrap();
    assert_eq!(plan.steps.len(), 11);
    assert_eq!(plan.blocked_by, Some(GuardError::MassDeletion { gone: 11, known: 50 }));
}

#[tokio::test]
async fn dry_run_can_be_cancelled() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    let stopped = options(RunMode::Incremental);
    stopped.cancel.cancel();
    let error = dry_run(&lake.lake, &stopped).await.unwrap_err();
    assert_eq!(error.outcome(), RunOutcome::Stopped);
}
