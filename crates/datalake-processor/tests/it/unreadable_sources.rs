//! Sources that cannot be read.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use datalake_core::{
    keys,
    run::{RunMode, RunOutcome},
};
use datalake_store::{
    bucket::{Bucket, Metadata, PutMode},
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::MemoryBucket,
};
use futures_util::FutureExt;

use crate::lake::{COPIES, TestLake, csv, options, plain, png};

/// A lake of three users with images. While the flag is set, the store denies access to the sources with these names.
async fn denying(bucket: &MemoryBucket, names: &'static [&str]) -> (TestLake, Arc<AtomicBool>) {
    for id in ["1", "2", "3"] {
        plain(bucket).put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
        plain(bucket).put(&format!("{id}.png"), png(id)).await;
    }
    let denies = Arc::new(AtomicBool::new(true));
    let script = {
        let denies = Arc::clone(&denies);
        move |operation: &Operation| {
            let is_denied = names.iter().any(|name| operation.key == keys::source(name));
            match operation.kind == OperationKind::Get && is_denied && denies.load(Ordering::SeqCst) {
                true => FaultAction::Deny,
                false => FaultAction::Pass,
            }
        }
    };
    (TestLake::with_faults(Faulty::new(Arc::new(bucket.clone()), script), bucket), denies)
}

#[tokio::test]
async fn unreadable_source_is_rejected_with_its_cause() {
    let bucket = MemoryBucket::new();
    let (lake, denies) = denying(&bucket, &["2.csv", "3.png"]).await;
    let report = lake.run().await;
    assert_eq!(
        (report.outcome, report.counts.users, report.counts.rejected),
        (RunOutcome::Succeeded, 2, 2)
    );
    assert_eq!(lake.rejects().await, ["2.csv unreadable", "3.png unreadable"]);
    let output = lake.output().await;
    assert!(
        output.contains("\n1,Ada,1,1,processed_data/images/1.png\n") && output.ends_with("\n3,Ada,3,1,\n"),
        "{output}"
    );
    let table = lake.table();
    let version = table.latest().await.unwrap().unwrap();
    let open = table.rejects(&version).await.unwrap();
    let found = &open[0].reason(version.dataset()).found;
    assert!(found.contains("the store denies access (KMS.DisabledException)"), "{found}");

    // A listing does not contain permissions, so the source is read again. The reject is not counted as new.
    let again = lake.run().await;
    assert_eq!(
        (again.committed, again.counts.csv_read, again.counts.rejects_open),
        (Some(false), 1, 2)
    );
    denies.store(false, Ordering::SeqCst);
    let report = lake.run().await;
    assert_eq!((report.counts.added, report.counts.images_copied), (1, 2));
    assert!(lake.rejects().await.is_empty());
}

#[tokio::test]
async fn last_valid_row_of_an_unreadable_source_is_kept() {
    let bucket = MemoryBucket::new();
    let (lake, denies) = denying(&bucket, &["2.csv", "2.png"]).await;
    denies.store(false, Ordering::SeqCst);
    lake.run().await;
    let before = lake.output().await;
    denies.store(true, Ordering::SeqCst);
    plain(&bucket).put("2.csv", csv("Ada", "Changed", 1)).await;
    lake.run_in(RunMode::Full).await;
    assert_eq!(lake.output().await, before);
    assert_eq!(lake.rejects().await, ["2.csv unreadable", "2.png unreadable"]);
    assert_eq!(lake.objects(COPIES).await.len(), 3, "copies are kept too");
}

#[tokio::test]
async fn run_that_may_not_read_most_sources_fails() {
    let bucket = MemoryBucket::new();
    let (lake, _) = denying(&bucket, &["1.csv", "2.csv", "3.csv", "1.png"]).await;
    let report = lake.run_with(&options(RunMode::Incremental)).await;
    assert_eq!((report.outcome, report.committed), (RunOutcome::Misconfigured, Some(false)));
    let error = report.error.unwrap();
    assert!(error.contains("the store denies access"), "{error}");
    assert!(lake.objects(keys::TABLE).await.is_empty());
}

#[tokio::test]
async fn source_that_keeps_changing_is_rejected_as_unstable() {
    let bucket = MemoryBucket::new();
    plain(&bucket).put("1.csv", csv("Ada", "First", 1)).await;
    plain(&bucket).run().await;
    let edition = Arc::new(AtomicI64::new(0));
    let hook = {
        let (bucket, edition) = (bucket.clone(), Arc::clone(&edition));
        move |operation: Operation| {
            let (bucket, edition) = (bucket.clone(), Arc::clone(&edition));
            async move {
                if operation.kind == OperationKind::Get && operation.key == keys::source("1.csv") {
                    let bytes = csv("Ada", "Next", edition.fetch_add(1, Ordering::SeqCst));
                    bucket
                        .put(&operation.key, bytes.into(), PutMode::Replace, &Metadata::new())
                        .await
                        .unwrap();
                }
            }
            .boxed()
        }
    };
    plain(&bucket).put("1.csv", csv("Ada", "Second", 1)).await;
    let lake = TestLake::with_faults(Faulty::with_hook(Arc::new(bucket.clone()), |_| FaultAction::Pass, hook), &bucket);
    let report = lake.run().await;
    assert_eq!((report.outcome, report.counts.rejected), (RunOutcome::Succeeded, 1));
    assert_eq!(lake.rejects().await, ["1.csv unstable"]);
    assert!(lake.output().await.contains("1,Ada,First,1,"), "the last valid row is kept");
    let last = edition.load(Ordering::SeqCst) - 1;
    plain(&bucket).run().await;
    assert!(
        lake.output().await.contains(&format!("1,Ada,Next,{last},")),
        "the next run reads it again"
    );
    assert!(lake.rejects().await.is_empty());
}

/// For example because a proxy changes the ETags of objects but not those of listings.
#[tokio::test]
async fn first_run_without_a_readable_user_creates_no_table() {
    let bucket = MemoryBucket::new();
    for id in ["1", "2"] {
        plain(&bucket).put(&format!("{id}.csv"), csv("Ada", id, 1)).await;
    }
    for action in [FaultAction::Conflict, FaultAction::Vanish] {
        let script = move |operation: &Operation| match operation.kind == OperationKind::Get && operation.key.starts_with(keys::SOURCES) {
            true => action,
            false => FaultAction::Pass,
        };
        let lake = TestLake::with_faults(Faulty::new(Arc::new(bucket.clone()), script), &bucket);
        // The options allow any number of rejects.
        let report = lake.run_with(&options(RunMode::Incremental)).await;
        assert_eq!(report.outcome, RunOutcome::Failed);
        let error = report.error.unwrap();
        assert!(error.contains("2 of 2 CSV sources changed or vanished"), "{error}");
        assert!(lake.objects(keys::TABLE).await.is_empty());
    }
    plain(&bucket).run().await;
    assert_eq!(plain(&bucket).rows().await.len(), 2);
}
