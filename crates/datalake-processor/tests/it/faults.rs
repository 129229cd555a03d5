//! Runs that are killed or cancelled, and stores that fail.

use std::sync::Arc;

use datalake_core::{
    keys,
    run::{RunMode, RunOutcome},
};
use datalake_processor::options::{RunOptions, Writers};
use datalake_store::{
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::{EtagInput, MemoryBucket},
};
use jiff::SignedDuration;
use rstest::rstest;

use crate::lake::{COPIES, TestLake, copy_key, csv, edited, options, plain, png, visible_state};

/// A lake in a store with faults by a script, and the store.
fn faulty(bucket: &MemoryBucket, script: impl Fn(&Operation) -> FaultAction + Send + Sync + 'static) -> (TestLake, Faulty) {
    let faulty = Faulty::new(Arc::new(bucket.clone()), script);
    (TestLake::with_faults(faulty.clone(), bucket), faulty)
}

/// After a run is killed before or after any of its requests, readers see the state before or after the run, and the next run gives the result of an
/// undisturbed run.
#[rstest]
#[tokio::test]
async fn run_killed_at_any_request_is_completed_by_the_next(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let undisturbed = edited(etags).await;
    let before = visible_state(&undisturbed).await;
    let (lake, counter) = faulty(&undisturbed, |_| FaultAction::Pass);
    lake.run().await;
    let after = visible_state(&undisturbed).await;
    let images = plain(&undisturbed).objects(COPIES).await;
    let operations = counter.operations();
    assert!(operations > 20, "{operations} operations");

    for last in 0..operations {
        for action in [FaultAction::HaltBefore, FaultAction::HaltAfter] {
            let bucket = edited(etags).await;
            let (dying, _) = faulty(
                &bucket,
                move |operation| if operation.number == last { action } else { FaultAction::Pass },
            );
            let _killed = dying.run_with(&options(RunMode::Incremental)).await;

            let found = visible_state(&bucket).await;
            assert!(
                found.1 == before.1 || found.1 == after.1,
                "rows between the states, after {action:?} at {last}: {found:?}"
            );
            assert!(
                found.0 == before.0 || found.0 == after.0,
                "partial output, after {action:?} at {last}: {found:?}"
            );
            // Copies that a dead run unlinked are removed when it can no longer be active.
            bucket.advance_to(bucket.now() + SignedDuration::from_mins(61));
            plain(&bucket).run().await;
            assert_eq!(visible_state(&bucket).await, after, "after {action:?} at {last}");
            assert_eq!(
                plain(&bucket).objects(COPIES).await,
                images,
                "the copies, after {action:?} at {last}"
            );
        }
    }
}

#[rstest]
#[tokio::test]
async fn run_killed_at_any_request_whose_edits_are_reverted_restores_copies(
    #[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput,
) {
    let undisturbed = edited(etags).await;
    let (lake, counter) = faulty(&undisturbed, |_| FaultAction::Pass);
    lake.run().await;
    for last in 0..counter.operations() {
        let bucket = edited(etags).await;
        let (dying, _) = faulty(&bucket, move |operation| {
            if operation.number == last {
                FaultAction::HaltAfter
            } else {
                FaultAction::Pass
            }
        });
        let _killed = dying.run_with(&options(RunMode::Incremental)).await;
        let lake = plain(&bucket);
        for id in ["1", "2", "3", "4", "7"] {
            lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
            lake.put(&format!("{id}.png"), png(id)).await;
        }
        lake.remove("5.csv").await;
        lake.remove("5.png").await;
        bucket.advance_to(bucket.now() + SignedDuration::from_mins(61));
        lake.run().await;
        let copies: Vec<_> = lake.objects(COPIES).await.into_iter().collect();
        let expected = ["1", "2", "3", "4", "7"].map(|id| (copy_key(id), bytes::Bytes::from(png(id))));
        assert_eq!(copies, expected, "after it was killed at {last}");
        assert!(lake.run().await.committed == Some(false), "after it was killed at {last}");
    }
}

#[rstest]
#[tokio::test]
async fn intents_of_dead_runs_are_reconciled_by_the_next_run(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let (lake, _) = faulty(&bucket, |operation| match (operation.kind, operation.key.as_str()) {
        (OperationKind::Put, keys::OUTPUT) => FaultAction::FailBefore,
        _ => FaultAction::Pass,
    });
    let intents = async || plain(&bucket).objects(keys::IMAGE_INTENTS).await.len();
    assert_eq!(lake.run_with(&options(RunMode::Incremental)).await.outcome, RunOutcome::Failed);
    assert_eq!(intents().await, 1);
    let next = plain(&bucket).run().await;
    assert_eq!(
        (next.committed, next.counts.images_removed),
        (Some(false), 0),
        "the run that recorded the intents may be active"
    );
    assert_eq!(intents().await, 1);
    bucket.advance_to(bucket.now() + SignedDuration::from_mins(61));
    let next = plain(&bucket).run().await;
    assert_eq!((next.committed, next.counts.images_removed), (Some(false), 2));
    assert_eq!(intents().await, 0);
}

#[rstest]
#[tokio::test]
async fn run_with_any_response_lost_is_completed_by_the_next(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let undisturbed = edited(etags).await;
    let (lake, counter) = faulty(&undisturbed, |_| FaultAction::Pass);
    lake.run().await;
    let after = visible_state(&undisturbed).await;
    for lost in 0..counter.operations() {
        let bucket = edited(etags).await;
        let (lake, _) = faulty(&bucket, move |operation| {
            if operation.number == lost {
                FaultAction::FailAfter
            } else {
                FaultAction::Pass
            }
        });
        let report = lake.run_with(&options(RunMode::Incremental)).await;
        assert!(matches!(report.outcome, RunOutcome::Succeeded | RunOutcome::Failed), "{report:?}");
        plain(&bucket).run().await;
        assert_eq!(visible_state(&bucket).await, after, "the response to request {lost} was lost");
    }
}

#[rstest]
#[tokio::test]
async fn commit_whose_response_is_lost_is_reported_as_committed(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let is_commit = |operation: &Operation| operation.kind == OperationKind::Put && operation.key == keys::log_entry(1);
    let (lake, _) = faulty(&bucket, move |operation| {
        if is_commit(operation) {
            FaultAction::FailAfter
        } else {
            FaultAction::Pass
        }
    });
    let report = lake.run().await;
    assert_eq!((report.committed, report.version), (Some(true), Some(1)));
}

/// The store ignores the condition or rejects requests with it. It can be used only by a single writer.
#[rstest]
#[tokio::test]
async fn store_without_create_if_absent_requires_single_writer(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    for action in [FaultAction::IgnoreCondition, FaultAction::RefuseCondition] {
        let bucket = MemoryBucket::new().with_etags_of(etags);
        plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
        let (lake, _) = faulty(&bucket, move |operation| match operation.kind {
            OperationKind::Put => action,
            _ => FaultAction::Pass,
        });
        let report = lake.run_with(&options(RunMode::Incremental)).await;
        assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Misconfigured, 2));
        assert!(report.error.unwrap().contains("--single-writer"), "{action:?}");
        assert!(plain(&bucket).objects(keys::LOG).await.is_empty());

        for (first_name, version) in [("Ada", 0), ("Bea", 1)] {
            plain(&bucket).put("1.csv", csv(first_name, "Lee", 1)).await;
            let single_writer = RunOptions {
                writers: Writers::Single,
                ..options(RunMode::Incremental)
            };
            let report = lake.run_with(&single_writer).await;
            let expected = (RunOutcome::Succeeded, Some(true), Some(version));
            assert_eq!(
                (report.outcome, report.committed, report.version),
                expected,
                "{action:?}: {report:?}"
            );
            assert!(plain(&bucket).output().await.contains(first_name), "{action:?}");
        }
    }
}

#[rstest]
#[tokio::test]
async fn run_that_fails_after_its_commit_reports_the_commit(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let (lake, _) = faulty(&bucket, |operation| {
        if operation.kind == OperationKind::Put && operation.key == keys::OUTPUT {
            FaultAction::FailBefore
        } else {
            FaultAction::Pass
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

#[rstest]
#[tokio::test]
async fn failed_vacuum_does_not_fail_the_run(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let (lake, _) = faulty(&bucket, |operation| {
        let is_optional =
            operation.key == keys::LAST_VACUUM || (operation.kind == OperationKind::Head && operation.key == keys::log_entry(1));
        if is_optional { FaultAction::FailBefore } else { FaultAction::Pass }
    });
    assert_eq!(lake.run_with(&options(RunMode::Incremental)).await.outcome, RunOutcome::Succeeded);
}

/// A run writes only under `processed_data/`.
#[rstest]
#[tokio::test]
async fn sources_are_never_written(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let (lake, _) = faulty(&bucket, |operation| {
        let is_read = matches!(operation.kind, OperationKind::List | OperationKind::Get | OperationKind::Head);
        let is_private = matches!(operation.kind, OperationKind::Fence | OperationKind::Sweep);
        assert!(
            is_read || is_private || operation.key.starts_with("processed_data/"),
            "{operation:?}"
        );
        FaultAction::Pass
    });
    lake.run().await;
    lake.run_in(RunMode::Full).await;
}

#[rstest]
#[tokio::test]
async fn unavailable_store_fails_the_run_and_changes_nothing(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let before = visible_state(&bucket).await;
    let (lake, _) = faulty(&bucket, |_| FaultAction::FailBefore);
    let report = lake.run_with(&options(RunMode::Incremental)).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Failed, 1));
    assert_eq!(visible_state(&bucket).await, before);
}

#[rstest]
#[tokio::test]
async fn cancelled_run_changes_nothing(#[values(EtagInput::BytesAndMetadata, EtagInput::Bytes)] etags: EtagInput) {
    let bucket = edited(etags).await;
    let before = visible_state(&bucket).await;
    let stopped = options(RunMode::Incremental);
    stopped.cancel.cancel();
    let report = plain(&bucket).run_with(&stopped).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Stopped, 1));
    assert_eq!(visible_state(&bucket).await, before);
}
