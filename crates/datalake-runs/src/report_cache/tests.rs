//! Reading, caching and rejecting reports.

use datalake_core::run::{Counts, Requests, RunMode, RunOutcome};
use datalake_store::{
    bucket::{Metadata, PutMode},
    memory::MemoryBucket,
};
use jiff::Timestamp;

use super::*;

fn id(run_id: &str) -> RunId {
    RunId::parse(run_id).unwrap()
}

fn report(run_id: &str, ended_at: i64) -> Vec<u8> {
    let report = RunReport {
        run_id: id(run_id),
        outcome: RunOutcome::Succeeded,
        mode: RunMode::Full,
        started_at: Timestamp::UNIX_EPOCH,
        ended_at: Timestamp::from_second(ended_at).unwrap(),
        elapsed_ms: 1,
        version: None,
        committed: None,
        allow_mass_delete_of: None,
        reject_details: Vec::new(),
        blocked_deletions: None,
        repaired: None,
        counts: Counts::default(),
        requests: Requests::default(),
        notices: Vec::new(),
        rejects: Vec::new(),
        clock_skew_seconds: None,
        error: None,
    };
    serde_json::to_vec(&report).unwrap()
}

async fn put(bucket: &MemoryBucket, run_id: &str, bytes: Vec<u8>) {
    let key = keys::run_report(&id(run_id));
    bucket.put(&key, bytes.into(), PutMode::Replace, &Metadata::new()).await.unwrap();
}

fn cache(bucket: &MemoryBucket) -> ReportCache {
    ReportCache::new(Arc::new(bucket.clone()))
}

fn cached(cache: &ReportCache) -> Vec<String> {
    cache.runs().into_keys().map(|run_id| run_id.to_string()).collect()
}

#[tokio::test]
async fn refresh_reads_the_newest_reports() {
    let bucket = MemoryBucket::new();
    for run_id in ["a", "b", "c"] {
        put(&bucket, run_id, report(run_id, 1)).await;
    }
    let cache = cache(&bucket);
    let mut changes = cache.changes();
    assert_eq!(cached(&cache), Vec::<String>::new());
    cache.refresh(2).await.unwrap();
    assert_eq!(cached(&cache), ["b", "c"], "a is the oldest");
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    cache.refresh(2).await.unwrap();
    assert!(!changes.has_changed().unwrap(), "cached reports are not read again");
}

#[tokio::test]
async fn replaced_report_is_read_again() {
    let bucket = MemoryBucket::new();
    let cache = cache(&bucket);
    for ended_at in [1, 2] {
        put(&bucket, "a", report("a", ended_at)).await;
        cache.refresh(REPORTS_MAX).await.unwrap();
        let run = cache.get(&id("a")).unwrap();
        assert_eq!(run.ended_at, Some(Timestamp::from_second(ended_at).unwrap()));
    }
}

#[tokio::test]
async fn run_of_a_report_has_its_parameters() {
    let bucket = MemoryBucket::new();
    put(&bucket, "a", report("a", 1)).await;
    let run = cache(&bucket).read(&id("a")).await.unwrap().unwrap();
    assert_eq!(run.parameters.map(|parameters| parameters.mode), Some(RunMode::Full));
    assert!(run.report.is_some());
}

async fn check_ignored(bytes: Vec<u8>) {
    let bucket = MemoryBucket::new();
    put(&bucket, "a", bytes).await;
    let cache = cache(&bucket);
    let mut changes = cache.changes();
    assert_eq!(cache.read(&id("a")).await.unwrap(), None);
    assert_eq!(cached(&cache), Vec::<String>::new());
    // The invalid report is cached, so that it is not read and logged with each refresh.
    changes.mark_unchanged();
    cache.refresh(REPORTS_MAX).await.unwrap();
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test]
async fn malformed_report_is_ignored() {
    check_ignored(b"{}".to_vec()).await;
}

#[tokio::test]
async fn report_of_another_run_is_ignored() {
    check_ignored(report("b", 1)).await;
}

#[tokio::test]
async fn oversized_report_is_ignored() {
    let mut bytes = report("a", 1);
    bytes.resize(usize::try_from(REPORT_BYTES_MAX).unwrap() + 1, b' ');
    check_ignored(bytes).await;
}

#[tokio::test]
async fn missing_and_empty_reports_are_no_runs() {
    let bucket = MemoryBucket::new();
    put(&bucket, "empty", Vec::new()).await;
    let cache = cache(&bucket);
    for run_id in ["empty", "missing"] {
        assert_eq!(cache.read(&id(run_id)).await.unwrap(), None, "{run_id}");
    }
}
