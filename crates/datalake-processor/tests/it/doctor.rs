//! The checks of a lake: their results for correct and for incorrect stores, and that they leave nothing.

use std::sync::Arc;

use datalake_core::{keys, run::RunMode};
use datalake_processor::{
    doctor::{Check, CheckResult, examine},
    options::{RunOptions, Writers},
};
use datalake_store::{
    bucket::{Metadata, PutMode},
    faults::{FaultAction, Faulty, Operation, OperationKind},
    memory::MemoryBucket,
};
use tokio_util::sync::CancellationToken;

use crate::lake::{TestLake, now, options};

const CSV: &str = "first_name,last_name,birthts\nAda,Lee,612302400000\n";

async fn checks_with(lake: &TestLake, options: &RunOptions) -> Vec<Check> {
    examine(&lake.lake, options, &|_| {}).await.unwrap()
}

async fn checks(lake: &TestLake) -> Vec<Check> {
    checks_with(lake, &options(RunMode::Incremental)).await
}

/// The checks that did not pass, as `name result`.
fn not_ok(checks: &[Check]) -> Vec<String> {
    let not_ok = checks.iter().filter(|check| check.result != CheckResult::Ok);
    not_ok.map(|check| format!("{} {}", check.name, check.result.as_str())).collect()
}

fn find<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

/// A lake in a store with this fault.
fn faulty(script: impl Fn(&Operation) -> FaultAction + Send + Sync + 'static) -> TestLake {
    let memory = MemoryBucket::new();
    TestLake::with_faults(Faulty::new(Arc::new(memory.clone()), script), &memory)
}

#[tokio::test]
async fn lake_in_a_correct_store_passes_and_is_not_changed() {
    let lake = TestLake::new();
    lake.put("1.csv", CSV).await;
    lake.run().await;
    let before = lake.objects("").await;
    let checks = checks(&lake).await;
    assert_eq!(not_ok(&checks), [""; 0], "{checks:#?}");
    assert!(
        find(&checks, "table").found.contains("version 0 can be loaded: 1 rows"),
        "{checks:#?}"
    );
    assert_eq!(lake.objects("").await, before);
}

#[tokio::test]
async fn lake_without_a_table_has_a_warning() {
    let lake = TestLake::new();
    let checks = checks(&lake).await;
    assert!(
        not_ok(&checks).ends_with(&["table warning".to_owned(), "drift skipped".to_owned()]),
        "{checks:#?}"
    );
    assert_eq!(find(&checks, "table").remedy.as_deref(), Some("run `datalake process`"));
    assert!(lake.objects("").await.is_empty());
}

#[tokio::test]
async fn sources_that_changed_since_the_last_run_are_counted() {
    let lake = TestLake::new();
    for name in ["1.csv", "2.csv", "3.csv"] {
        lake.put(name, CSV).await;
    }
    lake.run().await;
    lake.put("1.csv", CSV.replace("Ada", "Bea")).await;
    lake.put("4.csv", CSV).await;
    lake.remove("2.csv").await;
    let checks = checks(&lake).await;
    let drift = find(&checks, "drift");
    assert_eq!(drift.result, CheckResult::Warning);
    assert!(drift.found.starts_with("2 of 3 listed objects are new or changed"), "{drift:?}");
}

#[tokio::test]
async fn clock_that_differs_by_more_than_minutes_has_a_warning() {
    let lake = TestLake::new();
    lake.advance_to(now() + jiff::SignedDuration::from_hours(1));
    let checks = checks(&lake).await;
    let clock = find(&checks, "clock");
    assert_eq!(clock.result, CheckResult::Warning);
    assert_eq!(clock.found, "the store's clock is 3600 s ahead of this machine's");
}

#[tokio::test]
async fn store_that_ignores_conditions_fails() {
    let lake = faulty(|operation| match operation.kind {
        OperationKind::Put => FaultAction::IgnoreCondition,
        _ => FaultAction::Pass,
    });
    let many = checks(&lake).await;
    for name in ["create if absent", "replace if match"] {
        let check = find(&many, name);
        assert_eq!(check.result, CheckResult::Failed, "{check:?}");
        assert!(check.found.starts_with("8 of 8 simultaneous"), "{check:?}");
        assert!(check.remedy.as_deref().unwrap().contains("--single-writer"), "{check:?}");
        assert!(!check.is_transient);
    }
    let single = RunOptions {
        writers: Writers::Single,
        ..options(RunMode::Incremental)
    };
    let single = checks_with(&lake, &single).await;
    assert_eq!(find(&single, "create if absent").result, CheckResult::Warning);
}

#[tokio::test]
async fn store_that_rejects_conditions_fails() {
    let lake = faulty(|operation| match operation.kind {
        OperationKind::Put => FaultAction::RefuseCondition,
        _ => FaultAction::Pass,
    });
    let checks = checks(&lake).await;
    let check = find(&checks, "create if absent");
    assert_eq!(
        (check.result, check.found.as_str()),
        (CheckResult::Failed, "the store does not support conditional writes")
    );
}

#[tokio::test]
async fn denied_operations_fail_with_the_checks_that_need_them() {
    let lake = faulty(|operation| match operation.kind {
        OperationKind::Put => FaultAction::Deny,
        _ => FaultAction::Pass,
    });
    let checks = checks(&lake).await;
    let write = find(&checks, "write");
    assert!(write.result == CheckResult::Failed && !write.is_transient, "{checks:#?}");
    for name in ["create if absent", "copy", "delete"] {
        assert_eq!(find(&checks, name).result, CheckResult::Skipped, "{name}: {checks:#?}");
    }
}

#[tokio::test]
async fn unreachable_store_is_worth_a_retry() {
    let lake = faulty(|_| FaultAction::FailBefore);
    let checks = checks(&lake).await;
    assert!(find(&checks, "list").is_transient, "{checks:#?}");
    assert!(checks[1..].iter().all(|check| check.result == CheckResult::Skipped), "{checks:#?}");
    assert_eq!(checks.len(), 12);
}

#[tokio::test]
async fn outdated_reads_fail() {
    let lake = faulty(|operation| match operation.kind {
        OperationKind::Head if operation.key.ends_with("read-back") => FaultAction::Pass,
        // A listing that does not show an object.
        OperationKind::List if operation.key.ends_with("read-back") => FaultAction::Vanish,
        _ => FaultAction::Pass,
    });
    let checks = checks(&lake).await;
    assert_eq!(find(&checks, "read after write").result, CheckResult::Failed, "{checks:#?}");
}

#[tokio::test]
async fn cancelled_checks_leave_nothing() {
    let memory = MemoryBucket::new();
    let cancel = CancellationToken::new();
    let cancelled = cancel.clone();
    let script = move |operation: &Operation| {
        if operation.kind == OperationKind::Copy {
            cancelled.cancel();
        }
        FaultAction::Pass
    };
    let hook = |operation: Operation| -> futures_util::future::BoxFuture<'static, ()> {
        Box::pin(async move {
            // The checks wait here when they are cancelled.
            if operation.kind == OperationKind::Copy {
                std::future::pending::<()>().await;
            }
        })
    };
    let lake = TestLake::with_faults(Faulty::with_hook(Arc::new(memory.clone()), script, hook), &memory);
    let options = RunOptions {
        cancel,
        ..options(RunMode::Incremental)
    };
    assert_eq!(examine(&lake.lake, &options, &|_| {}).await, None);
    assert!(memory.peek_all(keys::PROBES).is_empty());
}

#[tokio::test]
async fn every_folder_of_a_declaration_is_listed_and_read() {
    let lake = TestLake::new();
    let declaration = "source.key = 'samples/{id}.csv'\n[files.scan]\nkey = 'scans/{id}.png'\ntypes = ['image/png']\n";
    for (key, text) in [(keys::DECLARATION, declaration), ("samples/1.csv", "id\n1\n")] {
        let bytes = text.into();
        lake.bucket().put(key, bytes, PutMode::Replace, &Metadata::new()).await.unwrap();
    }
    let checks = checks(&lake).await;
    let found = |name| &*find(&checks, name).found;
    assert_eq!(
        found("list"),
        "objects under samples/ can be listed; the folder scans/ can be listed and is empty"
    );
    assert_eq!(found("read"), "objects under samples/ can be read");
}
