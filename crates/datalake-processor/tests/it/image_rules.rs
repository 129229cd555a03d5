//! Images of users without a row, and images with further bytes in their source.

use datalake_core::run::{RunMode, RunOutcome};
use datalake_store::memory::EtagInput;
use jiff::SignedDuration;

use crate::lake::{COPIES, TestLake, copy_key, csv, now, options, png};

const BROKEN: &str = "first_name,last_name,birthts\nAda,Lee,soon\n";

#[tokio::test]
async fn rejected_images_of_users_without_a_row_are_counted_and_listed() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    for id in ["2", "3"] {
        lake.put(&format!("{id}.csv"), BROKEN).await;
        lake.put(&format!("{id}.png"), &b"GIF89a"[..]).await;
    }
    let guarded = options(RunMode::Incremental);
    let report = lake
        .run_with(&datalake_processor::options::RunOptions {
            reject_ratio_max: "0.5".parse().unwrap(),
            ..guarded
        })
        .await;
    assert_eq!((report.outcome, report.counts.rejects_open), (RunOutcome::Blocked, 4));
    let details: Vec<_> = report
        .reject_details
        .iter()
        .map(|detail| (detail.key.as_str(), detail.code.as_str()))
        .collect();
    assert_eq!(details[..2], [("src-data/2.csv", "type"), ("src-data/2.png", "image_not_png")]);
    assert!(report.reject_details[0].excerpt.is_some() && !report.reject_details[0].remedy.is_empty());

    let report = lake.run().await;
    assert_eq!(report.reject_details, [], "the table records them");
    assert_eq!((report.counts.rejected, report.counts.rejects_open), (4, 4));
    assert_eq!(
        lake.rejects().await,
        ["2.csv type", "2.png image_not_png", "3.csv type", "3.png image_not_png"]
    );
    let report = lake.run().await;
    assert_eq!(
        (report.counts.csv_read, report.counts.images_read, report.counts.rejects_open),
        (0, 0, 4)
    );
    // First the image is fixed, then the CSV.
    lake.put("2.png", png("2")).await;
    lake.run().await;
    assert_eq!(lake.rejects().await, ["2.csv type", "3.csv type", "3.png image_not_png"]);
    lake.put("2.csv", csv("Bea", "Lee", 2)).await;
    lake.run().await;
    assert_eq!(lake.rows().await[1], "2,Bea,Lee,2,processed_data/images/2.png");
    lake.remove("3.csv").await;
    lake.run().await;
    assert_eq!(lake.rejects().await, ["3.png orphan_image"]);
}

#[tokio::test]
async fn valid_image_of_a_user_without_a_row_is_read_once() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("2.csv", BROKEN).await;
    lake.put("2.png", png("2")).await;
    assert_eq!(lake.run().await.counts.images_read, 1);
    assert_eq!(lake.run().await.counts.images_read, 0);
    lake.put("2.png", png("other")).await;
    assert_eq!(lake.run().await.counts.images_read, 1);
    // The next version records what was read.
    lake.put("1.csv", csv("Ada", "Byron", 1)).await;
    lake.run().await;
    assert_eq!(lake.run().await.counts.images_read, 0);
    lake.put("2.csv", csv("Bea", "Lee", 2)).await;
    lake.run().await;
    assert_eq!(lake.objects(COPIES).await["processed_data/images/2.png"], png("other"));
}

fn with_excess(content: &str) -> Vec<u8> {
    [png(content), b"<!-- after the image -->".to_vec()].concat()
}

async fn check_copy(lake: &TestLake, content: &str) {
    assert_eq!(lake.objects(COPIES).await["processed_data/images/1.png"], png(content));
}

#[tokio::test]
async fn bytes_after_an_image_are_not_copied() {
    for etags in [EtagInput::default(), EtagInput::Bytes] {
        let lake = TestLake::with_etags_of(etags);
        lake.put("1.csv", csv("Ada", "Lee", 1)).await;
        lake.put("1.png", with_excess("new")).await;
        lake.run().await;
        check_copy(&lake, "new").await;
        let quiet = lake.run().await;
        assert_eq!(
            (quiet.committed, quiet.requests.copy, quiet.counts.images_read),
            (Some(false), 0, 0)
        );

        lake.put("1.png", with_excess("replaced")).await;
        lake.run().await;
        check_copy(&lake, "replaced").await;

        // The same image with other bytes after it does not count as a change.
        lake.put("1.png", png("replaced")).await;
        lake.run().await;
        check_copy(&lake, "replaced").await;
        lake.put("1.png", with_excess("last")).await;
        assert_eq!(lake.run_in(RunMode::Full).await.committed, Some(true));
        assert_eq!(lake.run_in(RunMode::Full).await.committed, Some(false));

        // The vacuum restores a lost copy, and keeps a correct one.
        lake.advance_to(now() + SignedDuration::from_hours(25));
        lake.bucket().delete(&copy_key("1"), None).await.unwrap();
        lake.run().await;
        check_copy(&lake, "last").await;
        lake.advance_to(now() + SignedDuration::from_hours(50));
        let copy = async || lake.bucket().head(&copy_key("1")).await.unwrap().meta;
        let before = copy().await;
        lake.run().await;
        assert_eq!(copy().await, before, "a correct copy is kept");
    }
}

#[tokio::test]
async fn rejected_image_keeps_a_copy_of_a_part_of_its_source() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    lake.put("1.png", with_excess("valid")).await;
    lake.run().await;
    lake.put("1.png", &b"GIF89a"[..]).await;
    lake.run().await;
    check_copy(&lake, "valid").await;
    assert_eq!(lake.rows().await, ["1,Ada,Lee,1,processed_data/images/1.png"]);
}

#[tokio::test]
async fn first_thousand_ignored_objects_are_listed_and_all_are_counted() {
    let lake = TestLake::new();
    lake.put("1.csv", csv("Ada", "Lee", 1)).await;
    for number in 0..1_003 {
        lake.put(&format!("note-{number:04}.txt"), "x").await;
    }
    let report = lake.run().await;
    assert_eq!(report.counts.ignored, 1_003);
    assert_eq!(lake.rejects().await.len(), 1_000);
    let ignored = async || lake.table().latest().await.unwrap().unwrap().ignored();
    assert_eq!(ignored().await, Some(1_003));
    assert_eq!(lake.run().await.committed, Some(false));
    // An object beyond the first thousand is counted.
    lake.put("note-9999.txt", "x").await;
    assert_eq!(lake.run().await.committed, Some(true));
    assert_eq!(ignored().await, Some(1_004));
    for number in 0..900 {
        lake.remove(&format!("note-{number:04}.txt")).await;
    }
    lake.run().await;
    assert_eq!((lake.rejects().await.len(), ignored().await), (104, None));
}
