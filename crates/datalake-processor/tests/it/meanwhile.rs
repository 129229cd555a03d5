//! Sources that change under a run.

use datalake_core::{
    keys,
    report::{RunMode, RunOutcome},
};
use datalake_processor::options::RunOptions;
use datalake_store::{
    bucket::Bucket,
    faults::OperationKind,
    memory::{EtagInput, MemoryBucket},
};
use rstest::rstest;

use crate::lake::{TestLake, before_first, csv, edited, options, plain, png, shown};

/// Edits a source just before a key is read for the first time.
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
async fn a_source_replaced_between_listing_and_reading(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let lake = edits_before_reading(&bucket, "1.csv", Some(csv("Ada", "Replaced", 1).into_bytes()));
    lake.run().await;
    assert!(lake.output().await.contains("1,Ada,Replaced,1,"));
    assert!(
        plain(&bucket).run().await.committed == Some(false),
        "the recorded tag is that of the bytes that were read"
    );
}

#[rstest]
#[tokio::test]
async fn a_source_that_vanishes_between_listing_and_reading(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let lake = edits_before_reading(&bucket, "1.csv", None);
    assert_eq!(lake.run().await.counts.removed, 2);
    assert!(!lake.output().await.contains("1,Ada"));
}

/// As when a file system is unmounted under a run that reads every source again.
#[rstest]
#[tokio::test]
async fn a_mass_of_sources_that_vanish_while_they_are_read_is_a_mass_deletion(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput,
) {
    let bucket = MemoryBucket::new().with_etags_of(tags);
    for id in 0..50 {
        plain(&bucket).put(&format!("{id}.csv"), csv("Ada", "Lee", id)).await;
    }
    plain(&bucket).run().await;
    let before = shown(&bucket).await;
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
    assert_eq!(report.outcome, RunOutcome::Refused, "{report:?}");
    assert_eq!(shown(&bucket).await, before);
}

#[rstest]
#[tokio::test]
async fn a_picture_replaced_between_listing_and_reading(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    edits_before_reading(&bucket, "1.png", Some(png("once more"))).run().await;
    assert_eq!(plain(&bucket).objects(keys::IMAGES).await[&keys::image("1")], png("once more"));
    assert!(
        plain(&bucket).run().await.committed == Some(false),
        "the recorded tag is that of the bytes that were read"
    );
}

#[rstest]
#[tokio::test]
async fn a_picture_that_vanishes_between_listing_and_reading(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    edits_before_reading(&bucket, "1.png", None).run().await;
    assert!(plain(&bucket).output().await.contains("1,Ada,Changed,1,\n"));
    assert!(!plain(&bucket).objects(keys::IMAGES).await.contains_key(&keys::image("1")));
}

/// What is copied is what was read, or nothing; the same run reads again what was replaced after it was read.
#[rstest]
#[tokio::test]
async fn a_picture_replaced_or_gone_between_reading_and_copying(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    for replacement in [Some(png("once more")), None] {
        let bucket = edited(tags).await;
        let expected = replacement.clone();
        let lake = before_first(&bucket, OperationKind::Copy, &keys::image("1"), move |bucket| {
            let replacement = replacement.clone();
            async move {
                match replacement {
                    Some(bytes) => plain(&bucket).put("1.png", bytes).await,
                    None => plain(&bucket).remove("1.png").await,
                }
            }
        });
        lake.run().await;
        let copy = |images: std::collections::BTreeMap<String, bytes::Bytes>| images.get(&keys::image("1")).cloned();
        assert_eq!(copy(lake.objects(keys::IMAGES).await), expected.map(bytes::Bytes::from));
        assert_eq!(plain(&bucket).run().await.committed, Some(false));
    }
}
