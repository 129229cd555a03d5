//! What one run makes of an edit after another.

use datalake_core::{
    keys,
    plan::GuardError,
    report::{RunMode, RunOutcome},
};
use datalake_processor::{dry_run::dry_run, options::RunOptions};

use crate::lake::{TestLake, csv, now, options, png, run_id};

const HEADER: &str = "user_id,first_name,last_name,birthts,img_path\n";

#[tokio::test]
async fn upsert_by_user() {
    let lake = TestLake::new();
    lake.put("2.csv", csv("Bea", "Fox", 2)).await;
    lake.put("10.csv", csv("Ada", "Lee, Jr", 1).replace("Lee, Jr", "\"Lee, Jr\"")).await;
    lake.put("2.png", png("a")).await;
    let report = lake.run().await;
    assert_eq!((report.version, report.committed, report.counts.added), (Some(0), Some(true), 2));
    let expected = format!("{HEADER}10,Ada,\"Lee, Jr\",1,\n2,Bea,Fox,2,processed_data/images/2.png\n");
    assert_eq!(lake.output().await, expected);
    assert_eq!(lake.objects(keys::IMAGES).await.into_values().collect::<Vec<_>>(), [png("a")]);

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
    assert!(lake.objects(keys::IMAGES).await.is_empty());
    assert_eq!(lake.refusals().await, ["2.png orphan_image"]);
}

#[tokio::test]
async fn unchanged_sources_write_nothing_but_the_report() {
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
async fn full_reads_all_and_changes_nothing() {
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
async fn the_same_bytes_under_a_new_tag_change_nothing() {
    // On a folder a file that is touched has another tag.
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

    // The next commit records the new tags.
    lake.put("3.csv", csv("Cleo", "Cat", 3)).await;
    assert_eq!(lake.run().await.counts.csv_read, 3);
    assert_eq!(lake.run().await.counts.csv_read, 0);
}

/// The row has the new tag with the next commit; from then on the picture must be known under it.
#[tokio::test]
async fn a_picture_that_is_touched_again_and_again_changes_nothing() {
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
    assert_eq!(
        lake.objects(keys::IMAGES).await.into_values().collect::<Vec<_>>(),
        [png("a"), png("a")]
    );
}

/// A copy that somebody removed is made again by a full run, which changes no row.
#[tokio::test]
async fn a_copy_that_is_lost_is_no_change() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("a")).await;
    lake.run().await;
    lake.bucket().delete(&keys::image("1"), None).await.unwrap();
    assert!(lake.run_in(RunMode::Full).await.committed == Some(false));
    assert_eq!(lake.objects(keys::IMAGES).await.into_values().collect::<Vec<_>>(), [png("a")]);
}

#[tokio::test]
async fn a_rejected_change_keeps_the_last_good_row() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", png("a")).await;
    lake.run().await;
    let good = lake.output().await;

    lake.put("1.csv", "first_name,last_name,birthts\nAda,Lee,soon\n").await;
    lake.put("1.png", "no picture").await;
    let report = lake.run().await;
    assert_eq!((report.counts.rejected, report.counts.rejects_open), (2, 2));
    assert_eq!(lake.output().await, good);
    assert_eq!(lake.objects(keys::IMAGES).await.into_values().collect::<Vec<_>>(), [png("a")]);
    assert_eq!(lake.refusals().await, ["1.csv type", "1.png image_not_png"]);
    assert!(
        lake.run().await.committed == Some(false),
        "an unchanged bad source is not read again"
    );

    lake.put("1.csv", csv("Ada", "Wolf", 1)).await;
    lake.put("1.png", png("b")).await;
    lake.run().await;
    assert_eq!(lake.output().await, format!("{HEADER}1,Ada,Wolf,1,processed_data/images/1.png\n"));
    assert!(lake.refusals().await.is_empty());
    assert_eq!(lake.objects(keys::IMAGES).await.into_values().collect::<Vec<_>>(), [png("b")]);
}

#[tokio::test]
async fn users_never_merge() {
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
async fn a_dry_run_plans_and_changes_nothing() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.txt", "x").await;
    let before = lake.objects("").await;
    let plan = dry_run(&lake.lake, &options(RunMode::Incremental)).await.unwrap();
    assert_eq!((plan.version, plan.listed, plan.steps.len(), plan.ignored.len()), (None, 2, 1, 1));
    assert_eq!(plan.refusal, None);
    assert_eq!(lake.objects("").await, before);
}

/// Whoever is refused wants to see why.
#[tokio::test]
async fn a_dry_run_shows_the_plan_that_a_guard_refuses() {
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
    assert_eq!(plan.refusal, Some(GuardError::MassDeletion { gone: 11, known: 50 }));
}

#[tokio::test]
async fn a_dry_run_can_be_stopped() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    let stopped = options(RunMode::Incremental);
    stopped.cancel.cancel();
    let error = dry_run(&lake.lake, &stopped).await.unwrap_err();
    assert_eq!(error.outcome(), RunOutcome::Stopped);
}
