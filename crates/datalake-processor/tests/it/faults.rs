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
    bucket::{Bucket, Metadata, PutMode},
    faults::{Fate, Faulty, Operation, OperationKind},
    memory::MemoryBucket,
};
use futures_util::FutureExt;

use crate::lake::{TestLake, csv, options, png};

/// A lake over a store with a script, and the same lake without.
fn faulty(bucket: &MemoryBucket, script: impl Fn(&Operation) -> Fate + Send + Sync + 'static) -> (TestLake, Faulty) {
    let faulty = Faulty::new(Arc::new(bucket.clone()), script);
    (TestLake::over(Arc::new(faulty.clone()), Arc::default()), faulty)
}

fn plain(bucket: &MemoryBucket) -> TestLake {
    TestLake::over(Arc::new(bucket.clone()), Arc::default())
}

/// Three users processed, and then every kind of edit.
async fn edited() -> MemoryBucket {
    let bucket = MemoryBucket::new();
    let lake = plain(&bucket);
    for id in ["1", "2", "3", "4"] {
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
#[tokio::test]
async fn killed_at_each_request() {
    let undisturbed = edited().await;
    let before = shown(&undisturbed).await;
    let (lake, counter) = faulty(&undisturbed, |_| Fate::Pass);
    lake.run().await;
    let after = shown(&undisturbed).await;
    let images = plain(&undisturbed).objects(keys::IMAGES).await;
    let operations = counter.operations();
    assert!(operations > 20, "{operations} operations");

    for last in 0..operations {
        for fate in [Fate::HaltBefore, Fate::HaltAfter] {
            let bucket = edited().await;
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
            let linked: Vec<_> = after
                .1
                .iter()
                .filter_map(|row| row.rsplit_once(','))
                .map(|(_, key)| key)
                .filter(|key| !key.is_empty())
                .collect();
            let copies = plain(&bucket).objects(keys::IMAGES).await;
            for key in linked {
                assert_eq!(copies.get(key), images.get(key), "the copy {key}, after {fate:?} at {last}");
            }
        }
    }
}

/// An answer that is lost is no half state: the run fails or succeeds, and the next one agrees with it.
#[tokio::test]
async fn each_answer_lost() {
    let undisturbed = edited().await;
    let (lake, counter) = faulty(&undisturbed, |_| Fate::Pass);
    lake.run().await;
    let after = shown(&undisturbed).await;
    for lost in 0..counter.operations() {
        let bucket = edited().await;
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
#[tokio::test]
async fn a_commit_whose_answer_is_lost_counts() {
    let bucket = edited().await;
    let is_commit = |operation: &Operation| operation.kind == OperationKind::Put && operation.key == keys::log_entry(1);
    let (lake, _) = faulty(
        &bucket,
        move |operation| if is_commit(operation) { Fate::FailAfter } else { Fate::Pass },
    );
    let report = lake.run().await;
    assert_eq!((report.committed, report.version), (true, Some(1)));
}

/// Another run commits between a run's load and its commit: the loser begins again, and reads nothing twice.
#[tokio::test]
async fn a_lost_race_is_run_again() {
    let bucket = edited().await;
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
    let report = TestLake::over(Arc::new(store), Arc::default()).run().await;
    assert_eq!((report.version, report.committed), (Some(1), false), "the other run did it all");
    let rows = plain(&bucket).rows().await;
    assert_eq!(rows.len(), 5, "{rows:?}");
    assert!(plain(&bucket).output().await.contains("6,Fay,Between"));
}

/// Runs at once end in one history, whoever wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once() {
    let bucket = edited().await;
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

#[tokio::test]
async fn a_store_without_create_if_absent_is_refused() {
    let ignores = |operation: &Operation| {
        if operation.kind == OperationKind::Put {
            Fate::IgnoreCondition
        } else {
            Fate::Pass
        }
    };
    let bucket = MemoryBucket::new();
    plain(&bucket).put("1.csv", csv("Ada", "Lee", 1)).await;
    let (lake, _) = faulty(&bucket, ignores);
    let report = lake.run_with(&options(RunMode::Incremental)).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Misconfigured, 2));
    assert!(report.error.unwrap().contains("--single-writer"));
    assert!(plain(&bucket).objects(keys::LOG).await.is_empty());

    let report = lake
        .run_with(&RunOptions {
            writers: Writers::Single,
            ..options(RunMode::Incremental)
        })
        .await;
    assert_eq!((report.outcome, report.committed), (RunOutcome::Succeeded, true));
}

/// Edits the sources just before a key is read for the first time.
fn edits_before_reading(bucket: &MemoryBucket, key: &'static str, bytes: Option<&'static str>) -> TestLake {
    let edited = bucket.clone();
    let is_done = Arc::new(AtomicBool::new(false));
    let hook = move |operation: Operation| {
        let edited = edited.clone();
        let is_time = operation.kind == OperationKind::Get && operation.key == keys::source(key) && !is_done.swap(true, Ordering::SeqCst);
        async move {
            match bytes {
                _ if !is_time => {}
                Some(bytes) => drop(
                    edited
                        .put(&keys::source(key), bytes.into(), PutMode::Replace, &Metadata::new())
                        .await
                        .unwrap(),
                ),
                None => edited.delete(&keys::source(key), None).await.unwrap(),
            }
        }
        .boxed()
    };
    TestLake::over(
        Arc::new(Faulty::with_hook(Arc::new(bucket.clone()), |_| Fate::Pass, hook)),
        Arc::default(),
    )
}

#[tokio::test]
async fn a_source_replaced_between_listing_and_reading() {
    let bucket = edited().await;
    let lake = edits_before_reading(&bucket, "1.csv", Some("first_name,last_name,birthts\nAda,Replaced,1\n"));
    lake.run().await;
    assert!(lake.output().await.contains("1,Ada,Replaced,1,"));
    assert!(
        !plain(&bucket).run().await.committed,
        "the recorded tag is that of the bytes that were read"
    );
}

#[tokio::test]
async fn a_source_that_vanishes_between_listing_and_reading() {
    let bucket = edited().await;
    let lake = edits_before_reading(&bucket, "1.csv", None);
    assert_eq!(lake.run().await.counts.removed, 2);
    assert!(!lake.output().await.contains("1,Ada"));
}

#[tokio::test]
async fn a_store_that_is_down_changes_nothing() {
    let bucket = edited().await;
    let before = shown(&bucket).await;
    let (lake, _) = faulty(&bucket, |_| Fate::FailBefore);
    let report = lake.run_with(&options(RunMode::Incremental)).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Failed, 1));
    assert_eq!(shown(&bucket).await, before);
}

#[tokio::test]
async fn a_run_that_is_asked_to_stop_changes_nothing() {
    let bucket = edited().await;
    let before = shown(&bucket).await;
    let stopped = options(RunMode::Incremental);
    stopped.cancel.cancel();
    let report = plain(&bucket).run_with(&stopped).await;
    assert_eq!((report.outcome, report.outcome.exit_status()), (RunOutcome::Stopped, 1));
    assert_eq!(shown(&bucket).await, before);
}
