//! A run that dies, or that is not alone.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use datalake_core::{
    keys,
    report::{RunMode, RunOutcome},
};
use datalake_processor::run::{RunOptions, Writers};
use datalake_store::{
    bucket::Bucket,
    faults::{Fate, Faulty, Operation, OperationKind},
    memory::{MemoryBucket, Tags},
};
use futures_util::FutureExt;
use rstest::rstest;

use crate::lake::{TestLake, before_first, csv, options, plain, png};

/// A lake over a store with a script, and the same lake without.
fn faulty(bucket: &MemoryBucket, script: impl Fn(&Operation) -> Fate + Send + Sync + 'static) -> (TestLake, Faulty) {
    let faulty = Faulty::new(Arc::new(bucket.clone()), script);
    (TestLake::behind(faulty.clone(), bucket), faulty)
}

/// Three users processed, and then every kind of edit.
async fn edited(tags: Tags) -> MemoryBucket {
    let bucket = MemoryBucket::new().tagged_by(tags);
    let lake = plain(&bucket);
    for id in ["1", "2", "3", "4", "7"] {
        lake.put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
        lake.put(&format!("{id}.png"), png(id)).await;
    }
    lake.run().await;
    lake.put("1.csv", csv("Ada", "Changed", 1)).await;
    lake.put("1.png", png("changed")).await;
    lake.remove("2.csv").await;
    lake.remove("3.png").await;
    lake.put("4.csv", "broken").await;
    lake.put("5.csv", csv("Eve", "New", 5)).await;
    lake.put("5.png", png("5")).await;
    lake.put("7.png", png("replaced")).await;
    bucket
}

async fn shown(bucket: &MemoryBucket) -> (String, Vec<String>, Vec<String>) {
    let lake = plain(bucket);
    (lake.output().await, lake.rows().await, lake.refusals().await)
}

/// Does something on a thread of its own, as another process would.
async fn elsewhere<T: Send + 'static, F: Future<Output = T>>(work: impl FnOnce() -> F + Send + 'static) -> T {
    let run = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(work())
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Whatever request of a run is its last: readers see the state before or after, and the next run says what an undisturbed one would.
#[rstest]
#[tokio::test]
async fn killed_at_each_request(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
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
async fn killed_at_each_request_and_its_edits_undone(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
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
        lake.run().await;
        let copies: Vec<_> = lake.objects(keys::IMAGES).await.into_iter().collect();
        let expected = ["1", "2", "3", "4", "7"].map(|id| (keys::image(id), bytes::Bytes::from(png(id))));
        assert_eq!(copies, expected, "after it was killed at {last}");
        assert!(!lake.run().await.committed, "after it was killed at {last}");
    }
}

/// A run that fails after its commit leaves its announcement; the next one does what is left and takes it back.
#[rstest]
#[tokio::test]
async fn announcements_are_taken_back(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let (lake, _) = faulty(&bucket, |operation| match (operation.kind, operation.key.as_str()) {
        (OperationKind::Put, keys::OUTPUT) => Fate::FailBefore,
        _ => Fate::Pass,
    });
    let announced = async || plain(&bucket).objects(keys::PICTURE_CHANGES).await.len();
    assert_eq!(lake.run_with(&options(RunMode::Incremental)).await.outcome, RunOutcome::Failed);
    assert_eq!(announced().await, 1);
    let next = plain(&bucket).run().await;
    assert_eq!((next.committed, next.counts.images_removed), (false, 2));
    assert_eq!(announced().await, 0);
}

/// An answer that is lost is no half state: the run fails or succeeds, and the next one agrees with it.
#[rstest]
#[tokio::test]
async fn each_answer_lost(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
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
async fn a_commit_whose_answer_is_lost_counts(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let is_commit = |operation: &Operation| operation.kind == OperationKind::Put && operation.key == keys::log_entry(1);
    let (lake, _) = faulty(
        &bucket,
        move |operation| if is_commit(operation) { Fate::FailAfter } else { Fate::Pass },
    );
    let report = lake.run().await;
    assert_eq!((report.committed, report.version), (true, Some(1)));
}

/// Another run commits between a run's load and its commit: the loser begins again, and reads nothing twice.
#[rstest]
#[tokio::test]
async fn a_lost_race_is_run_again(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let other = bucket.clone();
    let has_come_between = Arc::new(AtomicBool::new(false));
    let hook = move |operation: Operation| {
        let other = other.clone();
        let is_time = operation.kind == OperationKind::Put && operation.key == keys::log_entry(1);
        let comes_now = is_time && !has_come_between.swap(true, Ordering::SeqCst);
        async move {
            if comes_now {
                elsewhere(move || async move {
                    let lake = plain(&other);
                    lake.put("6.csv", csv("Fay", "Between", 6)).await;
                    lake.run().await
                })
                .await;
            }
        }
        .boxed()
    };
    let store = Faulty::with_hook(Arc::new(bucket.clone()), |_| Fate::Pass, hook);
    let report = TestLake::behind(store, &bucket).run().await;
    assert_eq!((report.version, report.committed), (Some(1), false), "the other run did it all");
    let rows = plain(&bucket).rows().await;
    assert_eq!(rows.len(), 6, "{rows:?}");
    assert!(plain(&bucket).output().await.contains("6,Fay,Between"));
}

/// Runs at once end in one history, whoever wins.
#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let runs = (0..6).map(|_| {
        let bucket = bucket.clone();
        elsewhere(move || async move { plain(&bucket).run_with(&options(RunMode::Incremental)).await })
    });
    let reports = futures_util::future::join_all(runs).await;
    let committed = reports.iter().filter(|report| report.committed).count();
    assert_eq!(committed, 1);
    assert!(reports.iter().all(|report| report.outcome == RunOutcome::Succeeded));
    assert!(!plain(&bucket).run().await.committed);
}

/// Whether the store ignores the condition or refuses it: for many writers it is none to work with, for a single one it is.
#[rstest]
#[tokio::test]
async fn a_store_without_create_if_absent_is_refused(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    for fate in [Fate::IgnoreCondition, Fate::RefuseCondition] {
        let bucket = MemoryBucket::new().tagged_by(tags);
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
            let expected = (RunOutcome::Succeeded, true, Some(version));
            assert_eq!((report.outcome, report.committed, report.version), expected, "{fate:?}: {report:?}");
            assert!(plain(&bucket).output().await.contains(first_name), "{fate:?}");
        }
    }
}

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
async fn a_source_replaced_between_listing_and_reading(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let lake = edits_before_reading(&bucket, "1.csv", Some(csv("Ada", "Replaced", 1).into_bytes()));
    lake.run().await;
    assert!(lake.output().await.contains("1,Ada,Replaced,1,"));
    assert!(
        !plain(&bucket).run().await.committed,
        "the recorded tag is that of the bytes that were read"
    );
}

#[rstest]
#[tokio::test]
async fn a_source_that_vanishes_between_listing_and_reading(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let lake = edits_before_reading(&bucket, "1.csv", None);
    assert_eq!(lake.run().await.counts.removed, 2);
    assert!(!lake.output().await.contains("1,Ada"));
}

/// As when a file system is unmounted under a run that reads every source again.
#[rstest]
#[tokio::test]
async fn a_mass_of_sources_that_vanish_while_they_are_read_is_a_mass_deletion(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = MemoryBucket::new().tagged_by(tags);
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
async fn a_picture_replaced_between_listing_and_reading(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    edits_before_reading(&bucket, "1.png", Some(png("once more"))).run().await;
    assert_eq!(plain(&bucket).objects(keys::IMAGES).await[&keys::image("1")], png("once more"));
    assert!(
        !plain(&bucket).run().await.committed,
        "the recorded tag is that of the bytes that were read"
    );
}

#[rstest]
#[tokio::test]
async fn a_picture_that_vanishes_between_listing_and_reading(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    edits_before_reading(&bucket, "1.png", None).run().await;
    assert!(plain(&bucket).output().await.contains("1,Ada,Changed,1,\n"));
    assert!(!plain(&bucket).objects(keys::IMAGES).await.contains_key(&keys::image("1")));
}

/// What is copied is what was read, or nothing: the next run sees the change.
#[rstest]
#[tokio::test]
async fn a_picture_replaced_or_gone_between_reading_and_copying(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
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
        assert_eq!(
            copy(lake.objects(keys::IMAGES).await),
            Some(png("1").into()),
            "the copy is the one that is linked"
        );
        assert!(plain(&bucket).run().await.committed);
        assert_eq!(copy(lake.objects(keys::IMAGES).await), expected.map(bytes::Bytes::from));
    }
}

/// Run B has unlinked a picture and is still removing its copy, when run A copies the picture anew and links it: whoever comes last sees
/// to it that there is a copy.
#[rstest]
#[tokio::test]
async fn a_picture_that_one_run_links_while_another_removes_it(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    for moment in ["before the commit", "after it"] {
        let bucket = edited(tags).await;
        plain(&bucket).run().await;
        plain(&bucket).remove("1.png").await;
        let between = move |bucket: MemoryBucket| async move {
            elsewhere(move || async move {
                plain(&bucket).put("1.png", png("back again")).await;
                let slow = if moment == "after it" {
                    plain(&bucket)
                } else {
                    // B's removal falls between A's copy and A's commit.
                    before_first(&bucket, OperationKind::Put, &keys::log_entry(3), |bucket| async move {
                        bucket.delete(&keys::image("1"), None).await.unwrap();
                    })
                };
                slow.run().await;
            })
            .await;
        };
        let removing = before_first(&bucket, OperationKind::Delete, &keys::image("1"), between);
        removing.run().await;
        let images = plain(&bucket).objects(keys::IMAGES).await;
        assert_eq!(images.get(&keys::image("1")), Some(&png("back again").into()), "{moment}");
        assert!(
            plain(&bucket)
                .output()
                .await
                .contains("1,Ada,Changed,1,processed_data/images/1.png\n"),
            "{moment}"
        );
        assert!(!plain(&bucket).run().await.committed, "{moment}");
    }
}

/// What fails after the commit does not undo it, and the report says that it stands.
#[rstest]
#[tokio::test]
async fn a_run_that_fails_after_its_commit_says_what_it_committed(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
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
        (RunOutcome::Failed, true, Some(1))
    );
    assert_eq!((report.counts.added, report.counts.removed, report.counts.users), (1, 1, 5));
    let next = plain(&bucket).run().await;
    assert!(!next.committed && plain(&bucket).output().await.contains("5,Eve,New"));
}

/// The clean-up and the look at the store's clock are courtesies.
#[rstest]
#[tokio::test]
async fn a_clean_up_that_fails_is_tried_again_by_the_next_run(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
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
async fn sources_are_never_written(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let (lake, _) = faulty(&bucket, |operation| {
        let is_read = matches!(operation.kind, OperationKind::List | OperationKind::Get | OperationKind::Head);
        assert!(is_read || operation.key.starts_with("processed_data/"), "{operation:?}");
        Fate::Pass
    });
    lake.run().await;
    lake.run_in(RunMode::Full).await;
}

/// A publisher that comes late leaves the newer file alone.
#[rstest]
#[tokio::test]
async fn output_never_goes_backwards(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let late = before_first(&bucket, OperationKind::Put, keys::OUTPUT, |bucket| async move {
        elsewhere(move || async move {
            plain(&bucket).put("8.csv", csv("Zoe", "Newer", 8)).await;
            plain(&bucket).run().await;
        })
        .await;
    });
    let report = late.run().await;
    assert_eq!(report.version, Some(1));
    assert!(plain(&bucket).output().await.contains("8,Zoe,Newer"), "version 2 is shown");
}

/// By tags of bytes alone a slow publisher cannot tell the file of its base from one of a newer version with the same rows.
#[rstest]
#[tokio::test]
async fn output_ends_at_the_newest_version_though_tags_come_back(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = MemoryBucket::new().tagged_by(tags);
    plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
    plain(&bucket).run().await;
    let before = plain(&bucket).output().await;
    plain(&bucket).put("1.csv", csv("Ada", "Wolf", 1)).await;
    let slow = before_first(&bucket, OperationKind::Put, keys::OUTPUT, |bucket| async move {
        elsewhere(move || async move {
            plain(&bucket).put("1.csv", csv("Ada", "Fox", 1)).await;
            plain(&bucket).run().await;
            plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
            plain(&bucket).run().await;
        })
        .await;
    });
    assert_eq!(slow.run().await.version, Some(1));
    assert_eq!(plain(&bucket).output().await, before, "version 3 is shown");
    let published = bucket.head(keys::OUTPUT).await.unwrap().metadata;
    assert_eq!(published.get("datalake-version").map(String::as_str), Some("3"));
}

#[rstest]
#[tokio::test]
async fn a_store_that_is_down_changes_nothing(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let before = shown(&bucket).await;
    let (lake, _) = faulty(&bucket, |_| Fate::FailBefore);
    let report = lake.run_with(&options(RunMode::Incremental)).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Failed, 1));
    assert_eq!(shown(&bucket).await, before);
}

#[rstest]
#[tokio::test]
async fn a_run_that_is_asked_to_stop_changes_nothing(#[values(Tags::BytesAndMetadata, Tags::Bytes)] tags: Tags) {
    let bucket = edited(tags).await;
    let before = shown(&bucket).await;
    let stopped = options(RunMode::Incremental);
    stopped.cancel.cancel();
    let report = plain(&bucket).run_with(&stopped).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Stopped, 1));
    assert_eq!(shown(&bucket).await, before);
}
