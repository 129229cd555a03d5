//! Sources that change during a run.

use datalake_core::{
    keys,
    run::{RunMode, RunOutcome},
};
use datalake_processor::options::RunOptions;
use datalake_store::{
    bucket::Bucket,
    faults::OperationKind,
    memory::{EtagInput, MemoryBucket},
};
use rstest::rstest;

use crate::lake::{COPIES, TestLake, before_first, copy_key, csv, edited, options, plain, png, visible_state};

/// Edits or removes a source before it is read for the first time.
fn edits_before_reading(bucket: &MemoryBucket, name: &'static str, bytes: Option<Vec<u8>>) -> TestLake {
    before_first(bucket, OperationKind::Get, &keys::source(name), move |bucket| {
        let bytes = bytes.clone();
        async move {
            match bytes {
                Some(bytes) => plain(&bucket).put(name, bytes).await,
                None => plain(&bucket).remove(name).await,
            }
        }
    })
}

#[rstest]
#[tokio::test]
async fn csv_replaced_after_listing_is_read_again(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let lake = edits_before_reading(&bucket, "1.csv", Some(csv("Ada", "Replaced", 1).into_bytes()));
    lake.run().await;
    assert!(lake.output().await.contains("1,Ada,Replaced,1,"));
    assert!(
        plain(&bucket).run().await.committed == Some(false),
        "the recorded ETag is that of the bytes that were read"
    );
}

#[rstest]
#[tokio::test]
async fn csv_removed_after_listing_removes_the_row(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let lake = edits_before_reading(&bucket, "1.csv", None);
    assert_eq!(lake.run().await.counts.removed, 2);
    assert!(!lake.output().await.contains("1,Ada"));
}

/// For example because a file system is unmounted during a full run.
#[rstest]
#[tokio::test]
async fn mass_deletion_after_listing_is_blocked(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = MemoryBucket::new().with_etags_of(etags);
    for id in 0..50 {
        plain(&bucket).put(&format!("{id}.csv"), csv("Ada", "Lee", id)).await;
    }
    plain(&bucket).run().await;
    let before = visible_state(&bucket).await;
    let vanishing = before_first(&bucket, OperationKind::Get, &keys::source("0.csv"), |bucket| async move {
        for id in 0..50 {
            bucket.delete(&keys::source(&format!("{id}.csv")), None).await.unwrap();
        }
    });
    let guarded = RunOptions {
        deletion_guard: datalake_core::plan::DeletionGuard::On,
        ..options(RunMode::Full)
    };
    let report = vanishing.run_with(&guarded).await;
    assert_eq!(report.outcome, RunOutcome::Blocked, "{report:?}");
    assert_eq!(visible_state(&bucket).await, before);
}

#[rstest]
#[tokio::test]
async fn image_replaced_after_listing_is_read_again(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    edits_before_reading(&bucket, "1.png", Some(png("another"))).run().await;
    assert_eq!(plain(&bucket).objects(COPIES).await[&copy_key("1")], png("another"));
    assert!(
        plain(&bucket).run().await.committed == Some(false),
        "the recorded ETag is that of the bytes that were read"
    );
}

#[rstest]
#[tokio::test]
async fn image_removed_after_listing_is_unlinked(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    edits_before_reading(&bucket, "1.png", None).run().await;
    assert!(plain(&bucket).output().await.contains("1,Ada,Changed,1,\n"));
    assert!(!plain(&bucket).objects(COPIES).await.contains_key(&copy_key("1")));
}

#[rstest]
#[tokio::test]
async fn image_replaced_or_removed_after_reading_is_processed_in_the_same_run(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
) {
    for replacement in [Some(png("another")), None] {
        let bucket = edited(etags).await;
        let expected = replacement.clone();
        let lake = before_first(&bucket, OperationKind::Copy, &copy_key("1"), move |bucket| {
            let replacement = replacement.clone();
            async move {
                match replacement {
                    Some(bytes) => plain(&bucket).put("1.png", bytes).await,
                    None => plain(&bucket).remove("1.png").await,
                }
            }
        });
        lake.run().await;
        let copy = |images: std::collections::BTreeMap<String, bytes::Bytes>| images.get(&copy_key("1")).cloned();
        assert_eq!(copy(lake.objects(COPIES).await), expected.map(bytes::Bytes::from));
        assert_eq!(plain(&bucket).run().await.committed, Some(false));
    }
}
