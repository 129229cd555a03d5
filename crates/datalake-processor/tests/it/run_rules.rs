//! Input rules about the names of objects, and guards. The tests of `datalake-core` cover the rules about contents.

use datalake_core::{keys, plan::DeletionGuard, row_id::RowId, run::RunOutcome};
use datalake_processor::options::RunOptions;
use datalake_store::{bucket::Bucket, memory::MemoryBucket};

use crate::lake::{COPIES, TestLake, copy_key, csv, now, options, plain, png, run_id};

/// Checks the user IDs and the rejects after a run over objects with these names and valid contents.
#[track_caller]
fn check(names: &[&str], ids: &[&str], rejects: &[&str]) {
    let caller = std::panic::Location::caller();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
        let lake = TestLake::new();
        for name in names {
            let is_image = name.to_lowercase().ends_with(".png");
            let bytes = if is_image { png(name) } else { csv("Ada", "Lee", 1).into_bytes() };
            lake.put(name, bytes).await;
        }
        lake.run().await;
        let rows = lake.rows().await;
        let found: Vec<_> = rows.iter().map(|row| row.split(',').next().unwrap()).collect();
        assert_eq!(
            (found, lake.rejects().await),
            (ids.to_vec(), rejects.iter().map(ToString::to_string).collect()),
            "at {caller}"
        );
    });
}

#[test]
fn user_ids_are_text() {
    let forty_digits = "7".repeat(40);
    let longest = "a".repeat(64);
    let source = |id: &str| format!("{id}.csv");
    check(&["0001.csv", "1.csv", &source(&forty_digits)], &["0001", "1", &forty_digits], &[]);
    check(&[&source(&longest), "A_b-c.d.csv"], &["A_b-c.d", &longest], &[]);
    check(&["1.CSV", "1.PNG"], &["1"], &[]);
}

#[test]
fn bad_id() {
    let too_long = format!("{}.csv", "a".repeat(65));
    check(&["..csv", "...csv"], &[], &["...csv bad_id", "..csv bad_id"]);
    check(
        &["a b.csv", "a%2Fb.csv", "é.csv", "a\u{1}.csv", &too_long],
        &[],
        &[
            "a\u{1}.csv bad_id",
            "a b.csv bad_id",
            "a%2Fb.csv bad_id",
            &format!("{too_long} bad_id"),
            "é.csv bad_id",
        ],
    );
}

#[test]
fn shadowed() {
    check(&["1.CSV", "1.csv", "1.PNG", "1.png"], &["1"], &["1.CSV shadowed", "1.PNG shadowed"]);
}

#[test]
fn unknown_kind() {
    check(
        &["1.csv", "notes.txt", "README", "2.Csv"],
        &["1"],
        &["2.Csv unknown_kind", "README unknown_kind", "notes.txt unknown_kind"],
    );
}

#[test]
fn nested() {
    check(&["1.csv", "a/1.csv", "a/"], &["1"], &["a/ nested", "a/1.csv nested"]);
}

#[test]
fn temporary() {
    check(
        &[
            "1.csv",
            "._1.csv",
            "1.csv.csv",
            "1.part.csv",
            "1.sync-conflict-20260101-120000-ABCDEFG.csv",
            ".1.csv.aB3xYz",
            "1.png~",
        ],
        &["1"],
        &[
            ".1.csv.aB3xYz temporary",
            "._1.csv temporary",
            "1.csv.csv temporary",
            "1.part.csv temporary",
            "1.png~ temporary",
            "1.sync-conflict-20260101-120000-ABCDEFG.csv temporary",
        ],
    );
}

#[test]
fn orphan_image() {
    check(&["1.csv", "2.png"], &["1"], &["2.png orphan_image"]);
}

#[tokio::test]
async fn orphan_image_is_not_copied() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("2.png", png("a")).await;
    lake.run().await;
    assert!(lake.objects(COPIES).await.is_empty());
}

#[tokio::test]
async fn too_large_source_is_not_read() {
    let lake = TestLake::new();
    lake.put("0.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", vec![0; 8 * 1024 * 1024 + 1]).await;
    lake.put("2.csv", vec![b'x'; 64 * 1024 + 1]).await;
    let report = lake.run().await;
    assert_eq!(lake.rejects().await, ["1.png image_too_large", "2.csv too_large"]);
    let small = TestLake::new();
    small.put("0.csv", csv("Ada", "Lee", 1)).await;
    small.put("1.csv", csv("Ada", "Lee", 1)).await;
    assert_eq!(
        report.requests.get,
        small.run().await.requests.get,
        "the large sources were not read"
    );
}

#[tokio::test]
async fn birth_in_the_future_is_read_again_once_it_may_be_valid() {
    fn a_week_later() -> jiff::Timestamp {
        now() + jiff::SignedDuration::from_hours(7 * 24)
    }
    let lake = TestLake::new();
    lake.put("0.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.csv", csv("Ada", "Lee", now().as_millisecond() + 3 * 86_400_000)).await;
    lake.run().await;
    assert_eq!(lake.rejects().await, ["1.csv in_future"]);
    let again = lake.run().await;
    assert_eq!(
        (again.committed, again.counts.csv_read, again.counts.rejects_open),
        (Some(false), 0, 1)
    );
    let later = lake
        .run_with(&RunOptions {
            clock: a_week_later,
            ..options(datalake_core::run::RunMode::Incremental)
        })
        .await;
    assert_eq!((later.outcome, later.counts.added), (RunOutcome::Succeeded, 1));
    assert!(lake.rejects().await.is_empty());
}

fn guarded() -> RunOptions {
    RunOptions::new(run_id(), now)
}

#[tokio::test]
async fn empty_listing_is_blocked() {
    let lake = TestLake::new();
    let report = lake.run_with(&guarded()).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Blocked, 4));
    assert!(report.error.unwrap().contains("--allow-mass-delete"));
    assert!(lake.objects(keys::TABLE).await.is_empty() && lake.output().await.is_empty());
}

#[tokio::test]
async fn mass_deletion_is_blocked_unless_allowed() {
    let lake = TestLake::new();
    for id in 0..50 {
        lake.put(&format!("{id}.csv"), csv("Ada", "Lee", id)).await;
    }
    lake.run().await;
    let before = lake.output().await;
    for id in 0..11 {
        lake.remove(&format!("{id}.csv")).await;
    }
    assert_eq!(lake.run_with(&guarded()).await.outcome, RunOutcome::Blocked);
    assert_eq!(lake.output().await, before);
    let allowed = RunOptions {
        deletion_guard: DeletionGuard::Off,
        ..guarded()
    };
    let report = lake.run_with(&allowed).await;
    assert_eq!(
        (report.outcome, report.counts.removed, report.counts.users),
        (RunOutcome::Succeeded, 11, 39)
    );
}

#[tokio::test]
async fn too_many_rejects_are_blocked() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("2.csv", "").await;
    assert_eq!(
        lake.run_with(&guarded()).await.outcome,
        RunOutcome::Succeeded,
        "half of the sources may be rejected"
    );
    lake.put("3.csv", "").await;
    let before = lake.objects(keys::TABLE).await;
    let report = lake.run_with(&guarded()).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Blocked, 4));
    assert_eq!(lake.objects(keys::TABLE).await, before);
    let rejects: Vec<_> = report.rejects.iter().map(|reject| (&*reject.key, &*reject.code)).collect();
    assert_eq!(
        rejects,
        [("src-data/3.csv", "empty")],
        "the report contains the reject, because the table does not"
    );
    assert_eq!(
        (report.counts.listed, report.counts.rejected, report.counts.rejects_open),
        (3, 1, 2)
    );
    assert_eq!((report.committed, report.counts.added), (Some(false), 0));
}

#[tokio::test]
async fn notices_are_reported() {
    let lake = TestLake::new();
    lake.put("1.csv", "first_name,last_name,birthts\nAda,Lee,5\nAda,Lee,5\n").await;
    lake.put("2.csv", csv("Ada", "Lee", 612_302_400_000)).await;
    lake.put("3.csv", "first_name,last_name,birthts\nAda,Lee,+612302400000\n").await;
    let report = lake.run().await;
    assert_eq!((report.counts.normalized, report.counts.warnings), (2, 1));
    let notices: Vec<_> = report
        .notices
        .iter()
        .map(|notice| (notice.key.as_str(), notice.code.as_str()))
        .collect();
    let expected = [
        ("src-data/1.csv", "repeated_row"),
        ("src-data/1.csv", "maybe_seconds"),
        ("src-data/3.csv", "number_format"),
    ];
    assert_eq!(notices, expected);
}

/// S3 consoles create an object for a "folder".
#[tokio::test]
async fn folder_marker_is_not_a_listed_object() {
    let lake = TestLake::new();
    lake.put("", "").await;
    assert_eq!(
        lake.run_with(&guarded()).await.outcome,
        RunOutcome::Blocked,
        "the marker alone is an empty listing"
    );
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    let report = lake.run_with(&guarded()).await;
    assert_eq!((report.counts.listed, report.counts.ignored), (1, 0));
    assert!(lake.rejects().await.is_empty());
}

#[tokio::test]
async fn upper_case_spellings_are_copied_under_lower_case_names() {
    let lake = TestLake::new();
    lake.put("1.CSV", csv("Ada", "Lee", 1)).await;
    lake.put("1.PNG", png("a")).await;
    lake.run().await;
    let expected = [(copy_key("1"), bytes::Bytes::from(png("a")))];
    assert_eq!(lake.objects(COPIES).await.into_iter().collect::<Vec<_>>(), expected);
    assert!(lake.output().await.ends_with("1,Ada,Lee,1,processed_data/images/1.png\n"));
}

#[tokio::test]
async fn rejected_first_image_leaves_img_path_empty() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", "no image").await;
    lake.run().await;
    assert!(lake.output().await.ends_with("\n1,Ada,Lee,1,\n"));
    assert!(lake.objects(COPIES).await.is_empty());
}

#[tokio::test]
async fn ignored_object_names_the_user_of_its_key() {
    let lake = TestLake::new();
    for (name, bytes) in [
        ("1.csv", csv("Ada", "Lee", 1).into_bytes()),
        ("1.CSV", Vec::new()),
        ("2.png", png("a")),
        ("3.Png", Vec::new()),
        ("4.jpg", Vec::new()),
        ("a b.csv", Vec::new()),
        ("notes.md", Vec::new()),
    ] {
        lake.put(name, bytes).await;
    }
    lake.run().await;
    let table = lake.table();
    let version = table.latest().await.unwrap().unwrap();
    let open = table.rejects(&version).await.unwrap();
    let users: Vec<_> = open
        .iter()
        .map(|open| (open.exclusion.code(), open.row_id.as_ref().map(RowId::as_str)))
        .collect();
    assert_eq!(
        users,
        [
            ("shadowed", Some("1")),
            ("orphan_image", Some("2")),
            ("unknown_kind", Some("3")),
            ("unknown_kind", Some("4")),
            ("bad_id", None),
            ("unknown_kind", None),
        ]
    );
}

/// The clock of the store in memory starts at `now`. The clock of the run is slow or fast.
#[tokio::test]
async fn clock_skew_is_reported() {
    fn slow() -> jiff::Timestamp {
        now() - jiff::SignedDuration::from_mins(10)
    }
    fn fast() -> jiff::Timestamp {
        now() + jiff::SignedDuration::from_mins(10)
    }
    async fn check(clock: fn() -> jiff::Timestamp, expected: Option<i64>) {
        let lake = TestLake::new();
        lake.put("1.csv", csv("Ada", "Lee", 1)).await;
        let report = lake.run_with(&RunOptions { clock, ..guarded() }).await;
        assert_eq!((report.outcome, report.clock_skew_seconds), (RunOutcome::Succeeded, expected));
    }
    check(now, None).await;
    check(slow, Some(600)).await;
    check(fast, Some(-599)).await;
}

/// In a folder, the user can set the modification time of a source.
#[tokio::test]
async fn source_dated_in_the_future_does_not_affect_the_clock() {
    let bucket = MemoryBucket::new();
    let lake = plain(&bucket);
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    let mut source = bucket.get(&keys::source("1.csv"), None, None).await.unwrap();
    source.meta.modified = now() + jiff::SignedDuration::from_hours(4_000);
    bucket.restore(source);
    for _ in 0..2 {
        let report = lake.run().await;
        assert_eq!((report.outcome, report.clock_skew_seconds), (RunOutcome::Succeeded, None));
    }
    assert_eq!(lake.run().await.counts.csv_read, 0);
}

#[tokio::test]
async fn valid_image_beside_a_rejected_csv_is_recorded_while_it_exists() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("2.csv", "").await;
    lake.run().await;
    let has_image = async || {
        let version = lake.table().latest().await.unwrap().unwrap();
        let [reject] = &*lake.table().rejects(&version).await.unwrap() else {
            panic!("one source is rejected")
        };
        reject.has_valid_file(0)
    };
    assert!(!has_image().await);
    lake.put("2.png", png("2")).await;
    assert_eq!(lake.run().await.committed, Some(true));
    assert!(has_image().await);
    let report = lake.run().await;
    assert_eq!((report.committed, report.counts.images_read), (Some(false), 0));
    lake.remove("2.png").await;
    lake.run().await;
    assert!(!has_image().await);
}
