//! A run that dies, is stopped, or whose store fails.

use std::sync::Arc;

use datalake_core::{
    keys,
    report::{RunMode, RunOutcome},
};
use datalake_processor::options::{RunOptions, Writers};
use datalake_store::{
    faults::{Fate, Faulty, Operation, OperationKind},
    memory::{EtagInput, MemoryBucket},
};
use jiff::SignedDuration;
use rstest::rstest;

use crate::lake::{TestLake, csv, edited, options, plain, png, shown};

/// A lake over a store with a script, and the same lake without.
fn faulty(bucket: &MemoryBucket, script: impl Fn(&Operation) -> Fate + Send + Sync + 'static) -> (TestLake, Faulty) {
    let faulty = Faulty::new(Arc::new(bucket.clone()), script);
    (TestLake::behind(faulty.clone(), bucket), faulty)
}

/// Whatever request of a run is its last: readers see the state before or after, and the next run says what an undisturbed one would.
#[rstest]
#[tokio::test]
async fn killed_at_each_request(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let undisturbed = edited(tags).await;
    let before = shown(&undisturbed).await;
    let (lake, counter) = faulty(&undisturbed, |_| Fate::Pass);
    lake.run().await;
    let after = shown(&undisturbed).await;
    let images = plain(&undisturbed).objects(keys::IMAGES).await;
    let operations = counter.operations();
    assert!(operations > 20, "{operations} operations");

    for last in 0..operations {
        for fate in [Fate::HaltBefore, Fate::HaltAfter] {
            let bucket = edited(tags).await;
            let (dying, _) = faulty(&bucket, move |operation| if operation.number == last { fate } else { Fate::Pass });
            let _dies = dying.run_with(&options(RunMode::Incremental)).await;

            let left = shown(&bucket).await;
            assert!(
                left.1 == before.1 || left.1 == after.1,
                "between the states, after {fate:?} at {last}: {left:?}"
            );
            assert!(
                left.0 == before.0 || left.0 == after.0,
                "half an output, after {fate:?} at {last}: {left:?}"
            );
            // Copies that a dead run unlinked are removed once it cannot be active any more.
            bucket.advance_to(bucket.now() + SignedDuration::from_mins(61));
            plain(&bucket).run().await;
            assert_eq!(shown(&bucket).await, after, "after {fate:?} at {last}");
            assert_eq!(
                plain(&bucket).objects(keys::IMAGES).await,
                images,
                "the copies, after {fate:?} at {last}"
            );
        }
    }
}

/// A run dies at each of its requests, and then its edits are taken back: the copies that it had replaced are those of the table again.
#[rstest]
#[tokio::test]
async fn killed_at_each_request_and_its_edits_undone(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let undisturbed = edited(tags).await;
    let (lake, counter) = faulty(&undisturbed, |_| Fate::Pass);
    lake.run().await;
    for last in 0..counter.operations() {
        let bucket = edited(tags).await;
        let (dying, _) = faulty(
            &bucket,
            move |operation| {
                if operation.number == last { Fate::HaltAfter } else { Fate::Pass }
            },
        );
        let _dies = dying.run_with(&options(RunMode::Incremental)).await;
        let lake = plain(&bucket);
        for id in ["1", "2", "3", "4", "7"] {
            lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
            lake.put(&format!("{id}.png"), png(id)).await;
        }
        lake.remove("5.csv").await;
        lake.remove("5.png").await;
        bucket.advance_to(bucket.now() + SignedDuration::from_mins(61));
        lake.run().await;
        let copies: Vec<_> = lake.objects(keys::IMAGES).await.into_iter().collect();
        let expected = ["1", "2", "3", "4", "7"].map(|id| (keys::image(id), bytes::Bytes::from(png(id))));
        assert_eq!(copies, expected, "after it was killed at {last}");
        assert!(lake.run().await.committed == Some(false), "after it was killed at {last}");
    }
}

/// A run that fails after its commit leaves its announcement; the next one does what is left and takes it back.
#[rstest]
#[tokio::test]
async fn notes_of_dead_runs_are_settled(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let (lake, _) = faulty(&bucket, |operation| match (operation.kind, operation.key.as_str()) {
        (OperationKind::Put, keys::OUTPUT) => Fate::FailBefore,
        _ => Fate::Pass,
    });
    let noted = async || plain(&bucket).objects(keys::IMAGE_INTENTS).await.len();
    assert_eq!(lake.run_with(&options(RunMode::Incremental)).await.outcome, RunOutcome::Failed);
    assert_eq!(noted().await, 1);
    let next = plain(&bucket).run().await;
    assert_eq!(
        (next.committed, next.counts.images_removed),
        (Some(false), 0),
        "the run that noted them may be active"
    );
    assert_eq!(noted().await, 1);
    bucket.advance_to(bucket.now() + SignedDuration::from_mins(61));
    let next = plain(&bucket).run().await;
    assert_eq!((next.committed, next.counts.images_removed), (Some(false), 2));
    assert_eq!(noted().await, 0);
}

/// An answer that is lost is no half state: the run fails or succeeds, and the next one agrees with it.
#[rstest]
#[tokio::test]
async fn each_answer_lost(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let undisturbed = edited(tags).await;
    let (lake, counter) = faulty(&undisturbed, |_| Fate::Pass);
    lake.run().await;
    let after = shown(&undisturbed).await;
    for lost in 0..counter.operations() {
        let bucket = edited(tags).await;
        let (lake, _) = faulty(
            &bucket,
            move |operation| if operation.number == lost { Fate::FailAfter } else { Fate::Pass },
        );
        let report = lake.run_with(&options(RunMode::Incremental)).await;
        assert!(matches!(report.outcome, RunOutcome::Succeeded | RunOutcome::Failed), "{report:?}");
        plain(&bucket).run().await;
        assert_eq!(shown(&bucket).await, after, "the answer to {lost} was lost");
    }
}

/// A commit whose answer is lost took place, and the run knows it.
#[rstest]
#[tokio::test]
async fn a_commit_whose_answer_is_lost_counts(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let is_commit = |operation: &Operation| operation.kind == OperationKind::Put && operation.key == keys::log_entry(1);
    let (lake, _) = faulty(
        &bucket,
        move |operation| if is_commit(operation) { Fate::FailAfter } else { Fate::Pass },
    );
    let report = lake.run().await;
    assert_eq!((report.committed, report.version), (Some(true), Some(1)));
}

/// Whether the store ignores the condition or refuses it: for many writers it is none to work with, for a single one it is.
#[rstest]
#[tokio::test]
async fn a_store_without_create_if_absent_is_refused(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    for fate in [Fate::IgnoreCondition, Fate::RefuseCondition] {
        let bucket = MemoryBucket::new().with_etags_of(tags);
        plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
        let (lake, _) = faulty(&bucket, move |operation| match operation.kind {
            OperationKind::Put => fate,
            _ => Fate::Pass,
        });
        let report = lake.run_with(&options(RunMode::Incremental)).await;
        assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Misconfigured, 2));
        assert!(report.error.unwrap().contains("--single-writer"), "{fate:?}");
        assert!(plain(&bucket).objects(keys::LOG).await.is_empty());

        for (first_name, version) in [("Ada", 0), ("Bea", 1)] {
            plain(&bucket).put("1.csv", csv(first_name, "Lee", 1)).await;
            let alone = RunOptions {
                writers: Writers::Single,
                ..options(RunMode::Incremental)
            };
            let report = lake.run_with(&alone).await;
            let expected = (RunOutcome::Succeeded, Some(true), Some(version));
            assert_eq!((report.outcome, report.committed, report.version), expected, "{fate:?}: {report:?}");
            assert!(plain(&bucket).output().await.contains(first_name), "{fate:?}");
        }
    }
}

/// What fails after the commit does not undo it, and the report says that it stands.
#[rstest]
#[tokio::test]
async fn a_run_that_fails_after_its_commit_says_what_it_committed(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput,
) {
    let bucket = edited(tags).await;
    let (lake, _) = faulty(&bucket, |operation| {
        if operation.kind == OperationKind::Put && operation.key == keys::OUTPUT {
            Fate::FailBefore
        } else {
            Fate::Pass
        }
    });
    let report = lake.run_with(&options(RunMode::Incremental)).await;
    assert_eq!(
        (report.outcome, report.committed, report.version),
        (RunOutcome::Failed, Some(true), Some(1))
    );
    assert_eq!((report.counts.added, report.counts.removed, report.counts.users), (1, 1, 5));
    let next = plain(&bucket).run().await;
    assert!(next.committed == Some(false) && plain(&bucket).output().await.contains("5,Eve,New"));
}

/// The clean-up and the look at the store's clock are courtesies.
#[rstest]
#[tokio::test]
async fn a_clean_up_that_fails_is_tried_again_by_the_next_run(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let (lake, _) = faulty(&bucket, |operation| {
        let is_courtesy =
            operation.key == keys::LAST_VACUUM || (operation.kind == OperationKind::Head && operation.key == keys::log_entry(1));
        if is_courtesy { Fate::FailBefore } else { Fate::Pass }
    });
    assert_eq!(lake.run_with(&options(RunMode::Incremental)).await.outcome, RunOutcome::Succeeded);
}

/// Whatever a run does, it writes under `processed_data/` alone.
#[rstest]
#[tokio::test]
async fn sources_are_never_written(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let (lake, _) = faulty(&bucket, |operation| {
        let is_read = matches!(operation.kind, OperationKind::List | OperationKind::Get | OperationKind::Head);
        let is_private = matches!(operation.kind, OperationKind::Fence | OperationKind::Sweep);
        assert!(
            is_read || is_private || operation.key.starts_with("processed_data/"),
            "{operation:?}"
        );
        Fate::Pass
    });
    lake.run().await;
    lake.run_in(RunMode::Full).await;
}

#[rstest]
#[tokio::test]
async fn a_store_that_is_down_changes_nothing(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let before = shown(&bucket).await;
    let (lake, _) = faulty(&bucket, |_| Fate::FailBefore);
    let report = lake.run_with(&options(RunMode::Incremental)).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Failed, 1));
    assert_eq!(shown(&bucket).await, before);
}

#[rstest]
#[tokio::test]
async fn a_run_that_is_asked_to_stop_changes_nothing(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] tags: EtagInput) {
    let bucket = edited(tags).await;
    let before = shown(&bucket).await;
    let stopped = options(RunMode::Incremental);
    stopped.cancel.cancel();
    let report = plain(&bucket).run_with(&stopped).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Stopped, 1));
    assert_eq!(shown(&bucket).await, before);
}
